#!/usr/bin/python3
# Takes long.
"""The log's side of witnessing, against witnesses that are honest, slow, broken and lying.

fake_witness.py plays them. What must hold: nothing that one of them does delays the others' quorum,
stops the log or gets into a receipt, but for a note under the log's own key that its tree contradicts,
which stops the signing for good.
"""
import glob
import os
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from fake_witness import MODES, FakeWitness, policy_text, verify_consistency  # noqa: E402
from logd import Logd, courtroll, wait_until  # noqa: E402

try:
    import grpc
    from rpc import Rpc, field, fields
except ImportError:
    grpc = None

needs_grpc = unittest.skipIf(grpc is None, "python3-grpcio is not installed")
WRONG = [mode for mode in MODES if mode not in ("good", "slow")]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Case(unittest.TestCase):
    names = ("w1", "w2", "w3")
    quorum = 2
    has_url = True
    has_mark = True
    settings = {"checkpoint_interval_ms": 50}

    def setUp(self):
        self.witnesses = []
        for name in self.names:
            self.witnesses.append(FakeWitness(name))
            self.addCleanup(self.witnesses[-1].stop)
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.log = self.make("log")
        self.count = 0

    def make(self, name, is_started=True):
        directory = os.path.join(self.dir, name)
        os.makedirs(directory, exist_ok=True)
        settings = dict(self.settings, http_add="on")
        if self.has_mark:
            settings["mark_path"] = os.path.join(directory, "mark")
        text = policy_text(self.witnesses, self.quorum, self.has_url)
        log = Logd(directory, policy_text=text, is_started=is_started, **settings)
        self.addCleanup(log.close)
        return log

    def set_mode(self, mode, *witnesses):
        for witness in witnesses:
            witness.mode = mode

    def witnessed(self, code=0, timeout=None, log=None):
        """Appends one entry and waits for its receipt: (seconds, receipt, stderr)."""
        log = log or self.log
        self.count += 1
        with tempfile.TemporaryDirectory(dir=self.dir) as directory:
            path = os.path.join(directory, "entry")
            with open(path, "wb") as file:
                file.write(f"{log.dir} {self.count}".encode())
            began = time.monotonic()
            done = courtroll(
                "append", "--log", log.grpc, "--wait", "witnessed", "--policy", log.policy,
                "--proof-dir", directory, path, code=code,
                *(["--timeout", timeout] if timeout else []),
            )  # fmt: skip
            took = time.monotonic() - began
            proofs = glob.glob(os.path.join(directory, "*.tlog-proof"))
            if code != 0:
                self.assertEqual(proofs, [])
                return took, None, done.stderr
            verdict = courtroll(
                "verify", "--policy", log.policy, "--proof", proofs[0], path, code=0
            )
            self.assertTrue(verdict.stdout.startswith("PASS"), verdict.stdout)
            with open(proofs[0], "rb") as file:
                return took, file.read(), done.stderr

    def health(self, log=None):
        return (log or self.log).get("/healthz").body.decode()

    def is_degraded(self):
        return self.health().startswith("degraded")

    def note(self):
        return self.log.get("/checkpoint").body.decode()

    def line_of(self, witness, note=None):
        """The note's line under the witness's key, or None."""
        for line in (note or self.note()).split("\n"):
            if line.startswith(f"\u2014 {witness.key.name} "):
                return line
        return None

    def metric(self, name, **labels):
        wanted = name + "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "} "
        for row in self.log.get("/metrics").body.decode().split("\n"):
            if row.startswith(wanted):
                return int(row[len(wanted):])
        raise AssertionError(wanted)

    def assert_one_root_a_size(self):
        """In whatever the fakes were shown, and in the archive."""
        roots = {}
        for path in glob.glob(os.path.join(self.log.public, "archive/*-*-*/*/*")):
            rows = read(path).split("\n")
            for i in range(2, len(rows) - 1):
                if rows[i + 1] == "" and rows[i - 1].isdigit():
                    roots.setdefault(int(rows[i - 1]), set()).add(rows[i])
        self.assertTrue(roots)
        for size, found in roots.items():
            self.assertEqual(len(found), 1, size)


class Honest(Case):
    def test_append_is_answered_with_a_receipt_that_meets_the_policy(self):
        for _ in range(3):
            took, receipt, _ = self.witnessed()
            self.assertLess(took, 5)
            names = [w.key.name for w in self.witnesses if w.key.name.encode() in receipt]
            self.assertGreaterEqual(len(names), 2)
        self.assertFalse(self.is_degraded())
        self.log.fsck()

    def test_every_witness_is_under_the_published_note_soon(self):
        self.witnessed()
        wait_until(lambda: all(self.line_of(w) for w in self.witnesses), "all three lines")
        note = self.note()
        self.log.restart()
        self.assertEqual(self.note(), note)  # on the disk too

    def test_the_archive_keeps_the_lines_of_the_first_quorum(self):
        self.set_mode("slow", self.witnesses[2])
        self.witnessed()
        wait_until(lambda: self.line_of(self.witnesses[2]), "the late line")
        paths = glob.glob(os.path.join(self.log.public, "archive/*-*-*/*/*"))
        archived = "".join(read(path) for path in paths)
        self.assertIn("\n1\n", archived)
        last = archived.split("\n\n" + "log.example/test\n")[-1]
        self.assertIsNone(self.line_of(self.witnesses[2], last))
        self.assertIsNotNone(self.line_of(self.witnesses[0], last))

    def test_a_late_cosignature_is_in_the_next_receipt(self):
        self.set_mode("slow", self.witnesses[2])
        _, receipt, _ = self.witnessed()
        self.assertNotIn(b"w3.example", receipt)
        wait_until(lambda: self.line_of(self.witnesses[2]), "the late line")
        path = os.path.join(self.dir, "late.tlog-proof")
        courtroll("prove", "--log", self.log.grpc, "--policy", self.log.policy, "--index", "0",
                  "--out", path, code=0)  # fmt: skip
        with open(path, "rb") as file:
            self.assertIn(b"w3.example", file.read())

    @needs_grpc
    def test_one_that_is_slower_than_the_rounds_counts_in_receipts(self):
        slow = self.witnesses[2]
        slow.slow_s = 0.7
        self.set_mode("slow", slow)
        self.witnessed()
        receipt = ""

        def has_line():
            nonlocal receipt
            self.witnessed()  # newer notes are published all the while
            with Rpc(self.log.grpc) as rpc:
                reply = fields(rpc.call("/courtroll.v1.Log/GetReceipt", field(1, 0)))
            receipt = dict(reply)[1].decode()
            return "w3.example" in receipt

        wait_until(has_line, "a receipt with the slow one's line", timeout=20)
        self.assertIn("w1.example", receipt)
        size = int(receipt.partition("\nlog.example/test\n")[2].split("\n")[0])
        self.assertLess(size, self.log.published_size())
        self.assertFalse(self.is_degraded())

    def test_status_page_metrics_and_health_show_each_witness(self):
        self.witnessed()
        wait_until(lambda: all(self.line_of(w) for w in self.witnesses), "all three lines")
        page = self.log.get("/").body.decode()
        for witness in self.witnesses:
            self.assertIn(f"witness {witness.name}: ok; cosigned size 1", self.health())
            self.assertIn(f"<th>{witness.name}</th><td>ok; cosigned size 1", page)
            self.assertEqual(self.metric("courtroll_witness_ok", witness=witness.name), 1)
            self.assertEqual(self.metric("courtroll_witness_size", witness=witness.name), 1)
            self.assertGreaterEqual(
                self.metric("courtroll_witness_age_seconds", witness=witness.name), 0
            )
        self.assertIn("courtroll_contradiction 0\n", self.log.get("/metrics").body.decode())
        self.assertRegex(self.log.process.text(), "event=weak_policy f=1 ")

    @needs_grpc
    def test_get_status_lists_the_witnesses(self):
        self.witnessed()
        wait_until(lambda: all(self.line_of(w) for w in self.witnesses), "all three lines")
        with Rpc(self.log.grpc) as rpc:
            reply = fields(rpc.call("/courtroll.v1.Log/GetStatus", b""))
        witnesses = [dict(fields(value)) for number, value in reply if number == 18]
        self.assertEqual([w[1] for w in witnesses], [b"w1", b"w2", b"w3"])
        for witness in witnesses:
            self.assertEqual((witness[2], witness[4], witness.get(7, 0)), (1, 1, 0))
            self.assertLess(abs(witness[3] - time.time()), 60)

    def test_an_idle_log_asks_nobody(self):
        self.witnessed()
        wait_until(lambda: all(self.line_of(w) for w in self.witnesses), "all three lines")
        before = [w.posts for w in self.witnesses]
        time.sleep(1)
        self.assertEqual([w.posts for w in self.witnesses], before)

    def test_a_restart_learns_what_the_witnesses_hold(self):
        self.witnessed()
        self.log.restart()  # it believes that they hold nothing: 409, and again
        self.witnessed()
        self.witnessed()
        self.assertFalse(self.is_degraded())
        failures = [
            row for row in self.log.get("/metrics").body.decode().split("\n")
            if row.startswith("courtroll_witness_failures_total") and not row.endswith(" 0")
        ]  # fmt: skip
        self.assertEqual(failures, [])


class OneIsWrong(Case):
    def test_none_of_its_ways_delays_the_quorum_or_enters_a_receipt(self):
        wrong = self.witnesses[2]
        self.witnessed()
        times = {}
        for mode in WRONG:
            with self.subTest(mode=mode):
                self.set_mode(mode, wrong)
                wrong.redirect_to = self.witnesses[0].url
                for _ in range(3):
                    took, receipt, _ = self.witnessed()
                    times[mode] = max(took, times.get(mode, 0))
                    self.assertNotIn(b"w3.example", receipt)
                self.assertFalse(self.is_degraded(), self.health())
                self.assertEqual(self.log.get("/readyz").status, 200)
                if mode == "hang":
                    wrong.released.set()  # or all others would find it busy for 10 s
                wait_until(
                    lambda: "witness w3: ok" not in self.health(), f"{mode} is noticed", timeout=40
                )
                self.set_mode("good", wrong)
                wait_until(lambda: self.line_of(wrong), "it is back", timeout=40)
                wrong.released.clear()
        print("slowest of three with one witness wrong:",
              ", ".join(f"{mode} {1000 * took:.0f} ms" for mode, took in times.items()))
        self.assertLess(max(times.values()), 3)
        self.assertEqual(self.metric("courtroll_witness_bad_lines_total", witness="w1"), 0)
        for kind in ("refused", "malformed", "bad_signature", "bad_time", "claim", "unreachable",
                     "no_cosignature"):  # fmt: skip
            with self.subTest(kind=kind):
                self.assertGreater(
                    self.metric("courtroll_witness_failures_total", witness="w3", kind=kind), 0
                )
        for line in self.log.process.lines:  # nothing of a peer's is a line of ours
            self.assertRegex(line, r"^time=\S+ level=")
            self.assertNotIn("\x1b", line)
        self.assert_one_root_a_size()
        self.log.fsck()

    def test_a_hanging_one_costs_nothing(self):
        self.set_mode("hang", self.witnesses[0])
        self.witnessed()
        times = sorted(self.witnessed()[0] for _ in range(10))
        print(f"with one hanging: {1000 * times[5]:.0f} ms, at most {1000 * times[-1]:.0f} ms")
        self.assertLess(times[-1], 2)
        self.assertEqual(self.witnesses[0].posts, 1)  # one request at a time


class TwoAreWrong(Case):
    def test_the_log_is_degraded_visibly_and_recovers(self):
        self.witnessed()
        published = self.log.published_size()
        for witness in self.witnesses[1:]:
            witness.stop()
        took, _, words = self.witnessed(code=4, timeout="3")
        self.assertLess(took, 10)
        self.assertIn("no quorum", words)
        self.assertIn("w2 cannot be reached", words)
        self.assertIn("w3 cannot be reached", words)
        self.assertNotIn("w1 ", words)
        wait_until(self.is_degraded, "it says so")
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.assertIn("no quorum", self.log.get("/").body.decode())
        self.assertEqual(self.log.published_size(), published)
        for i in range(5):  # durable entries are taken
            self.log.add(b"entry %d" % i)
        self.assertEqual(self.log.published_size(), published)
        for witness in self.witnesses[1:]:
            witness.start()
        self.log.wait_published(published + 6, timeout=60)
        wait_until(lambda: not self.is_degraded(), "it is well again")
        self.witnessed()
        self.assert_one_root_a_size()

    def test_lies_are_no_quorum(self):
        self.witnessed()
        for mode in ("wrong-key", "hundred-lines", "garbage", "absurd", "future", "zero-time"):
            with self.subTest(mode=mode):
                published = self.log.published_size()
                self.set_mode(mode, *self.witnesses[1:])
                _, _, words = self.witnessed(code=4, timeout="2")
                self.assertIn("no quorum", words)
                self.assertEqual(self.log.published_size(), published)
                for witness in self.witnesses[1:]:
                    self.assertIsNone(
                        self.line_of(witness) if self.log.published_size() > published else None
                    )
                self.set_mode("good", *self.witnesses)
                self.log.wait_published(published + 1, timeout=60)

    def test_a_quorum_that_comes_late_is_published(self):
        """Two are slower than a caller waits, and each other round finds them busy."""
        self.witnesses[1].slow_s = self.witnesses[2].slow_s = 3
        self.set_mode("slow", *self.witnesses[1:])
        _, _, words = self.witnessed(code=4, timeout="1")
        self.assertIn("has not answered yet", words)
        self.log.wait_published(1, timeout=20)

    def test_below_quorum_newer_trees_are_signed(self):
        self.witnessed()
        self.set_mode("error", *self.witnesses[1:])
        self.log.add(b"one")
        wait_until(lambda: self.witnesses[0].size() == 2, "the round of 2")
        self.log.add(b"two")
        wait_until(lambda: self.witnesses[0].size() == 3, "the round after", timeout=30)
        self.assertEqual(self.log.published_size(), 1)
        self.assertTrue(self.is_degraded())
        self.set_mode("good", *self.witnesses[1:])
        self.log.wait_published(3, timeout=60)


class Clones(Case):
    def test_one_of_two_clones_stops_within_a_round(self):
        self.witnessed()
        self.witnessed()
        self.assertEqual(self.log.stop(), 0)
        clone = self.make("clone", is_started=False)
        shutil.rmtree(clone.dir)
        shutil.copytree(self.log.dir, clone.dir)
        clone.policy = self.log.policy
        self.log.start()
        clone.start()
        self.witnessed()  # the first is cosigned
        clone.add(b"another history")
        clone.process.wait_for("event=contradiction ", timeout=20)
        wait_until(lambda: clone.get("/readyz").status == 503, "it admits nothing")
        self.assertIn("nothing is signed any more", self.health(clone))
        self.assertEqual(clone.request("POST", "/add", b"more").status, 503)
        self.assertIn("courtroll_contradiction 1\n", clone.get("/metrics").body.decode())
        self.assertEqual(clone.published_size(), 2)  # reads are served
        courtroll("fsck", "--policy", clone.policy, "--log", clone.url(), code=0)
        wait_until(
            lambda: len(glob.glob(os.path.join(clone.data, "contradiction/*.theirs"))) == 1,
            "both notes are kept",
        )
        kept = [os.path.join(clone.data, "contradiction", name)
                for name in os.listdir(os.path.join(clone.data, "contradiction"))]  # fmt: skip
        self.assertEqual(len(kept), 2)
        texts = [read(path) for path in kept]
        self.assertEqual([text.split("\n")[1] for text in texts], ["3", "3"])
        self.assertNotEqual(texts[0].split("\n")[2], texts[1].split("\n")[2])
        for text in texts:
            self.assertIn("\u2014 log.example/test ", text)
        self.witnessed()  # the other goes on
        signed = read(os.path.join(clone.data, "signed"))
        self.assertEqual(clone.stop(), 0)
        clone.start()  # and does not forget
        self.assertEqual(clone.get("/readyz").status, 503)
        self.assertIn("contradiction/", self.health(clone))
        time.sleep(0.3)
        self.assertEqual(read(os.path.join(clone.data, "signed")), signed)

    def test_a_clone_that_is_behind_stops_too(self):
        self.witnessed()
        self.assertEqual(self.log.stop(), 0)
        clone = self.make("clone", is_started=False)
        shutil.rmtree(clone.dir)
        shutil.copytree(self.log.dir, clone.dir)
        self.log.start()
        for _ in range(4):
            self.witnessed()
        clone.start()
        clone.add(b"another history")
        clone.process.wait_for("event=contradiction .*size=5 ", timeout=20)
        self.assertEqual(clone.published_size(), 1)


class StartCheck(Case):
    has_mark = False

    def backup(self):
        """Two entries, a copy, and two more: the copy is put back."""
        self.witnessed()
        self.witnessed()
        self.assertEqual(self.log.stop(), 0)
        old = os.path.join(self.dir, "old")
        shutil.copytree(self.log.data, old)
        self.log.start()
        self.witnessed()
        self.witnessed()
        self.assertEqual(self.log.stop(), 0)
        shutil.rmtree(self.log.data)
        shutil.copytree(old, self.log.data)

    def test_a_restored_backup_signs_nothing(self):
        self.backup()
        self.log.start()
        self.log.process.wait_for("event=contradiction ", timeout=20)
        self.assertIn("nothing is signed any more", self.health())
        self.assertEqual(self.log.get("/readyz").status, 503)
        self.assertEqual(self.log.published_size(), 2)
        signed = os.path.join(self.log.data, "signed")
        self.assertEqual(read(signed).split("\n")[1], "2")
        self.assertEqual(self.log.request("POST", "/add", b"more").status, 503)

    def test_a_restored_backup_is_noticed_by_witnesses_that_cannot_show_what_they_hold(self):
        self.backup()
        for witness in self.witnesses:
            witness.has_get = False
        self.log.start()
        wait_until(lambda: "holds a newer checkpoint" in self.health(), "it says so")
        self.assertEqual(self.log.get("/readyz").status, 503)
        time.sleep(1)
        self.assertEqual(self.log.get("/readyz").status, 503)
        self.assertEqual(self.log.request("POST", "/add", b"more").status, 503)
        self.assertEqual(read(os.path.join(self.log.data, "signed")).split("\n")[1], "2")

    def test_witnesses_that_cannot_show_what_they_hold_pass_a_log_that_is_whole(self):
        for witness in self.witnesses:
            witness.has_get = False
        self.log.restart()  # nobody has cosigned any entries yet
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.witnessed()
        wait_until(lambda: all(w.size() == 1 for w in self.witnesses), "all hold it")
        self.log.restart()
        wait_until(lambda: self.log.get("/readyz").status == 200, "it goes on")
        self.witnessed()

    def test_who_has_forgotten_what_it_cosigned_vouches_for_nothing(self):
        self.witnessed()
        wait_until(lambda: all(self.line_of(w) for w in self.witnesses), "all three lines")
        self.assertEqual(self.log.stop(), 0)
        for witness in self.witnesses:
            witness.sizes, witness.notes, witness.roots = {}, {}, {}
            witness.has_get = False
        self.log.start()
        self.assertEqual(self.log.get("/readyz").status, 503)
        wait_until(lambda: "has forgotten what it cosigned" in self.health(), "it says so")

    def test_it_waits_for_a_blocking_set(self):
        """One of three that is silent is fine, two are not: a quorum could be made of them."""
        self.witnessed()
        self.assertEqual(self.log.stop(), 0)
        self.set_mode("hang", self.witnesses[0])
        self.log.start()
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.assertIn("the witnesses have shown no newer history", self.health())
        self.log.kill()
        self.set_mode("close", self.witnesses[1])
        began = time.monotonic()
        self.log.start()
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(self.log.get("/readyz").status, 503)
        self.assertEqual(self.log.published_size(), 1)
        self.assertIn("waiting for w1, w2", self.health())
        self.assertIn("asking the witnesses", self.health())
        self.assertEqual(self.log.request("POST", "/add", b"more").status, 503)
        self.set_mode("good", self.witnesses[1])
        wait_until(lambda: self.log.get("/readyz").status == 200, "it goes on", timeout=40)
        self.witnessed()

    def test_start_unchecked_overrides(self):
        self.witnessed()
        self.assertEqual(self.log.stop(), 0)
        for witness in self.witnesses:
            witness.stop()
        self.log.start(start_unchecked="on")
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.assertIn("overridden by start-unchecked", self.health())
        self.assertRegex(self.log.process.text(), "level=error event=start_unchecked ")

    def test_notes_that_are_not_ours_pass_no_check(self):
        self.witnessed()
        self.assertEqual(self.log.stop(), 0)
        self.set_mode("other-note", *self.witnesses)
        self.log.start()
        self.assertEqual(self.log.get("/readyz").status, 503)
        self.assertFalse(os.path.exists(os.path.join(self.log.data, "contradiction")))
        self.set_mode("good", *self.witnesses)
        wait_until(lambda: self.log.get("/readyz").status == 200, "it goes on", timeout=40)

    def test_a_mark_that_agrees_asks_nobody(self):
        mark = os.path.join(self.dir, "mark")
        self.witnessed()
        self.log.restart(mark_path=mark, start_unchecked="on")
        self.witnessed()
        self.assertEqual(self.log.stop(), 0)
        for witness in self.witnesses:
            witness.stop()
        self.log.start(mark_path=mark)
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.assertIn("the mark agrees with the journal", self.health())


EXPORT, ADD = "/courtroll.v1.Log/ExportCheckpoint", "/courtroll.v1.Log/AddCosignatures"


@needs_grpc
class Files(Case):
    """Witnesses that no network reaches: their policy lines have no URL."""

    has_url = False
    names = ("w1", "w2")

    def export(self, *old_sizes):
        """(note, {old size: proof})"""
        message = b"".join(field(1, size) for size in old_sizes)
        with Rpc(self.log.grpc) as rpc:
            reply = fields(rpc.call(EXPORT, message))
        proofs = {}
        for number, value in reply:
            if number == 2:
                one = fields(value)
                proofs[dict(one).get(1, 0)] = [v for n, v in one if n == 2]
        return dict(reply)[1].decode(), proofs

    def bring(self, note, *witnesses, when=None):
        """(size, added, known, published size, names)"""
        text = note.partition("\n\n")[0] + "\n"
        lines = "".join(w.line(text, when) for w in witnesses)
        with Rpc(self.log.grpc) as rpc:
            reply = fields(rpc.call(ADD, field(1, (text + "\n" + lines).encode())))
        one = dict(reply)
        names = [v.decode() for n, v in reply if n == 5]
        return one.get(1, 0), one.get(2, 0), one.get(3, 0), one.get(4, 0), names

    def size_of(self, note):
        return int(note.split("\n")[1])

    def refused(self, code, note):
        with Rpc(self.log.grpc) as rpc, self.assertRaises(grpc.RpcError) as caught:
            rpc.call(ADD, field(1, note.encode()))
        self.assertEqual(caught.exception.code(), code, caught.exception.details())

    def test_cosignatures_count_whenever_they_come(self):
        w1, w2 = self.witnesses
        zero, _ = self.export()
        self.assertEqual(self.size_of(zero), 0)
        self.assertEqual(self.log.get("/checkpoint").status, 404)
        self.log.add(b"one")
        self.assertEqual(self.bring(zero, w1)[:3], (0, 1, 0))
        self.assertEqual(self.bring(zero, w1, when=1790000000)[:3], (0, 0, 1))  # an older one
        self.bring(zero, w2)
        wait_until(lambda: self.log.get("/checkpoint").status == 200, "size 0 is published")
        one, proofs = self.export(0, 1, 7)
        self.assertEqual(self.size_of(one), 1)
        self.assertEqual(proofs, {0: [], 1: []})
        for i in range(9):
            self.log.add(b"entry %d" % i)
        # Late, in the wrong order, and over a restart and later rounds.
        self.assertEqual(self.bring(one, w2)[1], 1)
        wait_until(lambda: os.listdir(os.path.join(self.log.data, "exported")), "it is pinned")
        time.sleep(0.5)
        self.log.restart()
        self.assertEqual(self.bring(one, w2, when=1790000000)[1:3], (0, 1))
        # By now its partial bundle may be gone: the full one has the entries too.
        with Rpc(self.log.grpc) as rpc:
            rpc.append(*(b"further %d" % i for i in range(300)))
        bundles = os.path.join(self.log.public, "tile/entries")
        wait_until(lambda: os.path.exists(os.path.join(bundles, "000")), "the full bundle")
        os.unlink(os.path.join(bundles, "000.p/1"))
        self.assertEqual(self.bring(one, w1)[4], ["w1"])
        self.log.wait_published(1)
        path = tlog.tile_path("entries", 0, 1)
        self.assertEqual(self.log.get("/" + path).body, b"\0\3one")
        for witness in self.witnesses:
            self.assertIsNotNone(self.line_of(witness))
        self.log.fsck()

    def test_a_proof_leads_from_each_old_size(self):
        entries = [b"entry %d" % i for i in range(11)]
        for entry in entries:
            self.log.add(entry)
        leaves = [tlog.leaf_hash(entry) for entry in entries]
        w1, w2 = self.witnesses

        def newest():
            note, _ = self.export()
            self.bring(note, w1, w2)
            return self.size_of(note)

        wait_until(lambda: newest() == 11, "all eleven")
        self.log.wait_published(11)
        note, proofs = self.export(*range(64))
        self.assertEqual(sorted(proofs), list(range(12)))
        new_root = tlog.root(leaves)
        self.assertEqual(note.split("\n")[2], tlog.b64(new_root))
        for old in range(1, 11):
            self.assertTrue(
                verify_consistency(old, 11, tlog.root(leaves[:old]), new_root, proofs[old]), old
            )
        with Rpc(self.log.grpc) as rpc, self.assertRaises(grpc.RpcError) as caught:
            rpc.call(EXPORT, b"".join(field(1, size) for size in range(65)))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_nothing_wrong_is_taken(self):
        w1, w2 = self.witnesses
        stranger = FakeWitness("w9", is_started=False)
        note, _ = self.export()
        text = note.partition("\n\n")[0] + "\n"
        size0 = self.log.published_size
        status = grpc.StatusCode
        self.refused(status.INVALID_ARGUMENT, "nonsense")
        self.refused(status.INVALID_ARGUMENT, text)
        self.refused(status.PERMISSION_DENIED, text + "\n" + stranger.line(text))
        self.refused(status.PERMISSION_DENIED, text + "\n" + w1.line(text + "x\n"))
        self.refused(status.PERMISSION_DENIED, text + "\n" + w1.line(text, int(time.time()) + 3600))
        other = text.replace("log.example/test", "log.example/other")
        self.refused(status.PERMISSION_DENIED, other + "\n" + w1.line(other))
        extended = text + "extension\n"
        self.refused(status.INVALID_ARGUMENT, extended + "\n" + w1.line(extended))
        large = f"log.example/test\n5\n{tlog.b64(bytes(32))}\n"
        self.refused(status.NOT_FOUND, large + "\n" + w1.line(large))
        self.refused(status.RESOURCE_EXHAUSTED, "x" * 200000)
        self.assertEqual(size0(), 0)
        self.assertFalse(os.path.exists(os.path.join(self.log.data, "contradiction")))
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.bring(note, stranger, w1)
        self.bring(note, w2)
        wait_until(lambda: self.log.get("/checkpoint").status == 200, "the good ones count")

    def test_a_note_of_ours_that_contradicts_stops_the_log(self):
        self.export()
        key = tlog.Key.from_file(self.log.key)
        text = f"log.example/test\n1\n{tlog.b64(bytes(32))}\n"
        self.refused(
            grpc.StatusCode.NOT_FOUND,
            text + "\n" + key.line(text) + self.witnesses[0].line(text),
        )
        self.log.process.wait_for("event=contradiction ")
        self.assertEqual(self.log.get("/readyz").status, 503)


class Nested(Case):
    names = ("w1", "w2", "w3", "w4")

    def make(self, name, is_started=True):
        log = super().make(name, is_started=False)
        lines = "".join(w.policy_line() for w in self.witnesses)
        with open(log.policy, "w", encoding="utf-8") as file:
            file.write(f"log {log.vkey}\n{lines}group court any w1 w2\ngroup audit all w3 w4\n"
                       "group both all court audit\nquorum both\n")  # fmt: skip
        return log.start() if is_started else log

    def test_nested_groups_decide(self):
        self.witnessed()
        self.witnesses[0].stop()
        self.witnessed()
        self.witnesses[3].stop()
        _, _, words = self.witnessed(code=4, timeout="2")
        self.assertIn("w4 cannot be reached", words)
        self.witnesses[3].start()
        self.log.wait_published(3, timeout=60)


if __name__ == "__main__":
    unittest.main()
