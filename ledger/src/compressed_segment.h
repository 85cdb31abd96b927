#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"
#include "segment_source.h"

struct ZSTD_DCtx_s;

namespace grace::ledger::internal {

// A whole segment in the zstd seekable format, version 0.1.0, with less freedom than that leaves
// (docs/ledger_format.md, section 14):
//
//   | frame | frame | ... | frame | 5e 2a 4d 18 | size | entry each | count | 80 | b1 ea 92 8f |
//     256 KiB of the segment each,   the seek table in a skippable frame
//     the last one less              entry: compressed size, size, checksum; 4 bytes each
//
// Each frame carries its own content checksum, which is what the seek table repeats.
inline constexpr std::uint64_t kFrameBytes = 256 << 10;    // that we write
inline constexpr std::uint64_t kFrameBytesMin = 64 << 10;  // that we read: a power of two
inline constexpr std::uint64_t kFrameBytesMax = 1 << 20;
inline constexpr int kCompressLevelMax = 19;

// Reads such a file by random access, as the segment it stands for. Safe on any bytes: nothing is
// believed that was not checked, memory is bounded by kCachedFrames frames, one compressed frame
// and a table of 12 bytes for each 64 KiB that a segment may have. One thread.
class CompressedSource final : public ByteSource {
 public:
  static constexpr std::size_t kCachedFrames = 4;

  explicit CompressedSource(std::unique_ptr<ByteSource> file);
  ~CompressedSource() override;
  CompressedSource(const CompressedSource&) = delete;
  CompressedSource& operator=(const CompressedSource&) = delete;
  // Both read the seek table first; damage in it is kCorrupt at offset 0.
  Result<std::uint64_t> size() override;
  Result<std::uint64_t> read(std::uint64_t offset, std::span<std::byte> out) override;

 private:
  struct Frame {
    std::uint64_t at = 0;  // in the file
    std::uint32_t stored_bytes = 0;
    std::uint32_t checksum = 0;
  };
  struct Cached {
    std::uint64_t index = 0;
    std::uint64_t used_at = 0;  // 0: holds nothing
    std::vector<std::byte> bytes;
  };
  [[nodiscard]] Result<void> load_table();
  [[nodiscard]] std::optional<std::string> read_entries(std::span<const std::byte> table,
                                                        std::uint64_t table_at);
  [[nodiscard]] std::uint64_t bytes_of(std::uint64_t index) const;
  [[nodiscard]] Result<std::span<const std::byte>> frame(std::uint64_t index);
  [[nodiscard]] Result<void> decompress(std::uint64_t index, std::vector<std::byte>& out);

  std::unique_ptr<ByteSource> file_;
  ZSTD_DCtx_s* context_;
  bool loaded_ = false;
  std::optional<Error> damage_;  // of the table: found once, told each time
  std::vector<Frame> frames_;
  std::uint64_t frame_bytes_ = 0;  // of each but the last
  std::uint64_t size_ = 0;         // of the segment
  std::vector<std::byte> stored_;  // a compressed frame
  std::array<Cached, kCachedFrames> cache_;
  std::uint64_t clock_ = 0;
};

// Writes `plain` in that form to a new file and syncs it; returns the file's size. What is left of
// it after an error is the caller's to remove. kClosed as soon as `stop` is set. The file is not
// read back: same_bytes() does.
[[nodiscard]] Result<std::uint64_t> write_compressed(FileSystem& fs, ByteSource& plain,
                                                     const std::string& path, int level,
                                                     const std::atomic<bool>& stop);

// kCorrupt, with the offset, where two sources differ.
[[nodiscard]] Result<void> same_bytes(ByteSource& one, ByteSource& other,
                                      const std::atomic<bool>& stop);

}  // namespace grace::ledger::internal
