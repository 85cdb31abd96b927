#!/usr/bin/env python3
"""tools/ledger_ed25519.py against RFC 8032 and, where that leaves a choice, against OpenSSL.

    ed25519_test.py NOTE_TOOL
"""
import hashlib
import random
import subprocess
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))
import ledger_ed25519 as curve  # noqa: E402
from note_signer import public_key_of, sign_bytes, times_base  # noqa: E402

PRIME, ORDER = 2**255 - 19, curve.GROUP_ORDER
NOTE_TOOL = ""


def vectors():
    for line in (HERE / "ed25519_vectors.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, *parts = line.split()
            yield name, *(bytes.fromhex(part.replace("-", "")) for part in parts)


def openssl(cases):
    """What OpenSSL says of each (key, message, signature)."""
    lines = "".join(f"{key.hex()} {signature.hex()} {message.hex()}\n"
                    for key, message, signature in cases)
    done = subprocess.run([NOTE_TOOL, "ed25519", "hex"], input=lines, capture_output=True,
                          text=True, check=True)
    return [answer == "1" for answer in done.stdout.split()]


def little(number, sign=0):
    return (number | sign << 255).to_bytes(32, "little")


def small_points():
    """The eight points whose order divides the cofactor: multiples of what L times a point is."""
    for y in range(2, 100):
        point = curve.decoded(little(y))
        if point is None:
            continue
        small = curve.sum_of_two(ORDER, point, 0, curve.NEUTRAL)
        found = {curve.encoded(curve.sum_of_two(n, small, 0, curve.NEUTRAL)): n for n in range(8)}
        if len(found) == 8:
            return [curve.decoded(data) for data in found]
    raise AssertionError("there is a point of order eight among the first hundred")


def spellings(point):
    """All encodings that decode to a point: y may also be above the prime, and the sign of x = 0
    may be anything."""
    data = curve.encoded(point)
    sign, y = data[31] >> 7, int.from_bytes(data, "little") & 2**255 - 1
    signs = (0, 1) if point[0] % PRIME == 0 else (sign,)
    return [little(value, s) for value in (y, y + PRIME) if value < 2**255 for s in signs]


def challenge(r, key, message):
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % ORDER


class Vectors(unittest.TestCase):
    def test_those_of_the_rfc(self):
        names = []
        for name, seed, public, message, signature in vectors():
            names.append(name)
            self.assertEqual(public_key_of(seed), public, name)
            self.assertEqual(sign_bytes(seed, message), signature, name)
            self.assertTrue(curve.verify(public, message, signature), name)
            self.assertFalse(curve.verify(public, message + b"x", signature), name)
        self.assertEqual(names, ["1", "2", "3", "1024", "SHA(abc)"])


class BesideOpenSsl(unittest.TestCase):
    def compare(self, cases, least_good=0):
        ours = [curve.verify(*case) for case in cases]
        for case, mine, theirs in zip(cases, ours, openssl(cases), strict=True):
            self.assertEqual(mine, theirs, [part.hex() for part in case])
        self.assertGreaterEqual(sum(ours), least_good)
        return sum(ours)

    def test_each_bit_of_a_signature_and_of_a_key(self):
        _, _, public, message, signature = next(v for v in vectors() if v[0] == "2")
        cases = [(public, message, signature)]
        for bit in range(512):
            changed = bytearray(signature)
            changed[bit // 8] ^= 1 << bit % 8
            cases.append((public, message, bytes(changed)))
        for bit in range(256):
            changed = bytearray(public)
            changed[bit // 8] ^= 1 << bit % 8
            cases.append((bytes(changed), message, signature))
        self.assertEqual(self.compare(cases), 1)

    def test_scalars_above_the_order(self):
        cases = []
        for _, _, public, message, signature in vectors():
            s = int.from_bytes(signature[32:], "little")
            for other in (s, s + ORDER, s + 2 * ORDER, s + 8 * ORDER, ORDER, ORDER - 1, 0,
                          2**256 - 1, s | 1 << 255, s | 1 << 253):
                if other < 2**256:
                    cases.append((public, message, signature[:32] + little(other)))
        self.assertEqual(self.compare(cases), 5)

    def test_lengths(self):
        _, _, public, message, signature = next(vectors())
        self.compare([(public, message, part) for part in
                      (b"", signature[:63], signature + b"\0", signature[:32], signature)], 1)

    def test_keys_of_small_order_in_all_spellings(self):
        """R is then the base's multiple, less what k makes of the key: often, but not always, 0."""
        chance = random.Random(4)
        cases, small = [], small_points()
        for point in small:
            for key in spellings(point):
                for _ in range(3):
                    s, message = chance.randrange(ORDER), chance.randbytes(5)
                    for r in [times_base(s), *(curve.encoded(curve.sum_of_two(
                            s, curve.BASE, 1, other)) for other in small)]:
                        cases.append((key, message, r + little(s)))
        self.compare(cases, 20)

    def test_spellings_of_r(self):
        """R is compared as bytes: only its one encoding will do."""
        cases = []
        for point in small_points():
            for key in spellings(curve.NEUTRAL):
                for r in spellings(point):
                    cases.append((key, b"m", r + little(0)))
        self.compare(cases, 1)

    def test_keys_with_a_part_of_small_order(self):
        """Where the equation holds with the cofactor only, it does not hold."""
        chance = random.Random(5)
        cases = []
        for small in small_points():
            secret = chance.randrange(ORDER)
            key = curve.encoded(curve.sum_of_two(secret, curve.BASE, 1, small))
            for number in range(8):
                r = chance.randrange(ORDER)
                point, message = times_base(r), bytes([number])
                s = (r + challenge(point, key, message) * secret) % ORDER
                cases.append((key, message, point + little(s)))
        holding = self.compare(cases, 9)
        self.assertLess(holding, len(cases))

    def test_keys_that_are_no_points(self):
        chance = random.Random(6)
        _, _, _, message, signature = next(vectors())
        keys = [little(y, sign) for y in (*range(20), *range(PRIME - 3, PRIME + 19))
                for sign in (0, 1)]
        keys += [chance.randbytes(32) for _ in range(100)]
        self.compare([(key, message, signature) for key in keys])

    def test_any_signature(self):
        chance = random.Random(7)
        cases = []
        for number in range(60):
            seed, message = chance.randbytes(32), chance.randbytes(number)
            signature = sign_bytes(seed, message)
            cases.append((public_key_of(seed), message, signature))
            cases.append((public_key_of(seed), message, signature[:32] + chance.randbytes(32)))
            cases.append((public_key_of(seed), message + b"\0", signature))
        self.assertEqual(self.compare(cases), 60)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    NOTE_TOOL = sys.argv.pop(1)
    unittest.main()
