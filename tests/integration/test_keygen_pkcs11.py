#!/usr/bin/python3
"""courtroll keygen --pkcs11 with SoftHSM: the key stays in the token, the file says where.

COURTROLL_BIN names the directory of the built programs. Skipped without SoftHSM (Debian: softhsm2).
"""
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

COURTROLL = os.path.join(os.environ["COURTROLL_BIN"], "courtroll")
MODULE = os.environ.get("SOFTHSM2_MODULE", "/usr/lib/softhsm/libsofthsm2.so")
PIN = "4711"


@unittest.skipUnless(os.path.exists(MODULE) and shutil.which("softhsm2-util"), "no SoftHSM")
class KeygenPkcs11(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir)
        os.mkdir(self.path("tokens"))
        self.write("softhsm2.conf", f"directories.tokendir = {self.path('tokens')}\n")
        self.env = dict(os.environ, SOFTHSM2_CONF=self.path("softhsm2.conf"))
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", "witness", "--pin", PIN]
            + ["--so-pin", PIN],
            env=self.env, stdout=subprocess.DEVNULL, timeout=60, check=True,
        )
        self.write("pin", PIN + "\n")

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            os.chmod(self.path(name), 0o600)
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def uri(self, key="object=2026", pin=None):
        pin = pin or f"pin-source={self.path('pin')}"
        return f"pkcs11:token=witness;{key}?module-path={MODULE}&{pin}"

    def keygen(self, code, uri, out="key"):
        done = subprocess.run(
            [COURTROLL, "keygen", "--type", "witness", "--name", "w.example"]
            + ["--out", self.path(out), "--pkcs11", uri],
            env=self.env, capture_output=True, text=True, timeout=60, check=False,
        )
        self.assertEqual(done.returncode, code, (done.stdout, done.stderr))
        return done

    def assert_no_files(self, out="key"):
        self.assertFalse(os.path.exists(self.path(out)))
        self.assertFalse(os.path.exists(self.path(out + ".vkey")))

    def test_the_file_has_the_vkey_and_the_uri(self):
        out = self.keygen(0, self.uri()).stdout
        self.assertEqual(self.read("key"), out + self.uri() + "\n")
        self.assertEqual(self.read("key.vkey"), out)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("key")).st_mode), 0o600)
        self.assertTrue(out.startswith("w.example+"))
        other = self.keygen(0, self.uri("object=2027"), "other").stdout
        self.assertNotEqual(other, out)

    def test_never_overwrites(self):
        self.keygen(0, self.uri())
        before = self.read("key")
        self.assertIn("exists", self.keygen(2, self.uri("object=new")).stderr)
        self.assertEqual(self.read("key"), before)
        self.keygen(0, self.uri("object=new"), "new")  # it was not made
        self.assertIn("object of that name", self.keygen(2, self.uri(), "third").stderr)
        self.assert_no_files("third")

    def test_a_pin_on_the_command_line_is_refused(self):
        done = self.keygen(2, self.uri(pin="pin-value=" + PIN))
        self.assertIn("pin-source", done.stderr)
        self.assertNotIn(PIN, done.stderr)
        self.assert_no_files()
        self.keygen(0, self.uri())  # nothing was made

    def test_a_bad_uri_is_a_usage_error(self):
        for uri in ("", "pkcs11:", "file:key", self.uri("type=private"), self.uri() + "&x=1"):
            self.keygen(2, uri)
            self.assert_no_files()

    def test_a_wrong_pin_makes_nothing(self):
        self.write("pin", "0815")
        self.assertIn("PIN", self.keygen(4, self.uri()).stderr)
        self.assert_no_files()
        os.chmod(self.path("pin"), 0o644)
        self.assertIn("chmod 600", self.keygen(4, self.uri()).stderr)
        self.assert_no_files()


if __name__ == "__main__":
    unittest.main()
