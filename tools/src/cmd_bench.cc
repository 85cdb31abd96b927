// `grace bench`: what the engine sustains on this machine under an objective, and what that means
// for a plan. Each measurement runs in a process of its own.
#include <iostream>
#include <memory>

#include "bench_document.h"
#include "bench_settings.h"
#include "bench_soak.h"
#include "bench_stall.h"
#include "bench_sweep.h"
#include "command.h"
#include "event_mix.h"
#include "grace/harness/plan.h"

namespace grace::tools {
namespace {

using ArgumentsPtr = std::shared_ptr<BenchArguments>;

int fail(const char* command, const core::Error& error) {
  std::cerr << "grace bench " << command << ": " << error.message << '\n';
  const bool usage =
      error.code == core::ErrorCode::kInvalidArgument || error.code == core::ErrorCode::kConfig;
  return usage ? kExitUsage : kExitNegative;
}

int bench_run(const BenchArguments& arguments) {
  const auto settings = understood(arguments, {.rate = true});
  if (!settings) return fail("run", settings.error());
  BenchDocument document("run", "");
  const auto point = point_in_own_process(arguments, *settings);
  if (!point) return fail("run", point.error());
  if (auto added = document.add_point(*point); !added) return fail("run", added.error());
  return present(arguments, document.to_json(arguments));
}

int bench_search(const BenchArguments& arguments) {
  const auto settings = understood(arguments, {.slo = true});
  if (!settings) return fail("search", settings.error());
  BenchDocument document("search", "");
  const auto search = search_in_own_process(arguments, *settings);
  if (!search) return fail("search", search.error());
  if (auto added = document.add_search(*search); !added) return fail("search", added.error());
  return present(arguments, document.to_json(arguments));
}

// --- soak ---

struct SoakArguments {
  BenchArguments bench;
  SoakRequest request;
};

// The rate that a soak is a part of: given, or searched for.
core::Result<double> best_rate(const BenchArguments& arguments, const BenchSettings& settings) {
  if (settings.rate > 0.0) return settings.rate;
  const auto search = search_in_own_process(arguments, settings);
  if (!search) return tl::unexpected<core::Error>(search.error());
  const auto value = parse::JsonValue::parse(*search);
  if (!value) return tl::unexpected<core::Error>(value.error());
  const double rate = (*value)["rate"].as_double();
  if (rate > 0.0) return rate;
  return core::make_error(core::ErrorCode::kNotFound, "no rate held " + arguments.slo);
}

int bench_soak(SoakArguments arguments) {
  const BenchArguments& bench = arguments.bench;
  const auto settings = understood(bench, {.slo = true});
  if (!settings) return fail("soak", settings.error());
  if (const auto read = understand(arguments.request); !read) return fail("soak", read.error());
  if (!bench.socket.empty()) {
    return fail("soak", {core::ErrorCode::kInvalidArgument,
                         "--socket: a running engine's memory is not this process's"});
  }
  const auto best = best_rate(bench, *settings);
  if (!best) return fail("soak", best.error());
  arguments.request.best_rate = *best;
  const auto point =
      in_own_process([&] { return measure_soak(bench, *settings, arguments.request); });
  if (!point) return fail("soak", point.error());
  BenchDocument document("soak", "");
  if (auto added = document.add_point(*point); !added) return fail("soak", added.error());
  const int shown = present(bench, document.to_json(bench));
  const auto value = parse::JsonValue::parse(*point);
  const bool holds = value && (*value)["soak"]["holds"].as_bool();
  return shown == kExitOk && !holds ? kExitNegative : shown;
}

// --- sweeps ---

int bench_sweep(const BenchArguments& arguments) {
  const bool searching = searches(arguments);
  const auto settings = understood(arguments, {.rate = !searching, .slo = searching});
  if (!settings) return fail("sweep", settings.error());
  if (arguments.over == "workers" && !arguments.socket.empty()) {
    return fail("sweep", {core::ErrorCode::kInvalidArgument,
                          "--socket: a running engine's workers do not change"});
  }
  BenchDocument document("sweep", arguments.over);
  if (auto swept = sweep(arguments, *settings, document); !swept) {
    return fail("sweep", swept.error());
  }
  return present(arguments, document.to_json(arguments));
}

// --- plan ---

// The searches of a stored sweep. They must be for the same objective.
core::Result<void> take_stored(const BenchArguments& arguments, const harness::Objective& objective,
                               BenchDocument& document, std::uint64_t& cpus) {
  const auto refused = [&](const std::string& what) {
    return core::make_error(core::ErrorCode::kInvalidArgument, "--from: " + arguments.from + what);
  };
  auto stored = read_bench_result(arguments.from);
  if (!stored) return tl::unexpected<core::Error>(stored.error());
  if (const auto over = (*stored)["over"].as_string(); over == "mix" || over == "rules") {
    return refused(" is a sweep over " + std::string(over) + ", not over workers");
  }
  if ((*stored)["searches"].array().empty()) return refused(" is no sweep over workers");
  for (const parse::JsonValue& search : (*stored)["searches"].array()) {
    const std::string measured_for(search["objective"].as_string());
    const auto same = harness::parse_objective(measured_for);
    if (!same || same->share != objective.share || same->limit_ns != objective.limit_ns) {
      return refused(" was measured for " + measured_for + ", not for " + arguments.slo);
    }
    if (auto added = document.add_search(search.to_json()); !added) return added;
  }
  cpus = (*stored)["machine"]["cpus"].as_uint64();
  document.set_stored(std::move(*stored));
  return {};
}

int bench_plan(const BenchArguments& arguments) {
  const auto settings = understood(arguments, {.rate = true, .slo = true});
  if (!settings) return fail("plan", settings.error());
  if (!arguments.socket.empty()) {
    return fail("plan", {core::ErrorCode::kInvalidArgument,
                         "--socket: a running engine's workers do not change"});
  }
  const auto headroom = harness::parse_share(arguments.headroom);
  if (!headroom) {
    return fail("plan",
                {core::ErrorCode::kInvalidArgument, "--headroom: " + headroom.error().message});
  }
  BenchDocument document("plan", "workers");
  std::uint64_t cpus = harness::machine_report().cpu_count;
  BenchSettings searched = *settings;
  searched.rate = 0.0;  // what is wanted is no first guess of what one machine holds
  const auto measured = arguments.from.empty()
                            ? sweep(arguments, searched, document)
                            : take_stored(arguments, *settings->objective, document, cpus);
  if (!measured) return fail("plan", measured.error());
  const auto points = document.capacity();
  if (points.empty()) {
    return fail("plan", {core::ErrorCode::kNotFound, "no rate held the objective: no plan"});
  }
  const auto fit = harness::ScalabilityFit::of(points);
  if (!fit) return fail("plan", fit.error());
  const harness::PlanRequest request{settings->rate, *headroom, workers_max_of(cpus, points)};
  const auto plan = harness::make_plan(points, *fit, request);
  if (!plan) return fail("plan", plan.error());
  document.set_plan(*plan, request);
  return present(arguments, document.to_json(arguments));
}

// --- the command line ---

Command* add_measuring(Command& bench, const std::string& name, const std::string& help,
                       const std::string& example, const ArgumentsPtr& arguments) {
  Command* app = bench.add_subcommand(name, help);
  app->footer("Example: grace bench " + example +
              "\nRates: 250k, 3M. Times: 200us, 5ms, 2s. Objectives: p99.9=5ms.");
  app->add_option("--rate", arguments->rate, "Events a second");
  app->add_option("--slo", arguments->slo, "Objective of the response time");
  app->add_option("--workers", arguments->workers, "Worker threads");
  app->add_option("--arrivals", arguments->arrivals,
                  "poisson, constant, bursty, or file:PATH with gaps in ns, one a line")
      ->show_default();
  app->add_option("--warmup", arguments->warmup, "Before anything counts")->show_default();
  app->add_option("--duration", arguments->duration, "Of a run")->show_default();
  app->add_option("--drain", arguments->drain, "Longest wait for the last decisions")
      ->show_default();
  app->add_option("--event-rate", arguments->event_rate,
                  "Events in a second of event time (default: as they arrive)");
  app->add_option("--input", arguments->input, "Send these lines instead of generated ones");
  app->add_option("--profile", arguments->profile, "Mix of the generated events: see gen --list")
      ->one_of({"mixed", "realistic"})
      ->show_default();
  app->add_option("--mix", arguments->mix, kEventMixHelp);
  app->add_option("--rules", arguments->rules,
                  "Configured rules that are asked and do not answer, instead of --config's: "
                  "thresholds, maintenance windows and policies in equal parts")
      ->range(std::uint64_t{1}, kRulesMax);
  app->add_option("--retries", arguments->retries,
                  "How often a run is made again that others took over 2% of the time from")
      ->range(0, 100)
      ->show_default();
  app->add_option("--events", arguments->events, "Generated events, sent over and over")
      ->range(1'000, 100'000'000)
      ->show_default();
  app->add_option("--services", arguments->services, "Services they speak of, six series each")
      ->range(1U, static_cast<unsigned>(kServicesMax))
      ->show_default();
  app->add_option("--seed", arguments->seed, "Of stream and arrivals")->show_default();
  app->add_option("--config", arguments->config_path, "Configuration file (TOML)");
  app->add_option("--socket", arguments->socket, "Load a running engine through its unix source");
  app->add_option("--control", arguments->control, "That engine's control socket");
  app->add_flag("--publish", arguments->publish,
                "Publish typed events from a thread of its own instead of sending lines");
  app->add_flag("--ledger", arguments->ledger,
                "Write decisions to a ledger, in a temporary folder");
  app->add_flag("--record", arguments->record, "Record the input in a journal, there too");
  app->add_option("--out", arguments->out, "Write OUT.json and OUT.html");
  app->add_flag("--json", arguments->json, "Print the result as JSON");
  return app;
}

void add_searching(Command* app, const ArgumentsPtr& arguments) {
  app->add_option("--repetitions", arguments->repetitions, "Of each search; the median counts")
      ->range(1, 100)
      ->show_default();
}

void add_sweep_and_plan(Command& bench, int& exit_code) {
  auto swept = std::make_shared<BenchArguments>();
  Command* sweep_app =
      add_measuring(bench, "sweep", "One thing changes: load, workers, cardinality, mix ...",
                    "sweep --over workers --slo p99.9=5ms --out workers", swept);
  sweep_app
      ->add_option("--over", swept->over,
                   "load, workers, cardinality, overload, mix or rules; the last two by runs at "
                   "--rate, or without one by searches for --slo")
      ->one_of({"load", "workers", "cardinality", "overload", "mix", "rules"})
      ->show_default();
  sweep_app->add_option("--values", swept->values,
                        "Its values: 100k,200k,1M or 1,2,4, or mixes (see --mix)");
  add_searching(sweep_app, swept);
  sweep_app->callback([swept, &exit_code] { exit_code = bench_sweep(*swept); });

  auto planned = std::make_shared<BenchArguments>();
  planned->over = "workers";
  Command* plan_app =
      add_measuring(bench, "plan", "Workers and machines for a rate, from measurements",
                    "plan --rate 3M --slo p99.9=5ms --headroom 30% --from workers.json", planned);
  plan_app->add_option("--headroom", planned->headroom, "Share of the capacity that stays free")
      ->show_default();
  plan_app->add_option("--from", planned->from,
                       "A stored sweep over workers; without it one is measured");
  plan_app->add_option("--values", planned->values, "Numbers of workers to measure");
  add_searching(plan_app, planned);
  plan_app->callback([planned, &exit_code] { exit_code = bench_plan(*planned); });
}

void add_soak(Command& bench, int& exit_code) {
  auto soaked = std::make_shared<SoakArguments>();
  soaked->bench.slo = "p99=100ms";
  soaked->bench.repetitions = 1;
  // So that what fills with event time is full long before the second half.
  soaked->bench.event_rate = "1k";
  Command* app = add_measuring(bench, "soak", "A long run at half of the best rate: flat memory?",
                               "soak --for 1h --out soak", {soaked, &soaked->bench});
  app->option("--rate")->describe("The best rate, where it is known; else it is searched");
  app->option("--duration")->describe("Of each run of the search");
  app->option("--event-rate")->describe("Events in a second of event time (default: 1k)");
  app->add_option("--for", soaked->request.for_text, "How long, after the search")->show_default();
  app->add_option("--load", soaked->request.load_text, "Share of the best rate")->show_default();
  app->add_option("--growth", soaked->request.growth_text,
                  "Of memory in the second half: what may be within the interval's end")
      ->show_default();
  app->callback([soaked, &exit_code] { exit_code = bench_soak(*soaked); });
}

}  // namespace

void add_bench_command(Command& app, int& exit_code) {
  Command* bench = app.add_subcommand("bench", "What this machine sustains, and what a rate needs");
  bench->require_subcommand();
  auto ran = std::make_shared<BenchArguments>();
  add_measuring(*bench, "run", "Latencies at one rate", "run --rate 500k --duration 5s --out half",
                ran)
      ->callback([ran, &exit_code] { exit_code = bench_run(*ran); });
  auto searched = std::make_shared<BenchArguments>();
  Command* search_app = add_measuring(*bench, "search", "The highest rate that holds an objective",
                                      "search --slo p99.9=5ms --workers 2", searched);
  add_searching(search_app, searched);
  search_app->callback([searched, &exit_code] { exit_code = bench_search(*searched); });
  add_sweep_and_plan(*bench, exit_code);
  add_soak(*bench, exit_code);

  auto paths = std::make_shared<std::pair<std::string, std::string>>();
  auto as_json = std::make_shared<bool>(false);
  Command* compare_app = bench->add_subcommand("compare", "Two results, figure by figure");
  compare_app->footer("Example: grace bench compare before.json after.json");
  compare_app->add_option("a", paths->first, "A result's JSON")->required();
  compare_app->add_option("b", paths->second, "Another one's")->required();
  compare_app->add_flag("--json", *as_json, "Print one JSON object");
  compare_app->callback([paths, as_json, &exit_code] {
    exit_code = compare_results(paths->first, paths->second, *as_json);
  });
  add_bench_stall_command(*bench, exit_code);
}

}  // namespace grace::tools
