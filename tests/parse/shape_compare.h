#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "event_builder.h"
#include "flat_line.h"
#include "grace/core/assert.h"
#include "line_shapes.h"
#include "line_walker.h"
#include "parse_fixture.h"
#include "structural_index.h"

namespace grace::parse {

// LineShapes held against the general way, over all lines of a text. What has been learned stays
// from call to call.
class ShapeCompare {
 public:
  struct Counts {
    std::uint64_t lines = 0;
    std::uint64_t accepted = 0;  // by the general way
    std::uint64_t shaped = 0;
  };

  explicit ShapeCompare(const ParseConfig& config = {})
      : config_(config), builder_(config), shapes_(config, labels_) {}

  Counts read(std::string_view bytes, const Feed& feed = {}) {
    const auto chunk = make_chunk(bytes);
    chunk->arrival_ns = feed.arrival_ns;
    chunk->trusted = feed.trusted;
    chunk->first_sequence = 7;
    char* const text = chunk->text();
    std::memset(text + bytes.size(), ' ', core::kChunkPaddingBytes);
    text[bytes.size() + 1] = '\n';
    builder_.begin_chunk(*chunk);
    shapes_.begin_chunk(*chunk);
    Counts counts;
    for (std::uint32_t begin = 0; begin < bytes.size();) {
      const std::size_t found = bytes.find('\n', begin);
      const bool whole = found != std::string_view::npos;
      const auto end = static_cast<std::uint32_t>(whole ? found : bytes.size());
      core::Event shaped;
      core::Event built;
      const std::uint32_t newline = shapes_.read(begin, shaped);
      const bool flat = flat_.read(text, begin, fields_) == end && end > begin;
      const bool accepted = whole && end - begin <= config_.line_bytes_max &&
                            build_generally(chunk->text(), begin, end, built);
      const std::string line(bytes.substr(begin, end - begin));
      if (newline != 0) {
        ++counts.shaped;
        GRACE_ASSERT(newline == end && accepted, "%s", line.c_str());
        static_assert(std::has_unique_object_representations_v<core::TextRef>);
        GRACE_ASSERT(std::memcmp(&shaped, &built, sizeof shaped) == 0, "%s\n%s", line.c_str(),
                     difference(shaped, built).c_str());
      } else if (flat && accepted) {
        shapes_.learn(begin, end);
      }
      ++counts.lines;
      counts.accepted += accepted ? 1 : 0;
      begin = end + 1;
    }
    return counts;
  }

 private:
  static std::string difference(const core::Event& a, const core::Event& b) {
    return ParsedEvent(a).content() + "\n" + ParsedEvent(b).content();
  }

  bool build_generally(const char* text, std::uint32_t begin, std::uint32_t end,
                       core::Event& event) {
    const std::size_t size = end - begin + 1;
    if (size > kBytesMax || !index_.build(text + begin, size) || index_.tokens()[0] >= size - 1) {
      return false;
    }
    walker_.begin_window(text + begin, size, index_.tokens());
    scratch_.resize(std::max(scratch_.size(), size));
    return walker_.walk(0, end - begin, fields_, scratch_.data()) == WalkResult::kOk &&
           !builder_.build(fields_, {begin, begin, end}, event);
  }

  static constexpr std::size_t kBytesMax = 1 << 20;
  const ParseConfig config_;
  StructuralIndex index_{kBytesMax};
  LineWalker walker_{64};
  std::string scratch_;
  FlatLine flat_;
  LabelMemo labels_{flat_, has_wide_registers()};
  LineFields fields_;
  EventBuilder<Form::kJson> builder_;
  LineShapes shapes_;
};

}  // namespace grace::parse
