#include "risk.h"

#include <algorithm>
#include <cmath>

#include "numeric.h"
#include "text.h"

namespace grace::proactive {
namespace {

constexpr double kLearningRate = 0.05;
constexpr double kInterceptRange = 2.0;
constexpr float kSlowGain = 0.1F;
// A feature is 1 at six robust deviations, and only when the value itself is away by as much as
// matters for its role: a quiet series has many deviations for little harm.
constexpr double kDeviationUnit = 6.0;
constexpr double kErrorsUnit = 1.0;  // twice the usual
constexpr double kLatencyUnit = 0.25;
constexpr double kHealthUnit = 0.10;
// Saturation: 0 at 70%, 1 at 85%, 2 when full.
constexpr double kUtilisationFrom = 0.70;
constexpr double kUtilisationUnit = 0.15;

double both(double deviation, double departure, double unit) {
  return std::clamp(std::min(deviation / kDeviationUnit, departure / unit), 0.0, 2.0);
}

double feature_of(const core::Observation& o) {
  const double size = std::max(std::fabs(o.baseline), 1e-9);
  const double departure = (o.value - o.baseline) / size;
  switch (o.role) {
    case core::MetricRole::kErrors:
      return both(o.deviation, departure, kErrorsUnit);
    case core::MetricRole::kLatency:
      return both(o.deviation, departure, kLatencyUnit);
    case core::MetricRole::kHealth:
      return both(-o.deviation, -departure, kHealthUnit);
    case core::MetricRole::kSaturation: {
      if (!is_percent(o.name) && o.value > 1.0) return both(o.deviation, departure, kErrorsUnit);
      const double used = is_percent(o.name) ? o.value / 100.0 : o.value;
      return std::clamp((used - kUtilisationFrom) / kUtilisationUnit, 0.0, 2.0);
    }
    default:
      return 0.0;
  }
}

std::array<double RiskWeights::*, kRiskFactorCount> members() {
  return {&RiskWeights::errors, &RiskWeights::saturation, &RiskWeights::latency,
          &RiskWeights::trend,  &RiskWeights::deploy,     &RiskWeights::dependency};
}

}  // namespace

void SeriesRisk::take(const core::Observation& observation) noexcept {
  now = observation.warm ? static_cast<float>(feature_of(observation)) : 0.0F;
  slow += kSlowGain * (now - slow);
}

double RiskModel::contribution(const RiskFeatures& features, std::size_t factor) const noexcept {
  return weights_.*members()[factor] * features[factor];
}

double RiskModel::risk_of(const RiskWeights& weights, const RiskFeatures& features) noexcept {
  double log_odds = weights.intercept;
  for (std::size_t i = 0; i < kRiskFactorCount; ++i) {
    log_odds += weights.*members()[i] * features[i];
  }
  return logistic(log_odds);
}

void RiskModel::learn(const RiskFeatures& features, bool came_true) noexcept {
  const double error = (came_true ? 1.0 : 0.0) - risk(features);
  weights_.intercept =
      std::clamp(weights_.intercept + kLearningRate * error, initial_.intercept - kInterceptRange,
                 initial_.intercept + kInterceptRange);
  for (std::size_t i = 0; i < kRiskFactorCount; ++i) {
    const double start = initial_.*members()[i];
    double& weight = weights_.*members()[i];
    weight = std::clamp(weight + kLearningRate * error * features[i], 0.5 * start, 1.5 * start);
  }
}

}  // namespace grace::proactive
