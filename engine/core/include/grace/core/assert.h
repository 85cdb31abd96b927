#pragma once
#include <cstdio>
#include <cstdlib>

// GRACE_ASSERT: an invariant of our own code. On in every build; prints the values and aborts, so
// that a core file shows the broken state. Never for bad input: that is an error, not a bug.
// GRACE_DCHECK: the same where a measurement showed the check to be too dear for a release.
#define GRACE_ASSERT(condition, ...)                                                         \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      __VA_OPT__(std::fprintf(stderr, __VA_ARGS__); std::fputc('\n', stderr);)               \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)

#ifdef NDEBUG
#define GRACE_DCHECK(condition, ...)                               \
  do {                                                             \
    if (false) GRACE_ASSERT(condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
#else
#define GRACE_DCHECK(condition, ...) GRACE_ASSERT(condition __VA_OPT__(, ) __VA_ARGS__)
#endif
