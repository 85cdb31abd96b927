#include "grace/ledger/key_change.h"

#include <limits>
#include <utility>

#include "carried_key_changes.h"
#include "grace/ledger/log_proofs.h"
#include "grace/ledger/reader.h"
#include "key_trust.h"
#include "text_codec.h"

namespace grace::ledger {
namespace {

constexpr std::string_view kTitle = "grace ledger key change/v1";

tl::unexpected<Error> malformed(const std::string& what) {
  return make_error(ErrorCode::kCorrupt, "key change: " + what);
}
tl::unexpected<Error> refuse(const std::string& what) {
  return make_error(ErrorCode::kInvalidArgument, "key change: " + what);
}

std::string to_text(const KeyChange& change) {
  std::string text(kTitle);
  text += "\nlog " + to_hex(change.log_id);
  text += "\nepoch " + std::to_string(change.epoch);
  text += "\nold " + change.old_key.to_text();
  text += "\nnew " + change.new_key.to_text();
  text += "\nblocks " + std::to_string(change.tree_size) + "\nroot ";
  internal::append_base64(change.root, text);
  text += "\nsequence " + std::to_string(change.last_sequence);
  text += "\ntime " + std::to_string(change.time_ns) + "\n";
  return text;
}

std::optional<NoteVerifier> parse_key(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  auto key = NoteVerifier::parse(*text);
  if (!key) return std::nullopt;
  return std::move(*key);
}

// The text as the format has it; no signature has been looked at.
Result<KeyChange> parse_text(std::string_view text) {
  internal::LineReader lines(text);
  const auto title = lines.next();
  if (!title || *title != kTitle) return malformed("the first line is another");
  const auto log_id = lines.next_value("log");
  const auto epoch = lines.next_value("epoch");
  auto old_key = parse_key(lines.next_value("old"));
  auto new_key = parse_key(lines.next_value("new"));
  const auto blocks = lines.next_value("blocks");
  const auto root = lines.next_value("root");
  const auto sequence = lines.next_value("sequence");
  const auto time = lines.next_value("time");
  if (!log_id || !epoch || !blocks || !root || !sequence || !time || !lines.at_end()) {
    return malformed("a line is missing, out of place or too many");
  }
  if (!old_key || !new_key) return malformed("a key is none");
  KeyChange change{.old_key = std::move(*old_key), .new_key = std::move(*new_key)};
  const auto epoch_number = internal::parse_decimal(*epoch);
  const auto size = internal::parse_decimal(*blocks);
  const auto last = internal::parse_decimal(*sequence);
  const auto time_ns = internal::parse_decimal(*time);
  constexpr std::uint64_t kTimeMax = std::numeric_limits<std::int64_t>::max();
  if (!epoch_number || *epoch_number < 2 || !size || !last || !time_ns || *time_ns > kTimeMax) {
    return malformed("a number is none");
  }
  if (!internal::decode_hex(*log_id, change.log_id) ||
      !internal::decode_base64(*root, change.root)) {
    return malformed("the log's id or the root is none");
  }
  change.epoch = *epoch_number;
  change.tree_size = *size;
  change.last_sequence = *last;
  change.time_ns = static_cast<std::int64_t>(*time_ns);
  return change;
}

Error in_record(Error error, std::uint64_t sequence) {
  error.message = "record " + std::to_string(sequence) + ": " + error.message;
  return error;
}

}  // namespace

Result<std::string> sign_key_change(const KeyChange& change, const NoteSigner& old_signer,
                                    const NoteSigner& new_signer) {
  if (old_signer.verifier() != change.old_key || new_signer.verifier() != change.new_key) {
    return refuse("its two keys have to sign it");
  }
  if (change.old_key == change.new_key) return refuse("the new key is the old one");
  if (change.old_key.name() != change.new_key.name()) {
    return refuse("the new key's name is '" + change.new_key.name() + "', the log's is '" +
                  change.old_key.name() + "'");
  }
  auto note = old_signer.sign(to_text(change));
  if (!note) return note;
  return add_signature(*note, new_signer);
}

Result<KeyChange> open_key_change(std::string_view note) {
  const std::size_t end = note.rfind("\n\n");
  if (end == std::string_view::npos) return malformed("no signed note");
  auto change = parse_text(note.substr(0, end + 1));
  if (!change) return change;
  if (change->old_key == change->new_key || change->old_key.name() != change->new_key.name()) {
    return malformed("the two keys are one, or have different names");
  }
  const std::array<NoteVerifier, 2> keys{change->old_key, change->new_key};
  const auto opened = open_note(note, keys);
  if (!opened) return malformed(opened.error().message);
  if (opened->signatures.size() != keys.size()) return malformed("not signed by both its keys");
  return change;
}

Result<void> check_key_change(const RecordedKeyChange& found,
                              const std::array<std::uint8_t, 16>& log_id,
                              const RecordedKeyChange* before, bool from_start) {
  const KeyChange& change = found.change;
  if (change.log_id != log_id) return malformed("it is another log's");
  if (change.last_sequence + 1 != found.sequence) return malformed("it was made for another place");
  if (before != nullptr && change.old_key != before->change.new_key) {
    return malformed("signed by " + internal::short_name(change.old_key) +
                     ", while the log's key was " + internal::short_name(before->change.new_key));
  }
  const std::uint64_t expected = before != nullptr ? before->change.epoch + 1 : 2;
  if ((before != nullptr || from_start) && change.epoch != expected) {
    return malformed("epoch " + std::to_string(change.epoch) + " where " +
                     std::to_string(expected) + " follows");
  }
  return {};
}

Result<std::vector<RecordedKeyChange>> read_key_changes(const std::string& directory,
                                                        std::uint64_t from_sequence) {
  ReaderOptions options;
  options.from_sequence = from_sequence;
  options.check_hashes = false;
  options.check_tail = false;
  auto reader = Reader::open(directory, options);
  if (!reader) return tl::unexpected<Error>(reader.error());
  std::array<std::uint8_t, 16> log_id{};
  (void)internal::decode_hex(reader->log_id_hex(), log_id);
  std::vector<RecordedKeyChange> changes;
  std::uint64_t first_seen = 0;
  RecordView record;
  ReadStatus status{};
  while ((status = reader->next(record)) == ReadStatus::kRecord) {
    if (first_seen == 0) {
      first_seen = record.sequence;
      // Of records before the log's first: else there are none from `from_sequence` on.
      auto carried = internal::read_carried_key_changes(directory, log_id, first_seen);
      if (!carried) return tl::unexpected<Error>(carried.error());
      changes = std::move(*carried);
      std::erase_if(changes, [&](const RecordedKeyChange& change) {
        return change.sequence < from_sequence;
      });
    }
    if (record.type != RecordType::kKeyChange) continue;
    auto change = open_key_change(record.text());
    if (!change) return tl::unexpected<Error>(in_record(change.error(), record.sequence));
    RecordedKeyChange found{std::move(*change), record.sequence};
    auto checked = check_key_change(found, log_id, changes.empty() ? nullptr : &changes.back(),
                                    first_seen == 1);
    if (checked) {
      Checkpoint then;
      then.tree_size = found.change.tree_size;
      then.root = found.change.root;
      then.sequence = found.change.last_sequence;
      checked = check_log(directory, then);
      if (!checked && checked.error().code == ErrorCode::kNotFound) checked = {};
    }
    if (!checked) return tl::unexpected<Error>(in_record(checked.error(), found.sequence));
    changes.push_back(std::move(found));
  }
  if (status != ReadStatus::kEnd) return tl::unexpected<Error>(reader->error());
  return changes;
}

}  // namespace grace::ledger
