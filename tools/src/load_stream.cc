#include "load_stream.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <sstream>

#include "paths.h"

namespace grace::tools {
namespace {

constexpr std::string_view kTimestampKey = "{\"ts\":";
constexpr std::size_t kTimestampDigits = 19;

bool has_timestamp(std::string_view line) {
  if (!line.starts_with(kTimestampKey)) return false;
  const std::string_view digits = line.substr(kTimestampKey.size(), kTimestampDigits);
  return digits.size() == kTimestampDigits &&
         digits.find_first_not_of("0123456789") == std::string_view::npos;
}

void write_digits(std::int64_t value, char* out) {
  std::array<char, kTimestampDigits + 1> digits;
  const char* const end = std::to_chars(digits.begin(), digits.end(), value).ptr;
  const auto size = static_cast<std::size_t>(end - digits.begin());  // all but in 1970 to 2001
  std::memset(out, '0', kTimestampDigits - size);
  std::memcpy(out + kTimestampDigits - size, digits.begin(), size);
}

}  // namespace

core::Result<LoadStream> LoadStream::of(std::string text, std::size_t line_bytes_max) {
  LoadStream stream;
  stream.text_ = std::move(text);
  if (!stream.text_.empty() && stream.text_.back() != '\n') stream.text_ += '\n';
  for (std::size_t at = 0; at < stream.text_.size();) {
    const std::size_t end = stream.text_.find('\n', at) + 1;
    if (end - at > line_bytes_max) {
      return core::make_error(core::ErrorCode::kInvalidArgument,
                              "line " + std::to_string(stream.ends_.size() + 1) + " has " +
                                  std::to_string(end - at) + " bytes, at most " +
                                  std::to_string(line_bytes_max));
    }
    const std::string_view line(stream.text_.data() + at, end - at);
    const bool topology = line.find("\"control\":\"topology\"") != std::string_view::npos;
    if (topology && stream.prologue_ == stream.ends_.size()) ++stream.prologue_;
    stream.ends_.push_back(end);
    at = end;
  }
  if (stream.ends_.size() == stream.prologue_) {
    return core::make_error(core::ErrorCode::kInvalidArgument, "there are no events to send");
  }
  return stream;
}

core::Result<LoadStream> LoadStream::generated(const GeneratorOptions& options,
                                               std::size_t line_bytes_max) {
  std::ostringstream out;
  if (const auto truth = generate(options, out); !truth) {
    return tl::unexpected<core::Error>(truth.error());
  }
  return of(std::move(out).str(), line_bytes_max);
}

core::Result<LoadStream> LoadStream::of_file(const std::string& path, std::size_t line_bytes_max) {
  auto text = read_file(path, kFileBytesMax);
  if (!text) return tl::unexpected<core::Error>(text.error());
  return of(std::move(*text), line_bytes_max);
}

std::size_t LoadStream::index_of(std::uint64_t arrival) const noexcept {
  if (arrival < ends_.size()) return static_cast<std::size_t>(arrival);
  const std::uint64_t round = ends_.size() - prologue_;
  return prologue_ + static_cast<std::size_t>((arrival - ends_.size()) % round);
}

std::string_view LoadStream::line(std::uint64_t arrival) const noexcept {
  const std::size_t index = index_of(arrival);
  const std::uint64_t begin = index == 0 ? 0 : ends_[index - 1];
  return {text_.data() + begin, static_cast<std::size_t>(ends_[index] - begin)};
}

std::size_t LoadStream::write(std::uint64_t arrival, std::int64_t ts_ns, char* out) const noexcept {
  const std::string_view from = line(arrival);
  std::memcpy(out, from.data(), from.size());
  if (has_timestamp(from)) write_digits(ts_ns, out + kTimestampKey.size());
  return from.size();
}

}  // namespace grace::tools
