#include "recorder.h"

#include "grace/core/json_writer.h"
#include "grace/core/time.h"

namespace grace::pipeline {

void Recorder::append(const core::Record& record) {
  line_.clear();
  core::JsonWriter json(line_);
  json.begin_object()
      .field("ts", core::format_rfc3339(record.ts_ns))
      .field("actor", record.actor)
      .field("action", record.action)
      .field("resource", record.resource)
      .field("subsystem", record.subsystem)
      .field("result", record.result)
      .raw_field("payload", record.payload.empty() ? "{}" : record.payload);
  if (!record.logged_by.empty()) json.field("logged_by", record.logged_by);
  json.end_object();
  ++count_;
  note_for_stats(record);
  digest_.update(line_);
  digest_.update("\n");
  last_sequence_ = !has_ledger_ ? count_ : foretells_ ? producer_.next_sequence() : 0;
  if (!has_ledger_) return;
  std::string_view text = line_;
  if (redactor_ != nullptr) {
    const auto redacted = redactor_->redact(line_, redacted_);
    if (!redacted) {  // rather no record, which is counted, than one with the value in it
      ++failed_count_;
      return;
    }
    text = *redacted;
  }
  const ledger::AppendStatus status =
      producer_.append_or_wait(ledger::RecordType::kJson, ledger::as_bytes(text));
  if (status != ledger::AppendStatus::kOk) ++failed_count_;
}

void Recorder::note_for_stats(const core::Record& record) {
  auto found = stats_.find(record.subsystem);
  if (found == stats_.end()) {
    const bool full = stats_.size() >= ledger::SubsystemRegistry::kSubsystemsMax;
    found = stats_.try_emplace(full ? "other" : std::string(record.subsystem)).first;
  }
  found->second.count(record.action, record.ts_ns);
}

core::Result<void> Recorder::make_durable() {
  if (!has_ledger_) return {};
  if (failed_count_ > 0) {
    return core::make_error(core::ErrorCode::kClosed, "the ledger has failed");
  }
  const auto durable = producer_.wait_durable();
  if (durable) return {};
  return core::make_error(core::ErrorCode::kIo, durable.error().message, durable.error().os_error,
                          durable.error().offset);
}

}  // namespace grace::pipeline
