#pragma once
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"

namespace grace::harness {

enum class ArrivalKind : std::uint8_t {
  kConstant,  // one each 1/rate
  kPoisson,   // independent, exponential gaps
  kBursty,    // Poisson, but only in the first part of each period: on and off
  kRecorded,  // given gaps, over and over, stretched to the rate
};
[[nodiscard]] std::string_view to_string(ArrivalKind kind) noexcept;

struct ArrivalConfig {
  ArrivalKind kind = ArrivalKind::kPoisson;
  // Arrivals a second over the long run, above 0 and at most 1e9. kRecorded: 0 leaves the gaps as
  // they were recorded.
  double rate = 1000.0;
  std::uint64_t seed = 1;
  // kBursty: everything comes in the first on_share of each period, (0, 1]; at rate / on_share.
  std::chrono::nanoseconds burst_period{100'000'000};
  double burst_on_share = 0.2;
  // kRecorded: times between arrivals, none negative, their sum above 0.
  std::vector<std::int64_t> gaps_ns = {};
};
[[nodiscard]] core::Result<ArrivalConfig> validated(ArrivalConfig config);

// Reads gaps: one number of nanoseconds a line. kIo, kInvalidArgument (names the line).
[[nodiscard]] core::Result<std::vector<std::int64_t>> read_gaps(const std::string& path);

// When the arrivals are intended, in nanoseconds since the start. Nothing that happens to the
// service changes it: that is what makes the loop open. The same configuration gives the same
// times, so that sender and observer each hold a schedule of their own and exchange only counts.
// Thread: one.
class ArrivalSchedule {
 public:
  // `config` is valid and outlives the schedule.
  explicit ArrivalSchedule(const ArrivalConfig& config);
  // The next arrival; never before the last one, at most 1e18.
  [[nodiscard]] std::int64_t next_ns();

 private:
  [[nodiscard]] double exponential_ns();

  const ArrivalConfig& config_;
  std::mt19937_64 random_;
  double mean_gap_ns_;       // while arrivals come
  double gap_factor_ = 1.0;  // kRecorded
  std::uint64_t count_ = 0;
  double at_ns_ = 0.0;  // kBursty: of the time in which arrivals come
};

}  // namespace grace::harness
