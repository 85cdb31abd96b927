#include <algorithm>
#include <cstring>

#include "faulty_file_system.h"
#include "grace/ledger/crc32c.h"
#include "hash_fixture.h"

namespace grace::ledger {
namespace {

using internal::hash_sealed_segment;
using internal::HashJob;
using internal::parse_tree_file;
using internal::TreeFile;

TreeFile sample_file(std::uint64_t first_block, std::size_t blocks) {
  TreeFile file;
  file.log_id[3] = 7;
  file.segment_number = first_block == 0 ? 1 : 5;
  file.first_sequence = 11;
  file.last_sequence = 20;
  for (std::uint64_t at = 0; at < first_block; ++at) file.before.push(Hash{1});
  file.after = file.before;
  for (std::size_t at = 0; at < blocks; ++at) {
    file.records_hashes.push_back(Hash{static_cast<std::uint8_t>(at)});
    file.after.push(Hash{2});
  }
  return file;
}

void refresh_crc(std::vector<std::byte>& bytes) {
  TreeFileHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.file_crc = 0;
  std::memcpy(bytes.data(), &header, sizeof(header));
  header.file_crc = crc32c(bytes);
  std::memcpy(bytes.data(), &header, sizeof(header));
}

TEST(TreeFile, ComesBackFromItsBytes) {
  for (const std::uint64_t first : {0, 1, 6, 7}) {
    for (const std::size_t blocks : {0, 1, 5}) {
      const TreeFile file = sample_file(first, blocks);
      const auto parsed = parse_tree_file(internal::to_bytes(file));
      ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
      EXPECT_EQ(*parsed, file) << first << " and " << blocks;
    }
  }
}

TEST(TreeFile, EveryFlippedBitAndEveryOtherLengthIsFound) {
  auto bytes = internal::to_bytes(sample_file(3, 2));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(parse_tree_file(bytes).has_value()) << bit;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse_tree_file(std::span(bytes).first(size)).has_value()) << size;
  }
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(parse_tree_file(bytes).has_value());
}

TEST(TreeFile, RefusesNumbersThatContradictEachOther) {
  const auto refused = [](std::size_t at, std::uint64_t value) {
    auto bytes = internal::to_bytes(sample_file(3, 2));
    std::memcpy(bytes.data() + at, &value, sizeof(value));
    refresh_crc(bytes);
    return parse_tree_file(bytes).error().code;
  };
  EXPECT_EQ(refused(0, 5), ErrorCode::kCorrupt);   // magic
  EXPECT_EQ(refused(32, 0), ErrorCode::kCorrupt);  // segment
  EXPECT_EQ(refused(32, 1), ErrorCode::kCorrupt);  // which begins the log
  EXPECT_EQ(refused(40, 0), ErrorCode::kCorrupt);  // sequences
  EXPECT_EQ(refused(48, 9), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(48, ~std::uint64_t{0}), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(56, ~std::uint64_t{0}), ErrorCode::kCorrupt);  // blocks
  EXPECT_EQ(refused(64, 1), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(64, std::uint64_t{1} << 60), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(72, 1), ErrorCode::kCorrupt);  // reserved
  auto newer = internal::to_bytes(sample_file(3, 2));
  newer[12] = std::byte{2};
  refresh_crc(newer);
  EXPECT_EQ(parse_tree_file(newer).error().code, ErrorCode::kUnsupported);
}

// What another implementation of section 21 would compute, from the bytes of the segments.
TEST_F(HashTest, TheTreeFileSaysWhatTheDocumentSays) {
  write_closed();
  ASSERT_GE(segments().size(), 3U);
  ASSERT_TRUE(hash_all().has_value());
  EXPECT_EQ(tree_files(), segments());
  Frontier blocks;
  for (const std::uint64_t number : segments()) {
    const Bytes bytes = load(segment(number));
    const TreeFile file = tree(number);
    EXPECT_EQ(file.before, blocks);
    std::size_t index = 0;
    for (std::size_t at = kFirstBlockOffset; at < bytes.size(); ++index) {
      BlockHeader header;
      std::memcpy(&header, bytes.data() + at, sizeof(header));
      const auto records = std::as_bytes(std::span(bytes)).subspan(at + 128, header.records_bytes);
      ASSERT_LT(index, file.records_hashes.size());
      EXPECT_EQ(file.records_hashes[index], sha256(records));
      std::string entry(bytes.data() + at, 96);
      entry.append(reinterpret_cast<const char*>(file.records_hashes[index].data()), 32);
      blocks.push(merkle_leaf_hash(as_bytes(entry)));
      at += header.block_bytes;
    }
    EXPECT_EQ(index, file.records_hashes.size());
    EXPECT_EQ(file.after, blocks);
  }
  EXPECT_EQ(tree(segments().back()).last_sequence, written_.size());
}

// Made by make_samples.py, which shares no code with us.
TEST_F(HashTest, TheKeptSegmentGivesTheKeptTreeFile) {
  const std::string tests = std::string(GRACE_SOURCE_DIR) + "/tests/ledger/";
  std::filesystem::create_directory(config_.directory);
  store(segment(1), load(tests + "corpus/closed_crc32c.segment"));
  ASSERT_TRUE(hash_all().has_value());
  const Bytes kept = load(tests + "tree_corpus/closed_crc32c.tree");
  ASSERT_FALSE(kept.empty());
  EXPECT_EQ(load(tree_file(1)), kept);
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(HashTest, TheJobChangesNothingWhenRunAgain) {
  write_closed();
  ASSERT_TRUE(hash_all().has_value());
  const auto before = files();
  FaultyFileSystem fs;
  ASSERT_TRUE(hash_all(fs).has_value());
  EXPECT_EQ(fs.calls(), 0U);
  EXPECT_EQ(files(), before);
}

TEST_F(HashTest, ASegmentWithoutSealIsLeftAlone) {
  open();
  append_many(3);
  flush();
  ASSERT_TRUE(hash_all().has_value());
  EXPECT_TRUE(tree_files().empty());
  close();
}

TEST_F(HashTest, AMissingOrDamagedTreeFileIsMadeAgain) {
  write_closed();
  ASSERT_TRUE(hash_all().has_value());
  const auto before = files();
  std::filesystem::remove(tree_file(1));
  Bytes damaged = load(tree_file(2));
  damaged[130] = static_cast<char>(damaged[130] ^ 4);
  store(tree_file(2), damaged);
  Bytes cut = load(tree_file(3));
  cut.resize(cut.size() / 2);
  store(tree_file(3), cut);
  EXPECT_FALSE(report().ok);
  EXPECT_EQ(log_stats(config_.directory)->hashing.last_sequence, written_.size());
  ASSERT_TRUE(hash_all().has_value());
  EXPECT_EQ(files(), before);
  const std::uint64_t last = segments().back();
  store(tree_file(last), Bytes(10));
  EXPECT_EQ(log_stats(config_.directory)->hashing.last_sequence, tree(last - 1).last_sequence);
  ASSERT_TRUE(hash_all().has_value());
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(HashTest, ADamagedSegmentIsNotHashed) {
  write_closed();
  Bytes bytes = load(segment(2));
  bytes[kFirstBlockOffset + 200] ^= 1;
  store(segment(2), bytes);
  const auto hashed = hash_all();
  ASSERT_FALSE(hashed.has_value());
  EXPECT_EQ(hashed.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(hashed.error().segment, 2U);
  EXPECT_EQ(hashed.error().offset, kFirstBlockOffset + 128) << hashed.error().message;
  EXPECT_EQ(tree_files(), std::vector<std::uint64_t>{1});
}

TEST_F(HashTest, ATreeThatIsNotTheSegmentsIsRefused) {
  write_closed();
  const HashJob job{real_file_system(), config_.directory};
  const auto hashed = hash_sealed_segment(job, 2, Frontier{});
  ASSERT_FALSE(hashed.has_value());
  EXPECT_EQ(hashed.error().code, ErrorCode::kCorrupt);
}

TEST_F(HashTest, AnotherLogsSegmentIsRefused) {
  config_.integrity = Integrity::kSha256;
  write_closed(1);
  const HashJob job{real_file_system(), config_.directory};
  EXPECT_EQ(hash_sealed_segment(job, 1, Frontier{}).error().code, ErrorCode::kCorrupt);
  EXPECT_TRUE(tree_files().empty());
}

TEST_F(HashTest, AJobThatIsStoppedLeavesNothing) {
  write_closed();
  HashJob job{real_file_system(), config_.directory};
  job.stopped = [] { return true; };
  const auto hashed = hash_sealed_segment(job, 1, Frontier{});
  ASSERT_TRUE(hashed.has_value());
  EXPECT_FALSE(hashed->has_value());
  EXPECT_TRUE(tree_files().empty());
}

// Each call of the job fails, and with it the process ends: whatever it leaves is a sound log, and
// the next run brings it to where an undisturbed one would have.
TEST_F(HashTest, ACrashAtEachCallOfTheJobIsMadeGood) {
  write_closed();
  snapshot_to("written");
  ASSERT_TRUE(hash_all(real_file_system(), true).has_value());
  const auto expected = files();
  FaultyFileSystem counting;
  continue_with("written");
  ASSERT_TRUE(hash_all(counting, true).has_value());
  const std::uint64_t calls = counting.calls();
  ASSERT_GE(calls, 8 * segments().size());
  const std::string work = (directory_ / "work").string();
  for (std::uint64_t at = 1; at <= calls; ++at) {
    for (const int error : {EIO, ENOSPC}) {
      std::filesystem::remove_all(work);
      std::filesystem::copy(directory_ / "log", work);
      for (const std::uint64_t number : segments()) {
        std::filesystem::remove(internal::tree_path(work, number));
      }
      config_.directory = work;
      FaultyFileSystem fs;
      fs.fail_call(at, error);
      const auto stopped = hash_all(fs, true);
      ASSERT_FALSE(stopped.has_value()) << "call " << at;
      ASSERT_NE(stopped.error().code, ErrorCode::kCorrupt) << stopped.error().message;
      const VerifyReport left = report();
      ASSERT_TRUE(left.ok) << "call " << at << ": " << reason(left);
      ASSERT_EQ(left.hashing.segments, tree_files().size());
      ASSERT_EQ(left.hashing.last_sequence + left.hashing.unhashed_records, written_.size());
      ASSERT_TRUE(hash_all(real_file_system(), true).has_value());
      for (const auto& [name, bytes] : expected) {
        ASSERT_EQ(load(work + "/" + name), bytes) << name << " after call " << at;
      }
      ASSERT_EQ(files().size(), expected.size()) << "call " << at << " left a file behind";
    }
  }
}

TEST_F(HashTest, AFailedSyncOfTheSegmentSaysSo) {
  write_closed();
  FaultyFileSystem fs;
  fs.fail_call(2, EIO);  // open, then the sync
  const auto hashed = hash_all(fs, true);
  ASSERT_FALSE(hashed.has_value());
  EXPECT_EQ(hashed.error().code, ErrorCode::kSyncFailed);
  EXPECT_TRUE(tree_files().empty());
}

}  // namespace
}  // namespace grace::ledger
