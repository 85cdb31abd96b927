#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "block.h"
#include "grace/ledger/error.h"
#include "segment_source.h"

namespace grace::ledger::internal {

// Walks one segment block by block and checks each. One thread.
class SegmentScanner {
 public:
  enum class Step : std::uint8_t {
    kBlock,    // block() is valid and the chain has moved over it
    kEnd,      // no block begins here (yet)
    kInvalid,  // something begins here that is no valid block: fault() says why
    kIo,       // error()
  };

  SegmentScanner(std::unique_ptr<ByteSource> source, bool check_hashes);
  // Of a log's segment; sees to it where a fail-over has ended it.
  [[nodiscard]] static Result<std::unique_ptr<SegmentScanner>> open(const std::string& directory,
                                                                    std::uint64_t number,
                                                                    bool check_hashes);

  // Reads both copies of the header. kCorrupt if neither is intact, if an intact one is wrong, or
  // if they differ (the latter two are no torn write: header_misplaced()); if just one is intact it
  // is used and header_fault() names the other.
  [[nodiscard]] Result<SegmentHeader> read_header();
  [[nodiscard]] bool header_misplaced() const { return header_misplaced_; }
  // What read_header() found: the chain before the segment's first block.
  [[nodiscard]] ChainState chain() const { return chain_at(start_); }
  [[nodiscard]] const std::optional<Fault>& header_fault() const { return header_fault_; }

  // The block at offset() must continue `chain`, which moves over it if it does.
  [[nodiscard]] Step next(ChainState& chain);
  // The same with headers and footers only: for skipping and counting.
  [[nodiscard]] Step skip(ChainState& chain);
  // Goes on at a later place: with the block at `offset`, if an intact header of this log is there
  // and the segment's blocks can lead to it, and `sequence` is its first. What lies between is not
  // looked at; the block itself is, by what reads it. chain.blocks means nothing after it.
  [[nodiscard]] bool jump(ChainState& chain, std::uint64_t offset, std::uint64_t sequence);
  // Of blocks, so far.
  [[nodiscard]] std::uint64_t headers_read() const { return headers_read_; }

  [[nodiscard]] std::span<const std::byte> block() const { return block_; }
  // Gives the buffer that begins with block() away; reads into another one from now on.
  [[nodiscard]] std::vector<std::byte> take_buffer() { return std::move(buffer_); }
  void give_buffer(std::vector<std::byte> buffer) {
    buffer_ = std::move(buffer);
    if (buffer_.size() < kFirstBlockOffset) buffer_.resize(kFirstBlockOffset);
    block_ = {};
  }
  [[nodiscard]] const BlockHeader& header() const { return header_; }
  [[nodiscard]] std::uint64_t block_offset() const { return block_offset_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }  // where the next block begins
  [[nodiscard]] bool sealed() const { return sealed_; }
  [[nodiscard]] bool begins_by_fail_over() const { return start_.header.previous_end > 0; }
  // Where the header of the next segment says that this one ends without a seal; 0: it does not.
  [[nodiscard]] std::uint64_t fail_over_end() const { return fail_over_end_; }
  // All of the segment has been read: the log goes on in the next.
  [[nodiscard]] bool ended() const {
    return sealed_ || (fail_over_end_ > 0 && offset_ >= fail_over_end_);
  }
  // For a reader of a live log, at a place where no block begins: looks at the next segment again,
  // and whether a fail-over has put another file in the place of this one.
  void look_again();
  [[nodiscard]] bool replaced() const { return replaced_; }
  [[nodiscard]] const Fault& fault() const { return fault_; }  // offset: in the file
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] ByteSource& source() { return *source_; }

 private:
  [[nodiscard]] Step read_block_header(const ChainState& chain);
  [[nodiscard]] Step invalid(Fault fault);
  [[nodiscard]] Step io(Error error);

  std::unique_ptr<ByteSource> source_;
  std::string directory_;  // empty: no log's segment
  std::uint64_t number_ = 0;
  std::uint64_t fail_over_end_ = 0;
  bool replaced_ = false;
  SegmentStart start_;
  std::optional<Sha256> hasher_;
  std::vector<std::byte> buffer_;  // one block: grows to the largest met, at most kBlockBytesMax
  std::span<const std::byte> block_;
  BlockHeader header_;
  std::uint64_t block_offset_ = 0;
  std::uint64_t offset_ = kFirstBlockOffset;
  std::uint64_t headers_read_ = 0;
  bool sealed_ = false;
  std::optional<Fault> header_fault_;
  bool header_misplaced_ = false;
  Fault fault_;
  Error error_;
};

// Whether a segment behind the valid log is one that no writer of it left there: its header, as
// read_header() returned it, is intact, and is wrong or belongs elsewhere.
[[nodiscard]] bool is_stray(const SegmentScanner& segment, const Result<SegmentHeader>& header,
                            std::uint64_t number, const LogId& log_id);

// What lies in a segment from `offset` on, where no valid block begins.
struct TailReport {
  std::uint64_t used_bytes = 0;  // from offset to the last byte that is not zero
  // An intact block header of this log further on promises the expected record: so what is at
  // offset was durable once, and this is corruption and not a torn tail.
  bool promised = false;
};
// With a log_id of zeros (no header says it) a block header's magic has to do for it to be intact.
[[nodiscard]] Result<TailReport> inspect_tail(ByteSource& source, std::uint64_t offset,
                                              const LogId& log_id, std::uint64_t expected_sequence);

}  // namespace grace::ledger::internal
