// What a metric event costs in the proactive detector's partitions.
//
//   events (shuffled series, all 64 partitions on this one thread) -> on_event -> counting sink
//
// Question: nanoseconds an event for series tables that fit the cache and that do not, and what a
// bin's close adds with and without a rich model. Not asked: parsing, routing, many threads.
// After timing, the observations are compared with what the events must have given.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "counting_sink.h"
#include "grace/core/hash.h"
#include "grace/proactive/proactive.h"

namespace grace::proactive {
namespace {

struct Load {
  std::string text = "service-000core";
  std::vector<core::Event> events;  // one a series, in shuffled order
};

Load make_load(std::size_t series_count, const char* metric) {
  Load load;
  const auto name_at = static_cast<std::uint32_t>(load.text.size());
  load.text += metric;
  for (std::size_t i = 0; i < series_count; ++i) {
    core::Event event;
    event.kind = core::EventKind::kMetric;
    event.service = {0, name_at - 4};
    event.domain = {name_at - 4, 4};
    event.name = {name_at, static_cast<std::uint32_t>(load.text.size()) - name_at};
    event.route_key = core::mix(i + 1);
    load.events.push_back(event);
  }
  std::sort(load.events.begin(), load.events.end(), [](const auto& a, const auto& b) {
    return core::mix(a.route_key) < core::mix(b.route_key);
  });
  for (core::Event& event : load.events) event.text = load.text.data();
  return load;
}

// range(0): series; range(1): events of a series in each bin of 60 s.
void run(benchmark::State& state, const char* metric, std::size_t rich_models_max,
         std::size_t ensemble_models_max = 0) {
  const auto series_count = static_cast<std::size_t>(state.range(0));
  const std::int64_t per_bin = state.range(1);
  ProactiveConfig config;
  config.rich_models_max = rich_models_max;
  config.ensemble_models_max = ensemble_models_max;
  const auto subsystem = make_proactive(config);
  std::array<std::unique_ptr<core::PartitionDetector>, core::kPartitionCount> partitions;
  for (std::size_t i = 0; i < partitions.size(); ++i) partitions[i] = subsystem->make_partition(i);
  Load load = make_load(series_count, metric);
  bench::CountingSink sink;

  std::int64_t ts_ns = 0;
  std::uint64_t sequence = 0, noise = 1;
  const auto round = [&](std::int64_t step_ns) {
    for (core::Event& event : load.events) {
      noise = noise * 6364136223846793005ULL + 1442695040888963407ULL;
      event.value = 100.0 + static_cast<double>(noise >> 60);
      event.ts_ns = ts_ns;
      event.sequence = ++sequence;
      partitions[event.partition()]->on_event(event, sink);
    }
    ts_ns += step_ns;
  };
  const std::int64_t bin_ns = 60'000'000'000;
  // Warm: every series is past its warm-up and has its models; for open bins alone two do.
  const int warm_rounds = ensemble_models_max > 0               ? 200
                          : per_bin > 1 && rich_models_max == 0 ? 2
                                                                : 40;
  for (int i = 0; i < warm_rounds; ++i) round(bin_ns);
  const std::uint64_t warm = sink.observations;

  std::int64_t rounds = 0;
  for (auto _ : state) {
    round(bin_ns / per_bin);
    ++rounds;
  }
  state.SetItemsProcessed(rounds * static_cast<std::int64_t>(series_count));
  const auto closed = static_cast<std::uint64_t>((rounds + per_bin - 1) / per_bin);
  if (metric[0] == 'l' && sink.observations - warm != closed * series_count) {
    std::fprintf(stderr, "observations %llu, wanted %llu\n",
                 static_cast<unsigned long long>(sink.observations - warm),
                 static_cast<unsigned long long>(closed * series_count));
    std::abort();
  }
}

void BM_Light(benchmark::State& state) {
  run(state, "queue_depth", 0);
}
void BM_LightWithRole(benchmark::State& state) {
  run(state, "latency_ms", 0);
}
void BM_Rich(benchmark::State& state) {
  run(state, "latency_ms", 1'000'000);
}
// Past the 128 bins in which the ensemble says nothing; over the run it comes to compare all lags.
void BM_RichWithEnsemble(benchmark::State& state) {
  run(state, "latency_ms", 1'000'000, 1'000'000);
}

// Fixed iterations: each run warms its series first, which must not be done again and again.
BENCHMARK(BM_Light)->ArgNames({"series", "per_bin"})->Args({1'000, 60})->Iterations(6'000);
BENCHMARK(BM_Light)->ArgNames({"series", "per_bin"})->Args({100'000, 60})->Iterations(60);
BENCHMARK(BM_LightWithRole)->ArgNames({"series", "per_bin"})->Args({1'000, 1})->Iterations(500);
BENCHMARK(BM_LightWithRole)->ArgNames({"series", "per_bin"})->Args({20'000, 1})->Iterations(10);
BENCHMARK(BM_Rich)->ArgNames({"series", "per_bin"})->Args({1'000, 60})->Iterations(3'000);
BENCHMARK(BM_Rich)->ArgNames({"series", "per_bin"})->Args({1'000, 1})->Iterations(300);
BENCHMARK(BM_RichWithEnsemble)
    ->ArgNames({"series", "per_bin"})
    ->Args({1'000, 60})
    ->Iterations(3'000);
BENCHMARK(BM_RichWithEnsemble)
    ->ArgNames({"series", "per_bin"})
    ->Args({1'000, 1})
    ->Iterations(1'100);

}  // namespace
}  // namespace grace::proactive

BENCHMARK_MAIN();
