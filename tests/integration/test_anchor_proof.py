#!/usr/bin/python3
"""After when an entry was sequenced: prove --anchor-out and verify --anchor, on logs made of files and on one that
runs.

COURTROLL_BIN names the directory of the built programs.
"""
import json
import os
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from logd import courtroll, wait_until  # noqa: E402

try:
    import grpc
    from fake_witness import FakeWitness, policy_text
    from operations import OperationCase
except ImportError:
    grpc, OperationCase = None, unittest.TestCase

ANCHOR, DOC = 5, 130
MINUTE = 29833333


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def anchor(note):
    note = note if isinstance(note, bytes) else note.encode()
    return field(1, 1) + field(2, ANCHOR) + field(3, MINUTE) + field(11, 1) + field(13, note)


class Grown(tlog.Log):
    """One that has its own notes among its entries: `notes` maps the index of each to the times of its witnesses, or
    to (size of its tree, times), or to its bytes."""

    def __init__(self, size, notes):
        super().__init__(size)
        for index, what in sorted(notes.items()):
            if not isinstance(what, bytes):
                at, times = what if isinstance(what[0], int) and len(what) == 2 else (index, what)
                what = anchor(self.at(at).note(times))
            self.entries[index] = what
            self.leaves[index] = tlog.leaf_hash(what)

    def at(self, size):
        """As it was."""
        older = object.__new__(tlog.Log)
        older.key, older.witnesses = self.key, self.witnesses
        older.entries, older.leaves = self.entries[:size], self.leaves[:size]
        return older


class Files(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def publish(self, log):
        shutil.rmtree(self.path("log"), ignore_errors=True)
        log.write(self.path("log"))
        self.write("policy", log.policy())
        self.log = log

    def prove(self, index, *arguments, code=0):
        for name in ("p", "a"):
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))
        done = courtroll("prove", "--log", "file:" + self.path("log"), "--policy", self.path("policy"), "--index",
                         index, "--out", self.path("p"), "--anchor-out", self.path("a"), "--json", *arguments,
                         code=code)  # fmt: skip
        return json.loads(done.stdout), done.stderr

    def verify(self, index, *arguments, code=0):
        entry = self.write("entry", self.log.entries[index])
        done = courtroll("verify", "--policy", self.path("policy"), "--proof", self.path("p"), "--anchor",
                         self.path("a"), *arguments, entry, code=code)  # fmt: skip
        return done.stdout

    def bound(self, index):
        """(index of the anchor, its time), as both commands say; None."""
        proved, said = self.prove(index)
        if proved["sequenced_after"] is None:
            self.assertFalse(os.path.exists(self.path("a")))
            self.assertIn("no anchor is written", said)
            return None
        verified = json.loads(self.verify(index, "--json"))
        for key in ("sequenced_after", "sequenced_after_utc", "anchor_index"):
            self.assertEqual(proved[key], verified[key])
        self.assertIn(f"sequenced after {verified['sequenced_after_utc']}", self.verify(index))
        return verified["anchor_index"], verified["sequenced_after"]

    def test_the_last_one_before_the_entry(self):
        self.publish(Grown(800, {3: (100, 200, 300), 250: (400, None, 500), 700: (600, 700, 600)}))
        self.assertIsNone(self.bound(0))
        self.assertIsNone(self.bound(3))  # itself does not bound it
        self.assertEqual(self.bound(4), (3, 200))  # of two in three: the later two
        self.assertEqual(self.bound(250), (3, 200))
        for index in (251, 255, 256, 600, 700):
            self.assertEqual(self.bound(index), (250, 400))
        for index in (701, 799):
            self.assertEqual(self.bound(index), (700, 600))

    def test_what_bounds_nothing_is_passed_over(self):
        other = tlog.Log(20, "log.example/another")
        stranger = Grown(300, {})
        stranger.key = tlog.Key(stranger.key.name, tlog.ED25519, bytes(32))  # which nobody knows
        forged = stranger.at(30).note((9, 9, 9))
        self.publish(Grown(300, {
            3: (100, 200, 300), 20: (999, None, None), 30: anchor(other.note()), 40: b"ANCHOR", 50: anchor(forged),
        }))  # fmt: skip
        self.assertEqual(self.bound(100), (3, 200))

    def test_a_note_of_a_later_tree(self):
        """It cannot be: the note would hold itself. Here it is of another tree of the log's, which the log signed."""
        self.publish(Grown(300, {3: (100, 200, 300), 60: anchor(b"")}))
        log = self.log
        liar = tlog.Log(90)
        liar.key, liar.witnesses = log.key, log.witnesses
        log.entries[60] = anchor(liar.note((9000, 9000, 9000)))
        log.leaves[60] = tlog.leaf_hash(log.entries[60])
        self.publish(log)
        self.assertEqual(self.bound(100), (3, 200))

    def test_a_note_of_another_history(self):
        """The log contradicts itself: that is said, and nothing is written."""
        other = Grown(300, {})
        self.publish(Grown(300, {3: (100, 200, 300), 60: anchor(other.at(50).note((9, 9, 9)))}))
        said, _ = self.prove(100, code=1)
        self.assertIn("two histories", json.dumps(said))
        self.assertFalse(os.path.exists(self.path("a")))
        self.assertFalse(os.path.exists(self.path("p")))
        self.assertEqual(self.bound(40), (3, 200))

    def test_every_fault_of_the_file(self):
        self.publish(Grown(300, {3: (100, 200, 300), 200: (400, 500, 600)}))
        self.prove(250)
        with open(self.path("a"), encoding="utf-8") as file:
            good = file.read()
        extra, index, *rest = good.split("\n", 1)[1].split("\n")
        self.assertEqual(index, "index 200")
        head = "c2sp.org/tlog-proof@v1\n"

        def fails(text, word, because, at=250):
            self.write("a", text)
            said = self.verify(at, code=1)
            self.assertTrue(said.startswith(word + "\n"), (said, text))
            self.assertIn(because, said)

        fails("", "MALFORMED", "the anchor")
        fails(head + "\n".join([index, *rest]), "MALFORMED", "it has no entry")
        for bit in range(0, len(rest[0]), 7):  # of the proof
            wrong = rest[0][:bit] + ("A" if rest[0][bit] != "A" else "B") + rest[0][bit + 1 :]
            self.write("a", head + "\n".join([extra, index, wrong, *rest[1:]]))
            self.assertFalse(self.verify(250, code=1).startswith("PASS"))
        document = tlog.b64(self.log.entries[199])
        fails(self.file_of(self.log, 199), "NO QUORUM", "no ANCHOR")
        fails(head + "\n".join(["extra " + document, index, *rest]), "MISMATCH", "the anchor")
        fails(self.file_of(self.log, 200, self.log.at(299)), "MISMATCH", "another checkpoint")
        self.prove(150)
        fails(good, "MISMATCH", "not before the entry", at=150)
        self.prove(200)
        fails(good, "MISMATCH", "not before the entry", at=200)
        self.prove(250)
        self.publish(Grown(300, {3: (100, None, None)}))
        self.prove(250)
        fails(self.file_of(self.log, 3), "NO QUORUM", "too few")

    @staticmethod
    def file_of(log, index, at=None):
        at = at or log
        lines = at.proof(index).split("\n")
        return "\n".join([lines[0], "extra " + tlog.b64(log.entries[index]), *lines[1:]])

    def test_it_needs_files(self):
        self.publish(Grown(10, {}))
        done = courtroll("prove", "--log", "127.0.0.1:1", "--policy", self.path("policy"), "--index", 1, "--out",
                         self.path("p"), "--anchor-out", self.path("a"), code=2)  # fmt: skip
        self.assertIn("--anchor-out needs the log's http(s):// URL", done.stderr)


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class Running(OperationCase):
    def test_a_log_dates_its_entries_from_both_sides(self):
        witnesses = [FakeWitness(name) for name in ("w1", "w2", "w3")]
        for witness in witnesses:
            self.addCleanup(witness.stop)
        began = int(time.time())
        log = self.open(anchor_seconds=1, checkpoint_interval_ms=50, policy_text=policy_text(witnesses, 2, True))
        log.register(self.court)
        wait_until(lambda: log.size() == 2, "an anchor behind the registration")
        entry = self.court.record(0)
        path = os.path.join(log.dir, "entry")
        with open(path, "wb") as file:
            file.write(entry)
        self.assertEqual(log.rpc(self.court).append(entry)[0].index, 2)
        proof, found = os.path.join(log.dir, "p"), os.path.join(log.dir, "a")

        def size():
            return int(log.get("/checkpoint").body.decode().split("\n")[1])

        wait_until(lambda: size() >= 3, "the entry is published")
        for earliest in ([], ["--earliest"]):
            courtroll("prove", "--log", f"http://{log.http}", "--policy", log.policy, "--index", 2, "--out", proof,
                      "--anchor-out", found, *earliest, code=0)  # fmt: skip
            verdict = json.loads(
                courtroll("verify", "--policy", log.policy, "--proof", proof, "--anchor", found, "--json", path,
                          code=0).stdout
            )  # fmt: skip
            self.assertEqual(verdict["anchor_index"], 1)
            self.assertTrue(began <= verdict["sequenced_after"] <= verdict["no_later_than"] <= time.time() + 1, verdict)


if __name__ == "__main__":
    unittest.main(verbosity=2)
