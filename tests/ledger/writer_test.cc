#include <thread>

#include "log_fixture.h"

namespace grace::ledger {
namespace {

class WriterTest : public LogTest {
 protected:
  // On a disk, with real syncs.
  [[nodiscard]] std::filesystem::path root() const override {
    return std::filesystem::temp_directory_path();
  }
};

TEST_F(WriterTest, ReadsBackWhatItWrote) {
  open();
  append_many(1000);
  close();
  const ReadBack back = read_all();
  EXPECT_EQ(back.status, ReadStatus::kEnd);
  EXPECT_EQ(back.texts, written_);
  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  EXPECT_TRUE(verified.sealed);
  EXPECT_EQ(verified.records, 1000U);
  EXPECT_GT(verified.segments, 1U) << "the test is meant to roll segments";
  EXPECT_EQ(verified.last_sequence, 1000U);
}

TEST_F(WriterTest, ReadsBackWhatItWroteUnderCrcOnly) {
  config_.integrity = Integrity::kCrc32c;
  open();
  append_many(1000);
  close();
  EXPECT_EQ(read_all().texts, written_);
  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  EXPECT_EQ(verified.integrity, Integrity::kCrc32c);
}

TEST_F(WriterTest, FlushMakesEverythingDurable) {
  open();
  append_many(10);
  flush();
  EXPECT_EQ(writer_->durable_sequence(), 10U);
  EXPECT_EQ(writer_->written_sequence(), 10U);
  EXPECT_TRUE(producer_.is_durable(producer_.position()));
}

TEST_F(WriterTest, WaitsForOneProducersRecords) {
  config_.commit_interval = std::chrono::hours(1);  // only the wait closes the block
  open();
  append_many(3);
  const auto waited = producer_.wait_durable();
  ASSERT_TRUE(waited.has_value()) << waited.error().message;
  EXPECT_EQ(writer_->durable_sequence(), 3U);
}

TEST_F(WriterTest, ForetellsSequencesForOneProducer) {
  open();
  EXPECT_EQ(producer_.next_sequence(), 1U);
  append_many(5);
  EXPECT_EQ(producer_.next_sequence(), 6U);
  close();
  open();
  EXPECT_EQ(producer_.next_sequence(), 6U);
  append_many(1);
  flush();
  EXPECT_EQ(writer_->written_sequence(), 6U);
}

TEST_F(WriterTest, TakesRecordsLargerThanABlock) {
  open();
  append(std::string(8192, 'z'));
  append("");
  append(std::string(3000, 'y'));
  EXPECT_EQ(producer_.try_append(RecordType::kNote, as_bytes(std::string(8193, 'w'))),
            AppendStatus::kTooLarge);
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok);
}

TEST_F(WriterTest, RefusesTheFormatsOwnTypesAndTakesTheApplications) {
  open();
  for (const int type : {5, 6, 7, 15}) {
    EXPECT_EQ(producer_.try_append(static_cast<RecordType>(type), as_bytes("mine")),
              AppendStatus::kReserved)
        << type;
    EXPECT_EQ(producer_.append_or_wait(static_cast<RecordType>(type), as_bytes("mine")),
              AppendStatus::kReserved)
        << type;
  }
  for (const int type : {4, 16, 256, 0xffff}) append("mine", static_cast<RecordType>(type));
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(WriterTest, JoinsTheTwoPartsOfAPayload) {
  open();
  ASSERT_EQ(producer_.try_append(RecordType::kChunk, as_bytes("head "), as_bytes("body")),
            AppendStatus::kOk);
  close();
  EXPECT_EQ(read_all().texts, std::vector<std::string>{"head body"});
}

TEST_F(WriterTest, GoesOnInTheSameLogWhenOpenedAgain) {
  std::string id;
  for (int round = 0; round < 5; ++round) {
    open();
    EXPECT_TRUE(writer_->recovery().clean);
    if (round == 0) id = writer_->log_id_hex();
    EXPECT_EQ(writer_->log_id_hex(), id);
    append_many(20);
    close();
  }
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(WriterTest, OpeningAndClosingWithoutRecordsAddsNothing) {
  open();
  append_many(1);
  close();
  const std::uint64_t segments = report().segments;
  for (int round = 0; round < 3; ++round) {
    open();
    close();
  }
  EXPECT_EQ(report().segments, segments);
}

TEST_F(WriterTest, ANewLogVerifiesWhileStillEmpty) {
  open();
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_TRUE(report().writer_active);
  close();
  EXPECT_TRUE(report().sealed);
  EXPECT_EQ(report().records, 0U);
}

TEST_F(WriterTest, RefusesASecondWriterByName) {
  open();
  const auto second = Writer::open(config_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kLocked);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos)
      << second.error().message;
}

TEST_F(WriterTest, RefusesTheOtherIntegrity) {
  open();
  append_many(1);
  close();
  config_.integrity = Integrity::kCrc32c;
  const auto opened = Writer::open(config_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(WriterTest, RefusesConfigurationsThatCannotWork) {
  config_.segment_bytes = 16 << 10;  // record_bytes_max does not fit
  const auto small = Writer::open(config_);
  ASSERT_FALSE(small.has_value());
  EXPECT_NE(small.error().message.find("segment_bytes = 16384"), std::string::npos)
      << small.error().message;
  config_.segment_bytes = 64 << 10;
  config_.ring_bytes = 8192;
  EXPECT_FALSE(Writer::open(config_).has_value());
}

TEST_F(WriterTest, SaysFullInsteadOfWaiting) {
  config_.commit_interval = std::chrono::hours(1);
  config_.idle_wait_max = std::chrono::hours(1);
  open();
  // The committer may sleep or work meanwhile; sooner or later the ring is full.
  AppendStatus status = AppendStatus::kOk;
  const std::string text(4000, 'f');
  std::uint64_t taken = 0;
  while (status == AppendStatus::kOk && taken < 1'000'000) {
    status = producer_.try_append(RecordType::kNote, as_bytes(text));
    if (status == AppendStatus::kOk) ++taken;
  }
  EXPECT_EQ(status, AppendStatus::kFull);
  close();
  EXPECT_EQ(report().records, taken);
}

TEST_F(WriterTest, RefusesAppendsAfterClose) {
  open();
  append_many(1);
  ASSERT_TRUE(writer_->close().has_value());
  EXPECT_EQ(producer_.try_append(RecordType::kNote, as_bytes("late")), AppendStatus::kClosed);
  EXPECT_TRUE(writer_->close().has_value()) << "closing twice is harmless";
}

TEST_F(WriterTest, KeepsEachProducersOrder) {
  constexpr int kProducers = 3;
  constexpr int kRecords = 3000;
  open();
  std::vector<std::thread> threads;
  for (int number = 0; number < kProducers; ++number) {
    threads.emplace_back([this, number] {
      auto producer = writer_->producer();
      ASSERT_TRUE(producer.has_value());
      for (int i = 0; i < kRecords; ++i) {
        const std::string text = std::to_string(number) + ":" + std::to_string(i);
        ASSERT_EQ(producer->append_or_wait(RecordType::kNote, as_bytes(text)), AppendStatus::kOk);
        if (i % 1000 == 0) {
          ASSERT_TRUE(producer->wait_durable().has_value());
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  close();
  std::vector<int> next(kProducers, 0);
  for (const std::string& text : read_all().texts) {
    const auto number = static_cast<std::size_t>(text[0] - '0');
    ASSERT_EQ(text, std::to_string(number) + ":" + std::to_string(next[number]++));
  }
  for (const int count : next) EXPECT_EQ(count, kRecords);
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(WriterTest, BoundsProducersAndLeasesRingsAgain) {
  config_.producers_max = 2;
  open();
  {
    auto second = writer_->producer();
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(writer_->producer().error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_TRUE(writer_->producer().has_value());
}

TEST_F(WriterTest, WithoutSyncsNothingIsCalledDurable) {
  config_.sync = SyncMode::kNone;
  open();
  append_many(500);
  flush();
  EXPECT_EQ(writer_->written_sequence(), 500U);
  EXPECT_EQ(writer_->durable_sequence(), 0U);
  EXPECT_EQ(writer_->stats().syncs, 0U);
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok);
}

TEST_F(WriterTest, AFollowingReaderSeesEveryRecordOnce) {
  open();
  constexpr std::uint64_t kRecords = 20'000;
  std::thread appender([this] {
    for (std::uint64_t i = 0; i < kRecords; ++i) {
      const std::string text = text_of(i, 60);
      ASSERT_EQ(producer_.append_or_wait(RecordType::kNote, as_bytes(text)), AppendStatus::kOk);
    }
    ASSERT_TRUE(producer_.wait_durable().has_value());
  });
  ReaderOptions options;
  options.check_tail = false;
  auto reader = Reader::open(config_.directory, options);
  ASSERT_TRUE(reader.has_value()) << reader.error().message;
  std::uint64_t seen = 0;
  RecordView record;
  while (seen < kRecords) {
    const ReadStatus status = reader->next(record);
    if (status == ReadStatus::kEnd) {
      std::this_thread::yield();
      continue;
    }
    if (status != ReadStatus::kRecord) {
      ADD_FAILURE() << reader->error().message;
      break;
    }
    ASSERT_EQ(record.sequence, seen + 1);
    ASSERT_EQ(record.text(), text_of(seen, 60));
    ++seen;
  }
  appender.join();
}

TEST_F(WriterTest, VerifiesBesideALiveWriter) {
  open();
  for (int round = 0; round < 30; ++round) {
    append_many(100);
    const VerifyReport live = report();
    ASSERT_TRUE(live.ok) << reason(live);
    ASSERT_TRUE(live.writer_active);
  }
}

TEST_F(WriterTest, ReadsFromAnySequence) {
  open();
  append_many(600);
  close();
  for (const std::uint64_t from : {1, 2, 3, 100, 299, 450, 599, 600}) {
    ReaderOptions options;
    options.from_sequence = from;
    const ReadBack back = read_all(options);
    ASSERT_EQ(back.texts.size(), 601 - from);
    EXPECT_EQ(back.texts.front(), written_[from - 1]);
  }
  ReaderOptions beyond;
  beyond.from_sequence = 601;
  EXPECT_TRUE(read_all(beyond).texts.empty());
}

TEST_F(WriterTest, StatisticsAgreeWithVerification) {
  open();
  append_many(600);
  close();
  const auto stats = log_stats(config_.directory);
  ASSERT_TRUE(stats.has_value()) << stats.error().message;
  const VerifyReport verified = report();
  EXPECT_EQ(stats->records, verified.records);
  EXPECT_EQ(stats->blocks, verified.blocks);
  EXPECT_EQ(stats->segments, verified.segments);
  EXPECT_EQ(stats->file_bytes, verified.bytes);
  EXPECT_EQ(stats->last_sequence, 600U);
  EXPECT_FALSE(stats->writer_active);
}

}  // namespace
}  // namespace grace::ledger
