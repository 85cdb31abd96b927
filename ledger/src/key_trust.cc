#include "key_trust.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "grace/ledger/key_change.h"

namespace grace::ledger {
namespace internal {

std::string short_name(const NoteVerifier& key) {
  const std::string text = key.to_text();
  return text.substr(0, text.rfind('+'));
}

}  // namespace internal

namespace {

using internal::short_name;

// A key that is believed, and for which trees, in blocks.
struct BelievedKey {
  NoteVerifier key;
  std::uint64_t steps = 0;  // key changes from a trusted key
  std::uint64_t size_min = 0;
  std::uint64_t size_max = std::numeric_limits<std::uint64_t>::max();
  // What it signs of this size on is nobody's word; empty: it is trusted.
  std::optional<std::uint64_t> stolen_from = std::nullopt;

  [[nodiscard]] bool is_trusted_at(std::uint64_t size) const {
    return !stolen_from || size < *stolen_from;
  }
  [[nodiscard]] bool may_sign(std::uint64_t size) const {
    return size >= size_min && size <= size_max && is_trusted_at(size);
  }
};

std::optional<std::uint64_t> stolen_from(const NoteVerifier& key,
                                         std::span<const DistrustedKey> distrusted) {
  std::optional<std::uint64_t> from;
  for (const DistrustedKey& one : distrusted) {
    if (one.key_id == key.key_id()) from = std::min(from.value_or(one.from_size), one.from_size);
  }
  return from;
}

// Follows the changes from the trusted keys on.
class BelievedKeys {
 public:
  BelievedKeys(std::span<const NoteVerifier> trusted, std::span<const DistrustedKey> distrusted)
      : distrusted_(distrusted) {
    for (const NoteVerifier& key : trusted) add(key, 0, 0);
  }

  [[nodiscard]] const std::vector<BelievedKey>& all() const { return keys_; }

  // `signed_by`: where not null, gets whom of its two keys the change's tree is believed.
  void follow(const KeyChange& change, std::vector<NoteVerifier>* signed_by) {
    const std::size_t from = find(change.old_key);
    const bool leads_on = from < keys_.size() && keys_[from].is_trusted_at(change.tree_size);
    if (signed_by != nullptr && leads_on) signed_by->push_back(change.old_key);
    if (from < keys_.size()) keys_[from].size_max = change.tree_size;
    std::size_t to = find(change.new_key);
    if (to == keys_.size() && leads_on) {
      add(change.new_key, keys_[from].steps + 1, change.tree_size + 1);
    } else if (to < keys_.size()) {
      keys_[to].size_min = change.tree_size + 1;
    }
    // Its first statement is the change itself.
    if (signed_by != nullptr && to < keys_.size() && keys_[to].is_trusted_at(change.tree_size)) {
      signed_by->push_back(change.new_key);
    }
  }

 private:
  void add(const NoteVerifier& key, std::uint64_t steps, std::uint64_t size_min) {
    keys_.push_back({.key = key,
                     .steps = steps,
                     .size_min = size_min,
                     .stolen_from = stolen_from(key, distrusted_)});
  }
  [[nodiscard]] std::size_t find(const NoteVerifier& key) const {
    const auto found = std::find_if(keys_.begin(), keys_.end(),
                                    [&](const BelievedKey& one) { return one.key == key; });
    return static_cast<std::size_t>(found - keys_.begin());
  }

  const std::span<const DistrustedKey> distrusted_;
  std::vector<BelievedKey> keys_;
};

std::string out_of_time(const BelievedKey& key, std::uint64_t size) {
  std::string text = "the checkpoint over " + std::to_string(size) + " blocks is signed with " +
                     short_name(key.key);
  if (!key.is_trusted_at(size)) {
    return text + ", which is not trusted" +
           (*key.stolen_from > 0 ? " from " + std::to_string(*key.stolen_from) + " blocks on" : "");
  }
  if (size < key.size_min) {
    return text + ", which took over only after block " + std::to_string(key.size_min - 1);
  }
  return text + ", which was replaced after block " + std::to_string(key.size_max);
}

}  // namespace

Result<TracedCheckpoint> trace_checkpoint(std::string_view note,
                                          std::span<const RecordedKeyChange> changes,
                                          std::span<const NoteVerifier> trusted,
                                          std::span<const DistrustedKey> distrusted) {
  BelievedKeys believed(trusted, distrusted);
  for (const RecordedKeyChange& recorded : changes) believed.follow(recorded.change, nullptr);
  std::vector<NoteVerifier> keys;
  for (const BelievedKey& one : believed.all()) keys.push_back(one.key);
  auto opened = open_checkpoint(note, keys);
  if (!opened) return tl::unexpected<Error>(opened.error());
  std::string why_not;
  for (const BelievedKey& one : believed.all()) {
    const NoteSignature signature{one.key.name(), one.key.key_id()};
    const auto& signatures = opened->signatures;
    if (one.key.name() != opened->checkpoint.origin ||
        std::find(signatures.begin(), signatures.end(), signature) == signatures.end()) {
      continue;
    }
    if (one.may_sign(opened->checkpoint.tree_size)) {
      return TracedCheckpoint{std::move(*opened), one.key, one.steps};
    }
    why_not = out_of_time(one, opened->checkpoint.tree_size);
  }
  return make_error(ErrorCode::kUntrustedKey, why_not);
}

Result<void> check_distrusted(std::span<const DistrustedKey> distrusted,
                              std::span<const RecordedKeyChange> changes,
                              std::span<const NoteVerifier> trusted) {
  for (const DistrustedKey& one : distrusted) {
    const auto is_it = [&](const NoteVerifier& key) { return key.key_id() == one.key_id; };
    const auto names_it = [&](const RecordedKeyChange& recorded) {
      return is_it(recorded.change.old_key) || is_it(recorded.change.new_key);
    };
    if (std::any_of(trusted.begin(), trusted.end(), is_it) ||
        std::any_of(changes.begin(), changes.end(), names_it)) {
      continue;
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "no key given and no key change of the log has the id of a key that is not "
                      "to be trusted");
  }
  return {};
}

std::optional<ProvenTree> proven_by_key_changes(std::span<const RecordedKeyChange> changes,
                                                std::uint64_t first_sequence,
                                                std::span<const NoteVerifier> trusted,
                                                std::span<const DistrustedKey> distrusted) {
  BelievedKeys believed(trusted, distrusted);
  std::optional<ProvenTree> proven;
  for (const RecordedKeyChange& recorded : changes) {
    std::vector<NoteVerifier> signed_by;
    believed.follow(recorded.change, &signed_by);
    // Of a carried change the tree was compared with nothing.
    if (signed_by.empty() || recorded.sequence < first_sequence) continue;
    proven = ProvenTree{recorded.change.tree_size, recorded.change.root, signed_by.back()};
  }
  return proven;
}

}  // namespace grace::ledger
