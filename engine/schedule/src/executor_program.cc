// grace-executor: the executor process as a program of its own. The engine starts it with its end
// of the socket as descriptor 3; started by hand it has nothing to talk to and says so.
#include <sys/socket.h>

#include <cstdio>

#include "grace/schedule/process_executor.h"

int main() {
  constexpr int kSocketFd = 3;
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(kSocketFd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    std::fputs("grace-executor: started by the engine only\n", stderr);
    return 2;
  }
  return grace::schedule::executor_main(kSocketFd);
}
