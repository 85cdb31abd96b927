#include "csv_reader.h"

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
  for (;;) {
    const std::size_t comma = rest.find(',');
    if (fields_.size() == kFieldsMax) {
      return error("more than " + std::to_string(kFieldsMax) + " fields");
    }
    fields_.push_back(trimmed(rest.substr(0, comma)));
    if (comma == std::string_view::npos) return true;
    rest.remove_prefix(comma + 1);
  }
}

bool parse_number(std::string_view field, double& value) {
  if (!field.empty() && field.front() == '+') field.remove_prefix(1);
  const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), value);
  return code == std::errc() && end == field.data() + field.size() && !field.empty();
}

}  // namespace grace::tools
