#include "paths.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

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

}  // namespace grace::tools
