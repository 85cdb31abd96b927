#include "threshold_watch.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "grace/core/json_writer.h"
#include "grace/core/probability.h"
#include "threshold_move.h"

namespace grace::meta_loop {
namespace {

constexpr std::string_view kShortfallMin = "capacity.shortfall_min";
constexpr std::string_view kDiagnosis = "threshold_adjustment";
// Room left over demand from which on nobody would speak of saturation.
constexpr double kComfortableRoom = 0.10;
// What the best single confirmation is worth; none is proof.
constexpr double kConfirmationMax = 0.95;
// Probability from which a directive about a minimum confidence is made.
constexpr double kSureEnough = 0.90;

// A confirmation of strength 0 (says nothing: even odds) to 1.
double confirmation(double strength) {
  return 0.5 + (kConfirmationMax - 0.5) * std::clamp(strength, 0.0, 1.0);
}

// Independent confirmations of one statement: their mean log-odds, extremised, as incidents fuse
// sources of equal weight.
double pooled(const std::vector<double>& confirmations) {
  double sum = 0.0;
  for (const double p : confirmations) sum += core::logit(p);
  const auto n = static_cast<double>(confirmations.size());
  return core::logistic(core::extremising_factor(n) * sum / n);
}

std::string json_number(double value) {
  std::string json;
  core::JsonWriter(json).value(value);
  return json;
}

}  // namespace

void ThresholdWatch::on_outcome(const core::Outcome& outcome, core::FindingSink& sink) {
  if (outcome.trigger.source == core::Source::kMetaLoop) return;  // no judge of itself
  if (outcome.trigger.finding.type == core::TriggerType::kCapacityPrediction) {
    check_capacity(outcome, sink);
  }
  check_minimum(outcome, sink);
}

core::Finding ThresholdWatch::directive_of(const core::Outcome& outcome) const {
  core::Finding finding;
  finding.type = core::TriggerType::kDirective;
  finding.service = outcome.trigger.finding.service;
  finding.domain = outcome.trigger.finding.domain;
  finding.diagnosis_code = kDiagnosis;
  finding.impact = core::Impact::kLow;
  finding.ts_ns = outcome.settled_ts_ns;
  finding.suggested_playbooks = {"adjust_threshold"};
  finding.evidence.push_back(
      {outcome.trigger.sequence, outcome.trigger.created_ts_ns,
       outcome.trigger.trigger_id + ": " + std::string(core::to_string(outcome.kind))});
  return finding;
}

void ThresholdWatch::check_capacity(const core::Outcome& outcome, core::FindingSink& sink) {
  const core::Adjustable* const entry = context_.learned.find(kShortfallMin);
  if (entry == nullptr) return;
  // A directive that was made but not (yet) followed is not repeated within the period either.
  if (capacity_directive_ts_ns_ != std::numeric_limits<std::int64_t>::min() &&
      outcome.settled_ts_ns - capacity_directive_ts_ns_ < entry->period_ns) {
    return;
  }
  if (outcome.kind == core::OutcomeKind::kPrevented ||
      outcome.kind == core::OutcomeKind::kForecastCameTrue) {
    capacity_was_right(outcome, sink);
  } else if (outcome.kind == core::OutcomeKind::kForecastDidNot) {
    capacity_was_wrong(outcome, sink);
  }
}

// Demand came as forecast: smaller shortfalls may be told of too, so that scaling starts sooner.
void ThresholdWatch::capacity_was_right(const core::Outcome& outcome, core::FindingSink& sink) {
  const ThresholdMove move = plan_move(context_.learned, kShortfallMin, /*up=*/false,
                                       config_.step_share, outcome.settled_ts_ns);
  const double gap = outcome.predicted_value - outcome.capacity_before;
  if (!move.possible() || !(gap > 0.0) || std::isnan(outcome.observed_value)) return;

  core::Finding finding = directive_of(outcome);
  finding.what = move.parameter;
  std::vector<double> confirmations;
  // An error as large as the gap would mean that there was no shortage at all.
  const double error = std::fabs(outcome.observed_value - outcome.predicted_value);
  confirmations.push_back(confirmation(1.0 - error / gap));
  finding.reasoning.push_back("Demand came as forecast: " + number_text(outcome.observed_value, 0) +
                              " against " + number_text(outcome.predicted_value, 0) + " predicted");
  if (outcome.kind == core::OutcomeKind::kPrevented) {
    finding.reasoning.insert(finding.reasoning.begin(), "Proactive scaling prevented incident");
    if (const PlaybookRecord* const record = playbooks_.find(outcome.playbook)) {
      const auto successes = static_cast<double>(record->successes);
      const auto failures = static_cast<double>(record->failures);
      confirmations.push_back((successes + 1.0) / (successes + failures + 2.0));
      finding.reasoning.push_back("Playbook '" + outcome.playbook + "' was verified, " +
                                  number_text(successes, 0) + " of " +
                                  number_text(successes + failures, 0) + " times");
    }
    if (outcome.capacity_after > 0.0) {
      const double room = 1.0 - outcome.observed_value / outcome.capacity_after;
      confirmations.push_back(confirmation(room / kComfortableRoom));
      finding.reasoning.push_back("No saturation: " + percent_text(room) + " of " +
                                  number_text(outcome.capacity_after, 0) + " was left");
    }
  }
  finding.confidence = pooled(confirmations);
  describe_move(move, finding);
  // First order: of the predictions that the step adds, the share that turns out right so far.
  const auto& reliability =
      context_.learned.reliability(outcome.trigger.source, outcome.trigger.finding.diagnosis_code);
  finding.metadata.emplace_back(
      "expected_gain", json_number(reliability.mean() * (move.from - move.to) / move.from));
  if (finding.confidence < core::kFindingFloor) return;
  capacity_directive_ts_ns_ = outcome.settled_ts_ns;
  sink.finding(std::move(finding));
}

void ThresholdWatch::capacity_was_wrong(const core::Outcome& outcome, core::FindingSink& sink) {
  const ThresholdMove move = plan_move(context_.learned, kShortfallMin, /*up=*/true,
                                       config_.step_share, outcome.settled_ts_ns);
  if (!move.possible()) return;
  const auto& reliability =
      context_.learned.reliability(outcome.trigger.source, outcome.trigger.finding.diagnosis_code);
  core::Finding finding = directive_of(outcome);
  finding.what = move.parameter;
  // Posterior probability that fewer than half of such predictions come true.
  finding.confidence = core::beta_cdf(0.5, 1.0 + reliability.right, 1.0 + reliability.wrong);
  if (finding.confidence < core::kFindingFloor) return;
  finding.reasoning.push_back(
      "Predicted shortage did not come: " + number_text(reliability.wrong, 0) + " wrong, " +
      number_text(reliability.right, 1) + " right");
  describe_move(move, finding);
  finding.metadata.emplace_back(
      "expected_gain", json_number((1.0 - reliability.mean()) * (move.to - move.from) / move.from));
  capacity_directive_ts_ns_ = outcome.settled_ts_ns;
  sink.finding(std::move(finding));
}

// A source whose triggers turn out right less often than its minimum confidence claims lets too
// much through; one that is right far more often holds too much back.
void ThresholdWatch::check_minimum(const core::Outcome& outcome, core::FindingSink& sink) {
  const core::Source source = outcome.trigger.source;
  const auto& reliability = context_.learned.reliability(source);
  const double outcomes = reliability.right + reliability.wrong;
  double& at_directive = outcomes_at_directive_[static_cast<std::size_t>(source)];
  if (outcomes - at_directive < config_.outcomes_min) return;
  const core::Adjustable* const minimum = context_.learned.find(minimum_of(source));
  if (minimum == nullptr) return;

  const double a = 1.0 + reliability.right;
  const double b = 1.0 + reliability.wrong;
  const double too_low = core::beta_cdf(minimum->value, a, b);
  const double generous = minimum->value + config_.precision_slack;
  const double too_high = generous < 1.0 ? 1.0 - core::beta_cdf(generous, a, b) : 0.0;
  const bool up = too_low >= kSureEnough;
  if (!up && too_high < kSureEnough) return;
  const ThresholdMove move =
      plan_move(context_.learned, minimum->name, up, config_.step_share, outcome.settled_ts_ns);
  if (!move.possible()) return;

  core::Finding finding = directive_of(outcome);
  finding.what = move.parameter;
  finding.confidence = up ? too_low : too_high;
  finding.reasoning.push_back(std::string(core::to_string(source)) + " triggers are right " +
                              percent_text(reliability.right / outcomes) + " of time over " +
                              number_text(outcomes, 0) + " outcomes, " +
                              std::to_string(reliability.false_positives) + " false positives");
  describe_move(move, finding);
  // First order, taking confidences above the minimum as evenly spread: the share of wrong triggers
  // that the step removes, or of right ones that it adds.
  const double step = std::fabs(move.to - move.from) / std::max(1e-6, 1.0 - move.from);
  finding.metadata.emplace_back(
      "expected_gain", json_number(step * (up ? 1.0 - reliability.mean() : reliability.mean())));
  at_directive = outcomes;
  sink.finding(std::move(finding));
}

}  // namespace grace::meta_loop
