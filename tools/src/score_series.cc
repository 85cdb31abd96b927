// grace score series: the anomaly score of each row of a series, as models/series has it.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "score.h"
#include "series_scores.h"

namespace grace::tools {
namespace {

using models::SeriesMember;

struct Arguments {
  std::string path;
  std::vector<std::string> without;
  bool evidence = false;
};

// The members that are left; false when one is not known.
bool members_without(const std::vector<std::string>& names, std::uint32_t& members) {
  for (const std::string& name : names) {
    std::size_t at = 0;
    while (at < models::kSeriesMemberCount && name_of(static_cast<SeriesMember>(at)) != name) ++at;
    if (at == models::kSeriesMemberCount) {
      std::cerr << "grace score series: --without: there is no member '" << name << "'; they are";
      for (std::size_t i = 0; i < models::kSeriesMemberCount; ++i) {
        std::cerr << (i == 0 ? " " : ", ") << name_of(static_cast<SeriesMember>(i));
      }
      std::cerr << '\n';
      return false;
    }
    members &= ~(1U << at);
  }
  return true;
}

int run_score_series(const Arguments& arguments) {
  SeriesScoreOptions options;
  options.evidence = arguments.evidence;
  if (!members_without(arguments.without, options.members)) return kExitUsage;
  auto input = BoundedLines::open(arguments.path);
  if (!input) {
    std::cerr << "grace score series: " << input.error().message << '\n';
    return kExitUsage;
  }
  std::ios::sync_with_stdio(false);
  const auto rows = score_series(std::move(*input), options, std::cout);
  std::cout.flush();
  if (!rows) {
    std::cerr << "grace score series: " << rows.error().message << '\n';
    return kExitUsage;
  }
  if (!std::cout) {
    std::cerr << "grace score series: cannot write the scores\n";
    return kExitNegative;
  }
  return kExitOk;
}

}  // namespace

void add_score_series(Command& score, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  Command* command = score.add_subcommand("series", "Anomaly score of each row of a series");
  command->add_option("FILE", arguments->path, "CSV with the columns timestamp and value")
      ->required();
  command->add_flag("--evidence", arguments->evidence,
                    "Add tail_probability, member and member_surprise to each row");
  command->add_option("--without", arguments->without,
                      "Leave a member of the ensemble out, to measure what it brings");
  command->footer("Example: grace score series cpu.csv > scores.csv");
  command->callback([arguments, &exit_code] { exit_code = run_score_series(*arguments); });
}

}  // namespace grace::tools
