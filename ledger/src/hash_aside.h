#pragma once
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "grace/ledger/sha256.h"

namespace grace::ledger::internal {

// Compares the records of blocks with their hashes on a thread of its own, while the caller reads
// and checks the next ones. Bound: kWaitingMax blocks; add() waits while that many do.
class HashAside {
 public:
  HashAside();
  ~HashAside();  // waits for what was added
  HashAside(const HashAside&) = delete;
  HashAside& operator=(const HashAside&) = delete;

  // `block`: a buffer that begins with a whole block which passed check_block() but for its hash;
  // `expected`: that hash. Returns a buffer to read the next one into.
  [[nodiscard]] std::vector<std::byte> add(std::vector<std::byte> block, const Hash& expected);
  // Waits until all that was added has been hashed. False: one did not match.
  [[nodiscard]] bool all_match();

 private:
  static constexpr std::size_t kWaitingMax = 4;
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  struct Waiting {
    std::vector<std::byte> block;
    Hash expected;
  };
  std::deque<Waiting> waiting_;
  std::vector<std::vector<std::byte>> spare_;
  bool hashing_ = false;
  bool matches_ = true;
  bool ended_ = false;
  std::thread thread_;  // last: runs as soon as it exists
};

}  // namespace grace::ledger::internal
