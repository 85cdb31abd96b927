#include "playbook_watch.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>
#include <utility>

#include "grace/core/probability.h"
#include "grace/core/topology.h"
#include "threshold_move.h"

namespace grace::meta_loop {
namespace {

std::int64_t to_ns(std::chrono::seconds duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

constexpr std::string_view kDiagnosis = "meta_loop_optimization";

struct Tally {
  double successes = 0.0, failures = 0.0;
  [[nodiscard]] double runs() const { return successes + failures; }
};

Tally tally_of(const std::deque<PlaybookRecord::Run>& history, std::size_t newest_max) {
  Tally tally;
  const std::size_t count = std::min(newest_max, history.size());
  for (std::size_t i = history.size() - count; i < history.size(); ++i) {
    (history[i].success ? tally.successes : tally.failures) += 1.0;
  }
  return tally;
}

// The source that most of the failed runs came from; ties to the first in order.
template <typename Items, typename SourceOf>
core::Source most_frequent(const Items& items, SourceOf&& source_of) {
  std::array<std::size_t, core::kSourceCount> counts{};
  for (const auto& item : items) {
    if (const auto source = source_of(item)) ++counts[static_cast<std::size_t>(*source)];
  }
  return static_cast<core::Source>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

}  // namespace

const PlaybookRecord* PlaybookWatch::find(std::string_view playbook) const {
  const auto at = playbooks_.find(playbook);
  return at == playbooks_.end() ? nullptr : &at->second;
}

void PlaybookWatch::on_end(const core::PlaybookRun& run, core::FindingSink& sink) {
  const bool success = run.state == core::RunState::kSucceeded;
  runs_all_ += 1.0;
  if (!success) failures_all_ += 1.0;
  auto at = playbooks_.find(run.playbook);
  if (at == playbooks_.end() && playbooks_.size() < config_.playbooks_max) {
    at = playbooks_.try_emplace(run.playbook).first;
  }
  if (at == playbooks_.end()) {
    ++refused_count_;
  } else {
    count(at->second, run);
    check_playbook(at->second, run, sink);
  }
  if (!success) check_domains(run, sink);
}

void PlaybookWatch::count(PlaybookRecord& record, const core::PlaybookRun& run) {
  const bool success = run.state == core::RunState::kSucceeded;
  ++(success ? record.successes : record.failures);
  record.history.push_back({success, run.changed_ts_ns, run.run_id, run.incident_id,
                            source_of_incident(run.incident_id)});
  // What leaves the recent runs enters the baseline.
  if (record.history.size() > config_.recent_runs) {
    const auto& leaving = record.history[record.history.size() - 1 - config_.recent_runs];
    (leaving.success ? record.baseline_successes : record.baseline_failures) += 1.0;
  }
  if (record.history.size() > PlaybookRecord::kHistoryMax) record.history.pop_front();
}

double PlaybookWatch::consistent_failure(const PlaybookRecord& record,
                                         std::vector<std::string>& reasons,
                                         std::string_view playbook) const {
  const Tally tally = tally_of(record.history, PlaybookRecord::kHistoryMax);
  if (tally.runs() < config_.runs_min) return 0.0;
  // Posterior of the failure rate under the uniform prior.
  const double over =
      1.0 - core::beta_cdf(config_.failure_rate_min, 1.0 + tally.failures, 1.0 + tally.successes);
  const double lower =
      core::beta_quantile(config_.credible_tail, 1.0 + tally.failures, 1.0 + tally.successes);
  if (lower <= config_.failure_rate_min) return 0.0;
  reasons.push_back("Playbook '" + std::string(playbook) + "' failing " +
                    percent_text(tally.failures / tally.runs()) + " of time");
  reasons.push_back(number_text(tally.failures, 0) + " of " + number_text(tally.runs(), 0) +
                    " runs failed; failure rate at least " + percent_text(lower) +
                    " with 95% probability");
  return over;
}

double PlaybookWatch::below_baseline(const PlaybookRecord& record,
                                     std::vector<std::string>& reasons,
                                     std::string_view playbook) const {
  const double baseline_runs = record.baseline_successes + record.baseline_failures;
  if (baseline_runs < config_.baseline_runs_min) return 0.0;
  const Tally recent = tally_of(record.history, config_.recent_runs);
  if (recent.runs() < config_.runs_min) return 0.0;
  const double baseline = record.baseline_successes / baseline_runs;
  const double bound = baseline - config_.success_drop_min;
  if (bound <= 0.0) return 0.0;
  const double below = core::beta_cdf(bound, 1.0 + recent.successes, 1.0 + recent.failures);
  if (below < 1.0 - config_.credible_tail) return 0.0;
  reasons.push_back("Success rate of '" + std::string(playbook) + "' dropped from " +
                    percent_text(baseline) + " to " +
                    percent_text(recent.successes / recent.runs()) + " in the last " +
                    number_text(recent.runs(), 0) + " runs");
  return below;
}

void PlaybookWatch::check_playbook(PlaybookRecord& record, const core::PlaybookRun& run,
                                   core::FindingSink& sink) {
  std::vector<std::string> reasons;
  const double failing = consistent_failure(record, reasons, run.playbook);
  const double dropped = below_baseline(record, reasons, run.playbook);
  if (reasons.empty()) {
    record.failures_at_fire = 0;
    return;
  }
  // A success while the issue stands is no news.
  if (run.state == core::RunState::kSucceeded) return;
  if (record.failures_at_fire != 0 &&
      static_cast<double>(record.failures) <
          config_.refire_factor * static_cast<double>(record.failures_at_fire)) {
    return;
  }
  record.failures_at_fire = record.failures;
  core::Finding finding = issue_of(run);
  finding.what = run.playbook;
  finding.confidence = std::max(failing, dropped);
  finding.impact = core::Impact::kMedium;
  finding.reasoning = std::move(reasons);
  const Tally tally = tally_of(record.history, PlaybookRecord::kHistoryMax);
  finding.metadata.emplace_back("playbook", "\"" + run.playbook + "\"");
  finding.metadata.emplace_back("runs", number_text(tally.runs(), 0));
  finding.metadata.emplace_back("failures", number_text(tally.failures, 0));
  for (auto at = record.history.rbegin(); at != record.history.rend(); ++at) {
    if (!at->success) add_evidence(finding, at->incident_id, at->ts_ns, at->run_id + " failed");
  }
  propose_minimum(finding,
                  most_frequent(record.history,
                                [](const PlaybookRecord::Run& r) -> std::optional<core::Source> {
                                  if (r.success) return std::nullopt;
                                  return r.source;
                                }),
                  run.changed_ts_ns);
  sink.finding(std::move(finding));
}

void PlaybookWatch::check_domains(const core::PlaybookRun& run, core::FindingSink& sink) {
  const std::int64_t oldest = run.changed_ts_ns - to_ns(config_.cross_domain_window);
  while (!failures_.empty() && failures_.front().ts_ns < oldest) failures_.pop_front();
  const core::ServiceNode* const node = context_.topology.find(run.service);
  if (node == nullptr || node->domain.empty()) return;
  if (failures_.size() >= config_.failures_max) {
    ++refused_count_;
    failures_.pop_front();
  }
  failures_.push_back({run.changed_ts_ns, run.diagnosis_code, run.service, node->domain, run.run_id,
                       run.incident_id, source_of_incident(run.incident_id)});

  std::vector<Failure> same;
  std::set<std::string> domains;
  for (const Failure& failure : failures_) {
    if (failure.diagnosis_code != run.diagnosis_code) continue;
    same.push_back(failure);
    domains.insert(failure.domain);
  }
  const auto fired = domains_fired_.find(run.diagnosis_code);
  const bool shows = domains.size() >= 2 && same.size() >= config_.cross_domain_failures_min;
  if (!shows) {
    if (fired != domains_fired_.end()) domains_fired_.erase(fired);
    return;
  }
  const auto count = static_cast<double>(same.size());
  if (fired != domains_fired_.end() &&
      count < config_.refire_factor * static_cast<double>(fired->second)) {
    return;
  }
  if (fired == domains_fired_.end() && domains_fired_.size() >= config_.failures_max) {
    domains_fired_.erase(domains_fired_.begin());
  }
  domains_fired_[run.diagnosis_code] = same.size();

  core::Finding finding = issue_of(run);
  finding.what = "failures:" + run.diagnosis_code;
  // The chance that so many runs of independent domains fail by themselves, at the rate at which
  // all other runs fail.
  const double other_rate =
      (std::max(0.0, failures_all_ - count) + 1.0) / (std::max(0.0, runs_all_ - count) + 2.0);
  finding.confidence = 1.0 - std::pow(other_rate, count);
  finding.impact = domains.size() > 2 ? core::Impact::kHigh : core::Impact::kMedium;
  std::string names;
  std::string json = "[";
  for (const std::string& domain : domains) {
    names += (names.empty() ? "" : ", ") + domain;
    json += (json.size() == 1 ? "\"" : ",\"") + domain + "\"";
  }
  finding.reasoning = {"Runs for '" + run.diagnosis_code + "' failed " + number_text(count, 0) +
                           " times in " + std::to_string(domains.size()) + " domains: " + names,
                       "Cross-domain correlation detected"};
  finding.metadata.emplace_back("affected_domains", json + "]");
  for (auto at = same.rbegin(); at != same.rend(); ++at) {
    add_evidence(finding, at->incident_id, at->ts_ns, at->run_id + " failed on " + at->service);
  }
  propose_minimum(
      finding,
      most_frequent(same, [](const Failure& f) { return std::optional<core::Source>(f.source); }),
      run.changed_ts_ns);
  sink.finding(std::move(finding));
}

core::Finding PlaybookWatch::issue_of(const core::PlaybookRun& run) const {
  core::Finding finding;
  finding.type = core::TriggerType::kSystemicIssue;
  finding.service = run.service;
  if (const auto* const node = context_.topology.find(run.service)) finding.domain = node->domain;
  finding.diagnosis_code = kDiagnosis;
  finding.ts_ns = run.changed_ts_ns;
  finding.suggested_playbooks = {"adjust_threshold", "investigate_root_cause"};
  return finding;
}

void PlaybookWatch::add_evidence(core::Finding& finding, std::string_view incident_id,
                                 std::int64_t ts_ns, std::string note) const {
  if (finding.evidence.size() >= core::kEvidenceMax) return;
  const IncidentNote* const incident = notes_.find(incident_id);
  if (incident == nullptr) return;
  finding.evidence.push_back({incident->sequence, ts_ns, std::move(note)});
}

// Runs that do not heal may answer triggers that should not have acted: the minimum confidence of
// the source behind them goes up.
void PlaybookWatch::propose_minimum(core::Finding& finding, core::Source source,
                                    std::int64_t now_ns) const {
  const ThresholdMove move =
      plan_move(context_.learned, minimum_of(source), /*up=*/true, config_.step_share, now_ns);
  if (move.possible()) describe_move(move, finding);
}

core::Source PlaybookWatch::source_of_incident(std::string_view incident_id) const {
  const IncidentNote* const incident = notes_.find(incident_id);
  return incident == nullptr ? core::Source::kImmutableLog : incident->source;
}

}  // namespace grace::meta_loop
