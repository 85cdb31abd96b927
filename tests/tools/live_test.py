"""Eight clients feed a live engine, which is stopped in the middle: what it read is kept.

A raw stream has no acknowledgement but the sender's own buffer: a line counts as taken when the
engine has read it, and what it has read is in the journal and in the counts of its last summary.
"""
import json
import os
import re
import socket
import threading
import time

import harness
from harness import check, equal

CLIENTS = 8
LINE = re.compile(rb'^\{"kind":"(?:metric|action)".*"client":(\d+),"number":(\d+)\}$')


def line_of(client, number):
    """Most lines are metrics; some are actions, of which some fail: there is something to find."""
    if number % 50 == 7:
        result = "error" if number % 200 == 7 else "success"
        return (f'{{"kind":"action","actor":"actor{client}","action":"pay","result":"{result}",'
                f'"resource":"shop{client}","client":{client},"number":{number}}}\n').encode()
    return (f'{{"kind":"metric","service":"shop{client}","metric":"latency_ms",'
            f'"value":{100 + number % 7},"client":{client},"number":{number}}}\n').encode()


class Client(threading.Thread):
    """Sends numbered lines until the connection breaks or stop() is called."""

    def __init__(self, index, port, path, first):
        super().__init__(daemon=True)
        self.index = index
        self.first = first
        self.sent = 0  # lines that went into the kernel whole
        self.stopping = threading.Event()
        if index % 2 == 0:
            self.connection = socket.create_connection(("127.0.0.1", port), 10)
        else:
            self.connection = socket.socket(socket.AF_UNIX)
            self.connection.connect(path)
        self.connection.settimeout(20)

    def run(self):
        number = self.first
        with self.connection:
            while not self.stopping.is_set():
                batch = b"".join(line_of(self.index, number + i) for i in range(20))
                try:
                    # Odd pieces: a line is often split between two reads of the engine.
                    for begin in range(0, len(batch), 997):
                        self.connection.sendall(batch[begin:begin + 997])
                except OSError:
                    return
                number += 20
                self.sent = number - self.first


def journal_lines(grace):
    """Lines per client in the journal's order, and how many unfinished ones were seen."""
    numbers = {client: [] for client in range(CLIENTS)}
    torn = []
    expected_sequence, expected_number = 0, None
    for chunk in grace.journal_chunks():
        equal(chunk["sequence"], expected_sequence, "a chunk's place in the journal")
        if expected_number is not None:
            equal(chunk["number"], expected_number, "a chunk's number")
        text = chunk["text"].encode()
        expected_sequence += len(text)
        expected_number = chunk["number"] + 1
        if chunk["kind"] not in ("tcp", "unix"):
            continue
        *lines, tail = text.split(b"\n")
        for line in lines:
            if not line:
                continue
            match = LINE.match(line)
            check(match, "a torn line in the journal:", line[:200])
            numbers[int(match[1])].append(int(match[2]))
        if tail:
            check(chunk["last_of_source"], "an unfinished line inside the stream:", tail[:200])
            # The cut may fall just before a newline: then the last line is whole, and accepted.
            if match := LINE.match(tail):
                numbers[int(match[1])].append(int(match[2]))
            else:
                torn.append(tail)
    return numbers, torn, expected_sequence


def no_gaps(numbers, firsts, what):
    for client, got in numbers.items():
        expected = list(range(firsts[client], firsts[client] + len(got)))
        if got != expected:
            at = next(i for i, (a, b) in enumerate(zip(got, expected)) if a != b)
            raise harness.Failure(f"{what}, client {client}: line {got[at]} where {expected[at]} "
                                  "is due")


def feed_and_stop(grace, seconds, firsts, decided=0):
    """Feeds for `seconds`, and until the ledger has records beyond number `decided`."""
    port, path = harness.free_port(), grace.path("ingest.sock")
    with grace.engine("--record", grace.path("journal"), "--source", f"tcp:127.0.0.1:{port}",
                      "--source", f"unix:{path}") as engine:
        clients = [Client(i, port, path, firsts[i]) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(seconds)
        harness.wait_for("something is decided", lambda: engine.stats()["durable_sequence"]
                         > decided, seconds=60)
        summary = engine.stop()  # in the middle: all clients are sending
        stop_seconds = engine.stop_seconds
        for client in clients:
            client.stopping.set()
            client.join()
        check(not os.path.exists(engine.control_path), "the control socket's file stays behind")
        check(all(client.sent > 0 for client in clients), "a client could not send")
    return summary, stop_seconds, {client.index: client.sent for client in clients}


def keeps_what_it_read_and_goes_on(grace, arguments):
    firsts = {client: 0 for client in range(CLIENTS)}
    summary, stop_seconds, sent = feed_and_stop(grace, arguments.seconds, firsts)

    numbers, torn, bytes_total = journal_lines(grace)
    no_gaps(numbers, firsts, "first run")
    read = sum(len(lines) for lines in numbers.values())
    check(read > 1000, "only", read, "lines were read")
    for client, lines in numbers.items():
        check(lines, "nothing of client", client)
        # A batch of 20 lines may be under way in addition to what was sent whole.
        check(len(lines) <= sent[client] + 20, "client", client, "has more lines than it sent")
    check(len(torn) <= CLIENTS, len(torn), "unfinished lines")
    equal(bytes_total, summary["input_bytes"], "bytes in the journal")
    rejected = sum(summary["rejected"].values())
    equal(summary["received"], summary["accepted"] + rejected + summary["dropped"], "conservation")
    equal(rejected, len(torn), "rejected lines (unfinished at the end)")
    equal(summary["dropped"], 0, "dropped lines")

    # The journal is the run: the same counts and the same decisions.
    replayed = grace.json("replay", grace.path("journal"))
    for key in ("received", "accepted", "rejected", "decision_digest", "records", "incidents"):
        equal(replayed[key], summary[key], "replayed " + key)
    check(summary["triggers"]["total_triggers"] > 0, "nothing was found: the digest proves little")
    first = grace.json("ledger", "verify", grace.path("ledger"))
    check(first["ok"] and first["sealed"], "ledger verify:", first)
    check(grace.json("ledger", "verify", grace.path("journal"))["ok"], "journal verify")

    # Again on the same directories: nothing is lost, nothing is used twice.
    again = {client: 10_000_000 for client in range(CLIENTS)}
    second_summary, _, _ = feed_and_stop(grace, arguments.seconds / 2, again,
                                         first["last_sequence"])
    second, _, bytes_after = journal_lines(grace)
    for client, lines in second.items():
        equal(lines[:len(numbers[client])], numbers[client], "what the first run recorded")
    no_gaps({c: lines[len(numbers[c]):] for c, lines in second.items()}, again, "second run")
    equal(bytes_after, bytes_total + second_summary["input_bytes"], "bytes after the second run")
    later = grace.json("ledger", "verify", grace.path("ledger"))
    check(later["ok"], "ledger verify after the second run:", later)
    check(later["last_sequence"] > first["last_sequence"], "the ledger does not go on")
    equal(later["log_id"], first["log_id"], "the ledger's identity")
    records = grace.records()
    sequences = [record["seq"] for record in records]
    check(sequences == sorted(set(sequences)), "ledger sequences do not rise")
    return (f"{read} lines of {CLIENTS} clients, {len(torn)} unfinished, "
            f"{summary['triggers']['total_triggers']} triggers, stopped in {stop_seconds:.2f} s")


def silent_peers_do_not_keep_an_engine(grace, arguments):
    port = harness.free_port()
    with grace.engine("--source", f"tcp:127.0.0.1:{port}") as engine:
        silent = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(CLIENTS)]
        silent[0].sendall(b'{"kind":"metric","service":"s","metric":"m","value":1}')  # no newline
        harness.wait_for("the connections are open", lambda: sum(
            s["connections_open"] for s in engine.stats()["sources"]) == CLIENTS)
        summary = engine.stop()
        for connection in silent:
            connection.close()
    equal(summary["received"] - summary["accepted"], sum(summary["rejected"].values()), "counts")
    return f"stopped in {engine.stop_seconds:.2f} s"


def two_engines_do_not_share_a_ledger(grace, arguments):
    port, other = harness.free_port(), harness.free_port()
    with grace.engine("--source", f"tcp:127.0.0.1:{port}") as engine:
        second = grace.run("run", "--ledger", engine.ledger, "--source", f"tcp:127.0.0.1:{other}",
                           code=None, seconds=20)
        check(second.returncode in (1, 2), "a second engine on the same ledger started")
        check("ledger" in second.stderr or "control" in second.stderr, second.stderr)
        check(engine.stats()["ok"], "the first engine was disturbed")
        engine.stop()


if __name__ == "__main__":
    harness.main([keeps_what_it_read_and_goes_on, silent_peers_do_not_keep_an_engine,
                  two_engines_do_not_share_a_ledger], __doc__,
                 seconds=(2.0, "how long the clients send before the engine is stopped"))
