#pragma once
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>

#include "grace/ingest/shared_ring.h"

namespace grace::ingest {

struct PackedNonsense {
  static constexpr std::uint64_t kHuge = std::uint64_t{1} << 61;
};

// A producer's memory in the hands of somebody who keeps no rule. Connects as connect_shared()
// does, but writes the bytes itself, through atomics of its own, so that a sanitizer sees no race
// of ours.
class SharedMemory {
 public:
  SharedMemory() = default;
  SharedMemory(SharedMemory&& other) noexcept { *this = std::move(other); }
  SharedMemory& operator=(SharedMemory&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(fd_, other.fd_);
    std::swap(bytes_, other.bytes_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~SharedMemory() {
    if (memory_ != nullptr) ::munmap(memory_, bytes_);
    if (fd_ >= 0) ::close(fd_);
    if (connection_ >= 0) ::close(connection_);
  }
  static SharedMemory of(const std::string& path) {
    SharedMemory made;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    made.connection_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(made.connection_, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
        0) {
      return made;
    }
    SharedHello hello;
    iovec part{&hello, sizeof hello};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(made.connection_, &message, 0) != sizeof hello) return made;
    const cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    if (rights == nullptr) return made;
    std::memcpy(&made.fd_, CMSG_DATA(rights), sizeof made.fd_);
    struct stat info {};
    if (::fstat(made.fd_, &info) != 0) return made;
    made.bytes_ = static_cast<std::size_t>(info.st_size);
    void* const mapped =
        ::mmap(nullptr, made.bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, made.fd_, 0);
    if (mapped != MAP_FAILED) made.memory_ = static_cast<char*>(mapped);
    return made;
  }
  [[nodiscard]] bool valid() const noexcept { return memory_ != nullptr; }
  [[nodiscard]] int fd() const noexcept { return fd_; }

  void write_record(std::size_t at, std::uint32_t size, core::PackedForm form) noexcept {
    store(at, size | static_cast<std::uint64_t>(form) << 32);
  }
  void scribble(std::size_t at, std::uint64_t value) noexcept {
    store(at & ~std::size_t{7}, value);
  }
  void set_tail(std::uint64_t tail) noexcept {
    // Release: as an honest producer does.
    header().state.tail.store(tail, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t head() noexcept {
    // Acquire: as an honest producer does.
    return header().state.head.load(std::memory_order_acquire);
  }

 private:
  [[nodiscard]] SharedRingHeader& header() noexcept {
    return *reinterpret_cast<SharedRingHeader*>(memory_);
  }
  void store(std::size_t at, std::uint64_t word) noexcept {
    auto* const place =
        reinterpret_cast<std::uint64_t*>(memory_ + SharedRingHeader::kMemoryOffset + at);
    // Relaxed: nothing is promised to the reader.
    std::atomic_ref(*place).store(word, std::memory_order_relaxed);
  }
  int connection_ = -1;
  int fd_ = -1;
  std::size_t bytes_ = 0;
  char* memory_ = nullptr;
};

}  // namespace grace::ingest
