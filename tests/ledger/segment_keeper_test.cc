#include "segment_keeper.h"

#include <string>
#include <thread>
#include <vector>

#include "grace/ledger/log_proofs.h"
#include "keeper_fixture.h"
#include "run_program.h"
#include "segment_scanner.h"

namespace grace::ledger {
namespace {

class SegmentKeeperTest : public KeeperTest {};

TEST_F(SegmentKeeperTest, CompressesAllButTheNewestAndReadersDoNotNotice) {
  write_log();
  const auto before = numbers();
  ASSERT_GE(before.size(), 6U);
  std::vector<Bytes> plain;
  for (const std::uint64_t number : before) plain.push_back(load(segment(number)));
  const VerifyReport first = report();
  keep();
  EXPECT_EQ(numbers(), before);
  // Of the settled ones, which all but the last are, one newer one stays as it is.
  EXPECT_EQ(count_of(".segment"), 2U);
  EXPECT_EQ(count_of(".segment.zst"), before.size() - 2);
  EXPECT_EQ(report().root_hex, first.root_hex);
  EXPECT_EQ(report().bytes, first.bytes);
  expect_sound();
  for (std::size_t at = 0; at < before.size(); ++at) {
    Bytes bytes(plain[at].size() + 1);
    auto source = internal::open_segment(config_.directory, before[at]);
    ASSERT_TRUE(source.has_value());
    EXPECT_EQ((*source)->read(0, std::as_writable_bytes(std::span(bytes))).value(),
              plain[at].size());
    bytes.resize(plain[at].size());
    EXPECT_EQ(bytes, plain[at]) << "segment " << before[at];
  }
  const auto stats = log_stats(config_.directory);
  ASSERT_TRUE(stats.has_value());
  EXPECT_EQ(stats->compressed_segments, before.size() - 2);
  EXPECT_EQ(stats->file_bytes, stored_bytes());
  EXPECT_EQ(stats->last_sequence, written_.size());
}

TEST_F(SegmentKeeperTest, TheZstdProgramGivesTheSegmentBack) {
  if (run_program({"zstd", "--version"}) != 0) GTEST_SKIP() << "no zstd program";
  write_log();
  const Bytes plain = load(segment(1));
  keep();
  ASSERT_FALSE(std::filesystem::exists(segment(1)));
  const std::string out = (directory_ / "out").string();
  ASSERT_EQ(run_program({"zstd", "-q", "-d", packed(1), "-o", out}), 0);
  EXPECT_EQ(load(out), plain);
}

TEST_F(SegmentKeeperTest, RemovesTheOldestBySizeAndSaysSoInTheLog) {
  write_log();
  config_.compress_after_segments = 0;
  config_.retention.max_bytes = 3 * config_.segment_bytes;
  const auto before = numbers();
  const auto kept = keep_segments(config_);
  ASSERT_TRUE(kept.has_value()) << kept.error().message;
  const VerifyReport after = report();
  EXPECT_GT(after.first_segment, 1U);
  EXPECT_EQ(kept->segments_removed, after.first_segment - 1);
  EXPECT_LE(stored_bytes() - std::filesystem::file_size(segment(numbers().back())),
            config_.retention.max_bytes);
  ReaderOptions options;
  options.from_sequence = written_.size() + 1;
  const ReadBack back = read_all(options);
  // The record itself begins a segment, for which another one may have to go.
  ASSERT_GE(back.texts.size(), 1U);
  EXPECT_NE(back.texts.back().find("\"actor\":\"ledger\",\"action\":\"retention\""),
            std::string::npos);
  EXPECT_NE(back.texts.back().find("\"first_segment\":" + std::to_string(after.first_segment) +
                                   ",\"first_sequence\":" + std::to_string(after.first_sequence)),
            std::string::npos)
      << back.texts.back();
  expect_sound();
  // Once more there is nothing to do, and no record of it.
  EXPECT_EQ(keep_segments(config_)->segments_removed, 0U);
  EXPECT_EQ(read_all(options).texts.size(), back.texts.size());
}

TEST_F(SegmentKeeperTest, KeepsWhatItMustUnderAnyLimit) {
  write_log();
  const auto before = numbers();
  config_.retention.max_bytes = 2 * config_.segment_bytes;
  config_.retention.max_age = std::chrono::seconds(1);
  now_ns_ += 1'000'000'000'000;
  safe_ = 0;  // nothing is durable
  keep();
  EXPECT_EQ(numbers(), before);
  EXPECT_EQ(count_of(".zst"), 0U);
  EXPECT_TRUE(recorded_.empty());
  safe_ = ~std::uint64_t{0};
  keep();
  // The last, and the newest that is known to be sealed for good.
  EXPECT_EQ(numbers(), (std::vector<std::uint64_t>{*(before.end() - 2), before.back()}));
  ASSERT_EQ(recorded_.size(), 1U);
  expect_sound();
}

TEST_F(SegmentKeeperTest, RemovesByTheAgeOfTheNewestBlock) {
  config_.compress_after_segments = 0;
  write_log();
  config_.retention.max_age = std::chrono::seconds(40);
  keep();
  const VerifyReport after = report();
  EXPECT_GT(after.first_segment, 1U);
  // 80 seconds were written: of the first kept segment some block is younger than 40.
  const auto kept_since = find_time(config_.directory, now_ns_ - 40'000'000'000);
  ASSERT_TRUE(kept_since.has_value());
  EXPECT_GE(*kept_since, after.first_sequence);
  const auto second =
      internal::SegmentScanner::open(config_.directory, after.first_segment + 1, false);
  ASSERT_TRUE((*second)->read_header().has_value());
  EXPECT_LT(*kept_since, (*second)->chain().next_sequence) << "one more could have gone";
  EXPECT_NE(recorded_.at(0).find("\"reason\":\"age\""), std::string::npos);
}

TEST_F(SegmentKeeperTest, NothingGoesThatACheckpointEndsIn) {
  config_.compress_after_segments = 0;
  sign();
  open();
  append_many(3, 400);
  flush();
  while (writer_->signed_sequence() < 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const std::string early = note();
  close();
  write_log();
  const std::string newest = note();
  const auto before = numbers();
  config_.retention.max_bytes = 2 * config_.segment_bytes;
  const auto put = [&](const std::string& text) {
    store(config_.directory + "/checkpoint", Bytes(text.begin(), text.end()));
  };
  std::filesystem::remove(config_.directory + "/checkpoint");
  keep();
  EXPECT_EQ(numbers(), before) << "without a checkpoint nothing goes";
  put(early);
  keep();
  EXPECT_EQ(numbers(), before) << "it ends in the first segment";
  put("not a note\n");
  const auto refused = keeper()->step_until_done();
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("nothing is removed"), std::string::npos);
  EXPECT_EQ(numbers(), before);
  EXPECT_TRUE(recorded_.empty());
  put(newest);
  keep();
  EXPECT_LT(numbers().size(), before.size());
  EXPECT_TRUE(check_log(config_.directory, checkpoint_of(newest)).has_value());
}

TEST_F(SegmentKeeperTest, WhatRemainsStaysProvable) {
  sign();
  config_.index_segments = true;
  write_log(80);
  const std::string middle = note();
  write_log(20);
  const std::string end = note();
  config_.retention.max_age = std::chrono::seconds(60);
  const auto kept = keep_segments(config_);
  ASSERT_TRUE(kept.has_value()) << kept.error().message;
  ASSERT_GT(kept->segments_removed, 0U);
  ASSERT_GT(kept->segments_compressed, 0U);
  const std::string newest = note();
  const std::uint64_t first = report().first_sequence;
  ASSERT_LT(first, checkpoint_of(middle).sequence);
  for (std::uint64_t sequence = first; sequence <= written_.size(); sequence += 7) {
    const auto proof = prove_record(config_.directory, sequence, end, keys_);
    ASSERT_TRUE(proof.has_value()) << sequence << ": " << proof.error().message;
    EXPECT_EQ(check_record_proof(*proof, keys_)->payload, written_[sequence - 1]);
  }
  for (const std::string& held : {middle, end, newest}) {
    const auto checked = check_log(config_.directory, checkpoint_of(held));
    EXPECT_TRUE(checked.has_value()) << checked.error().message;
  }
  EXPECT_TRUE(prove_consistency(config_.directory, middle, end, keys_).has_value());
  EXPECT_TRUE(prove_consistency(config_.directory, end, newest, keys_).has_value());
  EXPECT_FALSE(prove_record(config_.directory, first - 1, end, keys_).has_value());
  expect_sound();
}

TEST_F(SegmentKeeperTest, ReadersGoOnBesideIt) {
  write_log();
  auto reader = Reader::open(config_.directory);
  auto overtaken = Reader::open(config_.directory);
  RecordView record;
  ASSERT_EQ(reader->next(record), ReadStatus::kRecord);
  ASSERT_EQ(overtaken->next(record), ReadStatus::kRecord);
  keep();  // what both have open is replaced
  ASSERT_FALSE(std::filesystem::exists(segment(1)));
  std::uint64_t count = 1;
  while (reader->next(record) == ReadStatus::kRecord) ++count;
  EXPECT_EQ(count, written_.size()) << reader->error().message;
  config_.retention.max_bytes = 2 * config_.segment_bytes;
  now_ns_ += 1'000'000'000'000;
  config_.retention.max_age = std::chrono::seconds(1);
  keep();
  ReadStatus status = ReadStatus::kRecord;
  while (status == ReadStatus::kRecord) status = overtaken->next(record);
  EXPECT_EQ(status, ReadStatus::kIo);
  EXPECT_EQ(overtaken->error().code, ErrorCode::kNotFound);
  EXPECT_NE(overtaken->error().message.find("begins with segment"), std::string::npos);
}

TEST_F(SegmentKeeperTest, AVerifierThatItOvertakesFindsNoFault) {
  write_log();
  config_.retention.max_bytes = 2 * config_.segment_bytes;
  bool kept = false;
  const auto found = verify(config_.directory, [&](std::uint64_t, std::uint64_t) {
    if (!kept) keep();  // in the midst of segment 1, which it has open
    kept = true;
    return true;
  });
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_TRUE(found->ok) << reason(*found);
  EXPECT_EQ(found->root_hex, report().root_hex);
  EXPECT_GT(report().first_segment, 2U) << "or nothing was overtaken";
}

TEST_F(SegmentKeeperTest, NothingIsCompressedThatAnOldReaderWouldMiss) {
  config_.compress_after_segments = 0;
  write_log();
  config_.compress_after_segments = 1;
  keep();
  EXPECT_EQ(count_of(".zst"), 0U) << "no header says that there may be compressed segments";
  open();
  append("in a segment whose header says so");
  close();
  keep();
  EXPECT_GT(count_of(".zst"), 0U);
  expect_sound();
}

TEST_F(SegmentKeeperTest, ADamagedSegmentIsNotCompressedAndNamed) {
  write_log();
  Bytes bytes = load(segment(2));
  bytes[kFirstBlockOffset + 300] ^= 1;
  store(segment(2), bytes);
  auto mine = keeper();
  const auto kept = mine->step_until_done();
  ASSERT_FALSE(kept.has_value());
  EXPECT_EQ(kept.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(kept.error().segment, 2U);
  EXPECT_NE(kept.error().message.find("not compressed"), std::string::npos);
  EXPECT_EQ(load(segment(2)), bytes);
  EXPECT_FALSE(mine->step_until_done().has_value()) << "said again";
  EXPECT_TRUE(std::filesystem::exists(packed(1)));
  EXPECT_TRUE(std::filesystem::exists(packed(3))) << "the others do not wait for it";
}

TEST_F(SegmentKeeperTest, DamageInACompressedSegmentIsCorruptionWithItsPlace) {
  write_log();
  keep();
  const Bytes good = load(packed(2));
  const ReadBack whole = read_all();
  std::uint64_t harmless = 0;
  for (std::size_t at = 0; at < good.size(); at += 37) {
    Bytes bytes = good;
    bytes[at] ^= 4;
    store(packed(2), bytes);
    const VerifyReport found = report();
    if (found.ok) {
      // A bit that zstd does not look at: what the segment says is the same.
      EXPECT_EQ(read_all().texts, whole.texts) << "byte " << at;
      ++harmless;
      continue;
    }
    EXPECT_EQ(found.fault_count, 1U) << "byte " << at << ": " << reason(found);
    EXPECT_EQ(found.first_fault->segment, 2U) << "byte " << at;
    EXPECT_EQ(found.torn_tail_bytes, 0U) << "byte " << at;
    EXPECT_NE(reason(found).find("compressed"), std::string::npos) << reason(found);
  }
  EXPECT_LE(harmless, good.size() / 37 / 20);
  // A reader says it too, and a writer changes nothing.
  Bytes bytes = good;
  bytes[20] ^= 4;
  store(packed(2), bytes);
  const ReadBack back = read_all();
  EXPECT_EQ(back.status, ReadStatus::kCorrupt);
  EXPECT_EQ(back.error.segment, 2U);
  EXPECT_NE(back.error.message.find(".segment.zst at byte"), std::string::npos);
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, good.size() - 1}) {
    store(packed(2), Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
    EXPECT_FALSE(report().ok) << size;
    EXPECT_EQ(load(packed(2)).size(), size);
  }
  store(packed(2), good);
  expect_sound();
}

TEST_F(SegmentKeeperTest, TheWriterNeitherCutsNorMendsACompressedSegment) {
  write_log(30);
  keep();
  // All later ones are gone: the writer finds a compressed one at the log's end.
  for (const std::uint64_t number : numbers()) {
    if (number > 1) std::filesystem::remove(segment(number));
    if (number > 1) std::filesystem::remove(packed(number));
  }
  open();
  append("goes on");
  close();
  EXPECT_TRUE(report().ok);
  EXPECT_TRUE(std::filesystem::exists(packed(1)));
  std::filesystem::remove(segment(numbers().back()));
  Bytes bytes = load(packed(1));
  bytes[bytes.size() - 1] ^= 1;
  store(packed(1), bytes);
  const auto opened = Writer::open(config_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(load(packed(1)), bytes);
}

TEST_F(SegmentKeeperTest, TheWritersOwnDoesItAllWhileTheLogGrows) {
  sign();
  config_.index_segments = true;
  config_.keep_interval = std::chrono::milliseconds(1);
  config_.retention.max_age = std::chrono::seconds(60);
  open();
  for (int block = 0; block < 400; ++block) {
    append_many(3, 1000);
    flush();
    now_ns_ += 1'000'000'000;
    const KeeperStats stats = writer_->keeper_stats();
    if (stats.segments_removed > 3 && stats.segments_compressed > 3) break;
    if (block > 100) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(writer_->keeper_health().has_value());
  const KeeperStats stats = writer_->keeper_stats();
  EXPECT_GT(stats.segments_removed, 3U);
  EXPECT_GT(stats.segments_compressed, 3U);
  EXPECT_LT(stats.stored_bytes, stats.plain_bytes);
  EXPECT_GT(stats.indexes_written, 3U);
  close();
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_TRUE(check_log(config_.directory, checkpoint_of(note())).has_value());
}

TEST_F(SegmentKeeperTest, RefusesNonsense) {
  const auto refused = [&](const char* field) {
    const auto checked = validated(config_);
    EXPECT_FALSE(checked.has_value()) << field;
    if (checked) return;
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(checked.error().message.find(field), std::string::npos) << checked.error().message;
  };
  config_.retention.max_bytes = 2 * config_.segment_bytes - 1;
  refused("retention.max_bytes");
  config_.retention.max_bytes = 0;
  config_.retention.max_age = std::chrono::seconds(-1);
  refused("retention.max_age");
  config_.retention.max_age = {};
  config_.compress_level = 0;
  refused("compress_level");
  config_.compress_level = 20;
  refused("compress_level");
  config_.compress_level = 3;
  config_.keep_interval = {};
  refused("keep_interval");
  EXPECT_EQ(keep_segments(config_).error().code, ErrorCode::kNotFound) << "there is no log";
}

}  // namespace
}  // namespace grace::ledger
