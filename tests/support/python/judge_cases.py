"""Questions for verifiers, thousands of them: a log with witnesses, ordinary entries, ANCHORs, registrations and records;
and what forgers and careless writers make of its proofs, disclosures and policies. From seeds: the same each time.

A question is (policy, proof, document or None, anchor or None), all bytes; a proof that begins with '{' is a disclosure.
"""
import base64
import hashlib
import json
import os
import random
import re

import record_check as check
import record_make as make
import tlog

HERE = os.path.dirname(os.path.abspath(__file__))
ANCHOR_MINUTE = 29833333
ML_DSA_44 = 6

with open(os.path.join(HERE, "../../vectors/record.json"), encoding="utf-8") as vectors_file:
    VECTORS = json.load(vectors_file)
DRAFTS = {one["name"]: json.loads(one["draft"]) for one in VECTORS["records"]}


def blob_line(name, key_id, signature):
    return f"\u2014 {name} {tlog.b64(key_id + signature)}\n"


class MlDsaKey:
    """Has no private half: what it signs never verifies, but where no ML-DSA is known nobody can tell."""

    def __init__(self, name):
        self.name = name
        self.public = bytes([ML_DSA_44]) + random.Random(name).randbytes(1312)
        self.id = hashlib.sha256(name.encode() + b"\n" + self.public).digest()[:4]

    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{tlog.b64(self.public)}"

    def line(self, _text, time=0):
        return blob_line(self.name, self.id, time.to_bytes(8, "big") + random.Random(time).randbytes(2420))


class TwistedKey(tlog.Key):
    """An honest witness's key and a point of order 8 in one: implementations differ on what it signs, if they do at all."""

    TORSION = tlog._decompress(check.Y8.to_bytes(32, "little"))

    def __init__(self, name):
        super().__init__(name, tlog.COSIGNATURE)
        self.secret, self.prefix = tlog._expand(self.seed)
        point = tlog._add(tlog._mul(self.secret, tlog.BASE), self.TORSION)
        self.public = bytes([self.kind]) + tlog._compress(point)
        self.id = hashlib.sha256(name.encode() + b"\n" + self.public).digest()[:4]

    def sign(self, message, r):
        """`r` is the number of R; None: R is whatever the torsion leaves when the number is 0."""
        def hash_of(point):
            data = point + self.public[1:] + message
            return int.from_bytes(hashlib.sha512(data).digest(), "little") % tlog.L

        if r is not None:
            point = tlog._compress(tlog._mul(r, tlog.BASE))
            return point + ((r + hash_of(point) * self.secret) % tlog.L).to_bytes(32, "little")
        for i in range(8):
            point = tlog._compress(tlog._mul(i, self.TORSION))
            k = hash_of(point)
            if (i + k) % 8 == 0:
                return point + (k * self.secret % tlog.L).to_bytes(32, "little")
        return bytes(64)

    def line(self, text, time=0):
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        signature = self.sign(message, None if time % 2 else time)
        return blob_line(self.name, self.id, time.to_bytes(8, "big") + signature)


class World:
    ORIGIN, OTHER, UNKNOWN = "log.example/a", "log.example/b", "log.example/unknown"

    def __init__(self, has_ml_dsa=True):
        self.log, self.other, self.unknown = (tlog.Log(5, origin) for origin in (self.ORIGIN, self.OTHER, self.UNKNOWN))
        self.second = tlog.Key(self.ORIGIN, tlog.ED25519, hashlib.sha256(b"second").digest())
        self.key = bytes.fromhex(VECTORS["case_key"]["key"])
        self.submitter = make.Submitter(bytes.fromhex(VECTORS["submitter"]["seed"]))
        self.policies = [self.policy(k) for k in (0, 1, 2, 3)] + [self.nested()]
        self.anchors = self.append_anchors()
        self.registrations = [self.append(one) for one in self.make_registrations()]
        self.registration = self.registrations[0]
        self.records = [self.record(draft, i) for i, draft in enumerate(self.drafts())]
        self.dishonest = [(record, hidden, self.append(record.bytes)) for record, hidden in self.make_dishonest()]
        for log in (self.log, self.other):
            for i in range(4):
                self.append(b"late %d" % i, log)
        self.unknown.entries, self.unknown.leaves = self.log.entries[:], self.log.leaves[:]
        self.seeds, self.areas = [], {}  # areas: where the questions of each method are in seeds
        areas = [self.receipts, self.odd_notes, self.spelled, self.twisted, self.with_anchors, self.disclosures]
        for area in (*areas, self.of_dishonest, self.crafted, *([self.of_ml_dsa] if has_ml_dsa else [])):
            made = [tuple(part.encode() if isinstance(part, str) else part for part in one) for one in area()]
            self.areas[area.__name__] = slice(len(self.seeds), len(self.seeds) + len(made))
            self.seeds += made

    # -- policies --

    def policy(self, k):
        """With both logs; the first line is the log's."""
        lines = self.log.policy(k).splitlines()
        lines.insert(1, f"log {self.other.key.vkey()}")
        return "\n".join(lines) + "\n"

    def nested(self):
        return self.policy(1).replace("group g 1 w1 w2 w3", "# two agencies\ngroup a any w1 w2\n\ngroup g all a w3")

    def random_policy(self, rng):
        """Of groups in groups, with witnesses that sign and such that do not."""
        keys = self.log.witnesses + [tlog.Key(f"idle{i}.example", tlog.COSIGNATURE) for i in range(3)]
        lines = [f"log {log.key.vkey()}" for log in (self.log, self.other)]
        lines += [f"witness n{i} {key.vkey()}" for i, key in enumerate(keys)]
        free = [f"n{i}" for i in range(len(keys))]
        for number in range(rng.randrange(1, 6)):
            members = [free.pop(rng.randrange(len(free))) for _ in range(min(len(free), rng.randrange(1, 5)))]
            needed = rng.choice(["all", "any", *map(str, range(1, len(members) + 1)), str(len(members) + rng.randrange(2))])
            lines.append(f"group g{number} {needed} {' '.join(members)}")
            free.append(f"g{number}")
        lines.append(f"quorum {free[-1] if rng.random() < 0.9 else rng.choice(free + ['none', 'g9'])}")
        return "\n".join(lines) + "\n"

    # -- entries --

    def append(self, entry, log=None):
        log = log or self.log
        log.entries.append(entry)
        log.leaves.append(tlog.leaf_hash(entry))
        return len(log.leaves) - 1

    def append_anchors(self):
        """Their indices: a good one first."""
        larger = self.log.note().replace("log.example/a\n5\n", "log.example/a\n500\n")
        text = larger.split("\n\n")[0] + "\n"
        notes = [
            self.log.note(),
            self.log.note((None, None, 1790000001)),
            self.other.note(),
            self.unknown.note(),
            self.log.note().replace("a\n5\n", "a\n4\n"),
            text + "\n" + self.log.key.line(text) + "".join(key.line(text, 1790000001) for key in self.log.witnesses),
        ]
        made = [{"version": 1, "kind": check.ANCHOR, "minute": ANCHOR_MINUTE, "vouched": 1, "note": note.encode()} for note in notes]
        return [self.append(check.encode(message, check.OPERATION)) for message in made]

    def make_registrations(self):
        seed = self.submitter.seed
        made = [self.submitter.registration(self.ORIGIN)]
        made += [self.submitter.registration(self.ORIGIN, **other) for other in (
            {"courts": ("京01",)}, {"courts": ()}, {"roles": (2, 3)}, {"start": 29842171}, {"end": 29454481})]  # fmt: skip
        names = ["6222021234567890123.example", "13800138000.example", "86-138-0013-8000.example", "11010519491231002x.example",
                 "1101051949-1231002x.example", "91350100m000100y43.example", "a91350100m000100y43b.example", "x.1a2b3c4d5e6f708192a3b4c5d6e7f809.cn",
                 "12345678901234.example", "12345678901234567890.example", "a.1", "a..b", "-a.b", "a.b-", "A.b", "a" * 64, "a" * 63]  # fmt: skip
        made += [make.Submitter(seed, name).registration(self.ORIGIN) for name in names]
        made += [self.submitter.registration(self.OTHER), make.Submitter(bytes(32)).registration(self.ORIGIN)]
        return made

    @staticmethod
    def drafts():
        frozen, sealed = DRAFTS["frozen"], DRAFTS["sealed"]
        with_document = {**frozen, "document": check.sha256(b"the paper\n").hex()}
        return [frozen, sealed, with_document, *(DRAFTS[name] for name in sorted(DRAFTS)[:4])]

    def record(self, draft, number):
        made = make.Record(self.ORIGIN, self.key, self.submitter, number, draft,
                           is_vouched=number == 0 and not draft.get("sealed", False))
        return made, self.append(made.seal().bytes)

    def make_dishonest(self):
        """[(record, what is hidden)]: committed to and signed, and wrong all the same."""
        def made(draft, number, change, hidden=()):
            record = make.Record(self.ORIGIN, self.key, self.submitter, number, DRAFTS[draft])
            change(record)
            return record.seal(), hidden

        def other_court(record):
            record.message["court"] = check.court_tag("京01")

        def other_certificate(record):
            record.set("certificate", bytes(16) + record.certificate[16:])

        def bad_certificate(record):
            record.set("certificate", record.certificate[:-1] + b"\0")

        weak = make.Submitter(self.submitter.seed)
        weak.public = bytes([1]) + bytes(31)
        weak.id = check.submitter_id(weak.public)
        anybodys = make.Record(self.ORIGIN, self.key, weak, 60, DRAFTS["frozen"]).seal()
        anybodys.bytes = anybodys.bytes[:-64] + bytes([1]) + bytes(63)
        return [
            made("frozen", 50, other_court), made("frozen", 51, other_court, ("court", "amount")), made("frozen", 52, other_court, ("amount",)),
            made("frozen", 53, lambda record: record.set("number", None)), made("frozen", 54, lambda record: record.set("number", None), ("amount",)),
            made("frozen", 55, lambda record: record.set("payee", bytes(16))),
            made("sealed", 56, other_certificate), made("sealed", 57, other_certificate, ("minute",)), made("sealed", 58, other_certificate, ("kind",)),
            made("sealed", 59, bad_certificate), made("sealed", 61, lambda record: record.set("kind", None)),
            made("sealed", 62, lambda record: record.set("kind", None), ("submitter",)), made("sealed", 63, lambda record: None, ("kind",)),
            made("sealed", 64, lambda record: None, ("certificate",)), (anybodys, ()),
        ]  # fmt: skip

    # -- questions --

    def receipts(self):
        found = []
        some = (None, None, 1790000003)
        for policy in self.policies:
            for log in (self.log, self.other, self.unknown):
                for index in (0, 1, len(log.entries) - 1):
                    for times in ((1790000001, 1790000002, 1790000003), (5, None, 7), some):
                        found.append((policy, log.proof(index, log.note(times)), log.entries[index], None))
        return found

    def notes_of(self, text, lines):
        """A question about entry 0 under this note."""
        hashes = "".join(tlog.b64(one) + "\n" for one in tlog.inclusion(0, self.log.leaves))
        return f"c2sp.org/tlog-proof@v1\nindex 0\n{hashes}\n{text}\n{lines}"

    def odd_notes(self):
        """Signed, all of them, and not what a log signs; and lines that are not what a policy hopes for."""
        good, entry = self.log.text(), self.log.entries[0]
        size, empty = f"\n{len(self.log.entries)}\n", tlog.b64(hashlib.sha256(b"").digest())
        texts = [good, good + "extension\n", good + "extension\n\nmore\n", good.replace(size, f"\n0{size[1:]}"),
                 good.replace(size, "\n9223372036854775807\n"), good.replace(size, "\n9223372036854775808\n"), f"{self.ORIGIN}\n0\n{empty}\n",
                 good.replace(size, "\n0\n"), good.replace("=\n", "\n"), f"{self.ORIGIN}\n{size[1:]}", good.replace(size, "\n1\n")]  # fmt: skip
        cosign = lambda text: "".join(key.line(text, 1790000001) for key in self.log.witnesses)  # noqa: E731
        made = [(self.policies[2], self.notes_of(text, self.log.key.line(text) + cosign(text)), entry, None) for text in texts]
        both = self.policies[2].replace("\n", f"\nlog {self.second.vkey()}\n", 1)
        ours, its, bad = self.log.key.line(good), self.second.line(good), self.second.line(good + "x\n")
        for lines in (its, ours + its, its + ours, ours + bad, bad + ours, its + bad, bad + its, ours * 50 + cosign(good), ours * 98 + cosign(good)):
            made += [(policy, self.notes_of(good, lines + cosign(good)), entry, None) for policy in (both, self.policies[2])]
        for times in ((0, 0, 5), (1, 1, 1), (2**63, 2, 2), (2**53 - 1, 3, 4), (7, 6, 5), (2, 2, 3)):
            lines = "".join(key.line(good, time) for key, time in zip(self.log.witnesses, times))
            made += [(policy, self.notes_of(good, ours + lines), entry, None) for policy in (*self.policies[1:], both)]
        return made

    def spelled(self):
        """Numbers and base64 in other ways."""
        policy, entry, good = self.policies[2], self.log.entries[1], self.log.proof(1)

        def stray(text):
            """Bits behind the last byte."""
            return re.sub(r"([AEIMQUYcgkosw048])=\n", lambda found: chr(ord(found[1]) + 1) + "=\n", text, count=1)

        proof, note = good.split("\n\n", 1)
        text, lines = note.split("\n\n", 1)
        made = [stray(good), f"{proof}\n\n{stray(text + chr(10))}\n{lines}", f"{proof}\n\n{text}\n\n{stray(lines)}", good + "\n", good[:-1]]
        made += [good.replace("index 1\n", f"index {one}\n") for one in ("01", "+1", "1 ", "0x1", "1.0", "", "18446744073709551617")]
        return [(policy, one, entry, None) for one in made]

    def twisted(self):
        """Keys and signatures of small order, S that is not reduced."""
        good, entry, made = self.log.text(), self.log.entries[0], []
        key, honest = TwistedKey("twisted.example"), self.log.witnesses[0]
        policy = f"log {self.log.key.vkey()}\nwitness t {key.vkey()}\nquorum t\n"
        ours = self.log.key.line(good)
        made += [(policy, self.notes_of(good, ours + key.line(good, time)), entry, None) for time in range(1790000001, 1790000041)]
        secret, _ = tlog._expand(honest.seed)
        for r in (bytes([1]) + bytes(31), bytes([1]) + bytes(30) + b"\x80", (tlog.P + 1).to_bytes(32, "little")):
            message = f"cosignature/v1\ntime 7\n{good}".encode()
            k = int.from_bytes(hashlib.sha512(r + honest.public[1:] + message).digest(), "little")
            for s in (k * secret % tlog.L, k * secret % tlog.L + tlog.L):
                line = blob_line(honest.name, honest.id, (7).to_bytes(8, "big") + r + s.to_bytes(32, "little"))
                made.append((self.policies[1], self.notes_of(good, ours + line), entry, None))
        blob = base64.b64decode(honest.line(good, 7).split(" ")[2])
        larger = (int.from_bytes(blob[-32:], "little") + tlog.L).to_bytes(32, "little")
        made.append((self.policies[1], self.notes_of(good, ours + blob_line(honest.name, b"", blob[:-32] + larger)), entry, None))
        return made

    def of_ml_dsa(self):
        """Witnesses with keys of the other kind; what they sign is absent."""
        good, entry = self.log.text(), self.log.entries[0]
        key, honest = MlDsaKey("mldsa.example"), self.log.witnesses[0]
        head = f"log {self.log.key.vkey()}\nwitness m {key.vkey()}\nwitness w {honest.vkey()}\n"
        ours = self.log.key.line(good)
        tails = ("quorum m\n", "quorum w\n", "group g any m w\nquorum g\n", "group g all m w\nquorum g\n", "quorum none\n")
        # Keys of one name are one witness: f and what may be down must say so on both sides.
        same = MlDsaKey(honest.name)
        twice = f"log {self.log.key.vkey()}\nwitness w {honest.vkey()}\nwitness p {same.vkey()}\nwitness m {key.vkey()}\n"
        rules = ("group g all w p\nquorum g\n", "group a any w p\ngroup g all a m\nquorum g\n", "group g 2 w p m\nquorum g\n",
                 "group a all w m\ngroup g any a p\nquorum g\n", "group g all w p m\nquorum g\n")
        counted = [(twice + rule, self.notes_of(good, ours + honest.line(good, 8)), entry, None) for rule in rules]
        lines = (key.line(good, 9), key.line(good, 9) + honest.line(good, 8), honest.line(good, 8), "")
        return counted + [(head + tail, self.notes_of(good, ours + line), entry, None) for tail in tails for line in lines]

    def with_anchors(self):
        found = []
        last = len(self.log.entries) - 1
        its = self.unknown.proof(self.anchors[0])
        others = [self.log.proof(self.anchors[0]), self.with_extra(self.log.proof(1), self.log.entries[1]),
                  self.with_extra(self.log.proof(last), self.log.entries[last]), self.with_extra(self.other.proof(1), self.other.entries[1]),
                  self.with_extra(its, self.log.entries[self.anchors[0]]), self.with_extra(self.log.proof(1), self.log.entries[self.anchors[0]]), ""]  # fmt: skip
        made = [self.with_extra(self.log.proof(one), self.log.entries[one]) for one in self.anchors]
        for policy in self.policies:
            found += [(policy, self.log.proof(last), self.log.entries[last], anchor) for anchor in made + others]
            found.append((policy, self.log.proof(self.anchors[1]), self.log.entries[self.anchors[1]], made[0]))
            found.append((policy, self.log.proof(self.anchors[0]), self.log.entries[self.anchors[0]], made[0]))
        return found

    def registered(self, number=0):
        index = self.registrations[number]
        return self.log.entries[index], self.log.proof(index)

    def disclosures(self):
        found = []
        for policy in self.policies[1:4]:
            for record, index in self.records:
                for hidden in ((), ("account", "case-number", "payee", "reason", "basis")):
                    hidden = [one for one in hidden if one not in check.KINDS[record.message["kind"]].material]
                    shown = () if record.is_sealed else hidden
                    made = record.disclosure(hidden=shown, proof=self.log.proof(index), registration=self.registered())
                    data = check.canonical(made)
                    found.append((policy, data, None, None))
                    found.append((policy, data, b"the paper\n", None))
        return found

    def of_dishonest(self):
        found = []
        for record, hidden, index in self.dishonest:
            for registration in (None, self.registered()):
                made = record.disclosure(hidden=hidden, proof=self.log.proof(index), registration=registration)
                found.append((self.policies[2], check.canonical(made), None, None))
        return found

    def crafted(self):
        """What is right in all but one thing."""
        policy = self.policies[3]
        record, index = self.records[2]
        proof, registration = self.log.proof(index), self.registered()
        weak = self.log.proof(index, self.log.note((1, None, None)))
        made = [
            record.disclosure(hidden=sorted(check.KINDS[record.message["kind"]].material), proof=proof, registration=registration),
            record.disclosure(proof=self.other.proof(self.append(record.bytes, self.other))),
            record.disclosure(proof=weak, registration=registration),
            record.disclosure(proof=proof, registration=(registration[0], self.log.proof(self.registration, self.log.note((1, None, None))))),
            record.disclosure(proof=self.unknown.proof(index), registration=registration),
            record.disclosure(proof=proof, registration=(self.log.entries[self.anchors[0]], self.log.proof(self.anchors[0]))),
            record.disclosure(has_document=False, proof=proof, registration=registration),
            *(record.disclosure(proof=proof, registration=self.registered(number)) for number in range(len(self.registrations))),
        ]  # fmt: skip
        data = check.canonical(made[6])
        broken = data.replace(b'"signing_key":"', b'"signing_key":"00', 1).replace(b'00"}', b'"}', 1)
        spelled = [data.replace(b'"proof":"', b'"proof":"\\u0000', 1), broken.replace(b'"proof":"', b'"proof":"\\u0000', 1),
                   data.replace(b'"proof":"', b'"proof":"' + b"x" * 1200000, 1), data[:-1] + b" " * 2621440, b"[" * 100000,
                   data.replace(b'"document":null', b'"document":' + b"[" * 9000 + b"]" * 9000, 1), b"{}\n", b"{", b"",
                   json.dumps(made[6]).encode() + b"\n", data[:-1], b"\xef\xbb\xbf" + data]  # fmt: skip
        found = [(policy, check.canonical(one), None, None) for one in made] + [(policy, one, None, None) for one in spelled]
        late = (registration[0], self.log.proof(self.append(registration[0])))
        anchor = self.with_extra(self.log.proof(self.anchors[0]), self.log.entries[self.anchors[0]])
        found.append((policy, check.canonical(record.disclosure(proof=self.log.proof(index), registration=late)), None, None))
        last = len(self.log.entries) - 1
        self.append(b"one more")
        return [*found, (policy, self.log.proof(last), self.log.entries[last], anchor)]

    @staticmethod
    def with_extra(proof, entry):
        first, rest = proof.split("\n", 1)
        return f"{first}\nextra {tlog.b64(entry)}\n{rest}"


class Mutator:
    """One small change of the kinds that forgers and careless writers make."""

    def __init__(self, seed, world):
        self.random = random.Random(seed)
        self.world = world
        self.seeds = [one for one in world.seeds if sum(len(part or b"") for part in one) < 100000 and b"[[" not in one[1]]

    def case(self):
        policy, proof, document, anchor = self.random.choice(self.seeds)
        part = self.random.choice(["policy", "policies", "proof", "proof", "proof", "proof", "document", "anchor", "swap"])
        if part == "policy":
            policy = self.change(policy)
        elif part == "policies":
            policy = self.world.random_policy(self.random).encode()
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
            policy = other[0]
            document = other[2] if self.random.random() < 0.5 else document
        return policy, proof, document, anchor

    def change(self, data):
        ways = [self.flip, self.cut, self.lines, self.lines, self.words, self.words, self.insert, self.respell, self.inside]
        try:
            return self.random.choice(ways)(data)
        except (AttributeError, KeyError, RecursionError, TypeError, UnicodeError):
            return self.flip(data)  # what was to be changed is no longer what it was

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
        if len(made.get("fields", ())) != 32:
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
