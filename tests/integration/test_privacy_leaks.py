#!/usr/bin/python3
# Takes long.
"""The life of records full of words that exist nowhere else, and a search for those words afterwards: in what every
program says, in metrics and pages, in the log and all its files, in the spool, in the memory of the submitter, of the
log and of the monitor. Each search is shown to find what is there.

Memory is read through /proc, which needs root. COURTROLL_BIN names the directory of the built programs.
"""
import base64
import json
import os
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from certificates import Authority  # noqa: E402
from court import COURT, Court, CourtCase  # noqa: E402
from logd import COURTROLL, Logd, courtroll, wait_until  # noqa: E402
from monitor import Monitor, monitor_policy  # noqa: E402
from witness import Witness  # noqa: E402

SERIAL = 7654321
NUMBER = f"（2026）{COURT}执{SERIAL}号"
DEBTOR = "990101198503151239"
COMPANY = "91990000MA00000HKL"
AMOUNT = 918273645546
# Fields with words of our own; officer and asset go in as text, and are tags afterwards.
WORDS = {"account": "6200990176543210", "place": "Kryptonweg siebzehn", "reason": "zanzibar motive",
         "basis": "quetzal grounds", "debtor": DEBTOR, "institution": COMPANY, "asset": "asset wolpertinger"}
OFFICER = "Wilhelmina Quux"
CHUNK = 1 << 16


def draft(kind="FREEZE", **more):
    fields = {**WORDS, "amount": AMOUNT} if kind == "FREEZE" else {}
    return json.dumps({"case": NUMBER, "court": COURT, "kind": kind, "minute": "2026-03-04T09:31Z",
                       "officer": OFFICER, "fields": fields, **more}, ensure_ascii=False)  # fmt: skip


def spellings(secret):
    """Of a text, of bytes, or of an integer as it is committed to."""
    if isinstance(secret, int):
        return spellings(str(secret)) + [secret.to_bytes(8, "big"), secret.to_bytes(8, "little")]
    data = secret.encode() if isinstance(secret, str) else secret
    found = [data, data.hex().encode(), data.hex().upper().encode()]
    for before in range(3): # wherever it begins in what is encoded
        text = base64.b64encode(bytes(before) + data)
        found.append(text[4 if before else 0 : -4])
    if isinstance(secret, str):
        found.append(json.dumps(secret)[1:-1].encode())
        found.append(secret.encode("utf-16-le"))
    return [one for one in found if len(one) >= 7]


class Search:
    def __init__(self, secrets):
        self.names = {spelling: name for name, secret in secrets.items() for spelling in spellings(secret)}
        self.pattern = re.compile(b"|".join(re.escape(one) for one in sorted(self.names, key=len, reverse=True)))

    def __call__(self, data):
        data = data.encode() if isinstance(data, str) else data
        return {self.names[one] for one in self.pattern.findall(data)}

    def files(self, *directories):
        found = {}
        for directory in directories:
            for folder, _, names in os.walk(directory):
                for name in names:
                    found.setdefault(name, set()).update(self(os.path.join(folder, name)))
                    path = os.path.join(folder, name)
                    if os.path.isfile(path):
                        with open(path, "rb") as file:
                            found[name] |= self(file.read())
        return {name: what for name, what in found.items() if what}

    def memory(self, pid):
        """All that could be written to: stacks, heaps, data. What a core dump would have."""
        found = set()
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            regions = [line.split()[:2] for line in file]
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for addresses, mode in regions:
                begin, end = (int(one, 16) for one in addresses.split("-"))
                if not mode.startswith("rw") or end - begin > 1 << 31:
                    continue
                for at in range(begin, end, CHUNK):
                    try:
                        data = os.pread(memory.fileno(), min(CHUNK + 256, end - at), at)
                    except OSError:
                        break
                    if data != bytes(len(data)): # most of it was never touched
                        found |= self(data)
        return found


class Submitter:
    """courtroll submit, that waits for more lines."""

    def __init__(self, line):
        self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", COURTROLL, *map(str, line)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.pid = self.popen.pid

    def say(self, text):
        self.popen.stdin.write(text.encode())
        self.popen.stdin.flush()

    def receipt(self):
        return json.loads(self.popen.stdout.readline())

    def end(self):
        """(exit code, stderr)"""
        _, said = self.popen.communicate(timeout=30)
        return self.popen.returncode, said.decode()


class Leaks(CourtCase):
    def setUp(self):
        super().setUp()
        authority = Authority(self.dir)
        cert, key = authority.issue("server")
        mine, mine_key = authority.issue(self.court.name, "DNS:" + self.court.name)
        self.tls = ["--tls-ca", authority.ca, "--tls-cert", mine, "--tls-key", mine_key]
        submitters = os.path.join(self.dir, "submitters")
        with open(submitters, "w", encoding="utf-8") as file:
            file.write(f"submitter {self.court.vkey}\n")
        self.unix = "unix:" + os.path.join(self.dir, "socket")
        directory = os.path.join(self.dir, "log")
        os.makedirs(directory)
        bare = Logd(directory, is_started=False) # makes the key
        self.witness = Witness([bare.vkey])
        self.addCleanup(self.witness.close)
        self.log = self.open(
            directory=directory, schema="operation", submitters=submitters, anchor_seconds=0, tls_cert=cert,
            tls_key=key, tls_client_ca=authority.ca, grpc_listen=["127.0.0.1:0", self.unix],
            mark_path=os.path.join(self.dir, "mark"),
            policy_text=f"witness w {self.witness.vkey} {self.witness.url()}\nquorum w\n")  # fmt: skip
        self.log.grpc = self.log.grpc.split(",")[0]
        courtroll("submitter", "register", "--log", self.unix, "--key", self.court.key, "--roles",
                  "enforcement", "--from", "2026-01-01T00:00Z", code=0)  # fmt: skip
        self.said = []

    def submitter(self, *more):
        return Submitter(self.court.arguments(self.log, *self.tls, *more))

    def run_cli(self, *arguments, code=0, **options):
        done = courtroll(*arguments, code=code, **options)
        self.said.append(done.stderr)
        return done.stdout

    def secrets(self):
        return {**WORDS, "officer": OFFICER, "amount": AMOUNT, "case": NUMBER}

    def keys(self):
        """Of the court: of its case, of its payloads."""
        (name,) = os.listdir(self.court.cases)
        found = {}
        for what, path in (("case key", os.path.join(self.court.cases, name)),
                           ("payload key", self.court.payload_key)):
            with open(path, encoding="utf-8") as file:
                found[what] = base64.b64decode(file.read().splitlines()[-1])
        return found

    def salts(self, payload):
        """All of them, by way of a disclosure of everything."""
        out = os.path.join(self.dir, f"all-{os.path.basename(payload)}")
        names = [one["name"] for one in json.loads(self.run_cli(
            "record", "show", "--json", "--payload-key", self.court.payload_key, payload))["fields"]]
        self.run_cli("record", "disclose", "--payload-key", self.court.payload_key, "--fields",
                     ",".join(names), "--document", "--out", out, payload)
        with open(out, encoding="utf-8") as file:
            disclosure = json.load(file)
        self.assertIn(DEBTOR, json.dumps(disclosure))
        return {f"salt of {one['name']}": bytes.fromhex(one["salt"]) for one in disclosure["fields"]}

    def assert_clean(self, found, what):
        self.assertFalse(found, f"{what}: {found}")

    # -- what is said, shown and stored --

    def live(self):
        """Clear and sealed, opened, shown, disclosed, verified, spoilt, erased. Returns all secrets."""
        done = self.court.submit(self.log, [draft(id="clear"), draft(id="sealed", sealed=True)], "--wait", *self.tls)
        self.said.append(done.stderr)
        receipts = Court.receipts(done.stdout)
        payload, sealed = receipts["clear"]["payload"], receipts["sealed"]["payload"]
        secrets = {**self.secrets(), **self.keys(), **self.salts(payload)}
        hidden = {f"sealed: {name}": salt for name, salt in self.salts(sealed).items()}
        # What an UNSEAL shows is not hidden any more.
        for name in ("kind", "minute", "court", "submitter", "certificate"):
            hidden.pop(f"sealed: salt of {name}")
        done = self.court.submit(self.log, [draft("UNSEAL", id="unseal", unseal=sealed)], "--wait", *self.tls)
        self.said.append(done.stderr)
        disclosure = os.path.join(self.dir, "disclosure")
        key = ["--payload-key", self.court.payload_key]
        proof = os.path.join(self.dir, "proof")
        with open(proof, "wb") as file:
            file.write(base64.b64decode(receipts["clear"]["proof"]))
        self.run_cli("record", "disclose", *key, "--fields", "debtor", "--proof", proof, "--out", disclosure, payload)
        self.run_cli("record", "verify", "--policy", self.log.policy, disclosure)
        (case_key,) = os.listdir(self.court.cases)
        self.run_cli("case", "verify", "--case-key", os.path.join(self.court.cases, case_key), "--log",
                     "file:" + self.log.public, "--policy", self.log.policy)
        return {**secrets, **hidden}, payload, disclosure

    def spoil(self, payload, disclosure):
        """What goes wrong, and what is said then."""
        other = os.path.join(self.dir, "other.key")
        self.run_cli("record", "new-key", "--out", other)
        self.run_cli("record", "show", "--payload-key", other, payload, code=None)
        with open(disclosure, "rb") as file:
            data = file.read()
        for i, (old, new) in enumerate(((DEBTOR[:-1].encode(), DEBTOR[:-1].encode()[::-1]), (b'"value"', b'"valeu"'),
                                        (b"}", b""), (COMPANY.encode(), WORDS["reason"].encode()))):
            path = os.path.join(self.dir, f"spoilt{i}")
            with open(path, "wb") as file:
                file.write(data.replace(old, new))
            self.run_cli("record", "verify", "--policy", self.log.policy, path, code=None)
        bad = [draft(court=WORDS["reason"]), draft(minute=OFFICER), draft(kind=WORDS["account"]),
               draft(case=DEBTOR), draft(document=WORDS["place"]), draft(references=[OFFICER]),
               draft(fields={**WORDS, "debtor": DEBTOR[:-1] + "8"}), draft(fields={**WORDS, "start": OFFICER}),
               draft(fields={**WORDS, WORDS["place"]: 1}), draft(counts={DEBTOR: 1}), draft(sealed=OFFICER),
               draft(**{WORDS["place"]: 1}), draft()[:-40], draft()[:300] + "\t" + draft()[300:],
               draft(fields={**WORDS, "institution": COMPANY[::-1]}), draft("UNSEAL"),
               draft(fields={**WORDS, "place": "\u202e" + WORDS["place"]}), draft("DISBURSE", fields=WORDS)]
        for i, text in enumerate(bad):
            done = self.court.submit(self.log, [text], *self.tls, code=None)
            self.assertNotEqual(done.returncode, 0, f"draft {i}")
            self.assertRegex(done.stderr, "line 1")
            self.said.append(done.stderr)
        path = os.path.join(self.dir, "bad.json")
        for text in bad[:6]:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            (case_key,) = os.listdir(self.court.cases)
            self.run_cli("record", "seal", "--origin", self.log.origin, "--case-key",
                         os.path.join(self.court.cases, case_key), "--submitter-key", self.court.key,
                         "--payload-key", self.court.payload_key, "--number", 0, "--out-entry", path + ".entry",
                         "--out-payload", path + ".payload", path, code=None)
            self.assertFalse(os.path.exists(path + ".entry"))

    def test_no_word_of_it_is_said_shown_or_stored(self):
        policy = monitor_policy(self.log, os.path.join(self.dir, "monitor-policy"))
        secrets, payload, disclosure = self.live()
        monitor = Monitor([policy], operations="on", case_keys=[self.court.cases])
        self.addCleanup(monitor.close)
        self.spoil(payload, disclosure)
        size = json.loads(courtroll("status", "--log", self.unix, "--json", code=0).stdout)["durable_size"]
        self.log.wait_published(size)
        monitor.wait_held(self.log.origin, size)
        search = Search(secrets)
        self.run_cli("record", "erase", payload)
        self.assertFalse(os.path.exists(payload))

        for said in self.said:
            self.assert_clean(search(said), said)
        for what, process in (("logd", self.log.process), ("witness", self.witness.process),
                              ("monitor", monitor.process)):
            self.assertTrue(process.text())
            self.assert_clean(search(process.text()), what + " says")
        shown = {path: self.log.get(path).body for path in ("/", "/metrics", "/checkpoint", "/status")}
        shown |= {"monitor" + path: monitor.get(path).body for path in ("/", "/metrics", "/alerts")}
        shown["witness"] = self.witness.get("/metrics").body
        for what, body in shown.items():
            self.assert_clean(search(body), what)
            self.assertNotIn(self.court.name.encode(), body) # nor the submitter
        self.assert_clean(search.files(self.log.data), "the log's files")
        self.assert_clean(search.files(self.witness.data), "the witness's files")
        self.assert_clean(search.files(monitor.data), "the monitor's files")
        self.assert_clean(search.files(self.court.spool, self.court.payloads), "the submitter's files")
        # And it does find what is there: what was disclosed, and the court's keys.
        with open(disclosure, "rb") as file:
            self.assertIn("debtor", search(file.read()))
        self.assertEqual({one for found in search.files(self.court.cases).values() for one in found},
                         {"case", "case key"})

    # -- memory --

    def setUpMemory(self):
        if os.geteuid() != 0:
            self.skipTest("only root may read the memory of others")

    def test_nothing_of_it_stays_in_memory(self):
        self.setUpMemory()
        submitter = self.submitter()
        sealed = [draft(id=str(i), sealed=i % 2 == 1) for i in range(20)]
        submitter.say("".join(one + "\n" for one in sealed))
        receipts = [submitter.receipt() for _ in sealed]
        salts = self.salts(receipts[0]["payload"])
        case_key = {"case key": self.keys()["case key"]}
        search = Search({**self.secrets(), **case_key, **salts})
        self.assert_clean(search.memory(submitter.pid), "the submitter's memory")
        # Half a line has to be there; once it is a whole one, and accepted, it is not.
        text = draft(id="late")
        submitter.say(text[:-10])
        wait_until(lambda: "account" in search.memory(submitter.pid), "half a line")
        submitter.say(text[-10:] + "\n")
        submitter.receipt()
        self.assert_clean(search.memory(submitter.pid), "the submitter's memory")
        self.assert_clean(search.memory(self.log.process.pid), "the log's memory")
        self.assert_clean(search.memory(self.witness.process.pid), "the witness's memory")
        code, said = submitter.end()
        self.assertEqual((code, search(said)), (0, set()))

    def test_a_monitor_has_case_keys_and_nothing_of_payloads(self):
        self.setUpMemory()
        secrets, _, _ = self.live()
        policy = monitor_policy(self.log, os.path.join(self.dir, "monitor-policy"))
        monitor = Monitor([policy], operations="on", case_keys=[self.court.cases])
        self.addCleanup(monitor.close)
        monitor.wait_held(self.log.origin, self.log.published_size())
        self.assertLessEqual(Search(secrets).memory(monitor.process.pid), {"case key", "case"})
        self.assertIn("case key", Search(secrets).memory(monitor.process.pid)) # it is looked for rightly

    def test_nobody_but_root_reads_it_and_no_core_is_left(self):
        self.setUpMemory()
        submitter = self.submitter()
        submitter.say(draft(id="a") + "\n")
        submitter.receipt()
        with open(f"/proc/{submitter.pid}/limits", encoding="utf-8") as file:
            limit = next(line for line in file if line.startswith("Max core file size")).split()
        self.assertLessEqual(int(limit[-2]), 1) # bytes: soft and hard
        self.assertLessEqual(int(limit[-3]), 1)
        for process in (self.log.process, self.witness.process):
            with open(f"/proc/{process.pid}/limits", encoding="utf-8") as file:
                limit = next(line for line in file if line.startswith("Max core file size")).split()
            self.assertLessEqual(int(limit[-3]), 1)
        self.assertEqual(submitter.end()[0], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
