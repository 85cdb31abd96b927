#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "grace/parse/dead_letter_file.h"
#include "grace/parse/json_value.h"

namespace grace::parse {
namespace {

class DeadLetter : public testing::Test {
 protected:
  DeadLetter() {
    std::string pattern = testing::TempDir() + "grace_dead_letter_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    config_.path = directory_ + "/dead.ndjson";
    config_.lines_per_second_max = 0;
  }
  ~DeadLetter() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<DeadLetterFile> open() {
    auto file = DeadLetterFile::open(config_);
    EXPECT_TRUE(file.has_value());
    return std::move(*file);
  }
  std::vector<JsonValue> lines() const {
    std::vector<JsonValue> out;
    std::ifstream input(config_.path);
    for (std::string line; std::getline(input, line);) {
      auto value = JsonValue::parse(line);
      EXPECT_TRUE(value.has_value()) << line;
      if (value) out.push_back(std::move(*value));
    }
    return out;
  }
  static void expect_conserved(const DeadLetterCounters& counters) {
    EXPECT_EQ(counters.offered, counters.written + counters.dropped_by_bound +
                                    counters.dropped_by_rate + counters.dropped_by_queue +
                                    counters.failed);
  }

  std::string directory_;
  DeadLetterConfig config_;
};

Reject reject(std::string_view line, RejectReason reason = RejectReason::kWrongType) {
  return {reason, 123, 0, line};
}

TEST_F(DeadLetter, KeepsSourceOffsetReasonAndLine) {
  auto file = open();
  DeadLetterFile::Producer producer(*file);
  producer.offer(reject("{\"a\":\"\xC3\xA9\"}"), "file:/x");
  producer.offer(reject("bad \xFF", RejectReason::kInvalidUtf8), "tcp:1");
  file->close();
  const auto written = lines();
  ASSERT_EQ(written.size(), 2U);
  EXPECT_EQ(written[0]["source"].as_string(), "file:/x");
  EXPECT_EQ(written[0]["offset"].as_uint64(), 123U);
  EXPECT_EQ(written[0]["reason"].as_string(), "wrong_type");
  EXPECT_EQ(written[0]["line"].as_string(), "{\"a\":\"\xC3\xA9\"}");
  EXPECT_EQ(written[0].find("base64"), nullptr);
  EXPECT_EQ(written[1]["line"].as_string(), "bad \xEF\xBF\xBD");
  EXPECT_EQ(written[1]["base64"].as_string(), "YmFkIP8=");
  EXPECT_EQ(file->counters().written, 2U);
}

TEST_F(DeadLetter, CutsLongLines) {
  config_.line_copy_bytes_max = 10;
  auto file = open();
  DeadLetterFile::Producer producer(*file);
  producer.offer(reject(std::string(1000, 'x')), "s");
  file->close();
  const auto written = lines();
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(written[0]["line"].as_string(), "xxxxxxxxxx");
  EXPECT_EQ(written[0]["size"].as_uint64(), 1000U);
  EXPECT_TRUE(written[0]["cut"].as_bool());
}

TEST_F(DeadLetter, StopsAtItsBoundsAlsoWhenOpenedAgain) {
  config_.lines_max = 5;
  for (int round = 0; round < 2; ++round) {
    auto file = open();
    DeadLetterFile::Producer producer(*file);
    for (int i = 0; i < 4; ++i) producer.offer(reject("x"), "s");
    file->close();
    const DeadLetterCounters counters = file->counters();
    expect_conserved(counters);
    EXPECT_EQ(counters.written, round == 0 ? 4U : 1U);
    EXPECT_EQ(counters.dropped_by_bound, round == 0 ? 0U : 3U);
  }
  EXPECT_EQ(lines().size(), 5U);
  config_.lines_max = 1000;
  config_.file_bytes_max = std::filesystem::file_size(config_.path) + 100;
  auto file = open();
  DeadLetterFile::Producer producer(*file);
  for (int i = 0; i < 4; ++i) producer.offer(reject("x"), "s");
  file->close();
  EXPECT_LE(std::filesystem::file_size(config_.path), config_.file_bytes_max);
  EXPECT_GT(file->counters().dropped_by_bound, 0U);
  expect_conserved(file->counters());
}

TEST_F(DeadLetter, LimitsTheRate) {
  config_.lines_per_second_max = 1;
  auto file = open();
  DeadLetterFile::Producer producer(*file);
  for (int i = 0; i < 1000; ++i) producer.offer(reject("x"), "s");
  file->close();
  EXPECT_GE(file->counters().written, 1U);
  EXPECT_GT(file->counters().dropped_by_rate, 0U);
  expect_conserved(file->counters());
}

TEST_F(DeadLetter, CountsWhatTheDiskRefusesAndGoesOn) {
  config_.path = "/dev/full";
  auto file = open();
  DeadLetterFile::Producer producer(*file);
  for (int i = 0; i < 3; ++i) producer.offer(reject("x"), "s");
  file->close();
  EXPECT_EQ(file->counters().failed, 3U);
  EXPECT_EQ(file->counters().last_os_error, ENOSPC);
  expect_conserved(file->counters());
}

TEST_F(DeadLetter, TakesRejectsFromManyWorkersAtOnce) {
  auto file = open();
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&file] {
      DeadLetterFile::Producer producer(*file);
      for (int i = 0; i < 500; ++i) producer.offer(reject("{\"x\":"), "s");
    });
  }
  for (std::thread& worker : workers) worker.join();
  file->close();
  const DeadLetterCounters counters = file->counters();
  EXPECT_EQ(counters.offered, 2000U);
  expect_conserved(counters);
  EXPECT_EQ(lines().size(), counters.written);
}

TEST_F(DeadLetter, CountsWhatTheQueueCannotHoldUnlessItMayWait) {
  for (const bool wait : {false, true}) {
    config_.queue_lines_max = 8;
    config_.wait_when_full = wait;
    config_.path = directory_ + (wait ? "/waits.ndjson" : "/drops.ndjson");
    auto file = open();
    DeadLetterFile::Producer producer(*file);
    for (int i = 0; i < 2'000; ++i) producer.offer(reject("x"), "s");
    file->close();
    const DeadLetterCounters counters = file->counters();
    expect_conserved(counters);
    EXPECT_EQ(counters.dropped_by_queue == 0, wait);
  }
}

TEST_F(DeadLetter, WithoutAPathOnlyCounts) {
  config_.path.clear();
  auto file = open();
  DeadLetterFile::Producer producer(*file);
  producer.offer(reject("x"), "s");
  file->close();
  EXPECT_EQ(file->counters().dropped_by_bound, 1U);
}

TEST_F(DeadLetter, NamesTheFileThatCannotBeOpened) {
  config_.path = directory_ + "/missing/dead.ndjson";
  const auto file = DeadLetterFile::open(config_);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, core::ErrorCode::kIo);
  EXPECT_NE(file.error().message.find(config_.path), std::string::npos);
}

}  // namespace
}  // namespace grace::parse
