"""`grace score rootcause`: the whole command on small files, and what it says of bad input."""
import json
import random

import harness
from harness import check, equal

AT = "2025-01-15T14:59:00Z"
HEADING = "timestamp,service,metric,value"


def recorded(slow):
    """Sixty minutes of three services in a row; `slow` is slow in the last three."""
    lines = []
    for minute in range(60):
        for i, service in enumerate(("web", "api", "db")):
            bad = minute >= 57 and service in slow
            value = 20 + (minute * 7 + i) % 5 + (200 if bad else 0)
            stamp = f"2025-01-15T14:{minute:02}:00Z"
            lines += [f"{stamp},{service},latency_average,{value}",
                      f"{stamp},{service},requests_sum,100"]
    return lines


def ranked(grace, edges, metrics, *more, at=AT, code=0):
    result = grace.run("score", "rootcause", "--topology", edges, "--metrics", metrics, "--at", at,
                       *more, code=code)
    return result.stderr if code else json.loads(result.stdout)["ranking"]


def a_cause_is_named_whatever_the_order_of_lines(grace, arguments):
    edges = grace.write("edges.csv", "caller,callee\nweb,api\napi,db\n")
    lines = recorded({"web", "api"})
    answers = []
    for seed in range(3):
        random.Random(seed).shuffle(lines)
        metrics = grace.write(f"metrics{seed}.csv", "\n".join([HEADING, *lines]) + "\n")
        answers.append(ranked(grace, edges, metrics, "--symptom", "web:latency_average"))
    equal(answers[0], answers[1], "the ranking of shuffled lines")
    equal(answers[0], answers[2], "the ranking of shuffled lines")
    equal(answers[0][0]["service"], "api", "the cause")
    equal(answers[0][-1]["service"], "none of these", "the last")
    check(abs(sum(entry["probability"] for entry in answers[0]) - 1) < 1e-12, "the sum")


def on_normal_data_none_of_these_stands_first(grace, arguments):
    edges = grace.write("edges.csv", "web,api\napi,db\n")
    metrics = grace.write("calm.csv", "\n".join([HEADING, *recorded(set())]))
    for more in ([], ["--symptom", "web:latency_average"]):
        equal(ranked(grace, edges, metrics, *more)[0]["service"], "none of these", "the first")


def spans_tell_who_spends_the_time(grace, arguments):
    edges = grace.write("edges.csv", "caller,callee\n")
    metrics = grace.write("none.csv", HEADING + "\n")
    rows = ["timestamp,trace,span,parent,service,operation,duration_ms,result"]
    for second in range(0, 3540, 4):
        stamp = f"2025-01-15T14:{second // 60:02}:{second % 60:02}Z"
        own = 5 + second % 3 + (50 if second > 3420 else 0)
        rows += [f"{stamp},t{second},a,,web,GET /,{own + 10},ok",
                 f"{stamp},t{second},b,a,db,SELECT,{own},ok"]
    spans = grace.write("spans.csv", "\n".join(rows) + "\n")
    ranking = ranked(grace, edges, metrics, "--spans", spans)
    equal(ranking[0]["service"], "db", "the cause by spans")
    equal(ranked(grace, edges, metrics, "--spans", spans, at="2025-01-15T14:50:00Z")[0]["service"],
          "none of these", "the cause before")
    bad = grace.write("bad_spans.csv", f"{AT},t,a,,web,GET /,-1,ok\n")
    said = ranked(grace, edges, metrics, "--spans", bad, code=2)
    check("bad_spans.csv:1: duration '-1'" in said, said)


def wrong_input_exits_with_2_and_names_the_place(grace, arguments):
    edges = grace.write("edges.csv", "web,api\n")
    good = grace.write("good.csv", "\n".join([HEADING, *recorded(set())]))
    bad = grace.write("bad.csv", f"{HEADING}\n{AT},web,latency_average\n")
    broken = grace.write("broken.csv", "caller,callee\nweb,api,db\n")
    missing = grace.path("missing.csv")
    for arguments, said in (
            ((edges, bad), "bad.csv:2: expected timestamp,service,metric,value"),
            ((broken, good), "broken.csv:2: expected caller,callee"),
            ((edges, missing), "missing.csv: No such file"),
            ((edges, good, "--symptom", "web"), "not SERVICE:METRIC"),
            ((edges, good, "--symptom", "nobody:latency"), "nobody")):
        check(said in ranked(grace, *arguments, code=2), said, "in what is said of", arguments)
    said = ranked(grace, edges, good, at="yesterday", code=2)
    check("'yesterday' is not an RFC 3339 time" in said, said)


if __name__ == "__main__":
    harness.main([a_cause_is_named_whatever_the_order_of_lines,
                  on_normal_data_none_of_these_stands_first,
                  spans_tell_who_spends_the_time,
                  wrong_input_exits_with_2_and_names_the_place], __doc__)
