#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
# SPDX-License-Identifier: MIT

"""Tests of the statistics, the tables and the starting of programs, with programs that are no benchmark."""

import collections
import os
import pathlib
import re
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import compare  # noqa: E402
import machine  # noqa: E402
import rows  # noqa: E402
import runner  # noqa: E402

RAW, MARSHALLED = compare.CANDIDATES["raw"], compare.CANDIDATES["marshalled"]
ONEWAY = rows.ROWS[0]


def runs_of(row, candidate, *figures):
    """A run for each of the figures; a text is an error."""
    made = []
    for repetition, figure in enumerate(figures):
        run = {"row": row, "candidate": candidate, "repetition": repetition}
        made.append(run | ({"error": figure} if isinstance(figure, str) else {"figures": figure}))
    return made


def rates(candidate, *figures):
    return runs_of("oneway-64-1", candidate, *({"per_second": f} if not isinstance(f, str) else f for f in figures))


def result_of(runs, **settings):
    usual = {"repeat": 3, "quick": False, "partial": False, "keep_awake": True, "not_built": [], "busy": 0}
    return {"machine": "a machine", "settings": usual | settings, "runs": runs}


class Data(unittest.TestCase):
    def test_keys_are_unique(self):
        for keys in (
            [c.key for c in rows.CANDIDATES],
            [c.title for c in rows.CANDIDATES],
            [r.key for r in rows.ROWS],
            [v.key for r in rows.ROWS for v in r.values],
            [(g.line, g.candidate) for g in rows.GOALS],
        ):
            self.assertEqual([k for k, n in collections.Counter(keys).items() if n > 1], [])

    def test_rows_name_candidates_that_can_run_there(self):
        for row in rows.ROWS:
            for key in row.candidates:
                candidate = compare.CANDIDATES[key]
                self.assertTrue(candidate.windows_links if row.windows else candidate.links, (row.key, key))

    def test_goals_can_be_measured(self):
        for goal in rows.GOALS:
            row, _ = compare.LINES[goal.line]
            self.assertIn(goal.candidate, row.candidates)
            for target in goal.targets:
                self.assertIn(target.sign, (">=", "<="))
                if target.peer:
                    self.assertIn(target.peer, row.candidates, goal)
                if target.line:
                    self.assertIn(goal.candidate, compare.LINES[target.line][0].candidates, goal)

    def test_signs_fit_units(self):
        better_when_less = {"ns", "µs", "ms", "KiB", "MiB"}
        for goal in rows.GOALS:
            _, value = compare.LINES[goal.line]
            for target in goal.targets:
                self.assertEqual(target.sign, "<=" if value.unit in better_when_less else ">=", goal)


class Order(unittest.TestCase):
    def test_rotation_keeps_all_and_begins_elsewhere(self):
        items = list(range(9))
        orders = [compare.rotated(items, repetition, 5) for repetition in range(5)]
        self.assertEqual([order[0] for order in orders], [0, 1, 3, 5, 7])
        for order in orders:
            self.assertEqual(sorted(order), items)

    def test_candidates_of_a_row_run_together(self):
        class Recorder:
            def __init__(self):
                self.calls = []

            def run(self, row, candidate, seconds):
                self.calls.append((row.key, candidate.key, seconds))
                return {"per_second": 1.0}

        recorder = Recorder()
        chosen = [(recorder, row, [RAW, MARSHALLED]) for row in rows.ROWS[:2]]
        runs = compare.measure(chosen, 2, 0.5, lambda text: None)
        first, second = rows.ROWS[0].key, rows.ROWS[1].key
        pair = [("raw", "marshalled"), ("marshalled", "raw")]
        expected = [(row, c) for repetition in pair for row in (first, second) for c in repetition]
        self.assertEqual([call[:2] for call in recorder.calls], expected)
        self.assertEqual({call[2] for call in recorder.calls}, {ONEWAY.seconds * 0.5})
        self.assertEqual([(run["row"], run["candidate"]) for run in runs], expected)

    def test_a_failure_is_kept_and_the_rest_goes_on(self):
        class Failing:
            def run(self, row, candidate, seconds):
                if candidate is RAW:
                    raise runner.RunFailed("lost")
                return {"something": 1}

        runs = compare.measure([(Failing(), ONEWAY, [RAW, MARSHALLED])], 1, 1, lambda text: None)
        self.assertEqual(runs[0]["error"], "lost")
        self.assertIn("per_second", runs[1]["error"])  # what the row is about is missing


class Statistics(unittest.TestCase):
    def test_median_and_units(self):
        figures = ((9, 1024), (1, 4096), (2, 512))
        runs = runs_of("idle", "raw", *({"p50_us": p, "bytes_per_connection": b} for p, b in figures))
        summaries = compare.summarize(runs)
        self.assertEqual(summaries["idle-echo", "raw"], [9, 1, 2])
        self.assertEqual(summaries["idle-memory", "raw"], [1, 4, 0.5])
        self.assertEqual(compare.cell(summaries["idle-echo", "raw"]), "2.00")

    def test_growth_is_a_difference(self):
        figures = {"late_p99_us": 1500, "peak_kib": 5120, "rss_kib_before": 3072}
        summaries = compare.summarize(runs_of("flood-slow", "free", figures))
        self.assertEqual(summaries["flood-slow-late", "free"], [1.5])
        self.assertEqual(summaries["flood-slow-memory", "free"], [2])

    def test_one_failure_spoils_the_cell(self):
        summaries = compare.summarize(rates("raw", 1.0, "lost", 3.0))
        self.assertEqual(summaries["oneway-64-1", "raw"], [])
        self.assertEqual(compare.cell(summaries["oneway-64-1", "raw"]), "**error**")
        self.assertNotIn(("oneway-64-1", "free"), summaries)

    def test_ratio_is_taken_within_a_repetition(self):
        # The machine was twice as fast in one repetition; the ratio was not.
        summaries = compare.summarize(rates("raw", 10.0, 20.0, 10.0) + rates("free", 5.0, 10.0, 6.0))
        line = "oneway-64-1"
        self.assertEqual(compare.ratio(summaries, (line, "free"), (line, "raw")), 0.5)

    def test_ratio_without_a_figure(self):
        line = "oneway-64-1"
        summaries = compare.summarize(rates("raw", 10.0, "lost") + rates("free", 5.0, 10.0) + rates("qlocal", 0.0, 1.0))
        for under in ("raw", "qlocal", "zeromq"):
            self.assertIsNone(compare.ratio(summaries, (line, "free"), (line, under)))

    def test_goals(self):
        at_least, at_most = rows.Target(">=", 0.5), rows.Target("<=", 0.5)
        self.assertTrue(compare.is_reached(0.5, at_least))
        self.assertFalse(compare.is_reached(0.4999, at_least))
        self.assertTrue(compare.is_reached(0.5, at_most))
        self.assertFalse(compare.is_reached(0.5001, at_most))
        self.assertFalse(compare.is_reached(None, at_most))

    def test_goal_against_another_line_of_the_same_candidate(self):
        goal = next(g for g in rows.GOALS if g.line == "idle-echo" and g.candidate == "free")
        runs = runs_of("idle-none", "free", {"p50_us": 10})
        runs += runs_of("idle", "free", {"p50_us": 11, "bytes_per_connection": 1})
        self.assertAlmostEqual(compare.measured_target(compare.summarize(runs), goal, goal.targets[0]), 1.1)


class Tables(unittest.TestCase):
    def test_numbers(self):
        for value, text in (
            (0, "0.00"),
            (0.234, "0.23"),
            (9.994, "9.99"),
            (9.996, "10.0"),
            (42.57, "42.6"),
            (99.96, "100"),
            (3742.4, "3,742"),
            (9996, "10.0k"),
            (671_800, "672k"),
            (999_600, "1.00M"),
            (42_570_000, "42.6M"),
            (-1.5, "-1.50"),
        ):
            self.assertEqual(compare.number(value), text)

    def test_cells(self):
        self.assertEqual(compare.cell([2.0, 1.0, 3.0]), "2.00")
        self.assertEqual(compare.cell([2.0, 1.0, 3.0], spread=True), "1.00–3.00")
        self.assertEqual(compare.cell([]), "**error**")
        self.assertEqual(compare.cell(None), "–")

    def test_who_did_not_run_has_no_column(self):
        text = compare.short_text(result_of(rates("raw", 2e7) + rates("marshalled", 1e7)))
        self.assertIn("| One way, 64 B, 1 client (msg/s) | 20.0M | 10.0M |", text)
        self.assertNotIn("libuv", text)

    def test_extras_have_a_table_of_their_own(self):
        tables = compare.tables_of_values(compare.summarize(rates("raw", 2e7) + rates("batch", 1e7)))
        self.assertEqual(len(tables), 2)
        self.assertNotIn("batch", tables[0])
        self.assertIn("| 20.0M | 10.0M |", tables[1])

    def test_windows_is_apart(self):
        tables = compare.tables_of_values(compare.summarize(runs_of("windows-echo-64", "raw", {"p50_us": 50.0})))
        self.assertEqual(len(tables), 1)
        self.assertIn("Wine", tables[0])

    def test_a_row_in_which_all_failed_is_shown(self):
        tables = compare.tables_of_values(compare.summarize(rates("raw", "lost") + rates("free", "lost")))
        self.assertIn("| One way, 64 B, 1 client (msg/s) | **error** | **error** |", tables[0])

    def test_goals_in_words(self):
        runs = rates("raw", 2e7) + rates("free", 11e6) + rates("qlocal", 10e6) + rates("zeromq", 1e6)
        text = compare.goals_table(compare.summarize(runs))
        self.assertIn("0.55 × raw loop (≥ 0.5), **1.10 × QLocalServer (≥ 1.2)**, 11.0 × ZeroMQ (≥ 6)", text)
        self.assertIn("0 of 1 goals", text)
        runs = runs_of("flood", "free", {"per_second": 1.0, "late_p99_us": 4000})
        text = compare.goals_table(compare.summarize(runs))
        self.assertIn("| 4.00 ms (≤ 4) | yes |", text)

    def test_a_goal_that_the_limit_misses_as_well_says_so(self):
        peers = rates("qlocal", 1e6) + rates("zeromq", 1e6)
        runs = rates("raw", 20e6) + rates("raw-signal", 8e6) + rates("free", 7e6) + peers
        text = compare.goals_table(compare.summarize(runs))
        self.assertIn("**0.35 × raw loop (≥ 0.5; limit 0.40)**", text)
        self.assertIn("| **no**, nor does the limit |", text)
        self.assertIn("0 of 1 goals are reached. 1 of the others", text)
        # What it does reach is not out of reach, nor is another thing that is missed.
        for signal, zeromq in ((11e6, 1e6), (8e6, 1.2e6)):
            runs = rates("raw", 20e6) + rates("raw-signal", signal) + rates("free", 7e6)
            runs += rates("qlocal", 1e6) + rates("zeromq", zeromq)
            text = compare.goals_table(compare.summarize(runs))
            self.assertIn("| **no** |", text)
            self.assertNotIn("of the others", text)
        # Without one of its own it is the raw loop.
        runs = runs_of("broadcast", "raw", {"per_second": 10.0}) + runs_of("broadcast", "free", {"per_second": 9.5})
        runs += runs_of("broadcast", "qlocal", {"per_second": 10.0})
        text = compare.goals_table(compare.summarize(runs))
        self.assertIn("0.95 × raw loop (≥ 0.9), **0.95 × QLocalServer (≥ 2.3; limit 1.00)** | **no**, nor", text)

    def test_the_floor_is_one_signal_for_each_message(self):
        runs = rates("raw-signal", 10e6, 20e6) + rates("raw", 30e6, 60e6)
        runs += rates("free", 8e6, 16e6) + rates("batch", "lost", 1)
        others = ("raw", "free", "batch", "marshalled")
        text = compare.floor_table(compare.summarize(runs), "raw-signal", others)
        self.assertIn("| 15.0M | 3.00 × | 0.80 × | – |", text)
        self.assertNotIn("marshalled", text)
        runs = rates("raw", 1.0) + rates("free", 1.0)
        self.assertIsNone(compare.floor_table(compare.summarize(runs), "raw-signal", others))

    def test_a_goal_whose_peer_failed_is_not_reached(self):
        text = compare.goals_table(compare.summarize(rates("raw", "lost") + rates("batch", 1e9)))
        self.assertIn("**not measured: × raw loop (≥ 0.8)** | **no** |", text)

    def test_failures_and_settings_are_told(self):
        runs = rates("raw", "lost\nby accident", 1.0)
        text = compare.full_text(result_of(runs, quick=True, not_built=["nng"], busy=0.5))
        for part in (
            "**error**",
            "- oneway-64-1, raw loop, repetition 1: lost by accident",
            "A quick run",
            "Not built here, so not in the tables: nng.",
            "kept the cores 50% busy",
            "kept awake",
        ):
            self.assertIn(part, text)
        text = compare.full_text(result_of(rates("raw", 1.0), keep_awake=False))
        self.assertIn("slept", text)
        self.assertNotIn("failed", text)

    def test_every_row_of_a_table_has_all_its_columns(self):
        runs = []
        for row in rows.ROWS:
            for key in row.candidates:
                runs += runs_of(row.key, key, dict.fromkeys(compare.fields_of(row), 2.0))
        text = compare.full_text(result_of(runs))
        for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
            self.assertEqual(len({line.count("|") for line in block.splitlines()}), 1, block)
        for _, value in compare.LINES.values():
            self.assertIn(value.title, text)


class Documentation(unittest.TestCase):
    def test_only_what_is_between_the_markers_changes(self):
        old = f"a\n{compare.BEGIN}\nold\n{compare.END}\nb\n"
        new = compare.replace_marked(old, "new")
        self.assertEqual(new, f"a\n{compare.BEGIN}\nnew\n{compare.END}\nb\n")
        self.assertEqual(compare.replace_marked(new, "new"), new)

    def test_markers_have_to_be_there_once_and_in_order(self):
        begin, end = compare.BEGIN, compare.END
        for text in ("", begin, end, end + begin, begin + begin + end, begin + end + end):
            with self.assertRaises(ValueError):
                compare.replace_marked(text, "new")

    def test_a_part_is_refused(self):
        with self.assertRaises(SystemExit):
            compare.update_docs(result_of([], partial=True))


class Programs(unittest.TestCase):
    """The runner, with scripts in place of the programs."""

    SERVER = "echo ready; read -r _; exit 0"
    LOAD = 'echo "{\\"arguments\\": \\"$*\\", \\"folder\\": \\"$TMPDIR\\"}"'

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_with(self, server=SERVER, load=LOAD, row=ONEWAY):
        for name, text in (("bench-server-raw", server), ("bench-load", load)):
            path = self.folder / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        return runner.Runner(self.folder).run(row, RAW, 0.5)

    def test_what_was_measured_comes_back(self):
        figures = self.run_with()
        self.assertRegex(
            figures["arguments"], "^--links stream --name [^ ]+ --row oneway --clients 1 --size 64 --seconds 0.5$"
        )
        self.assertFalse(os.path.exists(figures["folder"]))  # nothing is left

    def test_one_core(self):
        count = "nproc"
        before = os.sched_getaffinity(0)
        one = next(row for row in rows.ROWS if row.placement == "one core")
        self.assertEqual(self.run_with(load=count, row=one), 1)
        self.assertEqual(self.run_with(load=count), len(before))
        self.assertEqual(os.sched_getaffinity(0), before)

    def test_failures_say_what_was_wrong(self):
        for programs, message in (
            ({"load": "echo wrong checksum >&2; exit 1"}, r"^wrong checksum \(server: runs\)"),
            ({"load": "exit 1"}, "exit code 1"),
            ({"load": "echo nonsense"}, "no JSON.*nonsense"),
            ({"server": "echo no such name >&2; exit 3"}, "not get ready.*no such name"),
            ({"server": "echo what"}, "not get ready"),
            ({"server": self.SERVER.replace("exit 0", "exit 4")}, r"not end as it should \(server: exit code 4"),
        ):
            with self.subTest(programs), self.assertRaisesRegex(runner.RunFailed, message):
                self.run_with(**programs)

    def test_what_is_not_built_is_known(self):
        self.run_with()
        self.assertTrue(runner.Runner(self.folder).has(RAW))
        self.assertFalse(runner.Runner(self.folder).has(MARSHALLED))
        self.assertFalse(runner.Runner(self.folder, windows=True).has(RAW))

    def test_the_machine_is_described(self):
        self.assertIn("Linux", machine.describe(self.folder))


if __name__ == "__main__":
    unittest.main()
