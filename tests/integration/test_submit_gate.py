#!/usr/bin/python3
"""courtroll submit in front of a log with schema = operation: the gate, mutual TLS, sealed records, a restored spool.

COURTROLL_BIN names the directory of the built programs.
"""
import os
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from court import Court, GateCase  # noqa: E402

FREEZE = {"officer": "officer 7", "fields": {"debtor": "990000199001010017", "asset": "account 1"}}


class Gate(GateCase):
    def test_operations_pass_the_gate(self):
        self.register()
        lines = [Court.draft(0, kind="CASE_FILED", id="filed"),
                 Court.draft(0, kind="FREEZE", id="frozen", sealed=True, **FREEZE),
                 Court.draft(0, id="plan")]
        done = self.submit(lines, "--wait")
        receipts = Court.receipts(done.stdout)
        indices = [receipts[name]["index"] for name in ("filed", "frozen", "plan")]
        self.assertEqual(indices, sorted(indices))
        opening = Court.draft(0, kind="UNSEAL", id="opened", unseal=receipts["frozen"]["payload"])
        done = self.submit([opening], "--wait")
        self.assertGreater(Court.receipts(done.stdout)["opened"]["index"], indices[-1])

    def test_an_unknown_submitter_is_refused_and_goes_on_once_it_is_known(self):
        lines = [Court.draft(0, kind="CASE_FILED", id="a"), Court.draft(0, id="b")]
        done = self.submit(lines, "--wait", code=4)
        self.assertEqual(list(Court.receipts(done.stdout)), ["a"])
        self.assertIn("refused", Court.receipts(done.stdout)["a"])
        status = self.court.status()
        self.assertEqual((status["waiting"], status["refused_now"]), (2, 1))
        self.register()
        done = self.submit([], "--wait")
        self.assertEqual(set(Court.receipts(done.stdout)), {"a", "b"})

    def test_a_restored_spool_stops_instead_of_doubling(self):
        self.register()
        self.submit([Court.draft(0, kind="CASE_FILED")], "--wait")
        backup = os.path.join(self.dir, "backup")
        shutil.copytree(self.court.spool, backup)
        self.submit([Court.draft(0)], "--wait")
        size = self.log_size()
        done = self.submit([Court.draft(0)], "--wait", spool=backup, code=4)
        self.assertIn("entry tag", done.stderr)
        self.assertEqual(self.log_size(), size)
        self.assertTrue(self.court.status(code=1, spool=backup)["stopped"])
        done = self.submit([Court.draft(0)], spool=backup, code=4)
        self.assertIn("has stopped", done.stderr)
        self.submit([Court.draft(0)], "--wait") # the real one goes on

    def test_decoys_are_let_in(self):
        self.register()
        with subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *self.court.command(
                self.log, *self.tls, "--decoys-per-hour", "36000", "--decoy-court", "测0101")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            deadline = time.monotonic() + 20
            while self.log_size() < 4:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            process.stdin.close()
            self.assertEqual(process.wait(20), 0)
            self.assertEqual(process.stdout.read(), b"")
        self.assertEqual(self.court.status()["refused"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
