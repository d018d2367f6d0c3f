"""Reads a log by the C2SP documents alone, from anywhere, and believes nothing.

`fetch(path)` gives the bytes of a path such as "tile/0/000", or None for what is not there.
"""
import base64
import hashlib
import os

TILE = 256


def of_directory(directory):
    """A fetch that reads files."""

    def fetch(path):
        try:
            with open(os.path.join(directory, path), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    return fetch


def tile_path(kind, index, width=TILE):
    """kind: a level, or "entries"."""
    path = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        path = f"x{index % 1000:03}/{path}"
    return f"tile/{kind}/{path}" + (f".p/{width}" if width != TILE else "")


def paths_of(size):
    """All paths that a log of that size must have, tiles and bundles."""
    paths, level, hashes = [], 0, size
    while hashes > 0:
        for first in range(0, hashes, TILE):
            width = min(TILE, hashes - first)
            paths.append(tile_path(level, first // TILE, width))
            if level == 0:
                paths.append(tile_path("entries", first // TILE, width))
        hashes //= TILE
        level += 1
    return paths


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def pairwise(hashes):
    """The root of 256 hashes."""
    while len(hashes) > 1:
        hashes = [
            hashlib.sha256(b"\1" + hashes[i] + hashes[i + 1]).digest()
            for i in range(0, len(hashes), 2)
        ]
    return hashes[0]


def root_of(leaves):
    """RFC 6962, by the stack of complete subtrees (protocols: an append-only frontier)."""
    stack = []
    for i, node in enumerate(leaves):
        while i & 1:
            node = hashlib.sha256(b"\1" + stack.pop() + node).digest()
            i >>= 1
        stack.append(node)
    if not stack:
        return hashlib.sha256(b"").digest()
    node = stack.pop()
    while stack:
        node = hashlib.sha256(b"\1" + stack.pop() + node).digest()
    return node


def entries_of(bundle, width):
    entries = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        assert len(bundle) >= 2 + length, "a bundle ends inside an entry"
        entries.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    assert len(entries) == width, f"{len(entries)} entries in a bundle of {width}"
    return entries


def open_note(note, key):
    """(size, root) of a note under `key` (a tlog.Key): Ed25519 has one signature for one text."""
    text, signatures = note.decode().rsplit("\n\n", 1)
    text += "\n"
    assert key.line(text) in signatures.splitlines(True), "no signature by the log's key"
    lines = text.split("\n")
    assert lines[0] == key.name and lines[3:] == [""], text
    assert str(int(lines[1])) == lines[1], lines[1]
    return int(lines[1]), base64.b64decode(lines[2], validate=True)


def read_log(fetch, key):
    """Re-hashes everything below the checkpoint; (size, root, entries), or AssertionError."""
    size, root = open_note(fetch("checkpoint"), key)
    entries = []
    for first in range(0, size, TILE):
        width = min(TILE, size - first)
        bundle = fetch(tile_path("entries", first // TILE, width))
        assert bundle is not None, f"no bundle of entry {first}"
        entries += entries_of(bundle, width)
    leaves = [leaf_hash(entry) for entry in entries]
    assert root_of(leaves) == root, "the entries do not hash to the signed root"
    level, hashes = 0, leaves
    while hashes:
        for first in range(0, len(hashes), TILE):
            part = hashes[first : first + TILE]
            path = tile_path(level, first // TILE, len(part))
            assert fetch(path) == b"".join(part), f"{path} is not what the entries hash to"
        hashes = [
            pairwise(hashes[i : i + TILE]) for i in range(0, len(hashes) // TILE * TILE, TILE)
        ]
        level += 1
    return size, root, entries
