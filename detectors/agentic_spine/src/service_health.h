#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "grace/agentic_spine/agentic_spine.h"
#include "grace/core/evidence.h"
#include "grace/core/finding.h"

namespace grace::agentic_spine {

// The configuration in the units that the arithmetic uses.
struct HealthRules {
  explicit HealthRules(const AgenticSpineConfig& config);
  AgenticSpineConfig config;
  std::int64_t share_window_ns, signal_expiry_ns, recovery_ns, settle_ns, settle_max_ns;
  double fall_tau_s, rise_tau_s;
};

// What a metric of the service says now.
struct Signal {
  std::string name;
  core::MetricRole role = core::MetricRole::kOther;
  std::int64_t ts_ns = 0;
  double value = 0.0;
  double baseline = 0.0;
  double badness = 0.0;        // deviation in the bad direction; negative where it is good
  std::uint32_t bad_bins = 0;  // bins in a row that were bad
};

// Healthy -> pending: health crossed its bound, evidence is gathered until it settles.
// Pending -> reported. Both -> healthy when health has been well for the recovery time.
enum class EpisodeState : std::uint8_t { kHealthy = 0, kPending, kReported };

// Counts of actions.
struct ActionCounts {
  double errors = 0.0;
  double actions = 0.0;
};

// What the evidence is worth.
struct Verdict {
  double log_odds = 0.0;       // of being ill at all
  double confirmations = 0.0;  // independent bad news: failed actions, bad bins
  double confidence = 0.0;
};

// Health of one service in [0, 1]: raw health is what the error share and the metrics of each role
// leave over, multiplied; health follows it in event time and falls faster than it rises.
//
// Bounds: kPeriodsMax open periods, signals_max signals, kEvidenceMax evidence. Thread: the ordered
// stage's.
class ServiceHealth {
 public:
  explicit ServiceHealth(std::int64_t now_ns) : seen_since_ns_(now_ns), updated_ns_(now_ns) {}

  void on_actions(const core::Observation& observation, const HealthRules& rules);
  // False: the bound on signals is reached and this one is not known.
  bool on_bin(const core::Observation& observation, std::uint64_t sequence,
              const HealthRules& rules);
  // Brings health to now and steps the episode. At every tick while unsettled().
  void advance(std::int64_t now_ns, const HealthRules& rules);
  // True while health may change without news.
  [[nodiscard]] bool unsettled() const noexcept {
    return state_ != EpisodeState::kHealthy || health_ < 0.995 || raw_ < 0.995;
  }
  // False: whatever verdict() would say, the episode is not to be reported now.
  [[nodiscard]] bool may_be_due(std::int64_t now_ns, const HealthRules& rules) const noexcept;
  // True when the episode is to be reported now; mark_reported() when it has been.
  [[nodiscard]] bool due(const Verdict& verdict, std::int64_t now_ns,
                         const HealthRules& rules) const noexcept;
  void mark_reported(const Verdict& verdict) noexcept;
  [[nodiscard]] Verdict verdict(const HealthRules& rules) const;

  [[nodiscard]] double health() const noexcept { return health_; }
  // Lowest health of the episode.
  [[nodiscard]] double lowest() const noexcept { return lowest_; }
  [[nodiscard]] EpisodeState state() const noexcept { return state_; }
  [[nodiscard]] double reported_confidence() const noexcept { return reported_confidence_; }
  [[nodiscard]] std::int64_t onset_ns() const noexcept { return onset_ns_; }
  // The episode began by its rate of fall, while health was still above its bound.
  [[nodiscard]] bool by_rate() const noexcept { return by_rate_; }
  [[nodiscard]] double learned_share() const noexcept;
  [[nodiscard]] double usual_fall() const noexcept { return usual_fall_; }
  // From the episode's first bad period to its last, or of the share window when there is none.
  [[nodiscard]] ActionCounts counts() const noexcept;
  [[nodiscard]] const std::vector<Signal>& signals() const noexcept { return signals_; }
  [[nodiscard]] const std::vector<core::Evidence>& evidence() const noexcept { return evidence_; }
  // Chance of falling ill by itself within a span, from the episodes before this one.
  [[nodiscard]] double chance_within(std::int64_t span_ns) const noexcept;

  std::string domain;
  std::int64_t deployed_ns = 0;  // last deploy of the service; 0: none seen

 private:
  static constexpr std::size_t kPeriodsMax = 64;
  struct Period {
    std::int64_t ts_ns = 0;
    ActionCounts counts{};
    std::int64_t bad_since_ns = 0;  // first error; 0: none
  };
  void step_episode(std::int64_t now_ns, const HealthRules& rules);
  void begin_episode(std::int64_t now_ns);
  void count_in_episode(const ActionCounts& counts) noexcept;
  void end_episode();
  void expire(std::int64_t now_ns, const HealthRules& rules);
  void learn(const Period& period) noexcept;
  void learn_fall(std::int64_t now_ns) noexcept;
  void add_evidence(std::uint64_t sequence, std::int64_t ts_ns, std::string note);
  [[nodiscard]] bool falls_unusually(const HealthRules& rules) const noexcept;
  [[nodiscard]] double raw_health(std::int64_t now_ns, const HealthRules& rules) const;
  [[nodiscard]] ActionCounts window_counts() const noexcept;
  [[nodiscard]] core::ShareBelief belief() const noexcept;

  double health_ = 1.0;
  double raw_ = 1.0;
  std::int64_t seen_since_ns_;
  std::int64_t updated_ns_;

  std::vector<Period> periods_;  // of the share window, oldest first
  std::vector<Signal> signals_;  // in order of first appearance
  ActionCounts base_{};          // learned, from before the window and outside of episodes

  EpisodeState state_ = EpisodeState::kHealthy;
  bool by_rate_ = false;
  std::int64_t onset_ns_ = 0;  // first bad news of the episode
  std::int64_t crossed_ns_ = 0;
  std::int64_t worsened_ns_ = 0;    // last bad news
  std::int64_t well_since_ns_ = 0;  // 0: it is not well
  double lowest_ = 1.0;
  double reported_health_ = 1.0;
  double reported_confidence_ = 0.0;
  std::uint64_t episode_count_ = 0;
  // From the first bad period to the last; what came after it waits in tail_, so that successes of
  // a recovered service do not talk its illness away.
  ActionCounts episode_{};
  ActionCounts tail_{};
  std::vector<core::Evidence> evidence_;

  // Usual fall of health within a minute.
  std::int64_t minute_ns_ = 0;
  double minute_health_ = 1.0;
  double usual_fall_ = 0.0;
  std::uint32_t minutes_ = 0;
};

}  // namespace grace::agentic_spine
