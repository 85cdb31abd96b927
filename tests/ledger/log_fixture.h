#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "grace/ledger/reader.h"
#include "grace/ledger/writer.h"

namespace grace::ledger {

// A log in a directory of its own, and a small language to write it, damage it and read it back.
class LogTest : public ::testing::Test {
 protected:
  using Bytes = std::vector<char>;

  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = root() / ("grace_ledger_" + slashless(info->test_suite_name()) + "_" +
                           slashless(info->name()) + "_" + std::to_string(::getpid()));
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    config_.directory = (directory_ / "log").string();
    config_.segment_bytes = 64 << 10;
    config_.block_bytes = 2048;
    config_.record_bytes_max = 8192;
    config_.ring_bytes = 64 << 10;
    config_.commit_interval = std::chrono::microseconds(500);
    config_.wall_clock_ns = [] { return std::int64_t{1736950000000000000}; };
  }
  void TearDown() override {
    producer_ = Producer();
    writer_.reset();
    // A joined thread stays in the kernel's list for a moment.
    for (int i = 0; i < 1000 && thread_count() > 1; ++i) ::usleep(1000);
    EXPECT_LE(thread_count(), 1) << "a thread outlived its writer";
    std::filesystem::remove_all(directory_);
  }

  // Where the logs lie. In memory where that is possible: these tests sync thousands of times.
  [[nodiscard]] virtual std::filesystem::path root() const {
    const std::filesystem::path memory = "/dev/shm";
    const auto space =
        std::filesystem::exists(memory) ? std::filesystem::space(memory).available : 0;
    return space > (32U << 20) ? memory : std::filesystem::temp_directory_path();
  }

  // --- writing ---
  void open() {
    auto opened = Writer::open(config_);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    writer_ = std::move(*opened);
    auto leased = writer_->producer();
    ASSERT_TRUE(leased.has_value()) << leased.error().message;
    producer_ = std::move(*leased);
    wait_for_keeper();
  }
  // With an interval of hours the writer's keeper has one round and no more: it is over before
  // there is anything to keep, also where its thread was late.
  void wait_for_keeper() const {
    if (!config_.keeps_segments() || config_.keep_interval < std::chrono::hours(1)) return;
    for (int i = 0; i < 5000 && writer_->keeper_stats().rounds == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_GT(writer_->keeper_stats().rounds, 0U);
  }
  void append(std::string_view text, RecordType type = RecordType::kNote) {
    ASSERT_EQ(producer_.append_or_wait(type, as_bytes(text)), AppendStatus::kOk);
    written_.emplace_back(text);
  }
  void append_many(int count, std::size_t bytes = 100) {
    for (int i = 0; i < count; ++i) append(text_of(written_.size(), bytes));
  }
  // One block: everything so far is in closed blocks when this returns.
  void flush() {
    auto flushed = writer_->flush();
    ASSERT_TRUE(flushed.has_value()) << flushed.error().message;
  }
  void close() {
    producer_ = Producer();
    const auto closed = writer_->close();
    ASSERT_TRUE(closed.has_value()) << closed.error().message;
    writer_.reset();
  }
  // A log of `blocks` blocks with three records each in one segment.
  void write_blocks(int blocks, std::size_t bytes = 100) {
    open();
    for (int block = 0; block < blocks; ++block) {
      append_many(3, bytes);
      flush();
    }
  }
  static std::string text_of(std::size_t index, std::size_t bytes) {
    std::string text = "record " + std::to_string(index + 1) + " ";
    while (text.size() < bytes) text.push_back(static_cast<char>('a' + (index + text.size()) % 26));
    return text;
  }

  // --- files ---
  [[nodiscard]] std::string segment(std::uint64_t number) const {
    std::string digits = std::to_string(number);
    return config_.directory + "/" + std::string(12 - digits.size(), '0') + digits + ".segment";
  }
  [[nodiscard]] static Bytes load(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void store(const std::string& path, const Bytes& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good()) << path;
  }
  // The state on disk as a killed process leaves it: a copy made while the writer lives.
  void snapshot_to(const std::string& name) const {
    const auto target = directory_ / name;
    std::filesystem::remove_all(target);
    std::filesystem::copy(config_.directory, target, std::filesystem::copy_options::recursive);
  }
  // From here on the fixture works on the snapshot.
  void continue_with(const std::string& name) {
    producer_ = Producer();
    writer_.reset();
    config_.directory = (directory_ / name).string();
  }
  static std::size_t used_bytes(const Bytes& bytes) {
    std::size_t used = bytes.size();
    while (used > 0 && bytes[used - 1] == 0) --used;
    return used;
  }
  // Where the last block ends. Its last byte is one of a hash, and of those one in 256 is zero.
  static std::size_t blocks_end(const Bytes& bytes) {
    return round_up(used_bytes(bytes), kBlockAlignment);
  }

  // --- reading ---
  struct ReadBack {
    std::vector<std::string> texts;  // without recovery records
    std::uint64_t recoveries = 0;
    ReadStatus status = ReadStatus::kEnd;
    Error error;
  };
  [[nodiscard]] ReadBack read_all(ReaderOptions options = {}) const {
    ReadBack back;
    auto reader = Reader::open(config_.directory, options);
    if (!reader) {
      back.status = ReadStatus::kCorrupt;
      back.error = reader.error();
      return back;
    }
    RecordView record;
    std::uint64_t expected = options.from_sequence;
    while ((back.status = reader->next(record)) == ReadStatus::kRecord) {
      EXPECT_EQ(record.sequence, expected++);
      if (record.type == RecordType::kRecovery) {
        ++back.recoveries;
      } else {
        back.texts.emplace_back(record.text());
      }
    }
    if (back.status == ReadStatus::kCorrupt) back.error = reader->error();
    return back;
  }
  [[nodiscard]] VerifyReport report() const {
    auto verified = verify(config_.directory);
    EXPECT_TRUE(verified.has_value()) << verified.error().message;
    return verified.value_or(VerifyReport{});
  }
  [[nodiscard]] static std::string reason(const VerifyReport& report) {
    return report.first_fault ? report.first_fault->reason : std::string();
  }

  static std::string slashless(std::string name) {
    for (char& letter : name) letter = letter == '/' ? '_' : letter;
    return name;
  }
  static int thread_count() {
    int count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator("/proc/self/task")) {
      ++count;
    }
#if defined(__SANITIZE_THREAD__)
    --count;  // its background thread, which a test without threads never had
#endif
    return count;
  }

  std::filesystem::path directory_;
  LogConfig config_;
  std::unique_ptr<Writer> writer_;
  Producer producer_;
  std::vector<std::string> written_;
};

}  // namespace grace::ledger
