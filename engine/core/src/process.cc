#include "grace/core/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <array>

#include "descriptor.h"
#include "grace/core/assert.h"

namespace grace::core {
namespace {

struct Pipe {
  Descriptor reader, writer;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return io_error("pipe");
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

// Everything the child needs, made before fork(): after it, in a process that had other threads,
// only async-signal-safe calls are allowed, and memory may not be taken.
struct ChildPlan {
  std::vector<char*> argv;
  std::vector<char*> environment;
  const char* directory;
  std::array<std::pair<int, rlim_t>, 4> limits;
  int null_fd;
  int output_fd;
  int failure_fd;  // closes on exec; carries errno when exec or a step before it fails
};

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  // execve() takes pointers to char for C's sake; it does not write there.
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

[[noreturn]] void fail_child(int failure_fd) noexcept {
  const int os_error = errno;
  // If the parent is gone, nobody needs to know.
  static_cast<void>(!::write(failure_fd, &os_error, sizeof os_error));
  ::_exit(127);
}

bool limit_child(const ChildPlan& plan) noexcept {
  for (const auto& [what, bound] : plan.limits) {
    if (bound == 0) continue;
    const rlimit both{bound, bound};
    // The enum of glibc's C++ declaration differs from the constants' type.
    if (::setrlimit(static_cast<__rlimit_resource_t>(what), &both) != 0) return false;
  }
  return true;
}

[[noreturn]] void run_child(const ChildPlan& plan) noexcept {
  // A handler of ours must not run there, and an ignored signal would stay ignored after exec.
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0 || ::setpgid(0, 0) != 0 ||
      ::dup2(plan.null_fd, STDIN_FILENO) < 0 || ::dup2(plan.output_fd, STDOUT_FILENO) < 0 ||
      ::dup2(plan.output_fd, STDERR_FILENO) < 0 || ::chdir(plan.directory) != 0 ||
      !limit_child(plan)) {
    fail_child(plan.failure_fd);
  }
  // All descriptors of ours are close-on-exec; this is for those that a library opened otherwise.
  static_cast<void>(::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
  ::execve(plan.argv[0], plan.argv.data(), plan.environment.data());
  fail_child(plan.failure_fd);
}

class SystemProcess final : public Process {
 public:
  SystemProcess(pid_t pid, Descriptor output, std::size_t output_bytes_max)
      : pid_(pid), output_(std::move(output)), output_bytes_max_(output_bytes_max) {}
  ~SystemProcess() override {
    if (status_.has_value()) return;
    kill();
    int ignored = 0;
    retry_interrupted([&] { return ::waitpid(pid_, &ignored, 0); });
  }

  std::optional<ExitStatus> poll() override {
    drain();
    if (status_.has_value()) return status_;
    int raw = 0;
    const pid_t done = retry_interrupted([&] { return ::waitpid(pid_, &raw, WNOHANG); });
    if (done == 0) return std::nullopt;
    ExitStatus status;
    if (done == pid_ && WIFEXITED(raw)) status.exit_code = WEXITSTATUS(raw);
    if (done == pid_ && WIFSIGNALED(raw)) status.signal = WTERMSIG(raw);
    // What it started may live on in its group. From here on the group's number may be given to
    // someone else, so this is the last moment to end them.
    static_cast<void>(::kill(-pid_, SIGKILL));
    drain();
    status_ = status;
    return status_;
  }

  void kill() override {
    // Not after the child was reaped: its number may belong to another process by then.
    if (!status_.has_value()) static_cast<void>(::kill(-pid_, SIGKILL));
  }

  const std::string& output_tail() const override { return tail_; }

 private:
  // Bounded, so that an endless talker cannot keep the caller here.
  void drain() {
    constexpr int kReadsMax = 64;
    std::array<char, 4096> buffer;
    for (int i = 0; i < kReadsMax; ++i) {
      const ssize_t got =
          retry_interrupted([&] { return ::read(output_.get(), buffer.data(), buffer.size()); });
      if (got <= 0) return;
      tail_.append(buffer.data(), static_cast<std::size_t>(got));
      if (tail_.size() > output_bytes_max_) tail_.erase(0, tail_.size() - output_bytes_max_);
    }
  }

  const pid_t pid_;
  Descriptor output_;
  const std::size_t output_bytes_max_;
  std::string tail_;
  std::optional<ExitStatus> status_;  // set once: the child is reaped
};

class SystemProcessSpawner final : public ProcessSpawner {
 public:
  Result<std::unique_ptr<Process>> spawn(const ProcessSpec& spec) override {
    if (spec.argv.empty() || spec.argv[0].empty() || spec.argv[0][0] != '/') {
      return make_error(
          ErrorCode::kInvalidArgument,
          "'" + (spec.argv.empty() ? std::string() : spec.argv[0]) + "' is not an absolute path");
    }
    Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.valid()) return io_error("/dev/null");
    Result<Pipe> output = make_pipe();
    if (!output) return tl::unexpected(output.error());
    Result<Pipe> failure = make_pipe();
    if (!failure) return tl::unexpected(failure.error());
    if (::fcntl(output->reader.get(), F_SETFL, O_NONBLOCK) != 0) return io_error("pipe");

    const ChildPlan plan{pointers_to(spec.argv),
                         pointers_to(spec.environment),
                         spec.directory.c_str(),
                         {{{RLIMIT_CPU, spec.cpu_seconds_max},
                           {RLIMIT_AS, spec.memory_bytes_max},
                           {RLIMIT_FSIZE, spec.file_bytes_max},
                           {RLIMIT_NOFILE, spec.open_files_max}}},
                         null.get(),
                         output->writer.get(),
                         failure->writer.get()};
    const pid_t pid = ::fork();
    if (pid < 0) return io_error("fork");
    if (pid == 0) run_child(plan);
    // The child does the same; whoever comes first, the group exists before anyone kills it.
    static_cast<void>(::setpgid(pid, pid));
    output->writer.reset();
    failure->writer.reset();

    int os_error = 0;
    const ssize_t got = retry_interrupted(
        [&] { return ::read(failure->reader.get(), &os_error, sizeof os_error); });
    if (got == sizeof os_error) {
      int ignored = 0;
      retry_interrupted([&] { return ::waitpid(pid, &ignored, 0); });
      errno = os_error;
      return io_error(spec.argv[0] + ": start");
    }
    return std::make_unique<SystemProcess>(pid, std::move(output->reader), spec.output_bytes_max);
  }
};

}  // namespace

std::unique_ptr<ProcessSpawner> make_system_process_spawner() {
  return std::make_unique<SystemProcessSpawner>();
}

}  // namespace grace::core
