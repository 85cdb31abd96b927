#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace grace::core {

// Interns texts for one partition: equal text, equal view, stable for the table's life. Bounded:
// past symbols_max or bytes_max, intern() gives an empty view with data() == nullptr and counts.
// Thread: the partition's worker writes; views may be read by any thread that received them
// through a ring (the ring's release/acquire publishes the bytes).
class SymbolTable {
 public:
  SymbolTable(std::size_t symbols_max, std::size_t bytes_max);
  [[nodiscard]] std::string_view intern(std::string_view text);
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t refused_count() const noexcept { return refused_count_; }

 private:
  void grow();
  std::size_t symbols_max_;
  std::size_t bytes_max_;
  std::size_t bytes_used_ = 0;
  std::size_t count_ = 0;
  std::uint64_t refused_count_ = 0;
  std::vector<std::string_view> slots_;          // open addressing, power of two, linear probing
  std::vector<std::unique_ptr<char[]>> blocks_;  // text storage; never freed before the table
  std::size_t block_used_ = 0;
  std::size_t block_size_ = 0;
};

}  // namespace grace::core
