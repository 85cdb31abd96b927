#include "action_observer.h"

#include <algorithm>
#include <cmath>

#include "grace/core/time.h"

namespace grace::log_analyzer {
namespace {

constexpr double kBaseActionsMax = 100'000.0;  // then halved
constexpr double kBaseActionsWarm = 50.0;
constexpr double kPriorErrors = 0.5;
constexpr double kPriorActions = 200.0;
constexpr std::size_t kResultTextBytesMax = 32;
constexpr std::size_t kResultTextsMax = 256;

}  // namespace

ActionObserver::ActionObserver(const LogAnalyzerConfig& config)
    : period_ns_(config.observation_period.count() * core::kNsPerSecond),
      pairs_(config.pairs_max),
      result_texts_(kResultTextsMax, kResultTextsMax * kResultTextBytesMax) {}

std::uint32_t ActionObserver::slot_of(std::uint64_t key, std::uint32_t hint,
                                      const ActionNames& names, std::int32_t stamp,
                                      core::FindingSink& sink) {
  std::uint32_t slot = pairs_.holds(hint, key) ? hint : pairs_.find(key);
  if (slot == kNoSlot) {
    if (pairs_.full()) {
      const std::uint32_t oldest = pairs_.oldest();
      if (pairs_[oldest].count > 0) close_period(oldest, sink);
      pairs_.erase(oldest);
      ++evicted_count_;
    }
    slot = pairs_.insert(key, stamp);
    if (slot >= is_open_.size()) is_open_.resize(slot + 1, 0);
    Pair& pair = pairs_[slot];
    pair.actor = names.actor;
    pair.service = names.service();
    pair.domain = names.domain;
    pair.subsystem = names.subsystem;
  }
  pairs_.touch(slot, stamp);
  return slot;
}

void ActionObserver::open_period(std::uint32_t slot, std::int64_t ts_ns) {
  pairs_[slot].period_end_ns = (ts_ns / period_ns_ + 1) * period_ns_;
  if (is_open_[slot] != 0) return;
  is_open_[slot] = 1;
  open_.push_back(slot);
}

void ActionObserver::on_action(std::uint32_t slot, std::int64_t ts_ns, core::FindingSink& sink) {
  Pair& pair = pairs_[slot];
  if (ts_ns >= pair.period_end_ns || pair.count == 0) {
    if (pair.count > 0) close_period(slot, sink);
    open_period(slot, ts_ns);
  }
  ++pair.count;
}

void ActionObserver::on_error(std::uint32_t slot, const ActionNames& names,
                              std::string_view result_text, std::int64_t ts_ns,
                              std::uint64_t sequence) {
  Pair& pair = pairs_[slot];
  pair.last_error_sequence = sequence;
  if (pair.errors++ > 0 && ts_ns >= pair.first_error_ts_ns) return;
  pair.first_error_ts_ns = ts_ns;
  pair.first_error_sequence = sequence;
  pair.action = names.action;
  const std::string_view text = result_texts_.intern(result_text.substr(0, kResultTextBytesMax));
  pair.result_text = text.data() == nullptr ? std::string_view("error") : text;
}

void ActionObserver::close_period(std::uint32_t slot, core::FindingSink& sink) {
  Pair& pair = pairs_[slot];
  const double count = pair.count;
  const double errors = pair.errors;
  const double share = (pair.base_errors + kPriorErrors) / (pair.base_actions + kPriorActions);
  core::Observation observation;
  observation.ts_ns = pair.period_end_ns;
  observation.order_key = pairs_.key_of(slot);
  observation.service = pair.service;
  observation.domain = pair.domain;
  observation.name = pair.actor;
  observation.value = errors;
  observation.baseline = count * share;
  observation.warm = pair.base_actions >= kBaseActionsWarm;
  // A quarter of an event keeps a single error in a quiet pair finite.
  if (observation.warm) {
    observation.deviation =
        (errors - observation.baseline) / std::sqrt(count * share * (1.0 - share) + 0.25);
  }
  observation.count = pair.count;
  observation.kind = core::ObservationKind::kActions;
  observation.subsystem = pair.subsystem;
  if (pair.errors > 0) {
    observation.action = pair.action;
    observation.result_text = pair.result_text;
    observation.first_error_ts_ns = pair.first_error_ts_ns;
    observation.first_error_sequence = pair.first_error_sequence;
    observation.last_error_sequence = pair.last_error_sequence;
  }
  sink.observe(observation);
  pair.base_actions += count;
  pair.base_errors += errors;
  if (pair.base_actions >= kBaseActionsMax) {
    pair.base_actions *= 0.5;
    pair.base_errors *= 0.5;
  }
  pair.count = 0;
  pair.errors = 0;
}

void ActionObserver::on_tick(std::int64_t now_ns, core::FindingSink& sink) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    const std::uint32_t slot = open_[i];
    // An evicted pair's slot may be on the list with nothing in it, or with a new pair's period.
    if (pairs_[slot].count > 0 && pairs_[slot].period_end_ns > now_ns) {
      open_[kept++] = slot;
      continue;
    }
    is_open_[slot] = 0;
    if (pairs_[slot].count > 0) close_period(slot, sink);
  }
  open_.resize(kept);
}

}  // namespace grace::log_analyzer
