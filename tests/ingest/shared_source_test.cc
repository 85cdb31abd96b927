// Producers in other processes: real ones, that end, die and lie.
#include "grace/ingest/shared_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <random>

#include "grace/ingest/shared_publisher.h"
#include "grace/ingest/shared_ring.h"
#include "ingest_fixture.h"
#include "shared_memory.h"

namespace grace::ingest {
namespace {

using core::JsonLine;

SharedSourceConfig small_config(const TempDirectory& directory) {
  SharedSourceConfig config;
  config.path = directory.file("ring.sock");
  config.ring_bytes = 16 * 1024;
  config.event_bytes_max = 2048;
  config.producers_max = 4;
  return config;
}

std::unique_ptr<SharedSource> listening(const SharedSourceConfig& config) {
  auto source = SharedSource::listen(config);
  EXPECT_TRUE(source.has_value()) << (source ? "" : source.error().message);
  return std::move(*source);
}

// One step may not be enough to see a connection: looks are rare while something is read.
template <typename Act>
auto while_stepping(StageBench& bench, Act&& act) {
  std::atomic<bool> done{false};
  decltype(act()) result;
  std::thread other([&] {
    result = act();
    done.store(true, std::memory_order_release);  // release: result; pairs with the acquire below
  });
  bench.run_until([&] { return done.load(std::memory_order_acquire); });  // acquire: see above
  other.join();
  return result;
}

core::Result<Publisher> connect(StageBench& bench, const std::string& path) {
  std::optional<core::Result<Publisher>> made = while_stepping(
      bench, [&] { return std::optional<core::Result<Publisher>>(connect_shared(path)); });
  return std::move(*made);
}

std::vector<std::string> lines_in(const std::vector<Published>& chunks) {
  std::vector<std::string> lines;
  for (const Published& chunk : chunks) {
    EXPECT_EQ(chunk.source_kind, core::SourceKind::kShared);
    for (std::string_view text = chunk.text; !text.empty();) {
      const std::string_view record = core::packed_record(text, 0);
      EXPECT_TRUE(core::packed_at(record).has_value());
      core::append_json_line(record, lines.emplace_back());
      text.remove_prefix(record.size());
    }
  }
  return lines;
}

// A child process that runs `act` and ends.
template <typename Act>
pid_t forked(Act&& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    act();
    ::_exit(0);
  }
  EXPECT_GT(child, 0);
  return child;
}

class SharedSourceTest : public ::testing::Test {
 protected:
  void start() {
    source_ = bench_.add(listening(config_));
    bench_.start();
  }
  const TempDirectory directory_;
  SharedSourceConfig config_ = small_config(directory_);
  StageBench bench_;
  SharedSource* source_ = nullptr;
};

TEST_F(SharedSourceTest, TakesTheEventsOfAnotherProcessInOrder) {
  start();
  struct stat info {};
  ASSERT_EQ(::stat(config_.path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  const pid_t child = forked([&] {
    auto publisher = connect_shared(config_.path);
    if (!publisher) ::_exit(1);
    for (int i = 0; i < 5000; ++i) {
      const std::string line =
          std::to_string(i) + std::string(static_cast<std::size_t>(i % 700), 'x');
      if (publisher->publish(JsonLine{line}, std::chrono::minutes(1)) != PublishStatus::kOk) {
        ::_exit(2);
      }
    }
  });
  bench_.run_until([&] { return figures_of(*source_, false).connections_closed == 1; });
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  bench_.stop();
  const auto lines = lines_in(bench_.port.published);
  ASSERT_EQ(lines.size(), 5000U);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    ASSERT_EQ(lines[i].substr(0, lines[i].find('x')), std::to_string(i));
  }
  EXPECT_EQ(figures_of(*source_, true).dropped_lines, 0U);
}

// Killed in the middle of whatever they do, again and again: what arrives of each is a beginning of
// what it published, without a gap, and the engine goes on.
TEST_F(SharedSourceTest, GoesOnWhenProducersAreKilled) {
  start();
  std::mt19937 random(7);
  constexpr int kRounds = 40;
  constexpr int kAtOnce = 2;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<pid_t> children;
    for (int k = 0; k < kAtOnce; ++k) {
      children.push_back(forked([&] {
        auto publisher = connect_shared(config_.path);
        if (!publisher) ::_exit(1);
        const std::string name = std::to_string(round * kAtOnce + k) + " ";
        for (int i = 0;; ++i) {
          const std::string line =
              name + std::to_string(i) + " " + std::string(static_cast<std::size_t>(i % 300), 'x');
          if (i % 2 == 0) {
            if (publisher->add(JsonLine{line}) == PublishStatus::kOk) continue;
          }
          static_cast<void>(publisher->publish(JsonLine{line}, std::chrono::minutes(1)));
        }
      }));
    }
    // Until each of this round has said something, and a little longer.
    const auto expected = static_cast<std::uint64_t>((round + 1) * kAtOnce);
    bench_.run_until([&] { return figures_of(*source_, false).connections_accepted == expected; });
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 4000);
    bench_.run_until([&] { return std::chrono::steady_clock::now() >= end; });
    for (const pid_t child : children) ::kill(child, SIGKILL);
    for (const pid_t child : children) ::waitpid(child, nullptr, 0);
    bench_.run_until([&] { return figures_of(*source_, false).connections_closed == expected; });
  }
  bench_.stop();
  std::map<std::string, std::uint64_t> next;
  const auto lines = lines_in(bench_.port.published);
  for (const std::string& line : lines) {
    const std::size_t space = line.find(' ');
    const std::size_t end = line.find(' ', space + 1);
    ASSERT_EQ(line.substr(space + 1, end - space - 1),
              std::to_string(next[line.substr(0, space)]++));
  }
  const SourceFigures figures = figures_of(*source_, true);
  EXPECT_EQ(figures.lines, lines.size());
  EXPECT_EQ(figures.dropped_lines, 0U);
  EXPECT_EQ(figures.read_errors, 0U);
  EXPECT_EQ(figures.connections_accepted, static_cast<std::uint64_t>(kRounds * kAtOnce));
  EXPECT_GT(lines.size(), static_cast<std::size_t>(kRounds));
}

TEST_F(SharedSourceTest, BoundsItsProducers) {
  config_.producers_max = 1;
  start();
  {
    auto first = connect(bench_, config_.path);
    ASSERT_TRUE(first.has_value()) << first.error().message;
    const auto second = connect(bench_, config_.path);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, core::ErrorCode::kFull) << second.error().message;
    EXPECT_EQ(first->try_publish(JsonLine{std::string(3000, 'x')}), PublishStatus::kTooLarge);
  }
  bench_.run_until([&] { return figures_of(*source_, false).connections_open == 0; });
  EXPECT_TRUE(connect(bench_, config_.path).has_value());
  EXPECT_EQ(figures_of(*source_, false).connections_refused, 1U);
  bench_.stop();
}

TEST_F(SharedSourceTest, ClosesItsProducersWhenItStops) {
  start();
  auto publisher = connect(bench_, config_.path);
  ASSERT_TRUE(publisher.has_value());
  EXPECT_EQ(publisher->try_publish(JsonLine{"{}"}), PublishStatus::kOk);
  bench_.stop();
  EXPECT_EQ(publisher->try_publish(JsonLine{"{}"}), PublishStatus::kClosed);
  EXPECT_EQ(lines_in(bench_.port.published).size(), 1U);
  EXPECT_FALSE(connect_shared(config_.path).has_value()) << "nobody listens";
}

// An engine that dies closes nothing: the producer sees it when its ring is full, knows what was in
// vain, and finds the next engine at the same place.
TEST_F(SharedSourceTest, AProducerOutlivesAnEngineThatDiesAndFindsTheNext) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t engine = forked([&] {
    StageBench bench;
    bench.add(listening(config_));
    bench.start();
    static_cast<void>(!::write(ready[1], "r", 1));
    for (;;) bench.step();
  });
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  auto publisher = connect_shared(config_.path);
  ASSERT_TRUE(publisher.has_value()) << publisher.error().message;
  ASSERT_EQ(publisher->try_publish(JsonLine{"{}"}), PublishStatus::kOk);
  while (publisher->unread_bytes() > 0) std::this_thread::yield();
  EXPECT_FALSE(publisher->is_abandoned());
  ::kill(engine, SIGKILL);
  ::waitpid(engine, nullptr, 0);
  EXPECT_TRUE(publisher->is_abandoned());
  std::size_t in_vain = 0;
  PublishStatus status = PublishStatus::kOk;
  while ((status = publisher->publish(JsonLine{"{}"}, std::chrono::minutes(1))) ==
         PublishStatus::kOk) {
    ++in_vain;
  }
  EXPECT_EQ(status, PublishStatus::kClosed);
  EXPECT_EQ(publisher->unread_bytes(), in_vain * 48);
  ::close(ready[0]);
  ::close(ready[1]);
  StageBench next;
  next.add(listening(config_));  // a stale socket is replaced
  next.start();
  auto again = connect(next, config_.path);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  *publisher = std::move(*again);
  EXPECT_EQ(publisher->try_publish(JsonLine{"{\"n\":2}"}), PublishStatus::kOk);
  next.stop();
  EXPECT_EQ(lines_in(next.port.published), std::vector<std::string>{"{\"n\":2}"});
}

// A producer that writes what it likes where it likes, while the engine reads.
TEST_F(SharedSourceTest, CutsOffAProducerWhoseRingMakesNoSense) {
  start();
  auto honest = connect(bench_, config_.path);
  ASSERT_TRUE(honest.has_value());
  const std::vector<std::pair<std::uint32_t, std::uint64_t>> nonsense{
      {0, 48},           // a size of nothing
      {44, 48},          // not on 8
      {24, 48},          // shorter than a header
      {96, 48},          // longer than what is there
      {0xFFFFFFF8, 48},  // far past the memory
      {48, 47},          // a tail not on 8
      {48, 1 << 20},     // more than the ring holds
      {48, PackedNonsense::kHuge}};
  for (const auto& [size, tail] : nonsense) {
    SharedMemory memory = while_stepping(bench_, [&] { return SharedMemory::of(config_.path); });
    ASSERT_TRUE(memory.valid());
    memory.write_record(0, size, core::PackedForm::kLine);
    memory.set_tail(tail);
    const std::uint64_t errors = figures_of(*source_, false).read_errors;
    bench_.run_until([&] { return figures_of(*source_, false).read_errors == errors + 1; });
    EXPECT_EQ(honest->publish(JsonLine{"{}"}, std::chrono::seconds(10)), PublishStatus::kOk);
  }
  bench_.stop();
  const SourceFigures figures = figures_of(*source_, true);
  EXPECT_EQ(figures.dropped_lines, nonsense.size());
  EXPECT_EQ(figures.lines, nonsense.size()) << "the honest one's";
  EXPECT_EQ(lines_in(bench_.port.published).size(), nonsense.size());
}

// It cannot be shrunk under the engine, and what does not end does not keep the engine from ending.
TEST_F(SharedSourceTest, SurvivesAProducerThatIgnoresEveryRule) {
  start();
  SharedMemory memory = while_stepping(bench_, [&] { return SharedMemory::of(config_.path); });
  ASSERT_TRUE(memory.valid());
  EXPECT_NE(::ftruncate(memory.fd(), 0), 0);
  std::atomic<bool> stop{false};
  std::thread liar([&] {
    std::mt19937 random(3);
    std::uint64_t tail = 0;
    while (!stop.load(std::memory_order_relaxed)) {  // relaxed: only a request
      // Records that are well framed, whose bytes change while they are read, for ever.
      memory.write_record(tail % config_.ring_bytes, 64,
                          static_cast<core::PackedForm>(random() % 5));
      memory.scribble(random() % config_.ring_bytes, random());
      memory.write_record(tail % config_.ring_bytes, 64, core::PackedForm::kLine);
      tail += 64;
      while (tail - memory.head() > config_.ring_bytes / 2 &&
             !stop.load(std::memory_order_relaxed)) {  // relaxed: as above
      }
      memory.set_tail(tail);  // and with it, each close is undone
    }
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(150);
  bench_.run_until([&] { return std::chrono::steady_clock::now() >= end; });
  bench_.stop();                                // ends, though the liar does not
  stop.store(true, std::memory_order_relaxed);  // relaxed: as above
  liar.join();
  const SourceFigures figures = figures_of(*source_, true);
  EXPECT_GT(figures.lines + figures.dropped_lines, 0U);
  for (const Published& chunk : bench_.port.published) {
    for (std::string_view text = chunk.text; !text.empty();) {
      const auto header = core::packed_at(text);
      ASSERT_TRUE(header.has_value()) << "the copy's frames hold, whatever happened meanwhile";
      text.remove_prefix(header->size_bytes);
    }
  }
}

TEST_F(SharedSourceTest, RefusesBadConfigurations) {
  const auto refused = [&](auto change) {
    SharedSourceConfig config = small_config(directory_);
    change(config);
    return !SharedSource::listen(config).has_value();
  };
  EXPECT_FALSE(refused([](SharedSourceConfig&) {}));
  EXPECT_TRUE(refused([](SharedSourceConfig& c) { c.path = ""; }));
  EXPECT_TRUE(refused([](SharedSourceConfig& c) { c.ring_bytes = 5000; }));
  EXPECT_TRUE(refused([](SharedSourceConfig& c) { c.event_bytes_max = c.ring_bytes; }));
  EXPECT_TRUE(refused([](SharedSourceConfig& c) { c.producers_max = 0; }));
}

}  // namespace
}  // namespace grace::ingest
