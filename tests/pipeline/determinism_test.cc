// The decision digest depends on the input alone: not on workers, not on where chunks are cut, not
// on how threads happen to interleave.
#include <algorithm>
#include <map>

#include "engine_fixture.h"
#include "sanitized.h"

namespace grace::testing {
namespace {

constexpr std::uint64_t kEventCount = kSanitized ? 20'000 : 200'000;

std::string mixed_stream() {
  tools::GeneratorOptions options;
  options.event_count = kEventCount;
  options.events_per_second = 20.0;  // hours of event time: every detector warms up
  options.service_count = 20;
  options.bad_line_share = 0.002;
  options.seed = 42;
  return generate_stream(options);
}

// Jobs of three workers under session ids, in turns; from the 600th on every 40th of each is cut
// short or polls far too often.
std::string session_stream(std::int64_t begin_ns) {
  Stream stream(begin_ns);
  for (int job = 0; job < 900; ++job) {
    std::vector<std::string> steps{"open"};
    const bool is_odd = job > 600 && job % 40 == 0;
    const int polls = is_odd && job % 80 == 0 ? 40 : 1 + job * 7 % 3;
    for (int i = 0; i < polls; ++i) steps.emplace_back("poll");
    if (!is_odd || job % 80 == 0) steps.emplace_back("close");
    for (const std::string& step : steps) {
      for (const auto* worker : {"worker_a", "worker_b", "worker_c"}) {
        stream.action(worker, step, std::string("queue_of_") + worker, "jobs", "success",
                      R"({"session_id":"job_)" + std::to_string(job) + "\"}");
      }
      stream.pass(kNsPerSecond);
    }
    stream.pass(2 * kNsPerSecond);
  }
  stream.pass(10 * kNsPerMinute);
  stream.metric("queue", "jobs", "queue_depth", 1.0);  // the last sessions are over
  return stream.text();
}

TEST(DecisionDigest, IsTheSameForAnyWorkersAndChunks) {
  const std::string sessions = session_stream(kMorningNs);
  EXPECT_NE(run_stream(sessions).trigger_stats_json.find(R"("anomaly_sequence":)"),
            std::string::npos);
  const std::string stream = mixed_stream() + session_stream(kMorningNs + 24 * kNsPerHour);
  const tools::Summary reference = run_stream(stream);
  // A test of nothing would pass too: the stream must make the engine decide things.
  ASSERT_GT(reference.record_count, 50U);
  ASSERT_EQ(reference.counts.received,
            static_cast<std::uint64_t>(std::count(stream.begin(), stream.end(), '\n')));
  ASSERT_GT(reference.counts.rejected_total(), 0U);
  for (const std::size_t workers : {1, 2, 4}) {
    for (const std::size_t chunk_bytes : {4096, 32768, 257 * 1024, 1024 * 1024}) {
      for (int repetition = 0; repetition < 2; ++repetition) {
        RunOptions options;
        options.workers = workers;
        options.chunk_bytes = chunk_bytes;
        options.adjust = [&](tools::AppConfig& config) {
          config.engine.threading = repetition == 0 ? pipeline::Threading::kRunToCompletion
                                                    : pipeline::Threading::kPipeline;
        };
        const tools::Summary summary = run_stream(stream, options);
        EXPECT_EQ(summary.decision_digest, reference.decision_digest)
            << workers << " workers, chunks of " << chunk_bytes << ", " << summary.record_count
            << " records instead of " << reference.record_count;
        EXPECT_EQ(summary.counts.accepted, reference.counts.accepted);
        EXPECT_EQ(summary.counts.rejected, reference.counts.rejected);
      }
    }
  }
}

// Rings that hold one batch: they are full again and again, items overflow, and a worker is stopped
// between the shards of a broadcast.
TEST(DecisionDigest, IsTheSameWithRingsOfABatch) {
  const std::string stream = mixed_stream() + session_stream(kMorningNs + 24 * kNsPerHour);
  const tools::Summary reference = run_stream(stream);
  ASSERT_GT(reference.record_count, 0U);
  for (const std::size_t workers : {1, 2, 4}) {
    for (const std::size_t chunk_bytes : {4096, 257 * 1024}) {
      RunOptions options;
      options.workers = workers;
      options.chunk_bytes = chunk_bytes;
      options.adjust = [](tools::AppConfig& config) {
        config.engine.event_ring_slots = 64;
        config.engine.item_ring_slots = 64;
      };
      const tools::Summary summary = run_stream(stream, options);
      EXPECT_EQ(summary.decision_digest, reference.decision_digest)
          << workers << " workers, chunks of " << chunk_bytes;
      EXPECT_EQ(summary.counts.received, reference.counts.received);
      EXPECT_EQ(summary.counts.accepted, reference.counts.accepted);
    }
  }
}

// Errors double each hour for three minutes, at a service with metrics alone and at one that acts.
std::string risky_stream() {
  Stream stream(kMorningNs);
  for (int minute = 0; minute < 600; ++minute) {
    const double wobble = 0.0001 * (minute * 7 % 11);
    const double errors = (minute % 60 >= 50 && minute % 60 < 53 ? 0.1 : 0.02) + wobble;
    stream.metric("metrics_only", "core", "error_rate", errors);
    stream.metric("acting", "core", "error_rate", errors);
    for (int i = 0; i < 6; ++i) {
      stream.action("agent", "call", "acting", "core", "success");
      stream.pass(10 * kNsPerSecond);
    }
  }
  return stream.text();
}

TEST(RiskJudgements, AreTheSameForAnyWorkersAndChunks) {
  const std::string stream = risky_stream();
  const core::RiskCounts reference = run_stream(stream).risk;
  ASSERT_GT(reference.did_not_come, 0U);
  ASSERT_GT(reference.unwitnessed, 0U);
  EXPECT_EQ(reference.due, reference.came_true + reference.did_not_come + reference.unwitnessed);
  for (const std::size_t workers : {1, 2, 4}) {
    for (const std::size_t chunk_bytes : {4096, 1024 * 1024}) {
      RunOptions options;
      options.workers = workers;
      options.chunk_bytes = chunk_bytes;
      const core::RiskCounts counts = run_stream(stream, options).risk;
      EXPECT_EQ(counts.due, reference.due);
      EXPECT_EQ(counts.came_true, reference.came_true);
      EXPECT_EQ(counts.did_not_come, reference.did_not_come);
      EXPECT_EQ(counts.unwitnessed, reference.unwitnessed);
      EXPECT_EQ(counts.squared_error, reference.squared_error);
      EXPECT_EQ(counts.squared_error_at_start, reference.squared_error_at_start);
    }
  }
}

TEST(DecisionDigest, ChangesWithTheInput) {
  tools::GeneratorOptions options;
  options.event_count = kEventCount / 4;
  options.events_per_second = 20.0;
  options.service_count = 20;
  const tools::Summary one = run_stream(generate_stream(options));
  options.seed = 43;
  const tools::Summary other = run_stream(generate_stream(options));
  EXPECT_NE(one.decision_digest, other.decision_digest);
}

}  // namespace
}  // namespace grace::testing
