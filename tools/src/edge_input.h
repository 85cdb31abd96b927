#pragma once
#include <functional>
#include <string_view>

#include "bounded_lines.h"
#include "grace/core/error.h"

namespace grace::tools {

// Takes an edge; false: there is no more room for it.
using EdgeSink = std::function<bool(std::string_view caller, std::string_view callee)>;

// Reads who depends on whom: CSV, `caller,callee`. A first row that is the heading and blank lines
// are skipped. An error names the line.
[[nodiscard]] core::Result<void> read_edges(BoundedLines lines, const EdgeSink& sink);

}  // namespace grace::tools
