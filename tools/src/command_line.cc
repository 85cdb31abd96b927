#include "command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <optional>
#include <utility>

namespace grace::tools {
namespace {

// The first word that should be a command and is none; null when there is no such word. CLI11 only
// says that a command is missing.
const char* unknown_command(const Command& root, int argc, char** argv) {
  const Command* at = &root;
  for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
    const auto& commands = at->subcommands();
    if (commands.empty()) return nullptr;
    const auto named = std::find_if(commands.begin(), commands.end(), [&](const auto& command) {
      return command->name() == argv[i];
    });
    if (named == commands.end()) return argv[i];
    at = named->get();
  }
  return nullptr;
}

}  // namespace

// --- Option ---

Option* Option::required() {
  option_.required();
  return this;
}

Option* Option::needs(Option* other) {
  option_.needs(&other->option_);
  return this;
}

Option* Option::excludes(Option* other) {
  option_.excludes(&other->option_);
  return this;
}

Option* Option::one_of(std::vector<std::string> words) {
  option_.check(CLI::IsMember(std::move(words)));
  return this;
}

Option* Option::positive() {
  option_.check(CLI::PositiveNumber);
  return this;
}

template <typename Number>
Option* Option::range(Number min, Number max) {
  option_.check(CLI::Range(min, max));
  return this;
}
template Option* Option::range(int, int);
template Option* Option::range(unsigned, unsigned);
template Option* Option::range(std::uint64_t, std::uint64_t);
template Option* Option::range(double, double);

Option* Option::one_value_each() {
  option_.allow_extra_args(false);
  return this;
}

Option* Option::show_default() {
  option_.capture_default_str();
  return this;
}

Option* Option::show_default(std::string text) {
  option_.default_str(std::move(text));
  return this;
}

Option* Option::describe(std::string help) {
  option_.description(std::move(help));
  return this;
}

// --- Command ---

Option* Command::keep(CLI::Option& option) {
  return options_.emplace_back(std::make_unique<Option>(option)).get();
}

Command* Command::add_subcommand(const std::string& name, const std::string& help) {
  return commands_.emplace_back(std::make_unique<Command>(*app_.add_subcommand(name, help))).get();
}

template <typename Value>
Option* Command::add_option(const std::string& name, Value& value, const std::string& help) {
  return keep(*app_.add_option(name, value, help));
}
using Text = const std::string&;
template Option* Command::add_option(Text, std::string&, Text);
template Option* Command::add_option(Text, std::vector<std::string>&, Text);
template Option* Command::add_option(Text, unsigned&, Text);
template Option* Command::add_option(Text, std::int64_t&, Text);
template Option* Command::add_option(Text, std::uint64_t&, Text);
template Option* Command::add_option(Text, std::optional<std::uint64_t>&, Text);
template Option* Command::add_option(Text, double&, Text);

Option* Command::add_flag(const std::string& name, bool& value, const std::string& help) {
  return keep(*app_.add_flag(name, value, help));
}

Option* Command::option(const std::string& name) {
  return keep(*app_.get_option(name));
}

void Command::require_subcommand() {
  app_.require_subcommand(1);
}
void Command::hide() {
  app_.group("");
}
void Command::footer(const std::string& text) {
  app_.footer(text);
}
void Command::callback(std::function<void()> run) {
  app_.callback(std::move(run));
}

std::string Command::name() const {
  return app_.get_name();
}
bool Command::is_hidden() const {
  return app_.get_group().empty();
}

std::vector<std::string> Command::flag_names() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_.get_options()) {
    names.insert(names.end(), option->get_lnames().begin(), option->get_lnames().end());
  }
  return names;
}

// --- CommandLine ---

CommandLine::CommandLine(const std::string& name, const std::string& help,
                         const std::string& version)
    : app_(std::make_unique<CLI::App>(help, name)), root_(std::make_unique<Command>(*app_)) {
  app_->set_version_flag("--version", version);
}

CommandLine::~CommandLine() = default;

bool CommandLine::parse(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
    return true;
  } catch (const CLI::ParseError& error) {
    if (const char* word = unknown_command(*root_, argc, argv)) {
      std::cerr << "grace: there is no command '" << word << "'; see grace --help\n";
      return false;
    }
    return app_->exit(error) == 0;
  }
}

}  // namespace grace::tools
