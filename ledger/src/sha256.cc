#include "grace/ledger/sha256.h"

#include <openssl/evp.h>

#include "assert.h"

namespace grace::ledger {
namespace {

// Fetched once: a fetch by name for every digest costs more than hashing a small block.
const EVP_MD* algorithm() {
  static EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  GRACE_LEDGER_ASSERT(fetched != nullptr, "OpenSSL offers no SHA-256");
  return fetched;
}

void check(int outcome) {
  GRACE_LEDGER_ASSERT(outcome == 1, "OpenSSL failed to hash");
}

struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, ContextFree>;

Context make_context() {
  Context context(EVP_MD_CTX_new());
  GRACE_LEDGER_ASSERT(context != nullptr, "no memory for a hash");
  return context;
}

Hash final_of(EVP_MD_CTX* context) {
  Hash hash{};
  unsigned size = 0;
  check(EVP_DigestFinal_ex(context, hash.data(), &size));
  GRACE_LEDGER_ASSERT(size == hash.size(), "%u bytes", size);
  return hash;
}

}  // namespace

struct Sha256::State {
  Context context = make_context();
  Context peeked = make_context();
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  check(EVP_DigestInit_ex2(state_->context.get(), algorithm(), nullptr));
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()));
}

void Sha256::update(std::string_view text) {
  check(EVP_DigestUpdate(state_->context.get(), text.data(), text.size()));
}

Hash Sha256::finish() {
  const Hash hash = final_of(state_->context.get());
  check(EVP_DigestInit_ex2(state_->context.get(), algorithm(), nullptr));
  return hash;
}

Hash Sha256::peek() const {
  check(EVP_MD_CTX_copy_ex(state_->peeked.get(), state_->context.get()));
  return final_of(state_->peeked.get());
}

Hash sha256(std::span<const std::byte> bytes) {
  Sha256 hasher;
  hasher.update(bytes);
  return hasher.finish();
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

}  // namespace grace::ledger
