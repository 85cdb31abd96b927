// Question: at which share of bare simdjson's rate does the whole engine go, from the bytes of a
// file to recorded decisions?
//
//   [generated mixed stream in a file] -> pread, whole lines -> on-demand documents -> fields
//   [the same file] -> grace::pipeline::Engine with the production detectors -> decision digest
//
// One contestant after the other, pair by pair, so that a busy machine disturbs all alike; the
// median of the pairs' ratios is what counts. simdjson is one thread; the engine has 1 and 2
// workers besides its ingest and ordered threads. Two figures for simdjson: reading the file as the
// engine does (`file`), and with the text in memory beforehand (`memory`, the stricter one).
// Before times are believed, simdjson's counts and sums, the engine's counts and its digest must be
// the same in every run. Between the runs a hiccup meter watches each CPU: over 2% of time lost to
// others, the result is inconclusive. Not measured: a ledger on disk, cold files.
#include <fcntl.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "arguments.h"
#include "generator.h"
#include "grace/core/clock.h"
#include "grace/core/json_writer.h"
#include "grace/ingest/file_source.h"
#include "grace/schedule/replay_executors.h"
#include "machine.h"
#include "session.h"

namespace {

namespace core = grace::core;
using namespace grace::bench;
namespace tools = grace::tools;

constexpr std::size_t kBlockBytes = 256 * 1024;  // the engine's chunks
constexpr std::array<std::size_t, 2> kWorkerCounts{1, 2};

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "replay_ratio: %s\n", message.c_str());
  std::exit(1);
}

// ---------------------------------------------------------------------------------------------
// Bare simdjson

struct Sums {
  std::uint64_t events = 0;
  std::uint64_t text_bytes = 0;
  std::int64_t ts_xor = 0;
  double values = 0.0;
  bool operator==(const Sums&) const = default;  // the same additions in the same order
};

// A raw object: simdjson walks over it, as over everything that it is asked for.
std::size_t raw_size(simdjson::ondemand::value value) {
  simdjson::ondemand::object object = value.get_object();
  return std::string_view(object.raw_json()).size();
}

// The fields that the engine reads, asked for in the order in which they stand: simdjson's quickest
// way. Texts are not copied, labels are not hashed.
template <typename Document>
void read_fields(Document&& doc, Sums& sums) {
  const auto text = [&](const char* name) { return std::string_view(doc[name]).size(); };
  sums.ts_xor ^= std::int64_t(doc["ts"].get_int64());
  ++sums.events;
  std::string_view kind;
  if (doc.find_field("kind").get(kind) != simdjson::SUCCESS) {
    sums.text_bytes += text("event_type") + text("source") + text("actor") + text("resource");
    sums.text_bytes += raw_size(doc["payload"]);
  } else if (kind == "metric") {
    sums.text_bytes += text("service") + text("domain") + text("metric");
    sums.values += double(doc["value"]);
    sums.text_bytes += raw_size(doc["labels"]);
  } else if (kind == "action") {
    sums.text_bytes += text("actor") + text("action") + text("resource") + text("subsystem");
    sums.text_bytes += text("domain") + text("result");
    sums.values += double(doc["duration_ms"]);
    sums.text_bytes += raw_size(doc["payload"]);
  } else {
    sums.text_bytes += text("control") + text("service");
  }
}

void read_block(simdjson::ondemand::parser& parser, const char* text, std::size_t size,
                Sums& sums) {
  auto stream = parser.iterate_many(text, size, kBlockBytes + simdjson::SIMDJSON_PADDING).value();
  for (auto doc : stream) read_fields(doc, sums);
}

Sums simdjson_file(simdjson::ondemand::parser& parser, const std::string& path) {
  Sums sums;
  std::vector<char> block(kBlockBytes + simdjson::SIMDJSON_PADDING);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::size_t kept = 0;
  for (;;) {
    const ssize_t got = ::read(file, block.data() + kept, kBlockBytes - kept);
    if (got < 0) fail("cannot read " + path);
    const std::size_t size = kept + static_cast<std::size_t>(got);
    if (size == 0) break;
    const std::size_t whole = std::string_view(block.data(), size).rfind('\n') + 1;
    if (whole == 0) fail("a line longer than a block");
    read_block(parser, block.data(), whole, sums);
    kept = size - whole;
    std::memmove(block.data(), block.data() + whole, kept);
  }
  ::close(file);
  return sums;
}

Sums simdjson_memory(simdjson::ondemand::parser& parser, const simdjson::padded_string& text) {
  Sums sums;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(at + kBlockBytes, text.size());
    if (end < text.size()) end = std::string_view(text.data(), end).rfind('\n') + 1;
    read_block(parser, text.data() + at, end - at, sums);
    at = end;
  }
  return sums;
}

double timed_simdjson(const std::function<Sums()>& run, const Sums& expected) {
  const double begin_s = now_s();
  const Sums sums = run();
  const double end_s = now_s();
  if (!(sums == expected)) fail("simdjson's results differ between runs");
  return end_s - begin_s;
}

// ---------------------------------------------------------------------------------------------
// The engine

struct EngineRun {
  double wall_s = 0.0;
  std::map<std::string, double> thread_cpu_s;
  tools::Summary summary;
};

// CPU time of this process's threads by name, from the scheduler's own books.
std::map<std::string, double> thread_cpu_seconds() {
  std::map<std::string, double> seconds;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    double cpu_ns = 0.0;
    std::ifstream(task.path() / "schedstat") >> cpu_ns;
    seconds[name] += cpu_ns * 1e-9;
  }
  return seconds;
}

EngineRun run_engine(const std::string& path, std::size_t workers) {
  auto config = tools::load_config("");
  if (!config) fail(config.error().message);
  config->engine.workers = workers;
  config->engine.ingest.tick_interval = std::chrono::nanoseconds(0);
  config->engine.ingest.fixed_arrival_ns = std::int64_t{1'900'000'000'000'000'000};
  auto checked = tools::check_config(std::move(*config));
  if (!checked) fail(checked.error().message);
  const core::SystemClock clock;
  grace::schedule::DryRunExecutor executor;
  const core::SubsystemList subsystems = tools::make_subsystems(checked->app);
  grace::ingest::FileSourceConfig files;
  files.paths = {path};
  auto source = grace::ingest::FileSource::open(files);
  if (!source) fail(source.error().message);
  std::vector<std::unique_ptr<grace::ingest::Source>> sources;
  sources.push_back(std::move(*source));

  EngineRun run;
  const double begin_s = now_s();
  auto engine = grace::pipeline::Engine::open(
      checked->app.engine, {subsystems, std::move(sources), nullptr, executor, checked->playbooks,
                            grace::meta_loop::declare_adjustables, clock});
  if (!engine) fail(engine.error().message);
  (*engine)->start();
  while (!(*engine)->finished()) std::this_thread::sleep_for(std::chrono::microseconds(500));
  run.thread_cpu_s = thread_cpu_seconds();
  if (const auto ended = (*engine)->wait(); !ended) fail(ended.error().message);
  run.wall_s = now_s() - begin_s;
  if (!tools::collect(**engine, run.summary)) fail("the engine does not answer");
  return run;
}

// ---------------------------------------------------------------------------------------------

struct Contest {
  std::vector<double> file_s, memory_s;
  std::map<std::size_t, std::vector<double>> engine_s;      // by workers
  std::map<std::size_t, std::vector<double>> ratio_file;    // engine's rate / simdjson's
  std::map<std::size_t, std::vector<double>> ratio_memory;  // of the same repetition
  std::map<std::size_t, EngineRun> last;
  Quiet quiet;
  double round_trip_ns = 0.0;
};

void check_engine(const EngineRun& run, std::uint64_t events, std::string& digest) {
  const auto& counts = run.summary.counts;
  if (counts.received != events || counts.accepted != events || counts.dropped != 0) {
    fail("the engine accepted " + std::to_string(counts.accepted) + " of " +
         std::to_string(events) + " events");
  }
  if (digest.empty()) digest = run.summary.decision_digest;
  if (run.summary.decision_digest != digest) fail("the decision digest differs between runs");
}

Contest contest(const std::string& path, std::uint64_t events, std::size_t repetitions) {
  Contest result;
  const simdjson::padded_string text = simdjson::padded_string::load(path).value();
  simdjson::ondemand::parser parser;
  parser.threaded = false;
  const Sums expected = simdjson_memory(parser, text);
  if (expected.events != events) fail("simdjson saw another number of events");
  std::string digest;
  const std::chrono::milliseconds span(repetitions > 1 ? 100 : 5);
  for (std::size_t i = 0; i < repetitions; ++i) {
    watch(result.quiet, span);
    result.file_s.push_back(timed_simdjson([&] { return simdjson_file(parser, path); }, expected));
    result.memory_s.push_back(
        timed_simdjson([&] { return simdjson_memory(parser, text); }, expected));
    for (const std::size_t workers : kWorkerCounts) {
      EngineRun run = run_engine(path, workers);
      check_engine(run, events, digest);
      result.engine_s[workers].push_back(run.wall_s);
      result.ratio_file[workers].push_back(result.file_s.back() / run.wall_s);
      result.ratio_memory[workers].push_back(result.memory_s.back() / run.wall_s);
      result.last[workers] = std::move(run);
    }
  }
  watch(result.quiet, span);
  result.round_trip_ns = round_trip_ns();
  return result;
}

void print_text(const Contest& result, std::uint64_t events) {
  const auto rate = [&](double seconds) { return static_cast<double>(events) / seconds / 1e6; };
  const auto spread = [](const std::vector<double>& values) {
    return std::pair(*std::min_element(values.begin(), values.end()),
                     *std::max_element(values.begin(), values.end()));
  };
  std::printf("%llu events, %zu interleaved repetitions, medians; simdjson %s\n",
              static_cast<unsigned long long>(events), result.file_s.size(),
              simdjson::get_active_implementation()->name().c_str());
  std::printf("simdjson, reading the file  %7.3f M events/s\n", rate(median(result.file_s)));
  std::printf("simdjson, text in memory    %7.3f M events/s\n", rate(median(result.memory_s)));
  for (const std::size_t workers : kWorkerCounts) {
    const auto& file = result.ratio_file.at(workers);
    const auto& memory = result.ratio_memory.at(workers);
    std::printf("engine, %zu worker(s)         %7.3f M events/s\n", workers,
                rate(median(result.engine_s.at(workers))));
    std::printf("  of simdjson, file          %6.3f (%.3f to %.3f)\n", median(file),
                spread(file).first, spread(file).second);
    std::printf("  of simdjson, memory        %6.3f (%.3f to %.3f)\n", median(memory),
                spread(memory).first, spread(memory).second);
    std::printf("  CPU seconds by thread     ");
    for (const auto& [name, seconds] : result.last.at(workers).thread_cpu_s) {
      if (name == "ingest" || name == "ordered" || name.starts_with("worker")) {
        std::printf(" %s %.3f", name.c_str(), seconds);
      }
    }
    std::printf("\n");
  }
  std::printf("digest %s\n", result.last.at(1).summary.decision_digest.c_str());
  std::printf("machine: %.2f%% of time lost to others, core to core and back %.0f ns\n",
              result.quiet.lost_share() * 100.0, result.round_trip_ns);
  if (result.quiet.lost_share() > kLostShareMax) {
    std::printf("INCONCLUSIVE: the machine was not quiet\n");
  }
}

void print_json(const Contest& result, std::uint64_t events) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("events", events)
      .field("repetitions", static_cast<std::uint64_t>(result.file_s.size()))
      .field("simdjson_file_s", median(result.file_s))
      .field("simdjson_memory_s", median(result.memory_s))
      .key("engine")
      .begin_array();
  for (const std::size_t workers : kWorkerCounts) {
    const auto& file = result.ratio_file.at(workers);
    const auto& memory = result.ratio_memory.at(workers);
    json.begin_object()
        .field("workers", static_cast<std::uint64_t>(workers))
        .field("wall_s", median(result.engine_s.at(workers)))
        .field("ratio_file", median(file))
        .field("ratio_file_min", *std::min_element(file.begin(), file.end()))
        .field("ratio_file_max", *std::max_element(file.begin(), file.end()))
        .field("ratio_memory", median(memory))
        .field("ratio_memory_min", *std::min_element(memory.begin(), memory.end()))
        .field("ratio_memory_max", *std::max_element(memory.begin(), memory.end()))
        .key("thread_cpu_s")
        .begin_object();
    for (const auto& [name, seconds] : result.last.at(workers).thread_cpu_s) {
      json.field(name, seconds);
    }
    json.end_object().end_object();
  }
  json.end_array()
      .field("decision_digest", result.last.at(1).summary.decision_digest)
      .field("lost_share", result.quiet.lost_share())
      .field("round_trip_ns", result.round_trip_ns)
      .field("conclusive", result.quiet.lost_share() <= kLostShareMax)
      .end_object();
  std::printf("%s\n", out.c_str());
}

struct TemporaryFile {
  std::string path;
  ~TemporaryFile() { ::unlink(path.c_str()); }
};

std::string make_file() {
  std::string path = std::filesystem::temp_directory_path() / "replay_ratio.XXXXXX";
  const int file = ::mkstemp(path.data());
  if (file < 0) fail("cannot make a temporary file");
  ::close(file);
  return path;
}

}  // namespace

// replay_ratio [EVENTS [REPETITIONS]] [--json]; without numbers tiny, as ctest runs it.
int main(int argc, char** argv) {
  const Arguments arguments = arguments_of(argc, argv);
  std::vector<std::uint64_t> numbers;
  for (const std::string& word : arguments.words) {
    numbers.push_back(std::strtoull(word.c_str(), nullptr, 10));
  }
  tools::GeneratorOptions options;
  options.event_count = numbers.empty() ? 20'000 : numbers[0];
  const std::size_t repetitions = numbers.size() > 1 ? numbers[1] : (numbers.empty() ? 1 : 9);
  if (options.event_count < 1000 || repetitions == 0) fail("at least 1000 events, 1 repetition");
  const TemporaryFile file{make_file()};
  std::ofstream out(file.path, std::ios::binary);
  if (const auto truth = tools::generate(options, out); !truth) fail(truth.error().message);
  out.close();
  const Contest result = contest(file.path, options.event_count, repetitions);
  if (arguments.as_json) {
    print_json(result, options.event_count);
  } else {
    print_text(result, options.event_count);
  }
  return 0;
}
