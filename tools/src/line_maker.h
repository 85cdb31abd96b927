#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "grace/core/clock.h"
#include "grace/core/spsc_ring.h"
#include "grace/harness/load.h"
#include "load_stream.h"

namespace grace::tools {

// When arrivals begin, and what event time they carry.
struct LoadClock {
  std::int64_t begin_ns = 0;  // monotonic
  std::int64_t first_event_ns = 0;
  double event_gap_ns = 0.0;  // of event time, between two arrivals
  [[nodiscard]] std::int64_t event_ns(std::uint64_t arrival) const noexcept {
    return first_event_ns + static_cast<std::int64_t>(static_cast<double>(arrival) * event_gap_ns);
  }
};

// Makes the lines of arrivals before they are due, on a thread of its own, as far ahead as its
// blocks reach: making a line costs about as much as deciding it, and is the sender's work. Who
// takes them finds them made and copies them when they are due, as from a socket's buffer.
//
//   maker's thread: schedule, lines ==> made blocks ==> next() of the taker ==> free blocks ==>
//
// Threads: next(), pop() and the destructor: one.
class LineMaker {
 public:
  struct Line {
    const char* text = nullptr;
    std::size_t size_bytes = 0;
    std::int64_t due_ns = 0;   // intended time of the arrival, since the begin
    std::int64_t made_ns = 0;  // when it was ready: after due_ns when the maker is late
  };

  // All outlive the maker. `arrivals` and `span` are valid, `timing` is set: the thread starts.
  LineMaker(const LoadStream& stream, const harness::ArrivalConfig& arrivals,
            const harness::LoadSpan& span, const LoadClock& timing);
  ~LineMaker();
  LineMaker(const LineMaker&) = delete;
  LineMaker& operator=(const LineMaker&) = delete;

  // The next arrival, due or not; null: not made yet, or ended().
  [[nodiscard]] const Line* next();
  void pop();
  // All lines of the span were made and taken.
  [[nodiscard]] bool ended();

 private:
  // A block ends with so many lines, or with the line that takes it to so many bytes.
  static constexpr std::size_t kBlockLines = 64;
  static constexpr std::size_t kBlockBytes = 32 << 10;
  static constexpr std::size_t kBlocks = 512;  // 32,768 lines ahead: 16 ms at 2 M a second
  struct Block {
    std::vector<char> text;
    std::array<std::size_t, kBlockLines> ends{};
    std::array<std::int64_t, kBlockLines> due_ns{};
    std::int64_t made_ns = 0;
    std::size_t count = 0;  // 0: the end
  };
  void run();
  bool make(Block& block);

  const LoadStream& stream_;
  const harness::LoadSpan span_;
  const LoadClock& timing_;
  const core::SystemClock clock_{};
  std::vector<Block> blocks_{kBlocks};
  core::SpscRing<Block*> free_{kBlocks};
  core::SpscRing<Block*> made_{kBlocks};

  // --- the maker's thread ---
  harness::ArrivalSchedule schedule_;
  std::int64_t next_ns_;  // intended time of the next arrival
  std::uint64_t made_count_ = 0;

  // --- the taker's ---
  Block* block_ = nullptr;
  std::size_t at_ = 0;  // of the block's lines
  Line line_;
  bool ended_ = false;

  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace grace::tools
