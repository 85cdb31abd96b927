// Any bytes as edges, metrics and spans, cut at the first two empty lines. What is read ranks with
// probabilities that sum to one; what is not read names its line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>

#include "edge_input.h"
#include "rootcause_input.h"
#include "span_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace grace;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(text.find("\n\n"), text.size());
  std::istringstream edges(text.substr(0, cut));
  const std::size_t second_cut = std::min(text.find("\n\n", cut + 2), text.size());
  std::istringstream metrics(text.substr(cut, second_cut - cut));
  std::istringstream spans(text.substr(second_cut));
  models::RootCauseModel model;
  const auto add_edge = [&](auto caller, auto callee) { return model.add_edge(caller, callee); };
  const auto observe = [&](const auto&... sample) { return model.observe(sample...); };
  using tools::BoundedLines;
  if (const auto read = tools::read_edges(BoundedLines(edges, "e"), add_edge); !read) {
    if (read.error().message.rfind("e:", 0) != 0) std::abort();
    return 0;
  }
  constexpr std::int64_t kAt = 1'736'951'400'000'000'000;
  if (const auto read = tools::read_metrics(BoundedLines(metrics, "m"), kAt, observe); !read) {
    if (read.error().message.rfind("m:", 0) != 0) std::abort();
    return 0;
  }
  models::SpanAssembler assembler(model, {.spans_max = 64, .cells_max = 64, .trace_spans_max = 16});
  const auto take = [&](const models::Span& span) { return assembler.observe(span); };
  if (const auto read = tools::read_spans(BoundedLines(spans, "s"), kAt, take); !read) {
    if (read.error().message.rfind("s:", 0) != 0) std::abort();
    return 0;
  }
  assembler.finish();
  if (assembler.spans_held() + assembler.cells_held() != 0) std::abort();
  const auto ranking = model.rank(kAt, std::nullopt);
  if (!ranking) std::abort();
  double sum = ranking->none;
  for (const auto& each : ranking->services) {
    if (!(each.probability >= 0.0 && each.probability <= 1.0)) std::abort();
    sum += each.probability;
  }
  if (!(sum > 1.0 - 1e-9 && sum < 1.0 + 1e-9)) std::abort();
  return 0;
}
