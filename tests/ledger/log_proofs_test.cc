#include "grace/ledger/log_proofs.h"

#include <thread>

#include "log_fixture.h"

namespace grace::ledger {
namespace {

class LogProofsTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    config_.record_trees = true;
    config_.checkpoint.signer = &signer_;
    config_.checkpoint.interval = std::chrono::milliseconds(2);
    keys_ = {signer_.verifier()};
  }
  [[nodiscard]] std::string note() const {
    const Bytes bytes = load(config_.directory + "/checkpoint");
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] Checkpoint checkpoint_of(const std::string& text) const {
    auto opened = open_checkpoint(text, keys_);
    EXPECT_TRUE(opened.has_value()) << text;
    return opened ? opened->checkpoint : Checkpoint{};
  }
  // Three records a block, several segments; the note of the end.
  std::string write_closed(int blocks = 40) {
    write_blocks(blocks, 400);
    close();
    return note();
  }
  [[nodiscard]] std::string why(const Checkpoint& checkpoint) const {
    const auto checked = check_log(config_.directory, checkpoint);
    return checked ? std::string() : checked.error().message;
  }

  NoteSigner signer_ =
      *NoteSigner::from_seed("grace.example/ledger", std::array<std::uint8_t, 32>{7});
  std::vector<NoteVerifier> keys_;
};

TEST_F(LogProofsTest, ACleanlyClosedLogIsSignedToItsEnd) {
  const Checkpoint checkpoint = checkpoint_of(write_closed());
  const auto tree = read_tree(config_.directory);
  ASSERT_TRUE(tree.has_value()) << tree.error().message;
  EXPECT_EQ(checkpoint.tree_size, tree->leaves.size());
  EXPECT_EQ(checkpoint.root, tree->leaves.root_at(tree->leaves.size()).value());
  EXPECT_EQ(checkpoint.sequence, written_.size());
  EXPECT_EQ(to_hex(checkpoint.log_id), report().log_id_hex);
  EXPECT_EQ(why(checkpoint), "");
}

TEST_F(LogProofsTest, ALiveLogIsSignedAsFarAsItIsDurable) {
  open();
  std::uint64_t seen = 0;
  for (int block = 0; block < 60; ++block) {
    append_many(3, 300);
    flush();
    // Read first: what is signed was durable before.
    const std::uint64_t signed_up_to = writer_->signed_sequence();
    EXPECT_LE(signed_up_to, writer_->durable_sequence());
    EXPECT_GE(signed_up_to, seen);
    seen = signed_up_to;
    if (block % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (signed_up_to > 0) {
      EXPECT_EQ(why(checkpoint_of(note())), "");
    }
  }
  close();
  EXPECT_EQ(checkpoint_of(note()).sequence, written_.size());
}

TEST_F(LogProofsTest, NoCheckpointIsBehindAnOlderOne) {
  std::uint64_t size = checkpoint_of(write_closed(5)).tree_size;
  const std::filesystem::path first = directory_ / "first";
  for (int run = 0; run < 3; ++run) {
    std::filesystem::rename(config_.directory + "/checkpoint", first);
    open();
    // Without a record there is a seal at the end and nothing behind it.
    while (!std::filesystem::exists(config_.directory + "/checkpoint")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const std::uint64_t reopened = checkpoint_of(note()).tree_size;
    EXPECT_GE(reopened, size) << "run " << run;
    if (run > 0) append_many(3);
    close();
    size = checkpoint_of(note()).tree_size;
    EXPECT_GE(size, reopened);
  }
}

TEST_F(LogProofsTest, ACheckpointThatCannotBeStoredIsTold) {
  config_.checkpoint.export_directory = (directory_ / "absent").string();
  open();
  append_many(1);
  flush();
  while (writer_->checkpoint_health().has_value()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_NE(writer_->checkpoint_health().error().message.find("absent"), std::string::npos);
  EXPECT_TRUE(writer_->health().has_value()) << "the log itself goes on";
  std::filesystem::create_directories(config_.checkpoint.export_directory);
  while (!writer_->checkpoint_health().has_value()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  close();
  EXPECT_TRUE(std::filesystem::exists(config_.checkpoint.export_directory + "/checkpoint"));
}

TEST_F(LogProofsTest, EveryRecordHasAProofThatHoldsWithoutTheLog) {
  const std::string end = write_closed();
  for (std::uint64_t sequence = 1; sequence <= written_.size(); ++sequence) {
    const auto proof = prove_record(config_.directory, sequence, end, keys_);
    ASSERT_TRUE(proof.has_value()) << sequence << ": " << proof.error().message;
    const auto again = RecordProof::parse(proof->to_text().value());
    ASSERT_TRUE(again.has_value()) << again.error().message;
    const auto proven = check_record_proof(*again, keys_);
    ASSERT_TRUE(proven.has_value()) << proven.error().message;
    EXPECT_EQ(proven->payload, written_[sequence - 1]);
    EXPECT_EQ(proven->header.sequence, sequence);
    EXPECT_EQ(proven->header.type, RecordType::kNote);
  }
  EXPECT_EQ(prove_record(config_.directory, written_.size() + 1, end, keys_).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(prove_record(config_.directory, 0, end, keys_).error().code, ErrorCode::kNotFound);
}

TEST_F(LogProofsTest, AChangedProofDoesNotHold) {
  const std::string end = write_closed();
  const auto proof = prove_record(config_.directory, 50, end, keys_);
  ASSERT_TRUE(proof.has_value()) << proof.error().message;
  const std::string text = proof->to_text().value();
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string other = text;
    other[at] = static_cast<char>(other[at] ^ 1);
    const auto parsed = RecordProof::parse(other);
    EXPECT_FALSE(parsed && check_record_proof(*parsed, keys_).has_value()) << "byte " << at;
  }
  const NoteSigner other =
      *NoteSigner::from_seed("grace.example/ledger", std::array<std::uint8_t, 32>{8});
  const std::vector<NoteVerifier> other_keys{other.verifier()};
  EXPECT_FALSE(check_record_proof(*proof, other_keys).has_value());
}

TEST_F(LogProofsTest, WhatIsKeptStaysProvableWhenTheOldestSegmentsGo) {
  const std::string end = write_closed(80);
  ASSERT_TRUE(std::filesystem::exists(segment(4)));
  for (std::uint64_t number = 1; std::filesystem::exists(segment(number + 1)); ++number) {
    std::filesystem::remove(segment(number));
    EXPECT_EQ(why(checkpoint_of(end)), "") << number;
    const std::uint64_t first = report().first_sequence;
    for (std::uint64_t sequence = first; sequence <= written_.size(); sequence += 7) {
      const auto proof = prove_record(config_.directory, sequence, end, keys_);
      ASSERT_TRUE(proof.has_value()) << sequence << ": " << proof.error().message;
    }
    EXPECT_EQ(prove_record(config_.directory, first - 1, end, keys_).error().code,
              ErrorCode::kNotFound);
  }
}

TEST_F(LogProofsTest, AHeldCheckpointFindsACutLog) {
  const Checkpoint checkpoint = checkpoint_of(write_closed());
  std::uint64_t last = 1;
  while (std::filesystem::exists(segment(last + 1))) ++last;
  // The newest segment gone: alone, the log is sound.
  std::filesystem::remove(segment(last));
  EXPECT_TRUE(report().fault_count == 0) << reason(report());
  EXPECT_NE(why(checkpoint).find("cut or rolled back"), std::string::npos) << why(checkpoint);
  // And the writer does not go on with it.
  const auto opened = Writer::open(config_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << opened.error().message;
}

TEST_F(LogProofsTest, AHeldCheckpointFindsAnOlderCopyAndAFork) {
  write_blocks(4);
  snapshot_to("older");
  append_many(3);
  close();
  const Checkpoint checkpoint = checkpoint_of(note());
  continue_with("older");
  std::filesystem::remove(config_.directory + "/checkpoint");
  // The copy goes on by itself, past the checkpoint's size, with other records.
  open();
  EXPECT_NE(why(checkpoint).find("cut or rolled back"), std::string::npos) << why(checkpoint);
  for (int block = 0; block < 10; ++block) {
    append("something else");
    flush();
  }
  close();
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_NE(why(checkpoint).find("rewritten"), std::string::npos) << why(checkpoint);
}

TEST_F(LogProofsTest, ACheckpointOfOtherRecordsContradictsTheLog) {
  Checkpoint checkpoint = checkpoint_of(write_closed());
  for (const std::uint64_t sequence : {checkpoint.sequence - 1, checkpoint.sequence + 1}) {
    Checkpoint other = checkpoint;
    other.sequence = sequence;
    EXPECT_NE(why(other).find("the last record"), std::string::npos) << why(other);
  }
  checkpoint.sequence = 0;  // not said
  EXPECT_EQ(why(checkpoint), "");
}

TEST_F(LogProofsTest, AnotherLogIsNotThisLog) {
  const Checkpoint checkpoint = checkpoint_of(write_closed(3));
  std::filesystem::remove_all(config_.directory);
  write_closed(3);
  EXPECT_NE(why(checkpoint).find("another log"), std::string::npos) << why(checkpoint);
}

TEST_F(LogProofsTest, ALogThatIsGoneIsMissed) {
  write_closed(3);
  for (std::uint64_t number = 1; std::filesystem::exists(segment(number)); ++number) {
    std::filesystem::remove(segment(number));
  }
  const auto opened = Writer::open(config_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << opened.error().message;
}

TEST_F(LogProofsTest, LaterCheckpointsBeginWithEarlierOnes) {
  std::vector<std::string> notes;
  for (int run = 0; run < 4; ++run) notes.push_back(write_closed(5));
  for (std::size_t older = 0; older < notes.size(); ++older) {
    for (std::size_t newer = older; newer < notes.size(); ++newer) {
      const auto proof = prove_consistency(config_.directory, notes[older], notes[newer], keys_);
      ASSERT_TRUE(proof.has_value()) << proof.error().message;
      const auto again = ConsistencyProofText::parse(proof->to_text().value());
      ASSERT_TRUE(again.has_value()) << again.error().message;
      EXPECT_TRUE(check_consistency_proof(*again, keys_).has_value());
      if (older == newer) continue;
      ConsistencyProofText wrong = *again;
      wrong.path.back()[0] ^= 1;
      EXPECT_FALSE(check_consistency_proof(wrong, keys_).has_value());
      std::swap(wrong.old_checkpoint_note, wrong.new_checkpoint_note);
      EXPECT_FALSE(check_consistency_proof(wrong, keys_).has_value());
    }
  }
}

TEST_F(LogProofsTest, CheckpointsAreExportedAndWitnessed) {
  const NoteSigner witness =
      *NoteSigner::from_seed("witness.example", std::array<std::uint8_t, 32>{9});
  const std::filesystem::path export_to = directory_ / "export";
  std::filesystem::create_directories(export_to);
  config_.checkpoint.export_directory = export_to.string();
  config_.checkpoint.witnesses = {witness.verifier()};
  config_.checkpoint.countersign = [&](const std::string& text) -> std::optional<std::string> {
    auto signed_twice = add_signature(text, witness);
    if (!signed_twice) return std::nullopt;
    return *signed_twice;
  };
  write_blocks(30, 400);
  producer_ = Producer();
  ASSERT_TRUE(writer_->close().has_value());
  EXPECT_EQ(writer_->witnessed_sequence(), written_.size());
  writer_.reset();
  const Bytes exported = load((export_to / "checkpoint").string());
  EXPECT_EQ(std::string(exported.begin(), exported.end()), note());
  keys_ = {witness.verifier(), signer_.verifier()};
  EXPECT_EQ(open_checkpoint(note(), keys_)->signatures.size(), 2U);
  std::size_t at_seals = 0;
  for (const auto& entry : std::filesystem::directory_iterator(export_to)) {
    at_seals += entry.path().filename().string().starts_with("checkpoint-") ? 1 : 0;
  }
  EXPECT_GE(at_seals, 1U);
}

TEST_F(LogProofsTest, ALogWithoutTreesSaysSo) {
  config_.record_trees = false;
  const std::string end = write_closed(3);
  EXPECT_EQ(prove_record(config_.directory, 1, end, keys_).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(why(checkpoint_of(end)), "");
}

}  // namespace
}  // namespace grace::ledger
