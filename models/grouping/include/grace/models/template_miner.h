#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "grace/core/lru_table.h"

namespace grace::models {

struct TemplateMinerConfig {
  // --- behaviour ---
  // Share of a text's words that must agree with a template's for the text to belong to it. Larger:
  // more templates. 0.5 is the middle of the range that the paper recommends.
  double similarity_min = 0.5;
  // Also '_', '-', '/', '.', ':' and '#' part words: for names ("delete_order_4711"), not
  // sentences.
  bool split_names = false;
  // --- cost ---
  std::uint32_t templates_max = 4096;  // 320 bytes each
  std::uint32_t leaves_max = 4096;     // 192 bytes each
};

// Gives each text the number of its template: its words, those that vary left open. An online miner
// in the manner of Drain (He, Zhu, Zheng and Lyu, "Drain: An Online Log Parsing Approach with Fixed
// Depth Tree", ICWS 2017): a text goes by its number of words and its first two words to a leaf,
// and there to the most similar template, whose words that disagree become open; or founds a new
// one. The tree is kept flat, one table by the hash of that path.
//
// Words are runs of characters between blanks; punctuation at their ends is dropped. A word that
// has a digit is taken for an identifier and is open from the start, except a plain number of at
// most three digits (a status code says what happened, not to whom). Bounds: TemplateMinerConfig;
// kWordsMax words of a text (further ones are not looked at), kLeafTemplates templates in a leaf
// (full: the most similar takes the text, whatever the similarity). The least recently used makes
// room and is counted. Thread: one. No allocation after construction.
class TemplateMiner {
 public:
  explicit TemplateMiner(const TemplateMinerConfig& config = {});

  static constexpr std::uint32_t kWordsMax = 32;
  static constexpr std::uint32_t kLeafTemplates = 16;

  // The template of `text`; learns from it. Numbers start at 1 and are not used again.
  std::uint64_t add(std::string_view text);

  // The text with its identifiers shown as "<*>", cut at the end of `out`; a view into `out`.
  [[nodiscard]] std::string_view mask(std::string_view text, std::span<char> out) const noexcept;

  [[nodiscard]] std::uint32_t template_count() const noexcept { return templates_.count(); }
  [[nodiscard]] std::uint64_t evicted_count() const noexcept { return evicted_count_; }

 private:
  static constexpr std::uint64_t kOpen = 0;  // the hash of no word
  struct Words {
    std::array<std::uint64_t, kWordsMax> hashes{};  // kOpen: an identifier
    std::uint32_t count = 0;
  };
  struct Template {
    std::array<std::uint64_t, kWordsMax> words{};
  };
  struct Leaf {
    std::array<std::uint64_t, kLeafTemplates> templates{};  // by number; some may be evicted
    std::uint32_t used = 0;
  };
  [[nodiscard]] bool parts_words(char c) const noexcept;
  // The next word at or behind `at`, which is moved behind it; empty at the end of the text.
  [[nodiscard]] std::string_view next_word(std::string_view text, std::size_t& at) const noexcept;
  [[nodiscard]] Words words_of(std::string_view text) const;
  Leaf& leaf_of(const Words& words);
  std::uint64_t found(Leaf& leaf, const Words& words);

  TemplateMinerConfig config_;
  core::LruTable<Template> templates_;  // by the mixed number
  core::LruTable<Leaf> leaves_;
  std::uint64_t next_number_ = 1;
  std::uint64_t evicted_count_ = 0;
  std::int32_t stamp_ = 0;  // of use
};

}  // namespace grace::models
