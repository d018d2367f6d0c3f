"""gRPC by hand over a plain socket: RFC 9113 and 7541, as much as a peer that never reads needs."""
import socket
import struct

DATA, HEADERS, SETTINGS, WINDOW_UPDATE = 0, 1, 4, 8
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW = 4  # a setting
WINDOW_MAX, WINDOW_DEFAULT = 2**31 - 1, 65535
POST_HTTP_PATH = b"\x83\x86\x04"  # of HPACK's static table; the path follows
EMPTY_MESSAGE = b"\0" * 5


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value):
    return bytes([len(value)]) + value


def header(name, value):
    return b"\0" + text(name) + text(value)


def call(stream, path):
    """A call with an empty message."""
    headers = POST_HTTP_PATH + text(path.encode()) + header(b":authority", b"test")
    headers += header(b"content-type", b"application/grpc") + header(b"te", b"trailers")
    return frame(HEADERS, END_HEADERS, stream, headers) + frame(DATA, END_STREAM, stream, EMPTY_MESSAGE)


def ask_without_reading(address, path, count):
    """A connection with `count` calls on it, whose answers only TCP holds back."""
    host, port = address.split(":")
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    peer.connect((host, int(port)))
    peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    peer.sendall(frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW, WINDOW_MAX)))
    peer.sendall(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW_MAX - WINDOW_DEFAULT)))
    for i in range(count):
        peer.sendall(call(2 * i + 1, path))
    return peer
