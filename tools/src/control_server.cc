#include "control_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace grace::tools {
namespace {

constexpr int kAnswerTimeoutMs = 10'000;
constexpr int kFullPollMs = 100;  // without room for a client, look again this often
constexpr std::chrono::milliseconds kAcceptPause{50};

core::Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "control socket: the path '" + path + "' has " +
                                std::to_string(path.size()) + " bytes, at most 107 are possible");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

core::Error io_error(const std::string& what, const std::string& path) {
  return {core::ErrorCode::kIo, what + " " + path + ": " + std::strerror(errno), errno, 0};
}

// A connected socket, or -1 with errno.
int connect_to(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string peer_of(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return "user:unknown";
  return "user:" + std::to_string(credentials.uid);
}

}  // namespace

core::Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& path,
                                                                  Handler handler) {
  const auto address = address_of(path);
  if (!address) return tl::unexpected<core::Error>(address.error());
  if (const int other = connect_to(*address); other >= 0) {
    ::close(other);
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "control socket " + path + ": another engine answers there");
  }
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return tl::unexpected<core::Error>(io_error("cannot make the socket", path));
  // Private from the first moment: nobody can connect between bind and chmod, before listen.
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    const core::Error error = io_error("cannot listen on", path);
    ::close(fd);
    return tl::unexpected<core::Error>(error);
  }
  const int wake_fd = ::eventfd(0, EFD_CLOEXEC);
  if (wake_fd < 0) {
    ::close(fd);
    return tl::unexpected<core::Error>(io_error("cannot make an eventfd for", path));
  }
  return std::unique_ptr<ControlServer>(new ControlServer(fd, wake_fd, path, std::move(handler)));
}

ControlServer::ControlServer(int listen_fd, int wake_fd, std::string path, Handler handler)
    : listen_fd_(listen_fd),
      wake_fd_(wake_fd),
      path_(std::move(path)),
      handler_(std::move(handler)),
      thread_([this] { run(); }) {}

ControlServer::~ControlServer() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(wake_fd_, &one, sizeof one));
  thread_.join();
  for (const Client& client : clients_) ::close(client.fd);
  ::close(listen_fd_);
  ::close(wake_fd_);
  ::unlink(path_.c_str());
}

void ControlServer::run() {
  for (;;) {
    const bool room = make_room();
    // Negative descriptors are skipped by poll(): without room, new clients wait in the backlog.
    std::vector<pollfd> polled{{wake_fd_, POLLIN, 0}, {room ? listen_fd_ : -1, POLLIN, 0}};
    for (const Client& client : clients_) polled.push_back({client.fd, POLLIN, 0});
    const int timeout_ms = room ? -1 : kFullPollMs;
    if (::poll(polled.data(), polled.size(), timeout_ms) < 0) {
      if (errno == EINTR) continue;  // revents are not set
      return;
    }
    if (polled[0].revents != 0) return;
    for (std::size_t i = clients_.size(); i-- > 0;) {
      if (polled[i + 2].revents == 0 || serve(clients_[i])) continue;
      ::close(clients_[i].fd);
      clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (polled[1].revents != 0) accept_client();
  }
}

// True: one more client may come. Every request is answered before the next poll, so whoever is
// silent waits for nothing.
bool ControlServer::make_room() {
  if (clients_.size() < kClientsMax) return true;
  const auto oldest =
      std::min_element(clients_.begin(), clients_.end(),
                       [](const Client& a, const Client& b) { return a.heard < b.heard; });
  if (std::chrono::steady_clock::now() - oldest->heard < kSilenceMax) return false;
  ::close(oldest->fd);
  clients_.erase(oldest);
  return true;
}

void ControlServer::accept_client() {
  const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) {
    // Out of descriptors: poll() would report the waiting client without end.
    if (errno == EMFILE || errno == ENFILE) std::this_thread::sleep_for(kAcceptPause);
    return;
  }
  // A client that does not read its answer is dropped, not waited for.
  timeval limit{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  clients_.push_back({fd, peer_of(fd), {}, std::chrono::steady_clock::now()});
}

// False: the client is done.
bool ControlServer::serve(Client& client) {
  char bytes[4096];
  const ssize_t got = ::recv(client.fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  client.input.append(bytes, static_cast<std::size_t>(got));
  for (std::size_t end; (end = client.input.find('\n')) != std::string::npos;) {
    if (end > kRequestBytesMax) break;
    const std::string answer =
        handler_(std::string_view(client.input).substr(0, end), client.actor) + "\n";
    client.input.erase(0, end + 1);
    if (!send_all(client.fd, answer)) return false;
  }
  client.heard = std::chrono::steady_clock::now();
  if (client.input.size() <= kRequestBytesMax) return true;
  static_cast<void>(send_all(client.fd, "{\"ok\":false,\"error\":\"a request has at most " +
                                            std::to_string(kRequestBytesMax) + " bytes\"}\n"));
  return false;
}

core::Result<ControlClient> ControlClient::connect(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return tl::unexpected<core::Error>(address.error());
  const int fd = connect_to(*address);
  if (fd < 0) return tl::unexpected<core::Error>(io_error("no engine answers on", path));
  return ControlClient(fd, path);
}

ControlClient::ControlClient(ControlClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

ControlClient::~ControlClient() {
  if (fd_ >= 0) ::close(fd_);
}

core::Result<std::string> ControlClient::ask(std::string_view request) {
  if (!send_all(fd_, std::string(request) + "\n")) {
    return tl::unexpected<core::Error>(io_error("cannot write to", path_));
  }
  std::string answer;
  while (answer.find('\n') == std::string::npos) {
    pollfd polled{fd_, POLLIN, 0};
    if (::poll(&polled, 1, kAnswerTimeoutMs) <= 0) {
      return core::make_error(core::ErrorCode::kTimeout,
                              "the engine on " + path_ + " does not answer");
    }
    char bytes[4096];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return core::make_error(core::ErrorCode::kClosed, "the engine on " + path_ + " hung up");
    }
    answer.append(bytes, static_cast<std::size_t>(got));
  }
  answer.resize(answer.find('\n'));
  return answer;
}

core::Result<std::string> control_request(const std::string& path, std::string_view request) {
  auto client = ControlClient::connect(path);
  if (!client) return tl::unexpected<core::Error>(client.error());
  return client->ask(request);
}

}  // namespace grace::tools
