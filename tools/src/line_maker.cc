#include "line_maker.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "grace/core/assert.h"

namespace grace::tools {
namespace {

// All blocks are made: a part of what they last for.
constexpr std::chrono::microseconds kFullSleep{300};

// sched_setattr(2), of which the C library has no wrapper before glibc 2.41.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;  // SCHED_OTHER
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t slice_ns = 0;
  std::uint64_t deadline_ns = 0, period_ns = 0;
};

// Where the maker has to share a CPU with a worker it runs often and briefly, not for a whole slice
// of 3 ms in which that worker waits. Kernels before 6.12 have no slice of one's own.
void take_short_slices() {
  SchedulingAttributes attributes;
  // 0: this thread. Its policy and niceness stay what they are.
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
  attributes.slice_ns = 100'000;
  (void)::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

LineMaker::LineMaker(const LoadStream& stream, const harness::ArrivalConfig& arrivals,
                     const harness::LoadSpan& span, const LoadClock& timing)
    : stream_(stream),
      span_(span),
      timing_(timing),
      schedule_(arrivals),
      next_ns_(schedule_.next_ns()) {
  for (Block& block : blocks_) GRACE_ASSERT(free_.try_push(&block));
  free_.unbind_roles();  // filled here, from now on by the taker
  thread_ = std::thread([this] { run(); });
}

LineMaker::~LineMaker() {
  stopped_.store(true, std::memory_order_relaxed);  // relaxed: a flag, nothing is handed over
  if (thread_.joinable()) thread_.join();
}

void LineMaker::run() {
  take_short_slices();
  bool more = true;
  while (more && !stopped_.load(std::memory_order_relaxed)) {  // relaxed: see the destructor
    Block* block = nullptr;
    if (!free_.try_pop(block)) {
      std::this_thread::sleep_for(kFullSleep);
      continue;
    }
    more = make(*block);
    GRACE_ASSERT(made_.try_push(block), "there are more blocks than the ring has slots");
  }
}

// False: it is the last one, and empty.
bool LineMaker::make(Block& block) {
  std::size_t used = 0;
  block.count = 0;
  for (; block.count < kBlockLines && used < kBlockBytes && next_ns_ < span_.end_ns();
       ++block.count) {
    const std::size_t size_bytes = stream_.line(made_count_).size();
    if (block.text.size() < used + size_bytes) block.text.resize(2 * (used + size_bytes));
    stream_.write(made_count_, timing_.event_ns(made_count_), block.text.data() + used);
    used += size_bytes;
    block.ends[block.count] = used;
    block.due_ns[block.count] = next_ns_;
    ++made_count_;
    next_ns_ = schedule_.next_ns();
  }
  block.made_ns = clock_.monotonic_ns() - timing_.begin_ns;
  return block.count > 0;
}

const LineMaker::Line* LineMaker::next() {
  if (ended_) return nullptr;
  if (block_ == nullptr) {
    if (!made_.try_pop(block_)) return nullptr;
    at_ = 0;
    if (block_->count == 0) {
      ended_ = true;
      return nullptr;
    }
  }
  const std::size_t begin = at_ == 0 ? 0 : block_->ends[at_ - 1];
  line_ = {block_->text.data() + begin, block_->ends[at_] - begin, block_->due_ns[at_],
           block_->made_ns};
  return &line_;
}

void LineMaker::pop() {
  GRACE_ASSERT(block_ != nullptr && at_ < block_->count);
  if (++at_ < block_->count) return;
  GRACE_ASSERT(free_.try_push(std::exchange(block_, nullptr)));
}

bool LineMaker::ended() {
  return next() == nullptr && ended_;
}

}  // namespace grace::tools
