"""Signed notes and the checkpoints in them, written from docs/ledger_format.md, section 12.

open_checkpoint() is the way in. What it cannot take it refuses: Refused says why.
"""
from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import ledger_ed25519

NOTE_BYTES_MAX = 1 << 20
SIGNATURES_MAX = 100
U32_MAX, I64_MAX, U64_MAX = 2**32 - 1, 2**63 - 1, 2**64 - 1
HASH_BYTES = 32
_ED25519 = 1
_SIGNATURE_START = "\u2014 "
# Unicode's White_Space, which is not quite what str.isspace() takes.
_SPACES = frozenset(map(chr, [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B),
                              0x2028, 0x2029, 0x202F, 0x205F, 0x3000]))


class Why(enum.Enum):
    """What kind of no it is."""

    BROKEN = "broken"  # malformed, or what it says does not hold
    UNSIGNED = "unsigned"  # by none of the keys
    UNTRUSTED = "untrusted"  # by one of them that was not the log's key then
    UNSUPPORTED = "unsupported"  # of a form that is not known here
    USE = "use"  # the keys are at fault


class Refused(Exception):
    """Something is not what it should be; `reason` is a code."""

    def __init__(self, reason: str, why: Why = Why.BROKEN):
        super().__init__(reason)
        self.reason = reason
        self.why = why


def require(holds: bool, reason: str, why: Why = Why.BROKEN) -> None:
    if not holds:
        raise Refused(reason, why)


def decimal(text: str, largest: int, reason: str) -> int:
    """A number in its one spelling."""
    require(re.fullmatch("0|[1-9][0-9]{0,19}", text) is not None and int(text) <= largest, reason)
    return int(text)


def from_base64(text: str, reason: str, size: int | None = None) -> bytes:
    """Bytes from the one spelling they have in Base64."""
    try:
        data = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(reason) from None
    require(base64.b64encode(data).decode() == text, reason)
    require(size is None or len(data) == size, reason)
    return data


# --- Keys ----------------------------------------------------------------------------------------


class Key(NamedTuple):
    """A verifier key: what its owner's signatures are checked with."""

    name: str
    key_id: bytes
    public_key: bytes


def is_name(name: str) -> bool:
    return name != "" and "+" not in name and not _SPACES.intersection(name)


def key_id_of(name: str, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([_ED25519]) + public_key).digest()[:4]


def parse_key(text: str) -> Key:
    """`<name>+<key id, 8 hex digits>+<Base64 of 0x01 and the public key>`."""
    try:
        name, key_id, data = text.split("+", 2)
        name.encode()  # a lone surrogate stands for what was no UTF-8
        raw = from_base64(data, "key_base64", 1 + ledger_ed25519.KEY_BYTES)
    except (ValueError, Refused):
        raise Refused("key_form", Why.USE) from None
    require(is_name(name), "key_name", Why.USE)
    require(re.fullmatch("[0-9a-fA-F]{8}", key_id) is not None, "key_id", Why.USE)
    require(raw[0] == _ED25519, "key_algorithm", Why.USE)
    require(key_id_of(name, raw[1:]) == bytes.fromhex(key_id), "key_id", Why.USE)
    return Key(name, bytes.fromhex(key_id), raw[1:])


def key_text(key: Key) -> str:
    data = base64.b64encode(bytes([_ED25519]) + key.public_key).decode()
    return f"{key.name}+{key.key_id.hex()}+{data}"


# --- Notes ---------------------------------------------------------------------------------------


class Signature(NamedTuple):
    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    text: str  # with its last newline
    signed_by: list[Key]  # verified, in the note's order


def _parse_signature(line: str) -> Signature:
    require(line.startswith(_SIGNATURE_START), "note_signature_line")
    name, space, data = line[len(_SIGNATURE_START):].partition(" ")
    require(space != "" and is_name(name), "note_signature_line")
    raw = from_base64(data, "note_signature_line")
    require(len(raw) > 4, "note_signature_line")
    return Signature(name, raw[:4], raw[4:])


def split_note(note: bytes) -> tuple[str, list[Signature]]:
    """Text and signatures of a note; nothing is verified."""
    require(len(note) <= NOTE_BYTES_MAX, "note_too_long")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise Refused("note_utf8") from None
    require(all(character >= " " or character == "\n" for character in whole),
            "note_control_character")
    text, blank, signatures = whole.rpartition("\n\n")
    require(blank != "" and signatures.endswith("\n"), "note_form")
    lines = signatures[:-1].split("\n")
    require(len(lines) <= SIGNATURES_MAX, "note_signature_count")
    return text + "\n", [_parse_signature(line) for line in lines]


def open_note(note: bytes, keys: Sequence[Key]) -> Note:
    """Verifies every signature by a known key, and takes nothing without one."""
    text, signatures = split_note(note)
    signed_by: list[Key] = []
    for signature in signatures:
        known = [key for key in keys if key[:2] == signature[:2]]
        require(len(known) <= 1, "key_twice", Why.USE)
        if not known or known[0] in signed_by:
            continue
        require(ledger_ed25519.verify(known[0].public_key, text.encode(), signature.signature),
                "note_signature")
        signed_by.append(known[0])
    require(bool(signed_by), "note_not_signed_by_a_known_key", Why.UNSIGNED)
    return Note(text, signed_by)


# --- Checkpoints ---------------------------------------------------------------------------------


class Checkpoint(NamedTuple):
    """What a log says of itself. Of log_id, sequence and time_ns zero means that it is not said."""

    origin: str
    tree_size: int
    root: bytes
    log_id: bytes = bytes(16)
    sequence: int = 0
    time_ns: int = 0


def _parse_log_id(text: str) -> bytes:
    require(re.fullmatch("[0-9a-f]{32}", text) is not None, "checkpoint_log_line")
    return bytes.fromhex(text)


# Ours, in the order they have to come in.
_EXTENSIONS = {
    "log": ("log_id", _parse_log_id),
    "sequence": ("sequence", lambda text: decimal(text, U64_MAX, "checkpoint_sequence_line")),
    "time": ("time_ns", lambda text: decimal(text, I64_MAX, "checkpoint_time_line")),
}


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that is a note's text."""
    require(text.endswith("\n"), "checkpoint_form")
    lines = text[:-1].split("\n")
    require(len(lines) >= 3, "checkpoint_form")
    require("" not in lines, "checkpoint_empty_line")
    origin, size, root = lines[:3]
    said = {}
    allowed = list(_EXTENSIONS)
    for line in lines[3:]:
        word, _, value = line.partition(" ")
        if word not in _EXTENSIONS:
            allowed = []  # other lines come behind ours
            continue
        require(word in allowed, "checkpoint_line_order")
        allowed = allowed[allowed.index(word) + 1:]
        name, parse = _EXTENSIONS[word]
        said[name] = parse(value)
        require(said[name] not in (0, bytes(16)), f"checkpoint_{word}_line")
    return Checkpoint(origin, decimal(size, U64_MAX, "checkpoint_tree_size"),
                      from_base64(root, "checkpoint_root_line", HASH_BYTES), **said)


class SignedCheckpoint(NamedTuple):
    checkpoint: Checkpoint
    signed_by: list[Key]  # those of the log itself, not of its witnesses


def open_signed_checkpoint(note: bytes, keys: Sequence[Key]) -> SignedCheckpoint:
    """The checkpoint of a note that is signed by the log it speaks of, not just by a witness."""
    opened = open_note(note, keys)
    checkpoint = parse_checkpoint(opened.text)
    own = [key for key in opened.signed_by if key.name == checkpoint.origin]
    require(bool(own), "checkpoint_not_signed_by_its_origin", Why.UNSIGNED)
    return SignedCheckpoint(checkpoint, own)


def open_checkpoint(note: bytes, keys: Sequence[Key]) -> Checkpoint:
    return open_signed_checkpoint(note, keys).checkpoint
