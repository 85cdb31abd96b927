#include <algorithm>
#include <array>
#include <charconv>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "command.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "grace/ledger/reader.h"
#include "grace/ledger/redaction.h"
#include "grace/parse/json_value.h"
#include "ledger_proofs.h"

namespace grace::tools {
namespace {

struct RedactionArguments {
  std::string directory;
  std::string file;
  std::uint64_t sequence = 0;
  std::vector<std::string> where;
  std::string before;
  bool json = false;
};
using ArgumentsPtr = std::shared_ptr<RedactionArguments>;

int usage(const std::string& message) {
  std::cerr << "grace ledger: " << message << '\n';
  return kExitUsage;
}

int fail(const ledger::Error& error) {
  std::cerr << "grace ledger: " << error.message << '\n';
  return error.code == ledger::ErrorCode::kNotFound ? kExitUsage : kExitNegative;
}

ledger::Result<std::string> read_record(const std::string& directory, std::uint64_t sequence) {
  ledger::ReaderOptions options;
  options.from_sequence = sequence;
  auto reader = ledger::Reader::open(directory, options);
  if (!reader) return tl::unexpected<ledger::Error>(reader.error());
  ledger::RecordView view;
  const ledger::ReadStatus status = reader->next(view);
  if (status == ledger::ReadStatus::kRecord && view.sequence == sequence) {
    return std::string(view.text());
  }
  if (status != ledger::ReadStatus::kRecord && status != ledger::ReadStatus::kEnd) {
    return tl::unexpected<ledger::Error>(reader->error());
  }
  return ledger::make_error(ledger::ErrorCode::kNotFound,
                            "record " + std::to_string(sequence) + " is not in " + directory);
}

void print_value(const ledger::Commitment& commitment,
                 const std::optional<ledger::StoredValue>& value, bool json) {
  const std::string hash = ledger::to_hex(commitment.hash);
  const bool open = value && value->deleted_ns == 0;
  if (!json) {
    std::cout << (value ? value->path : "?") << "  " << hash << "  ";
    if (open) std::cout << value->value;
    if (value && !open) {
      std::cout << "deleted " << core::format_rfc3339(value->deleted_ns);
    }
    std::cout << (value ? "\n" : "not in the store\n");
    return;
  }
  std::string out;
  core::JsonWriter writer(out);
  writer.begin_object().field("commitment", hash).field("id", commitment.id);
  if (value) writer.field("field", value->path);
  // As text: the commitment is over these very bytes.
  if (open) writer.field("salt", ledger::to_hex(value->salt)).field("value", value->value);
  if (value && !open) writer.field("deleted", core::format_rfc3339(value->deleted_ns));
  writer.end_object();
  std::cout << out << '\n';
}

int reveal(const RedactionArguments& arguments) {
  const auto record = read_record(arguments.directory, arguments.sequence);
  if (!record) return fail(record.error());
  ledger::StoredValues values(arguments.directory);
  const auto commitments = ledger::commitments_in(*record);
  bool all_open = true;
  for (const ledger::Commitment& commitment : commitments) {
    const auto value = values.find(commitment);
    if (!value) return fail(value.error());
    all_open = all_open && *value && (*value)->deleted_ns == 0;
    print_value(commitment, *value, arguments.json);
  }
  if (commitments.empty() && !arguments.json) std::cout << "nothing is redacted in this record\n";
  return all_open ? kExitOk : kExitNegative;
}

bool decode(std::string_view hex, std::span<std::uint8_t> out) {
  if (hex.size() != 2 * out.size()) return false;
  for (std::size_t at = 0; at < out.size(); ++at) {
    const char* const digits = hex.data() + 2 * at;
    const auto [end, outcome] = std::from_chars(digits, digits + 2, out[at], 16);
    if (outcome != std::errc{} || end != digits + 2) return false;
  }
  return true;
}

// Lines as `reveal --json` prints them. Needs no ledger and no store.
int check_value(const RedactionArguments& arguments) {
  const auto text = read_small_file(arguments.file);
  if (!text) return usage(text.error().message);
  std::istringstream lines(*text);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string place = arguments.file + ":" + std::to_string(++number) + ": ";
    const auto json = parse::JsonValue::parse(line);
    ledger::Hash hash{};
    ledger::Salt salt{};
    if (!json || !decode((*json)["commitment"].as_string(), hash) ||
        !decode((*json)["salt"].as_string(), salt)) {
      return usage(place + "no opened commitment, as reveal --json prints them");
    }
    if (ledger::commitment_of(salt, (*json)["value"].as_string()) != hash) {
      std::cerr << "grace ledger: " << place << "the commitment is to another value\n";
      return kExitNegative;
    }
  }
  if (number == 0) return usage(arguments.file + " is empty");
  std::cout << "ok: " << number << " commitments are to these values\n";
  return kExitOk;
}

// "17" or "17/payload.user": the commitments in that record, or in that field of it.
ledger::Result<void> choose(const std::string& directory, const std::string& where,
                            ledger::Deletion& deletion) {
  const std::size_t slash = where.find('/');
  const std::string field = slash == std::string::npos ? "" : where.substr(slash + 1);
  const std::string digits = where.substr(0, slash);
  std::uint64_t sequence = 0;
  const auto [end, outcome] =
      std::from_chars(digits.data(), digits.data() + digits.size(), sequence);
  if (outcome != std::errc{} || end != digits.data() + digits.size() || sequence == 0 ||
      (slash != std::string::npos && field.empty())) {
    return ledger::make_error(ledger::ErrorCode::kNotFound,
                              "--where " + where + ": name a record, or record/field");
  }
  const auto record = read_record(directory, sequence);
  if (!record) return tl::unexpected<ledger::Error>(record.error());
  ledger::StoredValues values(directory);
  const std::size_t before = deletion.commitments.size();
  for (const ledger::Commitment& commitment : ledger::commitments_in(*record)) {
    const auto value = values.find(commitment);
    if (!value) return tl::unexpected<ledger::Error>(value.error());
    if (field.empty() || (*value && (*value)->path == field)) {
      deletion.commitments.push_back(commitment);
    }
  }
  if (deletion.commitments.size() == before) {
    return ledger::make_error(ledger::ErrorCode::kNotFound,
                              "--where " + where + ": nothing is redacted there");
  }
  return {};
}

int redact(const RedactionArguments& arguments) {
  if (arguments.where.empty() == arguments.before.empty()) {
    return usage("redact: name what goes, with --where or with --before");
  }
  ledger::Deletion deletion;
  if (!arguments.before.empty()) {
    deletion.before_ns = core::parse_rfc3339(arguments.before);
    if (!deletion.before_ns) return usage("--before must be an RFC 3339 time");
  }
  for (const std::string& where : arguments.where) {
    if (auto chosen = choose(arguments.directory, where, deletion); !chosen) {
      return fail(chosen.error());
    }
  }
  const auto report = ledger::delete_values(arguments.directory, deletion);
  if (!report) return fail(report.error());
  if (arguments.json) {
    std::string out;
    core::JsonWriter(out)
        .begin_object()
        .field("deleted", report->deleted)
        .field("deleted_before", report->deleted_before)
        .field("missing", report->missing)
        .field("wiped_bytes", report->wiped_bytes)
        .end_object();
    std::cout << out << '\n';
  } else {
    std::cout << report->deleted << " values deleted, " << report->deleted_before
              << " were already, " << report->missing << " not in the store\n";
    if (report->wiped_bytes > 0) {
      std::cout << report->wiped_bytes << " damaged bytes of the store were wiped with them\n";
    }
  }
  return report->missing == 0 ? kExitOk : kExitNegative;
}

Command* add_verb(Command& ledger, const std::string& name, const std::string& help,
                  const std::string& example, const ArgumentsPtr& arguments,
                  int (*run)(const RedactionArguments&), int& exit_code) {
  Command* verb = ledger.add_subcommand(name, help);
  verb->footer("Example: grace ledger " + example);
  verb->callback([arguments, run, &exit_code] { exit_code = run(*arguments); });
  return verb;
}

}  // namespace

void add_ledger_redaction_commands(Command& ledger, int& exit_code) {
  auto arguments = std::make_shared<RedactionArguments>();
  Command* verb =
      add_verb(ledger, "reveal", "Show the redacted values of a record",
               "reveal grace-data/ledger 17 --json > opened", arguments, reveal, exit_code);
  verb->add_option("directory", arguments->directory, "The ledger's directory")->required();
  verb->add_option("sequence", arguments->sequence, "The record")->required();
  verb->add_flag("--json", arguments->json, "Print JSON, one object a line, salts included");

  arguments = std::make_shared<RedactionArguments>();
  verb = add_verb(ledger, "check-value", "Check opened commitments; needs no ledger",
                  "check-value opened", arguments, check_value, exit_code);
  verb->add_option("file", arguments->file, "What reveal --json has printed")->required();

  arguments = std::make_shared<RedactionArguments>();
  verb = add_verb(ledger, "redact", "Delete redacted values and their salts, for good",
                  "redact grace-data/ledger --where 17/payload.user", arguments, redact, exit_code);
  verb->add_option("directory", arguments->directory, "The ledger's directory")->required();
  verb->add_option("--where", arguments->where, "A record, or record/field as configured");
  verb->add_option("--before", arguments->before, "All that were recorded before this time");
  verb->add_flag("--json", arguments->json, "Print JSON");
}

}  // namespace grace::tools
