"""Proofs of records and of consistency, written from docs/ledger_format.md, section 12.

check_proof() is the way in. What does not hold is Refused. No log is needed, only keys.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger_note import (HASH_BYTES, NOTE_BYTES_MAX, U32_MAX, U64_MAX, Checkpoint, Key, Why,
                         decimal, from_base64, open_checkpoint, require)
from ledger_segment import (BLOCK_HEADER, BLOCK_HEADER_BYTES, BLOCK_MAGIC, MAX_BLOCK_BYTES,
                            RECORD_HEADER, RECORD_HEADER_BYTES, RECORD_TREE, BlockHeader)
from ledger_tree import leaf_hash, verify_consistency, verify_inclusion

_FIRST_LINE, _ANY_VERSION = "grace-ledger-proof/v1", "grace-ledger-proof/"
RECORD_PATH_MAX, BLOCK_PATH_MAX, CONSISTENCY_PATH_MAX = 32, 64, 65


class RecordProof(NamedTuple):
    sequence: int
    block_number: int
    block_header: bytes
    record_count: int
    record_index: int
    record_path: list[bytes]
    record: bytes  # 24 bytes of header, then the payload
    block_path: list[bytes]
    checkpoint_note: bytes


class ConsistencyProof(NamedTuple):
    old_size: int
    new_size: int
    path: list[bytes]
    old_note: bytes
    new_note: bytes


class ProvenRecord(NamedTuple):
    sequence: int
    type: int
    payload: bytes
    checkpoint: Checkpoint


# --- The text ------------------------------------------------------------------------------------


class _Lines:
    """A proof's text, line by line. Every text that parses is the one text of its proof."""

    def __init__(self, text: bytes):
        self.text = text
        self.at = 0

    def line(self) -> str:
        end = self.text.find(b"\n", self.at)
        require(end >= 0, "proof_cut_short")
        line, self.at = self.text[self.at:end], end + 1
        require(line.isascii(), "proof_line")
        return line.decode("ascii")

    def value(self, word: str) -> str:
        line = self.line()
        require(line.startswith(word + " "), f"proof_{word}_line")
        return line[len(word) + 1:]

    def number(self, word: str, largest: int = U64_MAX) -> int:
        return decimal(self.value(word), largest, f"proof_{word}_line")

    def data(self, word: str, size: int | None = None) -> bytes:
        return from_base64(self.value(word), f"proof_{word}_line", size)

    def path(self, word: str, longest: int) -> list[bytes]:
        count = self.number(word, longest)
        return [from_base64(self.line(), f"proof_{word}_hash", HASH_BYTES) for _ in range(count)]

    def blank(self) -> None:
        require(self.line() == "", "proof_blank_line")

    def note(self, size: int | None = None) -> bytes:
        """The next bytes, or all that is left."""
        rest = self.text[self.at:] if size is None else self.text[self.at:self.at + size]
        require(0 < len(rest) <= NOTE_BYTES_MAX and size in (None, len(rest)), "proof_note")
        self.at += len(rest)
        return rest


def parse_proof(text: bytes) -> RecordProof | ConsistencyProof:
    """A proof of either kind, of which nothing has been checked."""
    first = text.partition(b"\n")[0].decode("latin-1")  # what another version is called is its own
    require(first == _FIRST_LINE, "proof_first_line",
            Why.UNSUPPORTED if first.startswith(_ANY_VERSION) and b"\n" in text else Why.BROKEN)
    lines = _Lines(text)
    lines.line()
    kind = lines.value("kind")
    require(kind in ("record", "consistency"), "proof_kind_line")
    return _parse_record_proof(lines) if kind == "record" else _parse_consistency_proof(lines)


def _parse_record_proof(lines: _Lines) -> RecordProof:
    sequence, block_number = lines.number("sequence"), lines.number("block")
    header = lines.data("block-header", BLOCK_HEADER_BYTES)
    count = lines.number("record-count", U32_MAX)
    index = lines.number("record-index", U32_MAX)
    require(index < count, "proof_record-index_line")
    record_path = lines.path("record-path", RECORD_PATH_MAX)
    record = lines.data("record")
    require(RECORD_HEADER_BYTES <= len(record) <= MAX_BLOCK_BYTES, "proof_record_line")
    block_path = lines.path("block-path", BLOCK_PATH_MAX)
    lines.blank()
    return RecordProof(sequence, block_number, header, count, index, record_path, record,
                       block_path, lines.note())


def _parse_consistency_proof(lines: _Lines) -> ConsistencyProof:
    old_size, new_size = lines.number("old-size"), lines.number("new-size")
    require(old_size <= new_size, "proof_new-size_line")
    path = lines.path("path", CONSISTENCY_PATH_MAX)
    old_bytes = lines.number("old-checkpoint-bytes", NOTE_BYTES_MAX)
    lines.blank()
    old_note = lines.note(old_bytes)
    lines.blank()
    return ConsistencyProof(old_size, new_size, path, old_note, lines.note())


# --- What it proves ------------------------------------------------------------------------------


def check_record_proof(proof: RecordProof, keys: Sequence[Key]) -> ProvenRecord:
    """That the record is in the log that signed the checkpoint."""
    checkpoint = open_checkpoint(proof.checkpoint_note, keys)
    header = BlockHeader(*BLOCK_HEADER.unpack(proof.block_header))
    require(header.magic == BLOCK_MAGIC, "block_magic")
    require(bool(header.flags & RECORD_TREE), "block_has_no_record_tree")
    require(header.block_number == proof.block_number, "block_number")
    require(header.record_count == proof.record_count, "block_record_count")
    _, length, sequence, kind, _, _ = RECORD_HEADER.unpack_from(proof.record)
    require(length == len(proof.record) - RECORD_HEADER_BYTES, "record_length")
    require(sequence == proof.sequence == header.first_sequence + proof.record_index,
            "record_sequence")
    require(verify_inclusion(leaf_hash(proof.record), proof.record_index, proof.record_count,
                             proof.record_path, header.records_hash), "record_path")
    require(verify_inclusion(leaf_hash(proof.block_header), proof.block_number,
                             checkpoint.tree_size, proof.block_path, checkpoint.root), "block_path")
    return ProvenRecord(sequence, kind, proof.record[RECORD_HEADER_BYTES:], checkpoint)


def check_consistency_proof(proof: ConsistencyProof,
                            keys: Sequence[Key]) -> tuple[Checkpoint, Checkpoint]:
    """That the newer checkpoint's log begins with the older one's."""
    old, new = open_checkpoint(proof.old_note, keys), open_checkpoint(proof.new_note, keys)
    require(old.tree_size == proof.old_size, "old_size")
    require(new.tree_size == proof.new_size, "new_size")
    require(old.origin == new.origin, "origin")
    require(old.log_id == new.log_id, "log_id")
    require(verify_consistency(old.tree_size, new.tree_size, old.root, new.root, proof.path),
            "path")
    return old, new


def check_proof(text: bytes, keys: Sequence[Key]) -> ProvenRecord | tuple[Checkpoint, Checkpoint]:
    proof = parse_proof(text)
    if isinstance(proof, RecordProof):
        return check_record_proof(proof, keys)
    return check_consistency_proof(proof, keys)
