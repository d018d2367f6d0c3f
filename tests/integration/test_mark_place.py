#!/usr/bin/python3
"""A mark that would be restored together with what it guards is refused, by both daemons.

COURTROLL_BIN names the directory of the built programs.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

from logd import Logd
from witness import Tree, Witness


class MarkPlace(unittest.TestCase):
    def check(self, daemon):
        self.addCleanup(daemon.close)
        link = os.path.join(daemon.dir, "link")
        os.symlink(daemon.data, link)
        for directory in (daemon.data, link, os.path.join(daemon.data, "..", "data")):
            for _ in range(2):  # the first start of all makes the data directory
                code, text = daemon.fails_to_start(mark_path=os.path.join(directory, "mark"))
                self.assertEqual(code, 2, text)
                self.assertRegex(text, "mark-path: .* is in data-dir")
                self.assertNotIn("event=ready", text)
        self.assertFalse(os.path.exists(os.path.join(daemon.data, "mark")))
        daemon.start(mark_path=os.path.join(daemon.dir, "mark"))
        self.assertIn("event=mark_on_same_disk", daemon.process.text())
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        self.assertNotIn("mark_on_same_disk", daemon.process.text())

    def test_of_a_log(self):
        self.check(Logd(is_started=False))

    def test_of_a_witness(self):
        self.check(Witness([Tree("log.example/mark").key], is_started=False))


if __name__ == "__main__":
    unittest.main(verbosity=2)
