#include "grace/ingest/publisher.h"

#include <cstring>
#include <thread>
#include <utility>

namespace grace::ingest {
namespace {

// Relaxed: the publisher's thread alone writes them, and readers want figures, not an order.
void add_to(std::atomic<std::uint64_t>& figure, std::uint64_t count) noexcept {
  figure.store(figure.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

}  // namespace

Publisher::Publisher(std::unique_ptr<PublishRing> ring, const PublishLimits& limits)
    : ring_(std::move(ring)),
      align_bytes_(limits.align_bytes),
      event_bytes_max_(limits.event_bytes_max) {}

Publisher& Publisher::operator=(Publisher&& other) noexcept {
  if (this == &other) return *this;
  end();
  ring_ = std::move(other.ring_);
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
  ring_->writer.end();
  ring_.reset();
}

std::uint64_t Publisher::published_now() const noexcept {
  return ring_->figures.published.load(std::memory_order_relaxed);  // relaxed: written here
}

PublishStatus Publisher::refuse(PublishStatus status) noexcept {
  if (status == PublishStatus::kFull && (ring_->writer.closed() || ring_->is_abandoned())) {
    status = PublishStatus::kClosed;
  }
  auto& figures = ring_->figures;
  add_to(status == PublishStatus::kFull     ? figures.full
         : status == PublishStatus::kClosed ? figures.closed
                                            : figures.too_large,
         1);
  return status;
}

// Without room, what is pending is handed over: the engine can only free what it was told of.
char* Publisher::claim(std::size_t bytes) noexcept {
  char* record = ring_->writer.claim(bytes);
  if (record != nullptr || pending_ == 0) return record;
  if (flush() != PublishStatus::kOk) return nullptr;
  return ring_->writer.claim(bytes);
}

PublishStatus Publisher::commit(char* record, std::size_t size) noexcept {
  const std::size_t rounded_size = rounded(size);
  if (rounded_size != size) {
    std::memset(record + size, 0, rounded_size - size);
    const auto size_bytes = static_cast<std::uint32_t>(rounded_size);
    std::memcpy(record, &size_bytes, sizeof size_bytes);  // PackedHeader's first field
  }
  ring_->writer.commit(rounded_size);
  ++pending_;
  if (ring_->writer.pending_bytes() >= kBatchBytes) return flush();
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
  const std::size_t bytes = ring_->writer.pending_bytes();
  const std::uint64_t count = std::exchange(pending_, 0);
  auto& figures = ring_->figures;
  if (!ring_->writer.flush()) {
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

}  // namespace grace::ingest
