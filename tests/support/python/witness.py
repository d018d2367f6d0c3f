"""A courtroll-witness of a test's own: keys, its file of logs, start, stop, kill, add-checkpoint.

    log = Tree("log.example/a")                      # a log that signs whatever it is told to
    with Witness([log.key]) as witness:              # keyword = configuration key, _ for -
        log.grow(5)
        witness.cosign(log, 0, 5)                    # 200 and verified, or AssertionError
        witness.add_checkpoint(log.request(5, 5))    # Response, whatever it is

COURTROLL_BIN names the directory of the built programs. See logd.py for the rest.
"""
import hashlib
import os
import signal
import time

import tlog
from logd import BIN, Daemon, keygen

WITNESS = os.path.join(BIN, "courtroll-witness")


class Tree:
    """A log as its witness sees it. Leaves are hashes; `name` another content for the same origin."""

    def __init__(self, origin, size=0, name="", key=None):
        self.origin, self.name = origin, name
        self.key = key or tlog.Key(origin, tlog.ED25519)
        self.leaves = []
        self._notes = {}
        self.grow(size)

    def grow(self, count):
        first = len(self.leaves)
        self.leaves += [
            tlog.leaf_hash(f"{self.origin} {self.name} {i}".encode())
            for i in range(first, first + count)
        ]
        return self

    def branch(self, size, name):
        """Another history that has the first `size` leaves in common."""
        other = Tree(self.origin, name=name, key=self.key)
        other.leaves = self.leaves[:size]
        return other

    def root(self, size):
        return tlog.root(self.leaves[:size])

    def text(self, size):
        return tlog.checkpoint_text(self.origin, size, self.root(size))

    def note(self, size):
        if size not in self._notes:
            self._notes[size] = tlog.signed(self.text(size), self.key)
        return self._notes[size]

    def proof(self, old, size):
        return tlog.consistency(old, self.leaves[:size]) if old < size else []

    def request(self, old, size):
        return tlog.add_checkpoint(old, self.proof(old, size), self.note(size))

    def hash(self):
        return hashlib.sha256(self.origin.encode()).hexdigest()


def write_private(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


class Witness(Daemon):
    """See above. `logs` is keys of logs, or vkeys as text; `directory` keeps the state there instead;
    `key` is a tlog.Key to sign with instead of a new one."""

    program = WITNESS

    def __init__(
        self, logs, directory=None, name="witness.example/w", key=None, is_started=True, wrapper=(),
        **settings
    ):
        super().__init__(directory, wrapper, settings)
        self.name = name
        self.logs = os.path.join(self.dir, "logs")
        self.key_file = os.path.join(self.dir, "witness.key")
        if key is not None:
            write_private(self.key_file, key.skey() + "\n")
        elif not os.path.exists(self.key_file):
            keygen("witness", name, self.key_file)
        self.key = tlog.Key.from_file(self.key_file)
        self.vkey = self.key.vkey()
        self.write_logs(logs)
        if is_started:
            self.start()

    def defaults(self):
        return {"data_dir": self.data, "key": self.key_file, "logs": self.logs}

    def write_logs(self, logs):
        with open(self.logs, "w", encoding="utf-8") as file:
            for log in logs:
                file.write(f"log {log if isinstance(log, str) else log.vkey()}\n")

    def reload(self, pattern="event=logs_read"):
        """SIGHUP; waits for a line of stderr that was not there before, and returns it."""
        seen = len(self.process.text().splitlines())
        self.process.signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while True:
            lines = self.process.text().splitlines()[seen:]
            found = [line for line in lines if pattern in line]
            if found:
                return found[0]
            assert time.monotonic() < deadline, f"no {pattern}: {lines}"
            time.sleep(0.01)

    # -- cosigning --

    def add_checkpoint(self, body, headers=None):
        """POST /add-checkpoint."""
        return self.request("POST", "/add-checkpoint", body, headers)

    def times(self, text, lines):
        """The times of the cosignatures in an answer, each of which must be ours and valid."""
        out = [self.key.verify_line(text, line) for line in lines.splitlines(keepends=True)]
        assert out and None not in out and 0 not in out, (text, lines)
        return out

    def cosign(self, tree, old, size):
        """Has the witness cosign; the time it signed."""
        answer = self.add_checkpoint(tree.request(old, size))
        assert answer.status == 200, answer
        return self.times(tree.text(size), answer.body.decode())[0]

    def checkpoint_of(self, origin):
        """What the monitoring endpoint has: the note as text, or None."""
        answer = self.get(f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")
        assert answer.status in (200, 404), answer
        return answer.body.decode() if answer.status == 200 else None

    def checkpoint(self, tree):
        return self.checkpoint_of(tree.origin)

    def held_size_of(self, origin):
        """0 when nothing was cosigned."""
        note = self.checkpoint_of(origin)
        return 0 if note is None else int(note.split("\n")[1])

    def held_size(self, tree):
        return self.held_size_of(tree.origin)
