// What one value costs in the rich tier's anomaly model.
//
//   values (one kind of series a benchmark) -> SeriesAnomaly::step -> score
//
// Time a value past the warm-up, when all lags of the patterns are compared; median over batches as
// well as the mean, and the state's size. After timing, a spike must have been found. Not answered
// here: what reading the value costs. With 200 series their states (9 MB) take turns in the
// caches.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "grace/core/hash.h"
#include "grace/models/series_anomaly.h"

namespace {

using grace::models::SeriesAnomaly;

constexpr std::int64_t kStepNs = 60'000'000'000;

double noise(std::uint64_t i) {
  return static_cast<double>(grace::core::mix(i) >> 11U) * 0x1p-53;
}

double noisy(std::uint64_t i) {
  return 100.0 + noise(i);
}
double constant(std::uint64_t /*i*/) {
  return 45.0;
}
double sparse(std::uint64_t i) {
  return noise(i) > 0.99 ? 10.0 : 0.0;
}

void must_find(SeriesAnomaly& model, std::uint64_t at, const char* what) {
  const double score = model.step(static_cast<std::int64_t>(at) * kStepNs, 1e4).anomaly_score;
  if (score < SeriesAnomaly::kScoreThreshold) {
    std::fprintf(stderr, "%s: a spike went unseen (%f)\n", what, score);
    std::exit(1);
  }
}

void run(benchmark::State& state, double (*value)(std::uint64_t)) {
  constexpr std::uint64_t kWarm = 1'500;
  constexpr std::uint64_t kBatch = 256;
  const auto series_count = static_cast<std::size_t>(state.range(0));
  std::vector<SeriesAnomaly> models(series_count);
  std::uint64_t at = 0;
  for (; at < kWarm; ++at) {
    for (SeriesAnomaly& model : models) {
      model.step(static_cast<std::int64_t>(at) * kStepNs, value(at));
    }
  }
  std::vector<double> batch_ns;
  double sum = 0.0;
  std::size_t next = 0;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t i = 0; i < kBatch; ++i) {
      sum += models[next].step(static_cast<std::int64_t>(at) * kStepNs, value(at)).surprise;
      if (++next == series_count) {
        next = 0;
        ++at;
      }
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    batch_ns.push_back(took.count() / kBatch);
  }
  benchmark::DoNotOptimize(sum);
  must_find(models.front(), at + 1, "series_models_bench");
  std::nth_element(batch_ns.begin(), batch_ns.begin() + static_cast<long>(batch_ns.size() / 2),
                   batch_ns.end());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
  state.counters["median_ns_a_value"] = batch_ns[batch_ns.size() / 2];
  state.counters["bytes_a_series"] = sizeof(SeriesAnomaly);
}

void BM_SeriesNoisy(benchmark::State& state) {
  run(state, noisy);
}
void BM_SeriesConstant(benchmark::State& state) {
  run(state, constant);
}
void BM_SeriesSparse(benchmark::State& state) {
  run(state, sparse);
}

// Fixed iterations: each run warms its series first, which must not be done again and again.
BENCHMARK(BM_SeriesNoisy)->ArgName("series")->Arg(1)->Iterations(400);
BENCHMARK(BM_SeriesNoisy)->ArgName("series")->Arg(200)->Iterations(400);
BENCHMARK(BM_SeriesConstant)->ArgName("series")->Arg(1)->Iterations(400);
BENCHMARK(BM_SeriesSparse)->ArgName("series")->Arg(1)->Iterations(400);

}  // namespace

BENCHMARK_MAIN();
