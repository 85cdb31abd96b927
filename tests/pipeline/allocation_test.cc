// A program of its own: it counts every allocation, by thread, and the bytes that are alive. Covers
// malloc itself, so that nothing of the C++ or C library slips by.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "engine_fixture.h"
#include "grace/ingest/publish_source.h"
#include "sanitized.h"
#include "stream.h"

namespace {

thread_local std::uint64_t allocations_of_thread = 0;
// Relaxed throughout: figures, each for itself, read when the threads have ended.
std::atomic<std::int64_t> live_bytes{0};
std::atomic<std::int64_t> peak_bytes{0};

}  // namespace

#if !GRACE_SANITIZED  // a sanitizer is the allocator itself

namespace {

void* counted(void* memory) noexcept {
  ++allocations_of_thread;
  const auto size = static_cast<std::int64_t>(malloc_usable_size(memory));
  // Relaxed: see above.
  const std::int64_t live = live_bytes.fetch_add(size, std::memory_order_relaxed) + size;
  std::int64_t peak = peak_bytes.load(std::memory_order_relaxed);
  // Relaxed: see above.
  while (live > peak && !peak_bytes.compare_exchange_weak(peak, live, std::memory_order_relaxed,
                                                          std::memory_order_relaxed)) {
  }
  return memory;
}

void forget(void* memory) noexcept {
  // Relaxed: see above.
  live_bytes.fetch_sub(static_cast<std::int64_t>(malloc_usable_size(memory)),
                       std::memory_order_relaxed);
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);

void* malloc(std::size_t size) {
  return counted(__libc_malloc(size));
}
void* calloc(std::size_t count, std::size_t size) {
  return counted(__libc_calloc(count, size));
}
void* realloc(void* memory, std::size_t size) {
  forget(memory);
  return counted(__libc_realloc(memory, size));
}
void* memalign(std::size_t alignment, std::size_t size) {
  return counted(__libc_memalign(alignment, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return counted(__libc_memalign(alignment, size));
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  *out = counted(__libc_memalign(alignment, size));
  return *out == nullptr ? ENOMEM : 0;
}
void free(void* memory) {
  forget(memory);
  __libc_free(memory);
}
}

#endif

namespace grace::testing {
namespace {

#ifdef NDEBUG
constexpr std::size_t kMinutes = 600;
#else
constexpr std::size_t kMinutes = 240;
#endif

// What the worker that owns a partition had allocated at the first and the last event in the part
// of the stream that is looked at. Written by that worker, read when the engine has ended.
struct Watched {
  std::uint64_t events = 0;
  std::uint64_t before = 0;
  std::uint64_t after = 0;
};
using WatchedTable = std::array<Watched, core::kPartitionCount>;

// Stands last among the subsystems, so that it sees what the event cost all others.
class Watch final : public core::Subsystem {
 public:
  Watch(WatchedTable& watched, std::uint64_t from) : watched_(watched), from_(from) {}
  [[nodiscard]] core::Source source() const noexcept override {
    return core::Source::kImmutableLog;
  }
  [[nodiscard]] std::unique_ptr<core::PartitionDetector> make_partition(
      std::size_t partition_index) const override {
    return std::make_unique<Detector>(watched_[partition_index], from_);
  }
  [[nodiscard]] std::unique_ptr<core::OrderedDetector> make_ordered(
      const core::OrderedContext& context) const override {
    static_cast<void>(context);
    return nullptr;
  }

 private:
  class Detector final : public core::PartitionDetector {
   public:
    Detector(Watched& watched, std::uint64_t from) : watched_(watched), from_(from) {}
    void on_event(const core::Event& event, core::FindingSink& sink) override {
      static_cast<void>(sink);
      if (event.sequence < from_) return;
      if (watched_.events++ == 0) watched_.before = allocations_of_thread;
      watched_.after = allocations_of_thread;
    }

   private:
    Watched& watched_;
    std::uint64_t from_;
  };
  WatchedTable& watched_;
  std::uint64_t from_;
};

struct Cost {
  std::uint64_t events = 0;
  std::uint64_t allocations = 0;  // of the busiest view on each worker, added up
  std::uint64_t findings = 0;
};

Cost cost_of_second_half(const std::string& text, std::size_t workers) {
  WatchedTable watched{};
  const std::uint64_t half = text.size() / 2;
  RunOptions options;
  options.workers = workers;
  options.mode = schedule::Mode::kObserve;
  // Allocations are told apart by thread, and the ordered stage, which may allocate, has one.
  options.adjust = [](tools::AppConfig& config) {
    config.engine.threading = pipeline::Threading::kPipeline;
  };
  options.adjust_subsystems = [&](core::SubsystemList& list) {
    list.push_back(std::make_unique<Watch>(watched, half));
  };
  Cost cost;
  options.look = [&](const pipeline::OrderedView& view) {
    cost.findings = view.triggers.stats().total_triggers;
    for (const std::uint64_t count : view.triggers.stats().suppressed) cost.findings += count;
  };
  const tools::Summary summary = run_stream(text, options);
  EXPECT_EQ(summary.counts.rejected_total(), 0U);
  for (std::size_t worker = 0; worker < workers; ++worker) {
    std::uint64_t most = 0;
    for (std::size_t p = worker; p < watched.size(); p += workers) {
      cost.events += watched[p].events;
      most = std::max(most, watched[p].after - watched[p].before);
    }
    cost.allocations += most;
  }
  return cost;
}

// Metrics with noise, and actors that do their work well, in their usual order.
std::string healthy_stream() {
  Stream stream;
  tools::Random random(31);
  std::vector<std::string> names;
  for (int i = 0; i < 24; ++i) names.push_back("svc_" + std::to_string(i));
  for (std::size_t step = 0; step < kMinutes * 12; ++step, stream.pass(5 * kNsPerSecond)) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (step % 3 == i % 3) {
        stream.metric(names[i], "core", "latency_ms", 100.0 + 3.0 * random.normal());
        stream.metric(names[i], "core", "cpu_usage_percent", 40.0 + 1.5 * random.normal());
        stream.metric(names[i], "core", "queue_depth", 8.0 + random.normal());
      }
      constexpr std::array<std::string_view, 4> kSteps{"open", "read", "write", "close"};
      stream.action(names[i], kSteps[step % kSteps.size()], names[i], "core", "success");
    }
  }
  return stream.text();
}

TEST(SteadyState, AHealthyStreamCostsTheWorkersNoAllocationAtAll) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer is the allocator";
  const std::string text = healthy_stream();
  for (const std::size_t workers : {1, 2}) {
    const Cost cost = cost_of_second_half(text, workers);
    EXPECT_GT(cost.events, kMinutes * 12 * 24 / 2);
    EXPECT_EQ(cost.allocations, 0U) << "in " << cost.events << " events, " << workers
                                    << " workers, " << cost.findings << " findings";
  }
}

TEST(SteadyState, PublishingCostsItsThreadNoAllocationAtAll) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer is the allocator";
  std::thread thread;
  std::uint64_t allocations = 1;
  RunOptions options;
  options.make_source = [&]() -> std::unique_ptr<ingest::Source> {
    ingest::PublishConfig config;
    config.end_with_publishers = true;
    auto source = ingest::PublishSource::create(config);
    EXPECT_TRUE(source.has_value());
    auto publisher = (*source)->publisher();
    EXPECT_TRUE(publisher.has_value());
    thread = std::thread([&allocations, mine = std::move(*publisher)]() mutable {
      const std::array<core::Label, 1> labels{{{"host", "n\"1"}}};
      const std::array<core::Attribute, 2> payload{{{"trace_id", "t"}, {"code", 0.5}}};
      const std::uint64_t before = allocations_of_thread;
      for (int i = 0; i < 100'000; ++i) {
        const std::int64_t ts_ns = kMorningNs + i * kNsPerSecond / 100;
        const core::MetricSample sample{ts_ns, "api", "core", "latency_ms", 100.0, labels};
        const core::ActionRecord action{
            .ts_ns = ts_ns, .actor = "api", .action = "read", .result = "ok", .payload = payload};
        while (mine.add(sample) == ingest::PublishStatus::kFull) std::this_thread::yield();
        while (mine.try_publish(action) == ingest::PublishStatus::kFull) std::this_thread::yield();
      }
      allocations = allocations_of_thread - before;
    });
    return std::move(*source);
  };
  const tools::Summary summary = run_stream("", options);
  thread.join();
  EXPECT_EQ(summary.counts.accepted, 200'000U);
  EXPECT_EQ(allocations, 0U);
}

// Faults, mesh events, deploy marks: what may allocate is rare (a finding, a mesh or control line
// that is decoded once to be checked), and costs a bounded number.
TEST(SteadyState, OnAMixedStreamOnlyFindingsMeshAndControlLinesAllocate) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer is the allocator";
  tools::GeneratorOptions options;
  options.event_count = kMinutes * 1000;
  options.events_per_second = 20.0;
  options.service_count = 20;
  options.seed = 42;
  const std::string text = generate_stream(options);
  std::uint64_t decoded = 0;
  for (std::size_t at = text.find('\n', text.size() / 2); at + 1 < text.size();
       at = text.find('\n', at + 1)) {
    const std::string_view line(text.data() + at + 1, text.find('\n', at + 1) - at - 1);
    if (line.find(R"("event_type")") != line.npos || line.find(R"("control")") != line.npos) {
      ++decoded;
    }
  }
  ASSERT_GT(decoded, 100U);
  for (const std::size_t workers : {1, 2}) {
    const Cost cost = cost_of_second_half(text, workers);
    ASSERT_GT(cost.findings, 20U);
    EXPECT_LE(cost.allocations, 12 * (decoded + cost.findings))
        << "in " << cost.events << " events, " << decoded << " decoded lines, " << cost.findings
        << " findings";
    RecordProperty("allocations", std::to_string(cost.allocations));
    std::cout << "  " << cost.allocations << " allocations in " << cost.events << " events, "
              << decoded << " decoded lines, " << cost.findings << " findings\n";
  }
}

// ---------------------------------------------------------------------------------------------
// Memory

// docs/ARCHITECTURE.md, "Memory", for one worker, no ledger, no journal.
std::uint64_t memory_bound_bytes(const tools::AppConfig& config) {
  const pipeline::EngineConfig& engine = config.engine;
  const std::uint64_t workers = engine.workers;
  const std::uint64_t in_flight = 2 * workers + 4;
  const std::uint64_t chunks = in_flight * (2 * ingest::chunk_capacity_bytes(engine.ingest) + 4096);
  const std::uint64_t rings =
      workers * workers * engine.event_ring_slots * 128 + workers * engine.item_ring_slots * 256;
  const std::uint64_t items = in_flight * 2 * (engine.ingest.chunk_target_bytes / 64) * 256;
  const std::uint64_t parsers = workers * 6 * engine.parse.line_bytes_max;
  const std::uint64_t proactive = config.proactive.series_max * 1024 +
                                  config.proactive.rich_models_max * 15 * 1024 +
                                  config.proactive.ensemble_models_max * 47 * 1024 +
                                  config.proactive.services_max * (1024 + 64 * 256);
  const log_analyzer::LogAnalyzerConfig& log = config.log_analyzer;
  const std::uint64_t per_partition =
      std::uint64_t{log.patterns_max} * 1152 + std::uint64_t{log.pairs_max} * 384 +
      std::uint64_t{log.templates_max} * 576 + std::uint64_t{log.sessions_max} * 1536 +
      std::uint64_t{log.grammar_nodes_max} * 256 + std::uint64_t{log.grammar_classes_max} * 512 +
      std::uint64_t{log.session_models_max} * (2ULL << 20) + std::uint64_t{log.symbols_max} * 32 +
      log.symbol_bytes_max;
  const std::uint64_t ordered = std::uint64_t{log.components_max} * 1024 +
                                std::uint64_t{config.agentic_spine.services_max} * 4096 +
                                std::uint64_t{engine.triggers.recent_max} * 8192 +
                                std::uint64_t{engine.triggers.correlate.incidents_max} * 16384 +
                                (4ULL << 20);
  const models::RootCauseConfig& causes = engine.triggers.correlate.root_cause;
  const std::uint64_t root_causes =
      std::uint64_t{causes.series_max} * (std::uint64_t{causes.history_max} * 27 + 512) +
      std::uint64_t{causes.services_max} * 1024 + std::uint64_t{causes.edges_max} * 256;
  return chunks + rings + items + parsers + proactive + core::kPartitionCount * per_partition +
         ordered + root_causes + (16ULL << 20);
}

// More series, services, actors and patterns than any table holds.
std::string crowded_stream(std::size_t names) {
  Stream stream;
  for (std::size_t i = 0; i < names; ++i, stream.pass(kNsPerSecond / 20)) {
    const std::string name = "svc_" + std::to_string(i);
    stream.metric(name, "core", "latency_ms", static_cast<double>(i % 100));
    stream.metric(name, "core", "requests_rps", static_cast<double>(i % 70));
    stream.action(name, "step_" + std::to_string(i % 1000), name, "core",
                  i % 50 == 0 ? "error" : "success",
                  R"({"session_id":"s)" + std::to_string(i) + "\"}");
  }
  return stream.text();
}

TEST(Memory, StaysBelowTheBoundThatFollowsFromTheConfiguration) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer is the allocator";
  std::uint64_t bound = 0;
  const auto peak_of = [&](std::size_t names) {
    std::string text = crowded_stream(names);
    std::uint64_t evicted = 0;
    RunOptions options;
    options.mode = schedule::Mode::kObserve;
    options.adjust = [&](tools::AppConfig& config) {
      config.proactive.series_max = 2048;
      config.proactive.rich_models_max = 64;
      config.proactive.ensemble_models_max = 64;
      config.proactive.services_max = 256;
      config.log_analyzer.patterns_max = 64;
      config.log_analyzer.pairs_max = 64;
      config.log_analyzer.sessions_max = 64;
      config.log_analyzer.grammar_nodes_max = 128;
      config.log_analyzer.grammar_classes_max = 16;
      config.log_analyzer.session_models_max = 1;
      config.log_analyzer.templates_max = 64;
      config.log_analyzer.symbols_max = 512;
      config.log_analyzer.symbol_bytes_max = 16'384;
      config.log_analyzer.components_max = 256;
      config.agentic_spine.services_max = 256;
      config.engine.triggers.recent_max = 512;
      config.engine.triggers.correlate.incidents_max = 64;
      config.engine.triggers.correlate.root_cause.series_max = 512;
      config.engine.triggers.correlate.root_cause.services_max = 256;
      bound = memory_bound_bytes(config);
    };
    // Relaxed: no other thread runs here.
    const std::int64_t before = live_bytes.load(std::memory_order_relaxed);
    peak_bytes.store(before, std::memory_order_relaxed);
    const tools::Summary summary = run_stream(std::move(text), options);
    evicted = summary.counts.evicted;
    EXPECT_GT(evicted, names) << "the tables were not full";
    return peak_bytes.load(std::memory_order_relaxed) - before;
  };
  const std::int64_t once = peak_of(20'000);
  const std::int64_t three_times = peak_of(60'000);
  std::cout << "  peak " << once / 1024 << " KiB and " << three_times / 1024 << " KiB, bound "
            << bound / 1024 << " KiB\n";
  EXPECT_LE(three_times, static_cast<std::int64_t>(bound));
  // Bounded means that more of everything does not need more.
  EXPECT_LE(three_times, once + once / 10);
}

}  // namespace
}  // namespace grace::testing
