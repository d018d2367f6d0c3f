#!/usr/bin/python3
"""The verifier of the page, without a browser: its own tests in Node, the bundle's bytes, and that it agrees with the C
verifier on thousands of valid and mutated proofs, anchors, disclosures and policies.

COURTROLL_LONG=1 compares 100,000. COURTROLL_BIN names the directory of the built programs.
"""
import base64
import collections
import concurrent.futures
import json
import os
import random
import re
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

BIN = os.environ["COURTROLL_BIN"]
JUDGE = os.path.join(BIN, "..", "tests", "judge_batch")
CORE = os.path.join(ROOT, "web", "core")
IS_LONG = os.environ.get("COURTROLL_LONG") == "1"
CASES = 100000 if IS_LONG else 6000
ANCHOR_MINUTE = 29833333

NODE = shutil.which("node")
if NODE is None:
    print("no node: deploy/install-packages test")
    sys.exit(1)

with open(os.path.join(ROOT, "tests/vectors/record.json"), encoding="utf-8") as vectors_file:
    VECTORS = json.load(vectors_file)
DRAFTS = {one["name"]: json.loads(one["draft"]) for one in VECTORS["records"]}


class World:
    """A log with witnesses, ordinary entries, an ANCHOR, registrations and records; and the questions about it."""

    ORIGIN, OTHER = "log.example/a", "log.example/b"

    def __init__(self):
        self.log, self.other = tlog.Log(5, self.ORIGIN), tlog.Log(5, self.OTHER)
        self.key = bytes.fromhex(VECTORS["case_key"]["key"])
        self.submitter = make.Submitter(bytes.fromhex(VECTORS["submitter"]["seed"]))
        self.policies = [self.policy(k) for k in (0, 1, 2, 3)] + [self.nested()]
        note = self.log.note().encode()
        message = {"version": 1, "kind": check.ANCHOR, "minute": ANCHOR_MINUTE, "vouched": 1, "note": note}
        self.anchor = self.append(check.encode(message, check.OPERATION))
        self.registration = self.append(self.submitter.registration(self.ORIGIN))
        self.records = [self.record(draft, i) for i, draft in enumerate(self.drafts())]
        for log in (self.log, self.other):
            for i in range(4):
                self.append(b"late %d" % i, log)
        self.seeds = self.receipts() + self.disclosures() + self.crafted()

    def policy(self, k):
        """With both logs; the first line is the log's."""
        lines = self.log.policy(k).splitlines()
        lines.insert(1, f"log {self.other.key.vkey()}")
        return "\n".join(lines) + "\n"

    def nested(self):
        return self.policy(1).replace("group g 1 w1 w2 w3", "# two agencies\ngroup a any w1 w2\n\ngroup g all a w3")

    @staticmethod
    def drafts():
        frozen, sealed = DRAFTS["frozen"], DRAFTS["sealed"]
        with_document = {**frozen, "document": check.sha256(b"the paper\n").hex()}
        return [frozen, sealed, with_document, *(DRAFTS[name] for name in sorted(DRAFTS)[:4])]

    def record(self, draft, number):
        made = make.Record(self.ORIGIN, self.key, self.submitter, number, draft,
                           is_vouched=number == 0 and not draft.get("sealed", False))
        return made, self.append(made.seal().bytes)

    def append(self, entry, log=None):
        log = log or self.log
        log.entries.append(entry)
        log.leaves.append(tlog.leaf_hash(entry))
        return len(log.leaves) - 1

    def receipts(self):
        """[(policy, proof, document or None, anchor or None)]"""
        found = []
        anchor = self.with_extra(self.log.proof(self.anchor), self.log.entries[self.anchor])
        some = (None, None, 1790000003)
        for policy in self.policies:
            for log in (self.log, self.other):
                for index in (0, 1, len(log.entries) - 1):
                    for times in ((1790000001, 1790000002, 1790000003), (5, None, 7), some):
                        proof = log.proof(index, log.note(times))
                        found.append((policy, proof, log.entries[index], None))
            last = len(self.log.entries) - 1
            found.append((policy, self.log.proof(last), self.log.entries[last], anchor))
        return found

    def disclosures(self):
        found = []
        registration = (self.log.entries[self.registration], self.log.proof(self.registration))
        for policy in self.policies[1:4]:
            for record, index in self.records:
                for hidden in ((), ("account", "case-number", "payee", "reason", "basis")):
                    hidden = [one for one in hidden if one not in check.KINDS[record.message["kind"]].material]
                    shown = () if record.is_sealed else hidden
                    made = record.disclosure(hidden=shown, proof=self.log.proof(index), registration=registration)
                    data = check.canonical(made).decode()
                    found.append((policy, data, None, None))
                    found.append((policy, data, b"the paper\n", None))
        return found


    def crafted(self):
        """What is right in all but one thing."""
        policy = self.policies[3]
        record, index = self.records[0]
        registration = (self.log.entries[self.registration], self.log.proof(self.registration))
        late = (registration[0], self.log.proof(self.append(registration[0])))
        proof = self.log.proof(index)
        elsewhere = self.other.proof(self.append(record.bytes, self.other))
        last = len(self.log.entries) - 1
        anchor = self.with_extra(self.log.proof(self.anchor), self.log.entries[self.anchor])
        self.append(b"one more")
        grown = self.log.proof(last)
        made = [
            record.disclosure(hidden=sorted(check.KINDS[record.message["kind"]].material), proof=proof, registration=registration),
            record.disclosure(proof=elsewhere, registration=registration),
            record.disclosure(proof=proof, registration=late),
        ]
        return [(policy, grown, self.log.entries[last], anchor),
                *((policy, check.canonical(one).decode(), None, None) for one in made)]  # fmt: skip

    @staticmethod
    def with_extra(proof, entry):
        first, rest = proof.split("\n", 1)
        return f"{first}\nextra {tlog.b64(entry)}\n{rest}"


class Mutator:
    """One small change of the kinds that forgers and careless writers make."""

    def __init__(self, seed, seeds):
        self.random = random.Random(seed)
        self.seeds = seeds

    def case(self):
        policy, proof, document, anchor = self.random.choice(self.seeds)
        policy, proof = policy.encode(), proof.encode()
        document = document if document is None else bytes(document)
        anchor = anchor.encode() if anchor is not None else None
        part = self.random.choice(["nothing", "policy", "proof", "proof", "proof", "proof", "document", "anchor", "swap"])
        if part == "policy":
            policy = self.change(policy)
        elif part == "proof":
            proof = self.change(proof)
            if self.random.random() < 0.3:
                proof = self.change(proof)
        elif part == "document" and document is not None:
            document = self.change(document)
        elif part == "anchor" and anchor is not None:
            anchor = self.change(anchor)
        elif part == "swap":
            other = self.random.choice(self.seeds)
            policy = other[0].encode()
            document = other[2] if self.random.random() < 0.5 else document
        return policy, proof, document, anchor

    def change(self, data):
        ways = [self.flip, self.cut, self.lines, self.lines, self.words, self.words, self.insert, self.respell, self.inside]
        return self.random.choice(ways)(data)

    def flip(self, data):
        if not data:
            return b"x"
        at = self.random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1 :]

    def cut(self, data):
        at = self.random.randrange(len(data) + 1)
        return data[:at] if self.random.random() < 0.5 else data[at:]

    def lines(self, data):
        lines = data.split(b"\n")
        i, k = self.random.randrange(len(lines)), self.random.randrange(len(lines))
        way = self.random.randrange(5)
        if way == 0:
            del lines[i]
        elif way == 1:
            lines.insert(k, lines[i])
        elif way == 2:
            lines[i], lines[k] = lines[k], lines[i]
        elif way == 3:
            lines.insert(i, self.random.choice([b"", b" ", b"#", b"# comment", b"extra", b"extra ", b"index 1", b"quorum none"]))
        else:
            lines[i] = self.random.choice([b" " + lines[i], lines[i] + b" ", lines[i] + b"\r", lines[i].replace(b" ", b"  ", 1),
                                           lines[i].replace(b" ", b"\t", 1), lines[i].upper()])
        return b"\n".join(lines)

    def words(self, data):
        """Another number, other base64, another hash."""
        tokens = list(re.finditer(rb"[0-9]+|[A-Za-z0-9+/=]{8,}", data))
        if not tokens:
            return self.flip(data)
        token = self.random.choice(tokens)
        text = token.group()
        if text.isdigit():
            number = int(text[:30])
            new = self.random.choice([b"0" + text, b"%d" % (number + 1), b"%d" % max(0, number - 1), b"0", b"-" + text, text + b".0",
                                      b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"+" + text, b"\xd9\xa1"])
        else:
            new = self.other_base64(text)
        return data[: token.start()] + new + data[token.end() :]

    def other_base64(self, text):
        way = self.random.randrange(6)
        if way == 0: # bits behind the last byte
            bare = text.rstrip(b"=")
            return bare[:-1] + bytes([self.random.choice(b"ABCDEFGHabcdefgh0123+/")]) + text[len(bare) :]
        if way == 1:
            return text.rstrip(b"=")
        if way == 2:
            return text.replace(b"+", b"-").replace(b"/", b"_")
        if way == 3:
            return text[: len(text) // 2] + b"\n" + text[len(text) // 2 :]
        if way == 4:
            return text + b"="
        try:
            raw = bytearray(base64.b64decode(text, validate=True))
        except ValueError:
            return text[::-1]
        raw[self.random.randrange(len(raw))] ^= 1 << self.random.randrange(8)
        return base64.b64encode(bytes(raw))

    def insert(self, data):
        what = self.random.choice([b"\0", b"\r", b"\t", b"\x7f", b"\xc2\x85", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xff",
                                   b"\xed\xa0\x80", b"\xc0\x80", b"\n", b"\n\n", b"+", "—".encode(), b"\xe2\x80\x94 ", "é".encode()])
        at = self.random.choice([0, len(data), self.random.randrange(len(data) + 1)])
        return data[:at] + what + data[at:]

    def inside(self, data):
        """Of a disclosure, a member; of others, a line."""
        if not data.startswith(b"{"):
            return self.lines(data)
        try:
            made = json.loads(data)
        except ValueError:
            return self.flip(data)
        way = self.random.randrange(9)
        field = made["fields"][self.random.randrange(32)]
        if way == 0 and "value" in field:
            field["value"] = self.random.choice([None, "", "1", "0", "01", "2026-02-30", "2026-03-04", "-1", "９", "a\u0301", " x", "x\u200b",
                                                 "99" * 8, (field["value"] or "") + "1", field["name"]])
        elif way == 1 and "value" in field:
            field["salt"] = self.random.choice(["00" * 16, field["salt"].upper(), field["salt"][:-2], 5])
        elif way == 2:
            i, k = self.random.sample(range(32), 2)
            made["fields"][i], made["fields"][k] = made["fields"][k], made["fields"][i]
        elif way == 3:
            name = self.random.choice(list(made))
            made[name] = self.random.choice([None, "", 0, True, [], {}, made[name]])
        elif way == 4:
            made["registration"] = made["registration_proof"] = None
        elif way == 5:
            made["origin"] = self.random.choice([World.OTHER, "", "x" * 256, made["origin"] + "\n"])
        elif way == 6:
            made["document"] = self.random.choice([None, {"salt": "00" * 16, "sha256": None}, {"salt": "0"}])
        elif way == 7:
            record = bytearray(base64.b64decode(made["record"]))
            record[self.random.randrange(len(record))] ^= 1 << self.random.randrange(8)
            made["record"] = base64.b64encode(bytes(record)).decode()
        else:
            name = self.random.choice(["proof", "registration_proof"])
            made[name] = self.lines((made[name] or "").encode()).decode(errors="replace")
        return check.canonical(made)

    def respell(self, data):
        if not data.startswith(b"{"):
            return self.words(data)
        try:
            made = json.loads(data)
        except ValueError:
            return self.flip(data)
        return self.random.choice([
            json.dumps(made).encode(),
            check.canonical(made)[:-1],
            check.canonical(made) + b"\n",
            check.canonical(made).replace(b"e", b"\\u0065", 1),
            check.canonical(made).replace(b'"document"', b'"document":null,"document"', 1),
            json.dumps(made, sort_keys=False, separators=(",", ":")).encode() + b"\n",
        ])  # fmt: skip


def line_of(case):
    policy, proof, document, anchor = case
    names = ("policy", "proof", "document", "anchor")
    return json.dumps({name: None if data is None else data.hex() for name, data in zip(names, (policy, proof, document, anchor))})


def run(command, cases):
    text = "".join(line_of(case) + "\n" for case in cases)
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stderr.decode()[-3000:]}")
    return done.stdout.decode().splitlines()


def judge_page(cases, core=CORE):
    return run([NODE, os.path.join(ROOT, "tests/web/judge_batch.mjs"), core], cases)


class Differential(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        world = World()
        mutator = Mutator(20261124, world.seeds)
        whole = [(p.encode(), q.encode(), None if d is None else bytes(d), None if a is None else a.encode())
                 for p, q, d, a in world.seeds]  # fmt: skip
        cls.cases = whole + [mutator.case() for _ in range(CASES - len(whole))]
        cls.whole = len(whole)
        cls.said = run([JUDGE], cls.cases)

    def test_both_say_the_same_of_every_case(self):
        page = judge_page(self.cases)
        self.assertEqual((len(page), len(self.said)), (len(self.cases),) * 2)
        different = [i for i, (ours, its) in enumerate(zip(self.said, page)) if ours != its]
        told = "\n".join(f"case {i}: C {self.said[i]}, page {page[i]}: {line_of(self.cases[i])[:3000]}" for i in different[:3])
        self.assertFalse(different, f"{len(different)} of {len(page)} differ\n{told}")
        counts = collections.Counter(page)
        print(" ".join(f"{words}: {count}" for words, count in sorted(counts.items())), end=" ")
        for words in ("PASS", "PASS on the log's word alone", "NO QUORUM", "MISMATCH", "BAD SIGNATURE", "UNKNOWN LOG", "MALFORMED", "POLICY"):
            self.assertGreater(counts[words], CASES // 1000, counts)

    def test_a_verifier_with_a_fault_is_caught(self):
        """Each of these is a fault that would let something false pass, or stop something true."""
        faults = {
            "a quorum of one less": ("policy.js", "count >= node.needed", "count >= node.needed - 1"),
            "a root that nobody compares": ("tlog_proof.js", "isEqual(found, root)", "(found, root, true)"),
            "a cosignature of any text": ("note.js", "return (await ed25519.verify(vkey.key, message", "return true || (await ed25519.verify(vkey.key, message"),
            "base64 of two spellings": ("base64.js", "encode(bytes) !== text", "false"),
            "an index of two spellings": ("bytes.js", "/^(0|[1-9][0-9]{0,19})$/.test(text)", "/^[0-9]{1,20}$/.test(text)"),
            "JSON of two spellings": ("json.js", "isEqual(utf8(`${spell(value)}\\n`), bytes)", "true"),
            "hidden material fields": ("disclosure.js", "!kind.material.has(name) && !header.has(name)", "true"),
            "a proof of another log": ("disclosure.js", "verdict.checkpoint.origin === origin", "true"),
            "an anchor of another checkpoint": ("anchor.js", "require(isSame,", "require(isSame || true,"),
            "a registration that came too late": ("disclosure.js", "proof.index < index", "true"),
        }  # fmt: skip
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            is_caught = dict(zip(faults, pool.map(lambda fault: self.is_caught(*fault), faults.values())))
        self.assertEqual([name for name in faults if not is_caught[name]], [])

    def is_caught(self, file, old, new):
        sample = self.cases[: 20000 if IS_LONG else 900]
        with tempfile.TemporaryDirectory(prefix="courtroll.") as directory:
            core = shutil.copytree(CORE, os.path.join(directory, "core"))
            path = os.path.join(core, file)
            with open(path, encoding="utf-8") as source:
                text = source.read()
            assert text.count(old) >= 1, (file, old)
            with open(path, "w", encoding="utf-8") as source:
                source.write(text.replace(old, new))
            return judge_page(sample, core) != self.said[: len(sample)]


class Modules(unittest.TestCase):
    def test_their_own_tests_pass(self):
        done = subprocess.run([NODE, "--test", os.path.join(ROOT, "tests/web/")], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        self.assertRegex(done.stdout, r"(?m)^# pass [1-9]")

    def test_the_tables_are_those_of_the_documentation(self):
        subprocess.run(["python3", os.path.join(ROOT, "web/tables.py"), "--check"], check=True)

    def test_the_page_is_the_same_bytes_wherever_it_is_made(self):
        made = []
        for locale, name in (("C", "a"), ("C.UTF-8", "long name b")):
            with tempfile.TemporaryDirectory(prefix="courtroll.") as directory:
                web = shutil.copytree(os.path.join(ROOT, "web"), os.path.join(directory, name, "web"))
                out = os.path.join(directory, "out")
                subprocess.run(["python3", "-B", os.path.join(web, "bundle.py"), out], check=True, cwd="/",
                               env={**os.environ, "LC_ALL": locale, "TZ": "Asia/Shanghai"})  # fmt: skip
                made.append({file: open(os.path.join(out, file), "rb").read() for file in sorted(os.listdir(out))})
        self.assertEqual(made[0], made[1])
        page = made[0]["verify.html"]
        self.assertEqual(made[0]["verify.html.sha256"].decode(), check.sha256(page).hex() + "  verify.html\n")
        with open(os.path.join(BIN, "../web/verify.html"), "rb") as file:
            self.assertEqual(file.read(), page)
        self.assertNotRegex(page.decode(), r"""(?:src|href)=["'](?!data:|#)""")
        self.assertNotIn(b"/work", page)


if __name__ == "__main__":
    unittest.main(verbosity=2)
