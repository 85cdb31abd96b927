#include "grace/core/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include "temporary_folder.h"

namespace grace::core {
namespace {

ProcessSpec shell(std::string script) {
  ProcessSpec spec;
  spec.argv = {"/bin/sh", "-c", std::move(script)};
  return spec;
}

ExitStatus wait_for(Process& process) {
  for (;;) {
    if (const auto status = process.poll()) return *status;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

class ProcessTest : public ::testing::Test {
 protected:
  std::unique_ptr<Process> spawn(const ProcessSpec& spec) {
    Result<std::unique_ptr<Process>> process = spawner_->spawn(spec);
    EXPECT_TRUE(process) << process.error().message;
    return process ? std::move(*process) : nullptr;
  }
  std::unique_ptr<ProcessSpawner> spawner_ = make_system_process_spawner();
};

TEST_F(ProcessTest, TellsExitCodesSignalsAndOutput) {
  auto process = spawn(shell("echo out; echo err >&2; exit 3"));
  const ExitStatus status = wait_for(*process);
  EXPECT_EQ(status.exit_code, 3);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(process->output_tail(), "out\nerr\n");
  EXPECT_EQ(process->poll()->exit_code, 3) << "the answer stays";

  process = spawn(shell("kill -TERM $$"));
  const ExitStatus killed = wait_for(*process);
  EXPECT_EQ(killed.signal, SIGTERM);
  EXPECT_EQ(killed.exit_code, -1);
}

TEST_F(ProcessTest, ArgumentsReachTheProgramUnchanged) {
  ProcessSpec spec;
  spec.argv = {"/bin/echo", "$HOME; rm -rf *", "a  b", "'\""};
  auto process = spawn(spec);
  EXPECT_TRUE(wait_for(*process).ok());
  EXPECT_EQ(process->output_tail(), "$HOME; rm -rf * a  b '\"\n");
}

TEST_F(ProcessTest, StartsWithNothingOfOurs) {
  ASSERT_EQ(::setenv("GRACE_SECRET", "1", 1), 0);
  const int leaked = ::dup(STDERR_FILENO);  // not close-on-exec
  ProcessSpec spec = shell("pwd; read line || echo no input; test -e /proc/self/fd/" +
                           std::to_string(leaked) + " || echo closed; /usr/bin/env");
  spec.environment = {"ONLY=this"};
  spec.output_bytes_max = 4096;
  auto process = spawn(spec);
  wait_for(*process);
  ::close(leaked);
  const std::string& out = process->output_tail();
  EXPECT_TRUE(out.starts_with("/\nno input\nclosed\n")) << out;
  EXPECT_NE(out.find("ONLY=this"), std::string::npos) << out;
  EXPECT_EQ(out.find("GRACE_SECRET"), std::string::npos) << out;
}

TEST_F(ProcessTest, KeepsTheTailOfATalkativeProcess) {
  ProcessSpec spec = shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done");
  spec.output_bytes_max = 11;
  auto process = spawn(spec);
  EXPECT_TRUE(wait_for(*process).ok()) << "it was not held up by a full pipe";
  EXPECT_EQ(process->output_tail(), "line 19999\n");
}

bool alive(pid_t pid) {
  std::string word;
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  stat >> word >> word >> word;
  return stat && word != "Z";  // a zombie that nobody reaps is dead
}

TEST_F(ProcessTest, KillReachesWhatItStarted) {
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/pid";
  auto process = spawn(
      shell("sleep 600 & echo $! > " + file + ".new; mv " + file + ".new " + file + "; wait"));
  while (!std::filesystem::exists(file)) std::this_thread::yield();
  pid_t grandchild = 0;
  std::ifstream(file) >> grandchild;
  ASSERT_GT(grandchild, 1);
  EXPECT_FALSE(process->poll());
  process->kill();
  EXPECT_EQ(wait_for(*process).signal, SIGKILL);
  while (alive(grandchild)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST_F(ProcessTest, DestructorLeavesNoProcess) {
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/pid";
  {
    auto process =
        spawn(shell("echo $$ > " + file + ".new; mv " + file + ".new " + file + "; sleep 600"));
    while (!std::filesystem::exists(file)) std::this_thread::yield();
  }
  pid_t child = 0;
  std::ifstream(file) >> child;
  EXPECT_NE(::kill(child, 0), 0);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(ProcessTest, HoldsItToItsLimits) {
  const TemporaryFolder folder;
  ProcessSpec spec;
  spec.argv = {"/bin/dd", "if=/dev/zero", "of=" + folder.path() + "/big", "bs=4096", "count=100"};
  spec.file_bytes_max = 8192;
  auto process = spawn(spec);
  EXPECT_FALSE(wait_for(*process).ok());
  EXPECT_LE(std::filesystem::file_size(folder.path() + "/big"), 8192U);
}

TEST_F(ProcessTest, SaysWhyAProgramCannotStart) {
  ProcessSpec spec;
  spec.argv = {"/nowhere/program"};
  const auto missing = spawner_->spawn(spec);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().os_error, ENOENT);
  spec.argv = {"/etc/passwd"};
  EXPECT_EQ(spawner_->spawn(spec).error().os_error, EACCES);
  spec.argv = {"sh"};
  EXPECT_EQ(spawner_->spawn(spec).error().code, ErrorCode::kInvalidArgument) << "no search path";
  spec.argv = {};
  EXPECT_FALSE(spawner_->spawn(spec));
  spec = shell("exit 0");
  spec.directory = "/nowhere";
  EXPECT_EQ(spawner_->spawn(spec).error().os_error, ENOENT);
}

}  // namespace
}  // namespace grace::core
