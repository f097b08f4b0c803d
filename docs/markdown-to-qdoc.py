#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
"""Writes Markdown pages as pages for qdoc, which cannot read Markdown.

usage: markdown-to-qdoc.py FOLDER NAME=PAGE.md...

Each becomes FOLDER/NAME.qdoc. Links from one to another are kept, links to other files become text.

It knows what these pages use: headings, paragraphs, tables, lists, code, bold text and links.
"""

import pathlib
import re
import sys


def escaped(text):
    return text.replace("\\", "\\\\").replace("{", "\\{").replace("}", "\\}")


def link(match, page, names):
    text, target = match.groups()
    if target.startswith("http"):
        return "\\l{%s}{%s}" % (target, text)
    name = names.get((page.parent / target).resolve())
    return "\\l{%s.html}{%s}" % (name, text) if name else text


def inline(text, page, names):
    parts = re.split(r"(`[^`]*`)", text.replace("- [ ] ", "- "))
    for i, part in enumerate(parts):
        if part.startswith("`"):
            parts[i] = "\\c{%s}" % part[1:-1]  # as it is: there a backslash is none of qdoc's
        else:
            part = escaped(part)
            part = re.sub(r"\*\*([^*]+)\*\*", r"\\b{\1}", part)
            part = re.sub(r"\*([^*]+)\*", r"\\e{\1}", part)
            parts[i] = part
    # Links last: their text may have code in it.
    return re.sub(r"\[([^][]+)\]\(([^)\s]+)\)", lambda match: link(match, page, names), "".join(parts))


def convert(page, names):
    lines = page.read_text(encoding="utf-8").splitlines()

    def inline_here(text):
        return inline(text, page, names)

    out = ["/*!", "    \\page %s.html" % names[page.resolve()]]
    i = 0
    while i < len(lines):
        line = lines[i]
        if line.startswith("# "):
            out += ["    \\title " + inline_here(line[2:]), ""]
        elif match := re.match(r"(##+) (.*)", line):
            out += ["", "    \\section%d %s" % (len(match[1]) - 1, inline_here(match[2])), ""]
        elif line.startswith("```"):
            kind = "code" if line[3:] == "cpp" else "badcode"
            end = lines.index("```", i + 1)
            # A backslash begins a command in code, too.
            out += ["    \\" + kind] + ["    " + code.replace("\\", "\\\\") for code in lines[i + 1:end]]
            out += ["    \\endcode", ""]
            i = end
        elif line.startswith("|"):
            out.append("    \\table")
            for row in iter(lambda: lines[i] if i < len(lines) and lines[i].startswith("|") else None, None):
                cells = [cell.strip() for cell in row.strip("|").split("|")]
                if not re.fullmatch(r"[-:| ]+", row.strip("|")):
                    kind = "header" if out[-1].endswith("\\table") else "row"
                    out.append("    \\%s %s" % (kind, " ".join("\\li " + inline_here(cell) for cell in cells)))
                i += 1
            out += ["    \\endtable", ""]
            continue
        elif line.startswith("- "):
            out.append("    \\list")
            while i < len(lines) and re.match(r"- |  \S", lines[i]):
                item = [lines[i][2:].replace("[ ] ", "", 1)]
                while i + 1 < len(lines) and re.match(r"  \S", lines[i + 1]):
                    i += 1
                    item.append(lines[i].strip())
                out.append("    \\li " + inline_here(" ".join(item)))
                i += 1
            out += ["    \\endlist", ""]
            continue
        elif line:
            paragraph = [line]
            while i + 1 < len(lines) and lines[i + 1] and not re.match(r"[-|#`] ?", lines[i + 1][:2]):
                i += 1
                paragraph.append(lines[i])
            out += ["    " + inline_here(" ".join(paragraph)), ""]
        i += 1
    return "\n".join(out + ["*/", ""])


def main():
    folder = pathlib.Path(sys.argv[1])
    names = {pathlib.Path(page).resolve(): name for name, page in (word.split("=", 1) for word in sys.argv[2:])}
    for page, name in names.items():
        (folder / (name + ".qdoc")).write_text(convert(page, names), encoding="utf-8")


main()
