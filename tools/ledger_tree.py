"""The Merkle trees of RFC 6962, with verification as in RFC 9162. Leaves are hashes."""
from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence


EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two below size."""
    return 1 << (size - 1).bit_length() - 1


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes (not entries). RFC 6962, section 2.1."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """PATH(index, leaves) of RFC 6962, section 2.1.1, from the leaf up."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"no leaf {index} in a tree of {len(leaves)}")
    if len(leaves) == 1:
        return []
    half = _split(len(leaves))
    if index < half:
        return inclusion_path(leaves[:half], index) + [tree_root(leaves[half:])]
    return inclusion_path(leaves[half:], index - half) + [tree_root(leaves[:half])]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """PROOF(old_size, leaves) of RFC 6962, section 2.1.2."""
    if not 0 < old_size <= len(leaves):
        raise ValueError(f"no tree of {old_size} in one of {len(leaves)}")
    return _subproof(leaves, old_size, True)


def _subproof(leaves: Sequence[bytes], old_size: int, whole: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if whole else [tree_root(leaves)]
    half = _split(len(leaves))
    if old_size <= half:
        return _subproof(leaves[:half], old_size, whole) + [tree_root(leaves[half:])]
    return _subproof(leaves[half:], old_size - half, False) + [tree_root(leaves[:half])]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes],
                     root: bytes) -> bool:
    """Whether path ties leaf (a leaf hash) at index to root. RFC 9162, section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    first, second, value = index, size - 1, leaf
    for sibling in path:
        if second == 0:
            return False
        if first & 1 or first == second:
            value = node_hash(sibling, value)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            value = node_hash(value, sibling)
        first, second = first >> 1, second >> 1
    return second == 0 and value == root


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes,
                       proof: Sequence[bytes]) -> bool:
    """Whether the new tree begins with the old one. RFC 9162, section 2.1.4.2, which leaves the
    empty tree and equal sizes open: there is one root of a size, and no proof but the empty one."""
    if new_size == 0 and new_root != EMPTY_ROOT:
        return False
    if old_size in (0, new_size):
        return not proof and old_root == (EMPTY_ROOT if old_size == 0 else new_root)
    if not 0 < old_size < new_size or not proof:
        return False
    path = list(proof)
    if old_size & old_size - 1 == 0:
        path.insert(0, old_root)
    first, second = old_size - 1, new_size - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if second == 0:
            return False
        if first & 1 or first == second:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            new = node_hash(new, sibling)
        first, second = first >> 1, second >> 1
    return second == 0 and old == old_root and new == new_root


class Frontier:
    """A tree that grows: the roots of the complete subtrees its leaves fall into (section 8)."""

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()):
        if len(roots) != size.bit_count():
            raise ValueError(f"a tree of {size} has {size.bit_count()} roots, not {len(roots)}")
        self.size = size
        self.roots = list(roots)  # largest first

    def append(self, leaf: bytes) -> None:
        size = self.size
        while size & 1:
            leaf = node_hash(self.roots.pop(), leaf)
            size >>= 1
        self.roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.roots:
            return EMPTY_ROOT
        return functools.reduce(lambda right, left: node_hash(left, right), reversed(self.roots))

    def first(self, size: int) -> Frontier | None:
        """The tree of the first leaves, where it is made of some of these subtrees."""
        for count in range(len(self.roots) + 1):
            begun = self.size
            for _ in range(len(self.roots) - count):
                begun &= begun - 1  # without its smallest subtree
            if begun == size:
                return Frontier(size, self.roots[:count])
        return None
