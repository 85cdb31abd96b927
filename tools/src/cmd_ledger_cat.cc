#include <chrono>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "command.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "grace/ledger/reader.h"
#include "grace/ledger/redaction.h"
#include "grace/parse/json_value.h"
#include "ledger_cat.h"
#include "record_filter.h"
#include "stop_signal.h"

namespace grace::tools {
namespace {

constexpr std::chrono::milliseconds kFollowPause{20};

struct CatArguments {
  std::string directory;
  std::uint64_t from = 1;
  std::uint64_t to = std::numeric_limits<std::uint64_t>::max();
  std::string since;
  std::string until;
  std::uint64_t limit = 0;  // 0: none
  std::string action;
  std::string where;
  bool all = false;
  bool follow = false;
  bool reveal = false;
  bool json = false;
};

// What of the arguments had to be understood first.
struct Selection {
  std::int64_t since_ns = std::numeric_limits<std::int64_t>::min();
  std::int64_t until_ns = std::numeric_limits<std::int64_t>::max();
  std::optional<RecordFilter> filter;
  bool all_types = false;
};

int usage(const std::string& message) {
  std::cerr << "grace ledger cat: " << message << '\n';
  return kExitUsage;
}

std::string type_name(ledger::RecordType type) {
  switch (type) {
    case ledger::RecordType::kJson:
      return "json";
    case ledger::RecordType::kChunk:
      return "chunk";
    case ledger::RecordType::kRecovery:
      return "recovery";
    case ledger::RecordType::kNote:
      return "note";
    case ledger::RecordType::kKeyChange:
      return "key_change";
  }
  return std::to_string(static_cast<unsigned>(type));
}

std::optional<int> understand(const CatArguments& arguments, Selection& out) {
  const auto time = [](const std::string& text, std::int64_t& ns) {
    if (text.empty()) return true;
    const auto parsed = core::parse_rfc3339(text);
    if (parsed) ns = *parsed;
    return parsed.has_value();
  };
  for (const auto& [name, text, ns] : {std::tuple{"--since", &arguments.since, &out.since_ns},
                                       std::tuple{"--until", &arguments.until, &out.until_ns}}) {
    if (time(*text, *ns)) continue;
    return usage(std::string(name) + ": '" + *text +
                 "' is not a time such as 2025-01-15T14:30:00Z");
  }
  out.all_types = arguments.all;
  if (arguments.where.empty()) return std::nullopt;
  auto filter = RecordFilter::parse(arguments.where);
  if (!filter) return usage("--where: " + filter.error().message);
  out.all_types = out.all_types || filter->asks_for_type();
  out.filter.emplace(std::move(*filter));
  return std::nullopt;
}

// A record's own time; where it has none, when its block was closed.
std::int64_t time_of(const ledger::RecordView& view, const parse::JsonValue& value) {
  const parse::JsonValue& ts = value["ts"];
  if (ts.is_integer()) return ts.as_int64();
  return core::parse_rfc3339(ts.as_string()).value_or(view.block_time_ns);
}

bool selected(const CatArguments& arguments, const Selection& selection,
              const ledger::RecordView& view, const parse::JsonValue& value) {
  if (!arguments.action.empty() && value["action"].as_string() != arguments.action) return false;
  const std::int64_t ts_ns = time_of(view, value);
  if (ts_ns < selection.since_ns || ts_ns >= selection.until_ns) return false;
  if (!selection.filter) return true;
  const std::string type = type_name(view.type);
  return selection.filter->matches({view.sequence, type, value});
}

// A JSON record as it is stored, with its sequence in front; of other types what can be shown.
void print_json(const ledger::RecordView& view, std::string_view text,
                const parse::JsonValue& value) {
  std::string head = "{\"seq\":" + std::to_string(view.sequence);
  if (view.type != ledger::RecordType::kJson) head += ",\"type\":\"" + type_name(view.type) + '"';
  if (value.is_object()) {
    const std::string_view stored = text.substr(text.find('{') + 1);
    const bool empty = value.object().empty();
    std::cout << head << (empty ? "" : ",") << stored << '\n';
    return;
  }
  std::string rest;
  core::JsonWriter json(rest);
  json.begin_object();
  if (view.type == ledger::RecordType::kNote) json.field("text", view.text());
  json.field("bytes", static_cast<std::uint64_t>(view.payload.size())).end_object();
  std::cout << head << ',' << rest.substr(1) << '\n';
}

void print_text(const ledger::RecordView& view, const parse::JsonValue& value) {
  std::cout << view.sequence << "  ";
  if (value.is_object()) {
    const parse::JsonValue& ts = value["ts"];
    std::cout << (ts.is_integer() ? core::format_rfc3339(ts.as_int64())
                                  : std::string(ts.as_string()))
              << "  " << value["actor"].as_string() << "  " << value["action"].as_string() << "  "
              << value["resource"].as_string() << "  " << value["result"].as_string() << "  "
              << value["payload"].to_json() << '\n';
  } else if (view.type == ledger::RecordType::kNote) {
    std::cout << "note  " << view.text() << '\n';
  } else {
    std::cout << type_name(view.type) << "  " << view.payload.size() << " bytes\n";
  }
}

int fail(const ledger::Error& error) {
  std::cout.flush();
  std::cerr << "grace ledger cat: " << error.message << '\n';
  return error.code == ledger::ErrorCode::kNotFound ? kExitUsage : kExitNegative;
}

int cat(const CatArguments& arguments) {
  Selection selection;
  if (const auto code = understand(arguments, selection)) return *code;
  ledger::ReaderOptions options;
  options.from_sequence = arguments.from;
  options.check_tail = !arguments.follow;
  auto reader = ledger::Reader::open(arguments.directory, options);
  if (!reader) return fail(reader.error());
  install_stop_signals();
  ledger::StoredValues values(arguments.directory);
  ledger::RecordView view;
  std::uint64_t printed = 0;
  while (std::cout && !stop_requested()) {
    const ledger::ReadStatus status = reader->next(view);
    if (status == ledger::ReadStatus::kEnd) {
      if (!arguments.follow) break;
      std::cout.flush();
      std::this_thread::sleep_for(kFollowPause);
      continue;
    }
    if (status != ledger::ReadStatus::kRecord) return fail(reader->error());
    if (view.sequence > arguments.to) break;
    const bool is_json = view.type == ledger::RecordType::kJson;
    if (!is_json && !selection.all_types) continue;
    std::string text(view.text());
    if (is_json && arguments.reveal) {
      auto restored = values.restore(text);
      if (!restored) return fail(restored.error());
      text = std::move(*restored);
    }
    auto value = parse::JsonValue::parse(text);
    // Sound bytes, but not one of our objects.
    if (is_json && (!value || !value->is_object())) continue;
    if (!value || !value->is_object()) value = parse::JsonValue();
    if (!selected(arguments, selection, view, *value)) continue;
    if (arguments.json) {
      print_json(view, text, *value);
    } else {
      print_text(view, *value);
    }
    if (++printed == arguments.limit || view.sequence == arguments.to) break;
  }
  std::cout.flush();
  return kExitOk;
}

}  // namespace

void add_ledger_cat_command(Command& ledger, int& exit_code) {
  auto arguments = std::make_shared<CatArguments>();
  Command* verb = ledger.add_subcommand("cat", "Print records in order");
  verb->footer(
      "Example: grace ledger cat grace-data/ledger --json --follow --where "
      "'subsystem = \"self_heal\" and not action ~ \"playbook_*\"'\n"
      "--where: FIELD = != < <= > >= ~ VALUE, joined with and, or, not, ( ). Fields: sequence, "
      "type, ts, actor, action, resource, subsystem, result, payload.NAME... Values: \"text\", "
      "numbers, true, false, null. ~ finds a text inside; with * or ? it is a pattern.");
  verb->add_option("directory", arguments->directory, "The ledger's directory")->required();
  verb->add_flag("--json", arguments->json, "Print JSON lines");
  verb->add_option("--from", arguments->from, "First sequence")->show_default();
  verb->add_option("--to", arguments->to, "Last sequence")->show_default("the end");
  verb->add_option("--since", arguments->since, "Records from this time on (RFC 3339)");
  verb->add_option("--until", arguments->until, "Records before this time");
  verb->add_option("--limit", arguments->limit, "At most so many records")->positive();
  verb->add_option("--action", arguments->action, "Only records of this action");
  verb->add_option("--where", arguments->where, "Only records that match this filter");
  verb->add_flag("--all", arguments->all, "Records of every type, not only decisions");
  verb->add_flag("--reveal", arguments->reveal, "With redacted values that are still kept");
  verb->add_flag("--follow", arguments->follow, "Go on as records are written, until a signal");
  verb->callback([arguments, &exit_code] { exit_code = cat(*arguments); });
}

}  // namespace grace::tools
