// A program of its own: it counts every allocation.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "grace/core/packed_event.h"
#include "parse_fixture.h"

namespace {

// Relaxed: one thread allocates while it is read.
std::atomic<std::uint64_t> allocation_count{0};

void* counted(std::size_t size) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);  // as above
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* counted(std::size_t size, std::align_val_t alignment) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);  // as above
  const auto step = static_cast<std::size_t>(alignment);
  void* const memory = std::aligned_alloc(step, (size + step - 1) / step * step);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) {
  return counted(size);
}
void* operator new[](std::size_t size) {
  return counted(size);
}
// All forms, so that none goes uncounted, or is freed by another hand than gave it.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size);
}
void* operator new(std::size_t size, std::align_val_t align) {
  return counted(size, align);
}
void* operator new[](std::size_t size, std::align_val_t align) {
  return counted(size, align);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace grace::parse {
namespace {

class CountingSink final : public RejectSink {
 public:
  void rejected(const Reject&) override { ++count; }
  std::uint64_t count = 0;
};

TEST(ChunkParser, AllocatesNothingForMetricsActionsAndRejects) {
  std::string text;
  for (int i = 0; i < 2000; ++i) {
    const std::string n = std::to_string(i);
    text += R"({"ts":1736950000000000000,"service":"s)" + n +
            R"(","metric":"latency_ms","value":231.4,"labels":{"host":"n)" + n + "\"}}\n";
    text += R"({"ts":"2025-01-15T14:30:00Z","actor":"u)" + n +
            R"(","action":"a\u0062c","resource":"r","result":"error","payload":{"a":[1,{}]}})"
            "\n";
    text += "{\"bad\":\"" + n + "\n[1]\n\n{\"x\":\"\xFF\"}\n";
  }
  auto chunk = make_chunk(text);
  ChunkParser parser;
  CountingSink sink;
  std::vector<core::Event> events(64);
  std::uint64_t accepted = 0;
  for (int round = 0; round < 3; ++round) {
    const std::uint64_t before = allocation_count.load(std::memory_order_relaxed);  // as above
    parser.begin(*chunk);
    while (const std::size_t count = parser.next(events, sink)) accepted += count;
    EXPECT_EQ(allocation_count.load(std::memory_order_relaxed), before);  // as above
  }
  EXPECT_EQ(accepted, 3U * 4000U);
  EXPECT_EQ(sink.count, 3U * 6000U);
  EXPECT_GT(allocation_count.load(std::memory_order_relaxed), 0U);  // the counter works
}

TEST(ChunkParser, AllocatesNothingForPackedEventsAndTheirRejects) {
  const std::vector<core::Label> labels{{"host", "n1"}};
  const std::vector<core::Attribute> payload{{"trace_id", "t\n"}, {"code", std::int64_t{401}}};
  std::string text;
  const auto add = [&](const auto& event) {
    std::vector<std::uint64_t> room(*core::packed_bound(event) / 8 + 1);
    char* const out = reinterpret_cast<char*>(room.data());
    text.append(out, core::pack(event, out));
  };
  for (int i = 0; i < 1000; ++i) {
    const std::string n = std::to_string(i);
    add(core::MetricSample{{}, "s" + n, "core", "latency_ms", 1.5, labels});
    add(core::ActionRecord{.actor = "u" + n, .action = "a", .payload = payload});
    add(core::MetricSample{{}, "", "core", "latency_ms", 1.5, labels});
  }
  auto chunk = make_chunk(text);
  chunk->packed = true;
  ChunkParser parser;
  CountingSink sink;
  std::vector<core::Event> events(64);
  std::uint64_t accepted = 0;
  std::uint64_t before = 0;
  for (int round = 0; round < 3; ++round) {
    // The text of a reject finds its room in the first round.
    if (round == 1) before = allocation_count.load(std::memory_order_relaxed);  // as above
    parser.begin(*chunk);
    while (const std::size_t count = parser.next(events, sink)) accepted += count;
  }
  EXPECT_EQ(allocation_count.load(std::memory_order_relaxed), before);  // as above
  EXPECT_EQ(accepted, 3U * 2000U);
  EXPECT_EQ(sink.count, 3U * 1000U);
}

}  // namespace
}  // namespace grace::parse
