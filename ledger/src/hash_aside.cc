#include "hash_aside.h"

#include <span>
#include <utility>

#include "block.h"
#include "sha256_two.h"

namespace grace::ledger::internal {

HashAside::HashAside() : thread_([this] { run(); }) {}

HashAside::~HashAside() {
  (void)all_match();
}

std::vector<std::byte> HashAside::add(std::vector<std::byte> block, const Hash& expected) {
  waiting_.push({std::move(block), expected});
  std::vector<std::byte> spare;
  const std::lock_guard lock(mutex_);
  if (!spare_.empty()) {
    spare = std::move(spare_.back());
    spare_.pop_back();
  }
  return spare;
}

bool HashAside::all_match() {
  waiting_.end();
  if (thread_.joinable()) thread_.join();
  return matches_;
}

// Two at a time where two are there.
void HashAside::run() {
  Sha256 hasher;
  while (auto waiting = waiting_.pop()) {
    auto next = waiting_.try_pop();
    if (next && is_plain(*waiting) && is_plain(*next)) {
      const auto hashes = sha256_of_two(records_of(*waiting), records_of(*next));
      matches_ = matches_ && hashes[0] == waiting->expected && hashes[1] == next->expected;
      give_back(*waiting);
      give_back(*next);
      continue;
    }
    check(*waiting, hasher);
    if (next) check(*next, hasher);
  }
}

void HashAside::check(Waiting& waiting, Sha256& hasher) {
  const auto header = load<BlockHeader>(waiting.block);
  matches_ =
      matches_ && waiting.expected == records_hash(header.flags, records_of(waiting), hasher);
  give_back(waiting);
}

void HashAside::give_back(Waiting& waiting) {
  const std::lock_guard lock(mutex_);
  spare_.push_back(std::move(waiting.block));
}

std::span<const std::byte> HashAside::records_of(const Waiting& waiting) {
  const auto header = load<BlockHeader>(waiting.block);
  return std::span<const std::byte>(waiting.block)
      .subspan(sizeof(BlockHeader), header.records_bytes);
}

// One hash over all records.
bool HashAside::is_plain(const Waiting& waiting) {
  return (load<BlockHeader>(waiting.block).flags & kBlockRecordTree) == 0;
}

}  // namespace grace::ledger::internal
