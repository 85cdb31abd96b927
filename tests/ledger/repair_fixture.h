#pragma once
#include <map>
#include <string>

#include "faulty_file_system.h"
#include "grace/ledger/repair.h"
#include "log_fixture.h"

namespace grace::ledger {

// A log to damage and to repair, and all its files before and after.
class RepairTest : public LogTest {
 protected:
  using Files = std::map<std::string, Bytes>;

  // Nine records in three blocks of the first segment, more in later ones; closed.
  void write_segments(int segments = 3) {
    write_blocks(3);
    while (!std::filesystem::exists(segment(static_cast<std::uint64_t>(segments)))) {
      append_many(40);
      flush();
    }
    close();
    whole_ = files();
  }
  [[nodiscard]] Files files() const {
    Files all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(config_.directory)) {
      const auto name = std::filesystem::relative(entry.path(), config_.directory).string();
      if (entry.is_regular_file() && name != "LOCK") all[name] = load(entry.path().string());
    }
    return all;
  }
  void restore(const Files& all) {
    std::filesystem::remove_all(config_.directory);
    std::filesystem::create_directories(config_.directory);
    for (const auto& [name, bytes] : all) {
      const auto path = std::filesystem::path(config_.directory) / name;
      std::filesystem::create_directories(path.parent_path());
      store(path.string(), bytes);
    }
  }
  void flip(std::uint64_t number, std::size_t at) {
    Bytes bytes = load(segment(number));
    bytes.at(at) ^= 1;
    store(segment(number), bytes);
  }
  [[nodiscard]] RepairPlan plan() const {
    const auto planned = plan_repair(config_.directory);
    EXPECT_TRUE(planned.has_value()) << planned.error().message;
    return planned.value_or(RepairPlan{});
  }
  [[nodiscard]] Result<RepairReport> mend(RepairPlace place, FileSystem* fs = nullptr,
                                          bool break_checkpoint = false) const {
    RepairOptions options;
    options.expected = place;
    options.file_system = fs;
    options.break_checkpoint = break_checkpoint;
    options.export_records = true;
    options.wall_clock_ns = [] { return std::int64_t{1736950000000000000}; };
    return repair(config_.directory, options);
  }
  // Sound, and it goes on: the first `kept` records are there, one record tells of the repair.
  void expect_repaired(std::size_t kept) {
    EXPECT_TRUE(report().ok) << reason(report());
    EXPECT_TRUE(plan().is_sound());
    written_.resize(kept);
    open();
    EXPECT_TRUE(writer_->recovery().clean);
    append_many(1);
    close();
    const ReadBack back = read_all();
    EXPECT_EQ(back.texts, written_);
    EXPECT_EQ(back.recoveries, 1U);
    EXPECT_TRUE(report().ok) << reason(report());
  }
  [[nodiscard]] std::string record_of(std::uint64_t sequence) const {
    ReaderOptions options;
    options.from_sequence = sequence;
    auto reader = Reader::open(config_.directory, options);
    RecordView view;
    if (!reader || reader->next(view) != ReadStatus::kRecord) return {};
    return std::string(view.text());
  }
  // Each call of the repair fails once, as if the process had ended there: the next one ends in the
  // same state, and until then no writer opens the log. `last`: the sequence of the record of it.
  void expect_finished_by_the_next(RepairPlace place, std::uint64_t last) {
    const Files damaged = files();
    ASSERT_TRUE(mend(place).has_value());
    const Files expected = files();
    bool failed = true;
    std::uint64_t refused = 0;
    for (std::uint64_t call = 1; failed; ++call) {
      SCOPED_TRACE("call " + std::to_string(call));
      restore(damaged);
      FaultyFileSystem fs;
      fs.fail_call(call, EIO);
      const auto first = mend(place, &fs);
      failed = fs.calls() >= call;
      if (!first) {
        EXPECT_EQ(first.error().os_error, EIO) << first.error().message;
        const bool begun = std::filesystem::exists(config_.directory + "/quarantine/repair.begun");
        if (begun) {
          ++refused;
          EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kCorrupt);
          EXPECT_TRUE(plan().unfinished || plan().is_sound());
        }
        const auto second = mend(place);
        const bool ended = !second && second.error().code == ErrorCode::kInvalidArgument;
        ASSERT_TRUE(second.has_value() || ended) << second.error().message;
      }
      Files after = files();
      // An export that was begun and not finished stays beside the one that the record names.
      std::erase_if(after, [](const auto& file) {
        return file.first.ends_with(".new") || file.first.ends_with(".2.jsonl");
      });
      for (const auto& [name, bytes] : expected) {
        ASSERT_TRUE(after.contains(name)) << name;
        if (name.find(".torn") != std::string::npos) {
          ASSERT_EQ(after[name], bytes) << name;
        }
      }
      ASSERT_TRUE(report().ok) << reason(report());
      ASSERT_EQ(read_all().recoveries, 1U);
      ASSERT_EQ(report().last_sequence, last);
    }
    EXPECT_GT(refused, 10U);
  }
  Files whole_;
};

}  // namespace grace::ledger
