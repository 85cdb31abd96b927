#include "grace/models/session_model.h"

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "grace/core/exact_math.h"
#include "grace/core/hash.h"

namespace grace::models {
namespace {

using core::kNoSlot;

constexpr std::uint64_t kClass = 1;        // one grammar a model: any key does
constexpr double kRateMemoryMax = 4096;    // sessions; then a novelty rate forgets by halves
constexpr double kTailShare = 0.02;        // of the scores, that the tail is fitted to ...
constexpr std::size_t kTailCountMin = 10;  // ... but at least so many
constexpr std::uint32_t kOverflowSymbol = SessionModel::kEndSymbol;  // sorts last

// Calls visit(symbol, count in a, count in b) for each symbol in which a and b differ, until it
// returns false.
template <typename Visit>
void for_each_difference(const SymbolCounts& a, const SymbolCounts& b, Visit visit) {
  const auto left = a.entries();
  const auto right = b.entries();
  std::size_t i = 0;
  std::size_t j = 0;
  bool more = true;
  while (more && (i < left.size() || j < right.size())) {
    if (j == right.size() || (i < left.size() && left[i].symbol < right[j].symbol)) {
      more = visit(left[i].symbol, left[i].count, 0U);
      ++i;
    } else if (i == left.size() || right[j].symbol < left[i].symbol) {
      more = visit(right[j].symbol, 0U, right[j].count);
      ++j;
    } else {
      if (left[i].count != right[j].count) {
        more = visit(left[i].symbol, left[i].count, right[j].count);
      }
      ++i;
      ++j;
    }
  }
}

std::uint32_t distance_of(std::uint32_t a, std::uint32_t b) noexcept {
  return a > b ? a - b : b - a;
}

// Exact below `at_most`; else `at_most` or more.
std::uint32_t distance_of(const SymbolCounts& a, const SymbolCounts& b, std::uint32_t at_most) {
  std::uint32_t sum = 0;
  for_each_difference(a, b, [&](std::uint32_t, std::uint32_t x, std::uint32_t y) {
    sum += distance_of(x, y);
    return sum < at_most;
  });
  return sum;
}

std::uint32_t distance_of(const SymbolCounts::Sketch& a, const SymbolCounts::Sketch& b) noexcept {
  int sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(int{a[i]} - int{b[i]});
  return static_cast<std::uint32_t>(sum);
}

std::uint64_t symbol_key(std::uint32_t symbol) noexcept {
  return core::mix(std::uint64_t{symbol} + 1);
}

// Shape of a generalised Pareto tail from its scores in descending order, by probability-weighted
// moments (Hosking and Wallis, "Parameter and Quantile Estimation for the Generalized Pareto
// Distribution", Technometrics 29, 1987): with a0 the mean excess and a1 the mean of excess times
// the share of the others that are larger, 2 - a0 / (a0 - 2 a1). None that is lighter than
// exponential: of so few scores chance makes such tails too often.
double shape_of(std::span<const float> scores, double base) {
  double a0 = 0.0;
  double a1 = 0.0;
  for (std::size_t larger = 0; larger < scores.size(); ++larger) {
    const double excess = static_cast<double>(scores[larger]) - base;
    a0 += excess;
    a1 += excess * static_cast<double>(larger) / static_cast<double>(scores.size() - 1);
  }
  const double spread = a0 - 2.0 * a1;  // positive unless all are the same
  if (!(spread > 0.0)) return 0.0;
  return std::clamp(2.0 - a0 / spread, 0.0, ScoreTail::kShapeMax);
}

}  // namespace

bool SymbolCounts::add(std::uint32_t symbol) noexcept {
  const auto begin = entries_.begin();
  auto at = std::lower_bound(begin, begin + used_, symbol,
                             [](const Entry& entry, std::uint32_t s) { return entry.symbol < s; });
  const bool is_new = at == begin + used_ || at->symbol != symbol;
  if (is_new) {
    if (used_ >= kDistinctMax - 1 && symbol != kOverflowSymbol) {
      add(kOverflowSymbol);
      return true;
    }
    std::move_backward(at, begin + used_, begin + used_ + 1);
    *at = {symbol, 0};
    ++used_;
  }
  ++at->count;
  key_ += symbol_key(symbol);
  return is_new;
}

std::uint32_t SymbolCounts::total() const noexcept {
  std::uint32_t sum = 0;
  for (const Entry& entry : entries()) sum += entry.count;
  return sum;
}

SymbolCounts::Sketch SymbolCounts::sketch() const noexcept {
  Sketch sketch{};
  for (const Entry& entry : entries()) {
    std::uint8_t& bucket = sketch[symbol_key(entry.symbol) % sketch.size()];
    bucket = static_cast<std::uint8_t>(std::min(entry.count, 255U - bucket) + bucket);
  }
  return sketch;
}

bool SymbolCounts::operator==(const SymbolCounts& other) const noexcept {
  return std::ranges::equal(entries(), other.entries());
}

SessionModel::SessionModel(const SessionModelConfig& config)
    : config_(config),
      grammar_(config.grammar_nodes_max),
      symbols_(config.symbols_max),
      vectors_(config.prototypes_max) {
  prototypes_.reserve(config.prototypes_max);
  scores_.reserve(config.scores_max);
  largest_.reserve(config.scores_max);
}

void SessionModel::take_step(Session& session, std::uint32_t symbol, double probability) const {
  session.least_probability = std::min(session.least_probability, probability);
  // What is likely was seen: that spares the usual step a look into a table.
  if (session.counts.add(symbol) && probability < StepGrammar::kLikely && session_count_ > 0 &&
      symbols_.find(symbol_key(symbol)) == kNoSlot) {
    session.new_symbol = true;
  }
}

double SessionModel::step(Session& session, std::uint32_t symbol) const {
  const double probability = grammar_.probability(kClass, session.context, symbol);
  take_step(session, symbol, probability);
  StepGrammar::follow(session.context, symbol);
  return probability;
}

double SessionModel::learn_step(Session& session, std::uint32_t symbol) {
  const double probability =
      grammar_.advance(kClass, session.context, symbol, static_cast<std::int32_t>(session_count_));
  take_step(session, symbol, probability);
  return probability;
}

// How seldom a prototype differs from its nearest in this symbol at all, then geometrically in the
// amount. Half a pair is added where nothing was seen.
void SessionModel::price(SymbolStats& stats) const {
  const auto pairs = static_cast<double>(stats.pairs);
  const auto amount = static_cast<double>(stats.amount);
  stats.first_nats =
      -core::exact_log((pairs + 0.5) / (static_cast<double>(vectors_.count()) + 1.0));
  stats.further_nats = -core::exact_log((amount - pairs + 0.5) / (amount + 1.0));
  stats.priced = prices_as_of_;
}

// Nats that a difference in this symbol costs.
double SessionModel::cost_of(std::uint32_t symbol, std::uint32_t difference) const {
  SymbolStats unknown;
  const std::uint32_t slot = symbols_.find(symbol_key(symbol));
  SymbolStats& stats = slot == kNoSlot ? unknown : symbols_[slot];
  if (stats.priced != prices_as_of_) price(stats);
  return stats.first_nats + static_cast<double>(difference - 1) * stats.further_nats;
}

// Exact below `at_most`; else `at_most` or more.
double SessionModel::cost_between(const SymbolCounts& counts, const SymbolCounts& learned,
                                  Compare compare, double at_most) const {
  double nats = 0.0;
  for_each_difference(counts, learned, [&](std::uint32_t symbol, std::uint32_t x, std::uint32_t y) {
    if (compare == Compare::kSurplus && x < y) return true;
    nats += cost_of(symbol, distance_of(x, y));
    return nats < at_most;
  });
  return nats;
}

SessionModel::Nearest SessionModel::nearest_of(const SymbolCounts& counts, Compare compare,
                                               double enough) const {
  Nearest nearest;
  const auto consider = [&](const Prototype& prototype) {
    const double nats = cost_between(counts, vectors_[prototype.slot], compare, nearest.nats);
    if (nats < nearest.nats) nearest = {prototype.slot, nats};
    return nearest.nats > enough;
  };
  if (compare == Compare::kBoth) {  // what looks nearest first: mostly it is near enough
    const SymbolCounts::Sketch sketch = counts.sketch();
    const auto first = std::ranges::min_element(prototypes_, {}, [&](const Prototype& prototype) {
      return distance_of(sketch, prototype.sketch);
    });
    if (!consider(*first)) return nearest;
  }
  for (const Prototype& prototype : prototypes_) {
    if (!consider(prototype)) break;  // or an unfinished session that may still become this one
  }
  return nearest;
}

double SessionModel::counts_nats(const SymbolCounts& counts, Compare compare, double enough) const {
  if (vectors_.count() == 0 || vectors_.find(counts.key()) != kNoSlot) return 0.0;
  const double new_vector_nats = -core::exact_log(new_vectors_.share());
  const double least = nearest_of(counts, compare, std::max(0.0, enough - new_vector_nats)).nats;
  return least == 0.0 ? 0.0 : least + new_vector_nats;
}

std::size_t SessionModel::differences(const Session& session,
                                      std::span<CountDifference> out) const {
  if (vectors_.count() == 0 || out.empty() || knows(session)) return 0;
  const Nearest nearest = nearest_of(session.counts, Compare::kBoth, 0.0);
  std::size_t used = 0;
  for_each_difference(session.counts, vectors_[nearest.slot],
                      [&](std::uint32_t symbol, std::uint32_t mine, std::uint32_t learned) {
                        const double nats = cost_of(symbol, distance_of(mine, learned));
                        std::size_t at = used;
                        while (at > 0 && out[at - 1].nats < nats) --at;
                        if (at == out.size()) return true;
                        if (used < out.size()) ++used;
                        for (std::size_t i = used - 1; i > at; --i) out[i] = out[i - 1];
                        out[at] = {symbol, mine, learned, nats};
                        return true;
                      });
  return used;
}

double SessionModel::end_probability(const Session& session) const {
  return grammar_.probability(kClass, session.context, kEndSymbol);
}

bool SessionModel::knows(const Session& session) const {
  return vectors_.find(session.counts.key()) != kNoSlot;
}

SessionScore SessionModel::judge(const Session& session, Compare compare, double step_nats,
                                 double enough) const {
  SessionScore score{.step = step_nats};
  if (session.new_symbol) score.symbol = -core::exact_log(new_symbols_.share());
  score.counts = counts_nats(session.counts, compare, enough - score.total());
  return score;
}

SessionScore SessionModel::so_far(const Session& session) const {
  return judge(session, Compare::kSurplus, -core::exact_log(session.least_probability), 0.0);
}

SessionScore SessionModel::end(const Session& session, double enough) const {
  const double least = std::min(session.least_probability, end_probability(session));
  return judge(session, Compare::kBoth, -core::exact_log(least), enough);
}

SessionScore SessionModel::learn_end(Session& session) {
  const SessionScore score = end(session);
  learn_end(session, score);
  return score;
}

void SessionModel::learn_end(Session& session, const SessionScore& score) {
  grammar_.advance(kClass, session.context, kEndSymbol, static_cast<std::int32_t>(session_count_));
  const auto place = static_cast<std::size_t>(session_count_ % config_.scores_max);
  if (place == scores_.size()) {
    scores_.push_back(static_cast<float>(score.total()));
  } else {
    scores_[place] = static_cast<float>(score.total());
  }
  ++session_count_;
  learn_counts(session.counts, session.new_symbol);
}

void SessionModel::learn_counts(const SymbolCounts& counts, bool new_symbol) {
  const std::uint64_t key = counts.key();
  const std::uint32_t slot = vectors_.find(key);
  new_vectors_.sessions += 1.0;
  new_symbols_.sessions += 1.0;
  if (new_symbol) new_symbols_.novel += 1.0;
  // The symbols of a vector that is known are there, unless there is no room for all.
  if (slot == kNoSlot || symbols_.count() > config_.symbols_max / 2) note_symbols(counts);
  if (slot != kNoSlot) {
    vectors_.touch(slot, stamp());
  } else {
    new_vectors_.novel += 1.0;
    insert_prototype(counts, key);
  }
  decay();
}

void SessionModel::decay() {
  if (new_vectors_.sessions < decay_at_) return;
  for (NoveltyRate* const rate : {&new_vectors_, &new_symbols_}) {
    rate->sessions *= 0.5;
    rate->novel *= 0.5;
  }
  decay_at_ = std::min(decay_at_ * 2.0, kRateMemoryMax);
}

void SessionModel::note_symbols(const SymbolCounts& counts) {
  for (const SymbolCounts::Entry& entry : counts.entries()) {
    symbols_.find_or_insert(symbol_key(entry.symbol), stamp(), evicted_count_);
  }
}

void SessionModel::account(const Prototype& prototype, bool add) {
  if (prototype.nearest == kNoSlot) return;
  for_each_difference(vectors_[prototype.slot], vectors_[prototype.nearest],
                      [&](std::uint32_t symbol, std::uint32_t x, std::uint32_t y) {
                        const std::uint32_t at = symbols_.find(symbol_key(symbol));
                        if (at == kNoSlot) return true;
                        SymbolStats& stats = symbols_[at];
                        const std::uint64_t amount = distance_of(x, y);
                        if (add) {
                          ++stats.pairs;
                          stats.amount += amount;
                        } else if (stats.pairs > 0 && stats.amount >= amount + stats.pairs - 1) {
                          --stats.pairs;
                          stats.amount -= amount;
                        }  // else evicted since
                        return true;
                      });
}

void SessionModel::find_nearest(Prototype& mine) {
  mine.nearest = kNoSlot;
  mine.distance = std::numeric_limits<std::uint32_t>::max();
  const SymbolCounts& counts = vectors_[mine.slot];
  for (const Prototype& other : prototypes_) {
    if (other.slot == mine.slot || distance_of(mine.sketch, other.sketch) >= mine.distance)
      continue;
    const std::uint32_t distance = distance_of(counts, vectors_[other.slot], mine.distance);
    if (distance >= mine.distance) continue;
    mine.nearest = other.slot;
    mine.distance = distance;
  }
  account(mine, true);
}

void SessionModel::insert_prototype(const SymbolCounts& counts, std::uint64_t key) {
  if (vectors_.full()) evict_prototype();
  ++prices_as_of_;
  Prototype mine{.slot = vectors_.insert(key, stamp()), .sketch = counts.sketch()};
  vectors_[mine.slot] = counts;
  find_nearest(mine);
  for (Prototype& other : prototypes_) {
    if (distance_of(mine.sketch, other.sketch) >= other.distance) continue;
    const std::uint32_t distance = distance_of(counts, vectors_[other.slot], other.distance);
    if (distance >= other.distance) continue;
    account(other, false);
    other.nearest = mine.slot;
    other.distance = distance;
    account(other, true);
  }
  prototypes_.push_back(mine);
}

void SessionModel::evict_prototype() {
  const std::uint32_t slot = vectors_.oldest();
  const auto gone = std::ranges::find(prototypes_, slot, &Prototype::slot);
  account(*gone, false);
  prototypes_.erase(gone);
  for (Prototype& other : prototypes_) {
    if (other.nearest != slot) continue;
    account(other, false);
    find_nearest(other);
  }
  vectors_.erase(slot);
  ++evicted_count_;
}

ScoreTail SessionModel::tail() const {
  const std::uint64_t newer = std::min<std::uint64_t>((session_count_ + 1) / 2, scores_.size());
  const auto count = static_cast<std::size_t>(newer);
  if (session_count_ < config_.warmup_sessions || count <= kTailCountMin) return {};
  // The largest `tail` scores and the next one, in descending order.
  const double n = static_cast<double>(count);
  const std::size_t tail = std::max(kTailCountMin, static_cast<std::size_t>(n * kTailShare));
  largest_.clear();
  for (std::uint64_t back = 1; back <= newer; ++back) {
    const std::uint64_t place = (session_count_ - back) % config_.scores_max;
    largest_.push_back(scores_[static_cast<std::size_t>(place)]);
  }
  const auto end = largest_.begin() + static_cast<std::ptrdiff_t>(tail) + 1;
  std::partial_sort(largest_.begin(), end, largest_.end(), std::greater<>());
  // Excesses of an exponential tail over its base, of which the first `censored` count only as "at
  // least as large as the next" (type II censoring; the estimator of the mean, their sum over the
  // number of uncensored ones, is the maximum of the likelihood, Epstein and Sobel, 1953).
  const auto score = [this](std::size_t i) { return static_cast<double>(largest_[i]); };
  const std::size_t censored = (tail + 3) / 4;
  ScoreTail result;
  result.base = score(tail);
  result.excess_sum = static_cast<double>(censored) * (score(censored) - result.base);
  for (std::size_t i = censored; i < tail; ++i) result.excess_sum += score(i) - result.base;
  result.share = static_cast<double>(tail) / n;
  result.sample = static_cast<std::uint32_t>(tail - censored);
  result.shape = shape_of(std::span(largest_).first(tail), result.base);
  return result;
}

double ScoreTail::probability(double score) const noexcept {
  if (sample == 0 || score <= base) return 1.0;
  const double least = core::exact_exp(-score);
  if (!(excess_sum > 0.0)) return std::min(share, least);
  const double few = static_cast<double>(sample);
  const double heavy = shape + 1.0 / few;
  const double nats = core::exact_log(1.0 + heavy * few * (score - base) / excess_sum) / heavy;
  return std::max(least, share * core::exact_exp(-nats));
}

double ScoreTail::quantile(double share_above) const noexcept {
  if (sample == 0) return std::numeric_limits<double>::infinity();
  const double mean_excess = excess_sum / static_cast<double>(sample);
  return std::max(-core::exact_log(share_above),
                  base + mean_excess * core::exact_log(share / share_above));
}

}  // namespace grace::models
