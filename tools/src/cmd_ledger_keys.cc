#include <sys/stat.h>

#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "grace/ledger/key_change.h"
#include "grace/ledger/reader.h"
#include "ledger_proofs.h"

namespace grace::tools {
namespace {

struct KeyArguments {
  std::string directory;
  std::string old_key;
  std::string new_key;
  std::uint64_t epoch = 0;
  bool json = false;
};
using ArgumentsPtr = std::shared_ptr<KeyArguments>;

int fail(const ledger::Error& error) {
  std::cerr << "grace ledger: " << error.message << '\n';
  const bool usage = error.code == ledger::ErrorCode::kInvalidArgument ||
                     error.code == ledger::ErrorCode::kIo ||
                     error.code == ledger::ErrorCode::kNotFound;
  return usage ? kExitUsage : kExitNegative;
}

ledger::Result<ledger::NoteSigner> read_signer(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return ledger::make_error(ledger::ErrorCode::kInvalidArgument,
                              path + ": others may use this file: chmod 600");
  }
  auto text = read_small_file(path);
  if (!text) return tl::unexpected<ledger::Error>(text.error());
  auto signer = ledger::NoteSigner::parse(std::string_view(*text).substr(0, text->find('\n')));
  ::explicit_bzero(text->data(), text->size());
  if (!signer) {
    return ledger::make_error(signer.error().code, path + ": " + signer.error().message);
  }
  return signer;
}

void print_change(const ledger::RecordedKeyChange& recorded, bool json) {
  const ledger::KeyChange& change = recorded.change;
  if (!json) {
    std::cout << "epoch " << change.epoch << " from record " << recorded.sequence << " on, "
              << core::format_rfc3339(change.time_ns) << ": " << change.new_key.to_text() << '\n';
    return;
  }
  std::string out;
  core::JsonWriter(out)
      .begin_object()
      .field("epoch", change.epoch)
      .field("sequence", recorded.sequence)
      .field("blocks", change.tree_size)
      .field("time", core::format_rfc3339(change.time_ns))
      .field("old", change.old_key.to_text())
      .field("new", change.new_key.to_text())
      .end_object();
  std::cout << out << '\n';
}

int rotate(const KeyArguments& arguments) {
  const auto old_signer = read_signer(arguments.old_key);
  if (!old_signer) return fail(old_signer.error());
  const auto new_signer = read_signer(arguments.new_key);
  if (!new_signer) return fail(new_signer.error());
  const auto found = ledger::log_stats(arguments.directory);
  if (!found) return fail(found.error());
  ledger::LogConfig config;
  config.directory = arguments.directory;
  config.integrity = found->integrity;
  config.hash_sealed = found->integrity == ledger::Integrity::kCrc32c;
  config.record_trees = !config.hash_sealed;  // as the engine writes its ledger
  const auto rotated = ledger::rotate_key(config, *old_signer, *new_signer, arguments.epoch);
  if (!rotated) return fail(rotated.error());
  print_change(*rotated, arguments.json);
  return kExitOk;
}

int list(const KeyArguments& arguments) {
  const auto changes = ledger::read_key_changes(arguments.directory);
  if (!changes) return fail(changes.error());
  for (const ledger::RecordedKeyChange& change : *changes) print_change(change, arguments.json);
  if (changes->empty() && !arguments.json) std::cout << "no key change\n";
  return kExitOk;
}

}  // namespace

void add_ledger_key_commands(Command& ledger, int& exit_code) {
  auto arguments = std::make_shared<KeyArguments>();
  Command* verb = ledger.add_subcommand(
      "rotate-key", "Let another key sign from now on; the ledger must not be in use");
  verb->footer("Example: grace ledger rotate-key grace-data/ledger old.key new.key");
  verb->add_option("directory", arguments->directory, "The ledger's directory")->required();
  verb->add_option("old", arguments->old_key, "File of the key that has signed so far")->required();
  verb->add_option("new", arguments->new_key, "File of the next one, of the same name (keygen)")
      ->required();
  verb->add_option("--epoch", arguments->epoch,
                   "The old key's epoch, where what tells it was removed");
  verb->add_flag("--json", arguments->json, "Print JSON");
  verb->callback([arguments, &exit_code] { exit_code = rotate(*arguments); });

  arguments = std::make_shared<KeyArguments>();
  verb = ledger.add_subcommand("keys", "List the changes of the signing key, checked");
  verb->footer("Example: grace ledger keys grace-data/ledger");
  verb->add_option("directory", arguments->directory, "The ledger's directory")->required();
  verb->add_flag("--json", arguments->json, "Print JSON, one object a line");
  verb->callback([arguments, &exit_code] { exit_code = list(*arguments); });
}

}  // namespace grace::tools
