"""Runs the shell blocks of a document, in order, in one shell and an empty directory.

    document = blocks.Document("docs/tutorial-witness.md")
    document.run(prelude="export HOME=$PWD")      # raises blocks.Failed, which says where and why
    blocks.run_all([document, ...])               # at once, where each can have a network of its own

A block that opens with ```sh is run, unless the line before it is `<!-- not run: reason -->`. A block
```text below `<!-- prints -->` is what the shell block before it must have printed: its lines, in this
order, others may stand between; `...` in a line stands for anything.

The blocks use the default ports, so each document gets a loopback of its own. Where that is not
allowed they run one after another, and when something else has the ports, not at all: Busy.
What the blocks leave running is killed at the end, also when the test is.
"""
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

SOURCE = os.path.abspath(
    os.environ.get("COURTROLL_SOURCE")
    or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
)
TIMEOUT_S = 180
PORTS = (6962, 6963, 6971, 6972, 6973, 6982, 6983)
NEW_USER, NEW_NET = 0x10000000, 0x40000000
FLAGS_GET, FLAGS_SET, UP = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG

_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A block ended with an error, or did not print what the document says."""


class Busy(Exception):
    """Something else has the ports, and we may have no network of our own."""


class Block:
    """A shell block: `line` is that of its fence, `reason` why it is not run, or None."""

    def __init__(self, line, text, reason):
        self.line, self.text, self.reason = line, text, reason
        self.prints = []  # (line number, text) that must be printed


def fences(text):
    """(line number, language, body, the last line above that is not blank) of each ``` block."""
    lines, i = text.split("\n"), 0
    while i < len(lines):
        opening = re.fullmatch(r"```(\w*)\s*", lines[i])
        if not opening:
            i += 1
            continue
        above = next((line for line in reversed(lines[:i]) if line.strip()), "")
        end = lines.index("```", i + 1)
        yield i + 1, opening.group(1), "\n".join(lines[i + 1 : end]), above
        i = end + 1


def blocks_of(text):
    """The shell blocks, each with what it must print."""
    found = []
    for line, language, body, above in fences(text):
        reason = re.fullmatch(r"<!--\s*not run:\s*(.*?)\s*-->", above)
        if language == "sh":
            found.append(Block(line, body, reason and reason.group(1)))
        elif re.fullmatch(r"<!--\s*prints\s*-->", above):
            if not found or found[-1].reason:
                raise Failed(f"line {line}: nothing is run that could print this")
            found[-1].prints += [(line + 1 + n, said) for n, said in enumerate(body.split("\n"))]
    return found


def is_printed(expected, output):
    """The first (line number, text) of `expected` that `output` does not have in its place, or None."""
    rest = iter(output.split("\n"))
    for line, text in expected:
        pattern = ".*".join(re.escape(part) for part in text.strip().split("..."))
        if text.strip() and not any(re.fullmatch(pattern, said.strip()) for said in rest):
            return line, text
    return None


def _in_child():
    os.setsid()
    # The shell's own trap then ends what it has started.
    _libc.prctl(SET_DEATH_SIGNAL, signal.SIGTERM)


def _own_network():
    """Loopback of our own, if the kernel lets us; run in the child."""
    _in_child()
    if _libc.unshare(NEW_NET) != 0 and _libc.unshare(NEW_USER | NEW_NET) != 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = b"lo".ljust(16, b"\0")
        got = fcntl.ioctl(any_socket, FLAGS_GET, name + bytes(24))
        (flags,) = struct.unpack_from("H", got, 16)
        fcntl.ioctl(any_socket, FLAGS_SET, name + struct.pack("H", flags | UP) + bytes(22))


def can_own_network():
    done = subprocess.run(
        [sys.executable, "-c", "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
         "socket.create_connection(s.getsockname())\nimport os\nprint(os.readlink('/proc/self/ns/net'))"],
        capture_output=True, text=True, preexec_fn=_own_network, check=False,
    )
    return done.returncode == 0 and done.stdout.strip() != os.readlink("/proc/self/ns/net")


def _busy_ports():
    for port in PORTS:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            yield port


class Document:
    """One file of the checkout, by its path there."""

    def __init__(self, name):
        self.name = name
        with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
            try:
                self.blocks = blocks_of(file.read())
            except (Failed, ValueError) as why:
                raise Failed(f"{name}: {why}") from why
        self.runnable = [block for block in self.blocks if block.reason is None]
        self.output = ""

    def script(self, prelude=""):
        parts = [
            "set -euo pipefail",
            "at=; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT",
            f"trap 'echo \"{self.name}, block of line $at: exit code $?\" >&2' ERR",
            prelude,
        ]
        for block in self.runnable:
            parts += [f"at={block.line}; echo; echo \"# {self.name}, line {block.line}\"", block.text]
        parts += ["echo; echo '# the end'"]
        return "\n".join(parts) + "\n"

    def run(self, prelude="", timeout_s=TIMEOUT_S, has_network=None):
        """Runs it; self.output has all that was printed. Raises Failed or Busy."""
        if not self.runnable:
            raise Failed(f"{self.name} has no block to run")
        if has_network is None:
            has_network = can_own_network()
        if not has_network:
            for port in _busy_ports():
                raise Busy(f"something else listens on port {port}, and we may have no network of our own")
        directory = tempfile.mkdtemp(prefix="courtroll.")
        try:
            code = self._run_in(directory, prelude, timeout_s, has_network)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        if code != 0:
            raise Failed(f"{self.name}: exit code {code}\n{self.output}")
        self._check_prints()

    def _run_in(self, directory, prelude, timeout_s, has_network):
        environment = dict(os.environ)
        environment["PATH"] = os.path.abspath(os.environ["COURTROLL_BIN"]) + ":" + environment["PATH"]
        environment["COURTROLL_SOURCE"] = SOURCE
        with open(os.path.join(directory, ".script"), "w", encoding="utf-8") as file:
            file.write(self.script(prelude))
        # Its output goes to a file: a daemon that outlives the shell would hold a pipe open.
        with open(os.path.join(directory, ".output"), "w+b") as output:
            process = subprocess.Popen(
                ["bash", ".script"], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=directory, env=environment, preexec_fn=_own_network if has_network else _in_child,
            )
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                code = f"none: not done after {timeout_s} s"
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)  # what its blocks left running
                except ProcessLookupError:
                    pass
                process.wait()
            output.seek(0)
            self.output = output.read().decode(errors="replace")
        return code

    def _check_prints(self):
        for block, after in zip(self.runnable, self.runnable[1:] + [None]):
            end = f"# {self.name}, line {after.line}\n" if after else "# the end\n"
            printed = self.output.split(f"# {self.name}, line {block.line}\n", 1)[-1].split(end, 1)[0]
            missing = is_printed(block.prints, printed)
            if missing:
                raise Failed(f"{self.name}, line {missing[0]}: not printed: {missing[1]}\nbut:\n{printed}")


def run_all(documents, timeout_s=TIMEOUT_S):
    """Runs them, at once if each can have a network of its own; raises the first failure."""
    has_network = can_own_network()
    failures = []

    def one(document):
        try:
            document.run(timeout_s=timeout_s, has_network=has_network)
        except (Failed, Busy) as why:
            failures.append(why)

    threads = [threading.Thread(target=one, args=(document,)) for document in documents]
    for thread in threads:
        thread.start()
        if not has_network:
            thread.join()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def main(names):
    """For a test that does nothing else: the exit code for these documents, 77 for skipped."""
    try:
        documents = [Document(name) for name in names]
        for document in documents:
            for block in document.blocks:
                if block.reason:
                    print(f"{document.name}, line {block.line}: not run: {block.reason}")
        sys.stdout.flush()
        run_all(documents)
    except Busy as why:
        print(why)
        return 77
    except Failed as why:
        print(why, file=sys.stderr)
        return 1
    for document in documents:
        print(document.output)
    for document in documents:
        count = len(document.runnable)
        print(f"{document.name}: {count} blocks run, {len(document.blocks) - count} not")
    return 0
