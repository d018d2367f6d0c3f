"""A second opinion: logs, keys, notes and proofs from the specifications alone.

Written from RFC 6962, RFC 8032 and the C2SP documents with nothing but the standard library, so that
the tests do not compare our code with itself. Slow (about a millisecond a signature), which is fine.
"""
import base64
import functools
import hashlib
import os

# -- Ed25519, RFC 8032 section 5.1 --

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


@functools.lru_cache(maxsize=64)
def _multiples(p):
    """For each power of 16 its product with p, times 0 to 15."""
    rows = []
    for _ in range(64):
        row = [(0, 1, 1, 0)]
        for _ in range(15):
            row.append(_add(row[-1], p))
        rows.append(row)
        p = _add(row[-1], p)
    return rows


def _mul(s, p):
    q = (0, 1, 1, 0)
    for row in _multiples(p):
        if s & 15:
            q = _add(q, row[s & 15])
        s >>= 4
    return q


def _base():
    y = 4 * pow(5, P - 2, P) % P
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P != 0:
        x = x * SQRT_M1 % P
    if x & 1:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = _base()


def _compress(p):
    inverse = pow(p[2], -1, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _expand(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little")
    a &= (1 << 254) - 8
    a |= 1 << 254
    return a, h[32:]


@functools.lru_cache(maxsize=64)
def ed25519_public(seed):
    return _compress(_mul(_expand(seed)[0], BASE))


def ed25519_sign(seed, message):
    a, prefix = _expand(seed)
    public = ed25519_public(seed)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    big_r = _compress(_mul(r, BASE))
    h = int.from_bytes(hashlib.sha512(big_r + public + message).digest(), "little") % L
    return big_r + ((r + h * a) % L).to_bytes(32, "little")


def _decompress(data):
    """The point, or None."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P != 0:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def ed25519_verify(public, message, signature):
    a, s = _decompress(public), int.from_bytes(signature[32:], "little")
    if a is None or len(signature) != 64 or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus_a = (P - a[0], a[1], 1, P - a[3])
    return _compress(_add(_mul(s, BASE), _mul(h, minus_a))) == signature[:32]


# -- C2SP signed-note, tlog-cosignature --

ED25519, COSIGNATURE = 1, 4


def b64(data):
    return base64.b64encode(data).decode()


class Key:
    def __init__(self, name, kind, seed=None):
        self.name, self.kind = name, kind
        self.seed = seed or hashlib.sha256(name.encode()).digest()
        self.public = bytes([kind]) + ed25519_public(self.seed)
        self.id = hashlib.sha256(name.encode() + b"\n" + self.public).digest()[:4]

    @classmethod
    def from_file(cls, path):
        with open(path, encoding="utf-8") as file:
            private, key, name, key_id, rest = file.read().strip().split("+", 4)
        assert (private, key) == ("PRIVATE", "KEY")
        data = base64.b64decode(rest)
        made = cls(name, data[0], data[1:])
        assert made.id.hex() == key_id
        return made

    def skey(self):
        data = b64(self.public[:1] + self.seed)
        return f"PRIVATE+KEY+{self.name}+{self.id.hex()}+{data}"

    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{b64(self.public)}"

    def line(self, text, time=0):
        message = text.encode()
        if self.kind == COSIGNATURE:
            message = f"cosignature/v1\ntime {time}\n".encode() + message
            signature = time.to_bytes(8, "big") + ed25519_sign(self.seed, message)
        else:
            signature = ed25519_sign(self.seed, message)
        return f"\u2014 {self.name} {b64(self.id + signature)}\n"

    def verify_line(self, text, line):
        """Whether the line is this key's over the text: its time (0 of a log's key), or None."""
        mark, name, blob = line.rstrip("\n").split(" ")
        blob = base64.b64decode(blob, validate=True)
        if mark != "\u2014" or name != self.name or blob[:4] != self.id:
            return None
        time, message, signature = 0, text.encode(), blob[4:]
        if self.kind == COSIGNATURE:
            time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = f"cosignature/v1\ntime {time}\n".encode() + message
        return time if ed25519_verify(self.public[1:], message, signature) else None


# -- RFC 6962 section 2.1 --


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def root(hashes):
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return node_hash(root(hashes[:k]), root(hashes[k:]))


def inclusion(index, hashes):
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if index < k:
        return inclusion(index, hashes[:k]) + [root(hashes[k:])]
    return inclusion(index - k, hashes[k:]) + [root(hashes[:k])]


def consistency(old, hashes):
    """Proof that the tree of `old` hashes is a prefix of all of them (RFC 6962 section 2.1.2)."""

    def subproof(m, part, is_whole):
        if m == len(part):
            return [] if is_whole else [root(part)]
        k = split(len(part))
        if m <= k:
            return subproof(m, part[:k], is_whole) + [root(part[k:])]
        return subproof(m - k, part[k:], False) + [root(part[:k])]

    return subproof(old, hashes, True) if old > 0 else []


# -- C2SP tlog-witness --


def checkpoint_text(origin, size, root_hash, extension=""):
    return f"{origin}\n{size}\n{b64(root_hash)}\n{extension}"


def signed(text, *keys, time=0):
    """A note: the text with a line of each key."""
    return text + "\n" + "".join(key.line(text, time) for key in keys)


def add_checkpoint(old, proof, note):
    """The body of a request; `proof` is hashes, `note` is text."""
    return f"old {old}\n{''.join(b64(h) + chr(10) for h in proof)}\n{note}".encode()


# -- C2SP tlog-tiles, tlog-checkpoint, tlog-proof, tlog-policy --


def tile_path(kind, index, width):
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03}")
    path = f"tile/{kind}/" + "/".join(groups)
    return path if width == 256 else f"{path}.p/{width}"


class Log:
    """`size` entries, one log key, three witnesses."""

    def __init__(self, size, origin="log.example/test"):
        self.key = Key(origin, ED25519)
        self.witnesses = [Key(f"w{i}.example", COSIGNATURE) for i in (1, 2, 3)]
        self.entries = [f"entry number {i}\n".encode() * (i % 5) for i in range(size)]
        self.leaves = [leaf_hash(entry) for entry in self.entries]

    def text(self):
        return f"{self.key.name}\n{len(self.entries)}\n{b64(root(self.leaves))}\n"

    def note(self, times=(1790000001, 1790000002, 1790000003)):
        """`times`: of the witnesses, None for one that did not sign."""
        text = self.text()
        lines = [self.key.line(text)]
        lines += [w.line(text, t) for w, t in zip(self.witnesses, times) if t is not None]
        return text + "\n" + "".join(lines)

    def proof(self, index, note=None):
        hashes = "".join(b64(h) + "\n" for h in inclusion(index, self.leaves))
        note = self.note() if note is None else note
        return f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n{note}"

    def policy(self, k=2, url=None):
        lines = [f"log {self.key.vkey()}" + (f" {url}" if url else "")]
        for i, witness in enumerate(self.witnesses):
            lines.append(f"witness w{i + 1} {witness.vkey()}")
        lines += [f"group g {k} w1 w2 w3", "quorum g"] if k > 0 else ["quorum none"]
        return "\n".join(lines) + "\n"

    def write(self, directory):
        """The whole log as files; returns their paths, relative."""
        files = {"checkpoint": self.note().encode()}
        for first in range(0, len(self.entries), 256):
            part = self.entries[first : first + 256]
            data = b"".join(len(e).to_bytes(2, "big") + e for e in part)
            files[tile_path("entries", first // 256, len(part))] = data
        level, hashes = 0, self.leaves
        while hashes:
            for first in range(0, len(hashes), 256):
                part = hashes[first : first + 256]
                files[tile_path(level, first // 256, len(part))] = b"".join(part)
            full = len(hashes) // 256
            hashes = [root(hashes[256 * i : 256 * i + 256]) for i in range(full)]
            level += 1
        for path, data in files.items():
            path = os.path.join(directory, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        return sorted(files)
