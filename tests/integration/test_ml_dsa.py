#!/usr/bin/python3
"""Keys of Ed25519 and of ML-DSA-44 side by side: a log and witnesses that sign with both, in one answer, and policies that
want either or both. With an OpenSSL before 3.5 the same receipts are read, and what cannot be checked is named and does
not count; what signs is left out there, and said to be. COURTROLL_BIN names the directory of the built programs.
"""
import base64
import json
import os
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from logd import Logd, courtroll  # noqa: E402
from witness import Witness  # noqa: E402

VECTORS = os.path.join(HERE, "../vectors/ml_dsa.json")
ORIGIN = "log.example/both"
NAMES = ("w1.example/w", "w2.example/w")


def make_key(kind, name, path):
    return courtroll("keygen", "--type", kind, "--algorithm", "ml-dsa-44", "--name", name, "--out", path)


def has_ml_dsa():
    directory = tempfile.mkdtemp(prefix="courtroll.")
    try:
        return make_key("witness", "w.example", os.path.join(directory, "key")).returncode == 0
    finally:
        shutil.rmtree(directory)


IS_AVAILABLE = has_ml_dsa()

# What each policy wants of the two witnesses' four keys: who has signed, and what is then said.
RULES = {
    "old": "group q all w1 w2\nquorum q\n",
    "new": "group q all w1p w2p\nquorum q\n",
    "both": "group a all w1 w1p\ngroup b all w2 w2p\ngroup q all a b\nquorum q\n",
    "either": "group a any w1 w1p\ngroup b any w2 w2p\ngroup q all a b\nquorum q\n",
}
KEYS = {"old": ("w1", "w2"), "new": ("w1p", "w2p"), "all": ("w1", "w2", "w1p", "w2p"), "mixed": ("w1", "w2p")}
PASSES = {
    ("old", "old"), ("old", "all"), ("new", "new"), ("new", "all"), ("both", "all"),
    ("either", "old"), ("either", "new"), ("either", "all"), ("either", "mixed"),
}  # fmt: skip


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Receipts(unittest.TestCase):
    """Receipts of a log and two witnesses with both keys, as they were made with OpenSSL 3.5."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.vectors = json.loads(read(VECTORS))

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def verify(self, rule, signers, logs="log", code=None):
        lines = self.vectors["lines"]
        policy = self.vectors[logs] + "".join(self.vectors["witnesses"]) + RULES[rule]
        receipt = self.vectors["proof"] + "".join(lines[name] for name in signers)
        done = courtroll("verify", "--json", "--policy", self.write("policy", policy), "--proof",
                         self.write("proof", receipt), self.write("entry", self.vectors["entry"]), code=code)  # fmt: skip
        return json.loads(done.stdout)

    def test_each_policy_counts_the_keys_that_it_names(self):
        for rule in RULES:
            for name, signers in KEYS.items():
                told = self.verify(rule, ("log", *signers))
                counted = {key for key in signers if IS_AVAILABLE or not key.endswith("p")}
                passes = (rule, name) in PASSES
                if not IS_AVAILABLE:
                    passes = rule in ("old", "either") and {"w1", "w2"} <= counted
                self.assertEqual(told["ok"], passes, (rule, name, told))
                self.assertEqual(told["verdict"], "PASS" if passes else "NO QUORUM", (rule, name))
                self.assertEqual({one["name"] for one in told["witnesses"] if one["cosigned"]}, counted)
                self.assertEqual({one["name"] for one in told["witnesses"] if one["unchecked"]}, set(signers) - counted)

    def test_the_log_may_sign_with_either_key(self):
        self.assertTrue(self.verify("old", ("log", "w1", "w2"), "logs")["ok"])
        told = self.verify("old", ("logp", "w1", "w2"), "logs")
        self.assertEqual(told["verdict"], "PASS" if IS_AVAILABLE else "BAD SIGNATURE", told)
        if not IS_AVAILABLE:
            self.assertRegex(told["detail"], "signed by log.example/both with ML-DSA-44 alone, which cannot be checked here")
        told = self.verify("old", ("logp", "w1", "w2"), "log")
        self.assertEqual(told["verdict"], "BAD SIGNATURE")

    def test_words_name_what_was_not_checked(self):
        self.verify("either", ("log", "w1", "w2", "w1p", "w2p"))
        shown = courtroll("verify", "--policy", os.path.join(self.dir, "policy"), "--proof",
                          os.path.join(self.dir, "proof"), os.path.join(self.dir, "entry"), code=0).stdout  # fmt: skip
        self.assertEqual(shown.count("not counted (OpenSSL 3.5 can)"), 0 if IS_AVAILABLE else 2, shown)

    def test_a_changed_line_is_bad_and_not_absent(self):
        line = self.vectors["lines"]["w1p"]
        self.vectors["lines"]["w1p"] = line[:2000] + ("A" if line[2000] != "A" else "B") + line[2001:]
        told = self.verify("old", KEYS["all"] + ("log",))
        self.assertTrue(told["ok"])
        self.assertEqual(told["bad_signatures"], 1 if IS_AVAILABLE else 0)

    def test_keygen_says_what_it_needs(self):
        for kind in ("promise", "submitter", "monitor"):
            done = make_key(kind, "a.example/promise" if kind == "promise" else "a.example", os.path.join(self.dir, kind))
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("is for keys of --type log and witness", done.stderr)
        if not IS_AVAILABLE:
            done = make_key("witness", "a.example", os.path.join(self.dir, "key"))
            self.assertRegex(done.stderr, r"has no ML-DSA-44: keys of type 0x06 need OpenSSL 3.5 or later")
            self.assertFalse(os.path.exists(os.path.join(self.dir, "key")))


@unittest.skipUnless(IS_AVAILABLE, "OpenSSL here has no ML-DSA-44: it comes with 3.5 (Debian 13)")
class BothKeys(unittest.TestCase):
    """Real processes."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def open(self, rule):
        self.paths = {name: os.path.join(self.dir, name) for name in ("logp", "w1p", "w2p")}
        os.mkdir(os.path.join(self.dir, "log"))
        log = Logd(os.path.join(self.dir, "log"), ORIGIN, is_started=False, checkpoint_interval_ms=50)
        self.assertEqual(make_key("log", ORIGIN, self.paths["logp"]).returncode, 0)
        self.witnesses = []
        for i, name in enumerate(NAMES):
            second = self.paths[f"w{i + 1}p"]
            self.assertEqual(make_key("witness", name, second).returncode, 0)
            directory = os.path.join(self.dir, f"witness{i}")
            os.mkdir(directory)
            witness = Witness([log.vkey], directory, name=name, is_started=False)
            witness.start(key=[witness.key_file, second])
            self.addCleanup(witness.close)
            self.witnesses.append(witness)
        self.vkeys = {name: read(path + ".vkey").strip() for name, path in self.paths.items()}
        self.vkeys.update(log=log.vkey, w1=self.witnesses[0].vkey, w2=self.witnesses[1].vkey)
        self.lines = [f"witness {name} {self.vkeys[name]} http://{self.witnesses[int(name[1]) - 1].http}\n"
                      for name in ("w1", "w2", "w1p", "w2p")]  # fmt: skip
        with open(log.policy, "w", encoding="utf-8") as file:
            file.write(f"log {log.vkey}\nlog {self.vkeys['logp']}\n" + "".join(self.lines) + RULES[rule])
        log.start(ml_dsa_key=self.paths["logp"])
        self.addCleanup(log.close)
        return log

    def receipt(self, log, text="an entry under six signatures\n"):
        entry = os.path.join(self.dir, "entry")
        with open(entry, "w", encoding="utf-8") as file:
            file.write(text)
        done = courtroll("append", "--log", log.grpc, "--policy", log.policy, "--proof-dir", self.dir, entry, code=0)
        proof = os.path.join(self.dir, done.stdout.split()[0] + ".tlog-proof")
        told = courtroll("verify", "--json", "--policy", log.policy, "--proof", proof, entry, code=0)
        return read(proof), json.loads(told.stdout)

    def test_a_log_and_its_witnesses_sign_with_both(self):
        receipt, told = self.receipt(self.open("both"))
        self.assertEqual(told["verdict"], "PASS")
        self.assertEqual([one["cosigned"] for one in told["witnesses"]], [True] * 4)
        self.assertEqual(told["f"], 2, "two witnesses, whatever keys they have")
        names = [line.split(" ")[1] for line in receipt.splitlines() if line.startswith("\u2014 ")]
        self.assertEqual(sorted(names), sorted([ORIGIN, *NAMES] * 2))
        save = os.environ.get("COURTROLL_SAVE_ML_DSA")
        if save:
            self.save(save, receipt)

    def save(self, path, receipt):
        """The vectors of the tests above."""
        head = receipt[: receipt.index("\u2014 ")]
        ids = {"".join(vkey.split("+")[:2]): name for name, vkey in self.vkeys.items()}
        lines = {}
        for line in receipt[len(head) :].splitlines():
            _, name, data = line.split(" ")
            lines[ids[name + base64.b64decode(data)[:4].hex()]] = line + "\n"
        vectors = {
            "entry": "an entry under six signatures\n",
            "proof": head,
            "log": f"log {self.vkeys['log']}\n",
            "logs": f"log {self.vkeys['log']}\nlog {self.vkeys['logp']}\n",
            "witnesses": [" ".join(line.split(" ")[:3]) + "\n" for line in self.lines],
            "lines": lines,
        }
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(vectors, indent=1) + "\n")

    def test_what_signs_anything_else_refuses_such_a_key(self):
        self.assertEqual(make_key("log", "log.example", os.path.join(self.dir, "key")).returncode, 0)
        witness = Witness([], self.dir, is_started=False)
        code, words = witness.fails_to_start(bastion="127.0.0.1:1", bastion_key=os.path.join(self.dir, "key"))
        self.assertIn("a key of Ed25519 is needed here", words, code)

    def test_a_restart_goes_on_and_a_lone_new_key_is_refused(self):
        log = self.open("either")
        self.receipt(log)
        log.stop()
        log.start(ml_dsa_key=self.paths["logp"])
        self.assertEqual(self.receipt(log, "another entry\n")[1]["verdict"], "PASS")
        log.stop()
        code, words = log.fails_to_start(key=self.paths["logp"])
        self.assertEqual((code != 0, "given as ml-dsa-key" in words), (True, True), words)
        code, words = log.fails_to_start(ml_dsa_key=self.paths["w1p"])
        self.assertIn(f"expected {ORIGIN} of type 0x06", words)
        witness = self.witnesses[0]
        witness.stop()
        code, words = witness.fails_to_start(key=self.paths["w1p"])
        self.assertIn("give one of type 0x04 before it", words)


if __name__ == "__main__":
    unittest.main()
