// What does a writer do on a disk that is really full? Mounts small file systems of its own (tmpfs,
// and ext4 in a file) in a private mount namespace, fills them and looks: the error is named, what
// was durable stays, and the log goes on when there is space again. Exits with 77 where mounting is
// not permitted.
//
//   ledger_full_disk
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "campaign.h"

extern char** environ;

namespace grace::ledger {
namespace {

constexpr int kSkipped = 77;
constexpr std::uint64_t kKey = 1;
constexpr std::uint64_t kSegmentBytes = 128 << 10;
constexpr std::uint64_t kBallastBytes = 1 << 20;

bool run_program(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = 0;
  if (::posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) {
    return false;
  }
  int status = 0;
  return ::waitpid(pid, &status, 0) == pid && status == 0;
}

bool own_mounts() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

bool mount_memory(const std::string& at) {
  return ::mount("none", at.c_str(), "tmpfs", 0, "size=3m") == 0;
}

bool mount_ext4(const std::string& at, const std::string& image) {
  const int fd = ::open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const bool sized = fd >= 0 && ::ftruncate(fd, 8 << 20) == 0;
  ::close(fd);
  return sized && run_program({"mkfs.ext4", "-q", "-F", image}) &&
         run_program({"mount", "-o", "loop", image, at});
}

LogConfig config_for(const std::string& mounted, bool pipelined, Integrity integrity) {
  LogConfig config;
  config.directory = mounted + "/log";
  config.integrity = integrity;
  config.segment_bytes = kSegmentBytes;
  config.block_bytes = 8000;
  config.record_bytes_max = 2000;
  config.ring_bytes = 16 << 10;
  config.commit_interval = std::chrono::microseconds(500);
  config.pipelined = pipelined;
  return config;
}

// Takes all the space that is left, if `bytes` is 0.
void put_ballast(const std::string& path, std::uint64_t bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::vector<char> zeros(4096, 1);
  for (std::uint64_t done = 0; bytes == 0 || done < bytes; done += zeros.size()) {
    if (::write(fd, zeros.data(), zeros.size()) != static_cast<ssize_t>(zeros.size())) break;
  }
  (void)::fsync(fd);
  ::close(fd);
}

// One file system's story, told in steps; the first wrong one ends it.
class FullDisk {
 public:
  FullDisk(Campaign& campaign, std::string name, const std::string& mounted, LogConfig config)
      : campaign_(campaign), name_(std::move(name)), mounted_(mounted), config_(std::move(config)) {
    history_.bytes_max = config_.record_bytes_max;
  }

  bool run() {
    put_ballast(mounted_ + "/ballast", kBallastBytes);
    return decisions_go_on() && fill() && stays_while_full() && opens_while_full() &&
           goes_on_with_space() && keeps_a_torn_tail_it_cannot_save();
  }

 private:
  bool wrong(const std::string& what) {
    campaign_.fail(name_, what);
    return false;
  }

  bool append(Producer& producer) {
    history_.keys.push_back(kKey);
    const std::string text = history_.text(history_.keys.size());
    const bool taken =
        producer.append_or_wait(RecordType::kNote, as_bytes(text)) == AppendStatus::kOk;
    if (!taken) history_.keys.pop_back();
    return taken;
  }

  bool fill() {
    auto opened = Writer::open(config_);
    if (!opened) return wrong("open: " + opened.error().message);
    Writer& writer = **opened;
    Producer producer = *writer.producer();
    std::uint64_t warned_at = 0;
    while (append(producer)) {
      if (warned_at == 0 && !writer.health()) warned_at = history_.keys.size();
      if (history_.keys.size() > 100'000) return wrong("the disk does not get full");
    }
    const auto health = writer.health();
    if (health) return wrong("appends are refused, yet health() is good");
    if (health.error().code != ErrorCode::kNoSpace || health.error().os_error != ENOSPC) {
      return wrong("health() names another: " + health.error().message);
    }
    if (const auto flushed = writer.flush();
        flushed || flushed.error().code != ErrorCode::kNoSpace) {
      return wrong("flush() does not say that there is no space");
    }
    producer = Producer();
    if (const auto closed = writer.close(); closed || closed.error().code != ErrorCode::kNoSpace) {
      return wrong("close() does not say that there is no space");
    }
    durable_ = writer.durable_sequence();
    if (durable_ != writer.written_sequence()) return wrong("what was written is not durable");
    std::printf("  %s: full after %llu records, warned at %llu, durable %llu: %s\n", name_.c_str(),
                static_cast<unsigned long long>(history_.keys.size()),
                static_cast<unsigned long long>(warned_at),
                static_cast<unsigned long long>(durable_), health.error().message.c_str());
    return durable_ > 0 || wrong("nothing was durable");
  }

  bool check_log(std::uint64_t records_min) {
    std::uint64_t records = 0;
    const std::string different = compare_log(config_.directory, history_, records);
    if (!different.empty()) return wrong(different);
    if (records < records_min) {
      return wrong("durable " + std::to_string(records_min) + ", there are " +
                   std::to_string(records));
    }
    const auto verified = verify(config_.directory);
    if (!verified || verified->fault_count > 0) return wrong("verify finds a fault");
    return true;
  }

  // With a reserve telemetry is refused first, and decisions are still made durable.
  bool decisions_go_on() {
    LogConfig config = config_;
    config.directory += "_reserve";
    config.reserve = true;
    config.segment_bytes = 4 * kSegmentBytes;  // room for the decisions below
    std::filesystem::create_directories(config.directory);
    std::uint64_t decisions = 0;
    {
      auto opened = Writer::open(config);
      if (!opened) return wrong("open, with a reserve: " + opened.error().message);
      Writer& writer = **opened;
      Producer telemetry = *writer.producer(Importance::kExpendable);
      Producer producer = *writer.producer();
      const std::string line(1500, 't');
      AppendStatus status = AppendStatus::kOk;
      std::uint64_t lines = 0;
      while ((status = telemetry.append_or_wait(RecordType::kChunk, as_bytes(line))) ==
             AppendStatus::kOk) {
        if (++lines > 100'000) return wrong("the disk does not get full");
      }
      if (status != AppendStatus::kNoSpace) {
        return wrong("telemetry was refused with " + std::string(to_string(status)));
      }
      if (writer.health()) return wrong("telemetry is refused, yet health() is good");
      for (; decisions < 40; ++decisions) {
        const std::string text = "decision " + std::to_string(decisions);
        if (producer.append_or_wait(RecordType::kNote, as_bytes(text)) != AppendStatus::kOk) {
          return wrong("a decision was refused");
        }
        if (const auto waited = producer.wait_durable(); !waited) {
          return wrong("a decision is not durable: " + waited.error().message);
        }
      }
      std::printf("  %s: reserve begun after %llu lines, %llu decisions durable since\n",
                  name_.c_str(), static_cast<unsigned long long>(lines),
                  static_cast<unsigned long long>(decisions));
      producer = Producer();
      telemetry = Producer();
      (void)writer.close();  // which says so if lines were left behind in the ring
    }
    auto reader = Reader::open(config.directory);
    if (!reader) return wrong("the log with the reserve cannot be read");
    RecordView record;
    std::uint64_t found = 0;
    while (reader->next(record) == ReadStatus::kRecord) {
      found += record.type == RecordType::kNote ? 1 : 0;
    }
    if (found != decisions) return wrong("of the decisions are there " + std::to_string(found));
    const auto verified = verify(config.directory);
    if (!verified || !verified->ok) return wrong("verify, with a reserve");
    std::filesystem::remove_all(config.directory);
    return true;
  }

  bool stays_while_full() {
    put_ballast(mounted_ + "/rest", 0);
    return check_log(durable_);
  }

  // It opens or says why not; either way nothing is lost.
  bool opens_while_full() {
    if (auto opened = Writer::open(config_)) {
      history_.keys.resize((*opened)->recovery().last_sequence);
      if (history_.keys.size() < durable_) return wrong("recovery lost what was durable");
      Producer producer = *(*opened)->producer();
      while (append(producer) && history_.keys.size() < durable_ + 100'000) {
      }
      const auto health = (*opened)->health();
      if (health || health.error().code != ErrorCode::kNoSpace) {
        return wrong("open on a full disk, and health() names no lack of space");
      }
    } else if (opened.error().code != ErrorCode::kNoSpace) {
      return wrong("open names another: " + opened.error().message);
    }
    return check_log(durable_);
  }

  bool goes_on_with_space() {
    std::filesystem::remove(mounted_ + "/ballast");
    auto opened = Writer::open(config_);
    if (!opened) return wrong("open, with space again: " + opened.error().message);
    Writer& writer = **opened;
    if (writer.recovery().last_sequence < durable_) return wrong("recovery lost what was durable");
    history_.keys.resize(writer.recovery().last_sequence);
    Producer producer = *writer.producer();
    while (history_.keys.size() + 1 < producer.next_sequence()) {
      history_.keys.push_back(History::kRecovery);
    }
    for (int i = 0; i < 50; ++i) {
      if (!append(producer)) return wrong("no append, with space again");
    }
    producer = Producer();
    if (const auto closed = writer.close(); !closed) {
      return wrong("close, with space again: " + closed.error().message);
    }
    durable_ = history_.keys.size();
    const auto verified = verify(config_.directory);
    return check_log(durable_) && (verified->ok || wrong("verify, with space again"));
  }

  // Recovery must keep the torn bytes, and there is no place for them: it stops and cuts nothing.
  bool keeps_a_torn_tail_it_cannot_save() {
    const std::string torn = mounted_ + "/log/" + next_segment_name();
    put_ballast(torn, 4096);  // bytes that nobody promised
    std::filesystem::resize_file(torn, 4000);
    const std::string last = last_segment();
    std::filesystem::remove(mounted_ + "/rest");
    put_ballast(mounted_ + "/rest", 0);
    const auto size = std::filesystem::file_size(last);
    auto opened = Writer::open(config_);
    if (!opened && opened.error().code != ErrorCode::kNoSpace) {
      return wrong("open, torn and full, names another: " + opened.error().message);
    }
    std::printf("  %s: torn and full: %s\n", name_.c_str(),
                opened ? "opens" : opened.error().message.c_str());
    if (opened) (void)(*opened)->close();
    if (std::filesystem::exists(last) && std::filesystem::file_size(last) < size) {
      return wrong("a sealed segment was cut");
    }
    std::filesystem::remove(mounted_ + "/rest");
    auto again = Writer::open(config_);
    if (!again) return wrong("open, with space at last: " + again.error().message);
    if ((*again)->recovery().last_sequence < durable_) return wrong("recovery lost records");
    if (const auto closed = (*again)->close(); !closed) return wrong(closed.error().message);
    const auto verified = verify(config_.directory);
    return check_log(durable_) && (verified->ok || wrong("verify, at last"));
  }

  [[nodiscard]] std::string last_segment() const {
    std::string last;
    for (const auto& entry : std::filesystem::directory_iterator(config_.directory)) {
      if (entry.path().extension() == ".segment") last = std::max(last, entry.path().string());
    }
    return last;
  }
  [[nodiscard]] std::string next_segment_name() const {
    const auto number =
        std::strtoull(std::filesystem::path(last_segment()).stem().c_str(), nullptr, 10) + 1;
    const std::string digits = std::to_string(number);
    return std::string(12 - digits.size(), '0') + digits + ".segment";
  }

  Campaign& campaign_;
  const std::string name_;
  const std::string mounted_;
  const LogConfig config_;
  History history_;
  std::uint64_t durable_ = 0;
};

int run(Campaign& campaign) {
  if (!own_mounts()) {
    std::printf("skipped: no mount namespace of our own (%s)\n", std::strerror(errno));
    return kSkipped;
  }
  const CampaignFolder folder("full_disk", CampaignFolder::Place::kDisk);
  std::uint64_t stories = 0;
  for (const bool pipelined : {true, false}) {
    for (const bool memory : {true, false}) {
      const std::string at = folder / ("mounted" + std::to_string(stories));
      std::filesystem::create_directories(at);
      const bool mounted = memory ? mount_memory(at) : mount_ext4(at, at + ".image");
      const std::string name =
          std::string(memory ? "tmpfs" : "ext4") + (pipelined ? ", pipelined" : ", one thread");
      if (!mounted) {
        std::printf("  %s: cannot be mounted here\n", name.c_str());
        continue;
      }
      ++stories;
      const Integrity integrity = pipelined ? Integrity::kSha256 : Integrity::kCrc32c;
      FullDisk(campaign, name, at, config_for(at, pipelined, integrity)).run();
      (void)::umount2(at.c_str(), MNT_DETACH);
    }
  }
  return stories == 0 ? kSkipped : campaign.finish(stories, "file systems");
}

}  // namespace
}  // namespace grace::ledger

int main(int argc, char** argv) {
  using namespace grace::ledger;
  Campaign campaign("ledger_full_disk", argc, argv, 1);
  if (!campaign.knows_only({})) return 2;
  return run(campaign);
}
