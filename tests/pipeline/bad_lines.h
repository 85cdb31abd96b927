#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine_fixture.h"
#include "grace/parse/reject_reason.h"
#include "random.h"

namespace grace::testing {

inline constexpr std::size_t kLineBytesMax = 8192;  // of the streams below

// Makes lines that must be rejected, each for a known reason: a good line with one thing wrong at a
// random place. All reasons but `truncated`, which only the last line of a source can have.
class BadLines {
 public:
  explicit BadLines(std::uint64_t seed) : random_(seed) {}

  struct Line {
    parse::RejectReason reason;
    std::string text;
  };
  Line next() {
    const auto reason = static_cast<parse::RejectReason>(turn_++ % parse::kRejectReasonCount);
    return {
        reason == parse::RejectReason::kTruncated ? parse::RejectReason::kMalformedJson : reason,
        broken(reason)};
  }

 private:
  using Reason = parse::RejectReason;
  struct Parts {
    std::string ts = "1736924400000000000", kind = R"("metric")", service = R"("api")",
                metric = R"("latency_ms")", value = "12.5", labels = R"({"host":"n1"})";
    std::string more;
  };
  static std::string line_of(const Parts& parts) {
    return R"({"ts":)" + parts.ts + R"(,"kind":)" + parts.kind + R"(,"service":)" + parts.service +
           R"(,"metric":)" + parts.metric + R"(,"value":)" + parts.value + R"(,"labels":)" +
           parts.labels + parts.more + "}";
  }
  std::string pick(std::initializer_list<std::string_view> choices) {
    return std::string(*(choices.begin() + random_.below(choices.size())));
  }
  // A field that is ignored, at a random place: its value must still be sound.
  std::string somewhere(const std::string& json) {
    std::string text = line_of(parts_);
    static constexpr std::array<std::string_view, 4> kPlaces{R"("ts")", R"("service")",
                                                             R"("value")", R"("labels")"};
    text.insert(text.find(kPlaces[random_.below(kPlaces.size())]), R"("extra":)" + json + ",");
    return text;
  }

  std::string broken(Reason reason) {
    parts_ = Parts();
    parts_.value = std::to_string(random_.below(1000));
    std::string text = line_of(parts_);
    switch (reason) {
      case Reason::kTruncated:
      case Reason::kMalformedJson:
        if (random_.chance(0.5)) {
          text.resize(1 + random_.below(text.size() - 1));  // cut short
          if (text.back() == ' ') text.back() = '{';
        } else {
          text.insert(text.size() - 1, pick({",", "}", "]", " x", "\"", R"(,"a")", R"(,"a":)"}));
        }
        return text;
      case Reason::kInvalidUtf8:
        text[random_.below(text.size())] = static_cast<char>(0x80 + random_.below(0x80));
        return text;
      case Reason::kNotObject:
        return pick({"[" + text + "]", "42", "\"text\"", "null", "true"});
      case Reason::kWrongType:
        (random_.chance(0.5) ? parts_.value : parts_.service) = pick({"true", "[]", "{}", "[1]"});
        return line_of(parts_);
      case Reason::kMissingField:
        (random_.chance(0.5) ? parts_.metric : parts_.service) = pick({R"("")", "null"});
        return line_of(parts_);
      case Reason::kNotFinite:
        parts_.value = pick({"NaN", "Infinity", "-Infinity", "1e999", "-1e400"});
        return line_of(parts_);
      case Reason::kOutOfRange:
        return somewhere(pick({"123456789012345678901234567890", "-99999999999999999999"}));
      case Reason::kFieldTooLong:
        (random_.chance(0.5) ? parts_.metric : parts_.service) =
            '"' + std::string(257 + random_.below(500), 'n') + '"';
        return line_of(parts_);
      case Reason::kLineTooLong:
        parts_.more = R"(,"note":")" + std::string(kLineBytesMax + random_.below(5000), 'z') + '"';
        return line_of(parts_);
      case Reason::kTooDeep: {
        const std::size_t depth = 64 + random_.below(100);  // the line's own object is one more
        return somewhere(std::string(depth, '[') + std::string(depth, ']'));
      }
      case Reason::kTsInvalid:
        parts_.ts = pick({R"("yesterday")", "-5", R"("2025-13-01T00:00:00Z")", R"("")"});
        return line_of(parts_);
      case Reason::kTsAhead:
        parts_.ts = std::to_string(kArrivalNs + 601'000'000'000 +
                                   static_cast<std::int64_t>(random_.below(1'000'000'000)));
        return line_of(parts_);
      case Reason::kUnknownKind:
        parts_.kind = pick({R"("metrik")", R"("METRIC")", R"("")", R"("log")"});
        return line_of(parts_);
      case Reason::kUnknownEventType:
        return R"({"event_type":")" + pick({"proactive.guess", "metaloop.directive", "x"}) +
               R"(","resource":"api","payload":{"diagnosis_code":"d","confidence":0.9}})";
      case Reason::kUnknownControl:
        return R"({"kind":"control","control":")" + pick({"explode", "Approve", "stop"}) + "\"}";
      case Reason::kControlForbidden:
        return R"({"kind":"control","control":")" + pick({"tick", "step_result"}) +
               R"(","run_id":"r","step_index":0,"ok":true})";
      case Reason::kInvalidPayload:
        return R"({"event_type":"proactive.drift_detected","resource":"api",)"
               R"("payload":{"diagnosis_code":"d","confidence":0.9,"impact":")" +
               pick({"gigantic", "none", "HIGHEST"}) + "\"}}";
    }
    return text;
  }

  tools::Random random_;
  Parts parts_;
  std::uint64_t turn_ = 0;
};

}  // namespace grace::testing
