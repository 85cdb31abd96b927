#include "grace/models/step_grammar.h"

#include <algorithm>

#include "grace/core/hash.h"

namespace grace::models {

using core::kNoSlot;

namespace {

std::uint64_t key_of_order1(std::uint64_t class_key, std::uint32_t last) {
  return core::combine(class_key + 1, last);
}

std::uint64_t key_of_order2(std::uint64_t class_key, std::uint32_t before, std::uint32_t last) {
  return core::combine(class_key + 2, (std::uint64_t{before} << 32) | last);
}

}  // namespace

const StepGrammar::Follower* StepGrammar::find_follower(const Node& node,
                                                        std::uint32_t symbol) noexcept {
  for (std::uint32_t i = 0; i < node.used; ++i) {
    if (node.followers[i].symbol == symbol) return &node.followers[i];
  }
  return nullptr;
}

StepGrammar::Follower* StepGrammar::find_follower(Node& node, std::uint32_t symbol) noexcept {
  for (std::uint32_t i = 0; i < node.used; ++i) {
    if (node.followers[i].symbol == symbol) return &node.followers[i];
  }
  return nullptr;
}

void StepGrammar::grow_total(Node& node) noexcept {
  if (++node.total < kTotalMax) return;
  node.total /= 2;
  node.novel = (node.novel + 1) / 2;
  for (Follower& follower : node.followers) follower.count = (follower.count + 1) / 2;
}

void StepGrammar::grow_count(Node& node, Follower& follower) noexcept {
  ++follower.count;
  // Frequent followers move to the front, where they are found first.
  if (&follower != node.followers.data() && follower.count > (&follower - 1)->count) {
    std::swap(follower, *(&follower - 1));
  }
}

bool StepGrammar::learn(Node& node, std::uint32_t symbol) noexcept {
  grow_total(node);
  if (Follower* const follower = find_follower(node, symbol); follower != nullptr) {
    grow_count(node, *follower);
    return false;
  }
  ++node.novel;
  if (node.used < kFollowers) {
    node.followers[node.used++] = {symbol, 1, kNoSlot};
  } else if (node.followers.back().count <= 1) {
    node.followers.back() = {symbol, 1, kNoSlot};
  }
  return true;
}

double StepGrammar::blend(const Node& node, std::uint32_t symbol, double shorter) noexcept {
  if (node.total == 0) return shorter;
  const Follower* const follower = find_follower(node, symbol);
  const double count = follower == nullptr ? 0.0 : static_cast<double>(follower->count);
  const double novel = static_cast<double>(node.novel);
  return (count + novel * shorter) / (static_cast<double>(node.total) + novel);
}

std::uint32_t StepGrammar::create(std::uint64_t key, std::int32_t stamp) {
  if (nodes_.full()) {
    const std::uint32_t oldest = nodes_.oldest();
    // Unsigned: the age is right also when stamps have passed their end and begun again.
    const std::uint32_t age =
        static_cast<std::uint32_t>(stamp) - static_cast<std::uint32_t>(nodes_.stamp_of(oldest));
    if (age < kIdleStamps) {
      ++refused_count_;
      return kNoSlot;
    }
    nodes_.erase(oldest);
    ++evicted_count_;
  }
  return nodes_.insert(key, stamp);
}

double StepGrammar::probability(std::uint64_t class_key, const Context& context,
                                std::uint32_t symbol) const {
  double probability = 1.0;  // nothing known, nothing surprising
  if (const std::uint32_t slot = nodes_.find(class_key); slot != kNoSlot) {
    const Node& node = nodes_[slot];
    probability = blend(node, symbol, 1.0 / (static_cast<double>(node.novel) + 1.0));
  }
  for (const std::uint64_t key : {key_of_order1(class_key, context.last),
                                  key_of_order2(class_key, context.before, context.last)}) {
    const std::uint32_t slot = nodes_.find(key);
    if (slot != kNoSlot) probability = blend(nodes_[slot], symbol, probability);
  }
  return probability;
}

double StepGrammar::advance(std::uint64_t class_key, Context& context, std::uint32_t symbol,
                            std::int32_t stamp) {
  const std::uint64_t key2 = key_of_order2(class_key, context.before, context.last);
  const std::uint32_t longest =
      nodes_.holds(context.node_hint, key2) ? context.node_hint : nodes_.find(key2);
  if (longest == kNoSlot) return advance_slowly(class_key, context, symbol, stamp, longest);
  nodes_.touch(longest, stamp);
  Node& node = nodes_[longest];
  Follower* const follower = find_follower(node, symbol);
  const double weight = static_cast<double>(node.total) + static_cast<double>(node.novel);
  if (follower == nullptr || static_cast<double>(follower->count) < kLikely * weight) {
    return advance_slowly(class_key, context, symbol, stamp, longest);
  }
  const double probability = static_cast<double>(follower->count) / weight;
  context.before = context.last;
  context.last = symbol;
  std::uint32_t hint = follower->node_hint;
  const std::uint64_t next_key = key_of_order2(class_key, context.before, context.last);
  if (!nodes_.holds(hint, next_key)) {
    hint = nodes_.find(next_key);
    follower->node_hint = hint;
  }
  context.node_hint = hint;
  grow_total(node);
  grow_count(node, *follower);  // may move the follower: last use of it is above
  return probability;
}

double StepGrammar::advance_slowly(std::uint64_t class_key, Context& context, std::uint32_t symbol,
                                   std::int32_t stamp, std::uint32_t longest) {
  std::uint32_t order2 = longest;
  std::uint32_t order1 = nodes_.find(key_of_order1(class_key, context.last));
  std::uint32_t order0 = nodes_.find(class_key);
  if (order0 == kNoSlot) order0 = create(class_key, stamp);
  double probability = 1.0;  // nothing known, nothing surprising
  if (order0 != kNoSlot) {
    Node& node = nodes_[order0];
    nodes_.touch(order0, stamp);
    probability = blend(node, symbol, 1.0 / (static_cast<double>(node.novel) + 1.0));
  }
  if (order1 != kNoSlot) {
    nodes_.touch(order1, stamp);
    probability = blend(nodes_[order1], symbol, probability);
  }
  if (order2 != kNoSlot) probability = blend(nodes_[order2], symbol, probability);

  // A context is refined when the shorter one has been seen often enough. create() may evict, so
  // slots found above are looked up again by key where one was made.
  if (order1 == kNoSlot && order0 != kNoSlot && nodes_[order0].total >= kGrowCount) {
    order1 = create(key_of_order1(class_key, context.last), stamp);
  } else if (order2 == kNoSlot && order1 != kNoSlot && nodes_[order1].total >= kGrowCount) {
    order2 = create(key_of_order2(class_key, context.before, context.last), stamp);
  }
  bool novel = true;
  if (order2 != kNoSlot) novel = learn(nodes_[order2], symbol);
  if (novel && order1 != kNoSlot) novel = learn(nodes_[order1], symbol);
  if (novel && order0 != kNoSlot) learn(nodes_[order0], symbol);
  context.before = context.last;
  context.last = symbol;
  context.node_hint = kNoSlot;
  return probability;
}

}  // namespace grace::models
