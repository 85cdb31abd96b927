#include "time_reader.h"

#include "grace/core/time.h"
#include "text_scan.h"

namespace grace::parse {
namespace {

constexpr std::int64_t kNsPerDay = 24 * core::kNsPerHour;

// Two decimal digits; over 99 when they are none.
unsigned two_digits(const char* at) noexcept {
  const auto tens = static_cast<unsigned char>(at[0] - '0');
  const auto ones = static_cast<unsigned char>(at[1] - '0');
  return tens < 10 && ones < 10 ? tens * 10U + ones : 100U;
}

}  // namespace

// "YYYY-MM-DDTHH:MM:SS[.fraction]Z" with the date read last, else the general way.
std::optional<std::int64_t> TimeReader::read(std::string_view text) noexcept {
  if (text.size() < 20 || text.size() > 30 || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':' || text.back() != 'Z') {
    return core::parse_rfc3339(text);
  }
  const std::uint64_t word = load8(text.data());
  const std::uint64_t tail = low_bytes(load8(text.data() + 8), 2);
  const unsigned hour = two_digits(text.data() + 11);
  const unsigned minute = two_digits(text.data() + 14);
  const unsigned second = two_digits(text.data() + 17);
  if (word != date_word_ || tail != date_tail_ || hour > 23 || minute > 59 || second > 59) {
    const auto ts_ns = core::parse_rfc3339(text);
    if (ts_ns && *ts_ns >= 0 && second <= 59) {
      date_word_ = word;
      date_tail_ = tail;
      date_ns_ = *ts_ns - *ts_ns % kNsPerDay;
    }
    return ts_ns;
  }
  std::int64_t fraction_ns = 0;
  if (text.size() > 20) {
    if (text[19] != '.' || text.size() == 21) return std::nullopt;
    std::int64_t unit_ns = core::kNsPerSecond / 10;
    for (std::size_t i = 20; i + 1 < text.size(); ++i, unit_ns /= 10) {
      if (!is_digit(text[i])) return std::nullopt;
      fraction_ns += (text[i] - '0') * unit_ns;
    }
  }
  return date_ns_ + std::int64_t{hour * 3600 + minute * 60 + second} * core::kNsPerSecond +
         fraction_ns;
}

}  // namespace grace::parse
