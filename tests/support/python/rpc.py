"""Log over gRPC with hand-made messages: python3-grpcio, and no generated code.

Importing it raises ImportError where the package is missing.
"""
from collections import namedtuple

import grpc

APPEND = "/courtroll.v1.Log/Append"
HEALTH = "/grpc.health.v1.Health/Check"

Appended = namedtuple("Appended", "index leaf_hash duplicate proof")


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """bytes as a length-delimited field, an int as a varint."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """[(number, value), ...]"""
    found, at = [], 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, at = message[at : at + value], at + value
        else:
            assert tag & 7 == 0, tag
        found.append((tag >> 3, value))
    return found


def append_request(entries, witnessed=False, promise=False):
    out = b"".join(field(1, entry) for entry in entries)
    return out + (field(2, 1) if witnessed else b"") + (field(3, 1) if promise else b"")


def append_reply(message):
    """[Appended, ...]"""
    out = []
    for number, value in fields(message):
        if number == 1:
            one = dict(fields(value))
            out.append(
                Appended(one.get(1, 0), one.get(2, b""), bool(one.get(3, 0)), one.get(4, b""))
            )
    return out


class Rpc:
    """A channel. A failed call raises grpc.RpcError: .code(), .details()."""

    def __init__(self, address):
        # Messages over the server's limit must get out, and no retry may hide a refusal.
        options = [("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
        self.channel = grpc.insecure_channel(address, options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def method(self, path):
        return self.channel.unary_unary(path)

    def call(self, path, message, timeout=20):
        return self.method(path)(message, timeout=timeout)

    def append(self, *entries, timeout=20):
        return append_reply(self.call(APPEND, append_request(entries), timeout))

    def append_later(self, entries, timeout=30):
        """A future of the reply's bytes."""
        return self.method(APPEND).future(append_request(entries), timeout=timeout)

    def is_serving(self):
        """What the health service says."""
        return dict(fields(self.call(HEALTH, b""))).get(1) == 1
