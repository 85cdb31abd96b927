// A small program around signed notes, for tests that set ours beside other people's tools.
//
//   note_tool generate NAME         prints a signer key and its verifier key, a line each
//   note_tool sign KEY_FILE         reads a text, prints its note; the file begins with a signer
//   key note_tool countersign KEY_FILE  reads a note, prints it with one more signature note_tool
//   checkpoint KEY_FILE   prints the note of a checkpoint of seven leaves note_tool open KEY...
//   reads a note, prints "<name> <key id>" of each verified signature,
//                                   an empty line and the text
//   note_tool open-checkpoint KEY...  the same for a checkpoint's note
//
// Exits 0, or 1 after a line on standard error.
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

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.size() < 2) return fail("usage: note_tool COMMAND ARGUMENT..., see note_tool.cc");
  if (words[0] == "generate") return generate(words[1]);
  if (words[0].starts_with("open")) {
    return open(words[0] == "open-checkpoint", {words.begin() + 1, words.end()});
  }
  return with_signer(words[0], argv[2]);
}
