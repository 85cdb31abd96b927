#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "command.h"
#include "grace/core/json_writer.h"
#include "grace/core/packed_event.h"
#include "grace/core/time.h"
#include "grace/ingest/journal.h"
#include "stop_signal.h"

namespace grace::tools {
namespace {

struct JournalArguments {
  std::string directory;
  bool json = false;
};

std::string_view kind_name(core::SourceKind kind) {
  switch (kind) {
    case core::SourceKind::kNone:
      break;
    case core::SourceKind::kFile:
      return "file";
    case core::SourceKind::kStdin:
      return "stdin";
    case core::SourceKind::kTcp:
      return "tcp";
    case core::SourceKind::kUnix:
      return "unix";
    case core::SourceKind::kHost:
      return "host";
    case core::SourceKind::kInternal:
      return "internal";
    case core::SourceKind::kJournal:
      return "journal";
    case core::SourceKind::kMemory:
      return "memory";
    case core::SourceKind::kPublisher:
      return "publisher";
    case core::SourceKind::kShared:
      return "shared";
  }
  return "none";
}

// Packed events as the lines that say the same.
std::string text_of(const ingest::RecordedChunk& chunk) {
  if (!chunk.packed) return std::string(chunk.text);
  std::string lines;
  for (std::string_view rest = chunk.text; !rest.empty();) {
    const std::string_view record = core::packed_record(rest, 0);
    core::append_json_line(record, lines);
    lines.push_back('\n');
    rest.remove_prefix(record.size());
  }
  return lines;
}

void print_chunk_json(const ingest::RecordedChunk& chunk) {
  std::string out;
  core::JsonWriter(out)
      .begin_object()
      .field("number", chunk.number)
      .field("sequence", chunk.first_sequence)
      .field("arrival", core::format_rfc3339(chunk.arrival_ns))
      .field("source", static_cast<std::uint64_t>(chunk.source_index))
      .field("kind", kind_name(chunk.source_kind))
      .field("trusted", chunk.trusted)
      .field("operator_allowed", chunk.operator_allowed)
      .field("begins_cut", chunk.begins_cut)
      .field("ends_cut", chunk.ends_cut)
      .field("last_of_source", chunk.last_of_source)
      .field("packed", chunk.packed)
      .field("text", text_of(chunk))
      .end_object();
  std::cout << out << '\n';
}

// Without --json: the input again, byte for byte; packed events as lines.
int cat(const JournalArguments& arguments) {
  auto reader = ingest::JournalReader::open(arguments.directory);
  if (!reader) {
    std::cerr << "grace journal: " << reader.error().message << '\n';
    return reader.error().code == core::ErrorCode::kNotFound ? kExitUsage : kExitNegative;
  }
  install_stop_signals();
  while (std::cout && !stop_requested()) {
    const auto chunk = (*reader)->next();
    if (!chunk) {
      std::cout.flush();
      std::cerr << "grace journal: " << chunk.error().message << '\n';
      return kExitNegative;
    }
    if (!*chunk) break;
    if (arguments.json) {
      print_chunk_json(**chunk);
    } else {
      std::cout << text_of(**chunk);
    }
  }
  std::cout.flush();
  return kExitOk;
}

}  // namespace

void add_journal_command(Command& app, int& exit_code) {
  Command* journal = app.add_subcommand("journal", "Inspect a recorded input; reads only");
  journal->require_subcommand();
  journal->footer("Example: grace journal cat grace-data/journal > input.ndjson");
  auto arguments = std::make_shared<JournalArguments>();
  Command* cat_app = journal->add_subcommand("cat", "Print the input as it was received");
  cat_app->footer(
      "Example: grace journal cat grace-data/journal --json\n"
      "With --json one object a chunk: its place, its source and its text. Events that were\n"
      "published without JSON are printed as the lines that say the same.");
  cat_app->add_option("directory", arguments->directory, "The journal's directory")->required();
  cat_app->add_flag("--json", arguments->json, "Print one JSON object a chunk");
  cat_app->callback([arguments, &exit_code] { exit_code = cat(*arguments); });
}

}  // namespace grace::tools
