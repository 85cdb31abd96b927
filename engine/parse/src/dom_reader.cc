#include "dom_reader.h"

#include "grace/core/time.h"

namespace grace::parse {

using simdjson::dom::element_type;

std::optional<DomReader::Element> DomReader::last_of(simdjson::dom::object object,
                                                     std::string_view name) {
  std::optional<Element> found;
  for (const auto member : object) {
    if (member.key == name) found = member.value;
  }
  if (found && found->is_null()) return std::nullopt;
  return found;
}

std::optional<DomReader::Element> DomReader::find(std::string_view name) const {
  std::optional<Element> found = last_of(object_, name);
  if (!found && fallback_) found = last_of(*fallback_, name);
  return found;
}

std::optional<DomReader::Element> DomReader::find(std::string_view name,
                                                  std::string_view alias) const {
  std::optional<Element> found = find(name);
  return found ? found : find(alias);
}

void DomReader::read_text(std::optional<Element> field, std::string& out, std::size_t bytes_max) {
  if (!field) return;
  std::string_view text;
  if (field->get(text) != simdjson::SUCCESS) return fail(RejectReason::kWrongType);
  if (text.size() > bytes_max) return fail(RejectReason::kFieldTooLong);
  out = text;
}

// An array of texts, or one text alone. Past count_max the rest is left out.
void DomReader::read_texts(std::optional<Element> field, std::size_t count_max,
                           std::vector<std::string>& out) {
  if (!field) return;
  simdjson::dom::array array;
  if (field->get(array) != simdjson::SUCCESS) {
    std::string text;
    read_text(field, text, kTextBytesMax);
    if (!text.empty()) out.push_back(std::move(text));
    return;
  }
  for (const Element item : array) {
    std::string text;
    read_text(item, text, kTextBytesMax);
    if (!text.empty() && out.size() < count_max) out.push_back(std::move(text));
  }
}

bool DomReader::read_bool(std::string_view name, bool& out) {
  const std::optional<Element> field = find(name);
  if (!field) return false;
  if (field->get(out) != simdjson::SUCCESS) fail(RejectReason::kWrongType);
  return true;
}

void DomReader::read_time(std::optional<Element> field, std::int64_t& out_ns) {
  if (!field) return;
  std::string_view text;
  std::int64_t ts_ns = -1;
  if (field->get(text) == simdjson::SUCCESS) {
    ts_ns = core::parse_rfc3339(text).value_or(-1);
  } else if (field->type() != element_type::INT64 || field->get(ts_ns) != simdjson::SUCCESS) {
    ts_ns = -1;
  }
  if (ts_ns < 0) return fail(RejectReason::kTsInvalid);
  out_ns = ts_ns;
}

void DomReader::integer(std::string_view name, std::int64_t min, std::int64_t max,
                        std::int64_t& out) {
  const std::optional<Element> field = find(name);
  if (!field) return;
  if (!field->is_number()) return fail(RejectReason::kWrongType);
  std::int64_t value = 0;
  if (field->type() != element_type::INT64 || field->get(value) != simdjson::SUCCESS ||
      value < min || value > max) {
    return fail(RejectReason::kOutOfRange);
  }
  out = value;
}

}  // namespace grace::parse
