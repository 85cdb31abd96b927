#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/error.h"

namespace grace::ledger::internal {

// What a repair has set out to do: the file quarantine/repair.begun, replaced as a whole, so that
// an interrupted repair is finished and not begun anew from what it has left. While it is there no
// writer opens the log.
//
//   grace-ledger-repair/v1
//   phase save                      then: cut
//   end 3 81920                     the record goes here; offset 0: into a new segment 3
//   sequence 5012                   the record's
//   wall 1736899200000000000        stamps its block
//   mend 2 4096                     header copies to write anew, by segment and offset
//   trim 1 65536 NAME               bytes behind a seal, kept as NAME and cut off
//   tail 3 81920 NAME               bytes behind the end, kept as NAME
//   move 000000000004.segment NAME  whole files, last first
//   record {...}
struct RepairIntent {
  struct Copy {
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    std::string name;  // below quarantine/; empty where nothing is kept
  };
  struct Move {
    std::string from;  // in the log's directory
    std::string name;
  };
  bool saved = false;  // phase cut: everything is in quarantine
  std::uint64_t end_segment = 0;
  std::uint64_t end_offset = 0;
  std::uint64_t sequence = 0;
  std::int64_t wall_time_ns = 0;
  std::vector<Copy> mends;
  std::vector<Copy> trims;
  std::optional<Copy> tail;
  std::vector<Move> moves;
  std::string record;

  [[nodiscard]] std::string to_text() const;
  // kCorrupt where it is no such text.
  [[nodiscard]] static Result<RepairIntent> parse(std::string_view text);
  // The log's; nothing where no repair is unfinished.
  [[nodiscard]] static Result<std::optional<RepairIntent>> read(const std::string& directory);
};

[[nodiscard]] std::string repair_intent_path(const std::string& directory);

}  // namespace grace::ledger::internal
