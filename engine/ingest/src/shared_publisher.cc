#include "grace/ingest/shared_publisher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "grace/ingest/shared_ring.h"

namespace grace::ingest {
namespace {

using core::ErrorCode;
using core::make_error;

constexpr int kAnswerMsMax = 1000;

// Closes a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

class SharedRing final : public PublishRing {
 public:
  SharedRing(SharedRingHeader* header, std::size_t ring_bytes, Descriptor connection)
      : PublishRing(
            header->state,
            {reinterpret_cast<char*>(header) + SharedRingHeader::kMemoryOffset, ring_bytes}),
        header_(header),
        file_bytes_(SharedRingHeader::kMemoryOffset + ring_bytes),
        connection_(std::move(connection)) {}
  ~SharedRing() override { ::munmap(header_, file_bytes_); }
  SharedRing(const SharedRing&) = delete;
  SharedRing& operator=(const SharedRing&) = delete;
  // The engine says nothing after its hello, so all that can come is the end.
  [[nodiscard]] bool is_abandoned() const noexcept override {
    char byte = 0;
    const ssize_t got = ::recv(connection_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  }

 private:
  SharedRingHeader* header_;
  std::size_t file_bytes_;
  Descriptor connection_;
};

tl::unexpected<core::Error> failed(const std::string& path, const char* what) {
  const int os_error = errno;
  return make_error(ErrorCode::kIo, path + ": " + what + ": " + std::strerror(os_error), os_error);
}

core::Result<Descriptor> connected(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return make_error(ErrorCode::kInvalidArgument, "'" + path + "': no path of a unix socket");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Descriptor connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connection.get() < 0 ||
      ::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
          0) {
    return failed(path, "connect");
  }
  return connection;
}

// The hello, and the descriptor that came with it (-1: none).
core::Result<SharedHello> answer_of(const std::string& path, int connection, int& memory) {
  pollfd waiting{connection, POLLIN, 0};
  if (::poll(&waiting, 1, kAnswerMsMax) != 1) {
    return make_error(ErrorCode::kTimeout, path + ": the engine does not answer");
  }
  SharedHello hello;
  iovec part{&hello, sizeof hello};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
  if (got < 0) return failed(path, "recvmsg");
  const cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
      rights->cmsg_len == CMSG_LEN(sizeof(int))) {
    std::memcpy(&memory, CMSG_DATA(rights), sizeof memory);
  }
  if (got != sizeof hello || hello.magic != kSharedRingMagic) {
    return make_error(ErrorCode::kUnsupported, path + ": no engine listens there");
  }
  if (hello.version != kSharedRingVersion) {
    return make_error(ErrorCode::kUnsupported,
                      path + ": the engine's ring has layout " + std::to_string(hello.version) +
                          ", this program's " + std::to_string(kSharedRingVersion));
  }
  return hello;
}

core::Result<void> check_answer(const std::string& path, SharedAnswer answer) {
  switch (answer) {
    case SharedAnswer::kOk:
      return {};
    case SharedAnswer::kTooMany:
      return make_error(ErrorCode::kFull, path + ": the engine has all the producers it takes");
    case SharedAnswer::kForbidden:
      return make_error(ErrorCode::kClosed, path + ": the engine is another user's");
    case SharedAnswer::kFailed:
      break;
  }
  return make_error(ErrorCode::kIo, path + ": the engine could not make a ring");
}

}  // namespace

core::Result<Publisher> connect_shared(const std::string& path) {
  auto connection = connected(path);
  if (!connection) return tl::unexpected<core::Error>(connection.error());
  int memory_fd = -1;
  const auto hello = answer_of(path, connection->get(), memory_fd);
  const Descriptor memory(memory_fd);
  if (!hello) return tl::unexpected<core::Error>(hello.error());
  if (const auto answer = check_answer(path, hello->answer); !answer) {
    return tl::unexpected<core::Error>(answer.error());
  }
  struct stat info {};
  if (memory.get() < 0 || ::fstat(memory.get(), &info) != 0) return failed(path, "no memory came");
  const auto bytes = static_cast<std::size_t>(info.st_size);
  const std::size_t ring_bytes = bytes - SharedRingHeader::kMemoryOffset;
  if (bytes <= SharedRingHeader::kMemoryOffset || !std::has_single_bit(ring_bytes)) {
    return make_error(ErrorCode::kUnsupported, path + ": the ring has an impossible size");
  }
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return failed(path, "mmap");
  auto* const header = static_cast<SharedRingHeader*>(mapped);
  if (header->magic != kSharedRingMagic || header->version != kSharedRingVersion ||
      header->ring_bytes != ring_bytes || header->event_bytes_max > ring_bytes / 2) {
    ::munmap(mapped, bytes);
    return make_error(ErrorCode::kUnsupported, path + ": the ring's header is not of layout 1");
  }
  const PublishLimits limits{header->event_bytes_max, core::kPackedAlignBytes};
  return Publisher(std::make_unique<SharedRing>(header, ring_bytes, std::move(*connection)),
                   limits);
}

}  // namespace grace::ingest
