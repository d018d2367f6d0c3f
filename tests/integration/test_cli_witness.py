#!/usr/bin/env python3
"""What the command line does with witnesses: evidence of a fork, checkpoints carried as files, and the
earliest checkpoint that dates an entry. No daemon of ours: the witness here is made of the test's own
second opinion (tlog.py).

COURTROLL_BIN names the directory of the built programs.
"""
import base64
import copy
import functools
import hashlib
import http.server
import json
import os
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support", "python"))
import test_cli  # noqa: E402
import tlog  # noqa: E402

LOG = tlog.Log(300)
NOW = 1790000000


def fork_of(log, at):
    """The same key, another entry at index `at`."""
    other = copy.copy(log)
    other.leaves = list(log.leaves)
    other.leaves[at] = tlog.leaf_hash(b"another entry")
    return other


def text_at(log, size):
    return tlog.checkpoint_text(log.key.name, size, tlog.root(log.leaves[:size]))


def note_at(log, size, *more_lines):
    text = text_at(log, size)
    return text + "\n" + log.key.line(text) + "".join(more_lines)


def evidence(first, second, root=None, proof=()):
    """In the order of the file; a form 2 has a root."""
    text = "courtroll evidence v1\nfork\n"
    for note in (first, second):
        text += f"note {len(note.encode())}\n{note}"
    if root is not None:
        text += f"root {tlog.b64(root)}\n" + "".join(tlog.b64(h) + "\n" for h in proof)
    return text


def ordered(*notes):
    """By size, then by the bytes of the root."""
    return sorted(notes, key=lambda n: (int(n.split("\n")[1]), base64.b64decode(n.split("\n")[2])))


class VerifyFork(test_cli.Case):
    def setUp(self):
        super().setUp()
        self.policy = self.write("policy", LOG.policy())
        self.fork = fork_of(LOG, 50)

    def verify(self, code, words, text, policy=None):
        path = self.write("evidence", text)
        arguments = ("verify-evidence", path, "--policy", policy or self.policy)
        out = self.expect(code, *arguments).stdout
        self.assertTrue(out.startswith(words), out)
        got = self.expect_json(code, *arguments)
        self.assertEqual((got["verdict"], got["ok"]), (words.split("  ")[0], code == 0))
        with open(policy or self.policy, "rb") as file:
            self.assertEqual(got["policy_sha256"], hashlib.sha256(file.read()).hexdigest())
        self.assertIn(got["policy_sha256"], out)
        return out, got

    def one_size(self, size=100):
        return evidence(*ordered(note_at(LOG, size), note_at(self.fork, size)))

    def two_sizes(self, small=100, large=200):
        """The log signed `small` entries, and a larger tree that starts differently."""
        leaves = self.fork.leaves
        return evidence(note_at(LOG, small), note_at(self.fork, large),
                        tlog.root(leaves[:small]), tlog.consistency(small, leaves[:large]))

    def test_one_size_with_two_roots(self):
        key = f"{LOG.key.name}+{LOG.key.id.hex()}"
        out, got = self.verify(
            0, f"FORK  the holder of key {key} signed both\n", self.one_size())
        self.assertEqual((got["form"], got["kind"], got["origin"]), (1, "fork", LOG.key.name))
        roots = {tlog.b64(tlog.root(log.leaves[:100])) for log in (LOG, self.fork)}
        self.assertEqual({n["root"] for n in got["notes"]}, roots)
        self.assertEqual([(n["size"], n["key"]) for n in got["notes"]], [(100, key)] * 2)
        for word in (*roots, "100 entries", LOG.key.name):
            self.assertIn(word, out)

    def test_two_sizes_and_a_proof(self):
        for small, large in ((100, 200), (64, 65), (128, 300), (51, 52)):
            _, got = self.verify(0, "FORK  the holder of key", self.two_sizes(small, large))
            self.assertEqual((got["form"], [n["size"] for n in got["notes"]]), (2, [small, large]))
            self.assertEqual(got["contradicting_root"],
                             tlog.b64(tlog.root(self.fork.leaves[:small])))

    def test_consistent_checkpoints_prove_nothing(self):
        """A genuine note and one garbage hash must not frame the log."""
        leaves = LOG.leaves
        proof = tlog.consistency(100, leaves[:200])
        for root in (tlog.root(leaves[:100]), tlog.root(self.fork.leaves[:100]), bytes(32)):
            self.verify(1, "NOT PROVED", evidence(note_at(LOG, 100), note_at(LOG, 200), root, proof))
        self.verify(1, "NOT PROVED", evidence(note_at(LOG, 100), note_at(LOG, 200)))
        self.verify(1, "NOT PROVED", evidence(note_at(LOG, 100), note_at(LOG, 100)))
        flipped = [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]
        self.verify(1, "NOT PROVED", evidence(note_at(LOG, 100), note_at(LOG, 200),
                                              tlog.root(self.fork.leaves[:100]), flipped))

    def test_signatures_of_others_do_not_count(self):
        stranger = tlog.Key(LOG.key.name, tlog.ED25519, b"\1" * 32)
        text = text_at(self.fork, 100)
        by_stranger = text + "\n" + stranger.line(text)
        self.verify(1, "BAD SIGNATURE", evidence(*ordered(note_at(LOG, 100), by_stranger)))
        forged = text + "\n" + LOG.key.line(text_at(LOG, 100))
        self.verify(1, "BAD SIGNATURE", evidence(*ordered(note_at(LOG, 100), forged)))

    def test_unknown_log(self):
        policy = self.write("other", tlog.Log(3, "other.example/log").policy())
        self.verify(1, "UNKNOWN LOG", self.one_size(), policy)

    def test_malformed(self):
        good = self.one_size()
        for bad in ("", "hello\n", good[:-1], good + "\n", good.replace("v1", "v2"),
                    good.replace("fork", "fark"), "x" * (1 << 20),
                    evidence(*reversed(ordered(note_at(LOG, 100), note_at(self.fork, 100))))):
            self.verify(1, "MALFORMED", bad)

    def test_no_byte_can_be_changed(self):
        good = self.one_size(60).encode()
        for at in range(0, len(good), 7):
            path = self.write("evidence", good[:at] + bytes([good[at] ^ 4]) + good[at + 1:])
            done = test_cli.run("verify-evidence", path, "--policy", self.policy)
            self.assertEqual(done.returncode, 1, (at, done.stdout))

    def test_what_cannot_be_read_is_3(self):
        self.expect(3, "verify-evidence", self.path("none"), "--policy", self.policy)
        self.expect(3, "verify-evidence", self.write("e", self.one_size()), "--policy",
                    self.path("none"))
        self.expect(2, "verify-evidence", self.write("e", self.one_size()))


class Witness(http.server.BaseHTTPRequestHandler):
    """Enough of C2SP tlog-witness; what it holds is in the server."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body="", kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        server.requests.append((self.path, body))
        head, note = body.split("\n\n", 1)
        old = int(head.split("\n")[0].removeprefix("old "))
        proof = [base64.b64decode(line) for line in head.split("\n")[1:]]
        text = note.split("\n\n")[0] + "\n"
        origin, size, _ = text.split("\n")[:3]
        held = server.held.get(origin, 0)
        if server.mood == "refuse":
            self.answer(403, "no such log\n\x1b[2J")
        elif server.mood == "nonsense":
            self.answer(200, "signed\n")
        elif server.mood == "liar" or old != held:
            self.answer(409, f"{old if server.mood == 'liar' else held}\n", "text/x.tlog.size")
        elif proof != (tlog.consistency(old, LOG.leaves[:int(size)]) if 0 < old < int(size) else []):
            self.answer(422, "bad proof\n")
        else:
            server.held[origin] = int(size)
            self.answer(200, server.key.line(text, NOW))


def request(size, *olds, log=LOG):
    parts = ["courtroll cosign-request v1\n"]
    for old in olds:
        proof = tlog.consistency(old, log.leaves[:size]) if 0 < old < size else []
        parts.append(f"old {old}\n" + "".join(tlog.b64(h) + "\n" for h in proof))
    return "".join(parts) + "\n" + note_at(log, size)


class CosignSign(test_cli.Case):
    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Witness)
        self.server.held, self.server.requests, self.server.mood = {}, [], "fair"
        self.server.key = LOG.witnesses[0]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def sign(self, code, *files, witness=None):
        """Results by file name."""
        done = self.expect(code, "cosign", "sign", "--witness", witness or self.url, "--out-dir",
                           self.path("back"), "--json", *files)
        return {os.path.basename(f["file"]): f for f in json.loads(done.stdout)["files"]}

    def put(self, name, *arguments):
        return self.write(name, request(*arguments))

    def check(self, path, size):
        """A cosignature file is the checkpoint's text, the log's line, and one that verifies."""
        with open(path, encoding="utf-8") as file:
            text, lines = file.read().split("\n\n")
        self.assertEqual(text + "\n", text_at(LOG, size))
        self.assertEqual(f"{text}\n\n{lines}",
                         note_at(LOG, size) + self.server.key.line(text + "\n", NOW))

    def test_one_file(self):
        out = self.path("out")
        done = self.expect(0, "cosign", "sign", "--witness", self.url, "--out", out,
                           self.put("a", 100, 0))
        self.assertIn("signed at 100 entries", done.stdout)
        self.check(out, 100)
        self.assertEqual(self.server.requests[0][0], "/add-checkpoint")
        self.assertTrue(self.server.requests[0][1].endswith(note_at(LOG, 100)))

    def test_files_in_any_order(self):
        files = [self.put("c", 300, 0, 100, 200), self.put("a", 100, 0), self.put("b", 200, 0, 100)]
        got = self.sign(0, *files)
        for name, size in (("a", 100), ("b", 200), ("c", 300)):
            self.assertEqual(got[name]["result"], "signed")
            self.assertTrue(got[name]["out"].endswith(f"-{size}.cosignature"), got)
            self.check(got[name]["out"], size)
        self.assertEqual(self.server.held, {LOG.key.name: 300})

    def test_finds_out_what_the_witness_holds(self):
        self.server.held[LOG.key.name] = 120
        got = self.sign(0, self.put("a", 200, 0, 100, 120, 150))
        self.assertEqual(got["a"]["result"], "signed")
        self.assertEqual(len(self.server.requests), 2)
        self.server.held[LOG.key.name] = 120
        got = self.sign(0, self.put("a", 200, 100, 120))  # no file starts at 0
        self.assertEqual(got["a"]["result"], "signed")

    def test_a_proof_that_is_missing_is_asked_for(self):
        self.server.held[LOG.key.name] = 120
        files = [self.put("a", 200, 0, 100), self.put("b", 110, 0)]
        got = self.sign(4, *files)
        self.assertEqual(got["a"]["result"], "no proof")
        self.assertEqual(got["a"]["detail"],
                         "the witness holds 120; this file has proofs from 0, 100: "
                         "export again with --old 120")
        self.assertEqual(got["b"]["result"], "already past")
        self.assertEqual(os.listdir(self.path("back")), [])

    def test_late_and_duplicated_files_do_no_harm(self):
        files = [self.put("a", 100, 0), self.put("a2", 100, 0), self.put("b", 200, 100)]
        got = self.sign(0, *files)
        self.assertEqual([got[n]["result"] for n in ("a", "a2", "b")],
                         ["signed", "duplicate", "signed"])
        got = self.sign(0, *files)  # all of it once more
        self.assertEqual(got["a"]["result"], "already past")
        self.assertEqual(got["b"]["result"], "signed")  # the way back may have lost the first one
        self.assertEqual(self.server.held, {LOG.key.name: 200})

    def test_one_file_that_is_bad_does_not_stop_the_others(self):
        files = [self.put("a", 100, 0), self.write("bad", "hello\n"), self.put("b", 200, 0, 100)]
        got = self.sign(1, *files)
        self.assertEqual([got[n]["result"] for n in ("a", "bad", "b")],
                         ["signed", "malformed", "signed"])
        got = self.sign(3, self.path("none"), self.put("c", 300, 200))
        self.assertEqual([got[n]["result"] for n in ("none", "c")], ["unreadable", "signed"])

    def test_a_proof_that_was_tampered_with_is_refused(self):
        text = request(200, 100)
        bad = text.replace("old 100\n", "old 100\n" + tlog.b64(bytes(32)) + "\n")
        self.server.held[LOG.key.name] = 100
        got = self.sign(4, self.write("bad", bad))
        self.assertEqual(got["bad"]["result"], "refused")
        self.assertIn("422", got["bad"]["detail"])
        self.assertEqual(self.sign(0, self.write("good", text))["good"]["result"], "signed")

    def test_what_the_witness_holds_is_not_guessed(self):
        """The first file is refused before anything is known, the second has no proof from 0."""
        self.server.held[LOG.key.name] = 60
        bad = request(100, 60).replace("old 60\n", "old 60\n" + tlog.b64(bytes(32)) + "\n")
        got = self.sign(4, self.write("bad", bad), self.put("b", 200, 50, 70))
        self.assertEqual(got["bad"]["result"], "refused")
        self.assertIn("the witness holds 60;", got["b"]["detail"])

    def test_the_logs_are_told_apart(self):
        other = tlog.Log(150, "other.example/log")
        self.assertEqual(other.leaves, LOG.leaves[:150])
        files = [self.put("a", 100, 0), self.write("o", request(100, 0, log=other)),
                 self.put("b", 200, 100)]
        got = self.sign(0, *files)
        self.assertEqual({f["result"] for f in got.values()}, {"signed"})
        self.assertEqual(len({f["out"] for f in got.values()}), 3)
        self.assertEqual(self.server.held, {LOG.key.name: 200, other.key.name: 100})

    def test_a_witness_that_does_wrong_is_reported(self):
        for mood, words in (("refuse", "403"), ("nonsense", "signature lines"), ("liar", "again")):
            self.server.mood = mood
            got = self.sign(4, self.put("a", 100, 0), self.put("b", 200, 100))
            self.assertEqual(got["a"]["result"], "refused", mood)
            self.assertIn(words, got["a"]["detail"])
            self.assertNotIn("\x1b", got["a"]["detail"])
            self.assertEqual(os.listdir(self.path("back")), [])

    def test_unreachable_is_3(self):
        for witness in ("http://127.0.0.1:1", "127.0.0.1:1"):
            got = self.sign(3, self.put("a", 100, 0), witness=witness)
            self.assertEqual(got["a"]["result"], "not tried")

    def test_usage(self):
        a, b = self.put("a", 100, 0), self.put("b", 200, 100)
        sign = ("cosign", "sign", "--witness", self.url)
        self.expect(2, *sign, a)
        self.expect(2, *sign, "--out", "x", "--out-dir", "y", a)
        self.assertIn("--out-dir", self.expect(2, *sign, "--out", "x", a, b).stderr)
        self.expect(2, "cosign", "sign", "--witness", "file:x", "--out", "x", a)
        self.expect(2, "cosign", "sign", "--out", "x", a)
        self.expect(2, *sign, "--out", "x")
        self.assertIn("export, sign or import", self.expect(2, "cosign").stderr)
        self.assertIn("dance", self.expect(2, "cosign", "dance").stderr)
        self.assertEqual(self.server.requests, [])


class CosignOthers(test_cli.Case):
    """Export and import without a log: what is found wrong before one is asked."""

    def setUp(self):
        super().setUp()
        self.policy = self.write("policy", LOG.policy())

    def test_usage(self):
        out = self.path("out")
        common = ("cosign", "export", "--policy", self.policy, "--out", out, "--log")
        self.assertIn("gRPC", self.expect(2, *common, "http://x").stderr)
        self.expect(2, *common, "127.0.0.1:1", "--old", "-1")
        self.expect(2, *common, "127.0.0.1:1", "--old", "1x")
        many = [word for n in range(32) for word in ("--old", str(n))]
        self.expect(2, *common, "127.0.0.1:1", *many)
        self.expect(2, *common, "127.0.0.1:1", "--history", self.write("h", "nonsense"))
        self.expect(3, *common, "127.0.0.1:1")
        self.expect(3, *common, "127.0.0.1:1", "--old", "5", "--history", self.path("new"))
        common = ("cosign", "import", "--policy", self.policy, "--log")
        self.expect(2, *common, "127.0.0.1:1")
        self.expect(2, *common, "file:x", "f")
        self.expect(2, *common, "127.0.0.1:1", "--wait", "0", "f")
        self.expect(3, *common, "127.0.0.1:1", self.write("f", "x"))
        self.assertEqual(sorted(os.listdir(self.dir)), ["f", "h", "policy"])


class ArchiveHandler(http.server.SimpleHTTPRequestHandler):
    """A log's files, and /archive/after/INDEX as logd serves it."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if not self.path.startswith("/archive/after/"):
            return super().do_GET()
        index = int(self.path.rsplit("/", 1)[1])
        for size, note in self.server.archive:
            if size > index:
                data = note.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                return self.wfile.write(data)
        return self.send_error(404)


class ProveEarliest(test_cli.Case):
    def setUp(self):
        super().setUp()
        self.policy = self.write("policy", LOG.policy())
        LOG.write(self.path("log"))
        handler = functools.partial(ArchiveHandler, directory=self.path("log"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.archive = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.logs = [f"http://127.0.0.1:{self.server.server_port}", "file:" + self.path("log")]

    def archive(self, *notes):
        """Over HTTP and on the disk: (size, log, times of its witnesses)."""
        self.server.archive = []
        for i, (size, log, times) in enumerate(notes):
            text = text_at(log, size)
            lines = [w.line(text, t) for w, t in zip(LOG.witnesses, times) if t is not None]
            note = note_at(log, size, *lines)
            self.server.archive.append((size, note))
            self.write(f"log/archive/2026-01-{i + 1:02}/12/00", note)

    def prove(self, code, log, index):
        done = self.expect(code, "prove", "--log", log, "--policy", self.policy, "--index",
                           str(index), "--earliest", "--out", self.path("p"), "--json")
        return json.loads(done.stdout), done.stderr

    def test_the_first_checkpoint_with_the_entry_dates_it(self):
        self.archive((10, LOG, (100, 101, 102)), (10, LOG, (900, 901, 902)),
                     (128, LOG, (200, 205, None)), (129, LOG, (300, 301, 302)),
                     (300, LOG, (400, 401, 402)))
        for log in self.logs:
            for index, size, time in ((0, 10, 101), (9, 10, 101), (10, 128, 205), (127, 128, 205),
                                      (128, 129, 301), (129, 300, 401), (299, 300, 401)):
                got, stderr = self.prove(0, log, index)
                self.assertEqual((got["size"], got["no_later_than"], got["earliest"], stderr),
                                 (size, time, True, ""))
                entry = self.write("entry", LOG.entries[index])
                verdict = self.expect_json(0, "verify", "--policy", self.policy, "--proof",
                                           self.path("p"), entry)
                self.assertEqual(verdict["no_later_than"], time)

    def test_a_checkpoint_without_quorum_is_passed_over(self):
        self.archive((20, LOG, (100, None, None)), (30, LOG, (None, None, None)),
                     (40, LOG, (200, 201, None)))
        for log in self.logs:
            self.assertEqual(self.prove(0, log, 5)[0]["size"], 40)

    def test_falls_back_with_a_warning(self):
        for notes in ((), ((20, LOG, (100, None, None)),)):
            self.archive(*notes)
            for log in self.logs:
                got, stderr = self.prove(0, log, 5)
                self.assertEqual((got["size"], got["earliest"]), (300, False))
                self.assertIn("the proof is against the latest checkpoint", stderr)
        self.server.archive = [(20, "nonsense\n")]
        self.write("log/archive/2026-01-01/12/00", "nonsense\n")
        for log in self.logs:
            self.assertFalse(self.prove(0, log, 5)[0]["earliest"])

    def test_a_fork_in_the_archive_is_proved(self):
        for size in (100, 300):
            self.archive((size, fork_of(LOG, 50), (100, 101, 102)))
            for log in self.logs:
                got, _ = self.prove(1, log, 60)
                self.assertIn("two histories", got["error"])
                self.assertFalse(os.path.exists(self.path("p")))
                got = self.expect_json(0, "verify-evidence", self.path("p.fork"), "--policy",
                                       self.policy)
                self.assertEqual(got["form"], 2 if size < 300 else 1)
                os.unlink(self.path("p.fork"))

    def test_grpc_has_no_archive(self):
        self.expect(2, "prove", "--log", "127.0.0.1:1", "--policy", self.policy, "--index", "1",
                    "--earliest", "--out", self.path("p"))


if __name__ == "__main__":
    unittest.main()
