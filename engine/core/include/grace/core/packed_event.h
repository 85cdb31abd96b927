#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

// Events as a program publishes them, without JSON, and the packed form in which they travel: one
// record an event, in chunks, rings and the journal. What a record says is judged by parse, with
// the rules and reasons of JSON lines; nothing here validates.
namespace grace::core {

struct Label {
  std::string_view key;
  std::string_view value;
};

// One JSON value as it is written, in one line, for what has no type here: {"a":[1,2]}.
struct RawJson {
  std::string_view text;
};

// A member of a payload.
struct Attribute {
  std::string_view key;
  // A double that is not finite becomes the literal NaN and is rejected as that is: not_finite.
  std::variant<std::string_view, std::int64_t, double, bool, std::span<const std::string_view>,
               RawJson>
      value;
};

// In all: texts are UTF-8, empty means absent; ts_ns are nanoseconds since the Unix epoch, absent
// means the time of arrival. Views need to live during the call that takes them only.
struct MetricSample {
  std::optional<std::int64_t> ts_ns = {};
  std::string_view service = {};  // required
  std::string_view domain = {};
  std::string_view metric = {};  // required
  double value = 0.0;            // finite
  std::span<const Label> labels = {};
};
struct ActionRecord {
  std::optional<std::int64_t> ts_ns = {};
  std::string_view actor = {};   // this or resource is required
  std::string_view action = {};  // required
  std::string_view resource = {};
  std::string_view subsystem = {};
  std::string_view domain = {};
  std::string_view result = {};            // "success", "error" ... as on the wire
  std::optional<double> duration_ms = {};  // 0 or more, finite
  std::span<const Attribute> payload = {};
};
// What an upstream subsystem found. `payload` has the fields of the wire: diagnosis_code and
// confidence, which are required, impact, reasoning, suggested_playbooks ...
struct MeshEvent {
  std::optional<std::int64_t> ts_ns = {};
  std::string_view event_type = {};  // required: one of the ten
  std::string_view source = {};
  std::string_view actor = {};
  std::string_view service = {};  // required
  std::string_view domain = {};
  std::span<const Attribute> payload = {};
};
// Any event in its JSON form, without a newline: controls (core::to_json_line) and what a program
// has as text already.
struct JsonLine {
  std::string_view text;
};

enum class PackedForm : std::uint8_t {
  kPadding = 0,  // no event: room that is left before the end of a ring
  kMetric = 1,   // texts: service, domain, metric; detail: labels
  kAction = 2,   // texts: actor, action, resource, subsystem, domain, result; detail: payload
  kLine = 3,     // detail: the whole line
};

// A record, little-endian, on 8 bytes:
//
//   0            4      5       6      8       16      24                36             40
//   | size_bytes | form | flags | zero | ts_ns | value | 6 x text_bytes | detail_bytes | texts ...
//   ... | detail | newline | padding up to size_bytes |
//
// size_bytes counts all of it and is a multiple of 8. detail is JSON: an object, or a line. The
// newline behind it ends a number in it that has no end. Padding is of any size and never read.
struct PackedHeader {
  static constexpr std::size_t kTexts = 6;
  static constexpr std::uint8_t kHasTs = 1;
  static constexpr std::uint8_t kHasValue = 2;
  static constexpr std::uint8_t kKnownFlags = kHasTs | kHasValue;

  std::uint32_t size_bytes = 0;
  PackedForm form = PackedForm::kPadding;
  std::uint8_t flags = 0;
  std::uint16_t zero = 0;
  std::int64_t ts_ns = 0;
  double value = 0.0;  // a metric's value, an action's duration_ms
  std::array<std::uint16_t, kTexts> text_bytes{};
  std::uint32_t detail_bytes = 0;

  // The text with its newline: texts and detail. At most 6 x 65,535 more than 4 GiB.
  [[nodiscard]] std::uint64_t content_bytes() const noexcept {
    std::uint64_t sum = std::uint64_t{detail_bytes} + 1;
    for (const std::uint16_t bytes : text_bytes) sum += bytes;
    return sum;
  }
};
static_assert(sizeof(PackedHeader) == 40);
static_assert(std::endian::native == std::endian::little, "records are stored as they are");

// A header's first eight bytes: all there is of a record that is padding.
struct PackedPrefix {
  std::uint32_t size_bytes;
  PackedForm form;
  std::uint8_t flags;
  std::uint16_t zero;
};
static_assert(sizeof(PackedPrefix) == 8 && std::is_trivial_v<PackedPrefix>);

inline constexpr std::size_t kPackedAlignBytes = 8;
inline constexpr std::size_t kPackedTextBytesMax = 65'535;  // longest text but detail

// Bytes that pack() may write for this event at most; above the record's own size where a text
// needs escapes. nullopt: a text is longer than a record can say.
[[nodiscard]] std::optional<std::size_t> packed_bound(const MetricSample& event) noexcept;
[[nodiscard]] std::optional<std::size_t> packed_bound(const ActionRecord& event) noexcept;
[[nodiscard]] std::optional<std::size_t> packed_bound(const MeshEvent& event) noexcept;
[[nodiscard]] std::optional<std::size_t> packed_bound(const JsonLine& event) noexcept;
// Writes the record and gives its size_bytes. `out` has packed_bound() bytes, on 8.
std::size_t pack(const MetricSample& event, char* out) noexcept;
std::size_t pack(const ActionRecord& event, char* out) noexcept;
std::size_t pack(const MeshEvent& event, char* out) noexcept;
std::size_t pack(const JsonLine& event, char* out) noexcept;

// The record at the front of `bytes`; nullopt: no whole record is there (too short, or a size that
// no record has). What the record says may still be nonsense.
[[nodiscard]] inline std::optional<PackedHeader> packed_at(std::string_view bytes) noexcept {
  PackedHeader header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.size_bytes < sizeof header || header.size_bytes % kPackedAlignBytes != 0 ||
      header.size_bytes > bytes.size()) {
    return std::nullopt;
  }
  return header;
}

// A series as its program keeps it: the names of its samples, packed once. A SeriesSample then
// costs a copy and two numbers, and is the record of the MetricSample that says the same, byte for
// byte. Gain: 155 to 94 ns to pack an event of the mixed stream (bench/publish_bench). Immutable:
// any thread.
class PackedSeries {
 public:
  // `names`: its time and value do not matter. nullopt: as packed_bound() of it. Allocates.
  [[nodiscard]] static std::optional<PackedSeries> of(const MetricSample& names);
  [[nodiscard]] std::string_view record() const noexcept { return record_; }

 private:
  PackedSeries() = default;
  std::string record_;  // of a sample without time, whose value is 0
};
struct SeriesSample {
  const PackedSeries* series = nullptr;  // required
  std::optional<std::int64_t> ts_ns = {};
  double value = 0.0;  // finite
};
[[nodiscard]] inline std::optional<std::size_t> packed_bound(const SeriesSample& event) noexcept {
  return event.series->record().size();
}
inline std::size_t pack(const SeriesSample& event, char* out) noexcept {
  const std::string_view record = event.series->record();
  std::memcpy(out, record.data(), record.size());
  std::memcpy(out + offsetof(PackedHeader, value), &event.value, sizeof event.value);
  if (event.ts_ns) {
    out[offsetof(PackedHeader, flags)] = PackedHeader::kHasTs | PackedHeader::kHasValue;
    std::memcpy(out + offsetof(PackedHeader, ts_ns), &*event.ts_ns, sizeof *event.ts_ns);
  }
  return record.size();
}

// How many records a packed chunk's text holds. A rest that is no record counts as one.
[[nodiscard]] std::uint64_t packed_count(std::string_view text) noexcept;
// The record that holds byte `at`, or the rest where there is none; at < text.size().
[[nodiscard]] std::string_view packed_record(std::string_view text, std::size_t at) noexcept;

// The record as the JSON line that says the same, for people: dead letters, `grace explain`. What
// is no record, or has no valid content, becomes {"packed":"..."} with its bytes in hexadecimal.
// Cold, appends to `out`.
void append_json_line(std::string_view record, std::string& out);

}  // namespace grace::core
