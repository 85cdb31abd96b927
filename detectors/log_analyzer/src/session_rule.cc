#include "session_rule.h"

#include <algorithm>
#include <utility>

#include "grace/core/evidence.h"
#include "grace/core/probability.h"
#include "grace/core/time.h"

namespace grace::log_analyzer {
namespace {

constexpr std::int64_t kModelIdleStamps = 30 * 60 / kStampSeconds;
constexpr std::uint32_t kGrowingStepsMin = 64;  // a session under way is judged from here on
constexpr double kNotable = 1.0 / 64.0;         // steps less probable than this are worth naming
constexpr std::uint32_t kRecentMax = 64;        // sessions; then their numbers are halved
constexpr std::uint32_t kRecentMin = 16;
constexpr std::uint32_t kOddShareMax = 4;  // a quarter
constexpr std::uint64_t kSimilarMin = 8;   // odd sessions before a second report

}  // namespace

SessionRule::SessionRule(const LogAnalyzerConfig& config)
    : idle_ns_(config.session_idle.count() * core::kNsPerSecond),
      quiet_ns_(config.error_quiet.count() * core::kNsPerSecond),
      growth_(config.error_growth_factor),
      warmup_steps_(config.sequence_warmup),
      open_(config.sessions_max),
      kinds_(config.session_models_max),
      names_(config.patterns_max) {}

void SessionRule::name_symbol(std::uint32_t symbol, std::string_view action, std::int32_t stamp) {
  std::uint64_t forgotten = 0;  // a name that is missing in a report is no loss to count
  names_[names_.find_or_insert(symbol_key(symbol), stamp, forgotten)] = action;
}

std::uint64_t SessionRule::evicted_count() const noexcept {
  return unjudged_count_ + refused_count_ + forgotten_count_;
}

std::uint32_t SessionRule::kind_of(const Step& step, bool begins, std::uint32_t sessions_begun,
                                   std::int32_t stamp) {
  const std::uint32_t known = kinds_.find(step.class_key);
  if (known != kNoSlot || sessions_begun < kSessionsToModel) return known;
  if (kinds_.full()) {
    const std::uint32_t oldest = kinds_.oldest();
    if (std::int64_t{stamp} - kinds_.stamp_of(oldest) < kModelIdleStamps) {
      if (begins) ++refused_count_;
      return kNoSlot;
    }
    kinds_.erase(oldest);
    ++forgotten_count_;
  }
  const std::uint32_t slot = kinds_.insert(step.class_key, stamp);
  kinds_[slot].model = std::make_unique<models::SessionModel>();
  return slot;
}

std::uint32_t SessionRule::open(const Step& step, std::uint32_t kind, std::int32_t stamp,
                                core::FindingSink& sink) {
  if (open_.full()) {
    const std::uint32_t oldest = open_.oldest();
    if (step.ts_ns - open_[oldest].progress.last_ts_ns >= idle_ns_) {
      end(step.ts_ns, sink);
    } else {
      open_.erase(oldest);
      ++unjudged_count_;
      crowded_until_ns_ = std::max(crowded_until_ns_, step.ts_ns + idle_ns_);
    }
  }
  const std::uint32_t slot = open_.insert(step.session_key, stamp);
  Session& session = open_[slot];
  session.kind = kind;
  session.class_key = step.class_key;
  session.first_sequence = step.sequence;
  session.first_ts_ns = step.ts_ns;
  session.names = step.names;
  return slot;
}

SessionRule::Begun SessionRule::begin(const Step& step, bool begins, std::uint32_t sessions_begun,
                                      std::int32_t stamp, core::FindingSink& sink) {
  const std::uint32_t kind = kind_of(step, begins, sessions_begun, stamp);
  if (kind == kNoSlot) return {};
  return {begins ? open(step, kind, stamp, sink) : kNoSlot, true};
}

SessionRule::Seen SessionRule::on_step(std::uint32_t slot, const Step& step, std::int32_t stamp,
                                       double& probability, core::FindingSink& sink) {
  Session& session = open_[slot];
  if (!kinds_.holds(session.kind, session.class_key)) {  // another class has its model now
    open_.erase(slot);
    ++unjudged_count_;
    return Seen::kUnwatched;
  }
  open_.touch(slot, stamp);
  kinds_.touch(session.kind, stamp);
  Kind& kind = kinds_[session.kind];
  probability = kind.model->learn_step(session.counted, step.symbol);
  const bool knows_steps = kind.steps >= warmup_steps_;
  ++kind.steps;
  if (probability < kNotable && probability < session.odd.probability) {
    note_odd_step(session, step, probability);
  }
  Progress& progress = session.progress;
  progress.last_ts_ns = std::max(progress.last_ts_ns, step.ts_ns);
  progress.last_sequence = step.sequence;
  progress.last_symbol = step.symbol;
  ++progress.steps;
  session.error = session.error || step.error;
  const std::uint32_t steps = progress.steps;
  const bool doubled = (steps & (steps - 1)) == 0;
  if (doubled && steps >= kGrowingStepsMin && steps / 2 > kind.steps_max) {
    judge_growing(session, kind, step.ts_ns, sink);
  }
  return knows_steps ? Seen::kWatched : Seen::kSilent;
}

void SessionRule::note_odd_step(Session& session, const Step& step, double probability) const {
  session.odd = {step.names, step.sequence, step.ts_ns, session.progress.last_symbol, probability};
}

void SessionRule::mark_reported(std::uint32_t slot, std::uint64_t session_key) {
  if (open_.holds(slot, session_key)) open_[slot].reported = true;
}

void SessionRule::on_tick() {
  comparisons_left_ = kComparisonsPerTick;
}

bool SessionRule::may_compare(const Session& session, const Kind& kind) {
  if (kind.model->knows(session.counted)) return true;
  const std::uint32_t wanted = 3 * kind.model->prototype_count();
  if (wanted > comparisons_left_) {
    ++unjudged_count_;
    return false;
  }
  comparisons_left_ -= wanted;
  return true;
}

// Above the threshold is what `grace score sessions` flags; how sure that is, is the chance that a
// normal session scores as much, weighed against the prior, and by the scores the tail rests on.
SessionRule::Verdict SessionRule::verdict_on(const models::SessionScore& score, const Kind& kind,
                                             bool over) const {
  Verdict verdict{.score = score, .over = over};
  if (!(score.total() > kind.threshold)) return verdict;
  verdict.chance = kind.tail.probability(score.total());
  verdict.confidence = core::logistic(kOddPriorLogOdds + core::log_bayes_from_p(verdict.chance)) *
                       core::confirmed(static_cast<double>(kind.tail.sample));
  return verdict;
}

void SessionRule::judge_growing(Session& session, Kind& kind, std::int64_t now_ns,
                                core::FindingSink& sink) {
  if (session.reported || now_ns < crowded_until_ns_ || !may_compare(session, kind)) return;
  const Verdict verdict = verdict_on(kind.model->so_far(session.counted), kind, false);
  if (verdict.confidence < core::kFindingFloor) return;
  session.reported = true;
  if (wants_report(kind, now_ns)) report(session, kind, verdict, now_ns, sink);
}

bool SessionRule::next_ended(std::int64_t now_ns, std::uint64_t& session_key) const {
  if (open_.count() == 0) return false;
  const std::uint32_t oldest = open_.oldest();
  if (now_ns - open_[oldest].progress.last_ts_ns < idle_ns_) return false;
  session_key = open_.key_of(oldest);
  return true;
}

void SessionRule::end(std::int64_t now_ns, core::FindingSink& sink) {
  const std::uint32_t slot = open_.oldest();
  Session& session = open_[slot];
  const bool has_model = kinds_.holds(session.kind, session.class_key);
  if (!has_model || now_ns < crowded_until_ns_) {
    ++unjudged_count_;
  } else if (Kind& kind = kinds_[session.kind]; may_compare(session, kind)) {
    const Verdict verdict =
        verdict_on(kind.model->end(session.counted, kind.tail.unremarkable()), kind, true);
    const bool is_odd = session.reported || verdict.confidence >= core::kFindingFloor;
    if (takes_for_normal(kind, is_odd)) {
      learn(session, kind, verdict.score);
    } else if (!session.reported && wants_report(kind, now_ns)) {
      report(session, kind, verdict, now_ns, sink);
    }
    const std::uint64_t turned_away = kind.model->evicted_count();
    forgotten_count_ += turned_away - kind.turned_away;
    kind.turned_away = turned_away;
  }
  open_.erase(slot);
}

bool SessionRule::takes_for_normal(Kind& kind, bool is_odd) const {
  if (kind.ended >= kRecentMax) {
    kind.ended /= 2;
    kind.odd /= 2;
  }
  ++kind.ended;
  if (!is_odd) return true;
  ++kind.odd;
  return kind.ended >= kRecentMin && kind.odd * kOddShareMax > kind.ended;
}

void SessionRule::learn(Session& session, Kind& kind, const models::SessionScore& score) const {
  kind.model->learn_end(session.counted, score);
  kind.steps_max = std::max(kind.steps_max, session.progress.steps);
  const std::uint64_t learned = kind.model->session_count();
  if (learned < kind.fit_at) return;
  kind.tail = kind.model->tail();
  kind.threshold = kind.model->threshold();
  kind.fit_at = learned + std::max<std::uint64_t>(kSessionsToModel, learned / 8);
}

bool SessionRule::wants_report(Kind& kind, std::int64_t now_ns) const {
  const bool was_quiet = kind.odd_run == 0 || now_ns - kind.odd_ts_ns >= quiet_ns_;
  kind.odd_ts_ns = now_ns;
  if (was_quiet) {
    kind.odd_run = 1;
    kind.report_at = kSimilarMin;
    return true;
  }
  if (++kind.odd_run < kind.report_at) return false;
  kind.report_at = static_cast<std::uint64_t>(static_cast<double>(kind.odd_run) * growth_);
  return true;
}

}  // namespace grace::log_analyzer
