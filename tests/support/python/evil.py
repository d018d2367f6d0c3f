"""A log that has its key and no scruples, and an honest one beside it.

    evil = Evil(witness, "log.example/evil", 8)      # its one tree, which the witness sees first
    evil.tell(evil.tree, 0, 6)                       # Answer; every answer is remembered
    evil.tell(evil.fork(6), 6, 6)
    evil.check_signed()                              # what was cosigned is all of the one tree

    with HonestLog(witness, tree) as honest: ...     # asks all the while; then honest.check()

All of 127.0.0.0/8 is ours, so that each may come from an address of its own.
"""
import http.client
import socket
import threading
import time

import tlog
from raw_http import Raw

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
            assert size == max(size for size, _, _ in signed), (size, "is shown and was not told")
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
    """Sends all that is taken, then what was answered: None, the status, or "closed"."""
    try:
        for at in range(0, len(data), chunk):
            connection.sendall(data[at : at + chunk])
    except OSError:
        pass
    return read_status(connection)


def read_status(connection):
    """Of an answer, or "closed"."""
    try:
        response = http.client.HTTPResponse(connection)
        response.begin()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return "closed"


class Trickle:
    """Many connections on which a byte comes now and then."""

    def __init__(self, witness, data, count, source=EVIL_ADDRESS):
        """`data`: the bytes of a request; `begun` of them come at once."""
        self.connections = [connect(witness, source) for _ in range(count)]
        self.data = data
        self.at = 0

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
