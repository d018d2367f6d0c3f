#!/usr/bin/python3
# Takes long.
"""A log that attacks its monitor: with bytes that are endless, slow, enormous, or not what they say they are.

Each case has a monitor of its own, which follows the hostile log and an honest one, and asks the hostile one as a
vantage too. Whatever that serves: what is wrong is found under the right code, the honest log is verified on, page
and health answer in time, memory stays bounded, and SIGTERM ends it in time in the midst of it.
"""
import base64
import functools
import os
import re
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import tlog  # noqa: E402
from logd import IS_LONG, Logd, wait_until  # noqa: E402
from monitor import Monitor, monitor_policy  # noqa: E402

HONEST = "log.example/honest"
EVIL = "log.example/hostile"
RSS_MAX_KB = 128 * 1024
ANSWER_S = 1
STOP_S = 5
HUGE = 1 << 30
SIZE_MAX = 2**63 - 1


@functools.lru_cache
def bomb():
    """A gigabyte of zeros as gzip: a megabyte of them, flushed, again and again."""
    part, count = bytes(1 << 20), HUGE >> 20
    packer = zlib.compressobj(9, wbits=-15)
    one = packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(count):
        crc = zlib.crc32(part, crc)
    end = packer.flush(zlib.Z_FINISH)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
    return head + one * count + end + struct.pack("<II", crc, HUGE & 0xFFFFFFFF)


def gzip(data):
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(data) + packer.flush()


def http(body, status="200 OK", *headers):
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if not any(h.lower().startswith(("content-length", "transfer-encoding")) for h in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Hostile:
    """Serves a log's files; `attack(path, connection)` may answer instead, and then returns True."""

    def __init__(self, log):
        self.log = log
        self.attack = lambda path, connection: False
        self.asked = []
        self.directory = tempfile.mkdtemp(prefix="courtroll.")
        log.write(self.directory)
        self.is_over = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.is_over.set()
        self.socket.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        with connection:
            connection.settimeout(60)
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    got = connection.recv(4096)
                    if not got:
                        return
                    request += got
                path = request.split(b" ")[1].decode()
                self.asked.append(path)
                if not self.attack(path, connection):
                    connection.sendall(self.honest(path))
            except OSError:
                pass  # it had enough of us

    def honest(self, path):
        try:
            with open(self.directory + path, "rb") as file:
                return http(file.read())
        except OSError:
            return http(b"", "404 Not Found")

    # -- attacks --

    def on(self, pattern, answer):
        """Paths that match are answered with bytes, or by a function of the connection."""
        self.asked.clear()

        def attack(path, connection):
            if re.search(pattern, path) is None:
                return False
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)
            return True

        self.attack = attack

    def drip(self, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not self.is_over.wait(1):
            connection.sendall(b"x")

    def endless(self, connection, chunk=b"x" * 65536):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not self.is_over.is_set():
            connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def endless_headers(self, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not self.is_over.is_set():
            connection.sendall(b"X-A: " + b"a" * 4000 + b"\r\n")

    @staticmethod
    def reset(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def reset_inside(self, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
        time.sleep(0.02)
        self.reset(connection)


class HostileCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.honest = Logd(origin=HONEST, http_add="on", checkpoint_interval_ms=100)
        cls.addClassCleanup(cls.honest.close)
        cls.size = 0
        cls.grow(20)
        cls.policies = 0
        cls.good = tlog.Log(300, EVIL)  # 44 entries beyond a full bundle

    @classmethod
    def grow(cls, count=1):
        for _ in range(count):
            cls.honest.add(f"honest {cls.size}".encode())
            cls.size += 1
        cls.honest.wait_published(cls.size)

    def setUp(self):
        self.rss_kb = self.samples = 0
        self.slowest = 0.0

    def hostile(self, log=None):
        evil = Hostile(log or self.good)
        self.addCleanup(evil.close)
        return evil

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as file:
            file.write(text.encode())
        return path

    def watch(self, evil, policy=None, **settings):
        """A monitor of both logs."""
        policies = [
            monitor_policy(self.honest, os.path.join(self.dir, "honest")),
            self.write("evil", policy or evil.log.policy(0, evil.url)),
        ]
        settings = {"unreachable_after_seconds": 1, "withheld_after_seconds": 1, **settings}
        self.monitor = Monitor(policies, vantage=evil.url, **settings)
        self.addCleanup(self.monitor.close)
        threading.Thread(target=self.sample_memory, daemon=True).start()
        return self.monitor

    # -- what must be so, whatever is served --

    def sample_memory(self):
        """A thread, until the monitor ends: what is read of a bundle is gone in some milliseconds."""
        path = f"/proc/{self.monitor.process.pid}/status"
        while True:
            try:
                with open(path, encoding="ascii") as file:
                    found = re.search(r"RssAnon:\s+(\d+) kB", file.read())
            except OSError:
                return
            if found is None:
                return
            self.rss_kb = max(self.rss_kb, int(found.group(1)))
            self.samples += 1
            time.sleep(0.003)

    def get_in_time(self, path):
        """Of three, because the machine may be busy with others."""
        times = []
        for _ in range(3):
            began = time.monotonic()
            answer = self.monitor.get(path)
            times.append(time.monotonic() - began)
            self.assertEqual(answer.status, 200, answer)
            if times[-1] < ANSWER_S:
                break
        self.assertLess(min(times), ANSWER_S, path)
        self.slowest = max(self.slowest, min(times))
        return answer.body

    def check_alive(self):
        self.grow()
        for path in ("/healthz", "/", "/alerts", "/metrics"):
            self.get_in_time(path)
        deadline = time.monotonic() + 10
        while self.monitor.held_size(HONEST) < self.size:
            self.assertLess(time.monotonic(), deadline, "the honest log is no longer verified")
            time.sleep(0.02)
        self.assertEqual([a for a in self.monitor.alerts() if a["origin"] == HONEST], [])

    def finding(self, code, timeout=20):
        deadline = time.monotonic() + timeout
        while True:
            alerts = self.monitor.alerts("open")
            found = [a for a in alerts if a["code"] == code]
            if found:
                return found[0]
            self.assertLess(time.monotonic(), deadline, f"no {code}: {alerts}")
            time.sleep(0.05)

    def stop(self, may_be_forced=False):
        """A connection on which something comes all the time is not waited for."""
        began = time.monotonic()
        self.assertEqual(self.monitor.stop(), 0)
        self.assertLess(time.monotonic() - began, STOP_S)
        if not may_be_forced:
            self.assertNotIn("stop_forced", self.monitor.process.text())
        for line in self.monitor.process.lines:
            self.assertNotRegex(line, r"[\x00-\x1f\x7f-\x9f\u202e]")
        print(f"  {self.rss_kb} kB, answers within {self.slowest * 1000:.0f} ms", file=sys.stderr)
        self.assertGreater(self.samples, 10)
        self.assertLess(self.rss_kb, RSS_MAX_KB)

    def case(self, evil, *codes, held=0, others=()):
        """All of it: exactly these codes are found, and `held` of the hostile log is verified. `others` may be."""
        monitor = self.watch(evil)
        for code in codes:
            self.finding(code)
        if held > 0:
            monitor.wait_held(EVIL, held)
        self.check_alive()
        self.assertEqual({a["code"] for a in monitor.alerts()} - set(others), set(codes))
        self.assertEqual(monitor.held_size(EVIL), held)
        self.stop()


class TestBodies(HostileCase):
    def test_bomb_as_checkpoint(self):
        evil = self.hostile()
        evil.on("/checkpoint$", http(bomb(), "200 OK", "Content-Encoding: gzip"))
        self.case(evil, "malformed")

    def test_bomb_within_a_bomb(self):
        evil = self.hostile()
        evil.on("/checkpoint$", http(gzip(bomb()), "200 OK", "Content-Encoding: gzip, gzip"))
        self.case(evil, "unreachable")

    def test_bomb_as_bundle(self):
        evil = self.hostile()
        evil.on("/tile/entries/", http(bomb(), "200 OK", "Content-Encoding: gzip"))
        self.case(evil, "malformed")

    def test_bomb_as_tile(self):
        evil = self.hostile()
        evil.on("/tile/0/", http(bomb(), "200 OK", "Content-Encoding: gzip"))
        self.case(evil, "tile-mismatch", held=300)

    def test_endless_checkpoint(self):
        evil = self.hostile()
        evil.on("/checkpoint$", evil.endless)
        self.case(evil, "malformed")

    def test_endless_bundle(self):
        evil = self.hostile()
        evil.on("/tile/entries/", evil.endless)
        self.case(evil, "malformed")

    def test_endless_bundle_without_a_length_in_tiny_chunks(self):
        evil = self.hostile()
        evil.on("/tile/entries/", lambda connection: evil.endless(connection, b"\0"))
        self.watch(evil)
        time.sleep(1)
        self.check_alive()
        self.stop(may_be_forced=True)

    def test_endless_headers(self):
        evil = self.hostile()
        evil.on("", evil.endless_headers)
        self.case(evil, "malformed")

    def test_slow_checkpoint(self):
        self.slow("/checkpoint$")

    def test_slow_bundle(self):
        self.slow("/tile/entries/")

    def slow(self, pattern):
        """Long runs wait until it is given up, which takes two tries of 25 s."""
        evil = self.hostile()
        evil.on(pattern, evil.drip)
        monitor = self.watch(evil)
        wait_until(lambda: any(re.search(pattern, path) for path in evil.asked), "it has asked")
        time.sleep(0.5)
        self.check_alive()
        if IS_LONG:
            self.finding("unreachable", 90)
            self.check_alive()
        self.assertEqual(monitor.held_size(EVIL), 0)
        self.stop(may_be_forced=True)

    def test_lengths_that_lie(self):
        """One that is no number of bytes at all may be as good as none."""
        for length, code in (
            ("9223372036854775807", "unreachable"),
            ("18446744073709551616", "malformed"),
            ("-1", "unreachable"),
        ):
            with self.subTest(length):
                evil = self.hostile()
                evil.on("/checkpoint$", http(b"x", "200 OK", f"Content-Length: {length}"))
                self.case(evil, code)


class TestAnswers(HostileCase):
    def test_redirects_are_not_followed(self):
        other = self.hostile()
        for status, path in (
            ("301 Moved Permanently", "/checkpoint"),
            ("307 Temporary Redirect", "/checkpoint"),
            ("302 Found", "/tile/entries/000"),
        ):
            with self.subTest(status):
                evil = self.hostile()
                evil.on(path + "$", http(b"", status, f"Location: {other.url}{path}"))
                self.case(evil, "unreachable", others=["withheld"])
                self.assertEqual(other.asked, [])

    def test_nothing_is_there(self):
        evil = self.hostile()
        evil.on("", http(b"<h1>no</h1>", "404 Not Found"))
        self.case(evil, "unreachable")

    def test_nothing_works(self):
        evil = self.hostile()
        evil.on("", http(b"\x1b[2J" * 100, "500 \x1b[31mBroken"))
        self.case(evil, "unreachable")

    def test_connections_are_reset(self):
        evil = self.hostile()
        evil.on("", evil.reset)
        self.case(evil, "unreachable")

    def test_bodies_are_cut(self):
        evil = self.hostile()
        evil.on("/tile/", evil.reset_inside)
        self.case(evil, "unreachable", others=["withheld"])

    def test_it_is_no_http(self):
        evil = self.hostile()
        evil.on("", b"SSH-2.0-OpenSSH_9.2\r\n\0\0\0\0")
        self.case(evil, "unreachable")


class TestNotes(HostileCase):
    def signed(self, text, *keys):
        return tlog.signed(text, *(keys or [self.good.key])).encode()

    def serves(self, note, *codes, **more):
        evil = self.hostile()
        evil.on("/checkpoint$", http(note))
        self.case(evil, *codes, **more)

    def test_absurd_sizes_are_no_sizes(self):
        for size in (2**63, 2**64, 10**40, -1):
            with self.subTest(size):
                self.serves(
                    self.signed(tlog.checkpoint_text(EVIL, size, tlog.root(self.good.leaves))),
                    "malformed",
                )

    def test_the_largest_size_without_the_entries_is_withheld(self):
        note = self.signed(tlog.checkpoint_text(EVIL, SIZE_MAX, bytes(32)))
        evil = self.hostile()

        def attack(path, connection):
            if path.endswith("/checkpoint"):
                connection.sendall(http(note))
            elif path.startswith("/tile/") and re.search("/00[01]$", path) is None:
                connection.sendall(http(b"", "404 Not Found"))
            else:
                return False
            return True

        evil.attack = attack
        self.case(evil, "withheld", "growth")

    def test_the_largest_size_with_entries_for_ever(self):
        note = self.signed(tlog.checkpoint_text(EVIL, SIZE_MAX, bytes(32)))
        bundle = http((b"\0\x01x") * 256)
        evil = self.hostile()

        def attack(path, connection):
            if path.endswith("/checkpoint"):
                connection.sendall(http(note))
            elif path.startswith("/tile/entries/"):
                connection.sendall(bundle)
            elif path.startswith("/tile/"):
                connection.sendall(http(bytes(8192)))
            else:
                return False
            return True

        evil.attack = attack
        monitor = self.watch(evil)
        wait_until(lambda: len(evil.asked) > 500, "it hashes and hashes")
        self.finding("growth")
        self.check_alive()
        self.assertEqual(monitor.held_size(EVIL), 0)
        self.stop()
        monitor.start()
        self.check_alive()
        self.stop()

    def test_signature_lines(self):
        text = self.good.text()
        stranger = tlog.Key("stranger.example", tlog.ED25519)
        ours, theirs = self.good.key.line(text), stranger.line(text)
        bad = f"\u2014 {EVIL} {tlog.b64(self.good.key.id + bytes(64))}\n"
        for what, lines, codes, held in (
            ("100, ours last", theirs * 99 + ours, [], 300),
            ("100, ours first", ours + theirs * 99, [], 300),
            ("101", theirs * 100 + ours, ["malformed"], 0),
            ("10000", theirs * 9999 + ours, ["malformed"], 0),
            ("100 bad ones", bad * 100, ["bad-signature"], 0),
            ("none of ours", theirs * 100, ["bad-signature"], 0),
        ):
            with self.subTest(what):
                self.serves(f"{text}\n{lines}".encode(), *codes, held=held)

    def test_what_is_no_text(self):
        """Signed, and refused; and what is said of it is plain text."""
        size_and_root = self.good.text().encode().split(b"\n", 1)[1]
        for what, text in (
            ("not UTF-8", self.good.text().encode() + b"\xc0\xaf\n"),
            ("a terminal escape", self.good.text().encode() + b"\x1b[31;1mred\n"),
            ("a NUL", self.good.text().encode() + b"a\0b\n"),
            ("not UTF-8 in the origin", EVIL.encode() + b"\xff\n" + size_and_root),
            ("C1 in the origin", EVIL.encode() + "\u009b31m\n".encode() + size_and_root),
        ):
            with self.subTest(what):
                seal = self.good.key.id + tlog.ed25519_sign(self.good.key.seed, text)
                note = text + f"\n\u2014 {EVIL} {base64.b64encode(seal).decode()}\n".encode()
                self.serves(note, "malformed")

    def test_another_origin_is_told_of_in_plain_text(self):
        origin = "log.example/<script>alert(1)</script>\u202e\"'&"
        key = tlog.Key(origin, tlog.ED25519)
        text = tlog.checkpoint_text(origin, 300, tlog.root(self.good.leaves))
        evil = self.hostile()
        evil.on("/checkpoint$", http(self.signed(text, key)))
        monitor = self.watch(evil)
        alert = self.finding("malformed")
        self.assertNotRegex(alert["summary"], r"[\x00-\x1f\x7f-\x9f\u202e]")
        page = self.get_in_time("/").decode()
        self.assertNotIn("<script", page)
        self.assertNotIn("\u202e", page)
        self.check_alive()
        self.assertEqual(monitor.held_size(EVIL), 0)
        self.stop()

    def test_a_note_that_is_nearly_endless(self):
        line = "x" * 1000 + "\n"
        self.serves(self.signed(self.good.text() + line * 900), "malformed")


class TestData(HostileCase):
    def test_a_tile_is_cut(self):
        evil = self.hostile()
        evil.on("/tile/0/000$", http(bytes(100)))
        self.case(evil, "tile-mismatch", held=300)

    def test_a_bundle_is_cut(self):
        evil = self.hostile()
        whole = evil.honest("/tile/entries/000").split(b"\r\n\r\n", 1)[1]
        evil.on("/tile/entries/000$", http(whole[:-1]))
        self.case(evil, "malformed")

    def test_a_bundle_has_too_much(self):
        evil = self.hostile()
        whole = evil.honest("/tile/entries/000").split(b"\r\n\r\n", 1)[1]
        evil.on("/tile/entries/000$", http(whole + b"\0\0"))
        self.case(evil, "malformed")

    def test_the_largest_bundles_there_are(self):
        log = tlog.Log(0, EVIL)
        entry = b"e" * 65535
        log.entries = [entry] * 768
        log.leaves = [tlog.leaf_hash(entry)] * 768
        self.case(self.hostile(log), held=768)

    def test_compressed_bundles_are_no_attack(self):
        evil = self.hostile()
        whole = evil.honest("/tile/entries/000").split(b"\r\n\r\n", 1)[1]
        evil.on("/tile/entries/000$", http(gzip(whole), "200 OK", "Content-Encoding: gzip"))
        self.case(evil, held=300)


class TestNames(HostileCase):
    ORIGIN = "log.example/<script>alert(1)</script>\"'&amp;\\n\u202e{}"
    WITNESS = "<img/src=x/onerror=alert(2)>\"}\\\u202e\u200b</td>'"

    def test_names_are_never_markup(self):
        """Names in the policy that were chosen to break out of wherever they are shown."""
        log = tlog.Log(300, self.ORIGIN)
        evil = self.hostile(log)
        policy = re.sub(r"\bw([123])\b(?!\.)", lambda m: self.WITNESS + m.group(1), log.policy(3, evil.url))
        evil.on("/checkpoint$", http(log.note(times=(int(time.time()) + 10000, 1, None)).encode()))
        monitor = self.watch(
            evil, policy, witness_missing_after_seconds=1, stalled_after_seconds=2
        )
        for code in ("no-quorum", "future-cosignature", "witness-missing", "stalled"):
            self.finding(code)
        self.check_page()
        self.check_machine_readable(monitor)
        self.check_terminal(monitor)
        self.check_alive()
        self.stop()

    def check_page(self):
        page = self.get_in_time("/").decode()
        self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt;", page)
        self.assertIn("onerror=alert(2)&gt;", page)
        for raw in ("<script", "<img", "</td>'", "\u202e", "\u200b", "&amp;\\n"):
            self.assertNotIn(raw, page)
        # In attributes a quote would be enough.
        for tag in re.findall(r"<[^>]*>", page):
            self.assertNotIn("alert(", tag.replace("&lt;script&gt;alert(", "").replace("onerror=alert(2)&gt;", ""))

    def check_machine_readable(self, monitor):
        alerts = monitor.alerts()
        self.assertIn(self.ORIGIN, {a["origin"] for a in alerts})
        raw = monitor.get("/alerts")
        self.assertEqual(raw.headers["Content-Type"].split(";")[0], "application/json")
        self.assertNotRegex(raw.body, rb"[\x00-\x09\x0b-\x1f\x7f-\xff]")
        for line in monitor.get("/metrics").body.decode().splitlines():
            self.assertRegex(
                line, r'^(#.*|[a-z0-9_]+(\{[a-z_]+="([^"\\\n]|\\[\\"n])*"(,[a-z_]+="([^"\\\n]|\\[\\"n])*")*\})? \S+)$'
            )
        origin = self.ORIGIN.replace("\\", "\\\\").replace('"', '\\"')
        self.assertEqual(monitor.metric("courtroll_monitor_held_size", origin=origin), 300)
        for alert in alerts:
            file = monitor.evidence(alert["evidence"])
            self.assertTrue(file.startswith(b"courtroll"), file[:60])

    def check_terminal(self, monitor):
        for words in (["status"], ["alerts"], ["alerts", "--all"]):
            text = monitor.ask(*words, code=None).stdout
            self.assertIn("script", text)
            self.assertNotRegex(text, r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]")

    def test_control_characters_in_a_policy_are_refused(self):
        for bad in ("\x1b[31m", "\x00", "\x7f", "\u009b31m"):
            with self.subTest(bad):
                log = tlog.Log(1, "log.example/" + bad)
                policy = self.write("bad", log.policy(0, "http://127.0.0.1:1"))
                monitor = Monitor([policy], is_started=False)
                self.addCleanup(monitor.close)
                code, text = monitor.fails_to_start()
                self.assertEqual(code, 2, text)
                self.assertNotRegex(text.replace("\n", ""), r"[\x00-\x1f\x7f-\x9f]")


if __name__ == "__main__":
    unittest.main(verbosity=2)
