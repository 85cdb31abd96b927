"""`grace score`: output; and wrong input: exit code 2 and a line that names its place."""
import json
import os
import random
import subprocess

import harness
from harness import check, equal


def write(grace, name, content):
    path = os.path.join(grace.directory, name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


def session(dice):
    """open, read twice or more, sometimes hit, close."""
    reads = ["read", "hit"] if dice.random() < 0.3 else ["read"]
    return " ".join(["open", "read"] + reads * (2 if dice.random() < 0.05 else 1) + ["close"])


def sessions_are_scored_a_line_each(grace, arguments):
    dice = random.Random(1)
    train = write(grace, "train", "".join(session(dice) + "\n" for _ in range(1000)))
    tests = ["open read read close", "open read  read\tclose", "", "open steal close",
             "open read read read read read read read read close", "read open close read"]
    test = write(grace, "test", "\n".join(tests) + "\n")
    plain = grace.run("score", "sessions", "--train", train, test).stdout.splitlines()
    equal(len(plain), len(tests), "scores")
    flagged = grace.run("score", "sessions", "--train", train, "--threshold", "auto",
                        test).stdout.splitlines()
    equal([line.split()[0] for line in flagged], plain, "scores with and without a threshold")
    equal([line.split()[1] for line in flagged[:2]], ["0", "0"], "ordinary sessions")
    equal([line.split()[1] for line in flagged[2:]], ["1"] * 4, "odd sessions")
    equal(plain[0], plain[1], "blanks and tabs")
    return f"{len(tests)} sessions"


def alert(second, service, name, **more):
    return json.dumps({"ts": (1736950000 + second) * 10**9, "service": service, "name": name,
                       **more})


def alerts_are_grouped_as_they_come(grace, arguments):
    lines = [alert(day * 86400, "batch", "nightly job is late") for day in range(3)]
    lines += [alert(200000 + i, "web", f"worker {i + 1000} died", index=100 + i)
              for i in range(5)]
    lines += ["", alert(200006, "db", "connection refused")]
    path = write(grace, "alerts", "\n".join(lines))
    rows = grace.run("score", "groups", path).stdout.splitlines()
    equal(rows[0], "index,group", "head")
    equal(rows[4:9], [f"{100 + i},3" for i in range(5)], "the burst")
    equal(rows[9], "8,3", "what is new beside it")
    edges = write(grace, "edges", "caller,callee\nweb,cache\ndb,disk\n")
    apart = grace.run("score", "groups", "--topology", edges, path).stdout.splitlines()
    equal(apart[9], "8,4", "a service that is known not to depend")
    return f"{len(rows) - 1} alerts"


def wrong_input_is_named_with_its_place(grace, arguments):
    good = write(grace, "good", "a b c\n")
    long = write(grace, "long", b"a b\n" + b"x" * (1 << 20) + b"y\n")
    binary = write(grace, "binary", b"a b\n\x00\n")
    empty = write(grace, "empty", "\n\n")
    alerts = write(grace, "bad_alerts", alert(1, "a", "b") + "\n{\"ts\":1}\n")
    broken = write(grace, "broken", alert(1, "a", "b") + "\n" + alert(2, "a", "b")[:-5])
    edges = write(grace, "bad_edges", "caller,callee\na,b\na,b,c\n")
    missing = os.path.join(grace.directory, "missing")
    crowd = write(grace, "crowd", "".join(f"a{i},b{i}\n" for i in range(3000)))
    cases = [
        (["sessions", "--train", good, "--threshold", "auto", good],
         f"{good}: too few sessions for a threshold"),
        (["groups", "--topology", crowd, alerts],
         f"{crowd}:2731: more services and dependencies than the model keeps"),
        (["sessions", "--train", missing, good], f"{missing}: No such file"),
        (["sessions", "--train", good, missing], f"{missing}: No such file"),
        (["sessions", "--train", long, good], f"{long}:2: longer than 1048576 bytes"),
        (["sessions", "--train", good, binary], f"{binary}:2: a NUL byte"),
        (["sessions", "--train", empty, good], f"{empty}: there is no session"),
        (["groups", missing], f"{missing}: No such file"),
        (["groups", alerts], f"{alerts}:2: neither a signature nor a name"),
        (["groups", broken], f"{broken}:2: "),
        (["groups", "--topology", edges, alerts], f"{edges}:3: expected caller,callee"),
        (["groups", "."], ".: cannot be read"),
    ]
    for words, wanted in cases:
        done = grace.run("score", *words, code=2)
        check(wanted in done.stderr, words, "says", done.stderr)
    for words in (["sessions", good], ["sessions", "--train", good, "--threshold", "7", good],
                  ["groups"], ["nothing"], []):
        grace.run("score", *words, code=2)
    return f"{len(cases)} files"


def output_that_cannot_be_written_is_no_success(grace, arguments):
    good = write(grace, "good", "a b c\n")
    alerts = write(grace, "one_alert", alert(1, "a", "b"))
    for words in (["sessions", "--train", good, good], ["groups", alerts]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([grace.binary, "score", *words], stdout=full,
                                  stderr=subprocess.PIPE, text=True)
        equal(done.returncode, 1, "exit code")
        check("cannot write the output" in done.stderr, words, "says", done.stderr)


if __name__ == "__main__":
    harness.main([sessions_are_scored_a_line_each, alerts_are_grouped_as_they_come,
                  wrong_input_is_named_with_its_place,
                  output_that_cannot_be_written_is_no_success], __doc__)
