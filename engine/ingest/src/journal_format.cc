#include "journal_format.h"

#include <cstring>
#include <string>

namespace grace::ingest {
namespace {

constexpr std::uint16_t kTrusted = 1;
constexpr std::uint16_t kOperatorAllowed = 2;
constexpr std::uint16_t kBeginsCut = 4;
constexpr std::uint16_t kEndsCut = 8;
constexpr std::uint16_t kLastOfSource = 16;
constexpr std::uint16_t kPacked = 32;
constexpr std::uint16_t kKnownFlags =
    kTrusted | kOperatorAllowed | kBeginsCut | kEndsCut | kLastOfSource | kPacked;

constexpr auto kSourceKindMax = static_cast<std::uint8_t>(core::SourceKind::kShared);

}  // namespace

ChunkHeaderBytes encode_header(const core::Chunk& chunk) noexcept {
  ChunkHeader header;
  header.source_kind = static_cast<std::uint8_t>(chunk.source_kind);
  header.source_index = chunk.source_index;
  header.flags = static_cast<std::uint16_t>(
      (chunk.trusted ? kTrusted : 0) | (chunk.operator_allowed ? kOperatorAllowed : 0) |
      (chunk.begins_cut ? kBeginsCut : 0) | (chunk.ends_cut ? kEndsCut : 0) |
      (chunk.last_of_source ? kLastOfSource : 0) | (chunk.packed ? kPacked : 0));
  header.text_bytes = chunk.size_bytes;
  header.number = chunk.number;
  header.first_sequence = chunk.first_sequence;
  header.arrival_ns = chunk.arrival_ns;
  return std::bit_cast<ChunkHeaderBytes>(header);
}

core::Result<RecordedChunk> decode_chunk(std::string_view record) {
  const auto corrupt = [](std::string reason) {
    return core::make_error(core::ErrorCode::kCorrupt, "journal record: " + std::move(reason));
  };
  ChunkHeader header;
  if (record.size() < sizeof(header)) return corrupt("shorter than its header");
  std::memcpy(&header, record.data(), sizeof(header));
  if (header.version != 1) {
    return core::make_error(core::ErrorCode::kUnsupported,
                            "journal record: version " + std::to_string(header.version));
  }
  if (header.text_bytes != record.size() - sizeof(header)) return corrupt("wrong text length");
  if ((header.flags & ~kKnownFlags) != 0 || header.zero != 0 || header.zero_too != 0 ||
      header.source_kind > kSourceKindMax) {
    return corrupt("unknown flags or source kind");
  }
  RecordedChunk chunk;
  chunk.number = header.number;
  chunk.first_sequence = header.first_sequence;
  chunk.arrival_ns = header.arrival_ns;
  chunk.source_index = header.source_index;
  chunk.source_kind = static_cast<core::SourceKind>(header.source_kind);
  chunk.trusted = (header.flags & kTrusted) != 0;
  chunk.operator_allowed = (header.flags & kOperatorAllowed) != 0;
  chunk.begins_cut = (header.flags & kBeginsCut) != 0;
  chunk.ends_cut = (header.flags & kEndsCut) != 0;
  chunk.last_of_source = (header.flags & kLastOfSource) != 0;
  chunk.packed = (header.flags & kPacked) != 0;
  chunk.text = record.substr(sizeof(header));
  return chunk;
}

}  // namespace grace::ingest
