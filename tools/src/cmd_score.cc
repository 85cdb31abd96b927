#include "command.h"
#include "score.h"

namespace grace::tools {

void add_score_command(CLI::App& app, int& exit_code) {
  CLI::App* score = app.add_subcommand(
      "score", "Run the production detectors, default configuration, over a public data set");
  score->require_subcommand(1);
  score->footer("Example: grace score sessions --train train.txt test.txt");
  add_score_series(*score, exit_code);
  add_score_changepoints(*score, exit_code);
  add_score_sessions(*score, exit_code);
  add_score_groups(*score, exit_code);
  add_score_rootcause(*score, exit_code);
}

}  // namespace grace::tools
