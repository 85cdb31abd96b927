#pragma once
#include <cstdint>
#include <string>

#include "decoder.h"
#include "grace/core/error.h"

namespace grace::ingest {

// A listening, non-blocking stream socket. A unix socket's file goes with it, if it is still ours.
class Listener {
 public:
  [[nodiscard]] static core::Result<Listener> tcp(const std::string& address, std::uint16_t port);
  [[nodiscard]] static core::Result<Listener> unix_path(const std::string& path);
  Listener(Listener&& other) noexcept = default;
  Listener& operator=(Listener&&) = delete;
  ~Listener() { close(); }
  void close() noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  Listener() = default;
  UniqueFd fd_;
  std::uint16_t port_ = 0;
  std::string path_;
  std::uint64_t device_ = 0, inode_ = 0;  // of the socket file, to know it again
};

}  // namespace grace::ingest
