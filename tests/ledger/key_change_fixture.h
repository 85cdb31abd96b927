#pragma once
#include "grace/ledger/key_change.h"
#include "grace/ledger/log_proofs.h"
#include "log_fixture.h"
#include "writer_core.h"

namespace grace::ledger {

inline NoteSigner signer_of(std::uint8_t seed, std::string_view name = "log.example") {
  std::array<std::uint8_t, 32> bytes{};
  bytes[0] = seed;
  auto signer = NoteSigner::from_seed(name, bytes);
  EXPECT_TRUE(signer.has_value());
  return std::move(*signer);
}

// What anybody could append who has the directory; our producers refuse it.
inline void append_key_change(LogConfig config, const std::string& text) {
  config.checkpoint.signer = nullptr;
  auto core = internal::WriterCore::open(std::move(config));
  ASSERT_TRUE(core.has_value()) << core.error().message;
  const auto lease = (*core)->lease_ring(Importance::kEssential);
  ASSERT_TRUE(lease.has_value());
  ASSERT_EQ((*core)->try_append(*lease->ring, Importance::kEssential, RecordType::kKeyChange,
                                as_bytes(text), {}),
            AppendStatus::kOk);
  ASSERT_TRUE((*core)->close().has_value());
}

// A true statement about the log as it is, for its next record.
inline KeyChange next_change_of(const std::string& directory, const NoteSigner& from,
                                const NoteSigner& to) {
  const auto tree = read_tree(directory, ~0ULL);
  EXPECT_TRUE(tree.has_value());
  return {.log_id = tree->log_id,
          .epoch = 2,
          .old_key = from.verifier(),
          .new_key = to.verifier(),
          .tree_size = tree->leaves.size(),
          .root = tree->leaves.root_at(tree->leaves.size()).value(),
          .last_sequence = tree->last_sequence,
          .time_ns = 1};
}

class KeyChangeTest : public LogTest {
 protected:
  void write_signed(const NoteSigner& signer, int records = 3) {
    config_.checkpoint.signer = &signer;
    open();
    append_many(records);
    close();
  }
  [[nodiscard]] std::string note() const {
    const Bytes bytes = load(config_.directory + "/checkpoint");
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] RecordedKeyChange rotate(const NoteSigner& from, const NoteSigner& to) const {
    auto rotated = rotate_key(config_, from, to);
    EXPECT_TRUE(rotated.has_value()) << (rotated ? "" : rotated.error().message);
    return std::move(*rotated);
  }
  [[nodiscard]] Error refusal_of(const NoteSigner& signer) {
    config_.checkpoint.signer = &signer;
    auto opened = Writer::open(config_);
    EXPECT_FALSE(opened.has_value());
    return opened ? Error{} : opened.error();
  }
  [[nodiscard]] Result<TracedCheckpoint> trace(const std::string& checkpoint,
                                               const NoteSigner& trusted) const {
    const std::vector<NoteVerifier> keys{trusted.verifier()};
    return trace_checkpoint(checkpoint, report().key_changes, keys);
  }
  void append_as_record(const std::string& text) {
    config_.checkpoint.signer = nullptr;
    append_key_change(config_, text);
  }
  [[nodiscard]] KeyChange next_change(const NoteSigner& from, const NoteSigner& to) const {
    return next_change_of(config_.directory, from, to);
  }

  // By retention: what is over two segments.
  void remove_old() {
    config_.retention.max_bytes = 2 * config_.segment_bytes;
    const auto kept = keep_segments(config_);
    config_.retention.max_bytes = 0;
    ASSERT_TRUE(kept.has_value()) << kept.error().message;
    ASSERT_GT(kept->segments_removed, 0U);
  }
  [[nodiscard]] std::string carried(std::uint64_t sequence) const {
    std::string digits = std::to_string(sequence);
    return config_.directory + "/" + std::string(12 - digits.size(), '0') + digits + ".keychange";
  }
  static std::vector<std::pair<std::uint64_t, KeyChange>> changes_of(
      const std::vector<RecordedKeyChange>& recorded) {
    std::vector<std::pair<std::uint64_t, KeyChange>> changes;
    for (const RecordedKeyChange& one : recorded) changes.emplace_back(one.sequence, one.change);
    return changes;
  }

  const NoteSigner first_ = signer_of(1);
  const NoteSigner second_ = signer_of(2);
  const NoteSigner third_ = signer_of(3);
  const NoteSigner stranger_ = signer_of(9);
};

}  // namespace grace::ledger
