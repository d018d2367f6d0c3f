#!/usr/bin/python3
"""A reader that this project did not write reads its logs: Go's x/mod/sumdb/{note,tlog}.

tests/interop/go/main.go gives it our URLs. It asserts that our checkpoints verify under our vkey, that
our tiles hash to the signed root, that every entry has its leaf hash, and that inclusion proofs and
proofs of extension of each older checkpoint check; at sizes 1, 255, 256, 257, 600 and 70000, read
from courtroll-logd and from nginx serving the directory. COURTROLL_BIN names the directory of the
built programs. Builds with Debian's golang-go and golang-golang-x-mod-dev; downloads nothing.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

import nginx
from logd import BIN, Logd, courtroll

GO = shutil.which("go")
GOPATH = "/usr/share/gocode"
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../interop/go/main.go")
for what, is_there in (
    ("go", GO is not None),
    ("golang-golang-x-mod-dev", os.path.isdir(GOPATH + "/src/golang.org/x/mod/sumdb/tlog")),
):
    if not is_there:
        print(what, "is not installed")
        sys.exit(77)

SIZES = (1, 255, 256, 257, 600, 70000)


def build(directory):
    """Compiles the reader; the compiler's cache stays beside the built programs."""
    program = os.path.join(directory, "reader")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": directory,
        "GOCACHE": os.path.join(os.path.dirname(os.path.abspath(BIN)), "go-cache"),
        "GO111MODULE": "off",
        "GOPATH": GOPATH,
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOTELEMETRY": "off",
        "CGO_ENABLED": "0",
    }
    done = subprocess.run(
        [GO, "build", "-o", program, SOURCE], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return program


class Go(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.reader = build(cls.dir)
        cls.log = Logd(checkpoint_interval_ms=10)
        cls.addClassCleanup(cls.log.close)

    def read(self, url, notes=(), vkey=None):
        done = subprocess.run(
            [self.reader, url, vkey or self.log.vkey, *notes],
            capture_output=True, check=False, timeout=120, env={"no_proxy": "127.0.0.1"},
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def check(self, url, size, notes):
        code, out, error = self.read(url, notes)
        self.assertEqual(code, 0, error)
        found = json.loads(out)
        self.assertEqual((found["size"], found["consistency"]), (size, len(notes)))
        self.assertGreater(found["inclusion"], 0)
        note = self.log.get("/checkpoint").body
        self.assertEqual(found["root"].encode(), note.split(b"\n")[2])
        return found

    def test_1_go_reads_every_size_from_logd_and_each_extends_all_before(self):
        notes, size = [], 0
        for wanted in SIZES:
            lines = b"".join(b"entry %d of the log, and a few more words\n" % i for i in range(size, wanted))
            courtroll("append", "--log", self.log.grpc, "--lines", "-", stdin=lines, code=0)
            self.assertEqual(self.log.wait_published(wanted), wanted)
            size = wanted
            found = self.check(self.log.url(), size, notes)
            print(f"    {size}: {found}", file=sys.stderr)
            notes.append(os.path.join(self.dir, f"note.{size}"))
            with open(notes[-1], "wb") as file:
                file.write(self.log.get("/checkpoint").body)
        type(self).notes = notes

    @unittest.skipIf(nginx.program() is None, "nginx is not installed")
    def test_2_go_reads_the_same_log_from_nginx(self):
        with nginx.Nginx(self.log.public) as server:
            self.check("http://" + server.address, SIZES[-1], self.notes)

    def test_3_go_does_not_accept_another_key_or_a_note_of_another_tree(self):
        with Logd() as other:
            other.append(b"another log of the same name")
            other.wait_published(1)
            code, _, error = self.read(self.log.url(), vkey=other.vkey)
            self.assertEqual(code, 1)
            self.assertIn("checkpoint", error)
        fork = os.path.join(self.dir, "fork")
        twin_dir = os.path.join(self.dir, "twin")
        os.mkdir(twin_dir)
        for name in ("log.key", "log.key.vkey", "promise.key"):
            shutil.copy(os.path.join(self.log.dir, name), twin_dir)
        with Logd(directory=twin_dir) as twin:
            twin.append(b"a second history")
            twin.wait_published(1)
            with open(fork, "wb") as file:
                file.write(twin.get("/checkpoint").body)
        code, _, error = self.read(self.log.url(), [fork])
        self.assertEqual(code, 1)
        self.assertIn("fork", error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
