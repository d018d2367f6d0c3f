#!/usr/bin/python3
"""A witness whose disk is full: 503 while it runs, words when it cannot start, and nothing forgotten.

The data directory lies on a small tmpfs, which the test fills. Skips where this user may not mount.
COURTROLL_BIN names the directory of the built programs.
"""
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

from logd import wait_until
from witness import Tree, Witness

DISK_MIB = 24


def mount(directory, size):
    """The exit code."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory]
    return subprocess.run(command, capture_output=True, check=False).returncode


def unmount(directory):
    subprocess.run(["umount", directory], capture_output=True, check=False)


with tempfile.TemporaryDirectory() as probe:
    if os.geteuid() != 0 or mount(probe, "1m") != 0:
        print("this user may not mount a tmpfs")
        sys.exit(77)
    unmount(probe)


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.log = Tree("log.example/disk", 300)
        self.w = Witness([self.log.key], is_started=False)
        self.addCleanup(self.w.close)
        os.mkdir(self.w.data, 0o700)
        self.assertEqual(mount(self.w.data, f"{DISK_MIB}m"), 0)
        self.addCleanup(unmount, self.w.data)
        self.w.start()

    def tearDown(self):
        if self.w.process is not None:
            self.w.process.kill()  # before the unmount, also when the test has failed

    def fill(self):
        with open(os.path.join(self.w.data, "filler"), "ab", buffering=0) as file:
            block = b"x" * 65536
            while block:
                try:
                    file.write(block)
                except OSError:
                    block = block[: len(block) // 2]

    def free(self):
        os.unlink(os.path.join(self.w.data, "filler"))

    def cosign_until_refused(self):
        """The size cosigned last."""
        held = self.w.held_size(self.log)
        for size in range(held + 1, held + 200):
            answer = self.w.add_checkpoint(self.log.request(size - 1, size))
            if answer.status != 200:
                self.assertIn(answer.status, (500, 503))
                return size - 1
        raise AssertionError("a full disk was not noticed")

    def check_forgets_nothing(self, size):
        self.assertIn(self.w.held_size(self.log), (size, size + 1))
        fork = self.log.branch(size - 1, "fork").grow(2)
        answer = self.w.add_checkpoint(fork.request(size - 1, size))
        self.assertEqual(answer.status, 409, answer)

    def test_it_recovers_by_itself_when_there_is_room(self):
        self.w.cosign(self.log, 0, 1)
        self.fill()
        size = self.cosign_until_refused()
        self.assertEqual(self.w.get("/readyz").status, 503)
        self.assertEqual(self.w.held_size(self.log), size)
        self.free()
        wait_until(lambda: self.w.get("/readyz").status == 200, "it signs again", 30)
        self.check_forgets_nothing(size)

    def test_a_start_on_a_full_disk_says_what_to_free_and_harms_nothing(self):
        self.w.cosign(self.log, 0, 1)
        self.fill()
        size = self.cosign_until_refused()
        for stop in (self.w.stop, lambda: None):
            stop()
            code, text = self.w.fails_to_start()
            self.assertEqual(code, 3, text)
            self.assertRegex(text, "event=cannot_start .*if the disk under data-dir is full, free 16 MiB")
            self.assertNotIn("the state is lost", text)
            self.assertNotIn("event=ready", text)
        self.free()
        self.w.start()
        self.check_forgets_nothing(size)

    def test_a_killed_witness_on_a_full_disk_comes_back_when_there_is_room(self):
        self.w.cosign(self.log, 0, 1)
        self.fill()
        size = self.cosign_until_refused()
        self.w.kill()
        code, text = self.w.fails_to_start()
        self.assertEqual(code, 3, text)
        self.free()
        self.w.start()
        self.check_forgets_nothing(size)


if __name__ == "__main__":
    unittest.main(verbosity=2)
