// Is there a bit in a log whose flip nobody sees? Makes a log of 1 MiB in small segments, the last
// one without its seal, and flips every bit on its own: 8.4 million. Most are checked on the
// segment in memory; flips in segment headers also through verify() on a directory with that
// segment and the next, and a sample of all through verify() on the whole directory.
//
//   ledger_bit_flips --jobs 2          every bit
//     --count N    so many random ones instead
//     --seed S     the log's sizes and the sample
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <map>
#include <thread>

#include "campaign.h"

namespace grace::ledger {
namespace {

constexpr std::uint64_t kLogBytes = 1 << 20;
constexpr std::uint64_t kEveryBit = kLogBytes * 8;
constexpr std::uint64_t kKey = 1;
// One flip in so many is checked on the whole directory.
constexpr std::uint64_t kWholeEvery = 1009;

using Bytes = std::vector<std::byte>;

LogConfig config_for(const std::string& directory) {
  LogConfig config;
  config.directory = directory;
  config.segment_bytes = 32 << 10;
  config.block_bytes = 7000;
  config.record_bytes_max = 3000;
  config.ring_bytes = 16 << 10;
  config.commit_interval = std::chrono::hours(1);  // blocks close when they are full or asked to
  config.idle_wait_max = std::chrono::microseconds(500);
  return config;
}

std::string name_of(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(12 - digits.size(), '0') + digits + ".segment";
}

Bytes load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  Bytes bytes(text.size());
  if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

// The segments as a killed writer leaves them: all but the last sealed.
std::map<std::uint64_t, Bytes> make_log(const std::string& directory, Random& random) {
  auto writer = std::move(*Writer::open(config_for(directory)));
  Producer producer = *writer->producer();
  std::map<std::uint64_t, Bytes> segments;
  std::uint64_t sequence = 0;
  for (std::uint64_t bytes = 0; bytes < kLogBytes;) {
    for (std::uint64_t i = random.between(1, 30); i > 0; --i) {
      const std::string text = record_text(kKey, ++sequence, random.between(40, 3000));
      (void)producer.append_or_wait(RecordType::kNote, as_bytes(text));
    }
    (void)writer->flush();
    bytes = 0;
    segments.clear();
    for (std::uint64_t number = 1;; ++number) {
      Bytes segment = load(directory + "/" + name_of(number));
      if (segment.empty()) break;
      bytes += segment.size();
      segments[number] = std::move(segment);
    }
  }
  producer = Producer();
  return segments;
}

void flip(Bytes& bytes, std::uint64_t bit) {
  bytes[bit / 8] ^= std::byte{1} << (bit % 8);
}

// A file in a directory of its own, for flips through the file system.
class FlippedDirectory {
 public:
  FlippedDirectory(std::string directory, const std::map<std::uint64_t, Bytes>& segments)
      : directory_(std::move(directory)), segments_(segments) {
    std::filesystem::create_directories(directory_);
  }
  ~FlippedDirectory() { leave(); }
  // Holds these segments from now on.
  void hold(std::uint64_t first, std::uint64_t last) {
    if (first == first_ && last == last_) return;
    leave();
    first_ = first;
    last_ = last;
    for (std::uint64_t number = first; number <= last; ++number) {
      const std::string path = directory_ + "/" + name_of(number);
      const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
      const Bytes& bytes = segments_.at(number);
      (void)!::pwrite(fd, bytes.data(), bytes.size(), 0);
      files_[number] = fd;
    }
  }
  // Whether verify() sees the flip.
  [[nodiscard]] bool is_seen(std::uint64_t segment, std::uint64_t bit) {
    const int fd = files_.at(segment);
    const auto at = static_cast<off_t>(bit / 8);
    const std::byte good = segments_.at(segment)[bit / 8];
    const std::byte bad = good ^ (std::byte{1} << (bit % 8));
    (void)!::pwrite(fd, &bad, 1, at);
    const auto report = verify(directory_);
    (void)!::pwrite(fd, &good, 1, at);
    return report.has_value() && !report->ok;
  }
  [[nodiscard]] bool is_sound() const {
    const auto report = verify(directory_);
    return report.has_value() && report->ok;
  }

 private:
  void leave() {
    for (const auto& [number, fd] : files_) {
      ::close(fd);
      std::filesystem::remove(directory_ + "/" + name_of(number));
    }
    files_.clear();
  }
  const std::string directory_;
  const std::map<std::uint64_t, Bytes>& segments_;
  std::map<std::uint64_t, int> files_;
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
};

struct Totals {
  std::atomic<std::uint64_t> flips{0};
  std::atomic<std::uint64_t> in_headers{0};
  std::atomic<std::uint64_t> on_whole{0};
};

class Flipper {
 public:
  Flipper(Campaign& campaign, const std::map<std::uint64_t, Bytes>& segments, Totals& totals,
          const std::string& directory)
      : campaign_(campaign),
        segments_(segments),
        totals_(totals),
        pair_(directory + "_pair", segments),
        whole_(directory + "_whole", segments) {
    whole_.hold(1, segments.rbegin()->first);
    if (!whole_.is_sound()) campaign_.fail("no flip", "the log does not verify");
  }

  void check(std::uint64_t segment, std::uint64_t bit) {
    if (segment != segment_) {
      segment_ = segment;
      bytes_ = segments_.at(segment);
    }
    flip(bytes_, bit);
    bool seen = !verify_segment_bytes(bytes_).ok;
    flip(bytes_, bit);
    if (bit / 8 < kFirstBlockOffset) {
      pair_.hold(segment, std::min(segment + 1, segments_.rbegin()->first));
      seen = seen && pair_.is_seen(segment, bit);
      // Relaxed, all three: statistics.
      totals_.in_headers.fetch_add(1, std::memory_order_relaxed);
    }
    const std::uint64_t flips = totals_.flips.fetch_add(1, std::memory_order_relaxed) + 1;
    if (flips % kWholeEvery == 0) {
      seen = seen && whole_.is_seen(segment, bit);
      totals_.on_whole.fetch_add(1, std::memory_order_relaxed);
    }
    if (flips % 256 == 0) campaign_.progress(flips);
    if (seen) return;
    campaign_.fail("segment " + std::to_string(segment) + " byte " + std::to_string(bit / 8) +
                       " bit " + std::to_string(bit % 8),
                   "nobody sees the flip");
  }

 private:
  Campaign& campaign_;
  const std::map<std::uint64_t, Bytes>& segments_;
  Totals& totals_;
  FlippedDirectory pair_;
  FlippedDirectory whole_;
  std::uint64_t segment_ = 0;
  Bytes bytes_;
};

std::uint64_t run(Campaign& campaign) {
  const CampaignFolder folder("bit_flips");
  Random random(campaign.seed());
  const auto segments = make_log(folder / "log", random);
  std::uint64_t bits = 0;
  for (const auto& [number, bytes] : segments) bits += bytes.size() * 8;
  const bool every = campaign.count() >= kEveryBit;
  std::printf("  %zu segments, %llu bits, %s\n", segments.size(),
              static_cast<unsigned long long>(bits), every ? "every one" : "random ones");
  Totals totals;
  const std::uint64_t jobs = std::max(1U, campaign.jobs());
  const auto work = [&](std::uint64_t job) {
    Flipper flipper(campaign, segments, totals, folder / ("job" + std::to_string(job)));
    // Relaxed: only decides when to stop.
    const auto more = [&] {
      return campaign.more(every ? 0 : totals.flips.load(std::memory_order_relaxed));
    };
    if (every) {
      for (const auto& [number, bytes] : segments) {
        for (std::uint64_t bit = job; bit < bytes.size() * 8 && more(); bit += jobs) {
          flipper.check(number, bit);
        }
      }
      return;
    }
    Random picks(campaign.seed() * 64 + job + 1);
    while (more()) {
      // Some of one segment together: copying it is dearer than a check.
      const std::uint64_t number = 1 + picks.below(segments.size());
      for (int i = 0; i < 200 && more(); ++i) {
        flipper.check(number, picks.below(segments.at(number).size() * 8));
      }
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t job = 0; job < jobs; ++job) threads.emplace_back(work, job);
  for (std::thread& thread : threads) thread.join();
  // Relaxed: the threads have ended.
  std::printf("  %llu of them in segment headers, %llu also on the whole directory\n",
              static_cast<unsigned long long>(totals.in_headers.load(std::memory_order_relaxed)),
              static_cast<unsigned long long>(totals.on_whole.load(std::memory_order_relaxed)));
  return totals.flips.load(std::memory_order_relaxed);
}

}  // namespace
}  // namespace grace::ledger

int main(int argc, char** argv) {
  using namespace grace::ledger;
  Campaign campaign("ledger_bit_flips", argc, argv, kEveryBit);
  if (!campaign.knows_only({})) return 2;
  const std::uint64_t done = run(campaign);
  return campaign.finish(done, "flips");
}
