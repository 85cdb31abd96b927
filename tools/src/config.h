#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "grace/agentic_spine/agentic_spine.h"
#include "grace/core/error.h"
#include "grace/ingest/host_source.h"
#include "grace/ingest/shared_source.h"
#include "grace/ingest/socket_source.h"
#include "grace/log_analyzer/log_analyzer.h"
#include "grace/meta_loop/meta_loop.h"
#include "grace/pipeline/engine.h"
#include "grace/proactive/proactive.h"
#include "grace/schedule/playbook.h"
#include "grace/schedule/process_executor.h"
#include "grace/schedule/trust_core.h"

namespace grace::tools {

// Everything a configuration file can say. Defaults are those of the modules.
struct AppConfig {
  pipeline::EngineConfig engine;
  bool workers_given = false;  // `engine.workers` was set, and is no default
  proactive::ProactiveConfig proactive;
  log_analyzer::LogAnalyzerConfig log_analyzer;
  agentic_spine::AgenticSpineConfig agentic_spine;
  meta_loop::MetaLoopConfig meta_loop;
  std::vector<schedule::Playbook> playbooks;
  std::vector<schedule::PolicyTest> policy_tests;
  schedule::ExecutorConfig executor;
  // --- live sources of `grace run` without --source ---
  ingest::HostSourceConfig host;
  ingest::TcpSourceConfig tcp;
  ingest::UnixSourceConfig unix_socket;
  ingest::SharedSourceConfig shared_memory;  // an empty path: not
  // Where `grace stats`, `runs` ... find the engine. Empty: <ledger directory>/control.sock.
  std::string control_socket;
};

// Reads `path` (empty: defaults) and the environment, which wins. kConfig: one line for each
// mistake, "file:line: message"; unknown settings are mistakes.
[[nodiscard]] core::Result<AppConfig> load_config(const std::string& path);

// A loaded configuration, checked as a whole: playbooks resolved, policies' names known, every
// module's own validation.
struct CheckedConfig {
  AppConfig app;
  schedule::PlaybookSet playbooks;
};
[[nodiscard]] core::Result<CheckedConfig> check_config(AppConfig app);

// For --help: the environment names that load_config reads.
[[nodiscard]] std::vector<std::string> environment_names();

}  // namespace grace::tools
