#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grace/core/detector.h"
#include "grace/core/hash.h"

namespace grace::proactive {

// Series that stopped, gathered over one tick: partitions look once a bin, all at the same tick, so
// what stops together comes together.
//
// One finding for a series alone, one for a service of which several stopped, and one for the feed
// when at least kFeedServices services fell silent at once: so many do not fail together by chance.
// What follows of a service, or after the feed, within kFollowBins bins is the same news: the last
// samples lay on both sides of a bin's end.
//
// Bounds: services_max services; of each, the names of kMetricsTold series. Names must outlive it.
// Thread: the ordered stage's.
class SilenceGatherer {
 public:
  static constexpr std::size_t kFeedServices = 3;
  static constexpr std::size_t kMetricsTold = 8;
  static constexpr std::size_t kServicesTold = 16;
  static constexpr std::int64_t kFollowBins = 3;

  SilenceGatherer(std::int64_t bin_ns, std::uint32_t horizon_bins, std::size_t services_max)
      : bin_ns_(bin_ns), horizon_bins_(horizon_bins), services_max_(services_max) {}

  // False past the bound.
  bool add(const core::Observation& silence);
  // What was gathered is told.
  void flush(core::FindingSink& sink);

 private:
  struct Silent {  // of one service
    std::string_view service, domain;
    std::vector<std::string_view> metrics;  // the first kMetricsTold
    std::vector<core::Evidence> evidence;
    std::uint32_t series = 0;
    std::uint32_t missing = 0;       // bins, of the series that is missing longest
    std::uint32_t regular_bins = 0;  // of the most regular one
    std::int64_t ts_ns = 0;
  };

  [[nodiscard]] core::Finding finding_of(const Silent& silent) const;
  [[nodiscard]] core::Finding service_finding(const Silent& silent) const;
  [[nodiscard]] core::Finding feed_finding() const;

  const std::int64_t bin_ns_;
  const std::uint32_t horizon_bins_;
  const std::size_t services_max_;
  std::vector<Silent> gathered_;  // in the order of their first series
  // By service, asked and never walked in an order that could be seen: where it is gathered; until
  // when what follows is the same news.
  std::unordered_map<std::string_view, std::size_t, core::TextHash> place_of_;
  std::unordered_map<std::string_view, std::int64_t, core::TextHash> told_until_ns_;
  std::int64_t feed_until_ns_ = std::numeric_limits<std::int64_t>::min();
};

}  // namespace grace::proactive
