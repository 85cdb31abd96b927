// Question: how much slower than its parts is a tamper-evident append?
//
//   one producer == ring ==> committer ==> hasher ==> closer ==> pwrite, segment rolls included
//
// Contestants, one after the other in each repetition, so that a busy machine disturbs all alike;
// the median of the pairs' ratios is what counts. Records have 128 bytes of payload, 152 framed.
//   sha256      SHA-256 of the framed bytes in pieces that fit a cache, one thread, by OpenSSL: the
//               bound
//   two         the same, two pieces side by side, as the hasher does where two blocks wait
//   append      kSha256 at D1: until written_sequence has the last record
//   fused       the same on the committer's thread alone
//   durable     kSha256 with syncs, until D1; what waiting for D2 costs the flow of records
//   memcpy      the framed records into a prepared mapping on the same file system
//   crc32c      kCrc32c at D1, on its own threads like append, as the journal is written
//   verify      of what `append` wrote, hashes included
// Then, alone: what an append costs its producer at a steady million a second while syncs run.
// Every log is verified after its time is taken. Over 2% of time lost to others: inconclusive.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "arguments.h"
#include "grace/core/json_writer.h"
#include "grace/core/latency_histogram.h"
#include "grace/harness/machine.h"
#include "grace/harness/search.h"
#include "grace/ledger/reader.h"
#include "grace/ledger/sha256.h"
#include "grace/ledger/writer.h"
#include "sha256_two.h"

namespace {

using namespace grace::bench;
using namespace grace::harness;
using namespace grace::ledger;

constexpr std::size_t kPayloadBytes = 128;
constexpr std::size_t kFramedBytes = record_footprint_bytes(kPayloadBytes);
constexpr std::uint64_t kPieceBytes = 256 << 10;  // hashed at once where SHA-256 is alone
constexpr std::uint64_t kPrepared = 64ULL << 20;  // bytes that memcpy fills again and again
constexpr double kSteadyRate = 1e6;

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "ledger_ratio: %s\n", message.c_str());
  std::exit(1);
}

// Framed records, one piece: the bytes that are hashed and copied.
std::vector<std::byte> framed_records() {
  std::vector<std::byte> bytes(kPieceBytes / kFramedBytes * kFramedBytes);
  std::uint64_t state = 1;
  for (std::size_t at = 0; at + sizeof(state) <= bytes.size(); at += sizeof(state)) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    std::memcpy(bytes.data() + at, &state, sizeof(state));
  }
  return bytes;
}

struct Bench {
  std::uint64_t records;
  std::string folder;
  std::vector<std::byte> framed = framed_records();

  [[nodiscard]] std::span<const std::byte> payload(std::uint64_t record) const {
    const std::uint64_t at = record % (framed.size() / kFramedBytes) * kFramedBytes;
    return std::span(framed).subspan(at + sizeof(RecordHeader), kPayloadBytes);
  }
};

double timed_sha256(const Bench& bench) {
  Sha256 hasher;
  const std::uint64_t bytes_total = bench.records * kFramedBytes;
  const double begin_s = now_s();
  for (std::uint64_t done = 0; done < bytes_total;) {
    const auto piece = std::min<std::uint64_t>(bench.framed.size(), bytes_total - done);
    hasher.update(std::span(bench.framed).first(piece));
    if (hasher.finish() == Hash{}) fail("an impossible hash");
    done += piece;
  }
  return now_s() - begin_s;
}

double timed_two(const Bench& bench) {
  const std::uint64_t bytes_total = bench.records * kFramedBytes;
  const auto piece = std::span(bench.framed);
  const double begin_s = now_s();
  for (std::uint64_t done = 0; done < bytes_total; done += 2 * piece.size()) {
    if (internal::sha256_of_two(piece, piece)[1] == Hash{}) fail("an impossible hash");
  }
  const double seconds = now_s() - begin_s;
  // The last pair may end behind the last record.
  const auto pairs = static_cast<double>((bytes_total + 2 * piece.size() - 1) / (2 * piece.size()));
  return seconds * static_cast<double>(bytes_total) /
         (pairs * 2.0 * static_cast<double>(piece.size()));
}

double timed_memcpy(const Bench& bench) {
  const std::string path = bench.folder + "/memcpy";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || ::posix_fallocate(file, 0, static_cast<off_t>(kPrepared)) != 0) {
    fail("cannot prepare " + path);
  }
  void* const mapped = ::mmap(nullptr, kPrepared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) fail("cannot map " + path);
  auto* const base = static_cast<std::byte*>(mapped);
  std::memset(base, 1, kPrepared);
  const double begin_s = now_s();
  std::uint64_t at = 0;
  for (std::uint64_t record = 0; record < bench.records; ++record) {
    if (at + kFramedBytes > kPrepared) at = 0;
    const std::uint64_t from = record % (bench.framed.size() / kFramedBytes) * kFramedBytes;
    std::memcpy(base + at, bench.framed.data() + from, kFramedBytes);
    at += kFramedBytes;
  }
  const double seconds = now_s() - begin_s;
  ::munmap(mapped, kPrepared);
  ::close(file);
  ::unlink(path.c_str());
  return seconds;
}

LogConfig config_of(const Bench& bench, Integrity integrity, SyncMode sync, bool pipelined) {
  LogConfig config;
  config.directory = bench.folder + "/log";
  config.integrity = integrity;
  config.sync = sync;
  config.pipelined = pipelined;
  config.segments_ahead = 2;
  return config;
}

std::unique_ptr<Writer> open_writer(const LogConfig& config) {
  std::filesystem::remove_all(config.directory);
  auto writer = Writer::open(config);
  if (!writer) fail(writer.error().message);
  return std::move(*writer);
}

double timed_append(const Bench& bench, const LogConfig& config) {
  const std::unique_ptr<Writer> writer = open_writer(config);
  auto producer = writer->producer();
  if (!producer) fail(producer.error().message);
  const double begin_s = now_s();
  for (std::uint64_t record = 0; record < bench.records; ++record) {
    if (producer->append_or_wait(RecordType::kNote, bench.payload(record)) != AppendStatus::kOk) {
      fail("the log took no record");
    }
  }
  const std::uint64_t end = producer->position();
  while (!producer->is_written(end)) std::this_thread::sleep_for(std::chrono::microseconds(50));
  const double seconds = now_s() - begin_s;
  if (auto closed = writer->close(); !closed) fail(closed.error().message);
  return seconds;
}

double timed_verify(const Bench& bench, const LogConfig& config) {
  const double begin_s = now_s();
  const auto report = verify(config.directory);
  const double seconds = now_s() - begin_s;
  if (!report || !report->ok || report->records != bench.records ||
      report->payload_bytes != bench.records * kPayloadBytes) {
    fail("what was written does not verify");
  }
  return seconds;
}

// What one append costs its producer, in nanoseconds, at kSteadyRate while syncs run.
grace::core::LatencyHistogram steady_producer(const Bench& bench) {
  const std::unique_ptr<Writer> writer =
      open_writer(config_of(bench, Integrity::kSha256, SyncMode::kGroup, true));
  auto producer = writer->producer();
  if (!producer) fail(producer.error().message);
  grace::core::LatencyHistogram costs;
  const double begin_s = now_s();
  for (std::uint64_t record = 0; record < bench.records; ++record) {
    const double due_s = begin_s + static_cast<double>(record) / kSteadyRate;
    while (now_s() < due_s) {
    }
    const auto before = std::chrono::steady_clock::now();
    if (producer->append_or_wait(RecordType::kNote, bench.payload(record)) != AppendStatus::kOk) {
      fail("the log took no record");
    }
    const auto after = std::chrono::steady_clock::now();
    costs.record((after - before).count());
  }
  if (auto closed = writer->close(); !closed) fail(closed.error().message);
  return costs;
}

struct Row {
  const char* name;
  const char* baseline;
  const char* meaning;
};
constexpr std::array kRows{
    Row{"append", "sha256", "D1 append of sha256"},
    Row{"two", "sha256", "two hashes side by side of one"},
    Row{"fused", "sha256", "the same, all by the committer"},
    Row{"durable", "append", "with syncs of without"},
    Row{"crc32c", "memcpy", "D1 append of memcpy"},
    Row{"verify", "sha256", "verification of sha256"},
};

struct Contest {
  std::map<std::string, std::vector<double>> seconds;
  std::map<std::string, std::vector<double>> ratios;
  Quiet quiet;
  double round_trip_ns = 0.0;
};

Contest contest(const Bench& bench, std::size_t repetitions) {
  Contest result;
  const std::chrono::milliseconds span(repetitions > 1 ? 100 : 5);
  for (std::size_t i = 0; i < repetitions; ++i) {
    watch(result.quiet, span);
    const auto add = [&](const char* name, double seconds) {
      result.seconds[name].push_back(seconds);
    };
    const LogConfig aside = config_of(bench, Integrity::kSha256, SyncMode::kNone, true);
    add("sha256", timed_sha256(bench));
    add("two", timed_two(bench));
    add("append", timed_append(bench, aside));
    add("verify", timed_verify(bench, aside));
    const LogConfig durable = config_of(bench, Integrity::kSha256, SyncMode::kGroup, true);
    add("durable", timed_append(bench, durable));
    (void)timed_verify(bench, durable);
    const LogConfig fused = config_of(bench, Integrity::kSha256, SyncMode::kNone, false);
    add("fused", timed_append(bench, fused));
    (void)timed_verify(bench, fused);
    add("memcpy", timed_memcpy(bench));
    const LogConfig crc = config_of(bench, Integrity::kCrc32c, SyncMode::kNone, true);
    add("crc32c", timed_append(bench, crc));
    (void)timed_verify(bench, crc);
    for (const Row& row : kRows) {
      result.ratios[row.name].push_back(result.seconds[row.baseline].back() /
                                        result.seconds[row.name].back());
    }
  }
  watch(result.quiet, span);
  result.round_trip_ns = round_trip_ns();
  return result;
}

void print_text(const Bench& bench, const Contest& result,
                const grace::core::LatencyHistogram& costs) {
  std::printf("%llu records of %zu bytes, %zu interleaved repetitions, medians\n",
              static_cast<unsigned long long>(bench.records), kPayloadBytes,
              result.seconds.at("sha256").size());
  for (const auto& [name, seconds] : result.seconds) {
    const double rate = static_cast<double>(bench.records) / median_of(seconds);
    std::printf("%-8s %7.2f M records/s  %6.3f GB/s\n", name.c_str(), rate / 1e6,
                rate * kFramedBytes / 1e9);
  }
  for (const Row& row : kRows) {
    const auto& values = result.ratios.at(row.name);
    std::printf("%-8s / %-7s %5.3f (%.3f to %.3f)  %s\n", row.name, row.baseline, median_of(values),
                *std::min_element(values.begin(), values.end()),
                *std::max_element(values.begin(), values.end()), row.meaning);
  }
  std::printf("two hashes side by side by %.*s\n",
              static_cast<int>(internal::sha256_of_two_implementation().size()),
              internal::sha256_of_two_implementation().data());
  std::printf("an append costs its producer p50 %lld p99 %lld p99.9 %lld max %lld ns at 1 M/s\n",
              static_cast<long long>(costs.percentile(0.5)),
              static_cast<long long>(costs.percentile(0.99)),
              static_cast<long long>(costs.percentile(0.999)), static_cast<long long>(costs.max()));
  std::printf("machine: %.2f%% of time lost to others, core to core and back %.0f ns%s\n",
              result.quiet.lost_share() * 100.0, result.round_trip_ns,
              result.quiet.lost_share() > kLostShareMax ? "\nINCONCLUSIVE: not quiet" : "");
}

void print_json(const Bench& bench, const Contest& result,
                const grace::core::LatencyHistogram& costs) {
  std::string out;
  grace::core::JsonWriter json(out);
  json.begin_object().field("records", bench.records);
  json.key("records_per_second").begin_object();
  for (const auto& [name, seconds] : result.seconds) {
    json.field(name, static_cast<double>(bench.records) / median_of(seconds));
  }
  json.end_object().key("ratios").begin_object();
  for (const Row& row : kRows) {
    json.field(std::string(row.name) + "/" + row.baseline, median_of(result.ratios.at(row.name)));
  }
  json.end_object()
      .field("producer_p999_ns", static_cast<std::int64_t>(costs.percentile(0.999)))
      .field("lost_share", result.quiet.lost_share())
      .field("round_trip_ns", result.round_trip_ns)
      .field("conclusive", result.quiet.lost_share() <= kLostShareMax)
      .end_object();
  std::printf("%s\n", out.c_str());
}

}  // namespace

// ledger_ratio [RECORDS [REPETITIONS [FOLDER]]] [--json]; without numbers tiny, as ctest runs it.
int main(int argc, char** argv) {
  const Arguments arguments = arguments_of(argc, argv);
  const auto [records, repetitions] = effort_of(arguments, 20'000);
  Bench bench{records, {}};
  if (bench.records < 1000 || repetitions == 0) fail("at least 1000 records, 1 repetition");
  bench.folder = scratch_folder(arguments, 2, "ledger_ratio");
  if (bench.folder.empty()) fail("cannot make a folder");
  const Contest result = contest(bench, repetitions);
  const grace::core::LatencyHistogram costs = steady_producer(bench);
  std::filesystem::remove_all(bench.folder);
  if (arguments.as_json) {
    print_json(bench, result, costs);
  } else {
    print_text(bench, result, costs);
  }
  return 0;
}
