#!/usr/bin/python3
"""The verification page at all three daemons: the same bytes, the same headers, what it is told of the daemon; and the
tiles that a monitor hands on, which are true or are not handed on. COURTROLL_BIN names the directory of the programs.
"""
import hashlib
import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
import unittest
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import base64  # noqa: E402

import reader  # noqa: E402
import tlog  # noqa: E402
from logd import BIN, Logd  # noqa: E402
from monitor import Monitor, monitor_policy  # noqa: E402
from witness import Witness  # noqa: E402

WEB = os.path.join(os.path.dirname(BIN.rstrip("/")), "web")
ENTRIES = 700
MEMBERS = ["page_sha256", "server", "name", "version", "time", "logs"]
LOG_MEMBERS = ["origin", "log_id", "policy_sha256", "policy", "policy_from", "tiles", "size", "alerts", "alerts_checked"]


def web(name):
    with open(os.path.join(WEB, name), "rb") as file:
        return file.read()


def ask(address, path, method="GET", timeout=60, **headers):
    connection = http.client.HTTPConnection(address, timeout=timeout)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.headers, body


class Evil(http.server.ThreadingHTTPServer):
    """Hands on the files of a log until told to `lie` about one, to leave one out, or to hang."""

    daemon_threads = True

    def __init__(self, log):
        self.log, self.lies, self.missing, self.huge, self.hangs = log, set(), set(), set(), threading.Event()
        self.asked, self.released = [], threading.Event()
        super().__init__(("127.0.0.1", 0), EvilHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.server_address[1]


class EvilHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        evil = self.server
        evil.asked.append(self.path)
        if evil.hangs.is_set() and self.path.startswith("/tile/"):
            evil.released.wait(60)
        answer = evil.log.get(self.path)
        status, body = answer.status, answer.body
        if self.path in evil.missing:
            status, body = 404, b"no\n"
        if self.path in evil.lies:
            body = bytes([body[0] ^ 1]) + body[1:] if self.path.startswith("/tile/0") else body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(status)
        self.end_headers()
        try:
            self.wfile.write(body)
            for _ in range(4096 if self.path in evil.huge else 0):
                self.wfile.write(bytes(65536))
        except OSError:
            pass  # who asked has had enough


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=50)
        cls.addClassCleanup(cls.log.close)
        cls.log.append(*(b"entry %d" % i for i in range(ENTRIES)))
        cls.log.wait_published(ENTRIES)
        key = tlog.Key.from_file(cls.log.key)
        cls.origin = key.name
        cls.hash = hashlib.sha256(cls.origin.encode()).hexdigest()
        cls.witness = Witness([key])
        cls.addClassCleanup(cls.witness.close)
        cls.evil = Evil(cls.log)
        cls.addClassCleanup(cls.evil.shutdown)
        cls.policy = monitor_policy(cls.log, os.path.join(cls.log.dir, "monitor.policy"), url=cls.evil.url)
        cls.monitor = Monitor([cls.policy])
        cls.addClassCleanup(cls.monitor.close)
        cls.monitor.wait_held(cls.origin, ENTRIES)
        cls.daemons = (cls.log, cls.witness, cls.monitor)

    def context(self, daemon):
        status, headers, body = ask(daemon.http, "/verify.json")
        self.assertEqual((status, headers["Content-Type"], headers["Cache-Control"]),
                         (200, "application/json", "no-store"))  # fmt: skip
        body.decode("ascii")
        context = json.loads(body)
        self.assertEqual(list(context), MEMBERS)
        for log in context["logs"]:
            self.assertEqual(list(log), LOG_MEMBERS)
        return context

    # -- the page --

    def test_all_three_serve_the_bytes_of_the_build(self):
        page = web("verify.html")
        digest = hashlib.sha256(page).hexdigest()
        self.assertEqual(web("verify.html.sha256").split()[0].decode(), digest)
        for daemon in self.daemons:
            status, headers, body = ask(daemon.http, "/verify")
            self.assertEqual((status, body == page), (200, True))
            self.assertEqual(headers["Content-Type"], "text/html; charset=utf-8")
            self.assertEqual(headers["Content-Security-Policy"], web("verify.csp").decode().strip())
            self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
            self.assertEqual(headers["Referrer-Policy"], "no-referrer")
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["Cross-Origin-Opener-Policy"], "same-origin")
            self.assertEqual(headers["Cache-Control"], "no-cache")
            self.assertEqual(headers["ETag"], f'"{digest}"')
            self.assertIsNone(headers["Set-Cookie"])
            self.assertEqual(self.context(daemon)["page_sha256"], digest)

    def test_head_has_the_headers_and_no_body(self):
        for daemon in self.daemons:
            got, head = ask(daemon.http, "/verify"), ask(daemon.http, "/verify", "HEAD")
            self.assertEqual(head[2], b"")
            for name in got[1]:
                if name != "Date":
                    self.assertEqual(head[1][name], got[1][name])

    def test_who_has_these_bytes_gets_304_and_who_has_others_gets_them(self):
        for daemon in self.daemons:
            tag = ask(daemon.http, "/verify")[1]["ETag"]
            for tags in (tag, "W/" + tag, '"a,b" , ' + tag, "*"):
                status, headers, body = ask(daemon.http, "/verify", If_None_Match=tags)
                self.assertEqual((status, body, headers["ETag"]), (304, b"", tag), tags)
                self.assertTrue(headers["Content-Security-Policy"])
            for tags in ('"other"', tag[:-1], tag[1:], tag.strip('"'), "", ",", "W/", tag + "x"):
                self.assertEqual(ask(daemon.http, "/verify", If_None_Match=tags)[0], 200, tags)

    def test_nothing_can_be_sent_there(self):
        for daemon in self.daemons:
            for path in ("/verify", "/verify.json"):
                for method in ("POST", "PUT", "DELETE", "OPTIONS"):
                    status, headers, _ = ask(daemon.http, path, method)
                    self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"), (path, method))
            for path in ("/verify/", "/verify.html", "/verify.jso", "/Verify"):
                self.assertEqual(ask(daemon.http, path)[0], 404, path)

    def test_a_query_changes_nothing(self):
        for daemon in self.daemons:
            self.assertEqual(ask(daemon.http, "/verify?lang=zh")[2], web("verify.html"))

    def test_the_status_pages_lead_there(self):
        for daemon in self.daemons:
            self.assertIn(b'href="/verify"', ask(daemon.http, "/")[2])

    def test_programs_tell_which_page_they_have(self):
        digest = web("verify.html.sha256").split()[0].decode()
        for name in ("courtroll-logd", "courtroll-witness", "courtroll-monitor"):
            done = subprocess.run([os.path.join(BIN, name), "--version"], capture_output=True, text=True, check=True)
            self.assertEqual(done.stdout.splitlines()[1], "verify.html sha256 " + digest)

    # -- what it is told --

    def test_the_log_tells_of_itself_and_knows_of_no_alerts(self):
        context = self.context(self.log)
        with open(self.log.policy, "rb") as file:
            policy = file.read()
        (log,) = context["logs"]
        log_id = base64.urlsafe_b64encode(hashlib.sha256(self.origin.encode()).digest()[:16]).decode().rstrip("=")
        self.assertEqual((context["server"], context["name"]), ("log", self.origin))
        self.assertEqual((log["origin"], log["log_id"], log["tiles"]), (self.origin, log_id, "/"))
        self.assertEqual((log["policy_from"], log["alerts"], log["alerts_checked"]), ("log", None, False))
        self.assertEqual(log["size"], ENTRIES)
        self.assertEqual(hashlib.sha256(log["policy"].encode()).hexdigest(), log["policy_sha256"])
        self.assertEqual(log["policy"].split("\n")[0], policy.decode().split("\n")[0])

    def test_the_witness_offers_no_policy_and_no_tiles(self):
        context = self.context(self.witness)
        (log,) = context["logs"]
        self.assertEqual((context["server"], context["name"]), ("witness", self.witness.name))
        self.assertEqual([log[name] for name in ("policy_sha256", "policy", "tiles", "size", "alerts", "alerts_checked")],
                         [None, None, None, None, None, False])  # fmt: skip

    def test_the_monitor_alone_may_say_that_there_is_no_alert(self):
        context = self.context(self.monitor)
        (log,) = context["logs"]
        with open(self.policy, "rb") as file:
            policy = file.read()
        self.assertEqual((context["server"], context["name"]), ("monitor", self.monitor.name))
        self.assertEqual((log["alerts"], log["alerts_checked"], log["size"]), ([], True, ENTRIES))
        self.assertEqual(log["policy_sha256"], hashlib.sha256(policy).hexdigest())
        self.assertEqual(log["policy"].encode(), policy)
        self.assertEqual(log["tiles"], f"/logs/{self.hash}/")

    # -- what a monitor hands on --

    def relayed(self, path):
        return ask(self.monitor.http, f"/logs/{self.hash}/{path}")

    def test_what_is_handed_on_is_what_the_log_signed(self):
        def fetch(path):
            status, _, body = self.relayed(path)
            return body if status == 200 else None

        size, _, entries = reader.read_log(fetch, tlog.Key.from_file(self.log.key))
        self.assertEqual((size, entries[699]), (ENTRIES, b"entry 699"))
        for path in ("tile/0/000", "tile/entries/002.p/3", "tile/0/002.p/188", "tile/1/000.p/2", "tile/0/001.p/1"):
            status, headers, body = self.relayed(path)
            self.assertEqual((status, headers["Content-Type"]), (200, "application/octet-stream"), path)
            self.assertIn("immutable", headers["Cache-Control"])
            self.assertEqual(ask(self.monitor.http, f"/logs/{self.hash}/{path}", "HEAD")[2], b"")
            full = self.log.get("/" + path)
            if full.status == 200:
                self.assertEqual(body, full.body, path)

    def test_no_other_path_is_handed_on(self):
        before = len(self.evil.asked)
        for path in """tile/0/003 tile/0/002.p/189 tile/entries/002.p/189 tile/0/002 tile/2/000.p/1 tile/0/00 tile/64/000
                tile/0/../0/000 tile/ tile archive/after/0 healthz metrics ../checkpoint verify tile/0/000.p/0 tile//0/000
                tile/0/000/ tile/0/%3000""".split():
            status, headers, _ = self.relayed(path)
            self.assertEqual((status, headers["Cache-Control"]), (404, None), path)
        for log in ("0" * 64, self.hash.upper(), self.hash[:-1], self.hash + "0", ""):
            self.assertEqual(ask(self.monitor.http, f"/logs/{log}/tile/0/000")[0], 404, log)
        self.assertEqual(ask(self.monitor.http, f"/logs/{self.hash}/tile/0/000", "POST")[0], 405)
        self.assertEqual([path for path in self.evil.asked[before:] if path != "/checkpoint"], [])


class Hostile(unittest.TestCase):
    """A log that lies about what is handed on, each with a monitor that has nothing of it in memory."""

    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=50)
        cls.addClassCleanup(cls.log.close)
        cls.log.append(*(b"entry %d" % i for i in range(ENTRIES)))
        cls.log.wait_published(ENTRIES)
        cls.origin = tlog.Key.from_file(cls.log.key).name
        cls.hash = hashlib.sha256(cls.origin.encode()).hexdigest()
        cls.evil = Evil(cls.log)
        cls.addClassCleanup(cls.evil.shutdown)
        policy = monitor_policy(cls.log, os.path.join(cls.log.dir, "monitor.policy"), url=cls.evil.url)
        cls.monitor = Monitor([policy])
        cls.addClassCleanup(cls.monitor.close)
        cls.monitor.wait_held(cls.origin, ENTRIES)

    def relayed(self, path):
        return ask(self.monitor.http, f"/logs/{self.hash}/{path}")[0]

    def test_1_a_tile_that_is_not_what_was_signed_is_never_handed_on(self):
        for path in ("tile/0/001", "tile/entries/000", "tile/entries/002.p/188", "tile/entries/001"):
            self.evil.lies = {"/" + path}
            self.assertEqual(self.relayed(path), 502, path)
            self.evil.lies, self.evil.missing = set(), {"/" + path}
            self.assertEqual(self.relayed(path), 502, path)
            self.evil.missing = set()
            self.assertEqual(self.relayed(path), 200, path)

    def test_2_a_tile_without_end_is_refused(self):
        self.evil.huge = {"/tile/0/000"}
        self.assertEqual(self.relayed("tile/0/000"), 502)
        self.evil.huge = set()
        self.assertEqual(self.relayed("tile/0/000"), 200)

    def test_3_a_log_that_hangs_holds_up_nothing_else(self):
        self.evil.hangs.set()
        codes = []
        askers = [threading.Thread(target=lambda: codes.append(self.relayed("tile/entries/001.p/7"))) for _ in range(24)]
        for asker in askers:
            asker.start()
        while len(codes) < 24 - 17:  # what is over the bound is told at once, while the log hangs
            self.assertTrue(any(asker.is_alive() for asker in askers))
        self.assertEqual(set(codes), {503})
        self.assertEqual(ask(self.monitor.http, "/healthz", timeout=5)[0], 200)
        self.assertEqual(ask(self.monitor.http, "/verify", timeout=5)[0], 200)
        self.evil.hangs.clear()
        self.evil.released.set()
        for asker in askers:
            asker.join()
        self.assertEqual(set(codes) - {200, 503}, set())
        self.assertIn(200, codes)

    def test_4_one_address_asks_so_often_and_no_more(self):
        codes = [self.relayed("tile/0/000") for _ in range(700)]
        self.assertEqual(set(codes), {200, 429})
        self.assertEqual(codes[-1], 429)


if __name__ == "__main__":
    unittest.main(verbosity=2)
