#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "command.h"
#include "grace/core/time.h"
#include "rootcause_input.h"
#include "score.h"

namespace grace::tools {
namespace {

struct RootCauseArguments {
  std::string topology, metrics, at, symptom;
};

int fail(const std::string& message) {
  std::cerr << "grace score rootcause: " << message << '\n';
  return kExitUsage;
}

int rank_file(const RootCauseArguments& arguments) {
  const auto at_ns = core::parse_rfc3339(arguments.at);
  if (!at_ns) return fail("--at: '" + arguments.at + "' is not an RFC 3339 time");
  std::optional<models::Symptom> symptom;
  if (!arguments.symptom.empty()) {
    // Service names may hold colons; names of metrics that alarm do not.
    const std::size_t colon = arguments.symptom.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == arguments.symptom.size()) {
      return fail("--symptom: '" + arguments.symptom + "' is not SERVICE:METRIC");
    }
    symptom = {arguments.symptom.substr(0, colon), arguments.symptom.substr(colon + 1)};
  }
  std::ifstream edges(arguments.topology);
  if (!edges) return fail("cannot open " + arguments.topology);
  std::ifstream metrics(arguments.metrics);
  if (!metrics) return fail("cannot open " + arguments.metrics);
  models::RootCauseModel model;
  const auto topology = read_edges(edges, arguments.topology, model);
  if (!topology) return fail(topology.error().message);
  const auto read = read_metrics(metrics, arguments.metrics, *at_ns, model);
  if (!read) return fail(read.error().message);
  const auto ranking = model.rank(*at_ns, symptom);
  if (!ranking) return fail("--symptom: " + ranking.error().message);
  std::cout << ranking_json(*ranking) << '\n';
  return kExitOk;
}

}  // namespace

void add_score_rootcause(CLI::App& score, int& exit_code) {
  auto arguments = std::make_shared<RootCauseArguments>();
  CLI::App* command =
      score.add_subcommand("rootcause", "Rank services by how probably they are the root cause");
  command->footer(
      "Example: grace score rootcause --topology edges.csv --metrics metrics.csv "
      "--at 2025-01-15T14:45:00Z --symptom web:latency_average\n"
      "edges.csv: caller,callee. metrics.csv: timestamp,service,metric,value, in any order.");
  command->add_option("--topology", arguments->topology, "Who calls whom")->required();
  command->add_option("--metrics", arguments->metrics, "Samples of all services")->required();
  command->add_option("--at", arguments->at, "The moment asked about, RFC 3339; later is not used")
      ->required();
  command->add_option("--symptom", arguments->symptom, "The alarm that asked, SERVICE:METRIC");
  command->callback([arguments, &exit_code] { exit_code = rank_file(*arguments); });
}

}  // namespace grace::tools
