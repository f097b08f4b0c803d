#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT
"""Checks that every local link of the HTML pages in a folder leads to a file and a place in it.

usage: check-links.py FOLDER
"""

import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.places = set()
        self.links = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name"):
                self.places.add(value)
            elif name in ("href", "src") and value:
                self.links.add(value)


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    pages = {path: Page(path) for path in folder.glob("*.html")}
    broken = 0
    count = 0
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = folder / urllib.parse.unquote(parts.path) if parts.path else path
            place = urllib.parse.unquote(parts.fragment)
            if not target.is_file() or (place and target in pages and place not in pages[target].places):
                print("%s: %s leads nowhere" % (path.name, link), file=sys.stderr)
                broken += 1
    if not (folder / "index.html").is_file():
        print("there is no index.html", file=sys.stderr)
        broken += 1
    print("%d pages, %d local links, %d broken" % (len(pages), count, broken))
    return 1 if broken else 0


sys.exit(main())
