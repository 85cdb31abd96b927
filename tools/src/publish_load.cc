#include "publish_load.h"

#include <sys/prctl.h>

#include <algorithm>
#include <utility>
#include <variant>

namespace grace::tools {
namespace {

// Handed over together at most: so that the first of many that are due does not wait for the last.
constexpr std::uint64_t kBatchEventsMax = 256;
// While the ring is full, or nothing is due for long.
constexpr std::chrono::microseconds kLookAgain{20};
constexpr std::chrono::milliseconds kSleepMax{1};

std::size_t packed_bytes(const TypedEvents::Event& event, std::vector<std::uint64_t>& words) {
  return std::visit(
      [&](const auto& typed) -> std::size_t {
        const auto bound = core::packed_bound(typed);
        if (!bound) return 0;
        words.resize(*bound / sizeof(std::uint64_t) + 1);
        // Bytes may alias any object; words, because a record lies on 8.
        return core::pack(typed, reinterpret_cast<char*>(words.data()));
      },
      event);
}

}  // namespace

PublishStream::PublishStream(const LoadStream& stream) : stream_(stream), events_(stream.text()) {}

core::Result<std::unique_ptr<PublishStream>> PublishStream::of(const LoadStream& stream) {
  std::unique_ptr<PublishStream> made(new PublishStream(stream));
  const auto invalid = [](const std::string& message) {
    return core::make_error(core::ErrorCode::kInvalidArgument, message);
  };
  const auto& events = made->events_.events();
  if (events.size() != stream.line_count()) return invalid("a blank line cannot be published");
  std::vector<std::uint64_t> words;
  for (const TypedEvents::Event& event : events) {
    const std::size_t bytes = packed_bytes(event, words);
    if (bytes == 0 || bytes > ingest::PublishConfig{}.event_bytes_max) {
      return invalid("event " + std::to_string(made->record_bytes_.size() + 1) +
                     " is too large to be published");
    }
    made->record_bytes_.push_back(static_cast<std::uint32_t>(bytes));
  }
  return made;
}

ingest::PublishStatus PublishStream::add(std::uint64_t arrival, std::int64_t ts_ns,
                                         Publisher& publisher, std::string& scratch) const {
  return std::visit(
      [&](auto event) {
        if constexpr (std::is_same_v<decltype(event), core::JsonLine>) {
          scratch.resize(stream_.line(arrival).size());
          event.text = {scratch.data(), stream_.write(arrival, ts_ns, scratch.data()) - 1};
        } else {
          if (event.ts_ns) event.ts_ns = ts_ns;
        }
        return publisher.add(event);
      },
      events_.events()[stream_.index_of(arrival)]);
}

PublishLoad::PublishLoad(const PublishStream& stream, const harness::ArrivalConfig& arrivals,
                         const harness::LoadSpan& span, const LoadClock& timing,
                         core::SpscRing<SentBatch>& batches,
                         std::unique_ptr<ingest::PublishSource> source, Publisher publisher)
    : stream_(stream),
      span_(span),
      timing_(timing),
      batches_(batches),
      source_(std::move(source)),
      publisher_(std::move(publisher)),
      schedule_(arrivals),
      next_ns_(schedule_.next_ns()) {}

PublishLoad::~PublishLoad() {
  stop();
}

std::uint64_t PublishLoad::stop() {
  stopped_.store(true, std::memory_order_relaxed);  // relaxed: a flag, nothing is handed over
  if (thread_.joinable()) thread_.join();
  return published_;
}

core::Result<std::unique_ptr<PublishLoad>> PublishLoad::create(
    const PublishStream& stream, const harness::ArrivalConfig& arrivals,
    const harness::LoadSpan& span, const LoadClock& timing, core::SpscRing<SentBatch>& batches) {
  ingest::PublishConfig config;
  config.name = "load";
  config.end_with_publishers = true;
  config.operator_allowed = true;
  auto source = ingest::PublishSource::create(config);
  if (!source) return tl::unexpected<core::Error>(source.error());
  auto publisher = (*source)->publisher();
  if (!publisher) return tl::unexpected<core::Error>(publisher.error());
  return std::unique_ptr<PublishLoad>(new PublishLoad(stream, arrivals, span, timing, batches,
                                                      std::move(*source), std::move(*publisher)));
}

void PublishLoad::start() {
  thread_ = std::thread([this] { run(); });
}

void PublishLoad::run() {
  // What is due wakes the thread when it is, not up to 50 us later.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  // Relaxed: see stop().
  while (next_ns_ < span_.end_ns() && !stopped_.load(std::memory_order_relaxed)) {
    const std::int64_t now_ns = clock_.monotonic_ns() - timing_.begin_ns;
    const std::chrono::nanoseconds early(next_ns_ - now_ns);
    if (early.count() > 0) {
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(early, kSleepMax));
    } else if (!publish_due(now_ns)) {
      break;
    }
  }
  published_ = publisher_.figures().published;
  // The source ends with its publisher.
  const Publisher ended = std::move(publisher_);
}

// False: the source takes nothing any more.
bool PublishLoad::publish_due(std::int64_t now_ns) {
  if (batches_.claim(1).empty()) {
    std::this_thread::sleep_for(kLookAgain);
    return true;
  }
  SentBatch batch;
  batch.sent_ns = now_ns;
  ingest::PublishStatus status = ingest::PublishStatus::kOk;
  while (next_ns_ <= now_ns && next_ns_ < span_.end_ns() && batch.count < kBatchEventsMax) {
    const std::uint64_t arrival = sent_ + batch.count;
    status = stream_.add(arrival, timing_.event_ns(arrival), publisher_, scratch_);
    if (status != ingest::PublishStatus::kOk) break;
    sequence_ += stream_.record_bytes(arrival);
    ++batch.count;
    next_ns_ = schedule_.next_ns();
  }
  const bool open =
      publisher_.flush() == ingest::PublishStatus::kOk &&
      (status == ingest::PublishStatus::kOk || status == ingest::PublishStatus::kFull);
  if (!open) return false;  // nothing of a batch that was refused is counted as sent
  if (batch.count > 0) {
    sent_ += batch.count;
    batch.end_sequence = sequence_;
    batch.took_ns = clock_.monotonic_ns() - timing_.begin_ns - now_ns;
    static_cast<void>(batches_.try_push(batch));  // there is room: only this thread pushes
  } else {
    std::this_thread::sleep_for(kLookAgain);  // full: the engine has to take some first
  }
  return true;
}

}  // namespace grace::tools
