#include <iostream>
#include <memory>
#include <string>

#include "alert_line.h"
#include "bounded_lines.h"
#include "command.h"
#include "edge_input.h"
#include "grace/models/alert_grouper.h"
#include "score.h"

namespace grace::tools {
namespace {

struct GroupOptions {
  std::string alerts;
  std::string topology;
};

core::Result<void> read_topology(const std::string& path, models::AlertGrouper& grouper) {
  auto lines = BoundedLines::open(path);
  if (!lines) return tl::unexpected(lines.error());
  return read_edges(std::move(*lines),
                    [&](auto caller, auto callee) { return grouper.relate(caller, callee); });
}

core::Result<void> group(const std::string& path, models::AlertGrouper& grouper) {
  auto lines = BoundedLines::open(path);
  if (!lines) return tl::unexpected(lines.error());
  std::cout << "index,group\n";
  std::uint64_t next_index = 0;
  for (;;) {
    const auto more = lines->next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    if (lines->line().find_first_not_of(" \t") == std::string_view::npos) continue;
    const auto alert = parse_alert_line(lines->line());
    if (!alert) return lines->error(alert.error().message);
    const models::AlertGroup found =
        grouper.add({alert->ts_ns, alert->service, alert->signature, alert->text});
    std::cout << alert->index.value_or(next_index++) << ',' << found.id << '\n';
  }
  return {};
}

int score_groups(const GroupOptions& options) {
  models::AlertGrouper grouper;
  core::Result<void> done;
  if (!options.topology.empty()) done = read_topology(options.topology, grouper);
  if (done) done = group(options.alerts, grouper);
  return finish_score("groups", done);
}

}  // namespace

void add_score_groups(Command& score, int& exit_code) {
  auto options = std::make_shared<GroupOptions>();
  Command* command =
      score.add_subcommand("groups", "Group alerts into incidents, as they come; CSV index,group");
  command->footer(
      "A line is an alert, a JSON object: ts, timestamp or time (RFC 3339 or integer "
      "nanoseconds);\n"
      "service, host or resource; signature or rule; name, message or title; index (else alerts "
      "are\nnumbered from 0). Other fields are ignored. Alerts come in time order.\n"
      "Example: grace score groups alerts.ndjson");
  command->add_option("alerts", options->alerts, "Alerts, NDJSON")->required();
  command->add_option("--topology", options->topology,
                      "Who depends on whom, where known: CSV caller,callee");
  command->callback([options, &exit_code] { exit_code = score_groups(*options); });
}

}  // namespace grace::tools
