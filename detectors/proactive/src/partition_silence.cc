// Series that say nothing any more: no samples (told by the ordered part), or always the same
// value.
#include <algorithm>
#include <string>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "numeric.h"
#include "partition.h"
#include "text.h"

namespace grace::proactive {
namespace {

// Half a day of minutes: what comes and goes more often than that is not missed.
constexpr std::uint32_t kRegularBins = 720;
constexpr std::int64_t kStoppedBins = 3;
constexpr std::uint32_t kFrozenRepeats = 2;
constexpr double kFrozenProbability = 0.98;
constexpr double kChanceMin = 1e-12;  // less is not told apart

}  // namespace

void Liveness::step(bool same, std::int64_t gap, std::int64_t next_bin_ns) noexcept {
  open_bin_ns = next_bin_ns;
  stop_told = false;
  regular_bins = gap > 1 ? 0 : regular_bins + 1;
  if (same && gap == 0) {
    ++same_run;
    return;
  }
  // A run counts once it is over, so that it is judged by what was before it.
  bins += same_run + 1;
  repeats += same_run;
  same_run_max = std::max(same_run_max, same_run);
  same_run = 0;
  frozen_told = false;
}

double Liveness::chance_of_run() const noexcept {
  if (bins < kRegularBins || same_run < kFrozenRepeats || same_run <= 2 * same_run_max) return 1.0;
  const double part = (static_cast<double>(repeats) + 1.0) / (static_cast<double>(bins) + 2.0);
  double chance = 1.0;
  for (std::uint32_t i = 0; i < same_run && chance > kChanceMin; ++i) chance *= part;
  return chance;
}

void ProactivePartition::check_frozen(const SeriesModel& model, RichSeries& rich,
                                      const core::Event& event, core::FindingSink& sink) const {
  Liveness& liveness = rich.liveness;
  if (liveness.frozen_told) return;
  const double probability = no_chance(liveness.chance_of_run(), bin_ns_);
  if (probability < kFrozenProbability) return;
  liveness.frozen_told = true;
  report_frozen(model,
                std::string(model.metric) + " has been exactly " +
                    quantity_text(model.recent_back(0), model.metric) + " for " +
                    std::to_string(liveness.same_run + 1) + " bins, and never for more than " +
                    std::to_string(liveness.same_run_max + 1) + " before",
                kSilenceConfidence * probability, event.ts_ns, sink);
}

void ProactivePartition::on_tick(const core::Tick& tick, core::FindingSink& sink) {
  // Ticks come each second, for every partition: without a division until a bin is over.
  if (tick.watermark_ns < silence_check_ns_) return;
  silence_check_ns_ = (tick.watermark_ns / bin_ns_ + 1) * bin_ns_;
  for (const std::unique_ptr<RichSeries>& entry : pool_) {
    if (entry == nullptr) continue;
    Liveness& liveness = entry->liveness;
    // The open bin has a sample; whole bins after it.
    const std::int64_t missing = (tick.watermark_ns - liveness.open_bin_ns) / bin_ns_ - 1;
    if (missing < kStoppedBins || liveness.stop_told) continue;
    liveness.stop_told = true;  // or is not worth telling
    if (liveness.regular_bins < kRegularBins) continue;
    observe_silence(table_.model(entry->model), liveness.regular_bins,
                    static_cast<std::uint32_t>(std::min<std::int64_t>(missing, UINT32_MAX)),
                    tick.watermark_ns, sink);
  }
}

// To the ordered stage: series that stop together, in whatever partitions, are one thing to tell.
void ProactivePartition::observe_silence(const SeriesModel& model, std::uint32_t regular_bins,
                                         std::uint32_t missing, std::int64_t ts_ns,
                                         core::FindingSink& sink) {
  const Sample& sample = model.samples[(model.bins - 1) % kSampleCount];
  core::Observation observation;
  observation.ts_ns = ts_ns;
  observation.order_key = model.key;
  observation.service = model.service;
  observation.domain = model.domain;
  observation.name = model.metric;
  observation.value = model.recent_back(0);
  observation.count = missing;
  observation.kind = core::ObservationKind::kSilence;
  observation.last_sample_ts_ns = sample.ts_ns;
  observation.last_sample_sequence = sample.sequence;
  observation.regular_bins = regular_bins;
  sink.observe(observation);
}

void ProactivePartition::report_frozen(const SeriesModel& model, std::string reason,
                                       double probability, std::int64_t ts_ns,
                                       core::FindingSink& sink) const {
  core::Finding finding;
  finding.type = core::TriggerType::kAnomalyForecast;
  finding.diagnosis_code = "telemetry_frozen";
  finding.confidence = probability;
  finding.impact = core::Impact::kMedium;
  finding.suggested_playbooks = {"investigate_root_cause"};
  finding.service = model.service;
  finding.domain = model.domain;
  finding.what = model.metric;
  finding.ts_ns = ts_ns;
  finding.reasoning.push_back(std::move(reason));
  finding.reasoning.push_back("Nothing says that this ends within " +
                              core::format_duration(horizon_bins_ * bin_ns_));
  finding.metadata.emplace_back("metric", core::json_quoted(model.metric));
  add_window(finding, ts_ns, "liveness");
  const Sample& sample = model.samples[(model.bins - 1) % kSampleCount];
  finding.evidence.push_back({sample.sequence, sample.ts_ns,
                              "last closed bin of " + std::string(model.metric) + ", mean " +
                                  quantity_text(model.recent_back(0), model.metric)});
  sink.finding(std::move(finding));
}

}  // namespace grace::proactive
