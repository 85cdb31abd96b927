#pragma once
#include "config.h"
#include "toml_reader.h"

namespace grace::tools {

// The tables of playbooks, policies and their tests: [[playbook]], [[policy]], [[policy_test]].
void read_playbooks(TomlTable& root, AppConfig& config);
void read_policies(TomlTable& root, AppConfig& config);
// A list of time windows under `key`.
void read_windows(TomlTable& table, std::string_view key, std::vector<schedule::TimeWindow>& out);
// "22:00-06:00", "mon-fri 09:00-17:00", "sat,sun". nullopt when it is none of those.
[[nodiscard]] std::optional<schedule::TimeWindow> parse_time_window(std::string_view text);

}  // namespace grace::tools
