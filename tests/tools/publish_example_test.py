"""The examples of publishing without JSON, as a reader would run them."""
import argparse
import os
import re
import subprocess

import harness
from harness import check, equal


def examples():
    """Beside the build of the program under test."""
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    known, _ = parser.parse_known_args()
    build = os.path.dirname(os.path.dirname(os.path.abspath(known.binary)))
    return os.path.join(build, "tools", "examples")


def run(grace, name, *arguments):
    return subprocess.run([os.path.join(examples(), name), *arguments], capture_output=True,
                          text=True, timeout=60, cwd=grace.directory, check=False,
                          preexec_fn=harness.die_with_parent)


def the_engine_inside_a_program_finds_its_errors(grace, arguments):
    done = run(grace, "publish")
    equal(done.returncode, 0, done.stdout + done.stderr)
    check("published 7200, received 7200, accepted 7200" in done.stdout, done.stdout)
    check(int(re.search(r"incidents (\d+)", done.stdout).group(1)) >= 1, done.stdout)


def a_program_beside_the_engine_hands_everything_over(grace, arguments):
    path = grace.path("shared.sock")
    with grace.engine("--source", "shared:" + path) as engine:
        done = run(grace, "publish_shared", path, "5000")
        equal((done.returncode, done.stdout), (0, "published 5000 of 5000\n"), done.stderr)
        summary = engine.stop()
    # The live clock's ticks are events as well.
    equal(summary["received"], summary["accepted"], "accepted")
    check(summary["accepted"] >= 5000 and summary["dropped"] == 0, summary)
    done = run(grace, "publish_shared", grace.path("nobody.sock"))
    equal(done.returncode, 1, "nobody listens")
    check("nobody.sock" in done.stderr, done.stderr)
    equal(run(grace, "publish_shared").returncode, 2, "without a path")


if __name__ == "__main__":
    harness.main([the_engine_inside_a_program_finds_its_errors,
                  a_program_beside_the_engine_hands_everything_over], __doc__)
