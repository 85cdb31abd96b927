#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "event_builder.h"
#include "flat_line.h"
#include "grace/core/chunk.h"
#include "grace/core/packed_event.h"
#include "grace/parse/chunk_parser.h"
#include "label_memo.h"
#include "line_walker.h"
#include "structural_index.h"

namespace grace::parse {

// What reads JSON: ChunkParser's own, which packed events share for the JSON in them.
struct JsonTools {
  FlatLine& flat;
  LabelMemo& labels;
  StructuralIndex& index;
  LineWalker& walker;
  EventBuilder<Form::kJson>& builder;
};

[[nodiscard]] RejectReason reason_of(WalkResult result, const LineWalker& walker) noexcept;

// Reads the records of packed chunks (core/packed_event.h): checks their form, in the order in
// which a JSON line's form is judged, and leaves their fields to EventBuilder. Nothing that a
// record says is believed: sizes are checked against the record, texts must be UTF-8, labels and
// payload JSON. Single-threaded.
class PackedReader {
 public:
  PackedReader(const ParseConfig& config, JsonTools tools);

  void begin(core::Chunk& chunk) noexcept;
  [[nodiscard]] bool done() const noexcept { return at_ >= chunk_->size_bytes; }
  // The next record. nullopt: `event` is complete.
  [[nodiscard]] std::optional<RejectReason> next(core::Event& event);
  // Of the record that next() read.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return chunk_->first_sequence + begin_; }
  // The record as a JSON line, for dead letters. Valid until the next call.
  [[nodiscard]] std::string_view line();

 private:
  using Header = core::PackedHeader;
  [[nodiscard]] std::optional<RejectReason> read_line(const Header& header, core::Event& event);
  template <core::PackedForm kForm>
  [[nodiscard]] bool read_quick(const Header& header, core::Event& event) noexcept;
  template <core::PackedForm kForm>
  [[nodiscard]] std::optional<RejectReason> read_fields(const Header& header, core::Event& event);
  [[nodiscard]] bool read_flat(Field field, const char* text, std::size_t size) noexcept;
  [[nodiscard]] std::optional<RejectReason> read_detail(Field field, std::uint32_t begin,
                                                        std::uint32_t size);

  const core::Event nothing_{};  // to be copied: as EventBuilder's
  const ParseConfig config_;
  JsonTools tools_;
  EventBuilder<Form::kPacked> builder_;
  LineFields fields_;
  core::Chunk* chunk_ = nullptr;
  std::uint32_t at_ = 0;     // of the next record
  std::uint32_t begin_ = 0;  // of the one that was read
  std::string line_;
};

}  // namespace grace::parse
