// The signing key changes, and trust goes on from the old one to the new; whatever else claims to
// be a change, or signs out of its time, is named.
#include <limits>

#include "key_change_fixture.h"

namespace grace::ledger {
namespace {

TEST_F(KeyChangeTest, TextComesBackAndIsSignedByBoth) {
  KeyChange change{.old_key = first_.verifier(), .new_key = second_.verifier()};
  change.log_id[2] = 7;
  change.epoch = 12;
  change.tree_size = 34;
  change.root[5] = 6;
  change.last_sequence = 78;
  change.time_ns = 90;
  const auto text = sign_key_change(change, first_, second_);
  ASSERT_TRUE(text.has_value()) << text.error().message;
  const auto opened = open_key_change(*text);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  EXPECT_EQ(*opened, change);
  for (std::size_t at = 0; at < text->size(); ++at) {
    std::string flipped = *text;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    const auto changed = open_key_change(flipped);
    ASSERT_FALSE(changed.has_value()) << "byte " << at;
    EXPECT_EQ(changed.error().code, ErrorCode::kCorrupt);
  }
  for (std::size_t size = 0; size < text->size(); ++size) {
    EXPECT_FALSE(open_key_change(text->substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(sign_key_change(change, second_, first_).has_value());
  EXPECT_FALSE(sign_key_change(change, first_, third_).has_value());
  const NoteSigner renamed = signer_of(4, "other.example");
  change.new_key = renamed.verifier();
  const auto refused = sign_key_change(change, first_, renamed);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("other.example"), std::string::npos);
}

TEST_F(KeyChangeTest, TrustGoesOnThroughEveryEpoch) {
  write_signed(first_);
  const std::string held = note();
  EXPECT_EQ(rotate(first_, second_).change.epoch, 2U);
  write_signed(second_);
  const std::string newer = note();
  const RecordedKeyChange last = rotate(second_, third_);
  EXPECT_EQ(last.change.epoch, 3U);
  write_signed(third_);

  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  ASSERT_EQ(verified.key_changes.size(), 2U);
  EXPECT_EQ(verified.key_changes[1].change, last.change);
  EXPECT_EQ(verified.key_changes[1].sequence, last.sequence);
  EXPECT_EQ(read_key_changes(config_.directory)->size(), 2U);

  const auto traced = trace(note(), first_);
  ASSERT_TRUE(traced.has_value()) << traced.error().message;
  EXPECT_EQ(traced->steps, 2U);
  EXPECT_EQ(traced->key, third_.verifier());
  EXPECT_TRUE(check_log(config_.directory, traced->opened.checkpoint).has_value());
  EXPECT_EQ(trace(newer, first_)->steps, 1U);
  EXPECT_EQ(trace(held, first_)->steps, 0U) << "what was signed in its time stays good";
  EXPECT_EQ(trace(note(), third_)->steps, 0U);
  // A later key says nothing about an earlier one.
  ASSERT_FALSE(trace(held, second_).has_value());
  EXPECT_EQ(trace(held, second_).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(trace(note(), stranger_).error().code, ErrorCode::kNotFound);

  // Proofs carry on, from before the change too.
  const std::vector<NoteVerifier> keys{first_.verifier(), third_.verifier()};
  EXPECT_TRUE(prove_consistency(config_.directory, held, note(), keys).has_value());
}

TEST_F(KeyChangeTest, AWriterWithAKeyOutOfTurnDoesNotOpen) {
  write_signed(first_);
  Error refused = refusal_of(second_);
  EXPECT_EQ(refused.code, ErrorCode::kUntrustedKey) << "no change was recorded";
  EXPECT_NE(refused.message.find("no key change in the log leads"), std::string::npos)
      << refused.message;
  const RecordedKeyChange change = rotate(first_, second_);
  refused = refusal_of(first_);
  EXPECT_EQ(refused.code, ErrorCode::kUntrustedKey) << "the old key after the change";
  EXPECT_NE(refused.message.find("record " + std::to_string(change.sequence)), std::string::npos);
  EXPECT_EQ(refusal_of(stranger_).code, ErrorCode::kUntrustedKey);
  write_signed(second_);
  EXPECT_EQ(refusal_of(first_).code, ErrorCode::kUntrustedKey) << "and a checkpoint later";
  std::filesystem::remove(config_.directory + "/checkpoint");
  EXPECT_EQ(refusal_of(first_).code, ErrorCode::kUntrustedKey) << "without a checkpoint";
  write_signed(second_);
  EXPECT_TRUE(report().ok);
}

TEST_F(KeyChangeTest, OnlyTheNewestKeyCanPassOn) {
  write_signed(first_);
  static_cast<void>(rotate(first_, second_));
  for (const NoteSigner* from : {&first_, &stranger_}) {
    const auto again = rotate_key(config_, *from, third_);
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code, ErrorCode::kUntrustedKey);
  }
  const auto same = rotate_key(config_, second_, second_);
  ASSERT_FALSE(same.has_value());
  EXPECT_EQ(same.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(report().key_changes.size(), 1U) << "a refusal leaves no record";
}

// Whose records would come between what is signed and where it is put.
TEST_F(KeyChangeTest, AConfiguredKeeperRemovesNothingMeanwhile) {
  config_.segment_bytes = 24 << 10;
  config_.record_bytes_max = 1000;
  config_.retention.max_bytes = 1ULL << 40;
  config_.index_segments = true;
  config_.compress_after_segments = 1;
  config_.producers_max = 2;
  write_signed(first_, 300);
  const std::uint64_t before = report().last_sequence;
  config_.retention.max_bytes = 0;
  config_.retention.max_age = std::chrono::seconds(1);
  static std::int64_t now_ns = config_.wall_clock_ns();
  now_ns += 3600 * std::int64_t{1'000'000'000};
  config_.wall_clock_ns = [] { return now_ns; };
  EXPECT_EQ(rotate(first_, second_).sequence, before + 1);
  EXPECT_EQ(report().first_segment, 1U);
  EXPECT_EQ(report().last_sequence, before + 1);
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_EQ(refusal_of(first_).code, ErrorCode::kUntrustedKey);
  write_signed(second_);
}

TEST_F(KeyChangeTest, NeedsALogThatIsNotInUse) {
  EXPECT_EQ(rotate_key(config_, first_, second_).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(config_.directory)) << "none was made";
  config_.checkpoint.signer = &first_;
  open();
  EXPECT_EQ(rotate_key(config_, first_, second_).error().code, ErrorCode::kLocked);
  append("a");
  close();
  static_cast<void>(rotate(first_, second_));
}

// Signed by two keys of the forger's; by the true old key, which does not agree; by neither.
TEST_F(KeyChangeTest, AForgedChangeIsAFault) {
  write_signed(first_);
  static_cast<void>(rotate(first_, second_));
  write_signed(second_);
  KeyChange forged = next_change(stranger_, third_);
  forged.epoch = 3;
  append_as_record(sign_key_change(forged, stranger_, third_).value());
  const VerifyReport verified = report();
  EXPECT_FALSE(verified.ok);
  EXPECT_NE(reason(verified).find("while the log's key was"), std::string::npos)
      << reason(verified);
  EXPECT_EQ(verified.key_changes.size(), 1U) << "it leads nowhere";
  for (const NoteSigner* signer : {&second_, &third_, &stranger_}) {
    const ErrorCode code = refusal_of(*signer).code;
    EXPECT_TRUE(code == ErrorCode::kUntrustedKey || code == ErrorCode::kCorrupt);
  }
  // The forger's own checkpoint is not reached from the first key.
  EXPECT_EQ(
      trace(third_.sign(note().substr(0, note().rfind("\n\n") + 1)).value(), first_).error().code,
      ErrorCode::kNotFound);
}

// The first change of a log has no recorded key before it: the checkpoint knows that key.
TEST_F(KeyChangeTest, AForgedFirstChangeDoesNotOpen) {
  write_signed(first_);
  const std::string held = note();
  append_as_record(sign_key_change(next_change(stranger_, third_), stranger_, third_).value());
  EXPECT_EQ(refusal_of(third_).code, ErrorCode::kUntrustedKey);
  EXPECT_EQ(refusal_of(first_).code, ErrorCode::kUntrustedKey);
  EXPECT_EQ(trace(third_.sign(held.substr(0, held.rfind("\n\n") + 1)).value(), first_).error().code,
            ErrorCode::kNotFound);
}

TEST_F(KeyChangeTest, AChangeHoldsAtItsPlaceInItsLogOnly) {
  write_signed(first_);
  const KeyChange good = next_change(first_, second_);
  std::vector<KeyChange> wrong(4, good);
  wrong[0].log_id[0] ^= 1;
  wrong[1].last_sequence += 1;
  wrong[2].root[0] ^= 1;
  wrong[3].epoch = 3;
  const std::array<const char*, 4> reasons{"another log's", "another place", "another tree",
                                           "epoch 3 where 2 follows"};
  snapshot_to("pristine");
  for (std::size_t at = 0; at < wrong.size(); ++at) {
    std::filesystem::remove_all(config_.directory);
    std::filesystem::copy(directory_ / "pristine", config_.directory);
    append_as_record(sign_key_change(wrong[at], first_, second_).value());
    const VerifyReport verified = report();
    EXPECT_FALSE(verified.ok);
    EXPECT_NE(reason(verified).find(reasons[at]), std::string::npos) << reason(verified);
    // A writer that has a checkpoint reads from there on, and does not know which number is due.
    if (at == 3) continue;
    const Error refused = refusal_of(second_);
    EXPECT_EQ(refused.code, ErrorCode::kCorrupt) << at << ": " << refused.message;
  }
  std::filesystem::remove_all(config_.directory);
  std::filesystem::copy(directory_ / "pristine", config_.directory);
  const std::string text = sign_key_change(good, first_, second_).value();
  append_as_record(text);
  EXPECT_TRUE(report().ok) << reason(report());
  append_as_record(text);
  EXPECT_FALSE(report().ok) << "the same once more";
}

// Cut at every block behind the change and before it: with either key the log is what it was.
TEST_F(KeyChangeTest, ACutOrRolledBackRotationIsFound) {
  write_signed(first_);
  snapshot_to("before");
  static_cast<void>(rotate(first_, second_));
  snapshot_to("rotated");
  write_signed(second_);
  const std::string newest = note();

  // All of the log put back, but for the checkpoint: the new key's checkpoint says so.
  const auto put_back = [this](const char* name) {
    std::filesystem::remove_all(config_.directory);
    std::filesystem::copy(directory_ / name, config_.directory,
                          std::filesystem::copy_options::recursive);
  };
  put_back("before");
  store(config_.directory + "/checkpoint", {newest.begin(), newest.end()});
  EXPECT_EQ(refusal_of(second_).code, ErrorCode::kCorrupt);
  EXPECT_EQ(refusal_of(first_).code, ErrorCode::kUntrustedKey);
  EXPECT_EQ(trace(newest, first_).error().code, ErrorCode::kNotFound)
      << "no change is there that leads to the second key";
  EXPECT_EQ(check_log(config_.directory, trace(newest, second_)->opened.checkpoint).error().code,
            ErrorCode::kCorrupt);

  // With the record but before any checkpoint of the new key: it goes on with that key.
  put_back("rotated");
  EXPECT_EQ(refusal_of(first_).code, ErrorCode::kUntrustedKey);
  // The change's record torn off, as by a crash before it was durable: the old key goes on.
  const auto last = [this] {
    std::uint64_t number = 1;
    while (std::filesystem::exists(segment(number + 1))) ++number;
    return segment(number);
  }();
  std::filesystem::remove(last);
  write_signed(first_);
  EXPECT_TRUE(report().ok);
  EXPECT_TRUE(report().key_changes.empty());
  static_cast<void>(rotate(first_, second_));
  write_signed(second_);
}

// Who still has the old key, and signs what was written after its time.
TEST_F(KeyChangeTest, TheOldKeysWordEndsWithItsTime) {
  write_signed(first_);
  const RecordedKeyChange change = rotate(first_, second_);
  write_signed(second_);
  auto checkpoint = parse_checkpoint(note().substr(0, note().rfind("\n\n") + 1));
  ASSERT_TRUE(checkpoint.has_value());
  ASSERT_GT(checkpoint->tree_size, change.change.tree_size);
  const auto late = trace(sign_checkpoint(*checkpoint, first_).value(), first_);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, ErrorCode::kUntrustedKey);
  EXPECT_NE(late.error().message.find("was replaced after block"), std::string::npos);
  checkpoint->tree_size = change.change.tree_size;
  checkpoint->root = change.change.root;
  EXPECT_TRUE(trace(sign_checkpoint(*checkpoint, first_).value(), first_).has_value());
  const auto early = trace(sign_checkpoint(*checkpoint, second_).value(), first_);
  ASSERT_FALSE(early.has_value());
  EXPECT_EQ(early.error().code, ErrorCode::kUntrustedKey);
  EXPECT_NE(early.error().message.find("took over only after"), std::string::npos);
}

// Of no size is a key's word nobody's unless somebody says so: what follows from a size that the
// log does not have is for the comparison with the log to say.
TEST_F(KeyChangeTest, AKeyThatNobodyDistrustsSignsTreesOfAnySize) {
  write_signed(first_);
  auto checkpoint = parse_checkpoint(note().substr(0, note().rfind("\n\n") + 1));
  ASSERT_TRUE(checkpoint.has_value());
  checkpoint->tree_size = std::numeric_limits<std::uint64_t>::max();
  const auto traced = trace(sign_checkpoint(*checkpoint, first_).value(), first_);
  ASSERT_TRUE(traced.has_value()) << traced.error().message;
  EXPECT_EQ(check_log(config_.directory, traced->opened.checkpoint).error().code,
            ErrorCode::kCorrupt);
}

// The first key was stolen: what its thief signs, and whom he makes his successor, counts for
// nothing from a size on, while what the log's owner has signed since does.
TEST_F(KeyChangeTest, AStolenKeysWordEndsWhereItIsDistrusted) {
  write_signed(first_);
  const std::string held = note();
  const std::uint64_t held_size =
      parse_checkpoint(std::string_view(held).substr(0, held.rfind("\n\n") + 1))->tree_size;
  const RecordedKeyChange change = rotate(first_, second_);
  write_signed(second_);
  const std::vector<RecordedKeyChange> changes = report().key_changes;
  const std::uint32_t stolen = first_.verifier().key_id();
  const auto traced = [&](const std::string& checkpoint, const NoteSigner& trusted,
                          std::uint64_t from) {
    const std::vector<NoteVerifier> keys{trusted.verifier()};
    const std::vector<DistrustedKey> distrusted{{stolen, from}};
    return trace_checkpoint(checkpoint, changes, keys, distrusted);
  };
  EXPECT_TRUE(traced(held, first_, held_size + 1).has_value());
  for (const std::uint64_t from : {held_size, std::uint64_t{0}}) {
    const auto refused = traced(held, first_, from);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kUntrustedKey);
    EXPECT_NE(refused.error().message.find("which is not trusted"), std::string::npos);
  }
  // The change leads on where its maker is trusted still; who trusts the new key needs no change.
  EXPECT_EQ(traced(note(), first_, change.change.tree_size + 1)->steps, 1U);
  EXPECT_EQ(traced(note(), first_, change.change.tree_size).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(traced(note(), second_, 0)->steps, 0U);

  const auto proven = [&](const NoteSigner& trusted, std::uint64_t from) {
    const std::vector<NoteVerifier> keys{trusted.verifier()};
    const std::vector<DistrustedKey> distrusted{{stolen, from}};
    return proven_by_key_changes(changes, 1, keys, distrusted);
  };
  ASSERT_TRUE(proven(second_, 0).has_value()) << "the new key has signed the tree, too";
  EXPECT_EQ(proven(second_, 0)->size, change.change.tree_size);
  EXPECT_EQ(proven(second_, 0)->root, change.change.root);
  EXPECT_EQ(proven(second_, 0)->key, second_.verifier());
  EXPECT_TRUE(proven(first_, change.change.tree_size + 1).has_value());
  EXPECT_FALSE(proven(first_, change.change.tree_size).has_value());
  EXPECT_FALSE(proven(stranger_, 0).has_value());
  const std::vector<NoteVerifier> keys{second_.verifier()};
  EXPECT_FALSE(proven_by_key_changes(changes, change.sequence + 1, keys).has_value())
      << "of a change whose record was removed the tree was not compared";

  const std::vector<DistrustedKey> known{{stolen, 0}};
  EXPECT_TRUE(check_distrusted(known, changes, keys).has_value());
  const std::vector<DistrustedKey> mistyped{{stolen ^ 1U, 0}};
  EXPECT_EQ(check_distrusted(mistyped, changes, keys).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(KeyChangeTest, EverySystemCallThatFailsLeavesOneOfTheTwoKeys) {
  struct Failing final : FileSystem {
    int sync_file(int fd) override { return on ? -EIO : FileSystem::sync_file(fd); }
    int sync_data(int fd) override { return on ? -EIO : FileSystem::sync_data(fd); }
    bool on = true;
  } failing;
  write_signed(first_);
  config_.file_system = &failing;
  const auto rotated = rotate_key(config_, first_, second_);
  ASSERT_FALSE(rotated.has_value());
  config_.file_system = nullptr;
  const auto changes = read_key_changes(config_.directory);
  ASSERT_TRUE(changes.has_value());
  write_signed(changes->empty() ? first_ : second_);
  EXPECT_TRUE(report().ok);
}

}  // namespace
}  // namespace grace::ledger
