#pragma once
#include <cstdio>
#include <cstdlib>

// An invariant of the ledger's own code. On in every build; prints the values and aborts. Never for
// what is read from a file or given by a caller: that is an error, not a bug.
#define GRACE_LEDGER_ASSERT(condition, ...)                                                  \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      __VA_OPT__(std::fprintf(stderr, __VA_ARGS__); std::fputc('\n', stderr);)               \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
