#!/usr/bin/python3
"""courtroll-witness with its key in a PKCS#11 module: it cosigns with it, and says what is wrong when it
cannot.

COURTROLL_BIN names the directory of the built programs. Skipped without SoftHSM (Debian: softhsm2).
"""
import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from logd import courtroll  # noqa: E402
from witness import Tree, Witness, write_private  # noqa: E402

MODULE = os.environ.get("SOFTHSM2_MODULE", "/usr/lib/softhsm/libsofthsm2.so")
PIN = "4711"
NAME = "witness.example/hsm"


class PublicKey:
    """What a vkey tells: enough to verify."""

    def __init__(self, vkey):
        name, key_id, data = vkey.split("+", 2)
        self.name, self.id = name, bytes.fromhex(key_id)
        self.public = base64.b64decode(data)
        self.kind = self.public[0]
        assert self.kind == tlog.COSIGNATURE and len(self.public) == 33
        assert hashlib.sha256(name.encode() + b"\n" + self.public).digest()[:4] == self.id

    verify_line = tlog.Key.verify_line


@unittest.skipUnless(os.path.exists(MODULE) and shutil.which("softhsm2-util"), "no SoftHSM")
class WitnessHsm(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir)
        os.mkdir(self.path("tokens"))
        with open(self.path("softhsm2.conf"), "w", encoding="utf-8") as file:
            file.write(f"directories.tokendir = {self.path('tokens')}\n")
        old = os.environ.get("SOFTHSM2_CONF")  # for the programs that are started here
        os.environ["SOFTHSM2_CONF"] = self.path("softhsm2.conf")
        self.addCleanup(self.set_conf, old)
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", "agency", "--pin", PIN]
            + ["--so-pin", PIN],
            stdout=subprocess.DEVNULL, timeout=60, check=True,
        )  # fmt: skip
        write_private(self.path("pin"), PIN + "\n")
        self.tree = Tree("log.example/hsm", 9)
        self.make_key("key", "2026")
        self.witness = self.make_witness()

    @staticmethod
    def set_conf(old):
        if old is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = old

    def path(self, name):
        return os.path.join(self.dir, name)

    def uri(self, label, token="agency"):
        return (f"pkcs11:token={token};object={label}?module-path={MODULE}"
                f"&pin-source={self.path('pin')}")  # fmt: skip

    def make_key(self, name, label):
        courtroll("keygen", "--type", "witness", "--name", NAME, "--out", self.path(name), "--pkcs11",
                  self.uri(label), code=0)  # fmt: skip

    def make_witness(self):
        soft = tlog.Key(NAME, tlog.COSIGNATURE)  # only so that the helper makes none
        witness = Witness([self.tree.key], self.dir, key=soft, is_started=False)
        self.addCleanup(witness.close)
        os.unlink(witness.key_file)
        self.use(witness, "key")
        return witness

    def use(self, witness, *names):
        witness.settings["key"] = [self.path(name) for name in names]
        with open(self.path(names[0] + ".vkey"), encoding="utf-8") as file:
            witness.key = PublicKey(file.read().strip())

    def refuses_to_start(self, *words, code=3):
        got, text = self.witness.fails_to_start()
        self.assertEqual(got, code, text)
        for word in words:
            self.assertIn(word, text)
        self.assertNotIn(PIN, text)
        self.assertNotIn("event=ready", text)
        return text

    def test_cosigns(self):
        with open(self.path("key"), encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.startswith(f"{NAME}+"), text)
        self.assertNotIn("PRIVATE", text)
        witness = self.witness.start()
        first = witness.cosign(self.tree, 0, 5)
        self.assertGreaterEqual(witness.cosign(self.tree, 5, 9), first)
        note = witness.checkpoint(self.tree)
        lines = [line for line in note.splitlines() if line.startswith(f"\u2014 {NAME} ")]
        self.assertEqual(len(witness.times(self.tree.text(9), lines[0] + "\n")), 1)
        # What the token signed is what a policy verifies.
        policy = self.path("policy")
        with open(policy, "w", encoding="utf-8") as file:
            vkey = text.split("\n")[0]
            file.write(f"log {self.tree.key.vkey()}\nwitness w {vkey}\nquorum w\n")
        os.makedirs(self.path("copy"))
        with open(self.path("copy/checkpoint"), "w", encoding="utf-8") as file:
            file.write(note)
        done = courtroll("checkpoint", "--log", "file:" + self.path("copy"), "--policy", policy)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        witness.restart()
        witness.cosign(self.tree, 9, 9)
        self.assertEqual(witness.stop(), 0)
        self.assertNotIn(PIN, witness.process.text())

    def test_two_keys_sign_each_answer(self):
        self.make_key("next", "2027")
        self.use(self.witness, "key", "next")
        witness = self.witness.start()
        answer = witness.add_checkpoint(self.tree.request(0, 5))
        self.assertEqual(answer.status, 200)
        lines = answer.body.decode().splitlines(keepends=True)
        self.assertEqual(len(lines), 2)
        found = set()
        for name in ("key", "next"):
            self.use(witness, name)
            found |= {i for i in (0, 1) if witness.key.verify_line(self.tree.text(5), lines[i])}
        self.assertEqual(found, {0, 1})

    def test_a_witness_without_its_token_does_not_start(self):
        shutil.move(self.path("tokens"), self.path("away"))
        os.mkdir(self.path("tokens"))
        self.refuses_to_start("no such token", self.path("key"))
        os.rmdir(self.path("tokens"))
        shutil.move(self.path("away"), self.path("tokens"))
        self.witness.start().cosign(self.tree, 0, 5)

    def test_a_witness_without_its_key_or_module_does_not_start(self):
        with open(self.path("key"), encoding="utf-8") as file:
            text = file.read()
        for old, new, word in (
            ("object=2026", "object=2025", "no such private key"),
            (MODULE, self.path("none.so"), "none.so"),
        ):
            write_private(self.path("key"), text.replace(old, new))
            self.refuses_to_start(word)

    def test_a_wrong_pin_is_told(self):
        write_private(self.path("pin"), "0815\n")
        self.assertNotIn("0815", self.refuses_to_start("PIN"))
        os.chmod(self.path("pin"), 0o644)
        self.refuses_to_start("chmod 600")
        write_private(self.path("pin"), PIN + "\n")
        os.chmod(self.path("pin"), 0o600)
        self.witness.start().cosign(self.tree, 0, 5)  # the token was not locked

    def test_a_key_that_is_not_that_of_the_vkey_does_not_start(self):
        """Its cosignatures would be nobody's."""
        self.make_key("next", "2027")
        with open(self.path("key"), encoding="utf-8") as file:
            vkey = file.read().split("\n")[0]
        write_private(self.path("key"), f"{vkey}\n{self.uri('2027')}\n")
        self.refuses_to_start("key")
        self.assertFalse(os.path.exists(os.path.join(self.witness.data, "evidence")))

    def test_nothing_is_signed_while_the_token_is_gone(self):
        witness = self.witness.start()
        witness.cosign(self.tree, 0, 3)
        shutil.move(self.path("tokens"), self.path("away"))
        for size in (5, 6):
            answer = witness.add_checkpoint(self.tree.request(3, size))
            self.assertEqual(answer.status, 500, answer)
            self.assertNotIn(b"\xe2\x80\x94", answer.body)
        witness.process.wait_for("event=not_signed reason=key .*no such token")
        self.assertEqual(witness.held_size(self.tree), 3)
        shutil.move(self.path("away"), self.path("tokens"))
        witness.restart()  # SoftHSM sees a token that is back in a new process only
        witness.cosign(self.tree, 3, 5)


if __name__ == "__main__":
    unittest.main()
