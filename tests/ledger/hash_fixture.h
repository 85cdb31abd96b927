#pragma once
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "directory.h"
#include "grace/ledger/log_proofs.h"
#include "hash_segment.h"
#include "log_fixture.h"

namespace grace::ledger {

// A log with integrity crc32c in several small segments, and the job that hashes them, step by
// step: without the writer's thread unless config_.hash_sealed is set.
class HashTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    config_.integrity = Integrity::kCrc32c;
    config_.segment_bytes = 24 << 10;
    config_.record_bytes_max = 1000;
    config_.checkpoint.interval = std::chrono::milliseconds(2);
    keys_ = {signer_.verifier()};
  }
  void hash_and_sign() {
    config_.hash_sealed = true;
    config_.checkpoint.signer = &signer_;
  }
  // Three records a block, two blocks a segment or so.
  void write_closed(int blocks = 12) {
    write_blocks(blocks, 900);
    close();
  }
  [[nodiscard]] std::vector<std::uint64_t> segments() const {
    return internal::list_segments(config_.directory).value();
  }
  [[nodiscard]] std::vector<std::uint64_t> tree_files() const {
    return internal::list_tree_files(config_.directory).value();
  }
  [[nodiscard]] std::string tree_file(std::uint64_t number) const {
    return internal::tree_path(config_.directory, number);
  }
  [[nodiscard]] internal::TreeFile tree(std::uint64_t number) const {
    return internal::read_tree_file(config_.directory, number).value();
  }
  // The job for all segments from the first on, which is there. Stops at the first that fails.
  Result<Frontier> hash_all(FileSystem& fs = real_file_system(), bool sync_first = false) const {
    Frontier blocks;
    for (const std::uint64_t number : segments()) {
      const internal::HashJob job{fs, config_.directory, sync_first};
      const auto file = internal::hash_sealed_segment(job, number, blocks);
      if (!file) return tl::unexpected<Error>(file.error());
      if (!*file) break;
      blocks = (*file)->after;
    }
    return blocks;
  }
  // The bytes of everything in the log's directory.
  [[nodiscard]] std::map<std::string, Bytes> files() const {
    std::map<std::string, Bytes> all;
    for (const auto& entry : std::filesystem::directory_iterator(config_.directory)) {
      if (entry.is_regular_file()) all[entry.path().filename()] = load(entry.path());
    }
    return all;
  }
  [[nodiscard]] std::string note() const {
    const Bytes bytes = load(config_.directory + "/checkpoint");
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] Checkpoint checkpoint_of(const std::string& text) const {
    auto opened = open_checkpoint(text, keys_);
    EXPECT_TRUE(opened.has_value()) << text;
    return opened ? opened->checkpoint : Checkpoint{};
  }
  [[nodiscard]] std::string why(const Checkpoint& checkpoint) const {
    const auto checked = check_log(config_.directory, checkpoint);
    return checked ? std::string() : checked.error().message;
  }

  NoteSigner signer_ =
      *NoteSigner::from_seed("grace.example/journal", std::array<std::uint8_t, 32>{9});
  std::vector<NoteVerifier> keys_;
};

}  // namespace grace::ledger
