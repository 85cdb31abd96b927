"""grace score changepoints as a program: what it writes, and what it says of malformed input."""
import subprocess
import sys
import tempfile
import os

from harness import Failure, check, equal


def score(grace, text, *options):
    """Through a file; `text` may be bytes that are no text."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
        file.flush()
        done = subprocess.run([grace, "score", "changepoints", file.name, *options],
                              capture_output=True, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")


def series(size, shift_at, index=lambda i: i):
    return "index,value\n" + "".join(
        "%d,%g\n" % (index(i), ((i * 7919) % 101) / 50.0 + (12 if i >= shift_at else 0))
        for i in range(size))


def rows(text):
    lines = text.splitlines()
    equal(lines[0], "index,probability", "header")
    return [(int(index), float(p)) for index, p in (line.split(",") for line in lines[1:])]


def one_row_a_change(grace):
    code, out, error = score(grace, series(900, 600))
    equal((code, error), (0, ""), "exit code and errors")
    found = rows(out)
    equal([index for index, _ in found], list(range(900)), "an output row for each input row")
    check(all(0 <= p <= 1 for _, p in found), "probabilities")
    decided = [index for index, p in found if p >= 0.5]
    check(len(decided) == 1 and abs(decided[0] - 600) <= 5, decided)
    # Cut short, in pieces or through a pipe: what was decided before is the same.
    done = subprocess.run([grace, "score", "changepoints", "-"], input=series(900, 600),
                          capture_output=True, text=True, timeout=60)
    equal(done.stdout, out, "from standard input")


def gaps_and_missing_values(grace):
    code, out, _ = score(grace, series(300, 150, lambda i: i if i < 100 else i + 1000))
    equal(code, 0, "exit code")
    decided = [index for index, p in rows(out) if p >= 0.5]
    check(len(decided) == 1 and abs(decided[0] - 1150) <= 5, decided)
    text = series(300, 150).splitlines()
    for i in range(20, 300, 9):
        text[i] = text[i].split(",")[0] + ("," if i % 2 else ",nan")
    code, out, _ = score(grace, "\r\n".join(text) + "\r\n\r\n")
    equal((code, len(rows(out))), (0, 300), "missing values, CR LF, blank line")
    equal(rows(score(grace, "index,value\n")[1]), [], "no rows")
    equal(len(rows(score(grace, "index,value\n5,1\n6,2")[1])), 2, "two rows, no last newline")


def columns_count_once(grace):
    text = series(300, 150).splitlines()
    both = "\n".join([text[0] + ",value2"] + [line + "," + line.split(",")[1]
                                              for line in text[1:]])
    code, out, _ = score(grace, both)
    equal(code, 0, "exit code")
    equal(out, score(grace, series(300, 150))[1], "two equal columns")


def malformed_input_is_named(grace):
    head = "index,value\n0,1\n"
    for text, wanted in ((b"", ":0: no header"),
                         ("time,value\n1,2\n", ":1: expected index,value"),
                         ("index\n1\n", ":1: expected index,value"),
                         (head + "1,two\n", ":3: value 'two' is no number"),
                         (head + "1,1e999\n", ":3: value '1e999' is no number"),
                         (head + "x,2\n", ":3: index 'x' is no whole number"),
                         (head + "-1,2\n", ":3: index '-1' is no whole number"),
                         (head + "0,2\n", ":3: index 0 after 0"),
                         (head + "1\n", ":3: 1 fields, the header has 2"),
                         (head + "1,2,3\n", ":3: 3 fields, the header has 2"),
                         (head + "18446744073709551615,1\n", ":3: index 18446744073709551615"),
                         (head + "99999999999999999999,1\n", "is no whole number"),
                         (head.encode() + b"1,\x00\xff\n", ":3: value"),
                         ("index,value\n0," + "1" * 70000 + "\n", ":2: longer than 65536 bytes"),
                         ("index" + ",v" * 65 + "\n", ":1: more than 64 columns"),
                         ("index" + ",v" * 2000 + "\n", ":1: more than 1024 fields")):
        code, _, error = score(grace, text)
        equal(code, 2, f"exit code of {text[:60]!r}")
        check(wanted in error, f"{text[:60]!r}: wanted {wanted!r} in {error!r}")
    missing = subprocess.run([grace, "score", "changepoints", "/nonexistent.csv"],
                             capture_output=True, text=True)
    equal(missing.returncode, 2, "exit code without the file")
    check("/nonexistent.csv" in missing.stderr, missing.stderr)
    equal(subprocess.run([grace, "score"], capture_output=True).returncode, 2, "no subcommand")


def constants_are_checked(grace):
    plain = score(grace, series(200, 100))[1]
    equal(score(grace, series(200, 100), "--set", "hazard=0.004")[1], plain, "the default, set")
    for constant, wanted in (("hazard=0", "hazard is 0"), ("hazard", "NAME=NUMBER"),
                             ("hazard=x", "NAME=NUMBER"), ("nothing=1", "no such constant"),
                             ("segment_values_min=99", "segment_values_min is 99")):
        code, _, error = score(grace, series(20, 10), "--set", constant)
        equal(code, 2, "exit code of " + constant)
        check(wanted in error, error)


def main():
    grace = os.path.abspath(sys.argv[1])
    one_row_a_change(grace)
    gaps_and_missing_values(grace)
    columns_count_once(grace)
    malformed_input_is_named(grace)
    constants_are_checked(grace)
    print("score_changepoints_test: passed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"score_changepoints_test: {failure}")
