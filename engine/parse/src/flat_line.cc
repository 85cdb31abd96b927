#include "flat_line.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "grace/core/hash.h"
#include "plain_number.h"

namespace grace::parse {
namespace {

constexpr std::size_t kTooLong = 32;  // scalars are shorter, or left to the general way

// Where the scalar at `at` ends: before the first comma or closing brace; null: not within reach.
inline const char* scalar_end(const char* at) noexcept {
#if defined(__SSE2__)
  const __m128i comma = _mm_set1_epi8(',');
  const __m128i brace = _mm_set1_epi8('}');
  for (std::size_t part = 0; part < kTooLong; part += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + part));
    const __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(bytes, comma), _mm_cmpeq_epi8(bytes, brace));
    const auto mask = static_cast<std::uint32_t>(_mm_movemask_epi8(ends));
    if (mask != 0) return at + part + std::countr_zero(mask);
  }
  return nullptr;
#else
  const char* const last = at + kTooLong;
  while (at < last && *at != ',' && *at != '}') ++at;
  return at < last ? at : nullptr;
#endif
}

// A scalar that is not kept, but for where it stands; null: none that counts as plain.
inline const char* plain_scalar(const char* at) noexcept {
  const char* const end = scalar_end(at);
  if (end == nullptr) return nullptr;
  return is_plain_scalar(at, static_cast<std::size_t>(end - at)) ? end : nullptr;
}

// Bytes from `at` to the first closing brace and with it, all of them ASCII and none a control
// character; 0: there are more than `most`, a multiple of 16, or others.
inline std::size_t size_to_brace(const char* at, std::size_t most) noexcept {
#if defined(__SSE2__)
  for (std::size_t part = 0; part < most; part += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + part));
    const auto braces =
        static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('}'))));
    const auto others = static_cast<std::uint32_t>(
        _mm_movemask_epi8(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20))));  // from 0x80 on: negative
    if ((braces | others) == 0) continue;
    if (braces == 0 || (others & (braces - 1) & ~braces) != 0) return 0;
    return part + static_cast<std::size_t>(std::countr_zero(braces)) + 1;
  }
  return 0;
#else
  std::size_t size = 0;
  while (size < most && at[size] != '}' && static_cast<signed char>(at[size]) >= 0x20) ++size;
  return size < most && at[size] == '}' ? size + 1 : 0;
#endif
}

// Reads up to 15 bytes past both ends.
inline bool same_bytes(const char* a, const char* b, std::size_t size) noexcept {
#if defined(__SSE2__)
  for (;; size -= 16, a += 16, b += 16) {
    const __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a)),
                                        _mm_loadu_si128(reinterpret_cast<const __m128i*>(b)));
    const auto differ = static_cast<std::uint32_t>(_mm_movemask_epi8(same)) ^ 0xFFFFU;
    if (size <= 16) return (differ & ((1U << size) - 1U)) == 0;
    if (differ != 0) return false;
  }
#else
  return std::memcmp(a, b, size) == 0;
#endif
}

// Where the lines of a kind keep what they have learned. Metric, action, mesh and control lines
// part; any other text falls anywhere.
inline std::size_t group_of(const char* kind, const char* end) noexcept {
  return (static_cast<std::size_t>(*kind) + static_cast<std::size_t>(end - kind)) & 7U;
}

}  // namespace

inline bool FlatLine::matches(const Step& step, const char* at) noexcept {
#if defined(__SSE2__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i known = _mm_load_si128(reinterpret_cast<const __m128i*>(step.literal.data()));
  const auto same = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, known)));
  return (same & step.compared) == step.same;
#else
  return step.compared != 0 && std::memcmp(at, step.literal.data(), step.size) == 0 &&
         (step.value != Value::kScalar || at[step.size] != '"');
#endif
}

// The quote that ends the string whose content begins at `at`, null as with plain_end().
inline const char* FlatLine::string_end(const char* at) noexcept {
  const char* const end = ascii_end(at);
  if (*end == '"') [[likely]]
    return end;
  if (static_cast<signed char>(*end) >= 0) return nullptr;
  is_beyond_ascii_ = true;
  return plain_end(end);
}

// What stands at `at`, as a step: `lead`, a key, its colon and the begin of a value. The key; null:
// something else stands there.
std::string_view FlatLine::learn(Step& step, const char* at, char lead) noexcept {
  if (at[0] != lead || at[1] != '"') return {};
  const char* const key = at + 2;
  const char* const end = ascii_end(key);  // what is compared later need not be judged again
  if (*end != '"' || end[1] != ':') return {};
  const auto key_bytes = static_cast<std::size_t>(end - key);
  if (key_bytes > kKeyBytesMax) return {};
  std::size_t size = key_bytes + 4;  // `,"":`
  const char first = end[2];
  if (first == '"' || first == '{') {
    step.value = first == '"' ? Value::kString : Value::kObject;
    ++size;
  }
  const std::size_t compared = step.value == Value::kScalar ? size + 1 : size;
  if (compared <= step.literal.size()) {
    const std::array words{load8(at) & kByteMasks.first[size],
                           load8(at + 8) & kByteMasks.second[size]};
    std::memcpy(step.literal.data(), words.data(), sizeof words);
    if (compared > size) step.literal[size] = '"';
    step.compared = static_cast<std::uint16_t>((1U << compared) - 1);
    step.same = static_cast<std::uint16_t>((1U << size) - 1);
  }
  step.size = static_cast<std::uint8_t>(size);
  step.key_hash = hash_short(key, key_bytes);
  return {key, key_bytes};
}

// The step at `at` where the first guess is wrong, null where none is there. `mean` says of a new
// one what its key means.
template <typename Mean>
const FlatLine::Step* FlatLine::other_step(Guesses& guesses, const char* at, char lead,
                                           Mean&& mean) noexcept {
  if (matches(guesses[1], at)) return &guesses[1];
  Step step;
  const std::string_view key = learn(step, at, lead);
  if (key.data() == nullptr) return nullptr;
  mean(step, key);
  if (step.compared == 0) return &(passing_ = step);
  guesses[1] = guesses[0];
  return &(guesses[0] = step);
}

// Of a line's own members.
const FlatLine::Step* FlatLine::top_step(Guesses& guesses, const char* at, char lead) noexcept {
  return other_step(guesses, at, lead, [](Step& step, std::string_view key) {
    const Field field = kFieldTable.find(key.data(), key.size());
    step.meaning = static_cast<std::uint8_t>(field);
    step.next = step.meaning;
    if (field != Field::kUnknown) return;
    step.next = static_cast<std::uint8_t>(kOthers + step.key_hash % (kSteps - kOthers));
  });
}

// Of a member of labels or payload, whether or not the first guess is right.
inline const FlatLine::Step* FlatLine::inner_step(Guesses& guesses, const char* at,
                                                  char lead) noexcept {
  if (matches(guesses[0], at)) [[likely]]
    return &guesses[0];
  return other_step(guesses, at, lead, [](Step& step, std::string_view key) {
    const auto session = std::find(kSessionKeys.begin(), kSessionKeys.end(), key);
    step.meaning = static_cast<std::uint8_t>(session - kSessionKeys.begin());
    step.next = static_cast<std::uint8_t>(1 + step.key_hash % (kInnerSteps - 1));
  });
}

// Labels whose opening brace is at `at`; the place behind the closing one, or null.
inline const char* FlatLine::read_labels(const char* at, LineFields& fields) noexcept {
  fields.labels_nested = false;
  const std::size_t size = size_to_brace(at, KnownLabels::kBytesMax);
  if (size == 0) return walk_labels(at, fields);
  KnownLabels& known = known_labels_[hash_short(at, size) % kKnownLabels];
  if (known.size_bytes == size && same_bytes(known.text.data(), at, size)) [[likely]] {
    fields.labels_hash = known.hash;
    return at + size;
  }
  const char* const end = walk_labels(at, fields);
  if (end != at + size) return end;  // a brace in a string, or not in this form
  std::memcpy(known.text.data(), at, size);
  known.hash = fields.labels_hash;
  known.size_bytes = static_cast<std::uint32_t>(size);
  return end;
}

const char* FlatLine::walk_labels(const char* at, LineFields& fields) noexcept {
  fields.labels_hash = 0;
  if (at[1] == '}') return at + 2;
  std::uint64_t hash = 0;
  std::size_t index = 0;
  char lead = '{';
  do {
    const Step* const step = inner_step(labels_[index], at, lead);
    if (step == nullptr) return nullptr;
    if (step->value == Value::kObject) return nullptr;
    const bool text = step->value == Value::kString;
    const char* const begin = at + step->size;
    const char* const end = text ? string_end(begin) : plain_scalar(begin);
    if (end == nullptr) return nullptr;
    const std::uint64_t value_hash = hash_short(begin, static_cast<std::size_t>(end - begin));
    hash += core::combine(step->key_hash, value_hash);
    at = text ? end + 1 : end;
    index = step->next;
    lead = ',';
  } while (*at == ',');
  fields.labels_hash = hash;
  return *at == '}' ? at + 1 : nullptr;
}

// The same for a payload.
inline const char* FlatLine::read_payload(const char* text, const char* at,
                                          LineFields& fields) noexcept {
  fields.session_present = 0;
  if (at[1] == '}') return at + 2;
  std::size_t index = 0;
  char lead = '{';
  do {
    const Step* const step = inner_step(payload_[index], at, lead);
    if (step == nullptr) return nullptr;
    at += step->size;
    const bool session = step->meaning < kSessionKeys.size();
    if (step->value == Value::kString) {
      const char* const end = string_end(at);
      if (end == nullptr) return nullptr;
      if (session) [[unlikely]] {
        const std::uint32_t bit = 1U << step->meaning;
        fields.session[step->meaning] = {static_cast<std::uint32_t>(at - 1 - text),
                                         static_cast<std::uint32_t>(end + 1 - text)};
        fields.session_present &= ~bit;
        if (end != at) fields.session_present |= bit;
        fields.session_escaped &= ~bit;
      }
      at = end + 1;
    } else {
      if (step->value == Value::kObject || session) return nullptr;
      at = plain_scalar(at);
      if (at == nullptr) return nullptr;
    }
    index = step->next;
    lead = ',';
  } while (*at == ',');
  return *at == '}' ? at + 1 : nullptr;
}

// A number that is the value of a top-level field, kept where that is one of numbers. The place
// behind it, or null: none, or another scalar.
inline const char* FlatLine::number(const char* at, Field field, LineFields& fields) noexcept {
  Number other;
  Number& number = field == Field::kTs           ? fields.ts
                   : field == Field::kValue      ? fields.value
                   : field == Field::kDurationMs ? fields.duration_ms
                                                 : other;
  // Whatever stands behind it is judged by the next step: it must be a comma or a brace.
  if (field == Field::kTs && read_plain_ns(at, 19, number.integer)) {
    number.form = NumberForm::kInteger;
    number.value = static_cast<double>(number.integer);
    return at + 19;
  }
  const char* const end = scalar_end(at);
  if (end == nullptr || end == at || !is_digit(end[-1])) return nullptr;
  number = read_plain_number(at, static_cast<std::size_t>(end - at));
  return number.valid() ? end : nullptr;
}

std::uint32_t FlatLine::read(const char* text, std::uint32_t begin, LineFields& fields) noexcept {
  const char* at = text + begin;
  char lead = '{';
  std::size_t group = 0;
  std::size_t index = kFirst;
  std::uint32_t present = 0;
  is_beyond_ascii_ = false;
  fields.escaped = 0;
  fields.session_present = 0;
  for (;;) {
    const Step* step = &steps_[group][index][0];
    if (!matches(*step, at)) [[unlikely]] {
      if (*at == '}') break;
      step = top_step(steps_[group][index], at, lead);
      if (step == nullptr) return 0;
    }
    const auto field = static_cast<Field>(step->meaning);
    const char* const value = at + step->size;
    const char* value_begin = value;
    if (step->value == Value::kString) {
      at = string_end(value);
      if (at == nullptr) return 0;
      if (field == Field::kKind) group = group_of(value, at);
      ++at;
      --value_begin;
    } else if (step->value == Value::kScalar) {
      at = number(value, field, fields);
      if (at == nullptr) {
        // A null here once, and objects since: their literal begins as that of a scalar.
        if (*value == '{') steps_[group][index] = Guesses{};
        return 0;
      }
    } else {
      --value_begin;
      if (field == Field::kLabels) {
        at = read_labels(value_begin, fields);
      } else if (field == Field::kPayload) {
        at = read_payload(text, value_begin, fields);
      } else {
        return 0;
      }
      if (at == nullptr) return 0;
    }
    present |= LineFields::bit(field);
    fields.spans[static_cast<std::size_t>(field)] = {static_cast<std::uint32_t>(value_begin - text),
                                                     static_cast<std::uint32_t>(at - text)};
    index = step->next;
    lead = ',';
  }
  if (lead == '{' || at[1] != '\n') return 0;
  if (is_beyond_ascii_ &&
      !simdjson::validate_utf8(text + begin, static_cast<std::size_t>(at - text) - begin)) {
    return 0;
  }
  fields.present = present & ~LineFields::bit(Field::kUnknown);
  return static_cast<std::uint32_t>(at + 1 - text);
}

const char* FlatLine::labels(const char* at, LineFields& fields) noexcept {
  return read_labels(at, fields);
}

const char* FlatLine::payload(const char* text, const char* at, LineFields& fields) noexcept {
  return read_payload(text, at, fields);
}

}  // namespace grace::parse
