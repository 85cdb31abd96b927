#include "grace/ingest/publisher.h"

#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "grace/core/assert.h"
#include "grace/core/chunk.h"

namespace grace::ingest {
namespace {

// Read from one publisher before the next one's turn: larger copies better, smaller is fairer.
constexpr std::size_t kTurnBytes = 64 * 1024;
constexpr std::size_t kRingBytesMin = 4 * 1024;
constexpr std::size_t kRingBytesMax = std::size_t{1} << 30;

bool is_power_of_two(std::size_t value) {
  return std::has_single_bit(value);
}

// Relaxed: the publisher's thread alone writes them, and readers want figures, not an order.
void add_to(std::atomic<std::uint64_t>& figure, std::uint64_t count) noexcept {
  figure.store(figure.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

SourceTraits traits_of(const PublishConfig& config) {
  SourceTraits traits;
  traits.name = config.name;
  traits.kind = core::SourceKind::kPublisher;
  traits.operator_allowed = config.operator_allowed;
  traits.live = true;
  return traits;
}

}  // namespace

core::Result<PublishConfig> validated(PublishConfig config) {
  const auto invalid = [](const std::string& field, std::size_t value, const std::string& rule) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "publish." + field + ": " + std::to_string(value) + " is not " + rule);
  };
  if (!is_power_of_two(config.ring_bytes) || config.ring_bytes < kRingBytesMin ||
      config.ring_bytes > kRingBytesMax) {
    return invalid("ring_bytes", config.ring_bytes, "a power of two from 4 KiB to 1 GiB");
  }
  if (!is_power_of_two(config.align_bytes) || config.align_bytes < core::kPackedAlignBytes ||
      config.align_bytes > 4096 || config.align_bytes > config.ring_bytes / 4) {
    return invalid("align_bytes", config.align_bytes,
                   "a power of two from 8 to 4096, at most a quarter of ring_bytes");
  }
  if (config.event_bytes_max < 256 || config.event_bytes_max > config.ring_bytes / 2 ||
      config.event_bytes_max % config.align_bytes != 0) {
    return invalid("event_bytes_max", config.event_bytes_max,
                   "a multiple of align_bytes from 256 to half of ring_bytes");
  }
  if (config.publishers_max < 1 || config.publishers_max > 4096) {
    return invalid("publishers_max", config.publishers_max, "1 to 4096");
  }
  return config;
}

// Shared by a publisher and the source; the last of them frees it.
class PublishRing {
 public:
  explicit PublishRing(std::size_t bytes)
      : memory_(static_cast<char*>(std::aligned_alloc(core::kCacheLineBytes, bytes))),
        bytes_(bytes),
        reader_(state_, memory_.get(), bytes) {
    GRACE_ASSERT(memory_ != nullptr, "no memory for a ring of %zu bytes", bytes);
  }
  [[nodiscard]] core::PackedRingWriter writer() noexcept { return {state_, memory_.get(), bytes_}; }
  [[nodiscard]] core::PackedRingReader& reader() noexcept { return reader_; }

  struct alignas(core::kCacheLineBytes) {  // the publisher's figures
    std::atomic<std::uint64_t> published{0}, bytes{0}, full{0}, closed{0}, too_large{0};
  } figures;

 private:
  struct Free {
    void operator()(char* memory) const noexcept { std::free(memory); }
  };
  core::PackedRingState state_;
  std::unique_ptr<char[], Free> memory_;
  std::size_t bytes_;
  core::PackedRingReader reader_;
};

// --- Publisher ---

Publisher::Publisher(std::shared_ptr<PublishRing> ring, const PublishConfig& config)
    : ring_(std::move(ring)),
      writer_(ring_->writer()),
      align_bytes_(config.align_bytes),
      event_bytes_max_(config.event_bytes_max) {}

Publisher& Publisher::operator=(Publisher&& other) noexcept {
  if (this == &other) return *this;
  end();
  ring_ = std::move(other.ring_);
  writer_ = other.writer_;
  align_bytes_ = other.align_bytes_;
  event_bytes_max_ = other.event_bytes_max_;
  pending_ = other.pending_;
  aside_ = std::move(other.aside_);
  aside_bytes_ = other.aside_bytes_;
  return *this;
}

Publisher::~Publisher() {
  end();
}

void Publisher::end() noexcept {
  if (ring_ == nullptr) return;
  static_cast<void>(flush());
  writer_.end();
  ring_.reset();
}

std::uint64_t Publisher::published_now() const noexcept {
  return ring_->figures.published.load(std::memory_order_relaxed);  // relaxed: written here
}

PublishStatus Publisher::refuse(PublishStatus status) noexcept {
  if (status == PublishStatus::kFull && writer_.closed()) status = PublishStatus::kClosed;
  auto& figures = ring_->figures;
  add_to(status == PublishStatus::kFull     ? figures.full
         : status == PublishStatus::kClosed ? figures.closed
                                            : figures.too_large,
         1);
  return status;
}

// Without room, what is pending is handed over: the engine can only free what it was told of.
char* Publisher::claim(std::size_t bytes) noexcept {
  char* record = writer_.claim(bytes);
  if (record != nullptr || pending_ == 0) return record;
  if (flush() != PublishStatus::kOk) return nullptr;
  return writer_.claim(bytes);
}

PublishStatus Publisher::commit(char* record, std::size_t size) noexcept {
  const std::size_t rounded_size = rounded(size);
  if (rounded_size != size) {
    std::memset(record + size, 0, rounded_size - size);
    const auto size_bytes = static_cast<std::uint32_t>(rounded_size);
    std::memcpy(record, &size_bytes, sizeof size_bytes);  // PackedHeader's first field
  }
  writer_.commit(rounded_size);
  ++pending_;
  if (writer_.pending_bytes() >= kBatchBytes) return flush();
  return PublishStatus::kOk;
}

char* Publisher::aside(std::size_t bytes) noexcept {
  if (aside_bytes_ < bytes) {
    aside_ = std::make_unique_for_overwrite<char[]>(bytes);
    aside_bytes_ = bytes;
  }
  return aside_.get();
}

PublishStatus Publisher::copy_in(const char* record, std::size_t size) noexcept {
  if (rounded(size) > event_bytes_max_) return refuse(PublishStatus::kTooLarge);
  char* const to = claim(rounded(size));
  if (to == nullptr) return refuse(PublishStatus::kFull);
  std::memcpy(to, record, size);
  return commit(to, size);
}

PublishStatus Publisher::flush() noexcept {
  const std::size_t bytes = writer_.pending_bytes();
  const std::uint64_t count = std::exchange(pending_, 0);
  auto& figures = ring_->figures;
  if (!writer_.flush()) {
    add_to(figures.closed, count);
    return PublishStatus::kClosed;
  }
  add_to(figures.published, count);
  add_to(figures.bytes, bytes);
  return PublishStatus::kOk;
}

PublishFigures Publisher::figures() const noexcept {
  // Relaxed: see add_to().
  const auto load = [](const std::atomic<std::uint64_t>& figure) {
    return figure.load(std::memory_order_relaxed);
  };
  const auto& from = ring_->figures;
  return {load(from.published), load(from.bytes), load(from.full), load(from.closed),
          load(from.too_large)};
}

bool Publisher::Waiting::pause() {
  constexpr std::chrono::microseconds kLongest{500};
  const auto now = std::chrono::steady_clock::now();
  if (now >= end_) return false;
  std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(
      std::exchange(next_, std::min(2 * next_, kLongest)), end_ - now));
  return true;
}

// --- PublishSource ---

core::Result<std::unique_ptr<PublishSource>> PublishSource::create(PublishConfig config) {
  auto valid = validated(std::move(config));
  if (!valid) return tl::unexpected<core::Error>(valid.error());
  return std::unique_ptr<PublishSource>(new PublishSource(*valid));
}

PublishSource::PublishSource(const PublishConfig& config)
    : Source(traits_of(config)), config_(config) {}

PublishSource::~PublishSource() {
  for (const auto& ring : rings_) ring->reader().close();
}

core::Result<Publisher> PublishSource::publisher() {
  const std::lock_guard lock(mutex_);
  if (stopped_) return core::make_error(core::ErrorCode::kClosed, config_.name + ": has ended");
  if (rings_.size() >= config_.publishers_max) {
    return core::make_error(core::ErrorCode::kFull, config_.name + ": " +
                                                        std::to_string(config_.publishers_max) +
                                                        " publishers are alive, publishers_max");
  }
  rings_.push_back(std::make_shared<PublishRing>(config_.ring_bytes));
  // [RINGS] release: only a hint that the lock is worth it.
  rings_made_.fetch_add(1, std::memory_order_release);
  return Publisher(rings_.back(), config_);
}

void PublishSource::look_for_new_rings() {
  // [RINGS] acquire: pairs with the release in publisher().
  const std::uint64_t made = rings_made_.load(std::memory_order_acquire);
  if (made == rings_seen_) return;
  const std::lock_guard lock(mutex_);
  reading_ = rings_;
  // Relaxed: the lock orders it.
  rings_seen_ = rings_made_.load(std::memory_order_relaxed);
  counters_.connections_accepted.store(rings_seen_, std::memory_order_relaxed);  // a statistic
  counters_.connections_open.store(rings_.size(), std::memory_order_relaxed);    // the same
}

// True: none are left, and the source is to end then.
bool PublishSource::drop_finished() {
  const auto finished = [](const std::shared_ptr<PublishRing>& ring) {
    return ring->reader().finished();
  };
  if (std::none_of(reading_.begin(), reading_.end(), finished)) return false;
  const std::lock_guard lock(mutex_);
  std::erase_if(reading_, [&](const std::shared_ptr<PublishRing>& ring) {
    if (!finished(ring)) return false;
    std::erase(rings_, ring);
    // Relaxed: a statistic.
    counters_.connections_closed.fetch_add(1, std::memory_order_relaxed);
    return true;
  });
  counters_.connections_open.store(rings_.size(), std::memory_order_relaxed);  // the same
  if (!config_.end_with_publishers || !rings_.empty()) return false;
  stopped_ = true;
  return true;
}

// True: the chunk is full, or so full that the next record does not fit.
bool PublishSource::read_ring(PublishRing& ring, core::Chunk& chunk, const ReadLimits& limits) {
  const std::size_t used = chunk.size_bytes;
  const std::size_t wanted = std::min(kTurnBytes, limits.target_bytes - used);
  const auto taken = ring.reader().take(chunk.text() + used, chunk.capacity() - used, wanted,
                                        config_.event_bytes_max);
  GRACE_ASSERT(!taken.broken && taken.oversized == 0, "a publisher's ring is damaged");
  chunk.size_bytes += static_cast<std::uint32_t>(taken.bytes);
  return chunk.size_bytes >= limits.target_bytes || (taken.more && taken.bytes < wanted);
}

ReadStatus PublishSource::read(core::Chunk& chunk, const ReadLimits& limits) {
  chunk.packed = true;
  if (chunk.size_bytes >= limits.target_bytes) return ReadStatus::kFull;
  look_for_new_rings();
  const std::uint32_t before = chunk.size_bytes;
  const std::size_t count = reading_.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (read_ring(*reading_[(turn_ + i) % count], chunk, limits)) {
      turn_ = (turn_ + i) % count;
      return ReadStatus::kFull;
    }
  }
  if (count > 0) turn_ = (turn_ + 1) % count;
  if (chunk.size_bytes > before) return ReadStatus::kMore;
  if (drop_finished()) return ReadStatus::kEnded;
  const bool drained = std::all_of(reading_.begin(), reading_.end(),
                                   [](const auto& ring) { return ring->reader().empty(); });
  return stop_seen_ && drained ? ReadStatus::kEnded : ReadStatus::kIdle;
}

void PublishSource::request_stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;  // none are made from now on, so read() sees the last ones
    for (const auto& ring : rings_) ring->reader().close();
  }
  stop_seen_ = true;
}

}  // namespace grace::ingest
