#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "grace/core/error.h"

namespace grace::ingest {

// An open descriptor; closed with it.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { reset(); }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  void reset() noexcept;

 private:
  int release() noexcept;
  int fd_ = -1;
};

// "path: reason: No such file or directory" with errno.
[[nodiscard]] tl::unexpected<core::Error> io_error(const std::string& what, int os_error,
                                                   std::uint64_t offset = 0);

// The decoded bytes of one file. Thread: its owner's.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Fills as much of `to` as the file gives: less than size_bytes only at its end, 0 at the end.
  // An error comes when all bytes before it were given; its offset is in the file.
  [[nodiscard]] virtual core::Result<std::size_t> read(char* to, std::size_t size_bytes) = 0;
};

// Opens a regular file and chooses the decoder by its first bytes.
[[nodiscard]] core::Result<std::unique_ptr<Decoder>> open_decoder(const std::string& path);

}  // namespace grace::ingest
