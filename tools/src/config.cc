#include "config.h"

#include <array>
#include <cstdlib>
#include <utility>

#include "config_playbooks.h"
#include "grace/core/time.h"
#include "toml_reader.h"

namespace grace::tools {
namespace {

void read_ingest(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable table(node, "ingest", errors);
  ingest::IngestConfig& ingest = config.engine.ingest;
  std::uint64_t chunk_bytes = ingest.chunk_target_bytes;
  table.get_bytes("chunk_bytes", chunk_bytes);
  ingest.chunk_target_bytes = static_cast<std::size_t>(chunk_bytes);
  std::uint64_t line_bytes = ingest.line_bytes_max;
  table.get_bytes("line_bytes_max", line_bytes);
  ingest.line_bytes_max = static_cast<std::size_t>(line_bytes);
  config.engine.parse.line_bytes_max = ingest.line_bytes_max;
  table.get("ahead_max", config.engine.parse.ahead_max);
  table.get("linger", ingest.linger);
  table.get("journal_required", ingest.journal_required);
  table.get("tcp_address", config.tcp.address);
  table.get("tcp_port", config.tcp.port);
  table.get("tcp_operator_allowed", config.tcp.operator_allowed);
  table.get("unix_path", config.unix_socket.path);
  table.get("unix_operator_allowed", config.unix_socket.operator_allowed);
  table.get("shared_memory_path", config.shared_memory.path);
  table.get("shared_memory_operator_allowed", config.shared_memory.operator_allowed);
  std::uint64_t ring_bytes = config.shared_memory.ring_bytes;
  table.get_bytes("shared_memory_ring_bytes", ring_bytes);
  config.shared_memory.ring_bytes = static_cast<std::size_t>(ring_bytes);
  table.get("shared_memory_producers_max", config.shared_memory.producers_max);
  table.get("connections_max", config.tcp.limits.connections_max);
  config.unix_socket.limits.connections_max = config.tcp.limits.connections_max;
  table.get("host_period", config.host.period);
  table.get("dead_letters", config.engine.dead_letters.path);
  table.get("dead_letter_lines_max", config.engine.dead_letters.lines_max);
}

void read_engine(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable table(node, "engine", errors);
  table.get("workers", config.engine.workers);
  config.workers_given = table.has("workers");
  table.get("pin_workers", config.engine.pin_workers);
  table.get_word("idle", config.engine.idle, core::idle_policy_from);
  table.get_word("threading", config.engine.threading, pipeline::threading_from);
  table.get("ledger", config.engine.ledger_directory);
  table.get("ledger_signing_key", config.engine.ledger_signing_key);
  table.get("ledger_previous_signing_key", config.engine.ledger_previous_signing_key);
  table.get("ledger_redact", config.engine.ledger_redact);
  table.get("ledger_export", config.engine.ledger_export_directory);
  table.get_bytes("ledger_retention_bytes", config.engine.ledger_retention_bytes);
  table.get("ledger_retention_age", config.engine.ledger_retention_age);
  table.get("ledger_compress_after", config.engine.ledger_compress_after);
  table.get("journal", config.engine.journal_directory);
  table.get("control_socket", config.control_socket);
  table.get("observations_per_tick_max", config.engine.observations_per_tick_max);
}

// [triggers]: the document's names, flags as booleans and limits as numbers.
void read_triggers(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable table(node, "triggers", errors);
  for (const limit::ConfigName& known : limit::config_names()) {
    if (!table.has(known.name)) continue;
    const toml::node* const value = table.node(known.name);
    std::string text;
    if (const auto flag = value->value_exact<bool>()) text = *flag ? "true" : "false";
    if (const auto number = value->value_exact<std::int64_t>()) text = std::to_string(*number);
    if (const auto number = value->value_exact<double>()) text = std::to_string(*number);
    const auto applied =
        limit::apply_environment_name(config.engine.triggers.limit, known.name, text);
    if (!applied) table.fail(known.name, applied.error().message);
  }
}

std::int64_t read_time(TomlTable& table, std::string_view key) {
  std::string text;
  table.get(key, text);
  const auto ts = core::parse_rfc3339(text);
  if (!ts) table.fail(key, "must be an RFC 3339 time in quotes");
  return ts.value_or(0);
}

void read_maintenance(TomlTable& root, AppConfig& config) {
  for (const toml::table* node : root.tables("maintenance")) {
    TomlTable table(*node, "maintenance", root.errors());
    limit::Silence window;
    table.get("service", window.service);
    table.get("diagnosis", window.diagnosis_code);
    if (table.has("source")) {
      core::Source source{};
      table.get_word("source", source, core::source_from);
      window.source = source;
    }
    table.get("everything", window.everything);
    table.get("reason", window.reason);
    window.start_ts_ns = read_time(table, "start");
    window.end_ts_ns = read_time(table, "end");
    window.created_by = "configuration";
    config.engine.triggers.limit.maintenance_windows.push_back(std::move(window));
  }
}

void read_topology(TomlTable& root, AppConfig& config) {
  constexpr std::array<std::string_view, 4> kCriticality{"low", "medium", "high", "critical"};
  for (const toml::table* node : root.tables("topology")) {
    TomlTable table(*node, "topology", root.errors());
    core::ServiceNode service;
    table.get("service", service.service);
    table.get("domain", service.domain);
    table.get("depends_on", service.depends_on);
    table.get("replicas", service.replicas);
    table.get_word("criticality", service.criticality,
                   [&](std::string_view word) -> std::optional<core::Criticality> {
                     for (std::size_t i = 0; i < kCriticality.size(); ++i) {
                       if (kCriticality[i] == word) return static_cast<core::Criticality>(i);
                     }
                     return std::nullopt;
                   });
    if (service.service.empty()) table.fail("service", "is missing");
    config.engine.topology.push_back(std::move(service));
  }
}

void read_correlate(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable table(node, "correlate", errors);
  correlate::CorrelateConfig& correlate = config.engine.triggers.correlate;
  table.get("join_window", correlate.join_window);
  table.get("topology_hops_max", correlate.topology_hops_max);
  table.get("quiet_resolve", correlate.quiet_resolve);
  table.get("group_wait", correlate.group_wait);
  table.get("critical_group_wait", correlate.critical_group_wait);
  table.get("root_cause_series_max", correlate.root_cause.series_max);
  table.get("root_cause_history_max", correlate.root_cause.history_max);
  correlate::OutcomeConfig& outcome = config.engine.triggers.outcome;
  table.get("forecast_grace", outcome.forecast_grace);
  table.get("prevented_hold", outcome.prevented_hold);
  table.get("prevented_confirm", outcome.prevented_confirm);
}

void read_schedule(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable table(node, "schedule", errors);
  schedule::ScheduleConfig& schedule = config.engine.schedule;
  table.get("blast_radius_max", schedule.trust.blast_radius_max);
  table.get("confidence_min", schedule.trust.confidence_min);
  table.get("proactive_confidence_min", schedule.trust.proactive_confidence_min);
  read_windows(table, "change_windows", schedule.trust.change_windows);
  table.get("proposals_per_hour_max", schedule.proposals_per_hour_max);
  table.get("backoff_first", schedule.backoff_first);
  table.get("backoff_max", schedule.backoff_max);
  table.get("approval_expiry", schedule.approval_expiry);
  table.get("exec_allowed", schedule.limits.exec_allowed);
  table.get("http_hosts", schedule.limits.http_hosts);
  config.executor.http_hosts = schedule.limits.http_hosts;
  table.get("attempts_per_hour_max", schedule.breakers.attempts_per_hour_max);
  table.get("consecutive_failures_max", schedule.breakers.consecutive_failures_max);
  table.get("fleet_fraction_max", schedule.breakers.fleet_fraction_max);
  table.get("no_new_privileges", config.executor.no_new_privileges);
  table.get_bytes("step_memory_bytes_max", config.executor.memory_bytes_max);
}

void read_proactive(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable table(node, "proactive", errors);
  proactive::ProactiveConfig& proactive = config.proactive;
  table.get("bin", proactive.bin);
  table.get("warmup_bins", proactive.warmup_bins);
  table.get("horizon", proactive.horizon);
  table.get("shortfall_min", proactive.shortfall_min);
  table.get("risk_min", proactive.risk_min);
  table.get("drift_departure", proactive.drift_departure);
  table.get("drift_bins", proactive.drift_bins);
  table.get("series_max", proactive.series_max);
  table.get("rich_models_max", proactive.rich_models_max);
  table.get("ensemble_models_max", proactive.ensemble_models_max);
  table.get("observed_metrics", proactive.observed_metrics);
  for (const toml::table* range_node : table.tables("range")) {
    TomlTable range_table(*range_node, "proactive.range", errors);
    proactive::MetricRange range;
    range_table.get("service", range.service);
    range_table.get("metric", range.metric);
    range_table.get("low", range.low);
    range_table.get("high", range.high);
    proactive.ranges.push_back(std::move(range));
  }
}

void read_log_analyzer(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable table(node, "log_analyzer", errors);
  log_analyzer::LogAnalyzerConfig& analyzer = config.log_analyzer;
  table.get("error_count_min", analyzer.error_count_min);
  table.get("error_window", analyzer.error_window);
  table.get("error_settle", analyzer.error_settle);
  table.get("error_quiet", analyzer.error_quiet);
  table.get("error_growth_factor", analyzer.error_growth_factor);
  table.get("session_idle", analyzer.session_idle);
  table.get("session_models_max", analyzer.session_models_max);
  table.get("cascade_window", analyzer.cascade_window);
  table.get("cascade_components_min", analyzer.cascade_components_min);
  table.get("patterns_max", analyzer.patterns_max);
}

void read_agentic_spine(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable table(node, "agentic_spine", errors);
  agentic_spine::AgenticSpineConfig& spine = config.agentic_spine;
  table.get("health_bound", spine.health_bound);
  table.get("cascade_window", spine.cascade_window);
  table.get("services_max", spine.services_max);
}

void read_meta_loop(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable table(node, "meta_loop", errors);
  meta_loop::MetaLoopConfig& meta = config.meta_loop;
  table.get("runs_min", meta.runs_min);
  table.get("failure_rate_min", meta.failure_rate_min);
  table.get("outcomes_min", meta.outcomes_min);
  table.get("step_share", meta.step_share);
}

void read_root(const toml::table& node, AppConfig& config, ConfigErrors& errors) {
  TomlTable root(node, "", errors);
  root.get_word("mode", config.engine.schedule.trust.mode, schedule::mode_from);
  using Reader = void (*)(const toml::table&, AppConfig&, ConfigErrors&);
  constexpr std::pair<std::string_view, Reader> kSections[] = {
      {"engine", read_engine},
      {"ingest", read_ingest},
      {"triggers", read_triggers},
      {"correlate", read_correlate},
      {"schedule", read_schedule},
      {"proactive", read_proactive},
      {"log_analyzer", read_log_analyzer},
      {"agentic_spine", read_agentic_spine},
      {"meta_loop", read_meta_loop},
  };
  for (const auto& [name, read] : kSections) {
    if (const toml::table* section = root.table(name)) read(*section, config, errors);
  }
  read_topology(root, config);
  read_maintenance(root, config);
  read_playbooks(root, config);
  read_policies(root, config);
}

core::Result<void> read_environment(AppConfig& config) {
  for (const limit::ConfigName& known : limit::config_names()) {
    const std::string name(known.name);
    const char* const value = std::getenv(name.c_str());
    if (value == nullptr) continue;
    const auto applied = limit::apply_environment_name(config.engine.triggers.limit, name, value);
    if (!applied) {
      return core::make_error(core::ErrorCode::kConfig, "environment: " + applied.error().message);
    }
  }
  return {};
}

core::Error joined(const std::vector<std::string>& messages) {
  core::Error error{core::ErrorCode::kConfig, "", 0, 0};
  for (const std::string& message : messages) {
    if (!error.message.empty()) error.message += '\n';
    error.message += message;
  }
  return error;
}

template <typename T>
core::Result<void> check_into(core::Result<T> checked, T& out) {
  if (!checked) return tl::unexpected<core::Error>(checked.error());
  out = std::move(*checked);
  return {};
}

}  // namespace

core::Result<AppConfig> load_config(const std::string& path) {
  AppConfig config;
  if (!path.empty()) {
    toml::table root;
    try {
      root = toml::parse_file(path);
    } catch (const toml::parse_error& error) {
      const auto line = error.source().begin.line;
      return core::make_error(core::ErrorCode::kConfig, path + ":" + std::to_string(line) + ": " +
                                                            std::string(error.description()));
    }
    ConfigErrors errors(path);
    read_root(root, config, errors);
    if (!errors.messages().empty()) return tl::unexpected<core::Error>(joined(errors.messages()));
  }
  if (auto applied = read_environment(config); !applied) {
    return tl::unexpected<core::Error>(applied.error());
  }
  return config;
}

core::Result<CheckedConfig> check_config(AppConfig app) {
  // Verifications watch metrics: their bins must reach the ordered stage.
  for (const schedule::Playbook& playbook : app.playbooks) {
    if (!playbook.verification) continue;
    for (const schedule::CheckSpec& check : playbook.verification->checks) {
      if (check.metric.find_first_of("*?[") == std::string::npos) {
        app.proactive.observed_metrics.push_back(check.metric);
      }
    }
  }
  auto playbooks = schedule::PlaybookSet::build(app.playbooks, app.engine.schedule.limits);
  if (!playbooks) return tl::unexpected<core::Error>(playbooks.error());
  const std::initializer_list<core::Result<void>> checks{
      schedule::check_policy_names(app.engine.schedule.trust, *playbooks),
      check_into(pipeline::validated(app.engine), app.engine),
      check_into(proactive::validated(app.proactive), app.proactive),
      check_into(log_analyzer::validated(app.log_analyzer), app.log_analyzer),
      check_into(agentic_spine::validated(app.agentic_spine), app.agentic_spine),
      check_into(meta_loop::validated(app.meta_loop), app.meta_loop),
  };
  for (const core::Result<void>& check : checks) {
    if (!check) return tl::unexpected<core::Error>(check.error());
  }
  return CheckedConfig{std::move(app), std::move(*playbooks)};
}

std::vector<std::string> environment_names() {
  std::vector<std::string> names;
  for (const limit::ConfigName& known : limit::config_names()) names.emplace_back(known.name);
  return names;
}

}  // namespace grace::tools
