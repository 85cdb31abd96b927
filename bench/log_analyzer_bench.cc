// Question: what does the log analyzer's partition detector cost for each action event, with few
// and with many patterns, and when every event is an error? Non-goals: parsing, rings, ticks of
// other subsystems. One thread, one partition:
//   prepared events -> LogPartition::on_event (a tick for each second of event time)
// Events cycle over the patterns in a scattered order, so that 100k patterns do not fit the cache.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "grace/core/detector.h"
#include "grace/core/hash.h"
#include "grace/core/time.h"
#include "grace/log_analyzer/log_analyzer.h"

namespace {

using grace::core::Event;

class CountingSink final : public grace::core::FindingSink {
 public:
  void finding(grace::core::Finding&&) override { ++findings; }
  void observe(const grace::core::Observation& observation) override {
    ++observations;
    actions += observation.count;
  }
  std::uint64_t findings = 0;
  std::uint64_t observations = 0;
  std::uint64_t actions = 0;
};

struct Stream {
  std::string text;
  std::vector<Event> events;
};

// `pattern_count` patterns: ten actions for each actor, one resource for ten actors.
Stream make_stream(std::size_t pattern_count, bool errors) {
  Stream stream;
  stream.text.reserve(pattern_count * 48);
  const auto put = [&](const std::string& part) {
    const grace::core::TextRef ref{static_cast<std::uint32_t>(stream.text.size()),
                                   static_cast<std::uint32_t>(part.size())};
    stream.text += part;
    return ref;
  };
  for (std::size_t i = 0; i < pattern_count; ++i) {
    const std::string actor = "worker_" + std::to_string(i / 10);
    const std::string resource = "service_" + std::to_string(i / 100);
    Event event;
    event.kind = grace::core::EventKind::kAction;
    event.actor = put(actor);
    const std::string name = "operation_" + std::to_string(i % 10);
    event.name = put(name);
    event.service = put(resource);
    event.subsystem = put("jobs");
    event.result_text = put(errors ? "error" : "success");
    event.result = errors ? grace::core::ActionResult::kError : grace::core::ActionResult::kSuccess;
    event.route_key = grace::core::hash_bytes(actor);
    event.service_key = grace::core::hash_bytes(resource);
    event.name_key = grace::core::hash_bytes(name);
    stream.events.push_back(event);
  }
  for (Event& event : stream.events) event.text = stream.text.data();
  return stream;
}

void action_event(benchmark::State& state) {
  const auto pattern_count = static_cast<std::size_t>(state.range(0));
  const bool errors = state.range(1) != 0;
  const bool durations = state.range(2) != 0;
  grace::log_analyzer::LogAnalyzerConfig config;
  config.patterns_max = 131'072;
  config.pairs_max = 131'072;
  config.sessions_max = 16'384;
  config.symbols_max = 1U << 20;
  config.symbol_bytes_max = 1U << 26;
  const auto subsystem = grace::log_analyzer::make_log_analyzer(config);
  const auto partition = subsystem->make_partition(0);
  const Stream stream = make_stream(pattern_count, errors);
  CountingSink sink;
  constexpr std::int64_t kEventsPerSecond = 100'000;
  std::int64_t now_ns = 1'736'899'200LL * grace::core::kNsPerSecond;
  std::uint64_t sequence = 0;
  std::uint64_t at = 0;
  const auto step = [&] {
    Event event = stream.events[(at++ * 7919) % pattern_count];
    event.sequence = sequence += 100;
    event.ts_ns = now_ns += grace::core::kNsPerSecond / kEventsPerSecond;
    if (durations) event.value = 12.5;
    if (at % kEventsPerSecond == 0) {
      partition->on_tick({sequence, now_ns, now_ns - grace::core::kNsPerSecond}, sink);
    }
    partition->on_event(event, sink);
  };
  for (std::size_t i = 0; i < 2 * pattern_count; ++i) step();
  for (auto _ : state) step();
  state.SetItemsProcessed(state.iterations());
  // The result: every action must come out in an observation.
  partition->on_tick({sequence, now_ns + 20 * grace::core::kNsPerSecond, now_ns}, sink);
  if (sink.actions != at) std::abort();
  state.counters["findings"] = static_cast<double>(sink.findings);
  state.counters["evicted"] = static_cast<double>(partition->evicted_count());
}

BENCHMARK(action_event)
    ->ArgNames({"patterns", "errors", "durations"})
    ->Args({1'000, 0, 0})
    ->Args({1'000, 0, 1})
    ->Args({1'000, 1, 0})
    ->Args({100'000, 0, 0})
    ->Args({100'000, 1, 0});

void metric_event(benchmark::State& state) {
  const auto subsystem = grace::log_analyzer::make_log_analyzer({});
  const auto partition = subsystem->make_partition(0);
  CountingSink sink;
  const Event event;
  for (auto _ : state) partition->on_event(event, sink);
  if (sink.observations != 0) std::abort();
}
BENCHMARK(metric_event);

}  // namespace

BENCHMARK_MAIN();
