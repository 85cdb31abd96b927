#include "bench_soak.h"

#include <algorithm>
#include <cstdio>
#include <tuple>
#include <vector>

#include "bench_run.h"
#include "grace/harness/memory.h"
#include "grace/harness/units.h"

namespace grace::tools {
namespace {

constexpr std::int64_t kSamples = 512;
constexpr std::int64_t kSampleGapNsMin = 10'000'000;

// Resident memory over the window, at equal distances, as the run goes on.
class MemorySampler {
 public:
  explicit MemorySampler(const harness::LoadSpan& span)
      : span_(span),
        gap_ns_(std::max(span.window_ns / kSamples, kSampleGapNsMin)),
        next_ns_(span.warmup_ns),
        progress_(kSamples) {
    samples_.reserve(kSamples + 1);  // so that they are no growth themselves
  }
  void look(std::int64_t now_ns) {
    if (now_ns < next_ns_ || now_ns > span_.end_ns()) return;
    const auto bytes = static_cast<double>(harness::resident_bytes());
    samples_.push_back({static_cast<double>(now_ns - span_.warmup_ns) * 1e-9, bytes});
    // Where the machine stood still, samples are missing, not many at once.
    while (next_ns_ <= now_ns) next_ns_ += gap_ns_;
    char text[48];
    std::snprintf(text, sizeof text, "%.0f s, %.1f MiB", samples_.back().at_s, bytes / (1 << 20));
    progress_.done(text);
  }
  [[nodiscard]] const std::vector<harness::MemorySample>& samples() const noexcept {
    return samples_;
  }

 private:
  const harness::LoadSpan& span_;
  const std::int64_t gap_ns_;
  std::int64_t next_ns_;
  std::vector<harness::MemorySample> samples_;
  Progress progress_;
};

std::string share_text(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f%%", share * 100.0);
  return text;
}

// What did not hold; empty: all did.
std::vector<std::string> failures(const EngineRun& run, const harness::MemoryTrend& trend,
                                  double growth_max) {
  std::vector<std::string> why;
  if (!trend.flat) {
    why.push_back("memory may grow by " + share_text(trend.growth_high) +
                  " in the second half, over " + share_text(growth_max));
  }
  const std::uint64_t missing = run.load.unsent + run.load.unfinished;
  if (missing > 0) {
    why.push_back(std::to_string(missing) + " arrivals were not decided");
  }
  if (run.counts.dropped > 0) why.push_back(std::to_string(run.counts.dropped) + " were dropped");
  if (run.load.trend.growing) why.emplace_back("the backlog grows");
  return why;
}

void write_soak(core::JsonWriter& json, const SoakRequest& request, const EngineRun& run,
                const harness::MemoryTrend& trend,
                const std::vector<harness::MemorySample>& samples) {
  const auto why = failures(run, trend, request.growth_max);
  json.key("soak")
      .begin_object()
      .field("seconds", static_cast<double>(request.for_ns) * 1e-9)
      .field("best_rate", request.best_rate)
      .field("load", request.load)
      // received = accepted + rejected + dropped, or there would be no result.
      .field("received", run.counts.received)
      .field("accepted", run.counts.accepted)
      .field("rejected", run.rejected)
      .field("dropped", run.counts.dropped)
      .field("level_bytes", trend.level_bytes)
      .field("slope_per_s", trend.slope_per_s)
      .field("slope_low", trend.slope_low)
      .field("slope_high", trend.slope_high)
      .field("growth_high", trend.growth_high)
      .field("growth_max", request.growth_max)
      .field("flat", trend.flat)
      .field("holds", why.empty())
      .array_field("why", why)
      .key("memory")
      .begin_array();
  for (const harness::MemorySample& sample : samples) {
    json.begin_array().value(sample.at_s).value(sample.bytes).end_array();
  }
  json.end_array().end_object();
}

}  // namespace

core::Result<void> understand(SoakRequest& request) {
  const auto refused = [](const char* option, const core::Error& error) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            std::string(option) + ": " + error.message);
  };
  const auto for_ns = harness::parse_span_ns(request.for_text);
  if (!for_ns) return refused("--for", for_ns.error());
  // Less has too few samples to say anything of its second half.
  if (*for_ns < 4'000'000'000) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "--for: '" + request.for_text + "' is less than 4s");
  }
  request.for_ns = *for_ns;
  for (const auto& [option, text, share] :
       {std::tuple{"--load", &request.load_text, &request.load},
        std::tuple{"--growth", &request.growth_text, &request.growth_max}}) {
    const auto parsed = harness::parse_share(*text);
    if (!parsed) return refused(option, parsed.error());
    *share = *parsed;
  }
  if (request.load > 0.0) return {};
  return core::make_error(core::ErrorCode::kInvalidArgument, "--load: must be above 0%");
}

core::Result<std::string> measure_soak(const BenchArguments& arguments,
                                       const BenchSettings& settings, const SoakRequest& request) {
  const ScratchFolder scratch;
  auto bench = Bench::make(arguments, settings, scratch.path());
  if (!bench) return tl::unexpected<core::Error>(bench.error());
  const double rate = request.best_rate * request.load;
  bench->watch();
  const auto floor = bench->floor(rate);
  if (!floor) return tl::unexpected<core::Error>(floor.error());
  harness::LoadSpan span = settings.span;
  span.window_ns = request.for_ns;
  MemorySampler sampler(span);
  const auto run = bench->run(rate, settings.arrivals.seed, span,
                              [&](std::int64_t now_ns) { sampler.look(now_ns); });
  if (!run) return tl::unexpected<core::Error>(run.error());
  bench->watch();
  const auto trend = harness::memory_trend(sampler.samples(), request.growth_max);
  if (!trend) return tl::unexpected<core::Error>(trend.error());
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  bench->write_head(json);
  bench->write_run(json, rate, *run, *floor);
  write_soak(json, request, *run, *trend, sampler.samples());
  bench->write_end(json);
  json.end_object();
  return out;
}

}  // namespace grace::tools
