"""Ed25519 verification in pure Python, from RFC 8032, sections 5.1.3 and 5.1.7.

Where the RFC leaves a choice, docs/ledger_format.md, section 12, has made it. Some milliseconds a
signature. Nothing here takes care to run in constant time: do not sign with it.
"""
from __future__ import annotations

import hashlib

KEY_BYTES, SIGNATURE_BYTES = 32, 64

_P = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)

# Extended coordinates of section 5.1.4: x = X/Z, y = Y/Z, x * y = T/Z.
Point = tuple[int, int, int, int]

NEUTRAL: Point = (0, 1, 1, 0)


def add(left: Point, right: Point) -> Point:
    """Sum; complete, so left may be right."""
    a = (left[1] - left[0]) * (right[1] - right[0]) % _P
    b = (left[1] + left[0]) * (right[1] + right[0]) % _P
    c = 2 * _D * left[3] * right[3] % _P
    d = 2 * left[2] * right[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _twice(point: Point) -> Point:
    x, y, z, _ = point
    a, b, c = x * x, y * y, 2 * z * z
    h = a + b
    e = h - (x + y) * (x + y)
    g = a - b
    f = c + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def negative(point: Point) -> Point:
    x, y, z, t = point
    return -x % _P, y, z, -t % _P


def encoded(point: Point) -> bytes:
    """Section 5.1.2: y, and the lowest bit of x on top. One spelling for each point."""
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def decoded(data: bytes) -> Point | None:
    """Section 5.1.3, but that y counts modulo the prime, and that a sign for x = 0 is ignored."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, (number & (1 << 255) - 1) % _P
    u, v = y * y - 1, _D * y * y + 1  # x^2 = u / v
    x = u * v**3 * pow(u * v**7, (_P - 5) // 8, _P) % _P
    if (v * x * x - u) % _P:
        x = x * _ROOT_OF_MINUS_1 % _P
        if (v * x * x - u) % _P:
            return None
    if x & 1 != sign:
        x = -x % _P
    return x, y, 1, x * y % _P


def _base() -> Point:
    y = 4 * pow(5, -1, _P) % _P
    return decoded(y.to_bytes(32, "little"))


BASE = _base()


def sum_of_two(first: int, point: Point, second: int, other: Point) -> Point:
    """first * point + second * other."""
    steps = (None, point, other, add(point, other))
    total = NEUTRAL
    for bit in range(max(first.bit_length(), second.bit_length()) - 1, -1, -1):
        total = _twice(total)
        step = steps[first >> bit & 1 | (second >> bit & 1) << 1]
        if step is not None:
            total = add(total, step)
    return total


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Section 5.1.7, without the cofactor: whether R is the encoding of S * base - k * key."""
    if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    s = int.from_bytes(signature[32:], "little")
    key = decoded(public_key)
    if s >= GROUP_ORDER or key is None:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    k = int.from_bytes(digest, "little") % GROUP_ORDER
    return encoded(sum_of_two(s, BASE, k, negative(key))) == signature[:32]
