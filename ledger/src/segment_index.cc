#include "segment_index.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "directory.h"
#include "grace/ledger/crc32c.h"
#include "grace/ledger/reader.h"
#include "io_error.h"

namespace grace::ledger {
namespace internal {
namespace {

using Step = SegmentScanner::Step;

constexpr std::uint64_t kEntriesMax = kSegmentBytesMax / kBlockAlignment / kIndexStride + 1;
constexpr std::uint64_t kIndexBytesMax = sizeof(IndexHeader) + kEntriesMax * sizeof(IndexEntry);

std::uint64_t entries_for(std::uint64_t block_count) {
  return block_count / kIndexStride + (block_count % kIndexStride > 0 ? 1 : 0);
}

std::uint32_t crc_of(std::span<const std::byte> file) {
  auto header = load<IndexHeader>(file);
  header.crc = 0;
  const std::uint32_t crc = crc32c(std::as_bytes(std::span<const IndexHeader, 1>(&header, 1)));
  return crc32c_extend(crc, file.subspan(sizeof(header)));
}

// Whether the block at last_offset is the segment's last, and the one that the index speaks of.
bool ends_as_it_says(const IndexHeader& index, SegmentScanner& segment) {
  std::array<std::byte, sizeof(BlockHeader)> head{};
  const auto got = segment.source().read(index.last_offset, head);
  if (!got || *got != head.size()) return false;
  const auto last = load<BlockHeader>(head);
  if (last.magic != kBlockMagic || !is_header_of_log(last, index.log_id)) return false;
  const bool ends = (last.flags & kBlockSeals) != 0 ||
                    segment.fail_over_end() == index.last_offset + last.block_bytes;
  if (!ends || last.wall_time_ns != index.last_time_ns ||
      last.block_number != index.first_block_number + index.block_count - 1 ||
      last.block_bytes < kBlockAlignment || last.block_bytes > kBlockBytesMax) {
    return false;
  }
  std::array<std::byte, sizeof(BlockFooter)> foot{};
  const auto read =
      segment.source().read(index.last_offset + last.block_bytes - sizeof(BlockFooter), foot);
  if (!read || *read != foot.size()) return false;
  const auto footer = load<BlockFooter>(foot);
  return footer.magic == kFooterMagic && footer.footer_crc == footer_crc(footer) &&
         footer.chain == index.last_chain;
}

}  // namespace

Result<SegmentIndex> build_index(SegmentScanner& segment) {
  const auto header = segment.read_header();
  if (!header) return tl::unexpected<Error>(header.error());
  SegmentIndex index;
  index.header.log_id = header->log_id;
  index.header.segment_number = header->segment_number;
  index.header.first_block_number = header->first_block_number;
  index.header.first_sequence = header->first_sequence;
  ChainState chain = segment.chain();
  Step step = Step::kBlock;
  while ((step = segment.skip(chain)) == Step::kBlock) {
    const BlockHeader& block = segment.header();
    if (index.header.block_count % kIndexStride == 0) {
      index.entries.push_back({block.first_sequence, block.wall_time_ns, segment.block_offset()});
    }
    index.header.block_count += 1;
    index.header.last_offset = segment.block_offset();
    index.header.last_time_ns = block.wall_time_ns;
  }
  if (step == Step::kIo) return tl::unexpected<Error>(segment.error());
  if (step == Step::kInvalid) {
    return make_error(ErrorCode::kCorrupt, segment.fault().reason, 0, 0, segment.fault().offset);
  }
  if (!segment.ended()) {
    return make_error(ErrorCode::kCorrupt, "segment has no seal", 0, 0, segment.offset());
  }
  index.header.entry_count = static_cast<std::uint32_t>(index.entries.size());
  index.header.last_chain = chain.root;
  return index;
}

std::vector<std::byte> to_bytes(const SegmentIndex& index) {
  const std::span<const IndexEntry> entries = index.entries;
  std::vector<std::byte> bytes(sizeof(IndexHeader) + entries.size_bytes());
  std::memcpy(bytes.data(), &index.header, sizeof(IndexHeader));
  if (!entries.empty()) {
    std::memcpy(bytes.data() + sizeof(IndexHeader), entries.data(), entries.size_bytes());
  }
  IndexHeader header = index.header;
  header.crc = crc_of(bytes);
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

Result<void> store_index(FileSystem& fs, const std::string& directory, const SegmentIndex& index) {
  const std::string path = index_path(directory, index.header.segment_number);
  const std::string unfinished = path + ".new";
  const int fd = fs.open(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0640);
  if (fd < 0) return make_io_error("create", unfinished, fd);
  const int written = write_all(fs, fd, to_bytes(index), 0);
  (void)fs.close(fd);
  if (written < 0) return make_io_error("write", unfinished, written);
  if (const int renamed = fs.rename(unfinished, path); renamed < 0) {
    return make_io_error("rename", unfinished, renamed);
  }
  return {};
}

std::optional<SegmentIndex> parse_index(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(IndexHeader)) return std::nullopt;
  SegmentIndex index;
  index.header = load<IndexHeader>(bytes);
  const IndexHeader& header = index.header;
  const std::uint64_t entries = (bytes.size() - sizeof(IndexHeader)) / sizeof(IndexEntry);
  if (header.magic != kIndexMagic || header.version != kIndexVersion ||
      header.crc != crc_of(bytes) || header.stride != kIndexStride ||
      header.entry_count != entries || header.entry_count != entries_for(header.block_count) ||
      bytes.size() != sizeof(IndexHeader) + entries * sizeof(IndexEntry) || entries == 0 ||
      entries > kEntriesMax) {
    return std::nullopt;
  }
  index.entries.resize(entries);
  std::memcpy(index.entries.data(), bytes.data() + sizeof(IndexHeader),
              entries * sizeof(IndexEntry));
  if (index.entries.front().offset != kFirstBlockOffset ||
      index.entries.front().first_sequence != header.first_sequence ||
      header.last_offset >= kSegmentBytesMax || header.last_offset % kBlockAlignment != 0) {
    return std::nullopt;
  }
  for (std::size_t at = 1; at < index.entries.size(); ++at) {
    const IndexEntry& before = index.entries[at - 1];
    const IndexEntry& entry = index.entries[at];
    if (entry.offset % kBlockAlignment != 0 || entry.offset <= before.offset ||
        entry.offset > header.last_offset || entry.first_sequence < before.first_sequence) {
      return std::nullopt;
    }
  }
  return index;
}

std::optional<SegmentIndex> load_index(const std::string& directory, std::uint64_t number,
                                       SegmentScanner& segment) {
  const auto file = FileSource::open(index_path(directory, number));
  if (!file) return std::nullopt;
  const auto size = (*file)->size();
  if (!size || *size > kIndexBytesMax) return std::nullopt;
  std::vector<std::byte> bytes(*size);
  const auto got = (*file)->read(0, bytes);
  if (!got || *got != bytes.size()) return std::nullopt;
  auto index = parse_index(bytes);
  const ChainState start = segment.chain();
  if (!index || index->header.segment_number != number || index->header.log_id != start.log_id ||
      index->header.first_sequence != start.next_sequence ||
      index->header.first_block_number != start.next_block_number ||
      !ends_as_it_says(index->header, segment)) {
    return std::nullopt;
  }
  return index;
}

void pass_by_index(SegmentScanner& segment, ChainState& chain, const std::string& directory,
                   std::uint64_t number, const std::function<bool(const IndexEntry&)>& wanted) {
  const auto index = load_index(directory, number, segment);
  if (!index) return;
  const auto end = std::partition_point(index->entries.begin(), index->entries.end(), wanted);
  // The first entry is where the scanner stands.
  if (end - index->entries.begin() < 2) return;
  const IndexEntry& entry = *(end - 1);
  // If the block is not what the index says, there is the long way.
  (void)segment.jump(chain, entry.offset, entry.first_sequence);
}

}  // namespace internal

namespace {

using internal::SegmentScanner;
using Step = SegmentScanner::Step;

Result<std::uint64_t> look_for_time(const std::string& directory, std::int64_t time_ns) {
  const auto numbers = internal::segments_of_log(directory);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  // A segment is made before its blocks are closed: the place is in the last one made before.
  std::size_t low = 0;
  std::size_t high = numbers->size();
  std::unique_ptr<SegmentScanner> segment;
  const auto enter = [&](std::size_t at) -> Result<SegmentHeader> {
    auto opened = SegmentScanner::open(directory, (*numbers)[at], /*check_hashes=*/false);
    if (!opened) return tl::unexpected<Error>(opened.error());
    segment = std::move(*opened);
    auto header = segment->read_header();
    if (header) return header;
    return tl::unexpected<Error>(internal::located(header.error(), directory, (*numbers)[at]));
  };
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    const auto header = enter(middle);
    if (!header) return tl::unexpected<Error>(header.error());
    (header->created_ns < time_ns ? low : high) = middle;
  }
  if (const auto header = enter(low); !header) return tl::unexpected<Error>(header.error());
  const std::uint64_t number = (*numbers)[low];
  internal::ChainState chain = segment->chain();
  internal::pass_by_index(
      *segment, chain, directory, number,
      [&](const internal::IndexEntry& entry) { return entry.wall_time_ns < time_ns; });
  for (;;) {
    const Step step = segment->skip(chain);
    const bool torn = step == Step::kInvalid && !segment->fault().misplaced;
    if (step == Step::kEnd || torn) return chain.next_sequence;
    if (step == Step::kIo) {
      return tl::unexpected<Error>(internal::located(segment->error(), directory, number));
    }
    if (step == Step::kInvalid) {
      return tl::unexpected<Error>(internal::located(
          Error{ErrorCode::kCorrupt, segment->fault().reason, 0, number, segment->fault().offset},
          directory, number));
    }
    if (segment->header().wall_time_ns >= time_ns && segment->header().record_count > 0) {
      return segment->header().first_sequence;
    }
  }
}

}  // namespace

Result<std::uint64_t> find_time(const std::string& directory, std::int64_t time_ns) {
  auto found = look_for_time(directory, time_ns);
  // Beside a writer the oldest segment may go between two looks.
  for (int attempt = 1; attempt < 3 && !found && internal::is_absent(found.error()); ++attempt) {
    found = look_for_time(directory, time_ns);
  }
  return found;
}

}  // namespace grace::ledger
