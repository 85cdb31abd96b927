#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "grace/core/error.h"

namespace grace::tools {

// The control protocol's transport: a unix stream socket (mode 0600), one JSON object a line each
// way. The caller's identity is the kernel's word (SO_PEERCRED), never the request's.
//
// Threads: one of its own runs `handle`; start and destruction: the owner's.
// Bounds: kClientsMax connections; when all are taken, the one heard of least recently makes room
// once it has been silent for kSilenceMax, and until then new ones wait in the kernel's backlog.
// kRequestBytesMax a line: a longer one is answered with an error and its connection closed.
class ControlServer {
 public:
  // Request line and caller ("user:1000") -> answer, one line without its newline.
  using Handler = std::function<std::string(std::string_view request, const std::string& actor)>;
  static constexpr std::size_t kClientsMax = 32;
  static constexpr std::chrono::milliseconds kSilenceMax{2'000};
  static constexpr std::size_t kRequestBytesMax = 64 * 1024;

  // Replaces a stale socket file; refuses when somebody answers on it.
  [[nodiscard]] static core::Result<std::unique_ptr<ControlServer>> start(const std::string& path,
                                                                          Handler handler);
  ~ControlServer();  // closes all connections, removes the socket file
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Client {
    int fd = -1;
    std::string actor;
    std::string input;
    std::chrono::steady_clock::time_point heard;
  };
  ControlServer(int listen_fd, int wake_fd, std::string path, Handler handler);
  void run();
  [[nodiscard]] bool make_room();
  void accept_client();
  bool serve(Client& client);

  int listen_fd_;
  int wake_fd_;  // eventfd: tells the thread to end
  std::string path_;
  Handler handler_;
  std::vector<Client> clients_;
  std::thread thread_;
};

// A connection to an engine's control socket. Thread: one.
class ControlClient {
 public:
  // kIo: nobody listens there.
  [[nodiscard]] static core::Result<ControlClient> connect(const std::string& path);
  ~ControlClient();
  ControlClient(ControlClient&& other) noexcept;
  ControlClient& operator=(ControlClient&&) = delete;
  // Waits for the answer. kTimeout, kClosed: the engine did not give one; the connection is over.
  [[nodiscard]] core::Result<std::string> ask(std::string_view request);

 private:
  ControlClient(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

// Sends one request to the socket at `path` and gives the answer. kIo: nobody listens there.
[[nodiscard]] core::Result<std::string> control_request(const std::string& path,
                                                        std::string_view request);

}  // namespace grace::tools
