"""The proxies that deploy/ offers, as children of a test: the files as they ship, with the addresses of the test in them."""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

import logd

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def _exchange(text, changes):
    """Each pattern is there, exactly as often as it says: a file that changed is noticed."""
    for pattern, new, count in changes:
        text, found = re.subn(pattern, lambda _, new=new: new, text, flags=re.MULTILINE)
        assert found == count, (pattern, found)
    return text


class Front:
    """A proxy on self.ports; subclasses say how it is started. A context manager."""

    def __init__(self, count):
        self.dir = tempfile.mkdtemp(prefix="courtroll.front.")
        for _ in range(10):  # somebody may take a port between our asking and the proxy's
            self.ports = [free_port() for _ in range(count)]
            self.process = logd.Process(self.command())
            if all(self._is_up(port) for port in self.ports):
                return
            self.process.kill()
        raise AssertionError(self.process.text())

    def command(self):
        raise NotImplementedError

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def _is_up(self, port):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.popen.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                time.sleep(0.02)
        return False

    def close(self):
        self.process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


class Nginx(Front):
    """Several of deploy/nginx/*.conf: [(file, upstream address, root or None), ...]; a port each."""

    def __init__(self, sites, certificate):
        self.sites, self.certificate = sites, certificate
        super().__init__(len(sites))

    def command(self):
        cert, key = self.certificate
        servers = []
        for (file, upstream, root), port in zip(self.sites, self.ports):
            servers.append(_exchange(_read(os.path.join(SOURCE, "deploy/nginx", file)), [
                (r"^    listen 443 ssl http2;$", f"    listen 127.0.0.1:{port} ssl http2;", 1),
                (r"^    server 127[.]0[.]0[.]1:\d+;$", f"    server {upstream};", 1),
                (r"^    ssl_certificate .*;$", f"    ssl_certificate {cert};", 1),
                (r"^    ssl_certificate_key .*;$", f"    ssl_certificate_key {key};", 1),
                (r"^    root .*;$", f"    root {root};", 0 if root is None else 1),
            ]))  # fmt: skip
        temporary = "".join(f"    {kind}_temp_path {self.dir}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
        path = self.write("nginx.conf", (
            f"daemon off;\nmaster_process off;\npid {self.dir}/pid;\nerror_log stderr;\n"
            f"events {{ }}\nhttp {{\n    access_log off;\n{temporary}{''.join(servers)}}}\n"))  # fmt: skip
        return [program("nginx"), "-p", self.dir, "-c", path]


class Haproxy(Front):
    """deploy/haproxy/courtroll.cfg: HTTPS and gRPC, a port each."""

    def __init__(self, log, log_grpc, witness, monitor, certificate):
        self.backends, self.certificate = (log, witness, monitor, log_grpc), certificate
        super().__init__(2)

    def command(self):
        pem = self.write("courtroll.pem", "".join(_read(path) for path in self.certificate))
        log, witness, monitor, grpc = self.backends
        text = _exchange(_read(os.path.join(SOURCE, "deploy/haproxy/courtroll.cfg")), [
            (r"127[.]0[.]0[.]1:6962", log, 1),
            (r"127[.]0[.]0[.]1:6972", witness, 1),
            (r"127[.]0[.]0[.]1:6982", monitor, 1),
            (r"127[.]0[.]0[.]1:6963", grpc, 1),
            (r"bind :443 ", f"bind 127.0.0.1:{self.ports[0]} ", 1),
            (r"bind :6964 ", f"bind 127.0.0.1:{self.ports[1]} ", 1),
            (r"/etc/haproxy/courtroll[.]pem", pem, 2),
        ])  # fmt: skip
        path = self.write("haproxy.cfg", text)
        subprocess.run([program("haproxy"), "-c", "-q", "-f", path], check=True, timeout=30)
        return [program("haproxy"), "-db", "-f", path]
