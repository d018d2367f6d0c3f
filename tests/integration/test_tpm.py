#!/usr/bin/python3
"""The witness's generation counter in a TPM: one in software (swtpm), with the real tpm2-tools.

A restored data directory is behind the counter, and signs nothing.
COURTROLL_BIN names the directory of the built programs.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))

from logd import wait_until
from witness import Tree, Witness

INDEX = "0x1500016"
ATTRIBUTES = "ownerread|ownerwrite|authread|authwrite|nt=counter"
TOOLS = ("swtpm", "tpm2_nvdefine", "tpm2_nvread", "tpm2_nvincrement")


class Tpm:
    """An swtpm of our own, on Unix sockets, with one counter as an operator defines it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="courtroll-tpm.")
        self.socket = os.path.join(self.dir, "socket")
        self.environment = {**os.environ, "TPM2TOOLS_TCTI": f"swtpm:path={self.socket}"}
        self.process = None
        self.start()
        self.run("tpm2_nvdefine", INDEX, "-C", "o", "-s", "8", "-a", ATTRIBUTES)

    def start(self):
        with open(os.path.join(self.dir, "output"), "wb") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", "swtpm", "socket", "--tpm2",
                 "--tpmstate", f"dir={self.dir}", "--server", f"type=unixio,path={self.socket}",
                 "--ctrl", f"type=unixio,path={self.socket}.ctrl",
                 "--flags", "not-need-init,startup-clear"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until(lambda: os.path.exists(self.socket + ".ctrl"), "swtpm")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        for name in (self.socket, self.socket + ".ctrl"):
            if os.path.exists(name):
                os.unlink(name)

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, *arguments):
        done = subprocess.run(arguments, env=self.environment, capture_output=True, timeout=60,
                              check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def counter(self):
        return int.from_bytes(self.run("tpm2_nvread", INDEX, "-s", "8"), "big")


@unittest.skipUnless(all(shutil.which(tool) for tool in TOOLS), "no swtpm, or no tpm2-tools")
class Generations(unittest.TestCase):
    def setUp(self):
        self.tpm = Tpm()
        self.addCleanup(self.tpm.close)
        before = os.environ.get("TPM2TOOLS_TCTI")
        os.environ["TPM2TOOLS_TCTI"] = self.tpm.environment["TPM2TOOLS_TCTI"]
        self.addCleanup(self.restore_environment, before)
        self.tree = Tree("log.example/a", 30)
        self.witness = Witness([self.tree.key], is_started=False, tpm_nv_index=INDEX)
        self.addCleanup(self.witness.close)

    @staticmethod
    def restore_environment(before):
        if before is None:
            del os.environ["TPM2TOOLS_TCTI"]
        else:
            os.environ["TPM2TOOLS_TCTI"] = before

    def copy_data(self, source, target):
        source, target = (os.path.join(self.witness.dir, name) for name in (source, target))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)

    def assert_refuses(self, old, size):
        answer = self.witness.add_checkpoint(self.tree.request(old, size))
        self.assertEqual(answer.status, 503, answer)

    def test_each_start_is_a_step_and_a_signature_is_none(self):
        self.witness.start()
        first = self.tpm.counter()
        for size in range(1, 6):
            self.witness.cosign(self.tree, size - 1, size)
        self.assertEqual(self.tpm.counter(), first)
        self.witness.restart()
        self.assertEqual(self.tpm.counter(), first + 1)
        self.witness.cosign(self.tree, 5, 6)
        self.witness.kill()  # no stop is no alarm
        self.witness.start()
        self.assertEqual(self.tpm.counter(), first + 2)
        self.witness.cosign(self.tree, 6, 7)
        self.assertIn("TPM", self.witness.get("/healthz").body.decode())

    def test_restored_state_signs_nothing(self):
        self.witness.start()
        self.witness.cosign(self.tree, 0, 5)
        self.assertEqual(self.witness.stop(), 0)
        self.copy_data("data", "backup")
        self.witness.start()
        self.witness.cosign(self.tree, 5, 9)
        self.assertEqual(self.witness.stop(), 0)
        self.copy_data("backup", "data")
        before = self.tpm.counter()
        for _ in range(2):  # starting again does not help
            self.witness.start()
            self.assertRegex(self.witness.process.text(), "event=guard_refuses_all .*counter")
            self.assert_refuses(5, 6)
            self.assertEqual(self.witness.held_size(self.tree), 5)  # it still serves
            self.assertEqual(self.witness.stop(), 0)
        self.assertEqual(self.tpm.counter(), before)
        # Whoever says that nothing was signed since goes on, and is told so loudly.
        self.witness.start(start_unchecked="on")
        self.assertRegex(self.witness.process.text(), "level=error event=start_unchecked")
        self.witness.cosign(self.tree, 5, 6)
        self.witness.restart()
        self.witness.cosign(self.tree, 6, 7)

    def test_clone_on_the_same_counter_is_noticed_by_the_other(self):
        self.witness.start()
        self.witness.cosign(self.tree, 0, 5)
        self.assertEqual(self.witness.stop(), 0)
        self.copy_data("data", "clone")
        self.witness.start()
        self.assertEqual(self.witness.stop(), 0)
        self.witness.start(data_dir=os.path.join(self.witness.dir, "clone"))
        self.assert_refuses(5, 6)

    def test_counter_that_cannot_be_read_is_no_start(self):
        code, text = self.witness.fails_to_start(tpm_nv_index="0x1500017")
        self.assertEqual(code, 3, text)
        self.assertIn("tpm-nv-index 0x1500017", text)
        self.tpm.stop()
        code, text = self.witness.fails_to_start()
        self.assertEqual(code, 3, text)
        self.assertIn("tpm2_nv", text)
        self.tpm.start()
        self.witness.start()
        code = self.witness.stop()
        self.assertEqual(code, 0)
        code, text = self.witness.fails_to_start(tpm_nv_index="1500016")
        self.assertEqual(code, 2, text)
        self.assertIn("hexadecimal", text)


if __name__ == "__main__":
    unittest.main()
