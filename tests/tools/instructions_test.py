"""What bench/instructions.py makes of its counts: a stage that grew dearer fails, one that grew
cheaper does not, and what the table does not have is named.
"""
import contextlib
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "instructions.py"


def load():
    spec = importlib.util.spec_from_file_location("instructions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judged(module, got, wanted):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        failed = module.compare(got, wanted)
    return failed, out.getvalue()


def main():
    module = load()
    wanted = {"parse": 1000.0, "ordered": 200.0}
    for got, failed, text in (
            ({"parse": 1049.0, "ordered": 191.0}, 0, "ok"),
            ({"parse": 1051.0, "ordered": 200.0}, 1, "FAILED: over 5% more"),
            ({"parse": 1100.0, "ordered": 220.0}, 2, "+10.0%"),
            ({"parse": 900.0, "ordered": 200.0}, 0, "rewrite the table"),
            ({"parse": 1000.0, "other": 1.0}, 1, "not in the table")):
        count, out = judged(module, got, wanted)
        assert count == failed and text in out, (got, count, out)
    for compiler, stages in json.loads(module.TABLE.read_text(encoding="utf-8")).items():
        assert stages.keys() == module.STAGES.keys(), compiler
    with tempfile.NamedTemporaryFile("w", suffix=".json") as table:
        table.write("{}")
        table.flush()
        done = subprocess.run([sys.executable, SCRIPT, "none", "none", "--compiler", "X 1",
                               "--table", table.name], capture_output=True, text=True, check=False)
    assert done.returncode == module.SKIPPED, done
    assert "skipped" in done.stdout, done.stdout


if __name__ == "__main__":
    main()
