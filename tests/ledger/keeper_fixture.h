#pragma once
#include <atomic>
#include <string>
#include <vector>

#include "directory.h"
#include "grace/ledger/log_proofs.h"
#include "log_fixture.h"
#include "segment_keeper.h"

namespace grace::ledger {

// A log of several sealed segments, and a keeper of it that goes step by step.
class KeeperTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    config_.compress_after_segments = 1;
    config_.keep_interval = std::chrono::hours(1);  // see wait_for_keeper()
    now_ns_ = 1736950000000000000;
    config_.wall_clock_ns = [] { return now_ns_.load(); };
  }
  // Blocks are a second apart by the log's clock, 13 of them in a segment.
  void write_log(int blocks = 80) {
    open();
    for (int block = 0; block < blocks; ++block) {
      append_many(3, 400);
      flush();
      now_ns_ += 1'000'000'000;
    }
    close();
  }
  // One that knows all records to be safe, and notes what it records.
  [[nodiscard]] std::unique_ptr<internal::SegmentKeeper> keeper() {
    checked_ = *validated(config_);
    return std::make_unique<internal::SegmentKeeper>(
        checked_, [this] { return safe_; },
        [this](std::string_view json) -> Result<void> {
          recorded_.emplace_back(json);
          return {};
        });
  }
  void keep() {
    const auto kept = keeper()->step_until_done();
    ASSERT_TRUE(kept.has_value()) << kept.error().message;
  }
  [[nodiscard]] std::vector<std::uint64_t> numbers() const {
    return internal::list_segments(config_.directory).value();
  }
  [[nodiscard]] std::string packed(std::uint64_t number) const {
    return internal::compressed_path(config_.directory, number);
  }
  [[nodiscard]] std::string index_file(std::uint64_t number) const {
    return internal::index_path(config_.directory, number);
  }
  [[nodiscard]] std::size_t count_of(const std::string& ending) const {
    return internal::list_ending(config_.directory, ending).size();
  }
  [[nodiscard]] std::uint64_t stored_bytes() const {
    std::uint64_t bytes = 0;
    for (const char* ending : {".segment", ".segment.zst", ".index"}) {
      for (const std::string& path : internal::list_ending(config_.directory, ending)) {
        bytes += std::filesystem::file_size(path);
      }
    }
    return bytes;
  }
  void sign() {
    config_.record_trees = true;
    config_.checkpoint.signer = &signer_;
    config_.checkpoint.interval = std::chrono::milliseconds(2);
  }
  [[nodiscard]] std::string note() const {
    const Bytes bytes = load(config_.directory + "/checkpoint");
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] Checkpoint checkpoint_of(const std::string& text) const {
    return open_checkpoint(text, keys_).value().checkpoint;
  }
  // What is left is whole: it verifies, and every record from the first one on is what was written.
  void expect_sound(const std::string& when = "") const {
    const VerifyReport found = report();
    EXPECT_TRUE(found.ok) << when << ": " << reason(found);
    EXPECT_EQ(found.first_segment, numbers().front()) << when;
    ReaderOptions options;
    options.from_sequence = found.first_sequence;
    const ReadBack back = read_all(options);
    EXPECT_EQ(back.status, ReadStatus::kEnd) << when << ": " << back.error.message;
    ASSERT_GE(found.first_sequence + back.texts.size(), written_.size() + 1) << when;
    for (std::size_t at = 0; found.first_sequence + at <= written_.size(); ++at) {
      ASSERT_EQ(back.texts[at], written_[found.first_sequence - 1 + at]) << when;
    }
  }

  NoteSigner signer_ =
      *NoteSigner::from_seed("grace.example/ledger", std::array<std::uint8_t, 32>{7});
  std::vector<NoteVerifier> keys_{signer_.verifier()};
  static inline std::atomic<std::int64_t> now_ns_{0};
  LogConfig checked_;
  std::uint64_t safe_ = ~std::uint64_t{0};
  std::vector<std::string> recorded_;
};

}  // namespace grace::ledger
