#!/usr/bin/python3
"""64 connections ask a witness for contradictory cosignatures of one log at once: one history comes out.

Every answer is held against the rules of add-checkpoint: there must be one order of states, each
cosigned once, in which all answers are right, and which agrees with what was answered before what
was asked. Also when the process is killed meanwhile and started again.

COURTROLL_BIN names the directory of the built programs; COURTROLL_LONG=1 makes it thousands of rounds;
COURTROLL_SEED=N repeats a run.
"""
import base64
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import unittest
from collections import namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

import tlog
from logd import IS_LONG
from swarm import Swarm
from witness import Tree, Witness

CONNECTIONS = 64
SEED = int(os.environ.get("COURTROLL_SEED", time.time_ns() % 2**32))

State = namedtuple("State", "size root")
EMPTY = State(0, tlog.root([]))


class Ask:
    """A request, and what the rules say of it: protocols 6.1, checks 6 to 12."""

    def __init__(self, tree, old, size, start=None, proof=None):
        """`start`: the root that `proof` leads from; without a proof, the tree's own."""
        self.origin, self.tree, self.old = tree.origin, tree, old
        self.state = State(size, tree.root(size))
        if proof is None:
            start, proof = tree.root(old), tree.proof(old, size)
        self.start, self.has_proof = start, len(proof) > 0
        self.body = tlog.add_checkpoint(old, proof, tree.note(size))
        head = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n"
        self.request = head % len(self.body) + self.body

    def __repr__(self):
        return f"{self.old}->{self.state.size} of {self.tree.name}"

    def status(self, held):
        """Of the answer when `held` is what the witness has."""
        if self.old > self.state.size:
            return 400
        if self.old != held.size:
            return 409
        if self.old == 0:
            return 422 if self.has_proof else 200
        if self.old == self.state.size:
            return 200 if self.state == held and not self.has_proof else 422
        return 200 if self.start == held.root else 422

    def fits(self, exchange, held):
        """Whether the exchange's answer is right where `held` is the state when it is given. A cosigned
        state is its own answer: whoever repeats the request within a second is told the same."""
        status = exchange.answer.status
        if status == 200:
            return held == self.state
        if status == 409:
            return self.status(held) == 409 and exchange.answer.body == b"%d\n" % held.size
        return status == self.status(held)


class Look:
    """A read of what is cosigned."""

    old = None

    def __init__(self, log):
        self.origin = log.origin
        path = f"/{log.hash()}/checkpoint".encode()
        self.request = b"GET " + path + b" HTTP/1.1\r\nHost: w\r\n\r\n"

    def __repr__(self):
        return "look"

    def fits(self, exchange, held):
        answer = exchange.answer
        if answer.status == 404:
            return held == EMPTY
        _, size, root = answer.body.decode().split("\n")[:3]
        return answer.status == 200 and (int(size), root) == (held.size, tlog.b64(held.root))


class History:
    """What the witness has cosigned of one log so far, and whether all it answered is in keeping."""

    def __init__(self, witness, log):
        self.witness, self.log = witness, log
        self.tree = log  # the history that won so far
        self.held = EMPTY
        self.lines = {}  # verified: (text, lines) -> time
        self.time = 0
        self.rounds = 0
        self.counts = {}

    # -- what is answered --

    def verify(self, text, lines):
        """The time in the one cosignature."""
        if (text, lines) not in self.lines:
            (self.lines[text, lines],) = self.witness.times(text, lines)
        return self.lines[text, lines]

    def time_of(self, exchange):
        """Of the cosignature in the answer, verified; None when there is none in it."""
        ask, answer = exchange.ask, exchange.answer
        if answer.status != 200:
            return None
        text = answer.body.decode()
        if isinstance(ask, Look):
            text, _, lines = text.partition("\n\n")
            line, lines = lines.splitlines(keepends=True)
            assert self.log.key.verify_line(text + "\n", line) == 0, exchange
            return self.verify(text + "\n", lines)
        return self.verify(ask.tree.text(ask.state.size), text)

    def held_now(self):
        """The state and its tree, as it is shown to everybody."""
        note = self.witness.checkpoint(self.log)
        if note is None:
            return EMPTY
        size, root = note.split("\n")[1:3]
        self.verify(note.partition("\n\n")[0] + "\n", note.splitlines(keepends=True)[-1])
        return State(int(size), base64.b64decode(root))

    # -- is it one history? --

    def check(self, exchanges, is_cut=False):
        """All exchanges since the last check. `is_cut`: the process was killed meanwhile."""
        answered = [x for x in exchanges if x.answer is not None]
        assert is_cut or len(answered) == len(exchanges), "connections were lost"
        end = self.held_now()
        states = self.states(exchanges, end, is_cut)
        self.check_order(states, exchanges)
        for x in answered:
            self.counts[x.answer.status] = self.counts.get(x.answer.status, 0) + 1
        self.held = end
        self.rounds += 1

    def states(self, exchanges, end, is_cut):
        """What was held one after the other: of a history that was cut, all that may have been."""
        advances = {}  # (old, state) -> lines of the answers
        maybe = []
        for x in exchanges:
            if isinstance(x.ask, Look) or x.ask.state.size <= x.ask.old:
                continue
            if x.answer is None:
                maybe.append(x.ask)
            elif x.answer.status == 200 and x.ask.state == self.held:
                known = (x.ask.tree.text(x.ask.state.size), x.answer.body.decode())
                assert known in self.lines, ("one step was made twice", x)
            elif x.answer.status == 200:
                advances.setdefault((x.ask.old, x.ask.state), set()).add(x.answer.body)
            if x.ask.state == end:
                self.tree = x.ask.tree
        assert end.size >= self.held.size, ("it went back", self.held, end)
        assert self.tree.root(end.size) == end.root, ("nobody asked for that", end)
        assert self.tree.root(self.held.size) == self.held.root, ("a second history", self.held, end)
        reached = self.held.size
        for (old, state), lines in sorted(advances.items()):
            assert len(lines) == 1, ("one step was made twice", old, state)
            assert state.root == self.tree.root(state.size), ("two roots", state, end)
            assert old >= reached if is_cut else old == reached, ("no one follows", advances)
            reached = state.size
        assert end.size >= reached if is_cut else end.size == reached, (advances, end)
        states = {self.held, end, *(state for _, state in advances)}
        states |= {
            a.state for a in maybe
            if self.held.size < a.state.size < end.size
            and a.state.root == self.tree.root(a.state.size)
        }
        return sorted(states)

    def check_order(self, states, exchanges):
        """The earliest state in which each answer is right must not be before one that somebody knew of when it
        was asked for, nor one that nobody had asked for yet."""
        born = {self.held: 0}
        for x in exchanges:
            if not isinstance(x.ask, Look):
                born.setdefault(x.ask.state, x.sent)
        events = [(x.sent, False, x) for x in exchanges]
        events += [(x.received, True, x) for x in exchanges if x.answer is not None]
        known, newest, floors = 0, self.time, {}
        for _, is_end, x in sorted(events, key=lambda event: event[0]):
            if not is_end:
                floors[x] = known, newest
                continue
            floor, earliest = floors[x]
            at = floor
            while at < len(states) and not x.ask.fits(x, states[at]):
                at += 1
            assert at < len(states), ("never right", x, self.witness.process.text()[-2000:])
            assert born[states[at]] < x.received, ("foretold", x)
            known = max(known, at)
            when = self.time_of(x)
            if when is not None:
                assert when >= earliest, ("time went back", x)
                newest = max(newest, when)
        self.time = newest

    def check_evidence(self):
        """The log did sign two histories, and the witness holds the proof."""
        assert self.log.origin in self.witness.get("/evidence").body.decode()


def asks_of(history, depth, branch_count):
    """Requests that contradict each other, by the old size that they name."""
    held, tree = history.held, history.tree
    branches = [
        tree.branch(held.size, f"{history.rounds}.{i}").grow(depth) for i in range(branch_count)
    ]
    asks = [Look(history.log)]
    for b, branch in enumerate(branches):
        other = branches[b - 1]
        for old in range(held.size, held.size + depth):
            for size in range(old, min(old + 2, held.size + depth) + 1):
                asks.append(Ask(branch, old, size))
        size = held.size + 1
        asks.append(Ask(branch, size, size - 1))
        asks.append(Ask(branch, 0, size))
        asks.append(Ask(branch, 0, size, proof=[bytes(32)]))
        asks.append(Ask(branch, held.size, held.size, proof=[bytes(32)]))
        if held.size > 0:
            asks.append(Ask(branch, held.size, size, proof=other.proof(held.size, size)))
            asks.append(Ask(branch, held.size, size, proof=[]))
            asks.append(Ask(branch, held.size - 1, size))
            asks.append(Ask(branch, held.size - 1, held.size))
    # Of the round before: what lost then, and what won.
    asks += getattr(history, "older", [])
    history.older = [a for a in random.sample(asks, 8) if not isinstance(a, Look)]
    by_old = {}
    for ask in asks:
        by_old.setdefault(ask.old, []).append(ask)
    return asks, by_old


class Crowd:
    """What each connection asks next: mostly what fits the size that was heard of last."""

    def __init__(self, history, depth=3, branch_count=3, count=1):
        self.asks, self.by_old = asks_of(history, depth, branch_count)
        self.left = [count] * CONNECTIONS
        self.heard = history.held.size

    def next_ask(self, number, last):
        if last is not None and last.answer is not None and last.answer.status == 409:
            self.heard = max(self.heard, int(last.answer.body))
        if self.left[number] == 0:
            return None
        self.left[number] -= 1
        fitting = self.by_old.get(self.heard)
        return random.choice(fitting if fitting and random.random() < 0.6 else self.asks)


class Races(unittest.TestCase):
    def setUp(self):
        random.seed(SEED)
        self.addCleanup(lambda: print(f"COURTROLL_SEED={SEED}", file=sys.stderr))

    def witness(self, logs, **settings):
        made = Witness(
            [log.key for log in logs],
            peer_requests_per_minute=0, log_requests_per_minute=0, **settings,
        )
        self.addCleanup(made.close)
        return made

    def logs(self, count):
        return [Tree(f"log.example/{i}") for i in range(count)]

    def report(self, histories):
        total = {}
        for history in histories:
            for status, count in history.counts.items():
                total[status] = total.get(status, 0) + count
        print(f"{sum(h.rounds for h in histories)} rounds: {dict(sorted(total.items()))}")
        for status in (200, 400, 409, 422):
            self.assertGreater(total.get(status, 0), 0)

    def test_one_log(self):
        """Every log begins anew, when everything may still be signed, and grows for some rounds."""
        logs = self.logs(150 if IS_LONG else 12)
        witness = self.witness(logs)
        histories = [History(witness, log) for log in logs]
        with Swarm(witness.http, CONNECTIONS) as swarm:
            for history in histories:
                for i in range(20):
                    crowd = Crowd(history, count=2 if i % 5 == 0 else 1)
                    history.check(swarm.run(crowd.next_ask))
                self.assertGreater(history.held.size, 10)
                history.check_evidence()
        self.report(histories)

    def test_eight_logs_at_once(self):
        """Each of them alone is as if it had been the only one."""
        for _ in range(20 if IS_LONG else 1):
            logs = self.logs(8)
            witness = self.witness(logs)
            histories = [History(witness, log) for log in logs]
            with Swarm(witness.http, CONNECTIONS) as swarm:
                for _ in range(8):
                    crowds = [Crowd(history, count=1) for history in histories]
                    for i, crowd in enumerate(crowds):
                        crowd.left = [3 if n % 8 == i else 0 for n in range(CONNECTIONS)]
                    done = swarm.run(lambda n, x, crowds=crowds: crowds[n % 8].next_ask(n, x))
                    for history in histories:
                        history.check([x for x in done if x.ask.origin == history.log.origin])
            self.report(histories)
            witness.close()

    def live_and_die(self, lives, **settings):
        (log,) = self.logs(1)
        witness = self.witness([log], **settings)
        history = History(witness, log)
        cut = 0
        for _ in range(lives):
            crowd = Crowd(history, depth=12, branch_count=3, count=10**9)
            with Swarm(witness.http, CONNECTIONS) as swarm:
                death = threading.Timer(random.uniform(0.002, 0.15), witness.process.signal, [9])
                death.start()
                exchanges = swarm.run(crowd.next_ask)
                death.join()
            self.assertEqual(witness.process.wait(), -9)
            witness.start()
            history.check(exchanges, is_cut=True)
            cut += any(x.answer is None for x in exchanges)
            self.assertEqual(witness.get("/readyz").status, 200)
        print(f"{cut} of {lives} lives ended with requests under way, at size {history.held.size}")
        self.assertGreater(cut, 0)
        self.report([history])
        return witness, history

    def test_killed_again_and_again(self):
        self.live_and_die(300 if IS_LONG else 20)

    def test_killed_again_and_again_with_a_mark_file(self):
        """A kill between the state and its mark must look like none."""
        directory = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, directory)
        mark = os.path.join(directory, "mark")
        witness, history = self.live_and_die(100 if IS_LONG else 10, mark_path=mark)
        # The mark has the last word on all that was answered: the state before it is refused.
        self.assertIn("rollback detected by a mark file", witness.get("/healthz").body.decode())
        self.assertEqual(witness.stop(), 0)
        shutil.rmtree(witness.data)
        witness.start()
        again = Ask(history.tree, 0, history.held.size)
        self.assertEqual(witness.add_checkpoint(again.body).status, 503)


if __name__ == "__main__":
    unittest.main(verbosity=2)
