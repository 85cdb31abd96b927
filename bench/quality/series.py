#!/usr/bin/env python3
"""Anomalies in one series: `grace score series` over NAB's development categories.

    bench/quality/series.py --grace build/release/bin/grace --shared DIR [--ablation] [--noise]

Prints one JSON object a line. The first is the score of the standard profile at the model's own
threshold; then one a category (a category's share of the raw score, windows hit, false positives),
with --ablation one for each member left out, and with --noise how often each kind of pure noise
raises an alarm. The scorer and the data are those in DIR.
"""
import argparse
import csv
import itertools
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time

THRESHOLD = 0.5  # models::SeriesAnomaly::kScoreThreshold
MEMBERS = ["pattern", "relative_pattern", "bounded_pattern", "new_value", "time_of_day", "hour",
           "level", "spread"]
PUBLISHED = "contextOSE 76.98, HTM 75.36, ARTime 74.80, NumentaTM 70.76, each at its best threshold"
PROFILES = ["standard", "reward_low_FP_rate", "reward_low_FN_rate"]


def series(data):
    for category in sorted(os.listdir(data)):
        for name in sorted(os.listdir(os.path.join(data, category))):
            if name.endswith(".csv"):
                yield category, name


def rows_of(path):
    with open(path, newline="") as file:
        return sum(1 for row in csv.reader(file) if row) - 1


def score_all(grace, data, results, options=()):
    """Writes RESULTS/<category>/<file>; rows scored and seconds taken, start of the program in."""
    rows, seconds = 0, 0.0
    for category, name in series(data):
        os.makedirs(os.path.join(results, category), exist_ok=True)
        source = os.path.join(data, category, name)
        target = os.path.join(results, category, name)
        with open(target, "w") as out:
            begin = time.monotonic()
            subprocess.run([grace, "score", "series", source, *options], stdout=out, check=True)
            seconds += time.monotonic() - begin
        scored = rows_of(target)
        if scored != rows_of(source):
            sys.exit(f"{target}: {scored} rows, wanted {rows_of(source)}")
        rows += scored
    return rows, seconds


def judge(shared, results, *options):
    """What the scorer says, by profile."""
    scorer = os.path.join(shared, "scoring", "nab_score.py")
    windows = os.path.join(shared, "data", "nab", "labels", "combined_windows.json")
    done = subprocess.run([sys.executable, scorer, results, "--windows", windows, "--json",
                           *options], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{scorer}: {done.stderr or done.stdout}")
    return json.loads(done.stdout)["profiles"]


def line(metric, value, detail, data="nab development categories", **more):
    print(json.dumps({"data": data, "metric": metric, "value": round(value, 2) + 0.0, **more,
                      "detail": detail}), flush=True)


def report(shared, results, rows, seconds):
    fixed = judge(shared, results, "--threshold", str(THRESHOLD))
    best = judge(shared, results)
    standard = fixed["standard"]
    detail = {"threshold": THRESHOLD, "windows_hit": standard["windows_hit"],
              "windows": standard["windows"], "false_positive_rows": standard["fp_rows"],
              "rows": rows, "microseconds_a_row_with_io": round(1e6 * seconds / rows, 2),
              "at_best_threshold": {name: round(best[name]["score"], 2) for name in PROFILES},
              "at_own_threshold": {name: round(fixed[name]["score"], 2) for name in PROFILES}}
    line("standard profile, one threshold", standard["score"], detail, floor=70.8, goal=77.0,
         published=PUBLISHED)
    for category in sorted(os.listdir(os.path.join(shared, "data", "nab", "data"))):
        own = judge(shared, results, "--threshold", str(THRESHOLD), "--only", category)["standard"]
        others = judge(shared, results, "--except", category)["standard"]["threshold"]
        held = judge(shared, results, "--threshold", repr(others), "--only", category)["standard"]
        line(f"{category}: raw score", own["raw"],
             {"windows_hit": own["windows_hit"], "windows": own["windows"],
              "false_positive_rows": own["fp_rows"],
              "raw_at_threshold_of_the_others": round(held["raw"], 2) + 0.0,
              "threshold_of_the_others": round(others, 4)})


def ablation(grace, shared, data):
    for member in MEMBERS:
        with tempfile.TemporaryDirectory() as results:
            score_all(grace, data, results, ["--without", member])
            best = judge(shared, results)["standard"]
            line(f"without {member}: best threshold", best["score"],
                 {"threshold": round(best["threshold"], 4), "windows_hit": best["windows_hit"],
                  "false_positive_rows": best["fp_rows"]})


NOISES = {
    "normal": lambda dice, count: (dice.gauss(0, 1) for _ in range(count)),
    "without a mean": lambda dice, count: (math.tan(math.pi * (dice.random() - 0.5))
                                           for _ in range(count)),  # Cauchy
    "wandering": lambda dice, count: itertools.accumulate(dice.gauss(0, 1) for _ in range(count)),
}


def noise(grace, series_count=8, values=24000):
    """Alarms in series of noise, a value each five minutes."""
    for name, make in NOISES.items():
        scores = []
        for seed in range(series_count):
            with tempfile.NamedTemporaryFile("w", suffix=".csv") as source:
                source.write("timestamp,value\n")
                for i, value in enumerate(make(random.Random(seed), values)):
                    source.write("%d,%r\n" % (1396310400 + 300 * i, value))
                source.flush()
                done = subprocess.run([grace, "score", "series", source.name], check=True,
                                      capture_output=True, text=True)
            scores += [float(row.rsplit(",", 1)[1]) for row in done.stdout.splitlines()[1:]]
        alarms = sum(score >= THRESHOLD for score in scores)
        line(f"{name}: alarms in 1,000 values", 1000 * alarms / len(scores),
             {"values": len(scores), "alarms": alarms,
              "alarms_at_0.7": sum(score >= 0.7 for score in scores)}, data="noise")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace", required=True, help="the grace program")
    parser.add_argument("--shared", required=True, help="folder with scoring/ and data/")
    parser.add_argument("--ablation", action="store_true", help="leave each member out in turn")
    parser.add_argument("--noise", action="store_true", help="count the alarms on noise")
    arguments = parser.parse_args()
    data = os.path.join(arguments.shared, "data", "nab", "data")
    with tempfile.TemporaryDirectory() as results:
        rows, seconds = score_all(arguments.grace, data, results)
        report(arguments.shared, results, rows, seconds)
    if arguments.ablation:
        ablation(arguments.grace, arguments.shared, data)
    if arguments.noise:
        noise(arguments.grace)


if __name__ == "__main__":
    main()
