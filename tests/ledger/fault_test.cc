#include <cerrno>
#include <thread>

#include "faulty_file_system.h"
#include "log_fixture.h"
#include "sanitized.h"

namespace grace::ledger {
namespace {

class FaultTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    config_.file_system = &fs_;
  }
  // Appends until the writer says why not.
  AppendStatus append_until_refused(int count_max = 100'000) {
    AppendStatus status = AppendStatus::kOk;
    for (int i = 0; i < count_max && status == AppendStatus::kOk; ++i) {
      status = producer_.append_or_wait(RecordType::kNote, as_bytes(text_of(appended_, 100)));
      if (status == AppendStatus::kOk) ++appended_;
    }
    return status;
  }
  std::size_t appended_ = 0;
  FaultyFileSystem fs_;
};

// One failed sync is the end of its file, not of the log.
TEST_F(FaultTest, AFailedSyncIsFailedOver) {
  open();
  append_many(3);
  flush();
  fs_.sync_errors_left = 1;
  fs_.sync_error = EIO;
  append_many(3);
  flush();
  EXPECT_TRUE(writer_->health().has_value());
  ASSERT_TRUE(writer_->last_fail_over().has_value());
  EXPECT_EQ(writer_->last_fail_over()->code, ErrorCode::kSyncFailed);
  EXPECT_EQ(writer_->last_fail_over()->os_error, EIO);
  EXPECT_EQ(writer_->last_fail_over()->segment, 1U);
  EXPECT_EQ(writer_->stats().fail_overs, 1U);
  EXPECT_EQ(writer_->durable_sequence(), 6U);
  append_many(3);
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(std::filesystem::exists(segment(2)));
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_EQ(report().fail_overs, 1U);
}

TEST_F(FaultTest, SyncsThatKeepFailingEndTheWriterAndNothingIsCalledDurable) {
  open();
  append_many(3);
  flush();
  fs_.sync_error = EIO;
  append_many(3);
  const auto flushed = writer_->flush();
  ASSERT_FALSE(flushed.has_value());
  EXPECT_EQ(flushed.error().code, ErrorCode::kSyncFailed);
  EXPECT_EQ(flushed.error().os_error, EIO);
  fs_.sync_error = 0;  // the next sync would succeed: nobody may take it for the failed one
  EXPECT_FALSE(writer_->flush().has_value());
  EXPECT_EQ(writer_->health().error().code, ErrorCode::kSyncFailed);
  EXPECT_EQ(writer_->durable_sequence(), 3U);
  EXPECT_EQ(producer_.try_append(RecordType::kNote, as_bytes("more")), AppendStatus::kFailed);
  EXPECT_EQ(producer_.wait_durable().error().code, ErrorCode::kSyncFailed);
  producer_ = Producer();
  EXPECT_EQ(writer_->close().error().code, ErrorCode::kSyncFailed);
  writer_.reset();
  const ReadBack back = read_all();
  ASSERT_GE(back.texts.size(), 3U) << "what was durable is lost";
  open();
  append_many(1);
  close();
  EXPECT_TRUE(report().ok) << reason(report());
}

// Segments that were begun and sealed since the last sync, all of which have to be written anew.
TEST_F(FaultTest, AFailOverTakesSeveralSegmentsAlong) {
  for (const Integrity integrity : {Integrity::kSha256, Integrity::kCrc32c}) {
    for (const bool pipelined : {true, false}) {
      std::filesystem::remove_all(config_.directory);
      written_.clear();
      config_.integrity = integrity;
      config_.pipelined = pipelined;
      config_.segment_bytes = 24 << 10;
      config_.record_bytes_max = 1000;
      config_.block_bytes = 2000;
      open();
      append_many(3);
      flush();
      fs_.hold_syncs(true);
      append_many(60, 900);
      while (writer_->written_sequence() < written_.size()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      ASSERT_TRUE(std::filesystem::exists(segment(3)));
      fs_.sync_errors_left = 1;
      fs_.sync_error = EIO;
      fs_.hold_syncs(false);
      flush();
      append_many(5);
      EXPECT_EQ(writer_->stats().fail_overs, 1U);
      close();
      EXPECT_EQ(read_all().texts, written_);
      EXPECT_TRUE(report().ok) << reason(report());
      EXPECT_EQ(report().fail_overs, 1U);
    }
  }
}

// With several segments to sync each round comes to a failure: what it reached before has to count,
// or the log would give up.
TEST_F(FaultTest, ADiskOnWhichEverySecondSyncFailsGetsOn) {
  config_.segment_bytes = 24 << 10;
  config_.record_bytes_max = 1000;
  open();
  fs_.hold_syncs(true);
  append_many(120, 900);
  for (int i = 0; i < 10'000 && !std::filesystem::exists(segment(8)); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  fs_.fail_each_sync = 2;
  fs_.hold_syncs(false);
  flush();
  EXPECT_GT(writer_->stats().fail_overs, 3U) << "more than are forgiven without any progress";
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok) << reason(report());
}

// Fail-overs of the storing thread at any moment of a sync: each of them takes all segments along,
// so that no sync counts for one of those that follow.
TEST_F(FaultTest, WritesThatFailWhileSyncsRunLoseNothing) {
  config_.segment_bytes = 24 << 10;
  config_.record_bytes_max = 1000;
  config_.block_bytes = 2000;
  config_.unsynced_bytes_max = 64 << 10;
  open();
  fs_.fail_each_write = 61;
  append_many(4000, 900);
  flush();
  fs_.fail_each_write = 0;
  EXPECT_GT(writer_->stats().fail_overs, 20U);
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok) << reason(report());
}

// Reads while the writer gives its file up: every record once, in order.
TEST_F(FaultTest, AReaderFollowsOverAFailOver) {
  config_.segment_bytes = 24 << 10;
  config_.record_bytes_max = 1000;
  open();
  append_many(3);
  flush();
  auto reader = Reader::open(config_.directory);
  ASSERT_TRUE(reader.has_value());
  std::vector<std::string> seen;
  const auto read_on = [&] {
    RecordView record;
    ReadStatus status;
    while ((status = reader->next(record)) == ReadStatus::kRecord) {
      seen.emplace_back(reinterpret_cast<const char*>(record.payload.data()),
                        record.payload.size());
    }
    return status;
  };
  fs_.hold_syncs(true);
  append_many(70, 900);
  for (int i = 0; i < 200 && !std::filesystem::exists(segment(3)); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(read_on(), ReadStatus::kEnd) << reader->error().message;
  EXPECT_GT(seen.size(), 20U) << "it has to have read what is given up";
  fs_.sync_errors_left = 1;
  fs_.sync_error = EIO;
  fs_.hold_syncs(false);
  flush();
  EXPECT_GE(writer_->stats().fail_overs, 1U);
  append_many(70, 900);
  flush();
  ASSERT_EQ(read_on(), ReadStatus::kEnd) << reader->error().message;
  EXPECT_EQ(seen, written_);
  close();
}

TEST_F(FaultTest, ASegmentThatSomebodyCutsShortIsGivenUp) {
  open();
  append_many(3);
  flush();
  std::filesystem::resize_file(segment(1), std::filesystem::file_size(segment(1)) / 2);
  append_many(3);
  flush();
  ASSERT_TRUE(writer_->last_fail_over().has_value());
  EXPECT_EQ(writer_->last_fail_over()->code, ErrorCode::kCorrupt);
  EXPECT_NE(writer_->last_fail_over()->message.find("cut short"), std::string::npos);
  append_many(3);
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok) << reason(report());
}

// What was durable and was cut away is lost, and everybody says so; all that came after is kept.
TEST_F(FaultTest, ACutThatTakesDurableRecordsIsNamedAndTheRestIsKept) {
  open();
  append_many(3);
  flush();
  std::filesystem::resize_file(segment(1), kFirstBlockOffset);
  append_many(3);
  flush();
  ASSERT_TRUE(writer_->last_fail_over().has_value());
  EXPECT_EQ(writer_->last_fail_over()->offset, kFirstBlockOffset);
  close();
  EXPECT_FALSE(report().ok);
  EXPECT_EQ(report().first_fault->segment, 1U);
  EXPECT_EQ(report().last_sequence, 6U);
  const auto reopened = Writer::open(config_);
  ASSERT_TRUE(reopened.has_value()) << "the last segment vouches for all before it";
}

TEST_F(FaultTest, TheReserveKeepsEssentialRecordsFlowing) {
  config_.reserve = true;
  config_.producers_max = 4;
  open();
  auto telemetry = *writer_->producer(Importance::kExpendable);
  ASSERT_EQ(telemetry.try_append(RecordType::kNote, as_bytes("telemetry")), AppendStatus::kOk);
  written_.emplace_back("telemetry");
  flush();
  // The segment in use, the next one and the reserve.
  while (!fs_.seen_allocations(3)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  fs_.allocate_error = ENOSPC;
  AppendStatus status = AppendStatus::kOk;
  for (int i = 0; i < 100'000 && status != AppendStatus::kNoSpace; ++i) {
    append_many(10);
    flush();
    status = telemetry.try_append(RecordType::kNote, as_bytes("telemetry"));
    if (status == AppendStatus::kOk) {
      ASSERT_TRUE(telemetry.wait_durable().has_value());
      written_.emplace_back("telemetry");
    }
  }
  ASSERT_EQ(status, AppendStatus::kNoSpace);
  EXPECT_EQ(writer_->health().error().code, ErrorCode::kNoSpace) << "loudly";
  append_many(20);
  flush();
  fs_.allocate_error = 0;
  while (telemetry.try_append(RecordType::kNote, as_bytes("again")) == AppendStatus::kNoSpace) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  written_.emplace_back("again");
  flush();
  EXPECT_TRUE(writer_->health().has_value());
  telemetry = Producer();
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(FaultTest, NoSpaceIsToldBeforeItHurtsAndEndsTheWriterWhenItDoes) {
  open();
  append_many(1);
  flush();
  fs_.allocate_error = ENOSPC;
  std::uint64_t warned_at = 0;
  while (writer_->health().has_value() && appended_ < 100'000) {
    if (append_until_refused(10) != AppendStatus::kOk) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  warned_at = appended_;
  EXPECT_EQ(writer_->health().error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(writer_->health().error().os_error, ENOSPC);
  EXPECT_EQ(append_until_refused(), AppendStatus::kFailed);
  EXPECT_GT(appended_, warned_at) << "the current segment still had room";
  const auto flushed = writer_->flush();
  ASSERT_FALSE(flushed.has_value());
  EXPECT_EQ(flushed.error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(writer_->close().error().code, ErrorCode::kNoSpace);
  const std::uint64_t durable = writer_->durable_sequence();
  EXPECT_EQ(durable, writer_->written_sequence()) << "what was written is still made durable";
  EXPECT_GT(durable, warned_at);
  producer_ = Producer();
  writer_.reset();
  EXPECT_EQ(read_all().texts.size(), durable);
  EXPECT_TRUE(report().ok) << reason(report());
  fs_.allocate_error = 0;
  open();
  EXPECT_EQ(writer_->recovery().last_sequence, durable);
  append("space again");
  close();
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(FaultTest, SpaceThatReturnsInTimeIsUsed) {
  open();
  fs_.allocate_error = ENOSPC;
  while (writer_->health().has_value()) {
    append_many(10);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  fs_.allocate_error = 0;
  append_many(2000);
  flush();
  EXPECT_TRUE(writer_->health().has_value()) << writer_->health().error().message;
  close();
  EXPECT_EQ(read_all().texts, written_);
}

TEST_F(FaultTest, NoSpaceAtTheStartIsAnErrorOfOpen) {
  fs_.allocate_error = ENOSPC;
  const auto opened = Writer::open(config_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kNoSpace);
  EXPECT_NE(opened.error().message.find("allocate"), std::string::npos) << opened.error().message;
}

TEST_F(FaultTest, ADirectoryThatCannotBeMadeIsNamed) {
  config_.directory = (directory_ / "no" / "such").string();
  const auto opened = Writer::open(config_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().os_error, ENOENT);
  EXPECT_NE(opened.error().message.find(config_.directory), std::string::npos);
}

// Whatever call fails while a log is written over several segments: what was reported durable is
// there afterwards, and the log can be continued.
TEST_F(FaultTest, AnyFailedCallLosesNothingDurable) {
  for (const int error : {EIO, ENOSPC}) {
    bool failed = true;
    for (std::uint64_t call = 1; failed; call += kSanitized ? 3 : 1) {
      std::filesystem::remove_all(config_.directory);
      std::uint64_t durable = 0;
      appended_ = 0;
      fs_.fail_call(call, error);
      if (auto opened = Writer::open(config_)) {
        writer_ = std::move(*opened);
        producer_ = std::move(*writer_->producer());
        for (int round = 0; round < 8; ++round) {
          (void)append_until_refused(150);
          (void)writer_->flush();
        }
        (void)writer_->close();
        durable = writer_->durable_sequence();
        producer_ = Producer();
        writer_.reset();
      }
      failed = fs_.calls() >= call;
      fs_.fail_call(0, 0);
      open();
      EXPECT_GE(writer_->recovery().last_sequence, durable) << "call " << call;
      append("afterwards");
      close();
      const ReadBack back = read_all();
      ASSERT_EQ(back.status, ReadStatus::kEnd) << "call " << call << back.error.message;
      ASSERT_GE(back.texts.size(), durable + 1);
      for (std::size_t i = 0; i < durable; ++i) ASSERT_EQ(back.texts[i], text_of(i, 100));
      ASSERT_TRUE(report().ok) << "call " << call << ": " << reason(report());
    }
  }
}

TEST_F(FaultTest, AReaderOfAFileCutShortGetsAnErrorAndNoSignal) {
  open();
  append_many(100);  // one segment
  close();
  auto reader = Reader::open(config_.directory);
  ASSERT_TRUE(reader.has_value());
  RecordView record;
  ASSERT_EQ(reader->next(record), ReadStatus::kRecord);
  std::filesystem::resize_file(segment(1), kFirstBlockOffset + 100);
  ReadStatus status = ReadStatus::kRecord;
  while (status == ReadStatus::kRecord) status = reader->next(record);
  EXPECT_EQ(status, ReadStatus::kEnd) << "as after a torn tail: " << reader->error().message;
  EXPECT_FALSE(report().ok);
}

}  // namespace
}  // namespace grace::ledger
