#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace grace::ledger {

// CRC-32C (Castagnoli, reflected 0x82F63B78, initial and final xor all ones). crc32c(a + b) equals
// crc32c_extend(crc32c(a), b). Uses the processor's instruction where it has one, chosen at run
// time; any thread.
[[nodiscard]] std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> bytes);
[[nodiscard]] inline std::uint32_t crc32c(std::span<const std::byte> bytes) {
  return crc32c_extend(0, bytes);
}

// The CRCs of three pieces at once, of which any may be empty: about twice as fast as one after the
// other where they are as long as each other.
[[nodiscard]] std::array<std::uint32_t, 3> crc32c_of_three(
    const std::array<std::span<const std::byte>, 3>& pieces);

// The portable implementation, so that a test can compare the two on any machine.
[[nodiscard]] std::uint32_t crc32c_extend_portable(std::uint32_t crc,
                                                   std::span<const std::byte> bytes);
[[nodiscard]] std::string_view crc32c_implementation();  // "sse4.2" or "portable"

}  // namespace grace::ledger
