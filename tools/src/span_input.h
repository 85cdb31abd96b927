#pragma once
#include <cstdint>
#include <functional>

#include "bounded_lines.h"
#include "grace/core/error.h"
#include "grace/models/span_assembler.h"

namespace grace::tools {

struct SpansRead {
  std::uint64_t spans = 0;
  std::uint64_t later = 0;    // ended after at_ns: left out
  std::uint64_t refused = 0;  // by the sink
};

// Takes a span; false: it is refused.
using SpanSink = std::function<bool(const models::Span& span)>;

// Reads CSV, `timestamp,trace,span,parent,service,operation,duration_ms,result`, a row at a time:
// timestamp is the start; parent is empty, or of no span, for the first call of a trace; a result
// of "error" or "failed" is a failure, any other one is not. Spans that ended after `at_ns` are
// left out. A first row that is the heading and blank lines are skipped. An error names the line.
[[nodiscard]] core::Result<SpansRead> read_spans(BoundedLines lines, std::int64_t at_ns,
                                                 const SpanSink& sink);

}  // namespace grace::tools
