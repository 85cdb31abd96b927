#!/usr/bin/env python3
"""One decision digest for a generated stream, whatever the workers, the chunks and the repetition.

Usage: digest_test.py GRACE [--count N]     (3,000,000 is the full campaign)
"""
import json
import os
import subprocess
import sys
import tempfile

WORKERS = ("1", "2", "4")
CHUNKS = ("4KiB", "32KiB", "257KiB", "1MiB")
REPETITIONS = 2


def main():
    grace = sys.argv[1]
    count = int(sys.argv[sys.argv.index("--count") + 1]) if "--count" in sys.argv else 100_000
    with tempfile.TemporaryDirectory() as scratch:
        stream = os.path.join(scratch, "stream.ndjson")
        with open(stream, "wb") as file:
            subprocess.run([grace, "gen", "--profile", "mixed", "--count", str(count),
                            "--seed", "7", "--rate", "200", "--bad-lines", "0.001"],
                           stdout=file, check=True)
        digests = set()
        peak = 0
        for workers in WORKERS:
            for chunk in CHUNKS:
                for _ in range(REPETITIONS):
                    done = subprocess.run(
                        [grace, "replay", stream, "--json", "--workers", workers, "--chunk", chunk,
                         "--mode", "auto", "--arrival", "2027-01-01T00:00:00Z"],
                        capture_output=True, text=True, check=True)
                    summary = json.loads(done.stdout)
                    rejected = sum(summary["rejected"].values())
                    if summary["received"] != summary["accepted"] + rejected + summary["dropped"]:
                        raise SystemExit(f"not conserved: {done.stdout}")
                    if summary["received"] != count:
                        raise SystemExit(f"{count} lines, {summary['received']} received")
                    digests.add(summary["decision_digest"])
                    peak = max(peak, summary["peak_rss_bytes"])
        if len(digests) != 1:
            raise SystemExit(f"{len(digests)} digests: {digests}")
        if summary["records"] < 10 or rejected == 0:
            raise SystemExit("the stream made the engine decide nothing: a test of nothing")
        runs = len(WORKERS) * len(CHUNKS) * REPETITIONS
        print(f"{runs} runs of {count} events: digest {digests.pop()}, "
              f"{summary['records']} records, peak memory {peak / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
