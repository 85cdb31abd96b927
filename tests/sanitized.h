#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GRACE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GRACE_SANITIZED 1
#endif
#endif
#ifndef GRACE_SANITIZED
#define GRACE_SANITIZED 0
#endif

namespace grace {

// Under a sanitizer everything takes several times as long, and memory is not counted as it is
// otherwise: tests make less of the same there.
inline constexpr bool kSanitized = GRACE_SANITIZED == 1;

}  // namespace grace
