#include "hash_aside.h"

#include <span>
#include <utility>

#include "block.h"

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

void HashAside::run() {
  Sha256 hasher;
  while (auto waiting = waiting_.pop()) {
    std::vector<std::byte>& block = waiting->block;
    const auto header = load<BlockHeader>(block);
    const auto records =
        std::span<const std::byte>(block).subspan(sizeof(BlockHeader), header.records_bytes);
    matches_ = matches_ && waiting->expected == records_hash(header.flags, records, hasher);
    const std::lock_guard lock(mutex_);
    spare_.push_back(std::move(block));
  }
}

}  // namespace grace::ledger::internal
