#include "grace/harness/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>

#include "grace/harness/units.h"

namespace grace::harness {
namespace {

// A plot's place in its picture, in pixels.
constexpr double kWidth = 680, kHeight = 360, kLeft = 78, kRight = 16, kTop = 34, kBottom = 74;
constexpr std::array<const char*, 6> kColors{"#2563eb", "#dc2626", "#059669",
                                             "#d97706", "#7c3aed", "#0891b2"};
constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1440px;margin:2rem auto;padding:0 1rem;"
    "color:#1f2937;background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem}"
    "table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.2rem .8rem .2rem 0;"
    "text-align:left;vertical-align:top;border-bottom:1px solid #e5e7eb}"
    ".warning{background:#fef3c7;border-left:4px solid #d97706;padding:.6rem 1rem;color:#78350f}"
    ".plots{display:flex;flex-wrap:wrap;gap:1rem}svg{max-width:100%;height:auto}"
    "svg text{font:12px system-ui,sans-serif;fill:#4b5563}svg .title{font-size:14px;fill:#111827}"
    "@media(prefers-color-scheme:dark){body{background:#111827;color:#e5e7eb}"
    "td,th{border-color:#374151}svg text{fill:#9ca3af}svg .title{fill:#f3f4f6}}";

std::string fixed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string label_of(double value, AxisUnit unit) {
  char text[32];
  switch (unit) {
    case AxisUnit::kRate:
      return value == 0.0 ? "0" : format_rate(value);
    case AxisUnit::kSpan:
      return value == 0.0 ? "0" : format_span(value);
    case AxisUnit::kBytes:
      std::snprintf(text, sizeof text, "%.4g MiB", value / (1 << 20));
      return text;
    case AxisUnit::kShare:
      std::snprintf(text, sizeof text, "%.4g%%", value * 100.0);
      return text;
    case AxisUnit::kNumber:
      break;
  }
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string label_of(double value, const Axis& axis) {
  return axis.names.empty() ? label_of(value, axis.unit)
                            : axis.names.at(static_cast<std::size_t>(value));
}

// One axis: from values to pixels, with places for labels.
class Scale {
 public:
  Scale(const Axis& axis, double low, double high, double from, double to)
      : axis_(axis), from_(from), to_(to) {
    if (!axis.names.empty()) {
      low_ = -0.5;
      high_ = double(axis.names.size()) - 0.5;
      for (std::size_t i = 0; i < axis.names.size(); ++i) ticks_.push_back(double(i));
      return;
    }
    if (axis.logarithmic) {
      low_ = std::floor(std::log10(low));
      high_ = std::max(std::ceil(std::log10(high)), low_ + 1.0);
      for (double at = low_; at <= high_ + 0.5; at += 1.0) ticks_.push_back(std::pow(10.0, at));
      return;
    }
    low_ = std::min(low, 0.0);
    high = high > low_ ? high : low_ + 1.0;
    // Steps of 1, 2 or 5 times a power of ten.
    const double raw = (high - low_) / 6.0;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    const double part = raw / power;
    const double step = power * (part <= 1.0 ? 1.0 : (part <= 2.0 ? 2.0 : (part <= 5.0 ? 5 : 10)));
    high_ = std::ceil(high / step - 1e-9) * step;
    for (double at = low_; at <= high_ + step / 2.0; at += step) ticks_.push_back(at);
  }
  [[nodiscard]] double operator()(double value) const {
    const double place = axis_.logarithmic ? std::log10(value) : value;
    return from_ + (place - low_) / (high_ - low_) * (to_ - from_);
  }
  [[nodiscard]] const std::vector<double>& ticks() const noexcept { return ticks_; }
  [[nodiscard]] bool has(double value) const {
    return std::isfinite(value) && (!axis_.logarithmic || value > 0.0);
  }

 private:
  const Axis& axis_;
  double from_, to_;
  double low_ = 0.0, high_ = 1.0;
  std::vector<double> ticks_;
};

bool drawable(const Plot& plot, double x, double y) {
  return std::isfinite(x) && std::isfinite(y) && (!plot.x.logarithmic || x > 0.0) &&
         (!plot.y.logarithmic || y > 0.0);
}

struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

void draw_axes(const Plot& plot, const Scale& x, const Scale& y, std::string& out) {
  for (const double tick : y.ticks()) {
    out += "<line x1='" + fixed(kLeft) + "' x2='" + fixed(kWidth - kRight) + "' y1='" +
           fixed(y(tick)) + "' y2='" + fixed(y(tick)) + "' stroke='#9ca3af55'/><text x='" +
           fixed(kLeft - 6) + "' y='" + fixed(y(tick) + 4) + "' text-anchor='end'>" +
           label_of(tick, plot.y.unit) + "</text>";
  }
  for (const double tick : x.ticks()) {
    out += "<text x='" + fixed(x(tick)) + "' y='" + fixed(kHeight - kBottom + 18) +
           "' text-anchor='middle'>" + html_escaped(label_of(tick, plot.x)) + "</text>";
  }
  out += "<text x='" + fixed((kLeft + kWidth - kRight) / 2) + "' y='" +
         fixed(kHeight - kBottom + 38) + "' text-anchor='middle'>" + html_escaped(plot.x.label) +
         "</text><text transform='translate(14," + fixed((kTop + kHeight - kBottom) / 2) +
         ") rotate(-90)' text-anchor='middle'>" + html_escaped(plot.y.label) + "</text>";
}

void draw_band(const PlotSeries& series, const Scale& x, const Scale& y, const std::string& color,
               std::string& out) {
  std::string low, high;
  for (const PlotPoint& point : series.points) {
    if (!point.band || !y.has(point.band->low) || !y.has(point.band->high)) return;
    high += fixed(x(point.x)) + "," + fixed(y(point.band->high)) + " ";
    low.insert(0, fixed(x(point.x)) + "," + fixed(y(point.band->low)) + " ");
  }
  out += "<polygon points='" + high + low + "' fill='" + color + "' fill-opacity='.15'/>";
}

void draw_series(const Plot& plot, const PlotSeries& series, const Scale& x, const Scale& y,
                 const std::string& color, std::string& out) {
  std::string path;
  for (const PlotPoint& point : series.points) {
    if (!drawable(plot, point.x, point.y)) continue;
    const std::string at = fixed(x(point.x)) + "," + fixed(y(point.y));
    path += at + " ";
    if (series.marks) {
      out += "<circle cx='" + fixed(x(point.x)) + "' cy='" + fixed(y(point.y)) + "' r='3' fill='" +
             color + "'><title>" +
             html_escaped(series.name + ": " + label_of(point.x, plot.x) + ", " +
                          label_of(point.y, plot.y.unit)) +
             "</title></circle>";
    }
  }
  if (series.line) {
    out +=
        "<polyline points='" + path + "' fill='none' stroke='" + color + "' stroke-width='1.8'/>";
  }
}

void draw_rows(const std::vector<std::vector<std::string>>& rows, const char* cell,
               std::string& out) {
  for (const auto& row : rows) {
    out += "<tr>";
    for (const std::string& text : row) {
      out += std::string("<") + cell + ">" + html_escaped(text) + "</" + cell + ">";
    }
    out += "</tr>\n";
  }
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string to_svg(const Plot& plot) {
  Extent x_extent, y_extent;
  for (const PlotSeries& series : plot.series) {
    for (const PlotPoint& point : series.points) {
      if (!drawable(plot, point.x, point.y)) continue;
      x_extent.take(point.x);
      y_extent.take(point.y);
      if (point.band && drawable(plot, point.x, point.band->high)) y_extent.take(point.band->high);
    }
  }
  std::string out = "<svg xmlns='http://www.w3.org/2000/svg' role='img' width='" + fixed(kWidth) +
                    "' height='" + fixed(kHeight) + "' viewBox='0 0 " + fixed(kWidth) + " " +
                    fixed(kHeight) + "'><title>" + html_escaped(plot.title) +
                    "</title><text class='title' x='" + fixed(kLeft) + "' y='20'>" +
                    html_escaped(plot.title) + "</text>";
  if (x_extent.low > x_extent.high) return out + "<text x='80' y='60'>no points</text></svg>";
  const Scale x(plot.x, x_extent.low, x_extent.high, kLeft, kWidth - kRight);
  const Scale y(plot.y, y_extent.low, y_extent.high, kHeight - kBottom, kTop);
  draw_axes(plot, x, y, out);
  double legend_x = kLeft;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const PlotSeries& series = plot.series[i];
    const std::string color = kColors[i % kColors.size()];
    draw_band(series, x, y, color, out);
    draw_series(plot, series, x, y, color, out);
    out += "<rect x='" + fixed(legend_x) + "' y='" + fixed(kHeight - 20) +
           "' width='10' height='10' fill='" + color + "'/><text x='" + fixed(legend_x + 14) +
           "' y='" + fixed(kHeight - 11) + "'>" + html_escaped(series.name) + "</text>";
    legend_x += 34.0 + 7.0 * double(series.name.size());
  }
  return out + "</svg>";
}

std::string to_html(const Page& page) {
  std::string out =
      "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
      "<meta name='viewport' content='width=device-width'><title>" +
      html_escaped(page.title) + "</title><style>" + kStyle + "</style></head><body>\n<h1>" +
      html_escaped(page.title) + "</h1>\n";
  for (const std::string& warning : page.warnings) {
    out += "<p class='warning'>" + html_escaped(warning) + "</p>\n";
  }
  out += "<table>\n";
  for (const auto& [name, value] : page.facts) draw_rows({{name, value}}, "td", out);
  out += "</table>\n";
  for (const Table& table : page.tables) {
    out += "<h2>" + html_escaped(table.title) + "</h2>\n<table>\n";
    draw_rows({table.head}, "th", out);
    draw_rows(table.rows, "td", out);
    out += "</table>\n";
  }
  out += "<div class='plots'>\n";
  for (const Plot& plot : page.plots) out += to_svg(plot) + "\n";
  return out + "</div>\n</body></html>\n";
}

}  // namespace grace::harness
