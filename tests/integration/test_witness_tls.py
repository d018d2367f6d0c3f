#!/usr/bin/python3
"""courtroll-witness's gRPC over TLS, to its own command line and to a client that is not ours.

COURTROLL_BIN names the directory of the built programs.
"""
import json
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from certificates import Authority  # noqa: E402
from logd import courtroll  # noqa: E402
from witness import Tree, Witness  # noqa: E402

try:
    import grpc
    from rpc import field, fields
except ImportError:
    grpc = None

GET = "/courtroll.v1.Witness/GetCheckpoint"
DONE, IO = 0, 3


class WitnessTls(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.authority = Authority(self.dir)
        self.other = Authority(self.dir, "other")
        self.server = self.authority.issue("server")
        self.tree = Tree("log.example/tls", 9)

    def path(self, name):
        return os.path.join(self.dir, name)

    def witness(self, **settings):
        cert, key = self.server
        made = Witness([self.tree.key], self.dir, tls_cert=cert, tls_key=key, **settings)
        self.addCleanup(made.close)
        return made

    def sign(self, witness, code, size, *options):
        """A checkpoint file by gRPC; with the code 0 what comes back is verified."""
        request, back = self.path("request"), self.path("back")
        proofs = "".join(
            f"old {old}\n" + "".join(tlog.b64(h) + "\n" for h in self.tree.proof(old, size))
            for old in range(size)
        )
        with open(request, "w", encoding="utf-8") as file:
            file.write(f"courtroll cosign-request v1\n{proofs}\n{self.tree.note(size)}")
        if os.path.exists(back):
            os.unlink(back)
        done = courtroll("cosign", "sign", "--witness", witness.grpc, "--out", back, "--json", *options,
                         request, code=code, timeout=60)  # fmt: skip
        row = json.loads(done.stdout)["files"][0]
        self.assertEqual(row["result"], "signed" if code == DONE else "not tried")
        self.assertEqual(os.path.exists(back), code == DONE)
        if code == DONE:
            with open(back, encoding="utf-8") as file:
                text, lines = file.read().split("\n\n")
            self.assertEqual(text + "\n", self.tree.text(size))
            log_line, *ours = lines.splitlines(keepends=True)
            self.assertTrue(log_line.startswith("— log.example/tls "), log_line)
            witness.times(text + "\n", "".join(ours))

    def test_tls(self):
        witness = self.witness()
        self.sign(witness, DONE, 3, "--tls-ca", self.authority.ca)
        self.sign(witness, IO, 5)  # plaintext
        self.sign(witness, IO, 5, "--tls-ca", self.other.ca)
        self.assertEqual(witness.held_size(self.tree), 3)
        self.sign(witness, DONE, 5, "--tls-ca", self.authority.ca)
        self.assertEqual(witness.stop(), 0)

    def test_mutual_tls(self):
        witness = self.witness(tls_client_ca=self.authority.ca)
        cert, key = self.authority.issue("client")
        stranger_cert, stranger_key = self.other.issue("client")
        ca = ("--tls-ca", self.authority.ca)
        self.sign(witness, IO, 3, *ca)
        self.sign(witness, IO, 3, *ca, "--tls-cert", stranger_cert, "--tls-key", stranger_key)
        self.assertEqual(witness.held_size(self.tree), 0)
        self.sign(witness, DONE, 3, *ca, "--tls-cert", cert, "--tls-key", key)

    @unittest.skipIf(grpc is None, "python3-grpcio is not installed")
    def test_another_client(self):
        witness = self.witness()
        witness.cosign(self.tree, 0, 4)
        with open(self.authority.ca, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        with grpc.secure_channel(witness.grpc, credentials) as channel:
            reply = channel.unary_unary(GET)(field(1, self.tree.origin.encode()), timeout=20)
        self.assertEqual(dict(fields(reply))[1].decode(), witness.checkpoint(self.tree))

    def test_other_machines_are_served_over_tls_only(self):
        witness = Witness([self.tree.key], self.dir, is_started=False, grpc_listen="0.0.0.0:0")
        code, words = witness.fails_to_start()
        self.assertEqual(code, 2, words)
        self.assertIn("tls-cert", words)


if __name__ == "__main__":
    unittest.main()
