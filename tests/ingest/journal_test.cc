#include "grace/ingest/journal.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "grace/ingest/memory_source.h"
#include "grace/ledger/reader.h"
#include "ingest_fixture.h"

namespace grace::ingest {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLineMax = 2000;

IngestConfig small_chunks(std::size_t target_bytes = 4096) {
  IngestConfig config;
  config.chunk_target_bytes = target_bytes;
  config.line_bytes_max = kLineMax;
  return config;
}

class JournalTest : public ::testing::Test {
 protected:
  std::unique_ptr<JournalWriter> open_writer() {
    JournalConfig config;
    config.directory = directory_.file("journal");
    config.segment_bytes = 8 << 20;
    auto writer = JournalWriter::open(config);
    EXPECT_TRUE(writer) << writer.error().message;
    return writer ? std::move(*writer) : nullptr;
  }
  // One run of an engine with a journal; gives what it published.
  std::vector<Published> record(const std::string& text, const std::string& commands = {}) {
    auto writer = open_writer();
    StageBench bench(small_chunks());
    bench.parts.journal = writer.get();
    bench.add(std::make_unique<MemorySource>(text));
    auto* internal = bench.add(std::make_unique<InternalSource>());
    bench.start();
    first_number_ = bench.stage->next_chunk_number();
    EXPECT_TRUE(internal->push(commands));
    while (!bench.stage->finished()) {
      bench.clock.advance(777);
      bench.step();
    }
    EXPECT_FALSE(bench.stage->journal_error());
    EXPECT_EQ(bench.stage->figures().chunks_recorded, bench.port.published.size());
    return bench.port.published;
  }
  std::vector<Published> replay(const IngestConfig& config) {
    StageBench bench(config);
    auto source = JournalSource::open(directory_.file("journal"));
    EXPECT_TRUE(source) << source.error().message;
    bench.add(std::move(*source));
    bench.run_to_end();
    failure_ = bench.stage->failure();
    return bench.port.published;
  }
  TempDirectory directory_;
  std::uint64_t first_number_ = 0;
  std::optional<core::Error> failure_;
};

TEST_F(JournalTest, ReplaysEveryChunkExactlyWhateverTheReplayersChunkSize) {
  const std::string text = awkward_text(1, 1000, kLineMax, false);
  const std::vector<Published> live = record(text, "{\"kind\":\"control\"}");
  ASSERT_GT(live.size(), 20U);
  EXPECT_EQ(replay(small_chunks()), live);
  EXPECT_FALSE(failure_);
  EXPECT_EQ(replay(small_chunks(1 << 20)), live);
}

TEST_F(JournalTest, GoesOnBehindItsEndAfterARestart) {
  std::vector<Published> all;
  for (std::uint64_t run = 1; run <= 3; ++run) {
    const auto live = record(awkward_text(run, 200, kLineMax, run % 2 == 0));
    EXPECT_EQ(first_number_, all.size());
    all.insert(all.end(), live.begin(), live.end());
  }
  static_cast<void>(lines_of(all, kLineMax));  // numbers and sequences without a gap
  EXPECT_EQ(replay(small_chunks()), all);
}

TEST_F(JournalTest, IsHashedBehindItsWriter) {
  (void)record(awkward_text(1, 200, kLineMax, false));
  const auto verified = ledger::verify(directory_.file("journal"));
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_TRUE(verified->ok);
  EXPECT_EQ(verified->hashing.last_sequence, verified->last_sequence);
  EXPECT_EQ(verified->hashing.unhashed_records, 0U);
  // The next one takes it up from there, and what it adds is the unhashed tail.
  auto writer = open_writer();
  for (int i = 0; i < 10'000 && writer->hashing().hashed == 0; ++i) ::usleep(1000);
  const JournalHashing hashing = writer->hashing();
  EXPECT_EQ(hashing.hashed, verified->last_sequence);
  EXPECT_EQ(hashing.recorded, verified->last_sequence);
  EXPECT_EQ(hashing.error, "");
}

TEST_F(JournalTest, KeepsChunksWhoseWriterWasNeverClosed) {
  const auto live = record(awkward_text(1, 100, kLineMax, true));
  // As a kill leaves it: the last segment still has its prepared size, and no seal.
  auto writer = open_writer();
  core::Chunk chunk(1000);
  chunk.number = writer->end().number;
  chunk.first_sequence = writer->end().sequence;
  std::memcpy(chunk.text(), "last\n", 5);
  chunk.size_bytes = 5;
  const auto mark = writer->record(chunk);
  ASSERT_TRUE(mark);
  while (!writer->is_safe(*mark)) std::this_thread::yield();
  // Read beside the living writer: what is safe can be seen.
  const auto seen = replay(small_chunks());
  ASSERT_EQ(seen.size(), live.size() + 1);
  EXPECT_EQ(seen.back().text, "last\n");
}

// The strongest promise: whatever was published, and so may have been acted on, is in the journal
// of an engine that was killed, and the next engine goes on behind it.
TEST_F(JournalTest, HasEverythingThatAKilledEnginePublished) {
  std::uint64_t next_number = 0;
  for (std::uint64_t round = 1; round <= 4; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto writer = open_writer();
      StageBench bench(small_chunks());
      bench.parts.journal = writer.get();
      bench.add(std::make_unique<MemorySource>(awkward_text(round, 20'000, kLineMax, true)));
      bench.start();
      std::size_t told = 0;
      for (;;) {
        bench.step();
        for (; told < bench.port.published.size(); ++told) {
          const std::uint64_t number = bench.port.published[told].number;
          if (::write(ends[1], &number, sizeof(number)) != sizeof(number)) ::_exit(1);
        }
      }
    }
    ::close(ends[1]);
    std::uint64_t last_told = 0;
    for (std::uint64_t i = 0; i < 100 * round; ++i) {
      ASSERT_EQ(::read(ends[0], &last_told, sizeof(last_told)),
                static_cast<ssize_t>(sizeof(last_told)));
    }
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    while (::read(ends[0], &last_told, sizeof(last_told)) == sizeof(last_told)) continue;
    ::close(ends[0]);
    auto writer = open_writer();
    ASSERT_NE(writer, nullptr);
    EXPECT_GT(writer->end().number, last_told) << "round " << round;
    EXPECT_GT(writer->end().number, next_number);
    next_number = writer->end().number;
  }
  auto reader = JournalReader::open(directory_.file("journal"));
  ASSERT_TRUE(reader);
  std::uint64_t count = 0;
  for (;; ++count) {
    const auto chunk = (*reader)->next();  // fails at a gap
    ASSERT_TRUE(chunk) << chunk.error().message;
    if (!*chunk) break;
  }
  EXPECT_EQ(count, next_number);
}

TEST_F(JournalTest, FindsEveryLineByItsSequence) {
  const auto live = record(awkward_text(3, 120, kLineMax, true));
  auto reader = JournalReader::open(directory_.file("journal"));
  ASSERT_TRUE(reader);
  std::size_t found = 0;
  for (const SeenLine& line : lines_of(live, kLineMax)) {
    if (line.state != LineState::kWhole) continue;
    for (const std::uint64_t at : {line.sequence, line.sequence + line.text.size()}) {
      const auto text = (*reader)->find_line(at);
      ASSERT_TRUE(text) << text.error().message;
      ASSERT_EQ(*text, line.text) << "at " << at;
    }
    ++found;
  }
  EXPECT_GT(found, 50U);
  const auto beyond = (*reader)->find_line(1ULL << 40);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, core::ErrorCode::kNotFound);
}

TEST_F(JournalTest, StopsTheReplayAtDamageAndSaysSo) {
  const auto live = record(awkward_text(4, 2000, kLineMax, true));
  std::string segment;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_.path())) {
    if (entry.is_regular_file() && entry.file_size() > 100'000) segment = entry.path();
  }
  ASSERT_FALSE(segment.empty());
  std::fstream file(segment, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(0, std::ios::end);
  const auto middle = file.tellg() / 2;
  file.seekg(middle);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(middle);
  file.put(byte);
  file.close();
  const auto replayed = replay(small_chunks());
  ASSERT_TRUE(failure_);
  EXPECT_EQ(failure_->code, core::ErrorCode::kCorrupt);
  ASSERT_LT(replayed.size(), live.size());
  for (std::size_t i = 0; i < replayed.size(); ++i) ASSERT_EQ(replayed[i], live[i]);
}

TEST_F(JournalTest, RefusesToReplayBesideOtherSources) {
  record("a\n");
  IngestParts parts;
  VectorPort port(2, chunk_capacity_bytes(IngestConfig{}));
  const core::ManualClock clock;
  parts.port = &port;
  parts.clock = &clock;
  parts.sources.push_back(std::move(*JournalSource::open(directory_.file("journal"))));
  parts.sources.push_back(std::make_unique<MemorySource>("b\n"));
  EXPECT_FALSE(IngestStage::create({}, std::move(parts)));
  EXPECT_FALSE(JournalSource::open(directory_.file("nothing")));
}

// A journal whose every answer the test decides.
class FakeJournal final : public JournalSink {
 public:
  InputPosition end() const override { return {}; }
  core::Result<std::uint64_t> record(const core::Chunk&) override {
    if (record_fails) return core::make_error(core::ErrorCode::kIo, "no space", ENOSPC);
    return ++recorded;
  }
  bool is_safe(std::uint64_t mark) const override { return mark <= safe; }
  core::Result<void> health() const override {
    if (broken) return core::make_error(core::ErrorCode::kIo, "sync failed", EIO);
    return {};
  }
  core::Result<void> flush() override {
    ++flushes;
    return {};
  }
  std::uint64_t recorded = 0, safe = 0;
  int flushes = 0;
  bool record_fails = false, broken = false;
};

class JournalingStageTest : public ::testing::Test {
 protected:
  void start(const IngestConfig& config) {
    bench_ = std::make_unique<StageBench>(config);
    bench_->parts.journal = &journal_;
    bench_->add(std::make_unique<MemorySource>(text_));
    bench_->start();
  }
  const std::string text_ = awkward_text(5, 400, kLineMax, true);
  FakeJournal journal_;
  std::unique_ptr<StageBench> bench_;
};

TEST_F(JournalingStageTest, PublishesNothingThatAKillWouldTakeFromTheJournal) {
  start(small_chunks());
  for (int i = 0; i < 50; ++i) bench_->step();
  EXPECT_TRUE(bench_->port.published.empty());
  EXPECT_EQ(journal_.recorded, 8U) << "every chunk of the port waits";
  journal_.safe = 3;
  bench_->step();
  EXPECT_EQ(bench_->port.published.size(), 3U);
  journal_.safe = UINT64_MAX;
  bench_->run_to_end();
  EXPECT_EQ(all_text(bench_->port.published), text_);
  EXPECT_EQ(journal_.flushes, 1);
}

TEST_F(JournalingStageTest, GoesOnLoudlyWhenRecordingFails) {
  journal_.safe = UINT64_MAX;
  start(small_chunks());
  for (int i = 0; i < 5; ++i) bench_->step();
  journal_.record_fails = true;
  bench_->run_to_end();
  EXPECT_EQ(all_text(bench_->port.published), text_);
  const IngestFigures figures = bench_->stage->figures();
  EXPECT_EQ(figures.journal_errors, 1U) << "once, then nothing is recorded";
  EXPECT_EQ(figures.chunks_recorded, 5U);
  ASSERT_TRUE(bench_->stage->journal_error());
  EXPECT_EQ(bench_->stage->journal_error()->os_error, ENOSPC);
  EXPECT_FALSE(bench_->stage->failure());
}

TEST_F(JournalingStageTest, FreesChunksThatWaitForAJournalThatBroke) {
  start(small_chunks());
  for (int i = 0; i < 20; ++i) bench_->step();
  journal_.broken = true;
  bench_->run_to_end();
  EXPECT_EQ(all_text(bench_->port.published), text_);
  EXPECT_EQ(bench_->stage->figures().journal_errors, 1U);
}

TEST_F(JournalingStageTest, StopsTheEngineWhenTheJournalIsRequired) {
  IngestConfig config = small_chunks();
  config.journal_required = true;
  journal_.safe = UINT64_MAX;
  start(config);
  for (int i = 0; i < 5; ++i) bench_->step();
  journal_.record_fails = true;
  bench_->run_to_end();
  ASSERT_TRUE(bench_->stage->failure());
  EXPECT_EQ(bench_->port.published.size(), 5U) << "only what was recorded";
}

}  // namespace
}  // namespace grace::ingest
