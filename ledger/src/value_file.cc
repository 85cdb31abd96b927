#include "value_file.h"

#include <algorithm>
#include <cstring>

#include "block.h"
#include "grace/ledger/crc32c.h"

namespace grace::ledger::internal {
namespace {

constexpr std::size_t kCrcBytes = sizeof(std::uint32_t);

template <typename T>
std::span<const std::byte> bytes_of(const T& object) {
  return std::as_bytes(std::span(&object, 1));
}

std::uint32_t header_crc(ValueFileHeader header) {
  header.header_crc = 0;
  return crc32c(bytes_of(header));
}

std::uint32_t entry_crc(std::span<const std::byte> entry) {
  constexpr std::array<std::byte, kCrcBytes> kZeros{};
  return crc32c_extend(crc32c(kZeros), entry.subspan(kCrcBytes));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// How much of the bytes the first entry takes; 0 where there is none.
std::size_t parse_entry(std::span<const std::byte> bytes, std::uint64_t id_min, StoredValue& out) {
  if (bytes.size() < sizeof(ValueHeader)) return 0;
  const auto header = load<ValueHeader>(bytes);
  if (header.value_bytes > kValueBytesMax || header.path_bytes > kPathBytesMax) return 0;
  const std::size_t used = sizeof(ValueHeader) + header.path_bytes + header.value_bytes;
  const std::size_t size = round_up(used, kRecordAlignment);
  if (bytes.size() < size || header.id < id_min) return 0;
  if (header.reserved != 0 || header.reserved_more != 0) return 0;
  if (entry_crc(bytes.first(size)) != header.crc) return 0;
  const bool deleted = header.deleted_ns != 0;
  if (deleted && (header.value_bytes != 0 || header.salt != Salt{})) return 0;
  out.id = header.id;
  out.path = text_of(bytes.subspan(sizeof(ValueHeader), header.path_bytes));
  out.time_ns = header.time_ns;
  out.deleted_ns = header.deleted_ns;
  out.commitment = header.commitment;
  out.salt = header.salt;
  out.value = text_of(bytes.subspan(sizeof(ValueHeader) + header.path_bytes, header.value_bytes));
  return size;
}

}  // namespace

void append_value_file_header(std::uint64_t first_id, std::string& out) {
  ValueFileHeader header;
  header.first_id = first_id;
  header.header_crc = header_crc(header);
  out.append(text_of(bytes_of(header)));
}

void append_value(const StoredValue& value, std::string& out) {
  ValueHeader header;
  header.value_bytes = static_cast<std::uint32_t>(value.value.size());
  header.id = value.id;
  header.time_ns = value.time_ns;
  header.deleted_ns = value.deleted_ns;
  header.path_bytes = static_cast<std::uint32_t>(value.path.size());
  header.commitment = value.commitment;
  header.salt = value.salt;
  const std::size_t begin = out.size();
  out.append(text_of(bytes_of(header))).append(value.path).append(value.value);
  out.resize(begin + round_up(out.size() - begin, kRecordAlignment), '\0');
  const std::uint32_t crc = entry_crc(std::as_bytes(std::span(out)).subspan(begin));
  std::memcpy(out.data() + begin, &crc, sizeof(crc));
}

std::optional<ValueFile> parse_value_file(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(ValueFileHeader)) return std::nullopt;
  const auto header = load<ValueFileHeader>(bytes);
  if (header.magic != kValueFileMagic || header.version != 1 || header.first_id == 0 ||
      header.reserved != 0 || header.header_crc != header_crc(header)) {
    return std::nullopt;
  }
  ValueFile file;
  file.first_id = header.first_id;
  std::uint64_t id_min = header.first_id;
  std::size_t at = sizeof(ValueFileHeader);
  while (at < bytes.size()) {
    StoredValue value;
    const std::size_t size = parse_entry(bytes.subspan(at), id_min, value);
    if (size == 0) break;
    at += size;
    id_min = value.id + 1;
    file.values.push_back(std::move(value));
    if (id_min == 0) break;
  }
  file.damaged_bytes = bytes.size() - at;
  return file;
}

}  // namespace grace::ledger::internal
