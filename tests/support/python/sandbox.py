#!/usr/bin/python3
"""Runs a program as its systemd unit would have it run, as far as that can be had without systemd as process 1:

    sandbox.py UNIT PROGRAM [ARGUMENT...]

No new privileges, its file mode mask, its limits, and a filter of system calls that is made from the
unit's lines with the sets that systemd-analyze prints. What is outside of the filter kills the program (SIGSYS), so that
a test sees it; systemd would answer EPERM, as the unit says.
"""
import ctypes
import os
import re
import resource
import struct
import subprocess
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_CAPBSET_DROP = 38, 22, 24
ALLOW, KILL, DENIED = 0x7FFF0000, 0x80000000, 0x00050001  # DENIED: EPERM
LOAD, EQUAL, SET, RETURN = 0x20, 0x15, 0x45, 0x06
ARCHITECTURE = 0xC000003E  # x86-64
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
PROT_WRITE, PROT_EXEC = 2, 4


def settings(path):
    """{key: [value, ...]} of the unit's [Service]."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            match = re.fullmatch(r"(\w+)=(.*)\n", line)
            if match:
                found.setdefault(match[1], []).append(match[2])
    return found


def members(name, seen=()):
    """The calls of a set such as @system-service, with those of the sets in it."""
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True)
    calls = set()
    for line in shown.stdout.decode().splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#") and word not in seen:
            calls |= members(word, (*seen, name))
    return calls


def allowed_calls(lines):
    """As systemd reads SystemCallFilter=: the lines in their order, added or taken away."""
    calls = members("@default")
    for line in lines:
        is_taken = line.startswith("~")
        for word in line.lstrip("~").split():
            calls = calls - members(word) if is_taken else calls | members(word)
    return calls


def call_numbers():
    for path in ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return dict(re.findall(r"#define __NR_(\w+) (\d+)", file.read()))
    raise FileNotFoundError("asm/unistd_64.h")


def filter_program(unit):
    """The filter, as the kernel takes it. Jumps count the instructions that are left out."""
    numbers = {name: int(number) for name, number in call_numbers().items()}
    code = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, ARCHITECTURE), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    families = {FAMILIES[name] for name in unit["RestrictAddressFamilies"][0].split()}
    checks = [(EQUAL, 1, 0, family) for family in sorted(families)]
    body = [(LOAD, 0, 0, 16)]
    for _, _, _, family in checks:
        body += [(EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    body += [(RETURN, 0, 0, DENIED)]  # getaddrinfo asks for AF_NETLINK, and can do without
    code += [(EQUAL, 0, len(body), numbers["socket"]), *body]
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        for name in ("mmap", "mprotect"):
            body = [(LOAD, 0, 0, 32), (SET, 0, 2, PROT_EXEC), (SET, 0, 1, PROT_WRITE), (RETURN, 0, 0, KILL),
                    (RETURN, 0, 0, ALLOW)]  # fmt: skip
            code += [(EQUAL, 0, len(body), numbers[name]), *body]
    for name in sorted(allowed_calls(unit["SystemCallFilter"])):
        if name in numbers:
            code += [(EQUAL, 0, 1, numbers[name]), (RETURN, 0, 0, ALLOW)]
    code.append((RETURN, 0, 0, KILL))
    return code


def confine(unit):
    os.umask(int(unit["UMask"][0], 8))
    files = int(unit["LimitNOFILE"][0])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = files if hard == resource.RLIM_INFINITY else min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    code = filter_program(unit)
    libc = ctypes.CDLL(None, use_errno=True)
    packed = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(packed)))
    for option, value in ((PR_SET_NO_NEW_PRIVS, 1), (PR_SET_SECCOMP, 2)):
        pointer = program if option == PR_SET_SECCOMP else 0
        if libc.prctl(option, value, pointer, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    confine(settings(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
