"""Checkpoints and proofs, good and damaged, each from a seed and a number: what
proof_agreement_test.py compares on."""
from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import NamedTuple

import ledger_segment as segments  # in tools/
from ledger_log import segment_files
from ledger_note import Checkpoint
from ledger_tree import consistency_proof, inclusion_path, leaf_hash, tree_root
from note_signer import Signer, to_base64

OWN = Signer("grace.example/ledger", b"\1" * 32)
WITNESS = Signer("witness.example", b"\2" * 32)
NAMESAKE = Signer(OWN.name, b"\3" * 32)  # another key of the same name
STRANGER = Signer("stranger.example", b"\4" * 32)
HEIRS = [Signer(OWN.name, bytes([seed]) * 32) for seed in (5, 6)]  # the keys after OWN


class Sample(NamedTuple):
    story: str
    log: str | None  # a checkpoint is held against it; a proof needs none
    data: bytes
    keys: list[str]


class Model:
    """A whole log, as the document says it is, and what can be said about it."""

    def __init__(self, directory: Path):
        self.blocks: list[segments.Block] = []
        position = None
        for file in segment_files(directory):
            data = file.path.read_bytes()
            segment, position = segments.parse_segment(data, file.number, position)
            self.blocks += segment.blocks
        self.log_id = position.log_id
        self.leaves = [block.chain for block in self.blocks]

    def checkpoint(self, size: int) -> Checkpoint:
        sequence = self.blocks[size - 1].header.last_sequence if size else 0
        return Checkpoint(OWN.name, size, tree_root(self.leaves[:size]), self.log_id, sequence,
                          1736950000000000000)

    def block_of(self, sequence: int) -> int:
        return next(index for index, block in enumerate(self.blocks)
                    if block.header.first_sequence <= sequence <= block.header.last_sequence)


def checkpoint_text(checkpoint: Checkpoint, more: str = "") -> bytes:
    lines = [checkpoint.origin, str(checkpoint.tree_size), to_base64(checkpoint.root)]
    if any(checkpoint.log_id):
        lines.append(f"log {checkpoint.log_id.hex()}")
    if checkpoint.sequence:
        lines.append(f"sequence {checkpoint.sequence}")
    if checkpoint.time_ns:
        lines.append(f"time {checkpoint.time_ns}")
    return ("\n".join(lines) + "\n" + more).encode()


class RecordFields(NamedTuple):
    """The parts of a record's proof, right or wrong, in their order."""

    sequence: int
    block: int
    header: bytes
    count: int
    index: int
    record_path: list[bytes]
    record: bytes
    block_path: list[bytes]
    note: bytes

    def text(self) -> bytes:
        lines = ["grace-ledger-proof/v1", "kind record", f"sequence {self.sequence}",
                 f"block {self.block}", f"block-header {to_base64(self.header)}",
                 f"record-count {self.count}", f"record-index {self.index}",
                 f"record-path {len(self.record_path)}", *map(to_base64, self.record_path),
                 f"record {to_base64(self.record)}", f"block-path {len(self.block_path)}",
                 *map(to_base64, self.block_path), "", ""]
        return "\n".join(lines).encode() + self.note


class ConsistencyFields(NamedTuple):
    old_size: int
    new_size: int
    path: list[bytes]
    old_note: bytes
    new_note: bytes

    def text(self) -> bytes:
        lines = ["grace-ledger-proof/v1", "kind consistency", f"old-size {self.old_size}",
                 f"new-size {self.new_size}", f"path {len(self.path)}", *map(to_base64, self.path),
                 f"old-checkpoint-bytes {len(self.old_note)}", "", ""]
        return "\n".join(lines).encode() + self.old_note + b"\n" + self.new_note


def record_fields(model: Model, sequence: int, size: int) -> RecordFields:
    number = model.block_of(sequence)
    block = model.blocks[number]
    index = sequence - block.header.first_sequence
    leaves = [leaf_hash(record.entry) for record in block.records]
    return RecordFields(sequence, number, block.header_bytes, len(leaves), index,
                        inclusion_path(leaves, index), block.records[index].entry,
                        inclusion_path(model.leaves[:size], number),
                        OWN.sign(checkpoint_text(model.checkpoint(size))))


def consistency_fields(model: Model, old: int, new: int) -> ConsistencyFields:
    path = consistency_proof(model.leaves[:new], old) if old else []
    notes = [OWN.sign(checkpoint_text(model.checkpoint(size))) for size in (old, new)]
    return ConsistencyFields(old, new, path, *notes)


# --- Damage to any text --------------------------------------------------------------------------


class TextDamage:
    """Ways to spoil a text that has lines, numbers and Base64. Each says what it did."""

    def __init__(self, chance: random.Random):
        self.random = chance

    def apply(self, text: bytes) -> tuple[str, bytes]:
        kinds = [name for name in vars(TextDamage) if name.startswith("_do_")]
        kind = self.random.choice([*kinds, "_do_flip_bit", "_do_flip_bit"])
        return kind[4:], getattr(self, kind)(text)

    def _line(self, lines: list[bytes]) -> int:
        return self.random.randrange(len(lines))

    def _do_flip_bit(self, text: bytes) -> bytes:
        """Of any line alike, however short."""
        lines = text.splitlines(keepends=True)
        at = self._line(lines)
        line = bytearray(lines[at])
        line[self.random.randrange(len(line))] ^= 1 << self.random.randrange(8)
        return b"".join([*lines[:at], bytes(line), *lines[at + 1:]])

    def _do_cut(self, text: bytes) -> bytes:
        return text[:self.random.randrange(len(text))]

    def _do_cut_at_line(self, text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        return b"".join(lines[:self._line(lines)])

    def _do_cut_front(self, text: bytes) -> bytes:
        return text[self.random.randrange(1, len(text)):]

    def _do_remove_line(self, text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        del lines[self._line(lines)]
        return b"".join(lines)

    def _do_double_line(self, text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        at = self._line(lines)
        return b"".join([*lines[:at], lines[at], *lines[at:]])

    def _do_swap_lines(self, text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        a, b = self._line(lines), self._line(lines)
        lines[a], lines[b] = lines[b], lines[a]
        return b"".join(lines)

    def _do_insert(self, text: bytes) -> bytes:
        at = self.random.randrange(len(text) + 1)
        new = self.random.choice([b"\n", b"\r", b" ", b"\0", b"\xff", b"=", b"0", b"+",
                                  "é".encode(), b"\n\n", b"x\n", "\u2028".encode()])
        return text[:at] + new + text[at:]

    def _do_insert_at_line_end(self, text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        at = self._line(lines)
        new = self.random.choice([b" ", b"\r", b"\t", b"=", b"\n", b"0"])
        lines[at] = lines[at].rstrip(b"\n") + new + b"\n"
        return b"".join(lines)

    def _do_number(self, text: bytes) -> bytes:
        """Another value or another spelling of a number that is alone or behind a word."""
        lines = text.splitlines(keepends=True)
        places = [at for at, line in enumerate(lines) if line.split()[-1:] and
                  line.split()[-1].isdigit()]
        if not places:
            return text
        at = self.random.choice(places)
        word = lines[at].split()[-1]
        value = int(word)
        new = self.random.choice([str(value + 1), str(max(0, value - 1)), f"0{value}", f"+{value}",
                                  f"-{value}", "0", "1", str(2**64 - 1), str(2**64), f"{value}.0",
                                  str(2**63), str(2**32), "9" * 21, "", hex(value), f" {value}",
                                  f"{value * 2}", "1_0"])
        lines[at] = lines[at].replace(word, new.encode(), 1)
        return b"".join(lines)

    def _do_last_base64_bits(self, text: bytes) -> bytes:
        """Bits that stand for nothing, in front of padding."""
        places = [at for at in range(1, len(text)) if text[at:at + 1] == b"=" != text[at - 1:at]]
        if not places:
            return text
        at = self.random.choice(places) - 1
        return text[:at] + bytes([text[at] + 1]) + text[at + 1:]

    def _do_version(self, text: bytes) -> bytes:
        new = self.random.choice([b"2", b"", b"1 ", b"\xff", b"1\r", b"1.1"])
        return text.replace(b"ledger-proof/v1", b"ledger-proof/v" + new, 1)

    def _do_letter_case(self, text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        at = self._line(lines)
        lines[at] = lines[at].swapcase()
        return b"".join(lines)

    def _do_append(self, text: bytes) -> bytes:
        return text + self.random.choice([b"\n", b"x", b"x\n", b"\n\n", text, b"\0",
                                          STRANGER.line(text), "\u2014 a b\n".encode()])
