#include "week_generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>

#include "grace/core/time.h"
#include "line_builder.h"
#include "random.h"

namespace grace::tools {
namespace {

constexpr std::size_t kServices = 100;
constexpr std::size_t kMetrics = 5;
constexpr std::int64_t kDayMinutes = 1440;
constexpr std::size_t kFaultsOfAKind = 2;
enum Metric : std::size_t { kLatency, kRequests, kErrors, kCpu, kMemory };
constexpr std::array<std::string_view, kMetrics> kNames{
    "latency_ms", "requests_rps", "error_rate", "cpu_usage_percent", "memory_usage_percent"};
constexpr std::array<std::string_view, 5> kDomains{"core", "knowledge", "ml", "temporal", "edge"};

enum class Kind {
  kSpike,
  kLevelShiftUp,
  kLevelShiftDown,
  kSlowLeak,
  kTrendUp,
  kErrorCreep,
  kGradualDecline,
  kVarianceChange,
  kSeasonalityBreak,
  kDelayedPeak,
  kFlatLine,
  kMissingData,
  kDropToZero,
  kErrorBurst,
  kIntermittentErrors,
  kSlowdown,
  kSaturation,
  kSawTooth,
  kOscillation,
  kUnitChange,
};

struct KindOfFault {
  Kind kind;
  std::string_view name;
  Metric metric;
  std::int64_t minutes_min, minutes_max;
  double size_min, size_max;  // what it is a size of: see Stream::faulty
};
constexpr std::array<KindOfFault, 20> kKinds{{
    {Kind::kSpike, "spike", kLatency, 2, 4, 3.0, 10.0},
    {Kind::kLevelShiftUp, "level_shift_up", kLatency, 240, 720, 1.6, 4.0},
    {Kind::kLevelShiftDown, "level_shift_down", kRequests, 240, 720, 0.2, 0.6},
    {Kind::kSlowLeak, "slow_leak", kMemory, 180, 720, 96.0, 99.0},
    {Kind::kTrendUp, "trend_up", kLatency, 240, 720, 2.5, 5.0},
    {Kind::kErrorCreep, "error_creep", kErrors, 180, 480, 0.08, 0.25},
    {Kind::kGradualDecline, "gradual_decline", kRequests, 180, 480, 0.2, 0.5},
    {Kind::kVarianceChange, "variance_change", kCpu, 240, 720, 4.0, 10.0},
    {Kind::kSeasonalityBreak, "seasonality_break", kRequests, 1440, 1440, 0.0, 0.0},
    {Kind::kDelayedPeak, "delayed_peak", kRequests, 1440, 1440, 180.0, 420.0},
    {Kind::kFlatLine, "flat_line", kCpu, 120, 360, 0.0, 0.0},
    {Kind::kMissingData, "missing_data", kCpu, 60, 180, 0.0, 0.0},
    {Kind::kDropToZero, "drop_to_zero", kRequests, 10, 60, 0.0, 0.0},
    {Kind::kErrorBurst, "error_burst", kErrors, 10, 40, 0.1, 0.6},
    {Kind::kIntermittentErrors, "intermittent_errors", kErrors, 60, 180, 0.1, 0.4},
    {Kind::kSlowdown, "slowdown", kLatency, 20, 90, 1.8, 5.0},
    {Kind::kSaturation, "saturation", kCpu, 20, 60, 94.0, 100.0},
    {Kind::kSawTooth, "saw_tooth", kMemory, 180, 480, 20.0, 60.0},
    {Kind::kOscillation, "oscillation", kLatency, 60, 240, 0.3, 0.7},
    {Kind::kUnitChange, "unit_change", kLatency, 60, 240, 1000.0, 1000.0},
}};

constexpr double kMemoryLimit = 90.0;  // percent
constexpr double kErrorLimit = 0.05;
constexpr double kLatencyLimit = 2.0;  // times the usual level

struct Fault {
  const KindOfFault* what = nullptr;
  std::int64_t begin = 0, end = 0;  // minutes
  double size = 0.0;
};

struct Series {
  double level = 0.0;
  double noise = 0.0;        // relative; of errors and memory: absolute
  double memory = 0.0;       // of the noise from minute to minute, first-order autoregression
  double day = 0.0;          // relative height of the daily wave
  double weekend = 1.0;      // factor on Saturday and Sunday
  double peak_minute = 0.0;  // of the day
  double wander = 0.0;       // state of the noise
  double held = 0.0;         // last value before a flat line
  Fault fault;
};

class Stream {
 public:
  Stream(const GeneratorOptions& options, std::ostream& out)
      : start_ns_(options.start_ns),
        minutes_(static_cast<std::int64_t>(options.days) * kDayMinutes),
        out_(out),
        random_(options.seed) {
    for (std::size_t service = 0; service < kServices; ++service) make_service();
    place_faults();
  }

  std::vector<GroundTruth> write() {
    write_topology();
    const std::int64_t apart_ns = core::kNsPerMinute / static_cast<std::int64_t>(series_.size());
    for (std::int64_t minute = 0; minute < minutes_; ++minute) {
      for (std::size_t i = 0; i < series_.size(); ++i) {
        write_sample(
            i, minute,
            start_ns_ + minute * core::kNsPerMinute + static_cast<std::int64_t>(i) * apart_ns);
      }
    }
    return truth();
  }

 private:
  double between(double low, double high) { return low + (high - low) * random_.uniform(); }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low +
           static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(high - low + 1)));
  }

  void make_service() {
    const double peak = between(600.0, 1000.0);  // all of a service peak together
    const double weekend = between(0.6, 1.0);
    const auto add = [&](double level, double noise, double day, double weekend_factor) {
      series_.push_back({level, noise, between(0.0, 0.7), day, weekend_factor, peak, 0.0, 0.0, {}});
    };
    add(between(20.0, 300.0), between(0.02, 0.08), between(0.0, 0.15), 1.0);
    add(between(50.0, 2000.0), between(0.02, 0.08), between(0.1, 0.5), weekend);
    add(between(0.001, 0.01), between(0.0003, 0.001), 0.0, 1.0);
    add(between(15.0, 45.0), between(0.03, 0.08), between(0.1, 0.4), weekend);
    add(between(35.0, 65.0), between(0.3, 1.5), 0.0, 1.0);
  }

  // One fault a service, so that no two meet.
  void place_faults() {
    std::array<std::size_t, kServices> order{};
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    for (std::size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random_.below(i + 1)]);
    const std::int64_t first = minutes_ * 2 / 7;
    for (std::size_t i = 0; i < kKinds.size() * kFaultsOfAKind; ++i) {
      const KindOfFault& kind = kKinds[i % kKinds.size()];
      const std::int64_t lasts =
          std::min(between(kind.minutes_min, kind.minutes_max), (minutes_ - first) / 2);
      Fault& fault = series_[order[i] * kMetrics + kind.metric].fault;
      fault.what = &kind;
      fault.begin = between(first, minutes_ - lasts);
      fault.end = fault.begin + lasts;
      fault.size = between(kind.size_min, kind.size_max);
    }
  }

  void write_topology() {
    for (std::size_t i = 0; i < kServices; ++i) {
      std::string depends = "[";
      if (i >= 10) depends += core::json_quoted(service_name(i - 10));
      depends += ']';
      line_.begin(start_ns_)
          .field("kind", "control")
          .field("control", "topology")
          .field("service", service_name(i))
          .field("domain", kDomains[i % kDomains.size()])
          .raw("depends_on", depends)
          .raw("replicas", "2")
          .field("criticality", "medium");
      out_ << line_.end();
    }
  }

  static std::string service_name(std::size_t service) { return "svc_" + std::to_string(service); }

  // 1 on Saturday and Sunday, 0 on other days, and on the way between for twelve hours around
  // midnight. `minute` is one of the week that began with a Monday.
  static double weekend_part(double minute) {
    constexpr double kWay = 720.0;
    constexpr double kSaturday = 5.0 * kDayMinutes, kMonday = 7.0 * kDayMinutes;
    if (minute < 0.5 * kWay) minute += kMonday;
    return std::clamp(std::min(minute - kSaturday, kMonday - minute) / kWay + 0.5, 0.0, 1.0);
  }

  // The usual value without noise. `shape` 0 takes the daily wave away.
  double usual(const Series& s, double minute, double shape = 1.0) const {
    // The epoch began with a Thursday.
    const double now = minute + static_cast<double>(start_ns_ / core::kNsPerMinute) +
                       3.0 * static_cast<double>(kDayMinutes);
    const double turn = (now - s.peak_minute) / static_cast<double>(kDayMinutes);
    const double wave = shape * s.day * std::cos(2.0 * std::numbers::pi * turn);
    const double weekend = weekend_part(std::fmod(now, 7.0 * kDayMinutes));
    return s.level * (1.0 + wave) * (1.0 + (s.weekend - 1.0) * weekend);
  }

  double with_noise(std::size_t metric, const Series& s, double value, double factor) const {
    const bool absolute = metric == kErrors || metric == kMemory;
    return value + factor * s.noise * s.wander * (absolute ? 1.0 : value);
  }

  void write_sample(std::size_t i, std::int64_t minute, std::int64_t ts_ns) {
    Series& s = series_[i];
    const std::size_t metric = i % kMetrics;
    s.wander = s.memory * s.wander + std::sqrt(1.0 - s.memory * s.memory) * random_.normal();
    const bool faulty_now =
        s.fault.what != nullptr && minute >= s.fault.begin && minute < s.fault.end;
    double value = 0.0;
    if (faulty_now) {
      if (s.fault.what->kind == Kind::kMissingData) return;
      value = faulty(metric, s, minute);
    } else {
      value = with_noise(metric, s, usual(s, static_cast<double>(minute)), 1.0);
      s.held = value;
    }
    value = std::max(0.0, value);
    if (metric == kCpu || metric == kMemory) value = std::min(value, 100.0);
    const std::size_t service = i / kMetrics;
    line_.begin(ts_ns)
        .field("kind", "metric")
        .field("service", service_name(service))
        .field("domain", kDomains[service % kDomains.size()])
        .field("metric", kNames[metric])
        .field("value", value, metric == kErrors ? 5 : 3);
    out_ << line_.end();
  }

  // Path of a slow fault without noise, and of its part: 0 at the begin, 1 at the end.
  static double slow_path(Kind kind, double usual_now, double size, double part) {
    switch (kind) {
      case Kind::kSlowLeak:
      case Kind::kErrorCreep:
        return usual_now + (size - usual_now) * part;
      default:
        return usual_now * (1.0 + (size - 1.0) * part);
    }
  }

  double faulty(std::size_t metric, const Series& s, std::int64_t minute) {
    const Fault& fault = s.fault;
    const double size = fault.size;
    const auto now = static_cast<double>(minute);
    const std::int64_t since = minute - fault.begin;
    const double part = static_cast<double>(since) / static_cast<double>(fault.end - fault.begin);
    const double base = usual(s, now);
    const auto noisy = [&](double value) { return with_noise(metric, s, value, 1.0); };
    switch (fault.what->kind) {
      case Kind::kSpike:
      case Kind::kLevelShiftUp:
      case Kind::kLevelShiftDown:
      case Kind::kSlowdown:
      case Kind::kUnitChange:
        return noisy(base) * size;
      case Kind::kSlowLeak:
      case Kind::kTrendUp:
      case Kind::kErrorCreep:
      case Kind::kGradualDecline:
        return noisy(slow_path(fault.what->kind, base, size, part));
      case Kind::kVarianceChange:
        return with_noise(metric, s, base, size);
      case Kind::kSeasonalityBreak:
        return noisy(usual(s, now, 0.0));
      case Kind::kDelayedPeak:
        return noisy(usual(s, now - size));
      case Kind::kFlatLine:
        return s.held;
      case Kind::kMissingData:
      case Kind::kDropToZero:
        return 0.0;
      case Kind::kErrorBurst:
        return noisy(base) + size;
      case Kind::kIntermittentErrors:
        return noisy(base) + (since % 5 == 0 ? size : 0.0);
      case Kind::kSaturation:
        return size + 0.5 * random_.normal();
      case Kind::kSawTooth:  // climbs for half an hour, then a restart
        return noisy(base + size * static_cast<double>(since % 30) / 30.0);
      case Kind::kOscillation:
        return noisy(base) * (since / 3 % 2 == 0 ? 1.0 + size : 1.0 - size);
    }
    return base;
  }

  // Value of a slow fault's limit; 0: it has none.
  static double limit_of(Kind kind, const Series& s) {
    switch (kind) {
      case Kind::kSlowLeak:
        return kMemoryLimit;
      case Kind::kTrendUp:
        return kLatencyLimit * s.level;
      case Kind::kErrorCreep:
        return kErrorLimit;
      default:
        return 0.0;
    }
  }

  std::vector<GroundTruth> truth() const {
    std::vector<GroundTruth> faults;
    for (std::size_t i = 0; i < series_.size(); ++i) {
      const Series& s = series_[i];
      const Fault& fault = s.fault;
      if (fault.what == nullptr) continue;
      const auto time_of = [&](std::int64_t minute) {
        return start_ns_ + minute * core::kNsPerMinute;
      };
      GroundTruth entry{std::string(fault.what->name), service_name(i / kMetrics),
                        time_of(fault.begin), time_of(fault.end),
                        std::string(kNames[i % kMetrics])};
      const double limit = limit_of(fault.what->kind, s);
      for (std::int64_t minute = fault.begin; limit > 0 && minute < fault.end; ++minute) {
        const double part = static_cast<double>(minute - fault.begin) /
                            static_cast<double>(fault.end - fault.begin);
        const double usual_now = usual(s, static_cast<double>(minute));
        if (slow_path(fault.what->kind, usual_now, fault.size, part) < limit) continue;
        entry.limit = limit;
        entry.crosses_ns = time_of(minute);
        break;
      }
      faults.push_back(std::move(entry));
    }
    std::sort(faults.begin(), faults.end(), [](const GroundTruth& a, const GroundTruth& b) {
      return a.begin_ns != b.begin_ns ? a.begin_ns < b.begin_ns : a.service < b.service;
    });
    return faults;
  }

  const std::int64_t start_ns_;
  const std::int64_t minutes_;
  std::ostream& out_;
  Random random_;
  LineBuilder line_;
  std::vector<Series> series_;
};

}  // namespace

std::vector<GroundTruth> write_week(const GeneratorOptions& options, std::ostream& out) {
  return Stream(options, out).write();
}

}  // namespace grace::tools
