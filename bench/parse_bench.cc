// Question: what does turning NDJSON into core::Event cost, next to bare simdjson (on-demand,
// iterate_many) reading the same fields of the same lines, and next to getline with a DOM?
//
//   [generated mixed text in memory] -> chunks of 256 KiB -> ChunkParser -> events (counted)
//   [the same text]                  -> on-demand document stream -> the same fields (counted)
//   [the same text]                  -> line by line -> DOM -> the same fields (counted)
//
// The contestants are timed in turn, pair by pair, so that a busy machine disturbs all alike; the
// median of the pairs' ratios is what counts. Before times are believed, the counts and sums must
// agree. Not measured: reading files, routing, anything behind the parser.
#include <simdjson.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/chunk.h"
#include "grace/core/hash.h"
#include "grace/parse/chunk_parser.h"

namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;

struct Sums {
  std::uint64_t events = 0;
  std::uint64_t text_bytes = 0;  // of service, name, actor
  double values = 0.0;
  std::int64_t ts_xor = 0;  // of metrics: bare simdjson does not read RFC 3339
  bool operator==(const Sums& other) const {
    return events == other.events && text_bytes == other.text_bytes &&
           std::abs(values - other.values) <= 1e-9 * std::abs(values) && ts_xor == other.ts_xor;
  }
};

// Two metrics, then an action, like a firehose that logs every third request.
std::string generate(std::size_t lines) {
  std::string out;
  std::uint64_t state = 42;
  const auto below = [&state](std::uint64_t bound) {
    state = grace::core::mix(state + 0x9e3779b97f4a7c15ULL);
    return state % bound;
  };
  char line[512];
  std::int64_t ts_ns = 1736950000000000000;
  for (std::size_t i = 0; i < lines; ++i) {
    ts_ns += static_cast<std::int64_t>(below(2'000'000));
    int size;
    if (i % 3 != 2) {
      size = std::snprintf(line, sizeof line,
                           R"({"ts":%lld,"kind":"metric","service":"service_%u","domain":"core",)"
                           R"("metric":"latency_ms","value":%.3f,"labels":{"host":"n%u"}})"
                           "\n",
                           static_cast<long long>(ts_ns), static_cast<unsigned>(below(50)),
                           static_cast<double>(below(1'000'000)) / 1000.0,
                           static_cast<unsigned>(below(200)));
    } else {
      size = std::snprintf(
          line, sizeof line,
          R"({"ts":"2025-01-15T14:%02u:%02u.%03uZ","kind":"action","actor":"user_%u",)"
          R"("action":"auth_validate","resource":"service_%u","subsystem":"auth",)"
          R"("domain":"core","result":"%s","duration_ms":%.1f,"payload":{"code":%u}})"
          "\n",
          static_cast<unsigned>(below(60)), static_cast<unsigned>(below(60)),
          static_cast<unsigned>(below(1000)), static_cast<unsigned>(below(1000)),
          static_cast<unsigned>(below(50)), below(20) == 0 ? "error" : "success",
          static_cast<double>(below(1000)) / 10.0, static_cast<unsigned>(200 + below(300)));
    }
    out.append(line, static_cast<std::size_t>(size));
  }
  return out;
}

std::vector<std::unique_ptr<grace::core::Chunk>> cut(const std::string& text) {
  std::vector<std::unique_ptr<grace::core::Chunk>> chunks;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(at + kChunkBytes, text.size());
    if (end < text.size()) end = text.rfind('\n', end - 1) + 1;
    auto chunk = std::make_unique<grace::core::Chunk>(kChunkBytes);
    std::memcpy(chunk->text(), text.data() + at, end - at);
    chunk->number = chunks.size();
    chunk->first_sequence = at;
    chunk->size_bytes = static_cast<std::uint32_t>(end - at);
    chunks.push_back(std::move(chunk));
    at = end;
  }
  return chunks;
}

class CountingSink final : public grace::parse::RejectSink {
 public:
  void rejected(const grace::parse::Reject&) override { ++count; }
  std::uint64_t count = 0;
};

Sums run_grace(grace::parse::ChunkParser& parser,
               const std::vector<std::unique_ptr<grace::core::Chunk>>& chunks) {
  Sums sums;
  CountingSink sink;
  static grace::core::Event events[64];
  for (const auto& chunk : chunks) {
    parser.begin(*chunk);
    while (const std::size_t count = parser.next(events, sink)) {
      for (std::size_t i = 0; i < count; ++i) {
        const grace::core::Event& event = events[i];
        sums.text_bytes += event.service.size_bytes + event.name.size_bytes +
                           event.actor.size_bytes + event.domain.size_bytes +
                           event.result_text.size_bytes;
        sums.values += event.value;
        if (event.kind == grace::core::EventKind::kMetric) sums.ts_xor ^= event.ts_ns;
      }
      sums.events += count;
    }
  }
  if (sink.count != 0) std::abort();
  return sums;
}

void read_raw(simdjson::ondemand::object object) {
  if (object.raw_json().value().empty()) std::abort();
}

// The same fields by name, asked for in the order in which they stand: simdjson's quickest way.
// Timestamps that are text stay text; texts are not copied.
template <typename Document>
void read_fields(Document&& doc, Sums& sums) {
  const auto text = [&](const char* name) { return std::string_view(doc[name]).size(); };
  simdjson::ondemand::value ts = doc["ts"];
  if (std::string_view(doc["kind"]) == "metric") {
    sums.ts_xor ^= std::int64_t(ts.get_int64());
    sums.text_bytes += text("service") + text("domain") + text("metric");
    sums.values += double(doc["value"]);
    read_raw(doc["labels"]);
  } else {
    if (std::string_view(ts.get_string()).empty()) std::abort();
    sums.text_bytes += text("actor") + text("action") + text("resource");
    if (text("subsystem") == 0) std::abort();
    sums.text_bytes += text("domain") + text("result");
    sums.values += double(doc["duration_ms"]);
    read_raw(doc["payload"]);
  }
  ++sums.events;
}

Sums run_simdjson(simdjson::ondemand::parser& parser,
                  const std::vector<std::unique_ptr<grace::core::Chunk>>& chunks) {
  Sums sums;
  for (const auto& chunk : chunks) {
    auto stream = parser.iterate_many(chunk->text(), chunk->size_bytes, kChunkBytes).value();
    for (auto doc : stream) read_fields(doc, sums);
  }
  return sums;
}

Sums run_dom(simdjson::dom::parser& parser,
             const std::vector<std::unique_ptr<grace::core::Chunk>>& chunks) {
  Sums sums;
  std::string line;
  for (const auto& chunk : chunks) {
    std::istringstream input(std::string(chunk->text(), chunk->size_bytes));
    while (std::getline(input, line)) {
      const simdjson::dom::element doc = parser.parse(line);
      const auto text = [&](const char* name) { return std::string_view(doc[name]).size(); };
      if (std::string_view(doc["kind"]) == "metric") {
        sums.ts_xor ^= std::int64_t(doc["ts"]);
        sums.text_bytes += text("service") + text("domain") + text("metric");
        sums.values += double(doc["value"]);
      } else {
        sums.text_bytes +=
            text("actor") + text("action") + text("resource") + text("domain") + text("result");
        sums.values += double(doc["duration_ms"]);
      }
      ++sums.events;
    }
  }
  return sums;
}

// CPU time of this thread: what others do on the machine disturbs it less than the wall clock.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double seconds_of(const std::function<Sums()>& run, const Sums& expected) {
  const double begin_s = thread_seconds();
  const Sums sums = run();
  const double end_s = thread_seconds();
  if (!(sums == expected)) {
    std::fprintf(stderr, "results differ: %llu events, %llu text bytes, %.17g\n",
                 static_cast<unsigned long long>(sums.events),
                 static_cast<unsigned long long>(sums.text_bytes), sums.values);
    std::exit(1);
  }
  return end_s - begin_s;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

// parse_bench [LINES [PAIRS]]
int main(int argc, char** argv) {
  const bool numbers = argc > 1 && argv[1][0] != '-';
  const std::size_t lines = numbers ? std::strtoul(argv[1], nullptr, 10) : 3000;
  const std::size_t pairs = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 5;
  const std::string text = generate(lines);
  const auto chunks = cut(text);
  grace::parse::ChunkParser grace_parser;
  simdjson::ondemand::parser simdjson_parser;
  simdjson_parser.threaded = false;
  simdjson::dom::parser dom_parser;
  const Sums expected = run_simdjson(simdjson_parser, chunks);
  if (expected.events != lines) return 1;

  std::vector<double> grace_s, simdjson_s, dom_s, ratios;
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    grace_s.push_back(seconds_of([&] { return run_grace(grace_parser, chunks); }, expected));
    simdjson_s.push_back(
        seconds_of([&] { return run_simdjson(simdjson_parser, chunks); }, expected));
    ratios.push_back(simdjson_s.back() / grace_s.back());
    if (pair % 5 == 0) {
      dom_s.push_back(seconds_of([&] { return run_dom(dom_parser, chunks); }, expected));
    }
  }
  const auto report = [&](const char* name, double seconds) {
    std::printf("%-24s %8.2f M events/s %8.2f GB/s %8.1f ns/event\n", name,
                static_cast<double>(lines) / seconds / 1e6,
                static_cast<double>(text.size()) / seconds / 1e9,
                seconds * 1e9 / static_cast<double>(lines));
  };
  std::printf("%zu lines, %.1f MB, simdjson %s, %zu interleaved pairs, medians\n", lines,
              static_cast<double>(text.size()) / 1e6,
              simdjson::get_active_implementation()->name().c_str(), pairs);
  report("ChunkParser", median(grace_s));
  report("simdjson on-demand", median(simdjson_s));
  report("getline + DOM", median(dom_s));
  std::printf("ChunkParser / simdjson on-demand: %.3f (min %.3f, max %.3f)\n", median(ratios),
              *std::min_element(ratios.begin(), ratios.end()),
              *std::max_element(ratios.begin(), ratios.end()));
  return 0;
}
