"""`grace bench soak` as a program, seconds long; by hand an hour:

    build/release/bin/grace bench soak --for 1h --out soak

One soak holds: every arrival decided (unless others had the machine), conservation exact, memory
within a wide bound, since so young a process still fills its tables. Another, allowed no growth at
all, must see that they fill.
"""
import json

import harness
from harness import check, equal

TINY = ["--warmup", "200ms", "--drain", "20s", "--events", "5000", "--services", "20"]


def soak(grace, *arguments):
    done = grace.run("bench", "soak", *TINY, *arguments, "--json", code=None, seconds=150)
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
    equal(found["seconds"], seconds, "seconds")
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


def a_soak_holds(grace, arguments):
    result = soak(grace, "--rate", "30k", "--for", f"{arguments.seconds}s", "--growth", "25%",
                  "--event-rate", "200", "--out", grace.path("soak"))
    point, found = sound(result, arguments.seconds)
    equal((found["best_rate"], found["load"], point["target_rate"]), (30e3, 0.5, 15e3), "rates")
    equal(found["dropped"], 0, "dropped")
    check(found["flat"], found["why"])
    # Nothing but a machine that others had meanwhile excuses what was not decided in time.
    check(found["holds"] or not result["conclusive"], found["why"])
    with open(grace.path("soak.html"), encoding="utf-8") as page:
        html = page.read()
    check("Resident memory over the run" in html and "of 30.0k/s" in html, "the page")


def one_that_may_not_grow_fails_at_what_it_searched(grace, arguments):
    result = soak(grace, "--for", "6s", "--duration", "200ms", "--slo", "p99=1s", "--growth", "0%")
    point, found = sound(result, 6)
    check(found["best_rate"] > 1000, "the rate that was searched:", found["best_rate"])
    equal(point["target_rate"], found["best_rate"] / 2, "half of it")
    check(not found["flat"] and any("memory may grow" in why for why in found["why"]), found)


if __name__ == "__main__":
    harness.main([a_soak_holds, one_that_may_not_grow_fails_at_what_it_searched], __doc__,
                 seconds=(16, "of the soak that holds"))
