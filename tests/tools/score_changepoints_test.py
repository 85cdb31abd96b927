"""grace score changepoints as a program: what it writes, and what it says of malformed input."""
import harness
from harness import check, equal


def score(grace, text, *options, code=0):
    """Through a file: what the command writes, or says when it exits with `code`."""
    done = grace.run("score", "changepoints", grace.write("series.csv", text), *options, code=code)
    if code:
        return done.stderr
    equal(done.stderr, "", "errors")
    return done.stdout


def series(size, shift_at, index=lambda i: i):
    return "index,value\n" + "".join(
        "%d,%g\n" % (index(i), ((i * 7919) % 101) / 50.0 + (12 if i >= shift_at else 0))
        for i in range(size))


def rows(text):
    lines = text.splitlines()
    equal(lines[0], "index,probability", "header")
    return [(int(index), float(p)) for index, p in (line.split(",") for line in lines[1:])]


def one_row_a_change(grace, arguments):
    out = score(grace, series(900, 600))
    found = rows(out)
    equal([index for index, _ in found], list(range(900)), "an output row for each input row")
    check(all(0 <= p <= 1 for _, p in found), "probabilities")
    decided = [index for index, p in found if p >= 0.5]
    check(len(decided) == 1 and abs(decided[0] - 600) <= 5, decided)
    piped = grace.run("score", "changepoints", "-", text=series(900, 600))
    equal(piped.stdout, out, "from standard input")
    # Nothing later is needed for what has been written.
    short = rows(score(grace, series(700, 600)))
    equal(short[:440], found[:440], "the beginning of a series that was cut short")
    equal([index for index, p in short if p >= 0.5], decided, "its change")


def gaps_and_missing_values(grace, arguments):
    out = score(grace, series(300, 150, lambda i: i if i < 100 else i + 1000))
    decided = [index for index, p in rows(out) if p >= 0.5]
    check(len(decided) == 1 and abs(decided[0] - 1150) <= 5, decided)
    text = series(300, 150).splitlines()
    for i in range(20, 300, 9):
        text[i] = text[i].split(",")[0] + ("," if i % 2 else ",nan")
    out = score(grace, "\r\n".join(text) + "\r\n\r\n")
    equal(len(rows(out)), 300, "missing values, CR LF, blank line")
    equal(rows(score(grace, "index,value\n")), [], "no rows")
    equal(len(rows(score(grace, "index,value\n5,1\n6,2"))), 2, "two rows, no last newline")


def columns_count_once(grace, arguments):
    text = series(300, 150).splitlines()
    both = "\n".join([text[0] + ",value2"] + [line + "," + line.split(",")[1]
                                              for line in text[1:]])
    equal(score(grace, both), score(grace, series(300, 150)), "two equal columns")


def malformed_input_is_named(grace, arguments):
    head = "index,value\n0,1\n"
    for text, wanted in (("", ":0: no header"),
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
                         (head + "1,\0\xff\n", ":3: a NUL byte"),
                         (head + "1,\xff\n", ":3: value"),
                         ("index,value\n0," + "1" * 2**20 + "\n",
                          ":2: longer than 1048576 bytes"),
                         ("index" + ",v" * 65 + "\n", ":1: more than 64 columns"),
                         ("index" + ",v" * 2000 + "\n", ":1: more than 1024 fields")):
        error = score(grace, text, code=2)
        check(wanted in error, f"{text[:60]!r}: wanted {wanted!r} in {error!r}")
    for path, wanted in (("missing.csv", "missing.csv: No such file"), (".", ".: cannot be read")):
        error = grace.run("score", "changepoints", path, code=2).stderr
        check(wanted in error, error)


def constants_are_checked(grace, arguments):
    plain = score(grace, series(200, 100))
    equal(score(grace, series(200, 100), "--set", "hazard=0.004"), plain, "the default, set")
    for constant, wanted in (("hazard=0", "hazard is 0"), ("hazard", "NAME=NUMBER"),
                             ("hazard=x", "NAME=NUMBER"), ("nothing=1", "no such constant"),
                             ("segment_values_min=99", "segment_values_min is 99"),
                             ("segment_values_min=8.5", "a whole number")):
        error = score(grace, series(20, 10), "--set", constant, code=2)
        check(wanted in error, error)


if __name__ == "__main__":
    harness.main([one_row_a_change, gaps_and_missing_values, columns_count_once,
                  malformed_input_is_named, constants_are_checked], __doc__)
