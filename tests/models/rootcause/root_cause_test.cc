#include "grace/models/root_cause.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "root_cause_fixture.h"

namespace grace::models {
namespace {

double sum_of(const RootCauseRanking& ranking) {
  double sum = ranking.none;
  for (const RankedService& each : ranking.services) {
    EXPECT_GE(each.probability, 0.0);
    EXPECT_LE(each.probability, 1.0);
    sum += each.probability;
  }
  return sum;
}

std::string first(const RootCauseRanking& ranking) {
  EXPECT_NEAR(sum_of(ranking), 1.0, 1e-12);
  return ranking.names_cause() ? ranking.services.front().service : "none of these";
}

RecordedSystem chain() {
  RecordedSystem system;
  return system.calls("web", "api").calls("api", "db");
}

TEST(RootCause, InAChainTheDeepestServiceThatIsSlowIsTheCause) {
  RecordedSystem system = chain().service("web", 50).service("api", 50).service("db", 50);
  EXPECT_EQ(first(system.rank()), "db");
  EXPECT_EQ(first(system.rank(Symptom{"web", "latency_p99"})), "db");
}

TEST(RootCause, AServiceThatAddsTimeOfItsOwnIsTheCause) {
  RecordedSystem system = chain().service("web", 50).service("api", 50).service("db", 0);
  EXPECT_EQ(first(system.rank()), "api");
  RecordedSystem both = chain().service("web", 300).service("api", 300).service("db", 10);
  EXPECT_EQ(first(both.rank()), "api");
}

TEST(RootCause, ABusyServiceThatDoesAsEverIsNoReferenceForShares) {
  RecordedSystem system = chain().calls("web", "cdn").service("web", 3).service("api", 3);
  // A thousand times the requests, and a latency that wanders as widely as ever.
  for (int minute = 0; minute < RecordedSystem::kMinutes; ++minute) {
    system.add(minute, "cdn", "requests_sum", 1e6);
    system.add(minute, "cdn", "latency_average", 20.0 + (minute * 37) % 23);
  }
  EXPECT_EQ(first(system.rank(Symptom{"web", "latency_average"})), "api");
}

TEST(RootCause, InADiamondTheSharedDependencyIsTheCause) {
  RecordedSystem system;
  system.calls("web", "left").calls("web", "right").calls("left", "db").calls("right", "db");
  system.service("web", 0, 8).service("left", 0, 8).service("right", 0, 8).service("db", 0, 16);
  EXPECT_EQ(first(system.rank()), "db");
  EXPECT_EQ(first(system.rank(Symptom{"web", "availability"})), "db");
}

TEST(RootCause, CyclesEndAndStillNameAnAnomalousMember) {
  RecordedSystem system;
  system.calls("a", "b").calls("b", "c").calls("c", "a").calls("a", "a");
  system.service("a").service("b", 80).service("c");
  EXPECT_EQ(first(system.rank()), "b");
  EXPECT_EQ(first(system.rank(Symptom{"c", "latency"})), "b");
}

TEST(RootCause, WhenNothingIsAnomalousNoCauseIsNamed) {
  const RecordedSystem system = chain().service("web").service("api").service("db");
  EXPECT_EQ(first(system.rank()), "none of these");
  EXPECT_EQ(first(system.rank(Symptom{"web", "latency_average"})), "none of these");
}

TEST(RootCause, WhenEverythingMovesAlikeNothingStandsOut) {
  RecordedSystem system;
  for (int i = 0; i < 12; ++i) {
    const std::string name = "service" + std::to_string(i);
    for (int minute = 0; minute < RecordedSystem::kMinutes; ++minute) {
      system.add(minute, name, "cpu_usage", (minute < 3 ? 90.0 : 20.0) + minute % 5);
    }
  }
  EXPECT_EQ(first(system.rank()), "none of these");
}

TEST(RootCause, AnAnomalyTheSymptomDoesNotDependOnIsNoCandidate) {
  RecordedSystem system = chain().service("web", 40).service("api", 40).service("db");
  system.calls("batch", "archive").service("batch").service("archive", 900);
  EXPECT_EQ(first(system.rank()), "archive");
  const RootCauseRanking ranking = system.rank(Symptom{"web", "latency"});
  EXPECT_EQ(first(ranking), "api");
  for (const RankedService& each : ranking.services) EXPECT_NE(each.service, "archive");
}

TEST(RootCause, AServiceOutsideTheGraphCanBeTheCauseWithoutASymptom) {
  RecordedSystem system = chain().service("web").service("api").service("db");
  system.service("loner", 200);
  EXPECT_EQ(first(system.rank()), "loner");
}

TEST(RootCause, AServiceOfTheGraphWithoutSamplesIsRankedBehind) {
  RecordedSystem system = chain().calls("api", "cache").service("web", 50).service("api", 50);
  const RootCauseRanking ranking = system.rank();
  EXPECT_EQ(first(ranking), "api");
  EXPECT_EQ(ranking.services.size(), 4U);
}

TEST(RootCause, AnUnknownSymptomIsAnErrorThatNamesIt) {
  const auto ranking =
      chain().service("web").model().rank(RecordedSystem::kAt, Symptom{"nobody", "latency"});
  ASSERT_FALSE(ranking.has_value());
  EXPECT_EQ(ranking.error().code, core::ErrorCode::kNotFound);
  EXPECT_NE(ranking.error().message.find("nobody"), std::string::npos);
}

TEST(RootCause, TheAlarmsKindDecidesBetweenTwoTroubles) {
  RecordedSystem system;
  system.calls("web", "slow").calls("web", "failing");
  system.service("web", 30, 3).service("slow", 60, 0).service("failing", 0, 6);
  EXPECT_EQ(first(system.rank(Symptom{"web", "latency_average"})), "slow");
  EXPECT_EQ(first(system.rank(Symptom{"web", "availability_average"})), "failing");
}

TEST(RootCause, ALogLineOfItsOwnBeatsErrorsThatACalleeExplains) {
  RecordedSystem system;
  system.calls("web", "auth").calls("web", "shop").calls("auth", "codes");
  for (const char* name : {"web", "shop", "auth", "codes"}) system.log(name, "Served#1", 1, 1);
  system.log("codes", "Checked#7", 1, 0);  // falls silent while the service goes on logging
  for (int minute = 0; minute < RecordedSystem::kMinutes; ++minute) {
    system.add(minute, "auth", "errors", minute < 4 ? 2.0 : 0.0);
  }
  EXPECT_EQ(first(system.rank()), "codes");
}

double score_of(const RootCauseRanking& ranking, std::string_view service) {
  const auto at = std::find_if(ranking.services.begin(), ranking.services.end(),
                               [&](const RankedService& each) { return each.service == service; });
  return at == ranking.services.end() ? -1.0 : at->score;
}

TEST(RootCause, TheTimeoutsOfACallerDoNotOutvoteTheSlowCallee) {
  const auto recorded = [](double slower_ms) {
    RecordedSystem made;
    made.calls("web", "db").service("db", slower_ms, 0.0, 4).service("web", slower_ms, 0.0, 4);
    for (int before = 0; before < RecordedSystem::kMinutes; ++before) {
      made.add(before, "web", "errors", before < 4 ? 6.0 : 0.0);
    }
    return made;
  };
  EXPECT_EQ(first(recorded(200.0).rank()), "db");
  // A callee that is as ever explains nothing.
  EXPECT_EQ(first(recorded(0.0).rank()), "web");
  EXPECT_GT(score_of(recorded(0.0).rank(), "web"), 5.0);
}

TEST(RootCause, ACalleeThatFellIllLaterExplainsNothing) {
  const auto recorded = [](int callee_since) {
    RecordedSystem made;
    made.calls("web", "db");
    for (const char* name : {"web", "db"}) made.log(name, "Served#1", 1, 1);
    made.log("web", "Failed#2", 0, 1, 5).log("db", "Failed#3", 0, 1, callee_since);
    return made;
  };
  EXPECT_EQ(first(recorded(5).rank()), "db");
  EXPECT_GT(score_of(recorded(2).rank(), "web"), score_of(recorded(5).rank(), "web") + 1.0);
}

TEST(RootCause, LinesThatVanishWithTheCallsAreNotTheServicesFault) {
  RecordedSystem system;
  system.calls("web", "db");
  system.log("db", "Query#1", 3, 0).log("db", "Commit#2", 3, 0);
  system.log("web", "Served#1", 1, 1).log("web", "Refused#9", 0, 1);
  EXPECT_EQ(first(system.rank()), "web");
}

TEST(RootCause, EqualEvidenceIsOrderedByNameWithEqualProbabilities) {
  RecordedSystem system;
  system.service("ab", 60).service("aa", 60);
  const RootCauseRanking ranking = system.rank();
  EXPECT_EQ(first(ranking), "aa");
  EXPECT_EQ(ranking.services[0].probability, ranking.services[1].probability);
}

TEST(RootCause, TellsOnsetAndStrongestMetric) {
  RecordedSystem system = chain().service("web", 50).service("api", 50).service("db", 50, 0, 3);
  const RootCauseRanking ranking = system.rank();
  const RankedService& cause = ranking.services.front();
  EXPECT_EQ(cause.onset_ns, RecordedSystem::kAt - 2 * core::kNsPerMinute);
  EXPECT_EQ(cause.strongest_metric, "latency_average");
}

}  // namespace
}  // namespace grace::models
