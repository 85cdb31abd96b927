#include "paths.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

namespace grace::tools {

core::Result<void> make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (!part.empty() && ::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      return core::make_error(core::ErrorCode::kIo,
                              "cannot create " + part + ": " + std::strerror(errno), errno);
    }
    if (slash == std::string::npos) return {};
  }
}

core::Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::vector<char> piece(64 << 10);
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) {
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
    if (text.size() > bytes_max) {
      return core::make_error(core::ErrorCode::kInvalidArgument, path + " is too large");
    }
  }
  // At its end a file has failed to give more; one that broke before, such as a folder, is bad.
  if (!file.is_open() || file.bad()) {
    return core::make_error(core::ErrorCode::kIo,
                            "cannot read " + path + ": " + std::strerror(errno), errno);
  }
  return text;
}

}  // namespace grace::tools
