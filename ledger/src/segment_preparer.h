#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "grace/ledger/log_config.h"
#include "segment_file.h"

namespace grace::ledger::internal {

// A thread that has the next segments ready before the store needs them. take() and want_ahead()
// are the storing thread's; the rest is anybody's. At most segments_ahead lie ready, and with
// LogConfig::reserve one more, which is given out only when the file system has no space for
// another. When preparing fails it tries again every 100 ms until stop(); take() does not wait for
// that.
class SegmentPreparer {
 public:
  // `config` is borrowed and outlives this.
  SegmentPreparer(const LogConfig& config, std::uint64_t first_number);
  ~SegmentPreparer();  // stop()

  // A segment; waits until one is ready. The error of the latest attempt if that failed: the caller
  // needs the segment now.
  [[nodiscard]] Result<std::unique_ptr<SegmentFile>> take(bool& waited);
  // From now until the next take(), keep segments_ahead ready. Before it is called nothing is
  // prepared, so that a log that stays small does not allocate a second segment.
  void want_ahead();
  [[nodiscard]] std::optional<Error> error() const;
  // The reserve has been given out, and there has been no space for another since.
  [[nodiscard]] bool on_reserve() const noexcept {
    // Relaxed: a hint to producers; nothing else is read by it.
    return on_reserve_.load(std::memory_order_relaxed);
  }
  // Ends the thread and removes what was prepared and not taken.
  void stop();

 private:
  void run();

  const LogConfig& config_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<SegmentFile>> ready_;  // guarded by mutex_, as all below
  std::unique_ptr<SegmentFile> reserve_;
  std::optional<Error> error_;
  std::optional<Error> reserve_reason_;  // why the reserve was given out
  std::uint64_t next_number_;            // of a provisional name
  std::size_t wanted_ = 0;
  bool reserve_wanted_ = false;  // once the first segment has been given out
  bool urgent_ = false;          // take() waits
  bool stop_ = false;
  std::atomic<bool> on_reserve_{false};
  std::thread thread_;  // last: runs as soon as it exists
};

}  // namespace grace::ledger::internal
