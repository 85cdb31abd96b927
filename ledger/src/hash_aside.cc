#include "hash_aside.h"

#include <span>
#include <utility>

namespace grace::ledger::internal {

HashAside::HashAside() : thread_([this] { run(); }) {}

HashAside::~HashAside() {
  finish();
}

std::vector<std::byte> HashAside::add(std::vector<std::byte> block, const Hash& expected) {
  return add({std::move(block), expected, nullptr});
}

std::vector<std::byte> HashAside::add(std::vector<std::byte> block, Hash* result) {
  return add({std::move(block), {}, result});
}

std::vector<std::byte> HashAside::add(Waiting&& waiting) {
  while (!waiting_.try_push(std::move(waiting))) {
    if (auto other = waiting_.try_pop()) hash(std::move(*other), hasher_);
  }
  std::vector<std::byte> spare;
  const std::lock_guard lock(mutex_);
  if (!spare_.empty()) {
    spare = std::move(spare_.back());
    spare_.pop_back();
  }
  return spare;
}

bool HashAside::finish() {
  waiting_.end();
  while (auto waiting = waiting_.try_pop()) hash(std::move(*waiting), hasher_);
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  return matches_;
}

void HashAside::run() {
  Sha256 hasher;
  while (auto waiting = waiting_.pop()) hash(std::move(*waiting), hasher);
}

// Two at a time where two are there.
void HashAside::hash(Waiting waiting, Sha256& hasher) {
  const RecordsOfBlock records = records_of(waiting);
  if (auto next = waiting_.try_pop()) {
    const auto hashes = records_hash_of_two(records, records_of(*next), hasher);
    done(waiting, hashes[0]);
    done(*next, hashes[1]);
  } else {
    done(waiting, records_hash(records.flags, records.bytes, hasher));
  }
}

RecordsOfBlock HashAside::records_of(const Waiting& waiting) {
  const std::span<const std::byte> block(waiting.block);
  const auto header = load<BlockHeader>(block);
  return {header.flags, block.subspan(sizeof(BlockHeader), header.records_bytes)};
}

void HashAside::done(Waiting& waiting, const Hash& hash) {
  if (waiting.result != nullptr) *waiting.result = hash;
  const std::lock_guard lock(mutex_);
  if (waiting.result == nullptr) matches_ = matches_ && hash == waiting.expected;
  spare_.push_back(std::move(waiting.block));
}

}  // namespace grace::ledger::internal
