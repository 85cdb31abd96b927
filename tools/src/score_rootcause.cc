#include <iostream>
#include <memory>
#include <optional>

#include "command.h"
#include "edge_input.h"
#include "grace/core/time.h"
#include "rootcause_input.h"
#include "score.h"
#include "span_input.h"

namespace grace::tools {
namespace {

struct RootCauseArguments {
  std::string topology, metrics, spans, at, symptom;
};

tl::unexpected<core::Error> wrong(const std::string& what) {
  return core::make_error(core::ErrorCode::kInvalidArgument, what);
}

core::Result<void> rank_file(const RootCauseArguments& arguments) {
  const auto at_ns = core::parse_rfc3339(arguments.at);
  if (!at_ns) return wrong("--at: '" + arguments.at + "' is not an RFC 3339 time");
  std::optional<models::Symptom> symptom;
  if (!arguments.symptom.empty()) {
    // Service names may hold colons; names of metrics that alarm do not.
    const std::size_t colon = arguments.symptom.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == arguments.symptom.size()) {
      return wrong("--symptom: '" + arguments.symptom + "' is not SERVICE:METRIC");
    }
    symptom = {arguments.symptom.substr(0, colon), arguments.symptom.substr(colon + 1)};
  }
  auto edges = BoundedLines::open(arguments.topology);
  if (!edges) return tl::unexpected(edges.error());
  auto metrics = BoundedLines::open(arguments.metrics);
  if (!metrics) return tl::unexpected(metrics.error());
  models::RootCauseModel model;
  const auto topology = read_edges(
      std::move(*edges), [&](auto caller, auto callee) { return model.add_edge(caller, callee); });
  if (!topology) return topology;
  const auto read = read_metrics(std::move(*metrics), *at_ns,
                                 [&](const auto&... sample) { return model.observe(sample...); });
  if (!read) return tl::unexpected(read.error());
  if (!arguments.spans.empty()) {
    auto lines = BoundedLines::open(arguments.spans);
    if (!lines) return tl::unexpected(lines.error());
    models::SpanAssembler assembler(model);
    const auto spans = read_spans(std::move(*lines), *at_ns,
                                  [&](const auto& span) { return assembler.observe(span); });
    if (!spans) return tl::unexpected(spans.error());
    assembler.finish();
    if (assembler.counters().no_room > 0) {
      std::cerr << "grace: " << assembler.counters().no_room
                << " samples of spans found no room in the model\n";
    }
  }
  const auto ranking = model.rank(*at_ns, symptom);
  if (!ranking) return wrong("--symptom: " + ranking.error().message);
  std::cout << ranking_json(*ranking) << '\n';
  return {};
}

}  // namespace

void add_score_rootcause(Command& score, int& exit_code) {
  auto arguments = std::make_shared<RootCauseArguments>();
  Command* command =
      score.add_subcommand("rootcause", "Rank services by how probably they are the root cause");
  command->footer(
      "Example: grace score rootcause --topology edges.csv --metrics metrics.csv "
      "--at 2025-01-15T14:45:00Z --symptom web:latency_average\n"
      "edges.csv: caller,callee. metrics.csv: timestamp,service,metric,value, in any order.\n"
      "spans: timestamp,trace,span,parent,service,operation,duration_ms,result.");
  command->add_option("--topology", arguments->topology, "Who calls whom")->required();
  command->add_option("--metrics", arguments->metrics, "Samples of all services")->required();
  command->add_option("--spans", arguments->spans,
                      "Calls of traces, in order of time within half a minute");
  command->add_option("--at", arguments->at, "The moment asked about, RFC 3339; later is not used")
      ->required();
  command->add_option("--symptom", arguments->symptom, "The alarm that asked, SERVICE:METRIC");
  command->callback(
      [arguments, &exit_code] { exit_code = finish_score("rootcause", rank_file(*arguments)); });
}

}  // namespace grace::tools
