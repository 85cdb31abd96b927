#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench_settings.h"
#include "grace/harness/plan.h"
#include "grace/parse/json_value.h"

namespace grace::tools {

// The result of a `grace bench` command as it grows: measurements come as JSON, each with its
// conditions; the whole is as doubtful as the worst of them.
class BenchDocument {
 public:
  BenchDocument(std::string kind, std::string over)
      : kind_(std::move(kind)), over_(std::move(over)) {}
  // kCorrupt: not an object.
  [[nodiscard]] core::Result<void> add_point(const std::string& json);
  [[nodiscard]] core::Result<void> add_search(const std::string& json);
  void set_plan(const harness::Plan& plan, const harness::PlanRequest& request) {
    plan_.emplace(plan, request);
  }
  // The measurements are those of a stored result: its machine and settings stand beside them.
  void set_stored(parse::JsonValue result) { stored_ = std::move(result); }
  // What the searches found, by workers; those that found nothing are left out.
  [[nodiscard]] std::vector<harness::CapacityPoint> capacity() const;
  [[nodiscard]] std::string to_json(const BenchArguments& arguments) const;

 private:
  [[nodiscard]] core::Result<void> add(std::vector<parse::JsonValue>& list,
                                       const std::string& json);
  std::string kind_, over_;
  std::vector<parse::JsonValue> points_, searches_;
  std::vector<std::string> doubts_;
  double lost_share_max_ = 0.0;
  std::vector<double> round_trips_ns_;
  std::optional<std::pair<harness::Plan, harness::PlanRequest>> plan_;
  std::optional<parse::JsonValue> stored_;
};

// How many workers to plan a machine with: its CPUs, as far as the engine takes so many, and no
// fewer than were measured.
[[nodiscard]] unsigned workers_max_of(std::uint64_t cpus,
                                      const std::vector<harness::CapacityPoint>& points);

// Reads a stored result. kInvalidArgument: names the file and what is wrong.
[[nodiscard]] core::Result<parse::JsonValue> read_bench_result(const std::string& path);
// Writes <out>.json and <out>.html (an empty `out`: nothing) and prints the JSON, or lines for
// people. Exit code.
[[nodiscard]] int present(const BenchArguments& arguments, const std::string& json);

// `grace bench compare`: what of B differs from A, as a ratio each, with doubts. Exit code.
[[nodiscard]] int compare_results(const std::string& a_path, const std::string& b_path, bool json);

}  // namespace grace::tools
