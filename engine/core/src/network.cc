#include "grace/core/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "descriptor.h"

namespace grace::core {
namespace {

constexpr int kBacklog = 128;

// A socket address of any family, as the system calls want it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
};

Result<SocketAddress> to_socket_address(const TcpAddress& address) {
  SocketAddress out;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    out.size = sizeof *v4;
    return out;
  }
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  out.storage = {};
  if (::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    out.size = sizeof *v6;
    return out;
  }
  return make_error(ErrorCode::kInvalidArgument,
                    "'" + address.host + "' is not a numeric IPv4 or IPv6 address");
}

Result<SocketAddress> to_socket_address(const UnixAddress& address) {
  SocketAddress out;
  auto* const local = reinterpret_cast<sockaddr_un*>(&out.storage);
  if (address.path.empty() || address.path.size() >= sizeof local->sun_path) {
    return make_error(ErrorCode::kInvalidArgument, "'" + address.path + "' has " +
                                                       std::to_string(address.path.size()) +
                                                       " bytes, a socket path has 1 to " +
                                                       std::to_string(sizeof local->sun_path - 1));
  }
  local->sun_family = AF_UNIX;
  std::memcpy(local->sun_path, address.path.data(), address.path.size());
  out.size = static_cast<socklen_t>(sizeof(sockaddr_un));
  return out;
}

std::string to_text(const TcpAddress& address) {
  return address.host + " port " + std::to_string(address.port);
}

class SystemConnection final : public Connection {
 public:
  SystemConnection(Descriptor descriptor, bool local)
      : descriptor_(std::move(descriptor)), local_(local) {}

  Result<IoCount> read(std::span<char> to) override {
    if (to.empty()) return IoCount{};
    const ssize_t got = retry_interrupted(
        [&] { return ::recv(descriptor_.get(), to.data(), to.size(), MSG_DONTWAIT); });
    if (got > 0) return IoCount{static_cast<std::size_t>(got), IoState::kOk};
    if (got == 0) return IoCount{0, IoState::kEnd};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return IoCount{0, IoState::kWouldBlock};
    return io_error("connection: read");
  }

  Result<IoCount> write(std::span<const char> from) override {
    const ssize_t put = retry_interrupted([&] {
      return ::send(descriptor_.get(), from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    });
    if (put >= 0) return IoCount{static_cast<std::size_t>(put), IoState::kOk};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return IoCount{0, IoState::kWouldBlock};
    if (errno == EPIPE || errno == ECONNRESET) return IoCount{0, IoState::kEnd};
    return io_error("connection: write");
  }

  Result<void> finish_writing() override {
    if (::shutdown(descriptor_.get(), SHUT_WR) != 0 && errno != ENOTCONN) {
      return io_error("connection: finish writing");
    }
    return {};
  }

  std::optional<std::uint32_t> peer_user() const override {
    if (!local_) return std::nullopt;
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(descriptor_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
      return std::nullopt;
    }
    return peer.uid;
  }

 private:
  Descriptor descriptor_;
  bool local_;
};

class SystemListener final : public Listener {
 public:
  // `path`: the socket file to remove in the end; empty for TCP.
  SystemListener(Descriptor descriptor, std::uint16_t port, std::string path)
      : descriptor_(std::move(descriptor)), port_(port), path_(std::move(path)) {}
  ~SystemListener() override {
    // It may be gone already, which is what was wanted.
    if (!path_.empty()) static_cast<void>(::unlink(path_.c_str()));
  }

  Result<std::unique_ptr<Connection>> try_accept() override {
    Descriptor accepted(retry_interrupted([&] {
      return ::accept4(descriptor_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }));
    if (accepted.valid()) {
      return std::make_unique<SystemConnection>(std::move(accepted), !path_.empty());
    }
    // ECONNABORTED: whoever was waiting has gone again.
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ECONNABORTED) {
      return std::unique_ptr<Connection>();
    }
    return io_error("accept");
  }

  std::uint16_t port() const override { return port_; }

 private:
  Descriptor descriptor_;
  std::uint16_t port_;
  std::string path_;
};

std::uint16_t bound_port(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) {
    return 0;
  }
  if (address.storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

Descriptor make_socket(const SocketAddress& address, int extra_flags) {
  return Descriptor(
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | extra_flags, 0));
}

class SystemNetwork final : public Network {
 public:
  Result<std::unique_ptr<Listener>> listen(const TcpAddress& address) override {
    const Result<SocketAddress> target = to_socket_address(address);
    if (!target) return tl::unexpected(target.error());
    Descriptor descriptor = make_socket(*target, SOCK_NONBLOCK);
    if (!descriptor.valid()) return io_error("socket");
    const int on = 1;
    // A restarted engine takes its port back at once.
    ::setsockopt(descriptor.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(descriptor.get(), target->get(), target->size) != 0 ||
        ::listen(descriptor.get(), kBacklog) != 0) {
      return io_error("listen on " + to_text(address));
    }
    const std::uint16_t port = bound_port(descriptor.get());
    return std::make_unique<SystemListener>(std::move(descriptor), port, std::string());
  }

  Result<std::unique_ptr<Listener>> listen(const UnixAddress& address) override {
    const Result<SocketAddress> target = to_socket_address(address);
    if (!target) return tl::unexpected(target.error());
    if (Result<void> free = make_path_free(address, *target); !free) {
      return tl::unexpected(free.error());
    }
    Descriptor descriptor = make_socket(*target, SOCK_NONBLOCK);
    if (!descriptor.valid()) return io_error("socket");
    // Mode before listen(): until then every connect is refused, so that nobody gets in by being
    // early.
    if (::bind(descriptor.get(), target->get(), target->size) != 0 ||
        ::chmod(address.path.c_str(), address.mode) != 0 ||
        ::listen(descriptor.get(), kBacklog) != 0) {
      return io_error("listen on " + address.path);
    }
    return std::make_unique<SystemListener>(std::move(descriptor), std::uint16_t{0}, address.path);
  }

  Result<std::unique_ptr<Connection>> connect(const TcpAddress& address) override {
    const Result<SocketAddress> target = to_socket_address(address);
    if (!target) return tl::unexpected(target.error());
    Descriptor descriptor = make_socket(*target, 0);
    if (!descriptor.valid()) return io_error("socket");
    if (::connect(descriptor.get(), target->get(), target->size) != 0) {
      return io_error("connect to " + to_text(address));
    }
    const int on = 1;
    ::setsockopt(descriptor.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return std::make_unique<SystemConnection>(std::move(descriptor), false);
  }

  Result<std::unique_ptr<Connection>> connect(const UnixAddress& address) override {
    const Result<SocketAddress> target = to_socket_address(address);
    if (!target) return tl::unexpected(target.error());
    Descriptor descriptor = make_socket(*target, 0);
    if (!descriptor.valid()) return io_error("socket");
    if (::connect(descriptor.get(), target->get(), target->size) != 0) {
      return io_error("connect to " + address.path);
    }
    return std::make_unique<SystemConnection>(std::move(descriptor), true);
  }

 private:
  // Removes a socket file that an ended process left behind; refuses one in use, and anything that
  // is not a socket.
  static Result<void> make_path_free(const UnixAddress& address, const SocketAddress& target) {
    struct stat status {};
    if (::lstat(address.path.c_str(), &status) != 0) {
      if (errno == ENOENT) return {};
      return io_error(address.path);
    }
    if (!S_ISSOCK(status.st_mode)) {
      return make_error(ErrorCode::kInvalidArgument, address.path + " exists and is not a socket");
    }
    const Descriptor probe = make_socket(target, 0);
    if (!probe.valid()) return io_error("socket");
    if (::connect(probe.get(), target.get(), target.size) == 0) {
      return make_error(ErrorCode::kIo, address.path + " is in use by another process", EADDRINUSE);
    }
    if (errno != ECONNREFUSED) return io_error(address.path);
    if (::unlink(address.path.c_str()) != 0) return io_error(address.path + ": remove");
    return {};
  }
};

}  // namespace

std::unique_ptr<Network> make_system_network() {
  return std::make_unique<SystemNetwork>();
}

}  // namespace grace::core
