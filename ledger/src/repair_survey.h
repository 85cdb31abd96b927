#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "block.h"
#include "grace/ledger/reader.h"
#include "grace/ledger/repair.h"

namespace grace::ledger::internal {

// Everything a repair rests on: the whole log was read, every byte of it.
struct Survey {
  RepairPlan plan;
  std::vector<std::uint64_t> numbers;  // of all segments that are there
  std::size_t kept = 0;                // so many of them stay, the last one perhaps cut
  ChainState chain;                    // after the last block that is kept
  std::uint64_t end_offset = 0;        // of the last kept segment's blocks
  bool sealed = false;                 // the last kept block is a seal
  std::uint64_t tail_bytes = 0;        // behind end_offset, go to quarantine
};

// Reads the log as verify() does, up to the first place that is no torn tail and not just one
// header copy or bytes behind a seal. `visit` (may be empty) sees the records that are readable
// behind the cut. Call with the lock held, or beside no writer.
[[nodiscard]] Result<Survey> survey_log(const std::string& directory,
                                        const std::function<void(const RecordView&)>& visit);

}  // namespace grace::ledger::internal
