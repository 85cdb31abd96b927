#pragma once
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "block.h"
#include "grace/ledger/sha256.h"
#include "hand_off.h"

namespace grace::ledger::internal {

// Hashes the records of blocks on a thread of its own, two at a time, while the caller reads and
// checks the next ones. Bound: kWaitingMax blocks; while that many wait, the caller hashes as well.
class HashAside {
 public:
  HashAside();
  ~HashAside();
  HashAside(const HashAside&) = delete;
  HashAside& operator=(const HashAside&) = delete;

  // `block`: a buffer that begins with a whole block which passed check_block() but for its hash;
  // `expected`: that hash. Returns a buffer to read the next one into.
  [[nodiscard]] std::vector<std::byte> add(std::vector<std::byte> block, const Hash& expected);
  // The same, but the hash goes to `result`, before finish() returns.
  [[nodiscard]] std::vector<std::byte> add(std::vector<std::byte> block, Hash* result);
  // Waits until all that was added has been hashed, and ends the thread. False: one did not match.
  bool finish();

 private:
  static constexpr std::size_t kWaitingMax = 4;
  struct Waiting {
    std::vector<std::byte> block;
    Hash expected;
    Hash* result = nullptr;  // null: it is compared
  };
  [[nodiscard]] std::vector<std::byte> add(Waiting&& waiting);
  void run();
  void hash(Waiting waiting, Sha256& hasher);
  void done(Waiting& waiting, const Hash& hash);
  [[nodiscard]] static RecordsOfBlock records_of(const Waiting& waiting);

  HandOff<Waiting> waiting_{kWaitingMax};
  std::mutex mutex_;
  std::vector<std::vector<std::byte>> spare_;  // guarded by mutex_, as is the next
  bool matches_ = true;
  Sha256 hasher_;       // the caller's
  std::thread thread_;  // last: runs as soon as it exists
};

}  // namespace grace::ledger::internal
