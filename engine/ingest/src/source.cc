#include "grace/ingest/source.h"

#include <utility>

namespace grace::ingest {
void Source::report(core::Error error) {
  // Relaxed: a statistic with one writer.
  counters_.read_errors.fetch_add(1, std::memory_order_relaxed);
  if (!first_error_) first_error_ = std::move(error);
}

SourceFigures figures_of(const Source& source, bool ended) {
  const SourceCounters& from = source.counters();
  // Relaxed: statistics; a reader wants figures, not an order between them.
  const auto load = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  SourceFigures to;
  to.name = source.traits().name;
  to.kind = source.traits().kind;
  to.ended = ended;
  to.bytes = load(from.bytes);
  to.lines = load(from.lines);
  to.chunks = load(from.chunks);
  to.read_errors = load(from.read_errors);
  to.dropped_lines = load(from.dropped_lines);
  to.cut_lines = load(from.cut_lines);
  to.connections_open = load(from.connections_open);
  to.connections_accepted = load(from.connections_accepted);
  to.connections_closed = load(from.connections_closed);
  to.connections_refused = load(from.connections_refused);
  to.connections_timed_out = load(from.connections_timed_out);
  return to;
}

}  // namespace grace::ingest
