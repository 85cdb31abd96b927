"""Kinds of samples for proof_agreement_test.py: accidents to a text, and what somebody does who has
some of the keys."""
from __future__ import annotations

import random
import struct
from pathlib import Path

from ledger_ed25519 import GROUP_ORDER  # in tools/
from ledger_tree import inclusion_path, leaf_hash, tree_root
from note_signer import Signer, sign_bytes, to_base64
from proof_samples import (HEIRS, NAMESAKE, OWN, STRANGER, WITNESS, ConsistencyFields, Model,
                           RecordFields, Sample, TextDamage, checkpoint_text, consistency_fields,
                           record_fields)

HEADER_FIELDS = {"magic": (0, "8s"), "header_crc": (8, "I"), "flags": (12, "I"),
                 "block_number": (16, "Q"), "first_sequence": (24, "Q"), "record_count": (32, "I"),
                 "records_bytes": (36, "I"), "block_bytes": (40, "Q"), "wall_time_ns": (48, "Q"),
                 "promised_sequence": (56, "Q"), "previous_hash": (64, "32s")}
RECORD_FIELDS = {"crc": (0, "I"), "length": (4, "I"), "sequence": (8, "Q"), "type": (16, "H"),
                 "flags": (18, "H"), "reserved": (20, "I"), "payload": (24, "B")}
EXTENSIONS = ["other line\n", "log\n", "log \n", "logs are wood\n", "sequence\n", "time\n",
              "sequence 0\n", "time 0\n", "time -1\n", f"time {2**63}\n", f"log {'0' * 32}\n",
              f"log {'AB' * 16}\n", "log 12\n", "sequence 5\n", "time 5\n", "other\ntime 5\n",
              "other\nsequence 5\n", " sequence 5\n", "sequence  5\n", "sequence 5 \n", "\n",
              "\n\n", "time\t5\n", "Sequence 5\n", "sequence\u00a05\n", "x\n" * 200]
KEY_TEXTS = ["", "x", OWN.verifier_text() + " ", OWN.verifier_text()[:-1], "+".join("abc"),
             OWN.verifier_text().replace("grace", "Grace"), " " + OWN.verifier_text(),
             OWN.signer_text(), OWN.verifier_text().upper(), OWN.verifier_text() + "=",
             "+".join([OWN.name, OWN.key.key_id.hex().upper(),
                       OWN.verifier_text().split("+", 2)[2]]),
             "+".join([OWN.name, OWN.key.key_id.hex(), to_base64(b"\2" + OWN.key.public_key)])]


class Maker:
    """Makes the samples; each kind is a method that returns (what was done, log, data)."""

    def __init__(self, chance: random.Random, models: dict[str, Model], logs: dict[str, Path]):
        self.random = chance
        self.models = models
        self.logs = logs
        self.keys = [OWN.verifier_text()]

    # Good ones, to begin with.

    def model(self) -> Model:
        return self.models["main"]

    def size(self, model: Model, least: int = 1) -> int:
        return self.random.randrange(least, len(model.leaves) + 1)

    def sequence(self, model: Model, size: int) -> int:
        return self.random.randrange(1, model.checkpoint(size).sequence + 1)

    def record(self) -> RecordFields:
        model = self.model()
        size = self.size(model)
        while not model.checkpoint(size).sequence:
            size = self.size(model)
        return record_fields(model, self.sequence(model, size), size)

    def consistency(self) -> ConsistencyFields:
        model = self.model()
        new = self.size(model, 0)
        return consistency_fields(model, self.random.randrange(new + 1), new)

    def note(self) -> bytes:
        return OWN.sign(checkpoint_text(self.model().checkpoint(self.size(self.model(), 0))))

    def proof(self) -> bytes:
        return self.random.choice([self.record, self.consistency])().text()

    # Kinds.

    def good_checkpoint(self):
        """Of any of these logs, held against any."""
        name, log = self.random.choice(list(self.models)), self.random.choice(list(self.logs))
        model = self.models[name]
        size = self.size(model, 0)
        return f"{name} of {size}", log, OWN.sign(checkpoint_text(model.checkpoint(size)))

    def good_proof(self):
        return "", None, self.proof()

    def damaged_checkpoint(self):
        story, data = TextDamage(self.random).apply(self.note())
        return story, "main", data

    def damaged_proof(self):
        story, data = TextDamage(self.random).apply(self.proof())
        return story, None, data

    def resigned_checkpoint(self):
        """Any damage to the text, and a right signature below it."""
        text = checkpoint_text(self.model().checkpoint(self.size(self.model())))
        story, text = TextDamage(self.random).apply(text)
        if not text.endswith(b"\n"):
            text += b"\n"
        return story, "main", OWN.sign(text)

    def extension_lines(self):
        checkpoint = self.model().checkpoint(self.size(self.model()))
        said = self.random.sample(["log_id", "sequence", "time_ns"], self.random.randrange(4))
        checkpoint = checkpoint._replace(**{name: bytes(16) if name == "log_id" else 0
                                            for name in said})
        more = "".join(self.random.sample(EXTENSIONS, self.random.randrange(1, 3)))
        return f"{said} unsaid, {more[:60]!r}", "main", OWN.sign(checkpoint_text(checkpoint, more))

    def wrong_checkpoint(self):
        """Signed by the log, and not so."""
        checkpoint = self.model().checkpoint(self.size(self.model(), 0))
        name, value = self.random.choice([
            ("root", self.random.randbytes(32)), ("log_id", self.random.randbytes(16)),
            ("sequence", checkpoint.sequence + self.random.choice([1, 1000])),
            ("sequence", max(0, checkpoint.sequence - 1)),
            ("tree_size", checkpoint.tree_size + 1), ("tree_size", 2**64 - 1), ("tree_size", 2**63),
            ("tree_size", max(0, checkpoint.tree_size - 1)), ("log_id", bytes(16)), ("sequence", 0),
            ("origin", STRANGER.name), ("origin", "two words"), ("origin", ""), ("time_ns", 1)])
        text = checkpoint_text(checkpoint._replace(**{name: value}))
        return name, self.random.choice(["main", "main", *self.logs]), OWN.sign(text)

    def signatures(self):
        """Lines of other keys, of other texts, wrong ones, many."""
        checkpoint = self.model().checkpoint(self.size(self.model()))
        text = checkpoint_text(checkpoint)
        other = checkpoint_text(self.model().checkpoint(self.size(self.model())))
        lines = [self._signature_line(text, other) for _ in range(self.random.choice([1, 2, 2, 3]))]
        if self.random.random() < 0.6:
            lines.insert(self.random.randrange(len(lines) + 1), OWN.line(text))
        if self.random.random() < 0.1:
            lines += [STRANGER.line(text)] * self.random.choice([96, 97, 98, 99, 100])
        self.keys = self.random.choice([self.keys, self.keys, [OWN.verifier_text(),
                                                               WITNESS.verifier_text()],
                                        [WITNESS.verifier_text()], [NAMESAKE.verifier_text()]])
        return f"{len(lines)} lines", "main", text + b"\n" + b"".join(lines)

    def _signature_line(self, text: bytes, other: bytes) -> bytes:
        signature = sign_bytes(OWN.seed, text)
        s = int.from_bytes(signature[32:], "little")
        raw = to_base64(self.random.randbytes(self.random.choice([0, 3, 4, 5, 67, 68, 69])))
        return self.random.choice([
            lambda: OWN.line(text), lambda: OWN.line(other), lambda: WITNESS.line(text),
            lambda: WITNESS.line(other), lambda: STRANGER.line(text), lambda: NAMESAKE.line(text),
            lambda: OWN.line(text, sign_bytes(NAMESAKE.seed, text)),
            lambda: OWN.line(text, signature[:63]), lambda: OWN.line(text, signature + b"\0"),
            lambda: OWN.line(text, b""), lambda: OWN.line(text, bytes(64)),
            lambda: OWN.line(text, signature[:32] + (s + GROUP_ORDER).to_bytes(32, "little")),
            lambda: Signer("two words", OWN.seed).line(text), lambda: b"\n",
            lambda: Signer("a\u00a0b", OWN.seed).line(text), lambda: b"- x AAAAAAAA\n",
            lambda: Signer("a\u200bb", OWN.seed).line(text), lambda: b"x\n",
            lambda: Signer("", OWN.seed).line(text), lambda: Signer("a+b", OWN.seed).line(text),
            lambda: f"\u2014 x {raw}\n".encode(), lambda: f"\u2014 x  {raw}\n".encode(),
            lambda: f"\u2014 {OWN.name} {raw}\n".encode()])()

    def keys_given(self):
        own, stranger = OWN.verifier_text(), STRANGER.verifier_text()
        self.keys = self.random.choice([
            [own, own], [stranger], [stranger, own], [], [NAMESAKE.verifier_text(), own],
            [own, self.random.choice(KEY_TEXTS)], [self.random.choice(KEY_TEXTS)],
            [Signer(STRANGER.name, OWN.seed).verifier_text()]])
        if self.random.random() < 0.5:
            return f"{len(self.keys)}", "main", self.note()
        return f"{len(self.keys)}", None, self.proof()

    def flipped_key(self):
        key = bytearray(OWN.verifier_text().encode())
        key[self.random.randrange(len(key))] ^= 1 << self.random.randrange(7)
        self.keys = [key.decode().replace("\n", "?")]
        return self.keys[0], "main", self.note()

    def changed_key(self):
        """Signed by any of a log's keys, in its time or not, for who trusts any of them."""
        model = self.models["rotated"]
        size = self.random.randrange(len(model.leaves) + 1)
        line = [OWN, *HEIRS]
        signers = self.random.sample([*line, NAMESAKE], self.random.choice([1, 1, 1, 2]))
        trusted = self.random.sample([*line, NAMESAKE], self.random.choice([1, 1, 1, 2]))
        if self.random.random() < 0.5:
            trusted = [OWN]
        self.keys = [key.verifier_text() for key in trusted]
        text = checkpoint_text(model.checkpoint(size))
        log = self.random.choice(["rotated"] * 4 + [name for name in self.logs
                                                    if name.startswith("rotated_")])
        names = [[*line, NAMESAKE].index(key) + 1 for key in signers]
        return (f"over {size}, by {names}", log,
                text + b"\n" + b"".join(key.line(text) for key in signers))

    def mixed_record_proof(self):
        """One part of a proof from another one."""
        fields, other = self.record(), self.record()
        name = self.random.choice(fields._fields)
        return name, None, fields._replace(**{name: getattr(other, name)}).text()

    def mixed_consistency_proof(self):
        fields, other = self.consistency(), self.consistency()
        name = self.random.choice([*fields._fields, "swapped", "other log", "other origin"])
        if name == "swapped":
            fields = fields._replace(old_note=fields.new_note, new_note=fields.old_note)
        elif name == "other log":
            fields = fields._replace(new_note=self._changed(fields.new_size, log_id=b"x" * 16))
        elif name == "other origin":
            self.keys.append(STRANGER.verifier_text())
            fields = fields._replace(new_note=STRANGER.sign(checkpoint_text(
                self.model().checkpoint(fields.new_size)._replace(origin=STRANGER.name))))
        else:
            fields = fields._replace(**{name: getattr(other, name)})
        return name, None, fields.text()

    def _changed(self, size: int, **changes) -> bytes:
        return OWN.sign(checkpoint_text(self.model().checkpoint(size)._replace(**changes)))

    def lying_consistency(self):
        """Right sizes and paths, and two signed checkpoints that contradict each other."""
        fields = self.consistency()
        name, value = self.random.choice([("sequence", 0), ("sequence", 1), ("time_ns", 0),
                                          ("log_id", bytes(16)), ("time_ns", 2**62),
                                          ("sequence", 10**9), ("root", bytes(32))])
        which = self.random.choice(["old", "new"])
        note = self._changed(getattr(fields, f"{which}_size"), **{name: value})
        return f"{which} {name}", None, fields._replace(**{f"{which}_note": note}).text()

    def path_edit(self):
        fields = self.random.choice([self.record, self.record, self.consistency])()
        name = self.random.choice([name for name in fields._fields if name.endswith("path")])
        path = list(getattr(fields, name))
        edit = self.random.choice(["drop", "add", "double", "swap", "flip", "many"])
        at = self.random.randrange(len(path) or 1)
        if edit == "many":
            path += [bytes(32)] * self.random.choice([31, 32, 33, 64, 65, 66])
        elif edit == "add" or not path:
            path.insert(at, self.random.randbytes(32))
        elif edit == "drop":
            del path[at]
        elif edit == "double":
            path.insert(at, path[at])
        elif edit == "swap":
            path[at], path[-1] = path[-1], path[at]
        else:
            path[at] = bytes([path[at][0] ^ 1]) + path[at][1:]
        return f"{edit} {name}", None, fields._replace(**{name: path}).text()

    def number_edit(self):
        fields = self.random.choice([self.record, self.consistency])()
        name = self.random.choice([name for name in fields._fields
                                   if isinstance(getattr(fields, name), int)])
        value = getattr(fields, name)
        new = self.random.choice([value + 1, max(0, value - 1), 0, 2**32 - 1, 2**32, 2**64 - 1])
        return f"{name} {new}", None, fields._replace(**{name: new}).text()

    def other_checkpoint(self):
        """A proof's paths below another checkpoint of its log, of another key, or of nothing."""
        fields, name = self.record(), self.random.choice(["size", "key", "text", "log", "sequence"])
        size = self.size(self.model())
        note = {"size": lambda: self._changed(size),
                "key": lambda: STRANGER.sign(checkpoint_text(self.model().checkpoint(size))),
                "text": lambda: OWN.sign(b"not a checkpoint\n"),
                "log": lambda: self._changed(self._size_of(fields), log_id=b"x" * 16),
                "sequence": lambda: self._changed(self._size_of(fields),
                                                  sequence=self.random.choice([0, 1, 2, 10**9]))}
        return name, None, fields._replace(note=note[name]()).text()

    def _size_of(self, fields: RecordFields) -> int:
        return int(fields.note.split(b"\n")[1])

    def forged_header(self):
        """A block's header changed, hashed into the tree again, and the checkpoint signed."""
        fields = self.record()
        number = fields.block
        name, (at, form) = self.random.choice(list(HEADER_FIELDS.items()))
        header = bytearray(fields.header)
        struct.pack_into("<" + form, header, at, self._other(header, at, form))
        if name == "block_number" and self.random.random() < 0.5:
            fields = fields._replace(block=struct.unpack_from("<Q", header, 16)[0])
        if name == "record_count" and self.random.random() < 0.5:
            fields = fields._replace(count=struct.unpack_from("<I", header, 32)[0])
        return name, None, self._signed_again(fields, number, bytes(header)).text()

    def _other(self, data: bytearray, at: int, form: str) -> int | bytes:
        if form.endswith("s"):
            return self.random.randbytes(int(form[:-1]))
        old, = struct.unpack_from("<" + form, data, at)
        limit = 1 << 8 * struct.calcsize(form)
        return self.random.choice([old ^ 1, old ^ 2, old ^ 4, old + 1, old - 1, 0, limit - 1,
                                   old + 8, self.random.randrange(limit)]) % limit

    def _signed_again(self, fields: RecordFields, number: int, header: bytes) -> RecordFields:
        size = self._size_of(fields)
        leaves = self.model().leaves[:size]
        leaves[number] = leaf_hash(header)
        note = self._changed(size, root=tree_root(leaves))
        return fields._replace(header=header, note=note, block_path=inclusion_path(leaves, number))

    def forged_record(self):
        """A record changed, and all above it made right again."""
        fields = self.record()
        name, (at, form) = self.random.choice(list(RECORD_FIELDS.items()))
        record = bytearray(fields.record)
        if at < len(record):
            struct.pack_into("<" + form, record, at, self._other(record, at, form))
        if name == "length" and self.random.random() < 0.5:
            record = record[:-1]
            struct.pack_into("<I", record, 4, max(0, len(record) - 24))
        leaves = [leaf_hash(entry.entry) for entry in self.model().blocks[fields.block].records]
        leaves[fields.index] = leaf_hash(bytes(record))
        header = bytearray(fields.header)
        header[96:128] = tree_root(leaves)
        if name == "sequence" and self.random.random() < 0.5:
            fields = fields._replace(sequence=struct.unpack_from("<Q", record, 8)[0])
        fields = fields._replace(record=bytes(record),
                                 record_path=inclusion_path(leaves, fields.index))
        return name, None, self._signed_again(fields, fields.block, bytes(header)).text()


KINDS = [name for name, value in vars(Maker).items() if callable(value) and name[0] != "_"
         and name not in ("model", "size", "sequence", "record", "consistency", "note", "proof")]


def make_sample(models: dict[str, Model], logs: dict[str, Path], seed: int, number: int,
                only: str | None) -> tuple[str, Sample]:
    chance = random.Random(f"{seed}/{number}")
    kind = only or KINDS[number % len(KINDS)]
    maker = Maker(chance, models, logs)
    story, log, data = getattr(maker, kind)()
    return kind, Sample(f"{kind} {story}", log, data, maker.keys)
