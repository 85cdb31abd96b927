#include "grace/correlate/fusion.h"

#include <algorithm>
#include <numeric>

#include "grace/core/assert.h"
#include "grace/core/probability.h"

namespace grace::correlate {
namespace {

// Indexes of the opinions that speak, one a source, strongest first; and of sources that are only
// heard on other sources' events.
struct Speakers {
  std::vector<std::size_t> speaking;
  std::vector<std::size_t> shadowed;
};

Speakers choose_speakers(const std::vector<Opinion>& opinions, double shared_evidence_min) {
  std::vector<std::size_t> order(opinions.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return opinions[a].confidence > opinions[b].confidence;
  });
  Speakers speakers;
  const auto is_of = [&](core::Source source) {
    return [&opinions, source](std::size_t other) { return opinions[other].source == source; };
  };
  for (const std::size_t at : order) {
    const Opinion& opinion = opinions[at];
    auto& speaking = speakers.speaking;
    if (std::any_of(speaking.begin(), speaking.end(), is_of(opinion.source))) continue;
    const bool rests_on_same =
        std::any_of(speaking.begin(), speaking.end(), [&](std::size_t other) {
          return shared_evidence(opinion.evidence, opinions[other].evidence) >= shared_evidence_min;
        });
    auto& shadowed = speakers.shadowed;
    if (!rests_on_same) {
      speaking.push_back(at);
      std::erase_if(shadowed, is_of(opinion.source));
    } else if (std::none_of(shadowed.begin(), shadowed.end(), is_of(opinion.source))) {
      shadowed.push_back(at);
    }
  }
  return speakers;
}

}  // namespace

double shared_evidence(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  const std::size_t smaller = std::min(a.size(), b.size());
  if (smaller == 0) return 0.0;
  std::size_t common = 0;
  for (auto left = a.begin(), right = b.begin(); left != a.end() && right != b.end();) {
    if (*left == *right) {
      ++common;
      ++left;
      ++right;
    } else if (*left < *right) {
      ++left;
    } else {
      ++right;
    }
  }
  return static_cast<double>(common) / static_cast<double>(smaller);
}

Fused fuse(const std::vector<Opinion>& opinions,
           const std::array<double, core::kSourceCount>& weights, double shared_evidence_min) {
  Fused fused;
  if (opinions.empty()) return fused;
  const Speakers speakers = choose_speakers(opinions, shared_evidence_min);
  const auto weight_of = [&](std::size_t at) {
    const double weight = weights[static_cast<std::size_t>(opinions[at].source)];
    GRACE_ASSERT(weight > 0.0, "weight = %f", weight);
    return weight;
  };

  double best = 0.0;
  double best_scale = 0.0;  // what weight * log-odds is multiplied with in the best pool
  std::size_t best_count = 0;
  double sum = 0.0;
  double weight_sum = 0.0;
  double weight_square_sum = 0.0;
  for (std::size_t k = 0; k < speakers.speaking.size(); ++k) {
    const std::size_t at = speakers.speaking[k];
    const double weight = weight_of(at);
    sum += weight * core::logit(opinions[at].confidence);
    weight_sum += weight;
    weight_square_sum += weight * weight;
    // Kish's effective size is at least 1; rounding must not take it below.
    const double n = std::max(1.0, weight_sum * weight_sum / weight_square_sum);
    const double scale = core::extremising_factor(n) / weight_sum;
    if (best_count == 0 || scale * sum > best) {
      best = scale * sum;
      best_scale = scale;
      best_count = k + 1;
    }
  }

  const auto contribute = [&](std::size_t at, double log_odds, bool independent) {
    fused.contributions.push_back({opinions[at].source, opinions[at].trigger_id,
                                   opinions[at].confidence, weight_of(at), log_odds, independent});
    fused.log_odds += log_odds;
  };
  for (std::size_t k = 0; k < speakers.speaking.size(); ++k) {
    const std::size_t at = speakers.speaking[k];
    const double part = best_scale * weight_of(at) * core::logit(opinions[at].confidence);
    contribute(at, k < best_count ? part : 0.0, true);
  }
  for (const std::size_t at : speakers.shadowed) contribute(at, 0.0, false);
  // A source alone keeps its confidence to the last bit: thresholds are compared with it.
  fused.confidence = best_count == 1 ? opinions[speakers.speaking.front()].confidence
                                     : core::logistic(fused.log_odds);
  return fused;
}

}  // namespace grace::correlate
