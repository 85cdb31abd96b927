// What happens to a writer whose live segment another process cuts short? It must name the file,
// give it up for another one and go on: every record that was not durable by then and every later
// one is in the log, and verify names what was lost with the rest.
//
//   ledger_live_truncation
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "campaign.h"

namespace grace::ledger {
namespace {

constexpr int kRecords = 20'000;
constexpr int kDurableBefore = 1'000;

// Says by the file `ready` that the cut may come: some records are durable, and more will follow.
[[noreturn]] void child(const std::string& directory, const std::string& ready) {
  LogConfig config;
  config.directory = directory;
  config.segment_bytes = 16 << 20;  // the first segment stays the live one
  config.record_bytes_max = 1000;
  config.commit_interval = std::chrono::microseconds(500);
  const auto writer = Writer::open(config);
  if (!writer) ::_exit(3);
  Producer producer = *(*writer)->producer();
  for (int i = 0; i < kRecords; ++i) {
    if (producer.append_or_wait(RecordType::kNote, as_bytes("one more record")) !=
        AppendStatus::kOk) {
      ::_exit(4);
    }
    if (i == kDurableBefore) {
      if (!producer.wait_durable()) ::_exit(7);
      std::filesystem::create_directory(ready);
      while (std::filesystem::exists(ready)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  producer = Producer();
  if (!(*writer)->close()) ::_exit(5);
  const auto told = (*writer)->last_fail_over();
  if (!told || told->code != ErrorCode::kCorrupt || told->segment != 1) ::_exit(6);
  std::printf("told: %s\n", told->message.c_str());
  std::fflush(stdout);
  ::_exit(0);
}

}  // namespace
}  // namespace grace::ledger

int main(int argc, char** argv) {
  using namespace grace::ledger;
  Campaign campaign("ledger_live_truncation", argc, argv, 1);
  const CampaignFolder folder("live_truncation", CampaignFolder::Place::kDisk);
  const pid_t pid = ::fork();
  const std::string ready = folder / "ready";
  if (pid == 0) child(folder / "log", ready);
  int status = 0;
  while (!std::filesystem::exists(ready) && ::waitpid(pid, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::error_code failed;
  std::filesystem::resize_file(folder / "log/000000000001.segment", kFirstBlockOffset, failed);
  std::filesystem::remove(ready);
  ::waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) {
    std::printf("the writer's process ended by signal %d (%s)\n", WTERMSIG(status),
                ::strsignal(WTERMSIG(status)));
  } else {
    std::printf("the writer's process ended by itself, with %d\n", WEXITSTATUS(status));
  }
  if (failed) campaign.fail("cut", failed.message());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) campaign.fail("writer", "see above");
  const auto verified = verify(folder / "log");
  if (!verified) {
    campaign.fail("verify", verified.error().message);
  } else if (verified->last_sequence != kRecords) {
    campaign.fail("verify", "the last record is " + std::to_string(verified->last_sequence));
  } else if (verified->ok || verified->first_fault->segment != 1 || verified->fault_count != 1) {
    campaign.fail("verify", "the cut segment is not its only fault");
  } else {
    std::printf("verify: %s\n", verified->first_fault->reason.c_str());
  }
  return campaign.finish(1, "cut segment");
}
