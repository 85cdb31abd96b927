// How does a log come out of a loss of power? Writes logs over a simulated disk (crash_storage.h),
// and from each moment makes many states that such a disk may come back in: unsynced sectors old,
// new or of an earlier version, unsynced names and sizes kept or lost. Opens each and checks that
// all that was acknowledged is there, that nothing torn is taken for a record, and that the log can
// be continued.
//
//   ledger_crash_states --count 1000000          states to make
//     --seed S    the workloads and the choices. Threads run freely, so a moment does not come back
//                 exactly: a state that fails is kept in a folder, which --open FOLDER tries again
//     --open FOLDER     that one state only; the folder is copied first
//     --tear-sectors    mix old and new bytes within a sector, too
//     --ordered-names   names are lost from the newest on only, as in a journalling file system
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "campaign.h"
#include "crash_storage.h"

namespace grace::ledger {
namespace {

constexpr std::uint64_t kStatesPerSnapshot = 16;
constexpr std::uint64_t kSessionsPerLog = 3;
// One state in so many is verified, continued and verified again.
constexpr std::uint64_t kThoroughEvery = 16;

LogConfig draw_config(Random& random) {
  LogConfig config;
  config.integrity = random.one_of({Integrity::kSha256, Integrity::kCrc32c});
  config.record_bytes_max = random.one_of<std::uint64_t>({600, 1000, 3000});
  config.block_bytes = random.one_of<std::uint64_t>({256, 1500, 6000});
  config.segment_bytes = random.one_of<std::uint64_t>({16 << 10, 20 << 10, 32 << 10});
  config.ring_bytes = 16 << 10;
  config.in_place_bytes_min = random.one_of<std::uint64_t>({0, 200, 1 << 20});
  config.commit_interval = std::chrono::microseconds(random.one_of({0, 100, 1000}));
  config.idle_wait_max = std::chrono::microseconds(500);
  config.segments_ahead = random.one_of<std::uint32_t>({1, 2});
  config.unsynced_bytes_max = 2 * (config.block_bytes + config.record_bytes_max) + (32 << 10);
  config.pipelined = random.chance(70);
  config.reserve = random.chance(30);
  // Then no tree file may outlive what it speaks of: verify would say so.
  config.hash_sealed = config.integrity == Integrity::kCrc32c && random.chance(75);
  config.checkpoint.interval = std::chrono::milliseconds(1);
  return config;
}

// What a check of one state found.
struct Outcome {
  std::string failure;  // empty: none
  History left;         // by recovery, its own record too
};

// Before recovery, verify calls two things faults that a crash may leave: one torn copy of a
// segment header, and a name that outlived the one before it.
bool is_of_a_crash(const VerifyReport& report) {
  const std::string& reason = report.first_fault->reason;
  return reason.ends_with("(the other copy is intact)") || reason == "segment is missing";
}

// What a verifier and a reader make of it before any writer has recovered the log. The reader may
// stop with an error at the torn place, but not before the last acknowledged record.
std::string check_before(const std::string& directory, const History& history,
                         std::uint64_t acknowledged) {
  const auto before = verify(directory);
  if (before && before->fault_count > 0 && !is_of_a_crash(*before)) {
    return "verify, before: " + before->first_fault->reason;
  }
  std::uint64_t records = 0;
  const std::string different = compare_log(directory, history, records);
  if (different.starts_with("record ")) return "before recovery " + different;
  if (records < acknowledged) {
    return "before recovery " + std::to_string(records) + " of " + std::to_string(acknowledged) +
           " acknowledged records can be read: " + different;
  }
  return {};
}

Outcome check_state(LogConfig config, const History& history, std::uint64_t acknowledged,
                    bool thorough) {
  Outcome outcome;
  if (thorough) outcome.failure = check_before(config.directory, history, acknowledged);
  if (!outcome.failure.empty()) return outcome;
  auto opened = Writer::open(config);
  if (!opened) {
    outcome.failure = "open: " + opened.error().message;
    return outcome;
  }
  Writer& writer = **opened;
  const std::uint64_t last_sequence = writer.recovery().last_sequence;
  if (last_sequence < acknowledged) {
    outcome.failure = "acknowledged " + std::to_string(acknowledged) + ", there are " +
                      std::to_string(last_sequence);
    return outcome;
  }
  History all = history;
  all.keys.resize(last_sequence, History::kRecovery);
  Producer producer = *writer.producer();
  if (producer.next_sequence() > last_sequence + 1) all.keys.push_back(History::kRecovery);
  outcome.left = all;
  if (thorough) {
    for (int i = 0; i < 3; ++i) {
      all.keys.push_back(1'000'000);
      (void)producer.append_or_wait(RecordType::kNote, as_bytes(all.text(all.keys.size())));
    }
  }
  producer = Producer();
  if (const auto closed = writer.close(); !closed) {
    outcome.failure = "close: " + closed.error().message;
    return outcome;
  }
  std::uint64_t records = 0;
  outcome.failure = compare_log(config.directory, all, records);
  if (!outcome.failure.empty()) return outcome;
  if (records != all.keys.size()) {
    outcome.failure =
        std::to_string(records) + " records instead of " + std::to_string(all.keys.size());
  } else if (thorough) {
    const auto after = verify(config.directory);
    if (!after || !after->ok) {
      outcome.failure = "verify, after: " + (!after               ? after.error().message
                                             : after->first_fault ? after->first_fault->reason
                                                                  : "torn tail");
    }
  }
  return outcome;
}

// The folder's name ends with what was acknowledged, as keep() below makes it.
int open_kept(Campaign& campaign, const std::string& kept) {
  const CampaignFolder folder("crash_state");
  LogConfig config;
  config.directory = folder / "state";
  config.segment_bytes = 32 << 10;
  config.record_bytes_max = 3000;
  if (const auto stats = log_stats(kept)) config.integrity = stats->integrity;
  std::filesystem::copy(kept, config.directory, std::filesystem::copy_options::recursive);
  const auto mark = kept.rfind('_');
  const auto acknowledged = std::strtoull(kept.c_str() + mark + 1, nullptr, 10);
  // The history is not known: contents are compared with nothing.
  const auto opened = Writer::open(config);
  if (!opened) {
    campaign.fail(kept, "open: " + opened.error().message);
  } else if ((*opened)->recovery().last_sequence < acknowledged) {
    campaign.fail(kept, "acknowledged records are gone");
  } else if (const auto closed = (*opened)->close(); !closed) {
    campaign.fail(kept, "close: " + closed.error().message);
  } else if (const auto after = verify(config.directory); after && !after->ok) {
    campaign.fail(kept, "verify: " + (after->first_fault ? after->first_fault->reason : "torn"));
  }
  return campaign.finish(1, "kept state");
}

class CrashStates {
 public:
  explicit CrashStates(Campaign& campaign)
      : campaign_(campaign),
        random_(campaign.seed()),
        folder_("crash_states"),
        live_(folder_ / "live"),
        state_(folder_ / "state") {
    choices_.tear_sectors = campaign.has("--tear-sectors");
    choices_.ordered_names = campaign.has("--ordered-names");
  }

  std::uint64_t run() {
    for (log_ = 0; campaign_.more(done_); ++log_) {
      config_ = draw_config(random_);
      history_ = History{};
      history_.bytes_max = config_.record_bytes_max;
      given_up_ = History{};
      acknowledged_ = 0;
      killed_ = false;
      std::filesystem::remove_all(live_);
      for (session_ = 0; session_ < kSessionsPerLog && campaign_.more(done_); ++session_) {
        if (!run_session()) break;
      }
    }
    std::printf("logs %llu, snapshots %llu, fail-overs %llu\n",
                static_cast<unsigned long long>(log_), static_cast<unsigned long long>(snapshots_),
                static_cast<unsigned long long>(fail_overs_));
    return done_;
  }

 private:
  // One writer's life, then the states it could have left. True: the log goes on from one of them.
  bool run_session() {
    CrashStorage storage(live_, acknowledged_, random_.next(), killed_ ? &kill_ : nullptr);
    if (!write(storage)) return false;
    snapshots_ += storage.snapshots().size();
    const std::size_t chosen = random_.below(storage.snapshots().size());
    CrashState next;
    Outcome next_outcome;
    for (std::size_t index = 0; index < storage.snapshots().size(); ++index) {
      const CrashSnapshot& at = storage.snapshots()[index];
      const std::uint64_t states = is_settled(at) ? 1 : kStatesPerSnapshot;
      for (std::uint64_t number = 0; number < states && campaign_.more(done_); ++number) {
        const CrashState state = storage.crash(index, choices_, random_);
        const bool last = index == chosen && number + 1 == states;
        const Outcome outcome = check(state, at.acknowledged, index, number);
        if (!outcome.failure.empty()) return false;
        if (last) {
          next = state;
          next_outcome = outcome;
        }
      }
    }
    return go_on(storage, chosen, std::move(next), next_outcome);
  }

  // The next session finds what a loss of power at `chosen` left, or what a kill left: then its
  // recovery builds on bytes that a loss of power can still take away.
  bool go_on(const CrashStorage& storage, std::size_t chosen, CrashState next, Outcome outcome) {
    killed_ = random_.chance(50);
    if (killed_) {
      kill_ = storage.snapshots()[chosen];
      next = storage.kill(chosen);
      outcome = check(next, kill_.acknowledged, chosen, 0);
      if (!outcome.failure.empty()) return false;
    }
    acknowledged_ = storage.snapshots()[chosen].acknowledged;
    if (!killed_) given_up_ = History{};
    // Before that the killed writer had appended nothing: what the one before had given up stands.
    if (killed_ && chosen >= recovered_at_) given_up_ = history_;
    history_ = std::move(outcome.left);
    std::filesystem::remove_all(live_);
    write_state(next, live_);
    return true;
  }

  // Recovery of what the crash before left is part of it, and so is the clean close.
  bool write(CrashStorage& storage) {
    LogConfig config = config_;
    config.directory = live_;
    config.file_system = &storage;
    auto opened = Writer::open(config);
    if (!opened) {
      campaign_.fail(name(0, 0), "the live log does not open: " + opened.error().message);
      return false;
    }
    Writer& writer = **opened;
    recovered_at_ = storage.watch(&writer);
    Producer producer = *writer.producer();
    const std::uint64_t key = log_ * kSessionsPerLog + session_ + 1;
    const std::uint64_t rounds = random_.between(1, 8);
    for (std::uint64_t round = 0; round < rounds; ++round) {
      const std::uint64_t records = random_.between(1, 8);
      for (std::uint64_t i = 0; i < records; ++i) {
        history_.keys.push_back(key);
        const std::string text = history_.text(history_.keys.size());
        if (producer.append_or_wait(RecordType::kNote, as_bytes(text)) != AppendStatus::kOk) break;
        if (random_.chance(4)) storage.snapshot();
      }
      if (random_.chance(30)) (void)writer.flush();
      if (random_.chance(30)) {
        std::this_thread::sleep_for(std::chrono::microseconds(random_.below(300)));
      }
    }
    producer = Producer();
    const auto closed = writer.close();
    storage.snapshot();
    const bool all = writer.durable_sequence() == history_.keys.size();
    fail_overs_ += writer.stats().fail_overs;
    (void)storage.watch(nullptr);
    if (!closed || !all) {
      campaign_.fail(name(0, 0), "the live log did not close: " +
                                     (closed ? "not all is durable" : closed.error().message));
    }
    return closed.has_value() && all;
  }

  static bool is_settled(const CrashSnapshot& at) {
    bool settled = at.changes.empty();
    for (const auto& [inode, view] : at.files) settled = settled && view.present == view.durable;
    return settled;
  }

  Outcome check(const CrashState& state, std::uint64_t acknowledged, std::size_t snapshot,
                std::uint64_t number) {
    write_state(state, state_);
    LogConfig config = config_;
    config.directory = state_;
    const bool thorough = done_ % kThoroughEvery == 0;
    Outcome outcome = check_state(config, history_, acknowledged, thorough);
    if (!outcome.failure.empty() && snapshot < recovered_at_ && !given_up_.keys.empty()) {
      write_state(state, state_);
      Outcome older = check_state(config, given_up_, acknowledged, thorough);
      if (older.failure.empty()) outcome = std::move(older);
    }
    ++done_;
    campaign_.progress(done_);
    if (!outcome.failure.empty()) {
      const std::string kept = keep(state, acknowledged);
      campaign_.fail(name(snapshot, number) + ", files kept in " + kept, outcome.failure);
    }
    return outcome;
  }

  // The files as they were before anyone opened them.
  std::string keep(const CrashState& state, std::uint64_t acknowledged) const {
    const auto path =
        std::filesystem::temp_directory_path() /
        ("ledger_crash_state_" + std::to_string(campaign_.seed()) + "_" + std::to_string(log_) +
         "_" + std::to_string(done_) + "_acknowledged_" + std::to_string(acknowledged));
    if (campaign_.failures() < Campaign::kFailuresShown) write_state(state, path.string());
    return path.string();
  }

  [[nodiscard]] std::string name(std::size_t snapshot, std::uint64_t number) const {
    return "log " + std::to_string(log_) + " session " + std::to_string(session_) + " snapshot " +
           std::to_string(snapshot) + " state " + std::to_string(number);
  }

  Campaign& campaign_;
  Random random_;
  CampaignFolder folder_;
  const std::string live_;
  const std::string state_;
  CrashChoices choices_;
  LogConfig config_;
  History history_;
  // All that the writer before had appended, if it was killed. Records that its fail-over had given
  // up, and not yet written again, are still in the older segment: until recovery has made the name
  // of the newer one durable, a loss of power can take that and bring them back. From the snapshot
  // recovered_at_ on it can not.
  History given_up_;
  std::size_t recovered_at_ = 0;
  std::uint64_t acknowledged_ = 0;
  bool killed_ = false;  // then kill_ is the moment
  CrashSnapshot kill_;
  std::uint64_t log_ = 0;
  std::uint64_t session_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t snapshots_ = 0;
  std::uint64_t fail_overs_ = 0;
};

}  // namespace
}  // namespace grace::ledger

int main(int argc, char** argv) {
  using namespace grace::ledger;
  Campaign campaign("ledger_crash_states", argc, argv, 10'000);
  if (const std::string kept = campaign.value_of("--open"); !kept.empty()) {
    return open_kept(campaign, kept);
  }
  if (!campaign.knows_only({"--tear-sectors", "--ordered-names"})) return 2;
  const std::uint64_t done = CrashStates(campaign).run();
  return campaign.finish(done, "crash states");
}
