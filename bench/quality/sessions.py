#!/usr/bin/env python3
"""Scores `grace score sessions` on the public HDFS sessions; one JSON object a line.

    sessions.py --grace build/release/bin/grace --shared DIR

DIR/scoring holds the converter and the scorer, DIR/data/hdfs_1pct the sessions.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

POPULATION = 553366  # normal sessions of the full log, onto which false positives are projected


def run(grace, train, test, *options):
    """Output lines and seconds of one run."""
    begin = time.monotonic()
    done = subprocess.run([grace, "score", "sessions", "--train", train, *options, test],
                          capture_output=True, text=True, check=True)
    return done.stdout.splitlines(), time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace", required=True)
    parser.add_argument("--shared", required=True)
    options = parser.parse_args()
    sys.path.insert(0, os.path.join(options.shared, "scoring"))
    import convert
    import log_score
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(options.shared, "data", "hdfs_1pct")
        labels = convert.sequences(data, folder)
        train, test = (os.path.join(folder, name) for name in ("train.txt", "test.txt"))
        lines, seconds = run(options.grace, train, test, "--threshold", "auto")
        # One session to score: what is left of the time is learning.
        one = os.path.join(folder, "one.txt")
        with open(one, "w", encoding="ascii") as file:
            file.write("1\n")
        _, learning = run(options.grace, train, one)
        with open(train, encoding="ascii") as file:
            trained = sum(1 for _ in file)
    rows = [(float(score), int(flag)) for score, flag in (line.split() for line in lines)]
    normal, abnormal = ([row for row, label in zip(rows, labels) if label == wanted]
                        for wanted in (0, 1))
    result = log_score.flags([flag for _, flag in normal], [flag for _, flag in abnormal],
                             POPULATION)
    scores = [score for score, _ in normal], [score for score, _ in abnormal]
    best, at = log_score.best(*scores, POPULATION)
    print(json.dumps({
        "data": "hdfs_1pct", "metric": "F1", "value": round(result["f1"], 4),
        "floor": 0.96, "goal": 0.99,
        "published": "event+length+ECVC 0.988, DeepLog 0.935 to 0.96",
        "detail": {"true_positives": result["tp"], "missed": result["fn"],
                   "false_positives": result["fp_sampled"], "normals": result["normals"],
                   "f1_interval_95": [round(result["f1_low"], 4), round(result["f1_high"], 4)],
                   "precision": round(result["precision"], 4),
                   "recall": round(result["recall"], 4),
                   "roc_area": round(log_score.auc(*scores), 5),
                   "best_f1_with_labels": round(best, 4), "best_threshold": round(at, 2),
                   "us_a_session_learned": round(learning / trained * 1e6, 1),
                   "us_a_session_scored":
                       round(max(0.0, seconds - learning) / len(rows) * 1e6, 1)}}))


if __name__ == "__main__":
    main()
