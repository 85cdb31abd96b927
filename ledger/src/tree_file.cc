#include "tree_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "directory.h"
#include "grace/ledger/crc32c.h"
#include "segment_scanner.h"
#include "whole_file.h"

namespace grace::ledger::internal {
namespace {

// A segment holds no more blocks than this.
constexpr std::uint64_t kBlocksMax = kSegmentBytesMax / kBlockAlignment;
constexpr std::uint64_t kTreeFileBytesMax =
    sizeof(TreeFileHeader) + (kBlocksMax + 2 * Frontier::kHashesMax) * sizeof(Hash);

tl::unexpected<Error> damaged(std::uint64_t offset, const char* reason) {
  return make_error(ErrorCode::kCorrupt, reason, 0, 0, offset);
}

std::uint64_t hash_count(std::uint64_t first_block, std::uint64_t block_count) {
  return static_cast<std::uint64_t>(std::popcount(first_block)) + block_count +
         static_cast<std::uint64_t>(std::popcount(first_block + block_count));
}

}  // namespace

Hash hashed_block_leaf(BlockHeader header, const Hash& records_hash) {
  header.records_hash = records_hash;
  return block_leaf_hash(header);
}

std::vector<std::byte> to_bytes(const TreeFile& file) {
  TreeFileHeader header;
  header.log_id = file.log_id;
  header.segment_number = file.segment_number;
  header.first_sequence = file.first_sequence;
  header.last_sequence = file.last_sequence;
  header.first_block_number = file.before.size();
  header.block_count = file.records_hashes.size();
  GRACE_LEDGER_ASSERT(file.after.size() == header.first_block_number + header.block_count);
  const std::size_t count =
      file.before.hashes().size() + file.records_hashes.size() + file.after.hashes().size();
  std::vector<std::byte> bytes(sizeof(header) + count * sizeof(Hash));
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::size_t at = sizeof(header);
  const auto add = [&](std::span<const Hash> hashes) {
    if (!hashes.empty()) std::memcpy(bytes.data() + at, hashes.data(), hashes.size_bytes());
    at += hashes.size_bytes();
  };
  add(file.before.hashes());
  add(file.records_hashes);
  add(file.after.hashes());
  header.file_crc = crc32c(bytes);
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

Result<TreeFile> parse_tree_file(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(TreeFileHeader)) return damaged(bytes.size(), "file is cut short");
  auto header = load<TreeFileHeader>(bytes);
  if (header.magic != kTreeFileMagic) return damaged(0, "file has no magic");
  const std::uint32_t stored_crc = std::exchange(header.file_crc, 0);
  const auto unsealed = std::as_bytes(std::span<const TreeFileHeader, 1>(&header, 1));
  if (crc32c_extend(crc32c(unsealed), bytes.subspan(sizeof(header))) != stored_crc) {
    return damaged(8, "file CRC does not match");
  }
  if (header.version != kTreeFileVersion) {
    return make_error(ErrorCode::kUnsupported, "version of the tree file is unknown", 0, 0, 12);
  }
  if (header.log_id == LogId{}) return damaged(16, "the log's id is zero");
  // A sequence and a block number have 2^63 values at most, so that no sum below wraps round.
  constexpr std::uint64_t kNumberMax = ~std::uint64_t{0} >> 1;
  if (header.segment_number == 0 || header.first_sequence == 0 ||
      header.first_sequence > kNumberMax || header.last_sequence > kNumberMax ||
      header.last_sequence + 1 < header.first_sequence || header.first_block_number > kNumberMax ||
      header.block_count > kBlocksMax ||
      (header.segment_number == 1 && header.first_block_number != 0)) {
    return damaged(32, "the file's numbers contradict each other");
  }
  if (header.reserved != decltype(header.reserved){}) {
    return damaged(72, "reserved bytes are not zero");
  }
  const std::uint64_t count = hash_count(header.first_block_number, header.block_count);
  if (bytes.size() != sizeof(header) + count * sizeof(Hash)) {
    return damaged(64, "the file's length is not what its numbers need");
  }
  std::vector<Hash> hashes(count);
  if (count > 0) {
    std::memcpy(hashes.data(), bytes.data() + sizeof(header), count * sizeof(Hash));
  }
  const auto before_count = static_cast<std::size_t>(std::popcount(header.first_block_number));
  const std::span<const Hash> all = hashes;
  const auto blocks = all.subspan(before_count, header.block_count);
  const auto before = Frontier::from(header.first_block_number, all.first(before_count));
  const auto after = Frontier::from(header.first_block_number + header.block_count,
                                    all.subspan(before_count + header.block_count));
  GRACE_LEDGER_ASSERT(before && after);  // the counts are those of the numbers' bits
  return TreeFile{header.log_id,
                  header.segment_number,
                  header.first_sequence,
                  header.last_sequence,
                  *before,
                  {blocks.begin(), blocks.end()},
                  *after};
}

Result<TreeFile> read_tree_file(const std::string& directory, std::uint64_t number) {
  const std::string path = tree_path(directory, number);
  const auto source = FileSource::open(path);
  if (!source && source.error().os_error == ENOENT) {
    return make_error(ErrorCode::kNotFound, "no such file: " + path, ENOENT, number);
  }
  if (!source) return tl::unexpected<Error>(source.error());
  const auto size = (*source)->size();
  if (!size) return tl::unexpected<Error>(size.error());
  std::vector<std::byte> bytes(std::min(*size, kTreeFileBytesMax + 1));
  const auto got = (*source)->read(0, bytes);
  if (!got) return tl::unexpected<Error>(got.error());
  bytes.resize(*got);
  auto file = parse_tree_file(bytes);
  if (file && file->segment_number != number) {
    file = damaged(32, "the file's name and its segment's number differ");
  }
  if (file) return file;
  Error error = file.error();
  error.message = path + " at byte " + std::to_string(error.offset) + ": " + error.message;
  error.segment = number;
  return tl::unexpected<Error>(std::move(error));
}

bool was_hashed(const std::string& directory, std::uint64_t number, const LogId& log_id) {
  const auto file = read_tree_file(directory, number);
  return file && file->log_id == log_id;
}

Result<void> store_tree_file(FileSystem& fs, const std::string& directory, const TreeFile& file) {
  const std::string path = tree_path(directory, file.segment_number);
  return store_whole(fs, directory, path.substr(path.rfind('/') + 1), to_bytes(file));
}

std::uint64_t newest_tree_file(const std::string& directory) {
  const auto numbers = list_tree_files(directory);
  return numbers && !numbers->empty() ? numbers->back() : 0;
}

}  // namespace grace::ledger::internal
