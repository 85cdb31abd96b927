// What if call number k fails? Runs small workloads in which each system call that the writer makes
// through its seam fails in each way, or ends the process, and checks three things: the writer said
// so (health(), flush(), close(), open()); with a healthy file system the log opens again, has
// every record that was acknowledged, exact, and verifies; and what recovery itself left half done
// is finished by the next. The last part makes real calls fail below the seam.
//
//   ledger_system_calls              every k of every workload and way: some thousands of cases
//     --count N                      at most so many
//     --only WAY                     eio, eio_forever, ... as printed
//     --every N                      of the calls only each N-th, of each way and log others
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <optional>

#include "campaign.h"
#include "real_calls.h"

namespace grace::ledger {
namespace {

enum class Call {
  kOpen,
  kClose,
  kAllocate,
  kTruncate,
  kWrite,
  kFileBytes,
  kSyncData,
  kSyncFile,
  kSyncDirectory,
  kRename,
  kRemove,
  kMakeDirectory,
  kNone
};
constexpr const char* kCallNames[] = {
    "open",       "close",          "allocate",  "truncate",       "write_at",
    "file_bytes", "sync_data",      "sync_file", "sync_directory", "rename",
    "remove",     "make_directory", "none"};

// How the call fails.
struct Way {
  const char* name;
  int error = 0;          // 0: it ends the process instead, or writes less
  bool forever = false;   // and all calls after it
  bool is_short = false;  // write_at only: half of it is written
  bool kills = false;
  bool after = false;  // the kill comes when the call is done
};
constexpr Way kWays[] = {
    {.name = "eio", .error = EIO},
    {.name = "enospc", .error = ENOSPC},
    {.name = "eintr", .error = EINTR},
    {.name = "eio_forever", .error = EIO, .forever = true},
    {.name = "enospc_forever", .error = ENOSPC, .forever = true},
    {.name = "short_write", .is_short = true},
    {.name = "kill_before", .kills = true},
    {.name = "kill_after", .kills = true, .after = true},
};

// What a process that is killed leaves for its parent.
struct Shared {
  std::atomic<std::uint64_t> written{0};    // D1 before the kill
  std::atomic<std::uint64_t> recovered{0};  // RecoveryReport::last_sequence
  std::atomic<std::uint64_t> first{0};      // sequence of the first record appended
};

class FailingFileSystem final : public FileSystem {
 public:
  FailingFileSystem(const Way& way, std::uint64_t k, Shared& shared)
      : way_(way), k_(k), shared_(shared) {}
  void watch(const Writer* writer) { writer_ = writer; }
  [[nodiscard]] Call hit() const { return hit_; }

  int open(const std::string& path, int flags, unsigned mode) override {
    return around(Call::kOpen, [&] { return FileSystem::open(path, flags, mode); });
  }
  int close(int fd) override {
    // The descriptor must go even where the call is said to have failed.
    const int outcome = FileSystem::close(fd);
    return around(Call::kClose, [&] { return outcome; });
  }
  int allocate(int fd, std::uint64_t bytes) override {
    return around(Call::kAllocate, [&] { return FileSystem::allocate(fd, bytes); });
  }
  int truncate(int fd, std::uint64_t bytes) override {
    return around(Call::kTruncate, [&] { return FileSystem::truncate(fd, bytes); });
  }
  std::int64_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    if (way_.is_short && ++calls_ == k_) {
      hit_ = Call::kWrite;
      return FileSystem::write_at(fd, bytes.first(bytes.size() / 2), offset);
    }
    return around(Call::kWrite, [&] { return FileSystem::write_at(fd, bytes, offset); });
  }
  std::int64_t file_bytes(int fd) override {
    return around(Call::kFileBytes, [&] { return FileSystem::file_bytes(fd); });
  }
  int sync_data(int fd) override {
    return around(Call::kSyncData, [&] { return FileSystem::sync_data(fd); });
  }
  int sync_file(int fd) override {
    return around(Call::kSyncFile, [&] { return FileSystem::sync_file(fd); });
  }
  int sync_directory(const std::string& path) override {
    return around(Call::kSyncDirectory, [&] {
      const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      const int outcome = ::fsync(fd) < 0 ? -errno : 0;
      ::close(fd);
      return outcome;
    });
  }
  int rename(const std::string& from, const std::string& to) override {
    return around(Call::kRename, [&] { return FileSystem::rename(from, to); });
  }
  int remove(const std::string& path) override {
    return around(Call::kRemove, [&] { return FileSystem::remove(path); });
  }
  int make_directory(const std::string& path) override {
    return around(Call::kMakeDirectory, [&] { return FileSystem::make_directory(path); });
  }

 private:
  template <typename Done>
  auto around(Call call, Done done) -> decltype(done()) {
    if (way_.is_short) return done();
    const std::uint64_t number = ++calls_;
    if (number != k_ && !(way_.forever && number > k_)) return done();
    if (number == k_) hit_ = call;
    if (way_.error != 0) return -way_.error;
    if (way_.after) (void)done();
    const Writer* const writer = writer_;
    // Release: nothing else is read with it; the parent looks when this process has ended.
    if (writer != nullptr) {
      shared_.written.store(writer->written_sequence(), std::memory_order_release);
    }
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }

  const Way& way_;
  const std::uint64_t k_;
  Shared& shared_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<Call> hit_{Call::kNone};
  std::atomic<const Writer*> writer_{nullptr};
};

LogConfig small_config(const std::string& directory) {
  LogConfig config;
  config.directory = directory;
  config.segment_bytes = 16 << 10;
  config.block_bytes = 1500;
  config.record_bytes_max = 1000;  // as History has it
  config.ring_bytes = 16 << 10;
  config.commit_interval = std::chrono::microseconds(200);
  config.idle_wait_max = std::chrono::microseconds(500);
  return config;
}

constexpr std::uint64_t kBaseKey = 1;
constexpr std::uint64_t kRunKey = 2;
constexpr std::uint64_t kAfterKey = 3;

// What a run told its caller.
struct Told {
  std::optional<Error> open_error;
  std::optional<Error> error;  // the first from flush() or close()
  std::optional<Error> health;
  bool refused = false;  // an append
  AppendStatus status_afterwards = AppendStatus::kOk;
  bool closed = false;
  std::uint64_t acknowledged = 0;  // by flush() and durable_sequence()
  std::uint64_t durable_last = 0;
  std::uint64_t fail_overs = 0;
  History history;
};

void append_rounds(Writer& writer, Producer& producer, Told& told) {
  for (int round = 0; round < 6 && !told.error && !told.refused; ++round) {
    for (int i = 0; i < 5 && !told.refused; ++i) {
      told.history.keys.push_back(kRunKey);
      const std::string text = told.history.text(told.history.keys.size());
      told.refused =
          producer.append_or_wait(RecordType::kNote, as_bytes(text)) != AppendStatus::kOk;
      if (told.refused) told.history.keys.pop_back();
    }
    const auto flushed = writer.flush();
    if (flushed) {
      told.acknowledged = std::max(told.acknowledged, told.history.keys.size());
    } else if (!told.error) {
      told.error = flushed.error();
    }
  }
}

Told run_workload(const std::string& directory, FailingFileSystem& fs, Shared& shared,
                  const History& base) {
  Told told;
  told.history = base;
  LogConfig config = small_config(directory);
  config.file_system = &fs;
  auto opened = Writer::open(config);
  if (!opened) {
    told.open_error = opened.error();
    return told;
  }
  Writer& writer = **opened;
  Producer producer = *writer.producer();
  const std::uint64_t recovered = writer.recovery().last_sequence;
  told.history.keys.resize(recovered);
  while (told.history.keys.size() + 1 < producer.next_sequence()) {
    told.history.keys.push_back(History::kRecovery);
  }
  // Relaxed, both: the parent looks when this process has ended.
  shared.recovered.store(recovered, std::memory_order_relaxed);
  shared.first.store(producer.next_sequence(), std::memory_order_relaxed);
  fs.watch(&writer);
  append_rounds(writer, producer, told);
  const auto closed = writer.close();
  told.closed = closed.has_value();
  if (!closed && !told.error) told.error = closed.error();
  if (const auto health = writer.health(); !health) told.health = health.error();
  told.status_afterwards = producer.try_append(RecordType::kNote, as_bytes("late"));
  told.durable_last = writer.durable_sequence();
  told.fail_overs = writer.last_fail_over() ? writer.stats().fail_overs : 0;
  told.acknowledged = std::max(told.acknowledged, told.durable_last);
  producer = Producer();
  fs.watch(nullptr);
  return told;
}

// A failure of these must be told. Of the others some are tried again (what prepares ahead) or do
// not matter (a segment that is not cut to size, a provisional file that stays).
bool must_be_told(Call call) {
  return call == Call::kWrite || call == Call::kSyncData || call == Call::kSyncFile ||
         call == Call::kSyncDirectory || call == Call::kRename || call == Call::kMakeDirectory;
}

std::string check_honesty(const Told& told, const Way& way, Call hit) {
  const bool told_any = told.open_error || told.error || told.refused;
  if (told_any && hit == Call::kNone) return "an error without a cause";
  if (!told_any && !told.closed) return "close failed without a word";
  // A short write may be gone on with in silence: then recovery finds all as it must be. A file
  // that failed may have been given up for another, which is told, too.
  if (!told_any && !way.is_short && must_be_told(hit) && told.fail_overs == 0) {
    return "nobody was told";
  }
  if (way.forever && must_be_told(hit) && !told_any) return "went on without a disk";
  if (told_any && !told.open_error && !told.health) return "health() is good after a failure";
  if (told.refused && !told.health) return "an append was refused and health() is good";
  for (const auto& error : {told.open_error, told.error, told.health}) {
    if (!error) continue;
    if (error->message.empty()) return "an error without a message";
    if (way.error != 0 && error->os_error != way.error) {
      return "told of another error: " + error->message;
    }
    if (way.error == ENOSPC && error->code != ErrorCode::kNoSpace &&
        error->code != ErrorCode::kSyncFailed) {
      return "no space, but the code is another: " + error->message;
    }
  }
  if (told.error && told.status_afterwards != AppendStatus::kFailed) {
    return "an append after the failure says " + std::string(to_string(told.status_afterwards));
  }
  if (told.closed && told.durable_last != told.history.keys.size()) {
    return "closed, yet not all is durable";
  }
  return {};
}

// With a file system that works again.
std::string check_recovery(const std::string& directory, History history,
                           std::uint64_t acknowledged) {
  auto opened = Writer::open(small_config(directory));
  if (!opened) return "does not open: " + opened.error().message;
  Writer& writer = **opened;
  const std::uint64_t last = writer.recovery().last_sequence;
  if (last < acknowledged) {
    return "acknowledged " + std::to_string(acknowledged) + ", kept " + std::to_string(last);
  }
  history.keys.resize(std::min<std::size_t>(last, history.keys.size()));
  Producer producer = *writer.producer();
  while (history.keys.size() + 1 < producer.next_sequence()) {
    history.keys.push_back(History::kRecovery);
  }
  history.keys.push_back(kAfterKey);
  const std::string text = history.text(history.keys.size());
  (void)producer.append_or_wait(RecordType::kNote, as_bytes(text));
  producer = Producer();
  if (const auto closed = writer.close(); !closed) return "close: " + closed.error().message;
  std::uint64_t records = 0;
  if (auto different = compare_log(directory, history, records); !different.empty()) {
    return different;
  }
  if (records != history.keys.size()) return "records are missing";
  const auto verified = verify(directory);
  if (!verified) return verified.error().message;
  if (verified->ok) return {};
  return "verify: " + (verified->first_fault ? verified->first_fault->reason : "torn tail");
}

class SystemCalls {
 public:
  explicit SystemCalls(Campaign& campaign) : campaign_(campaign), folder_("system_calls") {
    void* const memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared_ = new (memory) Shared;
    make_bases();
  }

  // Of the ways only this one, unless it is empty.
  std::uint64_t run(const std::string& only, std::uint64_t every) {
    std::uint64_t first = 0;
    for (const Way& way : kWays) {
      if (!only.empty() && only != way.name) continue;
      const std::uint64_t before = done_;
      for (const char* base : {"new", "closed", "killed", "torn", "torn_later"}) {
        bool hit = true;
        for (std::uint64_t k = 1 + first++ % every; hit && campaign_.more(done_); k += every) {
          hit = run_case(way, base, k);
        }
      }
      std::printf("  %s: %llu cases\n", way.name, static_cast<unsigned long long>(done_ - before));
      std::fflush(stdout);
    }
    return done_;
  }

 private:
  // The states in which the workload finds the log.
  void make_bases() {
    std::filesystem::create_directories(folder_ / "base_new");
    const std::string live = folder_ / "base_closed";
    auto writer = std::move(*Writer::open(small_config(live)));
    Producer producer = *writer->producer();
    for (int i = 0; i < 40; ++i) {
      base_.keys.push_back(kBaseKey);
      const std::string text = base_.text(base_.keys.size());
      (void)producer.append_or_wait(RecordType::kNote, as_bytes(text));
      if (i % 4 == 3) (void)writer->flush();
    }
    for (const char* name : {"base_killed", "base_torn", "base_torn_later"}) {
      std::filesystem::copy(live, folder_ / name, std::filesystem::copy_options::recursive);
      for (const auto& entry : std::filesystem::directory_iterator(folder_ / name)) {
        if (entry.path().extension() == ".prepared") std::filesystem::remove(entry.path());
      }
    }
    producer = Producer();
    (void)writer->close();
    const std::string last = spoil_tail(folder_ / "base_torn");
    (void)spoil_tail(folder_ / "base_torn_later");
    // One segment more, of which only the second half of a header is there.
    std::filesystem::copy(last, next_segment(folder_ / "base_torn_later"));
    std::filesystem::resize_file(next_segment(folder_ / "base_torn_later", 0), 300);
  }
  static std::string last_segment(const std::string& directory) {
    std::string last;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (entry.path().extension() == ".segment") last = std::max(last, entry.path().string());
    }
    return last;
  }
  static std::string next_segment(const std::string& directory, std::uint64_t further = 1) {
    const std::uint64_t number =
        std::strtoull(std::filesystem::path(last_segment(directory)).stem().c_str(), nullptr, 10);
    std::string digits = std::to_string(number + further);
    return directory + "/" + std::string(12 - digits.size(), '0') + digits + ".segment";
  }
  // Behind the last block, where the next would begin. Returns the segment.
  static std::string spoil_tail(const std::string& directory) {
    const std::string path = last_segment(directory);
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct stat info {};
    (void)::fstat(fd, &info);
    std::vector<char> bytes(static_cast<std::size_t>(info.st_size));
    (void)!::pread(fd, bytes.data(), bytes.size(), 0);
    std::size_t used = bytes.size();
    while (used > 0 && bytes[used - 1] == 0) --used;
    const std::string torn(300, 't');
    (void)!::pwrite(fd, torn.data(), torn.size(),
                    static_cast<off_t>(round_up(used, kBlockAlignment)));
    ::close(fd);
    return path;
  }

  // False: there is no call number k.
  bool run_case(const Way& way, const std::string& base, std::uint64_t k) {
    const std::string directory = folder_ / "log";
    std::filesystem::remove_all(directory);
    std::filesystem::copy(folder_ / ("base_" + base), directory,
                          std::filesystem::copy_options::recursive);
    const History start = base == "new" ? History{} : base_;
    const std::string name =
        std::string(way.name) + ", log " + base + ", call " + std::to_string(k);
    std::string call;
    std::string failure = way.kills ? run_killed(directory, way, k, start, call)
                                    : run_failing(directory, way, k, start, call);
    if (call.empty() && failure.empty()) return false;
    ++done_;
    campaign_.progress(done_);
    if (!failure.empty()) campaign_.fail(name + " (" + call + ")", failure);
    return !call.empty();
  }

  std::string run_failing(const std::string& directory, const Way& way, std::uint64_t k,
                          const History& start, std::string& call) {
    FailingFileSystem fs(way, k, *shared_);
    const Told told = run_workload(directory, fs, *shared_, start);
    if (fs.hit() != Call::kNone) call = kCallNames[static_cast<int>(fs.hit())];
    std::string failure = check_honesty(told, way, fs.hit());
    if (!failure.empty()) return failure;
    // A log that did not open has lost nothing it had.
    const std::uint64_t had = told.open_error ? start.keys.size() : told.acknowledged;
    return check_recovery(directory, told.history, had);
  }

  std::string run_killed(const std::string& directory, const Way& way, std::uint64_t k,
                         const History& start, std::string& call) {
    new (shared_) Shared;
    const pid_t pid = ::fork();
    if (pid == 0) {
      FailingFileSystem fs(way, k, *shared_);
      const Told told = run_workload(directory, fs, *shared_, start);
      ::_exit(told.closed ? 0 : 3);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    call = "killed";
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return "the child ended by itself";
    // Relaxed, all three: the process that wrote them has ended.
    const std::uint64_t first = shared_->first.load(std::memory_order_relaxed);
    const std::uint64_t recovered = shared_->recovered.load(std::memory_order_relaxed);
    const std::uint64_t written = shared_->written.load(std::memory_order_relaxed);
    History history = start;
    if (first > 0) {
      history.keys.resize(recovered);
      while (history.keys.size() + 1 < first) history.keys.push_back(History::kRecovery);
      // As many as the workload appends.
      for (int i = 0; i < 30; ++i) history.keys.push_back(kRunKey);
    }
    return check_recovery(
        directory, history,
        std::max<std::uint64_t>(written, first > 0 ? recovered : start.keys.size()));
  }

  Campaign& campaign_;
  CampaignFolder folder_;
  Shared* shared_ = nullptr;
  History base_;
  std::uint64_t done_ = 0;
};

}  // namespace
}  // namespace grace::ledger

int main(int argc, char** argv) {
  using namespace grace::ledger;
  Campaign campaign("ledger_system_calls", argc, argv, 1'000'000);
  const std::string only = campaign.value_of("--only");
  const std::string stride = campaign.value_of("--every");
  if (!campaign.knows_only({"--only", only, "--every", stride})) return 2;
  const std::uint64_t every = stride.empty() ? 1 : std::strtoull(stride.c_str(), nullptr, 10);
  bool known = only.empty();
  for (const Way& way : kWays) known = known || only == way.name;
  if (!known || every == 0) {
    std::fprintf(stderr, "ledger_system_calls: --only a way and --every a number from 1 on\n");
    return 2;
  }
  std::uint64_t done = run_real_calls(campaign);
  done += SystemCalls(campaign).run(only, every);
  return campaign.finish(done, "failing calls");
}
