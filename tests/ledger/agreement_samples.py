"""Damaged copies of logs, each from a seed and a number: what agreement_test.py compares on."""
from __future__ import annotations

import hashlib
import itertools
import random
import struct
from collections.abc import Callable

import ledger_segment as segments  # in tools/
from agreement_tree_samples import Log, Map, TreeDamage, with_header_crc
from ledger_crc32c import crc32c
from ledger_segment import PAGE
from ledger_tree import leaf_hash, tree_root

SEGMENT_BYTES = 32 << 10  # of the logs that samples are made of
SEGMENT_FIELDS = {"magic": (0, 8), "header_crc": (8, 4), "version": (12, 4), "log_id": (16, 16),
                  "segment_number": (32, 8), "first_sequence": (40, 8),
                  "first_block_number": (48, 8), "integrity": (56, 4),
                  "first_block_offset": (60, 4), "previous_root": (64, 32), "created_ns": (96, 8),
                  "promised_sequence": (104, 8), "features": (112, 4), "reserved": (116, 4),
                  "reserved_zeros": (120, 904), "frontier": (1024, 64), "last_zeros": (2048, 2048)}
BLOCK_FIELDS = {"magic": (0, 8), "header_crc": (8, 4), "flags": (12, 4), "block_number": (16, 8),
                "first_sequence": (24, 8), "record_count": (32, 4), "records_bytes": (36, 4),
                "block_bytes": (40, 8), "wall_time_ns": (48, 8), "promised_sequence": (56, 8),
                "previous_hash": (64, 32), "records_hash": (96, 32)}
RECORD_FIELDS = {"crc": (0, 4), "length": (4, 4), "sequence": (8, 8), "type": (16, 2),
                 "flags": (18, 2), "reserved": (20, 4)}
FOOTER_FIELDS = {"magic": (0, 8), "block_crc": (8, 4), "footer_crc": (12, 4),
                 "last_sequence": (16, 8), "block_bytes": (24, 8), "chain": (32, 32)}


class Damage(TreeDamage):
    """The ways to change a log. Each takes what it needs from `random` and says what it did."""

    def __init__(self, chance: random.Random, sources: dict[str, Log], name: str):
        self.random = chance
        self.sources = sources
        self.name = name
        self.log = Log(sources[name], sources[name].trees)
        self.map = Map(self.log)

    # Choices. None where a log has nothing of the kind: then nothing is done.

    def segment(self) -> int:
        """Rather the last than another: there the verdicts lie close together."""
        numbers = sorted(self.log)
        return numbers[-1] if self.random.random() < 0.4 else self.random.choice(numbers)

    def block(self) -> tuple[int, segments.Block] | None:
        blocks = [(number, block) for number, block in self.map.blocks
                  if len(self.log.get(number, b"")) >= block.offset + block.header.block_bytes]
        if not blocks:
            return None
        return self.random.choice(blocks[-3:] if self.random.random() < 0.5 else blocks)

    def page(self, data: bytearray) -> int:
        return PAGE * self.random.randrange(max(1, len(data) // PAGE))

    def flip(self, data: bytearray, at: int) -> None:
        if at < len(data):
            data[at] ^= 1 << self.random.randrange(8)

    # Accidents.

    def nothing(self) -> str:
        return "as written"

    def flip_segment_header(self) -> str:
        name, (at, size) = self.random.choice(list(SEGMENT_FIELDS.items()))
        for copy in self.random.choice([(0,), (1,), (0, 1)]):
            self.flip(self.log[number := self.segment()], copy * PAGE + at +
                      self.random.randrange(size))
        return f"{name} of segment {number}"

    def flip_both_headers(self) -> str:
        number = self.segment()
        for copy in range(2):
            self.flip(self.log[number], copy * PAGE + self.random.randrange(PAGE))
        return f"segment {number}"

    def flip_block_header(self) -> str:
        return self._flip_in_block(BLOCK_FIELDS, lambda block: block.offset)

    def flip_footer(self) -> str:
        return self._flip_in_block(FOOTER_FIELDS,
                                   lambda block: block.offset + block.header.block_bytes - 64)

    def flip_record_header(self) -> str:
        return self._flip_in_block(
            RECORD_FIELDS, lambda block: self.random.choice(block.records).offset
            if block.records else block.offset)

    def _flip_in_block(self, fields: dict, where: Callable[[segments.Block], int]) -> str:
        if (chosen := self.block()) is None:
            return "no block"
        number, block = chosen
        name, (at, size) = self.random.choice(list(fields.items()))
        self.flip(self.log[number], where(block) + at + self.random.randrange(size))
        return f"{name} of block {block.header.block_number}"

    def flip_records(self) -> str:
        """Payloads and the padding behind them."""
        if (chosen := self.block()) is None or not chosen[1].header.records_bytes:
            return "no records"
        number, block = chosen
        self.flip(self.log[number],
                  block.offset + 128 + self.random.randrange(block.header.records_bytes))
        return f"block {block.header.block_number}"

    def flip_block_padding(self) -> str:
        if (chosen := self.block()) is None:
            return "no block"
        number, block = chosen
        begin = block.offset + 128 + block.header.records_bytes
        end = block.offset + block.header.block_bytes - 64
        if begin < end:
            self.flip(self.log[number], self.random.randrange(begin, end))
        return f"block {block.header.block_number}"

    def flip_anywhere(self) -> str:
        number = self.segment()
        for _ in range(self.random.choice([1, 1, 2, 8])):
            self.flip(self.log[number], self.random.randrange(len(self.log[number]) or 1))
        return f"segment {number}"

    def truncate(self) -> str:
        number = self.segment()
        data = self.log[number]
        size = self.random.choice([
            lambda: self.random.randrange(len(data) + 1),
            lambda: self.page(data),
            lambda: self.page(data) + self.random.choice([-64, -1, 1, 8, 64, 127, 128, 129, 200]),
            lambda: self.random.randrange(2 * PAGE + 130)])()
        del data[max(0, size):]
        return f"segment {number} to {size}"

    def truncate_to_block(self) -> str:
        """What a cut between two blocks leaves: later segments may be gone too."""
        if (chosen := self.block()) is None:
            return "no block"
        number, block = chosen
        del self.log[number][block.offset:]
        if self.random.random() < 0.5:
            self.log = Log({other: data for other, data in self.log.items() if other <= number},
                           self.log.trees)
        return f"before block {block.header.block_number}"

    def extend(self) -> str:
        number = self.segment()
        zeros = bytes(self.random.choice([1, 100, PAGE, 3 * PAGE]))
        garbage = self.random.randbytes(self.random.choice([0, 1, 40, 128, PAGE]))
        self.log[number] += zeros + garbage
        return f"segment {number} by {len(zeros)} zeros and {len(garbage)} others"

    def zero_range(self) -> str:
        number = self.segment()
        data = self.log[number]
        begin = self.random.choice([self.page(data), self.random.randrange(len(data) or 1)])
        size = self.random.choice([1, 8, 64, 128, 512, PAGE, 2 * PAGE, len(data)])
        part = data[begin:begin + size]
        data[begin:begin + size] = bytes(len(part))
        return f"segment {number} from {begin}, {size} bytes"

    def zero_block(self) -> str:
        if (chosen := self.block()) is None:
            return "no block"
        number, block = chosen
        data, size = self.log[number], block.header.block_bytes
        what = self.random.choice(["magic", "first page", "whole", "all from here"])
        size = {"magic": 8, "first page": PAGE, "whole": size,
                "all from here": len(data) - block.offset}[what]
        data[block.offset:block.offset + size] = bytes(size)
        return f"{what} of block {block.header.block_number}"

    def torn_write(self) -> str:
        """Sectors of the last blocks that never reached the disk, and whatever came after gone."""
        if not self.map.blocks:
            return "no block"
        number, block = self.random.choice(self.map.blocks[-4:])
        data = self.log.get(number, bytearray())
        end = block.offset + block.header.block_bytes
        for at in range(block.offset, min(end, len(data) - 511), 512):
            if self.random.random() < 0.3:
                data[at:at + 512] = bytes(512)
        if self.random.random() < 0.7:
            data[end:] = bytes(max(0, len(data) - end))
            self.log = Log({other: kept for other, kept in self.log.items() if other <= number},
                           self.log.trees)
        return f"block {block.header.block_number}"

    def header_copy(self) -> str:
        number, copy = self.segment(), self.random.randrange(2)
        new = self.random.choice([bytes(PAGE), self.random.randbytes(PAGE), b"\xff" * PAGE])
        data = self.log[number]
        if len(data) >= 2 * PAGE:
            data[copy * PAGE:(copy + 1) * PAGE] = new
        return f"{copy} of segment {number}"

    def data_after_seal(self) -> str:
        seals = [(number, block) for number, block in self.map.blocks
                 if block.header.seals and number in self.log]
        if not seals:
            return "no seal"
        number, block = self.random.choice(seals)
        data = self.log[number]
        data[block.offset + block.header.block_bytes:] = self.random.choice([
            self.random.randbytes(self.random.choice([1, 100, PAGE])),
            bytes(PAGE) + b"\1", bytes(2 * PAGE), bytes(data[2 * PAGE:3 * PAGE]),
            bytes(data[block.offset:block.offset + block.header.block_bytes])])
        return f"segment {number}"

    def leftover_segment(self) -> str:
        """A file behind the last segment of which only the name, or not even all headers, came."""
        number = max(self.log) + self.random.choice([1, 1, 2])
        header = self.log[max(self.log)][:PAGE]
        self.log[number] = self.random.choice([
            bytearray(), bytearray(SEGMENT_BYTES), bytearray(header),
            bytearray(bytes(PAGE) + header), bytearray(self.random.randbytes(PAGE))])
        if self.random.random() < 0.3:
            self.log[number + 1] = bytearray(SEGMENT_BYTES)
        return f"segment {number} of {len(self.log[number])} bytes"

    # Blocks and segments in other places.

    def remove_block(self) -> str:
        return self._edit_blocks(lambda old: b"")

    def double_block(self) -> str:
        return self._edit_blocks(lambda old: old + old)

    def _edit_blocks(self, replaced: Callable[[bytes], bytes]) -> str:
        if (chosen := self.block()) is None:
            return "no block"
        number, block = chosen
        begin, end = block.offset, block.offset + block.header.block_bytes
        self.log[number][begin:end] = replaced(bytes(self.log[number][begin:end]))
        return f"block {block.header.block_number}"

    def swap_blocks(self) -> str:
        if (first := self.block()) is None or (second := self.block()) is None:
            return "no block"
        if first[0] == second[0] and first[1].offset > second[1].offset:
            first, second = second, first
        parts = [bytes(self.log[number][block.offset:block.offset + block.header.block_bytes])
                 for number, block in (first, second)]
        for (number, block), new in ((second, parts[0]), (first, parts[1])):
            self.log[number][block.offset:block.offset + block.header.block_bytes] = new
        return f"{first[1].header.block_number} and {second[1].header.block_number}"

    def splice_block(self) -> str:
        """A block of another log, or of another place in this one."""
        if (chosen := self.block()) is None:
            return "no block"
        other = Map(log := self.sources[self.random.choice([self.name, *self.sources])])
        if not other.blocks:
            return "no other block"
        from_number, source = self.random.choice(other.blocks)
        number, block = chosen
        new = log[from_number][source.offset:source.offset + source.header.block_bytes]
        self.log[number][block.offset:block.offset + block.header.block_bytes] = new
        return f"over block {block.header.block_number}"

    def append_block(self) -> str:
        """A block of this log or another where the log ends."""
        other = self.sources[self.random.choice([self.name, *self.sources])]
        if not (blocks := Map(other).blocks) or not self.map.blocks:
            return "no block"
        from_number, source = self.random.choice(blocks)
        number, last = self.map.blocks[-1]
        if number not in self.log:
            return "segment is gone"
        end = last.offset + last.header.block_bytes
        self.log[number][end:] = other[from_number][
            source.offset:source.offset + source.header.block_bytes]
        return f"block {source.header.block_number}"

    def remove_segment(self) -> str:
        number = self.segment()
        if len(self.log) > 1:
            del self.log[number]
        return f"segment {number}"

    def swap_segments(self) -> str:
        first, second = self.segment(), self.segment()
        self.log[first], self.log[second] = self.log[second], self.log[first]
        return f"segments {first} and {second}"

    def double_segment(self) -> str:
        number, target = self.segment(), max(self.log) + 1
        self.log[target] = bytearray(self.log[number])
        return f"segment {number} as {target}"

    def splice_segment(self) -> str:
        """From another log, also behind the last."""
        other = self.sources[self.random.choice(list(self.sources))]
        number = self.random.choice(sorted(other))
        target = self.random.choice([number, self.segment(), max(self.log) + 1])
        self.log[target] = bytearray(other[number])
        return f"segment {number} as {target}"

    # Intent: checks made right again after a change.

    def forge_segment_header(self) -> str:
        number = self.segment()
        data = self.log[number]
        name, (at, size) = self.random.choice(list(SEGMENT_FIELDS.items())[2:])
        copies = self.random.choice([(0,), (1,), (0, 1), (0, 1), (0, 1)])
        if len(data) < 2 * PAGE:
            return "no headers"
        new = self._other_value(data[at:at + size])
        for copy in copies:
            page = data[copy * PAGE:(copy + 1) * PAGE]
            page[at:at + size] = new
            data[copy * PAGE:(copy + 1) * PAGE] = with_header_crc(page)
        return f"{name} of segment {number}, copies {copies}"

    def forge_block_header(self) -> str:
        if (chosen := self.block()) is None:
            return "no block"
        number, block = chosen
        data, end = self.log[number], block.offset + block.header.block_bytes
        name, (at, size) = self.random.choice(list(BLOCK_FIELDS.items())[2:])
        at += block.offset
        data[at:at + size] = self._other_value(data[at:at + size])
        whole = self.random.random() < 0.6
        data[block.offset:end] = resealed(data[block.offset:end], self._log_id(), whole)
        return f"{name} of block {block.header.block_number}{' and footer' if whole else ''}"

    def forge_record(self) -> str:
        if (chosen := self.block()) is None or not chosen[1].records:
            return "no record"
        number, block = chosen
        data, end = self.log[number], block.offset + block.header.block_bytes
        record = self.random.choice(block.records)
        name, (at, size) = self.random.choice(list(RECORD_FIELDS.items())[1:])
        at += record.offset
        data[at:at + size] = self._other_value(data[at:at + size])
        entry = data[record.offset + 4:record.offset + len(record.entry)]
        struct.pack_into("<I", data, record.offset, crc32c(bytes(entry)))
        data[block.offset:end] = resealed(data[block.offset:end], self._log_id(), True,
                                          hashed=True, crcs_at=[r.offset - block.offset
                                                                for r in block.records])
        return f"{name} of record {record.sequence}"

    def forge_footer(self) -> str:
        if (chosen := self.block()) is None:
            return "no block"
        number, block = chosen
        data, end = self.log[number], block.offset + block.header.block_bytes
        name, (at, size) = self.random.choice(list(FOOTER_FIELDS.items()))
        at += end - 64
        data[at:at + size] = self._other_value(data[at:at + size])
        if name != "footer_crc":
            struct.pack_into("<I", data, end - 52, 0)
            struct.pack_into("<I", data, end - 52, crc32c(bytes(data[end - 64:end])))
        return f"{name} of block {block.header.block_number}"

    def forge_hash(self) -> str:
        """records_hash of the other form, or wrong, under a chain that is right again."""
        if (chosen := self.block()) is None:
            return "no block"
        number, block = chosen
        data, end = self.log[number], block.offset + block.header.block_bytes
        data[block.offset + 12] ^= segments.RECORD_TREE
        data[block.offset:end] = resealed(data[block.offset:end], self._log_id(), True,
                                          hashed=self.random.random() < 0.7,
                                          crcs_at=[r.offset - block.offset for r in block.records])
        return f"block {block.header.block_number}"

    def _log_id(self) -> bytes:
        return bytes(next(iter(self.sources[self.name].values()))[16:32])

    def _other_value(self, old: bytes) -> bytes:
        """Not far from the old one: neighbours are where rules differ."""
        if len(old) > 8:
            return self.random.choice([bytes(len(old)), self.random.randbytes(len(old)),
                                       bytes([old[0] ^ 1]) + old[1:]])
        value, limit = int.from_bytes(old, "little"), 1 << 8 * len(old)
        new = self.random.choice([value + 1, value - 1, value ^ 2, value + 8, value + PAGE,
                                  value - PAGE, 0, 1, 2, 3, limit - 1, value << 1,
                                  self.random.randrange(limit)])
        return (new % limit).to_bytes(len(old), "little")



def resealed(block: bytearray, log_id: bytes, footer: bool, hashed: bool = False,
             crcs_at: list[int] | None = None) -> bytes:
    """A block with its CRCs, and if asked for its records_hash and footer, made right again."""
    header = segments.BlockHeader(*segments.BLOCK_HEADER.unpack_from(block))
    if hashed and any(block[96:128]):
        body = bytes(block[128:128 + header.records_bytes])
        records = [bytes(block[at:at + 24 + int.from_bytes(block[at + 4:at + 8], "little")])
                   for at in crcs_at or []]
        tree = tree_root([leaf_hash(record) for record in records])
        block[96:128] = tree if header.flags & 2 else hashlib.sha256(body).digest()
    struct.pack_into("<I", block, 8, 0)
    struct.pack_into("<I", block, 8, crc32c(log_id + bytes(block[:128])))
    if footer:
        old_crc, = struct.unpack_from("<I", block, len(block) - 56)
        crcs = b"".join(bytes(block[at:at + 4]) for at in crcs_at or [])
        raw = bytes(block[:128])
        crc = crc32c(raw, crc32c(crcs)) if crcs_at is not None else old_crc
        chain = (leaf_hash(raw) if any(block[96:128])
                 else struct.pack("<I", crc) + bytes(28))
        tail = bytearray(struct.pack("<8sIIQQ32s", segments.FOOTER_MAGIC, crc, 0,
                                     (header.first_sequence + header.record_count - 1) % (1 << 64),
                                     header.block_bytes, chain))
        struct.pack_into("<I", tail, 12, crc32c(bytes(tail)))
        block[-64:] = tail
    return bytes(block)


# Those with a weight above one have the most fields or places to go wrong in.
WEIGHTS = {"flip_segment_header": 3, "flip_block_header": 3, "truncate": 4, "torn_write": 3,
           "forge_segment_header": 4, "forge_block_header": 5, "forge_record": 2}
KINDS = [name for name, value in [*vars(Damage).items(), *vars(TreeDamage).items()]
         if callable(value) and not name.startswith("_")
         and name not in ("segment", "block", "page", "flip", "tree")]


def make_sample(sources: dict[str, Log], seed: int, number: int,
                only: str | None) -> tuple[str, str, Log]:
    """(kind, description, log) of one sample: each damage in turn, sometimes two at once."""
    chance = random.Random(f"{seed}/{number}")
    turns = list(itertools.chain.from_iterable([kind] * WEIGHTS.get(kind, 1) for kind in KINDS))
    kind = only or turns[number % len(turns)]
    names = [name for name in sources if sources[name].trees or not kind.startswith("tree_")]
    damage = Damage(chance, sources, chance.choice(names))
    story = [f"{damage.name}: {kind} {getattr(damage, kind)()}"]
    if kind != "nothing" and chance.random() < 0.25:
        second = chance.choice(KINDS)
        story.append(f"{second} {getattr(damage, second)()}")
    # Without a file there is no log.
    return kind, "; ".join(story), damage.log or Log({1: bytearray()})
