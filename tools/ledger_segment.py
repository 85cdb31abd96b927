"""Parses the segments of a tamper-evident log, written from docs/ledger_format.md alone.

Section numbers in comments are those of the document. parse_segment() is the way in; what it cannot
use it reports as Broken, and what that means for the log is for ledger_verify.py to say.
"""
from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger_crc32c import crc32c
from ledger_tree import Frontier, leaf_hash, tree_root

PAGE = 4096
MAX_BLOCK_BYTES = 64 << 20
SHA256, CRC32C = 1, 2
INTEGRITY_NAMES = {SHA256: "sha256", CRC32C: "crc32c"}
SEALS, RECORD_TREE = 1, 2
SEGMENT_MAGIC, BLOCK_MAGIC, FOOTER_MAGIC = b"GRLEDGR1", b"GRBLOCK1", b"GRBFOOT1"
FRONTIER_OFFSET = 1024
GENESIS = b"grace ledger genesis"


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

SEGMENT_HEADER = struct.Struct("<8sII16sQQQII32sqQIIQ")
FAILS_OVER = 1  # features: previous_end is where the segment before ends
MAY_BE_COMPRESSED = 2  # features: earlier segments may be
BLOCK_HEADER = struct.Struct("<8sIIQQIIQqQ32s32s")
RECORD_HEADER = struct.Struct("<IIQHHI")
FOOTER = struct.Struct("<8sIIQQ32s")
BLOCK_HEADER_BYTES, RECORD_HEADER_BYTES = BLOCK_HEADER.size, RECORD_HEADER.size


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
    previous_end: int

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
        return self.entry[RECORD_HEADER_BYTES:]


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
    header = SegmentHeader(*SEGMENT_HEADER.unpack_from(page))
    return header if header.header_crc == crc32c(page[:8] + bytes(4) + page[12:]) else None


def intact_block_header(raw: bytes, log_id: bytes | None) -> BlockHeader | None:
    """The header in 128 bytes, if magic and CRC are right; its fields are not judged.

    Without the log's id the CRC cannot be checked, and the magic has to do (section 9).
    """
    if len(raw) != BLOCK_HEADER_BYTES or not raw.startswith(BLOCK_MAGIC):
        return None
    header = BlockHeader(*BLOCK_HEADER.unpack(raw))
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
    require(header.features & ~(FAILS_OVER | MAY_BE_COMPRESSED) == 0, 112, "segment_features")
    require(any(header.log_id), 16, "segment_log_id")
    require(header.segment_number >= 1, 32, "segment_number")
    require(header.first_sequence >= 1, 40, "segment_first_sequence")
    require(header.integrity in INTEGRITY_NAMES, 56, "segment_integrity")
    require(header.first_block_offset == 2 * PAGE, 60, "segment_first_block_offset")
    require(header.promised_sequence < header.first_sequence, 104, "segment_promised_sequence")
    end = header.previous_end
    if header.features & FAILS_OVER:
        require(end > 2 * PAGE and end % PAGE == 0 and header.segment_number > 1, 120,
                "segment_previous_end")
    else:
        require(end == 0, 120, "segment_previous_end")
    require(header.reserved == 0, 116, "segment_reserved")
    require(all_zero(page[128:FRONTIER_OFFSET]), 128, "segment_reserved")
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
            and header.records_bytes >= header.record_count * RECORD_HEADER_BYTES, 36,
            "block_records_bytes")
    size = round_up(BLOCK_HEADER_BYTES + header.records_bytes + FOOTER.size, PAGE)
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
        require(at + RECORD_HEADER_BYTES <= end, at, "record_length")
        crc, length, own_sequence, kind, flags, reserved = RECORD_HEADER.unpack_from(data, at)
        stop = at + RECORD_HEADER_BYTES + length
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
    raw = data[start:start + BLOCK_HEADER_BYTES]
    header = intact_block_header(raw, expected.log_id)
    if header is None:
        raise Broken(start, _why_no_header(raw))
    try:
        check_block_header(header, expected)
    except Broken as error:
        raise Broken(start + error.offset, error.reason) from None
    require(start + header.block_bytes <= len(data), start + 40, "block_beyond_end_of_file")

    begin = start + BLOCK_HEADER_BYTES
    end = begin + header.records_bytes
    records = parse_records(data, begin, header)
    require(header.records_hash == records_hash(records, data[begin:end], header.flags,
                                                expected.integrity),
            start + 96, "block_records_hash")
    footer = start + header.block_bytes - FOOTER.size
    padding = data[end:footer]
    require(all_zero(padding), end + first_nonzero(padding), "block_padding")
    return Block(start, header, raw, records,
                 _check_footer(data, footer, header, raw, records, expected.integrity))


def _why_no_header(raw: bytes) -> str:
    if not raw:
        return "end_of_file"
    if all_zero(raw[:8]):
        return "no_block"
    if len(raw) < BLOCK_HEADER_BYTES:
        return "block_beyond_end_of_file"
    return "block_header_crc" if raw.startswith(BLOCK_MAGIC) else "block_magic"


def _check_footer(data: bytes, at: int, header: BlockHeader, raw: bytes, records: list[Record],
                  integrity: int) -> bytes:
    """Checks the footer at an offset and returns the block's chain value."""
    magic, block_crc, footer_crc, last, size, chain = FOOTER.unpack_from(data, at)
    bare = data[at:at + 12] + bytes(4) + data[at + 16:at + FOOTER.size]
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
    end: int = 0  # where the next segment says that this one ends without a seal; 0: nowhere
    stray: Broken | None = None  # its header is right by itself, but not here
    stop: Broken | None = None
    stop_at: int = 0  # where the block or header begins that stopped us
    does_not_follow: bool = False  # an intact header is there that does not follow
    after_seal: Broken | None = None
    tree_before: Frontier | None = None  # with crc32c: over the blocks before, where it is known


def previous_end_of(data: bytes, number: int) -> int:
    """What segment `number` says of where the one before ends (section 9); 0: nothing."""
    pages = read_header_pages(data)
    try:
        check_header_pages(pages)
    except Broken:
        return 0
    return pages.header.previous_end if pages.header.segment_number == number else 0


def parse_segment(data: bytes, number: int | None = None, expected: Position | None = None,
                  end: int = 0) -> tuple[Segment, Position | None]:
    """Reads a segment up to the first place where no valid block begins, or past its seal.

    `number` is the file name's; None takes the header's. Without `expected` the segment's header is
    believed, as it must be for a log's first. With `end` nothing is read from there on. The
    position returned is the one after the last valid block; `expected` itself if the header cannot
    be used.
    """
    pages = read_header_pages(data)
    segment = Segment(number or 0, pages, end=end)
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
    data = data[:segment.end] if segment.end else data
    while not segment.sealed:
        if segment.end and at == segment.end:
            return
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
    header = intact_block_header(data[at:at + BLOCK_HEADER_BYTES], expected.log_id)
    if header is None:
        return False
    try:
        check_block_header(header, expected)
    except Broken:
        return True
    return False
