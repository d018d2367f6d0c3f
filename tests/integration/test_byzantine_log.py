#!/usr/bin/python3
"""An evil log against a witness that also serves an honest one.

Whatever it sends: nothing is cosigned that is not of its one history, each contradiction that it signs ends
as a file that `courtroll verify-evidence` accepts, nothing that honest logs sign does, and the honest
log's requests are all answered meanwhile.

COURTROLL_BIN names the directory of the built programs; COURTROLL_LONG=1 makes it a minute of all at
once; COURTROLL_SEED=N repeats a run.
"""
import itertools
import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

import evil as attack
import tlog
from evil import Evil, EvilCase, evidence_file, roots_of_proof, run_threads
from logd import IS_LONG
from swarm import Swarm
from witness import Tree

try:
    import grpc
    from rpc import Rpc, field, fields
except ImportError:
    grpc = None

EVIDENCE_MAX = 16  # files of one origin
LIST_EVIDENCE = "/courtroll.v1.Witness/ListEvidence"


class Forks(EvilCase):
    def test_two_roots_of_a_size_that_is_held_or_was_are_proved_whatever_old_is_named(self):
        evil, tree = self.evil, self.evil.tree
        with self.honest_served():
            self.tell(200, tree, 0, 3)
            self.tell(200, tree, 3, 6)
            cases = [(6, 6, 422), (3, 6, 409), (0, 6, 409), (7, 6, 400), (2**63 - 1, 6, 400),
                     (3, 3, 409), (0, 3, 409), (6, 3, 400), (2, 3, 409)]
            forks = []
            for old, size, status in cases:
                fork = evil.fork(size, differs_at=random.randrange(size))
                answer = self.tell(status, fork, old, size, proof=[])
                if status == 409:
                    self.assert_stale(answer, 6)
                forks.append((fork, old, size, status))
                self.assert_on_record(fork.note(size), tree.note(size))
            self.assertEqual(self.sizes(), sorted([size, size] for _, size, _ in cases))
            ids = {item["id"] for item in self.evidence()}
            for fork, old, size, status in forks * 5:
                self.tell(status, fork, old, size, proof=[])
            self.assertEqual({item["id"] for item in self.evidence()}, ids)
            self.tell(200, tree, 6, 8)  # what is of its one history is cosigned all the same
        # The answer says that it is on the disk: a kill right behind it takes nothing away.
        fork = evil.fork(8)
        self.tell(422, fork, 8, 8)
        self.w.kill()
        self.w.start()
        self.assert_on_record(fork.note(8), tree.note(8))
        self.tell(422, fork, 8, 8)
        self.assertEqual(len(self.evidence()), len(ids) + 1)
        self.check_all()

    def test_two_roots_of_a_size_that_was_never_cosigned_are_proved(self):
        evil, tree = self.evil, self.evil.tree
        with self.honest_served():
            self.tell(200, tree, 0, 4)
            one, other, third = (evil.fork(7, differs_at=5) for _ in range(3))
            self.tell(422, one, 4, 7, proof=[])
            self.assertEqual(self.evidence(), [])
            self.tell(409, other, 3, 7)
            self.assert_on_record(one.note(7), other.note(7))
            self.tell(422, third, 4, 7, proof=[bytes(32)])
            self.assert_on_record(third.note(7))
            # What is cosigned in the end contradicts them; and who is in a file already needs no second.
            self.tell(200, tree, 4, 7)
            self.assert_on_record(tree.note(7))
            self.assertEqual(self.sizes(), [[7, 7]] * 3)

    def test_a_fork_is_proved_in_whatever_dress_it_comes(self):
        evil, tree = self.evil, self.evil.tree
        stranger = tlog.Key("stranger.example", tlog.ED25519)

        def forged(text):
            blob = self.w.key.id + (1).to_bytes(8, "big") + bytes(64)
            return f"\u2014 {self.w.name} {tlog.b64(blob)}\n" + stranger.line(text)

        with self.honest_served():
            self.tell(200, tree, 0, 6)
            for status, extension, before, after in (
                (422, "", 0, 0), (422, "", 0, 99), (422, "", 98, 1), (400, "an extension\n", 0, 0),
                (400, "x" * 100000 + "\n", 0, 0), (400, "x\n" * 3000, 1, 1),
            ):
                fork = evil.fork(6)
                text = tlog.checkpoint_text(evil.origin, 6, fork.root(6), extension)
                line = tree.key.line(text)
                note = text + "\n" + forged(text) * (before // 2) + line + line * after
                body = tlog.add_checkpoint(6, [], note)
                self.assert_status(evil.ask(body), status, (len(extension), before, after))
                self.assert_on_record(text + "\n" + line, tree.note(6))
            for proof in ([bytes(32)], [bytes([i]) * 32 for i in range(63)]):
                fork = evil.fork(6)
                self.tell(422, fork, 6, 6, proof=proof)
                self.assert_on_record(fork.note(6), tree.note(6))

    def test_many_forks_are_kept_up_to_a_bound_and_all_are_counted(self):
        evil, tree = self.evil, self.evil.tree
        with self.honest_served():
            self.tell(200, tree, 0, 8)
            forks = [evil.fork(8) for _ in range(40)]
            for fork in forks:
                self.tell(422, fork, 8, 8)
            self.assertGreater(self.metric("courtroll_witness_evidence_found_total"), 39)
            self.assertEqual(len(self.evidence(evil.origin)), EVIDENCE_MAX)
            for fork in forks[:5]:
                self.assert_on_record(fork.note(8), tree.note(8))

    def test_proofs_that_lead_from_another_root_are_proof(self):
        """Form 2: the log signs what its own proof says has another prefix than it signed before."""
        evil, tree = self.evil, self.evil.tree
        tree.grow(20)
        with self.honest_served():
            for old, size in ((0, 3), (3, 6), (6, 8)):
                self.tell(200, tree, old, size)
            fork = evil.fork(6, differs_at=5).grow(5)  # 8 is a power of two: nothing is shown by it
            self.tell(422, fork, 8, 11)
            self.assertEqual(self.sizes(), [])
            self.tell(409, fork, 6, 11)  # though 8 is held: the proof is about the note of 6
            self.assertEqual(self.sizes(), [[6, 11]])
            self.assert_on_record(tree.note(6), fork.note(11), f"root {tlog.b64(fork.root(6))}\n")
            fork = evil.fork(3, differs_at=1).grow(7)
            self.tell(409, fork, 3, 10)
            self.assertEqual(self.sizes(), [[3, 10], [6, 11]])
            self.tell(200, tree, 8, 13)
            fork = evil.fork(13, differs_at=12).grow(9)
            self.tell(422, fork, 13, 22)
            self.assertEqual(self.sizes(), [[3, 10], [6, 11], [13, 22]])
            fork = evil.fork(13, differs_at=0).grow(9)
            self.tell(422, fork, 13, 14)
            ours = evidence_file(tree.note(13), fork.note(14), fork.root(13), fork.proof(13, 14))
            self.assertIn(ours, [item["file"] for item in self.evidence()])
            # The proof is not followed when anything in it is changed.
            count = len(self.evidence())
            fork = evil.fork(13, differs_at=3).grow(9)
            for i, part in enumerate(fork.proof(13, 19)):
                proof = fork.proof(13, 19)
                proof[i] = bytes([part[0] ^ 128]) + part[1:]
                self.tell(422, fork, 13, 19, proof=proof)
            self.assertEqual(len(self.evidence()), count)
            self.tell(200, tree, 13, 28)


class Refused(EvilCase):
    def test_rollbacks_and_replays_sign_nothing_and_prove_nothing(self):
        evil, tree = self.evil, self.evil.tree
        tree.grow(8)
        with self.honest_served():
            bodies = []
            for old, size in ((0, 2), (2, 3), (3, 7), (7, 12)):
                bodies.append(tree.request(old, size))
                self.assert_status(evil.ask(bodies[-1]), 200)
            shown = self.w.checkpoint(tree)
            first = evil.answers[-1][1].body
            for size in range(12):
                for old in range(14):
                    status = 400 if old > size else 409
                    self.tell(status, tree, old, size)
            self.tell(200, tree, 12, 12)
            # An identical body within a second has the answer of the first, while that is the newest.
            self.tell(200, tree, 12, 14)
            last = evil.answers[-1]
            self.assertEqual(self.assert_status(evil.ask(last[0]), 200).body, last[1].body)
            for body in bodies * 3 + random.sample(bodies, 4):
                self.assert_stale(evil.ask(body), 14)
            for old in (0, 7, 12):
                self.assert_stale(evil.ask(tlog.add_checkpoint(old, [], shown)), 14)
            self.assertIn(first.decode(), shown)
            self.assertEqual(self.evidence(), [])
        self.w.restart()
        for body in bodies + [last[0]]:
            self.assert_stale(evil.ask(body), 14)
        self.check_all()

    def test_nonsense_is_never_signed(self):
        evil, tree = self.evil, self.evil.tree
        with self.honest_served():
            for held in (0, 5):
                for name, status, body in attack.nonsense(evil, self.honest.origin, held):
                    self.assert_status(evil.ask(body), status, (name, held))
                    self.assertEqual(self.w.held_size(tree), held, name)
                self.tell(200, tree, held, 5)
                self.assert_status(evil.ask(tree.request(5, 5)), 200)
            self.assertEqual(self.evidence(), [])

    def test_one_changed_byte_changes_the_answer(self):
        evil, tree = self.evil, self.evil.tree
        with self.honest_served():
            self.tell(200, tree, 0, 5)
            good = tree.request(5, 8)
            for _ in range(1500 if IS_LONG else 400):
                at = random.randrange(len(good))
                bad = random.choice((
                    good[:at] + bytes([good[at] ^ 1 << random.randrange(8)]) + good[at + 1 :],
                    good[:at] + good[at + 1 :],
                    good[:at] + bytes([random.randrange(256)]) + good[at:],
                    good[:at] + good[random.randrange(at, len(good)) :],
                ))
                answer = evil.ask(bad)
                self.assertIn(answer.status, (200, 400, 403, 404, 409, 422))
                if answer.status == 200:
                    # Only bits of a signature that say nothing may have been changed.
                    self.assertEqual(attack.text_of(bad), tree.text(8), bad)
                    break
            self.assertEqual(self.evidence(), [])

    def test_what_is_claimed_without_a_proof_is_withheld_from(self):
        evil, tree = self.evil, self.evil.tree
        tree.grow(92)
        with self.honest_served():
            self.tell(200, tree, 0, 37)
            for size in (38, 64, 65, 99, 100):
                proof = tree.proof(37, size)
                wrong = [[], proof[:-1], proof[1:], proof + [bytes(32)], [bytes(32)] + proof,
                         proof[::-1], tree.proof(36, size), tree.proof(37, size - 1),
                         [random.randbytes(32) for _ in proof]]
                for hashes in wrong:
                    if hashes != proof:
                        self.tell(422, tree, 37, size, proof=hashes)
            self.tell(422, tree, 37, 37, proof=[bytes(32)])
            self.assertEqual(self.w.held_size(tree), 37)
            self.assertEqual(self.evidence(), [])
            self.tell(200, tree, 37, 100)

    def test_sizes_beyond_all_reason_and_proofs_of_63_and_64_lines(self):
        evil, tree = self.evil, self.evil.tree
        key, size = tree.key, 2**62

        def huge(size, proof):
            fork, evil.roots[size] = roots_of_proof(proof, 3, size)
            self.assertEqual(fork, tree.root(3))
            text = tlog.checkpoint_text(evil.origin, size, evil.roots[size])
            return lambda hashes: tlog.add_checkpoint(3, hashes, tlog.signed(text, key))

        def proof(count):
            """From 3 entries to as many as so many hashes lead to."""
            hashes = [random.randbytes(32) for _ in range(count)]
            hashes[0], hashes[2] = tree.leaves[2], tree.root(2)
            return hashes

        with self.honest_served():
            self.tell(200, tree, 0, 3)
            hashes = proof(64)
            ask = huge(2**63 - 1, hashes)
            self.assert_status(evil.ask(ask(hashes)), 400)
            self.assert_status(evil.ask(ask(hashes[:63])), 422)
            hashes = proof(63)
            ask = huge(size, hashes)
            for i, part in enumerate(hashes):
                wrong = list(hashes)
                wrong[i] = part[:-1] + bytes([part[-1] ^ 1])
                self.assert_status(evil.ask(ask(wrong)), 422, i)
            self.assert_status(evil.ask(ask(hashes)), 200)
            self.assertEqual(self.w.held_size(tree), size)
            self.tell(409, tree, 3, 4)
            self.tell(400, tree, size, 4)
            # That was its last word but for those that it cannot prove; who forks there is found out.
            text = tlog.checkpoint_text(evil.origin, size, bytes(32))
            self.assert_status(evil.ask(tlog.add_checkpoint(size, [], tlog.signed(text, key))), 422)
            self.assertEqual(self.sizes(), [[size, size]])


class Framing(EvilCase):
    """Nobody but the log can make evidence against it."""

    def setUp(self):
        super().setUp()
        self.quiet = Tree("log.example/honest", 40)
        self.stranger = Evil(self.w, self.quiet, source=attack.STRANGER_ADDRESS)
        self.addCleanup(self.stranger.close)

    def garbage(self, old, size):
        """Proofs for the honest log's checkpoint that are none, but may look like one."""
        quiet, right = self.quiet, self.quiet.proof(old, size)
        other = Tree("log.example/evil", 40)
        branch = quiet.branch(max(0, old - 1), "not ours").grow(41)
        found = [
            [], right[:-1], right[1:], right[::-1], right + [bytes(32)], [bytes(32)] * 63,
            [random.randbytes(32) for _ in right], other.proof(old, size), branch.proof(old, size),
            quiet.proof(max(old - 1, 0), size), quiet.proof(old, min(size + 1, 40)),
            [quiet.root(old), *right], [branch.root(old), *right],
        ]
        for i in range(len(right)):
            changed = list(right)
            changed[i] = random.choice((random.randbytes(32), branch.root(size), quiet.root(size)))
            found.append(changed)
            found.append(right[:i] + right[i + 1 :])
        return [proof for proof in found if proof != right]

    def test_a_stranger_with_an_honest_logs_newer_checkpoints_and_garbage_proofs(self):
        quiet, stranger = self.quiet, self.stranger
        for old, size in ((0, 6), (6, 8), (8, 13)):
            self.assert_status(stranger.tell(quiet, old, size), 200)
        asked = 0
        for old, size in itertools.product((0, 6, 7, 8, 13), (14, 16, 21, 32, 40)):
            for proof in self.garbage(old, size):
                answer = stranger.tell(quiet, old, size, proof=proof)
                self.assert_status(answer, 422 if old == 13 else 409, (old, size, proof))
                asked += 1
        # Its older ones too, in any order.
        for old, size in itertools.product(range(0, 15, 2), range(1, 14)):
            stranger.tell(quiet, old, size, proof=random.choice(self.garbage(1, 40)))
        self.assertGreater(asked, 300)
        self.assertEqual(self.evidence(), [])
        self.assertEqual(self.metric("courtroll_witness_evidence_found_total"), 0)
        self.assert_status(stranger.tell(quiet, 13, 40), 200)
        self.assertEqual(stranger.check_signed(), 4)

    def test_made_up_files_are_refused(self):
        quiet, evil, tree = self.quiet, self.evil, self.evil.tree
        thief = tlog.Key(self.quiet.origin, tlog.ED25519, bytes(range(32)))
        fork = quiet.branch(12, "not ours").grow(20)
        text = fork.text(13)
        made_up = {
            "an honest note and one of another key": (
                quiet.note(13), tlog.signed(text, thief)),
            "the same twice": (quiet.note(13), quiet.note(13)),
            "an unsigned text with another's line": (
                quiet.note(13), text + "\n" + quiet.key.line(quiet.text(13))),
            "two sizes": (quiet.note(13), quiet.note(14)),
            "its own proof": (
                quiet.note(13), quiet.note(20), quiet.root(13), quiet.proof(13, 20)),
            "a root that no proof leads from": (
                quiet.note(13), quiet.note(20), fork.root(13), quiet.proof(13, 20)),
            "a proof that leads elsewhere": (
                quiet.note(13), quiet.note(20), fork.root(13), fork.proof(13, 20)),
            "no proof": (quiet.note(13), quiet.note(20), fork.root(13)),
            "from a power of two": (
                quiet.note(16), quiet.note(20), fork.root(16), fork.proof(16, 20)),
            "backwards": (quiet.note(20), quiet.note(13), quiet.root(20), quiet.proof(13, 20)),
            "two logs": (quiet.note(13), tree.note(8)),
            "a log that nobody knows": (Tree("log.example/x", 5).note(5), Tree("log.example/x", 5).note(4)),
        }
        for name, parts in made_up.items():
            for first, second in (parts[:2], parts[1::-1]):
                with self.subTest(name):
                    self.assert_refused(evidence_file(first, second, *parts[2:]))
        # The same hand makes what is accepted, and it is what the witness makes.
        self.tell(200, tree, 0, 6)
        fork = evil.fork(6).grow(4)
        self.tell(422, fork, 6, 6)
        self.tell(422, fork, 6, 9)
        first, second = sorted((tree, fork), key=lambda one: one.root(6))
        proved = [
            evidence_file(first.note(6), second.note(6)),
            evidence_file(tree.note(6), fork.note(9), fork.root(6), fork.proof(6, 9)),
        ]
        self.assertEqual(sorted(item["file"] for item in self.evidence()), sorted(proved))
        honest_only = self.file("honest-policy", f"log {self.honest.key.vkey()}\nquorum none\n")
        for file in proved:
            self.assertEqual(self.verify_fork(file)[0], 0)
            self.assertEqual(self.verify_fork(file, honest_only)[0], 1)
            for _ in range(60 if IS_LONG else 12):
                at = random.randrange(len(file))
                self.assert_refused(file[:at] + bytes([file[at] ^ 1 << random.randrange(8)]) + file[at + 1 :])
            for changed in (file[:-1], file + b"\n", file[1:], b"", file + file):
                self.assert_refused(changed)


class AllAtOnce(EvilCase):
    """Evil logs, each with a way of its own, at the same time."""

    evil_origins = [f"log.example/evil/{i}" for i in range(5)]
    seconds = 60 if IS_LONG else 4

    def is_on(self):
        return time.monotonic() < self.deadline

    def forks(self, evil):
        tree, size = evil.tree, 5
        evil.expect(200, tree, 0, size)
        while self.is_on():
            evil.expect(422, evil.fork(size), size, size)
            evil.expect(409, evil.fork(size, differs_at=1), size - 1, size)
            fork = evil.fork(size, differs_at=size - 2).grow(3)
            evil.expect(422, fork, size, size + 3)
            if len(tree.leaves) == size:
                tree.grow(1)
            evil.expect(200, tree, size, size + 1)
            size += 1

    def replays(self, evil):
        tree, size, bodies = evil.tree, 0, []
        while self.is_on():
            if len(tree.leaves) == size:
                tree.grow(1)
            bodies.append(tree.request(size, size + 1))
            assert evil.ask(bodies[-1]).status == 200
            size += 1
            for body in random.sample(bodies[:-1], min(size - 1, 5)):
                assert evil.ask(body).body == b"%d\n" % size
            if size > 1:
                evil.expect(400, tree, size, random.randrange(size))
                evil.expect(409, tree, 0, random.randrange(1, size))

    def nonsense(self, evil):
        held = 0
        while self.is_on():
            for name, status, body in attack.nonsense(evil, self.honest.origin, held):
                answer = evil.ask(body)
                assert answer.status == status, (name, answer)
            evil.expect(200, evil.tree, held, 5)
            held = 5

    def withholds(self, evil):
        tree, size = evil.tree, 3
        evil.expect(200, tree, 0, size)
        while self.is_on():
            tree.grow(max(0, size + 4 - len(tree.leaves)))
            evil.expect(422, tree, size, size + 4, proof=[])
            evil.expect(422, tree, size, size + 3, proof=[random.randbytes(32)] * random.randrange(1, 64))
            evil.expect(200, tree, size, size + 2)
            size += 2

    def crowds(self, evil):
        """Slow ones by the hundred, large ones, and a flood, all of them for nothing."""
        request = attack.post(evil.tree.request(0, 8))
        ask = type("Ask", (), {"request": attack.post(evil.tree.request(9, 8))})
        while self.is_on():
            slow = attack.Trickle(self.w, request, 100, begun=len(request) - 9)
            with attack.connect(self.w) as connection:
                attack.push(connection, request.replace(b"Length: ", b"Length: 9") + bytes(1 << 20))
            slow.send()
            left = iter(range(1000))
            with Swarm(self.w.http, 32, attack.EVIL_ADDRESS) as swarm:
                done = swarm.run(lambda *_, left=left: ask if next(left, None) is not None else None)
            assert {x.answer.status for x in done} == {400}
            slow.send()
            slow.close()

    def test_the_honest_log_is_served(self):
        with self.honest_served(least=20):
            self.deadline = time.monotonic() + self.seconds
            jobs = [self.forks, self.replays, self.nonsense, self.withholds, self.crowds]
            run_threads([lambda j=j, e=e: j(e) for j, e in zip(jobs, self.evils)])
        asked = [len(one.answers) for one in self.evils]
        print(f"evil: {asked} requests", file=sys.stderr)
        guilty = {item["origin"] for item in self.evidence()}
        self.assertEqual(guilty, {self.evils[0].origin})
        self.assertEqual(len(self.evidence()), EVIDENCE_MAX)


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class OverGrpc(EvilCase):
    evil_origins = [f"log.example/evil/{i}" for i in range(3)]

    def listed(self, rpc, origin=None):
        """[{...}] as over HTTP, of one log or of all."""
        message = b"" if origin is None else field(1, origin.encode())
        out = []
        for _, value in fields(rpc.call(LIST_EVIDENCE, message)):
            one = dict(fields(value))
            out.append({"origin": one[1].decode(), "id": one[2].hex(), "kind": one[3].decode(),
                        "first_seen": one[4], "file": one.get(5, b"")})
        return out

    def over_http(self, origin=None):
        keys = ("origin", "id", "kind", "first_seen", "file")
        return [{key: item[key] for key in keys} for item in self.evidence(origin)]

    def test_both_surfaces_have_the_same_evidence(self):
        with self.honest_served(), Rpc(self.w.grpc) as rpc:
            self.assertEqual(self.listed(rpc), [])
            for evil in self.evils[:2]:
                evil.tell(evil.tree, 0, 6)
                fork = evil.fork(6).grow(2)
                self.assert_status(evil.tell(fork, 6, 6), 422)  # form 1
                self.assert_status(evil.tell(fork, 6, 8), 422)  # form 2
            # One that came over gRPC is a fork as any other.
            third = self.evils[2]
            third.tell(third.tree, 0, 6)
            with self.assertRaises(grpc.RpcError) as raised:
                rpc.call("/courtroll.v1.Witness/AddCheckpoint",
                         field(1, 6) + field(3, third.fork(6).note(6).encode()))
            self.assertEqual(raised.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)
            self.assertEqual(len(self.listed(rpc)), 5)
            self.assert_same(rpc)
        self.w.restart()
        with Rpc(self.w.grpc) as rpc:
            self.assert_same(rpc)

    def assert_same(self, rpc):
        self.assertEqual(self.listed(rpc), self.over_http())
        for origin in [*self.evil_origins, self.honest.origin, "nobody"]:
            self.assertEqual(self.listed(rpc, origin), self.over_http(origin))

    def test_what_does_not_fit_one_reply_comes_log_by_log(self):
        with self.honest_served(), Rpc(self.w.grpc) as rpc:
            for evil in self.evils:
                evil.tell(evil.tree, 0, 6)
                for i in range(EVIDENCE_MAX):
                    text = tlog.checkpoint_text(evil.origin, 6, bytes([i]) * 32, "x" * 110000 + "\n")
                    note = tlog.signed(text, evil.tree.key)
                    self.assert_status(evil.ask(tlog.add_checkpoint(6, [], note)), 400)
            http = self.over_http()
            self.assertEqual(len(http), 3 * EVIDENCE_MAX)
            self.assertGreater(sum(len(item["file"]) for item in http), 5 << 20)
            for origin in self.evil_origins:
                self.assertEqual(self.listed(rpc, origin), self.over_http(origin))
            both = list(zip(self.listed(rpc), http))
            self.assertEqual(len(both), len(http))
            for one, other in both:
                self.assertIn(one["file"], (b"", other["file"]))
                self.assertEqual({**one, "file": b""}, {**other, "file": b""})
            self.assertGreater(sum(one["file"] != b"" for one, _ in both), EVIDENCE_MAX)


if __name__ == "__main__":
    unittest.main(verbosity=2)
