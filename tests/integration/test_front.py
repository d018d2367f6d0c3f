#!/usr/bin/python3
"""What goes in front on the internet: deploy/nginx and deploy/haproxy, in the real programs, with TLS and HTTP/2.

Tiles come from the disk with logd's bytes and headers; what is sent is refused but for a witness's /add-checkpoint;
who asks too often is told so; the verification page keeps its policy. COURTROLL_BIN names the directory of the programs.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import front  # noqa: E402
import tlog  # noqa: E402
from certificates import Authority  # noqa: E402
from logd import Logd, courtroll  # noqa: E402
from monitor import Monitor, monitor_policy  # noqa: E402
from witness import Tree, Witness  # noqa: E402

MISSING = [name for name in ("nginx", "haproxy", "curl") if front.program(name) is None]
if MISSING:
    print("not installed:", *MISSING)
    sys.exit(77)

KEPT = ("content-security-policy", "referrer-policy", "x-content-type-options", "cross-origin-opener-policy", "etag",
        "cache-control", "content-type")  # fmt: skip


class Answer:
    def __init__(self, text):
        head, _, self.body = text.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.version, self.status = lines[0].split()[0], int(lines[0].split()[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            self.headers.setdefault(name.lower(), value)


class Fronts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=50)
        cls.addClassCleanup(cls.log.close)
        cls.log.append(*(b"entry %d" % i for i in range(300)))
        cls.log.wait_published(300)
        cls.tree = Tree("log.example/front", 5)
        cls.witness = Witness([cls.tree.key], http_listen=["127.0.0.1:0"])
        cls.addClassCleanup(cls.witness.close)
        cls.monitor = Monitor([monitor_policy(cls.log, os.path.join(cls.log.dir, "monitor.policy"))])
        cls.addClassCleanup(cls.monitor.close)
        cls.monitor.wait_held(tlog.Key.from_file(cls.log.key).name, 300)
        cls.dir = tempfile.TemporaryDirectory(prefix="courtroll.front.")
        cls.addClassCleanup(cls.dir.cleanup)
        authority = Authority(cls.dir.name)
        cls.ca = authority.ca
        names = ",".join(f"DNS:{name}.example" for name in ("log", "witness", "monitor"))
        certificate = authority.issue("server", names + ",DNS:localhost,IP:127.0.0.1")
        sites = [("log-tls.conf", cls.log.http, cls.log.public), ("witness.conf", cls.witness.http, None),
                 ("monitor.conf", cls.monitor.http, None)]  # fmt: skip
        cls.nginx = front.Nginx(sites, certificate)
        cls.addClassCleanup(cls.nginx.close)
        cls.haproxy = front.Haproxy(cls.log.http, cls.log.grpc, cls.witness.http, cls.monitor.http, certificate)
        cls.addClassCleanup(cls.haproxy.close)
        cls.ports = {"nginx": dict(zip(("log", "witness", "monitor"), cls.nginx.ports)),
                     "haproxy": dict.fromkeys(("log", "witness", "monitor"), cls.haproxy.ports[0])}  # fmt: skip

    def ask(self, proxy, daemon, path, *options):
        port, host = self.ports[proxy][daemon], daemon + ".example"
        done = subprocess.run(
            ["curl", "-q", "-s", "-i", "--noproxy", "*", "--path-as-is", "--max-time", "30", "--cacert", self.ca,
             "--resolve", f"{host}:{port}:127.0.0.1", *options, f"https://{host}:{port}{path}"],
            capture_output=True, check=False, timeout=60)  # fmt: skip
        # 55 and 56: the answer came before all was sent, and then the connection ended.
        if done.returncode not in ((0, 55, 56) if done.stdout.startswith(b"HTTP/") else (0,)):
            done.check_returncode()
        return Answer(done.stdout)

    def each(self):
        for proxy in self.ports:
            for daemon in (self.log, self.witness, self.monitor):
                yield proxy, {self.log: "log", self.witness: "witness", self.monitor: "monitor"}[daemon], daemon

    def test_http_2_is_spoken_and_old_tls_is_not(self):
        for proxy, name, _ in self.each():
            self.assertEqual(self.ask(proxy, name, "/healthz", "--http2").version, "HTTP/2", (proxy, name))
            self.assertEqual(self.ask(proxy, name, "/healthz", "--http1.1").version, "HTTP/1.1", (proxy, name))
            with self.assertRaises(subprocess.CalledProcessError):
                self.ask(proxy, name, "/healthz", "--tls-max", "1.1", "--ciphers", "DEFAULT:@SECLEVEL=0")

    def test_the_verification_page_passes_as_it_is(self):
        for proxy, name, daemon in self.each():
            answer, own = self.ask(proxy, name, "/verify", "--http2"), daemon.get("/verify")
            self.assertEqual((answer.status, answer.body == own.body), (200, True), (proxy, name))
            for header in KEPT:
                self.assertEqual(answer.headers[header], own.headers[header], (proxy, name, header))
            self.assertEqual(answer.headers["strict-transport-security"], "max-age=31536000")
            known = self.ask(proxy, name, "/verify", "-H", "If-None-Match: " + own.headers["ETag"])
            self.assertEqual((known.status, known.body), (304, b""))
            self.assertEqual(self.ask(proxy, name, "/verify.json").headers["cache-control"], "no-store")

    def test_tiles_have_the_bytes_and_the_caching_of_the_log(self):
        for proxy in self.ports:
            for path in ("/tile/0/000", "/tile/0/001.p/44", "/tile/entries/000", "/tile/entries/001.p/44", "/tile/0/001.p/3",
                         "/checkpoint", "/archive/after/3"):  # fmt: skip
                answer, own = self.ask(proxy, "log", path, "--http2"), self.log.get(path)
                self.assertEqual((answer.status, answer.body), (own.status, own.body), (proxy, path))
                for header in ("cache-control", "content-type"):
                    self.assertEqual(answer.headers.get(header), own.headers.get(header), (proxy, path, header))
            self.assertEqual(self.ask(proxy, "log", "/checkpoint").headers["cache-control"], "no-cache")
            missing = self.ask(proxy, "log", "/tile/0/001")
            self.assertEqual((missing.status, missing.headers.get("cache-control")), (404, None))

    def test_nginx_needs_no_log_for_what_is_on_the_disk(self):
        os.kill(self.log.process.pid, signal.SIGSTOP)
        try:
            for path in ("/tile/0/000", "/tile/entries/001.p/44", "/checkpoint"):
                self.assertEqual(self.ask("nginx", "log", path).status, 200, path)
        finally:
            os.kill(self.log.process.pid, signal.SIGCONT)

    def test_a_new_checkpoint_is_there_at_once(self):
        size = self.log.published_size()
        self.log.append(b"news %d" % size)
        self.log.wait_published(size + 1)
        for proxy in self.ports:
            self.assertEqual(self.ask(proxy, "log", "/checkpoint").body, self.log.get("/checkpoint").body)

    def test_nothing_can_be_sent_and_nothing_else_is_reached(self):
        for proxy, name, _ in self.each():
            for path in ("/", "/verify", "/checkpoint", "/tile/0/000", "/add"):
                for method in ("POST", "PUT", "DELETE", "OPTIONS"):
                    status = self.ask(proxy, name, path, "-X", method).status
                    self.assertIn(status, (403, 405), (proxy, name, path, method))
            self.assertEqual(self.ask(proxy, name, "/metrics").status, 404, (proxy, name))
        for proxy in self.ports:
            self.assertEqual(self.ask(proxy, "log", "/add", "-X", "POST").headers["allow"], "GET, HEAD")
            for path in ("/../identity", "/%2e%2e/identity", "/tile/../../identity", "/.tmp", "//checkpoint", "/journal/"):
                self.assertIn(self.ask(proxy, "log", path).status, (400, 404), (proxy, path))

    def test_a_witness_is_asked_through_each(self):
        size = 5
        for old, proxy in ((0, "haproxy"), (5, "nginx")):
            self.tree.grow(3)
            request = os.path.join(self.dir.name, "request")
            with open(request, "wb") as file:
                file.write(self.tree.request(old, size))
            answer = self.ask(proxy, "witness", "/add-checkpoint", "--http2", "--data-binary", "@" + request)
            self.assertEqual(answer.status, 200, (proxy, answer.body))
            self.assertRegex(answer.body.decode(), "^\u2014 " + re.escape(self.witness.name))
            with open(request, "wb") as file:
                file.write(bytes(140000))
            large = self.ask(proxy, "witness", "/add-checkpoint", "--http1.1", "--data-binary", "@" + request)
            self.assertEqual(large.status, 413, proxy)
            size = 8

    def test_entries_come_by_grpc_through_haproxy(self):
        entry = os.path.join(self.dir.name, "entry")
        with open(entry, "wb") as file:
            file.write(b"by gRPC through haproxy")
        courtroll("append", "--log", f"127.0.0.1:{self.haproxy.ports[1]}", "--tls-ca", self.ca,
                  "--policy", self.log.policy, entry, code=0)  # fmt: skip

    def test_who_asks_too_often_is_told_so_and_the_others_are_not(self):
        """Last, by its name: this address has used up its share then."""
        for proxy, count in (("nginx", 900), ("haproxy", 1100)):
            port = self.ports[proxy]["log"]
            done = subprocess.run(
                ["curl", "-q", "-s", "-k", "--noproxy", "*", "--http2", "--parallel", "--parallel-max", "16",
                 "-o", "/dev/null", "-w", "%{http_code}\n", "--resolve", f"log.example:{port}:127.0.0.1",
                 f"https://log.example:{port}/checkpoint?[1-{count}]"],
                capture_output=True, text=True, check=True, timeout=120)  # fmt: skip
            self.assertEqual(set(done.stdout.split()), {"200", "429"}, proxy)


if __name__ == "__main__":
    unittest.main(verbosity=2)
