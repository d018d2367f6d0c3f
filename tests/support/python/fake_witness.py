"""A witness of a test's own, on a thread: honest by default, or wrong in one of many ways.

    with FakeWitness("w1") as witness:
        witness.url                  # for a policy line
        witness.mode = "hang"        # from the next request on: see MODES
        witness.sizes                # origin hash -> size that it has cosigned

Honest is C2SP tlog-witness as the specification has it, with the slow Ed25519 of tlog.py; it does not
verify the log's signature, which is not what these tests are about.
"""
import base64
import hashlib
import http.server
import socket
import struct
import threading
import time

import tlog

SIZE_TYPE = "text/x.tlog.size"

MODES = (
    "good", "slow", "hang", "garbage", "smaller", "absurd", "claim", "error", "close", "close-mid-body",
    "wrong-key", "hundred-lines", "huge", "redirect", "no-line", "future", "zero-time", "not-http",
    "size-without-type", "other-note",
)  # fmt: skip


def verify_consistency(old, new, old_root, new_root, proof):
    """RFC 9162 section 2.1.4.2, for 0 < old < new."""
    proof = list(proof)
    if old & (old - 1) == 0:
        proof.insert(0, old_root)
    if not proof:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = tlog.node_hash(c, fr), tlog.node_hash(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = tlog.node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drop(self):
        """Without the polite part of a close."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def do_GET(self):
        witness = self.server.witness
        witness.gets += 1
        if witness.stopped.is_set():  # but its connections are kept alive
            return self.drop()
        if witness.mode in ("hang", "close"):
            return self.misbehave(witness.mode, None)
        if witness.mode == "other-note":
            other = tlog.Log(1000)
            return self.answer(200, other.note().encode())
        with witness.lock:
            note = witness.notes.get(self.path.split("/")[1])
        if not self.path.endswith("/checkpoint") or note is None or not witness.has_get:
            return self.answer(404)
        return self.answer(200, note)

    def do_POST(self):
        witness = self.server.witness
        body = self.rfile.read(int(self.headers["Content-Length"]))
        witness.posts += 1
        if witness.stopped.is_set():
            return self.drop()
        if self.path != "/add-checkpoint":
            return self.answer(404)
        mode = witness.mode
        if mode in ("good", "slow"):
            if mode == "slow":
                time.sleep(witness.slow_s)
            return self.answer(*witness.add_checkpoint(body))
        return self.misbehave(mode, body)

    def misbehave(self, mode, body):
        witness = self.server.witness
        if mode == "hang":
            witness.released.wait(60)
            return self.drop()
        if mode == "close":
            return self.drop()
        if mode == "garbage":
            return self.answer(200, bytes(range(256)) * 4)
        if mode in ("smaller", "absurd"):
            size = b"7\n" if mode == "smaller" else b"9223372036854775807\n"
            return self.answer(409, size, SIZE_TYPE)
        if mode == "size-without-type":
            return self.answer(409, b"3\n", SIZE_TYPE + "; charset=utf-8")
        if mode in ("claim", "other-note"):
            return self.answer(422, b"no\x1b[31m\nevent=forged")
        if mode == "error":
            return self.answer(500, b"x" * 5000)
        if mode == "huge":
            return self.answer(200, b"x" * (1 << 20))
        if mode == "not-http":
            self.wfile.write(b"hello\n")
            return self.drop()
        if mode == "redirect":
            self.send_response(307)
            self.send_header("Location", witness.redirect_to + "/add-checkpoint")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        text = body.partition(b"\n\n")[2].partition(b"\n\n")[0].decode() + "\n"
        lines = witness.wrong_lines(mode, text).encode()
        if mode == "close-mid-body":
            self.send_response(200)
            self.send_header("Content-Length", str(len(lines)))
            self.end_headers()
            self.wfile.write(lines[: len(lines) // 2])
            return self.drop()
        return self.answer(200, lines)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # peers that go away are what we are here for


class FakeWitness:
    def __init__(self, name, is_started=True):
        self.name = name
        self.key = tlog.Key(f"{name}.example", tlog.COSIGNATURE)
        self.mode = "good"
        self.slow_s = 1
        self.has_get = True  # else the monitoring GET is a 404, as with other witness software
        self.redirect_to = ""
        self.sizes, self.notes, self.roots = {}, {}, {}
        self.posts = self.gets = 0
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.released = threading.Event()  # lets those go on who hang
        self.port = 0
        self.server = None
        if is_started:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Again at the same port."""
        self.stopped.clear()
        self.released.clear()
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.witness = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.stopped.set()
        self.released.set()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def policy_line(self, has_url=True):
        return f"witness {self.name} {self.key.vkey()}" + (f" {self.url}/\n" if has_url else "\n")

    def line(self, text, when=None):
        return self.key.line(text, int(time.time()) if when is None else when)

    def wrong_lines(self, mode, text):
        other = tlog.Key(self.key.name, tlog.COSIGNATURE, hashlib.sha256(b"another").digest())
        bad = self.line(text + "other\n")
        if mode == "wrong-key":  # our name and key ID, another signature
            return bad
        if mode == "hundred-lines":
            return other.line(text, 1) * 50 + bad * 50
        if mode == "no-line":
            return other.line(text, 1790000000)
        if mode == "future":
            return self.line(text, int(time.time()) + 3600)
        if mode == "zero-time":
            return self.line(text, 0)
        assert mode == "close-mid-body", mode
        return self.line(text)

    def add_checkpoint(self, body):
        """(status, body, content type), and remembers."""
        head, _, note = body.partition(b"\n\n")
        rows = head.decode().split("\n")
        old = int(rows[0].removeprefix("old "))
        proof = [base64.b64decode(row) for row in rows[1:]]
        text = note.decode().partition("\n\n")[0] + "\n"
        origin, size, root = text.split("\n")[:3]
        size, root = int(size), base64.b64decode(root)
        key = hashlib.sha256(origin.encode()).hexdigest()
        with self.lock:
            held = self.sizes.get(key, 0)
            if old > size:
                return (400,)
            if old != held:
                return 409, b"%d\n" % held, SIZE_TYPE
            if old == size:
                is_ok = not proof and (size == 0 or root == self.roots[key])
            else:
                is_ok = old == 0 and not proof or old > 0 and verify_consistency(
                    old, size, self.roots[key], root, proof
                )
            if not is_ok:
                return (422,)
            line = self.line(text)
            self.sizes[key], self.roots[key] = size, root
            self.notes[key] = note + line.encode()
            return 200, line.encode()

    def size(self):
        """Of the only log that it knows."""
        return max(self.sizes.values(), default=0)


def policy_text(witnesses, quorum, has_url=True):
    """What a policy says behind its log line: `quorum` of these."""
    names = " ".join(witness.name for witness in witnesses)
    lines = "".join(witness.policy_line(has_url) for witness in witnesses)
    return f"{lines}group g {quorum} {names}\nquorum g\n"
