#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "grace/core/detector.h"
#include "grace/core/symbol_table.h"
#include "grace/proactive/proactive.h"
#include "refire.h"
#include "rich_series.h"
#include "series_table.h"

namespace grace::proactive {

// The series table of one partition: bins, models, anomaly forecasts and drift.
//
// Per event: one probe, one cache line, a sum; when the event falls into a later bin the one before
// is closed and the series' models step (about a microsecond with a rich model). A series that
// stops sending keeps its last bin open: nothing is known about it that could be told.
//
// Threads: the partition's worker only. Bounds: series, partition_series_max(); rich models, an
// equal share of the configured total; names, by the series bound. A series whose names find no
// room is not followed and counted. No allocation per event once its series are known and have
// their rich models; findings allocate.
class ProactivePartition final : public core::PartitionDetector {
 public:
  explicit ProactivePartition(const ProactiveConfig& config);

  void on_event(const core::Event& event, core::FindingSink& sink) override;
  // Looks once a bin which series have stopped.
  void on_tick(const core::Tick& tick, core::FindingSink& sink) override;
  [[nodiscard]] bool wants(core::EventKind kind) const override {
    return kind == core::EventKind::kMetric;
  }
  [[nodiscard]] bool fetches_ahead() const noexcept override;
  void fetch(const core::Event& event) const noexcept override {
    table_.prefetch(event.route_key);
  }
  [[nodiscard]] std::uint64_t late_count() const override { return late_count_; }
  [[nodiscard]] std::uint64_t evicted_count() const override {
    return table_.evicted_count() + refused_count_;
  }
  [[nodiscard]] core::BandCounts band_counts() const override { return band_scale_.counts(); }

  [[nodiscard]] std::size_t series_count() const noexcept { return table_.size(); }
  [[nodiscard]] std::size_t rich_count() const noexcept { return pool_.size() - free_.size(); }
  // For tests: the rich model of a series, null when it has none.
  [[nodiscard]] const RichModel* rich_of(std::uint64_t route_key) noexcept;

 private:
  struct Closed {  // the bin just closed
    double mean = 0.0;
    std::int64_t end_ns = 0;
    std::uint32_t count = 0;
    double baseline = 0.0;  // before the bin was taken in
    double deviation = 0.0;
  };
  struct Range {
    double low = 0.0, high = 0.0;
    bool configured = false;
  };
  struct Outlook {  // what the forecasts say about one end of the range
    double probability = 0.0;
    double at_horizon = 0.0;       // forecast mean
    std::int64_t crossing_ns = 0;  // when the mean crosses the bound; 0: not within the horizon
    Futures futures;               // at the horizon
    double half_width90 = 0.0;     // around at_horizon; 0: not calibrated
  };

  struct Drift {
    double recent = 0.0;  // mean of the last bins
    double expected = 0.0;
    double probability = 0.0;
    ShiftConfirmation change;
  };

  struct KnownRole {
    const char* metric = nullptr;  // a symbol
    core::MetricRole role = core::MetricRole::kOther;
  };

  SeriesSlot* create(const core::Event& event);
  [[nodiscard]] core::MetricRole role_of(std::string_view metric) noexcept;
  void open_bin(SeriesSlot& slot, const core::Event& event) const noexcept;
  void close_bin(SeriesSlot& slot, const core::Event& event, core::FindingSink& sink);
  void observe(const SeriesModel& model, const Closed& bin, core::FindingSink& sink) const;
  void earn_rich(std::uint32_t index);
  [[nodiscard]] RichSeries* rich(const SeriesModel& model) noexcept {
    return model.rich == kNoIndex ? nullptr : pool_[model.rich].get();
  }

  // Whether the forecaster looks at this end of the range at all.
  [[nodiscard]] static bool is_forecast(const SeriesModel& model, bool up) noexcept;
  [[nodiscard]] Range range_of(const SeriesModel& model) const noexcept;
  [[nodiscard]] Outlook outlook(const SeriesModel& model, double bound, bool up,
                                std::int64_t end_ns) noexcept;
  void check_forecast(SeriesModel& model, const Closed& bin, const core::Event& event,
                      core::FindingSink& sink);
  // Whether a departure that way is worth telling at all, and how far it must be.
  [[nodiscard]] bool is_told(const SeriesModel& model, const RichSeries& rich,
                             double departure) const noexcept;
  void check_onset(SeriesModel& model, const RichSeries& rich, const Closed& bin,
                   const core::Event& event, core::FindingSink& sink);
  void check_shift(SeriesModel& model, RichSeries& rich, const Closed& bin,
                   const core::Event& event, core::FindingSink& sink);
  void check_drift(SeriesModel& model, const Closed& bin, const core::Event& event,
                   core::FindingSink& sink);
  void report_forecast(SeriesModel& model, const Closed& bin, const core::Event& event,
                       const Range& range, const Outlook& outlook, bool up,
                       core::FindingSink& sink);
  void check_swing(const SeriesModel& model, RichSeries& rich, const Closed& bin,
                   const core::Event& event, core::FindingSink& sink) const;
  void report_swing(const SeriesModel& model, const RichSeries& rich, const Closed& bin,
                    const core::Event& event, double probability, core::FindingSink& sink) const;
  [[nodiscard]] core::Finding shift_of(const SeriesModel& model, const RichSeries& rich,
                                       const Closed& bin, const core::Event& event,
                                       double departure, double probability,
                                       const char* ml_model) const;
  void report_onset(const SeriesModel& model, const RichSeries& rich, const Closed& bin,
                    const core::Event& event, double departure, double probability,
                    core::FindingSink& sink) const;
  void report_shift(const SeriesModel& model, const RichSeries& rich, const Closed& bin,
                    const core::Event& event, double probability, core::FindingSink& sink) const;
  void check_frozen(const SeriesModel& model, RichSeries& rich, const core::Event& event,
                    core::FindingSink& sink) const;
  static void observe_silence(const SeriesModel& model, std::uint32_t regular_bins,
                              std::uint32_t missing, std::int64_t ts_ns, core::FindingSink& sink);
  void report_frozen(const SeriesModel& model, std::string reason, double probability,
                     std::int64_t ts_ns, core::FindingSink& sink) const;
  void report_drift(const SeriesModel& model, const Closed& bin, const core::Event& event,
                    const Drift& drift, core::FindingSink& sink) const;
  // A forecast about the horizon after `end_ns`, without what is forecast.
  [[nodiscard]] core::Finding forecast_of(const SeriesModel& model, const core::Event& event,
                                          std::int64_t end_ns, const char* ml_model) const;
  void add_window(core::Finding& finding, std::int64_t end_ns, const char* ml_model) const;
  void add_common(core::Finding& finding, const SeriesModel& model, const core::Event& event) const;

  const ProactiveConfig& config_;  // the subsystem's, which outlives its detectors
  const std::int64_t bin_ns_;
  const std::uint32_t horizon_bins_;
  const RefireRule refire_;
  const std::array<std::uint32_t, kHorizonCount> horizons_;
  const std::size_t rich_max_;
  const std::size_t ensemble_max_;
  std::size_t ensemble_count_ = 0;
  SeriesTable table_;
  core::SymbolTable symbols_;
  std::array<KnownRole, 16> roles_{};              // few names, many series: by the symbol's place
  std::vector<std::unique_ptr<RichSeries>> pool_;  // null: taken back, listed in free_
  std::vector<std::uint32_t> free_;
  BandScale band_scale_;
  std::int64_t silence_check_ns_ = std::numeric_limits<std::int64_t>::min();  // watermark of it
  std::uint64_t late_count_ = 0;
  std::uint64_t refused_count_ = 0;
};

}  // namespace grace::proactive
