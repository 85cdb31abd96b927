#include <cmath>
#include <iostream>
#include <memory>
#include <string>

#include "bounded_lines.h"
#include "command.h"
#include "grace/core/format.h"
#include "grace/core/hash.h"
#include "grace/models/session_model.h"
#include "score.h"

namespace grace::tools {
namespace {

struct SessionOptions {
  std::string train;
  std::string test;
  std::string threshold;
};

// Calls visit(symbol) for each event id of a line. An id is told from others by 31 bits of its
// hash, so that it is never SessionModel::kEndSymbol.
template <typename Visit>
void for_each_symbol(std::string_view line, Visit visit) {
  constexpr std::string_view kBlank = " \t";
  for (std::size_t at = line.find_first_not_of(kBlank); at < line.size();) {
    const std::size_t end = std::min(line.find_first_of(kBlank, at), line.size());
    visit(static_cast<std::uint32_t>(core::hash_bytes(line.substr(at, end - at)) >> 33));
    at = line.find_first_not_of(kBlank, end);
  }
}

core::Result<void> learn(const std::string& path, models::SessionModel& model) {
  auto lines = BoundedLines::open(path);
  if (!lines) return tl::unexpected(lines.error());
  for (;;) {
    const auto more = lines->next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    models::SessionModel::Session session;
    std::uint64_t steps = 0;
    for_each_symbol(lines->line(), [&](std::uint32_t symbol) {
      model.learn_step(session, symbol);
      ++steps;
    });
    if (steps > 0) model.learn_end(session);
  }
  if (model.session_count() == 0) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            path + ": there is no session in it");
  }
  return {};
}

core::Result<void> judge(const std::string& path, const models::SessionModel& model, bool flags) {
  auto lines = BoundedLines::open(path);
  if (!lines) return tl::unexpected(lines.error());
  const double threshold = model.threshold();
  for (;;) {
    const auto more = lines->next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    models::SessionModel::Session session;
    for_each_symbol(lines->line(), [&](std::uint32_t symbol) { model.step(session, symbol); });
    const double score = model.end(session).total();
    std::cout << core::decimal(score, 6);
    if (flags) std::cout << (score > threshold ? " 1" : " 0");
    std::cout << '\n';
  }
  return {};
}

int score_sessions(const SessionOptions& options) {
  models::SessionModel model;
  const bool flags = !options.threshold.empty();
  core::Result<void> done = learn(options.train, model);
  if (done && flags && std::isinf(model.threshold())) {
    done = core::make_error(core::ErrorCode::kInvalidArgument,
                            options.train + ": too few sessions for a threshold");
  }
  if (done) done = judge(options.test, model, flags);
  return finish_score("sessions", done);
}

}  // namespace

void add_score_sessions(Command& score, int& exit_code) {
  auto options = std::make_shared<SessionOptions>();
  Command* command = score.add_subcommand(
      "sessions", "Learn sessions of event ids from normal ones; score others, a line each");
  command->footer(
      "A line is a session: event ids with blanks between them. Output: its score in nats; with\n"
      "--threshold auto also 1 where it is above the threshold that the training data gives (one\n"
      "false alarm in 5000 sessions), else 0.\n"
      "Example: grace score sessions --train train.txt --threshold auto test.txt");
  command->add_option("--train", options->train, "Normal sessions")->required();
  command->add_option("--threshold", options->threshold, "auto: also print a 0/1 verdict")
      ->one_of({"auto"});
  command->add_option("test", options->test, "Sessions to score")->required();
  command->callback([options, &exit_code] { exit_code = score_sessions(*options); });
}

}  // namespace grace::tools
