#!/usr/bin/python3
# Takes long.
"""What others were shown, and what a monitor makes of it: forks, equivocations, broken promises, with
evidence that convinces a stranger; and no evidence of what an honest log has not done."""
import glob
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import tlog  # noqa: E402
from logd import COURTROLL, Logd, courtroll, wait_until  # noqa: E402
from monitor import Monitor  # noqa: E402
from witness import Tree  # noqa: E402

try:
    import grpc
    import rpc
except ImportError:
    grpc = None

ORIGIN = "log.example/views"
EXCHANGE = "/courtroll.v1.Monitor/ExchangeNotes"
ROUNDS_S = 0.5  # several polls: time enough for an alert that must not come


class Shown(http.server.ThreadingHTTPServer):
    """A vantage that serves whatever a test puts into `files`, by path."""

    def __init__(self):
        self.files = {}
        self.asked = 0
        shown = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = shown.files.get(self.path)
                shown.asked += 1
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                try:
                    self.wfile.write(body or b"")
                except OSError:
                    pass  # whoever asked is gone

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.origin_path = "/" + hashlib.sha256(ORIGIN.encode()).hexdigest()
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def show(self, note, path="/checkpoint"):
        self.files[path] = note if isinstance(note, bytes) else note.encode()

    def show_and_wait(self, note, path="/checkpoint", rounds=3):
        """Until it was surely read."""
        self.show(note, path)
        until = self.asked + rounds * 3
        wait_until(lambda: self.asked >= until, "the vantage is asked")

    def close(self):
        self.shutdown()
        self.server_close()


class World(unittest.TestCase):
    """A log of known entries, whose keys a test has too, and a policy with a witness that is a test's own."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.log = self.logd(os.path.join(self.dir, "log"))
        self.key = tlog.Key.from_file(self.log.key)
        self.promise_key = tlog.Key.from_file(self.log.promise_key)
        self.witness = tlog.Key("witness.example/both", tlog.COSIGNATURE)
        self.tree = Tree(ORIGIN, key=self.key)
        self.policy = self.write_policy("policy", self.log)
        self.grow(20)

    def logd(self, directory, **settings):
        os.makedirs(directory, exist_ok=True)
        log = Logd(directory, origin=ORIGIN, http_add="on", checkpoint_interval_ms=100, **settings)
        self.addCleanup(log.close)
        return log

    def write_policy(self, name, log, quorum="quorum none\n"):
        return self.file(
            name,
            f"log {log.vkey} {log.url()}\nlog {self.promise_key.vkey()}\n"
            f"witness both {self.witness.vkey()}\n{quorum}",
        )

    def file(self, name, content):
        path = os.path.join(self.dir, name)
        with open(path + ".new", "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        os.rename(path + ".new", path)
        return path

    def grow(self, count, log=None):
        """Appends entries, to the honest log unless another one is given."""
        first = 0 if log is None else log.published_size()
        for i in range(count):
            entry = f"entry {len(self.tree.leaves)}" if log is None else f"another {first + i}"
            (log or self.log).add(entry.encode())
            if log is None:
                self.tree.leaves.append(tlog.leaf_hash(entry.encode()))
        if log is None:
            self.log.wait_published(len(self.tree.leaves))

    @property
    def size(self):
        return len(self.tree.leaves)

    def shown(self):
        shown = Shown()
        self.addCleanup(shown.close)
        return shown

    def monitor(self, policy=None, hold=True, **settings):
        monitor = Monitor([policy or self.policy], **settings)
        self.addCleanup(monitor.close)
        if hold:
            monitor.wait_held(ORIGIN, self.size)
        return monitor

    def evil_log(self, size):
        """A second logd with the same keys and another history."""
        directory = os.path.join(self.dir, "evil")
        os.makedirs(directory)
        for path in glob.glob(os.path.join(self.log.dir, "*.key*")):
            shutil.copy(path, directory)
        log = self.logd(directory)
        self.grow(size, log)
        log.wait_published(size)
        return log

    def cosigned(self, text, when):
        return text + "\n" + self.key.line(text) + self.witness.line(text, when)

    # -- what is claimed --

    def verify(self, content, *arguments, code, policy=None):
        """`courtroll verify-evidence`; its words."""
        path = self.file("evidence", content)
        return courtroll(
            "verify-evidence", path, "--policy", policy or self.policy, *arguments, code=code
        ).stdout

    def assert_proved(self, monitor, alert, words):
        """The file of an alert of GET /alerts convinces; its bytes."""
        content = monitor.evidence(alert["evidence"])
        self.assertRegex(self.verify(content, code=0), rf"\A{words}  ")
        return content

    def assert_nothing_is_claimed(self, monitor):
        self.assertEqual(monitor.alerts(), [])
        self.assertEqual(json.loads(monitor.ask("alerts", "--json", "--all").stdout)["alerts"], [])

    def check(self, monitor, content, code):
        """`courtroll monitor check` of a file: the results."""
        done = monitor.ask("check", "--json", self.file("handed-in", content), code=code)
        return json.loads(done.stdout)["notes"]

    def check_one(self, monitor, content, code):
        (note,) = self.check(monitor, content, code)
        return note


class TestFork(World):
    def waiting(self, monitor):
        status = courtroll("monitor", "status", "--json", "--monitor", monitor.grpc).stdout
        return json.loads(status)["logs"][0]["waiting_notes"]

    def test_a_second_log_with_the_same_key_is_found_and_proved(self):
        evil = self.evil_log(7)
        monitor = self.monitor(vantage=evil.url())
        alert = monitor.wait_alert("fork")
        self.assertEqual((alert["origin"], alert["severity"]), (ORIGIN, "critical"))
        page = monitor.page()
        self.assertIn(alert["id"], page)
        self.assertIn(alert["evidence"], page)
        told = json.loads(monitor.ask("alerts", "--json", code=1).stdout)["alerts"]
        self.assertEqual([(a["id"], a["code"], a["provable"]) for a in told],
                         [(alert["id"], "fork", True)])
        content = self.assert_proved(monitor, alert, "FORK")
        evidence_id = told[0]["evidence"][0]
        self.assertEqual(hashlib.sha256(content).hexdigest(), evidence_id)
        over_grpc = os.path.join(self.dir, "over-grpc")
        monitor.ask("evidence", "--out", over_grpc, evidence_id)
        with open(over_grpc, "rb") as file:
            self.assertEqual(file.read(), content)
        self.assertIn("over-grpc", monitor.ask("evidence", "--out", over_grpc, evidence_id, code=2).stderr)
        monitor.ask("evidence", "0" * 64, code=3)
        monitor.restart()
        monitor.wait_held(ORIGIN, self.size)
        time.sleep(ROUNDS_S)
        self.assertEqual([(a["id"], a["code"]) for a in monitor.alerts()], [(alert["id"], "fork")])
        self.log.stop()
        evil.stop()
        monitor.stop()
        self.assertRegex(self.verify(content, code=0), r"\AFORK  ")
        stranger = self.file("stranger", f"log {tlog.Key('other.example', 1).vkey()}\nquorum none\n")
        self.assertRegex(self.verify(content, code=1, policy=stranger), r"\AUNKNOWN LOG")

    def test_a_larger_one_shown_first_is_proved_once_the_log_has_grown_past_it(self):
        shown = self.shown()
        monitor = self.monitor(vantage=shown.url)
        forged = self.tree.branch(self.size, "evil").grow(5)
        shown.show_and_wait(forged.note(self.size + 5))
        self.assert_nothing_is_claimed(monitor)
        self.assertEqual(self.waiting(monitor), 1)
        shown.show_and_wait(self.tree.note(self.size))  # it is gone from there: it is remembered
        monitor.kill()
        monitor.start()
        monitor.wait_held(ORIGIN, self.size)
        self.assert_nothing_is_claimed(monitor)
        self.grow(8)
        content = self.assert_proved(monitor, monitor.wait_alert("fork"), "FORK")
        self.assertIn(tlog.b64(forged.root(len(forged.leaves))).encode(), content)
        self.assertEqual(len(monitor.alerts()), 1)
        wait_until(lambda: self.waiting(monitor) == 0, "nothing waits")

    def test_a_smaller_one_and_many_of_them_are_one_alert(self):
        shown = self.shown()
        monitor = self.monitor(vantage=shown.url)
        forged = Tree(ORIGIN, 40, "evil", key=self.key)
        ids = set()
        for size in range(1, 20):
            shown.show_and_wait(forged.note(size), rounds=1)
            ids.add(monitor.wait_alert("fork")["id"])
        self.assertEqual(len(ids), 1)
        (alert,) = json.loads(monitor.ask("alerts", "--json", code=1).stdout)["alerts"]
        self.assertLessEqual(len(alert["evidence"]), 16)
        for evidence in alert["evidence"][:3]:
            content = monitor.evidence("/evidence/" + evidence)
            self.assertRegex(self.verify(content, code=0), r"\AFORK  ")

    def test_what_a_witness_was_told_is_compared_too(self):
        """.../<origin hash>/checkpoint and /peers of a witness."""
        for path in ("/checkpoint", "/peers"):
            shown = self.shown()
            note = Tree(ORIGIN, 9, path, key=self.key).note(9)
            peers = f"note {len(note.encode())}\n{note}"
            monitor = self.monitor(vantage=shown.url)
            shown.show(peers if path == "/peers" else note, shown.origin_path + path)
            self.assert_proved(monitor, monitor.wait_alert("fork"), "FORK")

    def test_a_resolved_one_is_a_new_alert_when_another_piece_is_found(self):
        shown = self.shown()
        monitor = self.monitor(vantage=shown.url)
        forged = Tree(ORIGIN, 9, "evil", key=self.key)
        shown.show(forged.note(8))
        first = monitor.wait_alert("fork")
        monitor.control("resolve", "--comment", "a drill", first["id"])
        self.assertEqual(monitor.alerts("open"), [])
        shown.show(forged.note(9))
        second = monitor.wait_alert("fork")
        self.assertNotEqual(first["id"], second["id"])


class TestEquivocation(World):
    def test_a_key_that_cosigns_two_trees(self):
        shown, now = self.shown(), int(time.time())
        monitor = self.monitor(vantage=shown.url)
        shown.show_and_wait(self.cosigned(self.tree.text(15), now - 20))
        self.assert_nothing_is_claimed(monitor)
        forged = self.tree.branch(10, "evil").grow(5)
        shown.show(self.cosigned(forged.text(15), now - 10))
        alert = monitor.wait_alert("witness-equivocation")
        self.assertEqual(alert["subject"], "both")
        content = self.assert_proved(monitor, alert, "WITNESS EQUIVOCATION")
        self.assertNotIn(self.key.line(forged.text(15)).encode(), content)
        self.assert_proved(monitor, monitor.wait_alert("fork"), "FORK")
        self.assertEqual({a["code"] for a in monitor.alerts()}, {"fork", "witness-equivocation"})

    def test_a_smaller_size_at_a_later_time_is_no_fork(self):
        shown, now = self.shown(), int(time.time())
        monitor = self.monitor(vantage=shown.url)
        shown.show_and_wait(self.cosigned(self.tree.text(18), now - 100))
        shown.show(self.cosigned(self.tree.text(12), now - 10))
        alert = monitor.wait_alert("witness-equivocation")
        self.assert_proved(monitor, alert, "WITNESS EQUIVOCATION")
        self.assertEqual(len(monitor.alerts()), 1)

    def test_a_smaller_size_at_the_same_time_or_before_is_honest(self):
        shown, now = self.shown(), int(time.time())
        monitor = self.monitor(vantage=shown.url)
        for size, when in ((18, now - 100), (12, now - 100), (11, now - 200), (18, now - 5)):
            shown.show_and_wait(self.cosigned(self.tree.text(size), when))
        self.assert_nothing_is_claimed(monitor)


class TestPromise(World):
    def promise(self, *items, key=None):
        lines = "".join(f"{index} {tlog.b64(leaf)}\n" for index, leaf in items)
        return tlog.signed(f"courtroll promise v1\n{ORIGIN}\n{lines}", key or self.promise_key)

    def test_a_broken_one_is_proved_and_an_honest_one_is_kept(self):
        folder = os.path.join(self.dir, "folder")
        os.makedirs(folder)
        monitor = self.monitor(vantage="file:" + folder, checks_per_minute=1000)
        self.log.append(b"promised")
        self.tree.leaves.append(tlog.leaf_hash(b"promised"))
        self.log.wait_published(self.size)
        monitor.wait_held(ORIGIN, self.size)
        # What the log really gives out.
        made = os.path.join(self.dir, "made")
        os.makedirs(made)
        entry = self.file("entry", b"promised and kept")
        courtroll("append", "--log", self.log.grpc, "--promise", made, entry, code=0)
        self.tree.leaves.append(tlog.leaf_hash(b"promised and kept"))
        self.log.wait_published(self.size)
        monitor.wait_held(ORIGIN, self.size)
        (promise,) = glob.glob(made + "/*.promise")
        self.assertIn("kept", monitor.ask("check", promise).stdout.split())
        shutil.copy(promise, folder)
        receipt = os.path.join(folder, "3.tlog-proof")
        courtroll("prove", "--log", self.log.url(), "--policy", self.policy, "--index", 3,
                  "--out", receipt, code=0)
        self.assertEqual(monitor.ask("check", receipt).stdout.split()[0], "same")
        self.grow(2)
        monitor.wait_held(ORIGIN, self.size)
        self.assertEqual(monitor.ask("check", receipt, promise).stdout.split()[0], "consistent")
        # What is not decided, or not the log's.
        leaf = self.tree.leaves[4]
        for content, result in (
            (self.promise((self.size + 5, leaf)), "open"),
            (self.promise((4, leaf), key=tlog.Key(ORIGIN + "/promise", 1, bytes(32))), "bad-signature"),
            (self.promise((4, tlog.leaf_hash(b"x")), key=self.key), "bad-signature"),
            (self.promise((4, leaf)).replace(ORIGIN + "\n", "other.example\n"), "unknown-log"),
        ):
            self.assertEqual(self.check_one(monitor, content, 1)["result"], result)
        kept = self.promise((4, leaf), (5, self.tree.leaves[5]))
        self.assertEqual(self.check_one(monitor, kept, 0)["result"], "kept")
        self.assert_nothing_is_claimed(monitor)
        # In a folder.
        broken = self.promise((3, self.tree.leaves[3]), (4, tlog.leaf_hash(b"not there")))
        with open(os.path.join(folder, "broken"), "w", encoding="utf-8") as file:
            file.write(broken)
        alert = monitor.wait_alert("promise-broken")
        self.assert_proved(monitor, alert, "PROMISE BROKEN")
        # By hand: another one, and the alert is the same.
        note = self.check_one(monitor, self.promise((7, leaf)), 1)
        self.assertEqual(note["result"], "broken")
        content = monitor.evidence("/evidence/" + note["evidence"])
        self.assertRegex(self.verify(content, code=0), r"\APROMISE BROKEN  ")
        self.assertEqual([a["id"] for a in monitor.alerts()], [alert["id"]])

    def test_one_that_is_ahead_is_judged_when_the_log_is_there(self):
        folder = os.path.join(self.dir, "folder")
        os.makedirs(folder)
        monitor = self.monitor(vantage="file:" + folder)
        with open(os.path.join(folder, "early"), "w", encoding="utf-8") as file:
            file.write(self.promise((self.size + 1, tlog.leaf_hash(b"never"))))
        time.sleep(ROUNDS_S)
        self.assert_nothing_is_claimed(monitor)
        self.grow(3)
        self.assert_proved(monitor, monitor.wait_alert("promise-broken"), "PROMISE BROKEN")


class TestPeers(World):
    def pair(self, policy_a=None, policy_b=None, **settings_a):
        """Two monitors that ask each other; `a` may have vantages of its own."""
        a = Monitor([policy_a or self.policy], name="monitor.example/a", is_started=False)
        b = Monitor([policy_b or self.policy], name="monitor.example/b", is_started=False)
        self.addCleanup(a.close)
        self.addCleanup(b.close)
        b.start(peer=a.vkey)
        vantages = [f"grpc://{b.grpc}", *settings_a.pop("vantage", [])]
        a.settings = {"peer": b.vkey, "vantage": vantages, **settings_a}
        a.start()
        b.settings = {"peer": a.vkey, "vantage": f"grpc://{a.grpc}", "grpc_listen": b.grpc}
        b.restart()
        return a, b

    def test_two_monitors_that_were_shown_two_histories_find_out(self):
        evil = self.evil_log(9)
        a, b = self.pair(policy_b=self.write_policy("policy-b", evil))
        self.assert_proved(a, a.wait_alert("fork"), "FORK")
        self.grow(self.size - 5, evil)  # past the note that it has from the other
        self.assert_proved(b, b.wait_alert("fork"), "FORK")
        self.assertEqual([len(monitor.alerts()) for monitor in (a, b)], [1, 1])

    def test_what_one_saw_elsewhere_the_other_learns(self):
        shown = self.shown()
        a, b = self.pair(vantage=[shown.url])
        for monitor in (a, b):
            monitor.wait_held(ORIGIN, self.size)
        shown.show(Tree(ORIGIN, 9, "evil", key=self.key).note(9))
        for monitor in (a, b):
            self.assert_proved(monitor, monitor.wait_alert("fork", timeout=5), "FORK")

    @unittest.skipIf(grpc is None, "python3-grpcio is not installed")
    def test_strangers_are_refused_and_only_checkpoints_are_told(self):
        shown = self.shown()
        shown.show(self.tree.branch(self.size, "ahead").grow(3).note(self.size + 3))
        peer = tlog.Key("monitor.example/peer", tlog.ED25519)
        monitor = self.monitor(peer=peer.vkey(), vantage=shown.url)
        shown.show_and_wait(shown.files["/checkpoint"])

        def message(key, *notes, when=None):
            text = f"courtroll notes v1\n{int(time.time()) if when is None else when}\n"
            text += "".join(f"note {len(note.encode())}\n{note}" for note in notes)
            return rpc.field(1, tlog.signed(text, key).encode())

        def refused(request):
            with self.assertRaises(grpc.RpcError) as caught:
                channel.call(EXCHANGE, request)
            return caught.exception.code()

        stranger = tlog.Key("monitor.example/stranger", tlog.ED25519)
        claimed = tlog.Key("monitor.example/peer", tlog.ED25519, bytes(32))
        forged = Tree(ORIGIN, 9, "evil", key=self.key).note(9)
        denied = grpc.StatusCode.PERMISSION_DENIED
        with rpc.Rpc(monitor.grpc) as channel:
            for key in (stranger, claimed, self.key):
                self.assertEqual(refused(message(key, forged)), denied)
            self.assertEqual(refused(message(peer, forged, when=int(time.time()) - 400)), denied)
            self.assertEqual(refused(rpc.field(1, b"\xff\0 hostile")), grpc.StatusCode.INVALID_ARGUMENT)
            self.assert_nothing_is_claimed(monitor)
            reply = dict(rpc.fields(channel.call(EXCHANGE, message(peer))))[1].decode()
            self.assertEqual(refused(message(peer, when=int(time.time()) - 200)), grpc.StatusCode.ABORTED)
            channel.call(EXCHANGE, message(peer, forged))
        text, _, lines = reply.rpartition("\n\n")
        own = tlog.Key.from_file(monitor.key_file)
        self.assertEqual(own.verify_line(text + "\n", lines), 0)
        head, _, rest = text.partition("\nnote ")
        self.assertRegex(head, r"\Acourtroll notes v1\n[0-9]+\Z")
        while rest:
            size, _, rest = rest.partition("\n")
            data = (rest + "\n").encode()
            note, rest = data[: int(size)].decode(), data[int(size) :].decode().partition("note ")[2]
            self.assertRegex(
                note, rf"\A{ORIGIN}\n[0-9]+\n[A-Za-z0-9+/]{{43}}=\n\n(\u2014 \S+ \S+\n)+\Z")
        self.assert_proved(monitor, monitor.wait_alert("fork"), "FORK")

    @unittest.skipIf(grpc is None, "python3-grpcio is not installed")
    def test_a_peer_has_a_quota_and_a_monitor_without_peers_takes_nothing(self):
        peer = tlog.Key("monitor.example/peer", tlog.ED25519)
        text = f"courtroll notes v1\n{int(time.time())}\n"
        request = rpc.field(1, tlog.signed(text, peer).encode())
        monitor = self.monitor(peer=peer.vkey(), peer_notes_per_hour=2)
        codes = []
        with rpc.Rpc(monitor.grpc) as channel:
            channel.call(EXCHANGE, request)
            channel.call(EXCHANGE, request)
            with self.assertRaises(grpc.RpcError) as caught:
                channel.call(EXCHANGE, request)
            codes.append(caught.exception.code())
        monitor.restart(peer=None)
        with rpc.Rpc(monitor.grpc) as channel, self.assertRaises(grpc.RpcError) as caught:
            channel.call(EXCHANGE, request)
        codes.append(caught.exception.code())
        self.assertEqual(codes, [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.PERMISSION_DENIED])


class Watch:
    """`courtroll monitor watch --json`, line by line."""

    def __init__(self, monitor):
        self.seen = []
        self.popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", COURTROLL, "monitor", "watch", "--json",
             "--monitor", monitor.grpc],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        decoder, text = json.JSONDecoder(), ""
        for line in self.popen.stdout:
            text += line.decode()
            while text.strip():
                try:
                    found, end = decoder.raw_decode(text.lstrip())
                except ValueError:
                    break
                self.seen.append((found["id"], found["state"], found["comment"]))
                text = text.lstrip()[end:]

    def wait(self, *what):
        wait_until(lambda: what in self.seen, f"{what} is told")

    def close(self):
        self.popen.kill()
        self.popen.wait()
        self.thread.join()
        self.popen.stdout.close()


class TestOrders(World):
    def test_ack_resolve_and_watch(self):
        shown = self.shown()
        monitor = self.monitor(vantage=shown.url)
        watch = Watch(monitor)
        self.addCleanup(watch.close)
        shown.show(Tree(ORIGIN, 9, "evil", key=self.key).note(9))
        alert = monitor.wait_alert("fork")["id"]
        watch.wait(alert, "open", "")
        for word in ("ack", "resolve"):
            self.assertIn("control socket only", monitor.ask(word, alert, code=4).stderr)
        self.assertIn("control socket only", monitor.ask("self-test", code=4).stderr)
        self.assertEqual([a["state"] for a in monitor.alerts()], ["open"])
        monitor.control("ack", "--comment", "called <the> court", alert)
        watch.wait(alert, "acknowledged", "called <the> court")
        self.assertIn("called &lt;the&gt; court", monitor.page())
        monitor.ask("alerts", code=1)
        told = json.loads(monitor.control("resolve", "--json", "--comment", "explained", alert).stdout)
        self.assertEqual((told["id"], told["state"]), (alert, "resolved"))
        watch.wait(alert, "resolved", "explained")
        monitor.ask("alerts", code=0)
        self.assertIn(alert, monitor.ask("alerts", "--all").stdout)
        for comment in ("two\nlines", "a\x1b[31m", "x" * 256):
            self.assertNotEqual(courtroll("monitor", "ack", "--monitor", "unix:" + monitor.control_socket,
                                          "--comment", comment, alert).returncode, 0)
        for unknown in ("", "x", "0" * 31, "0" * 33, "\x1b[31m" + "0" * 27, "../" * 10):
            self.assertNotEqual(courtroll("monitor", "ack", "--monitor", "unix:" + monitor.control_socket,
                                          unknown).returncode, 0)
        drill = json.loads(monitor.control("self-test", "--json").stdout)
        self.assertTrue(drill["fork_found"] and drill["evidence_good"], drill)
        self.assertEqual(monitor.alerts("open"), [])

    def test_whoever_watches_later_is_told_what_is_open(self):
        shown = self.shown()
        shown.show(Tree(ORIGIN, 9, "evil", key=self.key).note(9))
        monitor = self.monitor(vantage=shown.url)
        alert = monitor.wait_alert("fork")["id"]
        watch = Watch(monitor)
        self.addCleanup(watch.close)
        watch.wait(alert, "open", "")
        monitor.stop()
        watch.popen.wait(10)

    def test_checks_have_a_quota_but_on_the_control_socket(self):
        monitor = self.monitor(checks_per_minute=1)
        note = self.file("note", self.tree.note(self.size))
        monitor.ask("check", note)
        self.assertIn("quota", monitor.ask("check", note, code=4).stderr)
        for _ in range(3):
            monitor.control("check", note)

    def test_hostile_bytes_are_checked_and_prove_nothing(self):
        monitor = self.monitor(checks_per_minute=1000)
        good = self.tree.note(self.size)
        for content in (
            b"", b"\0" * 4096, b"\xff\xfe" * 9, os.urandom(2000), b"\n" * 100000,
            good.replace("\n", "\r\n").encode(), good[:-1].encode(), b"courtroll evidence v1\n",
            b"courtroll evidence v1\nfork\nnote 99999999999999999999\n" + good.encode(),
            b"c2sp.org/tlog-proof@v1\nindex 18446744073709551616\n\n" + good.encode(),
            b"courtroll promise v1\n", b"courtroll notes v1\n1\n", b"\x1b]0;x\x07\n\n",
            good.encode() + b"\xe2\x80\x94 x AAAAAA==\n" * 200, b"x" * (2 * 1024 * 1024),
        ):
            done = courtroll("monitor", "check", "--monitor", monitor.grpc, self.file("hostile", content))
            self.assertEqual(done.returncode, 1, (content[:60], done.stdout, done.stderr))
            self.assertNotIn("\x1b", done.stdout + done.stderr)
        done = courtroll("monitor", "check", "--monitor", monitor.grpc,
                         self.file("hostile", b"x" * (2 * 1024 * 1024 + 1)))
        self.assertNotEqual(done.returncode, 0)
        evil = tlog.Key("log.example/\u202e\u2066evil", tlog.ED25519)
        note = tlog.signed(tlog.checkpoint_text(evil.name, 5, bytes(32)), evil)
        self.assertEqual(self.check_one(monitor, note, 1)["result"], "unknown-log")
        self.assertNotIn("\u202e", monitor.ask("check", os.path.join(self.dir, "handed-in"), code=1).stdout)
        self.assert_nothing_is_claimed(monitor)
        self.assertEqual(self.check_one(monitor, good, 0)["result"], "same")


class TestFraming(World):
    def forgeries(self):
        """Notes that the log's key has not signed, or that say nothing against it."""
        evil = Tree(ORIGIN, 30, "evil", key=tlog.Key(ORIGIN, tlog.ED25519, bytes(32)))
        claimed = tlog.Key(ORIGIN, tlog.ED25519, bytes(range(32)))
        claimed.id = self.key.id
        text, now = evil.text(9), int(time.time())
        good = self.cosigned(self.tree.text(self.size), now)
        yield evil.note(9)
        yield evil.note(30)
        yield tlog.signed(text, claimed)
        yield text + "\n" + self.key.line(self.tree.text(9))  # the log's line below another text
        yield text + "\n" + self.witness.line(text, now)  # a witness alone
        yield text + "\n" + evil.key.line(text) + self.witness.line(text, now)
        yield text + "\n" + self.promise_key.line(text)
        yield good.replace(tlog.b64(self.tree.root(self.size)), tlog.b64(evil.root(9)))
        for at in (3, len(ORIGIN) + 1, len(ORIGIN) + 6, good.index("\u2014") + 60):
            flipped = bytearray(good.encode())
            flipped[at] ^= 1
            yield bytes(flipped)
        for size in (1, 5, self.size - 1, self.size):  # old ones, without cosignatures
            yield self.tree.note(size)
        forged_line = tlog.Key(self.witness.name, tlog.COSIGNATURE, bytes(32))
        forged_line.id = self.witness.id
        honest = self.tree.text(5)
        yield self.tree.note(5) + forged_line.line(honest, now - 4)
        yield tlog.signed(tlog.checkpoint_text(ORIGIN, 0, hashlib.sha256(b"").digest()), self.key)
        # Signed by the log, but no checkpoint of it.
        yield tlog.signed(f"other.example\n9\n{tlog.b64(bytes(32))}\n", self.key)
        yield tlog.signed(f"courtroll promise v1\n{ORIGIN}\n3 {tlog.b64(bytes(32))}\n", self.key)

    def test_nothing_is_held_against_an_honest_log(self):
        shown, folder = self.shown(), os.path.join(self.dir, "folder")
        os.makedirs(folder)
        monitor = self.monitor(vantage=[shown.url, "file:" + folder], checks_per_minute=100000)
        forgeries = list(self.forgeries())
        for i, note in enumerate(forgeries):
            with open(os.path.join(folder, str(i)), "wb") as file:
                file.write(note if isinstance(note, bytes) else note.encode())
            courtroll("monitor", "check", "--monitor", monitor.grpc, os.path.join(folder, str(i)))
            shown.show_and_wait(note, rounds=1)
        notes = [n if isinstance(n, str) else n.decode(errors="replace") for n in forgeries[:2]]
        for content in (  # evidence that is none, handed in
            "courtroll evidence v1\nfork\n" + "".join(f"note {len(n.encode())}\n{n}" for n in notes),
            b"".join(n if isinstance(n, bytes) else n.encode() for n in forgeries),
        ):
            courtroll("monitor", "check", "--monitor", monitor.grpc, self.file("handed-in", content))
        self.grow(15)  # past all that might wait
        monitor.wait_held(ORIGIN, self.size)
        time.sleep(ROUNDS_S)
        self.assert_nothing_is_claimed(monitor)
        files = [path for path in glob.glob(monitor.data + "/**/*", recursive=True) if "evidence" in path]
        self.assertEqual(files, [])
        self.assertGreater(monitor.status()["vantages"][0]["notes"], 0)
        monitor.restart()
        monitor.wait_held(ORIGIN, self.size)
        self.assert_nothing_is_claimed(monitor)


class TestTrustedStart(World):
    def test_a_fork_above_it_is_found_and_what_is_below_is_said(self):
        start = self.size
        note = self.file("start", self.log.get("/checkpoint").body)
        self.grow(6)
        shown = self.shown()
        monitor = self.monitor(start_from=note, vantage=shown.url)
        shown.show_and_wait(self.tree.note(start - 5))
        shown.show_and_wait(self.tree.note(start + 2))
        self.assert_nothing_is_claimed(monitor)
        for _ in range(2):
            self.assertEqual(monitor.status()["logs"][0]["trusted_start"], start)
            self.assertIn(f"entries below {start}", re.sub(r"<[^>]*>", "", monitor.page()))
            self.assertIn(f"entries below {start} were never looked at", monitor.ask("status").stdout)
            monitor.restart()
            monitor.wait_held(ORIGIN, self.size)
        shown.show(self.tree.branch(start, "evil").grow(3).note(start + 3))
        self.assert_proved(monitor, monitor.wait_alert("fork"), "FORK")

    def test_a_start_that_the_log_contradicts_is_not_held(self):
        other = Tree(ORIGIN, self.size, "evil", key=self.key)
        start = self.file("start", other.note(self.size))
        monitor = self.monitor(start_from=start, hold=False)
        wait_until(monitor.alerts, "something is said", timeout=10)
        time.sleep(ROUNDS_S)
        self.assertEqual(monitor.held_size(ORIGIN), 0)
        self.assertEqual({alert["code"] for alert in monitor.alerts()}, {"root-mismatch"})


class TestObservations(World):
    def test_each_is_the_monitors_word_and_no_more(self):
        shown = self.shown()
        policy = self.write_policy("strict", self.log, "quorum both\n")
        monitor = self.monitor(
            policy, vantage=shown.url, withheld_after_seconds=1,
            unreachable_after_seconds=1, witness_missing_after_seconds=1, hold=False,
        )
        monitor.wait_alert("no-quorum")
        shown.show(self.tree.branch(self.size, "ahead").grow(30).note(self.size + 30))
        self.grow(5)
        for code in ("withheld", "witness-missing"):
            monitor.wait_alert(code)
        self.log.stop()
        monitor.wait_alert("unreachable")
        other = tlog.Key("monitor.example/other", tlog.ED25519)
        claimed = tlog.Key(monitor.name, tlog.ED25519, bytes(32))
        seen = set()
        for alert in monitor.alerts():
            seen.add(alert["code"])
            content = monitor.evidence(alert["evidence"])
            said = rf"\Amonitor {monitor.name} says {alert['code']}"
            words = self.verify(content, "--monitor", monitor.vkey, code=1)
            self.assertRegex(words, said + "\n")
            self.assertIn(ORIGIN, words)
            self.assertRegex(self.verify(content, code=1), said + r"  \(SIGNATURE NOT CHECKED\)\n")
            for key in (other, claimed):
                words = self.verify(content, "--monitor", key.vkey(), code=1)
                self.assertRegex(words, r"\ABAD SIGNATURE\n")
            changed = content.replace(ORIGIN.encode(), ORIGIN.replace("views", "viewz").encode())
            words = self.verify(changed, "--monitor", monitor.vkey, code=1)
            self.assertRegex(words, r"\A(BAD SIGNATURE|MALFORMED)\n")
        self.assertGreaterEqual(seen, {"no-quorum", "withheld", "witness-missing", "unreachable"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
