#!/usr/bin/env python3
"""Scores the triggers of `grace replay` on weeks of generated telemetry with known faults.

    generated.py --grace BIN [--seeds 1-50] [--days 7] [--faults] [--keep DIR]

For each seed: `grace gen --profile week`, replayed with the default configuration into a ledger.
Prints a JSON object a line; with --faults also one a fault. What the figures mean is in
generated.md. A week takes about 0.6 GB of temporary space. With --keep what a seed gave is kept in
DIR, and a seed that is there for this program and this many days is not played again: a run that
was interrupted goes on where it was.
"""
import argparse
import bisect
import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile

MINUTE_NS = 60 * 10**9
AFTER_MINUTES = 60  # a trigger this long after a fault's end is still about it
LEAD_MINUTES = 10
SLOW = {"slow_leak", "trend_up", "error_creep", "gradual_decline"}


def nanoseconds(text):
    """RFC 3339 in UTC, as grace writes it."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    time = datetime.datetime.fromisoformat(seconds).replace(tzinfo=datetime.timezone.utc)
    return int(time.timestamp()) * 10**9 + int((fraction + "0" * 9)[:9])


def play(grace, seed, days, folder):
    """(stream path, faults, triggers that were emitted, summary of the replay)."""
    stream = os.path.join(folder, "stream.ndjson")
    truth = os.path.join(folder, "truth.ndjson")
    ledger = os.path.join(folder, "ledger-%d" % seed)
    with open(stream, "wb") as file:
        subprocess.run([grace, "gen", "--profile", "week", "--days", str(days), "--seed",
                        str(seed), "--truth", truth], stdout=file, check=True)
    done = subprocess.run([grace, "replay", stream, "--ledger", ledger, "--json"], check=True,
                          capture_output=True, text=True)
    faults = []
    with open(truth, encoding="utf-8") as file:
        for line in file:
            fault = json.loads(line)
            for key in ("begin", "end", "crosses"):
                if key in fault:
                    fault[key] = nanoseconds(fault[key])
            faults.append(fault)
    triggers = []
    with subprocess.Popen([grace, "ledger", "cat", ledger, "--json"], stdout=subprocess.PIPE,
                          text=True) as cat:
        for line in cat.stdout:
            if '"action":"intelligent_trigger"' not in line:
                continue
            record = json.loads(line)
            if record["result"] == "emitted":
                triggers.append({"at": nanoseconds(record["ts"]), **record["payload"]})
    if cat.returncode != 0:
        sys.exit("generated.py: grace ledger cat failed")
    return stream, faults, triggers, json.loads(done.stdout)


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def outcome_of(grace, seed, days):
    """What one seed gives: faults and triggers, attributed, the forecasts told, the replay."""
    with tempfile.TemporaryDirectory() as folder:
        stream, faults, triggers, replay = play(grace, seed, days, folder)
        attribute(faults, triggers)
        hits, count = covered(stream, triggers)
    kept = ("at", "service", "trigger_type", "confidence", "right")
    return {"faults": faults, "forecasts": [hits, count], "replay": replay,
            "triggers": [{key: trigger[key] for key in kept} for trigger in triggers]}


def outcome_kept(grace, seed, days, folder):
    """The same, from DIR where it is there. A file is put there whole or not at all."""
    if folder is None:
        return outcome_of(grace, seed, days)
    os.makedirs(folder, exist_ok=True)
    made_by = {"program": digest_of(grace), "days": days}
    path = os.path.join(folder, "seed-%d.json" % seed)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
        if kept["made_by"] == made_by:
            return kept
    outcome = {"made_by": made_by, **outcome_of(grace, seed, days)}
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(outcome, file)
    os.replace(path + ".part", path)
    return outcome


def attribute(faults, triggers):
    """Marks each trigger right or wrong and gives each fault the time of its first trigger."""
    of_service = {fault["service"]: fault for fault in faults}
    for trigger in triggers:
        fault = of_service.get(trigger["service"])
        trigger["right"] = (fault is not None and fault["begin"] <= trigger["at"]
                            <= fault["end"] + AFTER_MINUTES * MINUTE_NS)
        if trigger["right"]:
            fault["found"] = min(fault.get("found", trigger["at"]), trigger["at"])


def covered(stream, triggers):
    """Of the forecasts that were emitted with an interval: how many came true within it, of how
    many whose time came."""
    wanted = {}
    for trigger in triggers:
        data = trigger.get("metadata", {})
        if not {"predicted_time", "predicted_value", "interval90_half_width"} <= data.keys():
            continue
        minute = nanoseconds(data["predicted_time"]) // MINUTE_NS - 1  # the bin that ends then
        wanted.setdefault(minute, {})[(trigger["service"], data["metric"])] = data
    hits = count = 0
    with open(stream, encoding="utf-8") as file:
        for line in file:
            here = wanted.get(int(line[6:25]) // MINUTE_NS)
            if here is None:
                continue
            event = json.loads(line)
            data = here.get((event.get("service"), event.get("metric")))
            if data is not None:
                count += 1
                hits += abs(event["value"] - data["predicted_value"]) <= \
                    data["interval90_half_width"]
    return hits, count


def calibration_error(triggers, bins=10):
    """Expected calibration error: |share right - mean confidence|, weighted by the bin's count."""
    edges = [i / bins for i in range(1, bins)]
    sums = [[0, 0.0, 0] for _ in range(bins)]
    for trigger in triggers:
        cell = sums[bisect.bisect_right(edges, trigger["confidence"])]
        cell[0] += 1
        cell[1] += trigger["confidence"]
        cell[2] += trigger["right"]
    return sum(abs(right - confidence) for _, confidence, right in sums) / max(1, len(triggers))


def share(part, whole):
    return round(part / whole, 4) if whole else None


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else None


def kinds_table(faults):
    table = {}
    for fault in faults:
        cell = table.setdefault(fault["fault"], {"faults": 0, "found": 0, "bins": []})
        cell["faults"] += 1
        if "found" in fault:
            cell["found"] += 1
            cell["bins"].append(round((fault["found"] - fault["begin"]) / MINUTE_NS))
    return {kind: {"faults": cell["faults"], "found": cell["found"],
                   "median_bins": median(cell["bins"])} for kind, cell in sorted(table.items())}


def report(seeds, days, faults, triggers, forecasts, replays):
    found = [fault for fault in faults if "found" in fault]
    bins = [(fault["found"] - fault["begin"]) / MINUTE_NS for fault in found]
    quick = [(fault["found"] - fault["begin"]) / MINUTE_NS for fault in found
             if fault["fault"] not in SLOW]
    slow = [fault for fault in faults if "crosses" in fault]
    ahead = [fault for fault in slow if "found" in fault and
             fault["crosses"] - fault["found"] >= LEAD_MINUTES * MINUTE_NS]
    wrong = sum(not trigger["right"] for trigger in triggers)
    sources = {}
    for trigger in triggers:
        cell = sources.setdefault(trigger["trigger_type"], {"right": 0, "wrong": 0})
        cell["right" if trigger["right"] else "wrong"] += 1
    data = "generated weeks, %d seeds of %d days" % (len(seeds), days)

    def line(metric, value, floor, lower, detail):
        print(json.dumps({"data": data, "metric": metric, "value": value, "floor": floor,
                          "goal": floor, "published": "none", "lower_is_better": lower,
                          "detail": detail}), flush=True)
    line("recall", share(len(found), len(faults)), 0.95, False,
         {"faults": len(faults), "found": len(found), "kinds": kinds_table(faults)})
    line("false triggers a day", round(wrong / (days * len(seeds)), 2), 1, True,
         {"triggers": len(triggers), "wrong": wrong, "types": sources,
          "suppressed": [replay["suppressed"] for replay in replays]})
    line("median bins to detect", None if not bins else round(median(bins), 1), 3, True,
         {"without_slow_faults": None if not quick else round(median(quick), 1)})
    line("slow faults found 10 minutes ahead", share(len(ahead), len(slow)), 0.8, False,
         {"slow_faults": len(slow), "ahead": len(ahead)})
    due = sum(replay["forecast_bands"]["due"] for replay in replays)
    inside = sum(replay["forecast_bands"]["inside"] for replay in replays)
    line("coverage of the 90% band", share(inside, due), None, False,
         {"bands": due, "wanted": "0.88 to 0.92", "of_those_told": share(*forecasts),
          "told": forecasts[1]})
    risks = [replay["risk_judgements"] for replay in replays]
    due = sum(risk["due"] for risk in risks)
    judged = due - sum(risk["unwitnessed"] for risk in risks)
    line("Brier score of risks, as learned",
         share(sum(risk["squared_error"] for risk in risks), judged), None, True,
         {"due": due, "judged": judged, "came_true": sum(risk["came_true"] for risk in risks),
          "as_configured": share(sum(risk["squared_error_at_start"] for risk in risks), judged)})
    line("calibration error", round(calibration_error(triggers), 4), 0.05, True,
         {"triggers": len(triggers)})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace", required=True, help="the grace program")
    parser.add_argument("--shared", help="not used; the master script gives it")
    parser.add_argument("--seeds", default="1-50", help="first-last")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--keep", metavar="DIR", help="keep what each seed gave, and go on from it")
    parser.add_argument("--faults", action="store_true", help="print each fault too")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    faults, triggers, replays = [], [], []
    hits = count = 0
    for seed in seeds:
        outcome = outcome_kept(arguments.grace, seed, arguments.days, arguments.keep)
        hits, count = hits + outcome["forecasts"][0], count + outcome["forecasts"][1]
        faults += outcome["faults"]
        triggers += outcome["triggers"]
        replays.append(outcome["replay"])
        if sys.stderr.isatty():
            print("seed %d: %d triggers" % (seed, len(outcome["triggers"])), file=sys.stderr)
    if arguments.faults:
        for fault in faults:
            print(json.dumps(fault), file=sys.stderr)
    report(seeds, arguments.days, faults, triggers, (hits, count), replays)


if __name__ == "__main__":
    main()
