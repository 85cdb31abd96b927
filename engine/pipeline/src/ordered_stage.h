#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "durable_executor.h"
#include "grace/core/control.h"
#include "grace/core/detector.h"
#include "grace/core/learned_state.h"
#include "grace/core/runner.h"
#include "grace/core/topology.h"
#include "grace/pipeline/engine.h"
#include "grace/pipeline/trigger_manager.h"
#include "grace/schedule/scheduler.h"
#include "ordered_item.h"
#include "recorder.h"
#include "worker.h"

namespace grace::pipeline {

// Everything behind the exchange, in one thread and one total order: cross-key detectors, gates,
// incidents, scheduler, records, learning.
//
//   item rings --> pending[chunk] --(all shards done, sorted)--> handle() one item after another
//
// Thread: run_once() by the ordered thread; inspect() and processed_chunks() by any.
// Bounds: one pending list for each chunk that may be in flight; a list holds what the detectors
// say about one chunk's events. Records wait for the ledger; nothing here waits for workers.
class OrderedStage final : public core::Stage,
                           private TriggerListener,
                           private schedule::RunListener,
                           private schedule::BuiltinHandler,
                           private core::FindingSink {
 public:
  struct Wiring {
    Exchange& exchange;
    const core::SubsystemList& subsystems;
    core::StepExecutor& executor;
    const schedule::PlaybookSet& playbooks;
    std::uint64_t first_chunk;
    std::uint64_t first_sequence;
    std::function<void(core::LearnedState&)> declare_adjustables;
    ProgressListener* progress;  // may be null
  };
  OrderedStage(const EngineConfig& config, const Wiring& wiring, Recorder& recorder);
  ~OrderedStage() override;
  OrderedStage(const OrderedStage&) = delete;
  OrderedStage& operator=(const OrderedStage&) = delete;

  // Before the first run_once(): the records of earlier runs of this ledger, in order.
  void recover(const core::Record& record);
  void recovered();

  std::size_t run_once() override;

  // Number of the next chunk to be handled: all before it are decided and recorded. [CHUNKS]
  // release in run_once(), acquire here: who sees it sees the records in the ledger's ring.
  [[nodiscard]] std::uint64_t processed_chunks() const noexcept {
    return next_chunk_shown_.load(std::memory_order_acquire);
  }
  // First byte behind those chunks. [DECIDED] release in run_once(), acquire here, to the same end.
  [[nodiscard]] std::uint64_t decided_sequence() const noexcept {
    return decided_sequence_shown_.load(std::memory_order_acquire);
  }
  bool inspect(const std::function<void(const OrderedView&)>& look,
               std::chrono::milliseconds timeout);
  // The same, on the calling thread: only when no thread runs the stage.
  void inspect_here(const std::function<void(const OrderedView&)>& look);

 private:
  std::size_t drain();
  void finish_chunk();
  void handle(OrderedItem& item);
  void on_tick(std::uint64_t sequence, std::int64_t watermark_ns);
  void on_observation(const core::Observation& observation, std::uint64_t sequence);
  void on_mesh(const core::Event& event);
  void on_control(const core::Event& event);
  void apply(const core::ControlEvent& control);
  void decide_run(const core::ControlEvent& control);
  void settle_outside_run(const core::ControlEvent& control);
  void silence(const core::ControlEvent& control);
  void undo(const core::ControlEvent& control);
  void log_entry(const core::ControlEvent& control);
  void record_threshold(const core::ControlEvent* control, const core::Adjustable& entry,
                        double from, std::string_view result, double confidence);
  void record_refusal(const core::ControlEvent& control, std::string_view why);
  void notify_run(const core::PlaybookRun& run);
  void recover_threshold(const core::Record& record);
  void recover_weight(const core::Record& record);
  void answer_inspections();
  [[nodiscard]] schedule::Moment moment() const { return {sequence_, now_ns_}; }
  template <typename Call>
  void each_detector(Call&& call);

  // core::FindingSink: what cross-key detectors say. Queued and offered when they have returned.
  void finding(core::Finding&& finding) override;
  void observe(const core::Observation& observation) override;
  // TriggerListener
  void on_trigger(const core::Trigger& trigger) override;
  void on_incident_ready(const core::Incident& incident) override;
  void on_incident_update(const core::Incident& incident) override;
  void on_outcome(const core::Outcome& outcome) override;
  // schedule::RunListener
  void on_run(const core::PlaybookRun& run, const schedule::Moment& moment) override;
  // schedule::BuiltinHandler
  schedule::BuiltinResult adjust_threshold(const core::PlaybookRun& run,
                                           const core::Incident& incident,
                                           const schedule::Moment& moment) override;
  bool emit(std::string_view event_type, const core::PlaybookRun& run,
            const schedule::Moment& moment) override;
  void settle_queued();

  const EngineConfig& config_;
  Exchange& exchange_;
  Recorder& recorder_;

  core::Topology topology_;
  core::LearnedState learned_;
  std::vector<std::unique_ptr<core::OrderedDetector>> detectors_;
  DurableExecutor executor_;
  std::unique_ptr<TriggerManager> triggers_;
  std::unique_ptr<schedule::Scheduler> scheduler_;

  // --- merging ---
  std::uint64_t next_chunk_;
  std::vector<std::vector<OrderedItem>> pending_;  // by chunk number modulo chunks in flight
  std::vector<std::size_t> shards_done_;           // of each pending chunk
  std::vector<std::uint32_t> order_;               // of the items of the chunk being finished
  std::atomic<std::uint64_t> next_chunk_shown_{0};
  std::atomic<std::uint64_t> decided_sequence_shown_{0};
  ProgressListener* const progress_;

  // --- place in the total order ---
  std::uint64_t sequence_ = 0;
  std::uint32_t rank_ = 0;   // findings so far at this sequence
  std::int64_t now_ns_ = 0;  // watermark
  std::size_t observations_in_tick_ = 0;
  std::uint64_t observations_dropped_ = 0;

  // For whoever sent a control and wants to know; the ledger keeps refusals for good.
  static constexpr std::size_t kControlOutcomesMax = 64;
  std::deque<ControlOutcome> control_outcomes_;
  std::string refusal_;                // of the control being applied
  std::uint64_t logged_sequence_ = 0;  // its record, where it is an entry for the ledger

  // What detectors and playbooks said while something else was being handled; handled in turn.
  std::deque<core::Finding> queued_findings_;
  std::uint64_t findings_dropped_ = 0;

  std::mutex inspections_mutex_;
  std::condition_variable inspected_;
  const std::function<void(const OrderedView&)>* inspection_ = nullptr;  // guarded by the mutex
  // Relaxed: a hint that the mutex is worth taking.
  std::atomic<bool> inspection_waits_{false};
};

}  // namespace grace::pipeline
