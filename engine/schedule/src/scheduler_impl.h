#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "breaker.h"
#include "grace/schedule/scheduler.h"
#include "proposal_limits.h"
#include "verification.h"

namespace grace::schedule {

// A run with what only the scheduler needs to know about it.
struct Run {
  core::PlaybookRun view;
  const Playbook* playbook = nullptr;  // null: recovered, and its playbook is gone or has changed
  std::string playbook_digest;
  core::Incident incident;  // as it was when proposed
  Parameters parameters;
  bool approved_by_person = false;

  std::uint32_t next_step = 0;
  bool in_flight = false;             // a step has been started and its result is not known
  std::uint32_t in_flight_index = 0;  // StepCommand::step_index
  std::int64_t deadline_ns = 0;       // of the step in flight
  bool step_failed = false;           // recovered: a step failed, and its run did not hear of it
  std::vector<std::uint32_t> done;    // steps that have or may have had an effect, in order
  std::deque<std::uint32_t> rollback_queue;
  std::string rollback_failure;

  std::optional<Verification> verification;
  std::int64_t next_probe_ns = 0;
};

// The scheduler's inside. Files: scheduler.cc (inputs, ticks, queries), proposals.cc (from incident
// to decision), approvals.cc (people, and the gate before execution), run_steps.cc (execution,
// verification, rollback), recovery.cc (restart).
class Scheduler::Impl {
 public:
  Impl(ScheduleConfig config, const PlaybookSet& playbooks, const Wiring& wiring);

  void on_incident_ready(const core::Incident& incident, const Moment& moment);
  void on_incident_update(const core::Incident& incident, const Moment& moment);
  void on_observation(const core::Observation& observation, const Moment& moment);
  void on_tick(const Moment& moment);
  void on_step_result(const core::StepResult& result, const Moment& moment);
  bool approve(std::string_view run_id, std::string_view actor, std::string_view reason,
               const Moment& moment);
  bool reject(std::string_view run_id, std::string_view actor, std::string_view reason,
              const Moment& moment);
  void set_paused(bool paused, std::string_view actor, std::string_view reason,
                  const Moment& moment);
  bool acknowledge(std::string_view breaker, std::string_view actor, const Moment& moment);
  void recover(const core::Record& record);
  void recovered(const Moment& moment);

  [[nodiscard]] std::vector<core::PlaybookRun> runs() const;
  [[nodiscard]] const core::PlaybookRun* find(std::string_view run_id) const;
  [[nodiscard]] const std::array<std::uint64_t, core::kRunStateCount>& runs_by_state() const {
    return runs_by_state_;
  }
  [[nodiscard]] bool paused() const noexcept { return paused_; }
  [[nodiscard]] const BreakerBoard& breakers() const noexcept { return breakers_; }
  [[nodiscard]] std::uint64_t refused_count() const noexcept {
    return refused_count_ + limits_.evicted_count();
  }
  [[nodiscard]] std::uint64_t ignored_result_count() const noexcept {
    return ignored_result_count_;
  }
  [[nodiscard]] std::size_t executing_count() const;

 private:
  // Brackets every input. The outermost one moves ended runs to the history and tells the listener
  // what changed, when no reference to a run is held any more, so a listener may call back in.
  class Entry {
   public:
    Entry(Impl& impl, const Moment& moment);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    Impl& impl_;
  };

  // An incident that may get a (further) run.
  struct Candidate {
    core::Incident incident;
    std::int64_t retry_at_ns = 0;
    std::string refusal;  // last recorded one, so that each is recorded once
    bool healed = false;  // by a verified run: nothing more is proposed
  };
  // What has been tried for an incident.
  struct Attempts {
    std::uint32_t count = 0;
    std::int64_t last_ns = 0;
    std::map<std::string, core::RunState, std::less<>> playbooks;  // latest state of each
  };
  struct Refusal {
    std::string rule;
    std::string explanation;
    std::int64_t retry_at_ns = kNever;
  };
  struct Choice {
    const Playbook* playbook = nullptr;
    Parameters parameters;
    std::string run_id;
    Refusal refusal;  // when there is no playbook
  };
  static constexpr std::int64_t kNever = INT64_MAX;

  // --- scheduler.cc ---
  void sweep();
  void transition(Run& run, core::RunState to, std::string reason);
  void publish(Run& run);
  void on_ended(Run& run);
  void wake(std::string_view incident_id, std::string_view service);
  [[nodiscard]] Run* active(std::string_view run_id);
  [[nodiscard]] std::vector<Run*> active_by_priority();

  // --- proposals.cc ---
  void consider(Candidate& candidate);
  void consider_due();
  [[nodiscard]] std::optional<Refusal> should_propose(const core::Incident& incident) const;
  [[nodiscard]] Choice choose(const core::Incident& incident) const;
  [[nodiscard]] std::string run_id_of(const core::Incident& incident,
                                      std::string_view playbook) const;
  void propose(const core::Incident& incident, Choice choice);
  void refuse(Candidate& candidate, const Refusal& refusal);
  [[nodiscard]] TrustDecision decide(const Run& run);
  void record_decision(const Run& run, const TrustDecision& decision);
  void measure_blast_radius(Run& run) const;
  void note_attempt(const Run& run);
  void note_state(const Run& run);
  void record_trip(const BreakerBoard::Trip& trip);

  // --- approvals.cc ---
  void try_start(Run& run);
  [[nodiscard]] bool must_wait(const Run& run) const;
  [[nodiscard]] std::string objection_to_start(Run& run);
  void expire(Run& run, std::string reason);
  void withdraw_runs_of(const core::Incident& incident);
  void record_person(std::string_view action, std::string_view result, std::string_view actor,
                     std::string_view resource, std::string_view subject, std::string_view reason);

  // --- run_steps.cc ---
  void advance(Run& run);
  void do_step(Run& run, std::uint32_t index, const ActionSpec& action);
  [[nodiscard]] core::StepResult do_internal(Run& run, const ActionSpec& action,
                                             std::string& report);
  void settle_step(Run& run, const core::StepResult& result, std::string_view report);
  void begin_verifying(Run& run);
  void judge_verification(Run& run);
  void probe_if_due(Run& run);
  void succeed(Run& run, std::string reason);
  void fail(Run& run, std::string reason);
  void queue_rollback(Run& run);
  void begin_rollback(Run& run);
  void finish_rollback(Run& run);
  void check_deadlines(Run& run);
  [[nodiscard]] const ActionSpec& action_of(const Run& run, std::uint32_t index) const;
  [[nodiscard]] std::string step_name(const Run& run, std::uint32_t index) const;
  void record_step(const Run& run, std::uint32_t index, std::string_view result,
                   const core::StepResult* outcome, std::string_view report);

  // --- recovery.cc ---
  void recover_run(const core::Record& record);
  void recover_step(const core::Record& record);
  void recover_limits(const Run& run, std::int64_t ts_ns);
  void resume_recovered(Run& run);
  void resume_executing(Run& run);
  void resume_rolling_back(Run& run);

  const ScheduleConfig config_;
  const PlaybookSet& playbooks_;
  const TrustCore trust_;
  const Wiring wiring_;

  ProposalLimits limits_;
  BreakerBoard breakers_;
  std::map<std::string, Candidate, std::less<>> candidates_;  // by incident id
  std::map<std::string, Attempts, std::less<>> attempts_;     // by incident id
  std::map<std::string, std::unique_ptr<Run>, std::less<>> active_;
  std::deque<core::PlaybookRun> history_;  // ended, oldest first
  std::array<std::uint64_t, core::kRunStateCount> runs_by_state_{};
  std::deque<std::pair<core::PlaybookRun, Moment>> changes_;  // not yet told to the listener
  Moment moment_;            // of the input being handled; now_ns never goes back
  std::uint32_t depth_ = 0;  // nested Entry count
  bool paused_ = false;
  std::int64_t next_retry_ns_ = kNever;  // earliest of candidates_
  std::int64_t pruned_ns_ = 0;
  std::uint64_t refused_count_ = 0;
  std::uint64_t ignored_result_count_ = 0;
};

}  // namespace grace::schedule
