#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "grace/core/run.h"

namespace grace::core {
namespace {

TEST(RunState, HasExactlyTheTransitionsOfItsDrawing) {
  using S = RunState;
  const std::set<std::pair<S, S>> legal{
      {S::kProposed, S::kApproved},       {S::kProposed, S::kAwaitingApproval},
      {S::kProposed, S::kDenied},         {S::kAwaitingApproval, S::kApproved},
      {S::kAwaitingApproval, S::kDenied}, {S::kAwaitingApproval, S::kExpired},
      {S::kApproved, S::kExecuting},      {S::kApproved, S::kDenied},
      {S::kApproved, S::kExpired},        {S::kExecuting, S::kVerifying},
      {S::kExecuting, S::kFailed},        {S::kVerifying, S::kSucceeded},
      {S::kVerifying, S::kFailed},        {S::kFailed, S::kRollingBack},
      {S::kRollingBack, S::kRolledBack},  {S::kRollingBack, S::kFailed},
  };
  for (std::size_t from = 0; from < kRunStateCount; ++from) {
    for (std::size_t to = 0; to < kRunStateCount; ++to) {
      const auto a = static_cast<S>(from);
      const auto b = static_cast<S>(to);
      EXPECT_EQ(is_legal_transition(a, b), legal.contains({a, b}))
          << to_string(a) << " -> " << to_string(b);
    }
  }
}

TEST(RunState, NamesSurviveARoundTrip) {
  for (std::size_t i = 0; i < kRunStateCount; ++i) {
    const auto state = static_cast<RunState>(i);
    EXPECT_EQ(run_state_from(to_string(state)), state);
  }
  EXPECT_FALSE(run_state_from("exploded").has_value());
}

}  // namespace
}  // namespace grace::core
