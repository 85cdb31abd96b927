#include "ordered_stage.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/json_writer.h"
#include "grace/parse/payload.h"

namespace grace::pipeline {
namespace {

// Findings that one input event may cause, those caused by findings included. Far above what
// detectors say; a loop between detectors ends here and is counted.
constexpr std::size_t kFindingsPerItemMax = 4096;

}  // namespace

OrderedStage::OrderedStage(const EngineConfig& config, const Wiring& wiring, Recorder& recorder)
    : config_(config),
      exchange_(wiring.exchange),
      recorder_(recorder),
      executor_(wiring.executor, recorder),
      next_chunk_(wiring.first_chunk),
      pending_(exchange_.chunks_in_flight_max()),
      shards_done_(pending_.size(), 0),
      progress_(wiring.progress) {
  // Relaxed, both: no thread yet.
  next_chunk_shown_.store(next_chunk_, std::memory_order_relaxed);
  decided_sequence_shown_.store(wiring.first_sequence, std::memory_order_relaxed);
  for (const core::ServiceNode& node : config.topology) topology_.upsert(node);
  if (wiring.declare_adjustables) wiring.declare_adjustables(learned_);
  for (const auto& subsystem : wiring.subsystems) {
    detectors_.push_back(subsystem->make_ordered(core::OrderedContext{topology_, learned_}));
  }
  triggers_ = std::make_unique<TriggerManager>(
      config.triggers, TriggerManager::Wiring{topology_, learned_, recorder_, *this});
  scheduler_ = std::make_unique<schedule::Scheduler>(
      config.schedule, wiring.playbooks,
      schedule::Scheduler::Wiring{topology_, recorder_, executor_, *this, this});
}

OrderedStage::~OrderedStage() {
  for (const auto& items : pending_) {
    for (const OrderedItem& item : items) {
      if (item.kind == ItemKind::kFinding) delete item.content.finding;
    }
  }
}

void OrderedStage::recovered() {
  scheduler_->recovered(moment());
}

// ---------------------------------------------------------------------------------------------
// Merging

std::size_t OrderedStage::run_once() {
  std::size_t work = drain();
  const std::size_t slot = next_chunk_ % pending_.size();
  if (shards_done_[slot] == exchange_.worker_count) {
    finish_chunk();
    ++work;
  }
  // Relaxed: a hint only; the mutex inside orders the rest.
  if (inspection_waits_.load(std::memory_order_relaxed)) answer_inspections();
  return work;
}

std::size_t OrderedStage::drain() {
  std::size_t taken = 0;
  for (auto& ring : exchange_.item_rings) {
    const std::span<OrderedItem> ready = ring->peek(1024);
    for (const OrderedItem& item : ready) {
      const std::size_t slot = item.chunk_number % pending_.size();
      if (item.kind == ItemKind::kShardEnd) {
        ++shards_done_[slot];
      } else {
        pending_[slot].push_back(item);
      }
    }
    ring->release(ready.size());
    taken += ready.size();
  }
  return taken;
}

void OrderedStage::finish_chunk() {
  const std::size_t slot = next_chunk_ % pending_.size();
  std::vector<OrderedItem>& items = pending_[slot];
  if (std::is_sorted(items.begin(), items.end(), OrderedItem::earlier)) {  // one worker's are
    for (OrderedItem& item : items) handle(item);
  } else {
    // Stable: items of one partition keep the order in which its worker sent them. They are large:
    // their numbers are sorted instead.
    order_.resize(items.size());
    std::iota(order_.begin(), order_.end(), 0U);
    std::stable_sort(order_.begin(), order_.end(), [&items](std::uint32_t a, std::uint32_t b) {
      return OrderedItem::earlier(items[a], items[b]);
    });
    for (const std::uint32_t number : order_) handle(items[number]);
  }
  items.clear();
  shards_done_[slot] = 0;
  core::Chunk* const chunk = exchange_.in_flight(next_chunk_);
  GRACE_ASSERT(chunk != nullptr && chunk->number == next_chunk_);
  const std::uint64_t decided = chunk->first_sequence + chunk->size_bytes;
  // [DECIDED] release: pairs with the acquire in decided_sequence().
  decided_sequence_shown_.store(decided, std::memory_order_release);
  if (progress_ != nullptr) progress_->on_decided(decided);
  exchange_.give_back(chunk);
  ++next_chunk_;
  // [CHUNKS] release: pairs with the acquire in processed_chunks().
  next_chunk_shown_.store(next_chunk_, std::memory_order_release);
}

void OrderedStage::handle(OrderedItem& item) {
  if (item.sequence != sequence_) rank_ = 0;
  sequence_ = item.sequence;
  switch (item.kind) {
    case ItemKind::kTick:
      on_tick(item.sequence, item.content.watermark_ns);
      break;
    case ItemKind::kObservation:
      on_observation(item.content.observation, item.sequence);
      break;
    case ItemKind::kFinding: {
      const std::unique_ptr<core::Finding> owned(item.content.finding);
      item.content.finding = nullptr;
      queued_findings_.push_back(std::move(*owned));
      break;
    }
    case ItemKind::kEvent:
      if (item.content.event.kind == core::EventKind::kMesh) {
        on_mesh(item.content.event);
      } else {
        on_control(item.content.event);
      }
      break;
    case ItemKind::kShardEnd:
      GRACE_ASSERT(false, "marks are counted, not handled");
      break;
  }
  settle_queued();
}

// ---------------------------------------------------------------------------------------------
// Handling

template <typename Call>
void OrderedStage::each_detector(Call&& call) {
  for (auto& detector : detectors_) {
    if (detector != nullptr) call(*detector);
  }
}

void OrderedStage::on_tick(std::uint64_t sequence, std::int64_t watermark_ns) {
  if (watermark_ns <= now_ns_) return;  // an earlier chunk had already come so far
  const core::Tick tick{sequence, watermark_ns, now_ns_};
  now_ns_ = watermark_ns;
  observations_in_tick_ = 0;
  each_detector([&](core::OrderedDetector& detector) { detector.on_tick(tick, *this); });
  settle_queued();
  triggers_->on_tick(now_ns_);
  settle_queued();
  scheduler_->on_tick(moment());
}

void OrderedStage::on_observation(const core::Observation& observation, std::uint64_t sequence) {
  if (++observations_in_tick_ > config_.observations_per_tick_max) {
    ++observations_dropped_;
    return;
  }
  each_detector([&](core::OrderedDetector& detector) {
    detector.on_observation(observation, sequence, *this);
  });
  triggers_->on_observation(observation);
  scheduler_->on_observation(observation, moment());
}

void OrderedStage::on_mesh(const core::Event& event) {
  auto finding = parse::parse_mesh(event);
  GRACE_ASSERT(finding.has_value(), "the parser accepts only mesh events that it can decode");
  queued_findings_.push_back(std::move(*finding));
}

void OrderedStage::settle_queued() {
  for (std::size_t handled = 0; !queued_findings_.empty(); ++handled) {
    core::Finding finding = std::move(queued_findings_.front());
    queued_findings_.pop_front();
    if (handled >= kFindingsPerItemMax) {
      ++findings_dropped_;
      continue;
    }
    if (finding.domain.empty()) {
      if (const core::ServiceNode* node = topology_.find(finding.service)) {
        finding.domain = node->domain;
      }
    }
    static_cast<void>(triggers_->offer(std::move(finding), sequence_, rank_++));
  }
}

void OrderedStage::finding(core::Finding&& finding) {
  queued_findings_.push_back(std::move(finding));
}

// Cross-key detectors read observations and make none.
void OrderedStage::observe(const core::Observation& observation) {
  static_cast<void>(observation);
  GRACE_ASSERT(false, "an ordered detector made an observation");
}

// ---------------------------------------------------------------------------------------------
// What the trigger manager and the scheduler decided

void OrderedStage::on_trigger(const core::Trigger& trigger) {
  each_detector([&](core::OrderedDetector& detector) { detector.on_trigger(trigger, *this); });
}

void OrderedStage::on_incident_ready(const core::Incident& incident) {
  scheduler_->on_incident_ready(incident, moment());
}

void OrderedStage::on_incident_update(const core::Incident& incident) {
  scheduler_->on_incident_update(incident, moment());
}

void OrderedStage::on_outcome(const core::Outcome& outcome) {
  each_detector([&](core::OrderedDetector& detector) { detector.on_outcome(outcome, *this); });
}

void OrderedStage::on_run(const core::PlaybookRun& run, const schedule::Moment& at) {
  static_cast<void>(at);
  notify_run(run);
}

void OrderedStage::notify_run(const core::PlaybookRun& run) {
  triggers_->on_run(run);
  each_detector([&](core::OrderedDetector& detector) { detector.on_run(run, *this); });
}

schedule::BuiltinResult OrderedStage::adjust_threshold(const core::PlaybookRun& run,
                                                       const core::Incident& incident,
                                                       const schedule::Moment& at) {
  static_cast<void>(run);
  schedule::BuiltinResult result;
  for (const std::string& trigger_id : incident.trigger_ids) {
    const core::Trigger* const trigger = triggers_->find_trigger(trigger_id);
    if (trigger == nullptr) continue;
    const auto directive = directive_of(*trigger);
    if (!directive) continue;
    const core::Adjustable* const entry = learned_.find(directive->parameter);
    if (entry == nullptr) {
      result.message = "there is no threshold '" + directive->parameter + "'";
      return result;
    }
    const double from = entry->value;
    if (!learned_.adjust(directive->parameter, directive->to, at.now_ns)) {
      result.message =
          directive->parameter + " was moved less than a period ago, or is at its bound";
      return result;
    }
    record_threshold(nullptr, *entry, from, "adjusted", trigger->confidence);
    result.ok = true;
    result.message = directive->parameter + " moved";
    result.report.clear();
    core::JsonWriter(result.report)
        .begin_object()
        .field("parameter", directive->parameter)
        .field("from", from)
        .field("to", entry->value)
        .end_object();
    return result;
  }
  result.message = "no trigger of the incident names a threshold";
  return result;
}

bool OrderedStage::emit(std::string_view event_type, const core::PlaybookRun& run,
                        const schedule::Moment& at) {
  const auto type = core::type_from_event_type(event_type);
  if (!type) return false;
  core::Finding finding;
  finding.type = *type;
  finding.service = run.service;
  finding.diagnosis_code = run.diagnosis_code;
  finding.what = run.playbook;
  finding.confidence = run.confidence;
  finding.reasoning.push_back("Published by playbook '" + run.playbook + "'");
  finding.ts_ns = at.now_ns;
  queued_findings_.push_back(std::move(finding));
  return true;
}

// ---------------------------------------------------------------------------------------------
// Looking in from outside

void OrderedStage::inspect_here(const std::function<void(const OrderedView&)>& look) {
  const std::string digest = recorder_.digest();
  core::RiskCounts risk;
  each_detector([&risk](const core::OrderedDetector& detector) {
    const core::RiskCounts own = detector.risk_counts();
    risk.due += own.due;
    risk.came_true += own.came_true;
    risk.did_not_come += own.did_not_come;
    risk.unwitnessed += own.unwitnessed;
    risk.squared_error += own.squared_error;
    risk.squared_error_at_start += own.squared_error_at_start;
  });
  look(OrderedView{now_ns_, *triggers_, *scheduler_, learned_, topology_, digest, recorder_.count(),
                   recorder_.failed_count(), observations_dropped_, risk, control_outcomes_,
                   recorder_.stats()});
}

bool OrderedStage::inspect(const std::function<void(const OrderedView&)>& look,
                           std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::unique_lock lock(inspections_mutex_);
  if (!inspected_.wait_until(lock, deadline, [&] { return inspection_ == nullptr; })) return false;
  inspection_ = &look;
  inspection_waits_.store(true, std::memory_order_relaxed);  // relaxed: see the member
  const bool answered = inspected_.wait_until(lock, deadline, [&] { return inspection_ != &look; });
  if (!answered) inspection_ = nullptr;
  lock.unlock();
  inspected_.notify_all();
  return answered;
}

void OrderedStage::answer_inspections() {
  {
    const std::lock_guard lock(inspections_mutex_);
    if (inspection_ != nullptr) inspect_here(*inspection_);
    inspection_ = nullptr;
    inspection_waits_.store(false, std::memory_order_relaxed);  // relaxed: see the member
  }
  inspected_.notify_all();
}

}  // namespace grace::pipeline
