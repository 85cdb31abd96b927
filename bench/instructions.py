#!/usr/bin/env python3
"""Instructions an event of each stage, counted by callgrind and compared with a stored table.

    instructions.py STAGE_COST GRACE --compiler "GNU 12 x86_64 -O1 -g1"           compares
    instructions.py STAGE_COST GRACE --compiler "GNU 12 x86_64 -O1 -g1" --write   rewrites its row

Runs each stage over the first N and 2N events of one generated stream, so that the cost of an
event is (I(2N) - I(N)) / N: what a stage takes once is not in it. Unlike a time, the count does not
depend on how busy the machine is; it says nothing of caches and waiting. The libraries that choose
their code by the CPU are told which one, so that it does not depend on the CPU either.

Exits with 1 when a stage takes over 5% more than the table says; with 77, which ctest takes for
skipped, where the table has no row for the compiler and its flags or valgrind is missing.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TABLE = Path(__file__).with_name("instructions.json")
STAGES = {"parse": 4000, "detectors": 12000, "ordered": 12000, "append": 4000}  # events: N
# Event time so thin that each series' bins close, twice in N events; and no thinner: the ticks of
# event time would count for more than they do in a real stream.
STREAM = ["--services", "20", "--rate", "100", "--seed", "7"]
TOLERANCE = 0.05
SKIPPED = 77
# simdjson: code for x86-64-v2, which is what every CPU of the last decade has. OpenSSL and glibc:
# what every x86-64 CPU has; OpenSSL's SHA-256 is in the ordered stage's digest.
FIXED = {"SIMDJSON_FORCE_IMPLEMENTATION": "westmere", "OPENSSL_ia32cap": "0:0",
         "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM"}


def counted(arguments, folder, stage, events):
    """Instructions inside grace_measured()."""
    out = folder / f"{stage}.{events}"
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--quiet", "--toggle-collect=grace_measured*",
         f"--callgrind-out-file={out}", arguments.stage_cost, stage, folder / "stream",
         str(events)],
        capture_output=True, text=True, check=False, env={**os.environ, **FIXED})
    if done.returncode != 0:
        sys.exit(f"instructions: {stage}, {events} events: exit {done.returncode}\n{done.stderr}")
    found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None or int(found.group(1)) == 0:
        sys.exit(f"instructions: {stage}: callgrind counted nothing in grace_measured()")
    return int(found.group(1))


def measured(arguments):
    """Instructions an event by stage."""
    with tempfile.TemporaryDirectory(prefix="grace-instructions-") as name:
        folder = Path(name)
        with open(folder / "stream", "wb") as stream:
            subprocess.run([arguments.grace, "gen", "--count", str(2 * max(STAGES.values())),
                            *STREAM], stdout=stream, check=True)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            runs = {(stage, times): pool.submit(counted, arguments, folder, stage, times * events)
                    for stage, events in STAGES.items() for times in (1, 2)}
            counts = {run: future.result() for run, future in runs.items()}
    return {stage: round((counts[stage, 2] - counts[stage, 1]) / events, 1)
            for stage, events in STAGES.items()}


def compare(got, wanted):
    """Prints the table; the number of stages that take too many."""
    failed = 0
    for stage, instructions in got.items():
        if stage not in wanted:
            print(f"{stage:10} {instructions:10.1f}  not in the table")
            failed += 1
            continue
        change = instructions / wanted[stage] - 1
        verdict = "ok"
        if change > TOLERANCE:
            verdict = f"FAILED: over {TOLERANCE:.0%} more"
            failed += 1
        elif change < -TOLERANCE:
            verdict = "less: rewrite the table, so that it stays so"
        print(f"{stage:10} {instructions:10.1f}  table {wanted[stage]:10.1f}  {change:+.1%}  "
              f"{verdict}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage_cost")
    parser.add_argument("grace")
    parser.add_argument("--compiler", required=True, help="its name, major version and flags")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--write", action="store_true", help="put what is counted into the table")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("instructions: no valgrind on this machine: skipped")
        sys.exit(SKIPPED)
    table = json.loads(arguments.table.read_text(encoding="utf-8"))
    if arguments.compiler not in table and not arguments.write:
        print(f"instructions: no baseline for this compiler ({arguments.compiler}): skipped")
        sys.exit(SKIPPED)
    got = measured(arguments)
    if arguments.write:
        table[arguments.compiler] = got
        arguments.table.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n",
                                   encoding="utf-8")
        print(f"{arguments.table}: {arguments.compiler}: {got}")
        return
    sys.exit(1 if compare(got, table[arguments.compiler]) else 0)


if __name__ == "__main__":
    main()
