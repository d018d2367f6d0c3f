#!/usr/bin/python3
"""The verifier of the page, without a browser: its own tests in Node, the bundle's bytes, and that it agrees with the C
verifier on thousands of valid and mutated proofs, anchors, disclosures and policies: first words, bounds of time, f.

COURTROLL_LONG=1 compares 100,000. COURTROLL_BIN names the directory of the built programs.
"""
import base64
import collections
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/support/python"))
import browser  # noqa: E402
import judge_cases  # noqa: E402
import record_check as check  # noqa: E402

BIN = os.environ["COURTROLL_BIN"]
JUDGE = os.path.join(BIN, "..", "tests", "judge_batch")
WEB = os.path.join(ROOT, "web")
IS_LONG = os.environ.get("COURTROLL_LONG") == "1"
CASES = 100000 if IS_LONG else 5200
SEED = 20261124

NODE = shutil.which("node")
if NODE is None:
    print("no node: deploy/install-packages test")
    sys.exit(1)


def line_of(case):
    names = ("policy", "proof", "document", "anchor")
    return json.dumps({name: None if data is None else data.hex() for name, data in zip(names, case)})


def run(command, text):
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stderr.decode()[-3000:]}")
    return done.stdout.decode().splitlines()


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def page_command(core=os.path.join(WEB, "core")):
    return [NODE, os.path.join(ROOT, "tests/web/judge_batch.mjs"), core]


def ask(command, cases):
    """What it says of each; on all processors."""
    parts = 2 * os.cpu_count()
    chunks = [cases[len(cases) * i // parts : len(cases) * (i + 1) // parts] for i in range(parts)]
    texts = ["".join(line_of(case) + "\n" for case in chunk) for chunk in chunks if chunk]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [words for answer in pool.map(lambda text: run(command, text), texts) for words in answer]


def has_ml_dsa():
    """Whether the C side reads keys of type 0x06; that it can verify with them is not needed."""
    policy = f"witness m {judge_cases.MlDsaKey('mldsa.example').vkey()}\nquorum m\n"
    return ask([JUDGE], [(policy.encode(), b"", None, None)]) != ["POLICY"]


class Differential(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        world = judge_cases.World(has_ml_dsa())
        mutator = judge_cases.Mutator(SEED, world)
        cls.areas = world.areas
        cls.cases = world.seeds + [mutator.case() for _ in range(CASES - len(world.seeds))]
        cls.said = ask([JUDGE], cls.cases)

    def test_both_say_the_same_of_every_case(self):
        page = ask(page_command(), self.cases)
        self.assertEqual((len(page), len(self.said)), (len(self.cases),) * 2)
        different = [i for i, (ours, its) in enumerate(zip(self.said, page)) if ours != its]
        told = "\n".join(f"case {i}: C {self.said[i]}, page {page[i]}: {line_of(self.cases[i])[:3000]}" for i in different[:3])
        self.assertFalse(different, f"{len(different)} of {len(page)} differ\n{told}")
        counts = collections.Counter(words.split(" [")[0] for words in page)
        print(" ".join(f"{words}: {count}" for words, count in sorted(counts.items())), end=" ")
        for words in ("PASS", "PASS on the log's word alone", "NO QUORUM", "MISMATCH", "BAD SIGNATURE", "UNKNOWN LOG", "MALFORMED", "POLICY"):
            self.assertGreater(counts[words], CASES // 200, counts)

    def test_chromium_says_the_same(self):
        """Its Ed25519 is another one; its SHA-256 is ours and is timed, for whoever reads it."""
        some = [i for i, case in enumerate(self.cases[:700]) if sum(len(part or b"") for part in case) < 20000]
        with tempfile.TemporaryDirectory(prefix="courtroll.") as directory:
            web = shutil.copytree(WEB, os.path.join(directory, "web"))
            with open(os.path.join(ROOT, "tests/web/in_browser.js"), encoding="utf-8") as entry:
                text = entry.read().replace("CASES", "[" + ",".join(line_of(self.cases[i]) for i in some) + "]")
            with open(os.path.join(web, "page/main.js"), "w", encoding="utf-8") as file:
                file.write(text)
            shutil.copy(os.path.join(ROOT, "tests/web/judge_words.mjs"), os.path.join(web, "page/judge_words.js"))
            subprocess.run(["python3", "-B", os.path.join(web, "bundle.py"), directory], check=True)
            with browser.Browser(os.path.join(directory, "chromium")) as chromium:
                chromium.open("file://" + os.path.join(directory, "verify.html"))
                said, speed = chromium.run_async("const done = arguments[0]; globalThis.answers.then(done, (error) => done([[String(error.stack)], 0]));")
        self.assertEqual(len(said), len(some), said[:1])
        different = [i for i, words in zip(some, said) if words != self.said[i]]
        told = "\n".join(f"case {i}: C {self.said[i]}: {line_of(self.cases[i])[:3000]}" for i in different[:3])
        self.assertFalse(different, f"{len(different)} of {len(some)} differ\n{told}")
        print(f"{len(some)} cases; SHA-256: {speed:.0f} MB/s", end=" ")

    def test_signatures_that_nobody_checks_count_as_absent(self):
        if "of_ml_dsa" not in self.areas:
            self.skipTest("the C side does not read keys of type 0x06")
        said = {words.split(" [")[0] for words in self.said[self.areas["of_ml_dsa"]]}
        self.assertEqual(said, {"PASS", "NO QUORUM", "PASS on the log's word alone"})

    def test_a_verifier_with_a_fault_is_caught(self):
        """Each of these is a fault that would let something false pass, or stop something true."""
        faults = {
            "a quorum of one less": ("receipts", "policy.js", "count >= node.needed", "count >= node.needed - 1"),
            "no later than the last witness": ("receipts", "policy.js", "this.timeOfQuorum(times, false)", "this.timeOfQuorum(times, true)"),
            "f of a group of one less": ("receipts", "policy.js", "2 * node.needed - node.members.length", "2 * node.needed - node.members.length - 1"),
            "a root that nobody compares": ("with_anchors", "tlog_proof.js", "isEqual(found, root)", "(found, root, true)"),
            "a cosignature of any text": ("twisted", "note.js", "return (await ed25519.verify(vkey.key, message", "return true || (await ed25519.verify(vkey.key, message"),
            "points of small order refused": ("twisted", "ed25519.js", "return verifyUnusual(key, message, r, s)", "return false"),
            "one line of a log is enough": ("odd_notes", "policy.js", "found.has(log)) {", "found.size > 0) {"),
            "base64 of two spellings": ("spelled", "base64.js", "encode(bytes) !== text", "false"),
            "an index of two spellings": ("spelled", "bytes.js", "/^(0|[1-9][0-9]{0,19})$/.test(text)", "/^[0-9]{1,20}$/.test(text)"),
            "JSON of two spellings": ("crafted", "json.js", "isEqual(utf8(`${spell(value)}\\n`), bytes)", "true"),
            "hidden material fields": ("of_dishonest", "disclosure.js", "kind?.material.has(name) || header.has(name)", "header.has(name)"),
            "a proof of another log": ("crafted", "disclosure.js", "verdict.checkpoint.origin === origin", "true"),
            "an anchor of another checkpoint": ("with_anchors", "anchor.js", "require(isSame,", "require(isSame || true,"),
            "a registration that came too late": ("crafted", "disclosure.js", "proof.index < index", "true"),
        }  # fmt: skip
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            is_caught = dict(zip(faults, pool.map(lambda fault: self.is_caught(*fault), faults.values())))
        self.assertEqual([name for name in faults if not is_caught[name]], [])

    def is_caught(self, area, file, old, new):
        place = self.areas[area]
        with tempfile.TemporaryDirectory(prefix="courtroll.") as directory:
            core = os.path.join(shutil.copytree(WEB, os.path.join(directory, "web")), "core")
            path = os.path.join(core, file)
            with open(path, encoding="utf-8") as source:
                text = source.read()
            self.assertEqual(text.count(old), 1, (file, old))
            with open(path, "w", encoding="utf-8") as source:
                source.write(text.replace(old, new))
            text = "".join(line_of(case) + "\n" for case in self.cases[place])
            return run(page_command(core), text) != self.said[place]


class Modules(unittest.TestCase):
    def test_their_own_tests_pass(self):
        files = sorted(glob.glob(os.path.join(ROOT, "tests/web/*.test.mjs")))
        self.assertGreaterEqual(len(files), 2)
        done = subprocess.run([NODE, "--test", *files], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        self.assertRegex(done.stdout, r"(?m)^(?:#|ℹ) pass [1-9]")

    def test_the_tables_are_those_of_the_documentation(self):
        subprocess.run(["python3", os.path.join(WEB, "tables.py"), "--check"], check=True)

    def test_the_page_is_the_same_bytes_wherever_it_is_made(self):
        made = []
        for locale, name in (("C", "a"), ("C.UTF-8", "long name b")):
            with tempfile.TemporaryDirectory(prefix="courtroll.") as directory:
                web = shutil.copytree(WEB, os.path.join(directory, name, "web"))
                out = os.path.join(directory, "out")
                subprocess.run(["python3", "-B", os.path.join(web, "bundle.py"), out], check=True, cwd="/",
                               env={**os.environ, "LC_ALL": locale, "TZ": "Asia/Shanghai"})  # fmt: skip
                made.append({file: contents(os.path.join(out, file)) for file in sorted(os.listdir(out))})
        self.assertEqual(made[0], made[1])
        page = made[0]["verify.html"]
        self.assertEqual(made[0]["verify.html.sha256"].decode(), check.sha256(page).hex() + "  verify.html\n")
        self.assertEqual(contents(os.path.join(BIN, "../web/verify.html")), page)
        self.assertNotIn(ROOT.encode(), page)
        self.assertNotRegex(page.decode(), r"""(?:src|href)=["'](?!data:|#)""")

    def test_the_policy_names_the_script_and_the_style_and_nothing_else(self):
        page = contents(os.path.join(BIN, "../web/verify.html")).decode()
        csp = contents(os.path.join(BIN, "../web/verify.csp")).decode()
        for name in ("script", "style"):
            inside = re.findall(f"<{name}>(.*?)</{name}>", page, re.S)
            self.assertEqual(len(inside), 1)
            digest = base64.b64encode(check.sha256(inside[0].encode())).decode()
            self.assertIn(f"{name}-src 'sha256-{digest}';", csp)
        self.assertEqual(csp.count("\n"), 1)
        self.assertTrue(csp.startswith("default-src 'none'; "))
        self.assertTrue(csp.endswith("; frame-ancestors 'none'\n"))
        self.assertIn(f'content="{csp.removesuffix("; frame-ancestors " + chr(39) + "none" + chr(39) + chr(10))}"', page)
        for word in ("unsafe", "http:", "https:", "*"):
            self.assertNotIn(word, csp)

    def test_the_bundler_refuses_what_it_does_not_understand(self):
        for name, text in (("core/judge.js", 'export default 5;\n'), ("core/judge.js", 'import x from "./bytes.js";\n'),
                           ("core/judge.js", 'export { Policy } from "./policy.js";\n'), ("core/bytes.js", 'import { judge } from "./judge.js";\n'),
                           ("core/bytes.js", 'const end = "</SCRIPT";\n'), ("core/bytes.js", 'const end = "<!--";\n')):  # fmt: skip
            with tempfile.TemporaryDirectory(prefix="courtroll.") as directory:
                web = shutil.copytree(WEB, os.path.join(directory, "web"))
                path = os.path.join(web, name)
                before = contents(path)
                with open(path, "wb") as file:
                    file.write(text.encode() + before)
                out = os.path.join(directory, "out")
                done = subprocess.run(["python3", "-B", os.path.join(web, "bundle.py"), out], capture_output=True, check=False)
                self.assertNotEqual(done.returncode, 0, text)
                self.assertFalse(os.path.exists(os.path.join(out, "verify.html")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
