#!/usr/bin/python3
"""courtroll-monitor as it is run: a real log with real witnesses, its page, metrics, signals, and
configurations that it refuses."""
import contextlib
import glob
import html.parser
import http.server
import io
import json
import os
import re
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from logd import Logd, keygen, wait_until  # noqa: E402
from monitor import Monitor, monitor_policy  # noqa: E402
from witness import Witness  # noqa: E402

DEPLOY = os.path.join(HERE, "../../deploy")
ORIGIN = "log.example/monitored"
STOP_S = 5


class World(unittest.TestCase):
    """A log, three witnesses (quorum 2) and the policy of a monitor."""

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.log = Logd(
            origin=ORIGIN, is_started=False, http_add="on", checkpoint_interval_ms=100
        )
        cls.addClassCleanup(cls.log.close)
        cls.witnesses = []
        lines = []
        for i in (1, 2, 3):
            witness = Witness([cls.log.vkey], name=f"witness.example/w{i}")
            cls.addClassCleanup(witness.close)
            cls.witnesses.append(witness)
            lines.append(f"witness w{i} {witness.vkey} {witness.url()}\n")
        lines.append("group g 2 w1 w2 w3\nquorum g\n")
        with open(cls.log.policy, "a+", encoding="utf-8") as file:
            file.truncate(0)
            file.write(f"log {cls.log.vkey}\n" + "".join(lines))
        cls.log.start()
        cls.policy = monitor_policy(cls.log, os.path.join(cls.dir, "policy"))
        cls.size = 0
        cls.grow(300)

    @classmethod
    def grow(cls, count):
        for _ in range(count):
            cls.log.add(f"entry {cls.size}".encode())
            cls.size += 1
        cls.log.wait_published(cls.size)

    def monitor(self, **settings):
        monitor = Monitor([self.policy], **settings)
        self.addCleanup(monitor.close)
        return monitor


class Page(html.parser.HTMLParser):
    """Whether every tag is closed, and what is in the page."""

    VOID = ("meta",)

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.words.append(data)

    def text(self):
        return " ".join(" ".join(self.words).split())


class TestFollowing(World):
    def test_a_real_log_is_followed_and_all_is_well(self):
        monitor = self.monitor(
            vantage=[w.url() for w in self.witnesses], alert_command="/bin/true"
        )
        monitor.wait_held(ORIGIN, self.size)
        self.grow(10)
        monitor.wait_held(ORIGIN, self.size)
        self.assertEqual(monitor.alerts(), [])
        page = Page(monitor.page())
        self.assertIn("All is well: 1 of 1 log is verified.", page.text())
        self.assertIn(ORIGIN, page.text())
        self.assertIn(f"{self.size} entries: each hashed here", page.text())
        self.assertNotIn("script", [tag for tag, _ in page.tags])
        status = monitor.status()
        self.assertTrue(status["well"], status)
        self.assertEqual(status["logs"][0]["held_size"], self.size)
        self.assertTrue(status["logs"][0]["quorum_met"])
        self.assertEqual(monitor.metric("courtroll_monitor_quorum_met", origin=ORIGIN), 1)
        self.assertGreaterEqual(
            monitor.metric("courtroll_monitor_entries_hashed_total", origin=ORIGIN), self.size
        )
        for severity in ("info", "warning", "critical"):
            self.assertEqual(monitor.metric("courtroll_monitor_alerts_open", severity=severity), 0)
        seen = [n for _, n in monitor.metrics()["courtroll_monitor_witness_seen_seconds"]]
        self.assertEqual(len(seen), 3)
        self.assertGreaterEqual(sum(n > time.time() - 600 for n in seen), 2)
        archived = glob.glob(monitor.data + "/archive/*/archive/*/*/*")
        self.assertTrue(archived, "no note was archived")
        self.assertEqual(monitor.stop(), 0)

    def test_a_restart_goes_on_where_it_stopped(self):
        monitor = self.monitor()
        monitor.wait_held(ORIGIN, self.size)
        monitor.restart()
        self.assertGreaterEqual(monitor.wait_held(ORIGIN, self.size), self.size)
        hashed = monitor.metric("courtroll_monitor_entries_hashed_total", origin=ORIGIN)
        self.assertLess(hashed, 256)
        monitor.kill()
        self.grow(5)
        monitor.start()
        monitor.wait_held(ORIGIN, self.size)
        self.assertLess(
            monitor.metric("courtroll_monitor_entries_hashed_total", origin=ORIGIN), 256 + 5
        )
        self.assertEqual(monitor.alerts(), [])

    def test_metrics_of_rules_and_dashboard_exist(self):
        monitor = self.monitor(vantage=self.witnesses[0].url(), alert_command="/bin/true")
        monitor.wait_held(ORIGIN, self.size)
        served = set(monitor.metrics())
        for path in ("prometheus/courtroll-monitor.rules.yml", "grafana/courtroll-monitor.json"):
            with open(os.path.join(DEPLOY, path), encoding="utf-8") as file:
                names = set(re.findall(r"\bcourtroll_[a-z_]+", file.read()))
            self.assertGreater(len(names), 10, path)
            self.assertEqual(names - served, set(), path)
        with open(os.path.join(DEPLOY, "grafana/courtroll-monitor.json"), encoding="utf-8") as file:
            json.load(file)
        # And the other way round: nobody has to guess what a number is for.
        ours = {name for name in served if name.startswith("courtroll_monitor_")}
        with open(os.path.join(DEPLOY, "grafana/courtroll-monitor.json"), encoding="utf-8") as file:
            shown = set(re.findall(r"\bcourtroll_monitor_[a-z_]+", file.read()))
        self.assertEqual(ours - shown, set())

    def test_sighup_polls_at_once(self):
        monitor = self.monitor(poll_interval_ms=3600000)
        monitor.wait_held(ORIGIN, self.size)
        self.grow(3)
        time.sleep(0.3)
        self.assertLess(monitor.held_size(ORIGIN), self.size)
        monitor.process.signal(signal.SIGHUP)
        monitor.wait_held(ORIGIN, self.size)

    def test_begins_at_a_trusted_checkpoint_and_says_so(self):
        note = os.path.join(self.dir, "note")
        with open(note, "wb") as file:
            file.write(self.log.get("/checkpoint").body)
        start = self.size
        self.grow(4)
        monitor = self.monitor(start_from=note)
        monitor.wait_held(ORIGIN, self.size)
        self.assertIn(f"entries below {start}", Page(monitor.page()).text())
        self.assertEqual(monitor.status()["logs"][0]["trusted_start"], start)


class TestSurfaces(World):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.monitor_ = Monitor([cls.policy], page_url="https://monitor.example/")
        cls.addClassCleanup(cls.monitor_.close)
        cls.monitor_.wait_held(ORIGIN, cls.size)

    def test_answers_what_there_is_and_nothing_else(self):
        m = self.monitor_
        self.assertEqual(m.get("/healthz").body, b"ok\n")
        for path in ("/evidence/", "/evidence/" + "0" * 64, "/evidence/" + "A" * 64,
                     "/evidence/" + "0" * 63, "/evidence/" + "0" * 64 + "/x", "/x", "//", "/page",
                     "/alerts/", "/../etc/passwd", "/evidence/../../identity"):
            response = m.get(path)
            self.assertEqual(response.status, 404, path)
            self.assertEqual(response.body, b"not found\n", path)
        for method in ("POST", "PUT", "DELETE"):
            response = m.request(method, "/alerts", body=b"")
            self.assertEqual(response.status, 405, method)
            self.assertEqual(response.headers["Allow"], "GET, HEAD")

    def test_pages_cannot_do_anything(self):
        page = self.monitor_.get("/")
        self.assertIn("default-src 'none'", page.headers["Content-Security-Policy"])
        self.assertIn("frame-ancestors 'none'", page.headers["Content-Security-Policy"])
        self.assertEqual(page.headers["Content-Type"], "text/html; charset=utf-8")
        for path in ("/", "/alerts", "/metrics", "/healthz", "/x"):
            self.assertEqual(
                self.monitor_.get(path).headers["X-Content-Type-Options"], "nosniff", path
            )
        head = self.monitor_.request("HEAD", "/")
        self.assertEqual((head.status, head.body), (200, b""))

    def test_the_page_can_be_used_without_eyes_and_on_a_phone(self):
        page = Page(self.monitor_.page())
        tags = [tag for tag, _ in page.tags]
        attributes = {tag: attrs for tag, attrs in page.tags}
        self.assertEqual(attributes["html"]["lang"], "en")
        self.assertIn(("meta", {"name": "viewport", "content": "width=device-width"}), page.tags)
        self.assertEqual(tags.count("main"), 1)
        self.assertEqual(tags.count("h1"), 1)
        self.assertEqual(tags.count("table"), tags.count("caption"))
        for tag, attrs in page.tags:
            if tag == "th":
                self.assertIn(attrs["scope"], ("col", "row"))
            if tag == "progress":
                self.assertTrue(attrs["aria-label"])
            if attrs.get("role") == "region":
                self.assertEqual(attrs["tabindex"], "0")
                self.assertTrue(attrs["aria-label"])
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        self.assertEqual(len(ids), len(set(ids)))
        for _, attrs in page.tags:
            for name in attrs.get("aria-labelledby", "").split():
                self.assertIn(name, ids)
        skip = next(attrs for tag, attrs in page.tags if tag == "a")
        self.assertEqual((skip["class"], skip["href"]), ("skip", "#main"))
        self.assertIn("main", ids)

    def test_the_control_socket_is_for_us_alone(self):
        mode = os.stat(self.monitor_.control_socket).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.monitor_.data).st_mode), 0o700)
        self.assertTrue(json.loads(self.monitor_.control("status", "--json").stdout)["well"])

    def test_only_the_control_socket_takes_orders(self):
        unknown = "0" * 32
        self.assertIn("no such alert", self.monitor_.control("ack", unknown, code=3).stderr)
        refusal = self.monitor_.ask("ack", unknown, code=4).stderr
        self.assertIn("control socket only: --monitor unix:DATA-DIR/control.sock", refusal)


class Receiver(http.server.ThreadingHTTPServer):
    """A webhook, and later an answer for a log that was away."""

    def __init__(self):
        self.got = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                size = int(self.headers["Content-Length"])
                receiver.got.append(json.loads(self.rfile.read(size)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook/secret"


class TestAlerts(World):
    def test_people_are_told_and_told_again_when_it_is_over(self):
        receiver = Receiver()
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        monitor = self.monitor(alert_webhook=receiver.url(), unreachable_after_seconds=1)
        monitor.wait_held(ORIGIN, self.size)
        port = self.log.http
        self.log.stop()
        alert = monitor.wait_alert("unreachable")
        wait_until(lambda: len(receiver.got) == 1, "the webhook was told")
        self.assertEqual(receiver.got[0]["event"], "opened")
        self.assertEqual(receiver.got[0]["alert"]["id"], alert["id"])
        page = Page(monitor.page())
        self.assertIn("1 warning is open", page.text())
        self.assertIn("Warning: unreachable", page.text())
        self.assertIn(f"courtroll monitor ack --monitor unix:DATA-DIR/control.sock {alert['id']}",
                      page.text())
        self.assertNotIn("secret", page.text())
        response = monitor.get(alert["evidence"])
        self.assertTrue(response.body.startswith(b"courtroll"), response.body[:64])
        self.assertRegex(
            response.headers["Content-Disposition"],
            r'^attachment; filename="evidence-[0-9a-f]{16}\.txt"$',
        )
        monitor.control("ack", "--comment", "called <them>", alert["id"])
        self.assertIn("called <them>", Page(monitor.page()).text())
        self.log.start(http_listen=port)
        monitor.wait_alert("unreachable", "resolved")
        wait_until(lambda: receiver.got[-1]["event"] == "resolved", "the webhook was told")
        self.assertEqual({got["alert"]["id"] for got in receiver.got}, {alert["id"]})
        self.assertIn("Recently resolved alerts", Page(monitor.page()).text())

    def test_a_drill_reaches_everybody_and_finds_its_fork(self):
        receiver = Receiver()
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        monitor = self.monitor(alert_webhook=receiver.url())
        monitor.control("self-test")
        self.assertTrue(receiver.got)
        self.assertTrue(all(got["alert"]["drill"] for got in receiver.got), receiver.got)
        self.assertEqual(monitor.alerts("open"), [])


class Hanging:
    """A log, or a vantage, that takes connections and never answers."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def close(self):
        self.socket.close()


class TestProcess(World):
    def stop_in_time(self, monitor):
        began = time.monotonic()
        self.assertEqual(monitor.stop(), 0)
        self.assertLess(time.monotonic() - began, STOP_S)

    def test_sigterm_ends_it_in_time(self):
        monitor = self.monitor()
        monitor.wait_held(ORIGIN, self.size)
        began = time.monotonic()
        self.stop_in_time(monitor)
        self.assertLess(time.monotonic() - began, 2)
        self.assertNotIn("stop_forced", monitor.process.text())
        self.assertFalse(os.path.exists(monitor.control_socket))

    def test_a_log_and_a_vantage_that_hang_keep_it_from_nothing(self):
        hanging = Hanging()
        self.addCleanup(hanging.close)
        policy = monitor_policy(self.log, os.path.join(self.dir, "hanging"), hanging.url)
        began = time.monotonic()
        monitor = Monitor([policy], vantage=hanging.url)
        self.addCleanup(monitor.close)
        self.assertLess(time.monotonic() - began, 5)
        self.assertIn("nothing yet", Page(monitor.page()).text())
        time.sleep(0.5)
        self.stop_in_time(monitor)
        monitor.start()

    def test_systemd_is_told(self):
        path = os.path.join(self.dir, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(20)
            monitor = self.monitor(wrapper=("env", f"NOTIFY_SOCKET={path}"))
            said = []
            while "WATCHDOG=1" not in said or "READY=1" not in said:
                said.append(notify.recv(4096).decode())
            self.stop_in_time(monitor)
            while said[-1] != "STOPPING=1":
                said.append(notify.recv(4096).decode())

    def test_a_socket_left_by_a_kill_is_replaced(self):
        monitor = self.monitor()
        monitor.kill()
        self.assertTrue(os.path.exists(monitor.control_socket))
        monitor.start()
        monitor.control("status")

    def test_what_is_no_socket_is_left_alone(self):
        monitor = self.monitor()
        monitor.stop()
        with open(monitor.control_socket, "w", encoding="utf-8") as file:
            file.write("mine")
        code, text = monitor.fails_to_start()
        self.assertEqual(code, 3, text)
        self.assertIn("no socket", text)
        with open(monitor.control_socket, encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine")

    def test_one_process_a_directory(self):
        monitor = self.monitor()
        other = Monitor([self.policy], directory=monitor.dir, is_started=False)
        self.addCleanup(other.close)
        code, text = other.fails_to_start()
        self.assertEqual(code, 3, text)
        self.assertIn("cannot_start", text)
        monitor.control("status")  # its socket is still its own

    def test_a_directory_is_of_one_key(self):
        monitor = self.monitor()
        monitor.stop()
        other = os.path.join(monitor.dir, "other.key")
        keygen("monitor", "monitor.example/other", other)
        code, text = monitor.fails_to_start(key=other)
        self.assertEqual(code, 3, text)
        self.assertIn("belongs to another key", text)
        monitor.start()

    def test_a_lost_store_is_not_begun_anew(self):
        monitor = self.monitor()
        monitor.stop()
        shutil.rmtree(os.path.join(monitor.data, "state"))
        code, text = monitor.fails_to_start()
        self.assertEqual(code, 3, text)
        self.assertIn("is lost", text)
        os.remove(os.path.join(monitor.data, "identity"))
        monitor.start()
        monitor.wait_held(ORIGIN, self.size)

    def test_a_key_of_another_kind_is_refused(self):
        monitor = Monitor([self.policy], is_started=False)
        self.addCleanup(monitor.close)
        other = os.path.join(monitor.dir, "witness.key")
        keygen("witness", "witness.example/x", other)
        code, text = monitor.fails_to_start(key=other)
        self.assertEqual(code, 3, text)
        self.assertIn("cannot_start", text)

    def test_a_drill_is_over_when_the_monitor_stops(self):
        """By a stop in the midst of it, and by a kill."""
        hanging = Hanging()
        self.addCleanup(hanging.close)
        monitor = self.monitor(alert_webhook=hanging.url)
        for end in (monitor.stop, monitor.kill):
            drill = threading.Thread(target=monitor.control, args=("self-test",))
            drill.daemon = True
            with contextlib.redirect_stderr(io.StringIO()):
                drill.start()
                monitor.wait_alert("fork")
                end()
                drill.join()
            monitor.start()
            self.assertEqual(monitor.alerts("open"), [])
            self.assertTrue(monitor.alerts("resolved")[0]["drill"])

    def test_a_log_that_hangs_hides_no_failure_to_start(self):
        hanging = Hanging()
        self.addCleanup(hanging.close)
        policy = monitor_policy(self.log, os.path.join(self.dir, "hanging"), hanging.url)
        monitor = Monitor([policy], is_started=False, http_listen=hanging.url[len("http://"):])
        self.addCleanup(monitor.close)
        code, text = monitor.fails_to_start()
        self.assertEqual(code, 3, text)
        self.assertIn("cannot_listen", text)


class TestConfiguration(World):
    def setUp(self):
        self.m = Monitor([self.policy], is_started=False)
        self.addCleanup(self.m.close)

    def refused(self, *words, code=2, **settings):
        got, text = self.m.fails_to_start(**settings)
        self.assertEqual(got, code, text)
        for word in words:
            self.assertIn(word, text)

    def write(self, name, text):
        path = os.path.join(self.m.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_each_mistake_is_told_before_anything_is_begun(self):
        self.refused("policy", policy=None)
        self.refused("/nonexistent", policy="/nonexistent")
        self.refused("has no URL", policy=self.log.policy)
        same = monitor_policy(self.log, os.path.join(self.m.dir, "same"))
        self.refused("in another policy", policy=[self.policy, same])
        self.refused("log-url", policy=[self.policy, "other"], log_url="http://x.example")
        self.refused("gRPC", log_url="127.0.0.1:1")
        self.refused("vantage", vantage="nonsense")
        self.refused("password", vantage="http://reader:secret@mirror.example")
        self.refused("password", log_url="https://log.example/?token=secret")
        self.refused("control-socket", grpc_listen="unix:/nonexistent/public.sock")
        self.refused("peer", peer=self.log.vkey + "x")
        self.refused("own key", peer=self.m.vkey)
        self.refused("start-from", start_from=self.write("nonote", "hello\n"))
        self.refused("all three", alert_mail_to="a@example")
        self.refused("alert-command", alert_command="/nonexistent")
        self.refused("scan-threads", scan_threads=33)
        self.refused("stalled-after-seconds", stalled_after_seconds=1, poll_interval_ms=10000)
        self.refused("future-tolerance-seconds", future_tolerance_seconds=0)
        self.refused("grpc-listen", grpc_listen="0.0.0.0:0")
        self.assertFalse(os.path.exists(self.m.data))

    def test_what_cannot_be_had_ends_it_with_3(self):
        self.refused("key", code=3, key="/nonexistent")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.refused("cannot_listen", code=3,
                         http_listen=f"127.0.0.1:{taken.getsockname()[1]}")

    def test_weak_setups_are_warned_of(self):
        weak = monitor_policy(
            self.log, os.path.join(self.m.dir, "weak"), policy_text="quorum none\n"
        )
        self.m.start(policy=weak)
        text = self.m.process.text()
        for event in ("weak_policy", "split_views_go_unnoticed", "nobody_is_told"):
            self.assertIn(f"event={event}", text)
        self.m.stop()
        self.m.start(vantage=self.witnesses[0].url(), alert_command="/bin/true")
        text = self.m.process.text()
        for event in ("split_views_go_unnoticed", "nobody_is_told"):
            self.assertNotIn(f"event={event}", text)

    def test_a_directory_is_a_log_too(self):
        self.m.start(log_url="file:" + self.log.public)
        self.m.wait_held(ORIGIN, self.size)
        self.assertEqual(self.m.alerts(), [])

    def test_the_example_has_no_unknown_key(self):
        code, text = self.m.fails_to_start(
            config=os.path.join(DEPLOY, "config/monitor.conf"), policy="/nonexistent"
        )
        self.assertEqual(code, 2, text)
        self.assertIn("/nonexistent", text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
