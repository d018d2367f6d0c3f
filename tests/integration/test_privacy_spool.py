#!/usr/bin/python3
"""What somebody on the wire between a court and its log sees of sealed records: a connection of their own, messages
of one size whatever is in them, times and an order that say nothing, and decoys that are no different.

The wire is TLS through a proxy that writes down each TLS record: when, on which connection, how long.
COURTROLL_BIN names the directory of the built programs.
"""
import itertools
import os
import statistics
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import record_check  # noqa: E402
from court import COURT, Court, GateCase  # noqa: E402
from logd import COURTROLL, courtroll, wait_until  # noqa: E402
from proxy import Proxy  # noqa: E402

RECORDS = 24
SMALL = 200 # TLS records of frames that are no calls: settings, pings, windows
# A call may share its TLS record with such frames, and its deadline is written in fewer or more digits: what a record
# is longer by then has nothing to do with what is in it. The drafts differ by 3,000 bytes.
BESIDE = 64
APPLICATION_DATA = 23


class Wire(Proxy):
    """Of each connection, what went to the log: [(time, length of a TLS record), ...]"""

    def __init__(self, target):
        self.seen = {}
        self.guard = threading.Lock()
        super().__init__(target)

    def _pass(self, source, sink):
        host = source.getpeername()
        is_of_court = "%s:%d" % host != self.target
        super()._pass(_Tap(source, self._tap(host)) if is_of_court else source, sink)

    def _tap(self, host):
        with self.guard:
            records = self.seen.setdefault(host, [])
        pending = bytearray()

        def take(piece):
            pending.extend(piece)
            while len(pending) >= 5 and len(pending) >= 5 + int.from_bytes(pending[3:5], "big"):
                length = int.from_bytes(pending[3:5], "big")
                if pending[0] == APPLICATION_DATA:
                    with self.guard:
                        records.append((time.monotonic(), length))
                del pending[:5 + length]

        return take

    def calls(self):
        """By connection: the certificate, and what is long enough to be a call."""
        with self.guard:
            found = {host: [one for one in records if one[1] >= SMALL] for host, records in self.seen.items()}
        return {host: records for host, records in found.items() if records}


class _Tap:
    def __init__(self, source, take):
        self._source, self._take = source, take

    def recv(self, size):
        piece = self._source.recv(size)
        self._take(piece)
        return piece

    def __getattr__(self, name):
        return getattr(self._source, name)


def freeze(case, is_long=False, is_sealed=True):
    """A measure, of few words or of many."""
    fields = {"debtor": "990101198503151239", "asset": f"asset {case}"}
    if is_long:
        fields |= {"reason": "x" * 1000, "place": "y" * 1000, "basis": "z" * 1000, "amount": 2**50,
                   "account": "6200990100000017", "institution": "91990000MA00000HKL"}  # fmt: skip
    return Court.draft(case, kind="FREEZE", sealed=is_sealed, officer="officer 7", fields=fields, id=str(case))


class Spool(GateCase):
    def setUp(self):
        super().setUp()
        self.register()
        self.wire = Wire(self.log.grpc)
        self.addCleanup(self.wire.close)

    def arguments(self, *more, delay):
        line = self.court.arguments(self.log, *self.tls, *more, address=self.wire.address)
        line[line.index("--sealed-delay") + 1] = str(delay)
        return line

    def send(self, lines, delay):
        """{id: index}"""
        text = "".join(line + "\n" for line in lines).encode()
        done = courtroll(*self.arguments("--wait", delay=delay), stdin=text, code=0)
        return {one: receipt["index"] for one, receipt in Court.receipts(done.stdout).items()}

    def sealed_entries(self):
        entries = [(one, record_check.decode(one, record_check.OPERATION)) for one in self.entries(self.log)]
        return [entry for entry, message in entries if message["kind"] == record_check.SEALED]

    def sealed_calls(self, least):
        """Of the one connection that has so many calls, behind the certificate and the first call, whose headers
        the later ones refer to: [(time, length), ...]"""
        calls = [one for one in self.wire.calls().values() if len(one) >= least]
        self.assertEqual(len(calls), 1)
        return calls[0][2:]

    def assert_one_size(self, lengths):
        """All are alike but for what gRPC sent beside some of them."""
        self.assertLess(max(lengths) - min(lengths), BESIDE, sorted(lengths))
        self.assertGreater(lengths.count(statistics.mode(lengths)), len(lengths) / 2, sorted(lengths))

    @staticmethod
    def in_order(indices):
        """How many of all pairs are logged in the order in which they were handed over."""
        pairs = list(itertools.combinations(indices, 2))
        return sum(a < b for a, b in pairs) / len(pairs)

    def test_they_have_a_connection_of_their_own_and_one_size(self):
        lines = [freeze(i, is_long=i % 2 == 1) for i in range(RECORDS)]
        lines += [freeze(RECORDS + i, is_sealed=False, is_long=i % 2 == 1) for i in range(RECORDS)]
        self.send(lines, delay=1)
        self.log.wait_published(2 * RECORDS + 1)
        sizes = [length for _, length in self.sealed_calls(RECORDS)]
        self.assert_one_size(sizes)
        # The others go many at a time, on connections where nothing of that size is seen.
        others = [length for one in self.wire.calls().values() if len(one) < RECORDS for _, length in one]
        self.assertGreater(max(others), 4 * max(sizes))
        self.assertNotIn(statistics.mode(sizes), others)
        entries = self.sealed_entries()
        self.assertEqual((len(entries), len({len(entry) for entry in entries})), (RECORDS, 1))

    def test_clear_calls_do_tell_how_much_is_in_them(self):
        """So that equal sizes mean something: a call of more operations is longer on the same wire."""
        for count in (1, 40):
            self.send([freeze(100 * count + i, is_sealed=False) for i in range(count)], delay=0)
        lengths = [max(length for _, length in one) for one in self.wire.calls().values()]
        self.assertGreater(max(lengths), 3 * min(lengths))

    def test_order_and_times_are_not_those_of_the_submitter(self):
        indices = self.send([freeze(i) for i in range(RECORDS)], delay=3)
        # 276 pairs of a random order: half of them, and 0.08 about that.
        self.assertLess(abs(self.in_order([indices[str(i)] for i in range(RECORDS)]) - 0.5), 0.45)
        times = [at for at, _ in self.sealed_calls(RECORDS)]
        self.assertGreater(max(times) - min(times), 1)
        # Without the delay both tell all.
        self.wire.seen.clear()
        began = time.monotonic()
        indices = self.send([freeze(1000 + i) for i in range(RECORDS)], delay=0)
        self.assertGreater(self.in_order([indices[str(1000 + i)] for i in range(RECORDS)]), 0.95)
        self.assertLess(max(at for at, _ in self.sealed_calls(RECORDS)) - began, 3)

    def test_a_decoy_is_no_different(self):
        real = [freeze(i, is_long=i % 2 == 1) for i in range(RECORDS // 2)]
        line = self.arguments("--decoys-per-hour", 20000, "--decoy-court", COURT, delay=3)
        with subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", COURTROLL, *map(str, line)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            process.stdin.write("".join(one + "\n" for one in real).encode())
            process.stdin.flush()
            wait_until(lambda: len(self.sealed_entries()) >= len(real) + RECORDS // 2, "decoys")
            process.stdin.close()
            receipts = Court.receipts(process.stdout.read().decode())
            self.assertEqual(process.wait(20), 0)
        self.assertEqual(set(receipts), {str(i) for i in range(len(real))}) # nothing is told of decoys
        self.assert_one_size([length for _, length in self.sealed_calls(RECORDS)])
        entries = self.sealed_entries()
        self.assertEqual(len({len(entry) for entry in entries}), 1)
        own = {receipt["leaf_hash"] for receipt in receipts.values()}
        decoys = [entry for entry in entries if record_check.leaf_hash(entry).hex() not in own]
        self.assertGreaterEqual(len(decoys), RECORDS // 2)
        shapes = {frozenset(name for name, value in record_check.decode(entry, record_check.OPERATION).items()
                            if value) for entry in entries}  # fmt: skip
        self.assertEqual(len(shapes), 1)
        # Their indices are among each other: neither side goes first.
        places = [record_check.leaf_hash(entry).hex() in own for entry in entries]
        self.assertGreater(sum(a != b for a, b in itertools.pairwise(places)), 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
