"""Signs notes as docs/ledger_format.md, section 12, wants them, with the curve of tools/: for tests
only, since nothing here hides its secrets."""
from __future__ import annotations

import base64
import functools
import hashlib
from typing import NamedTuple

import ledger_ed25519 as curve  # in tools/
from ledger_note import Key, key_id_of, key_text


def _expanded(seed: bytes) -> tuple[int, bytes]:
    """RFC 8032, section 5.1.5: the secret scalar, and the prefix of what is hashed."""
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & (1 << 254) - 8 | 1 << 254, digest[32:]


def times_base(scalar: int) -> bytes:
    return curve.encoded(curve.sum_of_two(scalar, curve.BASE, 0, curve.NEUTRAL))


@functools.cache
def public_key_of(seed: bytes) -> bytes:
    return times_base(_expanded(seed)[0])


def _number(digest: bytes) -> int:
    return int.from_bytes(digest, "little") % curve.GROUP_ORDER


@functools.lru_cache(maxsize=1024)
def sign_bytes(seed: bytes, message: bytes) -> bytes:
    """Section 5.1.6."""
    scalar, prefix = _expanded(seed)
    r = _number(hashlib.sha512(prefix + message).digest())
    point = times_base(r)
    k = _number(hashlib.sha512(point + public_key_of(seed) + message).digest())
    return point + ((r + k * scalar) % curve.GROUP_ORDER).to_bytes(32, "little")


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Signer(NamedTuple):
    name: str
    seed: bytes

    @property
    def key(self) -> Key:
        public = public_key_of(self.seed)
        return Key(self.name, key_id_of(self.name, public), public)

    def verifier_text(self) -> str:
        return key_text(self.key)

    def signer_text(self) -> str:
        key_id = self.key.key_id.hex()
        return f"PRIVATE+KEY+{self.name}+{key_id}+{to_base64(bytes([1]) + self.seed)}"

    def line(self, text: bytes, signature: bytes | None = None) -> bytes:
        """The signature line for a text, or with another signature."""
        raw = self.key.key_id + (sign_bytes(self.seed, text) if signature is None else signature)
        return f"\u2014 {self.name} {to_base64(raw)}\n".encode()

    def sign(self, text: bytes) -> bytes:
        return text + b"\n" + self.line(text)
