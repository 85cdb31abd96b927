#include "grace/ledger/merkle_tree.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace grace::ledger {
namespace {

using Hashes = std::vector<Hash>;

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16)));
  }
  return bytes;
}

Hash hash_of(std::string_view hex) {
  const std::string bytes = bytes_of(hex);
  Hash hash{};
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

Hashes hashes_of(const std::vector<std::string_view>& list) {
  Hashes hashes;
  for (const auto hex : list) hashes.push_back(hash_of(hex));
  return hashes;
}

Hash leaf_of(std::string_view entry) {
  return merkle_leaf_hash(std::as_bytes(std::span(entry)));
}

// Distinct leaves "0", "1", ...
Hashes leaves_up_to(std::uint64_t size) {
  Hashes leaves;
  for (std::uint64_t index = 0; index < size; ++index) {
    leaves.push_back(leaf_of(std::to_string(index)));
  }
  return leaves;
}

// --- the definitions of RFC 6962, section 2.1, word by word ---

Hash sha_of(std::string_view bytes) {
  return sha256(std::as_bytes(std::span(bytes)));
}

Hash naive_root(std::span<const Hash> leaves) {
  if (leaves.empty()) return sha_of("");
  if (leaves.size() == 1) return leaves[0];
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  std::string bytes = "\x01";
  const Hash left = naive_root(leaves.first(k));
  const Hash right = naive_root(leaves.subspan(k));
  bytes.append(left.begin(), left.end());
  bytes.append(right.begin(), right.end());
  return sha_of(bytes);
}

Hashes naive_path(std::size_t m, std::span<const Hash> leaves) {
  if (leaves.size() == 1) return {};
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  Hashes path = m < k ? naive_path(m, leaves.first(k)) : naive_path(m - k, leaves.subspan(k));
  path.push_back(naive_root(m < k ? leaves.subspan(k) : leaves.first(k)));
  return path;
}

Hashes naive_subproof(std::size_t m, std::span<const Hash> leaves, bool whole) {
  if (m == leaves.size()) return whole ? Hashes{} : Hashes{naive_root(leaves)};
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  Hashes proof = m <= k ? naive_subproof(m, leaves.first(k), whole)
                        : naive_subproof(m - k, leaves.subspan(k), false);
  proof.push_back(naive_root(m <= k ? leaves.subspan(k) : leaves.first(k)));
  return proof;
}

Hashes naive_consistency(std::size_t m, std::span<const Hash> leaves) {
  return m == 0 ? Hashes{} : naive_subproof(m, leaves, true);
}

Frontier frontier_of(std::span<const Hash> leaves) {
  Frontier frontier;
  for (const Hash& leaf : leaves) frontier.push(leaf);
  return frontier;
}

// A log whose leaves below `first` are gone.
LeafRange range_from(std::span<const Hash> leaves, std::size_t first) {
  const auto kept = leaves.subspan(first);
  return LeafRange(frontier_of(leaves.first(first)), Hashes(kept.begin(), kept.end()));
}

// --- the vectors of the certificate-transparency code, which RFC 6962 comes with ---

const std::vector<std::string_view> kEntries = {
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
};
const std::vector<std::string_view> kRoots = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

struct ProofVector {
  std::uint64_t low;  // index of the leaf, or the old size
  std::uint64_t size;
  std::vector<std::string_view> proof;
};
const std::vector<ProofVector> kInclusionVectors = {
    {0, 1, {}},
    {0,
     8,
     {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {5,
     8,
     {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2, 3, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
    {1,
     5,
     {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
};
const std::vector<ProofVector> kConsistencyVectors = {
    {1, 1, {}},
    {1,
     8,
     {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {6,
     8,
     {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2,
     5,
     {"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
    {6,
     7,
     {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
};

Hashes vector_leaves() {
  Hashes leaves;
  for (const auto entry : kEntries) leaves.push_back(leaf_of(bytes_of(entry)));
  return leaves;
}

TEST(MerkleTree, MatchesThePublishedRoots) {
  const Hashes leaves = vector_leaves();
  Frontier frontier;
  EXPECT_EQ(to_hex(frontier.root()), kRoots[0]);
  for (std::size_t index = 0; index < leaves.size(); ++index) {
    frontier.push(leaves[index]);
    EXPECT_EQ(to_hex(frontier.root()), kRoots[index + 1]);
  }
}

TEST(MerkleTree, MatchesThePublishedProofs) {
  const LeafRange range({}, vector_leaves());
  for (const auto& vector : kInclusionVectors) {
    const auto proof = range.inclusion_proof(vector.low, vector.size);
    ASSERT_TRUE(proof);
    EXPECT_EQ(*proof, hashes_of(vector.proof)) << vector.low << " of " << vector.size;
    EXPECT_TRUE(verify_inclusion(vector_leaves()[vector.low], vector.low, vector.size, *proof,
                                 hash_of(kRoots[vector.size])));
  }
  for (const auto& vector : kConsistencyVectors) {
    const auto proof = range.consistency_proof(vector.low, vector.size);
    ASSERT_TRUE(proof);
    EXPECT_EQ(*proof, hashes_of(vector.proof)) << vector.low << " to " << vector.size;
    EXPECT_TRUE(verify_consistency(vector.low, vector.size, hash_of(kRoots[vector.low]),
                                   hash_of(kRoots[vector.size]), *proof));
  }
}

constexpr std::size_t kSizeMax = 130;

TEST(MerkleTree, AgreesWithTheDefinitionForEachSizeAndIndex) {
  const Hashes leaves = leaves_up_to(kSizeMax);
  const LeafRange range({}, leaves);
  for (std::size_t size = 0; size <= kSizeMax; ++size) {
    const auto part = std::span(leaves).first(size);
    const Hash root = naive_root(part);
    ASSERT_EQ(range.root_at(size).value(), root) << size;
    for (std::size_t index = 0; index < size; ++index) {
      const auto proof = range.inclusion_proof(index, size);
      ASSERT_TRUE(proof);
      ASSERT_EQ(*proof, naive_path(index, part)) << index << " of " << size;
      ASSERT_TRUE(verify_inclusion(leaves[index], index, size, *proof, root));
    }
  }
}

TEST(MerkleTree, AgreesWithTheDefinitionForEachPairOfSizes) {
  const Hashes leaves = leaves_up_to(kSizeMax);
  const LeafRange range({}, leaves);
  for (std::size_t size = 0; size <= kSizeMax; ++size) {
    const auto part = std::span(leaves).first(size);
    const Hash root = naive_root(part);
    for (std::size_t old_size = 0; old_size <= size; ++old_size) {
      const auto proof = range.consistency_proof(old_size, size);
      ASSERT_TRUE(proof);
      ASSERT_EQ(*proof, naive_consistency(old_size, part)) << old_size << " to " << size;
      const Hash old_root = naive_root(part.first(old_size));
      ASSERT_TRUE(verify_consistency(old_size, size, old_root, root, *proof));
    }
  }
}

TEST(LeafRange, ProvesEachKeptLeafWhereverItBegins) {
  constexpr std::size_t kSmall = 40;
  const Hashes leaves = leaves_up_to(kSmall);
  for (std::size_t first = 0; first <= kSmall; ++first) {
    const LeafRange range = range_from(leaves, first);
    ASSERT_EQ(range.first(), first);
    ASSERT_EQ(range.size(), kSmall);
    for (std::size_t size = first; size <= kSmall; ++size) {
      const auto part = std::span(leaves).first(size);
      ASSERT_EQ(range.root_at(size).value(), naive_root(part)) << first << " " << size;
      for (std::size_t index = first; index < size; ++index) {
        const auto proof = range.inclusion_proof(index, size);
        ASSERT_TRUE(proof) << proof.error().message;
        ASSERT_EQ(*proof, naive_path(index, part)) << first << " " << index << " of " << size;
      }
      for (std::size_t old_size = first; old_size <= size; ++old_size) {
        const auto proof = range.consistency_proof(old_size, size);
        ASSERT_TRUE(proof) << proof.error().message;
        ASSERT_EQ(*proof, naive_consistency(old_size, part)) << first << " " << old_size;
      }
    }
  }
}

// Below `first` it may answer or say that it cannot, but never wrongly.
TEST(LeafRange, IsRightOrSaysNotFoundBelowItsFirstLeaf) {
  constexpr std::size_t kSmall = 24;
  const Hashes leaves = leaves_up_to(kSmall);
  std::size_t answered = 0;
  std::size_t refused = 0;
  const auto judge = [&](const auto& got, const auto& wanted) {
    if (got) {
      EXPECT_EQ(*got, wanted);
      ++answered;
    } else {
      EXPECT_EQ(got.error().code, ErrorCode::kNotFound);
      EXPECT_NE(got.error().message.find("removed"), std::string::npos);
      ++refused;
    }
  };
  for (std::size_t first = 1; first <= kSmall; ++first) {
    const LeafRange range = range_from(leaves, first);
    for (std::size_t size = 1; size <= kSmall; ++size) {
      const auto part = std::span(leaves).first(size);
      judge(range.root_at(size), naive_root(part));
      for (std::size_t old_size = 0; old_size < std::min(first, size); ++old_size) {
        judge(range.consistency_proof(old_size, size), naive_consistency(old_size, part));
      }
      for (std::size_t index = 0; index < std::min(first, size); ++index) {
        const auto proof = range.inclusion_proof(index, size);
        ASSERT_FALSE(proof);
        EXPECT_EQ(proof.error().code, ErrorCode::kNotFound);
      }
    }
  }
  EXPECT_GT(answered, 1000U);
  EXPECT_GT(refused, 1000U);
  // The tree of four is one subtree of the frontier of six, so its root is still known.
  EXPECT_EQ(range_from(leaves, 6).root_at(4).value(), naive_root(std::span(leaves).first(4)));
  EXPECT_TRUE(range_from(leaves, 6).consistency_proof(4, 20));
  EXPECT_FALSE(range_from(leaves, 6).consistency_proof(3, 20));
}

TEST(LeafRange, GrowsByPush) {
  const Hashes leaves = leaves_up_to(20);
  LeafRange range = range_from(std::span(leaves).first(7), 7);
  for (std::size_t index = 7; index < leaves.size(); ++index) range.push(leaves[index]);
  EXPECT_EQ(range.root_at(20).value(), naive_root(leaves));
}

TEST(LeafRange, RefusesSizesItDoesNotHave) {
  const LeafRange range({}, leaves_up_to(5));
  const auto code = [](const auto& result) { return result.error().code; };
  EXPECT_EQ(code(range.root_at(6)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(range.inclusion_proof(5, 5)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(range.inclusion_proof(0, 0)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(range.inclusion_proof(0, 6)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(range.consistency_proof(1, 6)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(range.consistency_proof(4, 3)), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(LeafRange().root_at(0));
}

TEST(Frontier, ResumesFromItsHashes) {
  const Hashes leaves = leaves_up_to(kSizeMax);
  Frontier frontier;
  for (std::size_t size = 0; size < kSizeMax; ++size) {
    const auto copy = Frontier::from(frontier.size(), frontier.hashes());
    ASSERT_TRUE(copy);
    ASSERT_EQ(*copy, frontier);
    ASSERT_EQ(copy->root(), naive_root(std::span(leaves).first(size)));
    frontier = *copy;
    frontier.push(leaves[size]);
    ASSERT_NE(*copy, frontier);
  }
}

TEST(Frontier, HoldsItsSubtreesLargestFirst) {
  const Hashes leaves = leaves_up_to(7);
  const Frontier frontier = frontier_of(leaves);
  const auto all = std::span<const Hash>(leaves);
  ASSERT_EQ(frontier.hashes().size(), 3U);
  EXPECT_EQ(frontier.hashes()[0], naive_root(all.first(4)));
  EXPECT_EQ(frontier.hashes()[1], naive_root(all.subspan(4, 2)));
  EXPECT_EQ(frontier.hashes()[2], leaves[6]);
}

TEST(Frontier, RefusesAWrongNumberOfHashes) {
  const Hashes hashes = leaves_up_to(65);
  const auto all = std::span<const Hash>(hashes);
  EXPECT_FALSE(Frontier::from(0, all.first(1)));
  EXPECT_FALSE(Frontier::from(7, all.first(2)));
  EXPECT_FALSE(Frontier::from(7, all.first(4)));
  EXPECT_FALSE(Frontier::from(~std::uint64_t{0}, all));
  EXPECT_EQ(Frontier::from(8, {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(Frontier::from(0, {}));
  EXPECT_TRUE(Frontier::from(~std::uint64_t{0}, all.first(64)));
}

// All proofs that differ from `proof` in length by one, or in one bit of one hash.
std::vector<Hashes> spoilt(const Hashes& proof, unsigned bit) {
  std::vector<Hashes> list;
  for (std::size_t at = 0; at < proof.size(); ++at) {
    Hashes flipped = proof;
    flipped[at][bit / 8] = static_cast<std::uint8_t>(flipped[at][bit / 8] ^ (1U << (bit % 8)));
    list.push_back(flipped);
    Hashes shorter = proof;
    shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(at));
    list.push_back(shorter);
  }
  for (std::size_t at = 0; at <= proof.size(); ++at) {
    Hashes longer = proof;
    longer.insert(longer.begin() + static_cast<std::ptrdiff_t>(at), leaf_of("more"));
    list.push_back(longer);
  }
  if (!proof.empty()) {
    Hashes doubled = proof;
    doubled.push_back(proof.back());
    list.push_back(doubled);
  }
  return list;
}

TEST(VerifyInclusion, RefusesEachSpoiltProof) {
  const Hashes leaves = leaves_up_to(kSizeMax);
  const LeafRange range({}, leaves);
  for (std::size_t size = 1; size <= kSizeMax; ++size) {
    const Hash root = range.root_at(size).value();
    for (std::size_t index = 0; index < size; ++index) {
      const Hashes proof = range.inclusion_proof(index, size).value();
      const auto bit = static_cast<unsigned>((size * 31 + index * 7) % 256);
      for (const Hashes& wrong : spoilt(proof, bit)) {
        ASSERT_FALSE(verify_inclusion(leaves[index], index, size, wrong, root));
      }
      ASSERT_FALSE(verify_inclusion(leaf_of("other"), index, size, proof, root));
      ASSERT_FALSE(verify_inclusion(leaves[index], index, size, proof, leaf_of("other")));
      ASSERT_FALSE(verify_inclusion(leaves[index], index + size, size, proof, root));
      ASSERT_FALSE(verify_inclusion(leaves[index], index + 1, size, proof, root));
      ASSERT_FALSE(verify_inclusion(leaves[index], index ^ 2, size, proof, root));
      ASSERT_FALSE(verify_inclusion(leaves[index], index, size * 2, proof, root));
    }
  }
}

// A root that was made to fit: of a tree one level higher than the size allows.
TEST(VerifyInclusion, RefusesAProofThatClimbsAboveTheRoot) {
  const Hashes leaves = leaves_up_to(20);
  const LeafRange range({}, leaves);
  const Hash other = leaf_of("other");
  for (std::size_t size = 1; size <= leaves.size(); ++size) {
    const Hash root = range.root_at(size).value();
    for (std::size_t index = 0; index < size; ++index) {
      Hashes proof = range.inclusion_proof(index, size).value();
      proof.push_back(other);
      for (const Hash& above : {merkle_node_hash(other, root), merkle_node_hash(root, other)}) {
        ASSERT_FALSE(verify_inclusion(leaves[index], index, size, proof, above));
      }
    }
  }
}

TEST(VerifyInclusion, RefusesTheEmptyTree) {
  const Hash leaf = leaf_of("leaf");
  EXPECT_FALSE(verify_inclusion(leaf, 0, 0, {}, leaf));
  EXPECT_FALSE(verify_inclusion(leaf, 0, 0, {}, merkle_empty_root()));
  EXPECT_TRUE(verify_inclusion(leaf, 0, 1, {}, leaf));
  EXPECT_FALSE(verify_inclusion(leaf, 1, 1, {}, leaf));
  // A proof can be as long as the tree is high, and no longer, up to the largest tree.
  const Hashes proof(65, leaf);
  EXPECT_FALSE(verify_inclusion(leaf, 0, ~std::uint64_t{0}, proof, leaf));
}

TEST(VerifyConsistency, RefusesEachSpoiltProof) {
  const Hashes leaves = leaves_up_to(kSizeMax);
  const LeafRange range({}, leaves);
  for (std::size_t size = 1; size <= kSizeMax; ++size) {
    const Hash root = range.root_at(size).value();
    for (std::size_t old_size = 1; old_size <= size; ++old_size) {
      const Hash old_root = range.root_at(old_size).value();
      const Hashes proof = range.consistency_proof(old_size, size).value();
      const auto bit = static_cast<unsigned>((size * 31 + old_size * 7) % 256);
      for (const Hashes& wrong : spoilt(proof, bit)) {
        ASSERT_FALSE(verify_consistency(old_size, size, old_root, root, wrong));
      }
      const Hash other = leaf_of("other");
      ASSERT_FALSE(verify_consistency(old_size, size, other, root, proof));
      ASSERT_FALSE(verify_consistency(old_size, size, old_root, other, proof));
      ASSERT_FALSE(verify_consistency(size + 1, size, old_root, root, proof));
      if (old_size == size) continue;
      ASSERT_FALSE(verify_consistency(old_size, size, root, old_root, proof));
      ASSERT_FALSE(verify_consistency(old_size + 1, size, old_root, root, proof));
      ASSERT_FALSE(verify_consistency(old_size, size * 2, old_root, root, proof));
    }
  }
}

TEST(VerifyConsistency, RefusesAProofThatClimbsAboveTheRoots) {
  const LeafRange range({}, leaves_up_to(20));
  const Hash other = leaf_of("other");
  for (std::size_t size = 1; size <= range.size(); ++size) {
    const Hash root = range.root_at(size).value();
    for (std::size_t old_size = 1; old_size <= size; ++old_size) {
      const Hash old_root = range.root_at(old_size).value();
      Hashes proof = range.consistency_proof(old_size, size).value();
      proof.push_back(other);
      const Hash old_above = merkle_node_hash(other, old_root);
      ASSERT_FALSE(
          verify_consistency(old_size, size, old_above, merkle_node_hash(other, root), proof));
      ASSERT_FALSE(
          verify_consistency(old_size, size, old_root, merkle_node_hash(root, other), proof));
    }
  }
}

TEST(VerifyConsistency, TakesTheEmptyTreeForTheBeginningOfEach) {
  const Hash empty = merkle_empty_root();
  const Hash root = leaf_of("leaf");
  const Hashes more = {root};
  EXPECT_TRUE(verify_consistency(0, 0, empty, empty, {}));
  EXPECT_TRUE(verify_consistency(0, 1, empty, root, {}));
  EXPECT_TRUE(verify_consistency(1, 1, root, root, {}));
  EXPECT_FALSE(verify_consistency(0, 0, root, root, {}));
  EXPECT_FALSE(verify_consistency(0, 1, root, root, {}));
  EXPECT_FALSE(verify_consistency(0, 1, empty, root, more));
  EXPECT_FALSE(verify_consistency(1, 1, root, root, more));
  EXPECT_FALSE(verify_consistency(1, 0, root, empty, {}));
  EXPECT_FALSE(verify_consistency(1, 2, root, root, {}));
}

}  // namespace
}  // namespace grace::ledger
