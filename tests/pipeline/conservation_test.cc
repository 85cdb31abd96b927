// received = accepted + rejected + dropped, exactly; and what is behind the figures: every good
// line reaches the detector of its key once and unchanged, in the same order for any workers and
// chunks, and every bad line is counted under its reason and kept.
#include <fstream>
#include <set>

#include "bad_lines.h"
#include "grace/core/hash.h"
#include "sanitized.h"
#include "stream.h"

namespace grace::testing {
namespace {

#ifdef NDEBUG
constexpr std::uint64_t kFullCount = 1'000'000;
#else
constexpr std::uint64_t kFullCount = 300'000;
#endif
constexpr std::uint64_t kGoodCount = kSanitized ? 20'000 : kFullCount;
constexpr std::uint64_t kBadCount = kSanitized ? 1'000 : 10'000;

using ReasonCounts = std::array<std::uint64_t, parse::kRejectReasonCount>;

struct Mixture {
  std::string text;
  std::uint64_t good_count = 0;
  std::uint64_t keyed_count = 0;  // of the good: those that go to partitions
  std::uint64_t keyed_sum = 0;    // of their hashes
  ReasonCounts bad{};
  std::map<std::uint64_t, std::pair<parse::RejectReason, std::string>> bad_at;  // by offset
};

// A generated firehose with bad lines at random places, and a last line that was cut off.
Mixture make_mixture() {
  tools::GeneratorOptions options;
  options.event_count = kGoodCount;
  options.events_per_second = 50.0;
  options.service_count = 40;
  options.seed = 5;
  const std::string good = generate_stream(options);
  Mixture mixture;
  BadLines bad_lines(17);
  tools::Random random(23);
  std::uint64_t bad_left = kBadCount;
  const auto add_bad = [&](parse::RejectReason reason, const std::string& line) {
    ++mixture.bad[static_cast<std::size_t>(reason)];
    mixture.bad_at.emplace(mixture.text.size(), std::pair(reason, line));
    mixture.text += line;
  };
  for (std::size_t at = 0; at < good.size();) {
    const std::size_t end = good.find('\n', at);
    const std::string_view line(good.data() + at, end - at);
    at = end + 1;
    // The last ones stand together at the end, so that exactly kBadCount are there.
    while (bad_left > 1 && random.chance(static_cast<double>(kBadCount) / kGoodCount)) {
      const BadLines::Line bad = bad_lines.next();
      add_bad(bad.reason, bad.text);
      mixture.text += '\n';
      --bad_left;
    }
    mixture.text.append(line).push_back('\n');
    ++mixture.good_count;
    if (line.find(R"("kind":"metric")") == std::string_view::npos &&
        line.find(R"("kind":"action")") == std::string_view::npos) {
      continue;
    }
    ++mixture.keyed_count;
    mixture.keyed_sum += core::hash_bytes(line);
  }
  for (; bad_left > 1; --bad_left) {
    const BadLines::Line bad = bad_lines.next();
    add_bad(bad.reason, bad.text);
    mixture.text += '\n';
  }
  add_bad(parse::RejectReason::kTruncated, R"({"ts":1736924400000000000,"kind":"met)");
  return mixture;
}

const Mixture& mixture() {
  static const Mixture kMixture = make_mixture();
  return kMixture;
}

// What a partition's detector was given. Written by its worker, read when the engine has ended.
struct Seen {
  std::uint64_t count = 0;
  std::uint64_t sum = 0;    // of the lines' hashes: which lines, whatever the order
  std::uint64_t order = 0;  // chained: the order too
  std::uint64_t last_sequence = 0;
  bool in_order = true;
  std::uint64_t fetched_count = 0;
  bool fetched_in_time = true;
};
using SeenTable = std::array<Seen, core::kPartitionCount>;

class Witness final : public core::Subsystem {
 public:
  explicit Witness(SeenTable& seen) : seen_(seen) {}
  [[nodiscard]] core::Source source() const noexcept override {
    return core::Source::kImmutableLog;
  }
  [[nodiscard]] std::unique_ptr<core::PartitionDetector> make_partition(
      std::size_t partition_index) const override {
    return std::make_unique<Detector>(seen_[partition_index], partition_index);
  }
  [[nodiscard]] std::unique_ptr<core::OrderedDetector> make_ordered(
      const core::OrderedContext& context) const override {
    static_cast<void>(context);
    return nullptr;
  }

 private:
  class Detector final : public core::PartitionDetector {
   public:
    Detector(Seen& seen, std::size_t partition) : seen_(seen), partition_(partition) {}
    void on_event(const core::Event& event, core::FindingSink& sink) override {
      static_cast<void>(sink);
      const std::uint64_t hash = core::hash_bytes(event.view(event.line));
      const bool first = seen_.count++ == 0;
      seen_.sum += hash;
      seen_.order = core::combine(seen_.order, core::combine(hash, event.sequence));
      if (!first && event.sequence <= seen_.last_sequence) seen_.in_order = false;
      if (event.partition() != partition_) seen_.in_order = false;
      seen_.last_sequence = event.sequence;
    }
    [[nodiscard]] bool fetches_ahead() const noexcept override { return true; }
    void fetch(const core::Event& event) const noexcept override {
      ++seen_.fetched_count;
      const bool to_come = seen_.count == 0 || event.sequence > seen_.last_sequence;
      if (!to_come || event.partition() != partition_) seen_.fetched_in_time = false;
    }

   private:
    Seen& seen_;
    std::size_t partition_;
  };
  SeenTable& seen_;
};

RunOptions options_for(std::size_t workers, std::size_t chunk_bytes) {
  RunOptions options;
  options.workers = workers;
  options.chunk_bytes = chunk_bytes;
  options.mode = schedule::Mode::kSuggest;
  options.adjust = [](tools::AppConfig& config) {
    config.engine.parse.line_bytes_max = kLineBytesMax;
    config.engine.ingest.line_bytes_max = kLineBytesMax;
  };
  return options;
}

void expect_counts(const tools::Summary& summary) {
  const Mixture& expected = mixture();
  EXPECT_EQ(summary.counts.received, expected.good_count + kBadCount);
  EXPECT_EQ(summary.counts.accepted, expected.good_count);
  EXPECT_EQ(summary.counts.dropped, 0U);
  EXPECT_EQ(summary.ingest.bytes, expected.text.size());
  for (std::size_t i = 0; i < parse::kRejectReasonCount; ++i) {
    EXPECT_EQ(summary.counts.rejected[i], expected.bad[i])
        << parse::to_string(static_cast<parse::RejectReason>(i));
  }
}

TEST(Conservation, TheMixtureHasEveryReason) {
  for (std::size_t i = 0; i < parse::kRejectReasonCount; ++i) {
    EXPECT_GT(mixture().bad[i], 0U) << parse::to_string(static_cast<parse::RejectReason>(i));
  }
}

TEST(Conservation, EveryGoodLineReachesItsDetectorOnceWhateverWorkersAndChunks) {
  std::vector<std::uint64_t> first_orders;
  std::string first_digest;
  for (const auto& [workers, chunk_bytes] : std::vector<std::pair<std::size_t, std::size_t>>{
           {1, 256 * 1024}, {2, 4096}, {3, 32 * 1024}, {4, 1024 * 1024}}) {
    SCOPED_TRACE(std::to_string(workers) + " workers, chunks of " + std::to_string(chunk_bytes));
    SeenTable seen{};
    RunOptions options = options_for(workers, chunk_bytes);
    options.adjust_subsystems = [&](core::SubsystemList& list) {
      list.push_back(std::make_unique<Witness>(seen));
    };
    const tools::Summary summary = run_stream(mixture().text, options);
    expect_counts(summary);
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
    std::uint64_t fetched = 0;
    std::vector<std::uint64_t> orders;
    for (const Seen& partition : seen) {
      count += partition.count;
      sum += partition.sum;
      orders.push_back(partition.order);
      fetched += partition.fetched_count;
      EXPECT_TRUE(partition.in_order);
      EXPECT_TRUE(partition.fetched_in_time) << "too late, or for another partition";
    }
    EXPECT_GT(fetched, 0U);
    EXPECT_EQ(count, mixture().keyed_count);
    EXPECT_EQ(sum, mixture().keyed_sum) << "other lines, or changed ones";
    if (first_orders.empty()) {
      first_orders = orders;
      first_digest = summary.decision_digest;
    }
    EXPECT_EQ(orders, first_orders);
    EXPECT_EQ(summary.decision_digest, first_digest);
  }
}

TEST(DeadLetters, HoldEveryBadLineUnderItsReasonAtItsPlace) {
  const TemporaryDirectory directory;
  const std::string path = directory / "rejected.ndjson";
  RunOptions options = options_for(2, 32 * 1024);
  options.adjust = [base = options.adjust, &path](tools::AppConfig& config) {
    base(config);
    config.engine.dead_letters.path = path;
    config.engine.dead_letters.lines_per_second_max = 0;
    config.engine.dead_letters.queue_lines_max = kBadCount;
    config.engine.dead_letters.line_copy_bytes_max = 4096;
  };
  const tools::Summary summary = run_stream(mixture().text, options);
  expect_counts(summary);
  EXPECT_EQ(summary.dead_letters.offered, kBadCount);
  EXPECT_EQ(summary.dead_letters.written, kBadCount);

  std::set<std::uint64_t> places;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto letter = parse::JsonValue::parse(line);
    ASSERT_TRUE(letter.has_value()) << line;
    const std::uint64_t offset = (*letter)["offset"].as_uint64();
    const auto at = mixture().bad_at.find(offset);
    ASSERT_NE(at, mixture().bad_at.end()) << line;
    const auto& [reason, text] = at->second;
    EXPECT_EQ((*letter)["reason"].as_string(), parse::to_string(reason)) << line;
    EXPECT_EQ((*letter)["source"].as_string(), "memory");
    EXPECT_TRUE(places.insert(offset).second) << "twice: " << line;
    const bool whole = !(*letter)["cut"].as_bool() && (*letter).find("base64") == nullptr;
    if (whole) {
      EXPECT_EQ((*letter)["line"].as_string(), text);
    }
    EXPECT_TRUE(whole || reason == parse::RejectReason::kInvalidUtf8 ||
                reason == parse::RejectReason::kLineTooLong)
        << line;
  }
  EXPECT_EQ(places.size(), kBadCount);
}

TEST(DeadLetters, TheirBoundHoldsAndWhatItTurnsAwayIsCounted) {
  const TemporaryDirectory directory;
  const std::string path = directory / "rejected.ndjson";
  RunOptions options = options_for(2, 32 * 1024);
  options.adjust = [base = options.adjust, &path](tools::AppConfig& config) {
    base(config);
    config.engine.dead_letters.path = path;
    config.engine.dead_letters.lines_max = 100;
    config.engine.dead_letters.lines_per_second_max = 0;
    config.engine.dead_letters.queue_lines_max = kBadCount;
  };
  const tools::Summary summary = run_stream(mixture().text, options);
  expect_counts(summary);
  const parse::DeadLetterCounters& letters = summary.dead_letters;
  EXPECT_EQ(letters.offered, kBadCount);
  EXPECT_EQ(letters.written, 100U);
  EXPECT_EQ(letters.offered, letters.written + letters.dropped_by_bound + letters.dropped_by_rate +
                                 letters.dropped_by_queue + letters.failed);
  std::ifstream file(path);
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  EXPECT_EQ(lines, 100U);
}

}  // namespace
}  // namespace grace::testing
