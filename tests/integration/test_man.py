#!/usr/bin/env python3
"""Man pages and completion say what the programs say: every command and flag, and none that is not there.

COURTROLL_BIN names the directory of the built programs.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
ROOT = os.path.abspath(
    os.environ.get("COURTROLL_SOURCE") or os.path.join(os.path.dirname(__file__), "../..")
)
BIN = os.path.abspath(os.environ["COURTROLL_BIN"])
MAN = os.path.join(ROOT, "docs/man")
sys.path.insert(0, MAN)
import make  # noqa: E402


def flags_of(text):
    return set(re.findall(r"^  (--[a-z0-9-]+)", text, re.M))


def flags_in(page):
    return {"--" + name for name in re.findall(r"Fl Fl ([a-z0-9-]+)", page)}


class Surface:
    """What the programs say of themselves: {words: --help text}."""

    def __init__(self):
        self.helps = {("courtroll",): make.help_of(BIN, "courtroll")}
        commands = [name for name, _ in make.commands_of(self.helps["courtroll",])]
        ask = [("courtroll", name) for name in commands] + [(daemon,) for daemon in make.DAEMONS]
        with ThreadPoolExecutor(4) as pool:
            self.helps.update(zip(ask, pool.map(lambda words: make.help_of(BIN, *words), ask)))
            deeper = [(*words, word) for words in ask for word in make.words_of(self.helps[words])]
            self.helps.update(zip(deeper, pool.map(lambda words: make.help_of(BIN, *words), deeper)))
        self.commands = commands

    def flags(self, *words):
        """Those of a program or command, with those of the words below it."""
        return set().union(*(flags_of(text) for key, text in self.helps.items() if key[: len(words)] == words))


class Manuals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.surface = Surface()
        cls.pages = make.pages(BIN, MAN)
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        for name, text in cls.pages.items():
            with open(os.path.join(cls.dir, name), "w", encoding="utf-8") as file:
                file.write(text)

    def test_every_command_and_daemon_has_a_page(self):
        self.assertGreater(len(self.surface.commands), 10)
        for command in self.surface.commands:
            self.assertIn(f"courtroll-{command}.1", self.pages)
            self.assertIn(f".It Xr courtroll-{command} 1", self.pages["courtroll.1"])
        for daemon in make.DAEMONS:
            self.assertIn(f"{daemon}.8", self.pages)

    def test_every_flag_is_in_its_page(self):
        for command in self.surface.commands:
            missing = self.surface.flags("courtroll", command) - flags_in(self.pages[f"courtroll-{command}.1"])
            self.assertLessEqual(missing, {"--help"}, command)
        for daemon in make.DAEMONS:
            self.assertEqual(self.surface.flags(daemon) - flags_in(self.pages[f"{daemon}.8"]), set(), daemon)

    def test_every_key_is_in_the_configuration_page(self):
        for daemon in make.DAEMONS:
            keys = set(re.findall(r"^\.It Cm ([a-z0-9-]+) =", self.pages[f"{daemon}.conf.5"], re.M))
            flags = {flag[2:] for flag in self.surface.flags(daemon)} - {"help", "version"}
            self.assertEqual(keys, flags)

    def test_no_page_names_a_flag_that_is_not_there(self):
        known = {flag for text in self.surface.helps.values() for flag in flags_of(text)} | {"--config", "--version"}
        for name, page in self.pages.items():
            self.assertLessEqual(flags_in(page), known, name)

    def test_references_lead_to_pages(self):
        for name, page in self.pages.items():
            for title, section in re.findall(r"Xr ([a-z.-]+) ([1-8])", page):
                if title.startswith(("courtroll", "libcourtroll")):
                    self.assertIn(f"{title}.{section}", self.pages, name)

    def test_what_is_added_by_hand_is_used(self):
        for name in os.listdir(os.path.join(MAN, "src")):
            self.assertIn(name, self.pages)
            self.assertNotIn(name, os.listdir(MAN), "the page in docs/man hides it")

    def test_they_are_the_same_each_time(self):
        self.assertEqual(make.pages(BIN, MAN), self.pages)

    def test_mandoc_has_nothing_to_say_and_renders_them(self):
        if shutil.which("mandoc") is None:
            self.skipTest("mandoc is not there")
        paths = [os.path.join(self.dir, name) for name in sorted(self.pages)]
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *paths], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        shown = subprocess.run(["mandoc", "-T", "utf8", *paths], capture_output=True, timeout=60, check=True)
        text = re.sub(".\b", "", shown.stdout.decode())
        for word in ("courtroll-append", "--proof-dir", "mark-path", "poll-interval-ms"):
            self.assertIn(word, text)


class Completion(unittest.TestCase):
    """The file is sourced and asked by a real bash."""

    @classmethod
    def setUpClass(cls):
        cls.surface = Surface()
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        os.mkdir(os.path.join(cls.dir, "folder"))
        with open(os.path.join(cls.dir, "file"), "w", encoding="utf-8"):
            pass

    def complete(self, *lines):
        """What is offered for each line, a list of words of which the last is being typed."""
        script = [f". {ROOT}/docs/completion/courtroll.bash"]
        for words in lines:
            quoted = " ".join("'" + word + "'" for word in words)
            script += [f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _courtroll",
                       "printf '%s ' \"${COMPREPLY[@]}\"; echo"]
        environment = {**os.environ, "PATH": BIN + ":" + os.environ["PATH"]}
        done = subprocess.run(["bash", "--norc", "-c", "\n".join(script)], cwd=self.dir, env=environment,
                              capture_output=True, text=True, timeout=60, check=True)
        return [set(line.split()) for line in done.stdout.split("\n")[:-1]]

    def test_it_is_registered_for_each_program(self):
        for program in ("courtroll", *make.DAEMONS):
            done = subprocess.run(["bash", "--norc", "-c", f". {ROOT}/docs/completion/courtroll.bash; complete -p {program}"],
                                  capture_output=True, text=True, timeout=60, check=True)
            self.assertIn("-F _courtroll", done.stdout)

    def test_commands_words_and_flags_are_those_of_the_help(self):
        keys = sorted(self.surface.helps)
        lines = [[*words, "" if words in (("courtroll",),) or make.words_of(self.surface.helps[words]) else "--"]
                 for words in keys]
        for words, offered in zip(keys, self.complete(*lines)):
            text = self.surface.helps[words]
            if words == ("courtroll",):
                self.assertEqual(offered, {*self.surface.commands, "--help", "--version"})
            elif make.words_of(text):
                self.assertEqual(offered, {*make.words_of(text), "--help"})
            else:
                self.assertEqual(offered, flags_of(text), words)

    def test_values_are_completed_by_what_the_flag_takes(self):
        answers = self.complete(
            ["courtroll", "append", "--policy", "fi"], ["courtroll", "append", "--proof-dir", ""],
            ["courtroll", "append", "--timeout", ""], ["courtroll", "app"], ["courtroll", "append", "--json", ""],
            ["courtroll-logd", "--schema", ""], ["courtroll-logd", "--dedup", "o"], ["courtroll-logd", "--key", "fi"],
            ["courtroll", "keygen", "--type", ""], ["courtroll", "append", "--wait", ""],
        )
        types = re.search(r"what it signs: (.*)", self.surface.helps["courtroll", "keygen"]).group(1)
        self.assertEqual(answers[:8], [{"file"}, {"folder"}, set(), {"append"}, {"file", "folder"},
                                       {"opaque", "operation"}, {"on", "off"}, {"file"}])  # fmt: skip
        self.assertEqual(answers[8], set(re.findall(r"[a-z-]+", types)) - {"or"})
        self.assertEqual(answers[9], {"durable", "witnessed"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
