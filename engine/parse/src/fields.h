#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text_scan.h"

namespace grace::parse {

// Top-level fields that some kind of event knows.
enum class Field : std::uint8_t {
  kTs = 0,
  kKind,
  kService,
  kResource,
  kDomain,
  kMetric,
  kValue,
  kLabels,
  kActor,
  kAction,
  kSubsystem,
  kResult,
  kStatus,
  kDurationMs,
  kPayload,
  kEventType,
  kSource,
  kControl,
  kUnknown,
};
inline constexpr std::size_t kFieldCount = 18;
inline constexpr std::array<std::string_view, kFieldCount> kFieldNames{
    "ts",     "kind",        "service", "resource",   "domain",    "metric",
    "value",  "labels",      "actor",   "action",     "subsystem", "result",
    "status", "duration_ms", "payload", "event_type", "source",    "control"};

// Perfect hash from a key's first eight bytes to its field: one multiplication, one compare. The
// multiplier was found by trial; the compiler proves that it separates all names.
class FieldTable {
 public:
  consteval FieldTable() {
    for (std::size_t i = 0; i < kFieldCount; ++i) {
      const std::string_view name = kFieldNames[i];
      Entry& entry = entries_[slot(pack8(name))];
      if (entry.field != Field::kUnknown) throw "two names share a slot: change kMultiplier";
      entry = {pack8(name), name.size() > 8 ? pack8(name, 8) : 0,
               static_cast<std::uint32_t>(name.size()), static_cast<Field>(i)};
    }
  }
  // `key` may be read up to 8 bytes past its end.
  [[nodiscard]] Field find(const char* key, std::size_t size) const noexcept {
    const std::uint64_t word = low_bytes(load8(key), size);
    const Entry& entry = entries_[slot(word)];
    if (entry.word != word || entry.size != size) return Field::kUnknown;
    if (size > 8 && low_bytes(load8(key + 8), size - 8) != entry.tail) return Field::kUnknown;
    return entry.field;
  }

 private:
  struct Entry {
    std::uint64_t word = 0;
    std::uint64_t tail = 0;
    std::uint32_t size = 0;
    Field field = Field::kUnknown;
  };
  static constexpr std::uint64_t kMultiplier = 0xb312ad6fbbdc55a3ULL;
  [[nodiscard]] static constexpr std::size_t slot(std::uint64_t word) noexcept {
    return static_cast<std::size_t>(word * kMultiplier >> 59);
  }
  std::array<Entry, 32> entries_{};
};
inline constexpr FieldTable kFieldTable;

}  // namespace grace::parse
