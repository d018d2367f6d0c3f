"""Operation records and a log that takes them: what its gate sees, and nothing that opens them.

    court = Submitter("court-0101.example")
    with OperationLog([court]) as log:
        log.register(court)
        log.rpc(court).append(court.record(0), court.record(1))

Commitments are made up. The certificate of a submitter has its name. Importing it raises ImportError where
python3-grpcio is missing. A log has `unix`, the operator's own way in, and TLS with client certificates.
"""
import hashlib
import json
import os
import signal
import time
import unittest

import grpc

import tlog
from certificates import Authority
from logd import Logd, courtroll
from rpc import APPEND, append_reply, append_request, field

APPEND_STREAM = "/courtroll.v1.Log/AppendStream"
SEALED, UNSEAL, SUBMITTER, SUBMITTER_END, ANCHOR, FREEZE, DOC, SERVED = 1, 2, 3, 4, 5, 32, 130, 147
ENFORCEMENT, SERVICE = 1, 3
ORIGIN = "log.example/operations"
COURT = "测0101"


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def now():
    """Minutes."""
    return int(time.time()) // 60


def court_tag(code):
    return sha256(b"courtroll/court/v1\n", code.encode())[:8]


def with_origin(domain, origin):
    return domain + bytes([len(origin)]) + origin.encode()


def sign(unsigned, seed, origin=ORIGIN):
    message = with_origin(b"courtroll/operation/v1\n", origin) + unsigned
    return unsigned + field(17, tlog.ed25519_sign(seed, message))


def integers(*values):
    """Fields 1, 2 and 3, of which zeros are left out."""
    return b"".join(field(number, value) for number, value in enumerate(values, 1) if value)


def commitments(tag):
    return field(5, tag) + field(6, sha256(b"document", tag)) + field(7, sha256(b"fields", tag))


class Submitter:
    def __init__(self, name, seed=None):
        self.key = tlog.Key(name, tlog.ED25519, seed)
        self.name, self.seed, self.public = name, self.key.seed, self.key.public[1:]
        self.id = sha256(b"courtroll/submitter-key/v1\n", self.public)[:16]

    def tag(self, number, case=b"case"):
        return sha256(case, self.id, number.to_bytes(8, "big"))

    def record(self, number, kind=DOC, court=COURT, minute=None, case=b"case", origin=ORIGIN,
               is_vouched=False, document=b""):
        """An operation of a case; another `document` makes another record with the same tag."""
        tag = self.tag(number, case)
        head = integers(1, kind, now() if minute is None else minute) + field(4, court_tag(court))
        head += field(5, tag) + field(6, sha256(b"document", document)) + field(7, sha256(tag))
        head += field(9, self.id)
        return head + field(11, 1) if is_vouched else sign(head, self.seed, origin)

    def sealed(self, number, case=b"case", origin=ORIGIN):
        """(record, certificate)"""
        tag, seed = self.tag(number, case), sha256(b"one time", number.to_bytes(8, "big"), case)
        key = tlog.ed25519_public(seed)
        entry = sign(integers(1, SEALED) + commitments(tag) + field(10, key), seed, origin)
        message = with_origin(b"courtroll/one-time-key/v1\n", origin) + key + tag
        return entry, self.id + tlog.ed25519_sign(self.seed, message)

    def registration(self, roles=(ENFORCEMENT,), courts=(COURT,), start=1, end=0, name=None, seed=None):
        inner = field(1, self.public) + field(2, (name or self.name).encode())
        inner += b"".join(field(3, tag) for tag in sorted(court_tag(code) for code in courts))
        inner += field(4, bytes(roles)) + field(5, start) + (field(6, end) if end else b"")
        unsigned = integers(1, SUBMITTER, now()) + field(9, self.id) + field(12, inner)
        return sign(unsigned, seed or self.seed)

    def end(self, is_vouched=False, minute=None):
        unsigned = integers(1, SUBMITTER_END, minute or now()) + field(9, self.id)
        return unsigned + field(11, 1) if is_vouched else sign(unsigned, self.seed)


def request(entries, certificates=(), **options):
    return append_request(entries, **options) + b"".join(field(4, one) for one in certificates)


class Channel:
    """A failed call raises grpc.RpcError."""

    def __init__(self, channel):
        self.channel = channel

    def append(self, *entries, certificates=(), timeout=20, **options):
        message = request(entries, certificates, **options)
        return append_reply(self.channel.unary_unary(APPEND)(message, timeout=timeout))

    def stream(self, messages, timeout=30):
        """The replies, as they come."""
        return self.channel.stream_stream(APPEND_STREAM)(iter(messages), timeout=timeout)

    def append_stream(self, messages, timeout=30):
        """([[Appended, ...], ...], code, details)"""
        replies = []
        try:
            for reply in self.stream(messages, timeout):
                replies.append(append_reply(reply))
        except grpc.RpcError as error:
            return replies, error.code(), error.details()
        return replies, grpc.StatusCode.OK, ""

    def refusal(self, *entries, **options):
        """(code, details) of a call that must fail."""
        try:
            self.append(*entries, **options)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError("it was not refused")


class OperationLog(Logd):
    def __init__(self, submitters=(), is_started=True, **settings):
        super().__init__(origin=ORIGIN, is_started=False, **settings)
        self.authority = Authority(self.dir)
        cert, key = self.authority.issue("server")
        self.submitters = os.path.join(self.dir, "submitters")
        self.unix = "unix:" + os.path.join(self.dir, "socket")
        self.enable(*submitters)
        self._channels, self._certificates = {}, {}
        defaults = {
            "schema": "operation", "submitters": self.submitters, "anchor_seconds": 0, "tls_cert": cert,
            "tls_key": key, "tls_client_ca": self.authority.ca,
            "grpc_listen": ["127.0.0.1:0", self.unix],
        }
        self.settings = {**defaults, **self.settings}
        if is_started:
            self.start()

    def start(self, timeout=30, **overrides):
        super().start(timeout, **overrides)
        self.grpc = self.grpc.split(",")[0]
        return self

    def close(self):
        self.close_channels()
        super().close()

    def close_channels(self):
        while self._channels:
            self._channels.popitem()[1].channel.close()

    def enable(self, *submitters):
        """Writes the file."""
        with open(self.submitters, "w", encoding="utf-8") as file:
            file.write("".join(f"submitter {one.key.vkey()}\n" for one in submitters))

    def reload(self, event="submitters_reloaded"):
        """SIGHUP, and waits until the file has been read."""
        before = self.process.text().count(f"event={event}")
        self.process.signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while self.process.text().count(f"event={event}") == before:
            assert time.monotonic() < deadline, self.process.text()
            time.sleep(0.01)

    def certificate(self, name):
        """Files for --tls-cert and --tls-key; `name` None: a certificate without a DNS name."""
        if name not in self._certificates:
            alternatives = "IP:127.0.0.1" if name is None else f"DNS:{name}"
            self._certificates[name] = self.authority.issue(name or "nameless", alternatives)
        return self._certificates[name]

    def rpc(self, who=None):
        """A channel with the certificate of a submitter, or of that name; the Unix socket for None."""
        name = getattr(who, "name", who)
        key = (name, self.grpc)
        if key not in self._channels:
            self._channels[key] = Channel(self._open(name))
        return self._channels[key]

    def _open(self, name):
        options = [("grpc.enable_retries", 0)]
        if name is None:
            return grpc.insecure_channel(self.unix, options)
        cert, key = self.certificate(None if name == "" else name)
        parts = []
        for path in (self.authority.ca, key, cert):
            with open(path, "rb") as file:
                parts.append(file.read())
        return grpc.secure_channel(self.grpc, grpc.ssl_channel_credentials(*parts), options)

    def register(self, submitter, **what):
        """The index."""
        return self.rpc(submitter).append(submitter.registration(**what))[0].index

    def size(self):
        return int(self.facts()["durable_size"])

    def facts(self):
        """What it says of itself."""
        return json.loads(courtroll("status", "--log", self.unix, "--json", code=0).stdout)


class OperationCase(unittest.TestCase):
    """A log of its own each, so that indices are known."""

    def setUp(self):
        self.court = Submitter("court-0101.example")
        self.other = Submitter("court-0102.example")
        self.stranger = Submitter("stranger.example")

    def open(self, *submitters, **settings):
        log = OperationLog(submitters or (self.court, self.other), **settings)
        self.addCleanup(log.close)
        self.addCleanup(self.check_end, log)
        return log

    def check_end(self, log):
        """It still runs, and stops as it should: sanitizers tell what they found."""
        log.close_channels()
        if log.process.popen.poll() is None:
            log.stop()
        self.assertEqual(log.process.popen.returncode, 0, log.process.text())

    def refused(self, channel, code, words, *entries, **options):
        got, details = channel.refusal(*entries, **options)
        self.assertEqual(got, code, details)
        self.assertIn(words, details)
