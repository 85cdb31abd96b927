#pragma once
#include <algorithm>

#include "engine_fixture.h"
#include "stream.h"

namespace grace::testing {
// Remembers every step instead of running it.
class RememberingExecutor final : public core::StepExecutor {
 public:
  [[nodiscard]] bool synchronous() const noexcept override { return true; }
  core::StepResult run(const core::StepCommand& command) override {
    commands.push_back(command);
    core::StepResult result;
    result.run_id = command.run_id;
    result.step_index = command.step_index;
    result.ok = true;
    result.exit_code = 0;
    return result;
  }
  [[nodiscard]] bool submit(const core::StepCommand& command) override {
    commands.push_back(command);
    return true;
  }
  std::vector<core::StepCommand> commands;
};

inline constexpr const char* kProgram = "/usr/bin/true";

inline void add_playbook(tools::AppConfig& config, schedule::Risk risk = schedule::Risk::kLow,
                         const std::string& diagnosis_pattern = "[a-z_]+") {
  schedule::Playbook playbook;
  playbook.name = "restart_api";
  playbook.risk = risk;
  // Built in place: GCC 12 warns of the moved temporary's strings (-Wmaybe-uninitialized).
  for (const auto& [name, pattern] : {std::pair<const char*, std::string>{"service", "[a-z_]+"},
                                      {"diagnosis", diagnosis_pattern}}) {
    schedule::ParameterSpec& parameter = playbook.parameters.emplace_back();
    parameter.name = name;
    parameter.pattern = pattern;
  }
  schedule::StepSpec step;
  step.action.argv = {kProgram, "restart", "{service}", "why={diagnosis}"};
  playbook.steps.push_back(step);
  schedule::CheckSpec check;
  check.kind = schedule::CheckKind::kErrors;
  check.value = 0.0;
  schedule::VerificationSpec verification;
  verification.checks.push_back(check);
  playbook.verification = verification;
  config.playbooks.push_back(playbook);
  config.engine.schedule.limits.exec_allowed = {kProgram};
}

inline std::string problem(std::string_view diagnosis, double confidence = 0.93) {
  return R"({"diagnosis_code":)" + core::json_quoted(diagnosis) + R"(,"confidence":)" +
         std::to_string(confidence) +
         R"(,"impact":"high","reasoning":["told"],"suggested_playbooks":["restart_api"]})";
}

// A service with `dependents`, whose actions succeed every five seconds.
class Modes : public ::testing::Test {
 protected:
  void know(int dependents = 0) {
    stream_.topology("api", "core");
    for (int i = 0; i < dependents; ++i) {
      stream_.topology("user_" + std::to_string(i), "edge", R"(["api"])");
    }
    // A fleet, of which one service is a small share.
    for (int i = 0; i < 8; ++i) stream_.topology("other_" + std::to_string(i), "edge");
  }
  void pass(std::int64_t duration_ns, std::string_view service = "api") {
    const std::int64_t end_ns = stream_.now_ns + duration_ns;
    for (; stream_.now_ns < end_ns; stream_.pass(5 * kNsPerSecond)) {
      stream_.action("gateway", "call", service, "core", "success");
    }
  }
  void falls_ill(std::string_view diagnosis = "health_degradation", double confidence = 0.93) {
    stream_.mesh("agentic_spine.health_degradation", "api", problem(diagnosis, confidence));
  }
  void approve() {
    stream_.control("approve", {{"service", R"("api")"}, {"playbook", R"("restart_api")"}});
  }
  // Runs what was written since the last call, on the same ledger.
  void run(schedule::Mode mode, std::function<void(tools::AppConfig&)> adjust = {},
           schedule::Risk risk = schedule::Risk::kLow, const std::string& pattern = "[a-z_]+") {
    RunOptions options;
    options.mode = mode;
    options.ledger = directory_ / "ledger";
    options.executor = &executor_;
    options.adjust = [&](tools::AppConfig& config) {
      add_playbook(config, risk, pattern);
      if (adjust) adjust(config);
    };
    options.look = [&](const pipeline::OrderedView& view) { paused_ = view.scheduler.paused(); };
    summary_ = run_stream(stream_.text(), options);
    stream_ = Stream(stream_.now_ns);
    entries_ = read_ledger(options.ledger);
  }
  // The states the runs of the ledger went through, in order.
  [[nodiscard]] std::vector<std::string> states() const {
    std::vector<std::string> states;
    for (const LedgerEntry& entry : of_action(entries_, "playbook_run")) {
      states.emplace_back(entry.at("result"));
    }
    return states;
  }
  [[nodiscard]] bool reached(std::string_view state) const {
    const auto all = states();
    return std::find(all.begin(), all.end(), state) != all.end();
  }
  [[nodiscard]] std::string ledger_text() const {
    std::string text;
    for (const LedgerEntry& entry : entries_) text += entry.text + "\n";
    return text;
  }

  TemporaryDirectory directory_;
  RememberingExecutor executor_;
  Stream stream_;
  tools::Summary summary_;
  std::vector<LedgerEntry> entries_;
  bool paused_ = false;
};

}  // namespace grace::testing
