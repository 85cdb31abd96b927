#include "grace/ledger/merkle_tree.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "assert.h"

namespace grace::ledger {
namespace {

// One a thread, so that a node costs no allocation.
Sha256& hasher() {
  thread_local Sha256 instance;
  return instance;
}

// The left part of a tree of `size` leaves, size at least 2: the largest power of two below it.
std::uint64_t left_part(std::uint64_t size) {
  return std::bit_floor(size - 1);
}

tl::unexpected<Error> out_of_range(const char* what, std::uint64_t value, const char* bound,
                                   std::uint64_t limit) {
  return make_error(ErrorCode::kInvalidArgument, std::string(what) + " " + std::to_string(value) +
                                                     " is above " + bound + " " +
                                                     std::to_string(limit));
}

}  // namespace

Hash merkle_leaf_hash(std::span<const std::byte> entry) {
  Sha256& sha = hasher();
  sha.update(std::string_view("\x00", 1));
  sha.update(entry);
  return sha.finish();
}

Hash merkle_node_hash(const Hash& left, const Hash& right) {
  std::array<std::uint8_t, 65> bytes;
  bytes[0] = 1;
  std::copy(left.begin(), left.end(), bytes.begin() + 1);
  std::copy(right.begin(), right.end(), bytes.begin() + 33);
  Sha256& sha = hasher();
  sha.update(std::as_bytes(std::span(bytes)));
  return sha.finish();
}

Hash merkle_empty_root() {
  return hasher().finish();
}

Result<Frontier> Frontier::from(std::uint64_t size, std::span<const Hash> hashes) {
  const auto wanted = static_cast<std::size_t>(std::popcount(size));
  if (hashes.size() != wanted) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a frontier of " + std::to_string(size) + " leaves has " +
                          std::to_string(wanted) + " hashes, not " + std::to_string(hashes.size()));
  }
  Frontier frontier;
  frontier.size_ = size;
  std::copy(hashes.begin(), hashes.end(), frontier.hashes_.begin());
  return frontier;
}

void Frontier::push(const Hash& leaf_hash) {
  GRACE_LEDGER_ASSERT(size_ < std::numeric_limits<std::uint64_t>::max(), "the tree is full");
  std::size_t count = hashes().size();
  Hash node = leaf_hash;
  // Each low one bit is a complete subtree of the size that `node` has now.
  for (std::uint64_t bits = size_; (bits & 1) != 0; bits >>= 1) {
    --count;
    node = merkle_node_hash(hashes_[count], node);
  }
  hashes_[count] = node;
  ++size_;
}

Hash Frontier::root() const {
  const auto nodes = hashes();
  if (nodes.empty()) return merkle_empty_root();
  Hash root = nodes.back();
  for (std::size_t index = nodes.size() - 1; index > 0; --index) {
    root = merkle_node_hash(nodes[index - 1], root);
  }
  return root;
}

bool operator==(const Frontier& left, const Frontier& right) {
  return left.size_ == right.size_ && std::ranges::equal(left.hashes(), right.hashes());
}

LeafRange::LeafRange(const Frontier& before, std::vector<Hash> leaves)
    : before_(before), leaves_(std::move(leaves)) {}

Result<Hash> LeafRange::node(std::uint64_t begin, std::uint64_t end) const {
  Frontier frontier;
  std::uint64_t at = begin;
  if (begin < first()) {
    // Take the frontier's subtrees from `begin` to `end`, or to where the kept leaves begin. Their
    // sizes are distinct powers of two, falling, so together they are a frontier again.
    std::uint64_t node_begin = 0;
    std::size_t skipped = 0;
    std::size_t taken = 0;
    const auto nodes = before_.hashes();
    for (std::uint64_t left = first(); left > 0; left -= std::bit_floor(left)) {
      const std::uint64_t node_end = node_begin + std::bit_floor(left);
      if (node_begin < begin) ++skipped;
      if (node_begin == at && node_end <= end) {
        ++taken;
        at = node_end;
      }
      node_begin = node_end;
    }
    if (at != std::min(end, first())) {
      return make_error(ErrorCode::kNotFound, "the hash of leaves " + std::to_string(begin) +
                                                  " to " + std::to_string(end - 1) +
                                                  " takes leaves that were removed: kept are those "
                                                  "from " +
                                                  std::to_string(first()));
    }
    auto low = Frontier::from(at - begin, nodes.subspan(skipped, taken));
    GRACE_LEDGER_ASSERT(low.has_value(), "%zu subtrees", taken);
    frontier = *low;
  }
  for (; at < end; ++at) frontier.push(leaves_[static_cast<std::size_t>(at - first())]);
  return frontier.root();
}

Result<Hash> LeafRange::root_at(std::uint64_t tree_size) const {
  if (tree_size > size()) return out_of_range("tree size", tree_size, "the size", size());
  return node(0, tree_size);
}

Result<std::vector<Hash>> LeafRange::inclusion_proof(std::uint64_t index,
                                                     std::uint64_t tree_size) const {
  if (tree_size > size()) return out_of_range("tree size", tree_size, "the size", size());
  if (index >= tree_size) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "leaf " + std::to_string(index) + " is not in a tree of size " + std::to_string(tree_size));
  }
  if (index < first()) {
    return make_error(ErrorCode::kNotFound, "leaf " + std::to_string(index) +
                                                " was removed: kept are those from " +
                                                std::to_string(first()));
  }
  // Down from the root; the proof is read upwards.
  std::vector<Hash> proof;
  std::uint64_t begin = 0;
  std::uint64_t end = tree_size;
  while (end - begin > 1) {
    const std::uint64_t middle = begin + left_part(end - begin);
    const bool goes_left = index < middle;
    const auto sibling = goes_left ? node(middle, end) : node(begin, middle);
    if (!sibling) return tl::unexpected<Error>(sibling.error());
    proof.push_back(*sibling);
    (goes_left ? end : begin) = middle;
  }
  std::ranges::reverse(proof);
  return proof;
}

Result<std::vector<Hash>> LeafRange::consistency_proof(std::uint64_t old_size,
                                                       std::uint64_t new_size) const {
  if (new_size > size()) return out_of_range("new size", new_size, "the size", size());
  if (old_size > new_size) return out_of_range("old size", old_size, "the new size", new_size);
  std::vector<Hash> proof;
  if (old_size == 0 || old_size == new_size) return proof;
  // SUBPROOF of RFC 6962, section 2.1.2, from the root down: [begin, end) is the node that the old
  // tree ends in.
  std::uint64_t begin = 0;
  std::uint64_t end = new_size;
  while (old_size != end) {
    const std::uint64_t middle = begin + left_part(end - begin);
    const bool goes_left = old_size <= middle;
    const auto sibling = goes_left ? node(middle, end) : node(begin, middle);
    if (!sibling) return tl::unexpected<Error>(sibling.error());
    proof.push_back(*sibling);
    (goes_left ? end : begin) = middle;
  }
  // A node that is all of the old tree is its root, which the verifier has.
  if (begin != 0) {
    const auto last = node(begin, end);
    if (!last) return tl::unexpected<Error>(last.error());
    proof.push_back(*last);
  }
  std::ranges::reverse(proof);
  return proof;
}

bool verify_inclusion(const Hash& leaf_hash, std::uint64_t index, std::uint64_t tree_size,
                      std::span<const Hash> proof, const Hash& root) {
  if (index >= tree_size) return false;
  // fn and sn of the RFC: places of our node and of the last node on the level reached.
  std::uint64_t node = index;
  std::uint64_t last = tree_size - 1;
  Hash hash = leaf_hash;
  for (const Hash& sibling : proof) {
    if (last == 0) return false;  // longer than the tree is high
    if ((node & 1) != 0 || node == last) {
      hash = merkle_node_hash(sibling, hash);
      // A last node without a sibling rises unchanged.
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      hash = merkle_node_hash(hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && hash == root;
}

bool verify_consistency(std::uint64_t old_size, std::uint64_t new_size, const Hash& old_root,
                        const Hash& new_root, std::span<const Hash> proof) {
  if (old_size > new_size) return false;
  if (old_size == 0 && old_root != merkle_empty_root()) return false;
  if (old_size == new_size) return proof.empty() && old_root == new_root;
  if (old_size == 0) return proof.empty();
  if (proof.empty()) return false;
  // fn and sn of the RFC: places of the old and of the new tree's last node on the level reached.
  std::uint64_t old_last = old_size - 1;
  std::uint64_t new_last = new_size - 1;
  while ((old_last & 1) != 0) {
    old_last >>= 1;
    new_last >>= 1;
  }
  // An old tree that is one complete subtree is itself the node to begin with.
  const bool complete = std::has_single_bit(old_size);
  Hash old_hash = complete ? old_root : proof.front();
  Hash new_hash = old_hash;
  for (const Hash& sibling : complete ? proof : proof.subspan(1)) {
    if (new_last == 0) return false;
    if ((old_last & 1) != 0 || old_last == new_last) {
      old_hash = merkle_node_hash(sibling, old_hash);
      new_hash = merkle_node_hash(sibling, new_hash);
      while ((old_last & 1) == 0 && old_last != 0) {
        old_last >>= 1;
        new_last >>= 1;
      }
    } else {
      new_hash = merkle_node_hash(new_hash, sibling);
    }
    old_last >>= 1;
    new_last >>= 1;
  }
  return new_last == 0 && old_hash == old_root && new_hash == new_root;
}

}  // namespace grace::ledger
