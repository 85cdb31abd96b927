#include "grace/schedule/process_executor.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "executor_wire.h"
#include "monotonic.h"
#include "unique_fd.h"

namespace grace::schedule {
namespace {

using core::ErrorCode;
using core::make_error;
using core::Result;
using core::StepCommand;
using core::StepResult;

constexpr int kChildSocketFd = 3;
constexpr std::int64_t kStopNs = 12'000'000'000;  // over the executor's own clean-up time

struct Child {
  pid_t pid = 0;
  UniqueFd socket;
};

class SpawnAttributes {
 public:
  SpawnAttributes() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t all;
    sigset_t none;
    ::sigfillset(&all);
    ::sigdelset(&all, SIGKILL);
    ::sigdelset(&all, SIGSTOP);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    // A session of its own: ^C on the terminal is for the engine, which ends the executor in order.
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  }
  ~SpawnAttributes() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  posix_spawn_file_actions_t* actions() { return &actions_; }
  posix_spawnattr_t* attributes() { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

Result<Child> spawn(const ExecutorConfig& config) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return make_error(ErrorCode::kIo, "executor: socketpair", errno);
  }
  Child child;
  child.socket.reset(ends[0]);
  const UniqueFd theirs(ends[1]);
  SpawnAttributes spawn;
  ::posix_spawn_file_actions_adddup2(spawn.actions(), theirs.get(), kChildSocketFd);
  ::posix_spawn_file_actions_addclosefrom_np(spawn.actions(), kChildSocketFd + 1);
  std::vector<char*> argv;
  for (const auto& argument : config.program) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  char* const no_environment[] = {nullptr};
  const int error = ::posix_spawn(&child.pid, argv[0], spawn.actions(), spawn.attributes(),
                                  argv.data(), no_environment);
  if (error != 0) {
    return make_error(ErrorCode::kIo,
                      "executor: cannot start " + config.program[0] + ": " + std::strerror(error),
                      error);
  }
  const std::string limits = encode_limits(config);
  if (::send(child.socket.get(), limits.data(), limits.size(), MSG_NOSIGNAL) < 0) {
    const int send_error = errno;
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    return make_error(ErrorCode::kIo, "executor: ended at once", send_error);
  }
  return child;
}

// The executor cleans up before it ends; give it the time, then insist.
void wait_for_end(pid_t pid) {
  const std::int64_t deadline_ns = monotonic_ns() + kStopNs;
  while (monotonic_ns() < deadline_ns) {
    const pid_t reaped = ::waitpid(pid, nullptr, WNOHANG);
    if (reaped == pid || (reaped < 0 && errno == ECHILD)) return;
    ::poll(nullptr, 0, 1);
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

}  // namespace

Result<ExecutorConfig> validated(ExecutorConfig config) {
  const auto bad = [](const std::string& message) {
    return make_error(ErrorCode::kConfig, "executor." + message);
  };
  if (config.program.empty() || !config.program[0].starts_with('/')) {
    return bad("program: must be an absolute path and its arguments");
  }
  if (config.concurrency_max == 0 || config.concurrency_max > 64) {
    return bad("concurrency_max: " + std::to_string(config.concurrency_max) +
               " is outside [1, 64]");
  }
  if (config.files_max != 0 && config.files_max < 16) {
    return bad("files_max: " + std::to_string(config.files_max) + " is under 16");
  }
  return config;
}

class ProcessExecutor::Impl {
 public:
  Impl(ExecutorConfig config, OnResult on_result, Child child)
      : config_(std::move(config)), on_result_(std::move(on_result)), child_(std::move(child)) {
    reader_ = std::thread([this] { read_results(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      // The executor reads end-of-file and kills what runs; so does our reader.
      ::shutdown(child_.socket.get(), SHUT_RDWR);
      answered_.notify_all();
    }
    reader_.join();
    if (child_.pid > 0) wait_for_end(child_.pid);
  }

  [[nodiscard]] bool synchronous() const noexcept { return on_result_ == nullptr; }

  std::optional<std::uint64_t> submit(const StepCommand& command) {
    const std::lock_guard lock(mutex_);
    if (stopping_ || child_.pid == 0 || pending_.size() >= config_.concurrency_max) {
      return std::nullopt;
    }
    const std::uint64_t id = ++last_id_;
    const std::string packet = encode_request(StepRequest{id, command});
    if (packet.size() > kPacketBytesMax) return std::nullopt;
    if (::send(child_.socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) <
        0) {
      return std::nullopt;
    }
    Pending pending;
    pending.run_id = command.run_id;
    pending.step_index = command.step_index;
    pending_[id] = std::move(pending);
    return id;
  }

  StepResult run(const StepCommand& command) {
    const auto id = submit(command);
    StepResult result;
    result.run_id = command.run_id;
    result.step_index = command.step_index;
    result.output_tail = "the executor did not accept the step";
    if (!id) return result;
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [&] { return stopping_ || answers_.contains(*id); });
    const auto found = answers_.find(*id);
    if (found == answers_.end()) return result;
    result = std::move(found->second);
    answers_.erase(found);
    return result;
  }

  int pid() const {
    const std::lock_guard lock(mutex_);
    return child_.pid;
  }
  std::uint32_t restart_count() const {
    const std::lock_guard lock(mutex_);
    return restart_count_;
  }

 private:
  struct Pending {
    std::string run_id;
    std::uint32_t step_index = 0;
  };

  // The reader thread: one result after the other, and the executor's end.
  void read_results() {
    std::string bytes(kResultBytesMax, '\0');
    while (true) {
      int fd = -1;
      {
        const std::lock_guard lock(mutex_);
        if (stopping_ || child_.pid == 0) return;
        fd = child_.socket.get();  // only this thread replaces it
      }
      const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        restart();
        continue;
      }
      if (auto reply = decode_reply(std::string_view(bytes.data(), static_cast<std::size_t>(n)))) {
        deliver(reply->id, std::move(reply->result));
      }
    }
  }

  void deliver(std::uint64_t id, StepResult result) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = pending_.find(id);
      if (found == pending_.end() || stopping_) return;
      result.run_id = std::move(found->second.run_id);
      result.step_index = found->second.step_index;
      pending_.erase(found);
      if (synchronous()) {
        answers_[id] = std::move(result);
        answered_.notify_all();
        return;
      }
    }
    on_result_(std::move(result));
  }

  // The executor has died: its guards are killing what ran. Every step is answered, then a new
  // executor takes its place.
  void restart() {
    std::vector<std::uint64_t> lost;
    pid_t dead = 0;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      dead = std::exchange(child_.pid, 0);
      for (const auto& [id, pending] : pending_) lost.push_back(id);
    }
    ::kill(dead, SIGKILL);  // it closed its socket, so it is of no use, dead or not
    ::waitpid(dead, nullptr, 0);
    for (const std::uint64_t id : lost) {
      StepResult result;
      result.output_tail = "executor ended";
      // Whether the step had its effect is not known, as with a timeout.
      result.timed_out = true;
      deliver(id, std::move(result));
    }
    const std::lock_guard lock(mutex_);
    if (stopping_ || restart_count_ >= config_.restarts_max) return;
    ++restart_count_;
    if (auto child = spawn(config_)) child_ = std::move(*child);
  }

  const ExecutorConfig config_;
  const OnResult on_result_;
  // Guards all below. Never held while calling out.
  mutable std::mutex mutex_;
  std::condition_variable answered_;
  Child child_;
  std::map<std::uint64_t, Pending> pending_;     // at most concurrency_max
  std::map<std::uint64_t, StepResult> answers_;  // synchronous: not yet taken by run()
  std::uint64_t last_id_ = 0;
  std::uint32_t restart_count_ = 0;
  bool stopping_ = false;
  std::thread reader_;
};

Result<std::unique_ptr<ProcessExecutor>> ProcessExecutor::start(ExecutorConfig config,
                                                                OnResult on_result) {
  auto checked = validated(std::move(config));
  if (!checked) return tl::unexpected(checked.error());
  auto child = spawn(*checked);
  if (!child) return tl::unexpected(child.error());
  return std::unique_ptr<ProcessExecutor>(new ProcessExecutor(
      std::make_unique<Impl>(std::move(*checked), std::move(on_result), std::move(*child))));
}

ProcessExecutor::ProcessExecutor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProcessExecutor::~ProcessExecutor() = default;
bool ProcessExecutor::synchronous() const noexcept {
  return impl_->synchronous();
}
StepResult ProcessExecutor::run(const StepCommand& command) {
  return impl_->run(command);
}
bool ProcessExecutor::submit(const StepCommand& command) {
  return impl_->submit(command).has_value();
}
int ProcessExecutor::executor_pid() const {
  return impl_->pid();
}
std::uint32_t ProcessExecutor::restart_count() const {
  return impl_->restart_count();
}

}  // namespace grace::schedule
