#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "flat_line.h"
#include "grace/core/assert.h"
#include "line_walker.h"
#include "parse_fixture.h"
#include "structural_index.h"
#include "text_scan.h"

// The two ways to read a line, held against each other. For the fuzzer and for tests.
namespace grace::parse {

inline bool same_number(const Number& a, const Number& b) {
  return a.form == b.form && a.integer == b.integer &&
         std::memcmp(&a.value, &b.value, sizeof a.value) == 0;
}

inline void expect_same_fields(std::string_view line, const LineFields& quick,
                               const LineFields& general) {
  GRACE_ASSERT(quick.present == general.present, "%s", std::string(line).c_str());
  GRACE_ASSERT(quick.escaped == 0 && (general.escaped & general.present) == 0);
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    const auto field = static_cast<Field>(i);
    if (!quick.has(field)) continue;
    const Span span = quick.span(field);
    GRACE_ASSERT(span.begin == general.span(field).begin && span.end == general.span(field).end);
    if (!is_digit(line[span.begin]) && line[span.begin] != '-') continue;
    if (field == Field::kTs) GRACE_ASSERT(same_number(quick.ts, general.ts));
    if (field == Field::kValue) GRACE_ASSERT(same_number(quick.value, general.value));
    if (field == Field::kDurationMs) {
      GRACE_ASSERT(same_number(quick.duration_ms, general.duration_ms));
    }
  }
  const auto is_object = [&](Field field) {
    return quick.has(field) && line[quick.span(field).begin] == '{';
  };
  if (is_object(Field::kLabels)) {
    GRACE_ASSERT(quick.labels_hash == general.labels_hash);
    GRACE_ASSERT(quick.labels_nested == general.labels_nested);
  }
  if (is_object(Field::kPayload)) {
    GRACE_ASSERT(quick.session_present == general.session_present);
    for (std::size_t i = 0; i < LineFields::kSessionKeyCount; ++i) {
      if ((quick.session_present >> i & 1) == 0) continue;
      GRACE_ASSERT(quick.session[i].begin == general.session[i].begin &&
                   quick.session[i].end == general.session[i].end);
    }
  }
}

struct Ways {
  bool flat = false;  // FlatLine took it
  bool general = false;
};

// What FlatLine takes, the general way must take with the same result. What FlatLine has learned
// stays from call to call. The line's text is a window of its own.
inline Ways compare_walks(std::string_view line) {
  static StructuralIndex index(1 << 20);
  static LineWalker walker(64);
  static FlatLine flat;
  Ways ways;
  if (line.empty() || line.size() >= 1 << 20) return ways;
  auto chunk = make_chunk(line);
  char* const text = chunk->text();
  std::memset(text + line.size(), ' ', core::kChunkPaddingBytes);
  text[line.size() + 1] = '\n';
  LineFields flat_fields;
  const std::uint32_t newline = flat.read(text, 0, flat_fields);
  ways.flat = newline != 0;
  if (ways.flat) GRACE_ASSERT(newline + 1 == line.size() && line.back() == '\n');
  if (!index.build(text, line.size()) || index.count() == 0) {
    GRACE_ASSERT(!ways.flat, "%s", std::string(line).c_str());
    return ways;
  }
  walker.begin_window(text, line.size(), index.tokens());
  const auto end = static_cast<std::uint32_t>(line.size() - (line.back() == '\n' ? 1 : 0));
  LineFields general;
  ways.general = walker.walk(0, end, general, chunk->scratch()) == WalkResult::kOk;
  GRACE_ASSERT(ways.general || !ways.flat, "%s", std::string(line).c_str());
  if (ways.flat) expect_same_fields(line, flat_fields, general);
  return ways;
}

}  // namespace grace::parse
