#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "grace/core/error.h"

namespace grace::tools {

inline constexpr const char* kDefaultLedger = "grace-data/ledger";
inline constexpr std::uint16_t kDefaultTcpPort = 7171;

// Creates the directory and its parents where missing, mode 0700.
[[nodiscard]] core::Result<void> make_directories(const std::string& path);
// All of a file. kIo: it cannot be read; kInvalidArgument: it has more than `bytes_max`.
[[nodiscard]] core::Result<std::string> read_file(const std::string& path, std::size_t bytes_max);
// The control socket of the engine that keeps this ledger.
[[nodiscard]] inline std::string control_socket_of(const std::string& ledger) {
  return (ledger.empty() ? std::string(kDefaultLedger) : ledger) + "/control.sock";
}

}  // namespace grace::tools
