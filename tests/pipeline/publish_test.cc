// Publishing without JSON: the same events come to the same decisions, whatever workers, chunks and
// batches; and each event that a publisher was told is taken is received, however it ends.
#include <algorithm>
#include <atomic>
#include <thread>

#include "engine_fixture.h"
#include "grace/ingest/publish_source.h"
#include "sanitized.h"
#include "typed_events.h"

namespace grace::testing {
namespace {

using ingest::PublishSource;
using ingest::PublishStatus;

constexpr std::uint64_t kEventCount = kSanitized ? 8'000 : 40'000;
// Every record, and every line with blanks behind it, takes this much: so an event has the same
// sequence both ways, and with it the same identifiers in decisions.
constexpr std::size_t kPlaceBytes = 1024;

std::string mixed_stream() {
  tools::GeneratorOptions options;
  options.event_count = kEventCount;
  options.events_per_second = 4.0;
  options.service_count = 20;
  options.bad_line_share = 0.002;
  options.seed = 42;
  return generate_stream(options);
}

std::string with_blanks(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    EXPECT_LT(end + 48, kPlaceBytes) << "a line is too long for this test";
    out.append(text.substr(0, end)).append(kPlaceBytes - end - 1, ' ').push_back('\n');
    text.remove_prefix(end + 1);
  }
  return out;
}

ingest::PublishConfig publish_config() {
  ingest::PublishConfig config;
  config.operator_allowed = true;
  config.end_with_publishers = true;
  return config;
}

// Publishes all events in batches of this many, waiting where there is no room.
void publish_all(Publisher& publisher, const std::vector<tools::TypedEvents::Event>& events,
                 std::size_t batch) {
  std::size_t in_batch = 0;
  for (const auto& event : events) {
    const auto status = std::visit(
        [&](const auto& typed) {
          PublishStatus added = publisher.add(typed);
          if (added == PublishStatus::kFull) {
            added = publisher.publish(typed, std::chrono::minutes(1));
          }
          return added;
        },
        event);
    ASSERT_EQ(status, PublishStatus::kOk);
    if (++in_batch % batch == 0) {
      ASSERT_EQ(publisher.flush(), PublishStatus::kOk);
    }
  }
  ASSERT_EQ(publisher.flush(), PublishStatus::kOk);
}

// The stream through a publisher on a thread of its own.
tools::Summary run_published(const tools::TypedEvents& events, std::size_t batch,
                             ingest::PublishConfig config, RunOptions options = {}) {
  std::thread thread;
  options.make_source = [&]() -> std::unique_ptr<ingest::Source> {
    auto source = PublishSource::create(config);
    EXPECT_TRUE(source.has_value());
    auto publisher = (*source)->publisher();
    EXPECT_TRUE(publisher.has_value());
    thread = std::thread([&events, batch, mine = std::move(*publisher)]() mutable {
      publish_all(mine, events.events(), batch);
      EXPECT_EQ(mine.figures().published, events.events().size());
    });
    return std::move(*source);
  };
  const tools::Summary summary = run_stream("", options);
  thread.join();
  EXPECT_EQ(summary.counts.received, events.events().size());
  return summary;
}

TEST(Publish, ComesToTheDecisionsOfTheSameEventsAsJson) {
  const std::string text = mixed_stream();
  const tools::Summary reference = run_stream(with_blanks(text));
  ASSERT_GT(reference.record_count, 50U);
  ASSERT_GT(reference.counts.rejected_total(), 0U);
  const tools::TypedEvents events(text);
  const tools::TypedEvents named(text, tools::TypedEvents::Series::kNamed);
  const auto lines = std::count_if(events.events().begin(), events.events().end(), [](auto& event) {
    return std::holds_alternative<core::JsonLine>(event);
  });
  ASSERT_LT(lines, static_cast<std::ptrdiff_t>(kEventCount / 50));
  ingest::PublishConfig config = publish_config();
  config.align_bytes = kPlaceBytes;
  const std::vector<std::pair<std::size_t, std::size_t>> cuts{
      {4096, 1}, {70'001, 7}, {262'144, 333}};
  for (const std::size_t workers : {1, 2, 4}) {
    for (const auto& [chunk_bytes, batch] : cuts) {
      RunOptions options;
      options.workers = workers;
      options.chunk_bytes = chunk_bytes;
      // With a thread for ingest, chunks are filled past its caches.
      options.adjust = [&, batch = batch](tools::AppConfig& app) {
        app.engine.threading =
            batch == 333 ? pipeline::Threading::kPipeline : pipeline::Threading::kRunToCompletion;
      };
      // Full blocks of the ring become chunks where they are no larger than these: all but the
      // first.
      config.ring_bytes = (batch == 7 ? 256 : 1024) * 1024;
      config.event_bytes_max = 16 * 1024;
      // Series that are kept and series by their names, in turn.
      const tools::Summary summary =
          run_published(batch == 7 ? named : events, batch, config, options);
      EXPECT_EQ(summary.decision_digest, reference.decision_digest)
          << workers << " workers, chunks of " << chunk_bytes << ", batches of " << batch;
      EXPECT_EQ(summary.record_count, reference.record_count);
      EXPECT_EQ(summary.counts.accepted, reference.counts.accepted);
      EXPECT_EQ(summary.counts.rejected, reference.counts.rejected);
      EXPECT_EQ(summary.counts.late, reference.counts.late);
    }
  }
}

TEST(Publish, AJournalOfPackedEventsReplaysToTheSameDecisions) {
  const TemporaryDirectory directory;
  const std::string text = mixed_stream();
  const tools::TypedEvents events(text);
  RunOptions options;
  options.workers = 2;
  options.chunk_bytes = 10'007;
  options.journal = directory / "journal";
  const tools::Summary recorded = run_published(events, 13, publish_config(), options);
  RunOptions replay;
  replay.make_source = journal_source(directory / "journal");
  const tools::Summary replayed = run_stream("", replay);
  EXPECT_EQ(replayed.decision_digest, recorded.decision_digest);
  EXPECT_EQ(replayed.counts.accepted, recorded.counts.accepted);
  EXPECT_EQ(replayed.counts.rejected, recorded.counts.rejected);
  // An event of it is shown as the line that says the same.
  auto reader = ingest::JournalReader::open(directory / "journal");
  ASSERT_TRUE(reader.has_value());
  const auto first = (*reader)->find_line(20);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(*first, std::get<core::JsonLine>(events.events().front()).text);
}

// Publishers of one engine, stopped in the middle: what each was told is what was received.
TEST(Publish, AccountsForEveryEventOfSeveralPublishersWhenTheEngineStops) {
  tools::AppConfig app;
  app.engine.workers = 2;
  auto checked = tools::check_config(std::move(app));
  ASSERT_TRUE(checked.has_value());
  const core::SystemClock clock;
  for (int round = 0; round < 12; ++round) {
    schedule::DryRunExecutor executor;
    const core::SubsystemList subsystems = tools::make_subsystems(checked->app);
    ingest::PublishConfig config;
    config.ring_bytes = 16 * 1024;
    config.event_bytes_max = 4096;
    auto made = PublishSource::create(config);
    ASSERT_TRUE(made.has_value());
    std::vector<Publisher> publishers;
    for (int i = 0; i < 3; ++i) {
      auto publisher = (*made)->publisher();
      ASSERT_TRUE(publisher.has_value());
      publishers.push_back(std::move(*publisher));
    }
    std::vector<std::unique_ptr<ingest::Source>> sources;
    sources.push_back(std::move(*made));
    auto engine = pipeline::Engine::open(
        checked->app.engine, {subsystems, std::move(sources), nullptr, executor, checked->playbooks,
                              meta_loop::declare_adjustables, clock});
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    (*engine)->start();
    std::vector<std::thread> threads;
    for (Publisher& publisher : publishers) {
      threads.emplace_back([&publisher, round] {
        // One that publishes each alone, and others in batches that a stop cuts anywhere.
        core::MetricSample sample{.service = "api", .metric = "latency_ms"};
        for (int i = 0;; ++i) {
          sample.value = i;
          if (i % 100 == 99) sample.metric = {};  // bad, and received all the same
          const PublishStatus status =
              round % 2 == 0 ? publisher.try_publish(sample) : publisher.add(sample);
          sample.metric = "latency_ms";
          if (status == PublishStatus::kClosed) return;
        }
      });
    }
    // Each is in the midst of it, however late its thread was; then a moment that varies.
    for (const Publisher& publisher : publishers) {
      while (publisher.figures().published < 200) std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(300 * round));
    (*engine)->request_stop();
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE((*engine)->wait().has_value());
    const pipeline::EventCounts counts = (*engine)->counts();
    std::uint64_t published = 0;
    for (const Publisher& publisher : publishers) published += publisher.figures().published;
    EXPECT_GT(published, 0U);
    EXPECT_EQ(counts.received, published);
    EXPECT_EQ(counts.received, counts.accepted + counts.rejected_total() + counts.dropped);
    EXPECT_EQ(counts.dropped, 0U);
    EXPECT_GT(counts.rejected_total(), 0U);
  }
}

}  // namespace
}  // namespace grace::testing
