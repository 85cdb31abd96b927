#include "engine_load.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "grace/core/assert.h"
#include "grace/core/runner.h"
#include "grace/harness/machine.h"
#include "grace/schedule/replay_executors.h"
#include "load_source.h"
#include "session.h"

namespace grace::tools {
namespace {

// Batches and marks that wait to be counted: at most this many of each, 24 MiB.
constexpr std::size_t kWaitingMax = std::size_t{1} << 19;
// And where somebody watches the memory, which what waits must not be seen in.
constexpr std::size_t kWaitingMin = std::size_t{1} << 12;
// Threads start and tables are touched before the first arrival.
constexpr std::int64_t kLeadNs = 20'000'000;

double process_cpu_s() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0.0;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Joins what was sent with what was decided. While the load runs it only empties the rings; the
// counting, which would take a core from the engine, comes after, or when much has gathered.
class Observer {
 public:
  // `waiting_max`: of batches or marks; more are counted at once.
  Observer(const harness::ArrivalConfig& arrivals, const harness::LoadSpan& span,
           const LoadClock& timing, std::size_t waiting_max = kWaitingMax)
      : recorder_(arrivals, span), timing_(timing), waiting_max_(waiting_max) {}

  [[nodiscard]] core::SpscRing<SentBatch>& batches() noexcept { return batch_ring_; }
  [[nodiscard]] DecidedMarks& marks() noexcept { return marks_; }

  void take() {
    // Marks first: the batches of a mark that is seen are seen too.
    DecidedMark mark;
    while (marks_.ring().try_pop(mark)) decided_.push_back(mark);
    SentBatch batch;
    while (batch_ring_.try_pop(batch)) sent_.push_back(batch);
    if (sent_.size() > waiting_max_ || decided_.size() > waiting_max_) count();
  }
  // All that is known to be sent is known to be decided.
  [[nodiscard]] bool caught_up() {
    take();
    if (sent_.empty()) return true;
    return !decided_.empty() && decided_.back().sequence >= sent_.back().end_sequence;
  }
  [[nodiscard]] harness::LoadResult finish(std::int64_t end_ns) {
    take();
    // What was decided later was too late.
    while (!decided_.empty() && decided_.back().at_ns - timing_.begin_ns > end_ns)
      decided_.pop_back();
    count();
    // What was sent later, until the engine stopped, could not be sent in time.
    for (const SentBatch& batch : sent_) {
      if (batch.sent_ns <= end_ns) sent(batch);
    }
    return recorder_.finish(end_ns);
  }

 private:
  void sent(const SentBatch& batch) {
    recorder_.generator_delayed(batch.count, batch.took_ns);
    recorder_.sent(batch.count, batch.sent_ns);
  }
  void count() {
    for (const DecidedMark& mark : decided_) {
      std::uint64_t done = 0;
      while (!sent_.empty() && sent_.front().end_sequence <= mark.sequence) {
        sent(sent_.front());
        done += sent_.front().count;
        sent_.pop_front();
      }
      if (done > 0) recorder_.completed(done, mark.at_ns - timing_.begin_ns);
    }
    // The last one stays: a publisher's batch can be decided before its entry is seen here.
    if (decided_.size() > 1) decided_.erase(decided_.begin(), decided_.end() - 1);
  }

  core::SpscRing<SentBatch> batch_ring_{LoadSource::kBatchesMax};
  DecidedMarks marks_;
  std::deque<SentBatch> sent_;
  std::deque<DecidedMark> decided_;
  harness::LoadRecorder recorder_;
  const LoadClock& timing_;
  const std::size_t waiting_max_;
};

// Sleeps while the load runs, until all is decided or the drain is over. When that was.
template <typename SentAll>
std::int64_t observe(Observer& observer, const LoadClock& timing, const harness::LoadSpan& span,
                     SentAll&& sent_all, const std::function<void(std::int64_t)>& watch = {}) {
  const core::SystemClock clock;
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    observer.take();
    const std::int64_t now_ns = clock.monotonic_ns() - timing.begin_ns;
    if (watch) watch(now_ns);
    if (now_ns < span.end_ns()) continue;
    if (now_ns >= span.end_ns() + span.drain_ns_max) return now_ns;
    if (sent_all() && observer.caught_up()) return now_ns;
  }
}

core::Result<void> check_conservation(const pipeline::EventCounts& counts, std::uint64_t lines) {
  const std::uint64_t accounted = counts.accepted + counts.rejected_total() + counts.dropped;
  if (counts.received == accounted && counts.received + counts.blank_lines == lines) return {};
  return core::make_error(core::ErrorCode::kCorrupt,
                          "the engine was sent " + std::to_string(lines) + " lines, received " +
                              std::to_string(counts.received) + " and accounts for " +
                              std::to_string(accounted));
}

// Fills chunks as ingest does, and hands them on.
class NullIngest final : public core::Stage {
 public:
  NullIngest(ingest::Source& source, core::SpscRing<std::uint64_t>& out, std::size_t target_bytes)
      : source_(source), out_(out), limits_{target_bytes, 0}, chunk_(target_bytes + (2U << 20)) {}
  std::size_t run_once() override {
    if (waiting_) waiting_ = !out_.try_push(std::uint64_t{sequence_});
    if (waiting_ || ended()) return 0;
    chunk_.size_bytes = 0;
    if (source_.read(chunk_, limits_) == ingest::ReadStatus::kEnded) {
      // [ENDED] release: the last batch is in its ring. Pairs with the acquire in ended().
      ended_.store(true, std::memory_order_release);
    }
    if (chunk_.size_bytes == 0) return 0;
    sequence_ += chunk_.size_bytes;
    waiting_ = !out_.try_push(std::uint64_t{sequence_});
    return 1;
  }

  [[nodiscard]] bool ended() const noexcept {
    return ended_.load(std::memory_order_acquire);  // [ENDED] acquire: see run_once()
  }

 private:
  ingest::Source& source_;
  core::SpscRing<std::uint64_t>& out_;
  const ingest::ReadLimits limits_;
  core::Chunk chunk_;
  std::uint64_t sequence_ = 0;
  bool waiting_ = false;
  std::atomic<bool> ended_{false};
};

class NullOrdered final : public core::Stage {
 public:
  NullOrdered(core::SpscRing<std::uint64_t>& in, DecidedMarks& marks) : in_(in), marks_(marks) {}
  std::size_t run_once() override {
    std::uint64_t sequence = 0;
    if (!in_.try_pop(sequence)) return 0;
    marks_.on_decided(sequence);
    return 1;
  }

 private:
  core::SpscRing<std::uint64_t>& in_;
  DecidedMarks& marks_;
};

LoadClock clock_for(const harness::ArrivalConfig& arrivals, const harness::LoadSpan& span,
                    double event_rate) {
  const core::SystemClock clock;
  LoadClock timing;
  timing.begin_ns = clock.monotonic_ns() + kLeadNs;
  timing.first_event_ns = clock.wall_ns() + kLeadNs;
  timing.event_gap_ns = 1e9 / (event_rate > 0.0 ? event_rate : std::max(arrivals.rate, 1.0));
  // Event time that runs ahead of the clock must begin earlier: the future is rejected.
  const double events = static_cast<double>(span.end_ns()) * 1e-9 * arrivals.rate;
  const double ahead_ns = events * timing.event_gap_ns - static_cast<double>(span.end_ns());
  if (ahead_ns > 0.0) timing.first_event_ns -= static_cast<std::int64_t>(ahead_ns);
  return timing;
}

struct LoadParts {
  const LoadStream& stream;
  const harness::ArrivalConfig& arrivals;
  const harness::LoadSpan& span;
  const LoadClock& timing;
  const PublishStream* published;
};

// Where events are published, `publishing` is what does it, and starts when the source is read.
core::Result<std::unique_ptr<ingest::Source>> source_of(const LoadParts& parts,
                                                        core::SpscRing<SentBatch>& batches,
                                                        std::unique_ptr<PublishLoad>& publishing) {
  if (parts.published == nullptr) {
    return std::make_unique<LoadSource>(parts.stream, parts.arrivals, parts.span, parts.timing,
                                        batches);
  }
  auto made =
      PublishLoad::create(*parts.published, parts.arrivals, parts.span, parts.timing, batches);
  if (!made) return tl::unexpected<core::Error>(made.error());
  publishing = std::move(*made);
  return publishing->take_source();
}

}  // namespace

core::Result<EngineRun> run_engine_load(const EngineLoad& load) {
  EngineRun run;
  const std::uint64_t resident_before = harness::resident_bytes();
  const core::SystemClock clock;
  LoadClock timing;  // set when the engine stands, before its threads start
  Observer observer(load.arrivals, load.span, timing, load.watch ? kWaitingMin : kWaitingMax);
  schedule::DryRunExecutor executor;
  const core::SubsystemList subsystems = make_subsystems(load.config.app);
  pipeline::EngineConfig config = load.config.app.engine;
  config.ingest.tick_interval = std::chrono::nanoseconds(0);
  std::vector<std::unique_ptr<ingest::Source>> sources;
  std::unique_ptr<PublishLoad> publishing;
  auto source = source_of({load.stream, load.arrivals, load.span, timing, load.published},
                          observer.batches(), publishing);
  if (!source) return tl::unexpected<core::Error>(source.error());
  sources.push_back(std::move(*source));
  auto engine = pipeline::Engine::open(
      config, {subsystems, std::move(sources), nullptr, executor, load.config.playbooks,
               meta_loop::declare_adjustables, clock, &observer.marks()});
  if (!engine) return tl::unexpected<core::Error>(engine.error());
  const harness::ForeignCpu foreign;
  const double cpu_begin_s = process_cpu_s();
  timing = clock_for(load.arrivals, load.span, load.event_rate);
  (*engine)->start();
  if (publishing) publishing->start();
  const std::int64_t end_ns = observe(
      observer, timing, load.span, [&] { return (*engine)->finished(); }, load.watch);
  run.foreign_share = foreign.share();
  run.cpu_s = process_cpu_s() - cpu_begin_s;
  const std::uint64_t resident_after = harness::resident_bytes();
  run.resident_bytes = resident_after - std::min(resident_before, resident_after);
  (*engine)->request_stop();
  if (const auto ended = (*engine)->wait(); !ended) {
    return tl::unexpected<core::Error>(ended.error());
  }
  run.counts = (*engine)->counts();
  if (publishing) {
    const std::uint64_t published = publishing->stop();
    if (published != run.counts.received) {
      return core::make_error(core::ErrorCode::kCorrupt,
                              std::to_string(published) + " events were published, the engine " +
                                  "received " + std::to_string(run.counts.received));
    }
  }
  run.rejected = run.counts.rejected_total();
  const ingest::IngestFigures figures = (*engine)->ingest_figures();
  if (const auto whole = check_conservation(run.counts, figures.lines); !whole) {
    return tl::unexpected<core::Error>(whole.error());
  }
  run.marks_left_out = observer.marks().left_out();
  run.load = observer.finish(end_ns);
  return run;
}

core::Result<harness::LoadResult> run_null_load(const LoadStream& stream,
                                                const harness::ArrivalConfig& arrivals,
                                                const harness::LoadSpan& span,
                                                const pipeline::EngineConfig& threads,
                                                const PublishStream* published) {
  const LoadClock timing = clock_for(arrivals, span, 0.0);
  Observer observer(arrivals, span, timing);
  std::unique_ptr<PublishLoad> publishing;
  auto source =
      source_of({stream, arrivals, span, timing, published}, observer.batches(), publishing);
  if (!source) return tl::unexpected<core::Error>(source.error());
  core::SpscRing<std::uint64_t> handover(64);
  NullIngest ingest(**source, handover, ingest::IngestConfig{}.chunk_target_bytes);
  NullOrdered ordered(handover, observer.marks());
  // One worker runs both stages; of several the first runs the one and the last the other.
  const bool apart = threads.threading == pipeline::Threading::kPipeline || threads.workers > 1;
  std::vector<std::vector<core::Stage*>> stages;  // by thread, in flow order
  if (apart) {
    stages = {{&ingest}, {&ordered}};
  } else {
    stages = {{&ingest, &ordered}};
  }
  core::RunnerConfig runner;
  runner.name = "floor";
  runner.idle = threads.idle;
  std::vector<std::unique_ptr<core::Runner>> runners;
  for (auto& each : stages) runners.push_back(std::make_unique<core::Runner>(runner, each));
  for (auto& each : runners) each->start();
  if (publishing) publishing->start();
  const std::int64_t end_ns = observe(observer, timing, span, [&] { return ingest.ended(); });
  for (auto& each : runners) {
    each->request_stop();
    each->join();
  }
  return observer.finish(end_ns);
}

}  // namespace grace::tools
