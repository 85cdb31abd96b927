#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "command.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "grace/ledger/log_proofs.h"
#include "ledger_proofs.h"
#include "paths.h"

namespace grace::tools {
namespace {

struct ProofArguments {
  std::string directory;
  std::uint64_t sequence = 0;
  std::string file;  // a checkpoint, a proof, or where a key goes
  std::string older;
  std::string out;
  std::string name;
  std::vector<std::string> keys;
  bool json = false;
};
using ArgumentsPtr = std::shared_ptr<ProofArguments>;

int fail(const ledger::Error& error) {
  std::cerr << "grace ledger: " << error.message << '\n';
  const bool usage =
      error.code == ledger::ErrorCode::kInvalidArgument || error.code == ledger::ErrorCode::kIo;
  return usage ? kExitUsage : kExitNegative;
}

ledger::Result<std::string> checkpoint_text(const ProofArguments& arguments) {
  return read_small_file(arguments.file.empty() ? arguments.directory + "/checkpoint"
                                                : arguments.file);
}

// To a file, or to standard output.
int put(const std::string& path, const std::string& text) {
  if (path.empty()) {
    std::cout << text;
    return kExitOk;
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return kExitOk;
  std::cerr << "grace ledger: cannot write " << path << '\n';
  return kExitUsage;
}

int prove(const ProofArguments& arguments) {
  if (arguments.sequence == 0 && arguments.older.empty()) {
    std::cerr << "grace ledger prove: name a record, counted from 1, or an older checkpoint with "
                 "--since\n";
    return kExitUsage;
  }
  const auto keys = parse_verifier_keys(arguments.keys);
  if (!keys) return fail(keys.error());
  const auto note = checkpoint_text(arguments);
  if (!note) return fail(note.error());
  if (!arguments.older.empty()) {
    const auto older = read_small_file(arguments.older);
    if (!older) return fail(older.error());
    const auto proof = ledger::prove_consistency(arguments.directory, *older, *note, *keys);
    if (!proof) return fail(proof.error());
    const auto text = proof->to_text();
    return text ? put(arguments.out, *text) : fail(text.error());
  }
  const auto proof = ledger::prove_record(arguments.directory, arguments.sequence, *note, *keys);
  if (!proof) return fail(proof.error());
  const auto text = proof->to_text();
  return text ? put(arguments.out, *text) : fail(text.error());
}

int print_record(const ledger::ProvenRecord& proven, bool json) {
  if (json) {
    std::string out;
    core::JsonWriter(out)
        .begin_object()
        .field("ok", true)
        .field("kind", "record")
        .field("sequence", proven.header.sequence)
        .field("origin", proven.checkpoint.origin)
        .field("log_id", ledger::to_hex(proven.checkpoint.log_id))
        .field("tree_size", proven.checkpoint.tree_size)
        .field("checkpoint_time", core::format_rfc3339(proven.checkpoint.time_ns))
        .field("record", proven.payload)
        .end_object();
    std::cout << out << '\n';
    return kExitOk;
  }
  std::cout << "ok: record " << proven.header.sequence << " is in the log of "
            << proven.checkpoint.origin << " as of "
            << core::format_rfc3339(proven.checkpoint.time_ns) << " ("
            << proven.checkpoint.tree_size << " blocks)\n"
            << proven.payload << '\n';
  return kExitOk;
}

int check_proof(const ProofArguments& arguments) {
  const auto keys = parse_verifier_keys(arguments.keys);
  if (!keys) return fail(keys.error());
  const auto text = read_small_file(arguments.file);
  if (!text) return fail(text.error());
  const auto kind = ledger::proof_kind(*text);
  if (!kind) return fail(kind.error());
  if (*kind == ledger::ProofKind::kRecord) {
    const auto proof = ledger::RecordProof::parse(*text);
    if (!proof) return fail(proof.error());
    const auto proven = ledger::check_record_proof(*proof, *keys);
    return proven ? print_record(*proven, arguments.json) : fail(proven.error());
  }
  const auto proof = ledger::ConsistencyProofText::parse(*text);
  if (!proof) return fail(proof.error());
  if (auto checked = ledger::check_consistency_proof(*proof, *keys); !checked) {
    return fail(checked.error());
  }
  std::cout << (arguments.json ? "{\"ok\":true,\"kind\":\"consistency\"}"
                               : "ok: the later log begins with the earlier one")
            << '\n';
  return kExitOk;
}

int checkpoint(const ProofArguments& arguments) {
  const auto note = checkpoint_text(arguments);
  if (!note) return fail(note.error());
  if (arguments.keys.empty()) {
    std::cout << *note;
    return kExitOk;
  }
  const auto keys = parse_verifier_keys(arguments.keys);
  if (!keys) return fail(keys.error());
  const auto opened = ledger::open_checkpoint(*note, *keys);
  if (!opened) return fail(opened.error());
  std::cout << *note;
  return kExitOk;
}

// The secret goes into a file that only its owner reads; what others need is printed.
int keygen(const ProofArguments& arguments) {
  const auto signer = ledger::NoteSigner::generate(arguments.name);
  if (!signer) return fail(signer.error());
  const int fd = ::open(arguments.file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    std::cerr << "grace ledger: cannot make " << arguments.file << ": " << std::strerror(errno)
              << '\n';
    return kExitUsage;
  }
  const std::string secret = signer->to_text() + "\n";
  const bool written =
      ::write(fd, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) &&
      ::fsync(fd) == 0;
  ::close(fd);
  if (!written) {
    std::cerr << "grace ledger: cannot write " << arguments.file << '\n';
    return kExitUsage;
  }
  std::cout << signer->verifier().to_text() << '\n';
  return kExitOk;
}

Command* add_verb(Command& ledger, const std::string& name, const std::string& help,
                  const std::string& example, const ArgumentsPtr& arguments,
                  int (*run)(const ProofArguments&), int& exit_code) {
  Command* verb = ledger.add_subcommand(name, help);
  verb->footer("Example: grace ledger " + example);
  verb->callback([arguments, run, &exit_code] { exit_code = run(*arguments); });
  return verb;
}

Option* add_keys(Command* verb, const ArgumentsPtr& arguments) {
  return verb->add_option("--key", arguments->keys,
                          "Verifier key (as keygen prints it), or a file that holds one");
}

}  // namespace

ledger::Result<std::string> read_small_file(const std::string& path) {
  auto text = read_file(path, 128 << 20);
  if (text) return std::move(*text);
  const bool io = text.error().code == core::ErrorCode::kIo;
  return ledger::make_error(io ? ledger::ErrorCode::kIo : ledger::ErrorCode::kInvalidArgument,
                            text.error().message);
}

ledger::Result<std::vector<ledger::NoteVerifier>> parse_verifier_keys(
    const std::vector<std::string>& texts) {
  std::vector<ledger::NoteVerifier> keys;
  for (const std::string& given : texts) {
    std::string text = given;
    if (struct stat info{}; ::stat(given.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      auto read = read_small_file(given);
      if (!read) return tl::unexpected<ledger::Error>(read.error());
      text = read->substr(0, read->find('\n'));
    }
    auto key = ledger::NoteVerifier::parse(text);
    if (!key) return tl::unexpected<ledger::Error>(key.error());
    keys.push_back(std::move(*key));
  }
  return keys;
}

ledger::Result<std::vector<ledger::DistrustedKey>> parse_distrusted_keys(
    const std::vector<std::string>& texts) {
  constexpr std::size_t kIdDigits = 8;
  std::vector<ledger::DistrustedKey> keys;
  for (const std::string& text : texts) {
    ledger::DistrustedKey key;
    const std::size_t at = std::min(text.find('@'), text.size());
    const char* const id_end = text.data() + at;
    const auto id = std::from_chars(text.data(), id_end, key.key_id, 16);
    bool is_right = at == kIdDigits && id.ec == std::errc{} && id.ptr == id_end;
    if (is_right && at < text.size()) {
      const char* const end = text.data() + text.size();
      const auto size = std::from_chars(id_end + 1, end, key.from_size);
      is_right = size.ec == std::errc{} && size.ptr == end;
    }
    if (!is_right) {
      return ledger::make_error(ledger::ErrorCode::kInvalidArgument,
                                "--distrust " + text + ": a key's id of 8 hex digits, and " +
                                    "@BLOCKS if it counts below that many");
    }
    keys.push_back(key);
  }
  return keys;
}

void add_ledger_proof_commands(Command& ledger, int& exit_code) {
  auto arguments = std::make_shared<ProofArguments>();
  Command* verb = add_verb(ledger, "prove", "Prove a record, or that a log grew from an older one",
                           "prove grace-data/ledger 17 --key ledger.pub --out 17.proof", arguments,
                           prove, exit_code);
  verb->add_option("directory", arguments->directory, "The ledger's directory")->required();
  Option* sequence = verb->add_option("sequence", arguments->sequence, "The record");
  add_keys(verb, arguments)->required();
  verb->add_option("--checkpoint", arguments->file, "A checkpoint; else the ledger's newest");
  verb->add_option("--since", arguments->older, "An older checkpoint: prove consistency with it")
      ->excludes(sequence);
  verb->add_option("--out", arguments->out, "Where the proof goes; else standard output");

  arguments = std::make_shared<ProofArguments>();
  verb = add_verb(ledger, "check-proof", "Check a proof; needs no ledger",
                  "check-proof 17.proof --key ledger.pub", arguments, check_proof, exit_code);
  verb->add_option("file", arguments->file, "The proof")->required();
  add_keys(verb, arguments)->required();
  verb->add_flag("--json", arguments->json, "Print JSON");

  arguments = std::make_shared<ProofArguments>();
  verb = add_verb(ledger, "checkpoint", "Print the newest checkpoint; with --key, check it first",
                  "checkpoint grace-data/ledger --key ledger.pub > held.note", arguments,
                  checkpoint, exit_code);
  verb->add_option("directory", arguments->directory, "The ledger's directory")->required();
  add_keys(verb, arguments);

  arguments = std::make_shared<ProofArguments>();
  verb =
      add_verb(ledger, "keygen", "Make a signing key; prints the key that verifies it",
               "keygen grace.example/ledger ledger.key > ledger.pub", arguments, keygen, exit_code);
  verb->add_option("name", arguments->name, "The log's name: its checkpoints' origin")->required();
  verb->add_option("file", arguments->file, "A new file for the secret")->required();
}

}  // namespace grace::tools
