#pragma once
#include <string>

#include "grace/core/error.h"
#include "grace/ingest/publisher.h"

namespace grace::ingest {

// A Publisher into an engine on this host, in another process: through memory that the engine
// makes, seals and hands over its unix socket at `path` (SharedSource). Needs grace_shared_client
// and grace_core alone.
//
// Fails when nobody listens (kIo), the engine refuses (kFull: too many producers, kClosed: another
// user's) or speaks another layout (kUnsupported). Waits for the answer at most a second.
//
// When the engine ends in good order, publishes say kClosed. When it dies, nobody closes the ring:
// publishes succeed until it is full, then say kClosed; unread_bytes() tells how much was in vain.
// is_abandoned() tells sooner. Either way: connect again when an engine listens again, to a new
// ring. A producer that dies leaves what it had handed over, which the engine still takes.
[[nodiscard]] core::Result<Publisher> connect_shared(const std::string& path);

}  // namespace grace::ingest
