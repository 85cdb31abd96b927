#!/usr/bin/env python3
"""Scores `grace score changepoints` on the Turing Change Point Dataset series in DIR.

    changepoints.py --grace BIN --shared DIR              one JSON object: F1 over the series
    changepoints.py --grace BIN --shared DIR --ablation   a table: other constants, and what
                                                          leave-one-series-out would choose
"""
import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile

DECIDED = 0.5  # what the program documents; not tuned
# One change to the default constants each; the first is the default.
VARIANTS = ["", "hazard=0.002", "hazard=0.01", "segment_values_min=6", "segment_values_min=10",
            "outlier_share=0.003", "outlier_share=0.03", "outlier_scale=5", "outlier_scale=20",
            "shape=2", "memory_values=200", "memory_values=2000", "trend_slope=0.05",
            "trend_slope=0.2", "trend_share=0.3"]
ABLATIONS = ["trend_share=0", "tempered=0", "tempered=0 trend_share=0"]


class Series:
    def __init__(self, shared, folder):
        sys.path.insert(0, os.path.join(shared, "scoring"))
        import tcpd_score
        self.scorer = tcpd_score
        data = os.path.join(shared, "data", "tcpd")
        with open(os.path.join(data, "annotations.json"), encoding="utf-8") as file:
            self.annotations = json.load(file)
        self.paths = {}
        self.sizes = {}
        for name in sorted(self.annotations):
            source = os.path.join(data, name + ".json")
            if not os.path.isfile(source):
                continue
            self.paths[name] = os.path.join(folder, name + ".csv")
            subprocess.run([sys.executable, os.path.join(shared, "scoring", "convert.py"), "tcpd",
                            source, self.paths[name]], check=True)
            with open(source, encoding="utf-8") as file:
                self.sizes[name] = json.load(file)["n_obs"]

    def score(self, grace, constants=()):
        """Per series: F1, cover, number of changes; and rows, ns and bytes over all."""
        scores = {}
        cost = {"rows": 0, "ns": 0.0, "bytes": 0}
        for name, path in self.paths.items():
            command = [grace, "score", "changepoints", "--stats", path]
            for constant in constants:
                command += ["--set", constant]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = [int(row["index"]) for row in csv.DictReader(io.StringIO(done.stdout))
                     if float(row["probability"]) >= DECIDED]
            stats = json.loads(done.stderr)
            cost["rows"] += stats["rows"]
            cost["ns"] += stats["rows"] * stats["ns_per_row"]
            cost["bytes"] = stats["state_bytes"]
            truth = list(self.annotations[name].values())
            scores[name] = {"f1": self.scorer.f1(truth, found),
                            "cover": self.scorer.cover(truth, found, self.sizes[name]),
                            "changes": len(found),
                            "false_positives": false_positives(self.scorer, truth, found)}
        return scores, cost


def false_positives(scorer, annotators, found):
    """Changes that no annotator has within the margin."""
    everyone = set().union(*(set(a) for a in annotators))
    return len(found) - scorer.matched(everyone, found)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def report(series, grace):
    scores, cost = series.score(grace)
    print(json.dumps({
        "data": "TCPD, %d series" % len(scores), "metric": "F1",
        "value": round(mean(s["f1"] for s in scores.values()), 4), "floor": 0.893, "goal": 0.93,
        "published": "binseg .915 (offline), bocpd .893 (online), nothing .704",
        "detail": {
            "cover": round(mean(s["cover"] for s in scores.values()), 4),
            "changes": sum(s["changes"] for s in scores.values()),
            "false_positives": sum(s["false_positives"] for s in scores.values()),
            "f1_per_series": {name: round(s["f1"], 4) for name, s in scores.items()},
            "points": cost["rows"], "ns_per_point": round(cost["ns"] / max(1, cost["rows"])),
            "bytes_per_series": cost["bytes"]}}))


def ablate(series, grace):
    table = {}
    for variant in VARIANTS + ABLATIONS:
        scores, _ = series.score(grace, variant.split())
        table[variant] = {name: s["f1"] for name, s in scores.items()}
        print("| `%s` | %.4f | %s |" % (variant or "default", mean(table[variant].values()),
                                        " | ".join("%.3f" % f for f in table[variant].values())))
    held_out = {}
    for name in series.paths:
        rest = [other for other in series.paths if other != name]
        # max() takes the first of equals, and the default is the first.
        chosen = max(VARIANTS, key=lambda v: mean(table[v][other] for other in rest))
        held_out[name] = table[chosen][name]
        print("without %s: `%s`, %s on it" % (name, chosen or "default",
                                              "%.4f" % held_out[name]))
    print("leave-one-series-out F1 %.4f" % mean(held_out.values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace", required=True, help="the grace program")
    parser.add_argument("--shared", required=True, help="folder with data/ and scoring/")
    parser.add_argument("--ablation", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        series = Series(arguments.shared, folder)
        if not series.paths:
            sys.exit("changepoints.py: no series in " + arguments.shared)
        (ablate if arguments.ablation else report)(series, arguments.grace)


if __name__ == "__main__":
    main()
