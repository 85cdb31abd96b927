"""`grace bench` as a program, tiny: results that account for each arrival, pages that stand alone,
and errors that name what is wrong. No figure is judged: that depends on the machine.
"""
import json
import os
import socket
import threading

import harness
from harness import check, equal

TINY = ["--duration", "200ms", "--warmup", "50ms", "--drain", "20s", "--events", "3000",
        "--services", "20", "--retries", "0"]


def bench(grace, *arguments):
    return grace.json("bench", *arguments)


def account(point):
    equal(point["completed"] + point["unfinished"] + point["unsent"], point["arrivals"],
          "completed + unfinished + unsent")
    response = point["response_ns"]
    equal(response["count"], point["arrivals"], "response times: none is left out")
    order = [response[name] for name in ("p50", "p90", "p99", "p99.9", "p99.99", "max")]
    equal(order, sorted(order), "the order of percentiles")
    check(response["p99"] >= point["service_ns"]["p50"] > 0, "service time:", point["service_ns"])


def page_stands_alone(path):
    with open(path, encoding="utf-8") as file:
        html = file.read()
    for outside in ("<script", "src=", "href=", "url(", "@import"):
        check(outside not in html, outside, "in", path)
    check("<svg" in html and "</html>" in html, "no plots in", path)
    return html


def a_run_accounts_for_each_arrival(grace, arguments):
    result = bench(grace, "run", "--rate", "20k", *TINY, "--slo", "p99=1ms", "--out",
                   grace.path("run"), "--ledger", "--record")
    point = result["points"][0]
    account(point)
    check(3000 < point["arrivals"] < 5000, point["arrivals"], "arrivals in 200 ms at 20k")
    equal((point["unsent"], point["unfinished"], point["rejected"]), (0, 0, 0), "left after 20 s")
    for name in ("cpu", "cpus", "kernel", "compiler", "build", "commit"):
        check(result["machine"][name], name, "of the machine is missing")
    equal(result["conclusive"], not result["doubts"], "conclusive")
    check(point["conditions"]["floor_ns"] > 0, "no floor")
    html = page_stands_alone(grace.path("run.html"))
    equal("INCONCLUSIVE" in html, not result["conclusive"], "the page's warning")
    with open(grace.path("run.json"), encoding="utf-8") as file:
        equal(json.load(file), result, "the stored result")


def events_can_be_published_instead(grace, arguments):
    point = bench(grace, "run", "--rate", "20k", *TINY, "--publish", "--record")["points"][0]
    account(point)
    equal(point["target"], "engine, published", "target")
    equal((point["unsent"], point["unfinished"], point["rejected"]), (0, 0, 0), "left after 20 s")


def what_others_disturbed_is_made_again(grace, arguments):
    point = bench(grace, "run", "--rate", "5k", *TINY[:-1], "3", "--profile",
                  "realistic")["points"][0]
    account(point)
    check(0 <= point["runs_repeated"] <= 3, point["runs_repeated"])
    # All four were disturbed, or the last of them was not; a retry without a cause is none.
    if point["runs_repeated"] < 3:
        check(point["conditions"]["foreign_share"] <= 0.02, point["conditions"])
    equal(bench(grace, "run", "--rate", "5k", *TINY)["points"][0]["runs_repeated"], 0, "retries 0")


def arrivals_come_as_they_are_asked_for(grace, arguments):
    gaps = grace.write("gaps", "100000\n300000\n")
    for kind in ("constant", "bursty", "file:" + gaps):
        account(bench(grace, "run", "--rate", "5k", "--arrivals", kind, *TINY)["points"][0])
    stream = grace.write("lines", grace.run("gen", "--count", "2000").stdout)
    point = bench(grace, "run", "--rate", "20k", "--input", stream, *TINY)["points"][0]
    account(point)
    equal(point["stream_lines"], 2000, "lines")


def sweeps_plans_and_comparisons_rest_on_results(grace, arguments):
    for over, values in (("load", "5k,10k"), ("overload", "5k,20k"), ("cardinality", "5,50")):
        result = bench(grace, "sweep", "--over", over, "--values", values, "--rate", "10k", *TINY,
                       "--out", grace.path(over))
        equal(len(result["points"]), 2, over)
        for point in result["points"]:
            account(point)
        page_stands_alone(grace.path(over + ".html"))
    equal([point["services"] for point in result["points"]], [5, 50], "services")
    # An objective that any machine holds, so that the search ends at a rate that is no engine's.
    result = bench(grace, "sweep", "--over", "workers", "--values", "1,2", "--rate", "3k",
                   "--slo", "p50=20s", "--repetitions", "1", *TINY, "--out", grace.path("workers"),
                   "--arrivals", "constant")
    equal([search["workers"] for search in result["searches"]], [1, 2], "workers")
    for search in result["searches"]:
        check(any(trial["holds"] for trial in search["trials"]), search["trials"])
    found = {search["workers"]: search["rate"] for search in result["searches"]}
    check(min(found.values()) > 0, found)
    # The same objective, written otherwise.
    planned = bench(grace, "plan", "--rate", "30M", "--slo", "p50.0=20000ms", "--headroom", "30%",
                    "--from", grace.path("workers.json"))
    equal((planned["machine"], planned["settings"]), (result["machine"], result["settings"]),
          "the machine and settings of what was measured")
    plan = planned["plan"]
    equal((plan["rate"], plan["headroom"]), (30e6, 0.3), "what was asked for")
    check(abs(plan["rate_needed"] - 30e6 / 0.7) < 1, plan)
    equal(plan["machines"], -(-plan["rate_needed"] // plan["machine_rate"]), "machines")
    rows = bench(grace, "compare", grace.path("load.json"), grace.path("load.json"))["rows"]
    check(len(rows) >= 8 and all(row["ratio"] in (0, 1) for row in rows), rows)


def mixes_and_rules_are_swept_by_name(grace, arguments):
    def sweep(over, values, *words):
        result = bench(grace, "sweep", "--over", over, "--values", values, *TINY, *words, "--out",
                       grace.path(over))
        equal(result["over"], over, "over")
        return result, page_stands_alone(grace.path(over + ".html"))

    mixes = ["realistic", "errors", "60:30:10"]
    result, html = sweep("mix", ",".join(mixes), "--rate", "5k")
    equal([point["mix"] for point in result["points"]], mixes, "mixes, as they were given")
    for point in result["points"]:
        account(point)
        equal((point["rejected"], point["rules"]), (0, None), point["mix"])
    check("Response time over mixes" in html and ">60:30:10</text>" in html, "the names' axis")
    rows = bench(grace, "compare", grace.path("mix.json"), grace.path("mix.json"))["rows"]
    for mix in mixes:
        check(any(", mix " + mix + "," in row["what"] for row in rows), mix, "in", rows)

    # By searches, with an objective that any machine holds.
    search = ["--slo", "p50=20s", "--repetitions", "1", "--arrivals", "constant"]
    result, html = sweep("rules", "1,100", *search)
    equal([search["rules"] for search in result["searches"]], [1, 100], "rules")
    check(all(search["rate"] > 0 for search in result["searches"]), result["searches"])
    check("Sustained rate over rules" in html and "over workers" not in html, "the page's plots")
    equal(result.get("fit"), None, "a fit over workers")
    rows = bench(grace, "compare", grace.path("rules.json"), grace.path("rules.json"))["rows"]
    equal(len([row for row in rows if " rules: rate that holds" in row["what"]]), 2, "searches")
    error = grace.run("bench", "plan", "--rate", "1k", "--slo", "p50=20s", "--from",
                      grace.path("rules.json"), code=2).stderr
    check("is a sweep over rules, not over workers" in error, error)

    # What a sweep does, a run can be told.
    result = bench(grace, "run", "--rate", "5k", "--mix", "metrics", "--profile", "realistic",
                   "--rules", "7", *TINY)
    point = result["points"][0]
    equal((point["mix"], point["rules"]), ("realistic metrics", 7), "mix and rules")
    equal((result["settings"]["input"], result["settings"]["rules"]),
          ("generated: realistic metrics", 7), "settings")


def results_say_which_threads_there_were(grace, arguments):
    point = bench(grace, "run", "--rate", "5k", *TINY)["points"][0]
    equal((point["threading"], point["idle"]), ("run_to_completion", "park"), "by default")
    config = grace.write("threads.toml", '[engine]\nthreading = "pipeline"\nidle = "yield"\n')
    arguments = ("run", "--rate", "5k", "--config", config, *TINY)
    point = bench(grace, *arguments)["points"][0]
    equal((point["threading"], point["idle"]), ("pipeline", "yield"), "as configured")
    account(point)
    text = grace.run("bench", *arguments).stdout
    check("1 worker(s), pipeline, yield, " in text, text)


def what_no_rate_holds_is_said_and_has_its_floor(grace, arguments):
    search = ["search", "--slo", "p50=1ns", "--repetitions", "1", *TINY]
    result = bench(grace, *search)
    equal(result["searches"][0]["rate"], 0, "rate")
    check(result["searches"][0]["conditions"]["floor_ns"] > 1, "the floor", result["searches"])
    check(any("does nothing" in doubt for doubt in result["doubts"]), result["doubts"])
    partly = grace.write("partly.json", '{"grace_bench":1,"machine":{"cpus":64},"searches":[{'
                         '"workers":1,"objective":"p99=5ms","rate":0,"found":[0,5,0]}]}')
    planned = bench(grace, "plan", "--rate", "1k", "--slo", "p99=5ms", "--from", partly)
    equal(planned["doubts"], ["2 of 3 repetitions with 1 worker(s) held no rate"], "doubts")
    equal(len(planned["fit"]["curve"]), 16, "workers that an engine takes, not all 64 CPUs")


def others_on_the_socket_are_noticed(grace, arguments):
    path = grace.path("ingest.sock")
    with grace.engine("--source", "unix:" + path) as engine, \
            socket.socket(socket.AF_UNIX) as other:
        other.connect(path)
        over = threading.Event()

        def send():
            while not over.wait(0.01):
                other.sendall(b"{}\n")
        sender = threading.Thread(target=send)
        sender.start()
        try:
            wrong = grace.run("bench", "run", "--rate", "10k", *TINY, "--socket", path,
                              "--control", engine.control_path, code=1)
        finally:
            over.set()
            sender.join()
        check("others have sent" in wrong.stderr, wrong.stderr)


def a_running_engine_is_loaded_over_its_sockets(grace, arguments):
    path = grace.path("ingest.sock")
    with grace.engine("--source", "unix:" + path) as engine:
        where = ["--socket", path, "--control", engine.control_path]
        for _ in range(2):  # what came before is no part of a run
            point = bench(grace, "run", "--rate", "10k", *TINY, *where)["points"][0]
            account(point)
            equal((point["unsent"], point["unfinished"], point["rejected"]), (0, 0, 0), "left")
        position = engine.ask({"op": "position"})
        equal(position["ok"], True, "position")
        check(position["decided_sequence"] <= position["input_sequence"], position)
        lines = {source["name"]: source["lines"] for source in position["sources"]}
        check(2 * 2000 < lines["unix:" + path] < 2 * 3200, lines)
        wrong = grace.run("bench", "run", "--rate", "1k", "--socket", grace.path("none"),
                          "--control", engine.control_path, code=1)
        check("nobody listens on" in wrong.stderr, wrong.stderr)
    grace.run("bench", "run", "--rate", "1k", "--socket", path, code=2)


def wrong_use_is_named(grace, arguments):
    other = grace.write("other.json", '{"grace_bench":1,"machine":{"cpus":2},"searches":'
                        '[{"workers":1,"objective":"p99=1ms","found":[5.0]}]}')
    many = grace.write("many.json", '{"grace_bench":1,"searches":[{"workers":4294967295}]}')
    run = grace.write("run.json", '{"grace_bench":1,"searches":[]}')
    for words, wanted in (
            (["run"], "--rate: must be given"),
            (["run", "--rate", "3X"], "'3X' is not a rate"),
            (["run", "--rate", "1k", "--duration", "5"], "--duration: '5' is not a time"),
            (["run", "--rate", "1k", "--arrivals", "never"], "'never' is not constant"),
            (["run", "--rate", "1k", "--arrivals", "file:/nothing"], "/nothing: cannot be read"),
            (["search"], "--slo: must be given"),
            (["run", "--rate", "1k", "--publish", "--socket", "s", "--control", "c"],
             "--publish: into an engine in this process"),
            (["run", "--rate", "1k", "--socket", "s"], "--control: must be given"),
            (["search", "--slo", "p100=5ms"], "'p100=5ms' is not an objective"),
            (["sweep", "--over", "load", "--rate", "1k", "--values", "1,x"], "--values: 'x'"),
            (["sweep", "--over", "workers", "--slo", "p99=5ms", "--values", "1.5"], "whole number"),
            (["sweep", "--over", "workers", "--slo", "p99=5ms", "--values", "17"], "1 to 16"),
            (["sweep", "--over", "cardinality", "--rate", "1k", "--values", "2M"], "1 to 1000000"),
            (["sweep", "--over", "mix", "--rate", "1k", "--values", "mixed,x"], "--values: 'x' is"),
            (["sweep", "--over", "mix"], "--slo: must be given"),
            (["sweep", "--over", "mix", "--rate", "1k", "--input", "f"], "--input: its lines"),
            (["sweep", "--over", "rules", "--rate", "1k", "--values", "20k"], "1 to 10000"),
            (["sweep", "--over", "rules", "--rate", "1k", "--config", "f"], "--config: the rules"),
            (["run", "--rate", "1k", "--rules", "1", "--socket", "s", "--control", "c"],
             "--socket: a running engine's rules"),
            (["run", "--rate", "1k", "--mix", "1:1"], "--mix: '1:1' is not"),
            (["plan", "--rate", "1k", "--slo", "p99=5ms", "--from", many], "4294967295 workers"),
            (["plan", "--rate", "1k", "--slo", "p99=5ms", "--from", run], "is no sweep"),
            (["plan", "--rate", "1k", "--slo", "p99=5ms", "--headroom", "100%"], "--headroom:"),
            (["plan", "--rate", "1k", "--slo", "p99=5ms", "--from", other], "p99=1ms, not for"),
            (["plan", "--rate", "1k", "--slo", "p99=5ms", "--from", "/nothing"], "read /nothing:"),
            (["soak", "--for", "3s"], "--for: '3s' is less than 4s"),
            (["soak", "--for", "1"], "--for: '1' is not a time"),
            (["soak", "--load", "0%"], "--load: must be above 0%"),
            (["soak", "--growth", "1"], "--growth: '1' is not a share"),
            (["soak", "--socket", "s", "--control", "c"], "--socket: a running engine's memory"),
            (["compare", other, "/nothing"], "cannot read /nothing"),
            (["compare", other, "/"], "cannot read /:"),
            (["compare", other, os.devnull], "is not a result"),
            (["stall", "--stop", "1"], "--stop: '1' is not a time")):
        error = grace.run("bench", *words, code=2).stderr
        check(wanted in error, "grace bench", *words, "says", error)


def a_stopped_process_is_shown_beside_arithmetic(grace, arguments):
    result = bench(grace, "stall", "--rate", "1k", "--duration", "300ms", "--stop", "50ms")
    check(result["stopped_ns"] >= 50_000_000, result["stopped_ns"])
    equal([row["share"] for row in result["rows"]], [0.5, 0.99, 0.999, 0.9999], "rows")
    equal(result["arrivals"], 300, "arrivals")


if __name__ == "__main__":
    harness.main([a_run_accounts_for_each_arrival, events_can_be_published_instead,
                  what_others_disturbed_is_made_again, arrivals_come_as_they_are_asked_for,
                  sweeps_plans_and_comparisons_rest_on_results,
                  mixes_and_rules_are_swept_by_name,
                  results_say_which_threads_there_were,
                  what_no_rate_holds_is_said_and_has_its_floor, others_on_the_socket_are_noticed,
                  a_running_engine_is_loaded_over_its_sockets, wrong_use_is_named,
                  a_stopped_process_is_shown_beside_arithmetic], __doc__)
