// What a fail-over leaves - segments that end without a seal, segments replaced by others of their
// number - beside the threads that look after sealed segments and hash them.
#include "faulty_file_system.h"
#include "hash_fixture.h"
#include "keeper_fixture.h"
#include "segment_index.h"

namespace grace::ledger {
namespace {

// Waits for what another thread does; false after ten seconds.
template <typename Condition>
bool comes_true(Condition&& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

// A log whose syncs wait while it grows by several segments, and then fail once.
template <typename Fixture>
class FailOver : public Fixture {
 protected:
  void SetUp() override {
    Fixture::SetUp();
    this->config_.file_system = &fs_;
    this->config_.segment_bytes = 24 << 10;
    this->config_.record_bytes_max = 1000;
  }
  void grow_unsynced(std::uint64_t until_segment) {
    fs_.hold_syncs(true);
    while (!std::filesystem::exists(this->segment(until_segment))) {
      this->append_many(1, 900);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
  void fail_over() {
    const std::uint64_t before = this->writer_->stats().fail_overs;
    fs_.sync_error = EIO;
    fs_.sync_errors_left = 1;
    fs_.hold_syncs(false);
    this->flush();
    ASSERT_EQ(this->writer_->stats().fail_overs, before + 1);
  }
  // A fail-over in segment 1, behind blocks that were durable, and growth behind it.
  void write_failed_over() {
    this->open();
    this->append_many(3);
    this->flush();
    grow_unsynced(3);
    fail_over();
    this->append_many(150, 900);
    this->flush();
  }
  FaultyFileSystem fs_;
};
using KeeperFailOverTest = FailOver<KeeperTest>;
using HashFailOverTest = FailOver<HashTest>;

TEST_F(KeeperFailOverTest, ASegmentThatEndsWithoutASealIsIndexedAndCompressed) {
  config_.index_segments = true;
  write_failed_over();
  close();
  ASSERT_EQ(report().fail_overs, 1U);
  const std::string root = report().root_hex;
  keep();
  EXPECT_FALSE(std::filesystem::exists(segment(1)));
  EXPECT_TRUE(std::filesystem::exists(packed(1)));
  EXPECT_EQ(report().root_hex, root);
  EXPECT_EQ(report().fail_overs, 1U);
  expect_sound();
  // Once more there is nothing to do: the index that was written is one that readers take.
  const auto again = keeper();
  ASSERT_TRUE(again->step_until_done().has_value());
  EXPECT_EQ(again->stats().indexes_written, 0U);
  for (const std::uint64_t number : numbers()) {
    if (number == numbers().back()) continue;
    const auto scanner = internal::SegmentScanner::open(config_.directory, number, false);
    ASSERT_TRUE((*scanner)->read_header().has_value());
    EXPECT_TRUE(internal::load_index(config_.directory, number, **scanner).has_value()) << number;
  }
}

TEST_F(KeeperFailOverTest, ASegmentThatEndsWithoutASealIsRemovedInItsTurn) {
  sign();
  config_.compress_after_segments = 0;
  write_failed_over();
  close();
  const std::string held = note();
  config_.retention.max_bytes = 2 * config_.segment_bytes;
  keep();
  EXPECT_GT(numbers().front(), 1U);
  expect_sound();
  EXPECT_TRUE(check_log(config_.directory, checkpoint_of(held)).has_value());
  ASSERT_EQ(recorded_.size(), 1U);
}

// The keeper has looked at segments that a fail-over then replaces: what it knows of them is of no
// use any more.
TEST_F(KeeperFailOverTest, WhatWasSeenOfASegmentThatWasReplacedIsForgotten) {
  config_.compress_after_segments = 0;
  checked_ = *validated(config_);
  checked_.retention.max_bytes = 1;
  open();
  append_many(3);
  flush();
  grow_unsynced(7);
  internal::SegmentKeeper mine(
      checked_, [this] { return writer_->durable_sequence(); },
      [this](std::string_view json) -> Result<void> {
        recorded_.emplace_back(json);
        return {};
      });
  ASSERT_TRUE(mine.step_until_done().has_value());
  EXPECT_TRUE(recorded_.empty()) << "nothing is durable in the second segment";
  fail_over();
  append_many(3, 900);
  flush();
  checked_.retention.max_bytes = stored_bytes() - 2 * config_.segment_bytes;
  ASSERT_TRUE(mine.step_until_done().has_value());
  close();
  ASSERT_EQ(recorded_.size(), 1U);
  const VerifyReport left = report();
  EXPECT_TRUE(left.ok) << reason(left);
  ASSERT_LT(left.first_segment, 7U) << "or it is none of those that were replaced";
  EXPECT_NE(recorded_[0].find("\"first_segment\":" + std::to_string(left.first_segment) +
                              ",\"first_sequence\":" + std::to_string(left.first_sequence) + ","),
            std::string::npos)
      << recorded_[0] << ", and the log begins with record " << left.first_sequence;
}

// All of it on the writer's own threads, with one fail-over after another.
TEST_F(KeeperFailOverTest, TheWritersKeeperGoesOnOverFailOvers) {
  sign();
  config_.index_segments = true;
  config_.keep_interval = std::chrono::milliseconds(1);
  config_.retention.max_bytes = 6 * config_.segment_bytes;
  open();
  append_many(3);
  flush();
  for (int round = 0; round < 12; ++round) {
    grow_unsynced(numbers().back() + 3);
    fail_over();
    append_many(40, 900);
    flush();
  }
  EXPECT_TRUE(comes_true([&] {
    const KeeperStats stats = writer_->keeper_stats();
    return stats.segments_removed > 0 && stats.segments_compressed > 0;
  }));
  EXPECT_TRUE(writer_->keeper_health().has_value()) << writer_->keeper_health().error().message;
  EXPECT_TRUE(writer_->checkpoint_health().has_value())
      << writer_->checkpoint_health().error().message;
  close();
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_GT(report().first_segment, 1U);
  EXPECT_TRUE(check_log(config_.directory, checkpoint_of(note())).has_value());
}

TEST_F(HashFailOverTest, ASegmentThatEndsWithoutASealIsHashedAndSigned) {
  hash_and_sign();
  write_failed_over();
  ASSERT_TRUE(comes_true([&] { return writer_->hashed_sequence() > 60; }));
  EXPECT_TRUE(writer_->hash_health().has_value()) << writer_->hash_health().error().message;
  close();
  EXPECT_EQ(tree_files(), segments());
  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  EXPECT_EQ(verified.fail_overs, 1U);
  EXPECT_EQ(verified.hashing.last_sequence, written_.size());
  EXPECT_EQ(why(checkpoint_of(note())), "");
  EXPECT_EQ(checkpoint_of(note()).sequence, written_.size());
  EXPECT_EQ(read_all().texts, written_);
}

// Hashed while it happens, again and again, and removed behind it.
TEST_F(HashFailOverTest, HashingAndRetentionGoOnOverFailOvers) {
  hash_and_sign();
  config_.retention.max_bytes = 8 * config_.segment_bytes;
  config_.compress_after_segments = 2;
  config_.keep_interval = std::chrono::milliseconds(1);
  open();
  append_many(3);
  flush();
  for (int round = 0; round < 6; ++round) {
    grow_unsynced(segments().back() + 3);
    fail_over();
    append_many(40, 900);
    flush();
    EXPECT_TRUE(writer_->hash_health().has_value()) << writer_->hash_health().error().message;
  }
  EXPECT_TRUE(comes_true([&] { return writer_->keeper_stats().segments_removed > 0; }));
  EXPECT_TRUE(writer_->keeper_health().has_value()) << writer_->keeper_health().error().message;
  close();
  EXPECT_GT(segments().front(), 1U);
  EXPECT_EQ(tree_files(), segments());
  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  EXPECT_EQ(verified.hashing.missing_files, 0U);
  EXPECT_EQ(why(checkpoint_of(note())), "");
}

}  // namespace
}  // namespace grace::ledger
