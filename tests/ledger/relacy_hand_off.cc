// Models of HandOff, alone and as the writer chains it: committer, hasher, closer.
#include <memory>
#include <optional>

#include "hand_off.h"
#include "relacy_models.h"

namespace grace::ledger::internal {
namespace {

// What the stages do to a block: each reads what the one before has left.
struct Block {
  Word filled;
  Word hashed;
};
using BlockPtr = std::unique_ptr<Block>;
using Queue = HandOff<BlockPtr, RelacySharing>;

// Each block arrives once, in order, with all that was done to it; no more wait than may; the end
// is told once nothing is left, and nobody waits for ever.
template <std::size_t waiting_max, std::uint64_t blocks>
struct One : rl::test_suite<One<waiting_max, blocks>, 2> {
  void before() { queue.emplace(waiting_max); }
  void thread(unsigned index) { index == 0 ? fill() : take(); }

  void fill() {
    for (std::uint64_t number = 1; number <= blocks; ++number) {
      auto block = std::make_unique<Block>();
      write(block->filled, number);
      queue->push(std::move(block));
      ++pushed;
      // One more may be out of the queue and not counted yet.
      RL_ASSERT(pushed <= popped + waiting_max + 1);
    }
    queue->end();
  }
  void take() {
    std::uint64_t expected = 0;
    while (auto block = queue->pop()) {
      ++popped;
      RL_ASSERT(read((*block)->filled) == ++expected);
    }
    RL_ASSERT(expected == blocks);
    RL_ASSERT(!queue->pop().has_value());
  }

  std::optional<Queue> queue;
  // Of the model, not of its threads: Relacy runs one at a time.
  std::uint64_t pushed = 0;
  std::uint64_t popped = 0;
};

template <std::size_t waiting_max, std::uint64_t blocks>
struct Chain : rl::test_suite<Chain<waiting_max, blocks>, 3> {
  void before() {
    to_hasher.emplace(waiting_max);
    to_closer.emplace(waiting_max);
  }
  void thread(unsigned index) { index == 0 ? commit() : index == 1 ? hash() : close(); }

  void commit() {
    for (std::uint64_t number = 1; number <= blocks; ++number) {
      auto block = std::make_unique<Block>();
      write(block->filled, number);
      to_hasher->push(std::move(block));
    }
    to_hasher->end();
  }
  void hash() {
    while (auto block = to_hasher->pop()) {
      auto next = to_hasher->try_pop();
      hash_one(**block);
      if (next) hash_one(**next);
      to_closer->push(std::move(*block));
      if (next) to_closer->push(std::move(*next));
    }
    to_closer->end();
  }
  static void hash_one(Block& block) { write(block.hashed, read(block.filled) * 10); }
  void close() {
    std::uint64_t expected = 0;
    while (auto block = to_closer->pop()) {
      RL_ASSERT(read((*block)->filled) == ++expected);
      RL_ASSERT(read((*block)->hashed) == expected * 10);
    }
    RL_ASSERT(expected == blocks);
  }

  std::optional<Queue> to_hasher;
  std::optional<Queue> to_closer;
};

// As HashAside: whoever fills takes a block back while the queue is full, and at the end.
template <std::size_t waiting_max, std::uint64_t blocks>
struct Helped : rl::test_suite<Helped<waiting_max, blocks>, 2> {
  void before() { queue.emplace(waiting_max); }
  void thread(unsigned index) { index == 0 ? fill() : take(); }
  void after() { RL_ASSERT(hashed == blocks); }

  void fill() {
    for (std::uint64_t number = 1; number <= blocks; ++number) {
      auto block = std::make_unique<Block>();
      write(block->filled, number);
      while (!queue->try_push(std::move(block))) {
        RL_ASSERT(block != nullptr);
        if (auto other = queue->try_pop()) hash(**other);
      }
    }
    queue->end();
    while (auto other = queue->try_pop()) hash(**other);
  }
  void take() {
    while (auto block = queue->pop()) hash(**block);
  }
  void hash(Block& block) {
    write(block.hashed, read(block.filled) * 10);
    ++hashed;
  }

  std::optional<Queue> queue;
  std::uint64_t hashed = 0;  // of the model, not of its threads
};

constexpr Model kModels[] = {
    {.name = "hand_off_small", .run = &run_suite<One<1, 2>>, .switches_max = 3},
    {.name = "hand_off", .run = &run_suite<One<2, 4>>, .switches_max = 2},
    {.name = "hand_off_helped", .run = &run_suite<Helped<1, 3>>, .switches_max = 2},
    {.name = "hand_off_chain", .run = &run_suite<Chain<1, 3>>, .switches_max = 1},
};

}  // namespace

std::span<const Model> hand_off_models() {
  return kModels;
}

}  // namespace grace::ledger::internal
