#include "grace/core/packed_event.h"

#include <charconv>
#include <cmath>
#include <initializer_list>

#include "grace/core/json_writer.h"

namespace grace::core {
namespace {

constexpr std::size_t kNumberBytesMax = 32;  // any 64-bit integer, any double's shortest text
constexpr std::size_t kEscapedMax = 6;       // a control character: \u0000
constexpr std::size_t kQuotedMin = 2;

constexpr std::size_t aligned(std::size_t bytes) noexcept {
  return (bytes + kPackedAlignBytes - 1) / kPackedAlignBytes * kPackedAlignBytes;
}

constexpr std::size_t quoted_bound(std::string_view text) noexcept {
  return text.size() * kEscapedMax + kQuotedMin;
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

std::size_t value_bound(const Attribute& attribute) noexcept {
  return std::visit(Overloaded{[](std::string_view text) { return quoted_bound(text); },
                               [](const RawJson& json) { return json.text.size(); },
                               [](std::span<const std::string_view> texts) {
                                 std::size_t sum = 2;
                                 for (const std::string_view text : texts) {
                                   sum += quoted_bound(text) + 1;
                                 }
                                 return sum;
                               },
                               [](auto) { return kNumberBytesMax; }},
                    attribute.value);
}

std::size_t object_bound(std::span<const Attribute> members) noexcept {
  std::size_t sum = 2;
  for (const Attribute& member : members) {
    sum += quoted_bound(member.key) + value_bound(member) + 2;
  }
  return sum;
}

// True where a JSON string cannot hold the byte as it is. UTF-8 goes through.
constexpr bool needs_escape(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

std::uint64_t load8(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

std::uint64_t load4(const char* at) noexcept {
  std::uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// True where some byte of the word needs_escape(). The tests for a byte of zero and for one below n
// are exact for whole words: H. Warren, Hacker's Delight, 2nd edition, 6-1.
constexpr bool any_needs_escape(std::uint64_t word) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHighs = 0x8080808080808080ULL;
  const auto below = [&](std::uint64_t bytes, std::uint64_t bound) {
    return (bytes - kOnes * bound) & ~bytes & kHighs;
  };
  return (below(word, 0x20) | below(word ^ kOnes * '"', 1) | below(word ^ kOnes * '\\', 1)) != 0;
}

// Copies a short text by two words that overlap: texts of events are names, and a call of memcpy
// costs more than the bytes. Gain, with plain_prefix(): 178 instead of 212 ns to pack an event
// (bench/publish_bench on a machine that others used too).
void copy(char* to, const char* from, std::size_t size) noexcept {
  if (size >= 8 && size <= 16) [[likely]] {
    const std::uint64_t first = load8(from);
    const std::uint64_t last = load8(from + size - 8);
    std::memcpy(to, &first, sizeof first);
    std::memcpy(to + size - 8, &last, sizeof last);
  } else if (size >= 4 && size < 8) {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::memcpy(&first, from, sizeof first);
    std::memcpy(&last, from + size - 4, sizeof last);
    std::memcpy(to, &first, sizeof first);
    std::memcpy(to + size - 4, &last, sizeof last);
  } else if (size < 4) {
    for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
  } else {
    std::memcpy(to, from, size);
  }
}

// Length of the longest prefix that is known to need no escapes: all of the text as a rule. Keys
// have four to seven bytes as often as more: two words for them make 155 to 148 ns of an event with
// its series by names.
std::size_t plain_prefix(std::string_view text) noexcept {
  const std::size_t size = text.size();
  std::size_t at = 0;
  if (size >= 8) {
    while (at + 8 <= size && !any_needs_escape(load8(text.data() + at))) at += 8;
    if (at + 8 > size && !any_needs_escape(load8(text.data() + size - 8))) return size;
  } else if (size >= 4) {
    const std::uint64_t last = load4(text.data() + size - 4);
    if (!any_needs_escape(load4(text.data()) | last << 32)) return size;
  }
  while (at < size && !needs_escape(text[at])) ++at;
  return at;
}

// Writes behind `at`; the caller has made sure of the room.
class Out {
 public:
  explicit Out(char* at) noexcept : at_(at) {}

  [[nodiscard]] char* at() const noexcept { return at_; }
  void byte(char c) noexcept { *at_++ = c; }
  void raw(std::string_view text) noexcept {
    copy(at_, text.data(), text.size());
    at_ += text.size();
  }
  template <typename Number>
  void number(Number number) noexcept {
    at_ = std::to_chars(at_, at_ + kNumberBytesMax, number).ptr;
  }
  void quoted(std::string_view text) noexcept {
    byte('"');
    const std::size_t plain = plain_prefix(text);
    raw(text.substr(0, plain));
    for (const char c : text.substr(plain)) {
      if (needs_escape(c)) {
        escape(c);
      } else {
        byte(c);
      }
    }
    byte('"');
  }
  void key(std::string_view name) noexcept {
    quoted(name);
    byte(':');
  }

 private:
  void escape(char c) noexcept {
    static constexpr char kHex[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
      byte('\\');
      byte(c);
      return;
    }
    raw("\\u00");
    byte(kHex[static_cast<unsigned char>(c) >> 4]);
    byte(kHex[static_cast<unsigned char>(c) & 15]);
  }
  char* at_;
};

void write_value(Out& out, const Attribute& attribute) noexcept {
  std::visit(Overloaded{[&](std::string_view text) { out.quoted(text); },
                        [&](const RawJson& json) { out.raw(json.text); },
                        [&](std::span<const std::string_view> texts) {
                          out.byte('[');
                          for (std::size_t i = 0; i < texts.size(); ++i) {
                            if (i > 0) out.byte(',');
                            out.quoted(texts[i]);
                          }
                          out.byte(']');
                        },
                        [&](std::int64_t number) { out.number(number); },
                        [&](double number) {
                          if (std::isfinite(number)) {
                            out.number(number);
                          } else {
                            out.raw("NaN");
                          }
                        },
                        [&](bool flag) { out.raw(flag ? "true" : "false"); }},
             attribute.value);
}

void write_object(Out& out, std::span<const Attribute> members) noexcept {
  out.byte('{');
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i > 0) out.byte(',');
    out.key(members[i].key);
    write_value(out, members[i]);
  }
  out.byte('}');
}

bool fits(std::initializer_list<std::string_view> texts) noexcept {
  for (const std::string_view text : texts) {
    if (text.size() > kPackedTextBytesMax) return false;
  }
  return true;
}

// Header, texts and detail of a record, in the order in which they stand.
class RecordWriter {
 public:
  RecordWriter(char* out, PackedForm form) noexcept
      : begin_(out), out_(out + sizeof(PackedHeader)) {
    header_.form = form;
  }
  void time(std::optional<std::int64_t> ts_ns) noexcept {
    if (!ts_ns) return;
    header_.flags |= PackedHeader::kHasTs;
    header_.ts_ns = *ts_ns;
  }
  void value(double value) noexcept {
    header_.flags |= PackedHeader::kHasValue;
    header_.value = value;
  }
  void texts(std::initializer_list<std::string_view> texts) noexcept {
    std::size_t i = 0;
    for (const std::string_view text : texts) {
      header_.text_bytes[i++] = static_cast<std::uint16_t>(text.size());
      out_.raw(text);
    }
  }
  [[nodiscard]] Out& detail() noexcept {
    detail_ = out_.at();
    return out_;
  }
  std::size_t end() noexcept {
    if (detail_ != nullptr) {
      header_.detail_bytes = static_cast<std::uint32_t>(out_.at() - detail_);
    }
    out_.byte('\n');
    const std::size_t size = aligned(static_cast<std::size_t>(out_.at() - begin_));
    // Records are the same bytes for the same event: they are journaled.
    while (out_.at() < begin_ + size) out_.byte('\0');
    header_.size_bytes = static_cast<std::uint32_t>(size);
    std::memcpy(begin_, &header_, sizeof header_);
    return size;
  }

 private:
  PackedHeader header_;
  char* begin_;
  Out out_;
  const char* detail_ = nullptr;
};

// Without its texts and detail.
constexpr std::size_t kEmptyBound = sizeof(PackedHeader) + kPackedAlignBytes;

void optional_key(Out& out, std::string_view key, std::string_view text) noexcept {
  if (text.empty()) return;
  out.byte(',');
  out.key(key);
  out.quoted(text);
}

}  // namespace

std::optional<std::size_t> packed_bound(const MetricSample& event) noexcept {
  if (!fits({event.service, event.domain, event.metric})) return std::nullopt;
  std::size_t sum =
      kEmptyBound + event.service.size() + event.domain.size() + event.metric.size() + 2;
  for (const Label& label : event.labels) {
    sum += quoted_bound(label.key) + quoted_bound(label.value) + 2;
  }
  return sum;
}

std::size_t pack(const MetricSample& event, char* out) noexcept {
  RecordWriter record(out, PackedForm::kMetric);
  record.time(event.ts_ns);
  record.value(event.value);
  record.texts({event.service, event.domain, event.metric});
  if (!event.labels.empty()) {
    Out& detail = record.detail();
    char separator = '{';
    for (const Label& label : event.labels) {
      detail.byte(separator);
      detail.key(label.key);
      detail.quoted(label.value);
      separator = ',';
    }
    detail.byte('}');
  }
  return record.end();
}

std::optional<PackedSeries> PackedSeries::of(const MetricSample& names) {
  const auto bound = packed_bound(names);
  if (!bound) return std::nullopt;
  MetricSample sample = names;
  sample.ts_ns.reset();
  sample.value = 0.0;
  std::vector<std::uint64_t> words(*bound / sizeof(std::uint64_t) + 1);  // records lie on 8
  char* const bytes = reinterpret_cast<char*>(words.data());
  PackedSeries series;
  series.record_.assign(bytes, pack(sample, bytes));
  return series;
}

std::optional<std::size_t> packed_bound(const ActionRecord& event) noexcept {
  if (!fits({event.actor, event.action, event.resource, event.subsystem, event.domain,
             event.result})) {
    return std::nullopt;
  }
  return kEmptyBound + event.actor.size() + event.action.size() + event.resource.size() +
         event.subsystem.size() + event.domain.size() + event.result.size() +
         object_bound(event.payload);
}

std::size_t pack(const ActionRecord& event, char* out) noexcept {
  RecordWriter record(out, PackedForm::kAction);
  record.time(event.ts_ns);
  if (event.duration_ms) record.value(*event.duration_ms);
  record.texts(
      {event.actor, event.action, event.resource, event.subsystem, event.domain, event.result});
  if (!event.payload.empty()) write_object(record.detail(), event.payload);
  return record.end();
}

std::optional<std::size_t> packed_bound(const MeshEvent& event) noexcept {
  constexpr std::size_t kKeys = 128;  // all names of fields, their quotes and commas
  std::size_t sum = kEmptyBound + kKeys + kNumberBytesMax + object_bound(event.payload);
  for (const std::string_view text :
       {event.event_type, event.source, event.actor, event.service, event.domain}) {
    sum += quoted_bound(text);
  }
  return sum;
}

std::size_t pack(const MeshEvent& event, char* out) noexcept {
  RecordWriter record(out, PackedForm::kLine);
  Out& line = record.detail();
  line.raw("{\"kind\":\"mesh\"");
  if (event.ts_ns) {
    line.raw(",\"ts\":");
    line.number(*event.ts_ns);
  }
  optional_key(line, "event_type", event.event_type);
  optional_key(line, "source", event.source);
  optional_key(line, "actor", event.actor);
  optional_key(line, "service", event.service);
  optional_key(line, "domain", event.domain);
  if (!event.payload.empty()) {
    line.raw(",\"payload\":");
    write_object(line, event.payload);
  }
  line.byte('}');
  return record.end();
}

std::optional<std::size_t> packed_bound(const JsonLine& event) noexcept {
  return kEmptyBound + event.text.size();
}

std::size_t pack(const JsonLine& event, char* out) noexcept {
  RecordWriter record(out, PackedForm::kLine);
  record.detail().raw(event.text);
  return record.end();
}

std::uint64_t packed_count(std::string_view text) noexcept {
  std::uint64_t count = 0;
  while (!text.empty()) {
    const auto header = packed_at(text);
    text.remove_prefix(header ? header->size_bytes : text.size());
    ++count;
  }
  return count;
}

std::string_view packed_record(std::string_view text, std::size_t at) noexcept {
  for (;;) {
    const auto header = packed_at(text);
    if (!header) return text;
    if (at < header->size_bytes) return text.substr(0, header->size_bytes);
    at -= header->size_bytes;
    text.remove_prefix(header->size_bytes);
  }
}

namespace {

void append_bytes(std::string_view record, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += "{\"packed\":\"";
  for (const char c : record) {
    out.push_back(kHex[static_cast<unsigned char>(c) >> 4]);
    out.push_back(kHex[static_cast<unsigned char>(c) & 15]);
  }
  out += "\"}";
}

}  // namespace

void append_json_line(std::string_view record, std::string& out) {
  const auto header = packed_at(record);
  if (!header || sizeof *header + header->content_bytes() > record.size() ||
      header->form == PackedForm::kPadding || header->form > PackedForm::kLine) {
    append_bytes(record, out);
    return;
  }
  std::string_view rest = record.substr(sizeof *header);
  // Texts are quoted, detail stands as it is: with a line break it would be two lines.
  const std::string_view detail =
      rest.substr(header->content_bytes() - 1 - header->detail_bytes, header->detail_bytes);
  if (detail.find('\n') != std::string_view::npos) {
    append_bytes(record, out);
    return;
  }
  const auto taken = [&](std::size_t bytes) {
    const std::string_view text = rest.substr(0, bytes);
    rest.remove_prefix(bytes);
    return text;
  };
  static constexpr std::array<const char*, PackedHeader::kTexts> kMetric{"service", "domain",
                                                                         "metric"};
  static constexpr std::array<const char*, PackedHeader::kTexts> kAction{
      "actor", "action", "resource", "subsystem", "domain", "result"};
  if (header->form == PackedForm::kLine) {
    out += detail;
    return;
  }
  const bool metric = header->form == PackedForm::kMetric;
  JsonWriter json(out);
  json.begin_object();
  if ((header->flags & PackedHeader::kHasTs) != 0) json.field("ts", header->ts_ns);
  json.field("kind", metric ? "metric" : "action");
  for (std::size_t i = 0; i < PackedHeader::kTexts; ++i) {
    const std::string_view text = taken(header->text_bytes[i]);
    const char* const key = (metric ? kMetric : kAction)[i];
    if (key != nullptr && !text.empty()) json.field(key, text);
  }
  if ((header->flags & PackedHeader::kHasValue) != 0) {
    json.field(metric ? "value" : "duration_ms", header->value);
  }
  if (header->detail_bytes > 0) {
    json.raw_field(metric ? "labels" : "payload", detail);
  }
  json.end_object();
}

}  // namespace grace::core
