// Records composed in the stage end up in the buffer as if they had been composed there.
#include "record_stage.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "block_writer.h"

namespace grace::ledger::internal {
namespace {

constexpr std::uint64_t kBegin = sizeof(BlockHeader);

// Frames a record of `length` bytes at `at`, but for its CRC.
void compose(std::byte* at, std::uint64_t sequence, std::size_t length) {
  std::memset(at, 0, record_footprint_bytes(length));
  RecordHeader header;
  header.length = static_cast<std::uint32_t>(length);
  header.sequence = sequence;
  std::memcpy(at, &header, sizeof(header));
  std::memset(at + sizeof(header), static_cast<int>(sequence * 37 % 251), length);
}

struct Composed {
  std::vector<std::byte> bytes;
  std::uint32_t crc_of_crcs = 0;
};

Composed in_place(const std::vector<std::size_t>& lengths) {
  Composed made;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::size_t at = made.bytes.size();
    made.bytes.resize(at + record_footprint_bytes(lengths[i]));
    compose(made.bytes.data() + at, i + 1, lengths[i]);
  }
  seal_records(made.bytes, made.crc_of_crcs);
  return made;
}

// As the committer does it.
Composed by_stage(const std::vector<std::size_t>& lengths, bool past_caches) {
  BlockBuffer buffer(1 << 20);
  RecordStage stage(past_caches);
  stage.begin(buffer, kBegin);
  std::uint64_t at = kBegin;
  Composed made;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::uint64_t footprint = record_footprint_bytes(lengths[i]);
    if (!stage.has_room(footprint)) {
      stage.seal(made.crc_of_crcs);
      stage.move_to(buffer);
    }
    std::vector<std::byte> framed(footprint);
    compose(framed.data(), i + 1, lengths[i]);
    RecordHeader header;
    std::memcpy(&header, framed.data(), sizeof(header));
    const auto payload = std::span(framed).subspan(sizeof(header), lengths[i]);
    const auto head = payload.first(lengths[i] / 3);
    const auto body = payload.subspan(head.size());
    if (stage.has_room(footprint)) {
      stage.put(header, head, body);
    } else {
      stage.finish(buffer);
      stage.put_past(buffer, header, head, body, made.crc_of_crcs);
    }
    at += footprint;
  }
  stage.seal(made.crc_of_crcs);
  stage.finish(buffer);
  const auto records = buffer.first(at).subspan(kBegin);
  made.bytes.assign(records.begin(), records.end());
  return made;
}

void expect_same(const std::vector<std::size_t>& lengths) {
  const Composed expected = in_place(lengths);
  for (const bool past_caches : {false, true}) {
    const Composed made = by_stage(lengths, past_caches);
    EXPECT_EQ(made.crc_of_crcs, expected.crc_of_crcs) << past_caches;
    ASSERT_EQ(made.bytes.size(), expected.bytes.size());
    EXPECT_TRUE(made.bytes == expected.bytes) << past_caches;
  }
}

TEST(RecordStageTest, ManySmallRecords) {
  expect_same(std::vector<std::size_t>(1000, 128));
}

TEST(RecordStageTest, EveryLengthAboutALine) {
  std::vector<std::size_t> lengths;
  for (std::size_t length = 0; length < 400; ++length) lengths.push_back(length * 7 % 200);
  expect_same(lengths);
}

TEST(RecordStageTest, RecordsThatFillTheStageOrAreLarger) {
  for (const std::size_t length :
       {RecordStage::kBytes - 128, RecordStage::kBytes - 64, RecordStage::kBytes - 25,
        RecordStage::kBytes - 24, RecordStage::kBytes - 23, RecordStage::kBytes,
        std::size_t{50'000}}) {
    expect_same({10, length, 3, length, length, 200, 40});
  }
}

TEST(RecordStageTest, NothingButOneRecord) {
  expect_same({0});
  expect_same({1});
  expect_same({100'000});
}

}  // namespace
}  // namespace grace::ledger::internal
