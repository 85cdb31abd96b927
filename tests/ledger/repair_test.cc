#include "grace/ledger/repair.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "grace/ledger/checkpoint.h"
#include "grace/ledger/crc32c.h"
#include "repair_fixture.h"

namespace grace::ledger {
namespace {

constexpr auto kBlock = kBlockAlignment;

TEST_F(RepairTest, ASoundLogHasNothingToRepair) {
  write_segments();
  EXPECT_TRUE(plan().is_sound());
  EXPECT_EQ(plan().kept_records, written_.size());
  EXPECT_EQ(mend(plan().place()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(files(), whole_);
}

TEST_F(RepairTest, ADamagedBlockCutsTheLogThereAndKeepsWhatIsBehind) {
  write_segments();
  const std::uint64_t last = report().last_sequence;
  const std::uint64_t second = kFirstBlockOffset + kBlock;
  flip(1, second + 200);
  const Files damaged = files();
  EXPECT_EQ(Writer::open(config_).has_value(), true) << "damage that recovery does not read";
  restore(damaged);
  const RepairPlan found = plan();
  ASSERT_TRUE(found.cut.has_value());
  EXPECT_EQ(found.place(), (RepairPlace{1, second}));
  EXPECT_EQ(found.cut->first_sequence, 4U);
  EXPECT_EQ(found.cut->last_sequence, last);
  EXPECT_GE(found.cut->promised_sequence, 9U);
  EXPECT_EQ(found.cut->readable_records, last - 6) << "all but the damaged block's";
  EXPECT_EQ(found.kept_records, 3U);
  EXPECT_EQ(found.moved.size(), 2U);
  const auto done = mend({1, second});
  ASSERT_TRUE(done.has_value()) << done.error().message;
  EXPECT_EQ(done->record_sequence, 4U);
  const std::string said = record_of(4);
  for (const std::string part :
       {"\"actor\":\"operator\"", "\"action\":\"repair\"", "\"lost_first_sequence\":4",
        "000000000002.segment-0.torn", "readable-1-12288.jsonl"}) {
    EXPECT_NE(said.find(part), std::string::npos) << part << " in " << said;
  }
  const Files after = files();
  EXPECT_EQ(after.at("quarantine/000000000002.segment-0.torn"), whole_["000000000002.segment"]);
  const Bytes& tail = after.at("quarantine/000000000001.segment-12288.torn");
  const Bytes& before = damaged.at("000000000001.segment");
  EXPECT_TRUE(std::equal(tail.begin(), tail.end(), before.begin() + 12288));
  const Bytes& lines = after.at("quarantine/readable-1-12288.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), static_cast<long>(last - 6));
  expect_repaired(3);
}

TEST_F(RepairTest, EveryKindOfDamageIsRepairedAndLosesOnlyWhatLiesBehind) {
  write_segments();
  struct Case {
    const char* name;
    std::function<void()> damage;
    RepairPlace place;
  };
  const std::size_t seal = whole_["000000000001.segment"].size() - kSealBlockBytes;
  const Case cases[] = {
      {"both header copies", [&] { flip(2, 40), flip(2, kSegmentHeaderBytes + 40); }, {2, 0}},
      {"a missing segment", [&] { std::filesystem::remove(segment(2)); }, {2, 0}},
      {"a lost seal", [&] { std::filesystem::resize_file(segment(1), seal); }, {1, seal}},
      {"segments swapped",
       [&] {
         std::filesystem::rename(segment(2), segment(9));
         std::filesystem::rename(segment(3), segment(2));
         std::filesystem::rename(segment(9), segment(3));
       },
       {2, 0}},
      {"a wiped block",
       [&] {
         Bytes bytes = load(segment(2));
         std::fill_n(bytes.begin() + kFirstBlockOffset, kBlock, '\0');
         store(segment(2), bytes);
       },
       {2, kFirstBlockOffset}},
  };
  const std::vector<std::string> all = written_;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    restore(whole_);
    written_ = all;
    one.damage();
    EXPECT_FALSE(report().ok);
    const RepairPlan found = plan();
    ASSERT_TRUE(found.cut.has_value());
    EXPECT_EQ(found.place(), one.place);
    EXPECT_EQ(found.cut->first_sequence, found.kept_records + 1);
    EXPECT_EQ(found.cut->last_sequence, all.size()) << "the last segment says so";
    EXPECT_EQ(mend({one.place.segment, one.place.offset + kBlock}).error().code,
              ErrorCode::kInvalidArgument);
    const auto done = mend(one.place);
    ASSERT_TRUE(done.has_value()) << done.error().message;
    expect_repaired(found.kept_records);
  }
}

TEST_F(RepairTest, ADamagedHeaderCopyIsWrittenAnewAndNothingElseChanges) {
  write_segments();
  for (const std::uint64_t copy : {std::uint64_t{0}, kSegmentHeaderBytes}) {
    restore(whole_);
    flip(2, copy + 40);
    EXPECT_EQ(plan().place(), (RepairPlace{2, copy}));
    EXPECT_FALSE(plan().cut.has_value());
    const std::size_t records = written_.size();
    ASSERT_TRUE(mend({2, copy}).has_value());
    EXPECT_EQ(load(segment(2)), whole_["000000000002.segment"]);
    expect_repaired(records);
    written_.resize(records);
  }
}

TEST_F(RepairTest, BytesBehindASealGoToQuarantine) {
  write_segments();
  Bytes bytes = load(segment(2));
  const std::size_t end = bytes.size();
  bytes.insert(bytes.end(), 100, 'x');
  store(segment(2), bytes);
  EXPECT_EQ(plan().place(), (RepairPlace{2, end}));
  ASSERT_TRUE(mend({2, end}).has_value());
  EXPECT_EQ(load(segment(2)), whole_["000000000002.segment"]);
  expect_repaired(written_.size());
}

TEST_F(RepairTest, TheOldestSegmentsHeaderLeavesNothingToGoOnFrom) {
  write_segments();
  flip(1, 40);
  flip(1, kSegmentHeaderBytes + 40);
  const Files damaged = files();
  EXPECT_EQ(mend({1, 0}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(files(), damaged);
}

TEST_F(RepairTest, AFormatItDoesNotKnowIsNotDamage) {
  write_segments();
  Bytes bytes = load(segment(2));
  for (const std::size_t copy : {std::size_t{0}, std::size_t{kSegmentHeaderBytes}}) {
    bytes[copy + 12] = 2;  // the version
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(copy) + 8, 4, '\0');
    const std::uint32_t crc =
        crc32c(std::as_bytes(std::span(bytes)).subspan(copy, kSegmentHeaderBytes));
    std::memcpy(bytes.data() + copy + 8, &crc, sizeof(crc));
  }
  store(segment(2), bytes);
  EXPECT_EQ(plan_repair(config_.directory).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(mend({2, 0}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(load(segment(2)), bytes);
}

TEST_F(RepairTest, RefusesBesideAWriterAndWhereThereIsNoLog) {
  write_segments();
  flip(2, kFirstBlockOffset + 200);
  const RepairPlace place = plan().place();
  {
    const auto other = Writer::open(config_);
    ASSERT_TRUE(other.has_value()) << "this damage lies before what recovery reads";
    EXPECT_EQ(mend(place).error().code, ErrorCode::kLocked);
    EXPECT_EQ(plan_repair(config_.directory).error().code, ErrorCode::kLocked);
  }
  EXPECT_EQ(plan_repair((directory_ / "none").string()).error().code, ErrorCode::kNotFound);
}

TEST_F(RepairTest, InterruptedAnywhereItIsFinishedByTheNext) {
  write_segments();
  flip(1, kFirstBlockOffset + kBlock + 200);
  flip(1, 40);
  expect_finished_by_the_next(plan().place(), 4);
}

class RepairCheckpointTest : public RepairTest {
 protected:
  void SetUp() override {
    RepairTest::SetUp();
    signer_ = std::make_unique<NoteSigner>(*NoteSigner::generate("grace.example/ledger"));
    config_.checkpoint.signer = signer_.get();
    config_.checkpoint.interval = std::chrono::milliseconds(1);
  }
  std::unique_ptr<NoteSigner> signer_;
};

TEST_F(RepairCheckpointTest, ACheckpointIsNotBrokenUnasked) {
  write_segments();
  ASSERT_EQ(plan().checkpoint, HeldCheckpoint::kHolds);
  flip(2, kFirstBlockOffset + 200);
  const Files damaged = files();
  const RepairPlan found = plan();
  EXPECT_EQ(found.checkpoint, HeldCheckpoint::kWouldBreak);
  EXPECT_EQ(mend(found.place()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(files(), damaged);
  ASSERT_TRUE(mend(found.place(), nullptr, /*break_checkpoint=*/true).has_value());
  EXPECT_EQ(load(config_.directory + "/quarantine/checkpoint.broken"), whole_["checkpoint"]);
  expect_repaired(found.kept_records);
}

TEST_F(RepairCheckpointTest, ARolledBackLogIsRepairedByGivingUpItsCheckpoint) {
  write_segments();
  std::filesystem::remove(segment(3));
  ASSERT_TRUE(report().ok) << "nothing in the log itself tells";
  EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kCorrupt);
  const RepairPlan found = plan();
  EXPECT_EQ(found.checkpoint, HeldCheckpoint::kBroken);
  EXPECT_FALSE(found.is_sound());
  EXPECT_FALSE(mend(found.place()).has_value());
  ASSERT_TRUE(mend(found.place(), nullptr, true).has_value());
  expect_repaired(found.kept_records);
}

}  // namespace
}  // namespace grace::ledger
