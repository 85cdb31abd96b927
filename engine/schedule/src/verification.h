#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "grace/core/finding.h"
#include "grace/schedule/playbook.h"

namespace grace::schedule {

// Watches the stream for what VerificationSpec asks, from the end of a run's last step.
// Thread: the ordered stage's. Bounds: kNamesMax (check, metric) pairs; observations of further
// ones are not judged and are counted.
// Lifetime: the spec outlives it.
class Verification {
 public:
  static constexpr std::size_t kNamesMax = 256;
  enum class State : std::uint8_t { kPending, kPassed, kFailed };

  Verification(const VerificationSpec& spec, std::string_view service, std::int64_t started_ns);
  void on_observation(const core::Observation& observation);
  // A probe has ended.
  void on_probe(bool ok, std::int64_t now_ns);
  [[nodiscard]] State state(std::int64_t now_ns);
  // What was seen last and why it is so, for the run's reason.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  [[nodiscard]] std::uint64_t refused_count() const noexcept { return refused_count_; }

 private:
  void judge(std::size_t check_index, std::string_view name, bool good, double value,
             std::int64_t ts_ns);
  void judge_headroom(std::size_t check_index, const core::Observation& observation);
  void hold_or_reset(std::int64_t ts_ns);
  void forget_silent_errors(std::int64_t now_ns);

  const VerificationSpec& spec_;
  const std::string service_;
  const std::int64_t started_ns_;
  // Latest judgement of each (check, metric or actor): time of the violation, or 0 when good.
  std::map<std::pair<std::size_t, std::string>, std::int64_t> violated_ns_;
  // Latest value of each capacity and demand series, by check and name.
  std::map<std::pair<std::size_t, std::string>, double> capacities_;
  std::map<std::pair<std::size_t, std::string>, double> demands_;
  bool holding_ = false;
  std::int64_t held_since_ns_ = 0;
  std::int64_t good_ns_ = 0;  // latest good observation while holding
  bool seen_ = false;
  std::string reason_;
  std::uint64_t refused_count_ = 0;
};

}  // namespace grace::schedule
