"""Our signed notes beside those of the Go package golang.org/x/mod/sumdb/note: each side opens what
the other signed, countersigns it, and refuses it with one byte changed.

    go_note_test.py NOTE_TOOL GO_FOLDER [--count N]

Exits 77, which ctest calls skipped, where there is no Go or its module cannot be had.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
NAMES = ["log.example/grace", "ключ/日本", "x"]
TEXTS = ["one line\n", "\n", "two\n\nparts\n", "a note in a note\n\n— x AAAAAAAA\n",
         "umlauts äöü, \U0001f511\n", "long " * 20000 + "\n"]


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def build_go_tool(source, folder):
    """The Go program, built in `folder`; the source folder is not written to."""
    go = shutil.which("go")
    if go is None:
        skip("there is no go (Debian and Ubuntu: apt-get install golang-go)")
    copy = Path(folder) / "source"
    shutil.copytree(source, copy)
    environment = dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="-mod=readonly -modcacherw",
                       GOWORK="off", CGO_ENABLED="0")
    if "HOME" not in environment:
        environment.update(GOPATH=f"{folder}/go", GOCACHE=f"{folder}/cache")
    try:
        fetched = subprocess.run([go, "mod", "download"], cwd=copy, env=environment, timeout=120,
                                 capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        skip("the Go module did not come within two minutes")
    if fetched.returncode != 0:
        if "checksum mismatch" in fetched.stderr:
            sys.exit(f"the Go module is not the pinned one: {fetched.stderr}")
        skip(f"the Go module cannot be had: {fetched.stderr.strip()}")
    tool = Path(folder) / "go_note"
    subprocess.run([go, "build", "-o", tool, "."], cwd=copy, env=environment, check=True)
    return tool


class Tool:
    """One of the two programs; both take the same commands."""

    def __init__(self, path, folder):
        self.path = str(path)
        self.folder = Path(folder)
        self.key_count = 0

    def run(self, *words, text=""):
        return subprocess.run([self.path, *words], input=text.encode(), capture_output=True,
                              check=False, timeout=60)

    def must(self, *words, text=""):
        done = self.run(*words, text=text)
        if done.returncode != 0:
            sys.exit(f"{self.path} {words}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def generate(self, name):
        """(file with the signer key, verifier key)"""
        signer, verifier = self.must("generate", name).splitlines()
        self.key_count += 1
        file = self.folder / f"{Path(self.path).name}.{self.key_count}.key"
        file.touch(mode=0o600)
        file.write_text(signer + "\n", encoding="utf-8")
        return str(file), verifier


def expect(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")


def signature_line(verifier):
    name, key_id, _ = verifier.split("+", 2)
    return f"{name} {key_id}"


def check_texts(signing, other):
    """Notes by `signing` are opened and countersigned by `other`, and the other way round."""
    for name in NAMES:
        key, verifier = signing.generate(name)
        witness_key, witness = other.generate("witness.example")
        for text in TEXTS:
            note = signing.must("sign", key, text=text)
            wanted = f"{signature_line(verifier)}\n\n{text}"
            expect(other.must("open", verifier, text=note) == wanted, f"{name}: {text[:40]!r}")
            # Ed25519 gives one signature, and a note has one spelling: both must write the same.
            expect(other.must("sign", key, text=text) == note, f"{name} signs {text[:40]!r}")
            words = ["countersign", witness_key]
            both = other.must(*words, *([verifier] if "go_note" in other.path else []), text=note)
            for reader in (signing, other):
                wanted = f"{signature_line(verifier)}\n{signature_line(witness)}\n\n{text}"
                expect(reader.must("open", witness, verifier, text=both) == wanted, "countersigned")
            expect(other.run("open", witness, text=note).returncode == 1, "a key that did not sign")


def check_checkpoint(ours, theirs):
    key, verifier = ours.generate("log.example/grace")
    note = ours.must("checkpoint", key)
    opened = theirs.must("open-checkpoint", verifier, text=note)
    expect(opened == ours.must("open-checkpoint", verifier, text=note), "checkpoint")
    expect(opened.splitlines()[2:4] == ["log.example/grace", "7"], "the checkpoint's lines")


def check_changes(ours, theirs, count):
    """Whatever byte is changed, both refuse, or neither does (a line by an unknown key)."""
    key, verifier = theirs.generate("log.example/grace")
    _, stranger = theirs.generate("stranger.example")
    note = theirs.must("sign", key, text=TEXTS[2]).encode()
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(count):
        changed = bytearray(note)
        place = chance.randrange(len(changed))
        changed[place] = (changed[place] + chance.randrange(1, 256)) % 256
        for tool in (ours, theirs):
            done = subprocess.run([tool.path, "open", verifier, stranger], input=bytes(changed),
                                  capture_output=True, check=False, timeout=60)
            if tool is theirs and changed[-3:-2] != note[-3:-2]:
                continue  # Go takes bits before the padding that stand for nothing
            expect(done.returncode == 1, f"{tool.path} took byte {place} as {changed[place]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("note_tool")
    parser.add_argument("go_folder")
    parser.add_argument("--count", type=int, default=100, help="changed notes to try")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        theirs = Tool(build_go_tool(options.go_folder, folder), folder)
        ours = Tool(options.note_tool, folder)
        check_texts(ours, theirs)
        check_texts(theirs, ours)
        check_checkpoint(ours, theirs)
        check_changes(ours, theirs, options.count)
    print("OK")


if __name__ == "__main__":
    main()
