// Redacted fields change what the ledger holds, and nothing else: not a decision, not its digest,
// not what a restart finds.
#include "grace/ledger/redaction.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine_fixture.h"
#include "grace/ledger/reader.h"
#include "sanitized.h"
#include "stream.h"

namespace grace::testing {
namespace {

constexpr std::uint64_t kEventCount = kSanitized ? 10'000 : 40'000;

void redact(RunOptions& options, std::vector<std::string> fields) {
  options.adjust = [fields = std::move(fields)](tools::AppConfig& config) {
    config.engine.ledger_redact = fields;
  };
}

bool segments_hold(const std::string& directory, std::string_view text) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".segment") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.find(text) != std::string::npos) return true;
  }
  return false;
}

TEST(EngineRedaction, ChangesNoDecisionAndNoDigestWithAnyWorkers) {
  tools::GeneratorOptions generator;
  generator.event_count = kEventCount;
  generator.events_per_second = 8.0;
  generator.service_count = 15;
  generator.seed = 8;
  generator.start_ns = kMorningNs;
  const std::string stream = generate_stream(generator);
  const TemporaryDirectory directory;
  RunOptions plain;
  plain.ledger = directory / "plain";
  plain.journal = directory / "journal";
  const tools::Summary recorded = run_stream(stream, plain);
  ASSERT_GT(recorded.record_count, 20U);
  const std::vector<LedgerEntry> expected = read_ledger(plain.ledger);
  const std::string_view value = "\"evidence\":[";
  ASSERT_TRUE(segments_hold(plain.ledger, value)) << "or the test below proves nothing";

  for (const std::size_t workers : {1, 2, 4}) {
    SCOPED_TRACE(std::to_string(workers) + " workers");
    RunOptions again;
    again.workers = workers;
    again.chunk_bytes = 1024 * 1024;
    again.ledger = directory / ("redacted_" + std::to_string(workers));
    again.make_source = journal_source(plain.journal);
    redact(again, {"actor", "payload.evidence", "payload.reasoning"});
    const tools::Summary replayed = run_stream("", again);
    EXPECT_EQ(replayed.decision_digest, recorded.decision_digest);
    EXPECT_EQ(replayed.redaction_error, "");
    EXPECT_TRUE(ledger::verify(again.ledger)->ok);
    EXPECT_FALSE(segments_hold(again.ledger, value));
    EXPECT_FALSE(segments_hold(again.ledger, "Z\",\"actor\":\""));
    const std::vector<LedgerEntry> entries = read_ledger(again.ledger);
    ASSERT_EQ(entries.size(), expected.size());
    ledger::StoredValues values(again.ledger);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      ASSERT_FALSE(ledger::commitments_in(entries[i].text).empty());
      ASSERT_EQ(values.restore(entries[i].text).value(), expected[i].text);
    }
    ASSERT_TRUE(ledger::delete_values(again.ledger, {.before_ns = INT64_MAX}).has_value());
    EXPECT_EQ(values.restore(entries[0].text).value(), entries[0].text);
    EXPECT_TRUE(ledger::verify(again.ledger)->ok);
  }
}

// The threshold stands where it was, with the values there and with them deleted.
TEST(EngineRedaction, LeavesWhatARestartReads) {
  const TemporaryDirectory directory;
  RunOptions options;
  options.ledger = directory / "ledger";
  redact(options, {"actor", "payload.reason", "payload.reasoning"});
  ASSERT_DOUBLE_EQ(threshold_after(stream_that_moves_a_threshold().text(), options), 0.69);
  EXPECT_DOUBLE_EQ(threshold_after("", options), 0.69);
  const auto deleted = ledger::delete_values(options.ledger, {.before_ns = INT64_MAX});
  ASSERT_TRUE(deleted.has_value()) << deleted.error().message;
  EXPECT_GT(deleted->deleted, 0U);
  EXPECT_DOUBLE_EQ(threshold_after("", options), 0.69) << "with the values deleted";
}

}  // namespace
}  // namespace grace::testing
