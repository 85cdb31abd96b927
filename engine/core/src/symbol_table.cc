#include "grace/core/symbol_table.h"

#include <algorithm>
#include <cstring>

#include "grace/core/hash.h"

namespace grace::core {
namespace {
constexpr std::size_t kFirstSlots = 64;
// Each block is twice as large as the one before: the few texts of a small table take no page of
// their own, of which a hundred tables would need a hundred.
constexpr std::size_t kFirstBlockBytes = 256;
constexpr std::size_t kBlockBytesMax = 16 * 1024;
}  // namespace

SymbolTable::SymbolTable(std::size_t symbols_max, std::size_t bytes_max)
    : symbols_max_(symbols_max), bytes_max_(bytes_max), slots_(kFirstSlots) {}

void SymbolTable::grow() {
  std::vector<std::string_view> old(slots_.size() * 2);
  old.swap(slots_);
  const std::size_t mask = slots_.size() - 1;
  for (const std::string_view symbol : old) {
    if (symbol.data() == nullptr) continue;
    std::size_t at = hash_bytes(symbol) & mask;
    while (slots_[at].data() != nullptr) at = (at + 1) & mask;
    slots_[at] = symbol;
  }
}

std::string_view SymbolTable::intern(std::string_view text) {
  std::size_t mask = slots_.size() - 1;
  std::size_t at = hash_bytes(text) & mask;
  for (; slots_[at].data() != nullptr; at = (at + 1) & mask) {
    if (slots_[at] == text) return slots_[at];
  }
  if (count_ >= symbols_max_ || bytes_used_ + text.size() > bytes_max_) {
    ++refused_count_;
    return {};
  }
  if (2 * (count_ + 1) > slots_.size()) {
    grow();
    mask = slots_.size() - 1;
    at = hash_bytes(text) & mask;
    while (slots_[at].data() != nullptr) at = (at + 1) & mask;
  }
  if (blocks_.empty() || block_used_ + text.size() > block_size_) {
    block_size_ =
        std::max(text.size(), std::clamp(2 * block_size_, kFirstBlockBytes, kBlockBytesMax));
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(block_size_));
    block_used_ = 0;
  }
  char* const to = blocks_.back().get() + block_used_;
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  block_used_ += text.size();
  bytes_used_ += text.size();
  ++count_;
  return slots_[at] = std::string_view(to, text.size());
}

}  // namespace grace::core
