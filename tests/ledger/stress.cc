// Does the writer keep its promises when everything happens at once, and is it free of data races?
// Producers of both importances on rings, blocks and buffers as small as they can be, with handles
// given back and leased again; meanwhile others flush, wait, look at every figure and close, and
// syncs are held, fail, or fail for good. Then the log is read: what was accepted is there once, in
// order for each producer, and what was reported durable is there even if the writer failed.
//
//   ledger_stress --count 1000000 --seconds 120     rounds, each with a log of its own
//     --seed S   the configurations; the same interleaving does not come back exactly
// Meant for ThreadSanitizer: cmake --preset tsan && cmake --build --preset tsan -t ledger_stress
#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "campaign.h"
#include "faulty_file_system.h"
#include "grace/ledger/signed_note.h"

namespace grace::ledger {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint64_t kRecordBytesMax = 200;
constexpr std::uint64_t kUsersMax = 5;
constexpr std::uint64_t kHandlesMax = 3;  // of a user, one after the other

// What ails the disk in a round.
enum class Ailment : std::uint8_t {
  kNone,
  kSyncsFailNowAndThen,  // and succeed between: the writer must survive all of it
  kSyncsFailForGood,
  kNoSpaceForAWhile,  // the writer may survive it
};

struct Figures {
  std::uint64_t records = 0;
  std::uint64_t fail_overs = 0;
  std::uint64_t failed_writers = 0;
  std::uint64_t refused = 0;
};

// One producer handle's story; a handle that is given back is not the same as the next.
struct Story {
  std::uint64_t accepted = 0;
  std::uint64_t durable = 0;  // reported so
};

void nap(Random& random, std::uint64_t us_max) {
  std::this_thread::sleep_for(microseconds(random.below(us_max)));
}

class Round {
 public:
  Round(Campaign& campaign, const NoteSigner& signer, std::string directory, std::uint64_t number,
        Figures& figures)
      : campaign_(campaign),
        random_(campaign.seed() * 1'000'003 + number),
        number_(number),
        figures_(figures) {
    config_.directory = std::move(directory);
    draw(signer);
  }

  void run() {
    auto opened = Writer::open(config_);
    if (!opened) return fail("open: " + opened.error().message);
    writer_ = std::move(*opened);
    const std::uint64_t users = random_.between(2, kUsersMax);
    stories_.resize(users * kHandlesMax);
    appending_ = users;
    std::vector<std::thread> threads;
    for (std::uint64_t user = 0; user < users; ++user) {
      threads.emplace_back([this, user, seed = random_.next()] { use(user, seed); });
    }
    threads.emplace_back([this, seed = random_.next()] { flush(seed); });
    threads.emplace_back([this, seed = random_.next()] { watch(seed); });
    std::thread disturber([this, seed = random_.next()] { disturb(seed); });
    // Producers must not append during close(); everything else may go on.
    while (appending_.load(std::memory_order_acquire) > 0) nap(random_, 300);
    std::thread second([this] { (void)writer_->close(); });
    const Result<void> closed = writer_->close();
    second.join();
    closed_.store(true, std::memory_order_release);
    for (std::thread& thread : threads) thread.join();
    disturber.join();
    const Result<void> health = writer_->health();
    figures_.fail_overs += writer_->stats().fail_overs;
    const std::uint64_t written = writer_->written_sequence();
    const std::uint64_t durable = writer_->durable_sequence();
    if (closed && config_.sync == SyncMode::kGroup && written != durable) {
      fail("closed, written " + std::to_string(written) + ", durable " + std::to_string(durable));
    }
    writer_.reset();
    judge(closed, health);
  }

 private:
  void draw(const NoteSigner& signer) {
    config_.integrity = random_.one_of({Integrity::kSha256, Integrity::kCrc32c});
    config_.sync = random_.chance(85) ? SyncMode::kGroup : SyncMode::kNone;
    config_.pipelined = random_.chance(60);
    config_.record_bytes_max = kRecordBytesMax;
    config_.block_bytes = random_.one_of<std::uint64_t>({1, 300, 4000});
    config_.ring_bytes = random_.one_of<std::uint64_t>({512, 1024, 4096});
    config_.in_place_bytes_min = random_.one_of<std::uint64_t>({0, 40, 1 << 20});
    config_.segment_bytes = random_.one_of<std::uint64_t>({20 << 10, 32 << 10, 64 << 10});
    // Two blocks, the least there may be, or a few.
    config_.unsynced_bytes_max = random_.one_of<std::uint64_t>({16 << 10, 40 << 10});
    config_.commit_interval = microseconds(random_.one_of({0, 50, 1000}));
    config_.idle_wait_max = microseconds(random_.one_of({50, 500, 4000}));
    config_.segments_ahead = random_.one_of<std::uint32_t>({1, 2});
    config_.producers_max = kUsersMax;
    config_.reserve = random_.chance(30);
    config_.file_system = &fs_;
    if (config_.integrity == Integrity::kSha256) {
      config_.record_trees = random_.chance(30);
      if (random_.chance(30)) config_.checkpoint.signer = &signer;
      config_.checkpoint.interval = milliseconds(2);
    }
    const std::uint64_t drawn = random_.below(100);
    if (drawn < 40 && config_.sync == SyncMode::kGroup) {
      ailment_ = drawn < 30 ? Ailment::kSyncsFailNowAndThen : Ailment::kSyncsFailForGood;
    } else if (drawn >= 90) {
      ailment_ = Ailment::kNoSpaceForAWhile;
    }
  }

  // A slot is not leased to both importances, so an importance is a user's for good.
  static Importance importance_of(std::uint64_t user) {
    return user % 2 == 0 ? Importance::kEssential : Importance::kExpendable;
  }

  void use(std::uint64_t user, std::uint64_t seed) {
    Random random(seed);
    std::optional<Producer> producer;
    const std::uint64_t handles = random.between(1, kHandlesMax);
    for (std::uint64_t handle = 0; handle < handles; ++handle) {
      producer.reset();
      if (auto given = writer_->producer(importance_of(user))) {
        producer = std::move(*given);
      } else {
        fail("producer: " + given.error().message);
        break;
      }
      story_ = user * kHandlesMax + handle;
      append(*producer, random);
    }
    // Release: the appends come before the close() of whoever sees that nobody appends.
    appending_.fetch_sub(1, std::memory_order_release);
    if (producer) wait_durable(*producer, milliseconds(20));
  }

  void append(Producer& producer, Random& random) {
    Story& story = stories_[story_];
    const std::uint64_t records = random.between(1, 120);
    for (std::uint64_t index = 0; index < records; ++index) {
      const std::string text = record_text(story_ + 1, index, kRecordBytesMax);
      const std::size_t head = random.below(text.size() + 1);
      const auto bytes = as_bytes(text);
      AppendStatus status = AppendStatus::kFull;
      while (status == AppendStatus::kFull) {
        status = random.chance(50) ? producer.try_append(RecordType::kNote, bytes.first(head),
                                                         bytes.subspan(head))
                                   : producer.append_or_wait(RecordType::kNote, bytes);
        if (status == AppendStatus::kFull) nap(random, 100);
      }
      if (status == AppendStatus::kFailed || status == AppendStatus::kNoSpace) {
        // Relaxed: a statistic.
        refused_.fetch_add(1, std::memory_order_relaxed);
        break;
      }
      if (status != AppendStatus::kOk) fail("append: " + std::string(to_string(status)));
      ++story.accepted;
      if (random.chance(3)) wait_durable(producer, milliseconds(random.one_of({0, 1, 20})));
      if (random.chance(3)) nap(random, 300);
    }
  }

  void wait_durable(Producer& producer, milliseconds timeout) {
    Story& story = stories_[story_];
    const std::uint64_t position = producer.position();
    const auto waited = producer.wait_durable(position, timeout);
    const bool group = config_.sync == SyncMode::kGroup;
    const bool is_safe = group ? producer.is_durable(position) : producer.is_written(position);
    if (waited && !is_safe) fail("wait_durable() returned before the records were durable");
    if (is_safe) story.durable = story.accepted;
    if (!waited && waited.error().code != ErrorCode::kTimeout && may_survive_all()) {
      fail("wait_durable: " + waited.error().message);
    }
  }

  void flush(std::uint64_t seed) {
    Random random(seed);
    while (!closed_.load(std::memory_order_acquire)) {
      const auto flushed = writer_->flush(milliseconds(random.one_of({0, 1, 50})));
      if (flushed && *flushed > safe_sequence()) fail("flush() told more than is durable");
      if (!flushed && flushed.error().code != ErrorCode::kTimeout && may_survive_all()) {
        fail("flush: " + flushed.error().message);
      }
      nap(random, 500);
    }
  }

  void watch(std::uint64_t seed) {
    Random random(seed);
    std::uint64_t written_seen = 0;
    std::uint64_t durable_seen = 0;
    std::uint64_t records_seen = 0;
    while (!closed_.load(std::memory_order_acquire)) {
      // In this order: what is durable by now was written before.
      const std::uint64_t durable = writer_->durable_sequence();
      const std::uint64_t written = writer_->written_sequence();
      const WriterStats stats = writer_->stats();
      if (durable < durable_seen || written < written_seen || stats.records < records_seen) {
        fail("a figure went back");
      }
      if (durable > written) {
        fail("durable " + std::to_string(durable) + ", written " + std::to_string(written));
      }
      if (stats.records < written) fail("written before it was counted");
      written_seen = written;
      durable_seen = durable;
      records_seen = stats.records;
      (void)writer_->health();
      (void)writer_->last_fail_over();
      (void)writer_->checkpoint_health();
      if (writer_->signed_sequence() > safe_sequence()) fail("signed more than is safe");
      (void)writer_->witnessed_sequence();
      nap(random, 200);
    }
  }

  // Holds syncs back and makes them fail. Never leaves them held.
  void disturb(std::uint64_t seed) {
    Random random(seed);
    std::uint64_t syncs_before = 0;
    bool injected = false;
    while (!closed_.load(std::memory_order_acquire)) {
      nap(random, 1500);
      if (random.chance(30)) {
        fs_.hold_syncs(true);
        nap(random, 2000);
        fs_.hold_syncs(false);
      }
      if (ailment_ == Ailment::kSyncsFailForGood && random.chance(10)) {
        fs_.sync_errors_left = -1;
        fs_.sync_error = EIO;
      }
      if (ailment_ == Ailment::kNoSpaceForAWhile && random.chance(20)) {
        fs_.allocate_error = ENOSPC;
        nap(random, 3000);
        fs_.allocate_error = 0;
      }
      if (ailment_ != Ailment::kSyncsFailNowAndThen || fs_.sync_error != 0) continue;
      // The last one has failed. The next only fails after another has succeeded.
      const std::uint64_t syncs = writer_->stats().syncs;
      if (injected) {
        injected = false;
        syncs_before = syncs;
      } else if (syncs > syncs_before) {
        fs_.sync_errors_left = 1;
        fs_.sync_error = EIO;
        injected = true;
      }
    }
  }

  void judge(const Result<void>& closed, const Result<void>& health) {
    if (!closed) {
      figures_.failed_writers += 1;
      if (may_survive_all()) return fail("close: " + closed.error().message);
    }
    figures_.refused += refused_.load(std::memory_order_relaxed);
    const bool sealed = closed.has_value() && health.has_value();
    // As the next start of the program would: what is torn is cut.
    config_.file_system = nullptr;
    if (auto again = Writer::open(config_); !again) {
      return fail("open again: " + again.error().message);
    } else if (sealed && !(*again)->recovery().clean) {
      return fail("close() said all is well, but the log was not clean");
    }
    read(closed.has_value());
    const auto verified = verify(config_.directory);
    if (!verified) return fail("verify: " + verified.error().message);
    if (!verified->ok) {
      fail("verify: " + (verified->first_fault ? verified->first_fault->reason : "torn"));
    }
  }

  void read(bool all) {
    auto reader = Reader::open(config_.directory, {});
    if (!reader) return fail("read: " + reader.error().message);
    std::vector<std::uint64_t> next(stories_.size(), 0);
    RecordView record;
    ReadStatus status = ReadStatus::kRecord;
    std::uint64_t sequence = 0;
    while ((status = reader->next(record)) == ReadStatus::kRecord) {
      if (record.sequence != ++sequence) return fail("a sequence is missing");
      if (record.type == RecordType::kRecovery) continue;
      std::uint64_t key = 0;
      const std::string_view text = record.text();
      std::from_chars(text.data(), text.data() + text.size(), key);
      if (key == 0 || key > stories_.size()) return fail("a record that nobody appended");
      std::uint64_t& index = next[key - 1];
      if (text != record_text(key, index, kRecordBytesMax)) {
        return fail("of handle " + std::to_string(key) + " record " + std::to_string(index) +
                    " is missing, double, out of order or torn");
      }
      ++index;
    }
    if (status != ReadStatus::kEnd) return fail("read: " + reader->error().message);
    for (std::size_t at = 0; at < stories_.size(); ++at) {
      const Story& story = stories_[at];
      figures_.records += next[at];
      if (next[at] > story.accepted || next[at] < (all ? story.accepted : story.durable)) {
        fail("of handle " + std::to_string(at + 1) + " there are " + std::to_string(next[at]) +
             " records, accepted " + std::to_string(story.accepted) + ", durable " +
             std::to_string(story.durable));
      }
    }
  }

  [[nodiscard]] std::uint64_t safe_sequence() const {
    return config_.sync == SyncMode::kNone ? writer_->written_sequence()
                                           : writer_->durable_sequence();
  }
  [[nodiscard]] bool may_survive_all() const {
    return ailment_ == Ailment::kNone || ailment_ == Ailment::kSyncsFailNowAndThen;
  }
  void fail(const std::string& what) { campaign_.fail("round " + std::to_string(number_), what); }

  Campaign& campaign_;
  Random random_;
  const std::uint64_t number_;
  Figures& figures_;
  FaultyFileSystem fs_;
  LogConfig config_;
  Ailment ailment_ = Ailment::kNone;
  std::unique_ptr<Writer> writer_;
  std::vector<Story> stories_;  // by handle; each its user's until that thread is joined
  static thread_local std::uint64_t story_;  // which of them is this thread's
  std::atomic<std::uint64_t> appending_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<bool> closed_{false};
};

thread_local std::uint64_t Round::story_ = 0;

std::uint64_t run(Campaign& campaign) {
  const CampaignFolder folder("stress");
  const auto signer = NoteSigner::generate("example.com/stress");
  if (!signer) {
    campaign.fail("signer", signer.error().message);
    return 0;
  }
  Figures figures;
  std::uint64_t done = 0;
  while (campaign.more(done) && campaign.failures() == 0) {
    const std::string directory = folder / ("log" + std::to_string(done));
    Round(campaign, *signer, directory, done, figures).run();
    std::filesystem::remove_all(directory);
    campaign.progress(++done);
  }
  std::printf(
      "  records read back %llu, fail-overs %llu, writers that failed %llu, refusals %llu\n",
      static_cast<unsigned long long>(figures.records),
      static_cast<unsigned long long>(figures.fail_overs),
      static_cast<unsigned long long>(figures.failed_writers),
      static_cast<unsigned long long>(figures.refused));
  return done;
}

}  // namespace
}  // namespace grace::ledger

int main(int argc, char** argv) {
  using namespace grace::ledger;
  Campaign campaign("ledger_stress", argc, argv, 300);
  if (!campaign.knows_only({})) return 2;
  const std::uint64_t done = run(campaign);
  return campaign.finish(done, "rounds");
}
