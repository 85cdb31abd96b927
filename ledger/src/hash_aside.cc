#include "hash_aside.h"

#include <span>
#include <utility>

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
    const RecordsOfBlock records = records_of(*waiting);
    if (auto next = waiting_.try_pop()) {
      const auto hashes = records_hash_of_two(records, records_of(*next), hasher);
      compare(*waiting, hashes[0]);
      compare(*next, hashes[1]);
    } else {
      compare(*waiting, records_hash(records.flags, records.bytes, hasher));
    }
  }
}

RecordsOfBlock HashAside::records_of(const Waiting& waiting) {
  const std::span<const std::byte> block(waiting.block);
  const auto header = load<BlockHeader>(block);
  return {header.flags, block.subspan(sizeof(BlockHeader), header.records_bytes)};
}

void HashAside::compare(Waiting& waiting, const Hash& hash) {
  matches_ = matches_ && hash == waiting.expected;
  const std::lock_guard lock(mutex_);
  spare_.push_back(std::move(waiting.block));
}

}  // namespace grace::ledger::internal
