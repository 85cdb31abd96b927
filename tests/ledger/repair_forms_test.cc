// Repair of a log that is more than plain sealed segments: one that a fail-over ended, compressed
// ones, and the files beside them.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>

#include "compressed_segment.h"
#include "grace/ledger/checkpoint.h"
#include "grace/ledger/crc32c.h"
#include "repair_fixture.h"
#include "run_program.h"

namespace grace::ledger {
namespace {

constexpr auto kBlock = kBlockAlignment;

// The first segment holds two blocks of three records and then what a failed sync has given up; the
// second one begins with the same again.
class FailOverRepairTest : public RepairTest {
 protected:
  static constexpr std::uint64_t kSecondBlock = kFirstBlockOffset + kBlock;
  static constexpr std::uint64_t kEnd = kSecondBlock + kBlock;

  void write_fail_over() {
    FaultyFileSystem fs;
    config_.file_system = &fs;
    write_blocks(2);
    fs.sync_errors_left = 1;
    fs.sync_error = EIO;
    append_many(3);
    flush();
    ASSERT_EQ(writer_->stats().fail_overs, 1U);
    while (!std::filesystem::exists(segment(3))) {
      append_many(40);
      flush();
    }
    close();
    config_.file_system = nullptr;
    // What was given up is cut off where the disk still takes that; here it did not.
    Bytes bytes = load(segment(1));
    ASSERT_EQ(blocks_end(bytes), kEnd);
    const Bytes again = load(segment(2));
    bytes.insert(bytes.end(), again.begin() + kFirstBlockOffset,
                 again.begin() + kFirstBlockOffset + kBlock);
    store(segment(1), bytes);
    whole_ = files();
    ASSERT_TRUE(report().ok) << reason(report());
  }
  void change(std::uint64_t number, std::uint64_t at, std::uint64_t bytes, char to) {
    Bytes all = load(segment(number));
    std::fill_n(all.begin() + static_cast<std::ptrdiff_t>(at), bytes, to);
    store(segment(number), all);
  }
  // Both copies intact and alike, and not what follows the segment before.
  void misplace_header(std::uint64_t number) {
    Bytes bytes = load(segment(number));
    for (const std::size_t copy : {std::size_t{0}, std::size_t{kSegmentHeaderBytes}}) {
      bytes[copy + 64] ^= 1;  // previous_root
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(copy) + 8, 4, '\0');
      const std::uint32_t crc =
          crc32c(std::as_bytes(std::span(bytes)).subspan(copy, kSegmentHeaderBytes));
      std::memcpy(bytes.data() + copy + 8, &crc, sizeof(crc));
    }
    store(segment(number), bytes);
  }
};

TEST_F(FailOverRepairTest, WhatWasGivenUpIsNoDamage) {
  write_fail_over();
  EXPECT_TRUE(plan().is_sound());
  change(1, kEnd + 100, 300, 'x');
  const Files before = files();
  EXPECT_TRUE(plan().is_sound());
  EXPECT_EQ(plan().kept_records, written_.size());
  EXPECT_EQ(mend({1, kEnd}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(files(), before);
}

TEST_F(FailOverRepairTest, DamageIsFoundOnEitherSideOfTheEnd) {
  write_fail_over();
  struct Case {
    const char* name;
    std::function<void()> damage;
    RepairPlace place;
    std::size_t kept;
    std::size_t unreadable;  // of the records that are lost
  };
  const Case cases[] = {
      {"a block before the end", [&] { flip(1, kSecondBlock + 200); }, {1, kSecondBlock}, 3, 3},
      {"the last block before it wiped",
       [&] { change(1, kSecondBlock, kBlock, '\0'); },
       {1, kSecondBlock},
       3,
       3},
      {"cut short before the end",
       [&] { std::filesystem::resize_file(segment(1), kSecondBlock); },
       {1, kSecondBlock},
       3,
       3},
      {"a block behind it, in the next segment",
       [&] { flip(2, kFirstBlockOffset + 200); },
       {2, kFirstBlockOffset},
       6,
       3},
      {"a next segment that does not follow", [&] { misplace_header(2); }, {2, 0}, 6, 0},
      // Nothing says any more that the segment ends: what was given up is what was written again.
      {"no header that tells of the end",
       [&] { flip(2, 40), flip(2, kSegmentHeaderBytes + 40); },
       {1, kEnd + kBlock},
       9,
       0},
  };
  const std::vector<std::string> all = written_;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    restore(whole_);
    written_ = all;
    one.damage();
    EXPECT_FALSE(report().ok);
    const Files damaged = files();
    const RepairPlan found = plan();
    ASSERT_TRUE(found.cut.has_value());
    EXPECT_EQ(found.place(), one.place);
    EXPECT_TRUE(found.after_seals.empty());
    EXPECT_EQ(found.kept_records, one.kept);
    EXPECT_EQ(found.cut->first_sequence, one.kept + 1);
    EXPECT_EQ(found.cut->last_sequence, all.size());
    EXPECT_EQ(found.cut->readable_records, all.size() - one.kept - one.unreadable)
        << "what was given up and written again is one record";
    const auto done = mend(one.place);
    ASSERT_TRUE(done.has_value()) << done.error().message;
    // Nothing is thrown away, what was given up neither.
    const Bytes& before = damaged.at("000000000001.segment");
    const Bytes kept = load(segment(1));
    const std::size_t shared = static_cast<std::size_t>(
        std::mismatch(before.begin(), before.end(), kept.begin(), kept.end()).first -
        before.begin());
    if (shared < used_bytes(before)) {
      const std::uint64_t cut_at = one.place.segment == 1 ? one.place.offset : kEnd;
      const Bytes torn = load(config_.directory + "/quarantine/000000000001.segment-" +
                              std::to_string(cut_at) + ".torn");
      ASSERT_EQ(torn.size(), used_bytes(before) - cut_at);
      EXPECT_TRUE(std::equal(torn.begin(), torn.end(),
                             before.begin() + static_cast<std::ptrdiff_t>(cut_at)));
    }
    expect_repaired(one.kept);
  }
}

TEST_F(FailOverRepairTest, AHeaderCopyIsMendedAndStillTellsOfTheEnd) {
  write_fail_over();
  flip(2, 120);
  EXPECT_EQ(plan().place(), (RepairPlace{2, 0}));
  ASSERT_FALSE(plan().cut.has_value());
  const std::size_t records = written_.size();
  ASSERT_TRUE(mend({2, 0}).has_value());
  EXPECT_EQ(load(segment(1)), whole_["000000000001.segment"]);
  EXPECT_EQ(load(segment(2)), whole_["000000000002.segment"]);
  expect_repaired(records);
}

TEST_F(FailOverRepairTest, InterruptedAnywhereItIsFinishedByTheNext) {
  write_fail_over();
  flip(1, kSecondBlock + 200);
  expect_finished_by_the_next({1, kSecondBlock}, 4);
  restore(whole_);
  misplace_header(2);
  expect_finished_by_the_next({2, 0}, 7);
}

// What has a tree file was whole and durable: that its end is gone is no torn tail.
TEST_F(RepairTest, AHashedSegmentThatWasCutIsNotCutSilently) {
  config_.integrity = Integrity::kCrc32c;
  config_.hash_sealed = true;
  write_segments();
  const std::string last = config_.directory + "/000000000003";
  ASSERT_TRUE(std::filesystem::exists(last + ".tree"));
  const std::uintmax_t whole = std::filesystem::file_size(last + ".segment");
  for (const std::uintmax_t size : {std::uintmax_t{3000}, whole - kSealBlockBytes}) {
    SCOPED_TRACE(size);
    restore(whole_);
    std::filesystem::resize_file(last + ".segment", size);
    const Files damaged = files();
    const auto opened = Writer::open(config_);
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(opened.error().message.find("it has a tree file"), std::string::npos)
        << opened.error().message;
    EXPECT_EQ(files(), damaged) << "nothing was changed";
    const RepairPlan found = plan();
    ASSERT_TRUE(found.cut.has_value());
    const auto done = mend(found.place());
    ASSERT_TRUE(done.has_value()) << done.error().message;
    EXPECT_TRUE(report().ok) << reason(report());
    EXPECT_EQ(report().records, found.kept_records + 1);
  }
  // Without the file it reads as what a writer left that was killed.
  restore(whole_);
  std::filesystem::resize_file(last + ".segment", 3000);
  std::filesystem::remove(last + ".tree");
  open();
  close();
  EXPECT_TRUE(report().ok) << reason(report());
}

// The two oldest of four segments are compressed, all sealed ones have an index.
class CompressedRepairTest : public RepairTest {
 protected:
  void write_compressed() {
    config_.compress_after_segments = 1;
    config_.index_segments = true;
    config_.keep_interval = std::chrono::hours(1);
    write_segments(4);
    const auto kept = keep_segments(config_);
    ASSERT_TRUE(kept.has_value()) << kept.error().message;
    ASSERT_EQ(kept->segments_compressed, 2U);
    whole_ = files();
    ASSERT_TRUE(whole_.contains("000000000002.segment.zst"));
    ASSERT_FALSE(whole_.contains("000000000002.segment"));
    ASSERT_TRUE(whole_.contains("000000000003.index"));
  }
  void flip_file(const std::string& name, std::size_t at) {
    Bytes bytes = load(config_.directory + "/" + name);
    bytes.at(at) ^= 1;
    store(config_.directory + "/" + name, bytes);
  }
};

TEST_F(CompressedRepairTest, CompressedSegmentsBeforeTheDamageStayAsTheyAre) {
  write_compressed();
  const std::size_t end = load(segment(3)).size() - kSealBlockBytes;
  const std::vector<std::string> all = written_;
  for (const RepairPlace place :
       {RepairPlace{3, kFirstBlockOffset}, RepairPlace{3, end}, RepairPlace{3, 0}}) {
    SCOPED_TRACE(place.offset);
    restore(whole_);
    written_ = all;
    if (place.offset == 0) flip(3, 40), flip(3, kSegmentHeaderBytes + 40);
    if (place.offset > 0) flip(3, place.offset + 40);
    const RepairPlan found = plan();
    ASSERT_EQ(found.place(), place);
    const auto done = mend(place);
    ASSERT_TRUE(done.has_value()) << done.error().message;
    const Files after = files();
    for (const char* name : {"000000000001.segment.zst", "000000000002.segment.zst",
                             "000000000001.index", "000000000002.index"}) {
      EXPECT_EQ(after.at(name), whole_[name]) << name;
    }
    EXPECT_FALSE(after.contains("000000000003.index")) << "it speaks of a seal that is gone";
    EXPECT_EQ(after.at("quarantine/000000000003.index-0.torn"), whole_["000000000003.index"]);
    if (place.offset == 0) {
      const auto features = static_cast<unsigned char>(after.at("000000000003.segment")[112]);
      EXPECT_EQ(features, kFeatureCompressed) << "or an older reader would miss the beginning";
    }
    expect_repaired(found.kept_records);
  }
}

// Damage in the form makes the whole segment unreadable: it is moved as it is.
TEST_F(CompressedRepairTest, ADamagedCompressedSegmentIsMovedWhole) {
  write_compressed();
  flip_file("000000000002.segment.zst", 3000);
  EXPECT_FALSE(report().ok);
  const Files damaged = files();
  const RepairPlan found = plan();
  ASSERT_EQ(found.place(), (RepairPlace{2, 0}));
  EXPECT_GT(found.cut->readable_records, 0U) << "of the segments behind";
  const auto done = mend({2, 0});
  ASSERT_TRUE(done.has_value()) << done.error().message;
  const Files after = files();
  EXPECT_EQ(after.at("000000000001.segment.zst"), damaged.at("000000000001.segment.zst"));
  EXPECT_FALSE(after.contains("000000000002.segment.zst"));
  EXPECT_EQ(after.at("quarantine/000000000002.segment.zst-0.torn"),
            damaged.at("000000000002.segment.zst"));
  expect_repaired(found.kept_records);
}

TEST_F(CompressedRepairTest, WhatWouldHaveToBeCutHasToBePlain) {
  write_segments(4);
  flip(2, kFirstBlockOffset + 200);
  const std::string packed = config_.directory + "/000000000002.segment.zst";
  {
    auto plain = internal::FileSource::open(segment(2));
    ASSERT_TRUE(plain.has_value());
    const std::atomic<bool> never{false};
    ASSERT_TRUE(
        internal::write_compressed(real_file_system(), **plain, packed, 3, never).has_value());
  }
  const Bytes damaged_plain = load(segment(2));
  std::filesystem::remove(segment(2));
  EXPECT_FALSE(report().ok);
  const Files damaged = files();
  const auto planned = plan_repair(config_.directory);
  ASSERT_FALSE(planned.has_value());
  EXPECT_EQ(planned.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(planned.error().segment, 2U);
  EXPECT_NE(planned.error().message.find(packed + " is compressed"), std::string::npos)
      << planned.error().message;
  EXPECT_EQ(mend({2, kFirstBlockOffset}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(files(), damaged);
  // The way out that the message names.
  const int unpacked = run_program({"zstd", "-q", "-d", "--rm", packed});
  if (unpacked == 127) GTEST_SKIP() << "no program zstd";
  ASSERT_EQ(unpacked, 0);
  EXPECT_EQ(load(segment(2)), damaged_plain);
  const RepairPlan found = plan();
  ASSERT_EQ(found.place(), (RepairPlace{2, kFirstBlockOffset}));
  ASSERT_TRUE(mend(found.place()).has_value());
  expect_repaired(found.kept_records);
}

// A keeper was interrupted between the compressed form and the end of the plain one.
TEST_F(CompressedRepairTest, ACompressedFormBesideAPlainOneGoesWithIt) {
  config_.keep_interval = std::chrono::hours(1);
  config_.compress_after_segments = 1;
  write_segments(4);
  const Files plain = whole_;
  const std::vector<std::string> all = written_;
  ASSERT_TRUE(keep_segments(config_).has_value());
  const Bytes packed = load(config_.directory + "/000000000002.segment.zst");
  ASSERT_FALSE(packed.empty());
  for (const std::uint64_t damaged : {1, 2}) {
    restore(plain);
    written_ = all;
    store(config_.directory + "/000000000002.segment.zst", packed);
    flip(damaged, kFirstBlockOffset + 200);
    const RepairPlan found = plan();
    ASSERT_EQ(found.place(), (RepairPlace{damaged, kFirstBlockOffset}));
    const auto done = mend(found.place());
    ASSERT_TRUE(done.has_value()) << done.error().message;
    EXPECT_EQ(load(config_.directory + "/quarantine/000000000002.segment.zst-0.torn"), packed);
    expect_repaired(found.kept_records);
  }
}

class HashedRepairTest : public RepairTest {
 protected:
  // Four segments at least, of which three are hashed.
  void write_hashed() {
    config_.integrity = Integrity::kCrc32c;
    config_.hash_sealed = true;
    config_.checkpoint.interval = std::chrono::milliseconds(2);
    open();
    while (!std::filesystem::exists(segment(4))) {
      append_many(40);
      flush();
    }
    while (!std::filesystem::exists(config_.directory + "/000000000003.tree")) ::usleep(1000);
    close();
    whole_ = files();
    ASSERT_TRUE(report().ok) << reason(report());
  }
};

// Tree files speak of what was hashed: those of what is cut go, the others stay and still hold.
TEST_F(HashedRepairTest, TreeFilesGoWithTheirSegments) {
  write_hashed();
  flip(2, kFirstBlockOffset + 200);
  const RepairPlan found = plan();
  ASSERT_EQ(found.place(), (RepairPlace{2, kFirstBlockOffset}));
  EXPECT_EQ(found.checkpoint, HeldCheckpoint::kNone);
  const auto done = mend(found.place());
  ASSERT_TRUE(done.has_value()) << done.error().message;
  const Files after = files();
  EXPECT_EQ(after.at("000000000001.tree"), whole_["000000000001.tree"]);
  EXPECT_FALSE(after.contains("000000000002.tree"));
  EXPECT_FALSE(after.contains("000000000003.tree"));
  EXPECT_EQ(after.at("quarantine/000000000002.tree-0.torn"), whole_["000000000002.tree"]);
  EXPECT_EQ(std::count(found.moved.begin(), found.moved.end(), "000000000003.tree"), 1);
  expect_repaired(found.kept_records);
}

TEST_F(HashedRepairTest, ACheckpointOverHashedSegmentsIsNotBrokenUnasked) {
  const NoteSigner signer = *NoteSigner::generate("grace.example/ledger");
  config_.checkpoint.signer = &signer;
  write_hashed();
  ASSERT_TRUE(whole_.contains("checkpoint"));
  EXPECT_TRUE(plan().is_sound());
  flip(2, kFirstBlockOffset + 200);
  const Files damaged = files();
  const RepairPlan found = plan();
  EXPECT_EQ(found.checkpoint, HeldCheckpoint::kWouldBreak) << found.checkpoint_says;
  EXPECT_EQ(mend(found.place()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(files(), damaged);
  ASSERT_TRUE(mend(found.place(), nullptr, /*break_checkpoint=*/true).has_value());
  EXPECT_EQ(load(config_.directory + "/quarantine/checkpoint.broken"), whole_["checkpoint"]);
  expect_repaired(found.kept_records);
}

}  // namespace
}  // namespace grace::ledger
