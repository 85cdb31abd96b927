#include "grace/models/session_model.h"

#include <algorithm>
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

// Calls visit(symbol, count in a, count in b) for each symbol in which a and b differ.
template <typename Visit>
void for_each_difference(const SymbolCounts& a, const SymbolCounts& b, Visit visit) {
  const auto left = a.entries();
  const auto right = b.entries();
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < left.size() || j < right.size()) {
    if (j == right.size() || (i < left.size() && left[i].symbol < right[j].symbol)) {
      visit(left[i].symbol, left[i].count, 0U);
      ++i;
    } else if (i == left.size() || right[j].symbol < left[i].symbol) {
      visit(right[j].symbol, 0U, right[j].count);
      ++j;
    } else {
      if (left[i].count != right[j].count) visit(left[i].symbol, left[i].count, right[j].count);
      ++i;
      ++j;
    }
  }
}

std::uint32_t distance_of(std::uint32_t a, std::uint32_t b) noexcept {
  return a > b ? a - b : b - a;
}

std::uint32_t distance_of(const SymbolCounts& a, const SymbolCounts& b) {
  std::uint32_t sum = 0;
  for_each_difference(
      a, b, [&](std::uint32_t, std::uint32_t x, std::uint32_t y) { sum += distance_of(x, y); });
  return sum;
}

std::uint64_t symbol_key(std::uint32_t symbol) noexcept {
  return core::mix(std::uint64_t{symbol} + 1);
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
  return is_new;
}

std::uint32_t SymbolCounts::total() const noexcept {
  std::uint32_t sum = 0;
  for (const Entry& entry : entries()) sum += entry.count;
  return sum;
}

std::uint64_t SymbolCounts::key() const noexcept {
  std::uint64_t key = used_;
  for (const Entry& entry : entries()) {
    key = core::combine(key, (std::uint64_t{entry.symbol} << 32) | entry.count);
  }
  return key;
}

bool SymbolCounts::operator==(const SymbolCounts& other) const noexcept {
  return std::ranges::equal(entries(), other.entries());
}

SessionModel::SessionModel(const SessionModelConfig& config)
    : config_(config),
      grammar_(config.grammar_nodes_max),
      symbols_(config.symbols_max),
      prototypes_(config.prototypes_max) {
  live_.reserve(config.prototypes_max);
  scores_.reserve(config.scores_max);
  largest_.reserve(config.scores_max);
}

void SessionModel::take_step(Session& session, std::uint32_t symbol, double probability) const {
  session.least_probability = std::min(session.least_probability, probability);
  if (session.counts.add(symbol) && session_count_ > 0 &&
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
  const double probability = grammar_.advance(kClass, session.context, symbol,
                                              static_cast<std::int32_t>(session_count_));
  take_step(session, symbol, probability);
  return probability;
}

// Nats that a difference in this symbol costs: how seldom a prototype differs from its nearest in
// it at all, then geometrically in the amount. Half a pair is added where nothing was seen.
double SessionModel::cost_of(std::uint32_t symbol, std::uint32_t difference) const {
  double pairs = 0.0;
  double amount = 0.0;
  if (const std::uint32_t slot = symbols_.find(symbol_key(symbol)); slot != kNoSlot) {
    pairs = static_cast<double>(symbols_[slot].pairs);
    amount = static_cast<double>(symbols_[slot].amount);
  }
  double nats = -core::exact_log((pairs + 0.5) / (static_cast<double>(prototypes_.count()) + 1.0));
  if (difference > 1) {
    const double further = -core::exact_log((amount - pairs + 0.5) / (amount + 1.0));
    nats += static_cast<double>(difference - 1) * further;
  }
  return nats;
}

SessionModel::Nearest SessionModel::nearest_of(const SymbolCounts& counts, Compare compare) const {
  Nearest nearest;
  for (const std::uint32_t slot : live_) {
    double nats = 0.0;
    for_each_difference(counts, prototypes_[slot].counts,
                        [&](std::uint32_t symbol, std::uint32_t mine, std::uint32_t learned) {
                          // Another one is nearer: spare the logarithms.
                          if (nats >= nearest.nats) return;
                          if (compare == Compare::kSurplus && mine < learned) return;
                          nats += cost_of(symbol, distance_of(mine, learned));
                        });
    if (nats < nearest.nats) nearest = {slot, nats};
    if (nats == 0.0) break;  // an unfinished session that may still become this one
  }
  return nearest;
}

double SessionModel::counts_nats(const SymbolCounts& counts, Compare compare) const {
  if (prototypes_.count() == 0) return 0.0;
  if (prototypes_.find(counts.key()) != kNoSlot) return 0.0;
  const double least = nearest_of(counts, compare).nats;
  if (least == 0.0) return 0.0;
  return least - core::exact_log(new_vectors_.share());
}

std::size_t SessionModel::differences(const Session& session,
                                      std::span<CountDifference> out) const {
  if (prototypes_.count() == 0 || out.empty() || knows(session)) return 0;
  const Nearest nearest = nearest_of(session.counts, Compare::kBoth);
  std::size_t used = 0;
  for_each_difference(session.counts, prototypes_[nearest.slot].counts,
                      [&](std::uint32_t symbol, std::uint32_t mine, std::uint32_t learned) {
                        const double nats = cost_of(symbol, distance_of(mine, learned));
                        std::size_t at = used;
                        while (at > 0 && out[at - 1].nats < nats) --at;
                        if (at == out.size()) return;
                        if (used < out.size()) ++used;
                        for (std::size_t i = used - 1; i > at; --i) out[i] = out[i - 1];
                        out[at] = {symbol, mine, learned, nats};
                      });
  return used;
}

double SessionModel::end_probability(const Session& session) const {
  return grammar_.probability(kClass, session.context, kEndSymbol);
}

bool SessionModel::knows(const Session& session) const {
  return prototypes_.find(session.counts.key()) != kNoSlot;
}

SessionScore SessionModel::judge(const Session& session, Compare compare) const {
  SessionScore score;
  if (session.new_symbol) score.symbol = -core::exact_log(new_symbols_.share());
  score.counts = counts_nats(session.counts, compare);
  score.step = -core::exact_log(session.least_probability);
  return score;
}

SessionScore SessionModel::so_far(const Session& session) const {
  return judge(session, Compare::kSurplus);
}

SessionScore SessionModel::end(const Session& session) const {
  SessionScore score = judge(session, Compare::kBoth);
  score.step = std::max(score.step, -core::exact_log(end_probability(session)));
  return score;
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
  const std::uint32_t slot = prototypes_.find(key);
  new_vectors_.sessions += 1.0;
  new_symbols_.sessions += 1.0;
  if (new_symbol) new_symbols_.novel += 1.0;
  note_symbols(counts);
  if (slot != kNoSlot) {
    prototypes_.touch(slot, static_cast<std::int32_t>(session_count_));
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
  const auto stamp = static_cast<std::int32_t>(session_count_);
  for (const SymbolCounts::Entry& entry : counts.entries()) {
    symbols_.find_or_insert(symbol_key(entry.symbol), stamp, evicted_count_);
  }
}

void SessionModel::account(std::uint32_t slot, bool add) {
  const Prototype& prototype = prototypes_[slot];
  if (prototype.nearest == kNoSlot) return;
  for_each_difference(
      prototype.counts, prototypes_[prototype.nearest].counts,
      [&](std::uint32_t symbol, std::uint32_t x, std::uint32_t y) {
        const std::uint32_t at = symbols_.find(symbol_key(symbol));
        if (at == kNoSlot) return;
        SymbolStats& stats = symbols_[at];
        const std::uint64_t amount = distance_of(x, y);
        if (add) {
          ++stats.pairs;
          stats.amount += amount;
        } else if (stats.pairs > 0 &&
                   stats.amount >= amount + stats.pairs - 1) {  // else evicted since
          --stats.pairs;
          stats.amount -= amount;
        }
      });
}

void SessionModel::find_nearest(std::uint32_t slot) {
  Prototype& mine = prototypes_[slot];
  mine.nearest = kNoSlot;
  for (const std::uint32_t other : live_) {
    if (other == slot) continue;
    const std::uint32_t distance = distance_of(mine.counts, prototypes_[other].counts);
    if (mine.nearest == kNoSlot || distance < mine.distance) {
      mine.nearest = other;
      mine.distance = distance;
    }
  }
  account(slot, true);
}

void SessionModel::insert_prototype(const SymbolCounts& counts, std::uint64_t key) {
  if (prototypes_.full()) evict_prototype();
  const std::uint32_t slot = prototypes_.insert(key, static_cast<std::int32_t>(session_count_));
  prototypes_[slot].counts = counts;
  find_nearest(slot);
  for (const std::uint32_t other : live_) {
    Prototype& prototype = prototypes_[other];
    const std::uint32_t distance = distance_of(counts, prototype.counts);
    if (prototype.nearest != kNoSlot && prototype.distance <= distance) continue;
    account(other, false);
    prototype.nearest = slot;
    prototype.distance = distance;
    account(other, true);
  }
  live_.push_back(slot);
}

void SessionModel::evict_prototype() {
  const std::uint32_t slot = prototypes_.oldest();
  account(slot, false);
  std::erase(live_, slot);
  for (const std::uint32_t other : live_) {
    if (prototypes_[other].nearest != slot) continue;
    account(other, false);
    find_nearest(other);
  }
  prototypes_.erase(slot);
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
  return result;
}

double ScoreTail::probability(double score) const noexcept {
  if (sample == 0 || score <= base) return 1.0;
  const double least = core::exact_exp(-score);
  if (!(excess_sum > 0.0)) return std::min(share, least);
  const double nats =
      static_cast<double>(sample) * core::exact_log(1.0 + (score - base) / excess_sum);
  return std::max(least, share * core::exact_exp(-nats));
}

double ScoreTail::quantile(double share_above) const noexcept {
  if (sample == 0) return std::numeric_limits<double>::infinity();
  const double mean_excess = excess_sum / static_cast<double>(sample);
  return std::max(-core::exact_log(share_above),
                  base + mean_excess * core::exact_log(share / share_above));
}

}  // namespace grace::models
