// Feeds any bytes to everything that reads text from strangers: notes, keys, checkpoints, proofs.
// Besides not crashing each must keep its word: what parses is the text of what it parsed to, and a
// text that may be signed comes back from its note.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/checkpoint.h"
#include "grace/ledger/proof_text.h"
#include "grace/ledger/signed_note.h"

namespace {

using namespace grace::ledger;

void require(bool condition) {
  if (!condition) std::abort();
}

const NoteSigner& signer() {
  static const NoteSigner instance = [] {
    const std::array<std::uint8_t, 32> seed{1, 2, 3};
    return std::move(*NoteSigner::from_seed("log.example", seed));
  }();
  return instance;
}

const std::vector<NoteVerifier>& verifiers() {
  static const std::vector<NoteVerifier> instance = {
      signer().verifier(),
      *NoteVerifier::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
  };
  return instance;
}

void check_note(std::string_view text) {
  const auto opened = open_note(text, verifiers());
  const auto countersigned = add_signature(text, signer());
  if (opened) {
    require(!opened->signatures.empty());
    require(text.starts_with(opened->text) && opened->text.ends_with('\n'));
    require(opened->signatures.size() + opened->unverified_count <= kNoteSignaturesMax);
  }
  if (!countersigned) return;
  const auto again = open_note(*countersigned, std::span(verifiers()).first(1));
  require(again && again->signatures.size() == 1 && text.starts_with(again->text));
  // Whoever countersigns twice says nothing new.
  require(add_signature(*countersigned, signer()) == *countersigned);
}

void check_signing(std::string_view text) {
  const auto note = signer().sign(text);
  if (!note) return;
  const auto opened = open_note(*note, verifiers());
  require(opened && opened->text == text && opened->unverified_count == 0);
}

void check_keys(std::string_view text) {
  if (const auto verifier = NoteVerifier::parse(text)) {
    require(NoteVerifier::parse(verifier->to_text()).value() == *verifier);
    require(verifier->to_text().size() == text.size());
  }
  if (const auto parsed = NoteSigner::parse(text)) {
    require(NoteSigner::parse(parsed->to_text())->verifier() == parsed->verifier());
  }
  if (const auto named = NoteSigner::from_seed(text, std::array<std::uint8_t, 32>{})) {
    require(NoteSigner::parse(named->to_text())->verifier() == named->verifier());
  }
}

void check_checkpoint(std::string_view text) {
  const auto checkpoint = parse_checkpoint(text);
  if (!checkpoint) return;
  require(checkpoint->to_text().value() == text);
  (void)sign_checkpoint(*checkpoint, signer());
}

template <typename Proof>
void check_proof(std::string_view text) {
  const auto proof = Proof::parse(text);
  if (proof) require(proof->to_text().value() == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_note(text);
  check_signing(text);
  check_keys(text);
  check_checkpoint(text);
  (void)open_checkpoint(text, verifiers());
  (void)proof_kind(text);
  check_proof<RecordProof>(text);
  check_proof<ConsistencyProofText>(text);
  return 0;
}
