#include "grace/ingest/file_source.h"

#include <fcntl.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "grace/ingest/stdin_source.h"
#include "ingest_fixture.h"

namespace grace::ingest {
namespace {

constexpr std::size_t kLineMax = 2000;

std::string gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  out.resize(ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return out;
}

class FileSourceTest : public ::testing::Test {
 protected:
  // Reads the files through a stage with small chunks.
  void read(const std::vector<std::string>& paths, std::size_t target = 4096) {
    IngestConfig config;
    config.chunk_target_bytes = target;
    config.line_bytes_max = kLineMax;
    bench_ = std::make_unique<StageBench>(config);
    auto source = FileSource::open({.paths = paths});
    ASSERT_TRUE(source) << source.error().message;
    source_ = bench_->add(std::move(*source));
    bench_->run_to_end();
  }
  std::string got() { return all_text(bench_->port.published); }
  std::vector<SeenLine> lines() { return lines_of(bench_->port.published, kLineMax); }

  TempDirectory directory_;
  std::unique_ptr<StageBench> bench_;
  FileSource* source_ = nullptr;
};

TEST_F(FileSourceTest, ReadsPlainGzipAndZstdByTheirBytesNotTheirNames) {
  const std::string a = awkward_text(1, 800, kLineMax, true);
  const std::string b = awkward_text(2, 800, kLineMax, true);
  const std::string c = awkward_text(3, 800, kLineMax, true);
  for (const std::size_t target : {4096UL, 100'000UL, 1UL << 20}) {
    read({directory_.write("a.zst", a), directory_.write("b.txt", gzip(b)),
          directory_.write("c.gz", zstd(c))},
         target);
    EXPECT_EQ(got(), a + b + c);
    EXPECT_FALSE(source_->first_error());
  }
}

TEST_F(FileSourceTest, ReadsAllMembersAndAllFrames) {
  const std::string a = awkward_text(4, 300, kLineMax, true);
  const std::string skippable{"\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11};
  // The third gzip member is empty, and zeros behind the last are padding.
  const std::string members = gzip(a.substr(0, 1000)) + gzip(a.substr(1000)) + gzip("");
  read({directory_.write("a", members + std::string(600, '\0')),
        directory_.write("b",
                         skippable + zstd(a.substr(0, 5000)) + skippable + zstd(a.substr(5000)))});
  EXPECT_FALSE(source_->first_error()) << source_->first_error()->message;
  EXPECT_EQ(got(), a + a);
}

TEST_F(FileSourceTest, EndsTheLineOfAFileWithoutAFinalNewline) {
  for (const std::size_t target : {4096UL, 1UL << 20}) {
    const std::string a = awkward_text(5, 400, kLineMax, false);
    const std::string b = awkward_text(6, 400, kLineMax, false);
    read({directory_.write("a", a), directory_.write("empty", ""), directory_.write("b", gzip(b))},
         target);
    std::vector<SeenLine> expected;
    expect_lines(expected, a, kLineMax);
    expect_lines(expected, b, kLineMax, a.size());
    EXPECT_EQ(lines(), expected);
  }
}

TEST_F(FileSourceTest, KeepsWhatComesBeforeCorruptDataAndGoesOnWithTheNextFile) {
  const std::string text = awkward_text(7, 3000, 200, true);
  for (const bool use_gzip : {true, false}) {
    std::string packed = use_gzip ? gzip(text) : zstd(text);
    packed[packed.size() / 2] = static_cast<char>(packed[packed.size() / 2] ^ 0x55);
    read({directory_.write("bad", packed), directory_.write("good", "next\n")});
    ASSERT_TRUE(source_->first_error());
    const core::Error& error = *source_->first_error();
    EXPECT_EQ(error.code, core::ErrorCode::kCorrupt);
    EXPECT_NE(error.message.find(directory_.file("bad")), std::string::npos) << error.message;
    EXPECT_GT(error.offset, 0U);
    EXPECT_LE(error.offset, packed.size());
    EXPECT_EQ(bench_->stage->figures().sources[0].read_errors, 1U);
    ASSERT_GE(got().size(), 5U);
    const std::string kept = got().substr(0, got().size() - 5);
    EXPECT_EQ(lines().back().text, "next");
    // The decoder's own check may come after a few wrong bytes; all lines before are right.
    const std::size_t right = static_cast<std::size_t>(
        std::mismatch(kept.begin(), kept.end(), text.begin(), text.end()).first - kept.begin());
    EXPECT_GT(right, text.size() / 8) << "only " << right << " of " << text.size();
  }
}

TEST_F(FileSourceTest, ReportsACompressedFileThatIsCutAtAnyPlace) {
  const std::string text = awkward_text(8, 40, 200, true);
  for (const bool use_gzip : {true, false}) {
    const std::string packed = use_gzip ? gzip(text) : zstd(text);
    for (std::size_t size = 4; size < packed.size(); ++size) {
      read({directory_.write("cut", packed.substr(0, size))});
      ASSERT_TRUE(source_->first_error()) << "cut at " << size;
      EXPECT_EQ(source_->first_error()->code, core::ErrorCode::kCorrupt);
      EXPECT_EQ(source_->first_error()->offset, size);
      EXPECT_EQ(got(), text.substr(0, got().size()));
    }
  }
}

TEST_F(FileSourceTest, RejectsBytesBehindTheGzipData) {
  read({directory_.write("a", gzip("one\n") + "tail")});
  ASSERT_TRUE(source_->first_error());
  EXPECT_EQ(source_->first_error()->code, core::ErrorCode::kCorrupt);
  EXPECT_EQ(got(), "one\n");
}

TEST_F(FileSourceTest, TellsOfAMissingFileBeforeAnythingStarts) {
  const auto missing = FileSource::open({.paths = {directory_.file("none")}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, core::ErrorCode::kIo);
  EXPECT_EQ(missing.error().os_error, ENOENT);
  EXPECT_FALSE(FileSource::open({.paths = {directory_.path()}})) << "a folder is no file";
  EXPECT_FALSE(FileSource::open({}));
}

TEST_F(FileSourceTest, SurvivesAFileThatIsCutShortWhileItIsRead) {
  const std::string text = awkward_text(9, 30'000, kLineMax, true);
  const std::string path = directory_.write("a", text);
  IngestConfig config;
  config.chunk_target_bytes = 4096;
  StageBench bench(config);
  bench.add(std::move(*FileSource::open({.paths = {path}})));
  bench.start();
  bench.step();
  ASSERT_EQ(::truncate(path.c_str(), 6000), 0);
  bench.run_to_end();
  const std::string got = all_text(bench.port.published);
  EXPECT_EQ(got, text.substr(0, got.size()));
  EXPECT_LT(got.size(), text.size());
}

TEST(StdinSource, AssemblesLinesFromAnyFragments) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const std::string text = awkward_text(seed, 120, kLineMax, seed % 2 == 0);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    IngestConfig config;
    config.chunk_target_bytes = 4096;
    config.line_bytes_max = kLineMax;
    StageBench bench(config);
    bench.add(std::make_unique<StdinSource>(StdinSourceConfig{.fd = ends[0]}));
    bench.start();
    std::thread writer([&] {
      std::mt19937_64 random(seed);
      for (std::size_t at = 0; at < text.size();) {
        // Byte by byte at times, a few hundred at others.
        const std::size_t wanted = random() % 4 == 0 ? 1 : 1 + random() % 700;
        const std::size_t size = std::min(wanted, text.size() - at);
        ASSERT_EQ(::write(ends[1], text.data() + at, size), static_cast<ssize_t>(size));
        at += size;
      }
      ::close(ends[1]);
    });
    while (!bench.stage->finished()) {
      bench.clock.advance(100'000);
      bench.step();
    }
    writer.join();
    ::close(ends[0]);
    std::vector<SeenLine> expected;
    expect_lines(expected, text, kLineMax);
    EXPECT_EQ(lines_of(bench.port.published, kLineMax), expected) << "seed " << seed;
    EXPECT_EQ(all_text(bench.port.published), text);
  }
}

TEST(StdinSource, HandsOnTheUnfinishedLineAtStop) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  StageBench bench;
  bench.add(std::make_unique<StdinSource>(StdinSourceConfig{.fd = ends[0]}));
  bench.start();
  ASSERT_EQ(::write(ends[1], "a\nb", 3), 3);
  bench.step();
  bench.stop();
  EXPECT_EQ(all_text(bench.port.published), "a\nb");
  EXPECT_TRUE(bench.port.published.back().last_of_source);
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace grace::ingest
