#include "recovery.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "grace/core/time.h"
#include "grace/ledger/reader.h"
#include "grace/ledger/redaction.h"
#include "grace/parse/json_value.h"
#include "ordered_stage.h"

namespace grace::pipeline {
namespace {

// What decides something when a record is read again: of runs and steps, thresholds and weights.
// A value that was deleted could not take part.
constexpr std::array<std::string_view, 26> kReadAtRestart{"run_id",
                                                          "incident_id",
                                                          "playbook",
                                                          "service",
                                                          "diagnosis_code",
                                                          "proposed_ts_ns",
                                                          "expires_ts_ns",
                                                          "blast_radius",
                                                          "confidence",
                                                          "proactive",
                                                          "diagnostic",
                                                          "settles",
                                                          "ended",
                                                          "by_person",
                                                          "playbook_digest",
                                                          "parameters",
                                                          "impact",
                                                          "sources",
                                                          "step",
                                                          "name",
                                                          "parameter",
                                                          "to",
                                                          "source",
                                                          "outcome",
                                                          "weak",
                                                          "raw_confidence"};

}  // namespace

core::Result<void> check_redactable(const std::string& path) {
  const auto refuse = [&path](const std::string& why) {
    return core::make_error(core::ErrorCode::kConfig,
                            "engine.ledger_redact: '" + path + "' " + why);
  };
  if (auto checked = ledger::check_field_path(path); !checked) {
    return core::make_error(core::ErrorCode::kConfig,
                            "engine.ledger_redact: " + checked.error().message);
  }
  const std::string_view whole = path;
  if (whole == "payload") return refuse("is all of it: name fields below it");
  constexpr std::string_view kPayload = "payload.";
  std::string_view name = whole.substr(whole.starts_with(kPayload) ? kPayload.size() : 0);
  name = name.substr(0, name.find('.'));
  const bool read =
      whole.starts_with(kPayload)
          ? std::find(kReadAtRestart.begin(), kReadAtRestart.end(), name) != kReadAtRestart.end()
          : name == "resource";
  if (read) return refuse("is read again at a restart");
  return {};
}

core::Result<void> recover_from_ledger(const std::string& directory, OrderedStage& stage) {
  ledger::ReaderOptions options;
  options.check_hashes = false;  // the writer has just recovered it; verify is its own command
  options.check_tail = false;
  auto reader = ledger::Reader::open(directory, options);
  if (!reader) {
    return core::make_error(core::ErrorCode::kIo, reader.error().message, reader.error().os_error,
                            reader.error().offset);
  }
  ledger::StoredValues values(directory);
  ledger::RecordView view;
  for (;;) {
    switch (reader->next(view)) {
      case ledger::ReadStatus::kEnd:
        return {};
      case ledger::ReadStatus::kCorrupt:
        return core::make_error(core::ErrorCode::kCorrupt, reader->error().message, 0,
                                reader->error().offset);
      case ledger::ReadStatus::kIo:
        // The writer's retention was faster: what it took is gone, and the rest is still there.
        if (reader->error().code == ledger::ErrorCode::kNotFound) {
          options.from_sequence = view.sequence + 1;
          reader = ledger::Reader::open(directory, options);
          if (reader) continue;
        }
        return core::make_error(core::ErrorCode::kIo, reader->error().message,
                                reader->error().os_error, reader->error().offset);
      case ledger::ReadStatus::kRecord:
        break;
    }
    if (view.type != ledger::RecordType::kJson) continue;
    // As it was decided on. A value that is gone stays a commitment: none that matters here.
    const auto restored = values.restore(view.text());
    if (!restored) return core::make_error(core::ErrorCode::kIo, restored.error().message);
    const auto json = parse::JsonValue::parse(*restored);
    if (!json) continue;  // written by another program: not ours to judge
    // Another program's entry may say what it likes; it is no state of ours.
    if (!(*json)["logged_by"].is_null()) continue;
    const std::string payload = (*json)["payload"].to_json();
    core::Record record;
    record.ts_ns = core::parse_rfc3339((*json)["ts"].as_string()).value_or(0);
    record.actor = (*json)["actor"].as_string();
    record.action = (*json)["action"].as_string();
    record.resource = (*json)["resource"].as_string();
    record.subsystem = (*json)["subsystem"].as_string();
    record.result = (*json)["result"].as_string();
    record.payload = payload;
    stage.recover(record);
  }
}

}  // namespace grace::pipeline
