#include "byte_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "grace/ledger/crc32c.h"
#include "grace/ledger/writer.h"

namespace grace::ledger::internal {
namespace {

std::string take(ByteRing& ring) {
  ByteRing::Entry entry;
  if (!ring.front(entry)) return "(empty)";
  std::string text(reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size());
  ring.pop();
  ring.release();
  return text;
}

TEST(ByteRing, RejectsPushWhenFullAndTakesAgainAfterRelease) {
  ByteRing ring(64);
  EXPECT_TRUE(ring.try_push(RecordType::kNote, as_bytes("0123456789abcdef01234567"), {}));  // 32
  EXPECT_TRUE(ring.try_push(RecordType::kNote, as_bytes("0123456789abcdef01234567"), {}));
  EXPECT_FALSE(ring.try_push(RecordType::kNote, {}, {}));
  ByteRing::Entry entry;
  ASSERT_TRUE(ring.front(entry));
  ring.pop();
  EXPECT_FALSE(ring.try_push(RecordType::kNote, {}, {})) << "popped bytes are not free yet";
  ring.release();
  EXPECT_TRUE(ring.try_push(RecordType::kNote, {}, {}));
}

TEST(ByteRing, KeepsEntriesWholeAcrossItsEnd) {
  ByteRing ring(64);
  std::string longest(24, 'x');
  for (int round = 0; round < 200; ++round) {
    const std::string head(static_cast<std::size_t>(round % 7), 'h');
    const std::string body(static_cast<std::size_t>(round % 13), 'b');
    ASSERT_TRUE(ring.try_push(RecordType::kChunk, as_bytes(head), as_bytes(body))) << round;
    ASSERT_EQ(take(ring), head + body);
    ASSERT_TRUE(ring.try_push(RecordType::kNote, as_bytes(longest), {})) << round;
    ASSERT_EQ(take(ring), longest);
  }
  EXPECT_EQ(take(ring), "(empty)");
}

TEST(ByteRing, TellsEntriesOfNoBytesFromNoEntry) {
  ByteRing ring(64);
  ASSERT_TRUE(ring.try_push(RecordType::kNote, {}, {}));
  EXPECT_EQ(take(ring), "");
  EXPECT_EQ(take(ring), "(empty)");
}

// The committer leaves off in the middle of what it knows of, and goes by this when it says that a
// ring was empty.
TEST(ByteRing, FrontLooksForNewEntriesEvenWithOldOnesLeft) {
  ByteRing ring(128);
  ByteRing::Entry entry;
  ASSERT_TRUE(ring.try_push(RecordType::kNote, as_bytes("1"), {}));
  ASSERT_TRUE(ring.try_push(RecordType::kNote, as_bytes("2"), {}));
  ASSERT_TRUE(ring.front(entry));
  ring.pop();
  ASSERT_TRUE(ring.try_push(RecordType::kNote, as_bytes("3"), {}));
  ASSERT_TRUE(ring.front(entry));
  ring.pop();
  ASSERT_TRUE(ring.front_seen(entry)) << "3 was there at the last front()";
  ring.pop();
  ASSERT_TRUE(ring.try_push(RecordType::kNote, as_bytes("4"), {}));
  EXPECT_FALSE(ring.front_seen(entry)) << "4 was not";
  EXPECT_TRUE(ring.front(entry));
}

// Those go past the caches.
TEST(ByteRing, KeepsLargeBodiesWhole) {
  ByteRing ring(64 << 10);
  std::vector<std::byte> bytes(20'000);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(i * 31 + i / 256);
  const std::span<const std::byte> all(bytes);
  for (std::size_t round = 0; round < 500; ++round) {
    const auto head = all.subspan(round % 100, 3 + round % 40);
    const auto body = all.subspan(round % 77, 4000 + (round * 619) % 15'000);
    ASSERT_TRUE(ring.try_push(RecordType::kChunk, head, body));
    ByteRing::Entry entry;
    ASSERT_TRUE(ring.front(entry));
    ASSERT_EQ(entry.payload.size(), head.size() + body.size());
    ASSERT_TRUE(std::equal(head.begin(), head.end(), entry.payload.begin()));
    ASSERT_TRUE(std::equal(body.begin(), body.end(), entry.payload.begin() + head.size()));
    ring.pop();
    ring.release();
  }
}

// Each entry carries its number and a CRC: a torn or reused entry betrays itself.
TEST(ByteRing, HandsEveryEntryOverIntactBetweenTwoThreads) {
  constexpr std::uint32_t kEntries = 200'000;
  ByteRing ring(4096);
  std::thread producer([&] {
    std::vector<std::byte> bytes(600);
    std::uint32_t random = 12345;
    for (std::uint32_t number = 0; number < kEntries; ++number) {
      random = random * 1664525 + 1013904223;
      const std::size_t size = 8 + (random >> 16) % 592;
      std::memset(bytes.data(), static_cast<int>(number & 0xff), size);
      std::memcpy(bytes.data() + 4, &number, sizeof(number));
      const std::uint32_t crc = crc32c(std::span(bytes).subspan(4, size - 4));
      std::memcpy(bytes.data(), &crc, sizeof(crc));
      while (!ring.try_push(RecordType::kNote, std::span(bytes).first(size), {})) {
        std::this_thread::yield();
      }
    }
  });
  std::uint32_t expected = 0;
  ByteRing::Entry entry;
  while (expected < kEntries) {
    if (!ring.front(entry)) {
      ring.release();
      std::this_thread::yield();
      continue;
    }
    std::uint32_t crc = 0;
    std::uint32_t number = 0;
    std::memcpy(&crc, entry.payload.data(), sizeof(crc));
    std::memcpy(&number, entry.payload.data() + 4, sizeof(number));
    ASSERT_EQ(number, expected) << "an entry was lost, doubled or reordered";
    ASSERT_EQ(crc, crc32c(entry.payload.subspan(4))) << "an entry was torn";
    ring.pop();
    if (++expected % 16 == 0) ring.release();
  }
  producer.join();
}

}  // namespace
}  // namespace grace::ledger::internal
