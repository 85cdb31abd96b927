// A command for the executor's tests to run: each word does one thing that commands do.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

extern char** environ;

namespace {

// Writes this process's id into the file, so that the test can look whether it still lives.
void leave_pid(const char* path) {
  const std::string temporary = std::string(path) + ".new";
  std::FILE* file = std::fopen(temporary.c_str(), "w");
  if (file == nullptr) std::exit(99);
  std::fprintf(file, "%d\n", static_cast<int>(getpid()));
  std::fclose(file);
  std::rename(temporary.c_str(), path);
}

// Reads from a pipe that nobody writes to: hangs without using the processor.
[[noreturn]] void hang() {
  for (;;) pause();
}

int count_environment() {
  int count = 0;
  for (char** variable = environ; *variable != nullptr; ++variable) ++count;
  return count;
}

int count_descriptors() {
  DIR* directory = opendir("/proc/self/fd");
  int count = -1;  // the directory's own
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] == '.' ? 0 : 1;
  closedir(directory);
  return count;
}

int show_surroundings() {
  char directory[256] = "?";
  if (getcwd(directory, sizeof directory) == nullptr) return 1;
  struct stat in {};
  struct stat null {};
  fstat(0, &in);
  stat("/dev/null", &null);
  rlimit core{};
  rlimit files{};
  getrlimit(RLIMIT_CORE, &core);
  getrlimit(RLIMIT_NOFILE, &files);
  sigset_t blocked;
  sigprocmask(SIG_BLOCK, nullptr, &blocked);
  std::printf("env=%d fds=%d cwd=%s stdin_null=%d leads_group=%d core=%d files=%d blocked=%d",
              count_environment(), count_descriptors(), directory, in.st_rdev == null.st_rdev,
              getpgrp() == getpid(), static_cast<int>(core.rlim_cur),
              static_cast<int>(files.rlim_cur), sigismember(&blocked, SIGTERM));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "";
  if (word == "exit") return std::atoi(argv[2]);
  if (word == "abort") std::abort();
  if (word == "args") {
    for (int i = 2; i < argc; ++i) std::printf("[%s]", argv[i]);
    return 0;
  }
  if (word == "flood") {
    for (int i = 0; i < 200'000; ++i) std::printf("line %d of very much output\n", i);
    std::printf("the\tend");
    return 0;
  }
  if (word == "surroundings") return show_surroundings();
  if (word == "hang") {
    leave_pid(argv[2]);
    hang();
  }
  // A child in the group, and a grandchild that has left group and session and ignores what it can.
  if (word == "hang_with_children") {
    if (fork() == 0) {
      leave_pid(argv[2]);
      hang();
    }
    if (fork() == 0) {
      setsid();
      if (fork() == 0) {
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        leave_pid(argv[3]);
        hang();
      }
      _exit(0);
    }
    hang();
  }
  if (word == "leave_child_in_group") {
    if (fork() == 0) {
      leave_pid(argv[2]);
      hang();
    }
    while (access(argv[2], F_OK) != 0) usleep(1000);
    return 0;
  }
  if (word == "eat_memory") {
    constexpr std::size_t kBytes = std::size_t{512} << 20;
    void* memory = std::malloc(kBytes);
    if (memory == nullptr) return 42;
    std::memset(memory, 1, kBytes);
    std::printf("%p", memory);
    return 0;
  }
  std::fprintf(stderr, "step_helper: unknown word %s", word.c_str());
  return 64;
}
