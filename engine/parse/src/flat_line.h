#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "grace/core/platform.h"
#include "line_fields.h"
#include "text_scan.h"

namespace grace::parse {

// Reads lines as machines write them in one pass, without a StructuralIndex: no blanks, no escapes,
// no nesting but labels and a flat payload, keys of ASCII. A stream's lines repeat their keys in
// the same order, so each key is foretold by the one before it and compared with the comma, the
// colon and the value's opening quote at once. It takes a line only when LineWalker::walk() would
// take it with the very same result (fuzzed against it), and says no otherwise; it never rejects.
// What it has learned changes its speed alone. Gain: 338 to 224 ns a line (bench/parse_bench).
//
// Single-threaded; owns 66 KiB, of which a stream uses some dozens of lines and the sets of labels
// that it has.
class FlatLine {
 public:
  // The line at text[begin]: the place of its newline, or 0 when it is not in this form. A byte
  // under 0x20 stands at most one byte behind the chunk's text, blanks between and up to 64 bytes
  // behind it. Spans count from `text`.
  [[nodiscard]] std::uint32_t read(const char* text, std::uint32_t begin,
                                   LineFields& fields) noexcept;
  // Labels and payloads alone, whose opening brace is *at, as LineWalker::walk_value() would read
  // them but for the field's own span: the place behind the closing brace, or null when they are
  // not in this form. They are UTF-8; the same must hold of what is behind them. Spans count from
  // `text`.
  [[nodiscard]] const char* labels(const char* at, LineFields& fields) noexcept;
  [[nodiscard]] const char* payload(const char* text, const char* at, LineFields& fields) noexcept;

 private:
  static constexpr std::uint16_t kNever = 1;  // with nothing compared: matches nothing
  enum class Value : std::uint8_t { kString, kScalar, kObject };
  // What stood between two values last time.
  struct alignas(32) Step {
    std::array<char, 16> literal{};  // `,"service":"`, `{"ts":`, zeros behind
    std::uint64_t key_hash = 0;      // hash_short() of the key
    // Bit per byte: those to compare, and those of them that must be the same. A scalar's literal
    // ends in a quote, which must not follow it: that would be a string.
    std::uint16_t compared = 0;
    std::uint16_t same = kNever;
    std::uint8_t size = 0;  // bytes of the literal, which may be longer than the array
    Value value = Value::kScalar;
    std::uint8_t meaning = 0;  // a Field, or an index of LineFields::session
    std::uint8_t next = 0;     // the step behind it
  };
  // What followed some value the last times: where two ways alternate, both are known.
  using Guesses = std::array<Step, 2>;
  static constexpr std::size_t kKeyBytesMax = 64;
  static constexpr std::size_t kGroups = 8;           // of lines, by their kind
  static constexpr std::size_t kSteps = 64;           // one for each known field, some for others
  static constexpr std::size_t kFirst = kFieldCount;  // the step that begins a line
  static constexpr std::size_t kOthers = 32;
  static constexpr std::size_t kInnerSteps = 16;  // labels, payload; the first one is 0
  using Inner = std::array<Guesses, kInnerSteps>;

  // Labels that were read, by their text: a program has few sets of them and sends them over and
  // over. Short ones of ASCII alone. Gain: 4% of a replay.
  struct alignas(core::kCacheLineBytes) KnownLabels {
    static constexpr std::size_t kBytesMax = 112;
    std::array<char, kBytesMax> text;
    std::uint64_t hash = 0;  // LineFields::labels_hash
    std::uint32_t size_bytes = 0;
  };
  static_assert(sizeof(KnownLabels) == 2 * core::kCacheLineBytes);
  static constexpr std::size_t kKnownLabels = 256;

  [[nodiscard]] static bool matches(const Step& step, const char* at) noexcept;
  [[nodiscard]] const char* string_end(const char* at) noexcept;
  [[nodiscard]] static std::string_view learn(Step& step, const char* at, char lead) noexcept;
  template <typename Mean>
  [[nodiscard]] const Step* other_step(Guesses& guesses, const char* at, char lead,
                                       Mean&& mean) noexcept;
  [[nodiscard]] const Step* top_step(Guesses& guesses, const char* at, char lead) noexcept;
  [[nodiscard]] const Step* inner_step(Guesses& guesses, const char* at, char lead) noexcept;
  // In line where a whole line is read: 3% of a replay.
  [[nodiscard]] const char* read_labels(const char* at, LineFields& fields) noexcept;
  [[nodiscard]] const char* walk_labels(const char* at, LineFields& fields) noexcept;
  [[nodiscard]] const char* read_payload(const char* text, const char* at,
                                         LineFields& fields) noexcept;
  [[nodiscard]] static const char* number(const char* at, Field field, LineFields& fields) noexcept;

  std::array<std::array<Guesses, kSteps>, kGroups> steps_{};
  std::array<KnownLabels, kKnownLabels> known_labels_;
  Inner labels_{};
  Inner payload_{};
  Step passing_;                  // one that is too long to be kept
  bool is_beyond_ascii_ = false;  // a string of the line is: it must be judged
};

}  // namespace grace::parse
