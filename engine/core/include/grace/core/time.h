#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace grace::core {

inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;
inline constexpr std::int64_t kNsPerMinute = 60 * kNsPerSecond;
inline constexpr std::int64_t kNsPerHour = 60 * kNsPerMinute;

// RFC 3339 section 5.6 date-time with optional fraction (1 to 9 digits) and offset. Leap second 60
// is read as the next second. nullopt when malformed or outside years 1678 to 2261 (int64 ns).
[[nodiscard]] std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept;
// UTC, "2025-01-15T14:45:00Z"; a fraction only when there is one, without trailing zeros.
[[nodiscard]] std::string format_rfc3339(std::int64_t ts_ns);
// "15 minutes", "90 seconds", "2 hours": the largest unit that divides it.
[[nodiscard]] std::string format_duration(std::int64_t duration_ns);

}  // namespace grace::core
