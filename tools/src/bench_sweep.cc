#include "bench_sweep.h"

#include <algorithm>
#include <functional>
#include <sstream>
#include <utility>

#include "bench_measure.h"
#include "event_mix.h"
#include "grace/core/platform.h"
#include "grace/harness/units.h"

namespace grace::tools {
namespace {

constexpr std::size_t kValuesMax = 32;

// What one value of a sweep makes of the arguments and settings.
struct Step {
  std::string name;  // for the progress bar
  std::function<void(BenchArguments&, BenchSettings&)> set;
};
using Steps = core::Result<std::vector<Step>>;

tl::unexpected<core::Error> refused(const std::string& message) {
  return core::make_error(core::ErrorCode::kInvalidArgument, "--values: " + message);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) words.push_back(word);
  return words;
}

// The numbers of --values, or these; where they count something whole ones of at most `count_max`
// (0: they do not).
core::Result<std::vector<double>> values_of(const BenchArguments& arguments,
                                            std::vector<double> otherwise, double count_max) {
  if (arguments.values.empty()) return otherwise;
  std::vector<double> values;
  for (const std::string& word : split(arguments.values)) {
    const auto value = harness::parse_rate(word);
    if (!value) return refused(value.error().message);
    if (count_max > 0.0 &&
        (*value < 1.0 || *value > count_max || *value != double(std::uint64_t(*value)))) {
      return refused("'" + word + "' is not a whole number of 1 to " +
                     std::to_string(std::uint64_t(count_max)));
    }
    values.push_back(*value);
  }
  if (values.empty() || values.size() > kValuesMax) return refused("give 1 to 32 of them");
  std::sort(values.begin(), values.end());
  return values;
}

Steps steps_of(const core::Result<std::vector<double>>& values,
               void (*set)(double, BenchArguments&, BenchSettings&)) {
  if (!values) return tl::unexpected<core::Error>(values.error());
  std::vector<Step> steps;
  for (const double value : *values) {
    steps.push_back(
        {harness::format_rate(value), [=](BenchArguments& arguments, BenchSettings& settings) {
           set(value, arguments, settings);
         }});
  }
  return steps;
}

Steps worker_steps(const BenchArguments& arguments) {
  std::vector<double> counts;
  const unsigned workers_max = workers_max_of(harness::machine_report().cpu_count, {});
  for (unsigned i = 1; i <= workers_max; ++i) counts.push_back(double(i));
  return steps_of(values_of(arguments, counts, double(core::kWorkersMax)),
                  [](double value, BenchArguments& changed, BenchSettings&) {
                    changed.workers = static_cast<std::size_t>(value);
                  });
}

Steps rate_steps(const BenchArguments& arguments, double rate, std::vector<double> factors) {
  for (double& factor : factors) factor *= rate;
  return steps_of(
      values_of(arguments, std::move(factors), 0.0),
      [](double value, BenchArguments&, BenchSettings& changed) { changed.arrivals.rate = value; });
}

// A generated stream needs this many events until each of a service's six series has come twice.
void set_services(double value, BenchArguments& arguments, BenchSettings& settings) {
  constexpr double kMetricShare = 0.55;
  constexpr double kSeriesPerService = 6.0;
  arguments.services = static_cast<std::uint32_t>(value);
  const double events = value * (1.0 + 2.0 * kSeriesPerService / kMetricShare);
  arguments.events = std::max(arguments.events, static_cast<std::uint64_t>(events));
  const double needed_ns = events / settings.arrivals.rate * 1e9;
  settings.span.window_ns = std::max(settings.span.window_ns, static_cast<std::int64_t>(needed_ns));
}

// In the order given: mixes have none of their own.
Steps mix_steps(const BenchArguments& arguments) {
  std::vector<std::string> names{"mixed", "realistic", "metrics", "actions", "errors"};
  if (!arguments.values.empty()) names = split(arguments.values);
  if (names.empty() || names.size() > kValuesMax) return refused("give 1 to 32 of them");
  std::vector<Step> steps;
  for (const std::string& name : names) {
    GeneratorOptions ignored;
    if (const auto set = set_event_mix(name, ignored); !set) return refused(set.error().message);
    steps.push_back({name, [=](BenchArguments& changed, BenchSettings&) { changed.mix = name; }});
  }
  return steps;
}

Steps rule_steps(const BenchArguments& arguments) {
  return steps_of(values_of(arguments, {10, 100, 1'000}, double(kRulesMax)),
                  [](double value, BenchArguments& changed, BenchSettings&) {
                    changed.rules = static_cast<std::uint64_t>(value);
                  });
}

core::Result<void> measure(const Steps& steps, bool searching, BenchArguments arguments,
                           BenchSettings settings, BenchDocument& document) {
  if (!steps) return tl::unexpected<core::Error>(steps.error());
  Progress progress(searching ? 0 : steps->size());
  for (const Step& step : *steps) {
    step.set(arguments, settings);
    const auto measured = searching ? search_in_own_process(arguments, settings)
                                    : point_in_own_process(arguments, settings);
    if (!measured) return tl::unexpected<core::Error>(measured.error());
    auto added = searching ? document.add_search(*measured) : document.add_point(*measured);
    if (!added) return added;
    if (!searching) progress.done(step.name);  // a search has a bar of its own
  }
  return {};
}

}  // namespace

core::Result<std::string> point_in_own_process(const BenchArguments& arguments,
                                               const BenchSettings& settings) {
  return in_own_process([&] { return measure_point(arguments, settings); });
}

core::Result<std::string> search_in_own_process(const BenchArguments& arguments,
                                                const BenchSettings& settings) {
  return in_own_process([&] { return measure_search(arguments, settings); });
}

bool searches(const BenchArguments& arguments) {
  if (arguments.over == "mix" || arguments.over == "rules") return arguments.rate.empty();
  return arguments.over == "workers";
}

core::Result<void> sweep(const BenchArguments& arguments, const BenchSettings& settings,
                         BenchDocument& document) {
  const auto run = [&](const Steps& steps) {
    return measure(steps, searches(arguments), arguments, settings, document);
  };
  if (arguments.over == "workers") return run(worker_steps(arguments));
  if (arguments.over == "mix") return run(mix_steps(arguments));
  if (arguments.over == "rules") return run(rule_steps(arguments));
  if (arguments.over == "cardinality") {
    return run(
        steps_of(values_of(arguments, {10, 100, 1'000, 10'000}, kServicesMax), set_services));
  }
  if (arguments.over == "load") {
    return run(rate_steps(arguments, settings.rate, {0.1, 0.25, 0.5, 0.75, 0.9, 1.0}));
  }
  return run(rate_steps(arguments, settings.rate, {0.5, 0.9, 1.0, 1.5, 2.0}));
}

}  // namespace grace::tools
