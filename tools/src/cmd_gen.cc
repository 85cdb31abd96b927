#include <fstream>
#include <iostream>

#include "command.h"
#include "event_mix.h"
#include "generator.h"
#include "grace/core/json_writer.h"
#include "grace/core/time.h"

namespace grace::tools {
namespace {

struct GenArguments {
  GeneratorOptions options;
  std::string start;
  std::string mix;
  std::string truth_path;
  bool list = false;
};

int write_truth(const std::string& path, const std::vector<GroundTruth>& truth) {
  std::ofstream file(path);
  for (const GroundTruth& fault : truth) {
    std::string line;
    core::JsonWriter json(line);
    json.begin_object()
        .field("fault", fault.fault)
        .field("service", fault.service)
        .field("begin", core::format_rfc3339(fault.begin_ns))
        .field("end", core::format_rfc3339(fault.end_ns));
    if (!fault.metric.empty()) json.field("metric", fault.metric);
    if (fault.crosses_ns != 0) {
      json.field("limit", fault.limit).field("crosses", core::format_rfc3339(fault.crosses_ns));
    }
    json.end_object();
    file << line << '\n';
  }
  file.flush();
  if (file) return kExitOk;
  std::cerr << "grace gen: cannot write " << path << '\n';
  return kExitNegative;
}

int generate_stream(const GenArguments& arguments) {
  if (arguments.list) {
    for (const GeneratorProfile& profile : generator_profiles()) {
      std::cout << profile.name << "\t" << profile.help << '\n';
    }
    return kExitOk;
  }
  GeneratorOptions options = arguments.options;
  if (!arguments.start.empty()) {
    const auto start = core::parse_rfc3339(arguments.start);
    if (!start) {
      std::cerr << "grace gen: --start: '" << arguments.start << "' is not an RFC 3339 time\n";
      return kExitUsage;
    }
    options.start_ns = *start;
  }
  if (!arguments.mix.empty()) {
    if (const auto set = set_event_mix(arguments.mix, options); !set) {
      std::cerr << "grace gen: --mix: " << set.error().message << '\n';
      return kExitUsage;
    }
  }
  std::ios::sync_with_stdio(false);
  const auto truth = generate(options, std::cout);
  if (!truth) {
    std::cerr << "grace gen: " << truth.error().message << '\n';
    return truth.error().code == core::ErrorCode::kIo ? kExitNegative : kExitUsage;
  }
  return arguments.truth_path.empty() ? kExitOk : write_truth(arguments.truth_path, *truth);
}

}  // namespace

void add_gen_command(Command& app, int& exit_code) {
  auto arguments = std::make_shared<GenArguments>();
  Command* gen = app.add_subcommand("gen", "Write synthetic telemetry to standard output");
  gen->footer("Example: grace gen --profile mixed --count 3000000 --seed 7 > firehose.ndjson");
  GeneratorOptions& options = arguments->options;
  gen->add_option("--profile", options.profile, "What to write; see --list")->show_default();
  gen->add_option("--mix", arguments->mix, kEventMixHelp);
  gen->add_option("--count", options.event_count, "Events (scenarios have their own length)")
      ->show_default();
  gen->add_option("--seed", options.seed, "The same seed gives the same bytes")->show_default();
  gen->add_option("--start", arguments->start, "Event time of the first event, RFC 3339");
  gen->add_option("--rate", options.events_per_second, "Events in a second of event time")
      ->show_default();
  gen->add_option("--services", options.service_count, "Services of the mixed profile")
      ->show_default();
  gen->add_option("--days", options.days, "Length of the week profile")->show_default();
  gen->add_option("--bad-lines", options.bad_line_share, "Share of broken lines")->range(0.0, 0.5);
  gen->add_option("--truth", arguments->truth_path, "Write the faults injected to this file");
  gen->add_flag("--list", arguments->list, "List the profiles");
  gen->callback([arguments, &exit_code] { exit_code = generate_stream(*arguments); });
}

}  // namespace grace::tools
