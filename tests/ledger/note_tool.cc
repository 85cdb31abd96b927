// A small program around signed notes, for tests that set ours beside other people's tools.
//
//   generate NAME          prints a signer key and its verifier key, a line each
//   sign KEY_FILE          reads a text, prints its note; the file begins with a signer key
//   countersign KEY_FILE   reads a note, prints it with one more signature
//   checkpoint KEY_FILE    prints the note of a checkpoint of seven leaves
//   open KEY...            reads a note, prints "<name> <key id>" of each verified signature, an
//                          empty line and the text
//   open-checkpoint KEY... the same for a checkpoint's note
//   ed25519 hex            reads lines of "<public key> <signature> <message>", all in hex;
//                          prints 1 for each that verifies, else 0
//
// Exits 0, or 1 after a line on standard error.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/checkpoint.h"
#include "grace/ledger/merkle_tree.h"
#include "grace/ledger/signed_note.h"

namespace {

using namespace grace::ledger;

int fail(const std::string& message) {
  std::fprintf(stderr, "note_tool: %s\n", message.c_str());
  return 1;
}

std::string all_of(std::istream& stream) {
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

int print(const Result<std::string>& text) {
  if (!text) return fail(text.error().message);
  std::cout << *text;
  return 0;
}

Result<std::string> checkpoint_of(const NoteSigner& signer) {
  Frontier frontier;
  for (std::uint64_t index = 0; index < 7; ++index) {
    const std::string entry = std::to_string(index);
    frontier.push(merkle_leaf_hash(std::as_bytes(std::span(entry))));
  }
  Checkpoint checkpoint;
  checkpoint.origin = signer.verifier().name();
  checkpoint.tree_size = frontier.size();
  checkpoint.root = frontier.root();
  checkpoint.log_id.fill(0xab);
  checkpoint.sequence = 70;
  checkpoint.time_ns = 1735689600000000000;
  return sign_checkpoint(checkpoint, signer);
}

int with_signer(std::string_view command, const char* key_file) {
  std::ifstream file(key_file);
  std::string key;
  if (!std::getline(file, key)) return fail(std::string("cannot read ") + key_file);
  const auto signer = NoteSigner::parse(key);
  if (!signer) return fail(signer.error().message);
  if (command == "sign") return print(signer->sign(all_of(std::cin)));
  if (command == "countersign") return print(add_signature(all_of(std::cin), *signer));
  if (command == "checkpoint") return print(checkpoint_of(*signer));
  return fail("no such command");
}

int generate(std::string_view name) {
  const auto signer = NoteSigner::generate(name);
  if (!signer) return fail(signer.error().message);
  return print(signer->to_text() + "\n" + signer->verifier().to_text() + "\n");
}

int open(bool as_checkpoint, const std::vector<std::string_view>& keys) {
  std::vector<NoteVerifier> verifiers;
  for (const auto key : keys) {
    auto verifier = NoteVerifier::parse(key);
    if (!verifier) return fail(verifier.error().message);
    verifiers.push_back(std::move(*verifier));
  }
  const std::string note = all_of(std::cin);
  const auto opened = open_note(note, verifiers);
  if (!opened) return fail(opened.error().message);
  if (as_checkpoint) {
    const auto checkpoint = open_checkpoint(note, verifiers);
    if (!checkpoint) return fail(checkpoint.error().message);
  }
  for (const NoteSignature& signature : opened->signatures) {
    std::printf("%s %08x\n", signature.name.c_str(), signature.key_id);
  }
  std::printf("\n%s", opened->text.c_str());
  return 0;
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    bytes += static_cast<char>(std::stoi(std::string(text.substr(at, 2)), nullptr, 16));
  }
  return bytes;
}

int verify_signatures() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto first = line.find(' ');
    const auto second = line.find(' ', first + 1);
    if (second == std::string::npos) return fail("a line takes three words");
    const std::string key_bytes = from_hex(std::string_view(line).substr(0, first));
    const std::string signature =
        from_hex(std::string_view(line).substr(first + 1, second - first - 1));
    Ed25519Key key{};
    if (key_bytes.size() != key.size()) return fail("a public key has 32 bytes");
    std::copy(key_bytes.begin(), key_bytes.end(), key.begin());
    const auto verifier = NoteVerifier::from_public_key("hex", key);
    if (!verifier) return fail(verifier.error().message);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(signature.data());
    const bool holds = verifier->verify(from_hex(std::string_view(line).substr(second + 1)),
                                        {bytes, signature.size()});
    std::puts(holds ? "1" : "0");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.size() < 2) return fail("usage: note_tool COMMAND ARGUMENT..., see note_tool.cc");
  if (words[0] == "ed25519") return verify_signatures();
  if (words[0] == "generate") return generate(words[1]);
  if (words[0].starts_with("open")) {
    return open(words[0] == "open-checkpoint", {words.begin() + 1, words.end()});
  }
  return with_signer(words[0], argv[2]);
}
