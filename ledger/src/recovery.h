#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "block.h"
#include "grace/ledger/log_config.h"
#include "grace/ledger/writer.h"

namespace grace::ledger::internal {

struct Recovered {
  RecoveryReport report;
  ChainState chain;                       // what the next segment must continue
  std::uint64_t next_segment_number = 1;  // no segment has this number or a higher one
  std::vector<std::string> pending;       // quarantine files that no recovery record names yet
};

// Brings the log in config.directory to a state that can be continued in a new segment: the last
// one ends with a seal. Holds the whole lock's promise: call with the lock held. Reads only the
// last segments that nothing promises were synced. Order of effects, so that a crash between any
// two of them is recovered by the next call: save the torn bytes, cut them off, seal.
//
// `config` is validated. On an error nothing was cut unless its bytes are in quarantine.
[[nodiscard]] Result<Recovered> recover(const LogConfig& config);

}  // namespace grace::ledger::internal
