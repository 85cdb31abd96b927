#pragma once
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

// The portable implementation, so that a test can compare the two on any machine.
[[nodiscard]] std::uint32_t crc32c_extend_portable(std::uint32_t crc,
                                                   std::span<const std::byte> bytes);
[[nodiscard]] std::string_view crc32c_implementation();  // "sse4.2" or "portable"

}  // namespace grace::ledger
