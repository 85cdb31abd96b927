#!/usr/bin/env python3
"""Verifies a tamper-evident log, written from docs/ledger_format.md alone: an independent reader.

    ledger_verify.py LOG_DIRECTORY_OR_SEGMENT_FILE [--json] [--quiet]

Exit status: 0 sound, 1 a negative finding, 2 wrong use (or nothing there to verify).

Nothing but Python 3.11's standard library, so that a person who does not trust the program that
wrote a log can read all of what judges it. Section numbers in comments are those of the document.

Rates (one core of 2024): CRC-32C about 100 MB/s on payloads of some KiB and 25 MB/s on short
records; a whole log 60 MB/s with records of 4 KiB, 10 MB/s with records of 100 bytes.

As a library: `verify_log`, `parse_segment`, `Check` (a visitor: where checkpoint and proof checks
go), `Frontier`, `tree_root`, `inclusion_path`, `verify_inclusion`, `consistency_proof`,
`verify_consistency`, `crc32c`.
"""
from __future__ import annotations

import argparse
import enum
import functools
import hashlib
import itertools
import json
import re
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PAGE = 4096
MAX_BLOCK_BYTES = 64 << 20
SHA256, CRC32C = 1, 2
INTEGRITY_NAMES = {SHA256: "sha256", CRC32C: "crc32c"}
SEALS, RECORD_TREE = 1, 2
SEGMENT_MAGIC, BLOCK_MAGIC, FOOTER_MAGIC = b"GRLEDGR1", b"GRBLOCK1", b"GRBFOOT1"
FRONTIER_OFFSET = 1024
GENESIS = b"grace ledger genesis"


# --- CRC-32C -------------------------------------------------------------------------------------
#
# The standard library has no Castagnoli CRC, and a loop over bytes reaches 10 MB/s. Two ways around
# it. Short input: four bytes a step, with two tables of 65536 entries. Long input: a CRC is linear,
# so the first half of a message can be folded onto the second: a byte `d` bytes ahead of another
# place is worth four bytes there, each of which is a table look-up, and bytes.translate and the
# arithmetic of large integers do a whole half at once in C.

_POLYNOMIAL = 0x82F63B78
_FOLD_FROM = 160  # bytes; below it the table is faster


def _byte_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_BYTE_TABLE = _byte_table()


def _after_zeros(crc: int, count: int) -> int:
    for _ in range(count):
        crc = _BYTE_TABLE[crc & 255] ^ crc >> 8
    return crc


def _word_table(first_byte: int) -> list[int]:
    """What bytes first_byte and first_byte + 1 of a four-byte word do to the CRC after the word."""
    low = [_after_zeros(value, 4 - first_byte) for value in range(256)]
    high = [_after_zeros(value, 3 - first_byte) for value in range(256)]
    return [a ^ b for b in high for a in low]


_LOW_TABLE, _HIGH_TABLE = _word_table(0), _word_table(2)


def _times(a: int, b: int) -> int:
    """Product of two polynomials modulo the CRC's, bit 31 being the coefficient of x^0."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


@functools.cache
def _fold_tables(doublings: int) -> tuple[bytes, bytes, bytes, bytes]:
    """For each byte the four that stand for it 2^doublings bytes further on, lowest first."""
    power = 1 << 23  # x^8: one byte
    for _ in range(doublings):
        power = _times(power, power)
    worth = [0]
    for bit in range(8):
        single = _times(power, 1 << bit)
        worth += [value ^ single for value in worth]
    return tuple(bytes(value >> shift & 255 for value in worth) for shift in (0, 8, 16, 24))


def _folded(data: bytes) -> bytes:
    """A short message with the same CRC (from a zero register) as a long one."""
    number = int.from_bytes
    while (size := len(data)) > _FOLD_FROM:
        doublings = (size - 5).bit_length() - 1
        kept = (1 << doublings) + 4  # size is at most twice it less 4, so what is folded fits in it
        head = data[:size - kept]
        worth = 0
        for place, table in enumerate(_fold_tables(doublings)):
            worth ^= number(head.translate(table), "little") << 8 * place
        tail = number(data[size - kept:], "little") ^ worth << 8 * (2 * kept - 4 - size)
        data = tail.to_bytes(kept, "little")
    return data


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C of data; crc is that of what came before it."""
    crc ^= 0xFFFFFFFF
    if len(data) > _FOLD_FROM:
        data = _folded((int.from_bytes(data[:4], "little") ^ crc).to_bytes(4, "little") + data[4:])
        crc = 0
    low, high = _LOW_TABLE, _HIGH_TABLE
    words = len(data) >> 2
    for word in struct.unpack_from(f"<{words}I", data):
        word ^= crc
        crc = low[word & 0xFFFF] ^ high[word >> 16]
    for byte in data[4 * words:]:
        crc = _BYTE_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


# --- Trees (RFC 6962; verification as in RFC 9162) -----------------------------------------------


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
    """Whether the new tree begins with the old one. RFC 9162, section 2.1.4.2."""
    if old_size == new_size:
        return not proof and old_root == new_root
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
            return hashlib.sha256(b"").digest()
        return functools.reduce(lambda right, left: node_hash(left, right), reversed(self.roots))


# --- Findings ------------------------------------------------------------------------------------


HEADER_COPY_REASON = "segment_header_copy"


class Finding(enum.Enum):
    """What a log is, as section 9 divides it; a damaged header copy is a kind of its own."""

    SOUND = "sound"
    TORN_TAIL = "torn_tail"
    CORRUPTION = "corruption"
    HEADER_COPY = "header_copy"


@dataclass(frozen=True)
class Fault:
    """One finding: `reason` is a code, `block_offset` where its block, header or seal begins."""

    segment: int
    offset: int
    block_offset: int
    sequence: int  # expected there
    reason: str

    def __str__(self) -> str:
        return f"segment {self.segment} at {self.offset}, record {self.sequence}: {self.reason}"


class Broken(Exception):
    """Something at an offset is not what the format asks for."""

    def __init__(self, offset: int, reason: str):
        super().__init__(f"{reason} at {offset}")
        self.offset = offset
        self.reason = reason


def require(holds: bool, offset: int, reason: str) -> None:
    if not holds:
        raise Broken(offset, reason)


# --- The format's parts --------------------------------------------------------------------------

_SEGMENT_HEADER = struct.Struct("<8sII16sQQQII32sqQII")
_BLOCK_HEADER = struct.Struct("<8sIIQQIIQqQ32s32s")
_RECORD_HEADER = struct.Struct("<IIQHHI")
_FOOTER = struct.Struct("<8sIIQQ32s")


def round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def all_zero(data: bytes) -> bool:
    return data.count(0) == len(data)


def first_nonzero(data: bytes) -> int:
    """Index of the first byte that is not zero, or the length."""
    return len(data) - len(data.lstrip(b"\0"))


class SegmentHeader(NamedTuple):
    magic: bytes
    header_crc: int
    version: int
    log_id: bytes
    segment_number: int
    first_sequence: int
    first_block_number: int
    integrity: int
    first_block_offset: int
    previous_root: bytes
    created_ns: int
    promised_sequence: int
    features: int
    reserved: int

    def frontier_roots(self, page: bytes) -> list[bytes]:
        count = self.first_block_number.bit_count() if self.integrity == SHA256 else 0
        return [page[at:at + 32] for at in range(FRONTIER_OFFSET, FRONTIER_OFFSET + 32 * count, 32)]


class BlockHeader(NamedTuple):
    magic: bytes
    header_crc: int
    flags: int
    block_number: int
    first_sequence: int
    record_count: int
    records_bytes: int
    block_bytes: int
    wall_time_ns: int
    promised_sequence: int
    previous_hash: bytes
    records_hash: bytes

    @property
    def seals(self) -> bool:
        return bool(self.flags & SEALS)

    @property
    def last_sequence(self) -> int:
        return self.first_sequence + self.record_count - 1


class Record(NamedTuple):
    sequence: int
    type: int
    offset: int  # in the segment
    entry: bytes  # 24 bytes of header, then the payload: the entry of a record tree

    @property
    def payload(self) -> bytes:
        return self.entry[_RECORD_HEADER.size:]


class Block(NamedTuple):
    offset: int
    header: BlockHeader
    header_bytes: bytes  # the entry of the tree over blocks
    records: list[Record]
    chain: bytes


def intact_segment_header(page: bytes) -> SegmentHeader | None:
    """The header in 4096 bytes, if magic and CRC are right; its fields are not judged."""
    if len(page) != PAGE or not page.startswith(SEGMENT_MAGIC):
        return None
    header = SegmentHeader(*_SEGMENT_HEADER.unpack_from(page))
    return header if header.header_crc == crc32c(page[:8] + bytes(4) + page[12:]) else None


def intact_block_header(raw: bytes, log_id: bytes | None) -> BlockHeader | None:
    """The header in 128 bytes, if magic and CRC are right; its fields are not judged.

    Without the log's id the CRC cannot be checked, and the magic has to do (section 9).
    """
    if len(raw) != _BLOCK_HEADER.size or not raw.startswith(BLOCK_MAGIC):
        return None
    header = BlockHeader(*_BLOCK_HEADER.unpack(raw))
    if log_id is None or header.header_crc == crc32c(log_id + raw[:8] + bytes(4) + raw[12:]):
        return header
    return None


def crc_chain(crc: int) -> bytes:
    return struct.pack("<I", crc) + bytes(28)


def genesis(log_id: bytes, integrity: int) -> bytes:
    """The chain value before block 0 (section 7)."""
    seed = GENESIS + log_id
    return hashlib.sha256(seed).digest() if integrity == SHA256 else crc_chain(crc32c(seed))


@dataclass
class Position:
    """What is expected next. `tree` is None with crc32c, which has none."""

    log_id: bytes
    integrity: int
    segment: int  # number
    sequence: int
    block_number: int
    promised: int
    chain: bytes
    tree: Frontier | None

    def pass_block(self, block: Block) -> None:
        self.sequence += block.header.record_count
        self.block_number += 1
        self.promised = block.header.promised_sequence
        self.chain = block.chain
        if self.tree is not None:
            self.tree.append(block.chain)


def check_segment_header(page: bytes, header: SegmentHeader) -> None:
    """What section 3 asks of a header by itself."""
    require(header.version == 1, 12, "segment_version")
    require(header.features == 0, 112, "segment_features")
    require(any(header.log_id), 16, "segment_log_id")
    require(header.segment_number >= 1, 32, "segment_number")
    require(header.first_sequence >= 1, 40, "segment_first_sequence")
    require(header.integrity in INTEGRITY_NAMES, 56, "segment_integrity")
    require(header.first_block_offset == 2 * PAGE, 60, "segment_first_block_offset")
    require(header.promised_sequence < header.first_sequence, 104, "segment_promised_sequence")
    require(all_zero(page[116:FRONTIER_OFFSET]), 116, "segment_reserved")
    end = FRONTIER_OFFSET + 32 * len(header.frontier_roots(page))
    require(all_zero(page[end:]), end, "segment_reserved")


def position_before(page: bytes, header: SegmentHeader) -> Position:
    """What a segment's header says comes first in it."""
    tree = None
    if header.integrity == SHA256:
        tree = Frontier(header.first_block_number, header.frontier_roots(page))
    return Position(header.log_id, header.integrity, header.segment_number + 1,
                    header.first_sequence, header.first_block_number, header.promised_sequence,
                    header.previous_root, tree)


def check_start_of_log(header: SegmentHeader) -> None:
    """Of segment 1; where the oldest segments have been removed the first header is believed."""
    require(header.first_sequence == 1, 40, "segment_first_sequence")
    require(header.first_block_number == 0, 48, "segment_first_block_number")
    require(header.previous_root == genesis(header.log_id, header.integrity), 64,
            "segment_previous_root")


def check_segment_follows(page: bytes, header: SegmentHeader, expected: Position) -> None:
    require(header.log_id == expected.log_id, 16, "segment_log_id")
    require(header.first_sequence == expected.sequence, 40, "segment_first_sequence")
    require(header.first_block_number == expected.block_number, 48, "segment_first_block_number")
    require(header.integrity == expected.integrity, 56, "segment_integrity")
    require(header.previous_root == expected.chain, 64, "segment_previous_root")
    require(header.promised_sequence >= expected.promised, 104, "segment_promised_sequence")
    if expected.tree is not None:
        require(header.frontier_roots(page) == expected.tree.roots, FRONTIER_OFFSET,
                "segment_frontier")


def check_block_header(header: BlockHeader, expected: Position) -> None:
    """What section 4 asks, by itself and after what came before. Offsets are in the header."""
    known = SEALS | (RECORD_TREE if expected.integrity == SHA256 else 0)
    require(header.flags & ~known == 0, 12, "block_flags")
    require(header.block_number == expected.block_number, 16, "block_number")
    require(header.first_sequence == expected.sequence, 24, "block_first_sequence")
    require(header.record_count > 0 or header.seals, 32, "block_record_count")
    require((header.record_count == 0) == (header.records_bytes == 0), 36, "block_records_bytes")
    require(header.records_bytes % 8 == 0
            and header.records_bytes >= header.record_count * _RECORD_HEADER.size, 36,
            "block_records_bytes")
    size = round_up(_BLOCK_HEADER.size + header.records_bytes + _FOOTER.size, PAGE)
    require(header.block_bytes == size <= MAX_BLOCK_BYTES, 40, "block_bytes")
    require(expected.promised <= header.promised_sequence < header.first_sequence, 56,
            "block_promised_sequence")
    require(header.previous_hash == expected.chain, 64, "block_previous_hash")
    require(expected.integrity == SHA256 or all_zero(header.records_hash), 96, "block_records_hash")


def parse_records(data: bytes, start: int, header: BlockHeader) -> list[Record]:
    """The records, from start on, of a block whose header has been checked."""
    records = []
    at, end = start, start + header.records_bytes
    for sequence in range(header.first_sequence, header.first_sequence + header.record_count):
        require(at + _RECORD_HEADER.size <= end, at, "record_length")
        crc, length, own_sequence, kind, flags, reserved = _RECORD_HEADER.unpack_from(data, at)
        stop = at + _RECORD_HEADER.size + length
        following = round_up(stop, 8)
        require(following <= end, at + 4, "record_length")
        entry = data[at:stop]
        require(crc32c(entry[4:]) == crc, at, "record_crc")
        require(own_sequence == sequence, at + 8, "record_sequence")
        require(flags == 0, at + 18, "record_flags")
        require(reserved == 0, at + 20, "record_reserved")
        require(all_zero(data[stop:following]), stop, "record_padding")
        records.append(Record(sequence, kind, at, entry))
        at = following
    require(at == end, at, "records_bytes")
    return records


def records_hash(records: list[Record], body: bytes, flags: int, integrity: int) -> bytes:
    """Section 7, in all three forms."""
    if integrity == CRC32C:
        return bytes(32)
    if flags & RECORD_TREE:
        return tree_root([leaf_hash(record.entry) for record in records])
    return hashlib.sha256(body).digest()


def parse_block(data: bytes, start: int, expected: Position) -> Block:
    """The valid block at start; Broken if there is none."""
    raw = data[start:start + _BLOCK_HEADER.size]
    header = intact_block_header(raw, expected.log_id)
    if header is None:
        raise Broken(start, _why_no_header(raw))
    try:
        check_block_header(header, expected)
    except Broken as error:
        raise Broken(start + error.offset, error.reason) from None
    require(start + header.block_bytes <= len(data), start + 40, "block_beyond_end_of_file")

    begin = start + _BLOCK_HEADER.size
    end = begin + header.records_bytes
    records = parse_records(data, begin, header)
    require(header.records_hash == records_hash(records, data[begin:end], header.flags,
                                                expected.integrity),
            start + 96, "block_records_hash")
    footer = start + header.block_bytes - _FOOTER.size
    padding = data[end:footer]
    require(all_zero(padding), end + first_nonzero(padding), "block_padding")
    return Block(start, header, raw, records,
                 _check_footer(data, footer, header, raw, records, expected.integrity))


def _why_no_header(raw: bytes) -> str:
    if not raw:
        return "end_of_file"
    if all_zero(raw[:8]):
        return "no_block"
    if len(raw) < _BLOCK_HEADER.size:
        return "block_beyond_end_of_file"
    return "block_header_crc" if raw.startswith(BLOCK_MAGIC) else "block_magic"


def _check_footer(data: bytes, at: int, header: BlockHeader, raw: bytes, records: list[Record],
                  integrity: int) -> bytes:
    """Checks the footer at an offset and returns the block's chain value."""
    magic, block_crc, footer_crc, last, size, chain = _FOOTER.unpack_from(data, at)
    bare = data[at:at + 12] + bytes(4) + data[at + 16:at + _FOOTER.size]
    require(magic == FOOTER_MAGIC, at, "footer_magic")
    require(footer_crc == crc32c(bare), at + 12, "footer_crc")
    crcs = b"".join([record.entry[:4] for record in records])
    require(block_crc == crc32c(raw, crc32c(crcs)), at + 8, "block_crc")
    require(last == header.last_sequence, at + 16, "footer_last_sequence")
    require(size == header.block_bytes, at + 24, "footer_block_bytes")
    expected_chain = leaf_hash(raw) if integrity == SHA256 else crc_chain(block_crc)
    require(chain == expected_chain, at + 32, "footer_chain")
    return chain


# --- A segment -----------------------------------------------------------------------------------


class HeaderPages(NamedTuple):
    """A segment's first pages as found, and the header to use: None if no copy is intact."""

    pages: tuple[bytes, bytes]
    copies: tuple[SegmentHeader | None, SegmentHeader | None]
    page: bytes
    header: SegmentHeader | None

    def damaged_copy(self) -> int | None:
        """Offset of the copy that is not intact beside one that is."""
        if self.header is None or None not in self.copies:
            return None
        return PAGE * self.copies.index(None)


def read_header_pages(data: bytes) -> HeaderPages:
    pages = data[:PAGE], data[PAGE:2 * PAGE]
    copies = intact_segment_header(pages[0]), intact_segment_header(pages[1])
    which = 0 if copies[0] is not None else 1
    return HeaderPages(pages, copies, pages[which], copies[which])


def check_header_pages(pages: HeaderPages) -> None:
    """That one copy is intact and right by itself, and that two intact ones are equal."""
    require(pages.header is not None, 0, "segment_header")
    check_segment_header(pages.page, pages.header)
    require(None in pages.copies or pages.pages[0] == pages.pages[1], PAGE,
            "segment_headers_differ")


def check_segment_place(pages: HeaderPages, number: int, expected: Position | None) -> None:
    """That a header right by itself is where it belongs."""
    require(pages.header.segment_number == number, 32, "segment_number")
    if expected is not None:
        check_segment_follows(pages.page, pages.header, expected)
    elif number == 1:
        check_start_of_log(pages.header)


@dataclass
class Segment:
    """As much of a segment as is valid, and why reading stopped if it did not end with a seal."""

    number: int
    pages: HeaderPages
    blocks: list[Block] = field(default_factory=list)
    valid_bytes: int = 0  # 0: its header cannot be used
    sealed: bool = False
    stray: Broken | None = None  # its header is right by itself, but not here
    stop: Broken | None = None
    stop_at: int = 0  # where the block or header begins that stopped us
    does_not_follow: bool = False  # an intact header is there that does not follow
    after_seal: Broken | None = None


def parse_segment(data: bytes, number: int | None = None,
                  expected: Position | None = None) -> tuple[Segment, Position | None]:
    """Reads a segment up to the first place where no valid block begins, or past its seal.

    `number` is the file name's; None takes the header's. Without `expected` the segment's header is
    believed, as it must be for a log's first. The position returned is the one after the last valid
    block; `expected` itself if the header cannot be used.
    """
    pages = read_header_pages(data)
    segment = Segment(number or 0, pages)
    try:
        check_header_pages(pages)
    except Broken as error:
        segment.stop = error
        segment.does_not_follow = pages.header is not None
        return segment, expected
    if number is None:
        segment.number = pages.header.segment_number
    segment.valid_bytes = 2 * PAGE
    try:
        check_segment_place(pages, segment.number, expected)
    except Broken as error:
        segment.stray = error
    position = position_before(pages.page, pages.header)
    _read_blocks(data, segment, position)
    return segment, position


def _read_blocks(data: bytes, segment: Segment, position: Position) -> None:
    at = segment.valid_bytes
    while not segment.sealed:
        try:
            block = parse_block(data, at, position)
        except Broken as error:
            segment.stop, segment.stop_at = error, at
            segment.does_not_follow = _does_not_follow(data, at, position)
            return
        segment.blocks.append(block)
        position.pass_block(block)
        at += block.header.block_bytes
        segment.valid_bytes = at
        segment.sealed = block.header.seals
    rest = at + first_nonzero(data[at:])
    if rest < len(data):
        segment.stop_at, segment.after_seal = at, Broken(rest, "data_after_seal")


def _does_not_follow(data: bytes, at: int, expected: Position) -> bool:
    """Section 9, corruption, first clause: an intact header is there, and it does not follow."""
    header = intact_block_header(data[at:at + _BLOCK_HEADER.size], expected.log_id)
    if header is None:
        return False
    try:
        check_block_header(header, expected)
    except Broken:
        return True
    return False


# --- A log ---------------------------------------------------------------------------------------


class SegmentFile(NamedTuple):
    number: int | None  # None: not named as a segment, the header says it
    path: Path


_SEGMENT_NAME = re.compile(r"(\d{12,})\.segment")


def segment_number_of(name: str) -> int | None:
    """The number a file name means, in its one spelling."""
    match = _SEGMENT_NAME.fullmatch(name)
    number = int(match[1]) if match else 0
    return number if number >= 1 and name == f"{number:012}.segment" else None


def segment_files(where: Path) -> list[SegmentFile]:
    """A directory's segments by number, or the one file."""
    if not where.is_dir():
        return [SegmentFile(segment_number_of(where.name), where)]
    numbered = ((segment_number_of(path.name), path) for path in where.iterdir() if path.is_file())
    return sorted(SegmentFile(number, path) for number, path in numbered if number is not None)


class Check:
    """More to check than the log itself: checkpoints, proofs. Override what is needed.

    `block` is called for each valid block in order; block.chain is its leaf of the tree. `finish`
    is called once, and what it returns is added to the report.
    """

    def block(self, segment: Segment, block: Block) -> None:
        """A valid block was read."""

    def finish(self, report: Report) -> list[Fault]:
        """All was read that can be."""
        return []


@dataclass
class Report:
    segments: int = 0
    blocks: int = 0
    records: int = 0
    bytes: int = 0
    payload_bytes: int = 0
    first_segment: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    log_id: str = ""
    integrity: str = ""
    root: str = ""
    sealed: bool = False
    torn_tail_bytes: int = 0
    tail: Fault | None = None  # where a torn tail begins
    faults: list[Fault] = field(default_factory=list)
    tree_size: int | None = None  # None with crc32c, which has no tree
    tree_root: str | None = None

    @property
    def finding(self) -> Finding:
        """The gravest thing found."""
        if any(fault.reason != HEADER_COPY_REASON for fault in self.faults):
            return Finding.CORRUPTION
        if self.tail:
            return Finding.TORN_TAIL
        return Finding.HEADER_COPY if self.faults else Finding.SOUND

    @property
    def ok(self) -> bool:
        return self.finding is Finding.SOUND

    def place(self) -> Fault | None:
        """Where the finding is: the first fault, else the torn tail."""
        return self.faults[0] if self.faults else self.tail

    def as_json(self) -> dict:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__
                  if name not in ("faults", "tail")}
        first = self.faults[0] if self.faults else None
        return {"ok": self.ok, "finding": self.finding.value, **fields, "faults": len(self.faults),
                "first_fault": vars(first) if first else None,
                "torn_tail": vars(self.tail) if self.tail else None}


class LogVerifier:
    """One walk over a log's segments.

    It ends at a torn tail. Behind corruption it goes on with the next segment, whose header it then
    has to believe, so that one fault does not hide others.
    """

    def __init__(self, files: Sequence[SegmentFile], checks: Sequence[Check] = ()):
        self.files = list(files)
        self.checks = list(checks)
        self.report = Report(first_segment=self.files[0].number or 0)
        self.position: Position | None = None
        self.linked = False  # position is what the next segment must continue

    def run(self) -> Report:
        for index, file in enumerate(self.files):
            if not (self._pass_gap(index) and self._verify_file(index, file)):
                break
        self._take_position()
        for check in self.checks:
            self.report.faults += check.finish(self.report)
        return self.report

    def _pass_gap(self, index: int) -> bool:
        """True if no segment is missing before this one, or it is known that one was lost."""
        if index == 0 or self.files[index].number == self.files[index - 1].number + 1:
            return True
        missing = Segment(self.files[index - 1].number + 1, read_header_pages(b""),
                          stop=Broken(0, "segment_missing"), does_not_follow=not self.linked)
        return self._judge(missing, b"", index)

    def _verify_file(self, index: int, file: SegmentFile) -> bool:
        """True if there is reason to look at the next."""
        data = file.path.read_bytes()
        segment, position = parse_segment(data, file.number, self.position if self.linked else None)
        self.report.sealed = segment.sealed
        if segment.valid_bytes:
            self._enter(segment)
            self.position = position
            self.linked = True
            self._count(segment)
        if segment.stop is not None:
            return self._judge(segment, data, index + 1)
        if segment.after_seal is not None:
            self._fault(segment.number, segment.after_seal, segment.stop_at)
        return True

    def _enter(self, segment: Segment) -> None:
        header = segment.pages.header
        if self.report.segments == 0:
            self.report.first_segment = self.report.first_segment or segment.number
            self.report.first_sequence = header.first_sequence
            self.report.log_id = header.log_id.hex()
            self.report.integrity = INTEGRITY_NAMES[header.integrity]
        sequence = self.position.sequence if self.linked else header.first_sequence
        damaged = segment.pages.damaged_copy()
        if damaged is not None:
            self._fault(segment.number, Broken(damaged, HEADER_COPY_REASON), damaged, sequence)
        if segment.stray is not None:
            self._fault(segment.number, segment.stray, 0, sequence)

    def _count(self, segment: Segment) -> None:
        report = self.report
        report.segments += 1
        report.bytes += segment.valid_bytes
        for block in segment.blocks:
            report.blocks += 1
            report.records += block.header.record_count
            report.payload_bytes += sum(len(r.entry) - _RECORD_HEADER.size for r in block.records)
            for check in self.checks:
                check.block(segment, block)

    def _fault(self, segment: int, broken: Broken, block_offset: int,
               sequence: int | None = None) -> None:
        sequence = self._sequence() if sequence is None else sequence
        self.report.faults.append(Fault(segment, broken.offset, block_offset, sequence,
                                        broken.reason))

    def _sequence(self) -> int:
        return self.position.sequence if self.position else 1

    def _judge(self, segment: Segment, data: bytes, later: int) -> bool:
        """Section 9: end, corruption or torn tail; `later` is the index of the file after."""
        rest = data[segment.stop_at:]
        if segment.does_not_follow or self._is_promised(rest, later):
            self._fault(segment.number, segment.stop, segment.stop_at)
            self.linked = False
            return True
        files = (file.path.read_bytes() for file in self.files[later:])
        if torn := sum(len(part.rstrip(b"\0")) for part in itertools.chain([rest], files)):
            self.report.torn_tail_bytes = torn
            self.report.tail = Fault(segment.number, segment.stop.offset, segment.stop_at,
                                     self._sequence(), segment.stop.reason)
        return False

    def _is_promised(self, rest: bytes, later: int) -> bool:
        """Whether an intact header behind the broken place promises what should have been there."""
        log_id = self.position.log_id if self.position else None
        sequence = self._sequence()
        if any(promise >= sequence for promise in promises(rest, log_id)):
            return True
        for file in self.files[later:]:
            data = file.path.read_bytes()
            if (is_stray(data, file.number, log_id) or promise_of_segment(data) >= sequence
                    or any(promise >= sequence for promise in promises(data, log_id))):
                return True
        return False

    def _take_position(self) -> None:
        report, position = self.report, self.position
        report.last_sequence = self._sequence() - 1
        if position is None:
            return
        report.root = position.chain.hex()
        if position.tree is not None:
            report.tree_size, report.tree_root = position.tree.size, position.tree.root().hex()


def promises(data: bytes, log_id: bytes | None) -> Iterator[int]:
    """promised_sequence of each intact block header of the log at a multiple of 4096."""
    for at in range(0, len(data), PAGE):
        header = intact_block_header(data[at:at + _BLOCK_HEADER.size], log_id)
        if header is not None:
            yield header.promised_sequence


def is_stray(data: bytes, number: int, log_id: bytes | None) -> bool:
    """Whether an intact header of a later segment is wrong, or belongs elsewhere."""
    pages = read_header_pages(data)
    if pages.header is None:
        return False
    try:
        check_header_pages(pages)
    except Broken:
        return True
    return pages.header.segment_number != number or log_id not in (None, pages.header.log_id)


def promise_of_segment(data: bytes) -> int:
    """promised_sequence of a segment's header; 0 if there is none that is right by itself."""
    pages = read_header_pages(data)
    try:
        check_header_pages(pages)
    except Broken:
        return 0
    return pages.header.promised_sequence


def verify_log(where: Path | str, checks: Sequence[Check] = ()) -> Report:
    """Verifies a log's directory or one segment file. FileNotFoundError if there is no segment."""
    where = Path(where)
    files = segment_files(where)
    if not files:
        raise FileNotFoundError(f"{where} holds no log: no segment file")
    return LogVerifier(files, checks).run()


# --- The program ---------------------------------------------------------------------------------


def text(report: Report) -> str:
    lines = [f"{'ok' if report.ok else 'NOT OK'}: {report.records} records, sequence "
             f"{report.first_sequence} to {report.last_sequence}, {report.blocks} blocks in "
             f"{report.segments} segments, {report.bytes} bytes"]
    closed = ", closed cleanly" if report.sealed else ""
    lines.append(f"root {report.root}  log {report.log_id} ({report.integrity}){closed}")
    if report.tree_root:
        lines.append(f"tree {report.tree_root}  size {report.tree_size}")
    if report.first_segment > 1:
        lines.append(f"the first segment is {report.first_segment}: older ones were removed")
    if report.faults:
        lines.append(f"first of {len(report.faults)} faults: {report.faults[0]}")
    if report.tail:
        lines.append(f"torn tail of {report.torn_tail_bytes} bytes: {report.tail}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verify a log from the format's document alone.")
    parser.add_argument("log", type=Path, metavar="LOG_DIRECTORY_OR_SEGMENT_FILE")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="print nothing, only exit")
    options = parser.parse_args(arguments)
    try:
        report = verify_log(options.log)
    except OSError as error:
        print(f"ledger_verify: {error}", file=sys.stderr)
        return 2
    if not options.quiet:
        print(json.dumps(report.as_json()) if options.json else text(report))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
