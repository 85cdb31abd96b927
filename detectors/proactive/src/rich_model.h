#pragma once
#include <Eigen/Core>
#include <array>
#include <cstdint>

#include "trend_model.h"

namespace grace::proactive {

inline constexpr std::size_t kHorizonCount = 3;  // one bin, a third of the horizon, the horizon

// Horizons in bins, ascending (equal ones for very short horizons).
[[nodiscard]] std::array<std::uint32_t, kHorizonCount> horizons_of(std::uint32_t horizon_bins);

// A small perceptron with one hidden layer that forecasts all horizons at once, trained online: one
// Adam step (Kingma and Ba 2015) a bin on a Huber loss, gradient norm clipped (Pascanu, Mikolov and
// Bengio 2013). Fixed sizes: no allocation, one thread, and the same result everywhere (softsign
// instead of tanh, see numeric.h). Weights start from the series' key by hashing (Glorot uniform
// for the hidden layer, 0 for the output: it begins by saying "stays at the level").
class NeuralForecaster {
 public:
  static constexpr int kInputs = 16;
  static constexpr int kHidden = 12;
  static constexpr int kOutputs = static_cast<int>(kHorizonCount);
  using Inputs = Eigen::Matrix<float, kInputs, 1>;
  using Outputs = Eigen::Matrix<float, kOutputs, 1>;

  explicit NeuralForecaster(std::uint64_t seed) noexcept;
  [[nodiscard]] Outputs predict(const Inputs& inputs) const noexcept;
  void train(const Inputs& inputs, const Outputs& targets) noexcept;

 private:
  // Last column: bias.
  using Hidden = Eigen::Matrix<float, kHidden, kInputs + 1>;
  using Output = Eigen::Matrix<float, kOutputs, kHidden + 1>;
  Hidden hidden_, hidden_mean_, hidden_square_;
  Output output_, output_mean_, output_square_;
  float mean_decay_ = 1.0F;    // beta1^t
  float square_decay_ = 1.0F;  // beta2^t
};

// Forecasts of one series by two members, the trend model and the neural forecaster, with intervals
// that are calibrated on what came true.
//
// Weights: exponentially weighted average forecaster on discounted absolute errors (Vovk 1990;
// Cesa-Bianchi and Lugosi 2006, "Prediction, Learning, and Games", chapter 2), for each horizon by
// its own errors and by those of the next bin, so that a new regime shows at once. The neural
// member is heard only inside the range that it was trained on.
// Intervals: the 90% half width of each horizon, in units of the trend model's error scale, is
// moved by online quantile tracking on the errors h bins ahead (Gibbs and Candes 2021, "Adaptive
// conformal inference under distribution shift"; Angelopoulos, Candes and Tibshirani 2023,
// "Conformal PID control", the P part): coverage tends to 90% whatever the distribution.
//
// Bounds: fixed size, no allocation after construction. Thread: its partition's worker.
class RichModel {
 public:
  RichModel(std::uint64_t key, std::uint32_t horizon_bins) noexcept;

  // One closed bin, after `trend` and `baseline` took it. `day_fraction` is the place in the day,
  // [0, 1). Gaps up to three bins are bridged by a line, longer ones restart the history.
  void step(double value, std::int64_t gap, double day_fraction, const TrendModel& trend,
            const Baseline& baseline) noexcept;
  // Forecast for horizon `index` as of the last step.
  [[nodiscard]] Prediction forecast(std::size_t index) const noexcept { return current_[index]; }
  [[nodiscard]] double trend_mean(std::size_t index) const noexcept { return last().trend[index]; }
  [[nodiscard]] double neural_mean(std::size_t index) const noexcept {
    return last().neural[index];
  }
  [[nodiscard]] double neural_weight(std::size_t index) const noexcept { return weight_[index]; }
  [[nodiscard]] double half_width90(std::size_t index) const noexcept {
    return current_[index].sd * kHalfWidth;
  }
  [[nodiscard]] bool ready() const noexcept { return ready_; }

 private:
  static constexpr double kHalfWidth = 1.6448536269514722;
  static constexpr std::size_t kHistory = 128;
  static constexpr std::size_t kPending = 64;
  static_assert(kPending > kHorizonBinsMax, "a forecast must be kept until it can be judged");
  struct Pending {
    double level = 0.0;
    double scale = 1.0;  // what inputs and targets are divided by
    double sigma = 1.0;  // the trend model's error scale
    double slope = 0.0;  // normalised
    double center = 0.0;
    double day_fraction = 0.0;
    std::array<double, kHorizonCount> trend{}, neural{}, combined{};
  };

  void append(double value, double day_fraction, const TrendModel& trend,
              const Baseline& baseline) noexcept;
  void judge(double value) noexcept;
  void learn() noexcept;
  [[nodiscard]] double trend_width(std::size_t index) const noexcept;
  void predict(const TrendModel& trend, const Baseline& baseline) noexcept;
  [[nodiscard]] NeuralForecaster::Inputs inputs_at(std::uint64_t step) const noexcept;
  [[nodiscard]] const Pending& last() const noexcept {
    return pending_[(count_ == 0 ? 0 : count_ - 1) % kPending];
  }
  [[nodiscard]] double value_at(std::uint64_t step) const noexcept {
    return history_[step % kHistory];
  }

  NeuralForecaster network_;
  std::array<std::uint32_t, kHorizonCount> horizons_;
  std::uint64_t count_ = 0;    // steps since the history began
  std::uint64_t trained_ = 0;  // steps of the network, over all histories
  bool ready_ = false;
  std::array<double, kHistory> history_{};
  std::array<Pending, kPending> pending_{};
  std::array<Prediction, kHorizonCount> current_{};
  std::array<double, kHorizonCount> weight_{};      // of the neural member
  std::array<double, kHorizonCount> trend_loss_{};  // discounted
  std::array<double, kHorizonCount> neural_loss_{};
  std::array<double, kHorizonCount> width_{};  // 90% half width in sigmas
};

static_assert(sizeof(RichModel) <= 13 * 1024, "what the configuration promises: about 12 KiB");

}  // namespace grace::proactive
