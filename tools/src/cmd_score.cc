#include "command.h"
#include "score.h"

namespace grace::tools {

void add_score_command(CLI::App& app, int& exit_code) {
  CLI::App* score = app.add_subcommand(
      "score", "Run the production detectors, default configuration, over a public data set");
  score->require_subcommand(1);
  add_score_rootcause(*score, exit_code);
}

}  // namespace grace::tools
