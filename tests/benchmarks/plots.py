#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

"""Measures how the candidates scale, and draws it; see README.md."""

import argparse
import dataclasses
import json
import pathlib
import statistics
import sys
from collections.abc import Callable

sys.dont_write_bytecode = True  # the sources stay clean

import matplotlib  # noqa: E402

matplotlib.use("Agg")
from matplotlib import pyplot, ticker  # noqa: E402

import compare  # noqa: E402
import machine  # noqa: E402
import rows  # noqa: E402
import runner  # noqa: E402

KIB = 1024

# Colours of Okabe and Ito, which stay apart for the colour-blind. Ours are the two strong ones.
STYLES = {
    "raw": {"color": "#777777", "linestyle": (0, (4, 2))},
    "marshalled": {"color": "#0072b2", "linewidth": 2.4},
    "free": {"color": "#d55e00", "linewidth": 2.4},
    "batch": {"color": "#d55e00", "linestyle": (0, (1, 1)), "linewidth": 2.0},
    "qlocal": {"color": "#009e73"},
    "zeromq": {"color": "#aa5599"},
}


def size_text(size):
    for limit, unit in ((KIB**2, "MiB"), (KIB, "KiB")):
        if size >= limit:
            return f"{size / limit:g} {unit}"
    return f"{size:g} B"


@dataclasses.dataclass(frozen=True)
class Plot:
    key: str
    title: str
    x_title: str
    xs: tuple[int, ...]
    load: str  # with {} where x is
    candidates: tuple[str, ...]
    shown: dict[str, str]  # name of the file: field
    server: str = ""
    is_wide: bool = True  # figures of very different size: a logarithmic axis
    x_format: Callable[[float], str] = "{:,.0f}".format


SIZES = (16, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, KIB**2, 4 * KIB**2, 16 * KIB**2)
PLOTS = (
    Plot(
        "clients",
        "Messages of 64 bytes, one way, one worker",
        "clients",
        (1, 4, 16, 64, 256, 1024),
        "--row oneway --size 64 --clients {}",
        ("raw", "marshalled", "free", "batch", "qlocal", "zeromq"),
        {"clients": "per_second"},
    ),
    Plot(
        "size",
        "One client, one way",
        "size of a message",
        SIZES,
        "--row oneway --clients 1 --size {}",
        ("raw", "marshalled", "free", "qlocal", "zeromq"),
        {"size-messages": "per_second", "size-bytes": "mib_per_second"},
        x_format=size_text,
    ),
    Plot(
        "workers",
        "Messages of 64 bytes from 16 clients, one way",
        "worker threads",
        (1, 2, 4),
        "--row oneway --clients 16 --size 64",
        ("free", "batch"),
        {"workers": "per_second"},
        server="--threads {}",
        is_wide=False,
    ),
)
UNITS = {"per_second": "messages per second", "mib_per_second": "MiB per second"}


def measure(programs, repeat, say):
    """Returns what main() stores: {"plots": {plot: {candidate: {x: [what each repetition gave]}}}, "failures": [...]}.
    """
    runs_on = runner.Runner(programs)
    measured, failures = {}, []
    for plot in PLOTS:
        candidates = [compare.CANDIDATES[key] for key in plot.candidates if runs_on.has(compare.CANDIDATES[key])]
        # JSON knows no numbers as keys.
        points = measured[plot.key] = {candidate.key: {str(x): [] for x in plot.xs} for candidate in candidates}
        for repetition in range(repeat):
            for x in plot.xs:
                say(f"{repetition + 1}/{repeat} {plot.key} {x}")
                row = rows.Row(plot.key, plot.load.format(x), (), plot.server.format(x))
                for candidate in compare.rotated(candidates, repetition, repeat):
                    try:
                        points[candidate.key][str(x)].append(runs_on.run(row, candidate, row.seconds))
                    except runner.RunFailed as failure:
                        failures.append(f"{plot.key} {x}, {candidate.title}: {failure}")
                        say(failures[-1])
    return {"machine": machine.describe(programs), "plots": measured, "failures": failures}


def draw(plot, field, measured, path):
    figure, axes = pyplot.subplots(figsize=(8, 4.8), dpi=100)
    ends = []  # (height, name, colour) of each line, where it ends
    for candidate, points in measured.items():
        xs = [x for x in plot.xs if points[str(x)]]
        if not xs:
            continue
        found = [sorted(run[field] for run in points[str(x)]) for x in xs]
        medians = [statistics.median(values) for values in found]
        style = {"linewidth": 1.6, "marker": "o", "markersize": 4} | STYLES[candidate]
        axes.plot(xs, medians, **style)
        axes.fill_between(
            xs, [v[0] for v in found], [v[-1] for v in found], color=style["color"], alpha=0.12, linewidth=0
        )
        ends.append((medians[-1], compare.CANDIDATES[candidate].title, style["color"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(plot.xs[:: 2 if len(plot.xs) > 6 else 1])
    axes.xaxis.set_major_formatter(lambda x, _: plot.x_format(x))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    if plot.is_wide:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1,) if high / low > 1e4 else (1, 2, 5), numticks=20))
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda y, _: compact(y))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
    axes.tick_params(length=0, labelsize=10, colors="#444444")
    axes.set_xlabel(plot.x_title, color="#444444")
    axes.set_title(f"{plot.title}: {UNITS[field]}", loc="left", fontsize=12, color="#222222", pad=12)
    figure.subplots_adjust(left=0.08, right=0.71, top=0.9, bottom=0.12)
    figure.canvas.draw()  # now the axes know where everything is
    label_ends(axes, ends)
    figure.savefig(path, facecolor="white")
    pyplot.close(figure)


def label_ends(axes, ends, room=17):
    """Names the lines where they end, at least `room` pixels apart: names that are too close share what is needed."""
    ends = sorted(ends)
    groups = []  # of neighbours: [sum of where they would start, number]
    for i, (height, _, _) in enumerate(ends):
        groups.append([axes.transData.transform((1, height))[1] - i * room, 1])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            total, number = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + number]
    starts = [total / number for total, number in groups for _ in range(number)]
    for i, (start, (_, name, color)) in enumerate(zip(starts, ends)):
        _, place = axes.transAxes.inverted().transform((0, start + i * room))
        axes.text(1.02, place, name, transform=axes.transAxes, color=color, va="center", fontsize=10)


def compact(value):
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--programs", type=pathlib.Path, metavar="FOLDER", help="where bench-load and the servers are")
    source.add_argument("--from", type=pathlib.Path, metavar="FILE", dest="source", help="run nothing, read a result")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="repetitions (3)")
    parser.add_argument("--results", type=pathlib.Path, metavar="FOLDER", help="where to write plots.json")
    parser.add_argument("--images", type=pathlib.Path, metavar="FOLDER", default=compare.PROJECT / "docs/images")
    arguments = parser.parse_args()

    if arguments.source:
        result = json.loads(arguments.source.read_text())
    else:
        result = measure(arguments.programs, arguments.repeat, compare.progress())
    if arguments.results:
        arguments.results.mkdir(parents=True, exist_ok=True)
        (arguments.results / "plots.json").write_text(json.dumps(result, indent=1) + "\n")
    arguments.images.mkdir(parents=True, exist_ok=True)
    for plot in PLOTS:
        for name, field in plot.shown.items():
            draw(plot, field, result["plots"][plot.key], arguments.images / f"performance-{name}.png")
    print(result["machine"], *result["failures"], sep="\n")
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
