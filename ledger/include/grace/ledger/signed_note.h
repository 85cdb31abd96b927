#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/error.h"

// Signed notes as in https://c2sp.org/signed-note, with Ed25519 (RFC 8032) by OpenSSL: a text that
// ends in a newline, an empty line, and a line for each signature.
//
//   — <name> <base64 of key id (4 bytes, big-endian) || signature (64 bytes)>
//
//   key id        first 4 bytes of SHA-256(name || 0x0a || 0x01 || public key)
//   verifier key  <name>+<key id, 8 hex digits>+<base64 of 0x01 || public key>
//   signer key    PRIVATE+KEY+<name>+<key id>+<base64 of 0x01 || seed>
//
// Notes and keys are those of the Go package golang.org/x/mod/sumdb/note, so its tools read ours
// and we read theirs. One thing is stricter: Base64 has one spelling, without line breaks and
// without bits that stand for nothing.
//
// A note is valid UTF-8 without control characters below U+0020 but newline. A name is not empty
// and has no Unicode space and no '+'. Everything is safe on arbitrary bytes; memory is bounded by
// the note's size. All calls are pure and may run on any thread; they allocate. They abort where
// OpenSSL offers no Ed25519 or SHA-256.
//
// Errors: kInvalidArgument for a key, name or text given by the caller; kCorrupt for a note that is
// malformed, too large, or has a wrong signature of a known key; kNotFound for a note that no known
// key has signed.
namespace grace::ledger {

inline constexpr std::size_t kNoteBytesMax = 1 << 20;
inline constexpr std::size_t kNoteSignaturesMax = 100;

using Ed25519Key = std::array<std::uint8_t, 32>;  // public
using Ed25519Signature = std::array<std::uint8_t, 64>;

// A public key with the name it signs under.
class NoteVerifier {
 public:
  [[nodiscard]] static Result<NoteVerifier> parse(std::string_view text);
  [[nodiscard]] static Result<NoteVerifier> from_public_key(std::string_view name,
                                                            const Ed25519Key& public_key);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint32_t key_id() const { return key_id_; }
  [[nodiscard]] const Ed25519Key& public_key() const { return public_key_; }
  [[nodiscard]] std::string to_text() const;

  // Whether this is the key's Ed25519 signature of exactly these bytes.
  [[nodiscard]] bool verify(std::string_view bytes, std::span<const std::uint8_t> signature) const;

  friend bool operator==(const NoteVerifier&, const NoteVerifier&) = default;

 private:
  NoteVerifier(std::string_view name, const Ed25519Key& public_key);

  std::string name_;
  std::uint32_t key_id_ = 0;
  Ed25519Key public_key_{};
};

// A private key. OpenSSL keeps the only copy of its bytes and wipes it when the signer goes; what
// to_text() returns, or parse() was given, is for the caller to wipe. No error message holds any of
// it. Move only; a signer that was moved from may only be assigned to or destroyed.
class NoteSigner {
 public:
  // From the system's random numbers; kIo if OpenSSL has none.
  [[nodiscard]] static Result<NoteSigner> generate(std::string_view name);
  [[nodiscard]] static Result<NoteSigner> parse(std::string_view text);
  [[nodiscard]] static Result<NoteSigner> from_seed(std::string_view name,
                                                    std::span<const std::uint8_t, 32> seed);
  ~NoteSigner();
  NoteSigner(NoteSigner&&) noexcept;
  NoteSigner& operator=(NoteSigner&&) noexcept;

  [[nodiscard]] const NoteVerifier& verifier() const { return verifier_; }
  // The secret. OPENSSL_cleanse() the string when it has been stored.
  [[nodiscard]] std::string to_text() const;

  // The bare signature of any bytes.
  [[nodiscard]] Ed25519Signature signature_of(std::string_view bytes) const;
  // The note of a text, which must be what a note may hold, end in a newline, and leave room for
  // the signature.
  [[nodiscard]] Result<std::string> sign(std::string_view text) const;

 private:
  struct Key;
  NoteSigner(std::unique_ptr<Key> key, NoteVerifier verifier);
  static Result<NoteSigner> from_key(std::unique_ptr<Key> key, std::string_view name);

  std::unique_ptr<Key> key_;
  NoteVerifier verifier_;
};

// Adds a signature behind the others, which stay as they are, unless they are by the same key or
// the same line twice. Does not check the others: open the note before you vouch for its text.
[[nodiscard]] Result<std::string> add_signature(std::string_view note, const NoteSigner& signer);

struct NoteSignature {
  std::string name;
  std::uint32_t key_id = 0;

  friend bool operator==(const NoteSignature&, const NoteSignature&) = default;
};

struct OpenedNote {
  std::string text;  // with its last newline
  std::vector<NoteSignature>
      signatures;                    // verified, in the note's order, each key once; never empty
  std::size_t unverified_count = 0;  // by unknown keys; equal lines count once
};

// Checks every signature by a key of `verifiers`: one that is wrong spoils the note. Signatures by
// others are counted and otherwise ignored. Of several lines by one known key the first counts and
// the others are not looked at, as in Go. kInvalidArgument where two of `verifiers` share the name
// and the key id of a signature.
[[nodiscard]] Result<OpenedNote> open_note(std::string_view note,
                                           std::span<const NoteVerifier> verifiers);

}  // namespace grace::ledger
