#include "csv_reader.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace grace::tools {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

core::Result<bool> CsvReader::next() {
  fields_.clear();
  do {
    const core::Result<bool> more = lines_.next();
    if (!more || !*more) return more;
  } while (trimmed(lines_.line()).empty());
  std::string_view rest = lines_.line();
  unquoted_.clear();
  unquoted_.reserve(rest.size());  // fields are views into it: it must not move
  for (;;) {
    if (fields_.size() == kFieldsMax) {
      return error("more than " + std::to_string(kFieldsMax) + " fields");
    }
    const std::size_t comma = rest.find(',');
    const std::string_view field = trimmed(rest.substr(0, comma));
    if (field.starts_with('"')) {
      rest.remove_prefix(rest.find('"') + 1);
      if (!take_quoted(rest)) return error("a quote is not closed");
      if (!rest.empty() && rest.front() != ',') return error("text beside a quoted field");
    } else {
      fields_.push_back(field);
      rest.remove_prefix(std::min(comma, rest.size()));
    }
    if (rest.empty()) return true;
    rest.remove_prefix(1);
  }
}

bool CsvReader::take_quoted(std::string_view& rest) {
  const std::size_t begin = unquoted_.size();
  for (std::size_t at = 0; at < rest.size(); ++at) {
    if (rest[at] == '"') {
      if (!rest.substr(at + 1).starts_with('"')) {
        fields_.push_back(std::string_view(unquoted_).substr(begin));
        rest = trimmed(rest.substr(at + 1));
        return true;
      }
      ++at;
    }
    unquoted_.push_back(rest[at]);
  }
  return false;
}

bool parse_number(std::string_view field, double& value) {
  if (!field.empty() && field.front() == '+') field.remove_prefix(1);
  const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), value);
  return code == std::errc() && end == field.data() + field.size() && !field.empty();
}

}  // namespace grace::tools
