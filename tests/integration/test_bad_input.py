#!/usr/bin/python3
# Takes long.
"""Each limit of courtroll-logd gives a clear error and leaves the log intact.

What it asserts is the names of the cases, printed as they run. After every case the log still takes
an entry, and its directory re-hashes to the signed root. COURTROLL_BIN names the directory of the
built programs; COURTROLL_LONG=1 waits for the longer timeouts too. Full disks: test_full_disk.py.
"""
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

import raw_http
import reader
import tlog
from logd import IS_LONG, Logd, Process, courtroll, keygen, wait_until
from raw_http import Raw

try:
    import rpc
    import grpc
    from rpc import Rpc
except ImportError:
    grpc = None

needs_grpc = unittest.skipIf(grpc is None, "python3-grpcio is not installed")
ENTRY_MAX = 65535


class Running(unittest.TestCase):
    """One log for all cases of a class; each ends with the proof that it is intact."""

    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=10, http_add="on", **cls.settings)
        cls.addClassCleanup(cls.log.close)
        cls.log.append(b"before")

    def setUp(self):
        self.size_before = self.log.status()["durable_size"]

    def tearDown(self):
        """Nothing was logged by half; it admits, publishes, and re-hashes clean."""
        size = self.log.status()["durable_size"]
        self.assertEqual(size, self.size_before + self.logged(), "entries that nobody meant to log")
        self.assertEqual(self.log.append(b"after %d" % size)[0][0], size)
        self.log.wait_published(size + 1)
        self.log.fsck()

    def logged(self):
        return getattr(self, "expected", 0)

    def assert_refused(self, code, words, path, message):
        with Rpc(self.log.grpc) as peer:
            with self.assertRaises(grpc.RpcError) as caught:
                peer.call(path, message)
        error = caught.exception
        self.assertEqual(error.code(), code, error.details())
        self.assertRegex(error.details(), words)

    def assert_http(self, status, request):
        with Raw(self.log.http) as raw:
            raw.send(request)
            answer = raw.answer()
            self.assertEqual(answer.status, status, (request[:80], answer))
            self.assertNotIn("cache-control", answer.headers)
            return answer


class Limits(Running):
    # -- entries --

    @needs_grpc
    def test_an_entry_over_65535_bytes_is_refused_over_grpc_by_its_position(self):
        for position in (0, 1, 2):
            entries = [b"a", b"b", b"c"]
            entries[position] = b"x" * (ENTRY_MAX + 1)
            self.assert_refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"entry {position} has 65536 bytes.*at most 65535",
                rpc.APPEND,
                rpc.append_request(entries),
            )

    def test_an_entry_over_65535_bytes_is_refused_over_http(self):
        answer = self.log.request("POST", "/add", b"x" * (ENTRY_MAX + 1))
        self.assertEqual(answer.status, 413)
        self.assertEqual(answer.body, b"Content Too Large\n")

    def test_the_cli_names_the_file_that_is_too_large_and_appends_nothing_of_it(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "large")
            with open(path, "wb") as file:
                file.write(b"x" * (ENTRY_MAX + 1))
            done = courtroll("append", "--log", self.log.grpc, path)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(path, done.stderr)
            self.assertIn("65535", done.stderr)

    @needs_grpc
    def test_1001_entries_in_a_call_are_refused_and_1000_taken(self):
        self.assert_refused(
            grpc.StatusCode.INVALID_ARGUMENT, "1000", rpc.APPEND, rpc.append_request([b""] * 1001)
        )
        # Also where the count cannot be seen by looking at the front of the message.
        hidden = rpc.field(3, 0) + rpc.append_request([b""] * 1001)
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "1000", rpc.APPEND, hidden)
        with Rpc(self.log.grpc) as peer:
            replies = peer.append(*(b"thousand %d" % i for i in range(1000)))
        self.assertEqual([r.index for r in replies], list(range(self.size_before, self.size_before + 1000)))
        self.expected = 1000

    @needs_grpc
    def test_a_call_without_entries_is_refused(self):
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "0 entries", rpc.APPEND, b"")

    # -- messages --

    @needs_grpc
    def test_a_message_over_4_MiB_is_refused(self):
        entries = [b"%05d" % i + b"x" * 65000 for i in range(66)]  # 4,291,000 bytes
        self.assert_refused(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than", rpc.APPEND, rpc.append_request(entries)
        )
        with Rpc(self.log.grpc) as peer:
            replies = peer.append(*entries[:64])
        self.assertEqual(len(replies), 64)
        self.expected = 64

    @needs_grpc
    def test_a_message_that_would_unpack_to_far_more_is_refused_at_little_cost(self):
        before = self.log.status()["rss_anon_bytes"]
        bomb = rpc.field(3, 0) + rpc.field(1, b"") * (2 * 1024 * 1024)
        for _ in range(4):
            self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, ".", rpc.APPEND, bomb)
        self.assertLess(self.log.status()["rss_anon_bytes"] - before, 64 * 1024 * 1024)

    @needs_grpc
    def test_malformed_protobuf_is_refused(self):
        good = rpc.append_request([b"never logged"])
        for message in (
            b"\0", b"\xff", b"\x0a", b"\x0a\x05abc", b"\x0a\xff\xff\xff\xff\x0f", b"\x07",
            b"\x0a" + b"\xff" * 20, b"\x08\x01\x0b", good + b"\x0a", good + b"\x0a\x10short",
            good[:-1], b"\x80" * 30,
        ):
            self.assert_refused(
                grpc.StatusCode.INVALID_ARGUMENT, "not an AppendRequest|entries", rpc.APPEND, message
            )

    @needs_grpc
    def test_a_wait_or_promise_that_this_log_does_not_know_is_refused(self):
        self.assert_refused(
            grpc.StatusCode.INVALID_ARGUMENT, "wait: 7", rpc.APPEND,
            rpc.append_request([b"x"]) + rpc.field(2, 7),
        )

    @needs_grpc
    def test_an_unknown_method_is_unimplemented_and_does_not_hang(self):
        for path in ("/courtroll.v1.Log/Delete", "/courtroll.v1.Other/Append", "/x/y", "/Append"):
            self.assert_refused(grpc.StatusCode.UNIMPLEMENTED, "no such method", path, b"")

    @needs_grpc
    def test_reads_of_what_does_not_exist_say_so(self):
        top = self.log.wait_published(self.size_before)
        service = "/courtroll.v1.Log/"
        for method, message in (
            ("GetInclusionProof", rpc.field(1, top)),
            ("GetInclusionProof", rpc.field(1, 2**63 - 1)),
            ("GetInclusionProof", rpc.field(2, b"\1" * 32)),
            ("GetReceipt", rpc.field(1, top + 1)),
        ):
            self.assert_refused(grpc.StatusCode.NOT_FOUND, ".", service + method, message)
        for method, message in (
            ("GetInclusionProof", b""),
            ("GetReceipt", b""),
            ("GetInclusionProof", rpc.field(2, b"short")),
            ("GetInclusionProof", rpc.field(1, 2**64 - 1)),
            ("GetConsistencyProof", rpc.field(1, 2) + rpc.field(2, 1)),
            ("GetReceipt", b"\xff"),
        ):
            with Rpc(self.log.grpc) as peer:
                with self.assertRaises(grpc.RpcError) as caught:
                    peer.call(service + method, message)
            self.assertIn(
                caught.exception.code(),
                (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND,
                 grpc.StatusCode.OUT_OF_RANGE),
                (method, message),
            )
            self.assertTrue(caught.exception.details())

    def test_bytes_that_are_no_http_2_are_hung_up_on(self):
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0" * 4096,
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64):
            with Raw(self.log.grpc) as raw:
                raw.send(data)
                while raw.file.read1(4096):
                    pass  # an HTTP/2 GOAWAY perhaps, then the end

    # -- HTTP --

    def test_bad_http_is_400_and_ends_the_connection(self):
        host = b"Host: x\r\n"
        for request in (
            b"\r\n\r\n\r\nGET / HTTP/1.1\r\n" + host + b"\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n",
            b"get / HTTP/1.1\r\n" + host + b"\r\n", b"GET  / HTTP/1.1\r\n" + host + b"\r\n",
            b"GET / HTTP/1.1 \r\n" + host + b"\r\n", b"GET / HTTP/1.1\n" + host + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: x\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + host + host + b"\r\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + host + b" folded: x\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + host + b": nameless\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + host + b"X: a\rb\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + host + b"X: a\0b\r\n\r\n",
            b"GET http:// HTTP/1.1\r\n" + host + b"\r\n", b"GET checkpoint HTTP/1.1\r\n" + host + b"\r\n",
            b"GET /#x HTTP/1.1\r\n" + host + b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9,
            b"POST /add HTTP/1.1\r\n" + host + b"Content-Length: x\r\n\r\n",
            b"POST /add HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n",
            b"POST /add HTTP/1.1\r\n" + host + b"Content-Length: 1, 1\r\n\r\nx",
            b"POST /add HTTP/1.1\r\n" + host + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            b"POST /add HTTP/1.1\r\n" + host + b"Content-Length: 99999999999999999999\r\n\r\nx",
            b"POST /add HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
            b"POST /add HTTP/1.1\r\n" + host + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"POST /add HTTP/1.1\r\n" + host + b"Transfer-Encoding: identity\r\n\r\nx",
            b"POST /add HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
            b"POST /add HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
            b"POST /add HTTP/1.0\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ):
            with Raw(self.log.http) as raw:
                raw.send(request)
                answer = raw.answer()
                self.assertIn(answer.status, (400, 505), (request, answer))
                self.assertEqual(answer.headers["connection"], "close")
                self.assertTrue(raw.is_closed(), request)

    def test_other_versions_methods_and_expectations_have_their_own_status(self):
        self.assert_http(505, b"GET / HTTP/1.2\r\nHost: x\r\n\r\n")
        self.assert_http(505, b"GET / HTTP/3.0\r\nHost: x\r\n\r\n")
        self.assert_http(501, b"FROBNICATE / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assert_http(417, raw_http.get(b"/", b"Expect: the-unexpected"))

    def test_a_header_too_long_is_431_and_a_target_too_long_414(self):
        self.assert_http(431, raw_http.get(b"/", b"X: " + b"x" * 16384))
        self.assert_http(431, raw_http.get(b"/", *(b"X-%d: x" % i for i in range(64))))
        self.assert_http(431, raw_http.get(b"/", *(b"X-%03d: " % i + b"x" * 400 for i in range(60))))
        self.assert_http(414, raw_http.get(b"/" + b"x" * 1024))
        self.assert_http(414, raw_http.get(b"/" + b"x" * 100000))
        self.assert_http(404, raw_http.get(b"/" + b"x" * 1023))
        with Raw(self.log.http) as raw:
            raw.send(raw_http.get(b"/checkpoint", *(b"X-%d: x" % i for i in range(63))))
            self.assertEqual(raw.answer().status, 200)

    def test_what_a_peer_sent_is_not_copied_into_the_log_of_events_unescaped(self):
        self.assert_http(404, raw_http.get(b"/tile/0/\"event=forged%0aevent=ready"))
        self.assert_http(400, b"GET / HTTP/1.1\r\nHost: x\r\nevent=forged\r\n\r\n")
        self.assertNotIn("event=forged", self.log.process.text())

    def test_many_requests_without_reading_cost_bounded_memory(self):
        self.log.append(*(b"%d %d" % (self.size_before, i) for i in range(300)))
        self.expected = 300
        self.log.wait_published(self.size_before + 300)
        before = self.log.status()["rss_anon_bytes"]
        request = raw_http.get(b"/tile/0/000") * 50
        peers = [Raw(self.log.http) for _ in range(8)]
        for peer in peers:
            peer.socket.settimeout(0.5)
            try:
                for _ in range(200):  # 82 MB of answers each
                    peer.send(request)
            except socket.timeout:
                pass  # it does not read on: what we want
        after = self.log.status()["rss_anon_bytes"]
        for peer in peers:
            peer.socket.close()
        self.assertLess(after - before, 24 * 1024 * 1024)


class SlowSenders(Running):
    def test_who_does_not_finish_a_header_or_handshake_in_10_s_is_cut_off_and_hinders_nobody(self):
        with Raw(self.log.http) as drip, Raw(self.log.http) as silent, Raw(self.log.grpc) as handshake:
            started = time.monotonic()
            silent.send(b"GET /checkpoint HTT")
            drip.send(b"GET /checkpoint HTTP/1.1\r\n")

            def drop_by_drop():
                try:
                    while time.monotonic() < started + 15:
                        drip.send(b"X")
                        time.sleep(0.5)
                except OSError:
                    pass

            thread = threading.Thread(target=drop_by_drop)
            thread.start()
            for raw in (silent, drip):
                answer = raw.answer()
                self.assertEqual(answer.status, 408)
                self.assertEqual(answer.headers["connection"], "close")
                self.assertTrue(9 < time.monotonic() - started < 13, time.monotonic() - started)
            while handshake.file.read1(4096):
                pass
            self.assertLess(time.monotonic() - started, 15)
            thread.join()

    @unittest.skipUnless(IS_LONG, "waits for half a minute: COURTROLL_LONG=1")
    def test_who_does_not_finish_a_body_in_30_s_is_cut_off(self):
        with Raw(self.log.http, timeout=60) as raw:
            started = time.monotonic()
            raw.send(raw_http.get(b"/add", b"Content-Length: 100", method=b"POST") + b"slow")
            self.assertEqual(raw.answer().status, 408)
            self.assertTrue(29 < time.monotonic() - started < 35, time.monotonic() - started)

    @unittest.skipUnless(IS_LONG, "waits for two minutes: COURTROLL_LONG=1")
    def test_an_idle_connection_is_closed_after_two_minutes(self):
        with Raw(self.log.http, timeout=180) as raw:
            started = time.monotonic()
            self.assertTrue(raw.is_closed())
            self.assertTrue(115 < time.monotonic() - started < 130, time.monotonic() - started)


@needs_grpc
class FullPool(Running):
    settings = {"pool_entries_max": 1000}

    def test_calls_that_do_not_fit_the_pool_are_refused_and_the_others_logged_whole(self):
        # Two calls of 1000 never fit together, and a commit of 4 MB takes a while.
        taken = refused = 0
        with Rpc(self.log.grpc) as peer:
            for attempt in range(10):
                calls = [
                    peer.append_later([b"%d %d %d" % (attempt, call, i) * 200 for i in range(1000)])
                    for call in range(8)
                ]
                for call in calls:
                    try:
                        replies = rpc.append_reply(call.result())
                        first = replies[0].index
                        self.assertEqual([r.index for r in replies], list(range(first, first + 1000)))
                        taken += 1
                    except grpc.RpcError as error:
                        self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
                        self.assertTrue(error.details())
                        refused += 1
                if taken and refused:
                    break
        self.assertGreater(taken, 0)
        self.assertGreater(refused, 0)
        self.expected = 1000 * taken

    def test_post_add_is_then_503_with_retry_after(self):
        seen = []
        stop = threading.Event()
        taken = []

        def fill():
            with Rpc(self.log.grpc) as peer:
                round_number = 0
                while not stop.is_set():
                    round_number += 1
                    call = peer.append_later([b"%d-%d" % (round_number, i) * 400 for i in range(1000)])
                    try:
                        call.result()
                        taken.append(1000)
                    except grpc.RpcError as error:
                        self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)

        thread = threading.Thread(target=fill)
        thread.start()
        connection = self.log.connection()
        deadline = time.monotonic() + 20
        number = 0
        while not seen and time.monotonic() < deadline:
            number += 1
            connection.request("POST", "/add", b"one %d" % number)
            response = connection.getresponse()
            body = response.read()
            if response.status == 200:
                taken.append(1)
            else:
                seen.append((response.status, response.headers["Retry-After"], body))
        stop.set()
        thread.join()
        connection.close()
        self.assertTrue(seen, "the pool was never full")
        status, retry_after, body = seen[0]
        self.assertEqual((status, retry_after), (503, "1"))
        self.assertTrue(body)
        self.expected = sum(taken)

    def test_bench_counts_what_is_refused(self):
        done = courtroll(
            "bench", "--log", self.log.grpc, "--in-flight", 16, "--entries-per-call", 1000,
            "--entry-bytes", 300, "--seconds", 1,
        )
        self.expected = self.log.status()["durable_size"] - self.size_before
        self.assertIn('"errors"', done.stdout)


class Starting(unittest.TestCase):
    """What keeps it from starting; `code` 2 is configuration, 3 is lock, key or disk."""

    @classmethod
    def setUpClass(cls):
        cls.log = Logd(is_started=False, checkpoint_interval_ms=10)
        cls.addClassCleanup(cls.log.close)
        cls.log.start()
        cls.log.append(b"one", b"two")
        cls.log.wait_published(2)
        assert cls.log.stop() == 0

    def setUp(self):
        self.before = self.snapshot()

    def snapshot(self):
        files = {}
        for directory, _, names in os.walk(self.log.data):
            for name in names:
                path = os.path.join(directory, name)
                if "/index/" not in path:  # LevelDB writes at every opening
                    with open(path, "rb") as file:
                        files[path] = file.read()
        return files

    def tearDown(self):
        self.log.start()
        size = self.log.status()["durable_size"]
        self.assertEqual(self.log.append(b"after %d" % size)[0][0], size)
        self.log.wait_published(size + 1)
        self.log.fsck()
        self.assertEqual(self.log.stop(), 0)

    def assert_refuses(self, code, words, is_untouched=True, **overrides):
        found, text = self.log.fails_to_start(**overrides)
        self.assertEqual(found, code, text)
        self.assertRegex(text, words)
        self.assertNotIn("event=ready", text)
        self.assertEqual(len(text.splitlines()), 1, text)
        if is_untouched:
            self.assertEqual(self.snapshot(), self.before, "it changed the data directory")

    def path(self, name):
        return os.path.join(self.log.dir, name)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def test_an_unknown_key_names_the_nearest_one(self):
        self.assert_refuses(2, 'unknown key "polcy".*nearest one is "policy"', polcy="x")
        self.assert_refuses(2, 'unknown key "http-lisen".*"http-listen"', http_lisen="x")
        config = self.write("config", f"data-dir = {self.log.data}\n\npool-entry-max = 5000\n")
        self.assert_refuses(2, r'config.*3.*"pool-entry-max".*"pool-entries-max"', config=config)

    def test_a_repeated_key_or_a_value_out_of_range_is_named(self):
        self.assert_refuses(2, "key: given twice", key=[self.log.key, self.log.key])
        self.assert_refuses(2, "pool-entries-max: 5 is not in 1000", pool_entries_max=5)
        self.assert_refuses(2, "dedup.*on.*off", dedup="maybe")
        self.assert_refuses(2, "http-listen.*neither", http_listen="6962")
        self.assert_refuses(2, "schema", schema="operation")

    def test_plaintext_grpc_on_a_public_address_is_refused(self):
        self.assert_refuses(2, "tls-cert", grpc_listen="0.0.0.0:0")

    def test_an_address_in_use_is_named(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = "127.0.0.1:%d" % other.getsockname()[1]
            for key in ("http_listen", "grpc_listen"):
                code, text = self.log.fails_to_start(**{key: address})
                self.assertEqual(code, 3, text)
                self.assertIn(address, text)
                self.assertNotIn("event=ready", text)

    def test_a_wrong_key_file_is_named_with_what_is_wrong(self):
        self.assert_refuses(3, "nowhere.*No such file", key=self.path("nowhere"))
        self.assert_refuses(3, "junk: not a private key", key=self.write("junk", "junk"))
        self.assert_refuses(3, "empty", key=self.write("empty", ""))
        with open(self.log.key, encoding="utf-8") as file:
            text = file.read()
        vkey = self.write("vkey", self.log.vkey)
        self.assert_refuses(3, "vkey: not a private key.*public half", key=vkey)
        origin, key_id = self.log.origin, text.split("+")[3]
        changed = self.write("renamed", text.replace(origin, "log.example/other"))
        self.assert_refuses(3, "renamed", key=changed)
        changed = self.write("other-id", text.replace(key_id, "00000000"))
        self.assert_refuses(3, "other-id", key=changed)
        self.assert_refuses(3, "cut", key=self.write("cut", text[:-10]))
        self.assertNotIn(text.strip()[-20:], self.log.process.text(), "a secret in the log of events")

    def test_a_key_that_others_can_read_is_refused(self):
        for mode in (0o644, 0o640, 0o604, 0o660):
            os.chmod(self.log.key, mode)
            self.assert_refuses(3, "log.key can be read by others: chmod 600")
        os.chmod(self.log.key, 0o600)
        os.chmod(self.log.promise_key, 0o644)
        self.assert_refuses(3, "promise.key can be read by others: chmod 600")
        os.chmod(self.log.promise_key, 0o600)

    def test_a_key_of_another_kind_is_refused(self):
        keygen("witness", "w.example", self.path("witness.key"))
        self.assert_refuses(3, "witness.key holds a key of type 0x04; a log signs with", key=self.path("witness.key"))
        keygen("promise", "other.example/promise", self.path("other-promise.key"))
        self.assert_refuses(
            3, "expected log.example/test/promise", promise_key=self.path("other-promise.key")
        )

    def test_a_key_that_does_not_match_the_stored_log_is_refused(self):
        for name, origin in (("same-origin.key", self.log.origin), ("other-origin.key", "o.example")):
            if not os.path.exists(self.path(name)):
                keygen("log", origin, self.path(name))
            self.assert_refuses(
                3, f"belongs to another log or key: {self.log.origin}",
                key=self.path(name), promise_key=None, policy=None,
            )

    def test_a_stored_log_of_another_key_is_refused_even_without_its_name_plate(self):
        keygen("log", "no-plate.example", self.path("no-plate.key"))
        identity = os.path.join(self.log.data, "identity")
        shutil.copy(identity, self.path("identity"))
        os.unlink(identity)
        self.assert_refuses(
            3, "not signed by no-plate.example", is_untouched=False,
            key=self.path("no-plate.key"), promise_key=None, policy=None,
        )
        shutil.copy(self.path("identity"), identity)

    def test_the_data_directory_of_another_log_is_refused(self):
        with Logd(origin="second.example") as second:
            second.append(b"of the second")
            second.wait_published(1)
            second.stop()
            self.assert_refuses(3, "belongs to another log or key: second.example", data_dir=second.data)
            second.start()
            second.fsck()

    def test_a_data_directory_in_use_is_refused_and_its_user_not_disturbed(self):
        self.log.start()
        user = self.log.process
        second = Process(self.log.arguments())
        self.assertEqual(second.wait(), 3)
        self.assertRegex(second.text(), "data directory .* is in use by another process")
        self.log.append(b"undisturbed")
        self.assertIs(self.log.process, user)
        self.assertEqual(self.log.stop(), 0)

    def test_a_bad_policy_is_refused_by_line(self):
        log = f"log {self.log.vkey}\n"
        for text, words in (
            ("", "policy"),
            ("log zzz\nquorum none\n", "line 1"),
            (log, "quorum"),
            (log + "quorum nobody\n", "line 2.*nobody"),
            (log + "wibble\nquorum none\n", "line 2"),
            (log + log + "quorum none\n", "line 2"),
            ("quorum none\n", "does not list our key: it needs the line: log log.example/test"),
        ):
            self.assert_refuses(2, words, policy=self.write("bad-policy", text))
        self.assert_refuses(2, "nowhere", policy=self.path("nowhere"))
        keygen("log", "third.example", self.path("third.key"))
        with open(self.path("third.key.vkey"), encoding="utf-8") as file:
            other = self.write("other-policy", f"log {file.read()}quorum none\n")
        self.assert_refuses(2, "does not list our key", policy=other)
        os.unlink(self.path("third.key"))
        os.unlink(self.path("third.key.vkey"))

    def test_a_data_directory_that_cannot_be_is_named(self):
        self.assert_refuses(3, "log.key", data_dir=self.log.key)
        self.assert_refuses(3, "/proc/nothing", data_dir="/proc/nothing")


class Damage(unittest.TestCase):
    """Files of the log that are not what was written: 500, never wrong bytes; fsck mends them.

    The log is so large that its journal has been trimmed: a start cannot make the files again.
    """

    SIZE = 1100

    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=10, journal_bytes_max=64 << 20)
        cls.addClassCleanup(cls.log.close)
        cls.log.append(*(b"%d " % i * 12000 for i in range(1024)))
        cls.log.append(*(b"entry %d" % i for i in range(1024, cls.SIZE)))
        cls.log.wait_published(cls.SIZE)
        assert cls.log.stop() == 0
        fetch = reader.of_directory(cls.log.public)
        cls.good = {path: fetch(path) for path in reader.paths_of(cls.SIZE)}
        cls.mirror = os.path.join(cls.log.dir, "mirror")
        shutil.copytree(cls.log.public, cls.mirror)

    def setUp(self):
        self.log.start()

    def tearDown(self):
        self.log.stop()

    def file(self, path):
        return os.path.join(self.log.public, path)

    def damage(self, path, how):
        data = bytearray(self.good[path])
        if how == "flip":
            data[len(data) // 2] ^= 1
        elif how == "short":
            data = data[:-32]
        elif how == "long":
            data += b"\0" * 32
        elif how == "empty":
            data = b""
        if how == "missing":
            os.unlink(self.file(path))
        else:
            with open(self.file(path), "wb") as file:
                file.write(data)

    def check_reads(self, damaged):
        """The damaged file is 500; every other hash tile, and a bundle, are as they were."""
        self.assertEqual(self.log.get("/checkpoint").status, 200)
        for path, good in self.good.items():
            if "entries" in path and path not in (damaged, "tile/entries/002"):
                continue
            answer = self.log.get("/" + path)
            if path == damaged:
                self.assertEqual(answer.status, 500, "the damage was not noticed")
                self.assertNotIn("Cache-Control", answer.headers)
                self.assertLess(len(answer.body), 200)
            else:
                self.assertEqual((answer.status, answer.body == good), (200, True), path)
        self.log.process.wait_for(f"event=tile_damaged .*{damaged}")
        self.assertTrue(self.log.get("/healthz").body.startswith(b"degraded\n"))

    def check_damage(self, path, how):
        self.log.restart()  # what has been read once is served from memory
        self.damage(path, how)
        self.check_reads(path)
        done = self.log.fsck(1)
        self.assertIn("DAMAGED", done.stdout)
        self.assertIn(path, done.stdout)
        # What is new does not depend on it: appends go on.
        size = self.log.status()["durable_size"]
        self.log.append(b"after %s %s" % (how.encode(), path.encode()))
        self.log.wait_published(size + 1)

    def check_mended(self, path):
        with open(self.file(path), "rb") as file:
            self.assertEqual(file.read(), self.good[path])
        self.log.fsck()
        self.log.start()
        answer = self.log.get("/" + path)
        self.assertEqual((answer.status, answer.body == self.good[path]), (200, True))
        self.assertTrue(self.log.get("/healthz").body.startswith(b"ok\n"))

    def test_a_damaged_hash_tile_is_never_served_and_is_rebuilt_from_the_entries(self):
        for how in ("flip", "short", "long", "empty", "missing"):
            path = "tile/0/001" if how == "long" else "tile/0/000"
            with self.subTest(path=path, how=how):
                self.check_damage(path, how)
                self.assertEqual(self.log.stop(), 0)
                # The root of this tile is needed to go on: it refuses to start, and says what to do.
                code, text = self.log.fails_to_start()
                self.assertEqual(code, 3, text)
                self.assertRegex(text, "tile.*fsck --dir DIR --repair")
                self.assertIn(path, self.log.fsck(0, "--repair").stdout)
                self.check_mended(path)

    def test_a_damaged_bundle_is_never_served_and_is_mended_from_a_mirror_only(self):
        path = "tile/entries/001"
        for how in ("flip", "short", "missing"):
            with self.subTest(how=how):
                self.check_damage(path, how)
                self.assertEqual(self.log.stop(), 0)
                self.assertIn(path, self.log.fsck(1, "--repair").stdout)
                self.log.fsck(0, "--repair", "--from", "file:" + self.mirror)
                self.check_mended(path)

    def test_a_damaged_checkpoint_keeps_it_from_starting_with_the_reason(self):
        self.assertEqual(self.log.stop(), 0)
        path = self.file("checkpoint")
        with open(path, "rb") as file:
            good = file.read()
        for bad in (good.replace(b"log.example/test\n", b"log.example/evil\n", 1), good[:-20], b""):
            with open(path, "wb") as file:
                file.write(bad)
            code, text = self.log.fails_to_start()
            self.assertEqual(code, 3, text)
            self.assertIn("checkpoint", text)
        with open(path, "wb") as file:
            file.write(good)
        self.log.start()
        self.log.fsck()


if __name__ == "__main__":
    unittest.main(verbosity=2)
