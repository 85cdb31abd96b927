#pragma once
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"

namespace grace::schedule {

// What a playbook parameter may look like. A small regular language, compiled once and matched
// against the whole value in O(length x states) by simulating all states at once, so that no
// pattern and no value can make it slow (std::regex backtracks).
//
//   pattern = branch *( "|" branch )          branch = *( atom [ "?" / "*" / "+" / "{m,n}" ] )
//   atom    = literal / "." / "\d" / "\w" / "\" any / "[" [ "^" ] ( char / char "-" char )... "]"
//
// No groups, no anchors (a match is always of the whole value). Control characters and bytes over
// 0x7e match nothing, not even "." or "[^x]": what telemetry says reaches commands as printable
// ASCII or not at all.
class Pattern {
 public:
  static constexpr std::size_t kStatesMax = 512;
  static constexpr std::size_t kValueBytesMax = 256;

  // kInvalidArgument names the offending place when `text` is outside the grammar or too large.
  [[nodiscard]] static core::Result<Pattern> compile(std::string_view text);
  [[nodiscard]] bool matches(std::string_view value) const noexcept;
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  using States = std::bitset<kStatesMax + 1>;
  struct State {
    std::bitset<128> accepts;  // characters that move on to the next state
    bool skippable = false;    // may be passed without a character
    bool repeats = false;      // may accept again
    bool ends_branch = false;  // no character: the branch is complete here
  };
  Pattern() = default;
  void close(States& states) const noexcept;

  std::string text_;
  std::vector<State> states_;
  std::vector<std::size_t> branch_starts_;
};

// `*` any run of characters, `?` one; anything else is itself. Linear in practice, bounded by
// |glob| x |text|. For names in policies and metrics, never for permission to reach a command.
[[nodiscard]] bool glob_matches(std::string_view glob, std::string_view text) noexcept;

}  // namespace grace::schedule
