#!/usr/bin/python3
"""`courtroll verify-evidence` on each kind of evidence, made by the tests' own second opinion (tlog.py) as
docs/evidence.md describes it; the examples there are made here too. (test_cli_witness.py has forks.)

COURTROLL_BIN names the directory of the built programs.
"""
import copy
import hashlib
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support", "python"))
import test_cli  # noqa: E402
import tlog  # noqa: E402

NOW = 1790000000
DOCUMENT = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "evidence.md")


def evidence(kind, *notes, tail=""):
    parts = "".join(f"note {len(note.encode())}\n{note}" for note in notes)
    return f"courtroll evidence v1\n{kind}\n{parts}{tail}"


def lines(hashes):
    return "".join(tlog.b64(h) + "\n" for h in hashes)


def record(minute, tag=b"tag"):
    """An operation record that the log vouches for: proto/courtroll/v1/operation.proto."""
    def varint(value):
        return (bytes([value & 127 | 128]) + varint(value >> 7)) if value > 127 else bytes([value])

    def digest(text, size=32):
        return hashlib.sha256(text).digest()[:size]

    fields = ((1, 1), (2, 130), (3, minute), (4, digest(b"court", 8)), (5, digest(tag)),
              (6, digest(b"document")), (7, digest(b"fields")), (9, digest(b"submitter", 16)), (11, 1))
    return b"".join(varint(number << 3 | 2) + varint(len(value)) + value
                    if isinstance(value, bytes) else varint(number << 3) + varint(value)
                    for number, value in fields)


RECORDS = [record(29833333), record(29833334, b"another tag"), record(29833335)]


class World:
    """A log of a few entries with a promise key, a history that it should not have, a monitor."""

    def __init__(self, size=8, origin="log.example/court", parted=3):
        self.log = tlog.Log(size, origin)
        self.leaves = self.log.leaves
        self.forked = list(self.leaves)
        self.forked[parted] = tlog.leaf_hash(b"another entry")
        self.parted = parted
        self.key = self.log.key
        self.witness, self.other_witness = self.log.witnesses[:2]
        self.promise_key = tlog.Key(origin + "/promise", tlog.ED25519)
        self.monitor = tlog.Key("monitor.example", tlog.ED25519)

    def policy(self, has_promise_key=True):
        policy = self.log.policy()
        return (f"log {self.promise_key.vkey()}\n" if has_promise_key else "") + policy

    def text(self, leaves, size, origin=None):
        return tlog.checkpoint_text(origin or self.key.name, size, tlog.root(leaves[:size]))

    def signed(self, leaves, size, key=None):
        return tlog.signed(self.text(leaves, size), key or self.key)

    def cosigned(self, leaves, size, time, witness=None, origin=None):
        return tlog.signed(self.text(leaves, size, origin), witness or self.witness, time=time)

    def ordered(self, size, make):
        """A and B of one size."""
        return [make(leaves, size) for leaves in
                sorted((self.leaves, self.forked), key=lambda leaves: tlog.root(leaves[:size]))]

    def fork(self):
        return evidence("fork", *self.ordered(8, self.signed))

    def fork_by_proof(self):
        tail = f"root {tlog.b64(tlog.root(self.leaves[:5]))}\n" + lines(
            tlog.consistency(5, self.leaves))
        return evidence("fork", self.signed(self.forked, 5), self.signed(self.leaves, 8), tail=tail)

    def equivocation(self, form):
        if form == 1:
            notes, tail = self.ordered(8, lambda *n: self.cosigned(*n, NOW)), ""
        elif form == 2:
            notes = [self.cosigned(self.forked, 5, NOW), self.cosigned(self.leaves, 8, NOW + 60)]
            tail = f"root {tlog.b64(tlog.root(self.leaves[:5]))}\n" + lines(
                tlog.consistency(5, self.leaves))
        else:
            notes = [self.cosigned(self.leaves, 5, NOW + 3600), self.cosigned(self.leaves, 8, NOW)]
            tail = ""
        return evidence("witness-equivocation", *notes, tail=tail)

    def promise(self, *items, key=None, origin=None):
        text = f"courtroll promise v1\n{origin or self.key.name}\n"
        text += "".join(f"{index} {tlog.b64(leaf)}\n" for index, leaf in items)
        return tlog.signed(text, key or self.promise_key)

    def broken_promise(self, index=None, promise=None, note=None):
        """`index` was promised to the entry that the forked tree has there."""
        index = self.parted if index is None else index
        promise = promise or self.promise((index, self.forked[index]))
        tail = f"entry {index} {tlog.b64(self.leaves[index])}\n"
        return evidence("promise-broken", promise, note or self.signed(self.leaves, 8),
                        tail=tail + lines(tlog.inclusion(index, self.leaves)))

    def repeated_tag(self, first=0, second=2, records=None, note=None):
        """Two records of a log of three entries."""
        records = records or RECORDS
        leaves = [tlog.leaf_hash(entry) for entry in records]
        tail = "".join(f"entry {index} {tlog.b64(records[index])}\n" +
                       lines(tlog.inclusion(index, leaves)) for index in (first, second))
        return evidence("tag-repeated", note or self.signed(leaves, len(leaves)), tail=tail)

    def observation(self, code="no-quorum", origin=None, subject="-", summary=None, note=None,
                    key=None, time=NOW):
        text = f"courtroll observation v1\n{code}\n{origin or self.key.name}\n{subject}\n{time}\n"
        text += (summary or "Published with 1 of 2 cosignatures.") + "\n"
        if note is not None:
            text += f"note {len(note.encode())}\n{note}"
        return evidence("observation", tlog.signed(text, key or self.monitor))


WORLD = World()


def examples():
    """What docs/evidence.md shows, by heading."""
    world = WORLD
    return {
        "policy": world.policy(),
        "fork": world.fork_by_proof(),
        "witness-equivocation": world.equivocation(3),
        "promise-broken": world.broken_promise(),
        "tag-repeated": world.repeated_tag(),
        "observation": world.observation(note=world.signed(world.leaves, 8)),
    }


class Case(test_cli.Case):
    def setUp(self):
        super().setUp()
        self.policy = self.write("policy", WORLD.policy())

    def verify(self, code, words, text, *more, policy=None):
        """Standard output, and the object with --json."""
        path = self.write("evidence", text)
        arguments = ("verify-evidence", path, "--policy", policy or self.policy, *more)
        out = self.expect(code, *arguments).stdout
        self.assertTrue(out.startswith(words), out)
        got = self.expect_json(code, *arguments)
        self.assertEqual(got["ok"], code == 0)
        with open(policy or self.policy, "rb") as file:
            self.assertEqual(got["policy_sha256"], hashlib.sha256(file.read()).hexdigest())
        self.assertIn(got["policy_sha256"], out)
        return out, got

    def assert_words(self, out, *words):
        for word in words:
            self.assertIn(str(word), out)


class Equivocation(Case):
    def test_each_form_is_proved(self):
        key = f"{WORLD.witness.name}+{WORLD.witness.id.hex()}"
        for form in (1, 2, 3):
            out, got = self.verify(
                0, f"WITNESS EQUIVOCATION  the holder of key {key} cosigned both\n",
                WORLD.equivocation(form))
            self.assertEqual((got["verdict"], got["kind"], got["form"], got["origin"]),
                             ("WITNESS EQUIVOCATION", "witness-equivocation", form, WORLD.key.name))
            self.assertEqual([note["key"] for note in got["notes"]], [key, key])
            self.assert_words(out, "2026-09-21T", WORLD.key.name, f"form {form}:", "it proves",
                              "but not", *(note["root"] for note in got["notes"]),
                              *(note["timestamp"] for note in got["notes"]))
            self.assertEqual("contradicting_root" in got, form < 3)

    def test_honest_growth_proves_nothing(self):
        for later in (0, 1):
            notes = [WORLD.cosigned(WORLD.leaves, size, time)
                     for size, time in ((5, NOW), (8, NOW + later))]
            self.verify(1, "NOT PROVED\n", evidence("witness-equivocation", *notes))
        notes = [WORLD.cosigned(WORLD.leaves, 8, time) for time in (NOW, NOW + 9)]
        self.verify(1, "NOT PROVED\n", evidence("witness-equivocation", *notes))

    def test_two_witnesses_are_not_one(self):
        notes = [WORLD.cosigned(WORLD.leaves, 5, NOW + 1),
                 WORLD.cosigned(WORLD.leaves, 8, NOW, WORLD.other_witness)]
        out, _ = self.verify(1, "NOT PROVED\n", evidence("witness-equivocation", *notes))
        self.assert_words(out, WORLD.witness.name, WORLD.other_witness.name)

    def test_only_witnesses_of_the_policy_count(self):
        stranger = tlog.Key(WORLD.witness.name, tlog.COSIGNATURE, b"\1" * 32)
        plain = tlog.Key(WORLD.witness.name, tlog.ED25519)
        for key in (stranger, plain, WORLD.key, WORLD.promise_key):
            notes = [WORLD.cosigned(WORLD.leaves, 5, NOW + 1, key),
                     WORLD.cosigned(WORLD.leaves, 8, NOW, key)]
            out, _ = self.verify(1, "BAD SIGNATURE\n", evidence("witness-equivocation", *notes))
            self.assert_words(out, key.name, key.id.hex(), "no witness of the policy")

    def test_a_log_that_the_policy_does_not_list(self):
        notes = [WORLD.cosigned(WORLD.leaves, size, time, origin="a log elsewhere")
                 for size, time in ((5, NOW + 1), (8, NOW))]
        _, got = self.verify(0, "WITNESS", evidence("witness-equivocation", *notes))
        self.assertEqual(got["origin"], "a log elsewhere")


class Promise(Case):
    def test_it_is_proved(self):
        out, got = self.verify(
            0, f"PROMISE BROKEN  the entry at index 3 of {WORLD.key.name} is not the promised one\n",
            WORLD.broken_promise())
        self.assertEqual((got["verdict"], got["kind"], got["origin"], got["index"]),
                         ("PROMISE BROKEN", "promise-broken", WORLD.key.name, 3))
        self.assertEqual((got["promised"], got["found"]),
                         (tlog.b64(WORLD.forked[3]), tlog.b64(WORLD.leaves[3])))
        self.assertEqual(got["promise_key"],
                         f"{WORLD.promise_key.name}+{WORLD.promise_key.id.hex()}")
        self.assertEqual((got["note"]["size"], got["note"]["root"]),
                         (8, tlog.b64(tlog.root(WORLD.leaves))))
        self.assert_words(out, got["promised"], got["found"], got["promise_key"], "8 entries",
                          got["note"]["root"], got["note"]["key"], "it proves", "but not")

    def test_a_kept_promise_is_none(self):
        kept = WORLD.promise(*enumerate(WORLD.leaves))
        self.verify(1, "NOT PROVED\n", WORLD.broken_promise(promise=kept))
        self.verify(1, "NOT PROVED\n",
                    WORLD.broken_promise(promise=WORLD.promise((2, WORLD.forked[3]))))
        grown = World(8)
        self.verify(1, "NOT PROVED\n",
                    WORLD.broken_promise(note=grown.signed(grown.forked, 8)))

    def test_only_the_promise_key_of_the_log_counts(self):
        item = (3, WORLD.forked[3])
        stranger = tlog.Key(WORLD.promise_key.name, tlog.ED25519, b"\2" * 32)
        for key in (stranger, WORLD.key, WORLD.witness, WORLD.monitor):
            self.verify(1, "BAD SIGNATURE\n",
                        WORLD.broken_promise(promise=WORLD.promise(item, key=key)))
        self.verify(1, "BAD SIGNATURE\n",
                    WORLD.broken_promise(note=WORLD.signed(WORLD.leaves, 8, WORLD.promise_key)))

    def test_a_policy_without_the_promise_key(self):
        policy = self.write("short", WORLD.policy(has_promise_key=False))
        out, _ = self.verify(1, "BAD SIGNATURE\n", WORLD.broken_promise(), policy=policy)
        self.assert_words(out, WORLD.promise_key.name, "does not list the promise key")
        policy = self.write("other", tlog.Log(1, "other.example").policy())
        self.verify(1, "UNKNOWN LOG\n", WORLD.broken_promise(), policy=policy)

    def test_a_promise_key_is_no_log(self):
        """It is a log line of the policy, but what it signs is no history of a log of that name."""
        name = WORLD.promise_key.name
        notes = [tlog.signed(WORLD.text(leaves, 8, name), WORLD.promise_key)
                 for leaves in sorted((WORLD.leaves, WORLD.forked), key=tlog.root)]
        self.verify(1, "UNKNOWN LOG\n", evidence("fork", *notes))


class Tag(Case):
    def test_it_is_proved(self):
        out, got = self.verify(
            0, f"TAG REPEATED  two records of {WORLD.key.name} have one entry tag\n",
            WORLD.repeated_tag())
        leaves = [tlog.leaf_hash(entry) for entry in RECORDS]
        self.assertEqual((got["verdict"], got["kind"], got["origin"], got["entry_tag"]),
                         ("TAG REPEATED", "tag-repeated", WORLD.key.name,
                          tlog.b64(hashlib.sha256(b"tag").digest())))
        self.assertEqual(got["entries"], [{"index": 0, "leaf": tlog.b64(leaves[0])},
                                          {"index": 2, "leaf": tlog.b64(leaves[2])}])
        self.assertEqual((got["note"]["size"], got["note"]["root"]),
                         (3, tlog.b64(tlog.root(leaves))))
        self.assert_words(out, got["entry_tag"], got["entries"][0]["leaf"],
                          got["entries"][1]["leaf"], "3 entries", got["note"]["root"],
                          got["note"]["key"], "it proves", "but not")

    def test_two_tags_or_one_record_are_none(self):
        self.verify(1, "NOT PROVED\n", WORLD.repeated_tag(0, 1))
        self.verify(1, "NOT PROVED\n", WORLD.repeated_tag(2, 2))
        self.verify(1, "NOT PROVED\n", WORLD.repeated_tag(0, 2, [RECORDS[0]] * 3))
        self.verify(1, "NOT PROVED\n", WORLD.repeated_tag(note=WORLD.signed(WORLD.leaves, 8)))
        self.verify(1, "MALFORMED\n", WORLD.repeated_tag(2, 0))
        self.verify(1, "MALFORMED\n", WORLD.repeated_tag(0, 1, [RECORDS[0], b"no record"]))
        self.verify(1, "MALFORMED\n", WORLD.repeated_tag(0, 1, [RECORDS[0], RECORDS[2] + b"x"]))

    def test_only_keys_of_the_log_count(self):
        leaves = [tlog.leaf_hash(entry) for entry in RECORDS]
        stranger = tlog.Key(WORLD.key.name, tlog.ED25519, hashlib.sha256(b"stranger").digest())
        for key in (WORLD.promise_key, WORLD.monitor, stranger):
            note = WORLD.signed(leaves, 3, key)
            self.verify(1, "BAD SIGNATURE\n", WORLD.repeated_tag(note=note))
        other = World(origin="other.example")
        self.verify(1, "UNKNOWN LOG\n", other.repeated_tag())


class Observation(Case):
    def test_what_a_monitor_says(self):
        text = WORLD.observation(note=WORLD.signed(WORLD.leaves, 8))
        vkey = self.write("m.vkey", WORLD.monitor.vkey() + "\n")
        claim = f"{WORLD.monitor.name}+{WORLD.monitor.id.hex()}"
        for key in (vkey, WORLD.monitor.vkey()):
            out, got = self.verify(1, "monitor monitor.example says no-quorum\n", text, "--monitor",
                                   key)
            self.assertEqual((got["verdict"], got["signature"], got["monitor_key"]),
                             ("OBSERVATION", "verified", claim))
            self.assertEqual((got["code"], got["origin"], got["subject"], got["timestamp"]),
                             ("no-quorum", WORLD.key.name, None, NOW))
            self.assert_words(out, claim, WORLD.key.name, "2026-09-21T", got["summary"], "8 entries",
                              "nothing about the log")
            self.assertNotIn("NOT CHECKED", out)

    def test_an_unchecked_signature_is_said_to_be_so(self):
        out, got = self.verify(
            1, "monitor monitor.example says no-quorum  (SIGNATURE NOT CHECKED)\n",
            WORLD.observation())
        self.assertEqual((got["signature"], got["ok"]), ("not checked", False))
        self.assert_words(out, f"{WORLD.monitor.name}+{WORLD.monitor.id.hex()}", "--monitor",
                          "it proves     nothing")

    def test_another_key_is_another_monitor(self):
        stranger = tlog.Key(WORLD.monitor.name, tlog.ED25519, b"\3" * 32)
        self.verify(1, "BAD SIGNATURE\n", WORLD.observation(key=stranger), "--monitor",
                    WORLD.monitor.vkey())
        changed = WORLD.observation().replace("1 of 2", "0 of 2")
        self.verify(1, "BAD SIGNATURE\n", changed, "--monitor", WORLD.monitor.vkey())

    def test_a_monitor_that_has_the_key_of_a_log_proves_no_fork(self):
        out, _ = self.verify(1, "UNKNOWN LOG\n", World(origin=WORLD.monitor.name).fork(),
                             "--monitor", WORLD.monitor.vkey())
        self.assert_words(out, "no log of the policy")

    def test_a_wrong_monitor_option(self):
        path = self.write("e", WORLD.observation())
        arguments = ("verify-evidence", path, "--policy", self.policy, "--monitor")
        self.expect(2, *arguments, WORLD.witness.vkey())
        self.expect(2, *arguments, WORLD.monitor.vkey()[:-4])
        self.expect(2, *arguments, self.write("nonsense", "nonsense"))
        self.expect(3, *arguments, self.path("none.vkey"))


class Files(Case):
    def test_several_files(self):
        fork, broken = self.write("fork", WORLD.fork()), self.write("broken", WORLD.broken_promise())
        said, none = self.write("said", WORLD.observation()), self.path("none")
        out = self.expect(0, "verify-evidence", fork, broken, "--policy", self.policy).stdout
        self.assertTrue(out.startswith("FORK  "))
        self.assert_words(out, "\n\nPROMISE BROKEN  ", fork, broken)
        got = self.expect_json(0, "verify-evidence", fork, broken, "--policy", self.policy)
        self.assertTrue(got["ok"])
        self.assertEqual([(one["file"], one["verdict"]) for one in got["files"]],
                         [(fork, "FORK"), (broken, "PROMISE BROKEN")])
        for code, files in ((1, (fork, said)), (3, (fork, none, broken)), (3, (none, said))):
            got = self.expect_json(code, "verify-evidence", *files, "--policy", self.policy)
            self.assertEqual((got["ok"], len(got["files"])), (False, len(files)))
        self.expect(3, "verify-evidence", none, "--policy", self.policy)
        self.expect(2, "verify-evidence", "--policy", self.policy)

    def test_no_byte_can_be_changed(self):
        for text in (WORLD.equivocation(3), WORLD.broken_promise(), WORLD.repeated_tag()):
            good = text.encode()
            paths = [self.write(f"{at}", good[:at] + bytes([good[at] ^ 4]) + good[at + 1:])
                     for at in range(0, len(good), 3)]
            got = self.expect_json(1, "verify-evidence", *paths, "--policy", self.policy)
            self.assertEqual([one["ok"] for one in got["files"]], [False] * len(paths))

    def test_what_a_file_says_does_not_reach_the_terminal(self):
        """Neither in a verdict nor in the words why there is none."""
        hostile = "\x9b31m\u202ex"
        texts = (
            evidence("witness-equivocation", *(
                WORLD.cosigned(WORLD.leaves, size, time, origin="log\u202ex")
                for size, time in ((5, NOW + 1), (8, NOW)))),
            evidence("fork", *World(origin="x\u202ey").ordered(8, WORLD.signed)),
            WORLD.observation(summary=hostile),
            WORLD.observation(subject="a\u2066b\u202ec"),
            evidence("observation", "x\x1b[31m\n\n\u2014 a AAAAAAA=\n"),
        )
        for text in texts:
            path = self.write("evidence", text)
            for more in ((), ("--json",), ("--monitor", WORLD.monitor.vkey())):
                done = test_cli.run("verify-evidence", path, "--policy", self.policy, *more)
                for bad in ("\x1b", "\x9b", "\u202e", "\u2066"):
                    self.assertNotIn(bad, done.stdout + done.stderr)

    def test_names_of_keys_cannot_look_like_verdicts(self):
        key = copy.copy(WORLD.monitor)
        key.name = "FORK\u00a0"
        self.verify(1, "MALFORMED\n", WORLD.observation(key=key))

    def test_the_examples_of_the_document_are_what_it_says(self):
        with open(DOCUMENT, encoding="utf-8") as file:
            document = file.read()
        verdicts = {"fork": (0, "FORK  "), "witness-equivocation": (0, "WITNESS EQUIVOCATION  "),
                    "promise-broken": (0, "PROMISE BROKEN  "),
                    "tag-repeated": (0, "TAG REPEATED  "),
                    "observation": (1, "monitor monitor.example says ")}
        for name, text in examples().items():
            self.assertIn(f"```\n{text}```\n", document, name)
            if name in verdicts:
                code, words = verdicts[name]
                self.verify(code, words, text)


if __name__ == "__main__":
    unittest.main()
