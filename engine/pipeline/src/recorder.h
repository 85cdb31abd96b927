#pragma once
#include <cstdint>
#include <string>

#include "grace/core/error.h"
#include "grace/core/record_sink.h"
#include "grace/ledger/redaction.h"
#include "grace/ledger/sha256.h"
#include "grace/ledger/subsystem_logger.h"
#include "grace/ledger/writer.h"

namespace grace::pipeline {

// Writes decision records: each one JSON object, into the decision digest and, where there is one,
// into the ledger. The digest is SHA-256 over the objects in order, a newline after each, before
// any value is redacted; they hold event time only, so equal decisions give equal digests.
//
// Thread: the ordered stage's alone. A full ledger ring makes append() wait for the committer: a
// decision is never dropped. After the ledger has failed, records go into the digest alone and
// failed_count() grows; make_durable() then fails, so nothing is executed any more.
class Recorder final : public core::RecordSink {
 public:
  // No ledger: an empty producer. `foretells`: nobody else appends to the ledger, so sequences are
  // known before the committer gives them. `redactor` is borrowed; null: records go in as they are.
  Recorder(ledger::Producer producer, bool has_ledger, bool foretells, ledger::Redactor* redactor)
      : producer_(std::move(producer)),
        has_ledger_(has_ledger),
        foretells_(foretells),
        redactor_(redactor) {}

  void append(const core::Record& record) override;

  // Returns when everything appended is durable (D2), or with the ledger's error.
  [[nodiscard]] core::Result<void> make_durable();
  // Gives the producer back, before the ledger is closed. Nothing may be appended after it.
  void release() { producer_ = ledger::Producer(); }
  // Of the last record in the ledger, 0: not known; without a ledger, its number.
  [[nodiscard]] std::uint64_t last_sequence() const noexcept { return last_sequence_; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t failed_count() const noexcept { return failed_count_; }
  // By subsystem, since this process began: at most SubsystemRegistry::kSubsystemsMax, further ones
  // together as "other".
  [[nodiscard]] const ledger::SubsystemStatsMap& stats() const noexcept { return stats_; }
  // 64 hexadecimal digits over all records so far.
  [[nodiscard]] std::string digest() const { return ledger::to_hex(digest_.peek()); }

 private:
  void note_for_stats(const core::Record& record);

  ledger::Producer producer_;
  bool has_ledger_;
  bool foretells_;
  ledger::Redactor* redactor_;
  ledger::Sha256 digest_;
  std::string line_;      // reused
  std::string redacted_;  // reused
  std::uint64_t count_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t failed_count_ = 0;
  ledger::SubsystemStatsMap stats_;
};

}  // namespace grace::pipeline
