#!/usr/bin/env python3
"""Held-out errors of the forecasters with and without the neural member.

    forecast.py --grace BIN --ablation BIN [--seeds 31-32] [--days 3] [--shared DIR]

Feeds `forecast_ablation` (built beside the benchmarks) with `grace gen --profile week`, and, with
--shared, with the series of the Numenta Anomaly Benchmark taken as a value a bin. Prints a JSON
object a data set and horizon; what the figures mean is in forecast.md.
"""
import argparse
import csv
import json
import os
import subprocess

MINUTE_NS = 60 * 10**9


def of_week(grace, seed, days, write):
    with subprocess.Popen([grace, "gen", "--profile", "week", "--days", str(days), "--seed",
                           str(seed)], stdout=subprocess.PIPE, text=True) as stream:
        for line in stream.stdout:
            if '"kind":"metric"' not in line:
                continue
            event = json.loads(line)
            write("%d/%s/%s %d %r\n" % (seed, event["service"], event["metric"],
                                        event["ts"] // MINUTE_NS, event["value"]))


def of_benchmark(shared, write):
    data = os.path.join(shared, "data", "nab", "data")
    for folder, _, names in sorted(os.walk(data)):
        for name in sorted(names):
            if not name.endswith(".csv"):
                continue
            with open(os.path.join(folder, name), newline="", encoding="utf-8") as file:
                for minute, row in enumerate(csv.DictReader(file)):
                    write("%s %d %s\n" % (name, minute, row["value"]))


def ablate(program, name, produce):
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as ablation:
        produce(ablation.stdin.write)
        ablation.stdin.close()
        for line in ablation.stdout:
            print(json.dumps({"data": name, **json.loads(line)}), flush=True)
    if ablation.returncode != 0:
        raise SystemExit("forecast.py: forecast_ablation failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace", required=True)
    parser.add_argument("--ablation", required=True)
    parser.add_argument("--shared")
    parser.add_argument("--seeds", default="31-32", help="first-last")
    parser.add_argument("--days", type=int, default=3)
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")

    def weeks(write):
        for seed in range(int(first), int(last or first) + 1):
            of_week(arguments.grace, seed, arguments.days, write)
    ablate(arguments.ablation, "generated, seeds %s of %d days" % (arguments.seeds, arguments.days),
           weeks)
    if arguments.shared:
        ablate(arguments.ablation, "nab development categories",
               lambda write: of_benchmark(arguments.shared, write))


if __name__ == "__main__":
    main()
