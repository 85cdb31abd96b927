#pragma once
#include <array>
#include <cstdint>

#include "grace/core/lru_table.h"

namespace grace::models {

// Learns which action follows which: a variable-order Markov grammar of order 0 to 2 for each class
// of actors, learned online. Probabilities are interpolated as in PPM with escape method C
// (Moffat, 1990): what a context saw, plus the chance of something new times what the next shorter
// context says. With update exclusion: a shorter context learns only what the longer did not know,
// so that the usual step touches one node.
//
// Bounds: nodes_max contexts, eight followers in each (what does not fit is told by the shorter
// context). Full: a context that was not used for kIdleStamps makes room, otherwise the new one is
// refused and the shorter one goes on serving; live knowledge is never thrashed. Thread: one.
class StepGrammar {
 public:
  explicit StepGrammar(std::uint32_t nodes_max) : nodes_(nodes_max) {}

  // Where a sequence stands. Start: zeros.
  struct Context {
    std::uint32_t last = 0;
    std::uint32_t before = 0;
    std::uint32_t node_hint = core::kNoSlot;
  };

  // Probability of `symbol` as the next in its context, as known before this call; then learns it.
  // Exact where it is below kLikely, a lower bound above. `stamp`: the caller's time in steps of
  // his choice, for the order of use; never backwards, but it may wrap around.
  double advance(std::uint64_t class_key, Context& context, std::uint32_t symbol,
                 std::int32_t stamp);

  // The same probability, exact, and nothing learned.
  [[nodiscard]] double probability(std::uint64_t class_key, const Context& context,
                                   std::uint32_t symbol) const;
  // Moves a context on as advance() does, without learning.
  static void follow(Context& context, std::uint32_t symbol) noexcept {
    context = {symbol, context.last, core::kNoSlot};
  }

  [[nodiscard]] std::uint64_t refused_count() const noexcept { return refused_count_; }
  [[nodiscard]] std::uint64_t evicted_count() const noexcept { return evicted_count_; }
  [[nodiscard]] std::uint32_t node_count() const noexcept { return nodes_.count(); }

  static constexpr double kLikely = 1.0 / 16.0;

 private:
  static constexpr std::size_t kFollowers = 8;
  static constexpr std::uint32_t kGrowCount = 8;  // a context is refined once it was seen so often
  static constexpr std::uint32_t kTotalMax = 1U
                                             << 20;  // then counts are halved: it can still learn
  static constexpr std::uint32_t kIdleStamps = 60;

  struct Follower {
    std::uint32_t symbol = 0;
    std::uint32_t count = 0;
    std::uint32_t node_hint =
        core::kNoSlot;  // the longest context after this step, if it still is there
  };
  struct Node {
    std::uint32_t total = 0;
    std::uint32_t novel = 0;  // steps that were new in this context: the escape count
    std::uint32_t used = 0;
    std::array<Follower, kFollowers> followers{};
  };

  [[nodiscard]] static const Follower* find_follower(const Node& node,
                                                     std::uint32_t symbol) noexcept;
  [[nodiscard]] static Follower* find_follower(Node& node, std::uint32_t symbol) noexcept;
  static void grow_total(Node& node) noexcept;
  static void grow_count(Node& node, Follower& follower) noexcept;
  // True when `symbol` was new in this context.
  static bool learn(Node& node, std::uint32_t symbol) noexcept;
  [[nodiscard]] static double blend(const Node& node, std::uint32_t symbol,
                                    double shorter) noexcept;
  std::uint32_t create(std::uint64_t key, std::int32_t stamp);
  double advance_slowly(std::uint64_t class_key, Context& context, std::uint32_t symbol,
                        std::int32_t stamp, std::uint32_t longest);

  core::LruTable<Node> nodes_;
  std::uint64_t refused_count_ = 0;
  std::uint64_t evicted_count_ = 0;
};

}  // namespace grace::models
