// Who listens to progress hears of every chunk once, in order, when its events are decided.
#include <algorithm>
#include <vector>

#include "engine_fixture.h"

namespace grace::testing {
namespace {

class Listener final : public pipeline::ProgressListener {
 public:
  void on_decided(std::uint64_t sequence) noexcept override { heard_.push_back(sequence); }
  [[nodiscard]] const std::vector<std::uint64_t>& heard() const { return heard_; }

 private:
  std::vector<std::uint64_t> heard_;
};

TEST(Progress, IsToldAfterEachChunkUpToTheEndOfTheInput) {
  tools::GeneratorOptions generator;
  generator.event_count = 5'000;
  const std::string text = generate_stream(generator);
  for (const std::size_t workers : {1U, 3U}) {
    Listener listener;
    RunOptions options;
    options.workers = workers;
    options.chunk_bytes = 16 * 1024;
    options.progress = &listener;
    run_stream(text, options);
    const std::vector<std::uint64_t>& heard = listener.heard();
    ASSERT_GT(heard.size(), text.size() / (32 * 1024));
    EXPECT_TRUE(std::is_sorted(heard.begin(), heard.end(), std::less_equal<>()));
    EXPECT_EQ(heard.back(), text.size());
    for (const std::uint64_t sequence : heard) {
      ASSERT_EQ(text[sequence - 1], '\n') << "progress ends with whole lines";
    }
  }
}

}  // namespace
}  // namespace grace::testing
