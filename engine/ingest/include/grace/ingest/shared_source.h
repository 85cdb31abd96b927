#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "grace/core/error.h"
#include "grace/ingest/source.h"

namespace grace::ingest {

struct SharedSourceConfig {
  // --- behaviour ---
  // Where producers connect: a unix socket of mode 0600; a stale one of ours is replaced.
  std::string path = {};
  // approve, reject, pause ... are accepted from producers.
  bool operator_allowed = false;
  // Longest record of an event; longer ones are dropped. At most half of ring_bytes.
  std::size_t event_bytes_max = 64 * 1024;
  // --- cost ---
  // Each producer's ring: 4 KiB to 1 GiB, a power of two.
  std::size_t ring_bytes = 1024 * 1024;
  std::size_t producers_max = 16;  // at one time, 1 to 1024; further ones are refused, and counted
};
[[nodiscard]] core::Result<SharedSourceConfig> validated(SharedSourceConfig config);

// Events of other processes on this host, without JSON: each producer (connect_shared) gets a ring
// of its own in memory that both share.
//
//   producer connects -> its user is checked -> a sealed memfd is made, mapped, handed over
//   producer's ring -> read(): checked, copied -> chunk; parse judges the copy
//
// Producers are not trusted, beyond running as the engine's user (or root). The memory cannot be
// shrunk under us (F_SEAL_SHRINK); of what is in it, only a record's size is used before it is
// copied, and that is read once. A ring whose positions or sizes make no sense is given up: the
// event that could not be read counts as dropped and as a read error, and the producer is cut off.
// Records over event_bytes_max are skipped and count as dropped.
//
// A producer that ends or dies, in whatever place, is seen by its connection's end. What it handed
// over before is read; a batch it did not finish was never there. No producer can hold up another:
// each has its turn of bounded bytes. After its end, or a stop, at most one more ring's worth is
// read of each, so that one that ignores the close cannot keep the engine from ending.
//
// Full: without a free chunk nothing is read, rings fill, producers see kFull.
// Thread: the ingest stage's. System calls: when nothing is to be read, and at every 256th read.
class SharedSource final : public Source {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<SharedSource>> listen(
      SharedSourceConfig config);
  ~SharedSource() override;
  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override;

 private:
  class Impl;
  SharedSource(SourceTraits traits, std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace grace::ingest
