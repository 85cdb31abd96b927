#pragma once
#include <cstdint>
#include <string>

#include "engine_load.h"

namespace grace::tools {

struct SidecarLoad {
  std::string socket;   // of the engine's unix source
  std::string control;  // its control socket
  const LoadStream& stream;
  const harness::ArrivalConfig& arrivals;
  const harness::LoadSpan& span;
};

// A running engine under an open loop: lines go into its unix socket, and `position` of the control
// protocol, asked each kLookNs, tells when those that it has read are decided. So latencies are up
// to two such looks and the answer's way too long, never too short; run_null_sidecar() shows by how
// much. Nobody else may send on that socket meanwhile. kIo, kClosed: it does not listen or has
// ended; kInvalidArgument: the control socket knows no such source; kCorrupt: others have sent as
// well.
[[nodiscard]] core::Result<EngineRun> run_sidecar_load(const SidecarLoad& load);

// The same sender and observer around a thread that counts lines.
[[nodiscard]] core::Result<harness::LoadResult> run_null_sidecar(
    const LoadStream& stream, const harness::ArrivalConfig& arrivals,
    const harness::LoadSpan& span);

}  // namespace grace::tools
