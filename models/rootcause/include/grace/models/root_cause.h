#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
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
  // Part of a service's odd log lines that a callee in trouble explains.
  double explained = 0.5;
  // Weight of memory, disk, threads and queues, and of metrics of no known kind.
  double resource_weight = 0.0;
  double unknown_weight = 0.0;
  // Weight of the steps that operations take (span_assembler.h), which depend on what they are
  // asked as well.
  double calls_weight = 0.5;
  // Score of "none of these": a service below it is less probable than that there is no cause.
  double none_score = 2.0;

  // --- cost ---
  // Newest samples kept of a series. Memory: at most 27 bytes each (24, and an eighth more between
  // two cuts).
  std::uint32_t history_max = 512;
  std::uint32_t series_max = 16'384;
  std::uint32_t services_max = 4'096;
  std::uint32_t edges_max = 65'536;
  // With symptoms: services ranked, the nearest over calls first. One takes some 0.1 ms.
  std::uint32_t scope_max = 512;
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

// An alarm that asks.
struct Symptom {
  std::string service;
  std::string metric;  // its name, or one of the same kind; empty: it speaks of every kind
  bool operator==(const Symptom&) const = default;
};

enum class Observed : std::uint8_t {
  kTaken = 0,
  kNotFinite,     // the value is NaN or infinite, or a count below zero
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
// Memory: series_max * history_max * 27 bytes at most, what is used grows with the input. The
// result is a function of the set of samples and edges: their order does not matter, as long as no
// series had more than history_max samples with some of them later than the moment asked about
// (then those that came first may have pushed the past out). Thread: the caller's; rank() may run
// beside other const calls.
class RootCauseModel {
  struct Series;

 public:
  explicit RootCauseModel(RootCauseConfig config = {}) : config_(config) {}
  RootCauseModel(RootCauseModel&&) = default;
  RootCauseModel& operator=(RootCauseModel&&) = default;
  // Not copied: handles and series point at each other.
  RootCauseModel(const RootCauseModel&) = delete;
  RootCauseModel& operator=(const RootCauseModel&) = delete;

  // False: edges_max or services_max is reached and nothing changed. Known edges, and a service
  // that calls itself, are taken without effect.
  bool add_edge(std::string_view caller, std::string_view callee);
  // Forgets all edges, and the services that only edges named: the graph has changed.
  void clear_edges();
  Observed observe(std::int64_t ts_ns, std::string_view service, std::string_view metric,
                   double value);

  // The same for who observes a series again and again: found by name once, then by its handle.
  // `instance` tells series of one name apart (label sets). A handle is good until forget().
  using SeriesHandle = Series*;
  Observed find_series(std::string_view service, std::string_view metric, std::uint64_t instance,
                       SeriesHandle& found);
  // `requests` over 0: the value is a mean over so many samples; finite. They then weigh the value,
  // unless the name says that it is a quantile, or a mean already and the traffic is known.
  Observed observe(SeriesHandle series, std::int64_t ts_ns, double value, double requests = 0.0);
  // A part of a count, not negative: added to the newest sample if that is of the same time.
  Observed observe_part(SeriesHandle series, std::int64_t ts_ns, double count);
  void forget(SeriesHandle series);
  // Whether metrics of this kind can change a ranking.
  [[nodiscard]] bool has_say(MetricKind kind) const noexcept;

  // Samples later than `at_ns` are left out. With symptoms what their services depend on, and
  // these themselves, is ranked. kNotFound: neither an edge nor a sample names the service of any.
  [[nodiscard]] core::Result<RootCauseRanking> rank(std::int64_t at_ns,
                                                    const std::vector<Symptom>& symptoms) const;
  [[nodiscard]] core::Result<RootCauseRanking> rank(std::int64_t at_ns,
                                                    const std::optional<Symptom>& symptom) const {
    return rank(at_ns, symptom ? std::vector<Symptom>{*symptom} : std::vector<Symptom>{});
  }
  [[nodiscard]] std::size_t series_count() const noexcept { return series_count_; }
  [[nodiscard]] const RootCauseConfig& config() const noexcept { return config_; }
  // For ablations: what is kept is judged by other constants. Bounds must not shrink.
  void reconfigure(const RootCauseConfig& config) { config_ = config; }

  struct Point {
    std::int64_t ts_ns = 0;
    double value = 0.0;
    float requests = 0.0F;  // the value is a mean over so many; 0: not known
    auto operator<=>(const Point&) const = default;
  };

 private:
  struct Service;
  using SeriesName = std::pair<std::string, std::uint64_t>;  // metric, instance
  struct ByName {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const noexcept {
      const std::string_view left(a.first);
      const std::string_view right(b.first);
      return left != right ? left < right : a.second < b.second;
    }
  };
  struct Series {
    MetricKind kind = MetricKind::kOther;
    BadDirection bad = BadDirection::kBoth;
    bool is_mean = false;       // by its name
    bool is_quantile = false;   // likewise
    std::vector<Point> points;  // ascending; the newest history_max, an eighth more before a cut
    Service* owner = nullptr;
    const SeriesName* name = nullptr;
  };
  struct Service {
    std::map<SeriesName, Series, ByName> series;
    std::set<std::string, std::less<>> callees, callers;
    const std::string* name = nullptr;
  };
  friend class RootCauseRanker;
  Service* service_of(std::string_view name);
  void drop_if_unused(Service& service);

  RootCauseConfig config_;
  std::map<std::string, Service, std::less<>> services_;
  std::size_t series_count_ = 0;
  std::size_t edge_count_ = 0;
};

}  // namespace grace::models
