#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

"""Measures QtNamedPipes beside its peers and writes the tables; see README.md."""

import argparse
import dataclasses
import json
import pathlib
import re
import statistics
import sys
import time

sys.dont_write_bytecode = True  # the sources stay clean

import machine  # noqa: E402
import rows  # noqa: E402
import runner  # noqa: E402

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
QUICK_REPEAT, QUICK_FACTOR = 3, 0.3

CANDIDATES = {candidate.key: candidate for candidate in rows.CANDIDATES}
LINES = {value.key: (row, value) for row in rows.ROWS for value in row.values}


# --- measuring ---


def rotated(items, repetition, repetitions):
    """Each repetition begins at another place, and all of them are spread evenly."""
    start = repetition * len(items) // repetitions
    return items[start:] + items[:start]


def fields_of(row):
    return {field for value in row.values for field in (value.field, value.minus) if field}


def measure(chosen, repetitions, factor, say):
    """Runs everything; `chosen` is a list of (runner, row, candidates). Returns a list of dictionaries, one for each
    run, with what the load generator printed in "figures", or the reason in "error"."""
    runs = []
    for repetition in range(repetitions):
        # The candidates of a row run one directly after the other, so that they find the machine in the same mood.
        for runs_on, row, candidates in chosen:
            if row.once and repetition > 0:
                continue
            say(f"{repetition + 1}/{repetitions} {row.key}")
            for candidate in rotated(candidates, repetition, repetitions):
                entry = {"row": row.key, "candidate": candidate.key, "repetition": repetition}
                try:
                    entry["figures"] = runs_on.run(row, candidate, row.seconds * factor)
                    missing = fields_of(row) - entry["figures"].keys()
                    if missing:
                        raise runner.RunFailed(f"the load generator does not tell {', '.join(sorted(missing))}")
                except runner.RunFailed as failure:
                    entry["error"] = str(failure)
                    say(f"    {candidate.title}: {failure}")
                runs.append(entry)
    return runs


# --- figures ---


def summarize(runs):
    """{(line, candidate): figures in the order of the repetitions}. There are none if one run has failed: a median of
    those that went well would hide it. Who has not run is not in it."""
    collected, failed = {}, set()
    for run in runs:
        for value in next(row for row in rows.ROWS if row.key == run["row"]).values:
            key = value.key, run["candidate"]
            collected.setdefault(key, [])
            if "error" in run:
                failed.add(key)
            else:
                figure = run["figures"][value.field] - (run["figures"][value.minus] if value.minus else 0)
                collected[key].append(figure * value.factor)
    return {key: [] if key in failed else figures for key, figures in collected.items()}


def ratio(summaries, over, under):
    """The median of the ratios of each repetition, for the two ran one after the other; None if there is none."""
    upper, lower = summaries.get(over), summaries.get(under)
    if not upper or not lower or len(upper) != len(lower) or 0 in lower:
        return None
    return statistics.median(a / b for a, b in zip(upper, lower))


def measured_target(summaries, goal, target):
    """What is to be compared with the limit; None if something for it has not been measured, or failed."""
    ours = goal.line, goal.candidate
    if target.peer:
        return ratio(summaries, ours, (goal.line, target.peer))
    if target.line:
        return ratio(summaries, ours, (target.line, goal.candidate))
    return statistics.median(summaries[ours]) if summaries.get(ours) else None


def measured_limit(summaries, goal, target):
    """The same of what does no more than must be done."""
    limit = rows.LIMITS.get(goal.candidate)
    if (goal.line, limit) not in summaries:
        limit = rows.BARE_LIMIT
    return measured_target(summaries, dataclasses.replace(goal, candidate=limit), target)


def is_reached(measured, target):
    return measured is not None and (measured >= target.limit if target.sign == ">=" else measured <= target.limit)


# --- tables ---


def number(value):
    """Three digits, and a letter for thousands: 42.6M, 672k, 3,742, 11.1, 0.23."""
    size = abs(value)
    if size >= 999_500:
        return number(value / 1e6) + "M"
    if size >= 9_995:
        return number(value / 1e3) + "k"
    if size >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"


def table(head, lines, text_columns=(0,)):
    """Markdown; columns of figures are right-aligned."""
    marks = ["---" if i in text_columns else "--:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, marks, *lines])


def cell(figures, spread=False):
    if figures is None:
        return "–"
    if not figures:
        return "**error**"
    if spread:
        return f"{number(min(figures))}–{number(max(figures))}"
    return number(statistics.median(figures))


def label(row, value):
    place = ", one core" if row.placement == "one core" and value.unit != "KiB" else ""
    return f"{value.title}{place} ({value.unit})"


def values_table(summaries, candidates, windows=False, once=False, spread=False):
    """None if there is nothing to show."""
    lines = []
    for key, (row, value) in LINES.items():
        found = [summaries.get((key, candidate)) for candidate in candidates]
        if (row.windows, row.once) == (windows, once) and any(figures is not None for figures in found):
            lines.append([label(row, value), *(cell(figures, spread) for figures in found)])
    if not lines:
        return None
    head = ["", *(CANDIDATES[candidate].title for candidate in candidates)]
    shown = [i for i in range(len(head)) if i == 0 or any(line[i] != "–" for line in lines)]
    return table([head[i] for i in shown], [[line[i] for i in shown] for line in lines])


def tables_of_values(summaries, spread=False):
    """Linux, what is special about small messages, Windows: those that have something to show."""
    extras = ("raw", "marshalled", "free", *rows.EXTRAS)
    special = {key: figures for key, figures in summaries.items() if any((key[0], e) in summaries for e in rows.EXTRAS)}
    parts = (
        ("", values_table(summaries, rows.GENERAL, spread=spread)),
        (
            "One signal for many messages, and what many programs do, one queued call for each:",
            values_table(special, extras, spread=spread),
        ),
        ("Windows programs, under Wine:", values_table(summaries, rows.ALL, windows=True, spread=spread)),
    )
    return [f"{title}\n\n{text}".strip() for title, text in parts if text]


def describe_target(target, measured, limit, unit):
    sign = "≥" if target.sign == ">=" else "≤"
    if target.peer or target.line:
        what = f"× {CANDIDATES[target.peer].title if target.peer else 'without idle clients'}"
    else:
        what = unit
    shown = "not measured:" if measured is None else number(measured)
    goal = number(target.limit) if target.limit >= 1000 else f"{target.limit:.3g}"
    if is_reached(measured, target):
        return f"{shown} {what} ({sign} {goal})"
    beside = "" if limit is None or is_reached(limit, target) else f"; limit {number(limit)}"
    return f"**{shown} {what} ({sign} {goal}{beside})**"


def goals_table(summaries):
    """The goals of what has been measured."""
    lines, reached, beyond = [], 0, 0
    for goal in rows.GOALS:
        figures = summaries.get((goal.line, goal.candidate))
        if figures is None:
            continue
        row, value = LINES[goal.line]
        measured = [measured_target(summaries, goal, target) for target in goal.targets]
        limits = [measured_limit(summaries, goal, target) for target in goal.targets]
        missed = [(limit, t) for t, m, limit in zip(goal.targets, measured, limits) if not is_reached(m, t)]
        is_beyond = bool(missed) and not any(limit is None or is_reached(limit, t) for limit, t in missed)
        reached += not missed
        beyond += is_beyond
        answer = "**no**, nor does the limit" if is_beyond else "**no**" if missed else "yes"
        title = ("Windows: " if row.windows else "") + label(row, value)
        texts = map(describe_target, goal.targets, measured, limits, [value.unit] * len(limits))
        lines.append([title, CANDIDATES[goal.candidate].title, cell(figures), ", ".join(texts), answer])
    if not lines:
        return None
    head = ["", "", "median", "measured (goal)", "reached"]
    words = f"{reached} of {len(lines)} goals are reached."
    if beyond:
        words += (
            f" {beyond} of the others are missed by the limit as well, in the same run: by what does no more than must be "
            "done, the raw loop, with a signal for each message where the goal is about one."
        )
    return f"{table(head, lines, (0, 1, 3, 4))}\n\n{words}"


def floor_table(summaries, floor, others):
    """What there is beside a loop that does nothing but read and emit; None if there is nothing to show."""
    others = [key for key in others if any((line, key) in summaries for line in LINES)]
    lines = []
    for key, (row, value) in LINES.items():
        if not row.once and (key, floor) in summaries:
            ratios = [ratio(summaries, (key, other), (key, floor)) for other in others]
            cells = ["–" if measured is None else f"{number(measured)} ×" for measured in ratios]
            lines.append([label(row, value), cell(summaries[key, floor]), *cells])
    if not lines:
        return None
    return table(["", *(CANDIDATES[key].title for key in (floor, *others))], lines)


def failures_text(runs):
    lines = [
        f"- {run['row']}, {CANDIDATES[run['candidate']].title}, repetition {run['repetition'] + 1}: "
        f"{' '.join(run['error'].split())[:300]}"
        for run in runs
        if "error" in run
    ]
    return "Runs that failed:\n\n" + "\n".join(lines) if lines else None


def settings_text(result):
    settings = result["settings"]
    sentences = [
        "A quick run, not for publication." if settings["quick"] else "",
        f"Medians of {settings['repeat']} runs.",
        "Server and load generator are two processes, free to run on any core unless it says “one core”: "
        "there both share one, so that what counts is the work, not the wake-ups.",
        "Idle cores were kept awake by loops of the lowest priority (SCHED_IDLE), since waking up a virtual core takes "
        "longer than what is measured."
        if settings["keep_awake"]
        else "Idle cores slept as they do.",
    ]
    if settings["busy"] > 0.1:
        sentences.append(f"**Other programs kept the cores {settings['busy']:.0%} busy before the first run.**")
    if settings["not_built"]:
        sentences.append(f"Not built here, so not in the tables: {', '.join(settings['not_built'])}.")
    return " ".join(filter(None, sentences))


def short_text(result):
    summaries = summarize(result["runs"])
    parts = [result["machine"], settings_text(result), *tables_of_values(summaries), failures_text(result["runs"])]
    return "\n\n".join(filter(None, parts))


def full_text(result):
    summaries = summarize(result["runs"])
    goals = goals_table(summaries)
    on_worker = floor_table(summaries, "raw-signal", ("raw", "free", "batch"))
    on_main = floor_table(summaries, "raw-marshalled", ("raw", "marshalled", "batch-marshalled"))
    parts = [
        short_text(result),
        (pinned := values_table(summaries, rows.ALL, once=True))
        and "### On one core\n\nEvery row once more, with server and load generator on the same core.\n\n" + pinned,
        goals and "### Goals\n\nRatios are medians of the ratios of each repetition.\n\n" + goals,
        on_worker
        and "### Beside what one signal for each message costs\n\nThe raw loop with one emission for each message, and a "
        "slot that handles it, is the limit for any library with such a signal.\n\n" + on_worker,
        on_main
        and "With the signals on another thread than the reads, and nothing between them but a queue and one event for "
        "what has gathered in it, it is the limit for marshalled delivery.\n\n" + on_main,
        "### Spread\n\nThe least and the most of the repetitions.",
        *tables_of_values(summaries, spread=True),
    ]
    return "\n\n".join(filter(None, parts))


def replace_marked(text, new):
    """`text` with what is between the two markers replaced. ValueError if they are not there, once and in order."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"it needs one {BEGIN} and one {END} after it")
    return text[: text.index(BEGIN) + len(BEGIN)] + f"\n{new}\n" + text[text.index(END) :]


def update_docs(result):
    if result["settings"]["partial"]:
        raise SystemExit("this is not the whole: not for the documentation")
    for name, text in (("docs/performance.md", full_text(result)), ("README.md", short_text(result))):
        path = PROJECT / name
        try:
            path.write_text(replace_marked(path.read_text(), text))
        except (OSError, ValueError) as error:
            raise SystemExit(f"{path}: {error}") from None


# --- the program ---


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--programs", type=pathlib.Path, metavar="FOLDER", help="where bench-load and the servers are")
    source.add_argument("--from", type=pathlib.Path, metavar="FILE", dest="source", help="run nothing, read a result")
    parser.add_argument("--windows-programs", type=pathlib.Path, metavar="FOLDER", help="the same for Windows")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: for a look")
    parser.add_argument("--rows", default="", metavar="REGEX", help="only rows whose key matches")
    parser.add_argument("--peers", default="", metavar="REGEX", help="only candidates whose key or title matches")
    parser.add_argument("--repeat", type=int, metavar="N", help="repetitions (5; 3 with --quick)")
    parser.add_argument(
        "--keep-awake",
        choices=("yes", "no"),
        default="no",
        help="keep idle cores from halting, with loops of the lowest priority (default: no)",
    )
    parser.add_argument("--results", type=pathlib.Path, metavar="FOLDER", help="where to write compare.json and .md")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the JSON there, too")
    parser.add_argument("--update-docs", action="store_true", help="put the tables into README.md and docs/")
    arguments = parser.parse_args()
    if arguments.repeat is not None and arguments.repeat < 1:
        parser.error("--repeat needs a number")
    if arguments.update_docs and (arguments.quick or arguments.rows or arguments.peers):
        parser.error("--update-docs needs all rows and candidates")
    return arguments


def choose(arguments, runners):
    """The list for measure(), and the titles of candidates that were not built."""
    chosen, not_built = [], []
    for row in rows.ROWS:
        runs_on = runners.get(row.windows)
        if runs_on is None or not re.search(arguments.rows, row.key) or (arguments.quick and not row.is_quick):
            continue
        wanted = [
            CANDIDATES[key]
            for key in row.candidates
            if not (arguments.quick and key in row.not_quick)
            and any(re.search(arguments.peers, text) for text in (key, CANDIDATES[key].title))
        ]
        not_built += [c.title for c in wanted if not runs_on.has(c) and c.title not in not_built]
        candidates = [c for c in wanted if runs_on.has(c)]
        if candidates:
            chosen.append((runs_on, row, candidates))
    return chosen, not_built


def progress():
    """A function that prints lines for who waits, with the time that has passed."""
    began = time.monotonic()

    def say(text):
        print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)

    return say


def run_everything(arguments):
    keep_awake = runner.KeepAwake() if arguments.keep_awake == "yes" else None
    repeat = arguments.repeat or (QUICK_REPEAT if arguments.quick else 5)
    folders = {False: arguments.programs, True: arguments.windows_programs}
    runners = {w: runner.Runner(folder, w, keep_awake) for w, folder in folders.items() if folder}
    chosen, not_built = choose(arguments, runners)
    if not chosen:
        raise SystemExit("nothing to run: no row and candidate that is built matches")
    busy = machine.busy_share()
    runs = measure(chosen, repeat, QUICK_FACTOR if arguments.quick else 1, progress())
    return {
        "machine": machine.describe(arguments.programs, arguments.windows_programs),
        "settings": {
            "repeat": repeat,
            "quick": arguments.quick,
            "partial": bool(arguments.quick or arguments.rows or arguments.peers),
            "keep_awake": keep_awake is not None,
            "not_built": not_built,
            "busy": busy,
        },
        "runs": runs,
    }


def main():
    arguments = parse_arguments()
    result = json.loads(arguments.source.read_text()) if arguments.source else run_everything(arguments)
    text = full_text(result)
    print(text)
    data = json.dumps(result, indent=1) + "\n"
    if arguments.results:
        arguments.results.mkdir(parents=True, exist_ok=True)
        (arguments.results / "compare.json").write_text(data)
        (arguments.results / "compare.md").write_text(text + "\n")
    if arguments.json:
        arguments.json.write_text(data)
    if arguments.update_docs:
        update_docs(result)
    return 1 if any("error" in run for run in result["runs"]) else 0


if __name__ == "__main__":
    sys.exit(main())
