#include "grace/models/span_assembler.h"

#include <algorithm>
#include <limits>

#include "grace/core/hash.h"

namespace grace::models {
namespace {

// So far from the ends of their type that no sum below leaves it.
constexpr std::int64_t kTimeMax = std::numeric_limits<std::int64_t>::max() / 4;
constexpr double kNsPerMs = 1e6;
constexpr std::uint64_t kBegin = 1;
constexpr std::uint64_t kEnd = 2;

[[nodiscard]] std::uint64_t name_of(std::string_view service, std::string_view operation) {
  return core::combine(core::hash_bytes(service), core::hash_bytes(operation));
}

}  // namespace

bool SpanAssembler::observe(const Span& span) {
  if (span.trace.empty() || span.service.empty() || span.operation.empty() ||
      span.duration_ns < 0 || span.duration_ns > kTimeMax || span.start_ns < 0 ||
      span.start_ns > kTimeMax) {
    ++counters_.refused;
    return false;
  }
  auto at = traces_.find(span.trace);
  if (at == traces_.end()) {
    at = traces_.emplace(std::string(span.trace), Trace{}).first;
  } else {
    if (at->second.spans.size() >= config_.trace_spans_max) {
      ++counters_.cut;
      return false;
    }
    by_end_.erase({at->second.last_end_ns, at->first});
  }
  Trace& trace = at->second;
  const std::int64_t end_ns = span.start_ns + span.duration_ns;
  trace.spans.push_back({std::string(span.id),
                         std::string(span.parent),
                         std::string(span.service),
                         std::string(span.operation),
                         span.start_ns,
                         end_ns,
                         span.failed,
                         {}});
  trace.last_end_ns = std::max(trace.last_end_ns, end_ns);
  by_end_.emplace(trace.last_end_ns, at->first);
  ++spans_held_;
  ++counters_.spans;
  if (span.start_ns > newest_start_ns_) {
    newest_start_ns_ = span.start_ns;
    close_before(newest_start_ns_ - config_.trace_idle_ns);
  }
  while (spans_held_ > config_.spans_max) {
    ++counters_.closed_early;
    close(std::string(by_end_.begin()->second));
  }
  return true;
}

void SpanAssembler::close_before(std::int64_t end_ns) {
  while (!by_end_.empty() && by_end_.begin()->first < end_ns) {
    close(std::string(by_end_.begin()->second));
  }
  // What is still under way ends later than this.
  hand_on_before(end_ns - config_.trace_idle_ns);
}

void SpanAssembler::finish() {
  while (!by_end_.empty()) close(std::string(by_end_.begin()->second));
  hand_on_before(std::numeric_limits<std::int64_t>::max());
}

void SpanAssembler::close(const std::string& id) {
  const auto at = traces_.find(id);
  std::vector<Held> spans = std::move(at->second.spans);
  by_end_.erase({at->second.last_end_ns, at->first});
  traces_.erase(at);
  spans_held_ -= spans.size();
  link(spans);
  for (const Held& span : spans) {
    for (const std::size_t call : span.calls) {
      const Held& callee = spans[call];
      if (callee.service == span.service) continue;
      if (!model_.add_edge(span.service, callee.service)) ++counters_.no_room;
    }
    read(spans, span);
  }
}

// Sorted first, so that the order of arrival has no say; of two spans with one id the first calls.
void SpanAssembler::link(std::vector<Held>& spans) {
  std::sort(spans.begin(), spans.end(), [](const Held& a, const Held& b) {
    return std::tie(a.start_ns, a.id, a.end_ns, a.service, a.operation, a.parent, a.failed) <
           std::tie(b.start_ns, b.id, b.end_ns, b.service, b.operation, b.parent, b.failed);
  });
  std::map<std::string_view, std::size_t> by_id;
  for (std::size_t i = 0; i < spans.size(); ++i) by_id.emplace(spans[i].id, i);
  std::vector<const Held*> callers(spans.size(), nullptr);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].parent.empty()) continue;
    const auto caller = by_id.find(spans[i].parent);
    if (caller == by_id.end() || caller->second == i) continue;
    spans[caller->second].calls.push_back(i);
    callers[i] = &spans[caller->second];
  }
  for (std::size_t i = 0; i < spans.size(); ++i) {
    Held& span = spans[i];
    span.is_client = callers[i] != nullptr && callers[i]->service == span.service &&
                     span.calls.size() == 1 && spans[span.calls[0]].service != span.service;
  }
}

void SpanAssembler::read(const std::vector<Held>& spans, const Held& span) {
  if (span.failed) add(span, Said::kErrors, 0, 1.0);
  if (span.is_client) return;
  // Calls side by side count once; what goes on after the span has ended does not count.
  std::int64_t inner_ns = 0;
  std::int64_t covered_ns = span.start_ns;
  for (const std::size_t call : span.calls) {
    const std::int64_t begin_ns = std::max(covered_ns, spans[call].start_ns);
    const std::int64_t end_ns = std::min(span.end_ns, spans[call].end_ns);
    if (end_ns <= begin_ns) continue;
    inner_ns += end_ns - begin_ns;
    covered_ns = end_ns;
  }
  const std::int64_t own_ns = span.end_ns - span.start_ns - inner_ns;
  add(span, Said::kSelfTime, 0, static_cast<double>(own_ns) / kNsPerMs);
  if (!span.failed) add(span, Said::kErrors, 0, 0.0);
  read_steps(spans, span);
}

void SpanAssembler::read_steps(const std::vector<Held>& spans, const Held& span) {
  std::uint64_t before = kBegin;
  for (const std::size_t call : span.calls) {
    const Held& made = spans[call];
    const Held& called = made.is_client ? spans[made.calls.front()] : made;
    const std::uint64_t next = name_of(called.service, called.operation);
    add(span, Said::kCalls, core::combine(before, next), 1.0);
    before = next;
  }
  add(span, Said::kCalls, core::combine(before, kEnd), 1.0);
}

void SpanAssembler::add(const Held& span, Said said, std::uint64_t step, double value) {
  const std::int64_t period_end_ns = (span.end_ns / config_.period_ns + 1) * config_.period_ns;
  Period& period = periods_[period_end_ns];
  const auto [at, is_new] =
      period.try_emplace(CellKey(span.service, said, span.operation, step), Cell{});
  at->second.sum += value;
  at->second.count += 1.0;
  if (!is_new) return;
  ++cells_held_;
  if (cells_held_ > config_.cells_max) hand_on_before(periods_.begin()->first + 1);
}

void SpanAssembler::hand_on_before(std::int64_t period_end_ns) {
  while (!periods_.empty() && periods_.begin()->first < period_end_ns) {
    hand_on(periods_.begin()->first, periods_.begin()->second);
    cells_held_ -= periods_.begin()->second.size();
    periods_.erase(periods_.begin());
  }
}

void SpanAssembler::hand_on(std::int64_t period_end_ns, const Period& period) {
  for (const auto& [key, cell] : period) {
    const auto& [service, said, operation, step] = key;
    std::string metric(said == Said::kSelfTime ? kSpanSelfTime
                       : said == Said::kErrors ? kSpanErrors
                                               : kSpanCalls);
    metric += operation;
    RootCauseModel::SeriesHandle series = nullptr;
    if (model_.find_series(service, metric, step, series) != Observed::kTaken) {
      ++counters_.no_room;
      continue;
    }
    const double value = said == Said::kSelfTime ? cell.sum / cell.count : cell.sum;
    model_.observe(series, period_end_ns, value, said == Said::kSelfTime ? cell.count : 0.0);
  }
}

}  // namespace grace::models
