#!/usr/bin/env python3
"""Draws a terminal session as an SVG, from commands that are run and what they print.

    terminal.py --out FILE.svg --setup SCRIPT COMMAND...

The setup runs first and is not shown; each COMMAND is shown and run in the same shell. COURTROLL_BIN names the
directory of the built programs. terminal.svg, in README.md, is of terminal.setup and

    'courtroll append --log unix:log.sock --policy policy --proof-dir . order.txt'
    'courtroll verify --policy policy --proof 0.tlog-proof order.txt'
    'courtroll verify --policy policy --proof 0.tlog-proof changed.txt'
"""
import argparse
import html
import os
import subprocess
import sys
import tempfile

COLUMNS, LINE_PX, CHARACTER_PX, MARGIN_PX = 92, 18, 8.4, 16
MARK = "\x1e"


def run(setup, commands):
    """[(command, output)]"""
    script = ["set -e", setup]
    for command in commands:
        script += [f"printf '{MARK}'", f"{{ {command}\n}} 2>&1 || true"]
    script += ["trap - EXIT", "kill $(jobs -p) 2>/dev/null || true"]
    environment = dict(os.environ)
    environment["PATH"] = os.path.abspath(environment["COURTROLL_BIN"]) + ":" + environment["PATH"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=folder, env=environment, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=120, check=True)
    return list(zip(commands, done.stdout.decode().split(MARK)[1:]))


def svg(session):
    lines = []
    for command, output in session:
        lines += [("#8ec07c", "$ " + line if i == 0 else line) for i, line in enumerate(command.split("\n"))]
        for line in output.rstrip("\n").split("\n"):
            while line:
                lines.append(("#ebdbb2", line[:COLUMNS]))
                line = line[COLUMNS:] and "    " + line[COLUMNS:]
        lines.append(("#ebdbb2", ""))
    lines.pop()
    width, height = round(COLUMNS * CHARACTER_PX) + 2 * MARGIN_PX, len(lines) * LINE_PX + 2 * MARGIN_PX
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" role="img" aria-label="A terminal session">',
           f'<rect width="{width}" height="{height}" rx="6" fill="#282828"/>',
           '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">']
    for i, (colour, text) in enumerate(lines):
        if text:
            y = MARGIN_PX + (i + 1) * LINE_PX - 5
            out.append(f'<text x="{MARGIN_PX}" y="{y}" fill="{colour}">{html.escape(text)}</text>')
    return "\n".join([*out, "</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description="Draws a terminal session.")
    parser.add_argument("--out", required=True)
    parser.add_argument("--setup", required=True, help="a shell script that is run first, and not shown")
    parser.add_argument("commands", nargs="+")
    arguments = parser.parse_args()
    with open(arguments.setup, encoding="utf-8") as file:
        session = run(file.read(), arguments.commands)
    with open(arguments.out, "w", encoding="utf-8") as file:
        file.write(svg(session))
    return 0


if __name__ == "__main__":
    sys.exit(main())
