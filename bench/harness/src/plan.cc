#include "grace/harness/plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <set>
#include <string>

#include "grace/harness/search.h"

namespace grace::harness {
namespace {

constexpr std::size_t kResamples = 1000;
constexpr double kBandShare = 0.90;

struct Sample {
  double workers;
  double rate;
};

// n / X = a + b (n - 1) + c n (n - 1) is linear in a = 1/lambda, b = sigma/lambda, c =
// kappa/lambda. Each row is multiplied by X / n, so that a residual is a relative error. Columns
// that `use` leaves out are 0. Empty: they do not determine the rest.
struct Linear {
  std::array<double, 3> coefficient{};
  double error = 0.0;  // sum of squares
};
std::optional<Linear> solve(const std::vector<Sample>& samples, const std::array<bool, 3>& use) {
  double normal[3][4] = {};
  const auto row_of = [&](const Sample& sample) {
    const double n = sample.workers;
    const double weight = sample.rate / n;
    std::array<double, 3> row{weight, (n - 1.0) * weight, n * (n - 1.0) * weight};
    for (std::size_t i = 0; i < 3; ++i) row[i] = use[i] ? row[i] : 0.0;
    return row;
  };
  for (const Sample& sample : samples) {
    const std::array<double, 3> row = row_of(sample);
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t k = 0; k < 3; ++k) normal[i][k] += row[i] * row[k];
      normal[i][3] += row[i];
    }
  }
  for (std::size_t i = 0; i < 3; ++i) {
    if (!use[i]) normal[i][i] = 1.0;
  }
  // Gauss and Jordan; the matrix is symmetric and not negative, so the diagonal serves as pivots.
  for (std::size_t i = 0; i < 3; ++i) {
    if (!(normal[i][i] > 1e-12)) return std::nullopt;
    for (std::size_t k = 0; k < 3; ++k) {
      if (k == i) continue;
      const double factor = normal[k][i] / normal[i][i];
      for (std::size_t column = i; column < 4; ++column) {
        normal[k][column] -= factor * normal[i][column];
      }
    }
  }
  Linear found;
  for (std::size_t i = 0; i < 3; ++i) found.coefficient[i] = normal[i][3] / normal[i][i];
  for (const Sample& sample : samples) {
    const std::array<double, 3> row = row_of(sample);
    double residual = -1.0;
    for (std::size_t i = 0; i < 3; ++i) residual += row[i] * found.coefficient[i];
    found.error += residual * residual;
  }
  return found;
}

// The best fit without negative coefficients: with two of them that may be 0, all four cases.
std::optional<Scalability> fit(const std::vector<Sample>& samples, int identified) {
  std::optional<Linear> best;
  for (const bool sigma : {true, false}) {
    for (const bool kappa : {true, false}) {
      if ((sigma && identified < 2) || (kappa && identified < 3)) continue;
      const auto found = solve(samples, {true, sigma, kappa});
      if (!found) continue;
      const auto& c = found->coefficient;
      if (!(c[0] > 0.0) || c[1] < 0.0 || c[2] < 0.0) continue;
      if (!best || found->error < best->error) best = found;
    }
  }
  if (!best) return std::nullopt;
  const auto& c = best->coefficient;
  return Scalability{1.0 / c[0], c[1] / c[0], c[2] / c[0]};
}

// Repetitions are drawn again within their number of workers where there are two or more of each;
// else the relative errors of the fit are drawn, where there are more points than coefficients.
class Resampler {
 public:
  Resampler(const std::vector<CapacityPoint>& points, const std::vector<Sample>& samples,
            const Scalability& best, int identified)
      : points_(points), samples_(samples), best_(best) {
    repeated_ = std::all_of(points.begin(), points.end(),
                            [](const CapacityPoint& point) { return point.rates.size() >= 2; });
    possible_ = repeated_ || samples.size() > std::size_t(identified);
    // What the fitted coefficients have taken out of the errors.
    inflation_ = repeated_ ? 1.0
                           : std::sqrt(double(samples.size()) /
                                       std::max(1.0, double(samples.size()) - identified));
  }
  [[nodiscard]] bool possible() const noexcept { return possible_; }

  [[nodiscard]] std::vector<Sample> draw() {
    std::vector<Sample> drawn;
    if (repeated_) {
      for (const CapacityPoint& point : points_) {
        for (std::size_t i = 0; i < point.rates.size(); ++i) {
          drawn.push_back({double(point.workers), point.rates[below(point.rates.size())]});
        }
      }
      return drawn;
    }
    for (const Sample& sample : samples_) {
      const Sample& other = samples_[below(samples_.size())];
      const double error = (other.rate / best_.rate(other.workers) - 1.0) * inflation_;
      const double rate = best_.rate(sample.workers) * (1.0 + error);
      drawn.push_back({sample.workers, std::max(rate, 1e-9)});
    }
    return drawn;
  }

 private:
  std::size_t below(std::size_t bound) { return std::size_t(random_() % bound); }

  const std::vector<CapacityPoint>& points_;
  const std::vector<Sample>& samples_;
  const Scalability& best_;
  bool repeated_ = false;
  bool possible_ = false;
  double inflation_ = 1.0;
  std::mt19937_64 random_{1979};
};

std::uint64_t machines_for(double needed, double rate) {
  constexpr double kMachinesMax = 1e18;  // what 64 bits hold, and then some sense
  return rate > 0.0 ? std::uint64_t(std::min(std::ceil(needed / rate), kMachinesMax)) : 0;
}

}  // namespace

double Scalability::rate(double workers) const noexcept {
  return lambda * workers / (1.0 + sigma * (workers - 1.0) + kappa * workers * (workers - 1.0));
}

core::Result<ScalabilityFit> ScalabilityFit::of(const std::vector<CapacityPoint>& points) {
  const auto invalid = [](const std::string& message) {
    return core::make_error(core::ErrorCode::kInvalidArgument, message);
  };
  std::vector<Sample> samples;
  std::set<unsigned> counts;
  for (const CapacityPoint& point : points) {
    if (point.workers == 0 || point.rates.empty())
      return invalid("a point without workers or rate");
    counts.insert(point.workers);
    for (const double rate : point.rates) {
      if (!(rate > 0.0) || !std::isfinite(rate)) {
        return invalid(std::to_string(point.workers) + " workers sustained nothing: no fit");
      }
      samples.push_back({double(point.workers), rate});
    }
  }
  if (samples.empty()) return invalid("no measurement to fit");
  ScalabilityFit result;
  result.identified_ = int(std::min<std::size_t>(counts.size(), 3));
  const auto best = fit(samples, result.identified_);
  if (!best) return invalid("no fit");
  result.best_ = *best;
  for (const CapacityPoint& point : points) {
    const double fitted = best->rate(double(point.workers));
    result.error_max_ =
        std::max(result.error_max_, std::abs(fitted / median_of(point.rates) - 1.0));
  }
  Resampler resampler(points, samples, result.best_, result.identified_);
  for (std::size_t i = 0; resampler.possible() && i < kResamples; ++i) {
    if (const auto again = fit(resampler.draw(), result.identified_)) {
      result.resampled_.push_back(*again);
    }
  }
  return result;
}

std::optional<Band> ScalabilityFit::band(double workers) const {
  if (resampled_.empty()) return std::nullopt;
  std::vector<double> rates;
  for (const Scalability& law : resampled_) rates.push_back(law.rate(workers));
  std::sort(rates.begin(), rates.end());
  const double tail = (1.0 - kBandShare) / 2.0;
  const double last = double(rates.size() - 1);
  return Band{rates[std::size_t(std::floor(tail * last))],
              rates[std::size_t(std::ceil((1.0 - tail) * last))]};
}

core::Result<Plan> make_plan(const std::vector<CapacityPoint>& points, const ScalabilityFit& fit,
                             const PlanRequest& request) {
  if (!(request.rate > 0.0) || request.headroom < 0.0 || request.headroom >= 1.0 ||
      request.workers_max == 0) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "a plan needs a rate above 0, headroom of 0% to below 100%, workers");
  }
  Plan plan;
  plan.rate_needed = request.rate / (1.0 - request.headroom);
  for (unsigned workers = 1; workers <= request.workers_max; ++workers) {
    const double rate = fit.best().rate(double(workers));
    if (rate <= plan.machine_rate) continue;
    plan.machine_rate = rate;
    plan.workers = workers;
    if (rate >= plan.rate_needed) break;
  }
  plan.machines = machines_for(plan.rate_needed, plan.machine_rate);
  plan.machine_rate_band = fit.band(double(plan.workers));
  if (plan.machine_rate_band) {
    plan.machines_if_low = machines_for(plan.rate_needed, plan.machine_rate_band->low);
    plan.machines_if_high = machines_for(plan.rate_needed, plan.machine_rate_band->high);
  }
  plan.extrapolated = std::all_of(points.begin(), points.end(), [&](const CapacityPoint& point) {
    return point.workers < plan.workers;
  });
  return plan;
}

}  // namespace grace::harness
