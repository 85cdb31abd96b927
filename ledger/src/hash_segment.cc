#include "hash_segment.h"

#include <fcntl.h>

#include <cerrno>
#include <deque>
#include <utility>

#include "directory.h"
#include "hash_aside.h"
#include "io_error.h"

namespace grace::ledger::internal {
namespace {

using Step = SegmentScanner::Step;

Result<void> sync_segment(const HashJob& job, std::uint64_t number) {
  const std::string path = segment_path(job.directory, number);
  const int fd = job.file_system.open(path, O_RDONLY, 0);
  if (fd < 0) return make_io_error("open", path, fd);
  int synced = job.file_system.sync_file(fd);
  (void)job.file_system.close(fd);
  // Its name too, or that of the tree file might outlive it.
  if (synced >= 0) synced = job.file_system.sync_directory(job.directory);
  if (synced >= 0) return {};
  Error error = io_error("sync", path, synced);
  error.code = ErrorCode::kSyncFailed;
  return tl::unexpected<Error>(std::move(error));
}

// A segment's blocks, whose records are hashed on a thread beside this one while more are read.
class Leaves {
 public:
  // The block that `segment` has just read; its buffer is taken for another one.
  void add(SegmentScanner& segment, std::uint64_t last_sequence) {
    Block& block = blocks_.emplace_back(Block{segment.header(), last_sequence, {}});
    segment.give_buffer(aside_.add(segment.take_buffer(), &block.records_hash));
  }
  // In order, into the tree and, where not null, `blocks`.
  void put_into(TreeFile& file, std::vector<HashedBlock>* blocks) {
    aside_.finish();
    for (const Block& block : blocks_) {
      file.records_hashes.push_back(block.records_hash);
      const Hash leaf = hashed_block_leaf(block.header, block.records_hash);
      file.after.push(leaf);
      if (blocks != nullptr) blocks->push_back({leaf, block.last_sequence});
    }
  }

 private:
  struct Block {
    BlockHeader header;
    std::uint64_t last_sequence;
    Hash records_hash;
  };
  std::deque<Block> blocks_;  // stay where they are
  HashAside aside_;           // last: writes into them
};

}  // namespace

Result<std::optional<TreeFile>> hash_segment(const std::string& directory, std::uint64_t number,
                                             const Frontier& before,
                                             std::vector<HashedBlock>* blocks,
                                             const Stopped& stopped) {
  // A hasher of our own: the blocks of such a log have no hash to be checked.
  auto opened = SegmentScanner::open(directory, number, /*check_hashes=*/false);
  if (!opened) return tl::unexpected<Error>(opened.error());
  SegmentScanner& segment = **opened;
  const auto corrupt = [&](std::uint64_t offset, std::string reason) {
    return tl::unexpected<Error>(
        located({ErrorCode::kCorrupt, std::move(reason), 0, 0, offset}, directory, number));
  };
  const auto header = segment.read_header();
  if (!header) return tl::unexpected<Error>(located(header.error(), directory, number));
  if (header->segment_number != number || header->integrity != Integrity::kCrc32c) {
    return corrupt(32, "this is no segment of this number of a log with integrity crc32c");
  }
  if (header->first_block_number != before.size()) {
    return corrupt(48, "segment does not follow the tree over the blocks before it");
  }
  TreeFile file{header->log_id, number, header->first_sequence, 0, before, {}, before};
  Leaves leaves;
  ChainState chain = segment.chain();
  Step step = Step::kBlock;
  while ((step = segment.next(chain)) == Step::kBlock) {
    leaves.add(segment, chain.next_sequence - 1);
    if (stopped && stopped()) return std::nullopt;
  }
  if (step == Step::kIo) {
    return tl::unexpected<Error>(located(segment.error(), directory, number));
  }
  if (step == Step::kInvalid) return corrupt(segment.fault().offset, segment.fault().reason);
  if (!segment.ended()) return std::nullopt;
  leaves.put_into(file, blocks);
  file.last_sequence = chain.next_sequence - 1;
  return file;
}

Result<std::optional<TreeFile>> hash_sealed_segment(const HashJob& job, std::uint64_t number,
                                                    const Frontier& before) {
  auto file = hash_segment(job.directory, number, before, nullptr, job.stopped);
  if (!file || !*file) return file;
  const auto stored = read_tree_file(job.directory, number);
  if (stored && *stored == **file) return file;
  if (stored) {
    Error error{ErrorCode::kCorrupt, "the segment contradicts its tree file", 0, 0, 0};
    return tl::unexpected<Error>(located(std::move(error), job.directory, number));
  }
  // Only a file whose bytes are damaged, or none, may be replaced.
  const ErrorCode why = stored.error().code;
  if (why != ErrorCode::kNotFound && why != ErrorCode::kCorrupt) {
    return tl::unexpected<Error>(stored.error());
  }
  if (job.sync_first) {
    if (auto synced = sync_segment(job, number); !synced) {
      return tl::unexpected<Error>(synced.error());
    }
  }
  if (auto done = store_tree_file(job.file_system, job.directory, **file); !done) {
    return tl::unexpected<Error>(done.error());
  }
  return file;
}

}  // namespace grace::ledger::internal
