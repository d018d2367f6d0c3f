#!/usr/bin/env python3
"""Runs the shell blocks of README.md, in order, in one shell and an empty directory.

A block that opens with ```sh is run, unless the line before it is `<!-- not run: reason -->`. The
blocks use the default ports, so they get a network of their own; where that is not allowed, and
something else has the ports, the test is skipped.
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

SOURCE = os.environ.get("COURTROLL_SOURCE") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../.."
)
TIMEOUT_S = 180
PORTS = (6962, 6963, 6971, 6972, 6973, 6982, 6983)
NEW_USER, NEW_NET = 0x10000000, 0x40000000
FLAGS_GET, FLAGS_SET, UP = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP

_libc = ctypes.CDLL(None, use_errno=True)


def blocks(text):
    """(line number, shell text, reason not to run it or None) of each block."""
    found, lines, i = [], text.split("\n"), 0
    while i < len(lines):
        if not re.fullmatch(r"```sh\s*", lines[i]):
            i += 1
            continue
        above = next((line for line in reversed(lines[:i]) if line.strip()), "")
        reason = re.fullmatch(r"<!--\s*not run:\s*(.*?)\s*-->", above)
        end = lines.index("```", i + 1)
        found.append((i + 1, "\n".join(lines[i + 1 : end]), reason and reason.group(1)))
        i = end + 1
    return found


def script(runnable):
    parts = [
        "set -euo pipefail",
        "at=; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT",
        "trap 'echo \"README.md, block of line $at: exit code $?\" >&2' ERR",
    ]
    for line, block, _ in runnable:
        parts += [f"at={line}; echo; echo \"# README.md, line {line}\"", block]
    return "\n".join(parts) + "\n"


def own_network():
    """Loopback of our own, if the kernel lets us; run in the child."""
    os.setsid()
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
        capture_output=True, text=True, preexec_fn=own_network, check=False,
    )
    return done.returncode == 0 and done.stdout.strip() != os.readlink("/proc/self/ns/net")


def busy_ports():
    busy = []
    for port in PORTS:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            busy.append(port)
    return busy


def run(text, directory, has_network):
    environment = dict(os.environ)
    environment["PATH"] = os.environ["COURTROLL_BIN"] + ":" + environment["PATH"]
    process = subprocess.Popen(
        ["bash"], stdin=subprocess.PIPE, cwd=directory, env=environment,
        preexec_fn=own_network if has_network else os.setsid,
    )
    try:
        process.communicate(text.encode(), TIMEOUT_S)
        return process.returncode
    except subprocess.TimeoutExpired:
        print(f"README.md: not done after {TIMEOUT_S} s", file=sys.stderr)
        return 1
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # what its blocks left running
        except ProcessLookupError:
            pass
        process.wait()


def main():
    path = os.path.join(SOURCE, "README.md")
    if not os.path.exists(path):
        print("there is no README.md yet")
        return 77
    with open(path, encoding="utf-8") as file:
        found = blocks(file.read())
    for line, _, reason in found:
        if reason:
            print(f"README.md, line {line}: not run: {reason}")
    runnable = [block for block in found if block[2] is None]
    if not runnable:
        print("README.md has no block to run", file=sys.stderr)
        return 1
    has_network = can_own_network()
    if not has_network and busy_ports():
        print(f"something else listens on port {busy_ports()[0]}, and we may have no network of our own")
        return 77
    sys.stdout.flush()
    directory = tempfile.mkdtemp(prefix="courtroll.")
    try:
        code = run(script(runnable), directory, has_network)
    finally:
        shutil.rmtree(directory)
    print(f"{len(runnable)} blocks run, {len(found) - len(runnable)} not, exit code {code}")
    return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
