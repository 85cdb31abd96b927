#pragma once
#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace grace::parse {

// simdjson's first stage over a run of whole lines: finds where tokens begin and proves that the
// text is UTF-8 and that no string holds a raw control character. A newline is one, so success also
// proves that every line opens and closes its own strings: the tokens of a line are those of the
// line alone. The instruction set is chosen at run time, by simdjson.
//
// After a successful build, token(i) for i in [0, count) ascend; token(count) and the three after
// it are a sentinel that stands on white space, so a walk that runs off the end stops there.
class StructuralIndex {
 public:
  // Room for texts of `capacity` bytes, taken now.
  explicit StructuralIndex(std::size_t capacity);

  // False: some line of the text is bad, nothing may be read. [text, text + size) ends with a
  // newline, or is the end of its chunk and followed by a space. size > 0.
  [[nodiscard]] bool build(const char* text, std::size_t size) noexcept;

  [[nodiscard]] const std::uint32_t* tokens() const noexcept {
    return stage_->structural_indexes.get();
  }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

 private:
  std::unique_ptr<simdjson::internal::dom_parser_implementation> stage_;
  std::size_t count_ = 0;
};

}  // namespace grace::parse
