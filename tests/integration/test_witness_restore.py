#!/usr/bin/python3
# Takes long.
"""A witness whose data directory is that of an hour ago signs no second history: the mark file, what
peers and the log itself have under its key, and `courtroll-witness state` to go on from there.

COURTROLL_BIN names the directory of the built programs.
"""
import http.client
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

import tlog
from logd import wait_until
from witness import WITNESS, Tree, Witness

ORIGIN = "log.example/a"


class Site:
    """Serves the texts in `pages`, by path; `status` for all else. Remembers what it was asked for."""

    def __init__(self):
        site = self
        self.pages, self.asked, self.status = {}, [], 404

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(self.path)
                body = site.pages.get(self.path)
                self.send_response(site.status if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Front(Site):
    """Passes what it is asked for on to a witness, which gets a new port at every start."""

    def __init__(self, witness):
        super().__init__()
        front, site = self, self.server.RequestHandlerClass

        class Handler(site):
            def do_GET(self):
                front.asked.append(self.path)
                status, body = front.fetch(witness, self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server.RequestHandlerClass = Handler

    @staticmethod
    def fetch(witness, path):
        try:
            answer = witness.get(path)
            return answer.status, answer.body
        except (OSError, AttributeError, KeyError, http.client.HTTPException):
            return 502, b""  # it does not run


class Case(unittest.TestCase):
    def setUp(self):
        self.tree = Tree(ORIGIN, 30)
        self.witness = Witness([self.tree.key], is_started=False)
        self.addCleanup(self.witness.close)
        self.mark = os.path.join(self.witness.dir, "mark")

    def path(self, name, text=None):
        path = os.path.join(self.witness.dir, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def proof_file(self, tree, old, size):
        lines = "".join(tlog.b64(h) + "\n" for h in tree.proof(old, size))
        return self.path(f"proof-{tree.name}-{old}-{size}", lines)

    def note_file(self, text):
        return self.path("note", text)

    def state(self, *arguments, code=0):
        """`courtroll-witness state ...` on this witness: what it printed."""
        done = subprocess.run(
            [WITNESS, "state", *arguments, "--data-dir", self.witness.data],
            capture_output=True, text=True, timeout=60, check=False,
        )
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def show(self, *arguments):
        return json.loads(self.state("show", "--json", *arguments))

    def backup(self):
        target = os.path.join(self.witness.dir, "backup")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.witness.data, target)

    def restore(self):
        shutil.rmtree(self.witness.data)
        shutil.copytree(os.path.join(self.witness.dir, "backup"), self.witness.data)

    def sign_and_restore(self, **settings):
        """Cosigns 5, then 9; the state is then that of 5. Returns our cosigned note of 9."""
        self.witness.start(**settings)
        self.witness.cosign(self.tree, 0, 5)
        self.assertEqual(self.witness.stop(), 0)
        self.backup()
        self.witness.start(**settings)
        self.witness.cosign(self.tree, 5, 9)
        note = self.witness.checkpoint(self.tree)
        self.assertEqual(self.witness.stop(), 0)
        self.restore()
        return note

    def assert_refuses(self, held=5):
        for tree in (self.tree, self.tree.branch(max(held, 1), "evil").grow(20)):
            for size in (held, held + 1, held + 4, held + 7):
                answer = self.witness.add_checkpoint(tree.request(held, size))
                self.assertEqual(answer.status, 503, answer)
        self.assertEqual(self.witness.held_size(self.tree), held)


class Mark(Case):
    def test_restored_state_signs_nothing_until_the_newer_note_is_adopted(self):
        note = self.sign_and_restore(mark_path=self.mark)
        for _ in range(2):
            self.witness.start(mark_path=self.mark)
            self.assert_refuses()
            self.assertEqual(self.witness.stop(), 0)
        row = self.show("--mark-path", self.mark)[0]
        self.assertEqual((row["origin"], row["size"], row["mark"], row["mark_size"]),
                         (ORIGIN, 5, "ahead", 9))
        self.state("adopt", "--mark-path", self.mark, "--logs", self.witness.logs,
                   "--note", self.note_file(note), "--proof", self.proof_file(self.tree, 5, 9))
        row = self.show("--mark-path", self.mark)[0]
        self.assertEqual((row["size"], row["mark"], row["refused"]), (9, "agrees", False))
        self.witness.start(mark_path=self.mark)
        self.assertEqual(self.witness.held_size(self.tree), 9)
        self.assertEqual(self.witness.checkpoint(self.tree), note)
        self.witness.cosign(self.tree, 9, 12)

    def test_lost_state_signs_nothing(self):
        self.sign_and_restore(mark_path=self.mark)
        shutil.rmtree(self.witness.data)
        self.witness.start(mark_path=self.mark)
        answer = self.witness.add_checkpoint(self.tree.request(0, 9))
        self.assertEqual(answer.status, 503, answer)

    def test_missing_mark_file_refuses_all_until_it_is_said_to_be_lost(self):
        self.witness.start(mark_path=self.mark)
        self.witness.cosign(self.tree, 0, 5)
        self.assertEqual(self.witness.stop(), 0)
        os.unlink(self.mark)
        for settings in ({"mark_path": self.mark}, {}):
            self.witness.start(**settings)
            self.assert_refuses()
            self.assertIn("--start-unchecked", self.witness.process.text())
            self.assertFalse(os.path.exists(self.mark))
            self.assertEqual(self.witness.stop(), 0)
        self.state("trust-mark", "--mark-path", self.mark)
        self.witness.start(mark_path=self.mark)
        self.witness.cosign(self.tree, 5, 6)
        # The other way: a switch, once.
        self.assertEqual(self.witness.stop(), 0)
        os.unlink(self.mark)
        self.witness.start(mark_path=self.mark, start_unchecked="on")
        self.assertRegex(self.witness.process.text(), "level=error event=start_unchecked")
        self.witness.cosign(self.tree, 6, 7)
        self.witness.restart(mark_path=self.mark)
        self.witness.cosign(self.tree, 7, 8)

    def test_restored_state_is_refused_also_when_unchecked(self):
        self.sign_and_restore(mark_path=self.mark)
        self.witness.start(mark_path=self.mark, start_unchecked="on")
        self.assert_refuses()


    def test_every_backup_of_a_run_with_its_mark_intact(self):
        """Only the newest state signs; each older one refuses, honest or not, and stays refused."""
        sizes, backups = [0, 1, 4, 5, 9, 13], []
        self.witness.start(mark_path=self.mark)
        for old, size in zip([None] + sizes, sizes):
            if old is not None:
                self.witness.cosign(self.tree, old, size)
            self.assertEqual(self.witness.stop(), 0)
            backups.append(os.path.join(self.witness.dir, f"backup-{size}"))
            shutil.copytree(self.witness.data, backups[-1])
            self.witness.start(mark_path=self.mark)
        self.assertEqual(self.witness.stop(), 0)
        with open(self.mark, "rb") as file:
            mark = file.read()
        for size, backup in zip(sizes, backups):
            shutil.rmtree(self.witness.data)
            shutil.copytree(backup, self.witness.data)
            self.witness.start(mark_path=self.mark)
            if size < sizes[-1]:
                self.assert_refuses(size)
            else:  # the state of the mark
                evil = self.tree.branch(9, "evil").grow(20)
                for old, new in ((9, 13), (13, 13), (13, 14), (9, 14)):
                    answer = self.witness.add_checkpoint(evil.request(old, new))
                    self.assertIn(answer.status, (409, 422), answer)
                self.assertEqual(self.witness.held_size(self.tree), 13)
            self.assertEqual(self.witness.stop(), 0)
            with open(self.mark, "rb") as file:
                self.assertEqual(file.read(), mark)
        self.witness.start(mark_path=self.mark)
        self.witness.cosign(self.tree, 13, 14)


class Peers(Case):
    def test_without_anything_it_says_that_it_cannot_know(self):
        self.witness.start()
        self.assertIn("rollback not detectable", self.witness.get("/healthz").body.decode())

    def test_evil_log_and_one_honest_peer(self):
        """The log hides our newer cosignature; a peer that does not know it, and one that does."""
        note = self.sign_and_restore()
        page = f"/{self.tree.hash()}/checkpoint"
        with Site() as honest, Site() as other:
            honest.pages["/m" + page] = note.encode()
            settings = {"peers": [other.url, honest.url + "/m/"]}
            self.witness.start(**settings)
            wait_until(lambda: "event=guard_refuses" in self.witness.process.text(), "the refusal")
            self.assert_refuses()
            self.assertEqual(self.witness.stop(), 0)
            self.assertIn(page, other.asked)
        self.witness.start()  # no peer any more: what was seen was kept
        self.assert_refuses()
        self.assertEqual(self.witness.stop(), 0)
        row = self.show()[0]
        self.assertEqual((row["refused"], row["refused_size"], row["size"]), (True, 9, 5))
        self.state("adopt", "--logs", self.witness.logs, "--origin", ORIGIN,
                   "--proof", self.proof_file(self.tree, 5, 9))
        self.witness.start()
        self.witness.cosign(self.tree, 9, 12)

    def test_nothing_is_signed_before_the_peers_have_answered(self):
        self.witness.start(peers=["http://127.0.0.1:1"])
        answer = self.witness.add_checkpoint(self.tree.request(0, 5))
        self.assertEqual(answer.status, 503, answer)
        self.assertEqual(self.witness.stop(), 0)
        with Site() as peer:
            self.witness.start(peers=[peer.url])
            wait_until(lambda: self.witness.get("/readyz").status == 200, "all to be open")
            self.witness.cosign(self.tree, 0, 5)

    def test_log_that_shows_our_newer_note_is_believed(self):
        note = self.sign_and_restore()
        with Site() as site:
            site.pages["/checkpoint"] = note.encode()
            self.witness.write_logs([f"{self.tree.key.vkey()} {site.url}"])
            self.witness.start()
            wait_until(lambda: "event=guard_refuses" in self.witness.process.text(), "the refusal")
            self.assert_refuses()


    def test_honest_peer_that_is_late_is_asked_on_and_believed(self):
        note = self.sign_and_restore()
        with Site() as fast, Site() as late:
            late.status = 503
            self.witness.start(peers=[fast.url, late.url], peer_wait_seconds=1)
            wait_until(lambda: self.witness.get("/readyz").status == 200, "it to open without one")
            self.witness.process.wait_for(f'event=guard_peers_late .*peer="{late.url}"')
            memory = f"note {len(note.encode())}\n{note}"
            late.pages[f"/{self.tree.hash()}/peers"] = memory.encode()
            wait_until(lambda: "event=guard_refuses" in self.witness.process.text(), "the refusal")
            self.assert_refuses()

    def test_login_page_is_no_answer(self):
        with Site() as site:
            pages = [f"/{self.tree.hash()}/{name}" for name in ("checkpoint", "peers")]
            site.pages = {page: b"<html>please log in</html>" for page in pages}
            self.witness.start(peers=[site.url])
            wait_until(lambda: site.asked.count(pages[0]) > 1, "the second question")
            answer = self.witness.add_checkpoint(self.tree.request(0, 5))
            self.assertEqual(answer.status, 503, answer)
            site.pages = {}
            wait_until(lambda: self.witness.get("/readyz").status == 200, "all to be open")
            self.witness.cosign(self.tree, 0, 5)

    def test_marks_that_were_made_again_do_not_vouch_before_the_peers(self):
        """For both ways of making them: the state is old, and a peer that is away knows it."""
        note = self.sign_and_restore(mark_path=self.mark)
        os.unlink(self.mark)
        self.state("trust-mark", "--mark-path", self.mark)
        with Site() as peer:
            peer.status = 503
            settings = {"mark_path": self.mark, "peers": [peer.url]}
            self.witness.start(**settings)
            self.assert_refuses()
            self.assertEqual(self.witness.stop(), 0)
            os.unlink(self.mark)
            self.witness.start(**settings, start_unchecked="on")
            self.assertEqual(self.witness.stop(), 0)
            self.witness.start(**settings)
            self.assert_refuses()
            peer.pages[f"/{self.tree.hash()}/checkpoint"] = note.encode()
            peer.status = 404
            wait_until(lambda: "event=guard_refuses" in self.witness.process.text(), "the refusal")
            self.assert_refuses()

    def test_contradiction_is_not_adopted_away(self):
        note = self.sign_and_restore()
        evil = self.tree.branch(3, "evil").grow(20)
        other = evil.note(9) + self.witness.key.line(evil.text(9), 99)
        page = f"/{self.tree.hash()}/checkpoint"
        with Site() as one, Site() as two:
            one.pages[page], two.pages[page] = note.encode(), other.encode()
            self.witness.start(peers=[one.url, two.url])
            wait_until(lambda: "retire the key" in self.witness.get("/healthz").body.decode(),
                       "the contradiction")
            self.assertEqual(self.witness.stop(), 0)
        words = self.state("adopt", "--logs", self.witness.logs, "--note", self.note_file(note),
                           "--proof", self.proof_file(self.tree, 5, 9), code=1)
        self.assertIn("retire the key", words)
        self.witness.start()
        self.assert_refuses()


class Counter(Case):
    """With tools that stand in for a TPM's: test_tpm.py has the real ones."""

    def setUp(self):
        super().setUp()
        tools = os.path.join(self.witness.dir, "tools")
        os.mkdir(tools)
        self.tool(tools, "tpm2_nvread", "printf '\\000\\000\\000\\000\\000\\000\\000'",
                  'printf "\\\\$(printf %03o "$(cat "${0%/*}/count")")"')
        self.tool(tools, "tpm2_nvincrement", 'n=$(cat "${0%/*}/count")',
                  'echo $((n + 1)) >"${0%/*}/count"')
        with open(os.path.join(tools, "count"), "w", encoding="utf-8") as file:
            file.write("1\n")
        self.addCleanup(os.environ.__setitem__, "PATH", os.environ["PATH"])
        os.environ["PATH"] = tools + ":" + os.environ["PATH"]

    @staticmethod
    def tool(directory, name, *lines):
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(("#!/bin/sh",) + lines) + "\n")
        os.chmod(path, 0o755)

    def test_counter_that_is_taken_out_refuses_all_until_told_otherwise(self):
        with_counter = {"tpm_nv_index": "0x1500016"}
        self.witness.start(**with_counter)
        self.witness.cosign(self.tree, 0, 5)
        for _ in range(2):
            self.witness.restart()
            self.assertIn("used with a TPM counter", self.witness.process.text())
            self.assert_refuses()
        self.witness.restart(**with_counter)
        self.witness.cosign(self.tree, 5, 6)
        self.witness.restart(start_unchecked="on")
        self.assertRegex(self.witness.process.text(), "level=error event=start_unchecked tpm=")
        self.witness.cosign(self.tree, 6, 7)
        self.witness.restart()
        self.witness.cosign(self.tree, 7, 8)


class WitnessesAsPeers(Case):
    """Two witnesses without marks, each the other's peer; ours is restored, and its log is evil."""

    def setUp(self):
        super().setUp()
        self.front = self.enter(Front(self.witness))
        self.other = Witness([self.tree.key], name="other.example/w", is_started=False)
        self.addCleanup(self.other.close)
        self.other_front = self.enter(Front(self.other))
        self.settings = {"peers": [self.other_front.url], "peer_poll_seconds": 1}
        self.other_settings = {"peers": [self.front.url], "peer_poll_seconds": 1}
        self.page = f"/{self.tree.hash()}/peers"

    def enter(self, site):
        self.addCleanup(site.__exit__)
        return site

    def start(self, **settings):
        self.witness.start(**{**self.settings, **settings})

    def start_both(self):
        self.start()
        self.other.start(**self.other_settings)
        for witness in (self.witness, self.other):
            wait_until(lambda: witness.get("/readyz").status == 200, "both to be open")

    def remembered(self):
        """The notes that the other one serves."""
        answer = self.other.get(self.page)
        if answer.status == 404:
            return []
        self.assertEqual(answer.status, 200, answer)
        notes, body = [], answer.body
        while body:
            head, body = body.split(b"\n", 1)
            word, length = head.split(b" ")
            self.assertEqual(word, b"note")
            notes.append(body[: int(length)].decode())
            body = body[int(length) :]
        return notes

    def sign_both(self):
        """Cosigns 5 and then 9, with a backup at 5. The other one remembers 9 then."""
        self.witness.cosign(self.tree, 0, 5)
        self.assertEqual(self.witness.stop(), 0)
        self.backup()
        self.start()
        wait_until(lambda: self.witness.get("/readyz").status == 200, "ours to be open")
        self.witness.cosign(self.tree, 5, 9)
        note = self.witness.checkpoint(self.tree)
        wait_until(lambda: self.remembered() == [note], "the other one to have seen 9")
        self.assertEqual(self.witness.stop(), 0)
        self.restore()

    def test_restored_one_signs_no_fork_from_the_old_size(self):
        self.start_both()
        self.assertEqual(self.remembered(), [])
        self.sign_both()
        self.assertIsNone(self.other.checkpoint(self.tree))  # served there, and nowhere else
        self.other.restart(**self.other_settings)  # it survives that
        self.start()
        self.assert_refuses()  # before the other one has answered, or after
        wait_until(lambda: "event=guard_refuses" in self.witness.process.text(), "the refusal")
        self.assert_refuses()
        health = self.witness.get("/healthz").body.decode()
        self.assertRegex(health, "refused: .*a note of ours at size 9 is ahead of the store at 5")
        # We show 5 now, and what is remembered stays 9.
        seen = len(self.front.asked)
        wait_until(lambda: len(self.front.asked) > seen + 2, "polls")
        self.assertEqual([note.split("\n")[1] for note in self.remembered()], ["9"])
        self.assertIn("evidence of misbehaviour", health)  # the fork was posted

    def test_nothing_is_signed_while_the_other_one_is_away(self):
        self.start_both()
        self.sign_both()
        self.assertEqual(self.other.stop(), 0)
        self.start()
        self.assert_refuses()
        self.other.start(**self.other_settings)
        wait_until(lambda: "event=guard_refuses" in self.witness.process.text(), "the refusal")
        self.assert_refuses()

    def test_split_view_becomes_evidence(self):
        """The log shows each of the two another history of one size."""
        self.start_both()
        self.witness.cosign(self.tree, 0, 9)
        self.other.cosign(self.tree.branch(4, "evil").grow(20), 0, 9)
        for witness in (self.witness, self.other):
            wait_until(lambda: "event=evidence" in witness.process.text(), "the evidence")
            self.assertIn("evidence of misbehaviour", witness.get("/healthz").body.decode())
        self.witness.cosign(self.tree, 9, 12)  # our own history goes on


class Adopt(Case):
    def setUp(self):
        super().setUp()
        self.note = self.sign_and_restore()

    def adopt(self, note, *arguments, code=0):
        return self.state("adopt", "--logs", self.witness.logs, "--note", self.note_file(note),
                          *arguments, code=code)

    def test_needs_the_proof(self):
        words = self.adopt(self.note, code=1)
        self.assertIn("the stored state at size 5", words)
        self.adopt(self.note, "--proof", self.proof_file(self.tree, 4, 9), code=1)
        self.adopt(self.note, "--proof", self.proof_file(self.tree, 5, 8), code=1)
        self.assertEqual(self.show()[0]["size"], 5)

    def test_needs_our_cosignature_or_a_quorum(self):
        proof = ("--proof", self.proof_file(self.tree, 5, 9))
        self.adopt(self.tree.note(9), *proof, code=1)
        others = [tlog.Key(f"w{i}", tlog.COSIGNATURE) for i in range(3)]
        policy = self.path("policy", "".join(
            [f"log {self.tree.key.vkey()}\n"]
            + [f"witness {key.name} {key.vkey()}\n" for key in others]
            + ["group g 2 w0 w1 w2\nquorum g\n"]))
        text = self.tree.text(9)
        one = self.note_file(self.tree.note(9) + others[0].line(text, 77))
        self.state("adopt", "--policy", policy, "--note", one, *proof, code=1)
        two = self.note_file(
            self.tree.note(9) + others[0].line(text, 77) + others[2].line(text, 78))
        self.state("adopt", "--policy", policy, "--note", two, *proof)
        self.witness.start()
        self.assertEqual(self.witness.checkpoint(self.tree), self.tree.note(9))
        self.witness.cosign(self.tree, 9, 10)

    def test_needs_the_logs_signature(self):
        stranger = Tree(ORIGIN, key=tlog.Key(ORIGIN, tlog.ED25519, b"s" * 32))
        stranger.leaves = self.tree.leaves
        note = stranger.note(9) + self.witness.key.line(self.tree.text(9), 99)
        self.adopt(note, "--proof", self.proof_file(self.tree, 5, 9), code=1)
        self.witness.write_logs([])
        self.adopt(self.note, "--proof", self.proof_file(self.tree, 5, 9), code=1)

    def test_goes_forward_only(self):
        proof = ("--proof", self.proof_file(self.tree, 5, 9))
        self.adopt(self.note, *proof)
        self.adopt(self.note, *proof, code=1)
        for size in (4, 5, 8):
            old = self.tree.note(size) + self.witness.key.line(self.tree.text(size), 99)
            self.adopt(old, "--proof", self.proof_file(self.tree, 4, size), code=1)
        self.assertEqual(self.show()[0]["size"], 9)

    def test_other_history_is_not_adopted(self):
        evil = self.tree.branch(3, "evil").grow(20)
        note = evil.note(9) + self.witness.key.line(evil.text(9), 99)
        self.adopt(note, "--proof", self.proof_file(evil, 5, 9), code=1)

    def test_running_witness_and_wrong_usage_are_told(self):
        self.witness.start()
        self.assertIn("stop courtroll-witness first", self.state("show", code=3))
        self.state("adopt", code=2)
        self.state("frob", code=2)
        self.state("show", "--note", "x", code=2)
        self.state("trust-mark", code=2)
        self.state("show", "--colour", code=2)
        for arguments in (["state", "--help"], ["state", "adopt", "--help"]):
            done = subprocess.run([WITNESS, *arguments], capture_output=True, check=True, timeout=30)
            self.assertIn(b"state adopt", done.stdout)
        done = subprocess.run([WITNESS, "state", "show", "--data-dir", "/nonexistent"],
                              capture_output=True, check=False, timeout=30)
        self.assertEqual(done.returncode, 3)

    def test_show_is_for_people_too(self):
        text = self.state("show")
        self.assertRegex(text, rf"(?m)^{ORIGIN}\n  hash      {self.tree.hash()}\n  size      5$")


if __name__ == "__main__":
    unittest.main()
