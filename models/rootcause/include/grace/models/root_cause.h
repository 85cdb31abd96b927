#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"
#include "grace/models/metric_kind.h"

namespace grace::models {

// One set of constants for every kind of system. Evidence is in nats: -ln of the probability that
// an ordinary window would look at least as odd.
struct RootCauseConfig {
  // --- behaviour ---
  // The window that is judged ends at the moment asked about and is this long, or window_samples of
  // the series' own pace where that is longer. The rest of the past is the baseline.
  std::int64_t window_ns_min = 180'000'000'000;
  std::uint32_t window_samples = 5;
  // Samples of the window that have to agree: its evidence is the agree-th strongest surprise.
  std::uint32_t agree = 2;
  // Fewer samples before the window are no baseline.
  std::uint32_t baseline_samples_min = 3;
  // Evidence e counts as e h / (e + h): what is overwhelming anyway is not compared by its size. Of
  // a level, h is level_half times ln(samples in the baseline): ln n is what n samples can say at
  // all, the rest is extrapolation, which is worth less the farther it goes. Of counts, whose
  // likelihood ratio knows how short its baseline is, h is count_half.
  double level_half = 1.5;
  double count_half = 20.0;
  // What the strongest of a service's few dozen series reaches by chance, taken off.
  double noise = 2.0;
  // Weight of ln(share) of the excess that a service itself adds; shares below share_min count so.
  double share_weight = 1.0;
  double share_min = 0.001;
  // Kinds that the alarm does not speak of count this much.
  double other_trouble = 0.3;
  // Part of a service's errors and odd log lines that a callee in trouble explains.
  double explained = 0.5;
  // Weight of memory, disk, threads and queues, and of metrics of no known kind.
  double resource_weight = 0.0;
  double unknown_weight = 0.0;
  // Score of "none of these": a service below it is less probable than that there is no cause.
  double none_score = 2.0;

  // --- cost ---
  // Newest samples kept of a series. Memory: at most 32 bytes each (16 in use, 16 being gathered).
  std::uint32_t history_max = 512;
  std::uint32_t series_max = 16'384;
  std::uint32_t services_max = 4'096;
  std::uint32_t edges_max = 65'536;
};

struct RankedService {
  std::string service;
  double probability = 0.0;
  double score = 0.0;            // nats for it, before they become probabilities
  std::int64_t onset_ns = 0;     // first odd sample of its strongest metric; 0: nothing is odd
  std::string strongest_metric;  // empty: nothing is odd
};

struct RootCauseRanking {
  std::vector<RankedService> services;  // most probable first; ties by name
  double none = 1.0;                    // probability of "none of these"
  // False: "none of these" is the most probable answer, and no cause is named.
  [[nodiscard]] bool names_cause() const noexcept {
    return !services.empty() && services.front().probability > none;
  }
};

struct Symptom {
  std::string service;
  std::string metric;
};

enum class Observed : std::uint8_t {
  kTaken = 0,
  kNotFinite,     // the value is NaN or infinite
  kSeriesBound,   // a new series beyond series_max
  kServiceBound,  // a new service beyond services_max
};

// Which service is the cause of what is odd at a moment: ranked by dependency direction, onset
// order and strength of evidence, with probabilities that sum to one and "none of these" among
// them.
//
// Strength: each series against its own past. A level is judged by how rarely the past went as far,
// with the tail beyond the observed fitted by Hill's estimator (Hill, Annals of Statistics 1975),
// so that a series that spikes by habit surprises nobody; robust scores per series are what RCA
// baselines rank by (BARO: Pham et al., FSE 2024). Lines of log templates and error counts are
// judged by presence: the likelihood ratio (G) of how often they occur in the window against the
// past; templates among the moments at which the service logged anything, which takes silence of
// the callers out (regression on the parents in the graph: CIRCA, Li et al., KDD 2022).
//
// Direction: latency and failures travel from callee to caller. What a service itself adds is its
// excess (deviation times requests, in seconds or failures of all requests) less that of its
// callees; its share of the largest such excess weighs its evidence. A cause may be anomalous only
// where its callees do not explain it (PetShop's traversal: Hardt et al., CLeaR 2024; MicroScope:
// Lin et al., ICSOC 2018). Onset: a callee explains only what did not begin before it.
//
// Memory: series_max * history_max * 32 bytes at most, what is used grows with the input. The
// result is a function of the set of samples and edges: their order does not matter, as long as no
// series had more than history_max samples with some of them later than the moment asked about
// (then those that came first may have pushed the past out). Thread: the caller's; rank() may run
// beside other const calls.
class RootCauseModel {
 public:
  explicit RootCauseModel(RootCauseConfig config = {}) : config_(config) {}
  // False: edges_max or services_max is reached and nothing changed. Known edges, and a service
  // that calls itself, are taken without effect.
  bool add_edge(std::string_view caller, std::string_view callee);
  Observed observe(std::int64_t ts_ns, std::string_view service, std::string_view metric,
                   double value);
  // Samples later than `at_ns` are left out. kNotFound: neither an edge nor a sample names the
  // symptom's service.
  [[nodiscard]] core::Result<RootCauseRanking> rank(std::int64_t at_ns,
                                                    const std::optional<Symptom>& symptom) const;
  [[nodiscard]] std::size_t series_count() const noexcept { return series_count_; }
  [[nodiscard]] const RootCauseConfig& config() const noexcept { return config_; }
  // For ablations: what is kept is judged by other constants. Bounds must not shrink.
  void reconfigure(const RootCauseConfig& config) { config_ = config; }

  struct Point {
    std::int64_t ts_ns = 0;
    double value = 0.0;
    auto operator<=>(const Point&) const = default;
  };

 private:
  struct Series {
    MetricKind kind = MetricKind::kOther;
    BadDirection bad = BadDirection::kBoth;
    std::vector<Point> points;  // unsorted; cut to the newest history_max at twice that
  };
  struct Service {
    std::map<std::string, Series, std::less<>> series;
    std::set<std::string, std::less<>> callees, callers;
  };
  friend class RootCauseRanker;
  Service* service_of(std::string_view name);

  RootCauseConfig config_;
  std::map<std::string, Service, std::less<>> services_;
  std::size_t series_count_ = 0;
  std::size_t edge_count_ = 0;
};

}  // namespace grace::models
