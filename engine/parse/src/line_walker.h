#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "line_fields.h"

namespace grace::parse {

enum class WalkResult : std::uint8_t { kOk = 0, kMalformed, kTooDeep, kNotObject, kBadNumber };

// Walks the tokens of one line: checks the whole grammar of RFC 8259 and notes where the known
// fields are. One pass, no copies, no recursion. Single-threaded, owns nothing.
//
// Strings: the index has proved UTF-8 and control characters, so only backslashes need a look. They
// are rare: the next one in the window is searched ahead once, and each string compares with it.
class LineWalker {
 public:
  explicit LineWalker(std::uint32_t depth_max) : depth_max_(depth_max) {}

  // A new window: `text` and the tokens of its StructuralIndex (with its sentinel).
  void begin_window(const char* text, std::size_t size, const std::uint32_t* tokens) noexcept;

  // The line that ends before `line_end` and begins with token `first`, which is on the line.
  // kNotFinite / kTooBig numbers are reported as kBadNumber with bad_number() and bad_field(), but
  // only when the rest of the line is well-formed. After kOk, next_token() is the first of the next
  // line; after anything else the caller finds it. `scratch` takes names that are written with
  // escapes, for hashing; nothing in it is kept.
  [[nodiscard]] WalkResult walk(std::size_t first, std::uint32_t line_end, LineFields& fields,
                                char* scratch) noexcept;
  // The value of one top-level field that stands alone, as walk() would find it: at token 0 of a
  // window that ends in a newline at `end`. kNotObject does not come; what is known of other fields
  // stays.
  [[nodiscard]] WalkResult walk_value(Field field, std::uint32_t end, LineFields& fields,
                                      char* scratch) noexcept;
  [[nodiscard]] std::size_t next_token() const noexcept { return at_; }
  [[nodiscard]] NumberForm bad_number() const noexcept { return bad_number_; }
  [[nodiscard]] Field bad_field() const noexcept { return bad_field_; }

 private:
  struct Text {  // a string's content, without its quotes
    const char* begin = nullptr;
    std::uint32_t size = 0;
    bool escaped = false;
  };

  [[nodiscard]] char peek() const noexcept { return text_[tokens_[at_]]; }
  [[nodiscard]] std::uint32_t token_end() const noexcept;
  [[nodiscard]] bool read_string(Text& text) noexcept;
  [[nodiscard]] bool has_backslash(const char* begin, const char* end) noexcept {
    if (next_backslash_ < begin) [[unlikely]]
      find_backslash(begin);
    return next_backslash_ < end;
  }
  void find_backslash(const char* begin) noexcept;
  [[nodiscard]] static Field field_of(const Text& key) noexcept;
  template <typename OnMember>
  [[nodiscard]] bool members(OnMember&& on_member) noexcept;
  [[nodiscard]] bool member(Field field, LineFields& fields) noexcept;
  [[nodiscard]] bool labels(LineFields& fields) noexcept;
  [[nodiscard]] bool payload(LineFields& fields) noexcept;
  [[nodiscard]] bool number_value(Number& number) noexcept;
  [[nodiscard]] static std::size_t session_index(const Text& key) noexcept;
  [[nodiscard]] bool scalar() noexcept;
  [[nodiscard]] bool literal(const char* begin, const char* end) noexcept;
  [[nodiscard]] bool skip_key() noexcept;
  [[nodiscard]] bool skip_value(std::uint32_t depth) noexcept;
  [[nodiscard]] bool container(std::uint32_t outer_depth) noexcept;
  [[nodiscard]] std::uint64_t hash_of(const Text& text) noexcept;
  void note_number(NumberForm form) noexcept;

  static constexpr std::size_t kKeyBytesMax = 64;  // longer keys with escapes name no known field
  std::uint32_t depth_max_;
  const char* text_ = nullptr;
  const char* text_end_ = nullptr;
  const char* next_backslash_ = nullptr;  // first one not before the string looked at last
  const std::uint32_t* tokens_ = nullptr;
  char* scratch_ = nullptr;
  std::size_t at_ = 0;
  std::uint32_t line_end_ = 0;
  Field field_ = Field::kUnknown;  // top-level field that is being read
  Field bad_field_ = Field::kUnknown;
  NumberForm bad_number_ = NumberForm::kInteger;  // the line's first bad one; kInteger: none
  bool too_deep_ = false;
};

}  // namespace grace::parse
