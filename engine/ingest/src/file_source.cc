#include "grace/ingest/file_source.h"

#include <sys/stat.h>

#include <utility>

#include "decoder.h"
#include "lines.h"

namespace grace::ingest {
namespace {

SourceTraits traits_of(const FileSourceConfig& config) {
  SourceTraits traits;
  traits.name = config.paths.size() == 1 ? "file:" + config.paths.front()
                                         : "file:" + config.paths.front() + " and " +
                                               std::to_string(config.paths.size() - 1) + " more";
  traits.kind = core::SourceKind::kFile;
  traits.operator_allowed = config.operator_allowed;
  return traits;
}

}  // namespace

FileSource::FileSource(const FileSourceConfig& config)
    : Source(traits_of(config)), paths_(config.paths), filler_(std::make_unique<ChunkFiller>()) {}

FileSource::~FileSource() = default;

core::Result<std::unique_ptr<FileSource>> FileSource::open(const FileSourceConfig& config) {
  if (config.paths.empty()) {
    return core::make_error(core::ErrorCode::kInvalidArgument, "paths: no file given");
  }
  std::unique_ptr<FileSource> source(new FileSource(config));
  for (const std::string& path : config.paths) {
    // Opened again when its turn comes: a thousand files must not need a thousand descriptors.
    const auto decoder = open_decoder(path);
    if (!decoder) return tl::unexpected<core::Error>(decoder.error());
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) {
      source->total_bytes_ += static_cast<std::uint64_t>(info.st_size);
    }
  }
  return source;
}

bool FileSource::open_next() {
  while (next_path_ < paths_.size()) {
    auto decoder = open_decoder(paths_[next_path_++]);
    if (decoder) {
      decoder_ = std::move(*decoder);
      return true;
    }
    report(std::move(decoder.error()));
  }
  return false;
}

std::size_t FileSource::decode(char* to, std::size_t size_bytes) {
  auto count = decoder_->read(to, size_bytes);
  if (count) return *count;
  report(std::move(count.error()));
  return 0;  // what came before stays; the rest of this file is skipped
}

ReadStatus FileSource::read(core::Chunk& chunk, const ReadLimits& limits) {
  if (stopped_) return ReadStatus::kEnded;
  if (!decoder_ && !open_next()) return ReadStatus::kEnded;
  const ReadStatus status = filler_->fill(
      chunk, limits, [this](char* to, std::size_t size_bytes) { return decode(to, size_bytes); });
  if (status != ReadStatus::kEnded) return status;
  decoder_.reset();
  if (next_path_ == paths_.size()) return ReadStatus::kEnded;
  // The next file begins its own line, so an unfinished one must be the last of its chunk.
  return chunk.last_of_source ? ReadStatus::kFull : ReadStatus::kMore;
}

}  // namespace grace::ingest
