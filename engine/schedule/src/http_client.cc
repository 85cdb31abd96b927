#include "http_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "executor_wire.h"
#include "http_target.h"
#include "monotonic.h"
#include "unique_fd.h"

namespace grace::schedule {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024;

core::StepResult failed(std::string why, bool timed_out = false) {
  core::StepResult result;
  result.timed_out = timed_out;
  result.output_tail = std::move(why);
  return result;
}

std::string os_failure(std::string_view what) {
  return std::string(what) + ": " + std::strerror(errno);
}

// False: the deadline has passed.
bool wait_for(int fd, short events, std::int64_t deadline_ns) {
  while (true) {
    const int left_ms = milliseconds_until(deadline_ns);
    if (left_ms == 0) return false;
    pollfd item{fd, events, 0};
    const int ready = ::poll(&item, 1, left_ms);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

UniqueFd connect_to(const HttpTarget& target) {
  sockaddr_un local{};
  sockaddr_in four{};
  sockaddr_in6 six{};
  const sockaddr* address = nullptr;
  socklen_t size = 0;
  int family = AF_UNIX;
  if (!target.unix_path.empty()) {
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, target.unix_path.c_str(), target.unix_path.size() + 1);
    address = reinterpret_cast<const sockaddr*>(&local);
    size = sizeof local;
  } else if (::inet_pton(AF_INET, target.host.c_str(), &four.sin_addr) == 1) {
    family = four.sin_family = AF_INET;
    four.sin_port = htons(target.port);
    address = reinterpret_cast<const sockaddr*>(&four);
    size = sizeof four;
  } else {
    ::inet_pton(AF_INET6, target.host.c_str(), &six.sin6_addr);
    family = six.sin6_family = AF_INET6;
    six.sin6_port = htons(target.port);
    address = reinterpret_cast<const sockaddr*>(&six);
    size = sizeof six;
  }
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fd;
  if (::connect(fd.get(), address, size) != 0 && errno != EINPROGRESS) return UniqueFd();
  return fd;
}

std::string request_text(const core::StepCommand& command, const HttpTarget& target) {
  std::string host = "localhost";
  if (target.unix_path.empty()) {
    const bool six = target.host.find(':') != std::string::npos;
    host = six ? "[" + target.host + "]" : target.host;
    host += ":" + std::to_string(target.port);
  }
  std::string text = command.method + " " + target.path + " HTTP/1.1\r\nHost: " + host +
                     "\r\nUser-Agent: grace\r\nConnection: close\r\n";
  if (!command.body.empty() || command.method != "GET") {
    text += "Content-Length: " + std::to_string(command.body.size()) + "\r\n";
  }
  if (!command.body.empty()) text += "Content-Type: application/json\r\n";
  return text + "\r\n" + command.body;
}

// The three digits of "HTTP/1.1 204 No Content"; 0 when it is no status line.
int status_of(std::string_view answer) {
  if (!answer.starts_with("HTTP/1.") || answer.size() < 12 || answer[8] != ' ') return 0;
  int status = 0;
  const char* digits = answer.data() + 9;
  const auto [end, error] = std::from_chars(digits, digits + 3, status);
  return error == std::errc{} && end == digits + 3 ? status : 0;
}

}  // namespace

core::StepResult http_request(const core::StepCommand& command,
                              const std::vector<std::string>& hosts, std::int64_t deadline_ns) {
  const auto target = parse_http_target(command.url);
  if (!target) return failed(target.error().message);
  if (!is_allowed(*target, hosts)) return failed("host is not allowed: " + target->host);
  const UniqueFd fd = connect_to(*target);
  if (!fd.valid()) return failed(os_failure("connect"));
  const std::string request = request_text(command, *target);
  for (std::size_t sent = 0; sent < request.size();) {
    if (!wait_for(fd.get(), POLLOUT, deadline_ns)) return failed("no connection", true);
    const ssize_t n = ::send(fd.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return failed(os_failure("send"));
    if (n > 0) sent += static_cast<std::size_t>(n);
  }
  std::string answer;
  while (answer.size() < kAnswerBytesMax) {
    if (!wait_for(fd.get(), POLLIN, deadline_ns)) return failed("no answer", true);
    char bytes[4096];
    const ssize_t n = ::recv(fd.get(), bytes, sizeof bytes, 0);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return failed(os_failure("receive"));
    if (n == 0) break;
    if (n > 0) answer.append(bytes, static_cast<std::size_t>(n));
  }
  core::StepResult result;
  const int status = status_of(answer);
  result.ok = status >= 200 && status < 300;
  result.exit_code = status == 0 ? -1 : result.ok ? 0 : status;
  OutputTail tail;
  tail.add(status == 0 ? "the answer is not HTTP" : std::string_view(answer));
  result.output_tail = tail.text();
  return result;
}

}  // namespace grace::schedule
