#include "sequence_rule.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "error_rule.h"
#include "grace/core/evidence.h"
#include "grace/core/json_writer.h"
#include "grace/core/probability.h"
#include "grace/core/time.h"
#include "text.h"

namespace grace::log_analyzer {
namespace {

constexpr std::int64_t kSessionGapNs = 30 * core::kNsPerMinute;  // then it starts afresh

std::size_t bits_of(double probability) {
  const int bits = -std::ilogb(probability);
  return static_cast<std::size_t>(std::clamp(bits, 0, 23));
}

// Fisher's method: the p-value of k independent p-values, from the chi-squared tail with 2k
// degrees of freedom, which has a closed form.
double fisher(double sum_of_negative_logs, std::size_t k) {
  double term = 1.0;
  double sum = 1.0;
  for (std::size_t j = 1; j < k; ++j) {
    term *= sum_of_negative_logs / static_cast<double>(j);
    sum += term;
  }
  return std::exp(-sum_of_negative_logs) * sum;
}

double choose(std::uint32_t n, std::uint32_t k) {
  double result = 1.0;
  for (std::uint32_t i = 1; i <= k; ++i) {
    result *= static_cast<double>(n - k + i) / static_cast<double>(i);
  }
  return result;
}

}  // namespace

SequenceRule::SequenceRule(const LogAnalyzerConfig& config)
    : warmup_(config.sequence_warmup),
      surprise_share_(config.sequence_surprise_share),
      run_min_(config.sequence_run_min),
      run_max_(config.sequence_run_max),
      settle_ns_(config.error_settle.count() * core::kNsPerSecond),
      quiet_ns_(config.error_quiet.count() * core::kNsPerSecond),
      model_(config.grammar_nodes_max),
      sessions_(config.sessions_max),
      classes_(config.grammar_classes_max),
      whole_(config) {}

std::uint32_t SequenceRule::slot_for(std::uint32_t found, const Step& step, std::int32_t stamp,
                                     core::FindingSink& sink) {
  if (found != kNoSlot) {
    sessions_.touch(found, stamp);
    return found;
  }
  if (sessions_.full()) {
    const std::uint32_t oldest = sessions_.oldest();
    if (sessions_[oldest].pending) {
      judge(oldest, step.ts_ns, sink);
      std::erase(pending_, oldest);
    }
    if (step.ts_ns - sessions_[oldest].last_ts_ns < kSessionGapNs) ++evicted_count_;
    sessions_.erase(oldest);
  }
  return sessions_.insert(step.session_key, stamp);
}

SequenceRule::Class& SequenceRule::class_of(std::uint32_t& class_slot, std::uint64_t class_key,
                                            std::int32_t stamp) {
  if (classes_.holds(class_slot, class_key)) {
    classes_.touch(class_slot, stamp);
  } else {
    class_slot = classes_.find_or_insert(class_key, stamp, evicted_count_);
  }
  return classes_[class_slot];
}

double SequenceRule::tail_of(Class& kind, double probability) const noexcept {
  const std::size_t bits = probability >= models::StepGrammar::kLikely ? 0 : bits_of(probability);
  double tail = 1.0;
  if (bits > 0 && kind.total >= warmup_) {
    std::uint64_t as_improbable = 0;
    for (std::size_t i = bits; i < kBitBuckets; ++i) as_improbable += kind.by_bits[i];
    tail = (static_cast<double>(as_improbable) + 1.0) / (static_cast<double>(kind.total) + 2.0);
  }
  ++kind.total;
  ++kind.by_bits[bits];
  return tail;
}

void SequenceRule::on_action(const Step& step, std::uint32_t& hint, std::int32_t stamp,
                             core::FindingSink& sink) {
  if (step.has_session_id) {
    const std::uint32_t watched = whole_.find(step.session_key);
    if (watched != kNoSlot) {
      on_watched(watched, step, stamp, sink);
      return;
    }
  }
  std::uint32_t slot =
      sessions_.holds(hint, step.session_key) ? hint : sessions_.find(step.session_key);
  const bool resumes = slot != kNoSlot && step.ts_ns - sessions_[slot].last_ts_ns > kSessionGapNs;
  const bool begins = slot == kNoSlot || resumes;
  std::uint32_t class_slot = slot == kNoSlot ? kNoSlot : sessions_[slot].class_slot;
  Class& kind = class_of(class_slot, step.class_key, stamp);
  bool is_known = true;
  if (step.has_session_id) {
    if (begins && kind.sessions_begun < SessionRule::kSessionsToModel) ++kind.sessions_begun;
    const auto begun = whole_.begin(step, begins, kind.sessions_begun, stamp, sink);
    if (begun.slot != kNoSlot) {
      whole_.progress(begun.slot).class_slot = class_slot;
      on_watched(begun.slot, step, stamp, sink);
      return;
    }
    is_known = !begun.has_model;
  }
  slot = slot_for(slot, step, stamp, sink);
  hint = slot;
  Session& session = sessions_[slot];
  session.class_slot = class_slot;
  if (resumes) {
    session.context = {};
    session.last_symbol = kNoSymbol;
  }
  ++session.steps;
  if (is_known) {
    const double probability = model_.advance(step.class_key, session.context, step.symbol, stamp);
    const double tail = tail_of(kind, probability);
    if (tail <= surprise_share_) on_surprise(slot, step, probability, tail);
  }
  session.last_ts_ns = std::max(session.last_ts_ns, step.ts_ns);
  session.last_symbol = step.symbol;
}

void SequenceRule::on_watched(std::uint32_t watched, const Step& step, std::int32_t stamp,
                              core::FindingSink& sink) {
  Class& kind = class_of(whole_.progress(watched).class_slot, step.class_key, stamp);
  const SessionRule::Progress before = whole_.progress(watched);
  double probability = 1.0;
  const SessionRule::Seen seen = whole_.on_step(watched, step, stamp, probability, sink);
  if (seen == SessionRule::Seen::kUnwatched) {
    // What comes of it from now on is not its beginning.
    const std::uint32_t slot = slot_of_watched(step, before, stamp, sink);
    sessions_[slot].last_symbol = step.symbol;
  }
  if (seen != SessionRule::Seen::kWatched) return;
  const double tail = tail_of(kind, probability);
  if (tail > surprise_share_) [[likely]]
    return;
  const std::uint32_t slot = slot_of_watched(step, before, stamp, sink);
  sessions_[slot].whole_slot = watched;
  on_surprise(slot, step, probability, tail);
}

std::uint32_t SequenceRule::slot_of_watched(const Step& step, const SessionRule::Progress& before,
                                            std::int32_t stamp, core::FindingSink& sink) {
  const std::uint32_t slot = slot_for(sessions_.find(step.session_key), step, stamp, sink);
  Session& session = sessions_[slot];
  session.class_slot = before.class_slot;
  session.steps = before.steps + 1;
  session.last_ts_ns = std::max(before.last_ts_ns, step.ts_ns);
  session.last_symbol = before.last_symbol;
  return slot;
}

void SequenceRule::Surprises::forget_before(std::uint32_t at) noexcept {
  const auto begin = each_.begin();
  const auto end = std::remove_if(begin, begin + count_,
                                  [&](const Surprise& surprise) { return surprise.at < at; });
  count_ = static_cast<std::uint32_t>(end - begin);
}

void SequenceRule::on_surprise(std::uint32_t slot, const Step& step, double probability,
                               double tail) {
  Session& session = sessions_[slot];
  if (!session.pending) {
    // Surprises that are too far back belong to no run.
    session.surprises.forget_before(session.steps - std::min(session.steps, run_max_ - 1));
  }
  if (session.surprises.full()) return;  // enough to judge by
  session.surprises.add({step.names.action, step.sequence, step.ts_ns, session.last_symbol,
                         session.steps, static_cast<float>(probability), static_cast<float>(tail),
                         step.error});
  session.names = step.names;
  if (!session.pending && session.surprises.all().size() >= run_min_) {
    session.pending = true;
    pending_.push_back(slot);
  }
}

void SequenceRule::end_sessions(std::int64_t now_ns, core::FindingSink& sink) {
  whole_.on_tick();
  for (std::uint64_t key = 0; whole_.next_ended(now_ns, key);) {
    const std::uint32_t slot = sessions_.find(key);
    if (slot != kNoSlot && sessions_[slot].pending) {
      judge(slot, now_ns, sink);
      std::erase(pending_, slot);
    }
    whole_.end(now_ns, sink);
    // What comes under this name from now on is another session.
    if (slot != kNoSlot) sessions_.erase(slot);
  }
}

void SequenceRule::on_tick(std::int64_t now_ns, core::FindingSink& sink) {
  end_sessions(now_ns, sink);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const std::uint32_t slot = pending_[i];
    const Session& session = sessions_[slot];
    const std::int64_t newest = session.surprises.all().back().ts_ns;
    if (session.surprises.full() || now_ns - newest >= settle_ns_) {
      judge(slot, now_ns, sink);
    } else {
      pending_[kept++] = slot;
    }
  }
  pending_.resize(kept);
}

void SequenceRule::judge(std::uint32_t slot, std::int64_t now_ns, core::FindingSink& sink) {
  Session& session = sessions_[slot];
  session.pending = false;
  const std::span<const Surprise> surprises = session.surprises.all();
  double sum = 0.0;
  for (const Surprise& surprise : surprises) sum -= std::log(static_cast<double>(surprise.tail));
  const auto count = static_cast<std::uint32_t>(surprises.size());
  const std::uint32_t width = surprises.back().at - surprises.front().at + 1;
  const double p = std::min(1.0, fisher(sum, count) * choose(width, count));
  const double confidence = core::logistic(kOddPriorLogOdds + core::log_bayes_from_p(p)) *
                            core::confirmed(static_cast<double>(count));
  if (confidence >= core::kFindingFloor && session.class_slot != kNoSlot) {
    Class& kind = classes_[session.class_slot];
    whole_.mark_reported(session.whole_slot, sessions_.key_of(slot));
    if (kind.reported && now_ns - kind.reported_ts_ns < quiet_ns_) {
      ++kind.coalesced;
    } else {
      report(session, kind, confidence, p, now_ns, sink);
      kind.reported = true;
      kind.reported_ts_ns = now_ns;
      kind.coalesced = 0;
    }
  }
  session.surprises.clear();
}

void SequenceRule::report(const Session& session, Class& kind, double confidence, double p,
                          std::int64_t now_ns, core::FindingSink& sink) const {
  core::Finding finding;
  finding.type = core::TriggerType::kAnomalySequence;
  finding.confidence = confidence;
  finding.service = session.names.service();
  finding.domain = session.names.domain;
  finding.diagnosis_code = "unusual_sequence";
  finding.what = session.surprises.all().front().action;
  finding.suggested_playbooks = {"immediate_investigation", "investigate_root_cause"};
  finding.ts_ns = now_ns;
  bool grave = names_critical(session.names);
  finding.reasoning.push_back("Unusual sequence of actions by " + std::string(session.names.actor));
  for (const Surprise& surprise : session.surprises.all()) {
    grave = grave || surprise.error;
    const std::string after =
        surprise.after == kNoSymbol ? "start" : whole_.name_of(surprise.after);
    const std::string step = after + " -> " + std::string(surprise.action);
    const std::string chance =
        "probability " + decimal(static_cast<double>(surprise.probability), 5);
    finding.reasoning.push_back(step + ": " + chance);
    finding.evidence.push_back({surprise.sequence, surprise.ts_ns, step + ", " + chance});
  }
  finding.reasoning.push_back(std::to_string(session.surprises.all().size()) +
                              " steps as improbable as at most " + percent(surprise_share_) +
                              " of " + std::to_string(kind.total) + " seen before");
  finding.impact = grave ? core::Impact::kHigh : core::Impact::kMedium;
  finding.metadata = {{"pattern", core::json_quoted("unusual_sequence")},
                      {"actor", core::json_quoted(session.names.actor)},
                      {"surprising_steps", std::to_string(session.surprises.all().size())},
                      {"log_p", decimal(std::log(std::max(p, 1e-300)), 3)},
                      {"similar_sessions_before", std::to_string(kind.coalesced)}};
  sink.finding(std::move(finding));
}

}  // namespace grace::log_analyzer
