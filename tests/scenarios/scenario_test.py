#!/usr/bin/env python3
"""Replays the founding document's three scenarios from raw telemetry, really executing the demo's
playbooks, and holds them to what the document says: the transcript as a whole, line by line, and
the points that matter one by one. Every way of cutting and sharing out the work gives one digest.

Usage: scenario_test.py GRACE SOURCE_DIR [--update]    (--update rewrites the expected transcripts)
"""
import gzip
import json
import os
import subprocess
import sys
import tempfile

WORKERS = ("1", "2", "4")
CHUNKS = ("4KiB", "32KiB", "257KiB", "1MiB")


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def replay(grace, config, recording, ledger=None, workers="1", chunk="256KiB"):
    command = [grace, "replay", recording, "--config", config, "--execute", "--json",
               "--workers", workers, "--chunk", chunk]
    if ledger:
        command += ["--ledger", ledger]
    summary = json.loads(run(*command))
    moved = summary["accepted"] + sum(summary["rejected"].values()) + summary["dropped"]
    check(summary["received"] == moved, "conservation")
    return summary


def check(holds, what):
    if not holds:
        raise SystemExit(f"not so: {what}")


def transcript_line(record):
    payload = record["payload"]
    parts = [record["ts"][11:19], record["actor"], record["action"], record["resource"],
             record["result"]]
    for key in ("trigger_type", "diagnosis_code", "playbook", "decision", "parameter"):
        if payload.get(key):
            parts.append(f"{key}={payload[key]}")
    if "confidence" in payload:
        parts.append(f"confidence={payload['confidence']:.2f}")
    if record["action"] in ("playbook_run", "incident") and payload.get("reason"):
        parts.append(f"({payload['reason']})")
    if record["action"] == "intelligent_trigger":
        parts.append("; ".join(payload["reasoning"]))
    if "from" in payload and "to" in payload:
        parts.append(f"{payload['from']:.2f}->{payload['to']:.2f}")
    return "  ".join(parts)


class Ledger:
    def __init__(self, grace, directory):
        report = json.loads(run(grace, "ledger", "verify", directory, "--json"))
        check(report["ok"], "the ledger verifies")
        lines = run(grace, "ledger", "cat", directory, "--json").splitlines()
        self.records = [json.loads(line) for line in lines]

    def transcript(self):
        return "".join(transcript_line(record) + "\n" for record in self.records)

    def find(self, action, result, **payload):
        found = [r for r in self.records if r["action"] == action and r["result"] == result and
                 all(r["payload"].get(key) == value for key, value in payload.items())]
        check(found, f"a record {action}/{result} with {payload}")
        return found[0]

    def none(self, action, result):
        check(not any(r["action"] == action and r["result"] == result for r in self.records),
              f"no record {action}/{result}")


def clock(record):
    return record["ts"][11:16]


def scenario_1(ledger):
    forecast = ledger.find("intelligent_trigger", "emitted", trigger_type="ml_anomaly_forecast")
    check(clock(forecast) == "14:00", "the forecast comes at 14:00, before the spike")
    check(abs(forecast["payload"]["confidence"] - 0.87) <= 0.02, "its confidence is near 0.87")
    check(forecast["payload"]["suggested_playbooks"] == ["scale_up_instances", "warm_cache"],
          "it suggests scale_up_instances, then warm_cache")
    allowed = ledger.find("decision_approval", "allow", playbook="scale_up_instances")
    check(allowed["payload"]["blast_radius"] == 1, "blast radius 1")
    ledger.none("playbook_run", "awaiting_approval")
    step = ledger.find("playbook_step", "succeeded")
    check(step["payload"]["output_tail"].startswith("scale api_service +2"), "the step really ran")
    check(clock(ledger.find("playbook_run", "succeeded")) <= "14:05", "verified by 14:05")
    note = ledger.find("decision_outcome", "prevented")
    check(note["payload"]["decision"] == "ML prediction prevented incident", "prevented is noted")
    raised = ledger.find("decision_weight", "raised", source="proactive_ml")
    check(raised["payload"]["to"] > raised["payload"]["from"], "the weight of ML rises")


def scenario_2(ledger):
    pattern = ledger.find("intelligent_trigger", "emitted", diagnosis_code="recurring_error")
    check("Occurrences: 7 times in 10 minutes" in pattern["payload"]["reasoning"], "7 errors")
    health = ledger.find("intelligent_trigger", "emitted", trigger_type="health_degradation")
    check(clock(pattern) == clock(health) == "09:15", "both at 09:15")
    run_proposed = ledger.find("playbook_run", "proposed", playbook="rollback_flag")
    check(0.90 <= run_proposed["payload"]["confidence"] <= 0.94, "together 0.90 to 0.94")
    check(run_proposed["payload"]["blast_radius"] == 3, "blast radius 3")
    ledger.find("decision_approval", "require_approval", playbook="rollback_flag")
    ledger.find("playbook_run", "awaiting_approval")
    check(ledger.find("decision_approval", "approved")["actor"] == "alice", "a person approves")
    check(ledger.find("playbook_step", "succeeded")["payload"]["output_tail"]
          .startswith("flag auth_service off"), "the step really ran")
    ledger.find("playbook_run", "succeeded", playbook="rollback_flag")
    for source in ("immutable_log", "agentic_spine"):
        ledger.find("decision_weight", "raised", source=source)


def scenario_3(ledger):
    shortage = ledger.find("intelligent_trigger", "emitted", trigger_type="ml_capacity_prediction")
    check(clock(shortage) == "11:00", "the shortfall is predicted at 11:00")
    check(shortage["payload"]["metadata"]["predicted_time"] == "2025-01-15T11:15:00Z", "for 11:15")
    check(0.28 <= shortage["payload"]["metadata"]["shortfall"] <= 0.33, "by about 31%")
    ledger.find("decision_approval", "allow", playbook="scale_up_instances")
    ledger.find("playbook_run", "succeeded", playbook="scale_up_instances")
    note = ledger.find("decision_outcome", "prevented")
    check(note["payload"]["decision"] == "Proactive scaling prevented incident", "it is noted")
    moved = ledger.find("decision_threshold", "adjusted", parameter="capacity.shortfall_min")
    payload = moved["payload"]
    check(payload["min"] <= payload["to"] <= payload["max"] and payload["to"] != payload["from"],
          "the threshold moves within its bounds")
    check(clock(moved) <= "11:25", "soon after")


def no_saturation(recording):
    """In the recording itself: demand never passes capacity."""
    demand = capacity = 0.0
    with gzip.open(recording, "rt") as lines:
        for line in lines:
            event = json.loads(line)
            if event.get("metric") == "requests_rps":
                demand = event["value"]
            elif event.get("metric") == "capacity_rps":
                capacity = event["value"]
                check(demand <= capacity, f"demand {demand} within capacity {capacity}")


def main():
    grace, source = sys.argv[1], sys.argv[2]
    update = "--update" in sys.argv
    config = os.path.join(source, "tools", "demo.toml")
    folder = os.path.join(source, "tests", "scenarios")
    for number, hold in ((1, scenario_1), (2, scenario_2), (3, scenario_3)):
        recording = os.path.join(folder, f"scenario_{number}.ndjson.gz")
        expected_path = os.path.join(folder, f"scenario_{number}.expected")
        with tempfile.TemporaryDirectory() as scratch:
            summary = replay(grace, config, recording, ledger=os.path.join(scratch, "ledger"))
            ledger = Ledger(grace, os.path.join(scratch, "ledger"))
        hold(ledger)
        transcript = ledger.transcript()
        if update:
            with open(expected_path, "w") as file:
                file.write(transcript)
        with open(expected_path) as file:
            check(file.read() == transcript,
                  f"the transcript of scenario {number} is as expected:\n{transcript}")
        for workers in WORKERS:
            for chunk in CHUNKS:
                for _ in range(2):
                    again = replay(grace, config, recording, workers=workers, chunk=chunk)
                    check(again["decision_digest"] == summary["decision_digest"],
                          f"one digest, also with {workers} workers and chunks of {chunk}")
        print(f"scenario {number}: {len(ledger.records)} records, "
              f"digest {summary['decision_digest']}")
    no_saturation(os.path.join(folder, "scenario_3.ndjson.gz"))


if __name__ == "__main__":
    main()
