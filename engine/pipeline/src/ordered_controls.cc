// What control events do, at their place in the total order.
#include <algorithm>

#include "grace/core/assert.h"
#include "grace/core/hash.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "grace/parse/json_value.h"
#include "grace/parse/payload.h"
#include "ordered_stage.h"

namespace grace::pipeline {

void OrderedStage::on_control(const core::Event& event) {
  if (event.control == core::ControlKind::kTick) return;  // has moved the watermark already
  const auto control = parse::parse_control(event);
  GRACE_ASSERT(control.has_value(), "the parser accepts only controls that it can decode");
  refusal_.clear();
  logged_sequence_ = 0;
  apply(*control);
  if (control->kind != core::ControlKind::kStepResult) {
    if (control_outcomes_.size() == kControlOutcomesMax) control_outcomes_.pop_front();
    control_outcomes_.push_back(
        {control->kind, control->ts_ns, control->actor, refusal_, logged_sequence_});
  }
  for (auto& detector : detectors_) {
    if (detector != nullptr) detector->on_control(event, *this);
  }
}

void OrderedStage::apply(const core::ControlEvent& control) {
  using core::ControlKind;
  switch (control.kind) {
    case ControlKind::kApprove:
    case ControlKind::kReject:
      decide_run(control);
      break;
    case ControlKind::kFeedback: {
      const auto& feedback = std::get<core::FeedbackControl>(control.body);
      const auto done = triggers_->feedback(feedback.trigger_id, feedback.right, control.actor,
                                            control.reason, now_ns_);
      if (!done) record_refusal(control, done.error().message);
      break;
    }
    case ControlKind::kOutcome:
      settle_outside_run(control);
      break;
    case ControlKind::kTopology:
      if (!topology_.upsert(std::get<core::ServiceNode>(control.body))) {
        record_refusal(control, "the topology is full");
      }
      break;
    case ControlKind::kSilence:
      silence(control);
      break;
    case ControlKind::kPause:
      scheduler_->pause(control.actor, control.reason, moment());
      break;
    case ControlKind::kResume:
      scheduler_->resume(control.actor, control.reason, moment());
      break;
    case ControlKind::kAck:
      if (!scheduler_->acknowledge(std::get<core::AckControl>(control.body).what, control.actor,
                                   moment())) {
        record_refusal(control, "no such breaker is open");
      }
      break;
    case ControlKind::kStepResult:
      scheduler_->on_step_result(std::get<core::StepResult>(control.body), moment());
      break;
    case ControlKind::kUndo:
      undo(control);
      break;
    case ControlKind::kLog:
      log_entry(control);
      break;
    case ControlKind::kDeploy:  // concerns detectors only
    case ControlKind::kTick:
    case ControlKind::kNone:
      break;
  }
}

// A run is named by its id, or as the one that waits for approval with this service and playbook:
// a recorded operator cannot know an id in advance.
void OrderedStage::decide_run(const core::ControlEvent& control) {
  const auto& decision = std::get<core::RunDecision>(control.body);
  std::string run_id = decision.run_id;
  if (run_id.empty()) {
    std::size_t matches = 0;
    for (const core::PlaybookRun& run : scheduler_->runs()) {
      if (run.state != core::RunState::kAwaitingApproval || run.service != decision.service ||
          run.playbook != decision.playbook) {
        continue;
      }
      run_id = run.run_id;
      ++matches;
    }
    if (matches != 1) {
      record_refusal(control, std::to_string(matches) + " runs of " + decision.playbook + " on " +
                                  decision.service + " wait for approval");
      return;
    }
  }
  const auto done = control.kind == core::ControlKind::kApprove
                        ? scheduler_->approve(run_id, control.actor, control.reason, moment())
                        : scheduler_->reject(run_id, control.actor, control.reason, moment());
  if (done) return;
  const core::PlaybookRun* known = scheduler_->find(run_id);  // the scheduler has recorded it
  refusal_ = known == nullptr ? "there is no such run"
                              : "the run is " + std::string(core::to_string(known->state));
}

// Somebody else ran a playbook, for one of our proposals or on their own, and tells how it went:
// detectors and the trigger manager learn from it as from a run of ours.
void OrderedStage::settle_outside_run(const core::ControlEvent& control) {
  const auto& outcome = std::get<core::OutcomeControl>(control.body);
  core::PlaybookRun run;
  if (const core::PlaybookRun* known = scheduler_->find(outcome.run_id)) {
    if (known->ended || known->state == core::RunState::kExecuting ||
        known->state == core::RunState::kVerifying) {
      record_refusal(control, "the run is executed and judged by the engine itself");
      return;
    }
    run = *known;
  } else {
    // Without an id each line is a run of its own; one with an id that was told twice counts once.
    run.run_id = outcome.run_id.empty()
                     ? "outside_" + core::hex(core::combine(core::hash_bytes(outcome.service),
                                                            control.sequence))
                     : outcome.run_id;
    run.playbook = outcome.playbook;
    run.service = outcome.service;
    run.requested_by = control.actor;
  }
  run.state = outcome.success ? core::RunState::kSucceeded : core::RunState::kFailed;
  run.changed_ts_ns = now_ns_;
  run.reason = control.reason;
  run.settles = true;
  run.ended = true;
  std::string payload;
  core::JsonWriter(payload)
      .begin_object()
      .field("decision_type", "outcome")
      .field("run_id", run.run_id)
      .field("playbook", run.playbook)
      .field("service", run.service)
      .field("reasoning", control.reason)
      .field("confidence", 1.0)
      .end_object();
  recorder_.append({now_ns_, control.actor, "decision_outcome", run.service, "self_heal",
                    outcome.success ? "succeeded" : "failed", payload});
  notify_run(run);
}

void OrderedStage::silence(const core::ControlEvent& control) {
  const auto& wanted = std::get<core::SilenceControl>(control.body);
  if (wanted.expire) {
    const auto done = triggers_->expire_silence(wanted.id, control.actor, now_ns_);
    if (!done) record_refusal(control, done.error().message);
    return;
  }
  limit::Silence silence;
  silence.silence_id = wanted.id;
  silence.service = wanted.service;
  silence.domain = wanted.domain;
  silence.diagnosis_code = wanted.diagnosis_code;
  silence.source = wanted.source;
  silence.start_ts_ns = wanted.starts_ts_ns;
  silence.end_ts_ns = wanted.ends_ts_ns;
  silence.created_by = control.actor;
  silence.reason = control.reason;
  const auto added = triggers_->add_silence(std::move(silence), now_ns_);
  if (!added) record_refusal(control, added.error().message);
}

void OrderedStage::undo(const core::ControlEvent& control) {
  const std::string& name = std::get<core::UndoControl>(control.body).name;
  const core::Adjustable* const entry = learned_.find(name);
  const double from = entry == nullptr ? 0.0 : entry->value;
  if (!learned_.undo(name, now_ns_)) {
    record_refusal(control, "there is no change of '" + name + "' to undo");
    return;
  }
  record_threshold(&control, *entry, from, "undone", 1.0);
}

void OrderedStage::record_threshold(const core::ControlEvent* control,
                                    const core::Adjustable& entry, double from,
                                    std::string_view result, double confidence) {
  const std::string_view actor =
      control == nullptr ? std::string_view("meta_loop") : control->actor;
  std::string payload;
  core::JsonWriter(payload)
      .begin_object()
      .field("decision_type", "threshold")
      .field("parameter", entry.name)
      .field("from", from)
      .field("to", entry.value)
      .field("min", entry.min)
      .field("max", entry.max)
      .field("reasoning", control == nullptr ? std::string_view("a directive of the meta loop")
                                             : std::string_view(control->reason))
      .field("confidence", confidence)
      .end_object();
  recorder_.append(
      {now_ns_, actor, "decision_threshold", entry.name, "meta_loop", result, payload});
}

// A control that had no effect: a person must be able to find out why.
void OrderedStage::record_refusal(const core::ControlEvent& control, std::string_view why) {
  refusal_ = why;
  std::string payload;
  core::JsonWriter(payload)
      .begin_object()
      .field("decision_type", "control")
      .field("control", core::to_string(control.kind))
      .field("reasoning", why)
      .field("confidence", 1.0)
      .end_object();
  recorder_.append(
      {now_ns_, control.actor, "decision_control", "engine", "control", "refused", payload});
}

// Another program's entry: recorded as it says, with the name of who sent it beside it, by which
// recovery knows that it says nothing of the engine.
void OrderedStage::log_entry(const core::ControlEvent& control) {
  const auto entry = parse::JsonValue::parse(std::get<core::LogControl>(control.body).entry);
  if (!entry || !(*entry)["payload"].is_object()) {
    record_refusal(control, "the entry is no JSON object with a payload");
    return;
  }
  for (const std::string_view name : {"actor", "action", "resource", "subsystem", "result"}) {
    if ((*entry)[name].is_string()) continue;
    record_refusal(control, "the entry has no text '" + std::string(name) + "'");
    return;
  }
  const std::string payload = (*entry)["payload"].to_json();
  const std::string_view sender = control.actor;
  const std::uint64_t failures = recorder_.failed_count();
  recorder_.append({control.ts_ns, (*entry)["actor"].as_string(), (*entry)["action"].as_string(),
                    (*entry)["resource"].as_string(), (*entry)["subsystem"].as_string(),
                    (*entry)["result"].as_string(), payload, sender.empty() ? "unknown" : sender});
  if (recorder_.failed_count() == failures) {
    logged_sequence_ = recorder_.last_sequence();
    return;
  }
  refusal_ = "the ledger did not take the entry";
}

// An earlier process' records: runs go on, thresholds and weights move again as they did.
void OrderedStage::recover(const core::Record& record) {
  now_ns_ = std::max(now_ns_, record.ts_ns);
  scheduler_->recover(record);
  if (record.action == "decision_threshold") recover_threshold(record);
  if (record.action == "decision_weight") recover_weight(record);
}

void OrderedStage::recover_threshold(const core::Record& record) {
  const auto payload = parse::JsonValue::parse(record.payload);
  if (!payload) return;
  const std::string_view name = (*payload)["parameter"].as_string();
  if (record.result == "undone") {
    static_cast<void>(learned_.undo(name, record.ts_ns));
  } else {
    static_cast<void>(learned_.adjust(name, (*payload)["to"].as_double(), record.ts_ns));
  }
}

void OrderedStage::recover_weight(const core::Record& record) {
  const auto payload = parse::JsonValue::parse(record.payload);
  if (!payload) return;
  const auto source = core::source_from((*payload)["source"].as_string());
  const auto outcome = core::outcome_kind_from((*payload)["outcome"].as_string());
  if (!source || !outcome) return;
  core::Trigger trigger;
  trigger.source = *source;
  trigger.confidence = (*payload)["confidence"].as_double();
  trigger.weak = (*payload)["weak"].as_bool();
  trigger.finding.diagnosis_code = std::string((*payload)["diagnosis_code"].as_string());
  trigger.finding.confidence = (*payload)["raw_confidence"].as_double();
  static_cast<void>(learned_.learn(trigger, *outcome));
}

}  // namespace grace::pipeline
