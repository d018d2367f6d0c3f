#!/usr/bin/python3
"""Makes the verification page: one file out of the modules, the style and the template of this directory.

    web/bundle.py OUT-DIR

writes verify.html, its SHA-256 (verify.html.sha256), the Content-Security-Policy that goes with it (verify.csp), and
the names of all files it is made of (verify.d). Nothing but these sources is in the page: the same bytes anywhere, so
that anybody can make it again and compare. The standard library only.

Modules become functions in the order in which they need each other. What is taken of ES modules is what ours use:
`import { a, b as c } from "./x.js"`, `import * as x from "./x.js"`, and `export` before const, class and function.
"""
import base64
import hashlib
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = "page/main.js"
WORKER = "core/hash_worker.js"
IMPORT = re.compile(r'^import (?:\* as (\w+)|\{([^}]*)\}) from "(\.[^"]+)";\n', re.M)
EXPORT = re.compile(r"^export (async function|function|class|const|let) (\w+)", re.M)


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


class Bundle:
    """The script that begins with one module."""

    def __init__(self, entry):
        self.order = []
        self.parts = []
        self._under_way = []
        self._add(entry)

    def script(self):
        return '(() => {\n"use strict";\nconst modules = {};\n' + "".join(self.parts) + "})();\n"

    def _add(self, name):
        if name in self.order:
            return
        if name in self._under_way:
            sys.exit(f"bundle: modules need each other in a circle: {self._under_way} {name}")
        self._under_way.append(name)
        text = read(name)
        imports = "".join(self._import(name, match) for match in IMPORT.finditer(text))
        body = IMPORT.sub("", text)
        names = [match[2] for match in EXPORT.finditer(body)]
        body = EXPORT.sub(r"\1 \2", body)
        if re.search(r"^\s*(?:import|export)\b", body, re.M):
            sys.exit(f"bundle: {name} has an import or export of a form that is not taken")
        exports = ", ".join(names)
        self.parts.append(f"modules[{name!r}] = (() => {{\n{imports}{body}return {{ {exports} }};\n}})();\n")
        self._under_way.pop()
        self.order.append(name)

    def _import(self, name, match):
        star, names, path = match.groups()
        target = os.path.normpath(os.path.join(os.path.dirname(name), path)).replace(os.sep, "/")
        self._add(target)
        if star:
            return f"const {star} = modules[{target!r}];\n"
        wanted = ", ".join(re.sub(r"^(\w+) as (\w+)$", r"\1: \2", one.strip()) for one in names.split(",") if one.strip())
        return f"const {{ {wanted} }} = modules[{target!r}];\n"


def quoted(text):
    """A JavaScript string that no HTML parser ends early."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("</", "<\\/").replace("<!--", "<\\!--") + '"'


def source_hash(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def policy(script, style):
    return "; ".join([
        "default-src 'none'",
        "script-src " + source_hash(script),
        "style-src " + source_hash(style),
        "worker-src blob:",
        "connect-src 'self'",
        "img-src data: blob:",
        "media-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
    ])  # fmt: skip


def make():
    """(page, header, names of sources)"""
    worker, page = Bundle(WORKER), Bundle(PAGE)
    script = f"const HASH_WORKER_SOURCE = {quoted(worker.script())};\n" + page.script()
    if "</script" in script.lower() or "<!--" in script:
        sys.exit("bundle: a module has </script or <!-- in it, which HTML takes for its own")
    style = read("page/page.css")
    csp = policy(script, style)
    html = read("page/page.html")
    for place, text in (("{{csp}}", csp), ("{{style}}", style), ("{{script}}", script)):
        if html.count(place) != 1:
            sys.exit(f"bundle: page.html must have {place} once")
        html = html.replace(place, text)
    names = sorted({*worker.order, *page.order, "page/page.css", "page/page.html", "bundle.py"})
    # Headers can forbid what a page's own words cannot: being put into somebody's frame.
    return html, csp + "; frame-ancestors 'none'", names


def write(path, text):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    html, csp, names = make()
    digest = hashlib.sha256(html.encode()).hexdigest()
    write(os.path.join(out, "verify.html"), html)
    write(os.path.join(out, "verify.html.sha256"), f"{digest}  verify.html\n")
    write(os.path.join(out, "verify.csp"), csp + "\n")
    write(os.path.join(out, "verify.d"), "".join(f"{name}\n" for name in names))


if __name__ == "__main__":
    main()
