#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "random.h"

namespace grace::tools {

// Lines as programs log them, made of the generator's plain ones: the same events with their keys
// in any order, with nested objects and arrays around them, and with texts that need escapes. What
// the engine reads of a line stays as it was: the fields it knows, payload's and labels' members,
// the time. Same seed and lines, same bytes on every machine.
class RealisticLines {
 public:
  static constexpr std::size_t kLineBytesMin = 200;  // newline included, as in the other
  static constexpr std::size_t kLineBytesMax = 2048;

  explicit RealisticLines(std::uint64_t seed) : random_(seed) {}

  // `line`: one object of the generator, with its newline, of less than kLineBytesMax - 60 bytes.
  // It becomes kLineBytesMin to kLineBytesMax bytes long: as many lines from 200 bytes on as from
  // 400, from 800 and from 1600 on. A line that is long enough already may only have its keys
  // shuffled.
  void dress(std::string& line);

 private:
  using Member = std::pair<std::string_view, std::string>;  // key and value, as JSON

  void shuffle(std::vector<Member>& members);
  [[nodiscard]] std::string context(std::size_t bytes);
  [[nodiscard]] std::string nested();
  [[nodiscard]] std::string message(std::size_t bytes);

  Random random_;
};

}  // namespace grace::tools
