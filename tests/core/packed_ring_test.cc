#include "grace/core/packed_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace grace::core {
namespace {

// Between a writer and a reader, with memory whose end a sanitizer sees.
class Ring {
 public:
  explicit Ring(std::size_t bytes)
      : bytes_(bytes),
        memory_(static_cast<char*>(std::aligned_alloc(kCacheLineBytes, bytes))),
        writer_(state_, memory_.get(), bytes),
        reader_(state_, memory_.get(), bytes) {}
  [[nodiscard]] PackedRingWriter& writer() { return writer_; }
  [[nodiscard]] PackedRingReader& reader() { return reader_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::size_t bytes_;
  PackedRingState state_;
  std::unique_ptr<char[], Free> memory_;
  PackedRingWriter writer_;
  PackedRingReader reader_;
};

// Record `number` of `bytes`: each of its words says which one it is of which record.
void write_record(char* to, std::uint64_t number, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += 8) {
    const std::uint64_t word = number * 1'000'003 + at;
    std::memcpy(to + at, &word, sizeof word);
  }
  const PackedPrefix prefix{static_cast<std::uint32_t>(bytes), PackedForm::kLine, 0, 0};
  std::memcpy(to, &prefix, sizeof prefix);
}

bool is_record(std::string_view text, std::uint64_t number) {
  std::vector<char> expected(text.size());
  write_record(expected.data(), number, text.size());
  return std::equal(text.begin(), text.end(), expected.begin());
}

// Takes up to `bytes` of records and checks that they are the next ones; gives how many.
std::uint64_t take_and_check(Ring& ring, std::size_t bytes, std::uint64_t next) {
  std::string out(bytes + ring.bytes() / 2, '\0');
  // Every other one past the caches, if it is enough for that.
  const auto taken =
      ring.reader().take(out.data(), out.size(), bytes, ring.bytes() / 2, next % 2 == 0);
  EXPECT_FALSE(taken.broken);
  EXPECT_EQ(taken.oversized, 0U);
  EXPECT_EQ(taken.records, packed_count({out.data(), taken.bytes}));
  std::uint64_t count = 0;
  for (std::string_view text(out.data(), taken.bytes); !text.empty(); ++count) {
    const auto header = packed_at(text);
    if (!header || !is_record(text.substr(0, header->size_bytes), next + count)) {
      ADD_FAILURE() << "record " << next + count << " is another one, or torn";
      break;
    }
    text.remove_prefix(header->size_bytes);
  }
  return count;
}

// Mostly what events take, now and then one above what is staged, where the ring has room for it.
std::size_t draw_size(std::mt19937_64& random, std::size_t ring_bytes) {
  const std::size_t largest = random() % 20 == 0 ? ring_bytes / 2 : 512;
  return 48 + random() % ((largest - 48) / 8 + 1) * 8;
}

TEST(PackedRing, GivesEachRecordAsItWasWrittenWhateverItsSizeAndPlace) {
  for (const std::size_t bytes : {std::size_t{4096}, std::size_t{32} << 10, std::size_t{1} << 18}) {
    Ring ring(bytes);
    std::mt19937_64 random(bytes);
    std::uint64_t written = 0;
    std::uint64_t handed_over = 0;
    std::uint64_t read = 0;
    while (read < 20'000) {
      const std::size_t size = draw_size(random, bytes);
      // What is claimed may be more than the record takes in the end.
      const std::size_t claimed = std::min(size + random() % 5 * 8, bytes / 2);
      if (char* const room = ring.writer().claim(claimed); room != nullptr) {
        if (random() % 4 == 0) {
          EXPECT_EQ(ring.writer().claim(claimed), room);
        }
        write_record(room, written++, size);
        ring.writer().commit(size);
      } else {
        ASSERT_GT(ring.writer().pending_bytes() + ring.writer().unread_bytes(), 0U);
        ASSERT_TRUE(ring.writer().flush());
        handed_over = written;
        read += take_and_check(ring, bytes, read);
        ASSERT_EQ(read, handed_over) << "all that was handed over, and nothing else";
      }
      if (random() % 30 == 0) {
        ASSERT_TRUE(ring.writer().flush());
        handed_over = written;
      }
      if (random() % 50 == 0) read += take_and_check(ring, random() % bytes + 8, read);
      ASSERT_LE(read, handed_over);
      if (HasFailure()) return;
    }
  }
}

TEST(PackedRing, ARefusedBatchLeavesNothing) {
  Ring ring(4096);
  const auto add = [&](std::uint64_t number) {
    char* const room = ring.writer().claim(200);
    ASSERT_NE(room, nullptr);
    write_record(room, number, 200);
    ring.writer().commit(200);
  };
  add(0);
  ASSERT_TRUE(ring.writer().flush());
  add(1);
  ring.reader().close();
  EXPECT_FALSE(ring.writer().flush());
  EXPECT_EQ(ring.writer().pending_bytes(), 0U);
  add(2);
  EXPECT_FALSE(ring.writer().flush());
  EXPECT_EQ(take_and_check(ring, 4096, 0), 1U);
  EXPECT_TRUE(ring.reader().empty());
}

// Records of all sizes that suit a ring of `bytes`, in batches of all sizes, waiting for room; then
// the end.
void write_all(PackedRingWriter& writer, std::uint64_t records, std::size_t bytes) {
  std::mt19937_64 random(bytes);
  for (std::uint64_t number = 0; number < records;) {
    const std::size_t size = draw_size(random, bytes);
    char* const room = writer.claim(size);
    if (room == nullptr) {
      ASSERT_TRUE(writer.flush());
      std::this_thread::yield();
      continue;
    }
    write_record(room, number++, size);
    writer.commit(size);
    if (random() % 20 == 0) {
      ASSERT_TRUE(writer.flush());
    }
  }
  ASSERT_TRUE(writer.flush());
  writer.end();
}

TEST(PackedRing, HandsOverBetweenThreads) {
  constexpr std::uint64_t kRecords = 200'000;
  Ring ring(std::size_t{16} << 10);
  std::thread producer([&ring] { write_all(ring.writer(), kRecords, 4096); });
  std::uint64_t read = 0;
  while (!ring.reader().finished() && !testing::Test::HasFailure()) {
    const std::uint64_t count = take_and_check(ring, 4096, read);
    if (count == 0) std::this_thread::yield();
    read += count;
  }
  producer.join();
  EXPECT_EQ(read, kRecords);
}

// A ring of blocks, each an allocation of its own, so that a sanitizer sees what a block that was
// had by the reader is used for afterwards.
class BlockRing {
 public:
  BlockRing(std::size_t blocks, std::size_t block_bytes) : block_bytes_(block_bytes) {
    blocks_.resize(blocks);
    for (PackedBlock& block : blocks_) block.memory = allocate();
    writer_.emplace(state_, PackedMemory(blocks_, block_bytes));
    reader_.emplace(state_, PackedMemory(blocks_, block_bytes));
  }
  ~BlockRing() {
    for (const PackedBlock& block : blocks_) std::free(block.memory);
  }
  BlockRing(const BlockRing&) = delete;
  BlockRing& operator=(const BlockRing&) = delete;
  [[nodiscard]] PackedRingWriter& writer() { return *writer_; }
  [[nodiscard]] PackedRingReader& reader() { return *reader_; }
  [[nodiscard]] std::size_t block_bytes() const { return block_bytes_; }

  // The block at the front and what the writer says of it, if it is full; frees it.
  [[nodiscard]] std::optional<std::pair<std::string, std::uint32_t>> take_block() {
    const PackedBlock* const full = reader_->full_block();
    if (full == nullptr) return std::nullopt;
    char* const memory = full->memory;
    const auto taken = std::pair(std::string(memory, full->used_bytes), full->records);
    reader_->replace_block(allocate());
    std::free(memory);
    return taken;
  }

 private:
  [[nodiscard]] char* allocate() const {
    return static_cast<char*>(std::aligned_alloc(kCacheLineBytes, block_bytes_));
  }
  std::size_t block_bytes_;
  PackedRingState state_;
  std::vector<PackedBlock> blocks_;
  std::optional<PackedRingWriter> writer_;
  std::optional<PackedRingReader> reader_;
};

// Takes what is there, by whole blocks where `blocks` says so, and checks that these are the next
// records; counts blocks that were had whole.
std::uint64_t take_and_check(BlockRing& ring, bool blocks, std::uint64_t next,
                             std::uint64_t& whole_blocks) {
  std::string text;
  std::uint64_t records = 0;
  if (auto block = blocks ? ring.take_block() : std::nullopt) {
    text = std::move(block->first);
    records = block->second;
    ++whole_blocks;
  } else {
    text.resize(2 * ring.block_bytes());
    const auto taken =
        ring.reader().take(text.data(), text.size(), text.size(), ring.block_bytes() / 2);
    EXPECT_FALSE(taken.broken);
    EXPECT_LE(taken.bytes, ring.block_bytes()) << "past the end of a block";
    text.resize(taken.bytes);
    records = taken.records;
  }
  EXPECT_EQ(records, packed_count(text));
  std::uint64_t count = 0;
  for (std::string_view rest = text; !rest.empty(); ++count) {
    const auto header = packed_at(rest);
    if (!header || !is_record(rest.substr(0, header->size_bytes), next + count)) {
      ADD_FAILURE() << "record " << next + count << " is another one, or torn";
      break;
    }
    rest.remove_prefix(header->size_bytes);
  }
  return count;
}

TEST(PackedRing, GivesBlocksAsTheyAreBetweenRecordsThatAreCopied) {
  for (const std::size_t block_bytes : {std::size_t{1024}, std::size_t{32} << 10}) {
    for (const std::size_t blocks : {1, 4}) {
      BlockRing ring(blocks, block_bytes);
      std::mt19937_64 random(block_bytes + blocks);
      std::uint64_t written = 0, read = 0, whole_blocks = 0;
      while (read < 20'000 && !HasFailure()) {
        // Sizes that fill a block to its end are as likely as others.
        const std::size_t size =
            random() % 3 == 0 ? 128 : draw_size(random, std::min<std::size_t>(block_bytes, 4096));
        if (char* const room = ring.writer().claim(size); room != nullptr) {
          write_record(room, written++, size);
          ring.writer().commit(size);
          if (random() % 30 != 0) continue;
        }
        ASSERT_TRUE(ring.writer().flush());
        const bool by_blocks = random() % 4 != 0;
        for (std::uint64_t before = read + 1; before != read;) {
          before = read;
          read += take_and_check(ring, by_blocks, read, whole_blocks);
          if (by_blocks && random() % 2 == 0) break;
        }
      }
      // With one block there is room for a record only until it is full but for its padding.
      if (blocks > 1) {
        EXPECT_GT(whole_blocks, 0U) << block_bytes;
      }
    }
  }
}

TEST(PackedRing, HandsBlocksOverBetweenThreads) {
  constexpr std::uint64_t kRecords = 200'000;
  BlockRing ring(4, 4096);
  std::thread producer([&ring] { write_all(ring.writer(), kRecords, 2048); });
  std::uint64_t read = 0;
  std::uint64_t whole_blocks = 0;
  while (!ring.reader().finished() && !testing::Test::HasFailure()) {
    const std::uint64_t count = take_and_check(ring, true, read, whole_blocks);
    if (count == 0) std::this_thread::yield();
    read += count;
  }
  producer.join();
  EXPECT_EQ(read, kRecords);
}

}  // namespace
}  // namespace grace::core
