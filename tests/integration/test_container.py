#!/usr/bin/python3
"""The container file and the compose file, as far as that goes without an engine: what they copy is there, what they
call are commands of this tree, and the services of the compose file, started as it says with paths and addresses of
this test, are a log that its witnesses cosign and its monitor verifies. COURTROLL_BIN names the directory of the programs.

Not run here: the image's own build (its RUN lines need a Debian of their own and the network).
"""
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from logd import BIN, Process, courtroll  # noqa: E402

try:
    import yaml
except ImportError:
    print("python3-yaml is not installed")
    sys.exit(77)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
FOLDER = os.path.join(ROOT, "deploy/container")
DAEMONS = ("witness-1", "witness-2", "witness-3", "log", "monitor")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def instructions():
    """[(word, rest), ...] of the container file."""
    lines = [line for line in read(os.path.join(FOLDER, "Containerfile")).split("\n") if line and line[0] != "#"]
    return [tuple(line.split(" ", 1)) for line in lines]


class Files(unittest.TestCase):
    def test_what_is_copied_is_there(self):
        for word, rest in instructions():
            self.assertIn(word, ("FROM", "COPY", "RUN", "USER", "VOLUME", "CMD"))
            if word == "COPY" and "--from=" not in rest:
                sources = [part for part in rest.split()[:-1] if not part.startswith("--")]
                self.assertTrue(sources)
                for source in sources:
                    self.assertTrue(os.path.exists(os.path.join(ROOT, source)), source)

    def test_what_is_run_is_a_shell_s_and_calls_what_is_there(self):
        for word, rest in instructions():
            if word == "RUN":
                subprocess.run(["sh", "-n"], input=rest, text=True, check=True, timeout=10)
                for script in re.findall(r"/source/(\S+)", rest):
                    self.assertTrue(os.access(os.path.join(ROOT, script), os.X_OK), script)
        built = next(rest for word, rest in instructions() if word == "RUN" and rest.startswith("ninja"))
        for name in built.split()[3:]:
            self.assertTrue(os.path.exists(os.path.join(BIN, name)), name)
        listed = [rest for word, rest in instructions() if word == "RUN" and rest.startswith("ldd")]
        # The same line finds the packages of the programs as they were built here.
        line = listed[0].replace("/out/*", " ".join(os.path.join(BIN, name) for name in built.split()[3:]))
        done = subprocess.run(["sh", "-c", line.split(" > ")[0]], capture_output=True, text=True, check=True, timeout=60)
        for name in ("libc6", "libssl3", "libleveldb1d", "libuv1"):
            self.assertTrue(any(one.startswith(name) for one in done.stdout.split()), name)

    def test_no_key_is_in_the_image(self):
        for word, rest in instructions():
            self.assertNotIn("keygen", rest)
        self.assertIn(("USER", "courtroll"), instructions())


class Services(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory(prefix="courtroll.")
        cls.addClassCleanup(cls.dir.cleanup)
        cls.compose = yaml.safe_load(read(os.path.join(FOLDER, "compose.yaml")))
        base = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}."
        cls.hosts = {name: base + str(10 + i) for i, name in enumerate(DAEMONS)}
        cls.keys, cls.data = os.path.join(cls.dir.name, "keys"), os.path.join(cls.dir.name, "data")
        os.mkdir(cls.data)
        env = dict(os.environ, PATH=BIN + ":" + os.environ["PATH"])
        for _ in range(2):  # the second time there is nothing to do
            done = subprocess.run([os.path.join(FOLDER, "setup"), cls.keys], env=env, capture_output=True, text=True,
                                  check=True, timeout=60)  # fmt: skip
        cls.said = done.stdout
        policy = os.path.join(cls.keys, "log.policy")
        with open(policy + ".here", "w", encoding="utf-8") as file:
            file.write(cls.here(read(policy)))
        os.replace(policy + ".here", policy)
        cls.processes = {}
        for name in DAEMONS:
            if name == "monitor":  # it would look again after ten seconds only
                cls.append()
            cls.processes[name] = Process(cls.command(name))
            cls.addClassCleanup(cls.processes[name].kill)
            cls.processes[name].wait_for(r"event=ready ")

    @classmethod
    def here(cls, text):
        for name, host in cls.hosts.items():
            text = text.replace(f"//{name}:", f"//{host}:")
        return text

    @classmethod
    def command(cls, name):
        program, *rest = cls.compose["services"][name]["command"]
        changed = [cls.here(one).replace("/etc/courtroll", cls.keys).replace("/var/lib/courtroll", cls.data)
                   .replace("0.0.0.0:", cls.hosts[name] + ":").replace("127.0.0.1:", cls.hosts[name] + ":")
                   for one in rest]  # fmt: skip
        return [os.path.join(BIN, program), *changed]

    @classmethod
    def append(cls):
        entry = os.path.join(cls.dir.name, "entry")
        with open(entry, "wb") as file:
            file.write(b"from a container")
        socket = re.search(r"unix:(\S+grpc[.]sock)", read(os.path.join(FOLDER, "compose.yaml"))).group(1)
        address = "unix:" + socket.replace("/var/lib/courtroll", cls.data)
        assert address in cls.command("log")
        courtroll("append", "--log", address, "--policy", os.path.join(cls.keys, "log.policy"), "--wait", "witnessed",
                  "--proof-dir", cls.dir.name, entry, code=0)  # fmt: skip

    def get(self, name, port, path):
        with urllib.request.urlopen(f"http://{self.hosts[name]}:{port}{path}", timeout=20) as answer:
            return answer.read().decode()

    def test_an_entry_is_witnessed_and_verified_by_the_monitor(self):
        deadline = time.monotonic() + 30
        while True:
            (log,) = json.loads(self.get("monitor", 6982, "/verify.json"))["logs"]
            if log["size"] is not None and log["size"] >= 1 and log["alerts_checked"]:
                break
            self.assertLess(time.monotonic(), deadline, log)
            time.sleep(0.1)
        self.assertEqual(self.get("monitor", 6982, "/verify"), self.get("log", 6962, "/verify"))

    def test_ports_that_are_published_are_listened_on(self):
        for name, service in self.compose["services"].items():
            for port in service.get("ports", []):
                inside = port.split(":")[-1]
                self.assertIn(f"0.0.0.0:{inside}", service["command"], name)
                self.assertTrue(port.startswith("127.0.0.1:"), port)
            self.assertTrue(service["read_only"])
            self.assertEqual(service["cap_drop"], ["ALL"])

    def test_what_is_mounted_are_the_volumes_of_the_image(self):
        mounted = {volume.split(":")[1] for service in self.compose["services"].values() for volume in service["volumes"]}
        declared = {part for word, rest in instructions() if word == "VOLUME" for part in rest.split()}
        self.assertEqual(mounted, declared)

    def test_keys_are_made_once_and_for_their_owner_alone(self):
        for name in os.listdir(self.keys):
            if name.endswith(".key"):
                self.assertEqual(os.stat(os.path.join(self.keys, name)).st_mode & 0o077, 0, name)
        self.assertIn("SHA-256 ", self.said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
