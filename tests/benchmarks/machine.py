# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

"""On what was measured, and with what: one line for the tables."""

import datetime
import os
import pathlib
import platform
import re
import subprocess
import time

import runner


def _text(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _match(text, pattern):
    """The first group of the first match, or ""."""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1].strip() if found else ""


def is_virtual():
    return bool(_match(_text("/proc/cpuinfo"), r"^flags\s*:.*\s(hypervisor)\b"))


def busy_share(seconds=1):
    """What other programs take of all cores, from 0 to 1."""

    def times():
        return [int(field) for field in _text("/proc/stat").partition("\n")[0].split()[1:]]

    before = times()
    time.sleep(seconds)
    passed = [after - then for after, then in zip(times(), before)]
    idle = passed[3] + passed[4]  # what waits for a disk is idle, too
    return 1 - idle / max(sum(passed), 1)


def _first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.partition("\n")[0]
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _versions(build):
    """What a build folder was made with."""
    cache = _text(build / "CMakeCache.txt")

    def cached(name):
        return _match(cache, rf"^{name}:\w+=(.*)$")

    nng_header = _text(f"{cached('NNG_INCLUDE_DIR')}/nng/nng.h")
    nng = [_match(nng_header, rf"^#define NNG_{part}_VERSION (\d+)") for part in ("MAJOR", "MINOR", "PATCH")]
    libraries = {
        "Qt": _match(_text(f"{cached('Qt6_DIR')}/Qt6ConfigVersionImpl.cmake"), r'^set\(PACKAGE_VERSION "(.*)"\)'),
        "libuv": cached("LIBUV_VERSION"),
        "Boost": _match(cached("Boost_DIR"), r"Boost-([\d.]+)$"),
        "ZeroMQ": cached("ZEROMQ_VERSION"),
        "nng": ".".join(nng) if all(nng) else "",
    }
    versions = [f"{name} {version}" for name, version in libraries.items() if version]
    return [_first_line(cached("CMAKE_CXX_COMPILER"), "--version"), *versions]


def describe(programs, windows_programs=None):
    """`programs`: a folder in a build tree."""
    parts = [
        _match(_text("/proc/cpuinfo"), r"^model name\s*:(.*)$") or platform.machine(),
        f"{len(os.sched_getaffinity(0))} cores" + (" of a virtual machine" if is_virtual() else ""),
        f"Linux {platform.release()}",
        _match(_text("/etc/os-release"), r'^PRETTY_NAME="?([^"\n]*)'),
        *_versions(programs.resolve().parent),
    ]
    if windows_programs:
        parts.append("for Windows: " + _first_line(runner.WINE, "--version"))
        parts += _versions(windows_programs.resolve().parent)
    parts.append(datetime.date.today().isoformat())
    return "; ".join(filter(None, parts))
