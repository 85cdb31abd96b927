// grace score changepoints: change points of a series, as the model in models/changepoint finds
// them.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <deque>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "csv_reader.h"
#include "grace/core/json_writer.h"
#include "grace/models/change_points.h"
#include "score.h"

namespace grace::tools {
namespace {

using models::ChangePoint;
using models::ChangePointConfig;
using models::ChangePointDetector;

constexpr std::size_t kColumnsMax = 64;
// Missing indices are places without a value; a file that leaves out more in a row is no series.
constexpr std::uint64_t kIndexGapMax = 1'000'000'000;

struct Arguments {
  std::string path;
  std::vector<std::string> constants;
  bool stats = false;
};

// Rows on their way out. A row leaves when nothing can change it any more: kDelayMax values later.
//
// Where a change is decided its row gets the decided probability, and rows closer than the shortest
// segment get 0: their probability is part of the change's. Any other row has the probability that
// its index had when it was old enough to be judged; that is below 0.5, or it would have decided.
class PendingRows {
 public:
  PendingRows(std::ostream& output, std::uint64_t near) : output_(output), near_(near) {}

  void add(std::uint64_t index) { rows_.push_back({index, 0.0, false, false}); }

  void judge(std::uint64_t index, const std::vector<ChangePointDetector>& detectors) {
    for (; judged_ < rows_.size() && rows_[judged_].index <= index; ++judged_) {
      Row& row = rows_[judged_];
      if (row.taken) continue;
      for (const ChangePointDetector& detector : detectors) {
        row.probability = std::max(row.probability, detector.start_probability(row.index));
      }
      // Near a change that was decided and taken back by the model; one change, one row.
      row.probability = std::min(row.probability, kUndecidedMax);
    }
  }

  void decide(const ChangePoint& change) {
    for (const Row& row : rows_) {
      if (row.decided && distance(row.index, change.index) < near_) return;  // another column's
    }
    for (Row& row : rows_) {
      if (distance(row.index, change.index) >= near_) continue;
      row.taken = true;
      row.decided = row.index == change.index;
      row.probability = row.decided ? change.probability : 0.0;
    }
  }

  void write_before(std::uint64_t index) {
    while (!rows_.empty() && rows_.front().index < index) write_front();
  }
  void write_all() {
    while (!rows_.empty()) write_front();
  }

 private:
  static constexpr double kUndecidedMax = 0.499999;

  struct Row {
    std::uint64_t index = 0;
    double probability = 0.0;
    bool taken = false;    // belongs to a decided change
    bool decided = false;  // is where it begins
  };

  static std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

  void write_front() {
    const Row& row = rows_.front();
    char text[64];
    const int size = std::snprintf(text, sizeof(text), "%llu,%.6f\n",
                                   static_cast<unsigned long long>(row.index), row.probability);
    output_.write(text, size);
    rows_.pop_front();
    if (judged_ > 0) --judged_;
  }

  std::ostream& output_;
  const std::uint64_t near_;
  std::deque<Row> rows_;
  std::size_t judged_ = 0;  // rows before it have been
};

class ChangePointScore {
 public:
  ChangePointScore(CsvReader& reader, std::ostream& output, const ChangePointConfig& config)
      : reader_(reader),
        config_(config),
        age_min_(config.segment_values_min - 1),
        rows_(output, config.segment_values_min) {}

  core::Result<std::uint64_t> run();

 private:
  core::Result<bool> read_header();
  core::Result<std::uint64_t> read_index() const;
  core::Result<bool> read_values();
  void step(std::uint64_t index);

  CsvReader& reader_;
  const ChangePointConfig config_;
  const std::uint64_t age_min_;
  PendingRows rows_;
  std::vector<ChangePointDetector> detectors_;  // one a column
  std::vector<double> values_;
};

core::Result<bool> ChangePointScore::read_header() {
  const core::Result<bool> more = reader_.next();
  if (!more) return more;
  if (!*more) return reader_.error("no header; expected index,value");
  const auto& names = reader_.fields();
  if (names.size() < 2 || names[0] != "index") return reader_.error("expected index,value");
  if (names.size() - 1 > kColumnsMax) {
    return reader_.error("more than " + std::to_string(kColumnsMax) + " columns of values");
  }
  detectors_.assign(names.size() - 1, ChangePointDetector(config_));
  values_.resize(detectors_.size());
  return true;
}

core::Result<std::uint64_t> ChangePointScore::read_index() const {
  const std::string_view field = reader_.fields()[0];
  std::uint64_t index = 0;
  const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), index);
  if (code != std::errc() || end != field.data() + field.size()) {
    return reader_.error("index '" + std::string(field.substr(0, 40)) + "' is no whole number");
  }
  return index;
}

core::Result<bool> ChangePointScore::read_values() {
  const auto& fields = reader_.fields();
  if (fields.size() != values_.size() + 1) {
    return reader_.error(std::to_string(fields.size()) + " fields, the header has " +
                         std::to_string(values_.size() + 1));
  }
  for (std::size_t i = 0; i < values_.size(); ++i) {
    values_[i] = std::numeric_limits<double>::quiet_NaN();  // an empty cell: missing
    if (!fields[i + 1].empty() && !parse_number(fields[i + 1], values_[i])) {
      return reader_.error("value '" + std::string(fields[i + 1].substr(0, 40)) + "' is no number");
    }
  }
  return true;
}

void ChangePointScore::step(std::uint64_t index) {
  rows_.add(index);
  bool started = false;
  std::vector<ChangePoint> decided;
  for (std::size_t i = 0; i < detectors_.size(); ++i) {
    for (const ChangePoint& change : detectors_[i].push(values_[i])) decided.push_back(change);
    started |= detectors_[i].started();
  }
  if (started && index >= age_min_) rows_.judge(index - age_min_, detectors_);
  for (const ChangePoint& change : decided) rows_.decide(change);
  const std::uint64_t keep = ChangePointDetector::kDelayMax + config_.segment_values_min;
  if (index > keep) rows_.write_before(index - keep);
}

core::Result<std::uint64_t> ChangePointScore::run() {
  const core::Result<bool> header = read_header();
  if (!header) return tl::unexpected(header.error());
  std::uint64_t count = 0;
  std::uint64_t last = 0;
  for (;; ++count) {
    const core::Result<bool> more = reader_.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    const core::Result<std::uint64_t> index = read_index();
    if (!index) return index;
    if (count > 0 && *index <= last) {
      return reader_.error("index " + std::to_string(*index) + " after " + std::to_string(last));
    }
    const std::uint64_t next = detectors_[0].next_index();
    if (*index - next > kIndexGapMax) {
      return reader_.error("index " + std::to_string(*index) + " leaves out more than " +
                           std::to_string(kIndexGapMax));
    }
    const core::Result<bool> values = read_values();
    if (!values) return tl::unexpected(values.error());
    for (ChangePointDetector& detector : detectors_) detector.skip(*index - next);
    step(*index);
    last = *index;
  }
  for (ChangePointDetector& detector : detectors_) {
    for (const ChangePoint& change : detector.finish()) rows_.decide(change);
  }
  rows_.write_all();
  return count;
}

core::Result<bool> set_constant(ChangePointConfig& config, const std::string& text) {
  const auto bad = [&](const std::string& why) {
    return core::make_error(core::ErrorCode::kInvalidArgument, "--set " + text + ": " + why);
  };
  const std::size_t equals = text.find('=');
  double value = 0.0;
  if (equals == std::string::npos || !parse_number(text.substr(equals + 1), value)) {
    return bad("expected NAME=NUMBER");
  }
  const std::string name = text.substr(0, equals);
  if (name == "segment_values_min" || name == "tempered") {
    if (!(value >= 0 && value <= 1000 && value == std::floor(value))) {
      return bad("must be a whole number from 0 to 1000");
    }
    if (name == "tempered") {
      config.tempered = value != 0;
    } else {
      config.segment_values_min = static_cast<std::uint32_t>(value);
    }
    return true;
  }
  const struct {
    std::string_view name;
    double* field;
  } fields[] = {{"hazard", &config.hazard},
                {"trend_share", &config.trend_share},
                {"trend_slope", &config.trend_slope},
                {"shape", &config.run.shape},
                {"outlier_share", &config.run.outlier_share},
                {"outlier_scale", &config.run.outlier_scale},
                {"memory_values", &config.run.memory_values}};
  for (const auto& field : fields) {
    if (field.name != name) continue;
    *field.field = value;
    return true;
  }
  return bad("there is no such constant");
}

core::Result<ChangePointConfig> config_of(const std::vector<std::string>& constants) {
  ChangePointConfig config;
  for (const std::string& text : constants) {
    const core::Result<bool> set = set_constant(config, text);
    if (!set) return tl::unexpected(set.error());
  }
  return validated(config);
}

int score_changepoints(const Arguments& arguments) {
  const auto fail = [](const std::string& message) {
    std::cerr << "grace score changepoints: " << message << '\n';
    return kExitUsage;
  };
  const core::Result<ChangePointConfig> config = config_of(arguments.constants);
  if (!config) return fail(config.error().message);
  std::ios::sync_with_stdio(false);
  auto input = arguments.path == "-" ? BoundedLines(std::cin, "standard input")
                                     : BoundedLines::open(arguments.path);
  if (!input) return fail(input.error().message);
  CsvReader reader(std::move(*input));
  std::cout << "index,probability\n";
  const auto begin = std::chrono::steady_clock::now();
  const auto count = ChangePointScore(reader, std::cout, *config).run();
  std::cout.flush();
  if (!count) return fail(count.error().message);
  if (!std::cout) {
    std::cerr << "grace score changepoints: cannot write the result\n";
    return kExitNegative;
  }
  if (arguments.stats) {
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
    std::string line;
    core::JsonWriter(line)
        .begin_object()
        .field("rows", *count)
        .field("ns_per_row", *count == 0 ? 0.0 : spent.count() / static_cast<double>(*count))
        .field("state_bytes", static_cast<std::uint64_t>(sizeof(ChangePointDetector)))
        .end_object();
    std::cerr << line << '\n';
  }
  return kExitOk;
}

}  // namespace

void add_score_changepoints(Command& score, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  Command* command = score.add_subcommand(
      "changepoints", "index,value[,value...] in; the probability that a change begins there, out");
  command->footer(
      "Example: grace score changepoints series.csv > changes.csv\n"
      "A change is a row with a probability of at least 0.5; each change has one such row.");
  command->add_option("FILE", arguments->path, "CSV with a header; - is standard input")
      ->required();
  command->add_option("--set", arguments->constants, "NAME=NUMBER: another constant, to compare")
      ->one_value_each();
  command->add_flag("--stats", arguments->stats, "Time a row and bytes a series, to stderr");
  command->callback([arguments, &exit_code] { exit_code = score_changepoints(*arguments); });
}

}  // namespace grace::tools
