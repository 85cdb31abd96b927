// What happens to a writer whose live segment another process cuts short? The committer stores into
// a mapping, and a page behind the end of its file is a SIGBUS. Says how the writer's process
// ended: exit code 0 if the writer told of it through health() or never noticed, 1 if a signal
// ended it.
//
//   ledger_live_truncation
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "campaign.h"

namespace grace::ledger {
namespace {

[[noreturn]] void child(const std::string& directory) {
  LogConfig config;
  config.directory = directory;
  config.segment_bytes = 1 << 20;
  config.record_bytes_max = 1000;
  config.commit_interval = std::chrono::microseconds(500);
  const auto writer = Writer::open(config);
  if (!writer) ::_exit(3);
  Producer producer = *(*writer)->producer();
  for (int i = 0; i < 20'000; ++i) {
    if (producer.append_or_wait(RecordType::kNote, as_bytes("one more record")) !=
        AppendStatus::kOk) {
      ::_exit(0);
    }
    if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ::_exit(0);
}

}  // namespace
}  // namespace grace::ledger

int main(int argc, char** argv) {
  using namespace grace::ledger;
  const Campaign campaign("ledger_live_truncation", argc, argv, 1);
  const CampaignFolder folder("live_truncation", CampaignFolder::Place::kDisk);
  const pid_t pid = ::fork();
  if (pid == 0) child(folder / "log");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::error_code failed;
  std::filesystem::resize_file(folder / "log/000000000001.segment", kFirstBlockOffset, failed);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) {
    std::printf("the writer's process ended by signal %d (%s)\n", WTERMSIG(status),
                ::strsignal(WTERMSIG(status)));
  } else {
    std::printf("the writer's process ended by itself, with %d\n", WEXITSTATUS(status));
  }
  const auto verified = verify(folder / "log");
  std::printf("verify: %s\n", !verified               ? verified.error().message.c_str()
                              : verified->ok          ? "ok"
                              : verified->first_fault ? verified->first_fault->reason.c_str()
                                                      : "torn tail");
  return !failed && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}
