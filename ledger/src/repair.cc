#include "grace/ledger/repair.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>

#include "block_writer.h"
#include "directory.h"
#include "grace/ledger/writer.h"
#include "io_error.h"
#include "json.h"
#include "log_surgery.h"
#include "repair_intent.h"
#include "repair_survey.h"
#include "segment_scanner.h"
#include "text_codec.h"
#include "whole_file.h"

namespace grace::ledger {
namespace {

using internal::ChainState;
using internal::JsonText;
using internal::RepairIntent;
using internal::SegmentScanner;
using internal::Survey;

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string place_text(const RepairPlace& place) {
  return std::to_string(place.segment) + ":" + std::to_string(place.offset);
}

// From an offset to the last byte that is not zero.
Result<std::uint64_t> used_bytes_of(const std::string& path, std::uint64_t offset) {
  auto source = internal::FileSource::open(path);
  if (!source) return tl::unexpected<Error>(source.error());
  const auto tail = internal::inspect_tail(**source, offset, {}, 0);
  if (!tail) return tl::unexpected<Error>(tail.error());
  return tail->used_bytes;
}

class Repair {
 public:
  Repair(const std::string& directory, const RepairOptions& options)
      : directory_(directory),
        options_(options),
        fs_(options.file_system != nullptr ? *options.file_system : real_file_system()) {}

  Result<RepairReport> run();

 private:
  Result<RepairIntent> begin();
  Result<void> export_behind(const std::string& name, Survey& survey);
  void list_effects(const Survey& survey, RepairIntent& intent);
  [[nodiscard]] std::string record_of(const Survey& survey, const RepairIntent& intent,
                                      const std::string& exported) const;
  // A name below quarantine/ that is not taken.
  [[nodiscard]] std::string free_name(const std::string& wanted, const std::string& ending);
  Result<void> store_intent(const RepairIntent& intent);
  Result<void> save(const RepairIntent& intent);
  Result<void> move(const RepairIntent::Move& move);
  Result<void> end_log(const RepairIntent& intent);
  Result<ChainState> chain_before(const RepairIntent& intent);
  Result<void> write_record(int fd, const std::string& path, std::uint64_t offset,
                            const RepairIntent& intent, ChainState& chain);
  Result<void> begin_segment(const RepairIntent& intent, ChainState& chain);
  [[nodiscard]] std::string path_of(std::uint64_t segment) const {
    return internal::segment_path(directory_, segment);
  }
  [[nodiscard]] std::string quarantined(const std::string& name) const {
    return internal::quarantine_directory(directory_) + "/" + name;
  }
  [[nodiscard]] std::int64_t now_ns() const {
    if (options_.wall_clock_ns != nullptr) return options_.wall_clock_ns();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  const std::string& directory_;
  const RepairOptions& options_;
  FileSystem& fs_;
  std::set<std::string> names_;  // given by free_name()
};

Result<RepairReport> Repair::run() {
  auto intent = RepairIntent::read(directory_);
  if (!intent) return tl::unexpected<Error>(intent.error());
  if (!*intent) {
    auto begun = begin();
    if (!begun) return tl::unexpected<Error>(begun.error());
    intent->emplace(std::move(*begun));
  }
  RepairIntent& work = **intent;
  if (!work.saved) {
    if (auto saved = save(work); !saved) return tl::unexpected<Error>(saved.error());
    work.saved = true;
    if (auto noted = store_intent(work); !noted) return tl::unexpected<Error>(noted.error());
  }
  if (auto ended = end_log(work); !ended) return tl::unexpected<Error>(ended.error());
  const std::string path = internal::repair_intent_path(directory_);
  if (const int removed = fs_.remove(path); removed < 0) {
    return internal::make_io_error("remove", path, removed);
  }
  if (auto synced = internal::sync_names(fs_, directory_); !synced) {
    return tl::unexpected<Error>(synced.error());
  }
  RepairReport report;
  report.record_sequence = work.sequence;
  for (const auto& trim : work.trims) report.quarantine.push_back(trim.name);
  if (work.tail) report.quarantine.push_back(work.tail->name);
  for (const auto& moved : work.moves) report.quarantine.push_back(moved.name);
  return report;
}

// Looks, refuses what must be refused, and notes down what is to be done. Up to the note nothing
// of the log has changed.
Result<RepairIntent> Repair::begin() {
  auto survey = internal::survey_log(directory_, {});
  if (!survey) return tl::unexpected<Error>(survey.error());
  const RepairPlan& plan = survey->plan;
  if (plan.is_sound()) return make_error(ErrorCode::kInvalidArgument, "nothing is damaged");
  if (plan.place() != options_.expected) {
    return make_error(ErrorCode::kInvalidArgument, "the damage is at " + place_text(plan.place()) +
                                                       ", not at " + place_text(options_.expected) +
                                                       ": look at the plan again");
  }
  if (survey->kept == 0) {
    return make_error(ErrorCode::kUnsupported,
                      "nothing would be left of the log: its oldest segment does not begin it. "
                      "Move that file away; a log may begin with a later segment");
  }
  if (plan.checkpoint >= HeldCheckpoint::kWouldBreak && !options_.break_checkpoint) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the log's checkpoint would no longer hold (" + plan.checkpoint_says +
                          "): what it promises to others would be broken");
  }
  if (auto made = internal::make_quarantine(fs_, directory_); !made) {
    return tl::unexpected<Error>(made.error());
  }
  std::string exported;
  if (options_.export_records && plan.cut && plan.cut->readable_records > 0) {
    exported = free_name("readable-" + std::to_string(plan.cut->place.segment) + "-" +
                             std::to_string(plan.cut->place.offset),
                         ".jsonl");
    if (auto done = export_behind(exported, *survey); !done) {
      return tl::unexpected<Error>(done.error());
    }
  }
  RepairIntent intent;
  list_effects(*survey, intent);
  intent.record = record_of(*survey, intent, exported);
  if (auto noted = store_intent(intent); !noted) return tl::unexpected<Error>(noted.error());
  return intent;
}

// One line a record: where it is, what it says.
std::string exported_line(const RecordView& record) {
  std::string line;
  JsonText json(line);
  json.begin_object().field("seq", record.sequence);
  json.field("type", static_cast<std::uint64_t>(record.type)).field("segment", record.segment);
  json.field("offset", record.offset).field("block_time_ns", record.block_time_ns);
  if (internal::is_json_object(record.text())) {
    json.key("record").raw(record.text());
  } else if (internal::is_note_text(record.text())) {
    json.field("text", record.text());
  } else {
    std::string base64;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(record.payload.data());
    internal::append_base64({bytes, record.payload.size()}, base64);
    json.field("base64", base64);
  }
  json.end_object();
  // Inside JSON a newline is only layout; a line has none.
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line + '\n';
}

Result<void> Repair::export_behind(const std::string& name, Survey& survey) {
  const std::string path = quarantined(name);
  const int fd = fs_.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
  if (fd < 0) return internal::make_io_error("create", path, fd);
  std::uint64_t at = 0;
  int outcome = 0;
  const auto again = internal::survey_log(directory_, [&](const RecordView& record) {
    if (outcome < 0) return;
    const std::string line = exported_line(record);
    outcome = internal::write_all(fs_, fd, as_bytes(line), at);
    at += line.size();
  });
  if (outcome >= 0) outcome = fs_.sync_file(fd);
  (void)fs_.close(fd);
  if (!again) return tl::unexpected<Error>(again.error());
  if (outcome < 0) return internal::make_io_error("write", path, outcome);
  survey = *again;
  return {};
}

std::string Repair::free_name(const std::string& wanted, const std::string& ending) {
  std::string name = wanted + ending;
  for (int n = 2; internal::file_exists(quarantined(name)) || names_.contains(name); ++n) {
    name = wanted + "." + std::to_string(n) + ending;
  }
  names_.insert(name);
  return name;
}

void Repair::list_effects(const Survey& survey, RepairIntent& intent) {
  const RepairPlan& plan = survey.plan;
  const auto copy_name = [&](std::uint64_t segment, std::uint64_t offset) {
    return free_name(file_name(path_of(segment)) + "-" + std::to_string(offset), ".torn");
  };
  const std::uint64_t last = survey.numbers[survey.kept - 1];
  intent.end_segment = survey.sealed ? last + 1 : last;
  intent.end_offset = survey.sealed ? 0 : survey.end_offset;
  intent.sequence = survey.chain.next_sequence;
  intent.wall_time_ns = std::max<std::int64_t>(now_ns(), 0);
  for (const RepairFault& header : plan.headers) {
    intent.mends.push_back({header.place.segment, header.place.offset, ""});
  }
  for (const RepairFault& fault : plan.after_seals) {
    const auto& [segment, offset] = fault.place;
    intent.trims.push_back({segment, offset, copy_name(segment, offset)});
  }
  if (survey.tail_bytes > 0) {
    intent.tail = {last, survey.end_offset, copy_name(last, survey.end_offset)};
  }
  // From the last on, so that a crash in between leaves no gap.
  for (auto from = plan.moved.rbegin(); from != plan.moved.rend(); ++from) {
    intent.moves.push_back({*from, free_name(*from + "-0", ".torn")});
  }
  if (plan.checkpoint >= HeldCheckpoint::kWouldBreak) {
    intent.moves.push_back(
        {file_name(internal::checkpoint_path(directory_)), free_name("checkpoint", ".broken")});
  }
}

std::string Repair::record_of(const Survey& survey, const RepairIntent& intent,
                              const std::string& exported) const {
  const RepairPlan& plan = survey.plan;
  const RepairPlace place = plan.place();
  std::string reason = "the checkpoint does not hold: " + plan.checkpoint_says;
  if (!plan.after_seals.empty()) reason = plan.after_seals.front().reason;
  if (!plan.headers.empty()) reason = plan.headers.front().reason;
  if (plan.cut) reason = plan.cut->reason;
  std::string text;
  JsonText json(text);
  json.begin_object().field("ts", intent.wall_time_ns);
  json.field("actor", "operator").field("action", "repair");
  json.field("resource", "segment " + std::to_string(place.segment));
  json.field("subsystem", "ledger").field("result", plan.cut ? "cut" : "mended");
  json.key("payload").begin_object();
  json.field("segment", place.segment).field("offset", place.offset).field("reason", reason);
  if (plan.cut) {
    json.field("cut_segment", plan.cut->place.segment).field("cut_offset", plan.cut->place.offset);
    json.field("lost_first_sequence", plan.cut->first_sequence);
    json.field("lost_last_sequence", plan.cut->last_sequence);
    json.field("lost_records", plan.cut->lost_records());
    json.field("promised_sequence", plan.cut->promised_sequence);
    json.field("readable_records", plan.cut->readable_records);
  }
  json.key("mended_headers").begin_array();
  for (const auto& mend : intent.mends) json.value(place_text({mend.segment, mend.offset}));
  json.end_array().key("quarantine").begin_array();
  for (const auto& trim : intent.trims) json.value(trim.name);
  if (intent.tail) json.value(intent.tail->name);
  for (const auto& moved : intent.moves) json.value(moved.name);
  if (!exported.empty()) json.value(exported);
  json.end_array().end_object().end_object();
  return text;
}

Result<void> Repair::store_intent(const RepairIntent& intent) {
  const std::string text = intent.to_text();
  const auto stored =
      internal::store_whole(fs_, internal::quarantine_directory(directory_),
                            file_name(internal::repair_intent_path(directory_)), as_bytes(text));
  if (!stored) return stored;
  return internal::sync_names(fs_, directory_);  // quarantine/ may be new
}

// Phase save: nothing is destroyed, and each step may be done again.
Result<void> Repair::save(const RepairIntent& intent) {
  for (const auto& mend : intent.mends) {
    auto done = internal::mend_header(fs_, path_of(mend.segment), mend.offset);
    if (!done) return done;
  }
  for (const auto& trim : intent.trims) {
    const std::string path = path_of(trim.segment);
    const auto used = used_bytes_of(path, trim.offset);
    if (!used) return tl::unexpected<Error>(used.error());
    if (*used == 0) continue;  // done before the crash, with its copy
    const auto kept = internal::save_range(fs_, path, trim.offset, *used, quarantined(trim.name));
    if (!kept) return tl::unexpected<Error>(kept.error());
    if (auto synced = internal::sync_names(fs_, directory_); !synced) return synced;
    const int fd = fs_.open(path, O_RDWR, 0);
    if (fd < 0) return internal::make_io_error("open", path, fd);
    int outcome = fs_.truncate(fd, trim.offset);
    if (outcome >= 0) outcome = fs_.sync_file(fd);
    (void)fs_.close(fd);
    if (outcome < 0) return internal::make_io_error("cut", path, outcome);
  }
  if (intent.tail) {
    const std::string path = path_of(intent.tail->segment);
    const auto used = used_bytes_of(path, intent.tail->offset);
    if (!used) return tl::unexpected<Error>(used.error());
    const auto kept =
        internal::save_range(fs_, path, intent.tail->offset, *used, quarantined(intent.tail->name));
    if (!kept) return tl::unexpected<Error>(kept.error());
  }
  for (const auto& moved : intent.moves) {
    if (auto done = move(moved); !done) return done;
  }
  return internal::sync_names(fs_, directory_);
}

Result<void> Repair::move(const RepairIntent::Move& move) {
  const std::string from = directory_ + "/" + move.from;
  const std::string to = quarantined(move.name);
  if (!internal::file_exists(from) && internal::file_exists(to))
    return {};  // moved before the crash
  if (const int moved = fs_.rename(from, to); moved < 0) {
    return internal::make_io_error("move to quarantine", from, moved);
  }
  return internal::sync_names(fs_, directory_);
}

// Phase cut: the log ends with the record and a seal. Done again, it writes the same bytes.
Result<void> Repair::end_log(const RepairIntent& intent) {
  const auto numbers = internal::segments_of_log(directory_);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  // The seal will promise all that is kept.
  for (const std::uint64_t number : *numbers) {
    const std::string path = internal::stored_path(directory_, number);
    if (auto synced = internal::sync_whole(fs_, path); !synced) return synced;
  }
  const bool fresh = intent.end_offset == 0;
  if (fresh && internal::file_exists(path_of(intent.end_segment))) {
    return internal::sync_names(fs_, directory_);  // it got its name when it was complete
  }
  auto chain = chain_before(intent);
  if (!chain) return tl::unexpected<Error>(chain.error());
  if (chain->next_sequence != intent.sequence) {
    return make_error(ErrorCode::kCorrupt, "the log has changed since its repair was begun");
  }
  if (fresh) return begin_segment(intent, *chain);
  const std::string path = path_of(intent.end_segment);
  const int fd = fs_.open(path, O_RDWR, 0);
  if (fd < 0) return internal::make_io_error("open", path, fd);
  Result<void> written;
  if (const int cut = fs_.truncate(fd, intent.end_offset); cut < 0) {
    written = internal::make_io_error("cut", path, cut);
  }
  if (written) written = write_record(fd, path, intent.end_offset, intent, *chain);
  (void)fs_.close(fd);
  if (!written) return written;
  const std::uint64_t end =
      intent.end_offset + block_footprint_bytes(record_footprint_bytes(intent.record.size()));
  return internal::cut_and_seal(fs_, path, end, *chain, intent.wall_time_ns);
}

// The state before the record: behind the blocks of its segment, or of the one before.
Result<ChainState> Repair::chain_before(const RepairIntent& intent) {
  const bool fresh = intent.end_offset == 0;
  const std::uint64_t number = intent.end_segment - (fresh ? 1 : 0);
  auto segment = SegmentScanner::open(directory_, number, /*check_hashes=*/true);
  if (!segment) return tl::unexpected<Error>(segment.error());
  const auto header = (*segment)->read_header();
  if (!header) return tl::unexpected<Error>(internal::located(header.error(), directory_, number));
  ChainState chain = (*segment)->chain();
  while (fresh || (*segment)->offset() < intent.end_offset) {
    const auto step = (*segment)->next(chain);
    if (step == SegmentScanner::Step::kIo) return tl::unexpected<Error>((*segment)->error());
    if (step != SegmentScanner::Step::kBlock) break;
  }
  return chain;
}

Result<void> Repair::write_record(int fd, const std::string& path, std::uint64_t offset,
                                  const RepairIntent& intent, ChainState& chain) {
  RecordHeader header;
  header.length = static_cast<std::uint32_t>(intent.record.size());
  header.sequence = chain.next_sequence;
  header.type = RecordType::kRecovery;
  const bool sha = chain.integrity == Integrity::kSha256;
  internal::OpenBlock open;
  open.flags = sha ? kBlockRecordTree : 0;
  open.record_count = 1;
  open.records_bytes = record_footprint_bytes(header.length);
  open.promised_sequence = chain.next_sequence - 1;
  std::vector<std::byte> block(block_footprint_bytes(open.records_bytes));
  const auto records = std::span(block).subspan(sizeof(BlockHeader), open.records_bytes);
  std::memcpy(records.data(), &header, sizeof(header));
  std::memcpy(records.data() + sizeof(header), intent.record.data(), intent.record.size());
  internal::seal_records(records, open.crc_of_crcs);
  Sha256 hasher;
  const Hash hash = sha ? internal::records_hash(open.flags, records, hasher) : Hash{};
  internal::close_block(chain, open, hash, intent.wall_time_ns, block);
  int outcome = internal::write_all(fs_, fd, block, offset);
  if (outcome >= 0) outcome = fs_.sync_file(fd);
  if (outcome < 0) return internal::make_io_error("write", path, outcome);
  return {};
}

// Complete before it has its name.
Result<void> Repair::begin_segment(const RepairIntent& intent, ChainState& chain) {
  internal::SegmentStart start{{}, chain.blocks};
  start.header.log_id = chain.log_id;
  start.header.segment_number = intent.end_segment;
  start.header.first_sequence = chain.next_sequence;
  start.header.first_block_number = chain.next_block_number;
  start.header.integrity = chain.integrity;
  start.header.previous_root = chain.root;
  start.header.created_ns = intent.wall_time_ns;
  start.header.promised_sequence = chain.next_sequence - 1;
  const bool compressed = !internal::list_ending(directory_, ".segment.zst").empty();
  if (compressed) start.header.features = kFeatureCompressed;
  std::array<std::byte, kSegmentHeaderBytes> copy{};
  internal::write_segment_header(start, copy);
  const std::string path = internal::prepared_path(directory_, intent.end_segment);
  const int fd = fs_.open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
  if (fd < 0) return internal::make_io_error("create", path, fd);
  int outcome = internal::write_all(fs_, fd, copy, 0);
  if (outcome >= 0) outcome = internal::write_all(fs_, fd, copy, kSegmentHeaderBytes);
  Result<void> written;
  if (outcome < 0) written = internal::make_io_error("write", path, outcome);
  if (written) written = write_record(fd, path, kFirstBlockOffset, intent, chain);
  (void)fs_.close(fd);
  if (!written) return written;
  const std::uint64_t end =
      kFirstBlockOffset + block_footprint_bytes(record_footprint_bytes(intent.record.size()));
  auto sealed = internal::cut_and_seal(fs_, path, end, chain, intent.wall_time_ns);
  if (!sealed) return sealed;
  const std::string named = path_of(intent.end_segment);
  if (const int renamed = fs_.rename(path, named); renamed < 0) {
    return internal::make_io_error("rename", path, renamed);
  }
  return internal::sync_names(fs_, directory_);
}

}  // namespace

RepairPlace RepairPlan::place() const {
  std::optional<RepairPlace> first;
  const auto consider = [&first](const RepairPlace& place) {
    const bool earlier = !first || place.segment < first->segment ||
                         (place.segment == first->segment && place.offset < first->offset);
    if (earlier) first = place;
  };
  if (cut) consider(cut->place);
  if (!headers.empty()) consider(headers.front().place);
  if (!after_seals.empty()) consider(after_seals.front().place);
  return first.value_or(end);
}

Result<RepairPlan> plan_repair(const std::string& directory) {
  if (internal::is_locked(directory)) {
    return make_error(ErrorCode::kLocked, directory + " is in use by a writer: stop it first");
  }
  auto survey = internal::survey_log(directory, {});
  if (!survey) return tl::unexpected<Error>(survey.error());
  survey->plan.unfinished = internal::file_exists(internal::repair_intent_path(directory));
  return std::move(survey->plan);
}

Result<RepairReport> repair(const std::string& directory, const RepairOptions& options) {
  // Before the lock, which would make a directory's file where there is no log.
  if (auto there = internal::segments_of_log(directory); !there) {
    return tl::unexpected<Error>(there.error());
  }
  const auto lock = internal::DirectoryLock::acquire(directory);
  if (!lock) return tl::unexpected<Error>(lock.error());
  return Repair(directory, options).run();
}

}  // namespace grace::ledger
