#!/usr/bin/env python3
"""tools/ledger_verify.py as a program, with checkpoints and proofs."""
import io
import json
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))
import ledger_verify as verifier  # noqa: E402
from ledger_key_change import KeyChanges  # noqa: E402
from ledger_log import carried_key_changes  # noqa: E402
from ledger_note import Refused  # noqa: E402
from note_signer import to_base64  # noqa: E402
from proof_samples import (OWN, STRANGER, Model, checkpoint_text,  # noqa: E402
                           consistency_fields, record_fields)

LOG = HERE / "corpus" / "closed_record_tree.segment"


class Program(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.model = Model(LOG)
        self.size = len(self.model.leaves)
        self.key = OWN.verifier_text()

    def file(self, name, data):
        path = Path(self.folder.name) / name
        path.write_bytes(data)
        return str(path)

    def run_program(self, *arguments):
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            try:
                status = verifier.main(arguments)
            except SystemExit as exit_:  # argparse
                status = exit_.code
        return status, out.getvalue()

    def against(self, log=LOG, key=None, **changes):
        """Exit status and verdict of a checkpoint of all of the log, with changes."""
        checkpoint = self.model.checkpoint(self.size)._replace(**changes)
        note = self.file("note", OWN.sign(checkpoint_text(checkpoint)))
        status, out = self.run_program(str(log), "--json", "--checkpoint", note, "--key",
                                       key or self.key)
        said = json.loads(out)
        return status, said.get("checkpoint") or said.get("reason")

    def test_a_checkpoint_holds_or_does_not(self):
        self.assertEqual(self.against(), (0, "holds"))
        self.assertEqual(self.against(root=bytes(32)), (1, "checkpoint_root"))
        self.assertEqual(self.against(log_id=b"x" * 16), (1, "checkpoint_log_id"))
        self.assertEqual(self.against(tree_size=self.size + 1), (1, "checkpoint_beyond_end"))
        self.assertEqual(self.against(sequence=1), (1, "checkpoint_sequence"))
        self.assertEqual(self.against(key=STRANGER.verifier_text()),
                         (1, "note_not_signed_by_a_known_key"))
        self.assertEqual(self.against(HERE / "corpus" / "closed_sha256.segment"),
                         (1, "checkpoint_root"))  # these files have one id

    def test_the_tree_of_a_log_with_crc32c_is_made_from_its_blocks(self):
        log = HERE / "corpus" / "closed_crc32c.segment"
        tree = (HERE / "tree_corpus" / "closed_crc32c.tree").read_bytes()
        size = int.from_bytes(tree[64:72], "little")
        after = [tree[at:at + 32] for at in range(128 + 32 * size, len(tree), 32)]
        last = int.from_bytes(tree[48:56], "little")
        root = verifier.Frontier(size, after).root()
        said = {"log": log, "tree_size": size, "root": root, "sequence": last}
        self.assertEqual(self.against(**said), (0, "holds"))
        self.assertEqual(self.against(**said | {"root": bytes(32)}), (1, "checkpoint_root"))
        self.assertEqual(self.against(**said | {"sequence": last + 1}), (1, "checkpoint_sequence"))
        self.assertEqual(self.against(**said | {"tree_size": size + 1}),
                         (1, "checkpoint_beyond_end"))

    def test_every_size_of_a_log_holds(self):
        for size in range(self.size + 1):
            root = verifier.tree_root(self.model.leaves[:size])
            sequence = self.model.checkpoint(size).sequence
            self.assertEqual(self.against(tree_size=size, root=root, sequence=sequence),
                             (0, "holds"))

    def test_a_cut_log_is_found_though_it_is_sound_alone(self):
        log = Path(self.folder.name) / "log"
        log.mkdir()
        data = LOG.read_bytes()
        (log / "000000000001.segment").write_bytes(data[:self.model.blocks[-1].offset])
        self.assertEqual(self.run_program(str(log), "--quiet"), (0, ""))
        self.assertEqual(self.against(log), (1, "checkpoint_beyond_end"))

    def test_a_damaged_log_stays_damaged_under_a_checkpoint_that_holds(self):
        data = bytearray(LOG.read_bytes())
        data[0] ^= 1  # a header's copy
        self.assertEqual(self.against(self.file("000000000001.segment", data)), (1, "holds"))

    def test_a_proof_holds_or_does_not(self):
        for name, fields in (("record", record_fields(self.model, 2, self.size)),
                             ("consistency", consistency_fields(self.model, 1, self.size))):
            good = self.file(name, fields.text())
            status, out = self.run_program("--proof", good, "--key", self.key, "--json")
            self.assertEqual((status, json.loads(out)["kind"]), (0, name))
            status, out = self.run_program("--proof", good, "--key", self.key)
            self.assertEqual((status, out[:3]), (0, "ok:"))
            self.assertEqual(self.run_program("--proof", good, "--key", STRANGER.verifier_text(),
                                              "--quiet"), (1, ""))
            bad = self.file("bad", fields.text().replace(b"path ", b"path 1", 1))
            self.assertEqual(self.run_program("--proof", bad, "--key", self.key)[0], 1)
            newer = self.file("newer", fields.text().replace(b"/v1", b"/v2", 1))
            self.assertEqual(self.run_program("--proof", newer, "--key", self.key)[0], 2)

    def test_a_proven_payload_cannot_write_to_the_terminal(self):
        fields = record_fields(self.model, 1, self.size)
        record = fields.record[:24] + b"\x1b[2J" + fields.record[28:]
        shown = verifier.printable(record[24:])
        self.assertTrue(shown.isprintable())
        self.assertIn("x1b", shown)

    def test_keys_come_as_text_or_in_a_file(self):
        self.assertEqual(self.against(key=self.file("key", self.key.encode() + b"\n")),
                         (0, "holds"))
        self.assertEqual(self.against(key="nobody+00000000+AAAA")[0], 2)
        self.assertEqual(self.against(key=str(LOG))[0], 2)

    def test_wrong_use(self):
        note = self.file("note", OWN.sign(checkpoint_text(self.model.checkpoint(self.size))))
        for arguments in ([], [str(LOG), "--checkpoint", note], ["--proof", note],
                          [str(LOG), "--key", self.key], [str(LOG), "--proof", note],
                          ["--proof", note, "--checkpoint", note, "--key", self.key],
                          ["--proof", "/nowhere", "--key", self.key],
                          [str(LOG), "--checkpoint", "/nowhere", "--key", self.key]):
            self.assertEqual(self.run_program(*arguments)[0], 2, arguments)


class CarriedKeyChanges(unittest.TestCase):
    """Key changes whose records were removed with the oldest segments (section 20)."""

    KEYS = [OWN, OWN._replace(seed=b"\7" * 32), OWN._replace(seed=b"\x08" * 32)]
    LOG_ID = b"i" * 16

    def note(self, at, sequence, **changes):
        old, new = self.KEYS[at:at + 2]
        values = {"log": self.LOG_ID.hex(), "epoch": 2 + at, "old": old.verifier_text(),
                  "new": new.verifier_text(), "blocks": 7 + at,
                  "root": to_base64(bytes(32)), "sequence": sequence - 1, "time": 1} | changes
        lines = [f"{word} {value}" for word, value in values.items()]
        text = "\n".join(["grace ledger key change/v1", *lines, ""]).encode()
        return text + b"\n" + old.line(text) + new.line(text)

    def begin(self, *carried, log_id=LOG_ID):
        changes = KeyChanges()
        changes.begin(log_id, carried)
        return changes

    def refused(self, *carried, **options):
        with self.assertRaises(Refused) as refused:
            self.begin(*carried, **options)
        return refused.exception.reason

    def test_each_follows_the_one_before(self):
        first, second = (4, self.note(0, 4)), (9, self.note(1, 9))
        changes = self.begin(first, second)
        self.assertEqual([change.new for change in changes.changes],
                         [key.key for key in self.KEYS[1:3]])
        self.assertEqual(self.begin(second).changes[-1].epoch, 3)  # as far back as files go
        self.assertEqual(self.refused(second, first), "key_change_keys")
        self.assertEqual(self.refused(first, (9, self.note(1, 9, epoch=4))), "key_change_epoch")
        self.assertEqual(self.refused((5, first[1])), "key_change_sequence")
        self.assertEqual(self.refused(first, log_id=b"j" * 16), "key_change_log")
        self.assertEqual(self.refused((4, first[1][:-9] + b"AAAAAAA=\n")), "note_signature")

    def test_of_files_only_those_before_the_log_count(self):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder)
            (log / "000000000001.segment").write_bytes(LOG.read_bytes())
            for name in ("000000000004.keychange", "4.keychange", "000000000000.keychange"):
                (log / name).write_bytes(b"no note")
            self.assertEqual(carried_key_changes(log), [(4, b"no note")])
            self.assertTrue(verifier.verify_log(log).ok)
            verify = verifier.LogVerifier(verifier.segment_files(log), (), [(0, b"no note")])
            self.assertFalse(verify.run().ok)


class OutOfReach(unittest.TestCase):
    """Blocks that were removed with the oldest segments: only some sizes can still be told."""

    def test_what_the_frontier_tells(self):
        leaves = [bytes([number]) * 32 for number in range(13)]
        before = verifier.Frontier()
        for leaf in leaves:
            before.append(leaf)
        for size in range(14):
            first = before.first(size)
            if size in (0, 8, 12, 13):
                self.assertEqual(first.root(), verifier.tree_root(leaves[:size]))
            else:
                self.assertIsNone(first)


if __name__ == "__main__":
    unittest.main()
