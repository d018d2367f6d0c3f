"""A courtroll-monitor of a test's own: its key, policies, start, stop, what it says.

    with Monitor([policy_path]) as monitor:          # keyword = configuration key, _ for -
        monitor.wait_held("log.example/test", 300)
        monitor.alerts()                             # GET /alerts
        monitor.metric("courtroll_monitor_held_size", origin="log.example/test")
        monitor.control("self-test")                 # courtroll monitor ..., on the control socket

COURTROLL_BIN names the directory of the built programs. See logd.py for the rest.
"""
import json
import os
import re
import time

from logd import BIN, Daemon, courtroll, keygen

MONITOR = os.path.join(BIN, "courtroll-monitor")

# Nothing is told by the clock alone, so that a slow machine adds no alerts of its own.
PATIENT = {
    "stalled_after_seconds": 0,
    "witness_missing_after_seconds": 0,
    "withheld_after_seconds": 0,
    "unreachable_after_seconds": 0,
}


def monitor_policy(log, path, url=None, policy_text=None):
    """Writes the policy of a Logd for its monitor: its own, with the URL in the log's line."""
    with open(log.policy, encoding="utf-8") as file:
        first, rest = file.read().split("\n", 1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{first} {url or log.url()}\n{rest if policy_text is None else policy_text}")
    return path


class Monitor(Daemon):
    """See above. `policies` are paths; `directory` keeps key and state there instead of one of its own."""

    program = MONITOR

    def __init__(
        self, policies, directory=None, name="monitor.example/m", is_started=True, wrapper=(),
        **settings
    ):
        super().__init__(directory, wrapper, settings)
        self.name = name
        self.policies = list(policies)
        self.key_file = os.path.join(self.dir, "monitor.key")
        if not os.path.exists(self.key_file):
            keygen("monitor", name, self.key_file)
        with open(self.key_file + ".vkey", encoding="utf-8") as file:
            self.vkey = file.read().strip()
        if is_started:
            self.start()

    def defaults(self):
        return {
            "data_dir": self.data,
            "key": self.key_file,
            "policy": self.policies,
            "poll_interval_ms": 100,
            **PATIENT,
        }

    @property
    def control_socket(self):
        return os.path.join(self.data, "control.sock")

    # -- what it says --

    def page(self):
        response = self.get("/")
        assert response.status == 200, response
        return response.body.decode()

    def alerts(self, state=None):
        """GET /alerts, newest first; those in `state` if it is given."""
        response = self.get("/alerts")
        assert response.status == 200, response
        return [a for a in json.loads(response.body) if state in (None, a["state"])]

    def evidence(self, path):
        """The bytes behind an alert's "evidence"."""
        response = self.get(path)
        assert response.status == 200, response
        return response.body

    def metrics(self):
        """{name: [({label: value}, number), ...]}"""
        out = {}
        for line in self.get("/metrics").body.decode().splitlines():
            match = re.fullmatch(r"([a-z0-9_]+)(?:\{(.*)\})? (\S+)", line)
            if match and not line.startswith("#"):
                labels = dict(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
                out.setdefault(match.group(1), []).append((labels, float(match.group(3))))
        return out

    def metric(self, name, **labels):
        """The number of the one series of that name with these labels; None if there is none."""
        found = [
            number
            for have, number in self.metrics().get(name, [])
            if all(have.get(key) == value for key, value in labels.items())
        ]
        assert len(found) <= 1, (name, labels, found)
        return found[0] if found else None

    def held_size(self, origin):
        return int(self.metric("courtroll_monitor_held_size", origin=origin) or 0)

    def wait_held(self, origin, size, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            held = self.held_size(origin)
            if held >= size:
                return held
            assert time.monotonic() < deadline, f"{held} held, not {size}: {self.process.text()}"
            time.sleep(0.05)

    def wait_alert(self, code, state="open", timeout=30):
        """The newest alert of that code in that state."""
        deadline = time.monotonic() + timeout
        while True:
            found = [a for a in self.alerts(state) if a["code"] == code]
            if found:
                return found[0]
            assert time.monotonic() < deadline, f"no {code}: {self.alerts()}"
            time.sleep(0.05)

    # -- through the CLI --

    def ask(self, word, *arguments, code=0):
        """`courtroll monitor WORD` over gRPC."""
        return courtroll("monitor", word, "--monitor", self.grpc, *arguments, code=code)

    def control(self, word, *arguments, code=0):
        """Likewise on the control socket."""
        address = "unix:" + self.control_socket
        return courtroll("monitor", word, "--monitor", address, *arguments, code=code)

    def status(self):
        return json.loads(self.ask("status", "--json").stdout)
