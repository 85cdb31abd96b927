// A journal replays to the same decisions, whatever the workers; a ledger goes on where it was.
#include "engine_fixture.h"
#include "grace/ledger/reader.h"
#include "sanitized.h"
#include "stream.h"

namespace grace::testing {
namespace {

constexpr std::uint64_t kEventCount = kSanitized ? 15'000 : 60'000;

std::string mixed_stream(std::uint64_t seed, std::int64_t start_ns = kMorningNs) {
  tools::GeneratorOptions options;
  options.event_count = kEventCount;
  options.events_per_second = 8.0;
  options.service_count = 15;
  options.bad_line_share = 0.002;
  options.seed = seed;
  options.start_ns = start_ns;
  return generate_stream(options);
}

RunOptions replay_of(const std::string& journal, std::size_t workers) {
  RunOptions options;
  options.workers = workers;
  options.make_source = journal_source(journal);
  return options;
}

TEST(JournalReplay, GivesTheSameDecisionsWithAnyWorkersAndChunks) {
  const std::string stream = mixed_stream(8);
  std::string digest;
  for (const std::size_t chunk_bytes : {4096, 100'000, 1024 * 1024}) {
    const TemporaryDirectory directory;
    RunOptions live;
    live.workers = 2;
    live.chunk_bytes = chunk_bytes;
    live.journal = directory / "journal";
    const tools::Summary recorded = run_stream(stream, live);
    ASSERT_GT(recorded.record_count, 20U);
    EXPECT_EQ(recorded.ingest.chunks_recorded, recorded.ingest.chunks);
    if (digest.empty()) digest = recorded.decision_digest;
    EXPECT_EQ(recorded.decision_digest, digest);
    for (const std::size_t workers : {1, 2, 3}) {
      SCOPED_TRACE(std::to_string(workers) + " workers, chunks of " + std::to_string(chunk_bytes));
      RunOptions again = replay_of(live.journal, workers);
      again.chunk_bytes = 1024 * 1024;  // room for any recorded chunk
      const tools::Summary replayed = run_stream("", again);
      EXPECT_EQ(replayed.decision_digest, digest);
      EXPECT_EQ(replayed.record_count, recorded.record_count);
      EXPECT_EQ(replayed.counts.received, recorded.counts.received);
      EXPECT_EQ(replayed.counts.accepted, recorded.counts.accepted);
      EXPECT_EQ(replayed.counts.rejected, recorded.counts.rejected);
      EXPECT_EQ(replayed.ingest.bytes, stream.size());
    }
  }
}

TEST(JournalReplay, OfAJournalWrittenByTwoProcessesIsOneInput) {
  const TemporaryDirectory directory;
  const std::string first = mixed_stream(8);
  const std::string second = mixed_stream(9, kMorningNs + 4 * kNsPerHour);
  RunOptions live;
  live.journal = directory / "journal";
  const tools::Summary one = run_stream(first, live);
  const tools::Summary two = run_stream(second, live);
  RunOptions again = replay_of(live.journal, 2);
  const tools::Summary replayed = run_stream("", again);
  EXPECT_EQ(replayed.ingest.bytes, first.size() + second.size());
  EXPECT_EQ(replayed.counts.received, one.counts.received + two.counts.received);
  EXPECT_EQ(replayed.counts.accepted, one.counts.accepted + two.counts.accepted);
  // One process that reads both decides the same.
  EXPECT_EQ(replayed.decision_digest, run_stream(first + second).decision_digest);
}

ledger::VerifyReport verify(const std::string& directory) {
  auto report = ledger::verify(directory, {});
  EXPECT_TRUE(report.has_value()) << (report ? "" : report.error().message);
  return report ? *report : ledger::VerifyReport{};
}

TEST(Restart, GoesOnInTheSameLedger) {
  const TemporaryDirectory directory;
  RunOptions options;
  options.ledger = directory / "ledger";
  const tools::Summary one = run_stream(mixed_stream(8), options);
  ASSERT_GT(one.record_count, 20U);
  EXPECT_TRUE(verify(options.ledger).ok);
  const std::vector<LedgerEntry> before = read_ledger(options.ledger);
  ASSERT_EQ(before.size(), one.record_count);

  const tools::Summary two = run_stream(mixed_stream(9, kMorningNs + 4 * kNsPerHour), options);
  EXPECT_TRUE(verify(options.ledger).ok);
  const std::vector<LedgerEntry> after = read_ledger(options.ledger);
  ASSERT_EQ(after.size(), one.record_count + two.record_count);
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].sequence, after[0].sequence + i) << "no gap, none twice";
    if (i < before.size()) {
      EXPECT_EQ(after[i].text, before[i].text);
    }
  }
  EXPECT_EQ(two.durable_sequence, after.back().sequence);
}

// A directive moves a threshold; the next process begins where it stands, and can undo it.
TEST(Restart, RecoversThresholds) {
  const TemporaryDirectory directory;
  RunOptions options;
  options.ledger = directory / "ledger";
  const Stream moving = stream_that_moves_a_threshold();
  EXPECT_DOUBLE_EQ(threshold_after(moving.text(), options), 0.69);
  EXPECT_DOUBLE_EQ(threshold_after("", options), 0.69) << "in the second process";

  Stream undo(moving.now_ns);
  undo.control("undo", {{"name", core::json_quoted(kMovedThreshold)}});
  EXPECT_DOUBLE_EQ(threshold_after(undo.text(), options), 0.70);
  EXPECT_DOUBLE_EQ(threshold_after("", options), 0.70) << "in the fourth process";
  EXPECT_TRUE(verify(options.ledger).ok);
}

}  // namespace
}  // namespace grace::testing
