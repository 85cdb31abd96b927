#pragma once
#include <cstddef>
#include <string>

namespace grace::tools {

// A configuration (TOML) with `count` rules, at least 1, that are asked and do not answer, but for
// the last: a third thresholds (ranges of a metric of the generated stream, for services that are
// not in it), a third maintenance windows that are open, the rest policies with a pattern for the
// service. What is decided is the same for any count: the policies stand in one line, since a
// decision names the line of its rule. Playbooks run `/bin/echo`.
[[nodiscard]] std::string idle_rules(std::size_t count);

}  // namespace grace::tools
