#!/usr/bin/python3
"""Log.AppendStream: one answer a message, in order, and nothing behind a message that is refused.

COURTROLL_BIN names the directory of the built programs.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from logd import Logd  # noqa: E402

try:
    import grpc
    from operations import Channel, OperationCase, request
    from rpc import APPEND, append_reply

    OK, MALFORMED = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT
    DENIED, EXISTS = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.ALREADY_EXISTS
except ImportError:
    grpc, OperationCase = None, unittest.TestCase


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class Stream(OperationCase):
    def messages(self, *runs, **options):
        return [request([self.court.record(i) for i in run], **options) for run in runs]

    def test_messages_are_answered_and_logged_in_order(self):
        log = self.open()
        log.register(self.court)
        runs = [range(0, 30), range(30, 31), range(31, 130), range(130, 131), range(131, 140)]
        replies, code, details = log.rpc(self.court).append_stream(self.messages(*runs))
        self.assertEqual(code, OK, details)
        indices = [[one.index for one in reply] for reply in replies]
        self.assertEqual(indices, [[i + 1 for i in run] for run in runs])
        log.wait_published(141)
        log.fsck()

    def test_a_refused_message_ends_it(self):
        log = self.open()
        log.register(self.court)
        rpc, court = log.rpc(self.court), self.court
        bad = {
            "gate": (request([court.record(20), court.record(21, court="测0109")]), DENIED, "entry 1: court"),
            "form": (request([]), MALFORMED, "0 entries"),
            "tag": (request([court.record(0, document=b"x")]), EXISTS, ""),
        }
        size, number = 1, 0
        for name, (message, expected, words) in bad.items():
            with self.subTest(name):
                before = self.messages(*(range(number + i, number + i + 1) for i in range(4)))
                behind = self.messages(*(range(100 + i, 101 + i) for i in range(4)))
                replies, code, details = rpc.append_stream([*before, message, *behind])
                self.assertEqual(code, expected, details)
                self.assertIn(words, details)
                size, number = size + 4, number + 4
                self.assertEqual([one.index for reply in replies for one in reply], list(range(size - 4, size)))
                self.assertEqual(log.size(), size)  # and nothing of what is behind
        self.assertEqual(rpc.append(*(court.record(100 + i) for i in range(4)))[0].index, size)

    def test_a_caller_that_leaves(self):
        log = self.open()
        log.register(self.court)
        for is_read in (True, False):
            stream = log.rpc(self.court).stream(self.messages(*(range(i, i + 1) for i in range(40))))
            if is_read:
                self.assertEqual(append_reply(next(stream))[0].index, 1)
            stream.cancel()
        empty, code, details = log.rpc(self.court).append_stream([])
        self.assertEqual((empty, code), ([], OK), details)
        self.assertEqual(log.rpc(self.court).append(self.court.record(500))[0].index + 1, log.size())
        self.assertEqual(log.stop(), 0)

    def test_promises_and_receipts(self):
        log = self.open()
        log.register(self.court)
        messages = self.messages(range(0, 3), range(3, 5), witnessed=True, promise=True)
        messages += self.messages(range(5, 6))
        messages += self.messages(range(6, 8), promise=True)
        replies, code, details = log.rpc(self.court).append_stream(messages)
        self.assertEqual(code, OK, details)
        self.assertEqual([[one.index for one in reply] for reply in replies], [[1, 2, 3], [4, 5], [6], [7, 8]])
        for reply, has_proof in zip(replies, (True, True, False, False)):
            self.assertTrue(all(bool(one.proof) == has_proof for one in reply))

    def test_certificates(self):
        log = self.open()
        log.register(self.court)
        sealed = [self.court.sealed(i) for i in range(3)]
        messages = [request([entry], [certificate]) for entry, certificate in sealed]
        replies, code, details = log.rpc(self.court).append_stream(messages)
        self.assertEqual(code, OK, details)
        self.assertEqual([reply[0].index for reply in replies], [1, 2, 3])

    def test_many_at_once(self):
        """Their entries come in between each other's; each stream's own are in order."""
        log = self.open(submitter_signature="channel")
        log.register(self.court)
        calls = []
        for stream in range(8):
            messages = [
                request([self.court.record(100 * stream + 10 * i + j, is_vouched=True) for j in range(10)])
                for i in range(10)
            ]
            calls.append(log.rpc(self.court).stream(messages))
        seen = []
        for call in calls:
            indices = [one.index for reply in call for one in append_reply(reply)]
            self.assertEqual(len(indices), 100)
            self.assertEqual(indices, sorted(indices))
            seen += indices
        self.assertEqual(sorted(seen), list(range(1, 801)))


    def test_too_much_to_check(self):
        """Calls over what may be checked at a time are refused, and streams wait."""
        log = self.open()
        log.register(self.court)
        rpc = log.rpc(self.court)
        (message,) = self.messages(range(1000))
        method = rpc.channel.unary_unary(APPEND)
        calls = [method.future(message, timeout=60) for _ in range(24)]
        streams = [rpc.stream([message], timeout=60) for _ in range(2)]
        refused = [call.details() for call in calls if call.code() != OK]
        self.assertTrue(refused)
        self.assertLess(len(refused), 24)
        for details in refused:
            self.assertIn("too many entries are being checked", details)
        self.assertEqual({call.code() for call in calls}, {OK, grpc.StatusCode.RESOURCE_EXHAUSTED})
        for stream in streams:
            self.assertEqual([append_reply(reply)[999].index for reply in stream], [1000])
        self.assertEqual(log.size(), 1001)


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class OpaqueStream(unittest.TestCase):
    def test_more_than_the_pool_takes(self):
        """The pool is full all the while; a stream waits for it where a call would be refused."""
        with Logd(pool_entries_max=1000) as log:
            with grpc.insecure_channel(log.grpc) as channel:
                entry = b"x" * 3000

                def message(stream, number):
                    return request([entry + b"%d %d %d" % (stream, number, i) for i in range(900)])

                calls = [
                    Channel(channel).stream([message(stream, number) for number in range(4)])
                    for stream in range(4)
                ]
                seen = []
                for call in calls:
                    indices = [item.index for reply in call for item in append_reply(reply)]
                    self.assertEqual(indices, sorted(indices))
                    seen += indices
            self.assertEqual(sorted(seen), list(range(4 * 4 * 900)))
            with grpc.insecure_channel(log.grpc) as channel:
                _, code, details = Channel(channel).append_stream([request([b"x"], [b"y"])])
                self.assertEqual(code, MALFORMED)
                self.assertIn("opaque", details)
            log.wait_published(4 * 4 * 900)
            log.fsck()


if __name__ == "__main__":
    unittest.main()
