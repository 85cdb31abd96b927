#include "segment_file.h"

#include <fcntl.h>

#include <utility>
#include <vector>

#include "assert.h"
#include "directory.h"
#include "io_error.h"

namespace grace::ledger::internal {

Result<std::unique_ptr<SegmentFile>> SegmentFile::prepare(FileSystem& fs,
                                                          const std::string& directory,
                                                          std::uint64_t provisional,
                                                          std::uint64_t bytes) {
  const std::string path = prepared_path(directory, provisional);
  const int fd = fs.open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
  if (fd < 0) return make_io_error("create", path, fd);
  std::unique_ptr<SegmentFile> segment(new SegmentFile(fs, directory, fd, path));
  const int allocated = fs.allocate(fd, bytes);
  if (allocated < 0) {
    segment->remove();
    return make_io_error("allocate " + std::to_string(bytes) + " bytes for", path, allocated);
  }
  segment->capacity_ = bytes;
  return segment;
}

SegmentFile::~SegmentFile() {
  (void)fs_.close(fd_);
}

Error SegmentFile::error_at(std::string action, int outcome, std::uint64_t offset) const {
  Error error = io_error(std::move(action), path_, outcome);
  error.segment = number_;
  error.offset = offset;
  return error;
}

Result<void> SegmentFile::begin(const SegmentStart& start) {
  std::vector<std::byte> headers(kFirstBlockOffset);
  const auto both = std::span(headers);
  write_segment_header(start, both.first(kSegmentHeaderBytes));
  write_segment_header(start, both.last(kSegmentHeaderBytes));
  if (const int written = write_all(fs_, fd_, headers, 0); written < 0) {
    return make_io_error("write header of", path_, written);
  }
  const std::string final_path = segment_path(directory_, start.header.segment_number);
  if (const int renamed = fs_.rename(path_, final_path); renamed < 0) {
    return make_io_error("rename", path_, renamed);
  }
  path_ = final_path;
  number_ = start.header.segment_number;
  return {};
}

// Space was allocated for the whole file, so its size changes by no write of ours; but a write
// behind the end of one that was cut would make a hole of the missing part.
Result<void> SegmentFile::check_size() const {
  const std::int64_t bytes = fs_.file_bytes(fd_);
  if (bytes < 0) return tl::unexpected<Error>(error_at("stat", static_cast<int>(bytes), 0));
  if (static_cast<std::uint64_t>(bytes) == capacity_) return {};
  return make_error(ErrorCode::kCorrupt,
                    path_ + " was cut short by another program while it was written", 0, number_,
                    static_cast<std::uint64_t>(bytes));
}

Result<void> SegmentFile::write(std::uint64_t at, std::span<const std::byte> block) {
  GRACE_LEDGER_ASSERT(number_ > 0 && at % kBlockAlignment == 0 && at + block.size() <= capacity_);
  if (auto whole = check_size(); !whole) return whole;
  constexpr std::size_t kMagicBytes = sizeof(BlockHeader::magic);
  int written = write_all(fs_, fd_, block.subspan(kMagicBytes), at + kMagicBytes);
  if (written >= 0) written = write_all(fs_, fd_, block.first(kMagicBytes), at);
  if (written < 0) return tl::unexpected<Error>(error_at("write", written, at));
  return check_size();
}

Result<void> SegmentFile::sync() {
  if (auto whole = check_size(); !whole) return whole;
  if (const int synced = fs_.sync_data(fd_); synced < 0) {
    Error error = error_at("sync", synced, 0);
    error.code = ErrorCode::kSyncFailed;
    return tl::unexpected<Error>(std::move(error));
  }
  if (!name_synced_) {
    const int synced = fs_.sync_directory(directory_);
    if (synced < 0) {
      Error error = io_error("sync directory", directory_, synced);
      error.code = ErrorCode::kSyncFailed;
      return tl::unexpected<Error>(std::move(error));
    }
    name_synced_ = true;
  }
  return {};
}

Result<void> SegmentFile::cut(std::uint64_t end) {
  const std::int64_t bytes = fs_.file_bytes(fd_);
  if (bytes >= 0 && static_cast<std::uint64_t>(bytes) <= end) return {};
  if (const int cut = fs_.truncate(fd_, end); cut < 0) return make_io_error("cut", path_, cut);
  return {};
}

void SegmentFile::remove() {
  (void)fs_.remove(path_);
}

}  // namespace grace::ledger::internal
