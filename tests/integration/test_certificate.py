#!/usr/bin/python3
"""Certificates from the command line: made of a proof, verified, altered, read by others.

The logs are made of files (tlog.Log), so no daemon runs. tests/support/python/certificate_check.py takes the data out
and checks them without any of our C; poppler lists the attachments, zbarimg reads the code from the drawn page.

COURTROLL_BIN names the directory of the built programs.
"""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "python"))
import certificate_check as check  # noqa: E402
import tlog  # noqa: E402
from logd import courtroll  # noqa: E402

CASE = "（2026）测0101执123号"
PAPER = "关于冻结存款的裁定\n".encode() * 30
ADDRESS = "https://verify.court.example"
NAME = "裁定书 <17>.pdf"


def write(path, data):
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def tool(*arguments):
    return subprocess.run(arguments, capture_output=True, check=False, timeout=60)


class Paper(unittest.TestCase):
    """A log of files in which the document is entry 17."""

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.log = tlog.Log(40)
        cls.put(17, PAPER)
        cls.document = write(cls.path("document"), PAPER)
        cls.policy = write(cls.path("policy"), cls.log.policy())
        cls.proof = write(cls.path("proof"), cls.log.proof(17))
        cls.about = write(cls.path("about"), courtroll("certificate", "--about-template", code=0).stdout)
        cls.html, cls.pdf = cls.path("c.html"), cls.path("c.pdf")
        cls.make(cls.document, "--about", cls.about, "--html", cls.html, "--pdf", cls.pdf)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.dir, name)

    @classmethod
    def put(cls, index, entry):
        cls.log.entries[index] = entry
        cls.log.leaves[index] = tlog.leaf_hash(entry)

    @classmethod
    def make(cls, document, *more, code=0, proof=None, policy=None):
        return courtroll("certificate", "--policy", policy or cls.policy, "--proof", proof or cls.proof, "--address",
                         ADDRESS, "--name", NAME, *more, document, code=code)  # fmt: skip

    def verify(self, *files, code=0, policy=None):
        return courtroll("verify", "--policy", policy or self.policy, *files, code=code).stdout

    def verify_bytes(self, data, *more, code=1):
        return self.verify(write(self.path("changed"), data), *more, code=code)


class OfAnEntry(Paper):
    def test_both_kinds_verify_and_say_what_is_proved(self):
        for file, said in ((self.html, "every byte of the page"), (self.pdf, "the page's text is not proved")):
            text = self.verify(file, self.document)
            self.assertTrue(text.startswith("PASS\n"), text)
            self.assertIn(said, text)
            self.assertIn("is the document of the certificate", text)
            self.assertIn("not compared", self.verify(file))
            self.assertNotIn("valid", text.lower().replace("verifi", ""))

    def test_the_same_is_said_in_json(self):
        got = json.loads(self.verify("--json", self.pdf, self.document))
        self.assertEqual((got["verdict"], got["index"], got["page_proved"]), ("PASS", 17, False))
        self.assertEqual(got["document_sha256"], hashlib.sha256(PAPER).hexdigest())
        self.assertTrue(got["policy_is_the_certificates"] and got["document_compared"])

    def test_another_document_is_a_mismatch(self):
        other = write(self.path("other"), PAPER[:-1] + b"x")
        for file in (self.html, self.pdf):
            self.assertTrue(self.verify(file, other, code=1).startswith("MISMATCH\n"))

    def test_a_changed_byte_is_named(self):
        page = read(self.html)
        at = page.index("2 of (w1".encode())
        text = self.verify_bytes(page[:at] + b"1" + page[at + 1 :])
        self.assertTrue(text.startswith(f"ALTERED at byte {at}\n"), text)
        got = json.loads(self.verify_bytes(page + b"\n", "--json"))
        self.assertEqual((got["verdict"], got["position"], got["ok"]), ("ALTERED", len(page), False))

    def test_a_sample_of_visible_characters_through_the_command(self):
        page = read(self.html)
        body = page.index(b"<h1>")
        visible = [m.start() for m in re.finditer(rb"(?<=>)[^<\n]", page) if m.start() > body]
        self.assertGreater(len(visible), 100)
        for at in visible[::25]:
            changed = page[:at] + bytes([page[at] ^ 1]) + page[at + 1 :]
            self.assertTrue(self.verify_bytes(changed).startswith("ALTERED at byte "), page[at : at + 20])

    def test_data_that_were_changed_consistently_keep_no_signature(self):
        """Page, data and digest by somebody who has our program: the signatures are what cannot be made."""
        for file in (self.html, self.pdf):
            data = check.data_of(read(file))
            for field, change, verdict in (
                ("leaf-hash", lambda v: tlog.leaf_hash(b"x").hex().encode(), "MISMATCH"),
                ("proof", lambda v: v.replace(b"\n40\n", b"\n41\n"), "BAD SIGNATURE"),
                ("proof", lambda v: v.replace(b"index 17", b"index 16"), "MISMATCH"),
                ("proof", lambda v: v[: v.rindex("\n— w1.example".encode()) + 1], "NO QUORUM"),
                ("proof", lambda v: b"none", "MALFORMED"),
            ):
                fields = check.fields_of(data)
                fields[field] = change(fields[field])
                text = self.verify_bytes(check.with_data(read(self.html), check.bytes_of(fields)))
                self.assertTrue(text.startswith(verdict + "\n"), (field, text))

    def test_the_policy_inside_is_never_believed(self):
        others = tlog.Log(40)
        others.key = tlog.Key("log.example/test", 1, b"\7" * 32)
        policy = write(self.path("others"), others.policy())
        self.assertTrue(self.verify(self.html, code=1, policy=policy).startswith("BAD SIGNATURE\n"))
        strict = write(self.path("strict"), self.log.policy(k=3))
        self.assertIn("made under another policy than yours", self.verify(self.html, policy=strict))
        self.assertNotIn("another policy", self.verify(self.html))

    def test_only_a_pass_of_witnesses_gets_one(self):
        out = self.path("none.html")
        few = write(self.path("few"), self.log.proof(17, self.log.note((1790000001, None, None))))
        self.assertTrue(self.make(self.document, "--html", out, proof=few, code=1).stdout.startswith("NO QUORUM\n"))
        other = write(self.path("other"), b"x")
        self.assertTrue(self.make(other, "--html", out, code=1).stdout.startswith("MISMATCH\n"))
        alone = write(self.path("alone"), self.log.policy(k=0))
        self.assertIn("log's word alone", self.make(self.document, "--html", out, policy=alone, code=1).stdout)
        self.assertFalse(os.path.exists(out))

    def test_wrong_usage(self):
        out = self.path("usage.html")
        self.make(self.document, code=2)
        self.make(self.document, "--html", self.html, code=2)
        self.make(self.document, "--html", out, "--entry", self.proof, code=2)
        for address in ("http://verify.example", "https://verify.example/", "https://" + "a" * 128):
            courtroll("certificate", "--policy", self.policy, "--proof", self.proof, "--address", address, "--html",
                      out, self.document, code=2)  # fmt: skip
        bad = write(self.path("bad"), "operator = x\nowner = y\n")
        text = self.make(self.document, "--html", out, "--about", bad, code=1).stdout
        self.assertIn("about, line 2: an unknown key", text)
        courtroll("verify", "--policy", self.policy, "--proof", self.proof, self.html, self.document, code=2)
        self.assertTrue(self.verify(self.document, code=1).startswith("MALFORMED\n"))

    def test_a_page_loads_and_runs_nothing(self):
        page = read(self.html).decode()
        self.assertNotRegex(page, r"<script|<link|<img|<iframe|<object|<form|<a |@import|url\(|javascript:|\son\w+=\"")
        self.assertIn("default-src 'none'", page)
        self.assertIn("裁定书 &lt;17&gt;.pdf", page)
        self.assertIn("未经证明", page)
        self.assertNotRegex(page.lower(), r"legally valid|法律效力")

    def test_a_second_implementation_reads_both(self):
        for file in (self.html, self.pdf):
            fields = check.check(read(file), self.log.policy().encode(), PAPER)
            self.assertEqual(fields["document-name"].decode(), NAME)
            self.assertEqual(fields["proof"], read(self.proof))
        self.assertEqual(check.data_of(read(self.html)), check.data_of(read(self.pdf)))
        executable = hashlib.sha256(read(os.path.join(os.environ["COURTROLL_BIN"], "courtroll"))).hexdigest()
        self.assertEqual(fields["executable"].decode(), executable)

    def test_the_same_again_is_the_same_files(self):
        again = [self.path("again.html"), self.path("again.pdf")]
        self.make(self.document, "--about", self.about, "--html", again[0], "--pdf", again[1])
        self.assertEqual([read(path) for path in again], [read(self.html), read(self.pdf)])
        self.assertEqual(os.stat(self.pdf).st_mode & 0o777, 0o600)


class OfThePdf(Paper):
    @unittest.skipUnless(shutil.which("pdftotext"), "poppler-utils is not installed")
    def test_others_read_it(self):
        listed = tool("pdfdetach", "-list", self.pdf)
        self.assertEqual(re.findall(r"\d: (\S+)", listed.stdout.decode()),
                         ["certificate-data.txt", "policy.txt", "proof.tlog-proof"])  # fmt: skip
        self.assertEqual(listed.stderr, b"")
        tool("pdfdetach", "-saveall", "-o", self.dir, self.pdf)
        self.assertEqual(read(self.path("certificate-data.txt")), check.data_of(read(self.pdf)))
        self.assertEqual(read(self.path("policy.txt")), read(self.policy))
        self.assertEqual(read(self.path("proof.tlog-proof")), read(self.proof))
        text = tool("pdftotext", "-layout", self.pdf, "-")
        self.assertEqual(text.stderr, b"")
        for words in ("存证证书", "Certificate of Deposit", NAME, hashlib.sha256(PAPER).hexdigest(), "未经证明"):
            self.assertIn(words, text.stdout.decode())
        fonts = tool("pdffonts", self.pdf).stdout.decode().splitlines()[2:]
        self.assertTrue(fonts and all(line.split()[-5:-2] == ["yes", "yes", "yes"] for line in fonts), fonts)
        self.assertIn(b"Tagged:          yes", tool("pdfinfo", self.pdf).stdout)

    @unittest.skipUnless(shutil.which("zbarimg") and shutil.which("pdftoppm"), "zbar-tools is not installed")
    def test_the_code_is_read_back_from_the_drawn_page(self):
        tool("pdftoppm", "-r", "150", "-f", "1", "-l", "2", "-png", self.pdf, self.path("page"))
        pages = [self.path(name) for name in sorted(os.listdir(self.dir)) if name.startswith("page-")]
        read_back = tool("zbarimg", "-q", "--raw", *pages).stdout.decode().split()
        printed = courtroll("code", "--proof", self.proof, "--address", ADDRESS, code=0).stdout.strip()
        self.assertEqual(read_back, [printed])
        log_id = base64.urlsafe_b64encode(hashlib.sha256(b"log.example/test").digest()[:16]).decode().rstrip("=")
        self.assertEqual(printed, f"{ADDRESS}/verify#c1.{log_id}.17.")


class OfARecord(Paper):
    """The document is committed to by an operation record, entry 3, with and without a disclosure."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        draft = {"case": CASE, "kind": "DISTRIBUTION_PLAN", "minute": "2026-03-04T09:31Z", "court": "测0101",
                 "document": hashlib.sha256(PAPER).hexdigest()}  # fmt: skip
        courtroll("case", "new-key", "--case", CASE, "--out", cls.path("case.key"), code=0)
        courtroll("record", "new-key", "--out", cls.path("payload.key"), code=0)
        courtroll("keygen", "--type", "submitter", "--name", "court.example", "--out", cls.path("key"), code=0)
        courtroll("record", "seal", "--origin", cls.log.key.name, "--case-key", cls.path("case.key"),
                  "--submitter-key", cls.path("key"), "--payload-key", cls.path("payload.key"), "--number", "0",
                  "--out-entry", cls.path("entry"), "--out-payload", cls.path("payload"),
                  write(cls.path("draft"), json.dumps(draft)), code=0)  # fmt: skip
        cls.put(3, read(cls.path("entry")))
        cls.proof = write(cls.path("proof3"), cls.log.proof(3))
        courtroll("record", "disclose", "--payload-key", cls.path("payload.key"), "--proof", cls.proof,
                  "--document", "--out", cls.path("disclosure"), cls.path("payload"), code=0)  # fmt: skip
        cls.salt = json.loads(read(cls.path("disclosure")))["document"]["salt"]
        write(cls.path("salt"), cls.salt + "\n")
        cls.make(cls.document, "--disclosure", cls.path("disclosure"), "--html", cls.path("d.html"), "--pdf",
                 cls.path("d.pdf"))  # fmt: skip
        cls.make(cls.document, "--entry", cls.path("entry"), "--salt-file", cls.path("salt"), "--html",
                 cls.path("e.html"), "--pdf", cls.path("e.pdf"))  # fmt: skip

    def test_all_verify_here_and_there(self):
        for name in ("d.html", "d.pdf", "e.html", "e.pdf"):
            self.assertTrue(self.verify(self.path(name), self.document).startswith("PASS\n"))
            check.check(read(self.path(name)), self.log.policy().encode(), PAPER)
            other = write(self.path("other"), PAPER + b"x")
            self.assertTrue(self.verify(self.path(name), other, code=1).startswith("MISMATCH\n"))

    def test_the_code_has_the_salt(self):
        printed = courtroll("code", "--proof", self.proof, "--salt-file", self.path("salt"), code=0).stdout.strip()
        salt = base64.urlsafe_b64encode(bytes.fromhex(self.salt)).decode().rstrip("=")
        self.assertTrue(printed.endswith(f".3.{salt}"), printed)
        for name in ("d.html", "e.html"):
            self.assertIn(printed, read(self.path(name)).decode())

    def test_a_wrong_salt_or_document_gets_none(self):
        out = self.path("none.html")
        wrong = write(self.path("wrong"), "00" * 16 + "\n")
        told = self.make(self.document, "--entry", self.path("entry"), "--salt-file", wrong, "--html", out, code=1)
        self.assertTrue(told.stdout.startswith("MISMATCH\n"))
        self.assertNotIn("00" * 16, told.stdout + told.stderr)
        other = write(self.path("other"), b"x")
        told = self.make(other, "--disclosure", self.path("disclosure"), "--html", out, code=1)
        self.assertTrue(told.stdout.startswith("MISMATCH\n"))
        self.assertFalse(os.path.exists(out))


del Paper

if __name__ == "__main__":
    unittest.main(verbosity=2)
