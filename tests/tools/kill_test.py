"""kill -9 in the middle of a stream, again and again: the logs verify and nothing durable is lost.
"""
import os
import random
import socket
import threading
import time

import harness
from harness import check, equal


class Feeder(threading.Thread):
    """One client that sends lines of which some become decisions, until the engine goes."""

    def __init__(self, port, path, unix, round_number):
        super().__init__(daemon=True)
        self.where = (port, path, unix)
        self.round_number = round_number
        self.stopping = threading.Event()

    def run(self):
        port, path, unix = self.where
        number = 0
        try:
            if unix:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(path)
            else:
                connection = socket.create_connection(("127.0.0.1", port), 10)
            with connection:
                connection.settimeout(10)
                while not self.stopping.is_set():
                    service = f"s{self.round_number}_{number % 40}"
                    connection.sendall(harness.lines_of([
                        {"kind": "metric", "service": service, "metric": "latency_ms",
                         "value": 10, "number": number},
                        {"kind": "action", "actor": service, "action": "pay", "result": "error",
                         "resource": service, "number": number},
                        {"event_type": "agentic_spine.health_degradation", "source": "upstream",
                         "actor": "spine", "resource": service,
                         "payload": {"diagnosis_code": f"code_{number % 977}", "confidence": 0.95,
                                     "impact": "high", "reasoning": ["a test says so"],
                                     "suggested_playbooks": ["restart_service"]}}]))
                    number += 1
                    time.sleep(0.001)
        except OSError:
            return


def journal_end(grace):
    """Chunks and bytes; Failure on a gap."""
    sequence = number = 0
    for chunk in grace.journal_chunks():
        equal(chunk["sequence"], sequence, "a chunk's place after a kill")
        equal(chunk["number"], number, "a chunk's number after a kill")
        sequence += len(chunk["text"].encode())
        number += 1
    return number, sequence


def prefix_of(grace, last):
    """What the ledger says up to a sequence: must never change again."""
    return [record for record in grace.records() if record["seq"] <= last]


def nothing_durable_is_lost(grace, arguments):
    rng = random.Random(arguments.seed)
    path, journal, ledger = grace.path("in.sock"), grace.path("journal"), grace.path("ledger")
    durable, journal_before, kept, torn = 0, (0, 0), [], 0
    for round_number in range(arguments.count + 1):
        port = harness.free_port()
        with grace.engine("--record", journal, "--source", f"tcp:127.0.0.1:{port}",
                          "--source", f"unix:{path}") as engine:
            # Recovered: everything that was durable is there, and the logs are whole.
            found = grace.json("ledger", "stats", ledger)
            check(round_number == 0 or found["last_sequence"] >= durable,
                  "lost: ledger ends at", found["last_sequence"], "but", durable, "was durable")
            for log in (ledger, journal):
                report = grace.json("ledger", "verify", log)
                check(report["ok"], "verify after kill", round_number, report)
            equal(prefix_of(grace, durable), kept, "records that were durable before the kill")
            journal_now = journal_end(grace)
            check(journal_now[0] >= journal_before[0] and journal_now[1] >= journal_before[1],
                  "the journal is shorter:", journal_now, "after", journal_before)
            if round_number == arguments.count:
                summary = engine.stop()
                equal(summary["dropped"], 0, "dropped")
                break
            feeders = [Feeder(port, path, i % 2 == 1, round_number) for i in range(4)]
            for feeder in feeders:
                feeder.start()
            # Beyond what recovery found and noted: the last durable record is one of this round's.
            harness.wait_for("records become durable", lambda: engine.stats()["durable_sequence"]
                             > found["last_sequence"] + 5)
            time.sleep(rng.uniform(0, 0.3))
            stats = engine.stats()
            durable = stats["durable_sequence"]
            # What the engine has counted as received it had put into the journal before.
            received = stats["engine"]["received"]
            engine.kill()
            for feeder in feeders:
                feeder.stopping.set()
                feeder.join()
        # Before the next start: a torn tail is not a fault.
        report = grace.json("ledger", "verify", ledger, code=None)
        check(report["faults"] == 0, "faults before recovery:", report)
        torn += report["torn_tail_bytes"] > 0
        kept = prefix_of(grace, durable)
        check(kept and kept[-1]["seq"] == durable, "the ledger ends at",
              kept[-1]["seq"] if kept else 0, "but", durable, "was durable")
        lines = sum(chunk["text"].count("\n")
                    for chunk in grace.journal_chunks()[journal_before[0]:])
        check(lines >= received, "the journal has", lines, "lines of", received, "received")
        journal_before = journal_end(grace)
    final = grace.json("ledger", "verify", ledger)
    check(final["ok"] and final["sealed"], "the closing verify:", final)
    return (f"{arguments.count} kills (seed {arguments.seed}), {torn} torn tails, "
            f"{final['records']} records, {journal_end(grace)[0]} chunks")


def an_executor_does_not_outlive_the_engine(grace, arguments):
    """kill -9 of the engine alone must take the executor and its steps along."""
    with grace.engine("--source", f"tcp:127.0.0.1:{harness.free_port()}") as engine:
        pid = engine.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
        check(children, "no executor process is there")
        check(all(os.path.exists(f"/proc/{child}") for child in children), children)
        engine.kill()
        harness.wait_for("the executor ends", lambda: all(map(harness.process_gone, children)))


if __name__ == "__main__":
    harness.main([nothing_durable_is_lost, an_executor_does_not_outlive_the_engine], __doc__,
                 count=(5, "how often the engine is killed"), seed=(1, "of the moments"))
