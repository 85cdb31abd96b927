#include <atomic>

#include "faulty_file_system.h"
#include "hash_fixture.h"

namespace grace::ledger {
namespace {

// Waits for what the hasher's thread does; false after ten seconds.
template <typename Condition>
bool comes_true(Condition&& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST_F(HashTest, ACleanlyClosedLogIsHashedAndSignedToItsEnd) {
  hash_and_sign();
  write_closed();
  EXPECT_EQ(tree_files(), segments());
  const Checkpoint checkpoint = checkpoint_of(note());
  const auto tree = read_tree(config_.directory);
  ASSERT_TRUE(tree.has_value()) << tree.error().message;
  EXPECT_EQ(checkpoint.tree_size, tree->leaves.size());
  EXPECT_EQ(checkpoint.root, tree->leaves.root_at(checkpoint.tree_size).value());
  EXPECT_EQ(checkpoint.sequence, written_.size());
  EXPECT_EQ(to_hex(checkpoint.log_id), report().log_id_hex);
  EXPECT_EQ(why(checkpoint), "");
  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  EXPECT_EQ(verified.hashing.segments, segments().size());
  EXPECT_EQ(verified.hashing.last_sequence, written_.size());
  EXPECT_EQ(verified.hashing.unhashed_records, 0U);
  EXPECT_EQ(verified.hashing.unhashed_from, 0U);
}

// The right blocks with another record at their end, at the end and in the midst of a segment, from
// tree files and without them.
TEST_F(HashTest, ACheckpointWithAnotherLastRecordIsRefused) {
  hash_and_sign();
  write_closed();
  const auto tree = read_tree(config_.directory);
  ASSERT_TRUE(tree.has_value());
  const std::uint64_t size = tree->leaves.size();
  ASSERT_EQ(tree->sequences.size(), size + 1);
  EXPECT_EQ(tree->sequences.front(), 0U);
  EXPECT_EQ(tree->sequences.back(), written_.size());
  const auto expect_compared = [&](std::uint64_t blocks, const char* when) {
    Checkpoint checkpoint = checkpoint_of(note());
    checkpoint.tree_size = blocks;
    checkpoint.root = tree->leaves.root_at(blocks).value();
    checkpoint.sequence = tree->sequences[blocks];
    EXPECT_EQ(why(checkpoint), "") << when << ", " << blocks << " blocks";
    checkpoint.sequence += 1;
    EXPECT_NE(why(checkpoint).find("the last record in the first"), std::string::npos)
        << when << ", " << blocks << " blocks: " << why(checkpoint);
  };
  for (std::uint64_t blocks = 1; blocks <= size; ++blocks) expect_compared(blocks, "tree files");
  for (const std::uint64_t number : tree_files()) std::filesystem::remove(tree_file(number));
  for (std::uint64_t blocks = 1; blocks <= size; ++blocks) expect_compared(blocks, "hashed anew");
}

TEST_F(HashTest, ALiveLogIsHashedUpToItsLastSealAndTheTailIsReported) {
  hash_and_sign();
  open();
  EXPECT_EQ(writer_->hashed_sequence(), 0U);
  while (!std::filesystem::exists(segment(4))) append_many(1, 900);
  append_many(1, 900);
  flush();
  const std::uint64_t sealed = segments().size() - 1;
  ASSERT_TRUE(comes_true([&] { return writer_->stats().segments_hashed == sealed; }));
  ASSERT_TRUE(comes_true([&] { return writer_->signed_sequence() == writer_->hashed_sequence(); }));
  const std::uint64_t hashed = writer_->hashed_sequence();
  EXPECT_EQ(hashed, tree(sealed).last_sequence);
  EXPECT_LT(hashed, written_.size());
  EXPECT_EQ(checkpoint_of(note()).tree_size, tree(sealed).after.size());
  EXPECT_EQ(why(checkpoint_of(note())), "");
  EXPECT_TRUE(writer_->hash_health().has_value());
  EXPECT_TRUE(writer_->checkpoint_health().has_value());

  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  const auto stats = log_stats(config_.directory);
  ASSERT_TRUE(stats.has_value());
  for (const HashProgress& progress : {verified.hashing, stats->hashing}) {
    EXPECT_EQ(progress.segments, sealed);
    EXPECT_EQ(progress.last_sequence, hashed);
    EXPECT_EQ(progress.unhashed_records, written_.size() - hashed);
    EXPECT_EQ(progress.unhashed_from, hashed + 1);
    EXPECT_EQ(progress.unhashed_bytes, verified.hashing.unhashed_bytes);
    EXPECT_GT(progress.unhashed_bytes, kFirstBlockOffset);
    EXPECT_EQ(progress.missing_files, 0U);
  }
  close();
}

TEST_F(HashTest, NothingIsHashedThatIsNotDurable) {
  hash_and_sign();
  FaultyFileSystem fs;
  config_.file_system = &fs;
  open();
  append_many(3);
  flush();
  fs.hold_syncs(true);
  while (!std::filesystem::exists(segment(3))) {
    append_many(1, 900);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(writer_->hashed_sequence(), 0U);
  EXPECT_TRUE(tree_files().empty());
  fs.hold_syncs(false);
  flush();
  EXPECT_TRUE(comes_true([&] { return writer_->stats().segments_hashed >= 2; }));
  close();
}

TEST_F(HashTest, ALogWithoutSyncsHasItsSegmentsSyncedFirst) {
  hash_and_sign();
  config_.sync = SyncMode::kNone;
  FaultyFileSystem fs;
  config_.file_system = &fs;
  write_closed();
  EXPECT_EQ(tree_files(), segments());
  EXPECT_TRUE(report().ok);
}

TEST_F(HashTest, TheNextWriterGoesOnWhereTheLastOneStopped) {
  write_closed();  // nobody hashes
  EXPECT_TRUE(tree_files().empty());
  const VerifyReport unhashed = report();
  EXPECT_TRUE(unhashed.ok);
  EXPECT_EQ(unhashed.hashing.segments, 0U);
  EXPECT_EQ(unhashed.hashing.unhashed_records, written_.size());
  EXPECT_EQ(unhashed.hashing.unhashed_from, 1U);
  EXPECT_EQ(unhashed.hashing.unhashed_bytes, unhashed.bytes);
  EXPECT_EQ(log_stats(config_.directory)->hashing.unhashed_bytes, unhashed.bytes);
  const std::size_t segments_before = segments().size();

  hash_and_sign();
  open();
  ASSERT_TRUE(comes_true([&] { return writer_->hashed_sequence() == written_.size(); }));
  EXPECT_EQ(writer_->stats().segments_hashed, segments_before);
  append_many(3);
  close();
  const Checkpoint first = checkpoint_of(note());
  open();  // and takes all of them at their word
  ASSERT_TRUE(comes_true([&] { return writer_->hashed_sequence() == written_.size(); }));
  EXPECT_EQ(writer_->stats().segments_hashed, 0U);
  std::filesystem::remove(tree_file(2));
  close();
  EXPECT_EQ(checkpoint_of(note()).tree_size, first.tree_size);
  EXPECT_EQ(report().hashing.missing_files, 1U);
  EXPECT_TRUE(report().ok) << reason(report());
  open();
  ASSERT_TRUE(comes_true([&] { return writer_->hashed_sequence() == written_.size(); }));
  EXPECT_EQ(writer_->stats().segments_hashed, 1U);
  close();
  EXPECT_EQ(report().hashing.missing_files, 0U);
  EXPECT_EQ(why(first), "");
}

TEST_F(HashTest, ARecoveredSegmentIsHashedWithTheSealOfRecovery) {
  hash_and_sign();
  open();
  append_many(4);
  flush();
  snapshot_to("killed");
  continue_with("killed");
  open();
  EXPECT_FALSE(writer_->recovery().clean);
  ASSERT_TRUE(comes_true([&] { return writer_->hashed_sequence() == 4; }));
  append_many(1);
  close();
  EXPECT_EQ(tree_files(), segments());
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(HashTest, ACloseThatMayNotWaitLeavesTheRestToTheNextOpen) {
  hash_and_sign();
  config_.checkpoint.interval = std::chrono::hours(1);
  config_.hash_close_wait = std::chrono::milliseconds(0);
  write_closed();
  EXPECT_LT(tree_files().size(), segments().size());
  EXPECT_TRUE(report().ok);
  config_.hash_close_wait = std::chrono::minutes(1);
  open();
  close();
  EXPECT_EQ(tree_files(), segments());
}

TEST_F(HashTest, AFailureIsToldAndTriedAgain) {
  hash_and_sign();
  write_closed();
  std::filesystem::remove(tree_file(2));
  FaultyFileSystem fs;
  config_.file_system = &fs;
  std::filesystem::create_directory(tree_file(2) + ".new");  // in its way
  open();
  ASSERT_TRUE(comes_true([&] { return !writer_->hash_health().has_value(); }));
  EXPECT_EQ(writer_->hash_health().error().code, ErrorCode::kIo);
  EXPECT_TRUE(writer_->health().has_value()) << "the log itself goes on";
  std::filesystem::remove(tree_file(2) + ".new");
  ASSERT_TRUE(comes_true([&] { return writer_->hashed_sequence() == written_.size(); }));
  EXPECT_TRUE(writer_->hash_health().has_value());
  close();
}

TEST_F(HashTest, NoCheckpointIsBehindAnOlderOne) {
  hash_and_sign();
  write_closed();
  const std::string held = note();
  // The newest tree files are lost, and their segments cannot be read for now.
  const std::uint64_t last = segments().back();
  std::filesystem::remove(tree_file(last));
  std::filesystem::create_directory(tree_file(last) + ".new");
  open();
  ASSERT_TRUE(comes_true([&] { return !writer_->hash_health().has_value(); }));
  EXPECT_LT(writer_->hashed_sequence(), checkpoint_of(held).sequence);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(note(), held);
  EXPECT_EQ(writer_->signed_sequence(), 0U);
  std::filesystem::remove(tree_file(last) + ".new");
  close();
  EXPECT_EQ(checkpoint_of(note()).tree_size, checkpoint_of(held).tree_size);
}

TEST_F(HashTest, OlderSegmentsThatWereRemovedStayInTheTree) {
  hash_and_sign();
  write_closed();
  const std::string early = note();
  const std::uint64_t middle = segments().size() / 2;
  for (std::uint64_t number = 1; number < middle; ++number) {
    std::filesystem::remove(segment(number));
    std::filesystem::remove(tree_file(number));
  }
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_EQ(why(checkpoint_of(early)), "");
  open();
  append_many(20, 900);
  close();
  EXPECT_EQ(tree_files(), segments());
  EXPECT_EQ(why(checkpoint_of(early)), "");
  EXPECT_EQ(why(checkpoint_of(note())), "");
  const auto proof = prove_consistency(config_.directory, early, note(), keys_);
  ASSERT_TRUE(proof.has_value()) << proof.error().message;
  EXPECT_TRUE(check_consistency_proof(*proof, keys_).has_value());
  // Without the oldest file nobody knows the tree before; the next one does.
  std::filesystem::remove(tree_file(middle));
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_EQ(report().hashing.missing_files, 1U);
  EXPECT_EQ(why(checkpoint_of(note())), "");
}

TEST_F(HashTest, RemovedSegmentsThatWereNeverHashedEndIt) {
  write_closed();
  std::filesystem::remove(segment(1));
  hash_and_sign();
  config_.checkpoint.signer = nullptr;
  open();
  ASSERT_TRUE(comes_true([&] { return !writer_->hash_health().has_value(); }));
  EXPECT_EQ(writer_->hash_health().error().code, ErrorCode::kNotFound);
  close();
  EXPECT_EQ(read_tree(config_.directory).error().code, ErrorCode::kNotFound);
}

TEST_F(HashTest, RecordsOfSuchALogAreNotProvenOneByOne) {
  hash_and_sign();
  write_closed();
  EXPECT_EQ(prove_record(config_.directory, 2, note(), keys_).error().code,
            ErrorCode::kUnsupported);
}

TEST_F(HashTest, WhatContradictsItselfIsRefused) {
  const auto refused = [this] {
    const auto opened = Writer::open(config_);
    return !opened && opened.error().code == ErrorCode::kInvalidArgument;
  };
  config_.checkpoint.signer = &signer_;
  EXPECT_TRUE(refused()) << "a checkpoint without a tree";
  config_.checkpoint.signer = nullptr;
  config_.hash_sealed = true;
  config_.hash_close_wait = std::chrono::milliseconds(-1);
  EXPECT_TRUE(refused());
  config_.hash_close_wait = std::chrono::milliseconds(1);
  config_.integrity = Integrity::kSha256;
  EXPECT_TRUE(refused()) << "hashed twice";
}

}  // namespace
}  // namespace grace::ledger
