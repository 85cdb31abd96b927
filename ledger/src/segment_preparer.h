#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "grace/ledger/log_config.h"
#include "mapped_segment.h"

namespace grace::ledger::internal {

// A thread that has the next segments ready before the committer needs them. take() and
// want_ahead() are the committer's; error() is anybody's. At most segments_ahead lie ready. When
// preparing fails it tries again every 100 ms until stop(); take() does not wait for that.
class SegmentPreparer {
 public:
  // `config` is borrowed and outlives this.
  SegmentPreparer(const LogConfig& config, std::uint64_t first_number);
  ~SegmentPreparer();  // stop()

  // The next segment in order; waits until it is ready. The error of the latest attempt if that
  // failed: the caller needs the segment now.
  [[nodiscard]] Result<std::unique_ptr<MappedSegment>> take(bool& waited);
  // From now until the next take(), keep segments_ahead ready. Before it is called nothing is
  // prepared, so that a log that stays small does not allocate a second segment.
  void want_ahead();
  [[nodiscard]] std::optional<Error> error() const;
  // Ends the thread and removes what was prepared and not taken.
  void stop();

 private:
  void run();

  const LogConfig& config_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<MappedSegment>> ready_;  // guarded by mutex_, as all below
  std::optional<Error> error_;
  std::uint64_t next_number_;
  std::size_t wanted_ = 0;
  bool urgent_ = false;  // take() waits
  bool stop_ = false;
  std::thread thread_;  // last: runs as soon as it exists
};

}  // namespace grace::ledger::internal
