#!/usr/bin/python3
"""The order of a log of operations: a tag once, through kills and a change of schema; anchors while there is news;
TLS files that change under a running log.

COURTROLL_BIN names the directory of the built programs.
"""
import glob
import os
import shutil
import ssl
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402

try:
    import grpc
    from certificates import Authority
    from operations import ANCHOR, OperationCase, OperationLog, field, integers

    EXISTS = grpc.StatusCode.ALREADY_EXISTS
except ImportError:
    grpc, OperationCase = None, unittest.TestCase

HEADER = bytes([8, 1, 16])  # version 1, and then the kind


def entries(log):
    """All entries that are published."""
    size = int(log.get("/checkpoint").body.decode().split("\n")[1])
    found = []
    for first in range(0, size, 256):
        width = min(256, size - first)
        rest = log.get("/" + tlog.tile_path("entries", first // 256, width)).body
        while rest:
            length = int.from_bytes(rest[:2], "big")
            found.append(rest[2 : 2 + length])
            rest = rest[2 + length :]
    return found


def is_anchor(entry):
    return entry.startswith(HEADER + bytes([ANCHOR]))


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("in vain")
        time.sleep(0.02)


def archived_notes(log):
    """Each file of the archive has several, with an empty line between them."""
    notes = []
    for path in glob.glob(log.data + "/log/archive/*/*/*"):
        with open(path, "rb") as file:
            for note in (b"\n" + file.read()).split(b"\nlog.example/operations\n")[1:]:
                notes.append(b"log.example/operations\n" + note.rstrip(b"\n") + b"\n")
    return notes


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class Tags(OperationCase):
    def refuses(self, log, number, index):
        code, details = log.rpc(self.court).refusal(
            self.court.record(9000 + number), self.court.record(number, document=b"another")
        )
        self.assertEqual(code, EXISTS, details)
        self.assertIn(f"entry 1: its entry tag is on the log already, at index {index}", details)
        self.assertIn("the submitter's store may be an old copy", details)

    def test_a_tag_stays_taken(self):
        """In memory, in the partial tile, in full tiles; after a kill, and when the index is gone."""
        log = self.open()
        log.register(self.court)
        records = [self.court.record(i) for i in range(300)]
        rpc = log.rpc(self.court)
        for first in range(0, 300, 100):
            rpc.append(*records[first : first + 100])
        for fate in ("memory", "kill", "restart", "index lost"):
            with self.subTest(fate):
                if fate == "kill":
                    log.kill()
                elif fate != "memory":
                    log.stop()
                if fate == "index lost":
                    shutil.rmtree(os.path.join(log.data, "index"))
                if fate != "memory":
                    log.close_channels()
                    log.start()
                for number in (0, 100, 254, 255, 299):
                    self.refuses(log, number, number + 1)
                again = log.rpc(self.court).append(records[299], records[0])
                self.assertEqual([(one.index, one.duplicate) for one in again], [(300, True), (1, True)])
                self.assertEqual(log.size(), 301)
        metrics = log.get("/metrics").body.decode()
        self.assertIn("courtroll_tag_conflicts_total 5\n", metrics)

    def test_two_of_one_call(self):
        log = self.open()
        log.register(self.court)
        rpc = log.rpc(self.court)
        code, details = rpc.refusal(self.court.record(1), self.court.record(2), self.court.record(1, document=b"x"))
        self.assertEqual(code, EXISTS, details)
        self.assertIn("entry 2: its entry tag is that of entry 0", details)
        self.assertEqual(log.size(), 1)
        same = rpc.append(self.court.record(1), self.court.record(1))
        self.assertEqual([one.index for one in same], [1, 1])

    def test_a_log_that_was_opaque(self):
        """It stays so, whatever its entries are: nobody judged them, and no gate let in their submitters."""
        log = self.open(is_started=False)
        opaque = {"schema": "opaque", "submitters": None, "anchor_seconds": None}
        log.start(**opaque)
        log.rpc(self.court).append(self.court.registration(), *(self.court.record(i) for i in range(300)))
        log.stop()
        log.close_channels()
        code, said = log.fails_to_start(schema="operation", submitters=log.submitters)
        self.assertEqual(code, 2)
        self.assertIn("holds opaque entries: schema = operation is for a new log", said)
        self.assertFalse(os.path.exists(os.path.join(log.data, "schema")))
        log.start(**opaque)
        self.assertEqual(log.rpc(self.court).append(self.court.record(300))[0].index, 301)

    def test_a_log_whose_schema_file_is_lost(self):
        """It looks like one of opaque entries, and is refused until somebody who knows writes the line again."""
        log = self.open()
        log.register(self.court)
        log.rpc(self.court).append(*(self.court.record(i) for i in range(300)))
        log.stop()
        log.close_channels()
        schema = os.path.join(log.data, "schema")
        os.unlink(schema)
        code, said = log.fails_to_start()
        self.assertEqual(code, 2)
        self.assertIn("holds opaque entries", said)
        with open(schema, "w", encoding="ascii") as file:
            file.write("operation\n")
        log.start()
        for number in (0, 299):
            self.refuses(log, number, number + 1)


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class Anchors(OperationCase):
    def anchors(self, log):
        return [index for index, entry in enumerate(entries(log)) if is_anchor(entry)]

    def test_while_there_is_news(self):
        log = self.open(anchor_seconds=1)
        time.sleep(1.6)
        self.assertEqual(log.size(), 0)
        log.register(self.court)
        rpc = log.rpc(self.court)
        wait_until(lambda: self.anchors(log) == [1])
        time.sleep(1.6)  # an anchor alone is no news
        self.assertEqual(log.size(), 2)
        before = log.get("/checkpoint").body
        rpc.append(self.court.record(0), self.court.record(1))
        wait_until(lambda: self.anchors(log) == [1, 4])
        log.stop()
        log.close_channels()
        log.start()
        time.sleep(1.6)  # nor is it after a restart
        self.assertEqual(log.size(), 5)
        self.assertIn(b"\n4\n", entries(log)[4])
        self.assertNotIn(before, entries(log)[4])
        self.assertIn("courtroll_anchors_total 0\n", log.get("/metrics").body.decode())
        log.rpc(self.court).append(self.court.record(2))
        wait_until(lambda: self.anchors(log) == [1, 4, 6])
        self.assertIn("courtroll_anchors_total 1\n", log.get("/metrics").body.decode())
        log.fsck()

    def test_what_it_is(self):
        """The published note as it stood, vouched for, and nothing else; nobody else may log one."""
        log = self.open(anchor_seconds=1)
        log.register(self.court)
        wait_until(lambda: self.anchors(log) == [1])
        anchor = entries(log)[1]
        minute = int(time.time()) // 60
        bodies = [
            integers(1, ANCHOR, at) + field(11, 1) + field(13, note)
            for at in (minute - 1, minute)
            for note in archived_notes(log)
        ]
        self.assertIn(anchor, bodies)


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class TlsFiles(OperationCase):
    def test_reload(self):
        log = self.open()
        log.register(self.court)
        old = log.rpc(self.court)
        shown = self.certificate_of(log)
        cert, key = log.settings["tls_cert"], log.settings["tls_key"]
        with open(cert, "r+b") as file:  # broken: it goes on with what it has
            kept = file.read()
            file.truncate(100)
        log.reload("tls_not_reloaded")
        self.assertEqual(self.certificate_of(log), shown)
        with open(cert, "wb") as file:
            file.write(kept)
        next_cert, next_key = log.authority.issue("next")
        shutil.copy(next_cert, cert)
        shutil.copy(next_key, key)
        log.reload("tls_reloaded")
        self.assertNotEqual(self.certificate_of(log), shown)
        old.append(self.court.record(0))  # a connection that was there lives on
        log._channels.clear()
        log.rpc(self.court).append(self.court.record(1))
        stranger = Authority(log.dir, "stranger").issue(self.court.name, f"DNS:{self.court.name}")
        log._channels.clear()
        log._certificates[self.court.name] = stranger
        with self.assertRaises(grpc.RpcError):
            log.rpc(self.court).append(self.court.record(2))
        self.assertEqual(log.size(), 3)
        old.channel.close()

    def certificate_of(self, log):
        host, port = log.grpc.rsplit(":", 1)
        return ssl.get_server_certificate((host, int(port)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
