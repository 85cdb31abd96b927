// Does a log survive kill -9, again and again? A child appends to a log on a real disk and tells
// through shared memory what is written (D1) and durable (D2); it is killed at a random moment, in
// recovery as well; the next child recovers what it left. After each kill all that was written must
// be there, exact. Every 50 kills the log is closed, verified and replaced by a new one.
//
//   ledger_kill_loop --count 10000 --jobs 4      kills; jobs run side by side, each with its log
//     --seed S   the moments and the configurations; the same moment does not come back exactly
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include "campaign.h"

namespace grace::ledger {
namespace {

constexpr std::uint64_t kRoundsPerLog = 50;
constexpr std::uint64_t kRecordBytesMax = 1000;
constexpr std::uint64_t kKey = 1;
constexpr int kOpenFailed = 3;
constexpr int kAppendFailed = 4;

struct JobShared {
  // Told by the child.
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> durable{0};
  std::atomic<std::uint64_t> recovered{0};
  std::atomic<bool> opened{false};
  // Told by the job.
  std::atomic<std::uint64_t> kills{0};
  std::atomic<std::uint64_t> kills_before_open{0};
  std::atomic<std::uint64_t> records{0};
};

LogConfig draw_config(Random& random, const std::string& directory) {
  LogConfig config;
  config.directory = directory;
  config.integrity = random.one_of({Integrity::kSha256, Integrity::kCrc32c});
  config.sync = random.chance(80) ? SyncMode::kGroup : SyncMode::kNone;
  config.record_bytes_max = kRecordBytesMax;
  config.block_bytes = random.one_of<std::uint64_t>({1000, 6000, 30'000});
  config.segment_bytes = random.one_of<std::uint64_t>({32 << 10, 64 << 10, 256 << 10});
  config.ring_bytes = 64 << 10;
  config.in_place_bytes_min = random.one_of<std::uint64_t>({0, 1000, 1 << 20});
  config.commit_interval = std::chrono::microseconds(random.one_of({0, 100, 1000}));
  config.idle_wait_max = std::chrono::microseconds(500);
  config.segments_ahead = random.one_of<std::uint32_t>({1, 3});
  config.pipelined = random.chance(50);
  config.reserve = random.chance(30);
  return config;
}

// Appends until it is killed.
[[noreturn]] void child(const LogConfig& config, std::uint64_t seed, JobShared& shared) {
  Random random(seed);
  const auto opened = Writer::open(config);
  if (!opened) {
    (void)!::write(STDERR_FILENO, opened.error().message.data(), opened.error().message.size());
    ::_exit(kOpenFailed);
  }
  Writer& writer = **opened;
  Producer producer = *writer.producer();
  // Relaxed, here and below: the job looks when this process has ended.
  shared.recovered.store(writer.recovery().last_sequence, std::memory_order_relaxed);
  shared.opened.store(true, std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t records = random.between(1, 40);
    for (std::uint64_t i = 0; i < records; ++i) {
      const std::string text = record_text(kKey, producer.next_sequence(), kRecordBytesMax);
      if (producer.append_or_wait(RecordType::kNote, as_bytes(text)) != AppendStatus::kOk) {
        ::_exit(kAppendFailed);
      }
      shared.written.store(writer.written_sequence(), std::memory_order_relaxed);
      shared.durable.store(writer.durable_sequence(), std::memory_order_relaxed);
    }
    if (random.chance(10)) (void)writer.flush();
    if (random.chance(50)) {
      std::this_thread::sleep_for(std::chrono::microseconds(random.below(500)));
    }
  }
}

class KillJob {
 public:
  KillJob(Campaign& campaign, std::uint64_t number, JobShared& shared)
      : campaign_(campaign),
        random_(campaign.seed() * 1000 + number),
        shared_(shared),
        number_(number),
        folder_("kill_loop_" + std::to_string(number), CampaignFolder::Place::kDisk) {}

  // True: nothing failed.
  bool run(std::uint64_t kills) {
    for (std::uint64_t done = 0; done < kills && campaign_.more(0);) {
      config_ = draw_config(random_, folder_ / ("log" + std::to_string(log_)));
      compared_ = 0;
      const std::uint64_t rounds = std::min(kRoundsPerLog, kills - done);
      for (std::uint64_t round = 0; round < rounds; ++round) {
        if (!kill_one()) return false;
      }
      if (!close_and_verify()) return false;
      std::filesystem::remove_all(config_.directory);
      done += rounds;
      ++log_;
    }
    return true;
  }

 private:
  bool kill_one() {
    // Relaxed, all: no child lives.
    shared_.written.store(0, std::memory_order_relaxed);
    shared_.durable.store(0, std::memory_order_relaxed);
    shared_.recovered.store(0, std::memory_order_relaxed);
    shared_.opened.store(false, std::memory_order_relaxed);
    const std::uint64_t child_seed = random_.next();
    const std::uint64_t us_max = random_.one_of<std::uint64_t>({4000, 12'000, 40'000});
    const std::uint64_t us = random_.below(us_max);
    const pid_t pid = ::fork();
    if (pid == 0) child(config_, child_seed, shared_);
    std::this_thread::sleep_for(std::chrono::microseconds(us));
    ::kill(pid, SIGKILL);
    int status = 0;
    ::waitpid(pid, &status, 0);
    shared_.kills.fetch_add(1, std::memory_order_relaxed);
    if (WIFEXITED(status)) {
      return fail("the child ended by itself with " + std::to_string(WEXITSTATUS(status)));
    }
    if (WTERMSIG(status) != SIGKILL) {
      return fail("the child ended by signal " + std::to_string(WTERMSIG(status)));
    }
    return check_kill();
  }

  bool check_kill() {
    // Relaxed, all: the child has ended.
    const bool opened = shared_.opened.load(std::memory_order_relaxed);
    const std::uint64_t written = shared_.written.load(std::memory_order_relaxed);
    const std::uint64_t durable = shared_.durable.load(std::memory_order_relaxed);
    const std::uint64_t recovered = shared_.recovered.load(std::memory_order_relaxed);
    if (!opened) shared_.kills_before_open.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t before = compared_;
    if (opened && recovered < before) {
      return fail("recovery kept " + std::to_string(recovered) + " of " + std::to_string(before));
    }
    if (!compare()) return false;
    shared_.records.fetch_add(compared_ - before, std::memory_order_relaxed);
    if (compared_ < std::max(written, durable)) {
      return fail("written " + std::to_string(written) + ", durable " + std::to_string(durable) +
                  ", there are " + std::to_string(compared_));
    }
    return true;
  }

  // Records from compared_ on; moves it to the last.
  bool compare() {
    ReaderOptions options;
    options.from_sequence = compared_ + 1;
    auto reader = Reader::open(config_.directory, options);
    if (!reader) {
      const bool none_yet = reader.error().code == ErrorCode::kNotFound && compared_ == 0;
      return none_yet || fail("reading: " + reader.error().message);
    }
    RecordView record;
    ReadStatus status = ReadStatus::kRecord;
    while ((status = reader->next(record)) == ReadStatus::kRecord) {
      if (record.sequence != compared_ + 1) {
        return fail("sequence " + std::to_string(record.sequence) + " instead of " +
                    std::to_string(compared_ + 1));
      }
      ++compared_;
      if (record.type == RecordType::kRecovery) continue;
      if (record.text() != record_text(kKey, compared_, kRecordBytesMax)) {
        return fail("record " + std::to_string(compared_) + " is not what was appended");
      }
    }
    return status == ReadStatus::kEnd || fail("reading: " + reader->error().message);
  }

  bool close_and_verify() {
    const std::uint64_t before = compared_;
    {
      auto writer = Writer::open(config_);
      if (!writer) return fail("open: " + writer.error().message);
      if (const auto closed = (*writer)->close(); !closed) {
        return fail("close: " + closed.error().message);
      }
    }
    compared_ = 0;
    if (!compare()) return false;
    if (compared_ < before) return fail("records are gone after the last recovery");
    const auto verified = verify(config_.directory);
    if (!verified) return fail("verify: " + verified.error().message);
    if (verified->ok) return true;
    return fail("verify: " +
                (verified->first_fault ? verified->first_fault->reason : std::string("torn")));
  }

  // Keeps the log for a look.
  bool fail(const std::string& what) {
    const std::string kept =
        (std::filesystem::temp_directory_path() /
         ("ledger_kill_loop_" + std::to_string(campaign_.seed()) + "_" + std::to_string(number_)))
            .string();
    std::error_code ignored;
    std::filesystem::remove_all(kept, ignored);
    std::filesystem::copy(config_.directory, kept, std::filesystem::copy_options::recursive,
                          ignored);
    campaign_.fail("job " + std::to_string(number_) + " log " + std::to_string(log_) +
                       ", files kept in " + kept,
                   what);
    return false;
  }

  Campaign& campaign_;
  Random random_;
  JobShared& shared_;
  const std::uint64_t number_;
  CampaignFolder folder_;
  LogConfig config_;
  std::uint64_t log_ = 0;
  std::uint64_t compared_ = 0;  // records of this log that were read and are as they must be
};

// Each job is a process, so that only single-threaded ones fork.
std::uint64_t run(Campaign& campaign) {
  const std::uint64_t jobs = std::clamp<std::uint64_t>(campaign.jobs(), 1, 64);
  void* const memory = ::mmap(nullptr, jobs * sizeof(JobShared), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* const shared = static_cast<JobShared*>(memory);
  std::vector<pid_t> pids;
  for (std::uint64_t job = 0; job < jobs; ++job) {
    new (shared + job) JobShared;
    const std::uint64_t kills = campaign.count() / jobs + (job < campaign.count() % jobs ? 1 : 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      bool good = false;
      {
        KillJob worker(campaign, job, shared[job]);
        good = worker.run(kills);
      }
      ::_exit(good ? 0 : 1);
    }
    pids.push_back(pid);
  }
  const auto total = [&](auto member) {
    std::uint64_t sum = 0;
    // Relaxed: statistics.
    for (std::uint64_t job = 0; job < jobs; ++job) {
      sum += (shared[job].*member).load(std::memory_order_relaxed);
    }
    return sum;
  };
  for (std::size_t running = pids.size(); running > 0;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended > 0) {
      --running;
      if (status != 0) campaign.fail("a job", "see above");
      continue;
    }
    campaign.progress(total(&JobShared::kills));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::printf("  records compared %llu, kills before the log was open %llu\n",
              static_cast<unsigned long long>(total(&JobShared::records)),
              static_cast<unsigned long long>(total(&JobShared::kills_before_open)));
  return total(&JobShared::kills);
}

}  // namespace
}  // namespace grace::ledger

int main(int argc, char** argv) {
  using namespace grace::ledger;
  Campaign campaign("ledger_kill_loop", argc, argv, 200);
  if (!campaign.knows_only({})) return 2;
  const std::uint64_t done = run(campaign);
  return campaign.finish(done, "kills");
}
