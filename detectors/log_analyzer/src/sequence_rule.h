#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "grace/core/detector.h"
#include "grace/log_analyzer/log_analyzer.h"
#include "grace/models/step_grammar.h"
#include "session_rule.h"
#include "step.h"
#include "tables.h"

namespace grace::log_analyzer {

// "This actor does what its kind never does": watches each session's actions against the grammar
// of its class. How surprising a step is, is calibrated on the class itself: by the share of the
// class's past steps that were as improbable. A run of surprises that chance does not explain is
// reported once; further sessions of the class that do the same within the quiet time are counted
// into the next report.
//
// Sessions that name themselves are also judged as a whole, by SessionRule; the steps of those it
// watches are judged by the grammar of its model instead of the one here. What is known of such a
// session is then in one place, SessionRule's: here it has a slot once a step of it is surprising.
//
// Bounds: sessions, classes and grammar nodes as configured, and SessionRule's; the least recently
// seen session or class is evicted (idle ones silently, others counted). Thread: the partition's.
class SequenceRule {
 public:
  explicit SequenceRule(const LogAnalyzerConfig& config);

  // `hint`: the session's slot as this pattern knew it; brought up to date.
  void on_action(const Step& step, std::uint32_t& hint, std::int32_t stamp,
                 core::FindingSink& sink);
  // Of a session that names itself: see SessionRule.
  void prefetch_key(std::uint64_t session_key) const noexcept { whole_.prefetch_key(session_key); }
  void prefetch(std::uint64_t session_key) const noexcept { whole_.prefetch(session_key); }
  void prefetch_slot(std::uint32_t session) const noexcept { sessions_.prefetch(session); }
  void on_tick(std::int64_t now_ns, core::FindingSink& sink);
  // See SessionRule.
  void name_symbol(std::uint32_t symbol, std::string_view action, std::int32_t stamp) {
    whole_.name_symbol(symbol, action, stamp);
  }
  [[nodiscard]] std::uint64_t evicted_count() const noexcept {
    return evicted_count_ + model_.evicted_count() + model_.refused_count() +
           whole_.evicted_count();
  }

 private:
  static constexpr std::size_t kSurprisesMax = 8;
  static constexpr std::size_t kBitBuckets = 24;

  struct Surprise {
    std::string_view action;
    std::uint64_t sequence = 0;
    std::int64_t ts_ns = 0;
    std::uint32_t after = kNoSymbol;
    std::uint32_t at = 0;  // which step of the session
    float probability = 0.0F;
    float tail = 1.0F;  // share of the class's steps that were as improbable
    bool error = false;
  };
  // Those of one session, the oldest first. A copy has what is there and no more: few sessions have
  // any, and a slot that is used again is renewed.
  class Surprises {
   public:
    Surprises() = default;
    Surprises(const Surprises& other) noexcept { *this = other; }
    Surprises& operator=(const Surprises& other) noexcept {
      count_ = other.count_;
      std::copy_n(other.each_.begin(), count_, each_.begin());
      return *this;
    }
    ~Surprises() = default;
    void add(const Surprise& surprise) noexcept { each_[count_++] = surprise; }
    void forget_before(std::uint32_t at) noexcept;  // this step of the session
    void clear() noexcept { count_ = 0; }
    [[nodiscard]] bool full() const noexcept { return count_ == kSurprisesMax; }
    [[nodiscard]] std::span<const Surprise> all() const noexcept { return {each_.data(), count_}; }

   private:
    std::uint32_t count_ = 0;
    std::array<Surprise, kSurprisesMax> each_{};
  };
  struct Session {
    // In the order of use: a step touches one cache line, the table's own fields included.
    std::int64_t last_ts_ns = 0;
    std::uint32_t last_symbol = kNoSymbol;
    std::uint32_t class_slot = kNoSlot;
    std::uint32_t steps = 0;
    std::uint32_t whole_slot = kNoSlot;  // SessionRule's
    models::StepGrammar::Context context{};
    bool pending = false;
    ActionNames names{};  // of the last surprising step
    Surprises surprises;
  };
  // Steps by improbability in bits: how often the grammar is surprised in this class.
  struct Class {
    std::uint64_t total = 0;
    std::array<std::uint64_t, kBitBuckets> by_bits{};
    std::int64_t reported_ts_ns = 0;
    std::uint32_t coalesced = 0;
    std::uint32_t sessions_begun = 0;  // that named themselves; counted up to what SessionRule asks
    bool reported = false;
  };

  // `found`, used now; where it is kNoSlot a new slot, for which the oldest one makes room.
  std::uint32_t slot_for(std::uint32_t found, const Step& step, std::int32_t stamp,
                         core::FindingSink& sink);
  Class& class_of(std::uint32_t& class_slot, std::uint64_t class_key, std::int32_t stamp);
  // A step of a session that SessionRule watches, in its slot there.
  void on_watched(std::uint32_t watched, const Step& step, std::int32_t stamp,
                  core::FindingSink& sink);
  // Its slot here, made when it has none, as of the step after `before`.
  std::uint32_t slot_of_watched(const Step& step, const SessionRule::Progress& before,
                                std::int32_t stamp, core::FindingSink& sink);
  // Counts a step of that probability. The share of its class's steps that were as improbable; 1
  // where that is not known, or nobody asks.
  double tail_of(Class& kind, double probability) const noexcept;
  void end_sessions(std::int64_t now_ns, core::FindingSink& sink);
  void on_surprise(std::uint32_t slot, const Step& step, double probability, double tail);
  void judge(std::uint32_t slot, std::int64_t now_ns, core::FindingSink& sink);
  void report(const Session& session, Class& kind, double confidence, double p, std::int64_t now_ns,
              core::FindingSink& sink) const;

  std::uint64_t warmup_;
  double surprise_share_;
  std::uint32_t run_min_, run_max_;
  std::int64_t settle_ns_, quiet_ns_;
  models::StepGrammar model_;
  LruTable<Session> sessions_;
  LruTable<Class> classes_;
  SessionRule whole_;
  std::vector<std::uint32_t> pending_;  // session slots; at most sessions_max
  std::uint64_t evicted_count_ = 0;
};

}  // namespace grace::log_analyzer
