// Question: what does a series on its light model take of resident memory?
//
//   a process of its own: series (services with six metrics each) -> all 64 partitions of the
//   proactive detector, four bins each, so that every light model has learned
//
// Each count of series runs in a fresh process; its resident memory before the first event is
// taken off. A series costs what many take more than few do, over the difference of the counts, so
// that what the detector takes at start counts for none. Twice: with all names shared (its state
// alone) and with services' names of their own. No rich models, which have a bound of their own.
// Verified: the partitions closed each bin of each series and evicted none.
// Not asked: the other detectors, the time it takes.
//
//   series_memory [SERIES] [--json]   without a number tiny, as ctest runs it
#include <sys/prctl.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arguments.h"
#include "bench_settings.h"
#include "counting_sink.h"
#include "grace/core/hash.h"
#include "grace/core/json_writer.h"
#include "grace/harness/machine.h"
#include "grace/proactive/proactive.h"

namespace {

using namespace grace::bench;
namespace core = grace::core;
namespace harness = grace::harness;
namespace proactive = grace::proactive;
namespace tools = grace::tools;

// The promise: at most this many bytes of state a series, and its names beside.
constexpr double kBytesMax = 512.0;
constexpr std::size_t kFewSeries = 1'000;
constexpr std::size_t kBins = 4;
constexpr std::array<std::string_view, 6> kMetrics{"latency_ms",           "requests_rps",
                                                   "error_rate",           "cpu_usage_percent",
                                                   "memory_usage_percent", "queue_depth"};

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "series_memory: %s\n", message.c_str());
  std::exit(1);
}

// One event of series `index`, its text in `text`.
core::Event event_of(std::size_t index, bool own_names, std::string& text) {
  const std::string_view metric = kMetrics[index % kMetrics.size()];
  text = own_names ? "service-" + std::to_string(index / kMetrics.size()) : "service";
  const auto service_size = static_cast<std::uint32_t>(text.size());
  text.append("core").append(metric);
  core::Event event;
  event.kind = core::EventKind::kMetric;
  event.text = text.data();
  event.service = {0, service_size};
  event.domain = {service_size, 4};
  event.name = {service_size + 4, static_cast<std::uint32_t>(metric.size())};
  event.route_key = core::mix(index + 1);
  return event;
}

// Bytes that this process took for so many series.
core::Result<std::string> measured(std::size_t series, bool own_names) {
  // Where the system gives huge pages unasked, resident is what nobody has touched.
  if (::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) fail("cannot turn huge pages off");
  proactive::ProactiveConfig config;
  config.rich_models_max = 0;
  // A partition's share of the bound is no exact 64th of the keys.
  config.series_max = series * 2 + core::kPartitionCount * 64;
  const auto subsystem = proactive::make_proactive(config);
  std::array<std::unique_ptr<core::PartitionDetector>, core::kPartitionCount> partitions;
  const std::uint64_t before = harness::resident_bytes();
  for (std::size_t i = 0; i < partitions.size(); ++i) partitions[i] = subsystem->make_partition(i);
  CountingSink sink;
  std::string text;
  std::uint64_t sequence = 0;
  for (std::size_t bin = 0; bin <= kBins; ++bin) {
    for (std::size_t index = 0; index < series; ++index) {
      core::Event event = event_of(index, own_names, text);
      event.ts_ns = static_cast<std::int64_t>(bin) * 60'000'000'000;
      event.sequence = ++sequence;
      event.value = static_cast<double>(10 + (core::mix(sequence) & 15));
      partitions[event.partition()]->on_event(event, sink);
    }
  }
  const std::uint64_t after = harness::resident_bytes();
  std::uint64_t evicted = 0;
  for (const auto& partition : partitions) evicted += partition->evicted_count();
  // Every bin of the metrics with a role is observed; of the others only what is unusual.
  const std::uint64_t with_role = series / kMetrics.size() * (kMetrics.size() - 1);
  if (evicted > 0 || sink.observations < with_role * kBins || sink.observations > series * kBins) {
    return core::make_error(core::ErrorCode::kCorrupt,
                            std::to_string(evicted) + " series evicted, " +
                                std::to_string(sink.observations) + " observations");
  }
  return std::to_string(after - before);
}

double bytes_a_series(std::size_t series, bool own_names) {
  std::array<double, 2> bytes{};
  for (const bool many : {false, true}) {
    const std::size_t count = many ? series : kFewSeries;
    const auto taken = tools::in_own_process([&] { return measured(count, own_names); });
    if (!taken) fail(taken.error().message);
    bytes[many ? 1 : 0] = std::strtod(taken->c_str(), nullptr);
  }
  return (bytes[1] - bytes[0]) / static_cast<double>(series - kFewSeries);
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = arguments_of(argc, argv);
  const std::uint64_t series = effort_of(arguments, 40'000).count;
  if (series < 10'000 || series > 10'000'000) fail("10000 to 10000000 series");
  const double state = bytes_a_series(series, false);
  const double with_names = bytes_a_series(series, true);
  const bool kept = state <= kBytesMax;
  if (arguments.as_json) {
    std::string out;
    core::JsonWriter json(out);
    json.begin_object()
        .field("series", series)
        .field("state_bytes", state)
        .field("with_names_bytes", with_names)
        .field("bytes_max", kBytesMax)
        .field("kept", kept);
    tools::write_machine(json, harness::machine_report());
    json.end_object();
    std::printf("%s\n", out.c_str());
  } else {
    std::printf(
        "%llu series, resident bytes each: %.0f of state, at most %.0f: %s; %.0f with names\n",
        static_cast<unsigned long long>(series), state, kBytesMax, kept ? "kept" : "NOT KEPT",
        with_names);
  }
  // Memory does not depend on how busy a machine is: unlike a time, this is a verdict.
  return kept ? 0 : 1;
}
