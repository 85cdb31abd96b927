#pragma once
#include "grace/core/chunk.h"

namespace grace::ingest {

// Where the ingest stage gets empty chunks and leaves filled ones. The pipeline implements it over
// its rings; tests over a vector.
//
// Thread: who runs the ingest stage. Neither call may block: a null or a false is back-pressure,
// and the stage then stops reading its sources until the port gives way.
//
// The port owns the memory of all chunks. The stage holds at most one chunk for each source, one
// spare, and one that try_publish() refused. When finished() it holds at most the spare.
class ChunkPort {
 public:
  virtual ~ChunkPort() = default;
  // An empty chunk of at least ingest::chunk_capacity_bytes(), or null: all are in flight. The
  // stage resets its fields.
  [[nodiscard]] virtual core::Chunk* try_acquire() = 0;
  // Hands over a filled chunk. Called with chunk->number counting up by one. False: no room, the
  // stage keeps the chunk and offers the same one again before any other.
  [[nodiscard]] virtual bool try_publish(core::Chunk* chunk) = 0;
  // Whoever takes chunks would otherwise wait: a part-filled one is welcome now. A moment old.
  [[nodiscard]] virtual bool hungry() const = 0;
};

}  // namespace grace::ingest
