#include "ledger_view.h"

#include <iostream>
#include <map>
#include <vector>

#include "command.h"
#include "control_server.h"
#include "grace/ledger/reader.h"
#include "paths.h"

namespace grace::tools {
namespace {

core::Error from_ledger(const ledger::Error& error) {
  const bool missing = error.code == ledger::ErrorCode::kNotFound;
  return {missing ? core::ErrorCode::kNotFound : core::ErrorCode::kCorrupt, error.message,
          error.os_error, error.offset};
}

}  // namespace

core::Result<void> visit_ledger(const std::string& directory, std::uint64_t from_sequence,
                                const std::function<bool(const LedgerRecord&)>& visit) {
  ledger::ReaderOptions options;
  options.from_sequence = from_sequence;
  auto reader = ledger::Reader::open(directory, options);
  if (!reader) return tl::unexpected<core::Error>(from_ledger(reader.error()));
  ledger::RecordView view;
  for (;;) {
    const ledger::ReadStatus status = reader->next(view);
    if (status == ledger::ReadStatus::kEnd) return {};
    if (status != ledger::ReadStatus::kRecord) {
      return tl::unexpected<core::Error>(from_ledger(reader->error()));
    }
    if (view.type != ledger::RecordType::kJson) continue;
    auto json = parse::JsonValue::parse(view.text());
    if (!json) continue;                            // sound bytes, but not one of our objects
    if (!(*json)["logged_by"].is_null()) continue;  // another program's: no decision of ours
    if (!visit({view.sequence, view.text(), std::move(*json)})) return {};
  }
}

bool engine_answers(const std::string& ledger) {
  return control_request(control_socket_of(ledger), R"({"op":"silences"})").has_value();
}

int print_runs_of_ledger(const std::string& ledger, const std::string& id, bool json) {
  const std::string directory = ledger.empty() ? kDefaultLedger : ledger;
  std::vector<std::string> order;
  std::map<std::string, parse::JsonValue> runs;
  const auto done = visit_ledger(directory, 1, [&](const LedgerRecord& record) {
    if (record.json["action"].as_string() != "playbook_run") return true;
    const std::string run_id(record.json["payload"]["run_id"].as_string());
    if (!id.empty() && run_id != id) return true;
    if (!runs.contains(run_id)) order.push_back(run_id);
    runs.insert_or_assign(run_id, record.json);
    return true;
  });
  if (!done) {
    std::cerr << "grace runs: " << done.error().message << '\n';
    return kExitNegative;
  }
  if (!id.empty() && runs.empty()) {
    std::cerr << "grace runs: there is no run '" << id << "' in " << directory << '\n';
    return kExitNegative;
  }
  std::string list;
  for (const std::string& run_id : order) {
    const parse::JsonValue& record = runs.at(run_id);
    const parse::JsonValue& payload = record["payload"];
    if (json) {
      std::string object = payload.to_json();
      object.insert(object.size() - 1, ",\"status\":" + record["result"].to_json() +
                                           ",\"changed\":" + record["ts"].to_json());
      list += (list.empty() ? "" : ",") + object;
    } else {
      std::cout << run_id << "  " << record["result"].as_string() << "  "
                << payload["playbook"].as_string() << " on " << payload["service"].as_string()
                << "  " << record["ts"].as_string() << "\n    " << payload["reason"].as_string()
                << '\n';
    }
  }
  if (json) std::cout << "{\"ok\":true,\"runs\":[" << list << "]}\n";
  if (!json && order.empty()) std::cout << "no runs\n";
  return kExitOk;
}

}  // namespace grace::tools
