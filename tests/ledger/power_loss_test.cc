#include <algorithm>
#include <set>
#include <thread>

#include "faulty_file_system.h"
#include "log_fixture.h"

namespace grace::ledger {
namespace {

// What a loss of power leaves of several segments that no sync had covered: any of their sectors
// and names. One test for each way in which that once went wrong; ledger_crash_states looks for
// more.
class PowerLossTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    config_.segment_bytes = 24 << 10;
    config_.record_bytes_max = 1000;
    config_.commit_interval = std::chrono::microseconds(0);
    config_.file_system = &fs_;
  }
  // Three durable records, then such that fill two segments and part of a third, and stay unsynced.
  // The fixture goes on with the files as they lie there.
  void write_unsynced() {
    open();
    append_many(3);
    flush();
    fs_.hold_syncs(true);
    while (!std::filesystem::exists(segment(3))) append_and_see();
    append_and_see();
    ASSERT_EQ(writer_->durable_sequence(), 3U);
    snapshot_to("lost");
    fs_.hold_syncs(false);
    continue_with("lost");
    config_.file_system = nullptr;
  }
  // One at a time, so that no more segments begin than are asked for.
  void append_and_see() {
    append_many(1, 900);
    while (writer_->written_sequence() < written_.size()) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }
  void clear(std::uint64_t number, std::size_t from, std::size_t bytes) {
    Bytes file = load(segment(number));
    std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(from), bytes, char{0});
    store(segment(number), file);
  }
  // The log opens with all that was durable, goes on, and is sound.
  void expect_sound(std::uint64_t records_min) {
    open();
    const std::uint64_t kept = writer_->recovery().last_sequence;
    EXPECT_GE(kept, records_min);
    written_.resize(std::min<std::size_t>(written_.size(), kept));
    append("afterwards");
    close();
    const ReadBack back = read_all();
    EXPECT_EQ(back.status, ReadStatus::kEnd) << back.error.message;
    EXPECT_EQ(back.texts, written_);
    EXPECT_TRUE(report().ok) << reason(report());
  }
  FaultyFileSystem fs_;
};

TEST_F(PowerLossTest, ASegmentWithANameAndNoContentIsNotLeftBehind) {
  write_unsynced();
  clear(3, 0, load(segment(3)).size());
  open();
  close();
  EXPECT_FALSE(std::filesystem::exists(segment(3)));
  const ReadBack back = read_all();
  EXPECT_EQ(back.status, ReadStatus::kEnd) << back.error.message;
  expect_sound(4);
}

TEST_F(PowerLossTest, ALostSealTakesTheNextSegmentWithIt) {
  open();
  // All records of the first segment are durable before the next begins, whose header says so.
  for (int i = 0; !std::filesystem::exists(segment(2)); ++i) {
    append_many(1, 900);
    flush();
  }
  snapshot_to("lost");
  continue_with("lost");
  const auto end = blocks_end(load(segment(1)));
  clear(1, end - kSealBlockBytes, kSealBlockBytes);
  Bytes second = load(segment(2));
  std::fill(second.begin() + kFirstBlockOffset, second.end(), char{0});
  store(segment(2), second);
  config_.file_system = nullptr;
  expect_sound(written_.size() - 1);
}

TEST_F(PowerLossTest, ATornHeaderCopyIsMended) {
  for (const std::size_t copy : {0U, 1U}) {
    write_unsynced();
    clear(2, copy * kSegmentHeaderBytes, kSegmentHeaderBytes);
    expect_sound(4);
    std::filesystem::remove_all(config_.directory);
    SetUp();
    written_.clear();
  }
}

TEST_F(PowerLossTest, ADamagedHeaderCopyOfADurableSegmentStaysForAPersonToSee) {
  write_unsynced();
  clear(1, 0, kSegmentHeaderBytes);
  open();
  append("afterwards");
  close();
  EXPECT_FALSE(report().ok);
  EXPECT_EQ(report().first_fault->segment, 1U);
}

TEST_F(PowerLossTest, ANameThatOutlivedTheOneBeforeItIsATornTail) {
  write_unsynced();
  std::filesystem::remove(segment(2));
  expect_sound(3);
}

// Tells, at the first byte that recovery writes, which segments it has synced by then.
class SyncedFirst final : public FileSystem {
 public:
  int open(const std::string& path, int flags, unsigned mode) override {
    const int fd = FileSystem::open(path, flags, mode);
    if (fd >= 0) path_ = path;
    return fd;
  }
  int sync_file(int fd) override {
    synced_.insert(path_);  // recovery has one file open at a time
    return FileSystem::sync_file(fd);
  }
  std::int64_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    if (at_write.empty()) at_write = synced_;
    return FileSystem::write_at(fd, bytes, offset);
  }
  std::set<std::string> at_write;

 private:
  std::string path_;
  std::set<std::string> synced_;
};

TEST_F(PowerLossTest, AllThatTheSealPromisesIsSyncedBeforeIt) {
  write_unsynced();
  SyncedFirst fs;
  config_.file_system = &fs;
  open();
  for (const std::uint64_t number : {1U, 2U, 3U}) {
    EXPECT_EQ(fs.at_write.count(segment(number)), 1U) << number;
  }
  close();
}

}  // namespace
}  // namespace grace::ledger
