#!/usr/bin/python3
"""libcourtroll as a package: installed in a prefix, found by pkg-config, linked, run, and documented.

COURTROLL_BIN names the directory of the built programs, which lies in the build's.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from court import Court  # noqa: E402
from logd import BIN, Logd, courtroll  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def run(*arguments, code=0, **options):
    done = subprocess.run(arguments, capture_output=True, check=False, timeout=120, **options)
    text = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{text}"
    return text


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.prefix = os.path.join(cls.dir, "prefix")
        build = os.path.dirname(os.path.abspath(BIN))
        run("cmake", "--install", build, "--prefix", cls.prefix, "--component", "library")
        (config,) = [os.path.join(folder, "libcourtroll.pc") for folder, _, files in os.walk(cls.prefix)
                     if "libcourtroll.pc" in files]  # fmt: skip
        cls.environment = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(config)}
        cls.library = os.path.join(os.path.dirname(os.path.dirname(config)), "libcourtroll.so.0")

    def flags(self, *which):
        return run("pkg-config", *which, "libcourtroll", env=self.environment).split()

    def build(self, source, name, *more, compiler="gcc"):
        out = os.path.join(self.dir, name)
        run(compiler, "-Wall", "-Wextra", "-Werror", "-o", out, source, *more,
            *self.flags("--cflags", "--libs"), f"-Wl,-rpath,{os.path.dirname(self.library)}")  # fmt: skip
        return out

    def test_the_prefix_moves(self):
        self.assertIn(f"-L{os.path.dirname(self.library)}", [os.path.normpath(f) if f[0] != "-" else
                      f[:2] + os.path.normpath(f[2:]) for f in self.flags("--libs")])  # fmt: skip
        self.assertEqual(run("pkg-config", "--modversion", "libcourtroll", env=self.environment),
                         "0.1.0\n")  # fmt: skip

    def test_it_exports_what_the_header_declares_and_nothing_else(self):
        exported = set(re.findall(r" T (\w+)", run("nm", "-D", "--defined-only", self.library)))
        with open(os.path.join(self.prefix, "include/courtroll/courtroll.h"), encoding="utf-8") as file:
            header = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        declared = set(re.findall(r"\b(courtroll_\w+)\(", header))
        self.assertEqual(exported, declared)
        everything = run("nm", "-D", "--defined-only", self.library).split("\n")
        self.assertEqual([row for row in everything if row and "courtroll_" not in row], [])

    def test_the_header_is_good_for_c_and_cplusplus(self):
        for compiler, language in (("gcc", "c"), ("g++", "c++")):
            if shutil.which(compiler) is None:
                continue
            source = os.path.join(self.dir, f"header-{language}")
            with open(source, "w", encoding="utf-8") as file:
                file.write("#include <courtroll/courtroll.h>\nint main(void) { return 0; }\n")
            run(compiler, "-x", language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                source, *self.flags("--cflags"))  # fmt: skip

    def test_every_function_is_in_the_manual(self):
        with open(os.path.join(self.prefix, "share/man/man3/libcourtroll.3"), encoding="utf-8") as file:
            manual = set(re.findall(r"^\.F[no] (courtroll_\w+)", file.read(), flags=re.M))
        exported = set(re.findall(r" T (\w+)", run("nm", "-D", "--defined-only", self.library)))
        self.assertEqual(manual, exported)

    def test_manuals_are_well_formed(self):
        for name in ("libcourtroll.3", "courtroll-submit.1"):
            path = os.path.join(ROOT, "docs/man", name)
            if shutil.which("mandoc"):
                run("mandoc", "-T", "lint", "-W", "warning", path)
            elif shutil.which("groff"):
                self.assertEqual(run("groff", "-mandoc", "-ww", "-T", "utf8", "-z", path), "")
            else:
                self.skipTest("neither mandoc nor groff is there")

    def test_every_option_is_in_the_manual(self):
        options = set(re.findall(r"^  --([a-z-]+)", courtroll("submit", "--help", code=0).stdout, flags=re.M))
        with open(os.path.join(ROOT, "docs/man/courtroll-submit.1"), encoding="utf-8") as file:
            manual = set(re.findall(r"Fl Fl ([a-z-]+)", file.read()))
        self.assertEqual(options - manual, {"help"})

    def test_the_example_submits_to_a_log(self):
        example = self.build(os.path.join(ROOT, "examples/submit.c"), "example")
        court = Court(self.dir)
        case_key = os.path.join(self.dir, "case.key")
        courtroll("case", "new-key", "--case", Court.case(0), "--out", case_key, code=0)
        with Logd(checkpoint_interval_ms=50) as log:
            policy = os.path.join(self.dir, "policy")
            with open(policy, "w", encoding="utf-8") as file:
                file.write(f"log {log.vkey}\nquorum none\n")
            arguments = [example, court.spool, log.grpc, policy, court.key, court.payloads,
                         court.payload_key, case_key]  # fmt: skip
            lines = [Court.draft(0, kind="CASE_FILED"), Court.draft(0)]
            text = run(*arguments, input="".join(line + "\n" for line in lines).encode())
            for index in range(2):
                self.assertIn(f"ticket {index + 1} is entry {index}\n", text)
            self.assertRegex(text, "the last proof has [0-9]+ bytes")
            text = run(*arguments, input=b'{"case":1}\n', code=1)
            self.assertIn("not accepted: ", text)
            text = run(*arguments, input=Court.draft(1).encode() + b"\n", code=1)
            self.assertIn("not the one that the case key is for", text)
        run(example, code=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
