#include "bench_stall.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>
#include <thread>

#include "bench_settings.h"
#include "command.h"
#include "grace/core/clock.h"
#include "grace/harness/loops.h"
#include "grace/harness/units.h"
#include "grace/parse/json_value.h"

namespace grace::tools {
namespace {

constexpr std::size_t kRequestBytes = 8;
constexpr std::int64_t kLookNs = 20'000;

// The service: a process that sends back what it gets.
[[noreturn]] void echo(int fd) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::array<char, 4096> bytes{};
  for (;;) {
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    if (got == 0 || (got < 0 && errno != EINTR)) ::_exit(0);
    for (ssize_t at = 0; at < got;) {
      const ssize_t put = ::write(fd, bytes.data() + at, static_cast<std::size_t>(got - at));
      if (put < 0 && errno != EINTR) ::_exit(0);
      if (put > 0) at += put;
    }
  }
}

class EchoProcess final : public harness::Target {
 public:
  static core::Result<std::unique_ptr<EchoProcess>> start() {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return core::make_error(core::ErrorCode::kIo, "cannot make a pair of sockets", errno);
    }
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      echo(ends[1]);
    }
    ::close(ends[1]);
    if (child < 0) {
      ::close(ends[0]);
      return core::make_error(core::ErrorCode::kIo, "cannot start a process", errno);
    }
    return std::unique_ptr<EchoProcess>(new EchoProcess(ends[0], child));
  }
  ~EchoProcess() override {
    ::close(fd_);
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  EchoProcess(const EchoProcess&) = delete;
  EchoProcess& operator=(const EchoProcess&) = delete;

  std::uint64_t try_send(std::uint64_t, std::uint64_t count) override {
    static constexpr std::array<char, kRequestBytes * 64> kRequests{};
    std::uint64_t sent = 0;
    while (sent < count) {
      const std::size_t wanted =
          std::min<std::uint64_t>(count - sent, 64) * kRequestBytes - partly_sent_;
      const ssize_t put = ::send(fd_, kRequests.data(), wanted, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) {
        alive_ = alive_ && (errno == EAGAIN || errno == EWOULDBLOCK);
        break;
      }
      // A request of which the socket took a part is sent when it took the rest.
      const std::size_t bytes = static_cast<std::size_t>(put) + partly_sent_;
      sent += bytes / kRequestBytes;
      partly_sent_ = bytes % kRequestBytes;
      if (static_cast<std::size_t>(put) < wanted) break;
    }
    return sent;
  }
  harness::Completion poll() override {
    std::array<char, 4096> bytes{};
    const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      alive_ = false;
    }
    if (got <= 0) return {};
    const std::size_t whole = partly_answered_ + static_cast<std::size_t>(got);
    partly_answered_ = whole % kRequestBytes;
    return {whole / kRequestBytes, clock_.monotonic_ns()};
  }
  [[nodiscard]] std::int64_t next_look_ns() override { return clock_.monotonic_ns() + kLookNs; }
  [[nodiscard]] bool alive() const override { return alive_; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

 private:
  EchoProcess(int fd, pid_t pid) : fd_(fd), pid_(pid) {}
  const core::SystemClock clock_;
  int fd_;
  pid_t pid_;
  std::size_t partly_sent_ = 0;
  std::size_t partly_answered_ = 0;
  bool alive_ = true;
};

// Stops the process once, in the middle, and says for how long it was.
class Stop {
 public:
  Stop(pid_t pid, std::chrono::nanoseconds after, std::chrono::nanoseconds length)
      : thread_([this, pid, after, length] {
          std::this_thread::sleep_for(after);
          const core::SystemClock clock;
          const std::int64_t begin_ns = clock.monotonic_ns();
          ::kill(pid, SIGSTOP);
          std::this_thread::sleep_for(length);
          ::kill(pid, SIGCONT);
          stopped_ns_ = clock.monotonic_ns() - begin_ns;
        }) {}
  [[nodiscard]] std::int64_t wait() {
    thread_.join();
    return stopped_ns_;
  }

 private:
  std::int64_t stopped_ns_ = 0;  // the thread's until it is joined
  std::thread thread_;
};

struct Stall {
  harness::LoadResult open;
  core::LatencyHistogram closed;
  std::int64_t open_stop_ns = 0;
  std::int64_t closed_stop_ns = 0;
  harness::Conditions conditions;
};

struct StallArguments {
  std::string rate = "5k", duration = "3s", stop = "100ms";
  bool json = false;
};

core::Result<Stall> measure(double rate, std::int64_t span_ns, std::int64_t stop_ns) {
  Stall stall;
  harness::ArrivalConfig arrivals;
  arrivals.kind = harness::ArrivalKind::kConstant;
  arrivals.rate = rate;
  harness::SystemTimeline time;
  harness::watch(stall.conditions.quiet, std::chrono::milliseconds(100));
  const auto middle = std::chrono::nanoseconds(span_ns / 2);
  {
    auto process = EchoProcess::start();
    if (!process) return tl::unexpected<core::Error>(process.error());
    const harness::ForeignCpu foreign({(*process)->pid()});
    Stop stop((*process)->pid(), middle, std::chrono::nanoseconds(stop_ns));
    stall.open = harness::drive_open(arrivals, {0, span_ns, 1'000'000'000}, **process, time);
    stall.open_stop_ns = stop.wait();
    stall.conditions.worst_of(foreign.share());
  }
  {
    auto process = EchoProcess::start();
    if (!process) return tl::unexpected<core::Error>(process.error());
    Stop stop((*process)->pid(), middle, std::chrono::nanoseconds(stop_ns));
    stall.closed =
        harness::drive_closed(static_cast<std::int64_t>(1e9 / rate), span_ns, **process, time);
    stall.closed_stop_ns = stop.wait();
  }
  harness::watch(stall.conditions.quiet, std::chrono::milliseconds(100));
  stall.conditions.round_trip_ns = harness::round_trip_ns();
  return stall;
}

// The k-th worst of the arrivals during the stop has waited k gaps less than all of it.
double by_arithmetic(const Stall& stall, double rate, double share) {
  const double worse = (1.0 - share) * static_cast<double>(stall.open.arrivals);
  return std::max(0.0, static_cast<double>(stall.open_stop_ns) - worse / rate * 1e9);
}

constexpr std::array<double, 4> kShares{0.5, 0.99, 0.999, 0.9999};

core::Result<std::string> stall_json(double rate, std::int64_t span_ns, std::int64_t stop_ns) {
  const auto stall = measure(rate, span_ns, stop_ns);
  if (!stall) return tl::unexpected<core::Error>(stall.error());
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().field("rate", rate).field("stopped_ns", stall->open_stop_ns);
  json.field("arrivals", stall->open.arrivals).field("unsent", stall->open.unsent);
  json.key("rows").begin_array();
  for (const double share : kShares) {
    json.begin_object()
        .field("share", share)
        .field("arithmetic_ns", by_arithmetic(*stall, rate, share))
        .field("open_response_ns", stall->open.response.percentile(share))
        .field("open_service_ns", stall->open.service.percentile(share))
        .field("closed_ns", stall->closed.percentile(share))
        .end_object();
  }
  json.end_array();
  write_machine(json, harness::machine_report());
  write_conditions(json, stall->conditions, std::nullopt);
  json.end_object();
  return out;
}

void print_rows(const parse::JsonValue& stall) {
  std::cout << "a process stopped for " << harness::format_span(stall["stopped_ns"].as_double())
            << " by SIGSTOP, " << harness::format_rate(stall["rate"].as_double())
            << " arrivals a second\n"
            << "percentile  arithmetic   open loop    its service time  closed loop\n";
  for (const parse::JsonValue& row : stall["rows"].array()) {
    char text[160];
    const auto span = [&](const char* key) { return harness::format_span(row[key].as_double()); };
    std::snprintf(text, sizeof text, "p%-10.6g %-12s %-12s %-17s %s\n",
                  row["share"].as_double() * 100.0, span("arithmetic_ns").c_str(),
                  span("open_response_ns").c_str(), span("open_service_ns").c_str(),
                  span("closed_ns").c_str());
    std::cout << text;
  }
  for (const parse::JsonValue& doubt : stall["conditions"]["doubts"].array()) {
    std::cout << "INCONCLUSIVE: " << doubt.as_string() << '\n';
  }
}

int bench_stall(const StallArguments& arguments) {
  const auto usage = [](const char* option, const core::Error& error) {
    std::cerr << "grace bench stall: " << option << ": " << error.message << '\n';
    return kExitUsage;
  };
  const auto rate = harness::parse_rate(arguments.rate);
  if (!rate) return usage("--rate", rate.error());
  const auto span_ns = harness::parse_span_ns(arguments.duration);
  if (!span_ns) return usage("--duration", span_ns.error());
  const auto stop_ns = harness::parse_span_ns(arguments.stop);
  if (!stop_ns) return usage("--stop", stop_ns.error());
  const auto json = in_own_process([&] { return stall_json(*rate, *span_ns, *stop_ns); });
  const auto value =
      json ? parse::JsonValue::parse(*json)
           : core::Result<parse::JsonValue>(tl::unexpected<core::Error>(json.error()));
  if (!value) {
    std::cerr << "grace bench stall: " << value.error().message << '\n';
    return kExitNegative;
  }
  if (arguments.json) {
    std::cout << *json << '\n';
  } else {
    print_rows(*value);
  }
  return kExitOk;
}

}  // namespace

void add_bench_stall_command(Command& bench, int& exit_code) {
  auto arguments = std::make_shared<StallArguments>();
  Command* app = bench.add_subcommand(
      "stall", "Shows that a stopped process is seen as arithmetic says, and how it can be hidden");
  app->footer("Example: grace bench stall --stop 100ms");
  app->add_option("--rate", arguments->rate, "Arrivals a second")->show_default();
  app->add_option("--duration", arguments->duration, "Of each loop")->show_default();
  app->add_option("--stop", arguments->stop, "How long the process stands still")->show_default();
  app->add_flag("--json", arguments->json, "Print one JSON object");
  app->callback([arguments, &exit_code] { exit_code = bench_stall(*arguments); });
}

}  // namespace grace::tools
