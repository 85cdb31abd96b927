#include "session.h"

#include <sys/resource.h>

#include <charconv>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "grace/core/json_writer.h"
#include "grace/ingest/file_source.h"
#include "grace/ingest/host_source.h"
#include "grace/ingest/journal.h"
#include "grace/ingest/socket_source.h"
#include "grace/ingest/stdin_source.h"

namespace grace::tools {
namespace {

using SourcePtr = std::unique_ptr<ingest::Source>;

template <typename T>
core::Result<SourcePtr> as_source(core::Result<std::unique_ptr<T>> opened) {
  if (!opened) return tl::unexpected<core::Error>(opened.error());
  return SourcePtr(std::move(*opened));
}

core::Result<SourcePtr> make_tcp(std::string_view rest, const AppConfig& config,
                                 const core::Clock& clock) {
  ingest::TcpSourceConfig tcp = config.tcp;
  const std::size_t colon = rest.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? rest : rest.substr(colon + 1);
  if (colon != std::string_view::npos) tcp.address = std::string(rest.substr(0, colon));
  if (tcp.address.size() > 2 && tcp.address.front() == '[' && tcp.address.back() == ']') {
    tcp.address = tcp.address.substr(1, tcp.address.size() - 2);
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), tcp.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "tcp source: '" + std::string(port) + "' is not a port");
  }
  return as_source(ingest::SocketSource::listen_tcp(tcp, clock));
}

void append(std::string& out, const char* format, ...) __attribute__((format(printf, 2, 3)));
void append(std::string& out, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  const int size = std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (size > 0) out.append(line, std::min(static_cast<std::size_t>(size), sizeof line - 1));
}

}  // namespace

core::SubsystemList make_subsystems(const AppConfig& config) {
  core::SubsystemList subsystems;
  subsystems.push_back(meta_loop::make_meta_loop(config.meta_loop));
  subsystems.push_back(proactive::make_proactive(config.proactive));
  subsystems.push_back(agentic_spine::make_agentic_spine(config.agentic_spine));
  subsystems.push_back(log_analyzer::make_log_analyzer(config.log_analyzer));
  return subsystems;
}

core::Result<SourcePtr> make_source(const std::string& spec, const AppConfig& config,
                                    const core::Clock& clock) {
  const std::size_t colon = spec.find(':');
  const std::string kind = spec.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (spec == "host") return SourcePtr(std::make_unique<ingest::HostSource>(config.host, clock));
  if (spec == "stdin" || spec == "-") {
    return SourcePtr(std::make_unique<ingest::StdinSource>(ingest::StdinSourceConfig{}));
  }
  if (kind == "tcp") return make_tcp(rest, config, clock);
  if (kind == "unix") {
    ingest::UnixSourceConfig unix_socket = config.unix_socket;
    unix_socket.path = rest;
    return as_source(ingest::SocketSource::listen_unix(unix_socket, clock));
  }
  if (kind == "shared") {
    ingest::SharedSourceConfig shared = config.shared_memory;
    shared.path = rest;
    return as_source(ingest::SharedSource::listen(std::move(shared)));
  }
  if (kind == "journal") return as_source(ingest::JournalSource::open(rest));
  ingest::FileSourceConfig file;
  file.paths.push_back(kind == "file" ? rest : spec);
  return as_source(ingest::FileSource::open(file));
}

std::uint64_t peak_rss_bytes() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

bool collect(pipeline::Engine& engine, Summary& summary) {
  summary.counts = engine.counts();
  summary.dead_letters = engine.dead_letter_counters();
  summary.ingest = engine.ingest_figures();
  summary.durable_sequence = engine.durable_sequence();
  summary.signed_sequence = engine.signed_sequence();
  summary.checkpoint_error = engine.checkpoint_error();
  summary.ledger_error = engine.ledger_error();
  summary.redaction_error = engine.redaction_error();
  summary.ledger_keeping = engine.ledger_keeping();
  summary.journal = engine.journal_hashing();
  summary.peak_rss_bytes = peak_rss_bytes();
  return engine.inspect([&summary](const pipeline::OrderedView& view) {
    summary.trigger_stats_json = view.triggers.stats().to_json();
    summary.suppressed_json.clear();
    core::JsonWriter suppressed(summary.suppressed_json);
    suppressed.begin_object();
    for (std::size_t i = 1; i < pipeline::kGateCount; ++i) {
      suppressed.field(pipeline::to_string(static_cast<pipeline::Gate>(i)),
                       view.triggers.stats().suppressed[i]);
    }
    suppressed.end_object();
    summary.incidents = view.triggers.correlator().opened_count();
    summary.runs.clear();
    const auto by_state = view.scheduler.runs_by_state();
    for (std::size_t i = 0; i < by_state.size(); ++i) {
      summary.runs.emplace(core::to_string(static_cast<core::RunState>(i)), by_state[i]);
    }
    summary.decision_digest = view.decision_digest;
    summary.record_count = view.record_count;
    summary.observations_dropped = view.observations_dropped;
    summary.risk = view.risk;
  });
}

std::uint64_t read_errors(const ingest::IngestFigures& figures) {
  std::uint64_t count = 0;
  for (const ingest::SourceFigures& source : figures.sources) count += source.read_errors;
  return count;
}

std::string to_json(const Summary& summary) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("received", summary.counts.received)
      .field("accepted", summary.counts.accepted)
      .key("rejected")
      .begin_object();
  for (std::size_t i = 0; i < parse::kRejectReasonCount; ++i) {
    if (summary.counts.rejected[i] == 0) continue;
    json.field(parse::to_string(static_cast<parse::RejectReason>(i)), summary.counts.rejected[i]);
  }
  json.end_object()
      .field("dropped", summary.counts.dropped)
      .field("late", summary.counts.late)
      .field("evicted", summary.counts.evicted)
      .field("blank_lines", summary.counts.blank_lines)
      .key("forecast_bands")
      .begin_object()
      .field("due", summary.counts.bands.due)
      .field("inside", summary.counts.bands.inside)
      .end_object()
      .key("risk_judgements")
      .begin_object()
      .field("due", summary.risk.due)
      .field("came_true", summary.risk.came_true)
      .field("did_not_come", summary.risk.did_not_come)
      .field("unwitnessed", summary.risk.unwitnessed)
      .field("squared_error", summary.risk.squared_error)
      .field("squared_error_at_start", summary.risk.squared_error_at_start)
      .end_object()
      .field("observations_dropped", summary.observations_dropped)
      .raw_field("triggers", summary.trigger_stats_json)
      .raw_field("suppressed", summary.suppressed_json)
      .field("incidents", summary.incidents)
      .key("runs")
      .begin_object();
  for (const auto& [status, count] : summary.runs) json.field(status, count);
  const double rate = summary.wall_seconds > 0
                          ? static_cast<double>(summary.counts.received) / summary.wall_seconds
                          : 0.0;
  json.end_object()
      .field("records", summary.record_count)
      .field("decision_digest", summary.decision_digest)
      .field("input_bytes", summary.ingest.bytes)
      .field("read_errors", read_errors(summary.ingest))
      .key("dead_letters")
      .begin_object()
      .field("written", summary.dead_letters.written)
      .field("dropped", summary.dead_letters.dropped_by_bound +
                            summary.dead_letters.dropped_by_rate +
                            summary.dead_letters.dropped_by_queue + summary.dead_letters.failed)
      .end_object()
      .field("wall_seconds", summary.wall_seconds)
      .field("events_per_second", rate)
      .field("peak_rss_bytes", summary.peak_rss_bytes)
      .field("workers", static_cast<std::uint64_t>(summary.workers))
      .end_object();
  return out;
}

std::string to_text(const Summary& summary) {
  std::string out;
  const pipeline::EventCounts& counts = summary.counts;
  append(out,
         "events      %" PRIu64 " received = %" PRIu64 " accepted + %" PRIu64 " rejected + %" PRIu64
         " dropped\n",
         counts.received, counts.accepted, counts.rejected_total(), counts.dropped);
  for (std::size_t i = 0; i < parse::kRejectReasonCount; ++i) {
    if (counts.rejected[i] == 0) continue;
    const std::string reason(parse::to_string(static_cast<parse::RejectReason>(i)));
    append(out, "            %" PRIu64 " %s\n", counts.rejected[i], reason.c_str());
  }
  if (counts.late > 0) append(out, "            %" PRIu64 " of them late\n", counts.late);
  out += "triggers    " + summary.trigger_stats_json + "\n";
  append(out, "incidents   %" PRIu64 "\n", summary.incidents);
  out += "runs        ";
  bool any = false;
  for (const auto& [status, count] : summary.runs) {
    if (count == 0) continue;
    append(out, "%s%" PRIu64 " %s", any ? ", " : "", count, status.c_str());
    any = true;
  }
  out += any ? "\n" : "none\n";
  append(out, "records     %" PRIu64 ", digest %s\n", summary.record_count,
         summary.decision_digest.c_str());
  const double rate =
      summary.wall_seconds > 0 ? static_cast<double>(counts.received) / summary.wall_seconds : 0;
  append(out, "time        %.3f s, %.0f events/s, %zu workers, peak memory %.1f MiB\n",
         summary.wall_seconds, rate, summary.workers,
         static_cast<double>(summary.peak_rss_bytes) / (1 << 20));
  return out;
}

}  // namespace grace::tools
