#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "grace/core/chunk.h"
#include "grace/core/error.h"
#include "grace/ingest/journal.h"

namespace grace::ingest {

// What stands before the text in a journal record (little-endian):
//
//   0        1             2               4              6      8            12
//   | version | source_kind | source_index  | flags        | zero | text_bytes |
//   16             24               32             40
//   | number       | first_sequence | arrival_ns   | text ...
//
// Version 1. A reader refuses versions and flags that it does not know.
struct ChunkHeader {
  std::uint8_t version = 1;
  std::uint8_t source_kind = 0;
  std::uint16_t source_index = 0;
  std::uint16_t flags = 0;
  std::uint16_t zero = 0;
  std::uint32_t text_bytes = 0;
  std::uint32_t zero_too = 0;
  std::uint64_t number = 0;
  std::uint64_t first_sequence = 0;
  std::int64_t arrival_ns = 0;
};
static_assert(sizeof(ChunkHeader) == 40);
static_assert(std::endian::native == std::endian::little, "the header is stored as it is");

using ChunkHeaderBytes = std::array<std::byte, sizeof(ChunkHeader)>;

[[nodiscard]] ChunkHeaderBytes encode_header(const core::Chunk& chunk) noexcept;
// The view's text points into `record`.
[[nodiscard]] core::Result<RecordedChunk> decode_chunk(std::string_view record);

}  // namespace grace::ingest
