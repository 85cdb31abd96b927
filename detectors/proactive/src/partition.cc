#include "partition.h"

#include <algorithm>
#include <cmath>

#include "grace/core/time.h"
#include "numeric.h"
#include "text.h"

namespace grace::proactive {
namespace {

using core::MetricRole;

constexpr std::int64_t kNsPerDay = 24 * core::kNsPerHour;
// Names of a series: its service, domain and metric; 96 bytes on average.
constexpr std::size_t kSymbolBytesPerSeries = 96;
constexpr std::size_t kSymbolsSpare = 1024;
// kHealth lies near its upper end, so its lower margin is a smaller part of it (0.15 by default).
constexpr double kHealthMarginShare = 0.2;
constexpr double kUnusualDeviation = 3.0;
constexpr std::uint8_t kUnusualRun = 3;

std::int64_t floor_to(std::int64_t ts_ns, std::int64_t bin_ns) {
  const std::int64_t rest = ts_ns % bin_ns;
  return ts_ns - (rest < 0 ? rest + bin_ns : rest);
}

}  // namespace

std::size_t partition_series_max(std::size_t series_max) {
  const std::size_t share = std::max<std::size_t>(1, series_max / core::kPartitionCount);
  return share + static_cast<std::size_t>(4.0 * std::sqrt(static_cast<double>(share)));
}

ProactivePartition::ProactivePartition(const ProactiveConfig& config)
    : config_(config),
      bin_ns_(config.bin.count() * core::kNsPerSecond),
      horizon_bins_(static_cast<std::uint32_t>(config.horizon / config.bin)),
      refire_{config.refire_factor, config.quiet_window.count() * core::kNsPerSecond},
      horizons_(horizons_of(horizon_bins_)),
      rich_max_(config.rich_models_max / core::kPartitionCount),
      ensemble_max_(config.ensemble_models_max / core::kPartitionCount),
      table_(partition_series_max(config.series_max)),
      symbols_(2 * partition_series_max(config.series_max) + kSymbolsSpare,
               (partition_series_max(config.series_max) + kSymbolsSpare) * kSymbolBytesPerSeries) {}

const RichModel* ProactivePartition::rich_of(std::uint64_t route_key) noexcept {
  const SeriesSlot* const slot = table_.find(route_key);
  if (slot == nullptr) return nullptr;
  const RichSeries* const series = rich(table_.model(slot->model));
  return series == nullptr ? nullptr : &series->forecast;
}

void ProactivePartition::on_event(const core::Event& event, core::FindingSink& sink) {
  SeriesSlot* slot = table_.find(event.route_key);
  if (slot == nullptr) [[unlikely]] {
    slot = create(event);
    if (slot == nullptr) return;
  }
  // Unsigned: a timestamp before the bin becomes a huge offset, and the difference cannot overflow.
  const auto offset =
      static_cast<std::uint64_t>(event.ts_ns) - static_cast<std::uint64_t>(slot->bin_start_ns);
  if (offset >= static_cast<std::uint64_t>(bin_ns_)) [[unlikely]] {
    if (event.ts_ns < slot->bin_start_ns) {
      ++late_count_;
      return;
    }
    close_bin(*slot, event, sink);
    open_bin(*slot, event);
  }
  slot->sum += event.value;
  ++slot->count;
  slot->last_sequence = event.sequence;
  slot->last_ts_ns = std::max(slot->last_ts_ns, event.ts_ns);
}

// Below, the partitions' tables are in the second-level cache together.
bool ProactivePartition::fetches_ahead() const noexcept {
  constexpr std::size_t kSeriesInCache = 256;
  return table_.size() > kSeriesInCache;
}

SeriesSlot* ProactivePartition::create(const core::Event& event) {
  const std::string_view service = symbols_.intern(event.view(event.service));
  const std::string_view domain = symbols_.intern(event.view(event.domain));
  const std::string_view metric = symbols_.intern(event.view(event.name));
  if (service.data() == nullptr || domain.data() == nullptr || metric.data() == nullptr) {
    ++refused_count_;
    return nullptr;
  }
  const SeriesTable::Inserted inserted = table_.insert(event.route_key);
  if (inserted.evicted_rich != kNoIndex) {
    if (pool_[inserted.evicted_rich]->ensemble != nullptr) --ensemble_count_;
    pool_[inserted.evicted_rich].reset();
    free_.push_back(inserted.evicted_rich);
  }
  SeriesModel& model = table_.model(inserted.slot->model);
  model.service = service;
  model.domain = domain;
  model.metric = metric;
  model.role = role_of(metric);
  model.observed = model.role != MetricRole::kOther ||
                   std::find(config_.observed_metrics.begin(), config_.observed_metrics.end(),
                             metric) != config_.observed_metrics.end();
  for (const MetricRange& range : config_.ranges) {
    if (range.metric != metric || (!range.service.empty() && range.service != service)) continue;
    model.has_range = true;
    model.range_low = static_cast<float>(range.low);
    model.range_high = static_cast<float>(range.high);
    break;
  }
  open_bin(*inserted.slot, event);
  return inserted.slot;
}

// `metric` is a symbol: equal texts are one.
core::MetricRole ProactivePartition::role_of(std::string_view metric) noexcept {
  KnownRole& known = roles_[reinterpret_cast<std::uintptr_t>(metric.data()) / 8 % roles_.size()];
  if (known.metric != metric.data()) known = {metric.data(), core::role_of_metric(metric)};
  return known.role;
}

void ProactivePartition::open_bin(SeriesSlot& slot, const core::Event& event) const noexcept {
  slot.bin_start_ns = floor_to(event.ts_ns, bin_ns_);
  slot.sum = 0.0;
  slot.count = 0;
  slot.last_ts_ns = event.ts_ns;
}

void ProactivePartition::close_bin(SeriesSlot& slot, const core::Event& event,
                                   core::FindingSink& sink) {
  SeriesModel& model = table_.model(slot.model);
  table_.touch(slot.model);
  Closed bin;
  bin.mean = slot.sum / static_cast<double>(slot.count);
  if (!std::isfinite(bin.mean)) bin.mean = model.trend.level;  // the sum overflowed
  bin.end_ns = slot.bin_start_ns + bin_ns_;
  bin.count = slot.count;
  bin.baseline = model.baseline.center;
  bin.deviation = model.baseline.deviation(bin.mean);

  // Bins without a sample between the one before this and this one.
  std::int64_t gap = 0;
  if (model.bins > 0) {
    const Sample& last = model.samples[(model.bins - 1) % kSampleCount];
    gap = (slot.bin_start_ns - floor_to(last.ts_ns, bin_ns_)) / bin_ns_ - 1;
  }
  model.trend.step(bin.mean, gap);
  model.baseline.step(bin.mean, config_.warmup_bins);
  model.recent[model.bins % kRecentBins] = static_cast<float>(bin.mean);
  model.samples[model.bins % kSampleCount] = {slot.last_sequence, slot.last_ts_ns};
  ++model.bins;
  const bool unusual = std::fabs(bin.deviation) >= kUnusualDeviation;
  model.unusual_run =
      unusual ? static_cast<std::uint8_t>(std::min(model.unusual_run + 1, 255)) : std::uint8_t{0};

  const bool warm = model.bins > config_.warmup_bins;
  if (warm) earn_rich(slot.model);
  RichSeries* const r = rich(model);
  if (r != nullptr) {
    const std::int64_t of_day = slot.bin_start_ns - floor_to(slot.bin_start_ns, kNsPerDay);
    r->forecast.step(bin.mean, gap, static_cast<double>(of_day) / static_cast<double>(kNsPerDay),
                     model.trend, model.baseline);
    r->bands.come(bin.end_ns / bin_ns_, bin.mean, band_scale_);
    const bool was_seasonal = r->season.seasonal();
    r->residual = r->season.step(slot.bin_start_ns, bin.mean);
    if (r->season.seasonal() != was_seasonal) r->recent.clear();
    r->recent.push(r->residual.now);
    if (r->ensemble != nullptr) r->ensemble->take(slot.bin_start_ns, bin.mean);
    const bool same = bin.mean != 0.0 && model.recent_back(0) == model.recent_back(1);
    r->liveness.step(same, gap, floor_to(event.ts_ns, bin_ns_));
  }
  observe(model, bin, sink);
  if (!warm) return;
  check_forecast(model, bin, event, sink);
  if (r != nullptr) {
    check_onset(model, *r, bin, event, sink);
    check_shift(model, *r, bin, event, sink);
    check_swing(model, *r, bin, event, sink);
    check_frozen(model, *r, event, sink);
  }
  check_drift(model, bin, event, sink);
}

void ProactivePartition::observe(const SeriesModel& model, const Closed& bin,
                                 core::FindingSink& sink) const {
  const bool warm = model.bins > config_.warmup_bins;
  const double deviation = warm ? bin.deviation : 0.0;
  if (!model.observed && std::fabs(deviation) < config_.observed_deviation_min) return;
  core::Observation observation;
  observation.ts_ns = bin.end_ns;
  observation.order_key = model.key;
  observation.service = model.service;
  observation.domain = model.domain;
  observation.name = model.metric;
  observation.value = bin.mean;
  observation.baseline = bin.baseline;
  observation.deviation = deviation;
  observation.count = bin.count;
  observation.kind = core::ObservationKind::kSeriesBin;
  observation.role = model.role;
  observation.warm = warm;
  sink.observe(observation);
}

// A rich model is earned by a role or by being unusual for a while; it lasts as long as the series.
// When the pool is empty, the light model goes on alone.
void ProactivePartition::earn_rich(std::uint32_t index) {
  SeriesModel& model = table_.model(index);
  if (model.rich != kNoIndex) return;
  if (model.role == MetricRole::kOther && model.unusual_run < kUnusualRun) return;
  if (!free_.empty()) {
    model.rich = free_.back();
    free_.pop_back();
  } else if (pool_.size() < rich_max_) {
    model.rich = static_cast<std::uint32_t>(pool_.size());
    pool_.emplace_back();
    free_.reserve(pool_.size());
  } else {
    return;
  }
  RichSeries& entry =
      *(pool_[model.rich] = std::make_unique<RichSeries>(model.key, index, horizon_bins_));
  if (ensemble_count_ < ensemble_max_) {
    entry.ensemble = std::make_unique<models::BatchedAnomaly>(model.key);
    ++ensemble_count_;
  }
}

bool ProactivePartition::is_forecast(const SeriesModel& model, bool up) noexcept {
  const MetricRole role = model.role;
  if (model.has_range || role == MetricRole::kOther) return true;
  return up ? role == MetricRole::kLatency || role == MetricRole::kErrors ||
                  role == MetricRole::kSaturation
            : role == MetricRole::kHealth;
}

ProactivePartition::Range ProactivePartition::range_of(const SeriesModel& model) const noexcept {
  if (model.has_range) {
    return {static_cast<double>(model.range_low), static_cast<double>(model.range_high), true};
  }
  const Baseline& b = model.baseline;
  const double size = std::fabs(b.center);
  const double beyond = config_.range_deviations * b.scale();
  const double margin =
      config_.range_margin * (model.role == MetricRole::kHealth ? kHealthMarginShare : 1.0);
  Range range{std::min(b.low - beyond, b.center - margin * size),
              std::max(b.high + beyond, b.center + margin * size), false};
  // What was never negative does not become so; then there is nothing below the range.
  if (b.low >= 0 && range.low <= 0) range.low = 0.0;
  if (model.role == MetricRole::kSaturation && b.low >= 0) {
    // Near full is bad however wide the usual range is, unless it usually is that full.
    const double full = is_percent(model.metric) ? config_.saturation_percent_max
                        : b.high <= 1.0          ? config_.saturation_percent_max / 100.0
                                                 : range.high;
    range.high = std::min(range.high, std::max(full, b.high + b.scale()));
  }
  return range;
}

// P(the path leaves the range at this end) = P(movement goes on) P(leaves | goes on)
//                                          + P(it stops) P(leaves | level stays).
// The path leaves when it is beyond at any horizon; the largest single probability is a lower bound
// of that and does not assume anything about how the horizons depend on each other.
ProactivePartition::Outlook ProactivePartition::outlook(const SeriesModel& model, double bound,
                                                        bool up, std::int64_t end_ns) noexcept {
  Outlook result;
  const RichSeries* const r = rich(model);
  const bool calibrated = r != nullptr && r->forecast.ready();
  const double sign = up ? 1.0 : -1.0;
  double going_on = 0.0;
  double staying = 0.0;
  double previous = model.trend.level;
  std::uint32_t previous_bins = 0;
  for (std::size_t i = 0; i < kHorizonCount; ++i) {
    const Prediction p = calibrated ? r->forecast.forecast(i) : model.trend.forecast(horizons_[i]);
    going_on = std::max(going_on, normal_cdf(sign * (p.mean - bound) / p.sd));
    staying = std::max(staying, normal_cdf(sign * (model.trend.level - bound) / p.sd));
    if (result.crossing_ns == 0 && sign * (p.mean - bound) > 0) {
      // By a line between the two horizons.
      const double rise = p.mean - previous;
      const double part = rise == 0 ? 0 : std::clamp((bound - previous) / rise, 0.0, 1.0);
      const double bins = previous_bins + part * (horizons_[i] - previous_bins);
      result.crossing_ns = end_ns + static_cast<std::int64_t>(bins * static_cast<double>(bin_ns_));
    }
    previous = p.mean;
    previous_bins = horizons_[i];
  }
  const double lasts =
      model.trend.persistence(up, sign * model.baseline.deviation(model.trend.level));
  result.at_horizon = previous;
  if (calibrated) {
    const double sd = r->forecast.forecast(kHorizonCount - 1).sd;
    result.futures = {previous, model.trend.level, r->residual.expected, sd, lasts};
  }
  result.probability = std::min(lasts * going_on + (1.0 - lasts) * staying, 0.99);
  return result;
}

void ProactivePartition::check_forecast(SeriesModel& model, const Closed& bin,
                                        const core::Event& event, core::FindingSink& sink) {
  const Range range = range_of(model);
  const auto check = [&](bool up, double bound, FireState& state) {
    if (!std::isfinite(bound)) return;
    if (!up && !range.configured && bound == 0.0 && model.baseline.low >= 0) return;
    Outlook found = outlook(model, bound, up, bin.end_ns);
    if (found.probability < core::kFindingFloor) {
      note_absent(state, bin.end_ns, refire_);
      return;
    }
    // As those that are told are: of the first bins of a departure.
    if (found.futures.sd > 0 && state.held_bins <= horizon_bins_) {
      found.half_width90 = band_scale_.value() * found.futures.half_width();
      rich(model)->bands.put(bin.end_ns / bin_ns_ + horizon_bins_, found.at_horizon,
                             found.half_width90);
    }
    if (note_present(state, odds(found.probability), bin.end_ns, config_.confirm_bins, refire_)) {
      report_forecast(model, bin, event, range, found, up, sink);
    }
  };
  if (is_forecast(model, true)) check(true, range.high, model.forecast_up);
  if (is_forecast(model, false)) check(false, range.low, model.forecast_down);
}

}  // namespace grace::proactive
