#include "bench_measure.h"

#include "bench_run.h"
#include "grace/harness/units.h"

namespace grace::tools {

core::Result<std::string> measure_point(const BenchArguments& arguments,
                                        const BenchSettings& settings) {
  const ScratchFolder scratch;
  auto bench = Bench::make(arguments, settings, scratch.path());
  if (!bench) return tl::unexpected<core::Error>(bench.error());
  const double rate = settings.arrivals.rate;
  bench->watch();
  const auto floor = bench->floor(rate);
  if (!floor) return tl::unexpected<core::Error>(floor.error());
  auto run = bench->run(rate, settings.arrivals.seed, settings.span);
  if (!run) return tl::unexpected<core::Error>(run.error());
  bench->watch();
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  bench->write_head(json);
  bench->write_run(json, rate, *run, *floor);
  if (settings.objective) {
    const harness::Verdict verdict = harness::judge(run->load, *settings.objective);
    json.field("holds", verdict.holds).field("why", verdict.why);
  }
  bench->write_end(json);
  json.end_object();
  return out;
}

core::Result<std::string> measure_search(const BenchArguments& arguments,
                                         const BenchSettings& settings) {
  const ScratchFolder scratch;
  auto bench = Bench::make(arguments, settings, scratch.path());
  if (!bench) return tl::unexpected<core::Error>(bench.error());
  harness::SearchConfig config;
  config.objective = *settings.objective;
  config.repetitions = arguments.repetitions;
  config.precision = 0.02;
  if (settings.rate > 0.0) config.rate_first = settings.rate;
  auto valid = harness::validated(config);
  if (!valid) return tl::unexpected<core::Error>(valid.error());
  bench->watch();
  // Two doublings, five halvings; later repetitions need two and three.
  Progress progress(7 + 5 * (arguments.repetitions - 1));
  const auto found = harness::find_sustainable_rate(
      config,
      [&](double rate, std::uint64_t seed) -> core::Result<harness::LoadResult> {
        auto run = bench->run(rate, settings.arrivals.seed + seed, settings.span);
        if (!run) return tl::unexpected<core::Error>(run.error());
        return std::move(run->load);
      },
      [&](const harness::Trial& trial) {
        progress.done(harness::format_rate(trial.rate) + "/s " +
                      (trial.verdict.holds ? "holds" : trial.verdict.why));
      });
  if (!found) return tl::unexpected<core::Error>(found.error());
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  bench->write_head(json);
  json.field("objective", arguments.slo);
  write_search(json, *found);
  // Where nothing held, the floor says whether anything could have.
  const double half = found->rate > 0.0 ? found->rate / 2.0 : found->trials.back().rate;
  const auto floor = bench->floor(half);
  if (!floor) return tl::unexpected<core::Error>(floor.error());
  if (found->rate > 0.0) {
    const auto run = bench->run(half, settings.arrivals.seed, settings.span);
    if (!run) return tl::unexpected<core::Error>(run.error());
    json.key("at_half").begin_object();
    bench->write_head(json);
    bench->write_run(json, half, *run, *floor);
    json.end_object();
  }
  bench->watch();
  bench->write_end(json);
  json.end_object();
  return out;
}

}  // namespace grace::tools
