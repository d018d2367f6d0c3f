"""A courtroll-logd of a test's own: keys, start, stop, kill, appends, reads.

    with Logd(http_add="on") as log:          # keyword = configuration key, _ for -
        log.append(b"one", b"two")            # [(index, leaf hash), ...], through the CLI
        log.get("/checkpoint").body
        log.kill(); log.start()               # the same data directory and keys
        log.fsck()                            # raises if anything is wrong

COURTROLL_BIN names the directory of the built programs. Ports are the kernel's; everything is on
loopback and below a temporary directory that goes with the object. The daemon dies with the test.
"""
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import namedtuple

BIN = os.environ["COURTROLL_BIN"]
COURTROLL = os.path.join(BIN, "courtroll")
LOGD = os.path.join(BIN, "courtroll-logd")
IS_LONG = os.environ.get("COURTROLL_LONG") == "1"

Response = namedtuple("Response", "status headers body")

# A child dies with the thread that started it. By a program rather than a preexec_fn: that would make
# Python fork, and gRPC, where a test has loaded it, aborts in a fork it was not told of.
_DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"]


def courtroll(*arguments, stdin=b"", code=None, timeout=120):
    """Runs the CLI; with `code`, asserts its exit code. stdout and stderr are str."""
    done = subprocess.run(
        [*_DIES_WITH_US, COURTROLL, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    if code is not None and done.returncode != code:
        raise AssertionError(f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Process:
    """A child with its stderr collected, line by line."""

    def __init__(self, arguments):
        self.lines = []
        self._condition = threading.Condition()
        self._is_eof = False
        self.popen = subprocess.Popen(
            [*_DIES_WITH_US, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self.popen.pid

    def _read(self):
        for line in self.popen.stderr:
            with self._condition:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self._condition.notify_all()
        with self._condition:
            self._is_eof = True
            self._condition.notify_all()

    def text(self):
        with self._condition:
            return "\n".join(self.lines)

    def wait_for(self, pattern, timeout=30):
        """The match of `pattern` in the first line of stderr that has it."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._condition:
            while True:
                for line in self.lines[seen:]:
                    match = re.search(pattern, line)
                    if match:
                        return match
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if self._is_eof or left <= 0:
                    what = "ended" if self._is_eof else "was silent"
                    raise AssertionError(f"{what} without {pattern}:\n" + "\n".join(self.lines))
                self._condition.wait(left)

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=30):
        """The exit code; negative for a signal."""
        code = self.popen.wait(timeout)
        self._reader.join(5)
        self.popen.stderr.close()
        return code

    def kill(self):
        if self.popen.poll() is None:
            self.signal(signal.SIGKILL)
        return self.wait()


class Daemon:
    """What is the same for all daemons. A subclass sets `program` and defaults(), which needs `dir`."""

    program = None

    def __init__(self, directory, wrapper, settings):
        self._owned = None
        if directory is None:
            directory = self._owned = tempfile.mkdtemp(prefix="courtroll.")
        self.dir = directory
        self.settings = settings
        self.wrapper = list(wrapper)
        self.process = None
        self.http = self.grpc = None  # "ADDR:PORT" as event=ready tells
        self.data = os.path.join(self.dir, "data")

    def defaults(self):
        """The settings that every start has."""
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process = None
        if self._owned is not None:
            shutil.rmtree(self._owned, ignore_errors=True)

    # -- the process --

    def arguments(self, **overrides):
        """The command line; a setting of None is left out, a list is given several times."""
        settings = {
            **self.defaults(),
            "http_listen": "127.0.0.1:0",
            "grpc_listen": "127.0.0.1:0",
            **self.settings,
            **overrides,
        }
        line = [*self.wrapper, self.program]
        for key, value in settings.items():
            for item in value if isinstance(value, list) else [value]:
                if item is not None:
                    line += ["--" + key.replace("_", "-"), str(item)]
        return line

    def spawn(self, **overrides):
        """Starts it without waiting until it serves."""
        assert self.process is None or self.process.popen.poll() is not None
        self.process = Process(self.arguments(**overrides))
        return self.process

    def start(self, timeout=30, **overrides):
        ready = self.spawn(**overrides).wait_for(
            r"event=ready http=(\S+) grpc=(\S+)", timeout=timeout
        )
        self.http, self.grpc = ready.group(1), ready.group(2)
        return self

    def stop(self, timeout=30):
        """SIGTERM; the exit code."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self):
        """SIGKILL."""
        return self.process.kill()

    def restart(self, **overrides):
        code = self.stop()
        assert code == 0, (code, self.process.text())
        return self.start(**overrides)

    def fails_to_start(self, **overrides):
        """Starts it, expecting that it refuses: (exit code, stderr)."""
        process = self.spawn(**overrides)
        code = process.wait()
        return code, process.text()

    # -- over HTTP --

    def url(self, path=""):
        return f"http://{self.http}{path}"

    def connection(self, timeout=30):
        return http.client.HTTPConnection(self.http, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=30):
        """One request on a connection of its own."""
        connection = self.connection(timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)


class Logd(Daemon):
    """See above. `directory` keeps the state there instead; `is_started=False` only makes the keys."""

    program = LOGD

    def __init__(
        self, directory=None, origin="log.example/test", is_started=True, wrapper=(),
        policy_text="quorum none\n", **settings
    ):
        """`policy_text`: what follows the log's own line in its policy."""
        super().__init__(directory, wrapper, settings)
        self.origin = origin
        self.public = os.path.join(self.data, "log")
        self.key = os.path.join(self.dir, "log.key")
        self.promise_key = os.path.join(self.dir, "promise.key")
        self.policy = os.path.join(self.dir, "policy")
        if not os.path.exists(self.key):
            keygen("log", origin, self.key)
            keygen("promise", origin + "/promise", self.promise_key)
        with open(self.key + ".vkey", encoding="utf-8") as file:
            self.vkey = file.read().strip()
        with open(self.policy, "w", encoding="utf-8") as file:
            file.write(f"log {self.vkey}\n{policy_text}")
        if is_started:
            self.start()

    def defaults(self):
        return {
            "data_dir": self.data,
            "key": self.key,
            "promise_key": self.promise_key,
            "policy": self.policy,
        }

    def add(self, entry):
        """POST /add (needs http_add="on"); the index."""
        response = self.request("POST", "/add", entry)
        assert response.status == 200, response
        return int(response.body)

    # -- through the CLI --

    def append(self, *entries, wait="durable", code=0, log=None):
        """Appends bytes in one command; [(index, leaf hash as hex), ...] in order."""
        with tempfile.TemporaryDirectory(dir=self.dir) as directory:
            files = []
            for i, entry in enumerate(entries):
                files.append(os.path.join(directory, str(i)))
                with open(files[-1], "wb") as file:
                    file.write(entry)
            policy = ["--policy", self.policy] if wait == "witnessed" else []
            done = courtroll(
                "append", "--log", log or self.grpc, "--wait", wait, *policy, "--", *files,
                code=code,
            )
        lines = [line.split() for line in done.stdout.splitlines()]
        return [(int(line[0]), line[1]) for line in lines]

    def status(self):
        return json.loads(courtroll("status", "--log", self.grpc, "--json", code=0).stdout)

    def fsck(self, code=0, *arguments):
        """Re-hashes the directory."""
        return courtroll(
            "fsck", "--policy", self.policy, "--dir", self.public, *arguments, code=code
        )

    # -- what is published --

    def published_size(self):
        """Of the checkpoint served now; 0 while there is none."""
        response = self.get("/checkpoint")
        return int(response.body.split(b"\n")[1]) if response.status == 200 else 0

    def wait_published(self, size, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            published = self.published_size()
            if published >= size:
                return published
            if time.monotonic() > deadline:
                raise AssertionError(f"{published} published, not {size}: {self.process.text()}")
            time.sleep(0.01)


def keygen(kind, name, out):
    courtroll("keygen", "--type", kind, "--name", name, "--out", out, code=0)


def wait_until(claim, what, timeout=30, pause=0.05):
    """Calls claim() until it is true."""
    deadline = time.monotonic() + timeout
    while not claim():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(pause)
