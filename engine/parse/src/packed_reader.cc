#include "packed_reader.h"

#include <array>
#include <cmath>
#include <cstring>

#include "event_keys.h"
#include "text_scan.h"

namespace grace::parse {
namespace {

using core::PackedForm;

// What the parts of a record mean. `texts`: in the order in which records hold them; kUnknown:
// there is none.
struct Layout {
  std::array<Field, core::PackedHeader::kTexts> texts;
  Field name, value, detail;
};
constexpr Layout kMetricLayout{{Field::kService, Field::kDomain, Field::kMetric, Field::kUnknown,
                                Field::kUnknown, Field::kUnknown},
                               Field::kMetric,
                               Field::kValue,
                               Field::kLabels};
constexpr Layout kActionLayout{{Field::kActor, Field::kAction, Field::kResource, Field::kSubsystem,
                                Field::kDomain, Field::kResult},
                               Field::kAction,
                               Field::kDurationMs,
                               Field::kPayload};

// Reads up to 15 bytes past the end: the newline and the chunk's padding.
bool is_ascii(const char* text, std::size_t size) noexcept {
#if defined(__SSE2__)
  __m128i all = _mm_setzero_si128();
  for (; size > 16; size -= 16, text += 16) {
    all = _mm_or_si128(all, _mm_loadu_si128(reinterpret_cast<const __m128i*>(text)));
  }
  const __m128i last = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text));
  const auto beyond = static_cast<std::uint32_t>(_mm_movemask_epi8(last)) & ((1U << size) - 1U);
  return (static_cast<std::uint32_t>(_mm_movemask_epi8(all)) | beyond) == 0;
#else
  std::uint64_t bits = 0;
  for (; size >= 8; size -= 8, text += 8) bits |= load8(text);
  bits |= low_bytes(load8(text), size);
  return (bits & 0x8080808080808080ULL) == 0;
#endif
}

bool is_utf8(const char* text, std::size_t size) noexcept {
  return is_ascii(text, size) || simdjson::validate_utf8(text, size);
}

}  // namespace

RejectReason reason_of(WalkResult result, const LineWalker& walker) noexcept {
  switch (result) {
    case WalkResult::kNotObject:
      return RejectReason::kNotObject;
    case WalkResult::kTooDeep:
      return RejectReason::kTooDeep;
    case WalkResult::kBadNumber:
      if (walker.bad_field() == Field::kTs) return RejectReason::kTsInvalid;
      return walker.bad_number() == NumberForm::kNotFinite ? RejectReason::kNotFinite
                                                           : RejectReason::kOutOfRange;
    case WalkResult::kOk:
    case WalkResult::kMalformed:
      break;
  }
  return RejectReason::kMalformedJson;
}

PackedReader::PackedReader(const ParseConfig& config, JsonTools tools)
    : config_(config), tools_(tools), builder_(config) {}

void PackedReader::begin(core::Chunk& chunk) noexcept {
  chunk_ = &chunk;
  builder_.begin_chunk(chunk);
  at_ = begin_ = 0;
}

// Hot: GCC 12 holds the ways behind so many checks for rare, and copies an event there with `rep
// movs`. Gain: 3% to 4% of a worker's time for published events.
[[gnu::hot]] std::optional<RejectReason> PackedReader::next(core::Event& event) {
  begin_ = at_;
  const std::string_view rest(chunk_->text() + begin_, chunk_->size_bytes - begin_);
  const auto header = core::packed_at(rest);
  if (!header) {  // nobody knows where the next record would begin
    at_ = chunk_->size_bytes;
    return RejectReason::kMalformedJson;
  }
  at_ = begin_ + header->size_bytes;
  const std::uint64_t content = header->content_bytes();
  if (content > header->size_bytes - sizeof *header || header->zero != 0 ||
      (header->flags & ~Header::kKnownFlags) != 0 || rest[sizeof *header + content - 1] != '\n') {
    return RejectReason::kMalformedJson;
  }
  if (content - 1 > config_.line_bytes_max) return RejectReason::kLineTooLong;
  if (!is_utf8(rest.data() + sizeof *header, content - 1)) return RejectReason::kInvalidUtf8;
  switch (header->form) {
    case PackedForm::kMetric:
      if (read_quick<PackedForm::kMetric>(*header, event)) return std::nullopt;
      return read_fields<PackedForm::kMetric>(*header, event);
    case PackedForm::kAction:
      if (read_quick<PackedForm::kAction>(*header, event)) return std::nullopt;
      return read_fields<PackedForm::kAction>(*header, event);
    case PackedForm::kLine:
      return read_line(*header, event);
    case PackedForm::kPadding:
      break;
  }
  return RejectReason::kMalformedJson;
}

// A JSON line in a record: it is judged as it would be in a chunk of lines.
std::optional<RejectReason> PackedReader::read_line(const Header& header, core::Event& event) {
  const std::uint32_t begin = begin_ + static_cast<std::uint32_t>(sizeof header);
  const std::uint32_t size = header.detail_bytes;
  const char* const text = chunk_->text() + begin;
  if (size == 0 || header.content_bytes() != std::uint64_t{size} + 1 || header.flags != 0 ||
      std::memchr(text, '\n', size) != nullptr) {
    return RejectReason::kMalformedJson;
  }
  if (tools_.flat.read(text, 0, fields_) != size) {
    if (!tools_.index.build(text, size + 1) || tools_.index.tokens()[0] >= size) {
      return RejectReason::kMalformedJson;
    }
    tools_.walker.begin_window(text, size + 1, tools_.index.tokens());
    const WalkResult result =
        tools_.walker.walk(0, size, fields_, chunk_->scratch() + chunk_->scratch_used_bytes);
    if (result != WalkResult::kOk) return reason_of(result, tools_.walker);
  }
  tools_.builder.begin_chunk(*chunk_);
  const auto reason = tools_.builder.build(fields_, {begin, begin, begin + size}, event);
  event.sequence = sequence();
  return reason;
}

// The record as an event at once, where nothing is unusual about it: no way over LineFields.
// False: read_fields() decides. Gain: 57 to 46 ns a record (bench/publish_bench).
template <PackedForm kForm>
inline bool PackedReader::read_quick(const Header& header, core::Event& event) noexcept {
  constexpr bool kIsMetric = kForm == PackedForm::kMetric;
  event = nothing_;
  event.kind = kIsMetric ? core::EventKind::kMetric : core::EventKind::kAction;
  // In the order in which records hold them; a metric has no more than three.
  const std::array<core::TextRef*, Header::kTexts> texts =
      kIsMetric
          ? std::array<core::TextRef*, Header::kTexts>{&event.service, &event.domain, &event.name,
                                                       nullptr,        nullptr,       nullptr}
          : std::array{&event.actor,     &event.name,   &event.service,
                       &event.subsystem, &event.domain, &event.result_text};
  std::uint32_t at = begin_ + static_cast<std::uint32_t>(sizeof header);
  std::uint32_t sizes = 0;
  for (std::size_t i = 0; i < Header::kTexts; ++i) {
    const std::uint32_t size = header.text_bytes[i];
    if (texts[i] == nullptr) {
      if (size != 0) return false;
      continue;
    }
    if (size != 0) *texts[i] = {at, size};
    sizes |= size;
    at += size;
  }
  if (sizes > config_.name_bytes_max) return false;  // at most twice the longest one
  const bool has_value = (header.flags & Header::kHasValue) != 0;
  if (has_value) event.value = header.value;
  if ((kIsMetric && !has_value) || (has_value && !std::isfinite(header.value))) return false;
  event.ts_ns = (header.flags & Header::kHasTs) != 0 ? header.ts_ns : chunk_->arrival_ns;
  if (event.ts_ns < 0 || is_ahead(event.ts_ns, chunk_->arrival_ns, config_.ahead_max.count())) {
    return false;
  }
  fields_.labels_hash = 0;
  fields_.session_present = 0;
  const char* const detail = chunk_->text() + at;
  if (header.detail_bytes > 0) {
    if (*detail != '{' ||
        !read_flat(kIsMetric ? Field::kLabels : Field::kPayload, detail, header.detail_bytes)) {
      return false;
    }
    event.detail = {at, header.detail_bytes};
  }
  event.sequence = sequence();
  event.text = chunk_->text();
  event.line = {begin_, header.size_bytes};
  event.trusted = chunk_->trusted ? 1 : 0;
  if (!complete(event, fields_.labels_hash)) return false;
  if (fields_.session_present != 0) [[unlikely]] {
    const Span session =
        fields_.session[static_cast<std::size_t>(std::countr_zero(fields_.session_present))];
    event.session_key =
        session_key_of({detail + session.begin + 1, session.end - session.begin - 2});
  }
  return true;
}

// Spans count from the record's begin.
template <PackedForm kForm>
std::optional<RejectReason> PackedReader::read_fields(const Header& header, core::Event& event) {
  constexpr Layout kLayout = kForm == PackedForm::kMetric ? kMetricLayout : kActionLayout;
  // The name makes it what it is, even when it is empty.
  std::uint32_t present = LineFields::bit(kLayout.name);
  auto at = static_cast<std::uint32_t>(sizeof header);
  for (std::size_t i = 0; i < Header::kTexts; ++i) {
    const std::uint32_t size = header.text_bytes[i];
    const Field field = kLayout.texts[i];
    if (field == Field::kUnknown) {
      if (size != 0) return RejectReason::kMalformedJson;
      continue;
    }
    fields_.spans[static_cast<std::size_t>(field)] = {at, at + size};
    present |= static_cast<std::uint32_t>(size != 0) << static_cast<unsigned>(field);
    at += size;
  }
  fields_.present = present;
  fields_.escaped = 0;
  fields_.session_present = 0;
  const bool has_value = (header.flags & Header::kHasValue) != 0;
  if (has_value && !std::isfinite(header.value)) return RejectReason::kNotFinite;
  if (header.detail_bytes > 0) {
    const auto reason = read_detail(kLayout.detail, at, header.detail_bytes);
    if (reason) return reason;
  }
  if ((header.flags & Header::kHasTs) != 0) {
    fields_.present |= LineFields::bit(Field::kTs);
    fields_.ts.form = NumberForm::kInteger;
    fields_.ts.integer = header.ts_ns;
  }
  if (has_value) {
    fields_.present |= LineFields::bit(kLayout.value);
    (kForm == PackedForm::kMetric ? fields_.value : fields_.duration_ms).value = header.value;
  }
  return builder_.build(fields_, {begin_, begin_, begin_ + header.size_bytes}, event);
}

// False: left to the general way.
inline bool PackedReader::read_flat(Field field, const char* text, std::size_t size) noexcept {
  if (field == Field::kPayload) return tools_.flat.payload(text, text, fields_) == text + size;
  if (!tools_.labels.used()) return tools_.flat.labels(text, fields_) == text + size;
  fields_.labels_nested = false;
  return tools_.labels.read(text, size, fields_.labels_hash);
}

// Labels or payload, as JSON.
std::optional<RejectReason> PackedReader::read_detail(Field field, std::uint32_t begin,
                                                      std::uint32_t size) {
  const char* const text = chunk_->text() + begin_ + begin;
  const auto shift = [&](Span& span) { span = {span.begin + begin, span.end + begin}; };
  if (*text == '{') [[likely]] {
    if (read_flat(field, text, size)) [[likely]] {
      fields_.spans[static_cast<std::size_t>(field)] = {begin, begin + size};
      fields_.present |= LineFields::bit(field);
      if (fields_.session_present != 0) {
        for (Span& session : fields_.session) shift(session);
      }
      return std::nullopt;
    }
  }
  // A line break between members would be none in a line, and what is shown of this is one.
  if (std::memchr(text, '\n', size) != nullptr || !tools_.index.build(text, size + 1)) {
    return RejectReason::kMalformedJson;
  }
  tools_.walker.begin_window(text, size + 1, tools_.index.tokens());
  const WalkResult result = tools_.walker.walk_value(
      field, size, fields_, chunk_->scratch() + chunk_->scratch_used_bytes);
  if (result != WalkResult::kOk) return reason_of(result, tools_.walker);
  if (!fields_.has(field)) return std::nullopt;  // null
  shift(fields_.spans[static_cast<std::size_t>(field)]);
  for (Span& session : fields_.session) shift(session);
  return std::nullopt;
}

std::string_view PackedReader::line() {
  line_.clear();
  core::append_json_line(std::string_view(chunk_->text() + begin_, at_ - begin_), line_);
  return line_;
}

}  // namespace grace::parse
