#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "grace/core/lru_table.h"
#include "grace/models/alert_history.h"

namespace grace::models {

struct AlertGrouperConfig {
  // --- behaviour ---
  // Alerts this close always follow each other (gap of Landauer, Skopik, Wurzenberger and Rauber,
  // "Dealing with Security Alert Flooding", TOPS 2022, for groups of alerts).
  std::chrono::seconds close_gap{2};
  // The gap that is expected inside an incident of which only one alert is known, with the weight
  // of one gap. Larger: slower incidents are kept whole, and more that is unrelated joins.
  std::chrono::seconds expected_gap{60};
  // A pause that is less probable than this under the incident's own rhythm ends it.
  double pause_probability_min = 0.01;
  // Whatever the rhythm, an incident ends after this pause; also the grain of an alert's episodes.
  std::chrono::seconds pause_max{600};
  // As in AlertHistoryConfig.
  double coincidence_max = 0.05;
  double surge_factor = 4.0;
  // --- cost ---
  std::uint32_t incidents_max = 64;   // open at a time, 1 KiB each; the quietest one makes room
  std::uint32_t alerts_max = 8192;    // different (service, template), 192 bytes each
  std::uint32_t services_max = 8192;  // services and dependencies of relate(), 64 bytes each
  TemplateMinerConfig templates{};
};

struct Alert {
  // Event time. Earlier than the one before: taken for the same time; later than 292 years after
  // the first: taken for that.
  std::int64_t ts_ns = 0;
  std::string_view service;    // service or host; may be empty
  std::string_view signature;  // the rule that fired, as a stable name; may be empty
  std::string_view text;       // message or title; identifiers in it do not matter
};

struct AlertGroup {
  std::uint64_t id = 0;     // from 0, in order of opening
  bool background = false;  // recurring noise, and no incident
};

// Groups a stream of alerts into incidents as they come, without looking ahead: each alert joins an
// open incident, opens one, or goes to the background group of its own (service, template).
//
// One principle decides: would this come by coincidence? The rate at which an alert came so far
// (recurring ones: every time counts; rare ones: episodes; one that was never seen: the rate at
// which services come into incidents), times the pause since the incident's last alert, is the
// expected number of such coincidences; up to coincidence_max the alert belongs to the incident. So
// what is new or rare joins what goes on at its service, and at other services too while incidents
// are rare; what is frequent anyhow does not.
//
// An incident's own rhythm says when it is over: with n gaps seen that sum to s, and a gamma prior
// of weight one at expected_gap g, a further gap exceeds d with probability
// (1 + d/(g+s))^-(n+1), the Lomax distribution. A burst of hundreds a second ends with a pause of
// seconds, a slow one with a pause of minutes.
//
// An alert that had three episodes of this density is recurring (an episode ends by a pause of
// pause_max, and when it has lasted that long). A recurring alert may join an incident, but does
// not keep it open. Recurring alerts that join none share one group for each (service, template),
// for good: background. A surge beyond what recurred is an incident again.
//
// Dependencies, where told by relate(): services that depend on each other count as one; of two
// known ones that do not, none joins the other's incident unless it brings the same template.
//
// Bounds: AlertGrouperConfig; 16 services and 32 alerts are remembered of an incident (of further
// ones, that they were there is not). What the bounds turn away is counted. A function of its
// inputs alone. Thread: one. No allocation after construction.
class AlertGrouper {
 public:
  explicit AlertGrouper(const AlertGrouperConfig& config = {});

  // `a` depends on `b` or the other way round. Before the alerts, or between them. False:
  // services_max is reached and nothing changed.
  [[nodiscard]] bool relate(std::string_view a, std::string_view b);
  AlertGroup add(const Alert& alert);

  [[nodiscard]] std::uint64_t group_count() const noexcept { return next_group_; }
  [[nodiscard]] std::uint64_t incident_count() const noexcept { return incident_count_; }
  [[nodiscard]] std::uint64_t evicted_count() const noexcept {
    return evicted_count_ + history_.evicted_count();
  }

 private:
  static constexpr std::size_t kServicesKept = 16;
  static constexpr std::size_t kAlertsKept = 32;
  static constexpr std::uint32_t kGapsMax = 128;  // the weight of an incident's past in its rhythm

  template <std::size_t kMax>
  struct KeptSet {
    std::array<std::uint64_t, kMax> keys{};
    std::uint32_t used = 0;
    [[nodiscard]] bool has(std::uint64_t key) const noexcept;
    void add(std::uint64_t key) noexcept;
  };
  struct Incident {
    std::uint64_t id = 0;
    std::int64_t last_ns = 0;
    std::uint32_t gaps = 0;
    double mean_gap_s = 0.0;
    KeptSet<kServicesKept> services;
    KeptSet<kAlertsKept> alerts;  // (service, template)
    KeptSet<kAlertsKept> templates;
  };
  enum class Tie : std::uint8_t { kNone = 0, kUnknown, kRelated, kSame };  // weakest first

  [[nodiscard]] Tie tie_of(const Incident& incident, std::uint64_t service) const;
  [[nodiscard]] bool goes_on(const Incident& incident) const;
  [[nodiscard]] bool belongs(const Incident& incident, const SeenAlert& seen, Tie tie) const;
  [[nodiscard]] Incident* best_incident(const SeenAlert& seen);
  void join(Incident& incident, const SeenAlert& seen);
  Incident& open();
  void expire();
  std::uint64_t background_group_of(std::uint64_t alert);

  AlertGrouperConfig config_;
  double pause_nats_max_;
  AlertHistory history_;
  core::LruTable<std::uint64_t> background_;  // group of a recurring alert
  struct Nothing {};
  core::LruTable<Nothing> relations_;  // services and pairs of them, by hash
  std::vector<Incident> incidents_;    // open ones; at most incidents_max
  std::uint64_t next_group_ = 0;
  std::uint64_t incident_count_ = 0;
  std::uint64_t arrival_count_ = 0;  // services that came into an incident
  std::uint64_t evicted_count_ = 0;
  std::int32_t stamp_ = 0;  // of use of the background groups
};

}  // namespace grace::models
