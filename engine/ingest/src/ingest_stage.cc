#include "grace/ingest/ingest_stage.h"

#include <algorithm>
#include <string>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/json_writer.h"
#include "lines.h"

namespace grace::ingest {

using core::ErrorCode;
using core::make_error;

namespace {

constexpr std::size_t kTargetBytesMin = 4 * 1024;
constexpr std::size_t kTargetBytesMax = 1024 * 1024;
constexpr std::size_t kLineBytesMin = 1024;
constexpr std::size_t kLineBytesMax = 16 * 1024 * 1024;
constexpr std::size_t kSourcesMax = 65'535;  // Chunk::source_index is 16 bits

// Relaxed: statistics with one writer, the stage; readers want figures, not an order.
void add(std::atomic<std::uint64_t>& counter, std::uint64_t count = 1) {
  counter.fetch_add(count, std::memory_order_relaxed);
}
std::uint64_t figure(const std::atomic<std::uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);  // relaxed: see add()
}

std::string out_of_range(const char* field, std::size_t value, std::size_t min, std::size_t max) {
  return std::string(field) + ": " + std::to_string(value) + " is not in " + std::to_string(min) +
         " to " + std::to_string(max);
}

std::string tick_line(std::int64_t ts_ns) {
  std::string line;
  core::JsonWriter(line)
      .begin_object()
      .field("kind", "control")
      .field("control", "tick")
      .field("ts", ts_ns)
      .end_object();
  return line;
}

// Everything a source could see or leave from the chunk's last use.
void reset(core::Chunk& chunk) {
  chunk.number = 0;
  chunk.first_sequence = 0;
  chunk.arrival_ns = 0;
  chunk.size_bytes = 0;
  chunk.scratch_used_bytes = 0;
  chunk.packed_records = 0;
  chunk.source_index = 0;
  chunk.source_kind = core::SourceKind::kNone;
  chunk.trusted = chunk.operator_allowed = false;
  chunk.begins_cut = chunk.ends_cut = chunk.last_of_source = chunk.packed = false;
}

}  // namespace

core::Result<IngestConfig> validated(IngestConfig config) {
  const auto invalid = [](std::string message) {
    return make_error(ErrorCode::kInvalidArgument, std::move(message));
  };
  if (config.chunk_target_bytes < kTargetBytesMin || config.chunk_target_bytes > kTargetBytesMax) {
    return invalid(out_of_range("chunk_target_bytes", config.chunk_target_bytes, kTargetBytesMin,
                                kTargetBytesMax));
  }
  if (config.line_bytes_max < kLineBytesMin || config.line_bytes_max > kLineBytesMax) {
    return invalid(
        out_of_range("line_bytes_max", config.line_bytes_max, kLineBytesMin, kLineBytesMax));
  }
  if (config.linger.count() < 0 || config.tick_interval.count() < 0) {
    return invalid("linger and tick_interval: must not be negative");
  }
  return config;
}

IngestStage::IngestStage(const IngestConfig& config, IngestParts parts)
    : config_(config),
      // The journal would read it here.
      limits_{config.chunk_target_bytes, config.line_bytes_max,
              parts.parsed_elsewhere && parts.journal == nullptr},
      port_(parts.port),
      journal_(parts.journal),
      ticks_(parts.ticks),
      clock_(*parts.clock) {
  slots_.reserve(parts.sources.size());
  for (auto& source : parts.sources) slots_.emplace_back(std::move(source));
}

IngestStage::~IngestStage() = default;

core::Result<std::unique_ptr<IngestStage>> IngestStage::create(const IngestConfig& config,
                                                               IngestParts parts) {
  auto valid = validated(config);
  if (!valid) return tl::unexpected<core::Error>(valid.error());
  GRACE_ASSERT(parts.port != nullptr && parts.clock != nullptr, "a stage needs a port and a clock");
  const auto& sources = parts.sources;
  if (sources.empty() || sources.size() > kSourcesMax) {
    return make_error(ErrorCode::kInvalidArgument,
                      out_of_range("sources", sources.size(), 1, kSourcesMax));
  }
  InputPosition position = parts.journal != nullptr ? parts.journal->end() : InputPosition{};
  const bool replays = std::any_of(sources.begin(), sources.end(),
                                   [](const auto& source) { return source->traits().replays; });
  if (replays) {
    if (sources.size() > 1) {
      return make_error(ErrorCode::kInvalidArgument,
                        "a journal is replayed alone: it has the lines of all its sources");
    }
    const InputPosition begin = sources.front()->begin();
    if (parts.journal != nullptr && position.number != 0 && position.number != begin.number) {
      return make_error(ErrorCode::kInvalidArgument,
                        "the journal to write ends at chunk " + std::to_string(position.number) +
                            ", the one to replay begins at " + std::to_string(begin.number));
    }
    position = begin;
  }
  std::unique_ptr<IngestStage> stage(new IngestStage(*valid, std::move(parts)));
  stage->next_number_ = position.number;
  stage->next_sequence_ = position.sequence;
  stage->next_tick_ns_ = stage->clock_.monotonic_ns();
  return stage;
}

// The tick's line has its place in the input like any other, so a replay moves event time at the
// same sequence.
void IngestStage::tick() {
  if (ticks_ == nullptr || config_.tick_interval.count() == 0 || sources_stopped_) return;
  const std::int64_t now_ns = clock_.monotonic_ns();
  if (now_ns < next_tick_ns_) return;
  next_tick_ns_ = now_ns + config_.tick_interval.count();
  // When the queue is full the next tick moves time all the same; the source counts the loss.
  if (ticks_->push(tick_line(clock_.wall_ns()))) add(tick_count_);
}

core::Chunk* IngestStage::take_chunk() {
  core::Chunk* chunk = std::exchange(spare_, nullptr);
  if (chunk == nullptr) chunk = port_->try_acquire();
  if (chunk == nullptr) {
    add(acquire_refused_);
    return nullptr;
  }
  GRACE_ASSERT(chunk->capacity() >= chunk_capacity_bytes(config_), "chunk of %zu bytes, needs %zu",
               chunk->capacity(), chunk_capacity_bytes(config_));
  reset(*chunk);
  return chunk;
}

std::size_t IngestStage::read_slot(std::size_t index) {
  Slot& slot = slots_[index];
  // Relaxed: the stage wrote it.
  if (slot.ended.load(std::memory_order_relaxed)) return 0;
  core::Chunk* chunk = slot.open != nullptr ? slot.open : take_chunk();
  if (chunk == nullptr) return 0;
  slot.open = nullptr;
  const std::uint32_t before = chunk->size_bytes;
  const SourceTraits& traits = slot.source->traits();
  const ReadStatus status = slot.source->read(*chunk, limits_);
  const std::size_t read_bytes = chunk->size_bytes - before;
  if (status == ReadStatus::kEnded) {
    slot.ended.store(true, std::memory_order_relaxed);  // relaxed: a figure for other threads
    if (traits.replays && slot.source->first_error()) fail(*slot.source->first_error());
  }
  if (chunk->size_bytes == 0) {
    reset(*chunk);
    spare_ = chunk;
    return status == ReadStatus::kMore || status == ReadStatus::kEnded ? 1 : 0;
  }
  slot.open = chunk;
  if (before == 0) {
    slot.opened_ns = traits.live ? clock_.monotonic_ns() : 0;
    if (!traits.replays) chunk->arrival_ns = config_.fixed_arrival_ns.value_or(clock_.wall_ns());
  }
  if (status == ReadStatus::kFull || status == ReadStatus::kEnded ||
      chunk->size_bytes >= limits_.target_bytes || is_due(slot)) {
    close_chunk(slot, index);
    return read_bytes + 1;
  }
  return read_bytes;
}

// Only live sources have chunks that are better published before they are full. Those that wait for
// their record in the journal are as good as on their way.
bool IngestStage::is_due(const Slot& slot) const {
  if (!slot.source->traits().live) return false;
  if (waiting_.empty() && port_->hungry()) return true;
  return clock_.monotonic_ns() - slot.opened_ns >= config_.linger.count();
}

// The chunk gets its place in the input and goes to the journal, then to the port.
void IngestStage::close_chunk(Slot& slot, std::size_t index) {
  core::Chunk& chunk = *std::exchange(slot.open, nullptr);
  const SourceTraits& traits = slot.source->traits();
  if (traits.replays) {
    if (chunk.number != next_number_ || chunk.first_sequence != next_sequence_) {
      // JournalSource checks this; another replaying source may not.
      reset(chunk);
      spare_ = &chunk;
      fail({ErrorCode::kCorrupt,
            traits.name + ": chunk " + std::to_string(chunk.number) + " does not follow", 0,
            chunk.first_sequence});
      return;
    }
  } else {
    chunk.number = next_number_;
    chunk.first_sequence = next_sequence_;
    chunk.source_index = static_cast<std::uint16_t>(index);
    chunk.source_kind = traits.kind;
    chunk.trusted = traits.trusted;
    chunk.operator_allowed = traits.operator_allowed;
  }
  ++next_number_;
  next_sequence_ += chunk.size_bytes;
  const std::uint64_t line_count = lines_begun(chunk);
  SourceCounters& counters = slot.source->counters();
  add(counters.bytes, chunk.size_bytes);
  add(counters.lines, line_count);
  add(counters.chunks);
  if (begins_long_line(chunk)) add(counters.cut_lines);
  waiting_.push_back({&chunk, line_count, record(chunk)});
}

std::uint64_t IngestStage::record(const core::Chunk& chunk) {
  if (journal_ == nullptr) return 0;
  auto mark = journal_->record(chunk);
  if (mark) {
    add(chunks_recorded_);
    return *mark;
  }
  journal_failed(std::move(mark.error()));
  return 0;
}

void IngestStage::journal_failed(core::Error error) {
  journal_ = nullptr;  // nothing more is recorded, so that what is recorded has no gap
  if (!journal_error_) journal_error_ = error;
  // [JOURNAL] release: publishes journal_error_. Pairs with the acquire in figures().
  journal_errors_.fetch_add(1, std::memory_order_release);
  if (config_.journal_required) fail(std::move(error));
}

void IngestStage::fail(core::Error error) {
  if (!failure_) failure_ = std::move(error);
  // Relaxed: the stage reads it next; others only look at finished_.
  stop_requested_.store(true, std::memory_order_relaxed);
}

// Hands over recorded chunks in order, as far as the journal and the port let it.
std::size_t IngestStage::offer_waiting() {
  std::size_t published = 0;
  while (!waiting_.empty()) {
    const Recorded& first = waiting_.front();
    if (journal_ != nullptr && config_.journal_before_publish && !journal_->is_safe(first.mark)) {
      if (auto health = journal_->health(); !health) {
        journal_failed(std::move(health.error()));
        continue;
      }
      break;
    }
    // A required journal lacks this chunk and what follows: nothing may act on them.
    if (failure_ && config_.journal_required && journal_ == nullptr) break;
    const std::uint32_t size_bytes = first.chunk->size_bytes;
    if (!port_->try_publish(first.chunk)) {
      add(publish_refused_);
      break;
    }
    add(bytes_, size_bytes);
    add(lines_, first.line_count);
    add(chunks_);
    waiting_.pop_front();
    ++published;
  }
  return published;
}

void IngestStage::stop_sources() {
  sources_stopped_ = true;
  for (Slot& slot : slots_) {
    if (!slot.source->traits().auxiliary) slot.source->request_stop();
  }
}

void IngestStage::finish_if_done() {
  bool primary_ended = true, has_primary = false, all_ended = true;
  for (const Slot& slot : slots_) {
    // Relaxed: the stage wrote it.
    const bool ended = slot.ended.load(std::memory_order_relaxed);
    all_ended = all_ended && ended;
    if (slot.source->traits().auxiliary) continue;
    has_primary = true;
    primary_ended = primary_ended && ended;
  }
  if (primary_ended && (has_primary || sources_stopped_) && !auxiliary_stopped_) {
    auxiliary_stopped_ = true;
    for (Slot& slot : slots_) {
      if (slot.source->traits().auxiliary) slot.source->request_stop();
    }
    return;  // what they still hold comes with the next turns
  }
  const bool gave_up = failure_ && config_.journal_required && journal_ == nullptr;
  if (!gave_up && (!all_ended || !waiting_.empty())) return;
  if (journal_ != nullptr) {
    if (auto flushed = journal_->flush(); !flushed) journal_failed(std::move(flushed.error()));
  }
  // [FINISHED] release: publishes failure_ and everything before. Pairs with the acquire in
  // finished().
  finished_.store(true, std::memory_order_release);
}

std::size_t IngestStage::run_once() {
  // Relaxed: the stage wrote it.
  if (finished_.load(std::memory_order_relaxed)) return 0;
  // Relaxed: a request carries no data.
  if (!sources_stopped_ && stop_requested_.load(std::memory_order_relaxed)) stop_sources();
  std::size_t work = offer_waiting();
  tick();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    work += read_slot((turn_ + i) % slots_.size());
  }
  turn_ = (turn_ + 1) % slots_.size();
  work += offer_waiting();
  finish_if_done();
  return work;
}

// Relaxed: a request carries no data, and a signal handler may make it.
void IngestStage::request_stop() noexcept {
  stop_requested_.store(true, std::memory_order_relaxed);
}

bool IngestStage::finished() const noexcept {
  // [FINISHED] acquire: pairs with the release in finish_if_done().
  return finished_.load(std::memory_order_acquire);
}

IngestFigures IngestStage::figures() const {
  IngestFigures figures;
  // [JOURNAL] acquire: who sees an error counted may read journal_error(). Pairs with the release
  // in journal_failed().
  figures.journal_errors = journal_errors_.load(std::memory_order_acquire);
  figures.bytes = figure(bytes_);
  figures.lines = figure(lines_);
  figures.chunks = figure(chunks_);
  figures.chunks_recorded = figure(chunks_recorded_);
  figures.acquire_refused = figure(acquire_refused_);
  figures.publish_refused = figure(publish_refused_);
  figures.ticks = figure(tick_count_);
  figures.sources.reserve(slots_.size());
  for (const Slot& slot : slots_) {
    // Relaxed: a figure.
    const bool ended = slot.ended.load(std::memory_order_relaxed);
    figures.sources.push_back(figures_of(*slot.source, ended));
  }
  return figures;
}

}  // namespace grace::ingest
