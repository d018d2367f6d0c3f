#!/usr/bin/python3
"""A monitor of a log of operations: what it says of a made-up province is the faults that were planted in it.

The log is of schema opaque, which takes what no gate would. The records and the truth are `courtroll synth`'s.
COURTROLL_LONG=1 looks at more than 100,000 operations too, and at more seeds. COURTROLL_BIN names the directory of
the built programs.
"""
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support", "python"))
from logd import IS_LONG, Logd, courtroll, wait_until  # noqa: E402
from monitor import Monitor, monitor_policy  # noqa: E402

ORIGIN = "log.example/operations"
CODES = {"tag-repeated", "bad-record", "unregistered-key", "sealed-overdue", "case-gap", "case-order",
         "case-after-closed", "case-time-backwards", "case-filed-twice", "case-count"}


class Province:
    """What synth has written, on a log."""

    def __init__(self, directory, cases=120, seed=11, fault_rate=40):
        self.dir = os.path.join(directory, "province")
        courtroll("synth", "--cases", str(cases), "--seed", str(seed), "--out", self.dir, "--records",
                  "--origin", ORIGIN, "--case-days", "2", "--days", "3", "--fault-rate",
                  str(fault_rate), code=0)
        self.entries = os.path.join(self.dir, "entries")
        self.keys = os.path.join(self.dir, "case-keys")
        with open(os.path.join(self.dir, "truth.jsonl"), encoding="utf-8") as file:
            truth = [json.loads(line) for line in file]
        self.truth = {(fault["code"], fault["index"]) for fault in truth}
        self.keyless = {(fault["code"], fault["index"]) for fault in truth if not fault["needs_key"]}
        self.count = 0
        with open(self.entries, "rb") as file:
            while head := file.read(2):
                file.seek(int.from_bytes(head, "big"), os.SEEK_CUR)
                self.count += 1

    def append(self, log):
        courtroll("append", "--log", log.grpc, "--framed", self.entries, code=0)


class RecordsCase(unittest.TestCase):
    size = {}

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.mkdtemp(prefix="courtroll-records-")
        cls.addClassCleanup(shutil.rmtree, cls.temporary)
        cls.province = Province(cls.temporary, **cls.size)
        cls.log = Logd(origin=ORIGIN, dedup="off", checkpoint_interval_ms=200)
        cls.addClassCleanup(cls.log.close)
        cls.province.append(cls.log)
        cls.policy = monitor_policy(cls.log, os.path.join(cls.temporary, "policy"))

    def monitor(self, **settings):
        """Of a log that is finished: whatever is sealed should be open."""
        settings = {"operations": "on", "unseal_days": 0, "scan_threads": 2, **settings}
        monitor = Monitor([self.policy], **settings)
        self.addCleanup(monitor.close)
        return monitor

    def wait(self, monitor, truth):
        """Until it has said as much, and a while longer."""
        monitor.wait_held(ORIGIN, self.province.count)
        try:
            wait_until(lambda: len(self.found(monitor)) >= len(truth), "all of the truth")
        except AssertionError:
            self.assertEqual(self.found(monitor), truth)
        polls = self.polls(monitor)
        wait_until(lambda: self.polls(monitor) > polls + 3, "a few polls more")

    def polls(self, monitor):
        return monitor.metric("courtroll_monitor_polls_total", origin=ORIGIN)

    def found(self, monitor):
        found = set()
        for alert in monitor.alerts("open"):
            self.assertIn(alert["code"], CODES, alert)
            self.assertRegex(alert["subject"], r"^entry \d+$")
            found.add((alert["code"], int(alert["subject"].split()[1])))
        return found

    def assert_told(self, monitor, truth):
        self.wait(monitor, truth)
        self.assertEqual(self.found(monitor), truth)


class RecordsTest(RecordsCase):
    def test_with_the_keys_all_that_was_planted_is_found_and_nothing_else(self):
        self.assertEqual({code for code, _ in self.province.truth}, CODES)
        monitor = self.monitor(case_keys=[self.province.keys])
        self.assert_told(monitor, self.province.truth)
        ids = {alert["id"] for alert in monitor.alerts()}
        monitor.stop()
        monitor.start()
        self.assert_told(monitor, self.province.truth)
        self.assertEqual({alert["id"] for alert in monitor.alerts()}, ids)
        self.assertEqual({alert["count"] for alert in monitor.alerts()}, {1})

    def test_without_them_what_needs_none_is_found(self):
        """And later, with the keys, the rest: without reading the log again."""
        keys = os.path.join(self.temporary, "given-later")
        os.mkdir(keys)
        monitor = self.monitor(case_keys=[keys])
        self.assert_told(monitor, self.province.keyless)
        hashed = monitor.metric("courtroll_monitor_entries_hashed_total", origin=ORIGIN)
        for name in os.listdir(self.province.keys):
            shutil.copy2(os.path.join(self.province.keys, name), keys)
        monitor.process.signal(signal.SIGHUP)
        self.assert_told(monitor, self.province.truth)
        self.assertEqual(
            monitor.metric("courtroll_monitor_entries_hashed_total", origin=ORIGIN), hashed)

    def test_a_repeated_tag_is_proved_to_anybody(self):
        monitor = self.monitor()
        self.wait(monitor, self.province.keyless)
        alert = next(a for a in monitor.alerts() if a["code"] == "tag-repeated")
        path = os.path.join(self.temporary, "evidence")
        with open(path, "wb") as file:
            file.write(monitor.evidence(alert["evidence"]))
        done = courtroll("verify-evidence", path, "--policy", self.policy, "--json", code=0)
        verdict = json.loads(done.stdout)
        self.assertEqual((verdict["verdict"], verdict["entries"][1]["index"]),
                         ("TAG REPEATED", int(alert["subject"].split()[1])))

    def test_killed_again_and_again_it_loses_and_repeats_nothing(self):
        monitor = self.monitor(case_keys=[self.province.keys], scan_threads=1)
        for _ in range(6):
            monitor.kill()
            monitor.start()
        self.assert_told(monitor, self.province.truth)

    def test_switched_on_later_it_reads_the_log_once_more(self):
        monitor = self.monitor(operations="off", unseal_days=30)
        monitor.wait_held(ORIGIN, self.province.count)
        self.assertEqual(monitor.alerts(), [])
        monitor.stop()
        monitor.settings.update(operations="on", unseal_days=0, case_keys=[self.province.keys])
        monitor.start()
        self.assert_told(monitor, self.province.truth)

    def test_nothing_public_tells_which_entries_are_of_one_case(self):
        monitor = self.monitor(case_keys=[self.province.keys])
        self.wait(monitor, self.province.truth)
        public = monitor.page() + json.dumps(monitor.alerts(), ensure_ascii=False)
        public += monitor.get("/metrics").body.decode()
        for name in os.listdir(self.province.keys):
            with open(os.path.join(self.province.keys, name), encoding="utf-8") as file:
                _, number, key = file.read().splitlines()
            for secret in (name, name.split(".")[0], number, key):
                self.assertNotIn(secret, public)

    def test_settings_that_make_no_sense_are_refused(self):
        for settings, words in (
            ({"operations": "off", "case_keys": [self.province.keys]}, "without operations on"),
            ({"case_keys": [self.province.entries]}, "no directory"),
            ({"operations_of": ["another.example"]}, "no policy has the log"),
        ):
            monitor = Monitor([self.policy], is_started=False, **{"operations": "on", **settings})
            self.addCleanup(monitor.close)
            code, said = monitor.fails_to_start()
            self.assertEqual(code, 2, said)
            self.assertIn(words, said)


@unittest.skipUnless(IS_LONG, "COURTROLL_LONG=1 looks at more than 100,000 operations")
class ManyRecords(RecordsCase):
    size = {"cases": 2200, "seed": 5}

    def test_the_alerts_are_the_truth(self):
        self.assertGreater(self.province.count, 100000)
        self.assertEqual({code for code, _ in self.province.truth}, CODES)
        for name, settings, truth in (
            ("keyed", {"case_keys": [self.province.keys]}, self.province.truth),
            ("keyless", {}, self.province.keyless),
        ):
            with self.subTest(name):
                started = time.monotonic()
                monitor = self.monitor(**settings)
                self.assert_told(monitor, truth)
                print(f"{name}: {self.province.count} operations, {len(truth)} alerts, "
                      f"{time.monotonic() - started:.1f} s", flush=True)


@unittest.skipUnless(IS_LONG, "COURTROLL_LONG=1 looks at more seeds")
class MoreSeeds(unittest.TestCase):
    def test_the_alerts_are_the_truth(self):
        for seed in range(100, 110):
            case = type("Seed", (RecordsCase,), {"size": {"cases": 150, "seed": seed, "fault_rate": 60}})
            with self.subTest(seed=seed):
                case.setUpClass()
                try:
                    one = case()
                    self.addCleanup(one.doCleanups)
                    one.assert_told(one.monitor(case_keys=[one.province.keys]), one.province.truth)
                finally:
                    case.doClassCleanups()


if __name__ == "__main__":
    unittest.main()
