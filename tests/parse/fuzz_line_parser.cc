// Any bytes as a chunk, against the same bytes line by line and against a DOM:
//  - each line has one outcome, the same whether its neighbours are there or not;
//  - what the short way of walking a line takes, the general way takes with the same result;
//  - what the DOM refuses is refused;
//  - mesh and control events that were accepted can be decoded.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "grace/core/assert.h"
#include "grace/parse/json_value.h"
#include "grace/parse/payload.h"
#include "line_walker.h"
#include "parse_fixture.h"
#include "structural_index.h"
#include "text_scan.h"

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

bool same_number(const Number& a, const Number& b) {
  return a.form == b.form && a.integer == b.integer &&
         std::memcmp(&a.value, &b.value, sizeof a.value) == 0;
}

// The line's text is a window of its own.
void compare_walks(std::string_view line) {
  static StructuralIndex index(1 << 20);
  static LineWalker walker(64);
  auto chunk = make_chunk(line);
  std::memset(chunk->text() + line.size(), ' ', core::kChunkPaddingBytes);
  if (line.size() >= 1 << 20 || !index.build(chunk->text(), line.size())) return;
  if (index.count() == 0) return;
  walker.begin_window(chunk->text(), line.size(), index.tokens());
  const auto end = static_cast<std::uint32_t>(line.size() - (line.back() == '\n' ? 1 : 0));
  LineFields plain;
  LineFields general;
  if (!walker.walk_plain(0, end, plain)) return;
  const std::size_t next = walker.next_token();
  GRACE_ASSERT(walker.walk(0, end, general, chunk->scratch()) == WalkResult::kOk);
  GRACE_ASSERT(walker.next_token() == next && plain.present == general.present);
  GRACE_ASSERT(plain.escaped == 0 && (general.escaped & general.present) == 0);
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    const auto field = static_cast<Field>(i);
    if (!plain.has(field)) continue;
    const Span span = plain.span(field);
    GRACE_ASSERT(span.begin == general.span(field).begin && span.end == general.span(field).end);
    if (!is_digit(line[span.begin]) && line[span.begin] != '-') continue;
    if (field == Field::kTs) GRACE_ASSERT(same_number(plain.ts, general.ts));
    if (field == Field::kValue) GRACE_ASSERT(same_number(plain.value, general.value));
    if (field == Field::kDurationMs) {
      GRACE_ASSERT(same_number(plain.duration_ms, general.duration_ms));
    }
  }
  const auto is_object = [&](Field field) {
    return plain.has(field) && line[plain.span(field).begin] == '{';
  };
  if (is_object(Field::kLabels)) {
    GRACE_ASSERT(plain.labels_hash == general.labels_hash);
    GRACE_ASSERT(plain.labels_nested == general.labels_nested);
  }
  if (is_object(Field::kPayload)) {
    GRACE_ASSERT(plain.session_present == general.session_present);
    for (std::size_t i = 0; i < LineFields::kSessionKeyCount; ++i) {
      if ((plain.session_present >> i & 1) == 0) continue;
      GRACE_ASSERT(plain.session[i].begin == general.session[i].begin &&
                   plain.session[i].end == general.session[i].end);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static ChunkParser parser;
  static ChunkParser line_parser;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<Outcome> whole = outcomes_of(parser, text, true);
  std::size_t index = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t newline = text.find('\n', at);
    const std::size_t end = newline == std::string_view::npos ? text.size() : newline + 1;
    const std::string_view line = text.substr(at, end - at);
    const auto alone = outcomes_of(line_parser, line, true);
    GRACE_ASSERT(alone.size() <= 1);
    compare_walks(line);
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
