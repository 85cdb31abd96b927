#pragma once
#include <cstddef>
#include <cstdint>

namespace grace::core {

enum class IoState : std::uint8_t {
  kOk = 0,
  kWouldBlock,  // nothing now; ask again later
  kEnd,         // end of file, or the peer has closed its side
};

// What one read or write that did not fail came to. bytes > 0 only with kOk.
struct IoCount {
  std::size_t bytes = 0;
  IoState state = IoState::kOk;
};

}  // namespace grace::core
