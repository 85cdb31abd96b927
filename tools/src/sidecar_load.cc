#include "sidecar_load.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "control_server.h"
#include "grace/core/spsc_ring.h"
#include "grace/harness/loops.h"
#include "grace/harness/machine.h"
#include "grace/parse/json_value.h"

namespace grace::tools {
namespace {

constexpr std::int64_t kLookNs = 1'000'000;
constexpr std::size_t kSendBytes = 64 * 1024;

// How far the other side has come.
struct Position {
  std::uint64_t lines = 0;  // that it has read of ours
  std::uint64_t input = 0;  // behind all that was read
  std::uint64_t decided = 0;
  std::uint64_t rejected = 0;
};
using AskPosition = std::function<core::Result<Position>()>;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

// Asks for the position again and again on a thread of its own.
class Watcher {
 public:
  Watcher(AskPosition ask, const Position& before)
      : ask_(std::move(ask)), before_(before), thread_([this] { watch(); }) {}
  ~Watcher() { stop(); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  [[nodiscard]] core::SpscRing<harness::Completion>& ring() noexcept { return ring_; }
  [[nodiscard]] bool failed() const noexcept {
    return failed_.load(std::memory_order_acquire);  // [FAILED] acquire: see watch()
  }
  // Once the thread has ended.
  void stop() {
    stop_.store(true, std::memory_order_relaxed);  // relaxed: join() orders the rest
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] const core::Result<Position>& last() const noexcept { return last_; }

 private:
  // What was read at one look is decided when `decided` reaches the end of the input of the next:
  // that input surely holds it, whatever the order in which counters are written.
  struct Read {
    std::uint64_t lines;
    std::uint64_t input;
  };
  void watch() {
    std::deque<Read> open;  // bounded by the looks of a drain
    std::uint64_t lines_seen = before_.lines;
    std::uint64_t done = before_.lines;
    std::uint64_t told = done;
    const core::SystemClock clock;
    // Relaxed: see stop().
    while (!stop_.load(std::memory_order_relaxed)) {
      last_ = ask_();
      if (!last_) {
        failed_.store(true, std::memory_order_release);  // [FAILED] release: publishes last_
        return;
      }
      if (open.empty() || open.back().lines != lines_seen) {
        open.push_back({lines_seen, last_->input});
      }
      lines_seen = last_->lines;
      while (!open.empty() && open.front().input <= last_->decided) {
        done = open.front().lines;
        open.pop_front();
      }
      // A full ring: the next look tells it, a little later.
      if (done > told && ring_.try_push({done - told, clock.monotonic_ns()})) told = done;
      std::this_thread::sleep_for(std::chrono::nanoseconds(kLookNs));
    }
  }

  AskPosition ask_;
  const Position before_;
  core::SpscRing<harness::Completion> ring_{1U << 14};
  core::Result<Position> last_;  // the thread's until it has ended
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};
  std::thread thread_;
};

class SocketTarget final : public harness::Target {
 public:
  SocketTarget(const LoadStream& stream, int fd, Watcher& watcher)
      : stream_(stream), fd_(fd), watcher_(watcher) {}

  std::uint64_t try_send(std::uint64_t first, std::uint64_t count) override {
    std::uint64_t sent = 0;
    while (sent < count) {
      if (at_ == out_.size()) fill(first + sent, count - sent);
      const ssize_t put =
          ::send(fd_, out_.data() + at_, out_.size() - at_, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) {
        broken_ = errno != EAGAIN && errno != EWOULDBLOCK;
        break;
      }
      at_ += static_cast<std::size_t>(put);
      // Those whose last byte the kernel has.
      while (!ends_.empty() && ends_.front() <= at_) {
        ends_.pop_front();
        ++sent;
      }
    }
    open_ += sent;
    sent_ += sent;
    return sent;
  }
  harness::Completion poll() override {
    harness::Completion done;
    if (!watcher_.ring().try_pop(done)) return {};
    // More than was sent is not ours.
    strangers_ = strangers_ || done.count > open_;
    done.count = std::min(done.count, open_);
    open_ -= done.count;
    return done;
  }
  [[nodiscard]] std::int64_t next_look_ns() override { return clock_.monotonic_ns() + kLookNs / 2; }
  [[nodiscard]] bool alive() const override { return !broken_ && !watcher_.failed(); }
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  // The other side has read lines that this one did not send: more than all, or, at a time, more
  // than were sent until then.
  [[nodiscard]] bool strangers(std::uint64_t lines_read) const noexcept {
    return strangers_ || lines_read > sent_;
  }

 private:
  void fill(std::uint64_t first, std::uint64_t count) {
    out_.clear();
    ends_.clear();
    at_ = 0;
    const std::int64_t ts_ns = clock_.wall_ns();
    for (std::uint64_t i = 0; i < count && out_.size() < kSendBytes; ++i) {
      const std::size_t begin = out_.size();
      out_.resize(begin + stream_.line(first + i).size());
      stream_.write(first + i, ts_ns, out_.data() + begin);
      ends_.push_back(out_.size());
    }
  }

  const LoadStream& stream_;
  int fd_;
  Watcher& watcher_;
  const core::SystemClock clock_;
  std::string out_;  // lines made, sent up to at_
  std::size_t at_ = 0;
  std::deque<std::size_t> ends_;  // of lines in out_ that are not all sent
  std::uint64_t sent_ = 0;
  std::uint64_t open_ = 0;  // sent, not completed
  bool broken_ = false;
  bool strangers_ = false;
};

core::Result<int> connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return core::make_error(core::ErrorCode::kInvalidArgument, path + ": too long for a socket");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return core::make_error(core::ErrorCode::kIo, "cannot make a socket", errno);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return core::make_error(core::ErrorCode::kIo,
                          "nobody listens on " + path + ": " + std::strerror(error), error);
}

core::Result<Position> ask_engine(ControlClient& client, const std::string& source) {
  const auto answer = client.ask(R"({"op":"position"})");
  if (!answer) return tl::unexpected<core::Error>(answer.error());
  const auto value = parse::JsonValue::parse(*answer);
  if (!value || !(*value)["ok"].as_bool()) {
    return core::make_error(core::ErrorCode::kUnsupported,
                            "the engine does not tell its position: " + *answer);
  }
  for (const parse::JsonValue& entry : (*value)["sources"].array()) {
    if (entry["name"].as_string() != source) continue;
    return Position{entry["lines"].as_uint64(), (*value)["input_sequence"].as_uint64(),
                    (*value)["decided_sequence"].as_uint64(), (*value)["rejected"].as_uint64()};
  }
  return core::make_error(core::ErrorCode::kInvalidArgument, "the engine has no source " + source);
}

std::uint64_t resident_of(pid_t pid) {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/" + std::to_string(pid) + "/statm") >> total >> resident;
  return resident * static_cast<std::uint64_t>(getpagesize());
}

}  // namespace

core::Result<EngineRun> run_sidecar_load(const SidecarLoad& load) {
  const auto failed = [](const core::Error& error) { return tl::unexpected<core::Error>(error); };
  auto control = ControlClient::connect(load.control);
  if (!control) return failed(control.error());
  const auto fd = connect_unix(load.socket);
  if (!fd) return failed(fd.error());
  const Descriptor socket(*fd);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) peer.pid = 0;
  const AskPosition ask = [&] { return ask_engine(*control, "unix:" + load.socket); };
  const auto before = ask();
  if (!before) return failed(before.error());
  const harness::ForeignCpu foreign(peer.pid > 0 ? std::vector<pid_t>{peer.pid}
                                                 : std::vector<pid_t>{});
  Watcher watcher(ask, *before);
  SocketTarget target(load.stream, socket.get(), watcher);
  harness::SystemTimeline time;
  EngineRun run;
  run.load = harness::drive_open(load.arrivals, load.span, target, time);
  watcher.stop();
  run.foreign_share = foreign.share();
  run.resident_bytes = resident_of(peer.pid);
  if (watcher.failed()) return failed(watcher.last().error());
  if (target.broken()) {
    return core::make_error(core::ErrorCode::kClosed, "the engine closed " + load.socket);
  }
  const auto after = ask();
  if (!after) return failed(after.error());
  if (target.strangers(after->lines - before->lines)) {
    return core::make_error(core::ErrorCode::kCorrupt,
                            "others have sent to " + load.socket + " as well");
  }
  run.rejected = after->rejected - before->rejected;
  return run;
}

core::Result<harness::LoadResult> run_null_sidecar(const LoadStream& stream,
                                                   const harness::ArrivalConfig& arrivals,
                                                   const harness::LoadSpan& span) {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return core::make_error(core::ErrorCode::kIo, "cannot make a pair of sockets", errno);
  }
  std::atomic<std::uint64_t> lines{0};
  const Descriptor receiver(ends[1]);
  std::thread counter([&] {
    std::array<char, kSendBytes> bytes{};
    ssize_t got = 0;
    while ((got = ::read(ends[1], bytes.data(), bytes.size())) > 0 || (got < 0 && errno == EINTR)) {
      const auto newlines =
          std::count(bytes.data(), bytes.data() + std::max<ssize_t>(got, 0), '\n');
      // Relaxed: a counter; nothing is read because of it.
      lines.fetch_add(static_cast<std::uint64_t>(newlines), std::memory_order_relaxed);
    }
  });
  harness::LoadResult result;
  {
    const Descriptor sender(ends[0]);
    Watcher watcher(
        [&]() -> core::Result<Position> {
          const std::uint64_t count = lines.load(std::memory_order_relaxed);  // relaxed: see above
          return Position{count, count, count, 0};
        },
        Position{});
    SocketTarget target(stream, sender.get(), watcher);
    harness::SystemTimeline time;
    result = harness::drive_open(arrivals, span, target, time);
  }
  counter.join();
  return result;
}

}  // namespace grace::tools
