#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "grace/core/finding.h"
#include "grace/proactive/proactive.h"
#include "series_table.h"

namespace grace::proactive {

enum class RiskFactor : std::uint8_t {
  kErrors = 0,
  kSaturation,
  kLatency,
  kTrend,
  kDeploy,
  kDependency,
};
inline constexpr std::size_t kRiskFactorCount = 6;
inline constexpr std::array<std::string_view, kRiskFactorCount> kRiskFactorNames{
    "errors", "saturation", "latency", "trend", "recent deploy", "dependency"};

// Each in [0, 2] (trend and deploy in [0, 1]); 0: nothing unusual, 1: clearly unusual.
using RiskFeatures = std::array<double, kRiskFactorCount>;

// What one series adds to its service's risk.
struct SeriesRisk {
  float now = 0.0F;   // feature of the last bin
  float slow = 0.0F;  // its mean over about ten bins: now - slow is its growth
  void take(const core::Observation& observation) noexcept;
};

struct ServiceRisk {
  FireState fire;
  std::int64_t deploy_ts_ns = 0;  // 0: none seen
  std::int64_t actions_ts_ns = 0;
  double actions = 0.0;         // feature of failed actions, fades by half in two minutes
  std::string_view dependency;  // the worst one when last judged
  // A judgement that waits for its outcome. sample_ts_ns 0: none.
  std::int64_t sample_ts_ns = 0;
  RiskFeatures sample{};
  double sample_risk = 0.0;
  bool came_true = false;
  bool witnessed = false;  // it acts, so that others too could see trouble, or see that none came
};

// Logistic regression on RiskFeatures, updated online by stochastic gradient on outcomes (Bottou
// 1998, "Online learning and stochastic approximations"). Weights stay within half to one and a
// half times their configured start, the intercept within 2 of it: outcomes tune it, they cannot
// turn it around. Sufficient state: seven doubles.
class RiskModel {
 public:
  explicit RiskModel(const RiskWeights& weights) : weights_(weights), initial_(weights) {}
  [[nodiscard]] double risk(const RiskFeatures& features) const noexcept {
    return risk_of(weights_, features);
  }
  [[nodiscard]] double risk_at_start(const RiskFeatures& features) const noexcept {
    return risk_of(initial_, features);
  }
  // What a factor adds to the log-odds.
  [[nodiscard]] double contribution(const RiskFeatures& features,
                                    std::size_t factor) const noexcept;
  void learn(const RiskFeatures& features, bool came_true) noexcept;
  [[nodiscard]] const RiskWeights& weights() const noexcept { return weights_; }

 private:
  static double risk_of(const RiskWeights& weights, const RiskFeatures& features) noexcept;

  RiskWeights weights_;
  RiskWeights initial_;
};

}  // namespace grace::proactive
