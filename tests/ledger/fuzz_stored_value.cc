// Feeds any bytes to what reads stored values and the records with their commitments. Besides not
// crashing each must keep its word: what parses is written back byte for byte, and what is replaced
// is no longer there.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/crc32c.h"
#include "grace/ledger/key_change.h"
#include "grace/ledger/redaction.h"
#include "json.h"
#include "json_fields.h"
#include "value_file.h"

namespace {

using namespace grace::ledger;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_file(std::span<const std::byte> bytes) {
  const auto file = internal::parse_value_file(bytes);
  if (!file) return;
  std::string again;
  internal::append_value_file_header(file->first_id, again);
  std::uint64_t id = 0;
  for (const StoredValue& value : file->values) {
    require(value.id > id || (id == 0 && value.id >= file->first_id));
    require(value.deleted_ns == 0 || (value.value.empty() && value.salt == Salt{}));
    id = value.id;
    internal::append_value(value, again);
  }
  require(again.size() + file->damaged_bytes == bytes.size());
  const auto reparsed = internal::parse_value_file(std::as_bytes(std::span(again)));
  require(reparsed && reparsed->values == file->values && reparsed->damaged_bytes == 0);
}

// Puts the right checksums in, as far as lengths lead, or no mutation would get past them.
std::vector<std::byte> with_checksums(std::span<const std::byte> given) {
  std::vector<std::byte> bytes(given.begin(), given.end());
  if (bytes.size() < sizeof(internal::ValueFileHeader)) return bytes;
  std::string header;
  internal::append_value_file_header(std::to_integer<std::uint64_t>(bytes[16]) + 1, header);
  std::memcpy(bytes.data(), header.data(), header.size());
  std::size_t at = header.size();
  while (bytes.size() - at >= sizeof(internal::ValueHeader)) {
    const auto entry = std::span(bytes).subspan(at);
    internal::ValueHeader value;
    std::memcpy(&value, entry.data(), sizeof(value));
    const std::uint64_t used = sizeof(value) + std::uint64_t{value.path_bytes} + value.value_bytes;
    const std::uint64_t size = round_up(used, kRecordAlignment);
    if (size > entry.size()) break;
    value.crc = 0;
    std::memcpy(entry.data(), &value, sizeof(value));
    const std::uint32_t crc = crc32c(entry.first(size));
    std::memcpy(entry.data(), &crc, sizeof(crc));
    at += size;
  }
  return bytes;
}

void check_record(std::string_view text) {
  std::size_t end = 0;
  for (const Commitment& commitment : commitments_in(text)) {
    require(commitment.offset >= end && commitment.size_bytes > 64);
    end = commitment.offset + commitment.size_bytes;
    require(end <= text.size());
  }
  static_cast<void>(internal::unescaped(text));
  std::string bare;
  internal::append_without_blanks(text, bare);
  require(bare.size() <= text.size());
  if (!internal::is_json_object(text)) return;
  const std::vector<std::string> paths{"a", "b.c", "payload.user"};
  std::string out;
  const auto put = [](std::string_view, std::string_view value, std::string& into) {
    require(!value.empty());
    into += "0";
  };
  const bool replaced = internal::replace_fields(text, paths, put, out);
  require(internal::is_json_object(out));
  require(replaced || out == text);
  std::string twice;
  internal::replace_fields(out, paths, put, twice);
  require(twice == out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_file(std::as_bytes(std::span(data, size)));
  check_file(with_checksums(std::as_bytes(std::span(data, size))));
  check_record(text);
  if (const auto change = open_key_change(text)) require(change->epoch >= 2);
  return 0;
}
