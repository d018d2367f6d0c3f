#!/usr/bin/python3
"""nginx serves the directory log/ as it is: the same bytes, types and cache rules as courtroll-logd.

With the configuration that deploy/nginx/log.conf offers to operators. What it asserts is the names of
the cases, printed as they run. COURTROLL_BIN names the directory of the built programs.
"""
import gzip
import http.client
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

import nginx
import raw_http
import reader
import tlog
from logd import Logd, courtroll

if nginx.program() is None:
    print("nginx is not installed")
    sys.exit(77)


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.log = Logd(checkpoint_interval_ms=10)
        cls.addClassCleanup(cls.log.close)
        for size in (3, 255, 256, 700):
            first = cls.log.published_size()
            cls.log.append(*(b"entry %d " % i * (i % 40) + b"%d" % i for i in range(first, size)))
            cls.log.wait_published(size)
        cls.nginx = nginx.Nginx(cls.log.public)
        cls.addClassCleanup(cls.nginx.close)

    def ask(self, address, path, method="GET", **headers):
        connection = http.client.HTTPConnection(address, timeout=20)
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def files(self):
        for directory, directories, names in os.walk(self.log.public):
            directories[:] = [name for name in directories if not name.startswith(".")]
            for name in names:
                yield os.path.relpath(os.path.join(directory, name), self.log.public)

    def test_every_file_has_the_bytes_type_and_cache_header_of_logd(self):
        files = sorted(self.files())
        self.assertIn("checkpoint", files)
        self.assertTrue(any(path.startswith("archive/") for path in files))
        for path in files:
            ours, our_body = self.ask(self.log.http, "/" + path)
            theirs, their_body = self.ask(self.nginx.address, "/" + path)
            self.assertEqual((theirs.status, ours.status), (200, 200), path)
            self.assertEqual(their_body, our_body, path)
            for header in ("Content-Type", "Cache-Control", "Content-Length"):
                self.assertEqual(theirs.headers[header], ours.headers[header], (path, header))
            head, _ = self.ask(self.nginx.address, "/" + path, method="HEAD")
            self.assertEqual(head.headers["Content-Length"], str(len(our_body)), path)

    def test_what_is_not_a_resource_is_404_on_both_and_not_cached(self):
        for path in """
            / /tile /tile/ /tile/0 /tile/0/ /tile/0/00 /tile/0/0000 /tile/00/000 /tile/64/000
            /tile/0/x000/000 /tile/0/x001 /tile/0/x001/ /tile/0/001/002 /tile/0/000.p /tile/0/000.p/
            /tile/0/000.p/0 /tile/0/000.p/256 /tile/0/000.p/08 /tile/0/000.p/4 /tile/0/999
            /tile/entries /tile/entries/999 /tile/entries/002.p/255 /tile/3/000 /archive /archive/
            /archive/2026-01-01 /archive/2026-01-01/00/00 /archive/thin-until /../identity
            /tile/../checkpoint /tile/0/../0/000 //checkpoint /%63heckpoint /tile/%2e%2e/checkpoint
            /tile/0%2f000 /checkpoint/ /.tmp /.tmp/ /.tmp/0 /journal/ /../journal/ /identity /lock
        """.split():
            for address in (self.log.http, self.nginx.address):
                if path == "/" and address == self.log.http:
                    continue  # its status page
                answer = raw_http.once(address, raw_http.get(path.encode()))
                # nginx itself refuses paths that lead above its root.
                self.assertIn(answer.status, (404, 400), (address, path))
                self.assertNotIn("cache-control", answer.headers, path)

    def test_a_reader_re_hashes_the_log_from_nginx(self):
        def fetch(path):
            response, body = self.ask(self.nginx.address, "/" + path)
            return body if response.status == 200 else None

        size, _, entries = reader.read_log(fetch, tlog.Key.from_file(self.log.key))
        self.assertEqual((size, len(entries)), (self.log.published_size(),) * 2)

    def test_our_own_commands_work_from_nginx(self):
        url = "http://" + self.nginx.address
        policy = ("--policy", self.log.policy)
        courtroll("checkpoint", "--log", url, *policy, code=0)
        courtroll("fsck", "--log", url, *policy, code=0)
        proof, entry = os.path.join(self.log.dir, "proof"), os.path.join(self.log.dir, "entry")
        with open(entry, "wb") as file:
            file.write(b"entry 300 " * 20 + b"300")
        courtroll("prove", "--log", url, *policy, "--index", 300, "--out", proof, code=0)
        courtroll("verify", *policy, "--proof", proof, entry, code=0)

    def test_bundles_are_compressed_for_who_asks(self):
        path = "/tile/entries/001"
        response, body = self.ask(self.nginx.address, path, **{"Accept-Encoding": "gzip"})
        self.assertEqual(response.headers["Content-Encoding"], "gzip")
        self.assertEqual(response.headers["Vary"], "Accept-Encoding")
        self.assertEqual(gzip.decompress(body), self.ask(self.log.http, path)[1])
        answer, _ = self.ask(self.nginx.address, "/tile/entries/999", **{"Accept-Encoding": "gzip"})
        self.assertNotIn("Content-Encoding", answer.headers)

    def test_a_new_checkpoint_is_served_at_once(self):
        size = self.log.published_size()
        self.log.append(b"news %d" % size)
        self.log.wait_published(size + 1)
        _, body = self.ask(self.nginx.address, "/checkpoint")
        self.assertEqual(body, self.log.get("/checkpoint").body)


if __name__ == "__main__":
    unittest.main(verbosity=2)
