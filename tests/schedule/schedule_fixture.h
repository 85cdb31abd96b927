#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/hash.h"
#include "grace/core/time.h"
#include "grace/schedule/schedule_config.h"
#include "grace/schedule/scheduler.h"

namespace grace::schedule {

using core::kNsPerMinute;
using core::kNsPerSecond;
using core::RunState;

struct KeptRecord {
  std::int64_t ts_ns = 0;
  std::string actor, action, resource, subsystem, result, payload;
  [[nodiscard]] core::Record view() const {
    return {ts_ns, actor, action, resource, subsystem, result, payload};
  }
};

class RecordLog final : public core::RecordSink {
 public:
  void append(const core::Record& record) override {
    records.push_back({record.ts_ns, std::string(record.actor), std::string(record.action),
                       std::string(record.resource), std::string(record.subsystem),
                       std::string(record.result), std::string(record.payload)});
  }
  std::vector<KeptRecord> records;
};

// Steps succeed at once unless told otherwise; with `held` they stay in flight until answered.
class FakeExecutor final : public core::StepExecutor {
 public:
  [[nodiscard]] bool synchronous() const noexcept override { return !held; }
  core::StepResult run(const core::StepCommand& command) override {
    commands.push_back(command);
    if (on_command) on_command(command);
    return result_of(command);
  }
  [[nodiscard]] bool submit(const core::StepCommand& command) override {
    if (refuse) return false;
    commands.push_back(command);
    if (on_command) on_command(command);
    return true;
  }
  [[nodiscard]] core::StepResult result_of(const core::StepCommand& command) const {
    core::StepResult result;
    result.run_id = command.run_id;
    result.step_index = command.step_index;
    const auto code = exit_codes.find(command.step_index);
    result.exit_code = code == exit_codes.end() ? 0 : code->second;
    result.ok = result.exit_code == 0;
    result.timed_out = timed_out.contains(command.step_index);
    if (result.timed_out) result.ok = false;
    return result;
  }
  bool held = false;
  bool refuse = false;
  std::map<std::uint32_t, int> exit_codes;
  std::map<std::uint32_t, bool> timed_out;
  std::vector<core::StepCommand> commands;
  std::function<void(const core::StepCommand&)> on_command;
};

class FakeBuiltins final : public BuiltinHandler {
 public:
  BuiltinResult adjust_threshold(const core::PlaybookRun& run, const core::Incident&,
                                 const Moment&) override {
    adjusted.push_back(run.run_id);
    return {true, "moved", "{\"parameter\":\"x\"}"};
  }
  bool emit(std::string_view event_type, const core::PlaybookRun&, const Moment&) override {
    emitted.emplace_back(event_type);
    return true;
  }
  std::vector<std::string> adjusted, emitted;
};

class RunLog final : public RunListener {
 public:
  void on_run(const core::PlaybookRun& run, const Moment& moment) override {
    changes.push_back(run);
    if (on_change) on_change(run, moment);
  }
  std::vector<core::PlaybookRun> changes;
  std::function<void(const core::PlaybookRun&, const Moment&)> on_change;
};

inline ActionSpec exec_of(std::vector<std::string> argv) {
  ActionSpec action;
  action.place = {"grace.toml", 7};
  action.argv = std::move(argv);
  return action;
}

// A playbook of one command, verified by the service's metrics being back in their range.
inline Playbook playbook_of(std::string name, std::vector<std::string> argv) {
  Playbook playbook;
  playbook.place = {"grace.toml", 5};
  playbook.name = std::move(name);
  playbook.risk = Risk::kLow;
  ParameterSpec service;
  service.name = "service";
  playbook.parameters.push_back(service);
  StepSpec step;
  step.name = "act";
  step.action = exec_of(std::move(argv));
  playbook.steps.push_back(step);
  VerificationSpec verification;
  verification.checks.emplace_back();
  playbook.verification = verification;
  return playbook;
}

// A small language to tell a scheduler's day in.
class ScheduleTest : public ::testing::Test {
 protected:
  static constexpr std::int64_t kStartNs = 1'736'950'000LL * kNsPerSecond;  // a Wednesday, 14:06:40

  ScheduleTest() {
    config.trust.mode = Mode::kAuto;
    config.limits.exec_allowed = {"/usr/bin/act", "/usr/bin/undo"};
    topology.upsert({"api_service", "core", {}, 2, core::Criticality::kHigh});
    topology.upsert({"web_frontend", "edge", {"api_service"}, 2, core::Criticality::kHigh});
    topology.upsert({"auth_service", "core", {}, 2, core::Criticality::kCritical});
    for (const char* name : {"one", "two", "three"}) {
      topology.upsert({name, "apps", {"auth_service"}, 1, core::Criticality::kLow});
    }
    playbooks.push_back(playbook_of("scale_up_instances", {"/usr/bin/act", "{service}"}));
    playbooks.push_back(playbook_of("warm_cache", {"/usr/bin/act", "warm", "{service}"}));
  }

  void start() {
    auto set = PlaybookSet::build(playbooks, config.limits);
    ASSERT_TRUE(set.has_value()) << set.error().message;
    playbook_set = std::make_unique<PlaybookSet>(std::move(*set));
    auto checked = validated(config);
    ASSERT_TRUE(checked.has_value()) << checked.error().message;
    scheduler = std::make_unique<Scheduler>(
        *checked, *playbook_set, Scheduler::Wiring{topology, log, executor, builtins, &listener});
  }

  // A crash and a restart: the new scheduler knows what the ledger holds, nothing else.
  void restart_after(std::size_t record_count) {
    std::vector<KeptRecord> kept(log.records.begin(),
                                 log.records.begin() + static_cast<std::ptrdiff_t>(record_count));
    log.records = kept;
    listener.changes.clear();
    executor.commands.clear();
    start();
    for (const auto& record : kept) scheduler->recover(record.view());
    scheduler->recovered(now());
  }

  core::Incident incident(std::string id, std::string service = "api_service") {
    core::Incident incident;
    incident.incident_id = std::move(id);
    incident.service = std::move(service);
    incident.diagnosis_code = "latency_spike";
    incident.suggested_playbooks = {"scale_up_instances"};
    incident.confidence = 0.9;
    incident.impact = core::Impact::kHigh;
    core::Contribution contribution;
    contribution.source = core::Source::kProactiveMl;
    contribution.confidence = 0.9;
    contribution.log_odds = 2.2;
    incident.contributions.push_back(contribution);
    return incident;
  }

  [[nodiscard]] Moment now() const { return {sequence, now_ns}; }
  Moment next() {
    ++sequence;
    return now();
  }
  void ready(const core::Incident& what) { scheduler->on_incident_ready(what, next()); }
  void pass(std::chrono::seconds time) {
    now_ns += time.count() * kNsPerSecond;
    scheduler->on_tick(next());
  }
  void observe(std::string_view service, double deviation) {
    core::Observation observation;
    observation.ts_ns = now_ns;
    observation.service = service;
    observation.name = "latency_ms";
    observation.role = core::MetricRole::kLatency;
    observation.value = 120;
    observation.deviation = deviation;
    observation.warm = true;
    observation.count = 4;
    scheduler->on_observation(observation, next());
  }
  void heal(std::string_view service = "api_service") {
    pass(std::chrono::seconds{60});
    observe(service, 0.2);
  }
  void answer_last_step(bool ok) {
    auto result = executor.result_of(executor.commands.back());
    result.ok = ok;
    result.exit_code = ok ? 0 : 1;
    scheduler->on_step_result(result, next());
  }
  [[nodiscard]] std::vector<std::string> states() const {
    std::vector<std::string> names;
    for (const auto& change : listener.changes) {
      names.emplace_back(core::to_string(change.state));
    }
    return names;
  }
  [[nodiscard]] const core::PlaybookRun& last() const { return listener.changes.back(); }
  [[nodiscard]] std::vector<const KeptRecord*> records_of(std::string_view action) const {
    std::vector<const KeptRecord*> found;
    for (const auto& record : log.records) {
      if (record.action == action) found.push_back(&record);
    }
    return found;
  }
  [[nodiscard]] std::size_t executed_count() const { return executor.commands.size(); }

  ScheduleConfig config;
  std::vector<Playbook> playbooks;
  core::Topology topology;
  RecordLog log;
  FakeExecutor executor;
  FakeBuiltins builtins;
  RunLog listener;
  std::unique_ptr<PlaybookSet> playbook_set;
  std::unique_ptr<Scheduler> scheduler;
  std::uint64_t sequence = 100;
  std::int64_t now_ns = kStartNs;
};

using Names = std::vector<std::string>;

}  // namespace grace::schedule
