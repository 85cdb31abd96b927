// A program beside a running engine: events without JSON through memory that both share.
//
//   grace run --source shared:PATH        in one terminal
//   publish_shared PATH [EVENTS]          in another
//
// Links grace::shared_client and core alone. Exits with 1 when an event was not handed over.
#include <cstdio>
#include <cstdlib>

#include "grace/ingest/shared_publisher.h"

int main(int argc, char** argv) {
  using namespace grace;
  if (argc < 2) {
    std::fputs("usage: publish_shared PATH [EVENTS]\n", stderr);
    return 2;
  }
  const std::uint64_t events = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000;
  auto publisher = ingest::connect_shared(argv[1]);
  if (!publisher) {
    std::fprintf(stderr, "publish_shared: %s\n", publisher.error().message.c_str());
    return 1;
  }
  for (std::uint64_t i = 0; i < events; ++i) {
    core::MetricSample depth;  // without ts_ns: the time of arrival
    depth.service = "checkout";
    depth.domain = "shop";
    depth.metric = "queue_depth";
    depth.value = static_cast<double>(i % 10);
    // add() gathers batches: one hand-over for many events. kFull: the event is still ours.
    ingest::PublishStatus status = publisher->add(depth);
    if (status == ingest::PublishStatus::kFull) {
      status = publisher->publish(depth, std::chrono::seconds(10));
    }
    if (status != ingest::PublishStatus::kOk) break;
  }
  const bool flushed = publisher->flush() == ingest::PublishStatus::kOk;
  const std::uint64_t published = publisher->figures().published;
  std::printf("published %llu of %llu\n", static_cast<unsigned long long>(published),
              static_cast<unsigned long long>(events));
  return flushed && published == events ? 0 : 1;
}
