#!/usr/bin/python3
"""The alert rules that ship, in the real Prometheus and Alertmanager: what they watch is there, each fires when it
should and not before, and a witness that is killed is told of, and told of again when it is back.

In the live part the durations of the rules are cut to nothing (in a copy), so that it ends within seconds; the
durations themselves are judged by promtool, which needs no waiting. COURTROLL_BIN names the directory of the programs.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from logd import Logd, Process  # noqa: E402
from monitor import Monitor, monitor_policy  # noqa: E402
from witness import Witness  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
RULES = sorted(glob.glob(os.path.join(ROOT, "deploy/prometheus/*.rules.yml")))
PROGRAMS = ("prometheus", "prometheus-alertmanager", "promtool", "amtool")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
if MISSING:
    print("not installed:", *MISSING)
    sys.exit(77)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def rules():
    """[(alert, its lines)] of all files."""
    found = []
    for path in RULES:
        for block in re.split(r"\n(?=      - alert: )", read(path))[1:]:
            found.append((re.match(r"      - alert: (\w+)", block).group(1), block))
    return found


def check(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}\n{done.stdout}{done.stderr}")
    return done.stdout


def until(condition, what, timeout=60):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            found = condition()
        except (urllib.error.URLError, ConnectionError):
            found = None
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("waited for " + what)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


class Text(unittest.TestCase):
    def test_the_files_are_what_their_programs_take(self):
        with tempfile.TemporaryDirectory(prefix="courtroll.") as directory:
            for path in RULES + [os.path.join(ROOT, "deploy/prometheus/prometheus.yml")]:
                shutil.copy(path, directory)
            out = check("promtool", "check", "config", os.path.join(directory, "prometheus.yml"))
            self.assertIn("3 rule files found", out)
        check("amtool", "check-config", os.path.join(ROOT, "deploy/alertmanager/alertmanager.yml"))

    def test_each_alert_has_a_name_of_its_own_a_severity_and_words_for_a_person(self):
        names = [name for name, _ in rules()]
        self.assertEqual(len(names), len(set(names)))
        for name, block in rules():
            for part in ("expr:", "severity: ", "summary: ", "runbook: "):
                self.assertIn(part, block, name)


# When each alert fires: series of one minute a step, and the minute at which it must be there. The minute before its
# series went bad it must not. Of those that a restart or a first value would set off there is a quiet series too.
BAD = {
    "CourtrollLogDown": ('up{job="courtroll-logd",instance="log"}', "1 1 0x8", 5),
    "CourtrollLogContradiction": ('courtroll_contradiction{instance="log"}', "0 0 1x8", 3),
    "CourtrollLogRefusesEntries": ('courtroll_admitting{instance="log"}', "1 1 0x8", 4),
    "CourtrollLogDegraded": ('courtroll_degraded{instance="log"}', "0 0 1x20", 14),
    "CourtrollLogWitnessFailing": ('courtroll_witness_ok{instance="log",witness="w1"}', "1 1 0x30", 19),
    "CourtrollLogWitnessLies": (
        'courtroll_witness_bad_lines_total{instance="log",witness="w1"}', "0 0 1x30", 4),
    "CourtrollLogDamagedTiles": ('courtroll_damaged_reads_total{instance="log"}', "0 0 3x30", 4),
    "CourtrollLogRefusesReaders": (
        'courtroll_http_connections_refused_total{instance="log"}', "0 0 1+1x30", 14),
    "CourtrollWitnessDown": ('up{job="courtroll-witness",instance="w"}', "1 1 0x10", 8),
    "CourtrollWitnessNotReady": ('courtroll_witness_ready{instance="w"}', "1 1 0x10", 8),
    "CourtrollWitnessStoreFailing": ('courtroll_witness_store_failing{instance="w"}', "0 0 1x10", 4),
    "CourtrollWitnessGuardRefuses": (
        'courtroll_witness_guard_logs{instance="w",verdict="refused"}', "0 0 1x10", 3),
    "CourtrollWitnessEvidence": ('courtroll_witness_evidence_held{instance="w"}', "0 0 1x10", 3),
    "CourtrollWitnessClock": (
        'courtroll_witness_answers_total{instance="w",result="clock"}', "0 0 2x10", 4),
    "CourtrollWitnessRefuses": (
        'courtroll_witness_answers_total{instance="w",result="root-mismatch"}', "0 0 2x10", 4),
    "CourtrollMonitorDown": ('up{job="courtroll-monitor",instance="m"}', "1 1 0x10", 8),
    "CourtrollMonitorNotWell": ('courtroll_monitor_well{instance="m"}', "1 1 0x10", 8),
    "CourtrollStoreFailing": ('courtroll_monitor_store_failing{instance="m"}', "0 0 1x10", 5),
    "CourtrollCriticalAlertOpen": (
        'courtroll_monitor_alerts_open{instance="m",severity="critical"}', "0 0 1x10", 3),
    "CourtrollWarningOpen": (
        'courtroll_monitor_alerts_open{instance="m",severity="warning"}', "0 0 1x30", 19),
    "CourtrollContradictionSeen": (
        'courtroll_monitor_vantage_contradictions_total{instance="m",vantage="v"}', "0 0 1x10", 4),
    "CourtrollQuorumNotMet": ('courtroll_monitor_quorum_met{instance="m",origin="o"}', "1 1 0x20", 13),
    "CourtrollNotesWait": ('courtroll_monitor_waiting_notes{instance="m",origin="o"}', "0 0 1x50", 33),
}


class Judged(unittest.TestCase):
    """promtool's own clock: each alert is silent while all is well, and there when it should be."""

    @staticmethod
    def case(name, series, values, minute):
        quiet = values.split(" ")[0] + "x60"
        # `fires`: promtool compares whole alerts, words and all, so the words are asked of the ALERTS series instead.
        firing = f"count(ALERTS{{alertname='{name}',alertstate='firing'}})"
        return [
            {"interval": "1m", "input_series": [{"series": series, "values": values}],
             "promql_expr_test": [
                 {"expr": firing, "eval_time": "1m", "exp_samples": []},
                 {"expr": firing, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": 1}]}]},
            {"interval": "1m", "input_series": [{"series": series, "values": quiet}],
             "promql_expr_test": [{"expr": firing, "eval_time": "59m", "exp_samples": []}]},
        ]  # fmt: skip

    def test_every_alert_fires_in_time_and_never_without_cause(self):
        tests = [one for name, (series, values, minute) in BAD.items()
                 for one in self.case(name, series, values, minute)]  # fmt: skip
        self.run_promtool(tests)

    def test_a_test_that_expects_too_much_fails(self):
        """So that the one above means something."""
        series, values, _ = BAD["CourtrollLogDown"]
        with self.assertRaises(AssertionError):
            self.run_promtool(self.case("CourtrollLogDown", series, values, 2))

    def test_every_alert_of_log_and_witness_is_judged(self):
        left_out = {"CourtrollLogNotPublishing", "CourtrollLogDescriptorsShort"}  # two series each: below
        ours = {name for name, block in rules() if name.startswith(("CourtrollLog", "CourtrollWitness"))}
        self.assertEqual(ours - set(BAD), left_out | {"CourtrollWitnessSilent"})

    def test_nothing_new_published_is_noticed_only_while_something_waits(self):
        firing = "count(ALERTS{alertname='CourtrollLogNotPublishing',alertstate='firing'})"
        def series(durable, published):
            return [{"series": 'courtroll_durable_size{instance="log"}', "values": durable},
                    {"series": 'courtroll_published_size{instance="log"}', "values": published}]
        def expects(count):
            samples = [{"labels": "{}", "value": 1}] if count else []
            return [{"expr": firing, "eval_time": "30m", "exp_samples": samples}]
        self.run_promtool([
            {"interval": "1m", "input_series": series("1+1x60", "1x60"), "promql_expr_test": expects(1)},
            {"interval": "1m", "input_series": series("2+1x60", "1+1x60"), "promql_expr_test": expects(0)},
            {"interval": "1m", "input_series": series("7x60", "7x60"), "promql_expr_test": expects(0)},
        ])  # fmt: skip

    def test_descriptors(self):
        firing = "count(ALERTS{alertname='CourtrollLogDescriptorsShort',alertstate='firing'})"
        def case(used, samples):
            return {"interval": "1m", "input_series": [
                {"series": 'process_open_fds{job="courtroll-logd",instance="log"}', "values": f"{used}x20"},
                {"series": 'process_max_fds{job="courtroll-logd",instance="log"}', "values": "1000x20"}],
                "promql_expr_test": [{"expr": firing, "eval_time": "10m", "exp_samples": samples}]}
        self.run_promtool([case(950, [{"labels": "{}", "value": 1}]), case(800, [])])

    def run_promtool(self, tests):
        with tempfile.TemporaryDirectory(prefix="courtroll.") as directory:
            path = os.path.join(directory, "rules.test.json") # JSON is YAML
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"rule_files": [os.path.abspath(one) for one in RULES],
                           "evaluation_interval": "1m", "tests": tests}, file)  # fmt: skip
            check("promtool", "test", "rules", path)


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.log = cls.own(Logd(http_add="on"))
        cls.witness = cls.own(Witness([tlog.Key.from_file(cls.log.key)]))
        policy = monitor_policy(cls.log, os.path.join(cls.dir, "policy"))
        cls.monitor = cls.own(Monitor([policy]))
        cls.alertmanager = cls.start_alertmanager()
        cls.prometheus = cls.start_prometheus()

    @classmethod
    def own(cls, daemon):
        cls.addClassCleanup(daemon.close)
        return daemon

    @classmethod
    def start(cls, arguments, pattern):
        """The address that it says it listens on."""
        process = Process(arguments)
        cls.addClassCleanup(process.kill)
        return process.wait_for(pattern).group(1)

    @classmethod
    def start_alertmanager(cls):
        text = read(os.path.join(ROOT, "deploy/alertmanager/alertmanager.yml"))
        path = cls.write("alertmanager.yml", text.replace("group_wait: 10s", "group_wait: 0s"))
        return cls.start(
            ["prometheus-alertmanager", "--config.file", path, "--storage.path", os.path.join(cls.dir, "am"),
             "--web.listen-address=127.0.0.1:0", "--cluster.listen-address="],
            r'msg="Listening on" address=(127\.0\.0\.1:\d+)')  # fmt: skip

    @classmethod
    def start_prometheus(cls):
        for path in RULES:
            name = os.path.basename(path)
            cls.write(name, re.sub(r"\n        for: \w+", "\n        for: 0s", read(path)))
        text = read(os.path.join(ROOT, "deploy/prometheus/prometheus.yml"))
        text = text.replace("_interval: 15s", "_interval: 200ms")
        for default, ours in (("127.0.0.1:9093", cls.alertmanager), ("127.0.0.1:6962", cls.log.http),
                              ("127.0.0.1:6972", cls.witness.http), ("127.0.0.1:6982", cls.monitor.http)):  # fmt: skip
            assert default in text
            text = text.replace(default, ours)
        return cls.start(
            ["prometheus", "--config.file", cls.write("prometheus.yml", text),
             "--storage.tsdb.path", os.path.join(cls.dir, "tsdb"), "--web.listen-address=127.0.0.1:0"],
            r'msg="Listening on" address=(127\.0\.0\.1:\d+)')  # fmt: skip

    @classmethod
    def write(cls, name, text):
        path = os.path.join(cls.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def firing(self):
        return {one["labels"]["alertname"] for one in get(f"http://{self.alertmanager}/api/v2/alerts")
                if one["status"]["state"] == "active"}  # fmt: skip

    def up(self):
        found = get(f"http://{self.prometheus}/api/v1/query?query=up")["data"]["result"]
        return {one["metric"]["job"]: one["value"][1] for one in found}

    def test_a_killed_witness_is_told_of_and_then_taken_back(self):
        jobs = {f"courtroll-{name}": "1" for name in ("logd", "witness", "monitor")}
        until(lambda: self.up() == jobs, "three targets that are up")
        self.assertNotIn("CourtrollWitnessDown", self.firing())
        address = self.witness.http
        self.witness.kill()
        until(lambda: "CourtrollWitnessDown" in self.firing(), "the alert")
        self.witness.start(http_listen=address)
        until(lambda: "CourtrollWitnessDown" not in self.firing(), "its end")

    def test_what_the_rules_watch_is_there(self):
        """A metric that is renamed would make a rule silent for ever."""
        until(lambda: len(self.up()) == 3, "the targets")
        metrics = "".join(daemon.get("/metrics").body.decode() for daemon in (self.log, self.witness, self.monitor))
        source = "".join(read(path) for folder in ("logd", "witness", "monitor", "lib/base")
                         for path in glob.glob(os.path.join(ROOT, folder, "*.c")))  # fmt: skip
        for name, block in rules():
            for metric in set(re.findall(r"\b(?:courtroll|process)_\w+", block)):
                # Series of a witness, a vantage or a sink come with the first of them: the source has their names.
                self.assertTrue(f"\n{metric}" in metrics or f'"{metric}"' in source, (name, metric))


if __name__ == "__main__":
    unittest.main(verbosity=2)
