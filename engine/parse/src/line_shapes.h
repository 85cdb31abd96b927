#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "grace/core/chunk.h"
#include "grace/core/event.h"
#include "grace/parse/chunk_parser.h"
#include "label_memo.h"
#include "line_fields.h"
#include "stop_index.h"
#include "time_reader.h"
#include "wide_registers.h"

namespace grace::parse {

// Makes the events of metric samples and actions whose lines have the shape of one before: the same
// keys in the same order, each with a value of the same type, whatever the values are. A StopIndex
// says where each of the line's texts ends, so none waits for the end of the one before; a shape
// says what has to stand between the texts, which is compared without a branch for each, and where
// each text belongs in the event. It takes a line only when the general way would, with the very
// same event (fuzzed against it), and says no otherwise; it never rejects. What it has learned
// changes its speed alone. Gain: 12% of a replay by one worker, whose parsing falls from 98 to 59
// ns a line (AMD EPYC, Zen 4).
//
// Where the CPU has no quick way to make the index (stop_index.h), nothing is read here.
// Single-threaded; owns 104 KiB, of which a stream uses some hundred bytes for each of its shapes.
class LineShapes {
 public:
  LineShapes(const ParseConfig& config, LabelMemo& labels, bool used = has_wide_registers());

  void begin_chunk(const core::Chunk& chunk) noexcept {
    chunk_ = &chunk;
    stops_.begin();
  }
  // The line of the chunk that begins at text[begin], asked for in their order: the place of its
  // newline when `event` is complete, or 0.
  [[nodiscard]] std::uint32_t read(std::uint32_t begin, core::Event& event) noexcept {
    if (!used_ || !stops_.covers(chunk_->text(), begin, chunk_->size_bytes)) return 0;
    return read_covered(begin, event);
  }
  // FlatLine took the line that read() has just left, whose newline is at `newline`, and it was
  // made an event: the next one of its shape is read here.
  void learn(std::uint32_t begin, std::uint32_t newline) noexcept;

 private:
  enum class Part : std::uint8_t {
    kText,     // a string of the event
    kIgnored,  // a string that is not
    kValue,    // the number of the event
    kNumber,   // one that is not kept
    kTime,     // the event's time, a number
    kTimeText,
    kLabels,  // texts alone, or none
    kOpen,    // what begins a payload
    kSession,
    kScalar,  // of a payload: any but a string
    kClose,   // what ends the payload
    kEnd,     // what ends the line
  };
  // What stands between two values.
  struct alignas(core::kCacheLineBytes) Literal {
    static constexpr std::size_t kBytesMax = 32;
    std::array<char, kBytesMax> text;  // `","service":"`, `{"ts":`; zeros behind
    std::array<char, kBytesMax> mask;  // all bits of each byte that is compared
  };
  // The value behind it.
  struct Step {
    std::uint16_t stop = 0;  // that begins the value: its quote; else the quote that ends its key
    Part part = Part::kEnd;
    // Where it belongs: of a text and of what is kept as it stands, a TextRef of the event, counted
    // in their size; of a session, which of kSessionKeys.
    std::uint8_t place = 0;
    std::uint8_t size = 0;  // bytes of the literal
    // Of labels: their quotes. Of a scalar in a payload: how far before the next stop it ends.
    std::uint8_t stops = 0;
  };
  static constexpr std::size_t kSteps = 32;
  struct Shape {
    core::Event event;  // what all its lines have in common
    std::array<Literal, kSteps> literals;
    std::array<Step, kSteps> steps;
    std::uint32_t stops = 0;  // with the newline; 0: no shape
    bool timed = false;
    bool sessions = false;
  };
  // Of the line that is being read.
  struct Line {
    std::uint64_t labels_hash = 0;
    std::uint64_t sizes = 0;  // of its texts, or-ed, in the upper half
    std::array<core::TextRef, LineFields::kSessionKeyCount> sessions;
  };
  static constexpr std::size_t kShapes = 16;
  static constexpr std::size_t kSlots = 256;
  static constexpr std::uint64_t kAllLearned = 256;  // of the first ones offered
  static constexpr std::uint64_t kLearnedEvery = 16;
  class Learner;

  [[nodiscard]] GRACE_WIDE std::uint32_t read_covered(std::uint32_t begin,
                                                      core::Event& event) noexcept;
  [[nodiscard]] GRACE_WIDE bool read_as(const Shape& shape, std::uint32_t begin,
                                        const std::uint32_t* stops, core::Event& event) noexcept;
  [[nodiscard]] GRACE_WIDE bool read_texts(const Shape& shape, std::uint32_t begin,
                                           const std::uint32_t* stops, core::Event& event,
                                           Line& line) noexcept;
  [[nodiscard]] GRACE_WIDE bool read_part(const Step& step, const std::uint32_t* stops,
                                          std::uint32_t& at, core::Event& event,
                                          Line& line) noexcept;
  [[nodiscard]] GRACE_WIDE bool read_time(const char* at, std::size_t size,
                                          std::int64_t& out) noexcept;

  const ParseConfig config_;
  LabelMemo& labels_;
  const bool used_;
  const core::Chunk* chunk_ = nullptr;
  StopIndex stops_;
  TimeReader time_;
  // The first eleven digits of the time read last, and what they are worth.
  std::array<std::uint64_t, 2> time_words_{};
  std::int64_t time_ns_ = 0;
  std::vector<Shape> shapes_;
  std::array<std::uint8_t, kSlots> likely_{};  // a shape, by some texts near a line's begin
  std::size_t learned_ = 0;
  std::uint64_t offered_ = 0;  // lines to learn from
};

}  // namespace grace::parse
