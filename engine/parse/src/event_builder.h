#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "grace/core/chunk.h"
#include "grace/core/event.h"
#include "grace/parse/chunk_parser.h"
#include "line_fields.h"
#include "payload_decoder.h"
#include "time_reader.h"

namespace grace::parse {

// The place of a line: offsets into the chunk's text.
struct LinePlace {
  std::uint32_t window_offset = 0;  // what LineFields' spans count from
  std::uint32_t begin = 0;
  std::uint32_t end = 0;  // without "\r\n"
};

// How the values of LineFields stand in the text that their spans point into.
enum class Form : std::uint8_t {
  kJson,    // as on the wire: strings in quotes, numbers as text
  kPacked,  // texts as they are; ts, value and duration_ms as numbers in LineFields alone
};

// Judges the fields of a line that is valid JSON, or of a packed event, and makes the event of it:
// one set of rules for both. Single-threaded.
template <Form kForm>
class EventBuilder {
 public:
  explicit EventBuilder(const ParseConfig& config) : config_(config) {}
  void begin_chunk(core::Chunk& chunk) noexcept { chunk_ = &chunk; }

  // nullopt: `event` is complete. Otherwise the reason; the chunk's scratch is as before.
  [[nodiscard]] std::optional<RejectReason> build(const LineFields& fields, LinePlace place,
                                                  core::Event& event);

 private:
  [[nodiscard]] bool set_kind(core::Event& event);
  [[nodiscard]] bool set_time(core::Event& event);
  [[nodiscard]] bool set_metric(core::Event& event);
  [[nodiscard]] bool set_action(core::Event& event);
  [[nodiscard]] bool set_mesh(core::Event& event);
  [[nodiscard]] bool set_control(core::Event& event);

  // A text field, empty when absent. False: wrong type or too long.
  [[nodiscard]] bool text(Field field, core::TextRef& out);
  [[nodiscard]] bool text_slow(Field field, core::TextRef& out);
  // The field, which is there, is a number.
  [[nodiscard]] bool is_number(Field field) const noexcept;
  [[nodiscard]] bool text_of(Field field, Field alias, core::TextRef& out);
  [[nodiscard]] bool result_text(core::Event& event);
  // Labels or payload: raw JSON of an object, empty when absent. False: wrong type.
  [[nodiscard]] bool object(Field field, core::TextRef& out);
  [[nodiscard]] core::TextRef unescaped(Span span, bool escaped);
  [[nodiscard]] std::uint32_t session_key(const core::Event& event);
  [[nodiscard]] const char* at(Span span) const noexcept {
    return chunk_->text() + place_.window_offset + span.begin;
  }
  [[nodiscard]] bool fail(RejectReason reason) noexcept {
    reason_ = reason;
    return false;
  }
  [[nodiscard]] bool check(std::optional<RejectReason> reason) noexcept {
    return !reason || fail(*reason);
  }

  // What each event begins as. A member, to be copied: of a constant GCC 12 knows that it is zeros
  // and clears with `rep stos`: 4% of a replay.
  const core::Event nothing_{};
  ParseConfig config_;
  PayloadDecoder decoder_;
  core::Chunk* chunk_ = nullptr;
  const LineFields* fields_ = nullptr;
  LinePlace place_;
  RejectReason reason_ = RejectReason::kMalformedJson;
  TimeReader time_;
};

}  // namespace grace::parse
