#pragma once
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "block.h"
#include "grace/ledger/sha256.h"
#include "hand_off.h"

namespace grace::ledger::internal {

// Compares the records of blocks with their hashes on a thread of its own, while the caller reads
// and checks the next ones. Bound: kWaitingMax blocks; add() waits while that many do.
class HashAside {
 public:
  HashAside();
  ~HashAside();
  HashAside(const HashAside&) = delete;
  HashAside& operator=(const HashAside&) = delete;

  // `block`: a buffer that begins with a whole block which passed check_block() but for its hash;
  // `expected`: that hash. Returns a buffer to read the next one into.
  [[nodiscard]] std::vector<std::byte> add(std::vector<std::byte> block, const Hash& expected);
  // Waits until all that was added has been hashed, and ends the thread. False: one did not match.
  [[nodiscard]] bool all_match();

 private:
  static constexpr std::size_t kWaitingMax = 4;
  struct Waiting {
    std::vector<std::byte> block;
    Hash expected;
  };
  void run();
  void compare(Waiting& waiting, const Hash& hash);
  [[nodiscard]] static RecordsOfBlock records_of(const Waiting& waiting);

  HandOff<Waiting> waiting_{kWaitingMax};
  std::mutex mutex_;
  std::vector<std::vector<std::byte>> spare_;  // guarded by mutex_
  bool matches_ = true;                        // the thread's until it has ended
  std::thread thread_;                         // last: runs as soon as it exists
};

}  // namespace grace::ledger::internal
