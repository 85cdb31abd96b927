#include "grace/ingest/socket_source.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include "decoder.h"
#include "grace/core/time.h"
#include "lines.h"
#include "socket_listener.h"

namespace grace::ingest {
namespace {

constexpr std::uint64_t kListenerId = UINT64_MAX;
constexpr std::size_t kAcceptsPerRead = 16;
constexpr std::int64_t kSweepPeriodNs = core::kNsPerSecond / 10;
// After accept() failed for want of descriptors: level-triggered epoll would report it without end.
constexpr std::int64_t kAcceptPauseNs = core::kNsPerSecond / 10;

struct Connection {
  UniqueFd fd;
  LineBuffer buffer;
  std::int64_t received_ns = 0;    // when bytes came last
  std::int64_t line_since_ns = 0;  // when the unfinished line began
  bool queued = false;             // in ready_
};

std::int64_t to_ns(std::chrono::milliseconds duration) {
  return std::chrono::nanoseconds(duration).count();
}

}  // namespace

// Connections live in slots that are used again; epoll events carry the slot's index. ready_ holds
// the slots that epoll reported and that were not served yet, each once, in order: whoever was
// served goes behind all others that are ready.
class SocketSource::Impl {
 public:
  Impl(Listener listener, UniqueFd epoll, const SocketLimits& limits, const core::Clock& clock)
      : limits_(limits),
        clock_(clock),
        listener_(std::move(listener)),
        epoll_(std::move(epoll)),
        connections_(limits.connections_max) {}

  [[nodiscard]] bool watch(int fd, std::uint64_t id) const {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP;
    event.data.u64 = id;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }
  [[nodiscard]] std::uint16_t port() const noexcept { return listener_.port(); }
  void bind_to(SocketSource& source) { source_ = &source; }

  ReadStatus read(core::Chunk& chunk, const ReadLimits& limits);
  void request_stop() {
    stopped_ = true;
    listener_.close();
    ready_.clear();
  }

 private:
  enum class Served : std::uint8_t { kNothing, kProgress, kPublish };

  // True: every connection that has something to read is in ready_.
  bool poll();
  void accept_some();
  Served serve(std::size_t index, core::Chunk& chunk, const ReadLimits& limits);
  // Hands on the unfinished line and closes. True: publish the chunk.
  bool close(std::size_t index, core::Chunk& chunk);
  ReadStatus drain(core::Chunk& chunk);
  bool sweep(core::Chunk& chunk);
  [[nodiscard]] bool timed_out(const Connection& connection) const;
  static void count(std::atomic<std::uint64_t>& counter) {
    counter.fetch_add(1, std::memory_order_relaxed);  // relaxed: a statistic
  }

  SocketLimits limits_;
  const core::Clock& clock_;
  Listener listener_;
  UniqueFd epoll_;
  SocketSource* source_ = nullptr;  // owns this
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<std::size_t> ready_;
  std::size_t open_count_ = 0;
  std::int64_t now_ns_ = 0;
  std::int64_t next_sweep_ns_ = 0;
  std::int64_t accept_after_ns_ = 0;
  bool stopped_ = false;
};

bool SocketSource::Impl::poll() {
  std::array<epoll_event, 128> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
    if (id == kListenerId) {
      if (now_ns_ >= accept_after_ns_) accept_some();
      continue;
    }
    Connection* connection = connections_[id].get();
    if (connection == nullptr || connection->queued) continue;
    connection->queued = true;
    ready_.push_back(id);
  }
  return count >= 0 && static_cast<std::size_t>(count) < events.size();
}

void SocketSource::Impl::accept_some() {
  SourceCounters& counters = source_->counters_;
  for (std::size_t i = 0; i < kAcceptsPerRead; ++i) {
    UniqueFd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
      source_->report(io_error(source_->traits_.name + ": accept", errno).value());
      count(counters.connections_refused);
      accept_after_ns_ = now_ns_ + kAcceptPauseNs;
      return;
    }
    std::size_t index = 0;
    while (index < connections_.size() && connections_[index] != nullptr) ++index;
    if (index == connections_.size() || !watch(fd.get(), index)) {
      count(counters.connections_refused);
      continue;  // closed at once, so that the sender knows
    }
    connections_[index] = std::make_unique<Connection>();
    connections_[index]->fd = std::move(fd);
    connections_[index]->received_ns = now_ns_;
    ++open_count_;
    count(counters.connections_accepted);
    counters.connections_open.store(open_count_, std::memory_order_relaxed);  // relaxed: statistic
  }
}

SocketSource::Impl::Served SocketSource::Impl::serve(std::size_t index, core::Chunk& chunk,
                                                     const ReadLimits& limits) {
  Connection& connection = *connections_[index];
  const ssize_t received =
      ::recv(connection.fd.get(), connection.buffer.room(), kReadBytes, MSG_DONTWAIT);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return Served::kNothing;
  if (received <= 0) {
    // A reset is how senders commonly go; anything else is worth telling.
    if (received < 0 && errno != ECONNRESET) {
      source_->report(io_error(source_->traits_.name, errno).value());
    }
    return close(index, chunk) ? Served::kPublish : Served::kProgress;
  }
  connection.received_ns = now_ns_;
  const std::uint32_t before = chunk.size_bytes;
  const bool held = connection.buffer.holds_unfinished_line();
  const bool publish =
      connection.buffer.received(static_cast<std::size_t>(received), chunk, limits);
  if (!held || chunk.size_bytes > before) connection.line_since_ns = now_ns_;
  return publish ? Served::kPublish : Served::kProgress;
}

bool SocketSource::Impl::close(std::size_t index, core::Chunk& chunk) {
  const bool publish = connections_[index]->buffer.finish(chunk);
  connections_[index].reset();  // closing the descriptor takes it out of the epoll set
  --open_count_;
  count(source_->counters_.connections_closed);
  // Relaxed: a statistic.
  source_->counters_.connections_open.store(open_count_, std::memory_order_relaxed);
  return publish;
}

ReadStatus SocketSource::Impl::drain(core::Chunk& chunk) {
  // Whole lines were handed on when they were received; only unfinished ones are left.
  for (std::size_t index = 0; index < connections_.size(); ++index) {
    if (connections_[index] == nullptr) continue;
    if (connections_[index]->buffer.needs_empty_chunk() && chunk.size_bytes > 0) {
      return ReadStatus::kFull;
    }
    if (close(index, chunk)) return ReadStatus::kFull;
  }
  return ReadStatus::kEnded;
}

bool SocketSource::Impl::timed_out(const Connection& connection) const {
  const std::int64_t idle_ns = to_ns(limits_.idle_timeout);
  const std::int64_t line_ns = to_ns(limits_.line_timeout);
  if (idle_ns > 0 && now_ns_ - connection.received_ns > idle_ns) return true;
  return line_ns > 0 && connection.buffer.holds_unfinished_line() &&
         now_ns_ - connection.line_since_ns > line_ns;
}

// Only connections that have nothing to read now: while chunks were short, their bytes waited for
// us and not we for them.
bool SocketSource::Impl::sweep(core::Chunk& chunk) {
  for (std::size_t index = 0; index < connections_.size(); ++index) {
    const Connection* connection = connections_[index].get();
    if (connection == nullptr || connection->queued || !timed_out(*connection)) continue;
    if (connection->buffer.needs_empty_chunk() && chunk.size_bytes > 0) return true;
    count(source_->counters_.connections_timed_out);
    if (close(index, chunk)) return true;
  }
  next_sweep_ns_ = now_ns_ + kSweepPeriodNs;
  return false;
}

ReadStatus SocketSource::Impl::read(core::Chunk& chunk, const ReadLimits& limits) {
  if (stopped_) return drain(chunk);
  now_ns_ = clock_.monotonic_ns();
  const bool all_seen = ready_.empty() && poll();
  if (all_seen && now_ns_ >= next_sweep_ns_ && sweep(chunk)) return ReadStatus::kFull;
  bool progress = false;
  while (!ready_.empty()) {
    const std::size_t index = ready_.front();
    if (chunk.size_bytes >= limits.target_bytes ||
        (connections_[index]->buffer.needs_empty_chunk() && chunk.size_bytes > 0)) {
      return ReadStatus::kFull;  // it stays the first of the next chunk
    }
    ready_.pop_front();
    connections_[index]->queued = false;
    const Served served = serve(index, chunk, limits);
    if (served == Served::kPublish) return ReadStatus::kFull;
    progress = progress || served == Served::kProgress;
  }
  return progress ? ReadStatus::kMore : ReadStatus::kIdle;
}

SocketSource::SocketSource(SourceTraits traits, std::unique_ptr<Impl> impl)
    : Source(std::move(traits)), impl_(std::move(impl)) {
  impl_->bind_to(*this);
}
SocketSource::~SocketSource() = default;

core::Result<std::unique_ptr<SocketSource>> SocketSource::make(SourceTraits traits,
                                                               Listener listener,
                                                               const SocketLimits& limits,
                                                               const core::Clock& clock) {
  if (limits.connections_max < 1 || limits.connections_max > 65'536) {
    return core::make_error(
        core::ErrorCode::kInvalidArgument,
        "connections_max: " + std::to_string(limits.connections_max) + " is not in 1 to 65536");
  }
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return io_error("epoll_create1", errno);
  const int fd = listener.fd();
  auto impl = std::make_unique<Impl>(std::move(listener), std::move(epoll), limits, clock);
  if (!impl->watch(fd, kListenerId)) return io_error("epoll_ctl", errno);
  traits.live = true;
  return std::unique_ptr<SocketSource>(new SocketSource(std::move(traits), std::move(impl)));
}

core::Result<std::unique_ptr<SocketSource>> SocketSource::listen_tcp(const TcpSourceConfig& config,
                                                                     const core::Clock& clock) {
  auto listener = Listener::tcp(config.address, config.port);
  if (!listener) return tl::unexpected<core::Error>(listener.error());
  SourceTraits traits;
  traits.name = "tcp:" + config.address + ":" + std::to_string(listener->port());
  traits.kind = core::SourceKind::kTcp;
  traits.operator_allowed = config.operator_allowed;
  return make(std::move(traits), std::move(*listener), config.limits, clock);
}

core::Result<std::unique_ptr<SocketSource>> SocketSource::listen_unix(
    const UnixSourceConfig& config, const core::Clock& clock) {
  auto listener = Listener::unix_path(config.path);
  if (!listener) return tl::unexpected<core::Error>(listener.error());
  SourceTraits traits;
  traits.name = "unix:" + config.path;
  traits.kind = core::SourceKind::kUnix;
  traits.operator_allowed = config.operator_allowed;
  return make(std::move(traits), std::move(*listener), config.limits, clock);
}

ReadStatus SocketSource::read(core::Chunk& chunk, const ReadLimits& limits) {
  return impl_->read(chunk, limits);
}
void SocketSource::request_stop() {
  impl_->request_stop();
}
std::uint16_t SocketSource::port() const noexcept {
  return impl_->port();
}

}  // namespace grace::ingest
