#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "grace/ledger/redaction.h"

// The bytes of one file of stored values: docs/ledger_format.md, section 19.
//
//   file:   | header, 32 bytes | entry | entry | ... |
//   entry:  | ValueHeader, 112 bytes | path | value | zeros to a multiple of 8 |
namespace grace::ledger::internal {

inline constexpr std::uint64_t kValueFileMagic = 0x3145554c41565247;  // "GRVALUE1"
inline constexpr std::uint64_t kValueFileRollBytes = 4ULL << 20;      // a new one begins then
inline constexpr std::uint64_t kValueBytesMax = 16ULL << 20;
inline constexpr std::uint64_t kPathBytesMax = 1024;
// A file may pass its size by one entry.
inline constexpr std::uint64_t kValueFileBytesMax =
    kValueFileRollBytes + kValueBytesMax + (1ULL << 20);

struct ValueFileHeader {
  std::uint64_t magic = kValueFileMagic;
  std::uint32_t header_crc = 0;  // CRC-32C of these 32 bytes with this field zero
  std::uint32_t version = 1;
  std::uint64_t first_id = 0;  // as in the file's name
  std::uint64_t reserved = 0;
};
static_assert(sizeof(ValueFileHeader) == 32);

struct ValueHeader {
  std::uint32_t crc = 0;  // CRC-32C of the entry with this field zero, path and value included
  std::uint32_t value_bytes = 0;
  std::uint64_t id = 0;  // ascending in a file
  std::int64_t time_ns = 0;
  std::int64_t deleted_ns = 0;
  std::uint32_t path_bytes = 0;
  std::uint32_t reserved = 0;
  Hash commitment{};
  Salt salt{};
  std::uint64_t reserved_more = 0;
};
static_assert(sizeof(ValueHeader) == 112);

void append_value_file_header(std::uint64_t first_id, std::string& out);
void append_value(const StoredValue& value, std::string& out);

struct ValueFile {
  std::uint64_t first_id = 0;
  std::vector<StoredValue> values;
  std::uint64_t damaged_bytes = 0;  // from the first entry that is none to the end
};
// Reads what is sound; nothing where not even the header is. Safe on any bytes: takes no more
// memory than they do, but for what a StoredValue costs.
[[nodiscard]] std::optional<ValueFile> parse_value_file(std::span<const std::byte> bytes);

}  // namespace grace::ledger::internal
