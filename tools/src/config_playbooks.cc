#include "config_playbooks.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "grace/core/time.h"

namespace grace::tools {
namespace {

constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::optional<std::size_t> day_index(std::string_view text) {
  const auto at = std::find(kDays.begin(), kDays.end(), text);
  if (at == kDays.end()) return std::nullopt;
  return static_cast<std::size_t>(at - kDays.begin());
}

// "mon-fri", "sat,sun", "wed"; a range may wrap over Sunday.
std::optional<std::uint8_t> parse_days(std::string_view text) {
  unsigned days = 0;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const std::size_t dash = part.find('-');
    const auto first = day_index(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : day_index(part.substr(dash + 1));
    if (!first || !last) return std::nullopt;
    for (std::size_t day = *first;; day = (day + 1) % kDays.size()) {
      days |= 1U << day;
      if (day == *last) break;
    }
  }
  if (days == 0) return std::nullopt;
  return static_cast<std::uint8_t>(days);
}

std::optional<std::uint16_t> parse_minute(std::string_view text) {
  const auto digit = [&](std::size_t i) {
    return std::isdigit(static_cast<unsigned char>(text[i]));
  };
  if (text.size() != 5 || text[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4)) {
    return std::nullopt;
  }
  const int hour = (text[0] - '0') * 10 + (text[1] - '0');
  const int minute = (text[3] - '0') * 10 + (text[4] - '0');
  if (hour > 24 || minute > 59 || (hour == 24 && minute != 0)) return std::nullopt;
  return static_cast<std::uint16_t>(hour * 60 + minute);
}

// Exactly one of exec, http, emit, builtin says what kind of action it is.
schedule::ActionSpec read_action(TomlTable& table) {
  schedule::ActionSpec action;
  action.place = table.place();
  int kinds = 0;
  if (table.has("exec")) {
    action.kind = core::StepKind::kExec;
    table.get("exec", action.argv);
    ++kinds;
  }
  if (table.has("http")) {
    action.kind = core::StepKind::kHttp;
    table.get("http", action.url);
    ++kinds;
  }
  if (table.has("emit")) {
    action.kind = core::StepKind::kEmit;
    table.get("emit", action.event_type);
    ++kinds;
  }
  if (table.has("builtin")) {
    action.kind = core::StepKind::kBuiltin;
    table.get("builtin", action.builtin);
    ++kinds;
  }
  table.get("method", action.method);
  table.get("body", action.body);
  table.get("timeout", action.timeout);
  if (kinds != 1) {
    table.errors().add(schedule::to_string(table.place()) +
                       ": give exactly one of exec, http, emit, builtin");
  }
  return action;
}

std::optional<schedule::ActionSpec> read_optional_action(TomlTable& parent, std::string_view key) {
  const toml::table* const nested = parent.table(key);
  if (nested == nullptr) return std::nullopt;
  TomlTable table(*nested, parent.path_of(key), parent.errors());
  return read_action(table);
}

schedule::StepSpec read_step(const toml::table& node, ConfigErrors& errors) {
  TomlTable table(node, "playbook.step", errors);
  schedule::StepSpec step;
  table.get("name", step.name);
  table.get("idempotent", step.idempotent);
  step.rollback = read_optional_action(table, "rollback");
  step.action = read_action(table);
  return step;
}

schedule::VerificationSpec read_verification(const toml::table& node, ConfigErrors& errors) {
  TomlTable table(node, "playbook.verify", errors);
  schedule::VerificationSpec verification;
  verification.place = table.place();
  table.get("hold", verification.hold);
  table.get("within", verification.within);
  table.get("probe_every", verification.probe_every);
  verification.probe = read_optional_action(table, "probe");
  for (const toml::table* check_node : table.tables("check")) {
    TomlTable check_table(*check_node, "playbook.verify.check", errors);
    schedule::CheckSpec check;
    check.place = check_table.place();
    check_table.get_word("is", check.kind, schedule::check_kind_from);
    check_table.get("metric", check.metric);
    check_table.get("value", check.value);
    verification.checks.push_back(std::move(check));
  }
  return verification;
}

schedule::Playbook read_playbook(const toml::table& node, ConfigErrors& errors) {
  TomlTable table(node, "playbook", errors);
  schedule::Playbook playbook;
  playbook.place = table.place();
  table.get("name", playbook.name);
  table.get("description", playbook.description);
  table.get_word("risk", playbook.risk, schedule::risk_from);
  table.get("cooldown", playbook.cooldown);
  table.get("concurrency_max", playbook.concurrency_max);
  table.get("diagnostic", playbook.diagnostic);
  for (const toml::table* parameter_node : table.tables("parameter")) {
    TomlTable parameter_table(*parameter_node, "playbook.parameter", errors);
    schedule::ParameterSpec parameter;
    parameter.place = parameter_table.place();
    parameter_table.get("name", parameter.name);
    parameter_table.get("pattern", parameter.pattern);
    parameter_table.get("default", parameter.default_value);
    playbook.parameters.push_back(std::move(parameter));
  }
  for (const toml::table* step_node : table.tables("step")) {
    playbook.steps.push_back(read_step(*step_node, errors));
  }
  if (const toml::table* verify = table.table("verify")) {
    playbook.verification = read_verification(*verify, errors);
  }
  return playbook;
}

schedule::TrustQuery read_query(const toml::table& node, ConfigErrors& errors) {
  TomlTable table(node, "policy_test.given", errors);
  schedule::TrustQuery query;
  table.get("service", query.service);
  table.get("domain", query.domain);
  table.get("playbook", query.playbook);
  std::vector<std::string> sources;
  table.get("sources", sources);
  for (const std::string& text : sources) {
    if (const auto source = core::source_from(text)) {
      query.sources.push_back(*source);
    } else {
      table.fail("sources", "'" + text + "' is not known");
    }
  }
  table.get_word("impact", query.impact, core::impact_from);
  table.get("confidence", query.confidence);
  table.get_word("risk", query.risk, schedule::risk_from);
  query.blast_radius_known = table.has("blast_radius");
  table.get("blast_radius", query.blast_radius);
  table.get("proactive_only", query.proactive_only);
  std::string at;
  table.get("at", at);
  if (!at.empty()) {
    if (const auto ts = core::parse_rfc3339(at)) {
      query.now_ns = *ts;
    } else {
      table.fail("at", "'" + at + "' is not an RFC 3339 time");
    }
  }
  return query;
}

}  // namespace

std::optional<schedule::TimeWindow> parse_time_window(std::string_view text) {
  schedule::TimeWindow window;
  const bool starts_with_day = !text.empty() && std::isalpha(static_cast<unsigned char>(text[0]));
  if (starts_with_day) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const auto days = parse_days(text.substr(0, space));
    if (!days) return std::nullopt;
    window.days = *days;
    text.remove_prefix(std::min(space + 1, text.size()));
    if (text.empty()) return window;
  }
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto begin = parse_minute(text.substr(0, dash));
  const auto end = parse_minute(text.substr(dash + 1));
  if (!begin || !end) return std::nullopt;
  window.begin_minute = *begin;
  window.end_minute = *end;
  return window;
}

void read_windows(TomlTable& table, std::string_view key, std::vector<schedule::TimeWindow>& out) {
  std::vector<std::string> texts;
  table.get(key, texts);
  for (const std::string& text : texts) {
    if (const auto window = parse_time_window(text)) {
      out.push_back(*window);
    } else {
      table.fail(key, "'" + text + "' is not a window such as \"mon-fri 09:00-17:00\"");
    }
  }
}

void read_playbooks(TomlTable& root, AppConfig& config) {
  for (const toml::table* node : root.tables("playbook")) {
    config.playbooks.push_back(read_playbook(*node, root.errors()));
  }
}

void read_policies(TomlTable& root, AppConfig& config) {
  schedule::TrustConfig& trust = config.engine.schedule.trust;
  for (const toml::table* node : root.tables("policy")) {
    TomlTable table(*node, "policy", root.errors());
    schedule::Policy policy;
    policy.place = table.place();
    table.get("name", policy.name);
    table.get("service", policy.service);
    table.get("domain", policy.domain);
    table.get("playbook", policy.playbook);
    table.get("source", policy.source);
    if (table.has("impact")) {
      core::Impact impact = core::Impact::kLow;
      table.get_word("impact", impact, core::impact_from);
      policy.impact = impact;
    }
    table.get("confidence_min", policy.confidence_min);
    table.get("confidence_max", policy.confidence_max);
    table.get("blast_radius_min", policy.blast_radius_min);
    table.get("blast_radius_max", policy.blast_radius_max);
    read_windows(table, "windows", policy.windows);
    if (!table.has("decision")) table.fail("decision", "is missing");
    table.get_word("decision", policy.verdict, schedule::verdict_from);
    trust.policies.push_back(std::move(policy));
  }
  for (const toml::table* node : root.tables("policy_test")) {
    TomlTable table(*node, "policy_test", root.errors());
    schedule::PolicyTest test;
    test.place = table.place();
    table.get("name", test.name);
    if (const toml::table* given = table.table("given")) {
      test.given = read_query(*given, root.errors());
    }
    if (!table.has("expect")) table.fail("expect", "is missing");
    table.get_word("expect", test.expect, schedule::verdict_from);
    table.get("rule", test.expect_rule);
    config.policy_tests.push_back(std::move(test));
  }
}

}  // namespace grace::tools
