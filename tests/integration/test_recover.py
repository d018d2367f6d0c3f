#!/usr/bin/python3
"""courtroll-logd recover: a log whose disk was lost, or that is an old backup, from what others still have of it.

Only what is under the log's own key and the quorum is taken; what the directory has beyond it is kept; two histories
change nothing; a killed run is begun again. COURTROLL_BIN names the directory of the built programs.
"""
import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from fake_witness import FakeWitness, policy_text  # noqa: E402
from logd import LOGD, Logd, Process, courtroll, wait_until  # noqa: E402


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Recover(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.witnesses = [FakeWitness(name) for name in ("w1", "w2", "w3")]
        for witness in self.witnesses:
            self.addCleanup(witness.stop)
        os.mkdir(os.path.join(self.dir, "log"))
        self.log = Logd(os.path.join(self.dir, "log"), policy_text=policy_text(self.witnesses, 2, True),
                        is_started=False, http_add="on", checkpoint_interval_ms=50)  # fmt: skip
        self.addCleanup(self.log.close)
        self.mark = os.path.join(self.dir, "mark")
        self.log.settings["mark_path"] = self.mark
        self.mirror = os.path.join(self.dir, "mirror")

    # -- a log, its mirror, its loss --

    def grow(self, count, prefix="entry"):
        """Appends, and waits until all is published by a quorum."""
        first = self.log.status()["durable_size"]
        path = os.path.join(self.dir, "lines")
        write(path, b"".join(b"%s %d\n" % (prefix.encode(), first + i) for i in range(count)))
        courtroll("append", "--log", self.log.grpc, "--lines", path, code=0)
        self.log.wait_published(first + count)
        return first + count

    def copy_mirror(self):
        shutil.rmtree(self.mirror, ignore_errors=True)
        shutil.copytree(self.log.public, self.mirror)

    def lose(self):
        shutil.rmtree(self.log.data)

    def line(self, source=None, **changes):
        return [LOGD, "recover", "--from", source or "file:" + self.mirror, *self.log.arguments(**changes)[1:]]

    def recover(self, source=None, code=0, **changes):
        done = subprocess.run(self.line(source, **changes), capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def works_again(self, size):
        """It starts by itself, has what it had, and goes on."""
        self.log.start()
        self.assertEqual(self.log.status()["durable_size"], size)
        wait_until(lambda: self.log.get("/readyz").status == 200, "admission")
        after = self.grow(3, "after")
        self.assertEqual(after, size + 3)
        self.log.fsck()
        self.assertEqual(self.log.stop(), 0)

    # -- what must hold --

    def test_a_lost_disk_comes_back_from_a_mirror_with_every_published_entry(self):
        self.log.start()
        size = self.grow(700)
        proof = os.path.join(self.dir, "proof")
        courtroll("prove", "--log", self.log.url(), "--policy", self.log.policy, "--index", 300, "--out", proof, code=0)
        self.copy_mirror()
        self.log.kill()
        self.lose()
        said = self.recover()
        self.assertIn(f"recovered {size} entries, to {size} in all", said)
        self.assertIn("nothing to take", self.recover())
        self.works_again(size)
        entry = os.path.join(self.dir, "entry")
        write(entry, b"entry 300")
        courtroll("verify", "--policy", self.log.policy, "--proof", proof, entry, code=0)

    def test_an_old_backup_is_brought_up_to_date_over_http(self):
        self.log.start()
        self.grow(300)
        self.assertEqual(self.log.stop(), 0)
        old = os.path.join(self.dir, "old")
        shutil.copytree(self.log.data, old)
        self.log.start()
        size = self.grow(600)
        self.copy_mirror()
        self.log.kill()
        self.lose()
        shutil.copytree(old, self.log.data)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=self.mirror))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        said = self.recover(f"http://127.0.0.1:{server.server_address[1]}")
        self.assertIn(f"recovered {size - 300} entries, to {size} in all", said)
        self.works_again(size)

    def test_what_is_durable_beyond_the_mirror_is_kept(self):
        self.log.start()
        self.grow(260)
        self.copy_mirror()
        size = self.grow(40)
        self.log.kill()
        self.assertIn(f"nothing to take: {size} entries are here, 260 in the checkpoint", self.recover())
        self.works_again(size)

    def test_what_was_signed_beyond_the_mirror_stops_the_log_and_is_said(self):
        """Nobody has those entries any more: a log that went on would sign another history."""
        self.log.start()
        self.grow(260)
        self.copy_mirror()
        self.grow(40)
        self.log.kill()
        self.lose()
        self.recover()
        self.log.start()
        self.assertEqual(self.log.get("/readyz").status, 503)
        self.assertIn(b"this may be a restored backup", self.log.get("/healthz").body)

    def test_a_checkpoint_without_its_quorum_is_not_taken(self):
        self.log.start()
        self.grow(300)
        self.copy_mirror()
        self.log.kill()
        self.lose()
        path = os.path.join(self.mirror, "checkpoint")
        text, below = read(path).decode().split("\n\n")
        lines = below.splitlines(keepends=True)
        self.assertGreaterEqual(len(lines), 3) # the log's, and a quorum's
        write(path, f"{text}\n\n{lines[0]}{lines[1]}".encode())
        self.assertIn("too few of the policy's witnesses signed it", self.recover(code=3))

    def test_another_logs_checkpoint_is_not_taken(self):
        other = tlog.Log(300, "log.example/test")
        other.write(self.mirror)
        self.log.start()
        self.grow(1)
        self.log.kill()
        self.recover(code=3)

    def test_wrong_bytes_are_never_committed_and_a_better_mirror_completes(self):
        self.log.start()
        size = self.grow(900)
        self.copy_mirror()
        self.log.kill()
        self.lose()
        bad = os.path.join(self.dir, "bad")
        shutil.copytree(self.mirror, bad)
        path = os.path.join(bad, "tile/entries/002")
        data = bytearray(read(path))
        data[100] ^= 1
        os.chmod(path, 0o644)
        write(path, bytes(data))
        said = self.recover("file:" + bad, code=3)
        self.assertIn("tile/", said)
        self.recover()
        self.works_again(size)

    def test_two_histories_change_nothing_and_both_notes_are_kept(self):
        self.log.start()
        self.grow(300)
        self.assertEqual(self.log.stop(), 0)
        clone = os.path.join(self.dir, "clone")
        shutil.copytree(self.log.data, clone)
        shutil.copy(self.mark, self.mark + ".clone")
        self.log.start()
        self.grow(300, "one history")
        self.copy_mirror()
        self.log.kill()
        # The clone goes another way; its witnesses know nothing of the first.
        self.lose()
        shutil.copytree(clone, self.log.data)
        shutil.copy(self.mark + ".clone", self.mark)
        for witness in self.witnesses:
            witness.mode = "error"
        self.log.start()
        courtroll("append", "--log", self.log.grpc, self.write_file("other", b"another history"), code=0)
        self.log.kill()
        before = {name: read(os.path.join(self.log.data, name)) for name in ("signed", "log/checkpoint")}
        self.assertIn("two histories under our key", self.recover(code=3))
        directory = os.path.join(self.log.data, "contradiction")
        kept = {name.split(".")[1]: read(os.path.join(directory, name)) for name in os.listdir(directory)}
        self.assertEqual(kept["theirs"], read(os.path.join(self.mirror, "checkpoint")))
        self.assertIn("ours", kept)
        for name, data in before.items():
            self.assertEqual(read(os.path.join(self.log.data, name)), data)

    def write_file(self, name, data):
        path = os.path.join(self.dir, name)
        write(path, data)
        return path

    def test_a_killed_run_is_begun_again(self):
        self.log.start()
        size = self.grow(30000)
        self.copy_mirror()
        self.log.kill()
        self.lose()
        journal = os.path.join(self.log.data, "journal")
        process = Process(self.line())
        tiles = os.path.join(self.log.data, "log/tile/entries")
        wait_until(lambda: os.path.isdir(tiles) and len(os.listdir(tiles)) > 3, "some bundles")
        process.kill()
        self.assertTrue(os.listdir(journal))
        self.recover()
        self.works_again(size)

    def test_wrong_usage_says_what_to_do(self):
        self.log.start()
        self.grow(1)
        self.copy_mirror()
        self.log.kill()
        self.assertIn("--from LOG is missing", subprocess.run([LOGD, "recover"], capture_output=True, text=True, check=False).stderr)
        self.assertIn("without witnesses nobody else can say", self.recover(code=2, policy=None))
        help_text = subprocess.run([LOGD, "recover", "--help"], capture_output=True, text=True, check=True).stdout
        self.assertIn("--from LOG", help_text)
        self.log.start()
        self.assertIn("in use by another process", self.recover(code=3))


if __name__ == "__main__":
    unittest.main(verbosity=2)
