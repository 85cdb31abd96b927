// How LineShapes learns; line_shapes_wide.cc says how it reads.
#include "line_shapes.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "grace/core/assert.h"
#include "line_fields.h"
#include "text_scan.h"

namespace grace::parse {
namespace {

using core::Event;
using core::EventKind;

// Texts of an event, by their order in it.
constexpr std::uint8_t place_of(std::size_t offset) {
  return static_cast<std::uint8_t>((offset - offsetof(Event, service)) / sizeof(core::TextRef));
}
constexpr std::uint8_t kDetail = place_of(offsetof(Event, detail));
// Set when the rest is read: what is not kept may stand there until then.
constexpr std::uint8_t kNowhere = place_of(offsetof(Event, line));

}  // namespace

// Writes the steps of a line that FlatLine has taken and that has no stops but quotes.
class LineShapes::Learner {
 public:
  Learner(const char* at, Shape& shape) : at_(at), literal_(at), shape_(shape) {}

  // False: lines of this shape are not read here.
  [[nodiscard]] bool line() noexcept {
    if (!members(false) || !step(Part::kEnd, at_ + 2) || !place_texts()) return false;
    shape_.stops = stops_ + 1;
    return shape_.stops < StopIndex::kStopsAhead;
  }

 private:
  [[nodiscard]] bool has(Field field) const noexcept {
    return (present_ & LineFields::bit(field)) != 0;
  }

  // What stands from literal_ to `end`, and a part behind it that begins at the stop `stop` of
  // those to come. False: too long, or too many.
  [[nodiscard]] bool step(Part part, const char* end, std::uint32_t stop = 0,
                          std::uint8_t place = kNowhere, std::uint8_t stops = 0) noexcept {
    const auto size = static_cast<std::size_t>(end - literal_);
    if (steps_ == kSteps || size > Literal::kBytesMax) return false;
    Literal& literal = shape_.literals[steps_] = Literal{};
    std::memcpy(literal.text.data(), literal_, size);
    std::memset(literal.mask.data(), 0xFF, size);
    Step& step = shape_.steps[steps_++];
    step.stop = static_cast<std::uint16_t>(stops_ + stop);
    step.part = part;
    step.place = place;
    step.size = static_cast<std::uint8_t>(size);
    step.stops = stops;
    return true;
  }

  // Of an object whose brace is at at_, up to the closing one.
  [[nodiscard]] bool members(bool inner) noexcept {
    if (at_[1] == '}') return ++at_, true;
    do {
      const char* const key = at_ + 2;
      at_ = ascii_end(key) + 2;
      const auto key_bytes = static_cast<std::size_t>(at_ - 2 - key);
      if (!(inner ? inner_member({key, key_bytes}) : member(kFieldTable.find(key, key_bytes)))) {
        return false;
      }
    } while (*at_ == ',');
    return true;
  }

  // `place`: of strings of the line itself a Field until place_texts().
  [[nodiscard]] bool string(Part part, std::uint8_t place) noexcept {
    if (!step(part, at_ + 1, 2, place)) return false;
    literal_ = ascii_end(at_ + 1);
    at_ = literal_ + 1;
    stops_ += 4;
    return true;
  }

  [[nodiscard]] bool scalar(Part part, bool inner) noexcept {
    const char* const end = std::strpbrk(at_, ",}");
    if (!step(part, at_, 1, kNowhere, inner && *end == '}' ? 2 : 1)) return false;
    literal_ = at_ = end;
    stops_ += 2;
    return true;
  }

  [[nodiscard]] bool member(Field field) noexcept {
    if (field != Field::kUnknown) {
      if (has(field)) return false;  // the last one of them counts
      present_ |= LineFields::bit(field);
    }
    switch (field) {
      case Field::kKind:
        return kind();
      case Field::kTs:
        if (*at_ == '"') return string(Part::kTimeText, kNowhere);
        return scalar(Part::kTime, false);
      case Field::kValue:
      case Field::kDurationMs:
        number_steps_[field == Field::kValue ? 0 : 1] = steps_;
        return *at_ != '"' && scalar(Part::kNumber, false);
      case Field::kLabels:
        return *at_ == '{' && labels();
      case Field::kPayload:
        return *at_ == '{' && payload();
      case Field::kUnknown:
        return *at_ == '"' ? string(Part::kIgnored, kNowhere) : scalar(Part::kNumber, false);
      default:
        return *at_ == '"' && string(Part::kText, static_cast<std::uint8_t>(field));
    }
  }

  // What a line is makes its shape: it is compared as the keys are.
  [[nodiscard]] bool kind() noexcept {
    if (*at_ != '"') return false;
    const char* const end = ascii_end(at_ + 1);
    const std::string_view text(at_ + 1, static_cast<std::size_t>(end - at_ - 1));
    if (text != "metric" && text != "action") return false;
    shape_.event.kind = text == "metric" ? EventKind::kMetric : EventKind::kAction;
    at_ = end + 1;
    stops_ += 4;
    return true;
  }

  [[nodiscard]] bool inner_member(std::string_view key) noexcept {
    if (*at_ != '"') return scalar(Part::kScalar, true);
    const auto session = std::find(kSessionKeys.begin(), kSessionKeys.end(), key);
    if (session == kSessionKeys.end()) return string(Part::kIgnored, kNowhere);
    shape_.sessions = true;
    return string(Part::kSession, static_cast<std::uint8_t>(session - kSessionKeys.begin()));
  }

  // Texts alone: where another value is the last one, no quote says where they end.
  [[nodiscard]] bool labels() noexcept {
    const char* end = at_ + 1;
    std::uint32_t quotes = 0;
    for (; *end != '}'; quotes += 4) {
      const char* const value = ascii_end(end + (quotes == 0 ? 1 : 2)) + 2;
      if (*value != '"') return false;
      end = ascii_end(value + 1) + 1;
    }
    if (quotes > UINT8_MAX ||
        !step(Part::kLabels, at_ + 1, 1, kDetail, static_cast<std::uint8_t>(quotes))) {
      return false;
    }
    literal_ = at_ = end + 1;
    stops_ += 2 + quotes;
    return true;
  }

  [[nodiscard]] bool payload() noexcept {
    if (!step(Part::kOpen, at_ + 1, 1, kDetail)) return false;
    literal_ = at_;
    stops_ += 2;
    if (!members(true)) return false;
    ++at_;
    if (!step(Part::kClose, at_, 0, kDetail)) return false;
    literal_ = at_;
    return true;
  }

  // What EventBuilder makes of the fields, where each of its texts has one source alone.
  [[nodiscard]] bool place_texts() noexcept {
    Event& event = shape_.event;
    if (!has(Field::kKind)) {
      if (has(Field::kEventType) || !(has(Field::kMetric) || has(Field::kAction))) return false;
      event.kind = has(Field::kMetric) ? EventKind::kMetric : EventKind::kAction;
    }
    if ((has(Field::kService) && has(Field::kResource)) ||
        (has(Field::kResult) && has(Field::kStatus))) {
      return false;
    }
    const bool metric = event.kind == EventKind::kMetric;
    if (metric && !has(Field::kValue)) return false;
    if (has(metric ? Field::kValue : Field::kDurationMs)) {
      shape_.steps[number_steps_[metric ? 0 : 1]].part = Part::kValue;
    }
    shape_.timed = has(Field::kTs);
    shape_.sessions = shape_.sessions && !metric;
    for (Step& step : std::span(shape_.steps).first(steps_)) {
      if (step.part == Part::kText) {
        step.place = text_place(static_cast<Field>(step.place), metric);
        if (step.place == kNowhere) step.part = Part::kIgnored;
      } else if (step.part == Part::kLabels) {
        if (!metric) step.place = kNowhere;
      } else if (step.part == Part::kOpen || step.part == Part::kClose) {
        if (metric) step.place = kNowhere;
      }
    }
    return true;
  }

  [[nodiscard]] static std::uint8_t text_place(Field field, bool metric) noexcept {
    switch (field) {
      case Field::kService:
      case Field::kResource:
        return place_of(offsetof(Event, service));
      case Field::kDomain:
        return place_of(offsetof(Event, domain));
      case Field::kMetric:
        return metric ? place_of(offsetof(Event, name)) : kNowhere;
      case Field::kAction:
        return metric ? kNowhere : place_of(offsetof(Event, name));
      case Field::kActor:
        return metric ? kNowhere : place_of(offsetof(Event, actor));
      case Field::kSubsystem:
        return metric ? kNowhere : place_of(offsetof(Event, subsystem));
      case Field::kResult:
      case Field::kStatus:
        return metric ? kNowhere : place_of(offsetof(Event, result_text));
      default:
        return kNowhere;
    }
  }

  const char* at_;
  const char* literal_;
  Shape& shape_;
  std::size_t steps_ = 0;
  std::uint32_t stops_ = 0;
  std::uint32_t present_ = 0;                  // bit per Field
  std::array<std::size_t, 2> number_steps_{};  // of value and duration_ms
};

LineShapes::LineShapes(const ParseConfig& config, LabelMemo& labels, bool used)
    : config_(config), labels_(labels), used_(used), stops_(used) {
  GRACE_ASSERT(!used || has_wide_registers(), "line shapes are not for this CPU");
  if (!used_) return;
  shapes_.resize(kShapes);
}

void LineShapes::learn(std::uint32_t begin, std::uint32_t newline) noexcept {
  if (!used_ || newline - begin >= StopIndex::kWindowBytesMax) return;
  // Where shapes hardly ever come again, few are worth their learning.
  if (++offered_ > kAllLearned && offered_ % kLearnedEvery != 0) return;
  const char* const text = chunk_->text();
  for (std::uint32_t at = begin; at < newline; ++at) {
    if (is_stop(text[at]) && text[at] != '"') return;
  }
  Shape shape;
  if (!Learner(text + begin, shape).line()) return;
  shapes_[learned_++ % kShapes] = shape;
}

#if !GRACE_HAS_WIDE
std::uint32_t LineShapes::read_covered(std::uint32_t, core::Event&) noexcept {
  return 0;
}
#endif

}  // namespace grace::parse
