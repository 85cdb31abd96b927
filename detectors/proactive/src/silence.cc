#include "silence.h"

#include <algorithm>

#include "grace/core/json_writer.h"
#include "grace/core/time.h"
#include "numeric.h"
#include "rich_series.h"
#include "text.h"

namespace grace::proactive {
namespace {

constexpr std::size_t kEvidenceOfService = 4;

std::string joined(const std::vector<std::string_view>& names, std::size_t count) {
  std::string out;
  for (const std::string_view name : names) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  if (count > names.size()) out += " and " + std::to_string(count - names.size()) + " more";
  return out;
}

std::string json_array(const std::vector<std::string_view>& names) {
  std::string out = "[";
  for (const std::string_view name : names) {
    if (out.size() > 1) out += ',';
    out += core::json_quoted(name);
  }
  return out += ']';
}

}  // namespace

bool SilenceGatherer::add(const core::Observation& silence) {
  if (silence.ts_ns <= feed_until_ns_) return true;
  const auto told = told_until_ns_.find(silence.service);
  if (told != told_until_ns_.end() && told->second >= silence.ts_ns) return true;
  auto place = place_of_.find(silence.service);
  if (place == place_of_.end()) {
    if (gathered_.size() + told_until_ns_.size() >= services_max_) {
      std::erase_if(told_until_ns_, [&](const auto& old) { return old.second < silence.ts_ns; });
      if (gathered_.size() + told_until_ns_.size() >= services_max_) return false;
    }
    place = place_of_.emplace(silence.service, gathered_.size()).first;
    gathered_.push_back({silence.service, silence.domain, {}, {}});
  }
  Silent* const at = &gathered_[place->second];
  ++at->series;
  at->missing = std::max(at->missing, silence.count);
  at->regular_bins = std::max(at->regular_bins, silence.regular_bins);
  at->ts_ns = silence.ts_ns;
  // The same metric may come with several labels.
  const bool named =
      std::find(at->metrics.begin(), at->metrics.end(), silence.name) != at->metrics.end();
  if (!named && at->metrics.size() < kMetricsTold) at->metrics.push_back(silence.name);
  if (at->evidence.size() < kEvidenceOfService) {
    at->evidence.push_back({silence.last_sample_sequence, silence.last_sample_ts_ns,
                            "last closed bin of " + std::string(silence.name) + ", mean " +
                                quantity_text(silence.value, silence.name)});
  }
  return true;
}

void SilenceGatherer::flush(core::FindingSink& sink) {
  if (gathered_.empty()) return;
  const std::int64_t until_ns = gathered_.front().ts_ns + kFollowBins * bin_ns_;
  if (gathered_.size() >= kFeedServices) {
    sink.finding(feed_finding());
    feed_until_ns_ = until_ns;
  } else {
    for (const Silent& silent : gathered_) {
      sink.finding(service_finding(silent));
      told_until_ns_.insert_or_assign(silent.service, until_ns);
    }
  }
  gathered_.clear();
  place_of_.clear();
}

core::Finding SilenceGatherer::finding_of(const Silent& silent) const {
  core::Finding finding;
  finding.type = core::TriggerType::kAnomalyForecast;
  finding.diagnosis_code = "telemetry_stopped";
  finding.confidence = kSilenceConfidence * succession(silent.regular_bins);
  finding.impact = core::Impact::kMedium;
  finding.suggested_playbooks = {"investigate_root_cause"};
  finding.service = silent.service;
  finding.domain = silent.domain;
  finding.ts_ns = silent.ts_ns;
  const std::int64_t horizon_ns = horizon_bins_ * bin_ns_;
  finding.predicted_ts_ns = silent.ts_ns + horizon_ns;
  finding.metadata.emplace_back("ml_model", "\"liveness\"");
  finding.metadata.emplace_back("predicted_time",
                                core::json_quoted(core::format_rfc3339(finding.predicted_ts_ns)));
  finding.metadata.emplace_back("forecast_window",
                                core::json_quoted(core::format_duration(horizon_ns)));
  return finding;
}

core::Finding SilenceGatherer::service_finding(const Silent& silent) const {
  core::Finding finding = finding_of(silent);
  const bool alone = silent.series == 1;
  if (alone) finding.what = silent.metrics.front();
  finding.reasoning = {
      "No sample of " + joined(silent.metrics, silent.metrics.size()) + " for " +
          core::format_duration(silent.missing * bin_ns_) + ", after " +
          std::to_string(silent.regular_bins) + " bins without such a gap",
      "Nothing says that this ends within " + core::format_duration(horizon_bins_ * bin_ns_)};
  if (alone) {
    finding.metadata.emplace_back("metric", core::json_quoted(silent.metrics.front()));
  } else {
    finding.reasoning.push_back(std::to_string(silent.series) +
                                " series of this service stopped together");
    finding.metadata.emplace_back("metrics", json_array(silent.metrics));
    finding.metadata.emplace_back("series", std::to_string(silent.series));
  }
  finding.evidence = silent.evidence;
  return finding;
}

// Told of the service that lost most series, the first of equals.
core::Finding SilenceGatherer::feed_finding() const {
  const Silent* most = &gathered_.front();
  std::vector<std::string_view> services;
  std::vector<core::Evidence> evidence;
  std::uint32_t series = 0;
  for (const Silent& silent : gathered_) {
    if (silent.series > most->series) most = &silent;
    series += silent.series;
    if (services.size() == kServicesTold) continue;
    services.push_back(silent.service);
    evidence.push_back(silent.evidence.front());
  }
  core::Finding finding = finding_of(*most);
  finding.impact = core::Impact::kHigh;
  finding.what = "telemetry feed";
  finding.reasoning = {
      "No sample of " + std::to_string(series) + " series of " + std::to_string(gathered_.size()) +
          " services for " + core::format_duration(most->missing * bin_ns_) + ", after up to " +
          std::to_string(most->regular_bins) + " bins without such a gap",
      "So many do not fail together by chance: what brings their telemetry has stopped",
      "Services: " + joined(services, gathered_.size())};
  finding.metadata.emplace_back("services", json_array(services));
  finding.metadata.emplace_back("service_count", std::to_string(gathered_.size()));
  finding.metadata.emplace_back("series", std::to_string(series));
  finding.evidence = std::move(evidence);
  return finding;
}

}  // namespace grace::proactive
