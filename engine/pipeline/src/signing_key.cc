#include "signing_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace grace::pipeline {
namespace {

constexpr std::size_t kKeyFileBytesMax = 4096;

tl::unexpected<core::Error> refused(const std::string& field_and_path, const std::string& why) {
  return core::make_error(core::ErrorCode::kConfig, "engine." + field_and_path + ": " + why);
}

}  // namespace

core::Result<ledger::NoteSigner> read_signing_key(const std::string& field,
                                                  const std::string& path) {
  const std::string named = field + " " + path;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return refused(named, std::strerror(errno));
  struct stat info {};
  std::array<char, kKeyFileBytesMax> bytes{};
  const bool known = ::fstat(fd, &info) == 0;
  const ssize_t got = known ? ::read(fd, bytes.data(), bytes.size()) : -1;
  ::close(fd);
  if (got < 0) return refused(named, std::strerror(errno));
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    ::explicit_bzero(bytes.data(), bytes.size());
    return refused(named, "others may use this file: chmod 600");
  }
  std::string_view text(bytes.data(), static_cast<std::size_t>(got));
  text = text.substr(0, text.find('\n'));
  auto signer = ledger::NoteSigner::parse(text);
  ::explicit_bzero(bytes.data(), bytes.size());
  if (!signer) return refused(named, signer.error().message);
  return std::move(*signer);
}

}  // namespace grace::pipeline
