// The signing key of a log with integrity crc32c changes: the tree that both keys sign is that over
// the segments before the change.
#include "hash_fixture.h"
#include "key_change_fixture.h"

namespace grace::ledger {
namespace {

class HashedKeyChangeTest : public HashTest {
 protected:
  void SetUp() override {
    HashTest::SetUp();
    config_.record_bytes_max = 2000;
    config_.hash_sealed = true;
  }
  void write_signed(const NoteSigner& signer) {
    config_.checkpoint.signer = &signer;
    write_closed();
  }
  [[nodiscard]] Result<TracedCheckpoint> trace(const NoteSigner& trusted) const {
    const std::vector<NoteVerifier> keys{trusted.verifier()};
    return trace_checkpoint(note(), report().key_changes, keys);
  }

  const NoteSigner first_ = signer_of(1);
  const NoteSigner second_ = signer_of(2);
};

TEST_F(HashedKeyChangeTest, TrustGoesOnFromTheHashedSegments) {
  write_signed(first_);
  const Checkpoint held = trace(first_)->opened.checkpoint;
  const auto rotated = rotate_key(config_, first_, second_);
  ASSERT_TRUE(rotated.has_value()) << rotated.error().message;
  EXPECT_EQ(rotated->change.epoch, 2U);
  EXPECT_EQ(rotated->change.tree_size, held.tree_size) << "all that was sealed";
  EXPECT_EQ(rotated->change.root, held.root);
  EXPECT_EQ(rotated->change.last_sequence, held.sequence);
  EXPECT_EQ(trace(first_)->steps, 0U) << "the old key's checkpoint stays good";
  write_signed(second_);

  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  ASSERT_EQ(verified.key_changes.size(), 1U);
  EXPECT_EQ(verified.key_changes[0].change, rotated->change);
  EXPECT_EQ(read_key_changes(config_.directory)->size(), 1U);
  const auto traced = trace(first_);
  ASSERT_TRUE(traced.has_value()) << traced.error().message;
  EXPECT_EQ(traced->steps, 1U);
  EXPECT_TRUE(check_log(config_.directory, traced->opened.checkpoint).has_value());
  config_.checkpoint.signer = &first_;
  EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kUntrustedKey);
}

TEST_F(HashedKeyChangeTest, WhatIsNotHashedYetIsHashedForIt) {
  config_.hash_sealed = false;
  write_closed();
  ASSERT_TRUE(tree_files().empty());
  EXPECT_EQ(rotate_key(config_, first_, second_).error().code, ErrorCode::kInvalidArgument);
  const std::uint64_t blocks = report().blocks;
  config_.hash_sealed = true;
  const auto rotated = rotate_key(config_, first_, second_);
  ASSERT_TRUE(rotated.has_value()) << rotated.error().message;
  EXPECT_EQ(rotated->change.tree_size, blocks);
  EXPECT_TRUE(report().ok) << reason(report());
}

// The record of a recovery would stand before the change in its segment.
TEST_F(HashedKeyChangeTest, ATornLogIsRecoveredFirst) {
  write_signed(first_);
  const std::string last = internal::segment_path(config_.directory, segments().back());
  Bytes bytes = load(last);
  const std::uint64_t seal_at = bytes.size() - 4096;
  for (std::size_t at = seal_at; at < bytes.size(); ++at) bytes[at] = 'x';
  store(last, bytes);
  std::filesystem::remove(tree_file(segments().back()));
  std::filesystem::remove(config_.directory + "/checkpoint");
  const std::uint64_t before = report().last_sequence;
  const auto rotated = rotate_key(config_, first_, second_);
  ASSERT_TRUE(rotated.has_value()) << rotated.error().message;
  EXPECT_EQ(rotated->sequence, before + 2) << "behind the recovery's record";
  EXPECT_TRUE(report().ok) << reason(report());
  write_signed(second_);
  EXPECT_EQ(trace(first_)->steps, 1U);
}

// Closed before its last segments were hashed, the old key's last checkpoint lies behind: what the
// new one signs first must be of its own time.
TEST_F(HashedKeyChangeTest, TheNewKeySignsNothingOfTheOldOnesTime) {
  write_signed(first_);
  const auto rotated = rotate_key(config_, first_, second_);
  ASSERT_TRUE(rotated.has_value()) << rotated.error().message;
  const std::uint64_t newest = segments().back();
  std::filesystem::remove(tree_file(newest));
  config_.checkpoint.signer = &second_;
  // The segment with the change cannot be hashed again: its tree file's place is taken.
  std::filesystem::create_directory(tree_file(newest) + ".new");
  open();
  append("a");
  close();
  EXPECT_EQ(trace(first_)->steps, 0U) << "the old key's checkpoint is still there";
  std::filesystem::remove(tree_file(newest) + ".new");
  open();
  close();
  EXPECT_EQ(trace(first_)->steps, 1U);
  EXPECT_GT(trace(first_)->opened.checkpoint.tree_size, rotated->change.tree_size);
}

TEST_F(HashedKeyChangeTest, ItHoldsAtItsPlaceOnly) {
  write_signed(first_);
  const KeyChange good = next_change_of(config_.directory, first_, second_);
  const auto forge = [&](const char* what, auto&& spoil) {
    SCOPED_TRACE(what);
    const std::string saved = config_.directory + ".saved";
    std::filesystem::remove_all(saved);
    std::filesystem::copy(config_.directory, saved);
    KeyChange change = good;
    spoil(change);
    append_key_change(config_, sign_key_change(change, first_, second_).value());
    const VerifyReport verified = report();
    EXPECT_EQ(verified.ok, what == std::string("true"));
    EXPECT_EQ(verified.key_changes.size(), verified.ok ? 1U : 0U) << reason(verified);
    std::filesystem::remove_all(config_.directory);
    std::filesystem::rename(saved, config_.directory);
  };
  forge("true", [](KeyChange&) {});
  forge("a smaller tree", [](KeyChange& change) { change.tree_size -= 1; });
  forge("another root", [](KeyChange& change) { change.root[7] ^= 1; });
  forge("no tree, as older versions had it", [](KeyChange& change) {
    change.tree_size = 0;
    change.root = Frontier{}.root();
  });
}

}  // namespace
}  // namespace grace::ledger
