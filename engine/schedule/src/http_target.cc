#include "http_target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>

namespace grace::schedule {
namespace {

using core::ErrorCode;
using core::make_error;

tl::unexpected<core::Error> bad(std::string_view url, std::string_view why) {
  return make_error(ErrorCode::kInvalidArgument,
                    "url '" + std::string(url) + "': " + std::string(why));
}

bool has_blank_or_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c <= 0x20 || c == 0x7f; });
}

core::Result<HttpTarget> parse_unix(std::string_view url, std::string_view rest) {
  HttpTarget target;
  const std::size_t colon = rest.find(":/");
  target.unix_path = std::string(rest.substr(0, colon));
  if (colon != std::string_view::npos) target.path = std::string(rest.substr(colon + 1));
  if (!target.unix_path.starts_with('/')) return bad(url, "the socket's path is not absolute");
  if (target.unix_path.size() >= sizeof(sockaddr_un::sun_path)) return bad(url, "path too long");
  return target;
}

}  // namespace

core::Result<HttpTarget> parse_http_target(std::string_view url) {
  if (has_blank_or_control(url)) return bad(url, "blank or control character");
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kHttp = "http://";
  if (url.starts_with(kUnix)) return parse_unix(url, url.substr(kUnix.size()));
  if (url.starts_with("https://")) {
    return bad(url, "https is not supported; send to an agent on this machine");
  }
  if (!url.starts_with(kHttp)) return bad(url, "must begin with http:// or unix:");
  std::string_view rest = url.substr(kHttp.size());
  HttpTarget target;
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) target.path = std::string(rest.substr(slash));
  std::string_view authority = rest.substr(0, slash);
  if (authority.find('@') != std::string_view::npos) return bad(url, "user names not supported");
  std::size_t colon = authority.rfind(':');
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad(url, "'[' without ']'");
    target.host = std::string(authority.substr(1, close - 1));
    colon = close + 1 < authority.size() ? close + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && authority[colon] != ':') return bad(url, "bad host");
  } else {
    target.host = std::string(authority.substr(0, colon));
  }
  if (colon != std::string_view::npos) {
    const std::string_view port = authority.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), target.port);
    if (error != std::errc{} || end != port.data() + port.size() || target.port == 0) {
      return bad(url, "bad port");
    }
  }
  if (target.host == "localhost") target.host = "127.0.0.1";
  in6_addr six{};
  in_addr four{};
  if (inet_pton(AF_INET, target.host.c_str(), &four) != 1 &&
      inet_pton(AF_INET6, target.host.c_str(), &six) != 1) {
    return bad(url, "the host must be a numeric address or localhost");
  }
  return target;
}

bool is_allowed(const HttpTarget& target, const std::vector<std::string>& hosts) {
  if (!target.unix_path.empty() || target.host == "::1") return true;
  in_addr four{};
  if (inet_pton(AF_INET, target.host.c_str(), &four) == 1 && (ntohl(four.s_addr) >> 24) == 127) {
    return true;
  }
  return std::find(hosts.begin(), hosts.end(), target.host) != hosts.end();
}

}  // namespace grace::schedule
