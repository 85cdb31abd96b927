"""What agreement_test.py and proof_agreement_test.py have in common: the library's side as a
process, the table of verdicts, and the program around them."""
from __future__ import annotations

import argparse
import collections
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class Engine:
    """One of log_tool's commands that answer a line with a line of JSON."""

    def __init__(self, tool: str, command: str):
        self.process = subprocess.Popen([tool, command], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def __call__(self, line: Path | str) -> dict:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Tally:
    """How many samples of each kind got which verdict, and on how many the two sides differ."""

    def __init__(self, verdicts: Sequence[str]) -> None:
        self.names = list(verdicts)
        self.counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        self.disagreements = 0

    def count(self, kind: str, verdict: str) -> None:
        self.counts[kind][verdict] += 1

    def disagree(self, story: str, found: Sequence[str] = ()) -> None:
        self.disagreements += 1
        print("\n  ".join([story, *found]))

    def print(self) -> None:
        print(f"{'':24}" + "".join(f"{name:>13}" for name in self.names))
        total = sum(self.counts.values(), collections.Counter())
        for kind, counts in [*sorted(self.counts.items()), ("all", total)]:
            print(f"{kind:24}" + "".join(f"{counts[name]:13}" for name in self.names))


def memory_folder() -> str | None:
    """Where files do not reach a disk, if there is such a place with room."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 64 << 20 else None


def run_comparison(description: str, kinds: Sequence[str], default_count: int,
                   run: Callable[[argparse.Namespace, Path], Tally]) -> int:
    """Arguments, a folder for `run`, the table, and the exit status."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("tool")
    parser.add_argument("--count", type=int, default=default_count)
    parser.add_argument("--first", type=int, default=0, help="number of the first sample")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=kinds)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        tally = run(options, Path(folder))
    tally.print()
    print(f"{options.count} samples, {tally.disagreements} disagreements, "
          f"{time.monotonic() - began:.1f} s")
    return 1 if tally.disagreements else 0
