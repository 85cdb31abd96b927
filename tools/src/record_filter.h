#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"
#include "grace/parse/json_value.h"

namespace grace::tools {

// A record as a filter sees it.
struct FilteredRecord {
  std::uint64_t sequence = 0;
  std::string_view type;  // "json", "chunk", "recovery", "note", "key_change", or the type's number
  const parse::JsonValue& json;  // null where it is no JSON object
};

// `grace ledger cat --where`: a small language over a record's fields.
//
//   expr    = and *( "or" and )       and = term *( "and" term )
//   term    = "not" term / "(" expr ")" / field operator value
//   field   = name *( "." ( name / index ) )          name = [A-Za-z_][A-Za-z0-9_-]*
//   operator = "=" / "!=" / "<" / "<=" / ">" / ">=" / "~"
//   value   = "text" (with \" and \\ inside) / number / true / false / null
//
// `sequence` and `type` are the record's own; other fields are members of its object, from the top.
// Numbers compare as numbers, texts by their bytes, ts as a time. `~` finds a text inside another;
// with * or ? in it, it is a pattern (* any run, ? one) for the whole. A field that is absent is
// null. Values of different kinds are not equal, and neither is less.
//
// Bounds: kTextBytesMax, kDepthMax nested parentheses and nots; matching takes time linear in the
// filter, but for ~, which takes |pattern| x |text| at most. Immutable; any thread.
class RecordFilter {
 public:
  static constexpr std::size_t kTextBytesMax = 4096;
  static constexpr std::size_t kDepthMax = 32;

  // kInvalidArgument: "column 12: ..."; offset is the column, counted in bytes from 1.
  [[nodiscard]] static core::Result<RecordFilter> parse(std::string_view text);

  [[nodiscard]] bool matches(const FilteredRecord& record) const;
  // Whether the filter asks for a record's type.
  [[nodiscard]] bool asks_for_type() const noexcept { return asks_for_type_; }

 private:
  friend class FilterParser;
  enum class Compare : std::uint8_t {
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kMore,
    kMoreEqual,
    kLike
  };
  struct Test {
    std::vector<std::string> path;
    Compare compare = Compare::kEqual;
    parse::JsonValue value;
  };
  enum class Step : std::uint8_t { kTest, kNot, kAnd, kOr };
  [[nodiscard]] static bool holds(const Test& test, const FilteredRecord& record);

  std::vector<Test> tests_;
  std::vector<Step> program_;  // postfix: kTest pushes the next test's outcome
  bool asks_for_type_ = false;
};

}  // namespace grace::tools
