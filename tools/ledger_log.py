"""Walks over a log's segments and says what is wrong with it, from docs/ledger_format.md alone.

verify_log() is the way in. Section numbers in comments are those of the document.
"""
from __future__ import annotations

import enum
import fcntl
import itertools
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ledger_key_change import KeyChange, KeyChanges
from ledger_note import Refused
from ledger_segment import (BLOCK_HEADER_BYTES, CRC32C, INTEGRITY_NAMES, PAGE, RECORD_HEADER_BYTES,
                            Block, Broken, Position, Segment, check_header_pages,
                            intact_block_header, parse_segment, previous_end_of, read_header_pages)
from ledger_tree_file import Hashing, TreeFileCheck

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


# --- A log ---------------------------------------------------------------------------------------


class SegmentFile(NamedTuple):
    number: int | None  # None: not named as a segment, the header says it
    path: Path

    def read(self) -> bytes:
        """The segment's bytes; of a compressed one (section 14) what the program zstd gives."""
        if self.path.suffix != ".zst":
            return self.path.read_bytes()
        program = shutil.which("zstd")
        if program is None:
            raise OSError(f"{self.path} is compressed: install zstd, or decompress it by hand")
        done = subprocess.run([program, "-dcq", "--", self.path], capture_output=True, check=False)
        if done.returncode != 0:
            raise OSError(f"{self.path}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout


_KEY_CHANGE_NAME = re.compile(r"(\d{12,})\.keychange")


def carried_key_changes(where: Path) -> list[tuple[int, bytes]]:
    """Key changes that are no records any more (section 20), by the sequence they had."""
    if not where.is_dir():
        return []
    matches = ((_KEY_CHANGE_NAME.fullmatch(path.name), path) for path in where.iterdir())
    numbered = ((int(match[1]), path) for match, path in matches if match)
    return sorted((number, path.read_bytes()) for number, path in numbered
                  if number >= 1 and path.name == f"{number:012}.keychange")


_SEGMENT_NAME = re.compile(r"(\d{12,})\.segment")


def segment_number_of(name: str) -> int | None:
    """The number a file name means, in its one spelling."""
    plain = name.removesuffix(".zst")
    match = _SEGMENT_NAME.fullmatch(plain)
    number = int(match[1]) if match else 0
    return number if number >= 1 and plain == f"{number:012}.segment" else None


def segment_files(where: Path) -> list[SegmentFile]:
    """A directory's segments by number, or the one file. The plain form counts before the other."""
    if not where.is_dir():
        return [SegmentFile(segment_number_of(where.name), where)]
    numbered = ((segment_number_of(path.name), path) for path in where.iterdir() if path.is_file())
    found: dict[int, SegmentFile] = {}
    for number, path in numbered:
        if number is not None and (number not in found or path.suffix != ".zst"):
            found[number] = SegmentFile(number, path)
    return [found[number] for number in sorted(found)]


class Check:
    """More to check than the log itself, such as a checkpoint. Override what is needed.

    `segment` is called for each segment with a header to go by, then `block` for each of its valid
    blocks in order; block.chain is its leaf of the tree. `finish` is called once, and what it
    returns is added to the report.
    """

    def segment(self, segment: Segment) -> None:
        """A segment was read, as far as it is valid."""

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
    writer_active: bool = False  # then a tail is the writer's open block
    torn_tail_bytes: int = 0
    tail: Fault | None = None  # where a torn tail begins
    faults: list[Fault] = field(default_factory=list)
    fail_overs: int = 0  # segments that end without a seal, as the next says
    key_changes: list[KeyChange] = field(default_factory=list)  # that hold; section 20
    hashing: Hashing | None = None  # with crc32c
    tree_size: int | None = None  # None with crc32c, which has no tree in its segments
    tree_root: str | None = None
    checkpoint: str | None = None  # what CheckpointCheck says, if asked
    checkpoint_signed_by: str | None = None  # if that is another key than those given
    checkpoint_counts: bool = True  # no key that signed it is one not to be trusted
    proven: dict | None = None  # if keys are not to be trusted: how far others' word reaches

    @property
    def finding(self) -> Finding:
        """The gravest thing found."""
        if any(fault.reason != HEADER_COPY_REASON for fault in self.faults):
            return Finding.CORRUPTION
        if self.tail and not self.writer_active:
            return Finding.TORN_TAIL
        return Finding.HEADER_COPY if self.faults else Finding.SOUND

    @property
    def ok(self) -> bool:
        return self.finding is Finding.SOUND and self.checkpoint_counts

    def place(self) -> Fault | None:
        """Where the finding is: the first fault, else the torn tail."""
        return self.faults[0] if self.faults else self.tail

    def as_json(self) -> dict:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__
                  if name not in ("faults", "tail", "key_changes", "hashing")}
        first = self.faults[0] if self.faults else None
        return {"ok": self.ok, "finding": self.finding.value, **fields,
                "hashing": vars(self.hashing) if self.hashing else None,
                "key_changes": len(self.key_changes), "faults": len(self.faults),
                "first_fault": vars(first) if first else None,
                "torn_tail": vars(self.tail) if self.tail else None}


class LogVerifier:
    """One walk over a log's segments.

    It ends at a torn tail. Behind corruption it goes on with the next segment, whose header it then
    has to believe, so that one fault does not hide others.
    """

    def __init__(self, files: Sequence[SegmentFile], checks: Sequence[Check] = (),
                 carried: Sequence[tuple[int, bytes]] = (), trees: TreeFileCheck | None = None):
        self.files = list(files)
        self.trees = trees
        self.carried = list(carried)  # key changes
        self.checks = list(checks)
        self.report = Report(first_segment=self.files[0].number or 0)
        self.key_changes = KeyChanges()
        self.report.key_changes = self.key_changes.changes
        self.position: Position | None = None
        self.linked = False  # position is what the next segment must continue

    def run(self) -> Report:
        is_torn = False
        for index, file in enumerate(self.files):
            if is_torn := not self._pass_gap(index):
                break
            records, stored = self.report.records, self.report.bytes
            is_torn = not self._verify_file(index, file)
            if self._is_hashed_aside():
                self.trees.count(file.number, self.report.records - records,
                                 self.report.bytes - stored, self._sequence() - 1)
            if is_torn:
                break
        if self._is_hashed_aside():
            self.report.hashing = self.trees.hashing
            if cut := self.trees.end_log(self.files[-1].number, is_torn):
                self._fault(self.files[-1].number, cut, 0)
        self._take_position()
        for check in self.checks:
            self.report.faults += check.finish(self.report)
        return self.report

    def _is_hashed_aside(self) -> bool:
        return self.trees is not None and self.report.integrity == INTEGRITY_NAMES[CRC32C]

    def _pass_gap(self, index: int) -> bool:
        """True if no segment is missing before this one, or it is known that one was lost."""
        if index == 0 or self.files[index].number == self.files[index - 1].number + 1:
            return True
        missing = Segment(self.files[index - 1].number + 1, read_header_pages(b""),
                          stop=Broken(0, "segment_missing"), does_not_follow=not self.linked)
        return self._judge(missing, b"", index)

    def _verify_file(self, index: int, file: SegmentFile) -> bool:
        """True if there is reason to look at the next."""
        data = file.read()
        following = self.files[index + 1] if index + 1 < len(self.files) else None
        end = 0
        if following is not None and following.number == file.number + 1:
            end = previous_end_of(following.read()[:2 * PAGE], following.number)
        segment, position = parse_segment(data, file.number, self.position if self.linked else None,
                                          end)
        self.report.sealed = segment.sealed
        if segment.valid_bytes:
            self._enter(segment)
            self.position = position
            self.linked = True
            self._count(segment)
        if segment.stop is not None:
            return self._judge(segment, data, index + 1)
        if not segment.sealed:
            self.report.fail_overs += 1
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
            self._begin_key_changes(segment)
        sequence = self.position.sequence if self.linked else header.first_sequence
        damaged = segment.pages.damaged_copy()
        if damaged is not None:
            self._fault(segment.number, Broken(damaged, HEADER_COPY_REASON), damaged, sequence)
        if segment.stray is not None:
            self._fault(segment.number, segment.stray, 0, sequence)

    def _begin_key_changes(self, segment: Segment) -> None:
        header = segment.pages.header
        carried = [one for one in self.carried if one[0] < header.first_sequence]
        try:
            self.key_changes.begin(header.log_id, carried)
        except Refused as error:
            self._fault(segment.number, Broken(0, error.reason), 0, header.first_sequence)

    def _count(self, segment: Segment) -> None:
        report = self.report
        report.segments += 1
        report.bytes += segment.valid_bytes
        begins = segment.pages.header.first_sequence
        trees = self.trees
        if trees is not None:
            for broken in trees.begin_segment(segment):
                self._fault(segment.number, broken, 0, begins)
            segment.tree_before = trees.before
        self.key_changes.enter(segment)
        for check in self.checks:
            check.segment(segment)
        for block in segment.blocks:
            report.blocks += 1
            report.records += block.header.record_count
            report.payload_bytes += sum(len(r.entry) - RECORD_HEADER_BYTES for r in block.records)
            for record, broken in self.key_changes.check(block):
                self._fault(segment.number, broken, block.offset, record.sequence)
            if trees is not None and (broken := trees.block(block)):
                self._fault(segment.number, broken, block.offset, block.header.first_sequence)
            for check in self.checks:
                check.block(segment, block)
        if trees is not None:
            if broken := trees.end_segment(segment, self._sequence() - 1):
                self._fault(segment.number, broken, segment.valid_bytes)

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
        promised = segment.end > segment.stop_at or self._is_promised(rest, later)
        if segment.does_not_follow or promised:
            self._fault(segment.number, segment.stop, segment.stop_at)
            self.linked = False
            return True
        files = (file.read() for file in self.files[later:])
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
            data = file.read()
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
        header = intact_block_header(data[at:at + BLOCK_HEADER_BYTES], log_id)
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


def is_locked(directory: Path) -> bool:
    """Whether a writer holds the log's lock (section 1)."""
    try:
        with (directory / "LOCK").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def verify_log(where: Path | str, checks: Sequence[Check] = ()) -> Report:
    """Verifies a log's directory or one segment file. FileNotFoundError if there is no segment."""
    where = Path(where)
    # Tree files before segments: what the newest of them speaks of is there then.
    trees = TreeFileCheck(where) if where.is_dir() else None
    files = segment_files(where)
    if not files:
        raise FileNotFoundError(f"{where} holds no log: no segment file")
    verifier = LogVerifier(files, checks, carried_key_changes(where), trees)
    # Asked before reading: a writer that ends meanwhile leaves more behind, not less.
    verifier.report.writer_active = where.is_dir() and is_locked(where)
    return verifier.run()
