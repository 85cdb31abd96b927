#!/usr/bin/env python3
"""The parts of tools/ledger_verify.py, against slower or kept answers."""
import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))
import ledger_verify as verifier  # noqa: E402
import make_samples  # noqa: E402
from ledger_crc32c import crc32c  # noqa: E402

CORPUS = HERE / "corpus"


def run(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        status = verifier.main(arguments)
    return status, out.getvalue()


class Crc(unittest.TestCase):
    def test_known_value(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)

    def test_all_lengths_around_the_change_of_method(self):
        data = random.Random(1).randbytes(5000)
        for size in [*range(360), 511, 1027, 4096, 4097, 5000]:
            self.assertEqual(crc32c(data[:size]), make_samples.crc32c(data[:size]), size)

    def test_in_two_parts(self):
        data = random.Random(2).randbytes(1000)
        for cut in (0, 1, 3, 100, 500, 999):
            self.assertEqual(crc32c(data[cut:], crc32c(data[:cut])), crc32c(data))


class Tree(unittest.TestCase):
    def setUp(self):
        chance = random.Random(3)
        self.leaves = [chance.randbytes(32) for _ in range(34)]

    def test_root_is_that_of_the_definition(self):
        for size in range(len(self.leaves) + 1):
            self.assertEqual(verifier.tree_root(self.leaves[:size]),
                             make_samples.tree_root(self.leaves[:size]))

    def test_inclusion_holds_for_its_leaf_and_place_only(self):
        for size in range(1, len(self.leaves) + 1):
            leaves = self.leaves[:size]
            root = verifier.tree_root(leaves)
            for index, leaf in enumerate(leaves):
                path = verifier.inclusion_path(leaves, index)
                holds = verifier.verify_inclusion
                self.assertTrue(holds(leaf, index, size, path, root))
                self.assertFalse(holds(leaf, index, size, [*path, root], root))
                self.assertFalse(holds(leaf, size, size, path, root))
                if path:
                    self.assertFalse(holds(root, index, size, path, leaf))
                    self.assertFalse(holds(leaf, index, size, path[:-1], root))
                    self.assertFalse(holds(leaf, index ^ 1, size, path, root))

    def test_consistency_holds_for_its_trees_only(self):
        for size in range(1, len(self.leaves) + 1):
            root = verifier.tree_root(self.leaves[:size])
            for old in range(1, size + 1):
                old_root = verifier.tree_root(self.leaves[:old])
                proof = verifier.consistency_proof(self.leaves[:size], old)
                holds = verifier.verify_consistency
                self.assertTrue(holds(old, size, old_root, root, proof))
                self.assertFalse(holds(old, size, old_root, root, [*proof, root]))
                if old < size:
                    self.assertFalse(holds(old, size, root, root, proof))
                    self.assertFalse(holds(old, size, old_root, old_root, proof))
                    self.assertFalse(holds(old, size, old_root, root, proof[:-1]))


@unittest.skipUnless(shutil.which("zstd"), "no program zstd")
class Compressed(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = Path(folder.name)
        self.packed = self.directory / "000000000001.segment.zst"
        subprocess.run(["zstd", "-q", CORPUS / "closed_sha256.segment", "-o", self.packed],
                       check=True)

    def test_a_segment_is_read_as_it_is(self):
        report = verifier.verify_log(self.directory)
        self.assertTrue(report.ok)
        self.assertEqual(report.last_sequence, 2)

    def test_damage_is_told(self):
        data = bytearray(self.packed.read_bytes())
        data[len(data) // 2] ^= 1
        self.packed.write_bytes(data)
        with self.assertRaises(OSError):
            verifier.verify_log(self.directory)

    def test_the_plain_form_counts(self):
        plain = self.directory / "000000000001.segment"
        plain.write_bytes((CORPUS / "closed_sha256.segment").read_bytes())
        self.packed.write_bytes(b"no zstd")
        self.assertTrue(verifier.verify_log(self.directory).ok)


class Program(unittest.TestCase):
    def test_kept_samples_are_what_the_document_says(self):
        maker = Path(__file__).parent / "make_samples.py"
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as trees:
            subprocess.run([sys.executable, maker, folder, trees], check=True)
            made = sorted(Path(folder).iterdir())
            self.assertEqual(len(made), 3)
            for path in made:
                self.assertEqual(path.read_bytes(), (CORPUS / path.name).read_bytes(), path.name)
            made = list(Path(trees).iterdir())
            self.assertEqual(len(made), 1)
            for path in made:
                kept = CORPUS.parent / "tree_corpus" / path.name
                self.assertEqual(path.read_bytes(), kept.read_bytes(), path.name)

    def test_kept_samples_are_sound(self):
        paths = list(CORPUS.glob("closed_*.segment"))
        self.assertEqual(len(paths), 3)
        for path in paths:
            status, out = run(str(path), "--json")
            report = json.loads(out)
            self.assertEqual((status, report["ok"], report["records"], report["sealed"]),
                             (0, True, 2, True), path)

    def test_exit_status(self):
        data = bytearray((CORPUS / "closed_sha256.segment").read_bytes())
        data[8192 + 150] ^= 1
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(run(folder)[0], 2)
            (Path(folder) / "000000000001.segment").write_bytes(data)
            status, out = run(folder, "--json")
            self.assertEqual(status, 1)
            self.assertEqual(json.loads(out)["first_fault"]["reason"], "record_crc")
            self.assertEqual(run(folder, "--quiet"), (1, ""))
        self.assertEqual(run("/nowhere")[0], 2)

    def test_tree_files(self):
        """The kept segment with the kept tree file, without it, and with damage."""
        segment = (CORPUS / "closed_crc32c.segment").read_bytes()
        tree = (HERE / "tree_corpus" / "closed_crc32c.tree").read_bytes()

        def said(tree_bytes, segment_bytes=segment):
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "000000000001.segment").write_bytes(segment_bytes)
                if tree_bytes is not None:
                    (Path(folder) / "000000000001.tree").write_bytes(tree_bytes)
                return verifier.verify_log(folder)
        report = said(tree)
        self.assertTrue(report.ok)
        self.assertEqual(vars(report.hashing), {
            "segments": 1, "last_sequence": 2, "missing_files": 0, "unhashed_records": 0,
            "unhashed_bytes": 0, "unhashed_from": 0})
        self.assertIn("hashed: 1 segments, up to record 2", verifier.text(report))
        report = said(None)
        self.assertTrue(report.ok)
        self.assertEqual((report.hashing.unhashed_records, report.hashing.unhashed_from,
                          report.hashing.unhashed_bytes), (2, 1, len(segment)))
        self.assertIn("unhashed tail: 2 records", verifier.text(report))
        for at in range(len(tree)):
            flipped = bytearray(tree)
            flipped[at] ^= 1
            self.assertFalse(said(bytes(flipped)).ok, at)
        for size in range(0, len(tree), 8):
            self.assertFalse(said(tree[:size]).ok, size)
        forged = bytearray(tree)
        forged[130] ^= 1  # of the first block's hash, with the CRC made right
        forged[8:12] = bytes(4)
        forged[8:12] = crc32c(bytes(forged)).to_bytes(4, "little")
        self.assertEqual(said(bytes(forged)).faults[0].reason, "tree_file_records")

    def test_checks_see_each_block_and_may_find_faults(self):
        class Counting(verifier.Check):
            blocks = 0

            def block(self, segment, block):
                self.blocks += 1

            def finish(self, report):
                return [verifier.Fault(1, 0, 0, 1, "checkpoint")]

        check = Counting()
        report = verifier.verify_log(CORPUS / "closed_sha256.segment", [check])
        self.assertEqual(check.blocks, 3)
        self.assertIs(report.finding, verifier.Finding.CORRUPTION)


if __name__ == "__main__":
    unittest.main()
