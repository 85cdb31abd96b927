#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "grace/core/error.h"
#include "grace/ledger/redaction.h"
#include "grace/ledger/signed_note.h"
#include "grace/ledger/writer.h"
#include "grace/pipeline/engine.h"

namespace grace::pipeline {

// What the configuration says of the ledger, where it contradicts itself.
[[nodiscard]] core::Result<void> check_ledger(const EngineConfig& config);
[[nodiscard]] core::Error from_ledger(const ledger::Error& error);

// The engine's ledger with what goes with it: the key that signs it, and the values that are kept
// out of it. Empty until open(). Figures: any thread.
class OwnLedger {
 public:
  // With its key changed first, where the configuration says so.
  [[nodiscard]] core::Result<void> open(const EngineConfig& config);
  explicit operator bool() const noexcept { return writer_ != nullptr; }
  [[nodiscard]] ledger::Writer& writer() noexcept { return *writer_; }
  [[nodiscard]] ledger::Redactor* redactor() noexcept { return redactor_.get(); }

  [[nodiscard]] std::uint64_t durable_sequence() const;
  [[nodiscard]] std::uint64_t written_sequence() const;
  [[nodiscard]] std::uint64_t signed_sequence() const;
  [[nodiscard]] bool flush(std::chrono::milliseconds timeout);
  // Each empty where all is well.
  [[nodiscard]] std::string error() const;
  [[nodiscard]] std::string checkpoint_error() const;
  [[nodiscard]] std::string redaction_error() const;
  [[nodiscard]] LedgerKeeping keeping() const;

 private:
  [[nodiscard]] core::Result<void> change_signing_key(const EngineConfig& config,
                                                      const ledger::LogConfig& log) const;

  std::optional<ledger::NoteSigner> signer_;
  std::unique_ptr<ledger::Redactor> redactor_;  // null: nothing is redacted
  std::unique_ptr<ledger::Writer> writer_;      // last: uses both
};

}  // namespace grace::pipeline
