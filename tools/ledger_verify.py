#!/usr/bin/env python3
"""Verifies a tamper-evident log, written from docs/ledger_format.md alone: an independent reader.

    ledger_verify.py LOG_DIRECTORY_OR_SEGMENT_FILE
                     [--checkpoint FILE --key KEY... [--distrust KEYID[@SIZE]...]]
    ledger_verify.py --proof FILE --key KEY...

Exit status: 0 sound, 1 a negative finding, 2 wrong use (or nothing there to verify or to go by).

Nothing but Python 3.11's standard library, so that a person who does not trust the program that
wrote a log can read all of what judges it. Section numbers in comments are those of the document.

Rates (where it was written, one core): a log with records of 4 KiB 50 MB/s, with records of 100
bytes 13 MB/s; of that CRC-32C alone 100 and 25 MB/s.

As a library: `verify_log`, `parse_segment`, `Check` (a visitor: what else there is to check of a
log, as `CheckpointCheck` does), `verify_log_and_checkpoint`, `open_checkpoint`, `trace_checkpoint`
and `check_proof`, and from ledger_tree.py
`Frontier`, `tree_root`, `inclusion_path`, `verify_inclusion`, `consistency_proof`,
`verify_consistency`.
"""
from __future__ import annotations

import argparse
import json
import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

from ledger_key_change import BelievedKeys, TracedCheckpoint, trace_checkpoint
from ledger_log import (HEADER_COPY_REASON, Check, Fault, Finding, LogVerifier,  # noqa: F401
                        Report, segment_files, segment_number_of, verify_log)
from ledger_note import (NOTE_BYTES_MAX, Checkpoint, Key, Refused, Why, key_text,
                         open_checkpoint, parse_checkpoint, parse_key, require,  # noqa: F401
                         split_note)
from ledger_proof import ProvenRecord, check_proof
from ledger_segment import SHA256, Block, Segment, parse_segment  # noqa: F401
from ledger_tree import (Frontier, consistency_proof, inclusion_path, leaf_hash,  # noqa: F401
                         node_hash, tree_root, verify_consistency, verify_inclusion)
from ledger_tree_file import Hashing, hashed_leaf, records_hash


class CheckpointCheck(Check):
    """That a log holds what a checkpoint of it speaks of (section 12).

    `verdict` says whether it does: "holds", a fault's reason, or "out_of_reach" where the blocks
    that would tell were removed with the oldest segments: with crc32c also where no tree file says
    the tree before the first segment that is there.
    """

    HOLDS, OUT_OF_REACH = "holds", "out_of_reach"

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint
        self.verdict = ""
        self.tree: Frontier | None = None  # as far as was read
        self.hashed = False  # the blocks' leaves are to be made: integrity crc32c
        self.unknown = False  # the tree before the segment that was read last
        self.seen = False  # the checkpoint's size
        self.fault: Fault | None = None

    def segment(self, segment: Segment) -> None:
        header = segment.pages.header
        said = self.checkpoint.log_id
        if any(said) and header.log_id != said:
            self._contradicted(segment, 0, header.first_sequence, "checkpoint_log_id")
        before = self._tree_before(segment)
        self.hashed = header.integrity != SHA256
        self.unknown = before is None
        if before is None:
            self.tree = None
            return
        if self.tree is None and self.checkpoint.tree_size < before.size:
            self._compare(segment, 0, before.first(self.checkpoint.tree_size), None)
        self.tree = before
        self._compare(segment, 0, before, header.first_sequence - 1)

    def _tree_before(self, segment: Segment) -> Frontier | None:
        """With crc32c the headers say no tree: it is known from the first block on (section 8)."""
        header = segment.pages.header
        begins = header.first_block_number
        if header.integrity == SHA256 or begins == 0:
            return Frontier(begins, header.frontier_roots(segment.pages.page))
        if segment.tree_before is not None:
            return Frontier(begins, segment.tree_before.roots)
        return self.tree if self.tree is not None and self.tree.size == begins else None

    def block(self, segment: Segment, block: Block) -> None:
        if self.tree is not None:
            self.tree.append(hashed_leaf(block, records_hash(block)) if self.hashed
                             else block.chain)
            self._compare(segment, block.offset, self.tree, block.header.last_sequence)

    def _compare(self, segment: Segment, offset: int, tree: Frontier | None,
                 last_sequence: int | None) -> None:
        if tree is None or tree.size != self.checkpoint.tree_size:
            return
        self.seen = True
        sequence = last_sequence or 0
        if tree.root() != self.checkpoint.root:
            self._contradicted(segment, offset, sequence, "checkpoint_root")
        elif self.checkpoint.sequence and last_sequence not in (None, self.checkpoint.sequence):
            self._contradicted(segment, offset, sequence, "checkpoint_sequence")

    def _contradicted(self, segment: Segment, offset: int, sequence: int, reason: str) -> None:
        self.fault = self.fault or Fault(segment.number, offset, offset, sequence, reason)

    def finish(self, report: Report) -> list[Fault]:
        size = self.tree.size if self.tree else 0
        if (self.fault is None and not self.seen and not self.unknown
                and size < self.checkpoint.tree_size):
            self.fault = Fault(report.first_segment + max(0, report.segments - 1), 0, 0,
                               report.last_sequence + 1, "checkpoint_beyond_end")
        self.verdict = self.HOLDS if self.seen else self.OUT_OF_REACH
        if self.fault is not None:
            self.verdict = self.fault.reason
        report.checkpoint = self.verdict
        return [self.fault] if self.fault is not None else []


class BlockEnds(Check):
    """The last sequence of each block."""

    def __init__(self) -> None:
        self.first_block: int | None = None
        self.last_sequences = array("Q")

    def segment(self, segment: Segment) -> None:
        if self.first_block is None:
            self.first_block = segment.pages.header.first_block_number

    def block(self, segment: Segment, block: Block) -> None:
        self.last_sequences.append(block.header.last_sequence)

    def after(self, blocks: int) -> int:
        """The last sequence in the first `blocks` blocks of the log."""
        at = blocks - 1 - (self.first_block or 0)
        return self.last_sequences[at] if 0 <= at < len(self.last_sequences) else 0


def what_is_proven(report: Report, believed: BelievedKeys, checkpoint: Checkpoint | None,
                   ends: BlockEnds) -> dict:
    """The newest tree that somebody has signed who is believed; with faults there is none."""
    proven = {"blocks": 0, "last_sequence": 0, "by": ""}
    if report.faults:
        return proven
    for change, tree in zip(report.key_changes, believed.proven):
        # Of a carried change the tree was compared with nothing.
        if tree is not None and change.sequence + 1 >= report.first_sequence:
            proven |= {"blocks": tree.blocks,
                       "by": f"a key change signed with {key_text(tree.key)}"}
    if (checkpoint is not None and report.checkpoint == CheckpointCheck.HOLDS
            and checkpoint.tree_size >= proven["blocks"]):
        proven |= {"blocks": checkpoint.tree_size, "by": "the checkpoint"}
    return proven | {"last_sequence": ends.after(proven["blocks"])}


def verify_log_and_checkpoint(where: Path | str, note: bytes, keys: Sequence[Key],
                              distrusted: Mapping[bytes, int] | None = None
                              ) -> tuple[Report, TracedCheckpoint | None]:
    """Verifies a log, and that it holds the checkpoint in a note. Refused where no given key, and
    none that the log's key changes lead to from one (section 20), has signed it in its time.
    `distrusted`: the size in blocks from which on a key, by its id, is not believed; then a
    checkpoint that for want of a key does not count is None, and the report says why and what is
    proven without it."""
    text_of_it = split_note(note)[0]
    try:
        # Nobody's word yet: whose it is the log tells, once it has been read.
        checks: list[Check] = [CheckpointCheck(parse_checkpoint(text_of_it))]
    except Refused:
        checks = []  # trace_checkpoint() will say so, or that nobody signed it
    ends = BlockEnds()
    if distrusted:
        checks.append(ends)
    report = verify_log(where, checks)
    believed = BelievedKeys(report.key_changes, keys, distrusted)
    traced = None
    try:
        traced = trace_checkpoint(note, believed)
    except Refused as refused:
        if not distrusted or refused.why not in (Why.UNTRUSTED, Why.UNSIGNED):
            raise
        report.checkpoint, report.checkpoint_counts = refused.reason, False
    if traced is not None and traced.steps > 0:
        changes = "key change" if traced.steps == 1 else "key changes"
        report.checkpoint_signed_by = (f"{key_text(traced.key)}, {traced.steps} {changes} after a "
                                       "key given")
    if distrusted:
        report.proven = what_is_proven(report, believed, traced and traced.checkpoint, ends)
    return report, traced


# --- The program ---------------------------------------------------------------------------------


def hashing_text(hashing: Hashing) -> str:
    line = f"hashed: {hashing.segments} segments"
    if hashing.segments:
        line += f", up to record {hashing.last_sequence}"
    if hashing.missing_files:
        line += f" ({hashing.missing_files} without a sound tree file)"
    if not hashing.unhashed_records:
        return line + "; no unhashed records"
    return line + (f"; unhashed tail: {hashing.unhashed_records} records, "
                   f"{hashing.unhashed_bytes} bytes, from record {hashing.unhashed_from} (CRCs "
                   "alone)")


def text(report: Report) -> str:
    lines = [f"{'ok' if report.ok else 'NOT OK'}: {report.records} records, sequence "
             f"{report.first_sequence} to {report.last_sequence}, {report.blocks} blocks in "
             f"{report.segments} segments, {report.bytes} bytes"]
    closed = ", closed cleanly" if report.sealed else ""
    lines.append(f"root {report.root}  log {report.log_id} ({report.integrity}){closed}")
    if report.tree_root:
        lines.append(f"tree {report.tree_root}  size {report.tree_size}")
    if report.hashing:
        lines.append(hashing_text(report.hashing))
    if report.first_segment > 1:
        lines.append(f"the first segment is {report.first_segment}: older ones were removed")
    if report.checkpoint:
        lines.append(f"checkpoint: {report.checkpoint}")
        if report.checkpoint_signed_by:
            lines.append(f"  signed with {report.checkpoint_signed_by}")
    if report.proven is not None:
        proven = report.proven
        lines.append("proven: nothing" if not proven["by"] else
                     f"proven: up to record {proven['last_sequence']} ({proven['blocks']} blocks), "
                     f"by {proven['by']}")
    if report.faults:
        lines.append(f"first of {len(report.faults)} faults: {report.faults[0]}")
    if report.tail:
        lines.append(f"torn tail of {report.torn_tail_bytes} bytes: {report.tail}")
    return "\n".join(lines)


DESCRIPTION = """\
Verify a log, a checkpoint of it, or a proof, from the format's document alone.

A log: all that the tables of section 11 of the document say can be found; with integrity crc32c
every block of a hashed segment against its tree file, and how much is not hashed yet is said. With
--checkpoint also a log that was cut, put back to an older copy, forked or rewritten since that
checkpoint was signed, or that is another one; the key given may be the log's first one, the changes
of its key (section 20) are followed, and a key that was stolen can be left out. A proof: that a
record is in the log of a signed checkpoint, or that a log of one signed checkpoint begins with that
of an older one; it takes no log, hence no key but those given. Not covered: whether a key is whose
you believe it is, and whether what a log says is true."""
EPILOG = """\
Exit status: 0 it is as it should be; 1 it is not, or no given key has signed it; 2 wrong use,
nothing there to verify, or nothing to go by: a proof in another version, a checkpoint of blocks
that were removed with the oldest segments."""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, nargs="?", metavar="LOG_DIRECTORY_OR_SEGMENT_FILE")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE",
                        help="a signed checkpoint that the log must hold")
    parser.add_argument("--proof", type=Path, metavar="FILE", help="check a proof, not a log")
    parser.add_argument("--key", action="append", default=[], metavar="KEY",
                        help="a verifier key, or a file that holds one; may be given again")
    parser.add_argument("--distrust", action="append", default=[], metavar="KEYID[@SIZE]",
                        help="a key whose word on trees of SIZE blocks and more does not count")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="print nothing, only exit")
    options = parser.parse_args(arguments)
    if (options.log is None) == (options.proof is None):
        parser.error("name a log or a proof, not both")
    if options.proof and options.checkpoint:
        parser.error("a proof brings its own checkpoint")
    if bool(options.key) != bool(options.proof or options.checkpoint):
        parser.error("--key goes with --checkpoint or --proof, and those with a key")
    if options.distrust and not options.checkpoint:
        parser.error("--distrust goes with --checkpoint")
    return options


def key_of(given: str) -> Key:
    """A key, or the one in a file; no file's name is a key."""
    try:
        return parse_key(given)
    except Refused as error:
        if not Path(given).is_file():
            raise Refused(f"{error.reason}: {given}", Why.USE) from None
        return parse_key(Path(given).read_text(encoding="utf-8", errors="replace").rstrip("\n"))


def distrusted_of(given: Sequence[str]) -> dict[bytes, int]:
    """By key id, the size from which on it is not believed; the smallest given."""
    sizes: dict[bytes, int] = {}
    for text_of_it in given:
        key_id, _, size = text_of_it.partition("@")
        require(re.fullmatch("[0-9A-Fa-f]{8}", key_id) is not None, "distrusted_key_id", Why.USE)
        from_size = 0
        if text_of_it != key_id:
            require(re.fullmatch("[0-9]{1,20}", size) is not None, "distrusted_size", Why.USE)
            from_size = int(size)
        name = bytes.fromhex(key_id)
        sizes[name] = min(from_size, sizes.get(name, from_size))
    return sizes


def bytes_of(path: Path, largest: int) -> bytes:
    """A file's bytes, and one more if there are too many."""
    with path.open("rb") as file:
        return file.read(largest + 1)


def log_verdict(options: argparse.Namespace) -> tuple[int, dict, str]:
    """Exit status, and what is printed as JSON or as text."""
    if options.checkpoint:
        keys = [key_of(key) for key in options.key]
        note = bytes_of(options.checkpoint, NOTE_BYTES_MAX)
        report, _ = verify_log_and_checkpoint(options.log, note, keys,
                                              distrusted_of(options.distrust))
    else:
        report = verify_log(options.log)
    status = 0 if report.ok else 1
    if report.ok and report.checkpoint == CheckpointCheck.OUT_OF_REACH:
        status = 2
    return status, report.as_json(), text(report)


def printable(payload: bytes) -> str:
    """Anybody's bytes as text that does nothing to a terminal."""
    text_of_it = payload.decode(errors="backslashreplace")
    return "".join(character if character.isprintable()
                   else character.encode("unicode_escape").decode() for character in text_of_it)


PROOF_BYTES_MAX = 96 << 20  # a record of 64 MiB in Base64, and room for the rest


def proof_verdict(options: argparse.Namespace) -> tuple[int, dict, str]:
    keys = [key_of(key) for key in options.key]
    proven = check_proof(bytes_of(options.proof, PROOF_BYTES_MAX), keys)
    if isinstance(proven, ProvenRecord):
        checkpoint = proven.checkpoint
        fields = {"kind": "record", "sequence": proven.sequence, "type": proven.type,
                  "record": proven.payload.decode(errors="backslashreplace")}
        line = (f"ok: record {proven.sequence} is in the log of {checkpoint.origin}, "
                f"{checkpoint.tree_size} blocks\n{printable(proven.payload)}")
    else:
        older, checkpoint = proven
        fields = {"kind": "consistency", "old_size": older.tree_size}
        line = (f"ok: the log of {checkpoint.origin} with {checkpoint.tree_size} blocks begins "
                f"with that of {older.tree_size}")
    fields |= {"origin": checkpoint.origin, "log_id": checkpoint.log_id.hex(),
               "tree_size": checkpoint.tree_size, "checkpoint_time_ns": checkpoint.time_ns}
    return 0, {"ok": True, **fields}, line


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        status, fields, lines = (proof_verdict if options.proof else log_verdict)(options)
    except Refused as refused:
        status = 1 if refused.why in (Why.BROKEN, Why.UNSIGNED, Why.UNTRUSTED) else 2
        fields = {"ok": False, "finding": refused.why.value, "reason": refused.reason}
        lines = f"NOT OK: {refused.reason}"
    except OSError as error:
        print(f"ledger_verify: {error}", file=sys.stderr)
        return 2
    if not options.quiet:
        print(json.dumps(fields) if options.json else lines)
    return status


if __name__ == "__main__":
    sys.exit(main())
