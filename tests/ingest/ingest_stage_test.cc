#include <algorithm>
#include <atomic>

#include "grace/ingest/memory_source.h"
#include "ingest_fixture.h"

namespace grace::ingest {
namespace {

using namespace std::chrono_literals;

// A live source that is fed by the test.
class FedSource final : public Source {
 public:
  FedSource() : Source(traits()) {}
  static SourceTraits traits() {
    SourceTraits traits;
    traits.name = "fed";
    traits.kind = core::SourceKind::kTcp;
    traits.live = true;
    return traits;
  }
  ReadStatus read(core::Chunk& chunk, const ReadLimits&) override {
    ++reads;
    if (text.empty()) return stopped ? ReadStatus::kEnded : ReadStatus::kIdle;
    std::copy(text.begin(), text.end(), chunk.text() + chunk.size_bytes);
    chunk.size_bytes += static_cast<std::uint32_t>(text.size());
    text.clear();
    return ReadStatus::kMore;
  }
  void request_stop() override { stopped = true; }
  std::string text;
  int reads = 0;
  bool stopped = false;
};

IngestConfig small(std::size_t target_bytes, std::size_t line_bytes_max) {
  IngestConfig config;
  config.chunk_target_bytes = target_bytes;
  config.line_bytes_max = line_bytes_max;
  return config;
}

TEST(IngestConfig, RejectsWhatIsOutsideItsBoundsByName) {
  EXPECT_TRUE(validated(IngestConfig{}));
  const auto too_small = validated(small(4095, 1 << 20));
  ASSERT_FALSE(too_small);
  EXPECT_EQ(too_small.error().message, "chunk_target_bytes: 4095 is not in 4096 to 1048576");
  EXPECT_FALSE(validated(small((1 << 20) + 1, 1 << 20)));
  EXPECT_FALSE(validated(small(4096, 1023)));
}

TEST(IngestStage, GivesTheSameLinesAtTheSamePlacesForAnyChunkSize) {
  for (const bool final_newline : {true, false}) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      const std::size_t line_bytes_max = seed % 2 == 0 ? 1024 : 9000;
      const std::string text = awkward_text(seed, 300, line_bytes_max, final_newline);
      std::vector<SeenLine> expected;
      expect_lines(expected, text, line_bytes_max);
      for (const std::size_t target : {4096UL, 5000UL, 32'768UL, 257'000UL, 1UL << 20}) {
        StageBench bench(small(target, line_bytes_max));
        bench.add(std::make_unique<MemorySource>(text));
        bench.run_to_end();
        ASSERT_EQ(lines_of(bench.port.published, line_bytes_max), expected)
            << "seed " << seed << " target " << target;
        ASSERT_EQ(all_text(bench.port.published), text);
        const IngestFigures figures = bench.stage->figures();
        EXPECT_EQ(figures.lines, expected.size());
        EXPECT_EQ(figures.bytes, text.size());
        EXPECT_EQ(figures.sources.at(0).lines, expected.size());
      }
    }
  }
}

TEST(IngestStage, KeepsALongLineWholeUpToTheLimitInTheSmallestChunk) {
  const std::size_t limit = 1 << 20;
  const std::string longest(limit, 'x');
  StageBench bench(small(4096, limit));
  bench.add(std::make_unique<MemorySource>("a\n" + longest + "\n" + longest +
                                           std::string(200'000, 'y') + "\nb\n"));
  bench.run_to_end();
  const auto lines = lines_of(bench.port.published, limit);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[1].text, longest);
  EXPECT_EQ(lines[2].state, LineState::kTooLong);
  EXPECT_EQ(lines[3].text, "b");
  EXPECT_EQ(bench.stage->figures().sources[0].cut_lines, 1U);
}

TEST(IngestStage, NeverGluesTheLastLineOfOneSourceToTheFirstOfAnother) {
  StageBench bench(small(4096, 1024));
  bench.add(std::make_unique<MemorySource>("one\ntwo"));
  bench.add(std::make_unique<MemorySource>("three\nfour"));
  bench.run_to_end();
  // Which of two sources comes first is the stage's affair, where each line is whole is not.
  std::vector<std::string> texts;
  for (const Published& chunk : bench.port.published) {
    EXPECT_TRUE(chunk.last_of_source);
    texts.push_back(std::to_string(chunk.source_index) + chunk.text);
  }
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(texts, (std::vector<std::string>{"0one\ntwo", "1three\nfour"}));
  EXPECT_EQ(lines_of(bench.port.published, 1024).size(), 4U);
}

TEST(IngestStage, ReadsNothingWithoutAChunkAndLosesNothing) {
  const std::string text = awkward_text(7, 500, 1024, true);
  StageBench bench(small(4096, 1024), 2);
  bench.add(std::make_unique<MemorySource>(text));
  auto* fed = bench.add(std::make_unique<FedSource>());
  bench.start();
  std::mt19937_64 random(11);
  std::size_t starved_steps = 0;
  while (bench.stage->figures().sources[0].ended == false) {
    bench.port.starved = random() % 2 == 0;
    bench.port.refusing = random() % 3 == 0;
    starved_steps += bench.port.starved ? 1 : 0;
    bench.step();
  }
  ASSERT_GT(starved_steps, 0U);
  EXPECT_GT(bench.stage->figures().acquire_refused, 0U);
  EXPECT_GT(bench.stage->figures().publish_refused, 0U);
  // With every chunk refused, even the sources are left alone.
  bench.port.starved = false;
  bench.port.refusing = true;
  fed->text = "x\n";
  for (int i = 0; i < 20; ++i) {
    bench.step();
    bench.clock.advance(2'000'000);
    if (fed->text.empty()) fed->text = "x\n";
  }
  const int reads = fed->reads;
  bench.step();
  EXPECT_EQ(fed->reads, reads);
  EXPECT_EQ(fed->text, "x\n");
  bench.port.refusing = false;
  bench.stop();
  std::string from_memory;
  for (const Published& chunk : bench.port.published) {
    if (chunk.source_index == 0) from_memory += chunk.text;
  }
  EXPECT_EQ(from_memory, text);
  static_cast<void>(lines_of(bench.port.published, 1024));  // numbers and sequences have no gap
}

TEST(IngestStage, PublishesALiveChunkAfterTheLingerAndNotBefore) {
  StageBench bench;
  auto* fed = bench.add(std::make_unique<FedSource>());
  bench.start();
  fed->text = "a\n";
  bench.step();
  fed->text = "b\n";
  bench.clock.advance(999'999);
  bench.step();
  EXPECT_TRUE(bench.port.published.empty());
  bench.clock.advance(1);
  bench.step();
  ASSERT_EQ(bench.port.published.size(), 1U);
  EXPECT_EQ(bench.port.published[0].text, "a\nb\n");
  // Arrival is when the first byte came.
  EXPECT_EQ(bench.port.published[0].arrival_ns, 1'736'950'000'000'000'000);
}

TEST(IngestStage, UsesTheFixedArrivalOfARecording) {
  IngestConfig config;
  config.fixed_arrival_ns = 42;
  StageBench bench(config);
  bench.add(std::make_unique<MemorySource>("a\n"));
  bench.run_to_end();
  EXPECT_EQ(bench.port.published.at(0).arrival_ns, 42);
}

TEST(IngestStage, ServesEverySourceInTurn) {
  StageBench bench(small(4096, 1024));
  for (int i = 0; i < 3; ++i) {
    bench.add(std::make_unique<MemorySource>(awkward_text(1, 2000, 1024, true)));
  }
  bench.start();
  for (int i = 0; i < 30; ++i) bench.step();
  std::vector<int> chunks(3, 0);
  for (const Published& chunk : bench.port.published) ++chunks[chunk.source_index];
  EXPECT_EQ(chunks, (std::vector<int>{30, 30, 30}));
}

TEST(IngestStage, StopsInTheMiddleWithEverythingItReadPublished) {
  StageBench bench(small(4096, 1024));
  const std::string text = awkward_text(3, 2000, 1024, true);
  bench.add(std::make_unique<MemorySource>(text));
  auto* fed = bench.add(std::make_unique<FedSource>());
  bench.start();
  bench.step();
  fed->text = "taken\n";
  bench.step();
  bench.stop();
  const std::string got = all_text(bench.port.published);
  EXPECT_NE(got.find("taken\n"), std::string::npos);
  EXPECT_LT(got.size(), text.size());
  for (const SeenLine& line : lines_of(bench.port.published, 1024)) {
    EXPECT_NE(line.state, LineState::kUnfinished) << "a file's line was torn by the stop";
  }
}

TEST(IngestStage, PublishesAPartFilledChunkAtOnceOnlyToAHungryPort) {
  IngestConfig config;
  config.linger = 1s;
  StageBench bench(config);
  auto* source = bench.add(std::make_unique<FedSource>());
  bench.start();
  source->text += "a\n";
  bench.step();
  EXPECT_TRUE(bench.port.published.empty()) << "nobody waits, and it may still grow";
  bench.port.is_hungry = true;
  source->text += "b\n";
  bench.step();
  ASSERT_EQ(bench.port.published.size(), 1U);
  EXPECT_EQ(bench.port.published[0].text, "a\nb\n");
  bench.port.refusing = true;
  source->text += "c\n";
  bench.step();
  source->text += "d\n";
  bench.step();
  bench.port.refusing = false;
  bench.stop();
  ASSERT_EQ(bench.port.published.size(), 3U);
  EXPECT_EQ(bench.port.published[2].text, "d\n") << "grew behind the one that waited";
}

TEST(IngestStage, TicksWithTheWallClockThroughTheInput) {
  IngestConfig config;
  config.tick_interval = 1s;
  config.linger = 0ns;
  StageBench bench(config);
  bench.parts.ticks = bench.add(std::make_unique<InternalSource>());
  bench.add(std::make_unique<FedSource>());
  bench.start();
  for (int i = 0; i < 25; ++i) {
    bench.step();
    bench.clock.advance(100'000'000);
  }
  ASSERT_EQ(bench.port.published.size(), 3U);
  EXPECT_EQ(bench.port.published[1].text,
            "{\"kind\":\"control\",\"control\":\"tick\",\"ts\":1736950001000000000}\n");
  EXPECT_TRUE(bench.port.published[1].trusted);
  EXPECT_EQ(bench.stage->figures().ticks, 3U);
}

TEST(IngestStage, EndsTheInternalSourceLastAndWithItsLines) {
  StageBench bench;
  auto* internal = bench.add(std::make_unique<InternalSource>());
  bench.add(std::make_unique<MemorySource>("a\n"));
  bench.start();
  ASSERT_TRUE(internal->push("{\"kind\":\"control\"}"));
  bench.run_to_end();
  EXPECT_EQ(bench.port.published.size(), 2U);
  EXPECT_FALSE(internal->push("late")) << "nobody would ever read it";
  EXPECT_EQ(bench.stage->figures().sources[0].dropped_lines, 1U);
}

TEST(InternalSource, RefusesPastItsBoundAndCounts) {
  InternalSource source({.name = "commands", .trusted = false, .lines_max = 2, .bytes_max = 100});
  EXPECT_TRUE(source.push("a"));
  EXPECT_FALSE(source.push(std::string(100, 'x')));
  EXPECT_TRUE(source.push("b\n"));
  EXPECT_FALSE(source.push("c"));
  EXPECT_EQ(source.counters().dropped_lines.load(), 2U);
  EXPECT_FALSE(source.traits().trusted);
  EXPECT_TRUE(source.traits().operator_allowed);
  EXPECT_FALSE(source.push(std::string(kReadBytes, 'x')));
}

TEST(InternalSource, KeepsTheOrderOfEachOfManyThreads) {
  constexpr int kThreads = 4, kLines = 2000;
  StageBench bench;
  bench.clock.advance(1);
  auto* internal = bench.add(
      std::make_unique<InternalSource>(InternalSourceConfig{.name = "internal", .lines_max = 64}));
  bench.add(std::make_unique<FedSource>());
  bench.start();
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kLines; ++i) {
        while (!internal->push(std::to_string(t) + " " + std::to_string(i))) {
          std::this_thread::yield();
        }
      }
      running.fetch_sub(1);
    });
  }
  bench.run_until([&] { return running.load() == 0; });
  for (std::thread& thread : threads) thread.join();
  bench.stop();
  std::vector<int> next(kThreads, 0);
  for (const SeenLine& line : lines_of(bench.port.published, 1024)) {
    const int thread = line.text[0] - '0';
    ASSERT_EQ(line.text.substr(2), std::to_string(next[static_cast<std::size_t>(thread)]++));
  }
  EXPECT_EQ(next, std::vector<int>(kThreads, kLines));
}

}  // namespace
}  // namespace grace::ingest
