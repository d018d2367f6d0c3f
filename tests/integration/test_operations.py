#!/usr/bin/python3
"""The runbook of docs/operations.md, step by step: moving a log to another disk or host, a witness that comes and one that
goes, a new binary while clients append. COURTROLL_BIN names the directory of the built programs.
"""
import base64
import json
import os
import shutil
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from fake_witness import FakeWitness, policy_text  # noqa: E402
from logd import LOGD, Logd, courtroll, wait_until  # noqa: E402
from reader import of_directory, read_log  # noqa: E402

RESTARTS = 4
CLIENTS = 3
CHANGES = 150  # of a proof's bytes


class Runbook(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.witnesses = [FakeWitness(name) for name in ("w1", "w2", "w3")]
        for witness in self.witnesses:
            self.addCleanup(witness.stop)
        os.mkdir(self.path("host"))
        self.log = Logd(self.path("host"), policy_text=policy_text(self.witnesses, 2), is_started=False,
                        checkpoint_interval_ms=50, mark_path=self.path("mark"))  # fmt: skip
        self.addCleanup(self.log.close)
        self.log.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def receipt(self, text):
        """Appends, waits for the quorum; (proof, entry)."""
        entry = self.write(text, text)
        done = courtroll("append", "--log", self.log.grpc, "--policy", self.log.policy, "--proof-dir", self.dir, entry, code=0)
        return self.path(done.stdout.split()[0] + ".tlog-proof"), entry

    def verify(self, proof, entry, policy=None, code=0):
        return courtroll("verify", "--policy", policy or self.log.policy, "--proof", proof, entry, code=code).stdout

    # -- moving --

    def test_a_log_moves_and_its_old_receipts_hold(self):
        old = [self.receipt(f"entry {i}") for i in range(3)]
        self.assertEqual(self.log.stop(), 0)
        shutil.copytree(self.log.data, self.path("moved"))
        self.log.settings["data_dir"] = self.path("moved")
        courtroll("fsck", "--policy", self.log.policy, "--dir", self.path("moved/log"), code=0)
        self.log.start()
        wait_until(lambda: self.log.get("/readyz").status == 200, "admission")
        for proof in (*old, self.receipt("after the move")):
            self.verify(*proof)
        self.assertEqual(self.log.status()["durable_size"], 4)

    def test_the_directory_left_behind_signs_nothing(self):
        """The mark went along, and says more than the old directory has."""
        self.receipt("before")
        self.assertEqual(self.log.stop(), 0)
        shutil.copytree(self.log.data, self.path("moved"))
        self.log.start(data_dir=self.path("moved"))
        size = self.witnesses[0].size
        self.receipt("after")
        self.assertEqual(self.log.stop(), 0)
        self.log.start()
        self.assertEqual(self.log.get("/readyz").status, 503)
        refused = courtroll("append", "--log", self.log.grpc, self.write("rogue", "rogue"))
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(size(), 2)

    def test_without_the_mark_the_witnesses_keep_it_from_signing(self):
        self.log.settings["mark_path"] = None
        self.log.restart()
        self.receipt("before")
        self.assertEqual(self.log.stop(), 0)
        shutil.copytree(self.log.data, self.path("moved"))
        self.log.start(data_dir=self.path("moved"))
        self.receipt("after")
        self.assertEqual(self.log.stop(), 0)
        self.log.spawn()
        ready = self.log.process.wait_for(r"event=ready http=(\S+) grpc=(\S+)")
        self.log.http, self.log.grpc = ready.groups()
        wait_until(lambda: "contradiction" in self.log.process.text(), "the witnesses' word")
        self.assertEqual(self.log.get("/readyz").status, 503)
        self.assertEqual({witness.size() for witness in self.witnesses}, {2})

    # -- witnesses --

    def change_policy(self, witnesses, quorum):
        with open(self.log.policy, "w", encoding="utf-8") as file:
            file.write(f"log {self.log.vkey}\n{policy_text(witnesses, quorum)}")
        self.log.restart()
        wait_until(lambda: self.log.get("/readyz").status == 200, "admission")

    def test_a_witness_comes_and_another_goes(self):
        proof, entry = self.receipt("under the first policy")
        first = shutil.copy(self.log.policy, self.path("first"))
        new = FakeWitness("w4")
        self.addCleanup(new.stop)
        self.change_policy([*self.witnesses, new], 3)
        self.receipt("under the second")
        wait_until(lambda: new.size() == 2, "the new witness")
        self.change_policy([*self.witnesses[1:], new], 2)
        self.witnesses[0].stop()
        under_third = self.receipt("under the third")
        self.assertNotIn("w1 at", self.verify(*under_third))
        told = courtroll("verify", "--policy", self.log.policy, "--superseded", first, "--proof", proof, entry)
        self.assertIn(told.stdout.split("\n")[0], ("PASS", "SUPERSEDED"), "as its witnesses are in the new policy or not")
        again = self.path("again")
        courtroll("prove", "--log", self.log.url(), "--policy", self.log.policy, "--index", 0, "--out", again, code=0)
        self.assertIn("w4 at", self.verify(again, entry))

    # -- the end of a log --

    def test_a_frozen_log_ends_with_a_checkpoint_of_all_that_it_acknowledged(self):
        proof, entry = self.receipt("the last but one")
        line = self.write("last", "the last")
        courtroll("append", "--log", self.log.grpc, line, code=0)
        self.log.restart(frozen="on", http_add="on")
        self.log.wait_published(2)
        final = courtroll("checkpoint", "--log", self.log.url(), "--policy", self.log.policy, code=0).stdout
        self.assertIn("2 entries", final)
        refused = courtroll("append", "--log", self.log.grpc, self.write("more", "more"))
        self.assertEqual((refused.returncode, "has ended (frozen = on)" in refused.stderr), (4, True), refused.stderr)
        again = courtroll("append", "--log", self.log.grpc, line)
        self.assertNotEqual(again.returncode, 0)
        self.assertEqual(self.log.request("POST", "/add", b"more").status, 503)
        self.assertEqual((self.log.get("/readyz").status, self.log.get("/checkpoint").status), (503, 200))
        self.assertIn("frozen = on", self.log.get("/healthz").body.decode() + json.dumps(self.log.status()))
        last = self.path("last.proof")
        courtroll("prove", "--log", self.log.url(), "--policy", self.log.policy, "--index", 1, "--out", last, code=0)
        self.verify(last, line)
        self.verify(proof, entry)
        self.log.restart(frozen="on")
        self.assertEqual(self.log.status()["durable_size"], 2)

    def successor(self, origin, final, quorum=2):
        """A log of other keys whose entry 0 is `final`."""
        os.makedirs(self.path(origin))
        witnesses = [FakeWitness(f"{origin[0]}{i}") for i in range(3)]
        for witness in witnesses:
            self.addCleanup(witness.stop)
        log = Logd(self.path(origin), origin, policy_text=policy_text(witnesses, quorum), checkpoint_interval_ms=50)
        self.addCleanup(log.close)
        courtroll("append", "--log", log.grpc, self.write(origin + ".final", final), code=0)
        log.wait_published(1)
        return log

    def upgrade(self, log, old, name, code=0):
        out = self.path(name)
        return out, courtroll("prove", "--log", log.url(), "--policy", log.policy, "--upgrade", old, "--out", out, code=code)

    def prove(self, log, index, name):
        courtroll("prove", "--log", log.url(), "--policy", log.policy, "--index", index, "--out", self.path(name), code=0)
        return self.path(name)

    def test_a_receipt_is_carried_over_two_rotations_and_a_forged_one_is_not(self):
        for i in range(5):
            old, entry = self.receipt(f"entry {i}")
        self.log.restart(frozen="on")
        second = self.successor("second.example/log", self.log.get("/checkpoint").body.decode())
        old = self.prove(self.log, 4, "old")
        once, _ = self.upgrade(second, old, "once")
        told = self.verify(once, entry, second.policy)
        self.assertIn("PASS", told)
        self.assertIn("log.example/test, which ended with 5 entries", told)
        courtroll("append", "--log", second.grpc, self.write("more", "more"), code=0)
        second.wait_published(2)
        third = self.successor("third.example/log", second.get("/checkpoint").body.decode())
        refused = self.upgrade(third, once, "twice", code=None)[1]
        self.assertIn("make a receipt in that one", refused.stderr, "it is of second at 1 entry, and that ended with 2")
        once, _ = self.upgrade(second, old, "once")
        twice, _ = self.upgrade(third, once, "twice")
        told = json.loads(courtroll("verify", "--json", "--policy", third.policy, "--proof", twice, entry, code=0).stdout)
        self.assertEqual((told["verdict"], told["ended_origin"], told["index"]), ("PASS", "log.example/test", 4))
        # Other policies, another entry, and every byte.
        for policy in (self.log.policy, second.policy):
            self.verify(twice, entry, policy, code=1)
        self.assertIn("MISMATCH", self.verify(twice, self.write("other", "entry 3"), third.policy, code=1))
        with open(twice, "rb") as file:
            proof = file.read()
        for at in range(0, len(proof), max(1, len(proof) // CHANGES)):
            with open(self.path("changed"), "wb") as file:
                file.write(proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :])
            done = courtroll("verify", "--json", "--policy", third.policy, "--proof", self.path("changed"), entry)
            told = json.loads(done.stdout)
            # What may change is a cosignature that the quorum does not need, and the name of nobody's line.
            self.assertTrue(not told["ok"] or (told["ended_origin"], told["index"]) == ("log.example/test", 4), at)
            self.assertTrue(not told["ok"] or sum(one["cosigned"] for one in told["witnesses"]) >= 2, at)
        # All keys of the ended log make another history: its own policy takes it, and no successor does.
        forged, lie = self.forge()
        self.verify(forged, lie)
        self.assertNotEqual(self.upgrade(second, forged, "forged-up", code=None)[1].returncode, 0)
        with open(once, encoding="utf-8") as file:
            genuine = file.read()
        extra = genuine.split("\n")[1].removeprefix("extra ")
        with open(forged, "rb") as file:
            planted = genuine.replace(extra, base64.b64encode(file.read()).decode())
        self.assertIn("MISMATCH", self.verify(self.write("planted", planted), lie, second.policy, code=1))
        self.verify(forged, lie, second.policy, code=1)

    def forge(self):
        """What the holder of the log's and all its witnesses' keys can make: a tree of a lie."""
        key, lie = tlog.Key.from_file(self.log.key), "the debt was never paid"
        root = tlog.leaf_hash(lie.encode())
        text = f"{self.log.origin}\n1\n{base64.b64encode(root).decode()}\n"
        note = text + "\n" + key.line(text) + "".join(witness.line(text) for witness in self.witnesses)
        return self.write("forged", f"c2sp.org/tlog-proof@v1\nindex 0\n\n{note}"), self.write("lie", lie)

    # -- upgrading --

    def client(self, number, stop, acknowledged, failures):
        """Asks again until it is told: that is all a client has to do."""
        i = 0
        while not stop.is_set():
            lines = [f"client {number} entry {i}.{k}" for k in range(20)]
            path = self.write(f"lines{number}", "".join(line + "\n" for line in lines))
            done = courtroll("append", "--log", self.log.grpc, "--lines", path)
            if done.returncode == 0:
                told = [int(line.split()[0]) for line in done.stdout.splitlines()]
                acknowledged.update(zip(told, lines))
                i += 1
            else:
                failures.append((done.returncode, done.stderr))

    def test_a_new_binary_loses_no_request(self):
        self.log.restart(grpc_listen=self.log.grpc)
        address, stop, failures = self.log.grpc, threading.Event(), []
        acknowledged = [{} for _ in range(CLIENTS)]
        clients = [threading.Thread(target=self.client, args=(n, stop, acknowledged[n], failures)) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for i in range(RESTARTS):
                before = sum(map(len, acknowledged))
                wait_until(lambda before=before: sum(map(len, acknowledged)) >= before + 100, "work")
                self.log.program = shutil.copy(LOGD, self.path(f"courtroll-logd-{i}"))
                self.log.restart(grpc_listen=address)
        finally:
            stop.set()
            for client in clients:
                client.join()
        self.assertEqual({code for code, _ in failures} - {3, 4}, set(), failures[:3])
        told = {}
        for one in acknowledged:
            self.assertFalse(told.keys() & one.keys(), "one index for two entries")
            told.update(one)
        size = self.log.status()["durable_size"]
        self.log.wait_published(size)
        on_log = self.read_all()
        self.assertEqual({i: on_log[i] for i in told}, told)
        self.assertEqual(len(set(on_log)), len(on_log), "an entry twice")
        self.log.fsck()
        print(f"{len(told)} entries over {RESTARTS} restarts, {len(failures)} calls repeated", file=sys.stderr)

    def read_all(self):
        return [entry.decode() for entry in read_log(of_directory(self.log.public), tlog.Key.from_file(self.log.key))[2]]


if __name__ == "__main__":
    unittest.main()
