#include "grace/parse/dead_letter_file.h"

#include <fcntl.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

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
  if (config.queue_lines_max == 0) return wrong("queue_lines_max");
  return config;
}

// Producers: take mutex_, count, copy the line into queue_. The writer takes what is queued in one
// go and writes without the lock; it alone touches file_ and its sizes.
class DeadLetterFile::Impl {
 public:
  Impl(DeadLetterConfig config, int file, std::uint64_t file_bytes, std::uint64_t file_lines)
      : config_(std::move(config)),
        file_(file),
        file_bytes_(file_bytes),
        file_lines_(file_lines),
        tokens_(config_.lines_per_second_max),
        refilled_(Clock::now()) {
    writer_ = std::thread([this] { write_loop(); });
  }
  ~Impl() {
    close();
    if (file_ >= 0) ::close(file_);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void offer(const Reject& reject, std::string_view source_name);
  void close();
  [[nodiscard]] DeadLetterCounters counters() const {
    const std::lock_guard lock(mutex_);
    return counters_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool take_token();  // mutex_ is held
  void write_loop();
  void write_batch(const std::deque<Letter>& batch);
  [[nodiscard]] int write_all(std::string_view bytes);  // 0, or errno

  const DeadLetterConfig config_;
  // Writer's own.
  const int file_;
  std::uint64_t file_bytes_;
  std::uint64_t file_lines_;
  // Under mutex_.
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Letter> queue_;
  DeadLetterCounters counters_;
  bool closing_ = false;
  bool bound_reached_ = false;  // nothing more will fit: do not copy lines for it
  double tokens_;
  Clock::time_point refilled_;
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

void DeadLetterFile::Impl::offer(const Reject& reject, std::string_view source_name) {
  {
    const std::lock_guard lock(mutex_);
    ++counters_.offered;
    if (bound_reached_ || closing_) {
      ++counters_.dropped_by_bound;
      return;
    }
    if (!take_token()) {
      ++counters_.dropped_by_rate;
      return;
    }
    if (queue_.size() >= config_.queue_lines_max) {
      ++counters_.dropped_by_queue;
      return;
    }
    Letter& letter = queue_.emplace_back();
    letter.reason = reject.reason;
    letter.sequence = reject.sequence;
    letter.size_bytes = reject.line.size();
    letter.source = source_name;
    letter.line = reject.line.substr(0, config_.line_copy_bytes_max);
  }
  wake_.notify_one();
}

void DeadLetterFile::Impl::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  if (writer_.joinable()) writer_.join();
}

void DeadLetterFile::Impl::write_loop() {
  for (;;) {
    std::deque<Letter> batch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    write_batch(batch);
  }
}

void DeadLetterFile::Impl::write_batch(const std::deque<Letter>& batch) {
  DeadLetterCounters done;
  bool bound_reached = false;
  for (const Letter& letter : batch) {
    if (file_ < 0) {
      ++done.dropped_by_bound;
      continue;
    }
    const std::string text = to_json_line(letter);
    if (file_lines_ >= config_.lines_max || file_bytes_ + text.size() > config_.file_bytes_max) {
      bound_reached = true;
      ++done.dropped_by_bound;
      continue;
    }
    if (const int error = write_all(text); error != 0) {
      ++done.failed;
      done.last_os_error = error;
      continue;
    }
    ++file_lines_;
    file_bytes_ += text.size();
    ++done.written;
  }
  const std::lock_guard lock(mutex_);
  counters_.written += done.written;
  counters_.dropped_by_bound += done.dropped_by_bound;
  counters_.failed += done.failed;
  if (done.last_os_error != 0) counters_.last_os_error = done.last_os_error;
  bound_reached_ = bound_reached_ || bound_reached;
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
void DeadLetterFile::offer(const Reject& reject, std::string_view source_name) {
  impl_->offer(reject, source_name);
}
void DeadLetterFile::close() {
  impl_->close();
}
DeadLetterCounters DeadLetterFile::counters() const {
  return impl_->counters();
}

}  // namespace grace::parse
