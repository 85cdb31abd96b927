#include <iostream>
#include <memory>

#include "command.h"
#include "config.h"

namespace grace::tools {
namespace {

int check(const std::string& path) {
  auto config = load_config(path);
  if (!config) {
    std::cerr << config.error().message << '\n';
    return kExitUsage;
  }
  const auto checked = check_config(std::move(*config));
  if (!checked) {
    std::cerr << checked.error().message << '\n';
    return kExitUsage;
  }
  const AppConfig& app = checked->app;
  const schedule::TrustCore trust(app.engine.schedule.trust);
  const std::vector<std::string> failures = schedule::run_policy_tests(trust, app.policy_tests);
  for (const std::string& failure : failures) std::cerr << failure << '\n';
  std::cout << checked->playbooks.all().size() << " playbooks, "
            << app.engine.schedule.trust.policies.size() << " policies, "
            << app.policy_tests.size() - failures.size() << " of " << app.policy_tests.size()
            << " policy tests passed\n";
  return failures.empty() ? kExitOk : kExitNegative;
}

}  // namespace

void add_check_command(Command& app, int& exit_code) {
  auto path = std::make_shared<std::string>();
  Command* command = app.add_subcommand(
      "check", "Validate configuration, playbooks and policies; run their tests");
  std::string footer =
      "Example: grace check grace.toml\nEnvironment names, which win over the file:";
  for (const std::string& name : environment_names()) footer += "\n  " + name;
  command->footer(footer);
  command->add_option("config", *path, "Configuration file (TOML); none checks the defaults");
  command->callback([path, &exit_code] { exit_code = check(*path); });
}

}  // namespace grace::tools
