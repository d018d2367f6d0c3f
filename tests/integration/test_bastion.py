#!/usr/bin/python3
"""courtroll-witness behind https-bastions: it listens nowhere but on Unix sockets, and is reached by the
connections that it makes itself.

bastion.py plays the bastions, with an HTTP/2 that we did not write. COURTROLL_BIN names the directory of
the built programs. Skipped without python3-h2 and python3-openssl.
"""
import http.client
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from certificates import Authority  # noqa: E402
from logd import Logd, courtroll, wait_until  # noqa: E402
from witness import Tree, Witness  # noqa: E402

try:
    from bastion import SSL, Bastion
except ImportError:
    SSL = None

BODY_MAX = 128 * 1024
ADD = "/add-checkpoint"


class LocalConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


@unittest.skipIf(SSL is None, "no python3-h2 or no python3-openssl")
class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca_dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.ca_dir, ignore_errors=True)
        cls.authority = Authority(cls.ca_dir)

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.trees = [Tree(f"log.example/{i}") for i in range(3)]

    def path(self, name):
        return os.path.join(self.dir, name)

    def bastion(self, authority=None, **options):
        made = Bastion(authority or self.authority, **options)
        self.addCleanup(made.stop)
        return made

    def witness(self, *bastions, **settings):
        """Its event=bastion tells the hash that bastions are to allow; they do."""
        settings = {
            "http_listen": f"unix:{self.path('http')}", "grpc_listen": f"unix:{self.path('grpc')}",
            "bastion": [bastion.address for bastion in bastions], "bastion_ca": self.authority.ca,
            **settings,
        }  # fmt: skip
        logs = [tree.key for tree in self.trees]
        witness = Witness(logs, self.dir, **settings)
        self.addCleanup(witness.close)
        self.hash = witness.process.wait_for(r"event=bastion .*key_hash=([0-9a-f]{64})").group(1)
        for bastion in bastions:
            bastion.allow(self.hash)
        return witness

    def local(self, path):
        """(status, body) from the witness's own listener."""
        connection = LocalConnection(self.path("http"))
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def health(self):
        return self.local("/healthz")[1]

    def wait_health(self, words):
        wait_until(lambda: words in self.health(), words, pause=0.02)

    def add(self, bastion, tree, old, size, status=200, **options):
        answer = bastion.request(self.hash, "POST", ADD, tree.request(old, size), **options)
        self.assertEqual(answer.status, status, answer)
        self.assertNotIn("set-cookie", answer.headers)
        return answer

    def cosign(self, witness, bastion, tree, old, size):
        answer = self.add(bastion, tree, old, size)
        return witness.times(tree.text(size), answer.body.decode())[0]


class Serving(Case):
    def test_add_checkpoint_and_what_monitors_read(self):
        bastion = self.bastion()
        witness = self.witness(bastion)
        bastion.wait_connected(self.hash)
        tree = self.trees[0].grow(40)
        self.cosign(witness, bastion, tree, 0, 5)
        self.cosign(witness, bastion, tree, 5, 40)
        stale = self.add(bastion, tree, 5, 39, 409)
        self.assertEqual((stale.headers["content-type"], stale.body), ("text/x.tlog.size", b"40\n"))
        fork = tree.branch(5, "fork").grow(45)
        self.add(bastion, fork, 40, 50, 422)
        self.add(bastion, Tree("unknown.example", 3), 0, 3, 404)
        note = bastion.request(self.hash, "GET", f"/{tree.hash()}/checkpoint")
        self.assertEqual(note.status, 200)
        self.assertEqual(note.body.decode().partition("\n\n")[0] + "\n", tree.text(40))
        self.assertEqual(note.body.decode(), self.local(f"/{tree.hash()}/checkpoint")[1])
        get = bastion.request(self.hash, "GET", f"/{tree.hash()}/checkpoint?x=y")
        self.assertEqual((get.status, get.body), (200, note.body))
        head = bastion.request(self.hash, "HEAD", f"/{tree.hash()}/checkpoint")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.headers["content-length"], str(len(note.body)))
        for method, path, status in (
            ("GET", f"/{self.trees[1].hash()}/checkpoint", 404), ("GET", "/nothing", 404),
            ("GET", ADD, 405), ("DELETE", "/", 405), ("GET", "/evidence", 200),
        ):  # fmt: skip
            answer = bastion.request(self.hash, method, path)
            self.assertEqual(answer.status, status, (method, path, answer))
        self.assertIn("evidence: 1\n", self.health())  # the fork
        self.wait_health("bastions: 1 of 1 connected")
        self.assertEqual(bastion.accepted, 1)  # all of it on one connection
        self.assertEqual(witness.stop(), 0)

    def test_too_large_a_body_is_413_and_the_connection_lives(self):
        bastion = self.bastion()
        witness = self.witness(bastion)
        bastion.wait_connected(self.hash)
        tree = self.trees[0].grow(3)
        for size in (BODY_MAX + 1, 1 << 20):
            answer = bastion.request(self.hash, "POST", ADD, b"x" * size)
            self.assertEqual(answer.status, 413, size)
        answer = bastion.request(self.hash, "POST", ADD, b"x" * BODY_MAX)
        self.assertEqual(answer.status, 400)
        self.cosign(witness, bastion, tree, 0, 3)
        self.assertEqual(bastion.accepted, 1)

    def test_many_streams_at_once(self):
        self.trees = [Tree(f"log.example/{i}", 2) for i in range(40)]
        bastion = self.bastion()
        witness = self.witness(bastion)
        bastion.wait_connected(self.hash)
        bodies = [tree.request(0, 2) for tree in self.trees]
        answers = [None] * len(bodies)

        def ask(i):
            answers[i] = bastion.request(self.hash, "POST", ADD, bodies[i])

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for tree, answer in zip(self.trees, answers):
            self.assertEqual(answer.status, 200, answer)
            witness.times(tree.text(2), answer.body.decode())

    def test_a_log_is_witnessed_through_a_bastion(self):
        """courtroll-logd at one end, courtroll-witness at the other."""
        bastion = self.bastion()
        os.mkdir(self.path("log"))
        log = Logd(self.path("log"), is_started=False, checkpoint_interval_ms=50,
                   mark_path=self.path("mark"))  # fmt: skip
        self.addCleanup(log.close)
        witness = self.witness(bastion)
        witness.write_logs([log.vkey])
        witness.reload()
        bastion.wait_connected(self.hash)
        url = f"{bastion.open_front()}/{self.hash}/"
        with open(log.policy, "w", encoding="utf-8") as file:
            file.write(f"log {log.vkey}\nwitness w {witness.vkey} {url}\nquorum w\n")
        log.start()
        entry = self.path("entry")
        for i in range(3):
            with open(entry, "w", encoding="utf-8") as file:
                file.write(f"entry {i}")
            courtroll("append", "--log", log.grpc, "--policy", log.policy, "--proof-dir", self.dir,
                      entry, code=0)  # fmt: skip
            verdict = courtroll("verify", "--policy", log.policy, "--proof",
                                self.path(f"{i}.tlog-proof"), entry, code=0)  # fmt: skip
            self.assertTrue(verdict.stdout.startswith("PASS"), verdict.stdout)
        text = bastion.request(self.hash, "GET", "/healthz").body.decode()
        self.assertGreaterEqual(int(re.search(r"cosignatures: (\d+)", text).group(1)), 3)


class Budgets(Case):
    def ask(self, bastion, count, **options):
        """Statuses of requests that do not advance the log."""
        body = self.trees[0].request(1, 2)
        return [bastion.request(self.hash, "POST", ADD, body, **options).status for _ in range(count)]

    def setUp(self):
        super().setUp()
        self.trees[0].grow(3)
        self.gate = self.bastion()
        self.made = self.witness(self.gate, peer_requests_per_minute=6)
        self.gate.wait_connected(self.hash)
        self.cosign(self.made, self.gate, self.trees[0], 0, 3)

    def test_each_client_of_the_bastion_has_its_own(self):
        first = self.ask(self.gate, 20)
        self.assertEqual(first[0], 409)
        self.assertEqual(first[-1], 429)
        self.assertEqual(self.ask(self.gate, 1, client="203.0.113.8"), [409])
        # Whatever a client wrote before the bastion's own word is not believed.
        self.assertEqual(self.ask(self.gate, 1, client="203.0.113.9, 203.0.113.7"), [429])
        headers = [("x-forwarded-for", "203.0.113.10")]
        self.assertEqual(self.ask(self.gate, 1, headers=headers), [429])
        # An IPv6 client has a network of addresses.
        self.assertEqual(self.ask(self.gate, 20, client="2001:db8::1")[-1], 429)
        self.assertEqual(self.ask(self.gate, 1, client="2001:db8::2"), [429])
        self.assertEqual(self.ask(self.gate, 1, client="2001:db8:1::1"), [409])
        # Budgets are for add-checkpoint.
        answer = self.gate.request(self.hash, "GET", f"/{self.trees[0].hash()}/checkpoint")
        self.assertEqual(answer.status, 200)

    def test_clients_that_are_no_addresses_are_one(self):
        self.assertEqual(self.ask(self.gate, 20, client="unix:/x")[-1], 429)
        for client in ("unix", "a b", "x" * 5000, "", None, "_hidden"):
            self.assertEqual(self.ask(self.gate, 1, client=client), [429], client)
        self.assertEqual(self.ask(self.gate, 1), [409])


class Connections(Case):
    def test_two_bastions_at_once(self):
        gates = [self.bastion(name="one"), self.bastion(name="two")]
        witness = self.witness(*gates)
        tree = self.trees[0].grow(10)
        for gate in gates:
            gate.wait_connected(self.hash)
        self.wait_health("bastions: 2 of 2 connected")
        self.cosign(witness, gates[0], tree, 0, 4)
        self.add(gates[1], tree, 0, 5, 409)  # it is one witness
        self.cosign(witness, gates[1], tree, 4, 8)
        gates[0].stop()
        self.wait_health("bastions: 1 of 2 connected")
        self.cosign(witness, gates[1], tree, 8, 10)
        gates[0].start()
        gates[0].wait_connected(self.hash)
        self.add(gates[0], tree, 8, 9, 409)
        self.wait_health("bastions: 2 of 2 connected")
        self.assertEqual(witness.stop(), 0)
        for gate in gates:
            wait_until(lambda gate=gate: not gate.is_connected(self.hash), "it has left", pause=0.02)

    def test_a_lost_connection_is_made_again(self):
        gate = self.bastion()
        witness = self.witness(gate)
        tree = self.trees[0].grow(10)
        gate.wait_connected(self.hash)
        self.cosign(witness, gate, tree, 0, 3)
        for politely, size in ((False, 6), (True, 10)):
            began = time.monotonic()
            gate.drop(self.hash, politely)
            witness.process.wait_for("event=bastion_lost ")
            gate.wait_connected(self.hash)
            self.assertGreater(time.monotonic() - began, 0.9)  # not at once, again and again
            self.cosign(witness, gate, tree, size - (3 if size == 6 else 4), size)
        self.assertEqual(gate.accepted, 3)
        self.wait_health("bastions: 1 of 1 connected")

    def test_requests_that_are_cut_off_do_no_harm(self):
        gate = self.bastion()
        witness = self.witness(gate)
        tree = self.trees[0].grow(6)
        backend = gate.wait_connected(self.hash)
        body = tree.request(0, 3)
        lost = threading.Thread(target=gate.request, args=(self.hash, "POST", ADD, body))
        lost.start()
        backend.order(backend.abort)
        lost.join()
        gate.wait_connected(self.hash)
        held = gate.request(self.hash, "GET", f"/{tree.hash()}/checkpoint")
        old = 3 if held.status == 200 else 0
        self.cosign(witness, gate, tree, old, 6)

    def test_the_key_is_kept_and_is_never_the_witnesss_own(self):
        gate = self.bastion()
        witness = self.witness(gate)
        first = self.hash
        path = os.path.join(witness.data, "bastion.key")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        gate.wait_connected(first)
        witness.restart()
        again = witness.process.wait_for(r"event=bastion .*key_hash=([0-9a-f]{64})").group(1)
        self.assertEqual(again, first)
        gate.wait_connected(first)
        self.assertEqual(witness.stop(), 0)
        shutil.copy(path, self.path("other.key"))
        os.unlink(path)
        witness.start(bastion_key=self.path("other.key"))
        gate.wait_connected(first)
        self.assertFalse(os.path.exists(path))
        witness.stop()
        code, words = witness.fails_to_start(bastion_key=witness.key_file)
        self.assertEqual(code, 3, words)
        self.assertIn("the witness's own key", words)

    def refuses(self, gate, words):
        """The witness does not speak through it, says why, and goes on as a witness."""
        witness = self.witness(gate)
        lost = witness.process.wait_for("event=bastion_lost .*").group(0)
        self.assertIn(words, lost)
        wait_until(lambda: gate.refused, "the bastion has noticed")
        self.assertEqual((gate.accepted, gate.is_connected(self.hash)), (0, False))
        self.assertIn("bastions: 0 of 1 connected", self.health())
        self.assertEqual(witness.stop(), 0)

    def test_a_bastion_of_another_authority_is_not_used(self):
        os.mkdir(self.path("ca"))
        self.refuses(self.bastion(Authority(self.path("ca"), "other")), "certificate")

    def test_a_bastion_of_another_name_is_not_used(self):
        gate = self.bastion()
        cert, key = self.authority.issue("elsewhere", "DNS:elsewhere.example")
        gate.context.use_certificate_file(cert)
        gate.context.use_privatekey_file(key)
        self.refuses(gate, "ostname")

    def test_what_speaks_old_tls_is_not_used(self):
        self.refuses(self.bastion(tls_max=SSL.TLS1_2_VERSION), "version")

    def test_what_does_not_speak_bastion_is_not_used(self):
        self.refuses(self.bastion(alpn=None), "bastion/0")

    def test_who_is_not_allowed_is_not_served_and_tries_again(self):
        gate = self.bastion()
        witness = self.witness(gate)
        gate.allowed.clear()
        gate.drop(self.hash)
        self.assertEqual(gate.request(self.hash, "GET", "/").status, 421)
        wait_until(lambda: any("unknown key" in why for why in gate.refused), "it was refused")
        gate.allow(self.hash)
        gate.wait_connected(self.hash)
        self.cosign(witness, gate, self.trees[0].grow(2), 0, 2)


if __name__ == "__main__":
    unittest.main()
