#include <iostream>
#include <memory>

#include "command.h"

namespace grace::tools {
namespace {

// Words that may follow each command path, from the program's own definition: completion cannot
// offer what the program does not know.
void write_cases(const Command& app, const std::string& path, std::ostream& out) {
  std::string words;
  for (const auto& sub : app.subcommands()) {
    if (!sub->is_hidden()) words += sub->name() + " ";
  }
  for (const std::string& name : app.flag_names()) words += "--" + name + " ";
  out << "    '" << path << "') words='" << words << "' ;;\n";
  for (const auto& sub : app.subcommands()) {
    if (!sub->is_hidden()) write_cases(*sub, path + " " + sub->name(), out);
  }
}

void write_bash(const Command& root, std::ostream& out) {
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

void write_zsh(const Command& root, std::ostream& out) {
  out << "#compdef grace\n# zsh completion for grace, through its bash completion\n"
         "autoload -U +X bashcompinit && bashcompinit\n";
  write_bash(root, out);
}

}  // namespace

void add_completion_command(Command& app, int& exit_code) {
  auto shell = std::make_shared<std::string>();
  Command* command = app.add_subcommand("completion", "Print a shell's completion script");
  command->footer("Example: source <(grace completion bash)");
  command->add_option("shell", *shell, "bash or zsh")->required()->one_of({"bash", "zsh"});
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
