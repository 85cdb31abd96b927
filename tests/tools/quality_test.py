"""bench/quality/quality.py and changepoints.py on a folder made here: a series with one shift and
scorers of a few lines. With GRACE_QUALITY_DATA, also on the real series.
"""
import json
import os
import subprocess
import sys
import tempfile

from harness import Failure, check, equal

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


def write(folder, path, text):
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_data(folder):
    values = [((i * 7919) % 101) / 50.0 + (0 if i < 90 else 12) for i in range(180)]
    values[40] = None
    write(folder, "data/tcpd/step.json",
          json.dumps({"n_obs": len(values), "series": [{"raw": values}]}))
    write(folder, "data/tcpd/annotations.json", json.dumps({"step": {"1": [90], "2": [91]}}))
    write(folder, "scoring/convert.py", CONVERTER)
    write(folder, "scoring/tcpd_score.py", SCORER)


def quality(grace, shared, *options):
    return subprocess.run([sys.executable, os.path.join(QUALITY, "quality.py"), "--grace", grace,
                           "--shared", shared, *options], capture_output=True, text=True)


def finds_the_shift(grace, folder):
    report = os.path.join(folder, "report.json")
    done = quality(grace, folder, "--only", "changepoints", "--json", report, "--strict")
    equal(done.returncode, 0, "exit code: " + done.stderr)
    check("| TCPD, 1 series | F1 | 1 |" in done.stdout, done.stdout)
    check(done.stdout.strip().endswith("| 0.893 | 0.93 | goal |"), done.stdout)
    with open(report, encoding="utf-8") as file:
        written = json.load(file)
    equal(written["errors"], {}, "errors")
    detail = written["results"][0]["detail"]
    equal((detail["changes"], detail["false_positives"], detail["points"]), (1, 0, 180), "detail")


def names_what_fails(grace, folder):
    scripts = os.path.join(folder, "scripts")
    low = {"data": "d", "metric": "m", "value": 0.1, "floor": 0.5, "goal": 1, "published": "none"}
    write(scripts, "series.py", f"print({json.dumps(json.dumps(low))})")
    write(scripts, "sessions.py", "print('no object')")
    write(scripts, "groups.py", "import sys; sys.exit('broken on purpose')")
    fewer = {"data": "d", "metric": "n", "value": 0.1, "floor": 0.5, "goal": 0.05,
             "published": "none", "lower_is_better": True}
    write(scripts, "rootcause.py", f"print({json.dumps(json.dumps(fewer))})")
    done = quality(grace, folder, "--scripts", scripts)
    equal(done.returncode, 1, "exit code")
    check("| d | n | 0.1 | none | 0.5 | 0.05 | floor |" in done.stdout, done.stdout)
    check("| d | m | 0.1 | none | 0.5 | 1 | below floor |" in done.stdout, done.stdout)
    check("sessions: line 1 is no result" in done.stderr, done.stderr)
    check("groups: exit code 1: broken on purpose" in done.stderr, done.stderr)
    for part in ("sessions", "groups"):
        os.remove(os.path.join(scripts, part + ".py"))
    equal(quality(grace, folder, "--scripts", scripts).returncode, 0, "exit code, not strict")
    equal(quality(grace, folder, "--scripts", scripts, "--strict").returncode, 1, "strict")
    equal(quality(grace, folder, "--scripts", folder).returncode, 1, "exit code, nothing there")
    equal(quality(grace + "x", folder).returncode, 2, "exit code, no program")


def scores_the_real_series(grace):
    shared = os.environ.get("GRACE_QUALITY_DATA", "")
    if not os.path.isdir(os.path.join(shared, "data", "tcpd")):
        print("skipped: the public series (GRACE_QUALITY_DATA is not set)")
        return
    done = quality(grace, shared, "--only", "changepoints", "--strict")
    equal(done.returncode, 0, "exit code: " + done.stdout + done.stderr)


def main():
    grace = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        make_data(folder)
        finds_the_shift(grace, folder)
        names_what_fails(grace, folder)
    scores_the_real_series(grace)
    print("quality_test: passed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"quality_test: {failure}")
