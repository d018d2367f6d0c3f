#!/usr/bin/env python3
"""The data directory of an hour ago, or parts of it: never a second signed root for a size.

With mark-path a restored backup is noticed, and the log serves reads only. Without it nothing on
this machine can tell, and the log says so; the last of these tests shows what happens then. How a log
with witnesses asks them at start is in test_witnesses.py.
"""
import glob
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from logd import LOGD, Logd, courtroll, wait_until  # noqa: E402
from test_cosign_files import Case as WitnessedCase  # noqa: E402

WORDS = "this may be a restored backup"
ROLLBACK = "rollback not detectable"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def lines(prefix, count):
    return b"".join(b"%s %d\n" % (prefix, i) for i in range(count))


def copy(source, target):
    """cp -a, also of a directory that changes meanwhile."""
    shutil.rmtree(target, ignore_errors=True)
    for at, _, names in os.walk(source):
        into = os.path.join(target, os.path.relpath(at, source))
        os.makedirs(into, exist_ok=True)
        shutil.copystat(at, into)
        for name in names:
            try:
                shutil.copy2(os.path.join(at, name), os.path.join(into, name))
            except FileNotFoundError:
                pass  # as cp, which goes on


def signed_roots(*directories):
    """size -> the roots that were signed for it, in the archives and files of these data directories."""
    roots = {}
    for directory in directories:
        paths = glob.glob(os.path.join(directory, "log/archive/*-*-*/*/*"))
        paths += [os.path.join(directory, "signed"), os.path.join(directory, "log/checkpoint")]
        for path in paths:
            if not os.path.exists(path):
                continue
            rows = read(path).decode().split("\n")
            for i in range(2, len(rows) - 1):
                if rows[i + 1] == "" and rows[i - 1].isdigit():
                    roots.setdefault(int(rows[i - 1]), set()).add(rows[i])
    return roots


class Case(unittest.TestCase):
    has_mark = True

    def setUp(self):
        self.log = Logd(is_started=False, http_add="on", checkpoint_interval_ms=20)
        self.addCleanup(self.log.close)
        self.mark = os.path.join(self.log.dir, "mark")
        if self.has_mark:
            self.log.settings["mark_path"] = self.mark
        self.old = os.path.join(self.log.dir, "old")
        self.new = os.path.join(self.log.dir, "new")

    def append(self, data, code=0):
        return courtroll(
            "append", "--log", self.log.grpc, "--lines", "-", stdin=data, code=code
        )

    def make_history(self):
        """700 entries, a backup, then 50 more; the log is stopped and its state also in `new`."""
        self.log.start()
        self.append(lines(b"first", 700))
        self.log.wait_published(700)
        self.assertEqual(self.log.stop(), 0)
        copy(self.log.data, self.old)
        self.log.start()
        self.append(lines(b"second", 50))
        self.log.wait_published(750)
        self.assertEqual(self.log.stop(), 0)
        copy(self.log.data, self.new)

    def restore(self, source):
        copy(source, self.log.data)

    def assert_reads_only(self, size, reason=WORDS):
        """It serves what it has, and signs and admits nothing."""
        signed = read(os.path.join(self.log.data, "signed"))
        mark = read(self.mark) if os.path.exists(self.mark) else None
        archive = signed_roots(self.log.data)

        health, ready = self.log.get("/healthz"), self.log.get("/readyz")
        self.assertEqual((health.status, ready.status), (200, 503))
        for text in (health.body.decode(), ready.body.decode(), self.log.process.text()):
            self.assertIn(WORDS, text)
            self.assertIn(reason, text)
        self.assertIn("rollback check: failed", health.body.decode())
        self.assertNotIn(self.log.dir, health.body.decode())  # of the data directory, or of the mark
        refused = self.append(b"one more\n", code=4)
        self.assertIn(WORDS, refused.stderr)
        self.assertNotIn(self.log.dir, refused.stderr)
        self.assertEqual(self.log.request("POST", "/add", b"one more").status, 503)

        note = self.log.get("/checkpoint")
        self.assertEqual((note.status, int(note.body.split(b"\n")[1])), (200, size))
        for address in (self.log.url(), self.log.grpc):
            courtroll("fsck", "--policy", self.log.policy, "--log", address, code=0)
        time.sleep(0.2)  # ten intervals
        self.assertEqual(read(os.path.join(self.log.data, "signed")), signed)
        self.assertEqual(read(self.mark) if os.path.exists(self.mark) else None, mark)
        self.assertEqual(signed_roots(self.log.data), archive)
        self.assertEqual(self.log.get("/checkpoint").body, note.body)
        self.assertEqual(self.log.stop(), 0)

    def assert_refused(self, *words):
        """It does not start at all, and says why."""
        code, text = self.log.fails_to_start()
        self.assertEqual(code, 3, text)
        for word in words:
            self.assertIn(word, text)

    def assert_one_root_a_size(self, *directories):
        for size, roots in signed_roots(*directories).items():
            self.assertEqual(len(roots), 1, f"size {size} was signed with two roots")


class WithMark(Case):
    def test_a_backup_made_while_stopped_serves_reads_only(self):
        self.make_history()
        self.restore(self.old)
        self.log.start()
        self.assert_reads_only(700, "the journal ends at 700 entries")
        self.log.start()  # and does not forget
        self.assert_reads_only(700)
        self.restore(self.new)
        self.log.start()
        self.assertEqual(self.log.get("/readyz").status, 200, self.log.get("/readyz").body)
        self.append(b"one more\n")
        self.log.wait_published(751)
        self.assert_one_root_a_size(self.log.data, self.old, self.new)

    def test_a_backup_made_while_it_runs_serves_reads_only_or_does_not_start(self):
        self.log.start(checkpoint_interval_ms=10)
        is_over = threading.Event()

        def load():
            for i in range(100000):
                if is_over.is_set():
                    return
                self.log.request("POST", "/add", b"entry %d" % i)

        thread = threading.Thread(target=load)
        thread.start()
        copies = [os.path.join(self.log.dir, f"copy{i}") for i in range(6)]
        for path in copies:
            time.sleep(0.1)
            copy(self.log.data, path)
        is_over.set()
        thread.join()
        index = int(self.append(b"the last\n", code=0).stdout.split()[0])
        self.log.wait_published(index + 1)  # signed: now every copy lies behind the mark
        self.log.kill()
        copy(self.log.data, self.new)
        outcomes = []
        for path in copies:
            self.restore(path)
            before = signed_roots(self.log.data)
            try:
                self.log.start()
            except AssertionError:  # torn: then it does not start, and says why
                self.assertEqual(self.log.process.wait(), 3, self.log.process.text())
                self.assertIn("event=cannot_start", self.log.process.text())
                outcomes.append("refused")
            else:
                self.assert_reads_only(self.log.published_size())
                outcomes.append("reads only")
            self.assertEqual(signed_roots(self.log.data), before)
        print(f"copies of a running log: {outcomes}")
        self.restore(self.new)
        self.log.start()
        self.assertEqual(self.log.get("/readyz").status, 200)

    def test_start_unchecked_goes_on_loudly_and_once(self):
        self.make_history()
        self.restore(self.old)
        self.log.start(start_unchecked="on")
        self.assertRegex(self.log.process.text(), "level=error event=start_unchecked .*mark")
        self.assertIn("overridden by start-unchecked", self.log.get("/healthz").body.decode())
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.log.restart()  # the mark agrees again, though nothing was appended
        self.assertNotIn("start_check_failed", self.log.process.text())
        self.append(b"another history\n")
        self.log.wait_published(701)

    def test_a_mark_that_is_missing_foreign_or_damaged_stops_signing(self):
        self.log.start()
        self.append(lines(b"first", 10))
        self.log.wait_published(10)
        self.assertEqual(self.log.stop(), 0)
        good = read(self.mark)
        origin, size, root, _ = good.decode().split("\n")
        other_root = ("A" if root[0] != "A" else "B") + root[1:]
        for text, reason in (
            (None, "No such file"),
            (b"", "mark"),
            (good[:-1], "mark"),
            (good + b"\n", "mark"),
            (os.urandom(200), "mark"),
            (f"log.example/other\n{size}\n{root}\n".encode(), "another log"),
            (f"{origin}\n{size}\n{other_root}\n".encode(), "another root"),
            (f"{origin}\n11\n{root}\n".encode(), "the journal ends at 10 entries"),
        ):
            with self.subTest(reason=reason, text=text):
                if text is None:
                    os.unlink(self.mark)
                else:
                    write(self.mark, text)
                self.log.start()
                self.assert_reads_only(10, reason)
        write(self.mark, good)
        self.log.start()
        self.assertEqual(self.log.get("/readyz").status, 200)

    def test_a_first_start_needs_no_mark_and_makes_one(self):
        self.log.start()
        self.assertEqual(read(self.mark).split(b"\n")[1], b"0")
        self.assertIn("the mark agrees", self.log.get("/healthz").body.decode())
        self.append(b"one\n")
        self.log.wait_published(1)
        self.assertEqual(read(self.mark).split(b"\n")[1], b"1")

    def test_a_mark_behind_the_journal_is_fine(self):
        """As after a kill: what is durable was not signed yet."""
        self.make_history()
        write(self.mark, read(os.path.join(self.old, "log/checkpoint")).partition(b"\n\n")[0] + b"\n")
        self.log.start()
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.append(b"one more\n")
        self.log.wait_published(751)
        self.assertEqual(read(self.mark).split(b"\n")[1], b"751")

    def test_an_older_journal_is_refused_until_nothing_contradicts_it_and_then_by_the_mark(self):
        self.make_history()
        shutil.rmtree(os.path.join(self.log.data, "journal"))
        copy(os.path.join(self.old, "journal"), os.path.join(self.log.data, "journal"))
        ends = "the journal ends at 700 entries, before 750"
        advice = "put back the latest data directory"
        self.assert_refused(ends, "the published checkpoint", advice)
        os.unlink(os.path.join(self.log.data, "log/checkpoint"))
        self.assert_refused(ends, "the checkpoint signed last", advice)
        os.unlink(os.path.join(self.log.data, "signed"))
        self.log.start()
        self.assertIn(WORDS, self.log.get("/healthz").body.decode())
        self.append(b"one more\n", code=4)
        self.assertEqual(self.log.get("/checkpoint").status, 404)
        self.assertFalse(os.path.exists(os.path.join(self.log.data, "signed")))


class MarkAndWitness(WitnessedCase):
    """The witness agrees with all that the log has; but the mark knows of more that was signed."""

    names = ("w1",)

    def test_no_witness_outvotes_a_mark_that_proves_a_loss(self):
        self.append(3)
        self.log.wait_published(3)
        self.assertEqual(self.log.stop(), 0)
        mark = self.path("log", "mark")
        good = read(mark)
        origin, size, root, _ = good.decode().split("\n")
        self.assertEqual(size, "3")
        other = ("A" if root[0] != "A" else "B") + root[1:]
        for text, reason in (
            (f"{origin}\n4\n{root}\n", "the journal ends at 3 entries"),
            (f"{origin}\n3\n{other}\n", "another root"),
        ):
            write(mark, text.encode())
            self.log.start()
            time.sleep(1)  # the witness would have answered many times
            health = self.log.get("/healthz").body.decode()
            self.assertIn(WORDS, health)
            self.assertIn(reason, health)
            self.assertIn("rollback check: failed", health)
            self.assertEqual(self.log.get("/readyz").status, 503)
            courtroll("append", "--log", self.log.grpc, "-", stdin=b"x", code=4)
            self.assertEqual(self.log.stop(), 0)
            self.assertEqual(read(mark), text.encode())
        self.log.start(start_unchecked="on")
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.assertRegex(self.log.process.text(), "event=start_unchecked .*remove it")
        self.log.restart()
        self.assertIn("the mark agrees", self.log.get("/healthz").body.decode())

    def test_a_mark_that_cannot_be_read_is_for_the_witnesses_to_make_good(self):
        self.append(3)
        self.log.wait_published(3)
        self.assertEqual(self.log.stop(), 0)
        mark = self.path("log", "mark")
        for text in (None, b"", b"garbage\n"):
            if text is None:
                os.unlink(mark)
            else:
                write(mark, text)
            self.log.start()
            wait_until(lambda: self.log.get("/readyz").status == 200, "the witness has answered")
            self.append(1)
            self.log.wait_published(self.count)
            self.assertEqual(self.log.stop(), 0)


class WithoutMark(Case):
    has_mark = False

    def test_an_older_journal_is_refused(self):
        self.make_history()
        shutil.rmtree(os.path.join(self.log.data, "journal"))
        copy(os.path.join(self.old, "journal"), os.path.join(self.log.data, "journal"))
        self.assert_refused("the journal ends at 700 entries, before 750")

    def test_it_says_that_a_rollback_is_not_detectable(self):
        self.log.start()
        text = subprocess.run([LOGD, "--help"], capture_output=True, check=True).stdout.decode()
        self.assertIn(ROLLBACK, " ".join(text.split()))
        self.assertIn("event=rollback_not_detectable", self.log.process.text())
        self.assertIn(ROLLBACK, self.log.get("/healthz").body.decode())
        self.assertIn(ROLLBACK, self.log.get("/").body.decode())

    def test_a_restored_backup_goes_on_and_forks(self):
        """Exactly what it says it cannot detect. Any monitor that saw both notes has the proof."""
        self.make_history()
        self.restore(self.old)
        self.log.start()
        self.assertIn(ROLLBACK, self.log.get("/healthz").body.decode())
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.append(lines(b"another second", 50))
        self.log.wait_published(750)
        self.assertEqual(len(signed_roots(self.log.data, self.new)[750]), 2)


class Lost(Case):
    """Parts of a data directory that are lost or damaged, one by one."""

    has_mark = False  # what is restored here is on purpose

    def make_large(self):
        """Three bundles, most of which the journal has forgotten: (line i) -> entry i."""
        self.log.settings["journal_bytes_max"] = 64 << 20
        self.log.start()
        self.entries = [(b"%d " % i) + b"x" * 60000 for i in range(720)]
        self.append(b"\n".join(self.entries) + b"\n")
        self.log.wait_published(720)
        self.assertEqual(self.log.stop(), 0)
        copy(self.log.data, self.new)

    def damage(self, path, at):
        data = bytearray(read(path))
        data[at] ^= 1
        write(path, data)

    def fsck(self, code, *arguments):
        return courtroll(
            "fsck", "--policy", self.log.policy, "--dir", self.log.data, *arguments, code=code
        ).stdout

    def assert_works(self, index, entry):
        """Starts it: an old entry is found, a new one is taken."""
        self.log.start()
        wait_until(lambda: self.log.get("/readyz").status == 200, "it admits")
        size = self.log.published_size()
        self.assertEqual(self.log.add(entry), index)
        self.assertEqual(self.log.add(b"new %d" % time.time_ns()), size)
        self.log.wait_published(size + 1)
        self.log.fsck()
        self.assertEqual(self.log.stop(), 0)

    def test_the_index_is_built_again(self):
        self.make_history()
        index = os.path.join(self.log.data, "index")
        shutil.rmtree(index)
        self.assert_works(3, b"first 3")
        for path in glob.glob(os.path.join(index, "*")):
            if os.path.isfile(path):
                write(path, b"garbage")
        self.assert_works(720, b"second 20")
        self.restore(self.new)
        shutil.rmtree(index)
        copy(os.path.join(self.old, "index"), index)  # knows less than the log
        self.assert_works(720, b"second 20")
        self.restore(self.old)
        shutil.rmtree(index)
        copy(os.path.join(self.new, "index"), index)  # knows more than the log
        self.assert_works(3, b"first 3")

    def test_tiles_that_the_journal_covers_are_written_again_at_start(self):
        self.make_history()
        for name in ("0/000", "0/001", "entries/000"):
            os.unlink(os.path.join(self.log.public, "tile", name))
        self.assertIn("DAMAGED", self.fsck(1))
        self.assert_works(3, b"first 3")

    def test_lost_hash_tiles_are_rebuilt_by_fsck(self):
        self.make_large()
        os.unlink(os.path.join(self.log.public, "tile/0/000"))
        self.damage(os.path.join(self.log.public, "tile/0/001"), 5)
        self.assertIn("tile/0/000: missing", self.fsck(1))
        self.fsck(0, "--repair")
        self.assertEqual(self.fsck(0).split("\n")[0][:4], "PASS")
        self.assert_works(3, self.entries[3])

    def test_a_lost_bundle_comes_from_a_mirror_or_not_at_all(self):
        self.make_large()
        bundle = os.path.join(self.log.public, "tile/entries/000")
        good = read(bundle)
        os.unlink(bundle)
        self.assertIn("tile/entries/000: missing", self.fsck(1, "--repair"))
        self.assertFalse(os.path.exists(bundle))
        mirror = "file:" + os.path.join(self.new, "log")
        self.fsck(0, "--repair", "--from", mirror)
        self.assertEqual(read(bundle), good)
        self.assert_works(3, self.entries[3])

    def test_a_lost_bundle_that_the_journal_has_comes_from_there(self):
        self.make_history()
        bundle = os.path.join(self.log.public, "tile/entries/001")
        good = read(bundle)
        self.damage(bundle, 40)
        self.assertIn("tile/entries/001", self.fsck(1))
        self.fsck(0, "--repair")
        self.assertEqual(read(bundle), good)

    def test_a_damaged_tile_is_an_error_to_readers_and_never_wrong_bytes(self):
        self.make_large()
        self.log.start()
        self.damage(os.path.join(self.log.public, "tile/0/000"), 5)
        self.damage(os.path.join(self.log.public, "tile/entries/001"), 500)
        self.assertEqual(self.log.get("/tile/0/000").status, 500)
        self.assertEqual(self.log.get("/tile/entries/001").status, 500)
        self.assertEqual(self.log.get("/tile/0/001").status, 200)
        self.assertIn("fsck", self.log.get("/healthz").body.decode())
        self.assertEqual(self.log.stop(), 0)
        self.assert_refused("fsck --dir DIR --repair")  # it is on the way to the root
        self.fsck(0, "--repair", "--from", "file:" + os.path.join(self.new, "log"))
        self.assert_works(3, self.entries[3])

    # The journal is segment files, of records at multiples of 4096; see lib/store/segment.h.

    def segment(self):
        return sorted(glob.glob(os.path.join(self.log.data, "journal/[0-9]*.seg")))[-1]

    def records(self, path):
        """Offsets of the records: magic and epoch in block 0, then nonce and epoch in each."""
        data = read(path)
        epoch, nonce = data[16:24], data[24:40]
        return [
            at for at in range(4096, len(data), 4096) if data[at : at + 24] == nonce + epoch
        ]

    def make_calls(self, count):
        self.log.start()
        for i in range(count):
            self.append(b"call %d\n" % i)
        self.log.wait_published(count)
        self.assertEqual(self.log.stop(), 0)

    def test_a_damaged_journal_is_refused_naming_file_and_offset(self):
        self.make_calls(4)
        path = self.segment()
        records = self.records(path)
        self.assertGreaterEqual(len(records), 4)
        good = read(path)
        for at in (records[1] + 30, records[1] + 97, records[2]):
            self.damage(path, at)
            offset = at // 4096 * 4096
            self.assert_refused("event=cannot_start", path, f"offset {offset}")
            write(path, good)
        self.damage(path, 30)  # block 0
        self.assert_refused("event=cannot_start", path)
        write(path, good)
        write(os.path.join(self.log.data, "journal/notes.txt"), b"not ours")
        self.assert_refused("notes.txt", "move it away")
        os.unlink(os.path.join(self.log.data, "journal/notes.txt"))
        self.assert_works(3, b"call 3")

    def test_a_journal_that_lost_its_published_tail_is_refused(self):
        """A damaged last record looks like a torn one: but its entries were signed."""
        self.make_calls(4)
        path = self.segment()
        self.damage(path, self.records(path)[3] + 97)
        self.assert_refused("the journal ends at 3 entries, before 4")

    def test_a_journal_that_is_gone_is_refused(self):
        self.make_calls(4)
        shutil.rmtree(os.path.join(self.log.data, "journal"))
        self.assert_refused("the journal ends at 0 entries, before 4")

    def test_a_torn_tail_that_nobody_was_told_of_is_cut(self):
        self.make_calls(2)
        path = self.segment()
        last = self.records(path)[-1]
        data = bytearray(read(path))
        header = bytearray(data[last : last + 96])
        (sequence,) = struct.unpack_from(">Q", header, 24)
        struct.pack_into(">Q", header, 24, sequence + 1)  # begun, its checksums not right yet
        data[last + 4096 : last + 4096 + 96] = header
        write(path, data)
        self.log.start()
        self.assertIn("event=journal_tail_cut", self.log.process.text())
        self.assertEqual(self.log.stop(), 0)
        self.assert_works(1, b"call 1")


if __name__ == "__main__":
    unittest.main()
