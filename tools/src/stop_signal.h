#pragma once

namespace grace::tools {

// SIGINT and SIGTERM ask for a clean stop; a second one ends the process at once, as usual. SIGPIPE
// is ignored: a closed pipe is an error of a write.
void install_stop_signals();
[[nodiscard]] bool stop_requested() noexcept;

}  // namespace grace::tools
