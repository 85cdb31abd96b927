#include "grace/ingest/socket_source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>

#include "grace/core/hash.h"
#include "ingest_fixture.h"

namespace grace::ingest {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLineMax = 2000;

int connect_tcp(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  ::close(fd);
  return -1;
}

int connect_unix(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  ::close(fd);
  return -1;
}

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// "client number hash filler": a line that betrays any damage or mixing.
std::string checked_line(int client, int number) {
  std::string line = std::to_string(client) + " " + std::to_string(number) + " ";
  const std::uint64_t hash = core::hash_bytes(line);
  line += core::hex(hash) + " " + std::string(hash % 150, 'f');
  return line + "\n";
}

// The next number of each client; fails on damage, gaps, repetition and disorder.
std::vector<int> check_lines(const std::vector<Published>& chunks, int client_count) {
  std::vector<int> next(static_cast<std::size_t>(client_count), 0);
  for (const SeenLine& line : lines_of(chunks, kLineMax)) {
    if (line.state != LineState::kWhole) continue;
    const int client = line.text[0] - '0';
    if (client < 0 || client >= client_count) {
      ADD_FAILURE() << "damaged line: " << line.text;
      break;
    }
    int& number = next[static_cast<std::size_t>(client)];
    EXPECT_EQ(line.text + "\n", checked_line(client, number));
    ++number;
  }
  return next;
}

class SocketSourceTest : public ::testing::Test {
 protected:
  static IngestConfig config() {
    IngestConfig config;
    config.chunk_target_bytes = 4096;
    config.line_bytes_max = kLineMax;
    config.linger = 0ns;
    return config;
  }
  void listen(SocketLimits limits = {}) {
    auto tcp = SocketSource::listen_tcp({.limits = limits}, bench_.clock);
    ASSERT_TRUE(tcp) << tcp.error().message;
    tcp_ = bench_.add(std::move(*tcp));
    path_ = directory_.file("in.sock");
    auto unix_socket = SocketSource::listen_unix({.path = path_, .limits = limits}, bench_.clock);
    ASSERT_TRUE(unix_socket) << unix_socket.error().message;
    unix_ = bench_.add(std::move(*unix_socket));
    bench_.start();
  }
  std::uint64_t closed() {
    return tcp_->counters().connections_closed.load() + unix_->counters().connections_closed.load();
  }
  TempDirectory directory_;
  StageBench bench_{config(), 4};
  SocketSource* tcp_ = nullptr;
  SocketSource* unix_ = nullptr;
  std::string path_;
};

TEST_F(SocketSourceTest, BringsEveryLineOfEightClientsOnceAndInOrder) {
  constexpr int kClients = 8, kLines = 3000;
  listen();
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([this, c] {
      const int fd = c % 2 == 0 ? connect_tcp(tcp_->port()) : connect_unix(path_);
      ASSERT_GE(fd, 0);
      std::mt19937_64 random(static_cast<std::uint64_t>(c));
      std::string pending;
      for (int i = 0; i < kLines; ++i) {
        pending += checked_line(c, i);
        // Cut anywhere: client 0 sends its first lines byte by byte.
        const std::size_t piece = c == 0 && i < 50 ? 1 : 1 + random() % 900;
        while (pending.size() >= piece) {
          ASSERT_TRUE(send_all(fd, std::string_view(pending).substr(0, piece)));
          pending.erase(0, piece);
        }
      }
      ASSERT_TRUE(send_all(fd, pending));
      ::close(fd);
    });
  }
  bench_.run_until([this] { return closed() == kClients; });
  for (std::thread& client : clients) client.join();
  bench_.stop();
  EXPECT_EQ(check_lines(bench_.port.published, kClients), std::vector<int>(kClients, kLines));
  const IngestFigures figures = bench_.stage->figures();
  EXPECT_EQ(figures.lines, static_cast<std::uint64_t>(kClients) * kLines);
  EXPECT_EQ(tcp_->counters().connections_open.load(), 0U);
  EXPECT_EQ(tcp_->counters().connections_accepted.load(), 4U);
}

TEST_F(SocketSourceTest, HandsOnWhatItReadWhenStoppedInTheMiddle) {
  constexpr int kClients = 8;
  listen();
  std::atomic<int> running{kClients};
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([this, c, &running] {
      const int fd = c % 2 == 0 ? connect_tcp(tcp_->port()) : connect_unix(path_);
      // Until the engine closes the connection.
      for (int i = 0; fd >= 0 && send_all(fd, checked_line(c, i)); ++i) continue;
      if (fd >= 0) ::close(fd);
      running.fetch_sub(1);
    });
  }
  std::mt19937_64 random(5);
  bench_.run_until([&] {
    bench_.port.refusing = random() % 3 == 0;
    bench_.port.starved = random() % 3 == 0;
    return bench_.stage->figures().lines > 20'000;
  });
  bench_.port.refusing = bench_.port.starved = false;
  const std::uint64_t lines_read =
      bench_.stage->figures().sources[0].lines + bench_.stage->figures().sources[1].lines;
  bench_.stop();
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(running.load(), 0);
  const std::vector<int> next = check_lines(bench_.port.published, kClients);
  int total = 0;
  for (const int count : next) total += count;
  EXPECT_GE(static_cast<std::uint64_t>(total), lines_read - kClients);
  EXPECT_LT(connect_unix(path_), 0) << "still accepting";
}

TEST_F(SocketSourceTest, SlowsSendersWhileNoChunkIsFree) {
  listen();
  bench_.port.starved = true;
  // The stage's spare chunk and the first reads may take a little; then the kernel's buffers fill.
  const int fd = connect_unix(path_);
  ASSERT_GE(fd, 0);
  const timeval limit{0, 200'000};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  for (int i = 0; i < 10; ++i) bench_.step();
  int sent = 0;
  std::size_t tail = 0;  // of the line whose sending was interrupted
  for (;; ++sent) {
    const std::string line = checked_line(0, sent);
    const ssize_t count = ::send(fd, line.data(), line.size(), MSG_NOSIGNAL);
    bench_.step();
    if (count == static_cast<ssize_t>(line.size())) continue;
    ASSERT_TRUE(count > 0 || errno == EAGAIN || errno == EWOULDBLOCK);
    tail = line.size() - static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    break;
  }
  EXPECT_TRUE(bench_.port.published.empty());
  ASSERT_GT(sent, 0);
  bench_.port.starved = false;
  std::thread rest([&] {
    const std::string line = checked_line(0, sent);
    EXPECT_TRUE(send_all(fd, std::string_view(line).substr(line.size() - tail)));
    ::close(fd);
  });
  bench_.run_until([this] { return closed() == 1; });
  rest.join();
  bench_.stop();
  EXPECT_EQ(check_lines(bench_.port.published, 1).at(0), sent + 1);
}

TEST_F(SocketSourceTest, CutsLongLinesOfOneClientAndKeepsThoseOfTheOthers) {
  listen();
  const int a = connect_unix(path_), b = connect_unix(path_);
  const std::string huge(300'000, 'h');
  std::thread sender([&] {
    EXPECT_TRUE(send_all(a, "before\n" + huge + "\nafter\n"));
    ::close(a);
  });
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(send_all(b, checked_line(0, i)));
    bench_.step();
  }
  ::close(b);
  bench_.run_until([this] { return closed() == 2; });
  sender.join();
  bench_.stop();
  std::vector<Published> chunks = bench_.port.published;
  int too_long = 0;
  std::vector<std::string> of_a;
  int next = 0;
  for (const SeenLine& line : lines_of(chunks, kLineMax)) {
    if (line.state == LineState::kTooLong) {
      ++too_long;
    } else if (line.text == "before" || line.text == "after") {
      of_a.push_back(line.text);
    } else {
      EXPECT_EQ(line.text + "\n", checked_line(0, next++));
    }
  }
  EXPECT_EQ(too_long, 1);
  EXPECT_EQ(next, 500);
  EXPECT_EQ(of_a, (std::vector<std::string>{"before", "after"}));
  EXPECT_NE(all_text(chunks).size(), 0U);
  EXPECT_EQ(bench_.stage->figures().sources[1].cut_lines, 1U);
}

TEST_F(SocketSourceTest, RefusesConnectionsPastTheBoundAndCounts) {
  listen({.connections_max = 2});
  const int a = connect_unix(path_), b = connect_unix(path_), c = connect_unix(path_);
  bench_.run_until([this] { return unix_->counters().connections_refused.load() == 1; });
  EXPECT_EQ(unix_->counters().connections_open.load(), 2U);
  char byte = 0;
  EXPECT_EQ(::recv(c, &byte, 1, 0), 0) << "the third is told by the close";
  ::close(a);
  bench_.run_until([this] { return closed() == 1; });
  const int d = connect_unix(path_);
  ASSERT_TRUE(send_all(d, "welcome\n"));
  bench_.run_until([this] { return !bench_.port.published.empty(); });
  EXPECT_EQ(bench_.port.published[0].text, "welcome\n");
  for (const int fd : {b, c, d}) ::close(fd);
}

TEST_F(SocketSourceTest, HandsOnTheUnfinishedLineOfAClosedConnection) {
  listen();
  const int fd = connect_tcp(tcp_->port());
  ASSERT_TRUE(send_all(fd, "whole\nhalf"));
  ::close(fd);
  bench_.run_until([this] { return closed() == 1; });
  bench_.stop();
  EXPECT_EQ(all_text(bench_.port.published), "whole\nhalf");
  EXPECT_TRUE(bench_.port.published.back().last_of_source);
  EXPECT_EQ(bench_.stage->figures().lines, 2U);
}

TEST_F(SocketSourceTest, ClosesTheIdleAndTheSlowButNotTheBusy) {
  listen({.idle_timeout = 60'000ms, .line_timeout = 10'000ms});
  const int idle = connect_unix(path_), slow = connect_unix(path_), busy = connect_unix(path_);
  ASSERT_TRUE(send_all(idle, "i\n"));
  ASSERT_TRUE(send_all(slow, "s"));
  ASSERT_TRUE(send_all(busy, "b\n"));
  bench_.run_until([this] { return unix_->counters().lines.load() == 2; });
  for (int second = 0; second < 12; ++second) {
    // A byte a second does not help: the line is what has a limit.
    ASSERT_TRUE(second > 9 || send_all(slow, "s"));
    for (int i = 0; i < 5; ++i) bench_.step();
    bench_.clock.advance(1'000'000'000);
  }
  bench_.run_until([this] { return unix_->counters().connections_timed_out.load() == 1; });
  EXPECT_EQ(all_text(bench_.port.published).back(), 's') << "what was read is handed on";
  bench_.clock.advance(40'000'000'000);
  ASSERT_TRUE(send_all(busy, "b\n"));
  bench_.run_until([this] { return unix_->counters().lines.load() == 4; });
  bench_.clock.advance(30'000'000'000);
  bench_.run_until([this] { return unix_->counters().connections_timed_out.load() == 2; });
  EXPECT_EQ(unix_->counters().connections_open.load(), 1U);
  char byte = 0;
  EXPECT_EQ(::recv(idle, &byte, 1, 0), 0);
  EXPECT_TRUE(send_all(busy, "b\n"));
  for (const int fd : {idle, slow, busy}) ::close(fd);
}

TEST(SocketSource, MakesItsUnixSocketForTheOwnerAloneAndReplacesAStaleOne) {
  const core::ManualClock clock;
  const TempDirectory directory;
  const std::string path = directory.file("s");
  {
    auto first = SocketSource::listen_unix({.path = path}, clock);
    ASSERT_TRUE(first) << first.error().message;
    struct stat info {};
    ASSERT_EQ(::lstat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    const auto second = SocketSource::listen_unix({.path = path}, clock);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find("another process listens"), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(path)) << "gone with its source";
  // A killed engine leaves its file.
  const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(::bind(stale, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ::close(stale);
  EXPECT_TRUE(SocketSource::listen_unix({.path = path}, clock));
  // Anything else is not ours to remove.
  directory.write("s", "precious");
  EXPECT_FALSE(SocketSource::listen_unix({.path = path}, clock));
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
  EXPECT_FALSE(SocketSource::listen_unix({.path = std::string(200, 'x')}, clock));
}

TEST(SocketSource, SaysWhatIsWrongWithAnAddress) {
  const core::ManualClock clock;
  const auto named = SocketSource::listen_tcp({.address = "localhost"}, clock);
  ASSERT_FALSE(named);
  EXPECT_NE(named.error().message.find("not a numeric"), std::string::npos);
  const auto first = SocketSource::listen_tcp({}, clock);
  ASSERT_TRUE(first);
  const auto taken = SocketSource::listen_tcp({.port = (*first)->port()}, clock);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().os_error, EADDRINUSE);
  EXPECT_FALSE((*first)->traits().operator_allowed);
}

}  // namespace
}  // namespace grace::ingest
