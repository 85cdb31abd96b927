#include "grace/ledger/checkpoint.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "text_codec.h"

namespace grace::ledger {
namespace {

constexpr std::string_view kLogWord = "log";
constexpr std::string_view kSequenceWord = "sequence";
constexpr std::string_view kTimeWord = "time";
constexpr auto kTimeMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

bool is_line(std::string_view text) {
  return !text.empty() && text.find('\n') == std::string_view::npos && internal::is_note_text(text);
}

// Whether the line's first word is one of ours.
bool is_our_extension(std::string_view line) {
  const std::string_view word = line.substr(0, line.find(' '));
  return word == kLogWord || word == kSequenceWord || word == kTimeWord;
}

tl::unexpected<Error> malformed(const char* what) {
  return make_error(ErrorCode::kCorrupt, std::string("malformed checkpoint: ") + what);
}

tl::unexpected<Error> refuse(const char* what) {
  return make_error(ErrorCode::kInvalidArgument, std::string("checkpoint: ") + what);
}

bool parse_log_id(std::string_view text, std::array<std::uint8_t, 16>& log_id) {
  return internal::decode_hex(text, log_id) && log_id != std::array<std::uint8_t, 16>{};
}

// A number that is not zero, since zero is said by leaving the line out.
bool parse_number(std::string_view text, std::uint64_t number_max, std::uint64_t& number) {
  const auto parsed = internal::parse_decimal(text);
  if (!parsed || *parsed == 0 || *parsed > number_max) return false;
  number = *parsed;
  return true;
}

}  // namespace

Result<std::string> Checkpoint::to_text() const {
  if (!is_line(origin)) return refuse("the origin is not one line of text");
  if (time_ns < 0) return refuse("the time is before 1970");
  std::string text = origin;
  text += '\n';
  text += std::to_string(tree_size);
  text += '\n';
  internal::append_base64(root, text);
  text += '\n';
  const auto extend = [&](std::string_view word, std::string_view value) {
    text.append(word).append(" ").append(value).append("\n");
  };
  if (log_id != decltype(log_id){}) extend(kLogWord, to_hex(log_id));
  if (sequence != 0) extend(kSequenceWord, std::to_string(sequence));
  if (time_ns != 0) extend(kTimeWord, std::to_string(time_ns));
  for (const std::string& line : other_lines) {
    if (!is_line(line)) return refuse("an extension is not one line of text");
    if (is_our_extension(line)) return refuse("log, sequence and time have fields of their own");
    text += line;
    text += '\n';
  }
  if (text.size() > kNoteBytesMax) return refuse("more text than a note takes");
  return text;
}

Result<Checkpoint> parse_checkpoint(std::string_view text) {
  if (text.size() > kNoteBytesMax) return malformed("more text than a note takes");
  if (!internal::is_note_text(text)) return malformed("control character or no UTF-8");
  internal::LineReader lines(text);
  Checkpoint checkpoint;
  const auto origin = lines.next();
  if (!origin || origin->empty()) return malformed("no origin");
  checkpoint.origin = *origin;
  const auto size_line = lines.next();
  const auto tree_size = size_line ? internal::parse_decimal(*size_line) : std::nullopt;
  if (!tree_size) return malformed("the second line is no tree size");
  checkpoint.tree_size = *tree_size;
  const auto root = lines.next();
  if (!root || !internal::decode_base64(*root, checkpoint.root)) {
    return malformed("the third line is no root hash");
  }
  if (const auto log_id = lines.next_value(kLogWord)) {
    if (!parse_log_id(*log_id, checkpoint.log_id)) return malformed("log line");
  }
  if (const auto sequence = lines.next_value(kSequenceWord)) {
    if (!parse_number(*sequence, std::numeric_limits<std::uint64_t>::max(), checkpoint.sequence)) {
      return malformed("sequence line");
    }
  }
  if (const auto time = lines.next_value(kTimeWord)) {
    std::uint64_t time_ns = 0;
    if (!parse_number(*time, kTimeMax, time_ns)) return malformed("time line");
    checkpoint.time_ns = static_cast<std::int64_t>(time_ns);
  }
  while (!lines.at_end()) {
    const auto line = lines.next();
    if (!line) return malformed("the last line has no end");
    if (line->empty()) return malformed("an empty line");
    if (is_our_extension(*line)) return malformed("an extension line out of place");
    checkpoint.other_lines.emplace_back(*line);
  }
  return checkpoint;
}

Result<std::string> sign_checkpoint(const Checkpoint& checkpoint, const NoteSigner& signer) {
  if (signer.verifier().name() != checkpoint.origin) {
    return refuse("the signing key's name is not the origin");
  }
  const auto text = checkpoint.to_text();
  if (!text) return tl::unexpected<Error>(text.error());
  return signer.sign(*text);
}

Result<OpenedCheckpoint> open_checkpoint(std::string_view note,
                                         std::span<const NoteVerifier> verifiers) {
  auto opened = open_note(note, verifiers);
  if (!opened) return tl::unexpected<Error>(opened.error());
  auto checkpoint = parse_checkpoint(opened->text);
  if (!checkpoint) return tl::unexpected<Error>(checkpoint.error());
  const auto speaks_for_log = [&](const NoteSignature& signature) {
    return signature.name == checkpoint->origin;
  };
  if (std::ranges::none_of(opened->signatures, speaks_for_log)) {
    return make_error(
        ErrorCode::kNotFound,
        "no known key with the origin's name signed the checkpoint of " + checkpoint->origin);
  }
  return OpenedCheckpoint{.checkpoint = std::move(*checkpoint),
                          .signatures = std::move(opened->signatures),
                          .unverified_count = opened->unverified_count};
}

}  // namespace grace::ledger
