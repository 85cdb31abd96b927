#!/usr/bin/env python3
"""Detection quality on public, labelled data: every part, one table.

    quality.py --grace build/release/bin/grace --shared DIR [--json FILE] [--only PART]...

DIR has data/ and scoring/ (default: the environment variable GRACE_QUALITY_DATA). Each part is a
script beside this one that prints a JSON object a line; a part whose script does not exist is
left out, and one that fails is named and makes the exit code 1. So does a value below its floor
with --strict.
"""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = ["series", "sessions", "changepoints", "rootcause", "groups"]
ON_REQUEST = ["generated"]  # long; only with --only
COLUMNS = ["data set", "metric", "measured", "published", "floor", "goal", ""]


def run_part(path, grace, shared, timeout):
    """(results, error): the lines that were JSON objects, and what went wrong or None."""
    try:
        done = subprocess.run([sys.executable, path, "--grace", grace, "--shared", shared],
                              capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return [], f"not done after {timeout:g} s"
    results = []
    for number, line in enumerate(done.stdout.splitlines(), 1):
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            result = None
        if not isinstance(result, dict) or not {"data", "metric", "value"} <= result.keys():
            return results, f"line {number} is no result: {line[:200]}"
        results.append(result)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return results, f"exit code {done.returncode}: {last[:300]}"
    return results, None if results else "printed no result"


def verdict(result):
    """Whether the floor and the goal are reached; nothing measured reaches none."""
    floor, goal, value = result.get("floor"), result.get("goal"), result["value"]
    if floor is None:
        return ""
    sign = -1 if result.get("lower_is_better") else 1
    if value is None or sign * value < sign * floor:
        return "below floor"
    return "goal" if goal is not None and sign * value >= sign * goal else "floor"


def text(value):
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def table(results):
    """Markdown; of a part only the lines with a floor, which are the ones that were promised."""
    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    for result in results:
        if result.get("floor") is None:
            continue
        rows.append([text(result[key]) if key in result else "" for key in
                     ("data", "metric", "value", "published", "floor", "goal")]
                    + [verdict(result)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def commit_of(folder):
    try:
        done = subprocess.run(["git", "-C", folder, "rev-parse", "--short", "HEAD"],
                              capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"  # a source archive, on a machine without git
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace", required=True, help="the grace program")
    parser.add_argument("--shared", default=os.environ.get("GRACE_QUALITY_DATA"),
                        help="folder with data/ and scoring/")
    parser.add_argument("--json", help="write everything to this file")
    parser.add_argument("--only", action="append", default=[],
                        choices=PARTS + ON_REQUEST)
    parser.add_argument("--scripts", default=HERE, help="folder of the parts' scripts")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds a part may take")
    parser.add_argument("--strict", action="store_true", help="fail when below a floor")
    arguments = parser.parse_args()
    if not arguments.shared:
        parser.error("--shared or GRACE_QUALITY_DATA is needed")
    if not os.access(arguments.grace, os.X_OK):
        parser.error(f"--grace: {arguments.grace} cannot be run")
    return arguments


def main():
    arguments = parse_arguments()
    results, errors, seconds = [], {}, {}
    for part in arguments.only or PARTS:
        path = os.path.join(arguments.scripts, part + ".py")
        if not os.path.isfile(path):
            continue
        if sys.stderr.isatty():
            print(f"{part} ...", file=sys.stderr)
        begin = time.monotonic()
        found, error = run_part(path, arguments.grace, arguments.shared, arguments.timeout)
        seconds[part] = round(time.monotonic() - begin, 1)
        results += [{"part": part, **result} for result in found]
        if error:
            errors[part] = error
    print(table(results))
    for part, error in errors.items():
        print(f"quality.py: {part}: {error}", file=sys.stderr)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"commit": commit_of(HERE), "machine": platform.processor() or
                       platform.machine(), "python": platform.python_version(),
                       "time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
                       "seconds": seconds, "errors": errors, "results": results}, file, indent=1)
            file.write("\n")
    below = any(verdict(result) == "below floor" for result in results)
    return 1 if errors or not results or (arguments.strict and below) else 0


if __name__ == "__main__":
    sys.exit(main())
