#include "worker.h"

#include <algorithm>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/stream_copy.h"
#include "grace/core/time.h"

namespace grace::pipeline {
namespace {

// Events handled before looking at the other side of the worker again. Larger: better locality;
// smaller: other workers waiting for our partitions or our chunks wait less.
constexpr std::size_t kServeBudget = 256;

// Events between fetching what a detector will look at and its turn: as many as fit into the time
// that memory takes.
constexpr std::size_t kFetchAhead = 8;

bool is_telemetry(const core::Event& event) {
  return event.kind == core::EventKind::kMetric || event.kind == core::EventKind::kAction;
}

// Controls that partitions care about go to all of them; the rest concern the ordered stage alone.
bool concerns_partitions(const core::Event& event) {
  return event.control == core::ControlKind::kTopology ||
         event.control == core::ControlKind::kDeploy;
}

// Telemetry moves event time. Of the controls only the live clock does: an approval typed into a
// replayed stream must not push event time to the present.
bool moves_watermark(const core::Event& event) {
  return event.kind != core::EventKind::kControl || event.control == core::ControlKind::kTick;
}

}  // namespace

// Stamps what detectors say with where they said it.
class Worker::Sink final : public core::FindingSink {
 public:
  explicit Sink(Worker& worker) : worker_(worker) {}

  void at(std::uint64_t sequence, Phase phase) {
    item_.sequence = sequence;
    item_.phase = phase;
    item_.chunk_number = worker_.shard_chunk_;
  }
  void by(std::size_t partition, std::size_t subsystem) {
    item_.partition = static_cast<std::uint8_t>(partition);
    item_.subsystem = static_cast<std::uint8_t>(subsystem);
  }
  void finding(core::Finding&& finding) override {
    OrderedItem item = item_;
    item.kind = ItemKind::kFinding;
    item.content.finding = new core::Finding(std::move(finding));
    worker_.emit(item);
  }
  void observe(const core::Observation& observation) override {
    OrderedItem item = item_;
    item.kind = ItemKind::kObservation;
    item.content.observation = observation;
    worker_.emit(item);
  }

 private:
  Worker& worker_;
  OrderedItem item_;
};

Worker::Worker(const WorkerConfig& config, Exchange& exchange, parse::RejectSink& rejects,
               const core::SubsystemList& subsystems)
    : config_(config),
      exchange_(exchange),
      rejects_(rejects),
      parser_(config.parse),
      out_(exchange.worker_count),
      shard_chunk_(config.first_chunk),
      sink_(std::make_unique<Sink>(*this)) {
  static_assert(core::kPartitionCount <= 256 && core::kWorkersMax <= 256);
  for (std::size_t p = config.index; p < core::kPartitionCount; p += exchange.worker_count) {
    Cell cell{p, {}};
    for (const auto& subsystem : subsystems) {
      cell.detectors.push_back(subsystem->make_partition(p));
    }
    cells_.push_back(std::move(cell));
  }
  list_listeners();
}

void Worker::list_listeners() {
  for (const core::EventKind kind : {core::EventKind::kMetric, core::EventKind::kAction}) {
    for (std::size_t p = 0; p < core::kPartitionCount; ++p) {
      if (p % exchange_.worker_count == config_.index) {
        const Cell& cell = cells_[p / exchange_.worker_count];
        for (std::size_t s = 0; s < cell.detectors.size(); ++s) {
          core::PartitionDetector* const detector = cell.detectors[s].get();
          if (detector != nullptr && detector->wants(kind)) listeners_.push_back({detector, s});
        }
      }
      begins_[place_of(kind, p) + 1] = static_cast<std::uint32_t>(listeners_.size());
    }
  }
}

Worker::~Worker() {
  for (std::size_t i = overflow_next_; i < overflow_.size(); ++i) {
    if (overflow_[i].kind == ItemKind::kFinding) delete overflow_[i].content.finding;
  }
}

std::size_t Worker::run_once() {
  std::size_t work = flush_items();
  if (overflow_.empty()) {
    work += serve_inputs(kServeBudget);
    if (overflow_.empty()) work += parse_step();
  }
  return work;
}

void Worker::emit(const OrderedItem& item) {
  if (overflow_.empty() && exchange_.item_rings[config_.index]->try_push(item)) return;
  overflow_.push_back(item);
}

std::size_t Worker::flush_items() {
  if (overflow_.empty()) return 0;
  const std::span<const OrderedItem> waiting(overflow_.data() + overflow_next_,
                                             overflow_.size() - overflow_next_);
  const std::size_t pushed = exchange_.item_rings[config_.index]->try_push_batch(waiting);
  overflow_next_ += pushed;
  if (overflow_next_ == overflow_.size()) {
    overflow_.clear();
    overflow_next_ = 0;
  }
  return pushed;
}

// ---------------------------------------------------------------------------------------------
// Detecting: chunk after chunk, each from the ring of the worker that parsed it, or without one
// while this worker itself parses it.

std::size_t Worker::serve_inputs(std::size_t budget) {
  std::size_t served = 0;
  while (served < budget && overflow_.empty()) {
    if (shard_parser_ == Exchange::kNobody) shard_parser_ = exchange_.parser_of(shard_chunk_);
    if (shard_parser_ == Exchange::kNobody) break;
    EventRing& ring = exchange_.events(shard_parser_, config_.index);
    const std::span<core::Event> ready = ring.peek(budget - served);
    if (ready.empty()) break;
    std::size_t taken = 0;
    const std::uint64_t chunk = shard_chunk_;
    while (taken < ready.size() && shard_chunk_ == chunk && overflow_.empty()) {
      if (fetches_ahead_ && taken + kFetchAhead < ready.size()) fetch(ready[taken + kFetchAhead]);
      handle(ready[taken++]);
    }
    ring.release(taken);
    served += taken;
  }
  return served;
}

void Worker::handle(const core::Event& event) {
  if (is_telemetry(event)) [[likely]] {
    detect(event);
  } else if (event.kind == kTickMark) {
    on_tick_mark(event);
  } else if (event.kind == kChunkEndMark) {
    end_shard_chunk(event);
  } else {
    on_control(event);
  }
}

void Worker::detect(const core::Event& event) {
  const std::size_t partition = event.partition();
  const std::size_t place = place_of(event.kind, partition);
  sink_->at(event.sequence, Phase::kFromEvent);
  for (std::size_t i = begins_[place]; i < begins_[place + 1]; ++i) {
    sink_->by(partition, listeners_[i].subsystem);
    listeners_[i].detector->on_event(event, *sink_);
  }
}

// Gain: a quarter more events a second with 1,000,000 series.
void Worker::fetch(const core::Event& event) const {
  if (!is_telemetry(event)) return;
  const std::size_t place = place_of(event.kind, event.partition());
  for (std::size_t i = begins_[place]; i < begins_[place + 1]; ++i) {
    if (listeners_[i].fetches_ahead) listeners_[i].detector->fetch(event);
  }
}

void Worker::ask_who_fetches_ahead() {
  fetches_ahead_ = false;
  for (Listener& listener : listeners_) {
    listener.fetches_ahead = listener.detector->fetches_ahead();
    fetches_ahead_ = fetches_ahead_ || listener.fetches_ahead;
  }
}

void Worker::on_tick_mark(const core::Event& mark) {
  if (mark.ts_ns <= watermark_ns_) return;  // an earlier chunk had already come so far
  const core::Tick tick{mark.sequence, mark.ts_ns, watermark_ns_};
  watermark_ns_ = mark.ts_ns;
  sink_->at(mark.sequence, Phase::kFromTick);
  for (Cell& cell : cells_) {
    for (std::size_t s = 0; s < cell.detectors.size(); ++s) {
      if (cell.detectors[s] == nullptr) continue;
      sink_->by(cell.partition, s);
      cell.detectors[s]->on_tick(tick, *sink_);
    }
  }
}

void Worker::on_control(const core::Event& event) {
  sink_->at(event.sequence, Phase::kFromEvent);
  for (Cell& cell : cells_) {
    for (std::size_t s = 0; s < cell.detectors.size(); ++s) {
      if (cell.detectors[s] == nullptr) continue;
      sink_->by(cell.partition, s);
      cell.detectors[s]->on_control(event, *sink_);
    }
  }
}

void Worker::end_shard_chunk(const core::Event& mark) {
  GRACE_ASSERT(mark.sequence == shard_chunk_, "chunk %llu ended while %llu was expected",
               static_cast<unsigned long long>(mark.sequence),
               static_cast<unsigned long long>(shard_chunk_));
  OrderedItem item;
  item.kind = ItemKind::kShardEnd;
  item.chunk_number = shard_chunk_;
  emit(item);
  ++shard_chunk_;
  shard_parser_ = Exchange::kNobody;
  // Tables grow slowly, and a live chunk may hold one event.
  constexpr std::uint64_t kChunksBetween = 16;
  if (shard_chunk_ % kChunksBetween == 1) ask_who_fetches_ahead();
}

// ---------------------------------------------------------------------------------------------
// Parsing: batches of events, routed to the rings of their partitions' workers, or handled here.

std::size_t Worker::parse_step() {
  std::size_t work = 0;
  if (batch_next_ == batch_count_ && !end_pending_) {
    if (chunk_ == nullptr) {
      if (!exchange_.chunk_rings[config_.index]->try_pop(chunk_)) return 0;
      parser_.begin(*chunk_);
      chunk_next_tick_ns_ = 0;
    }
    batch_next_ = 0;
    batch_count_ = parser_.next(batch_, rejects_);
    end_pending_ = batch_count_ == 0;
    work += batch_count_ + 1;
  }
  own_turn_ =
      shard_chunk_ == chunk_->number && exchange_.events(config_.index, config_.index).empty();
  work += route_batch();
  if (end_pending_ && batch_next_ == batch_count_) work += finish_chunk() ? 1 : 0;
  publish_rings();
  return work;
}

std::size_t Worker::route_batch() {
  const std::size_t begin = batch_next_;
  while (batch_next_ < batch_count_ && overflow_.empty()) {
    if (fetches_ahead_ && own_turn_ && batch_next_ + kFetchAhead < batch_count_) {
      fetch(batch_[batch_next_ + kFetchAhead]);
    }
    if (!route(batch_[batch_next_])) break;
    ++batch_next_;
  }
  return batch_next_ - begin;
}

bool Worker::route(const core::Event& event) {
  if (event.ts_ns >= chunk_next_tick_ns_ && moves_watermark(event)) {
    core::Event mark;
    mark.kind = kTickMark;
    mark.sequence = event.sequence;
    mark.ts_ns = event.ts_ns - event.ts_ns % config_.tick_ns;
    if (!broadcast(mark)) return false;
    chunk_next_tick_ns_ = mark.ts_ns + config_.tick_ns;
    OrderedItem item;
    item.kind = ItemKind::kTick;
    item.phase = Phase::kTick;
    item.chunk_number = chunk_->number;
    item.sequence = event.sequence;
    item.content.watermark_ns = mark.ts_ns;
    emit(item);
  }
  if (is_telemetry(event)) [[likely]] {
    const std::size_t shard = event.partition() % exchange_.worker_count;
    if (own_turn_ && shard == config_.index) {
      detect(event);
      return true;
    }
    return send(shard, event);
  }
  if (event.kind == core::EventKind::kControl && concerns_partitions(event) && !broadcast(event)) {
    return false;
  }
  OrderedItem item;
  item.kind = ItemKind::kEvent;
  item.phase = Phase::kEvent;
  item.chunk_number = chunk_->number;
  item.sequence = event.sequence;
  item.content.event = event;
  emit(item);
  return true;
}

// False: the ring is full.
bool Worker::send(std::size_t shard, const core::Event& event) {
  Outlet& outlet = out_[shard];
  if (outlet.used == outlet.slots.size()) {
    publish(shard);
    outlet = {exchange_.events(config_.index, shard).claim(batch_.size()), 0};
    if (outlet.slots.empty()) return false;
  }
  core::Event* const slot = &outlet.slots[outlet.used++];
  if (shard == config_.index) {
    *slot = event;
  } else {
    core::stream_copy(slot, &event, sizeof event);
  }
  return true;
}

void Worker::publish(std::size_t shard) {
  if (out_[shard].used == 0) return;
  core::stream_fence();
  exchange_.events(config_.index, shard).publish(out_[shard].used);
}

void Worker::publish_rings() {
  for (std::size_t s = 0; s < out_.size(); ++s) {
    publish(s);
    out_[s] = Outlet{};
  }
}

// Resumes where a full ring stopped it: a shard gets each broadcast exactly once.
bool Worker::broadcast(const core::Event& event) {
  for (; broadcast_next_ < exchange_.worker_count; ++broadcast_next_) {
    if (own_turn_ && broadcast_next_ == config_.index) {
      handle(event);
      continue;
    }
    if (!send(broadcast_next_, event)) return false;
  }
  broadcast_next_ = 0;
  return true;
}

bool Worker::finish_chunk() {
  core::Event mark;
  mark.kind = kChunkEndMark;
  mark.sequence = chunk_->number;
  if (!broadcast(mark)) return false;
  publish_counts();
  exchange_.note_parsed(config_.index);
  end_pending_ = false;
  chunk_ = nullptr;
  return true;
}

// Relaxed throughout: only this thread writes them, and statistics may lag.
void Worker::publish_counts() {
  const parse::ParseCounters& parsed = parser_.counters();
  counters_.received.store(parsed.received(), std::memory_order_relaxed);
  counters_.accepted.store(parsed.accepted, std::memory_order_relaxed);
  counters_.blank.store(parsed.blank, std::memory_order_relaxed);
  for (std::size_t i = 0; i < parse::kRejectReasonCount; ++i) {
    counters_.rejected[i].store(parsed.rejected[i], std::memory_order_relaxed);
  }
}

void Worker::publish_detector_counts() {
  std::uint64_t late = 0;
  std::uint64_t evicted = 0;
  core::BandCounts bands;
  for (const Cell& cell : cells_) {
    for (const auto& detector : cell.detectors) {
      if (detector == nullptr) continue;
      late += detector->late_count();
      evicted += detector->evicted_count();
      const core::BandCounts own = detector->band_counts();
      bands.due += own.due;
      bands.inside += own.inside;
    }
  }
  // Relaxed, as above.
  counters_.late.store(late, std::memory_order_relaxed);
  counters_.evicted.store(evicted, std::memory_order_relaxed);
  counters_.bands_due.store(bands.due, std::memory_order_relaxed);
  counters_.bands_inside.store(bands.inside, std::memory_order_relaxed);
}

}  // namespace grace::pipeline
