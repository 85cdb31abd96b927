#include "grace/harness/arrivals.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <numeric>

namespace grace::harness {
namespace {

constexpr double kRateMax = 1e9;
// A recording of more gaps is cut by hand; this many take 128 MiB.
constexpr std::size_t kGapsMax = std::size_t{1} << 24;

tl::unexpected<core::Error> invalid(std::string message) {
  return core::make_error(core::ErrorCode::kInvalidArgument, std::move(message));
}

// An arrival later than this, 31 years, never comes; the number stays far from what 64 bits hold.
constexpr double kNeverNs = 1e18;
std::int64_t whole_ns(double at_ns) {
  return static_cast<std::int64_t>(std::min(at_ns, kNeverNs));
}

double sum_ns(const std::vector<std::int64_t>& gaps_ns) {
  return std::accumulate(gaps_ns.begin(), gaps_ns.end(), 0.0,
                         [](double sum, std::int64_t gap) { return sum + double(gap); });
}

}  // namespace

std::string_view to_string(ArrivalKind kind) noexcept {
  switch (kind) {
    case ArrivalKind::kConstant:
      return "constant";
    case ArrivalKind::kPoisson:
      return "poisson";
    case ArrivalKind::kBursty:
      return "bursty";
    case ArrivalKind::kRecorded:
      return "recorded";
  }
  return "";
}

core::Result<ArrivalConfig> validated(ArrivalConfig config) {
  const bool recorded = config.kind == ArrivalKind::kRecorded;
  if (!(config.rate > 0.0 || (recorded && config.rate == 0.0)) || config.rate > kRateMax) {
    return invalid("rate: " + std::to_string(config.rate) + " is not above 0 and at most 1e9");
  }
  if (config.kind == ArrivalKind::kBursty) {
    if (!(config.burst_on_share > 0.0) || config.burst_on_share > 1.0) {
      return invalid("burst_on_share: " + std::to_string(config.burst_on_share) +
                     " is not above 0 and at most 1");
    }
    if (config.burst_period.count() < 1000) return invalid("burst_period: must be 1 us or more");
  }
  if (recorded) {
    if (config.gaps_ns.empty()) return invalid("gaps_ns: a recording has none");
    for (const std::int64_t gap : config.gaps_ns) {
      if (gap < 0) return invalid("gaps_ns: " + std::to_string(gap) + " is negative");
    }
    if (!(sum_ns(config.gaps_ns) > 0.0)) return invalid("gaps_ns: all are 0");
  }
  return config;
}

core::Result<std::vector<std::int64_t>> read_gaps(const std::string& path) {
  std::ifstream in(path);
  if (!in) return core::make_error(core::ErrorCode::kIo, path + ": cannot be read", errno);
  std::vector<std::int64_t> gaps_ns;
  std::string line;
  while (std::getline(in, line)) {
    std::int64_t gap = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), gap);
    if (error != std::errc() || end != line.data() + line.size() || gap < 0) {
      return invalid(path + ":" + std::to_string(gaps_ns.size() + 1) + ": '" + line +
                     "' is not a number of nanoseconds");
    }
    if (gaps_ns.size() == kGapsMax) {
      return invalid(path + ": more than " + std::to_string(kGapsMax) + " gaps");
    }
    gaps_ns.push_back(gap);
  }
  return gaps_ns;
}

ArrivalSchedule::ArrivalSchedule(const ArrivalConfig& config)
    : config_(config), random_(config.seed) {
  const double on_share = config.kind == ArrivalKind::kBursty ? config.burst_on_share : 1.0;
  const double gap_ns = config.rate > 0.0 ? std::min(1e9 / config.rate, kNeverNs) : 0.0;
  mean_gap_ns_ = gap_ns * on_share;
  if (config.kind == ArrivalKind::kRecorded && config.rate > 0.0) {
    gap_factor_ = gap_ns * double(config.gaps_ns.size()) / sum_ns(config.gaps_ns);
  }
}

// By inversion; 53 bits of the engine, which the standard defines to the bit.
double ArrivalSchedule::exponential_ns() {
  const double uniform = double(random_() >> 11) * 0x1.0p-53;
  return -std::log(1.0 - uniform) * mean_gap_ns_;
}

std::int64_t ArrivalSchedule::next_ns() {
  switch (config_.kind) {
    case ArrivalKind::kConstant:
      // From the count, not summed: no error adds up.
      return whole_ns(double(count_++) * mean_gap_ns_);
    case ArrivalKind::kPoisson:
      at_ns_ += exponential_ns();
      return whole_ns(at_ns_);
    case ArrivalKind::kBursty: {
      at_ns_ += exponential_ns();
      const double period_ns = double(config_.burst_period.count());
      const double on_ns = period_ns * config_.burst_on_share;
      const double periods = std::floor(at_ns_ / on_ns);
      return whole_ns(periods * period_ns + (at_ns_ - periods * on_ns));
    }
    case ArrivalKind::kRecorded:
      at_ns_ += double(config_.gaps_ns[count_++ % config_.gaps_ns.size()]) * gap_factor_;
      return whole_ns(at_ns_);
  }
  return 0;
}

}  // namespace grace::harness
