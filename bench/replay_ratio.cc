// Question: at which share of bare simdjson's rate does the whole engine go, from the bytes of a
// file to recorded decisions?
//
//   [generated mixed stream in a file] -> pread, whole lines -> on-demand documents -> fields
//   [the same file] -> grace::pipeline::Engine with the production detectors -> decision digest
//
// One contestant after the other, pair by pair, so that a busy machine disturbs all alike; the
// median of the pairs' ratios is what counts. simdjson is one thread; the engine has 1 worker
// besides its ingest and ordered threads, or 2 alone. Two figures for simdjson: reading the file as
// the engine does (`file`), and with the text in memory beforehand (`memory`, the stricter one).
// Before times are believed, simdjson's counts and sums, the engine's counts and its digest must be
// the same in every run. Between the runs a hiccup meter watches each CPU, during them the kernel's
// books tell: over 2% of time lost to others, the result is inconclusive. Not measured: a ledger on
// disk, cold files.
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "bare_simdjson.h"
#include "bench_settings.h"
#include "engine_replay.h"
#include "generator.h"
#include "grace/core/json_writer.h"
#include "grace/harness/machine.h"
#include "grace/harness/search.h"

namespace {

namespace core = grace::core;
using namespace grace::bench;
using grace::harness::now_s;
namespace tools = grace::tools;

constexpr std::array<std::size_t, 2> kWorkerCounts{1, 2};

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "replay_ratio: %s\n", message.c_str());
  std::exit(1);
}

Sums read_file(simdjson::ondemand::parser& parser, const std::string& path) {
  const auto sums = simdjson_file(parser, path);
  if (!sums) fail("cannot read " + path);
  return *sums;
}

double timed_simdjson(const std::function<Sums()>& run, const Sums& expected) {
  const double begin_s = now_s();
  const Sums sums = run();
  const double end_s = now_s();
  if (!(sums == expected)) fail("simdjson's results differ between runs");
  return end_s - begin_s;
}

Replay run_engine(const std::string& path, std::size_t workers) {
  auto run = replay_file(path, {.threads = threads_for(workers)});
  if (!run) fail(run.error().message);
  return std::move(*run);
}

struct Contest {
  std::vector<double> file_s, memory_s;
  std::map<std::size_t, std::vector<double>> engine_s;      // by workers
  std::map<std::size_t, std::vector<double>> ratio_file;    // engine's rate / simdjson's
  std::map<std::size_t, std::vector<double>> ratio_memory;  // of the same repetition
  std::map<std::size_t, Replay> last;
  grace::harness::Conditions conditions;
};

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
    grace::harness::watch(result.conditions.quiet, span);
    const grace::harness::ForeignCpu foreign;
    result.file_s.push_back(timed_simdjson([&] { return read_file(parser, path); }, expected));
    result.memory_s.push_back(
        timed_simdjson([&] { return simdjson_memory(parser, text); }, expected));
    for (const std::size_t workers : kWorkerCounts) {
      Replay run = run_engine(path, workers);
      if (const std::string wrong = wrong_with(run, events, digest); !wrong.empty()) fail(wrong);
      result.engine_s[workers].push_back(run.wall_s);
      result.ratio_file[workers].push_back(result.file_s.back() / run.wall_s);
      result.ratio_memory[workers].push_back(result.memory_s.back() / run.wall_s);
      result.last[workers] = std::move(run);
    }
    result.conditions.worst_of(foreign.share());
  }
  grace::harness::watch(result.conditions.quiet, span);
  result.conditions.round_trip_ns = grace::harness::round_trip_ns();
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
  std::printf("simdjson, reading the file  %7.3f M events/s\n",
              rate(grace::harness::median_of(result.file_s)));
  std::printf("simdjson, text in memory    %7.3f M events/s\n",
              rate(grace::harness::median_of(result.memory_s)));
  for (const std::size_t workers : kWorkerCounts) {
    const auto& file = result.ratio_file.at(workers);
    const auto& memory = result.ratio_memory.at(workers);
    std::printf("engine, %zu worker(s)         %7.3f M events/s\n", workers,
                rate(grace::harness::median_of(result.engine_s.at(workers))));
    std::printf("  of simdjson, file          %6.3f (%.3f to %.3f)\n",
                grace::harness::median_of(file), spread(file).first, spread(file).second);
    std::printf("  of simdjson, memory        %6.3f (%.3f to %.3f)\n",
                grace::harness::median_of(memory), spread(memory).first, spread(memory).second);
    std::printf("  CPU seconds by thread     ");
    for (const auto& [name, seconds] : result.last.at(workers).thread_cpu_s) {
      if (name.starts_with("ingest") || name == "ordered" || name.starts_with("worker")) {
        std::printf(" %s %.3f", name.c_str(), seconds);
      }
    }
    std::printf("\n");
  }
  std::printf("digest %s\n", result.last.at(1).summary.decision_digest.c_str());
  std::printf(
      "machine: %.2f%% of time lost to others between runs, %.2f%% during; core to core and back "
      "%.0f ns\n",
      result.conditions.quiet.lost_share() * 100.0,
      result.conditions.foreign_share.value_or(0.0) * 100.0, result.conditions.round_trip_ns);
  for (const std::string& doubt : grace::harness::doubts(result.conditions, std::nullopt)) {
    std::printf("INCONCLUSIVE: %s\n", doubt.c_str());
  }
}

void print_json(const Contest& result, std::uint64_t events) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("events", events)
      .field("repetitions", static_cast<std::uint64_t>(result.file_s.size()))
      .field("simdjson_file_s", grace::harness::median_of(result.file_s))
      .field("simdjson_memory_s", grace::harness::median_of(result.memory_s))
      .key("engine")
      .begin_array();
  for (const std::size_t workers : kWorkerCounts) {
    const auto& file = result.ratio_file.at(workers);
    const auto& memory = result.ratio_memory.at(workers);
    json.begin_object()
        .field("workers", static_cast<std::uint64_t>(workers))
        .field("wall_s", grace::harness::median_of(result.engine_s.at(workers)))
        .field("ratio_file", grace::harness::median_of(file))
        .field("ratio_file_min", *std::min_element(file.begin(), file.end()))
        .field("ratio_file_max", *std::max_element(file.begin(), file.end()))
        .field("ratio_memory", grace::harness::median_of(memory))
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
      .field("lost_share", result.conditions.quiet.lost_share())
      .field("foreign_share", result.conditions.foreign_share.value_or(0.0))
      .field("round_trip_ns", result.conditions.round_trip_ns)
      .field("conclusive", grace::harness::doubts(result.conditions, std::nullopt).empty())
      .end_object();
  std::printf("%s\n", out.c_str());
}

}  // namespace

// replay_ratio [EVENTS [REPETITIONS]] [--json]; without numbers tiny, as ctest runs it.
int main(int argc, char** argv) {
  const Arguments arguments = arguments_of(argc, argv);
  const auto [events, repetitions] = effort_of(arguments, 20'000);
  tools::GeneratorOptions options;
  options.event_count = events;
  if (options.event_count < 1000 || repetitions == 0) fail("at least 1000 events, 1 repetition");
  const tools::ScratchFolder scratch;
  if (scratch.path().empty()) fail("cannot make a temporary folder");
  const std::string path = scratch.path() + "/stream";
  std::ofstream out(path, std::ios::binary);
  if (const auto truth = tools::generate(options, out); !truth) fail(truth.error().message);
  out.close();
  const Contest result = contest(path, options.event_count, repetitions);
  if (arguments.as_json) {
    print_json(result, options.event_count);
  } else {
    print_text(result, options.event_count);
  }
  return 0;
}
