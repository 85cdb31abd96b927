#include "grace/ledger/proof_text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/merkle_tree.h"

namespace grace::ledger {
namespace {

const std::string kNote = "a checkpoint\n\nsignatures\n";

std::vector<Hash> some_hashes(std::size_t count) {
  std::vector<Hash> hashes;
  for (std::size_t index = 0; index < count; ++index) {
    const std::string text = std::to_string(index);
    hashes.push_back(merkle_leaf_hash(std::as_bytes(std::span(text))));
  }
  return hashes;
}

RecordProof some_record_proof() {
  RecordProof proof;
  proof.sequence = 7;
  proof.block_number = 3;
  for (std::size_t index = 0; index < proof.block_header.size(); ++index) {
    proof.block_header[index] = static_cast<std::byte>(index * 3);
  }
  proof.record_count = 3;
  proof.record_index = 1;
  proof.record_path = some_hashes(2);
  proof.record_bytes = std::string(24, '\0') + "{\"a\":1}";
  proof.block_path = some_hashes(4);
  proof.checkpoint_note = kNote;
  return proof;
}

ConsistencyProofText some_consistency_proof() {
  ConsistencyProofText proof;
  proof.old_size = 3;
  proof.new_size = 8;
  proof.path = some_hashes(4);
  proof.old_checkpoint_note = "old\n\nsignatures\n";
  proof.new_checkpoint_note = "new\n\nsignatures\n";
  return proof;
}

// A proof's text must come back, and each text with one bit changed, one byte less, or one more
// must be refused or be the text of what it parses to.
template <typename Proof>
void expect_one_spelling(const Proof& proof) {
  const std::string text = proof.to_text().value();
  ASSERT_EQ(Proof::parse(text).value(), proof);
  const auto judge = [&](const std::string& changed) {
    const auto parsed = Proof::parse(changed);
    if (!parsed) return;
    ASSERT_NE(*parsed, proof);
    ASSERT_EQ(parsed->to_text().value(), changed);
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ (1U << bit));
      judge(changed);
    }
    judge(std::string(text).erase(at, 1));
    judge(text.substr(0, at));
    judge(std::string(text).insert(at, 1, '\n'));
    judge(std::string(text).insert(at, 1, '0'));
    judge(std::string(text).insert(at, 1, ' '));
  }
}

TEST(RecordProof, HasOneSpelling) {
  expect_one_spelling(some_record_proof());
  RecordProof smallest;
  smallest.record_count = 1;
  smallest.record_bytes = std::string(24, 'x');
  smallest.checkpoint_note = "\n";
  expect_one_spelling(smallest);
}

TEST(ConsistencyProofText, HasOneSpelling) {
  expect_one_spelling(some_consistency_proof());
  ConsistencyProofText smallest;
  smallest.old_checkpoint_note = "x";
  smallest.new_checkpoint_note = "\n";
  expect_one_spelling(smallest);
}

TEST(RecordProof, ReadsAsItIsDocumented) {
  RecordProof proof = some_record_proof();
  proof.record_path.resize(1);
  proof.block_path.clear();
  const std::string text = proof.to_text().value();
  const std::string expected_start =
      "grace-ledger-proof/v1\nkind record\nsequence 7\nblock 3\nblock-header AAMGCQwPEhUY";
  EXPECT_EQ(text.substr(0, expected_start.size()), expected_start);
  EXPECT_NE(text.find("\nrecord-count 3\nrecord-index 1\nrecord-path 1\n"), std::string::npos);
  EXPECT_TRUE(
      text.ends_with("\nrecord AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAeyJhIjoxfQ==\nblock-path 0\n"
                     "\n" +
                     kNote));
}

TEST(RecordProof, RefusesWhatIsOutOfBounds) {
  const auto expect_refused = [](auto&& change) {
    RecordProof proof = some_record_proof();
    change(proof);
    const auto text = proof.to_text();
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument);
  };
  expect_refused([](RecordProof& proof) { proof.record_index = 3; });
  expect_refused([](RecordProof& proof) { proof.record_count = 0; });
  expect_refused([](RecordProof& proof) { proof.record_path = some_hashes(33); });
  expect_refused([](RecordProof& proof) { proof.block_path = some_hashes(65); });
  expect_refused([](RecordProof& proof) { proof.record_bytes.resize(23); });
  expect_refused([](RecordProof& proof) { proof.record_bytes.resize(kRecordBytesMax + 1); });
  expect_refused([](RecordProof& proof) { proof.checkpoint_note.clear(); });
  expect_refused([](RecordProof& proof) { proof.checkpoint_note.resize(kNoteBytesMax + 1); });
  RecordProof proof = some_record_proof();
  proof.record_path = some_hashes(32);
  proof.block_path = some_hashes(64);
  proof.checkpoint_note.resize(kNoteBytesMax, 'x');
  EXPECT_EQ(RecordProof::parse(proof.to_text().value()).value(), proof);
}

TEST(RecordProof, NamesTheLineAtFault) {
  const std::string text = some_record_proof().to_text().value();
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    const auto proof = RecordProof::parse(changed);
    EXPECT_FALSE(proof) << to;
    return proof ? Error{} : proof.error();
  };
  EXPECT_EQ(with("proof/v1", "proof/v2").code, ErrorCode::kUnsupported);
  EXPECT_EQ(with("grace", "graze").message, "malformed proof: first line");
  EXPECT_EQ(with("kind record", "kind consistency").message, "malformed proof: kind line");
  EXPECT_EQ(with("sequence 7", "sequence 07").message, "malformed proof: sequence line");
  EXPECT_EQ(with("block 3", "block").message, "malformed proof: block line");
  EXPECT_EQ(with("header AAMG", "header AAM").message, "malformed proof: block-header line");
  EXPECT_EQ(with("count 3", "count 4294967296").message, "malformed proof: record-count line");
  EXPECT_EQ(with("index 1", "index 3").message, "malformed proof: record-index line");
  EXPECT_EQ(with("record-path 2", "record-path 33").message, "malformed proof: record-path line");
  EXPECT_EQ(with("record-path 2", "record-path 3").message, "malformed proof: record-path line");
  EXPECT_EQ(with("record-path 2", "record-path 1").message, "malformed proof: record line");
  EXPECT_EQ(with("block-path 4", "block-path 65").message, "malformed proof: block-path line");
  EXPECT_EQ(with("block-path 4", "block-path 3").message,
            "malformed proof: checkpoint's first line");
}

TEST(ConsistencyProofText, RefusesWhatIsOutOfBounds) {
  const auto expect_refused = [](auto&& change) {
    ConsistencyProofText proof = some_consistency_proof();
    change(proof);
    const auto text = proof.to_text();
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument);
  };
  using Proof = ConsistencyProofText;
  expect_refused([](Proof& proof) { proof.old_size = 9; });
  expect_refused([](Proof& proof) { proof.path = some_hashes(66); });
  expect_refused([](Proof& proof) { proof.old_checkpoint_note.clear(); });
  expect_refused([](Proof& proof) { proof.new_checkpoint_note.clear(); });
  expect_refused([](Proof& proof) { proof.old_checkpoint_note.resize(kNoteBytesMax + 1); });
  EXPECT_FALSE(Proof::parse(some_record_proof().to_text().value()));
}

TEST(ProofKind, IsToldByTheFirstLines) {
  EXPECT_EQ(proof_kind(some_record_proof().to_text().value()).value(), ProofKind::kRecord);
  EXPECT_EQ(proof_kind(some_consistency_proof().to_text().value()).value(),
            ProofKind::kConsistency);
  EXPECT_FALSE(proof_kind("grace-ledger-proof/v1\nkind other\n"));
  EXPECT_FALSE(proof_kind(""));
}

}  // namespace
}  // namespace grace::ledger
