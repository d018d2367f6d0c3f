#!/usr/bin/python3
"""courtroll-witness over HTTP and gRPC: what it signs, what it refuses, and to the letter how.

Keys, trees, notes and proofs are made, and cosignatures verified, by tests/support/python/tlog.py alone.
COURTROLL_BIN names the directory of the built programs.
"""
import glob
import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))

import raw_http
import tlog
from logd import wait_until
from raw_http import Raw
from witness import Tree, Witness, write_private

try:
    import grpc
    from rpc import Rpc, field, fields
except ImportError:
    grpc = None

SIZE_TYPE = "text/x.tlog.size"
TEXT = "text/plain; charset=utf-8"
BODY_MAX = 128 * 1024
EMPTY_ROOT = hashlib.sha256(b"").digest()


def shared_text():
    """protocols.md, which is not ours to copy, or None where it is not."""
    directory = os.environ.get("COURTROLL_SHARED", os.path.join(HERE, "..", "..", "..", "shared"))
    try:
        with open(os.path.join(directory, "protocols.md"), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


class Case(unittest.TestCase):
    def assert_status(self, answer, status):
        self.assertEqual(answer.status, status, answer)
        return answer

    def assert_stale(self, answer, size):
        self.assert_status(answer, 409)
        self.assertEqual(answer.headers["Content-Type"], SIZE_TYPE)
        self.assertEqual(answer.body, b"%d\n" % size)

    def witness(self, *logs, **settings):
        made = Witness([log.key for log in logs], **settings)
        self.addCleanup(made.close)
        return made


# -- The conversation of protocols 8.4 --


class OwnData:
    """Keys and trees of our own."""

    def __init__(self):
        self.tree = Tree("log.example/conversation", 8)
        self.origin = self.tree.origin
        self.key = tlog.Key("witness.example/conversation", tlog.COSIGNATURE)
        self.log_vkey = self.tree.key.vkey()

    def note(self, what):
        """cp1, cp3, cp5, cp8 and cp0 are of the tree; cp0x and cp5x have another root."""
        roots = {"cp0x": b"\1" + bytes(31), "cp5x": b"\x2b" + bytes(31)}
        size = int(what[2])
        text = tlog.checkpoint_text(
            self.origin, size, roots.get(what, self.tree.root(size) if size else EMPTY_ROOT)
        )
        return tlog.signed(text, self.tree.key)

    def proof(self, old, size):
        return self.tree.proof(old, size)

    def times(self):
        """Cosignatures at fixed times to compare with: none."""
        return {}


class SharedData:
    """Keys, roots, signatures and proofs of other implementations' tests."""

    SIZES = {"cp0x": "cp0'", "cp5x": "cp5'"}

    def __init__(self, text):
        at = text.index("**Log W / witness W**")
        self.text = text[at : at + 6000]
        self.origin = self._find(r"^O = (\S+)")
        self.log_vkey = self._find(r"^log vkey  O(\S+)", prefix=self.origin)
        seed = bytes.fromhex(self._find(r"witness   name \S+ seed ([0-9a-f]{64})"))
        name = self._find(r"witness   name ([^ ,]+),")
        self.key = tlog.Key(name, tlog.COSIGNATURE, seed)
        assert self.key.vkey() == self._find(r"vkey \[C\] (\S+)")
        roots = self.text[self.text.index("roots:") : self.text.index("signature blobs")]
        self.roots = dict(re.findall(r"\b(\d) ([A-Za-z0-9+/]{43}=)", roots))

    def _find(self, pattern, prefix=""):
        return prefix + re.search(pattern, self.text, re.M).group(1)

    def note(self, what):
        name = self.SIZES.get(what, what)
        blob = re.search(rf"^ {re.escape(name)} (\S+)", self.text, re.M).group(1)
        size = int(what[2])
        root = self.roots.get(str(size), tlog.b64(EMPTY_ROOT))
        root = {
            "cp0x": tlog.b64(b"\1" + bytes(31)),
            "cp5x": tlog.b64(b"\x2b" + bytes(31)),
        }.get(what, root)
        return f"{self.origin}\n{size}\n{root}\n\n\u2014 {self.origin} {blob}\n"

    def proof(self, old, size):
        leaf = [b"\x2a" + bytes([i]) + bytes(30) for i in range(8)]
        hashes = tlog.consistency(old, leaf[:size]) if 0 < old < size else []
        assert tlog.b64(tlog.root(leaf[:size])) == self.roots[str(size)]
        return hashes


class Conversation(Case):
    """Steps 1 to 17, with a fresh witness for step 17."""

    def data(self):
        return OwnData()

    def setUp(self):
        self.d = self.data()

    def start(self):
        witness = Witness([self.d.log_vkey], key=self.d.key)
        self.addCleanup(witness.close)
        self.w = witness
        return witness

    def ask(self, status, old, proof, note):
        if isinstance(proof, tuple):
            proof = self.d.proof(*proof)
        if note in ("cp0", "cp0x", "cp1", "cp3", "cp5", "cp5x", "cp8"):
            note = self.d.note(note)
        answer = self.w.add_checkpoint(tlog.add_checkpoint(old, proof, note))
        self.assertEqual(answer.status, status, (answer, note))
        self.assertNotIn("Location", answer.headers)
        if status == 200:
            return self.w.times(note.split("\n\n")[0] + "\n", answer.body.decode())[0]
        if status == 409:
            self.assertEqual(answer.headers["Content-Type"], SIZE_TYPE)
            return answer.body
        self.assertEqual(answer.headers["Content-Type"], TEXT)
        return None

    def raw(self, status, body):
        answer = self.w.add_checkpoint(body)
        self.assertEqual(answer.status, status, (answer, body))

    def test_steps_1_to_16(self):
        self.start()
        self.ask(200, 0, [], "cp1")
        # 2: a signature whose last base64 digit has a bit changed that the bytes do have
        note = self.d.note("cp3")
        self.assertNotEqual(note, broken := note[:-3] + other_digit(note[-3]) + note[-2:])
        self.ask(403, 1, (1, 3), broken)
        # 3: an origin that nobody knows
        unknown = self.d.origin[:-1] + ("3" if self.d.origin[-1] != "3" else "4")
        self.ask(404, 1, (1, 3), note.replace(self.d.origin, unknown))
        # 4, 5: no proof, a wrong one
        self.ask(422, 1, [], "cp3")
        wrong = list(self.d.proof(1, 3))
        wrong[1] = bytes([wrong[1][0] ^ 1]) + wrong[1][1:]
        self.ask(422, 1, wrong, "cp3")
        self.ask(200, 1, (1, 3), "cp3")
        self.assertEqual(self.ask(409, 1, (1, 5), "cp5"), b"3\n")
        first = self.ask(200, 3, (3, 5), "cp5")
        self.assertEqual(self.ask(409, 0, [], "cp5"), b"5\n")
        # 10: again, with a new time once the second of an identical request is over
        time.sleep(1.1)
        self.assertGreater(self.ask(200, 5, [], "cp5"), first)
        self.ask(422, 5, [], "cp5x")
        self.ask(422, 5, [bytes(32)], "cp5")
        self.ask(400, 5, [], "cp3")
        # 14
        cp5 = self.d.note("cp5")
        text = cp5.split("\n\n")[0] + "\n"
        for body in (
            f"old 05\n\n{cp5}",
            f"old +5\n\n{cp5}",
            f"old  5\n\n{cp5}",
            f"old 5 \n\n{cp5}",
            f"old\n\n{cp5}",
            f"old 5\n{cp5.split(chr(10) * 2)[0]}",
            f"old 5\n\n{text}",
            f"old 5\n\n{text}\n",
            f"old 5\n\n\n{cp5}",
            "",
        ):
            self.raw(400, body.encode())
        self.ask(400, 5, [bytes(32)] * 64, "cp8")
        # 16
        self.ask(200, 5, (5, 8), "cp8")
        self.assertEqual(self.w.held_size_of(self.d.origin), 8)

    def test_step_17(self):
        self.start()
        self.ask(422, 0, [], "cp0x")
        self.ask(200, 0, [], "cp0")
        self.ask(422, 0, [bytes(32)], "cp5")
        self.ask(200, 0, [], "cp5")


class OwnConversation(Conversation):
    def test_step_15_a_size_that_is_no_number_is_malformed(self):
        self.start()
        text = f"{self.d.origin}\nfive\n{tlog.b64(self.d.tree.root(5))}\n"
        self.ask(400, 0, [], tlog.signed(text, self.d.tree.key))
        for text in (
            tlog.checkpoint_text(self.d.origin, "05", self.d.tree.root(5)),
            tlog.checkpoint_text(self.d.origin, 2**63, self.d.tree.root(5)),
            f"{self.d.origin}\n5\n",
        ):
            self.ask(400, 0, [], tlog.signed(text, self.d.tree.key))
        self.assertEqual(self.w.held_size_of(self.d.origin), 0)


class SharedConversation(Conversation):
    def data(self):
        text = shared_text()
        if text is None:
            self.skipTest("protocols.md is not there: set COURTROLL_SHARED to its directory")
        return SharedData(text)


del Conversation  # the two above are the tests


def other_digit(digit):
    """Another base64 digit, with a bit changed that counts before one `=`."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return digits[digits.index(digit) ^ 4]


# -- To the letter --


class Letter(Case):
    def setUp(self):
        self.log = Tree("log.example/letter", 9)
        self.w = self.witness(self.log)

    def post(self, body, head=b""):
        request = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n" + head
        request += b"Content-Length: %d\r\n\r\n" % len(body) + body
        return raw_http.once(self.w.http, request)

    def test_a_cosignature_is_ours_alone_in_plain_text(self):
        body = self.log.request(0, 3)
        answer = self.post(body)
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, TEXT))
        lines = answer.body.decode()
        self.assertEqual(lines.count("\n"), 1)
        self.assertTrue(lines.endswith("\n"))
        (when,) = self.w.times(self.log.text(3), lines)
        self.assertLess(abs(when - time.time()), 60)

    def test_a_conflict_has_the_size_and_exactly_that_content_type(self):
        self.w.cosign(self.log, 0, 3)
        answer = self.post(self.log.request(0, 5))
        self.assertEqual(answer.status, 409)
        self.assertEqual(answer.headers["content-type"], SIZE_TYPE)
        self.assertEqual(answer.body, b"3\n")

    def test_errors_say_their_words_in_plain_text_and_never_redirect(self):
        self.w.cosign(self.log, 0, 3)
        other = Tree("log.example/other", 3)
        cases = [
            (400, b"x"),
            (404, other.request(0, 3)),
            (422, tlog.add_checkpoint(3, [bytes(32)], self.log.note(3))),
        ]
        for status, body in cases:
            answer = self.post(body)
            self.assertEqual(answer.status, status)
            self.assertEqual(answer.headers["content-type"], TEXT)
            self.assertNotIn("cache-control", answer.headers)
            self.assertNotIn("location", answer.headers)
            self.assertRegex(answer.body, rb"\A[ -~]+\n\Z")

    def test_other_methods_and_paths(self):
        for method in (b"GET", b"HEAD", b"PUT", b"DELETE"):
            answer = raw_http.once(
                self.w.http, raw_http.get(b"/add-checkpoint", method=method), method != b"HEAD"
            )
            self.assertEqual(answer.status, 405, method)
            self.assertEqual(answer.headers["allow"], "POST")
        body = self.log.request(0, 3)
        for path in ("/add-checkpoint/", "//add-checkpoint", "/Add-Checkpoint", "/", "/healthz"):
            answer = self.w.request("POST", path, body)
            self.assertIn(answer.status, (404, 405), path)
        self.assertEqual(self.w.held_size(self.log), 0)
        for path in ("/nowhere", "/evidence/", "/checkpoint", "/evidence/ab", "/x/checkpoint"):
            self.assert_status(self.w.get(path), 404)

    def test_the_cosigned_checkpoint_is_served_by_the_hash_of_the_origin(self):
        path = f"/{self.log.hash()}/checkpoint"
        answer = self.assert_status(self.w.get(path), 404)
        self.assertNotIn("Cache-Control", answer.headers)
        body = self.log.request(0, 3)
        lines = self.w.add_checkpoint(body).body
        answer = self.assert_status(self.w.get(path), 200)
        self.assertEqual(answer.headers["Content-Type"], TEXT)
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertEqual(answer.body, self.log.note(3).encode() + lines)
        head = raw_http.once(self.w.http, raw_http.get(path.encode(), method=b"HEAD"), False)
        self.assertEqual((head.status, head.headers["content-length"]), (200, str(len(answer.body))))
        for wrong in (path.upper().replace("CHECKPOINT", "checkpoint"), path + "/", path[:-1]):
            self.assert_status(self.w.get(wrong), 404)
        unknown = hashlib.sha256(b"nobody").hexdigest()
        self.assert_status(self.w.get(f"/{unknown}/checkpoint"), 404)

    def test_lines_that_nobody_verified_are_neither_stored_nor_returned(self):
        stranger = tlog.Key("stranger.example", tlog.ED25519)
        text = self.log.text(3)
        good = self.log.key.line(text)
        forged = f"\u2014 {self.w.name} {tlog.b64(self.w.key.id + (1).to_bytes(8, 'big') + bytes(64))}\n"
        note = text + "\n" + forged + stranger.line(text) + good
        answer = self.assert_status(self.w.add_checkpoint(tlog.add_checkpoint(0, [], note)), 200)
        self.assertEqual(self.w.checkpoint(self.log), f"{text}\n{good}{answer.body.decode()}")

    def test_a_second_key_of_the_log_counts_and_one_bad_line_of_a_known_key_does_not_pass(self):
        second = tlog.Key("log.example/letter", tlog.ED25519, bytes(range(32)))
        self.w.write_logs([self.log.key, second])
        self.w.reload()
        text = self.log.text(3)
        bad = second.line(text.replace("3", "4"))
        note = text + "\n" + self.log.key.line(text) + bad
        self.assert_status(self.w.add_checkpoint(tlog.add_checkpoint(0, [], note)), 403)
        note = tlog.signed(text, second)
        self.assert_status(self.w.add_checkpoint(tlog.add_checkpoint(0, [], note)), 200)
        self.assertIn(second.line(text), self.w.checkpoint(self.log))

    def test_an_answer_has_a_line_of_every_key_of_ours(self):
        other = tlog.Key(self.w.name, tlog.COSIGNATURE, bytes(range(32)))
        path = os.path.join(self.w.dir, "second.key")
        write_private(path, other.skey() + "\n")
        self.w.restart(key=[self.w.key_file, path])
        lines = self.w.add_checkpoint(self.log.request(0, 3)).body.decode().splitlines(True)
        self.assertEqual(len(lines), 2)
        self.assertIsNotNone(self.w.key.verify_line(self.log.text(3), lines[0]))
        self.assertIsNotNone(other.verify_line(self.log.text(3), lines[1]))

    def test_connections_are_kept_alive_and_pipelined_answers_keep_their_order(self):
        with Raw(self.w.http) as raw:
            for body in [self.log.request(0, 3), self.log.request(0, 5), b"x"]:
                head = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n"
                raw.send(head % len(body) + body)
            answers = [raw.answer() for _ in range(3)]
            # Which of the two is decided first is open; its answer is in its place in any case.
            self.assertEqual(sorted(a.status for a in answers[:2]), [200, 409])
            self.assertEqual(answers[2].status, 400)
            winner = 0 if answers[0].status == 200 else 1
            self.w.times(self.log.text((3, 5)[winner]), answers[winner].body.decode())
            self.assertEqual(answers[1 - winner].body, b"%d\n" % (3, 5)[winner])
            body = self.log.request((3, 5)[winner], 9)
            raw.send(head % len(body) + body)
            self.assertEqual(raw.answer().status, 200)


class Limits(Case):
    def setUp(self):
        self.log = Tree("log.example/limits", 9)

    def test_a_body_over_128_KiB_is_413_and_one_of_just_that_is_read(self):
        w = self.witness(self.log)
        note = self.log.note(3)
        line = "\u2014 filler.example " + tlog.b64(bytes(200)) + "\n"
        body = tlog.add_checkpoint(0, [], note + line * 50)
        self.assert_status(w.add_checkpoint(body), 200)
        self.assert_status(w.add_checkpoint(b"x" * BODY_MAX), 400)
        with Raw(w.http) as raw:
            raw.send(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n")
            raw.send(b"Content-Length: %d\r\n\r\n" % (BODY_MAX + 1))
            self.assertEqual(raw.answer().status, 413)
        with Raw(w.http) as raw:
            raw.send(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(40):
                    raw.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            except OSError:
                pass
            self.assertEqual(raw.answer().status, 413)
        w.cosign(self.log, 3, 5)

    def test_an_address_that_advances_nothing_runs_out_of_budget_and_others_do_not(self):
        w = self.witness(self.log, peer_requests_per_minute=5)
        answers = [w.add_checkpoint(b"nonsense %d" % i) for i in range(8)]
        self.assertEqual([a.status for a in answers[:5]], [400] * 5)
        self.assertEqual(answers[7].status, 429)
        self.assertGreater(int(answers[7].headers["Retry-After"]), 0)
        self.assert_status(w.get("/healthz"), 200)

    def test_requests_that_advance_the_log_are_charged_to_the_log(self):
        w = self.witness(self.log, peer_requests_per_minute=3)
        for size in range(1, 8):
            w.cosign(self.log, size - 1, size)

    def test_metrics_list_at_most_a_thousand_logs_and_say_so(self):
        vkeys = []
        for i in range(1100):  # keys that nobody has are fine here, and quicker
            name = f'log.example/many/"{i}\\'
            public = bytes([tlog.ED25519]) + hashlib.sha256(name.encode()).digest()
            key_id = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
            vkeys.append(f"{name}+{key_id.hex()}+{tlog.b64(public)}")
        w = Witness(vkeys)
        self.addCleanup(w.close)
        text = w.get("/metrics").body.decode()
        self.assertIn("courtroll_witness_logs 1100\n", text)
        self.assertIn("courtroll_witness_logs_listed 1000\n", text)
        self.assertIn("# 1100 logs are known", text)
        samples = re.findall(r"^courtroll_witness_log_size\{(.*)\} 0$", text, re.M)
        self.assertEqual(len(samples), 1000)
        self.assertIn(r'origin="log.example/many/\"7\\"', samples)
        page = w.get("/").body.decode()
        self.assertIn("And 100 more", page)
        self.assertIn("log.example/many/&quot;7\\", page)


# -- What it knows --


class Logs(Case):
    def setUp(self):
        self.a, self.b = Tree("log.example/a", 6), Tree("log.example/b", 6)

    def test_a_reload_adds_and_never_takes_away(self):
        w = self.witness(self.a)
        w.cosign(self.a, 0, 3)
        self.assert_status(w.add_checkpoint(self.b.request(0, 3)), 404)
        w.write_logs([self.b.key])
        w.reload()
        wait_until(lambda: "stays: logs are add-only" in w.process.text(), "the warning")
        w.cosign(self.b, 0, 3)
        w.cosign(self.a, 3, 5)

    def test_a_log_that_comes_back_begins_where_it_was(self):
        w = self.witness(self.a, self.b)
        w.cosign(self.a, 0, 3)
        w.write_logs([self.b.key])
        w.restart()
        self.assert_status(w.add_checkpoint(self.a.request(3, 5)), 404)
        w.write_logs([self.a.key, self.b.key])
        w.reload()
        self.assert_stale(w.add_checkpoint(self.a.request(0, 5)), 3)
        w.cosign(self.a, 3, 5)

    def test_a_broken_file_changes_nothing_and_is_named_with_its_line(self):
        w = self.witness(self.a)
        with open(w.logs, "a", encoding="utf-8") as file:
            file.write(f"log {self.b.key.vkey()}\nlog nonsense\n")
        line = w.reload("event=logs_not_read")
        self.assertRegex(line, r"line 3|:3")
        self.assert_status(w.add_checkpoint(self.b.request(0, 3)), 404)
        w.cosign(self.a, 0, 3)

    def test_a_list_of_the_network_adds_logs_and_its_copy_survives_it(self):
        w = self.witness(self.a, is_started=False)
        path = os.path.join(w.dir, "network")
        text = f"logs/v0\n# ours\nvkey {self.b.key.vkey()}\nqpd 86400\ncontact someone\n"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        w.start(log_list=path)
        w.cosign(self.b, 0, 3)
        os.unlink(path)
        w.restart(log_list=path)
        self.assertIn("logs_not_read", w.process.text())
        w.cosign(self.b, 3, 5)
        self.assertEqual(len(glob.glob(os.path.join(w.data, "lists", "*"))), 1)

    def test_a_list_is_fetched_and_a_known_origin_keeps_its_key(self):
        evil = tlog.Key(self.a.origin, tlog.ED25519, bytes(range(32)))
        text = f"logs/v0\nvkey {evil.vkey()}\nqpd 1\ncontact x\n"
        text += f"vkey {self.b.key.vkey()}\nqpd 1\ncontact x\n"
        with serving(text.encode()) as url:
            w = self.witness(self.a, log_list=url)
            wait_until(lambda: w.add_checkpoint(self.b.request(0, 3)).status == 200, "b is known")
        note = tlog.signed(self.a.text(3), evil)
        self.assert_status(w.add_checkpoint(tlog.add_checkpoint(0, [], note)), 403)
        w.cosign(self.a, 0, 3)
        # The list's server is gone: the copy is enough.
        w.restart()
        w.cosign(self.b, 3, 5)

    def test_an_entry_whose_vkey_is_none_keeps_no_other_from_being_read(self):
        text = f"logs/v0\nvkey pineapple\nqpd 1\ncontact x\nvkey {self.b.key.vkey()}\nqpd 1\ncontact x\n"
        with serving(text.encode()) as url:
            w = self.witness(self.a, log_list=url)
            wait_until(lambda: w.add_checkpoint(self.b.request(0, 3)).status == 200, "b is known")
            self.assertRegex(w.process.text(), "event=logs_read .*added_logs=1 .*skipped=1 left_out=0")

    def test_what_is_not_a_list_adds_nothing(self):
        with serving(b"<html>not found</html>") as url:
            w = self.witness(self.a, log_list=url)
            w.process.wait_for("event=logs_not_read")
            w.cosign(self.a, 0, 3)
        self.assertEqual(os.listdir(os.path.join(w.data, "lists")), [])


class serving:
    """One answer to every GET, on loopback."""

    def __init__(self, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/list"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


# -- Starting, stopping, coming back --


class Starting(Case):
    def setUp(self):
        self.log = Tree("log.example/start", 9)

    def refuses(self, code, words, **overrides):
        got, text = self.w.fails_to_start(**overrides)
        self.assertEqual(got, code, text)
        self.assertRegex(text, words)
        self.assertNotIn("event=ready", text)

    def second_key(self, name=None, kind=tlog.COSIGNATURE):
        key = tlog.Key(name or self.w.name, kind, bytes(range(32)))
        path = os.path.join(self.w.dir, "second.key")
        write_private(path, key.skey() + "\n")
        return path

    def test_a_directory_is_bound_to_its_keys(self):
        self.w = self.witness(self.log)
        self.w.cosign(self.log, 0, 3)
        self.w.stop()
        other = self.second_key()
        self.refuses(3, "belongs to other keys.*identity", key=other)
        # A new one beside the old, and then alone: it has signed from this state.
        self.w.start(key=[self.w.key_file, other])
        self.w.restart(key=other)
        self.assert_stale(self.w.add_checkpoint(self.log.request(0, 5)), 3)
        self.assertEqual(self.w.stop(), 0)
        self.w.start()

    def test_wrong_keys_are_told_what_to_do(self):
        self.w = self.witness(self.log, is_started=False)
        self.refuses(3, "0x01.*courtroll keygen --type witness", key=self.second_key(kind=1))
        both = [self.w.key_file, self.second_key(name="another.example/w")]
        self.refuses(3, "have one name", key=both)
        self.refuses(2, "is given twice", key=[self.w.key_file, self.w.key_file])
        copy = os.path.join(self.w.dir, "copy.key")
        shutil.copy2(self.w.key_file, copy)
        self.refuses(3, "given already", key=[self.w.key_file, copy])
        os.chmod(self.w.key_file, 0o640)
        self.refuses(3, "witness.key")
        os.chmod(self.w.key_file, 0o600)
        self.refuses(3, "nowhere", key=os.path.join(self.w.dir, "nowhere"))
        self.refuses(2, "at most 4", key=[self.w.key_file] * 5)
        self.w.start()

    def test_wrong_logs_are_configuration_errors(self):
        self.w = self.witness(self.log, is_started=False)
        self.refuses(2, "neither logs nor log-list", logs=None)
        self.refuses(2, "nowhere", logs=os.path.join(self.w.dir, "nowhere"))
        self.w.write_logs([tlog.Key(self.w.name, tlog.ED25519)])
        self.refuses(2, "name of our own key")
        self.w.write_logs([self.w.key])
        self.refuses(2, "0x04")
        self.refuses(2, "is not an http", peers="10.0.0.1:80")
        self.refuses(2, "without TLS", grpc_listen="0.0.0.0:0")
        self.w.write_logs([])
        self.w.start()

    def test_one_process_a_directory(self):
        w = self.w = self.witness(self.log)
        other = Witness([self.log.key], directory=w.dir, is_started=False)
        self.addCleanup(other.close)
        code, text = other.fails_to_start()
        self.assertEqual(code, 3)
        self.assertIn("in use by another process", text)
        w.cosign(self.log, 0, 3)

    def test_help_has_an_example_and_the_rollback_words(self):
        done = subprocess.run([Witness.program, "--help"], capture_output=True, timeout=20, check=True)
        text = done.stdout.decode()
        self.assertIn("\nExample:\n  courtroll keygen --type witness", text)
        self.assertIn("rollback not detectable", " ".join(text.split()))

    def test_restarts_and_kills_keep_the_state(self):
        self.w = w = self.witness(self.log)
        for size in (2, 4, 6):
            w.cosign(self.log, w.held_size(self.log), size)
            before = w.checkpoint(self.log)
            if size == 4:
                w.restart()
            else:
                w.kill()
                w.start()
            self.assertEqual(w.checkpoint(self.log), before)
            self.assert_stale(w.add_checkpoint(self.log.request(0, 1)), size)
            other = self.log.branch(size - 1, "fork").grow(1)
            answer = w.add_checkpoint(other.request(size, size))
            self.assert_status(answer, 422)

    def test_a_lost_state_is_never_begun_anew(self):
        self.w = w = self.witness(self.log)
        w.cosign(self.log, 0, 6)
        w.stop()
        state, away = os.path.join(w.data, "state"), os.path.join(w.dir, "away")
        os.rename(state, away)
        words = "the state is lost: this key must be retired .docs/witness.md.*mount it"
        self.refuses(3, words)
        self.assertFalse(os.path.exists(state))
        os.mkdir(state, 0o700)  # as the mount point of a volume that is not there
        self.refuses(3, words)
        self.refuses(3, words, start_unchecked="on")
        self.refuses(3, words, key=[w.key_file, self.second_key()])
        # Nor does a look at it make one.
        command = [Witness.program, "state", "show", "--data-dir", w.data]
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"has no store", done.stderr)
        self.assertEqual(os.listdir(state), [])
        os.rmdir(state)
        os.rename(away, state)
        w.start()
        fork = self.log.branch(4, "second history").grow(2)
        self.assert_stale(w.add_checkpoint(fork.request(0, 6)), 6)
        w.cosign(self.log, 6, 8)

    def test_a_first_start_that_was_cut_short_is_no_alarm(self):
        self.w = w = self.witness(self.log, is_started=False)
        self.refuses(2, "nowhere", logs=os.path.join(w.dir, "nowhere"))
        identity = os.path.join(w.data, "identity")
        self.assertTrue(os.path.exists(identity))
        os.unlink(identity)  # the store is there, and that was not yet
        w.start()
        self.assertTrue(os.path.exists(identity))
        w.cosign(self.log, 0, 3)

    def test_kills_amid_requests_never_take_a_signature_back(self):
        log = self.log.grow(200)
        self.w = w = self.witness(log)
        signed = 0
        for _ in range(4):
            done = []

            def ask():
                try:
                    held = w.held_size(log)
                    for size in range(held + 1, held + 60):
                        w.cosign(log, size - 1, size)
                        done.append(size)
                except OSError:
                    pass

            thread = threading.Thread(target=ask)
            thread.start()
            wait_until(lambda: len(done) >= 5, "some are signed")
            w.kill()
            thread.join()
            signed = done[-1]
            w.start()
            self.assertIn(w.held_size(log), (signed, signed + 1))

    def test_a_stop_answers_what_is_under_way_and_takes_less_than_five_seconds(self):
        self.w = w = self.witness(self.log)
        with Raw(w.http) as idle, Raw(w.http) as busy:
            idle.send(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\nold")
            # All in one packet: when the first is answered the witness has them all.
            head = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n"
            bodies = [self.log.request(0, size) for size in range(1, 9)]
            busy.send(b"".join(head % len(body) + body for body in bodies))
            statuses = [busy.answer().status]
            began = time.monotonic()
            w.process.signal(15)
            statuses += [busy.answer().status for _ in bodies[1:]]
            self.assertEqual(sorted(statuses), [200] + [409] * 7)
            self.assertEqual(w.process.wait(), 0)
            self.assertLess(time.monotonic() - began, 5)
        w.start()
        self.assertEqual(w.held_size(self.log), statuses.index(200) + 1)

    def test_a_restored_directory_does_not_sign_where_its_mark_is_ahead(self):
        self.w = w = self.witness(self.log, is_started=False)
        mark = os.path.join(w.dir, "mark")
        w.settings["mark_path"] = mark
        w.start()
        self.assertIn("rollback detected by a mark file", w.get("/healthz").body.decode())
        w.cosign(self.log, 0, 3)
        w.stop()
        backup = tempfile.mkdtemp(dir=w.dir)
        shutil.copytree(w.data, os.path.join(backup, "data"))
        w.start()
        w.cosign(self.log, 3, 6)
        w.stop()
        shutil.rmtree(w.data)
        shutil.copytree(os.path.join(backup, "data"), w.data)
        w.start()
        fork = self.log.branch(4, "second history").grow(4)
        answer = self.assert_status(w.add_checkpoint(fork.request(3, 6)), 503)
        self.assertIn("Retry-After", answer.headers)
        self.assert_status(w.add_checkpoint(self.log.request(3, 6)), 503)
        health = w.get("/healthz").body.decode()
        self.assertTrue(health.startswith("degraded\n"), health)
        self.assertIn(f'refused: "{self.log.origin}": ', health)
        self.assertNotIn(w.dir, health)
        self.assert_status(w.get("/readyz"), 503)
        text = w.get("/metrics").body.decode()
        self.assertIn('courtroll_witness_guard_logs{verdict="refused"} 1\n', text)
        self.assertIn(f'courtroll_witness_log_signing{{origin="{self.log.origin}"}} 0\n', text)


    def test_a_peer_with_a_newer_note_of_ours_stops_a_restored_directory(self):
        self.w = w = self.witness(self.log)
        self.assertIn("event=rollback_not_detectable", w.process.text())
        w.cosign(self.log, 0, 3)
        w.stop()
        backup = tempfile.mkdtemp(dir=w.dir)
        shutil.copytree(w.data, os.path.join(backup, "data"))
        w.start()
        w.cosign(self.log, 3, 6)
        newer = w.checkpoint(self.log).encode()
        w.stop()
        shutil.rmtree(w.data)
        shutil.copytree(os.path.join(backup, "data"), w.data)
        with serving(newer) as url:
            w.start(peers=url)
            self.assertIn("asking peers", w.get("/healthz").body.decode())
            fork = self.log.branch(4, "second history").grow(4)
            wait_until(lambda: "event=guard_refuses" in w.process.text(), "the refusal")
            self.assert_status(w.add_checkpoint(fork.request(3, 6)), 503)
            self.assertTrue(w.get("/healthz").body.startswith(b"degraded\n"))
        # It is kept: no peer is needed to know it next time.
        w.restart()
        self.assert_status(w.add_checkpoint(fork.request(3, 6)), 503)

    def test_silent_peers_are_waited_for(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            peer = f"http://127.0.0.1:{silent.getsockname()[1]}"
            self.w = w = self.witness(self.log, peers=peer)
            self.assert_status(w.add_checkpoint(self.log.request(0, 3)), 503)
            self.assertTrue(w.get("/readyz").body.startswith(b"not cosigning\n"))
            self.assertIn(b"\nchecking: ", w.get("/healthz").body)
            began = time.monotonic()
            self.assertEqual(w.stop(), 0)
            self.assertLess(time.monotonic() - began, 5)

    def test_a_bastion_that_is_not_there_is_tried_again_and_its_key_is_kept(self):
        self.w = w = self.witness(self.log, is_started=False)
        self.refuses(2, "bastion", bastion="nonsense")
        self.refuses(2, "need a bastion", bastion_key=w.key_file)
        self.refuses(3, "own key", bastion="127.0.0.1:1", bastion_key=w.key_file)
        w.start(bastion="127.0.0.1:1")
        first = w.process.wait_for("event=bastion .*key_hash=([0-9a-f]{64})").group(1)
        self.assertEqual(os.stat(os.path.join(w.data, "bastion.key")).st_mode & 0o777, 0o600)
        self.assertIn(b"bastions: 0 of 1 connected\n", w.get("/healthz").body)
        w.cosign(self.log, 0, 3)
        w.restart(bastion="127.0.0.1:1")
        self.assertEqual(w.process.wait_for("key_hash=([0-9a-f]{64})").group(1), first)
        self.assertEqual(w.stop(), 0)


# -- Evidence --


class Evidence(Case):
    def setUp(self):
        self.log = Tree("log.example/evil", 8)
        self.w = self.witness(self.log, Tree("log.example/honest"))

    def fork(self):
        self.w.cosign(self.log, 0, 6)
        other = self.log.branch(5, "evil").grow(1)
        self.assert_status(self.w.add_checkpoint(other.request(6, 6)), 422)
        return other

    def test_two_roots_of_one_size_are_kept_listed_and_named(self):
        self.assertEqual(json.loads(self.w.get("/evidence").body), [])
        other = self.fork()
        wait_until(lambda: json.loads(self.w.get("/evidence").body), "evidence")
        answer = self.w.get("/evidence")
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        (item,) = json.loads(answer.body)
        self.assertEqual(
            sorted(item), ["first_seen", "id", "kind", "origin", "path", "sizes"], item
        )
        self.assertEqual((item["origin"], item["kind"]), (self.log.origin, "fork"))
        self.assertEqual(item["sizes"], [6, 6])
        self.assertLess(abs(item["first_seen"] - time.time()), 60)
        self.assertEqual(item["path"], f"/evidence/{self.log.hash()}/{item['id']}")
        file = self.assert_status(self.w.get(item["path"]), 200).body
        self.assertEqual(hashlib.sha256(file).hexdigest(), item["id"])
        self.assertIn(self.log.note(6).encode(), file)
        self.assertIn(other.note(6).encode(), file)
        health = self.w.get("/healthz").body.decode()
        self.assertIn(f'evidence of misbehaviour: "{self.log.origin}": 1 pieces\n', health)
        self.assertNotIn("log.example/honest", health)
        metrics = self.w.get("/metrics").body.decode()
        self.assertIn(f'courtroll_witness_log_evidence{{origin="{self.log.origin}"}} 1\n', metrics)
        self.assertIn('courtroll_witness_log_evidence{origin="log.example/honest"} 0\n', metrics)
        self.assertIn(
            f'courtroll_witness_log_refusals_total{{origin="{self.log.origin}",'
            'reason="root-mismatch"} 1\n',
            metrics,
        )
        # It survives a restart, and the same again is no second piece.
        self.w.restart()
        self.assert_status(self.w.add_checkpoint(other.request(6, 6)), 422)
        self.assertEqual([i["id"] for i in json.loads(self.w.get("/evidence").body)], [item["id"]])
        self.assert_status(self.w.get(item["path"][:-1] + ("0" if item["path"][-1] != "0" else "1")), 404)
        self.w.cosign(self.log, 6, 8)

    def test_an_honest_checkpoint_with_garbage_for_a_proof_is_no_evidence(self):
        self.w.cosign(self.log, 0, 5)
        garbage = tlog.add_checkpoint(5, [bytes([i]) * 32 for i in range(4)], self.log.note(8))
        self.assert_status(self.w.add_checkpoint(garbage), 422)
        self.assert_status(self.w.add_checkpoint(tlog.add_checkpoint(5, [], self.log.note(8))), 422)
        time.sleep(0.2)
        self.assertEqual(json.loads(self.w.get("/evidence").body), [])
        self.w.cosign(self.log, 5, 8)


# -- gRPC --

SERVICE = "/courtroll.v1.Witness/"


def add_message(old, proof, note):
    out = field(1, old) if old else b""
    return out + b"".join(field(2, h) for h in proof) + field(3, note.encode())


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class OverGrpc(Case):
    def setUp(self):
        self.log = Tree("log.example/grpc", 9)
        self.other = Tree("log.example/grpc-other", 3)
        self.w = self.witness(self.log, self.other)
        self.rpc = Rpc(self.w.grpc)
        self.addCleanup(self.rpc.channel.close)

    def add(self, old, proof, note):
        message = add_message(old, proof, note)
        return dict(fields(self.rpc.call(SERVICE + "AddCheckpoint", message)))

    def fails(self, code, method, message):
        with self.assertRaises(grpc.RpcError) as raised:
            self.rpc.call(SERVICE + method, message)
        self.assertEqual(raised.exception.code(), code, raised.exception.details())
        return raised.exception.details()

    def listed(self):
        reply = fields(self.rpc.call(SERVICE + "ListLogs", b""))
        logs = [fields(value) for number, value in reply if number == 1]
        return {dict(log)[1].decode(): log for log in logs}, dict(reply)[2].decode()

    def test_a_cosignature_a_stale_size_and_the_checkpoint(self):
        reply = self.add(0, [], self.log.note(3))
        self.w.times(self.log.text(3), reply[1].decode())
        self.assertNotIn(2, reply)
        reply = self.add(0, [], self.log.note(5))
        self.assertEqual((reply.get(1, b""), reply[2], reply[3]), (b"", 1, 3))
        reply = self.add(3, self.log.proof(3, 5), self.log.note(5))
        message = field(1, self.log.origin.encode())
        note = dict(fields(self.rpc.call(SERVICE + "GetCheckpoint", message)))[1]
        self.assertEqual(note, self.log.note(5).encode() + reply[1])
        self.assertEqual(note.decode(), self.w.checkpoint(self.log))

    def test_errors_have_their_statuses(self):
        self.add(0, [], self.log.note(3))
        code = grpc.StatusCode
        stranger = Tree("log.example/nobody", 3)
        wrong_key = tlog.Key(self.log.origin, tlog.ED25519, bytes(range(32)))
        for expected, message in (
            (code.INVALID_ARGUMENT, add_message(0, [], "nonsense")),
            (code.INVALID_ARGUMENT, add_message(0, [b"short"], self.log.note(3))),
            (code.INVALID_ARGUMENT, add_message(3, [bytes(32)] * 64, self.log.note(5))),
            (code.INVALID_ARGUMENT, add_message(2**63, [], self.log.note(5))),
            (code.INVALID_ARGUMENT, b"\xff\xff"),
            (code.INVALID_ARGUMENT, b""),
            (code.NOT_FOUND, add_message(0, [], stranger.note(3))),
            (code.PERMISSION_DENIED, add_message(3, [], tlog.signed(self.log.text(3), wrong_key))),
            (code.FAILED_PRECONDITION, add_message(3, [], self.log.note(5))),
            (code.RESOURCE_EXHAUSTED, add_message(3, [], "x" * 140000)),
        ):
            self.fails(expected, "AddCheckpoint", message)
        self.fails(code.NOT_FOUND, "GetCheckpoint", field(1, self.other.origin.encode()))
        self.fails(code.NOT_FOUND, "GetCheckpoint", field(1, b"nobody"))
        self.fails(code.INVALID_ARGUMENT, "GetCheckpoint", field(1, bytes(2000)))
        self.fails(code.UNIMPLEMENTED, "Nothing", b"")
        self.assertEqual(self.w.held_size(self.log), 3)

    def test_logs_and_evidence_are_listed(self):
        self.add(0, [], self.log.note(6))
        fork = self.log.branch(5, "evil").grow(1)
        self.fails(grpc.StatusCode.FAILED_PRECONDITION, "AddCheckpoint", add_message(6, [], fork.note(6)))
        wait_until(lambda: json.loads(self.w.get("/evidence").body), "evidence")
        logs, words = self.listed()
        self.assertEqual(words, "rollback not detectable")
        self.assertEqual(sorted(logs), [self.log.origin, self.other.origin])
        one, other = dict(logs[self.log.origin]), dict(logs[self.other.origin])
        self.assertEqual((one[2], one[3], one[4]), (self.log.key.vkey().encode(), 6, self.log.root(6)))
        self.assertLess(abs(one[5] - time.time()), 60)
        self.assertEqual([one.get(i, 0) for i in (6, 8, 9, 10)], [1, 1, 1, 1])
        self.assertEqual([other.get(i, 0) for i in (3, 5, 6, 8, 9, 10)], [0, 0, 1, 0, 0, 0])
        (item,) = json.loads(self.w.get("/evidence").body)
        for message in (b"", field(1, self.log.origin.encode())):
            ((_, piece),) = fields(self.rpc.call(SERVICE + "ListEvidence", message))
            piece = dict(fields(piece))
            self.assertEqual(piece[1].decode(), self.log.origin)
            self.assertEqual((piece[2].hex(), piece[3]), (item["id"], b"fork"))
            self.assertEqual(piece[4], item["first_seen"])
            self.assertEqual(piece[5], self.w.get(item["path"]).body)
        message = field(1, self.other.origin.encode())
        self.assertEqual(self.rpc.call(SERVICE + "ListEvidence", message), b"")

    def test_logs_are_listed_in_pages(self):
        def ask(first=0, count=0):
            message = (field(1, first) if first else b"") + (field(2, count) if count else b"")
            reply = fields(self.rpc.call(SERVICE + "ListLogs", message))
            logs = [dict(fields(value))[1].decode() for number, value in reply if number == 1]
            return logs, dict(reply)[3]

        both = [self.log.origin, self.other.origin]
        self.assertEqual(ask(), (both, 2))
        self.assertEqual(ask(count=1), (both[:1], 2))
        self.assertEqual(ask(first=1), (both[1:], 2))
        self.assertEqual(ask(first=1, count=2**64 - 1), (both[1:], 2))
        for first in (2, 2**32, 2**64 - 1):
            self.assertEqual(ask(first=first), ([], 2))
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, "ListLogs", b"\xff")
        # More than fit into one reply: each has a name of 250 bytes, and a key with as long a name.
        count = 9000
        vkeys = []
        for i in range(count):
            name = f"log.example/{i:04}/" + "x" * 230
            public = hashlib.sha256(name.encode()).digest()
            key_id = hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4].hex()
            vkeys.append(f"{name}+{key_id}+{tlog.b64(bytes([1]) + public)}")
        self.w.write_logs(vkeys)
        self.w.restart()
        self.rpc.channel.close()
        self.rpc = Rpc(self.w.grpc)
        seen, pages = [], 0
        while len(seen) < count:
            logs, total = ask(first=len(seen))
            self.assertEqual(total, count)
            self.assertTrue(logs)
            seen += logs
            pages += 1
        self.assertEqual(seen, [vkey.split("+")[0] for vkey in vkeys])
        self.assertGreater(pages, 2)

    def test_health_says_what_readyz_says(self):
        self.assertTrue(self.rpc.is_serving())
        self.assertEqual(self.w.get("/readyz").body.split(b"\n")[0], b"ok")

    def test_the_budget_of_an_address_is_one_for_both_surfaces(self):
        self.w.restart(peer_requests_per_minute=4)
        for i in range(4):
            self.w.add_checkpoint(b"nonsense %d" % i)
        with Rpc(self.w.grpc) as rpc, self.assertRaises(grpc.RpcError) as raised:
            rpc.call(SERVICE + "AddCheckpoint", add_message(0, [], "nonsense"))
        self.assertEqual(raised.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)


if __name__ == "__main__":
    unittest.main(verbosity=2)
