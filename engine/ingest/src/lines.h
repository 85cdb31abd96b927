#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "grace/ingest/source.h"

namespace grace::ingest {

// Offset behind the last newline of `text`, 0 when it has none.
[[nodiscard]] std::size_t whole_lines_bytes(std::string_view text) noexcept;

// Lines that begin in this chunk: a cut line counts where it begins, an unfinished one counts. Of
// packed chunks: records.
[[nodiscard]] std::uint64_t lines_begun(const core::Chunk& chunk) noexcept;

// True when the chunk's last line begins here and goes on in a later chunk.
[[nodiscard]] bool begins_long_line(const core::Chunk& chunk) noexcept;

// Text of one blocking-free stream (file, memory) straight into chunks, without a copy: the bytes
// behind the last newline of a chunk are kept and begin the next one.
// Bound: keeps at most line_bytes_max. Thread: its owner's.
class ChunkFiller {
 public:
  // `read(to, size_bytes)` brings 1..size_bytes bytes, or 0 at the end of the stream, for good.
  // Returns kMore, kFull, or kEnded as Source::read(). At kEnded an unfinished last line is in the
  // chunk, with last_of_source set, and the filler is ready for another stream.
  template <typename Read>
  [[nodiscard]] ReadStatus fill(core::Chunk& chunk, const ReadLimits& limits, Read&& read) {
    if (!begin(chunk, limits)) return ReadStatus::kFull;
    for (;;) {
      const std::size_t room = wanted_bytes(chunk, limits);
      const std::size_t size_bytes = read(chunk.text() + used_, room);
      if (size_bytes == 0) return end_stream(chunk);
      if (const auto status = took(chunk, limits, size_bytes)) return *status;
    }
  }

 private:
  [[nodiscard]] bool begin(core::Chunk& chunk, const ReadLimits& limits);
  [[nodiscard]] std::size_t wanted_bytes(const core::Chunk& chunk,
                                         const ReadLimits& limits) const noexcept;
  [[nodiscard]] std::optional<ReadStatus> took(core::Chunk& chunk, const ReadLimits& limits,
                                               std::size_t size_bytes);
  [[nodiscard]] ReadStatus end_stream(core::Chunk& chunk);

  std::vector<char> carry_;  // unfinished line behind the last chunk's last newline
  bool in_cut_line_ = false;
  // While fill() runs:
  std::size_t line_start_ = 0;  // where the unfinished line begins in the chunk
  std::size_t used_ = 0;        // chunk bytes in use, with the unfinished line
};

// Text of one stream that comes in its own time (connection, pipe): received into a buffer, whole
// lines are copied on, so that the unfinished lines of many streams wait apart.
// Bound: line_bytes_max + kReadBytes. Thread: its owner's.
class LineBuffer {
 public:
  // Where to receive at most kReadBytes.
  [[nodiscard]] char* room();
  // Appends what was received to the chunk as far as lines are whole. True: publish the chunk now,
  // it ends in a piece of a long line. The chunk must hold less than its target, and nothing at all
  // when needs_empty_chunk().
  [[nodiscard]] bool received(std::size_t size_bytes, core::Chunk& chunk, const ReadLimits& limits);
  // The stream has ended: hands on the unfinished line. True: publish the chunk now.
  bool finish(core::Chunk& chunk);
  // The next bytes go on a line that was cut.
  [[nodiscard]] bool needs_empty_chunk() const noexcept { return in_cut_line_; }
  [[nodiscard]] bool holds_unfinished_line() const noexcept { return used_ > 0 || in_cut_line_; }

 private:
  void append_to(core::Chunk& chunk, std::size_t size_bytes);
  std::vector<char> memory_;
  std::size_t used_ = 0;
  bool in_cut_line_ = false;
};

}  // namespace grace::ingest
