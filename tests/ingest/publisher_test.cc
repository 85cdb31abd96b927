#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "grace/ingest/publish_source.h"
#include "ingest_fixture.h"

namespace grace::ingest {
namespace {

using core::JsonLine;
using core::MetricSample;

PublishConfig small_config() {
  PublishConfig config;
  config.ring_bytes = 4096;
  config.event_bytes_max = 1024;
  return config;
}

std::unique_ptr<PublishSource> made(const PublishConfig& config) {
  auto source = PublishSource::create(config);
  EXPECT_TRUE(source.has_value()) << (source ? "" : source.error().message);
  return std::move(*source);
}

Publisher publisher_of(PublishSource& source) {
  auto publisher = source.publisher();
  EXPECT_TRUE(publisher.has_value()) << (publisher ? "" : publisher.error().message);
  return std::move(*publisher);
}

// The lines that chunks of JsonLine events hold, in order.
std::vector<std::string> lines_in(const std::vector<Published>& chunks) {
  std::vector<std::string> lines;
  std::uint64_t sequence = 0;
  for (const Published& chunk : chunks) {
    EXPECT_EQ(chunk.first_sequence, sequence);
    EXPECT_EQ(chunk.source_kind, core::SourceKind::kPublisher);
    sequence += chunk.text.size();
    for (std::string_view text = chunk.text; !text.empty();) {
      const std::string_view record = core::packed_record(text, 0);
      EXPECT_TRUE(core::packed_at(record).has_value());
      core::append_json_line(record, lines.emplace_back());
      text.remove_prefix(record.size());
    }
  }
  return lines;
}

TEST(Publisher, SaysFullAndGoesOnWhenThereIsRoom) {
  auto source = made(small_config());
  Publisher publisher = publisher_of(*source);
  std::uint64_t published = 0;
  while (publisher.try_publish(JsonLine{"{\"n\":1}"}) == PublishStatus::kOk) ++published;
  EXPECT_EQ(published, 4096U / 48U);
  EXPECT_EQ(publisher.try_publish(JsonLine{"{\"n\":1}"}), PublishStatus::kFull);
  EXPECT_EQ(publisher.publish(JsonLine{"{}"}, std::chrono::milliseconds(3)), PublishStatus::kFull);
  core::Chunk chunk(64 * 1024);
  EXPECT_EQ(source->read(chunk, {4096, 1024}), ReadStatus::kMore);
  EXPECT_TRUE(chunk.packed);
  EXPECT_EQ(core::packed_count({chunk.text(), chunk.size_bytes}), published);
  EXPECT_EQ(publisher.try_publish(JsonLine{"{\"n\":1}"}), PublishStatus::kOk);
  const PublishFigures figures = publisher.figures();
  EXPECT_EQ(figures.published, published + 1);
  EXPECT_GE(figures.refused_full, 3U);
  EXPECT_EQ(figures.bytes, 4096 + 48) << "what was left before the end counts";
}

TEST(Publisher, RefusesWhatARecordCannotHold) {
  auto source = made(small_config());
  Publisher publisher = publisher_of(*source);
  const std::string fits(1024 - 48, ' ');
  EXPECT_EQ(publisher.try_publish(JsonLine{fits + "1234567"}), PublishStatus::kOk);
  EXPECT_EQ(publisher.try_publish(JsonLine{fits + "12345678"}), PublishStatus::kTooLarge);
  EXPECT_EQ(publisher.try_publish(JsonLine{std::string(100'000, ' ')}), PublishStatus::kTooLarge);
  const std::string name(core::kPackedTextBytesMax + 1, 'x');
  EXPECT_EQ(publisher.try_publish(MetricSample{.service = name}), PublishStatus::kTooLarge);
  // Its escapes need six times the room: packed aside, and it fits.
  const std::string control(100, '\x01');
  const std::vector<core::Label> labels{{"k", control}};
  EXPECT_EQ(publisher.try_publish(MetricSample{.service = "s", .metric = "m", .labels = labels}),
            PublishStatus::kOk);
  EXPECT_EQ(publisher.figures().refused_too_large, 3U);
}

TEST(Publisher, BatchesTakeAPrefixAndAreSeenAtOnce) {
  auto source = made(small_config());
  Publisher publisher = publisher_of(*source);
  const std::vector<JsonLine> lines(100, JsonLine{"{\"n\":1}"});
  std::size_t taken = 0;
  EXPECT_EQ(publisher.try_publish(std::span<const JsonLine>(lines), taken), PublishStatus::kFull);
  EXPECT_EQ(taken, 85U);
  core::Chunk chunk(64 * 1024);
  EXPECT_EQ(source->read(chunk, {4096, 1024}), ReadStatus::kMore);
  EXPECT_EQ(publisher.add(JsonLine{"{}"}), PublishStatus::kOk);
  const std::uint32_t before = chunk.size_bytes;
  EXPECT_EQ(source->read(chunk, {8192, 1024}), ReadStatus::kIdle);
  EXPECT_EQ(chunk.size_bytes, before) << "not handed over yet";
  EXPECT_EQ(publisher.flush(), PublishStatus::kOk);
  EXPECT_EQ(source->read(chunk, {8192, 1024}), ReadStatus::kMore);
  EXPECT_EQ(chunk.size_bytes, before + 48);
}

TEST(Publisher, IsClosedWithTheSourceAndOutlivesIt) {
  auto source = made(small_config());
  Publisher publisher = publisher_of(*source);
  EXPECT_EQ(publisher.try_publish(JsonLine{"{}"}), PublishStatus::kOk);
  EXPECT_EQ(publisher.add(JsonLine{"{}"}), PublishStatus::kOk);
  source->request_stop();
  EXPECT_EQ(publisher.flush(), PublishStatus::kClosed) << "the pending one is refused";
  EXPECT_EQ(publisher.try_publish(JsonLine{"{}"}), PublishStatus::kClosed);
  EXPECT_FALSE(source->publisher().has_value());
  core::Chunk chunk(64 * 1024);
  EXPECT_EQ(source->read(chunk, {4096, 1024}), ReadStatus::kMore);
  EXPECT_EQ(source->read(chunk, {4096, 1024}), ReadStatus::kEnded);
  EXPECT_EQ(core::packed_count({chunk.text(), chunk.size_bytes}), 1U);
  source.reset();
  EXPECT_EQ(publisher.publish(JsonLine{"{}"}, std::chrono::hours(1)), PublishStatus::kClosed);
  EXPECT_EQ(publisher.figures().published, 1U);
  EXPECT_EQ(publisher.figures().refused_closed, 3U);
}

TEST(PublishSource, BoundsItsPublishersAndTakesNewOnesForThoseThatEnded) {
  PublishConfig config = small_config();
  config.publishers_max = 2;
  auto source = made(config);
  Publisher first = publisher_of(*source);
  {
    Publisher second = publisher_of(*source);
    const auto third = source->publisher();
    ASSERT_FALSE(third.has_value());
    EXPECT_EQ(third.error().code, core::ErrorCode::kFull);
    EXPECT_EQ(second.add(JsonLine{"{\"last\":1}"}), PublishStatus::kOk);
  }  // flushes
  core::Chunk chunk(64 * 1024);
  EXPECT_EQ(source->read(chunk, {4096, 1024}), ReadStatus::kMore);
  EXPECT_EQ(core::packed_count({chunk.text(), chunk.size_bytes}), 1U);
  EXPECT_EQ(source->read(chunk, {4096, 1024}), ReadStatus::kIdle);
  EXPECT_TRUE(source->publisher().has_value());
  const SourceFigures figures = figures_of(*source, false);
  EXPECT_EQ(figures.connections_accepted, 2U);
  EXPECT_EQ(figures.connections_closed, 1U);
}

TEST(PublishSource, RefusesBadConfigurations) {
  const auto refused = [](auto change) {
    PublishConfig config;
    change(config);
    return !PublishSource::create(config).has_value();
  };
  EXPECT_FALSE(refused([](PublishConfig&) {}));
  EXPECT_TRUE(refused([](PublishConfig& c) { c.ring_bytes = 5000; }));
  EXPECT_TRUE(refused([](PublishConfig& c) { c.ring_bytes = 2048; }));
  EXPECT_TRUE(refused([](PublishConfig& c) { c.event_bytes_max = c.ring_bytes; }));
  EXPECT_TRUE(refused([](PublishConfig& c) { c.align_bytes = 24; }));
  EXPECT_TRUE(refused([](PublishConfig& c) { c.publishers_max = 0; }));
}

// What a publisher has filled goes into chunks without a copy, and their memory back to it, around
// and around; what it has begun is copied.
TEST(PublishSource, GivesFullBlocksOfItsRingsAsChunks) {
  PublishConfig config;
  config.ring_bytes = 64 * 1024;  // four blocks
  config.event_bytes_max = 1024;
  config.end_with_publishers = true;
  const std::size_t block_bytes = config.ring_bytes / 4;
  const ReadLimits limits{block_bytes, 1024};
  auto source = made(config);
  auto publisher = std::make_optional(publisher_of(*source));
  std::array<core::Chunk, 3> chunks{core::Chunk(40'000), core::Chunk(40'000), core::Chunk(40'000)};
  std::set<const char*> memories;
  std::uint64_t written = 0, read = 0, blocks = 0, copies = 0;
  const auto read_one = [&] {
    core::Chunk& chunk = chunks[read % chunks.size()];
    chunk.size_bytes = chunk.packed_records = 0;
    const char* const before = chunk.text();
    const ReadStatus status = source->read(chunk, limits);
    ++(chunk.text() == before ? copies : blocks);
    memories.insert(chunk.text());
    EXPECT_EQ(chunk.packed_records, core::packed_count({chunk.text(), chunk.size_bytes}));
    for (std::string_view text(chunk.text(), chunk.size_bytes); !text.empty(); ++read) {
      const std::string_view record = core::packed_record(text, 0);
      std::string line;
      core::append_json_line(record, line);
      EXPECT_EQ(std::stoull(line), read);
      text.remove_prefix(record.size());
    }
    return status;
  };
  for (int lap = 0; lap < 40; ++lap) {
    while (publisher->add(JsonLine{std::to_string(written) + std::string(written % 90, ' ')}) ==
           PublishStatus::kOk) {
      ++written;
    }
    EXPECT_EQ(publisher->flush(), PublishStatus::kOk);
    while (read_one() != ReadStatus::kIdle) {
    }
    ASSERT_EQ(read, written);
    if (HasFailure()) return;
  }
  publisher.reset();
  while (read_one() != ReadStatus::kEnded) {
  }
  EXPECT_GT(blocks, 100U);
  EXPECT_GT(copies, 40U);
  EXPECT_LE(memories.size(), 3U + 4U) << "chunks and blocks only change places";
  // A chunk that is to be smaller is not given one.
  auto small = made(config);
  Publisher fast = publisher_of(*small);
  while (fast.add(JsonLine{"1"}) == PublishStatus::kOk) {
  }
  core::Chunk& chunk = chunks[0];
  const char* const own = chunk.text();
  chunk.size_bytes = 0;
  EXPECT_NE(small->read(chunk, {block_bytes - 1, 1024}), ReadStatus::kIdle);
  EXPECT_EQ(chunk.text(), own);
  EXPECT_GT(chunk.size_bytes, 0U);
}

// Two publishers with records of all sizes through a stage whose chunks are cut anywhere: each
// one's events arrive once, whole and in order.
void expect_order_kept(PublishConfig config, std::size_t chunk_bytes) {
  constexpr std::uint64_t kEvents = 20'000;
  config.end_with_publishers = true;
  IngestConfig ingest;
  ingest.chunk_target_bytes = chunk_bytes;
  StageBench bench(ingest);
  PublishSource* const source = bench.add(made(config));
  std::vector<std::thread> threads;
  for (int id = 0; id < 2; ++id) {
    threads.emplace_back([id, publisher = publisher_of(*source)]() mutable {
      std::mt19937_64 random(static_cast<std::uint64_t>(id));
      for (std::uint64_t i = 0; i < kEvents; ++i) {
        const std::string line =
            std::to_string(id) + " " + std::to_string(i) + " " + std::string(random() % 900, 'x');
        PublishStatus status = i % 3 == 0 ? publisher.add(JsonLine{line}) : PublishStatus::kFull;
        if (status != PublishStatus::kOk) {
          status = publisher.publish(JsonLine{line}, std::chrono::minutes(2));
        }
        ASSERT_EQ(status, PublishStatus::kOk);
      }
    });
  }
  bench.run_to_end();
  for (std::thread& thread : threads) thread.join();
  std::array<std::uint64_t, 2> next{};
  for (const std::string& line : lines_in(bench.port.published)) {
    const auto id = static_cast<std::size_t>(line[0] - '0');
    ASSERT_EQ(line.substr(2, line.find(' ', 2) - 2), std::to_string(next[id]++));
  }
  EXPECT_EQ(next[0], kEvents);
  EXPECT_EQ(next[1], kEvents);
  EXPECT_EQ(bench.stage->figures().lines, 2 * kEvents);
}

TEST(PublishSource, KeepsEachPublishersOrderThroughWrapsAndCuts) {
  expect_order_kept(small_config(), 5000);
}

// Of two rings, so that a block is full when the other one has begun a chunk.
TEST(PublishSource, KeepsEachPublishersOrderInBlocks) {
  PublishConfig config = small_config();
  config.ring_bytes = 64 * 1024;
  expect_order_kept(config, 20'000);
}

}  // namespace
}  // namespace grace::ingest
