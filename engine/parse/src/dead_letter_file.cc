#include "grace/parse/dead_letter_file.h"

#include <fcntl.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "grace/core/fanin_queue.h"
#include "grace/core/json_writer.h"

namespace grace::parse {
namespace {

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      word = word << 8 | (k < left ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out.push_back(k <= left ? kDigits[word >> (18 - 6 * k) & 63] : '=');
    }
  }
  return out;
}

struct Letter {
  RejectReason reason = RejectReason::kMalformedJson;
  std::uint64_t sequence = 0;
  std::size_t size_bytes = 0;  // of the line as received
  std::string source;
  std::string line;  // its first line_copy_bytes_max bytes
};

using LetterQueue = core::FaninQueue<Letter>;

// How long the writer sleeps when nothing is queued, and an offering worker when the queue is full.
constexpr std::chrono::milliseconds kIdleWait{2};
constexpr std::chrono::microseconds kFullWait{50};

std::string to_json_line(const Letter& letter) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  json.field("source", letter.source).field("offset", letter.sequence);
  json.field("reason", to_string(letter.reason));
  json.field("size", static_cast<std::uint64_t>(letter.size_bytes));
  if (letter.line.size() < letter.size_bytes) json.field("cut", true);
  json.field("line", letter.line);
  if (!simdjson::validate_utf8(letter.line)) json.field("base64", base64(letter.line));
  json.end_object();
  out.push_back('\n');
  return out;
}

}  // namespace

core::Result<DeadLetterConfig> validated(DeadLetterConfig config) {
  const auto wrong = [](const std::string& field) {
    return core::make_error(core::ErrorCode::kConfig, "dead_letter." + field + " must be over 0");
  };
  if (config.lines_max == 0) return wrong("lines_max");
  if (config.file_bytes_max == 0) return wrong("file_bytes_max");
  if (config.line_copy_bytes_max == 0) return wrong("line_copy_bytes_max");
  if (config.queue_lines_max == 0 || config.queue_lines_max > LetterQueue::kDepthMax) {
    return core::make_error(core::ErrorCode::kConfig, "dead_letter.queue_lines_max must be 1 to " +
                                                          std::to_string(LetterQueue::kDepthMax));
  }
  if (config.producers_max == 0) return wrong("producers_max");
  return config;
}

// Producers copy lines into queue_; the writer's thread takes them out, and alone touches the file,
// its sizes and the tokens. Counters are relaxed throughout: each is a sum of its own, exact when
// the threads that add to it have stopped.
class DeadLetterFile::Impl {
 public:
  Impl(DeadLetterConfig config, int file, std::uint64_t file_bytes, std::uint64_t file_lines)
      : config_(std::move(config)),
        file_(file),
        file_bytes_(file_bytes),
        file_lines_(file_lines),
        tokens_(config_.lines_per_second_max),
        refilled_(Clock::now()),
        queue_(config_.queue_lines_max, config_.producers_max) {
    writer_ = std::thread([this] { write_loop(); });
  }
  ~Impl() {
    close();
    if (file_ >= 0) ::close(file_);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void offer(LetterQueue::Producer& producer, const Reject& reject, std::string_view source_name);
  void close();
  [[nodiscard]] LetterQueue& queue() noexcept { return queue_; }
  [[nodiscard]] DeadLetterCounters counters() const;

 private:
  using Clock = std::chrono::steady_clock;
  using Counter = std::atomic<std::uint64_t>;

  // Relaxed: see the class.
  static void add(Counter& counter) { counter.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] bool take_token();
  void write_loop();
  void write(const Letter& letter);
  [[nodiscard]] int write_all(std::string_view bytes);  // 0, or errno

  const DeadLetterConfig config_;
  // Writer's own.
  const int file_;
  std::uint64_t file_bytes_;
  std::uint64_t file_lines_;
  double tokens_;
  Clock::time_point refilled_;

  LetterQueue queue_;
  Counter offered_{0}, written_{0}, dropped_by_bound_{0}, dropped_by_rate_{0}, dropped_by_queue_{0},
      failed_{0};
  std::atomic<int> last_os_error_{0};
  // [CLOSING] release in close(), acquire in the writer: what was offered before close() is queued.
  std::atomic<bool> closing_{false};
  // Relaxed: a hint that nothing more will fit, so that lines need not be copied for nothing.
  std::atomic<bool> bound_reached_{false};
  std::thread writer_;
};

// Token bucket of one second's worth. The clock here decides only what a person gets to see, never
// what the engine does.
bool DeadLetterFile::Impl::take_token() {
  if (config_.lines_per_second_max == 0) return true;
  const double rate = config_.lines_per_second_max;
  if (tokens_ < 1.0) {
    const Clock::time_point now = Clock::now();
    tokens_ =
        std::min(rate, tokens_ + rate * std::chrono::duration<double>(now - refilled_).count());
    refilled_ = now;
    if (tokens_ < 1.0) return false;
  }
  tokens_ -= 1.0;
  return true;
}

void DeadLetterFile::Impl::offer(LetterQueue::Producer& producer, const Reject& reject,
                                 std::string_view source_name) {
  add(offered_);
  // Relaxed: see the members; an offer during close() may be counted either way.
  if (bound_reached_.load(std::memory_order_relaxed) || closing_.load(std::memory_order_relaxed)) {
    return add(dropped_by_bound_);
  }
  Letter letter;
  letter.reason = reject.reason;
  letter.sequence = reject.sequence;
  letter.size_bytes = reject.line.size();
  letter.source = source_name;
  letter.line = reject.line.substr(0, config_.line_copy_bytes_max);
  while (!producer.try_push(std::move(letter))) {
    if (!config_.wait_when_full) return add(dropped_by_queue_);
    std::this_thread::sleep_for(kFullWait);
  }
}

void DeadLetterFile::Impl::close() {
  closing_.store(true, std::memory_order_release);  // [CLOSING] release: see the member
  if (writer_.joinable()) writer_.join();
}

DeadLetterCounters DeadLetterFile::Impl::counters() const {
  const auto get = [](const Counter& counter) {
    return counter.load(std::memory_order_relaxed);  // relaxed: see the class
  };
  DeadLetterCounters out;
  out.offered = get(offered_);
  out.written = get(written_);
  out.dropped_by_bound = get(dropped_by_bound_);
  out.dropped_by_rate = get(dropped_by_rate_);
  out.dropped_by_queue = get(dropped_by_queue_);
  out.failed = get(failed_);
  out.last_os_error = last_os_error_.load(std::memory_order_relaxed);  // relaxed: see the class
  return out;
}

void DeadLetterFile::Impl::write_loop() {
  std::array<Letter, 64> batch;
  for (;;) {
    // [CLOSING] acquire, and before looking into the queue: an empty queue seen after it is final.
    const bool closing = closing_.load(std::memory_order_acquire);
    const std::size_t count = queue_.try_pop_batch(batch);
    for (std::size_t i = 0; i < count; ++i) write(batch[i]);
    if (count > 0) continue;
    if (closing) return;
    std::this_thread::sleep_for(kIdleWait);
  }
}

void DeadLetterFile::Impl::write(const Letter& letter) {
  if (file_ < 0) return add(dropped_by_bound_);
  const std::string text = to_json_line(letter);
  if (file_lines_ >= config_.lines_max || file_bytes_ + text.size() > config_.file_bytes_max) {
    bound_reached_.store(true, std::memory_order_relaxed);  // relaxed: see the member
    return add(dropped_by_bound_);
  }
  if (!take_token()) return add(dropped_by_rate_);
  if (const int error = write_all(text); error != 0) {
    last_os_error_.store(error, std::memory_order_relaxed);  // relaxed: see the class
    return add(failed_);
  }
  ++file_lines_;
  file_bytes_ += text.size();
  add(written_);
}

// A half-written line is taken back, so that the file stays NDJSON when the disk was full.
int DeadLetterFile::Impl::write_all(std::string_view bytes) {
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t result = ::write(file_, bytes.data() + written, bytes.size() - written);
    if (result < 0 && errno == EINTR) continue;
    if (result <= 0) {
      const int error = result < 0 ? errno : EIO;
      if (written != 0 && ::ftruncate(file_, static_cast<off_t>(file_bytes_)) != 0) return errno;
      return error;
    }
    written += static_cast<std::size_t>(result);
  }
  return 0;
}

core::Result<std::unique_ptr<DeadLetterFile>> DeadLetterFile::open(DeadLetterConfig config) {
  auto valid = validated(std::move(config));
  if (!valid) return tl::unexpected<core::Error>(valid.error());
  int file = -1;
  std::uint64_t file_bytes = 0;
  std::uint64_t file_lines = 0;
  if (!valid->path.empty()) {
    file = ::open(valid->path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    struct stat status {};
    if (file < 0 || ::fstat(file, &status) != 0) {
      const int error = errno;
      if (file >= 0) ::close(file);
      return core::make_error(core::ErrorCode::kIo, valid->path + ": " + std::strerror(error),
                              error);
    }
    // Bounds hold for the file, not for this process: count what is there.
    char block[65536];
    ssize_t got = 0;
    while (S_ISREG(status.st_mode) &&
           (got = ::pread(file, block, sizeof block, static_cast<off_t>(file_bytes))) > 0) {
      file_bytes += static_cast<std::uint64_t>(got);
      file_lines += static_cast<std::uint64_t>(std::count(block, block + got, '\n'));
    }
  }
  auto impl = std::make_unique<Impl>(std::move(*valid), file, file_bytes, file_lines);
  return std::unique_ptr<DeadLetterFile>(new DeadLetterFile(std::move(impl)));
}

DeadLetterFile::DeadLetterFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DeadLetterFile::~DeadLetterFile() = default;

class DeadLetterFile::Producer::Handle {
 public:
  explicit Handle(Impl& impl) : impl_(impl), producer_(impl.queue()) {}
  void offer(const Reject& reject, std::string_view source_name) {
    impl_.offer(producer_, reject, source_name);
  }

 private:
  Impl& impl_;
  LetterQueue::Producer producer_;
};

DeadLetterFile::Producer::Producer(DeadLetterFile& file)
    : handle_(std::make_unique<Handle>(*file.impl_)) {}
DeadLetterFile::Producer::~Producer() = default;
void DeadLetterFile::Producer::offer(const Reject& reject, std::string_view source_name) {
  handle_->offer(reject, source_name);
}

void DeadLetterFile::close() {
  impl_->close();
}
DeadLetterCounters DeadLetterFile::counters() const {
  return impl_->counters();
}

}  // namespace grace::parse
