#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <thread>

#include "log_fixture.h"

namespace grace::ledger {
namespace {

class CrashTest : public LogTest {
 protected:
  // On a disk, with real syncs.
  [[nodiscard]] std::filesystem::path root() const override {
    return std::filesystem::temp_directory_path();
  }
  // Appends for ever, and tells what is durable; never returns.
  [[noreturn]] void child(int report_fd, std::uint64_t first) {
    auto writer = Writer::open(config_);
    if (!writer) ::_exit(3);
    auto producer = (*writer)->producer();
    if (!producer) ::_exit(3);
    std::uint64_t told = 0;
    for (std::uint64_t i = first;; ++i) {
      const std::string text = text_of(i, 40 + i % 300);
      if (producer->append_or_wait(RecordType::kNote, as_bytes(text)) != AppendStatus::kOk) {
        ::_exit(3);
      }
      const std::uint64_t durable = (*writer)->durable_sequence();
      if (durable > told) {
        told = durable;
        if (::write(report_fd, &told, sizeof(told)) != sizeof(told)) ::_exit(3);
      }
    }
  }
};

TEST_F(CrashTest, KillingTheWriterLosesNothingDurable) {
  constexpr int kRounds = 25;
  const unsigned seed = std::random_device{}();
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  std::uint64_t records = 0;  // notes in the log, over all rounds
  std::uint64_t sequence = 0;
  for (int round = 0; round < kRounds; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      ::close(ends[0]);
      child(ends[1], records);
    }
    ::close(ends[1]);
    std::this_thread::sleep_for(std::chrono::microseconds(2000 + random() % 40'000));
    ::kill(pid, SIGKILL);
    std::uint64_t durable = sequence;
    std::uint64_t told = 0;
    while (::read(ends[0], &told, sizeof(told)) == sizeof(told)) durable = std::max(durable, told);
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "round " << round << ": the child failed by itself";

    if (round % 5 == 4) {  // others: the next child recovers by itself
      open();
      ASSERT_GE(writer_->recovery().last_sequence, durable) << "seed " << seed;
      close();
      const VerifyReport verified = report();
      ASSERT_TRUE(verified.ok) << reason(verified) << " seed " << seed;
    }
    if (!std::filesystem::exists(segment(1))) continue;  // killed before it had begun
    const ReadBack back = read_all();
    ASSERT_EQ(back.status, ReadStatus::kEnd) << back.error.message << " seed " << seed;
    sequence = back.texts.size() + back.recoveries;
    ASSERT_GE(sequence, durable) << "round " << round << " seed " << seed;
    ASSERT_GE(back.texts.size(), records);
    records = back.texts.size();
    for (std::size_t i = 0; i < back.texts.size(); ++i) {
      ASSERT_EQ(back.texts[i], text_of(i, 40 + i % 300)) << "seed " << seed;
    }
  }
  EXPECT_GT(records, 0U);
}

}  // namespace
}  // namespace grace::ledger
