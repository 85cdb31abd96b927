// A program with the engine inside: it publishes what it does as typed events, without JSON, and
// asks the engine at the end what it made of them.
//
//   this thread: Publisher -> ring -> the engine's threads -> findings, triggers, incidents
//
// An hour of a service's life in event time, published as fast as the engine takes it: calls that
// go well, and errors from the 40th minute on. Exits with 1 when the engine does not account for
// each event or has nothing to say of the errors.
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "grace/core/clock.h"
#include "grace/ingest/publish_source.h"
#include "grace/log_analyzer/log_analyzer.h"
#include "grace/pipeline/engine.h"
#include "grace/proactive/proactive.h"
#include "grace/schedule/replay_executors.h"

namespace {

using namespace grace;

constexpr std::int64_t kBeginNs = 1'736'950'000'000'000'000;  // 2025-01-15 14:06:40 UTC
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr int kSeconds = 3600;

// Publishers are one a thread. Full: publish() waits for the engine, and what it cannot hand over
// in time stays the caller's; here that ends the program.
template <typename Event>
bool put(Publisher& publisher, const Event& event) {
  return publisher.publish(event, std::chrono::minutes(1)) == ingest::PublishStatus::kOk;
}

bool publish_an_hour(Publisher& publisher) {
  const core::Label host[]{{"host", "node-1"}};
  for (int second = 0; second < kSeconds; ++second) {
    core::MetricSample latency;
    latency.ts_ns = kBeginNs + second * kSecondNs;
    latency.service = "checkout";
    latency.domain = "shop";
    latency.metric = "latency_ms";
    latency.value = 40.0 + second % 7;
    latency.labels = host;
    // Texts, labels and payload need to live during the call only.
    const core::Attribute payload[]{{"order", std::int64_t{second}}, {"retried", false}};
    core::ActionRecord call;
    call.ts_ns = *latency.ts_ns + kSecondNs / 2;
    call.actor = "web";
    call.action = "place_order";
    call.resource = "checkout";
    call.subsystem = "orders";
    call.domain = "shop";
    call.result = second >= 2400 && second % 3 == 0 ? "error" : "success";
    call.duration_ms = 12.0;
    call.payload = payload;
    if (!put(publisher, latency) || !put(publisher, call)) return false;
  }
  return true;
}

template <typename T>
core::Result<T> or_say(core::Result<T> result) {
  if (!result) std::fprintf(stderr, "publish: %s\n", result.error().message.c_str());
  return result;
}

}  // namespace

int main() {
  core::SubsystemList subsystems;
  subsystems.push_back(proactive::make_proactive());
  subsystems.push_back(log_analyzer::make_log_analyzer({}));

  ingest::PublishConfig publishing;
  publishing.end_with_publishers = true;  // as a file ends; a live program stops the engine instead
  auto source = or_say(ingest::PublishSource::create(publishing));
  if (!source) return 1;
  auto publisher = or_say((*source)->publisher());
  if (!publisher) return 1;

  pipeline::EngineConfig config;
  const auto playbooks = or_say(schedule::PlaybookSet::build({}, config.schedule.limits));
  if (!playbooks) return 1;
  std::vector<std::unique_ptr<ingest::Source>> sources;
  sources.push_back(std::move(*source));
  schedule::DryRunExecutor executor;  // proposes, never runs anything
  const core::SystemClock clock;
  auto engine = or_say(pipeline::Engine::open(
      config, {subsystems, std::move(sources), nullptr, executor, *playbooks, {}, clock}));
  if (!engine) return 1;
  (*engine)->start();

  const bool all = publish_an_hour(*publisher);
  const ingest::PublishFigures figures = publisher->figures();
  { const Publisher ended = std::move(*publisher); }  // the source ends with it
  if (const auto decided = (*engine)->wait(); !decided) {
    std::fprintf(stderr, "publish: %s\n", decided.error().message.c_str());
    return 1;
  }

  const pipeline::EventCounts counts = (*engine)->counts();
  std::string triggers;
  std::uint64_t incidents = 0;
  const bool answered = (*engine)->inspect([&](const pipeline::OrderedView& view) {
    triggers = view.triggers.stats().to_json();
    incidents = view.triggers.correlator().opened_count();
  });
  std::printf("published %llu, received %llu, accepted %llu\nincidents %llu\ntriggers %s\n",
              static_cast<unsigned long long>(figures.published),
              static_cast<unsigned long long>(counts.received),
              static_cast<unsigned long long>(counts.accepted),
              static_cast<unsigned long long>(incidents), triggers.c_str());
  const bool whole = all && figures.published == counts.received &&
                     counts.received == counts.accepted + counts.rejected_total() + counts.dropped;
  return whole && answered && incidents > 0 ? 0 : 1;
}
