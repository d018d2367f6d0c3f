#!/usr/bin/env python3
"""kill -9 at random moments: nothing acknowledged is lost or moved, nothing signed is contradicted.

Each round puts a log under load from several submitters, kills it at a moment of one kind (below),
starts it again and compares everything with what the outside was told: the entries acknowledged, the
promises, and every note that was ever seen, at the HTTP port, in the archive or in a file. The
tree is hashed again in Python, from the bundles on the disk.

COURTROLL_SEED repeats the choices of a run (not its timing); COURTROLL_KILL_ROUNDS sets the rounds.
"""
import collections
import contextlib
import glob
import hashlib
import http.client
import os
import random
import re
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from logd import COURTROLL, IS_LONG, Logd, wait_until  # noqa: E402

SEED = int(os.environ.get("COURTROLL_SEED") or random.SystemRandom().randrange(10**9))
ROUNDS = int(os.environ.get("COURTROLL_KILL_ROUNDS") or (200 if IS_LONG else 12))
CALL = 1000  # lines that `courtroll append --lines` sends in one call
HTTP_SUBMITTERS = 3
LOAD_S = 0.6  # at most
SIGNATURES_CHECKED = 5  # of the notes new in a round: some milliseconds each
ASKED_AGAIN = 15  # acknowledged entries appended once more, a round


def make_entry(source, number):
    """The entry that a source sends as its number-th: whole if it equals this."""
    head = f"entry {source} {number} ".encode()
    filler = hashlib.sha256(head).hexdigest().encode()
    return head + (filler * 6)[: number * 7919 % 350]


def remake_entry(entry):
    """(source, number) of an entry, which must be whole."""
    match = re.match(rb"entry (\d+) (\d+) ", entry)
    assert match, f"an entry that nobody sent: {entry[:60]}"
    source, number = int(match.group(1)), int(match.group(2))
    assert entry == make_entry(source, number), f"a torn entry: {entry[:60]}"
    return source, number


class Tree:
    """RFC 6962 by appending; `levels[l]` are the hashes that the tiles of level l hold."""

    def __init__(self):
        self.size = 0
        self.stack = []  # (height, hash) of complete subtrees, left to right
        self.levels = collections.defaultdict(list)

    def append(self, leaf):
        height, node = 0, leaf
        self.levels[0].append(leaf)
        while self.stack and self.stack[-1][0] == height:
            node = tlog.node_hash(self.stack.pop()[1], node)
            height += 1
            if height % 8 == 0:
                self.levels[height // 8].append(node)
        self.stack.append((height, node))
        self.size += 1

    def root(self):
        if not self.stack:
            return hashlib.sha256(b"").digest()
        node = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            node = tlog.node_hash(left, node)
        return node


def read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def split_bundle(data):
    entries = []
    while data:
        length = int.from_bytes(data[:2], "big")
        assert len(data) >= 2 + length, "a bundle ends inside an entry"
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    return entries


class Told:
    """What the outside was told. Its lock guards all of it."""

    def __init__(self, origin):
        self.lock = threading.Lock()
        self.origin = origin
        self.acked = {}  # (source, number) -> index
        self.fresh = []  # of those, the ones since the last check
        self.sent = collections.Counter()  # source -> how many it has sent at most
        self.notes = {}  # text of a checkpoint -> the first note that had it
        self.served = set()  # notes that the log served
        self.calls = {}  # source -> entries a call, of those that send many in one call
        self.sources = 0

    def source(self, call=None):
        with self.lock:
            self.sources += 1
            if call is not None:
                self.calls[self.sources] = call
            return self.sources

    def sending(self, source, number):
        with self.lock:
            self.sent[source] = max(self.sent[source], number + 1)

    def acknowledged(self, source, number, index):
        with self.lock:
            known = self.acked.get((source, number))
            assert known is None or known == index, f"{source} {number}: {known}, then {index}"
            self.acked[source, number] = index
            self.fresh.append((source, number, index))

    def saw(self, note, is_served=False):
        """A note, or the text of one (the mark)."""
        text, _, signatures = note.decode().partition("\n\n")
        text = text.rstrip("\n") + "\n"
        with self.lock:
            if signatures or text not in self.notes:
                self.notes[text] = note.decode()
            if is_served:
                self.served.add(note.decode())


class Life:
    """Load on one life of the daemon: threads and commands that end when it does, or when told."""

    def __init__(self, log, told, rng, promises, is_dedup):
        self.log, self.told, self.promises = log, told, promises
        self.is_over = threading.Event()  # for submitters
        self.is_dead = threading.Event()  # for watchers
        self.seeds = random.Random(rng.random())
        self.is_dedup = is_dedup
        self.submitters = []
        self.watchers = []
        self.children = []
        self.problems = []

    def start(self, threads, function, *arguments):
        def run():
            try:
                function(*arguments)
            except Exception as problem:  # pylint: disable=broad-except
                self.problems.append(problem)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()

    def join(self, threads):
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive(), "a thread hangs"
        if self.problems:
            raise self.problems[0]

    def end_load(self):
        self.is_over.set()
        for child in self.children:
            child.kill()
        self.join(self.submitters)

    def end(self):
        self.is_dead.set()
        self.end_load()
        self.join(self.watchers)

    # -- POST /add, one connection each, one entry after another --

    def http_submitter(self, submitter):
        connection = self.log.connection(10)
        try:
            while not self.is_over.is_set():
                source, number = submitter.next(self.is_dedup)
                self.told.sending(source, number)
                try:
                    connection.request("POST", "/add", make_entry(source, number))
                    response = connection.getresponse()
                    body = response.read()
                except (OSError, http.client.HTTPException):
                    return
                if response.status == 503:
                    time.sleep(0.01)
                    continue
                assert response.status == 200, (response.status, body)
                self.told.acknowledged(source, number, int(body))
                submitter.done()
        finally:
            connection.close()

    # -- courtroll append --lines: a stream of full calls, and commands of a few lines --

    def command(self, *arguments):
        child = subprocess.Popen(
            [COURTROLL, "append", "--log", self.log.grpc, "--lines", *arguments, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.children.append(child)
        if self.is_over.is_set():
            child.kill()
        return child

    def take_answers(self, child, source):
        with child.stdout:
            for number, line in enumerate(child.stdout):
                if not line.endswith(b"\n"):
                    return  # the command was killed
                index, leaf = line.split()
                assert bytes.fromhex(leaf.decode()) == tlog.leaf_hash(make_entry(source, number))
                self.told.acknowledged(source, number, int(index))

    def stream(self):
        source = self.told.source(CALL)
        child = self.command()
        self.start(self.submitters, self.take_answers, child, source)
        number = 0
        try:
            while not self.is_over.is_set():
                self.told.sending(source, number + CALL - 1)
                lines = [make_entry(source, number + i) for i in range(CALL)]
                child.stdin.write(b"\n".join(lines) + b"\n")
                child.stdin.flush()
                number += CALL
                time.sleep(self.seeds.uniform(0, 0.3))
        except OSError:
            pass
        finally:
            child.wait()  # before its input ends, which would send what is no full call
            with contextlib.suppress(OSError):
                child.stdin.close()

    def bursts(self):
        while not self.is_over.is_set():
            count = self.seeds.randrange(1, 40)
            source = self.told.source(count)
            child = self.command("--promise", self.promises)
            self.told.sending(source, count - 1)
            with contextlib.suppress(OSError), child.stdin:
                child.stdin.write(b"".join(make_entry(source, i) + b"\n" for i in range(count)))
            self.take_answers(child, source)
            if child.wait() != 0:
                return

    # -- watchers --

    def watch_http(self):
        connection = self.log.connection(10)
        last = None
        try:
            while True:
                connection.request("GET", "/checkpoint")
                response = connection.getresponse()
                note = response.read()
                if response.status == 200 and note != last:
                    last = note
                    self.told.saw(note, is_served=True)
                if self.is_dead.is_set():
                    return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def watch_files(self):
        while not self.is_dead.is_set():
            look_at_files(self.log, self.told)
            time.sleep(0.001)


class HttpSubmitter:
    """One that goes on after a crash: what was not acknowledged it sends again, as a client would."""

    def __init__(self, told):
        self.source = told.source()
        self.number = 0
        self.is_pending = False

    def next(self, is_dedup):
        if self.is_pending and not is_dedup:
            self.done()  # a second copy would be an entry of its own
        self.is_pending = True
        return self.source, self.number

    def done(self):
        self.number += 1
        self.is_pending = False


def look_at_files(log, told):
    for path in (
        os.path.join(log.public, "checkpoint"),
        os.path.join(log.data, "signed"),
        log.settings["mark_path"],
    ):
        note = read_file(path)
        if note is not None:
            told.saw(note)


def archived_notes(log, known=()):
    """All notes of the archive; files in `known` are complete and left out."""
    notes = {}
    for path in glob.glob(os.path.join(log.public, "archive/*-*-*/*/*")):
        if path in known:
            continue
        text = read_file(path).decode()
        found = re.findall(r"[^\n]+\n\d+\n[^\n]+\n\n(?:\u2014 [^\n]+\n)+", text)
        assert "\n".join(found) == text, f"a torn archive file: {path}"
        notes[path] = found
    return notes


# -- the moments --


def under_load(log, rng, _):
    time.sleep(rng.uniform(0.05, LOAD_S))
    log.kill()


def when_file_changes(log, rng, name):
    path = os.path.join(log.data, name)
    time.sleep(rng.uniform(0.05, LOAD_S / 2))
    before, until = os.stat(path).st_ino, time.monotonic() + LOAD_S
    while os.stat(path).st_ino == before and time.monotonic() < until:
        pass
    pause = time.monotonic() + rng.choice([0, 0.0005, 0.002, 0.005])
    while time.monotonic() < pause:
        pass
    log.kill()


def after_signing(log, rng, _):
    when_file_changes(log, rng, "signed")


def after_publishing(log, rng, _):
    when_file_changes(log, rng, "log/checkpoint")


def idle(log, rng, life):
    time.sleep(rng.uniform(0.05, LOAD_S / 2))
    life.end_load()
    wait_until(lambda: len(set(sizes(log))) == 1, "everything is published")
    time.sleep(rng.uniform(0, 0.1))
    log.kill()


def draining(log, rng, _):
    time.sleep(rng.uniform(0.05, LOAD_S))
    log.process.signal(15)
    time.sleep(rng.uniform(0, 0.3))
    code = log.kill()
    assert code in (0, -9), f"exit code {code}"


def starting(log, rng, life):
    under_load(log, rng, life)
    life.end()
    for _ in range(rng.randrange(1, 4)):
        log.spawn()
        time.sleep(rng.uniform(0, 0.15))
        log.kill()
        look_at_files(log, life.told)


MOMENTS = [under_load, after_signing, after_publishing, idle, draining, starting]


def sizes(log):
    """(durable, published), as /healthz tells."""
    text = log.get("/healthz").body.decode()
    return tuple(int(n) for n in re.findall(r"^(?:durable|published) size: (\d+)$", text, re.M))


class Check:
    """The log as the disk has it, against what was told."""

    def __init__(self, log, told):
        self.log, self.told = log, told
        self.tree = Tree()
        self.roots = {0: self.tree.root()}
        self.where = {}  # (source, number) -> index
        self.key = tlog.Key.from_file(log.key)
        self.promise_key = tlog.Key.from_file(log.promise_key)
        self.checked_notes = set()
        self.checked_promises = set()
        self.archived = set()

    def public(self, path):
        return read_file(os.path.join(self.log.public, path))

    def bundle(self, number, size):
        width = min(256, size - 256 * number)
        path = tlog.tile_path("entries", number, width)
        data = self.public(path)
        assert data is not None, f"{path} is missing"
        entries = split_bundle(data)
        assert len(entries) == width, f"{path} has {len(entries)} entries"
        return entries

    def grow(self, size):
        """Hashes the entries that are new, and roots at the sizes of all notes."""
        wanted = {int(text.split("\n")[1]) for text in self.told.notes}
        assert size >= self.tree.size, f"the log shrank from {self.tree.size} to {size}"
        for number in range(self.tree.size // 256, (size + 255) // 256):
            for i, entry in enumerate(self.bundle(number, size)):
                index = 256 * number + i
                if index < self.tree.size:
                    assert tlog.leaf_hash(entry) == self.tree.levels[0][index], f"{index} changed"
                    continue
                self.take(index, entry)
                if self.tree.size in wanted:
                    self.roots[self.tree.size] = self.tree.root()
        self.roots[size] = self.tree.root()

    def take(self, index, entry):
        who = remake_entry(entry)
        assert who[1] < self.told.sent[who[0]], f"entry {index} was never sent"
        assert who not in self.where, f"{who} is logged twice: {self.where[who]} and {index}"
        self.where[who] = index
        self.tree.append(tlog.leaf_hash(entry))

    def tiles(self):
        """Every tile of every level, byte by byte."""
        for level, hashes in list(self.tree.levels.items()):
            for first in range(0, len(hashes), 256):
                part = hashes[first : first + 256]
                path = tlog.tile_path(level, first // 256, len(part))
                assert self.public(path) == b"".join(part), f"{path} is wrong"

    def acknowledgements(self):
        for source, number, index in self.told.fresh:
            assert index < self.tree.size, f"entry {index} was acknowledged and is lost"
            assert self.where.get((source, number)) == index, f"entry {index} was moved"
        self.told.fresh = []

    def calls(self):
        """A call is logged as a whole, in one piece, or not at all."""
        for source, call in self.told.calls.items():
            for first in range(0, self.told.sent[source], call):
                at = [self.where.get((source, first + i)) for i in range(call)]
                if at[0] is None:
                    assert set(at) == {None}, f"half of call {source} {first} is logged"
                else:
                    assert at == list(range(at[0], at[0] + call)), f"call {source} {first} is torn"

    def root_at(self, size):
        if size not in self.roots:  # seen after the tree had grown past it
            self.roots[size] = tlog.root(self.tree.levels[0][:size])
        return self.roots[size]

    def notes(self, rng):
        """One root a size, and each is of the tree as it is now: so each tree extends the others."""
        new = [text for text in self.told.notes if text not in self.checked_notes]
        for text in new:
            origin, size, root = text.rstrip("\n").split("\n")
            assert origin == self.told.origin
            assert int(size) <= self.tree.size, f"{size} was signed, the log has {self.tree.size}"
            assert tlog.b64(self.root_at(int(size))) == root, f"size {size} was signed with another root"
        self.checked_notes.update(new)
        for text in rng.sample(new, min(len(new), SIGNATURES_CHECKED)):
            note = self.told.notes[text]
            assert note in (text, text + "\n" + self.key.line(text)), note
        per_size = collections.Counter(text.split("\n")[1] for text in self.told.notes)
        assert max(per_size.values()) == 1, "a size was signed with two roots"

    def archive(self):
        """What was served is archived; what is archived counts as signed."""
        for path, notes in archived_notes(self.log).items():
            for note in notes:
                if note not in self.archived:
                    self.archived.add(note)
                    self.told.saw(note.encode())
            assert notes, path
        missing = self.told.served - self.archived
        assert not missing, f"served and not archived: {missing}"

    def promises(self, directory, rng):
        new = [name for name in os.listdir(directory) if name.endswith(".promise")]
        new = [name for name in new if name not in self.checked_promises]
        for name in new:
            note = read_file(os.path.join(directory, name)).decode()
            text = note.partition("\n\n")[0] + "\n"
            title, origin, *lines = text.rstrip("\n").split("\n")
            assert (title, origin) == ("courtroll promise v1", self.told.origin)
            for line in lines:
                index, leaf = line.split(" ")
                assert int(index) < self.tree.size, f"{name}: promised and lost"
                assert tlog.b64(self.tree.levels[0][int(index)]) == leaf, f"{name}: broken"
            if rng.random() < 0.1:
                assert note == text + "\n" + self.promise_key.line(text)
        self.checked_promises.update(new)

    def everything(self, promises, rng):
        wait_until(lambda: len(set(sizes(self.log))) == 1, "everything is published")
        look_at_files(self.log, self.told)
        self.archive()
        size = self.log.published_size()
        self.grow(size)
        self.tiles()
        self.acknowledgements()
        self.calls()
        self.notes(rng)
        self.promises(promises, rng)
        note = self.public("checkpoint").decode()
        assert note == self.log.get("/checkpoint").body.decode()
        assert note.split("\n")[1:3] == [str(size), tlog.b64(self.tree.root())]

    def asked_again(self, rng):
        """Deduplication: what is logged is found again, whenever it was logged."""
        if self.tree.size == 0:
            return
        last = max(self.tree.size - 2000, 0)
        indices = [rng.randrange(last, self.tree.size) for _ in range(ASKED_AGAIN // 2)]
        indices += [rng.randrange(self.tree.size) for _ in range(ASKED_AGAIN // 2)]
        indices += [self.tree.size - 1]
        who = {index: key for key, index in self.where.items()}
        connection = self.log.connection()
        for index in indices:
            connection.request("POST", "/add", make_entry(*who[index]))
            response = connection.getresponse()
            body = response.read()
            assert (response.status, body) == (200, str(index).encode()), (index, body)
        connection.close()
        assert sizes(self.log)[0] == self.tree.size, "a repeated entry was logged again"

    def from_scratch(self):
        """Once more, with nothing remembered but what was told."""
        again = Check(self.log, self.told)
        again.grow(self.tree.size)
        again.told.fresh = [(*who, index) for who, index in self.told.acked.items()]
        again.acknowledgements()
        again.tiles()
        again.notes(random.Random(SEED))


class Kill(unittest.TestCase):
    def test_kill_9_loses_nothing_acknowledged_and_never_forks(self):
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
        rng = random.Random(SEED)
        with Logd(http_add="on", is_started=False, checkpoint_interval_ms=20) as log:
            log.settings["mark_path"] = os.path.join(log.dir, "mark")
            self.promises = os.path.join(log.dir, "promises")
            os.mkdir(self.promises)
            self.told = Told(log.origin)
            self.check = Check(log, self.told)
            self.submitters = [HttpSubmitter(self.told) for _ in range(HTTP_SUBMITTERS)]
            self.ready_s = []
            self.rounds = collections.Counter()
            began = time.monotonic()
            is_dedup = True
            log.start()
            for number in range(ROUNDS):
                moment = MOMENTS[number % len(MOMENTS)]
                try:
                    is_dedup = self.round(log, rng, number, moment, is_dedup)
                except Exception as problem:
                    raise AssertionError(
                        f"round {number}, {moment.__name__}, seed {SEED}: {problem}\n"
                        + log.process.text()[-2000:]
                    ) from problem
            self.assertEqual(log.stop(), 0)
            self.check.from_scratch()
            self.report(time.monotonic() - began)

    def round(self, log, rng, number, moment, is_dedup):
        """One life and its end; whether the next life deduplicates."""
        life = Life(log, self.told, rng, self.promises, is_dedup)
        for submitter in self.submitters:
            life.start(life.submitters, life.http_submitter, submitter)
        life.start(life.submitters, life.stream)
        life.start(life.submitters, life.bursts)
        life.start(life.watchers, life.watch_http)
        life.start(life.watchers, life.watch_files)
        try:
            moment(log, rng, life)
        finally:
            log.kill()
            life.end()
        self.rounds[moment.__name__] += 1
        look_at_files(log, self.told)
        log.fsck()  # as the crash left it: what is published is complete

        is_dedup = rng.random() < 0.8
        began = time.monotonic()
        log.start(
            dedup="on" if is_dedup else "off",
            checkpoint_interval_ms=rng.choice([10, 20, 50, 200]),
        )
        self.ready_s.append(time.monotonic() - began)
        self.check.everything(self.promises, rng)
        log.fsck()
        if number % 5 == 0:
            self.fsck_log(log, log.url())
            self.fsck_log(log, log.grpc)
        if is_dedup:
            self.check.asked_again(rng)
        if number % 10 == 9:
            print(f"round {number + 1}: {self.check.tree.size} entries", flush=True)
        return is_dedup

    def fsck_log(self, log, address):
        done = subprocess.run(
            [COURTROLL, "fsck", "--policy", log.policy, "--log", address],
            capture_output=True, timeout=120, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def report(self, seconds):
        told, check = self.told, self.check
        unacknowledged = len(check.where) - len(told.acked)
        print(
            f"{ROUNDS} kills in {seconds:.0f} s: {dict(self.rounds)}\n"
            f"{check.tree.size} entries, {len(told.acked)} of them acknowledged, none lost or moved; "
            f"{unacknowledged} unacknowledged are complete\n"
            f"{len(told.notes)} notes signed, {len(told.served)} seen at the port, "
            f"{len(check.archived)} archived: one root a size\n"
            f"{len(check.checked_promises)} promises kept\n"
            f"ready after a kill: median {sorted(self.ready_s)[len(self.ready_s) // 2]:.2f} s, "
            f"most {max(self.ready_s):.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    unittest.main()
