#include <iostream>
#include <memory>

#include "command.h"

namespace grace::tools {
namespace {

// Words that may follow each command path, from the program's own definition: completion cannot
// offer what the program does not know.
void write_cases(const CLI::App& app, const std::string& path, std::ostream& out) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty()) words += sub->get_name() + " ";
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
  }
  out << "    '" << path << "') words='" << words << "' ;;\n";
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty()) write_cases(*sub, path + " " + sub->get_name(), out);
  }
}

void write_bash(const CLI::App& root, std::ostream& out) {
  out << "# bash completion for grace; use: source <(grace completion bash)\n"
         "_grace() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} path=grace words='' word\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    [[ $word == -* ]] || path+=\" $word\"\n"
         "  done\n"
         "  case \"$path\" in\n";
  write_cases(root, "grace", out);
  out << "    *) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\") $(compgen -f -- \"$current\"))\n"
         "}\n"
         "complete -F _grace grace\n";
}

void write_zsh(const CLI::App& root, std::ostream& out) {
  out << "#compdef grace\n# zsh completion for grace, through its bash completion\n"
         "autoload -U +X bashcompinit && bashcompinit\n";
  write_bash(root, out);
}

}  // namespace

void add_completion_command(CLI::App& app, int& exit_code) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print a shell's completion script");
  command->footer("Example: source <(grace completion bash)");
  command->add_option("shell", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  command->callback([shell, &app, &exit_code] {
    if (*shell == "bash") {
      write_bash(app, std::cout);
    } else {
      write_zsh(app, std::cout);
    }
    exit_code = kExitOk;
  });
}

}  // namespace grace::tools
