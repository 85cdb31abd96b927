#pragma once
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/reader.h"
#include "grace/ledger/writer.h"

namespace grace::ledger {

// What a campaign needs: numbers that a seed repeats, arguments, a progress line, failures that say
// how to see them again, and records whose content follows from their place.

// splitmix64. One thread.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }
  // From 0 to bound - 1.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <typename T>
  T one_of(std::initializer_list<T> choices) {
    return choices.begin()[below(choices.size())];
  }

 private:
  std::uint64_t state_;
};

// Arguments: --count N --seed S --seconds T --jobs J, and words of the campaign's own. The run ends
// after count cases or T seconds, whichever is first. Any thread may report.
class Campaign {
 public:
  Campaign(std::string name, int argc, char** argv, std::uint64_t default_count)
      : name_(std::move(name)), count_(default_count) {
    for (int at = 1; at < argc; ++at) {
      const std::string_view word = argv[at];
      const bool valued = at + 1 < argc;
      if (word == "--count" && valued) {
        count_ = number(argv[++at]);
      } else if (word == "--seed" && valued) {
        seed_ = number(argv[++at]);
      } else if (word == "--seconds" && valued) {
        seconds_ = number(argv[++at]);
      } else if (word == "--jobs" && valued) {
        jobs_ = static_cast<unsigned>(number(argv[++at]));
      } else {
        words_.emplace_back(word);
      }
    }
    std::printf("%s: seed %llu\n", name_.c_str(), static_cast<unsigned long long>(seed_));
    std::fflush(stdout);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }
  [[nodiscard]] unsigned jobs() const { return jobs_; }
  [[nodiscard]] bool has(std::string_view word) const {
    for (const std::string& given : words_) {
      if (given == word) return true;
    }
    return false;
  }
  // The word after `word`; empty if there is none.
  [[nodiscard]] std::string value_of(std::string_view word) const {
    for (std::size_t at = 0; at + 1 < words_.size(); ++at) {
      if (words_[at] == word) return words_[at + 1];
    }
    return {};
  }
  // Prints the words nobody knows; a misspelt flag must not pass for a run.
  [[nodiscard]] bool knows_only(std::initializer_list<std::string_view> known) const {
    bool all = true;
    for (const std::string& given : words_) {
      bool found = false;
      for (const std::string_view word : known) found = found || word == given;
      if (!found) std::fprintf(stderr, "%s: unknown argument %s\n", name_.c_str(), given.c_str());
      all = all && found;
    }
    return all;
  }
  [[nodiscard]] double elapsed_s() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  [[nodiscard]] bool more(std::uint64_t done) const {
    return done < count_ && (seconds_ == 0 || elapsed_s() < static_cast<double>(seconds_));
  }
  void progress(std::uint64_t done) {
    if (::isatty(STDERR_FILENO) == 0) return;
    const std::lock_guard lock(mutex_);
    const double now = elapsed_s();
    if (now - shown_s_ < 0.5) return;
    shown_s_ = now;
    std::fprintf(stderr, "\r%s: %llu of %llu, %.0f/s, %llu failed   ", name_.c_str(),
                 static_cast<unsigned long long>(done), static_cast<unsigned long long>(count_),
                 static_cast<double>(done) / now, static_cast<unsigned long long>(failures_));
  }
  void fail(const std::string& case_name, const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (++failures_ > kFailuresShown) return;
    std::fprintf(stderr, "\n%s FAILED: %s\n  case: %s\n  repeat with: --seed %llu\n", name_.c_str(),
                 what.c_str(), case_name.c_str(), static_cast<unsigned long long>(seed_));
  }
  [[nodiscard]] std::uint64_t failures() const {
    const std::lock_guard lock(mutex_);
    return failures_;
  }
  // The program's exit code.
  [[nodiscard]] int finish(std::uint64_t done, const char* unit) const {
    if (::isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\n");
    const double seconds = elapsed_s();
    std::printf("%s: %llu %s in %.1f s (%.0f/s), %llu failed, seed %llu\n", name_.c_str(),
                static_cast<unsigned long long>(done), unit, seconds,
                static_cast<double>(done) / seconds, static_cast<unsigned long long>(failures()),
                static_cast<unsigned long long>(seed_));
    return failures() == 0 && done > 0 ? 0 : 1;
  }

  static constexpr std::uint64_t kFailuresShown = 20;

 private:
  std::uint64_t number(const char* text) const {
    std::uint64_t value = 0;
    const char* const end = text + std::strlen(text);
    const auto [stop, outcome] = std::from_chars(text, end, value);
    if (outcome != std::errc{} || stop != end) {
      std::fprintf(stderr, "%s: not a number: %s\n", name_.c_str(), text);
      std::exit(2);
    }
    return value;
  }

  const std::string name_;
  std::uint64_t count_;
  std::uint64_t seed_ = 1;
  std::uint64_t seconds_ = 0;  // 0: no limit
  unsigned jobs_ = 1;
  std::vector<std::string> words_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;
  double shown_s_ = 0;          // guarded by mutex_
  std::uint64_t failures_ = 0;  // guarded by mutex_
};

// A folder of its own, removed at the end. In memory where there is some, unless a disk is asked.
class CampaignFolder {
 public:
  enum class Place { kMemory, kDisk };
  explicit CampaignFolder(const std::string& name, Place place = Place::kMemory) {
    const std::filesystem::path memory = "/dev/shm";
    std::error_code ignored;
    const auto space = std::filesystem::space(memory, ignored);
    const bool roomy = !ignored && space.available > (128U << 20);
    path_ = (place == Place::kMemory && roomy ? memory : std::filesystem::temp_directory_path()) /
            ("grace_" + name + "_" + std::to_string(::getpid()));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~CampaignFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  CampaignFolder(const CampaignFolder&) = delete;
  CampaignFolder& operator=(const CampaignFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

// The record with this sequence in the history `key`. Its length, too, follows from both, so that a
// record in a wrong place betrays itself.
inline std::string record_text(std::uint64_t key, std::uint64_t sequence, std::uint64_t bytes_max) {
  Random random(key * 0x2545f4914f6cdd1d + sequence);
  // Mostly short ones, and now and then the longest.
  const std::uint64_t bound = random.chance(10) ? bytes_max : bytes_max / 4 + 1;
  std::string text = std::to_string(key) + ":" + std::to_string(sequence) + ":";
  const std::uint64_t bytes = std::min(bytes_max, text.size() + random.below(bound));
  while (text.size() < bytes) {
    const std::uint64_t word = random.next();
    text.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  text.resize(std::max<std::uint64_t>(bytes, 1));
  return text;
}

// What each sequence of a log must hold.
struct History {
  static constexpr std::uint64_t kRecovery = 0;  // a record the writer made itself
  std::uint64_t bytes_max = 1000;
  std::vector<std::uint64_t> keys;  // by sequence - 1

  [[nodiscard]] std::string text(std::uint64_t sequence) const {
    return record_text(keys[sequence - 1], sequence, bytes_max);
  }
};

// Reads the log from its oldest record and compares. Empty if all is as it must be. Records beyond
// the history must be recovery records; `records` becomes how many there are.
inline std::string compare_log(const std::string& directory, const History& history,
                               std::uint64_t& records, std::uint64_t from_sequence = 1) {
  records = from_sequence - 1;
  ReaderOptions options;
  options.from_sequence = from_sequence;
  options.check_tail = false;
  auto reader = Reader::open(directory, options);
  if (!reader) return reader.error().code == ErrorCode::kNotFound ? "" : reader.error().message;
  RecordView record;
  ReadStatus status = ReadStatus::kRecord;
  while ((status = reader->next(record)) == ReadStatus::kRecord) {
    const std::string where = "record " + std::to_string(records + 1);
    if (record.sequence != records + 1) {
      return where + " has sequence " + std::to_string(record.sequence);
    }
    ++records;
    const bool known = records <= history.keys.size();
    const bool own = known && history.keys[records - 1] != History::kRecovery;
    if (!own && record.type != RecordType::kRecovery) return where + " was never appended";
    if (own && (record.type != RecordType::kNote || record.text() != history.text(records))) {
      return where + " is not what was appended";
    }
  }
  return status == ReadStatus::kEnd ? "" : "reading: " + reader->error().message;
}

}  // namespace grace::ledger
