#pragma once
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "grace/ledger/sha256.h"

namespace grace::ledger::internal {

// SHA-256 (FIPS 180-4) of two messages side by side. A round of the processor's SHA instructions
// waits for the one before; two messages fill the gaps of each other, which gives 1.7 times what
// one after the other does (ledger_ratio, `two` over `sha256`). Without such instructions OpenSSL
// hashes one after the other. Any thread; any lengths, but only what both have is done side by
// side.
[[nodiscard]] std::array<Hash, 2> sha256_of_two(std::span<const std::byte> first,
                                                std::span<const std::byte> second);

// "sha-ni" or "openssl": what sha256_of_two() uses on this processor.
[[nodiscard]] std::string_view sha256_of_two_implementation();

}  // namespace grace::ledger::internal
