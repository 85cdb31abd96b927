#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "command.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "grace/ledger/log_proofs.h"
#include "grace/ledger/reader.h"
#include "ledger_cat.h"
#include "ledger_proofs.h"
#include "ledger_repair.h"

namespace grace::tools {
namespace {

struct LedgerArguments {
  std::string directory;
  std::string checkpoint;               // verify: a held one
  std::vector<std::string> keys;        // that may have signed it
  std::vector<std::string> distrusted;  // and those that do not count
  bool json = false;
};
using ArgumentsPtr = std::shared_ptr<LedgerArguments>;

int fail(const ledger::Error& error) {
  std::cerr << "grace ledger: " << error.message << '\n';
  return error.code == ledger::ErrorCode::kNotFound ? kExitUsage : kExitNegative;
}

// What signatures stand for: a held checkpoint's, or where it says nothing those of key changes.
struct Proven {
  std::uint64_t blocks = 0;  // 0: nothing
  std::uint64_t last_sequence = 0;
  std::string by;
};
// What a held checkpoint says of the log.
struct Held {
  std::string contradiction;     // empty: it holds, or none was given
  std::string signed_by;         // where that is another key than those given
  std::optional<Proven> proven;  // where keys are not trusted
};

// The last record in the first blocks.
ledger::Result<std::uint64_t> last_sequence_in(const std::string& directory, std::uint64_t blocks) {
  const auto tree = ledger::read_tree(directory, blocks);
  if (!tree) return tl::unexpected<ledger::Error>(tree.error());
  const std::uint64_t index = blocks - tree->leaves.first();
  if (blocks < tree->leaves.first() || index >= tree->sequences.size()) return 0;
  return tree->sequences[static_cast<std::size_t>(index)];
}

// `checkpoint`: one that counts and holds, or null.
ledger::Result<Proven> what_is_proven(const LedgerArguments& arguments,
                                      const ledger::VerifyReport& report,
                                      std::span<const ledger::NoteVerifier> keys,
                                      std::span<const ledger::DistrustedKey> distrusted,
                                      const ledger::TracedCheckpoint* checkpoint) {
  Proven proven;
  if (report.fault_count > 0) return proven;  // nobody has signed what is there
  const auto change =
      ledger::proven_by_key_changes(report.key_changes, report.first_sequence, keys, distrusted);
  if (change) {
    proven.blocks = change->size;
    proven.by = "a key change signed with " + change->key.to_text();
  }
  if (checkpoint != nullptr && checkpoint->opened.checkpoint.tree_size >= proven.blocks) {
    proven.blocks = checkpoint->opened.checkpoint.tree_size;
    proven.by = "the checkpoint";
  }
  if (proven.blocks == 0) return Proven{};
  const auto last = last_sequence_in(arguments.directory, proven.blocks);
  if (!last) return tl::unexpected<ledger::Error>(last.error());
  proven.last_sequence = *last;
  return proven;
}

// Why a checkpoint that some key may have signed does not count; nothing: the error is another.
std::optional<std::string> does_not_count(const ledger::Error& error, bool distrusts) {
  if (error.code == ledger::ErrorCode::kUntrustedKey) return error.message;
  // Signed with one to which only a distrusted key would lead.
  if (distrusts && error.code == ledger::ErrorCode::kNotFound) return error.message;
  return std::nullopt;
}

ledger::Result<Held> against_checkpoint(const LedgerArguments& arguments,
                                        const ledger::VerifyReport& report) {
  if (arguments.checkpoint.empty()) return Held{};
  const auto keys = parse_verifier_keys(arguments.keys);
  if (!keys) return tl::unexpected<ledger::Error>(keys.error());
  const auto distrusted = parse_distrusted_keys(arguments.distrusted);
  if (!distrusted) return tl::unexpected<ledger::Error>(distrusted.error());
  auto known = ledger::check_distrusted(*distrusted, report.key_changes, *keys);
  if (!known) return tl::unexpected<ledger::Error>(known.error());
  const auto note = read_small_file(arguments.checkpoint);
  if (!note) return tl::unexpected<ledger::Error>(note.error());
  const auto traced = ledger::trace_checkpoint(*note, report.key_changes, *keys, *distrusted);
  Held held;
  if (!traced) {
    auto reason = does_not_count(traced.error(), !distrusted->empty());
    if (!reason) return tl::unexpected<ledger::Error>(traced.error());
    held.contradiction = std::move(*reason);
  } else {
    if (traced->steps > 0) {
      held.signed_by = traced->key.to_text() + ", " + std::to_string(traced->steps) +
                       (traced->steps == 1 ? " key change" : " key changes") + " after a key given";
    }
    const auto checked = ledger::check_log(arguments.directory, traced->opened.checkpoint);
    if (!checked && checked.error().code == ledger::ErrorCode::kIo) {
      return tl::unexpected<ledger::Error>(checked.error());
    }
    if (!checked) held.contradiction = checked.error().message;
  }
  if (distrusted->empty()) return held;
  auto proven = what_is_proven(arguments, report, *keys, *distrusted,
                               held.contradiction.empty() ? &*traced : nullptr);
  if (!proven) return tl::unexpected<ledger::Error>(proven.error());
  held.proven = std::move(*proven);
  return held;
}

void print_hashing_json(core::JsonWriter& json, const ledger::HashProgress& hashing) {
  json.key("hashing")
      .begin_object()
      .field("segments", hashing.segments)
      .field("last_sequence", hashing.last_sequence)
      .field("missing_files", hashing.missing_files)
      .field("unhashed_records", hashing.unhashed_records)
      .field("unhashed_bytes", hashing.unhashed_bytes)
      .field("unhashed_from", hashing.unhashed_from)
      .end_object();
}

// Of a log with integrity crc32c: how much of it is tamper-evident.
void print_hashing_text(const ledger::HashProgress& hashing) {
  std::cout << "hashed: " << hashing.segments << " segments";
  if (hashing.segments > 0) std::cout << ", up to record " << hashing.last_sequence;
  if (hashing.missing_files > 0) {
    std::cout << " (" << hashing.missing_files << " without a sound tree file)";
  }
  if (hashing.unhashed_records == 0) {
    std::cout << "; no unhashed records\n";
    return;
  }
  std::cout << "; unhashed tail: " << hashing.unhashed_records << " records, "
            << hashing.unhashed_bytes << " bytes, from record " << hashing.unhashed_from
            << " (CRCs alone)\n";
}

void print_report_json(const ledger::VerifyReport& report, const LedgerArguments& arguments,
                       const Held& held) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("ok", report.ok && held.contradiction.empty())
      .field("segments", report.segments)
      .field("blocks", report.blocks)
      .field("records", report.records)
      .field("bytes", report.bytes)
      .field("first_sequence", report.first_sequence)
      .field("last_sequence", report.last_sequence)
      .field("log_id", report.log_id_hex)
      .field("root", report.root_hex)
      .field("sealed", report.sealed)
      .field("writer_active", report.writer_active)
      .field("torn_tail_bytes", report.torn_tail_bytes)
      .field("faults", report.fault_count);
  if (report.integrity == ledger::Integrity::kCrc32c) print_hashing_json(json, report.hashing);
  if (!arguments.checkpoint.empty()) {
    json.field("checkpoint", held.contradiction.empty() ? "holds" : held.contradiction);
    if (!held.signed_by.empty()) json.field("checkpoint_signed_by", held.signed_by);
  }
  if (held.proven) {
    json.key("proven")
        .begin_object()
        .field("blocks", held.proven->blocks)
        .field("last_sequence", held.proven->last_sequence)
        .field("by", held.proven->by)
        .end_object();
  }
  json.field("key_epochs", report.key_changes.empty() ? std::uint64_t{1}
                                                      : report.key_changes.back().change.epoch);
  json.key("first_fault");
  if (report.first_fault) {
    json.begin_object()
        .field("segment", report.first_fault->segment)
        .field("offset", report.first_fault->offset)
        .field("sequence", report.first_fault->sequence)
        .field("reason", report.first_fault->reason)
        .end_object();
  } else {
    json.null();
  }
  json.end_object();
  std::cout << out << '\n';
}

void print_proven_text(const Proven& proven, const ledger::VerifyReport& report) {
  if (proven.blocks == 0) {
    std::cout << "proven: nothing" << (report.fault_count > 0 ? " while there are faults\n" : "\n");
    return;
  }
  std::cout << "proven: up to record " << proven.last_sequence << ", " << proven.blocks
            << " blocks, by " << proven.by << '\n';
  if (proven.last_sequence < report.last_sequence) {
    std::cout << "  not proven: records " << proven.last_sequence + 1 << " to "
              << report.last_sequence << '\n';
  }
}

void print_report_text(const ledger::VerifyReport& report, const LedgerArguments& arguments,
                       const Held& held) {
  std::cout << (report.ok && held.contradiction.empty() ? "ok" : "NOT OK") << ": " << report.records
            << " records, sequence " << report.first_sequence << " to " << report.last_sequence
            << ", " << report.blocks << " blocks in " << report.segments << " segments, "
            << report.bytes << " bytes\n"
            << "root " << report.root_hex << "  log " << report.log_id_hex
            << (report.sealed          ? ", closed cleanly"
                : report.writer_active ? ", writer active"
                                       : "")
            << '\n';
  if (report.integrity == ledger::Integrity::kCrc32c) print_hashing_text(report.hashing);
  if (report.torn_tail_bytes > 0) {
    std::cout << "torn tail: " << report.torn_tail_bytes << " bytes in segment "
              << report.torn_tail_segment << " at " << report.torn_tail_offset
              << (report.writer_active ? " (the writer's open block)\n"
                                       : "; the next start of the engine cuts and keeps it\n");
  }
  for (const ledger::RecordedKeyChange& key : report.key_changes) {
    std::cout << "key of epoch " << key.change.epoch << " since record " << key.sequence << ": "
              << key.change.new_key.to_text() << '\n';
  }
  if (!arguments.checkpoint.empty()) {
    std::cout << "checkpoint: " << (held.contradiction.empty() ? "holds" : held.contradiction)
              << '\n';
    if (!held.signed_by.empty()) std::cout << "  signed with " << held.signed_by << '\n';
  }
  if (held.proven) print_proven_text(*held.proven, report);
  if (report.first_fault) {
    std::cout << "first of " << report.fault_count << " faults: segment "
              << report.first_fault->segment << " at " << report.first_fault->offset << ", record "
              << report.first_fault->sequence << ": " << report.first_fault->reason << '\n';
  }
}

int verify(const LedgerArguments& arguments) {
  const bool progress = isatty(STDERR_FILENO) == 1;
  const auto report =
      ledger::verify(arguments.directory, [progress](std::uint64_t done, std::uint64_t total) {
        if (progress && total > 0) {
          std::fprintf(stderr, "\r%3llu%% ", static_cast<unsigned long long>(done * 100 / total));
        }
        return true;
      });
  if (progress) std::fputs("\r     \r", stderr);
  if (!report) return fail(report.error());
  const auto held = against_checkpoint(arguments, *report);
  if (!held) return fail(held.error());
  if (arguments.json) {
    print_report_json(*report, arguments, *held);
  } else {
    print_report_text(*report, arguments, *held);
  }
  return report->ok && held->contradiction.empty() ? kExitOk : kExitNegative;
}

int stats(const LedgerArguments& arguments) {
  const auto found = ledger::log_stats(arguments.directory);
  if (!found) return fail(found.error());
  if (!arguments.json) {
    std::cout << found->records << " records, sequence " << found->first_sequence << " to "
              << found->last_sequence << ", " << found->blocks << " blocks in " << found->segments
              << " segments, " << found->file_bytes << " bytes"
              << (found->writer_active ? ", writer active" : "") << '\n';
    if (found->integrity == ledger::Integrity::kCrc32c) print_hashing_text(found->hashing);
    return kExitOk;
  }
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("records", found->records)
      .field("blocks", found->blocks)
      .field("segments", found->segments)
      .field("file_bytes", found->file_bytes)
      .field("first_sequence", found->first_sequence)
      .field("last_sequence", found->last_sequence)
      .field("last_block_time", core::format_rfc3339(found->last_block_time_ns))
      .field("log_id", found->log_id_hex)
      .field("writer_active", found->writer_active);
  if (found->integrity == ledger::Integrity::kCrc32c) print_hashing_json(json, found->hashing);
  json.end_object();
  std::cout << out << '\n';
  return kExitOk;
}

Command* add_verb(Command& parent, const std::string& name, const std::string& help,
                  const ArgumentsPtr& arguments, int (*run)(const LedgerArguments&),
                  int& exit_code) {
  Command* verb = parent.add_subcommand(name, help);
  verb->footer("Example: grace ledger " + name + " grace-data/ledger --json");
  verb->add_option("directory", arguments->directory, "The ledger's directory")->required();
  verb->add_flag("--json", arguments->json, "Print JSON");
  verb->callback([arguments, run, &exit_code] { exit_code = run(*arguments); });
  return verb;
}

}  // namespace

void add_ledger_command(Command& app, int& exit_code) {
  Command* ledger = app.add_subcommand("ledger", "Inspect, prove and repair a ledger; its keys");
  ledger->require_subcommand();
  auto held = std::make_shared<LedgerArguments>();
  Command* verify_app =
      add_verb(*ledger, "verify", "Check every byte: CRCs, hashes, chain, order, padding", held,
               verify, exit_code);
  Option* key = verify_app->add_option("--key", held->keys, "Key (or file) that signed it");
  Option* checkpoint =
      verify_app
          ->add_option("--checkpoint", held->checkpoint, "A held checkpoint that must still hold")
          ->needs(key);
  verify_app
      ->add_option("--distrust", held->distrusted,
                   "KEYID[@SIZE]: a stolen key. What it signed, of SIZE blocks on, does not count")
      ->needs(checkpoint);
  add_verb(*ledger, "stats", "Count records and bytes without reading them all",
           std::make_shared<LedgerArguments>(), stats, exit_code);
  add_ledger_cat_command(*ledger, exit_code);
  add_ledger_proof_commands(*ledger, exit_code);
  add_ledger_key_commands(*ledger, exit_code);
  add_ledger_redaction_commands(*ledger, exit_code);
  add_ledger_repair_command(*ledger, exit_code);
}

}  // namespace grace::tools
