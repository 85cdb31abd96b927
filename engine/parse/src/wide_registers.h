#pragma once

// GRACE_WIDE: a function that is compiled for the CPUs of has_wide_registers() (stop_index.h), and
// is called on those alone.
#if defined(__x86_64__)
#define GRACE_HAS_WIDE 1
#define GRACE_WIDE \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,vaes,bmi,bmi2,popcnt")))
#else
#define GRACE_HAS_WIDE 0
#define GRACE_WIDE
#endif
