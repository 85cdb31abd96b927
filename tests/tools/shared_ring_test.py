"""Producers that speak the shared ring as docs/shared_ring.md says, written after that page alone,
against a live engine: what they hand over is decided and journaled, they come and are killed, and
the figures account for each event.
"""
import json
import mmap
import os
import signal
import socket
import struct

import harness
from harness import check, equal

METRIC, LINE = 1, 3
HAS_TS, HAS_VALUE = 1, 2


class Ring:
    """One producer's ring."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(10)
        self.connection.connect(path)
        hello, descriptors, _, _ = socket.recv_fds(self.connection, 16, 1)
        magic, layout, self.answer = struct.unpack("<8sII", hello)
        equal((magic, layout), (b"RACERING", 1), "the hello")
        if self.answer != 0:
            return
        self.memory = mmap.mmap(descriptors[0], 0)
        self.descriptor = descriptors[0]
        magic, layout, self.event_bytes_max, self.ring_bytes = struct.unpack_from(
            "<8sIIQ", self.memory, 0)
        equal((magic, layout), (b"RACERING", 1), "the header")
        equal(len(self.memory), 4096 + self.ring_bytes, "the memory")
        # Positions are read and written whole: a torn tail makes no sense, and ends the ring.
        self.positions = memoryview(self.memory).cast("Q")
        self.tail = 0

    def free_bytes(self):
        return self.ring_bytes - (self.tail - self.positions[16])

    def put(self, record):
        left = self.ring_bytes - self.tail % self.ring_bytes
        if left < len(record):
            at = 4096 + self.tail % self.ring_bytes
            struct.pack_into("<IBBH", self.memory, at, left, 0, 0, 0)
            self.tail += left
        begin = 4096 + self.tail % self.ring_bytes
        self.memory[begin:begin + len(record)] = record
        self.tail += len(record)

    def hand_over(self):
        self.positions[8] = self.tail

    def publish(self, records):
        for record in records:
            harness.wait_for("room in the ring", lambda: self.free_bytes() >= 2 * len(record))
            self.put(record)
            self.hand_over()


def record_of(form, flags, value, texts, detail=b""):
    body = b"".join(texts) + detail + b"\n"
    size = (40 + len(body) + 7) // 8 * 8
    sizes = [len(text) for text in texts] + [0] * (6 - len(texts))
    head = struct.pack("<IBBHqd6HI", size, form, flags, 0, 0, value, *sizes, len(detail))
    return (head + body).ljust(size, b"\0")


def metric(number):
    return record_of(METRIC, HAS_VALUE, float(number), [b"shop", b"core", b"latency_ms"],
                     b'{"host":"n1"}')


def ring_source(engine):
    return next(s for s in engine.stats()["sources"] if s["name"].startswith("shared:"))


def conserved(summary):
    equal(summary["received"],
          summary["accepted"] + sum(summary["rejected"].values()) + summary["dropped"], "counts")


def is_decided_and_journaled(grace, arguments):
    path = grace.path("ring.sock")
    with grace.engine("--source", f"shared:{path}", "--record",
                      grace.path("journal")) as engine:
        equal(os.stat(path).st_mode & 0o777, 0o600, "the socket's mode")
        ring = Ring(path)
        ring.publish([metric(number) for number in range(1000)])
        ring.publish([record_of(LINE, 0, 0.0, [], b'{"kind":"control","control":"deploy",'
                                                  b'"service":"shop"}'),
                      metric(float("nan")), record_of(LINE, 0, 0.0, [], b"nonsense")])
        # Not handed over, so it was never there.
        ring.put(metric(7))
        harness.wait_for("all is read", lambda: ring_source(engine)["lines"] >= 1003)
        equal(ring_source(engine)["lines"], 1003, "events that were read")
        summary = engine.stop()
    conserved(summary)
    equal(summary["dropped"], 0, "dropped")
    equal(summary["rejected"], {"not_finite": 1, "malformed_json": 1}, "reasons")
    check(ring.positions[8] >> 63, "the ring was not closed")
    values = []
    for chunk in grace.journal_chunks():
        if chunk["kind"] != "shared":
            continue
        check(chunk["packed"], "a chunk of the ring is not packed")
        for line in chunk["text"].splitlines():
            if line.startswith('{"kind":"metric"'):
                event = json.loads(line)
                equal((event["service"], event["labels"]), ("shop", {"host": "n1"}), line)
                values.append(event["value"])
    equal(values, [float(number) for number in range(1000)] + [None], "the journal's metrics")


def producers_are_killed(grace, arguments):
    path = grace.path("ring.sock")
    with grace.engine("--source", f"shared:{path}") as engine:
        for number in range(arguments.count):
            child = os.fork()
            if child == 0:
                ring = Ring(path)
                while True:
                    ring.publish([metric(i) for i in range(100)])
            harness.wait_for("it publishes", lambda: (
                ring_source(engine)["connections_open"] == 1))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            harness.wait_for("it is seen to be gone", lambda: (
                ring_source(engine)["connections_open"] == 0))
        last = Ring(path)
        before = ring_source(engine)["lines"]
        last.publish([metric(1)] * 10)
        harness.wait_for("the last one's events", lambda: (
            ring_source(engine)["lines"] == before + 10))
        equal(ring_source(engine)["read_errors"], 0, "errors")
        summary = engine.stop()
    conserved(summary)
    equal((summary["dropped"], summary["accepted"]), (0, summary["received"]), "nothing is lost")
    return f"{before} events of {arguments.count} killed producers"


if __name__ == "__main__":
    harness.main([is_decided_and_journaled, producers_are_killed], __doc__,
                 count=(5, "producers that are killed"))
