"""A server of the verification page that a test decides about: what it says of itself, what it serves, and what it was
asked.

    with PageServer(build_web, context, files) as server:   # files: {path: bytes}
        server.url; server.asked                             # [(path, headers), ...]

The page and its policy are those of the build. Everything else, honest or not, is the test's.
"""
import http.server
import json
import os
import threading


class PageServer:
    def __init__(self, web, context, files):
        with open(os.path.join(web, "verify.html"), "rb") as file:
            page = file.read()
        with open(os.path.join(web, "verify.csp"), encoding="utf-8") as file:
            csp = file.read().strip()
        self.asked = []
        guard = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with guard:
                    outer.asked.append((self.path, dict(self.headers)))
                if self.path == "/verify":
                    self.answer(page, "text/html; charset=utf-8", {"Content-Security-Policy": csp, "Referrer-Policy": "no-referrer"})
                elif self.path == "/verify.json":
                    self.answer(json.dumps(context).encode(), "application/json")
                elif self.path in files:
                    self.answer(files[self.path], "application/octet-stream")
                else:
                    self.answer(b"not here\n", "text/plain", status=404)

            def answer(self, body, kind, more=None, status=200):
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
