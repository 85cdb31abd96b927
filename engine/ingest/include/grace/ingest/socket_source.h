#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "grace/core/clock.h"
#include "grace/ingest/source.h"

namespace grace::ingest {

class Listener;

struct SocketLimits {
  // --- behaviour ---
  // A connection that sends nothing for so long is closed. 0: never.
  std::chrono::milliseconds idle_timeout{600'000};
  // An unfinished line must be finished within this time. Bounds what a slow sender can hold. 0:
  // never.
  std::chrono::milliseconds line_timeout{60'000};
  // --- cost ---
  // Further connections are accepted and closed at once, and counted. Memory: each may hold one
  // unfinished line of line_bytes_max.
  std::size_t connections_max = 64;
};

struct TcpSourceConfig {
  // --- behaviour ---
  std::string address = "127.0.0.1";  // numeric IPv4 or IPv6
  std::uint16_t port = 0;             // 0: any free one, see port()
  // Off: anyone on this machine can connect to loopback.
  bool operator_allowed = false;
  SocketLimits limits = {};
};

struct UnixSourceConfig {
  // --- behaviour ---
  std::string path = {};  // created with mode 0600; a stale socket file of ours is replaced
  bool operator_allowed = true;
  SocketLimits limits = {};
};

// Listens for byte streams of lines. One epoll set, non-blocking. Each connection's unfinished line
// stays in its own bounded buffer until its newline comes, so lines of different senders never mix;
// ready connections are served in turn, at most kReadBytes each.
//
// Full: without a free chunk nothing is received, the kernel's buffers fill and senders wait.
// Closing: complete lines are handed on; an unfinished last line is handed on as last_of_source.
// Stop: the listener and all connections close after what was received is handed on; bytes still
// in the kernel are the senders'. Idle times count only while the stage reads.
// `clock` must outlive the source. Thread: the ingest stage's.
class SocketSource final : public Source {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<SocketSource>> listen_tcp(
      const TcpSourceConfig& config, const core::Clock& clock);
  [[nodiscard]] static core::Result<std::unique_ptr<SocketSource>> listen_unix(
      const UnixSourceConfig& config, const core::Clock& clock);
  ~SocketSource() override;
  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override;
  [[nodiscard]] std::uint16_t port() const noexcept;  // TCP only

 private:
  class Impl;
  SocketSource(SourceTraits traits, std::unique_ptr<Impl> impl);
  [[nodiscard]] static core::Result<std::unique_ptr<SocketSource>> make(SourceTraits traits,
                                                                        Listener listener,
                                                                        const SocketLimits& limits,
                                                                        const core::Clock& clock);
  std::unique_ptr<Impl> impl_;
};

}  // namespace grace::ingest
