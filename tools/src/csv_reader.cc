#include "csv_reader.h"

#include <charconv>

namespace grace::tools {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

tl::unexpected<core::Error> CsvReader::error(std::string_view what) const {
  return core::make_error(core::ErrorCode::kInvalidArgument,
                          name_ + ":" + std::to_string(line_) + ": " + std::string(what), 0, line_);
}

core::Result<bool> CsvReader::read_line() {
  text_.clear();
  std::streambuf& buffer = *input_.rdbuf();
  constexpr int kEnd = std::char_traits<char>::eof();
  int byte = buffer.sbumpc();
  if (byte == kEnd) return false;
  ++line_;
  for (; byte != kEnd && byte != '\n'; byte = buffer.sbumpc()) {
    if (text_.size() == kLineBytesMax) {
      return error("longer than " + std::to_string(kLineBytesMax) + " bytes");
    }
    text_.push_back(static_cast<char>(byte));
  }
  if (!text_.empty() && text_.back() == '\r') text_.pop_back();
  return true;
}

core::Result<bool> CsvReader::next() {
  do {
    const core::Result<bool> more = read_line();
    if (!more) return more;
    if (!*more) return false;
  } while (trimmed(text_).empty());
  fields_.clear();
  std::string_view rest = text_;
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
  if (code == std::errc::result_out_of_range) {
    // Too large or too small for a double: no number that a model could use.
    return false;
  }
  return code == std::errc() && end == field.data() + field.size() && !field.empty();
}

}  // namespace grace::tools
