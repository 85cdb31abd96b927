#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "grace/core/error.h"
#include "grace/ingest/publisher.h"
#include "grace/ingest/source.h"

namespace grace::ingest {

struct PublishConfig {
  // --- behaviour ---
  std::string name = "publisher";
  // approve, reject, pause ... are accepted from these publishers.
  bool operator_allowed = false;
  // The source ends when all publishers that were made have ended, as a file ends; for programs
  // that publish what they have and then want it decided. False: at request_stop() alone.
  bool end_with_publishers = false;
  // Longest record of an event. Longer ones are refused. At most half of ring_bytes; up to an
  // eighth, the ring has four blocks, and one that is full is parsed where it lies.
  std::size_t event_bytes_max = 64 * 1024;
  // Records take a multiple of this: 8 to 4096, a power of two. With JSON lines that are filled
  // with blanks to the same sizes, both ways give the same sequences, and so the same digest.
  std::size_t align_bytes = core::kPackedAlignBytes;
  // --- cost ---
  // Each publisher's ring: 4 KiB to 1 GiB, a power of two. Larger: a longer pause of the engine is
  // bridged.
  std::size_t ring_bytes = 1024 * 1024;
  std::size_t publishers_max = 64;  // at one time, 1 to 4096
};
[[nodiscard]] core::Result<PublishConfig> validated(PublishConfig config);

class LocalRing;

// All publishers of one engine, as a source. Give it to Engine::Parts::sources and keep the pointer
// for publisher(), which is good as long as the engine.
//
// Ends at request_stop(): every ring is closed, and what was handed over before is read; or with
// its publishers (PublishConfig). Threads: publisher(): any; the others: the ingest stage's.
class PublishSource final : public Source {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<PublishSource>> create(PublishConfig config);
  ~PublishSource() override;  // closes

  // kFull: publishers_max are alive. kClosed: the source was stopped.
  [[nodiscard]] core::Result<Publisher> publisher();

  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override;

 private:
  explicit PublishSource(const PublishConfig& config);
  void look_for_new_rings();
  [[nodiscard]] bool drop_finished();

  const PublishConfig config_;
  std::mutex mutex_;  // of rings_ and stopped_
  std::vector<std::shared_ptr<LocalRing>> rings_;
  bool stopped_ = false;
  // [RINGS] Counts changes of rings_ by publisher(); release there, acquire in read().
  std::atomic<std::uint64_t> rings_made_{0};
  // The ingest thread's own copy, so that a read takes no lock.
  std::vector<std::shared_ptr<LocalRing>> reading_;
  std::uint64_t rings_seen_ = 0;
  std::size_t turn_ = 0;
  bool stop_seen_ = false;
};

}  // namespace grace::ingest
