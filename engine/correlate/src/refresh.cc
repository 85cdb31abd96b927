// What an incident says about itself, derived anew from its members whenever they change.
#include <algorithm>
#include <array>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/hash.h"
#include "grace/core/time.h"
#include "grace/correlate/correlator.h"

namespace grace::correlate {
namespace {

// Services among which the root cause is sought, in order of joining. Each pair costs a search of
// the dependency graph.
constexpr std::size_t kRootCandidatesMax = 16;

// What is judged ends so long after the first evidence: the model's window is five samples by the
// minute, and the minute under way counts, so that the evidence is still in it ...
constexpr std::int64_t kBeginningNs = 4 * core::kNsPerMinute;
// ... but not before the bin is closed in which the incident was opened.
constexpr std::int64_t kOpeningNs = core::kNsPerMinute;

// Lower comes first. Diagnostics look but heal nothing; a playbook that was suggested for another
// service may be right for the root cause, but less surely so.
enum class Rank : std::uint8_t { kForRoot = 0, kForOthers, kDiagnostic };

struct Ballot {
  std::string playbook;
  Rank rank = Rank::kForOthers;
  std::array<double, core::kSourceCount> by_source{};  // highest confidence of each
  [[nodiscard]] double votes() const {
    double sum = 0.0;
    for (const double confidence : by_source) sum += confidence;
    return sum;
  }
};

}  // namespace

struct Correlator::Candidate {
  std::string service;
  std::int64_t onset_ts_ns = 0;
  double confidence = 0.0;
  std::size_t dependents = 0;  // other candidates that depend on it
  double probability = 0.0;    // as ranked; 0: less probable than none of them
};

std::vector<Correlator::Candidate> Correlator::candidates_of(const Case& open) const {
  std::vector<Candidate> candidates;
  for (const Member& member : open.members) {
    if (member.weak) continue;
    const auto known = std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& c) {
      return c.service == member.service;
    });
    if (known != candidates.end()) {
      known->onset_ts_ns = std::min(known->onset_ts_ns, member.onset_ts_ns);
      known->confidence = std::max(known->confidence, member.opinion.confidence);
    } else if (candidates.size() < kRootCandidatesMax) {
      candidates.push_back({member.service, member.onset_ts_ns, member.opinion.confidence, 0, 0.0});
    }
  }
  for (Candidate& cause : candidates) {
    for (const Candidate& symptom : candidates) {
      if (cause.service == symptom.service) continue;
      // In a cycle each depends on the other: no direction, no vote.
      if (topology_.depends(symptom.service, cause.service) &&
          !topology_.depends(cause.service, symptom.service)) {
        ++cause.dependents;
      }
    }
  }
  return candidates;
}

// An incident is judged by its beginning. As it goes on, its trouble becomes part of the past that
// the window is judged against, and who was first is no longer in the window.
std::int64_t Correlator::ranked_until(const Case& open) {
  const std::int64_t opened_ns = open.incident.opened_ts_ns;
  std::int64_t onset_ns = opened_ns;
  for (const Member& member : open.members) {
    if (!member.weak) onset_ns = std::min(onset_ns, member.onset_ts_ns);
  }
  return std::max(onset_ns + kBeginningNs, opened_ns + kOpeningNs);
}

void Correlator::rank_causes(Case& open) {
  std::vector<models::Symptom> alarms;
  std::uint64_t hash = 0;
  for (const Member& member : open.members) {
    if (member.weak) continue;
    const models::Symptom alarm{member.service, member.alarm};
    if (std::find(alarms.begin(), alarms.end(), alarm) != alarms.end()) continue;
    hash = core::combine(core::combine(hash, core::hash_bytes(alarm.service)),
                         core::hash_bytes(alarm.metric));
    alarms.push_back(alarm);
  }
  const std::int64_t now_ns = std::max(now_ns_, open.incident.updated_ts_ns);
  const std::int64_t at_ns = std::min(now_ns, ranked_until(open));
  // Asked for again when other alarms ask or there may be news; past the share of a period the
  // last answer stands.
  const bool is_recent =
      open.ranked_ts_ns != 0 && at_ns - open.ranked_ts_ns < CauseFinder::kRankPeriodNs;
  if (is_recent && hash == open.ranked_alarms) return;
  if (!cause_finder_.may_rank(now_ns)) return;
  open.ranked_alarms = hash;
  open.ranked_ts_ns = at_ns;
  open.ranked.clear();
  open.causes = {};
  const auto ranking = cause_finder_.rank(at_ns, alarms);
  if (!ranking) return;
  open.causes.none = ranking->none;
  for (const models::RankedService& ranked : ranking->services) {
    if (open.causes.suspects.size() < kSuspectsMax) {
      open.causes.suspects.push_back(
          {ranked.service, ranked.probability, ranked.strongest_metric, ranked.onset_ns});
    } else {
      open.causes.others += ranked.probability;
    }
    const bool has_alarm = std::any_of(alarms.begin(), alarms.end(), [&](const auto& alarm) {
      return alarm.service == ranked.service;
    });
    if (has_alarm) open.ranked.emplace_back(ranked.service, ranked.probability);
  }
}

void Correlator::find_root_cause(Case& open) {
  std::vector<Candidate> candidates = candidates_of(open);
  GRACE_ASSERT(!candidates.empty(), "an incident without a trigger that may act");
  if (!open.stands_alone) rank_causes(open);  // a directive speaks about the engine itself
  open.causes.decides = false;
  for (Candidate& candidate : candidates) {
    const auto ranked = std::find_if(open.ranked.begin(), open.ranked.end(), [&](const auto& each) {
      return each.first == candidate.service;
    });
    if (ranked == open.ranked.end() || !(ranked->second > open.causes.none)) continue;
    candidate.probability = ranked->second;
    open.causes.decides = true;
  }
  const auto before = [](const Candidate& a, const Candidate& b) {
    if (a.probability != b.probability) return a.probability > b.probability;
    if (a.dependents != b.dependents) return a.dependents > b.dependents;
    if (a.onset_ts_ns != b.onset_ts_ns) return a.onset_ts_ns < b.onset_ts_ns;
    if (a.confidence != b.confidence) return a.confidence > b.confidence;
    return a.service < b.service;
  };
  open.incident.root_cause =
      std::min_element(candidates.begin(), candidates.end(), before)->service;
  open.incident.service = open.incident.root_cause;
}

void Correlator::refresh_playbooks(Case& open) const {
  std::vector<Ballot> ballots;  // in order of suggestion
  const auto find = [&](const std::string& playbook) {
    return std::find_if(ballots.begin(), ballots.end(),
                        [&](const Ballot& ballot) { return ballot.playbook == playbook; });
  };
  for (const Member& member : open.members) {
    if (member.weak) continue;
    for (const std::string& playbook : member.suggested_playbooks) {
      auto at = find(playbook);
      if (at == ballots.end()) at = ballots.insert(ballots.end(), Ballot{playbook});
      if (member.service == open.incident.root_cause) at->rank = Rank::kForRoot;
      if (is_diagnostic_playbook(playbook)) at->rank = Rank::kDiagnostic;
    }
  }
  for (const Member& member : open.members) {
    for (const std::string& playbook : member.suggested_playbooks) {
      const auto at = find(playbook);
      if (at == ballots.end()) continue;  // only weak evidence asks for it
      double& vote = at->by_source[static_cast<std::size_t>(member.opinion.source)];
      vote = std::max(vote, member.opinion.confidence);
    }
  }
  std::stable_sort(ballots.begin(), ballots.end(), [](const Ballot& a, const Ballot& b) {
    if (a.rank != b.rank) return a.rank < b.rank;
    return a.votes() > b.votes();
  });
  if (ballots.size() > core::kPlaybooksMax) ballots.resize(core::kPlaybooksMax);
  open.incident.suggested_playbooks.clear();
  for (Ballot& ballot : ballots) {
    open.incident.suggested_playbooks.push_back(std::move(ballot.playbook));
  }
}

void Correlator::refresh(Case& open) {
  core::Incident& incident = open.incident;
  incident.trigger_ids.clear();
  incident.impact = core::Impact::kLow;
  incident.proactive_only = true;
  incident.predicted_ts_ns = 0;
  std::vector<Opinion> opinions;
  const Member* strongest = nullptr;
  for (const Member& member : open.members) {
    opinions.push_back(member.opinion);
    incident.trigger_ids.push_back(member.opinion.trigger_id);
    if (member.opinion.source != core::Source::kProactiveMl) incident.proactive_only = false;
    if (member.weak) continue;
    incident.impact = std::max(incident.impact, member.impact);
    if (member.predicted_ts_ns > 0 &&
        (incident.predicted_ts_ns == 0 || member.predicted_ts_ns < incident.predicted_ts_ns)) {
      incident.predicted_ts_ns = member.predicted_ts_ns;
    }
    if (strongest == nullptr || member.opinion.confidence > strongest->opinion.confidence) {
      strongest = &member;
    }
  }
  GRACE_ASSERT(strongest != nullptr, "an incident without a trigger that may act");
  incident.diagnosis_code = strongest->diagnosis_code;
  Fused fused = fuse(opinions, learned_.weights(), config_.shared_evidence_min);
  incident.confidence = fused.confidence;
  incident.contributions = std::move(fused.contributions);
  find_root_cause(open);
  refresh_playbooks(open);
}

}  // namespace grace::correlate
