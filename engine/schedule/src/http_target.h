#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/error.h"

namespace grace::schedule {

// Where an http step goes: "http://HOST[:PORT][/PATH]" with a numeric HOST or "localhost", or
// "unix:/SOCKET/PATH:/HTTP/PATH". Encrypted transport is not spoken: a step is for an agent on this
// machine, which does the rest.
struct HttpTarget {
  std::string unix_path;  // not empty: a unix socket, and host and port are unused
  std::string host;       // numeric, without brackets
  std::uint16_t port = 80;
  std::string path = "/";
};
[[nodiscard]] core::Result<HttpTarget> parse_http_target(std::string_view url);
// Loopback, unix sockets, and what `hosts` lists.
[[nodiscard]] bool is_allowed(const HttpTarget& target, const std::vector<std::string>& hosts);

}  // namespace grace::schedule
