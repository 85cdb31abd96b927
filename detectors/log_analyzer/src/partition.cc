#include "partition.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "grace/core/hash.h"
#include "grace/core/time.h"

namespace grace::log_analyzer {
namespace {

constexpr std::size_t kMaskedBytesMax = 512;  // the parser's bound of a name, with room for masks
constexpr std::uint32_t kIdentifierDigits = 4;

// A sentence, or a name that holds a run of digits no version or status code has.
bool wants_template(std::string_view name) noexcept {
  std::uint32_t digits = 0;
  for (const char c : name) {
    if (c == ' ') return true;
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits == kIdentifierDigits) return true;
  }
  return false;
}

}  // namespace

LogPartition::LogPartition(const LogAnalyzerConfig& config)
    : no_actor_hash_(core::hash_bytes({})),
      error_rule_(config),
      duration_rule_(config),
      symbols_(config.symbols_max, config.symbol_bytes_max),
      templates_({.split_names = true,
                  .templates_max = config.templates_max,
                  .leaves_max = config.templates_max}),
      patterns_(config.patterns_max),
      errors_(config.patterns_max),
      durations_(config.patterns_max),
      observer_(config),
      sequences_(config) {}

std::uint64_t LogPartition::evicted_count() const {
  return evicted_count_ + refused_count_ + templates_.evicted_count() + observer_.evicted_count() +
         sequences_.evicted_count();
}

void LogPartition::on_event(const core::Event& event, core::FindingSink& sink) {
  const bool names_session = event.session_key != 0;
  const std::uint64_t session_key = core::combine(actor_hash(event), event.session_key);
  if (names_session) sequences_.prefetch_key(session_key);
  std::uint32_t slot = patterns_.find(pattern_key(event, event.name_key));
  if (slot == kNoSlot) [[unlikely]] {
    slot = find_by_template(event, sink);
    if (slot == kNoSlot) return;
  }
  patterns_.touch(slot, stamp_);
  Pattern& pattern = patterns_[slot];
  observer_.prefetch(pattern.pair_slot);
  if (names_session) {
    sequences_.prefetch(session_key);
  } else {
    sequences_.prefetch_slot(pattern.session_slot);
  }
  const std::int64_t bucket_ns = error_rule_.bucket_ns();
  if (event.ts_ns >= pattern.window.bucket_end_ns) {
    pattern.window.roll(event.ts_ns, bucket_ns);
    sequences_.name_symbol(pattern.symbol, pattern.names.action, stamp_);
  } else if (event.ts_ns < pattern.window.bucket_end_ns - bucket_ns) {
    ++late_count_;
  }
  ++pattern.window.actions;
  ++pattern.actions_total;
  pattern.pair_slot =
      observer_.slot_of(pattern.pair_key, pattern.pair_slot, pattern.names, stamp_, sink);
  observer_.on_action(pattern.pair_slot, event.ts_ns, sink);
  const bool error = event.result == core::ActionResult::kError;
  if (error) on_error(slot, event);
  if (event.value >= 0.0) on_duration(pattern, event, sink);  // false for NaN: no duration
  sequences_.on_action({pattern.names, pattern.class_key, session_key, pattern.symbol, event.ts_ns,
                        event.sequence, error, names_session},
                       pattern.session_slot, stamp_, sink);
}

std::uint64_t LogPartition::pattern_key(const core::Event& event,
                                        std::uint64_t name_key) const noexcept {
  return core::combine(actor_hash(event) ^ (name_key * 0x9e3779b97f4a7c15ULL), event.service_key);
}

std::uint32_t LogPartition::find_by_template(const core::Event& event, core::FindingSink& sink) {
  NewPattern found{0, event.name_key, event.view(event.name)};
  std::array<char, kMaskedBytesMax> masked;
  if (wants_template(found.name)) {
    found.name_key = core::mix(templates_.add(found.name));
    found.name = templates_.mask(found.name, masked);
  }
  found.key = pattern_key(event, found.name_key);
  const std::uint32_t slot = patterns_.find(found.key);
  return slot != kNoSlot ? slot : admit(found, event, sink);
}

std::uint32_t LogPartition::admit(const NewPattern& found, const core::Event& event,
                                  core::FindingSink& sink) {
  const ActionNames names{symbols_.intern(event.view(event.actor)), symbols_.intern(found.name),
                          symbols_.intern(event.view(event.service)),
                          symbols_.intern(event.view(event.domain)),
                          symbols_.intern(event.view(event.subsystem))};
  for (const std::string_view text :
       {names.actor, names.action, names.resource, names.domain, names.subsystem}) {
    if (text.data() != nullptr) continue;
    ++refused_count_;
    return kNoSlot;
  }
  if (patterns_.full()) evict(patterns_.oldest(), event.ts_ns, sink);
  const std::uint32_t slot = patterns_.insert(found.key, stamp_);
  Pattern& pattern = patterns_[slot];
  pattern.names = names;
  pattern.pair_key = core::combine(actor_hash(event), event.service_key);
  pattern.symbol = static_cast<std::uint32_t>(found.name_key >> 33);
  pattern.class_key =
      names.subsystem.empty() ? core::mix(actor_hash(event)) : core::hash_bytes(names.subsystem);
  return slot;
}

void LogPartition::evict(std::uint32_t slot, std::int64_t now_ns, core::FindingSink& sink) {
  const Pattern& pattern = patterns_[slot];
  if (pattern.error_slot != kNoSlot) {
    if (errors_[pattern.error_slot].pending) {
      judge(slot, now_ns, sink);
      std::erase(pending_, slot);
    }
    errors_.give_back(pattern.error_slot);
  }
  if (pattern.duration_slot != kNoSlot) durations_.give_back(pattern.duration_slot);
  patterns_.erase(slot);
  ++evicted_count_;
}

void LogPartition::on_error(std::uint32_t slot, const core::Event& event) {
  Pattern& pattern = patterns_[slot];
  ++pattern.window.errors;
  if (pattern.error_slot == kNoSlot) pattern.error_slot = errors_.take();
  if (error_rule_.on_error(errors_[pattern.error_slot], pattern.window,
                           {event.ts_ns, event.sequence, pattern.actions_total})) {
    pending_.push_back(slot);
  }
  observer_.on_error(pattern.pair_slot, pattern.names, event.view(event.result_text), event.ts_ns,
                     event.sequence);
}

void LogPartition::on_duration(Pattern& pattern, const core::Event& event,
                               core::FindingSink& sink) {
  DurationBin& bin = pattern.duration_bin;
  if (DurationRule::begins_bin(bin, event.ts_ns)) [[unlikely]] {
    begin_bin(pattern, event, sink);
  }
  DurationRule::add(bin, event.value);
}

void LogPartition::begin_bin(Pattern& pattern, const core::Event& event, core::FindingSink& sink) {
  if (pattern.duration_slot == kNoSlot) pattern.duration_slot = durations_.take();
  auto found = duration_rule_.begin_bin(pattern.duration_bin, durations_[pattern.duration_slot],
                                        event.ts_ns, event.sequence, pattern.names);
  if (found) sink.finding(std::move(*found));
}

void LogPartition::judge(std::uint32_t slot, std::int64_t now_ns, core::FindingSink& sink) {
  Pattern& pattern = patterns_[slot];
  pattern.window.roll(now_ns, error_rule_.bucket_ns());
  auto found = error_rule_.judge(errors_[pattern.error_slot], pattern.window, pattern.names,
                                 pattern.actions_total, now_ns);
  if (found) sink.finding(std::move(*found));
}

void LogPartition::on_tick(const core::Tick& tick, core::FindingSink& sink) {
  stamp_ = static_cast<std::int32_t>(tick.watermark_ns / (kStampSeconds * core::kNsPerSecond));
  observer_.on_tick(tick.watermark_ns, sink);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const std::uint32_t slot = pending_[i];
    const Pattern& pattern = patterns_[slot];
    if (error_rule_.settled(errors_[pattern.error_slot], pattern.window, tick.watermark_ns)) {
      judge(slot, tick.watermark_ns, sink);
    } else {
      pending_[kept++] = slot;
    }
  }
  pending_.resize(kept);
  sequences_.on_tick(tick.watermark_ns, sink);
}

}  // namespace grace::log_analyzer
