#!/usr/bin/env python3
"""Writes the kept sample segments, from docs/ledger_format.md alone: a second implementation.

    make_samples.py FOLDER TREE_FOLDER

A log with a fixed id: the note "hello, ledger", a flush, the JSON record {"a":1}, a clean close;
once for each kind of integrity, and once with record trees; and the tree file of the one with
crc32c. Its CRC and its trees are the plain
definitions, and are what those of tools/ledger_verify.py are tested against: they share no code.
"""
import hashlib
import os
import struct
import sys

LOG_ID = bytes.fromhex("3edf746f23d5998075816553e876cfa6")
TIME_NS = 1736899200000000000
SHA256, CRC32C = 1, 2
SEALS, RECORD_TREE = 1, 2
PAGE = 4096


def crc32c(data, crc=0):
    crc ^= 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def padded(data, size):
    return data + bytes(-len(data) % size)


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree_root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(tree_root(leaves[:half]), tree_root(leaves[half:]))


def record(sequence, kind, payload):
    rest = struct.pack("<IQHHI", len(payload), sequence, kind, 0, 0)
    return struct.pack("<I", crc32c(payload, crc32c(rest))) + rest + payload


class Segment:
    def __init__(self, integrity):
        self.integrity = integrity
        seed = b"grace ledger genesis" + LOG_ID
        self.chain = (hashlib.sha256(seed).digest() if integrity == SHA256
                      else struct.pack("<I", crc32c(seed)) + bytes(28))
        header = bytearray(PAGE)
        struct.pack_into("<8sII16sQQQII32sqQII", header, 0, b"GRLEDGR1", 0, 1, LOG_ID, 1, 1, 0,
                         integrity, 2 * PAGE, self.chain, TIME_NS, 0, 0, 0)
        struct.pack_into("<I", header, 8, crc32c(header))
        self.bytes = bytes(header) * 2
        self.number, self.sequence, self.promised = 0, 1, 0
        self.hashes, self.leaves = [], []  # for the tree file

    def block(self, payloads, flags=0):
        records = [record(self.sequence + i, kind, payload)
                   for i, (kind, payload) in enumerate(payloads)]
        body = b"".join(padded(r, 8) for r in records)
        size = -(-(128 + len(body) + 64) // PAGE) * PAGE
        records_hash = bytes(32)
        if self.integrity == SHA256:
            records_hash = hashlib.sha256(body).digest()
            if flags & RECORD_TREE:
                records_hash = tree_root([hashlib.sha256(b"\0" + r).digest() for r in records])
        header = bytearray(struct.pack(
            "<8sIIQQIIQqQ32s32s", b"GRBLOCK1", 0, flags, self.number, self.sequence, len(records),
            len(body), size, TIME_NS, self.promised, self.chain, records_hash))
        struct.pack_into("<I", header, 8, crc32c(header, crc32c(LOG_ID)))
        block_crc = crc32c(header, crc32c(b"".join(r[:4] for r in records)))
        self.chain = (hashlib.sha256(b"\0" + header).digest() if self.integrity == SHA256
                      else struct.pack("<I", block_crc) + bytes(28))
        self.hashes.append(hashlib.sha256(body).digest())
        self.leaves.append(hashlib.sha256(b"\0" + header[:96] + self.hashes[-1]).digest())
        self.number += 1
        self.sequence += len(records)
        self.promised = self.sequence - 1  # each block is flushed before the next
        footer = bytearray(struct.pack("<8sIIQQ32s", b"GRBFOOT1", block_crc, 0, self.sequence - 1,
                                       size, self.chain))
        struct.pack_into("<I", footer, 12, crc32c(footer))
        self.bytes += header + body + bytes(size - 128 - len(body) - 64) + footer


    def tree_file(self):
        """Of the first segment: the frontier before is empty."""
        file = bytearray(struct.pack("<8sII16sQQQQQ56x", b"GRTREES1", 0, 1, LOG_ID, 1, 1,
                                     self.sequence - 1, 0, self.number))
        file += b"".join(self.hashes)
        at = 0
        for bit in reversed(range(self.number.bit_length())):
            if self.number >> bit & 1:
                file += tree_root(self.leaves[at:at + (1 << bit)])
                at += 1 << bit
        struct.pack_into("<I", file, 8, crc32c(file))
        return file


def main():
    for name, integrity, flags in (("closed_sha256", SHA256, 0), ("closed_crc32c", CRC32C, 0),
                                   ("closed_record_tree", SHA256, RECORD_TREE)):
        segment = Segment(integrity)
        segment.block([(4, b"hello, ledger")], flags)
        segment.block([(1, b'{"a":1}')], flags)
        segment.block([], SEALS)
        with open(os.path.join(sys.argv[1], name + ".segment"), "wb") as out:
            out.write(segment.bytes)
        if integrity == CRC32C:
            with open(os.path.join(sys.argv[2], name + ".tree"), "wb") as out:
                out.write(segment.tree_file())


if __name__ == "__main__":
    main()
