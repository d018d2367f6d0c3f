#!/usr/bin/env python3
"""Makes a screenshot small enough for a repository: shrink.py IN.png OUT.png [ROWS]

Keeps the first ROWS rows, and the 256 colours that are most frequent when each channel has 5 bits.
Reads PNG files of 8 bits a channel, RGB or RGBA, as browsers write them.
"""
import collections
import struct
import sys
import zlib


def read(path):
    """(width, rows of RGB bytes)"""
    with open(path, "rb") as file:
        data = file.read()
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IHDR":
            width, _, depth, colour, _, _, interlace = struct.unpack_from(">IIBBBBB", data, at + 8)
        elif kind == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += size + 12
    if depth != 8 or colour not in (2, 6) or interlace:
        raise SystemExit(f"{path}: not 8 bits of RGB or RGBA")
    step = 3 if colour == 2 else 4
    raw, stride, rows, above = zlib.decompress(packed), width * step, [], bytes(width * step)
    for start in range(0, len(raw), stride + 1):
        row = bytearray(raw[start + 1 : start + 1 + stride])
        unfilter(raw[start], row, above, step)
        above = bytes(row)
        rows.append(row if step == 3 else b"".join(row[i : i + 3] for i in range(0, stride, 4)))
    return width, rows


def unfilter(kind, row, above, step):
    for i in range(len(row)):
        left, up, corner = (row[i - step] if i >= step else 0), above[i], (above[i - step] if i >= step else 0)
        if kind == 1:
            row[i] = (row[i] + left) & 255
        elif kind == 2:
            row[i] = (row[i] + up) & 255
        elif kind == 3:
            row[i] = (row[i] + (left + up) // 2) & 255
        elif kind == 4:
            guess = left + up - corner
            distances = (abs(guess - left), abs(guess - up), abs(guess - corner))
            row[i] = (row[i] + (left, up, corner)[distances.index(min(distances))]) & 255


def write(path, width, rows):
    # The first colour met stands for all that share its 15 bits, so a plain background stays exact.
    first, counts = {}, collections.Counter()
    cells = [[(row[i] >> 3, row[i + 1] >> 3, row[i + 2] >> 3) for i in range(0, width * 3, 3)] for row in rows]
    for row, names in zip(rows, cells):
        counts.update(names)
        for i, name in enumerate(names):
            first.setdefault(name, bytes(row[3 * i : 3 * i + 3]))
    kept = [name for name, _ in counts.most_common(256)]
    place = {name: i for i, name in enumerate(kept)}
    for name in counts:
        if name not in place:
            place[name] = min(range(len(kept)), key=lambda i: sum((a - b) ** 2 for a, b in zip(kept[i], name)))
    packed = zlib.compress(b"".join(b"\0" + bytes(place[name] for name in names) for names in cells), 9)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), 8, 3, 0, 0, 0)))
        file.write(chunk(b"PLTE", b"".join(first[name] for name in kept)) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def main():
    width, rows = read(sys.argv[1])
    write(sys.argv[2], width, rows[: int(sys.argv[3])] if len(sys.argv) > 3 else rows)


if __name__ == "__main__":
    main()
