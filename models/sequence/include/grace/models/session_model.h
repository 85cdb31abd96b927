#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "grace/core/hash.h"
#include "grace/core/lru_table.h"
#include "grace/models/step_grammar.h"

namespace grace::models {

struct SessionModelConfig {
  // --- behaviour ---
  // Normal sessions that may be flagged, as a share: threshold() is set by it. Larger: more is
  // found, with more false alarms.
  double false_alarm_share = 1.0 / 5000;
  // Sessions that must have been learned before threshold() is finite.
  std::uint32_t warmup_sessions = 100;
  // --- cost ---
  std::uint32_t prototypes_max = 1024;     // count vectors, 604 bytes each
  std::uint32_t symbols_max = 4096;        // symbols with statistics, 64 bytes each
  std::uint32_t grammar_nodes_max = 4096;  // contexts, 128 bytes each
  std::uint32_t scores_max = 4096;         // scores kept for the threshold, 4 bytes each
};

// What a session looks like, each part in nats (-ln of the probability that normal operation does
// as much); parts that find nothing are 0.
struct SessionScore {
  double symbol = 0.0;  // a symbol that was never seen
  double counts = 0.0;  // how often each symbol came, the session's length with it
  double step = 0.0;    // its least probable step
  [[nodiscard]] double total() const noexcept { return symbol + counts + step; }
};

// How often each symbol came in a session: at most kDistinctMax symbols in ascending order, the
// rest together in the last entry.
class SymbolCounts {
 public:
  static constexpr std::uint32_t kDistinctMax = 64;
  struct Entry {
    std::uint32_t symbol = 0;
    std::uint32_t count = 0;
    bool operator==(const Entry&) const = default;
  };
  SymbolCounts() = default;
  // Copies what is used: a session has few symbols as a rule, and most of it is not in any cache.
  SymbolCounts(const SymbolCounts& other) noexcept { *this = other; }
  SymbolCounts& operator=(const SymbolCounts& other) noexcept {
    used_ = other.used_;
    key_ = other.key_;
    std::copy_n(other.entries_.begin(), used_, entries_.begin());
    return *this;
  }
  ~SymbolCounts() = default;

  // True when it may be the symbol's first time: always so among the rest.
  bool add(std::uint32_t symbol) noexcept;
  [[nodiscard]] std::uint32_t total() const noexcept;
  [[nodiscard]] std::span<const Entry> entries() const noexcept { return {entries_.data(), used_}; }
  // A hash of the counts: of each time that a symbol came, summed.
  [[nodiscard]] std::uint64_t key() const noexcept { return core::mix(key_); }
  [[nodiscard]] bool operator==(const SymbolCounts& other) const noexcept;

  // The counts added up in a few buckets by symbol, up to 255 each. Vectors are at least as far
  // apart as their sketches (the triangle inequality; what is cut at 255 only comes nearer).
  using Sketch = std::array<std::uint8_t, 16>;
  [[nodiscard]] Sketch sketch() const noexcept;

 private:
  std::uint64_t key_ = 0;
  std::uint32_t used_ = 0;
  std::array<Entry, kDistinctMax> entries_{};
};

// The upper tail of the scores that normal sessions had before they were learned.
struct ScoreTail {
  double base = 0.0;         // the tail begins here
  double excess_sum = 0.0;   // what `sample` scores have above it, the censored ones' part included
  double share = 1.0;        // of the scores that are in the tail
  double shape = 0.0;        // how heavy it is: 0 for an exponential tail, at most kShapeMax
  std::uint32_t sample = 0;  // uncensored scores; 0: nothing is known yet

  static constexpr double kShapeMax = 0.5;  // beyond it a tail has no variance

  // Probability that a normal session scores as much or more: peaks over threshold have a
  // generalised Pareto tail (Pickands, 1975; Balkema and de Haan, 1974). Its scale is the mean
  // excess of `sample` scores; that these are few is added to its shape, 1 / sample: with shape 0
  // that is the predictive distribution of an exponential tail (Lomax; Jeffreys prior on the rate),
  // so that few scores promise little. Never less than the score itself says, e^-score. 1 below the
  // tail and while nothing is known.
  [[nodiscard]] double probability(double score) const noexcept;
  // The score that `share_above` of normal sessions exceed, by the tail's mean; infinite while
  // nothing is known.
  [[nodiscard]] double quantile(double share_above) const noexcept;
  // A score of no more need not be exact: it is below the tail, and so far that the tail may also
  // begin lower when it is fitted next. 0 while nothing is known.
  [[nodiscard]] double unremarkable() const noexcept { return 0.75 * base; }
};

// How a session's count of one symbol differs from what is usual.
struct CountDifference {
  std::uint32_t symbol = 0;
  std::uint32_t count = 0;
  std::uint32_t usual = 0;
  double nats = 0.0;  // its part of SessionScore::counts
};

// Learns what sessions (finite sequences of symbols: the log lines of a request, a job, a block)
// are like from normal ones, in one pass, and says how surprising another is. Three kinds of
// evidence, each a code length, add up to one score:
// - a symbol that was never seen: by the rate at which sessions brought new symbols of late;
// - counts: the vector of how often each symbol came (it implies the length) is compared with every
//   vector learned, as in Landauer, Skopik and Wurzenberger, "A Critical Review of Common Log Data
//   Sets Used for Evaluation of Sequence-Based Anomaly Detection Techniques", FSE 2024
//   (doi 10.1145/3660768), detector ECVC. A distance there, a code length here: that the vector is
//   new at all, and for each symbol that differs from the nearest vector how seldom learned vectors
//   differ from their nearest in that symbol (geometric in the amount). What varies freely costs
//   little, what never varies costs much;
// - the least probable step under a variable-order Markov grammar (StepGrammar).
//
// threshold(): scores that sessions had before they were learned, the newer half of them (the older
// half was judged by a young model); above their 98th percentile an exponential tail is fitted
// (peaks over threshold; the largest quarter is censored, so that a few odd sessions do not move
// it) and extrapolated to false_alarm_share. At least -ln(false_alarm_share) nats: what a code
// gives to one session in so many. No labels enter.
//
// A session can be judged while it grows (so_far()) and at its end; learning and judging can take
// turns for ever. Symbols are the caller's numbers, not kEndSymbol; 0 is allowed.
// Bounds: SessionModelConfig; the least recently used is evicted and counted. A step costs one look
// into three tables, an end of a session whose vector is new prototypes_max comparisons: of
// sketches where the score need not be exact, else of vectors.
// Thread: one. No allocation after construction.
class SessionModel {
 public:
  explicit SessionModel(const SessionModelConfig& config = {});

  static constexpr std::uint32_t kEndSymbol = 0xffffffffU;

  // A session under way. Default-made at its start; belongs to one model.
  struct Session {
    StepGrammar::Context context{};
    bool new_symbol = false;
    double least_probability = 1.0;  // of its steps
    SymbolCounts counts;
  };

  // The next step of a session: its probability, as known before this call. learn_step() also
  // learns from it, and takes a lower bound where it is above StepGrammar::kLikely; a step as
  // likely as that is none whose symbol was never seen.
  double step(Session& session, std::uint32_t symbol) const;
  double learn_step(Session& session, std::uint32_t symbol);
  // What is known of an unfinished session: only what further steps cannot make good again.
  [[nodiscard]] SessionScore so_far(const Session& session) const;
  // The session is over. A total of `enough` or less need not be exact: it may be more than the
  // exact one, but is not above `enough`. learn_end() also learns from it, for sessions that went
  // by learn_step().
  [[nodiscard]] SessionScore end(const Session& session, double enough = 0.0) const;
  SessionScore learn_end(Session& session);
  // The same for who asked end() before: `score` is what it said.
  void learn_end(Session& session, const SessionScore& score);

  // A session is anomalous when its total() is above it. Infinite during the warm-up. Sorts the
  // largest fiftieth of at most scores_max numbers: ask when it is needed, not for each session.
  [[nodiscard]] double threshold() const { return tail().quantile(config_.false_alarm_share); }
  [[nodiscard]] ScoreTail tail() const;  // what threshold() rests on; nothing during the warm-up

  // Why a session's counts cost what they cost: where they differ from the nearest vector learned
  // (the cheapest to explain it by), dearest first, at most out.size(). How many were written.
  std::size_t differences(const Session& session, std::span<CountDifference> out) const;
  // Probability that the session ends here.
  [[nodiscard]] double end_probability(const Session& session) const;
  // True when exactly these counts were learned: then end() compares with nothing.
  [[nodiscard]] bool knows(const Session& session) const;

  [[nodiscard]] std::uint64_t session_count() const noexcept { return session_count_; }
  [[nodiscard]] std::uint32_t prototype_count() const noexcept { return vectors_.count(); }
  [[nodiscard]] std::uint64_t evicted_count() const noexcept {
    return evicted_count_ + grammar_.evicted_count() + grammar_.refused_count();
  }

 private:
  // Differences of two count vectors, symbol by symbol; those of a nearest pair feed the
  // statistics.
  enum class Compare : std::uint8_t { kBoth, kSurplus };  // kSurplus: only what the first has more
  struct SymbolStats {
    std::uint32_t pairs = 0;   // prototypes that differ from their nearest in this symbol
    std::uint64_t amount = 0;  // by how much, summed
    // What it costs to differ in this symbol, and for each further unit: as of `priced`.
    double first_nats = 0.0;
    double further_nats = 0.0;
    std::uint64_t priced = 0;
  };
  // Side by side, as most are passed over by their sketch.
  struct Prototype {
    std::uint32_t slot = core::kNoSlot;     // of its counts
    std::uint32_t nearest = core::kNoSlot;  // slot of the prototype that it is nearest to
    std::uint32_t distance = 0;             // to it: sum of absolute differences
    SymbolCounts::Sketch sketch{};
  };
  // Share of sessions of late that brought something new.
  struct NoveltyRate {
    double sessions = 0.0;
    double novel = 0.0;
    [[nodiscard]] double share() const noexcept { return (novel + 0.5) / (sessions + 1.0); }
  };

  // The cheapest prototype to explain counts by.
  struct Nearest {
    std::uint32_t slot = core::kNoSlot;
    double nats = std::numeric_limits<double>::infinity();
  };

  void take_step(Session& session, std::uint32_t symbol, double probability) const;
  [[nodiscard]] SessionScore judge(const Session& session, Compare compare, double step_nats,
                                   double enough) const;
  void price(SymbolStats& stats) const;
  [[nodiscard]] double cost_of(std::uint32_t symbol, std::uint32_t difference) const;
  [[nodiscard]] double cost_between(const SymbolCounts& counts, const SymbolCounts& learned,
                                    Compare compare, double at_most) const;
  [[nodiscard]] Nearest nearest_of(const SymbolCounts& counts, Compare compare,
                                   double enough) const;
  [[nodiscard]] double counts_nats(const SymbolCounts& counts, Compare compare,
                                   double enough) const;
  void learn_counts(const SymbolCounts& counts, bool new_symbol);
  void note_symbols(const SymbolCounts& counts);
  void insert_prototype(const SymbolCounts& counts, std::uint64_t key);
  void evict_prototype();
  void find_nearest(Prototype& mine);
  void account(const Prototype& prototype, bool add);
  void decay();
  // For the order of use: the grain spares busy entries the list work.
  [[nodiscard]] std::int32_t stamp() const noexcept {
    return static_cast<std::int32_t>(session_count_ / 64 % 0x40000000U);
  }

  SessionModelConfig config_;
  StepGrammar grammar_;
  mutable core::LruTable<SymbolStats> symbols_;  // their prices are kept when asked for
  core::LruTable<SymbolCounts> vectors_;         // of the prototypes
  std::vector<Prototype> prototypes_;
  std::uint64_t prices_as_of_ = 1;
  std::vector<float> scores_;           // ring, by session number
  mutable std::vector<float> largest_;  // tail()'s workplace
  NoveltyRate new_vectors_, new_symbols_;
  double decay_at_ = 64.0;  // sessions in the rates' memory when they are halved next
  std::uint64_t session_count_ = 0;
  std::uint64_t evicted_count_ = 0;
};

}  // namespace grace::models
