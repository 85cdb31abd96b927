#include "grace/core/symbol_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace grace::core {
namespace {

TEST(SymbolTable, GivesEqualTextTheSameViewForEver) {
  SymbolTable table(100'000, 10'000'000);
  std::vector<std::string_view> views;
  for (int i = 0; i < 20'000; ++i) views.push_back(table.intern("symbol " + std::to_string(i)));
  EXPECT_EQ(table.count(), 20'000U);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = "symbol " + std::to_string(i);
    ASSERT_EQ(views[static_cast<std::size_t>(i)], text) << "the table grew over its views";
    ASSERT_EQ(table.intern(text).data(), views[static_cast<std::size_t>(i)].data());
  }
  EXPECT_EQ(table.count(), 20'000U);
  EXPECT_EQ(table.refused_count(), 0U);
}

TEST(SymbolTable, KeepsItsOwnCopy) {
  SymbolTable table(10, 1000);
  std::string text = "auth_service";
  const std::string_view view = table.intern(text);
  text.assign("xxxxxxxxxxxx");
  EXPECT_EQ(view, "auth_service");
}

TEST(SymbolTable, TakesTheEmptyTextAsAText) {
  SymbolTable table(10, 1000);
  const std::string_view empty = table.intern("");
  EXPECT_NE(empty.data(), nullptr) << "null says refused";
  EXPECT_EQ(table.intern("").data(), empty.data());
  EXPECT_EQ(table.count(), 1U);
}

TEST(SymbolTable, RefusesPastItsBoundsAndCounts) {
  SymbolTable few(2, 1000);
  const std::string_view a = few.intern("a");
  EXPECT_NE(few.intern("b").data(), nullptr);
  EXPECT_EQ(few.intern("c").data(), nullptr);
  EXPECT_EQ(few.intern("a").data(), a.data()) << "what is known stays known";
  EXPECT_EQ(few.refused_count(), 1U);

  SymbolTable small(100, 10);
  EXPECT_NE(small.intern("12345").data(), nullptr);
  EXPECT_EQ(small.intern("123456").data(), nullptr);
  EXPECT_NE(small.intern("abcde").data(), nullptr);
  EXPECT_EQ(small.intern("z").data(), nullptr);
  EXPECT_EQ(small.refused_count(), 2U);
}

TEST(SymbolTable, HoldsTextsLongerThanItsBlocks) {
  SymbolTable table(10, 1'000'000);
  const std::string_view small = table.intern("small");
  const std::string big(100'000, 'b');
  EXPECT_EQ(table.intern(big), big);
  EXPECT_EQ(table.intern("after"), "after");
  EXPECT_EQ(small, "small");
}

}  // namespace
}  // namespace grace::core
