#pragma once
#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace grace::core {

// What went wrong, as a number that tests and callers can branch on. Numbers are stable.
enum class ErrorCode : std::uint16_t {
  kInvalidArgument = 1,  // a caller's or user's value is outside what is documented
  kConfig = 2,           // configuration file: message names file, line and field
  kIo = 3,               // a system call failed: os_error holds errno
  kNotFound = 4,         // a named thing does not exist
  kCorrupt = 5,          // stored bytes do not match their checksum
  kFull = 6,             // a configured bound is reached
  kClosed = 7,           // the other side has ended
  kUnsupported = 8,      // valid, but not by this version or build
  kTimeout = 9,          // a bounded wait ended
};

struct Error {
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::string message;       // one line, for a person; names the file, field or value at fault
  int os_error = 0;          // errno, 0 where no system call failed
  std::uint64_t offset = 0;  // place in the file or stream, where there is one
};

// Cold paths only. Use just what std::expected has too, so that C++23 is a change of this line.
template <typename T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> make_error(ErrorCode code, std::string message,
                                                      int os_error = 0, std::uint64_t offset = 0) {
  return tl::unexpected<Error>(Error{code, std::move(message), os_error, offset});
}

}  // namespace grace::core
