#include "rootcause_input.h"

#include <charconv>
#include <limits>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"

namespace grace::tools {
namespace {

using core::ErrorCode;

// Lines of a stream, of bounded length, with their numbers.
class Lines {
 public:
  Lines(std::istream& in, const std::string& name) : in_(in), name_(name) {}

  // False at the end of the input, on a read error and on a line that is too long.
  bool next() {
    line_.clear();
    ++number_;
    for (int c = in_.get(); c != std::istream::traits_type::eof(); c = in_.get()) {
      if (c == '\n') return true;
      if (line_.size() >= kCsvLineBytesMax) {
        too_long_ = true;
        return false;
      }
      line_.push_back(static_cast<char>(c));
    }
    return !line_.empty();
  }
  [[nodiscard]] const std::string& line() const noexcept { return line_; }
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] tl::unexpected<core::Error> error(const std::string& what) const {
    return core::make_error(ErrorCode::kInvalidArgument,
                            name_ + ":" + std::to_string(number_) + ": " + what);
  }
  [[nodiscard]] core::Result<void> end() const {
    if (too_long_) {
      return error("the line is longer than " + std::to_string(kCsvLineBytesMax) + " bytes");
    }
    if (in_.bad()) return core::make_error(ErrorCode::kIo, name_ + ": cannot be read");
    return {};
  }

 private:
  std::istream& in_;
  const std::string& name_;
  std::string line_;
  std::uint64_t number_ = 0;
  bool too_long_ = false;
};

[[nodiscard]] bool parse_number(std::string_view text, double& value) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return false;
  if (error == std::errc::result_out_of_range) value = std::numeric_limits<double>::infinity();
  return error == std::errc{} || error == std::errc::result_out_of_range;
}

[[nodiscard]] bool is_heading(const std::vector<std::string>& fields,
                              std::initializer_list<std::string_view> names) {
  return std::equal(fields.begin(), fields.end(), names.begin(), names.end());
}

}  // namespace

bool split_csv(std::string_view line, std::vector<std::string>& fields) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  fields.clear();
  std::size_t at = 0;
  while (true) {
    std::string& field = fields.emplace_back();
    if (at < line.size() && line[at] == '"') {
      for (++at;; ++at) {
        if (at == line.size()) return false;
        if (line[at] != '"') {
          field.push_back(line[at]);
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          field.push_back(line[++at]);
        } else {
          break;
        }
      }
      ++at;
      if (at < line.size() && line[at] != ',') return false;
    } else {
      const std::size_t end = std::min(line.find(',', at), line.size());
      field = line.substr(at, end - at);
      at = end;
    }
    if (at >= line.size()) return true;
    ++at;  // the comma
  }
}

core::Result<void> read_edges(std::istream& in, const std::string& name,
                              models::RootCauseModel& model) {
  Lines lines(in, name);
  std::vector<std::string> fields;
  while (lines.next()) {
    if (!split_csv(lines.line(), fields)) return lines.error("a quote is not closed");
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (lines.number() == 1 && is_heading(fields, {"caller", "callee"})) continue;
    if (fields.size() != 2) return lines.error("expected caller,callee");
    if (fields[0].empty() || fields[1].empty()) return lines.error("a service has no name");
    if (!model.add_edge(fields[0], fields[1])) {
      return lines.error("more services or edges than the model keeps");
    }
  }
  return lines.end();
}

core::Result<MetricsRead> read_metrics(std::istream& in, const std::string& name,
                                       std::int64_t at_ns, models::RootCauseModel& model) {
  Lines lines(in, name);
  MetricsRead read;
  std::vector<std::string> fields;
  while (lines.next()) {
    if (!split_csv(lines.line(), fields)) return lines.error("a quote is not closed");
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (lines.number() == 1 && is_heading(fields, {"timestamp", "service", "metric", "value"})) {
      continue;
    }
    if (fields.size() != 4) return lines.error("expected timestamp,service,metric,value");
    const auto ts_ns = core::parse_rfc3339(fields[0]);
    if (!ts_ns) return lines.error("timestamp '" + fields[0] + "' is not an RFC 3339 time");
    if (fields[1].empty() || fields[2].empty()) {
      return lines.error("service or metric has no name");
    }
    double value = 0.0;
    if (!parse_number(fields[3], value)) {
      return lines.error("value '" + fields[3] + "' is not a number");
    }
    if (*ts_ns > at_ns) {
      ++read.later;
      continue;
    }
    switch (model.observe(*ts_ns, fields[1], fields[2], value)) {
      case models::Observed::kTaken:
        ++read.samples;
        break;
      case models::Observed::kNotFinite:
        ++read.not_finite;
        break;
      case models::Observed::kSeriesBound:
        return lines.error("more series than the model keeps");
      case models::Observed::kServiceBound:
        return lines.error("more services than the model keeps");
    }
  }
  const auto end = lines.end();
  if (!end) return tl::unexpected<core::Error>(end.error());
  return read;
}

std::string ranking_json(const models::RootCauseRanking& ranking) {
  std::string text;
  core::JsonWriter json(text);
  const auto entry = [&](std::string_view service, double probability) {
    json.begin_object().field("service", service).field("probability", probability).end_object();
  };
  json.begin_object().key("ranking").begin_array();
  if (!ranking.names_cause()) entry("none of these", ranking.none);
  for (const models::RankedService& ranked : ranking.services) {
    entry(ranked.service, ranked.probability);
  }
  if (ranking.names_cause()) entry("none of these", ranking.none);
  json.end_array().end_object();
  return text;
}

}  // namespace grace::tools
