#pragma once
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "bench_settings.h"
#include "engine_load.h"
#include "sidecar_load.h"

namespace grace::tools {

inline constexpr std::chrono::milliseconds kWatchSpan{100};  // before and after, each CPU
inline constexpr std::int64_t kFloorWindowNs = 1'000'000'000;
inline constexpr std::int64_t kFloorWarmupNs = 100'000'000;

// What a measurement needs, made once: the stream takes longer than a run.
class Bench {
 public:
  static core::Result<Bench> make(const BenchArguments& arguments, const BenchSettings& settings,
                                  const std::string& scratch) {
    if (scratch.empty()) {
      return core::make_error(core::ErrorCode::kIo, "cannot make a folder for temporary files");
    }
    auto config = bench_config(arguments, scratch);
    if (!config) return tl::unexpected<core::Error>(config.error());
    auto stream = bench_stream(arguments, config->app.engine.parse.line_bytes_max);
    if (!stream) return tl::unexpected<core::Error>(stream.error());
    Bench bench(arguments, settings, scratch, std::move(*config),
                std::make_unique<const LoadStream>(std::move(*stream)));
    if (arguments.publish) {
      auto published = PublishStream::of(*bench.stream_);
      if (!published) return tl::unexpected<core::Error>(published.error());
      bench.published_ = std::move(*published);
    }
    return bench;
  }

  // A run that lost too much time to others is made again, with the same arrivals, and the one that
  // lost least counts. What decides is the disturbance alone, never the result, so that no figure
  // is bent. `watch`: see EngineLoad; never called for a sidecar. A watched run is made once.
  core::Result<EngineRun> run(double rate, std::uint64_t seed, const harness::LoadSpan& span,
                              const std::function<void(std::int64_t)>& watch = {}) {
    auto best = run_once(rate, seed, span, watch);
    const std::size_t retries = watch ? 0 : arguments_.retries;
    for (std::size_t i = 0; best && is_disturbed(*best) && i < retries; ++i) {
      ++repeated_;
      auto again = run_once(rate, seed, span, watch);
      if (!again) return again;
      if (again->foreign_share.value_or(1.0) < *best->foreign_share) best = std::move(again);
    }
    if (best) conditions_.worst_of(best->foreign_share);
    return best;
  }

  void watch() { harness::watch(conditions_.quiet, kWatchSpan); }
  // The rest of the conditions, once the rate is known.
  core::Result<harness::LoadResult> floor(double rate) {
    harness::LoadSpan span = settings_.span;
    span.warmup_ns = std::min(span.warmup_ns, kFloorWarmupNs);
    span.window_ns = std::min(span.window_ns, kFloorWindowNs);
    const harness::ArrivalConfig arrivals = arrivals_at(rate, settings_.arrivals.seed);
    auto load = is_sidecar()
                    ? run_null_sidecar(*stream_, arrivals, span)
                    : run_null_load(*stream_, arrivals, span, config_.app.engine, published_.get());
    if (!load) return load;
    const double share = settings_.objective ? settings_.objective->share : 0.999;
    conditions_.floor_ns = load->response.percentile(share);
    conditions_.round_trip_ns = harness::round_trip_ns();
    return load;
  }

  void write_head(core::JsonWriter& json) const {
    const pipeline::EngineConfig& engine = config_.app.engine;
    json.field("target", target()).key("workers");
    // Those of a sidecar are not known here.
    is_sidecar() ? json.null() : json.value(std::uint64_t{engine.workers});
    json.key("threading");
    is_sidecar() ? json.null() : json.value(pipeline::name_of(engine.threading));
    json.key("idle");
    is_sidecar() ? json.null() : json.value(core::name_of(engine.idle));
    json.key("services");
    // Nor those of lines that were not made here.
    arguments_.input.empty() ? json.value(arguments_.services) : json.null();
    json.key("mix");
    arguments_.input.empty() ? json.value(mix_name(arguments_)) : json.null();
    json.key("rules");  // null: those of the configuration
    arguments_.rules ? json.value(*arguments_.rules) : json.null();
    json.field("stream_lines", std::uint64_t{stream_->line_count()});
  }
  void write_run(core::JsonWriter& json, double rate, const EngineRun& run,
                 const harness::LoadResult& floor) const {
    json.field("target_rate", rate);
    write_load(json, run.load);
    const double lost = double(run.load.unsent + run.load.unfinished + run.counts.dropped);
    json.field("lost", run.load.arrivals > 0 ? lost / double(run.load.arrivals) : 0.0)
        .field("rejected", run.rejected)
        .field("resident_bytes", run.resident_bytes)
        .key("cpu_seconds");
    run.cpu_s ? json.value(*run.cpu_s) : json.null();
    json.field("marks_left_out", run.marks_left_out).key("floor_response_ns").begin_object();
    for (const auto& [name, share] :
         {std::pair{"p50", 0.5}, std::pair{"p99", 0.99}, std::pair{"p99.9", 0.999}}) {
      json.field(name, floor.response.percentile(share));
    }
    json.end_object();
  }
  void write_end(core::JsonWriter& json) const {
    json.field("runs_repeated", repeated_);
    write_conditions(json, conditions_, settings_.objective);
  }

 private:
  Bench(const BenchArguments& arguments, const BenchSettings& settings, std::string scratch,
        CheckedConfig config, std::unique_ptr<const LoadStream> stream)
      : arguments_(arguments),
        settings_(settings),
        scratch_(std::move(scratch)),
        config_(std::move(config)),
        stream_(std::move(stream)) {}

  core::Result<EngineRun> run_once(double rate, std::uint64_t seed, const harness::LoadSpan& span,
                                   const std::function<void(std::int64_t)>& watch) {
    forget_logs();
    const harness::ArrivalConfig arrivals = arrivals_at(rate, seed);
    return is_sidecar()
               ? run_sidecar_load({arguments_.socket, arguments_.control, *stream_, arrivals, span})
               : run_engine_load({config_, *stream_, arrivals, span, settings_.event_rate, watch,
                                  published_.get()});
  }
  [[nodiscard]] static bool is_disturbed(const EngineRun& run) {
    return run.foreign_share.value_or(0.0) > harness::kLostShareMax;
  }
  [[nodiscard]] harness::ArrivalConfig arrivals_at(double rate, std::uint64_t seed) const {
    harness::ArrivalConfig arrivals = settings_.arrivals;
    arrivals.rate = rate;
    arrivals.seed = seed;
    return arrivals;
  }
  [[nodiscard]] std::string target() const {
    if (is_sidecar()) return "unix:" + arguments_.socket;
    return published_ ? "engine, published" : "engine";
  }
  [[nodiscard]] bool is_sidecar() const noexcept { return !arguments_.socket.empty(); }
  // Each run writes logs of its own.
  void forget_logs() const {
    std::error_code ignored;  // an old log that stays is refused or gone on with, loudly
    for (const char* name : {"/ledger", "/journal"}) {
      std::filesystem::remove_all(scratch_ + name, ignored);
    }
  }

  const BenchArguments& arguments_;
  const BenchSettings& settings_;
  std::string scratch_;
  CheckedConfig config_;
  std::unique_ptr<const LoadStream> stream_;        // where it is, it stays
  std::unique_ptr<const PublishStream> published_;  // null: lines are sent
  harness::Conditions conditions_;
  std::uint64_t repeated_ = 0;
};

}  // namespace grace::tools
