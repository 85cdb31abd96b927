#!/usr/bin/env python3
"""Sets what the library says of checkpoints and proofs beside what tools/ledger_verify.py says.

    proof_agreement_test.py LOG_TOOL [--count 400] [--seed 1] [--keep FOLDER] [--only KIND]

Writes a few signed logs with the library, makes good and damaged checkpoints and proofs of them,
and compares both verdicts on each. A disagreement is a mistake on one side, or a hole in
docs/ledger_format.md. --keep saves the samples in question. The whole campaign:

    python3 tests/ledger/proof_agreement_test.py build/dev/tests/ledger/ledger_log_tool \\
        --count 20000
"""
from __future__ import annotations

import argparse
import hashlib
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import ledger_verify as verifier  # noqa: E402
from agreement_run import Engine, Tally, run_comparison  # noqa: E402
from agreement_samples import SEGMENT_BYTES  # noqa: E402
from ledger_note import Refused, Why, key_text, parse_key  # noqa: E402
from ledger_proof import ProvenRecord, check_proof  # noqa: E402
from proof_forgeries import KINDS, make_sample  # noqa: E402
from proof_samples import (HEIRS, OWN, Model, Sample, checkpoint_text,  # noqa: E402
                           consistency_fields, record_fields)

SIGNED = "record_trees=1 flush_every=2"
# The engine's error codes (error.h), in our words.
CODES = {1: "use", 6: "broken", 7: "unsigned", 8: "unsupported", 11: "untrusted"}
VERDICTS = ["holds", *(why.value for why in Why)]
# Code 7 is kNotFound for both.
WORDS = {verifier.CheckpointCheck.HOLDS: "holds", verifier.CheckpointCheck.OUT_OF_REACH: "unsigned"}


def write(tool: str, directory: Path, settings: str) -> None:
    command = [tool, "write", str(directory), f"segment_bytes={SEGMENT_BYTES}"]
    subprocess.run(command + settings.split(), check=True)


def write_logs(tool: str, folder: Path) -> dict[str, Path]:
    """The log "main", others that have its id and are not it, and others altogether."""
    key = folder / "own.key"
    key.write_text(OWN.signer_text(), encoding="utf-8")
    logs = {name: folder / name for name in ("main", "other", "crc32c", "killed")}
    write(tool, logs["main"], f"{SIGNED} records=20 record_bytes_max=200 signer={key}")
    for name in ("early", "fork"):
        logs[name] = folder / name
        shutil.copytree(logs["main"], logs[name])
    write(tool, logs["main"], f"{SIGNED} records=50 seed=2 signer={key}")
    write(tool, logs["fork"], f"{SIGNED} records=50 seed=3")
    write(tool, logs["other"], f"{SIGNED} records=40 signer={key}")
    write(tool, logs["crc32c"], "records=20 integrity=crc32c")
    write_rotated(tool, logs, folder)
    shutil.copytree(logs["main"], logs["killed"], dirs_exist_ok=True)
    write(tool, logs["killed"], f"{SIGNED} records=9 end=killed")
    for removed in (1, 2, 4):
        without_oldest(logs, folder, "main", removed)
    for removed in (1, 2, 3):
        cut_blocks(logs, folder, removed)
    return logs


def write_rotated(tool: str, logs: dict[str, Path], folder: Path) -> None:
    """A log whose key changed twice, and what is left of it where segments with a change went."""
    keys = []
    logs["rotated"] = folder / "rotated"
    for signer in (OWN, *HEIRS):
        keys.append(folder / f"epoch_{len(keys) + 1}.key")
        keys[-1].write_text(signer.signer_text(), encoding="utf-8")
        if len(keys) > 1:
            subprocess.run([tool, "rotate", str(logs["rotated"]), *map(str, keys[-2:]),
                            f"segment_bytes={SEGMENT_BYTES}", "record_trees=1"], check=True)
        write(tool, logs["rotated"], f"{SIGNED} records=16 signer={keys[-1]}")
    for removed in (2, 4):
        without_oldest(logs, folder, "rotated", removed)


def without_oldest(logs: dict[str, Path], folder: Path, name: str, removed: int) -> None:
    copy = f"{'' if name == 'main' else name + '_'}without_{removed}"
    logs[copy] = folder / copy
    shutil.copytree(logs[name], logs[copy])
    for file in verifier.segment_files(logs[copy])[:removed]:
        file.path.unlink()


def cut_blocks(logs: dict[str, Path], folder: Path, count: int) -> None:
    """main without its last blocks, as if they had never been: cut between two."""
    name = f"cut_{count}"
    logs[name] = folder / name
    shutil.copytree(logs["main"], logs[name])
    for _ in range(count):
        file = verifier.segment_files(logs[name])[-1]
        segment, _ = verifier.parse_segment(file.path.read_bytes(), file.number)
        if segment.blocks:
            with file.path.open("r+b") as opened:
                opened.truncate(segment.blocks[-1].offset)
        else:
            file.path.unlink()


class Verdict(dict):
    """`verdict` in the words of CODES, or "holds" and what was proven."""


def engines(answer: dict) -> Verdict:
    if "error" in answer:
        return Verdict(verdict=CODES.get(answer["code"], answer["code"]))
    return Verdict(answer, verdict="holds")


def ours(sample: Sample, logs: dict[str, Path]) -> Verdict:
    try:
        keys = [parse_key(key) for key in sample.keys]
        if sample.log is None:
            return proof_verdict(check_proof(sample.data, keys))
        report, traced = verifier.verify_log_and_checkpoint(logs[sample.log], sample.data, keys)
    except Refused as refused:
        return Verdict(verdict=refused.why.value, reason=refused.reason)
    verdict = WORDS.get(report.checkpoint, Why.BROKEN.value)
    if verdict != "holds":
        return Verdict(verdict=verdict, reason=report.checkpoint)
    return Verdict(fields_of(traced.checkpoint), verdict=verdict, signed_by=key_text(traced.key),
                   steps=traced.steps)


def fields_of(checkpoint: verifier.Checkpoint) -> dict:
    return {"origin": checkpoint.origin, "tree_size": checkpoint.tree_size,
            "root": checkpoint.root.hex(), "log_id": checkpoint.log_id.hex(),
            "sequence": checkpoint.sequence, "time_ns": checkpoint.time_ns}


def proof_verdict(proven: object) -> Verdict:
    if not isinstance(proven, ProvenRecord):
        return Verdict(verdict="holds")
    return Verdict(fields_of(proven.checkpoint), verdict="holds", record=proven.sequence,
                   type=proven.type, payload_hash=hashlib.sha256(proven.payload).hexdigest())


def differences(engine: Verdict, python: Verdict) -> list[str]:
    names = {"verdict"} | (set(python) - {"reason"} if engine["verdict"] == "holds" else set())
    return [f"{name}: engine {engine.get(name)!r}, python {python.get(name)!r}"
            for name in sorted(names) if engine.get(name) != python.get(name)]


def own_proofs(tool: str, main: Path, model: Model, folder: Path) -> list[str]:
    """The library's proofs beside those made from the document: the same to the byte."""
    keys, note, older = folder / "own.pub", folder / "new.note", folder / "old.note"
    keys.write_text(OWN.verifier_text(), encoding="utf-8")
    size, found = len(model.leaves), []
    last = model.checkpoint(size).sequence
    proofs = [(record_fields(model, sequence, size), [str(sequence)])
              for sequence in range(1, last + 1, 7)]
    proofs += [(consistency_fields(model, old, size), ["since", str(older)])
               for old in range(0, size + 1, 3)]
    for fields, words in proofs:
        note.write_bytes(fields.note if len(words) == 1 else fields.new_note)
        if len(words) > 1:
            older.write_bytes(fields.old_note)
        done = subprocess.run([tool, "prove", str(main), str(keys), str(note), *words],
                              capture_output=True, check=False)
        if done.stdout != fields.text():
            found.append(f"{words}: the library's proof differs {done.stderr.decode()}")
    return found


class Comparison:
    """Asks both sides about every sample."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        self.options = options
        self.folder = folder
        self.logs = write_logs(options.tool, folder)
        self.models = {name: Model(self.logs[name]) for name in ("main", "early", "fork", "other",
                                                              "rotated")}
        self.engines = {True: Engine(options.tool, "proof"),
                        False: Engine(options.tool, "checkpoint")}
        self.tally = Tally(VERDICTS)

    def ask(self, sample: Sample) -> Verdict:
        data, keys = self.folder / "sample", self.folder / "keys"
        data.write_bytes(sample.data)
        keys.write_text("".join(key + "\n" for key in sample.keys), encoding="utf-8")
        paths = [data, keys] if sample.log is None else [self.logs[sample.log], data, keys]
        return engines(self.engines[sample.log is None]("\t".join(map(str, paths))))

    def compare(self, kind: str, number: int | str, sample: Sample) -> None:
        python = ours(sample, self.logs)
        self.tally.count(kind, python["verdict"])
        if found := differences(self.ask(sample), python):
            self.tally.disagree(f"sample {number}: {sample.story}, log {sample.log}, "
                                f"{python.get('reason')}", found)
            if self.options.keep:
                self.options.keep.mkdir(parents=True, exist_ok=True)
                (self.options.keep / str(number)).write_bytes(sample.data)

    def compare_at_changes(self) -> None:
        """The last size that a key may sign, and the first that only the next one may."""
        model = self.models["rotated"]
        changes = verifier.verify_log(self.logs["rotated"]).key_changes
        line = [OWN, *HEIRS]
        for size in [size for change in changes for size in (change.blocks, change.blocks + 1)]:
            text = checkpoint_text(model.checkpoint(size))
            for signer, trusted in itertools.product(line, line):
                self.compare("at_key_change", f"change_{size}", Sample(
                    f"by {line.index(signer) + 1} for who trusts {line.index(trusted) + 1}",
                    "rotated", signer.sign(text), [trusted.verifier_text()]))

    def run(self) -> None:
        for text in own_proofs(self.options.tool, self.logs["main"], self.models["main"],
                               self.folder):
            self.tally.disagree(text)
        for name in ("main", "early", "other"):
            note = (self.logs[name] / "checkpoint").read_bytes()
            for log in self.logs:
                sample = Sample(f"the writer's, of {name}", log, note, [OWN.verifier_text()])
                self.compare("writers_checkpoint", name, sample)
        self.compare_at_changes()
        options = self.options
        for number in range(options.first, options.first + options.count):
            kind, sample = make_sample(self.models, self.logs, options.seed, number, options.only)
            self.compare(kind, number, sample)
        for engine in self.engines.values():
            engine.close()


def run(options: argparse.Namespace, folder: Path) -> Tally:
    comparison = Comparison(options, folder)
    comparison.run()
    return comparison.tally


def main() -> int:
    return run_comparison(__doc__.splitlines()[0], KINDS, 400, run)


if __name__ == "__main__":
    sys.exit(main())
