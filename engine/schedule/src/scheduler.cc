#include "grace/schedule/scheduler.h"

#include <algorithm>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/time.h"
#include "run_records.h"
#include "scheduler_impl.h"

namespace grace::schedule {

using core::PlaybookRun;
using core::RunState;

Scheduler::Impl::Impl(ScheduleConfig config, const PlaybookSet& playbooks, const Wiring& wiring)
    : config_(std::move(config)),
      playbooks_(playbooks),
      trust_(config_.trust),
      wiring_(wiring),
      limits_(config_),
      breakers_(config_.breakers) {}

Scheduler::Impl::Entry::Entry(Impl& impl, const Moment& moment) : impl_(impl) {
  ++impl_.depth_;
  impl_.moment_.sequence = moment.sequence;
  impl_.moment_.now_ns = std::max(impl_.moment_.now_ns, moment.now_ns);
}

Scheduler::Impl::Entry::~Entry() {
  // Inside a listener's call: the outermost Entry delivers what this one added.
  if (impl_.depth_ == 1) {
    impl_.sweep();
    while (!impl_.changes_.empty()) {
      const auto [run, moment] = std::move(impl_.changes_.front());
      impl_.changes_.pop_front();
      if (impl_.wiring_.listener != nullptr) impl_.wiring_.listener->on_run(run, moment);
      impl_.sweep();
    }
  }
  --impl_.depth_;
}

void Scheduler::Impl::sweep() {
  for (auto it = active_.begin(); it != active_.end();) {
    if (!it->second->view.ended) {
      ++it;
      continue;
    }
    history_.push_back(std::move(it->second->view));
    if (history_.size() > config_.history_max) history_.pop_front();
    it = active_.erase(it);
  }
}

// Appends the change to the ledger; only then may its effect begin.
void Scheduler::Impl::publish(Run& run) {
  const std::string payload = run_payload(run);
  wiring_.records.append(core::Record{moment_.now_ns, kSchedulerActor, kRunAction, run.view.service,
                                      kSelfHeal, core::to_string(run.view.state), payload});
  ++runs_by_state_[static_cast<std::size_t>(run.view.state)];
  changes_.emplace_back(run.view, moment_);
}

void Scheduler::Impl::transition(Run& run, RunState to, std::string reason) {
  GRACE_ASSERT(core::is_legal_transition(run.view.state, to), "run %s: %s -> %s",
               run.view.run_id.c_str(), core::to_string(run.view.state).data(),
               core::to_string(to).data());
  --runs_by_state_[static_cast<std::size_t>(run.view.state)];
  run.view.state = to;
  run.view.reason = std::string(shortened(reason, 512));
  run.view.changed_ts_ns = moment_.now_ns;
  publish(run);
  note_state(run);
  if (run.view.ended) on_ended(run);
}

void Scheduler::Impl::on_ended(Run& run) {
  const RunState state = run.view.state;
  const bool was_executed = state != RunState::kDenied && state != RunState::kExpired;
  if (was_executed && run.playbook != nullptr) {
    limits_.note_run_ended(*run.playbook, run.view.service, moment_.now_ns);
  }
  wake(run.view.incident_id, run.view.service);
}

// Candidates that waited for this run are considered again at the next tick.
void Scheduler::Impl::wake(std::string_view incident_id, std::string_view service) {
  for (auto& [id, candidate] : candidates_) {
    const bool concerned =
        service.empty() || id == incident_id || candidate.incident.service == service;
    if (!concerned) continue;
    candidate.retry_at_ns = std::min(candidate.retry_at_ns, moment_.now_ns);
    next_retry_ns_ = std::min(next_retry_ns_, candidate.retry_at_ns);
  }
}

Run* Scheduler::Impl::active(std::string_view run_id) {
  const auto found = active_.find(run_id);
  return found == active_.end() || found->second->view.ended ? nullptr : found->second.get();
}

// The worse the problem, the earlier its turn: impact is priority, not permission.
std::vector<Run*> Scheduler::Impl::active_by_priority() {
  std::vector<Run*> runs;
  for (auto& [id, run] : active_) {
    if (!run->view.ended) runs.push_back(run.get());
  }
  std::stable_sort(runs.begin(), runs.end(), [](const Run* a, const Run* b) {
    if (a->incident.impact != b->incident.impact) return a->incident.impact > b->incident.impact;
    return a->view.confidence > b->view.confidence;
  });
  return runs;
}

void Scheduler::Impl::on_observation(const core::Observation& observation, const Moment& moment) {
  if (active_.empty()) return;  // the usual case, at the stream's rate
  Entry entry(*this, moment);
  for (auto& [id, run] : active_) {
    if (run->view.ended || !run->verification) continue;
    run->verification->on_observation(observation);
    judge_verification(*run);
  }
}

void Scheduler::Impl::on_tick(const Moment& moment) {
  Entry entry(*this, moment);
  for (Run* run : active_by_priority()) check_deadlines(*run);
  for (Run* run : active_by_priority()) {
    if (run->view.state == RunState::kApproved) try_start(*run);
  }
  if (moment_.now_ns >= next_retry_ns_) consider_due();
  if (moment_.now_ns - pruned_ns_ >= core::kNsPerMinute) {
    pruned_ns_ = moment_.now_ns;
    limits_.prune(moment_.now_ns);
  }
}

void Scheduler::Impl::on_step_result(const core::StepResult& result, const Moment& moment) {
  Entry entry(*this, moment);
  Run* run = active(result.run_id);
  if (run == nullptr || !run->in_flight || run->in_flight_index != result.step_index) {
    ++ignored_result_count_;
    return;
  }
  settle_step(*run, result, "{}");
  advance(*run);
}

std::size_t Scheduler::Impl::executing_count() const {
  std::size_t count = 0;
  for (const auto& [id, run] : active_) {
    const RunState state = run->view.state;
    if (!run->view.ended && (state == RunState::kExecuting || state == RunState::kVerifying ||
                             state == RunState::kRollingBack)) {
      ++count;
    }
  }
  return count;
}

std::vector<PlaybookRun> Scheduler::Impl::runs() const {
  std::vector<PlaybookRun> all(history_.begin(), history_.end());
  for (const auto& [id, run] : active_) all.push_back(run->view);
  std::stable_sort(all.begin(), all.end(), [](const PlaybookRun& a, const PlaybookRun& b) {
    return a.proposed_ts_ns < b.proposed_ts_ns;
  });
  return all;
}

const PlaybookRun* Scheduler::Impl::find(std::string_view run_id) const {
  const auto found = active_.find(run_id);
  if (found != active_.end()) return &found->second->view;
  for (auto it = history_.rbegin(); it != history_.rend(); ++it) {
    if (it->run_id == run_id) return &*it;
  }
  return nullptr;
}

// --- the public face ---

Scheduler::Scheduler(ScheduleConfig config, const PlaybookSet& playbooks, const Wiring& wiring)
    : impl_(std::make_unique<Impl>(std::move(config), playbooks, wiring)) {}
Scheduler::~Scheduler() = default;

void Scheduler::on_incident_ready(const core::Incident& incident, const Moment& moment) {
  impl_->on_incident_ready(incident, moment);
}
void Scheduler::on_incident_update(const core::Incident& incident, const Moment& moment) {
  impl_->on_incident_update(incident, moment);
}
void Scheduler::on_observation(const core::Observation& observation, const Moment& moment) {
  impl_->on_observation(observation, moment);
}
void Scheduler::on_tick(const Moment& moment) {
  impl_->on_tick(moment);
}
void Scheduler::on_step_result(const core::StepResult& result, const Moment& moment) {
  impl_->on_step_result(result, moment);
}
bool Scheduler::approve(std::string_view run_id, std::string_view actor, std::string_view reason,
                        const Moment& moment) {
  return impl_->approve(run_id, actor, reason, moment);
}
bool Scheduler::reject(std::string_view run_id, std::string_view actor, std::string_view reason,
                       const Moment& moment) {
  return impl_->reject(run_id, actor, reason, moment);
}
void Scheduler::pause(std::string_view actor, std::string_view reason, const Moment& moment) {
  impl_->set_paused(true, actor, reason, moment);
}
void Scheduler::resume(std::string_view actor, std::string_view reason, const Moment& moment) {
  impl_->set_paused(false, actor, reason, moment);
}
bool Scheduler::acknowledge(std::string_view breaker, std::string_view actor,
                            const Moment& moment) {
  return impl_->acknowledge(breaker, actor, moment);
}
void Scheduler::recover(const core::Record& record) {
  impl_->recover(record);
}
void Scheduler::recovered(const Moment& moment) {
  impl_->recovered(moment);
}
std::vector<PlaybookRun> Scheduler::runs() const {
  return impl_->runs();
}
const PlaybookRun* Scheduler::find(std::string_view run_id) const {
  return impl_->find(run_id);
}
std::array<std::uint64_t, core::kRunStateCount> Scheduler::runs_by_state() const {
  return impl_->runs_by_state();
}
bool Scheduler::paused() const noexcept {
  return impl_->paused();
}
std::vector<std::string> Scheduler::open_breakers() const {
  return impl_->breakers().open();
}
std::uint64_t Scheduler::refused_count() const noexcept {
  return impl_->refused_count();
}
std::uint64_t Scheduler::ignored_result_count() const noexcept {
  return impl_->ignored_result_count();
}
std::size_t Scheduler::executing_count() const noexcept {
  return impl_->executing_count();
}

}  // namespace grace::schedule
