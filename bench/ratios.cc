// Question: how near to its bound does each part of the engine's promise come?
//
//   one command, one table: each row a ratio of two runs of the same repetition (or a time), beside
//   its floor and its goal
//
// All contestants of a repetition run one after the other, so that a busy machine disturbs all
// alike; the median of the paired ratios counts, with their spread. The way from core to core is
// probed before and after each repetition: on virtual machines it has two modes and changes between
// them, so all rows are taken from repetitions of the more frequent mode alone.
// Bound: simdjson reading the same fields of the same file (bare_simdjson.h).
// Before times are believed, simdjson's sums and the engine's counts and digests must be right.
// Over 2% of time lost to others, before, after or during the runs: inconclusive.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "arguments.h"
#include "bare_simdjson.h"
#include "bench_settings.h"
#include "engine_load.h"
#include "engine_replay.h"
#include "grace/harness/search.h"
#include "ratio_streams.h"

namespace {

using namespace grace::bench;
namespace core = grace::core;
namespace harness = grace::harness;
namespace tools = grace::tools;

// Between the two modes of the way from core to core and back, about 150 and about 700 ns.
constexpr double kFarNs = 400.0;

enum class Unit { kRatio, kNs, kCores };  // of the last two less is better
constexpr std::array kUnitNames{"ratio", "ns", "cores"};
struct Row {
  const char* key;
  const char* meaning;
  double floor = 0.0;  // 0: nothing is promised
  double goal = 0.0;
  Unit unit = Unit::kRatio;
};
// Live events a second at which recording is judged.
constexpr double kRecordingRate = 2e6;
constexpr std::array kRows{
    Row{"one_worker", "1 worker, JSON to decision / bare simdjson, one thread", 0.60, 0.80},
    Row{"two_workers", "2 workers / bare simdjson, one thread", 1.1, 1.5},
    Row{"two_workers_two", "2 workers / bare simdjson, two threads", 0.55, 0.80},
    Row{"one_worker_real", "realistic stream: 1 worker / simdjson, one thread", 0.60, 0.80},
    Row{"two_workers_real", "realistic stream: 2 workers / simdjson, one thread", 1.1, 1.5},
    Row{"publish", "native publish, 1 worker, events/s / bare simdjson, one thread", 1.0, 2.0},
    Row{"journal", "recording the journal on / off, best of 1 and 2 workers", 0.50, 0.75},
    Row{"recording", "cores that recording adds at 2 M live events/s", 0.40, 0.20, Unit::kCores},
    Row{"ledger", "keeping the ledger on / off, best of 1 and 2 workers", 0.90, 0.90},
    Row{"series", "many series / 1,000 series, events a second", 0.35, 0.6},
    Row{"new_series", "series that are new / 1,000 that are not, events a second"},
    Row{"rules", "1,000 configured rules / 10, events a second", 0.7, 0.95},
    Row{"errors", "every action an error / 1% errors, events a second", 0.5, 0.8},
    Row{"overload", "2x overload: goodput / best, as `grace run` is by default", 0.90, 0.98},
    Row{"p999_half", "p99.9 at 50% load, above the null floor", 200e3, 50e3, Unit::kNs},
    Row{"p50_half", "p50 at 50% load, event to decision", 5e3, 1e3, Unit::kNs},
    Row{"p999_fast", "p99.9 at 50% load, above the null floor, without sleeping", 200e3, 50e3,
        Unit::kNs},
    Row{"p50_fast", "p50 at 50% load, event to decision, without sleeping", 5e3, 1e3, Unit::kNs},
};

// --- contestants ---

constexpr Threads kOneWorker = threads_for(1);
constexpr Threads kTwoWorkers = threads_for(2);
// What `grace run` does when it is not told otherwise, and without sleeping.
constexpr Threads kDefault{};
constexpr Threads kLowLatency{.idle = core::IdlePolicy::kYield};

double timed_bare(const std::string& path, std::uint64_t events) {
  simdjson::ondemand::parser parser;
  parser.threaded = false;
  const double begin_s = harness::now_s();
  const auto sums = simdjson_file(parser, path);
  const double seconds = harness::now_s() - begin_s;
  if (!sums || sums->events != events) fail("simdjson saw another number of events");
  return seconds;
}

// The file's halves, each on a thread of its own.
double timed_bare_two(const std::string& path, std::uint64_t events) {
  std::ifstream in(path, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(std::filesystem::file_size(path) / 2));
  std::string rest_of_line;
  std::getline(in, rest_of_line);
  const auto middle = static_cast<std::uint64_t>(in.tellg());
  std::array<std::optional<Sums>, 2> sums;
  const auto read = [&](std::size_t index, const FilePart& part) {
    simdjson::ondemand::parser parser;
    parser.threaded = false;
    sums[index] = simdjson_file(parser, path, part);
  };
  const double begin_s = harness::now_s();
  std::thread second([&] { read(1, {middle}); });
  read(0, {0, middle});
  second.join();
  const double seconds = harness::now_s() - begin_s;
  if (!sums[0] || !sums[1] || sums[0]->events + sums[1]->events != events) {
    fail("simdjson's halves are not the whole");
  }
  return seconds;
}

class Contest {
 public:
  Contest(const Streams& streams, std::size_t repetitions)
      : streams_(streams),
        span_(repetitions > 1 ? 100 : 5),
        config_(taken(tools::check_config(taken(tools::load_config(""))))),
        mixed_(whole(streams.path("mixed"))),
        typed_(mixed_),
        stream_(taken(tools::LoadStream::of_file(streams.path("mixed"),
                                                 config_.app.engine.parse.line_bytes_max))) {
    const std::int64_t window_ns = repetitions > 1 ? 2'000'000'000 : 50'000'000;
    load_span_ = {window_ns / 10, window_ns, window_ns};
    for (std::size_t i = 0; i < repetitions; ++i) repetition();
    harness::watch(conditions_.quiet, span_);
  }

  // The values of a row that can stand beside each other: those of one mode.
  [[nodiscard]] std::vector<double> values(const Row& row) const {
    const std::vector<double>& all = values_.at(row.key);
    if (!mode()) return all;
    std::vector<double> chosen;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (modes_[i] == mode()) chosen.push_back(all[i]);
    }
    return chosen;
  }
  // The more frequent of the two modes; empty: every repetition saw both.
  [[nodiscard]] std::optional<bool> mode() const {
    const auto near = std::count(modes_.begin(), modes_.end(), std::optional<bool>(false));
    const auto far = std::count(modes_.begin(), modes_.end(), std::optional<bool>(true));
    if (near + far == 0) return std::nullopt;
    return far > near;
  }
  [[nodiscard]] const harness::Conditions& conditions() const noexcept { return conditions_; }
  [[nodiscard]] const std::vector<double>& trips_ns() const noexcept { return trips_ns_; }
  [[nodiscard]] double best_rate() const { return harness::median_of(best_rates_); }
  [[nodiscard]] double recording_rate() const { return harness::median_of(recording_rates_); }

 private:
  double engine(const char* stream, const ReplayOptions& options, std::uint64_t events) {
    return replayed(stream, options, events).wall_s;
  }

  Replay replayed(const char* stream, const ReplayOptions& options, std::uint64_t events) {
    const Replay run = taken(replay_file(streams_.path(stream), options));
    std::string& digest = digests_[options.config.empty() ? stream : "rules"];
    if (const std::string wrong = wrong_with(run, events, digest); !wrong.empty()) {
      fail(std::string(stream) + ": " + wrong);
    }
    if (!options.config.empty() && run.summary.runs.empty()) {
      fail("nothing was proposed: no policy was asked");
    }
    return run;
  }

  // Event time is as dense in both, so where there are many series nearly each event ends the bin
  // of one; all are made before the events that count.
  void series(const Threads& threads) {
    const ReplayOptions options{.threads = threads, .events_before = streams_.before_series};
    const std::uint64_t all = streams_.before_series + streams_.events;
    const double few_s = engine("few_series", options, all);
    const Replay many = replayed("many_series", options, all);
    add("series", few_s / many.wall_s);
    add("new_series", few_s / static_cast<double>(streams_.events) *
                          static_cast<double>(streams_.before_series) / many.before_s);
  }

  // Both come to the same decisions.
  double rules(const char* configuration, const Threads& threads) {
    return engine("mixed", {.threads = threads, .config = streams_.path(configuration)},
                  streams_.events);
  }

  tools::EngineRun load(const Threads& threads, double rate, const std::string& journal = "") {
    harness::ArrivalConfig arrivals;
    arrivals.rate = rate;
    arrivals.seed = trips_ns_.size();
    tools::CheckedConfig config = config_;
    threads.put_into(config.app.engine);
    config.app.engine.journal_directory = journal;
    tools::EngineRun run = taken(tools::run_engine_load({config, stream_, arrivals, load_span_}));
    conditions_.worst_of(run.foreign_share);
    return run;
  }

  void add(const char* key, double value) { values_[key].push_back(value); }

  double probe() {
    trips_ns_.push_back(harness::round_trip_ns());
    return trips_ns_.back();
  }

  // What was recorded is on its way to the disk for seconds, and takes CPU time that the rows
  // behind it would pay for.
  void settle() const {
    for (const char* const name : {"journal", "ledger"}) {
      std::filesystem::remove_all(streams_.path(name));
    }
    const int folder = ::open(streams_.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || ::syncfs(folder) != 0) fail("cannot sync " + streams_.folder);
    ::close(folder);
  }

  void repetition() {
    settle();
    harness::watch(conditions_.quiet, span_);
    const bool far_before = probe() > kFarNs;
    const harness::ForeignCpu foreign;
    const std::uint64_t events = streams_.events;
    const std::string mixed = streams_.path("mixed");
    const double bare_s = timed_bare(mixed, events);
    const double one_s = engine("mixed", {.threads = kOneWorker}, events);
    const double bare_two_s = timed_bare_two(mixed, events);
    const double two_s = engine("mixed", {.threads = kTwoWorkers}, events);
    add("one_worker", bare_s / one_s);
    add("two_workers", bare_s / two_s);
    add("two_workers_two", bare_two_s / two_s);
    const Replay published = taken(replay_published(typed_, {.threads = kOneWorker}));
    if (const auto wrong = wrong_with(published, events, digests_["published"]); !wrong.empty()) {
      fail("published: " + wrong);
    }
    add("publish", bare_s / published.wall_s);
    const double bare_real_s = timed_bare(streams_.path("realistic"), events);
    add("one_worker_real", bare_real_s / engine("realistic", {.threads = kOneWorker}, events));
    add("two_workers_real", bare_real_s / engine("realistic", {.threads = kTwoWorkers}, events));
    const Threads& best = one_s <= two_s ? kOneWorker : kTwoWorkers;
    const double best_s = std::min(one_s, two_s);
    best_rates_.push_back(static_cast<double>(events) / best_s);
    const double recorded_s = engine("mixed", {best, streams_.path("journal"), ""}, events);
    add("journal", best_s / recorded_s);
    settle();
    add("ledger", best_s / engine("mixed", {best, "", streams_.path("ledger")}, events));
    settle();
    series(best);
    add("rules", rules("rules_few.toml", best) / rules("rules_many.toml", best));
    add("errors", engine("few_errors", {.threads = best}, events) /
                      engine("errors", {.threads = best}, events));
    conditions_.worst_of(foreign.share());
    // What leaves room beside a replay's rate with a journal.
    const double recorded_rate = 0.9 * static_cast<double>(events) / recorded_s;
    add("recording", recording(best, std::min(kRecordingRate, recorded_rate)));
    settle();
    const double default_s = engine("live", {.threads = kDefault}, events);
    loads(kDefault, static_cast<double>(events) / default_s);
    const double fast_s = engine("live", {.threads = kLowLatency}, events);
    latencies("p999_fast", "p50_fast", kLowLatency, 0.5 * static_cast<double>(events) / fast_s);
    const bool far_after = probe() > kFarNs;
    modes_.push_back(far_before == far_after ? std::optional<bool>(far_after) : std::nullopt);
  }

  // CPU time of the whole process, the journal's closing included, with recording less without, at
  // the rate of the promise or the highest below it that both hold; brought to the promised rate
  // by proportion, which is rather too much: what recording costs a second counts as if each event
  // cost it.
  double recording(const Threads& threads, double rate) {
    constexpr double kHeld = 0.98;  // of what was offered, within the window
    for (int attempt = 0; attempt < 20; ++attempt, rate *= 0.8) {
      std::array<double, 2> cpu_s{};
      bool held = true;
      for (const bool recorded : {false, true}) {
        const std::string journal = recorded ? streams_.path("journal") : "";
        if (recorded) std::filesystem::remove_all(journal);
        const std::clock_t begin = std::clock();
        const tools::EngineRun run = load(threads, rate, journal);
        cpu_s[recorded ? 1 : 0] = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
        held = held && run.load.completed_rate >= kHeld * run.load.offered_rate;
      }
      if (!held) continue;
      recording_rates_.push_back(rate);
      const double span_s = static_cast<double>(load_span_.end_ns()) * 1e-9;
      return (cpu_s[1] - cpu_s[0]) / span_s * kRecordingRate / rate;
    }
    fail("no rate was held with recording, the last tried was " + harness::format_rate(rate));
  }

  void loads(const Threads& threads, double best_rate) {
    const tools::EngineRun over = load(threads, 2.0 * best_rate);
    add("overload", over.load.completed_rate / best_rate);
    latencies("p999_half", "p50_half", threads, 0.5 * best_rate);
  }

  void latencies(const char* p999_row, const char* p50_row, const Threads& threads, double rate) {
    const tools::EngineRun half = load(threads, rate);
    harness::ArrivalConfig arrivals;
    arrivals.rate = rate;
    grace::pipeline::EngineConfig same;
    threads.put_into(same);
    const harness::LoadResult floor =
        taken(tools::run_null_load(stream_, arrivals, load_span_, same));
    add(p999_row, static_cast<double>(half.load.response.percentile(0.999) -
                                      floor.response.percentile(0.999)));
    add(p50_row, static_cast<double>(half.load.response.percentile(0.5)));
  }

  const Streams& streams_;
  const std::chrono::milliseconds span_;
  tools::CheckedConfig config_;
  std::string mixed_;
  tools::TypedEvents typed_;  // what the stream says
  tools::LoadStream stream_;
  harness::LoadSpan load_span_;
  std::map<std::string, std::string> digests_;  // by stream
  std::map<std::string, std::vector<double>> values_;
  std::vector<double> best_rates_, recording_rates_, trips_ns_;
  std::vector<std::optional<bool>> modes_;  // of each repetition: far; empty: it changed
  harness::Conditions conditions_;
};

// --- what is printed ---

std::string written(const Row& row, double value) {
  if (row.unit == Unit::kNs) return harness::format_span(std::max(value, 0.0));
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

const char* verdict(const Row& row, double value) {
  if (row.floor == 0.0) return "";
  const auto reaches = [&](double bound) {
    return row.unit == Unit::kRatio ? value >= bound : value <= bound;
  };
  if (reaches(row.goal)) return "goal";
  return reaches(row.floor) ? "floor" : "below";
}

// Where the promised rate is not held here, the row says which one was.
std::string meaning_of(const Contest& contest, const Row& row) {
  if (row.unit != Unit::kCores || contest.recording_rate() >= kRecordingRate) return row.meaning;
  return std::string(row.meaning) + ", from " + harness::format_rate(contest.recording_rate());
}

void print_text(const Contest& contest, const Streams& streams, std::size_t repetitions) {
  const auto doubts = harness::doubts(contest.conditions(), std::nullopt);
  std::printf(
      "%llu events, %zu interleaved repetitions, median of paired ratios (spread)\n"
      "best rate %s events/s; many series: %llu\n\n%-58s %9s %21s %9s "
      "%9s\n",
      static_cast<unsigned long long>(streams.events), repetitions,
      harness::format_rate(contest.best_rate()).c_str(),
      static_cast<unsigned long long>(streams.many_series), "", "median", "spread", "floor",
      "goal");
  for (const Row& row : kRows) {
    const std::vector<double> values = contest.values(row);
    const double median = harness::median_of(values);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const std::string spread = written(row, *low) + " to " + written(row, *high);
    std::printf("%-58s %9s %21s %9s %9s  %s\n", meaning_of(contest, row).c_str(),
                written(row, median).c_str(), spread.c_str(),
                row.floor == 0.0 ? "-" : written(row, row.floor).c_str(),
                row.goal == 0.0 ? "-" : written(row, row.goal).c_str(),
                doubts.empty() ? verdict(row, median) : "");
  }
  std::printf(
      "\nmachine: %.2f%% of time lost to others between runs, %.2f%% during; core to core "
      "and back %.0f ns%s\n",
      contest.conditions().quiet.lost_share() * 100.0,
      contest.conditions().foreign_share.value_or(0.0) * 100.0,
      harness::median_of(contest.trips_ns()),
      contest.mode() ? (*contest.mode() ? " (far)" : " (near)") : " (changed in each)");
  for (const std::string& doubt : doubts) std::printf("INCONCLUSIVE: %s\n", doubt.c_str());
}

void print_json(const Contest& contest, const Streams& streams, std::size_t repetitions) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("events", streams.events)
      .field("many_series", streams.many_series)
      .field("repetitions", std::uint64_t{repetitions})
      .field("best_rate", contest.best_rate())
      .field("recording_rate", contest.recording_rate());
  tools::write_machine(json, harness::machine_report());
  tools::write_conditions(json, contest.conditions(), std::nullopt);
  json.key("round_trips_ns").begin_array();
  for (const double trip_ns : contest.trips_ns()) json.value(trip_ns);
  json.end_array().key("rows").begin_array();
  for (const Row& row : kRows) {
    const std::vector<double> values = contest.values(row);
    json.begin_object()
        .field("key", row.key)
        .field("meaning", meaning_of(contest, row))
        .field("unit", kUnitNames[static_cast<std::size_t>(row.unit)])
        .field("floor", row.floor)
        .field("goal", row.goal)
        .field("median", harness::median_of(values))
        .key("values")
        .begin_array();
    for (const double value : values) json.value(value);
    json.end_array().end_object();
  }
  json.end_array().end_object();
  std::printf("%s\n", out.c_str());
}

}  // namespace

// ratios [EVENTS [REPETITIONS]] [--json]; without numbers tiny, as ctest runs it.
int main(int argc, char** argv) {
  const Arguments arguments = arguments_of(argc, argv);
  const auto [events, repetitions] = effort_of(arguments, 20'000);
  if (events < 10'000 || repetitions == 0) fail("at least 10000 events, 1 repetition");
  const tools::ScratchFolder scratch;
  if (scratch.path().empty()) fail("cannot make a temporary folder");
  const Streams streams = make_streams(scratch.path(), events);
  const Contest contest(streams, repetitions);
  if (arguments.as_json) {
    print_json(contest, streams, repetitions);
  } else {
    print_text(contest, streams, repetitions);
  }
  return 0;
}
