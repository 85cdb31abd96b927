// What does verify find when someone cuts, removes, doubles, swaps or replaces parts of a log?
// Makes each of many such changes and compares with what docs/ledger_format.md (section 10) says:
// found by verify; found only by who noted the root or the last sequence; or only by who knows the
// first segment. Prints a table of it.
//
//   ledger_cut_and_splice            every byte length of the last segment, all pairs of blocks
//     --every N    only each Nth byte length, and those next to the edge of a block
#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <map>

#include "campaign.h"

namespace grace::ledger {
namespace {

using Bytes = std::vector<char>;
using Log = std::map<std::uint64_t, Bytes>;  // by segment number

enum class Need {
  kVerify,        // verify must find it
  kRoot,          // it may take a note of the root and the last sequence
  kFirstSegment,  // it may take a note of the first segment
  kNothing,       // nothing was lost: verify must be content
};

struct Block {
  std::uint64_t segment;
  std::size_t begin;
  std::size_t end;
};

std::string name_of(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(12 - digits.size(), '0') + digits + ".segment";
}

void store(const std::string& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

Log load(const std::string& directory) {
  Log log;
  for (std::uint64_t number = 1;; ++number) {
    std::ifstream file(directory + "/" + name_of(number), std::ios::binary);
    if (!file) return log;
    log[number] = Bytes(std::istreambuf_iterator<char>(file), {});
  }
}

// Writes logs, and keeps what is on disk like the log that is looked at, a changed file at a time.
class Bench {
 public:
  Bench(Campaign& campaign, Integrity integrity)
      : campaign_(campaign), integrity_(integrity), folder_("cut_and_splice") {
    std::filesystem::create_directories(folder_ / "log");
    std::filesystem::create_directories(folder_ / "one");
  }

  // Appends to what is in `name` and closes; `open_image` gets the files as they were before that.
  Log write(const std::string& name, std::uint64_t key, int flushes, Log* open_image = nullptr) {
    LogConfig config;
    config.directory = folder_ / name;
    config.integrity = integrity_;
    config.segment_bytes = 32 << 10;
    config.record_bytes_max = 3000;
    config.block_bytes = 9000;
    config.ring_bytes = 16 << 10;
    config.commit_interval = std::chrono::hours(1);
    config.idle_wait_max = std::chrono::microseconds(500);
    auto writer = std::move(*Writer::open(config));
    Producer producer = *writer->producer();
    Random random(key);
    for (int i = 0; i < flushes; ++i) {
      for (std::uint64_t records = random.between(1, 8); records > 0; --records) {
        const std::string text = record_text(key, producer.next_sequence(), 2500);
        (void)producer.append_or_wait(RecordType::kNote, as_bytes(text));
      }
      (void)writer->flush();
    }
    if (open_image != nullptr) *open_image = load(config.directory);
    producer = Producer();
    (void)writer->close();
    return load(config.directory);
  }
  void copy(const std::string& from, const std::string& to) {
    std::filesystem::copy(folder_ / from, folder_ / to, std::filesystem::copy_options::recursive);
  }

  [[nodiscard]] Result<VerifyReport> look(const Log& log) {
    for (const auto& [number, bytes] : on_disk_) {
      if (log.count(number) == 0) std::filesystem::remove(folder_ / ("log/" + name_of(number)));
    }
    for (const auto& [number, bytes] : log) {
      const auto known = on_disk_.find(number);
      if (known != on_disk_.end() && known->second == bytes) continue;
      store(folder_ / ("log/" + name_of(number)), bytes);
    }
    on_disk_ = log;
    return verify(folder_ / "log");
  }

  // Where blocks lie, as verify() passes over them.
  std::vector<Block> blocks_of(const Log& log) {
    std::vector<Block> blocks;
    for (const auto& [number, bytes] : log) {
      const std::string path = folder_ / ("one/" + name_of(number));
      store(path, bytes);
      std::size_t begin = kFirstBlockOffset;
      (void)verify(folder_ / "one", [&](std::uint64_t done, std::uint64_t) {
        blocks.push_back({number, begin, static_cast<std::size_t>(done)});
        begin = static_cast<std::size_t>(done);
        return true;
      });
      std::filesystem::remove(path);
    }
    return blocks;
  }

  struct Row {
    std::uint64_t cases = 0;
    std::uint64_t by_verify = 0;
    std::uint64_t by_root = 0;
    std::uint64_t by_first_segment = 0;
    std::uint64_t nothing_lost = 0;
  };

  // One changed log. `noted` is what its owner wrote down when it was whole.
  void expect(const std::string& group, const std::string& name, const Log& log, Need need,
              const VerifyReport& noted) {
    const auto report = look(log);
    const bool by_verify = !report || !report->ok;
    const bool by_root = !by_verify && (report->root_hex != noted.root_hex ||
                                        report->last_sequence != noted.last_sequence);
    const bool by_first = !by_verify && !by_root && report->first_segment != noted.first_segment;
    Row& row = rows_[group];
    row.cases += 1;
    row.by_verify += by_verify ? 1 : 0;
    row.by_root += by_root ? 1 : 0;
    row.by_first_segment += by_first ? 1 : 0;
    row.nothing_lost += by_verify || by_root || by_first ? 0 : 1;
    ++done_;
    campaign_.progress(done_);
    bool good = by_verify;
    if (need == Need::kRoot) good = by_verify || by_root;
    if (need == Need::kFirstSegment) good = by_verify || by_root || by_first;
    if (need == Need::kNothing) good = !by_verify && !by_root && report->records == noted.records;
    if (good) return;
    campaign_.fail(group + ": " + name, need == Need::kNothing ? "a fault where nothing is lost"
                                        : by_root || by_first  ? "verify does not find it"
                                                               : "nobody finds it");
  }

  void print() const {
    std::printf("  %-44s %8s %8s %8s %8s %8s\n", "", "cases", "verify", "root", "first", "no loss");
    for (const auto& [group, row] : rows_) {
      std::printf("  %-44s %8llu %8llu %8llu %8llu %8llu\n", group.c_str(),
                  static_cast<unsigned long long>(row.cases),
                  static_cast<unsigned long long>(row.by_verify),
                  static_cast<unsigned long long>(row.by_root),
                  static_cast<unsigned long long>(row.by_first_segment),
                  static_cast<unsigned long long>(row.nothing_lost));
    }
  }
  [[nodiscard]] std::uint64_t done() const { return done_; }

 private:
  Campaign& campaign_;
  const Integrity integrity_;
  CampaignFolder folder_;
  Log on_disk_;
  std::map<std::string, Row> rows_;
  std::uint64_t done_ = 0;
};

Bytes slice(const Log& log, const Block& block) {
  const Bytes& bytes = log.at(block.segment);
  return {bytes.begin() + static_cast<std::ptrdiff_t>(block.begin),
          bytes.begin() + static_cast<std::ptrdiff_t>(block.end)};
}

// `block` gives way to `other`, which may be longer, shorter or empty.
Log replaced(Log log, const Block& block, const Bytes& other) {
  Bytes& bytes = log.at(block.segment);
  bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(block.begin),
              bytes.begin() + static_cast<std::ptrdiff_t>(block.end));
  bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(block.begin), other.begin(),
               other.end());
  return log;
}

std::string text_of(const Block& block) {
  return "segment " + std::to_string(block.segment) + " byte " + std::to_string(block.begin);
}

// --- the changes ---

// Each byte length of segment `number`; later segments stay.
void cut_lengths(Bench& bench, const std::string& group, const Log& log, std::uint64_t number,
                 std::uint64_t every) {
  const VerifyReport noted = bench.look(log).value_or(VerifyReport{});
  const bool last = number == log.rbegin()->first;
  std::vector<std::size_t> edges = {0, kFirstBlockOffset};
  for (const Block& block : bench.blocks_of(log)) {
    if (block.segment == number) edges.push_back(block.end);
  }
  const std::size_t used = edges.back();
  Log cut = log;
  for (std::size_t size = 0; size < log.at(number).size(); ++size) {
    const bool at_edge = std::find(edges.begin(), edges.end(), size) != edges.end();
    const bool near_edge = std::any_of(edges.begin(), edges.end(), [&](std::size_t edge) {
      return size + 2 > edge && size < edge + 2;
    });
    if (!near_edge && size % every != 0) continue;
    cut.at(number) = log.at(number);
    cut.at(number).resize(size);
    Need need = at_edge && last ? Need::kRoot : Need::kVerify;
    if (last && size >= used) need = Need::kNothing;
    bench.expect(group, "length " + std::to_string(size), cut, need, noted);
  }
}

void cut_segments(Bench& bench, const Log& log) {
  const VerifyReport noted = bench.look(log).value_or(VerifyReport{});
  const std::uint64_t last = log.rbegin()->first;
  for (std::uint64_t keep = 1; keep < last; ++keep) {
    Log fewer(log.begin(), log.find(keep + 1));
    bench.expect("newest segments removed", std::to_string(keep) + " left", fewer, Need::kRoot,
                 noted);
    Log later(log.find(keep + 1), log.end());
    bench.expect("oldest segments removed", std::to_string(keep) + " removed", later,
                 Need::kFirstSegment, noted);
  }
}

void change_blocks(Bench& bench, const std::string& kind, const Log& log) {
  const VerifyReport noted = bench.look(log).value_or(VerifyReport{});
  const std::vector<Block> blocks = bench.blocks_of(log);
  for (const Block& one : blocks) {
    const bool last = one.begin == blocks.back().begin && one.segment == blocks.back().segment;
    const Need need = last ? Need::kRoot : Need::kVerify;
    bench.expect(kind + ": a block removed", text_of(one), replaced(log, one, {}), need, noted);
    bench.expect(kind + ": a block zeroed", text_of(one),
                 replaced(log, one, Bytes(one.end - one.begin, 0)), need, noted);
    for (const Block& other : blocks) {
      const bool same = one.begin == other.begin && one.segment == other.segment;
      const std::string name = text_of(one) + " and " + text_of(other);
      Bytes doubled = slice(log, other);
      const Bytes copied = slice(log, one);
      doubled.insert(doubled.end(), copied.begin(), copied.end());
      bench.expect(kind + ": a block doubled, behind another", name, replaced(log, other, doubled),
                   Need::kVerify, noted);
      if (same) continue;
      bench.expect(kind + ": a block copied over another", name, replaced(log, other, copied),
                   Need::kVerify, noted);
      const bool earlier =
          one.segment < other.segment || (one.segment == other.segment && one.begin < other.begin);
      if (!earlier) continue;
      // The later one first, so that the other's place does not move.
      const Log half = replaced(log, other, copied);
      bench.expect(kind + ": two blocks swapped", name, replaced(half, one, slice(log, other)),
                   Need::kVerify, noted);
    }
  }
}

void change_segments(Bench& bench, const Log& log) {
  const VerifyReport noted = bench.look(log).value_or(VerifyReport{});
  const std::uint64_t last = log.rbegin()->first;
  for (const auto& [one, bytes] : log) {
    const std::string name = "segment " + std::to_string(one);
    Log changed = log;
    changed.erase(one);
    const Need edge = one == 1 ? Need::kFirstSegment : one == last ? Need::kRoot : Need::kVerify;
    bench.expect("a segment removed", name, changed, edge, noted);
    if (one < last) {
      for (std::uint64_t number = one; number < last; ++number) {
        changed[number] = log.at(number + 1);
      }
      changed.erase(last);
      bench.expect("a segment removed, later ones renamed", name, changed, Need::kVerify, noted);
    }
    changed = log;
    changed.at(one).assign(bytes.size(), 0);
    bench.expect("a segment zeroed", name, changed, one == last ? Need::kRoot : Need::kVerify,
                 noted);
    changed = log;
    changed[last + 1] = bytes;
    bench.expect("a segment doubled at the end", name, changed, Need::kVerify, noted);
    for (const auto& [other, other_bytes] : log) {
      if (one == other) continue;
      const std::string both = name + " and " + std::to_string(other);
      changed = log;
      changed.at(other) = bytes;
      bench.expect("a segment copied over another", both, changed, Need::kVerify, noted);
      changed.at(one) = other_bytes;
      bench.expect("two segments swapped", both, changed, Need::kVerify, noted);
    }
  }
}

void splice_foreign(Bench& bench, const Log& log, const Log& foreign) {
  const VerifyReport noted = bench.look(log).value_or(VerifyReport{});
  const std::vector<Block> theirs = bench.blocks_of(foreign);
  for (const Block& ours : bench.blocks_of(log)) {
    for (const Block& block : theirs) {
      bench.expect("another log's block over ours", text_of(block) + " over " + text_of(ours),
                   replaced(log, ours, slice(foreign, block)), Need::kVerify, noted);
    }
  }
  const std::uint64_t last = log.rbegin()->first;
  for (const auto& [number, bytes] : foreign) {
    for (std::uint64_t place = 1; place <= last + 1; ++place) {
      Log changed = log;
      changed[place] = bytes;
      bench.expect("another log's segment over ours, or behind", std::to_string(place), changed,
                   Need::kVerify, noted);
    }
  }
  bench.expect("another log in place of ours", "all", foreign, Need::kRoot, noted);
}

// `ours` and `theirs` have everything below segment `fork` in common.
void splice_fork(Bench& bench, const Log& ours, const Log& theirs, std::uint64_t fork) {
  const VerifyReport noted = bench.look(ours).value_or(VerifyReport{});
  const std::vector<Block> blocks = bench.blocks_of(theirs);
  for (const Block& mine : bench.blocks_of(ours)) {
    for (const Block& block : blocks) {
      if (mine.segment < fork || block.segment < fork) continue;
      bench.expect("a fork's block over ours", text_of(block) + " over " + text_of(mine),
                   replaced(ours, mine, slice(theirs, block)), Need::kVerify, noted);
    }
  }
  const std::uint64_t last = ours.rbegin()->first;
  for (const auto& [number, bytes] : theirs) {
    if (number < fork) continue;
    for (std::uint64_t place = fork; place <= last + 1; ++place) {
      Log changed = ours;
      changed[place] = bytes;
      // Their first one fits: it is what follows that gives it away, and if nothing follows, the
      // root.
      const bool end = place == number && place == fork && place == last;
      bench.expect("a fork's segment over ours, or behind",
                   std::to_string(number) + " at " + std::to_string(place), changed,
                   end ? Need::kRoot : Need::kVerify, noted);
    }
  }
  bench.expect("a fork in place of ours", "all", theirs, Need::kRoot, noted);
}

void roll_back(Bench& bench, const Log& now, const Log& older) {
  const VerifyReport noted = bench.look(now).value_or(VerifyReport{});
  bench.expect("all replaced by an older copy", "all", older, Need::kRoot, noted);
  const std::uint64_t last = older.rbegin()->first;
  Log changed = now;
  changed.at(last) = older.at(last);
  bench.expect("one segment replaced by an older copy", "segment " + std::to_string(last), changed,
               Need::kVerify, noted);
}

std::uint64_t run(Campaign& campaign, Integrity integrity, std::uint64_t every) {
  Bench bench(campaign, integrity);
  Log open_image;
  const Log first = bench.write("ours", 1, 12, &open_image);
  const Log older = open_image;
  bench.copy("ours", "fork");
  const Log ours = bench.write("ours", 2, 12, &open_image);
  const Log fork = bench.write("fork", 3, 14);
  const Log foreign = bench.write("foreign", 4, 8);
  std::printf("  %s: %zu segments, %zu blocks; %zu in common with the fork\n",
              integrity == Integrity::kSha256 ? "sha256" : "crc32c", ours.size(),
              bench.blocks_of(ours).size(), first.size());
  cut_lengths(bench, "closed: last segment cut", ours, ours.rbegin()->first, every);
  cut_lengths(bench, "not closed: last segment cut", open_image, open_image.rbegin()->first, every);
  cut_lengths(bench, "closed: an earlier segment cut", ours, 2, every * 16);
  cut_segments(bench, ours);
  change_blocks(bench, "closed", ours);
  change_blocks(bench, "not closed", open_image);
  change_segments(bench, ours);
  splice_foreign(bench, ours, foreign);
  splice_fork(bench, ours, fork, first.rbegin()->first + 1);
  roll_back(bench, ours, older);
  bench.print();
  return bench.done();
}

}  // namespace
}  // namespace grace::ledger

int main(int argc, char** argv) {
  using namespace grace::ledger;
  Campaign campaign("ledger_cut_and_splice", argc, argv, 1'000'000);
  const std::string every = campaign.value_of("--every");
  if (every.empty() && !campaign.knows_only({})) return 2;
  const std::uint64_t step = std::max(1ULL, std::strtoull(every.c_str(), nullptr, 10));
  std::uint64_t done = run(campaign, Integrity::kSha256, step);
  done += run(campaign, Integrity::kCrc32c, step);
  return campaign.finish(done, "changes");
}
