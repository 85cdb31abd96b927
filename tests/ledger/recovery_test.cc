#include <algorithm>
#include <cstring>
#include <span>

#include "faulty_file_system.h"
#include "grace/ledger/crc32c.h"
#include "log_fixture.h"

namespace grace::ledger {
namespace {

class RecoveryTest : public LogTest {
 protected:
  // Three blocks of three records, as they lie on disk when the writer is killed.
  void write_and_kill(int blocks = 3) {
    write_blocks(blocks);
    snapshot_to("killed");
    continue_with("killed");
    whole_ = load(segment(1));
    last_block_ = blocks_end(whole_) - kBlockAlignment;
  }
  [[nodiscard]] std::vector<std::string> first(std::size_t count) const {
    return {written_.begin(), written_.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  void restore(const Bytes& bytes) {
    std::filesystem::remove_all(config_.directory);
    std::filesystem::create_directories(config_.directory);
    store(segment(1), bytes);
  }
  Bytes whole_;
  std::size_t last_block_ = 0;
};

TEST_F(RecoveryTest, AKilledWriterLosesNothingThatWasWritten) {
  write_and_kill();
  const VerifyReport before = report();
  EXPECT_TRUE(before.ok) << reason(before);
  EXPECT_FALSE(before.sealed);
  open();
  EXPECT_FALSE(writer_->recovery().clean);
  EXPECT_EQ(writer_->recovery().cut_bytes, 0U);
  EXPECT_EQ(writer_->recovery().last_sequence, 9U);
  EXPECT_EQ(writer_->durable_sequence(), 9U);
  append_many(1);
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(RecoveryTest, EveryCutOfTheLastBlockIsATornTail) {
  write_and_kill();
  const std::size_t end = blocks_end(whole_);
  for (std::size_t size = last_block_; size <= end; ++size) {
    Bytes cut(whole_.begin(), whole_.begin() + static_cast<std::ptrdiff_t>(size));
    if (size % 2 == 0) cut.resize(whole_.size());  // lost sectors read as zeros
    restore(cut);
    const VerifyReport verified = report();
    ASSERT_EQ(verified.fault_count, 0U) << size << ": " << reason(verified);
    ASSERT_EQ(verified.records, size == end ? 9U : 6U) << size;
    const std::size_t left = used_bytes(cut) > last_block_ ? used_bytes(cut) - last_block_ : 0;
    ASSERT_EQ(verified.torn_tail_bytes, size == end ? 0U : left);
    ASSERT_EQ(verified.ok, verified.torn_tail_bytes == 0) << size;
  }
}

TEST_F(RecoveryTest, OpensAfterAnyCutAndKeepsTheCutBytes) {
  write_and_kill();
  const std::vector<std::string> six = first(6);
  for (std::size_t size = last_block_ + 1; size < used_bytes(whole_); size += 131) {
    const Bytes cut(whole_.begin(), whole_.begin() + static_cast<std::ptrdiff_t>(size));
    restore(cut);
    written_ = six;
    open();
    const RecoveryReport recovered = writer_->recovery();
    ASSERT_FALSE(recovered.clean);
    ASSERT_EQ(recovered.last_sequence, 6U);
    ASSERT_EQ(recovered.cut_offset, last_block_);
    ASSERT_EQ(recovered.cut_bytes, used_bytes(cut) - last_block_);
    ASSERT_EQ(load(recovered.quarantine_file),
              Bytes(cut.begin() + static_cast<std::ptrdiff_t>(last_block_),
                    cut.begin() + static_cast<std::ptrdiff_t>(used_bytes(cut))));
    ASSERT_TRUE(recovered.quarantine_file.ends_with(".torn"));
    append_many(2);
    close();
    const ReadBack back = read_all();
    ASSERT_EQ(back.texts, written_);
    ASSERT_EQ(back.recoveries, 1U) << "the cut itself is on record";
    ASSERT_TRUE(report().ok) << size << ": " << reason(report());
  }
}

TEST_F(RecoveryTest, DamageBelowThePromiseIsCorruptionAndChangesNothing) {
  write_and_kill();
  for (std::size_t at = kFirstBlockOffset; at < last_block_; at += 37) {
    Bytes damaged = whole_;
    damaged[at] ^= 1;
    restore(damaged);
    const auto opened = Writer::open(config_);
    ASSERT_FALSE(opened.has_value()) << at;
    ASSERT_EQ(opened.error().code, ErrorCode::kCorrupt) << at;
    ASSERT_EQ(opened.error().segment, 1U);
    ASSERT_LE(opened.error().offset, at);
    ASSERT_GE(opened.error().offset + kBlockAlignment, at);
    ASSERT_EQ(load(segment(1)), damaged) << at;
    ASSERT_EQ(read_all().status, ReadStatus::kCorrupt) << at;
  }
}

TEST_F(RecoveryTest, AWipedBlockIsCorruptionToo) {
  write_and_kill();
  Bytes damaged = whole_;
  std::fill_n(damaged.begin() + kFirstBlockOffset + kBlockAlignment, kBlockAlignment, '\0');
  restore(damaged);
  EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(read_all().status, ReadStatus::kCorrupt) << "not a quiet end";
  EXPECT_FALSE(report().ok);
}

// An interrupted write leaves no intact header that contradicts the chain, however short its file.
TEST_F(RecoveryTest, AHeaderThatDoesNotFollowIsCorruptionAlsoInACutFile) {
  write_and_kill();
  Bytes damaged = whole_;
  const auto log_id = std::as_bytes(std::span(damaged)).subspan(16, 16);
  const auto header = std::as_writable_bytes(std::span(damaged)).subspan(last_block_, 128);
  header[64] ^= std::byte{1};  // previous_hash
  const std::uint32_t none = 0;
  std::memcpy(header.data() + 8, &none, sizeof(none));
  const std::uint32_t crc = crc32c_extend(crc32c(log_id), header);
  std::memcpy(header.data() + 8, &crc, sizeof(crc));
  for (const std::size_t size : {last_block_ + 200, last_block_ + 1000, whole_.size()}) {
    restore(Bytes(damaged.begin(), damaged.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_EQ(report().fault_count, 1U) << size;
    EXPECT_EQ(report().first_fault->offset, last_block_ + 64) << size;
    EXPECT_EQ(report().torn_tail_bytes, 0U) << size;
    EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kCorrupt) << size;
  }
}

TEST_F(RecoveryTest, SurvivesOneHeaderCopyAndReportsIt) {
  write_and_kill();
  for (const std::size_t at : {std::size_t{40}, kSegmentHeaderBytes + 40}) {
    Bytes damaged = whole_;
    damaged[at] ^= 4;
    restore(damaged);
    const VerifyReport verified = report();
    EXPECT_FALSE(verified.ok);
    EXPECT_EQ(verified.records, 9U);
    EXPECT_EQ(read_all().texts, written_);
    EXPECT_TRUE(Writer::open(config_).has_value());
  }
}

TEST_F(RecoveryTest, ASegmentOfZerosIsNoSegmentYet) {
  write_and_kill();
  store(segment(2), Bytes(64 << 10, '\0'));  // renamed, but power failed before its header
  open();
  append_many(1);
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(RecoveryTest, LeftoversOfThePreparerAreRemoved) {
  write_and_kill();
  const std::string leftover = config_.directory + "/000000000002.prepared";
  store(leftover, Bytes(4096, '\0'));
  open();
  EXPECT_FALSE(std::filesystem::exists(leftover));
}

// Power fails while two segments wait for their sync; the disk got the second one and not all of
// the first.
TEST_F(RecoveryTest, ATornTailMayReachOverSegments) {
  FaultyFileSystem fs;
  config_.file_system = &fs;
  open();
  append_many(3);
  flush();
  fs.hold_syncs(true);
  append_many(600);
  while (writer_->written_sequence() < 603) std::this_thread::yield();
  snapshot_to("killed");
  fs.hold_syncs(false);
  continue_with("killed");
  ASSERT_TRUE(std::filesystem::exists(segment(2)));
  Bytes damaged = load(segment(1));
  damaged[kFirstBlockOffset + kBlockAlignment + 200] ^= 1;  // the second block: never synced
  store(segment(1), damaged);
  EXPECT_EQ(report().fault_count, 0U) << reason(report());
  EXPECT_GT(report().torn_tail_bytes, 0U);
  open();
  EXPECT_EQ(writer_->recovery().last_sequence, 3U) << "what had been durable is kept";
  written_.resize(3);
  append_many(1);
  close();
  EXPECT_EQ(read_all().texts, written_);
  EXPECT_TRUE(report().ok) << reason(report());
}

// Each system call of a recovery fails once; the next attempt ends in the same place.
// What no crash leaves must stay where it is for a person to see, not go to quarantine.

TEST_F(RecoveryTest, ALogThatLostBothHeadersOfItsOnlySegmentIsCorruption) {
  write_blocks(3);
  close();
  Bytes bytes = load(segment(1));
  std::fill_n(bytes.begin(), kFirstBlockOffset, '\0');
  store(segment(1), bytes);
  EXPECT_EQ(report().fault_count, 1U);
  EXPECT_EQ(report().torn_tail_bytes, 0U);
  EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(load(segment(1)), bytes);
}

TEST_F(RecoveryTest, ASegmentUnderAnotherNumberIsCorruptionEvenWhereNothingWasPromised) {
  write_blocks(3);
  snapshot_to("killed");
  close();
  continue_with("killed");
  const Bytes bytes = load(segment(1));
  store(segment(2), bytes);
  EXPECT_EQ(report().fault_count, 2U);
  EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(load(segment(2)), bytes);
}

TEST_F(RecoveryTest, EveryFailedCallDuringRecoveryIsRecoveredFrom) {
  write_and_kill();
  const Bytes cut(whole_.begin(), whole_.begin() + static_cast<std::ptrdiff_t>(last_block_) + 300);
  const std::vector<std::string> six = first(6);
  for (const int error : {EIO, ENOSPC}) {
    bool failed = true;
    for (std::uint64_t call = 1; failed; ++call) {
      restore(cut);
      FaultyFileSystem fs;
      config_.file_system = &fs;
      fs.fail_call(call, error);
      {
        const auto opened = Writer::open(config_);
        failed = fs.calls() >= call;
        if (!opened) {
          EXPECT_TRUE(opened.error().os_error == error) << opened.error().message;
        }
      }
      fs.fail_call(0, 0);
      written_ = six;
      open();
      append_many(1);
      close();
      const ReadBack back = read_all();
      ASSERT_EQ(back.texts, written_) << "call " << call;
      ASSERT_GE(back.recoveries, 1U) << "call " << call;
      ASSERT_TRUE(report().ok) << "call " << call << ": " << reason(report());
      const auto quarantine = std::filesystem::path(config_.directory) / "quarantine";
      std::size_t files = 0;
      for (const auto& file : std::filesystem::directory_iterator(quarantine)) {
        EXPECT_EQ(file.path().extension(), ".torn") << "call " << call;
        ++files;
      }
      ASSERT_GE(files, 1U) << "call " << call;
    }
  }
}

}  // namespace
}  // namespace grace::ledger
