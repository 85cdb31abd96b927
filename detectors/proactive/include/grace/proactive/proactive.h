#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "grace/core/detector.h"
#include "grace/core/error.h"

namespace grace::proactive {

// A range that a person knows better than the stream does: what a metric must stay within.
struct MetricRange {
  std::string service;  // empty: every service
  std::string metric;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

// Start of the logistic risk model; each feature lies in [0, 2], 1 being "clearly unusual". The
// intercept alone gives a risk of 1.8%; two strong features are needed to pass 0.75. Outcomes move
// the weights, each within half to one and a half times its start.
struct RiskWeights {
  double intercept = -4.0;
  double errors = 1.6;      // error series and failed actions against what is usual
  double saturation = 1.4;  // how far utilisation is above 70%
  double latency = 1.4;     // latency against its baseline
  double trend = 0.6;       // how far the three above still grow
  double deploy = 1.5;      // a deploy marker in the last half hour
  double dependency = 0.8;  // the worst direct dependency
};

// Everything that can be set about the proactive_ml subsystem. Constant after start.
struct ProactiveConfig {
  // --- behaviour ---
  // Event time that one step of a series' model covers. Shorter: sooner, but noisier and dearer.
  // 1 s to 1 h.
  std::chrono::seconds bin{60};
  // Bins a series must have shown before anything is said about it. At least 8.
  std::uint32_t warmup_bins = 30;
  // How far ahead forecasts look; 1 to 60 bins.
  std::chrono::seconds horizon{900};
  // The learned range ends at the extreme quantiles plus this many robust deviations ...
  double range_deviations = 4.0;
  // ... or this far from the baseline, relative to it, whichever is farther. Larger: only grave
  // departures count. With 0.75 a latency of 120 ms may reach 210 ms.
  double range_margin = 0.75;
  // The upper end for saturation metrics in percent (0.01 of it for those from 0 to 1), where the
  // learned range would end above it.
  double saturation_percent_max = 90.0;
  // Ranges that replace the learned ones.
  std::vector<MetricRange> ranges;
  // Bins in a row in which a forecast must hold before it is reported. At least 1.
  std::uint32_t confirm_bins = 3;
  // What was reported is reported again only when its odds p/(1-p) (drift, shortfall: its size)
  // grew by this factor, or when it comes back after `quiet_window` without it. Over 1.
  double refire_factor = 4.0;
  std::chrono::seconds quiet_window{1800};
  // Drift: relative departure from the long-run baseline, and bins for which it must last.
  double drift_departure = 0.30;
  std::uint32_t drift_bins = 15;
  // Predicted shortfall above which capacity is reported, in (0, 1), until the learned adjustable
  // "capacity.shortfall_min" says otherwise.
  double shortfall_min = 0.10;
  // Risk above which risk_assessment is reported, in [0.5, 1).
  double risk_min = 0.75;
  RiskWeights risk_weights;
  // Series of these metrics are observed at every bin, whatever their role and deviation; the rest
  // of the role-less ones only when |deviation| >= observed_deviation_min.
  std::vector<std::string> observed_metrics;
  double observed_deviation_min = 3.0;

  // --- cost ---
  // Series over all partitions, however their keys spread over them: partition_series_max(). Past
  // it the least recently seen of the partition is evicted and counted. Memory: 455 to 545 bytes a
  // series, by how full its hash table is (504 at 1,000,000), plus its names, taken as series
  // appear. At least core::kPartitionCount.
  std::size_t series_max = 1'000'000;
  // Rich models (neural member, calibrated intervals) over all partitions; about 15 KiB each, taken
  // as series earn them. 0: none, every series lives on its light model.
  std::size_t rich_models_max = 4096;
  // Of them, those that have the ensemble of anomaly members too; about 46 KiB each, in the order
  // in which rich models are earned. More than rich_models_max is as many as that. 0: none, and
  // onsets wait for their second bin.
  std::size_t ensemble_models_max = 1024;
  // Services the ordered part keeps (capacity join and risk), and demand and capacity series of
  // each. Past either bound new ones are not followed, and counted.
  std::size_t services_max = 10'000;
  std::size_t service_series_max = 64;
};

// The configuration itself when every field is within what is documented above; else an error that
// names the field and its value.
[[nodiscard]] core::Result<ProactiveConfig> validated(ProactiveConfig config);

// Series that one partition keeps: an equal share of `series_max`, and four standard deviations
// more of what hashed keys give a partition, so that as many series as series_max are all kept. 3%
// more at 1,000,000. Without it half of the partitions would be over their bound then, each series
// that they lack driving out the one that is due next.
[[nodiscard]] std::size_t partition_series_max(std::size_t series_max);

// The proactive_ml subsystem: forecasts, capacity, risk and drift from raw metrics. `config` must
// have passed validated(). The subsystem must outlive the detectors it makes.
[[nodiscard]] std::unique_ptr<core::Subsystem> make_proactive(ProactiveConfig config = {});

}  // namespace grace::proactive
