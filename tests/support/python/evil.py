"""A log that has its key and no scruples, and an honest one beside it.

    evil = Evil(witness, Tree("log.example/evil", 8))   # its one tree, which the witness sees first
    evil.tell(evil.tree, 0, 6)                       # Answer; every answer is remembered
    evil.tell(evil.fork(6), 6, 6)
    evil.check_signed()                              # what was cosigned is all of the one tree

    with HonestLog(witness, tree) as honest: ...     # asks all the while; then honest.check()

    class Forks(EvilCase): ...                       # a witness, an evil log and an honest one each

All of 127.0.0.0/8 is ours, so that each may come from an address of its own.
"""
import contextlib
import http.client
import json
import os
import random
import socket
import sys
import threading
import time
import unittest

import tlog
from logd import courtroll, wait_until
from raw_http import Raw
from witness import Tree, Witness

SEED = int(os.environ.get("COURTROLL_SEED", time.time_ns() % 2**32))
EVIL_ADDRESS = "127.0.0.2"
STRANGER_ADDRESS = "127.0.0.3"


def post(body, head=b""):
    """The bytes of a request."""
    start = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n" + head
    return start + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Caller:
    """Posts on a connection that is kept, or made again where that has ended."""

    def __init__(self, witness, source=None):
        self.witness, self.source = witness, source
        self._raw, self._address = None, None

    def ask(self, body):
        if self._raw is not None and self._address == self.witness.http:
            try:
                self._raw.send(post(body))
                answer = self._raw.answer()
                if answer is not None:
                    return answer
            except OSError:
                pass  # it was idle for too long, or the witness is another process
        self.close()
        self._address = self.witness.http
        self._raw = Raw(self._address, source=self.source)
        self._raw.send(post(body))
        return self._raw.answer()

    def close(self):
        if self._raw is not None:
            self._raw.__exit__()
            self._raw = None


def text_of(body):
    """The signed text in a body."""
    note = body.partition(b"\n\n")[2]
    return (note.rpartition(b"\n\n")[0] + b"\n").decode()


class Evil:
    def __init__(self, witness, tree, source=EVIL_ADDRESS):
        self.witness, self.tree, self.origin = witness, tree, tree.origin
        self.roots = {}  # what else is of its one history, by size: of trees too large to have
        self.answers = []  # (body, answer)
        self.unread = set()  # sizes that were asked for, and the answers are not among those
        self._caller = Caller(witness, source)
        self._forks = 0

    def close(self):
        self._caller.close()

    def ask(self, body):
        answer = self._caller.ask(body)
        self.answers.append((body, answer))
        return answer

    def tell(self, tree, old, size, proof=None):
        proof = tree.proof(old, size) if proof is None else proof
        return self.ask(tlog.add_checkpoint(old, proof, tree.note(size)))

    def expect(self, status, *request, **more):
        answer = self.tell(*request, **more)
        assert answer.status == status, (answer, request)

    def fork(self, size, differs_at=None):
        """Another tree of that size, each time. The leaf at `differs_at` is the first that differs."""
        self._forks += 1
        at = size - 1 if differs_at is None else differs_at
        return self.tree.branch(at, f"fork {self._forks}").grow(size - at)

    def root(self, size):
        return self.roots[size] if size in self.roots else self.tree.root(size)

    def signed(self):
        """[(size, text, lines)] of all that was cosigned for us."""
        out = []
        for body, answer in self.answers:
            if answer.status == 200:
                text = text_of(body)
                out.append((int(text.split("\n")[1]), text, answer.body.decode()))
        return out

    def check_signed(self):
        """Every cosignature that was given away is ours, and of the one tree. How many there are."""
        signed = set(self.signed())
        for size, text, lines in signed:
            assert text == tlog.checkpoint_text(self.origin, size, self.root(size)), text
            self.witness.times(text, lines)
        note = self.witness.checkpoint_of(self.origin)
        if note is not None:
            text, _, lines = note.partition("\n\n")
            size = int(text.split("\n")[1])
            assert text + "\n" == tlog.checkpoint_text(self.origin, size, self.root(size)), note
            told = max((size for size, _, _ in signed), default=0)
            assert size == told or size in self.unread, (size, "is shown and was not told")
            log_line, our_line = lines.splitlines(keepends=True)
            assert self.tree.key.verify_line(text + "\n", log_line) == 0
            assert self.witness.key.verify_line(text + "\n", our_line) is not None
        return len(signed)


class HonestLog:
    """Asks for a cosignature of its next checkpoint, again and again, until the block ends."""

    def __init__(self, witness, tree, pause=0.03):
        self.witness, self.tree, self.pause = witness, tree, pause
        self.caller = Caller(witness)
        self.held = witness.held_size(tree)
        self.answers = []  # (text, answer, seconds)
        self.error = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()
        self.caller.close()

    def has_ended(self):
        """Something went wrong, or the block is over."""
        return not self._thread.is_alive()

    def _run(self):
        try:
            while not self._is_over.wait(self.pause):
                size = self.held + 1
                if len(self.tree.leaves) < size:
                    self.tree.grow(1)
                body = self.tree.request(self.held, size)
                began = time.monotonic()
                answer = self.caller.ask(body)
                self.answers.append((self.tree.text(size), answer, time.monotonic() - began))
                if answer is None or answer.status != 200:
                    break
                self.held = size
        except (OSError, AssertionError) as error:
            self.error = error

    def check(self, p95=2.0, least=5):
        """All were answered, rightly and in time. Tells how many and the p95 in seconds."""
        assert self.error is None, self.error
        for text, answer, _ in self.answers:
            assert answer is not None and answer.status == 200, (text, answer)
            self.witness.times(text, answer.body.decode())
        times = sorted(seconds for _, _, seconds in self.answers)
        assert len(times) >= least, f"only {len(times)} were asked"
        at = times[len(times) * 95 // 100]
        assert at < p95, f"p95 is {at:.3f} s of {len(times)}"
        return len(times), at


# -- connections that do not behave --


def connect(witness, source=EVIL_ADDRESS, timeout=20):
    host, port = witness.http.rsplit(":", 1)
    made = socket.create_connection((host, int(port)), timeout, (source, 0))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def push(connection, data, chunk=65536):
    """Sends all that is taken: the status of what is answered then, or "closed"."""
    try:
        for at in range(0, len(data), chunk):
            connection.sendall(data[at : at + chunk])
    except OSError:
        pass
    return read_status(connection)


def read_answer(connection):
    """(status, body), or ("closed", b"")."""
    try:
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return "closed", b""


def read_status(connection):
    return read_answer(connection)[0]


class Trickle:
    """Many connections on which a byte comes now and then."""

    def __init__(self, witness, data, count, begun, source=EVIL_ADDRESS):
        """`data`: the bytes of a request, of which the first `begun` come at once."""
        self.connections = [connect(witness, source) for _ in range(count)]
        self.data = data
        self.at = 0
        self.send(begun)

    def send(self, count=1):
        part = self.data[self.at : self.at + count]
        self.at += count
        for connection in self.connections:
            try:
                connection.sendall(part)
            except OSError:
                pass

    def close(self):
        for connection in self.connections:
            connection.close()


# -- nonsense --


def nonsense(evil, honest_origin, held):
    """(name, status, body) of requests that are not to be signed, all with the old size that is held and
    its proof, if there is one. The evil log has 8 leaves or more."""
    tree, key, origin = evil.tree, evil.tree.key, evil.origin
    root, proof = tlog.b64(tree.root(8)), tree.proof(held, 8)
    honest = Tree(honest_origin, 8)

    def body(note, old=held, hashes=proof):
        return tlog.add_checkpoint(old, hashes, note)

    def of(text):
        return body(tlog.signed(text, key))

    for extension in ("extension\n", "1\n", root + "\n", "a\nb\n"):
        yield "extension", 400, of(tree.text(8) + extension)
    for size in ("2^63", str(2**63), str(2**64), str(2**64 + 8), "9" * 30, "08", "+8", "-8", " 8",
                 "8 ", "8.0", "0x8", "\u0668", "", "8\t", "1e1"):
        yield f"size {size}", 400, of(f"{origin}\n{size}\n{root}\n")
    other = "B" if root[42] == "A" else chr(ord(root[42]) + 1)
    for name, line in (
        ("no padding", root[:-1]), ("twice padded", root + "="), ("blank", root[:20] + " " + root[20:]),
        ("pad bits", root[:42] + other + "="), ("url alphabet", "-_" * 21 + "A="),
        ("31 bytes", tlog.b64(bytes(31))), ("33 bytes", tlog.b64(bytes(33))), ("none", ""),
        ("hex", tree.root(8).hex()),
    ):
        yield f"root {name}", 400, of(f"{origin}\n8\n{line}\n")
    yield "two lines", 400, of(f"{origin}\n8\n")
    yield "one line", 400, of(f"{origin}\n")
    yield "CR in the text", 404, of(tree.text(8).replace("\n", "\r\n"))
    yield "CR behind the size", 400, of(f"{origin}\n8\r\n{root}\n")
    yield "CR behind the root", 400, of(f"{origin}\n8\n{root}\r\n")
    yield "CR everywhere", 400, body(tree.note(8)).replace(b"\n", b"\r\n")
    yield "CR in the lines", 400, body(tree.note(8).replace("=\n", "=\r\n"))
    yield "NUL", 400, of(f"{origin}\n8\n{root}\n\0\n")
    yield "no UTF-8", 400, body(tree.note(8)).replace(b"\xe2\x80\x94", b"\xe2\x80")
    yield "empty with a root", 422 if held == 0 else 400, of(f"{origin}\n0\n{root}\n")
    yield "another origin", 403, of(honest.text(8))
    yield "another's signature", 403, body(tlog.signed(tree.text(8), honest.key))
    line = honest.key.line(honest.text(8))
    yield "another's line moved", 403, body(honest.text(8).replace(tlog.b64(honest.root(8)), root) + "\n" + line)
    claimed = tlog.Key(origin, tlog.ED25519, bytes(range(32)))
    yield "our name, other key", 403, body(tlog.signed(tree.text(8), claimed))
    claimed.id = key.id
    yield "our name and key ID, other key", 403, body(tlog.signed(tree.text(8), claimed))
    yield "signed another text", 403, body(tree.text(8) + "\n" + key.line(tree.text(7)))
    yield "a bad line before the good", 403, body(
        tree.text(8) + "\n" + claimed.line(tree.text(8)) + key.line(tree.text(8)))
    for changed in (origin + " ", " " + origin, origin.upper(), origin + "/", origin + "\u200b"):
        yield f"origin {changed!r}", 404, of(tree.text(8).replace(origin, changed))
    yield "no origin", 400, of("\n8\n" + root + "\n")
    yield "no line", 400, body(tree.text(8) + "\n")
    yield "no blank line", 400, body(tree.text(8) + key.line(tree.text(8)))
    yield "another blank line", 403, body(tree.note(8) + "\n" + key.line(tree.text(8)))
    yield "cut line", 400, body(tree.note(8)[:-1])
    yield "a dash", 400, body(tree.note(8).replace("\u2014", "-"))
    yield "101 lines", 400, body(tree.text(8) + "\n" + key.line(tree.text(8)) * 101)
    for old in ("", "05", "+5", "-1", "5 ", " 5", "5.0", str(2**63), str(2**64 + held), "9" * 40):
        yield f"old {old!r}", 400, body(tree.note(8), old=old)
    for hash_line in ("x", root[:-1], root + "=", root[:42] + other + "=", tlog.b64(bytes(31)), " " + root):
        bad = f"old {held}\n{hash_line}\n\n{tree.note(8)}".encode()
        yield f"hash {hash_line}", 400, bad
    yield "64 hashes", 400, body(tree.note(8), hashes=[bytes(32)] * 64)
    yield "1000 hashes", 400, body(tree.note(8), hashes=[bytes(32)] * 1000)
    yield "63 hashes", 422, body(tree.note(8), hashes=[bytes(32)] * 63)
    yield "nothing", 400, b""
    yield "blanks", 400, b"\n" * 1000
    yield "a lot of nothing", 400, b"\0" * 100000


# -- evidence, as a stranger would make it --


def evidence_file(note_a, note_b, root=None, proof=()):
    """`courtroll evidence v1` of two notes as text; with `root`, form 2."""
    out = "courtroll evidence v1\nfork\n"
    for note in (note_a, note_b):
        out += f"note {len(note.encode())}\n{note}"
    if root is not None:
        out += f"root {tlog.b64(root)}\n" + "".join(f"{tlog.b64(h)}\n" for h in proof)
    return out.encode()


def roots_of_proof(proof, old, size):
    """The two roots that a consistency proof is about: RFC 9162 section 2.1.4.2, for an old size that
    is no power of two. None when it is too long or too short."""
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            fr, sr = tlog.node_hash(c, fr), tlog.node_hash(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = tlog.node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return (fr, sr) if sn == 0 else None


def run_threads(jobs):
    """Runs all at once; raises what the first of them did that failed."""
    failures = []

    def run(job):
        try:
            job()
        except Exception as error:  # told to whoever waits
            failures.append(error)

    threads = [threading.Thread(target=run, args=[job], daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# -- tests --


class EvilCase(unittest.TestCase):
    """`honest` is the log to be served, `evil` the one that attacks, which has 8 leaves at first."""

    settings = {"peer_requests_per_minute": 0, "log_requests_per_minute": 0}
    evil_origins = ["log.example/evil"]

    def setUp(self):
        random.seed(SEED)
        self.addCleanup(print, f"COURTROLL_SEED={SEED}", file=sys.stderr)
        self.honest = Tree("log.example/honest")
        trees = [Tree(origin, 8) for origin in self.evil_origins]
        self.w = Witness([tree.key for tree in [self.honest, *trees]], **self.settings)
        self.addCleanup(self.w.close)
        self.evils = [Evil(self.w, tree) for tree in trees]
        for one in self.evils:
            self.addCleanup(one.close)
        self.evil = self.evils[0]
        self.policy = self.file("policy", "".join(
            f"log {tree.key.vkey()}\n" for tree in [self.honest, *trees]
        ) + "quorum none\n")

    def file(self, name, content):
        path = os.path.join(self.w.dir, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    @contextlib.contextmanager
    def honest_served(self, least=5):
        """While the block runs the honest log asks, and at its end all is as it must be."""
        with HonestLog(self.w, self.honest) as honest:
            yield honest
            wait_until(
                lambda: len(honest.answers) >= least or honest.has_ended(),
                "the honest log's requests",
            )
        count, p95 = honest.check(least=least)
        print(f"honest: {count} requests, p95 {p95 * 1000:.0f} ms", file=sys.stderr)
        self.check_all()

    def check_all(self):
        """Nothing wrong is signed; evidence is proof, and of evil logs only."""
        for one in self.evils:
            one.check_signed()
        self.assertEqual(self.evidence(self.honest.origin), [])
        for item in self.evidence():
            self.assert_proved(item)

    # -- answers --

    def assert_status(self, answer, status, why=None):
        self.assertIsNotNone(answer, why)
        self.assertEqual(answer.status, status, (answer, why))
        return answer

    def assert_stale(self, answer, size):
        self.assert_status(answer, 409)
        self.assertEqual(answer.headers["content-type"], "text/x.tlog.size")
        self.assertEqual(answer.body, b"%d\n" % size)

    def tell(self, status, *request, **more):
        return self.assert_status(self.evil.tell(*request, **more), status, request[1:])

    def metric(self, name):
        for line in self.w.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise AssertionError(f"no metric {name}")

    # -- evidence --

    def evidence(self, origin=None):
        """What is listed, with the files."""
        items = json.loads(self.w.get("/evidence").body)
        items = [item for item in items if origin in (None, item["origin"])]
        for item in items:
            item["file"] = self.assert_status(self.w.get(item["path"]), 200).body
        return items

    def verify_fork(self, content, policy=None):
        path = self.file("evidence-to-verify", content)
        done = courtroll("verify-evidence", path, "--policy", policy or self.policy)
        return done.returncode, done.stdout + done.stderr

    def assert_proved(self, item):
        code, words = self.verify_fork(item["file"])
        self.assertEqual(code, 0, words)
        self.assertRegex(words, r"\AFORK  the holder of key " + item["origin"] + r"\+[0-9a-f]{8} signed both\n")
        self.assertIn(item["origin"], [one.origin for one in self.evils])

    def assert_refused(self, content):
        code, words = self.verify_fork(content)
        self.assertEqual(code, 1, words)
        self.assertRegex(words, r"\A(NOT PROVED|BAD SIGNATURE|UNKNOWN LOG|MALFORMED)\n")

    def assert_on_record(self, *notes):
        """One file holds all of these notes."""
        files = [item["file"].decode() for item in self.evidence()]
        found = any(all(note in file for note in notes) for file in files)
        self.assertTrue(found, f"none of {len(files)} files has {[note[:100] for note in notes]}")

    def sizes(self):
        return sorted(item["sizes"] for item in self.evidence(self.evil.origin))
