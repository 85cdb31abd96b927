#include "real_calls.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <thread>

namespace grace::ledger {
namespace {

// Runs `body` in a process of its own; its answer is the text it returns, empty for good.
template <typename Body>
std::string in_child(Body body) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t pid = ::fork();
  if (pid == 0) {
    const std::string answer = body();
    (void)!::write(ends[1], answer.data(), answer.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string answer;
  char buffer[512];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof(buffer))) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return answer;
}

void limit_file_bytes(std::uint64_t bytes) {
  ::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit limit = {bytes, bytes};
  (void)::setrlimit(RLIMIT_FSIZE, &limit);
}

// pwrite() takes what the limit leaves, then refuses: the seam goes on after the first and tells of
// the second.
std::string short_write_then_too_large(const std::string& path) {
  limit_file_bytes(10'000);
  FileSystem& fs = real_file_system();
  const int fd = fs.open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
  const std::vector<std::byte> bytes(16'384, std::byte{7});
  const std::int64_t outcome = fs.write_at(fd, bytes, 0);
  struct stat info {};
  (void)::fstat(fd, &info);
  if (outcome != -EFBIG) return "write_at gave " + std::to_string(outcome);
  if (info.st_size != 10'000) return "the file has " + std::to_string(info.st_size) + " bytes";
  return {};
}

std::string segment_over_the_limit(const std::string& directory) {
  limit_file_bytes(10'000);
  LogConfig config;
  config.directory = directory;
  const auto opened = Writer::open(config);
  if (opened) return "a segment was made in spite of the limit";
  if (opened.error().os_error != EFBIG) return "told of another: " + opened.error().message;
  return {};
}

std::atomic<int> g_signals{0};

// Interrupts the calling thread until told to stop, `times` at most.
class Interrupter {
 public:
  Interrupter(int times, std::chrono::microseconds pause) {
    struct sigaction action {};
    // Relaxed: a count, looked at when it is over.
    action.sa_handler = [](int) { g_signals.fetch_add(1, std::memory_order_relaxed); };
    (void)::sigaction(SIGUSR1, &action, nullptr);  // without SA_RESTART
    thread_ = std::thread([this, times, pause, target = ::pthread_self()] {
      // Relaxed: nothing hangs on when it is seen.
      for (int i = 0; i < times && !stop_.load(std::memory_order_relaxed); ++i) {
        std::this_thread::sleep_for(pause);
        (void)::pthread_kill(target, SIGUSR1);
      }
    });
  }
  ~Interrupter() {
    stop_.store(true, std::memory_order_relaxed);  // relaxed: as above
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// open() of a pipe waits for the other end, and signals interrupt that.
std::string interrupted_open(const std::string& path) {
  if (::mkfifo(path.c_str(), 0640) != 0) return "no fifo";
  const Interrupter interrupter(100, std::chrono::microseconds(500));
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const int fd = ::open(path.c_str(), O_RDONLY);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ::close(fd);
  });
  const int fd = real_file_system().open(path, O_WRONLY, 0);
  reader.join();
  // Relaxed: a statistic.
  if (g_signals.load(std::memory_order_relaxed) == 0) return "no signal came";
  return fd < 0 ? "open gave " + std::to_string(fd) : std::string();
}

// fallocate() of memory gives up on a signal and takes back what it did.
std::string interrupted_allocate(const std::string& path) {
  FileSystem& fs = real_file_system();
  const int fd = fs.open(path, O_RDWR | O_CREAT, 0640);
  int outcome = 0;
  {
    const Interrupter interrupter(50, std::chrono::microseconds(300));
    for (int i = 0; i < 5 && outcome == 0; ++i) {
      outcome = fs.truncate(fd, 0);
      if (outcome == 0) outcome = fs.allocate(fd, 32 << 20);
    }
  }
  struct stat info {};
  (void)::fstat(fd, &info);
  if (outcome != 0) return "allocate gave " + std::to_string(outcome);
  return info.st_size == 32 << 20 ? "" : "allocated another size";
}

}  // namespace

std::uint64_t run_real_calls(Campaign& campaign) {
  const CampaignFolder folder("system_calls_real");
  const std::pair<const char*, std::string> outcomes[] = {
      {"short write", in_child([&] { return short_write_then_too_large(folder / "short"); })},
      {"size limit", in_child([&] { return segment_over_the_limit(folder / "limit"); })},
      {"open, EINTR", in_child([&] { return interrupted_open(folder / "fifo"); })},
      {"allocate, EINTR", in_child([&] { return interrupted_allocate(folder / "allocate"); })},
  };
  for (const auto& [name, failure] : outcomes) {
    if (!failure.empty()) campaign.fail(name, failure);
  }
  std::printf("  below the seam: %zu cases\n", std::size(outcomes));
  return std::size(outcomes);
}

}  // namespace grace::ledger
