#include "compressed_segment.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "block.h"
#include "campaign.h"
#include "grace/ledger/format.h"

namespace grace::ledger::internal {
namespace {

using Data = std::vector<std::byte>;

class CompressedSegmentTest : public ::testing::Test {
 protected:
  // Half of it is noise, so that frames differ in size.
  static Data data_of(std::size_t bytes) {
    Random random(bytes);
    Data data(bytes);
    for (std::size_t at = 0; at < bytes; ++at) {
      data[at] = static_cast<std::byte>(at % 64 < 32 ? random.next() : at / 1000);
    }
    return data;
  }
  Data compressed(std::span<const std::byte> data, int level = 3) {
    MemorySource plain(data);
    const std::string path = folder_ / "file";
    const auto bytes = write_compressed(real_file_system(), plain, path, level, go_on_);
    EXPECT_TRUE(bytes.has_value()) << bytes.error().message;
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(text.size(), *bytes);
    Data out(text.size());
    std::memcpy(out.data(), text.data(), text.size());
    return out;
  }
  static Result<Data> all_of(std::span<const std::byte> file) {
    CompressedSource source(std::make_unique<MemorySource>(file));
    const auto size = source.size();
    if (!size) return tl::unexpected<Error>(size.error());
    Data out(*size);
    const auto got = source.read(0, out);
    if (!got) return tl::unexpected<Error>(got.error());
    out.resize(*got);
    return out;
  }

  CampaignFolder folder_{"compressed_segment"};
  std::atomic<bool> go_on_{false};
};

TEST_F(CompressedSegmentTest, GivesBackWhatItTookAtEachPlace) {
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{4096}, std::size_t{kFrameBytes - 1}, std::size_t{kFrameBytes},
        std::size_t{kFrameBytes + 1}, std::size_t{7 * kFrameBytes + 12288}}) {
    const Data data = data_of(bytes);
    const Data file = compressed(data);
    EXPECT_EQ(all_of(file).value(), data) << bytes;
    CompressedSource source(std::make_unique<MemorySource>(file));
    Random random(7);
    for (int look = 0; look < 200; ++look) {
      const std::uint64_t at = random.below(bytes + 10);
      Data part(random.below(3 * kFrameBytes / 2));
      const auto got = source.read(at, part);
      ASSERT_TRUE(got.has_value()) << got.error().message;
      ASSERT_EQ(*got, at >= bytes ? 0 : std::min<std::uint64_t>(part.size(), bytes - at));
      if (*got > 0) {
        ASSERT_EQ(std::memcmp(part.data(), data.data() + at, *got), 0) << at;
      }
    }
  }
}

TEST_F(CompressedSegmentTest, TakesEachLevelThatMayBeConfigured) {
  const Data data = data_of(kFrameBytes + 5000);
  for (int level = 1; level <= kCompressLevelMax; ++level) {
    EXPECT_EQ(all_of(compressed(data, level)).value(), data) << level;
  }
}

TEST_F(CompressedSegmentTest, NoFlippedBitGivesOtherBytes) {
  const Data data = data_of(kFrameBytes + 300);
  const Data good = compressed(data);
  Random random(1);
  std::uint64_t found = 0;
  const auto try_at = [&](std::size_t at, std::byte mask) {
    Data bad = good;
    bad[at] ^= mask;
    const auto read = all_of(bad);
    if (read) {
      EXPECT_EQ(*read, data) << "byte " << at;
      return;
    }
    ++found;
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(read.error().message.find("compressed"), std::string::npos);
  };
  // The ends, where heads and table are, bit by bit; the middle here and there.
  for (int bit = 0; bit < 8; ++bit) {
    for (std::size_t at = 0; at < 40; ++at) {
      try_at(at, std::byte{1} << bit);
      try_at(good.size() - 1 - at, std::byte{1} << bit);
    }
  }
  EXPECT_EQ(found, 2U * 40 * 8) << "these are all found";
  for (int look = 0; look < 300; ++look) try_at(random.below(good.size()), std::byte{16});
}

TEST_F(CompressedSegmentTest, DamageInOneFrameLeavesTheOthers) {
  const Data data = data_of(3 * kFrameBytes);
  Data file = compressed(data);
  const auto size_of_first = load<std::uint32_t>(file, file.size() - 9 - 3 * 12);
  file[size_of_first + 1000] ^= std::byte{1};
  CompressedSource source(std::make_unique<MemorySource>(file));
  Data part(100);
  EXPECT_EQ(source.read(kFrameBytes - 100, part).value(), 100U);
  EXPECT_EQ(source.read(2 * kFrameBytes, part).value(), 100U);
  for (int look = 0; look < 2; ++look) {  // and nothing half done stays in the cache
    const auto damaged = source.read(kFrameBytes + 50, part);
    ASSERT_FALSE(damaged.has_value());
    EXPECT_EQ(damaged.error().offset, kFrameBytes) << "in the segment, not in the file";
    EXPECT_NE(damaged.error().message.find("compressed frame 1"), std::string::npos);
  }
}

TEST_F(CompressedSegmentTest, BelievesNoSeekTable) {
  const Data data = data_of(2 * kFrameBytes + 4096);
  const Data good = compressed(data);
  const std::size_t entries_at = good.size() - 9 - 3 * 12;
  const auto with = [&](std::size_t at, std::uint32_t value) {
    Data bad = good;
    std::memcpy(bad.data() + at, &value, sizeof(value));
    return all_of(bad);
  };
  for (const std::uint32_t count : {0U, 1U, 2U, 4U, 65536U, 65537U, ~0U}) {
    EXPECT_FALSE(with(good.size() - 9, count).has_value()) << "count " << count;
  }
  for (std::size_t entry = 0; entry < 3; ++entry) {
    for (const std::uint32_t value :
         {0U, 1U, 4095U, 65536U, 262143U, 262145U, 1U << 20, (1U << 20) + 1, 1U << 31, ~0U}) {
      EXPECT_FALSE(with(entries_at + entry * 12, value).has_value());
      EXPECT_FALSE(with(entries_at + entry * 12 + 4, value).has_value());
    }
  }
  // Two that cancel out: the sums are right and the frames are not.
  Data bad = good;
  const auto first = load<std::uint32_t>(bad, entries_at) + 1;
  const auto second = load<std::uint32_t>(bad, entries_at + 12) - 1;
  std::memcpy(bad.data() + entries_at, &first, 4);
  std::memcpy(bad.data() + entries_at + 12, &second, 4);
  EXPECT_FALSE(all_of(bad).has_value());
  for (std::size_t size = 0; size < good.size(); size += 4999) {
    EXPECT_FALSE(all_of(std::span(good).first(size)).has_value()) << "cut to " << size;
  }
}

TEST_F(CompressedSegmentTest, StopsWhenAskedAndComparesHonestly) {
  const Data data = data_of(2 * kFrameBytes);
  MemorySource plain(data);
  std::atomic<bool> stop{true};
  const auto written = write_compressed(real_file_system(), plain, folder_ / "stopped", 3, stop);
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().code, ErrorCode::kClosed);
  Data other = data;
  other[kFrameBytes + 10] ^= std::byte{1};
  MemorySource changed(other);
  MemorySource shorter{std::span(data).first(data.size() - 1)};
  EXPECT_TRUE(same_bytes(plain, plain, go_on_).has_value());
  EXPECT_EQ(same_bytes(plain, changed, go_on_).error().offset, kFrameBytes);
  EXPECT_FALSE(same_bytes(plain, shorter, go_on_).has_value());
}

}  // namespace
}  // namespace grace::ledger::internal
