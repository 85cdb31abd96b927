#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grace/core/chunk.h"
#include "grace/core/event.h"
#include "grace/parse/chunk_parser.h"
#include "sanitized.h"

namespace grace::parse {

// An event that outlives its chunk, with all that it says as one text for comparison.
struct ParsedEvent {
  core::Event event;
  std::string service, domain, name, actor, subsystem, result_text, detail, line;

  explicit ParsedEvent(const core::Event& from)
      : event(from),
        service(from.view(from.service)),
        domain(from.view(from.domain)),
        name(from.view(from.name)),
        actor(from.view(from.actor)),
        subsystem(from.view(from.subsystem)),
        result_text(from.view(from.result_text)),
        detail(from.view(from.detail)),
        line(from.view(from.line)) {}

  [[nodiscard]] std::string content() const {
    std::string out = std::to_string(event.sequence) + "|" + std::to_string(event.ts_ns) + "|" +
                      std::to_string(event.route_key) + "|" + std::to_string(event.service_key) +
                      "|" + (std::isnan(event.value) ? "nan" : std::to_string(event.value)) + "|" +
                      std::to_string(static_cast<int>(event.kind)) + "|" +
                      std::to_string(static_cast<int>(event.result)) + "|" +
                      std::to_string(static_cast<int>(event.control)) + "|" +
                      std::to_string(event.trusted);
    for (const std::string* text :
         {&service, &domain, &name, &actor, &subsystem, &result_text, &detail, &line}) {
      out += "|" + *text;
    }
    return out;
  }
};

struct ParsedReject {
  RejectReason reason;
  std::uint64_t sequence;
  std::string line;
  [[nodiscard]] std::string content() const {
    return std::to_string(sequence) + "!" + std::string(to_string(reason)) + "!" + line;
  }
};

struct Parsed {
  std::vector<ParsedEvent> events;
  std::vector<ParsedReject> rejects;
  ParseCounters counters;
};

// How a test feeds its input.
struct Feed {
  std::size_t chunk_bytes = 1 << 20;  // a chunk takes whole lines up to this, one at least
  std::size_t batch = 64;             // events asked for at a time
  std::int64_t arrival_ns = 0;
  bool trusted = false;
  bool operator_allowed = false;
  bool last_of_source = false;
};

class CollectingSink final : public RejectSink {
 public:
  explicit CollectingSink(std::vector<ParsedReject>& out) : out_(out) {}
  void rejected(const Reject& reject) override {
    out_.push_back({reject.reason, reject.sequence, std::string(reject.line)});
  }

 private:
  std::vector<ParsedReject>& out_;
};

inline std::unique_ptr<core::Chunk> make_chunk(std::string_view text) {
  auto chunk = std::make_unique<core::Chunk>(std::max<std::size_t>(text.size(), 1));
  if (!text.empty()) std::memcpy(chunk->text(), text.data(), text.size());
  chunk->size_bytes = static_cast<std::uint32_t>(text.size());
  return chunk;
}

// Parses one chunk; `on_event` sees each event while its chunk lives.
template <typename OnEvent>
void drain_into(ChunkParser& parser, core::Chunk& chunk, std::size_t batch,
                std::vector<ParsedReject>& rejects, OnEvent&& on_event) {
  CollectingSink sink(rejects);
  std::vector<core::Event> events(batch);
  parser.begin(chunk);
  while (const std::size_t count = parser.next(events, sink)) {
    for (std::size_t i = 0; i < count; ++i) on_event(events[i]);
  }
}

inline void drain(ChunkParser& parser, core::Chunk& chunk, std::size_t batch, Parsed& parsed) {
  drain_into(parser, chunk, batch, parsed.rejects,
             [&](const core::Event& event) { parsed.events.emplace_back(event); });
}

// Cuts the text into chunks and parses them in order.
template <typename OnEvent>
Parsed parse_text_into(std::string_view text, const Feed& feed, const ParseConfig& config,
                       OnEvent&& on_event) {
  Parsed parsed;
  ChunkParser parser(config);
  std::uint64_t at = 0;
  for (std::uint64_t number = 0; at < text.size(); ++number) {
    std::size_t end = std::min<std::size_t>(at + feed.chunk_bytes, text.size());
    if (end < text.size()) {
      const std::size_t last = text.rfind('\n', end - 1);
      if (last != std::string_view::npos && last >= at) {
        end = last + 1;
      } else {
        end = std::min(text.find('\n', end), text.size() - 1) + 1;
      }
    }
    auto chunk = make_chunk(text.substr(at, end - at));
    chunk->number = number;
    chunk->first_sequence = at;
    chunk->arrival_ns = feed.arrival_ns;
    chunk->trusted = feed.trusted;
    chunk->operator_allowed = feed.operator_allowed;
    chunk->last_of_source = feed.last_of_source && end == text.size();
    drain_into(parser, *chunk, feed.batch, parsed.rejects, on_event);
    at = end;
  }
  parsed.counters = parser.counters();
  return parsed;
}

inline Parsed parse_text(std::string_view text, const Feed& feed = {},
                         const ParseConfig& config = {}) {
  std::vector<ParsedEvent> events;
  Parsed parsed = parse_text_into(text, feed, config,
                                  [&](const core::Event& event) { events.emplace_back(event); });
  parsed.events = std::move(events);
  return parsed;
}

}  // namespace grace::parse
