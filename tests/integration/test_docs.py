#!/usr/bin/env python3
"""What the documents point at is there: links, paths, commands, flags, limits; and every shell block is run.

COURTROLL_BIN names the directory of the built programs. No daemon is started.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.abspath(
    os.environ.get("COURTROLL_SOURCE") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
)
sys.path[:0] = [os.path.join(ROOT, "tests/support/python"), os.path.join(ROOT, "docs/man")]
import blocks  # noqa: E402
import make  # noqa: E402

BIN = os.path.abspath(os.environ["COURTROLL_BIN"])
DOCUMENTS = sorted(glob.glob("*.md", root_dir=ROOT) + glob.glob("docs/*.md", root_dir=ROOT))
PATH = r"(?:docs|deploy|tests|lib|logd|witness|monitor|cli|proto|cmake|web|bench|examples|include)/[\w./*-]*[\w*]"
# What a run makes, and so is not in the checkout.
MADE = re.compile(r"bench/results|.*\.sock$")


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


class Documents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.texts = {name: read(name) for name in DOCUMENTS}

    def test_links_lead_somewhere(self):
        for name, text in self.texts.items():
            for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
                if "://" in target or target.startswith("#"):
                    continue
                path = os.path.join(ROOT, os.path.dirname(name), target.split("#")[0])
                self.assertTrue(os.path.exists(path), f"{name}: {target}")

    def test_paths_that_are_named_exist(self):
        missing = []
        for name, text in self.texts.items():
            if name == "NEWS.md":
                continue  # tells of what was there
            for path in set(re.findall(rf"(?<![\w/.<-])({PATH})(?![\w*<])", text)):
                path = path.rstrip(".")
                found = glob.glob(os.path.join(ROOT, path)) or glob.glob(os.path.join(ROOT, path + ".*"))
                if not found and not MADE.match(path):
                    missing.append(f"{name}: {path}")
        self.assertEqual(missing, [])

    def test_flags_of_commands_exist(self):
        """In shell blocks and in `courtroll COMMAND ...` of the text."""
        known, wrong = {}, []

        def flags(*words):
            if words not in known:
                text = make.help_of(BIN, *words)
                deeper = make.words_of(text)
                known[words] = set(re.findall(r"^  (--[a-z0-9-]+)", text, re.M))
                for word in deeper:
                    known[words] |= flags(*words, word)
            return known[words]

        commands = dict(make.commands_of(make.help_of(BIN, "courtroll")))
        for name, text in self.texts.items():
            pieces = [body for _, language, body, _ in blocks.fences(text) if language in ("sh", "")]
            pieces += re.findall(r"`(courtroll [^`]+)`", text)
            for piece in pieces:
                for command, rest in re.findall(r"\bcourtroll ([a-z][a-z-]*)((?:\\\n|[^|;&\n])*)", piece):
                    if re.match(r"( file)? v1\b", rest):
                        continue  # the first line of a format
                    if command not in commands:
                        wrong.append(f"{name}: courtroll {command}")
                        continue
                    used = set(re.findall(r"(?<!\S)(--[a-z][a-z0-9-]*)", rest)) - {"--help"}
                    wrong += [f"{name}: courtroll {command} {flag}" for flag in used - flags("courtroll", command)]
        self.assertEqual(wrong, [])

    def test_commands_stand_in_blocks_that_are_known_as_shell(self):
        for name, text in self.texts.items():
            for line, language, body, _ in blocks.fences(text):
                if language != "sh" and name != "README.md":
                    self.assertNotRegex(body, r"(?m)^(\$ )?courtroll(-\w+)? +(?!.*\bv1$)[a-z-]", f"{name}, line {line}: is this sh?")

    def test_every_shell_block_is_run_or_says_why_not(self):
        tests = "".join(read(path) for path in glob.glob("tests/integration/test_*", root_dir=ROOT)
                        if "test_docs" not in path)  # fmt: skip
        for name in DOCUMENTS:
            runnable = blocks.Document(name).runnable
            run_by_name = f'"{name}"' in tests
            run_by_role = re.fullmatch(r"docs/tutorial-(\w+)\.md", name)
            if runnable and not run_by_name and not (run_by_role and f'"{run_by_role.group(1)}"' in tests):
                self.fail(f"{name}, line {runnable[0].line}: no test runs this block")

    def test_the_sizes_in_formats_are_those_of_the_headers(self):
        sizes = dict(re.findall(r"`([A-Z_]+_MAX)` (\d+)", self.texts["docs/formats.md"]))
        self.assertGreater(len(sizes), 15)
        headers = [path for name in sizes for path in self.headers_of(name)]
        source = "".join(f'#include "{path}"\n' for path in sorted(set(headers)))
        source += "".join(f'_Static_assert({name} == {value}, "{name}");\n' for name, value in sizes.items())
        with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
            file.write(source)
            file.flush()
            done = subprocess.run(["cc", "-std=gnu17", "-fsyntax-only", f"-I{ROOT}/lib", f"-I{ROOT}", file.name],
                                  capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    @staticmethod
    def headers_of(name):
        found = [path for folder in ("lib/*", "logd") for path in glob.glob(f"{folder}/*.h", root_dir=ROOT)
                 if re.search(rf"^ +{name}\s*=", read(path), re.M)]
        assert len(found) == 1, (name, found)
        return [re.sub("^lib/", "", found[0])]


if __name__ == "__main__":
    unittest.main(verbosity=2)
