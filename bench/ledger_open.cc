// Question: what does it cost to open a large ledger and append to it?
//
// Writes a log of the size asked for in segments of 64 MiB, takes its files out of the page cache,
// and opens it in a process of its own: the time from there until the first append is durable, and
// the resident memory then. The same with an empty log beside it. A killed writer's log, whose last
// segments have to be read again, comes third.
//
//   ledger_open [GIGABYTES [FOLDER]] [--json]   without a number tiny, as ctest runs it
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <vector>

#include "arguments.h"
#include "grace/core/json_writer.h"
#include "grace/harness/machine.h"
#include "grace/ledger/reader.h"
#include "grace/ledger/writer.h"

namespace {

using namespace grace::bench;
using namespace grace::ledger;

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "ledger_open: %s\n", message.c_str());
  std::exit(1);
}

// Gives what `body` measured in a process of its own back to this one.
struct Opened {
  double seconds = 0.0;
  double resident_mib = 0.0;
  std::uint64_t last_sequence = 0;
};

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages_total = 0;
  std::uint64_t pages_resident = 0;
  statm >> pages_total >> pages_resident;
  return static_cast<double>(pages_resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) /
         (1 << 20);
}

LogConfig config_of(const std::string& directory, SyncMode sync) {
  LogConfig config;
  config.directory = directory;
  config.sync = sync;
  config.segments_ahead = 2;
  return config;
}

// `bytes` of framed records; `killed`: the process ends without closing the log.
void write_log(const std::string& directory, std::uint64_t bytes, bool killed) {
  const pid_t pid = ::fork();
  if (pid < 0) fail("cannot fork");
  if (pid == 0) {
    auto writer = Writer::open(config_of(directory, SyncMode::kNone));
    if (!writer) fail(writer.error().message);
    Producer producer = *(*writer)->producer();
    const std::vector<std::byte> payload(1000, std::byte{'x'});
    for (std::uint64_t done = 0; done < bytes; done += record_footprint_bytes(payload.size())) {
      if (producer.append_or_wait(RecordType::kNote, payload) != AppendStatus::kOk) {
        fail("the log took no record");
      }
    }
    if (!(*writer)->flush()) fail("the log cannot be flushed");
    if (killed) ::_exit(0);
    producer = Producer();
    if (!(*writer)->close()) fail("the log cannot be closed");
    ::_exit(0);
  }
  int status = 0;
  (void)::waitpid(pid, &status, 0);
  if (status != 0) fail("the log could not be written");
}

// What is in the page cache would be there by chance.
void forget(const std::string& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    (void)::fsync(fd);
    (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)::close(fd);
  }
}

Opened open_and_append(const std::string& directory) {
  if (std::filesystem::exists(directory)) forget(directory);
  void* const memory =
      ::mmap(nullptr, sizeof(Opened), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("no memory to share");
  auto* const shared = new (memory) Opened;
  const pid_t pid = ::fork();
  if (pid < 0) fail("cannot fork");
  if (pid == 0) {
    const double begin_s = grace::harness::now_s();
    auto writer = Writer::open(config_of(directory, SyncMode::kGroup));
    if (!writer) fail(writer.error().message);
    Producer producer = *(*writer)->producer();
    if (producer.append_or_wait(RecordType::kNote, as_bytes("first")) != AppendStatus::kOk ||
        !producer.wait_durable()) {
      fail("the first append failed");
    }
    shared->seconds = grace::harness::now_s() - begin_s;
    shared->resident_mib = resident_mib();
    shared->last_sequence = (*writer)->durable_sequence();
    producer = Producer();
    if (!(*writer)->close()) fail("the log cannot be closed");
    ::_exit(0);
  }
  int status = 0;
  (void)::waitpid(pid, &status, 0);
  if (status != 0) fail("the log could not be opened");
  const Opened opened = *shared;
  (void)::munmap(memory, sizeof(Opened));
  return opened;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = arguments_of(argc, argv);
  const auto& words = arguments.words;
  const double gigabytes = words.empty() ? 0.2 : std::strtod(words[0].c_str(), nullptr);
  if (gigabytes <= 0.0) fail("GIGABYTES must be positive");
  const std::string folder = scratch_folder(arguments, 1, "ledger_open");
  if (folder.empty()) fail("cannot make a folder");
  const auto bytes = static_cast<std::uint64_t>(gigabytes * 1e9);
  const Opened empty = open_and_append(folder + "/empty");
  write_log(folder + "/closed", bytes, false);
  const Opened closed = open_and_append(folder + "/closed");
  std::filesystem::remove_all(folder + "/closed");
  write_log(folder + "/killed", bytes, true);
  const Opened killed = open_and_append(folder + "/killed");
  std::filesystem::remove_all(folder);
  const std::uint64_t records = bytes / record_footprint_bytes(1000);
  if (closed.last_sequence < records || killed.last_sequence < records) {
    fail("records are missing");
  }
  if (arguments.as_json) {
    std::string out;
    grace::core::JsonWriter json(out);
    json.begin_object().field("gigabytes", gigabytes);
    for (const auto& [name, opened] :
         {std::pair("empty", empty), {"closed", closed}, {"killed", killed}}) {
      json.key(name)
          .begin_object()
          .field("seconds", opened.seconds)
          .field("resident_mib", opened.resident_mib)
          .end_object();
    }
    json.end_object();
    std::printf("%s\n", out.c_str());
    return 0;
  }
  std::printf("%.2f GB, files not in the page cache; until the first append is durable\n",
              gigabytes);
  for (const auto& [name, opened] :
       {std::pair("empty", empty), {"closed", closed}, {"killed", killed}}) {
    std::printf("%-7s %8.1f ms, resident %6.1f MiB (%+.1f), last record %llu\n", name,
                opened.seconds * 1e3, opened.resident_mib, opened.resident_mib - empty.resident_mib,
                static_cast<unsigned long long>(opened.last_sequence));
  }
  return 0;
}
