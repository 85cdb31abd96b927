#pragma once
#include <cerrno>
#include <string>
#include <system_error>

#include "grace/ledger/error.h"

namespace grace::ledger::internal {

// The error of a failed system call. `negative_errno` as FileSystem returns it.
[[nodiscard]] inline Error io_error(const std::string& what, const std::string& path,
                                    std::int64_t negative_errno) {
  const int number = static_cast<int>(-negative_errno);
  const bool full = number == ENOSPC || number == EDQUOT;
  return Error{full ? ErrorCode::kNoSpace : ErrorCode::kIo,
               what + " " + path + ": " + std::generic_category().message(number), number, 0, 0};
}

[[nodiscard]] inline tl::unexpected<Error> make_io_error(const std::string& what,
                                                         const std::string& path,
                                                         std::int64_t negative_errno) {
  return tl::unexpected<Error>(io_error(what, path, negative_errno));
}

}  // namespace grace::ledger::internal
