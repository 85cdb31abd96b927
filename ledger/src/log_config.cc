#include "grace/ledger/log_config.h"

#include <bit>

#include "block_buffer.h"
#include "compressed_segment.h"

namespace grace::ledger {
namespace {

constexpr std::uint64_t kUnsyncedBytesMax = 16ULL << 30;

tl::unexpected<Error> wrong(const char* field, std::uint64_t value, const std::string& rule) {
  return make_error(ErrorCode::kInvalidArgument,
                    std::string(field) + " = " + std::to_string(value) + ": " + rule);
}

// What happens to sealed segments.
Result<void> check_keeping(const LogConfig& config) {
  // The live segment and the newest sealed one stay in any case.
  if (config.retention.max_bytes > 0 && config.retention.max_bytes < 2 * config.segment_bytes) {
    return wrong("retention.max_bytes", config.retention.max_bytes,
                 "0 (off), or at least two segments: " + std::to_string(2 * config.segment_bytes));
  }
  if (config.retention.max_age.count() < 0) {
    return make_error(ErrorCode::kInvalidArgument, "retention.max_age must not be negative");
  }
  if (config.compress_level < 1 || config.compress_level > internal::kCompressLevelMax) {
    return make_error(ErrorCode::kInvalidArgument,
                      "compress_level = " + std::to_string(config.compress_level) + ": from 1 to " +
                          std::to_string(internal::kCompressLevelMax));
  }
  if (config.keep_interval.count() <= 0) {
    return make_error(ErrorCode::kInvalidArgument, "keep_interval must be positive");
  }
  return {};
}

// What needs the one kind of integrity or the other.
Result<void> check_integrity(const LogConfig& config) {
  if (config.record_trees && config.integrity != Integrity::kSha256) {
    return make_error(ErrorCode::kInvalidArgument, "record_trees needs integrity sha256");
  }
  if (config.hash_sealed && config.integrity != Integrity::kCrc32c) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "hash_sealed needs integrity crc32c: with sha256 each block is hashed already");
  }
  if (config.checkpoint.signer != nullptr && config.integrity == Integrity::kCrc32c &&
      !config.hash_sealed) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "checkpoints with integrity crc32c need hash_sealed: else there is no tree to "
        "sign");
  }
  return {};
}

}  // namespace

Result<LogConfig> validated(LogConfig config) {
  if (config.directory.empty()) {
    return make_error(ErrorCode::kInvalidArgument, "directory is empty: name the log's directory");
  }
  if (config.commit_interval.count() < 0 || config.idle_wait_max.count() <= 0) {
    return make_error(ErrorCode::kInvalidArgument,
                      "commit_interval must not be negative, idle_wait_max must be positive");
  }
  if (config.record_bytes_max == 0 || config.record_bytes_max > kBlockBytesMax / 4) {
    return wrong("record_bytes_max", config.record_bytes_max,
                 "from 1 to " + std::to_string(kBlockBytesMax / 4));
  }
  if (config.block_bytes == 0 || config.block_bytes > kBlockBytesMax / 4) {
    return wrong("block_bytes", config.block_bytes,
                 "from 1 to " + std::to_string(kBlockBytesMax / 4));
  }
  // A fresh segment takes the largest record and a seal.
  const std::uint64_t segment_bytes_min =
      kFirstBlockOffset + block_footprint_bytes(record_footprint_bytes(config.record_bytes_max)) +
      kSealBlockBytes;
  if (config.segment_bytes % kBlockAlignment != 0 || config.segment_bytes < segment_bytes_min ||
      config.segment_bytes > kSegmentBytesMax) {
    return wrong("segment_bytes", config.segment_bytes,
                 "a multiple of " + std::to_string(kBlockAlignment) + " from " +
                     std::to_string(segment_bytes_min) +
                     " (record_bytes_max = " + std::to_string(config.record_bytes_max) +
                     " must fit) to " + std::to_string(kSegmentBytesMax));
  }
  // Two of the largest records: one may have to skip what is left before the ring's end.
  const std::uint64_t ring_bytes_min = 2 * (record_footprint_bytes(config.record_bytes_max));
  if (config.ring_bytes < ring_bytes_min || config.ring_bytes > (1ULL << 30)) {
    return wrong("ring_bytes", config.ring_bytes,
                 "from " + std::to_string(ring_bytes_min) + " (twice record_bytes_max) to 2^30");
  }
  config.ring_bytes = std::bit_ceil(config.ring_bytes);
  if (config.producers_max == 0 || config.producers_max > 64) {
    return wrong("producers_max", config.producers_max, "from 1 to 64");
  }
  if (config.segments_ahead == 0 || config.segments_ahead > 16) {
    return wrong("segments_ahead", config.segments_ahead, "from 1 to 16");
  }
  const std::uint64_t unsynced_bytes_min = 2 * internal::block_buffer_bytes(config);
  if (config.unsynced_bytes_max < unsynced_bytes_min ||
      config.unsynced_bytes_max > kUnsyncedBytesMax) {
    return wrong("unsynced_bytes_max", config.unsynced_bytes_max,
                 "from " + std::to_string(unsynced_bytes_min) + " (two blocks of block_bytes) to " +
                     std::to_string(kUnsyncedBytesMax));
  }
  if (auto fits = check_integrity(config); !fits) return tl::unexpected<Error>(fits.error());
  if (config.checkpoint.interval.count() <= 0 || config.hash_close_wait.count() < 0) {
    return make_error(ErrorCode::kInvalidArgument,
                      "checkpoint interval must be positive, hash_close_wait must not be negative");
  }
  if (auto kept = check_keeping(config); !kept) return tl::unexpected<Error>(kept.error());
  if (config.file_system == nullptr) config.file_system = &real_file_system();
  return config;
}

}  // namespace grace::ledger
