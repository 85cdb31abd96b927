#include "repair_intent.h"

#include <cerrno>
#include <fstream>
#include <iterator>

#include "directory.h"
#include "io_error.h"
#include "json.h"
#include "text_codec.h"

namespace grace::ledger::internal {
namespace {

constexpr std::string_view kTitle = "grace-ledger-repair/v1";

// The words of a line, one blank between two.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t blank = line.find(' ');
    words.push_back(line.substr(0, blank));
    if (blank == std::string_view::npos) return words;
    line.remove_prefix(blank + 1);
  }
}

bool is_name(std::string_view word) {
  return !word.empty() && word.front() != '.' && word.find('/') == std::string_view::npos;
}

// A segment and an offset, then a name if `named`.
std::optional<RepairIntent::Copy> copy_of(std::string_view line, bool named) {
  const auto words = words_of(line);
  if (words.size() != (named ? 3U : 2U)) return std::nullopt;
  const auto segment = parse_decimal(words[0]);
  const auto offset = parse_decimal(words[1]);
  if (!segment || !offset || (named && !is_name(words[2]))) return std::nullopt;
  return RepairIntent::Copy{*segment, *offset, named ? std::string(words[2]) : std::string()};
}

std::string line_of(std::string_view word, const RepairIntent::Copy& copy) {
  std::string line(word);
  line += ' ' + std::to_string(copy.segment) + ' ' + std::to_string(copy.offset);
  if (!copy.name.empty()) line += ' ' + copy.name;
  return line + '\n';
}

}  // namespace

std::string repair_intent_path(const std::string& directory) {
  return quarantine_directory(directory) + "/repair.begun";
}

std::string RepairIntent::to_text() const {
  std::string text(kTitle);
  text += saved ? "\nphase cut\n" : "\nphase save\n";
  text += line_of("end", {end_segment, end_offset, ""});
  text += "sequence " + std::to_string(sequence) + "\nwall " + std::to_string(wall_time_ns) + '\n';
  for (const Copy& mend : mends) text += line_of("mend", mend);
  for (const Copy& trim : trims) text += line_of("trim", trim);
  if (tail) text += line_of("tail", *tail);
  for (const Move& move : moves) text += "move " + move.from + ' ' + move.name + '\n';
  return text + "record " + record + '\n';
}

Result<RepairIntent> RepairIntent::parse(std::string_view text) {
  const auto wrong = [](std::string_view what) {
    return make_error(ErrorCode::kCorrupt,
                      "the note of an unfinished repair has no good line for " + std::string(what));
  };
  RepairIntent intent;
  LineReader lines(text);
  if (lines.next() != kTitle) return wrong("its title");
  const auto phase = lines.next_value("phase");
  if (phase != "save" && phase != "cut") return wrong("phase");
  intent.saved = phase == "cut";
  const auto end = copy_of(lines.next_value("end").value_or(""), false);
  const auto sequence = parse_decimal(lines.next_value("sequence").value_or(""));
  const auto wall = parse_decimal(lines.next_value("wall").value_or(""));
  if (!end || !sequence || !wall) return wrong("end, sequence or wall");
  intent.end_segment = end->segment;
  intent.end_offset = end->offset;
  intent.sequence = *sequence;
  intent.wall_time_ns = static_cast<std::int64_t>(*wall);
  while (const auto value = lines.next_value("mend")) {
    const auto copy = copy_of(*value, false);
    if (!copy) return wrong("mend");
    intent.mends.push_back(*copy);
  }
  while (const auto value = lines.next_value("trim")) {
    const auto copy = copy_of(*value, true);
    if (!copy) return wrong("trim");
    intent.trims.push_back(*copy);
  }
  if (const auto value = lines.next_value("tail")) {
    intent.tail = copy_of(*value, true);
    if (!intent.tail) return wrong("tail");
  }
  while (const auto value = lines.next_value("move")) {
    const auto words = words_of(*value);
    if (words.size() != 2 || !is_name(words[0]) || !is_name(words[1])) return wrong("move");
    intent.moves.push_back({std::string(words[0]), std::string(words[1])});
  }
  const auto record = lines.next_value("record");
  if (!record || !is_json_object(*record) || !lines.at_end()) return wrong("record");
  intent.record = *record;
  return intent;
}

Result<std::optional<RepairIntent>> RepairIntent::read(const std::string& directory) {
  const std::string path = repair_intent_path(directory);
  if (!file_exists(path)) return std::optional<RepairIntent>();
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.good() && !file.eof()) return make_io_error("read", path, -EIO);
  auto intent = parse(text);
  if (!intent) return make_error(intent.error().code, path + ": " + intent.error().message);
  return std::optional<RepairIntent>(std::move(*intent));
}

}  // namespace grace::ledger::internal
