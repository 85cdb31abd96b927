#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "exchange.h"
#include "grace/core/chunk.h"
#include "grace/core/detector.h"
#include "grace/core/event.h"
#include "grace/core/platform.h"
#include "grace/core/runner.h"
#include "grace/parse/chunk_parser.h"
#include "ordered_item.h"

namespace grace::pipeline {

// Written by one worker, read by anybody for statistics.
struct alignas(core::kCacheLineBytes) WorkerCounters {
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> blank{0};  // lines that are no events
  std::array<std::atomic<std::uint64_t>, parse::kRejectReasonCount> rejected{};
  std::atomic<std::uint64_t> late{0};
  std::atomic<std::uint64_t> evicted{0};
  std::atomic<std::uint64_t> bands_due{0};
  std::atomic<std::uint64_t> bands_inside{0};
};

struct WorkerConfig {
  std::size_t index = 0;
  std::uint64_t first_chunk = 0;         // number of the first chunk of this run
  std::int64_t tick_ns = 1'000'000'000;  // event-time tick period
  parse::ParseConfig parse;
};

// One worker: parses a share of the chunks, and runs the detectors of every W-th partition.
//
//   chunk ring --> [parse chunk c] --> event ring (index, s) for each shard s
//   event ring (parser of c, index), c = 0, 1, 2 ... --> [partitions p, p % W == index] --> items
//
// Its own partitions' events of a chunk that is next for them go without a ring.
//
// Thread: run_once() by one worker thread; counters() by anybody.
// When an event ring is full the worker serves its own inputs and comes back: every chunk that all
// shards wait for is being parsed by a worker whose output they are draining, so nothing can wait
// in a circle. When the item ring is full it waits; the ordered stage never waits for workers.
// Nothing blocks inside run_once(), so a simulator can step all workers in one thread.
class Worker final : public core::Stage {
 public:
  Worker(const WorkerConfig& config, Exchange& exchange, parse::RejectSink& rejects,
         const core::SubsystemList& subsystems);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  std::size_t run_once() override;
  // It has no chunk to parse. Worker thread.
  [[nodiscard]] bool is_hungry() noexcept {
    return chunk_ == nullptr && exchange_.chunk_rings[config_.index]->empty();
  }
  [[nodiscard]] const WorkerCounters& counters() const noexcept { return counters_; }
  // Sums what all detectors count into counters(). Worker thread, or after it.
  void publish_detector_counts();

 private:
  class Sink;
  struct Listener {  // a detector that wants the events of a kind
    core::PartitionDetector* detector;
    std::size_t subsystem;
    bool fetches_ahead = false;
  };
  struct Cell {  // one partition's detectors
    std::size_t partition;
    std::vector<std::unique_ptr<core::PartitionDetector>> detectors;  // by subsystem; may be null
  };

  struct Outlet {  // claimed slots of one event ring, published together
    std::span<core::Event> slots;
    std::size_t used = 0;
  };

  std::size_t flush_items();
  void emit(const OrderedItem& item);

  std::size_t serve_inputs(std::size_t budget);
  void handle(const core::Event& event);
  void detect(const core::Event& event);
  void fetch(const core::Event& event) const;
  void ask_who_fetches_ahead();
  void on_tick_mark(const core::Event& mark);
  void on_control(const core::Event& event);
  void end_shard_chunk(const core::Event& mark);
  void list_listeners();
  static std::size_t place_of(core::EventKind kind, std::size_t partition) noexcept {
    return static_cast<std::size_t>(kind) * core::kPartitionCount + partition;
  }

  std::size_t parse_step();
  std::size_t route_batch();
  bool route(const core::Event& event);
  bool send(std::size_t shard, const core::Event& event);
  void publish(std::size_t shard);
  bool broadcast(const core::Event& event);
  void publish_rings();
  bool finish_chunk();
  void publish_counts();

  WorkerConfig config_;
  Exchange& exchange_;
  parse::RejectSink& rejects_;

  // --- parsing side ---
  parse::ChunkParser parser_;
  core::Chunk* chunk_ = nullptr;  // being parsed
  bool end_pending_ = false;      // all of it is routed but for the end marks
  // Of the chunk being parsed, what is for this worker's own partitions may be handled at once:
  // they have all that came before it. 4% of a replay with one worker, whose every event goes that
  // way.
  bool own_turn_ = false;
  // First event time that is past the last tick this chunk has sent: its own running maximum,
  // rounded. Ticks that earlier chunks had reached are sent again and ignored by the receivers.
  std::int64_t chunk_next_tick_ns_ = 0;
  std::array<core::Event, 64> batch_;
  std::size_t batch_count_ = 0;
  std::size_t batch_next_ = 0;      // next to route
  std::size_t broadcast_next_ = 0;  // next shard of the broadcast under way
  std::vector<Outlet> out_;         // by shard; closed outside parse_step()

  // --- detecting side ---
  std::uint64_t shard_chunk_ = 0;                 // chunk that the shard takes from next
  std::size_t shard_parser_ = Exchange::kNobody;  // who parses it, once that is known
  std::int64_t watermark_ns_ = 0;
  std::vector<Cell> cells_;
  // Of all partitions, kMetric's and then kAction's, in a row: they stay in the nearest cache, in
  // which the detectors themselves have no room. listeners_[i] for begins_[place] <= i <
  // begins_[place + 1].
  std::vector<Listener> listeners_;
  std::array<std::uint32_t, 2 * core::kPartitionCount + 1> begins_{};
  bool fetches_ahead_ = false;  // one of listeners_ does
  std::unique_ptr<Sink> sink_;

  // Items that found the ring full, in order. Bounded by what one budget of inputs can say.
  std::vector<OrderedItem> overflow_;
  std::size_t overflow_next_ = 0;

  WorkerCounters counters_;
};

}  // namespace grace::pipeline
