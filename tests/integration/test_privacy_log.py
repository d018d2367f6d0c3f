#!/usr/bin/python3
"""What the whole log of a made-up province tells somebody without any case key: which entries are of one case?

Whoever has the keys knows, and so does this test: it measures how well anything that is public tells pairs of
entries of one case from pairs of two. Of sealed records nothing may; of others exactly what docs/record.md says
under "What is visible, and to whom". COURTROLL_BIN names the directory of the built programs.
"""
import base64
import hashlib
import hmac
import itertools
import os
import random
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support", "python"))
import record_check  # noqa: E402
from logd import IS_LONG, courtroll  # noqa: E402

ORIGIN = "log.example/operations"
CASES = 1000 if IS_LONG else 150
PAIRS = 20000 # of two cases; of one there are as many as there are
# A coin is 0.5; these are pairs enough for 0.01 or so of noise, and the seed is always the same.
COIN = 0.05


class Entry:
    def __init__(self, index, data):
        self.index, self.data = index, data
        self.message = record_check.decode(data, record_check.OPERATION)
        self.leaf = record_check.leaf_hash(data)
        self.kind = self.message["kind"]
        self.tag = self.message.get("entry_tag")
        self.references = [one[32:] for one in self.message.get("references", [])]
        self.case = None # nobody knows without the key

    @property
    def is_sealed(self):
        return self.kind == record_check.SEALED


def framed(path):
    with open(path, "rb") as file:
        while head := file.read(2):
            yield file.read(int.from_bytes(head, "big"))


def case_keys(directory):
    for name in sorted(os.listdir(directory)):
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            _, number, key = file.read().splitlines()
        yield number, base64.b64decode(key)


def tag_of(key, submitter, number):
    return hmac.digest(key, b"courtroll/entry-tag/v1" + submitter + number.to_bytes(8, "big"), "sha256")


def bits_alike(a, b):
    return sum(8 - (x ^ y).bit_count() for x, y in zip(a, b))


def ties(ranked, at):
    end = at
    while end < len(ranked) and ranked[end][0] == ranked[at][0]:
        end += 1
    return ranked[at:end]


def advantage(same, other):
    """How often a pair of one case scores above a pair of two, ties as a half: 0.5 is a coin."""
    ranked = sorted([(score, True) for score in same] + [(score, False) for score in other],
                    key=lambda one: one[0])
    below, wins, at = 0, 0.0, 0
    while at < len(ranked):
        tied = ties(ranked, at)
        others = sum(not is_same for _, is_same in tied)
        wins += (len(tied) - others) * (below + others / 2)
        below += others
        at += len(tied)
    return wins / (len(same) * len(other))


class LogTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll-privacy-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        out = os.path.join(cls.dir, "province")
        courtroll("synth", "--cases", CASES, "--seed", 7, "--out", out, "--records", "--origin", ORIGIN,
                  "--case-days", 10, "--days", 5, "--fault-rate", 0, code=0)
        cls.entries = [Entry(i, data) for i, data in enumerate(framed(os.path.join(out, "entries")))]
        cls.keys = list(case_keys(os.path.join(out, "case-keys")))
        cls.tell_cases()
        cls.of_cases = [entry for entry in cls.entries if entry.tag]
        cls.sealed = [entry for entry in cls.of_cases if entry.is_sealed]
        cls.clear = [entry for entry in cls.of_cases if not entry.is_sealed]
        cls.random = random.Random(7)

    @classmethod
    def tell_cases(cls):
        """With the keys, and the submitters, who are on the log."""
        by_tag = {entry.tag: entry for entry in cls.entries if entry.tag}
        submitters = [entry.message["submitter"] for entry in cls.entries
                      if entry.kind == record_check.SUBMITTER]
        for case, (_, key) in enumerate(cls.keys):
            for submitter in submitters:
                number = 0
                while entry := by_tag.get(tag_of(key, submitter, number)):
                    entry.case = case
                    number += 1

    def pairs(self, entries):
        """Of one case, and of two."""
        by_case = {}
        for entry in entries:
            by_case.setdefault(entry.case, []).append(entry)
        same = [pair for one in by_case.values() for pair in itertools.combinations(one, 2)]
        self.random.shuffle(same)
        other = []
        while len(other) < PAIRS:
            a, b = self.random.sample(entries, 2)
            if a.case != b.case:
                other.append((a, b))
        return same[:PAIRS], other

    def advantage(self, statistic, pairs):
        return advantage(*([statistic(a, b) for a, b in half] for half in pairs))

    def assert_coin(self, statistic, pairs, what):
        self.assertAlmostEqual(self.advantage(statistic, pairs), 0.5, delta=COIN, msg=what)

    @staticmethod
    def parts(is_sealed):
        """What an entry has that could be alike: name and how to get it."""
        parts = {
            "tag": lambda e: e.tag,
            "document": lambda e: e.message["document"],
            "fields' root": lambda e: e.message["fields_root"],
            "nonce of the signature": lambda e: e.message["signature"][:32],
            "rest of the signature": lambda e: e.message["signature"][32:],
            "leaf hash": lambda e: e.leaf,
        }
        if is_sealed:
            parts["one-time key"] = lambda e: e.message["one_time_key"]
        return parts

    def statistics(self, is_sealed):
        for name, get in self.parts(is_sealed).items():
            yield "bits of the " + name, lambda a, b, get=get: bits_alike(get(a), get(b))
            yield "prefix of the " + name, lambda a, b, get=get: len(os.path.commonprefix([get(a), get(b)]))
            yield "sum of the " + name, lambda a, b, get=get: -abs(sum(get(a)) - sum(get(b)))
        yield "digest of both", lambda a, b: hashlib.sha256(a.data + b.data).digest()

    def test_the_test_knows_every_case(self):
        self.assertTrue(all(entry.case is not None for entry in self.of_cases))
        self.assertGreater(len(self.sealed), 2 * CASES)
        same, _ = self.pairs(self.sealed)
        self.assertGreater(len(same), 2 * CASES)

    def test_sealed_records_of_one_case_are_as_unlike_as_those_of_two(self):
        pairs = self.pairs(self.sealed)
        for name, statistic in self.statistics(True):
            self.assert_coin(statistic, pairs, name)

    def test_a_sealed_record_is_no_more_like_the_clear_ones_of_its_case(self):
        by_case = {}
        for entry in self.clear:
            by_case.setdefault(entry.case, []).append(entry)
        same = [(entry, one) for entry in self.sealed for one in self.random.sample(by_case[entry.case], 3)]
        other = []
        while len(other) < PAIRS:
            entry, one = self.random.choice(self.sealed), self.random.choice(self.clear)
            if entry.case != one.case:
                other.append((entry, one))
        for name, statistic in self.statistics(False):
            self.assert_coin(statistic, (same, other), name)

    def test_sealed_records_show_nothing_else(self):
        shown = {"version", "kind", "entry_tag", "document", "fields_root", "one_time_key", "signature"}
        for entry in self.sealed:
            self.assertEqual({name for name, value in entry.message.items() if value}, shown)
            self.assertEqual(len(entry.data), len(self.sealed[0].data))
        for name, get in self.parts(True).items(): # and no part of one is that of another
            self.assertEqual(len({get(entry) for entry in self.sealed}), len(self.sealed), name)
        nonces = {entry.message["signature"][:32] for entry in self.of_cases}
        self.assertEqual(len(nonces), len(self.of_cases))

    def test_nobody_refers_to_a_sealed_record_before_it_is_opened(self):
        sealed = {entry.leaf for entry in self.sealed}
        opened, unseals = set(), 0
        for entry in self.entries:
            if entry.kind == record_check.UNSEAL:
                self.assertIn(entry.references[0], sealed)
                opened.add(entry.references[0])
                unseals += 1
            for one in entry.references:
                self.assertTrue(one not in sealed or one in opened, entry.index)
        self.assertGreater(unseals, CASES)

    def test_the_clear_header_links_as_the_documentation_says(self):
        """Tags and commitments do not tell clear entries of a case; submitter, court and time do a little, and
        references do for certain."""
        pairs = self.pairs(self.clear)
        for name, statistic in self.statistics(False):
            self.assert_coin(statistic, pairs, name)
        for name in ("submitter", "court"):
            self.assertGreater(self.advantage(lambda a, b: a.message[name] == b.message[name], pairs), 0.6, name)
        by_leaf = {entry.leaf: entry for entry in self.of_cases}
        linked = [(entry, by_leaf[one]) for entry in self.clear for one in entry.references if one in by_leaf]
        self.assertGreater(len(linked), 10 * CASES)
        self.assertTrue(all(a.case == b.case for a, b in linked))

    # What shows that each of these would be seen.

    def test_with_the_key_they_are_linked(self):
        _, key = self.keys[0]
        submitters = [entry.message["submitter"] for entry in self.entries
                      if entry.kind == record_check.SUBMITTER]
        tags = {tag_of(key, one, number) for one in submitters for number in range(300)}
        self.assertEqual({entry.index for entry in self.of_cases if entry.tag in tags},
                         {entry.index for entry in self.of_cases if entry.case == 0})

    def test_a_tag_that_leaked_a_byte_would_be_seen(self):
        """A tag whose last byte were of the case, say."""
        pairs = self.pairs(self.sealed)

        def leaking(a, b):
            return bits_alike(a.tag[:-1] + bytes([a.case % 256]), b.tag[:-1] + bytes([b.case % 256]))

        self.assertGreater(self.advantage(leaking, pairs), 0.5 + COIN)

    def test_without_the_spool_they_would_be_linked_by_their_place(self):
        """synth writes them as they are performed, with no random delay and few other cases: neighbours are of one
        case. That is why sealed records leave in their own time, and why there are decoys."""
        pairs = self.pairs(self.sealed)
        self.assertGreater(self.advantage(lambda a, b: -abs(a.index - b.index), pairs), 0.6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
