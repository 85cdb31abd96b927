#include "typed_events.h"

#include <algorithm>
#include <utility>

#include "grace/core/time.h"

namespace grace::tools {

using parse::JsonValue;

namespace {

constexpr std::size_t kBlockMembers = 4096;
constexpr std::size_t kBlockBytes = 64 * 1024;

bool is_text(const JsonValue& value) {
  return value.is_string();
}

}  // namespace

TypedEvents::TypedEvents(std::string_view text, Series series) : series_(series) {
  events_.reserve(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')));
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) add_line(line);
  }
}

void TypedEvents::add_line(std::string_view line) {
  const auto json = JsonValue::parse(line);
  bool typed = false;
  if (json && !json->object().empty()) {
    const std::string_view kind = (*json)["kind"].as_string();
    if (kind == "metric") {
      typed = add<core::MetricSample>(*json);
    } else if (kind == "action") {
      typed = add<core::ActionRecord>(*json);
    } else if (kind == "mesh" || (*json)["kind"].is_null()) {
      typed = (*json)["event_type"].is_string() && add<core::MeshEvent>(*json);
    }
  }
  if (!typed) events_.emplace_back(core::JsonLine{line});
}

template <typename Typed>
bool TypedEvents::add(const JsonValue& line) {
  Typed event;
  if (!read(line, event)) return false;
  events_.emplace_back(event);
  if (std::is_same_v<Typed, core::MetricSample> && series_ == Series::kKept) {
    keep_series(events_.back(), line["labels"].to_json());
  }
  return true;
}

// A sample whose names are too long for a record stays as it is: it is for a publisher to refuse.
void TypedEvents::keep_series(Event& event, std::string_view labels) {
  const auto& sample = std::get<core::MetricSample>(event);
  std::string names;
  for (const std::string_view name : {sample.service, sample.domain, sample.metric, labels}) {
    names.append(std::to_string(name.size())).append(":").append(name);
  }
  auto kept = kept_series_.find(names);
  if (kept == kept_series_.end()) {
    auto series = core::PackedSeries::of(sample);
    if (!series) return;
    kept = kept_series_.emplace(std::move(names), std::move(*series)).first;
  }
  event = core::SeriesSample{&kept->second, sample.ts_ns, sample.value};
}

std::string_view TypedEvents::appended(std::string_view text) {
  if (payload_texts_.empty() ||
      payload_texts_.back().capacity() - payload_texts_.back().size() < text.size()) {
    payload_texts_.emplace_back().reserve(std::max(text.size(), kBlockBytes));
  }
  std::string& block = payload_texts_.back();
  block += text;
  return std::string_view(block).substr(block.size() - text.size());
}

std::string_view TypedEvents::kept(std::string text) {
  return *texts_.insert(std::move(text)).first;
}

bool TypedEvents::read_text(const JsonValue& line, const char* key, std::string_view& out) {
  const JsonValue& value = line[key];
  if (value.is_null()) return true;
  if (!value.is_string()) return false;
  if (out.empty()) out = kept(std::string(value.as_string()));
  return true;
}

bool TypedEvents::read_time(const JsonValue& line, std::optional<std::int64_t>& ts_ns) {
  const JsonValue& value = line["ts"];
  if (value.is_null()) return true;
  if (value.is_integer()) {
    ts_ns = value.as_int64();
  } else {
    ts_ns = core::parse_rfc3339(value.as_string());
  }
  return ts_ns.has_value();
}

bool TypedEvents::read(const JsonValue& line, core::MetricSample& event) {
  const JsonValue& value = line["value"];
  const JsonValue& labels = line["labels"];
  if (!read_time(line, event.ts_ns) || !read_text(line, "service", event.service) ||
      !read_text(line, "resource", event.service) || !read_text(line, "domain", event.domain) ||
      !read_text(line, "metric", event.metric) || !value.is_number()) {
    return false;
  }
  event.value = value.as_double();
  if (labels.is_null()) return true;
  if (!labels.is_object() || labels.object().empty()) return false;
  auto [set, added] = label_sets_.try_emplace(labels.to_json());
  if (added) {
    for (const auto& [key, text] : labels.object()) {
      if (!is_text(text)) {
        label_sets_.erase(set);
        return false;
      }
      set->second.push_back({kept(key), kept(std::string(text.as_string()))});
    }
  }
  event.labels = set->second;
  return true;
}

bool TypedEvents::read(const JsonValue& line, core::ActionRecord& event) {
  const JsonValue& duration = line["duration_ms"];
  if (!read_time(line, event.ts_ns) || !read_text(line, "actor", event.actor) ||
      !read_text(line, "action", event.action) || !read_text(line, "service", event.resource) ||
      !read_text(line, "resource", event.resource) ||
      !read_text(line, "subsystem", event.subsystem) || !read_text(line, "domain", event.domain) ||
      !read_text(line, "result", event.result) || !read_text(line, "status", event.result) ||
      !(duration.is_null() || duration.is_number())) {
    return false;
  }
  if (duration.is_number()) event.duration_ms = duration.as_double();
  return read_payload(line, event.payload);
}

bool TypedEvents::read(const JsonValue& line, core::MeshEvent& event) {
  return read_time(line, event.ts_ns) && read_text(line, "event_type", event.event_type) &&
         read_text(line, "source", event.source) && read_text(line, "actor", event.actor) &&
         read_text(line, "service", event.service) && read_text(line, "resource", event.service) &&
         read_text(line, "domain", event.domain) && read_payload(line, event.payload);
}

bool TypedEvents::read_payload(const JsonValue& line, std::span<const core::Attribute>& out) {
  const JsonValue& payload = line["payload"];
  if (payload.is_null()) return true;
  if (!payload.is_object() || payload.object().empty()) return false;
  const std::size_t count = payload.object().size();
  if (payloads_.empty() || payloads_.back().capacity() - payloads_.back().size() < count) {
    payloads_.emplace_back().reserve(std::max(count, kBlockMembers));
  }
  std::vector<core::Attribute>& members = payloads_.back();
  for (const auto& [key, value] : payload.object()) {
    core::Attribute& member = members.emplace_back(core::Attribute{kept(key), false});
    if (value.is_string()) {
      member.value = appended(value.as_string());
    } else if (value.is_bool()) {
      member.value = value.as_bool();
    } else if (value.is_integer()) {
      member.value = value.as_int64();
    } else if (value.is_number() && !value.is_unsigned()) {
      member.value = value.as_double();
    } else if (value.is_array() &&
               std::all_of(value.array().begin(), value.array().end(), is_text)) {
      std::vector<std::string_view>& list = lists_.emplace_back();
      for (const JsonValue& item : value.array()) list.push_back(appended(item.as_string()));
      member.value = std::span<const std::string_view>(list);
    } else {
      member.value = core::RawJson{appended(value.to_json())};
    }
  }
  out = std::span<const core::Attribute>(members).last(count);
  return true;
}

}  // namespace grace::tools
