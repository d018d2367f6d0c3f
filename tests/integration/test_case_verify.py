#!/usr/bin/python3
"""courtroll case verify: every case of a made-up province, on a real log, with the faults that were planted.

The log's schema is opaque, so that it takes what a gate would refuse.
"""
import collections
import glob
import json
import os
import shutil
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from logd import Logd, courtroll  # noqa: E402

ORIGIN = "log.court.example/2026"
CASES = 36

# What the command says of a case with that fault; the others are for the monitor to tell.
EXPECTED = {
    "case-gap": "INCOMPLETE",
    "case-count": "INCOMPLETE",
    "case-order": "FAULTY",
    "tag-repeated": "FAULTY",
    "case-after-closed": "COMPLETE SO FAR",
}


def entries_of(path):
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from(">H", data, at)
        yield data[at + 2 : at + 2 + length]
        at += 2 + length


def framed(entries):
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


class CaseVerify(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.synth = os.path.join(cls.dir, "synth")
        done = courtroll("synth", "--cases", CASES, "--seed", 3, "--out", cls.synth, "--records",
                         "--origin", ORIGIN, "--fault-rate", 99, "--json", code=0)
        cls.summary = json.loads(done.stdout)
        cls.entries = list(entries_of(os.path.join(cls.synth, "entries")))
        with open(os.path.join(cls.synth, "truth.jsonl"), encoding="utf-8") as file:
            cls.truth = [json.loads(line) for line in file]
        cls.log = Logd(origin=ORIGIN, schema="opaque")
        cls.addClassCleanup(cls.log.close)
        courtroll("append", "--log", cls.log.grpc, "--framed", os.path.join(cls.synth, "entries"),
                  code=0)
        cls.log.wait_published(len(cls.entries))
        cls.results = None

    def all_results(self):
        """What is said of each case, by its key's path; asked once."""
        if self.results is None:
            type(self).results = {key: self.verify(key) for key in self.keys()}
        return self.results

    def keys(self):
        return sorted(glob.glob(os.path.join(self.synth, "case-keys", "*.casekey")))

    def verify(self, key, log=None, code=None, policy=None, arguments=()):
        done = courtroll("case", "verify", "--case-key", key, "--policy", policy or self.log.policy,
                         "--log", log or "file:" + self.log.public, "--json", *arguments)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        result = json.loads(done.stdout)
        if "ok" in result:
            self.assertEqual(result["ok"], done.returncode == 0, result)
        return result

    def key_of(self, code):
        return next(os.path.join(self.synth, "case-keys", line["case_key"])
                    for line in self.truth if line["code"] == code)

    def clean_key(self):
        bad = {line.get("case_key") for line in self.truth}
        for key, result in self.all_results().items():
            if os.path.basename(key) not in bad and result["verdict"] == "COMPLETE AND CLOSED":
                return key, result
        raise AssertionError("no clean case")

    def test_every_case_and_every_planted_fault(self):
        faults = {line["case_key"]: line["code"] for line in self.truth if line["needs_key"]}
        keyless = collections.Counter(line["code"] for line in self.truth if not line["needs_key"])
        for code in EXPECTED:
            self.assertTrue(any(line["code"] == code for line in self.truth), f"no {code} planted")
        self.assertEqual(len(self.keys()), CASES)
        total = 0
        unexplained = collections.Counter()
        for key, result in self.all_results().items():
            total += result["operations"]
            fault = faults.get(os.path.basename(key))
            if fault is not None:
                self.assertEqual(result["verdict"], EXPECTED.get(fault, "COMPLETE AND CLOSED"),
                                 (fault, result))
            elif result["verdict"] != "COMPLETE AND CLOSED":
                unexplained[result["verdict"]] += 1
        self.assertEqual(unexplained, {"FAULTY": keyless["tag-repeated"]})
        # Every entry is of a case, or registers somebody, or is of a key or form that no case key finds.
        registrations = self.summary["registrations"]
        others = keyless["unregistered-key"] + keyless["bad-record"]
        self.assertEqual(total + registrations + others, len(self.entries))

    def test_a_missing_number_is_named(self):
        result = self.verify(self.key_of("case-gap"), code=1)
        missing = [problem for problem in result["problems"] if problem["missing"]]
        self.assertEqual(len(missing), 1)
        self.assertEqual(missing[0]["count"], 1)
        self.assertRegex(missing[0]["text"], r"^number \d+ of submitter ce\d*\.court\.example is missing$")
        text = courtroll("case", "verify", "--case-key", self.key_of("case-gap"), "--policy",
                         self.log.policy, "--log", self.log.url(), code=1).stdout
        self.assertTrue(text.startswith("INCOMPLETE\n"), text)
        self.assertIn(f"number {missing[0]['number']} of submitter", text)
        self.assertIn("never given a number cannot be seen", text)

    def test_closed_counts_what_is_not_there(self):
        result = self.verify(self.key_of("case-count"), code=1)
        self.assertIn("CLOSED counts it", result["problems"][0]["text"])

    def test_all_ways_to_read_a_log_agree(self):
        key, result = self.clean_key()
        for log in (self.log.url(), self.log.grpc):
            self.assertEqual(self.verify(key, log, code=0), result)
        self.assertRegex(result["summary"], r"^complete and closed with \d+ operations$")

    def test_one_submitter(self):
        key, whole = self.clean_key()
        court = next(s for s in whole["submitters"] if s["name"].startswith("ce"))
        part = self.verify(key, code=0, arguments=["--submitter", court["submitter"]])
        self.assertEqual(part["submitters"], [court])
        self.assertEqual(part["verdict"], "COMPLETE AND CLOSED")
        self.verify(key, code=1, arguments=["--submitter", "00" * 16])

    def test_another_key_finds_nothing(self):
        key = os.path.join(self.dir, "other.casekey")
        courtroll("case", "new-key", "--case", "（2024）测0101执1号", "--out", key, code=0)
        result = self.verify(key, code=1)
        self.assertEqual((result["verdict"], result["operations"]), ("NOT FOUND", 0))

    def test_without_closed_it_is_complete_so_far(self):
        half = os.path.join(self.dir, "half")
        with open(half, "wb") as file:
            file.write(framed(self.entries[: len(self.entries) // 2]))
        with Logd(origin=ORIGIN, schema="opaque") as log:
            courtroll("append", "--log", log.grpc, "--framed", half, code=0)
            log.wait_published(len(self.entries) // 2)
            verdicts = collections.Counter()
            for key in self.keys()[:24]:
                result = self.verify(key, "file:" + log.public, policy=log.policy)
                verdicts[result["verdict"]] += 1
                if result["verdict"] == "COMPLETE SO FAR" and not result["closed"]:
                    self.assertIn("nothing says that it is all", result["summary"])
        self.assertGreater(verdicts["COMPLETE SO FAR"], 2)
        self.assertGreater(verdicts["COMPLETE AND CLOSED"], 0)

    def test_entries_that_are_not_the_signed_ones_are_no_answer(self):
        key, _ = self.clean_key()
        copy = os.path.join(self.dir, "copy")
        shutil.copytree(self.log.public, copy)
        bundle = os.path.join(copy, "tile", "entries", "000")
        with open(bundle, "rb") as file:
            data = bytearray(file.read())
        data[-1] ^= 1
        with open(bundle, "wb") as file:
            file.write(data)
        done = courtroll("case", "verify", "--case-key", key, "--policy", self.log.policy, "--log",
                         "file:" + copy, code=1)
        self.assertEqual(done.stdout, "")
        self.assertIn("not those of the signed root", done.stderr)

    def test_framed_input_that_is_cut_off_is_refused(self):
        cut = os.path.join(self.dir, "cut")
        with open(cut, "wb") as file:
            file.write(framed([b"whole", b"cut off"])[:-1])
        with Logd() as log:
            done = courtroll("append", "--log", log.grpc, "--framed", cut)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("entry 2: the file ends inside it", done.stderr)

    def test_wrong_usage(self):
        key = self.keys()[0]
        courtroll("case", "verify", "--case-key", key, "--policy", self.log.policy, "--log",
                  self.log.grpc, "--submitter", "xyz", code=2)
        courtroll("case", "verify", "--policy", self.log.policy, "--log", self.log.grpc, code=2)
        courtroll("synth", "--seed", 1, "--out", os.path.join(self.dir, "x"), code=2)
        courtroll("synth", "--cases", 1, "--seed", 1, "--records", "--out",
                  os.path.join(self.dir, "x"), code=2)
        # Never over an earlier one.
        courtroll("synth", "--cases", 1, "--seed", 1, "--out", self.synth, code=2)


if __name__ == "__main__":
    unittest.main()
