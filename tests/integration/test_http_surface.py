#!/usr/bin/python3
"""courtroll-logd over HTTP, to the letter of C2SP tlog-tiles.

What it asserts is the names of the cases, printed as they run. COURTROLL_BIN names the directory of
the built programs; COURTROLL_LONG=1 adds the case that waits a minute for partial tiles to go.
"""
import os
import random
import re
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

import raw_http
import reader
import tlog
from logd import IS_LONG, Logd, wait_until
from raw_http import Raw

FOREVER = re.compile(r"^public, max-age=([0-9]+), immutable$")
BINARY = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"

# Sizes that the growing log publishes: small ones one by one, then in steps, and around full tiles.
SIZES = sorted({*range(1, 33), *range(33, 600, 17), 254, 255, 256, 257, 511, 512, 513, 600})


def entry(i):
    return (b"entry %d " % i) * (i % 7)  # the first of each seven is empty


def kept_entry(i):
    """Like entry(), but no two are the same."""
    return entry(i) + b"#%d" % i


class Case(unittest.TestCase):
    def assert_answer(self, answer, status, content_type):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Content-Type"], content_type, answer.headers)

    def assert_immutable(self, answer):
        self.assert_answer(answer, 200, BINARY)
        match = FOREVER.match(answer.headers["Cache-Control"])
        self.assertTrue(match, answer.headers["Cache-Control"])
        self.assertGreaterEqual(int(match.group(1)), 7 * 24 * 3600)
        self.assertNotIn("Content-Encoding", answer.headers)

    def assert_not_found(self, log, path, method=b"GET"):
        """404, plain text, nothing that a cache would keep. `path` is bytes, sent as it is."""
        answer = raw_http.once(log.http, raw_http.get(path, method=method), method != b"HEAD")
        self.assertEqual(answer.status, 404, (path, answer))
        self.assertNotIn("cache-control", answer.headers, path)
        self.assertNotIn("expires", answer.headers, path)
        self.assertNotIn("etag", answer.headers, path)
        self.assertNotIn("content-encoding", answer.headers, path)
        self.assertEqual(answer.headers["content-type"], TEXT, path)


class Growing(Case):
    """One log from size 0 to 600, published at each of SIZES."""

    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=10, http_add="on")
        cls.addClassCleanup(cls.log.close)
        cls.key = tlog.Key.from_file(cls.log.key)

    def fetch(self, path):
        answer = self.log.get("/" + path)
        if answer.status == 404:
            return None
        self.assertEqual(answer.status, 200, path)
        return answer.body

    def check_empty_log(self):
        answer = self.log.get("/checkpoint")
        self.assert_answer(answer, 200, TEXT)
        self.assertEqual(answer.headers["Cache-Control"], "no-cache")
        self.assertEqual(reader.open_note(answer.body, self.key), (0, reader.root_of([])))
        for path in (b"/tile/0/000", b"/tile/entries/000", b"/tile/0/000.p/1", b"/archive/after/0"):
            self.assert_not_found(self.log, path)

    def grow_to(self, size):
        """In one call, so that no size in between can be published."""
        first = self.log.published_size()
        entries = [kept_entry(i) for i in range(first, size)]
        if len(entries) == 1:
            self.assertEqual(self.log.add(entries[0]), first)
        else:
            appended = self.log.append(*entries)
            self.assertEqual([index for index, _ in appended], list(range(first, size)))
        self.assertEqual(self.log.wait_published(size), size)

    def check_partials(self, size):
        """What exists at that size, what one more entry would make, and what was never published."""
        leaves = [reader.leaf_hash(kept_entry(i)) for i in range(size)]
        width, last = size % 256, size // 256
        for kind in ("0", "entries"):
            if width > 0:
                answer = self.log.get("/" + reader.tile_path(kind, last, width))
                self.assert_immutable(answer)
                if kind == "0":
                    self.assertEqual(answer.body, b"".join(leaves[last * 256 :]))
                else:
                    entries = reader.entries_of(answer.body, width)
                    self.assertEqual(entries, [kept_entry(i) for i in range(last * 256, size)])
                self.assert_not_found(self.log, b"/" + reader.tile_path(kind, last).encode())
            if width < 255:
                wider = reader.tile_path(kind, last, width + 1)
                self.assert_not_found(self.log, b"/" + wider.encode())
            self.assert_not_found(self.log, b"/" + reader.tile_path(kind, last + 1, 1).encode())
        if last > 0:
            answer = self.log.get("/" + reader.tile_path("1", 0, last))
            self.assert_immutable(answer)
            roots = [reader.pairwise(leaves[i * 256 : i * 256 + 256]) for i in range(last)]
            self.assertEqual(answer.body, b"".join(roots))
        self.assert_not_found(self.log, b"/" + reader.tile_path("1", 0, last + 1).encode())
        self.assert_not_found(self.log, b"/tile/2/000.p/1")

    def test_1_every_partial_tile_is_there_when_its_size_is_published_and_stays(self):
        self.check_empty_log()
        seen = []
        for size in SIZES:
            self.grow_to(size)
            self.check_partials(size)
            seen += [path for path in reader.paths_of(size) if path not in seen]
        # A minute has not passed since the first full tile: what was ever published is still there.
        for path in seen:
            self.assert_immutable(self.log.get("/" + path))
        # And what was not, though it lies below the size, is not.
        for width in sorted(set(range(1, 256)) - set(SIZES)):
            for kind in ("0", "entries"):
                self.assert_not_found(self.log, f"/tile/{kind}/000.p/{width}".encode())

    def test_2_a_reader_re_hashes_every_entry_to_the_signed_root_by_http_and_by_directory(self):
        for fetch in (self.fetch, reader.of_directory(self.log.public)):
            size, _, entries = reader.read_log(fetch, self.key)
            self.assertEqual((size, entries), (600, [kept_entry(i) for i in range(600)]))

    def test_3_the_directory_and_http_serve_the_same_bytes(self):
        count = 0
        for directory, _, names in os.walk(self.log.public):
            for name in names:
                path = os.path.relpath(os.path.join(directory, name), self.log.public)
                with open(os.path.join(directory, name), "rb") as file:
                    data = file.read()
                answer = self.log.get("/" + path)
                self.assertEqual((answer.status, answer.body), (200, data), path)
                self.assertTrue(re.match(r"^(checkpoint|tile/.*|archive/.*)$", path), path)
                count += 1
        self.assertGreater(count, 2 * len(SIZES))

    def test_4_the_directory_is_for_any_reader_and_the_rest_is_private(self):
        self.assertEqual(os.stat(self.log.public).st_mode & 0o777, 0o755)
        for directory, directories, names in os.walk(self.log.public):
            directories[:] = [name for name in directories if not name.startswith(".")]
            for name in directories:
                self.assertEqual(os.stat(os.path.join(directory, name)).st_mode & 0o555, 0o555)
            for name in names:
                self.assertEqual(os.stat(os.path.join(directory, name)).st_mode & 0o777, 0o644)
        for name in ("journal", "index"):
            self.assertEqual(os.stat(os.path.join(self.log.data, name)).st_mode & 0o077, 0)

    def test_5_malformed_tile_paths_are_404_without_cache_headers(self):
        paths = """
            /tile /tile/ /tile/0 /tile/0/ /tile/0/0 /tile/0/1 /tile/0/00 /tile/0/0000 /tile/0/0001
            /tile/00/000 /tile/01/000 /tile/+0/000 /tile/-0/000 /tile/0x0/000 /tile/64/000
            /tile/256/000 /tile/18446744073709551616/000 /tile//000 /tile/0//000 /tile/0/000/
            /tile/0/x000/000 /tile/0/x000/x000/000 /tile/0/x001 /tile/0/x001/ /tile/0/001/002
            /tile/0/x01/000 /tile/0/X001/000 /tile/0/x001/00 /tile/0/x001/0000 /tile/0/x1000/000
            /tile/0/x000/001 /tile/0/00a /tile/0/0a0 /tile/0/-01 /tile/0/+01 /tile/0/%30%30%30
            /tile/0/000.p /tile/0/000.p/ /tile/0/000.p/0 /tile/0/000.p/00 /tile/0/000.p/01
            /tile/0/000.p/08 /tile/0/000.p/256 /tile/0/000.p/257 /tile/0/000.p/-1 /tile/0/000.p/1/
            /tile/0/000.p/+1 /tile/0/000.p/1x /tile/0/000.p/1.p/1 /tile/0/000.P/1 /tile/0/000.p1
            /tile/0/000.p/4294967297 /tile/0/000.p/18446744073709551617
            /tile/entries /tile/entries/ /tile/entries/0 /tile/entries/000/ /tile/entries/000.p/0
            /tile/entries/000.p/256 /tile/Entries/000 /tile/entries//000 /tile/entries/x000/000
            /tile/data/000 /tile/names/000 /tile/8/0/000 /tile/0/000.gz /tile/0/000.tmp
            /tile/0/x999/x999/x999/x999/x999/x999/999 /tile/63/000 /tile/0/x009/x223/x372/x036/x854/x775/808
            /tiles/0/000 /Tile/0/000 /TILE/0/000 /tile/0/000; /tile/0/000:80 /tile/0/000,
        """.split()
        for path in paths:
            self.assert_not_found(self.log, path.encode())
            self.assert_not_found(self.log, path.encode(), b"HEAD")

    def test_6_what_is_not_in_the_published_tree_is_404(self):
        for path in (
            b"/tile/0/002", b"/tile/0/003", b"/tile/0/002.p/89", b"/tile/0/002.p/255",
            b"/tile/entries/002", b"/tile/entries/002.p/89", b"/tile/1/000", b"/tile/1/000.p/3",
            b"/tile/1/001", b"/tile/2/000", b"/tile/2/000.p/1", b"/tile/0/x001/000",
            b"/tile/0/x999/999",
        ):
            self.assert_not_found(self.log, path)
        self.assert_immutable(self.log.get("/tile/0/001"))
        self.assert_immutable(self.log.get("/tile/1/000.p/2"))

    def test_7_no_path_leads_out_of_the_log(self):
        for path in (
            b"/../identity", b"/tile/../checkpoint", b"/tile/../../identity", b"/tile/0/../0/000",
            b"/./checkpoint", b"/tile/./0/000", b"//checkpoint", b"/checkpoint/", b"/checkpoint/..",
            b"//tile/0/000", b"/tile/0/%2e%2e/0/000", b"/%2e%2e/identity", b"/tile/%2e%2e/checkpoint",
            b"/tile%2f0%2f000", b"/tile/0%2f000", b"/tile/0/000%2ep/1", b"/%63heckpoint",
            b"/checkpoint%00", b"/tile/0/000%00", b"/tile/0/000%0a", b"/checkpoint%20",
            b"/..%2fidentity", b"/..%5cidentity", b"/..\\identity", b"/tile\\0\\000",
            b"/archive/../checkpoint", b"/archive/../../identity", b"/archive/%2e%2e/checkpoint",
            b"/journal/", b"/journal", b"/index/", b"/identity", b"/lock", b"/signed", b"/log/checkpoint",
            b"/archive/thin-until", b"/archive/2026-01-01/../../checkpoint", b"/.", b"/..", b"/...",
            b"/etc/passwd", b"/%", b"/%zz", b"/~", b"/index.html", b"/favicon.ico", b"/robots.txt",
        ):
            self.assert_not_found(self.log, path)
        for path in (b"/tile/0/000\0", b"/\0", b"/checkpoint\x7f", b"/checkpoint\xff", b"/tile/\t0"):
            with Raw(self.log.http) as raw:  # bytes that no request line may have
                raw.send(raw_http.get(path))
                answer = raw.answer()
                self.assertEqual(answer.status, 400, path)
                self.assertNotIn("cache-control", answer.headers)
                self.assertTrue(raw.is_closed())

    def test_8_a_query_changes_nothing(self):
        for path in ("/checkpoint", "/tile/0/000", "/tile/0/002.p/88"):
            self.assertEqual(self.log.get(path + "?x=../y").body, self.log.get(path).body)
        self.assert_not_found(self.log, b"/tile/0/0?00")

    def test_head_has_the_headers_of_get_and_no_body(self):
        paths = ["/checkpoint", "/tile/0/000", "/tile/entries/000", "/tile/0/002.p/88", "/healthz",
                 "/readyz", "/archive/after/0", "/nothing"]
        with Raw(self.log.http) as raw:  # on one connection: a body would be taken for an answer
            for path in paths:
                raw.send(raw_http.get(path.encode()))
                got = raw.answer()
                raw.send(raw_http.get(path.encode(), method=b"HEAD"))
                head = raw.answer(has_body=False)
                got.headers.pop("date"), head.headers.pop("date")
                self.assertEqual((head.status, head.headers), (got.status, got.headers), path)
                self.assertEqual(int(head.headers["content-length"]), len(got.body), path)
            for path in ("/", "/metrics"):  # their length changes with the time
                raw.send(raw_http.get(path.encode(), method=b"HEAD"))
                self.assertEqual(raw.answer(has_body=False).status, 200)

    def test_keep_alive_serves_many_requests_and_close_is_obeyed(self):
        with Raw(self.log.http) as raw:
            for _ in range(50):
                raw.send(raw_http.get(b"/tile/0/000"))
                self.assertEqual(len(raw.answer().body), 8192)
            raw.send(raw_http.get(b"/checkpoint", b"Connection: close"))
            answer = raw.answer()
            self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
            self.assertTrue(raw.is_closed())
        with Raw(self.log.http) as raw:  # HTTP/1.0 ends with the answer
            raw.send(b"GET /checkpoint HTTP/1.0\r\n\r\n")
            self.assertEqual(raw.answer().headers["connection"], "close")
            self.assertTrue(raw.is_closed())

    def test_a_hundred_requests_in_one_write_are_answered_in_order(self):
        paths = [p.encode() for p in reader.paths_of(600)] + [b"checkpoint", b"nothing", b"tile/0/0"]
        chosen = random.Random(7).choices(paths, k=100)
        expected = [self.log.get("/" + path.decode()) for path in chosen]
        with Raw(self.log.http) as raw:
            raw.send(b"".join(raw_http.get(b"/" + path) for path in chosen))
            for path, one in zip(chosen, expected):
                answer = raw.answer()
                self.assertEqual((answer.status, answer.body), (one.status, one.body), path)
            raw.half_close()
            self.assertTrue(raw.is_closed())

    def test_pipelined_adds_and_reads_keep_their_order(self):
        entries = [b"pipelined %d" % i for i in range(50)]
        parts = []
        for one in entries:
            parts.append(raw_http.get(b"/add", b"Content-Length: %d" % len(one), method=b"POST") + one)
            parts.append(raw_http.get(b"/tile/1/000.p/2"))
        with Raw(self.log.http) as raw:
            raw.send(b"".join(parts))
            indices = []
            for _ in entries:
                answer = raw.answer()
                self.assertEqual(answer.status, 200)
                indices.append(int(answer.body))
                self.assertEqual(len(raw.answer().body), 64)
        self.assertEqual(indices, list(range(600, 650)))
        self.assertEqual(self.log.wait_published(650), 650)
        self.assertEqual(reader.read_log(self.fetch, self.key)[2][600:], entries)

    def test_other_methods_are_405_and_say_what_is_allowed(self):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
            for path in ("/checkpoint", "/tile/0/000", "/", "/metrics"):
                answer = self.log.request(method, path)
                self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"))
                self.assertNotIn("Cache-Control", answer.headers)
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            answer = self.log.request(method, "/add")
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST"))

    def test_a_body_where_none_is_wanted_is_read_over_or_refused_but_never_taken_for_a_request(self):
        smuggled = raw_http.get(b"/healthz")
        with Raw(self.log.http) as raw:
            raw.send(raw_http.get(b"/checkpoint", b"Content-Length: %d" % len(smuggled)) + smuggled)
            self.assertEqual(raw.answer().body, self.log.get("/checkpoint").body)
            raw.half_close()
            self.assertTrue(raw.is_closed())


class Health(Case):
    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=10)
        cls.addClassCleanup(cls.log.close)
        cls.log.append(b"a", b"b")
        cls.log.wait_published(2)

    def test_add_is_not_there_unless_http_add_is_on(self):
        for body in (b"", b"x", b"x" * 65535):
            answer = self.log.request("POST", "/add", body)
            self.assertIn(answer.status, (404, 405), len(body))
        self.assertEqual(self.log.get("/add").status, 404)
        self.assertEqual(self.log.status()["durable_size"], 2)

    def test_healthz_and_readyz_are_200_with_reasons_a_person_can_read(self):
        for path in ("/healthz", "/readyz"):
            answer = self.log.get(path)
            self.assert_answer(answer, 200, TEXT)
            self.assertEqual(answer.headers["Cache-Control"], "no-cache")
            self.assertTrue(answer.body.startswith(b"ok\n"), answer.body)
            self.assertIn(b"published size: 2\n", answer.body)
            self.assertIn(b"rollback not detectable", answer.body)

    def test_metrics_parse_as_prometheus_text(self):
        answer = self.log.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(
            answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"),
            answer.headers["Content-Type"],
        )
        text = answer.body.decode()
        self.assertTrue(text.endswith("\n"))
        name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
        label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
        sample = re.compile(
            rf"^({name})(\{{{label}(?:,{label})*\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)$"
        )
        types, values = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, metric, kind = line.split(" ")
                self.assertIn(kind, ("counter", "gauge", "histogram", "summary", "untyped"))
                self.assertNotIn(metric, types, "one TYPE a metric")
                types[metric] = kind
            elif line.startswith("# HELP "):
                self.assertRegex(line, rf"^# HELP {name} .+$")
            else:
                match = sample.match(line)
                self.assertTrue(match, line)
                series = (match.group(1), match.group(2))
                self.assertNotIn(series, values, "one sample a series")
                values[series] = float(match.group(3))
                family = re.sub(r"_(bucket|sum|count)$", "", match.group(1))
                self.assertTrue(match.group(1) in types or family in types, line)
        for metric, kind in types.items():
            if kind == "counter":
                self.assertTrue(metric.endswith("_total"), metric)
        self.assertIn(2.0, [v for (metric, _), v in values.items() if "size" in metric], text)

    def test_the_status_page_is_html_that_runs_nothing(self):
        answer = self.log.get("/")
        self.assert_answer(answer, 200, "text/html; charset=utf-8")
        policy = answer.headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("script-src", policy)
        page = answer.body.decode()
        self.assertTrue(page.lower().startswith("<!doctype html>"), page[:80])
        self.assertNotIn("<script", page.lower())
        self.assertNotRegex(page, r"(src|href)=[\"']?https?:")
        self.assertIn("log.example/test", page)


class Add(Case):
    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=10, http_add="on")
        cls.addClassCleanup(cls.log.close)

    def add(self, body, **headers):
        return self.log.request("POST", "/add", body, headers)

    def test_1_the_answer_is_the_bare_decimal_index(self):
        for index, body in enumerate((b"first", b"\0\xff\r\n", b"x" * 65535)):
            answer = self.add(body)
            self.assert_answer(answer, 200, TEXT)
            self.assertEqual(answer.body, b"%d" % index)

    def test_2_an_empty_body_is_an_entry(self):
        self.assertEqual(self.add(b"").body, b"3")
        self.assertEqual(raw_http.once(self.log.http, raw_http.get(b"/add", method=b"POST")).body, b"3")

    def test_3_the_same_bytes_get_the_first_index(self):
        for index, body in enumerate((b"first", b"\0\xff\r\n", b"x" * 65535, b"")):
            self.assertEqual(self.add(body).body, b"%d" % index)
        self.assertEqual(self.log.status()["durable_size"], 4)

    def test_4_a_chunked_body_is_the_same_entry(self):
        request = raw_http.get(b"/add", b"Transfer-Encoding: chunked", method=b"POST")
        request += b"2\r\nfi\r\n3\r\nrst\r\n0\r\n\r\n"
        self.assertEqual(raw_http.once(self.log.http, request).body, b"0")

    def test_5_expect_100_continue_is_answered(self):
        with Raw(self.log.http) as raw:
            raw.send(raw_http.get(b"/add", b"Content-Length: 5", b"Expect: 100-continue", method=b"POST"))
            self.assertEqual(raw.answer().status, 100)
            raw.send(b"first")
            self.assertEqual(raw.answer().body, b"0")

    def test_6_one_byte_more_than_an_entry_is_413_and_logs_nothing(self):
        self.assertEqual(self.add(b"y" * 65536).status, 413)
        with Raw(self.log.http) as raw:  # known from the header alone
            raw.send(raw_http.get(b"/add", b"Content-Length: 65536", b"Expect: 100-continue", method=b"POST"))
            self.assertEqual(raw.answer().status, 413)
        with Raw(self.log.http) as raw:  # or only at the last byte
            raw.send(raw_http.get(b"/add", b"Transfer-Encoding: chunked", method=b"POST"))
            raw.send(b"10000\r\n" + b"y" * 65536 + b"\r\n0\r\n\r\n")
            self.assertEqual(raw.answer().status, 413)
        self.assertEqual(self.log.status()["durable_size"], 4)

    def test_7_an_add_cut_short_logs_nothing(self):
        with Raw(self.log.http) as raw:
            raw.send(raw_http.get(b"/add", b"Content-Length: 10", method=b"POST") + b"cut")
            raw.half_close()
            self.assertTrue(raw.is_closed())
        self.assertEqual(self.log.status()["durable_size"], 4)

    def test_8_without_deduplication_equal_bytes_are_two_entries(self):
        self.log.restart(dedup="off")
        self.assertEqual(self.add(b"first").body, b"4")
        self.assertEqual(self.add(b"first").body, b"5")
        self.log.wait_published(6)
        self.log.fsck()

    def test_9_many_connections_at_once_get_distinct_dense_indices(self):
        self.log.restart()
        indices, lock = [], threading.Lock()

        def submit(worker):
            connection = self.log.connection()
            for i in range(40):
                connection.request("POST", "/add", b"worker %d entry %d" % (worker, i))
                index = int(connection.getresponse().read())
                with lock:
                    indices.append(index)
            connection.close()

        first = self.log.status()["durable_size"]
        threads = [threading.Thread(target=submit, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(indices), list(range(first, first + 320)))


class Archive(Case):
    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=10, http_add="on")
        cls.addClassCleanup(cls.log.close)
        cls.key = tlog.Key.from_file(cls.log.key)
        cls.notes = {}
        for size in range(1, 11):
            cls.log.add(b"%d" % size)
            cls.log.wait_published(size)
            note = cls.log.get("/checkpoint").body
            cls.notes[int(note.split(b"\n")[1])] = note

    def files(self):
        root = os.path.join(self.log.public, "archive")
        for directory, _, names in os.walk(root):
            for name in names:
                yield os.path.relpath(os.path.join(directory, name), root)

    def test_every_published_note_is_in_an_archive_file(self):
        archived = b""
        for path in sorted(self.files()):
            self.assertRegex(path, r"^\d{4}-\d\d-\d\d/\d\d/\d\d$")
            answer = self.log.get("/archive/" + path)
            self.assert_answer(answer, 200, TEXT)
            archived += answer.body
        for note in self.notes.values():
            self.assertIn(note, archived)

    def test_after_an_index_comes_the_earliest_note_that_has_it(self):
        for index in range(10):
            answer = self.log.get(f"/archive/after/{index}")
            self.assert_answer(answer, 200, TEXT)
            size, root = reader.open_note(answer.body, self.key)
            self.assertGreater(size, index)
            self.assertEqual(size, min(s for s in self.notes if s > index))
            self.assertEqual(root, reader.root_of([reader.leaf_hash(b"%d" % i) for i in range(1, size + 1)]))

    def test_what_is_not_archived_is_404(self):
        file = next(iter(sorted(self.files())))
        day, hour, minute = file.split("/")
        for path in (
            "after/10", "after/11", "after/9223372036854775807", "after/9223372036854775808",
            "after/18446744073709551616", "after/", "after", "after/-1", "after/00", "after/01",
            "after/1x", "after/0/", "after/+0", "", f"{day}", f"{day}/", f"{day}/{hour}",
            f"{day}/{hour}/", f"{day}/{hour}/{minute}/", f"{day}/{hour}/{minute}0", f"{day}/{hour}/60",
            f"{day}/24/00", "2026-02-30/00/00", "2026-13-01/00/00", "1970-01-01/00/00",
            "9999-12-31/23/59", "0000-00-00/00/00", f"{day}/{hour}/../{hour}/{minute}", "thin-until",
            "2026-1-1/0/0", f"%32{day[1:]}/{hour}/{minute}",
        ):
            self.assert_not_found(self.log, b"/archive/" + path.encode())

    def test_a_restart_serves_the_same(self):
        before = {path: self.log.get(path).body for path in self.paths()}
        self.log.restart()
        self.assertEqual({path: self.log.get(path).body for path in self.paths()}, before)

    def paths(self):
        return ["/checkpoint", *("/" + p for p in reader.paths_of(10))] + [
            f"/archive/after/{i}" for i in range(10)
        ]


@unittest.skipUnless(IS_LONG, "waits a minute: COURTROLL_LONG=1")
class PartialsGo(Case):
    def test_partial_tiles_go_a_minute_after_the_full_tile_has_been_published(self):
        with Logd(checkpoint_interval_ms=10) as log:
            log.append(*(b"%d" % i for i in range(200)))
            log.wait_published(200)
            log.append(*(b"%d" % i for i in range(200, 300)))
            log.wait_published(300)
            full_at = time.monotonic()
            partials = ["tile/0/000.p/200", "tile/entries/000.p/200"]

            def exist():
                return [os.path.exists(os.path.join(log.public, path)) for path in partials]

            while time.monotonic() < full_at + 55:
                self.assertEqual(exist(), [True, True])
                time.sleep(1)
            time.sleep(10)
            log.append(b"news")  # a log removes them when it next publishes
            log.wait_published(301)
            wait_until(lambda: exist() == [False, False], "partial tiles are removed", timeout=5)
            for path in ("tile/0/001.p/45", "tile/entries/001.p/45", "tile/1/000.p/1"):
                self.assert_immutable(log.get("/" + path))
            log.fsck()
            log.restart()
            for path in partials:
                self.assert_not_found(log, b"/" + path.encode())


if __name__ == "__main__":
    unittest.main(verbosity=2)
