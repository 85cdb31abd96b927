#include "grace/models/alert_grouper.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "../dice.h"
#include "grace/core/time.h"

namespace grace::models {
namespace {

constexpr std::int64_t kSecond = core::kNsPerSecond;
constexpr std::int64_t kHour = core::kNsPerHour;
constexpr std::int64_t kBegin = 1'736'899'200LL * kSecond;

class Grouping : public ::testing::Test {
 protected:
  AlertGroup at(double seconds, std::string_view service, std::string_view text) {
    const auto ns = static_cast<std::int64_t>(seconds * static_cast<double>(kSecond));
    return grouper_.add({kBegin + ns, service, "", text});
  }
  // Two days in which nothing but a nightly job reports, so that incidents are rare.
  void quiet_days() {
    for (int day = 0; day < 2; ++day) at(day * 86'400.0, "batch", "nightly job finished late");
  }
  static constexpr double kDay3 = 2 * 86'400.0 + 3600.0;
  AlertGrouper grouper_;
};

TEST_F(Grouping, ABurstIsOneIncident) {
  quiet_days();
  const AlertGroup first = at(kDay3, "web", "error rate is high");
  EXPECT_FALSE(first.background);
  for (int i = 1; i < 500; ++i) {
    const AlertGroup next =
        at(kDay3 + i * 0.1, "web", i % 2 ? "error rate is high" : "slow answers");
    ASSERT_EQ(next.id, first.id) << i;
  }
}

TEST_F(Grouping, APauseThatTheBurstsRhythmDoesNotExplainEndsIt) {
  quiet_days();
  const auto burst = at(kDay3, "web", "scan of paths");
  for (int i = 1; i < 300; ++i) at(kDay3 + i * 0.05, "web", "scan of paths");
  const double later = kDay3 + 15.0 + 12.0;
  EXPECT_NE(at(later, "web", "scan of paths").id, burst.id);
  // A slow incident has pauses as long: they are its rhythm.
  const auto slow = at(kDay3 + 9000.0, "db", "replication lag");
  for (int i = 1; i < 30; ++i) {
    ASSERT_EQ(at(kDay3 + 9000.0 + i * 40.0, "db", "replication lag").id, slow.id) << i;
  }
}

TEST_F(Grouping, WhatIsNewElsewhereAtTheSameTimeBelongsToIt) {
  quiet_days();
  const auto first = at(kDay3, "db", "connections exhausted");
  EXPECT_EQ(at(kDay3 + 3.0, "api", "cannot reach database").id, first.id);
  EXPECT_EQ(at(kDay3 + 5.0, "web", "error rate is high").id, first.id);
}

TEST_F(Grouping, WhereIncidentsAreFrequentServicesAreKeptApart) {
  // 200 services, each with an incident of its own every ten minutes or so.
  testing::Dice dice(3);
  double now = 0.0;
  std::set<std::uint64_t> ids;
  std::size_t incidents = 0;
  for (int i = 0; i < 400; ++i) {
    now += 700.0 / 200;
    const std::string service = "service_" + std::string(1, static_cast<char>('a' + i / 26)) +
                                static_cast<char>('a' + i % 26);
    ids.insert(at(now, service, "unit " + service + " failed").id);
    ++incidents;
  }
  EXPECT_GT(ids.size(), incidents * 9 / 10);
}

TEST_F(Grouping, RecurringAlertsAreOneBackgroundGroup) {
  std::set<std::uint64_t> background;
  for (int i = 0; i < 200; ++i) {
    const AlertGroup group = at(i * 1800.0, "mail", "virus database updated");
    if (i >= 3) {
      EXPECT_TRUE(group.background) << i;
      background.insert(group.id);
    } else {
      EXPECT_FALSE(group.background) << i;
    }
  }
  EXPECT_EQ(background.size(), 1U);
  // The same at another service is other noise.
  EXPECT_FALSE(at(200 * 1800.0, "proxy", "virus database updated").background);
}

TEST_F(Grouping, RecurringNoiseDoesNotJoinAnIncidentAndRareThingsDo) {
  double now = 0.0;
  for (int i = 0; i < 3000; ++i) {  // never a pause of ten minutes
    at(now += 60.0 + 5.0 * (i % 7), "web", "handshake failed");
    if (i % 30 == 0) at(now, "web", "handshake library reloaded");
    if (i % 1000 == 0) at(now + 1.0, "web", "administrator logged in");  // three episodes
  }
  const auto incident = at(now += 30.0, "web", "shell was spawned");
  EXPECT_FALSE(incident.background);
  EXPECT_TRUE(at(now + 10.0, "web", "handshake failed").background);
  EXPECT_EQ(at(now + 12.0, "web", "administrator logged in").id, incident.id);
}

TEST_F(Grouping, ASurgeOfNoiseIsAnIncident) {
  double now = 0.0;
  for (int i = 0; i < 50; ++i) {
    for (int k = 0; k < 3; ++k) at(now + k, "web", "bad request");
    now += 7200.0;
  }
  AlertGroup group;
  for (int i = 0; i < 100; ++i) group = at(now + i * 0.1, "web", "bad request");
  EXPECT_FALSE(group.background);
}

TEST_F(Grouping, DependenciesJoinAndStrangersDoNot) {
  ASSERT_TRUE(grouper_.relate("api", "db"));
  ASSERT_TRUE(grouper_.relate("shop", "cart"));
  ASSERT_TRUE(grouper_.relate("bank", "vault"));
  quiet_days();
  const auto incident = at(kDay3, "db", "connections exhausted");
  EXPECT_EQ(at(kDay3 + 20.0, "api", "cannot reach database").id, incident.id);
  EXPECT_NE(at(kDay3 + 21.0, "cart", "queue is long").id, incident.id);
  EXPECT_EQ(at(kDay3 + 22.0, "bank", "cannot reach database").id, incident.id) << "same template";
}

TEST_F(Grouping, TimesThatGoBackAreTakenForNow) {
  quiet_days();
  const auto first = at(kDay3, "web", "error rate is high");
  EXPECT_EQ(at(kDay3 - 5000.0, "web", "error rate is high").id, first.id);
  EXPECT_EQ(at(kDay3 + 1.0, "web", "error rate is high").id, first.id);
}

TEST_F(Grouping, IdentifiersInTextsDoNotMatter) {
  quiet_days();
  const auto first = at(kDay3, "web", "worker 4711 died on n17");
  EXPECT_EQ(at(kDay3 + 30.0, "api", "worker 4712 died on n18").id, first.id);
}

TEST(AlertGrouper, StaysInItsBounds) {
  AlertGrouperConfig config;
  config.incidents_max = 4;
  config.alerts_max = 16;
  config.services_max = 8;
  config.templates.templates_max = 16;
  config.templates.leaves_max = 16;
  AlertGrouper grouper(config);
  testing::Dice dice(5);
  std::int64_t now = kBegin;
  std::uint64_t highest = 0;
  for (int i = 0; i < 20'000; ++i) {
    now += dice.below(3) * kSecond;
    const std::string service(1 + dice.below(3), static_cast<char>('a' + dice.below(26)));
    const std::string text = service + " says " + static_cast<char>('a' + dice.below(26));
    const AlertGroup group = grouper.add({now, service, "", text});
    ASSERT_LE(group.id, highest + 1);
    highest = std::max(highest, group.id);
  }
  EXPECT_EQ(highest + 1, grouper.group_count());
  EXPECT_GT(grouper.evicted_count(), 0U);
}

TEST(AlertGrouper, ADependencyThatDoesNotFitChangesNothing) {
  AlertGrouperConfig config;
  config.services_max = 5;  // two services and their dependency; no room for three more
  AlertGrouper grouper(config);
  ASSERT_TRUE(grouper.relate("api", "db"));
  ASSERT_TRUE(grouper.relate("db", "api")) << "it is known";
  ASSERT_FALSE(grouper.relate("web", "cart"));
  ASSERT_TRUE(grouper.relate("api", "web")) << "two more: web, and that they depend";
  // cart is no stranger of db: nothing is known of it.
  for (int day = 0; day < 2; ++day) {
    grouper.add({kBegin + day * 24 * kHour, "batch", "", "nightly job finished late"});
  }
  const std::int64_t now = kBegin + 49 * kHour;
  const AlertGroup first = grouper.add({now, "db", "", "connections exhausted"});
  EXPECT_EQ(grouper.add({now + 3 * kSecond, "cart", "", "queue is long"}).id, first.id);
}

TEST(AlertGrouper, TimesAtTheEndsOfTheirRangeDoNotOverflow) {
  constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t begin : {kFirst, std::int64_t{-5}, kBegin}) {
    AlertGrouper grouper;
    const std::uint64_t first = grouper.add({begin, "web", "", "slow"}).id;
    const std::uint64_t second = grouper.add({kLast, "web", "", "slow"}).id;
    EXPECT_NE(second, first) << begin;
    EXPECT_EQ(grouper.add({kLast, "web", "", "slow"}).id, second) << begin;
    EXPECT_EQ(grouper.add({kFirst, "web", "", "slow"}).id, second) << begin;
  }
}

TEST(AlertGrouper, TheSameAlertsGiveTheSameGroups) {
  AlertGrouper one;
  AlertGrouper other;
  testing::Dice dice(8);
  std::int64_t now = kBegin;
  for (int i = 0; i < 5'000; ++i) {
    now += dice.below(60) * kSecond;
    const std::string service(1, static_cast<char>('a' + dice.below(5)));
    const std::string text = "alert " + std::string(1, static_cast<char>('a' + dice.below(9)));
    ASSERT_EQ(one.add({now, service, "", text}).id, other.add({now, service, "", text}).id);
  }
}

}  // namespace
}  // namespace grace::models
