"""Many keep-alive connections that ask at once, and a record of what was asked and answered when.

    with Swarm(witness.http, 64) as swarm:
        for x in swarm.run(lambda i, last: asks.pop() if asks else None):
            x.ask, x.answer      # None when the connection was lost: it may have taken effect or not

One thread drives them all: every connection has a request on its way all the time, and the order of
sending and receiving is known exactly, which threads could not say.
"""
import itertools
import selectors
import socket

from raw_http import Answer


class Exchange:
    """`sent` and `received` number all events of a swarm, in their order."""

    __slots__ = ("ask", "sent", "received", "answer")

    def __init__(self, ask, sent):
        self.ask, self.sent = ask, sent
        self.received, self.answer = None, None

    def __repr__(self):
        return f"{self.ask} ({self.sent}..{self.received}) -> {self.answer}"


def parse_answer(data):
    """(Answer, what is behind it), or (None, data) while it is not all there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None, data
    first, *lines = data[:end].decode().split("\r\n")
    headers = {}
    for line in lines:
        name, value = line.split(": ", 1)
        assert name.lower() not in headers, lines
        headers[name.lower()] = value
    end += 4 + int(headers["content-length"])
    if len(data) < end:
        return None, data
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    body = data[end - int(headers["content-length"]) : end]
    return Answer(int(status), headers, body), data[end:]


class _Connection:
    def __init__(self, number, address, source, timeout):
        host, port = address.rsplit(":", 1)
        self.number = number
        self.socket = socket.create_connection((host, int(port)), timeout, source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""
        self.exchange = None  # that on its way
        self.is_lost = False


class Swarm:
    """`source`: the address to come from; all of 127.0.0.0/8 is ours."""

    def __init__(self, address, count, source=None, timeout=30):
        self.timeout = timeout
        self._clock = itertools.count(1)
        self._selector = selectors.DefaultSelector()
        self.connections = []
        for i in range(count):
            connection = _Connection(i, address, (source, 0) if source else None, timeout)
            self.connections.append(connection)
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._selector.close()
        for connection in self.connections:
            connection.socket.close()

    def run(self, next_ask):
        """next_ask(number of the connection, its last exchange or None) is an object whose `request`
        is bytes, or None when that connection is done. Returns the exchanges, in the order of sending."""
        done, busy = [], 0
        for connection in self.connections:
            busy += self._send(connection, next_ask, None, done)
        while busy > 0:
            ready = self._selector.select(self.timeout)
            assert ready, f"no answer in {self.timeout} s to {busy} requests"
            for key, _ in ready:
                last = self._receive(key.data)
                if last is not None:
                    busy += self._send(key.data, next_ask, last, done) - 1
        return done

    def _send(self, connection, next_ask, last, done):
        """How many are on their way now: 0 or 1."""
        ask = None if connection.is_lost else next_ask(connection.number, last)
        if ask is None:
            return 0
        exchange = Exchange(ask, next(self._clock))
        done.append(exchange)
        try:
            connection.socket.sendall(ask.request)
        except OSError:
            self._lose(connection)
            return 0
        connection.exchange = exchange
        return 1

    def _lose(self, connection):
        connection.is_lost = True
        self._selector.unregister(connection.socket)

    def _receive(self, connection):
        """The exchange that has ended, one way or the other; None while it has not."""
        try:
            data = connection.socket.recv(65536)
        except OSError:
            data = b""
        exchange = connection.exchange
        if data == b"":
            self._lose(connection)
        else:
            assert exchange is not None, "an answer that nobody asked for"
            exchange.answer, connection.data = parse_answer(connection.data + data)
            if exchange.answer is None:
                return None
            assert connection.data == b"", "more than one answer"
            exchange.received = next(self._clock)
        connection.exchange = None
        return exchange
