#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace grace::tools {

// The command line as the commands see it. command_line.cc alone includes CLI11, whose inline
// functions cost each file that includes it 10 s of compilation. What is set and read has to live
// as long as the program's command line.

// One option or positional argument of a command, or a flag. Each call returns the option itself.
class Option {
 public:
  explicit Option(CLI::Option& option) : option_(option) {}

  Option* required();
  Option* needs(Option* other);     // given only together with it
  Option* excludes(Option* other);  // not given together with it
  Option* one_of(std::vector<std::string> words);
  Option* positive();
  // Both ends belong to it. Number: one of those that command_line.cc lists, which
  // the message names.
  template <typename Number>
  Option* range(Number min, Number max);
  Option* one_value_each();  // of a list: each value behind the option's own name
  Option* show_default();    // in the help: what the variable holds now
  Option* show_default(std::string text);
  Option* describe(std::string help);  // instead of the text before

 private:
  CLI::Option& option_;
};

class Command {
 public:
  explicit Command(CLI::App& app) : app_(app) {}
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // Owned by this one.
  Command* add_subcommand(const std::string& name, const std::string& help);
  // `name`: "--long", "-s,--long", or a word without dashes for a positional argument. Value: one
  // of those that command_line.cc lists.
  template <typename Value>
  Option* add_option(const std::string& name, Value& value, const std::string& help);
  Option* add_flag(const std::string& name, bool& value, const std::string& help);
  // One that was added before, here.
  [[nodiscard]] Option* option(const std::string& name);

  void require_subcommand();
  void hide();  // from help and completion
  void footer(const std::string& text);
  void callback(std::function<void()> run);  // once all was read and is right

  [[nodiscard]] std::string name() const;
  [[nodiscard]] bool is_hidden() const;
  [[nodiscard]] std::vector<std::string> flag_names() const;  // long ones, without the dashes
  [[nodiscard]] const std::vector<std::unique_ptr<Command>>& subcommands() const {
    return commands_;
  }

 private:
  Option* keep(CLI::Option& option);

  CLI::App& app_;
  std::vector<std::unique_ptr<Command>> commands_;
  std::vector<std::unique_ptr<Option>> options_;
};

// The program itself: what stands before all commands.
class CommandLine {
 public:
  CommandLine(const std::string& name, const std::string& help, const std::string& version);
  ~CommandLine();

  [[nodiscard]] Command& root() { return *root_; }
  // Reads the arguments and runs the callback of the command they name. False: wrong use, which
  // was said on standard error. Asked for help or the version, prints it and runs nothing. Throws
  // what a callback throws.
  [[nodiscard]] bool parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> app_;
  std::unique_ptr<Command> root_;
};

}  // namespace grace::tools
