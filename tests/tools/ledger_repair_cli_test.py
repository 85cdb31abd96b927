"""grace ledger repair and grace ledger cat, as people and scripts use them."""
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import time

import harness
from harness import check, equal

BLOCK = 4096

PLAN = """\
What is wrong: segment 1 at byte 12288: block CRC does not match.
  Record 2 is expected there. The log had promised that all up to record {promised} was durable: \
this is no torn tail.
What is safe: 1 records before it, up to 1.
What is lost to the log: records 2 to {last} ({lost}), {bytes} bytes. \
Of these {readable} records in {blocks} blocks \
can still be read behind the damage;
  nothing proves any more that they follow on each other.
A repair would:
  - copy what lies behind 1:12288 to quarantine/ and cut it off
  - end the log with a record of this repair, and seal it
The place: 1:12288
"""


def small_ledger(grace):
    """A ledger with a few records, one a block, closed; gives its directory."""
    with grace.engine("--source", "unix:" + grace.path("in.sock")) as engine:
        for reason in ("one", "two", "three", "four"):
            engine.control("pause", "--reason", reason)
            engine.control("resume")
            time.sleep(0.02)
        engine.stop()
    return engine.ledger


def damage(ledger, offset, number=1):
    path = os.path.join(ledger, f"{number:012}.segment")
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def footer_of_block(ledger, at):
    """Where the block's CRC lies, in the footer of the block at `at`."""
    with open(os.path.join(ledger, "000000000001.segment"), "rb") as file:
        file.seek(at + 40)
        return at + struct.unpack("<Q", file.read(8))[0] - 64


def repair_explains_and_needs_the_place(grace, _):
    ledger = small_ledger(grace)
    done = grace.run("ledger", "repair", ledger)
    check(done.stdout.startswith("nothing to repair: "), done.stdout)
    last = grace.json("ledger", "stats", ledger)["last_sequence"]
    path = os.path.join(ledger, "000000000001.segment")
    size = os.path.getsize(path)
    # The footer's own CRC is not what is broken: the block's is, which stands before it.
    at = footer_of_block(ledger, 8192 + BLOCK)
    with open(path, "r+b") as file:
        file.seek(at)
        footer = bytearray(file.read(64))
        footer[8] ^= 1
        footer[12:16] = bytes(4)
        footer[12:16] = struct.pack("<I", crc32c(footer))
        file.seek(at)
        file.write(footer)
    with open(path, "rb") as file:
        damaged = file.read()
    plan = grace.json("ledger", "repair", ledger, "--dry-run", code=1)
    equal(plan["place"], "1:12288", "the place")
    equal((plan["kept_records"], plan["cut"]["lost_records"]), (1, last - 1), "kept and lost")
    text = grace.run("ledger", "repair", ledger, "--dry-run", code=1).stdout
    blocks = re.search(r"in (\d+) blocks", text).group(1)
    equal(text, PLAN.format(promised=plan["cut"]["promised_sequence"], last=last, lost=last - 1,
                            bytes=size - 12288, readable=plan["cut"]["readable_records"],
                            blocks=blocks), "the plan")
    done = grace.run("ledger", "repair", ledger, code=1)
    check("--yes 1:12288" in done.stderr, "not asked without a terminal:", done.stderr)
    grace.run("ledger", "repair", ledger, "--yes", "1-12288", code=2)
    done = grace.run("ledger", "repair", ledger, "--yes", "1:8192", code=1)
    check("is at 1:12288, not at 1:8192" in done.stderr, done.stderr)
    grace.run("ledger", "repair", grace.path("nothing"), code=2)
    with open(path, "rb") as file:
        check(file.read() == damaged, "something was changed without a yes")
    done = grace.run("ledger", "repair", ledger, "--yes", "1:12288", "--export")
    check("repaired: record 2 tells of it" in done.stdout, done.stdout)
    names = sorted(os.listdir(os.path.join(ledger, "quarantine")))
    equal(names, ["000000000001.segment-12288.torn", "readable-1-12288.jsonl"], "quarantine")
    with open(os.path.join(ledger, "quarantine", names[1]), encoding="utf-8") as lines:
        exported = [json.loads(line) for line in lines]
    equal(len(exported), plan["cut"]["readable_records"], "exported records")
    check(all(line["record"]["actor"] for line in exported), "exported:", exported[:1])
    grace.run("ledger", "verify", ledger)
    told = grace.records("ledger", "--where", 'type = "recovery" and action = "repair"')
    equal([(r["seq"], r["actor"], r["payload"]["lost_records"]) for r in told],
          [(2, "operator", last - 1)], "the record of the repair")
    with grace.engine("--source", "unix:" + grace.path("in.sock")) as engine:
        done = grace.run("ledger", "repair", ledger, "--yes", "1:12288", code=1)
        check("in use" in done.stderr, done.stderr)
        engine.stop()
    grace.run("ledger", "verify", ledger)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def on_terminal(grace, answer, *arguments):
    """Runs a command on a terminal, types an answer; gives exit code and output."""
    parent, child = pty.openpty()
    process = subprocess.Popen([grace.binary, *arguments], stdin=child, stdout=subprocess.PIPE,
                               preexec_fn=harness.die_with_parent, text=True)
    os.close(child)
    os.write(parent, answer.encode() + b"\n")
    output = process.communicate(timeout=30)[0]
    os.close(parent)
    return process.returncode, output


def repair_asks_on_a_terminal(grace, _):
    ledger = small_ledger(grace)
    damage(ledger, 40)  # one header copy
    code, output = on_terminal(grace, "y", "ledger", "repair", ledger)
    equal(code, 1, "an answer that is not yes")
    check("nothing was changed" in output, output)
    grace.run("ledger", "verify", ledger, code=1)
    code, output = on_terminal(grace, "yes", "ledger", "repair", ledger)
    equal(code, 0, "yes: " + output)
    grace.run("ledger", "verify", ledger)
    grace.run("ledger", "repair", ledger)


def repair_breaks_a_checkpoint_only_when_told(grace, _):
    grace.run("ledger", "keygen", "grace.test/ledger", grace.path("key"))
    config = grace.write("c.toml", '[engine]\nledger_signing_key = "' + grace.path("key") + '"\n')
    with grace.engine("--config", config, "--source", "unix:" + grace.path("in.sock")) as engine:
        for reason in ("one", "two", "three"):
            engine.control("pause", "--reason", reason)
        engine.stop()
    damage(engine.ledger, 12288 + 200)
    text = grace.run("ledger", "repair", engine.ledger, "--dry-run", code=1).stdout
    check("BREAKS THAT PROMISE" in text, text)
    done = grace.run("ledger", "repair", engine.ledger, "--yes", "1:12288", code=1)
    check("checkpoint would no longer hold" in done.stderr, done.stderr)
    grace.run("ledger", "repair", engine.ledger, "--yes", "1:12288", "--break-checkpoint")
    with grace.engine("--config", config, "--source", "unix:" + grace.path("in.sock")) as again:
        again.stop()
    grace.run("ledger", "verify", engine.ledger)


def next_line(process, seconds=15):
    """A line of the process's output; Failure if none comes in time."""
    check(select.select([process.stdout], [], [], seconds)[0], "no line within", seconds, "s")
    return json.loads(process.stdout.readline())


def cat_selects(grace, _):
    ledger = small_ledger(grace)
    every = grace.records()
    check(len(every) >= 8, "records:", len(every))
    some = grace.records("ledger", "--from", "2", "--to", "4")
    equal([r["seq"] for r in some], [2, 3, 4], "--from --to")
    equal(len(grace.records("ledger", "--limit", "3")), 3, "--limit")
    paused = grace.records("ledger", "--where", 'result ~ "pau*" or payload.reasoning.0 = "two"')
    expected = [r for r in every if r["result"] == "paused"]
    equal(paused, expected, "--where with a pattern")
    check(paused, "nothing was paused")
    middle = every[len(every) // 2]["ts"]
    early = grace.records("ledger", "--until", middle)
    late = grace.records("ledger", "--since", middle)
    equal(early + late, every, "--until and --since")
    equal(grace.records("ledger", "--where", f'ts < "{middle}"'), early, "ts in a filter")
    done = grace.run("ledger", "cat", ledger, "--where", "action == 1", code=2)
    check("--where: column 9: " in done.stderr, done.stderr)
    grace.run("ledger", "cat", ledger, "--since", "yesterday", code=2)
    grace.run("ledger", "cat", grace.path("nothing"), code=2)


def cat_follows_over_a_restart_until_a_signal(grace, _):
    with grace.engine("--source", "unix:" + grace.path("in.sock")) as engine:
        engine.control("pause", "--reason", "first")
        follower = subprocess.Popen(
            [grace.binary, "ledger", "cat", engine.ledger, "--json", "--follow", "--where",
             'payload.reasoning.0 ~ "rst"'],
            stdout=subprocess.PIPE, text=True, preexec_fn=harness.die_with_parent)
        first = next_line(follower)
        equal(first["payload"]["reasoning"], ["first"], "the first record")
        engine.stop()
    # A new writer begins a new segment.
    with grace.engine("--source", "unix:" + grace.path("in.sock")) as engine:
        engine.control("pause", "--reason", "unseen")
        engine.control("pause", "--reason", "worst")
        second = next_line(follower)
        equal(second["payload"]["reasoning"], ["worst"], "the record of another writer")
        check(second["seq"] > first["seq"], "the order:", first["seq"], second["seq"])
        equal(follower.poll(), None, "follows on")
        follower.send_signal(signal.SIGTERM)
        equal(follower.wait(10), 0, "exit code after the signal")
        equal(follower.stdout.read(), "", "what came after")
        engine.stop()
    segments = [name for name in os.listdir(engine.ledger) if name.endswith(".segment")]
    check(len(segments) >= 2, "segments:", segments)


harness.main([repair_explains_and_needs_the_place, repair_asks_on_a_terminal,
              repair_breaks_a_checkpoint_only_when_told, cat_selects,
              cat_follows_over_a_restart_until_a_signal], __doc__)
