#include "grace/core/hash.h"

#include <gtest/gtest.h>

#include <set>

namespace grace::core {
namespace {

TEST(HashBytes, IsXxh3SoThatStoredIdsStayValid) {
  EXPECT_EQ(hash_bytes(""),
            0x2d06800538d394c2ULL);  // XXH3_64bits of nothing, from its test vectors
  EXPECT_EQ(hash_bytes("a"), 0xe6c632b61e964e1fULL);
  EXPECT_NE(hash_bytes("ab"), hash_bytes("ba"));
  EXPECT_NE(hash_bytes(std::string_view("\0", 1)), hash_bytes(""));
}

TEST(Mix, LosesNothingAndCombineMindsTheOrder) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t x = 0; x < 10'000; ++x) seen.insert(mix(x));
  EXPECT_EQ(seen.size(), 10'000U);
  EXPECT_EQ(mix(1), 0xb456bcfc34c2cb2cULL);  // fmix64 of MurmurHash3
  EXPECT_NE(combine(1, 2), combine(2, 1));
  EXPECT_NE(combine(0, 1), combine(1, 0));
}

TEST(Hex, HasSixteenDigits) {
  EXPECT_EQ(hex(0), "0000000000000000");
  EXPECT_EQ(hex(0xdeadbeef), "00000000deadbeef");
  EXPECT_EQ(hex(0xfedcba9876543210ULL), "fedcba9876543210");
}

}  // namespace
}  // namespace grace::core
