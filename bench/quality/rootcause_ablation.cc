// Ranks recorded cases under many sets of constants in one process, for bench/quality/rootcause.md.
//
//     rootcause_ablation CASES CONFIGS
//
// CASES: a line a case, separated by tabs: edges.csv, metrics.csv, RFC 3339 moment, SERVICE:METRIC
// or nothing, prefix of metrics to leave out or nothing. CONFIGS: a line a set, `name=value` by
// blanks, empty for the defaults. Prints one JSON object a case and set: {"config","case","at_ns",
// "ranking"}. Not for timing. Topology: none, one thread.
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "grace/core/time.h"
#include "rootcause_input.h"

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

// Lines of `in` whose third field does not begin with `prefix`.
std::string without(std::istream& in, const std::string& prefix) {
  std::string kept;
  std::vector<std::string> fields;
  for (std::string line; std::getline(in, line);) {
    const bool good = grace::tools::split_csv(line, fields) && fields.size() == 4;
    if (good && fields[2].starts_with(prefix)) continue;
    kept.append(line).push_back('\n');
  }
  return kept;
}

bool load(const std::vector<std::string>& fields, std::int64_t at_ns,
          grace::models::RootCauseModel& model) {
  std::ifstream edges(fields[0]);
  std::ifstream metrics(fields[1]);
  std::istringstream kept(fields[4].empty() ? "" : without(metrics, fields[4]));
  std::istream& in = fields[4].empty() ? static_cast<std::istream&>(metrics) : kept;
  const auto read_topology = grace::tools::read_edges(edges, fields[0], model);
  const auto read = grace::tools::read_metrics(in, fields[1], at_ns, model);
  if (read_topology && read) return true;
  std::cerr << (read_topology ? read.error() : read_topology.error()).message << '\n';
  return false;
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
    const auto at_ns = fields.size() == 5 ? grace::core::parse_rfc3339(fields[2]) : std::nullopt;
    if (!at_ns) return 2;
    const std::string key = fields[1] + '\t' + fields[4];
    if (key != loaded) {
      model = std::make_unique<grace::models::RootCauseModel>();
      if (!load(fields, INT64_MAX, *model)) return 2;
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
