#!/usr/bin/python3
"""courtroll submit: JSON lines in, receipts out, in front of logs with witnesses, without, and gone.

COURTROLL_BIN names the directory of the built programs.
"""
import os
import re
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from court import Court, CourtCase  # noqa: E402
from logd import Logd, courtroll  # noqa: E402
from witness import Witness  # noqa: E402



class Submit(CourtCase):
    def test_what_goes_in_comes_out_proved(self):
        log = self.open()
        lines = [Court.draft(i % 3, id=f"op {i}") for i in range(30)]
        done = self.court.submit(log, lines, "--wait", "--acknowledge")
        receipts = Court.receipts(done.stdout)
        self.assertEqual(len(receipts), 30)
        accepted = [line for line in Court.lines(done.stdout) if line.get("accepted")]
        self.assertEqual([line["id"] for line in accepted], [f"op {i}" for i in range(30)])
        for case in range(3): # in order
            indices = [receipts[f"op {i}"]["index"] for i in range(case, 30, 3)]
            self.assertEqual(indices, sorted(indices))
        one = receipts["op 7"]
        self.check_proof(log, one)
        shown = courtroll("record", "show", "--payload-key", self.court.payload_key, one["payload"], code=0)
        self.assertIn("DISTRIBUTION_PLAN", shown.stdout)
        self.assertEqual(stat.S_IMODE(os.stat(one["payload"]).st_mode), 0o600)
        self.assertEqual(self.court.status()["waiting"], 0)
        # Nothing of it is printed twice.
        self.assertEqual(self.court.submit(log, [], "--wait").stdout, "")

    def test_proofs_go_to_files(self):
        log = self.open()
        directory = os.path.join(self.dir, "proofs")
        os.mkdir(directory)
        done = self.court.submit(log, [Court.draft(0, id="a")], "--wait", "--proof-dir", directory)
        receipt = Court.receipts(done.stdout)["a"]
        self.assertNotIn("proof", receipt)
        with open(receipt["proof_file"], "rb") as file:
            self.assertTrue(file.read().startswith(b"c2sp.org/tlog-proof@v1\n"))

    def test_a_bad_line_ends_the_reading(self):
        log = self.open()
        lines = [Court.draft(0, id="a"), Court.draft(0, kind="FREEZE"), Court.draft(0, id="c")]
        done = self.court.submit(log, lines, "--wait", code=2)
        self.assertRegex(done.stderr, r"line 2 is not accepted.*--first-line 2.*officer")
        self.assertEqual(set(Court.receipts(done.stdout)), {"a"})
        done = self.court.submit(log, lines, "--wait", "--first-line", "3")
        self.assertEqual(set(Court.receipts(done.stdout)), {"c"})
        secret = Court.draft(0, fields={"debtor": "990000199001010018"})
        done = self.court.submit(log, [secret], code=2)
        self.assertNotIn("990000199001010018", done.stderr)

    def test_a_case_needs_a_key(self):
        log = self.open()
        arguments = [one for one in self.court.arguments(log) if one != "--new-cases"]
        done = courtroll(*arguments, stdin=Court.draft(0).encode() + b"\n", code=3)
        self.assertIn("a new case needs one", done.stderr)
        self.court.submit(log, [Court.draft(0)], "--wait")
        (name,) = os.listdir(self.court.cases)
        self.assertTrue(re.fullmatch(r"[0-9a-f]{64}\.casekey", name), name)
        path = os.path.join(self.court.cases, name)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        os.chmod(path, 0o644)
        self.court.submit(log, [Court.draft(0)], code=4)

    def test_it_accepts_while_the_log_is_gone(self):
        log = self.open()
        log.stop()
        began = time.monotonic()
        done = self.court.submit(log, [Court.draft(0, id=f"{i}") for i in range(20)])
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(done.stdout, "")
        status = self.court.status()
        self.assertEqual(status["waiting"], 20)
        self.assertGreater(status["lag_ms"], 0)
        done = self.court.submit(log, [], "--wait", "--timeout", "1", code=4)
        self.assertIn("20 items wait still", done.stderr)
        log.start()
        done = self.court.submit(log, [], "--wait")
        self.assertEqual(len(Court.receipts(done.stdout)), 20)

    def test_status_of_a_spool_that_is_open(self):
        log = self.open()
        with subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *self.court.command(log)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            process.stdin.write(Court.draft(0, id="a").encode() + b"\n")
            process.stdin.flush()
            self.assertIn(b'"index"', process.stdout.readline())
            self.assertFalse(self.court.status()["stopped"])
            done = self.court.submit(log, [], code=4) # one process at a time
            self.assertIn("lock", done.stderr)
            process.stdin.close()
            self.assertEqual(process.wait(20), 0)

    def test_usage(self):
        courtroll("submit", "--status", "--spool", os.path.join(self.dir, "none"), code=3)
        courtroll("submit", "--spool", self.court.spool, code=2)
        log = self.open()
        done = self.court.submit(log, [], address="http://127.0.0.1:1", code=4)
        self.assertIn("gRPC", done.stderr)
        self.court.submit(log, [], "--decoys-per-hour", "5", code=2)
        self.court.submit(log, [], "--wait")
        with Logd(origin="log.example/other") as other:
            done = self.court.submit(other, [], code=4)
            self.assertIn(log.origin, done.stderr)


class Witnessed(CourtCase):
    """Two of two witnesses, who may be down."""

    def setUp(self):
        super().setUp()
        directory = os.path.join(self.dir, "log")
        os.makedirs(directory)
        bare = Logd(directory, is_started=False) # makes the key
        self.witnesses = [Witness([bare.vkey], name=f"witness.example/{i}") for i in range(2)]
        for one in self.witnesses:
            self.addCleanup(one.close)
        text = "".join(f"witness w{i} {one.vkey} {one.url()}\n" for i, one in enumerate(self.witnesses))
        text += "group g all w0 w1\nquorum g\n"
        self.log = self.open(directory=directory, policy_text=text, mark_path=os.path.join(self.dir, "mark"))

    def test_what_is_durable_is_not_proved_until_the_witnesses_are_back(self):
        lines = [Court.draft(i % 2, id=f"{i}") for i in range(10)]
        done = self.court.submit(self.log, lines, "--wait")
        self.assertTrue(self.check_proof(self.log, Court.receipts(done.stdout)["9"]).startswith("PASS"))
        self.witnesses[0].stop()
        more = [Court.draft(i % 2, id=f"{i}") for i in range(10, 20)]
        done = self.court.submit(self.log, more, "--wait", "--timeout", "2", code=4)
        self.assertEqual(Court.receipts(done.stdout), {})
        self.assertEqual(self.court.status()["waiting"], 10)
        self.witnesses[0].start(http_listen=self.witnesses[0].http)
        done = self.court.submit(self.log, [], "--wait")
        self.assertEqual(set(Court.receipts(done.stdout)), {f"{i}" for i in range(10, 20)})
        self.log.wait_published(20)
        self.assertEqual(len(self.entries(self.log)), 20) # each of them once


if __name__ == "__main__":
    unittest.main(verbosity=2)
