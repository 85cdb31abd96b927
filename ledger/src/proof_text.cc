#include "grace/ledger/proof_text.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "text_codec.h"

namespace grace::ledger {
namespace {

constexpr std::string_view kFamily = "grace-ledger-proof/";
constexpr std::string_view kFirstLine = "grace-ledger-proof/v1";
constexpr std::string_view kKindRecord = "record";
constexpr std::string_view kKindConsistency = "consistency";
constexpr std::uint64_t kAnyNumber = std::numeric_limits<std::uint64_t>::max();

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

tl::unexpected<Error> refuse(const std::string& what) {
  return make_error(ErrorCode::kInvalidArgument, "proof: " + what);
}

tl::unexpected<Error> malformed(std::string_view line) {
  return make_error(ErrorCode::kCorrupt, "malformed proof: " + std::string(line) + " line");
}

// --- writing ---

class TextWriter {
 public:
  explicit TextWriter(std::string_view kind) {
    text_ += kFirstLine;
    text_ += '\n';
    word("kind", kind);
  }

  void word(std::string_view key, std::string_view value) {
    text_.append(key).append(" ").append(value).append("\n");
  }
  void number(std::string_view key, std::uint64_t value) { word(key, std::to_string(value)); }
  void base64(std::string_view key, std::span<const std::uint8_t> bytes) {
    text_.append(key).append(" ");
    internal::append_base64(bytes, text_);
    text_ += '\n';
  }
  void path(std::string_view key, std::span<const Hash> hashes) {
    number(key, hashes.size());
    for (const Hash& hash : hashes) {
      internal::append_base64(hash, text_);
      text_ += '\n';
    }
  }
  void note(std::string_view note) { text_.append("\n").append(note); }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

bool is_note_sized(std::string_view note) {
  return !note.empty() && note.size() <= kNoteBytesMax;
}

// --- reading: each step fails where the next line is not the one that belongs there ---

class TextReader {
 public:
  explicit TextReader(std::string_view text) : lines_(text) {}

  [[nodiscard]] bool number(std::string_view key, std::uint64_t value_max, std::uint64_t& value) {
    const auto text = lines_.next_value(key);
    const auto parsed = text ? internal::parse_decimal(*text) : std::nullopt;
    if (!parsed || *parsed > value_max) return false;
    value = *parsed;
    return true;
  }
  [[nodiscard]] bool number(std::string_view key, std::uint32_t& value) {
    std::uint64_t wide = 0;
    if (!number(key, std::numeric_limits<std::uint32_t>::max(), wide)) return false;
    value = static_cast<std::uint32_t>(wide);
    return true;
  }
  [[nodiscard]] bool base64(std::string_view key, std::span<std::uint8_t> bytes) {
    const auto text = lines_.next_value(key);
    return text && internal::decode_base64(*text, bytes);
  }
  [[nodiscard]] bool base64(std::string_view key, std::size_t size_max, std::string& bytes) {
    const auto text = lines_.next_value(key);
    const auto size = text ? internal::base64_decoded_size(*text) : std::nullopt;
    if (!size || *size > size_max) return false;
    bytes.resize(*size);
    return internal::decode_base64(*text,
                                   {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  }
  [[nodiscard]] bool path(std::string_view key, std::size_t count_max, std::vector<Hash>& hashes) {
    std::uint64_t count = 0;
    if (!number(key, count_max, count)) return false;
    for (std::uint64_t index = 0; index < count; ++index) {
      const auto line = lines_.next();
      Hash hash{};
      if (!line || !internal::decode_base64(*line, hash)) return false;
      hashes.push_back(hash);
    }
    return true;
  }
  // An empty line and a note of so many bytes.
  [[nodiscard]] bool note(std::uint64_t size_bytes, std::string& note) {
    const std::string_view rest = lines_.rest();
    if (!rest.starts_with('\n') || rest.size() - 1 < size_bytes) return false;
    note = rest.substr(1, static_cast<std::size_t>(size_bytes));
    if (!is_note_sized(note)) return false;
    lines_ = internal::LineReader(rest.substr(1 + note.size()));
    return true;
  }
  // An empty line and a note that fills the rest.
  [[nodiscard]] bool last_note(std::string& text) {
    const std::size_t size = lines_.rest().size();
    return size > 0 && size - 1 <= kNoteBytesMax && note(size - 1, text);
  }
  [[nodiscard]] std::optional<std::string_view> line() { return lines_.next(); }
  [[nodiscard]] std::optional<std::string_view> word(std::string_view key) {
    return lines_.next_value(key);
  }

 private:
  internal::LineReader lines_;
};

Result<ProofKind> read_kind(TextReader& reader) {
  const auto first = reader.line();
  if (!first || !first->starts_with(kFamily)) return malformed("first");
  if (*first != kFirstLine) {
    return make_error(ErrorCode::kUnsupported,
                      "this is not version " + std::string(kFirstLine) + " of a proof");
  }
  const auto kind = reader.word("kind");
  if (kind == kKindRecord) return ProofKind::kRecord;
  if (kind == kKindConsistency) return ProofKind::kConsistency;
  return malformed("kind");
}

Result<ProofKind> read_kind(TextReader& reader, ProofKind wanted) {
  const auto kind = read_kind(reader);
  if (kind && *kind != wanted) return malformed("kind");
  return kind;
}

}  // namespace

Result<ProofKind> proof_kind(std::string_view text) {
  TextReader reader(text);
  return read_kind(reader);
}

Result<std::string> RecordProof::to_text() const {
  if (record_index >= record_count) {
    return refuse("record index " + std::to_string(record_index) + " is not below the count " +
                  std::to_string(record_count));
  }
  if (record_path.size() > kRecordPathHashesMax) return refuse("the record path is too long");
  if (block_path.size() > kBlockPathHashesMax) return refuse("the block path is too long");
  if (record_bytes.size() < sizeof(RecordHeader) || record_bytes.size() > kRecordBytesMax) {
    return refuse("a record of " + std::to_string(record_bytes.size()) + " bytes");
  }
  if (!is_note_sized(checkpoint_note)) return refuse("the checkpoint is empty or too large");
  TextWriter writer(kKindRecord);
  writer.number("sequence", sequence);
  writer.number("block", block_number);
  std::array<std::uint8_t, sizeof(BlockHeader)> header;
  std::memcpy(header.data(), block_header.data(), header.size());
  writer.base64("block-header", header);
  writer.number("record-count", record_count);
  writer.number("record-index", record_index);
  writer.path("record-path", record_path);
  writer.base64("record", bytes_of(record_bytes));
  writer.path("block-path", block_path);
  writer.note(checkpoint_note);
  return writer.take();
}

Result<RecordProof> RecordProof::parse(std::string_view text) {
  TextReader reader(text);
  const auto kind = read_kind(reader, ProofKind::kRecord);
  if (!kind) return tl::unexpected<Error>(kind.error());
  RecordProof proof;
  if (!reader.number("sequence", kAnyNumber, proof.sequence)) return malformed("sequence");
  if (!reader.number("block", kAnyNumber, proof.block_number)) return malformed("block");
  std::array<std::uint8_t, sizeof(BlockHeader)> header{};
  if (!reader.base64("block-header", header)) return malformed("block-header");
  std::memcpy(proof.block_header.data(), header.data(), header.size());
  if (!reader.number("record-count", proof.record_count)) return malformed("record-count");
  if (!reader.number("record-index", proof.record_index) ||
      proof.record_index >= proof.record_count) {
    return malformed("record-index");
  }
  if (!reader.path("record-path", kRecordPathHashesMax, proof.record_path)) {
    return malformed("record-path");
  }
  if (!reader.base64("record", kRecordBytesMax, proof.record_bytes) ||
      proof.record_bytes.size() < sizeof(RecordHeader)) {
    return malformed("record");
  }
  if (!reader.path("block-path", kBlockPathHashesMax, proof.block_path)) {
    return malformed("block-path");
  }
  if (!reader.last_note(proof.checkpoint_note)) return malformed("checkpoint's first");
  return proof;
}

Result<std::string> ConsistencyProofText::to_text() const {
  if (old_size > new_size) {
    return refuse("old size " + std::to_string(old_size) + " is above the new size " +
                  std::to_string(new_size));
  }
  if (path.size() > kConsistencyPathHashesMax) return refuse("the path is too long");
  if (!is_note_sized(old_checkpoint_note) || !is_note_sized(new_checkpoint_note)) {
    return refuse("a checkpoint is empty or too large");
  }
  TextWriter writer(kKindConsistency);
  writer.number("old-size", old_size);
  writer.number("new-size", new_size);
  writer.path("path", path);
  writer.number("old-checkpoint-bytes", old_checkpoint_note.size());
  writer.note(old_checkpoint_note);
  writer.note(new_checkpoint_note);
  return writer.take();
}

Result<ConsistencyProofText> ConsistencyProofText::parse(std::string_view text) {
  TextReader reader(text);
  const auto kind = read_kind(reader, ProofKind::kConsistency);
  if (!kind) return tl::unexpected<Error>(kind.error());
  ConsistencyProofText proof;
  if (!reader.number("old-size", kAnyNumber, proof.old_size)) return malformed("old-size");
  if (!reader.number("new-size", kAnyNumber, proof.new_size) || proof.old_size > proof.new_size) {
    return malformed("new-size");
  }
  if (!reader.path("path", kConsistencyPathHashesMax, proof.path)) return malformed("path");
  std::uint64_t old_bytes = 0;
  if (!reader.number("old-checkpoint-bytes", kNoteBytesMax, old_bytes)) {
    return malformed("old-checkpoint-bytes");
  }
  if (!reader.note(old_bytes, proof.old_checkpoint_note)) {
    return malformed("older checkpoint's first");
  }
  if (!reader.last_note(proof.new_checkpoint_note)) return malformed("newer checkpoint's first");
  return proof;
}

}  // namespace grace::ledger
