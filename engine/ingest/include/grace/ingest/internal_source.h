#pragma once
#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

#include "grace/ingest/source.h"

namespace grace::ingest {

struct InternalSourceConfig {
  // --- behaviour ---
  std::string name = "internal";
  // True: lines may be internal controls (tick, step_result). Make a second, untrusted instance
  // for commands that people send, so that a command can never pose as an executor's result.
  bool trusted = true;
  // --- cost ---
  std::size_t lines_max = 4096;
  std::size_t bytes_max = 4 * 1024 * 1024;
};

// Lines that the process itself has to say: executor results, commands from the control socket,
// ticks. They enter the input like any other line, so they have a sequence and are in the journal.
//
// Threads: push() from any; read() is the ingest thread's. A mutex, not the lock-free queue: lines
// are tens a second, and pushes from different threads that happen one after the other must keep
// that order (an approval before the pause that follows it), which a per-producer queue does not.
// Full: push() refuses, and counts the line as dropped; the caller tells its own caller.
class InternalSource final : public Source {
 public:
  explicit InternalSource(const InternalSourceConfig& config = {});
  // One line, or several that stay together, with or without the last newline; at most kReadBytes.
  // Nothing to say is no error. False: full, too long, or stopped.
  [[nodiscard]] bool push(std::string_view lines);
  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override;

 private:
  InternalSourceConfig config_;
  std::mutex mutex_;
  std::deque<std::string> lines_;  // guarded by mutex_; each ends with a newline
  std::size_t queued_bytes_ = 0;   // guarded by mutex_
  bool stopped_ = false;           // guarded by mutex_
  bool stop_seen_ = false;         // the ingest thread's own copy
  // Entries in the queue. Lets an idle read() return without the lock. [QUEUE] release in push(),
  // acquire in read(): only a hint, the lines themselves are published by the mutex.
  std::atomic<std::size_t> queued_count_{0};
};

}  // namespace grace::ingest
