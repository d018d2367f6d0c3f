#!/usr/bin/python3
"""The Debian packages: what they are made from, their units, and what their installation does.

What can be shown here in seconds: the control file against deploy/packages, the units by systemd-analyze, the daemons at
their normal work under the filter of system calls of their units, setup-daemon in a directory. With COURTROLL_LONG=1,
as root: tests/roots/run builds the packages in roots of Debian 12 and 13, installs and drives them.
"""
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import sandbox  # noqa: E402
from logd import BIN, IS_LONG, Logd, courtroll  # noqa: E402
from monitor import Monitor, monitor_policy  # noqa: E402
from witness import Tree, Witness  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
ROLES = ("logd", "witness", "monitor")
EXPOSURE_MOST = 2.0


def path(*parts):
    return os.path.join(ROOT, *parts)


def read(*parts):
    with open(path(*parts), encoding="utf-8") as file:
        return file.read()


def run(*arguments, code=0, **options):
    done = subprocess.run(arguments, capture_output=True, check=False, timeout=120, **options)
    text = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{text}"
    return text


def unit_path(role):
    return path("deploy/systemd", f"courtroll-{role}.service")


class Control(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = run(path("deploy/build-packages"), "--control")

    def test_build_depends_are_the_build_packages(self):
        field = re.search(r"^Build-Depends: (.*?)\n(?=\S|\n)", self.text, re.S | re.M)[1]
        needed = {name.strip() for name in field.split(",") if name.strip()}
        listed = run(path("deploy/install-packages"), "--list", "build").split("\n")
        listed = {line.replace("|", " | ") for line in listed if line}
        self.assertIn("debhelper-compat (= 13)", needed)
        self.assertLessEqual(needed - {"debhelper-compat (= 13)"}, listed)
        # Of quickstart alone, or of every build machine.
        self.assertEqual(listed - needed, {"gcc", "libc6-dev", "ccache", "ca-certificates", "curl", "openssl"})

    def test_all_packages_are_there(self):
        self.assertEqual(
            set(re.findall(r"^Package: (.*)", self.text, re.M)),
            {"courtroll", "libcourtroll0", "libcourtroll-dev", *(f"courtroll-{role}" for role in ROLES)},
        )

    def test_versions_agree(self):
        version = re.search(r"project\(courtroll VERSION (\S+)", read("CMakeLists.txt"))[1]
        self.assertRegex(read("deploy/debian/changelog"), rf"\Acourtroll \({re.escape(version)}\) ")
        self.assertRegex(read("NEWS.md"), rf"(?m)^## {re.escape(version)}\b")

    def test_scripts_of_the_packages_are_shell(self):
        for name in os.listdir(path("deploy/debian")):
            if name.endswith((".postinst", ".postrm")) or name == "setup-daemon":
                run("sh", "-n", path("deploy/debian", name))
        run("bash", "-n", path("deploy/build-packages"))

    def test_configurations_are_taken(self):
        """Every key is known, with and without the comment sign before those that wait for a value."""
        for role in ROLES:
            text = read("deploy/config", f"{role}.conf")
            for name in re.findall(r"^(?:# )?([a-z0-9-]+) = ", text, re.M):
                self.assertIn(f"--{name} ", run(os.path.join(BIN, f"courtroll-{role}"), "--help"))
            for address in re.findall(r"^(?:http|grpc)-listen = (.*)", text, re.M):
                self.assertTrue(address.startswith("127.0.0.1:"), address)


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
class Units(unittest.TestCase):
    def test_exposure_is_small(self):
        for role in ROLES:
            text = run("systemd-analyze", "security", "--offline=yes", "--no-pager", unit_path(role))
            score = float(re.search(r"exposure level for \S+: ([0-9.]+)", text)[1])
            self.assertLess(score, EXPOSURE_MOST, role)

    def test_systemd_understands_every_line(self):
        """`verify` looks for the programs: it gets units whose ExecStart is the one that was built."""
        with tempfile.TemporaryDirectory() as folder:
            for role in ROLES:
                text = read("deploy/systemd", f"courtroll-{role}.service")
                with open(os.path.join(folder, f"courtroll-{role}.service"), "w", encoding="utf-8") as file:
                    file.write(text.replace("/usr/bin/courtroll", os.path.join(os.path.abspath(BIN), "courtroll")))
                said = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", file.name)
                self.assertNotIn("courtroll", said)

    def test_exit_codes_are_those_of_the_daemons(self):
        for role in ROLES:
            unit = sandbox.settings(unit_path(role))
            self.assertEqual(unit["RestartPreventExitStatus"], ["2 3"])
            self.assertEqual(unit["Restart"], ["on-failure"])
            self.assertEqual(unit["WatchdogSec"], ["60"])
            self.assertEqual(unit["ExecStart"], [f"/usr/bin/courtroll-{role} --config /etc/courtroll/{role}.conf"])
            self.assertEqual(unit["User"], [f"courtroll-{role}"])


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
@unittest.skipUnless(platform.machine() == "x86_64", "the filter is written for x86-64")
class Confined(unittest.TestCase):
    """Normal work under the units' filters. One call outside of them, and the daemon would be dead."""

    @staticmethod
    def wrapper(role):
        return (sys.executable, path("tests/support/python/sandbox.py"), unit_path(role))

    def test_the_filter_filters(self):
        command = [*self.wrapper("witness"), sys.executable, "-c", "import os; os.chroot('/')"]
        self.assertEqual(subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode, -31)

    def test_log_witness_and_monitor_do_their_work(self):
        with Logd(wrapper=self.wrapper("logd"), http_add="on") as log:
            log.append(b"one", b"two")
            policy = monitor_policy(log, os.path.join(log.dir, "monitor.policy"))
            with Monitor([policy], wrapper=self.wrapper("monitor"), poll_interval_ms=200) as monitor:
                monitor.wait_held(log.origin, 2)
                self.assertEqual(monitor.get("/").status, 200)
                self.assertEqual(monitor.get("/metrics").status, 200)
                monitor.control("self-test")
                self.assertEqual(monitor.stop(), 0, monitor.process.text())
            self.assertEqual(log.get("/checkpoint").status, 200)
            self.assertEqual(log.get("/metrics").status, 200)
            log.restart()
            log.append(b"three")
            log.fsck()
            self.assertEqual(log.stop(), 0, log.process.text())
        tree = Tree("log.example/packages")
        with tempfile.TemporaryDirectory() as mark:
            with Witness([tree.key], wrapper=self.wrapper("witness"), mark_path=os.path.join(mark, "mark")) as witness:
                tree.grow(5)
                witness.cosign(tree, 0, 5)
                self.assertEqual(witness.get("/metrics").status, 200)
                witness.restart()
                tree.grow(5)
                witness.cosign(tree, 5, 10)
                self.assertEqual(witness.stop(), 0, witness.process.text())

    def test_the_watchdog_is_told_by_log_and_witness(self):
        for make in (lambda wrapper: Logd(wrapper=wrapper), lambda wrapper: Witness([], wrapper=wrapper)):
            with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.bind(os.path.join(folder, "notify"))
                notify.settimeout(20)
                with make(("env", f"NOTIFY_SOCKET={os.path.join(folder, 'notify')}")) as daemon:
                    said = [notify.recv(4096).decode()]
                    while said.count("WATCHDOG=1") < 3 or "READY=1" not in said:
                        said.append(notify.recv(4096).decode())
                    daemon.stop()
                    while said[-1] != "STOPPING=1":
                        said.append(notify.recv(4096).decode())


class Setup(unittest.TestCase):
    """setup-daemon in a directory, with stand-ins for the commands that change the machine's users."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        tools = os.path.join(self.dir, "tools")
        os.mkdir(tools)
        os.symlink(os.path.join(os.path.abspath(BIN), "courtroll"), os.path.join(tools, "courtroll"))
        for name, body in (
            ("getent", "exit 2"),
            ("adduser", f'echo "$@" >>{self.dir}/users'),
            ("chown", f'echo "$@" >>{self.dir}/chowned'),
            ("install", 'while [ $# -gt 0 ]; do case $1 in -d) ;; -m) m=$2; shift ;; -o|-g) shift ;; '
             '*) mkdir -p "$1"; chmod "$m" "$1" ;; esac; shift; done'),  # fmt: skip
        ):
            file = os.path.join(tools, name)
            with open(file, "w", encoding="utf-8") as out:
                out.write(f"#!/bin/sh\n{body}\n")
            os.chmod(file, 0o755)
        self.environment = {**os.environ, "DPKG_ROOT": os.path.join(self.dir, "root"),
                            "PATH": f"{tools}:{os.environ['PATH']}"}  # fmt: skip

    def setup_daemon(self, role, **more):
        return run("sh", path("deploy/debian/setup-daemon"), role, env={**self.environment, **more})

    def file(self, *parts):
        return os.path.join(self.dir, "root", *parts)

    def test_a_key_is_made_once_and_its_vkey_is_shown(self):
        for role, key in (("witness", "witness"), ("monitor", "monitor"), ("logd", "log")):
            said = self.setup_daemon(role, COURTROLL_NAME=f"{role}.example/2026")
            with open(self.file("etc/courtroll", f"{key}.key.vkey"), encoding="utf-8") as file:
                vkey = file.read()
            self.assertIn(vkey.strip(), said)
            self.assertTrue(vkey.startswith(f"{role}.example/2026+"), vkey)
            self.assertEqual(os.stat(self.file("etc/courtroll", f"{key}.key")).st_mode & 0o777, 0o400)
            self.assertEqual(self.setup_daemon(role, COURTROLL_NAME="another.example"), "")
            with open(self.file("etc/courtroll", f"{key}.key.vkey"), encoding="utf-8") as file:
                self.assertEqual(file.read(), vkey)
        with open(self.file("etc/courtroll/promise.key.vkey"), encoding="utf-8") as file:
            self.assertTrue(file.read().startswith("logd.example/2026/promise+"))
        with open(os.path.join(self.dir, "chowned"), encoding="utf-8") as file:
            self.assertEqual(len(file.read().split("\n")), 5)  # four keys, and nothing else

    def test_the_mark_is_tagged_as_not_for_backups(self):
        self.setup_daemon("witness")
        with open(self.file("var/lib/courtroll-witness/mark/CACHEDIR.TAG"), encoding="utf-8") as file:
            self.assertTrue(file.read().startswith("Signature: 8a477f597d28d172789f06886806bc55\n"))

    def test_an_unknown_role_is_refused(self):
        run("sh", path("deploy/debian/setup-daemon"), "clerk", env=self.environment, code=2)
        self.assertFalse(os.path.exists(self.file("etc")))


@unittest.skipUnless(IS_LONG, "COURTROLL_LONG=1: the packages built, installed and driven in Debian 12 and 13")
class Roots(unittest.TestCase):
    def test_the_packages_work_in_empty_roots(self):
        done = subprocess.run([path("tests/roots/run"), "--twice"], check=False)
        if done.returncode == 77:
            self.skipTest("needs root and debootstrap")
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    if not IS_LONG:
        print("left out: tests/roots/run, which builds, installs and drives the packages (COURTROLL_LONG=1, as root)")
    unittest.main()
