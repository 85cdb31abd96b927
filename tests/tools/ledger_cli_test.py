"""What the ledger's commands do with redacted values and with a signing key that changes."""
import hashlib
import json
import os
import subprocess
import sys

import harness
from harness import check, equal

VERIFIER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools",
                        "ledger_verify.py")


def redacted_values_can_be_shown_and_deleted(grace, arguments):
    log = grace.path("redacted")
    config = grace.write("redact.toml",
                         '[engine]\nledger_redact = ["actor", "payload.evidence"]\n')
    stream = grace.write("stream", grace.run("gen", "--count", "40000").stdout)
    grace.json("replay", stream, "--config", config, "--ledger", log)
    plain, shown = (grace.run("ledger", "cat", log, "--json", *more).stdout.splitlines()
                    for more in ([], ["--reveal"]))
    check('"actor":{"$commitment":"' in plain[0], plain[0])
    check('"actor":"' in shown[0] and "$commitment" not in shown[0], shown[0])
    opened = grace.write("opened", grace.run("ledger", "reveal", log, "2", "--json").stdout)
    check("2 commitments" in grace.run("ledger", "check-value", opened).stdout, "check-value")
    with open(opened, encoding="utf-8") as file:
        forged = grace.write("forged", file.read().replace('"value":"', '"value":" ', 1))
    check("another value" in grace.run("ledger", "check-value", forged, code=1).stderr, "forged")
    grace.run("ledger", "redact", log, code=2)
    grace.run("ledger", "redact", log, "--where", "2/payload.nothing", code=2)
    grace.run("ledger", "redact", log, "--where", "999999", code=2)
    grace.run("ledger", "redact", log, "--before", "noon", code=2)
    equal(grace.json("ledger", "redact", log, "--where", "2/actor")["deleted"], 1, "of record 2")
    left = grace.run("ledger", "reveal", log, "2", code=1).stdout
    check("deleted" in left and "payload.evidence" in left, left)
    gone = grace.json("ledger", "redact", log, "--before", "2100-01-01T00:00:00Z")["deleted"]
    check(gone >= len(plain) - 1, gone, "of", len(plain))
    equal(grace.run("ledger", "cat", log, "--json", "--reveal").stdout.splitlines(), plain, "after")
    check(grace.json("ledger", "verify", log)["ok"], "the log is as it was")
    bad = grace.write("bad.toml", '[engine]\nledger_redact = ["resource"]\n')
    refused = grace.run("check", bad, code=None)
    check(refused.returncode != 0 and "engine.ledger_redact: 'resource'" in
          refused.stdout + refused.stderr, refused.stdout, refused.stderr)
    return f"{gone + 1} values"


def a_stolen_key_can_be_distrusted(grace, log, held, publics):
    """The held checkpoint is the first key's; two changes followed."""
    first, second, third = (public.split("+")[1] for public in publics)

    def verify(checkpoint, key, *distrusted, code=0):
        more = ["--checkpoint", checkpoint, "--key", key]
        more += [part for one in distrusted for part in ("--distrust", one)]
        said = grace.json("ledger", "verify", log, *more, code=code)
        other = subprocess.run([sys.executable, VERIFIER, log, "--json", *more],
                               capture_output=True, text=True, check=False)
        equal(other.returncode, code, "the other verifier: " + other.stdout + other.stderr)
        others = json.loads(other.stdout)
        equal((others["ok"], others["checkpoint"] == "holds", others["proven"]),
              (said["ok"], said["checkpoint"] == "holds", said["proven"]), "the other verifier")
        return said
    said = verify(held, publics[0], first + "@1000000")
    equal((said["checkpoint"], said["proven"]["by"].split("+")[0]),
          ("holds", "a key change signed with grace.example/l"), "stolen later")
    for key in (publics[0], publics[1]):
        said = verify(held, key, first, code=1)
        check(not said["ok"] and said["checkpoint"] != "holds", said)
    check(said["proven"]["by"].endswith(publics[2]), "the last change leads on from", said)
    check(0 < said["proven"]["last_sequence"] < said["last_sequence"], said)
    said = verify(held, publics[0], first, code=1)
    equal(said["proven"], {"blocks": 0, "last_sequence": 0, "by": ""}, "only the stolen key")
    newest = grace.path("rotated/checkpoint")
    equal(verify(newest, publics[2], first, second + "@1")["proven"]["by"], "the checkpoint", "own")
    shown = grace.run("ledger", "verify", log, "--checkpoint", held, "--key", publics[2],
                      "--distrust", first, code=1).stdout
    check("proven: up to record" in shown and "not proven: records" in shown, shown)
    for wrong, why in (("1234", "@BLOCKS"), (first + "@", "@BLOCKS"), (first + "@x", "@BLOCKS"),
                       ("+" + first[1:], "@BLOCKS"), ("00000000", "no key given")):
        refused = grace.run("ledger", "verify", log, "--checkpoint", held, "--key", publics[0],
                            "--distrust", wrong, code=None)
        check(refused.returncode != 0 and why in refused.stderr, wrong, refused.stderr)
        other = subprocess.run([sys.executable, VERIFIER, log, "--checkpoint", held, "--key",
                                publics[0], "--distrust", wrong], capture_output=True, check=False)
        equal(other.returncode, 2, "the other verifier: " + wrong)


def the_signing_key_can_change(grace, arguments):
    log = grace.path("rotated")
    keys = [grace.path(f"{name}.key") for name in ("one", "two", "three")]
    publics = [grace.run("ledger", "keygen", "grace.example/l", key).stdout.strip() for key in keys]
    stream = grace.write("stream", grace.run("gen", "--count", "40000").stdout)

    def replay(text, code=0):
        config = grace.write("keys.toml", "[engine]\n" + text)
        return grace.run("replay", stream, "--config", config, "--ledger", log, code=code)
    replay(f'ledger_signing_key = "{keys[0]}"\n')
    held = grace.write("held", grace.run("ledger", "checkpoint", log).stdout)
    refused = replay(f'ledger_signing_key = "{keys[1]}"\n', code=None)
    check(refused.returncode != 0 and "no key change" in refused.stderr, refused.stderr)
    rotated = grace.json("ledger", "rotate-key", log, keys[0], keys[1])
    equal((rotated["epoch"], rotated["new"]), (2, publics[1]), "the change")
    refused = replay(f'ledger_signing_key = "{keys[0]}"\n', code=None)
    check(refused.returncode != 0 and "another key" in refused.stderr, refused.stderr)
    # The configuration names both once; that it still does afterwards changes nothing.
    both = f'ledger_signing_key = "{keys[2]}"\nledger_previous_signing_key = "{keys[1]}"\n'
    replay(both)
    replay(both)
    replay(f'ledger_signing_key = "{keys[2]}"\n')
    listed = grace.run("ledger", "keys", log).stdout.splitlines()
    equal([line.split(": ")[-1] for line in listed], publics[1:], "the keys")
    newest = grace.path("rotated/checkpoint")
    report = grace.json("ledger", "verify", log, "--checkpoint", newest, "--key", publics[0])
    equal((report["checkpoint"], report["key_epochs"]), ("holds", 3), "by way of two changes")
    check(report["checkpoint_signed_by"].startswith(publics[2]), report)
    equal(grace.json("ledger", "verify", log, "--checkpoint", held, "--key", publics[0])
          ["checkpoint"], "holds", "the old one")
    grace.run("ledger", "verify", log, "--checkpoint", held, "--key", publics[1], code=2)
    a_stolen_key_can_be_distrusted(grace, log, held, publics)
    proof = grace.path("rotated.proof")
    grace.run("ledger", "prove", log, "1", "--key", publics[2], "--out", proof)
    check(grace.json("ledger", "check-proof", proof, "--key", publics[2])["ok"], "the proof")
    other = subprocess.run([sys.executable, VERIFIER, log, "--json", "--checkpoint", newest,
                            "--key", publics[0]], capture_output=True, text=True, check=True)
    said = json.loads(other.stdout)
    equal((said["key_changes"], said["checkpoint"], said["checkpoint_signed_by"]),
          (2, "holds", report["checkpoint_signed_by"]), "what the other verifier makes of it")
    # Retention takes the segments with the changes; a configuration that still names both holds.
    segments = sorted(name for name in os.listdir(log) if name.endswith(".segment"))
    for name in segments[:-2]:
        os.remove(os.path.join(log, name))
    equal(grace.run("ledger", "keys", log).stdout, "no key change\n", "the changes that are left")
    replay(both)
    grace.run("ledger", "verify", log, "--checkpoint", newest, "--key", publics[2])
    os.chmod(keys[0], 0o644)
    refused = grace.run("ledger", "rotate-key", log, keys[0], keys[1], code=2)
    check("chmod 600" in refused.stderr, refused.stderr)
    return "3 epochs"


def the_key_of_a_journal_can_change(grace, arguments):
    """Its integrity is crc32c; the engine itself never signs it."""
    log = grace.path("journal")
    keys = [grace.path(f"{name}.key") for name in ("red", "green", "blue")]
    publics = [grace.run("ledger", "keygen", "grace.example/j", key).stdout.strip() for key in keys]
    stream = grace.write("stream", grace.run("gen", "--count", "40000").stdout)

    def record():
        grace.run("run", "--source", "file:" + stream, "--record", log, "--ledger",
                  grace.path("decisions"))

    def sound(epochs):
        report = grace.json("ledger", "verify", log)
        equal((report["ok"], report["key_epochs"], report["hashing"]["unhashed_records"]),
              (True, epochs, 0), report)
        other = subprocess.run([sys.executable, VERIFIER, log, "--json"], capture_output=True,
                               text=True, check=False)
        equal(other.returncode, 0, "the other verifier: " + other.stdout + other.stderr)
        said = json.loads(other.stdout)
        equal((said["ok"], said["integrity"], said["key_changes"]), (True, "crc32c", epochs - 1),
              said)
        for same in ("root", "last_sequence", "hashing"):
            equal(said[same], report[same], same)
        return report["last_sequence"]

    def digests_of_log():
        digests = {}
        for name in set(os.listdir(log)) - {"LOCK"}:  # which names the process that tried last
            with open(os.path.join(log, name), "rb") as file:
                digests[name] = hashlib.sha256(file.read()).hexdigest()
        return digests
    record()
    before = grace.json("ledger", "verify", log)["last_sequence"]
    digest = grace.json("replay", log)["decision_digest"]
    rotated = grace.json("ledger", "rotate-key", log, keys[0], keys[1])
    equal((rotated["epoch"], rotated["sequence"], rotated["old"], rotated["new"]),
          (2, before + 1, publics[0], publics[1]), "the change")
    equal(sound(2), before + 1, "the change is the last record")
    equal(grace.json("replay", log)["decision_digest"], digest, "a change is no input")
    # A key that signs no more can name no other, and leaves the log as it was.
    untouched = digests_of_log()
    refused = grace.run("ledger", "rotate-key", log, keys[0], keys[2], code=1)
    check("has made another key the log's: " + publics[1] in refused.stderr, refused.stderr)
    equal(digests_of_log(), untouched, "the log after a refusal")
    record()
    check(sound(2) > before + 1, "the journal goes on behind the change")
    grace.json("ledger", "rotate-key", log, keys[1], keys[2])
    sound(3)
    listed = grace.run("ledger", "keys", log).stdout.splitlines()
    equal([line.split(": ")[-1] for line in listed], publics[1:], "the keys")
    return "3 epochs"


if __name__ == "__main__":
    harness.main([redacted_values_can_be_shown_and_deleted, the_signing_key_can_change,
                  the_key_of_a_journal_can_change], __doc__)
