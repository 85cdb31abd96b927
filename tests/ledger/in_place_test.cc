// Records that their producers compose in the open block, among those that come through the rings.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "log_fixture.h"

namespace grace::ledger {
namespace {

class InPlaceTest : public LogTest {
 protected:
  static constexpr std::size_t kLarge = 3000;
  static constexpr std::size_t kSmall = 40;

  void SetUp() override {
    LogTest::SetUp();
    config_.in_place_bytes_min = 1000;
    config_.integrity = Integrity::kCrc32c;
  }
  // In two parts, as a header and a body come.
  void append_parts(Producer& producer, const std::string& text) {
    const std::string_view all(text);
    const std::size_t head = all.size() / 3;
    ASSERT_EQ(producer.append_or_wait(RecordType::kChunk, as_bytes(all.substr(0, head)),
                                      as_bytes(all.substr(head))),
              AppendStatus::kOk);
  }
  // Into the open block for certain: the committer may look at it just when a record comes.
  void append_in_place(const std::string& text) {
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t before = writer_->stats().in_place;
      append(text);
      if (writer_->stats().in_place > before) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL() << "nothing is composed in place";
  }
  void expect_whole(std::uint64_t records) {
    const VerifyReport verified = report();
    EXPECT_TRUE(verified.ok) << reason(verified);
    EXPECT_TRUE(verified.sealed);
    EXPECT_EQ(verified.records, records);
  }
};

TEST_F(InPlaceTest, KeepsTheOrderWithSmallRecords) {
  for (const Integrity integrity : {Integrity::kCrc32c, Integrity::kSha256}) {
    config_.directory = (directory_ / std::to_string(static_cast<int>(integrity))).string();
    config_.integrity = integrity;
    written_.clear();
    open();
    for (std::size_t i = 0; i < 400; ++i) {
      EXPECT_EQ(producer_.next_sequence(), i + 1);
      const std::uint64_t before = producer_.position();
      written_.push_back(text_of(i, i % 3 == 0 ? kLarge + i : kSmall));
      append_parts(producer_, written_.back());
      EXPECT_GT(producer_.position(), before);
      if (i % 30 == 29) flush();  // so that the ring is empty for a large one
    }
    ASSERT_TRUE(producer_.wait_durable().has_value());
    EXPECT_EQ(writer_->durable_sequence(), 400U);
    EXPECT_GT(writer_->stats().in_place, 0U);
    EXPECT_LE(writer_->stats().in_place, 134U) << "a small one too";
    close();
    EXPECT_EQ(read_all().texts, written_);
    expect_whole(400);
  }
}

TEST_F(InPlaceTest, WaitsForItAsForAnyOther) {
  config_.commit_interval = std::chrono::hours(1);  // only the wait closes the block
  config_.block_bytes = 1 << 20;
  config_.segment_bytes = 4 << 20;
  open();
  append_in_place(std::string(kLarge, 'x'));
  EXPECT_FALSE(producer_.is_written(producer_.position()));
  const auto waited = producer_.wait_durable();
  ASSERT_TRUE(waited.has_value()) << waited.error().message;
  EXPECT_TRUE(producer_.is_durable(producer_.position()));
  EXPECT_EQ(writer_->durable_sequence(), written_.size());
}

TEST_F(InPlaceTest, ClosesItsBlockInTime) {
  config_.block_bytes = 1 << 20;
  config_.segment_bytes = 4 << 20;
  open();
  append_in_place(std::string(kLarge, 'x'));
  for (int i = 0; i < 5000 && !producer_.is_durable(producer_.position()); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(producer_.is_durable(producer_.position())) << "nobody asked, but it was due";
}

TEST_F(InPlaceTest, LeavesTheRecordToTheCommitterWhereThatDoesItAll) {
  config_.pipelined = false;
  open();
  for (int i = 0; i < 20; ++i) append(text_of(written_.size(), kLarge));
  EXPECT_EQ(writer_->stats().in_place, 0U);
  close();
  EXPECT_EQ(read_all().texts, written_);
}

TEST_F(InPlaceTest, RefusesWhatTheRingWould) {
  open();
  EXPECT_EQ(producer_.append_or_wait(RecordType::kNote, as_bytes(std::string(8193, 'w'))),
            AppendStatus::kTooLarge);
  EXPECT_EQ(producer_.append_or_wait(RecordType::kKeyChange, as_bytes(std::string(kLarge, 'w'))),
            AppendStatus::kReserved);
  ASSERT_TRUE(writer_->close().has_value());
  EXPECT_EQ(producer_.append_or_wait(RecordType::kNote, as_bytes(std::string(kLarge, 'w'))),
            AppendStatus::kClosed);
}

// A block that a record does not fit closes, and is not copied into a larger buffer.
TEST_F(InPlaceTest, PutsWhatDoesNotFitIntoTheNextBlock) {
  constexpr std::size_t kRecord = 120'000;
  config_.record_bytes_max = 1 << 20;
  config_.ring_bytes = 4 << 20;
  config_.block_bytes = 128 << 10;  // more than one record; two do not fit the buffer
  config_.segment_bytes = 16 << 20;
  config_.commit_interval = std::chrono::hours(1);
  open();
  for (int i = 0; i < 64; ++i) append(text_of(written_.size(), kRecord));
  append(text_of(written_.size(), 900'000));  // alone in a buffer of its own
  append(text_of(written_.size(), kRecord));
  flush();
  const WriterStats stats = writer_->stats();
  close();
  EXPECT_EQ(read_all().texts, written_);
  expect_whole(66);
  EXPECT_EQ(stats.blocks, 66U);
  EXPECT_LE(stats.block_bytes, 66 * (kRecord + 8192) + 900'000);
}

// With the disk behind, what the rings and the blocks have no room for waits, and then comes.
TEST_F(InPlaceTest, WaitsForTheDisk) {
  std::mutex mutex;
  std::condition_variable changed;
  bool lets_sync = false;
  config_.before_sync = [&] {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return lets_sync; });
  };
  config_.unsynced_bytes_max = 32 << 10;
  open();
  constexpr int kRecords = 200;  // more than all that waits for the disk
  std::atomic<int> appended{0};
  std::thread thread([&] {
    for (int i = 0; i < kRecords; ++i) {
      append_parts(producer_, text_of(static_cast<std::size_t>(i), kLarge));
      ++appended;
    }
  });
  int seen = -1;
  while (appended > seen) {  // until none was taken for a while
    seen = appended;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_LT(seen, kRecords);
  EXPECT_GE(seen, 20) << "the ring has room for 21, and takes what would have to wait";
  {
    const std::lock_guard lock(mutex);
    lets_sync = true;
  }
  changed.notify_all();
  thread.join();
  close();
  expect_whole(kRecords);
}

TEST_F(InPlaceTest, SharesTheBlocksAmongProducers) {
  constexpr std::size_t kProducers = 3;
  constexpr std::size_t kRecords = 600;
  config_.integrity = Integrity::kSha256;
  config_.in_place_bytes_min = 0;
  open();
  std::vector<std::thread> threads;
  for (std::size_t who = 0; who < kProducers; ++who) {
    threads.emplace_back([this, who] {
      auto leased = writer_->producer();
      ASSERT_TRUE(leased.has_value());
      for (std::size_t i = 0; i < kRecords; ++i) {
        std::string text = std::to_string(who) + " " + std::to_string(i) + " ";
        text.append((i + who) % 4 * 90, 'x');
        append_parts(*leased, text);
        if (i % 10 == 9) {
          ASSERT_TRUE(leased->wait_durable().has_value());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(writer_->stats().in_place, 0U);
  close();
  expect_whole(kProducers * kRecords);
  std::vector<std::size_t> next(kProducers, 0);
  for (const std::string& text : read_all().texts) {
    std::size_t end = 0;
    const std::size_t who = std::stoul(text, &end);
    ASSERT_LT(who, kProducers);
    EXPECT_EQ(std::stoul(text.substr(end)), next[who]++);
  }
}

}  // namespace
}  // namespace grace::ledger
