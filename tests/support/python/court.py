"""A court's side of a log: its keys, its cases, and `courtroll submit` with all that it needs.

    court = Court(directory, "court-0101.example")
    done = court.submit(log, [court.draft(0, id="a"), ...], "--wait")      # through the CLI
    court.receipts(done.stdout)                                           # {id: {...}}
"""
import base64
import json
import os
import shutil
import tempfile
import unittest

import tlog
from certificates import Authority
from logd import COURTROLL, Logd, courtroll, keygen
from reader import leaf_hash, of_directory, read_log

COURT = "测0101"


class Court:
    def __init__(self, directory, name="court-0101.example"):
        self.dir, self.name = os.path.join(directory, name), name
        os.makedirs(self.dir)
        for folder in ("cases", "payloads"):
            os.mkdir(os.path.join(self.dir, folder), 0o700)
        self.key, self.payload_key = self.path("key"), self.path("payload.key")
        self.cases, self.payloads, self.spool = (self.path(name) for name in ("cases", "payloads", "spool"))
        keygen("submitter", name, self.key)
        courtroll("record", "new-key", "--out", self.payload_key, code=0)
        with open(self.key + ".vkey", encoding="utf-8") as file:
            self.vkey = file.read().strip()

    def path(self, name):
        return os.path.join(self.dir, name)

    @staticmethod
    def case(number):
        return f"（2026）{COURT}执{number + 1}号"

    @classmethod
    def draft(cls, case, kind="DISTRIBUTION_PLAN", **more):
        """A line."""
        draft = {"case": cls.case(case), "kind": kind, "minute": "2026-03-04T09:31Z", "court": COURT, **more}
        return json.dumps(draft, ensure_ascii=False)

    def arguments(self, log, *more, address=None, spool=None):
        return ["submit", "--spool", spool or self.spool, "--log", address or log.grpc, "--policy",
                log.policy, "--origin", log.origin, "--key", self.key, "--case-keys", self.cases,
                "--new-cases", "--payload-key", self.payload_key, "--payloads", self.payloads,
                "--sealed-delay", "0", *more]  # fmt: skip

    def submit(self, log, lines, *more, code=0, timeout=60, **options):
        text = "".join(line + "\n" for line in lines).encode()
        return courtroll(*self.arguments(log, *more, **options), stdin=text, code=code, timeout=timeout)

    def command(self, log, *more, **options):
        """For a process of one's own."""
        return [COURTROLL, *map(str, self.arguments(log, *more, **options))]

    def status(self, code=0, spool=None):
        return json.loads(courtroll("submit", "--status", "--json", "--spool", spool or self.spool,
                                    code=code).stdout)  # fmt: skip

    @staticmethod
    def lines(text):
        """What was printed, without a last line that was cut off."""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    @classmethod
    def receipts(cls, text):
        return {line["id"]: line for line in cls.lines(text) if "accepted" not in line}


class CourtCase(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.court = Court(self.dir)

    def open(self, **settings):
        log = Logd(checkpoint_interval_ms=50, **settings)
        self.addCleanup(log.close)
        return log

    def entries(self, log):
        """All that is published, re-hashed."""
        return read_log(of_directory(log.public), tlog.Key.from_file(log.key))[2]

    def check_proof(self, log, receipt):
        """By the command that anybody uses, and from what the log really has."""
        proof, path = os.path.join(self.dir, "proof"), os.path.join(self.dir, "entry")
        entry = self.entries(log)[receipt["index"]]
        self.assertEqual(leaf_hash(entry).hex(), receipt["leaf_hash"])
        for name, data in ((proof, base64.b64decode(receipt["proof"])), (path, entry)):
            with open(name, "wb") as file:
                file.write(data)
        return courtroll("verify", "--policy", log.policy, "--proof", proof, path, code=0).stdout


class GateCase(CourtCase):
    """In front of a log with schema = operation, with mutual TLS."""

    def setUp(self):
        super().setUp()
        authority = Authority(self.dir)
        cert, key = authority.issue("server")
        mine, mine_key = authority.issue(self.court.name, "DNS:" + self.court.name)
        self.tls = ["--tls-ca", authority.ca, "--tls-cert", mine, "--tls-key", mine_key]
        submitters = os.path.join(self.dir, "submitters")
        with open(submitters, "w", encoding="utf-8") as file:
            file.write(f"submitter {self.court.vkey}\n")
        self.unix = "unix:" + os.path.join(self.dir, "socket")
        self.log = self.open(schema="operation", submitters=submitters, anchor_seconds=0, tls_cert=cert,
                             tls_key=key, tls_client_ca=authority.ca,
                             grpc_listen=["127.0.0.1:0", self.unix])  # fmt: skip
        self.take_address()

    def take_address(self):
        """After a start: the first of its listeners."""
        self.log.grpc = self.log.grpc.split(",")[0]

    def register(self):
        courtroll("submitter", "register", "--log", self.unix, "--key", self.court.key, "--roles",
                  "enforcement", "--from", "2026-01-01T00:00Z", code=0)  # fmt: skip

    def submit(self, lines, *more, **options):
        return self.court.submit(self.log, lines, *self.tls, *more, **options)

    def log_size(self):
        return json.loads(courtroll("status", "--log", self.unix, "--json", code=0).stdout)["durable_size"]
