#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace grace::core {

// XXH3 64-bit (xxHash specification 0.1.1, seed 0). Stable across runs and machines: ids and
// partition choices derive from it.
[[nodiscard]] std::uint64_t hash_bytes(std::string_view bytes) noexcept;

// Finalizer of MurmurHash3 (fmix64): a bijection that mixes every input bit into every output bit.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

// Order matters: combine(a, b) != combine(b, a).
[[nodiscard]] constexpr std::uint64_t combine(std::uint64_t a, std::uint64_t b) noexcept {
  return mix(a * 0x9e3779b97f4a7c15ULL + b);
}

// For unordered containers by std::string that are asked with views. Their order must reach no
// output.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return static_cast<std::size_t>(hash_bytes(text));
  }
};

// 16 lower-case hexadecimal digits; the tail of trigger, incident and run ids.
[[nodiscard]] std::string hex(std::uint64_t value);

}  // namespace grace::core
