#include "grace/log_analyzer/log_analyzer.h"

#include <string>
#include <string_view>
#include <utility>

#include "cascade_detector.h"
#include "partition.h"

namespace grace::log_analyzer {
namespace {

class LogAnalyzer final : public core::Subsystem {
 public:
  explicit LogAnalyzer(LogAnalyzerConfig config) : config_(config) {}
  [[nodiscard]] core::Source source() const noexcept override {
    return core::Source::kImmutableLog;
  }
  [[nodiscard]] std::unique_ptr<core::PartitionDetector> make_partition(
      std::size_t) const override {
    return std::make_unique<LogPartition>(config_);
  }
  [[nodiscard]] std::unique_ptr<core::OrderedDetector> make_ordered(
      const core::OrderedContext& context) const override {
    return std::make_unique<CascadeDetector>(config_, context.topology);
  }

 private:
  LogAnalyzerConfig config_;
};

struct Bounds {
  std::string_view name;
  double value, min, max;
};

}  // namespace

core::Result<LogAnalyzerConfig> validated(LogAnalyzerConfig config) {
  const auto seconds = [](std::chrono::seconds span) { return static_cast<double>(span.count()); };
  constexpr double kDay = 86'400.0;
  constexpr double kMany = 16'777'216.0;
  const Bounds all[] = {
      {"error_count_min", static_cast<double>(config.error_count_min), 2, 1000},
      {"error_window", seconds(config.error_window), 10, kDay},
      {"error_settle", seconds(config.error_settle), 0, 600},
      {"error_settle_max", seconds(config.error_settle_max), seconds(config.error_settle), 3600},
      {"error_storm_factor", static_cast<double>(config.error_storm_factor), 2, 1000},
      {"error_growth_factor", config.error_growth_factor, 1.1, 100},
      {"error_quiet", seconds(config.error_quiet), 1, kDay},
      {"prior_actions", config.prior_actions, 2, 1e6},
      {"prior_windows", config.prior_windows, 1, 1e6},
      {"duration_bin", seconds(config.duration_bin), 1, 3600},
      {"duration_trend_bins", static_cast<double>(config.duration_trend_bins), 8,
       static_cast<double>(kTrendBinsMax)},
      {"duration_warmup_bins", static_cast<double>(config.duration_warmup_bins), 5, 240},
      {"duration_rise_min", config.duration_rise_min, 0.01, 100},
      {"sequence_warmup", static_cast<double>(config.sequence_warmup), 100, 1e9},
      {"sequence_surprise_share", config.sequence_surprise_share, 1e-6, 0.1},
      {"sequence_run_min", static_cast<double>(config.sequence_run_min), 2, 8},
      {"sequence_run_max", static_cast<double>(config.sequence_run_max),
       static_cast<double>(config.sequence_run_min), 1000},
      {"session_idle", seconds(config.session_idle), 10, 1800},
      {"cascade_window", seconds(config.cascade_window), 1, 3600},
      {"cascade_components_min", static_cast<double>(config.cascade_components_min), 2, 16},
      {"cascade_settle", seconds(config.cascade_settle), 0, seconds(config.cascade_window)},
      {"observation_period", seconds(config.observation_period), 1, 600},
      {"patterns_max", static_cast<double>(config.patterns_max), 1, kMany},
      {"pairs_max", static_cast<double>(config.pairs_max), 1, kMany},
      {"sessions_max", static_cast<double>(config.sessions_max), 1, kMany},
      {"grammar_nodes_max", static_cast<double>(config.grammar_nodes_max), 16, kMany},
      {"grammar_classes_max", static_cast<double>(config.grammar_classes_max), 1, kMany},
      {"session_models_max", static_cast<double>(config.session_models_max), 1, 4096},
      {"templates_max", static_cast<double>(config.templates_max), 1, kMany},
      {"symbols_max", static_cast<double>(config.symbols_max), 16, kMany},
      {"symbol_bytes_max", static_cast<double>(config.symbol_bytes_max), 1024, 1e9},
      {"components_max", static_cast<double>(config.components_max), 2, 1e6},
  };
  for (const Bounds& field : all) {
    if (field.value >= field.min && field.value <= field.max) continue;
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "log_analyzer." + std::string(field.name) + " = " +
                                std::to_string(field.value) + " is not within " +
                                std::to_string(field.min) + " to " + std::to_string(field.max));
  }
  return config;
}

std::unique_ptr<core::Subsystem> make_log_analyzer(LogAnalyzerConfig config) {
  return std::make_unique<LogAnalyzer>(std::move(config));
}

}  // namespace grace::log_analyzer
