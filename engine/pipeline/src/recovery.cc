#include "recovery.h"

#include "grace/core/time.h"
#include "grace/ledger/reader.h"
#include "grace/parse/json_value.h"
#include "ordered_stage.h"

namespace grace::pipeline {

core::Result<void> recover_from_ledger(const std::string& directory, OrderedStage& stage) {
  ledger::ReaderOptions options;
  options.check_hashes = false;  // the writer has just recovered it; verify is its own command
  options.check_tail = false;
  auto reader = ledger::Reader::open(directory, options);
  if (!reader) {
    return core::make_error(core::ErrorCode::kIo, reader.error().message, reader.error().os_error,
                            reader.error().offset);
  }
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
    const auto json = parse::JsonValue::parse(view.text());
    if (!json) continue;  // written by another program: not ours to judge
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
