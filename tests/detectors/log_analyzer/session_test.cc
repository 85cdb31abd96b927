// Sessions that name themselves, judged as a whole.
#include <gtest/gtest.h>

#include <algorithm>

#include "harness.h"
#include "subsystem_list.h"

namespace grace::log_analyzer {
namespace {

using namespace grace::testing;

bool says(const core::Finding& finding, std::string_view text) {
  return std::any_of(
      finding.reasoning.begin(), finding.reasoning.end(),
      [&](const std::string& reason) { return reason.find(text) != std::string::npos; });
}

std::string told(const std::vector<core::Finding>& findings) {
  std::string text;
  for (const core::Finding& finding : findings) {
    text += finding.diagnosis_code + " " + std::to_string(finding.confidence) + "\n";
    for (const std::string& reason : finding.reasoning) text += "  " + reason + "\n";
  }
  return text;
}

// Jobs of one worker: open, poll once to three times, sometimes a cache hit, close.
class UnusualSession : public ::testing::Test {
 protected:
  void jobs(int count) {
    for (int i = 0; i < count; ++i) {
      std::vector<std::string_view> steps{"open"};
      for (std::uint32_t polls = 1 + dice_.below(3); polls > 0; --polls) steps.push_back("poll");
      if (dice_.uniform() < 0.3) steps.push_back("hit");
      steps.push_back("close");
      session(steps);
    }
  }
  void session(const std::vector<std::string_view>& steps) {
    const std::string id = "job_" + std::to_string(next_job_++);
    for (const std::string_view step : steps) {
      ActionText text;
      text.actor = "worker";
      text.action = step;
      text.resource = "queue";
      text.subsystem = "jobs";
      text.session = id;
      engine().action(text, now_ += kSecond / 4);
    }
    now_ += 4 * kSecond;
  }
  void runaway() {
    std::vector<std::string_view> steps(40, "poll");
    steps.front() = "open";
    steps.push_back("close");
    session(steps);
  }
  void pass(std::int64_t span_ns) { engine().advance(now_ += span_ns); }
  Engine& engine() {
    if (!engine_) engine_ = std::make_unique<Engine>(log_analyzer(config_));
    return *engine_;
  }
  std::vector<core::Finding> odd_ones() { return engine().of("unusual_session"); }

  LogAnalyzerConfig config_;
  std::int64_t now_ = kMidnight;

 private:
  std::unique_ptr<Engine> engine_;
  Dice dice_{11};
  int next_job_ = 0;
};

TEST_F(UnusualSession, OnlyAWrongCountIsFound) {
  jobs(1500);
  ASSERT_TRUE(engine().findings.empty()) << told(engine().findings);
  runaway();  // every transition of it is usual
  pass(6 * kMinute);
  ASSERT_EQ(engine().findings.size(), 1U) << told(engine().findings);
  const core::Finding& found = engine().findings[0];
  EXPECT_EQ(found.diagnosis_code, "unusual_session");
  EXPECT_EQ(found.type, core::TriggerType::kAnomalySequence);
  EXPECT_EQ(found.what, "poll");
  EXPECT_EQ(found.service, "queue");
  EXPECT_GT(found.confidence, 0.80);
  EXPECT_LT(found.confidence, 1.0);
  EXPECT_TRUE(says(found, "Unusual session of worker: 41 steps")) << told({found});
  EXPECT_TRUE(says(found, "Count: poll 39 times, usually 3 times")) << told({found});
  ASSERT_GE(found.evidence.size(), 2U);
  EXPECT_LT(found.evidence.front().sequence, found.evidence.back().sequence);
}

TEST_F(UnusualSession, OneThatIsCutShortIsFound) {
  jobs(1500);
  session({"open", "poll", "poll"});
  pass(6 * kMinute);
  const auto found = odd_ones();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(says(found[0], "Missing step: close, usually once")) << told(found);
  EXPECT_TRUE(says(found[0], "Transition: poll -> end")) << told(found);
  EXPECT_EQ(found[0].what, "close");
  EXPECT_GT(found[0].confidence, 0.80);
}

TEST_F(UnusualSession, AStepThatNoSessionHadIsNamed) {
  jobs(1500);
  session({"open", "poll", "erase", "close"});
  pass(6 * kMinute);
  const auto found = odd_ones();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(says(found[0], "Step too many: erase, once")) << told(found);
  EXPECT_TRUE(says(found[0], "A step that no session had before")) << told(found);
  EXPECT_TRUE(says(found[0], "Transition: poll -> erase")) << told(found);
}

TEST_F(UnusualSession, NothingIsSaidBeforeItIsOver) {
  jobs(1500);
  session({"open", "poll", "poll"});
  pass(4 * kMinute);
  EXPECT_TRUE(odd_ones().empty());
}

TEST_F(UnusualSession, NothingIsSaidWhileSessionsAreLearned) {
  jobs(100);  // of which the first 15 come before the model; its warm-up is 100
  for (int i = 0; i < 5; ++i) runaway();
  session({"open", "poll"});
  pass(10 * kMinute);
  EXPECT_TRUE(engine().findings.empty()) << told(engine().findings);
}

TEST_F(UnusualSession, TheSameAgainIsSaidWhenItGrewOrAfterAQuietTime) {
  jobs(1500);
  for (int i = 0; i < 7; ++i) {
    runaway();
    jobs(3);
  }
  pass(6 * kMinute);
  EXPECT_EQ(odd_ones().size(), 1U) << told(odd_ones());
  pass(kHour);
  EXPECT_EQ(odd_ones().size(), 1U) << "time alone reports nothing";
  for (int i = 0; i < 8; ++i) {
    runaway();
    jobs(3);
  }
  pass(6 * kMinute);
  EXPECT_EQ(odd_ones().size(), 3U) << "after a quiet hour, and with the eighth";
}

TEST_F(UnusualSession, WhatIsOddIsNotLearnedAsNormal) {
  jobs(1500);
  for (int i = 0; i < 30; ++i) {
    runaway();
    jobs(10);
    pass(20 * kMinute);
  }
  EXPECT_EQ(odd_ones().size(), 30U);
}

TEST_F(UnusualSession, WhatIsNormalMayChange) {
  jobs(1500);
  for (int i = 0; i < 600; ++i) session({"open", "poll", "hit", "hit", "hit", "hit", "close"});
  pass(6 * kMinute);
  const std::size_t while_new = odd_ones().size();
  EXPECT_GE(while_new, 1U);
  EXPECT_LE(while_new, 3U);
  pass(20 * kMinute);
  for (int i = 0; i < 100; ++i) session({"open", "poll", "hit", "hit", "hit", "hit", "close"});
  pass(6 * kMinute);
  EXPECT_EQ(odd_ones().size(), while_new);
}

TEST_F(UnusualSession, OneThatDoesNotEndIsFoundWhileItGrows) {
  jobs(1500);
  std::vector<std::string_view> steps(200, "poll");
  steps.front() = "open";
  session(steps);
  ASSERT_EQ(odd_ones().size(), 1U);
  EXPECT_TRUE(says(odd_ones()[0], "64 steps so far")) << told(odd_ones());
  pass(kHour);
  EXPECT_EQ(odd_ones().size(), 1U) << "its end is not reported again";
}

TEST_F(UnusualSession, WhatWasReportedForItsStepsIsNotReportedAgain) {
  jobs(1500);
  session({"open", "hit", "open", "close", "poll", "close", "open", "hit", "open"});
  pass(kHour);
  EXPECT_EQ(engine().of("unusual_sequence").size(), 1U) << told(engine().findings);
  EXPECT_TRUE(odd_ones().empty()) << told(odd_ones());
}

TEST_F(UnusualSession, StepsWithoutASessionHaveNoEndToBeJudgedBy) {
  ActionText text;
  text.actor = "worker";
  text.resource = "queue";
  text.subsystem = "jobs";
  for (int i = 0; i < 3000; ++i) {
    text.action = i % 3 == 0 ? "open" : i % 3 == 1 ? "poll" : "close";
    engine().action(text, now_ += kSecond);
  }
  pass(2 * kHour);
  EXPECT_TRUE(engine().findings.empty()) << told(engine().findings);
  EXPECT_EQ(engine().evicted_count(), 0U);
}

// A session that had to make room comes back as what looks cut short.
TEST_F(UnusualSession, InACrowdNothingIsJudged) {
  config_.sessions_max = 40;
  jobs(1500);  // a job takes 5 s and is over 300 s later: 60 are under way
  const std::uint64_t before = engine().evicted_count();
  EXPECT_GT(before, 1000U);
  session({"open", "poll", "poll"});
  pass(6 * kMinute);
  EXPECT_TRUE(engine().findings.empty()) << told(engine().findings);
  EXPECT_GT(engine().evicted_count(), before);
}

TEST_F(UnusualSession, ModelsAreBoundedAndIdleOnesMakeRoom) {
  config_.session_models_max = 1;
  jobs(1500);
  const auto others = [&](int count) {
    for (int i = 0; i < count; ++i) {
      for (const auto* step : {"begin", "work", "work", "finish"}) {
        ActionText text;
        text.actor = "worker";  // the same partition
        text.action = step;
        text.subsystem = "batch";
        const std::string id = "batch_" + std::to_string(now_);
        text.session = id;
        engine().action(text, now_);
      }
      now_ += 5 * kSecond;
    }
  };
  others(100);
  EXPECT_GT(engine().evicted_count(), 80U) << "refused: the only model is in use";
  pass(kHour);
  const std::uint64_t before = engine().evicted_count();
  others(100);
  EXPECT_EQ(engine().evicted_count(), before + 1) << "the idle one's sessions are forgotten";
}

// Its class was idle and lost its model; what comes of the session then does not begin it anew.
TEST_F(UnusualSession, OneThatOutlivesItsModelIsNotJudged) {
  config_.session_models_max = 1;
  config_.session_idle = std::chrono::hours(2);
  const auto step = [&](std::string_view id, std::string_view name, std::string_view subsystem) {
    ActionText text;
    text.actor = "worker";
    text.action = name;
    text.subsystem = subsystem;
    text.session = id;
    engine().action(text, now_ += kSecond);
  };
  jobs(200);
  step("long", "open", "jobs");
  step("long", "poll", "jobs");
  pass(40 * kMinute);
  for (int i = 0; i < 20; ++i) step("batch_" + std::to_string(i), "begin", "batch");
  const std::uint64_t before = engine().evicted_count();
  step("long", "poll", "jobs");
  EXPECT_EQ(engine().evicted_count(), before + 1);
  for (int i = 0; i < 10; ++i) step("long", "poll", "jobs");
  EXPECT_EQ(engine().evicted_count(), before + 1) << "a step in the middle asked for a model";
  const auto odd_before = odd_ones().size();
  pass(3 * kHour);
  EXPECT_EQ(odd_ones().size(), odd_before) << told(engine().findings);
}

// Every session is a vector of its own; all end in one tick.
TEST_F(UnusualSession, ComparingVectorsIsBoundedInATick) {
  Dice dice(5);
  for (int i = 0; i < 600; ++i) {
    ActionText text;
    text.actor = "worker";
    text.subsystem = "jobs";
    const std::string id = "job" + std::to_string(i);
    text.session = id;
    for (std::uint32_t k = 0; k < 12; ++k) {
      const std::string step = "step" + std::to_string(dice.below(12));
      text.action = step;
      engine().action(text, now_);
    }
  }
  pass(10 * kMinute);
  EXPECT_GT(engine().evicted_count(), 400U);
  EXPECT_LT(engine().evicted_count(), 600U);
}

}  // namespace
}  // namespace grace::log_analyzer
