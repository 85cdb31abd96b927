// The parser's own readers of numbers, escapes and newlines against independent ones.
#include <gtest/gtest.h>
#include <simdjson.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>

#include "number.h"
#include "plain_number.h"
#include "string_escape.h"
#include "text_scan.h"

namespace grace::parse {
namespace {

Number read(const std::string& text) {
  const std::string padded = text + "                ";
  return read_number(padded.data(), padded.data() + text.size());
}

// What simdjson says about the text; false: not a number it can hold.
bool reference(const std::string& text, double& value) {
  simdjson::dom::parser parser;
  return parser.parse("[" + text + "]").at(0).get_double().get(value) == simdjson::SUCCESS;
}

void expect_same(const std::string& text) {
  double expected = 0.0;
  const bool valid = reference(text, expected);
  const Number number = read(text);
  ASSERT_EQ(number.valid(), valid) << text;
  if (valid) {
    ASSERT_EQ(std::memcmp(&number.value, &expected, sizeof expected), 0)
        << text << " " << number.value << " " << expected;
  }
  const std::string padded = text + "                ";
  double plain = 0.0;
  bool whole = false;
  if (text[0] != '-' && read_plain_decimal(padded.data(), text.size(), plain, whole)) {
    ASSERT_TRUE(valid) << text;
    ASSERT_EQ(plain, expected) << text;
  }
  std::int64_t ns = 0;
  if (read_plain_ns(padded.data(), text.size(), ns)) {
    ASSERT_EQ(number.form, NumberForm::kInteger) << text;
    ASSERT_EQ(ns, number.integer) << text;
  }
}

TEST(ReadNumber, AgreesWithSimdjsonAtTheEdges) {
  for (const char* text : {"0",
                           "-0",
                           "1",
                           "-1",
                           "0.5",
                           "-0.0",
                           "00",
                           "01",
                           "-01",
                           "1.",
                           ".5",
                           "-",
                           "--1",
                           "1e5",
                           "1E+5",
                           "1e-5",
                           "1e",
                           "1e+",
                           "1.e5",
                           "9223372036854775807",
                           "-9223372036854775808",
                           "-9223372036854775809",
                           "9223372036854775808",
                           "18446744073709551615",
                           "18446744073709551616",
                           "99999999999999999999",
                           "123456789012345678901234567890",
                           "10000000000000000000",
                           "1e308",
                           "1.7976931348623157e308",
                           "1.7976931348623159e308",
                           "1e309",
                           "5e-324",
                           "2e-324",
                           "1e-400",
                           "-1e-400",
                           "0e999999999999999999",
                           "0.0e5",
                           "0.1",
                           "0.30000000000000004",
                           "9007199254740993",
                           "9007199254740993.0",
                           "123456789012345678.5",
                           "0.000000000000000000000000000001",
                           "1000000000000000000000.0",
                           "1e22",
                           "1e23",
                           "8.9e-5",
                           "12345678.12345678",
                           "99999999",
                           "9999999.9",
                           "0.0000001",
                           "1e99999999999999999999",
                           "1e-99999999999999999999",
                           "1.5.2",
                           "1-2",
                           "12a",
                           "1_0"}) {
    expect_same(text);
  }
}

TEST(ReadNumber, AgreesWithSimdjsonOnRandomTexts) {
  std::mt19937_64 random(7);
  const std::string alphabet = "0123456789012345678901234567890123456789..--eE+";
  for (int i = 0; i < 100'000; ++i) {
    std::string text;
    const std::size_t size = 1 + random() % 24;
    for (std::size_t k = 0; k < size; ++k) text += alphabet[random() % alphabet.size()];
    if (text.find_first_of("0123456789") == std::string::npos) continue;
    if (!is_digit(text[0]) && text[0] != '-') continue;
    ASSERT_NO_FATAL_FAILURE(expect_same(text));
  }
  for (int i = 0; i < 100'000; ++i) {
    char text[64];
    const double value =
        std::ldexp(static_cast<double>(random()) - 9e18, static_cast<int>(random() % 200) - 150);
    std::snprintf(text, sizeof text, "%.*g", static_cast<int>(1 + random() % 17), value);
    ASSERT_NO_FATAL_FAILURE(expect_same(text));
    std::snprintf(text, sizeof text, "%.*f", static_cast<int>(random() % 4),
                  static_cast<double>(random() % 10'000'000) / 100.0);
    ASSERT_NO_FATAL_FAILURE(expect_same(text));
    std::snprintf(text, sizeof text, "%llu", static_cast<unsigned long long>(random()));
    ASSERT_NO_FATAL_FAILURE(expect_same(text));
  }
}

// simdjson 3.0 lets some lone surrogates pass; what we take, it takes, and reads the same.
TEST(Unescape, AgreesWithSimdjson) {
  std::mt19937_64 random(11);
  const std::string pieces[] = {
      "a",   "\\n", "\\\"", "\\\\",           "\\/",     "\\u00", "\\u0041", "\\ud83d", "\\ude00",
      "\\u", "\\x", "0",    "\\uD83D\\uDE00", "\\u20ac", "e9",    "\\u0000", "\xC3\xA9"};
  int accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text;
    const std::size_t count = random() % 6;
    for (std::size_t k = 0; k < count; ++k) text += pieces[random() % std::size(pieces)];
    std::string out(text.size() + 8, '\0');
    const std::size_t size = unescape(text.data(), text.data() + text.size(), out.data());
    ASSERT_EQ(unescape(text.data(), text.data() + text.size(), nullptr), size);
    simdjson::dom::parser parser;
    std::string_view expected;
    const std::string document = "[\"" + text + "\"]";
    const bool valid = parser.parse(document).at(0).get_string().get(expected) == simdjson::SUCCESS;
    if (size == kBadEscape) continue;
    ASSERT_TRUE(valid) << text;
    ASSERT_EQ(std::string_view(out.data(), size), expected) << text;
    ASSERT_LE(size, text.size());
    ++accepted;
  }
  EXPECT_GT(accepted, 10'000);
}

TEST(FindNewlines, FindsEachOnceAndNoneBehindTheEnd) {
  std::string text;
  std::vector<std::uint32_t> expected;
  for (std::uint32_t size = 0; size < 20'000; ++size) {
    if (size < 300 || size % 997 == 0) {
      const std::string padded = text + std::string(64, '\n');
      std::vector<std::uint32_t> found(text.size() + 1);
      found.resize(find_newlines(padded.data(), text.size(), found.data()));
      ASSERT_EQ(found, expected);
    }
    const bool newline = size % 3 == 0 || size > 9000;
    text += newline ? '\n' : static_cast<char>(size);
    if (text.back() == '\n') expected.push_back(size);
  }
}

TEST(HashShort, SeesEveryByteAndTheLength) {
  std::string text(40, 'a');
  text += std::string(16, '\0');
  std::vector<std::uint64_t> hashes;
  for (std::size_t size = 0; size <= 40; ++size) hashes.push_back(hash_short(text.data(), size));
  for (std::size_t i = 0; i < 40; ++i) {
    std::string other = text;
    other[i] = 'b';
    hashes.push_back(hash_short(other.data(), 40));
  }
  std::sort(hashes.begin(), hashes.end());
  EXPECT_EQ(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

}  // namespace
}  // namespace grace::parse
