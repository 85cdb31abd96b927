#include <iostream>

#include "command.h"
#include "score.h"

namespace grace::tools {

int finish_score(std::string_view name, const core::Result<void>& done) {
  std::cout.flush();
  const bool written = std::cout.good();
  if (done && written) return kExitOk;
  std::cerr << "grace score " << name << ": "
            << (done ? "cannot write the output" : done.error().message) << '\n';
  return done ? kExitNegative : kExitUsage;
}

void add_score_command(Command& app, int& exit_code) {
  Command* score =
      app.add_subcommand("score", "Run a detection model, default configuration, over a data set");
  score->require_subcommand();
  score->footer("Example: grace score sessions --train train.txt test.txt");
  add_score_series(*score, exit_code);
  add_score_changepoints(*score, exit_code);
  add_score_sessions(*score, exit_code);
  add_score_groups(*score, exit_code);
  add_score_rootcause(*score, exit_code);
}

}  // namespace grace::tools
