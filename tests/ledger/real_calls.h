#pragma once
#include <cstdint>

#include "campaign.h"

namespace grace::ledger {

// Makes the kernel's calls themselves fail, below the seam: short writes and EFBIG at a limit of
// file size, EINTR where a call waits or is slow. Each case in a process of its own. Returns how
// many there were.
std::uint64_t run_real_calls(Campaign& campaign);

}  // namespace grace::ledger
