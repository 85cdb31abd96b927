#include "log_surgery.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "block_writer.h"
#include "directory.h"
#include "io_error.h"
#include "segment_scanner.h"

namespace grace::ledger::internal {

Result<Behind> inspect_behind(const std::string& directory,
                              const std::vector<std::uint64_t>& numbers, std::size_t index,
                              std::uint64_t offset, const ChainState& chain) {
  Behind behind;
  for (std::size_t at = index; at < numbers.size(); ++at) {
    auto segment = SegmentScanner::open(directory, numbers[at], /*check_hashes=*/false);
    if (!segment) return tl::unexpected<Error>(segment.error());
    const std::uint64_t start = at == index ? offset : 0;
    const auto header = (*segment)->read_header();
    const bool whole = at > index || offset == 0;  // its header lies behind, too
    if (whole && is_stray(**segment, header, numbers[at], chain.log_id)) {
      behind.stray = at;
      return behind;
    }
    const auto tail = inspect_tail((*segment)->source(), start, chain.log_id, chain.next_sequence);
    if (!tail) {
      return tl::unexpected<Error>(located(tail.error(), directory, numbers[at]));
    }
    const bool begun = whole && header && header->promised_sequence >= chain.next_sequence;
    behind.promised = begun || tail->promised;
    behind.used_bytes.push_back(tail->used_bytes);
    behind.anything = behind.anything || tail->used_bytes > 0;
    if (behind.promised) return behind;
  }
  return behind;
}

Result<std::uint64_t> save_range(FileSystem& fs, const std::string& path, std::uint64_t offset,
                                 std::uint64_t bytes, const std::string& saved) {
  auto source = FileSource::open(path);
  if (!source) return tl::unexpected<Error>(source.error());
  const int fd = fs.open(saved, O_WRONLY | O_CREAT | O_TRUNC, 0640);
  if (fd < 0) return make_io_error("create", saved, fd);
  std::vector<std::byte> piece(std::min<std::uint64_t>(bytes, 1U << 20));
  std::uint64_t done = 0;
  Result<void> outcome;
  while (outcome && done < bytes) {
    const auto wanted = std::span(piece).first(std::min<std::uint64_t>(piece.size(), bytes - done));
    const auto got = (*source)->read(offset + done, wanted);
    if (!got) outcome = tl::unexpected<Error>(got.error());
    if (!got || *got == 0) break;
    const int written = write_all(fs, fd, wanted.first(*got), done);
    if (written < 0) outcome = make_io_error("write", saved, written);
    done += *got;
  }
  if (outcome) {
    const int synced = fs.sync_file(fd);
    if (synced < 0) outcome = make_io_error("sync", saved, synced);
  }
  (void)fs.close(fd);
  if (!outcome) return tl::unexpected<Error>(outcome.error());
  return done;
}

Result<void> make_quarantine(FileSystem& fs, const std::string& directory) {
  const std::string quarantine = quarantine_directory(directory);
  const int made = fs.make_directory(quarantine);
  if (made < 0 && made != -EEXIST) return make_io_error("make directory", quarantine, made);
  return {};
}

Result<void> sync_names(FileSystem& fs, const std::string& directory) {
  for (const std::string& path : {quarantine_directory(directory), directory}) {
    const int synced = fs.sync_directory(path);
    if (synced < 0) return make_io_error("sync directory", path, synced);
  }
  return {};
}

Result<void> mend_header(FileSystem& fs, const std::string& path, std::uint64_t damaged_at) {
  std::vector<std::byte> intact(kSegmentHeaderBytes);
  auto source = FileSource::open(path);
  if (!source) return tl::unexpected<Error>(source.error());
  const auto got = (*source)->read(kSegmentHeaderBytes - damaged_at, intact);
  if (!got) return tl::unexpected<Error>(got.error());
  const int fd = fs.open(path, O_RDWR, 0);
  if (fd < 0) return make_io_error("open", path, fd);
  const int written = write_all(fs, fd, intact, damaged_at);
  const int synced = written < 0 ? 0 : fs.sync_file(fd);
  (void)fs.close(fd);
  if (written < 0) return make_io_error("mend header of", path, written);
  if (synced < 0) return make_io_error("sync", path, synced);
  return {};
}

Result<void> sync_whole(FileSystem& fs, const std::string& path) {
  const int fd = fs.open(path, O_RDONLY, 0);
  if (fd < 0) return make_io_error("open", path, fd);
  const int synced = fs.sync_file(fd);
  (void)fs.close(fd);
  if (synced < 0) return make_io_error("sync", path, synced);
  return {};
}

Result<void> cut_and_seal(FileSystem& fs, const std::string& path, std::uint64_t offset,
                          ChainState& chain, std::int64_t wall_time_ns) {
  const int fd = fs.open(path, O_RDWR, 0);
  if (fd < 0) return make_io_error("open", path, fd);
  std::array<std::byte, kSealBlockBytes> bytes{};
  int outcome = fs.truncate(fd, offset);
  if (outcome >= 0) outcome = fs.sync_file(fd);
  if (outcome >= 0) {
    chain.promised_sequence = chain.next_sequence - 1;
    write_seal_block(chain, wall_time_ns, bytes);
    outcome = write_all(fs, fd, bytes, offset);
  }
  if (outcome >= 0) outcome = fs.sync_file(fd);
  (void)fs.close(fd);
  if (outcome < 0) return make_io_error("seal", path, outcome);
  return {};
}

}  // namespace grace::ledger::internal
