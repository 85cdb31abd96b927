#pragma once
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>

#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"

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

// All of it, however many calls that takes: 0 or -errno.
[[nodiscard]] inline int write_all(FileSystem& fs, int fd, std::span<const std::byte> bytes,
                                   std::uint64_t offset) {
  while (!bytes.empty()) {
    const std::int64_t written = fs.write_at(fd, bytes, offset);
    if (written <= 0) return written < 0 ? static_cast<int>(written) : -EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return 0;
}

}  // namespace grace::ledger::internal
