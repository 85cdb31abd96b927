#include "grace/models/template_miner.h"

#include <gtest/gtest.h>

#include <set>
#include <span>
#include <string>

#include "../dice.h"

namespace grace::models {
namespace {

TEST(TemplateMiner, IdentifiersDoNotMakeTemplates) {
  TemplateMiner miner;
  const auto first = miner.add("Connection from 10.0.0.1 port 51234 closed by user alice17");
  EXPECT_EQ(miner.add("Connection from 10.9.8.7 port 40000 closed by user bob3"), first);
  EXPECT_EQ(miner.add("Connection from [fe80::1] port 1234: closed by user x9."), first);
  EXPECT_EQ(miner.template_count(), 1U);
}

TEST(TemplateMiner, StatusCodesDo) {
  TemplateMiner miner;
  EXPECT_NE(miner.add("error 500 from upstream"), miner.add("error 404 from upstream"));
  EXPECT_EQ(miner.add("error 50017 from upstream"), miner.add("error 40433 from upstream"));
  EXPECT_NE(miner.add("400 error"), miner.add("500 error"));
}

TEST(TemplateMiner, WordsThatVaryAreLeftOpen) {
  TemplateMiner miner;
  const auto first = miner.add("user logged in as admin from console");
  EXPECT_EQ(miner.add("user logged in as guest from console"), first);
  EXPECT_EQ(miner.add("user logged in as operator from terminal"), first);
  EXPECT_NE(miner.add("user logged out after long idle time"), first);
}

TEST(TemplateMiner, LengthAndFirstWordsTellTextsApart) {
  TemplateMiner miner;
  const std::set<std::uint64_t> numbers{miner.add("disk failed"), miner.add("disk failed again"),
                                        miner.add("fan failed"), miner.add("")};
  EXPECT_EQ(numbers.size(), 4U);
  EXPECT_EQ(miner.add("disk failed"), *numbers.begin());
}

TEST(TemplateMiner, NamesArePartedOnRequest) {
  TemplateMinerConfig config;
  config.split_names = true;
  TemplateMiner miner(config);
  const auto first = miner.add("delete_order_4711");
  EXPECT_EQ(miner.add("delete_order_4712"), first);
  EXPECT_NE(miner.add("create_order_4711"), first);
  const auto path = miner.add("GET /orders/7af3-99b1/items");
  EXPECT_EQ(miner.add("GET /orders/12c4-88d2/items"), path);
  TemplateMiner whole;  // to which each is one word, and that an identifier
  EXPECT_EQ(whole.add("create_order_4711"), whole.add("delete_order_4711"));
}

TEST(TemplateMiner, MasksIdentifiersAndKeepsTheRest) {
  TemplateMinerConfig config;
  config.split_names = true;
  const TemplateMiner miner(config);
  char out[64];
  EXPECT_EQ(miner.mask("delete_order_4711", out), "delete_order_<*>");
  EXPECT_EQ(miner.mask("  4711: (x9) failed, code 404. ", out), "  <*>: (<*>) failed, code 404. ");
  EXPECT_EQ(miner.mask("plain name", out), "plain name");
  EXPECT_EQ(miner.mask("", out), "");
  EXPECT_EQ(miner.mask("job 12345 on host", std::span(out, 6)), "job <*");
  EXPECT_EQ(TemplateMiner().mask("user alice17 at n1.example.org", out), "user <*> at <*>");
}

TEST(TemplateMiner, StaysInItsBoundsAndForgetsTheLongestUnused) {
  TemplateMinerConfig config;
  config.templates_max = 32;
  config.leaves_max = 16;
  TemplateMiner miner(config);
  testing::Dice dice(3);
  const auto kept = miner.add("alpha beta gamma");
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (std::uint32_t k = dice.below(40); k > 0; --k) {
      text += static_cast<char>('a' + dice.below(26));
      text += static_cast<char>('a' + dice.below(26));
      text += k % 7 == 0 ? '\t' : ' ';
    }
    miner.add(text);
    ASSERT_EQ(miner.add("alpha beta gamma"), kept) << "in use all the time";
    ASSERT_LE(miner.template_count(), 32U);
  }
  EXPECT_GT(miner.evicted_count(), 0U);
}

TEST(TemplateMiner, AFullLeafTakesWhatIsNotSimilar) {
  TemplateMiner miner;
  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 100; ++i) {
    std::string text = "same start";
    for (int k = 0; k < 6; ++k) {
      text += std::string(" w") + static_cast<char>('a' + i / 10) +
              static_cast<char>('a' + i % 10) + static_cast<char>('a' + k);
    }
    numbers.insert(miner.add(text));
  }
  EXPECT_EQ(numbers.size(), TemplateMiner::kLeafTemplates);
}

}  // namespace
}  // namespace grace::models
