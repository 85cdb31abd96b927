#define TOML_IMPLEMENTATION  // here and nowhere else
#include "toml_reader.h"

#include <charconv>
#include <limits>

namespace grace::tools {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

// An unsigned integer followed by one of the units. nullopt on anything else or on overflow.
std::optional<std::int64_t> parse_with_unit(std::string_view text,
                                            std::initializer_list<Unit> units) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / known.factor) return std::nullopt;
    return number * known.factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const auto ns = parse_with_unit(text, {{"ns", 1},
                                         {"us", 1'000},
                                         {"ms", 1'000'000},
                                         {"s", kSecond},
                                         {"m", 60 * kSecond},
                                         {"h", 3600 * kSecond},
                                         {"d", 86400 * kSecond}});
  if (!ns) return std::nullopt;
  return std::chrono::nanoseconds(*ns);
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  const auto bytes = parse_with_unit(
      text, {{"", 1}, {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}});
  if (!bytes) return std::nullopt;
  return static_cast<std::uint64_t>(*bytes);
}

void ConfigErrors::add(const toml::source_region& where, const std::string& message) {
  messages_.push_back(schedule::to_string(place(where)) + ": " + message);
}

schedule::SourcePlace ConfigErrors::place(const toml::source_region& where) const {
  return {file_, static_cast<std::uint32_t>(where.begin.line)};
}

std::string TomlTable::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

void TomlTable::fail(std::string_view key, const std::string& message) {
  const toml::node* const at = table_.get(key);
  errors_.add(at != nullptr ? at->source() : table_.source(), path_of(key) + " " + message);
}

const toml::node* TomlTable::node(std::string_view key) {
  seen_.emplace(key);
  return table_.get(key);
}

void TomlTable::get(std::string_view key, bool& out) {
  const toml::node* const at = node(key);
  if (at == nullptr) return;
  if (const auto value = at->value_exact<bool>()) {
    out = *value;
  } else {
    fail(key, "must be true or false");
  }
}

void TomlTable::get(std::string_view key, double& out) {
  const toml::node* const at = node(key);
  if (at == nullptr) return;
  if (at->is_number()) {
    out = *at->value<double>();
  } else {
    fail(key, "must be a number");
  }
}

void TomlTable::get(std::string_view key, std::string& out) {
  const toml::node* const at = node(key);
  if (at == nullptr) return;
  if (const auto value = at->value_exact<std::string>()) {
    out = *value;
  } else {
    fail(key, "must be a text in quotes");
  }
}

void TomlTable::get(std::string_view key, std::vector<std::string>& out) {
  const toml::node* const at = node(key);
  if (at == nullptr) return;
  const toml::array* const array = at->as_array();
  if (array == nullptr) {
    fail(key, "must be an array of texts");
    return;
  }
  out.clear();
  for (const toml::node& item : *array) {
    if (const auto value = item.value_exact<std::string>()) {
      out.push_back(*value);
    } else {
      fail(key, "must be an array of texts");
      return;
    }
  }
}

std::optional<std::int64_t> TomlTable::integer(std::string_view key) {
  const toml::node* const at = node(key);
  if (at == nullptr) return std::nullopt;
  if (const auto value = at->value_exact<std::int64_t>()) return value;
  fail(key, "must be a whole number");
  return std::nullopt;
}

std::optional<std::chrono::nanoseconds> TomlTable::duration(std::string_view key) {
  const toml::node* const at = node(key);
  if (at == nullptr) return std::nullopt;
  if (const auto text = at->value_exact<std::string>()) {
    if (const auto span = parse_duration(*text)) return span;
  }
  fail(key, "must be a duration such as \"500ms\", \"30s\", \"10m\" or \"2h\"");
  return std::nullopt;
}

void TomlTable::get_bytes(std::string_view key, std::uint64_t& out) {
  const toml::node* const at = node(key);
  if (at == nullptr) return;
  if (const auto number = at->value_exact<std::int64_t>(); number && *number >= 0) {
    out = static_cast<std::uint64_t>(*number);
    return;
  }
  if (const auto text = at->value_exact<std::string>()) {
    if (const auto bytes = parse_bytes(*text)) {
      out = *bytes;
      return;
    }
  }
  fail(key, "must be a size such as 65536, \"256KiB\" or \"1GiB\"");
}

const toml::table* TomlTable::table(std::string_view key) {
  const toml::node* const at = node(key);
  if (at == nullptr) return nullptr;
  if (at->is_table()) return at->as_table();
  fail(key, "must be a table");
  return nullptr;
}

std::vector<const toml::table*> TomlTable::tables(std::string_view key) {
  std::vector<const toml::table*> found;
  const toml::node* const at = node(key);
  if (at == nullptr) return found;
  const toml::array* const array = at->as_array();
  if (array == nullptr) {
    fail(key, "must be an array of tables: [[" + path_of(key) + "]]");
    return found;
  }
  for (const toml::node& item : *array) {
    if (item.is_table()) {
      found.push_back(item.as_table());
    } else {
      errors_.add(item.source(), path_of(key) + " must hold tables");
    }
  }
  return found;
}

std::vector<std::string> TomlTable::unseen_keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : table_) {
    if (!seen_.contains(std::string_view(key.str()))) keys.emplace_back(key.str());
  }
  return keys;
}

void TomlTable::finish() {
  for (const auto& [key, value] : table_) {
    if (!seen_.contains(std::string_view(key.str()))) {
      errors_.add(key.source(), "unknown setting " + path_of(key.str()));
    }
  }
}

}  // namespace grace::tools
