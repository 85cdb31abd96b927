#include "carried_key_changes.h"

#include <span>
#include <utility>

#include "directory.h"
#include "segment_scanner.h"
#include "whole_file.h"

namespace grace::ledger::internal {
namespace {

using Step = SegmentScanner::Step;

// Whether a change leads on from `before`; of the oldest that is carried nobody knows the epoch.
Result<RecordedKeyChange> open_recorded(std::string_view note, std::uint64_t sequence,
                                        const LogId& log_id, const RecordedKeyChange* before,
                                        bool from_start) {
  auto change = open_key_change(note);
  if (!change) return tl::unexpected<Error>(change.error());
  RecordedKeyChange found{std::move(*change), sequence};
  if (auto holds = check_key_change(found, log_id, before, from_start); !holds) {
    return tl::unexpected<Error>(holds.error());
  }
  return found;
}

}  // namespace

Result<void> carry_key_changes(FileSystem& fs, const std::string& directory,
                               std::uint64_t segment_number) {
  // Its CRCs are checked, and the signatures of what is found.
  auto opened = SegmentScanner::open(directory, segment_number, /*check_hashes=*/false);
  if (!opened) return tl::unexpected<Error>(opened.error());
  SegmentScanner& segment = **opened;
  if (const auto header = segment.read_header(); !header) {
    if (header.error().code == ErrorCode::kIo) return tl::unexpected<Error>(header.error());
    return {};
  }
  ChainState chain = segment.chain();
  auto changes = read_carried_key_changes(directory, chain.log_id, chain.next_sequence)
                     .value_or(std::vector<RecordedKeyChange>{});
  const bool from_start = chain.next_sequence == 1;
  Step step = Step::kBlock;
  while ((step = segment.next(chain)) == Step::kBlock) {
    std::uint64_t at = sizeof(BlockHeader);
    for (std::uint32_t index = 0; index < segment.header().record_count; ++index) {
      const auto record = load<RecordHeader>(segment.block(), at);
      const auto payload = segment.block().subspan(at + sizeof(RecordHeader), record.length);
      at += record_footprint_bytes(record.length);
      if (record.type != RecordType::kKeyChange) continue;
      auto found = open_recorded({reinterpret_cast<const char*>(payload.data()), payload.size()},
                                 record.sequence, chain.log_id,
                                 changes.empty() ? nullptr : &changes.back(), from_start);
      if (!found) continue;  // it led nowhere where it was
      const std::string path = key_change_path(directory, record.sequence);
      auto stored = store_whole(fs, directory, path.substr(path.rfind('/') + 1), payload);
      if (!stored) return stored;
      changes.push_back(std::move(*found));
    }
  }
  if (step == Step::kIo) {
    return tl::unexpected<Error>(located(segment.error(), directory, segment_number));
  }
  return {};
}

Result<std::vector<RecordedKeyChange>> read_carried_key_changes(const std::string& directory,
                                                                const LogId& log_id,
                                                                std::uint64_t first_sequence) {
  const auto sequences = list_key_changes(directory);
  if (!sequences) return tl::unexpected<Error>(sequences.error());
  std::vector<RecordedKeyChange> changes;
  for (const std::uint64_t sequence : *sequences) {
    // The record is there still: a removal was interrupted.
    if (sequence >= first_sequence) break;
    const std::string path = key_change_path(directory, sequence);
    const auto note = load_note(path);
    if (!note) return tl::unexpected<Error>(note.error());
    auto found = open_recorded(note->value_or(std::string()), sequence, log_id,
                               changes.empty() ? nullptr : &changes.back(), /*from_start=*/false);
    if (!found) {
      Error error = found.error();
      error.message = path + ": " + error.message;
      return tl::unexpected<Error>(std::move(error));
    }
    changes.push_back(std::move(*found));
  }
  return changes;
}

}  // namespace grace::ledger::internal
