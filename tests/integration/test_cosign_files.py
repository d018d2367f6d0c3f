#!/usr/bin/python3
# Takes long.
"""Witnesses that no network reaches: checkpoints leave as files, cosignatures come back as files.

Everything here is real: courtroll-logd, courtroll-witness, and `courtroll cosign export|sign|import`
between them, whose files the tests lose, double, delay, mix up and damage. What must hold: a witness
signs nothing but the log's own consistent checkpoints, the log takes nothing but good cosignatures, and
whatever order they come in, what a quorum has cosigned is published and proves itself.
"""
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from logd import COURTROLL, Logd, Process, courtroll, wait_until  # noqa: E402
from witness import Witness  # noqa: E402

try:
    import grpc
    from rpc import Rpc, field, fields
except ImportError:
    grpc = None

RECEIPT = "/courtroll.v1.Log/GetReceipt"
EXPORT = "/courtroll.v1.Log/ExportCheckpoint"
ADD = "/courtroll.v1.Log/AddCosignatures"
DONE, VERDICT, REFUSED = 0, 1, 4
EXPORTS_KEPT = 16


def read(path):
    with open(path, "rb") as file:
        return file.read()


def text_of(path):
    """Of a cosignature file: (the checkpoint's text, the witness's lines, below the log's own)."""
    text, lines = read(path).decode().split("\n\n")
    log, lines = lines.split("\n", 1)
    assert log.startswith(f"\u2014 {text.splitlines()[0]} "), log
    return text + "\n", lines


class Case(unittest.TestCase):
    """`f1`, `f2`, ... are reached by files alone; the log asks `w1`, `w2`, ... itself."""

    names = ("f1", "f2")
    rule = "all"
    has_mark = True

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.log = self.make_log("log", "log.example/files")
        self.witnesses = {name: self.make_witness(name) for name in self.names}
        self.policy(self.log.policy, self.log, self.rule)
        self.history = self.path("history")
        self.count = 0
        self.log.start()

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def make_log(self, name, origin):
        """Only its keys: witnesses want to know them before its policy can know theirs."""
        os.mkdir(self.path(name))
        settings = {"checkpoint_interval_ms": 50}
        if self.has_mark:
            settings["mark_path"] = self.path(name, "mark")
        log = Logd(self.path(name), origin=origin, is_started=False, **settings)
        self.addCleanup(log.close)
        return log

    def make_witness(self, name, log=None):
        os.mkdir(self.path(name))
        witness = Witness(
            [(log or self.log).vkey], self.path(name), f"{name}.example/2026",
            grpc_listen=f"unix:{self.path(name, 'socket')}",
        )  # fmt: skip
        self.addCleanup(witness.close)
        return witness

    def policy(self, path, log, rule):
        """All witnesses in one group."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"log {log.vkey}\n")
            for name, witness in self.witnesses.items():
                url = f" {witness.url()}/" if name.startswith("w") else ""
                file.write(f"witness {name} {witness.vkey}{url}\n")
            file.write(f"group g {rule} {' '.join(self.witnesses)}\nquorum g\n")
        return path

    # -- The three words --

    def export(self, name, *arguments, code=DONE, log=None):
        """A request file: (path, what --json says of it)."""
        path = self.path(name)
        log = log or self.log
        done = courtroll(
            "cosign", "export", "--log", log.grpc, "--policy", log.policy, "--out", path, "--json",
            *arguments, code=code,
        )  # fmt: skip
        if code != DONE:
            self.assertFalse(os.path.exists(path))
        return path, json.loads(done.stdout)

    def export_next(self, name, size=0):
        """With proofs from all that was exported before; the path, and the size. At least of `size`: what is
        signed is there to be exported a moment later."""
        for _ in range(100):
            path, told = self.export(name, "--history", self.history)
            if told["size"] >= size:
                break
            os.remove(path)
            time.sleep(0.1)
        return path, told["size"]

    def sign(self, witness, *files, code=DONE, over="http"):
        """What became of each file, by its name; the cosignatures are in a directory of the witness."""
        witness = self.witnesses.get(witness, witness)
        address = witness.url() if over == "http" else witness.grpc
        done = courtroll(
            "cosign", "sign", "--witness", address, "--out-dir", os.path.join(witness.dir, "back"),
            "--json", *files, code=code,
        )  # fmt: skip
        return {os.path.basename(f["file"]): f for f in json.loads(done.stdout)["files"]}

    def signed(self, witness, path, over="http"):
        """Of one file that is signed: the cosignature's path."""
        row = self.sign(witness, path, over=over)[os.path.basename(path)]
        self.assertEqual(row["result"], "signed", row)
        return row["out"]

    def back(self, name, size):
        """Where its cosignature of that size is."""
        log = hashlib.sha256(self.log.origin.encode()).hexdigest()[:8]
        return self.path(name, "back", f"{log}-{size}.cosignature")

    def bring(self, *files, code=DONE, wait=None, log=None, policy=None):
        """Imports: what the log says of each file, in order."""
        log = log or self.log
        done = courtroll(
            "cosign", "import", "--log", log.grpc, "--policy", policy or log.policy, "--json",
            *(["--wait", wait] if wait else []), *files, code=code,
        )  # fmt: skip
        return json.loads(done.stdout)["files"]

    def taken(self, path, new, known=0):
        """Imports one file of one cosignature that is good."""
        row = self.bring(path)[0]
        self.assertTrue(row["ok"], row)
        self.assertEqual((row["new"], row["known"]), (new, known), row)
        return row

    # -- The log --

    def append(self, count=1):
        """In one commit, so that a round has all of them."""
        entries = [f"entry {self.count + i}".encode() for i in range(count)]
        self.count += count
        self.log.append(*entries)

    def move_on(self, count=1):
        """More entries, and a round that has them though the one before has no quorum: a new process
        does not wait for it."""
        self.append(count)
        self.crash()
        self.wait_signed(self.count)

    def wait_stored(self, name, size):
        """It has a cosignature of an exported size on the disk."""
        path = os.path.join(self.log.data, "exported", str(size))
        wait_until(lambda: self.witnesses[name].name.encode() in read(path), f"{name} is stored")

    def crash(self, **overrides):
        """A polite stop would wait three seconds for cosignatures that nobody brings."""
        self.log.kill()
        self.log.start(**overrides)

    def wait_signed(self, size):
        path = os.path.join(self.log.data, "signed")
        wait_until(lambda: f"\n{size}\n".encode() in read(path), f"{size} is signed")

    def note(self):
        return self.log.get("/checkpoint").body.decode()

    def signers(self, note=None):
        """The names of the witnesses whose lines are under the published note, each verified."""
        text, lines = (note or self.note()).split("\n\n")
        found = []
        for name, witness in self.witnesses.items():
            for line in lines.splitlines():
                if line.startswith(f"\u2014 {witness.name} "):
                    self.assertTrue(witness.key.verify_line(text + "\n", line))
                    found.append(name)
        return found

    def is_published(self):
        return self.log.get("/checkpoint").status == 200

    def verify(self, proof, index, names, policy=None):
        """A receipt passes, and names who has cosigned."""
        entry = self.path("entry")
        with open(entry, "wb") as file:
            file.write(f"entry {index}".encode())
        done = courtroll(
            "verify", "--policy", policy or self.log.policy, "--proof", proof, "--json", entry,
            code=DONE,
        )  # fmt: skip
        got = json.loads(done.stdout)
        self.assertTrue(got["ok"] and got["quorum_met"] and got["bad_signatures"] == 0, got)
        cosigned = {w["name"]: w["time"] for w in got["witnesses"] if w["cosigned"]}
        self.assertEqual(sorted(cosigned), sorted(names))
        for name, seconds in cosigned.items():
            self.assertLess(abs(time.time() - seconds), 120, name)
        self.assertEqual({w["key_name"] for w in got["witnesses"]},
                         {w.name for w in self.witnesses.values()})  # fmt: skip
        return got["size"]

    def receipts(self, names, policy=None):
        """Every published entry has one, over HTTP and over gRPC, that meets the policy."""
        size, proof = self.log.published_size(), self.path("tlog-proof")
        self.assertGreater(size, 0)
        for index in {0, size // 2, size - 1}:
            courtroll(
                "prove", "--log", self.log.url(), "--policy", self.log.policy, "--index", index,
                "--out", proof, code=DONE,
            )  # fmt: skip
            self.assertEqual(self.verify(proof, index, names, policy), size)
            if grpc is not None:
                with Rpc(self.log.grpc) as rpc, open(proof, "wb") as file:
                    file.write(dict(fields(rpc.call(RECEIPT, field(1, index))))[1])
                # Of the note with the most cosignatures, which may be an earlier one.
                self.assertIn(self.verify(proof, index, names, policy), range(index + 1, size + 1))


class TwoFileDrops(Case):
    """Two witnesses make the quorum, and neither has a network."""

    def test_out_and_back(self):
        self.assertFalse(self.is_published())
        path, told = self.export("zero")
        self.assertEqual((told["size"], told["proofs_from"]), (0, [0]))
        back = [self.signed("f1", path), self.signed("f2", path, over="grpc")]
        for name, file in zip(self.names, back):
            text, lines = text_of(file)
            self.assertEqual(text, tlog.checkpoint_text(self.log.origin, 0, tlog.root([])))
            self.assertEqual(len(self.witnesses[name].times(text, lines)), 1)
        row = self.bring(back[0], wait=1, code=REFUSED)[0]  # one is no quorum
        self.assertEqual((row["new"], row["known"], row["published_size"]), (1, 0, 0))
        self.assertEqual([w["name"] for w in row["witnesses"]], ["f1"])
        self.assertFalse(self.is_published())
        self.bring(back[1], wait=10)
        self.assertEqual(self.signers(), ["f1", "f2"])
        self.append(5)
        path, told = self.export("five", "--old", "3", "--old", "9", "--history", self.history)
        self.assertEqual((told["size"], told["proofs_from"]), (5, [0, 3]))
        self.bring(self.signed("f1", path, over="grpc"), self.signed("f2", path), wait=10)
        self.assertEqual(self.log.published_size(), 5)
        self.receipts(["f1", "f2"])
        self.append(300)
        path, told = self.export("more", "--history", self.history)
        self.assertEqual((told["size"], told["proofs_from"]), (305, [0, 5]))
        self.bring(self.signed("f1", path), self.signed("f2", path), wait=10)
        self.receipts(["f1", "f2"])
        self.log.fsck()

    def test_any_order_late_twice_and_lost(self):
        files, sizes = [], []
        for i in range(4):
            self.move_on(i + 1)
            path, size = self.export_next(f"cp{i}", self.count)
            files.append(path)
            sizes.append(size)
        self.assertEqual(sizes, [1, 3, 6, 10])
        # f1 gets them in the wrong order, and never sees the first.
        got = self.sign("f1", files[3], files[1], files[2], files[3])
        self.assertEqual({name: got[name]["result"] for name in ("cp1", "cp2")},
                         {"cp1": "signed", "cp2": "signed"})  # fmt: skip
        f1 = {size: self.back("f1", size) for size in (3, 6, 10)}
        # f2 gets only the third; then the second, which is late; then the first and the last.
        f2 = {6: self.signed("f2", files[2])}
        self.assertEqual(self.sign("f2", files[1])["cp1"]["result"], "already past")
        got = self.sign("f2", files[0], files[3])
        self.assertEqual([got[n]["result"] for n in ("cp0", "cp3")], ["already past", "signed"])
        f2[10] = got["cp3"]["out"]
        self.assertEqual(self.sign("f2", files[2])["cp2"]["result"], "already past")
        # Back again, the newest last; nothing is published before two have cosigned one size.
        self.taken(f1[6], 1)
        self.taken(f1[3], 1)
        self.taken(f1[6], 0, known=1)
        self.taken(f2[10], 1)
        self.assertFalse(self.is_published())
        self.bring(f2[6], wait=10)
        self.assertEqual((self.log.published_size(), self.signers()), (6, ["f1", "f2"]))
        # The last file from f1 is lost. The same request, given again, has the same effect.
        os.unlink(f1[10])
        self.bring(self.signed("f1", files[3]), wait=10)
        self.assertEqual(self.log.published_size(), 10)
        # What is late now does no harm.
        rows = self.bring(f2[6], f1[3], f1[3], f2[10])
        self.assertEqual([row["new"] for row in rows], [0] * 4)
        self.assertEqual((self.log.published_size(), self.signers()), (10, ["f1", "f2"]))
        self.receipts(["f1", "f2"])
        self.log.fsck()

    def test_a_lost_request_is_replaced_by_a_later_one(self):
        self.append(2)
        path, _ = self.export_next("zero")
        self.bring(self.signed("f1", path), self.signed("f2", path), wait=10)
        self.crash()
        lost, _ = self.export_next("lost")
        os.unlink(lost)
        self.move_on(3)
        path, size = self.export_next("later")
        self.assertEqual(size, 5)
        self.bring(self.signed("f2", path), self.signed("f1", path), wait=10)
        self.assertEqual(self.log.published_size(), 5)
        # A witness that stands where no file starts says what it holds, and that helps.
        self.append(4)
        path, _ = self.export("without", code=DONE)
        row = self.sign("f1", path, code=REFUSED)["without"]
        self.assertEqual(row["result"], "no proof")
        self.assertIn("--old 5", row["detail"])
        path, _ = self.export("with", "--old", "5")
        self.bring(self.signed("f1", path), self.signed("f2", path), wait=10)
        self.receipts(["f1", "f2"])

    def test_a_restart_between_export_and_import(self):
        self.move_on(3)
        path, size = self.export_next("cp")
        self.assertEqual(size, 3)
        back = [self.signed("f1", path), self.signed("f2", path)]
        self.log.restart()
        self.taken(back[0], 1)
        self.wait_stored("f1", 3)
        self.move_on(2)
        self.taken(back[0], 0, known=1)
        self.assertFalse(self.is_published())
        self.bring(back[1], wait=10)
        self.assertEqual((self.log.published_size(), self.signers()), (3, ["f1", "f2"]))
        path, size = self.export_next("cp2")
        back = [self.signed("f1", path), self.signed("f2", path)]
        self.crash()
        self.bring(*back, wait=10)
        self.assertEqual(self.log.published_size(), 5)
        self.receipts(["f1", "f2"])
        self.log.fsck()


class Wrong(Case):
    """Files that are damaged, forged, or somebody else's."""

    def setUp(self):
        super().setUp()
        self.move_on(3)
        self.request, self.size = self.export_next("cp")
        self.assertEqual(self.size, 3)
        self.text = read(self.request).decode().rpartition("\n\n")[0].partition("\n\n")[2] + "\n"

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def damaged(self, path):
        """Copies of a file with one thing wrong, each still well-formed or not."""
        good = read(path)
        made = []
        for at in range(0, len(good), max(1, len(good) // 100)):
            made.append(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            made.append(good[:at])
        made += [good + b"\n", good + good, good.replace(b"\n", b"\r\n"), b"\0" * 1000]
        return [self.write(f"{os.path.basename(path)}.{i}", data) for i, data in enumerate(made)]

    def test_a_damaged_request_is_not_signed_as_something_else(self):
        """A byte that is not needed may be wrong; what is signed is the log's own checkpoint."""
        f1 = self.witnesses["f1"]
        got = self.sign("f1", *self.damaged(self.request)[:250], code=REFUSED)
        results = {row["result"] for row in got.values()}
        self.assertLessEqual(results, {"signed", "duplicate", "malformed", "refused", "no proof"})
        self.assertLessEqual({"malformed", "refused"}, results)
        signed = [row for row in got.values() if row["result"] == "signed"]
        self.assertLessEqual(len(signed), 3)  # a key ID or name that is nobody's beside the log's
        for row in signed:
            self.assertEqual(text_of(row["out"])[0], self.text)
        self.assertIn(f1.held_size_of(self.log.origin), (0, self.size))
        back = [self.signed("f1", self.request), self.signed("f2", self.request)]
        self.bring(*back, wait=10)
        self.assertEqual(self.log.published_size(), self.size)

    def test_a_damaged_cosignature_is_not_taken(self):
        back = self.signed("f1", self.request)
        text, line = text_of(back)
        rows = self.bring(*self.damaged(self.write("bare", f"{text}\n{line}")), code=VERDICT)
        self.assertEqual({row["ok"] for row in rows}, {False})
        self.assertFalse(self.is_published())
        self.taken(back, 1)  # it was not there yet
        self.bring(self.signed("f2", self.request), wait=10)
        self.assertEqual(self.signers(), ["f1", "f2"])
        self.receipts(["f1", "f2"])

    def test_a_file_of_another_log_is_nobodys(self):
        other = self.make_log("other", "other.example/files")
        self.policy(other.policy, other, "any")
        other.start()
        done = courtroll("cosign", "export", "--log", other.grpc, "--policy", self.log.policy,
                         "--out", self.path("x"), code=VERDICT)  # fmt: skip
        self.assertFalse(os.path.exists(self.path("x")), done.stdout)
        request, _ = self.export("theirs", log=other)
        # Our witnesses do not know that log, and say so of its file only.
        for over in ("http", "grpc"):
            got = self.sign("f1", request, self.request, code=REFUSED, over=over)
            self.assertEqual([got[n]["result"] for n in ("theirs", "cp")], ["refused", "signed"])
        knows_it = self.make_witness("f3", other)
        back = self.signed(knows_it, request)
        self.bring(back, code=VERDICT)
        self.witnesses["f3"] = knows_it
        theirs = self.policy(self.path("theirs.policy"), other, "any")
        row = self.bring(back, code=REFUSED, policy=theirs)[0]  # but to our log
        self.assertIn("another log", row["detail"])
        self.assertFalse(self.is_published())
        self.assertFalse(os.path.exists(os.path.join(self.log.data, "contradiction")))

    def test_only_keys_of_the_policy_count(self):
        """Not a stranger's, and not the right name with another key."""
        stranger = self.make_witness("f3")
        back = self.signed(stranger, self.request)
        self.bring(back, code=VERDICT)
        good = self.signed("f1", self.request)
        mine = read(good).decode()
        now = int(time.time())
        forger = tlog.Key(self.witnesses["f2"].name, tlog.COSIGNATURE, bytes(32))
        forged = forger.line(self.text, now)
        with_id = tlog.Key(self.witnesses["f2"].name, tlog.COSIGNATURE, bytes(32))
        with_id.id = self.witnesses["f2"].key.id
        same_id = with_id.line(self.text, now)
        head = self.text + "\n"
        files = [self.write("a", head + forged), self.write("b", head + same_id)]
        rows = self.bring(*files, code=VERDICT)
        self.assertEqual([row["ok"] for row in rows], [False, False])
        # What is good in a file counts, what is not does not, and is told.
        row = self.bring(self.write("c", mine + same_id + forged + text_of(back)[1]))[0]
        self.assertEqual((row["new"], row["bad_signatures"]), (1, 1))
        time.sleep(0.3)
        self.assertFalse(self.is_published())
        self.bring(self.signed("f2", self.request), wait=10)
        note = self.note()
        self.assertEqual(self.signers(note), ["f1", "f2"])
        for line in (forged, same_id, text_of(back)[1]):
            self.assertNotIn(line, note)
        self.receipts(["f1", "f2"])

    def test_two_histories_are_not_signed(self):
        """The holder of the log's key makes files of another history."""
        key = tlog.Key.from_file(self.log.key)
        self.signed("f1", self.request)
        for size in (4, 3):
            text = tlog.checkpoint_text(self.log.origin, size, bytes([size]) * 32)
            note = tlog.signed(text, key)
            path = self.write("fork", f"courtroll cosign-request v1\nold 0\n\n{note}")
            row = self.sign("f1", path, code=REFUSED)["fork"]
            self.assertIn(row["result"], ("refused", "no proof"))
        f1 = self.witnesses["f1"]
        self.assertEqual(f1.held_size_of(self.log.origin), 3)
        self.assertEqual(f1.checkpoint_of(self.log.origin).partition("\n\n")[0] + "\n", self.text)
        self.assertEqual(len(json.loads(f1.get("/evidence").body)), 1)
        # f2 has seen nothing yet, and signs; to the log that is no cosignature of its tree.
        row = self.bring(self.signed("f2", path), code=REFUSED)[0]
        self.assertIn("another root", row["detail"])
        self.assertFalse(self.is_published())
        # But the file has the log's own line, too: the log knows now, and signs nothing any more.
        reason = "nothing is signed"
        for _ in range(2):
            wait_until(lambda: self.log.get("/readyz").status == 503, "the log is not ready")
            self.assertIn(reason, self.log.get("/readyz").body.decode())
            self.export("none", code=REFUSED)
            courtroll("append", "--log", self.log.grpc, "-", stdin=b"x", code=REFUSED)
            kept = os.path.join(self.log.data, "contradiction")
            theirs = [n for n in os.listdir(kept) if n.endswith(".theirs")]
            self.assertEqual(len(theirs), 1)
            self.assertIn(text, read(os.path.join(kept, theirs[0])).decode())
            self.crash()  # and does not forget

    @unittest.skipIf(grpc is None, "needs grpc for python")
    def test_strangers_who_call_without_end_are_told_to_come_back_and_hold_nothing(self):
        codes = grpc.StatusCode
        note = tlog.signed(self.text, tlog.Key(self.log.origin, 1, bytes(32)))
        sizes = b"".join(field(1, size) for size in range(64))
        with Rpc(self.log.grpc) as rpc:
            later = [rpc.method(path).future(message, timeout=60) for _ in range(300)
                     for path, message in ((EXPORT, sizes), (ADD, field(1, note.encode())))]  # fmt: skip
            got = {one.code() for one in later}
            allowed = {codes.OK, codes.RESOURCE_EXHAUSTED, codes.PERMISSION_DENIED}
            self.assertLessEqual(got, allowed)
            self.assertIn(codes.OK, got)
            for message in (b"\xff", field(1, b"no note"), field(1, note.encode())):
                for _ in range(70):  # more than may be under way: each gives its place back
                    with self.assertRaises(grpc.RpcError) as caught:
                        rpc.call(ADD, message)
                    self.assertNotEqual(caught.exception.code(), codes.RESOURCE_EXHAUSTED)
            for _ in range(70):
                rpc.call(EXPORT, sizes)
        self.bring(self.signed("f1", self.request), self.signed("f2", self.request), wait=10)

    def test_a_strangers_line_of_the_logs_name_accuses_nobody(self):
        """Who has not the log's key cannot stop it, whatever a witness of the policy has cosigned."""
        stranger = tlog.Key(self.log.origin, 1, bytes(32))
        text = tlog.checkpoint_text(self.log.origin, 3, bytes(32))
        fork = tlog.signed(text, stranger)
        line = self.witnesses["f1"].key.line(text, int(time.time()))
        path = self.write("fork", fork + line)
        self.assertIn("another root", self.bring(path, code=REFUSED)[0]["detail"])
        self.assertEqual(self.log.get("/readyz").status, 200)
        self.assertFalse(os.path.exists(os.path.join(self.log.data, "contradiction")))


class Mixed(Case):
    """The log asks one witness itself; the other has no network."""

    names = ("w1", "f1")

    def test_both_make_the_quorum(self):
        self.append(3)
        path, told = self.export("zero")
        self.assertEqual(told["size"], 0)
        self.bring(self.signed("f1", path), wait=10)
        self.assertEqual(self.signers(), ["w1", "f1"])
        self.wait_signed(3)
        path, told = self.export("three")
        self.assertEqual(told["size"], 3)
        back = self.signed("f1", path)
        self.crash()
        self.bring(back, wait=10)
        self.assertEqual(self.log.published_size(), 3)
        self.receipts(["w1", "f1"])
        self.log.fsck()


class Optional(Case):
    """One is enough for the log, which moves on; the file's witness is for who wants both."""

    names = ("w1", "f1")
    rule = "any"

    def rounds(self, count):
        for _ in range(count):
            self.append()
            self.log.wait_published(self.count)

    def test_the_log_has_moved_on_by_many_rounds(self):
        self.rounds(1)
        path, told = self.export("early", "--history", self.history)
        self.rounds(20)
        back = self.signed("f1", path)
        self.rounds(5)
        self.taken(back, 1)
        self.taken(back, 0, known=1)
        self.assertEqual((told["size"], self.log.published_size()), (1, self.count))
        self.assertEqual(self.signers(), ["w1"])
        # A receipt for who asks for both: of the checkpoint that is published, when it comes back.
        path, size = self.export_next("late")
        self.assertEqual(size, self.count)
        self.taken(self.signed("f1", path), 1)
        wait_until(lambda: self.signers() == ["w1", "f1"], "it is merged into what is published")
        both = self.policy(self.path("both"), self.log, "all")
        self.receipts(["w1", "f1"], both)
        self.log.fsck()

    def test_the_newest_exports_are_kept_and_what_comes_for_others_is_refused_in_words(self):
        files = []
        for i in range(EXPORTS_KEPT):
            self.rounds(1)
            files.append(self.export(f"cp{i}", "--old", "1"))
        began = time.monotonic()
        directory = os.path.join(self.log.data, "exported")
        before = sorted(os.listdir(directory))
        self.rounds(1)
        for _ in range(3):  # whoever calls at once again pushes nothing out
            self.assertEqual(self.export("again")[1]["size"], files[-1][1]["size"])
        self.assertEqual(sorted(os.listdir(directory)), before)
        self.assertEqual(len(before), EXPORTS_KEPT)
        time.sleep(max(0, 10.5 - (time.monotonic() - began)))
        self.assertEqual(self.export("later")[1]["size"], self.count)
        self.rounds(1)
        self.assertEqual(len(os.listdir(directory)), EXPORTS_KEPT)
        self.crash()  # what was pushed out may be kept for a while, but not over a restart
        row = self.bring(self.signed("f1", files[0][0]), code=REFUSED)[0]
        self.assertIn("not kept any more", row["detail"])
        self.taken(self.signed("f1", files[1][0]), 1)

    def test_a_late_file_of_a_size_that_is_forgotten_is_taken_for_the_logs_own_line(self):
        self.rounds(300)
        path, told = self.export("late")
        back, size = self.signed("f1", path), told["size"]
        text, line = text_of(back)
        self.rounds(1)
        self.log.kill()
        os.unlink(os.path.join(self.log.data, "exported", str(size)))
        self.log.start()
        bare = self.path("bare")
        with open(bare, "w", encoding="utf-8") as file:
            file.write(f"{text}\n{line}")
        row = self.bring(bare, code=REFUSED)[0]
        self.assertIn("no line of this log", row["detail"])
        self.taken(back, 1)
        self.wait_stored("f1", size)
        self.taken(bare, 0, known=1)
        # A fresher time of the same witness is no news before a minute has passed.
        time.sleep(1.1)
        self.taken(self.signed("f1", path), 0, known=1)
        self.crash()
        self.taken(bare, 0, known=1)
        self.assertEqual(self.log.published_size(), self.count)
        self.log.fsck()

    def test_a_caller_whose_policy_asks_for_both_is_answered_once_the_file_is_back(self):
        self.wait_signed(0)
        both = self.policy(self.path("both"), self.log, "all")
        entry = self.path("entry")
        with open(entry, "wb") as file:
            file.write(b"entry 0")
        waiting = Process([COURTROLL, "append", "--log", self.log.grpc, "--policy", both,
                           "--proof-dir", self.dir, entry])  # fmt: skip
        self.addCleanup(waiting.kill)
        self.log.wait_published(1)
        path, told = self.export("cp")
        self.assertEqual(told["size"], 1)
        self.assertFalse(os.path.exists(self.path("0.tlog-proof")))
        self.taken(self.signed("f1", path), 1)
        self.assertEqual(waiting.wait(), 0, waiting.text())
        self.verify(self.path("0.tlog-proof"), 0, ["w1", "f1"], both)


if __name__ == "__main__":
    unittest.main()
