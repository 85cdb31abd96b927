#include "own_ledger.h"

#include <utility>

#include "grace/ledger/key_change.h"
#include "recovery.h"
#include "signing_key.h"

namespace grace::pipeline {
namespace {

ledger::LogConfig ledger_config(const EngineConfig& config) {
  ledger::LogConfig log;
  log.directory = config.ledger_directory;
  log.producers_max = 2;
  log.record_trees = true;  // each decision can be proven on its own
  log.reserve = true;       // decisions go on where a journal on the same disk has to stop
  log.index_segments = true;
  log.retention = {config.ledger_retention_bytes, config.ledger_retention_age};
  log.compress_after_segments = config.ledger_compress_after;
  return log;
}

core::Result<void> check_ledger_keeping(const EngineConfig& config) {
  const std::uint64_t bytes_min = 2 * ledger::LogConfig{}.segment_bytes;
  if (config.ledger_retention_bytes > 0 && config.ledger_retention_bytes < bytes_min) {
    return core::make_error(
        core::ErrorCode::kConfig,
        "engine.ledger_retention_bytes = " + std::to_string(config.ledger_retention_bytes) +
            ": 0 (off), or at least two segments, " + std::to_string(bytes_min));
  }
  if (config.ledger_retention_age.count() < 0) {
    return core::make_error(core::ErrorCode::kConfig,
                            "engine.ledger_retention_age must not be negative");
  }
  return {};
}

}  // namespace

core::Error from_ledger(const ledger::Error& error) {
  return {core::ErrorCode::kIo, error.message, error.os_error, error.offset};
}

core::Result<void> check_ledger(const EngineConfig& config) {
  if (!config.ledger_export_directory.empty() && config.ledger_signing_key.empty()) {
    return core::make_error(core::ErrorCode::kConfig,
                            "engine.ledger_export without engine.ledger_signing_key: there is "
                            "nothing to export");
  }
  if (!config.ledger_previous_signing_key.empty() && config.ledger_signing_key.empty()) {
    return core::make_error(core::ErrorCode::kConfig,
                            "engine.ledger_previous_signing_key without engine.ledger_signing_key: "
                            "there is no key that comes after it");
  }
  for (const std::string& path : config.ledger_redact) {
    if (auto checked = check_redactable(path); !checked) {
      return tl::unexpected<core::Error>(checked.error());
    }
  }
  return check_ledger_keeping(config);
}

core::Result<void> OwnLedger::open(const EngineConfig& config) {
  ledger::LogConfig log = ledger_config(config);
  if (!config.ledger_signing_key.empty()) {
    auto signer = read_signing_key("ledger_signing_key", config.ledger_signing_key);
    if (!signer) return tl::unexpected<core::Error>(signer.error());
    signer_.emplace(std::move(*signer));
    if (auto changed = change_signing_key(config, log); !changed) return changed;
    log.checkpoint.signer = &*signer_;
    log.checkpoint.export_directory = config.ledger_export_directory;
  }
  if (!config.ledger_redact.empty()) {
    ledger::RedactionConfig redaction;
    redaction.fields = config.ledger_redact;
    auto redactor = ledger::Redactor::create(std::move(redaction));
    if (!redactor) return tl::unexpected<core::Error>(from_ledger(redactor.error()));
    redactor_ = std::move(*redactor);
    log.before_sync = [this] { redactor_->sync(); };
  }
  auto writer = ledger::Writer::open(log);
  if (!writer) return tl::unexpected<core::Error>(from_ledger(writer.error()));
  writer_ = std::move(*writer);
  if (redactor_ == nullptr) return {};
  if (auto opened = redactor_->open_store(log.directory); !opened) {
    return tl::unexpected<core::Error>(from_ledger(opened.error()));
  }
  return {};
}

// Once: afterwards the old key is no longer the ledger's, and nothing is left to do.
core::Result<void> OwnLedger::change_signing_key(const EngineConfig& config,
                                                 const ledger::LogConfig& log) const {
  if (config.ledger_previous_signing_key.empty()) return {};
  auto previous =
      read_signing_key("ledger_previous_signing_key", config.ledger_previous_signing_key);
  if (!previous) return tl::unexpected<core::Error>(previous.error());
  const auto changes = ledger::read_key_changes(log.directory);
  const bool is_new = !changes && changes.error().code == ledger::ErrorCode::kNotFound;
  if (is_new) return {};  // no ledger yet: the key is its first
  if (!changes) return tl::unexpected<core::Error>(from_ledger(changes.error()));
  if (!changes->empty() && changes->back().change.new_key == signer_->verifier()) {
    return {};
  }
  const auto rotated = ledger::rotate_key(log, *previous, *signer_);
  // Retention may have taken the record of the change: whether the new key is the ledger's, opening
  // it says.
  if (!rotated && rotated.error().code == ledger::ErrorCode::kUntrustedKey) return {};
  if (!rotated) return tl::unexpected<core::Error>(from_ledger(rotated.error()));
  return {};
}

std::uint64_t OwnLedger::durable_sequence() const {
  return writer_ != nullptr ? writer_->durable_sequence() : 0;
}

bool OwnLedger::flush(std::chrono::milliseconds timeout) {
  return writer_ != nullptr && writer_->flush(timeout).has_value();
}

std::uint64_t OwnLedger::written_sequence() const {
  return writer_ != nullptr ? writer_->written_sequence() : 0;
}
std::uint64_t OwnLedger::signed_sequence() const {
  return writer_ != nullptr ? writer_->signed_sequence() : 0;
}

std::string OwnLedger::checkpoint_error() const {
  if (writer_ == nullptr) return {};
  const auto health = writer_->checkpoint_health();
  return health ? std::string() : health.error().message;
}

// Why no more is recorded, or space runs out, or a file had to be given up for another.
std::string OwnLedger::error() const {
  if (writer_ == nullptr) return {};
  if (const auto health = writer_->health(); !health) return health.error().message;
  const auto fail_over = writer_->last_fail_over();
  return fail_over ? "went on in a new segment: " + fail_over->message : std::string();
}

std::string OwnLedger::redaction_error() const {
  if (redactor_ == nullptr) return {};
  const auto health = redactor_->health();
  return health ? std::string() : health.error().message;
}

LedgerKeeping OwnLedger::keeping() const {
  if (writer_ == nullptr) return {};
  const ledger::KeeperStats stats = writer_->keeper_stats();
  const auto health = writer_->keeper_health();
  return {stats.segments_removed, stats.segments_compressed,
          health ? std::string() : health.error().message};
}

}  // namespace grace::pipeline
