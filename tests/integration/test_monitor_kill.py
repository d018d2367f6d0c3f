#!/usr/bin/python3
"""kill -9 of a monitor at random moments: no entry is skipped, no alert is lost, and a delivery is repeated at
most once a kill, always under its id.

A real log grows all the while. Between it and the monitor stands a proxy that lies now and then, and beside
them a vantage that shows forks made with the log's own key; so alerts open and are resolved all the time. A
webhook counts what it is told. COURTROLL_SEED repeats the choices of a run (not its timing);
COURTROLL_KILL_ROUNDS sets the kills.
"""
import collections
import http.client
import http.server
import json
import os
import random
import re
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import tlog  # noqa: E402
from logd import IS_LONG, Logd, wait_until  # noqa: E402
from monitor import Monitor, monitor_policy  # noqa: E402

SEED = int(os.environ.get("COURTROLL_SEED") or random.SystemRandom().randrange(10**9))
ROUNDS = int(os.environ.get("COURTROLL_KILL_ROUNDS") or (100 if IS_LONG else 15))
ORIGIN = "log.example/killed"
LIFE_S = 1.2  # at most, before a kill
LISTED_MAX = 400  # alerts that GET /alerts shows for certain


class Server(http.server.ThreadingHTTPServer):
    """Answers each request with answer(method, path, body): (status, body), or None for a closed connection."""

    daemon_threads = True

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self):
                size = int(self.headers.get("Content-Length", 0))
                got = answer(self.command, self.path, self.rfile.read(size))
                if got is None:
                    self.close_connection = True
                    return
                try:
                    self.send_response(got[0])
                    self.send_header("Content-Length", str(len(got[1])))
                    self.end_headers()
                    self.wfile.write(got[1])
                except OSError:
                    pass  # who asked was killed

            do_GET = do_POST = respond

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def handle_error(self, *_):
        pass

    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def close(self):
        self.shutdown()
        self.server_close()


class Lies:
    """What the proxy makes of the log's answers; `kind` is chosen by a thread, all the time."""

    KINDS = ["rollback", "malformed", "bad-signature", "root-mismatch", "gone"]

    def __init__(self, log, rng):
        self.log, self.rng = log, rng
        self.kind = "none"
        self.old = log.get("/checkpoint").body
        self.told = collections.Counter()

    def answer(self, _method, path, _body):
        kind = self.kind
        try:
            got = self.log.get(path)
        except (OSError, http.client.HTTPException):
            return None
        status, body = got.status, got.body
        if kind == "gone":
            return None
        if path == "/checkpoint" and kind in ("rollback", "malformed", "bad-signature"):
            self.told[kind] += 1
            if kind == "rollback":
                body = self.old
            elif kind == "malformed":
                body = b"<h1>It works!</h1>\n"
            else:
                at = len(body) - 20
                body = body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :]
        elif path.startswith("/tile/entries/") and kind == "root-mismatch" and status == 200:
            self.told[kind] += 1
            body = body[:-1] + bytes([body[-1] ^ 1])
        return status, body


class Vantage:
    """Shows another history of the log's own key, of a size that the log has published, when told to."""

    def __init__(self, log):
        self.log, self.key = log, tlog.Key.from_file(log.key)
        self.note = None

    def answer(self, *_):
        note = self.note
        return (404, b"") if note is None else (200, note.encode())

    def fork(self, rng):
        size = rng.randrange(1, self.log.published_size() + 1)
        text = tlog.checkpoint_text(ORIGIN, size, rng.randbytes(32))
        self.note = tlog.signed(text, self.key)


class Webhook:
    """Counts (id, event) for each life of the monitor. `armed` is called once, within a delivery or right after
    its answer was made, to kill at the moments that matter most."""

    def __init__(self):
        self.lock = threading.Lock()
        self.life = 0
        self.got = []  # (life, id, event, code)
        self.armed = None

    def answer(self, method, _path, body):
        told = json.loads(body)
        with self.lock:
            armed, self.armed = self.armed, None
            self.got.append((self.life, told["alert"]["id"], told["event"], told["alert"]["code"]))
        assert method == "POST"
        if armed is not None and not armed():
            return None
        return 200, b""

    def deliveries(self):
        with self.lock:
            return list(self.got)


class TestKill(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(SEED)
        print(f"COURTROLL_SEED={SEED}", file=sys.stderr)
        directory = tempfile.TemporaryDirectory(prefix="courtroll.")
        self.addCleanup(directory.cleanup)
        self.log = Logd(origin=ORIGIN, http_add="on", checkpoint_interval_ms=100)
        self.addCleanup(self.log.close)
        self.entries = 0
        self.append(50)
        self.log.wait_published(50)
        self.lies, self.vantage, self.webhook = Lies(self.log, self.rng), Vantage(self.log), Webhook()
        urls = []
        for one in (self.lies, self.vantage, self.webhook):
            server = Server(one.answer)
            self.addCleanup(server.close)
            urls.append(server.url())
        policy = monitor_policy(self.log, os.path.join(directory.name, "policy"), urls[0])
        self.monitor = Monitor(
            [policy], vantage=urls[1], alert_webhook=urls[2] + "/hook", heartbeat_hours=0,
            alert_repeat_hours=0, unreachable_after_seconds=1, is_started=False,
        )
        self.addCleanup(self.monitor.close)
        self.shown = {}  # id -> the alert as it was last shown
        self.order = {"open": 0, "acknowledged": 1, "resolved": 2}
        self.held = 0
        self.is_over = threading.Event()
        self.problems = []

    def append(self, count):
        for _ in range(count):
            self.log.add(f"entry {self.entries} of the log that is watched".encode())
            self.entries += 1

    # -- what goes on all the while --

    def run_thread(self, function, pauses):
        rng = random.Random(self.rng.random())

        def run():
            try:
                while not self.is_over.is_set():
                    function(rng)
                    time.sleep(rng.uniform(*pauses))
            except Exception as problem:  # told at the end
                self.problems.append(problem)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def load(self, rng):
        self.append(rng.randrange(1, 12))

    def lie(self, rng):
        self.lies.kind = rng.choice(Lies.KINDS) if self.lies.kind == "none" else "none"

    def show_fork(self, rng):
        if rng.random() < 0.5:
            self.vantage.fork(rng)
        else:
            self.vantage.note = None

    # -- a look at the monitor --

    def look(self):
        """What /alerts shows now: nothing of what it has shown may be missing or go back to what it was."""
        alerts = {a["id"]: a for a in self.monitor.alerts()}
        if len(alerts) < LISTED_MAX:
            self.compare(alerts)
        self.shown.update(alerts)
        held = self.monitor.held_size(ORIGIN)
        self.assertGreaterEqual(held, self.held, "the held tree became smaller")
        self.held = held

    def compare(self, alerts):
        for known, before in self.shown.items():
            self.assertIn(known, alerts, f"lost: {before}")
            now = alerts[known]
            self.assertGreaterEqual(self.order[now["state"]], self.order[before["state"]], (before, now))
            for key in ("code", "origin", "subject", "first_seen", "number"):
                self.assertEqual(now[key], before[key], (before, now))
            self.assertLessEqual(set(before["evidence_all"]), set(now["evidence_all"]))

    def resolve_forks(self):
        for alert in self.monitor.alerts("open"):
            if alert["code"] == "fork":
                self.monitor.control("resolve", "--comment", "looked at", alert["id"])

    def ask(self, word, *arguments):
        """`courtroll monitor WORD --json`, which exits with 1 while something is open."""
        done = self.monitor.ask(word, "--json", *arguments, code=None)
        self.assertIn(done.returncode, (0, 1), done)
        return json.loads(done.stdout)

    # -- moments --

    def kill_now(self):
        self.monitor.process.popen.kill()
        self.monitor.process.popen.wait()

    def at_random(self):
        until = time.monotonic() + self.rng.uniform(0.05, LIFE_S)
        while time.monotonic() < until:
            self.look()
            if self.rng.random() < 0.2:
                self.resolve_forks()
            time.sleep(self.rng.uniform(0, 0.1))

    def within_delivery(self, is_answered):
        """Killed while the webhook has the delivery and the monitor does not know, or when it may just know."""
        killed = threading.Event()

        def kill():
            self.kill_now()
            killed.set()
            return False

        def kill_soon():
            pause = self.rng.choice([0, 0.0005, 0.002, 0.01])
            threading.Timer(pause, kill).start()
            return True

        self.look()
        self.webhook.armed = kill_soon if is_answered else kill
        killed.wait(3)
        with self.webhook.lock:
            self.webhook.armed = None
        time.sleep(0.05)  # a kill that is under way

    def starting(self):
        self.at_random()
        self.end_life()
        self.monitor.spawn()
        time.sleep(self.rng.uniform(0, 0.1))

    def end_life(self):
        self.kill_now()
        self.monitor.kill()
        with self.webhook.lock:
            self.webhook.life += 1
            self.webhook.armed = None

    def live(self):
        self.monitor.start()
        self.look()
        moment = self.rng.choice(["random", "random", "within", "answered", "starting"])
        if moment == "random":
            self.at_random()
        elif moment == "starting":
            self.starting()
        else:
            self.within_delivery(moment == "answered")
        self.end_life()

    # -- the end --

    def settle(self):
        self.is_over.set()
        self.lies.kind = "none"
        self.vantage.note = None
        self.monitor.start()
        for thread in self.threads:
            thread.join(30)
        self.assertEqual(self.problems, [])
        self.lies.kind = "none"
        self.vantage.note = None
        size = self.log.wait_published(self.entries)
        self.monitor.wait_held(ORIGIN, size)
        wait_until(self.is_quiet, "all is delivered, and over but for forks")
        self.look()
        return size

    def is_quiet(self):
        waiting = [sink["waiting"] for sink in self.ask("status")["sinks"]]
        live = [a for a in self.monitor.alerts() if a["state"] != "resolved" and a["code"] != "fork"]
        return waiting == [0] and not live

    def check_tree(self, size):
        """The whole log was hashed, from entry 0, and is what a second opinion makes of it."""
        status = self.ask("status")["logs"][0]
        leaves = [
            tlog.leaf_hash(f"entry {i} of the log that is watched".encode()) for i in range(size)
        ]
        self.assertEqual(status["held_size"], size)
        self.assertEqual(status["held_root"], tlog.root(leaves).hex())
        self.assertIsNone(status["trusted_start"])

    def check_deliveries(self):
        deliveries = self.webhook.deliveries()
        states = {a["id"]: a["state"] for a in self.ask("alerts", "--all")["alerts"]}
        self.assertLessEqual(set(self.shown), set(states), "alerts are lost")
        told = collections.Counter()
        repeats = collections.Counter()  # life -> deliveries that a life before it had made
        for life, alert, event, _ in deliveries:
            self.assertIn(alert, states, "one that was told of is lost")
            if event == "resolved":
                self.assertGreater(told[alert, "opened"], 0, "resolved before it was opened")
            repeats[life] += told[alert, event] > 0
            told[alert, event] += 1
        for alert, state in states.items():
            self.assertGreaterEqual(told[alert, "opened"], 1, f"{alert} was never told")
            if state == "resolved":
                self.assertGreaterEqual(told[alert, "resolved"], 1, f"the end of {alert} was never told")
        self.assertEqual({event for _, event in told}, {"opened", "resolved"})
        self.assertEqual(repeats[0], 0)
        for life, count in repeats.items():
            self.assertLessEqual(count, 1, f"{count} deliveries repeated in life {life}")
        return states, told, sum(repeats.values())

    def test_nothing_is_skipped_lost_or_told_twice_over(self):
        began = time.monotonic()
        self.threads = [
            self.run_thread(self.load, (0.02, 0.2)),
            self.run_thread(self.lie, (0.1, 0.5)),
            self.run_thread(self.show_fork, (0.2, 0.6)),
        ]
        for _ in range(ROUNDS):
            self.live()
        size = self.settle()
        self.check_tree(size)
        states, told, repeats = self.check_deliveries()
        codes = collections.Counter(a["code"] for a in self.shown.values())
        print(
            f"{self.webhook.life} kills in {time.monotonic() - began:.0f} s, {size} entries, "
            f"{len(states)} alerts {dict(codes)}, {sum(told.values())} deliveries, {repeats} repeated",
            file=sys.stderr,
        )
        self.assertGreaterEqual(self.webhook.life, ROUNDS)
        self.assertIn("fork", codes)
        self.assertGreaterEqual(len(codes), 3, "the alerts of a run must be of several kinds")
        for alert in self.shown.values():
            if alert["evidence"] is not None and re.match("fork", alert["code"]):
                self.assertIn(b"fork", self.monitor.evidence(alert["evidence"]))
        self.assertEqual(self.monitor.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
