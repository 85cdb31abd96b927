#include "grace/ledger/checkpoint.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace grace::ledger {
namespace {

const std::string kHead =
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";  // the example of the specification
const std::string kFull = kHead +
                          "log 3edf746f23d5998075816553e876cfa6\n"
                          "sequence 94881133\n"
                          "time 1735689600000000000\n"
                          "another line\n";

Checkpoint full_checkpoint() {
  return parse_checkpoint(kFull).value();
}

TEST(Checkpoint, ReadsTheExampleOfTheSpecification) {
  const auto checkpoint = parse_checkpoint(kHead);
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->origin, "example.com/behind-the-sofa");
  EXPECT_EQ(checkpoint->tree_size, 20852163U);
  EXPECT_EQ(to_hex(checkpoint->root),
            "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62");
  EXPECT_EQ(checkpoint->sequence, 0U);
  EXPECT_EQ(checkpoint->time_ns, 0);
  EXPECT_EQ(checkpoint->log_id, (std::array<std::uint8_t, 16>{}));
  EXPECT_TRUE(checkpoint->other_lines.empty());
  EXPECT_EQ(checkpoint->to_text().value(), kHead);
}

TEST(Checkpoint, ReadsItsExtensions) {
  const Checkpoint checkpoint = full_checkpoint();
  EXPECT_EQ(to_hex(checkpoint.log_id), "3edf746f23d5998075816553e876cfa6");
  EXPECT_EQ(checkpoint.sequence, 94881133U);
  EXPECT_EQ(checkpoint.time_ns, 1735689600000000000);
  EXPECT_EQ(checkpoint.other_lines, std::vector<std::string>{"another line"});
  EXPECT_EQ(checkpoint.to_text().value(), kFull);
}

TEST(Checkpoint, TakesEachExtensionAlone) {
  for (const std::string& more :
       {std::string("log 3edf746f23d5998075816553e876cfa6\n"), std::string("sequence 1\n"),
        std::string("time 9223372036854775807\n"), std::string("sequence 1\ntime 1\n"),
        std::string("logs are wood\nsequences\ntimely\n"),
        std::string("sequence 18446744073709551615\n")}) {
    const auto checkpoint = parse_checkpoint(kHead + more);
    ASSERT_TRUE(checkpoint) << more;
    EXPECT_EQ(checkpoint->to_text().value(), kHead + more);
  }
}

TEST(Checkpoint, RefusesEachOtherSpelling) {
  const std::string root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
  const std::string texts[] = {
      "",
      "\n",
      "origin",
      "origin\n",
      "origin\n1\n",
      "origin\n1\n" + root.substr(0, 44),
      "\n1\n" + root,
      "origin\n\n" + root,
      "origin\n01\n" + root,
      "origin\n00\n" + root,
      "origin\n+1\n" + root,
      "origin\n-1\n" + root,
      "origin\n 1\n" + root,
      "origin\n1 \n" + root,
      "origin\n0x1\n" + root,
      "origin\n18446744073709551616\n" + root,
      "origin\n1\n" + root.substr(1),
      "origin\n1\nA" + root,
      "origin\n1\n" + root.substr(0, 43) + "\n",
      "origin\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",  // a bit for nothing
      "origin\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2IA\n",  // 33 bytes
      "origin\n1\nCsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=\n",  // the URL alphabet
      kHead + "\n",
      kHead + "no end",
      kHead + "line\n\nline\n",
      kHead + "tab\t\n",
      kHead + "bad \xff\n",
      kHead + "log\n",
      kHead + "log \n",
      kHead + "log 3edf\n",
      kHead + "log 3EDF746F23D5998075816553E876CFA6\n",
      kHead + "log 3edf746f23d5998075816553e876cfa60\n",
      kHead + "log 00000000000000000000000000000000\n",
      kHead + "sequence 0\n",
      kHead + "sequence 01\n",
      kHead + "sequence x\n",
      kHead + "sequence  1\n",
      kHead + "sequence 18446744073709551616\n",
      kHead + "time 0\n",
      kHead + "time -1\n",
      kHead + "time 9223372036854775808\n",
      kHead + "time 1\nsequence 1\n",
      kHead + "sequence 1\nsequence 1\n",
      kHead + "another line\nsequence 1\n",
      kHead + "another line\nlog\n",
  };
  for (const std::string& text : texts) {
    const auto checkpoint = parse_checkpoint(text);
    ASSERT_FALSE(checkpoint) << text;
    EXPECT_EQ(checkpoint.error().code, ErrorCode::kCorrupt) << text;
  }
  EXPECT_FALSE(parse_checkpoint(kHead + std::string(kNoteBytesMax, 'x') + "\n"));
}

TEST(Checkpoint, RefusesFieldsThatWouldForgeALine) {
  const auto expect_refused = [](const Checkpoint& checkpoint) {
    const auto text = checkpoint.to_text();
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument);
  };
  for (const char* line : {"", "evil\n999", "\n", "tab\t", "\xff"}) {
    Checkpoint checkpoint = full_checkpoint();
    checkpoint.origin = line;
    expect_refused(checkpoint);
    checkpoint = full_checkpoint();
    checkpoint.other_lines = {line};
    expect_refused(checkpoint);
  }
  for (const char* line : {"sequence 5", "log", "time x"}) {
    Checkpoint checkpoint = full_checkpoint();
    checkpoint.other_lines.emplace_back(line);
    expect_refused(checkpoint);
  }
  Checkpoint checkpoint = full_checkpoint();
  checkpoint.time_ns = -1;
  expect_refused(checkpoint);
  checkpoint.time_ns = std::numeric_limits<std::int64_t>::max();
  EXPECT_TRUE(checkpoint.to_text());
  checkpoint.other_lines.assign(kNoteBytesMax / 2, "x");
  expect_refused(checkpoint);
}

class SignedCheckpoint : public testing::Test {
 protected:
  SignedCheckpoint() { checkpoint_.origin = log_.verifier().name(); }

  NoteSigner log_ = std::move(NoteSigner::generate("example.com/behind-the-sofa").value());
  NoteSigner witness_ = std::move(NoteSigner::generate("witness.example").value());
  std::vector<NoteVerifier> both_ = {log_.verifier(), witness_.verifier()};
  Checkpoint checkpoint_ = full_checkpoint();
};

TEST_F(SignedCheckpoint, OpensWithTheLogsKey) {
  const auto note = sign_checkpoint(checkpoint_, log_);
  ASSERT_TRUE(note);
  const auto opened = open_checkpoint(*note, both_);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->checkpoint, checkpoint_);
  EXPECT_EQ(opened->signatures.size(), 1U);
  const auto countersigned = add_signature(*note, witness_);
  EXPECT_EQ(open_checkpoint(*countersigned, both_)->signatures.size(), 2U);
  EXPECT_EQ(open_checkpoint(*countersigned, std::span(both_).first(1))->unverified_count, 1U);
}

TEST_F(SignedCheckpoint, WantsTheLogsOwnKey) {
  EXPECT_EQ(sign_checkpoint(checkpoint_, witness_).error().code, ErrorCode::kInvalidArgument);
  // A witness signs a checkpoint in the log's name.
  const auto forged = witness_.sign(checkpoint_.to_text().value());
  const auto opened = open_checkpoint(*forged, both_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kNotFound);
  const auto countersigned = add_signature(*sign_checkpoint(checkpoint_, log_), witness_);
  EXPECT_FALSE(open_checkpoint(*countersigned, std::span(both_).subspan(1)));
  EXPECT_FALSE(open_checkpoint(*countersigned, {}));
}

TEST_F(SignedCheckpoint, RefusesOtherSignedTexts) {
  const auto note = log_.sign("not a checkpoint\n");
  EXPECT_EQ(open_checkpoint(*note, both_).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace grace::ledger
