#include "stop_signal.h"

#include <signal.h>

#include <atomic>

namespace grace::tools {
namespace {

std::atomic<bool> g_stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "used in a signal handler");

void on_stop(int number) {
  // Relaxed: the flag alone is the message.
  g_stop_requested.store(true, std::memory_order_relaxed);
  ::signal(number, SIG_DFL);
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

bool stop_requested() noexcept {
  return g_stop_requested.load(std::memory_order_relaxed);  // relaxed: see on_stop
}

}  // namespace grace::tools
