// From a trigger, incident or run back to why: what was seen, what each source added, which gates
// it passed or where it stopped, what was done and how it came out. Reads the ledger alone, and the
// journal where there is one for the evidence itself.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "command.h"
#include "grace/core/json_writer.h"
#include "grace/ingest/journal.h"
#include "ledger_view.h"
#include "paths.h"

namespace grace::tools {
namespace {

struct ExplainArguments {
  std::string id;
  std::string ledger = kDefaultLedger;
  std::string journal;
  bool json = false;
};

// The records that speak about one incident, in ledger order.
struct Story {
  std::string incident_id;  // empty: the trigger joined none
  std::vector<parse::JsonValue> triggers;
  std::optional<parse::JsonValue> incident;  // its last state
  std::vector<parse::JsonValue> runs;        // every change
  std::vector<parse::JsonValue> decisions;   // about its triggers and runs
};

bool mentions(const parse::JsonValue& payload, const std::string& id) {
  for (const char* key : {"trigger_id", "incident_id", "run_id"}) {
    if (payload[key].as_string() == id) return true;
  }
  return false;
}

// First pass: which incident (or lone trigger) is meant.
core::Result<std::optional<std::string>> find_incident(const ExplainArguments& arguments) {
  std::optional<std::string> incident_id;
  const auto done = visit_ledger(arguments.ledger, 1, [&](const LedgerRecord& record) {
    const parse::JsonValue& payload = record.json["payload"];
    if (!mentions(payload, arguments.id)) return true;
    incident_id = std::string(payload["incident_id"].as_string());
    return incident_id->empty();
  });
  if (!done) return tl::unexpected<core::Error>(done.error());
  return incident_id;
}

// Second pass: everything about it.
core::Result<Story> collect_story(const ExplainArguments& arguments,
                                  const std::string& incident_id) {
  Story story;
  story.incident_id = incident_id;
  std::set<std::string, std::less<>> ids{arguments.id};
  const auto done = visit_ledger(arguments.ledger, 1, [&](const LedgerRecord& record) {
    const std::string_view action = record.json["action"].as_string();
    const parse::JsonValue& payload = record.json["payload"];
    const bool of_incident =
        !incident_id.empty() && payload["incident_id"].as_string() == incident_id;
    if (action == "intelligent_trigger" &&
        (of_incident || payload["trigger_id"].as_string() == arguments.id)) {
      ids.emplace(payload["trigger_id"].as_string());
      story.triggers.push_back(record.json);
    } else if (action == "incident" && of_incident) {
      story.incident = record.json;
    } else if (action == "playbook_run" && of_incident) {
      ids.emplace(payload["run_id"].as_string());
      story.runs.push_back(record.json);
    } else if (action.starts_with("decision_") &&
               (of_incident || ids.contains(payload["trigger_id"].as_string()) ||
                ids.contains(payload["run_id"].as_string()) ||
                ids.contains(payload["subject"].as_string()))) {
      story.decisions.push_back(record.json);
    }
    return true;
  });
  if (!done) return tl::unexpected<core::Error>(done.error());
  return story;
}

std::string number(double value, int decimals = 3) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

void print_list(std::string_view title, const parse::JsonValue& items) {
  for (const parse::JsonValue& item : items.array()) {
    std::cout << "      " << title << item.as_string() << '\n';
  }
}

void print_trigger(const parse::JsonValue& record, ingest::JournalReader* journal) {
  const parse::JsonValue& payload = record["payload"];
  std::cout << "  " << payload["trigger_id"].as_string() << "  " << record["ts"].as_string() << "\n"
            << "      " << payload["source"].as_string() << " / "
            << payload["trigger_type"].as_string() << " / " << payload["diagnosis_code"].as_string()
            << " on " << payload["service"].as_string() << ", confidence "
            << number(payload["confidence"].as_double()) << " (detector said "
            << number(payload["raw_confidence"].as_double()) << ")\n"
            << "      gates: " << record["result"].as_string();
  if (!payload["stopped_by"].as_string().empty()) {
    std::cout << ": " << payload["stopped_by"].as_string();
  }
  std::cout << '\n';
  print_list("because: ", payload["reasoning"]);
  for (const parse::JsonValue& evidence : payload["evidence"].array()) {
    std::cout << "      saw: " << evidence["ts"].as_string() << "  " << evidence["note"].as_string()
              << "  (input byte " << evidence["sequence"].as_uint64() << ")\n";
    if (journal == nullptr) continue;
    const auto line = journal->find_line(evidence["sequence"].as_uint64());
    if (line) std::cout << "           " << *line << '\n';
  }
}

// Where the incident began, as probable as the services' own metrics and logs make it.
void print_root_cause(const parse::JsonValue& payload) {
  const parse::JsonValue& evidence = payload["root_cause_evidence"];
  if (evidence["decided_by"].as_string().empty()) return;  // a ledger of an older engine
  std::cout << "  root cause by " << evidence["decided_by"].as_string() << '\n';
  for (const parse::JsonValue& suspect : evidence["ranking"].array()) {
    std::cout << "      " << number(suspect["probability"].as_double()) << "  "
              << suspect["service"].as_string();
    if (!suspect["metric"].as_string().empty()) {
      std::cout << ", by " << suspect["metric"].as_string() << " since "
                << suspect["onset"].as_string();
    }
    std::cout << '\n';
  }
  if (evidence["others"].as_double() > 0) {
    std::cout << "      " << number(evidence["others"].as_double()) << "  other services\n";
  }
  std::cout << "      " << number(evidence["none_of_these"].as_double())
            << "  none of these services\n";
}

// Contributions in log-odds: they sum to the incident's confidence.
void print_incident(const parse::JsonValue& record) {
  const parse::JsonValue& payload = record["payload"];
  std::cout << "incident " << payload["incident_id"].as_string() << "  "
            << record["result"].as_string() << ", confidence "
            << number(payload["confidence"].as_double()) << ", root cause "
            << payload["root_cause"].as_string() << '\n';
  double sum = 0.0;
  for (const parse::JsonValue& part : payload["contributions"].array()) {
    const double log_odds = part["log_odds"].as_double();
    sum += log_odds;
    std::cout << "  " << part["source"].as_string() << ": "
              << number(part["confidence"].as_double()) << " at weight "
              << number(part["weight"].as_double(), 2) << " adds " << number(log_odds)
              << (part["independent"].as_bool() ? "" : " (same events: nothing)") << '\n';
  }
  std::cout << "  sum of log-odds " << number(sum) << " = confidence "
            << number(1.0 / (1.0 + std::exp(-sum))) << '\n';
  print_root_cause(payload);
}

// What would have let a stopped trigger act.
std::string counterfactual(const parse::JsonValue& trigger) {
  const std::string_view result = trigger["result"].as_string();
  const parse::JsonValue& payload = trigger["payload"];
  if (result == "suppressed:min_confidence") {
    return "it would have acted at confidence " + number(payload["min_confidence"].as_double()) +
           ", it had " + number(payload["confidence"].as_double());
  }
  if (result == "suppressed:silence") {
    return "it would have acted without silence " + std::string(payload["silence_id"].as_string());
  }
  if (result == "suppressed:duplicate") {
    return "it was counted with " + std::string(payload["duplicate_of"].as_string());
  }
  if (result == "suppressed:hourly_limit") return "it would have acted with a higher hourly limit";
  if (result == "suppressed:disabled") return "it would have acted with its source enabled";
  return "";
}

void print_story(const Story& story, ingest::JournalReader* journal) {
  if (story.incident) print_incident(*story.incident);
  if (!story.triggers.empty()) std::cout << "triggers\n";
  for (const parse::JsonValue& trigger : story.triggers) {
    print_trigger(trigger, journal);
    const std::string other = counterfactual(trigger);
    if (!other.empty()) std::cout << "      otherwise: " << other << '\n';
  }
  if (!story.decisions.empty()) std::cout << "decisions\n";
  for (const parse::JsonValue& decision : story.decisions) {
    std::cout << "  " << decision["ts"].as_string() << "  " << decision["actor"].as_string() << "  "
              << decision["action"].as_string() << ": " << decision["result"].as_string() << '\n';
    const parse::JsonValue& payload = decision["payload"];
    if (!payload["rule"].as_string().empty()) {
      std::cout << "      rule: " << payload["rule"].as_string() << '\n';
    }
    print_list("because: ", payload["reasoning"]);
  }
  if (!story.runs.empty()) std::cout << "runs\n";
  for (const parse::JsonValue& run : story.runs) {
    const parse::JsonValue& payload = run["payload"];
    std::cout << "  " << run["ts"].as_string() << "  " << payload["playbook"].as_string() << " on "
              << payload["service"].as_string() << ": " << run["result"].as_string() << "  "
              << payload["reason"].as_string() << '\n';
  }
}

void print_json(const Story& story) {
  std::string out;
  core::JsonWriter json(out);
  const auto list = [&](std::string_view key, const std::vector<parse::JsonValue>& items) {
    json.key(key).begin_array();
    for (const parse::JsonValue& item : items) json.raw(item.to_json());
    json.end_array();
  };
  json.begin_object().field("incident_id", story.incident_id).key("incident");
  if (story.incident) {
    json.raw(story.incident->to_json());
  } else {
    json.null();
  }
  list("triggers", story.triggers);
  list("decisions", story.decisions);
  list("runs", story.runs);
  json.key("otherwise").begin_array();
  for (const parse::JsonValue& trigger : story.triggers) {
    const std::string other = counterfactual(trigger);
    if (!other.empty()) json.value(other);
  }
  json.end_array().end_object();
  std::cout << out << '\n';
}

int fail(const core::Error& error) {
  std::cerr << "grace explain: " << error.message << '\n';
  return kExitNegative;
}

int explain(const ExplainArguments& arguments) {
  const auto incident_id = find_incident(arguments);
  if (!incident_id) return fail(incident_id.error());
  if (!*incident_id) {
    std::cerr << "grace explain: '" << arguments.id << "' is in no record of " << arguments.ledger
              << '\n';
    return kExitNegative;
  }
  const auto story = collect_story(arguments, **incident_id);
  if (!story) return fail(story.error());
  std::unique_ptr<ingest::JournalReader> journal;
  if (!arguments.journal.empty()) {
    auto opened = ingest::JournalReader::open(arguments.journal);
    if (!opened) return fail(opened.error());
    journal = std::move(*opened);
  }
  if (arguments.json) {
    print_json(*story);
  } else {
    print_story(*story, journal.get());
  }
  return kExitOk;
}

}  // namespace

void add_explain_command(Command& app, int& exit_code) {
  auto arguments = std::make_shared<ExplainArguments>();
  Command* command = app.add_subcommand(
      "explain", "Why a trigger, incident or run came about, back to its events");
  command->footer(
      "Example: grace explain pattern_0123456789abcdef --ledger grace-data/ledger "
      "--journal grace-data/journal");
  command->add_option("id", arguments->id, "Id of a trigger, incident or run")->required();
  command->add_option("--ledger", arguments->ledger, "The ledger's directory")->show_default();
  command->add_option("--journal", arguments->journal, "Show evidence lines from this journal");
  command->add_flag("--json", arguments->json, "Print one JSON object");
  command->callback([arguments, &exit_code] { exit_code = explain(*arguments); });
}

}  // namespace grace::tools
