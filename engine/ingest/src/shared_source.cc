#include "grace/ingest/shared_source.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "decoder.h"
#include "grace/core/chunk.h"
#include "grace/ingest/shared_ring.h"
#include "packed_take.h"
#include "socket_listener.h"

namespace grace::ingest {
namespace {

constexpr std::uint32_t kReadsPerLook = 256;
constexpr int kAcceptsPerLook = 16;

SourceTraits traits_of(const SharedSourceConfig& config) {
  SourceTraits traits;
  traits.name = "shared:" + config.path;
  traits.kind = core::SourceKind::kShared;
  traits.operator_allowed = config.operator_allowed;
  traits.live = true;
  return traits;
}

// A ring's memory: ours to map, the producer's to write.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* memory, std::size_t bytes) noexcept : memory_(memory), bytes_(bytes) {}
  Mapping(Mapping&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping() {
    if (memory_ != nullptr) ::munmap(memory_, bytes_);
  }
  [[nodiscard]] void* memory() const noexcept { return memory_; }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

// Sealed before anybody else has it: its size stays.
core::Result<Mapping> make_ring(const SharedSourceConfig& config, UniqueFd& fd) {
  const std::size_t bytes = SharedRingHeader::kMemoryOffset + config.ring_bytes;
  fd = UniqueFd(::memfd_create("grace_ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return io_error(config.path + ": a producer's ring", errno);
  }
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return io_error(config.path + ": a producer's ring", errno);
  auto* const header = new (memory) SharedRingHeader;
  header->event_bytes_max = static_cast<std::uint32_t>(config.event_bytes_max);
  header->ring_bytes = config.ring_bytes;
  return Mapping(memory, bytes);
}

// One message; a producer that cannot take these few bytes at once gets none.
bool send_hello(int connection, SharedAnswer answer, int memory) noexcept {
  SharedHello hello;
  hello.answer = answer;
  iovec part{&hello, sizeof hello};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (memory >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &memory, sizeof memory);
  }
  return ::sendmsg(connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof hello;
}

// The kernel's word for who connected.
bool is_permitted(int connection) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

struct Producer {
  Producer(UniqueFd fd, Mapping memory, const SharedSourceConfig& config) noexcept
      : connection(std::move(fd)),
        mapping(std::move(memory)),
        reader(static_cast<SharedRingHeader*>(mapping.memory())->state,
               static_cast<const char*>(mapping.memory()) + SharedRingHeader::kMemoryOffset,
               config.ring_bytes) {}

  // The connection has ended. Producers have nothing to say: bytes are read and forgotten.
  [[nodiscard]] bool has_hung_up() const noexcept {
    char forgotten[256];
    const ssize_t got = ::recv(connection.get(), forgotten, sizeof forgotten, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  }
  void close(std::size_t ring_bytes) noexcept {
    if (closing) return;
    closing = true;
    left_bytes = ring_bytes;
    reader.close();
  }

  UniqueFd connection;
  Mapping mapping;
  core::PackedRingReader reader;
  bool closing = false;        // has ended, or is to end
  bool done = false;           // nothing more is read
  std::size_t left_bytes = 0;  // while closing: what is read at most
};

}  // namespace

core::Result<SharedSourceConfig> validated(SharedSourceConfig config) {
  const auto invalid = [](const std::string& field, std::size_t value, const std::string& rule) {
    return core::make_error(
        core::ErrorCode::kInvalidArgument,
        "shared_memory_" + field + ": " + std::to_string(value) + " is not " + rule);
  };
  if (!std::has_single_bit(config.ring_bytes) || config.ring_bytes < 4096 ||
      config.ring_bytes > std::size_t{1} << 30) {
    return invalid("ring_bytes", config.ring_bytes, "a power of two from 4 KiB to 1 GiB");
  }
  if (config.event_bytes_max < 256 || config.event_bytes_max > config.ring_bytes / 2 ||
      config.event_bytes_max % core::kPackedAlignBytes != 0) {
    return invalid("event_bytes_max", config.event_bytes_max,
                   "a multiple of 8 from 256 to half of ring_bytes");
  }
  if (config.producers_max < 1 || config.producers_max > 1024) {
    return invalid("producers_max", config.producers_max, "1 to 1024");
  }
  return config;
}

class SharedSource::Impl {
 public:
  Impl(SharedSourceConfig with, Listener listening)
      : config(std::move(with)), listener(std::move(listening)) {
    producers.reserve(config.producers_max);
  }

  // Who came, and who went. Gives what went wrong for the source to report.
  core::Result<void> look(SourceCounters& counters) {
    reads_since_look = 0;
    for (Producer& producer : producers) {
      if (!producer.closing && producer.has_hung_up()) producer.close(config.ring_bytes);
    }
    core::Result<void> first;
    for (int i = 0; i < kAcceptsPerLook && !stopped; ++i) {
      UniqueFd connection(::accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!connection.valid()) break;
      auto welcomed = welcome(std::move(connection), counters);
      if (first && !welcomed) first = std::move(welcomed);
    }
    return first;
  }

  core::Result<void> welcome(UniqueFd connection, SourceCounters& counters) {
    const auto refuse = [&](SharedAnswer answer) {
      static_cast<void>(send_hello(connection.get(), answer, -1));
      // Relaxed: a statistic.
      counters.connections_refused.fetch_add(1, std::memory_order_relaxed);
    };
    if (!is_permitted(connection.get())) {
      refuse(SharedAnswer::kForbidden);
      return {};
    }
    if (producers.size() >= config.producers_max) {
      refuse(SharedAnswer::kTooMany);
      return {};
    }
    UniqueFd memory;
    auto ring = make_ring(config, memory);
    if (!ring) {
      refuse(SharedAnswer::kFailed);
      return tl::unexpected<core::Error>(ring.error());
    }
    // Relaxed: statistics.
    counters.connections_accepted.fetch_add(1, std::memory_order_relaxed);
    if (!send_hello(connection.get(), SharedAnswer::kOk, memory.get())) {
      counters.connections_closed.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    producers.emplace_back(std::move(connection), std::move(*ring), config);
    return {};
  }

  // A producer's turn. True: the chunk is full.
  bool read_one(Producer& producer, core::Chunk& chunk, const ReadLimits& limits,
                SourceCounters& counters) {
    const auto taken = take_turn(producer.reader, chunk, limits, config.event_bytes_max);
    // Relaxed: a statistic.
    const std::uint64_t dropped = taken.oversized + (taken.broken ? 1 : 0);
    if (dropped > 0) counters.dropped_lines.fetch_add(dropped, std::memory_order_relaxed);
    if (taken.broken) {
      producer.done = true;
      ++broken;
      return false;
    }
    if (producer.closing) {
      const bool nothing = taken.bytes == 0 && !taken.more;
      producer.left_bytes -= std::min(producer.left_bytes, taken.bytes);
      producer.done = nothing || producer.left_bytes == 0;
    }
    return is_full(taken, chunk, limits);
  }

  void drop_done(SourceCounters& counters) {
    const std::size_t gone =
        std::erase_if(producers, [](const Producer& producer) { return producer.done; });
    if (gone == 0) return;
    turn = 0;
    // Relaxed: statistics.
    counters.connections_closed.fetch_add(gone, std::memory_order_relaxed);
  }

  const SharedSourceConfig config;
  Listener listener;
  std::vector<Producer> producers;
  std::size_t turn = 0;
  std::uint32_t reads_since_look = kReadsPerLook;
  std::uint64_t broken = 0;  // rings that were given up and are not reported yet
  bool stopped = false;
};

core::Result<std::unique_ptr<SharedSource>> SharedSource::listen(SharedSourceConfig config) {
  auto valid = validated(std::move(config));
  if (!valid) return tl::unexpected<core::Error>(valid.error());
  auto listener = Listener::unix_path(valid->path);
  if (!listener) return tl::unexpected<core::Error>(listener.error());
  SourceTraits traits = traits_of(*valid);
  return std::unique_ptr<SharedSource>(new SharedSource(
      std::move(traits), std::make_unique<Impl>(std::move(*valid), std::move(*listener))));
}

SharedSource::SharedSource(SourceTraits traits, std::unique_ptr<Impl> impl)
    : Source(std::move(traits)), impl_(std::move(impl)) {}

SharedSource::~SharedSource() {
  for (Producer& producer : impl_->producers) producer.reader.close();
}

ReadStatus SharedSource::read(core::Chunk& chunk, const ReadLimits& limits) {
  Impl& impl = *impl_;
  chunk.packed = true;
  if (chunk.size_bytes >= limits.target_bytes) return ReadStatus::kFull;
  if (++impl.reads_since_look > kReadsPerLook) {
    if (auto looked = impl.look(counters_); !looked) report(std::move(looked.error()));
  }
  const std::uint32_t before = chunk.size_bytes;
  const std::size_t count = impl.producers.size();
  bool full = false;
  for (std::size_t i = 0; i < count && !full; ++i) {
    full = impl.read_one(impl.producers[(impl.turn + i) % count], chunk, limits, counters_);
  }
  if (count > 0) impl.turn = (impl.turn + 1) % count;
  for (; impl.broken > 0; --impl.broken) {
    report({core::ErrorCode::kCorrupt, traits_.name + ": a producer's ring makes no sense", 0, 0});
  }
  impl.drop_done(counters_);
  // Relaxed: a statistic.
  counters_.connections_open.store(impl.producers.size(), std::memory_order_relaxed);
  if (full) return ReadStatus::kFull;
  if (chunk.size_bytes > before) return ReadStatus::kMore;
  if (impl.stopped) return impl.producers.empty() ? ReadStatus::kEnded : ReadStatus::kMore;
  impl.reads_since_look = kReadsPerLook;  // nothing to read: time to look who is there
  return ReadStatus::kIdle;
}

void SharedSource::request_stop() {
  impl_->stopped = true;
  impl_->listener.close();
  for (Producer& producer : impl_->producers) producer.close(impl_->config.ring_bytes);
}

}  // namespace grace::ingest
