#include <cstring>

#include "grace/ledger/crc32c.h"
#include "hash_fixture.h"

namespace grace::ledger {
namespace {

// Somebody who knows the format and can write every file of the log, but has no key.
class HashTamperTest : public HashTest {
 protected:
  void SetUp() override {
    HashTest::SetUp();
    hash_and_sign();
  }
  template <typename T>
  static T get(const Bytes& bytes, std::size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    return value;
  }
  template <typename T>
  static void put(Bytes& bytes, std::size_t at, const T& value) {
    std::memcpy(bytes.data() + at, &value, sizeof(T));
  }
  // All CRCs and links of a segment's blocks anew, from the chain value before them; the one
  // behind.
  static Hash forge_blocks(Bytes& bytes, const internal::LogId& id, Hash chain) {
    for (std::size_t at = kFirstBlockOffset; at < bytes.size();) {
      auto header = get<BlockHeader>(bytes, at);
      header.previous_hash = chain;
      header.header_crc = internal::block_header_crc(header, id);
      put(bytes, at, header);
      std::uint32_t block_crc = 0;
      std::size_t record_at = at + sizeof(BlockHeader);
      for (std::uint32_t index = 0; index < header.record_count; ++index) {
        auto record = get<RecordHeader>(bytes, record_at);
        const auto payload = std::as_bytes(std::span(bytes)).subspan(record_at + 24, record.length);
        record.crc = internal::record_crc(record, payload);
        put(bytes, record_at, record);
        block_crc = crc32c_extend(block_crc, std::as_bytes(std::span(&record.crc, 1)));
        record_at += record_footprint_bytes(record.length);
      }
      block_crc = crc32c_extend(block_crc, std::as_bytes(std::span(&header, 1)));
      const std::size_t footer_at = at + header.block_bytes - sizeof(BlockFooter);
      auto footer = get<BlockFooter>(bytes, footer_at);
      footer.block_crc = block_crc;
      footer.chain = internal::chain_value(Integrity::kCrc32c, block_crc, header);
      footer.footer_crc = internal::footer_crc(footer);
      put(bytes, footer_at, footer);
      chain = footer.chain;
      at += header.block_bytes;
    }
    return chain;
  }
  // Changes a byte of the first record of segment `from`, and makes all of it and of what follows
  // agree again, but for tree files and checkpoints.
  void forge(std::uint64_t from) {
    Hash chain{};
    for (const std::uint64_t number : segments()) {
      if (number < from) continue;
      Bytes bytes = load(segment(number));
      internal::SegmentStart start;
      const auto head = std::as_writable_bytes(std::span(bytes));
      ASSERT_FALSE(internal::check_segment_header(head.first(kSegmentHeaderBytes), start));
      if (number == from) {
        bytes[kFirstBlockOffset + sizeof(BlockHeader) + sizeof(RecordHeader) + 7] ^= 1;
        chain = start.header.previous_root;
      }
      start.header.previous_root = chain;
      internal::write_segment_header(start, head.first(kSegmentHeaderBytes));
      internal::write_segment_header(start,
                                     head.subspan(kSegmentHeaderBytes).first(kSegmentHeaderBytes));
      chain = forge_blocks(bytes, start.header.log_id, chain);
      store(segment(number), bytes);
    }
  }
  void forge_trees() {
    for (const std::uint64_t number : tree_files()) std::filesystem::remove(tree_file(number));
    ASSERT_TRUE(hash_all().has_value());
  }
};

TEST_F(HashTamperTest, ARecordWithRightCrcsIsFoundByTheTreeFile) {
  write_closed();
  ASSERT_GE(segments().size(), 4U);
  forge(2);
  const VerifyReport verified = report();
  EXPECT_FALSE(verified.ok);
  ASSERT_TRUE(verified.first_fault);
  EXPECT_EQ(verified.first_fault->segment, 2U);
  EXPECT_EQ(verified.first_fault->offset, kFirstBlockOffset);
  EXPECT_NE(reason(verified).find("tree file"), std::string::npos) << reason(verified);
  // Without tree files the forgery is perfect: that is what they are for.
  for (const std::uint64_t number : tree_files()) std::filesystem::remove(tree_file(number));
  EXPECT_TRUE(report().ok) << reason(report());
}

TEST_F(HashTamperTest, WithItsTreeFilesToo_ItIsFoundByTheHeldCheckpoint) {
  write_closed();
  const std::string held = note();
  ASSERT_EQ(why(checkpoint_of(held)), "");
  forge(2);
  forge_trees();
  EXPECT_TRUE(report().ok) << reason(report());
  EXPECT_NE(why(checkpoint_of(held)).find("rewritten"), std::string::npos);
  // A writer that holds a checkpoint does not go on with it either.
  const auto opened = Writer::open(config_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
}

TEST_F(HashTamperTest, WithoutAnyTreeFile_TheHeldCheckpointIsComparedWithTheSegments) {
  write_closed();
  const std::string held = note();
  snapshot_to("sound");
  forge(2);
  for (const std::uint64_t number : tree_files()) std::filesystem::remove(tree_file(number));
  EXPECT_NE(why(checkpoint_of(held)).find("rewritten"), std::string::npos);
  continue_with("sound");
  for (const std::uint64_t number : tree_files()) std::filesystem::remove(tree_file(number));
  EXPECT_EQ(why(checkpoint_of(held)), "");
}

TEST_F(HashTamperTest, ARemovedTreeFileHidesNothing) {
  write_closed();
  forge(2);
  std::filesystem::remove(tree_file(2));
  const VerifyReport verified = report();
  EXPECT_FALSE(verified.ok);
  EXPECT_EQ(verified.hashing.missing_files, 1U);
  ASSERT_TRUE(verified.first_fault);
  EXPECT_EQ(verified.first_fault->segment, 3U) << reason(verified);
  // Nor does a hasher make it good: the file after the missing one contradicts it.
  config_.checkpoint.signer = nullptr;
  open();
  for (int i = 0; i < 10'000 && writer_->hash_health().has_value(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_FALSE(writer_->hash_health().has_value());
  EXPECT_EQ(writer_->hash_health().error().code, ErrorCode::kCorrupt);
  close();
  EXPECT_FALSE(report().ok);
}

TEST_F(HashTamperTest, TheJobDoesNotReplaceATreeFileThatContradictsTheSegment) {
  write_closed();
  forge(2);
  const Bytes before = load(tree_file(2));
  const auto hashed = hash_all();
  ASSERT_FALSE(hashed.has_value());
  EXPECT_EQ(hashed.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(hashed.error().segment, 2U);
  EXPECT_EQ(load(tree_file(2)), before);
}

TEST_F(HashTamperTest, TreeFilesThatChangePlacesAreFound) {
  write_closed();
  const Bytes second = load(tree_file(2));
  store(tree_file(2), load(tree_file(3)));
  EXPECT_FALSE(report().ok);
  store(tree_file(2), second);
  EXPECT_TRUE(report().ok);
}

TEST_F(HashTamperTest, EveryForgedHashInATreeFileIsFound) {
  write_closed();
  const internal::TreeFile sound = tree(2);
  const auto expect_found = [&](const internal::TreeFile& file, const std::string& what) {
    ASSERT_TRUE(store_tree_file(real_file_system(), config_.directory, file).has_value());
    EXPECT_FALSE(report().ok) << what;
  };
  for (std::size_t index = 0; index < sound.records_hashes.size(); ++index) {
    internal::TreeFile file = sound;
    file.records_hashes[index][5] ^= 1;
    expect_found(file, "hash " + std::to_string(index));
  }
  internal::TreeFile file = sound;
  file.before = Frontier{};
  file.after = Frontier{};
  for (std::uint64_t leaf = 0; leaf < sound.after.size(); ++leaf) {
    if (leaf < sound.before.size()) file.before.push(Hash{1});
    file.after.push(Hash{1});
  }
  expect_found(file, "both frontiers");
  file.before = sound.before;
  expect_found(file, "the frontier after");
  file = sound;
  file.last_sequence += 1;
  expect_found(file, "the last sequence");
  file = sound;
  file.log_id[0] ^= 1;
  expect_found(file, "the log's id");
  file = sound;
  file.records_hashes.push_back(Hash{});
  file.after.push(Hash{});
  expect_found(file, "one block more");
  ASSERT_TRUE(store_tree_file(real_file_system(), config_.directory, sound).has_value());
  EXPECT_TRUE(report().ok);
}

TEST_F(HashTamperTest, ALogThatWasCutIsFoundByItsTreeFiles) {
  write_closed();
  const std::string held = note();
  const std::uint64_t last = segments().back();
  std::filesystem::remove(segment(last));
  EXPECT_NE(reason(report()).find("the log was cut"), std::string::npos) << reason(report());
  EXPECT_NE(why(checkpoint_of(held)).find("cut"), std::string::npos) << why(checkpoint_of(held));
  // And its tree file with it: then only the held checkpoint knows.
  std::filesystem::remove(tree_file(last));
  EXPECT_TRUE(report().ok);
  EXPECT_NE(why(checkpoint_of(held)).find("cut"), std::string::npos);
}

TEST_F(HashTamperTest, ASealThatWasCutOffIsFoundByTheTreeFile) {
  write_closed();
  const std::uint64_t last = segments().back();
  Bytes bytes = load(segment(last));
  bytes.resize(bytes.size() - kSealBlockBytes);
  store(segment(last), bytes);
  const VerifyReport verified = report();
  EXPECT_FALSE(verified.ok);
  EXPECT_NE(reason(verified).find("tree file speaks of"), std::string::npos) << reason(verified);
}

// Its header is gone, too: without the tree file that would be a torn tail.
TEST_F(HashTamperTest, AHashedSegmentThatWasEmptiedIsNoTornTail) {
  write_closed();
  const std::uint64_t last = segments().back();
  Bytes bytes = load(segment(last));
  bytes.resize(3000);
  store(segment(last), bytes);
  EXPECT_NE(reason(report()).find("the log was cut"), std::string::npos) << reason(report());
  std::filesystem::remove(tree_file(last));
  EXPECT_EQ(report().fault_count, 0U) << reason(report());
}

TEST_F(HashTamperTest, AnEmptyLogIsNotWhatTheHeldCheckpointSpeaksOf) {
  write_closed();
  const std::string held = note();
  for (const std::uint64_t number : segments()) {
    if (number > 1) std::filesystem::remove(segment(number));
    std::filesystem::remove(tree_file(number));
  }
  Bytes bytes = load(segment(1));
  bytes.resize(kFirstBlockOffset);
  store(segment(1), bytes);
  EXPECT_NE(why(checkpoint_of(held)).find("cut"), std::string::npos) << why(checkpoint_of(held));
}

// The unhashed tail: a forgery there is as good as one in a log that nobody hashes.
TEST_F(HashTamperTest, BehindTheNewestTreeFileOnlyCrcsSpeak) {
  write_closed();
  const std::uint64_t last = segments().back();
  std::filesystem::remove(tree_file(last));
  forge(last);
  const VerifyReport verified = report();
  EXPECT_TRUE(verified.ok) << reason(verified);
  EXPECT_EQ(verified.hashing.segments, last - 1);
  EXPECT_EQ(verified.hashing.unhashed_from, tree(last - 1).last_sequence + 1);
  EXPECT_GT(verified.hashing.unhashed_records, 0U);
}

}  // namespace
}  // namespace grace::ledger
