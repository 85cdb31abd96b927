#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "grace/core/error.h"
#include "grace/core/platform.h"
#include "grace/parse/chunk_parser.h"

namespace grace::parse {

struct DeadLetterConfig {
  // --- behaviour ---
  std::string path;                   // empty: nothing is written, all is dropped_by_bound
  std::uint64_t lines_max = 100'000;  // in the file's life, what it holds at open included
  std::uint64_t file_bytes_max = 64ULL << 20;
  std::uint32_t lines_per_second_max = 1'000;  // burst of one second's worth; 0: no limit
  std::size_t line_copy_bytes_max = 4096;      // longer lines are copied cut, "cut":true
  // True: a full queue holds the worker up until the writer has caught up (recordings, which can
  // wait). False: the line is counted under dropped_by_queue.
  bool wait_when_full = false;
  // --- cost ---
  // At most core::FaninQueue's depth, 32,704. Memory: about this x line_copy_bytes_max.
  std::size_t queue_lines_max = 4096;
  std::size_t producers_max = core::kWorkersMax;  // threads that offer
};
[[nodiscard]] core::Result<DeadLetterConfig> validated(DeadLetterConfig config);

// offered == written + the drops + failed + queued at any time.
struct DeadLetterCounters {
  std::uint64_t offered = 0;
  std::uint64_t written = 0;
  std::uint64_t dropped_by_bound = 0;  // lines_max or file_bytes_max reached
  std::uint64_t dropped_by_rate = 0;
  std::uint64_t dropped_by_queue = 0;  // the writer was slower than the rejects
  std::uint64_t failed = 0;            // the file could not be written (disk full ...)
  int last_os_error = 0;               // errno of the last failure
};

// Copies of rejected lines, for a person to look at: NDJSON,
//   {"source":"file:/x","offset":123,"reason":"wrong_type","size":57,"line":"..."}
// `line` is the text with invalid UTF-8 replaced; where something had to be replaced, "base64"
// holds the exact bytes. One object a reject.
//
// Threads: each worker offers through a Producer of its own, into a lock-free queue; one thread of
// the file's own limits the rate and writes. Lines of one worker keep their order, those of
// different workers do not (offsets tell). Unless wait_when_full, never blocks; never fails the
// stream: what is not written is counted by reason. close() (or destruction) writes what is queued.
class DeadLetterFile {
 public:
  // Fails only when the file cannot be opened (appended to when it exists).
  [[nodiscard]] static core::Result<std::unique_ptr<DeadLetterFile>> open(DeadLetterConfig config);
  ~DeadLetterFile();
  DeadLetterFile(const DeadLetterFile&) = delete;
  DeadLetterFile& operator=(const DeadLetterFile&) = delete;

  class Impl;
  // One worker's end of the queue. Must not outlive the file.
  class Producer {
   public:
    explicit Producer(DeadLetterFile& file);
    ~Producer();
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;
    // Copies what it keeps of the line. Counted only, after close().
    void offer(const Reject& reject, std::string_view source_name);

   private:
    class Handle;
    std::unique_ptr<Handle> handle_;
  };
  void close();
  [[nodiscard]] DeadLetterCounters counters() const;

 private:
  explicit DeadLetterFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace grace::parse
