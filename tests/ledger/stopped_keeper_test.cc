// The keeper of sealed segments, stopped at each of its calls, and by a loss of power.
#include <cerrno>

#include "crash_storage.h"
#include "faulty_file_system.h"
#include "keeper_fixture.h"

namespace grace::ledger {
namespace {

// The real file system until call number `limit`; from then on every call fails and does nothing,
// as if the process had ended there.
class EndingFileSystem final : public FileSystem {
 public:
  explicit EndingFileSystem(std::uint64_t limit) : limit_(limit) {}
  [[nodiscard]] bool ended() const { return calls_ > limit_; }
  int open(const std::string& path, int flags, unsigned mode) override {
    return may() ? FileSystem::open(path, flags, mode) : -EIO;
  }
  std::int64_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    if (may()) return FileSystem::write_at(fd, bytes, offset);
    // The last write may have done a part.
    if (calls_ == limit_ + 1) (void)FileSystem::write_at(fd, bytes.first(bytes.size() / 2), offset);
    return -EIO;
  }
  int sync_file(int fd) override { return may() ? FileSystem::sync_file(fd) : -EIO; }
  int sync_directory(const std::string& path) override {
    return may() ? FileSystem::sync_directory(path) : -EIO;
  }
  int rename(const std::string& from, const std::string& to) override {
    return may() ? FileSystem::rename(from, to) : -EIO;
  }
  int remove(const std::string& path) override { return may() ? FileSystem::remove(path) : -EIO; }

 private:
  bool may() { return ++calls_ <= limit_; }
  std::uint64_t limit_;
  std::uint64_t calls_ = 0;
};

class StoppedKeeperTest : public KeeperTest {
 protected:
  void SetUp() override {
    KeeperTest::SetUp();
    sign();
    config_.index_segments = true;
    write_log();
    std::filesystem::rename(config_.directory, directory_ / "base");
    config_.retention.max_bytes = 4 * config_.segment_bytes;
  }
  void restore() {
    std::filesystem::remove_all(config_.directory);
    std::filesystem::copy(directory_ / "base", config_.directory);
    recorded_.clear();
  }
  void expect_recovered(const std::string& when) {
    if (report().first_segment > 1) {
      ASSERT_FALSE(recorded_.empty()) << when << ": removed without a record";
      EXPECT_NE(recorded_.back().find("\"action\":\"retention\""), std::string::npos);
    }
    expect_sound(when);
    EXPECT_TRUE(check_log(config_.directory, checkpoint_of(note())).has_value()) << when;
    config_.file_system = nullptr;
    keep();
    expect_sound(when + ", then finished");
    EXPECT_EQ(count_of(".new"), 0U) << when;
    // All that a keeper without a stop does, too.
    EXPECT_EQ(count_of(".segment"), 2U) << when;
    EXPECT_EQ(count_of(".segment.zst"), numbers().size() - 2) << when;
    EXPECT_EQ(count_of(".index"), numbers().size() - 1) << when;
    auto opened = Writer::open(config_);
    ASSERT_TRUE(opened.has_value()) << when << ": " << opened.error().message;
    EXPECT_EQ((*opened)->recovery().last_sequence, written_.size()) << when;
    EXPECT_TRUE((*opened)->recovery().clean) << when;
  }
};

TEST_F(StoppedKeeperTest, AfterAnyOfItsCallsNothingIsLost) {
  std::uint64_t cases = 0;
  for (bool ended = true; ended; ++cases) {
    restore();
    EndingFileSystem fs(cases);
    config_.file_system = &fs;
    const auto kept = keeper()->step_until_done();
    ended = fs.ended();
    EXPECT_EQ(kept.has_value(), !ended) << "call " << cases;
    expect_recovered("ended after call " + std::to_string(cases));
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(cases, 40U);
  RecordProperty("cases", static_cast<int>(cases));
}

TEST_F(StoppedKeeperTest, OneFailedCallIsToldOrMadeGood) {
  std::uint64_t k = 1;
  for (bool hit = true; hit; ++k) {
    restore();
    FaultyFileSystem fs;
    config_.file_system = &fs;
    fs.fail_call(k, k % 2 == 0 ? EIO : ENOSPC);
    auto mine = keeper();
    const auto kept = mine->step_until_done();
    hit = fs.calls() >= k;
    EXPECT_TRUE(hit || kept.has_value()) << "call " << k;
    if (!kept) {
      EXPECT_EQ(kept.error().os_error, k % 2 == 0 ? EIO : ENOSPC) << kept.error().message;
    }
    expect_sound("call " + std::to_string(k));
    const auto again = mine->step_until_done();
    EXPECT_TRUE(again.has_value()) << "call " << k << ": " << again.error().message;
    mine.reset();
    expect_recovered("call " + std::to_string(k) + " failed");
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(k, 40U);
}

// The power fails after any call, and unsynced sectors and names are kept or lost in any mixture.
TEST_F(StoppedKeeperTest, ALossOfPowerTakesNothingAndLeavesNoGap) {
  restore();
  CrashStorage storage(config_.directory, 0, 1);
  config_.file_system = &storage;
  keep();
  storage.snapshot();
  config_.file_system = nullptr;
  config_.directory = (directory_ / "crashed").string();
  Random random(1);
  ASSERT_GT(storage.snapshots().size(), 40U);
  for (std::size_t index = 0; index < storage.snapshots().size(); ++index) {
    for (int choice = 0; choice < 4; ++choice) {
      const std::string when = "moment " + std::to_string(index) + "." + std::to_string(choice);
      write_state(storage.crash(index, {choice % 2 == 1, false}, random), config_.directory);
      expect_sound(when);
      EXPECT_TRUE(check_log(config_.directory, checkpoint_of(note())).has_value()) << when;
      keep();
      expect_sound(when + ", then finished");
      EXPECT_EQ(count_of(".segment"), 2U) << when;
      if (HasFailure()) return;
    }
  }
}

TEST_F(StoppedKeeperTest, WithoutItsRecordNothingIsRemoved) {
  restore();
  checked_ = *validated(config_);
  checked_.compress_after_segments = 0;
  internal::SegmentKeeper mine(
      checked_, [] { return ~std::uint64_t{0}; },
      [](std::string_view) -> Result<void> {
        return make_error(ErrorCode::kTimeout, "not durable in time");
      });
  const auto before = numbers();
  const auto kept = mine.step_until_done();
  ASSERT_FALSE(kept.has_value());
  EXPECT_EQ(kept.error().code, ErrorCode::kTimeout);
  EXPECT_EQ(numbers(), before);
}

TEST_F(StoppedKeeperTest, WhereBothFormsAreThereThePlainOneCounts) {
  restore();
  config_.retention = {};
  keep();
  const Bytes plain = load((directory_ / "base" / "000000000001.segment").string());
  store(segment(1), plain);
  store(packed(1), Bytes(100, 'x'));
  expect_sound("the compressed one is torn");
  keep();
  EXPECT_FALSE(std::filesystem::exists(segment(1)));
  expect_sound("then finished");
}

}  // namespace
}  // namespace grace::ledger
