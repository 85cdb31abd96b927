#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <map>
#include <vector>

#include "executor_guard.h"
#include "executor_wire.h"
#include "monotonic.h"
#include "unique_fd.h"

namespace grace::schedule {
namespace {

constexpr std::int64_t kStopNs = 10'000'000'000;  // for guards to clean up when the engine is gone

// The executor process: one poll loop, no threads, so that fork is simple.
class Executor {
 public:
  explicit Executor(int socket_fd) : socket_(socket_fd) {}

  int run() {
    while (open_) {
      std::vector<pollfd> items{{socket_.get(), POLLIN, 0}};
      std::vector<pid_t> pids{0};
      for (const auto& [pid, guard] : guards_) {
        items.push_back({guard.reply.get(), POLLIN, 0});
        pids.push_back(pid);
      }
      if (::poll(items.data(), items.size(), -1) < 0) {
        if (errno == EINTR) continue;
        break;
      }
      for (std::size_t i = 1; i < items.size(); ++i) {
        if (items[i].revents != 0) settle(pids[i]);
      }
      if (items[0].revents != 0) receive();
    }
    stop_guards();
    return 0;
  }

 private:
  struct GuardProcess {
    std::uint64_t id = 0;
    UniqueFd reply;
  };

  void receive() {
    packet_.resize(kPacketBytesMax);
    const ssize_t n = ::recv(socket_.get(), packet_.data(), packet_.size(), 0);
    if (n <= 0) {
      open_ = n < 0 && (errno == EINTR || errno == EAGAIN);
      return;
    }
    const std::string_view packet(packet_.data(), static_cast<std::size_t>(n));
    if (auto limits = decode_limits(packet)) {
      limits_ = std::move(*limits);
      return;
    }
    if (const auto request = decode_request(packet)) begin(*request);
  }

  void begin(const StepRequest& request) {
    int ends[2];
    if (guards_.size() >= limits_.concurrency_max || ::pipe2(ends, O_CLOEXEC) != 0) {
      refuse(request.id, "the executor is full");
      return;
    }
    UniqueFd read_end(ends[0]);
    const UniqueFd write_end(ends[1]);
    const int self = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) run_guard(request, limits_, write_end.get(), self);
    if (pid < 0) {
      refuse(request.id, "fork failed");
      return;
    }
    guards_[pid] = GuardProcess{request.id, std::move(read_end)};
  }

  // The guard has written its reply, or has ended without one.
  void settle(pid_t pid) {
    const auto found = guards_.find(pid);
    char bytes[kResultBytesMax];
    const ssize_t n = ::read(found->second.reply.get(), bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) return;
    auto reply =
        n > 0 ? decode_reply(std::string_view(bytes, static_cast<std::size_t>(n))) : std::nullopt;
    const std::uint64_t id = found->second.id;
    guards_.erase(found);
    ::waitpid(pid, nullptr, 0);  // ends right after its reply
    if (reply) {
      send(*reply);
    } else {
      refuse(id, "the step's guard process ended without a result");
    }
  }

  void refuse(std::uint64_t id, const char* why) {
    StepReply reply;
    reply.id = id;
    reply.result.output_tail = why;
    send(reply);
  }

  void send(const StepReply& reply) {
    const std::string packet = encode_reply(reply);
    // Blocks while the engine's side is full: it holds one packet for each step, far under the
    // socket's buffer. A failure means that the engine is gone; receive() sees that.
    static_cast<void>(::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL));
  }

  void stop_guards() {
    for (const auto& [pid, guard] : guards_) ::kill(pid, SIGTERM);
    const std::int64_t deadline_ns = monotonic_ns() + kStopNs;
    while (!guards_.empty() && monotonic_ns() < deadline_ns) {
      const pid_t pid = ::waitpid(-1, nullptr, WNOHANG);
      if (pid > 0) guards_.erase(pid);
      if (pid < 0 && errno == ECHILD) return;
      if (pid == 0) ::poll(nullptr, 0, 1);
    }
  }

  UniqueFd socket_;
  ExecutorConfig limits_;
  std::map<pid_t, GuardProcess> guards_;
  std::string packet_;
  bool open_ = true;
};

}  // namespace

int executor_main(int socket_fd) {
  // Commands read nothing and write to their guard; only messages of our own reach the terminal.
  const int null_fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_fd < 0 || ::dup2(null_fd, STDIN_FILENO) < 0 || ::dup2(null_fd, STDOUT_FILENO) < 0) {
    std::perror("executor: /dev/null");
    return 1;
  }
  ::close(null_fd);
  ::fcntl(socket_fd, F_SETFD, FD_CLOEXEC);
  return Executor(socket_fd).run();
}

}  // namespace grace::schedule
