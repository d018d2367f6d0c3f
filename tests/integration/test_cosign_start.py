#!/usr/bin/python3
"""The log's start check (design: Start) when witnesses of its policy have no URL to ask them.

COURTROLL_BIN names the directory of the built programs.
"""
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_cosign_files import REFUSED, Case  # noqa: E402
from logd import courtroll  # noqa: E402


class StartCheck(Case):
    """Who only sends files cannot be asked, so that the mark is what vouches."""

    has_mark = False

    def assert_blocked(self, *words):
        answer = self.log.get("/readyz")
        self.assertEqual(answer.status, 503)
        for word in ("start-unchecked", "mark", *words):
            self.assertIn(word, answer.body.decode())
        done = courtroll("append", "--log", self.log.grpc, "-", stdin=b"x", code=REFUSED)
        self.assertIn("start-unchecked", done.stderr)
        self.export("none", code=REFUSED)

    def test_without_a_mark_nothing_is_signed_and_the_reason_says_what_helps(self):
        self.assert_blocked("too few witnesses have a URL", "f1, f2")
        self.assertFalse(self.is_published())
        self.assertFalse(os.path.exists(os.path.join(self.log.data, "signed")))
        self.crash(start_unchecked="on")
        self.append(2)
        path, size = self.export_next("cp")
        back = [self.signed("f1", path), self.signed("f2", path)]
        self.crash()  # it was for once: what is signed by now is not to be trusted either
        self.assert_blocked("f1, f2")
        # A cosignature that comes meanwhile is kept, and counts once the log may go on.
        self.taken(back[0], 1)
        self.wait_stored("f1", size)
        self.crash(start_unchecked="on")
        self.bring(back[1], wait=10)
        self.assertEqual(self.log.published_size(), size)

    def test_a_mark_vouches(self):
        mark = self.path("log", "mark")
        self.crash(mark_path=mark)
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.append(1)
        self.crash(mark_path=mark)
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.export("cp")
        os.unlink(mark)
        self.crash(mark_path=mark)
        self.assert_blocked("restored backup", "f1, f2")


class StartCheckMixed(Case):
    """Who can be asked may be enough."""

    names = ("w1", "f1")
    has_mark = False

    def test_a_blocking_set_with_urls_is_enough(self):
        self.assertEqual(self.log.get("/readyz").status, 200)
        path, _ = self.export("zero")
        self.bring(self.signed("f1", path), wait=10)
        self.policy(self.log.policy, self.log, "any")  # f1 alone could have been shown another history
        self.crash()
        answer = self.log.get("/readyz")
        self.assertEqual(answer.status, 503)
        self.assertIn("too few witnesses have a URL", answer.body.decode())


if __name__ == "__main__":
    unittest.main()
