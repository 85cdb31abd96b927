#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "grace/core/error.h"
#include "grace/core/io.h"

namespace grace::core {

// A stream connection; closed by the destructor. Never waits. One thread at a time.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual Result<IoCount> read(std::span<char> to) = 0;
  // Writes a prefix. kEnd: the peer is gone (never a signal).
  virtual Result<IoCount> write(std::span<const char> from) = 0;
  // Says that nothing more will be written; reading goes on.
  virtual Result<void> finish_writing() = 0;
  // Unix sockets: the user id of the peer when it connected, by the kernel's word.
  [[nodiscard]] virtual std::optional<std::uint32_t> peer_user() const = 0;
};

// Accepts connections; closed by the destructor, which also removes a unix socket's file.
class Listener {
 public:
  virtual ~Listener() = default;
  // Null: nobody is waiting. Never waits itself.
  virtual Result<std::unique_ptr<Connection>> try_accept() = 0;
  // TCP: the port, also when 0 was asked for. Unix: 0.
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

struct TcpAddress {
  std::string host = "127.0.0.1";  // a numeric IPv4 or IPv6 address: no name is looked up
  std::uint16_t port = 0;          // 0: the kernel chooses (listening only)
};
struct UnixAddress {
  std::string path;           // at most 107 bytes
  std::uint32_t mode = 0600;  // of the socket's file: who may connect
};

// The seam for sockets.
class Network {
 public:
  virtual ~Network() = default;
  virtual Result<std::unique_ptr<Listener>> listen(const TcpAddress& address) = 0;
  // A socket file that nobody listens on any more is replaced; one in use is an error.
  virtual Result<std::unique_ptr<Listener>> listen(const UnixAddress& address) = 0;
  // Waits until connected or refused (local use: tools and tests).
  virtual Result<std::unique_ptr<Connection>> connect(const TcpAddress& address) = 0;
  virtual Result<std::unique_ptr<Connection>> connect(const UnixAddress& address) = 0;
};

[[nodiscard]] std::unique_ptr<Network> make_system_network();

}  // namespace grace::core
