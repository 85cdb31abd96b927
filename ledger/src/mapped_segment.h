#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "block.h"
#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"
#include "grace/ledger/format.h"

namespace grace::ledger::internal {

// A segment file with real blocks behind it, mapped for writing. Made under a provisional name by
// the preparer; begin() gives it its header and its place in the log. Unmaps and closes on
// destruction. The committer writes bytes; the syncer syncs, cuts and destroys.
class MappedSegment {
 public:
  [[nodiscard]] static Result<std::unique_ptr<MappedSegment>> prepare(FileSystem& fs,
                                                                      const std::string& directory,
                                                                      std::uint64_t number,
                                                                      std::uint64_t bytes,
                                                                      bool prefault);
  ~MappedSegment();
  MappedSegment(const MappedSegment&) = delete;
  MappedSegment& operator=(const MappedSegment&) = delete;

  // Writes both header copies, then takes the final name. The name is durable after sync_name().
  [[nodiscard]] Result<void> begin(const SegmentStart& start);
  // Syncs bytes up to `end` that were not synced before, and the file's name once.
  [[nodiscard]] Result<void> sync(std::uint64_t end);
  // Gives back what lies behind `end`. Not needed for correctness: zeros may follow a seal.
  [[nodiscard]] Result<void> cut(std::uint64_t end);
  // Removes the file: only for one that was prepared and never begun.
  void discard();

  [[nodiscard]] std::span<std::byte> bytes() { return {base_, capacity_}; }
  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // Guarded by the writer's commit mutex.
  std::uint64_t written_end = kFirstBlockOffset;
  bool sealed = false;

 private:
  MappedSegment(FileSystem& fs, std::string directory, std::uint64_t number, int fd,
                std::string path)
      : fs_(fs),
        directory_(std::move(directory)),
        number_(number),
        fd_(fd),
        path_(std::move(path)) {}

  FileSystem& fs_;
  const std::string directory_;
  const std::uint64_t number_;
  const int fd_;
  std::string path_;
  std::byte* base_ = nullptr;
  std::uint64_t capacity_ = 0;
  std::uint64_t synced_end_ = 0;  // the syncer's
  bool name_synced_ = false;      // the syncer's
};

}  // namespace grace::ledger::internal
