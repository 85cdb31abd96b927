#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace grace::ledger {

// The exit code of a program; 127 where there is none such.
inline int run_program(std::vector<std::string> words) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  (void)::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace grace::ledger
