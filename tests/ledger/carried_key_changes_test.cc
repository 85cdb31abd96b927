// Key changes go on leading to newer keys when retention has removed the segments they stood in.
#include "key_change_fixture.h"

namespace grace::ledger {
namespace {

using CarriedKeyChangesTest = KeyChangeTest;

// Retention takes the segments with both changes; the trust in the first key goes on.
TEST_F(CarriedKeyChangesTest, ChangesOutliveTheSegmentsThatHeldThem) {
  write_signed(first_);
  static_cast<void>(rotate(first_, second_));
  write_signed(second_, 400);
  const RecordedKeyChange last = rotate(second_, third_);
  write_signed(third_, 2000);
  const std::vector<RecordedKeyChange> before = report().key_changes;
  ASSERT_EQ(before.size(), 2U);
  remove_old();
  EXPECT_GT(report().first_sequence, last.sequence) << "or nothing was to be carried";
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_EQ(changes_of(report().key_changes), changes_of(before));
  EXPECT_EQ(changes_of(read_key_changes(config_.directory).value()), changes_of(before));
  EXPECT_EQ(trace(note(), first_)->steps, 2U);
  EXPECT_EQ(trace(note(), second_)->steps, 1U);
  EXPECT_EQ(refusal_of(second_).code, ErrorCode::kUntrustedKey);
  std::filesystem::remove(config_.directory + "/checkpoint");
  EXPECT_EQ(refusal_of(second_).code, ErrorCode::kUntrustedKey) << "without a checkpoint too";
  write_signed(third_);
  const NoteSigner fourth = signer_of(4);
  EXPECT_EQ(rotate(third_, fourth).change.epoch, 4U) << "nobody has to name the epoch";
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_EQ(report().key_changes.size(), 3U);
}

// The checkpoint in the directory is the old key's: nothing but the change leads to the new one.
TEST_F(CarriedKeyChangesTest, AWriterOpensWithTheNewKeyWhenTheChangeWasRemoved) {
  write_signed(first_);
  const RecordedKeyChange change = rotate(first_, second_);
  config_.checkpoint.signer = nullptr;
  open();
  append_many(1000);
  close();
  remove_old();
  ASSERT_GT(report().first_sequence, change.sequence);
  EXPECT_EQ(refusal_of(first_).code, ErrorCode::kUntrustedKey);
  EXPECT_EQ(refusal_of(third_).code, ErrorCode::kUntrustedKey);
  write_signed(second_);
  EXPECT_EQ(trace(note(), first_)->steps, 1U);
}

TEST_F(CarriedKeyChangesTest, ACarriedChangeIsBelievedNoMoreThanARecordedOne) {
  write_signed(first_);
  const RecordedKeyChange change = rotate(first_, second_);
  write_signed(second_, 1000);
  remove_old();
  const std::string path = carried(change.sequence);
  const Bytes good = load(path);
  for (std::size_t at = 0; at < good.size(); at += 13) {
    Bytes bytes = good;
    bytes[at] ^= 1;
    store(path, bytes);
    ASSERT_FALSE(report().ok) << "byte " << at;
    EXPECT_NE(reason(report()).find(".keychange: key change: "), std::string::npos);
    EXPECT_TRUE(report().key_changes.empty());
    EXPECT_EQ(read_key_changes(config_.directory).error().code, ErrorCode::kCorrupt);
  }
  // Another log's; one made for another record; one that does not follow the one before.
  KeyChange other = change.change;
  other.log_id[0] ^= 1;
  const auto put = [&](std::uint64_t sequence, const std::string& text) {
    store(carried(sequence), Bytes(text.begin(), text.end()));
  };
  put(change.sequence, sign_key_change(other, first_, second_).value());
  EXPECT_NE(reason(report()).find("another log's"), std::string::npos) << reason(report());
  std::filesystem::remove(path);
  put(change.sequence + 1, {good.begin(), good.end()});
  EXPECT_NE(reason(report()).find("another place"), std::string::npos) << reason(report());
  store(path, good);
  other = change.change;
  other.old_key = stranger_.verifier();
  other.new_key = third_.verifier();
  other.last_sequence = change.sequence;
  put(change.sequence + 1, sign_key_change(other, stranger_, third_).value());
  EXPECT_NE(reason(report()).find("while the log's key was"), std::string::npos);
  // Of a record that the log has, or will have, it says nothing.
  std::filesystem::rename(carried(change.sequence + 1), carried(1'000'000));
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_EQ(report().key_changes.size(), 1U);
}

TEST_F(CarriedKeyChangesTest, ARemovalThatWasInterruptedCountsNoChangeTwice) {
  struct Failing final : FileSystem {
    int remove(const std::string& path) override {
      return on && path.ends_with(".segment") ? -EIO : FileSystem::remove(path);
    }
    bool on = true;
  } failing;
  write_signed(first_);
  const RecordedKeyChange change = rotate(first_, second_);
  write_signed(second_, 1000);
  std::filesystem::remove(segment(1));  // as if it had gone: the next holds the change
  config_.retention.max_bytes = 2 * config_.segment_bytes;
  config_.file_system = &failing;
  EXPECT_FALSE(keep_segments(config_).has_value());
  ASSERT_TRUE(std::filesystem::exists(carried(change.sequence)));
  ASSERT_EQ(report().first_segment, 2U);
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_EQ(report().key_changes.size(), 1U);
  EXPECT_EQ(read_key_changes(config_.directory)->size(), 1U);
  failing.on = false;
  remove_old();
  EXPECT_GT(report().first_sequence, change.sequence);
  EXPECT_EQ(report().key_changes.size(), 1U);
  config_.file_system = nullptr;
}

// What leads nowhere goes with its segment, or it would be a fault for ever.
TEST_F(CarriedKeyChangesTest, AForgedChangeIsNotCarried) {
  write_signed(first_);
  const RecordedKeyChange change = rotate(first_, second_);
  append_as_record(sign_key_change(next_change(stranger_, third_), stranger_, third_).value());
  append_as_record("no note");
  open();
  append_many(1000);
  close();
  EXPECT_FALSE(report().ok);
  remove_old();
  ASSERT_GT(report().first_sequence, change.sequence + 2);
  EXPECT_TRUE(report().ok) << reason(report());
  ASSERT_EQ(report().key_changes.size(), 1U);
  EXPECT_EQ(report().key_changes[0].change, change.change);
}

}  // namespace
}  // namespace grace::ledger
