#!/usr/bin/python3
"""Floods, large bodies, slow ones and connections that end half-way: a witness serves its honest log all
the while, and signs nothing wrong.

COURTROLL_BIN names the directory of the built programs; COURTROLL_LONG=1 waits for slow peers to be
cut off; COURTROLL_SEED=N repeats a run.
"""
import os
import random
import socket
import struct
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

import evil as attack
import tlog
from evil import Evil, EvilCase, run_threads
from logd import IS_LONG, wait_until
from swarm import Swarm
from witness import Tree


class Load(EvilCase):
    """Requests that cost: the honest log does not pay for them."""

    def test_floods_run_into_budgets_of_their_own(self):
        evil, tree = self.evil, self.evil.tree
        tree.grow(300)
        self.w.restart(peer_requests_per_minute=120, log_requests_per_minute=200)
        unknown = Tree("log.example/nobody", 1)
        with self.honest_served() as honest:
            honest.pause = 0.15
            wait_until(lambda: honest.held > 1, "its first checkpoint is an old one")
            for source, body, refused in (
                ("127.0.0.2", b"nonsense", 400),
                ("127.0.0.3", unknown.request(0, 1), 404),
                ("127.0.0.4", tlog.add_checkpoint(0, [], self.honest.note(1)), 409),
            ):
                began = time.monotonic()
                statuses = self.flood(source, attack.post(body), 800)
                most = 120 + 2 * (time.monotonic() - began) + 2
                self.assertEqual(set(statuses), {refused, 429})
                self.assertLessEqual(statuses.count(refused), most)
                self.assertGreaterEqual(statuses.count(refused), 120)
            # A log that grows without end stops where its own budget does; whoever is refused pays.
            other = Evil(self.w, tree, source="127.0.0.5")
            self.addCleanup(other.close)
            began = time.monotonic()
            told = [other.tell(tree, size, size + 1) for size in range(300)]
            statuses = [answer.status for answer in told]
            signed = statuses.count(200)
            self.assertGreaterEqual(signed, 200)
            self.assertLessEqual(signed, 200 + 200 / 60 * (time.monotonic() - began) + 2)
            self.assertIn(429, statuses)
            self.assertEqual(self.w.held_size(tree), other.check_signed())
            self.assertEqual(statuses[: statuses.index(429)], [200] * statuses.index(429))
            evil.answers += other.answers

    def flood(self, source, request, count):
        """The statuses of that many equal requests, 32 at once."""
        left = [count]

        class Ask:
            pass

        ask = Ask()
        ask.request = request

        def next_ask(*_):
            left[0] -= 1
            return ask if left[0] >= 0 else None

        with Swarm(self.w.http, 32, source) as swarm:
            answers = [x.answer for x in swarm.run(next_ask)]
        for answer in answers:
            if answer.status == 429:
                self.assertGreater(int(answer.headers["retry-after"]), 0)
        return [answer.status for answer in answers]

    def memory(self):
        """Anonymous memory in MiB."""
        with open(f"/proc/{self.w.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024

    def test_bodies_of_a_megabyte_are_refused_and_not_kept(self):
        evil, tree = self.evil, self.evil.tree
        good = tree.request(0, 8)
        chunk = b"10000\r\n" + (good + bytes(65536))[:65536] + b"\r\n"
        head = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n"
        requests = [
            head + b"Content-Length: 1048576\r\n\r\n" + (good + bytes(1 << 20))[: 1 << 20],
            head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 16 + b"0\r\n\r\n",
        ]
        before = self.memory()
        with self.honest_served():
            statuses = []

            def push_some(request):
                for _ in range(8):
                    with attack.connect(self.w) as connection:
                        statuses.append(attack.push(connection, request))

            run_threads([lambda r=r: push_some(r) for r in requests * 6])
            self.assertEqual(len(statuses), 96)
            self.assertLessEqual(set(statuses), {413, "closed"})
            self.assertGreater(statuses.count(413), 48)
            self.assertEqual(self.w.held_size(tree), 0)
            # As large as is read, and signed for: what is not verified is not kept.
            filler = "\u2014 filler.example " + tlog.b64(random.randbytes(900)) + "\n"
            body = tlog.add_checkpoint(0, [], tree.note(8) + filler * 99)
            self.assertGreater(len(body), 120000)
            self.assert_status(evil.ask(body), 200)
            for _ in range(60):
                self.assert_status(evil.ask(random.randbytes(131072)), 400)
        self.assertLess(self.memory(), before + 64)

    def test_slow_bodies_hold_nobody_up(self):
        evil, tree = self.evil, self.evil.tree
        self.tell(200, tree, 0, 5)
        good = attack.post(tree.request(5, 8))
        body_at = good.index(b"\r\n\r\n") + 4
        large = attack.post(bytes(131072))
        idle = self.metric("courtroll_http_connections")
        with self.honest_served():
            slow = [
                attack.Trickle(self.w, good, 60, begun=body_at),
                attack.Trickle(self.w, good, 20, begun=len(good) - 5),
                attack.Trickle(self.w, good, 60, begun=20),  # a header of a byte a second, too
                attack.Trickle(self.w, large, 60, begun=100000),
            ]
            self.assertGreater(self.metric("courtroll_http_connections"), 199)
            for _ in range(5):
                time.sleep(1)
                for one in slow:
                    one.send()
            # Slow, and all there in the end: these are answered as any other.
            answers = [attack.read_answer(connection) for connection in slow[1].connections]
            self.assertEqual({status for status, _ in answers}, {200, 409} & {s for s, _ in answers})
            signed = [text for status, text in answers if status == 200]
            self.assertGreater(len(signed), 0)
            for lines in signed:
                self.w.times(tree.text(8), lines.decode())
            evil.unread.add(8)
            if IS_LONG:
                for _ in range(40):
                    time.sleep(1)
                    for one in slow:
                        one.send()
                for one in (slow[0], slow[2], slow[3]):
                    for connection in one.connections:
                        self.assertIn(attack.read_status(connection), (408, "closed"))
            for one in slow:
                one.close()
            wait_until(lambda: self.metric("courtroll_http_connections") <= idle + 3, "they are gone")
        self.assertEqual(self.w.held_size(tree), 8)

    def test_connections_that_end_half_way(self):
        evil, tree = self.evil, self.evil.tree
        tree.grow(60)
        self.tell(200, tree, 0, 5)
        reset = struct.pack("ii", 1, 0)
        with self.honest_served():
            # All said, and listening still: answered.
            for size in range(6, 12):
                with attack.connect(self.w) as connection:
                    connection.sendall(attack.post(tree.request(size - 1, size)))
                    connection.shutdown(socket.SHUT_WR)
                    status, lines = attack.read_answer(connection)
                    self.assertEqual(status, 200)
                    self.w.times(tree.text(size), lines.decode())
                    evil.unread.add(size)
            request = attack.post(tree.request(11, 12))
            for cut in random.sample(range(1, len(request)), 60):
                with attack.connect(self.w) as connection:
                    connection.sendall(request[:cut])
                    connection.shutdown(socket.SHUT_WR)
                    self.assertIn(attack.read_status(connection), (400, "closed"), request[:cut])
                with attack.connect(self.w) as connection:
                    connection.sendall(request[:cut])
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            self.assertEqual(self.w.held_size(tree), 11)
            # All said, and gone before the answer: it may count or not, but only once.
            for size in range(12, 40):
                with attack.connect(self.w) as connection:
                    connection.sendall(attack.post(tree.request(size - 1, size)))
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                evil.unread.add(size)
            held = 11
            while (answer := evil.tell(evil.fork(held), held, held)).status == 409:
                self.assertGreater(int(answer.body), held)  # some were still to be decided
                held = int(answer.body)
            self.assert_status(answer, 422)
            self.assertLess(held, 40)


if __name__ == "__main__":
    unittest.main(verbosity=2)
