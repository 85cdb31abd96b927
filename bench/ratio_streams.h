#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "generator.h"
#include "idle_rules.h"

// What `ratios` runs over: streams and configurations, each a file.
namespace grace::bench {

[[noreturn]] inline void fail(const std::string& message) {
  std::fprintf(stderr, "ratios: %s\n", message.c_str());
  std::exit(1);
}

template <typename T>
T taken(core::Result<T> result) {
  if (!result) fail(result.error().message);
  return std::move(*result);
}

inline constexpr std::uint32_t kFewServices = 167;  // 1,002 series

struct Streams {
  std::string folder;
  std::uint64_t events = 0;
  std::uint64_t many_series = 0;
  std::uint64_t before_series = 0;  // events of their streams that make them
  [[nodiscard]] std::string path(const char* name) const { return folder + "/" + name; }
};

// Event time as the generator's default has it, 1,000 events a second of it; live telemetry is as
// dense in event time as it arrives.
constexpr double kLiveDensity = 1e6;

inline std::string generated(std::uint64_t events, std::uint32_t services,
                             const char* profile = "mixed",
                             double density = tools::GeneratorOptions{}.events_per_second) {
  tools::GeneratorOptions options;
  options.events_per_second = density;
  options.profile = profile;
  options.event_count = events;
  options.service_count = services;
  std::ostringstream out;
  if (const auto truth = tools::generate(options, out); !truth) fail(truth.error().message);
  return std::move(out).str();
}

// Calls `change` with each line (newline included), which may change it or empty it.
inline std::string edited(const std::string& text,
                          const std::function<void(std::string&)>& change) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at) + 1;
    std::string line = text.substr(at, end - at);
    change(line);
    out += line;
    at = end;
  }
  return out;
}

// Topology costs the ordered stage; it would count for a stream of many services only.
inline std::string without_topology(const std::string& text) {
  return edited(text, [](std::string& line) {
    if (line.find("\"control\":\"topology\"") != std::string::npos) line.clear();
  });
}

// One action in so many is an error, the others are not.
inline std::string with_errors(const std::string& text, std::uint64_t one_in) {
  std::uint64_t actions = 0;
  return edited(text, [&](std::string& line) {
    if (line.find("\"kind\":\"action\"") == std::string::npos) return;
    const char* const wanted =
        ++actions % one_in == 0 ? "\"result\":\"error\"" : "\"result\":\"success\"";
    for (const std::string_view old : {"\"result\":\"error\"", "\"result\":\"success\""}) {
      const std::size_t at = line.find(old);
      if (at == std::string::npos) continue;
      line.replace(at, old.size(), wanted);
      return;
    }
  });
}

// Actions are of 167 services, whoever sends metrics: what is asked is what series cost.
inline std::string with_few_actors(const std::string& text) {
  return edited(text, [](std::string& line) {
    if (line.find("\"kind\":\"action\"") == std::string::npos) return;
    for (const std::string_view key : {"\"actor\":\"svc_", "\"resource\":\"svc_"}) {
      const std::size_t begin = line.find(key);
      if (begin == std::string::npos) continue;
      const std::size_t digits = begin + key.size();
      const std::size_t end = line.find('"', digits);
      const unsigned long number = std::stoul(line.substr(digits, end - digits));
      line.replace(digits, end - digits, std::to_string(number % kFewServices));
    }
  });
}

inline void store(const Streams& streams, const char* name, const std::string& text) {
  std::ofstream out(streams.path(name), std::ios::binary);
  out << text;
  out.flush();
  if (!out) fail("cannot write " + streams.path(name));
}

inline std::string whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) fail("cannot read " + path);
  return std::move(text).str();
}

inline Streams make_streams(const std::string& folder, std::uint64_t events) {
  Streams streams{folder, events};
  const std::string mixed = generated(events, 200);
  store(streams, "mixed", mixed);
  store(streams, "live", generated(events, 200, "mixed", kLiveDensity));
  store(streams, "realistic", generated(events, 200, "realistic"));
  store(streams, "errors", with_errors(mixed, 1));
  store(streams, "few_errors", with_errors(mixed, 100));
  // Six series a service, in turn; 11 events a service bring each of them once. As many come before
  // the events that count, in both streams.
  const auto services =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(events / 6, 200, 1'000'000 / 6));
  streams.many_series = services * 6ULL;
  streams.before_series = services * 11ULL;
  const std::uint64_t series_events = streams.before_series + events;
  const auto series_stream = [&](std::uint32_t count) {
    return with_few_actors(without_topology(generated(series_events + count, count)));
  };
  store(streams, "many_series", series_stream(services));
  store(streams, "few_series", series_stream(kFewServices));
  store(streams, "rules_few.toml", tools::idle_rules(10));
  store(streams, "rules_many.toml", tools::idle_rules(1000));
  return streams;
}

}  // namespace grace::bench
