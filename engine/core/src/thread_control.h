#pragma once
#include <optional>
#include <string>

namespace grace::core {

// Names the calling thread; cut to the kernel's 15 characters.
void name_this_thread(const std::string& name) noexcept;
// Pins the calling thread. True without a wish, false when the CPU cannot be had.
[[nodiscard]] bool pin_this_thread(std::optional<unsigned> cpu) noexcept;
// Tells the core that this is a waiting loop.
inline void pause_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace grace::core
