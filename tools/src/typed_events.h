#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "grace/core/packed_event.h"
#include "grace/parse/json_value.h"

namespace grace::tools {

// JSON lines as the typed events that a program would publish: to compare both ways, and to
// measure the one. Metrics, actions and mesh events get their types; what is none of these, and
// what a type cannot say (bad lines, odd types), stays a JsonLine. Blank lines are left out.
//
// Names and series are kept once each, as in a program that holds them. Payloads lie in the order
// of their events: a program makes one where it is published, and what is measured there should not
// be the way to 200,000 that lie about (bench/publish_bench packs in 94 ns an event instead of
// 147). Cold; the events are good as long as this and `text` are.
class TypedEvents {
 public:
  using Event = std::variant<core::MetricSample, core::SeriesSample, core::ActionRecord,
                             core::MeshEvent, core::JsonLine>;
  // How samples name their series.
  enum class Series : std::uint8_t {
    kKept,   // SeriesSample: by one that the program keeps
    kNamed,  // MetricSample: each by its names
  };

  explicit TypedEvents(std::string_view text, Series series = Series::kKept);
  explicit TypedEvents(std::string&& text, Series series = {}) = delete;  // it would be outlived
  TypedEvents(const TypedEvents&) = delete;
  TypedEvents& operator=(const TypedEvents&) = delete;
  [[nodiscard]] const std::vector<Event>& events() const noexcept { return events_; }

 private:
  // Each false: a field has a type that the event's has not.
  bool read(const parse::JsonValue& line, core::MetricSample& event);
  bool read(const parse::JsonValue& line, core::ActionRecord& event);
  bool read(const parse::JsonValue& line, core::MeshEvent& event);
  bool read_time(const parse::JsonValue& line, std::optional<std::int64_t>& ts_ns);
  bool read_text(const parse::JsonValue& line, const char* key, std::string_view& out);
  bool read_payload(const parse::JsonValue& line, std::span<const core::Attribute>& out);
  template <typename Typed>
  bool add(const parse::JsonValue& line);
  void keep_series(Event& event, std::string_view labels);
  void add_line(std::string_view line);
  std::string_view kept(std::string text);  // once, however often
  std::string_view appended(std::string_view text);

  const Series series_;
  std::vector<Event> events_;
  std::unordered_set<std::string> texts_;
  std::unordered_map<std::string, std::vector<core::Label>> label_sets_;  // by their JSON
  std::unordered_map<std::string, core::PackedSeries> kept_series_;       // by names
  // Blocks, which stay where they are; a payload is in one piece.
  std::deque<std::vector<core::Attribute>> payloads_;
  std::deque<std::string> payload_texts_;
  std::deque<std::vector<std::string_view>> lists_;
};

}  // namespace grace::tools
