#include "segment_index.h"

#include <cstring>

#include "grace/ledger/crc32c.h"
#include "keeper_fixture.h"

namespace grace::ledger {
namespace {

using internal::SegmentScanner;

class SegmentIndexTest : public KeeperTest {
 protected:
  void SetUp() override {
    KeeperTest::SetUp();
    config_.index_segments = true;
    config_.compress_after_segments = 0;
    config_.segment_bytes = 2 << 20;  // 500 blocks of 4 KiB
  }
  // How many block headers it takes to come to the block with a record of segment 1.
  [[nodiscard]] std::uint64_t headers_to(std::uint64_t sequence) const {
    auto scanner = std::move(*SegmentScanner::open(config_.directory, 1, false));
    EXPECT_TRUE(scanner->read_header().has_value());
    internal::ChainState chain = scanner->chain();
    internal::pass_by_index(
        *scanner, chain, config_.directory, 1,
        [&](const internal::IndexEntry& entry) { return entry.first_sequence <= sequence; });
    while (chain.next_sequence <= sequence) {
      if (scanner->skip(chain) != SegmentScanner::Step::kBlock) return 0;
    }
    return scanner->headers_read();
  }
  [[nodiscard]] std::string read_at(std::uint64_t sequence) const {
    ReaderOptions options;
    options.from_sequence = sequence;
    auto reader = Reader::open(config_.directory, options);
    RecordView record;
    if (!reader || reader->next(record) != ReadStatus::kRecord) return "nothing";
    EXPECT_EQ(record.sequence, sequence);
    return std::string(record.text());
  }
};

TEST_F(SegmentIndexTest, SparesReadingHeaders) {
  write_log(700);
  keep();
  ASSERT_EQ(count_of(".index"), 1U);
  std::uint64_t with = 0;
  std::uint64_t without = 0;
  std::uint64_t looks = 0;
  const std::uint64_t last = 1400;  // in segment 1
  for (const bool indexed : {true, false}) {
    if (!indexed) std::filesystem::remove(index_file(1));
    for (std::uint64_t sequence = 1; sequence <= last; sequence += 13) {
      const std::uint64_t headers = headers_to(sequence);
      ASSERT_GT(headers, 0U);
      (indexed ? with : without) += headers;
      looks += indexed ? 1 : 0;
      if (indexed) {
        EXPECT_LE(headers, internal::kIndexStride);
      }
    }
  }
  std::printf("block headers read for a record of a segment with 4 KiB blocks: %.1f, not %.1f\n",
              static_cast<double>(with) / static_cast<double>(looks),
              static_cast<double>(without) / static_cast<double>(looks));
  EXPECT_LT(with * 10, without);
}

TEST_F(SegmentIndexTest, EveryRecordIsFoundWithIt) {
  config_.segment_bytes = 256 << 10;
  config_.compress_after_segments = 1;
  write_log(200);
  keep();
  ASSERT_GE(count_of(".index"), 3U);
  ASSERT_GE(count_of(".zst"), 2U) << "compressed ones, too";
  for (std::uint64_t sequence = 1; sequence <= written_.size(); ++sequence) {
    ASSERT_EQ(read_at(sequence), written_[sequence - 1]) << sequence;
  }
  expect_sound();
}

TEST_F(SegmentIndexTest, IsIgnoredWhereverItIsWrongAndThenBuiltAgain) {
  config_.segment_bytes = 256 << 10;
  write_log(200);
  keep();
  const Bytes good = load(index_file(1));
  const Bytes other = load(index_file(2));
  const std::uint64_t wanted = 150;
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bytes = good;
    bytes[at] ^= 1;
    store(index_file(1), bytes);
    ASSERT_EQ(read_at(wanted), written_[wanted - 1]) << "byte " << at;
    EXPECT_GT(headers_to(wanted), internal::kIndexStride) << "byte " << at << " was believed";
  }
  for (const Bytes& bytes : {other, Bytes{}, Bytes(good.begin(), good.end() - 1)}) {
    store(index_file(1), bytes);
    EXPECT_GT(headers_to(wanted), internal::kIndexStride);
    keep();
    EXPECT_EQ(load(index_file(1)), good);
    EXPECT_LE(headers_to(wanted), internal::kIndexStride);
  }
}

// One whose CRC is right, and that points elsewhere.
TEST_F(SegmentIndexTest, ABlockIsNotWhatAnIndexSaysUntilItIsSeen) {
  config_.segment_bytes = 256 << 10;
  write_log(200);
  keep();
  const Bytes good = load(index_file(1));
  auto index = *internal::parse_index(std::as_bytes(std::span(good)));
  const auto put = [&](const internal::SegmentIndex& lying) {
    const auto bytes = internal::to_bytes(lying);
    Bytes chars(bytes.size());
    std::memcpy(chars.data(), bytes.data(), bytes.size());
    store(index_file(1), chars);
  };
  for (std::size_t at = 1; at < index.entries.size(); ++at) {
    internal::SegmentIndex lying = index;
    lying.entries[at].offset += kBlockAlignment;
    put(lying);
    for (std::uint64_t sequence = 1; sequence < 180; ++sequence) {
      ASSERT_EQ(read_at(sequence), written_[sequence - 1]) << at << ", " << sequence;
    }
    lying = index;
    lying.entries[at].first_sequence -= 1;
    put(lying);
    for (std::uint64_t sequence = 1; sequence < 180; ++sequence) {
      ASSERT_EQ(read_at(sequence), written_[sequence - 1]) << at << ", " << sequence;
    }
  }
}

TEST_F(SegmentIndexTest, FindsATimeWithAndWithoutIt) {
  config_.segment_bytes = 256 << 10;
  config_.compress_after_segments = 1;
  const std::int64_t start_ns = now_ns_;
  write_log(200);
  for (const bool indexed : {false, true}) {
    if (indexed) keep();
    // Three records a block, a block a second.
    for (std::int64_t second = 0; second < 200; ++second) {
      const auto found = find_time(config_.directory, start_ns + second * 1'000'000'000);
      ASSERT_TRUE(found.has_value()) << found.error().message;
      EXPECT_EQ(*found, static_cast<std::uint64_t>(3 * second + 1)) << "second " << second;
    }
    EXPECT_EQ(find_time(config_.directory, 0).value(), 1U);
    EXPECT_EQ(find_time(config_.directory, now_ns_ + 1).value(), written_.size() + 1);
  }
  EXPECT_EQ(find_time((directory_ / "absent").string(), 0).error().code, ErrorCode::kNotFound);
}

TEST_F(SegmentIndexTest, GoesWithItsSegment) {
  config_.segment_bytes = 256 << 10;
  write_log(200);
  keep();
  ASSERT_TRUE(std::filesystem::exists(index_file(1)));
  config_.retention.max_bytes = 2 * config_.segment_bytes;
  keep();
  EXPECT_FALSE(std::filesystem::exists(index_file(1)));
  EXPECT_EQ(count_of(".index"), numbers().size() - 1);
}

}  // namespace
}  // namespace grace::ledger
