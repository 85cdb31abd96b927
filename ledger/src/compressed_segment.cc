#include "compressed_segment.h"

#include <fcntl.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "block.h"
#include "grace/ledger/format.h"
#include "io_error.h"

namespace grace::ledger::internal {
namespace {

constexpr std::uint32_t kTableMagic = 0x184D2A5E;
constexpr std::uint32_t kSeekableMagic = 0x8F92EAB1;
constexpr std::byte kTableDescriptor{0x80};  // checksums; no bit that means something else
constexpr std::uint64_t kTableHeadBytes = 8;
constexpr std::uint64_t kTableFootBytes = 9;
constexpr std::uint64_t kEntryBytes = 12;
constexpr std::uint64_t kFramesMax = kSegmentBytesMax / kFrameBytesMin;

// Of a frame's descriptor, the byte behind its magic, all but the width of the content's size: one
// segment (so no window to allocate), a checksum, no dictionary, reserved bits zero.
constexpr std::byte kDescriptorMask{0x3f};
constexpr std::byte kDescriptor{0x24};

tl::unexpected<Error> damaged(std::uint64_t offset, std::string reason) {
  return make_error(ErrorCode::kCorrupt, std::move(reason), 0, 0, offset);
}

tl::unexpected<Error> stopped() {
  return make_error(ErrorCode::kClosed, "asked to stop");
}

template <typename T>
void append(std::vector<std::byte>& out, T value) {
  const auto bytes = std::as_bytes(std::span<const T, 1>(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

// Writes behind what it has written, and keeps the first error.
class Output {
 public:
  Output(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {
    fd_ = fs_.open(path_, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (fd_ < 0) error_ = io_error("create", path_, fd_);
  }
  ~Output() {
    if (fd_ >= 0) (void)fs_.close(fd_);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  [[nodiscard]] bool write(std::span<const std::byte> bytes) {
    if (error_) return false;
    if (const int written = write_all(fs_, fd_, bytes, size_); written < 0) {
      error_ = io_error("write", path_, written);
    }
    size_ += bytes.size();
    return !error_;
  }
  Result<std::uint64_t> finish() {
    if (!error_) {
      if (const int synced = fs_.sync_file(fd_); synced < 0) {
        error_ = io_error("sync", path_, synced);
      }
    }
    if (error_) return tl::unexpected<Error>(*error_);
    return size_;
  }

 private:
  FileSystem& fs_;
  std::string path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::optional<Error> error_;
};

}  // namespace

CompressedSource::CompressedSource(std::unique_ptr<ByteSource> file)
    : file_(std::move(file)), context_(ZSTD_createDCtx()) {
  GRACE_LEDGER_ASSERT(context_ != nullptr, "no memory for a decompressor");
}

CompressedSource::~CompressedSource() {
  ZSTD_freeDCtx(context_);
}

Result<std::uint64_t> CompressedSource::size() {
  if (auto loaded = load_table(); !loaded) return tl::unexpected<Error>(loaded.error());
  return size_;
}

Result<std::uint64_t> CompressedSource::read(std::uint64_t offset, std::span<std::byte> out) {
  if (auto loaded = load_table(); !loaded) return tl::unexpected<Error>(loaded.error());
  std::uint64_t done = 0;
  while (done < out.size() && offset + done < size_) {
    const std::uint64_t at = offset + done;
    const auto bytes = frame(at / frame_bytes_);
    if (!bytes) return tl::unexpected<Error>(bytes.error());
    const std::uint64_t inside = at % frame_bytes_;
    const auto part = std::min<std::uint64_t>(out.size() - done, bytes->size() - inside);
    std::memcpy(out.data() + done, bytes->data() + inside, part);
    done += part;
  }
  return done;
}

std::uint64_t CompressedSource::bytes_of(std::uint64_t index) const {
  return std::min(frame_bytes_, size_ - index * frame_bytes_);
}

Result<void> CompressedSource::load_table() {
  if (damage_) return tl::unexpected<Error>(*damage_);
  if (loaded_) return {};
  const auto damage = [this](std::string reason) -> tl::unexpected<Error> {
    damage_ = Error{ErrorCode::kCorrupt, "compressed segment: " + std::move(reason), 0, 0, 0};
    return tl::unexpected<Error>(*damage_);
  };
  const auto file_bytes = file_->size();
  if (!file_bytes) return tl::unexpected<Error>(file_bytes.error());
  if (*file_bytes < kTableHeadBytes + kTableFootBytes) return damage("too short for a seek table");
  std::array<std::byte, kTableFootBytes> foot{};
  const auto got = file_->read(*file_bytes - kTableFootBytes, foot);
  if (!got) return tl::unexpected<Error>(got.error());
  if (*got != foot.size()) return damage("file was cut short while it was read");
  const std::uint64_t count = internal::load<std::uint32_t>(foot);
  if (internal::load<std::uint32_t>(foot, 5) != kSeekableMagic) return damage("no seek table");
  if (foot[4] != kTableDescriptor) return damage("seek table without checksums, or unknown bits");
  if (count == 0 || count > kFramesMax) return damage("count of frames is out of range");
  const std::uint64_t table_bytes = kTableHeadBytes + count * kEntryBytes + kTableFootBytes;
  if (table_bytes > *file_bytes) return damage("seek table is longer than its file");
  std::vector<std::byte> table(table_bytes);
  const auto read = file_->read(*file_bytes - table_bytes, table);
  if (!read) return tl::unexpected<Error>(read.error());
  if (*read != table.size()) return damage("file was cut short while it was read");
  if (auto wrong = read_entries(table, *file_bytes - table_bytes)) return damage(std::move(*wrong));
  loaded_ = true;
  return {};
}

// Frames must fill the file up to the table, and the segment without a gap.
std::optional<std::string> CompressedSource::read_entries(std::span<const std::byte> table,
                                                          std::uint64_t table_at) {
  const std::uint64_t count = (table.size() - kTableHeadBytes - kTableFootBytes) / kEntryBytes;
  if (internal::load<std::uint32_t>(table) != kTableMagic ||
      internal::load<std::uint32_t>(table, 4) != table.size() - kTableHeadBytes) {
    return "seek table has no head";
  }
  frames_.clear();
  frames_.reserve(count);
  std::uint64_t at = 0;
  size_ = 0;
  for (std::uint64_t index = 0; index < count; ++index) {
    const auto entry = table.subspan(kTableHeadBytes + index * kEntryBytes, kEntryBytes);
    const Frame frame{at, internal::load<std::uint32_t>(entry),
                      internal::load<std::uint32_t>(entry, 8)};
    const std::uint64_t bytes = internal::load<std::uint32_t>(entry, 4);
    if (index == 0) frame_bytes_ = bytes;
    const bool last = index + 1 == count;
    if (index == 0 && !last && (!std::has_single_bit(bytes) || bytes < kFrameBytesMin)) {
      return "size of a frame is no power of two from 64 KiB on";
    }
    if (bytes == 0 || bytes > kFrameBytesMax ||
        (last ? bytes > frame_bytes_ : bytes != frame_bytes_)) {
      return "size of frame " + std::to_string(index) + " is out of range";
    }
    if (frame.stored_bytes == 0 || frame.stored_bytes > ZSTD_compressBound(bytes) ||
        frame.stored_bytes > table_at - at) {
      return "compressed size of frame " + std::to_string(index) + " is out of range";
    }
    at += frame.stored_bytes;
    size_ += bytes;
    frames_.push_back(frame);
  }
  if (at != table_at) return "frames do not fill the file";
  if (size_ > kSegmentBytesMax) return "longer than a segment may be";
  return std::nullopt;
}

// The frame's bytes, until the next call.
Result<std::span<const std::byte>> CompressedSource::frame(std::uint64_t index) {
  Cached* oldest = &cache_[0];
  for (Cached& cached : cache_) {
    if (cached.used_at > 0 && cached.index == index) {
      cached.used_at = ++clock_;
      return std::span<const std::byte>(cached.bytes);
    }
    if (cached.used_at < oldest->used_at) oldest = &cached;
  }
  oldest->used_at = 0;
  if (auto done = decompress(index, oldest->bytes); !done) {
    return tl::unexpected<Error>(done.error());
  }
  oldest->index = index;
  oldest->used_at = ++clock_;
  return std::span<const std::byte>(oldest->bytes);
}

Result<void> CompressedSource::decompress(std::uint64_t index, std::vector<std::byte>& out) {
  const Frame& frame = frames_[index];
  const std::uint64_t offset = index * frame_bytes_;
  const auto damage = [&](const std::string& what) {
    return damaged(offset, "compressed frame " + std::to_string(index) + ": " + what);
  };
  stored_.resize(frame.stored_bytes);
  const auto got = file_->read(frame.at, stored_);
  if (!got) return tl::unexpected<Error>(got.error());
  if (*got != stored_.size()) return damage("file was cut short while it was read");
  constexpr std::uint64_t kShortestFrame = 4 + 1 + 1 + 3 + 4;
  if (stored_.size() < kShortestFrame || (stored_[4] & kDescriptorMask) != kDescriptor ||
      ZSTD_getFrameContentSize(stored_.data(), stored_.size()) != bytes_of(index) ||
      ZSTD_findFrameCompressedSize(stored_.data(), stored_.size()) != stored_.size()) {
    return damage("is not the frame that the seek table says");
  }
  // Its own checksum is tested below, by the decompressor.
  if (internal::load<std::uint32_t>(stored_, stored_.size() - 4) != frame.checksum) {
    return damage("checksum is not that of the seek table");
  }
  out.resize(bytes_of(index));
  const std::size_t bytes =
      ZSTD_decompressDCtx(context_, out.data(), out.size(), stored_.data(), stored_.size());
  if (ZSTD_isError(bytes) != 0) return damage(ZSTD_getErrorName(bytes));
  if (bytes != out.size()) return damage("is shorter than it says");
  return {};
}

Result<std::uint64_t> write_compressed(FileSystem& fs, ByteSource& plain, const std::string& path,
                                       int level, const std::atomic<bool>& stop) {
  const std::unique_ptr<ZSTD_CCtx, FreeCompressor> context(ZSTD_createCCtx());
  GRACE_LEDGER_ASSERT(context != nullptr, "no memory for a compressor");
  const bool set =
      ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level)) == 0 &&
      ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1)) == 0;
  if (!set) return make_error(ErrorCode::kInvalidArgument, "zstd refuses the compression level");
  Output file(fs, path);
  std::vector<std::byte> bytes(kFrameBytes);
  std::vector<std::byte> stored(ZSTD_compressBound(kFrameBytes));
  std::vector<std::byte> entries;
  std::uint32_t count = 0;
  for (std::uint64_t at = 0;; at += bytes.size()) {
    // Relaxed: nothing is read with it.
    if (stop.load(std::memory_order_relaxed)) return stopped();
    const auto got = plain.read(at, bytes);
    if (!got) return tl::unexpected<Error>(got.error());
    if (*got == 0) break;
    const std::size_t size =
        ZSTD_compress2(context.get(), stored.data(), stored.size(), bytes.data(), *got);
    if (ZSTD_isError(size) != 0) {
      return make_error(ErrorCode::kInvalidArgument,
                        std::string("zstd: ") + ZSTD_getErrorName(size));
    }
    const std::span<const std::byte> frame(stored.data(), size);
    append(entries, static_cast<std::uint32_t>(size));
    append(entries, static_cast<std::uint32_t>(*got));
    append(entries, internal::load<std::uint32_t>(frame, size - 4));
    ++count;
    if (!file.write(frame) || *got < bytes.size()) break;
  }
  std::vector<std::byte> table;
  append(table, kTableMagic);
  append(table, static_cast<std::uint32_t>(entries.size() + kTableFootBytes));
  table.insert(table.end(), entries.begin(), entries.end());
  append(table, count);
  table.push_back(kTableDescriptor);
  append(table, kSeekableMagic);
  (void)file.write(table);
  return file.finish();
}

Result<void> same_bytes(ByteSource& one, ByteSource& other, const std::atomic<bool>& stop) {
  std::vector<std::byte> left(kFrameBytes);
  std::vector<std::byte> right(kFrameBytes);
  for (std::uint64_t at = 0;; at += left.size()) {
    // Relaxed: nothing is read with it.
    if (stop.load(std::memory_order_relaxed)) return stopped();
    const auto of_one = one.read(at, left);
    if (!of_one) return tl::unexpected<Error>(of_one.error());
    const auto of_other = other.read(at, right);
    if (!of_other) return tl::unexpected<Error>(of_other.error());
    if (*of_one != *of_other || std::memcmp(left.data(), right.data(), *of_one) != 0) {
      return damaged(at, "the compressed segment is not what was compressed");
    }
    if (*of_one < left.size()) return {};
  }
}

}  // namespace grace::ledger::internal
