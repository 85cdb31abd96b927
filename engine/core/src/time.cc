#include "grace/core/time.h"

#include <array>

namespace grace::core {
namespace {

// Days since 1970-01-01 of a proleptic Gregorian date; Howard Hinnant, "chrono-Compatible
// Low-Level Date Algorithms", days_from_civil.
constexpr std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(year - era * 400);
  const unsigned day_of_year = (153 * (month + (month > 2 ? -3U : 9U)) + 2) / 5 + day - 1;
  const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + static_cast<std::int64_t>(day_of_era) - 719468;
}
static_assert(days_from_civil(1970, 1, 1) == 0);
static_assert(days_from_civil(2025, 1, 15) == 20103);

struct Date {
  std::int64_t year;
  unsigned month, day;
};
constexpr Date civil_from_days(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted_month = (5 * day_of_year + 2) / 153;
  const unsigned day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2), month, day};
}

constexpr unsigned days_in_month(std::int64_t year, unsigned month) {
  constexpr std::array<unsigned, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// Reads exactly `width` digits at `at` and moves past them.
bool read_digits(std::string_view text, std::size_t& at, std::size_t width, unsigned& value) {
  if (at + width > text.size()) return false;
  value = 0;
  for (std::size_t i = 0; i < width; ++i, ++at) {
    const char c = text[at];
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return true;
}

bool read_char(std::string_view text, std::size_t& at, char a, char b) {
  if (at >= text.size() || (text[at] != a && text[at] != b)) return false;
  ++at;
  return true;
}

// Writes `value` as exactly `width` digits.
char* put_digits(char* at, std::int64_t value, std::size_t width) {
  for (std::size_t i = width; i-- > 0; value /= 10) at[i] = static_cast<char>('0' + value % 10);
  return at + width;
}

}  // namespace

std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept {
  std::size_t at = 0;
  unsigned year, month, day, hour, minute, second;
  if (!read_digits(text, at, 4, year) || !read_char(text, at, '-', '-') ||
      !read_digits(text, at, 2, month) || !read_char(text, at, '-', '-') ||
      !read_digits(text, at, 2, day) || !read_char(text, at, 'T', 't') ||
      !read_digits(text, at, 2, hour) || !read_char(text, at, ':', ':') ||
      !read_digits(text, at, 2, minute) || !read_char(text, at, ':', ':') ||
      !read_digits(text, at, 2, second)) {
    return std::nullopt;
  }
  if (year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 ||
      day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60) {
    return std::nullopt;
  }
  std::int64_t nanoseconds = 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    std::int64_t unit = kNsPerSecond / 10;
    const std::size_t begin = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      nanoseconds += (text[at] - '0') * unit;  // digits past the ninth have unit 0
    }
    if (at == begin) return std::nullopt;
  }
  std::int64_t offset_minutes = 0;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    const bool negative = text[at++] == '-';
    unsigned hours, minutes;
    if (!read_digits(text, at, 2, hours) || !read_char(text, at, ':', ':') ||
        !read_digits(text, at, 2, minutes) || hours > 23 || minutes > 59) {
      return std::nullopt;
    }
    offset_minutes = static_cast<std::int64_t>(hours * 60 + minutes) * (negative ? -1 : 1);
  } else if (!read_char(text, at, 'Z', 'z')) {
    return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;
  const std::int64_t seconds = days_from_civil(year, month, day) * 86400 +
                               static_cast<std::int64_t>(hour * 3600 + minute * 60 + second) -
                               offset_minutes * 60;
  return seconds * kNsPerSecond + nanoseconds;
}

std::string format_rfc3339(std::int64_t ts_ns) {
  std::int64_t seconds = ts_ns / kNsPerSecond;
  std::int64_t nanoseconds = ts_ns % kNsPerSecond;
  if (nanoseconds < 0) {
    nanoseconds += kNsPerSecond;
    --seconds;
  }
  std::int64_t days = seconds / 86400;
  std::int64_t second_of_day = seconds % 86400;
  if (second_of_day < 0) {
    second_of_day += 86400;
    --days;
  }
  const Date date = civil_from_days(days);
  // 64 bits of nanoseconds end in 2262 and begin in 1677.
  std::array<char, 32> text;
  char* at = put_digits(text.data(), date.year, 4);
  *at++ = '-';
  at = put_digits(at, date.month, 2);
  *at++ = '-';
  at = put_digits(at, date.day, 2);
  *at++ = 'T';
  at = put_digits(at, second_of_day / 3600, 2);
  *at++ = ':';
  at = put_digits(at, second_of_day / 60 % 60, 2);
  *at++ = ':';
  at = put_digits(at, second_of_day % 60, 2);
  if (nanoseconds != 0) {
    *at++ = '.';
    at = put_digits(at, nanoseconds, 9);
    while (at[-1] == '0') --at;
  }
  *at++ = 'Z';
  return {text.data(), at};
}

std::string format_duration(std::int64_t duration_ns) {
  struct Unit {
    std::int64_t ns;
    const char* name;
  };
  static constexpr Unit kUnits[] = {{24 * kNsPerHour, "day"},   {kNsPerHour, "hour"},
                                    {kNsPerMinute, "minute"},   {kNsPerSecond, "second"},
                                    {1'000'000, "millisecond"}, {1, "nanosecond"}};
  for (const Unit& unit : kUnits) {
    if (duration_ns % unit.ns != 0 || duration_ns == 0) continue;
    const std::int64_t count = duration_ns / unit.ns;
    return std::to_string(count) + " " + unit.name + (count == 1 ? "" : "s");
  }
  return "0 seconds";
}

}  // namespace grace::core
