#pragma once
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "grace/core/error.h"

namespace grace::core {

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  int give_up() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    // An error of close() cannot be acted on: who needs the data stable calls sync() before.
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// Call right after the failed system call: reads errno.
[[nodiscard]] inline tl::unexpected<Error> io_error(const std::string& doing) {
  const int os_error = errno;
  const ErrorCode code = os_error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
  return make_error(code, doing + ": " + std::strerror(os_error), os_error);
}

// Runs a system call again when a signal interrupted it.
template <typename Call>
auto retry_interrupted(Call call) noexcept {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

}  // namespace grace::core
