#!/usr/bin/python3
"""A log with schema = operation: who may log what, over TLS with client certificates and the Unix socket.

COURTROLL_BIN names the directory of the built programs.
"""
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import tlog  # noqa: E402
from certificates import Authority  # noqa: E402
from logd import Logd, courtroll, keygen  # noqa: E402
from reader import leaf_hash  # noqa: E402

try:
    import grpc
    from operations import (ANCHOR, COURT, FREEZE, SERVED, SERVICE, OperationCase, Submitter, field, integers,
                            now, request)  # fmt: skip
    from rpc import APPEND, append_reply

    MALFORMED = grpc.StatusCode.INVALID_ARGUMENT
    DENIED, EXISTS = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.ALREADY_EXISTS
except ImportError:
    grpc, OperationCase = None, unittest.TestCase

IO, REFUSED = 3, 4


class Start(unittest.TestCase):
    """What operations need, told at the start."""

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.log = Logd(cls.dir, is_started=False)
        cls.submitters = os.path.join(cls.dir, "submitters")

    def fails(self, words, text="", **settings):
        with open(self.submitters, "w", encoding="utf-8") as file:
            file.write(text)
        code, said = self.log.fails_to_start(
            **{"schema": "operation", "submitters": self.submitters, **settings}
        )
        self.assertEqual(code, 2, said)
        self.assertIn(words, said)

    def test_settings_that_exclude_each_other(self):
        self.fails("schema = operation needs dedup = on", dedup="off")
        self.fails("schema = operation refuses http-add = on", http_add="on")
        self.fails("schema = operation needs submitters", submitters=None)
        self.fails("submitter-signature = channel needs tls-client-ca", submitter_signature="channel")
        self.fails("anchor-seconds", anchor_seconds=86401)
        for setting in ("submitters", "submitter_signature", "anchor_seconds"):
            values = {"submitters": None, "schema": "opaque", setting: "channel"}
            if setting == "anchor_seconds":
                values[setting] = 60
            self.fails(f"{setting.replace('_', '-')} is for schema = operation only", **values)

    def test_the_schema_is_for_life(self):
        with Logd() as opaque:
            opaque.append(b"x")
            self.assertEqual(opaque.stop(), 0)
            with open(self.submitters, "w", encoding="utf-8"):
                pass
            code, said = opaque.fails_to_start(schema="operation", submitters=self.submitters)
            self.assertEqual(code, 2)
            self.assertIn("holds opaque entries", said)
        with Logd(schema="operation", submitters=self.submitters) as log:
            self.assertEqual(log.stop(), 0)
            code, said = log.fails_to_start(schema="opaque", submitters=None)
            self.assertEqual(code, 2)
            self.assertIn("it needs schema = operation", said)
            log.start()

    def test_a_wrong_submitters_file(self):
        name = "court.example"
        vkey = tlog.Key(name, tlog.ED25519).vkey()
        self.fails("line 2", f"# us\nsubmitter {vkey[:-4]}\n")
        self.fails("DNS name", f"submitter {tlog.Key('Court', tlog.ED25519).vkey()}\n")
        self.fails("twice", f"submitter {vkey}\n" * 2)
        self.fails("submitters", submitters=os.path.join(self.dir, "missing"))


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class Gate(OperationCase):
    def test_every_refusal_has_its_words(self):
        log = self.open()
        court, rpc = self.court, log.rpc(self.court)
        log.register(court, courts=(COURT, "测0102"), start=now() - 1000, roles=(SERVICE,))
        good = court.record(0)
        self.refused(rpc, MALFORMED, "entry 1: ", good, b"hello")
        self.refused(rpc, MALFORMED, "entry 0: ", good + b"\0")
        self.refused(rpc, MALFORMED, "entry 0: minute: more than 10 minutes in the future",
                     court.record(0, minute=now() + 12))  # fmt: skip
        self.refused(rpc, DENIED, "entry 2: minute: outside the from and to",
                     good, court.record(1), court.record(2, minute=now() - 1001))  # fmt: skip
        self.refused(rpc, DENIED, "entry 0: court: ", court.record(0, court="测0103"))
        self.refused(rpc, DENIED, "entry 0: kind: the key is registered with no role that may log FREEZE",
                     court.record(0, kind=FREEZE))  # fmt: skip
        self.refused(rpc, DENIED, "entry 0: signature: there is none", court.record(0, is_vouched=True))
        self.refused(rpc, DENIED, "entry 0: signature", court.record(0, origin="other.example/log"))
        flipped = good[:-1] + bytes([good[-1] ^ 1])
        self.refused(rpc, DENIED, "entry 0: signature", flipped)
        self.refused(rpc, DENIED, f"key {self.other.id.hex()} is enabled, but not registered",
                     self.other.record(0))  # fmt: skip
        self.refused(rpc, DENIED, f"key {self.stranger.id.hex()} is not registered on this log",
                     self.stranger.record(0))  # fmt: skip
        note = field(13, b"x")
        self.refused(rpc, MALFORMED, "note", integers(1, ANCHOR, now()) + field(11, 1) + note)
        with open(os.path.join(log.public, "checkpoint"), "rb") as file:
            note = field(13, file.read())
        anchor = integers(1, ANCHOR, now()) + field(11, 1) + note
        for way in (rpc, log.rpc()):
            self.refused(way, DENIED, "only the log itself appends ANCHOR", anchor)
        self.refused(rpc, MALFORMED, "a call of their own", good, court.end())
        self.assertEqual(log.size(), 1)
        self.assertEqual([one.index for one in rpc.append(good, court.record(1))], [1, 2])

    def test_whose_connection_it_is(self):
        log = self.open()
        court = self.court
        self.refused(log.rpc(self.other), DENIED, "client certificate", court.registration())
        log.register(court)
        log.register(self.other)
        self.refused(log.rpc(self.other), DENIED, "first DNS name is another", court.record(0))
        self.refused(log.rpc(""), DENIED, "has no DNS name", court.record(0))
        sealed, certificate = court.sealed(0)
        self.refused(log.rpc(self.other), DENIED, "client certificate", sealed, certificates=[certificate])
        self.assertEqual(log.size(), 2)
        self.assertEqual(log.rpc().append(court.record(0))[0].index, 2)  # the signature is enough

    def test_sealed_records(self):
        log = self.open()
        court, rpc = self.court, log.rpc(self.court)
        log.register(court)
        entry, certificate = court.sealed(0)
        second, second_certificate = court.sealed(1)
        self.refused(rpc, MALFORMED, "entry 0: certificates: a sealed record comes with", entry)
        self.refused(rpc, MALFORMED, "certificates: 1 of them for 2 entries", entry, second,
                     certificates=[certificate])  # fmt: skip
        self.refused(rpc, MALFORMED, "entry 1: certificates: 79 bytes", second, entry,
                     certificates=[second_certificate, certificate[:79]])  # fmt: skip
        self.refused(rpc, MALFORMED, "entry 1: certificates: nothing but zeros", entry, court.record(1),
                     certificates=[certificate, bytes(80)])  # fmt: skip
        self.refused(rpc, DENIED, "entry 0: certificate", entry, certificates=[second_certificate])
        self.refused(rpc, MALFORMED, "entry 1: certificates: only a sealed record", entry, court.record(1),
                     certificates=[certificate, second_certificate])  # fmt: skip
        self.refused(rpc, DENIED, "is not registered", self.stranger.sealed(0)[0],
                     certificates=[self.stranger.sealed(0)[1]])  # fmt: skip
        self.assertEqual(log.size(), 1)
        replies = rpc.append(entry, court.record(2), second,
                             certificates=[certificate, b"", second_certificate])  # fmt: skip
        self.assertEqual([one.index for one in replies], [1, 2, 3])
        log.wait_published(4)
        with open(os.path.join(log.public, "tile/entries/000.p/4"), "rb") as file:
            self.assertNotIn(certificate[16:], file.read())

    def test_channel(self):
        log = self.open(submitter_signature="channel")
        court, rpc = self.court, log.rpc(self.court)
        log.register(court)
        vouched = [court.record(i, is_vouched=True) for i in range(1000)]
        self.assertEqual(len(rpc.append(*vouched)), 1000)
        self.assertEqual(rpc.append(court.record(1000))[0].index, 1001)
        one = court.record(2000, is_vouched=True)
        self.refused(log.rpc(self.other), DENIED, "client certificate", one)
        self.refused(log.rpc(), DENIED, "no client certificate says who sends", one)
        more = [court.record(i, is_vouched=True) for i in range(2000, 3000)]
        more[700] = self.other.record(0, is_vouched=True)
        self.refused(rpc, DENIED, "entry 700: ", *more)  # which another chunk than the first has
        self.assertEqual(log.size(), 1002)

    def test_a_tag_is_on_the_log_once(self):
        log = self.open()
        court, rpc = self.court, log.rpc(self.court)
        log.register(court)
        first = court.record(0, minute=now())
        self.assertEqual(rpc.append(first)[0].index, 1)
        again = rpc.append(first)[0]
        self.assertTrue(again.duplicate)
        self.assertEqual(again.index, 1)
        code, details = rpc.refusal(court.record(1), court.record(0, document=b"another"))
        self.assertEqual(code, EXISTS, details)
        self.assertEqual(log.size(), 2)

    def test_nothing_comes_in_over_http(self):
        log = self.open()
        log.register(self.court)
        response = log.request("POST", "/add", self.court.record(0))
        self.assertIn(response.status, (404, 405), response)
        self.assertEqual(log.size(), 1)


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class Registrations(OperationCase):
    def test_register_append_end(self):
        log = self.open()
        court, rpc = self.court, log.rpc(self.court)
        self.refused(rpc, DENIED, f"key {self.stranger.id.hex()} is not enabled", self.stranger.registration())
        self.refused(rpc, DENIED, "entry 0: signature", court.registration(seed=self.other.seed))
        self.refused(log.rpc(), DENIED, "enabled under another name", court.registration(name="b.example"))
        self.refused(log.rpc(), MALFORMED, "registration.name",
                     court.registration(name="11010519491231002x.example"))  # fmt: skip
        self.assertEqual(log.size(), 0)
        self.assertEqual(log.register(court, roles=(SERVICE,)), 0)
        self.refused(rpc, DENIED, "with no role", court.record(0, kind=160))
        self.assertEqual(log.register(court, roles=(SERVICE, 4)), 1)  # another entry takes its place
        self.assertEqual(rpc.append(court.record(0, kind=160))[0].index, 2)
        self.refused(rpc, DENIED, "with no role", court.record(1, kind=FREEZE))
        self.refused(log.rpc(self.other), DENIED, "only the operator", court.end(is_vouched=True))
        log.wait_published(3)
        first = court.record(0, kind=160)
        end = court.end()
        self.assertEqual(rpc.append(end)[0].index, 3)
        self.refused(rpc, DENIED, "has ended", court.record(1, kind=SERVED))
        # What was let in once is answered as what it is, whatever has happened since.
        again = rpc.append(first)[0]
        self.assertTrue(again.duplicate)
        self.assertEqual(again.index, 2)
        self.assertTrue(rpc.append(end)[0].duplicate)
        self.assertEqual(log.register(court), 4)
        self.assertEqual(log.rpc().append(court.end(is_vouched=True))[0].index, 5)  # the operator
        self.assertEqual(log.facts()["submitters_registered"], 0)

    def test_what_a_stranger_sends_again(self):
        """Anybody can send what is on the log: an old end ends nothing, and an old registration brings nothing back."""
        log = self.open()
        court, rpc = self.court, log.rpc(self.court)
        registration, end = court.registration(), court.end()
        for index, entry in enumerate((registration, end, court.registration(roles=(SERVICE,)))):
            self.assertEqual(rpc.append(entry)[0].index, index)
        log.wait_published(3)
        # Neither needs a call of its own, since it changes nothing.
        answers = rpc.append(end, court.record(0, kind=SERVED), registration)
        self.assertEqual([(one.index, one.duplicate) for one in answers], [(1, True), (3, False), (0, True)])
        self.assertEqual(rpc.append(court.record(1, kind=SERVED))[0].index, 4)
        self.refused(rpc, DENIED, "with no role", court.record(2, kind=FREEZE))
        self.assertEqual(log.rpc().append(court.end(is_vouched=True))[0].index, 5)
        self.assertTrue(rpc.append(registration)[0].duplicate)
        self.refused(rpc, DENIED, "has ended", court.record(2, kind=SERVED))

    def test_nothing_is_logged_behind_an_end(self):
        """A key ends itself while its records come in as fast as they can; whatever is let in stands before it."""
        log = self.open(submitter_signature="channel")
        court, rpc = self.court, log.rpc(self.court)
        log.register(court)
        method = rpc.channel.unary_unary(APPEND)
        calls = []
        for i in range(300):
            if i == 100:
                end = method.future(request([court.end()]), timeout=30)
            records = [court.record(5 * i + j, is_vouched=True) for j in range(5)]
            calls.append(method.future(request(records), timeout=30))
        (ended,) = append_reply(end.result())
        codes, indices = set(), []
        for call in calls:
            if call.code() == grpc.StatusCode.OK:
                indices += [one.index for one in append_reply(call.result())]
            codes.add(call.code())
        self.assertLess(max(indices), ended.index)
        self.assertLessEqual(codes, {grpc.StatusCode.OK, DENIED, grpc.StatusCode.RESOURCE_EXHAUSTED})
        self.assertIn(DENIED, codes)
        self.assertEqual(log.size(), ended.index + 1)

    def test_the_command(self):
        log = self.open()
        key = os.path.join(log.dir, "court.key")
        keygen("submitter", "court-0103.example", key)
        mine = Submitter("court-0103.example", tlog.Key.from_file(key).seed)
        line = ["--log", log.unix, "--key", key]
        done = courtroll("submitter", "register", *line, "--roles", "service", code=REFUSED)
        self.assertIn("is not enabled", done.stderr)
        log.enable(mine)
        log.reload()
        done = courtroll("submitter", "register", *line, "--roles", "service,evidence", "--courts",
                         "测0102,测0101,测0102", "--from", "2020-01-01T00:00Z", code=0)  # fmt: skip
        expected = mine.registration(roles=(3, 4), courts=(COURT, "测0102"), start=26297280)
        self.assertIn(done.stdout, [f"0 {leaf_hash(expected).hex()}\n", done.stdout])  # unless a minute began
        self.assertEqual(done.stdout.split()[0], "0")
        self.assertEqual(log.rpc(mine).append(mine.record(0, kind=SERVED))[0].index, 1)
        for arguments, words in (
            (["--roles", "judge"], "--roles"), (["--roles", "service", "--courts", "x"], "--courts, item 1"),
            (["--roles", "service", "--from", "yesterday"], "--from"),
        ):  # fmt: skip
            self.assertIn(words, courtroll("submitter", "register", *line, *arguments, code=2).stderr)
        done = courtroll("submitter", "register", *line, "--roles", "service", "--origin", "x", code=REFUSED)
        self.assertIn("another origin", done.stderr)
        cert, tls_key = log.certificate(mine.name)
        courtroll("submitter", "end", "--log", log.grpc, "--key", key, "--tls-ca", log.authority.ca,
                  "--tls-cert", cert, "--tls-key", tls_key, code=0)  # fmt: skip
        self.refused(log.rpc(mine), DENIED, "has ended", mine.record(1, kind=SERVED))
        courtroll("submitter", "register", *line, "--roles", "service", code=0)
        courtroll("submitter", "end", "--log", log.unix, "--id", mine.id.hex(), code=0)
        self.refused(log.rpc(mine), DENIED, "has ended", mine.record(1, kind=SERVED))

    def test_a_restart_keeps_them(self):
        log = self.open(self.court, self.other, submitter_signature="channel")
        log.register(self.court)
        log.register(self.other)
        log.rpc(self.other).append(self.other.end())
        # In the partial tile, then in a full one, then with an index that is made anew.
        for step in range(3):
            log.close_channels()
            if step == 2:
                self.assertEqual(log.stop(), 0)
                shutil.rmtree(os.path.join(log.data, "index"))
                log.start()
            else:
                log.kill()
                log.start()
            self.assertIn("registered=1 enabled=2 usable=1", log.process.text())
            records = [self.court.record(300 * step + i, is_vouched=True) for i in range(300)]
            self.assertEqual(len(log.rpc(self.court).append(*records)), 300)
            self.refused(log.rpc(self.other), DENIED, "has ended", self.other.record(0))
        log.wait_published(903)
        log.fsck()

    def test_sighup_reads_the_file_again(self):
        log = self.open(self.court)
        log.register(self.court)
        self.refused(log.rpc(self.other), DENIED, "not enabled", self.other.registration())
        log.enable(self.court, self.other)
        log.reload()
        log.register(self.other)
        log.enable(self.other)
        log.reload()
        self.refused(log.rpc(self.court), DENIED, "registered, but not enabled", self.court.record(0))
        with open(log.submitters, "a", encoding="utf-8") as file:
            file.write("submitter nonsense\n")
        log.reload("submitters_not_reloaded")
        self.assertIn("line 2", log.process.text())
        self.assertEqual(log.rpc(self.other).append(self.other.record(0))[0].index, 2)
        os.unlink(log.submitters)
        log.reload("submitters_not_reloaded")
        self.assertEqual(log.rpc(self.other).append(self.other.record(1))[0].index, 3)

    def test_sighup_reads_the_tls_files_again(self):
        log = self.open(self.court)
        log.register(self.court)
        authority = log.authority.ca
        there = log.rpc(self.court)
        with open(authority, "rb") as file:
            first = file.read()
        log.authority = Authority(log.dir, "next")
        cert, key = log.authority.issue("court", f"DNS:{self.court.name}")
        line = ["submitter", "register", "--log", log.grpc, "--key", self.key_file(log), "--roles", "service",
                "--tls-ca", authority, "--tls-cert", cert, "--tls-key", key]  # fmt: skip
        courtroll(*line, code=IO)
        with open(log.authority.ca, "rb") as file, open(authority, "wb") as both:
            both.write(first + file.read())
        log.reload("tls_reloaded")
        courtroll(*line, code=0)
        with open(authority, "wb") as file:
            file.write(b"nonsense")
        log.reload("tls_not_reloaded")
        with open(authority, "wb") as file:
            file.write(first)
        courtroll(*line, code=0)  # the log has read no other since
        self.assertEqual(there.append(self.court.record(0, kind=SERVED))[0].index, log.size() - 1)

    def key_file(self, log):
        path = os.path.join(log.dir, "key")
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(self.court.key.skey() + "\n")
        return path

    def test_numbers_and_no_names(self):
        log = self.open()
        log.register(self.court)
        self.refused(log.rpc(self.court), MALFORMED, "entry 0", b"x")
        self.refused(log.rpc(self.court), DENIED, "entry 0", self.stranger.record(0))
        metrics = log.get("/metrics").body.decode()
        for line in (
            "courtroll_submitters_registered 1", "courtroll_submitters_enabled 2",
            "courtroll_submitters_usable 1", 'courtroll_records_refused_total{code="malformed"} 1',
            'courtroll_records_refused_total{code="denied"} 1',
        ):  # fmt: skip
            self.assertIn(line + "\n", metrics)
        facts = log.facts()
        self.assertEqual(facts["schema"], "operation")
        self.assertEqual(facts["submitters_usable"], 1)
        page = log.get("/").body.decode()
        self.assertIn("operation records", page)
        shown = metrics + page + log.process.text() + str(facts)
        for submitter in (self.court, self.other, self.stranger):
            self.assertNotIn(submitter.name, shown)
            self.assertNotIn(submitter.id.hex(), shown)


if __name__ == "__main__":
    unittest.main()
