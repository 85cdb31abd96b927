#pragma once
#include <fcntl.h>
#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The bound of every parser here: simdjson reading the fields that the engine reads.
namespace grace::bench {

inline constexpr std::size_t kBlockBytes = 256 * 1024;  // the engine's chunks

struct Sums {
  std::uint64_t events = 0;
  std::uint64_t text_bytes = 0;
  std::int64_t ts_xor = 0;
  double values = 0.0;
  bool operator==(const Sums&) const = default;  // the same additions in the same order
};

// A raw object: simdjson walks over it, as over everything that it is asked for.
inline std::size_t raw_size(simdjson::ondemand::value value) {
  simdjson::ondemand::object object = value.get_object();
  return std::string_view(object.raw_json()).size();
}

// The fields that the engine reads, asked for in the order in which the mixed stream has them:
// simdjson's quickest way. Shuffled keys make it search. Texts are not copied, labels not hashed.
template <typename Document>
void read_fields(Document&& doc, Sums& sums) {
  const auto text = [&](const char* name) { return std::string_view(doc[name]).size(); };
  sums.ts_xor ^= std::int64_t(doc["ts"].get_int64());
  ++sums.events;
  std::string_view kind;
  if (doc["kind"].get(kind) != simdjson::SUCCESS) {
    sums.text_bytes += text("event_type") + text("source") + text("actor") + text("resource");
    sums.text_bytes += raw_size(doc["payload"]);
  } else if (kind == "metric") {
    sums.text_bytes += text("service") + text("domain") + text("metric");
    sums.values += double(doc["value"]);
    sums.text_bytes += raw_size(doc["labels"]);
  } else if (kind == "action") {
    sums.text_bytes += text("actor") + text("action") + text("resource") + text("subsystem");
    sums.text_bytes += text("domain") + text("result");
    sums.values += double(doc["duration_ms"]);
    sums.text_bytes += raw_size(doc["payload"]);
  } else {
    sums.text_bytes += text("control") + text("service");
  }
}

inline void read_block(simdjson::ondemand::parser& parser, const char* text, std::size_t size,
                       Sums& sums) {
  auto stream = parser.iterate_many(text, size, kBlockBytes + simdjson::SIMDJSON_PADDING).value();
  for (auto doc : stream) read_fields(doc, sums);
}

// A part of a file that begins and ends with whole lines.
struct FilePart {
  std::uint64_t begin = 0;
  std::uint64_t end = std::numeric_limits<std::uint64_t>::max();  // of the file, where it is less
};

// Read as the engine reads a file. Empty: it cannot be read, or has a line longer than a block.
inline std::optional<Sums> simdjson_file(simdjson::ondemand::parser& parser,
                                         const std::string& path, const FilePart& part = {}) {
  Sums sums;
  std::vector<char> block(kBlockBytes + simdjson::SIMDJSON_PADDING);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::uint64_t at = part.begin;
  std::size_t kept = 0;
  for (bool good = file >= 0; good;) {
    const auto wanted = std::min<std::uint64_t>(kBlockBytes - kept, part.end - at);
    const ssize_t got = ::pread(file, block.data() + kept, wanted, static_cast<off_t>(at));
    if (got < 0) break;
    at += static_cast<std::uint64_t>(got);
    const std::size_t size = kept + static_cast<std::size_t>(got);
    if (size == 0) {
      ::close(file);
      return sums;
    }
    const std::size_t whole = std::string_view(block.data(), size).rfind('\n') + 1;
    good = whole > 0;
    read_block(parser, block.data(), whole, sums);
    kept = size - whole;
    std::memmove(block.data(), block.data() + whole, kept);
  }
  if (file >= 0) ::close(file);
  return std::nullopt;
}

inline Sums simdjson_memory(simdjson::ondemand::parser& parser,
                            const simdjson::padded_string& text) {
  Sums sums;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(at + kBlockBytes, text.size());
    if (end < text.size()) end = std::string_view(text.data(), end).rfind('\n') + 1;
    read_block(parser, text.data() + at, end - at, sums);
    at = end;
  }
  return sums;
}

}  // namespace grace::bench
