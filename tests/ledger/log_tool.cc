// Writes and verifies logs, checkpoints and proofs for tests in other languages.
//
//   log_tool write DIRECTORY [name=value...]   records=40 seed=1 record_bytes_min=0
//       record_bytes_max=400 flush_every=3 segment_bytes=65536 block_bytes=4096 integrity=sha256
//       record_trees=0 sync=1 end=closed (or killed: the process ends without closing)
//       signer= (a file with a signer key, whose checkpoints the log gets)
//   log_tool rotate DIRECTORY OLD_KEY_FILE NEW_KEY_FILE [name=value...]   the next signer key
//   log_tool verify       directories from standard input, one a line; for each one line of JSON on
//       standard output
//   log_tool recover      the same, and opens and closes each for writing: {"ok":true} or the error
//   log_tool checkpoint   lines of three paths with tabs between: a log, a note, a file with
//       verifier keys, a line each; whether the note is a checkpoint that the log holds, signed by
//       one of the keys or by one that key changes lead to
//   log_tool proof        the same with two paths: a proof, a file with keys; whether it holds
//   log_tool prove DIRECTORY KEY_FILE NOTE_FILE (SEQUENCE | since OLDER_NOTE_FILE)   prints a proof
//
// Writing into a directory that holds a log goes on with it, after recovery.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/key_change.h"
#include "grace/ledger/log_proofs.h"
#include "grace/ledger/reader.h"
#include "grace/ledger/writer.h"

namespace {

constexpr auto kSha256 = grace::ledger::Integrity::kSha256;

int fail(const std::string& message) {
  std::fprintf(stderr, "log_tool: %s\n", message.c_str());
  return 2;
}

class Settings {
 public:
  void set(std::string_view setting) {
    const auto equals = setting.find('=');
    values_[std::string(setting.substr(0, equals))] =
        equals == std::string_view::npos ? "" : setting.substr(equals + 1);
  }
  [[nodiscard]] std::string text(const std::string& name, const std::string& otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
  }
  [[nodiscard]] std::uint64_t number(const std::string& name, std::uint64_t otherwise) const {
    const std::string value = text(name, "");
    std::uint64_t parsed = otherwise;
    std::from_chars(value.data(), value.data() + value.size(), parsed);
    return parsed;
  }

 private:
  std::map<std::string, std::string> values_;
};

grace::ledger::LogConfig config_of(const std::string& directory, const Settings& settings) {
  grace::ledger::LogConfig config;
  config.directory = directory;
  config.integrity = settings.text("integrity", "sha256") == "sha256"
                         ? kSha256
                         : grace::ledger::Integrity::kCrc32c;
  config.sync = settings.number("sync", 1) != 0 ? grace::ledger::SyncMode::kGroup
                                                : grace::ledger::SyncMode::kNone;
  config.hash_sealed = settings.number("hash_sealed", 0) != 0;
  config.record_trees = settings.number("record_trees", 0) != 0;
  config.segment_bytes = settings.number("segment_bytes", 64 << 10);
  config.block_bytes = settings.number("block_bytes", 4 << 10);
  config.record_bytes_max = std::max<std::uint64_t>(settings.number("record_bytes_max", 400), 1024);
  config.ring_bytes = 256 << 10;
  // Blocks close when they are full or flushed, so that a log depends on its settings alone.
  config.commit_interval = std::chrono::seconds(10);
  config.wall_clock_ns = [] { return std::int64_t{1736950000000000000}; };
  return config;
}

std::string all_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

int rotate(const std::vector<std::string>& words, const Settings& settings) {
  const auto old_signer = grace::ledger::NoteSigner::parse(all_of(words[1]));
  if (!old_signer) return fail(old_signer.error().message);
  const auto new_signer = grace::ledger::NoteSigner::parse(all_of(words[2]));
  if (!new_signer) return fail(new_signer.error().message);
  const auto rotated =
      grace::ledger::rotate_key(config_of(words[0], settings), *old_signer, *new_signer);
  return rotated ? 0 : fail(rotated.error().message);
}

int write_log(const std::string& directory, const Settings& settings) {
  auto config = config_of(directory, settings);
  std::optional<grace::ledger::NoteSigner> signer;
  if (const std::string file = settings.text("signer", ""); !file.empty()) {
    auto parsed = grace::ledger::NoteSigner::parse(all_of(file));
    if (!parsed) return fail(parsed.error().message);
    config.checkpoint.signer = &signer.emplace(std::move(*parsed));
  }
  auto writer = grace::ledger::Writer::open(config);
  if (!writer) return fail(writer.error().message);
  auto producer = (*writer)->producer();
  if (!producer) return fail(producer.error().message);
  std::mt19937_64 random(settings.number("seed", 1));
  const std::uint64_t smallest = settings.number("record_bytes_min", 0);
  const std::uint64_t largest = settings.number("record_bytes_max", 400);
  const std::uint64_t flush_every = settings.number("flush_every", 3);
  const std::uint64_t records = settings.number("records", 40);
  for (std::uint64_t index = 1; index <= records; ++index) {
    std::string payload(smallest + random() % (largest - smallest + 1), '\0');
    for (char& byte : payload) byte = static_cast<char>(random());
    const auto status = producer->append_or_wait(grace::ledger::RecordType::kNote,
                                                 grace::ledger::as_bytes(payload));
    if (status != grace::ledger::AppendStatus::kOk) {
      return fail(std::string(grace::ledger::to_string(status)));
    }
    if (flush_every == 0 || index % flush_every != 0) continue;
    if (auto flushed = (*writer)->flush(); !flushed) return fail(flushed.error().message);
  }
  if (settings.text("end", "closed") == "killed") {
    usleep(20000);  // what was not flushed reaches the open block
    _exit(0);
  }
  *producer = grace::ledger::Producer();
  if (auto closed = (*writer)->close(); !closed) return fail(closed.error().message);
  return 0;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') out += '\\';
    out += static_cast<unsigned char>(byte) < 0x20 ? ' ' : byte;
  }
  return out + "\"";
}

std::string json_of(const grace::ledger::VerifyReport& report) {
  std::string out;
  const auto field = [&out](std::string_view name, const std::string& value) {
    out += (out.empty() ? "{" : ",") + quoted(name) + ":" + value;
  };
  const auto number = [&field](std::string_view name, std::uint64_t value) {
    field(name, std::to_string(value));
  };
  field("ok", report.ok ? "true" : "false");
  number("segments", report.segments);
  number("blocks", report.blocks);
  number("records", report.records);
  number("bytes", report.bytes);
  number("payload_bytes", report.payload_bytes);
  number("first_segment", report.first_segment);
  number("first_sequence", report.first_sequence);
  number("last_sequence", report.last_sequence);
  field("log_id", quoted(report.log_id_hex));
  field("integrity", report.integrity == kSha256 ? "\"sha256\"" : "\"crc32c\"");
  field("root", quoted(report.root_hex));
  field("sealed", report.sealed ? "true" : "false");
  number("torn_tail_bytes", report.torn_tail_bytes);
  number("torn_tail_segment", report.torn_tail_segment);
  number("torn_tail_offset", report.torn_tail_offset);
  number("hashed_segments", report.hashing.segments);
  number("hashed_last_sequence", report.hashing.last_sequence);
  number("missing_tree_files", report.hashing.missing_files);
  number("unhashed_records", report.hashing.unhashed_records);
  number("unhashed_bytes", report.hashing.unhashed_bytes);
  number("unhashed_from", report.hashing.unhashed_from);
  number("faults", report.fault_count);
  if (!report.first_fault) return out + ",\"first_fault\":null}";
  const auto& fault = *report.first_fault;
  return out + ",\"first_fault\":{\"segment\":" + std::to_string(fault.segment) +
         ",\"offset\":" + std::to_string(fault.offset) +
         ",\"sequence\":" + std::to_string(fault.sequence) + ",\"reason\":" + quoted(fault.reason) +
         "}}";
}

std::string error_json(const grace::ledger::Error& error) {
  return "{\"error\":" + quoted(error.message) +
         ",\"code\":" + std::to_string(static_cast<int>(error.code)) + "}";
}

std::string verify_log(const std::string& directory) {
  const auto report = grace::ledger::verify(directory);
  return report ? json_of(*report) : error_json(report.error());
}

std::string recover_log(const std::string& directory) {
  Settings settings;
  const auto report = grace::ledger::verify(directory);
  if (report && report->integrity != kSha256) settings.set("integrity=crc32c");
  auto writer = grace::ledger::Writer::open(config_of(directory, settings));
  if (!writer) return error_json(writer.error());
  const auto closed = (*writer)->close();
  return closed ? "{\"ok\":true}" : error_json(closed.error());
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

grace::ledger::Result<std::vector<grace::ledger::NoteVerifier>> keys_in(const std::string& file) {
  std::vector<grace::ledger::NoteVerifier> keys;
  for (const std::string& line : split(all_of(file), '\n')) {
    auto key = grace::ledger::NoteVerifier::parse(line);
    if (!key) return tl::unexpected(key.error());
    keys.push_back(std::move(*key));
  }
  return keys;
}

std::string json_of(const grace::ledger::Checkpoint& checkpoint) {
  return "{\"ok\":true,\"origin\":" + quoted(checkpoint.origin) +
         ",\"tree_size\":" + std::to_string(checkpoint.tree_size) +
         ",\"root\":" + quoted(grace::ledger::to_hex(checkpoint.root)) +
         ",\"log_id\":" + quoted(grace::ledger::to_hex(checkpoint.log_id)) +
         ",\"sequence\":" + std::to_string(checkpoint.sequence) +
         ",\"time_ns\":" + std::to_string(checkpoint.time_ns);
}

std::string check_checkpoint(const std::string& line) {
  const auto paths = split(line, '\t');
  if (paths.size() != 3) return "{}";
  const auto keys = keys_in(paths[2]);
  if (!keys) return error_json(keys.error());
  const auto report = grace::ledger::verify(paths[0]);
  if (!report) return error_json(report.error());
  const auto traced = grace::ledger::trace_checkpoint(all_of(paths[1]), report->key_changes, *keys);
  if (!traced) return error_json(traced.error());
  const auto& checkpoint = traced->opened.checkpoint;
  const auto held = grace::ledger::check_log(paths[0], checkpoint);
  if (!held) return error_json(held.error());
  return json_of(checkpoint) + ",\"signed_by\":" + quoted(traced->key.to_text()) +
         ",\"steps\":" + std::to_string(traced->steps) + "}";
}

std::string check_proof(const std::string& line) {
  using grace::ledger::ConsistencyProofText;
  using grace::ledger::ProofKind;
  using grace::ledger::RecordProof;
  const auto paths = split(line, '\t');
  if (paths.size() != 2) return "{}";
  const auto keys = keys_in(paths[1]);
  if (!keys) return error_json(keys.error());
  const std::string text = all_of(paths[0]);
  const auto kind = grace::ledger::proof_kind(text);
  if (!kind) return error_json(kind.error());
  if (*kind == ProofKind::kConsistency) {
    const auto proof = ConsistencyProofText::parse(text);
    if (!proof) return error_json(proof.error());
    const auto held = grace::ledger::check_consistency_proof(*proof, *keys);
    return held ? "{\"ok\":true}" : error_json(held.error());
  }
  const auto proof = RecordProof::parse(text);
  if (!proof) return error_json(proof.error());
  const auto proven = grace::ledger::check_record_proof(*proof, *keys);
  if (!proven) return error_json(proven.error());
  const auto payload = std::as_bytes(std::span(proven->payload));
  return json_of(proven->checkpoint) + ",\"record\":" + std::to_string(proven->header.sequence) +
         ",\"type\":" + std::to_string(static_cast<int>(proven->header.type)) +
         ",\"payload_hash\":" + quoted(grace::ledger::to_hex(grace::ledger::sha256(payload))) + "}";
}

int prove(const std::vector<std::string>& words) {
  const auto keys = keys_in(words[1]);
  if (!keys) return fail(keys.error().message);
  const std::string note = all_of(words[2]);
  const auto print = [](const auto& proof) {
    const auto text = proof ? proof->to_text() : tl::unexpected(proof.error());
    if (!text) return fail(text.error().message);
    std::cout << *text;
    return 0;
  };
  if (words[3] == "since" && words.size() > 4) {
    return print(grace::ledger::prove_consistency(words[0], all_of(words[4]), note, *keys));
  }
  std::uint64_t sequence = 0;
  std::from_chars(words[3].data(), words[3].data() + words[3].size(), sequence);
  return print(grace::ledger::prove_record(words[0], sequence, note, *keys));
}

int for_each_line(std::string (*answer)(const std::string&)) {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << answer(line) << '\n' << std::flush;  // the other side waits for it
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view command = count > 1 ? arguments[1] : "";
  if (command == "verify") return for_each_line(verify_log);
  if (command == "recover") return for_each_line(recover_log);
  if (command == "checkpoint") return for_each_line(check_checkpoint);
  if (command == "proof") return for_each_line(check_proof);
  if (command == "prove" && count > 5) return prove({arguments + 2, arguments + count});
  const bool rotates = command == "rotate" && count > 4;
  if (!rotates && (command != "write" || count < 3)) {
    return fail("no such command, see log_tool.cc");
  }
  Settings settings;
  for (int index = rotates ? 5 : 3; index < count; ++index) settings.set(arguments[index]);
  if (rotates) return rotate({arguments + 2, arguments + 5}, settings);
  return write_log(arguments[2], settings);
}
