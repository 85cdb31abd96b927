#include "bench_settings.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "event_mix.h"
#include "grace/harness/units.h"
#include "idle_rules.h"

namespace grace::tools {
namespace {

tl::unexpected<core::Error> refused(const char* option, const core::Error& error) {
  return core::make_error(core::ErrorCode::kInvalidArgument,
                          std::string(option) + ": " + error.message);
}

core::Result<harness::ArrivalConfig> arrivals_of(const std::string& text, std::uint64_t seed) {
  harness::ArrivalConfig arrivals;
  arrivals.seed = seed;
  if (text == "constant") {
    arrivals.kind = harness::ArrivalKind::kConstant;
  } else if (text == "poisson") {
    arrivals.kind = harness::ArrivalKind::kPoisson;
  } else if (text == "bursty") {
    arrivals.kind = harness::ArrivalKind::kBursty;
  } else if (text.starts_with("file:")) {
    arrivals.kind = harness::ArrivalKind::kRecorded;
    auto gaps = harness::read_gaps(text.substr(5));
    if (!gaps) return tl::unexpected<core::Error>(gaps.error());
    arrivals.gaps_ns = std::move(*gaps);
  } else {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "'" + text + "' is not constant, poisson, bursty or file:PATH");
  }
  return arrivals;
}

core::Result<harness::LoadSpan> span_of(const BenchArguments& arguments) {
  harness::LoadSpan span;
  struct Part {
    const char* option;
    const std::string& text;
    std::int64_t& out;
  };
  for (const Part& part : {Part{"--warmup", arguments.warmup, span.warmup_ns},
                           Part{"--duration", arguments.duration, span.window_ns},
                           Part{"--drain", arguments.drain, span.drain_ns_max}}) {
    const auto ns = harness::parse_span_ns(part.text);
    if (!ns) return refused(part.option, ns.error());
    part.out = *ns;
  }
  return span;
}

void write_latency(core::JsonWriter& json, const char* name,
                   const core::LatencyHistogram& latency) {
  json.key(name).begin_object();
  for (const auto& [key, share] :
       {std::pair{"p50", 0.5}, std::pair{"p90", 0.9}, std::pair{"p99", 0.99},
        std::pair{"p99.9", 0.999}, std::pair{"p99.99", 0.9999}}) {
    json.field(key, latency.percentile(share));
  }
  json.field("max", latency.max()).field("mean", latency.mean());
  json.field("count", latency.count()).end_object();
}

// A mix and rules are what this process makes: they do not go with what is made elsewhere.
core::Result<void> check_mix_and_rules(const BenchArguments& arguments) {
  const auto refuse = [](const char* option, const std::string& message) {
    return refused(option, {core::ErrorCode::kInvalidArgument, message});
  };
  if (!arguments.mix.empty()) {
    GeneratorOptions ignored;
    if (auto set = set_event_mix(arguments.mix, ignored); !set)
      return refused("--mix", set.error());
  }
  if ((!arguments.mix.empty() || arguments.over == "mix") && !arguments.input.empty()) {
    return refuse("--input", "its lines are a mix already");
  }
  if (!arguments.rules && arguments.over != "rules") return {};
  if (!arguments.config_path.empty()) {
    return refuse("--config", "the rules to be counted are a configuration of their own");
  }
  if (!arguments.socket.empty())
    return refuse("--socket", "a running engine's rules do not change");
  return {};
}

}  // namespace

core::Result<BenchSettings> understood(const BenchArguments& arguments, const BenchNeeds& needs) {
  BenchSettings settings;
  const auto missing = [](const char* option) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            std::string(option) + ": must be given");
  };
  if (needs.rate && arguments.rate.empty()) return missing("--rate");
  if (needs.slo && arguments.slo.empty()) return missing("--slo");
  if (arguments.socket.empty() != arguments.control.empty()) {
    return missing(arguments.socket.empty() ? "--socket" : "--control");
  }
  if (arguments.publish && !arguments.socket.empty()) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "--publish: into an engine in this process, not with --socket");
  }
  if (auto valid = check_mix_and_rules(arguments); !valid) {
    return tl::unexpected<core::Error>(valid.error());
  }
  if (!arguments.rate.empty()) {
    const auto rate = harness::parse_rate(arguments.rate);
    if (!rate) return refused("--rate", rate.error());
    settings.rate = *rate;
  }
  if (!arguments.slo.empty()) {
    const auto objective = harness::parse_objective(arguments.slo);
    if (!objective) return refused("--slo", objective.error());
    settings.objective = *objective;
  }
  if (!arguments.event_rate.empty()) {
    const auto rate = harness::parse_rate(arguments.event_rate);
    if (!rate) return refused("--event-rate", rate.error());
    settings.event_rate = *rate;
  }
  auto arrivals = arrivals_of(arguments.arrivals, arguments.seed);
  if (!arrivals) return refused("--arrivals", arrivals.error());
  settings.arrivals = std::move(*arrivals);
  if (settings.rate > 0.0) settings.arrivals.rate = settings.rate;
  if (auto valid = harness::validated(settings.arrivals); !valid) {
    return refused("--arrivals", valid.error());
  }
  const auto span = span_of(arguments);
  if (!span) return tl::unexpected<core::Error>(span.error());
  settings.span = *span;
  return settings;
}

core::Result<CheckedConfig> bench_config(const BenchArguments& arguments,
                                         const std::string& scratch) {
  std::string path = arguments.config_path;
  if (arguments.rules) {
    path = scratch + "/rules.toml";
    std::ofstream out(path, std::ios::binary);
    out << idle_rules(*arguments.rules);
    out.close();
    if (!out) return core::make_error(core::ErrorCode::kIo, "cannot write " + path);
  }
  auto config = load_config(path);
  if (!config) return tl::unexpected<core::Error>(config.error());
  if (arguments.workers) config->engine.workers = *arguments.workers;
  config->engine.ledger_directory = arguments.ledger ? scratch + "/ledger" : "";
  config->engine.journal_directory = arguments.record ? scratch + "/journal" : "";
  config->engine.ledger_signing_key.clear();
  config->engine.ledger_previous_signing_key.clear();
  config->engine.ledger_export_directory.clear();
  config->engine.dead_letters.path.clear();
  return check_config(std::move(*config));
}

core::Result<LoadStream> bench_stream(const BenchArguments& arguments, std::size_t line_bytes_max) {
  if (!arguments.input.empty()) return LoadStream::of_file(arguments.input, line_bytes_max);
  GeneratorOptions options;
  options.profile = arguments.profile;
  options.event_count = std::max<std::uint64_t>(arguments.events, arguments.services + 1ULL);
  options.service_count = arguments.services;
  options.seed = arguments.seed;
  if (!arguments.mix.empty()) {
    if (auto set = set_event_mix(arguments.mix, options); !set)
      return refused("--mix", set.error());
  }
  return LoadStream::generated(options, line_bytes_max);
}

ScratchFolder::ScratchFolder() {
  std::error_code ignored;
  std::string path = std::filesystem::temp_directory_path(ignored) / "grace_bench.XXXXXX";
  if (::mkdtemp(path.data()) != nullptr) path_ = path;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;  // nothing to be done about it here
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

core::Result<std::string> in_own_process(const std::function<core::Result<std::string>()>& work) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe(ends.data()) != 0) {
    return core::make_error(core::ErrorCode::kIo, "cannot make a pipe", errno);
  }
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return core::make_error(core::ErrorCode::kIo, "cannot start a process", errno);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(ends[0]);
    const auto result = work();
    // The first letter tells an answer from an error and its code.
    std::string text =
        result ? "+" + *result : std::string(1, char('0' + int(result.error().code)));
    if (!result) text += result.error().message;
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t put = ::write(ends[1], text.data() + at, text.size() - at);
      if (put < 0 && errno != EINTR) ::_exit(1);
      if (put > 0) at += static_cast<std::size_t>(put);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 65536> bytes{};
  for (ssize_t got = 1; got != 0;) {
    got = ::read(ends[0], bytes.data(), bytes.size());
    if (got > 0) text.append(bytes.data(), static_cast<std::size_t>(got));
    if (got < 0 && errno != EINTR) break;
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0 || text.empty()) {
    return core::make_error(core::ErrorCode::kClosed,
                            "the measuring process ended with status " + std::to_string(status));
  }
  if (text.front() == '+') return text.substr(1);
  return core::make_error(static_cast<core::ErrorCode>(text.front() - '0'), text.substr(1));
}

Progress::~Progress() {
  if (count_ > 0 && isatty(STDERR_FILENO) == 1) std::fputs("\r\033[K", stderr);
}

void Progress::done(const std::string& what) {
  ++count_;
  if (isatty(STDERR_FILENO) != 1) return;
  constexpr std::size_t kWidth = 24;
  // A search does not know its length: the bar then stays short of its end.
  const std::size_t full =
      std::min(kWidth, count_ * kWidth / std::max<std::size_t>({total_, count_, 1}));
  std::fprintf(stderr, "\r\033[K[%s%s] %zu/%zu %s", std::string(full, '#').c_str(),
               std::string(kWidth - full, '.').c_str(), count_, std::max(total_, count_),
               what.c_str());
}

std::string mix_name(const BenchArguments& arguments) {
  const std::string& mix = arguments.mix;
  if (mix.empty()) return arguments.profile;
  if (mix == "mixed" || mix == "realistic" || arguments.profile == "mixed") return mix;
  return arguments.profile + " " + mix;
}

void write_machine(core::JsonWriter& json, const harness::MachineReport& machine) {
  json.key("machine")
      .begin_object()
      .field("cpu", machine.cpu_model)
      .field("cpus", machine.cpu_count)
      .field("memory_bytes", machine.memory_bytes)
      .field("kernel", machine.kernel)
      .field("compiler", machine.compiler)
      .field("build", machine.build_type)
      .field("commit", machine.commit)
      .end_object();
}

void write_settings(core::JsonWriter& json, const BenchArguments& arguments) {
  json.key("settings")
      .begin_object()
      .field("rate", arguments.rate)
      .field("slo", arguments.slo)
      .field("arrivals", arguments.arrivals)
      .field("warmup", arguments.warmup)
      .field("duration", arguments.duration)
      .field("drain", arguments.drain)
      .field("event_rate", arguments.event_rate)
      .field("input",
             arguments.input.empty() ? "generated: " + mix_name(arguments) : arguments.input)
      .field("events", arguments.events)
      .field("services", arguments.services)
      .field("seed", arguments.seed)
      .field("config", arguments.config_path)
      .key("rules");
  arguments.rules ? json.value(*arguments.rules) : json.null();
  json.field("socket", arguments.socket)
      .field("ledger", arguments.ledger)
      .field("record", arguments.record)
      .field("publish", arguments.publish)
      .field("repetitions", std::uint64_t{arguments.repetitions})
      .field("retries", std::uint64_t{arguments.retries})
      .end_object();
}

void write_conditions(core::JsonWriter& json, const harness::Conditions& conditions,
                      const std::optional<harness::Objective>& objective) {
  const auto found = harness::doubts(conditions, objective);
  json.key("conditions")
      .begin_object()
      .field("lost_share", conditions.quiet.lost_share())
      .key("foreign_share");
  conditions.foreign_share ? json.value(*conditions.foreign_share) : json.null();
  json.key("floor_ns");
  conditions.floor_ns ? json.value(*conditions.floor_ns) : json.null();
  json.field("round_trip_ns", conditions.round_trip_ns)
      .field("conclusive", found.empty())
      .array_field("doubts", found)
      .end_object();
}

void write_load(core::JsonWriter& json, const harness::LoadResult& load) {
  json.field("offered_rate", load.offered_rate)
      .field("completed_rate", load.completed_rate)
      .field("arrivals", load.arrivals)
      .field("completed", load.completed)
      .field("unfinished", load.unfinished)
      .field("unsent", load.unsent)
      .field("backlog_slope_per_s", load.trend.slope_per_s)
      .field("backlog_grows", load.trend.growing);
  write_latency(json, "response_ns", load.response);
  write_latency(json, "service_ns", load.service);
  write_latency(json, "generator_delay_ns", load.generator_delay);
  json.key("curve").begin_array();
  for (const double share : {0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999,
                             0.9995, 0.9998, 0.9999, 0.99999}) {
    json.begin_array().value(share).value(load.response.percentile(share));
    json.value(load.service.percentile(share)).end_array();
  }
  json.end_array().key("backlog").begin_array();
  for (const std::int64_t waiting : load.backlog) json.value(waiting);
  json.end_array();
}

void write_search(core::JsonWriter& json, const harness::SearchResult& search) {
  json.field("rate", search.rate).field("limit_not_reached", search.limit_not_reached);
  json.key("found").begin_array();
  for (const double rate : search.found) json.value(rate);
  json.end_array().key("trials").begin_array();
  for (const harness::Trial& trial : search.trials) {
    json.begin_object()
        .field("repetition", std::uint64_t{trial.repetition})
        .field("rate", trial.rate)
        .field("holds", trial.verdict.holds)
        .field("why", trial.verdict.why)
        .field("percentile_ns", trial.percentile_ns)
        .field("completed_rate", trial.completed_rate)
        .end_object();
  }
  json.end_array();
}

}  // namespace grace::tools
