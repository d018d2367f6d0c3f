#!/usr/bin/python3
"""A full disk under journal/, log/ or index/ stops admission, nothing else, and heals by itself.

Each store in turn lies on a small tmpfs, which the test fills: appends are then UNAVAILABLE with the
reason in words, reads go on, /readyz is 503; once there is room it admits again without a restart;
nothing that was acknowledged is lost, and after a restart everything re-hashes. Skips where this user
may not mount. COURTROLL_BIN names the directory of the built programs.
"""
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

import reader
import tlog
from logd import Logd, courtroll, wait_until

try:
    from rpc import Rpc
except ImportError:
    Rpc = None

DISK_MIB = 96
BATCH = 200  # entries of one append


def mount(*arguments):
    """The exit code."""
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode


def unmount(directory):
    subprocess.run(["umount", directory], capture_output=True, check=False)


with tempfile.TemporaryDirectory() as probe:
    if os.geteuid() != 0 or mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", probe) != 0:
        print("this user may not mount a tmpfs")
        sys.exit(77)
    unmount(probe)


class FullDisk(unittest.TestCase):
    def start(self, full):
        """A log whose directory `full`, "log" or "journal", is a small tmpfs."""
        log = Logd(is_started=False, checkpoint_interval_ms=10)
        self.addCleanup(log.close)
        store, self.disk = os.path.join(log.data, full), os.path.join(log.dir, "disk")
        os.makedirs(store)
        os.makedirs(self.disk)
        os.chmod(log.data, 0o755)
        self.assertEqual(mount("-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", self.disk), 0)
        self.addCleanup(unmount, self.disk)
        self.small = os.path.join(self.disk, full)
        os.mkdir(self.small, 0o755 if full == "log" else 0o700)
        self.assertEqual(mount("--bind", self.small, store), 0)
        self.addCleanup(unmount, store)
        log.start()
        self.log, self.acknowledged = log, {}
        return log

    def tearDown(self):
        if self.log.process is not None:
            self.log.process.kill()  # before the unmount, also when the test has failed

    def fill(self):
        path = os.path.join(self.disk, "filler")
        with open(path, "ab", buffering=0) as file:
            block = b"x" * 65536
            while block:
                try:
                    file.write(block)
                except OSError:
                    block = block[: len(block) // 2]

    def free(self):
        os.unlink(os.path.join(self.disk, "filler"))

    def append(self, number):
        """One call of BATCH entries: its refusal in words, or None when all were acknowledged."""
        entries = [b"entry %d of call %d " % (i, number) * 200 for i in range(BATCH)]
        with tempfile.TemporaryDirectory(dir=self.log.dir) as directory:
            files = []
            for i, entry in enumerate(entries):
                files.append(os.path.join(directory, str(i)))
                with open(files[-1], "wb") as file:
                    file.write(entry)
            done = courtroll("append", "--log", self.log.grpc, *files)
        lines = [line.split() for line in done.stdout.splitlines()]
        if done.returncode == 0:
            self.assertEqual(len(lines), BATCH)
            for entry, (index, _) in zip(entries, lines):
                self.acknowledged[int(index)] = entry
            return None
        self.assertEqual(lines, [], "a refused call has acknowledged entries")
        self.assertEqual(done.returncode, 4, done.stderr)
        return done.stderr

    def append_until_refused(self, first):
        """Appends until a call is refused; (number of the next call, the refusal)."""
        for number in range(first, first + 400):
            refusal = self.append(number)
            if refusal is not None:
                return number + 1, refusal
        raise AssertionError("a full disk was not noticed")

    def wait_for_health(self, is_serving):
        """gRPC's health follows /readyz, within a second or so."""
        if Rpc is not None:
            with Rpc(self.log.grpc) as peer:
                wait_until(lambda: peer.is_serving() == is_serving, f"health: {is_serving}", 5)

    def check_refusing(self, refusal):
        self.assertRegex(refusal, "(?i)no space|full")
        answer = self.log.get("/readyz")
        self.assertEqual(answer.status, 503)
        self.assertTrue(answer.body.startswith(b"not admitting\nreason: "), answer.body)
        self.assertRegex(answer.body.decode(), "(?i)no space|full")
        status = self.log.status()
        self.assertEqual((status["admitting"], status["degraded"]), (False, True))
        self.wait_for_health(is_serving=False)
        self.assertRegex(status["reason"], "(?i)no space|full")
        # Where the disk is is for our log only.
        for text in (refusal, answer.body.decode(), status["reason"]):
            self.assertNotIn(self.log.data, text)
        self.assertRegex(self.log.process.text(), f"error=.*{self.log.data}/.*No space left")
        # Who is here already reads on.
        size = self.log.published_size()
        self.assertGreater(size, 0)
        for path in ("/checkpoint", "/healthz", "/metrics", "/tile/0/000", "/tile/entries/000", "/"):
            self.assertEqual(self.log.get(path).status, 200, path)
        for path in reader.paths_of(size):
            self.assertEqual(self.log.get("/" + path).status, 200, path)
        self.assertEqual(self.log.process.popen.poll(), None)

    def check_admits_again(self, number):
        wait_until(lambda: self.log.get("/readyz").status == 200, "it admits again by itself", 20)
        self.assertIsNone(self.append(number), "it says that it admits, and does not")
        self.wait_for_health(is_serving=True)
        self.log.wait_published(max(self.acknowledged) + 1)
        self.assertFalse(self.log.status()["degraded"])

    def check_nothing_is_lost(self):
        size, _, entries = reader.read_log(
            reader.of_directory(self.log.public), tlog.Key.from_file(self.log.key)
        )
        self.assertGreater(size, max(self.acknowledged))
        for index, entry in self.acknowledged.items():
            self.assertEqual(entries[index], entry, index)

    def begin(self, full):
        """A log with some entries, then a full disk; the number of the next call."""
        self.start(full)
        for number in range(3):
            self.assertIsNone(self.append(number))
        self.log.wait_published(3 * BATCH)
        self.fill()
        return 3

    def check_heals(self, number):
        number, refusal = self.append_until_refused(number)
        self.check_refusing(refusal)
        self.free()
        self.check_admits_again(number)
        self.check_nothing_is_lost()
        return number + 1

    def check_restart(self, number):
        self.log.restart()
        self.log.fsck()
        self.assertIsNone(self.append(number))
        self.log.wait_published(max(self.acknowledged) + 1)
        self.check_nothing_is_lost()

    def check_crash(self, number):
        """While the disk is full it comes back, serves reads, and with room admits again by itself."""
        number, _ = self.append_until_refused(number)
        self.log.kill()
        self.log.start()
        self.assertEqual(self.log.get("/checkpoint").status, 200)
        number, refusal = self.append_until_refused(number)
        self.check_refusing(refusal)
        self.free()
        self.check_admits_again(number)
        self.log.wait_published(max(self.acknowledged) + 1)
        self.check_nothing_is_lost()
        self.log.stop()
        self.log.fsck()

    def test_a_full_disk_under_the_tiles_stops_admission_until_there_is_room(self):
        number = self.check_heals(self.begin("log"))
        self.fill()
        number = self.check_heals(number)  # the second time is not the first
        self.check_restart(number)

    def test_a_crash_while_the_disk_under_the_tiles_is_full_loses_nothing(self):
        self.check_crash(self.begin("log"))

    def test_a_full_disk_under_the_journal_stops_admission_until_there_is_room(self):
        number = self.check_heals(self.begin("journal"))
        self.check_restart(number)

    def test_a_crash_while_the_disk_under_the_journal_is_full_loses_nothing(self):
        self.check_crash(self.begin("journal"))

    def test_a_crash_while_the_disk_under_the_index_is_full_loses_nothing(self):
        self.check_crash(self.begin("index"))

    def test_a_journal_that_has_its_segments_needs_no_more_room(self):
        number = self.begin("journal")
        self.free()
        while len(os.listdir(self.small)) < 2:  # one in use, one spare
            self.assertIsNone(self.append(number))
            number += 1
        self.fill()
        for number in range(number, number + 50):  # over two segments more
            self.assertIsNone(self.append(number))
        self.log.wait_published(max(self.acknowledged) + 1)
        self.check_nothing_is_lost()


if __name__ == "__main__":
    unittest.main(verbosity=2)
