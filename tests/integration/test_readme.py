#!/usr/bin/env python3
"""Runs the shell blocks of README.md, in order, in one shell and an empty directory.

COURTROLL_BIN names the directory of the built programs. support/python/blocks.py says how a block is
left out.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "python"))
import blocks  # noqa: E402

if __name__ == "__main__":
    sys.exit(blocks.main(["README.md"]))
