#!/usr/bin/python3
"""A made-up province in front of a real gate: all of its records are let in, sealed ones with their certificates, and
what is planted against form is refused in the words that say why.

COURTROLL_BIN names the directory of the built programs.
"""
import collections
import json
import os
import shutil
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from certificates import Authority  # noqa: E402
from logd import Logd, courtroll  # noqa: E402

ORIGIN = "log.court.example/2026"
CERTIFICATE_BYTES = 80

# What the gate says of what is planted against form. The rest is for monitors.
REFUSALS = {
    "bad-record": "not an operation record",
    "unregistered-key": "is not registered on this log",
    "tag-repeated": "its entry tag is on the log already",
}


def unframe(path):
    with open(path, "rb") as file:
        data = file.read()
    parts, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">H", data, at)
        parts.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return parts


class Province:
    """What `courtroll synth` writes, and who is in it."""

    def __init__(self, directory, *arguments):
        self.dir = directory
        done = courtroll("synth", "--seed", 5, "--out", directory, "--json", *arguments, code=0)
        self.counts = json.loads(done.stdout)
        self.submitters = self.lines("world.jsonl")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def lines(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return [json.loads(line) for line in file]


class SynthGate(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.authority = Authority(self.dir)

    def records(self, *arguments):
        province = Province(os.path.join(self.dir, "province"), "--records", "--origin", ORIGIN, *arguments)
        province.entries = unframe(province.path("entries"))
        province.certificates = unframe(province.path("certificates"))
        self.assertEqual(len(province.entries), len(province.certificates))
        self.assertEqual(len(province.entries), province.counts["operations"] + province.counts["registrations"])
        return province

    def open(self, province, **settings):
        cert, key = self.authority.issue("server")
        self.unix = "unix:" + os.path.join(self.dir, "socket")
        log = Logd(origin=ORIGIN, schema="operation", submitters=province.path("submitters"), anchor_seconds=0,
                   tls_cert=cert, tls_key=key, tls_client_ca=self.authority.ca,
                   grpc_listen=["127.0.0.1:0", self.unix], **settings)  # fmt: skip
        self.addCleanup(log.close)
        log.grpc = log.grpc.split(",")[0]
        return log

    def tls(self, name):
        cert, key = self.authority.issue(name, "DNS:" + name)
        return ["--tls-ca", self.authority.ca, "--tls-cert", cert, "--tls-key", key]

    def size(self):
        return json.loads(courtroll("status", "--log", self.unix, "--json", code=0).stdout)["durable_size"]

    def write(self, name, parts):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as file:
            file.write(b"".join(struct.pack(">H", len(part)) + part for part in parts))
        return path

    def append(self, entries, certificates, *arguments, code=0, log=None):
        return courtroll("append", "--log", log or self.unix, "--framed", "--certificates",
                         self.write("some.certificates", certificates), *arguments,
                         self.write("some.entries", entries), code=code)  # fmt: skip

    def test_all_of_a_province_is_let_in(self):
        province = self.records("--cases", 12, "--fault-rate", 0)
        self.assertGreater(province.counts["sealed"], 10)
        self.assertGreater(province.counts["unsealed"], 0)
        self.open(province)
        # Nobody is let in before the log has the registrations, not even by the same call.
        done = courtroll("append", "--log", self.unix, "--framed", "--certificates",
                         province.path("certificates"), province.path("entries"), code=4)  # fmt: skip
        self.assertIn("not registered on this log", done.stderr)
        self.assertEqual(self.size(), 0)
        courtroll("append", "--log", self.unix, "--framed", province.path("registrations"), code=0)
        self.assertEqual(self.size(), province.counts["registrations"])
        # A sealed record is taken at nobody's word.
        first = next(i for i, one in enumerate(province.certificates) if one)
        behind = ["--first-entry", province.counts["registrations"] + 1, province.path("entries")]
        done = courtroll("append", "--log", self.unix, "--framed", *behind, code=4)
        self.assertIn("certificate", done.stderr)
        self.assertIn(f"the call from entry {behind[1]} of all on: ", done.stderr)
        self.assertLess(self.size(), len(province.entries))
        # Nor is another one's certificate good.
        other = next(one for one in province.certificates[first + 1 :] if one)
        self.append([province.entries[first]], [other], code=4)
        done = courtroll("append", "--log", self.unix, "--framed", "--certificates",
                         province.path("certificates"), *behind, code=0)  # fmt: skip
        self.assertEqual(len(done.stdout.splitlines()), province.counts["operations"])
        self.assertEqual(self.size(), len(province.entries))

    def test_what_is_planted_against_form_is_refused_and_nothing_else(self):
        province = self.records("--cases", 30, "--fault-rate", 99)
        self.open(province)
        planted = {line["index"]: line["code"] for line in province.lines("truth.jsonl") if line["code"] in REFUSALS}
        self.assertEqual(set(planted.values()), set(REFUSALS))
        courtroll("append", "--log", self.unix, "--framed", province.path("registrations"), code=0)
        clean = [i for i in range(province.counts["registrations"], len(province.entries)) if i not in planted]
        self.append([province.entries[i] for i in clean], [province.certificates[i] for i in clean])
        said = collections.defaultdict(set)
        for index, code in planted.items():
            done = self.append([province.entries[index]], [province.certificates[index]], code=4)
            said[code].add(done.stderr)
            self.assertIn(REFUSALS[code], done.stderr, code)
        self.assertEqual(self.size(), province.counts["registrations"] + len(clean))

    def test_a_court_by_its_own_certificate_and_by_no_other(self):
        province = self.records("--cases", 12, "--fault-rate", 0)
        log = self.open(province)
        sealers = collections.Counter(one[:16] for one in province.certificates if one)
        mine = sealers.most_common(1)[0][0]
        court = next(one for one in province.submitters if one["submitter"] == mine.hex())
        other = next(one for one in province.submitters if one["submitter"] != mine.hex())
        parts = [(entry, certificate) for entry, certificate in zip(province.entries, province.certificates)
                 if certificate[:16] == mine or (not certificate and b"\x4a\x10" + mine in entry)]  # fmt: skip
        self.assertGreater(len(parts), 20)
        entries, certificates = zip(*parts)
        self.append(entries[:1], certificates[:1])
        entries, certificates = entries[1:], certificates[1:]
        self.append(entries, certificates, *self.tls(other["name"]), log=log.grpc, code=4)
        self.assertEqual(self.size(), 1)
        self.append(entries, certificates, *self.tls(court["name"]), log=log.grpc)
        self.assertEqual(self.size(), len(parts))

    def test_certificates_of_files_stand_beside_them(self):
        province = self.records("--cases", 12, "--fault-rate", 0)
        self.open(province)
        registered = province.counts["registrations"]
        self.append(province.entries[:registered], province.certificates[:registered])
        beside = os.path.join(self.dir, "beside")
        os.mkdir(beside)
        index = next(i for i, one in enumerate(province.certificates) if one)
        paths = []
        for name, i in (("clear", registered), ("sealed", index)):
            paths.append(os.path.join(self.dir, name))
            with open(paths[-1], "wb") as file:
                file.write(province.entries[i])
        with open(os.path.join(beside, "sealed.certificate"), "wb") as file:
            file.write(province.certificates[index])
        courtroll("append", "--log", self.unix, *paths, code=4)
        courtroll("append", "--log", self.unix, "--certificates", beside, *paths, code=0)
        self.assertEqual(self.size(), registered + 2)

    def test_drafts_by_the_channel_alone(self):
        province = Province(os.path.join(self.dir, "drafts"), "--cases", 12, "--fault-rate", 0, "--sealed", 0)
        log = self.open(province, submitter_signature="channel")
        files = os.listdir(province.path("operations"))
        most = max(files, key=lambda name: os.path.getsize(province.path("operations", name)))
        court = next(one for one in province.submitters if one["file"] + ".jsonl" == most)
        key = province.path("keys", court["file"] + ".key")
        tls = self.tls(court["name"])
        courtroll("submitter", "register", "--log", self.unix, "--key", key, "--roles", court["role"], "--from",
                  "2020-01-01T00:00Z", code=0)  # fmt: skip
        payload_key = os.path.join(self.dir, "payload.key")
        courtroll("record", "new-key", "--out", payload_key, code=0)
        done = courtroll("submit", "--spool", os.path.join(self.dir, "spool"), "--log", log.grpc, "--policy",
                         log.policy, "--key", key, "--case-keys", province.path("case-keys"), "--payload-key",
                         payload_key, "--payloads", os.path.join(self.dir, "payloads"), "--channel", "--wait",
                         *tls, province.path("operations", most), code=0)  # fmt: skip
        receipts = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(receipts), len(province.lines("operations/" + most)))
        self.assertFalse([one for one in receipts if "refused" in one])
        self.assertEqual(self.size(), 1 + len(receipts))


class Certificates(unittest.TestCase):
    """Files of them that are not right are said to be so before anything is sent."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.entries = os.path.join(self.dir, "entries")
        with open(self.entries, "wb") as file:
            file.write(b"\0\1a\0\1b")

    def fails(self, data, words):
        path = os.path.join(self.dir, "certificates")
        with open(path, "wb") as file:
            file.write(data)
        with Logd() as log:
            done = courtroll("append", "--log", log.grpc, "--framed", "--certificates", path, self.entries, code=4)
            self.assertIn(words, done.stderr)
            status = courtroll("status", "--log", log.grpc, "--json", code=0).stdout
            self.assertEqual(json.loads(status)["durable_size"], 0)

    def test_one_for_each_entry(self):
        self.fails(b"\0\0", "it ends before certificate 2, one for each entry")

    def test_of_their_size_only(self):
        self.fails(b"\0\0\0\1x", "certificate 2 has 1 bytes: it has 80, or none")
        self.fails(b"\0\0\0\x50" + bytes(CERTIFICATE_BYTES - 1), "certificate 2: the file ends inside it")

    def test_usage(self):
        for arguments in (["--lines", "--log", "localhost:1"], ["--log", "http://localhost:1"]):
            courtroll("append", *arguments, "--certificates", self.dir, self.entries, code=2)
        missing = os.path.join(self.dir, "missing")
        with Logd() as log:
            done = courtroll("append", "--log", log.grpc, "--framed", "--certificates", missing, self.entries, code=3)
            self.assertIn(missing, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
