#include "mapped_segment.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "assert.h"
#include "block.h"
#include "directory.h"
#include "io_error.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14; older headers lack it, older kernels refuse it
#endif

namespace grace::ledger::internal {

Result<std::unique_ptr<MappedSegment>> MappedSegment::prepare(FileSystem& fs,
                                                              const std::string& directory,
                                                              std::uint64_t number,
                                                              std::uint64_t bytes, bool prefault) {
  const std::string path = prepared_path(directory, number);
  const int fd = fs.open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
  if (fd < 0) return make_io_error("create", path, fd);
  std::unique_ptr<MappedSegment> segment(new MappedSegment(fs, directory, number, fd, path));
  const int allocated = fs.allocate(fd, bytes);
  if (allocated < 0) {
    segment->discard();
    return make_io_error("allocate " + std::to_string(bytes) + " bytes for", path, allocated);
  }
  void* const base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) {
    const int number_of_error = errno;
    segment->discard();
    return make_io_error("map", path, -number_of_error);
  }
  segment->base_ = static_cast<std::byte*>(base);
  segment->capacity_ = bytes;
  // Pages are made present and writable before the committer needs them. Only a matter of speed:
  // where the kernel cannot, the committer faults them in itself.
  if (prefault) (void)::madvise(base, bytes, MADV_POPULATE_WRITE);
  return segment;
}

MappedSegment::~MappedSegment() {
  if (base_ != nullptr) ::munmap(base_, capacity_);
  (void)fs_.close(fd_);
}

Result<void> MappedSegment::begin(const SegmentHeader& header) {
  GRACE_LEDGER_ASSERT(header.segment_number == number_);
  write_segment_header(header, bytes().first(kSegmentHeaderBytes));
  write_segment_header(header, bytes().subspan(kSegmentHeaderBytes, kSegmentHeaderBytes));
  const std::string final_path = segment_path(directory_, number_);
  if (const int renamed = fs_.rename(path_, final_path); renamed < 0) {
    return make_io_error("rename", path_, renamed);
  }
  path_ = final_path;
  return {};
}

Result<void> MappedSegment::sync(std::uint64_t end) {
  if (end > synced_end_) {
    const int synced = fs_.sync_mapping(base_, synced_end_, end - synced_end_);
    if (synced < 0) {
      Error error = io_error("sync", path_, synced);
      error.code = ErrorCode::kSyncFailed;
      error.segment = number_;
      error.offset = synced_end_;
      return tl::unexpected<Error>(std::move(error));
    }
    synced_end_ = end;
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

Result<void> MappedSegment::cut(std::uint64_t end) {
  if (const int cut = fs_.truncate(fd_, end); cut < 0) return make_io_error("cut", path_, cut);
  return {};
}

void MappedSegment::discard() {
  (void)fs_.remove(path_);
}

}  // namespace grace::ledger::internal
