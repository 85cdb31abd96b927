// The executor process, with real commands. Waiting is always for something to happen; no test
// depends on how long anything takes.
#include "grace/schedule/process_executor.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace grace::schedule {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{60'000};

bool is_alive(int pid) {
  // A zombie is dead: it only waits to be counted.
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(stat, text)) return false;
  const auto close = text.rfind(')');
  return close != std::string::npos && close + 2 < text.size() && text[close + 2] != 'Z';
}

// Waits until it holds; the test program's own timeout is the only limit.
template <typename Condition>
void wait_until(Condition condition) {
  while (!condition()) ::poll(nullptr, 0, 2);
}

int open_descriptor_count() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

class ProcessExecutorTest : public ::testing::Test {
 protected:
  ProcessExecutorTest() {
    char name[] = "/tmp/grace_executor_XXXXXX";
    directory_ = ::mkdtemp(name);
    config.program = {GRACE_EXECUTOR_PROGRAM};
  }
  ~ProcessExecutorTest() override {
    executor.reset();
    std::filesystem::remove_all(directory_);
  }

  void start() {
    auto started = ProcessExecutor::start(config, [this](core::StepResult&& result) {
      const std::lock_guard lock(mutex_);
      results_[result.step_index] = std::move(result);
      changed_.notify_all();
    });
    ASSERT_TRUE(started.has_value()) << started.error().message;
    executor = std::move(*started);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return directory_ + "/" + name; }

  core::StepCommand command(std::uint32_t step, std::vector<std::string> words,
                            milliseconds timeout = kLong) {
    core::StepCommand command;
    command.run_id = "run_1";
    command.step_index = step;
    command.argv = {GRACE_STEP_HELPER};
    command.argv.insert(command.argv.end(), words.begin(), words.end());
    command.timeout = timeout;
    return command;
  }
  core::StepResult result_of(std::uint32_t step) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return results_.contains(step); });
    return results_[step];
  }
  core::StepResult run(std::vector<std::string> words, milliseconds timeout = kLong) {
    const std::uint32_t step = next_step_++;
    EXPECT_TRUE(executor->submit(command(step, std::move(words), timeout)));
    return result_of(step);
  }
  int pid_in(const std::string& path) {
    wait_until([&] { return std::filesystem::exists(path); });
    int pid = 0;
    std::ifstream(path) >> pid;
    return pid;
  }

  ExecutorConfig config;
  std::unique_ptr<ProcessExecutor> executor;

 private:
  std::string directory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint32_t, core::StepResult> results_;
  std::uint32_t next_step_ = 0;
};

TEST_F(ProcessExecutorTest, ReportsExitCodesAndOutput) {
  start();
  const auto good = run({"args", "a b", "; rm -rf /", "$(id)", "*"});
  EXPECT_TRUE(good.ok);
  EXPECT_EQ(good.exit_code, 0);
  EXPECT_EQ(good.run_id, "run_1");
  EXPECT_EQ(good.output_tail, "[a b][; rm -rf /][$(id)][*]");
  const auto bad = run({"exit", "7"});
  EXPECT_FALSE(bad.ok);
  EXPECT_EQ(bad.exit_code, 7);
  const auto killed = run({"abort"});
  EXPECT_FALSE(killed.ok);
  EXPECT_EQ(killed.exit_code, -1);
  EXPECT_FALSE(killed.timed_out);
}

TEST_F(ProcessExecutorTest, SaysWhyACommandCouldNotStart) {
  start();
  auto missing = command(900, {});
  missing.argv = {"/nonexistent/program"};
  ASSERT_TRUE(executor->submit(missing));
  const auto result = result_of(900);
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.exit_code, 127);
  EXPECT_NE(result.output_tail.find("/nonexistent/program: No such file"), std::string::npos);
}

TEST_F(ProcessExecutorTest, GivesCommandsNothingOfTheEngine) {
  // Things to inherit, if anything were.
  ::setenv("GRACE_SECRET", "1", 1);
  const int leaked = ::dup(0);
  config.files_max = 77;
  start();
  EXPECT_EQ(run({"surroundings"}).output_tail,
            "env=0 fds=3 cwd=/ stdin_null=1 leads_group=1 core=0 files=77 blocked=0");
  ::close(leaked);
}

TEST_F(ProcessExecutorTest, KeepsTheTailOfMuchOutput) {
  start();
  const auto result = run({"flood"});
  EXPECT_TRUE(result.ok);
  EXPECT_LE(result.output_tail.size(), 1024u);
  EXPECT_GT(result.output_tail.size(), 900u);
  EXPECT_TRUE(result.output_tail.ends_with("output the end")) << result.output_tail;
}

TEST_F(ProcessExecutorTest, KillsAHangingCommandWithItsChildren) {
  start();
  const auto step =
      command(1, {"hang_with_children", file("child"), file("grandchild")}, milliseconds{300});
  ASSERT_TRUE(executor->submit(step));
  const auto result = result_of(1);
  EXPECT_TRUE(result.timed_out);
  EXPECT_FALSE(result.ok);
  // The files may not have been written when the time was up; then there is nothing to kill either.
  for (const auto& name : {"child", "grandchild"}) {
    if (!std::filesystem::exists(file(name))) continue;
    EXPECT_FALSE(is_alive(pid_in(file(name)))) << name;
  }
}

TEST_F(ProcessExecutorTest, EndsWhatAStepLeavesInItsGroup) {
  start();
  EXPECT_TRUE(run({"leave_child_in_group", file("child")}).ok);
  const int child = pid_in(file("child"));
  wait_until([&] { return !is_alive(child); });
}

TEST_F(ProcessExecutorTest, HoldsTheMemoryLimit) {
  config.memory_bytes_max = std::uint64_t{256} << 20;
  start();
  EXPECT_EQ(run({"eat_memory"}).exit_code, 42);
}

TEST_F(ProcessExecutorTest, RefusesMoreThanItsConcurrency) {
  config.concurrency_max = 2;
  start();
  ASSERT_TRUE(executor->submit(command(1, {"hang", file("one")})));
  ASSERT_TRUE(executor->submit(command(2, {"hang", file("two")})));
  EXPECT_FALSE(executor->submit(command(3, {"exit", "0"})));
  const int one = pid_in(file("one"));
  ::kill(one, SIGKILL);
  EXPECT_FALSE(result_of(1).ok);
  EXPECT_TRUE(executor->submit(command(4, {"exit", "0"})));
  EXPECT_TRUE(result_of(4).ok);
}

TEST_F(ProcessExecutorTest, RunsStepsSideBySide) {
  start();
  ASSERT_TRUE(executor->submit(command(1, {"hang", file("one")})));
  pid_in(file("one"));
  EXPECT_TRUE(run({"exit", "0"}).ok);  // step 0, while step 1 hangs
}

TEST_F(ProcessExecutorTest, LeavesNothingAliveWhenItEnds) {
  start();
  ASSERT_TRUE(
      executor->submit(command(1, {"hang_with_children", file("child"), file("grandchild")})));
  const int child = pid_in(file("child"));
  const int grandchild = pid_in(file("grandchild"));
  const int executor_pid = executor->executor_pid();
  EXPECT_TRUE(is_alive(child));
  executor.reset();
  EXPECT_FALSE(is_alive(executor_pid));
  EXPECT_FALSE(is_alive(child));
  EXPECT_FALSE(is_alive(grandchild));
}

TEST_F(ProcessExecutorTest, ReportsStepsOfADeadExecutorAndStartsAnother) {
  start();
  ASSERT_TRUE(
      executor->submit(command(1, {"hang_with_children", file("child"), file("grandchild")})));
  const int child = pid_in(file("child"));
  const int grandchild = pid_in(file("grandchild"));
  const int first = executor->executor_pid();
  ::kill(first, SIGKILL);
  const auto result = result_of(1);
  EXPECT_FALSE(result.ok);
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.output_tail, "executor ended");
  // The guard outlives the executor just long enough to kill what it guards.
  wait_until([&] { return !is_alive(child) && !is_alive(grandchild); });
  wait_until([&] { return executor->executor_pid() > 0 && executor->executor_pid() != first; });
  EXPECT_EQ(executor->restart_count(), 1u);
  EXPECT_TRUE(run({"exit", "0"}).ok);
}

TEST_F(ProcessExecutorTest, GivesUpAfterItsRestarts) {
  config.restarts_max = 1;
  start();
  for (int i = 0; i < 2; ++i) {
    const int pid = executor->executor_pid();
    ASSERT_GT(pid, 0);
    ::kill(pid, SIGKILL);
    wait_until([&] {
      const int current = executor->executor_pid();
      return current != pid && (current > 0 || executor->restart_count() == 1);
    });
    if (executor->executor_pid() == 0) break;
  }
  wait_until([&] { return executor->executor_pid() == 0; });
  EXPECT_FALSE(executor->submit(command(1, {"exit", "0"})));
}

TEST_F(ProcessExecutorTest, LeaksNoDescriptors) {
  const int before = open_descriptor_count();
  for (int i = 0; i < 3; ++i) {
    start();
    EXPECT_TRUE(run({"exit", "0"}).ok);
    executor.reset();
  }
  EXPECT_EQ(open_descriptor_count(), before);
}

TEST_F(ProcessExecutorTest, WaitsForTheResultWhenSynchronous) {
  auto started = ProcessExecutor::start(config, nullptr);
  ASSERT_TRUE(started.has_value());
  EXPECT_TRUE((*started)->synchronous());
  for (std::uint32_t step = 0; step < 3; ++step) {
    const auto result = (*started)->run(command(step, {"exit", std::to_string(step)}));
    EXPECT_EQ(result.exit_code, static_cast<int>(step));
    EXPECT_EQ(result.step_index, step);
  }
}

TEST_F(ProcessExecutorTest, NamesAProgramThatDoesNotExist) {
  config.program = {"/nonexistent/executor"};
  const auto started = ProcessExecutor::start(config, nullptr);
  ASSERT_FALSE(started.has_value());
  EXPECT_NE(started.error().message.find("/nonexistent/executor"), std::string::npos);
  config.program = {"relative"};
  EXPECT_FALSE(ProcessExecutor::start(config, nullptr).has_value());
}

// A server for one request.
class OneShotServer {
 public:
  OneShotServer(int fd, std::string answer) : fd_(fd) {
    thread_ = std::thread([this, answer = std::move(answer)] {
      const int client = ::accept(fd_, nullptr, nullptr);
      if (client < 0) return;
      char bytes[4096];
      while (request_.find("\r\n\r\n") == std::string::npos ||
             !request_.ends_with("}")) {  // the tests' bodies end so
        const ssize_t n = ::recv(client, bytes, sizeof bytes, 0);
        if (n <= 0) break;
        request_.append(bytes, static_cast<std::size_t>(n));
      }
      if (!answer.empty()) ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      if (answer.empty()) ::recv(client, bytes, sizeof bytes, 0);  // until the client gives up
      ::close(client);
    });
  }
  ~OneShotServer() {
    ::shutdown(fd_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    ::close(fd_);
  }
  std::string request() {
    thread_.join();
    return request_;
  }
  static int tcp(std::uint16_t& port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(fd, 1);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    return fd;
  }

 private:
  int fd_;
  std::string request_;
  std::thread thread_;
};

core::StepCommand http_command(std::string url, milliseconds timeout = kLong) {
  core::StepCommand command;
  command.run_id = "run_1";
  command.kind = core::StepKind::kHttp;
  command.url = std::move(url);
  command.method = "POST";
  command.body = "{\"n\":2}";
  command.timeout = timeout;
  return command;
}

TEST_F(ProcessExecutorTest, SendsHttpRequestsToLoopback) {
  start();
  std::uint16_t port = 0;
  const int fd = OneShotServer::tcp(port);
  OneShotServer server(fd, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(
      executor->submit(http_command("http://127.0.0.1:" + std::to_string(port) + "/scale?n=2")));
  const auto result = result_of(0);
  EXPECT_TRUE(result.ok) << result.output_tail;
  const auto request = server.request();
  EXPECT_EQ(request.rfind("POST /scale?n=2 HTTP/1.1\r\n", 0), 0u) << request;
  EXPECT_NE(request.find("Content-Length: 7\r\n"), std::string::npos);
  EXPECT_TRUE(request.ends_with("\r\n\r\n{\"n\":2}"));
}

TEST_F(ProcessExecutorTest, SendsHttpRequestsOverAUnixSocket) {
  start();
  const std::string path = file("agent.sock");
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::listen(fd, 1);
  OneShotServer server(fd, "HTTP/1.1 503 Busy\r\n\r\nbusy");
  ASSERT_TRUE(executor->submit(http_command("unix:" + path + ":/scale")));
  const auto result = result_of(0);
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.exit_code, 503);
  EXPECT_NE(result.output_tail.find("503 Busy"), std::string::npos);
}

TEST_F(ProcessExecutorTest, GivesUpOnAServerThatDoesNotAnswer) {
  start();
  std::uint16_t port = 0;
  const int fd = OneShotServer::tcp(port);
  OneShotServer server(fd, "");
  ASSERT_TRUE(executor->submit(
      http_command("http://127.0.0.1:" + std::to_string(port) + "/", milliseconds{200})));
  const auto result = result_of(0);
  EXPECT_FALSE(result.ok);
  EXPECT_TRUE(result.timed_out);
}

TEST_F(ProcessExecutorTest, SendsNothingOffTheMachine) {
  start();
  ASSERT_TRUE(executor->submit(http_command("http://192.0.2.1/")));
  const auto result = result_of(0);
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.output_tail, "host is not allowed: 192.0.2.1");
}

}  // namespace
}  // namespace grace::schedule
