#include "verification.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "grace/core/time.h"

namespace grace::schedule {
namespace {

using core::MetricRole;
using core::Observation;
using core::ObservationKind;

// An actor that erred and then does nothing at all has stopped erring: after this long (or the
// hold, when that is longer) its last violation is forgotten.
constexpr std::int64_t kErrorSilenceNs = core::kNsPerMinute;

std::string number(double value) {
  char digits[64];
  const auto [end, error] =
      std::to_chars(digits, digits + sizeof digits, value, std::chars_format::general, 6);
  static_cast<void>(error);  // six significant digits always fit
  return std::string(digits, end);
}

// Worse has a direction for these, so "back inside the learned range" means healed.
bool has_direction(MetricRole role) {
  return role == MetricRole::kLatency || role == MetricRole::kErrors ||
         role == MetricRole::kSaturation || role == MetricRole::kHealth;
}

bool applies(const CheckSpec& check, const Observation& observation) {
  if (!glob_matches(check.metric, observation.name)) return false;
  if (check.kind == CheckKind::kErrors) return observation.kind == ObservationKind::kActions;
  if (observation.kind != ObservationKind::kSeriesBin) return false;
  if (check.kind == CheckKind::kInRange) {
    return observation.warm && (check.metric != "*" || has_direction(observation.role));
  }
  return true;
}

bool holds(const CheckSpec& check, const Observation& observation) {
  switch (check.kind) {
    case CheckKind::kInRange:
      return std::abs(observation.deviation) < check.value;
    case CheckKind::kBelow:
      return observation.value < check.value;
    case CheckKind::kAbove:
      return observation.value > check.value;
    case CheckKind::kErrors:
      return observation.value <= check.value;
    case CheckKind::kHeadroom:
      break;  // needs two series: judge_headroom
  }
  return false;
}

struct Load {
  double capacity = 0.0;
  double demand = 0.0;
  bool has_capacity = false;
  bool has_demand = false;
};

}  // namespace

Verification::Verification(const VerificationSpec& spec, std::string_view service,
                           std::int64_t started_ns)
    : spec_(spec), service_(service), started_ns_(started_ns) {}

void Verification::on_observation(const Observation& observation) {
  if (observation.service != service_ || observation.ts_ns <= started_ns_) return;
  for (std::size_t i = 0; i < spec_.checks.size(); ++i) {
    const CheckSpec& check = spec_.checks[i];
    if (!applies(check, observation)) continue;
    if (check.kind == CheckKind::kHeadroom) {
      judge_headroom(i, observation);
    } else {
      judge(i, observation.name, holds(check, observation), observation.value, observation.ts_ns);
    }
  }
}

void Verification::judge_headroom(std::size_t check_index, const Observation& observation) {
  const bool capacity = observation.role == MetricRole::kCapacity;
  if (!capacity && observation.role != MetricRole::kDemand) return;
  auto& values = capacity ? capacities_ : demands_;
  auto key = std::make_pair(check_index, std::string(observation.name));
  if (!values.contains(key) && values.size() >= kNamesMax) {
    ++refused_count_;
    return;
  }
  values[std::move(key)] = observation.value;
  Load load;
  for (const auto& [at, value] : capacities_) {
    if (at.first != check_index) continue;
    load.capacity += value;
    load.has_capacity = true;
  }
  for (const auto& [at, value] : demands_) {
    if (at.first != check_index) continue;
    load.demand += value;
    load.has_demand = true;
  }
  if (!load.has_capacity || !load.has_demand) return;
  judge(check_index, "headroom", load.capacity >= load.demand * spec_.checks[check_index].value,
        load.capacity - load.demand, observation.ts_ns);
}

void Verification::judge(std::size_t check_index, std::string_view name, bool good, double value,
                         std::int64_t ts_ns) {
  auto key = std::make_pair(check_index, std::string(name));
  if (!violated_ns_.contains(key) && violated_ns_.size() >= kNamesMax) {
    ++refused_count_;
    return;
  }
  violated_ns_[std::move(key)] = good ? 0 : ts_ns;
  seen_ = true;
  reason_ = std::string(name) + "=" + number(value) + (good ? " meets " : " violates ") +
            std::string(to_string(spec_.checks[check_index].kind)) + " " +
            number(spec_.checks[check_index].value);
  if (good) good_ns_ = std::max(good_ns_, ts_ns);
  hold_or_reset(ts_ns);
}

void Verification::hold_or_reset(std::int64_t ts_ns) {
  const bool any_violated = std::any_of(violated_ns_.begin(), violated_ns_.end(),
                                        [](const auto& entry) { return entry.second != 0; });
  if (any_violated) {
    holding_ = false;
  } else if (!holding_) {
    holding_ = true;
    held_since_ns_ = ts_ns;
  }
}

void Verification::forget_silent_errors(std::int64_t now_ns) {
  const std::int64_t silence =
      std::max<std::int64_t>(kErrorSilenceNs, spec_.hold.count() * core::kNsPerSecond);
  bool changed = false;
  for (auto& [key, violated] : violated_ns_) {
    if (violated == 0 || spec_.checks[key.first].kind != CheckKind::kErrors) continue;
    if (now_ns - violated < silence) continue;
    violated = 0;
    changed = true;
  }
  if (changed) hold_or_reset(now_ns);
}

void Verification::on_probe(bool ok, std::int64_t now_ns) {
  seen_ = true;
  reason_ = ok ? "probe succeeded" : "probe failed";
  if (!ok) {
    holding_ = false;
    return;
  }
  if (!holding_) held_since_ns_ = now_ns;
  holding_ = true;
  good_ns_ = now_ns;
}

Verification::State Verification::state(std::int64_t now_ns) {
  forget_silent_errors(now_ns);
  // Good data must span the hold: silence proves nothing.
  if (holding_ && good_ns_ - held_since_ns_ >= spec_.hold.count() * core::kNsPerSecond) {
    return State::kPassed;
  }
  if (now_ns - started_ns_ < spec_.within.count() * core::kNsPerSecond) return State::kPending;
  const std::string within = core::format_duration(spec_.within.count() * core::kNsPerSecond);
  reason_ = seen_ ? "not healed within " + within + ": " + reason_
                  : "no data to verify with came within " + within;
  return State::kFailed;
}

}  // namespace grace::schedule
