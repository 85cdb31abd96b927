#include "grace/schedule/playbook.h"

#include <array>

#include "grace/core/hash.h"

namespace grace::schedule {
namespace {

constexpr std::array<std::string_view, 3> kRiskNames{"low", "medium", "high"};
constexpr std::array<std::string_view, 5> kCheckNames{"in_range", "below", "above", "errors",
                                                      "headroom"};

template <typename Enum, std::size_t N>
std::optional<Enum> from_names(const std::array<std::string_view, N>& names,
                               std::string_view text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

// A digest over fields; every field ends in a separator that no field can contain.
class Digest {
 public:
  Digest& add(std::string_view text) {
    state_ = core::combine(state_, core::hash_bytes(text));
    return *this;
  }
  Digest& add(std::uint64_t number) {
    state_ = core::combine(state_, number);
    return *this;
  }
  Digest& add(const ActionSpec& action) {
    add(static_cast<std::uint64_t>(action.kind)).add(action.argv.size());
    for (const auto& argument : action.argv) add(argument);
    add(action.url).add(action.method).add(action.body).add(action.event_type).add(action.builtin);
    return add(static_cast<std::uint64_t>(action.timeout.count()));
  }
  [[nodiscard]] std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0;
};

Playbook builtin_playbook(std::string_view name, std::string_view description) {
  Playbook playbook;
  playbook.name = std::string(name);
  playbook.description = std::string(description);
  playbook.risk = Risk::kLow;
  playbook.diagnostic = true;
  StepSpec step;
  step.name = std::string(name);
  step.action.kind = core::StepKind::kBuiltin;
  step.action.builtin = std::string(name);
  step.idempotent = true;  // reads, or sets a value to the same value again
  playbook.steps.push_back(std::move(step));
  return playbook;
}

}  // namespace

std::string to_string(const SourcePlace& place) {
  if (place.line == 0 && place.file.empty()) return "built in";
  return place.file + ":" + std::to_string(place.line);
}

std::string_view to_string(Risk risk) noexcept {
  return kRiskNames[static_cast<std::size_t>(risk)];
}
std::optional<Risk> risk_from(std::string_view text) noexcept {
  return from_names<Risk>(kRiskNames, text);
}
std::string_view to_string(CheckKind kind) noexcept {
  return kCheckNames[static_cast<std::size_t>(kind)];
}
std::optional<CheckKind> check_kind_from(std::string_view text) noexcept {
  return from_names<CheckKind>(kCheckNames, text);
}

const std::vector<std::string>& builtin_actions() {
  static const std::vector<std::string> kActions{"adjust_threshold", "investigate_root_cause",
                                                 "immediate_investigation"};
  return kActions;
}

const std::vector<std::string>& template_playbooks() {
  static const std::vector<std::string> kTemplates{"scale_up_instances", "warm_cache",
                                                   "restart_service", "rollback_flag"};
  return kTemplates;
}

std::vector<Playbook> builtin_playbooks() {
  std::vector<Playbook> playbooks{
      builtin_playbook("adjust_threshold",
                       "Moves a threshold of the engine to where the meta loop wants it"),
      builtin_playbook("investigate_root_cause",
                       "Reports who agrees, what began first, and what depends on what"),
      builtin_playbook("immediate_investigation",
                       "The same report, for incidents that cannot wait for a cooldown"),
  };
  playbooks[1].concurrency_max = 4;
  playbooks[2].concurrency_max = 16;
  playbooks[2].cooldown = std::chrono::seconds{0};
  return playbooks;
}

const Playbook* PlaybookSet::find(std::string_view name) const {
  const auto found = playbooks_.find(name);
  return found == playbooks_.end() ? nullptr : &found->second;
}

std::uint64_t PlaybookSet::digest(const Playbook& playbook) const {
  Digest digest;
  digest.add(playbook.name).add(playbook.steps.size());
  for (const auto& step : playbook.steps) {
    digest.add(step.action).add(step.idempotent ? 1 : 0).add(step.rollback ? 1 : 0);
    if (step.rollback) digest.add(*step.rollback);
  }
  return digest.value();
}

core::Result<void> PlaybookSet::require(std::string_view name, const SourcePlace& place,
                                        std::string_view where) const {
  if (find(name) != nullptr) return {};
  return core::make_error(core::ErrorCode::kConfig,
                          to_string(place) + ": field " + std::string(where) +
                              ": unknown playbook '" + std::string(name) + "'");
}

}  // namespace grace::schedule
