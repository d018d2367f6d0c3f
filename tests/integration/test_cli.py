#!/usr/bin/env python3
"""The commands that need no daemon: outputs, exit codes and --json of each.

COURTROLL_BIN names the directory of the built programs.
"""
import functools
import gzip
import hashlib
import http.server
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support", "python"))
import tlog  # noqa: E402

COURTROLL = os.path.join(os.environ["COURTROLL_BIN"], "courtroll")
LOG = tlog.Log(700)


def run(*arguments, stdin=b"", cwd=None):
    done = subprocess.run(
        [COURTROLL, *arguments], input=stdin, capture_output=True, cwd=cwd, timeout=120, check=False
    )
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return path

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def expect(self, code, *arguments, stdin=b""):
        done = run(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))
        return done

    def expect_json(self, code, *arguments):
        return json.loads(self.expect(code, *arguments, "--json").stdout)


class General(Case):
    def test_help_and_version(self):
        self.assertIn("Commands:", self.expect(0, "--help").stdout)
        self.assertRegex(self.expect(0, "--version").stdout, r"^courtroll \d+\.\d+\.\d+\n$")
        for command in ("keygen", "checkpoint", "prove", "verify", "verify-evidence", "policy",
                        "fsck", "cosign", "cosign export", "cosign sign", "cosign import"):
            text = self.expect(0, *command.split(), "--help").stdout
            self.assertTrue(text.startswith(f"usage: courtroll {command} "), text)
            self.assertIn("Examples:", text)

    def test_wrong_usage_is_2_and_names_the_problem(self):
        self.expect(2)
        self.assertIn("'dance'", self.expect(2, "dance").stderr)
        self.assertIn("'--dance'", self.expect(2, "policy", "--dance").stderr)
        self.assertIn("FILE", self.expect(2, "policy").stderr)
        self.assertIn("too many", self.expect(2, "policy", "a", "b").stderr)
        self.assertIn("--type", self.expect(2, "keygen", "--type").stderr)
        self.assertIn("--policy", self.expect(2, "verify", "x").stderr)
        self.assertIn("twice", self.expect(2, "keygen", "--out", "a", "--out", "b").stderr)
        self.assertIn("no value", self.expect(2, "policy", "--json=1", "x").stderr)

    def test_lost_output_is_3(self):
        policy = self.write("p", LOG.policy())
        with open("/dev/full", "wb") as full:
            done = subprocess.run([COURTROLL, "policy", policy], stdout=full, check=False,
                                  stderr=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 3)


class Keygen(Case):
    def keygen(self, code, kind, name, out="key"):
        return self.expect(code, "keygen", "--type", kind, "--name", name, "--out", self.path(out))

    def test_makes_a_key_of_each_type(self):
        for kind, name, byte in (
            ("log", "log.example/1", 1),
            ("promise", "log.example/1/promise", 1),
            ("witness", "w.example", 4),
            ("submitter", "s.example", 1),
            ("monitor", "m.example", 1),
        ):
            out = self.keygen(0, kind, name, kind).stdout
            self.assertEqual(out.encode(), self.read(kind + ".vkey"))
            key = tlog.Key.from_file(self.path(kind))
            self.assertEqual((key.name, key.kind), (name, byte))
            self.assertEqual(key.vkey() + "\n", out)
            mode = os.stat(self.path(kind)).st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_never_overwrites(self):
        self.keygen(0, "log", "log.example/1")
        before = self.read("key")
        self.assertIn("exists", self.keygen(2, "log", "log.example/1").stderr)
        self.assertEqual(self.read("key"), before)
        os.unlink(self.path("key"))
        self.keygen(2, "log", "log.example/1")  # the vkey is there still
        self.assertFalse(os.path.exists(self.path("key")))

    def test_refuses_wrong_names(self):
        for kind, name in (
            ("log", "a b"),
            ("log", "a+b"),
            ("log", ""),
            ("log", "x" * 256),
            ("log", "log.example/promise"),
            ("promise", "log.example"),
            ("promise", "/promise"),
            ("witness", "a\nb"),
            ("notary", "log.example"),
        ):
            self.keygen(2, kind, name)
            self.assertFalse(os.path.exists(self.path("key")))

    def test_cannot_write_is_3(self):
        self.keygen(3, "log", "log.example/1", "no/such/directory/key")

    def test_json(self):
        made = self.expect_json(
            0, "keygen", "--type", "log", "--name", "l.example", "--out", self.path("k")
        )
        self.assertEqual(
            sorted(made), ["file", "key_id", "name", "type", "vkey", "vkey_file"]
        )
        self.assertEqual(made["vkey"], tlog.Key.from_file(self.path("k")).vkey())


class Policy(Case):
    def test_explains(self):
        text = LOG.policy(2, "https://log.example")
        path = self.write("policy", text)
        out = self.expect(0, "policy", path).stdout
        for word in ("log.example/test", "w1.example", "2 of", "https://log.example",
                     hashlib.sha256(text.encode()).hexdigest()):
            self.assertIn(word, out)
        got = self.expect_json(0, "policy", path)
        self.assertEqual(got["sha256"], hashlib.sha256(text.encode()).hexdigest())
        self.assertEqual((got["f"], got["may_be_down"], got["has_quorum"]), (1, 1, True))
        self.assertIn("one evil witness", got["warning"])
        self.assertEqual([w["name"] for w in got["witnesses"]], ["w1", "w2", "w3"])
        self.assertEqual(got["logs"][0]["vkey"], LOG.key.vkey())

    def test_counts_f_and_who_may_be_down(self):
        for k, f, down in ((1, 0, 2), (2, 1, 1), (3, 3, 0)):
            got = self.expect_json(0, "policy", self.write("policy", LOG.policy(k)))
            self.assertEqual((got["f"], got["may_be_down"]), (f, down), k)
            self.assertEqual(got["warning"] is None, f > 1)
        got = self.expect_json(0, "policy", self.write("policy", LOG.policy(0)))
        self.assertEqual((got["f"], got["has_quorum"]), (0, False))

    def test_wrong_policy_is_2_and_missing_is_3(self):
        self.expect(2, "policy", self.write("p", "quorum\n"))
        self.expect(3, "policy", self.path("none"))


class Verify(Case):
    def setUp(self):
        super().setUp()
        self.policy = self.write("policy", LOG.policy())
        self.entry = self.write("entry", LOG.entries[299])

    def verify(self, code, words, proof, policy=None, entry=None):
        arguments = ("verify", "--policy", policy or self.policy, "--proof",
                     self.write("proof", proof), entry or self.entry)
        out = self.expect(code, *arguments).stdout
        self.assertEqual(out.split("\n")[0], words)
        got = self.expect_json(code, *arguments)
        self.assertEqual((got["verdict"], got["ok"]), (words, code == 0))
        self.assertEqual(len(got["policy_sha256"]), 64)
        return out, got

    def test_pass(self):
        out, got = self.verify(0, "PASS", LOG.proof(299))
        self.assertEqual((got["index"], got["size"], got["origin"]), (299, 700, LOG.key.name))
        self.assertEqual(got["leaf_hash"], LOG.leaves[299].hex())
        self.assertEqual(got["root"], tlog.b64(tlog.root(LOG.leaves)))
        self.assertEqual([w["time"] for w in got["witnesses"]],
                         [1790000001, 1790000002, 1790000003])
        self.assertEqual(got["policy_sha256"],
                         hashlib.sha256(LOG.policy().encode()).hexdigest())
        self.assertEqual((got["quorum_met"], got["f"]), (True, 1))
        for word in ("299", "700", LOG.key.name, "w3 at 2026-09-21T", got["policy_sha256"],
                     "2 of (w1, w2, w3): reached"):
            self.assertIn(word, out)

    def test_dates_by_the_quorum_that_is_earliest(self):
        note = LOG.note((1790000500, 1790000300, 1790000100))
        out, got = self.verify(0, "PASS", LOG.proof(299, note))
        self.assertEqual(got["no_later_than"], 1790000300)
        self.assertIsNone(got["sequenced_after"])
        self.assertIn("no later than 2026-09-21T14:18:20Z", out)
        self.assertIn("sequenced after: no time evidence in this receipt", out)

    def test_any_index_of_any_small_log(self):
        for size in (1, 2, 3, 5, 8):
            log = tlog.Log(size)
            policy = self.write("policy", log.policy())
            for index in range(size):
                entry = self.write("entry", log.entries[index])
                self.verify(0, "PASS", log.proof(index), policy, entry)

    def test_no_quorum_asked_for(self):
        policy = self.write("none", LOG.policy(0))
        out, got = self.verify(0, "PASS on the log's word alone", LOG.proof(299), policy)
        self.assertIsNone(got["no_later_than"])
        self.assertIn("no time evidence", out)

    def test_mismatch(self):
        other = self.write("other", LOG.entries[299] + b" ")
        self.verify(1, "MISMATCH", LOG.proof(299), entry=other)
        self.verify(1, "MISMATCH", LOG.proof(298))
        self.verify(1, "MISMATCH", LOG.proof(299), entry=self.write("long", b"x" * 65536))
        lines = LOG.proof(299).split("\n")
        del lines[3]
        self.verify(1, "MISMATCH", "\n".join(lines))

    def test_no_quorum(self):
        note = LOG.note((None, None, 1790000003))
        out, got = self.verify(1, "NO QUORUM", LOG.proof(299, note))
        self.assertEqual([(w["name"], w["cosigned"], w["time"]) for w in got["witnesses"]],
                         [("w1", False, None), ("w2", False, None), ("w3", True, 1790000003)])
        self.assertFalse(got["quorum_met"])
        self.assertIsNone(got["no_later_than"])
        self.assertNotIn("no later than", out)
        for word in ("w1: no cosignature", "w2: no cosignature", "w3 at 2026-09-21T",
                     "2 of (w1, w2, w3): not reached"):
            self.assertIn(word, out)

    def test_a_bad_cosignature_does_not_hide_the_others(self):
        text = LOG.text()
        lines = [LOG.key.line(text)]
        lines += [w.line(text, 1790000001) for w in LOG.witnesses]
        bad = LOG.witnesses[0].line(text + "x", 1790000001)
        _, got = self.verify(0, "PASS", LOG.proof(299, text + "\n" + "".join([bad] + lines[:1] + lines[2:])))
        self.assertEqual(got["bad_signatures"], 1)
        self.verify(1, "NO QUORUM", LOG.proof(299, text + "\n" + "".join([bad] + lines[:1] + lines[3:])))

    def test_bad_signature(self):
        note = LOG.note()
        text = LOG.text()
        forged = text + "\n" + LOG.key.line(text + "x") + "".join(note.splitlines(True)[5:])
        self.verify(1, "BAD SIGNATURE", LOG.proof(299, forged))
        self.verify(1, "BAD SIGNATURE", LOG.proof(299, note.replace("\n700\n", "\n701\n")))
        unsigned = text + "\n" + "".join(note.splitlines(True)[5:])
        self.verify(1, "BAD SIGNATURE", LOG.proof(299, unsigned))

    def test_unknown_log(self):
        other = tlog.Log(3, "other.example/log")
        policy = self.write("other", other.policy())
        self.verify(1, "UNKNOWN LOG", LOG.proof(299), policy)

    def test_malformed(self):
        proof = LOG.proof(299)
        for bad in ("", "hello\n", proof[:-1], proof.replace("index 299", "index 0299"),
                    proof.replace("\n", "\r\n"), proof.replace("index", "Index"),
                    proof.replace("proof@v1", "proof@v2"), "x" * (2 << 20)):
            self.verify(1, "MALFORMED", bad)

    def test_the_vector_of_the_specification_digest(self):
        proof = """c2sp.org/tlog-proof@v1
index 5
zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=
nk9gCR+floFqznAPtqjjcnnV64dge2jQB95D5t164Hg=
zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=

example.com/log/testdata
8
bC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=

\u2014 example.com/log/testdata M9e0lq1EK37dHtgv9O3UzPxisw5vwIPcJsX9ab0xt4mvVfbdUR1fbMjN6sBFYpBoBEmD4+cWhj/AVgI5MitCO5+mews=
\u2014 witness.example.org uKLPIAAAAABpVGeATpM2NHKXdN9/xPeN3aSJvqGWTvnkFr6/tuGZO+LedHGBX60g5LEGl2C5U8eFgrgSgntlmYNIEEKTgMRRXK8hCQ==
"""
        policy = self.write("vector", """log example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx
witness w witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN
quorum w
""")
        self.verify(0, "PASS", proof, policy, self.write("six", "six"))

    def test_files_that_are_not_there_are_3(self):
        proof = self.write("proof", LOG.proof(299))
        none = self.path("none")
        self.expect(3, "verify", "--policy", none, "--proof", proof, self.entry)
        self.expect(3, "verify", "--policy", self.policy, "--proof", none, self.entry)
        self.expect(3, "verify", "--policy", self.policy, "--proof", proof, none)
        got = self.expect_json(3, "verify", "--policy", none, "--proof", proof, self.entry)
        self.assertEqual(got["code"], "not_found")

    def test_reads_standard_input(self):
        proof = self.write("proof", LOG.proof(299))
        self.expect(0, "verify", "--policy", self.policy, "--proof", proof, "-",
                    stdin=LOG.entries[299])


class Superseded(Case):
    """A receipt under a policy that is no longer in force counts only so."""

    def setUp(self):
        super().setUp()
        self.old = self.write("old", LOG.policy())
        others = [tlog.Key(f"new{i}.example", tlog.COSIGNATURE) for i in (1, 2, 3)]
        lines = [f"log {LOG.key.vkey()}"] + [f"witness w{i} {key.vkey()}" for i, key in enumerate(others)]
        self.same_log = self.write("same-log", "\n".join([*lines, "group g 2 w0 w1 w2", "quorum g", ""]))
        self.new_log = self.write("new-log", self.text_of_new_log(lines))
        self.proof, self.entry = self.write("proof", LOG.proof(300)), self.write("entry", LOG.entries[300])

    @staticmethod
    def text_of_new_log(lines):
        successor = tlog.Key("log.example/successor", tlog.ED25519)
        return "\n".join([f"log {successor.vkey()}", *lines[1:], "group g 2 w0 w1 w2", "quorum g", ""])

    def verify(self, code, policy, *more, proof=None, entry=None):
        return self.expect(code, "verify", "--policy", policy, "--proof", proof or self.proof, *more, entry or self.entry)

    def test_it_is_said_and_is_no_pass(self):
        for policy, alone in ((self.same_log, "NO QUORUM"), (self.new_log, "UNKNOWN LOG")):
            self.assertTrue(self.verify(1, policy).stdout.startswith(alone))
            done = self.verify(1, policy, "--superseded", self.old)
            self.assertTrue(done.stdout.startswith("SUPERSEDED\n"), done.stdout)
            self.assertIn("ask for one under the policy in force", done.stdout)
            self.assertNotIn("no later than", done.stdout)
            told = self.expect_json(1, "verify", "--policy", policy, "--proof", self.proof, "--superseded", self.old, self.entry)
            self.assertEqual((told["verdict"], told["ok"]), ("SUPERSEDED", False))
            self.assertEqual(told["policy_sha256"], hashlib.sha256(self.read("old")).hexdigest())
            self.assertEqual(told["policy_in_force_sha256"], hashlib.sha256(self.read(os.path.basename(policy))).hexdigest())

    def test_what_the_policy_in_force_accepts_is_a_pass_whatever_is_superseded(self):
        self.assertTrue(self.verify(0, self.old, "--superseded", self.same_log).stdout.startswith("PASS\n"))

    def test_a_forgery_with_all_retired_keys_is_never_more_than_that(self):
        forged = tlog.Log(0)
        forged.entries = [b"a freeze that never was"]
        forged.leaves = [tlog.leaf_hash(forged.entries[0])]
        proof, entry = self.write("forged", forged.proof(0)), self.write("never-was", forged.entries[0])
        self.assertTrue(self.verify(0, self.old, proof=proof, entry=entry).stdout.startswith("PASS\n")) # so it is one
        for policy in (self.same_log, self.new_log):
            done = self.verify(1, policy, "--superseded", self.old, proof=proof, entry=entry)
            self.assertTrue(done.stdout.startswith("SUPERSEDED\n"), done.stdout)

    def test_what_is_wrong_under_both_is_wrong(self):
        other = self.write("other", b"another entry")
        self.assertTrue(self.verify(1, self.same_log, "--superseded", self.old, entry=other).stdout.startswith("MISMATCH\n"))
        self.expect(2, "verify", "--policy", self.old, "--superseded", self.old, self.entry)
        self.expect(3, "verify", "--policy", self.old, "--proof", self.proof, "--superseded", self.path("none"), self.entry)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Static files; bundles come compressed, unasked, as C2SP tlog-tiles allows."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if "/entries/" not in self.path:
            return super().do_GET()
        try:
            with open(self.translate_path(self.path), "rb") as file:
                data = gzip.compress(file.read())
        except OSError:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Files(Case):
    """Reading a log: a directory, and the same over HTTP."""

    def setUp(self):
        super().setUp()
        self.policy = self.write("policy", LOG.policy())
        self.names = LOG.write(self.path("log"))
        handler = functools.partial(Handler, directory=self.path("log"))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.logs = [f"http://127.0.0.1:{server.server_port}", "file:" + self.path("log")]

    def test_checkpoint(self):
        for log in self.logs:
            out = self.expect(0, "checkpoint", "--log", log, "--policy", self.policy).stdout
            self.assertEqual(out.split()[0], "PASS")
            self.assertTrue(out.endswith(LOG.note()))
            got = self.expect_json(0, "checkpoint", "--log", log, "--policy", self.policy)
            self.assertEqual((got["size"], got["note"]), (700, LOG.note()))

    def test_checkpoint_that_is_not_good_enough(self):
        self.write("log/checkpoint", LOG.note((None, None, None)))
        for log in self.logs:
            out = self.expect(1, "checkpoint", "--log", log, "--policy", self.policy).stdout
            self.assertTrue(out.startswith("NO QUORUM\n"))
        self.write("log/checkpoint", "nonsense")
        out = self.expect(1, "checkpoint", "--log", log, "--policy", self.policy).stdout
        self.assertTrue(out.startswith("MALFORMED\n"))

    def test_unreachable_is_3(self):
        for log in ("http://127.0.0.1:1", "127.0.0.1:1", "file:" + self.path("none")):
            self.expect(3, "checkpoint", "--log", log, "--policy", self.policy)
        self.assertIn("HOST:PORT", self.expect(
            2, "checkpoint", "--log", "elsewhere", "--policy", self.policy).stderr)

    def test_prove_by_index_and_by_entry(self):
        proof = self.path("p.tlog-proof")
        for log in self.logs:
            for index in (0, 255, 256, 699):
                self.expect(0, "prove", "--log", log, "--policy", self.policy,
                            "--index", str(index), "--out", proof)
                self.assertEqual(self.read("p.tlog-proof").decode(), LOG.proof(index))
            entry = self.write("entry", LOG.entries[3])
            got = self.expect_json(0, "prove", "--log", log, "--policy", self.policy,
                                   "--entry", entry, "--out", proof)
            self.assertEqual(got["index"], 3)
            self.expect(0, "verify", "--policy", self.policy, "--proof", proof, entry)

    def test_prove_writes_the_entry_itself(self):
        proof = self.path("p.tlog-proof")
        for log in self.logs:
            for index in (0, 255, 256, 699):
                self.expect(0, "prove", "--log", log, "--policy", self.policy, "--index", str(index), "--out",
                            proof, "--entry-out", self.path("got.entry"))
                self.assertEqual(self.read("got.entry"), LOG.entries[index])
        self.expect(2, "prove", "--log", "127.0.0.1:1", "--policy", self.policy, "--index", "3", "--out", proof,
                    "--entry-out", self.path("got.entry"))

    def test_prove_what_is_not_there(self):
        proof = self.path("p.tlog-proof")
        entry = self.write("entry", "never logged")
        for log in self.logs:
            common = ("prove", "--log", log, "--policy", self.policy, "--out", proof)
            self.assertTrue(self.expect(1, *common, "--entry", entry).stdout.startswith("NOT FOUND"))
            self.assertTrue(self.expect(1, *common, "--index", "700").stdout.startswith("NOT FOUND"))
            self.expect(2, *common)
            self.expect(2, *common, "--index", "1", "--entry", entry)
            self.expect(2, *common, "--index", "-1")
        self.assertFalse(os.path.exists(proof))

    def test_prove_does_not_believe_tiles(self):
        data = bytearray(self.read("log/tile/0/000"))
        data[100] ^= 1
        self.write("log/tile/0/000", bytes(data))
        for log in self.logs:
            done = self.expect(1, "prove", "--log", log, "--policy", self.policy,
                               "--index", "1", "--out", self.path("p"))
            self.assertIn("tile/0/000", done.stderr)
        self.assertFalse(os.path.exists(self.path("p")))

    def test_fsck_passes(self):
        for arguments in (("--log", self.logs[0]), ("--log", self.logs[1]),
                          ("--dir", self.path("log")), ("--dir", self.dir)):
            out = self.expect(0, "fsck", "--policy", self.policy, *arguments).stdout
            self.assertEqual(out.split("\n")[0], "PASS")
            got = self.expect_json(0, "fsck", "--policy", self.policy, *arguments)
            self.assertEqual((got["verdict"], got["ok"], got["entries"], got["bundles"]),
                             ("PASS", True, 700, 3))
            self.assertEqual((got["bad_count"], got["findings"], got["notes"]), (0, [], []))

    def test_fsck_names_each_damaged_file_and_repairs_it(self):
        mirror = self.path("mirror")
        LOG.write(mirror)
        for name in self.names:
            good = self.read("log/" + name)
            bad = bytearray(good)
            bad[len(bad) // 2] ^= 1
            self.write("log/" + name, bytes(bad))
            if name == "checkpoint":
                out = self.expect(1, "fsck", "--policy", self.policy, "--dir", self.dir).stdout
                self.assertIn("checkpoint", out)
            else:
                for arguments in (("--dir", self.dir), ("--log", self.logs[0])):
                    got = self.expect_json(1, "fsck", "--policy", self.policy, *arguments)
                    self.assertEqual(got["verdict"], "DAMAGED")
                    self.assertEqual([f["path"] for f in got["findings"]], [name])
            self.expect(0, "fsck", "--policy", self.policy, "--dir", self.dir, "--repair",
                        "--from", "file:" + mirror)
            self.assertEqual(self.read("log/" + name), good, name)

    def test_fsck_names_the_entry(self):
        data = bytearray(self.read("log/tile/entries/001"))
        at = data.index(b"entry number 444")
        data[at] ^= 0x20
        self.write("log/tile/entries/001", bytes(data))
        found = tlog.leaf_hash(LOG.entries[444].replace(b"e", b"E", 1)).hex()
        got = self.expect_json(1, "fsck", "--policy", self.policy, "--log", self.logs[0])
        finding = got["findings"][0]
        self.assertEqual((finding["path"], finding["problem"], finding["entry"]),
                         ("tile/entries/001", "wrong", 444))
        self.assertEqual((finding["expected"], finding["found"]), (LOG.leaves[444].hex(), found))
        out = self.expect(1, "fsck", "--policy", self.policy, "--dir", self.dir).stdout
        for word in ("DAMAGED", "tile/entries/001", "entry 444", found):
            self.assertIn(word, out)
        got = self.expect_json(1, "fsck", "--policy", self.policy, "--dir", self.dir, "--repair")
        self.assertFalse(got["repair"][0]["repaired"])
        self.assertEqual(self.read("log/tile/entries/001"), bytes(data))

    def test_fsck_without_quorum(self):
        self.write("log/checkpoint", LOG.note((None, None, 1790000003)))
        out = self.expect(1, "fsck", "--policy", self.policy, "--dir", self.dir).stdout
        self.assertEqual(out.split("\n")[0], "NO QUORUM")

    def test_fsck_usage(self):
        self.expect(2, "fsck", "--policy", self.policy)
        self.expect(2, "fsck", "--policy", self.policy, "--log", self.logs[0], "--dir", self.dir)
        self.expect(2, "fsck", "--policy", self.policy, "--log", self.logs[0], "--repair")
        self.expect(2, "fsck", "--policy", self.policy, "--dir", self.dir, "--from", self.logs[0])
        self.expect(3, "fsck", "--policy", self.policy, "--dir", self.path("none"))
        self.expect(3, "fsck", "--policy", self.policy, "--log", "http://127.0.0.1:1")

    def test_an_empty_log(self):
        empty = tlog.Log(0)
        policy = self.write("policy", empty.policy())
        empty.write(self.path("empty"))
        got = self.expect_json(0, "fsck", "--policy", policy, "--dir", self.path("empty"))
        self.assertEqual((got["verdict"], got["entries"]), ("PASS", 0))


if __name__ == "__main__":
    unittest.main()
