"""bench/quality/quality.py and changepoints.py on a folder made here: a series with one shift and
scorers of a few lines. With GRACE_QUALITY_DATA, also on the real series.
"""
import json
import os
import subprocess
import sys

import harness
from harness import check, equal

HERE = os.path.dirname(os.path.abspath(__file__))
QUALITY = os.path.join(HERE, "..", "..", "bench", "quality")

CONVERTER = '''
import json, sys
what, source, out = sys.argv[1:]
with open(source) as file, open(out, "w") as csv:
    csv.write("index,value\\n")
    for index, value in enumerate(json.load(file)["series"][0]["raw"]):
        csv.write("%d,%s\\n" % (index, "" if value is None else value))
'''
SCORER = '''
def matched(truth, found, margin=5):
    return sum(any(abs(t - f) <= margin for t in truth) for f in found)
def f1(annotators, found, margin=5):
    return float(all(matched(a, found) == len(a) == len(found) for a in annotators))
def cover(annotators, found, count):
    return 1.0
'''


def make_data(grace):
    values = [((i * 7919) % 101) / 50.0 + (0 if i < 90 else 12) for i in range(180)]
    values[40] = None
    os.makedirs(grace.path("data/tcpd"))
    os.makedirs(grace.path("scoring"))
    grace.write("data/tcpd/step.json",
                json.dumps({"n_obs": len(values), "series": [{"raw": values}]}))
    grace.write("data/tcpd/annotations.json", json.dumps({"step": {"1": [90], "2": [91]}}))
    grace.write("scoring/convert.py", CONVERTER)
    grace.write("scoring/tcpd_score.py", SCORER)


def quality(binary, shared, *options):
    return subprocess.run([sys.executable, os.path.join(QUALITY, "quality.py"), "--grace", binary,
                           "--shared", shared, *options], capture_output=True, text=True)


def finds_the_shift(grace, arguments):
    make_data(grace)
    report = grace.path("report.json")
    done = quality(grace.binary, grace.directory, "--only", "changepoints", "--json", report,
                   "--strict")
    equal(done.returncode, 0, "exit code: " + done.stderr)
    check("| TCPD, 1 series | F1 | 1 |" in done.stdout, done.stdout)
    check(done.stdout.strip().endswith("| 0.893 | 0.93 | goal |"), done.stdout)
    with open(report, encoding="utf-8") as file:
        written = json.load(file)
    equal(written["errors"], {}, "errors")
    detail = written["results"][0]["detail"]
    equal((detail["changes"], detail["false_positives"], detail["points"]), (1, 0, 180), "detail")


def names_what_fails(grace, arguments):
    os.mkdir(grace.path("scripts"))
    low = {"data": "d", "metric": "m", "value": 0.1, "floor": 0.5, "goal": 1, "published": "none"}
    grace.write("scripts/series.py", f"print({json.dumps(json.dumps(low))})")
    grace.write("scripts/sessions.py", "print('no object')")
    grace.write("scripts/groups.py", "import sys; sys.exit('broken on purpose')")
    fewer = {"data": "d", "metric": "n", "value": 0.1, "floor": 0.5, "goal": 0.05,
             "published": "none", "lower_is_better": True}
    grace.write("scripts/rootcause.py", f"print({json.dumps(json.dumps(fewer))})")
    scripts = ("--scripts", grace.path("scripts"))
    done = quality(grace.binary, grace.directory, *scripts)
    equal(done.returncode, 1, "exit code")
    check("| d | n | 0.1 | none | 0.5 | 0.05 | floor |" in done.stdout, done.stdout)
    check("| d | m | 0.1 | none | 0.5 | 1 | below floor |" in done.stdout, done.stdout)
    check("sessions: line 1 is no result" in done.stderr, done.stderr)
    check("groups: exit code 1: broken on purpose" in done.stderr, done.stderr)
    for part in ("sessions", "groups"):
        os.remove(grace.path(f"scripts/{part}.py"))
    for program, options, code in (
            (grace.binary, scripts, 0),
            (grace.binary, (*scripts, "--strict"), 1),
            (grace.binary, ("--scripts", grace.directory), 1),  # no script there
            (grace.binary + "x", (), 2)):
        equal(quality(program, grace.directory, *options).returncode, code, f"exit, {options}")


def scores_the_real_series(grace, arguments):
    shared = os.environ.get("GRACE_QUALITY_DATA", "")
    if not os.path.isdir(os.path.join(shared, "data", "tcpd")):
        return "skipped: GRACE_QUALITY_DATA is not set"
    done = quality(grace.binary, shared, "--only", "changepoints", "--strict")
    equal(done.returncode, 0, "exit code: " + done.stdout + done.stderr)
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    harness.main([finds_the_shift, names_what_fails, scores_the_real_series], __doc__)
