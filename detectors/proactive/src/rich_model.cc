#include "rich_model.h"

#include <algorithm>
#include <cmath>

#include "grace/core/hash.h"
#include "numeric.h"

namespace grace::proactive {
namespace {

// Network.
constexpr float kLearningRate = 0.003F;
constexpr float kBeta1 = 0.9F;  // Kingma and Ba's constants
constexpr float kBeta2 = 0.999F;
constexpr float kEpsilon = 1e-8F;
constexpr float kGradientNormMax = 1.0F;
constexpr float kHuber = 1.0F;
// Inputs look back over an hour, finely near the end, coarsely further off.
constexpr std::array<std::uint32_t, 12> kLags{0, 1, 2, 3, 5, 8, 12, 17, 23, 30, 40, 52};
constexpr std::uint32_t kLagMax = kLags.back();
constexpr double kInputMax = 6.0;  // deviations
constexpr double kTargetMax = 8.0;
constexpr std::uint64_t kTrainedMin = 120;  // steps before the neural member is heard

// Weights.
constexpr double kLossDecay = 0.97;  // memory about 33 bins
constexpr double kLossMax = 8.0;     // in error scales: one outlier must not decide
constexpr double kLossRate = 0.5;
constexpr double kWeightMax = 0.98;  // neither member is ever shut out (Herbster, Warmuth 1998)

// Intervals.
constexpr double kMiss = 0.1;        // what may fall outside
constexpr double kWidthGain = 0.05;  // of the present width
constexpr double kWidthMin = 0.05;   // sigmas
constexpr double kWidthMax = 1e4;

constexpr std::int64_t kBridgeMax = 3;  // bins

float softsign(float x) {
  return x / (1.0F + std::fabs(x));
}

// Periodic in [0, 1), within [-1, 1]: a sine made of lines, exact on every machine.
double triangle(double phase) {
  const double p = phase - std::floor(phase);
  return 4.0 * std::fabs(p - 0.5) - 1.0;
}

}  // namespace

std::array<std::uint32_t, kHorizonCount> horizons_of(std::uint32_t horizon_bins) {
  return {1U, std::max(1U, (horizon_bins + 2) / 3), horizon_bins};
}

NeuralForecaster::NeuralForecaster(std::uint64_t seed) noexcept {
  hidden_.setZero();
  const float limit = std::sqrt(6.0F / static_cast<float>(kInputs + kHidden));
  std::uint64_t state = seed;
  for (int row = 0; row < kHidden; ++row) {
    for (int column = 0; column < kInputs; ++column) {
      state = core::combine(state, static_cast<std::uint64_t>(row * kInputs + column));
      const auto unit = static_cast<float>(state >> 40) * (1.0F / 16777216.0F);
      hidden_(row, column) = limit * (2.0F * unit - 1.0F);
    }
  }
  output_.setZero();
  hidden_mean_.setZero();
  hidden_square_.setZero();
  output_mean_.setZero();
  output_square_.setZero();
}

NeuralForecaster::Outputs NeuralForecaster::predict(const Inputs& inputs) const noexcept {
  Eigen::Matrix<float, kHidden, 1> hidden =
      hidden_.leftCols<kInputs>().lazyProduct(inputs) + hidden_.col(kInputs);
  hidden = hidden.unaryExpr([](float x) { return softsign(x); });
  return output_.leftCols<kHidden>().lazyProduct(hidden) + output_.col(kHidden);
}

void NeuralForecaster::train(const Inputs& inputs, const Outputs& targets) noexcept {
  const Eigen::Matrix<float, kHidden, 1> before =
      hidden_.leftCols<kInputs>().lazyProduct(inputs) + hidden_.col(kInputs);
  const Eigen::Matrix<float, kHidden, 1> active =
      before.unaryExpr([](float x) { return softsign(x); });
  const Outputs out = output_.leftCols<kHidden>().lazyProduct(active) + output_.col(kHidden);
  // Huber loss: its gradient is the error, clipped.
  const Outputs slope =
      (out - targets).unaryExpr([](float e) { return std::clamp(e, -kHuber, kHuber); });

  Output output_gradient;
  output_gradient.leftCols<kHidden>() = slope.lazyProduct(active.transpose());
  output_gradient.col(kHidden) = slope;
  Eigen::Matrix<float, kHidden, 1> back =
      output_.leftCols<kHidden>().transpose().lazyProduct(slope);
  for (int i = 0; i < kHidden; ++i) {
    const float wide = 1.0F + std::fabs(before[i]);
    back[i] /= wide * wide;
  }
  Hidden hidden_gradient;
  hidden_gradient.leftCols<kInputs>() = back.lazyProduct(inputs.transpose());
  hidden_gradient.col(kInputs) = back;

  const float norm = std::sqrt(output_gradient.squaredNorm() + hidden_gradient.squaredNorm());
  if (norm > kGradientNormMax) {
    output_gradient *= kGradientNormMax / norm;
    hidden_gradient *= kGradientNormMax / norm;
  }
  mean_decay_ *= kBeta1;
  square_decay_ *= kBeta2;
  const float mean_scale = kLearningRate / (1.0F - mean_decay_);
  const float square_scale = 1.0F / (1.0F - square_decay_);
  const auto adam = [&](auto& weights, auto& mean, auto& square, const auto& gradient) {
    mean = kBeta1 * mean + (1.0F - kBeta1) * gradient;
    square = kBeta2 * square + (1.0F - kBeta2) * gradient.cwiseProduct(gradient);
    weights.array() -=
        mean_scale * mean.array() / ((square_scale * square.array()).sqrt() + kEpsilon);
  };
  adam(hidden_, hidden_mean_, hidden_square_, hidden_gradient);
  adam(output_, output_mean_, output_square_, output_gradient);
}

RichModel::RichModel(std::uint64_t key, std::uint32_t horizon_bins) noexcept
    : network_(core::mix(key)), horizons_(horizons_of(horizon_bins)) {}

void RichModel::step(double value, std::int64_t gap, double day_fraction, const TrendModel& trend,
                     const Baseline& baseline) noexcept {
  if (gap > kBridgeMax) {
    count_ = 0;
    ready_ = false;
  } else if (gap > 0 && count_ > 0) {
    const double from = value_at(count_ - 1);
    for (std::int64_t i = 1; i <= gap; ++i) {
      const double part = static_cast<double>(i) / static_cast<double>(gap + 1);
      append(from + part * (value - from), day_fraction, trend, baseline);
    }
  }
  judge(value);
  append(value, day_fraction, trend, baseline);
  learn();
  predict(trend, baseline);
}

void RichModel::append(double value, double day_fraction, const TrendModel& trend,
                       const Baseline& baseline) noexcept {
  history_[count_ % kHistory] = value;
  Pending& now = pending_[count_ % kPending];
  now.level = trend.level;
  now.scale = std::max(baseline.scale(), trend.scale());
  now.sigma = trend.scale();
  now.slope = std::clamp(trend.trend * static_cast<double>(horizons_.back()) / now.scale,
                         -kInputMax, kInputMax);
  now.center = std::clamp((baseline.center - trend.level) / now.scale, -kInputMax, kInputMax);
  now.day_fraction = day_fraction;
  // A bridged bin is judged as if it had been forecast by its own level.
  now.trend.fill(trend.level);
  now.neural.fill(trend.level);
  now.combined.fill(trend.level);
  ++count_;
}

// `value` is the bin that forecasts made h bins ago were about.
void RichModel::judge(double value) noexcept {
  for (std::size_t i = 0; i < kHorizonCount; ++i) {
    const std::uint32_t h = horizons_[i];
    if (count_ < h + 1U) continue;
    const Pending& then = pending_[(count_ - h) % kPending];
    const double unit = 1.0 / then.sigma;
    const auto loss = [&](double forecast) {
      return std::min(std::fabs(value - forecast) * unit, kLossMax);
    };
    trend_loss_[i] = kLossDecay * trend_loss_[i] + loss(then.trend[i]);
    neural_loss_[i] = kLossDecay * neural_loss_[i] + loss(then.neural[i]);
    double& width = width_[i];
    if (width == 0.0) width = kNormal90 * trend_width(i);
    const bool missed = std::fabs(value - then.combined[i]) * unit > width;
    width = std::clamp(width * (1.0 + kWidthGain * ((missed ? 1.0 : 0.0) - kMiss)), kWidthMin,
                       kWidthMax);
  }
}

NeuralForecaster::Inputs RichModel::inputs_at(std::uint64_t step) const noexcept {
  NeuralForecaster::Inputs inputs;
  const Pending& then = pending_[step % kPending];
  Eigen::Index at = 0;
  for (const std::uint32_t lag : kLags) {
    const double z = (value_at(step - lag) - then.level) / then.scale;
    inputs[at++] = static_cast<float>(std::clamp(z, -kInputMax, kInputMax));
  }
  inputs[at++] = static_cast<float>(then.slope);
  inputs[at++] = static_cast<float>(then.center);
  inputs[at++] = static_cast<float>(triangle(then.day_fraction));
  inputs[at++] = static_cast<float>(triangle(then.day_fraction + 0.25));
  return inputs;
}

// Trains on the newest step of which every horizon is known by now.
void RichModel::learn() noexcept {
  const std::uint32_t farthest = horizons_.back();
  if (count_ < kLagMax + farthest + 1) return;
  const std::uint64_t anchor = count_ - 1 - farthest;
  const Pending& then = pending_[anchor % kPending];
  NeuralForecaster::Outputs targets;
  for (std::size_t i = 0; i < kHorizonCount; ++i) {
    const double z = (value_at(anchor + horizons_[i]) - then.level) / then.scale;
    targets[static_cast<Eigen::Index>(i)] =
        static_cast<float>(std::clamp(z, -kTargetMax, kTargetMax));
  }
  network_.train(inputs_at(anchor), targets);
  ++trained_;
}

void RichModel::predict(const TrendModel& trend, const Baseline& baseline) noexcept {
  const bool whole = count_ > kLagMax;
  Pending& now = pending_[(count_ - 1) % kPending];
  NeuralForecaster::Outputs out = NeuralForecaster::Outputs::Zero();
  if (whole) out = network_.predict(inputs_at(count_ - 1));
  // Outside what it was trained on the network is not believed: its say ends two deviations beyond.
  const double beyond =
      std::max({0.0, trend.level - baseline.high, baseline.low - trend.level}) / baseline.scale();
  const double inside = std::clamp(1.0 - 0.5 * beyond, 0.0, 1.0);
  for (std::size_t i = 0; i < kHorizonCount; ++i) {
    now.trend[i] = trend.forecast(horizons_[i]).mean;
    now.neural[i] = trend.level + now.scale * static_cast<double>(out[static_cast<int>(i)]);
    double weight = 0.0;
    if (whole && trained_ >= kTrainedMin) {
      const double advantage =
          (trend_loss_[i] - neural_loss_[i]) + (trend_loss_[0] - neural_loss_[0]);
      weight = std::clamp(logistic(kLossRate * advantage), 1.0 - kWeightMax, kWeightMax) * inside;
    }
    weight_[i] = weight;
    now.combined[i] = weight * now.neural[i] + (1.0 - weight) * now.trend[i];
    if (width_[i] == 0.0) width_[i] = kNormal90 * trend_width(i);
    current_[i] = {now.combined[i], width_[i] * now.sigma / kNormal90};
  }
  ready_ = count_ > horizons_.back();
}

double RichModel::trend_width(std::size_t index) const noexcept {
  TrendModel unit;
  unit.sigma = 1.0;
  return unit.forecast(horizons_[index]).sd;
}

}  // namespace grace::proactive
