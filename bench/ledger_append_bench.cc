// Question: what does a tamper-evident append cost beyond moving the bytes, and how much of the
// time is the hash?
//
//   one producer thread == ring ==> committer --> mapping --> syncer (when syncs are on)
//
// Each append run writes kRecords records of 128 bytes, segment rolls included, and ends with a
// flush. The result is verified after the timing: every record, every hash. The baselines move or
// hash the same payload bytes in one thread: SHA-256 over 256 KiB pieces, and memcpy of each record
// into prepared memory. Not asked here: latency of one append, several producers, a full disk.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "grace/ledger/reader.h"
#include "grace/ledger/sha256.h"
#include "grace/ledger/writer.h"

namespace {

using namespace grace::ledger;

constexpr std::size_t kRecordBytes = 128;
constexpr std::uint64_t kRecords = 500'000;
constexpr std::uint64_t kPieceBytes = 256 << 10;

std::vector<std::byte> payloads() {
  std::vector<std::byte> bytes(kRecords * kRecordBytes);
  std::uint64_t state = 1;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(state)) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    std::memcpy(bytes.data() + at, &state, sizeof(state));
  }
  return bytes;
}

void count(benchmark::State& state) {
  const auto records = static_cast<std::int64_t>(state.iterations() * kRecords);
  state.SetItemsProcessed(records);
  state.SetBytesProcessed(records * static_cast<std::int64_t>(kRecordBytes));
}

void append(benchmark::State& state, Integrity integrity, SyncMode sync) {
  const auto directory = std::filesystem::temp_directory_path() /
                         ("grace_ledger_append_bench_" + std::to_string(::getpid()));
  const std::vector<std::byte> bytes = payloads();
  std::uint64_t verified = 0;
  for ([[maybe_unused]] auto iteration : state) {
    state.PauseTiming();
    std::filesystem::remove_all(directory);
    LogConfig config;
    config.directory = directory.string();
    config.integrity = integrity;
    config.sync = sync;
    auto writer = Writer::open(config);
    if (!writer) return state.SkipWithError(writer.error().message.c_str());
    auto producer = (*writer)->producer();
    state.ResumeTiming();
    for (std::uint64_t i = 0; i < kRecords; ++i) {
      (void)producer->append_or_wait(RecordType::kNote,
                                     std::span(bytes).subspan(i * kRecordBytes, kRecordBytes));
    }
    const auto flushed = (*writer)->flush();
    state.PauseTiming();
    (void)(*writer)->close();
    const auto report = verify(config.directory);
    if (!flushed || *flushed != kRecords || !report || !report->ok || report->records != kRecords ||
        report->payload_bytes != kRecords * kRecordBytes) {
      return state.SkipWithError("what was written does not verify");
    }
    verified += report->records;
    producer = Producer();
    writer->reset();
    state.ResumeTiming();
  }
  std::filesystem::remove_all(directory);
  state.counters["records_verified"] = static_cast<double>(verified);
  count(state);
}

void append_sha256_unsynced(benchmark::State& state) {
  append(state, Integrity::kSha256, SyncMode::kNone);
}
void append_sha256_synced(benchmark::State& state) {
  append(state, Integrity::kSha256, SyncMode::kGroup);
}
void append_crc32c_unsynced(benchmark::State& state) {
  append(state, Integrity::kCrc32c, SyncMode::kNone);
}

void sha256_only(benchmark::State& state) {
  const std::vector<std::byte> bytes = payloads();
  for ([[maybe_unused]] auto iteration : state) {
    Sha256 hasher;
    for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
      hasher.update(std::span(bytes).subspan(at, std::min(kPieceBytes, bytes.size() - at)));
      benchmark::DoNotOptimize(hasher.finish());
    }
  }
  count(state);
}

void memcpy_only(benchmark::State& state) {
  const std::vector<std::byte> bytes = payloads();
  std::vector<std::byte> target(bytes.size() + 1, std::byte{1});  // touched: prepared memory
  for ([[maybe_unused]] auto iteration : state) {
    for (std::size_t at = 0; at < bytes.size(); at += kRecordBytes) {
      std::memcpy(target.data() + at, bytes.data() + at, kRecordBytes);
      benchmark::ClobberMemory();
    }
  }
  if (std::memcmp(target.data(), bytes.data(), bytes.size()) != 0) {
    state.SkipWithError("copied something else");
  }
  count(state);
}

BENCHMARK(append_sha256_unsynced)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(append_sha256_synced)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(append_crc32c_unsynced)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(sha256_only)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(memcpy_only)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
