#!/usr/bin/env python3
"""Runs the shell blocks of the tutorials, each in a directory and a network of its own, and all at once.

COURTROLL_BIN names the directory of the built programs. What a tutorial says is printed must be printed.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "python"))
import blocks  # noqa: E402

TUTORIALS = [f"docs/tutorial-{role}.md" for role in ("submitter", "witness", "monitor", "verifier")]

if __name__ == "__main__":
    sys.exit(blocks.main(TUTORIALS))
