#include "grace/models/template_miner.h"

#include <algorithm>

#include "grace/core/hash.h"

namespace grace::models {
namespace {

using core::kNoSlot;

constexpr std::size_t kStatusDigitsMax = 3;

// Of ASCII alone: the C library's answer depends on the locale.
constexpr bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
constexpr bool is_punctuation(char c) noexcept {
  constexpr std::string_view kEnds = ".,;:!?()[]{}<>\"'`=";
  return kEnds.find(c) != std::string_view::npos;
}

std::string_view trimmed(std::string_view word) noexcept {
  while (!word.empty() && is_punctuation(word.front())) word.remove_prefix(1);
  while (!word.empty() && is_punctuation(word.back())) word.remove_suffix(1);
  return word;
}

bool is_identifier(std::string_view word) noexcept {
  const auto digits = std::ranges::count_if(word, is_digit);
  if (digits == 0) return false;
  const bool number = static_cast<std::size_t>(digits) == word.size();
  return !number || word.size() > kStatusDigitsMax;
}

}  // namespace

TemplateMiner::TemplateMiner(const TemplateMinerConfig& config)
    : config_(config), templates_(config.templates_max), leaves_(config.leaves_max) {}

bool TemplateMiner::parts_words(char c) const noexcept {
  constexpr std::string_view kNameParts = "_-/.:#";
  return is_blank(c) || (config_.split_names && kNameParts.find(c) != std::string_view::npos);
}

std::string_view TemplateMiner::next_word(std::string_view text, std::size_t& at) const noexcept {
  while (at < text.size()) {
    while (at < text.size() && parts_words(text[at])) ++at;
    const std::size_t begin = at;
    while (at < text.size() && !parts_words(text[at])) ++at;
    const std::string_view word = trimmed(text.substr(begin, at - begin));
    if (!word.empty()) return word;
  }
  return {};
}

TemplateMiner::Words TemplateMiner::words_of(std::string_view text) const {
  Words words;
  std::size_t at = 0;
  while (words.count < kWordsMax) {
    const std::string_view word = next_word(text, at);
    if (word.empty()) break;
    // | 1: never kOpen.
    words.hashes[words.count++] = is_identifier(word) ? kOpen : core::hash_bytes(word) | 1;
  }
  return words;
}

std::string_view TemplateMiner::mask(std::string_view text, std::span<char> out) const noexcept {
  constexpr std::string_view kMask = "<*>";
  std::size_t used = 0;
  const auto put = [&](std::string_view piece) {
    const std::size_t size = std::min(piece.size(), out.size() - used);
    std::copy_n(piece.begin(), size, out.begin() + static_cast<std::ptrdiff_t>(used));
    used += size;
  };
  std::size_t done = 0;
  std::size_t at = 0;
  for (std::string_view word = next_word(text, at); !word.empty(); word = next_word(text, at)) {
    if (!is_identifier(word)) continue;
    const auto begin = static_cast<std::size_t>(word.data() - text.data());
    put(text.substr(done, begin - done));
    put(kMask);
    done = begin + word.size();
  }
  put(text.substr(done));
  return {out.data(), used};
}

TemplateMiner::Leaf& TemplateMiner::leaf_of(const Words& words) {
  const std::uint64_t key =
      core::combine(core::combine(words.count + 1, words.hashes[0]), words.hashes[1]);
  return leaves_[leaves_.find_or_insert(key, stamp_, evicted_count_)];
}

std::uint64_t TemplateMiner::found(Leaf& leaf, const Words& words) {
  if (templates_.full()) {
    templates_.erase(templates_.oldest());
    ++evicted_count_;
  }
  const std::uint64_t number = next_number_++;
  templates_[templates_.insert(core::mix(number), stamp_)].words = words.hashes;
  leaf.templates[leaf.used++] = number;
  return number;
}

std::uint64_t TemplateMiner::add(std::string_view text) {
  stamp_ = (stamp_ + 1) & 0x7fffffff;  // only told from the one before, so it may come again
  const Words words = words_of(text);
  Leaf& leaf = leaf_of(words);
  std::uint64_t best = 0;
  std::uint32_t best_slot = kNoSlot;
  std::uint32_t best_equal = 0;
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < leaf.used; ++i) {
    const std::uint64_t number = leaf.templates[i];
    const std::uint32_t slot = templates_.find(core::mix(number));
    if (slot == kNoSlot) continue;  // evicted
    leaf.templates[kept++] = number;
    std::uint32_t equal = 0;
    for (std::uint32_t at = 0; at < words.count; ++at) {
      if (templates_[slot].words[at] == words.hashes[at]) ++equal;
    }
    if (best_slot == kNoSlot || equal > best_equal) {
      best = number;
      best_slot = slot;
      best_equal = equal;
    }
  }
  leaf.used = kept;
  const double wanted = config_.similarity_min * static_cast<double>(words.count);
  const bool similar = best_slot != kNoSlot && static_cast<double>(best_equal) >= wanted;
  if (!similar && (best_slot == kNoSlot || leaf.used < kLeafTemplates)) return found(leaf, words);
  Template& match = templates_[best_slot];
  for (std::uint32_t at = 0; at < words.count; ++at) {
    if (match.words[at] != words.hashes[at]) match.words[at] = kOpen;
  }
  templates_.touch(best_slot, stamp_);
  return best;
}

}  // namespace grace::models
