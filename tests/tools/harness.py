"""Runs the grace program as a live process: what the tests of this folder share.

Nothing outlives a test: engines die with it (PR_SET_PDEATHSIG), and the temporary directory goes.
"""
import argparse
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

START_SECONDS = 20  # until a started engine must answer on its control socket
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(part) for part in what))


def equal(got, expected, what):
    check(got == expected, f"{what}: got {got!r}, expected {expected!r}")


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, holds, seconds=60.0, pause=0.05):
    """The first true value of holds(); Failure names `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"after {seconds} s still not: {what}")
        time.sleep(pause)


def process_gone(pid):
    """True when nothing with this id runs; a zombie does not run."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Grace:
    """The program, its working directory and short ways to its commands."""

    def __init__(self, binary, directory):
        self.binary = os.path.abspath(binary)
        self.directory = directory

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        return self.path(name)

    def run(self, *arguments, code=0, text=None, env=None, seconds=60):
        """Runs a command to its end; Failure unless it exits with `code` (None: any)."""
        done = subprocess.run(
            [self.binary, *arguments], input=text, capture_output=True, timeout=seconds,
            text=not isinstance(text, bytes), cwd=self.directory, check=False,
            preexec_fn=die_with_parent, env=None if env is None else {**os.environ, **env})
        if code is not None and done.returncode != code:
            raise Failure(f"grace {' '.join(arguments)}: exit {done.returncode}, expected {code}\n"
                          f"stdout: {done.stdout[-2000:]}\nstderr: {done.stderr[-2000:]}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--json", **options).stdout)

    def records(self, ledger="ledger", *arguments):
        out = self.run("ledger", "cat", self.path(ledger), "--json", *arguments).stdout
        return [json.loads(line) for line in out.splitlines()]

    def journal_chunks(self, journal="journal"):
        out = self.run("journal", "cat", self.path(journal), "--json").stdout
        return [json.loads(line) for line in out.splitlines()]

    def engine(self, *arguments, **options):
        return Engine(self, *arguments, **options)


class Engine:
    """A running `grace run`. As a context it is killed when the block is left."""

    def __init__(self, grace, *arguments, ledger="ledger", wait=True):
        self.grace = grace
        self.ledger = grace.path(ledger)
        self.control_path = os.path.join(self.ledger, "control.sock")
        self.out = tempfile.TemporaryFile("w+", dir=grace.directory)
        self.err = tempfile.TemporaryFile("w+", dir=grace.directory)
        self.process = subprocess.Popen(
            [grace.binary, "run", "--ledger", self.ledger, "--json", *arguments],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err, cwd=grace.directory,
            preexec_fn=die_with_parent)
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.kill()
        self.out.close()
        self.err.close()

    @staticmethod
    def text_of(file):
        file.seek(0)
        return file.read()

    def stderr(self):
        return self.text_of(self.err)

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise Failure(f"grace run ended with {self.process.returncode}: {self.stderr()}")
            try:
                return self.ask({"op": "stats"})["ok"]
            except OSError:
                return False
        wait_for("the engine answers", ready, START_SECONDS)

    def ask(self, request, seconds=15):
        return ask(self.control_path, request, seconds)

    def stats(self):
        answer = self.ask({"op": "stats"})
        check(answer["ok"], "stats:", answer)
        return answer

    def control(self, *arguments, code=0):
        """A command of the command line, against this engine, with --json."""
        done = self.grace.run(*arguments, "--ledger", self.ledger, "--json", code=code)
        return json.loads(done.stdout) if code == 0 else done

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self, seconds=60.0):
        """SIGTERM; the summary. Failure unless it exits with 0 in time: enough for a disk that
        stalls its syncs, and less than what hangs would take."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired as expired:
            raise Failure(f"no exit {seconds} s after SIGTERM: {self.stderr()}") from expired
        self.stop_seconds = time.monotonic() - begin
        equal(self.process.returncode, 0, "exit code after SIGTERM; " + self.stderr())
        return json.loads(self.text_of(self.out))


def ask_raw(path, request, seconds=15):
    """Bytes in, bytes out, until a newline or the end."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b"\n"):
            part = connection.recv(65536)
            if not part:
                break
            answer += part
        return answer


def ask(path, request, seconds=15):
    return json.loads(ask_raw(path, json.dumps(request).encode() + b"\n", seconds))


def lines_of(records):
    return "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records).encode()


def send_tcp(port, data):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(data)


def main(cases, description, **options):
    """Runs the cases (functions of Grace and the arguments), each in its own directory."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("binary", help="the grace program")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    for name, (default, text) in options.items():
        parser.add_argument("--" + name, type=type(default), default=default, help=text)
    arguments = parser.parse_args()
    # Settings of the caller's shell are not this test's.
    for name in list(os.environ):
        if "TRIGGERS" in name or name.endswith("_MIN_CONFIDENCE"):
            del os.environ[name]
    signal.signal(signal.SIGTERM, lambda *ignored: sys.exit(143))  # tidies up on the way out
    failed = 0
    for case in cases:
        if arguments.only not in case.__name__:
            continue
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="grace-") as directory:
            try:
                note = case(Grace(arguments.binary, directory), arguments)
                verdict = "ok"
            except Exception as error:  # one failed case must not hide the others
                failed += 1
                verdict, note = "FAILED", f"{type(error).__name__}: {error}"
        print(f"{verdict:6} {case.__name__} ({time.monotonic() - begin:.1f} s) {note or ''}",
              flush=True)
    sys.exit(1 if failed else 0)
