#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/log_config.h"
#include "grace/ledger/writer.h"

namespace grace::ledger::internal {

// Looks after a log's sealed segments: gives each its index, removes the oldest, compresses what is
// older than the newest few. Only settled segments are touched: those with a later segment of which
// a record is safe, so that no recovery and no writer goes back to them.
//
// Each change is a few system calls in an order that leaves a whole log after any of them, also
// when power fails: a new form is written under another name, synced, read back and compared before
// it gets its name, and has it durably before the old form goes; a removal is on record durably
// before the first file goes, and each segment's removal is durable before the next one's. What a
// stopped keeper leaves is finished or removed by the next.
//
// A segment is checked whole, hashes too, before it is compressed: a damaged one stays as it is.
// Removing asks no segment whether it is sound.
//
// Threads: step() is for one thread: the keeper's own after start(), else the caller's. What fails
// is tried again, and what still fails when there is nothing else to do is kept in error() until a
// round passes without.
class SegmentKeeper {
 public:
  // Appends a JSON record and returns when it is safe.
  using Record = std::function<Result<void>(std::string_view json)>;

  // `safe_sequence`: what is durable by now (written, in a log without syncs), from any thread.
  // `record` may be empty where there is no retention. `config` is validated and outlives this.
  SegmentKeeper(const LogConfig& config, std::function<std::uint64_t()> safe_sequence,
                Record record);
  ~SegmentKeeper();  // stop()
  SegmentKeeper(const SegmentKeeper&) = delete;
  SegmentKeeper& operator=(const SegmentKeeper&) = delete;

  // Does one thing that is due: one segment's index, one removal of any number of segments, one
  // segment's compression. False: there was nothing to do. An error: nor was anything else.
  [[nodiscard]] Result<bool> step();
  // All that is due. The first error ends it.
  [[nodiscard]] Result<void> step_until_done();

  void start();
  // Ends the thread soon, also in the midst of a compression.
  void stop();
  [[nodiscard]] std::optional<Error> error() const;
  [[nodiscard]] KeeperStats stats() const;

 private:
  struct Known {  // of a settled segment
    std::uint64_t first_sequence = 0;
    std::uint64_t first_block_number = 0;
    std::optional<std::int64_t> last_time_ns;  // not asked for yet
    bool is_indexed = false;
    std::optional<Error> damage;  // told in each round; the segment is left as it is
  };

  void run();
  [[nodiscard]] Result<void> remove_leftovers();
  [[nodiscard]] Result<void> look();
  [[nodiscard]] Result<bool> begins_safe(std::uint64_t number, std::uint64_t safe);
  [[nodiscard]] Result<Known> read_start(std::uint64_t number, std::uint32_t& features) const;
  [[nodiscard]] Result<bool> index_one();
  [[nodiscard]] Result<std::int64_t> last_time(std::uint64_t number);
  [[nodiscard]] Result<bool> remove_old();
  [[nodiscard]] Result<std::uint64_t> removable() const;
  [[nodiscard]] Result<void> record_removal(std::size_t count, std::uint64_t bytes,
                                            std::string_view reason);
  [[nodiscard]] Result<void> remove_segment(std::uint64_t number);
  [[nodiscard]] Result<bool> compress_one();
  [[nodiscard]] Result<void> compress(std::uint64_t number);
  [[nodiscard]] Result<void> check_whole(std::uint64_t number) const;
  [[nodiscard]] Result<void> drop_plain(std::uint64_t number);
  [[nodiscard]] std::uint64_t bytes_of(std::uint64_t number) const;
  [[nodiscard]] Result<void> remove_file(const std::string& path);
  [[nodiscard]] Result<void> sync_directory();

  const LogConfig& config_;
  FileSystem& fs_;
  const std::function<std::uint64_t()> safe_sequence_;
  const Record record_;

  // step()'s.
  bool leftovers_gone_ = false;
  std::vector<std::uint64_t> settled_;  // ascending, without gaps
  std::vector<std::uint64_t> others_;   // later ones
  std::uint32_t newest_features_ = 0;   // of the log's last segment
  std::uint64_t seen_safe_ = 0;         // safe_sequence_() before the last look
  std::map<std::uint64_t, Known> known_;

  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  bool stop_ = false;
  std::optional<Error> error_;
  KeeperStats stats_;
  std::thread thread_;
};

}  // namespace grace::ledger::internal
