#!/usr/bin/python3
"""A spool whose submitter and log are killed, whose network is cut, slowed and silenced, and whose disk is full: every
operation that was accepted is on the log exactly once, in the order of its case, and nothing else is.

COURTROLL_LONG=1 makes it 200 rounds. COURTROLL_BIN names the directory of the built programs.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from court import Court, GateCase  # noqa: E402
from logd import IS_LONG, courtroll  # noqa: E402
from proxy import Proxy  # noqa: E402
from reader import leaf_hash  # noqa: E402

ROUNDS = 200 if IS_LONG else 14
CASES = 5


def mount(*arguments):
    """The exit code."""
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode


class Submitter:
    """A process that is fed line by line; what each printed is kept."""

    def __init__(self, court, log, address, tls):
        self.court, self.log, self.address, self.tls = court, log, address, tls
        self.outputs, self.process = [], None

    def start(self):
        self.outputs.append(os.path.join(self.court.dir, f"out{len(self.outputs)}"))
        with open(self.outputs[-1], "wb") as out:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--",
                 *self.court.command(self.log, "--acknowledge", *self.tls, address=self.address)],
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def write(self, lines):
        try:
            self.process.stdin.write("".join(line + "\n" for line in lines).encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def finish(self):
        """No more lines; the exit code."""
        self.process.stdin.close()
        return self.process.wait(60)

    def printed(self):
        lines = []
        for path in self.outputs:
            with open(path, encoding="utf-8") as file:
                lines += Court.lines(file.read())
        return lines


class Torture(GateCase):
    def check(self, log, printed):
        """The claim at the top; `printed` is all that all submitters printed."""
        accepted = {line["id"] for line in printed if "accepted" in line}
        receipts = {}
        for line in printed:
            if "accepted" not in line:
                self.assertEqual(receipts.setdefault(line["id"], line), line) # one may come twice
        self.assertLessEqual(accepted, set(receipts))
        log.wait_published(1 + len(receipts))
        leaves = [leaf_hash(entry).hex() for entry in self.entries(log)]
        registration = leaves[0]
        self.assertEqual(len(set(leaves)), len(leaves))
        self.assertEqual(set(leaves) - {registration}, {line["leaf_hash"] for line in receipts.values()})
        for line in receipts.values():
            self.assertEqual(leaves[line["index"]], line["leaf_hash"])
        for case in range(CASES):
            mine = [line for name, line in receipts.items() if name.startswith(f"{case}/")]
            mine.sort(key=lambda line: line["ticket"])
            indices = [line["index"] for line in mine]
            self.assertEqual(indices, sorted(indices), mine)
        log.fsck()
        self.check_cases(log, receipts)
        return len(accepted), len(receipts)

    def check_cases(self, log, receipts):
        """As an outsider with the keys sees them: nothing is missing, and nothing is there twice."""
        in_cases = 0
        for name in os.listdir(self.court.cases):
            if name.endswith(".tmp"):  # of a submitter that was killed
                continue
            done = courtroll("case", "verify", "--case-key", os.path.join(self.court.cases, name), "--log",
                             log.url(), "--policy", log.policy, "--json", code=0)  # fmt: skip
            verdict = json.loads(done.stdout)
            self.assertEqual(verdict["verdict"], "COMPLETE SO FAR")
            in_cases += sum(submitter["operations"] for submitter in verdict["submitters"])
        self.assertEqual(in_cases, len(receipts))

    def lines(self, rng, round_number):
        for i in range(rng.randrange(3, 30)):
            case = rng.randrange(CASES)
            is_sealed = rng.random() < 0.2
            yield Court.draft(case, kind="CLUE", id=f"{case}/{round_number}/{i}", sealed=is_sealed)

    def test_killed_cut_slowed_and_silenced(self):
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        self.register()
        log = self.log
        with self.subTest(seed=seed), Proxy(log.grpc) as proxy:
            submitter = Submitter(self.court, log, proxy.address, self.tls)
            submitter.start()
            for number in range(ROUNDS):
                submitter.write(self.lines(rng, number))
                time.sleep(rng.random() * 0.3)
                self.hurt(rng.choice(["submitter", "log", "both", "cut", "slow", "silent"]), submitter,
                          log, proxy)
            proxy.delay, proxy.is_silent = 0, False
            submitter.finish()
            done = self.submit([], "--wait", "--timeout", "60")
            accepted, receipts = self.check(log, submitter.printed() + Court.lines(done.stdout))
            print(f"{ROUNDS} rounds, {accepted} operations accepted, {receipts} proved", flush=True)
            self.assertGreater(accepted, ROUNDS)
            self.assertGreaterEqual(receipts, accepted)
            self.assertEqual(self.court.status()["waiting"], 0)

    def hurt(self, what, submitter, log, proxy):
        proxy.delay, proxy.is_silent = 0, False
        if what in ("submitter", "both"):
            submitter.kill()
        if what in ("log", "both"):
            log.kill()
            proxy.cut()
            log.start()
            self.take_address()
            proxy.target = log.grpc
        if what in ("submitter", "both"):
            submitter.start()
        if what == "cut":
            proxy.cut()
        proxy.delay = 0.02 if what == "slow" else 0
        proxy.is_silent = what == "silent"

    def small_disk(self, size):
        disk = tempfile.mkdtemp(prefix="courtroll.", dir=self.dir)
        if os.geteuid() != 0 or mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk) != 0:
            self.skipTest("this user may not mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", disk], check=False)
        return disk

    @staticmethod
    def fill(disk):
        """The file that has all the room."""
        filler = os.path.join(disk, "filler")
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        return filler

    def test_a_full_disk_under_the_log(self):
        log = self.log
        self.register()
        disk = self.small_disk("96m")
        log.stop()
        moved = os.path.join(disk, "log")
        shutil.copytree(log.public, moved)
        self.assertEqual(mount("--bind", moved, log.public), 0)
        self.addCleanup(subprocess.run, ["umount", log.public], check=False)
        log.start()
        self.addCleanup(log.kill) # before the disk goes
        self.take_address()
        filler = self.fill(disk)
        lines = [Court.draft(i % CASES, kind="CLUE", id=f"{i % CASES}/{i}") for i in range(1500)]
        done = self.submit(lines, "--wait", "--timeout", "4", "--acknowledge", code=4)
        printed = Court.lines(done.stdout)
        self.assertGreater(self.court.status()["waiting"], 0)
        os.unlink(filler)
        done = self.submit([], "--wait", "--timeout", "60")
        accepted, receipts = self.check(log, printed + Court.lines(done.stdout))
        self.assertEqual((accepted, receipts), (len(lines), len(lines)))

    def test_a_full_disk_under_the_spool(self):
        disk = self.small_disk("24m")
        self.court.spool, self.court.payloads = os.path.join(disk, "spool"), os.path.join(disk, "payloads")
        log = self.log
        self.register()
        printed = Court.lines(self.submit([Court.draft(0, kind="CLUE", id="0/0")], "--wait",
                                                "--acknowledge").stdout) # fmt: skip
        filler = self.fill(disk)
        lines = [Court.draft(0, kind="CLUE", id=f"0/{i}") for i in range(1, 50)]
        done = self.submit(lines, "--wait", "--timeout", "5", "--acknowledge", code=3)
        self.assertIn("No space left", done.stderr)
        printed += Court.lines(done.stdout)
        os.unlink(filler)
        done = self.submit(lines[40:], "--wait", "--acknowledge")
        accepted, receipts = self.check(log, printed + Court.lines(done.stdout))
        self.assertEqual(accepted, receipts)


if __name__ == "__main__":
    unittest.main(verbosity=2)
