// How LineShapes reads a line; line_shapes.cc says how it learns.
#include <cstring>
#include <string_view>

#include "event_keys.h"
#include "line_shapes.h"
#include "plain_number.h"
#include "text_scan.h"

#if GRACE_HAS_WIDE
#include "wide_intrinsics.h"

namespace grace::parse {
namespace {

using core::TextRef;

constexpr std::uint64_t kZeros = 0x3030303030303030ULL;
constexpr std::size_t kScalarBytesMax = 32;  // longer ones are left to the general way

// Two stops that follow each other.
inline std::uint64_t load_two(const std::uint32_t* stops) noexcept {
  std::uint64_t word;
  std::memcpy(&word, stops, sizeof word);
  return word;
}

// The text between two quotes as a TextRef's two words: `begin` + 1, `end` - `begin` - 1.
inline std::uint64_t text_between(std::uint64_t quotes) noexcept {
  return quotes - (quotes << 32) + 0xFFFF'FFFF'0000'0001ULL;
}

// Whether each byte is a digit's value.
inline bool are_digits(std::uint64_t values) noexcept {
  return (((values + 0x7676767676767676ULL) | values) & 0x8080808080808080ULL) == 0;
}

// As eight_digits(), of digits' values.
inline std::uint64_t eight_values(std::uint64_t word) noexcept {
  word = word * 10 + (word >> 8);
  return ((word & 0x000000FF000000FFULL) * 0x000F424000000064ULL +
          (word >> 16 & 0x000000FF000000FFULL) * 0x0000271000000001ULL) >>
         32;
}

// As read_plain_decimal().
GRACE_WIDE inline bool read_short_decimal(const char* at, std::size_t size, double& out) noexcept {
  if (size - 1 > 7) return false;
  std::uint64_t word = _bzhi_u64(load8(at) ^ kZeros, static_cast<std::uint32_t>(8 * size));
  const std::uint64_t points = word ^ 0x1E1E1E1E1E1E1E1EULL;  // '.' ^ '0'
  const std::uint64_t found = (points - 0x0101010101010101ULL) & ~points & 0x8080808080808080ULL;
  static constexpr double kPowers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
  std::size_t whole = size;  // digits before the point
  std::size_t count = size;
  if (found != 0) [[likely]] {
    const auto bit = _tzcnt_u64(found) - 7;
    whole = bit / 8;
    count = size - 1;
    if (whole == 0 || whole == count) return false;  // ".5", "5."
    word = _pext_u64(word, ~(std::uint64_t{0xFF} << bit));
  }
  word <<= 64 - 8 * count;
  if (!are_digits(word) || (at[0] == '0' && whole > 1)) return false;
  out = static_cast<double>(eight_values(word)) / kPowers[count - whole];
  return true;
}

bool read_any_number(const char* at, std::size_t size, Number& out) noexcept {
  if (size - 1 >= kScalarBytesMax || !is_digit(at[size - 1])) return false;
  out = read_plain_number(at, size);
  return out.valid();
}

GRACE_WIDE inline bool read_value(const char* at, std::size_t size, double& out) noexcept {
  if (read_short_decimal(at, size, out)) [[likely]]
    return true;
  Number number;
  if (!read_any_number(at, size, number)) return false;
  out = number.value;
  return true;
}

}  // namespace

// Nanoseconds since the epoch; their first eleven digits change every 100 ms.
GRACE_WIDE inline bool LineShapes::read_time(const char* at, std::size_t size,
                                             std::int64_t& out) noexcept {
  if (size == 19 && load8(at) == time_words_[0] && load8(at + 3) == time_words_[1]) [[likely]] {
    const std::uint64_t rest = load8(at + 11) ^ kZeros;
    if (!are_digits(rest)) return false;
    out = time_ns_ + static_cast<std::int64_t>(eight_values(rest));
    return true;
  }
  Number number;
  if (!read_any_number(at, size, number) || number.form != NumberForm::kInteger ||
      number.integer < 0) {
    return false;
  }
  out = number.integer;
  if (size != 19) return true;
  time_words_ = {load8(at), load8(at + 3)};
  time_ns_ = out - out % 100'000'000;
  return true;
}

// What is no text of the event. The place behind it becomes `at`.
[[gnu::always_inline]] GRACE_WIDE inline bool LineShapes::read_part(const Step& step,
                                                                    const std::uint32_t* stops,
                                                                    std::uint32_t& at,
                                                                    core::Event& event,
                                                                    Line& line) noexcept {
  const char* const text = chunk_->text();
  TextRef& place = (&event.service)[step.place];
  const std::uint32_t* const stop = stops + step.stop;
  const std::uint32_t from = stop[0] + 2;  // of a value that is no string
  switch (step.part) {
    case Part::kText:
    case Part::kEnd:
      return true;
    case Part::kIgnored:
      at = stop[1];
      return true;
    case Part::kValue:
      at = stop[1] - 1;
      return read_value(text + from, std::size_t{at} - from, event.value);
    case Part::kNumber: {
      at = stop[1] - 1;
      double number;
      return read_value(text + from, std::size_t{at} - from, number);
    }
    case Part::kTime:
      at = stop[1] - 1;
      return read_time(text + from, std::size_t{at} - from, event.ts_ns);
    case Part::kTimeText: {
      at = stop[1];
      if (at <= stop[0]) return false;  // behind the last line
      const auto ts_ns = time_.read({text + stop[0] + 1, std::size_t{at} - stop[0] - 1});
      event.ts_ns = ts_ns.value_or(-1);
      return event.ts_ns >= 0;
    }
    case Part::kLabels:
      at = step.stops == 0 ? from + 2 : stop[step.stops] + 2;
      place = {from, at - from};
      return labels_.read(text + from, place.size_bytes, line.labels_hash);
    case Part::kOpen:
      at = place.offset = from;
      return true;
    case Part::kSession:
      at = stop[1];
      line.sessions[step.place] = {stop[0] + 1, at - stop[0] - 1};
      return true;
    case Part::kScalar: {
      at = stop[1] - step.stops;
      double number;
      const std::size_t size = std::size_t{at} - from;  // of a line of another shape: any
      return read_short_decimal(text + from, size, number) ||
             (size <= kScalarBytesMax && is_plain_scalar(text + from, size));
    }
    case Part::kClose:
      at += step.size;
      place.size_bytes = at - place.offset;
      return true;
  }
  return false;
}

// All comparisons are judged at the end: what is read of a line that is of another shape is wrong
// but within the text, and forgotten.
GRACE_WIDE inline bool LineShapes::read_texts(const Shape& shape, std::uint32_t begin,
                                              const std::uint32_t* stops, core::Event& event,
                                              Line& line) noexcept {
  const char* const text = chunk_->text();
  auto* const places = reinterpret_cast<char*>(&event.service);
  std::uint32_t at = begin;  // of the next literal: the quote of the string before, if it was one
  std::uint64_t sizes = 0;
  __m256i differs = _mm256_setzero_si256();
  const Literal* literal = shape.literals.data();
  for (const Step* step = shape.steps.data();; ++step, ++literal) {
    const auto* const bytes = reinterpret_cast<const __m256i*>(text + at);
    const auto* const known = reinterpret_cast<const __m256i*>(literal);  // its mask behind it
    constexpr int kOrAnd = 0xF8;                                          // a | (b & c)
    differs = _mm256_ternarylogic_epi32(
        differs, _mm256_xor_si256(_mm256_loadu_si256(bytes), _mm256_load_si256(known)),
        _mm256_load_si256(known + 1), kOrAnd);
    if (step->part == Part::kText) [[likely]] {
      const std::uint64_t quotes = load_two(stops + step->stop);
      const std::uint64_t words = text_between(quotes);
      sizes |= words;
      std::memcpy(places + step->place * sizeof(TextRef), &words, sizeof words);
      at = static_cast<std::uint32_t>(quotes >> 32);
      continue;
    }
    if (!read_part(*step, stops, at, event, line)) return false;
    if (step->part == Part::kEnd) break;
  }
  line.sizes = sizes;
  return _mm256_test_epi8_mask(differs, differs) == 0;
}

GRACE_WIDE inline bool LineShapes::read_as(const Shape& shape, std::uint32_t begin,
                                           const std::uint32_t* stops,
                                           core::Event& event) noexcept {
  if (shape.stops == 0) return false;
  const std::uint32_t newline = stops[shape.stops - 1];
  if (chunk_->text()[newline] != '\n' || newline - begin > config_.line_bytes_max) return false;
  event = shape.event;
  event.text = chunk_->text();
  event.sequence = chunk_->first_sequence + begin;
  event.trusted = chunk_->trusted ? 1 : 0;
  Line line;
  if (!read_texts(shape, begin, stops, event, line)) return false;
  event.line = {begin, newline - begin};
  if (line.sizes >> 32 > config_.name_bytes_max) return false;  // at most twice the longest one
  const std::int64_t arrival_ns = chunk_->arrival_ns;
  if (!shape.timed) event.ts_ns = arrival_ns;
  if (is_ahead(event.ts_ns, arrival_ns, config_.ahead_max.count())) return false;
  if (!complete(event, line.labels_hash)) return false;
  if (!shape.sessions) [[likely]]
    return true;
  for (const TextRef session : line.sessions) {
    if (session.size_bytes == 0) continue;
    event.session_key = session_key_of(event.view(session));
    break;
  }
  return true;
}

GRACE_WIDE std::uint32_t LineShapes::read_covered(std::uint32_t begin,
                                                  core::Event& event) noexcept {
  const char* const text = chunk_->text();
  const std::uint32_t* const stops = stops_.next();
  const std::uint64_t near = load8(text + stops[4]) * 0xa0761d6478bd642fULL +
                             load8(text + stops[6]) * 0xe7037ed1a0b428dbULL;
  std::uint8_t& likely = likely_[near >> 56];
  const Shape* shape = &shapes_[likely];
  for (std::size_t next = 0;; ++next) {
    if (read_as(*shape, begin, stops, event)) [[likely]]
      break;
    if (next == kShapes) {
      stops_.left();
      return 0;
    }
    shape = &shapes_[next];
    likely = static_cast<std::uint8_t>(next);
  }
  stops_.took(stops + shape->stops);
  return stops[shape->stops - 1];
}

}  // namespace grace::parse

#endif
