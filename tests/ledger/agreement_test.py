#!/usr/bin/env python3
"""Sets the library's verify() beside tools/ledger_verify.py, written from the document alone.

    agreement_test.py LOG_TOOL [--count 300] [--seed 1] [--keep FOLDER] [--only KIND]

Writes a few logs with the library, makes many good and damaged samples of them, and compares what
both verifiers say about each. A writer then opens those that are sound or have a torn tail; they
must be sound afterwards and hold all that was valid. A disagreement is a mistake on one side, or a
hole in docs/ledger_format.md. --keep saves the samples in question. A sample depends on the seed
and its number (and on the logs' ids, which are random), so --count 1000 begins with the same ones
as --count 300. The whole campaign:

    python3 tests/ledger/agreement_test.py build/dev/tests/ledger/ledger_log_tool --count 20000
"""
from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import ledger_verify as verifier  # noqa: E402
from agreement_run import Engine, Tally, run_comparison  # noqa: E402
from proof_samples import HEIRS, OWN  # noqa: E402
from agreement_samples import KINDS, SEGMENT_BYTES, Log, make_sample  # noqa: E402
from ledger_segment import MAX_BLOCK_BYTES, PAGE  # noqa: E402
from ledger_tree_file import tree_files  # noqa: E402

# name: settings of each session, in order; a session after a killed one begins with recovery.
SOURCES: dict[str, list[str]] = {
    "closed": ["records=40"],
    "closed_other": ["records=40 seed=2"],  # the same shape under another id: for splices
    "closed_crc32c": ["records=40 integrity=crc32c"],
    "closed_crc32c_other": ["records=40 seed=2 integrity=crc32c"],
    "record_trees": ["records=60 record_trees=1 record_bytes_max=100"],
    "long_blocks": ["records=24 record_bytes_min=3000 record_bytes_max=9000 block_bytes=16384"],
    "one_segment": ["records=12 segment_bytes=131072"],
    "sessions": ["records=5", "records=7", "records=3"],
    "empty_sessions": ["records=0", "records=2", "records=0"],
    "killed": ["records=24 flush_every=4 end=killed"],
    "killed_open_block": ["records=26 flush_every=4 end=killed"],
    "killed_crc32c": ["records=26 flush_every=4 integrity=crc32c end=killed"],
    "hashed": ["records=40 integrity=crc32c hash_sealed=1"],
    "hashed_other": ["records=40 seed=2 integrity=crc32c hash_sealed=1"],
    "hashed_killed": ["records=30 integrity=crc32c hash_sealed=1",
                      "records=26 flush_every=4 integrity=crc32c end=killed"],
    "killed_at_once": ["records=1 flush_every=0 end=killed"],
    "killed_long": ["records=20 flush_every=3 record_bytes_min=2000 record_bytes_max=6000 "
                    "end=killed"],
    "recovered": ["records=14 flush_every=4 end=killed", "records=9"],
    "recovered_killed": ["records=14 flush_every=4 end=killed", "records=9 end=killed"],
    "unsynced": ["records=60 sync=0 end=killed"],
    "unsynced_unflushed": ["records=60 sync=0 flush_every=0 end=killed"],
}


def read_source(directory: Path) -> Log:
    return Log({file.number: file.path.read_bytes()
                for file in verifier.segment_files(directory)},
               {number: path.read_bytes() for number, path in tree_files(directory).items()})


def write_rotated(tool: str, directory: Path, folder: Path) -> None:
    """A hashed log whose signing key changed."""
    settings = [f"segment_bytes={SEGMENT_BYTES}", "integrity=crc32c", "hash_sealed=1"]
    keys = []
    for signer in (OWN, HEIRS[0]):
        keys.append(folder / f"{len(keys)}.key")
        keys[-1].write_text(signer.signer_text(), encoding="utf-8")
        if len(keys) == 2:
            subprocess.run([tool, "rotate", str(directory), *map(str, keys), *settings],
                           check=True)
        subprocess.run([tool, "write", str(directory), *settings, "records=20",
                        f"signer={keys[-1]}"], check=True)


def write_sources(tool: str, folder: Path) -> dict[str, Log]:
    sources = {}
    for name, sessions in SOURCES.items():
        directory = folder / name
        for session in sessions:
            command = [tool, "write", str(directory), f"segment_bytes={SEGMENT_BYTES}"]
            subprocess.run(command + session.split(), check=True)
        sources[name] = read_source(directory)
    directory = folder / "hashed_rotated"
    write_rotated(tool, directory, folder)
    sources["hashed_rotated"] = read_source(directory)
    for name in ("closed", "hashed", "hashed_rotated"):
        sources[f"{name}_oldest_removed"] = Log(
            {number: data for number, data in sources[name].items() if number > 2},
            {number: data for number, data in sources[name].trees.items() if number > 2})
    return sources


def store(log: Log, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for number, data in log.items():
        (directory / f"{number:012}.segment").write_bytes(data)
    for number, data in log.trees.items():
        (directory / f"{number:012}.tree").write_bytes(data)


SAME = ("ok", "segments", "blocks", "records", "bytes", "payload_bytes", "first_segment",
        "first_sequence", "last_sequence", "sealed", "torn_tail_bytes")
SAME_IF_READABLE = ("log_id", "integrity", "root")
SAME_IF_HASHED = ("segments", "last_sequence", "missing_files", "unhashed_records",
                  "unhashed_bytes", "unhashed_from")


def extent(log: Log, fault: verifier.Fault) -> int:
    """Where what begins at a fault's block_offset ends: the field at fault is anywhere in it."""
    if fault.block_offset < 2 * PAGE and fault.reason != verifier.HEADER_COPY_REASON:
        return 2 * PAGE
    data = log.get(fault.segment, b"")[fault.block_offset:fault.block_offset + 128]
    claimed = int.from_bytes(data[40:48], "little") if data.startswith(b"GRBLOCK1") else 0
    return fault.block_offset + max(PAGE, min(claimed, MAX_BLOCK_BYTES))


def differences(engine: dict, report: verifier.Report, log: Log) -> list[str]:
    if "error" in engine:
        return [f"engine: {engine['error']}"]
    ours = report.as_json()
    names = SAME + (SAME_IF_READABLE if engine["segments"] else ())
    found = [f"{name}: engine {engine[name]!r}, python {ours[name]!r}" for name in names
             if engine[name] != ours[name]]
    found += hashing_differences(engine, ours["hashing"])
    if engine["faults"] != len(report.faults):
        found.append(f"faults: engine {engine['faults']}, python {[str(f) for f in report.faults]}")
    return found + fault_differences(engine, report, log) + tail_differences(engine, report)


def hashing_differences(engine: dict, ours: dict | None) -> list[str]:
    spelt = {"segments": "hashed_segments", "last_sequence": "hashed_last_sequence",
             "missing_files": "missing_tree_files"}
    theirs = {name: engine[spelt.get(name, name)] for name in SAME_IF_HASHED}
    if ours is None:
        ours = dict.fromkeys(SAME_IF_HASHED, 0)
    return [] if theirs == ours else [f"hashing: engine {theirs}, python {ours}"]


def fault_differences(engine: dict, report: verifier.Report, log: Log) -> list[str]:
    theirs = engine["first_fault"]
    ours = report.faults[0] if report.faults else None
    if theirs is None or ours is None:
        return [] if theirs is ours else [f"first fault: engine {theirs}, python {ours}"]
    same = (theirs["segment"] == ours.segment and theirs["sequence"] == ours.sequence
            and ours.block_offset <= theirs["offset"] < extent(log, ours))
    return [] if same else [f"first fault: engine {theirs}, python {ours}"]


def tail_differences(engine: dict, report: verifier.Report) -> list[str]:
    theirs = engine["torn_tail_segment"], engine["torn_tail_offset"]
    ours = (report.tail.segment, report.tail.block_offset) if report.tail else (0, 0)
    return [] if theirs == ours else [f"torn tail: engine {theirs}, python {ours}"]


def recovery_differences(answer: dict, before: verifier.Report, directory: Path) -> list[str]:
    """A writer opens what is sound or has a torn tail, keeps all that is valid, leaves it sound."""
    if "error" in answer:
        return [f"recovery refuses {before.finding.value}: {answer['error']}"]
    after = verifier.verify_log(directory)
    damaged = len([fault for fault in after.faults if fault.reason == verifier.HEADER_COPY_REASON])
    mended = after.tail is None and damaged == len(after.faults) <= len(before.faults)
    found = [] if mended else [f"after recovery: {verifier.text(after)}"]
    if after.records < before.records or after.first_sequence != (before.first_sequence or 1):
        found.append(f"recovery kept {after.records} of {before.records} records")
    return found


def run(options: argparse.Namespace, folder: Path) -> Tally:
    sources = write_sources(options.tool, folder)
    verify, recover = Engine(options.tool, "verify"), Engine(options.tool, "recover")
    tally = Tally([finding.value for finding in verifier.Finding])
    for number in range(options.first, options.first + options.count):
        kind, story, log = make_sample(sources, options.seed, number, options.only)
        directory = folder / "sample"
        store(log, directory)
        verdict = verify(directory)
        report = verifier.verify_log(directory)
        tally.count(kind, report.finding.value)
        found = differences(verdict, report, log)
        if report.finding in (verifier.Finding.SOUND, verifier.Finding.TORN_TAIL):
            found += recovery_differences(recover(directory), report, directory)
        if found:
            tally.disagree(f"sample {number}: {story}", found)
            if options.keep:
                store(log, options.keep / str(number))
        shutil.rmtree(directory)
    verify.close()
    recover.close()
    return tally


def main() -> int:
    return run_comparison(__doc__.splitlines()[0], KINDS, 300, run)


if __name__ == "__main__":
    sys.exit(main())
