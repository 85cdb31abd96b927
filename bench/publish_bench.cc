// Question: what does an event cost that a program publishes without JSON, piece by piece, next to
// the same event as a JSON line?
//
//   [typed events] -> Publisher -> ring -> PublishSource -> chunks   pack, take: on their threads
//   [chunks of packed events] -> ChunkParser -> events               parse packed
//   [chunks of the same as lines] -> ChunkParser -> events           parse lines
//
// CPU time of the thread, so that others on the machine disturb it less; pieces in turn, the median
// counts. Both ways must give as many events. Not measured: detectors, hand-over between cores; the
// whole engine is in `ratios`.
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "arguments.h"
#include "generator.h"
#include "grace/ingest/memory_source.h"
#include "grace/ingest/publish_source.h"
#include "grace/parse/chunk_parser.h"
#include "typed_events.h"

namespace {

using namespace grace;

constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::size_t kCapacityBytes = 2 * 1024 * 1024;

double thread_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "publish_bench: %s\n", what);
  std::exit(1);
}

using Chunks = std::vector<std::unique_ptr<core::Chunk>>;

core::Chunk& add_chunk(Chunks& chunks, std::uint64_t sequence) {
  chunks.push_back(std::make_unique<core::Chunk>(kCapacityBytes));
  chunks.back()->number = chunks.size() - 1;
  chunks.back()->first_sequence = sequence;
  return *chunks.back();
}

Chunks cut(const std::string& text) {
  Chunks chunks;
  ingest::MemorySource source(text);
  for (std::uint64_t at = 0; at < text.size(); at += chunks.back()->size_bytes) {
    core::Chunk& chunk = add_chunk(chunks, at);
    while (source.read(chunk, {kChunkBytes, kCapacityBytes / 2}) == ingest::ReadStatus::kMore) {
    }
  }
  return chunks;
}

struct Published {
  Chunks chunks;
  double pack_ns = 0.0;
  double take_ns = 0.0;
};

// On one thread, a ring's worth in turn.
Published publish(const tools::TypedEvents& events) {
  auto source = ingest::PublishSource::create({});
  if (!source) fail("no source");
  auto publisher = (*source)->publisher();
  if (!publisher) fail("no publisher");
  Published out;
  core::Chunk* chunk = &add_chunk(out.chunks, 0);
  std::uint64_t sequence = 0;
  const auto take = [&] {
    const double begin = thread_ns();
    for (;;) {
      const auto status = (*source)->read(*chunk, {kChunkBytes, kCapacityBytes / 2});
      if (status == ingest::ReadStatus::kIdle) break;
      if (status != ingest::ReadStatus::kFull) continue;
      sequence += chunk->size_bytes;
      chunk = &add_chunk(out.chunks, sequence);
    }
    out.take_ns += thread_ns() - begin;
  };
  double begin = thread_ns();
  for (const auto& event : events.events()) {
    const auto add = [&] {
      return std::visit([&](const auto& typed) { return publisher->add(typed); }, event);
    };
    if (add() == ingest::PublishStatus::kOk) continue;
    out.pack_ns += thread_ns() - begin;
    take();
    begin = thread_ns();
    if (add() != ingest::PublishStatus::kOk) fail("an event does not fit an empty ring");
  }
  if (publisher->flush() != ingest::PublishStatus::kOk) fail("closed");
  out.pack_ns += thread_ns() - begin;
  take();
  return out;
}

class NoRejects final : public parse::RejectSink {
 public:
  void rejected(const parse::Reject&) override { fail("an event was rejected"); }
};

double parse_ns(parse::ChunkParser& parser, const Chunks& chunks, std::uint64_t expected) {
  static std::array<core::Event, 64> events;
  NoRejects rejects;
  std::uint64_t count = 0;
  const double begin = thread_ns();
  for (const auto& chunk : chunks) {
    parser.begin(*chunk);
    while (const std::size_t some = parser.next(events, rejects)) count += some;
  }
  const double taken = thread_ns() - begin;
  if (count != expected) fail("another number of events");
  return taken;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

}  // namespace

// publish_bench [EVENTS [REPETITIONS]]; without numbers tiny, as ctest runs it.
int main(int argc, char** argv) {
  const auto [event_count, repetitions] = bench::effort_of(bench::arguments_of(argc, argv), 20'000);
  tools::GeneratorOptions options;
  options.event_count = event_count;
  options.service_count = 200;
  std::ostringstream out;
  if (!tools::generate(options, out)) fail("cannot generate");
  const std::string text = std::move(out).str();
  const tools::TypedEvents kept(text);
  const tools::TypedEvents named(text, tools::TypedEvents::Series::kNamed);
  const Chunks lines = cut(text);
  parse::ChunkParser parser;
  std::array<std::vector<double>, 5> ns;
  std::uint64_t packed_bytes = 0;
  for (std::size_t i = 0; i < std::max<std::size_t>(repetitions, 1); ++i) {
    ns[4].push_back(publish(named).pack_ns);
    const Published published = publish(kept);
    packed_bytes = 0;
    for (const auto& chunk : published.chunks) packed_bytes += chunk->size_bytes;
    ns[0].push_back(published.pack_ns);
    ns[1].push_back(published.take_ns);
    ns[2].push_back(parse_ns(parser, published.chunks, event_count));
    ns[3].push_back(parse_ns(parser, lines, event_count));
  }
  const auto count = static_cast<double>(event_count);
  std::printf(
      "ns an event, CPU time, median of %zu: pack %.1f (%.1f with series by their names), take "
      "%.1f, parse packed %.1f; parse lines %.1f\nbytes an event: packed %.1f, lines %.1f\n",
      ns[0].size(), median(ns[0]) / count, median(ns[4]) / count, median(ns[1]) / count,
      median(ns[2]) / count, median(ns[3]) / count, static_cast<double>(packed_bytes) / count,
      static_cast<double>(text.size()) / count);
  return 0;
}
