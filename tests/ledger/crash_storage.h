#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "campaign.h"
#include "grace/ledger/file_system.h"
#include "grace/ledger/writer.h"

namespace grace::ledger {

// A disk with a volatile cache, simulated over real files in a folder. What the seam's sync calls
// have covered is durable; everything else a loss of power may keep or lose, sector by sector and
// name by name, in any order.
//
//   sync_data, sync_file      the bytes as they were when the call began, and the file's size
//   sync_directory            names made, changed and removed in that directory before the call
//
// A rename between two directories is durable once both were synced, and is lost or kept whole.
// Now and then a sync_data fails, never twice in a row: nothing has become durable by it.

using Bytes = std::vector<std::byte>;
inline constexpr std::uint64_t kSectorBytes = 512;

struct FileView {
  std::shared_ptr<const Bytes> durable;
  std::shared_ptr<const Bytes> present;
  // By sector: versions seen in snapshots before this one were overwritten for good by a sync.
  std::shared_ptr<const std::vector<std::uint32_t>> oldest;
};

struct NameChange {
  std::string from;     // empty: nothing loses its name
  std::string to;       // empty: nothing gets one
  std::uint64_t inode;  // of `to`
  bool from_synced;
  bool to_synced;
};

struct CrashSnapshot {
  std::uint64_t acknowledged = 0;              // durable_sequence() before all below was looked at
  std::map<std::string, std::uint64_t> names;  // durable ones, relative to the folder
  std::vector<NameChange> changes;             // not durable, oldest first
  std::map<std::string, std::uint64_t> present_names;
  std::map<std::uint64_t, FileView> files;  // by inode
};

// The files of a disk after the power came back.
using CrashState = std::map<std::string, Bytes>;

struct CrashChoices {
  bool tear_sectors = false;   // mix old and new within one sector
  bool ordered_names = false;  // changes of names are lost from the newest on, as in a journal
};

class CrashStorage final : public FileSystem {
 public:
  // Everything in `folder` is durable at first; or, if the writer was killed at `killed` and the
  // folder holds what was present then, what was durable then.
  CrashStorage(std::string folder, std::uint64_t acknowledged, std::uint64_t seed,
               const CrashSnapshot* killed = nullptr);
  ~CrashStorage() override;

  // The writer whose promises bind from now on; null: none is asked, the last answer stands. Gives
  // how many snapshots were taken before.
  std::size_t watch(const Writer* writer);
  // Beside the calls below, each of which makes one.
  void snapshot();
  [[nodiscard]] const std::vector<CrashSnapshot>& snapshots() const { return snapshots_; }

  // What the end of the process, and of nothing else, at that snapshot leaves.
  [[nodiscard]] CrashState kill(std::size_t index) const;
  // What a loss of power at that snapshot may leave.
  [[nodiscard]] CrashState crash(std::size_t index, const CrashChoices& choices,
                                 Random& random) const;

  int open(const std::string& path, int flags, unsigned mode) override;
  int close(int fd) override;
  int allocate(int fd, std::uint64_t bytes) override;
  int truncate(int fd, std::uint64_t bytes) override;
  std::int64_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override;
  int sync_data(int fd) override;
  int sync_file(int fd) override;
  int sync_directory(const std::string& path) override;
  int rename(const std::string& from, const std::string& to) override;
  int remove(const std::string& path) override;
  int make_directory(const std::string& path) override;

 private:
  struct Inode {
    int fd = -1;  // ours, for looking
    std::shared_ptr<const Bytes> durable = std::make_shared<Bytes>();
    std::shared_ptr<const Bytes> present = durable;
    std::shared_ptr<const std::vector<std::uint32_t>> oldest =
        std::make_shared<std::vector<std::uint32_t>>();
  };
  // All with mutex_ held.
  void take_snapshot();
  void inherit(const CrashSnapshot& killed);
  std::uint64_t adopt(const std::string& path);
  void change_name(const std::string& from, const std::string& to, std::uint64_t inode);
  void make_durable(Inode& inode, const Bytes& content, std::uint64_t offset,
                    std::uint64_t file_bytes, std::size_t seen);
  [[nodiscard]] std::string relative(const std::string& path) const;

  [[nodiscard]] Bytes crashed_file(std::size_t index, std::uint64_t inode,
                                   const CrashChoices& choices, Random& random) const;
  void nap();

  const std::string folder_;
  mutable std::mutex mutex_;
  Random random_;  // guarded by mutex_, as all below
  std::uint64_t acknowledged_;
  const Writer* writer_ = nullptr;
  bool last_sync_failed_ = true;  // the first one does not
  std::map<std::uint64_t, Inode> inodes_;
  std::map<int, std::uint64_t> open_;  // by the writer's descriptor
  std::map<std::string, std::uint64_t> present_names_;
  std::map<std::string, std::uint64_t> durable_names_;
  std::vector<NameChange> changes_;
  std::vector<CrashSnapshot> snapshots_;
};

// Makes `folder` hold exactly these files.
void write_state(const CrashState& state, const std::string& folder);

}  // namespace grace::ledger
