"""nginx as a child of a test, serving a log's directory with deploy/nginx/log.conf."""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

import logd

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
EXAMPLE = os.path.join(SOURCE, "deploy/nginx/log.conf")


def program():
    """The path of nginx; None when it is not installed."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Nginx:
    """Listens on `address`, "127.0.0.1:PORT"; a context manager."""

    def __init__(self, directory):
        self.dir = tempfile.mkdtemp(prefix="courtroll.nginx.")
        for _ in range(10):  # somebody may take the port between our asking and nginx's
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.address = "127.0.0.1:%d" % probe.getsockname()[1]
            self._write(directory)
            self.process = logd.Process([program(), "-p", self.dir, "-c", self.dir + "/nginx.conf"])
            if self._is_up():
                return
            self.process.kill()
        raise AssertionError(self.process.text())

    def _write(self, directory):
        with open(EXAMPLE, encoding="utf-8") as file:
            server = file.read()
        server, listens = re.subn(r"(?m)^    listen .*;$", f"    listen {self.address};", server)
        server, roots = re.subn(r"(?m)^    root .*;$", f"    root {directory};", server)
        assert (listens, roots) == (1, 1)
        temporary = "".join(
            f"    {kind}_temp_path {self.dir}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        with open(self.dir + "/nginx.conf", "w", encoding="utf-8") as file:
            file.write(
                f"daemon off;\nmaster_process off;\npid {self.dir}/pid;\nerror_log stderr;\n"
                f"events {{ }}\nhttp {{\n    access_log off;\n{temporary}{server}}}\n"
            )

    def _is_up(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.popen.poll() is None:
            try:
                socket.create_connection(tuple(self.address.split(":")), 1).close()
                return True
            except OSError:
                time.sleep(0.02)
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
