#include "bench_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "grace/harness/units.h"

namespace grace::tools {
namespace {

using harness::AxisUnit;
using harness::Plot;
using harness::PlotPoint;
using harness::PlotSeries;
using parse::JsonValue;

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f%%", share * 100.0);
  return text;
}
std::string span(const JsonValue& ns) {
  return harness::format_span(ns.as_double());
}
std::string rate(const JsonValue& value) {
  return harness::format_rate(value.as_double()) + "/s";
}
std::string whole(const JsonValue& number) {
  return std::to_string(number.as_uint64());
}
// Workers and services of a running engine, or of lines from a file, are not known.
std::string known(const JsonValue& number) {
  return number.is_null() ? "?" : whole(number);
}
std::string workers_of(const JsonValue& entry) {
  return entry["workers"].is_null() ? std::string(entry["target"].as_string())
                                    : whole(entry["workers"]) + " worker(s)";
}
std::string threads_of(const JsonValue& entry) {
  if (entry["threading"].is_null()) return "?";
  return std::string(entry["threading"].as_string()) + ", " +
         std::string(entry["idle"].as_string());
}
// Threads, mix and rules, where they are not the usual ones.
std::string of_what(const JsonValue& entry) {
  std::string text;
  if (entry["threading"].as_string() == "pipeline") text += ", pipeline";
  if (const auto idle = entry["idle"].as_string(); !idle.empty() && idle != "park") {
    text += ", " + std::string(idle);
  }
  if (const auto mix = entry["mix"].as_string(); !mix.empty() && mix != "mixed") {
    text += ", " + std::string(mix);
  }
  if (!entry["rules"].is_null()) text += ", " + whole(entry["rules"]) + " rules";
  return text;
}
std::string name_of(const JsonValue& point) {
  return rate(point["target_rate"]) + ", " + workers_of(point) + of_what(point);
}

// The points of a result, those inside searches too.
std::vector<const JsonValue*> points_of(const JsonValue& result) {
  std::vector<const JsonValue*> points;
  for (const JsonValue& point : result["points"].array()) points.push_back(&point);
  for (const JsonValue& search : result["searches"].array()) {
    if (const JsonValue* half = search.find("at_half")) points.push_back(half);
  }
  return points;
}

// Two percentile curves of one run; the axis is 1 / (1 - share), so that each nine is as wide.
Plot percentile_plot(const std::vector<const JsonValue*>& points) {
  Plot plot{"Latency by percentile (x: one in so many is worse)",
            {"one in", AxisUnit::kNumber, true},
            {"latency", AxisUnit::kSpan, true},
            {}};
  for (const JsonValue* point : points) {
    if (plot.series.size() >= 5) break;
    PlotSeries response{"response " + name_of(*point), {}, true, false};
    PlotSeries service{"service (from the actual send)", {}, true, false};
    for (const JsonValue& at : (*point)["curve"].array()) {
      const double one_in = 1.0 / (1.0 - at.array()[0].as_double());
      response.points.push_back({one_in, at.array()[1].as_double()});
      service.points.push_back({one_in, at.array()[2].as_double()});
    }
    plot.series.push_back(std::move(response));
    if (points.size() == 1) plot.series.push_back(std::move(service));
  }
  return plot;
}

Plot backlog_plot(const std::vector<const JsonValue*>& points) {
  Plot plot{"Backlog over the window",
            {"part of the window", AxisUnit::kShare, false},
            {"arrivals not completed", AxisUnit::kNumber, false},
            {}};
  for (const JsonValue* point : points) {
    PlotSeries series{name_of(*point), {}, true, false};
    const auto& backlog = (*point)["backlog"].array();
    for (std::size_t i = 0; i < backlog.size(); ++i) {
      series.points.push_back({double(i + 1) / double(backlog.size()), backlog[i].as_double()});
    }
    plot.series.push_back(std::move(series));
    if (plot.series.size() == 6) break;
  }
  return plot;
}

// An axis for what was swept, with a place on it for each entry.
struct Swept {
  harness::Axis axis;
  std::vector<double> places;
};
Swept swept_axis(std::string_view over, const std::vector<const JsonValue*>& entries) {
  Swept swept;
  if (over == "rules") swept.axis = {"configured rules", AxisUnit::kNumber, true};
  if (over == "mix") swept.axis = {"mix of events", AxisUnit::kNumber, false};
  for (const JsonValue* entry : entries) {
    if (over == "mix") {
      swept.places.push_back(double(swept.axis.names.size()));
      swept.axis.names.emplace_back((*entry)["mix"].as_string());
    } else {
      swept.places.push_back((*entry)["rules"].as_double());
    }
  }
  return swept;
}

// Response times at one rate, or the rates that were found. Mixes have no order that a line could
// follow.
Plot mix_or_rules_plot(std::string_view over, const JsonValue& result) {
  const bool found = !result["searches"].array().empty();
  std::vector<const JsonValue*> entries;
  for (const JsonValue& entry : result[found ? "searches" : "points"].array()) {
    entries.push_back(&entry);
  }
  const Swept swept = swept_axis(over, entries);
  const bool line = swept.axis.names.empty();
  const std::string what(over == "mix" ? "mixes" : "rules");
  if (found) {
    PlotSeries rates{"found, each repetition", {}, false, true};
    PlotSeries median{"median", {}, line, true};
    for (std::size_t i = 0; i < entries.size(); ++i) {
      median.points.push_back({swept.places[i], (*entries[i])["rate"].as_double()});
      for (const JsonValue& one : (*entries[i])["found"].array()) {
        rates.points.push_back({swept.places[i], one.as_double()});
      }
    }
    return {"Sustained rate over " + what,
            swept.axis,
            {"events a second", AxisUnit::kRate, false},
            {std::move(rates), std::move(median)}};
  }
  Plot plot{"Response time over " + what, swept.axis, {"response time", AxisUnit::kSpan, true}, {}};
  for (const char* share : {"p50", "p99", "p99.9", "max"}) {
    PlotSeries series{share, {}, line, true};
    for (std::size_t i = 0; i < entries.size(); ++i) {
      series.points.push_back({swept.places[i], (*entries[i])["response_ns"][share].as_double()});
    }
    plot.series.push_back(std::move(series));
  }
  return plot;
}

// One series a percentile over some figure of the points.
Plot latency_plot(const std::vector<const JsonValue*>& points) {
  Plot plot{"Response time over load",
            {"offered, events a second", AxisUnit::kRate, false},
            {"response time", AxisUnit::kSpan, true},
            {}};
  for (const char* share : {"p50", "p99", "p99.9", "max"}) {
    PlotSeries series{share, {}, true, true};
    for (const JsonValue* point : points) {
      series.points.push_back(
          {(*point)["target_rate"].as_double(), (*point)["response_ns"][share].as_double()});
    }
    std::sort(series.points.begin(), series.points.end(),
              [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
    plot.series.push_back(std::move(series));
  }
  PlotSeries floor{"floor p99.9", {}, true, false};
  for (const JsonValue* point : points) {
    floor.points.push_back(
        {(*point)["target_rate"].as_double(), (*point)["floor_response_ns"]["p99.9"].as_double()});
  }
  plot.series.push_back(std::move(floor));
  return plot;
}

Plot memory_plot(const std::vector<const JsonValue*>& points) {
  Plot plot{"Memory over cardinality",
            {"services", AxisUnit::kNumber, true},
            {"resident memory", AxisUnit::kBytes, false},
            {}};
  PlotSeries series{"engine, less the process before", {}, true, true};
  for (const JsonValue* point : points) {
    series.points.push_back(
        {(*point)["services"].as_double(), (*point)["resident_bytes"].as_double()});
  }
  plot.series.push_back(std::move(series));
  return plot;
}

Plot soak_plot(const JsonValue& soak) {
  Plot plot{"Resident memory over the run",
            {"seconds", AxisUnit::kNumber, false},
            {"resident memory", AxisUnit::kBytes, false},
            {}};
  PlotSeries series{"the process", {}, true, false};
  for (const JsonValue& sample : soak["memory"].array()) {
    series.points.push_back({sample.array()[0].as_double(), sample.array()[1].as_double()});
  }
  plot.series.push_back(std::move(series));
  return plot;
}

std::array<Plot, 2> overload_plots(const std::vector<const JsonValue*>& points) {
  std::array<Plot, 2> plots{Plot{"Loss over offered load",
                                 {"offered, events a second", AxisUnit::kRate, false},
                                 {"not completed in time", AxisUnit::kShare, false},
                                 {}},
                            Plot{"Goodput over offered load",
                                 {"offered, events a second", AxisUnit::kRate, false},
                                 {"completed, events a second", AxisUnit::kRate, false},
                                 {}}};
  PlotSeries loss{"unsent, unfinished or dropped", {}, true, true};
  PlotSeries goodput{"completed", {}, true, true};
  for (const JsonValue* point : points) {
    const double offered = (*point)["target_rate"].as_double();
    loss.points.push_back({offered, (*point)["lost"].as_double()});
    goodput.points.push_back({offered, (*point)["completed_rate"].as_double()});
  }
  plots[0].series.push_back(std::move(loss));
  plots[1].series.push_back(std::move(goodput));
  return plots;
}

Plot workers_plot(const JsonValue& result) {
  Plot plot{"Sustained rate over workers",
            {"workers", AxisUnit::kNumber, false},
            {"events a second", AxisUnit::kRate, false},
            {}};
  PlotSeries found{"found, each repetition", {}, false, true};
  for (const JsonValue& search : result["searches"].array()) {
    for (const JsonValue& one : search["found"].array()) {
      found.points.push_back({search["workers"].as_double(), one.as_double()});
    }
  }
  plot.series.push_back(std::move(found));
  PlotSeries fit{"Universal Scalability Law, 90% band", {}, true, false};
  for (const JsonValue& at : result["fit"]["curve"].array()) {
    PlotPoint point{at.array()[0].as_double(), at.array()[1].as_double()};
    if (!at.array()[2].is_null()) {
      point.band = harness::Band{at.array()[2].as_double(), at.array()[3].as_double()};
    }
    fit.points.push_back(point);
  }
  plot.series.push_back(std::move(fit));
  return plot;
}

harness::Table points_table(const std::vector<const JsonValue*>& points) {
  harness::Table table{"Runs",
                       {"offered", "workers", "threads", "services", "mix", "rules", "completed",
                        "p50", "p99", "p99.9", "max", "service p99.9", "generator p99.9",
                        "floor p99.9", "unsent", "unfinished", "backlog grows"},
                       {}};
  for (const JsonValue* point : points) {
    const JsonValue& p = *point;
    const JsonValue& response = p["response_ns"];
    table.rows.push_back(
        {rate(p["offered_rate"]), known(p["workers"]), threads_of(p), known(p["services"]),
         p["mix"].is_null() ? "?" : std::string(p["mix"].as_string()),
         p["rules"].is_null() ? "as configured" : whole(p["rules"]), rate(p["completed_rate"]),
         span(response["p50"]), span(response["p99"]), span(response["p99.9"]),
         span(response["max"]), span(p["service_ns"]["p99.9"]),
         span(p["generator_delay_ns"]["p99.9"]), span(p["floor_response_ns"]["p99.9"]),
         whole(p["unsent"]), whole(p["unfinished"]), p["backlog_grows"].as_bool() ? "yes" : "no"});
  }
  return table;
}

harness::Table searches_table(const JsonValue& result) {
  harness::Table table{
      "Highest rate that held the objective",
      {"workers", "threads", "mix", "rules", "objective", "rate", "each repetition", "trials"},
      {}};
  for (const JsonValue& search : result["searches"].array()) {
    std::string each;
    for (const JsonValue& one : search["found"].array()) each += rate(one) + " ";
    const bool open = search["limit_not_reached"].as_bool();
    table.rows.push_back({known(search["workers"]), threads_of(search),
                          search["mix"].is_null() ? "?" : std::string(search["mix"].as_string()),
                          search["rules"].is_null() ? "as configured" : whole(search["rules"]),
                          std::string(search["objective"].as_string()),
                          (open ? "above " : "") + rate(search["rate"]), each,
                          std::to_string(search["trials"].array().size())});
  }
  return table;
}

std::string soak_text(const JsonValue& soak) {
  char text[256];
  std::snprintf(
      text, sizeof text,
      "%.0f s at %.0f%% of %s: memory %.1f MiB, second half %+.3g KiB/s (%+.3g to %+.3g), "
      "at most %+.2f%% of it, %.2f%% allowed; ",
      soak["seconds"].as_double(), soak["load"].as_double() * 100.0,
      rate(soak["best_rate"]).c_str(), soak["level_bytes"].as_double() / (1 << 20),
      soak["slope_per_s"].as_double() / 1024, soak["slope_low"].as_double() / 1024,
      soak["slope_high"].as_double() / 1024, soak["growth_high"].as_double() * 100.0,
      soak["growth_max"].as_double() * 100.0);
  std::string out = text;
  out += "received " + whole(soak["received"]) + " = accepted " + whole(soak["accepted"]) +
         " + rejected " + whole(soak["rejected"]) + " + dropped " + whole(soak["dropped"]) + ": ";
  if (soak["holds"].as_bool()) return out + "holds";
  out += "DOES NOT HOLD";
  for (const JsonValue& why : soak["why"].array()) out += ", " + std::string(why.as_string());
  return out;
}

std::string plan_text(const JsonValue& plan) {
  std::string text = whole(plan["machines"]) + " machine(s) with " + whole(plan["workers"]) +
                     " worker(s) each: " + rate(plan["machine_rate"]) + " a machine, " +
                     rate(plan["rate_needed"]) + " needed for " + rate(plan["rate"]) + " and " +
                     percent(plan["headroom"].as_double()) + " headroom";
  if (!plan["machines_if_low"].is_null()) {
    text += "; " + whole(plan["machines_if_high"]) + " to " + whole(plan["machines_if_low"]) +
            " within the 90% band of " + rate(plan["machine_rate_low"]) + " to " +
            rate(plan["machine_rate_high"]);
  } else {
    text += "; too few measurements for a band";
  }
  if (plan["extrapolated"].as_bool()) text += "; EXTRAPOLATED beyond the workers measured";
  return text;
}

std::string fit_text(const JsonValue& fit) {
  char text[160];
  std::snprintf(text, sizeof text,
                "sigma %.4f, kappa %.5f, alone %s; %d coefficient(s) shown by the points, at most "
                "%.1f%% off",
                fit["sigma"].as_double(), fit["kappa"].as_double(), rate(fit["lambda"]).c_str(),
                int(fit["identified"].as_int64()), fit["error_max"].as_double() * 100.0);
  return text;
}

}  // namespace

harness::Page bench_page(const JsonValue& result) {
  harness::Page page;
  const std::string_view over = result["over"].as_string();
  page.title = "grace bench " + std::string(result["kind"].as_string()) +
               (over.empty() ? "" : " over " + std::string(over));
  for (const JsonValue& doubt : result["doubts"].array()) {
    page.warnings.push_back("INCONCLUSIVE: " + std::string(doubt.as_string()));
  }
  const auto add = [&](const JsonValue& object) {
    for (const auto& [name, value] : object.object()) {
      page.facts.emplace_back(name,
                              value.is_string() ? std::string(value.as_string()) : value.to_json());
    }
  };
  if (!result["plan"].is_null()) page.facts.emplace_back("plan", plan_text(result["plan"]));
  if (!result["fit"].is_null()) page.facts.emplace_back("scalability", fit_text(result["fit"]));
  page.facts.emplace_back("time lost to others", percent(result["lost_share_max"].as_double()));
  page.facts.emplace_back("core to core and back", span(result["round_trip_ns"]));
  add(result["machine"]);
  add(result["settings"]);
  const auto points = points_of(result);
  const bool mix_or_rules = over == "mix" || over == "rules";
  if (!result["searches"].array().empty()) {
    page.tables.push_back(searches_table(result));
    if (!mix_or_rules) page.plots.push_back(workers_plot(result));
  }
  if (mix_or_rules) page.plots.push_back(mix_or_rules_plot(over, result));
  if (!points.empty()) {
    page.tables.push_back(points_table(points));
    if (over == "load" || over == "overload") page.plots.push_back(latency_plot(points));
    if (over == "overload") {
      for (Plot& plot : overload_plots(points)) page.plots.push_back(std::move(plot));
    }
    if (over == "cardinality") page.plots.push_back(memory_plot(points));
    for (const JsonValue* point : points) {
      if (const JsonValue* soak = point->find("soak")) {
        page.facts.emplace_back("soak", soak_text(*soak));
        page.plots.push_back(soak_plot(*soak));
      }
    }
    page.plots.push_back(percentile_plot(points));
    page.plots.push_back(backlog_plot(points));
  }
  return page;
}

std::string bench_text(const JsonValue& result) {
  std::string out;
  for (const JsonValue& search : result["searches"].array()) {
    const bool found = search["rate"].as_double() > 0.0;
    out += workers_of(search) + of_what(search) + ": " +
           (search["limit_not_reached"].as_bool() ? "above " : "") +
           (found ? rate(search["rate"]) : "no rate") + " held " +
           std::string(search["objective"].as_string()) + " (each repetition:";
    for (const JsonValue& one : search["found"].array()) out += " " + rate(one);
    out += ")\n";
  }
  for (const JsonValue* point : points_of(result)) {
    const JsonValue& p = *point;
    const std::string services =
        p["services"].is_null() ? "" : ", " + whole(p["services"]) + " services";
    out += name_of(p) + services + ": completed " + rate(p["completed_rate"]) + "\n";
    for (const char* kind : {"response_ns", "service_ns", "generator_delay_ns"}) {
      const JsonValue& latency = p[kind];
      const std::string_view name(kind);
      out += "  " + std::string(name.substr(0, name.size() - 3)) + ": p50 " + span(latency["p50"]) +
             ", p99 " + span(latency["p99"]) + ", p99.9 " + span(latency["p99.9"]) + ", max " +
             span(latency["max"]) + "\n";
    }
    out += "  floor of a service that does nothing: p99.9 " +
           span(p["floor_response_ns"]["p99.9"]) + "\n  unsent " + whole(p["unsent"]) +
           ", unfinished " + whole(p["unfinished"]) + ", rejected " + whole(p["rejected"]) +
           (p["backlog_grows"].as_bool() ? ", the backlog grows" : "") + "\n";
    if (const JsonValue* soak = p.find("soak")) out += "  soak: " + soak_text(*soak) + "\n";
    if (const JsonValue* holds = p.find("holds")) {
      out += holds->as_bool()
                 ? "  the objective holds\n"
                 : "  the objective does not hold: " + std::string(p["why"].as_string()) + "\n";
    }
  }
  if (!result["fit"].is_null()) out += "scalability: " + fit_text(result["fit"]) + "\n";
  if (!result["plan"].is_null()) out += "plan: " + plan_text(result["plan"]) + "\n";
  out += "machine: " + percent(result["lost_share_max"].as_double()) +
         " of time lost to others, core to core and back " + span(result["round_trip_ns"]) + "\n";
  for (const JsonValue& doubt : result["doubts"].array()) {
    out += "INCONCLUSIVE: " + std::string(doubt.as_string()) + "\n";
  }
  return out;
}

}  // namespace grace::tools
