// The wiring of the whole data path, in flow order. See docs/ARCHITECTURE.md for the drawing.
#include "grace/pipeline/engine.h"

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "grace/core/assert.h"
#include "grace/ingest/journal.h"
#include "grace/ledger/writer.h"
#include "ingest_port.h"
#include "ordered_stage.h"
#include "own_ledger.h"
#include "recorder.h"
#include "recovery.h"
#include "worker.h"

namespace grace::pipeline {
namespace {

template <typename T, typename Check>
core::Result<void> check(T& part, Check&& validate) {
  auto checked = validate(std::move(part));
  if (!checked) return tl::unexpected<core::Error>(checked.error());
  part = std::move(*checked);
  return {};
}

core::Result<void> in_range(std::string_view field, std::size_t value, std::size_t min,
                            std::size_t max) {
  if (value >= min && value <= max) return {};
  return core::make_error(core::ErrorCode::kInvalidArgument,
                          std::string(field) + " is " + std::to_string(value) + ", must be " +
                              std::to_string(min) + " to " + std::to_string(max));
}

// One worker's rejects on their way to the dead-letter file.
class DeadLetters final : public parse::RejectSink {
 public:
  DeadLetters(parse::DeadLetterFile* file, const std::vector<std::string>& source_names)
      : source_names_(source_names) {
    if (file != nullptr) producer_.emplace(*file);
  }
  void rejected(const parse::Reject& reject) override {
    if (!producer_) return;
    const std::string_view name = reject.source_index < source_names_.size()
                                      ? std::string_view(source_names_[reject.source_index])
                                      : std::string_view("recorded");
    producer_->offer(reject, name);
  }

 private:
  std::optional<parse::DeadLetterFile::Producer> producer_;
  const std::vector<std::string>& source_names_;
};

}  // namespace

std::string_view name_of(Threading threading) noexcept {
  return threading == Threading::kPipeline ? "pipeline" : "run_to_completion";
}

std::optional<Threading> threading_from(std::string_view name) noexcept {
  for (const Threading threading : {Threading::kRunToCompletion, Threading::kPipeline}) {
    if (name == name_of(threading)) return threading;
  }
  return std::nullopt;
}

core::Result<EngineConfig> validated(EngineConfig config) {
  const std::initializer_list<core::Result<void>> checks{
      in_range("workers", config.workers, 1, core::kWorkersMax),
      in_range("event_ring_slots", config.event_ring_slots, 64, std::size_t{1} << 20),
      in_range("item_ring_slots", config.item_ring_slots, 64, std::size_t{1} << 20),
      in_range("observations_per_tick_max", config.observations_per_tick_max, 1,
               std::size_t{1} << 24),
      check(config.parse, [](auto part) { return parse::validated(std::move(part)); }),
      check(config.ingest, [](auto part) { return ingest::validated(std::move(part)); }),
      check(config.triggers, [](auto part) { return validated(std::move(part)); }),
      check(config.schedule, [](auto part) { return schedule::validated(std::move(part)); }),
      check(config.dead_letters, [](auto part) { return parse::validated(std::move(part)); }),
  };
  for (const core::Result<void>& result : checks) {
    if (!result) return tl::unexpected<core::Error>(result.error());
  }
  if (config.tick.count() < 1'000'000) {
    return core::make_error(core::ErrorCode::kInvalidArgument, "tick must be 1 ms or more");
  }
  if (auto ledger = check_ledger(config); !ledger) {
    return tl::unexpected<core::Error>(ledger.error());
  }
  if (config.parse.line_bytes_max != config.ingest.line_bytes_max) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "parse.line_bytes_max and ingest.line_bytes_max must be equal");
  }
  if (config.chunks_in_flight_max == 0) {
    // Beside those that are parsed, with a journal those that wait for their block to be written.
    constexpr std::size_t kWaitForJournal = 6;
    config.chunks_in_flight_max =
        2 * config.workers + 4 + (config.journal_directory.empty() ? 0 : kWaitForJournal);
  }
  return config;
}

std::uint64_t EventCounts::rejected_total() const {
  std::uint64_t total = 0;
  for (const std::uint64_t count : rejected) total += count;
  return total;
}

class Engine::Impl {
 public:
  Impl(EngineConfig config, Parts& parts)
      : config_(std::move(config)),
        subsystems_(parts.subsystems),
        exchange_(config_.workers, config_.event_ring_slots, config_.item_ring_slots,
                  config_.chunks_in_flight_max),
        port_(exchange_) {}

  core::Result<void> build(Parts& parts) {
    if (auto done = open_logs(); !done) return done;
    if (auto done = build_ingest(parts); !done) return done;
    build_workers();
    if (auto done = build_ordered(parts); !done) return done;
    build_runners();
    return {};
  }

  // Threads start in reverse flow order, so that each finds its consumer running.
  void start() {
    if (ordered_runner_) ordered_runner_->start();
    for (auto& runner : worker_runners_) runner->start();
    if (ingest_runner_) ingest_runner_->start();
    started_ = true;
  }

  void request_stop() noexcept { ingest_->request_stop(); }

  [[nodiscard]] bool finished() const noexcept {
    return ingest_->finished() && ordered_->processed_chunks() == ingest_->next_chunk_number();
  }

  // Stops the threads in flow order, each when its input is used up.
  core::Result<void> wait() {
    if (!started_) return {};
    while (!finished()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (ingest_runner_) {
      ingest_runner_->request_stop();
      ingest_runner_->join();
    }
    for (auto& runner : worker_runners_) {
      runner->request_stop();
      runner->join();
    }
    if (ordered_runner_) {
      ordered_runner_->request_stop();
      ordered_runner_->join();
    }
    for (auto& worker : workers_) worker->publish_detector_counts();
    started_ = false;
    return close_logs();
  }

  [[nodiscard]] EventCounts counts() const {
    EventCounts sum;
    for (const auto& worker : workers_) {
      // Relaxed: statistics, each figure for itself; exact once the workers have stopped.
      const WorkerCounters& from = worker->counters();
      sum.received += from.received.load(std::memory_order_relaxed);
      sum.accepted += from.accepted.load(std::memory_order_relaxed);
      sum.blank_lines += from.blank.load(std::memory_order_relaxed);
      sum.late += from.late.load(std::memory_order_relaxed);
      sum.evicted += from.evicted.load(std::memory_order_relaxed);
      sum.bands.due += from.bands_due.load(std::memory_order_relaxed);
      sum.bands.inside += from.bands_inside.load(std::memory_order_relaxed);
      for (std::size_t i = 0; i < parse::kRejectReasonCount; ++i) {
        sum.rejected[i] += from.rejected[i].load(std::memory_order_relaxed);
      }
    }
    for (const ingest::SourceFigures& source : ingest_->figures().sources) {
      sum.dropped += source.dropped_lines;
    }
    sum.received += sum.dropped;  // they were offered to us, and we let them fall
    return sum;
  }

  [[nodiscard]] std::uint64_t decided_sequence() const noexcept {
    return ordered_->decided_sequence();
  }

  bool inspect(const std::function<void(const OrderedView&)>& look,
               std::chrono::milliseconds timeout) {
    if (started_) return ordered_->inspect(look, timeout);
    ordered_->inspect_here(look);
    return true;
  }

  [[nodiscard]] OwnLedger& ledger() noexcept { return ledger_; }
  [[nodiscard]] ingest::JournalHashing journal_hashing() const {
    return journal_ ? journal_->hashing() : ingest::JournalHashing{};
  }
  [[nodiscard]] ingest::IngestFigures ingest_figures() const { return ingest_->figures(); }
  [[nodiscard]] parse::DeadLetterCounters dead_letter_counters() const {
    return dead_letter_file_ ? dead_letter_file_->counters() : parse::DeadLetterCounters{};
  }

 private:
  core::Result<void> open_logs() {
    if (!config_.ledger_directory.empty()) {
      if (auto opened = ledger_.open(config_); !opened) return opened;
    }
    if (!config_.journal_directory.empty()) {
      ingest::JournalConfig journal;
      journal.directory = config_.journal_directory;
      journal.chunk_bytes_max = ingest::chunk_capacity_bytes(config_.ingest);
      auto writer = ingest::JournalWriter::open(journal);
      if (!writer) return tl::unexpected<core::Error>(writer.error());
      journal_ = std::move(*writer);
    }
    if (!config_.dead_letters.path.empty()) {
      auto file = parse::DeadLetterFile::open(config_.dead_letters);
      if (!file) return tl::unexpected<core::Error>(file.error());
      dead_letter_file_ = std::move(*file);
    }
    return {};
  }

  core::Result<void> build_ingest(Parts& parts) {
    for (const auto& source : parts.sources) source_names_.push_back(source->traits().name);
    const std::size_t capacity = ingest::chunk_capacity_bytes(config_.ingest);
    for (std::size_t i = 0; i < config_.chunks_in_flight_max; ++i) {
      chunks_.push_back(std::make_unique<core::Chunk>(capacity));
      exchange_.add_chunk(chunks_.back().get());
    }
    ingest::IngestParts ingest_parts;
    ingest_parts.sources = std::move(parts.sources);
    ingest_parts.port = &port_;
    ingest_parts.journal = journal_.get();
    ingest_parts.ticks = parts.internal;
    ingest_parts.clock = &parts.clock;
    ingest_parts.parsed_elsewhere = config_.threading == Threading::kPipeline;
    auto stage = ingest::IngestStage::create(config_.ingest, std::move(ingest_parts));
    if (!stage) return tl::unexpected<core::Error>(stage.error());
    ingest_ = std::move(*stage);
    return {};
  }

  void build_workers() {
    for (std::size_t i = 0; i < config_.workers; ++i) {
      WorkerConfig worker;
      worker.index = i;
      worker.first_chunk = ingest_->next_chunk_number();
      worker.tick_ns = config_.tick.count();
      worker.parse = config_.parse;
      rejects_.push_back(std::make_unique<DeadLetters>(dead_letter_file_.get(), source_names_));
      workers_.push_back(
          std::make_unique<Worker>(worker, exchange_, *rejects_.back(), subsystems_));
    }
  }

  core::Result<void> build_ordered(Parts& parts) {
    ledger::Producer producer;
    if (ledger_) {
      auto opened = ledger_.writer().producer();
      if (!opened) return tl::unexpected<core::Error>(from_ledger(opened.error()));
      producer = std::move(*opened);
    }
    const bool foretells =  // else the writer makes records of its own
        !ledger::RetentionConfig{config_.ledger_retention_bytes, config_.ledger_retention_age}
             .is_on();
    recorder_.emplace(std::move(producer), static_cast<bool>(ledger_), foretells,
                      ledger_.redactor());
    ordered_ = std::make_unique<OrderedStage>(
        config_,
        OrderedStage::Wiring{exchange_, subsystems_, parts.executor, parts.playbooks,
                             ingest_->next_chunk_number(), ingest_->next_sequence(),
                             parts.declare_adjustables, parts.progress},
        *recorder_);
    if (ledger_ && !ledger_.writer().recovery().created) {
      if (auto done = recover_from_ledger(config_.ledger_directory, *ordered_); !done) return done;
    }
    ordered_->recovered();
    return {};
  }

  void build_runners() {
    const bool alone = config_.threading == Threading::kPipeline;
    if (!alone) {
      ingest_turn_.emplace(*ingest_, port_);
      for (std::size_t i = 0; i < workers_.size(); ++i) {
        ingest_guests_.emplace_back(*ingest_turn_, *workers_[i], i);
      }
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      core::RunnerConfig runner = runner_config("worker " + std::to_string(i));
      if (config_.pin_workers) runner.cpu = static_cast<unsigned>(i);
      std::vector<core::Stage*> stages;
      if (!alone) stages.push_back(&ingest_guests_[i]);
      stages.push_back(workers_[i].get());
      if (!alone && i + 1 == workers_.size()) stages.push_back(ordered_.get());
      worker_runners_.push_back(
          std::make_unique<core::Runner>(std::move(runner), std::move(stages)));
    }
    if (!alone) return;
    std::vector<core::Stage*> beside{ingest_.get()};
    // Together they take about as long as one worker, and on two CPUs a thread more only takes
    // turns with the worker. Gain: 2% to 5% of a replay's events/s, of published ones 1% to 11%.
    if (workers_.size() == 1) {
      beside.push_back(ordered_.get());
      ingest_runner_.emplace(runner_config("ingest+ordered"), std::move(beside));
      return;
    }
    ingest_runner_.emplace(runner_config("ingest"), std::move(beside));
    ordered_runner_.emplace(runner_config("ordered"), std::vector<core::Stage*>{ordered_.get()});
  }

  [[nodiscard]] core::RunnerConfig runner_config(std::string name) const {
    core::RunnerConfig config;
    config.name = std::move(name);
    config.idle = config_.idle;
    return config;
  }

  core::Result<void> close_logs() {
    core::Result<void> first;
    const auto keep = [&](core::Result<void> result) {
      if (first && !result) first = std::move(result);
    };
    if (ingest_->failure()) keep(tl::unexpected<core::Error>(*ingest_->failure()));
    if (journal_) keep(journal_->flush());
    if (dead_letter_file_) dead_letter_file_->close();
    if (ledger_) {
      keep(recorder_->make_durable());
      recorder_->release();
      if (auto closed = ledger_.writer().close(); !closed) {
        keep(tl::unexpected<core::Error>(from_ledger(closed.error())));
      }
    }
    return first;
  }

  EngineConfig config_;
  const core::SubsystemList& subsystems_;

  // --- logs: opened first, closed last ---
  OwnLedger ledger_;
  std::unique_ptr<ingest::JournalWriter> journal_;
  std::unique_ptr<parse::DeadLetterFile> dead_letter_file_;

  // --- the data path, in flow order ---
  std::vector<std::unique_ptr<core::Chunk>> chunks_;
  Exchange exchange_;
  Port port_;
  std::vector<std::string> source_names_;
  std::vector<std::unique_ptr<DeadLetters>> rejects_;  // one a worker
  std::unique_ptr<ingest::IngestStage> ingest_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::optional<Recorder> recorder_;
  std::unique_ptr<OrderedStage> ordered_;

  // --- threads: end before what they run ---
  std::optional<IngestGuest::Shared> ingest_turn_;
  std::vector<IngestGuest> ingest_guests_;
  std::optional<core::Runner> ordered_runner_;  // none: a worker's or ingest's runs the stage
  std::vector<std::unique_ptr<core::Runner>> worker_runners_;
  std::optional<core::Runner> ingest_runner_;  // none: the workers' run it
  std::atomic<bool> started_{false};
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Engine::~Engine() {
  impl_->request_stop();
  static_cast<void>(impl_->wait());
}

core::Result<std::unique_ptr<Engine>> Engine::open(EngineConfig config, Parts parts) {
  auto checked = validated(std::move(config));
  if (!checked) return tl::unexpected<core::Error>(checked.error());
  auto impl = std::make_unique<Impl>(std::move(*checked), parts);
  if (auto built = impl->build(parts); !built) return tl::unexpected<core::Error>(built.error());
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

void Engine::start() {
  impl_->start();
}
void Engine::request_stop() noexcept {
  impl_->request_stop();
}
bool Engine::finished() const noexcept {
  return impl_->finished();
}
core::Result<void> Engine::wait() {
  return impl_->wait();
}
EventCounts Engine::counts() const {
  return impl_->counts();
}
ingest::IngestFigures Engine::ingest_figures() const {
  return impl_->ingest_figures();
}
parse::DeadLetterCounters Engine::dead_letter_counters() const {
  return impl_->dead_letter_counters();
}
bool Engine::inspect(const std::function<void(const OrderedView&)>& look,
                     std::chrono::milliseconds timeout) {
  return impl_->inspect(look, timeout);
}
std::uint64_t Engine::decided_sequence() const noexcept {
  return impl_->decided_sequence();
}
std::uint64_t Engine::durable_sequence() const {
  return impl_->ledger().durable_sequence();
}
bool Engine::flush_ledger(std::chrono::milliseconds timeout) {
  return impl_->ledger().flush(timeout);
}
std::uint64_t Engine::written_sequence() const {
  return impl_->ledger().written_sequence();
}
std::uint64_t Engine::signed_sequence() const {
  return impl_->ledger().signed_sequence();
}
std::string Engine::ledger_error() const {
  return impl_->ledger().error();
}
LedgerKeeping Engine::ledger_keeping() const {
  return impl_->ledger().keeping();
}
std::string Engine::checkpoint_error() const {
  return impl_->ledger().checkpoint_error();
}
std::string Engine::redaction_error() const {
  return impl_->ledger().redaction_error();
}
ingest::JournalHashing Engine::journal_hashing() const {
  return impl_->journal_hashing();
}

}  // namespace grace::pipeline
