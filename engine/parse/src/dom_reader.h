#pragma once
#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grace/parse/reject_reason.h"

namespace grace::parse {

// Typed reading of an object's members from a simdjson document, remembering the first thing that
// was wrong. Fields are looked up in `object`, then in `fallback`; of repeated keys the last one
// counts and null is absent, as for all lines. Cold path.
class DomReader {
 public:
  using Element = simdjson::dom::element;

  static constexpr std::size_t kNameBytesMax = 256;
  static constexpr std::size_t kTextBytesMax = 8192;

  explicit DomReader(simdjson::dom::object object) : object_(object) {}
  void set_fallback(simdjson::dom::object fallback) { fallback_ = fallback; }

  [[nodiscard]] std::optional<Element> find(std::string_view name) const;
  // Of two names of one thing, the first that is present.
  [[nodiscard]] std::optional<Element> find(std::string_view name, std::string_view alias) const;

  // Each leaves `out` alone when the field is absent or wrong; wrong is remembered.
  void read_text(std::optional<Element> field, std::string& out, std::size_t bytes_max);
  void read_name(std::string_view name, std::string& out) {
    read_text(find(name), out, kNameBytesMax);
  }
  void read_texts(std::optional<Element> field, std::size_t count_max,
                  std::vector<std::string>& out);
  bool read_bool(std::string_view name, bool& out);  // true: it was there
  void read_time(std::optional<Element> field, std::int64_t& out_ns);
  template <typename Integer>
  void read_integer(std::string_view name, std::int64_t min, std::int64_t max, Integer& out) {
    std::int64_t value = static_cast<std::int64_t>(out);
    integer(name, min, max, value);
    out = static_cast<Integer>(value);
  }

  void require(bool present) {
    if (!present) fail(RejectReason::kMissingField);
  }
  void fail(RejectReason reason) {
    if (!reason_) reason_ = reason;
  }
  [[nodiscard]] std::optional<RejectReason> reason() const noexcept { return reason_; }

 private:
  void integer(std::string_view name, std::int64_t min, std::int64_t max, std::int64_t& out);
  [[nodiscard]] static std::optional<Element> last_of(simdjson::dom::object object,
                                                      std::string_view name);
  simdjson::dom::object object_;
  std::optional<simdjson::dom::object> fallback_;
  std::optional<RejectReason> reason_;
};

}  // namespace grace::parse
