#!/usr/bin/env python3
"""Makes the man pages of the programs from what they say of themselves and a hand-written part.

    make.py --bin BUILD/bin --source docs/man --out BUILD/man

`PROGRAM --help`, and that of each of its commands, gives NAME, SYNOPSIS, the options and most of the rest,
so a page cannot fall behind its program. docs/man/src/PAGE adds to it, in mdoc: a section there goes behind
what is generated for that section, and `.Sh OPTION --name` behind that option. Pages that are about no program
are complete in docs/man and are copied. The output is OUT/man1/courtroll.1 and so on, and the same anywhere.
"""
import argparse
import os
import re
import subprocess
import sys

DATE = "November 24, 2026"
DAEMONS = ("courtroll-logd", "courtroll-witness", "courtroll-monitor")
ORDER = (
    "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES",
    "DIAGNOSTICS", "SEE ALSO", "STANDARDS", "CAVEATS", "BUGS", "SECURITY CONSIDERATIONS",
)
SECTION = re.compile(r'\.Sh (.+)')


def help_of(folder, *words):
    program = os.path.join(folder, words[0])
    done = subprocess.run([program, *words[1:], "--help"], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, check=True)
    return done.stdout.decode()


# -- text to mdoc --


def sentences(text):
    """A line each, as mdoc wants them."""
    return re.sub(r"([.?!]['\")\]]*)\s+", r"\1\n", " ".join(text.split())).split("\n")


def escaped(text):
    text = text.replace("\\", "\\e")
    text = "".join(c if c < "\x7f" else f"\\[u{ord(c):04X}]" for c in text)
    return "\\&" + text if text[:1] in (".", "'") else text


def quoted(text):
    """One argument of a macro."""
    return '"' + escaped(text).replace('"', '\\(dq') + '"'


def literal(lines):
    return [".Bd -literal -offset indent", *[escaped(line) or "\\&" for line in lines], ".Ed"]


def paragraphs(text):
    """mdoc of help text: what is indented is a list of words if it looks so, else it stays as it is."""
    out, block = [], []

    def flush():
        if not block:
            return
        if all(re.match(r"(\S+) {2,}\S", line) for line in block):
            out.append(".Bl -tag -width Ds")
            for line in block:
                word, words = re.split(r" {2,}", line, maxsplit=1)
                out.extend([f".It {quoted(word)}", *map(escaped, sentences(words))])
            out.append(".El")
        elif not block[0].startswith(" "):
            out.extend(escaped(line) for line in sentences(" ".join(block)))
        elif re.match(r"  \S+(?: \S+)* {2,}\S", block[0]):
            items = []
            for line in block:
                item = re.match(r"  (\S+(?: \S+)*?) {2,}(\S.*)", line)
                if item:
                    items.append([item.group(1), item.group(2)])
                else:
                    items[-1][1] += " " + line.strip()
            out.append(".Bl -tag -width Ds")
            for word, words in items:
                out.extend([f".It {quoted(word)}", *map(escaped, sentences(words))])
            out.append(".El")
        else:
            out.extend(literal(line[2:] if line.startswith("  ") else line for line in block))
        block.clear()

    lines = text.strip("\n").split("\n")
    for i, line in enumerate(lines):
        if not line.strip():
            flush()
            if out and out[-1] != ".El" and i + 1 < len(lines) and not lines[i + 1].startswith(" "):
                out.append(".Pp")
            continue
        if block and block[0].startswith(" ") != line.startswith(" "):
            flush()
        block.append(line)
    flush()
    return out


# -- what a program says --


class Help:
    """The parts of a --help text."""

    def __init__(self, text):
        head, _, rest = text.partition("\nOptions:\n")
        self.options = []  # (group or None, name, argument or None, words)
        usage = re.search(r"^usage: (.*(?:\n {3,}.*)*)", head, re.M)
        self.usage = [line.strip() for line in usage.group(1).split("\n")]
        self.before, after = head[: usage.start()].strip(), head[usage.end() :].strip("\n")
        self.examples, self.exit = "", ""
        rest, _, self.examples = rest.partition("\nExamples:\n") if rest else ("", "", "")
        rest, _, self.exit = rest.partition("\nExit status: ")
        self.summary, _, self.text = after.partition("\n\n")
        self._read_options(rest)

    def _read_options(self, text):
        for line in text.split("\n"):
            found = re.match(r"  (--[a-z0-9-]+)(?: (\S+))?\s+(\S.*)", line)
            if found:
                self.options.append([None, found.group(1), found.group(2), [found.group(3)]])
            elif line.strip() and self.options:
                self.options[-1][3].append(line.strip())


class DaemonHelp:
    """A daemon's: the same parts, its keys in groups."""

    def __init__(self, text):
        self.summary = text.split("\n", 1)[0].split(" -- ", 1)[1]
        usage = re.search(r"^usage: (.*)\n\n((?:.+\n)+)\n", text, re.M)
        self.usage, self.text = [usage.group(1)], usage.group(2)
        rest = text[usage.end() :]
        keys_end = rest.index("  --version\n      The version.\n") + len("  --version\n      The version.\n")
        self.options, group = [], None
        for line in rest[:keys_end].split("\n"):
            heading, key = re.fullmatch(r"(\S.*):", line), re.fullmatch(r"  (--[a-z0-9-]+)(?: (\S+))?", line)
            if heading:
                group = heading.group(1)
            elif key:
                self.options.append([group, key.group(1), key.group(2), []])
            elif line.strip():
                self.options[-1][3].append(line.strip())
        example, notes = re.fullmatch(r"\n(?:Example:\n((?: .*\n)+)\n)?((?:.|\n)*)", rest[keys_end:]).groups()
        self.examples, self.notes = example or "", notes


def option_lines(options, extra, spell):
    out, group = [], object()
    for its_group, name, argument, words in options:
        if its_group != group:
            if out:
                out.append(".El")
            if its_group:
                out.append(f".Ss {its_group}")
            out.append(".Bl -tag -width Ds")
            group = its_group
        out.append(spell(name, argument))
        text = " ".join(words)
        out += map(escaped, sentences(text[0].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")))
        out.extend(extra.get(name, []))
    return [*out, ".El"]


def as_flag(name, argument):
    return f".It Fl Fl {name[2:]}" + (f" Ar {quoted(argument)}" if argument else "")


def as_key(name, argument):
    return f".It Cm {name[2:]} = Ar {quoted(argument)}"


def hand_written(source, page):
    """({section: lines}, {option: lines}) of src/PAGE."""
    sections, options, current = {}, {}, None
    path = os.path.join(source, "src", page)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file.read().rstrip("\n").split("\n"):
                heading = SECTION.fullmatch(line)
                if heading and heading.group(1).startswith("OPTION "):
                    current = options.setdefault(heading.group(1)[7:], [])
                elif heading:
                    if heading.group(1) not in ORDER:
                        raise SystemExit(f"{path}: no such section: {heading.group(1)}")
                    current = sections.setdefault(heading.group(1), [])
                elif current is not None:
                    current.append("".join(c if c < "\x7f" else f"\\[u{ord(c):04X}]" for c in line))
    return sections, options


def page(title, section, name, summary, generated, written):
    out = [f".Dd {DATE}", f".Dt {title.upper()} {section}", ".Os Courtroll", ".Sh NAME", f".Nm {name}",
           f".Nd {escaped(summary)}"]
    for heading in ORDER:
        ours, theirs = generated.get(heading, []), written.get(heading, [])
        if heading == "EXIT STATUS" and theirs:
            ours = []  # what a page says of its own is closer than the line that all commands have
        if ours or theirs:
            between = [".Pp"] if ours and theirs and not theirs[0].startswith((".Ss", ".Bl", ".Pp")) else []
            if heading == "SEE ALSO" and theirs:
                ours, between = [], []
            out += [f".Sh {heading}", *ours, *between, *theirs]
    return "\n".join(out) + "\n"


def synopsis(usage):
    return [".Bd -unfilled", *[escaped(line) for line in usage], ".Ed"]


# -- pages --


def words_of(text):
    """The words that a command's help lists, or []."""
    part = re.search(r"^Words:\n((?:  .*\n)+)", text, re.M)
    return re.findall(r"^  ([a-z][a-z-]*) ", part.group(1), re.M) if part else []


def commands_of(text):
    part = re.search(r"^Commands:\n((?:  .*\n)+)", text, re.M)
    return re.findall(r"^  ([a-z][a-z-]*) +(\S.*)", part.group(1), re.M)


def command_page(folder, source, command, summary):
    name = f"courtroll-{command}"
    text = help_of(folder, "courtroll", command)
    written, extra = hand_written(source, f"{name}.1")
    words = words_of(text)
    generated = {"SEE ALSO": [".Xr courtroll 1"]}
    exits = "0 done or PASS, 1 any other verdict, 2 wrong usage, 3 could not reach, read or\nwrite something, " \
            "4 refused by the server or no quorum in time."
    if words:
        usage = re.match(r"usage: (.*)", text).group(1)
        generated["SYNOPSIS"] = synopsis([usage])
        before = text.split("\nWords:\n", 1)[0].split("\n\n", 2)
        generated["DESCRIPTION"] = paragraphs(before[2])
        generated["EXAMPLES"] = literal(lines_of(text.rsplit("Examples:\n", 1)[1]))
        body = []
        for word in words:
            one = Help(help_of(folder, "courtroll", command, word))
            body += [f".Ss courtroll {command} {word}", *synopsis(one.usage), ".Pp", *paragraphs(one.text or one.summary),
                     *option_lines(one.options, extra, as_flag)]
            if one.examples:
                body += [*literal(lines_of(one.examples))]
        generated["COMMANDS"] = body
    else:
        one = Help(text)
        exits = one.exit
        generated["SYNOPSIS"] = synopsis(one.usage)
        generated["DESCRIPTION"] = paragraphs(one.text) if one.text else [escaped(one.summary)]
        generated["OPTIONS"] = option_lines(one.options, extra, as_flag)
        if one.examples:
            generated["EXAMPLES"] = literal(lines_of(one.examples))
    generated["EXIT STATUS"] = [escaped(line) for line in sentences(exits)]
    return page(name, 1, name, summary, generated, written)


def lines_of(text):
    lines = text.strip("\n").split("\n")
    least = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[least:] for line in lines]


def main_page(folder, source):
    text = help_of(folder, "courtroll")
    written, _ = hand_written(source, "courtroll.1")
    usage = re.match(r"usage: (.*)\n\n(.*)\n", text)
    commands = [".Bl -tag -width verify-evidence"]
    for command, summary in commands_of(text):
        commands += [f".It Xr courtroll-{command} 1", escaped(summary[0].upper() + summary[1:].rstrip("?")) + ("?" if summary.endswith("?") else ".")]
    generated = {
        "SYNOPSIS": synopsis([usage.group(1)]), "DESCRIPTION": [escaped(usage.group(2))],
        "COMMANDS": [*commands, ".El"],
        "OPTIONS": paragraphs(text.split("Commands:\n", 1)[1].split("\n\n", 1)[1]),
    }
    return page("courtroll", 1, "courtroll", "append to a transparency log, prove, verify and check", generated, written)


def daemon_pages(folder, source, daemon):
    """(its page of section 8, that of its configuration)."""
    text = help_of(folder, daemon)
    one = DaemonHelp(text)
    written, extra = hand_written(source, f"{daemon}.8")
    body = []
    for word in sorted(set(re.findall(rf"^ +{daemon} ([a-z][a-z-]*)", text, re.M)) |
                       set(re.findall(rf"\b{daemon} ([a-z]+) (?:adopt|--help|--from)", text))):
        body += [f".Ss {daemon} {word}", *literal(help_of(folder, daemon, word).rstrip("\n").split("\n"))]
    notes = one.notes
    generated = {
        "SYNOPSIS": synopsis([one.usage[0], *([f"{daemon} {w[4:].split(' ', 1)[1]} ..." for w in body if w.startswith(".Ss ")])]),
        "DESCRIPTION": [*paragraphs(one.text), ".Pp", *map(escaped, sentences(notes))],
        "OPTIONS": option_lines(one.options, extra, as_flag), "COMMANDS": body,
        "EXAMPLES": literal(lines_of(one.examples)) if one.examples else [],
        "SEE ALSO": [f".Xr courtroll 1 ,\n.Xr {daemon}.conf 5"],
    }
    eight = page(daemon, 8, daemon, one.summary, generated, written)
    written, extra = hand_written(source, f"{daemon}.conf.5")
    keys = [key for key in one.options if key[1] not in ("--help", "--version")]
    generated = {
        "DESCRIPTION": [
            f"The file that {daemon} reads with", ".Fl Fl config :", "one setting a line,", ".Dq KEY = VALUE ,",
            "from the first column.", "A comment has a line of its own, which starts with", ".Sq # .",
            "There are no sections, quotes or escapes; a line has at most 180 bytes.",
            "A key that may be given more than once has a line for each value; an unknown key is an error.",
            "Each key is also a flag, which overrides the file: for a key that may be given more than once it",
            "replaces all its lines.", ".Pp", "The keys are:", *option_lines(keys, extra, as_key)],
        "SEE ALSO": [f".Xr {daemon} 8"],
    }
    return eight, page(f"{daemon}.conf", 5, f"{daemon}.conf", f"configuration of {daemon}", generated, written)


def pages(folder, source):
    """{file name: text} of every page."""
    made = {"courtroll.1": main_page(folder, source)}
    for command, summary in commands_of(help_of(folder, "courtroll")):
        made[f"courtroll-{command}.1"] = command_page(folder, source, command, summary)
    for daemon in DAEMONS:
        made[f"{daemon}.8"], made[f"{daemon}.conf.5"] = daemon_pages(folder, source, daemon)
    for name in sorted(os.listdir(source)):
        if re.search(r"\.[1-8]$", name):
            with open(os.path.join(source, name), encoding="utf-8") as file:
                made[name] = file.read()
    return made


def main():
    parser = argparse.ArgumentParser(description="Makes the man pages.")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--source", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    for name, text in pages(arguments.bin, arguments.source).items():
        folder = os.path.join(arguments.out, "man" + name[-1])
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
