#include "generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <ostream>

#include "grace/core/time.h"
#include "line_builder.h"
#include "random.h"
#include "realistic_lines.h"
#include "scenario_generator.h"
#include "week_generator.h"

namespace grace::tools {
namespace {

constexpr std::array<std::string_view, 6> kMetrics{"latency_ms",           "requests_rps",
                                                   "error_rate",           "cpu_usage_percent",
                                                   "memory_usage_percent", "queue_depth"};
constexpr std::array<std::string_view, 5> kDomains{"core", "knowledge", "ml", "temporal", "edge"};
constexpr std::array<std::string_view, 6> kActions{"query",  "validate", "publish",
                                                   "render", "sync",     "execute"};

// The firehose: a fleet whose services report six series each and log what they do, with faults at
// random places. Faults know nothing of the detectors: their sizes come from wide distributions.
class MixedStream {
 public:
  MixedStream(const GeneratorOptions& options, std::ostream& out)
      : options_(options), out_(out), random_(options.seed) {
    // With a seed of its own: the events are those of the mixed profile.
    if (options.profile == "realistic") realistic_.emplace(~options.seed);
    for (std::uint32_t i = 0; i < options.service_count; ++i) {
      services_.push_back({"svc_" + std::to_string(i), kDomains[i % kDomains.size()],
                           40.0 + 160.0 * random_.uniform(), 50.0 + 900.0 * random_.uniform(), 0.0,
                           0.0, 0, 0});
    }
  }

  std::vector<GroundTruth> write() {
    write_topology();
    const double step_ns = 1e9 / options_.events_per_second;
    std::uint64_t written = services_.size();
    for (; written < options_.event_count; ++written) {
      now_ns_ =
          options_.start_ns + static_cast<std::int64_t>(step_ns * static_cast<double>(written));
      maybe_begin_fault();
      const std::uint64_t dice = random_.below(1000);
      if (dice < 995) {
        write_metric_or_action(dice);
      } else if (dice < 998) {
        write_mesh();
      } else {
        write_deploy();
      }
      dress_line();
      if (options_.bad_line_share > 0 && random_.chance(options_.bad_line_share)) {
        break_line();
      }
      out_ << line_.text();
    }
    return std::move(truth_);
  }

 private:
  struct Service {
    std::string name;
    std::string_view domain;
    double latency_ms;
    double rps;
    double latency_factor;     // added while a fault lasts, grows from 0
    double error_probability;  // while a fault lasts
    std::int64_t fault_begin_ns;
    std::int64_t fault_end_ns;
  };

  // `dice`: [0, 995).
  void write_metric_or_action(std::uint64_t dice) {
    if (!options_.shares) {
      if (dice < 550) return write_metric();
      return write_action(std::nullopt);
    }
    const auto& [metrics, actions, errors] = *options_.shares;
    const double place = (static_cast<double>(dice) + random_.uniform()) / 995.0;
    const double all = metrics + actions + errors;
    if (place * all < metrics) return write_metric();
    write_action(errors > 0.0 && place * all >= metrics + actions);
  }

  void write_topology() {
    for (std::size_t i = 0; i < services_.size(); ++i) {
      std::string depends = "[";
      for (std::size_t k = 1; k <= 2 && i >= k * 7; ++k) {
        if (k > 1) depends += ',';
        depends += core::json_quoted(services_[i - k * 7].name);
      }
      depends += ']';
      line_.begin(options_.start_ns)
          .field("kind", "control")
          .field("control", "topology")
          .field("service", services_[i].name)
          .field("domain", services_[i].domain)
          .raw("depends_on", depends)
          .raw("replicas", std::to_string(1 + i % 4))
          .field("criticality", i % 10 == 0 ? "high" : "medium");
      line_.end();
      dress_line();
      out_ << line_.text();
    }
  }

  void dress_line() {
    if (realistic_) realistic_->dress(line_.text());
  }

  void maybe_begin_fault() {
    // On average one fault in ten minutes of event time.
    if (!random_.chance(1.0 / (600.0 * options_.events_per_second))) return;
    Service& service = services_[random_.below(services_.size())];
    if (service.fault_end_ns > now_ns_) return;
    service.fault_begin_ns = now_ns_;
    service.fault_end_ns =
        now_ns_ + (300 + static_cast<std::int64_t>(random_.below(1500))) * core::kNsPerSecond;
    const bool slow = random_.chance(0.5);
    service.latency_factor = slow ? 0.5 + 3.0 * random_.uniform() : 0.0;
    service.error_probability = slow ? 0.02 : 0.2 + 0.6 * random_.uniform();
    truth_.push_back({slow ? "latency_ramp" : "error_burst",
                      service.name,
                      service.fault_begin_ns,
                      service.fault_end_ns,
                      {},
                      0.0,
                      0});
  }

  double fault_part(const Service& service) const {
    if (now_ns_ >= service.fault_end_ns) return 0.0;
    return static_cast<double>(now_ns_ - service.fault_begin_ns) /
           static_cast<double>(service.fault_end_ns - service.fault_begin_ns);
  }

  double metric_value(const Service& service, std::size_t metric) {
    const double hours = static_cast<double>(now_ns_ - options_.start_ns) / 3.6e12;
    const double day = 1.0 + 0.3 * std::sin(2.0 * std::numbers::pi * hours / 24.0);
    const double noise = random_.normal();
    const double fault = fault_part(service);
    switch (metric) {
      case 0:
        return service.latency_ms * (1.0 + service.latency_factor * fault) * (1 + 0.04 * noise);
      case 1:
        return std::max(0.0, service.rps * day * (1.0 + 0.03 * noise));
      case 2:
        return std::max(0.0, (fault > 0 ? service.error_probability : 0.004) + 0.002 * noise);
      case 3:
        return std::clamp(30.0 * day + 25.0 * fault * service.latency_factor + 2 * noise, 0., 100.);
      case 4:
        return std::clamp(55.0 + 1.5 * noise, 0.0, 100.0);
      default:
        return std::max(0.0, std::round(8.0 * (1 + fault) + 2.0 * noise));
    }
  }

  // Series take turns, so that each is sampled at a steady pace as an agent would.
  void write_metric() {
    const std::size_t series = metric_turn_++ % (services_.size() * kMetrics.size());
    const Service& service = services_[series / kMetrics.size()];
    const std::size_t metric = series % kMetrics.size();
    line_.begin(now_ns_)
        .field("kind", "metric")
        .field("service", service.name)
        .field("domain", service.domain)
        .field("metric", kMetrics[metric])
        .field("value", metric_value(service, metric))
        .raw("labels", metric % 2 == 0 ? R"({"host":"node-17","region":"eu-central-1","az":"b"})"
                                       : R"({"host":"node-4","region":"us-east-2","az":"a"})");
    line_.end();
  }

  // `forced`: whether it is an error; empty: as the service's faults have it.
  void write_action(std::optional<bool> forced) {
    const Service& service = services_[random_.below(services_.size())];
    const bool faulty = now_ns_ < service.fault_end_ns;
    const bool error = forced.value_or(random_.chance(faulty ? service.error_probability : 0.003));
    line_.begin(now_ns_)
        .field("kind", "action")
        .field("actor", service.name)
        .field("action", kActions[random_.below(kActions.size())])
        .field("resource", service.name)
        .field("subsystem", "worker")
        .field("domain", service.domain)
        .field("result", error ? "error" : "success")
        .field("duration_ms", service.latency_ms * (0.6 + 0.8 * random_.uniform()));
    std::string payload = R"({"code":)";
    payload += error ? "500" : "200";
    payload += R"(,"request_id":")" + std::to_string(random_.next()) + "\"}";
    line_.raw("payload", payload).end();
  }

  void write_mesh() {
    const Service& service = services_[random_.below(services_.size())];
    std::string payload = R"({"diagnosis_code":"latency_spike","confidence":0.)";
    payload += std::to_string(50 + random_.below(49));
    payload += R"(,"impact":"medium","reasoning":["Reported by an upstream forecaster"],)"
               R"("suggested_playbooks":["scale_up_instances"]})";
    line_.begin(now_ns_)
        .field("event_type", "proactive.anomaly_forecast")
        .field("source", "anomaly_forecaster")
        .field("actor", "ml")
        .field("resource", service.name)
        .raw("payload", payload)
        .end();
  }

  void write_deploy() {
    const Service& service = services_[random_.below(services_.size())];
    line_.begin(now_ns_)
        .field("kind", "control")
        .field("control", "deploy")
        .field("service", service.name)
        .field("version", "v" + std::to_string(random_.below(400)))
        .end();
  }

  void break_line() {
    std::string& text = line_.text();
    text.pop_back();
    switch (random_.below(7)) {
      case 0:
        text.resize(1 + random_.below(text.size() - 1));
        break;  // cut short
      case 1:
        text[random_.below(text.size())] = '\xff';
        break;  // invalid UTF-8
      case 2:
        text.insert(text.size() - 1, ",");
        break;  // stray comma
      case 3:
        text = R"({"ts":"yesterday","kind":"metric","service":"a","metric":"m","value":1})";
        break;
      case 4:
        text = R"({"ts":1736899200000000000,"kind":"metric","service":"a","value":1})";
        break;
      case 5:
        text =
            R"({"ts":1736899200000000000,"kind":"metric","service":"a","metric":"m","value":"x"})";
        break;
      default:
        text = std::string(80, '[');
        break;  // too deep
    }
    text += '\n';
  }

  const GeneratorOptions& options_;
  std::ostream& out_;
  Random random_;
  LineBuilder line_;
  std::optional<RealisticLines> realistic_;  // empty: lines stay plain
  std::vector<Service> services_;
  std::vector<GroundTruth> truth_;
  std::int64_t now_ns_ = 0;
  std::uint64_t metric_turn_ = 0;
};

}  // namespace

const std::vector<GeneratorProfile>& generator_profiles() {
  static const std::vector<GeneratorProfile> kProfiles{
      {"mixed", "a fleet's firehose: metrics, actions, mesh and control events, random faults"},
      {"realistic",
       "the events of mixed as programs log them: any key order, nesting, escapes, 200 to 2048 "
       "bytes"},
      {"week", "days of 500 series at a sample a minute, two faults of each of 20 kinds"},
      {"scenario-1", "a latency climb that a forecast sees before the spike"},
      {"scenario-2", "recurring authentication errors and a failing service, a person approves"},
      {"scenario-3", "demand that outgrows capacity in fifteen minutes"},
  };
  return kProfiles;
}

core::Result<std::vector<GroundTruth>> generate(const GeneratorOptions& options,
                                                std::ostream& out) {
  std::vector<GroundTruth> truth;
  const bool mixes = options.profile == "mixed" || options.profile == "realistic";
  if (options.shares && !mixes) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "the profile " + options.profile + " has a mix of its own");
  }
  if (mixes) {
    if (options.service_count == 0 || !(options.events_per_second > 0)) {
      return core::make_error(core::ErrorCode::kInvalidArgument,
                              "services and events per second must be above 0");
    }
    truth = MixedStream(options, out).write();
  } else if (options.profile == "week") {
    if (options.days < 1 || options.days > 28) {
      return core::make_error(core::ErrorCode::kInvalidArgument, "days must be 1 to 28");
    }
    truth = write_week(options, out);
  } else if (options.profile == "scenario-1") {
    truth = write_scenario_1(options, out);
  } else if (options.profile == "scenario-2") {
    truth = write_scenario_2(options, out);
  } else if (options.profile == "scenario-3") {
    truth = write_scenario_3(options, out);
  } else {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "no profile '" + options.profile + "'");
  }
  out.flush();
  if (!out) return core::make_error(core::ErrorCode::kIo, "cannot write the stream", errno);
  return truth;
}

}  // namespace grace::tools
