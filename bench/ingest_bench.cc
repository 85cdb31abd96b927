// Question: what does it cost to bring a file's bytes into chunks, and does mapping the file beat
// pread()? Non-goals: cold disks (the file is in the page cache), decompression, parsing.
//
//   memcpy   memory -> chunk                     the bound that no source can beat
//   pread    page cache -> chunk                 one system call a chunk
//   mapped   page cache -> page faults -> chunk  mmap, sequential advice, one memcpy a chunk
//   stage    file source -> ingest stage -> port the whole way: cuts at newlines, counted lines
//
// Arguments: chunk bytes. bytes_per_second is decoded input. Each run checks the bytes it moved.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "grace/core/clock.h"
#include "grace/ingest/file_source.h"
#include "grace/ingest/ingest_stage.h"

namespace grace::ingest {
namespace {

constexpr std::size_t kFileBytes = 64 << 20;

// The input: one file in the temporary directory for the life of the program.
class Input {
 public:
  Input() : path_("/tmp/grace_ingest_bench_XXXXXX") {
    const int fd = ::mkstemp(path_.data());
    std::string line =
        R"({"ts":1736950000000000000,"kind":"metric","service":"api_service","domain":"core",)"
        R"("metric":"latency_ms","value":231.4,"labels":{"host":"n1"}})"
        "\n";
    while (text_.size() + line.size() <= kFileBytes) text_ += line;
    line_count_ = text_.size() / line.size();
    if (fd < 0 || ::write(fd, text_.data(), text_.size()) != static_cast<ssize_t>(text_.size())) {
      std::abort();
    }
    ::close(fd);
  }
  ~Input() { ::unlink(path_.c_str()); }
  static const Input& get() {
    static const Input input;
    return input;
  }
  std::string path_;
  std::string text_;
  std::uint64_t line_count_ = 0;
};

void finish(benchmark::State& state, bool right) {
  if (!right) state.SkipWithError("wrong bytes");
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(Input::get().text_.size()));
}

void BM_Memcpy(benchmark::State& state) {
  const std::string& text = Input::get().text_;
  std::vector<char> chunk(static_cast<std::size_t>(state.range(0)));
  std::size_t moved = 0;
  for (auto _ : state) {
    moved = 0;
    while (moved < text.size()) {
      const std::size_t size_bytes = std::min(chunk.size(), text.size() - moved);
      std::memcpy(chunk.data(), text.data() + moved, size_bytes);
      benchmark::DoNotOptimize(chunk.data());
      benchmark::ClobberMemory();
      moved += size_bytes;
    }
  }
  finish(state,
         moved == text.size() && chunk[0] == text[(moved - 1) / chunk.size() * chunk.size()]);
}

void BM_Pread(benchmark::State& state) {
  const Input& input = Input::get();
  std::vector<char> chunk(static_cast<std::size_t>(state.range(0)));
  std::size_t moved = 0;
  for (auto _ : state) {
    const int fd = ::open(input.path_.c_str(), O_RDONLY | O_CLOEXEC);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    moved = 0;
    for (;;) {
      const ssize_t count = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(moved));
      if (count <= 0) break;
      moved += static_cast<std::size_t>(count);
    }
    ::close(fd);
  }
  finish(state, moved == input.text_.size());
}

void BM_Mapped(benchmark::State& state) {
  const Input& input = Input::get();
  std::vector<char> chunk(static_cast<std::size_t>(state.range(0)));
  std::size_t moved = 0;
  for (auto _ : state) {
    const int fd = ::open(input.path_.c_str(), O_RDONLY | O_CLOEXEC);
    const std::size_t size = input.text_.size();
    void* mapping = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    ::madvise(mapping, size, MADV_SEQUENTIAL);
    moved = 0;
    while (moved < size) {
      const std::size_t size_bytes = std::min(chunk.size(), size - moved);
      std::memcpy(chunk.data(), static_cast<const char*>(mapping) + moved, size_bytes);
      benchmark::DoNotOptimize(chunk.data());
      benchmark::ClobberMemory();
      moved += size_bytes;
    }
    ::munmap(mapping, size);
    ::close(fd);
  }
  finish(state, moved == input.text_.size());
}

// A port that is done with a chunk at once.
class RecyclingPort final : public ChunkPort {
 public:
  explicit RecyclingPort(std::size_t capacity) : chunk_(capacity) {}
  core::Chunk* try_acquire() override { return std::exchange(free_, nullptr); }
  bool try_publish(core::Chunk* chunk) override {
    free_ = chunk;
    return true;
  }
  [[nodiscard]] bool hungry() const override { return false; }  // as under full load

 private:
  core::Chunk chunk_;
  core::Chunk* free_ = &chunk_;
};

void BM_Stage(benchmark::State& state) {
  const Input& input = Input::get();
  IngestConfig config;
  config.chunk_target_bytes = static_cast<std::size_t>(state.range(0));
  config.fixed_arrival_ns = 0;
  RecyclingPort port(chunk_capacity_bytes(config));
  const core::SystemClock clock;
  bool right = true;
  for (auto _ : state) {
    IngestParts parts;
    FileSourceConfig file;
    file.paths = {input.path_};
    parts.sources.push_back(std::move(*FileSource::open(file)));
    parts.port = &port;
    parts.clock = &clock;
    const auto stage = std::move(*IngestStage::create(config, std::move(parts)));
    while (!stage->finished()) stage->run_once();
    const IngestFigures figures = stage->figures();
    right = right && figures.bytes == input.text_.size() && figures.lines == input.line_count_;
  }
  finish(state, right);
}

BENCHMARK(BM_Memcpy)->Arg(32 << 10)->Arg(256 << 10)->Arg(1 << 20)->UseRealTime();
BENCHMARK(BM_Pread)->Arg(32 << 10)->Arg(256 << 10)->Arg(1 << 20)->UseRealTime();
BENCHMARK(BM_Mapped)->Arg(32 << 10)->Arg(256 << 10)->Arg(1 << 20)->UseRealTime();
BENCHMARK(BM_Stage)->Arg(32 << 10)->Arg(256 << 10)->Arg(1 << 20)->UseRealTime();

}  // namespace
}  // namespace grace::ingest

BENCHMARK_MAIN();
