#include "grace/ledger/signed_note.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "assert.h"
#include "grace/ledger/sha256.h"
#include "text_codec.h"

namespace grace::ledger {
namespace {

using internal::append_base64;
using internal::base64_decoded_size;
using internal::base64_size;
using internal::decode_base64;

constexpr std::string_view kSignaturePrefix = "\xe2\x80\x94 ";  // U+2014 and a space
constexpr std::string_view kPrivatePrefix = "PRIVATE+KEY+";
constexpr std::uint8_t kAlgorithmEd25519 = 1;
constexpr std::size_t kKeyIdBytes = 4;

struct PkeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Pkey = std::unique_ptr<EVP_PKEY, PkeyFree>;

struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, ContextFree>;

// The algorithm's number and a key, as both key texts hold them. Wiped, since it may be a seed.
struct KeyBytes {
  KeyBytes() = default;
  ~KeyBytes() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
  KeyBytes(const KeyBytes&) = delete;
  KeyBytes& operator=(const KeyBytes&) = delete;

  [[nodiscard]] std::span<std::uint8_t, 32> key() { return std::span(bytes).subspan<1>(); }

  std::array<std::uint8_t, 33> bytes{kAlgorithmEd25519};
};

// unicode.IsSpace() of Go.
bool is_space(char32_t point) {
  constexpr std::u32string_view kSpaces =
      U"\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000";
  return kSpaces.find(point) != std::u32string_view::npos || (point >= 0x2000 && point <= 0x200a);
}

bool is_valid_name(std::string_view name) {
  if (name.empty() || !internal::is_note_text(name)) return false;
  while (!name.empty()) {
    const auto point = internal::decode_utf8(name);
    if (is_space(point.value) || point.value == '+') return false;
    name.remove_prefix(point.size_bytes);
  }
  return true;
}

std::uint32_t big_endian(std::span<const std::uint8_t> bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | std::uint32_t{bytes[3]};
}

std::array<std::uint8_t, kKeyIdBytes> big_endian(std::uint32_t number) {
  std::array<std::uint8_t, kKeyIdBytes> bytes{};
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    bytes[index] = static_cast<std::uint8_t>(number >> (24 - 8 * index));
  }
  return bytes;
}

std::uint32_t key_id_of(std::string_view name, const Ed25519Key& public_key) {
  Sha256 hasher;
  hasher.update(name);
  hasher.update("\n\x01");
  hasher.update(std::as_bytes(std::span(public_key)));
  return big_endian(hasher.finish());
}

// Eight digits of either case, as Go takes them.
std::optional<std::uint32_t> parse_hex8(std::string_view text) {
  std::array<std::uint8_t, kKeyIdBytes> bytes{};
  if (text.size() != 2 * bytes.size()) return std::nullopt;
  std::string lower(text);
  for (char& digit : lower) {
    if (digit >= 'A' && digit <= 'F') digit = static_cast<char>(digit - 'A' + 'a');
  }
  if (!internal::decode_hex(lower, bytes)) return std::nullopt;
  return big_endian(bytes);
}

// "<name>+<key id>+<base64>", the common part of both key texts. Messages hold none of the text: it
// may be a secret, or be one that was put in the wrong place.
Result<std::pair<std::string_view, std::uint32_t>> parse_key(std::string_view text,
                                                             KeyBytes& bytes) {
  const auto malformed = [] {
    return make_error(ErrorCode::kInvalidArgument, "malformed note key");
  };
  const std::size_t name_end = text.find('+');
  if (name_end == std::string_view::npos) return malformed();
  const std::string_view name = text.substr(0, name_end);
  text.remove_prefix(name_end + 1);
  const std::size_t id_end = text.find('+');
  if (id_end == std::string_view::npos || !is_valid_name(name)) return malformed();
  const auto key_id = parse_hex8(text.substr(0, id_end));
  if (!key_id || !decode_base64(text.substr(id_end + 1), bytes.bytes)) return malformed();
  if (bytes.bytes[0] != kAlgorithmEd25519) {
    return make_error(ErrorCode::kInvalidArgument, "note key is not of the kind Ed25519");
  }
  return std::pair(name, *key_id);
}

Error wrong_key_id() {
  return {ErrorCode::kInvalidArgument, "note key's id is not that of its name and key"};
}

Error bad_name() {
  return {ErrorCode::kInvalidArgument,
          "a key's name is not empty, valid UTF-8, and without spaces and '+'"};
}

void append_key(std::string_view name, std::uint32_t key_id, const KeyBytes& bytes,
                std::string& out) {
  out += name;
  out += '+';
  out += to_hex(big_endian(key_id));
  out += '+';
  append_base64(bytes.bytes, out);
}

void append_signature(std::string_view text, const NoteSigner& signer, std::string& out) {
  const Ed25519Signature signature = signer.signature_of(text);
  const auto key_id = big_endian(signer.verifier().key_id());
  std::array<std::uint8_t, kKeyIdBytes + signature.size()> bytes{};
  std::copy(key_id.begin(), key_id.end(), bytes.begin());
  std::copy(signature.begin(), signature.end(), bytes.begin() + kKeyIdBytes);
  out += kSignaturePrefix;
  out += signer.verifier().name();
  out += ' ';
  append_base64(bytes, out);
  out += '\n';
}

std::size_t signature_line_size(const NoteSigner& signer) {
  return kSignaturePrefix.size() + signer.verifier().name().size() + 1 +
         base64_size(kKeyIdBytes + sizeof(Ed25519Signature)) + 1;
}

// --- notes taken apart; all views are into the note ---

struct SignatureLine {
  std::string_view line;  // behind the prefix
  std::string_view name;
  std::uint32_t key_id = 0;
  std::vector<std::uint8_t> signature;  // of any algorithm
};

struct ParsedNote {
  std::string_view text;
  std::vector<SignatureLine> signatures;
};

tl::unexpected<Error> malformed_note(const std::string& what) {
  return make_error(ErrorCode::kCorrupt, "malformed note: " + what);
}

std::optional<SignatureLine> parse_signature(std::string_view line) {
  if (!line.starts_with(kSignaturePrefix)) return std::nullopt;
  line.remove_prefix(kSignaturePrefix.size());
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  SignatureLine parsed{.line = line, .name = line.substr(0, space), .key_id = 0, .signature = {}};
  const std::string_view base64 = line.substr(space + 1);
  const auto size = base64_decoded_size(base64);
  if (!size || *size <= kKeyIdBytes || !is_valid_name(parsed.name)) return std::nullopt;
  std::vector<std::uint8_t> bytes(*size);
  if (!decode_base64(base64, bytes)) return std::nullopt;
  parsed.key_id = big_endian(bytes);
  parsed.signature.assign(bytes.begin() + kKeyIdBytes, bytes.end());
  return parsed;
}

Result<ParsedNote> parse_note(std::string_view note) {
  if (note.size() > kNoteBytesMax) {
    return malformed_note("more than " + std::to_string(kNoteBytesMax) + " bytes");
  }
  if (!internal::is_note_text(note)) return malformed_note("control character or no UTF-8");
  const std::size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos) return malformed_note("no empty line before signatures");
  ParsedNote parsed{.text = note.substr(0, split + 1), .signatures = {}};
  internal::LineReader lines(note.substr(split + 2));
  if (lines.at_end()) return malformed_note("no signature");
  while (!lines.at_end()) {
    const auto line = lines.next();
    if (!line) return malformed_note("the last line has no end");
    if (parsed.signatures.size() == kNoteSignaturesMax) {
      return malformed_note("more than " + std::to_string(kNoteSignaturesMax) + " signatures");
    }
    auto signature = parse_signature(*line);
    if (!signature) return malformed_note("a line that is no signature");
    parsed.signatures.push_back(std::move(*signature));
  }
  return parsed;
}

}  // namespace

// --- NoteVerifier ---

NoteVerifier::NoteVerifier(std::string_view name, const Ed25519Key& public_key)
    : name_(name), key_id_(key_id_of(name, public_key)), public_key_(public_key) {}

Result<NoteVerifier> NoteVerifier::from_public_key(std::string_view name,
                                                   const Ed25519Key& public_key) {
  if (!is_valid_name(name)) return tl::unexpected<Error>(bad_name());
  return NoteVerifier(name, public_key);
}

Result<NoteVerifier> NoteVerifier::parse(std::string_view text) {
  KeyBytes bytes;
  const auto key = parse_key(text, bytes);
  if (!key) return tl::unexpected<Error>(key.error());
  Ed25519Key public_key{};
  std::ranges::copy(bytes.key(), public_key.begin());
  NoteVerifier verifier(key->first, public_key);
  if (verifier.key_id() != key->second) return tl::unexpected<Error>(wrong_key_id());
  return verifier;
}

std::string NoteVerifier::to_text() const {
  KeyBytes bytes;
  std::ranges::copy(public_key_, bytes.key().begin());
  std::string text;
  append_key(name_, key_id_, bytes, text);
  return text;
}

bool NoteVerifier::verify(std::string_view bytes, std::span<const std::uint8_t> signature) const {
  if (signature.size() != sizeof(Ed25519Signature)) return false;
  const Pkey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key_.data(),
                                             public_key_.size()));
  const Context context(EVP_MD_CTX_new());
  GRACE_LEDGER_ASSERT(key != nullptr && context != nullptr, "OpenSSL offers no Ed25519");
  const int ready = EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get());
  GRACE_LEDGER_ASSERT(ready == 1, "OpenSSL offers no Ed25519");
  const int verified =
      EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                       reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  // A wrong signature may leave a word in this thread's queue, which is not ours alone.
  if (verified != 1) ERR_clear_error();
  return verified == 1;
}

// --- NoteSigner ---

struct NoteSigner::Key {
  Pkey pkey;
};

NoteSigner::NoteSigner(std::unique_ptr<Key> key, NoteVerifier verifier)
    : key_(std::move(key)), verifier_(std::move(verifier)) {}
NoteSigner::~NoteSigner() = default;
NoteSigner::NoteSigner(NoteSigner&&) noexcept = default;
NoteSigner& NoteSigner::operator=(NoteSigner&&) noexcept = default;

Result<NoteSigner> NoteSigner::from_key(std::unique_ptr<Key> key, std::string_view name) {
  Ed25519Key public_key{};
  std::size_t size = public_key.size();
  const int got = EVP_PKEY_get_raw_public_key(key->pkey.get(), public_key.data(), &size);
  GRACE_LEDGER_ASSERT(got == 1 && size == public_key.size(), "%zu bytes of public key", size);
  auto verifier = NoteVerifier::from_public_key(name, public_key);
  if (!verifier) return tl::unexpected<Error>(verifier.error());
  return NoteSigner(std::move(key), std::move(*verifier));
}

Result<NoteSigner> NoteSigner::generate(std::string_view name) {
  Pkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (key == nullptr) {
    ERR_clear_error();
    return make_error(ErrorCode::kIo, "OpenSSL could not generate an Ed25519 key");
  }
  return from_key(std::make_unique<Key>(Key{std::move(key)}), name);
}

Result<NoteSigner> NoteSigner::from_seed(std::string_view name,
                                         std::span<const std::uint8_t, 32> seed) {
  Pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  GRACE_LEDGER_ASSERT(key != nullptr, "OpenSSL offers no Ed25519");
  return from_key(std::make_unique<Key>(Key{std::move(key)}), name);
}

Result<NoteSigner> NoteSigner::parse(std::string_view text) {
  if (!text.starts_with(kPrivatePrefix)) {
    return make_error(ErrorCode::kInvalidArgument, "a signer key begins with PRIVATE+KEY+");
  }
  KeyBytes bytes;
  const auto key = parse_key(text.substr(kPrivatePrefix.size()), bytes);
  if (!key) return tl::unexpected<Error>(key.error());
  auto signer = from_seed(key->first, bytes.key());
  if (signer && signer->verifier().key_id() != key->second) {
    return tl::unexpected<Error>(wrong_key_id());
  }
  return signer;
}

std::string NoteSigner::to_text() const {
  KeyBytes bytes;
  std::size_t size = bytes.key().size();
  const int got = EVP_PKEY_get_raw_private_key(key_->pkey.get(), bytes.key().data(), &size);
  GRACE_LEDGER_ASSERT(got == 1 && size == bytes.key().size(), "%zu bytes of seed", size);
  std::string text;
  // At once, so that no growth leaves a copy of the secret behind.
  text.reserve(kPrivatePrefix.size() + verifier_.name().size() + 10 +
               base64_size(bytes.bytes.size()));
  text += kPrivatePrefix;
  append_key(verifier_.name(), verifier_.key_id(), bytes, text);
  return text;
}

Ed25519Signature NoteSigner::signature_of(std::string_view bytes) const {
  const Context context(EVP_MD_CTX_new());
  GRACE_LEDGER_ASSERT(context != nullptr, "no memory for a signature");
  const int ready = EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_->pkey.get());
  GRACE_LEDGER_ASSERT(ready == 1, "OpenSSL offers no Ed25519");
  Ed25519Signature signature{};
  std::size_t size = signature.size();
  const int done =
      EVP_DigestSign(context.get(), signature.data(), &size,
                     reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  GRACE_LEDGER_ASSERT(done == 1 && size == signature.size(), "%zu bytes of signature", size);
  return signature;
}

Result<std::string> NoteSigner::sign(std::string_view text) const {
  const auto refuse = [](std::string message) {
    return make_error(ErrorCode::kInvalidArgument, std::move(message));
  };
  if (!text.ends_with('\n')) return refuse("a note's text ends in a newline");
  const std::size_t size = text.size() + 1 + signature_line_size(*this);
  if (size > kNoteBytesMax) {
    return refuse("a note of " + std::to_string(size) + " bytes is above " +
                  std::to_string(kNoteBytesMax));
  }
  if (!internal::is_note_text(text)) {
    return refuse("a note's text is UTF-8 without control characters but newline");
  }
  std::string note;
  note.reserve(size);
  note += text;
  note += '\n';
  append_signature(text, *this, note);
  return note;
}

// --- notes ---

Result<std::string> add_signature(std::string_view note, const NoteSigner& signer) {
  const auto parsed = parse_note(note);
  if (!parsed) return tl::unexpected<Error>(parsed.error());
  const NoteVerifier& own = signer.verifier();
  std::string signed_note(parsed->text);
  signed_note += '\n';
  std::vector<std::string_view> kept;
  for (const SignatureLine& other : parsed->signatures) {
    const bool ours = other.name == own.name() && other.key_id == own.key_id();
    if (ours || std::ranges::find(kept, other.line) != kept.end()) continue;
    kept.push_back(other.line);
    signed_note += kSignaturePrefix;
    signed_note += other.line;
    signed_note += '\n';
  }
  if (kept.size() == kNoteSignaturesMax) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a note takes at most " + std::to_string(kNoteSignaturesMax) + " signatures");
  }
  append_signature(parsed->text, signer, signed_note);
  if (signed_note.size() > kNoteBytesMax) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a note of " + std::to_string(signed_note.size()) + " bytes is above " +
                          std::to_string(kNoteBytesMax));
  }
  return signed_note;
}

Result<OpenedNote> open_note(std::string_view note, std::span<const NoteVerifier> verifiers) {
  const auto parsed = parse_note(note);
  if (!parsed) return tl::unexpected<Error>(parsed.error());
  OpenedNote opened{.text = std::string(parsed->text), .signatures = {}, .unverified_count = 0};
  std::vector<std::string_view> unverified;
  for (const SignatureLine& line : parsed->signatures) {
    const auto is_by = [&](const NoteVerifier& verifier) {
      return verifier.name() == line.name && verifier.key_id() == line.key_id;
    };
    const auto known = std::ranges::find_if(verifiers, is_by);
    if (known == verifiers.end()) {
      if (std::ranges::find(unverified, line.line) == unverified.end()) {
        unverified.push_back(line.line);
      }
      continue;
    }
    const std::string key = std::string(line.name) + "+" + to_hex(big_endian(line.key_id));
    if (std::ranges::count_if(verifiers, is_by) > 1) {
      return make_error(ErrorCode::kInvalidArgument, "ambiguous key " + key);
    }
    NoteSignature signature{.name = std::string(line.name), .key_id = line.key_id};
    if (std::ranges::find(opened.signatures, signature) != opened.signatures.end()) continue;
    if (!known->verify(parsed->text, line.signature)) {
      return make_error(ErrorCode::kCorrupt, "invalid signature for key " + key);
    }
    opened.signatures.push_back(std::move(signature));
  }
  opened.unverified_count = unverified.size();
  if (opened.signatures.empty()) {
    return make_error(ErrorCode::kNotFound, "no known key signed the note, " +
                                                std::to_string(unverified.size()) + " unknown did");
  }
  return opened;
}

}  // namespace grace::ledger
