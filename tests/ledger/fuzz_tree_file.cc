// Feeds any bytes to the parser of tree files. Besides not crashing it must keep its word: what
// parses is the file of what it parsed to, byte for byte, and no longer than the bytes given.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "grace/ledger/crc32c.h"
#include "tree_file.h"

namespace {

using namespace grace::ledger;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(std::span<const std::byte> bytes) {
  const auto file = internal::parse_tree_file(bytes);
  if (!file) {
    require(file.error().code == ErrorCode::kCorrupt ||
            file.error().code == ErrorCode::kUnsupported);
    require(file.error().offset <= bytes.size());
    return;
  }
  require(file->records_hashes.size() * sizeof(Hash) <= bytes.size());
  require(file->after.size() == file->before.size() + file->records_hashes.size());
  require(file->last_sequence + 1 >= file->first_sequence);
  const auto again = internal::to_bytes(*file);
  require(again.size() == bytes.size() &&
          std::memcmp(again.data(), bytes.data(), bytes.size()) == 0);
}

// Gives the bytes a header that is right but for its numbers, and the length and the CRC that these
// ask for, so that the checks behind are reached.
void repair(std::vector<std::byte>& bytes) {
  TreeFileHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.magic = kTreeFileMagic;
  header.version = kTreeFileVersion;
  header.file_crc = 0;
  header.log_id[0] |= 1;
  header.reserved = {};
  header.block_count %= 1000;
  const auto hashes =
      static_cast<std::uint64_t>(std::popcount(header.first_block_number)) + header.block_count +
      static_cast<std::uint64_t>(std::popcount(header.first_block_number + header.block_count));
  bytes.resize(sizeof(header) + hashes * sizeof(Hash));
  std::memcpy(bytes.data(), &header, sizeof(header));
  header.file_crc = crc32c(bytes);
  std::memcpy(bytes.data(), &header, sizeof(header));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto given = std::as_bytes(std::span(data, size));
  check(given);
  std::vector<std::byte> bytes(given.begin(), given.end());
  if (bytes.size() < sizeof(TreeFileHeader)) bytes.resize(sizeof(TreeFileHeader));
  repair(bytes);
  check(bytes);
  return 0;
}
