#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/sha256.h"

// Merkle trees over SHA-256 as in RFC 6962, section 2.1, and RFC 9162, section 2.1, over leaf
// hashes that the caller has already. MTH(n) below is the root of the first n leaves; a tree's left
// part is always the largest power of two below its size:
//
//   MTH(7) =        o              size 7 = 4 + 2 + 1: a frontier of three hashes,
//              /         \         of leaves [0,4), [4,6) and [6,7)
//            o             o
//          /   \         /   \     the proof of leaf 4: hash of 5, hash of 6, hash of [0,4)
//         o     o       o     6
//        / \   / \     / \         the proof of 4 to 7: hash of [4,7)
//       0   1 2   3   4   5
//
// Everything here is a pure function of its arguments: no input, no clock, no state but a hasher
// for each thread. The first call on a thread allocates that hasher; it aborts where OpenSSL offers
// no SHA-256.
namespace grace::ledger {

// SHA-256(0x00 || entry), SHA-256(0x01 || left || right) and SHA-256("").
[[nodiscard]] Hash merkle_leaf_hash(std::span<const std::byte> entry);
[[nodiscard]] Hash merkle_node_hash(const Hash& left, const Hash& right);
[[nodiscard]] Hash merkle_empty_root();

// The complete subtrees that leaves [0, size) fall into, one for each bit of size: all that must be
// kept of a tree in order to extend it and to know its root ("compact range"). A value; 2 KiB,
// never allocates. One thread at a time, or many that only read.
class Frontier {
 public:
  static constexpr std::size_t kHashesMax = 64;

  Frontier() = default;
  // `hashes` as hashes() gives them. kInvalidArgument where their count is not that of size's bits.
  [[nodiscard]] static Result<Frontier> from(std::uint64_t size, std::span<const Hash> hashes);

  // Appends a leaf: two SHA-256 blocks a node closed, less than one node a leaf on average. Aborts
  // at 2^64 - 1 leaves.
  void push(const Hash& leaf_hash);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  // One node less than there are hashes; the empty root where there is none.
  [[nodiscard]] Hash root() const;
  // Largest subtree, which is the leftmost, first. Valid until the next push().
  [[nodiscard]] std::span<const Hash> hashes() const {
    return std::span(hashes_).first(static_cast<std::size_t>(std::popcount(size_)));
  }

  friend bool operator==(const Frontier& left, const Frontier& right);

 private:
  std::uint64_t size_ = 0;
  std::array<Hash, kHashesMax> hashes_{};  // those past popcount(size_) mean nothing
};

// A tree whose oldest leaves may be gone: the frontier of what was removed, and the leaves from
// there on. Builds proofs. Of the removed leaves [0, first) just the frontier's subtrees are known;
// that is enough for every proof of a kept leaf, since a complete subtree that holds both removed
// and kept leaves begins where one of the frontier's does.
//
// Cost of each call: at most one node for each kept leaf below the size asked for, 32 bytes a kept
// leaf of memory. One thread at a time, or many that only read.
class LeafRange {
 public:
  explicit LeafRange(const Frontier& before = {}, std::vector<Hash> leaves = {});

  void push(const Hash& leaf_hash) { leaves_.push_back(leaf_hash); }

  [[nodiscard]] std::uint64_t first() const { return before_.size(); }  // index of the first kept
  [[nodiscard]] std::uint64_t size() const { return before_.size() + leaves_.size(); }

  // MTH(tree_size). Errors, here and below: kInvalidArgument where a size is above size() or an
  // index or old size is above the size; kNotFound where it takes leaves that were removed.
  [[nodiscard]] Result<Hash> root_at(std::uint64_t tree_size) const;
  // PATH(index, D[tree_size]) of RFC 6962, section 2.1.1: the leaf's sibling first. Of a removed
  // leaf: kNotFound.
  [[nodiscard]] Result<std::vector<Hash>> inclusion_proof(std::uint64_t index,
                                                          std::uint64_t tree_size) const;
  // PROOF(old_size, D[new_size]) of RFC 6962, section 2.1.2. Empty where old_size is 0 or new_size.
  // Always possible where old_size >= first(), sometimes below.
  [[nodiscard]] Result<std::vector<Hash>> consistency_proof(std::uint64_t old_size,
                                                            std::uint64_t new_size) const;

 private:
  // MTH(D[begin:end]) of a node of the tree: begin is a multiple of a power of two that is at least
  // end - begin.
  [[nodiscard]] Result<Hash> node(std::uint64_t begin, std::uint64_t end) const;

  Frontier before_;
  std::vector<Hash> leaves_;
};

// Whether the leaf is at that index of the tree with that size and root. RFC 9162, section 2.1.3.2:
// no other proof than the one, of exactly its length, is accepted.
[[nodiscard]] bool verify_inclusion(const Hash& leaf_hash, std::uint64_t index,
                                    std::uint64_t tree_size, std::span<const Hash> proof,
                                    const Hash& root);

// Whether the tree of new_size begins with the tree of old_size. RFC 9162, section 2.1.4.2, which
// speaks of 0 < old_size < new_size only. Here, besides: equal sizes take equal roots, size 0 takes
// the empty root, and both take an empty proof.
[[nodiscard]] bool verify_consistency(std::uint64_t old_size, std::uint64_t new_size,
                                      const Hash& old_root, const Hash& new_root,
                                      std::span<const Hash> proof);

}  // namespace grace::ledger
