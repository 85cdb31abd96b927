#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "grace/core/clock.h"
#include "grace/ingest/ingest_stage.h"

namespace grace::ingest {

// What a published chunk said, kept after the chunk was given back.
struct Published {
  std::uint64_t number = 0;
  std::uint64_t first_sequence = 0;
  std::int64_t arrival_ns = 0;
  std::uint16_t source_index = 0;
  core::SourceKind source_kind = core::SourceKind::kNone;
  bool trusted = false, operator_allowed = false;
  bool begins_cut = false, ends_cut = false, last_of_source = false;
  std::string text;
  bool operator==(const Published&) const = default;
};

// A pipeline that is done with every chunk at once, unless told to hold or refuse.
class VectorPort final : public ChunkPort {
 public:
  VectorPort(std::size_t count, std::size_t capacity) {
    for (std::size_t i = 0; i < count; ++i) {
      chunks_.push_back(std::make_unique<core::Chunk>(capacity));
      free_.push_back(chunks_.back().get());
    }
  }
  core::Chunk* try_acquire() override {
    if (starved || free_.empty()) return nullptr;
    core::Chunk* chunk = free_.front();
    free_.pop_front();
    return chunk;
  }
  bool try_publish(core::Chunk* chunk) override {
    if (refusing) return false;
    published.push_back({chunk->number, chunk->first_sequence, chunk->arrival_ns,
                         chunk->source_index, chunk->source_kind, chunk->trusted,
                         chunk->operator_allowed, chunk->begins_cut, chunk->ends_cut,
                         chunk->last_of_source, std::string(chunk->text(), chunk->size_bytes)});
    free_.push_back(chunk);
    return true;
  }
  [[nodiscard]] bool hungry() const override { return is_hungry; }
  bool starved = false;
  bool is_hungry = false;
  bool refusing = false;
  std::vector<Published> published;

 private:
  std::vector<std::unique_ptr<core::Chunk>> chunks_;
  std::deque<core::Chunk*> free_;
};

enum class LineState : std::uint8_t { kWhole, kTooLong, kUnfinished };

// A line as the parser would see it. The text of lines that are too long is left out.
struct SeenLine {
  std::uint64_t sequence = 0;
  LineState state = LineState::kWhole;
  std::string text;
  bool operator==(const SeenLine&) const = default;
};

// Reads chunks as their contract says, and checks that they keep it.
inline std::vector<SeenLine> lines_of(const std::vector<Published>& chunks,
                                      std::size_t line_bytes_max) {
  std::vector<SeenLine> lines;
  std::uint64_t expected_number = 0, expected_sequence = 0;
  for (const Published& chunk : chunks) {
    EXPECT_EQ(chunk.number, expected_number++);
    EXPECT_EQ(chunk.first_sequence, expected_sequence);
    EXPECT_FALSE(chunk.text.empty());
    expected_sequence += chunk.text.size();
    std::size_t at = 0;
    if (chunk.begins_cut) {
      const std::size_t newline = chunk.text.find('\n');
      at = newline == std::string::npos ? chunk.text.size() : newline + 1;
    }
    while (at < chunk.text.size()) {
      const std::size_t newline = chunk.text.find('\n', at);
      const std::size_t end = newline == std::string::npos ? chunk.text.size() : newline;
      SeenLine line{chunk.first_sequence + at, LineState::kWhole, chunk.text.substr(at, end - at)};
      if (newline == std::string::npos) {
        EXPECT_TRUE(chunk.ends_cut || chunk.last_of_source) << "line cut without a flag";
        line.state = chunk.ends_cut ? LineState::kTooLong : LineState::kUnfinished;
      }
      if (line.text.size() > line_bytes_max) line.state = LineState::kTooLong;
      if (line.state == LineState::kTooLong) line.text.clear();
      lines.push_back(std::move(line));
      at = end + 1;
    }
  }
  return lines;
}

// The same from the whole text: what chunks must come to, whatever their size.
inline void expect_lines(std::vector<SeenLine>& lines, std::string_view text,
                         std::size_t line_bytes_max, std::uint64_t first_sequence = 0) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t newline = text.find('\n', at);
    const bool unfinished = newline == std::string_view::npos;
    const std::size_t end = unfinished ? text.size() : newline;
    SeenLine line{first_sequence + at, unfinished ? LineState::kUnfinished : LineState::kWhole,
                  std::string(text.substr(at, end - at))};
    if (line.text.size() > line_bytes_max) {
      line.state = LineState::kTooLong;
      line.text.clear();
    }
    lines.push_back(std::move(line));
    at = end + 1;
  }
}

inline std::string all_text(const std::vector<Published>& chunks) {
  std::string text;
  for (const Published& chunk : chunks) text += chunk.text;
  return text;
}

// Lines of every awkward kind: empty, short, around the limit, far over it.
inline std::string awkward_text(std::uint64_t seed, std::size_t line_count,
                                std::size_t line_bytes_max, bool final_newline) {
  std::mt19937_64 random(seed);
  std::string text;
  for (std::size_t i = 0; i < line_count; ++i) {
    std::size_t size_bytes = random() % 200;
    switch (random() % 12) {
      case 0:
        size_bytes = 0;
        break;
      case 1:
        size_bytes = line_bytes_max - 1 + random() % 3;
        break;
      case 2:
        size_bytes = line_bytes_max * (1 + random() % 4) + random() % 100;
        break;
      default:
        break;
    }
    for (std::size_t j = 0; j < size_bytes; ++j) {
      text.push_back(static_cast<char>('a' + (i + j) % 26));
    }
    text.push_back('\n');
  }
  if (!final_newline) text += "{\"unfinished\":1";
  return text;
}

class TempDirectory {
 public:
  TempDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "grace_ingest_XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TempDirectory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, std::string_view content) const {
    const std::string path = file(name);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// One stage over a VectorPort, stepped by the test.
class StageBench {
 public:
  explicit StageBench(IngestConfig with = {}, std::size_t chunk_count = 8)
      : config(with), port(chunk_count, chunk_capacity_bytes(with)) {}

  template <typename S>
  S* add(std::unique_ptr<S> source) {
    S* raw = source.get();
    parts.sources.push_back(std::move(source));
    return raw;
  }
  IngestStage& start() {
    parts.port = &port;
    if (parts.clock == nullptr) parts.clock = &clock;
    auto made = IngestStage::create(config, std::move(parts));
    if (!made) ADD_FAILURE() << made.error().message;
    stage = std::move(*made);
    return *stage;
  }
  void run_to_end() {
    if (stage == nullptr) start();
    while (!stage->finished()) step();
  }
  void step() {
    if (stage->run_once() == 0) std::this_thread::yield();
  }
  // Steps until `done` says so; ctest's own limit ends what never gets there.
  template <typename Done>
  void run_until(Done&& done) {
    while (!done()) step();
  }
  void stop() {
    stage->request_stop();
    run_to_end();
  }

  IngestConfig config;
  VectorPort port;
  core::ManualClock clock{1'736'950'000'000'000'000};
  IngestParts parts;
  std::unique_ptr<IngestStage> stage;
};

}  // namespace grace::ingest
