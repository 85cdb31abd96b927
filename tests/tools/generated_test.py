"""The week profile of grace gen, and how bench/quality/generated.py counts."""
import collections
import json
import os
import subprocess
import sys
import unittest.mock

import harness
from harness import check, equal

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "bench", "quality"))
import generated  # noqa: E402

MINUTE = generated.MINUTE_NS


def gen(grace, seed):
    """A day: the stream and its faults."""
    done = grace.run("gen", "--profile", "week", "--days", "1", "--seed", str(seed), "--truth",
                     grace.path("truth"))
    with open(grace.path("truth"), encoding="utf-8") as file:
        return done.stdout, [json.loads(line) for line in file]


def the_seed_gives_the_bytes(grace, arguments):
    first, truth = gen(grace, 3)
    again, truth_again = gen(grace, 3)
    check(first == again, "the same seed gave other bytes")
    equal(truth, truth_again, "truth of the same seed")
    check(first != gen(grace, 4)[0], "another seed gave the same bytes")


def samples_of(stream):
    """{(service, metric): [(ts, value)]} of the metric events."""
    series = collections.defaultdict(list)
    last = 0
    for line in stream.splitlines():
        event = json.loads(line)
        check(event["ts"] >= last, "event times go back")
        last = event["ts"]
        if event["kind"] == "metric":
            series[(event["service"], event["metric"])].append((event["ts"], event["value"]))
    return series


def truth_names_every_kind(grace, arguments):
    _, truth = gen(grace, 3)
    kinds = collections.Counter(fault["fault"] for fault in truth)
    equal(len(kinds), 20, "kinds of fault")
    equal(set(kinds.values()), {2}, "faults of a kind")
    equal(len({fault["service"] for fault in truth}), 40, "services with a fault")
    for fault in truth:
        begin, end = (generated.nanoseconds(fault[key]) for key in ("begin", "end"))
        check(begin < end, fault)
        if "crosses" in fault:
            check(begin <= generated.nanoseconds(fault["crosses"]) < end, fault)
    crossing = {fault["fault"] for fault in truth if "crosses" in fault}
    check(crossing and crossing <= generated.SLOW, crossing)


def mean(values):
    return sum(values) / len(values)


def mean_change(values):
    return mean([abs(right - left) for left, right in zip(values, values[1:])])


def faults_are_in_the_stream(grace, arguments):
    stream, truth = gen(grace, 3)
    series = samples_of(stream)
    equal(len(series), 500, "series")
    for fault in truth:
        begin, end = (generated.nanoseconds(fault[key]) for key in ("begin", "end"))
        samples = series[(fault["service"], fault["metric"])]
        inside = [value for ts, value in samples if begin <= ts < end]
        before = [value for ts, value in samples if ts < begin]
        kind = fault["fault"]
        if kind == "missing_data":
            equal(inside, [], "samples while data are missing")
            check(len(samples) + (end - begin) // MINUTE == 1440, len(samples))
        else:
            equal(len(samples), 1440, f"samples of {fault}")
            equal(len(inside), (end - begin) // MINUTE, f"samples in {fault}")
        if kind == "flat_line":
            equal(len(set(inside)), 1, "values of a flat line")
        elif kind == "drop_to_zero":
            equal(set(inside), {0}, "values at zero")
        elif kind == "unit_change":
            check(min(inside) > 100 * max(before), fault)
        elif kind in ("spike", "error_burst", "saturation"):
            check(min(inside) > max(before), fault)
        elif kind == "intermittent_errors":
            equal(sum(value > max(before) + 0.05 for value in inside), -(-len(inside) // 5), fault)
        elif kind in ("level_shift_up", "slowdown"):
            check(mean(inside) > 1.3 * mean(before), fault)
        elif kind in ("variance_change", "saw_tooth", "oscillation"):
            check(mean_change(inside) > 2 * mean_change(before), fault)
        elif kind in ("slow_leak", "trend_up", "error_creep"):
            check(sum(inside[-5:]) > sum(before[-5:]), fault)
        elif kind in ("gradual_decline", "level_shift_down"):
            check(sum(inside[-5:]) < sum(before[-5:]), fault)


def days_have_bounds(grace, arguments):
    for days in ("0", "29"):
        done = grace.run("gen", "--profile", "week", "--days", days, code=2)
        check("days must be 1 to 28" in done.stderr, done.stderr)


def triggers_are_attributed(grace, arguments):
    faults = [{"fault": "spike", "service": "a", "begin": 100 * MINUTE, "end": 110 * MINUTE},
              {"fault": "spike", "service": "b", "begin": 100 * MINUTE, "end": 110 * MINUTE}]
    triggers = [{"service": service, "at": at * MINUTE, "confidence": 0.9}
                for service, at in (("a", 99), ("a", 104), ("a", 102), ("a", 171), ("c", 105))]
    generated.attribute(faults, triggers)
    equal([trigger["right"] for trigger in triggers], [False, True, True, False, False], "right")
    equal(faults[0]["found"], 102 * MINUTE, "first trigger of the fault")
    check("found" not in faults[1], faults[1])
    # Two of five right at 0.9.
    check(abs(generated.calibration_error(triggers) - 0.5) < 1e-9, "calibration error")
    equal(generated.calibration_error([]), 0, "no triggers")


def play_one(grace, *more):
    done = subprocess.run([sys.executable, generated.__file__, "--grace", grace.binary, "--seeds",
                           "2", "--days", "1", *more], capture_output=True, text=True)
    equal(done.returncode, 0, done.stderr)
    return {line["metric"]: line for line in map(json.loads, done.stdout.splitlines())}


def a_replay_is_scored(grace, arguments):
    folder = grace.path("kept")
    lines = play_one(grace, "--keep", folder)
    equal(len(lines), 7, "metrics")
    recall = lines["recall"]
    equal(recall["detail"]["faults"], 40, "faults")
    check(0 < recall["value"] <= 1, recall)
    check(lines["false triggers a day"]["detail"]["triggers"] > 0, lines)
    check(lines["coverage of the 90% band"]["detail"]["bands"] > 0, lines)
    # Metrics alone: nobody could have seen what was judged come, so there is no score.
    brier = lines["Brier score of risks, as learned"]
    equal((brier["value"], brier["detail"]["judged"]), (None, 0), "risks")
    check(brier["detail"]["due"] > 0, brier)
    # What is kept is taken as it is, and of another program or length it is not.
    path = os.path.join(folder, "seed-2.json")
    with open(path, encoding="utf-8") as file:
        kept = json.load(file)
    equal(play_one(grace, "--keep", folder), lines, "the same, from the folder")
    kept["triggers"] = []
    with open(path, "w", encoding="utf-8") as file:
        json.dump(kept, file)
    equal(play_one(grace, "--keep", folder)["false triggers a day"]["detail"]["triggers"], 0,
          "triggers from the folder")
    kept["made_by"]["program"] = "another"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(kept, file)
    with unittest.mock.patch.object(generated, "outcome_of", return_value={}) as played:
        generated.outcome_kept(grace.binary, 2, 1, folder)
    played.assert_called_once_with(grace.binary, 2, 1)


def what_is_counted_does_not_depend_on_workers(grace, arguments):
    third = 250_000  # of the lines: replays of all would take minutes under a sanitizer
    stream = grace.write("day.ndjson", "".join(gen(grace, 3)[0].splitlines(True)[:third]))
    first, *others = [grace.json("replay", stream, "--workers", workers)
                      for workers in ("1", "2", "4")]
    check(0 < first["forecast_bands"]["inside"] <= first["forecast_bands"]["due"], first)
    # Metrics alone: no judgement has a witness. Some that have are in determinism_test.
    risk = first["risk_judgements"]
    equal({**risk, "due": 0}, {**dict.fromkeys(risk, 0), "unwitnessed": risk["due"]}, "risks")
    check(risk["due"] > 0, risk)
    for other in others:
        for key in ("forecast_bands", "risk_judgements", "decision_digest"):
            equal(other[key], first[key], key)


if __name__ == "__main__":
    harness.main([the_seed_gives_the_bytes, truth_names_every_kind, faults_are_in_the_stream,
                  days_have_bounds, triggers_are_attributed, a_replay_is_scored,
                  what_is_counted_does_not_depend_on_workers], __doc__)
