#include "grace/core/packed_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
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

TEST(PackedRing, HandsOverBetweenThreads) {
  constexpr std::uint64_t kRecords = 200'000;
  Ring ring(std::size_t{16} << 10);
  std::thread producer([&ring] {
    std::mt19937_64 random(7);
    for (std::uint64_t number = 0; number < kRecords;) {
      const std::size_t size = draw_size(random, 4096);
      char* const room = ring.writer().claim(size);
      if (room == nullptr) {
        ASSERT_TRUE(ring.writer().flush());
        std::this_thread::yield();
        continue;
      }
      write_record(room, number++, size);
      ring.writer().commit(size);
      if (random() % 20 == 0) {
        ASSERT_TRUE(ring.writer().flush());
      }
    }
    ASSERT_TRUE(ring.writer().flush());
    ring.writer().end();
  });
  std::uint64_t read = 0;
  while (!ring.reader().finished() && !testing::Test::HasFailure()) {
    const std::uint64_t count = take_and_check(ring, 4096, read);
    if (count == 0) std::this_thread::yield();
    read += count;
  }
  producer.join();
  EXPECT_EQ(read, kRecords);
}

}  // namespace
}  // namespace grace::core
