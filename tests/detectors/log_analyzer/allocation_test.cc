// The steady state takes no memory. A program of its own: it counts every allocation it makes.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "grace/log_analyzer/log_analyzer.h"
#include "harness.h"

#if !defined(__clang__)
// GCC pairs the inlined malloc with the library's operator delete.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {
// Relaxed: one thread; atomic only because operator new may be called before and after main.
std::atomic<std::uint64_t> g_allocation_count{0};
}  // namespace

void* operator new(std::size_t size) {
  g_allocation_count.fetch_add(1, std::memory_order_relaxed);
  if (void* const memory = std::malloc(size); memory != nullptr) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace grace::log_analyzer {
namespace {

using namespace grace::testing;

class CountingSink final : public core::FindingSink {
 public:
  void finding(core::Finding&&) override { ++findings; }
  void observe(const core::Observation& observation) override { actions += observation.count; }
  std::uint64_t findings = 0;
  std::uint64_t actions = 0;
};

TEST(SteadyState, TakesNoMemory) {
  const auto subsystem = make_log_analyzer({});
  const auto partition = subsystem->make_partition(0);
  CountingSink sink;
  std::vector<std::string> actors;
  for (int i = 0; i < 20; ++i) actors.push_back("actor_with_a_long_name_" + std::to_string(i));
  const char* const kActions[] = {"create_object", "read_object", "delete_object"};
  std::array<char, 512> buffer;
  std::int64_t now = kMidnight;
  std::uint64_t sequence = 0;
  Dice dice(1);
  std::uint64_t session_number = 0;
  std::uint64_t session_step = 0;
  std::uint64_t reads = 1;
  const auto run = [&](int count) {
    for (int i = 0; i < count; ++i) {
      ActionText text;
      text.actor = actors[dice.next() % actors.size()];
      text.action = kActions[dice.next() % 3];
      text.result = dice.uniform() < 0.002 ? "error" : "success";
      text.duration_ms = 10.0 + dice.uniform();
      // Every other action belongs to a session: a create, one to three reads, a delete.
      const std::string id = "s" + std::to_string(session_number);
      if (i % 2 == 0) {
        text.actor = "worker";
        text.subsystem = "jobs";
        text.session = id;
        text.action = kActions[session_step == 0 ? 0 : session_step <= reads ? 1 : 2];
        if (++session_step > reads + 1) {
          session_step = 0;
          reads = 1 + dice.next() % 3;
          ++session_number;
        }
      }
      now += 50'000'000;
      partition->on_event(make_action(text, now, sequence += 100, buffer), sink);
      if (i % 20 == 0) partition->on_tick({sequence, now, now - kSecond}, sink);
    }
  };
  run(400'000);  // every pattern, session and context is known, and every pattern has erred
  const std::uint64_t findings_before = sink.findings;
  const std::uint64_t before = g_allocation_count.load(std::memory_order_relaxed);
  run(200'000);
  const std::uint64_t after = g_allocation_count.load(std::memory_order_relaxed);
  EXPECT_EQ(sink.findings, findings_before);  // else the stream is no steady state
  EXPECT_EQ(after - before, 0U);
  EXPECT_GT(sink.actions, 200'000U);
}

}  // namespace
}  // namespace grace::log_analyzer
