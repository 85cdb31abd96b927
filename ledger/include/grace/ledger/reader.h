#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/format.h"
#include "grace/ledger/key_change.h"

namespace grace::ledger {

// A record in the reader's buffer. The payload is valid until the next call on the reader.
struct RecordView {
  std::uint64_t sequence = 0;
  RecordType type = RecordType::kJson;
  std::span<const std::byte> payload;
  std::int64_t block_time_ns = 0;  // wall clock when its block was closed
  std::uint64_t segment = 0;       // where it is
  std::uint64_t offset = 0;

  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(payload.data()), payload.size()};
  }
};

enum class ReadStatus : std::uint8_t {
  kRecord = 1,
  kEnd = 2,      // nothing more at present: call again to follow a live writer
  kCorrupt = 3,  // error() says where and why; the reader stays there
  // error() holds errno; calling again tries again. With kNotFound instead: retention has removed
  // the segment after this one, and a reader opened anew begins with the oldest that is left.
  kIo = 4,
};

struct ReaderOptions {
  std::uint64_t from_sequence = 1;  // lower than the oldest kept: starts with that one
  // Recompute each block's SHA-256. Without it only CRCs and the chain's links are checked.
  bool check_hashes = true;
  // At the end, look behind it: a block that someone has wiped out is kCorrupt, not kEnd. Costs one
  // read of the rest of the segment; do without to follow a live writer closely.
  bool check_tail = true;
};

// Reads a log in order, beside a live writer or after it, without locks. Whole valid blocks only:
// what a writer has not closed yet does not exist. Uses pread into a buffer of one block (at most
// 64 MiB), so a file cut short by someone else is an error and not a signal; a compressed segment
// takes a few MiB more. Trusts no length in the file. What lies before from_sequence is not checked
// where a segment's index lets it be passed over. One thread at a time.
class Reader {
 public:
  [[nodiscard]] static Result<Reader> open(const std::string& directory,
                                           ReaderOptions options = {});
  ~Reader();
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;

  [[nodiscard]] ReadStatus next(RecordView& record);
  [[nodiscard]] const Error& error() const;
  [[nodiscard]] std::string log_id_hex() const;
  [[nodiscard]] Integrity integrity() const;

 private:
  struct State;
  explicit Reader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// --- verification ---

struct VerifyFault {
  ErrorCode code = ErrorCode::kCorrupt;
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t sequence = 0;  // the record expected there
  std::string reason;          // one line
};

// How far the sealed segments of a log with Integrity::kCrc32c have been hashed. What lies behind,
// the unhashed tail, is checked by CRCs alone. All zeros for other logs.
struct HashProgress {
  std::uint64_t segments = 0;       // up to the newest tree file
  std::uint64_t last_sequence = 0;  // of the last record in them
  std::uint64_t missing_files = 0;  // segments of those without a sound tree file of their own
  std::uint64_t unhashed_records = 0;
  std::uint64_t unhashed_bytes = 0;  // of the blocks and headers they are in
  std::uint64_t unhashed_from = 0;   // first of them; 0: there is none
};

struct VerifyReport {
  // Everything present is sound, and the log ends where a writer ended it or may still be writing.
  bool ok = false;
  std::uint64_t segments = 0;
  std::uint64_t blocks = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;          // of valid blocks and headers
  std::uint64_t payload_bytes = 0;  // of records
  std::uint64_t first_segment = 0;  // above 1: older segments are not there
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::string log_id_hex;
  Integrity integrity = Integrity::kSha256;
  std::string root_hex;        // chain value of the last valid block
  bool sealed = false;         // closed cleanly; otherwise the writer lives, or was killed
  bool writer_active = false;  // someone holds the writer's lock
  // Bytes after the last valid block that are not zero and not known to have been promised. With
  // an active writer they are its open block; without, a torn tail (then ok is false) that the next
  // open() will cut.
  std::uint64_t torn_tail_bytes = 0;
  std::uint64_t torn_tail_segment = 0;
  std::uint64_t torn_tail_offset = 0;
  std::uint64_t fail_overs = 0;  // segments that end without a seal because their file had failed
  HashProgress hashing;
  std::uint64_t fault_count = 0;
  std::optional<VerifyFault> first_fault;
  // That hold, in order. One that does not is a fault.
  std::vector<RecordedKeyChange> key_changes;
};

// Called after each block with bytes done and bytes present; return false to stop early (the report
// then covers what was read, and ok is false).
using VerifyProgress = std::function<bool(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

// Reads everything and checks everything: CRCs, hashes, the chain, numbers, and that padding is
// zero; with kCrc32c each block against its segment's tree file, and those against one another.
// kNotFound if there is no log. Damage is in the report, not in the error.
[[nodiscard]] Result<VerifyReport> verify(const std::string& directory,
                                          const VerifyProgress& progress = {});

// A segment file given as bytes, with whatever chain it claims to continue. For fuzzing and tools.
// `visit` (may be empty) sees each record of each valid block.
[[nodiscard]] VerifyReport verify_segment_bytes(
    std::span<const std::byte> file, const std::function<void(const RecordView&)>& visit = {});

// The sequence of the first record in a block that was closed at or after `time_ns` (since 1970);
// one more than the last where there is none. Where the clock went back, there are several such
// places, and this is one of them. Reads headers only; errors as Reader::open() and where it stops.
[[nodiscard]] Result<std::uint64_t> find_time(const std::string& directory, std::int64_t time_ns);

// --- statistics without reading records ---

struct LogStats {
  std::uint64_t segments = 0;
  std::uint64_t compressed_segments = 0;  // of them
  std::uint64_t file_bytes = 0;           // as they are stored
  std::uint64_t first_segment = 0;
  std::uint64_t last_segment = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;  // of the last segment's blocks, headers and footers only
  std::uint64_t records = 0;
  std::uint64_t blocks = 0;
  std::int64_t last_block_time_ns = 0;
  std::string log_id_hex;
  Integrity integrity = Integrity::kSha256;
  HashProgress hashing;  // up to the newest sound tree file; missing_files is not looked for
  bool writer_active = false;
};

[[nodiscard]] Result<LogStats> log_stats(const std::string& directory);

}  // namespace grace::ledger
