#pragma once
#include "grace/log_analyzer/log_analyzer.h"

namespace grace::log_analyzer {

// The log analyzer and nothing else.
inline core::SubsystemList log_analyzer(const LogAnalyzerConfig& config = {}) {
  core::SubsystemList list;
  list.push_back(make_log_analyzer(config));
  return list;
}

}  // namespace grace::log_analyzer
