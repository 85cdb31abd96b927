#!/usr/bin/env python3
"""Scores `grace score groups` on the public AIT alert data set; one JSON object a line.

    groups.py --grace build/release/bin/grace --shared DIR

DIR/scoring holds the converter and the scorer, DIR/data/ait_ads the alerts.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

TARGETS = {"v_measure": (0.65, 0.80, 0.505), "purity": (0.85, 0.95, 0.703),
           "reduction": (0.95, 0.98, 0.947)}
SHOWN = ("alerts", "groups", "attack_alerts", "attack_groups", "homogeneity", "completeness",
         "v_measure", "purity", "reduction", "fp_groups", "attack_alerts_in_groups_with_fp",
         "groups_per_phase")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace", required=True)
    parser.add_argument("--shared", required=True)
    options = parser.parse_args()
    sys.path.insert(0, os.path.join(options.shared, "scoring"))
    import ait_ads_score
    import convert
    results = {}
    for scenario in ("russellmitchell", "shaw"):
        source = os.path.join(options.shared, "data", "ait_ads", scenario + "_alerts.txt.gz")
        with tempfile.TemporaryDirectory() as folder:
            alerts, groups = (os.path.join(folder, name) for name in ("alerts", "groups"))
            labels = convert.alerts(source, alerts)
            begin = time.monotonic()
            with open(groups, "w", encoding="ascii") as file:
                subprocess.run([options.grace, "score", "groups", alerts], stdout=file, check=True)
            seconds = time.monotonic() - begin
            result = ait_ads_score.score(labels, ait_ads_score.read_groups(groups))
        detail = {name: round(value, 4) if isinstance(value := result[name], float) else value
                  for name in SHOWN}
        detail["us_an_alert"] = round(seconds / len(labels) * 1e6, 2)
        results[scenario] = result, detail
    for metric, (floor, goal, reference) in TARGETS.items():
        value = sum(result[metric] for result, _ in results.values()) / len(results)
        print(json.dumps({
            "data": "ait_ads", "metric": metric, "value": round(value, 4), "floor": floor,
            "goal": goal, "published": f"burst per host {reference}",
            "detail": {name: detail for name, (_, detail) in results.items()}}))


if __name__ == "__main__":
    main()
