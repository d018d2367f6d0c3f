#!/usr/bin/python3
# Takes long.
"""The verification page in Debian's Chromium: every answer, in both languages, offline too; what it asks its server, and
what it never tells; keyboard, screen reader, phone, dark. tests/page/verify.mjs has the claims, and here are the log,
its honest and dishonest servers, and the files that people drop.

Screenshots are left in build/screenshots. COURTROLL_LONG=1 hashes a file of 2 GB, otherwise one of 64 MB.
COURTROLL_BIN names the directory of the built programs.
"""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/support/python"))
import record_check as check  # noqa: E402
import record_make as make  # noqa: E402
import tlog  # noqa: E402
from page_server import PageServer  # noqa: E402

BIN = os.environ["COURTROLL_BIN"]
BUILD = os.path.dirname(os.path.abspath(BIN))
WEB = os.path.join(BUILD, "web")
MODULES = os.environ.get("COURTROLL_PAGE_MODULES", os.path.join(ROOT, "build/page"))
SCREENSHOTS = os.path.join(BUILD, "screenshots")
IS_LONG = os.environ.get("COURTROLL_LONG") == "1"
LARGE_BYTES = 2 * 1024**3 if IS_LONG else 64 * 1024**2
TIMES = (1790000001, 1790000002, 1790000003)

with open(os.path.join(ROOT, "tests/vectors/record.json"), encoding="utf-8") as vectors_file:
    VECTORS = json.load(vectors_file)
DRAFTS = {one["name"]: json.loads(one["draft"]) for one in VECTORS["records"]}


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class Paper:
    """A record that commits to a document."""

    def __init__(self, world, digest, number):
        draft = {**DRAFTS["frozen"], "document": digest.hex()}
        self.record = make.Record(world.ORIGIN, world.key, world.submitter, number, draft).seal()
        self.index = world.append(self.record.bytes)
        self.salt = self.record.document_salt

    def disclosure(self, world):
        return check.canonical(self.record.disclosure(proof=world.log.proof(self.index), registration=world.registration()))


class World:
    """The log, its files, and what people hold of it."""

    ORIGIN = "log.example/a"

    def __init__(self, directory):
        self.dir = directory
        self.log = tlog.Log(700, self.ORIGIN)
        self.key = bytes.fromhex(VECTORS["case_key"]["key"])
        self.submitter = make.Submitter(bytes.fromhex(VECTORS["submitter"]["seed"]))
        self.registered = self.append(self.submitter.registration(self.ORIGIN))
        self.order, self.empty = self.append(b"freeze order no. 1\n"), self.append(b"")
        self.paper = Paper(self, check.sha256(b"the paper\n"), 0)
        self.large = Paper(self, self.write_large(), 1)
        for i in range(30):
            self.append(b"more %d" % i)
        self.policy = self.log.policy(2)
        self.tiles = self.public_files()

    def append(self, entry):
        self.log.entries.append(entry)
        self.log.leaves.append(tlog.leaf_hash(entry))
        return len(self.log.leaves) - 1

    def registration(self):
        return self.log.entries[self.registered], self.log.proof(self.registered)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def write_large(self):
        """Mostly a hole; its SHA-256."""
        with open(self.path("large.bin"), "wb") as file:
            file.write(b"evidence")
            file.seek(LARGE_BYTES - 3)
            file.write(b"end")
        digest = hashlib.sha256()
        with open(self.path("large.bin"), "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return digest.digest()

    def public_files(self):
        """{path: bytes} as the log serves them, with some of its archive."""
        directory = self.path("log")
        found = {}
        for name in self.log.write(directory):
            with open(os.path.join(directory, name) if not os.path.isabs(name) else name, "rb") as file:
                found["/" + os.path.relpath(file.name, directory)] = file.read()
        size = len(self.log.leaves)
        for i in range(24):
            after = size * i // 24
            found[f"/archive/after/{after}"] = self.note_of(size if after >= 600 else after // 150 * 150 + 150)
        return found

    def note_of(self, size):
        older = object.__new__(tlog.Log)
        older.key, older.witnesses = self.log.key, self.log.witnesses
        older.entries, older.leaves = self.log.entries[:size], self.log.leaves[:size]
        return older.note([time - 100000 + 137 * size for time in TIMES]).encode()

    def log_id(self):
        return base64url(hashlib.sha256(self.ORIGIN.encode()).digest()[:16])

    def code(self, index, salt):
        return f"c1.{self.log_id()}.{index}.{base64url(salt) if salt else ''}"

    def certificate(self):
        """As docs/certificate.md has it, without a page worth reading."""
        order = self.log.entries[self.order]
        fields = [
            ("template", b"1"), ("program", b"courtroll 0"), ("executable", b"0" * 64),
            ("document-sha256", check.sha256(order).hex().encode()), ("document-bytes", b"%d" % len(order)),
            ("policy", self.policy.encode()), ("proof", self.log.proof(self.order).encode()),
            ("leaf-hash", tlog.leaf_hash(order).hex().encode()),
        ]  # fmt: skip
        data = b"courtroll certificate v1\n" + b"".join(b"%s %d\n%s\n" % (name.encode(), len(value), value) for name, value in fields)
        text = base64.b64encode(data).decode()
        lines = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
        return f'<!DOCTYPE html>\n<html lang="en"><title>x</title>\n<pre id="certificate-data">\n{lines}\n</pre>\n</html>\n'

    def files(self):
        """What people drop on the page."""
        order, proof = self.log.entries[self.order], self.log.proof(self.order)
        policy, none = self.policy, self.log.policy(0)
        other = tlog.Log(1, "log.example/other").policy(2)
        few = self.log.proof(self.order, self.log.note((TIMES[0], None, None)))
        signature = proof.index("\u2014 " + self.ORIGIN) + len(self.ORIGIN) + 20
        return {
            "order": self.write("order.txt", order),
            "flipped": self.write("flipped.txt", flipped(order, 3)),
            "empty": self.write("empty.txt", b""),
            "paper": self.write("paper.txt", b"the paper\n"),
            "large": self.path("large.bin"),
            "proof": self.write("order.tlog-proof", proof),
            "emptyProof": self.write("empty.tlog-proof", self.log.proof(self.empty)),
            "fewProof": self.write("few.tlog-proof", few),
            "forgedProof": self.write("forged.tlog-proof", proof[:signature] + ("B" if proof[signature] != "B" else "C") + proof[signature + 1 :]),
            "brokenProof": self.write("broken.tlog-proof", proof.replace("index ", "index 0")),
            "disclosure": self.write("paper.disclosure", self.paper.disclosure(self)),
            "largeDisclosure": self.write("large.disclosure", self.large.disclosure(self)),
            "policy": self.write("court.policy", policy),
            "nonePolicy": self.write("none.policy", none),
            "otherPolicy": self.write("other.policy", other),
            "certificate": self.write("certificate.html", self.certificate()),
        }  # fmt: skip

    def codes(self):
        return {
            "paper": self.code(self.paper.index, self.paper.salt),
            "order": self.code(self.order, b""),
            "wrongSalt": self.code(self.paper.index, bytes(16)),
            "absent": self.code(len(self.log.leaves) + 5, self.paper.salt),
        }


def context_of(world, server, policy=True, tiles="/", alerts=None, checked=False):
    return {
        "page_sha256": "0" * 64, "server": server, "name": f"{server}.example/1", "version": "0", "time": TIMES[0],
        "logs": [{
            "origin": world.ORIGIN, "log_id": world.log_id(),
            "policy_sha256": hashlib.sha256(world.policy.encode()).hexdigest() if policy else None,
            "policy": world.policy if policy else None, "policy_from": server, "tiles": tiles,
            "size": len(world.log.leaves), "alerts": alerts, "alerts_checked": checked,
        }],
    }  # fmt: skip


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.world = World(cls.dir)
        cls.servers = {}
        cls.start_servers()

    @classmethod
    def serve(cls, name, context, files):
        cls.servers[name] = PageServer(WEB, context, files)
        cls.addClassCleanup(cls.servers[name].close)

    @classmethod
    def start_servers(cls):
        world, tiles = cls.world, cls.world.tiles
        origin = hashlib.sha256(world.ORIGIN.encode()).hexdigest()
        relayed = {f"/logs/{origin}{path}": data for path, data in tiles.items()}
        at = f"/logs/{origin}/"
        alert = {"id": "1", "code": "fork", "severity": "critical", "state": "open", "summary": "two histories"}
        cls.serve("log", context_of(world, "log"), tiles)
        cls.serve("witness", context_of(world, "witness", policy=False, tiles=None), {})
        cls.serve("monitor", context_of(world, "monitor", tiles=at, alerts=[], checked=True), relayed)
        cls.serve("blind", context_of(world, "monitor", tiles=at, alerts=[], checked=False), relayed)
        cls.serve("boastful", context_of(world, "log", alerts=[], checked=True), tiles)
        cls.serve("alerted", context_of(world, "monitor", tiles=at, alerts=[alert], checked=True), relayed)
        for name, files in cls.evil().items():
            cls.serve(name, context_of(world, "log"), files)

    @classmethod
    def evil(cls):
        """Servers of other bytes: of the entry, of its bundle's length, of a hash on its way, of the note."""
        tiles, record = cls.world.tiles, cls.world.paper.record.bytes
        bundle = next(path for path, data in tiles.items() if path.startswith("/tile/entries/") and record in data)
        hashes = bundle.replace("entries", "0")
        parent = next(path for path in tiles if path.startswith("/tile/1/"))
        place = tiles[bundle].index(record)
        other = tiles[bundle].replace(record, flipped(record, 40))
        note = tiles["/checkpoint"].decode()
        line = note.index("\u2014 ") + len(cls.world.ORIGIN) + 20
        return {
            "evilEntry": {**tiles, bundle: other},
            "evilLength": {**tiles, bundle: tiles[bundle][: place + 4]},
            "evilHash": {**tiles, hashes: flipped(tiles[hashes], 33)},
            "evilParent": {**tiles, parent: flipped(tiles[parent], 1)},
            "evilNote": {**tiles, "/checkpoint": (note[:line] + ("B" if note[line] != "B" else "C") + note[line + 1 :]).encode()},
        }  # fmt: skip

    def fixtures(self):
        world, codes = self.world, self.world.codes()
        shutil.copy(os.path.join(WEB, "verify.html"), world.path("saved page.html"))
        secrets = [codes["paper"], base64url(world.paper.salt), world.paper.salt.hex(), check.sha256(b"the paper\n").hex()]
        urls = {name: server.url for name, server in self.servers.items()}
        urls["insecure"] = f"http://insecure.example:{self.servers['log'].port}"
        return {
            "chromium": shutil.which("chromium"), "modules": os.path.join(MODULES, "node_modules"),
            "screenshots": SCREENSHOTS, "pageFile": "file://" + world.path("saved page.html").replace(" ", "%20"),
            "files": world.files(), "codes": codes, "urls": urls, "secrets": secrets,
            "evil": ["evilEntry", "evilLength", "evilHash", "evilParent", "evilNote"],
            "policySha256": hashlib.sha256(world.policy.encode()).hexdigest(),
            "depositNumber": f"{world.log_id()}-{world.order}", "root": tlog.b64(tlog.root(world.log.leaves)),
            "timeoutMs": 180000 if IS_LONG else 15000, "recordIndex": world.paper.index, "size": len(world.log.leaves),
        }  # fmt: skip

    def test_every_claim_about_the_page_holds(self):
        if not IS_LONG:
            print("a file of 64 MB; COURTROLL_LONG=1 for 2 GB", end=" ")
        path = self.world.write("fixtures.json", json.dumps(self.fixtures()))
        line = ["setpriv", "--pdeathsig", "KILL", "--", "node", os.path.join(ROOT, "tests/page/verify.mjs"), path]
        only = [os.environ["COURTROLL_CLAIM"]] if "COURTROLL_CLAIM" in os.environ else []
        done = subprocess.run([*line, *only], capture_output=True, text=True, check=False, env={**os.environ, "HOME": self.dir},
                              timeout=3600 if IS_LONG else 400)  # fmt: skip
        said = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
        self.assertTrue(said, done.stderr)
        for one in said:
            with self.subTest(one["claim"]):
                print(f"\n  {one['claim']}: {one['ms']} ms", end="")
                self.assertIsNone(one["error"], one["error"])
        self.assertEqual(done.returncode, 0, done.stderr)
        if not only:
            self.check_what_was_asked()

    def check_what_was_asked(self):
        """No server was told a salt, a digest, a code or which entry of a bundle: in no path and no header."""
        secrets = self.fixtures()["secrets"]
        asked = [one for server in self.servers.values() for one in server.asked]
        self.assertGreater(len(asked), 100)
        for path, headers in asked:
            text = path + json.dumps(headers)
            self.assertFalse([secret for secret in secrets if secret in text], text)
            self.assertNotIn("Referer", headers)
            self.assertNotIn("Cookie", headers)
            self.assertRegex(path, r"^/(verify|verify\.json|(logs/[0-9a-f]{64}/)?(checkpoint|tile/(entries|[0-9])/[x0-9/]+(\.p/[0-9]+)?|archive/after/[0-9]+))$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
