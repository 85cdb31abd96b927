#include "bench_document.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>

#include "bench_report.h"
#include "command.h"
#include "grace/core/platform.h"
#include "paths.h"

namespace grace::tools {
namespace {

using parse::JsonValue;

std::vector<harness::CapacityPoint> capacity_in(const std::vector<JsonValue>& searches) {
  std::vector<harness::CapacityPoint> points;
  for (const JsonValue& search : searches) {
    harness::CapacityPoint point;
    point.workers = static_cast<unsigned>(search["workers"].as_uint64());
    for (const JsonValue& rate : search["found"].array()) {
      if (rate.as_double() > 0.0) point.rates.push_back(rate.as_double());
    }
    if (point.workers > 0 && !point.rates.empty()) points.push_back(std::move(point));
  }
  return points;
}

void write_fit(core::JsonWriter& json, const harness::ScalabilityFit& fit, unsigned workers_max) {
  json.key("fit")
      .begin_object()
      .field("lambda", fit.best().lambda)
      .field("sigma", fit.best().sigma)
      .field("kappa", fit.best().kappa)
      .field("identified", fit.identified())
      .field("error_max", fit.error_max())
      .key("curve")
      .begin_array();
  for (unsigned workers = 1; workers <= workers_max; ++workers) {
    const auto band = fit.band(workers);
    json.begin_array().value(workers).value(fit.best().rate(workers));
    if (band) {
      json.value(band->low).value(band->high);
    } else {
      json.null().null();
    }
    json.end_array();
  }
  json.end_array().end_object();
}

void write_plan(core::JsonWriter& json, const harness::Plan& plan,
                const harness::PlanRequest& request) {
  json.key("plan")
      .begin_object()
      .field("rate", request.rate)
      .field("headroom", request.headroom)
      .field("rate_needed", plan.rate_needed)
      .field("workers", plan.workers)
      .field("machines", plan.machines)
      .field("machine_rate", plan.machine_rate)
      .field("extrapolated", plan.extrapolated)
      .key("machine_rate_low");
  plan.machine_rate_band ? json.value(plan.machine_rate_band->low) : json.null();
  json.key("machine_rate_high");
  plan.machine_rate_band ? json.value(plan.machine_rate_band->high) : json.null();
  json.key("machines_if_low");
  plan.machines_if_low ? json.value(*plan.machines_if_low) : json.null();
  json.key("machines_if_high");
  plan.machines_if_high ? json.value(*plan.machines_if_high) : json.null();
  json.end_object();
}

// --- compare ---

struct Compared {
  std::string what;
  double a = 0.0;
  double b = 0.0;
};

// What can stand beside each other: searches by workers, services and what was swept, runs by their
// rate as well.
std::map<std::string, const JsonValue*> by_name(const JsonValue& result, const char* list,
                                                bool with_rate) {
  std::map<std::string, const JsonValue*> named;
  const std::string_view over = result["over"].as_string();
  for (const JsonValue& entry : result[list].array()) {
    std::string name = std::to_string(entry["workers"].as_uint64()) + " worker(s), " +
                       std::to_string(entry["services"].as_uint64()) + " services";
    if (over == "mix") name += ", mix " + std::string(entry["mix"].as_string());
    if (over == "rules") name += ", " + entry["rules"].to_json() + " rules";
    if (with_rate) name += ", " + harness::format_rate(entry["target_rate"].as_double()) + "/s";
    named.emplace(std::move(name), &entry);
  }
  return named;
}

std::vector<Compared> compared(const JsonValue& a, const JsonValue& b) {
  std::vector<Compared> rows;
  const auto searches = by_name(b, "searches", false);
  for (const auto& [name, of_a] : by_name(a, "searches", false)) {
    const auto of_b = searches.find(name);
    if (of_b == searches.end()) continue;
    if ((*of_a)["objective"].as_string() != (*of_b->second)["objective"].as_string()) continue;
    rows.push_back({name + ": rate that holds " + std::string((*of_a)["objective"].as_string()),
                    (*of_a)["rate"].as_double(), (*of_b->second)["rate"].as_double()});
  }
  const auto points = by_name(b, "points", true);
  for (const auto& [name, of_a] : by_name(a, "points", true)) {
    const auto of_b = points.find(name);
    if (of_b == points.end()) continue;
    rows.push_back({name + ": completed a second", (*of_a)["completed_rate"].as_double(),
                    (*of_b->second)["completed_rate"].as_double()});
    for (const char* share : {"p50", "p99", "p99.9"}) {
      rows.push_back({name + ": response " + share + ", ns",
                      (*of_a)["response_ns"][share].as_double(),
                      (*of_b->second)["response_ns"][share].as_double()});
    }
    rows.push_back({name + ": resident bytes", (*of_a)["resident_bytes"].as_double(),
                    (*of_b->second)["resident_bytes"].as_double()});
  }
  return rows;
}

std::vector<std::string> compare_doubts(const JsonValue& a, const JsonValue& b) {
  std::vector<std::string> doubts;
  for (const auto& [name, result] : {std::pair{"A", &a}, std::pair{"B", &b}}) {
    for (const JsonValue& doubt : (*result)["doubts"].array()) {
      doubts.push_back(std::string(name) + " is inconclusive: " + std::string(doubt.as_string()));
    }
  }
  // A commit may differ: that is what is compared. A machine or a setting may not.
  for (const char* part : {"cpu", "cpus", "kernel", "compiler", "build"}) {
    const std::string of_a = a["machine"][part].to_json(), of_b = b["machine"][part].to_json();
    if (of_a != of_b) doubts.push_back(std::string(part) + " differs: " + of_a + ", " + of_b);
  }
  for (const auto& [name, value] : a["settings"].object()) {
    const std::string of_b = b["settings"][name].to_json();
    if (name != "rate" && value.to_json() != of_b) {
      doubts.push_back(name + " differs: " + value.to_json() + ", " + of_b);
    }
  }
  return doubts;
}

}  // namespace

unsigned workers_max_of(std::uint64_t cpus, const std::vector<harness::CapacityPoint>& points) {
  auto workers_max = unsigned(std::clamp<std::uint64_t>(cpus, 1, core::kWorkersMax));
  for (const harness::CapacityPoint& point : points) {
    workers_max = std::max(workers_max, point.workers);
  }
  return workers_max;
}

core::Result<void> BenchDocument::add(std::vector<JsonValue>& list, const std::string& json) {
  auto value = JsonValue::parse(json);
  if (!value || !value->is_object()) {
    return core::make_error(core::ErrorCode::kCorrupt, "a measurement gave no JSON object");
  }
  const JsonValue& conditions = (*value)["conditions"];
  for (const JsonValue& doubt : conditions["doubts"].array()) {
    std::string text(doubt.as_string());
    if (std::find(doubts_.begin(), doubts_.end(), text) == doubts_.end()) {
      doubts_.push_back(std::move(text));
    }
  }
  lost_share_max_ = std::max({lost_share_max_, conditions["lost_share"].as_double(),
                              conditions["foreign_share"].as_double()});
  if (const double trip_ns = conditions["round_trip_ns"].as_double(); trip_ns > 0.0) {
    round_trips_ns_.push_back(trip_ns);
  }
  list.push_back(std::move(*value));
  return {};
}

core::Result<void> BenchDocument::add_point(const std::string& json) {
  return add(points_, json);
}

core::Result<void> BenchDocument::add_search(const std::string& json) {
  if (auto added = add(searches_, json); !added) return added;
  const JsonValue& search = searches_.back();
  const auto& found = search["found"].array();
  const auto nothing = std::count_if(found.begin(), found.end(),
                                     [](const JsonValue& rate) { return rate.as_double() <= 0.0; });
  // That nothing holds can be the answer; it is none to how capacity grows with workers.
  if (nothing > 0 && (nothing < std::ptrdiff_t(found.size()) || over_ == "workers")) {
    doubts_.push_back(std::to_string(nothing) + " of " + std::to_string(found.size()) +
                      " repetitions with " + search["workers"].to_json() +
                      " worker(s) held no rate");
  }
  return {};
}

std::vector<harness::CapacityPoint> BenchDocument::capacity() const {
  return capacity_in(searches_);
}

std::string BenchDocument::to_json(const BenchArguments& arguments) const {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().field("grace_bench", 1).field("kind", kind_).field("over", over_);
  std::uint64_t cpus = 0;
  if (stored_) {
    cpus = (*stored_)["machine"]["cpus"].as_uint64();
    json.raw_field("machine", (*stored_)["machine"].to_json());
    json.raw_field("settings", (*stored_)["settings"].to_json());
  } else {
    const harness::MachineReport machine = harness::machine_report();
    cpus = machine.cpu_count;
    write_machine(json, machine);
    write_settings(json, arguments);
  }
  json.field("conclusive", doubts_.empty())
      .array_field("doubts", doubts_)
      .field("lost_share_max", lost_share_max_)
      .field("round_trip_ns", harness::median_of(round_trips_ns_));
  for (const auto& [name, list] :
       {std::pair{"points", &points_}, std::pair{"searches", &searches_}}) {
    json.key(name).begin_array();
    for (const JsonValue& value : *list) json.raw(value.to_json());
    json.end_array();
  }
  // How capacity grows with workers is no question to other mixes or rules.
  const bool one_load = over_ != "mix" && over_ != "rules";
  if (const auto points = capacity(); one_load && !points.empty()) {
    if (const auto fit = harness::ScalabilityFit::of(points)) {
      write_fit(json, *fit, workers_max_of(cpus, points));
    }
  }
  if (plan_) write_plan(json, plan_->first, plan_->second);
  json.end_object();
  return out;
}

core::Result<JsonValue> read_bench_result(const std::string& path) {
  const auto invalid = [](const std::string& message) {
    return core::make_error(core::ErrorCode::kInvalidArgument, message);
  };
  const auto text = read_file(path, 128 << 20);
  if (!text) return invalid(text.error().message);
  auto value = JsonValue::parse(*text);
  if (!value || (*value)["grace_bench"].as_int64() != 1) {
    return invalid(path + ": is not a result of grace bench");
  }
  for (const JsonValue& search : (*value)["searches"].array()) {
    // Null: a running engine's.
    if (search["workers"].is_null()) continue;
    const std::uint64_t workers = search["workers"].as_uint64();
    if (workers == 0 || workers > core::kWorkersMax) {
      return invalid(path + ": a search with " + search["workers"].to_json() +
                     " workers, not 1 to " + std::to_string(core::kWorkersMax));
    }
  }
  return value;
}

int present(const BenchArguments& arguments, const std::string& json) {
  const auto value = JsonValue::parse(json);
  if (!value) {
    std::cerr << "grace bench: " << value.error().message << '\n';
    return kExitNegative;
  }
  std::cout << (arguments.json ? json + "\n" : bench_text(*value));
  if (arguments.out.empty()) return kExitOk;
  std::ofstream json_file(arguments.out + ".json", std::ios::binary);
  json_file << json << '\n';
  std::ofstream page_file(arguments.out + ".html", std::ios::binary);
  page_file << harness::to_html(bench_page(*value));
  json_file.flush();
  page_file.flush();
  if (!json_file || !page_file) {
    std::cerr << "grace bench: cannot write " << arguments.out << ".json and .html\n";
    return kExitNegative;
  }
  std::cerr << "grace bench: wrote " << arguments.out << ".json and " << arguments.out << ".html\n";
  return kExitOk;
}

int compare_results(const std::string& a_path, const std::string& b_path, bool as_json) {
  const auto a = read_bench_result(a_path);
  const auto b = read_bench_result(b_path);
  for (const auto* result : {&a, &b}) {
    if (*result) continue;
    std::cerr << "grace bench compare: " << result->error().message << '\n';
    return kExitUsage;
  }
  const auto rows = compared(*a, *b);
  const auto doubts = compare_doubts(*a, *b);
  if (rows.empty()) {
    std::cerr << "grace bench compare: nothing in both has the same workers, services, rate "
                 "and mix or rules\n";
    return kExitUsage;
  }
  if (as_json) {
    std::string out;
    core::JsonWriter json(out);
    json.begin_object().field("conclusive", doubts.empty()).array_field("doubts", doubts);
    json.key("rows").begin_array();
    for (const Compared& row : rows) {
      json.begin_object().field("what", row.what).field("a", row.a).field("b", row.b);
      json.field("ratio", row.a > 0.0 ? row.b / row.a : 0.0).end_object();
    }
    json.end_array().end_object();
    std::cout << out << '\n';
    return kExitOk;
  }
  for (const Compared& row : rows) {
    char text[96];
    std::snprintf(text, sizeof text, "%14.6g %14.6g  B/A %.3f  ", row.a, row.b,
                  row.a > 0.0 ? row.b / row.a : 0.0);
    std::cout << text << row.what << '\n';
  }
  for (const std::string& doubt : doubts) std::cout << "INCONCLUSIVE: " << doubt << '\n';
  return kExitOk;
}

}  // namespace grace::tools
