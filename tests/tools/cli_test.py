"""The command line: help, exit codes, errors, JSON, completion, and every command that talks to a
live engine.
"""
import contextlib
import gzip
import json
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time

import harness
from harness import check, equal, wait_for

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "demo.toml")


def subcommands(help_text):
    """Names listed under the heading of subcommands, whatever CLI11 calls it."""
    names, inside = [], False
    for line in help_text.splitlines():
        if re.match(r"^\s*sub-?commands:", line, re.IGNORECASE):
            inside = True
        elif inside and (match := re.match(r"^  ([a-z][a-z-]*)\b", line)):
            names.append(match[1])
        elif inside and line and not line.startswith(" "):
            inside = False
    return names


def every_command_has_help_with_an_example(grace, arguments):
    seen = []

    def visit(path):
        text = grace.run(*path, "--help").stdout
        children = subcommands(text)
        if not children:
            check("Example: " in text, "no example in: grace", *path, "--help")
            example = text.split("Example: ", 1)[1].splitlines()[0]
            check("grace " + " ".join(path) in example, "the example of", *path, "is", example)
        for child in children:
            seen.append(" ".join([*path, child]))
            visit([*path, child])
    visit([])
    wanted = {"run", "replay", "gen", "ledger verify", "ledger cat", "ledger stats", "journal cat",
              "ledger prove", "ledger check-proof", "ledger checkpoint", "ledger keygen",
              "ledger rotate-key", "ledger keys", "ledger reveal", "ledger check-value",
              "ledger redact", "ledger repair",
              "runs list", "runs show", "runs approve", "runs reject", "pause", "resume",
              "silence add", "silence list", "silence expire", "feedback", "stats", "ack", "undo",
              "check", "explain", "completion", "score series", "score changepoints",
              "score sessions", "score groups", "score rootcause", "bench run", "bench search",
              "bench sweep", "bench plan", "bench compare", "bench stall"}
    check(wanted <= set(seen), "missing:", wanted - set(seen))
    equal(grace.run("--version").stdout.count("."), 2, "dots in the version")
    return f"{len(seen)} commands"


def what_the_ledger_proves_holds_without_it(grace, arguments):
    key, log = grace.path("ledger.key"), grace.path("proven")
    public = grace.write("ledger.pub", grace.run("ledger", "keygen", "grace.example/l", key).stdout)
    equal(os.stat(key).st_mode & 0o777, 0o600, "mode of the key's file")
    os.mkdir(grace.path("elsewhere"))
    config = grace.write("sign.toml", f'[engine]\nledger_signing_key = "{key}"\n'
                         f'ledger_export = "{grace.path("elsewhere")}"\n')
    stream = grace.write("stream", grace.run("gen", "--count", "40000").stdout)
    records = grace.json("replay", stream, "--config", config, "--ledger", log)["records"]
    check(records > 20, "only", records, "records: the test proves little")
    held = grace.write("held", grace.run("ledger", "checkpoint", log, "--key", public).stdout)
    proof = grace.path("proof")
    for sequence in (1, records // 2, records):
        grace.run("ledger", "prove", log, str(sequence), "--key", public, "--out", proof)
        proven = grace.json("ledger", "check-proof", proof, "--key", public)
        equal((proven["sequence"], proven["ok"]), (sequence, True), "the proof")
    with open(proof, encoding="utf-8") as file:
        text = file.read()
    wrong = grace.write("wrong", text.replace(f"sequence {records}", f"sequence {records - 1}", 1))
    refused = grace.run("ledger", "check-proof", wrong, "--key", public, code=1).stderr
    check("contradict" in refused, refused)
    grace.run("ledger", "prove", log, "--key", public, code=2)
    equal(grace.json("ledger", "verify", log, "--key", public, "--checkpoint",
                     grace.path("elsewhere/checkpoint"))["checkpoint"], "holds", "the export")
    check(grace.json("ledger", "verify", log, "--checkpoint", held, "--key", public)["ok"], "held")
    # The log goes on, and still begins with what was signed.
    grace.json("replay", stream, "--config", config, "--ledger", log)
    grace.run("ledger", "prove", log, "--since", held, "--key", public, "--out", proof)
    equal(grace.json("ledger", "check-proof", proof, "--key", public)["kind"], "consistency", "")
    newer = grace.write("newer", grace.run("ledger", "checkpoint", log).stdout)
    # Its last segment is taken away: alone it is sound, beside the checkpoint it is not.
    os.remove(max(entry.path for entry in os.scandir(log) if entry.name.endswith(".segment")))
    check(grace.json("ledger", "verify", log)["ok"], "a log cut at a segment's end is sound alone")
    found = grace.run("ledger", "verify", log, "--checkpoint", newer, "--key", public, code=1)
    check("cut or rolled back" in found.stdout, found.stdout)
    refused = grace.run("replay", stream, "--config", config, "--ledger", log, code=None)
    check(refused.returncode != 0 and "cut or rolled back" in refused.stderr, refused.stderr)
    os.chmod(key, 0o644)
    refused = grace.run("replay", stream, "--config", config, "--ledger", "other", code=None)
    check(refused.returncode != 0 and "chmod 600" in refused.stderr, refused.stderr)
    return f"{records} records"


def a_replay_takes_the_cpus_it_may_use_unless_told(grace, arguments):
    stream = grace.write("stream", grace.run("gen", "--count", "2000").stdout)
    told = grace.write("told.toml", "[engine]\nworkers = 1\n")
    silent = grace.write("silent.toml", '[engine]\nidle = "park"\n')
    digests = set()
    for words, workers in (([], min(len(os.sched_getaffinity(0)), 4)),
                           (["--config", silent], min(len(os.sched_getaffinity(0)), 4)),
                           (["--config", told], 1), (["--config", told, "--workers", "3"], 3)):
        summary = grace.json("replay", stream, *words)
        equal(summary["workers"], workers, words)
        digests.add(summary["decision_digest"])
    equal(len(digests), 1, "digests")
    return f"{min(len(os.sched_getaffinity(0)), 4)} workers"


def wrong_use_exits_with_2_and_says_what(grace, arguments):
    empty = grace.write("empty", "")
    cases = [
        ([], ""),
        (["nonsense"], "nonsense"),
        (["replay"], "input"),
        (["replay", "nowhere.ndjson"], "nowhere.ndjson"),
        (["replay", empty, "--speed", "fast"], "--speed"),
        (["replay", empty, "--chunk", "lots"], "--chunk"),
        (["replay", empty, "--chunk", "1"], "chunk"),
        (["replay", empty, "--mode", "wild"], "--mode"),
        (["replay", empty, "--workers", "-1"], "workers"),
        (["replay", empty, "--workers", "0"], "workers"),
        (["replay", empty, "--arrival", "noon"], "--arrival"),
        (["replay", empty, "--config", "none.toml"], "none.toml"),
        (["run", "--mode", "wild"], "--mode"),
        (["run", "--ledger", grace.path("l"), "--source", "tcp:127.0.0.1:notaport"], "notaport"),
        (["run", "--config", "none.toml"], "none.toml"),
        (["gen", "--profile", "nonsense"], "nonsense"),
        (["gen", "--count", "many"], "count"),
        (["ledger", "verify"], "directory"),
        (["ledger", "verify", "nowhere"], "nowhere"),
        (["ledger", "cat", "nowhere"], "nowhere"),
        (["ledger", "stats", "nowhere"], "nowhere"),
        (["journal", "cat", "nowhere"], "nowhere"),
        (["feedback", "some_id", "perhaps"], "perhaps"),
        (["silence", "add"], "--service"),
        (["silence", "add", "--service", "s", "--duration", "-5"], "duration"),
        (["check", "none.toml"], "none.toml"),
        (["completion", "fish"], "fish"),
    ]
    for command, word in cases:
        done = grace.run(*command, code=2)
        check(word.lower() in done.stderr.lower(), "grace", *command, "does not name", repr(word),
              "on stderr:", done.stderr, done.stdout[:200])
        check("terminate called" not in done.stderr, done.stderr)


def without_an_engine_commands_exit_with_1(grace, arguments):
    os.makedirs(grace.path("ledger"))
    for command in (["stats"], ["pause"], ["resume"], ["feedback", "x", "right"],
                    ["ack", "*"], ["undo", "x"], ["silence", "list"], ["runs", "approve", "x"]):
        done = grace.run(*command, "--ledger", grace.path("ledger"), code=1)
        check("control.sock" in done.stderr, "grace", *command, ":", done.stderr)
        equal(done.stdout, "", "output of a failed command")


def settings_are_checked_with_their_place(grace, arguments):
    shown = grace.run("check", DEMO).stdout
    check(re.search(r"(\d+) of \1 policy tests passed", shown), shown)
    grace.run("check")
    for text, line, word in [
            ("mode = \"auto\"\n\n[schedule]\napproval_expiri = \"3m\"\n", 4, "approval_expiri"),
            ("mode = \"sometimes\"\n", 1, "mode"),
            ("[ingest]\nlinger = 5\n", 2, "linger"),
            ("[ingest]\nchunk_bytes = \"a lot\"\n", 2, "chunk_bytes"),
            ("[engine]\nworkers = \"two\"\n", 2, "workers"),
            ("[engine]\nworkers = -1\n", 2, "workers"),
            ("[triggers]\nML_MIN_CONFIDENCE = 7\n", 2, "ML_MIN_CONFIDENCE"),
            ("[[policy]]\nname = \"x\"\n", 1, "decision"),
            ("[colours]\nred = 1\n", 1, "colours"),
            ("[schedule]\nexec_allowed = \"/bin/true\"\n", 2, "exec_allowed"),
            ("a = = 1\n", 1, "bad.toml")]:
        path = grace.write("bad.toml", text)
        done = grace.run("check", path, code=2)
        check(f"bad.toml:{line}" in done.stderr and word in done.stderr, repr(text), "gives",
              done.stderr)
    failing = open(DEMO, encoding="utf-8").read().replace('expect = "allow"', 'expect = "deny"')
    done = grace.run("check", grace.write("failing.toml", failing), code=1)
    check("an ordinary service may be scaled" in done.stderr, done.stderr)
    done = grace.run("check", code=2, env={"ML_MIN_CONFIDENCE": "high"})
    check("ML_MIN_CONFIDENCE" in done.stderr, done.stderr)


def completion_completes(grace, arguments):
    script = grace.write("completion.bash", grace.run("completion", "bash").stdout)
    equal(subprocess.run(["bash", "-n", script], check=False).returncode, 0, "bash -n")

    def complete(*words):
        run = (f"source {script}; COMP_WORDS=({' '.join(repr(w) for w in words)}); "
               f"COMP_CWORD={len(words) - 1}; _grace; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return subprocess.run(["bash", "-c", run], capture_output=True, text=True, check=True,
                              cwd=grace.directory).stdout.split()
    equal(complete("grace", "led"), ["ledger"], "grace led<TAB>")
    equal(complete("grace", "ledger", "ver"), ["verify"], "grace ledger ver<TAB>")
    check("--chunk" in complete("grace", "replay", "--"), "grace replay --<TAB>")
    check("executor" not in complete("grace", ""), "an internal command is offered")
    check("_grace" in grace.run("completion", "zsh").stdout, "zsh")


def a_stream_is_generated_by_its_seed(grace, arguments):
    def gen(*options):
        return grace.run("gen", "--count", "5000", *options).stdout
    first = gen("--seed", "7")
    equal(gen("--seed", "7"), first, "the same seed again")
    check(gen("--seed", "8") != first, "another seed gives the same stream")
    equal(first.count("\n"), 5000, "lines")
    for line in first.splitlines():
        json.loads(line)


def replay_reads_what_it_is_given(grace, arguments):
    text = grace.run("gen", "--count", "20000", "--seed", "3").stdout.encode()
    plain = grace.write("s.ndjson", text.decode())
    with gzip.open(grace.path("s.ndjson.gz"), "wb") as out:
        out.write(text)
    expected = grace.json("replay", plain)
    equal(expected["received"], 20000, "received")
    for key in ("received", "accepted", "rejected", "dropped", "late", "triggers", "suppressed",
                "incidents", "runs", "decision_digest", "wall_seconds", "events_per_second",
                "peak_rss_bytes", "workers", "forecast_bands", "risk_judgements"):
        check(key in expected, "replay --json has no", key)
    inputs = [([grace.path("s.ndjson.gz")], None), (["-"], text)]
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", plain], check=True)
        inputs.append(([plain + ".zst"], None))
    # Two files are one input.
    half = text.index(b"\n", len(text) // 2) + 1
    inputs.append(([grace.write("a", text[:half].decode()), grace.write("b", text[half:].decode())],
                   None))
    for paths, stdin in inputs:
        done = grace.run("replay", *paths, "--json", text=stdin)
        equal(json.loads(done.stdout)["decision_digest"], expected["decision_digest"], paths)
        check(not done.stderr, "without a terminal nothing is shown:", done.stderr)
    broken = grace.path("broken.gz")
    with open(grace.path("s.ndjson.gz"), "rb") as whole, open(broken, "wb") as out:
        out.write(whole.read()[:-2000])
    done = grace.run("replay", broken, "--json", code=1)
    equal(json.loads(done.stdout)["read_errors"], 1, "read errors of a cut file")
    check("broken.gz" in done.stderr, "a cut file is not named:", done.stderr)
    return f"{len(inputs)} other forms; a cut file: {done.stderr.strip()}"


def replay_keeps_pace(grace, arguments):
    begin = 1_736_950_000
    lines = [{"ts": (begin + i) * 10**9, "kind": "metric", "service": "s", "metric": "m",
              "value": i} for i in range(121)]  # two minutes
    path = grace.write("paced.ndjson", harness.lines_of(lines).decode())
    fast = grace.json("replay", path)
    paced = grace.json("replay", path, "--speed", "60x")
    check(1.8 <= paced["wall_seconds"], "two minutes at 60x took", paced["wall_seconds"], "s")
    check(fast["wall_seconds"] < paced["wall_seconds"], "max is slower than 60x")
    equal(paced["decision_digest"], fast["decision_digest"], "the digest at another pace")
    return f"two minutes at 60x took {paced['wall_seconds']:.2f} s"


def trigger_line(service, diagnosis="cpu_exhausted", source="agentic_spine.health_degradation"):
    return {"event_type": source, "source": "upstream", "actor": "spine", "resource": service,
            "payload": {"diagnosis_code": diagnosis, "confidence": 0.95, "impact": "high",
                        "reasoning": ["a test says so"],
                        "suggested_playbooks": ["investigate_root_cause"]}}


def a_live_engine_obeys(grace, arguments):
    port = harness.free_port()
    with grace.engine("--source", f"tcp:127.0.0.1:{port}") as engine:
        harness.send_tcp(port, harness.lines_of([trigger_line("shop")]))

        def triggers(result="emitted"):
            return [r for r in grace.records("ledger", "--action", "intelligent_trigger")
                    if r["result"] == result]
        wait_for("a trigger is in the ledger", triggers)
        trigger = triggers()[0]["payload"]["trigger_id"]
        check(grace.run("explain", trigger, "--ledger", engine.ledger).stdout, "explain")
        grace.json("explain", trigger, "--ledger", engine.ledger)
        grace.run("explain", "no_such_trigger", "--ledger", engine.ledger, code=1)

        def wrong():
            return engine.stats()["false_positives"]["agentic_spine"]
        before = wrong()
        engine.control("feedback", trigger, "wrong", "--reason", "a known batch job")
        wait_for("the feedback counts", lambda: wrong() != before)

        equal(engine.control("silence", "list")["silences"], [], "silences")
        engine.control("silence", "add", "--service", "quiet", "--duration", "600", "--reason",
                       "migration")
        silence = engine.control("silence", "list")["silences"]
        equal([(s["service"], s["reason"], s["created_by"]) for s in silence],
              [("quiet", "migration", f"user:{os.getuid()}")], "the silence")
        harness.send_tcp(port, harness.lines_of([trigger_line("quiet")]))
        wait_for("the silence acts", lambda: triggers("suppressed:silence"))
        engine.control("silence", "expire", silence[0]["id"])
        equal(engine.control("silence", "list")["silences"], [], "silences after expire")
        harness.send_tcp(port, harness.lines_of([trigger_line("quiet", "another")]))
        wait_for("the silence is over", lambda: len(triggers()) == 2)

        # What has no effect says so.
        name = sorted(engine.stats()["thresholds"])[0]
        for command, word in [(["feedback", "no_such_trigger", "right"], "no_such_trigger"),
                              (["silence", "expire", "no_such_silence"], "no_such_silence"),
                              (["ack", "no_such_breaker"], "breaker"), (["undo", name], name),
                              (["runs", "reject", "run_0000000000000000"], "run_00000000")]:
            done = engine.control(*command, code=1)
            check(word in done.stderr, "grace", *command, "says", done.stderr)
        engine.control("runs", "list")
        check(engine.control("runs", "show", "run_0000000000000000", code=1).stderr, "no error")
        for text in (grace.run("stats", "--ledger", engine.ledger).stdout,
                     grace.run("silence", "list", "--ledger", engine.ledger).stdout):
            check(text, "no text")
        # Two periods of an actor's errors: the first is observed, and followed.
        nothing = {"series": 0, "keys": 0, "evicted": 0, "refused": 0, "deferred": 0,
                   "edges_refused": 0}
        equal(engine.stats()["root_causes"], nothing, "the search for root causes")
        now = time.time_ns()
        harness.send_tcp(port, harness.lines_of([
            {"ts": now - ago * 10**9, "kind": "action", "actor": "clerk", "action": "pay",
             "resource": "shop", "result": "error"} for ago in (60, 30)]))
        wait_for("an actor's errors are followed",
                 lambda: engine.stats()["root_causes"] == {**nothing, "series": 1, "keys": 1}, 5)
        check('"keys":1' in grace.run("stats", "--ledger", engine.ledger).stdout, "stats as text")
        stats = engine.stats()
        equal(stats["mode"], "suggest", "the default mode")
        engine.stop()
    grace.run("ledger", "verify", engine.ledger)
    # Offline commands on the ledger alone.
    grace.json("runs", "list", "--ledger", engine.ledger)
    grace.json("ledger", "stats", engine.ledger)
    first, second = grace.records()[:2]
    equal(grace.records("ledger", "--from", str(second["seq"]))[0], second, "--from")
    for key in ("seq", "ts", "actor", "action", "resource", "subsystem", "result", "payload"):
        check(key in first, "a record without", key)


def the_host_is_watched_by_default(grace, arguments):
    config = grace.write("grace.toml", f"[ingest]\ntcp_port = {harness.free_port()}\n"
                                       "host_period = \"500ms\"\n")
    with grace.engine("--config", config) as engine:
        def host():
            return sum(s["lines"] for s in engine.stats()["sources"]
                       if s["name"].startswith("host:"))
        wait_for("figures of the host come", lambda: host() > 20)
        wait_for("they are events", lambda: engine.stats()["engine"]["accepted"] > 20)
        names = {s["name"].split(":")[0] for s in engine.stats()["sources"]}
        check({"host", "unix", "tcp"} <= names, names)
        mode = os.stat(engine.control_path).st_mode & 0o777
        equal(oct(mode), oct(0o600), "the control socket's mode")
        summary = engine.stop()
    equal(summary["rejected"], {}, "rejected figures of the host")
    check(not os.path.exists(grace.path("ledger/ingest.sock")), "the ingest socket stays behind")
    return f"{summary['accepted']} events"


def raw_streams_cannot_command(grace, arguments):
    """TCP carries telemetry only; a step's result cannot come from outside at all."""
    port, path = harness.free_port(), grace.path("in.sock")
    with grace.engine("--source", f"tcp:127.0.0.1:{port}", "--source", f"unix:{path}") as engine:
        pause = {"kind": "control", "control": "pause", "actor": "mallory"}
        tick = {"kind": "control", "control": "tick", "ts": 4_000_000_000_000_000_000}
        harness.send_tcp(port, harness.lines_of([pause, tick]))
        wait_for("both are refused",
                 lambda: sum(engine.stats()["engine"]["rejected"].values()) == 2, 5)
        check(not engine.stats()["paused"], "a TCP client paused the engine")
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.connect(path)
            connection.sendall(harness.lines_of([tick, pause]))
        wait_for("the unix socket, which only its owner can open, may pause",
                 lambda: engine.stats()["paused"], 5)
        equal(sum(engine.stats()["engine"]["rejected"].values()), 3, "refused")
        engine.stop()


def garbage_does_not_disturb_the_control_socket(grace, arguments):
    rng = random.Random(arguments.seed)
    with grace.engine("--source", f"tcp:127.0.0.1:{harness.free_port()}") as engine:
        path = engine.control_path
        requests = [b"\n", b"{}\n", b"[]\n", b"null\n", b"\"stats\"\n", b"{\"op\":7}\n",
                    b"{\"op\":\"run\"}\n", b"{\"op\":\"run\",\"id\":[]}\n",
                    b"{\"op\":\"nonsense\"}\n", b"{\"op\":\"control\"}\n",
                    b"{\"op\":\"control\",\"control\":\"tick\"}\n",
                    b"{\"op\":\"control\",\"control\":\"step_result\",\"run_id\":\"x\"}\n",
                    b"{\"op\":\"control\",\"control\":\"topology\"}\n",
                    b"{\"op\":\"stats\"", b"\xff\xfe\x00\n", b"[" * 60_000 + b"\n",
                    b"{\"op\":\"" + b"x" * 60_000 + b"\"}\n",
                    b"{\"op\":\"control\",\"control\":\"silence\",\"duration_s\":1e300}\n",
                    b"{\"op\":\"control\",\"control\":\"silence\",\"service\":\"x\","
                    b"\"duration_s\":9223372036854775807}\n",
                    b"{\"op\":\"control\",\"control\":\"silence\",\"service\":\"x\","
                    b"\"duration_s\":-9223372036854775808}\n",
                    b"{\"op\":\"control\",\"control\":\"pause\",\"reason\":{\"a\":[1]}}\n"]
        for request in requests:
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
                connection.settimeout(10)
                connection.connect(path)
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                answer = b""
                while part := connection.recv(65536):
                    answer += part
            if request.endswith(b"\n"):
                check("ok" in json.loads(answer), request[:60], answer[:200])
                check(b"\n" not in answer[:-1], "two lines answer one:", request[:60])
        for _ in range(arguments.count):
            base = bytearray(rng.choice(requests[:19]))
            for _ in range(rng.randrange(1, 6)):
                base[rng.randrange(len(base))] = rng.randrange(256)
            with contextlib.suppress(OSError):
                harness.ask_raw(path, bytes(base) + b"\n", 10)
        # A line over the bound is told so and hung up on.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            answer = harness.ask_raw(path, b"x" * 70_000)
            equal(json.loads(answer)["ok"], False, "an over-long request")
        # One byte at a time, and two requests at once.
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(10)
            connection.connect(path)
            for byte in b'{"op":"silences"}\n':
                connection.sendall(bytes([byte]))
            check(json.loads(connection.makefile().readline())["ok"], "byte by byte")
            connection.sendall(b'{"op":"silences"}\n{"op":"runs"}\n')
            answers = connection.makefile()
            check("silences" in json.loads(answers.readline()), "the first of two")
            check("runs" in json.loads(answers.readline()), "the second of two")
        check(engine.stats()["ok"], "the engine was disturbed")
        engine.stop()
    report = grace.json("ledger", "verify", engine.ledger)
    check(report["ok"], report)


def many_control_clients_are_served(grace, arguments):
    with grace.engine("--source", f"tcp:127.0.0.1:{harness.free_port()}") as engine:
        wrong, served = [], []

        def client(index):
            try:
                for _ in range(10):
                    check(engine.ask({"op": "stats" if index % 2 else "runs"})["ok"], "an answer")
                served.append(index)
            except Exception as error:  # reported below, by the thread that may
                wrong.append(f"{index}: {error}")
        idle = []
        for _ in range(40):  # more than there are places, and silent
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(0.2)
            with contextlib.suppress(OSError):
                connection.connect(engine.control_path)
            idle.append(connection)
        threads = [threading.Thread(target=client, args=(i,), daemon=True) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for connection in idle:
            connection.close()
        equal((sorted(served), wrong), (list(range(20)), []), "served, and failures")
        engine.stop()


if __name__ == "__main__":
    harness.main([every_command_has_help_with_an_example,
                  a_replay_takes_the_cpus_it_may_use_unless_told,
                  wrong_use_exits_with_2_and_says_what,
                  without_an_engine_commands_exit_with_1, settings_are_checked_with_their_place,
                  completion_completes, a_stream_is_generated_by_its_seed,
                  replay_reads_what_it_is_given, replay_keeps_pace, a_live_engine_obeys,
                  the_host_is_watched_by_default, raw_streams_cannot_command,
                  garbage_does_not_disturb_the_control_socket, many_control_clients_are_served,
                  what_the_ledger_proves_holds_without_it],
                 __doc__, count=(200, "mutated requests to the control socket"),
                 seed=(1, "of the mutations"))
