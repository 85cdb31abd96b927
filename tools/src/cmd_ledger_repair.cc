#include <unistd.h>

#include <charconv>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "command.h"
#include "grace/core/json_writer.h"
#include "grace/ledger/repair.h"
#include "ledger_repair.h"

namespace grace::tools {
namespace {

struct RepairArguments {
  std::string directory;
  std::string yes;  // SEGMENT:OFFSET
  bool dry_run = false;
  bool break_checkpoint = false;
  bool export_records = false;
  bool json = false;
};

std::string text_of(const ledger::RepairPlace& place) {
  return std::to_string(place.segment) + ":" + std::to_string(place.offset);
}

std::optional<ledger::RepairPlace> place_from(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  ledger::RepairPlace place;
  const auto number = [](std::string_view digits, std::uint64_t& out) {
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, out);
    return error == std::errc() && stop == end;
  };
  if (!number(text.substr(0, colon), place.segment)) return std::nullopt;
  if (!number(text.substr(colon + 1), place.offset)) return std::nullopt;
  return place;
}

int fail(const ledger::Error& error) {
  std::cerr << "grace ledger repair: " << error.message << '\n';
  return error.code == ledger::ErrorCode::kNotFound ? kExitUsage : kExitNegative;
}

void explain_cut(const ledger::RepairPlan& plan, std::ostream& out) {
  const ledger::RepairLoss& cut = *plan.cut;
  out << "What is wrong: segment " << cut.place.segment << " at byte " << cut.place.offset << ": "
      << cut.reason << ".\n"
      << "  Record " << cut.first_sequence << " is expected there.";
  if (cut.promised_sequence >= cut.first_sequence) {
    out << " The log had promised that all up to record " << cut.promised_sequence
        << " was durable: this is no torn tail.";
  }
  out << "\nWhat is safe: " << plan.kept_records << " records before it";
  if (plan.kept_last_sequence > 0) out << ", up to " << plan.kept_last_sequence;
  out << ".\nWhat is lost to the log: ";
  if (cut.lost_records() > 0) {
    out << "records " << cut.first_sequence << " to " << cut.last_sequence << " ("
        << cut.lost_records() << ")";
  } else {
    out << "no record that anything speaks of";
  }
  out << ", " << cut.bytes << " bytes. Of these " << cut.readable_records << " records in "
      << cut.readable_blocks
      << " blocks can still be read behind the damage;\n  nothing proves any more that they follow "
         "on each other.\n";
}

void explain_effects(const ledger::RepairPlan& plan, std::ostream& out) {
  out << "A repair would:\n";
  for (const ledger::RepairFault& header : plan.headers) {
    out << "  - write the header copy at " << text_of(header.place)
        << " anew from the other one, which is intact\n";
  }
  for (const ledger::RepairFault& fault : plan.after_seals) {
    out << "  - move the bytes behind " << text_of(fault.place) << " to quarantine/\n";
  }
  if (plan.cut || plan.torn_tail_bytes > 0) {
    out << "  - copy what lies behind " << text_of(plan.end) << " to quarantine/ and cut it off\n";
  }
  if (!plan.moved.empty()) {
    out << "  - move " << plan.moved.size() << " whole segment"
        << (plan.moved.size() > 1 ? "s" : "") << " to quarantine/, from " << plan.moved.front()
        << " on\n";
  }
  if (plan.checkpoint >= ledger::HeldCheckpoint::kWouldBreak) {
    out << "  - move the log's checkpoint to quarantine/ (only with --break-checkpoint)\n";
  }
  out << "  - end the log with a record of this repair, and seal it\n";
}

void explain(const ledger::RepairPlan& plan, std::ostream& out) {
  for (const ledger::RepairFault& header : plan.headers) {
    out << "What is wrong: segment " << header.place.segment << ", the header copy at byte "
        << header.place.offset << ": " << header.reason << ". No record is lost.\n";
  }
  for (const ledger::RepairFault& fault : plan.after_seals) {
    out << "What is wrong: segment " << fault.place.segment << " at byte " << fault.place.offset
        << ": " << fault.reason << ". No record is lost.\n";
  }
  if (plan.cut) explain_cut(plan, out);
  if (plan.checkpoint == ledger::HeldCheckpoint::kWouldBreak) {
    out << "What was promised to others: the log's checkpoint: " << plan.checkpoint_says
        << ".\n  A repair BREAKS THAT PROMISE: whoever holds this checkpoint will find that the "
           "log was cut.\n";
  } else if (plan.checkpoint == ledger::HeldCheckpoint::kBroken) {
    out << "What was promised to others does not hold: the log's checkpoint: "
        << plan.checkpoint_says << ".\n";
  }
  explain_effects(plan, out);
  if (!plan.is_sound() && plan.end.segment == 0) {
    out << "It refuses that, since nothing would be left: move the file of segment "
        << plan.place().segment << " away; a log may begin with a later segment.\n";
  }
}

void print_json(const ledger::RepairPlan& plan) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().field("sound", plan.is_sound()).field("place", text_of(plan.place()));
  json.field("log_id", plan.log_id_hex).field("segments", plan.segments);
  json.field("kept_records", plan.kept_records);
  json.field("kept_last_sequence", plan.kept_last_sequence).key("cut");
  if (plan.cut) {
    json.begin_object()
        .field("segment", plan.cut->place.segment)
        .field("offset", plan.cut->place.offset)
        .field("reason", plan.cut->reason)
        .field("lost_first_sequence", plan.cut->first_sequence)
        .field("lost_last_sequence", plan.cut->last_sequence)
        .field("lost_records", plan.cut->lost_records())
        .field("promised_sequence", plan.cut->promised_sequence)
        .field("readable_records", plan.cut->readable_records)
        .field("bytes", plan.cut->bytes)
        .end_object();
  } else {
    json.null();
  }
  json.key("headers").begin_array();
  for (const ledger::RepairFault& header : plan.headers) json.value(text_of(header.place));
  json.end_array().key("after_seals").begin_array();
  for (const ledger::RepairFault& fault : plan.after_seals) json.value(text_of(fault.place));
  json.end_array()
      .field("torn_tail_bytes", plan.torn_tail_bytes)
      .field("segments_moved", static_cast<std::uint64_t>(plan.moved.size()))
      .field("checkpoint_broken", plan.checkpoint >= ledger::HeldCheckpoint::kWouldBreak)
      .field("checkpoint", plan.checkpoint_says)
      .field("unfinished", plan.unfinished)
      .end_object();
  std::cout << out << '\n';
}

// Asks on the terminal; the word has to be written out.
bool agreed() {
  std::cout << "Do it? Type yes: " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "yes";
}

int mend(const RepairArguments& arguments, const ledger::RepairPlace& place) {
  ledger::RepairOptions options;
  options.expected = place;
  options.break_checkpoint = arguments.break_checkpoint;
  options.export_records = arguments.export_records;
  const auto done = ledger::repair(arguments.directory, options);
  if (!done) return fail(done.error());
  if (arguments.json) {
    std::string out;
    core::JsonWriter json(out);
    json.begin_object().field("repaired", true).field("record_sequence", done->record_sequence);
    json.array_field("quarantine", done->quarantine).end_object();
    std::cout << out << '\n';
    return kExitOk;
  }
  std::cout << "repaired: record " << done->record_sequence << " tells of it";
  for (const std::string& name : done->quarantine) std::cout << "\n  quarantine/" << name;
  std::cout << '\n';
  return kExitOk;
}

int repair(const RepairArguments& arguments) {
  std::optional<ledger::RepairPlace> place;
  if (!arguments.yes.empty()) {
    place = place_from(arguments.yes);
    if (!place) {
      std::cerr << "grace ledger repair: --yes: '" << arguments.yes
                << "' is not SEGMENT:OFFSET, as the plan names it\n";
      return kExitUsage;
    }
  }
  const auto plan = ledger::plan_repair(arguments.directory);
  if (!plan) return fail(plan.error());
  if (plan->is_sound() && !plan->unfinished) {
    if (arguments.json) {
      print_json(*plan);
    } else {
      std::cout << "nothing to repair: " << plan->kept_records << " records in " << plan->segments
                << " segments are sound";
      if (plan->torn_tail_bytes > 0) {
        std::cout << "; a torn tail of " << plan->torn_tail_bytes
                  << " bytes is cut and kept by the next start of the engine";
      }
      std::cout << '\n';
    }
    return kExitOk;
  }
  if (arguments.json && !place) {
    print_json(*plan);
  } else if (!arguments.json) {
    if (plan->unfinished) {
      std::cout << "An earlier repair was interrupted; it would be finished as it was begun.\n";
    } else {
      explain(*plan, std::cout);
      std::cout << "The place: " << text_of(plan->place()) << '\n';
    }
  }
  if (arguments.dry_run) return kExitNegative;
  if (!place) {
    if (arguments.json || isatty(STDIN_FILENO) != 1) {
      std::cerr << "grace ledger repair: nothing was changed; to agree without a terminal, give "
                   "--yes "
                << text_of(plan->place()) << '\n';
      return kExitNegative;
    }
    if (!agreed()) {
      std::cout << "nothing was changed\n";
      return kExitNegative;
    }
    place = plan->place();
  }
  return mend(arguments, *place);
}

}  // namespace

void add_ledger_repair_command(Command& ledger, int& exit_code) {
  auto arguments = std::make_shared<RepairArguments>();
  Command* verb = ledger.add_subcommand(
      "repair", "Explain what is wrong with a ledger, ask, and repair it; nothing is thrown away");
  verb->footer("Example: grace ledger repair grace-data/ledger --dry-run");
  verb->add_option("directory", arguments->directory, "The ledger's directory")->required();
  Option* dry_run =
      verb->add_flag("--dry-run", arguments->dry_run, "Explain only; exit code 1 if damaged");
  verb->add_option("--yes", arguments->yes, "Agree beforehand, to damage at this SEGMENT:OFFSET")
      ->excludes(dry_run);
  verb->add_flag("--break-checkpoint", arguments->break_checkpoint,
                 "Go on although the log's checkpoint will no longer hold");
  verb->add_flag("--export", arguments->export_records,
                 "Write records that are readable behind the damage to quarantine/, as JSON lines");
  verb->add_flag("--json", arguments->json, "Print JSON");
  verb->callback([arguments, &exit_code] { exit_code = repair(*arguments); });
}

}  // namespace grace::tools
