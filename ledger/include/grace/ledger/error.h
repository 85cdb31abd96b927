#pragma once
#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace grace::ledger {

// What went wrong, as a number to branch on. Numbers are stable.
enum class ErrorCode : std::uint16_t {
  kInvalidArgument = 1,  // a configured value is outside what is documented
  kIo = 2,               // a system call failed: os_error holds errno. Says nothing about the bytes
  kNoSpace = 3,          // the file system is full (or over quota): os_error holds errno
  kSyncFailed = 4,       // msync or fsync failed: what was not yet durable never will be
  kLocked = 5,           // another writer has this directory open
  kCorrupt = 6,          // stored bytes do not match their checks: segment and offset say where
  kNotFound = 7,         // no such directory, or no log in it
  kUnsupported = 8,      // written by a newer version, or with a feature this one does not know
  kClosed = 9,           // the writer is closed
  kTimeout = 10,         // a bounded wait ended
  kUntrustedKey = 11,    // signed with a key, or to be signed with one, whose turn it is not
};

struct Error {
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::string message;        // one line, for a person; names the file, field or value at fault
  int os_error = 0;           // errno, 0 where no system call failed
  std::uint64_t segment = 0;  // number of the segment, where there is one
  std::uint64_t offset = 0;   // place in that segment's file
};

// Cold paths only. Use just what std::expected has too, so that C++23 is a change of this line.
template <typename T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> make_error(ErrorCode code, std::string message,
                                                      int os_error = 0, std::uint64_t segment = 0,
                                                      std::uint64_t offset = 0) {
  return tl::unexpected<Error>(Error{code, std::move(message), os_error, segment, offset});
}

}  // namespace grace::ledger
