#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"

// What a person does with a log that recovery refuses: docs/ledger_format.md, section 9.
//
// plan_repair() says what is wrong and what a repair would do; it changes nothing. repair() does
// it: the log is cut where it stops to be readable, and everything from there on is kept below
// quarantine/. Nothing is thrown away, and a record in the log (type 3, actor "operator", action
// "repair") says what was lost, where it is, and why.
//
// Threads: one call at a time on a log, and no writer beside it (repair() takes the writer's lock).
namespace grace::ledger {

// Where a log is damaged: a block's beginning, 0 or 4096 for a segment's header, or the end of a
// seal behind which bytes lie. Offset 0 of a segment that is missing means the gap.
struct RepairPlace {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  friend bool operator==(const RepairPlace&, const RepairPlace&) = default;
};

struct RepairFault {
  RepairPlace place;
  std::string reason;  // one line
};

// From the place of the cut on, as far as something there is intact by itself.
struct RepairLoss {
  RepairPlace place;
  std::string reason;
  std::uint64_t first_sequence = 0;     // the record expected there
  std::uint64_t last_sequence = 0;      // the highest that anything behind speaks of; may be lower
  std::uint64_t promised_sequence = 0;  // the highest that was promised to be durable; 0: none
  std::uint64_t readable_blocks = 0;    // behind the place: sound, but no longer part of the chain
  std::uint64_t readable_records = 0;   // in these
  std::uint64_t bytes = 0;              // that go to quarantine

  [[nodiscard]] std::uint64_t lost_records() const {
    return last_sequence < first_sequence ? 0 : last_sequence - first_sequence + 1;
  }
};

// The file `checkpoint` beside the segments.
enum class HeldCheckpoint : std::uint8_t {
  kNone = 0,        // there is none, or nothing can be said of it
  kHolds = 1,       // and does after the repair
  kWouldBreak = 2,  // it speaks of blocks that the repair takes away
  kBroken = 3,      // the log contradicts it as it is, or it cannot be read
};

struct RepairPlan {
  // Nothing is damaged. A torn tail is none: the next writer cuts and keeps it.
  [[nodiscard]] bool is_sound() const {
    return !cut && headers.empty() && after_seals.empty() && checkpoint != HeldCheckpoint::kBroken;
  }
  // What --yes has to name: the first place that is damaged.
  [[nodiscard]] RepairPlace place() const;

  std::string log_id_hex;
  std::uint64_t segments = 0;
  std::uint64_t kept_records = 0;        // before the cut, or all
  std::uint64_t kept_last_sequence = 0;  // 0: none
  std::uint64_t kept_blocks = 0;         // in the whole log up to the cut
  std::optional<RepairLoss> cut;         // the log ends here after the repair
  std::vector<RepairFault> headers;      // one damaged copy beside an intact one, before the cut
  std::vector<RepairFault> after_seals;  // bytes behind a seal, before the cut
  std::uint64_t torn_tail_bytes = 0;     // at the log's end, not promised: goes with the repair
  std::vector<std::string> moved;        // whole files that go to quarantine, side files too
  RepairPlace end;                       // where what is kept ends
  HeldCheckpoint checkpoint = HeldCheckpoint::kNone;
  std::string checkpoint_says;  // one line: what it speaks of, and what contradicts it
  bool unfinished = false;      // an earlier repair was interrupted: it is finished first
};

struct RepairOptions {
  RepairPlace expected;               // where the caller was told that the damage is
  bool break_checkpoint = false;      // move a checkpoint away that the log no longer holds
  bool export_records = false;        // write readable records behind the damage as JSON lines
  FileSystem* file_system = nullptr;  // borrowed; null: the real one
  std::int64_t (*wall_clock_ns)() = nullptr;  // null: the system's
};

struct RepairReport {
  std::uint64_t record_sequence = 0;    // of the record that tells of the repair
  std::vector<std::string> quarantine;  // names below quarantine/
};

// kNotFound: no log. kLocked: a writer is there. kUnsupported: of a newer version, and not ours to
// judge, or a compressed segment would have to be cut or mended: the message says what to do. kIo.
[[nodiscard]] Result<RepairPlan> plan_repair(const std::string& directory);

// Does what the plan says, anew from the files. Crash safe: interrupted anywhere, the next call
// (with any `expected`) ends in the same state, and until then no writer opens the log.
// kLocked: a writer is there. kInvalidArgument: nothing is damaged, the damage is not where it was
// expected, or a checkpoint would break and break_checkpoint is not set. kUnsupported: as
// plan_repair(), or nothing would be left of the log. Nothing is changed then. kIo, kNoSpace: call
// again.
[[nodiscard]] Result<RepairReport> repair(const std::string& directory,
                                          const RepairOptions& options);

}  // namespace grace::ledger
