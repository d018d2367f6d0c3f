#!/usr/bin/env python3
# Takes long.
"""Start, stop and the times between: ready line, exit codes, configuration, drain, publication."""
import contextlib
import glob
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import raw_rpc  # noqa: E402
import tlog  # noqa: E402
from logd import COURTROLL, LOGD, Logd, Process, courtroll, wait_until  # noqa: E402

STOP_S = 5
FILL = 200_000  # entries


class Case(unittest.TestCase):
    def make(self, **settings):
        log = Logd(is_started=False, **settings)
        self.addCleanup(log.close)
        return log

    def fails(self, log, code, *words, **overrides):
        got, text = log.fails_to_start(**overrides)
        self.assertEqual(got, code, text)
        for word in words:
            self.assertIn(word, text)


class Words(unittest.TestCase):
    def run_program(self, *arguments):
        return subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)

    def test_both_programs_tell_their_version(self):
        versions = set()
        for program in (COURTROLL, LOGD):
            done = self.run_program(program, "--version")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            name, version = done.stdout.splitlines()[0].split() # a daemon tells its page's SHA-256 below
            self.assertEqual(name, os.path.basename(program))
            self.assertRegex(version, r"^\d+\.\d+\.\d+")
            versions.add(version)
        self.assertEqual(len(versions), 1)

    def test_help_of_the_daemon_lists_every_key(self):
        done = self.run_program(LOGD, "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for key in (
            "config data-dir key promise-key policy http-listen grpc-listen http-add schema dedup "
            "checkpoint-interval-ms mark-path pool-entries-max pool-bytes-max journal-bytes-max "
            "tls-cert tls-key tls-client-ca help version"
        ).split():
            self.assertRegex(done.stdout, rf"--{key}\b")
        self.assertIn("Exit codes", done.stdout)

    def test_help_of_the_command_lists_every_command(self):
        done = self.run_program(COURTROLL, "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for command in "keygen append checkpoint prove verify policy fsck status bench".split():
            self.assertRegex(done.stdout, rf"(?m)^ +{command} ")
            self.assertEqual(self.run_program(COURTROLL, command, "--help").returncode, 0)


class Start(Case):
    def test_port_0_is_any_port_and_the_ready_line_names_it(self):
        log = self.make()
        log.start()
        for address in (log.http, log.grpc):
            self.assertRegex(address, r"^127\.0\.0\.1:[1-9]\d+$")
        self.assertNotEqual(log.http, log.grpc)
        self.assertEqual(log.get("/checkpoint").status, 200)  # size 0, at once
        self.assertEqual(log.status()["published_size"], 0)
        self.assertEqual(len(re.findall("event=ready", log.process.text())), 1)

    def test_an_entry_is_admitted_as_soon_as_it_is_ready(self):
        log = self.make(http_add="on")
        log.start()
        lines = b"".join(b"line %d\n" % i for i in range(3000))
        courtroll("append", "--log", log.grpc, "--lines", "-", stdin=lines, code=0)
        for i in range(10):
            log.kill()
            log.start()
            self.assertEqual(log.add(b"one more %d" % i), 3000 + i)

    def test_several_addresses_each_serve(self):
        log = self.make()
        unix = os.path.join(log.dir, "s")
        log.start(http_listen=["127.0.0.1:0"] * 2, grpc_listen=["127.0.0.1:0", f"unix:{unix}"])
        first, second = log.http.split(",")
        tcp, local = log.grpc.split(",")
        self.assertEqual(local, f"unix:{unix}")
        for log.http in (first, second):
            self.assertEqual(log.get("/checkpoint").status, 200)
        self.assertEqual([log.append(b"x", log=to)[0][0] for to in (tcp, local)], [0, 0])

    def test_grpc_works_over_a_unix_socket_also_after_a_kill(self):
        log = self.make()
        unix = f"unix:{os.path.join(log.dir, 's')}"
        log.start(grpc_listen=unix)
        self.assertEqual(log.grpc, unix)
        self.assertEqual(log.append(b"x")[0][0], 0)
        log.kill()
        log.start(grpc_listen=unix)
        self.assertEqual(log.append(b"y")[0][0], 1)
        self.assertEqual(log.status()["durable_size"], 2)
        self.assertEqual(log.stop(), 0)

    def test_a_second_daemon_on_one_directory_is_refused(self):
        log = self.make()
        log.start()
        second = Process(log.arguments())
        self.assertEqual(second.wait(), 3)
        self.assertIn("in use by another process", second.text())
        self.assertEqual(log.append(b"x")[0][0], 0)
        log.kill()  # leaves no lock behind
        log.start()

    def test_readiness_is_told_to_the_service_manager(self):
        log = self.make()
        path = os.path.join(log.dir, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(20)
            os.environ["NOTIFY_SOCKET"] = path
            try:
                log.spawn()
            finally:
                del os.environ["NOTIFY_SOCKET"]
            self.assertEqual(self.told(manager), "READY=1")
            ready = log.process.wait_for(r"event=ready http=(\S+)")
            log.http = ready.group(1)
            self.assertEqual(log.get("/checkpoint").status, 200)
            self.assertEqual(log.stop(), 0)
            self.assertEqual(self.told(manager), "STOPPING=1")

    @staticmethod
    def told(manager):
        """The next word that is no beat for the watchdog."""
        while (word := manager.recv(1000).decode().strip()) == "WATCHDOG=1":
            pass
        return word

    def test_reads_are_served_soon_after_the_start_of_a_large_log(self):
        log = self.make()
        log.start()
        while log.status()["durable_size"] < FILL:
            courtroll(
                "bench", "--log", log.grpc, "--entries-per-call", 1000, "--in-flight", 8,
                "--entry-bytes", 60, "--seconds", 1, code=0,
            )
        size = log.status()["durable_size"]
        log.wait_published(size)
        took = {}
        for how in ("stop", "kill"):
            getattr(log, how)()
            began = time.monotonic()
            log.start()
            self.assertEqual(log.get("/checkpoint").status, 200)
            self.assertEqual(log.get(f"/tile/0/{tlog.tile_path(0, 5, 256)[7:]}").status, 200)
            took[how] = time.monotonic() - began
        self.assertEqual(log.published_size(), size)
        print(f"{size} entries: reads served " + ", ".join(
            f"{s:.2f} s after the start that follows a {how}" for how, s in took.items()
        ))
        self.assertLess(max(took.values()), 10)  # 1 s, on a machine that does nothing else


class Configuration(Case):
    def write(self, log, *lines):
        path = os.path.join(log.dir, "config")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def run_with(self, path, *flags):
        process = Process([LOGD, "--config", path, *flags])
        self.addCleanup(process.kill)
        return process

    def base(self, log):
        return [
            "# a log", "", f"data-dir = {log.data}", f"key = {log.key}",
            "http-listen = 127.0.0.1:0", "grpc-listen = 127.0.0.1:0",
        ]

    def test_a_file_is_enough(self):
        log = self.make()
        process = self.run_with(self.write(log, *self.base(log), "http-add = on"))
        log.http = process.wait_for(r"event=ready http=(\S+)").group(1)
        self.assertEqual(log.add(b"x"), 0)

    def test_flags_override_the_file(self):
        log = self.make()
        path = self.write(log, *self.base(log), "http-add = off", "http-listen = 127.0.0.1:0")
        process = self.run_with(path)
        http_text = process.wait_for(r"event=ready http=(\S+)").group(1)
        self.assertEqual(len(http_text.split(",")), 2)
        log.http = http_text.split(",")[0]
        self.assertNotEqual(log.request("POST", "/add", b"x").status, 200)
        process.kill()
        flags = ["--http-add", "on"] + 3 * ["--http-listen", "127.0.0.1:0"]
        process = self.run_with(path, *flags)  # the flags' list replaces the file's
        http_text = process.wait_for(r"event=ready http=(\S+)").group(1)
        self.assertEqual(len(http_text.split(",")), 3)
        log.http = http_text.split(",")[2]
        self.assertEqual(log.add(b"x"), 0)

    def test_what_is_wrong_is_named_and_exits_with_2(self):
        log = self.make()
        base = self.base(log)
        for lines, words in (
            (["data-dri = x"], ["data-dri", "data-dir"]),
            (["http-add = on", "http-add = off"], ["http-add"]),
            (["http-add = yes"], ["http-add", "on"]),
            (["checkpoint-interval-ms = soon"], ["checkpoint-interval-ms"]),
            (["checkpoint-interval-ms = 0"], ["checkpoint-interval-ms"]),
            (["pool-entries-max = -1"], ["pool-entries-max"]),
            (["schema = operation"], ["schema"]),
            (["schema = other"], ["schema", "opaque"]),
            (["http-listen = nowhere"], ["http-listen"]),
            (["grpc-listen = 0.0.0.0:0"], ["grpc-listen", "TLS"]),
            (["tls-cert = /x"], ["tls-key"]),
            (["no equals sign"], ["7"]),
            (["[section]"], ["7"]),
        ):
            with self.subTest(lines=lines):
                process = self.run_with(self.write(log, *base, *lines))
                self.assertEqual(process.wait(), 2, process.text())
                for word in words:
                    self.assertIn(word, process.text())
        for flags, word in (
            (["--http-ad", "on"], "http-add"),
            (["--http-add"], "http-add"),
            (["--http-add", "on", "--http-add", "on"], "http-add"),
            (["stray"], "stray"),
        ):
            with self.subTest(flags=flags):
                process = self.run_with(self.write(log, *base), *flags)
                self.assertEqual(process.wait(), 2, process.text())
                self.assertIn(word, process.text())
        process = self.run_with(self.write(log, *base[3:]))
        self.assertEqual(process.wait(), 2, process.text())
        self.assertIn("data-dir", process.text())
        process = self.run_with(os.path.join(log.dir, "no-such-file"))
        self.assertEqual(process.wait(), 2, process.text())
        self.assertIn("no-such-file", process.text())
        self.assertFalse(os.path.exists(log.data))  # nothing was touched

    def test_a_wrong_policy_is_a_configuration_error(self):
        log = self.make()
        other = self.make(origin="log.example/other")
        self.fails(log, 2, log.vkey, policy=other.policy)
        witness = tlog.Key("w.example", tlog.COSIGNATURE)
        text = f"log {log.vkey}\nwitness w {witness.vkey()} ftp://w.example/\nquorum w\n"
        path = os.path.join(log.dir, "quorum")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self.fails(log, 2, "neither http:// nor https://", policy=path)
        with open(path, "w", encoding="utf-8") as file:
            file.write("nonsense\n")
        self.fails(log, 2, path, policy=path)
        self.fails(log, 2, "no-such-policy", policy=os.path.join(log.dir, "no-such-policy"))


class ExitCodes(Case):
    def test_keys_and_directories_that_do_not_fit_exit_with_3(self):
        log = self.make()
        log.start()
        log.append(b"x")
        self.assertEqual(log.stop(), 0)
        other = self.make(origin="log.example/other")
        self.fails(log, 3, "belongs to another log", key=other.key, promise_key=None, policy=None)
        self.fails(log, 3, "no-such-key", key=os.path.join(log.dir, "no-such-key"))
        self.fails(log, 3, "promise", promise_key=other.promise_key)
        open_key = os.path.join(log.dir, "open.key")
        shutil.copyfile(log.key, open_key)
        os.chmod(open_key, 0o644)
        self.fails(log, 3, "chmod 600", key=open_key)
        not_a_directory = os.path.join(log.dir, "file")
        with open(not_a_directory, "wb"):
            pass
        self.fails(log, 3, not_a_directory, data_dir=not_a_directory)
        log.start()  # none of this harmed it
        self.assertEqual(log.append(b"x")[0][0], 0)

    def test_a_port_that_is_taken_exits_with_3(self):
        log, other = self.make(), self.make()
        other.start()
        self.fails(log, 3, "http-listen", http_listen=other.http)
        self.fails(log, 3, other.grpc, grpc_listen=other.grpc)
        log.start()

    def test_an_unknown_commit_result_exits_with_5_and_recovery_finds_out(self):
        log = self.make(http_add="on")
        shim = self.make_shim(log.dir)
        trigger = os.path.join(log.dir, "fail")
        log.wrapper = ["env", f"LD_PRELOAD={shim}", f"FAIL_WHEN={trigger}"]
        log.start()
        self.assertEqual(log.add(b"first"), 0)
        with open(trigger, "wb"):
            pass
        with self.assertRaises((OSError, http.client.HTTPException)):
            log.add(b"second")  # no answer at all
        self.assertEqual(log.process.wait(), 5, log.process.text())
        self.assertIn("event=fatal", log.process.text())
        log.wrapper = []
        os.unlink(trigger)
        log.start()
        self.assertEqual(log.add(b"first"), 0)
        self.assertEqual(log.add(b"second"), 1)
        log.wait_published(2)
        log.fsck()

    def make_shim(self, directory):
        """A library in which the journal's sync fails when told to."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            self.skipTest("no C compiler")
        source = os.path.join(directory, "shim.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(
                "#include <errno.h>\n#include <stdlib.h>\n#include <sys/syscall.h>\n"
                "#include <unistd.h>\n"
                "int fdatasync(int fd)\n{\n"
                '    if (access(getenv("FAIL_WHEN"), F_OK) == 0) {\n'
                "        errno = EIO;\n        return -1;\n    }\n"
                "    return (int)syscall(SYS_fdatasync, fd);\n}\n"
            )
        shim = os.path.join(directory, "shim.so")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, source], check=True)
        return shim


class Stop(Case):
    def published(self, log):
        """(size, leaf hashes) of the directory."""
        with open(os.path.join(log.public, "checkpoint"), "rb") as file:
            size = int(file.read().split(b"\n")[1])
        leaves = []
        for number in range((size + 255) // 256):
            path = tlog.tile_path(0, number, min(256, size - 256 * number))
            with open(os.path.join(log.public, path), "rb") as file:
                data = file.read()
            leaves += [data[i : i + 32] for i in range(0, len(data), 32)]
        return size, leaves

    def load(self, log, acked, name):
        connection = log.connection(20)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            for i in range(10**6):
                entry = b"%s %d" % (name, i)
                connection.request("POST", "/add", entry)
                response = connection.getresponse()
                body = response.read()
                if response.status != 200:
                    return
                acked.append((int(body), entry))

    def test_sigterm_under_load_publishes_what_was_acknowledged(self):
        log = self.make(http_add="on", checkpoint_interval_ms=1000)
        took = []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            log.start()
            acked = []
            threads = [
                threading.Thread(target=self.load, args=(log, acked, b"%d %d" % (len(took), i)))
                for i in range(4)
            ]
            bench = subprocess.Popen(
                [COURTROLL, "bench", "--log", log.grpc, "--entries-per-call", "10", "--seconds", "30"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            try:
                for thread in threads:
                    thread.start()
                wait_until(lambda: len(acked) > 50, "entries are taken")
                time.sleep(0.5)
                began = time.monotonic()
                log.process.signal(number)
                self.assertEqual(log.process.wait(), 0, log.process.text())
                took.append(time.monotonic() - began)
                for thread in threads:
                    thread.join()
            finally:
                bench.kill()
                bench.wait()
            self.assertIn("event=stopped", log.process.text())
            size, leaves = self.published(log)
            for index, entry in acked:
                self.assertLess(index, size, "acknowledged, and not published at the stop")
                self.assertEqual(leaves[index], tlog.leaf_hash(entry))
            log.fsck()
        print("stopped under load within " + ", ".join(f"{s:.2f} s" for s in took))
        self.assertLess(max(took), STOP_S)

    def test_idle_and_half_finished_callers_do_not_hold_it(self):
        log = self.make(http_add="on")
        log.start()
        with contextlib.ExitStack() as stack:
            host, port = log.http.split(":")
            for sent in (b"", b"GET /check", b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"):
                caller = stack.enter_context(socket.create_connection((host, int(port)), 10))
                caller.sendall(sent)
            keep = log.connection()
            stack.callback(keep.close)
            keep.request("GET", "/checkpoint")
            keep.getresponse().read()
            child = stack.enter_context(subprocess.Popen(
                [COURTROLL, "append", "--log", log.grpc, "--lines", "-"],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ))
            began = time.monotonic()
            self.assertEqual(log.stop(), 0)
            took = time.monotonic() - began
            child.kill()
        self.assertLess(took, STOP_S)

    def test_a_caller_that_does_not_read_does_not_hold_it(self):
        log = self.make()
        log.start()
        with tempfile.TemporaryDirectory() as directory:
            files = [os.path.join(directory, str(i)) for i in range(120)]
            for path in files:
                with open(path, "wb") as file:
                    file.write(os.urandom(60000))
            for i in range(0, len(files), 60):
                courtroll("append", "--log", log.grpc, *files[i : i + 60], code=0)
        log.wait_published(len(files))
        with raw_rpc.ask_without_reading(log.grpc, "/courtroll.v1.Log/GetEntries", 4):
            time.sleep(0.5)  # so that the connection is full
            began = time.monotonic()
            process = log.process
            self.assertEqual(log.stop(), 0)
            self.assertLess(time.monotonic() - began, STOP_S)
        self.assertIn("event=grpc_abandoned", process.text())
        self.assertIn("event=stopped", process.text())  # and not stop_forced

    def test_an_idle_log_stops_at_once(self):
        log = self.make()
        log.start()
        log.append(b"x")
        log.wait_published(1)
        began = time.monotonic()
        self.assertEqual(log.stop(), 0)
        self.assertLess(time.monotonic() - began, 3)

    def test_while_it_drains_it_admits_nothing(self):
        log = self.make(http_add="on", checkpoint_interval_ms=3000)
        log.start()
        log.add(b"first")
        log.wait_published(1)
        archive = os.path.join(log.public, "archive")
        os.rename(archive, archive + "-away")
        with open(archive, "wb"):  # in the way, so that the last round fails and is tried again
            pass
        log.add(b"second")
        log.process.signal(signal.SIGTERM)
        log.process.wait_for("event=publishing_failed")
        self.assertEqual(log.request("POST", "/add", b"third").status, 503)
        self.assertEqual(log.get("/readyz").status, 503)
        os.unlink(archive)
        os.rename(archive + "-away", archive)
        self.assertEqual(log.process.wait(), 0)
        self.assertEqual(self.published(log)[0], 2)

    def test_a_long_interval_does_not_hold_it(self):
        log = self.make(http_add="on", checkpoint_interval_ms=60000)
        log.start()
        for number in range(5):
            log.add(b"entry %d" % number)
        began = time.monotonic()
        self.assertEqual(log.stop(), 0)
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(self.published(log)[0], 5)


class Publication(Case):
    def test_an_idle_log_publishes_nothing_new(self):
        log = self.make(checkpoint_interval_ms=20)
        log.start()
        log.append(b"x")
        log.wait_published(1)

        def state():
            paths = [os.path.join(log.data, "signed"), os.path.join(log.public, "checkpoint")]
            paths += sorted(glob.glob(os.path.join(log.public, "archive/*/*/*")))
            return [(path, os.stat(path).st_ino, os.stat(path).st_mtime_ns) for path in paths]

        before = state()
        time.sleep(1.5)
        self.assertEqual(state(), before)
        log.append(b"x")  # a duplicate is no news
        time.sleep(0.3)
        self.assertEqual(state(), before)
        log.restart()
        time.sleep(0.3)
        self.assertEqual(state(), before)

    def published_after(self, log, entry):
        """Seconds from the acknowledgement of an entry to its publication."""
        index = log.add(entry)
        began = time.monotonic()
        log.wait_published(index + 1)
        return time.monotonic() - began

    def test_first_news_after_a_rest_is_published_at_once_then_one_per_interval(self):
        interval = 5.0
        log = self.make(http_add="on", checkpoint_interval_ms=int(1000 * interval))
        log.start()
        log.restart()  # size 0 is published: that was an earlier life's news
        first = self.published_after(log, b"first")
        second = self.published_after(log, b"second")
        time.sleep(interval)
        third = self.published_after(log, b"third")
        print(f"interval {interval} s: published after {first:.2f}, {second:.2f}, {third:.2f} s")
        self.assertLess(max(first, third), interval / 2)
        self.assertGreater(first + second, interval - 0.5)

    def test_under_load_there_is_at_most_one_note_an_interval(self):
        interval = 0.3
        log = self.make(http_add="on", checkpoint_interval_ms=int(1000 * interval))
        log.start()
        notes, began = set(), time.monotonic()
        i = 0
        while time.monotonic() - began < 3:
            log.add(b"entry %d" % i)
            notes.add(log.get("/checkpoint").body)
            i += 1
        took = time.monotonic() - began
        self.assertLessEqual(len(notes), took / interval + 2)
        self.assertGreaterEqual(len(notes), 3)


if __name__ == "__main__":
    unittest.main()
