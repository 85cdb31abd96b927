"""CRC-32C in pure Python, fast enough for logs of some MiB.

The standard library has no Castagnoli CRC, and a loop over bytes reaches 10 MB/s. Two ways around
it. Short input: four bytes a step, with two tables of 65536 entries (25 MB/s). Long input: a CRC is
linear, so the first half of a message can be folded onto the second: a byte `d` bytes ahead of
another place is worth four bytes there, each of which is a table look-up, and bytes.translate and
the arithmetic of large integers do a whole half at once in C (100 MB/s).
"""
from __future__ import annotations

import functools
import struct

_POLYNOMIAL = 0x82F63B78
_FOLD_FROM = 160  # bytes; below it the table is faster


def _byte_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_BYTE_TABLE = _byte_table()


def _after_zeros(crc: int, count: int) -> int:
    for _ in range(count):
        crc = _BYTE_TABLE[crc & 255] ^ crc >> 8
    return crc


def _word_table(first_byte: int) -> list[int]:
    """What bytes first_byte and first_byte + 1 of a four-byte word do to the CRC after the word."""
    low = [_after_zeros(value, 4 - first_byte) for value in range(256)]
    high = [_after_zeros(value, 3 - first_byte) for value in range(256)]
    return [a ^ b for b in high for a in low]


_LOW_TABLE, _HIGH_TABLE = _word_table(0), _word_table(2)


def _times(a: int, b: int) -> int:
    """Product of two polynomials modulo the CRC's, bit 31 being the coefficient of x^0."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


@functools.cache
def _fold_tables(doublings: int) -> tuple[bytes, bytes, bytes, bytes]:
    """For each byte the four that stand for it 2^doublings bytes further on, lowest first."""
    power = 1 << 23  # x^8: one byte
    for _ in range(doublings):
        power = _times(power, power)
    worth = [0]
    for bit in range(8):
        single = _times(power, 1 << bit)
        worth += [value ^ single for value in worth]
    return tuple(bytes(value >> shift & 255 for value in worth) for shift in (0, 8, 16, 24))


def _folded(data: bytes) -> bytes:
    """A short message with the same CRC (from a zero register) as a long one."""
    number = int.from_bytes
    while (size := len(data)) > _FOLD_FROM:
        doublings = (size - 5).bit_length() - 1
        kept = (1 << doublings) + 4  # size is at most twice it less 4, so what is folded fits in it
        head = data[:size - kept]
        worth = 0
        for place, table in enumerate(_fold_tables(doublings)):
            worth ^= number(head.translate(table), "little") << 8 * place
        tail = number(data[size - kept:], "little") ^ worth << 8 * (2 * kept - 4 - size)
        data = tail.to_bytes(kept, "little")
    return data


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C of data; crc is that of what came before it."""
    crc ^= 0xFFFFFFFF
    if len(data) > _FOLD_FROM:
        data = _folded((int.from_bytes(data[:4], "little") ^ crc).to_bytes(4, "little") + data[4:])
        crc = 0
    low, high = _LOW_TABLE, _HIGH_TABLE
    words = len(data) >> 2
    for word in struct.unpack_from(f"<{words}I", data):
        word ^= crc
        crc = low[word & 0xFFFF] ^ high[word >> 16]
    for byte in data[4 * words:]:
        crc = _BYTE_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
