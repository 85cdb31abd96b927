#include "grace/limit/gates.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <tuple>
#include <utility>

#include "grace/core/hash.h"
#include "grace/core/time.h"

namespace grace::limit {
namespace {

using core::ErrorCode;
using core::make_error;
using core::Result;

constexpr std::array<std::string_view, core::kSourceCount> kMinConfidenceNames{
    "meta_loop.min_confidence", "ml.min_confidence", "agentic.min_confidence",
    "log_pattern.min_confidence"};

std::size_t index_of(core::Source source) {
  return static_cast<std::size_t>(source);
}

bool is_active(const Silence& silence, std::int64_t now_ns) {
  return silence.start_ts_ns <= now_ns && now_ns < silence.end_ts_ns;
}

bool has_matcher(const Silence& silence) {
  return !silence.service.empty() || !silence.domain.empty() || !silence.diagnosis_code.empty() ||
         silence.source.has_value();
}

bool matches(const Silence& silence, const SilenceSubject& subject) {
  const auto fits = [](const std::string& wanted, std::string_view text) {
    return wanted.empty() || wanted == text;
  };
  return (has_matcher(silence) || silence.everything) && fits(silence.service, subject.service) &&
         fits(silence.domain, subject.domain) &&
         fits(silence.diagnosis_code, subject.diagnosis_code) &&
         (!silence.source.has_value() || *silence.source == subject.source);
}

std::string id_of(const Silence& silence) {
  std::uint64_t hash = core::hash_bytes(silence.service);
  hash = core::combine(hash, core::hash_bytes(silence.domain));
  hash = core::combine(hash, core::hash_bytes(silence.diagnosis_code));
  hash = core::combine(hash, silence.source ? index_of(*silence.source) : core::kSourceCount);
  hash = core::combine(hash, static_cast<std::uint64_t>(silence.start_ts_ns));
  hash = core::combine(hash, static_cast<std::uint64_t>(silence.end_ts_ns));
  return "silence_" + core::hex(hash);
}

bool starts_before(const Silence& a, const Silence& b) {
  return std::tie(a.start_ts_ns, a.silence_id) < std::tie(b.start_ts_ns, b.silence_id);
}

}  // namespace

std::string_view min_confidence_name(core::Source source) noexcept {
  return kMinConfidenceNames[index_of(source)];
}

void declare_adjustables(const LimitConfig& config, core::LearnedState& learned) {
  constexpr double kReach = 0.15;
  for (std::size_t i = 0; i < core::kSourceCount; ++i) {
    const auto source = static_cast<core::Source>(i);
    const double configured = config.of(source).min_confidence;
    core::Adjustable minimum;
    minimum.name = min_confidence_name(source);
    minimum.value = configured;
    // The configured value itself is always within, whatever a person chose.
    minimum.min = std::min(configured, std::max(0.50, configured - kReach));
    minimum.max = std::max(configured, std::min(0.98, configured + kReach));
    minimum.step_max = 0.02;
    minimum.period_ns = 6 * core::kNsPerHour;
    learned.declare(std::move(minimum));
  }
}

HourlyWindow::HourlyWindow(std::uint32_t per_hour_max) : per_hour_max_(per_hour_max) {
  times_.reserve(per_hour_max);
}

bool HourlyWindow::allows(std::int64_t now_ns) const {
  if (times_.size() < per_hour_max_) return true;
  if (per_hour_max_ == 0) return false;
  return std::max(now_ns, newest_ns_) - times_[next_] >= core::kNsPerHour;
}

void HourlyWindow::count(std::int64_t now_ns) {
  newest_ns_ = times_.empty() ? now_ns : std::max(now_ns, newest_ns_);
  if (times_.size() < per_hour_max_) {
    times_.push_back(newest_ns_);
    return;
  }
  if (per_hour_max_ == 0) return;
  times_[next_] = newest_ns_;
  next_ = (next_ + 1) % per_hour_max_;
}

std::uint32_t HourlyWindow::used(std::int64_t now_ns) const {
  const std::int64_t now = std::max(now_ns, newest_ns_);
  return static_cast<std::uint32_t>(
      std::count_if(times_.begin(), times_.end(),
                    [&](std::int64_t time) { return now - time < core::kNsPerHour; }));
}

Gates::Gates(LimitConfig config, const core::LearnedState& learned)
    : config_(std::move(config)), learned_(learned) {
  for (std::size_t i = 0; i < core::kSourceCount; ++i) {
    hours_.emplace_back(config_.of(static_cast<core::Source>(i)).per_hour_max);
  }
}

bool Gates::check_enabled(core::Source source) const noexcept {
  return config_.intelligent_triggers_enabled && config_.of(source).enabled;
}

double Gates::min_confidence(core::Source source) const {
  return learned_.adjusted(min_confidence_name(source), config_.of(source).min_confidence);
}

bool Gates::check_min_confidence(core::Source source, double confidence) const {
  return confidence >= min_confidence(source);  // false for NaN
}

const Silence* Gates::find_silence(const SilenceSubject& subject, std::int64_t now_ns) const {
  const auto stops = [&](const Silence& silence) {
    return is_active(silence, now_ns) && matches(silence, subject);
  };
  const auto window =
      std::find_if(config_.maintenance_windows.begin(), config_.maintenance_windows.end(), stops);
  if (window != config_.maintenance_windows.end()) return &*window;
  const auto silence = std::find_if(silences_.begin(), silences_.end(), stops);
  return silence == silences_.end() ? nullptr : &*silence;
}

bool Gates::check_hourly(core::Source source, std::int64_t now_ns) const {
  return hours_[index_of(source)].allows(now_ns);
}

void Gates::count_hourly(core::Source source, std::int64_t now_ns) {
  hours_[index_of(source)].count(now_ns);
}

std::uint32_t Gates::hourly_used(core::Source source, std::int64_t now_ns) const {
  return hours_[index_of(source)].used(now_ns);
}

Result<std::string> Gates::add_silence(Silence silence) {
  if (!has_matcher(silence) && !silence.everything) {
    return make_error(ErrorCode::kInvalidArgument,
                      "silence: names no service, domain, diagnosis or source; to silence all "
                      "triggers say so");
  }
  if (silence.end_ts_ns <= silence.start_ts_ns) {
    return make_error(ErrorCode::kInvalidArgument, "silence: its end is not after its start");
  }
  if (silence.silence_id.empty()) silence.silence_id = id_of(silence);
  std::erase_if(silences_,
                [&](const Silence& other) { return other.silence_id == silence.silence_id; });
  if (silences_.size() >= config_.silences_max) {
    ++refused_count_;
    return make_error(ErrorCode::kFull, "silence: " + std::to_string(config_.silences_max) +
                                            " are set already (silences_max)");
  }
  std::string silence_id = silence.silence_id;
  silences_.insert(std::upper_bound(silences_.begin(), silences_.end(), silence, starts_before),
                   std::move(silence));
  return silence_id;
}

Result<void> Gates::expire_silence(std::string_view silence_id, std::int64_t now_ns) {
  const auto at = std::find_if(silences_.begin(), silences_.end(), [&](const Silence& silence) {
    return silence.silence_id == silence_id && now_ns < silence.end_ts_ns;
  });
  if (at == silences_.end()) {
    return make_error(ErrorCode::kNotFound,
                      "silence: '" + std::string(silence_id) + "' is not set or is over");
  }
  silences_.erase(at);
  return {};
}

std::vector<Silence> Gates::silences(std::int64_t now_ns) const {
  std::vector<Silence> current;
  std::copy_if(silences_.begin(), silences_.end(), std::back_inserter(current),
               [&](const Silence& silence) { return now_ns < silence.end_ts_ns; });
  return current;
}

void Gates::on_tick(std::int64_t now_ns) {
  std::erase_if(silences_, [&](const Silence& silence) { return silence.end_ts_ns <= now_ns; });
}

}  // namespace grace::limit
