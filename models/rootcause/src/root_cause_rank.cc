// One ranking: evidence of every series, put together by service and laid over the call graph.
#include <algorithm>
#include <array>
#include <utility>

#include "evidence.h"
#include "grace/core/exact_math.h"
#include "grace/models/root_cause.h"

namespace grace::models {

namespace {

using core::exact_exp;
using core::exact_log;

constexpr std::size_t kLatency = static_cast<std::size_t>(MetricKind::kLatency);
constexpr std::size_t kAvailability = static_cast<std::size_t>(MetricKind::kAvailability);
// Fewer services than this tell nothing about what moves all of them at once.
constexpr std::size_t kCommonModeMin = 8;

// The strongest series of a kind.
struct KindEvidence {
  bool known = false;
  double nats = 0.0;  // saturated
  double score = 0.0;
  std::int64_t onset_ns = 0;
  std::int64_t step_ns = 0;  // its pace
  std::string_view metric;
};

}  // namespace

class RootCauseRanker {
 public:
  RootCauseRanker(const RootCauseModel& model, std::int64_t at_ns)
      : model_(model), config_(model.config_), services_(model.services_), at_ns_(at_ns) {}

  [[nodiscard]] core::Result<RootCauseRanking> run(const std::vector<Symptom>& symptoms) {
    std::vector<std::string_view> asked;
    for (const Symptom& symptom : symptoms) {
      const auto known = services_.find(symptom.service);
      if (known == services_.end()) continue;
      asked.push_back(known->first);
      if (symptom.metric.empty()) any_kind_ = true;
      alarms_.push_back(metric_kind(symptom.metric));
    }
    if (asked.empty() && !symptoms.empty()) {
      return core::make_error(
          core::ErrorCode::kNotFound,
          "no edge and no sample names the symptom's service '" + symptoms.front().service + "'");
    }
    choose(std::move(asked));
    for (Node& node : nodes_) judge(node);
    for (std::size_t kind = 0; kind < kMetricKindCount; ++kind) take_off_noise(kind);
    for (const std::size_t kind : {kLatency, kAvailability}) weigh_by_share(kind);
    add_up();
    return answer();
  }

 private:
  struct Node {
    std::string_view name;
    const RootCauseModel::Service* service = nullptr;
    std::vector<std::size_t> callees;  // in scope
    std::array<KindEvidence, kMetricKindCount> kinds{};
    std::array<std::optional<double>, kMetricKindCount> excess{};
    double own_score = 0.0;
    double score = 0.0;
    const KindEvidence* strongest = nullptr;
  };
  struct Measured {
    const RootCauseModel::Series* series = nullptr;
    Cut cut;
  };
  using Instances = std::vector<Measured>;  // of one name
  using Presences = std::vector<const RootCauseModel::Series*>;

  // Everything, or what the alarmed services depend on and themselves, the nearest first.
  void choose(std::vector<std::string_view> found) {
    std::map<std::string_view, std::size_t> index;
    if (found.empty()) {
      for (const auto& [name, service] : services_) found.push_back(name);
    } else {
      std::sort(found.begin(), found.end());
      found.erase(std::unique(found.begin(), found.end()), found.end());
      std::set<std::string_view> seen(found.begin(), found.end());
      for (std::size_t i = 0; i < found.size() && found.size() < config_.scope_max; ++i) {
        for (const std::string& callee : services_.find(found[i])->second.callees) {
          if (found.size() < config_.scope_max && seen.insert(callee).second) {
            found.push_back(callee);
          }
        }
      }
      std::sort(found.begin(), found.end());
    }
    for (const std::string_view name : found) {
      index.emplace(name, nodes_.size());
      Node& node = nodes_.emplace_back();
      node.name = name;
      node.service = &services_.find(name)->second;
    }
    for (Node& node : nodes_) {
      for (const std::string& callee : node.service->callees) {
        const auto in_scope = index.find(callee);
        if (in_scope != index.end()) node.callees.push_back(in_scope->second);
      }
    }
  }

  void judge(Node& node) {
    std::vector<Instances> means;
    std::vector<Cut> traffic;
    Presences lines;
    const auto& all = node.service->series;
    for (auto first = all.begin(); first != all.end();) {
      const auto last = std::find_if(first, all.end(), [&](const auto& entry) {
        return entry.first.first != first->first.first;
      });
      Instances same_name;
      Presences steps;  // of one operation, which is the name
      for (; first != last; ++first) {
        const RootCauseModel::Series& series = first->second;
        if (series.kind == MetricKind::kTemplate) {
          lines.push_back(&series);
          continue;
        }
        if (series.kind == MetricKind::kCalls) {
          steps.push_back(&series);
          continue;
        }
        Cut cut = cut_series(series.points, at_ns_, config_);
        if (!model_.has_say(series.kind)) continue;
        if (series.kind == MetricKind::kTraffic) {
          traffic.push_back(std::move(cut));
        } else {
          same_name.push_back({&series, std::move(cut)});
        }
      }
      judge_presence(node, steps);
      if (same_name.empty()) continue;
      judge_instances(node, same_name);
      const MetricKind kind = same_name.front().series->kind;
      if (kind == MetricKind::kLatency || kind == MetricKind::kAvailability) {
        means.push_back(std::move(same_name));
      }
    }
    judge_presence(node, lines);
    for (const Instances& mean : means) measure_excess(node, mean, traffic);
  }

  // The oddest of m instances is so much odder by chance alone: Bonferroni's bound on its
  // probability is m times one instance's, so ln m goes off. One instance loses nothing.
  void judge_instances(Node& node, const Instances& instances) const {
    const auto judged = std::count_if(instances.begin(), instances.end(), [](const Measured& each) {
      return !each.cut.window.empty();
    });
    const double chance = judged > 1 ? exact_log(static_cast<double>(judged)) : 0.0;
    for (const Measured& each : instances) {
      const RootCauseModel::Series& series = *each.series;
      const bool rare = series.kind == MetricKind::kErrors && counts_rare(each.cut);
      Evidence evidence = rare ? presence_evidence(each.cut, series.bad)
                               : level_evidence(each.cut, series.bad, config_);
      evidence.nats = std::max(0.0, evidence.nats - chance);
      keep(node, series, evidence, each.cut.step_ns,
           rare ? config_.count_half : level_half(each.cut));
    }
  }

  [[nodiscard]] double level_half(const Cut& cut) const noexcept {
    return config_.level_half * exact_log(static_cast<double>(cut.baseline.size()) + 2.0);
  }

  void keep(Node& node, const RootCauseModel::Series& series, const Evidence& evidence,
            std::int64_t step_ns, double half) const {
    KindEvidence& best = node.kinds[static_cast<std::size_t>(series.kind)];
    const double nats = evidence.nats * half / (evidence.nats + half);
    if (best.known && nats <= best.nats) return;
    best = {true, nats, 0.0, evidence.onset_ns, step_ns, series.name->first};
  }

  // A service may know hundreds of steps. The oddest of m is so much odder by chance alone (see
  // judge_instances); what `noise` takes off later anyhow is left on.
  [[nodiscard]] double chance_of_steps(const Node& node) const noexcept {
    const auto& all = node.service->series;
    const auto steps = std::count_if(all.begin(), all.end(), [](const auto& entry) {
      return entry.second.kind == MetricKind::kCalls;
    });
    return std::max(0.0, exact_log(static_cast<double>(steps)) - config_.noise);
  }

  // Lines of a service, or steps of an operation, by the moments at which any of them was there,
  // the newest history_max of them: at which of these each one was. One that is not mentioned was
  // not, also before it was first seen. So silence of the callers is no evidence.
  void judge_presence(Node& node, const Presences& all) {
    std::set<std::int64_t> seen;
    for (const RootCauseModel::Series* series : all) {
      for (const Point& point : series->points) {
        if (point.ts_ns <= at_ns_ && point.value > 0) seen.insert(point.ts_ns);
        if (seen.size() > config_.history_max) seen.erase(seen.begin());
      }
    }
    std::vector<Point> moments;
    for (const std::int64_t ts_ns : seen) moments.push_back({ts_ns, 0.0, 0.0F});
    const Cut frame = cut_series(moments, at_ns_, config_);
    if (frame.baseline.size() < config_.baseline_samples_min) return;
    const double chance = all.front()->kind == MetricKind::kCalls ? chance_of_steps(node) : 0.0;
    for (const RootCauseModel::Series* series : all) {
      Cut cut = frame;
      mark_present(series->points, cut.baseline);
      mark_present(series->points, cut.window);
      Evidence evidence = presence_evidence(cut, series->bad);
      evidence.nats = std::max(0.0, evidence.nats - chance);
      keep(node, *series, evidence, frame.step_ns, config_.count_half);
    }
  }

  // Both ascend.
  static void mark_present(const std::vector<Point>& lines, std::vector<Point>& moments) {
    auto line = lines.begin();
    for (Point& moment : moments) {
      while (line != lines.end() &&
             (line->ts_ns < moment.ts_ns || (line->ts_ns == moment.ts_ns && !(line->value > 0)))) {
        ++line;
      }
      moment.value = line != lines.end() && line->ts_ns == moment.ts_ns ? 1.0 : 0.0;
    }
  }

  // Deviation of a mean times the requests it is the mean of, over the window, of all instances
  // together. What is a mean by its name was averaged before it came here, so it is a mean over the
  // service's requests and not over the samples that were counted; of several instances nobody
  // says whose the requests were.
  void measure_excess(Node& node, const Instances& instances,
                      const std::vector<Cut>& traffic) const {
    const RootCauseModel::Series& named = *instances.front().series;
    const bool counted = std::any_of(instances.begin(), instances.end(), [](const Measured& each) {
      return std::any_of(each.cut.window.begin(), each.cut.window.end(),
                         [](const Point& point) { return point.requests > 0; });
    });
    if (named.kind == MetricKind::kLatency && !named.is_mean && !(counted && !named.is_quantile)) {
      return;
    }
    const double sign = named.bad == BadDirection::kDown ? -1.0 : 1.0;
    std::optional<double> sum;
    for (const Measured& each : instances) {
      if (each.cut.baseline.size() < config_.baseline_samples_min) continue;
      std::vector<double> values;
      for (const Point& point : each.cut.baseline) values.push_back(point.value);
      const double usual = median_of(values);
      std::optional<double> part;
      if (!counted || (named.is_mean && instances.size() == 1)) {
        part = by_traffic(each.cut.window, sign, usual, traffic);
      }
      if (!part && counted) part = by_count(each.cut.window, sign, usual);
      if (part) sum = sum.value_or(0.0) + *part;
    }
    if (!sum) return;
    std::optional<double>& excess = node.excess[static_cast<std::size_t>(named.kind)];
    excess = std::max({excess.value_or(0.0), *sum, 0.0});
  }

  [[nodiscard]] static double by_count(const std::vector<Point>& window, double sign,
                                       double usual) noexcept {
    double sum = 0.0;
    for (const Point& point : window) {
      sum += sign * (point.value - usual) * static_cast<double>(point.requests);
    }
    return sum;
  }

  // By the traffic series with the most samples at the same moments.
  [[nodiscard]] static std::optional<double> by_traffic(const std::vector<Point>& window,
                                                        double sign, double usual,
                                                        const std::vector<Cut>& traffic) {
    std::size_t most = 0;
    double best = 0.0;
    for (const Cut& requests : traffic) {
      double sum = 0.0;
      std::size_t matched = 0;
      for (const Point& point : window) {
        const auto at =
            std::lower_bound(requests.window.begin(), requests.window.end(), point.ts_ns,
                             [](const Point& p, std::int64_t ts_ns) { return p.ts_ns < ts_ns; });
        if (at == requests.window.end() || at->ts_ns != point.ts_ns) continue;
        sum += sign * (point.value - usual) * std::max(at->value, 0.0);
        ++matched;
      }
      if (matched > most) {
        most = matched;
        best = sum;
      }
    }
    if (most == 0) return std::nullopt;
    return best;
  }

  // What moves half of all services moves them together: it names none of them.
  void take_off_noise(std::size_t kind) {
    std::vector<double> all;
    for (const Node& node : nodes_) {
      if (node.kinds[kind].known) all.push_back(node.kinds[kind].nats);
    }
    double floor = config_.noise;
    if (all.size() >= kCommonModeMin) floor = std::max(floor, median_of(all));
    for (Node& node : nodes_) {
      KindEvidence& evidence = node.kinds[kind];
      evidence.score = std::max(0.0, evidence.nats - floor);
    }
  }

  // What a callee adds is spread over its callers, since the graph does not say whose calls were
  // the slow ones. Only who shows evidence takes part: large numbers alone, of a busy service that
  // does as ever, are no reference.
  void weigh_by_share(std::size_t kind) {
    std::vector<double> own(nodes_.size(), 0.0);
    double largest = 0.0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!(nodes_[i].kinds[kind].score > 0)) continue;
      const double all = nodes_[i].excess[kind].value_or(0.0);
      own[i] = all;
      for (const std::size_t callee : nodes_[i].callees) {
        if (!may_explain(nodes_[i].kinds[kind], nodes_[callee].kinds[kind])) continue;
        const double theirs = nodes_[callee].excess[kind].value_or(0.0);
        own[i] -=
            std::min(all, theirs / static_cast<double>(nodes_[callee].service->callers.size()));
      }
      largest = std::max(largest, own[i]);
    }
    if (!(largest > 0)) return;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const double share = std::clamp(own[i] / largest, config_.share_min, 1.0);
      double& score = nodes_[i].kinds[kind].score;
      score = std::max(0.0, score + config_.share_weight * exact_log(share));
    }
  }

  // A callee in trouble explains only what did not begin before it, a sample of either aside.
  [[nodiscard]] static bool may_explain(const KindEvidence& symptom,
                                        const KindEvidence& cause) noexcept {
    if (!(symptom.score > 0) || !(cause.score > 0)) return false;
    if (cause.onset_ns <= symptom.onset_ns) return true;
    // Unsigned: the two may lie further apart than a signed difference holds.
    const std::uint64_t later =
        static_cast<std::uint64_t>(cause.onset_ns) - static_cast<std::uint64_t>(symptom.onset_ns);
    return later <= static_cast<std::uint64_t>(std::max(symptom.step_ns, cause.step_ns));
  }

  [[nodiscard]] double weight_of(MetricKind kind) const noexcept {
    double weight = 1.0;
    if (kind == MetricKind::kTraffic || kind == MetricKind::kContext) weight = 0.0;
    if (kind == MetricKind::kResource) weight = config_.resource_weight;
    if (kind == MetricKind::kOther) weight = config_.unknown_weight;
    if (kind == MetricKind::kCalls) weight = config_.calls_weight;
    const bool spoken_of = any_kind_ || alarms_.empty() ||
                           std::any_of(alarms_.begin(), alarms_.end(),
                                       [&](MetricKind alarm) { return same_trouble(alarm, kind); });
    if (!spoken_of) weight *= config_.other_trouble;
    return weight;
  }

  void add_up() {
    for (Node& node : nodes_) {
      for (std::size_t kind = 0; kind < kMetricKindCount; ++kind) {
        KindEvidence& evidence = node.kinds[kind];
        evidence.score *= weight_of(static_cast<MetricKind>(kind));
        node.own_score += evidence.score;
        if (evidence.score > 0 &&
            (node.strongest == nullptr || evidence.score > node.strongest->score)) {
          node.strongest = &evidence;
        }
      }
    }
    for (Node& node : nodes_) {
      double theirs = 0.0;
      for (const std::size_t callee : node.callees) {
        const Node& other = nodes_[callee];
        if (other.strongest == nullptr || node.strongest == nullptr) continue;
        if (!may_explain(*node.strongest, *other.strongest)) continue;
        theirs = std::max(theirs, other.own_score);
      }
      // Calls of a callee that fail or hang are errors of their caller, whatever the callee itself
      // shows: nats of one kind and of another do not compare. So as far as the callee is likely to
      // be in trouble, errors say nothing against their caller.
      // So it is with the calls that it makes next, or no longer: they follow from the answers.
      const double errors = node.kinds[static_cast<std::size_t>(MetricKind::kErrors)].score +
                            node.kinds[static_cast<std::size_t>(MetricKind::kCalls)].score;
      const double lines = node.kinds[static_cast<std::size_t>(MetricKind::kTemplate)].score;
      node.score = node.own_score - errors * trouble_of(theirs) -
                   config_.explained * std::min(lines, theirs);
    }
  }

  // 0 up to half of none_score, which is the most that services show in ordinary times
  // (bench/quality); 1 from none_score on, where a service is more probable than no cause.
  [[nodiscard]] double trouble_of(double score) const noexcept {
    const double ordinary = 0.5 * std::max(0.0, config_.none_score);
    if (score <= ordinary) return 0.0;
    return score < config_.none_score ? (score - ordinary) / (config_.none_score - ordinary) : 1.0;
  }

  [[nodiscard]] RootCauseRanking answer() const {
    RootCauseRanking ranking;
    double best = config_.none_score;
    for (const Node& node : nodes_) best = std::max(best, node.score);
    ranking.none = exact_exp(config_.none_score - best);
    double sum = ranking.none;
    for (const Node& node : nodes_) {
      RankedService ranked{std::string(node.name), exact_exp(node.score - best), node.score, 0, {}};
      if (node.strongest != nullptr) {
        ranked.onset_ns = node.strongest->onset_ns;
        ranked.strongest_metric = node.strongest->metric;
      }
      sum += ranked.probability;
      ranking.services.push_back(std::move(ranked));
    }
    ranking.none /= sum;
    for (RankedService& ranked : ranking.services) ranked.probability /= sum;
    std::stable_sort(
        ranking.services.begin(), ranking.services.end(),
        [](const RankedService& a, const RankedService& b) { return a.score > b.score; });
    return ranking;
  }

  const RootCauseModel& model_;
  const RootCauseConfig& config_;
  const std::map<std::string, RootCauseModel::Service, std::less<>>& services_;
  const std::int64_t at_ns_;
  std::vector<MetricKind> alarms_;
  bool any_kind_ = false;  // an alarm speaks of every kind
  std::vector<Node> nodes_;
};

core::Result<RootCauseRanking> RootCauseModel::rank(std::int64_t at_ns,
                                                    const std::vector<Symptom>& symptoms) const {
  return RootCauseRanker(*this, at_ns).run(symptoms);
}

}  // namespace grace::models
