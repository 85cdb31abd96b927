#include "thread_control.h"

#include <pthread.h>
#include <sched.h>

namespace grace::core {

void name_this_thread(const std::string& name) noexcept {
  constexpr std::size_t kKernelNameMax = 15;
  const std::string cut = name.substr(0, kKernelNameMax);
  // Fails only for a name that is too long, which it is not any more.
  static_cast<void>(::pthread_setname_np(::pthread_self(), cut.c_str()));
}

bool pin_this_thread(std::optional<unsigned> cpu) noexcept {
  if (!cpu.has_value()) return true;
  if (*cpu >= CPU_SETSIZE) return false;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(*cpu, &set);
  return ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set) == 0;
}

}  // namespace grace::core
