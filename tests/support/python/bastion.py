"""An https-bastion of a test's own (C2SP https-bastion): python3-h2 and python3-openssl.

    authority = Authority(directory)  # certificates.py
    with Bastion(authority) as bastion:
        bastion.allow(key_hash)          # SHA-256 of a backend's raw public key, in hex
        bastion.wait_connected(key_hash)
        bastion.request(key_hash, "POST", "/add-checkpoint", body)     # Response
        bastion.drop(key_hash)

It is a TLS 1.3 server that asks for a client certificate, and then the HTTP/2 client on the same
connection. A thread has each connection; requests may come from any thread. The newest connection of a
key replaces the one before. Importing it raises ImportError where a package is missing.
"""
import hashlib
import http.server
import queue
import select
import socket
import struct
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from OpenSSL import SSL

from logd import Response, wait_until

ALPN = b"bastion/0"
READ_BYTES = 65536


class Stream:
    """A request under way."""

    def __init__(self, headers, body):
        self.headers, self.body = headers, body
        self.sent = 0
        self.status, self.fields, self.answer = None, [], b""
        self.is_reset = False
        self.done = threading.Event()


class Backend:
    """A connection on which the backend serves. Its thread runs `serve`, and nothing else touches it."""

    def __init__(self, ssl, sock, key_hash):
        self.ssl, self.sock, self.key_hash = ssl, sock, key_hash
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        )
        self.streams = {}
        self.orders = queue.SimpleQueue()  # Stream, or a function to call
        self.lock = threading.Lock()  # for who wakes the thread: it may be over
        self.wake_out, self.wake_in = socket.socketpair()
        self.out = b""
        self.is_over = False
        self.is_open = threading.Event()  # the backend has sent its SETTINGS
        self.terminated = None

    def order(self, what):
        self.orders.put(what)
        with self.lock:
            if not self.is_over:
                self.wake_in.send(b"x")

    def serve(self):
        self.h2.initiate_connection()
        self.sock.setblocking(False)
        try:
            while not self.is_over:
                self._take_orders()
                self._send_bodies()
                self._write()
                readers = [self.sock, self.wake_out]
                select.select(readers, [self.sock] if self.out else [], [], 0.5)
                self._read()
        except (SSL.Error, OSError, h2.exceptions.ProtocolError) as error:
            self.terminated = self.terminated or error
        self.is_over = True
        for stream in self.streams.values():
            stream.done.set()
        self.sock.close()
        with self.lock:
            self.wake_out.close()
            self.wake_in.close()

    def _take_orders(self):
        while not self.orders.empty():
            what = self.orders.get()
            if callable(what):
                what()
                continue
            number = self.h2.get_next_available_stream_id()
            self.h2.send_headers(number, what.headers, end_stream=not what.body)
            self.streams[number] = what

    def _send_bodies(self):
        """As far as the backend's windows go."""
        for number, stream in self.streams.items():
            while stream.sent < len(stream.body) and not stream.done.is_set():
                room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
                if room == 0:
                    break
                part = stream.body[stream.sent : stream.sent + room]
                stream.sent += len(part)
                self.h2.send_data(number, part, end_stream=stream.sent == len(stream.body))

    def _write(self):
        self.out += self.h2.data_to_send()
        while self.out:
            try:
                self.out = self.out[self.ssl.send(self.out[:READ_BYTES]) :]
            except SSL.WantWriteError:
                return

    def _read(self):
        if select.select([self.wake_out], [], [], 0)[0]:
            self.wake_out.recv(READ_BYTES)
        try:
            while True:
                data = self.ssl.recv(READ_BYTES)
                for event in self.h2.receive_data(data):
                    self._on(event)
        except SSL.WantReadError:
            pass

    def _on(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self.is_open.set()
        elif isinstance(event, h2.events.ResponseReceived):
            stream.fields = event.headers
            stream.status = int(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.DataReceived):
            stream.answer += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            stream.is_reset = True
            stream.done.set()
        elif isinstance(event, h2.events.StreamEnded):
            stream.done.set()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.terminated = event
            self.is_over = True

    def abort(self):
        """Without the polite part of a close."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_over = True

    def go_away(self):
        self.h2.close_connection(h2.errors.ErrorCodes.NO_ERROR)
        self._write()
        self.is_over = True


class Bastion:
    """See above. `tls_max` and `alpn` are for a bastion that is none."""

    def __init__(self, authority, name="bastion", tls_max=SSL.TLS1_3_VERSION, alpn=ALPN):
        self.context = SSL.Context(SSL.TLS_METHOD)
        self.context.set_max_proto_version(tls_max)
        cert, key = authority.issue(name)
        self.context.use_certificate_file(cert)
        self.context.use_privatekey_file(key)
        # A bastion knows keys, not issuers.
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self.context.set_alpn_select_callback(
            lambda _, offered: alpn if offered == [ALPN] and alpn else SSL.NO_OVERLAPPING_PROTOCOLS
        )
        self.allowed = set()
        self.backends = {}  # by key hash
        self.accepted = 0  # connections that were good
        self.refused = []  # why others were not
        self.lock = threading.Lock()
        self.port = 0
        self.listener = self.front = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return f"localhost:{self.port}"

    # -- The backend's side --

    def start(self):
        """Again at the same port."""
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        if self.front is not None:
            self.front.shutdown()
            self.front.server_close()
            self.front = None
        if self.listener is not None:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        for key_hash in list(self.backends):
            self.drop(key_hash)

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._welcome, args=(sock,), daemon=True).start()

    def _welcome(self, sock):
        """Handshake, who is it, and then its requests."""
        ssl = SSL.Connection(self.context, sock)
        ssl.set_accept_state()
        try:
            ssl.do_handshake()
            key_hash = self._identify(ssl)
        except (SSL.Error, OSError, PermissionError) as error:
            with self.lock:
                self.refused.append(str(error) or repr(error))
            sock.close()
            return
        backend = Backend(ssl, sock, key_hash)
        with self.lock:
            old, self.backends[key_hash] = self.backends.get(key_hash), backend
            self.accepted += 1
        if old is not None:
            old.order(old.go_away)
        backend.serve()
        with self.lock:
            if self.backends.get(key_hash) is backend:
                del self.backends[key_hash]

    def _identify(self, ssl):
        if ssl.get_alpn_proto_negotiated() != ALPN or ssl.get_protocol_version() != 0x304:
            raise PermissionError("not bastion/0 over TLS 1.3")
        key = ssl.get_peer_certificate().get_pubkey().to_cryptography_key()
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise PermissionError("not an Ed25519 key")
        raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        key_hash = hashlib.sha256(raw).hexdigest()
        if key_hash not in self.allowed:
            raise PermissionError(f"unknown key {key_hash}")
        return key_hash

    def allow(self, key_hash):
        self.allowed.add(key_hash)

    def is_connected(self, key_hash):
        backend = self.backends.get(key_hash)
        return backend is not None and not backend.is_over and backend.is_open.is_set()

    def wait_connected(self, key_hash, timeout=20):
        wait_until(lambda: self.is_connected(key_hash), "the backend is connected", timeout, 0.02)
        return self.backends[key_hash]

    def drop(self, key_hash, politely=False):
        backend = self.backends.get(key_hash)
        if backend is not None:
            backend.order(backend.go_away if politely else backend.abort)
            wait_until(lambda: backend.is_over, "the connection is over", pause=0.01)

    # -- The clients' side --

    def request(self, key_hash, method, path, body=None, headers=(), client="203.0.113.7", timeout=20):
        """What a client at that address is answered. None for `client`: the bastion does not say."""
        if key_hash not in self.allowed:
            return Response(421, {}, b"")
        if not self.is_connected(key_hash):
            return Response(503, {}, b"")
        fields = [(":method", method), (":scheme", "https"), (":authority", self.address),
                  (":path", path), *headers]  # fmt: skip
        if client is not None:
            fields.append(("x-forwarded-for", client))
        if body is not None:
            fields.append(("content-length", str(len(body))))
        stream = Stream(fields, body or b"")
        backend = self.backends[key_hash]
        backend.order(stream)
        deadline = time.monotonic() + timeout
        while not stream.done.wait(0.05) and not backend.is_over:
            assert time.monotonic() < deadline, (method, path, "no answer")
        if stream.status is None:
            return Response(502, {}, b"")
        return Response(stream.status, dict(stream.fields), stream.answer)

    def open_front(self):
        """For clients that are programs: plain HTTP; the URL that a key's hash goes behind."""
        bastion = self

        class Front(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                key_hash, _, path = self.path[1:].partition("/")
                body = None
                if self.command == "POST":
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = bastion.request(
                    key_hash, self.command, "/" + path, body, client=self.client_address[0]
                )
                self.send_response(answer.status)
                for name in ("content-type", "content-length"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.end_headers()
                self.wfile.write(answer.body)

            do_POST = do_GET

        self.front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
        self.front.daemon_threads = True
        threading.Thread(target=self.front.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{self.front.server_address[1]}"
