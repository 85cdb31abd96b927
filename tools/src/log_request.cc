#include "log_request.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "grace/core/control.h"
#include "grace/ledger/subsystem_logger.h"

namespace grace::tools {
namespace {

using parse::JsonValue;

// Keeps the one record that is logged to it.
class Capture final : public ledger::RecordAppender {
 public:
  ledger::AppendStatus append(ledger::RecordType, std::string_view payload) override {
    text = payload;
    return ledger::AppendStatus::kOk;
  }
  std::string text;
};

// Reads fields; the first that is wrong makes the error.
class Fields {
 public:
  explicit Fields(const JsonValue& request) : request_(request) {}

  void fail(std::string_view name, const std::string& what) {
    if (error_) return;
    error_ = core::Error{core::ErrorCode::kInvalidArgument,
                         "log: " + std::string(name) + " " + what, 0, 0};
  }
  std::string_view text(std::string_view name, std::size_t bytes_max, bool required = true) {
    const JsonValue& value = field(name);
    if (value.is_null() && !required) return {};
    if (!value.is_string()) return fail(name, "must be a text"), std::string_view();
    const std::string_view text = value.as_string();
    if (text.empty() && required) fail(name, "is empty");
    if (text.size() > bytes_max) {
      fail(name, "has more than " + std::to_string(bytes_max) + " bytes");
    }
    return text;
  }
  std::string_view name(std::string_view name) { return text(name, LogRequest::kNameBytesMax); }
  double number(std::string_view name) {
    const JsonValue& value = field(name);
    if (!value.is_number()) fail(name, "must be a number");
    return value.as_double();
  }
  double confidence() {
    const double value = number("confidence");
    if (!(value >= 0 && value <= 1)) fail("confidence", "must be from 0 to 1");
    return value;
  }
  std::vector<std::string> reasoning() {
    std::vector<std::string> texts;
    const JsonValue& value = field("reasoning");
    if (value.is_null()) return texts;
    if (!value.is_array()) fail("reasoning", "must be a list of texts");
    if (value.array().size() > LogRequest::kReasonsMax) {
      fail("reasoning", "has more than " + std::to_string(LogRequest::kReasonsMax) + " texts");
    }
    for (const JsonValue& reason : value.array()) {
      if (!reason.is_string() || reason.as_string().size() > LogRequest::kTextBytesMax) {
        fail("reasoning", "must be a list of texts of at most " +
                              std::to_string(LogRequest::kTextBytesMax) + " bytes");
      }
      texts.emplace_back(reason.as_string());
    }
    return texts;
  }
  const JsonValue& field(std::string_view name) {
    known_.push_back(name);
    return request_[name];
  }
  void refuse_others() {
    for (const auto& [name, value] : request_.object()) {
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      fail("'" + name.substr(0, LogRequest::kNameBytesMax) + "'", "is no field of this kind");
    }
  }
  [[nodiscard]] const std::optional<core::Error>& error() const { return error_; }

 private:
  const JsonValue& request_;
  std::vector<std::string_view> known_;
  std::optional<core::Error> error_;
};

void log_action(Fields& fields, ledger::SubsystemLogger& logger) {
  const JsonValue& payload = fields.field("payload");
  if (!payload.is_null() && !payload.is_object()) fields.fail("payload", "must be an object");
  const std::string json = payload.is_null() ? "{}" : payload.to_json();
  logger.log_action({fields.name("actor"), fields.name("action"), fields.name("resource"),
                     fields.name("result"), json});
}

void log_error(Fields& fields, ledger::SubsystemLogger& logger) {
  logger.log_error({fields.name("actor"), fields.name("action"), fields.name("resource"),
                    fields.text("error", LogRequest::kTextBytesMax),
                    fields.text("error_type", LogRequest::kNameBytesMax, false)});
}

void log_decision(Fields& fields, ledger::SubsystemLogger& logger) {
  const std::vector<std::string> reasoning = fields.reasoning();
  logger.log_decision({fields.name("actor"), fields.name("decision_type"), fields.name("resource"),
                       fields.name("decision"), reasoning, fields.confidence()});
}

void log_prediction(Fields& fields, ledger::SubsystemLogger& logger) {
  ledger::PredictionEntry entry;
  entry.actor = fields.name("actor");
  entry.prediction_type = fields.name("prediction_type");
  entry.resource = fields.name("resource");
  entry.predicted_value = fields.number("predicted_value");
  entry.confidence = fields.confidence();
  if (!fields.field("current_value").is_null())
    entry.current_value = fields.number("current_value");
  logger.log_prediction(entry);
}

void log_of_kind(Fields& fields, ledger::SubsystemLogger& logger) {
  const std::string_view kind = fields.name("kind");
  if (kind == "action") return log_action(fields, logger);
  if (kind == "error") return log_error(fields, logger);
  if (kind == "decision") return log_decision(fields, logger);
  if (kind == "prediction") return log_prediction(fields, logger);
  if (kind == "start") return void(logger.log_start(fields.name("actor")));
  if (kind == "stop") return void(logger.log_stop(fields.name("actor")));
  fields.fail("kind", "must be action, error, decision, prediction, start or stop");
}

}  // namespace

std::string to_string(Durability durability) {
  return "D" + std::to_string(static_cast<int>(durability));
}

core::Result<LogRequest> parse_log_request(const JsonValue& request) {
  LogRequest out;
  Fields fields(request);
  static_cast<void>(fields.field("op"));
  if (const JsonValue& asked = fields.field("durability"); !asked.is_null()) {
    const std::string_view name = asked.as_string();
    if (name.size() != 2 || name[0] != 'D' || name[1] < '0' || name[1] > '2') {
      fields.fail("durability", "must be D0, D1 or D2");
    } else {
      out.durability = static_cast<Durability>(name[1] - '0');
    }
  }
  if (const JsonValue& timeout = fields.field("timeout_ms"); !timeout.is_null()) {
    const std::int64_t ms = timeout.as_int64(-1);
    if (ms < 1 || ms > LogRequest::kWaitMax.count()) {
      fields.fail("timeout_ms",
                  "must be from 1 to " + std::to_string(LogRequest::kWaitMax.count()));
    }
    out.timeout = std::chrono::milliseconds(ms);
  }
  Capture captured;
  ledger::SubsystemRegistry registry(captured);
  log_of_kind(fields, *registry.get_subsystem_logger(fields.name("subsystem")));
  fields.refuse_others();
  if (!fields.error() && captured.text.size() > core::LogControl::kEntryBytesMax) {
    fields.fail("entry",
                "has more than " + std::to_string(core::LogControl::kEntryBytesMax) + " bytes");
  }
  if (fields.error()) return tl::unexpected<core::Error>(*fields.error());
  out.entry = std::move(captured.text);
  return out;
}

}  // namespace grace::tools
