// What makes a playbook a configuration error. Every message is "FILE:LINE: playbook 'x': field y:
// why".
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <set>

#include "grace/schedule/playbook.h"
#include "http_target.h"
#include "placeholders.h"

namespace grace::schedule {
namespace {

using core::Error;
using core::ErrorCode;
using core::Result;
using core::StepKind;

constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kStepsMax = 32;
constexpr std::size_t kParametersMax = 32;
constexpr std::size_t kChecksMax = 16;
constexpr std::size_t kArgumentsMax = 64;
constexpr std::size_t kTextBytesMax = 4'096;
constexpr std::chrono::milliseconds kTimeoutMax = std::chrono::hours{1};
constexpr std::chrono::seconds kWithinMax = std::chrono::hours{24};

// Programs whose arguments are programs. What needs one goes into a script file, whose path is
// allowed and which takes the values as "$1".
constexpr std::array<std::string_view, 12> kShells{
    "sh", "bash", "dash", "ash", "zsh", "ksh", "csh", "tcsh", "fish", "busybox", "env", "xargs"};
constexpr std::array<std::string_view, 4> kCodeOptions{"-c", "-e", "--eval", "--command"};

class Validator {
 public:
  Validator(const Playbook& playbook, const PlaybookLimits& limits)
      : playbook_(playbook), limits_(limits) {}

  Result<void> run() {
    if (auto r = heading(); !r) return r;
    if (auto r = parameters(); !r) return r;
    if (playbook_.steps.empty() || playbook_.steps.size() > kStepsMax) {
      return fail(playbook_.place, "steps", "must have 1 to " + std::to_string(kStepsMax));
    }
    bool all_builtin = true;
    for (const auto& step : playbook_.steps) {
      all_builtin = all_builtin && step.action.kind == StepKind::kBuiltin &&
                    (!step.rollback || step.rollback->kind == StepKind::kBuiltin);
      if (auto r = action(step.action, "step"); !r) return r;
      if (!step.rollback) continue;
      if (auto r = action(*step.rollback, "rollback"); !r) return r;
    }
    if (playbook_.diagnostic && !all_builtin) {
      return fail(playbook_.place, "diagnostic", "may be true only when all steps are built in");
    }
    if (!playbook_.verification) {
      if (all_builtin) return {};
      return fail(playbook_.place, "verification", "missing; success is never assumed");
    }
    return verification(*playbook_.verification);
  }

 private:
  [[nodiscard]] Result<void> fail(const SourcePlace& place, std::string_view field,
                                  std::string_view why) const {
    const SourcePlace& known = place.line > 0 ? place : playbook_.place;
    return core::make_error(ErrorCode::kConfig, to_string(known) + ": playbook '" + playbook_.name +
                                                    "': field " + std::string(field) + ": " +
                                                    std::string(why));
  }

  [[nodiscard]] Result<void> heading() const {
    if (playbook_.name.size() > kNameBytesMax || !is_parameter_name(playbook_.name)) {
      return fail(playbook_.place, "name", "must match [a-z][a-z0-9_]*, at most 64 characters");
    }
    if (playbook_.concurrency_max == 0) {
      return fail(playbook_.place, "concurrency_max", "must be at least 1");
    }
    if (playbook_.cooldown.count() < 0 || playbook_.cooldown > std::chrono::hours{168}) {
      return fail(playbook_.place, "cooldown", "must be within 0 and 7 days");
    }
    return {};
  }

  Result<void> parameters() {
    if (playbook_.parameters.size() > kParametersMax) {
      return fail(playbook_.place, "params", "more than " + std::to_string(kParametersMax));
    }
    for (const auto& parameter : playbook_.parameters) {
      if (!is_parameter_name(parameter.name)) {
        return fail(parameter.place, "params.name", "'" + parameter.name + "' is not a name");
      }
      const std::string field = "params." + parameter.name;
      if (!names_.insert(parameter.name).second) return fail(parameter.place, field, "twice");
      const auto pattern = Pattern::compile(parameter.pattern);
      if (!pattern) return fail(parameter.place, field + ".pattern", pattern.error().message);
      if (!parameter.default_value) {
        if (is_incident_parameter(parameter.name)) continue;
        return fail(parameter.place, field + ".default",
                    "missing, and incidents do not give a value of this name");
      }
      if (!pattern->matches(*parameter.default_value) ||
          parameter.default_value->starts_with('-')) {
        return fail(parameter.place, field + ".default", "does not match the pattern");
      }
    }
    return {};
  }

  [[nodiscard]] Result<void> text(const ActionSpec& action, std::string_view field,
                                  std::string_view content) const {
    if (content.size() > kTextBytesMax) return fail(action.place, field, "over 4096 characters");
    if (content.find('\0') != std::string_view::npos) return fail(action.place, field, "has a NUL");
    for (const auto& name : placeholders_of(content)) {
      if (!names_.contains(name)) {
        return fail(action.place, field, "unknown parameter {" + name + "}");
      }
    }
    return {};
  }

  [[nodiscard]] Result<void> action(const ActionSpec& action, std::string_view where) const {
    if (action.timeout <= std::chrono::milliseconds{0} || action.timeout > kTimeoutMax) {
      return fail(action.place, std::string(where) + ".timeout", "must be within (0, 1 h]");
    }
    switch (action.kind) {
      case StepKind::kExec:
        return exec(action, where);
      case StepKind::kHttp:
        return http(action, where);
      case StepKind::kEmit:
        return emit(action, where);
      case StepKind::kBuiltin:
        return builtin(action, where);
    }
    return fail(action.place, where, "unknown kind of step");
  }

  [[nodiscard]] Result<void> exec(const ActionSpec& action, std::string_view where) const {
    const std::string field = std::string(where) + ".exec";
    if (action.argv.empty() || action.argv.size() > kArgumentsMax) {
      return fail(action.place, field, "must have 1 to 64 arguments");
    }
    for (const auto& argument : action.argv) {
      if (auto r = text(action, field, argument); !r) return r;
    }
    const std::string& program = action.argv[0];
    if (!placeholders_of(program).empty()) {
      return fail(action.place, field, "the program must not depend on a parameter");
    }
    const std::filesystem::path path(program);
    if (!path.is_absolute() || path.lexically_normal() != path) {
      return fail(action.place, field, "'" + program + "' is not a plain absolute path");
    }
    const std::string base = path.filename().string();
    if (std::find(kShells.begin(), kShells.end(), base) != kShells.end()) {
      return fail(action.place, field, "'" + program + "' runs other programs; use a script file");
    }
    const auto& allowed = limits_.exec_allowed;
    if (std::find(allowed.begin(), allowed.end(), program) == allowed.end()) {
      return fail(action.place, field, "'" + program + "' is not in exec_allowed");
    }
    for (std::size_t i = 1; i + 1 < action.argv.size(); ++i) {
      const bool takes_code =
          std::find(kCodeOptions.begin(), kCodeOptions.end(), action.argv[i]) != kCodeOptions.end();
      if (takes_code && !placeholders_of(action.argv[i + 1]).empty()) {
        return fail(action.place, field, "a parameter would become code after " + action.argv[i]);
      }
    }
    return {};
  }

  [[nodiscard]] Result<void> http(const ActionSpec& action, std::string_view where) const {
    const std::string field = std::string(where) + ".http";
    if (auto r = text(action, field, action.url); !r) return r;
    if (auto r = text(action, field, action.body); !r) return r;
    static constexpr std::array<std::string_view, 6> kMethods{"GET",   "POST",   "PUT",
                                                              "PATCH", "DELETE", "HEAD"};
    if (std::find(kMethods.begin(), kMethods.end(), action.method) == kMethods.end()) {
      return fail(action.place, field, "unknown method '" + action.method + "'");
    }
    // With the braces in place a parameter in the host makes the host invalid, as it should.
    const auto target = parse_http_target(action.url);
    if (!target) return fail(action.place, field, target.error().message);
    if (!placeholders_of(target->unix_path).empty()) {
      return fail(action.place, field, "the socket must not depend on a parameter");
    }
    if (!is_allowed(*target, limits_.http_hosts)) {
      return fail(action.place, field, "'" + target->host + "' is not in http_hosts");
    }
    return {};
  }

  [[nodiscard]] Result<void> emit(const ActionSpec& action, std::string_view where) const {
    if (core::type_from_event_type(action.event_type)) return {};
    return fail(action.place, std::string(where) + ".emit",
                "unknown event type '" + action.event_type + "'");
  }

  [[nodiscard]] Result<void> builtin(const ActionSpec& action, std::string_view where) const {
    const auto& known = builtin_actions();
    if (std::find(known.begin(), known.end(), action.builtin) != known.end()) return {};
    return fail(action.place, std::string(where) + ".builtin",
                "unknown step '" + action.builtin + "'");
  }

  [[nodiscard]] Result<void> verification(const VerificationSpec& spec) const {
    using std::chrono::seconds;
    if (spec.within <= seconds{0} || spec.within > kWithinMax) {
      return fail(spec.place, "verification.within", "must be within (0, 24 h]");
    }
    if (spec.hold < seconds{0} || spec.hold >= spec.within) {
      return fail(spec.place, "verification.hold", "must be at least 0 and less than within");
    }
    if (spec.probe.has_value() == !spec.checks.empty()) {
      return fail(spec.place, "verification", "needs either checks or a probe");
    }
    if (spec.probe) {
      if (spec.probe->kind != StepKind::kExec && spec.probe->kind != StepKind::kHttp) {
        return fail(spec.probe->place, "verification.probe", "must be exec or http");
      }
      if (spec.probe_every < seconds{1}) {
        return fail(spec.place, "verification.probe_every", "must be at least 1 s");
      }
      return action(*spec.probe, "verification.probe");
    }
    if (spec.checks.size() > kChecksMax) return fail(spec.place, "checks", "more than 16");
    for (const auto& check : spec.checks) {
      if (!std::isfinite(check.value)) {
        return fail(check.place, "verification.check.value", "is not a number");
      }
      const bool scale = check.kind == CheckKind::kInRange || check.kind == CheckKind::kHeadroom;
      if (scale ? check.value <= 0 : (check.kind == CheckKind::kErrors && check.value < 0)) {
        return fail(check.place, "verification.check.value", "must be positive");
      }
      if (check.metric.empty() || check.metric.size() > kNameBytesMax) {
        return fail(check.place, "verification.check.metric", "must have 1 to 64 characters");
      }
      if (check.metric == "*" &&
          (check.kind == CheckKind::kBelow || check.kind == CheckKind::kAbove)) {
        return fail(check.place, "verification.check.metric",
                    "one bound for every metric has no meaning; name the metric");
      }
    }
    return {};
  }

  const Playbook& playbook_;
  const PlaybookLimits& limits_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace

Result<PlaybookSet> PlaybookSet::build(std::vector<Playbook> playbooks,
                                       const PlaybookLimits& limits) {
  PlaybookSet set;
  for (auto& playbook : playbooks) {
    if (auto checked = Validator(playbook, limits).run(); !checked) {
      return tl::unexpected(checked.error());
    }
    const auto existing = set.playbooks_.find(playbook.name);
    if (existing != set.playbooks_.end()) {
      return core::make_error(ErrorCode::kConfig, to_string(playbook.place) + ": playbook '" +
                                                      playbook.name +
                                                      "': field name: already defined at " +
                                                      to_string(existing->second.place));
    }
    std::string name = playbook.name;
    set.playbooks_.emplace(std::move(name), std::move(playbook));
  }
  for (auto& playbook : builtin_playbooks()) {
    std::string name = playbook.name;
    set.playbooks_.try_emplace(std::move(name), std::move(playbook));
  }
  return set;
}

}  // namespace grace::schedule
