"""HTTP/1.1 byte by byte, for what http.client would not send or would hide."""
import socket
from collections import namedtuple

Answer = namedtuple("Answer", "status headers body")


class Raw:
    """One connection. `with Raw("127.0.0.1:80") as raw:`. `source`: the address to come from."""

    def __init__(self, address, timeout=20, source=None):
        host, port = address.rsplit(":", 1)
        from_there = (source, 0) if source else None
        self.socket = socket.create_connection((host, int(port)), timeout, from_there)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def answer(self, has_body=True):
        """The next answer, its header names in lower case; None when the peer has closed."""
        line = self.file.readline()
        if line == b"":
            return None
        version, status, _ = line.split(b" ", 2)
        assert version == b"HTTP/1.1" and line.endswith(b"\r\n"), line
        headers = {}
        while True:
            line = self.file.readline()
            if line == b"\r\n":
                break
            assert line.endswith(b"\r\n") and b": " in line, line
            name, value = line[:-2].split(b": ", 1)
            name = name.decode().lower()
            assert name not in headers, line
            headers[name] = value.decode()
        if int(status) == 100:
            return Answer(100, headers, b"")
        length = int(headers["content-length"]) if has_body else 0
        body = self.file.read(length)
        assert len(body) == length, "the answer was cut short"
        return Answer(int(status), headers, body)

    def is_closed(self):
        """Whether the peer sends nothing more and closes; waits for that."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


def get(path, *headers, method=b"GET"):
    """The bytes of a request; path and headers are bytes."""
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: log.example", *headers, b"", b""]
    return b"\r\n".join(lines)


def once(address, data, has_body=True):
    """One request on a connection of its own."""
    with Raw(address) as raw:
        raw.send(data)
        return raw.answer(has_body)
