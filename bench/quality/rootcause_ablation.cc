// Ranks recorded cases under many sets of constants in one process, for bench/quality/rootcause.md.
//
//     rootcause_ablation CASES CONFIGS
//
// CASES: a line a case, separated by tabs: edges.csv, metrics.csv, RFC 3339 moment, SERVICE:METRIC
// or nothing, prefix of metrics to leave out or nothing, spans.csv or nothing. CONFIGS: a line a
// set, `name=value` by blanks, empty for the defaults. Prints one JSON object a case and set:
// {"config","case","none", "services"}, the first eight. Names must need no escapes. Not for
// timing. Topology: none, one thread.
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "edge_input.h"
#include "grace/core/time.h"
#include "rootcause_input.h"
#include "span_input.h"

namespace {

using grace::models::RootCauseConfig;

const std::map<std::string, std::function<void(RootCauseConfig&, double)>> kFields{
    {"window_s", [](auto& c, double v) { c.window_ns_min = static_cast<std::int64_t>(v * 1e9); }},
    {"window_samples", [](auto& c, double v) { c.window_samples = static_cast<unsigned>(v); }},
    {"agree", [](auto& c, double v) { c.agree = static_cast<unsigned>(v); }},
    {"baseline", [](auto& c, double v) { c.baseline_samples_min = static_cast<unsigned>(v); }},
    {"level_half", [](auto& c, double v) { c.level_half = v; }},
    {"count_half", [](auto& c, double v) { c.count_half = v; }},
    {"noise", [](auto& c, double v) { c.noise = v; }},
    {"share_weight", [](auto& c, double v) { c.share_weight = v; }},
    {"share_min", [](auto& c, double v) { c.share_min = v; }},
    {"other_trouble", [](auto& c, double v) { c.other_trouble = v; }},
    {"explained", [](auto& c, double v) { c.explained = v; }},
    {"resource_weight", [](auto& c, double v) { c.resource_weight = v; }},
    {"unknown_weight", [](auto& c, double v) { c.unknown_weight = v; }},
    {"calls_weight", [](auto& c, double v) { c.calls_weight = v; }},
    {"none_score", [](auto& c, double v) { c.none_score = v; }},
};

bool parse_config(const std::string& line, RootCauseConfig& config) {
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    const auto field = kFields.find(word.substr(0, equals));
    if (equals == std::string::npos || field == kFields.end()) {
      std::cerr << "rootcause_ablation: '" << word << "' is no constant\n";
      return false;
    }
    field->second(config, std::stod(word.substr(equals + 1)));
  }
  return true;
}

std::vector<std::string> split_tabs(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\t') {
      fields.emplace_back();
    } else {
      fields.back().push_back(c);
    }
  }
  return fields;
}

// Of the metrics what does not begin with the prefix in fields[4].
bool load(const std::vector<std::string>& fields, grace::models::RootCauseModel& model) {
  using grace::tools::BoundedLines;
  const auto observe = [&](std::int64_t ts_ns, std::string_view service, std::string_view metric,
                           double value) {
    if (!fields[4].empty() && metric.starts_with(fields[4])) {
      return grace::models::Observed::kTaken;
    }
    return model.observe(ts_ns, service, metric, value);
  };
  const auto add_edge = [&](auto caller, auto callee) { return model.add_edge(caller, callee); };
  auto edges = BoundedLines::open(fields[0]);
  auto metrics = BoundedLines::open(fields[1]);
  grace::core::Result<void> done;
  if (!edges) done = tl::unexpected(edges.error());
  if (!metrics) done = tl::unexpected(metrics.error());
  if (done) done = grace::tools::read_edges(std::move(*edges), add_edge);
  if (done) {
    const auto read = grace::tools::read_metrics(std::move(*metrics), INT64_MAX, observe);
    if (read) return true;
    done = tl::unexpected(read.error());
  }
  std::cerr << done.error().message << '\n';
  return false;
}

bool load_spans(const std::string& path, std::int64_t at_ns, grace::models::RootCauseModel& model) {
  auto lines = grace::tools::BoundedLines::open(path);
  grace::models::SpanAssembler assembler(model);
  grace::core::Result<grace::tools::SpansRead> read = tl::unexpected(grace::core::Error{});
  if (lines) {
    read = grace::tools::read_spans(std::move(*lines), at_ns,
                                    [&](const auto& span) { return assembler.observe(span); });
    assembler.finish();
  }
  if (!read) std::cerr << (lines ? read.error() : lines.error()).message << '\n';
  return read.has_value();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: rootcause_ablation CASES CONFIGS\n";
    return 2;
  }
  std::ifstream cases(argv[1]);
  std::ifstream config_file(argv[2]);
  std::vector<RootCauseConfig> configs;
  for (std::string line; std::getline(config_file, line);) {
    if (!parse_config(line, configs.emplace_back())) return 2;
  }
  // Cases with the same files follow each other: they are loaded once.
  std::string loaded;
  std::unique_ptr<grace::models::RootCauseModel> model;
  std::size_t number = 0;
  for (std::string line; std::getline(cases, line); ++number) {
    const auto fields = split_tabs(line);
    const auto at_ns = fields.size() == 6 ? grace::core::parse_rfc3339(fields[2]) : std::nullopt;
    if (!at_ns) return 2;
    // What spans say is cut at the moment, so it is loaded anew for another one.
    const std::string key =
        fields[1] + '\t' + fields[4] + (fields[5].empty() ? "" : '\t' + fields[5] + fields[2]);
    if (key != loaded) {
      model = std::make_unique<grace::models::RootCauseModel>();
      if (!load(fields, *model)) return 2;
      if (!fields[5].empty() && !load_spans(fields[5], *at_ns, *model)) return 2;
      loaded = key;
    }
    std::optional<grace::models::Symptom> symptom;
    if (const std::size_t colon = fields[3].rfind(':'); colon != std::string::npos) {
      symptom = {fields[3].substr(0, colon), fields[3].substr(colon + 1)};
    }
    for (std::size_t i = 0; i < configs.size(); ++i) {
      model->reconfigure(configs[i]);
      const auto ranking = model->rank(*at_ns, symptom);
      if (!ranking) return 2;
      std::cout << R"({"config":)" << i << R"(,"case":)" << number << R"(,"none":)" << ranking->none
                << R"(,"services":[)";
      for (std::size_t rank = 0; rank < ranking->services.size() && rank < 8; ++rank) {
        const auto& each = ranking->services[rank];
        std::cout << (rank == 0 ? "" : ",") << R"({"service":")" << each.service
                  << R"(","probability":)" << each.probability << R"(,"score":)" << each.score
                  << R"(,"metric":")" << each.strongest_metric << R"("})";
      }
      std::cout << "]}\n";
    }
  }
  return 0;
}
