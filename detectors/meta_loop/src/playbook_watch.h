#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "grace/core/detector.h"
#include "grace/meta_loop/meta_loop.h"
#include "incident_notes.h"

namespace grace::meta_loop {

// Runs won and lost by one playbook.
struct PlaybookRecord {
  static constexpr std::size_t kHistoryMax = 64;
  struct Run {
    bool success = false;
    std::int64_t ts_ns = 0;
    std::string run_id;
    std::string incident_id;
    core::Source source = core::Source::kImmutableLog;  // who raised its incident
  };
  std::deque<Run> history;        // newest last
  double baseline_successes = 0;  // of the runs before the recent ones
  double baseline_failures = 0;
  std::uint64_t failures_at_fire = 0;  // 0: nothing was said, or it is over
  std::uint64_t failures = 0;          // all
  std::uint64_t successes = 0;
};

// Systemic issues: playbooks that fail consistently or worse than they used to, and one failure
// that shows across domains. Thread: the ordered stage's. Bounds: MetaLoopConfig.
class PlaybookWatch {
 public:
  PlaybookWatch(const MetaLoopConfig& config, const core::OrderedContext& context,
                const IncidentNotes& notes)
      : config_(config), context_(context), notes_(notes) {}

  // A run that ended as kSucceeded or kFailed.
  void on_end(const core::PlaybookRun& run, core::FindingSink& sink);
  // Null when the playbook has not been seen.
  [[nodiscard]] const PlaybookRecord* find(std::string_view playbook) const;
  [[nodiscard]] std::uint64_t refused_count() const noexcept { return refused_count_; }

 private:
  struct Failure {
    std::int64_t ts_ns = 0;
    std::string diagnosis_code;
    std::string service;
    std::string domain;
    std::string run_id;
    std::string incident_id;
    core::Source source = core::Source::kImmutableLog;
  };

  void count(PlaybookRecord& record, const core::PlaybookRun& run);
  void check_playbook(PlaybookRecord& record, const core::PlaybookRun& run,
                      core::FindingSink& sink);
  void check_domains(const core::PlaybookRun& run, core::FindingSink& sink);
  [[nodiscard]] double consistent_failure(const PlaybookRecord& record,
                                          std::vector<std::string>& reasons,
                                          std::string_view playbook) const;
  [[nodiscard]] double below_baseline(const PlaybookRecord& record,
                                      std::vector<std::string>& reasons,
                                      std::string_view playbook) const;
  [[nodiscard]] core::Finding issue_of(const core::PlaybookRun& run) const;
  void add_evidence(core::Finding& finding, std::string_view incident_id, std::int64_t ts_ns,
                    std::string note) const;
  void propose_minimum(core::Finding& finding, core::Source source, std::int64_t now_ns) const;
  [[nodiscard]] core::Source source_of_incident(std::string_view incident_id) const;

  const MetaLoopConfig& config_;
  const core::OrderedContext& context_;
  const IncidentNotes& notes_;
  std::map<std::string, PlaybookRecord, std::less<>> playbooks_;
  std::deque<Failure> failures_;                                   // by time, cross_domain_window
  std::map<std::string, std::size_t, std::less<>> domains_fired_;  // diagnosis -> failures then
  double runs_all_ = 0.0, failures_all_ = 0.0;
  std::uint64_t refused_count_ = 0;
};

}  // namespace grace::meta_loop
