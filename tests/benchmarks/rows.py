# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

"""What is compared: the candidates, the rows, and the goals. Nothing but data."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Candidate:
    key: str
    title: str
    server: str  # bench-server-...
    variant: str = ""
    links: str = "stream"  # of bench-load
    windows_links: str = ""  # empty: does not run on Windows


CANDIDATES = (
    Candidate("raw", "raw loop", "raw", windows_links="pipe"),
    Candidate("raw-signal", "raw loop, a signal per message", "raw-signal"),
    Candidate("raw-marshalled", "raw loop, signals on the main thread", "raw-marshalled"),
    Candidate("marshalled", "QtNamedPipes", "qtnamedpipes", "marshalled", windows_links="pipe"),
    Candidate("free", "QtNamedPipes free-threaded", "qtnamedpipes", "free-threaded", windows_links="pipe"),
    Candidate("batch", "QtNamedPipes batch", "qtnamedpipes", "batch", windows_links="pipe"),
    Candidate("batch-marshalled", "QtNamedPipes batch, marshalled", "qtnamedpipes", "batch-marshalled"),
    Candidate("qlocal", "QLocalServer", "qlocal", "framed", windows_links="bytes"),
    Candidate("qdatastream", "QLocalServer + QDataStream", "qlocal", "datastream", windows_links="bytes"),
    Candidate("in-place", "QLocalServer, parsed in place", "qlocal", "in-place"),
    Candidate("queued", "queued call per message", "naive"),
    Candidate("libuv", "libuv", "libuv"),
    Candidate("asio", "Boost.Asio", "asio"),
    Candidate("zeromq", "ZeroMQ", "zeromq", links="zeromq"),
    Candidate("nng", "nng", "nng", links="nng"),
)

# What does no more than must be done for a signal for each message, and without one: no library can be ahead of it by
# more than chance.
LIMITS = {"free": "raw-signal", "marshalled": "raw-marshalled"}
BARE_LIMIT = "raw"

# What makes a difference only where messages are small and many: a table of their own.
EXTRAS = ("raw-signal", "raw-marshalled", "batch", "batch-marshalled", "in-place", "queued")

OURS = tuple(c.key for c in CANDIDATES if c.server == "qtnamedpipes")
GENERAL = tuple(c.key for c in CANDIDATES if c.key not in EXTRAS)
ALL = tuple(c.key for c in CANDIDATES)
QT = ("marshalled", "free", "qlocal", "qdatastream", "queued")  # those with an event loop to keep smooth
SLOW_WITH_MANY = ("qlocal", "qdatastream", "zeromq", "nng")  # take seconds for thousands of connections
WINDOWS = ("raw", "marshalled", "free", "qlocal", "qdatastream")


@dataclass(frozen=True)
class Value:
    """One figure of a row: a line of the tables."""

    key: str
    title: str
    field: str  # of the line of JSON that bench-load prints
    unit: str
    factor: float = 1.0  # from the field to the unit
    minus: str = ""  # the field is a state, this is what it was before


@dataclass(frozen=True)
class Row:
    key: str
    load: str  # arguments of bench-load
    values: tuple[Value, ...]
    server: str = ""  # arguments of the server
    candidates: tuple[str, ...] = GENERAL
    # "free": where the scheduler puts them; "one core": server and load generator share one, so that no wake-up of
    # another core is in the figure, and what remains is the work.
    placement: str = "free"
    seconds: float = 0.4
    is_quick: bool = True  # part of --quick
    not_quick: tuple[str, ...] = ()  # candidates that take too long for --quick
    windows: bool = False
    once: bool = False  # in the first repetition only


def _rate(key, title):
    return (Value(key, title, "per_second", "msg/s"),)


def _throughput(key, title):
    return (Value(key, title, "mib_per_second", "MiB/s"),)


def _p50(key, title):
    return (Value(key, title, "p50_us", "µs"),)


ROWS = (
    Row(
        "oneway-64-1",
        "--row oneway --clients 1 --size 64",
        _rate("oneway-64-1", "One way, 64 B, 1 client"),
        candidates=ALL,
    ),
    Row(
        "oneway-64-16",
        "--row oneway --clients 16 --size 64",
        _rate("oneway-64-16", "One way, 64 B, 16 clients"),
        candidates=ALL,
    ),
    Row(
        "cpu-64",
        "--row oneway --clients 1 --size 64",
        (Value("cpu-64", "Server CPU per 64 B message", "server_cpu_ns_per_message", "ns"),),
        candidates=ALL,
        placement="one core",
    ),
    Row(
        "oneway-64k",
        "--row oneway --clients 1 --size 65536",
        _throughput("oneway-64k", "One way, 64 KiB"),
        candidates=GENERAL + ("raw-marshalled",),
    ),
    Row(
        "oneway-1m",
        "--row oneway --clients 1 --size 1048576",
        _throughput("oneway-1m", "One way, 1 MiB"),
        candidates=GENERAL + ("raw-marshalled",),
    ),
    Row(
        "echo-64",
        "--row echo --clients 1 --size 64 --window 1",
        _p50("echo-64", "Echo, 64 B, round trip"),
        candidates=GENERAL + ("raw-marshalled",),
        placement="one core",
    ),
    Row(
        "echo-64-free",
        "--row echo --clients 1 --size 64 --window 1",
        _p50("echo-64-free", "Echo, 64 B, round trip"),
        is_quick=False,
    ),
    Row(
        "echo-256-1",
        "--row echo --clients 1 --size 256 --window 64",
        _rate("echo-256-1", "Echo, 256 B, 64 in flight, 1 client"),
        candidates=tuple(key for key in ALL if key != "queued"),
    ),
    Row(
        "echo-256-16",
        "--row echo --clients 16 --size 256 --window 64",
        _rate("echo-256-16", "Echo, 256 B, 64 in flight, 16 clients"),
        candidates=GENERAL + ("raw-signal", "raw-marshalled"),
    ),
    Row(
        "broadcast",
        "--row broadcast --clients 64 --size 1024",
        _rate("broadcast", "Broadcast, 1 KiB to 64 clients"),
    ),
    Row("churn", "--row churn --size 64", (Value("churn", "Connect, echo, close", "per_second", "per s"),)),
    Row(
        "idle-none",
        "--row idle --idle 0 --size 64",
        _p50("idle-none", "Echo, 64 B, no other client"),
        placement="one core",
        seconds=0.3,
        not_quick=SLOW_WITH_MANY,
    ),
    Row(
        "idle",
        "--row idle --idle 5000 --size 64",
        (
            Value("idle-echo", "Echo, 64 B, beside 5,000 idle clients", "p50_us", "µs"),
            Value("idle-memory", "Memory per idle client, of 5,000", "bytes_per_connection", "KiB", 1 / 1024),
        ),
        placement="one core",
        seconds=0.3,
        not_quick=SLOW_WITH_MANY,
    ),
    Row(
        "flood",
        "--row flood --clients 4 --size 64",
        (
            Value("flood-rate", "Flood by 4 clients, 64 B", "per_second", "msg/s"),
            Value("flood-late", "Flood: how late a 10 ms timer is, p99", "late_p99_us", "ms", 1 / 1000),
        ),
        server="--ticks",
        candidates=QT,
        seconds=1.2,
    ),
    Row(
        "flood-slow",
        "--row flood --clients 4 --size 64",
        (
            Value("flood-slow-late", "Flood, 50 µs of work each: timer late, p99", "late_p99_us", "ms", 1 / 1000),
            Value(
                "flood-slow-memory",
                "Flood, 50 µs of work each: memory grows by",
                "peak_kib",
                "MiB",
                1 / 1024,
                minus="rss_kib_before",
            ),
        ),
        server="--ticks --slot-us 50",
        # Queued calls have no back pressure: what has piled up by then takes minutes.
        candidates=tuple(key for key in QT if key != "queued"),
        seconds=1.2,
    ),
    Row(
        "windows-echo-64",
        "--row echo --clients 1 --size 64 --window 1",
        _p50("windows-echo-64", "Echo, 64 B, round trip"),
        candidates=WINDOWS,
        windows=True,
    ),
    Row(
        "windows-oneway-64",
        # Without a limit QLocalServer is sent what it takes minutes to read.
        "--row oneway --clients 1 --size 64 --most 30000",
        _rate("windows-oneway-64", "One way, 64 B, 1 client"),
        candidates=WINDOWS + ("batch",),
        windows=True,
    ),
    Row(
        "windows-oneway-64k",
        "--row oneway --clients 1 --size 65536",
        _throughput("windows-oneway-64k", "One way, 64 KiB"),
        candidates=WINDOWS,
        windows=True,
    ),
)


def _on_one_core(row):
    """The same row once more, with both processes on one core."""
    return replace(
        row,
        key=f"{row.key}-pinned",
        values=tuple(replace(value, key=f"{value.key}-pinned") for value in row.values),
        placement="one core",
        is_quick=False,
        once=True,
    )


ROWS += tuple(
    _on_one_core(row)
    for row in ROWS
    if row.placement == "free" and not row.windows and not row.server and row.key != "echo-64-free"
)


@dataclass(frozen=True)
class Target:
    """What is at least (">=") or at most ("<=") to be: a ratio, or a figure when there is nothing to divide by."""

    sign: str
    limit: float
    peer: str = ""  # divided by the same line of this candidate
    line: str = ""  # divided by this other line of the same candidate


@dataclass(frozen=True)
class Goal:
    line: str
    candidate: str
    targets: tuple[Target, ...]


def _at_least(**limits):
    return tuple(Target(">=", limit, peer) for peer, limit in limits.items())


def _at_most(**limits):
    return tuple(Target("<=", limit, peer) for peer, limit in limits.items())


def _figure(sign, limit):
    return (Target(sign, limit),)


# Connections buffer 1 MiB each by default (maximumPendingReadBytes), and the flood has four.
PENDING_LIMIT_MIB = 4

GOALS = (
    Goal("oneway-64-1", "marshalled", _at_least(raw=0.4, qlocal=1, qdatastream=2.3, queued=30)),
    Goal("oneway-64-1", "free", _at_least(raw=0.5, qlocal=1.2, zeromq=6)),
    Goal("oneway-64-1", "batch", _at_least(raw=0.8)),
    Goal("oneway-64-16", "marshalled", _at_least(raw=0.4, qlocal=1, qdatastream=2.3, queued=30)),
    Goal("oneway-64-16", "free", _at_least(raw=0.5, qlocal=1.2, zeromq=6)),
    Goal("oneway-64-16", "batch", _at_least(raw=0.8)),
    Goal("cpu-64", "marshalled", _at_most(raw=2.7)),
    Goal("cpu-64", "free", _at_most(raw=2.4)),
    Goal("oneway-64k", "marshalled", _at_least(raw=0.8, qlocal=1)),
    Goal("oneway-64k", "free", _at_least(raw=0.95)),
    Goal("oneway-1m", "marshalled", _at_least(raw=0.8, qlocal=1)),
    Goal("oneway-1m", "free", _at_least(raw=0.95)),
    Goal("echo-64", "marshalled", _at_most(raw=1.7)),
    Goal("echo-64", "free", _at_most(raw=1.1)),
    Goal("echo-256-1", "marshalled", _at_least(raw=0.6)),
    Goal("echo-256-1", "free", _at_least(raw=0.9, zeromq=3)),
    Goal("echo-256-16", "marshalled", _at_least(raw=0.6, qlocal=1)),
    Goal("echo-256-16", "free", _at_least(raw=0.9, zeromq=3)),
    Goal("broadcast", "marshalled", _at_least(raw=0.9, qlocal=2.3)),
    Goal("broadcast", "free", _at_least(raw=0.9, qlocal=2.3)),
    Goal("churn", "marshalled", _at_least(raw=0.7)),
    Goal("churn", "free", _at_least(raw=0.85, qlocal=1)),
    Goal("idle-echo", "marshalled", (Target("<=", 1.5, line="idle-none"),)),
    Goal("idle-echo", "free", (Target("<=", 1.2, line="idle-none"),)),
    Goal("idle-memory", "marshalled", _figure("<=", 3)),
    Goal("idle-memory", "free", _figure("<=", 3)),
    Goal("flood-rate", "marshalled", _figure(">=", 15e6)),
    Goal("flood-late", "marshalled", _figure("<=", 4)),
    Goal("flood-late", "free", _figure("<=", 4)),
    Goal("flood-slow-late", "marshalled", _figure("<=", 8)),
    Goal("flood-slow-late", "free", _figure("<=", 8)),
    Goal("flood-slow-memory", "marshalled", _figure("<=", PENDING_LIMIT_MIB)),
    Goal("flood-slow-memory", "free", _figure("<=", PENDING_LIMIT_MIB)),
    # 0.8 and 0.85 of the speed of the raw loop, in time.
    Goal("windows-echo-64", "marshalled", _at_most(raw=1 / 0.8, qlocal=1)),
    Goal("windows-echo-64", "free", _at_most(raw=1 / 0.85)),
    Goal("windows-oneway-64", "marshalled", _at_least(raw=0.8, qlocal=1)),
    Goal("windows-oneway-64", "free", _at_least(raw=0.85)),
    Goal("windows-oneway-64k", "marshalled", _at_least(raw=0.8, qlocal=1)),
    Goal("windows-oneway-64k", "free", _at_least(raw=0.85)),
)
