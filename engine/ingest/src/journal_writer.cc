#include <algorithm>
#include <utility>

#include "grace/core/assert.h"
#include "grace/ingest/journal.h"
#include "grace/ledger/reader.h"
#include "grace/ledger/writer.h"
#include "journal_error.h"
#include "journal_format.h"

namespace grace::ingest {

using core::ErrorCode;
using core::make_error;
using core::Result;

core::Error from_ledger(const ledger::Error& error) {
  core::Error to;
  switch (error.code) {
    case ledger::ErrorCode::kInvalidArgument:
      to.code = ErrorCode::kInvalidArgument;
      break;
    case ledger::ErrorCode::kIo:
    case ledger::ErrorCode::kNoSpace:
    case ledger::ErrorCode::kSyncFailed:
      to.code = ErrorCode::kIo;
      break;
    case ledger::ErrorCode::kLocked:
      to.code = ErrorCode::kFull;
      break;
    case ledger::ErrorCode::kCorrupt:
    case ledger::ErrorCode::kUntrustedKey:  // a journal is not signed
      to.code = ErrorCode::kCorrupt;
      break;
    case ledger::ErrorCode::kNotFound:
      to.code = ErrorCode::kNotFound;
      break;
    case ledger::ErrorCode::kUnsupported:
      to.code = ErrorCode::kUnsupported;
      break;
    case ledger::ErrorCode::kClosed:
      to.code = ErrorCode::kClosed;
      break;
    case ledger::ErrorCode::kTimeout:
      to.code = ErrorCode::kTimeout;
      break;
  }
  to.message = error.message;
  to.os_error = error.os_error;
  to.offset = error.offset;
  return to;
}

namespace {

tl::unexpected<core::Error> failed(const ledger::Error& error) {
  return tl::unexpected<core::Error>(from_ledger(error));
}

// Behind the last chunk among the records from `from_sequence` on; nullopt when there is none.
Result<std::optional<InputPosition>> position_behind(const std::string& directory,
                                                     std::uint64_t from_sequence) {
  auto reader = ledger::Reader::open(directory, {.from_sequence = from_sequence});
  if (!reader) return failed(reader.error());
  std::optional<InputPosition> position;
  ledger::RecordView record;
  for (;;) {
    switch (reader->next(record)) {
      case ledger::ReadStatus::kRecord:
        break;
      case ledger::ReadStatus::kEnd:
        return position;
      case ledger::ReadStatus::kCorrupt:
      case ledger::ReadStatus::kIo:
        return failed(reader->error());
    }
    if (record.type != ledger::RecordType::kChunk) continue;
    const auto chunk = decode_chunk(record.text());
    if (!chunk) return tl::unexpected<core::Error>(chunk.error());
    position = InputPosition{chunk->number + 1, chunk->first_sequence + chunk->text.size()};
  }
}

// The log's last records may be notes of recoveries, so the last chunk is sought in steps that
// double: start-up does not depend on the journal's length.
Result<InputPosition> find_end(const std::string& directory, std::uint64_t last_sequence) {
  for (std::uint64_t step = 1; last_sequence > 0; step *= 2) {
    const std::uint64_t from = last_sequence > step ? last_sequence - step + 1 : 1;
    auto position = position_behind(directory, from);
    if (!position) return tl::unexpected<core::Error>(position.error());
    if (*position) return **position;
    if (from == 1) break;
  }
  return InputPosition{};
}

}  // namespace

class JournalWriter::Impl {
 public:
  Impl(std::unique_ptr<ledger::Writer> w, ledger::Producer p, InputPosition e)
      : writer(std::move(w)), producer(std::move(p)), end(e) {}
  std::unique_ptr<ledger::Writer> writer;
  ledger::Producer producer;  // must not outlive writer
  InputPosition end;
};

JournalWriter::JournalWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JournalWriter::~JournalWriter() = default;

Result<std::unique_ptr<JournalWriter>> JournalWriter::open(const JournalConfig& config) {
  ledger::LogConfig log;
  log.directory = config.directory;
  log.integrity = ledger::Integrity::kCrc32c;
  log.sync = config.sync ? ledger::SyncMode::kGroup : ledger::SyncMode::kNone;
  log.hash_sealed = config.hash;
  log.commit_interval = config.commit_interval;
  log.idle_wait_max = config.commit_interval;
  log.segment_bytes = config.segment_bytes;
  log.block_bytes = config.block_bytes;
  log.record_bytes_max = sizeof(ChunkHeader) + config.chunk_bytes_max;
  log.ring_bytes = std::max<std::uint64_t>(log.ring_bytes, 3 * log.record_bytes_max);
  log.producers_max = 1;
  auto writer = ledger::Writer::open(std::move(log));
  if (!writer) return failed(writer.error());
  const std::uint64_t last_sequence = (*writer)->written_sequence();
  const auto end = find_end(config.directory, last_sequence);
  if (!end) return tl::unexpected<core::Error>(end.error());
  auto producer = (*writer)->producer();
  if (!producer) return failed(producer.error());
  return std::unique_ptr<JournalWriter>(
      new JournalWriter(std::make_unique<Impl>(std::move(*writer), std::move(*producer), *end)));
}

InputPosition JournalWriter::end() const {
  return impl_->end;
}

Result<std::uint64_t> JournalWriter::record(const core::Chunk& chunk) {
  const ChunkHeaderBytes header = encode_header(chunk);
  const auto status = impl_->producer.append_or_wait(
      ledger::RecordType::kChunk, header, ledger::as_bytes({chunk.text(), chunk.size_bytes}));
  if (status == ledger::AppendStatus::kOk) {
    impl_->end = {chunk.number + 1, chunk.first_sequence + chunk.size_bytes};
    return impl_->producer.position();
  }
  if (auto health = impl_->writer->health(); !health) return failed(health.error());
  return make_error(
      status == ledger::AppendStatus::kTooLarge ? ErrorCode::kInvalidArgument : ErrorCode::kClosed,
      "journal: chunk " + std::to_string(chunk.number) + " of " + std::to_string(chunk.size_bytes) +
          " bytes: " + std::string(ledger::to_string(status)));
}

bool JournalWriter::is_safe(std::uint64_t mark) const {
  return impl_->producer.is_written(mark);
}

Result<void> JournalWriter::health() const {
  auto health = impl_->writer->health();
  if (health) return {};
  if (health.error().code == ledger::ErrorCode::kNoSpace) {
    // A warning while the current segment still takes records. Only a wait tells whether the writer
    // has failed for good.
    auto waited = impl_->producer.wait_durable(std::chrono::milliseconds(0));
    if (waited || waited.error().code == ledger::ErrorCode::kTimeout) return {};
  }
  return failed(health.error());
}

Result<void> JournalWriter::flush() {
  const auto flushed = impl_->writer->flush();
  if (!flushed) return failed(flushed.error());
  return {};
}

JournalHashing JournalWriter::hashing() const {
  const ledger::Writer& writer = *impl_->writer;
  const auto health = writer.hash_health();
  // Hashed first: it never passes what is written.
  const std::uint64_t hashed = writer.hashed_sequence();
  return {writer.written_sequence(), hashed, health ? std::string() : health.error().message};
}

}  // namespace grace::ingest
