#include "grace/ingest/source.h"

#include <utility>

namespace grace::ingest {
void Source::report(core::Error error) {
  if (!first_error_) first_error_ = std::move(error);
  // [READ_ERROR] release: publishes first_error_, which never changes again. Pairs with the acquire
  // in figures_of().
  counters_.read_errors.fetch_add(1, std::memory_order_release);
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
  // [READ_ERROR] acquire: who sees an error counted may read the first one. Pairs with the release
  // in report().
  to.read_errors = from.read_errors.load(std::memory_order_acquire);
  if (to.read_errors > 0) to.first_error = source.first_error()->message;
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
