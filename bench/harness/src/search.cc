#include "grace/harness/search.h"

#include <algorithm>
#include <cmath>

namespace grace::harness {
namespace {

class Search {
 public:
  Search(const SearchConfig& config, const Measure& measure,
         const std::function<void(const Trial&)>& tried)
      : config_(config), measure_(measure), tried_(tried) {}

  core::Result<SearchResult> run() {
    double first = std::clamp(config_.rate_first, config_.rate_min, config_.rate_max);
    for (std::size_t i = 0; i < config_.repetitions; ++i) {
      const auto found = repetition(i, first);
      if (!found) return tl::unexpected<core::Error>(found.error());
      result_.found.push_back(*found);
      if (*found > 0.0) first = *found;
    }
    result_.rate = median_of(result_.found);
    return std::move(result_);
  }

 private:
  core::Result<bool> holds(std::size_t index, double rate) {
    const auto load = measure_(rate, ++seed_);
    if (!load) return tl::unexpected<core::Error>(load.error());
    Trial trial{index, rate, judge(*load, config_.objective),
                load->response.percentile(config_.objective.share), load->completed_rate};
    if (tried_) tried_(trial);
    result_.trials.push_back(std::move(trial));
    return result_.trials.back().verdict.holds;
  }

  // Widens from `first` until `low` holds and `high` does not, then halves the distance.
  core::Result<double> repetition(std::size_t index, double first) {
    double low = 0.0;
    double high = 0.0;
    for (double rate = first; low == 0.0 || high == 0.0;) {
      const auto held = holds(index, rate);
      if (!held) return tl::unexpected<core::Error>(held.error());
      if (*held) {
        low = rate;
        if (rate >= config_.rate_max) {
          result_.limit_not_reached = true;
          return low;
        }
        // Another repetition has been near: a small step brackets it.
        rate = std::min(rate * (index == 0 ? 2.0 : 1.1), config_.rate_max);
      } else {
        high = rate;
        if (rate <= config_.rate_min) return 0.0;
        rate = std::max(rate * (index == 0 ? 0.5 : 0.9), config_.rate_min);
      }
    }
    while (high > low * (1.0 + config_.precision)) {
      const double middle = std::sqrt(low * high);
      const auto held = holds(index, middle);
      if (!held) return tl::unexpected<core::Error>(held.error());
      (*held ? low : high) = middle;
    }
    return low;
  }

  const SearchConfig& config_;
  const Measure& measure_;
  const std::function<void(const Trial&)>& tried_;
  SearchResult result_;
  std::uint64_t seed_ = 0;
};

}  // namespace

Verdict judge(const LoadResult& result, const Objective& objective) {
  if (result.arrivals == 0) return {false, "nothing arrived"};
  if (result.unsent > 0) return {false, std::to_string(result.unsent) + " could not be sent"};
  if (result.unfinished > 0) {
    return {false, std::to_string(result.unfinished) + " were not completed"};
  }
  if (result.trend.growing) {
    return {false, "the backlog grew by " + format_rate(result.trend.slope_per_s) + " a second"};
  }
  const std::int64_t percentile_ns = result.response.percentile(objective.share);
  if (percentile_ns > objective.limit_ns) {
    return {false, "it was " + format_span(double(percentile_ns))};
  }
  return {true, ""};
}

core::Result<SearchConfig> validated(SearchConfig config) {
  const auto invalid = [](const std::string& message) {
    return core::make_error(core::ErrorCode::kInvalidArgument, message);
  };
  if (!(config.rate_min > 0.0) || config.rate_max < config.rate_min) {
    return invalid("rate_min must be above 0 and at most rate_max");
  }
  if (!(config.precision >= 0.001) || config.precision > 0.5) {
    return invalid("precision must be 0.1% to 50%");
  }
  if (config.repetitions == 0 || config.repetitions > 100) {
    return invalid("repetitions: " + std::to_string(config.repetitions) + " is not 1 to 100");
  }
  return config;
}

core::Result<SearchResult> find_sustainable_rate(const SearchConfig& config, const Measure& measure,
                                                 const std::function<void(const Trial&)>& tried) {
  return Search(config, measure, tried).run();
}

double median_of(std::vector<double> values) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2.0;
}

}  // namespace grace::harness
