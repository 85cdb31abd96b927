// Question: what does a series cost on its light model, and on a rich one: nanoseconds a point, and
// resident memory?
//
//   a process of its own: series (services with six metrics each) -> all 64 partitions of the
//   proactive detector, an event a bin, so that each event is a point of its series' model
//
// Time: median over batches of points of all that the partition does with one: probe, close of the
// bin, models, judgements, observation; past the warm-up. Light where few series fit the caches and
// with as many as asked for; rich with the roles' metrics alone, without and with the ensemble, and
// with so few series that their states stay in a core's own cache.
// Memory: resident before the first event is taken off, and a series costs what many take more than
// few do, over the difference of the counts, so that what the detector takes at start counts for
// none. The light state with all names shared (alone) and with services' names of their own.
// Verified: the partitions closed each bin of each series and evicted none; a series that should
// have a rich model takes its memory.
// Not asked: the other detectors, parsing, what an event of a bin that is open costs (it is in
// proactive_bench).
//
//   series_cost [SERIES] [--json]   without a number tiny, as ctest runs it
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arguments.h"
#include "bench_settings.h"
#include "counting_sink.h"
#include "grace/core/hash.h"
#include "grace/core/json_writer.h"
#include "grace/harness/machine.h"
#include "grace/harness/search.h"
#include "grace/proactive/proactive.h"

namespace {

using namespace grace::bench;
namespace core = grace::core;
namespace harness = grace::harness;
namespace proactive = grace::proactive;
namespace tools = grace::tools;

// The promises: at most this many bytes of light state a series, its names beside, and at most this
// long for a point, median.
constexpr double kBytesMax = 512.0;
constexpr double kLightNsMax = 1'000.0;
constexpr double kRichNsMax = 5'000.0;
constexpr std::size_t kFewSeries = 1'000;
constexpr std::size_t kBins = 4;        // from which each light model has learned
constexpr std::size_t kLightBins = 32;  // past the warm-up, from which on points are judged
constexpr std::size_t kCachedSeries = 600;
// Whose states, 7 MiB, no core's own cache holds; and those of few, which it does.
constexpr std::size_t kRichSeries = 120;
constexpr std::size_t kCachedRichSeries = 5;
constexpr std::size_t kBatchPoints = 240;
// The roles' first, so that a rich run can leave the last out.
constexpr std::array<std::string_view, 6> kMetrics{"latency_ms",           "requests_rps",
                                                   "error_rate",           "cpu_usage_percent",
                                                   "memory_usage_percent", "queue_depth"};

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "series_cost: %s\n", message.c_str());
  std::exit(1);
}

enum class Tier { kLight, kRich, kEnsemble };

// All partitions of a detector whose series are each in one tier.
class Partitions {
 public:
  Partitions(Tier tier, std::size_t series, bool own_names)
      : tier_(tier), series_(series), own_names_(own_names) {
    // Where the system gives huge pages unasked, resident is what nobody has touched.
    if (::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) fail("cannot turn huge pages off");
    proactive::ProactiveConfig config;
    // A partition's share of a bound is no exact 64th of the keys.
    config.series_max = series * 2 + core::kPartitionCount * 64;
    config.rich_models_max = tier == Tier::kLight ? 0 : config.series_max;
    config.ensemble_models_max = tier == Tier::kEnsemble ? config.series_max : 0;
    subsystem_ = proactive::make_proactive(config);
    before_bytes_ = harness::resident_bytes();
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
      partitions_[i] = subsystem_->make_partition(i);
    }
  }

  // The next point: series take turns, a bin is a turn of all.
  void point() {
    const std::size_t metrics = kMetrics.size() - (tier_ == Tier::kLight ? 0 : 1);
    const std::string_view metric = kMetrics[next_ % metrics];
    if (own_names_) text_.assign("service-").append(std::to_string(next_ / metrics));
    if (!own_names_) text_.assign("service");
    const auto service_size = static_cast<std::uint32_t>(text_.size());
    text_.append("core").append(metric);
    core::Event event;
    event.kind = core::EventKind::kMetric;
    event.text = text_.data();
    event.service = {0, service_size};
    event.domain = {service_size, 4};
    event.name = {service_size + 4, static_cast<std::uint32_t>(metric.size())};
    event.route_key = core::mix(next_ + 1);
    event.ts_ns = static_cast<std::int64_t>(bin_) * 60'000'000'000;
    event.sequence = ++sequence_;
    event.value = static_cast<double>(10 + (core::mix(sequence_) & 15));
    partitions_[event.partition()]->on_event(event, sink_);
    if (++next_ == series_) {
      next_ = 0;
      ++bin_;
    }
  }
  void bins(std::size_t count) {
    for (std::size_t i = 0; i < count * series_; ++i) point();
  }
  [[nodiscard]] std::uint64_t grown_bytes() const {
    return harness::resident_bytes() - before_bytes_;
  }
  // Empty: every bin but the open ones was closed, no series was evicted.
  [[nodiscard]] std::string wrong() const {
    std::uint64_t evicted = 0;
    for (const auto& partition : partitions_) evicted += partition->evicted_count();
    // Every bin of the metrics with a role is observed; of the others only what is unusual.
    const std::uint64_t closed = sequence_ - series_;
    const std::uint64_t with_role = tier_ == Tier::kLight ? closed / 6 * 5 : closed;
    if (evicted == 0 && sink_.observations + 6 >= with_role && sink_.observations <= closed) {
      return "";
    }
    return std::to_string(evicted) + " series evicted, " + std::to_string(sink_.observations) +
           " observations of " + std::to_string(closed) + " bins";
  }

 private:
  const Tier tier_;
  const std::size_t series_;
  const bool own_names_;
  std::unique_ptr<core::Subsystem> subsystem_;
  std::array<std::unique_ptr<core::PartitionDetector>, core::kPartitionCount> partitions_;
  std::uint64_t before_bytes_ = 0;
  CountingSink sink_;
  std::string text_;
  std::size_t next_ = 0, bin_ = 0;
  std::uint64_t sequence_ = 0;
};

core::Result<std::string> checked(const Partitions& partitions, std::string answer) {
  if (const std::string wrong = partitions.wrong(); !wrong.empty()) {
    return core::make_error(core::ErrorCode::kCorrupt, wrong);
  }
  return answer;
}

std::string in_own_process(const std::function<core::Result<std::string>()>& work) {
  auto answer = tools::in_own_process(work);
  if (!answer) fail(answer.error().message);
  return std::move(*answer);
}

// --- memory ---

double grown_bytes(std::size_t series, bool own_names) {
  const std::string bytes = in_own_process([&] {
    Partitions partitions(Tier::kLight, series, own_names);
    partitions.bins(kBins + 1);
    return checked(partitions, std::to_string(partitions.grown_bytes()));
  });
  return std::strtod(bytes.c_str(), nullptr);
}

double bytes_a_series(std::size_t series, bool own_names) {
  const double few = grown_bytes(kFewSeries, own_names);
  const double many = grown_bytes(series, own_names);
  return (many - few) / static_cast<double>(series - kFewSeries);
}

// --- time ---

struct TimedTier {
  const char* key;
  const char* meaning;
  Tier tier;
  std::size_t series;
  std::size_t warm_bins;
  double ns_max;
  double model_bytes_min;  // that each series takes, or it is not in this tier
};

// Median nanoseconds a point. What others had of the machine meanwhile goes into `conditions`: the
// process that measures looks itself, since it is another's to this one.
double median_ns(const TimedTier& timed, std::size_t points, harness::Conditions& conditions) {
  const std::string answer = in_own_process([&]() -> core::Result<std::string> {
    Partitions partitions(timed.tier, timed.series, true);
    partitions.bins(timed.warm_bins);
    const harness::ForeignCpu foreign;
    std::vector<double> batch_ns;
    for (std::size_t i = 0; i < points / kBatchPoints; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      for (std::size_t k = 0; k < kBatchPoints; ++k) partitions.point();
      const std::chrono::duration<double, std::nano> took =
          std::chrono::steady_clock::now() - begin;
      batch_ns.push_back(took.count() / kBatchPoints);
    }
    const double foreign_share = foreign.share().value_or(0.0);
    const double bytes =
        static_cast<double>(partitions.grown_bytes()) / static_cast<double>(timed.series);
    if (bytes < timed.model_bytes_min) {
      return core::make_error(core::ErrorCode::kCorrupt,
                              std::string(timed.key) + ": " + std::to_string(bytes) +
                                  " bytes a series: too few for the tier");
    }
    return checked(partitions, std::to_string(harness::median_of(std::move(batch_ns))) + " " +
                                   std::to_string(foreign_share));
  });
  char* end = nullptr;
  const double ns = std::strtod(answer.c_str(), &end);
  conditions.worst_of(std::strtod(end, nullptr));
  return ns;
}

// --- what is printed ---

struct Row {
  std::string key, meaning;
  double value = 0.0, bound = 0.0;  // 0: nothing is promised
  const char* unit = "";
};

void print_text(const std::vector<Row>& rows, const std::vector<std::string>& doubts) {
  for (const Row& row : rows) {
    std::printf("%-58s %8.0f %-5s", row.meaning.c_str(), row.value, row.unit);
    if (row.bound > 0.0) {
      std::printf(" at most %.0f: %s", row.bound, row.value <= row.bound ? "kept" : "NOT KEPT");
    }
    std::printf("\n");
  }
  for (const std::string& doubt : doubts) std::printf("INCONCLUSIVE: %s\n", doubt.c_str());
}

void print_json(std::size_t series, const std::vector<Row>& rows,
                const harness::Conditions& conditions) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().field("series", std::uint64_t{series}).key("rows").begin_array();
  for (const Row& row : rows) {
    json.begin_object().field("key", row.key).field("meaning", row.meaning);
    json.field("unit", row.unit).field("value", row.value).key("at_most");
    row.bound > 0.0 ? json.value(row.bound) : json.null();
    json.end_object();
  }
  json.end_array();
  tools::write_machine(json, harness::machine_report());
  tools::write_conditions(json, conditions, std::nullopt);
  json.end_object();
  std::printf("%s\n", out.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = arguments_of(argc, argv);
  const std::uint64_t series = effort_of(arguments, 40'000).count;
  if (series < 10'000 || series > 10'000'000) fail("10000 to 10000000 series");
  // From 1,500 bins on the ensemble compares all lags of its patterns; tiny, it only speaks.
  const std::size_t rich_bins = arguments.words.empty() ? 200 : 1'500;
  const std::size_t points = arguments.words.empty() ? 12'000 : 240'000;
  const std::string many = std::to_string(series) + " series";
  const std::array tiers{
      TimedTier{"light_cached", "light, few series: median time of a point", Tier::kLight,
                kCachedSeries, kLightBins, kLightNsMax, 0.0},
      TimedTier{"light", "light, all series: median time of a point", Tier::kLight, series,
                kLightBins, kLightNsMax, 0.0},
      TimedTier{"rich", "rich without the ensemble: median time of a point", Tier::kRich,
                kRichSeries, rich_bins, kRichNsMax, 8'192.0},
      TimedTier{"ensemble_cached", "rich with the ensemble, few series: median time of a point",
                Tier::kEnsemble, kCachedRichSeries, rich_bins, kRichNsMax, 40'960.0},
      TimedTier{"ensemble", "rich with the ensemble: median time of a point", Tier::kEnsemble,
                kRichSeries, rich_bins, kRichNsMax, 40'960.0},
  };
  const std::chrono::milliseconds watch_span(arguments.words.empty() ? 5 : 100);
  harness::Conditions conditions;
  harness::watch(conditions.quiet, watch_span);
  std::vector<Row> rows;
  for (const TimedTier& timed : tiers) {
    rows.push_back(
        {timed.key, timed.meaning, median_ns(timed, points, conditions), timed.ns_max, "ns"});
  }
  harness::watch(conditions.quiet, watch_span);
  const double state = bytes_a_series(series, false);
  rows.push_back({"state", many + ", light: resident bytes each", state, kBytesMax, "bytes"});
  rows.push_back(
      {"state_and_names", "the same with its names", bytes_a_series(series, true), 0.0, "bytes"});
  if (arguments.as_json) {
    print_json(series, rows, conditions);
  } else {
    print_text(rows, harness::doubts(conditions, std::nullopt));
  }
  // Memory does not depend on how busy a machine is: unlike a time, this is a verdict.
  return state <= kBytesMax ? 0 : 1;
}
