#include "executor_guard.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "http_client.h"
#include "monotonic.h"
#include "unique_fd.h"

namespace grace::schedule {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
// How long the guard goes on killing what a command left. A fork bomb loses this race, because it
// is killed group and all, before its children are.
constexpr std::int64_t kCleanUpNs = 5'000 * kNsPerMs;

void close_all_but(int keep_fd) {
  const auto keep = static_cast<unsigned>(keep_fd);
  if (keep > 3) ::syscall(SYS_close_range, 3U, keep - 1, 0U);
  ::syscall(SYS_close_range, keep + 1, ~0U, 0U);
}

void set_limit(decltype(RLIMIT_CPU) resource, std::uint64_t value) {
  if (value == 0) return;
  const rlimit limit{value, value};
  ::setrlimit(resource, &limit);
}

[[noreturn]] void exec_failed(const char* what) {
  char text[256];
  const int size = std::snprintf(text, sizeof text, "%s: %s", what, std::strerror(errno));
  if (size > 0) {
    static_cast<void>(!::write(STDERR_FILENO, text, static_cast<std::size_t>(size)));
  }
  ::_exit(127);
}

// In the command's process, between fork and exec. Descriptors are close-on-exec or 0, 1, 2.
[[noreturn]] void become_command(const StepRequest& request, const ExecutorConfig& limits,
                                 int output_fd, int guard_pid) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != guard_pid) ::_exit(127);  // it died before the line above
  if (::dup2(output_fd, STDOUT_FILENO) < 0 || ::dup2(output_fd, STDERR_FILENO) < 0) ::_exit(127);
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  if (limits.no_new_privileges) ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::umask(077);
  if (::chdir("/") != 0) exec_failed("chdir /");
  // What the engine ignores or blocks, the command must not.
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> argv;
  for (const auto& argument : request.command.argv) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  char* const no_environment[] = {nullptr};
  const auto seconds = static_cast<std::uint64_t>(request.command.timeout.count() / 1000);
  set_limit(RLIMIT_CPU, seconds + 1);
  set_limit(RLIMIT_NOFILE, limits.files_max);
  set_limit(RLIMIT_NPROC, limits.processes_max);
  set_limit(RLIMIT_FSIZE, limits.file_bytes_max);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  // Last: this process has the executor's memory still, which may be over it, and could take none.
  set_limit(RLIMIT_AS, limits.memory_bytes_max);
  ::execve(argv[0], argv.data(), no_environment);
  exec_failed(argv[0]);
}

// Kills this process's children, and theirs as they are handed up to it (it is a subreaper).
void kill_descendants() {
  const std::int64_t deadline_ns = monotonic_ns() + kCleanUpNs;
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/children", static_cast<int>(::getpid()));
  while (monotonic_ns() < deadline_ns) {
    if (std::FILE* children = std::fopen(path, "re")) {
      int pid = 0;
      while (std::fscanf(children, "%d", &pid) == 1) ::kill(pid, SIGKILL);
      std::fclose(children);
    }
    const pid_t reaped = ::waitpid(-1, nullptr, WNOHANG);
    if (reaped < 0 && errno == ECHILD) return;  // nothing is left
    if (reaped == 0) ::poll(nullptr, 0, 1);     // killed, not yet gone
  }
}

class Guard {
 public:
  Guard(const StepRequest& request, const ExecutorConfig& limits)
      : request_(request),
        limits_(limits),
        deadline_ns_(monotonic_ns() + request.command.timeout.count() * kNsPerMs) {}

  core::StepResult run() {
    if (!start()) {
      core::StepResult result;
      result.output_tail = std::string("cannot start: ") + std::strerror(errno);
      return result;
    }
    while (!ended_ && !result_.timed_out) wait_once();
    if (result_.timed_out) {
      ::kill(-command_pid_, SIGKILL);
      kill_descendants();
    } else {
      // A step that has ended has ended: what it left in its group ends with it. What made itself a
      // daemon (setsid) is a service that the step has started, and stays.
      ::kill(-command_pid_, SIGKILL);
    }
    drain();
    result_.output_tail = tail_.text();
    return result_;
  }

 private:
  bool start() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    sigset_t watched;
    ::sigemptyset(&watched);
    ::sigaddset(&watched, SIGCHLD);
    ::sigaddset(&watched, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &watched, nullptr);
    signals_.reset(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
    int ends[2];
    if (!signals_.valid() || ::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    output_.reset(ends[0]);
    const UniqueFd command_end(ends[1]);
    // The command's end blocks, as a command expects of its output.
    ::fcntl(command_end.get(), F_SETFL, 0);
    const int guard_pid = ::getpid();
    command_pid_ = ::fork();
    if (command_pid_ < 0) return false;
    if (command_pid_ == 0) become_command(request_, limits_, command_end.get(), guard_pid);
    ::setpgid(command_pid_, command_pid_);  // both sides: whoever is first
    return true;
  }

  void wait_once() {
    pollfd items[2] = {{signals_.get(), POLLIN, 0}, {output_open_ ? output_.get() : -1, POLLIN, 0}};
    const int left_ms = milliseconds_until(deadline_ns_);
    if (left_ms == 0) {
      result_.timed_out = true;
      return;
    }
    if (::poll(items, 2, left_ms) <= 0) return;
    if (items[1].revents != 0) read_output();
    if (items[0].revents == 0) return;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo != SIGTERM) continue;
      // The executor is gone or stops us: nobody is left to report to.
      ::kill(-command_pid_, SIGKILL);
      kill_descendants();
      ::_exit(1);
    }
    reap();
  }

  void reap() {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0;
         pid = ::waitpid(-1, &status, WNOHANG)) {
      if (pid != command_pid_) continue;  // an orphan of the command
      ended_ = true;
      if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
      result_.ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
  }

  // One bounded read. False: nothing to read now.
  bool read_output() {
    char bytes[4096];
    const ssize_t n = ::read(output_.get(), bytes, sizeof bytes);
    if (n > 0) tail_.add(std::string_view(bytes, static_cast<std::size_t>(n)));
    if (n == 0) output_open_ = false;
    return n > 0;
  }

  // What is in the pipe already; not to its end, which a daemon may hold open for ever.
  void drain() {
    constexpr int kReadsMax = 64;
    for (int i = 0; i < kReadsMax && output_open_ && read_output(); ++i) {
    }
  }

  const StepRequest& request_;
  const ExecutorConfig& limits_;
  const std::int64_t deadline_ns_;
  UniqueFd signals_;
  UniqueFd output_;
  bool output_open_ = true;
  pid_t command_pid_ = -1;
  bool ended_ = false;
  OutputTail tail_;
  core::StepResult result_;
};

}  // namespace

void run_guard(const StepRequest& request, const ExecutorConfig& limits, int reply_fd,
               int executor_pid) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != executor_pid) ::_exit(1);  // it died before the line above
  close_all_but(reply_fd);
  const std::int64_t begun_ns = monotonic_ns();
  StepReply reply;
  reply.id = request.id;
  if (request.command.kind == core::StepKind::kHttp) {
    reply.result = http_request(request.command, limits.http_hosts,
                                begun_ns + request.command.timeout.count() * kNsPerMs);
  } else {
    reply.result = Guard(request, limits).run();
  }
  reply.result.duration_ms = (monotonic_ns() - begun_ns) / kNsPerMs;
  const std::string packet = encode_reply(reply);
  const ssize_t written = ::write(reply_fd, packet.data(), packet.size());
  ::_exit(written == static_cast<ssize_t>(packet.size()) ? 0 : 1);
}

}  // namespace grace::schedule
