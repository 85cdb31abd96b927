#include "grace/agentic_spine/agentic_spine.h"

#include <string>
#include <string_view>
#include <utility>

#include "health_graph.h"

namespace grace::agentic_spine {
namespace {

class AgenticSpine final : public core::Subsystem {
 public:
  explicit AgenticSpine(AgenticSpineConfig config) : config_(config) {}
  [[nodiscard]] core::Source source() const noexcept override {
    return core::Source::kAgenticSpine;
  }
  [[nodiscard]] std::unique_ptr<core::PartitionDetector> make_partition(
      std::size_t) const override {
    return nullptr;
  }
  [[nodiscard]] std::unique_ptr<core::OrderedDetector> make_ordered(
      const core::OrderedContext& context) const override {
    return std::make_unique<HealthGraph>(config_, context);
  }

 private:
  AgenticSpineConfig config_;
};

struct Bounds {
  std::string_view name;
  double value, min, max;
};

}  // namespace

core::Result<AgenticSpineConfig> validated(AgenticSpineConfig config) {
  const auto seconds = [](std::chrono::seconds span) { return static_cast<double>(span.count()); };
  constexpr double kDay = 86'400.0;
  const Bounds all[] = {
      {"health_bound", config.health_bound, 0.01, 0.99},
      {"recovery_margin", config.recovery_margin, 0.0, 1.0 - config.health_bound},
      {"recovery_time", seconds(config.recovery_time), 1, kDay},
      {"further_fall", config.further_fall, 0.01, 1},
      {"fall_min", config.fall_min, 0.01, 1},
      {"fall_deviation", config.fall_deviation, 1, 1000},
      {"error_share_half", config.error_share_half, 0.001, 1},
      {"deviation_min", config.deviation_min, 1, 100},
      {"deviation_half", config.deviation_half, 0.1, 1000},
      {"share_window", seconds(config.share_window), 1, 600},
      {"smoothing_fall", seconds(config.smoothing_fall), 1, 600},
      {"smoothing_rise", seconds(config.smoothing_rise), 1, 3600},
      {"signal_expiry", seconds(config.signal_expiry), 1, kDay},
      {"settle", seconds(config.settle), 0, 600},
      {"settle_max", seconds(config.settle_max), seconds(config.settle), 3600},
      {"incident_prior", config.incident_prior, 1e-12, 0.5},
      {"cascade_window", seconds(config.cascade_window), 1, kDay},
      {"cascade_settle", seconds(config.cascade_settle), 0, 600},
      {"services_max", static_cast<double>(config.services_max), 1, 1e6},
      {"signals_max", static_cast<double>(config.signals_max), 1, 1024},
  };
  for (const Bounds& field : all) {
    if (field.value >= field.min && field.value <= field.max) continue;
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "agentic_spine." + std::string(field.name) + " = " +
                                std::to_string(field.value) + " is not within " +
                                std::to_string(field.min) + " to " + std::to_string(field.max));
  }
  return config;
}

std::unique_ptr<core::Subsystem> make_agentic_spine(AgenticSpineConfig config) {
  return std::make_unique<AgenticSpine>(config);
}

}  // namespace grace::agentic_spine
