"""Tree files: what hashing the sealed segments of a log with integrity crc32c gave, written from
docs/ledger_format.md, sections 8 and 21."""
from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ledger_crc32c import crc32c
from ledger_segment import CRC32C, Block, Broken, Segment, all_zero, require
from ledger_tree import Frontier, leaf_hash

HEADER = struct.Struct("<8sII16sQQQQQ56s")
MAGIC = b"GRTREES1"
HASH_BYTES = 32
NUMBER_MAX = (1 << 63) - 1
BLOCKS_MAX = 1 << 20
_NAME = re.compile(r"(\d{12,})\.tree")


def tree_files(where: Path) -> dict[int, Path]:
    """A directory's tree files by the number of their segment; none beside a single file."""
    if not where.is_dir():
        return {}
    matches = ((_NAME.fullmatch(path.name), path) for path in where.iterdir())
    numbered = {int(match[1]): path for match, path in matches if match}
    return {number: path for number, path in numbered.items()
            if number >= 1 and path.name == f"{number:012}.tree"}


def records_hash(block: Block) -> bytes:
    """SHA-256 of all records_bytes of a block."""
    return hashlib.sha256(b"".join(record.entry + bytes(-len(record.entry) % 8)
                                   for record in block.records)).digest()


def hashed_leaf(block: Block, of_records: bytes) -> bytes:
    """The leaf of a block that has no hash of its own (section 8)."""
    return leaf_hash(block.header_bytes[:96] + of_records)


class TreeFile(NamedTuple):
    log_id: bytes
    first_sequence: int
    last_sequence: int
    before: Frontier
    records_hashes: list[bytes]
    after: Frontier


def parse_tree_file(data: bytes, number: int) -> TreeFile:
    """The file of segment `number`; Broken names what is wrong with it."""
    require(len(data) >= HEADER.size, len(data), "tree_file_short")
    (magic, crc, version, log_id, segment, first_sequence, last_sequence, first_block, count,
     reserved) = HEADER.unpack_from(data)
    require(magic == MAGIC, 0, "tree_file_magic")
    require(crc32c(data[:8] + bytes(4) + data[12:]) == crc, 8, "tree_file_crc")
    require(version == 1, 12, "tree_file_version")
    require(any(log_id), 16, "tree_file_log_id")
    require(segment == number, 32, "tree_file_segment")
    require(0 < first_sequence <= NUMBER_MAX and first_sequence - 1 <= last_sequence <= NUMBER_MAX,
            40, "tree_file_sequence")
    require(first_block <= NUMBER_MAX and (segment != 1 or first_block == 0), 56,
            "tree_file_first_block")
    require(count <= BLOCKS_MAX, 64, "tree_file_block_count")
    require(all_zero(reserved), 72, "tree_file_reserved")
    begin, end = first_block.bit_count(), (first_block + count).bit_count()
    require(len(data) == HEADER.size + HASH_BYTES * (begin + count + end), 64, "tree_file_length")
    hashes = [data[at:at + HASH_BYTES] for at in range(HEADER.size, len(data), HASH_BYTES)]
    return TreeFile(log_id, first_sequence, last_sequence, Frontier(first_block, hashes[:begin]),
                    hashes[begin:begin + count],
                    Frontier(first_block + count, hashes[begin + count:]))


@dataclass
class Hashing:
    """How far a log's segments have been hashed; what lies behind is checked by CRCs alone."""

    segments: int = 0  # up to the newest tree file
    last_sequence: int = 0
    missing_files: int = 0  # of them, not there or not sound
    unhashed_records: int = 0
    unhashed_bytes: int = 0
    unhashed_from: int = 0  # 0: there are no such records


class TreeFileCheck:
    """Compares a log's blocks with its tree files, and these with one another, in one walk.

    A segment without a file is hashed if the tree before it is known, for the next file to agree
    with; behind the newest file nothing is.
    """

    def __init__(self, where: Path):
        self.files = tree_files(where)
        self.newest = max(self.files, default=0)
        self.hashing = Hashing()
        self.before: Frontier | None = None  # the tree before the segment, where it is known
        self._tree: Frontier | None = None
        self._number = 0
        self._blocks = 0
        self._file: TreeFile | None = None

    def begin_segment(self, segment: Segment) -> list[Broken]:
        header, number = segment.pages.header, segment.number
        if self._number and number != self._number + 1:
            self._tree = None
        if number == 1:
            self._tree = Frontier()
        self._number, self._blocks, self._file = number, 0, None
        if self._tree is not None and self._tree.size != header.first_block_number:
            self._tree = None
        self.before = None
        if self._tree is not None:
            self.before = Frontier(self._tree.size, self._tree.roots)
        if number > self.newest or header.integrity != CRC32C:
            self._tree = None
            return []
        if number not in self.files:
            return []
        try:
            file = parse_tree_file(self.files[number].read_bytes(), number)
            require(file.log_id == header.log_id and file.first_sequence == header.first_sequence
                    and file.before.size == header.first_block_number, 0, "tree_file_of_another")
        except Broken as error:
            return [Broken(0, error.reason)]
        follows = self._tree is None or self._tree.roots == file.before.roots
        self.before = file.before
        self._tree = Frontier(file.before.size, file.before.roots)
        self._file = file
        return [] if follows else [Broken(0, "tree_file_does_not_follow")]

    def block(self, block: Block) -> Broken | None:
        if self._file is None and self._tree is None:
            return None
        computed = records_hash(block)
        expected = computed
        if self._file is not None and self._blocks < len(self._file.records_hashes):
            expected = self._file.records_hashes[self._blocks]
        self._blocks += 1
        if self._tree is not None:
            self._tree.append(hashed_leaf(block, expected))
        return None if computed == expected else Broken(block.offset, "tree_file_records")

    def end_segment(self, segment: Segment, last_sequence: int) -> Broken | None:
        ended = segment.stop is None
        file, at = self._file, segment.valid_bytes
        if file is None:
            if not ended:  # of a damaged segment the tree behind it is not known
                self._tree = None
            return None
        computed = self._tree
        self._tree = Frontier(file.after.size, file.after.roots)
        if self._blocks < len(file.records_hashes):
            return Broken(at, "tree_file_speaks_of_more")
        if ended and (self._blocks > len(file.records_hashes)
                      or last_sequence != file.last_sequence
                      or computed.roots != file.after.roots):
            return Broken(at, "tree_file_of_other_blocks")
        return None

    def end_log(self, last_number: int, is_torn: bool) -> Broken | None:
        """What tree files say of segments that are not there, or, where the walk ended at a torn
        tail, of those that it did not reach: what was hashed was durable."""
        last = self._number if is_torn else last_number
        return Broken(0, "tree_file_beyond_end") if self.newest > last else None

    def count(self, number: int, records: int, stored: int, last_sequence: int) -> None:
        """Adds a segment that was walked."""
        hashing = self.hashing
        if number <= self.newest:
            hashing.segments += 1
            hashing.missing_files += self._file is None or number != self._number
            hashing.last_sequence = last_sequence
            return
        if not hashing.unhashed_from and records:
            hashing.unhashed_from = last_sequence + 1 - records
        hashing.unhashed_records += records
        hashing.unhashed_bytes += stored
