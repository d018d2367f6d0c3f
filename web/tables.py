#!/usr/bin/python3
"""Writes web/core/tables.js from the tables of docs/record.md, which are the specification of fields and kinds.

    web/tables.py            writes it
    web/tables.py --check    exits with 1 when it is not what docs/record.md says
"""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "core", "tables.js")


def rows(text, heading):
    section = text[text.index("\n## " + heading) + 4 :].split("\n## ")[0]
    for line in section.splitlines():
        if re.match(r"\| \d+ \|", line):
            yield [cell.strip().strip("`") for cell in line.strip("| ").split(" | ")]


def names(cell):
    return [] if cell == "-" else cell.split()


def made():
    with open(os.path.join(HERE, "../docs/record.md"), encoding="utf-8") as file:
        text = file.read()
    lines = ["// The fields and kinds of operation records. Made from docs/record.md by web/tables.py: change that page.", ""]
    lines.append("// [name, type], by number")
    lines.append("export const FIELDS = [")
    lines += [f"    {json.dumps([name, kind])}," for _, name, kind in rows(text, "5. Fields")]
    lines += ["];", "", "// [number, name, class, may be sealed, roles, must have, material beside, may have beside]"]
    lines.append("export const KINDS = [")
    for number, name, kind_class, sealed, roles, must, material, may in rows(text, "7. Kinds"):
        row = [int(number), name, kind_class, sealed == "yes", *map(names, (roles, must, material, may))]
        lines.append(f"    {json.dumps(row)},")
    return "\n".join(lines + ["];", ""])


def main():
    if "--check" in sys.argv:
        with open(OUT, encoding="utf-8") as file:
            return 0 if file.read() == made() else 1
    with open(OUT, "w", encoding="utf-8") as file:
        file.write(made())
    return 0


if __name__ == "__main__":
    sys.exit(main())
