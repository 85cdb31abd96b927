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
  std::string_view metric;
};

}  // namespace

class RootCauseRanker {
 public:
  RootCauseRanker(const RootCauseModel& model, std::int64_t at_ns)
      : config_(model.config_), services_(model.services_), at_ns_(at_ns) {}

  [[nodiscard]] core::Result<RootCauseRanking> run(const std::optional<Symptom>& symptom) {
    if (symptom) {
      alarm_ = metric_kind(symptom->metric);
      if (!services_.contains(symptom->service)) {
        return core::make_error(
            core::ErrorCode::kNotFound,
            "no edge and no sample names the symptom's service '" + symptom->service + "'");
      }
    }
    choose(symptom);
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
    std::int64_t step_ns = 0;  // coarsest pace of its series
    double own_score = 0.0;
    double score = 0.0;
    const KindEvidence* strongest = nullptr;
  };

  // Everything, or what the symptom's service depends on and itself.
  void choose(const std::optional<Symptom>& symptom) {
    std::map<std::string_view, std::size_t> index;
    std::vector<std::string_view> found;
    if (symptom) {
      std::set<std::string_view> seen{symptom->service};
      found.push_back(services_.find(symptom->service)->first);
      for (std::size_t i = 0; i < found.size(); ++i) {
        for (const std::string& callee : services_.find(found[i])->second.callees) {
          if (seen.insert(callee).second) found.push_back(callee);
        }
      }
      std::sort(found.begin(), found.end());
    } else {
      for (const auto& [name, service] : services_) found.push_back(name);
    }
    for (const std::string_view name : found) {
      index.emplace(name, nodes_.size());
      Node& node = nodes_.emplace_back();
      node.name = name;
      node.service = &services_.find(name)->second;
    }
    for (Node& node : nodes_) {
      for (const std::string& callee : node.service->callees) {
        node.callees.push_back(index.at(callee));
      }
    }
  }

  void judge(Node& node) {
    std::vector<std::pair<std::string_view, Cut>> means, traffic;
    for (const auto& [metric, series] : node.service->series) {
      if (series.kind == MetricKind::kTemplate) continue;
      Cut cut = cut_series(series.points, at_ns_, config_);
      node.step_ns = std::max(node.step_ns, cut.step_ns);
      const bool rare = series.kind == MetricKind::kErrors && counts_rare(cut);
      const Evidence evidence =
          rare ? presence_evidence(cut, series.bad) : level_evidence(cut, series.bad, config_);
      keep(node, series.kind, metric, evidence, rare ? config_.count_half : level_half(cut));
      if (series.kind == MetricKind::kTraffic) {
        traffic.emplace_back(metric, std::move(cut));
      } else if (series.kind == MetricKind::kLatency || series.kind == MetricKind::kAvailability) {
        means.emplace_back(metric, std::move(cut));
      }
    }
    judge_templates(node);
    for (const auto& [metric, cut] : means) measure_excess(node, metric, cut, traffic);
  }

  [[nodiscard]] double level_half(const Cut& cut) const noexcept {
    return config_.level_half * exact_log(static_cast<double>(cut.baseline.size()) + 2.0);
  }

  void keep(Node& node, MetricKind kind, std::string_view metric, const Evidence& evidence,
            double half) const {
    KindEvidence& best = node.kinds[static_cast<std::size_t>(kind)];
    const double nats = evidence.nats * half / (evidence.nats + half);
    if (best.known && nats <= best.nats) return;
    best = {true, nats, 0.0, evidence.onset_ns, metric};
  }

  // By the moments at which the service logged anything, the newest history_max of them: at which
  // of them each template was there. One that is not mentioned was not, also before it was first
  // seen.
  void judge_templates(Node& node) {
    std::set<std::int64_t> logged;
    for (const auto& [metric, series] : node.service->series) {
      if (series.kind != MetricKind::kTemplate) continue;
      for (const RootCauseModel::Point& point : series.points) {
        if (point.ts_ns <= at_ns_ && point.value > 0) logged.insert(point.ts_ns);
        if (logged.size() > config_.history_max) logged.erase(logged.begin());
      }
    }
    std::vector<Point> moments;
    for (const std::int64_t ts_ns : logged) moments.push_back({ts_ns, 0.0});
    const Cut frame = cut_series(moments, at_ns_, config_);
    if (frame.baseline.size() < config_.baseline_samples_min) return;
    node.step_ns = std::max(node.step_ns, frame.step_ns);
    for (const auto& [metric, series] : node.service->series) {
      if (series.kind != MetricKind::kTemplate) continue;
      std::set<std::int64_t> present;
      for (const RootCauseModel::Point& point : series.points) {
        if (point.value > 0) present.insert(point.ts_ns);
      }
      Cut cut = frame;
      for (Point& point : cut.baseline) point.value = present.contains(point.ts_ns) ? 1.0 : 0.0;
      for (Point& point : cut.window) point.value = present.contains(point.ts_ns) ? 1.0 : 0.0;
      keep(node, series.kind, metric, presence_evidence(cut, series.bad), config_.count_half);
    }
  }

  // Deviation of a mean times the requests it is the mean of, over the window. The traffic series
  // with the most samples at the same moments counts; of several means, one that is named so.
  void measure_excess(Node& node, std::string_view metric, const Cut& cut,
                      const std::vector<std::pair<std::string_view, Cut>>& traffic) {
    const RootCauseModel::Series& series = node.service->series.find(metric)->second;
    if (cut.baseline.size() < config_.baseline_samples_min) return;
    if (series.kind == MetricKind::kLatency && !is_mean(metric)) return;
    std::optional<double>& excess = node.excess[static_cast<std::size_t>(series.kind)];
    std::vector<double> values;
    for (const Point& point : cut.baseline) values.push_back(point.value);
    const double usual = median_of(values);
    const double sign = series.bad == BadDirection::kDown ? -1.0 : 1.0;
    std::size_t most = 0;
    double best = 0.0;
    for (const auto& [name, requests] : traffic) {
      double sum = 0.0;
      std::size_t matched = 0;
      for (const Point& point : cut.window) {
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
    if (most > 0) excess = std::max({excess.value_or(0.0), best, 0.0});
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
        if (!may_explain(nodes_[i], nodes_[i].kinds[kind], nodes_[callee],
                         nodes_[callee].kinds[kind])) {
          continue;
        }
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
  [[nodiscard]] static bool may_explain(const Node& node, const KindEvidence& symptom,
                                        const Node& callee, const KindEvidence& cause) noexcept {
    if (!(symptom.score > 0) || !(cause.score > 0)) return false;
    if (cause.onset_ns <= symptom.onset_ns) return true;
    // Unsigned: the two may lie further apart than a signed difference holds.
    const std::uint64_t later =
        static_cast<std::uint64_t>(cause.onset_ns) - static_cast<std::uint64_t>(symptom.onset_ns);
    return later <= static_cast<std::uint64_t>(std::max(node.step_ns, callee.step_ns));
  }

  [[nodiscard]] double weight_of(MetricKind kind) const noexcept {
    double weight = 1.0;
    if (kind == MetricKind::kTraffic || kind == MetricKind::kContext) weight = 0.0;
    if (kind == MetricKind::kResource) weight = config_.resource_weight;
    if (kind == MetricKind::kOther) weight = config_.unknown_weight;
    if (alarm_ && !same_trouble(*alarm_, kind)) weight *= config_.other_trouble;
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
        if (!may_explain(node, *node.strongest, other, *other.strongest)) continue;
        theirs = std::max(theirs, other.own_score);
      }
      const double explainable = node.kinds[static_cast<std::size_t>(MetricKind::kErrors)].score +
                                 node.kinds[static_cast<std::size_t>(MetricKind::kTemplate)].score;
      node.score = node.own_score - config_.explained * std::min(explainable, theirs);
    }
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

  const RootCauseConfig& config_;
  const std::map<std::string, RootCauseModel::Service, std::less<>>& services_;
  const std::int64_t at_ns_;
  std::optional<MetricKind> alarm_;
  std::vector<Node> nodes_;
};

core::Result<RootCauseRanking> RootCauseModel::rank(std::int64_t at_ns,
                                                    const std::optional<Symptom>& symptom) const {
  return RootCauseRanker(*this, at_ns).run(symptom);
}

}  // namespace grace::models
