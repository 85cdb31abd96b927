#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace grace::ledger {

using Hash = std::array<std::uint8_t, 32>;

[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);

// Incremental SHA-256 (OpenSSL behind it; the only door to OpenSSL in Grace). One thread at a time.
// Memory is taken in the constructor only; update() and finish() do not allocate. Aborts if OpenSSL
// offers no SHA-256, which is a broken installation.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  // The digest of everything since construction or the last finish(); starts anew.
  [[nodiscard]] Hash finish();
  // The digest so far; more may follow. For progress reports: copies the state.
  [[nodiscard]] Hash peek() const;
  [[nodiscard]] std::string finish_hex() { return to_hex(finish()); }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] Hash sha256(std::span<const std::byte> bytes);

}  // namespace grace::ledger
