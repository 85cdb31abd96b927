// What the session rule says about an odd session.
#include <algorithm>
#include <array>
#include <string>

#include "error_rule.h"
#include "grace/core/json_writer.h"
#include "session_rule.h"
#include "text.h"

namespace grace::log_analyzer {
namespace {

constexpr std::size_t kDifferencesTold = 4;

std::string times(std::uint32_t count) {
  return count == 1 ? "once" : std::to_string(count) + " times";
}

std::string nats_of(double nats) {
  return decimal(nats, 1) + " nats";
}

}  // namespace

std::string SessionRule::name_of(std::uint32_t symbol) const {
  if (symbol == models::SessionModel::kEndSymbol) return "(the rarer steps together)";
  const std::uint32_t slot = names_.find(symbol_key(symbol));
  return slot == kNoSlot ? "(a step not seen of late)" : std::string(names_[slot]);
}

void SessionRule::describe_counts(const Session& session, const Kind& kind,
                                  core::Finding& finding) const {
  std::array<models::CountDifference, kDifferencesTold> differences;
  const std::size_t used = kind.model->differences(session.counted, differences);
  for (std::size_t i = 0; i < used; ++i) {
    const models::CountDifference& each = differences[i];
    const std::string name = name_of(each.symbol);
    const std::string weight = " (" + nats_of(each.nats) + ")";
    if (each.count == 0) {
      finding.reasoning.push_back("Missing step: " + name + ", usually " + times(each.usual) +
                                  weight);
    } else if (each.usual == 0) {
      finding.reasoning.push_back("Step too many: " + name + ", " + times(each.count) + weight);
    } else {
      finding.reasoning.push_back("Count: " + name + " " + times(each.count) + ", usually " +
                                  times(each.usual) + weight);
    }
    if (i == 0) finding.what = name;
  }
}

void SessionRule::describe_steps(const Session& session, const Kind& kind, const Verdict& verdict,
                                 core::Finding& finding) const {
  const double at_end = verdict.over ? kind.model->end_probability(session.counted) : 1.0;
  if (at_end < session.odd.probability) {
    const std::string step = name_of(session.progress.last_symbol) + " -> end";
    finding.reasoning.push_back("Transition: " + step + ", probability " + decimal(at_end, 5));
    finding.evidence.push_back({session.progress.last_sequence, session.progress.last_ts_ns, step});
    return;
  }
  if (session.odd.sequence == 0) return;
  const std::string after = session.odd.after == kNoSymbol ? "start" : name_of(session.odd.after);
  const std::string step = after + " -> " + std::string(session.odd.names.action);
  finding.reasoning.push_back("Transition: " + step + ", probability " +
                              decimal(session.odd.probability, 5));
  finding.evidence.push_back({session.odd.sequence, session.odd.ts_ns, step});
  if (verdict.score.step < verdict.score.counts) return;
  finding.service = session.odd.names.service();
  finding.domain = session.odd.names.domain;
  finding.what = session.odd.names.action;
}

void SessionRule::report(const Session& session, const Kind& kind, const Verdict& verdict,
                         std::int64_t now_ns, core::FindingSink& sink) const {
  const models::SessionScore& score = verdict.score;
  core::Finding finding;
  finding.type = core::TriggerType::kAnomalySequence;
  finding.confidence = verdict.confidence;
  finding.service = session.names.service();
  finding.domain = session.names.domain;
  finding.diagnosis_code = "unusual_session";
  finding.what = name_of(session.progress.last_symbol);
  finding.suggested_playbooks = {"immediate_investigation", "investigate_root_cause"};
  finding.ts_ns = now_ns;
  finding.evidence.push_back({session.first_sequence, session.first_ts_ns,
                              "first step: " + std::string(session.names.action)});
  finding.reasoning.push_back("Unusual session of " + std::string(session.names.actor) + ": " +
                              std::to_string(session.progress.steps) +
                              (verdict.over ? " steps" : " steps so far") + ", the longest of " +
                              std::to_string(kind.model->session_count()) + " learned has " +
                              std::to_string(kind.steps_max));
  describe_counts(session, kind, finding);
  if (score.symbol > 0.0) {
    finding.reasoning.push_back("A step that no session had before (" + nats_of(score.symbol) +
                                ")");
  }
  describe_steps(session, kind, verdict, finding);
  if (session.progress.last_sequence != finding.evidence.back().sequence) {
    finding.evidence.push_back({session.progress.last_sequence, session.progress.last_ts_ns,
                                "last step: " + name_of(session.progress.last_symbol)});
  }
  finding.reasoning.push_back("Score " + nats_of(score.total()) + ", threshold " +
                              decimal(kind.threshold, 1) + ": one normal session in " +
                              decimal(1.0 / std::max(verdict.chance, 1e-15), 0) +
                              " scores as much");
  const bool grave = session.error || names_critical(session.names);
  finding.impact = grave ? core::Impact::kHigh : core::Impact::kMedium;
  finding.metadata = {{"pattern", core::json_quoted("unusual_session")},
                      {"actor", core::json_quoted(session.names.actor)},
                      {"score_nats", decimal(score.total(), 3)},
                      {"threshold_nats", decimal(kind.threshold, 3)},
                      {"symbol_nats", decimal(score.symbol, 3)},
                      {"counts_nats", decimal(score.counts, 3)},
                      {"step_nats", decimal(score.step, 3)},
                      {"steps", std::to_string(session.progress.steps)},
                      {"over", verdict.over ? "true" : "false"},
                      {"similar_sessions_before", std::to_string(kind.odd_run - 1)}};
  sink.finding(std::move(finding));
}

}  // namespace grace::log_analyzer
