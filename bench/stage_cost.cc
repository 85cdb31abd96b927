// One stage of the engine over the first events of a stream, for `instructions.py`, which counts
// its instructions under callgrind.
//
//   parse      chunks -> ChunkParser -> events
//   detectors  (parsed events) -> ticks, controls and events -> partitions of all subsystems
//   ordered    (chunks -> Worker) -> items -> OrderedStage, decisions into the digest
//   append     a record of 128 bytes for each event -> the ledger's ring: what a producer pays
//
// Only grace_measured() is counted: what a stage needs beforehand (in brackets) is not. All but
// `append` run on this thread alone, so that the count is the same each time. Each checks
// what came out. Not asked: time, caches, waiting.
//
//   stage_cost STAGE STREAM EVENTS
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench_settings.h"
#include "counting_sink.h"
#include "grace/ledger/writer.h"
#include "grace/parse/chunk_parser.h"
#include "grace/schedule/replay_executors.h"
#include "ordered_stage.h"
#include "session.h"

// Callgrind counts while this function runs: found by its name, so it must be one.
extern "C" [[gnu::noinline]] void grace_measured(const std::function<void()>& work) {
  work();
}

namespace {

namespace core = grace::core;
namespace ledger = grace::ledger;
namespace parse = grace::parse;
namespace pipeline = grace::pipeline;
namespace schedule = grace::schedule;
namespace tools = grace::tools;

constexpr std::size_t kChunkBytes = 64 << 10;
constexpr std::size_t kRecordBytes = 128;

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "stage_cost: %s\n", message.c_str());
  std::exit(1);
}

template <typename Value, typename Failure>
Value taken(tl::expected<Value, Failure> result) {
  if (!result) fail(result.error().message);
  return std::move(*result);
}

using Chunks = std::vector<std::unique_ptr<core::Chunk>>;

// The stream's first `events` lines, none of which is longer than a chunk.
Chunks chunks_of(const std::string& path, std::uint64_t events) {
  std::ifstream in(path, std::ios::binary);
  Chunks chunks;
  std::uint64_t sequence = 0;
  std::string line;
  for (std::uint64_t i = 0; i < events; ++i) {
    if (!std::getline(in, line)) fail(path + " has less than " + std::to_string(events) + " lines");
    line += '\n';
    if (chunks.empty() || chunks.back()->size_bytes + line.size() > kChunkBytes) {
      chunks.push_back(std::make_unique<core::Chunk>(kChunkBytes));
      chunks.back()->number = chunks.size() - 1;
      chunks.back()->first_sequence = sequence;
      // As for a recording: later than all of its events.
      chunks.back()->arrival_ns = 1'900'000'000'000'000'000;
    }
    core::Chunk& chunk = *chunks.back();
    std::memcpy(chunk.text() + chunk.size_bytes, line.data(), line.size());
    chunk.size_bytes += static_cast<std::uint32_t>(line.size());
    sequence += line.size();
  }
  return chunks;
}

class NoRejects final : public parse::RejectSink {
 public:
  void rejected(const parse::Reject&) override { fail("a line was rejected"); }
};

void run_parse(const Chunks& chunks, std::uint64_t events) {
  parse::ChunkParser parser{parse::ParseConfig{}};
  NoRejects rejects;
  std::array<core::Event, 64> batch;
  std::uint64_t count = 0;
  grace_measured([&] {
    for (const auto& chunk : chunks) {
      parser.begin(*chunk);
      while (const std::size_t some = parser.next(batch, rejects)) count += some;
    }
  });
  if (count != events) fail("the parser gave " + std::to_string(count) + " events");
}

std::vector<core::Event> parsed(const Chunks& chunks) {
  parse::ChunkParser parser{parse::ParseConfig{}};
  NoRejects rejects;
  std::array<core::Event, 64> batch;
  std::vector<core::Event> events;
  for (const auto& chunk : chunks) {
    parser.begin(*chunk);
    while (const std::size_t some = parser.next(batch, rejects)) {
      events.insert(events.end(), batch.begin(), batch.begin() + std::ptrdiff_t(some));
    }
  }
  return events;
}

// All partitions' detectors, in the order of a worker's calls; which kinds of events they want is
// asked for each event here, once there.
class Partitions {
 public:
  explicit Partitions(const core::SubsystemList& subsystems) {
    for (std::size_t i = 0; i < all_.size(); ++i) {
      for (const auto& subsystem : subsystems) {
        if (auto made = subsystem->make_partition(i)) all_[i].push_back(std::move(made));
      }
    }
  }
  void take(const core::Event& event) {
    const std::int64_t tick_ns = event.ts_ns / kTickNs * kTickNs;
    if (tick_ns > watermark_ns_) {
      const core::Tick tick{event.sequence, tick_ns, watermark_ns_};
      watermark_ns_ = tick_ns;
      each([&](core::PartitionDetector& detector) { detector.on_tick(tick, sink_); });
    }
    if (event.kind == core::EventKind::kControl) {
      each([&](core::PartitionDetector& detector) { detector.on_control(event, sink_); });
    }
    if (event.kind != core::EventKind::kMetric && event.kind != core::EventKind::kAction) return;
    for (const auto& detector : all_[event.partition()]) {
      if (detector->wants(event.kind)) detector->on_event(event, sink_);
    }
  }
  [[nodiscard]] const grace::bench::CountingSink& said() const noexcept { return sink_; }

 private:
  static constexpr std::int64_t kTickNs = 1'000'000'000;
  template <typename Call>
  void each(Call&& call) {
    for (const auto& partition : all_) {
      for (const auto& detector : partition) call(*detector);
    }
  }
  std::array<std::vector<std::unique_ptr<core::PartitionDetector>>, core::kPartitionCount> all_;
  grace::bench::CountingSink sink_;
  std::int64_t watermark_ns_ = 0;
};

tools::CheckedConfig defaults() {
  return taken(tools::check_config(taken(tools::load_config(""))));
}

void run_detectors(const Chunks& chunks, std::uint64_t count) {
  const tools::CheckedConfig config = defaults();
  const core::SubsystemList subsystems = tools::make_subsystems(config.app);
  Partitions partitions(subsystems);
  const std::vector<core::Event> events = parsed(chunks);
  if (events.size() != count) fail("the parser gave " + std::to_string(events.size()) + " events");
  grace_measured([&] {
    for (const core::Event& event : events) partitions.take(event);
  });
  if (partitions.said().observations == 0) fail("the detectors observed nothing");
}

void run_ordered(const Chunks& chunks) {
  tools::CheckedConfig config = defaults();
  const pipeline::EngineConfig& engine = config.app.engine;
  const core::SubsystemList subsystems = tools::make_subsystems(config.app);
  pipeline::Exchange exchange(1, engine.event_ring_slots, engine.item_ring_slots, chunks.size());
  NoRejects rejects;
  pipeline::Worker worker({}, exchange, rejects, subsystems);
  pipeline::Recorder recorder({}, false, false, nullptr);
  schedule::DryRunExecutor executor;
  pipeline::OrderedStage ordered(engine,
                                 {exchange, subsystems, executor, config.playbooks, 0, 0,
                                  grace::meta_loop::declare_adjustables, nullptr},
                                 recorder);
  ordered.recovered();
  for (const auto& chunk : chunks) {
    exchange.publish(chunk.get(), 0);
  }
  while (ordered.processed_chunks() < chunks.size()) {
    const std::size_t before = worker.run_once();
    std::size_t handled = 0;
    grace_measured([&] { handled = ordered.run_once(); });
    if (before == 0 && handled == 0) fail("the stages stand still");
  }
  if (recorder.count() == 0) fail("nothing was decided");
}

void run_append(std::uint64_t events) {
  const tools::ScratchFolder scratch;
  if (scratch.path().empty()) fail("cannot make a temporary folder");
  ledger::LogConfig config;
  config.directory = scratch.path() + "/ledger";
  config.sync = ledger::SyncMode::kNone;
  // All of it fits: an append never finds it full.
  config.ring_bytes = 2 * events * ledger::record_footprint_bytes(kRecordBytes) + (8 << 20);
  const auto writer = taken(ledger::Writer::open(config));
  ledger::Producer producer = taken(writer->producer());
  const std::string payload(kRecordBytes, 'x');
  std::uint64_t count = 0;
  grace_measured([&] {
    for (std::uint64_t i = 0; i < events; ++i) {
      const auto status = producer.try_append(ledger::RecordType::kNote, ledger::as_bytes(payload));
      if (status == ledger::AppendStatus::kOk) ++count;
    }
  });
  if (count != events) fail("the ledger took " + std::to_string(count) + " records");
  producer = ledger::Producer();
  if (const auto closed = writer->close(); !closed) fail(closed.error().message);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("needs STAGE STREAM EVENTS");
  const std::string_view stage = argv[1];
  const std::uint64_t events = std::strtoull(argv[3], nullptr, 10);
  if (events == 0) fail("EVENTS must be at least 1");
  const Chunks chunks = chunks_of(argv[2], events);
  if (stage == "parse") {
    run_parse(chunks, events);
  } else if (stage == "detectors") {
    run_detectors(chunks, events);
  } else if (stage == "ordered") {
    run_ordered(chunks);
  } else if (stage == "append") {
    run_append(events);
  } else {
    fail("the stages are parse, detectors, ordered, append");
  }
  return 0;
}
