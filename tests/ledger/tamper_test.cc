#include <algorithm>

#include "log_fixture.h"

namespace grace::ledger {
namespace {

// Someone changes the files of a log that was closed.
class TamperTest : public LogTest, public ::testing::WithParamInterface<Integrity> {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    const auto name = std::to_string(static_cast<unsigned>(GetParam()));
    config_.directory = (directory_ / ("log" + name)).string();
    config_.integrity = GetParam();
  }
  void write_and_close(int blocks) {
    write_blocks(blocks);
    close();
    ASSERT_TRUE(report().ok);
  }
  static VerifyReport check(const Bytes& bytes) {
    return verify_segment_bytes(std::as_bytes(std::span(bytes)));
  }
  static void put_block(Bytes& bytes, std::size_t to, const Bytes& from, std::size_t at) {
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(kFirstBlockOffset + at * 4096), 4096,
                bytes.begin() + static_cast<std::ptrdiff_t>(kFirstBlockOffset + to * 4096));
  }
};

// No bit of the file is free: padding and reserved bytes are checked to be zero.
TEST_P(TamperTest, EveryFlippedBitIsFound) {
  write_and_close(2);
  Bytes bytes = load(segment(1));
  ASSERT_TRUE(check(bytes).ok);
  ASSERT_EQ(bytes.size(), kFirstBlockOffset + 3 * kBlockAlignment);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      // All bits where something is stored; one of each byte of zeros.
      if (bytes[at] == 0 && bit != static_cast<int>(at % 8)) continue;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      ASSERT_FALSE(check(bytes).ok) << "byte " << at << " bit " << bit;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
    }
  }
  EXPECT_TRUE(check(bytes).ok);
}

TEST_P(TamperTest, EveryTruncationOfAClosedSegmentIsFound) {
  write_and_close(3);
  const Bytes bytes = load(segment(1));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    const VerifyReport verified = check(cut);
    // A cut between blocks leaves a log that looks killed instead of closed: all that can be seen
    // without a checkpoint kept elsewhere is that the seal is gone.
    ASSERT_FALSE(verified.ok && verified.sealed) << size;
    const bool between = size >= kFirstBlockOffset && size % kBlockAlignment == 0;
    ASSERT_EQ(verified.ok, between) << size;
  }
}

TEST_P(TamperTest, EverySwapOfTwoBlocksIsFound) {
  write_and_close(4);
  const Bytes bytes = load(segment(1));
  for (std::size_t one = 0; one < 5; ++one) {
    for (std::size_t other = 0; other < 5; ++other) {
      if (one == other) continue;
      Bytes swapped = bytes;
      put_block(swapped, one, bytes, other);
      EXPECT_FALSE(check(swapped).ok) << "block " << other << " copied over " << one;
      put_block(swapped, other, bytes, one);
      EXPECT_FALSE(check(swapped).ok) << one << " and " << other << " swapped";
    }
  }
}

TEST_P(TamperTest, ABlockAfterTheSealIsFound) {
  write_and_close(2);
  Bytes bytes = load(segment(1));
  const Bytes before = bytes;
  bytes.resize(bytes.size() + kBlockAlignment);
  put_block(bytes, 3, before, 1);
  EXPECT_FALSE(check(bytes).ok);
}

TEST_P(TamperTest, ARemovedBlockIsFound) {
  write_and_close(4);
  Bytes bytes = load(segment(1));
  bytes.erase(bytes.begin() + kFirstBlockOffset + 4096, bytes.begin() + kFirstBlockOffset + 8192);
  EXPECT_FALSE(check(bytes).ok);
}

TEST_P(TamperTest, BlocksOfAnotherLogDoNotFit) {
  write_and_close(3);
  const Bytes ours = load(segment(1));
  config_.directory += "_other";
  written_.clear();
  write_and_close(3);
  const Bytes theirs = load(segment(1));
  for (std::size_t block = 0; block < 4; ++block) {
    Bytes spliced = ours;
    put_block(spliced, block, theirs, block);
    EXPECT_FALSE(check(spliced).ok) << block;
  }
}

TEST_P(TamperTest, SegmentsMissingSwappedDoubledOrForeignAreFound) {
  open();
  append_many(2000);
  close();
  ASSERT_TRUE(report().ok);
  const std::uint64_t count = report().segments;
  ASSERT_GE(count, 4U);
  const Bytes second = load(segment(2));
  const Bytes third = load(segment(3));

  std::filesystem::remove(segment(2));
  EXPECT_EQ(reason(report()), "segment is missing");
  EXPECT_EQ(read_all().status, ReadStatus::kCorrupt);
  EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kCorrupt);

  store(segment(2), third);
  store(segment(3), second);
  EXPECT_FALSE(report().ok) << "swapped";
  EXPECT_EQ(read_all().status, ReadStatus::kCorrupt);

  store(segment(2), second);
  store(segment(3), second);
  EXPECT_FALSE(report().ok) << "doubled";

  store(segment(3), third);
  ASSERT_TRUE(report().ok) << "all is in place again";
  store(segment(count + 1), load(segment(count)));
  EXPECT_FALSE(report().ok) << "the last one doubled";
  EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kCorrupt);
}

// Without a checkpoint kept elsewhere this cannot be told from a shorter log; it must at least not
// be an error that hides what is left.
TEST_P(TamperTest, WhatIsLeftAfterRemovingTheLastSegmentStillVerifies) {
  open();
  append_many(2000);
  close();
  const std::uint64_t count = report().segments;
  std::filesystem::remove(segment(count));
  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  EXPECT_LT(verified.last_sequence, 2000U);
}

TEST_P(TamperTest, WhatIsLeftAfterRemovingTheOldestSegmentsStillVerifies) {
  open();
  append_many(2000);
  close();
  std::filesystem::remove(segment(1));
  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  EXPECT_EQ(verified.first_segment, 2U);
  EXPECT_GT(verified.first_sequence, 1U);
}

// One byte in a thousand of a log of several segments, through the files.
TEST_P(TamperTest, DamageAnywhereInALogOfManySegmentsIsFound) {
  open();
  append_many(1500);
  close();
  ASSERT_TRUE(report().ok);
  for (const std::uint64_t number : {1, 2, 3}) {
    const Bytes bytes = load(segment(number));
    for (std::size_t at = number; at < bytes.size(); at += 1021) {
      Bytes damaged = bytes;
      damaged[at] ^= 0x40;
      store(segment(number), damaged);
      const VerifyReport verified = report();
      ASSERT_FALSE(verified.ok) << number << " " << at;
      if (verified.first_fault) {
        ASSERT_EQ(verified.first_fault->segment, number) << at;
      } else {
        ASSERT_EQ(verified.torn_tail_segment, number) << at;
      }
    }
    store(segment(number), bytes);
  }
  EXPECT_TRUE(report().ok);
}

INSTANTIATE_TEST_SUITE_P(Integrities, TamperTest,
                         ::testing::Values(Integrity::kSha256, Integrity::kCrc32c),
                         [](const auto& each) {
                           return each.param == Integrity::kSha256 ? "Sha256" : "Crc32c";
                         });

}  // namespace
}  // namespace grace::ledger
