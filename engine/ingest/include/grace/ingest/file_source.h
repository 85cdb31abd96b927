#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "grace/ingest/source.h"

namespace grace::ingest {

class ChunkFiller;
class Decoder;

struct FileSourceConfig {
  // --- behaviour ---
  // Read one after the other. A missing final newline ends the line: the next file starts its own.
  std::vector<std::string> paths = {};
  bool operator_allowed = true;
};

// Plain, gzip (any number of members) and zstd (any number of frames) files, told apart by their
// first bytes, not their names. Read with pread into the chunk, not mapped: see
// docs/decisions/0001-read-files-with-pread.md.
//
// Bounds: one file open at a time; 256 KiB of compressed input, zstd windows to 128 MiB.
// Bad data: what was decoded before it is handed on, the rest of that file is skipped, the error
// (with the offset in the file) is first_error() and counted; the next file is read.
// A file that another process cuts short simply ends early.
class FileSource final : public Source {
 public:
  // Fails when a path is missing, unreadable or no regular file: said before anything starts.
  [[nodiscard]] static core::Result<std::unique_ptr<FileSource>> open(
      const FileSourceConfig& config);
  ~FileSource() override;
  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  // Files lose nothing by not being read: stops at once.
  void request_stop() override { stopped_ = true; }
  // On-disk bytes of all files, for progress displays.
  [[nodiscard]] std::uint64_t total_bytes() const noexcept { return total_bytes_; }

 private:
  explicit FileSource(const FileSourceConfig& config);
  bool open_next();
  std::size_t decode(char* to, std::size_t size_bytes);

  std::vector<std::string> paths_;
  std::size_t next_path_ = 0;
  std::uint64_t total_bytes_ = 0;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<ChunkFiller> filler_;
  bool stopped_ = false;
};

}  // namespace grace::ingest
