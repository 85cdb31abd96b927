#include "socket_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace grace::ingest {

using core::ErrorCode;
using core::make_error;
using core::Result;

namespace {

constexpr int kBacklog = 128;

// The one cast that the socket interface asks for.
template <typename Address>
const sockaddr* generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

UniqueFd open_socket(int family) {
  return UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// A file at `path` may be replaced only if it is a socket of ours that nobody listens on.
Result<void> check_replaceable(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return io_error(path, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return make_error(ErrorCode::kInvalidArgument, path + ": exists and is not a socket");
  }
  if (info.st_uid != ::geteuid()) {
    return make_error(ErrorCode::kInvalidArgument, path + ": a socket of another user");
  }
  const UniqueFd probe = open_socket(AF_UNIX);
  if (!probe.valid()) return io_error(path, errno);
  if (::connect(probe.get(), generic(address), sizeof(address)) == 0 || errno != ECONNREFUSED) {
    return make_error(ErrorCode::kInvalidArgument, path + ": another process listens on it");
  }
  return {};
}

}  // namespace

Result<Listener> Listener::tcp(const std::string& address, std::uint16_t port) {
  const std::string where = "tcp " + address + ":" + std::to_string(port);
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  const bool is_v4 = ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1;
  if (!is_v4 && ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1) {
    return make_error(ErrorCode::kInvalidArgument, where + ": not a numeric IPv4 or IPv6 address");
  }
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  Listener listener;
  listener.fd_ = open_socket(is_v4 ? AF_INET : AF_INET6);
  if (!listener.fd_.valid()) return io_error(where, errno);
  const int on = 1;
  ::setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const int bound = is_v4 ? ::bind(listener.fd(), generic(v4), sizeof(v4))
                          : ::bind(listener.fd(), generic(v6), sizeof(v6));
  if (bound != 0 || ::listen(listener.fd(), kBacklog) != 0) return io_error(where, errno);
  // Both families keep the port at the same place.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  socklen_t size_bytes = sizeof(v6);
  if (::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&v6), &size_bytes) != 0) {
    return io_error(where, errno);
  }
  listener.port_ = ntohs(v6.sin6_port);
  return listener;
}

Result<Listener> Listener::unix_path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Bound under a name of its own first, then renamed: nobody finds the socket before it listens,
  // and a stale one is replaced in one step.
  const std::string fresh = path + "." + std::to_string(::getpid());
  if (path.empty() || fresh.size() >= sizeof(address.sun_path)) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "unix socket path '" + path + "': must have 1 to " +
            std::to_string(sizeof(address.sun_path) - 1 - (fresh.size() - path.size())) + " bytes");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (auto replaceable = check_replaceable(path, address); !replaceable) {
    return tl::unexpected<core::Error>(replaceable.error());
  }
  Listener listener;
  listener.fd_ = open_socket(AF_UNIX);
  if (!listener.fd_.valid()) return io_error(path, errno);
  // On Linux the socket's mode becomes that of the file which bind() makes, so there is no moment
  // in which others may connect, and the process's umask stays alone.
  if (::fchmod(listener.fd(), 0600) != 0) return io_error(path, errno);
  std::memcpy(address.sun_path, fresh.c_str(), fresh.size() + 1);
  ::unlink(fresh.c_str());
  struct stat info {};
  if (::bind(listener.fd(), generic(address), sizeof(address)) != 0) return io_error(path, errno);
  if (::listen(listener.fd(), kBacklog) != 0 || ::lstat(fresh.c_str(), &info) != 0 ||
      ::rename(fresh.c_str(), path.c_str()) != 0) {
    const int os_error = errno;
    ::unlink(fresh.c_str());
    return io_error(path, os_error);
  }
  listener.path_ = path;
  listener.device_ = info.st_dev;
  listener.inode_ = info.st_ino;
  return listener;
}

void Listener::close() noexcept {
  if (!fd_.valid()) return;
  fd_.reset();
  struct stat info {};
  // Another engine may have put its own socket there meanwhile: only ours is removed.
  if (!path_.empty() && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ &&
      info.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

}  // namespace grace::ingest
