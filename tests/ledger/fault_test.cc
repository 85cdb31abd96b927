#include <cerrno>
#include <thread>

#include "faulty_file_system.h"
#include "log_fixture.h"

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

TEST_F(FaultTest, AFailedSyncEndsTheWriterAndIsNeverCalledDurable) {
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
    for (std::uint64_t call = 1; failed; ++call) {
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
