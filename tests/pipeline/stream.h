#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grace/core/time.h"
#include "grace/parse/json_value.h"
#include "ledger_view.h"
#include "line_builder.h"
#include "random.h"

namespace grace::testing {

using core::kNsPerHour;
using core::kNsPerMinute;
using core::kNsPerSecond;

inline constexpr std::int64_t kMorningNs = 1'736'924'400'000'000'000;  // 2025-01-15T07:00:00Z

// A folder that goes away with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "grace_XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

// Telemetry written by hand, line by line, in the native form.
class Stream {
 public:
  explicit Stream(std::int64_t begin_ns = kMorningNs) : now_ns(begin_ns) {}

  Stream& topology(std::string_view service, std::string_view domain,
                   std::string_view depends_on_json = "[]") {
    return add(line("control")
                   .field("control", "topology")
                   .field("service", service)
                   .field("domain", domain)
                   .raw("depends_on", depends_on_json)
                   .raw("replicas", "2")
                   .field("criticality", "medium"));
  }
  Stream& metric(std::string_view service, std::string_view domain, std::string_view name,
                 double value) {
    return add(line("metric")
                   .field("service", service)
                   .field("domain", domain)
                   .field("metric", name)
                   .field("value", value));
  }
  Stream& action(std::string_view actor, std::string_view what, std::string_view resource,
                 std::string_view domain, std::string_view result,
                 std::string_view payload = R"({"code":0})") {
    return add(line("action")
                   .field("actor", actor)
                   .field("action", what)
                   .field("resource", resource)
                   .field("subsystem", actor)
                   .field("domain", domain)
                   .field("result", result)
                   .field("duration_ms", 12.0)
                   .raw("payload", payload));
  }
  // A mesh event of this type with this payload.
  Stream& mesh(std::string_view event_type, std::string_view service, std::string_view payload) {
    return add(builder_.begin(now_ns)
                   .field("event_type", event_type)
                   .field("source", "upstream")
                   .field("actor", "peer")
                   .field("resource", service)
                   .raw("payload", payload));
  }
  // A control with further fields, each a raw JSON value.
  Stream& control(std::string_view kind,
                  const std::vector<std::pair<std::string, std::string>>& fields = {}) {
    tools::LineBuilder& built =
        line("control").field("control", kind).field("actor", "alice").field("reason", "a test");
    for (const auto& [key, json] : fields) built.raw(key, json);
    return add(built);
  }
  Stream& outcome(std::string_view service, std::string_view playbook, bool success) {
    return control("outcome", {{"service", core::json_quoted(service)},
                               {"playbook", core::json_quoted(playbook)},
                               {"success", success ? "true" : "false"}});
  }
  Stream& raw(std::string_view text) {
    text_ += text;
    text_ += '\n';
    return *this;
  }
  void pass(std::int64_t duration_ns) { now_ns += duration_ns; }
  [[nodiscard]] const std::string& text() const { return text_; }

  std::int64_t now_ns;  // of the next line

 private:
  tools::LineBuilder& line(std::string_view kind) {
    return builder_.begin(now_ns).field("kind", kind);
  }
  Stream& add(tools::LineBuilder& built) {
    text_ += built.end();
    return *this;
  }
  tools::LineBuilder builder_;
  std::string text_;
};

struct LedgerEntry {
  std::uint64_t sequence = 0;
  std::string text;
  parse::JsonValue json;
  [[nodiscard]] std::string_view at(std::string_view key) const { return json[key].as_string(); }
  [[nodiscard]] const parse::JsonValue& payload() const { return json["payload"]; }
};

// All decision records of a ledger, in order.
inline std::vector<LedgerEntry> read_ledger(const std::string& directory) {
  std::vector<LedgerEntry> entries;
  const auto read = tools::visit_ledger(directory, 1, [&](const tools::LedgerRecord& record) {
    entries.push_back({record.sequence, std::string(record.text), record.json});
    return true;
  });
  EXPECT_TRUE(read.has_value()) << (read ? "" : read.error().message);
  return entries;
}

inline std::vector<LedgerEntry> of_action(const std::vector<LedgerEntry>& entries,
                                          std::string_view action) {
  std::vector<LedgerEntry> found;
  for (const LedgerEntry& entry : entries) {
    if (entry.at("action") == action) found.push_back(entry);
  }
  return found;
}

// What the engine said about triggers, one line each: for messages of failing tests.
inline std::string triggers_told(const std::vector<LedgerEntry>& entries) {
  std::string told = "triggers in the ledger:\n";
  for (const LedgerEntry& entry : of_action(entries, "intelligent_trigger")) {
    told += "  " + std::string(entry.at("ts")) + " " +
            std::string(entry.payload()["trigger_type"].as_string()) + " " +
            std::string(entry.payload()["diagnosis_code"].as_string()) + " of " +
            std::string(entry.at("resource")) + " " + std::string(entry.at("result")) + " " +
            std::to_string(entry.payload()["confidence"].as_double()) + "\n";
  }
  return told;
}

}  // namespace grace::testing
