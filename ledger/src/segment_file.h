#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "block.h"
#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"

namespace grace::ledger::internal {

// A segment file with real space behind it, open for writing. Made under a provisional name by the
// preparer; begin() gives it its header and its place in the log. Closed on destruction. The store
// writes, the syncer syncs and cuts.
class SegmentFile {
 public:
  // `provisional`: any number that no other prepared file has.
  [[nodiscard]] static Result<std::unique_ptr<SegmentFile>> prepare(FileSystem& fs,
                                                                    const std::string& directory,
                                                                    std::uint64_t provisional,
                                                                    std::uint64_t bytes);
  ~SegmentFile();
  SegmentFile(const SegmentFile&) = delete;
  SegmentFile& operator=(const SegmentFile&) = delete;

  // Writes both header copies, then takes the final name, which is durable after sync().
  [[nodiscard]] Result<void> begin(const SegmentStart& start);
  // Writes a whole block at `at`, its magic last: a reader in another process sees either no block
  // or all of it. kCorrupt if the file has another size than it was given: somebody cut it.
  [[nodiscard]] Result<void> write(std::uint64_t at, std::span<const std::byte> block);
  // Makes what was written durable, and once the file's name. kCorrupt as in write().
  [[nodiscard]] Result<void> sync();
  // Gives back what lies behind `end`, if there is any. Not needed for correctness.
  [[nodiscard]] Result<void> cut(std::uint64_t end);
  void remove();

  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }  // 0: not begun
  [[nodiscard]] const std::string& path() const { return path_; }

  // Guarded by the store's mutex.
  std::uint64_t written_end = kFirstBlockOffset;
  bool sealed = false;

 private:
  SegmentFile(FileSystem& fs, std::string directory, int fd, std::string path)
      : fs_(fs), directory_(std::move(directory)), fd_(fd), path_(std::move(path)) {}
  [[nodiscard]] Result<void> check_size() const;
  [[nodiscard]] Error error_at(std::string action, int outcome, std::uint64_t offset) const;

  FileSystem& fs_;
  const std::string directory_;
  const int fd_;
  std::string path_;
  std::uint64_t capacity_ = 0;
  std::uint64_t number_ = 0;
  bool name_synced_ = false;  // the syncer's
};

}  // namespace grace::ledger::internal
