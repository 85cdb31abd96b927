#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "action.h"
#include "grace/core/detector.h"
#include "grace/core/hash.h"
#include "grace/log_analyzer/log_analyzer.h"
#include "grace/models/session_model.h"
#include "step.h"
#include "tables.h"

namespace grace::log_analyzer {

// "This session is not like those of its kind": each session that names itself (a session or trace
// id) is judged by models::SessionModel, the model and the constants of `grace score sessions`: how
// often each step came and how long the session was, steps never seen, the least probable
// transition, its end included. One model for each class of actors. A session is over when nothing
// came of it for session_idle; one that grows far beyond what was learned is judged while it
// grows, by what further steps cannot make good.
//
// What is odd enough to be reported is not learned as normal, unless more than a quarter of the
// class's sessions of late are: then what is normal has changed. What is above the threshold and
// not that sure is learned: without it the tail that the threshold rests on would be cut off. A
// class's odd sessions are reported once; again when they have grown by error_growth_factor (from 8
// on), or when the class was quiet for error_quiet.
//
// Bounds: sessions_max sessions under way, session_models_max models; a class gets one with its
// kSessionsToModel-th session, if there is room or another class was idle for half an hour. When a
// session had to go before it was over, the partition is crowded: nothing is judged or learned
// until session_idle later, as what comes back of such sessions looks cut short. Comparing new
// vectors of counts costs at most kComparisonsPerTick for each tick; what is over it is not judged.
// All of that is counted. Thread: the partition's. No allocation but for models, findings and more
// sessions than ever before.
class SessionRule {
 public:
  static constexpr std::uint32_t kSessionsToModel = 16;
  // With what one tick leaves to the next; a session's vector is compared with 1024 at most,
  // thrice.
  static constexpr std::uint32_t kComparisonsPerTick = 4096;

  explicit SessionRule(const LogAnalyzerConfig& config);

  // For reports: what an action's symbol is called; to be said again now and then, as names are
  // kept by use. `action` must live as long as the rule.
  void name_symbol(std::uint32_t symbol, std::string_view action, std::int32_t stamp);
  [[nodiscard]] std::string name_of(std::uint32_t symbol) const;

  // The session's slot; kNoSlot when it is not watched.
  [[nodiscard]] std::uint32_t find(std::uint64_t session_key) const noexcept {
    return open_.find(session_key);
  }
  // In two steps, other work between them: sessions are many, and of an action of one each look
  // would wait for memory.
  void prefetch_key(std::uint64_t session_key) const noexcept { open_.prefetch_key(session_key); }
  void prefetch(std::uint64_t session_key) const noexcept {
    open_.prefetch(open_.likely_slot(session_key), kLinesStep);
  }

  // A step of a session that is not watched.
  struct Begun {
    std::uint32_t slot = kNoSlot;  // it is watched from this step on
    bool has_model = false;        // its class has one
  };
  // `begins`: nothing is known of the session, this is its first step. `sessions_begun`: of its
  // class.
  Begun begin(const Step& step, bool begins, std::uint32_t sessions_begun, std::int32_t stamp,
              core::FindingSink& sink);

  // What the caller wants to know of a session that is watched, before a step and in its line of
  // memory.
  struct Progress {
    std::int64_t last_ts_ns = 0;
    std::uint64_t last_sequence = 0;
    std::uint32_t last_symbol = kNoSymbol;
    std::uint32_t steps = 0;
    std::uint32_t class_slot = kNoSlot;  // the caller's
  };
  Progress& progress(std::uint32_t slot) noexcept { return open_[slot].progress; }

  enum class Seen : std::uint8_t {
    kUnwatched = 0,  // no longer: the class has lost its model
    kSilent,         // it has one, which is too young to tell
    kWatched,
  };
  // A step of a session that is watched. kWatched: `probability` of the step, as known before; a
  // lower bound above 1/16.
  Seen on_step(std::uint32_t slot, const Step& step, std::int32_t stamp, double& probability,
               core::FindingSink& sink);
  // The session was reported for its steps: that is said once.
  void mark_reported(std::uint32_t slot, std::uint64_t session_key);

  // Once a tick, before next_ended().
  void on_tick();
  // The key of a session that is over; false when there is none. It stays the same until end().
  [[nodiscard]] bool next_ended(std::int64_t now_ns, std::uint64_t& session_key) const;
  // Judges the session that next_ended() named, learns from it and forgets it.
  void end(std::int64_t now_ns, core::FindingSink& sink);

  // What bounds turned away: sessions that were not judged, models that found no room.
  [[nodiscard]] std::uint64_t evicted_count() const noexcept;

 private:
  static constexpr std::size_t kLinesStep = 3;

  // The least probable step so far, where it is a rare one.
  struct OddStep {
    ActionNames names{};
    std::uint64_t sequence = 0;
    std::int64_t ts_ns = 0;
    std::uint32_t after = kNoSymbol;
    double probability = 1.0;
  };
  struct Session {
    // In the order of use: each step touches the first kLinesStep cache lines.
    Progress progress{};
    std::uint32_t kind = kNoSlot;
    bool error = false;
    bool reported = false;
    std::uint64_t class_key = 0;
    models::SessionModel::Session counted;
    std::uint64_t first_sequence = 0;
    std::int64_t first_ts_ns = 0;
    ActionNames names{};  // of the first step
    OddStep odd;
  };
  // One class of sessions.
  struct Kind {
    std::unique_ptr<models::SessionModel> model;
    std::uint64_t steps = 0;
    models::ScoreTail tail{};
    double threshold = std::numeric_limits<double>::infinity();
    std::uint64_t fit_at = 0;       // sessions learned when the tail is fitted next
    std::uint32_t steps_max = 0;    // of a session learned
    std::uint32_t ended = 0;        // of late
    std::uint32_t odd = 0;          // among them
    std::int64_t odd_ts_ns = 0;     // last one
    std::uint64_t odd_run = 0;      // odd ones without a quiet time between
    std::uint64_t report_at = 0;    // reported again when odd_run is there
    std::uint64_t turned_away = 0;  // by the model, as last seen
  };
  struct Verdict {
    models::SessionScore score;
    double confidence = 0.0;
    double chance = 1.0;  // that a normal session scores as much
    bool over = false;
  };

  std::uint32_t kind_of(const Step& step, bool begins, std::uint32_t sessions_begun,
                        std::int32_t stamp);
  std::uint32_t open(const Step& step, std::uint32_t kind, std::int32_t stamp,
                     core::FindingSink& sink);
  void note_odd_step(Session& session, const Step& step, double probability) const;
  void judge_growing(Session& session, Kind& kind, std::int64_t now_ns, core::FindingSink& sink);
  [[nodiscard]] bool may_compare(const Session& session, const Kind& kind);
  [[nodiscard]] Verdict verdict_on(const models::SessionScore& score, const Kind& kind,
                                   bool over) const;
  [[nodiscard]] bool takes_for_normal(Kind& kind, bool is_odd) const;
  void learn(Session& session, Kind& kind, const models::SessionScore& score) const;
  [[nodiscard]] bool wants_report(Kind& kind, std::int64_t now_ns) const;
  void report(const Session& session, const Kind& kind, const Verdict& verdict, std::int64_t now_ns,
              core::FindingSink& sink) const;
  void describe_counts(const Session& session, const Kind& kind, core::Finding& finding) const;
  void describe_steps(const Session& session, const Kind& kind, const Verdict& verdict,
                      core::Finding& finding) const;
  [[nodiscard]] static std::uint64_t symbol_key(std::uint32_t symbol) noexcept {
    return core::mix(std::uint64_t{symbol} + 1);
  }

  std::int64_t idle_ns_, quiet_ns_;
  double growth_;
  std::uint64_t warmup_steps_;
  LruTable<Session> open_;
  LruTable<Kind> kinds_;
  LruTable<std::string_view> names_;
  std::int64_t crowded_until_ns_ = std::numeric_limits<std::int64_t>::min();
  std::uint32_t comparisons_left_ = 0;
  std::uint64_t unjudged_count_ = 0;
  std::uint64_t refused_count_ = 0;
  std::uint64_t forgotten_count_ = 0;  // by models that made room themselves
};

}  // namespace grace::log_analyzer
