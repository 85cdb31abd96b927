#pragma once
#include <toml++/toml.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"
#include "grace/schedule/playbook.h"

namespace grace::tools {

// Collects what is wrong with a configuration, each as "file:line: message". Everything is read, so
// that one start shows all mistakes.
class ConfigErrors {
 public:
  explicit ConfigErrors(std::string file) : file_(std::move(file)) {}
  void add(const toml::source_region& where, const std::string& message);
  void add(std::string message) { messages_.push_back(std::move(message)); }
  [[nodiscard]] const std::vector<std::string>& messages() const noexcept { return messages_; }
  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  [[nodiscard]] schedule::SourcePlace place(const toml::source_region& where) const;

 private:
  std::string file_;
  std::vector<std::string> messages_;
};

// "500ms", "30s", "5m", "2h", "1d"; a number needs its unit. nullopt when it is none of those.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
// "64KiB", "1MiB", "2GiB", "4096": bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);

// Reads one table. Every get() remembers its key; finish() reports the keys that nobody asked for:
// a misspelt key is an error, not a default.
class TomlTable {
 public:
  TomlTable(const toml::table& table, std::string path, ConfigErrors& errors)
      : table_(table), path_(std::move(path)), errors_(errors) {}
  ~TomlTable() { finish(); }
  TomlTable(const TomlTable&) = delete;
  TomlTable& operator=(const TomlTable&) = delete;

  void get(std::string_view key, bool& out);
  void get(std::string_view key, double& out);
  void get(std::string_view key, std::string& out);
  void get(std::string_view key, std::vector<std::string>& out);
  template <typename T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void get(std::string_view key,
                                                                       T& out) {
    const std::optional<std::int64_t> number = integer(key);
    if (!number) return;
    if (*number < 0 || static_cast<std::uint64_t>(*number) > std::numeric_limits<T>::max()) {
      fail(key, "is out of range");
      return;
    }
    out = static_cast<T>(*number);
  }
  template <typename Rep, typename Period>
  void get(std::string_view key, std::chrono::duration<Rep, Period>& out) {
    const std::optional<std::chrono::nanoseconds> span = duration(key);
    if (!span) return;
    out = std::chrono::duration_cast<std::chrono::duration<Rep, Period>>(*span);
    if (out != *span) fail(key, "is finer than this setting's unit");
  }
  template <typename T>
  void get(std::string_view key, std::optional<T>& out) {
    if (!has(key)) return;
    T value{};
    get(key, value);
    out = value;
  }
  // A size: an integer, or text with a unit.
  void get_bytes(std::string_view key, std::uint64_t& out);
  // One of a set of words; `from` gives nullopt for others.
  template <typename T, typename From>
  void get_word(std::string_view key, T& out, From&& from) {
    if (!has(key)) return;
    std::string word;
    get(key, word);
    if (const auto value = from(word)) {
      out = *value;
    } else {
      fail(key, "'" + word + "' is not known");
    }
  }

  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }
  // A nested table, or null; errors when the key holds something else.
  [[nodiscard]] const toml::table* table(std::string_view key);
  // All tables of an array of tables ([[key]]); empty when absent.
  [[nodiscard]] std::vector<const toml::table*> tables(std::string_view key);
  // Leaves the key to somebody else.
  void skip(std::string_view key) { seen_.emplace(key); }
  void fail(std::string_view key, const std::string& message);
  [[nodiscard]] schedule::SourcePlace place() const { return errors_.place(table_.source()); }
  [[nodiscard]] ConfigErrors& errors() { return errors_; }
  [[nodiscard]] std::string path_of(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> unseen_keys() const;
  [[nodiscard]] const toml::node* node(std::string_view key);

 private:
  std::optional<std::int64_t> integer(std::string_view key);
  std::optional<std::chrono::nanoseconds> duration(std::string_view key);
  void finish();

  const toml::table& table_;
  std::string path_;
  ConfigErrors& errors_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace grace::tools
