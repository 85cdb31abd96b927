"""Damaged tree files, and what a log is while agreement_samples.py damages it."""
from __future__ import annotations

import random
import struct

import ledger_segment as segments  # in tools/
from ledger_crc32c import crc32c
from ledger_segment import PAGE


class Log(dict):
    """A log's segments by number, and its tree files."""

    def __init__(self, segments_by_number: dict[int, bytearray],
                 trees: dict[int, bytearray] | None = None):
        super().__init__({number: bytearray(data) for number, data in segments_by_number.items()})
        self.trees = {number: bytearray(data) for number, data in (trees or {}).items()}


class Map:
    """Blocks of a log as written, by (segment, offset): what damage aims at."""

    def __init__(self, log: Log):
        self.blocks: list[tuple[int, segments.Block]] = []
        position = None
        for number, data in sorted(log.items()):
            segment, position = segments.parse_segment(bytes(data), number, position)
            self.blocks += [(number, block) for block in segment.blocks]


class TreeDamage:
    """Those of the ways to change a log that have to do with its tree files."""

    random: random.Random
    sources: dict[str, Log]
    log: Log
    map: Map

    def tree(self) -> int | None:
        return self.random.choice(sorted(self.log.trees)) if self.log.trees else None

    def tree_flip(self) -> str:
        if (number := self.tree()) is None:
            return "no tree file"
        data = self.log.trees[number]
        self.flip(data, self.random.randrange(len(data)))
        return f"tree file {number}"

    def tree_cut(self) -> str:
        if (number := self.tree()) is None:
            return "no tree file"
        data = self.log.trees[number]
        if self.random.random() < 0.5:
            del data[self.random.randrange(len(data)):]
        else:
            data += bytes(self.random.choice([1, 32, 64]))
        return f"tree file {number} has {len(data)} bytes"

    def tree_remove(self) -> str:
        removed = [number for number in sorted(self.log.trees) if self.random.random() < 0.4]
        for number in removed:
            del self.log.trees[number]
        return f"tree files {removed}"

    def tree_swap(self) -> str:
        """The file of one segment under the name of another, or of one that is not there."""
        if (number := self.tree()) is None:
            return "no tree file"
        other = self.random.choice([*self.log.trees, max(self.log) + 1])
        data = bytearray(self.log.trees[number])
        if self.random.random() < 0.5:
            struct.pack_into("<Q", data, 32, other)
        self.log.trees[other] = with_file_crc(data)
        return f"tree file {number} as {other}"

    def tree_of_another_log(self) -> str:
        number = self.tree()
        there = [log.trees[number] for log in self.sources.values() if number in log.trees]
        if not there:
            return "no tree file"
        data = bytearray(self.random.choice(there))
        if self.random.random() < 0.5:
            data[16:32] = self._log_id()
        self.log.trees[number] = with_file_crc(data)
        return f"tree file {number}"

    def tree_forge(self) -> str:
        """Another number or hash, with the CRC made to fit."""
        if (number := self.tree()) is None:
            return "no tree file"
        data = self.log.trees[number]
        at = self.random.choice([12, *range(16, 80), *range(128, len(data))])
        self.flip(data, at)
        self.log.trees[number] = with_file_crc(data)
        return f"tree file {number} at {at}"

    def tree_and_record(self) -> str:
        """A record of a hashed block, all CRCs and links made to fit: what CRCs do not find."""
        hashed = [(number, block) for number, block in self.map.blocks
                  if number in self.log.trees and block.records]
        if not hashed or any(len(self.log[number]) < block.offset + block.header.block_bytes
                             for number, block in self.map.blocks):
            return "no hashed block"
        number, chosen = self.random.choice(hashed)
        at = self.random.choice(chosen.records).offset + 24
        self.log[number][at] ^= 1 << self.random.randrange(8)
        relink(self.log, self.map)
        return f"block {chosen.header.block_number}"


def with_file_crc(data: bytearray) -> bytearray:
    """A tree file with the CRC that fits."""
    struct.pack_into("<I", data, 8, 0)
    struct.pack_into("<I", data, 8, crc32c(bytes(data)))
    return data


def relink(log: Log, blocks: Map) -> None:
    """Makes all CRCs and links of a log with integrity crc32c fit its records again."""
    chain, segment = None, 0
    for number, block in blocks.blocks:
        data = log[number]
        if chain is not None and number != segment:
            for copy in range(2):
                page = data[copy * PAGE:(copy + 1) * PAGE]
                page[64:96] = chain
                data[copy * PAGE:(copy + 1) * PAGE] = with_header_crc(page)
        segment, begin = number, block.offset
        header = bytearray(data[begin:begin + 128])
        if chain is not None:
            header[64:96] = chain
        crcs = b""
        for record in block.records:
            end = record.offset + len(record.entry)
            crc = struct.pack("<I", crc32c(bytes(data[record.offset + 4:end])))
            data[record.offset:record.offset + 4] = crc
            crcs += crc
        struct.pack_into("<I", header, 8, 0)
        struct.pack_into("<I", header, 8,
                         crc32c(bytes(log_id_of(data)) + bytes(header)))
        data[begin:begin + 128] = header
        block_crc = crc32c(bytes(header), crc32c(crcs))
        chain = struct.pack("<I", block_crc) + bytes(28)
        at = begin + block.header.block_bytes - 64
        footer = bytearray(data[at:at + 64])
        struct.pack_into("<II", footer, 8, block_crc, 0)
        footer[32:64] = chain
        struct.pack_into("<I", footer, 12, crc32c(bytes(footer)))
        data[at:at + 64] = footer


def log_id_of(data: bytearray) -> bytearray:
    return data[16:32]


def with_header_crc(page: bytearray) -> bytes:
    struct.pack_into("<I", page, 8, 0)
    struct.pack_into("<I", page, 8, crc32c(bytes(page)))
    return bytes(page)
