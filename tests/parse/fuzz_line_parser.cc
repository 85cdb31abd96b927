// Any bytes as a chunk, against the same bytes line by line and against a DOM:
//  - each line has one outcome, the same whether its neighbours are there or not;
//  - what FlatLine takes of the lines, the general way takes with the same result;
//  - what LineShapes takes, FlatLine takes with the same event;
//  - what the DOM refuses is refused;
//  - mesh and control events that were accepted can be decoded.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "grace/core/assert.h"
#include "grace/parse/json_value.h"
#include "grace/parse/payload.h"
#include "parse_fixture.h"
#include "shape_compare.h"
#include "walk_compare.h"

using namespace grace;
using namespace grace::parse;

namespace {

// What one line comes to, without what depends on its place.
struct Outcome {
  std::string text;
  bool accepted = false;
};

std::string content_of(const core::Event& from) {
  ParsedEvent event(from);
  event.event.sequence = 0;
  event.line.clear();
  event.detail.clear();
  return event.content();
}

std::vector<Outcome> outcomes_of(ChunkParser& parser, std::string_view text, bool last) {
  auto chunk = make_chunk(text);
  chunk->trusted = true;
  chunk->arrival_ns = 1'736'951'400'000'000'000;
  chunk->last_of_source = last;
  // In the order of their places: events wait in `events`, rejects come at once.
  std::vector<std::pair<std::uint64_t, Outcome>> outcomes;
  class Sink final : public RejectSink {
   public:
    explicit Sink(std::vector<std::pair<std::uint64_t, Outcome>>& out) : out_(out) {}
    void rejected(const Reject& reject) override {
      out_.emplace_back(reject.sequence, Outcome{std::string(to_string(reject.reason)), false});
    }

   private:
    std::vector<std::pair<std::uint64_t, Outcome>>& out_;
  } sink(outcomes);
  core::Event events[3];
  parser.begin(*chunk);
  while (const std::size_t count = parser.next(events, sink)) {
    for (std::size_t i = 0; i < count; ++i) {
      const core::Event& event = events[i];
      GRACE_ASSERT(JsonValue::parse(event.view(event.line)).has_value());
      if (event.kind == core::EventKind::kMesh) GRACE_ASSERT(parse_mesh(event).has_value());
      if (event.kind == core::EventKind::kControl) GRACE_ASSERT(parse_control(event).has_value());
      outcomes.emplace_back(event.sequence, Outcome{content_of(event), true});
    }
  }
  std::sort(outcomes.begin(), outcomes.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Outcome> out;
  for (auto& [sequence, outcome] : outcomes) out.push_back(std::move(outcome));
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static ChunkParser parser;
  static ChunkParser line_parser;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<Outcome> whole = outcomes_of(parser, text, true);
  static ShapeCompare shapes;
  (void)shapes.read(text);
  std::size_t index = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t newline = text.find('\n', at);
    const std::size_t end = newline == std::string_view::npos ? text.size() : newline + 1;
    const std::string_view line = text.substr(at, end - at);
    const auto alone = outcomes_of(line_parser, line, true);
    GRACE_ASSERT(alone.size() <= 1);
    (void)compare_walks(line);
    for (const Outcome& outcome : alone) {
      GRACE_ASSERT(index < whole.size());
      GRACE_ASSERT(whole[index].text == outcome.text, "%s | %s", whole[index].text.c_str(),
                   outcome.text.c_str());
      ++index;
    }
    at = end;
  }
  GRACE_ASSERT(index == whole.size());
  const ParseCounters& counters = parser.counters();
  GRACE_ASSERT(counters.received() == counters.accepted + counters.rejected_total());
  return 0;
}
