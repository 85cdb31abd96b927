#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "grace/harness/plan.h"

namespace grace::harness {

// How an axis writes its numbers.
enum class AxisUnit : std::uint8_t { kNumber, kRate, kSpan, kBytes, kShare };

struct PlotPoint {
  double x = 0.0;
  double y = 0.0;
  std::optional<Band> band = {};  // drawn behind the line where all points of it have one
};
struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  // by x
  bool line = true;
  bool marks = true;
};
struct Axis {
  std::string label;
  AxisUnit unit = AxisUnit::kNumber;
  bool logarithmic = false;  // points that are not above 0 are left out
  // Of an x axis of names: the point of the first stands at 0, that of the second at 1, and so on.
  std::vector<std::string> names = {};
};
struct Plot {
  std::string title;
  Axis x, y;
  std::vector<PlotSeries> series;
};
// One <svg> element that needs nothing else. A plot without points says so.
[[nodiscard]] std::string to_svg(const Plot& plot);

struct Table {
  std::string title;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};
struct Page {
  std::string title;
  std::vector<std::string> warnings;  // first, and not to be overlooked
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<Table> tables;
  std::vector<Plot> plots;
};
// A whole HTML page without scripts, fonts or anything from elsewhere.
[[nodiscard]] std::string to_html(const Page& page);
[[nodiscard]] std::string html_escaped(std::string_view text);

}  // namespace grace::harness
