"""Changes of a log's signing key, written from docs/ledger_format.md, section 20."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ledger_note import (HASH_BYTES, I64_MAX, U64_MAX, Checkpoint, Key, Refused, Why, decimal,
                         from_base64, open_note, open_signed_checkpoint, parse_key, require,
                         split_note)
from ledger_segment import INTEGRITY_NAMES, Block, Broken, Record, Segment
from ledger_tree import Frontier

RECORD_TYPE = 6
_TITLE = "grace ledger key change/v1"
_WORDS = ("log", "epoch", "old", "new", "blocks", "root", "sequence", "time")


class KeyChange(NamedTuple):
    log_id: bytes
    epoch: int  # of the new key
    old: Key
    new: Key
    blocks: int
    root: bytes
    sequence: int  # of the record before


def open_key_change(note: bytes) -> KeyChange:
    """What a note says that both its keys have signed. Refused says why it is none."""
    text = split_note(note)[0]
    lines = text[:-1].split("\n")
    require(lines[0] == _TITLE and len(lines) == 1 + len(_WORDS), "key_change_form")
    values = []
    for word, line in zip(_WORDS, lines[1:]):
        require(line.startswith(word + " "), "key_change_form")
        values.append(line[len(word) + 1:])
    log_id, epoch, old, new, blocks, root, sequence, time_ns = values
    require(len(log_id) == 32 and set(log_id) <= set("0123456789abcdef"), "key_change_log")
    decimal(time_ns, I64_MAX, "key_change_time")
    change = KeyChange(bytes.fromhex(log_id), decimal(epoch, U64_MAX, "key_change_epoch"),
                       parse_key(old), parse_key(new),
                       decimal(blocks, U64_MAX, "key_change_blocks"),
                       from_base64(root, "key_change_root", HASH_BYTES),
                       decimal(sequence, U64_MAX, "key_change_sequence"))
    require(change.epoch >= 2, "key_change_epoch")
    require(change.old.name == change.new.name and change.old != change.new, "key_change_keys")
    require(len(open_note(note, [change.old, change.new]).signed_by) == 2, "key_change_unsigned")
    return change


def check_follows(change: KeyChange, sequence: int, log_id: bytes, before: KeyChange | None,
                  from_start: bool) -> None:
    """That a change belongs to that record of that log, and goes on from the one before."""
    require(change.log_id == log_id, "key_change_log")
    require(change.sequence + 1 == sequence, "key_change_sequence")
    if before is not None:
        require(change.old == before.new, "key_change_keys")
    if before is not None or from_start:
        require(change.epoch == (before.epoch + 1 if before else 2), "key_change_epoch")


class KeyChanges:
    """Follows the key through one log, segment by segment; `changes` are those that hold."""

    def __init__(self) -> None:
        self.changes: list[KeyChange] = []
        self._from_start: bool | None = None
        self._before = Frontier()  # the tree over the blocks before the next

    def begin(self, log_id: bytes, carried: Sequence[tuple[int, bytes]]) -> None:
        """Changes whose records were removed, by sequence. Refused at the first that does not hold;
        then none of them counts."""
        changes: list[KeyChange] = []
        for sequence, note in carried:
            change = open_key_change(note)
            check_follows(change, sequence, log_id, changes[-1] if changes else None,
                          from_start=False)
            changes.append(change)
        self.changes += changes

    def enter(self, segment: Segment) -> None:
        header = segment.pages.header
        self._log_id = header.log_id
        self._has_tree = INTEGRITY_NAMES[header.integrity] == "sha256"
        self._before = Frontier()
        if self._has_tree:
            self._before = Frontier(header.first_block_number,
                                    header.frontier_roots(segment.pages.page))
        self._segment = segment
        if self._from_start is None:
            self._from_start = header.first_sequence == 1

    def check(self, block: Block) -> Iterator[tuple[Record, Broken]]:
        """The changes in a block that do not hold."""
        for record in block.records:
            if record.type != RECORD_TYPE:
                continue
            try:
                change = open_key_change(record.payload)
                self._check_place(change, record)
            except Refused as error:
                yield record, Broken(record.offset, error.reason)
                continue
            self.changes.append(change)
        if self._has_tree:
            self._before.append(block.chain)

    def _check_place(self, change: KeyChange, record: Record) -> None:
        newest = self.changes[-1] if self.changes else None
        check_follows(change, record.sequence, self._log_id, newest, bool(self._from_start))
        if self._has_tree:
            require(change.blocks == self._before.size and change.root == self._before.root(),
                    "key_change_root")
            return
        header, tree = self._segment.pages.header, self._segment.tree_before
        require(record.sequence == header.first_sequence
                and change.blocks == header.first_block_number
                and (tree is None or change.root == tree.root()), "key_change_root")


class TracedCheckpoint(NamedTuple):
    checkpoint: Checkpoint
    key: Key  # that signed it
    steps: int  # key changes from a trusted key to that one; 0: it is itself trusted


@dataclass
class _Epoch:
    """The trees that a key may sign, in blocks, and how many changes led to it."""

    stolen_from: int  # what it signs of this size on is nobody's word
    steps: int = 0
    size_min: int = 0
    size_max: int = U64_MAX

    def may_sign(self, size: int) -> bool:
        return self.size_min <= size <= self.size_max and size < self.stolen_from


class ProvenTree(NamedTuple):
    blocks: int
    root: bytes
    key: Key  # one of its change's two, which is believed there


class BelievedKeys:
    """The keys that changes lead to from trusted ones. `distrusted`: by a key's id, the size in
    blocks from which on what it signs does not count."""

    def __init__(self, changes: Sequence[KeyChange], trusted: Sequence[Key],
                 distrusted: Mapping[bytes, int] | None = None) -> None:
        self._distrusted = distrusted or {}
        self.keys = list(trusted)  # a key given twice too: who opens a note refuses that
        self.epochs: dict[Key, _Epoch] = {}
        self.proven: list[ProvenTree | None] = []  # by each change: its tree, if that is believed
        for key in trusted:
            self.epochs[key] = self._epoch(key)
        for change in changes:
            self.proven.append(self._follow(change))
        known = {key.key_id for change in changes for key in (change.old, change.new)}
        known |= {key.key_id for key in trusted}
        # A mistyped one would distrust nothing.
        require(known.issuperset(self._distrusted), "no_such_key_to_distrust", Why.USE)

    def _epoch(self, key: Key, **fields: int) -> _Epoch:
        return _Epoch(self._distrusted.get(key.key_id, U64_MAX + 1), **fields)

    def _follow(self, change: KeyChange) -> ProvenTree | None:
        before, after = self.epochs.get(change.old), self.epochs.get(change.new)
        believed = None
        if before is not None:
            before.size_max = change.blocks
            if change.blocks < before.stolen_from:
                believed = change.old
        if after is not None:
            after.size_min = change.blocks + 1
        elif before is not None and believed is not None:
            after = self._epoch(change.new, steps=before.steps + 1, size_min=change.blocks + 1)
            self.keys.append(change.new)
            self.epochs[change.new] = after
        if after is not None and change.blocks < after.stolen_from:
            believed = change.new  # its first statement is the change itself
        return ProvenTree(change.blocks, change.root, believed) if believed is not None else None


def trace_checkpoint(note: bytes, believed: BelievedKeys) -> TracedCheckpoint:
    """The checkpoint of a note that a trusted key has signed, or one that the log's changes lead to
    from a trusted key, each in its time."""
    checkpoint, signed_by = open_signed_checkpoint(note, believed.keys)
    distrusted = False
    for key, epoch in believed.epochs.items():
        if key not in signed_by:
            continue
        if epoch.may_sign(checkpoint.tree_size):
            return TracedCheckpoint(checkpoint, key, epoch.steps)
        distrusted = distrusted or checkpoint.tree_size >= epoch.stolen_from
    raise Refused("checkpoint_key_distrusted" if distrusted else "checkpoint_key_out_of_its_time",
                  Why.UNTRUSTED)
