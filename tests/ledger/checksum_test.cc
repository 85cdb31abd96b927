#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "grace/ledger/crc32c.h"
#include "grace/ledger/sha256.h"
#include "grace/ledger/writer.h"
#include "sha256_two.h"

namespace grace::ledger {
namespace {

TEST(Crc32c, MatchesThePublishedVectors) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8A9136AAU);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\xff'))), 0x62A8AB43U);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, HardwareAndPortableAgreeOnEveryLengthAndAlignment) {
  std::vector<std::byte> bytes(300);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 131 + 7);
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t size = 0; size + start <= bytes.size(); ++size) {
      const auto part = std::span(bytes).subspan(start, size);
      ASSERT_EQ(crc32c_extend(77, part), crc32c_extend_portable(77, part)) << start << " " << size;
    }
  }
}

// Long ones go in three strides side by side.
TEST(Crc32c, HardwareAndPortableAgreeOnLongPieces) {
  std::vector<std::byte> bytes(40'000);
  std::uint32_t state = 1;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>((state = state * 1664525 + 1) >> 24);
  for (const std::size_t size :
       {6'143U, 6'144U, 6'145U, 6'151U, 8'192U, 12'287U, 12'288U, 12'300U, 18'432U, 39'990U}) {
    for (std::size_t start = 0; start < 9; ++start) {
      const auto part = std::span(bytes).subspan(start, size);
      ASSERT_EQ(crc32c_extend(77, part), crc32c_extend_portable(77, part)) << start << " " << size;
    }
  }
}

TEST(Crc32c, ExtendsInPieces) {
  const std::string text = "the ledger is read in pieces and checked as a whole";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const auto whole = as_bytes(text);
    EXPECT_EQ(crc32c_extend(crc32c(whole.first(cut)), whole.subspan(cut)), crc32c(whole));
  }
}

TEST(Sha256, MatchesThePublishedVectors) {
  Sha256 hasher;
  EXPECT_EQ(hasher.finish_hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  hasher.update("abc");
  EXPECT_EQ(hasher.finish_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PeekDoesNotDisturb) {
  Sha256 hasher;
  hasher.update("a");
  (void)hasher.peek();
  hasher.update("bc");
  EXPECT_EQ(to_hex(hasher.peek()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const Hash peeked = hasher.peek();
  EXPECT_EQ(peeked, hasher.finish());
}

// Every length about a chunk and its padding, beside others that are shorter and longer.
TEST(Sha256, OfTwoIsThatOfEach) {
  std::vector<std::byte> bytes(700);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 151 + 3);
  const auto all = std::span<const std::byte>(bytes);
  for (std::size_t first = 0; first < 200; ++first) {
    for (const std::size_t second : {0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 500}) {
      const auto left = all.subspan(first % 5, first);
      const auto right = all.subspan(first % 3, second);
      const auto [of_left, of_right] = internal::sha256_of_two(left, right);
      ASSERT_EQ(to_hex(of_left), to_hex(sha256(left))) << first << " beside " << second;
      ASSERT_EQ(to_hex(of_right), to_hex(sha256(right))) << second << " beside " << first;
    }
  }
}

}  // namespace
}  // namespace grace::ledger
