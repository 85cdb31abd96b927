"""`grace bench soak` as a program, two minutes long in ctest; by hand an hour:

    build/release/bin/grace bench soak --for 1h --out soak

One soak holds: every arrival decided (unless others had the machine), conservation exact, memory
flat over the second minute. Its stream is slow, so that it runs beside other tests, and fills fast
what a process fills: every tenth event is a mesh event, whose triggers are remembered up to a bound
(reached after 40 s), and event time runs a hundred times the clock. Another soak, allowed no growth
at all, must see that tables fill.
"""
import itertools
import json

import harness
from harness import check, equal

TINY = ["--warmup", "200ms", "--drain", "20s"]
SECONDS_MIN = 60  # less has a second half in which tables fill


def soak(grace, *arguments, seconds):
    done = grace.run("bench", "soak", *TINY, *arguments, "--json", code=None, seconds=seconds + 150)
    check(done.stdout, done.stderr)
    result = json.loads(done.stdout)
    equal(done.returncode, 0 if result["points"][0]["soak"]["holds"] else 1, "exit code")
    return result


def sound(result, seconds):
    equal(result["kind"], "soak", "kind")
    point = result["points"][0]
    found = point["soak"]
    equal(found["received"], found["accepted"] + found["rejected"] + found["dropped"], "received")
    check(found["received"] + point["unsent"] >= point["arrivals"], found["received"], "received,",
          point["unsent"], "unsent of", point["arrivals"])
    check(abs(found["seconds"] - seconds) < 1e-6, found["seconds"], "seconds, not", seconds)
    times = [at for at, _ in found["memory"]]
    equal(times, sorted(times), "the samples' order")
    check(0.0 <= times[0] and times[-1] <= seconds, "samples from", times[0], "to", times[-1])
    # A machine that others had meanwhile misses samples, at the ends too.
    spread = len(times) > 100 and times[0] < 0.3 * seconds < 0.8 * seconds < times[-1]
    check(spread or not result["conclusive"], len(times), "samples from", times[0], "to", times[-1])
    check(min(found["memory"], key=lambda sample: sample[1])[1] > 1 << 20, "resident memory")
    check(found["slope_low"] <= found["slope_per_s"] <= found["slope_high"], found["slope_per_s"])
    equal(found["flat"], found["growth_high"] <= found["growth_max"], "flat")
    equal(found["holds"], not found["why"], "holds")
    return point, found


def with_many_mesh_events(lines):
    def is_mesh(line):
        return '"event_type":' in line
    mesh = itertools.cycle([line for line in lines if is_mesh(line)])
    for index, line in enumerate(line for line in lines if not is_mesh(line)):
        yield line
        if index % 10 == 9:
            yield next(mesh)


def a_soak_holds(grace, arguments):
    check(arguments.seconds >= SECONDS_MIN, arguments.seconds, "s, less than", SECONDS_MIN)
    lines = grace.run("gen", "--count", "5000", "--services", "4").stdout.splitlines(True)
    stream = grace.write("stream", "".join(with_many_mesh_events(lines)))
    result = soak(grace, "--input", stream, "--rate", "10k", "--event-rate", "50", "--for",
                  f"{arguments.seconds}s", "--growth", "10%", "--out", grace.path("soak"),
                  seconds=arguments.seconds)
    point, found = sound(result, arguments.seconds)
    equal((found["best_rate"], found["load"], point["target_rate"]), (10e3, 0.5, 5e3), "rates")
    equal(found["dropped"], 0, "dropped")
    check(found["flat"], found["why"])
    # Nothing but a machine that others had meanwhile excuses what was not decided in time.
    check(found["holds"] or not result["conclusive"], found["why"])
    with open(grace.path("soak.html"), encoding="utf-8") as page:
        html = page.read()
    check("Resident memory over the run" in html and "of 10.0k/s" in html, "the page")


def one_that_may_not_grow_fails_at_what_it_searched(grace, arguments):
    # The tables of 20 services are full after some six million events, which may be soon.
    result = soak(grace, "--events", "20000", "--services", "400", "--for", "4s", "--duration",
                  "200ms", "--slo", "p99=1s", "--growth", "0%", seconds=4)
    point, found = sound(result, 4)
    check(found["best_rate"] > 1000, "the rate that was searched:", found["best_rate"])
    equal(point["target_rate"], found["best_rate"] / 2, "half of it")
    check(not found["flat"] and any("memory may grow" in why for why in found["why"]), found)


if __name__ == "__main__":
    harness.main([a_soak_holds, one_that_may_not_grow_fails_at_what_it_searched], __doc__,
                 seconds=(120, "of the soak that holds"))
